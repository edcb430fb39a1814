//! One run from its Start file to its end: [`Session`], the dull loop around [`Plan`], [`Runner`] and [`Watch`].
//!
//! The order is the point (wire contract 4.4 and 7.4): both exchanges are declared and the run's is listened to before
//! anything starts; the Start file is there before the first process; Start is published after the last one.

use super::launch::start_all;
use super::plan::{Launch, Plan, start_file_name};
use super::runner::Runner;
use super::surroundings::Surroundings;
use super::watch::{Action, Input, Told, Verdict, Watch};
use anyhow::Context as _;
use gridloop_bus::{Bus, Event, Subscribe, Subscription, WhenFull};
use gridloop_clock::SharedClock;
use gridloop_messages::{Body, Header, Message, SimState, SimulationState, Timestamp};
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;

/// Lines of a log that belong to the news of a death.
const LAST_LINES: usize = 12;

/// A run at work, or about to be.
pub struct Session<'p> {
    plan: &'p Plan,
    runner: Box<dyn Runner>,
    clock: SharedClock,
    management: Bus,
    run: Bus,
    /// What is said in the run, if it is to be followed.
    heard: Option<Subscription>,
    start_topic: String,
}

/// What is shown of a run.
pub enum News<'n> {
    /// What the watch tells.
    Told(&'n Told),
    /// The last lines of the log of the process that has just been told of as dead.
    LastLines(&'n str, &'n [String]),
}

impl<'p> Session<'p> {
    /// Declares both exchanges and, if the run is to be followed, listens to it. Nothing has been started then.
    ///
    /// Whoever leaves must not have listened: the exchange of a run goes when its last binding goes, and that must not
    /// happen between the declaration and the binding of a component that is just starting.
    ///
    /// # Errors
    /// When the broker cannot be used; the text says why.
    pub async fn open(
        plan: &'p Plan,
        surroundings: &Surroundings,
        runner: Box<dyn Runner>,
        clock: SharedClock,
        follow: bool,
    ) -> anyhow::Result<Self> {
        let broker = || format!("broker {}", surroundings.broker());
        let connect = surroundings.connect(&surroundings.management_exchange, true, "platform-manager")?;
        let management = Bus::connect(&connect, clock.clone()).await.with_context(broker)?;
        let connect = surroundings.connect(&plan.exchange, false, "platform-manager")?;
        let run = Bus::connect(&connect, clock.clone()).await.with_context(broker)?;
        let topics = &plan.topics;
        let patterns = [&topics.sim_state, &topics.epoch, &topics.ready, &topics.error];
        let subscribe = Subscribe {
            name: "platform-manager".into(),
            patterns: patterns.into_iter().cloned().collect(),
            capacity: 4096,
            when_full: WhenFull::Wait,
        };
        let heard = if follow { Some(run.subscribe(subscribe).await.with_context(broker)?) } else { None };
        let start_topic = surroundings.start_topic.clone();
        Ok(Self { plan, runner, clock, management, run, heard, start_topic })
    }

    /// Starts everything and publishes Start. `told` hears of each process.
    ///
    /// # Errors
    /// When something cannot be started; nothing is left running then.
    pub async fn start(&mut self, told: impl FnMut(&Launch, &str)) -> anyhow::Result<()> {
        start_all(self.runner.as_mut(), &self.plan.launches, told).await?;
        let body = serde_json::to_vec(&self.plan.start)?;
        let published = async {
            self.management.publish(&self.start_topic, body.into()).await?;
            self.management.flush().await
        };
        if let Err(error) = published.await {
            self.runner.clean_up().await?;
            return Err(error).context("Start could not be published; what was started is ended again");
        }
        Ok(())
    }

    /// Leaves the run to itself.
    ///
    /// # Errors
    /// When the processes cannot be let go.
    pub async fn leave(mut self) -> anyhow::Result<()> {
        self.runner.detach().await?;
        self.close().await;
        Ok(())
    }

    /// Follows the run until all its processes have ended. Whatever comes over `stop` asks for that.
    ///
    /// # Errors
    /// When the session was not opened to follow the run, when logs cannot be collected or something cannot be removed at the end.
    pub async fn follow(
        mut self,
        stop: &mut mpsc::UnboundedReceiver<()>,
        mut show: impl FnMut(News<'_>),
    ) -> anyhow::Result<Verdict> {
        let mut heard = self.heard.take().context("the run is not listened to: a bug")?;
        let mut watch = Watch::new(self.plan, self.clock.now());
        let (mut may_stop, mut may_end, mut may_hear) = (true, true, true);
        while !watch.is_over() {
            let due = watch.due();
            let alarm = async {
                match due {
                    Some(due) => self.clock.sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            // The operator first, for nothing may keep a run from being stopped; ends of processes before messages,
            // which may come without a pause. Time passes with whatever happens, so it comes last.
            let actions = tokio::select! {
                biased;
                asked = stop.recv(), if may_stop => match asked {
                    Some(()) => watch.handle(Input::StopAsked, self.clock.now()),
                    None => {
                        may_stop = false;
                        Vec::new()
                    }
                },
                exit = self.runner.next_exit(), if may_end => match exit {
                    Some(exit) => watch.handle(Input::Exited(exit), self.clock.now()),
                    None => {
                        may_end = false;
                        Vec::new()
                    }
                },
                event = heard.recv(), if may_hear => match event {
                    Some(Event::Message(delivery)) => {
                        watch.handle(Input::Message(&delivery.body), self.clock.now())
                    }
                    Some(Event::Restored) => Vec::new(),
                    None => {
                        may_hear = false;
                        Vec::new()
                    }
                },
                () = alarm => watch.handle(Input::Tick, self.clock.now()),
            };
            self.perform(actions, &mut show).await;
        }
        let collected = self.runner.collect_logs().await;
        let cleaned = self.runner.clean_up().await;
        self.close().await;
        collected.and(cleaned)?;
        Ok(watch.verdict())
    }

    async fn perform(&mut self, actions: Vec<Action>, show: &mut impl FnMut(News<'_>)) {
        for action in actions {
            let done = match action {
                Action::Tell(told) => {
                    show(News::Told(&told));
                    if let Told::Died { index, .. } = told {
                        let lines = self.runner.last_lines(index, LAST_LINES).await;
                        show(News::LastLines(&self.plan.launches[index].name, &lines));
                    }
                    Ok(())
                }
                Action::Terminate(index) => self.runner.terminate(index).await,
                Action::Kill(index) => self.runner.kill(index).await,
                Action::PublishStopped => self.publish_stopped().await,
            };
            if let Err(error) = done {
                show(News::Told(&Told::Line(format!("{error:#}"))));
            }
        }
    }

    /// SimState `stopped` in the name of a manager that cannot say it any more. Components of gridloop obey their
    /// manager alone, so its name is the sender's.
    async fn publish_stopped(&self) -> anyhow::Result<()> {
        let manager = &self.plan.manager;
        let message = Message {
            header: Header {
                simulation_id: self.plan.simulation_id.clone(),
                timestamp: Timestamp::from(self.clock.utc()),
                source_process_id: manager.clone(),
                message_id: format!("{manager}-ended-by-platform-manager"),
                epoch: None,
            },
            body: Body::SimState(SimState {
                simulation_state: SimulationState::Stopped,
                name: Some(self.plan.name.clone()),
                description: Some("ended by the platform manager".to_owned()),
            }),
        };
        let body = message.encode().context("cannot say `stopped`")?;
        self.run.publish(&self.plan.topics.sim_state, body.into()).await.context("cannot say `stopped`")?;
        Ok(())
    }

    async fn close(&self) {
        self.run.close().await;
        self.management.close().await;
    }
}

/// Writes the Start message into a folder, as some components read it there.
///
/// # Errors
/// When the file cannot be written.
pub fn write_start_file(plan: &Plan, folder: &Path) -> anyhow::Result<PathBuf> {
    let path = folder.join(start_file_name(&plan.exchange));
    let text = start_text(plan)?;
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&path, text))
        .with_context(|| format!("cannot write the Start message {}", path.display()))?;
    Ok(path)
}

/// The Start message as its file has it: indented by four.
///
/// # Errors
/// Never, for what has been read can be written.
pub fn start_text(plan: &Plan) -> anyhow::Result<String> {
    use serde::Serialize;
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    plan.start.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, formatter))?;
    Ok(String::from_utf8(bytes)? + "\n")
}
