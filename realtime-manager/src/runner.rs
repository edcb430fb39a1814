//! The loop around the core: whatever happens becomes an [`Input`], every [`Action`] is performed in its order.
//!
//! One rule of the loop is worth knowing: before the core hears of an instant or of its timer, it hears of everything
//! that has been delivered by then. Nobody is called late whose answer was there. Only an instant at which the pacer has
//! already handed an Epoch to the bus comes before everything else: the next answers may be to that.
//!
//! Nothing is published that must survive this process and is not in the [`Journal`].
//!
//! One run has one manager. Before anything else the loop takes the run's lease, and it holds it to the end; what other
//! managers say all the same, because they know of no lease, it hears through [`Rivals`].

mod epochs;
mod watch;

use crate::alarm::Alarm;
use crate::core::{Action, Input, ManagerCore, NUMBERED_APART, Present};
use crate::ending::Ending;
use crate::journal::{Journal, JournalError, Record};
use crate::measures::Measures;
use crate::pace::{Instants, Pace, Reached};
use crate::progress::{Note, Progress};
use crate::report::{Recorder, Report, Resumed, Surroundings};
use crate::rivals::{Rival, Rivals};
use crate::settings::{Settings, SettingsError, Speed};
use bytes::Bytes;
use epochs::nanos;
use futures_util::FutureExt;
use gridloop_bus::{Bus, BusError, Event, Lease, Subscribe, Subscription, WhenFull};
use gridloop_clock::{Anchor, MonoTime, SharedClock, until};
use gridloop_messages::{Decoded, Message, WallTime, decode, topic};
use gridloop_metrics::Metrics;
use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use watch::Watch;

/// How long the last message of a run may take to leave.
const FAREWELL: Duration = Duration::from_secs(5);

/// The lease that the manager of a run holds.
const LEASE: &str = "manager";

/// Messages handled before the loop looks at anything else.
const BATCH: usize = 1024;

/// A run that could not begin.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The settings make no sense.
    #[error("the settings have {} problems, the first: {}", .0.len(), .0.first().map(ToString::to_string).unwrap_or_default())]
    Settings(Vec<SettingsError>),
    /// Another gridloop manager has this run, or the bus does not say that none has.
    #[error("cannot become the manager of this run")]
    Lease(#[source] BusError),
    /// Nobody could be heard.
    #[error("cannot subscribe to the topics of a manager")]
    Subscribe(#[source] BusError),
    /// The run could not be written down.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// There is nothing to go on with.
    #[error("the run is over: its journal has the end of it; start another with an id of its own")]
    Finished,
    /// The operating system refused the thread that watches the clocks.
    #[error("cannot watch the system's clocks: {0}")]
    Clocks(std::io::Error),
    /// A manager that takes no lease spoke before this one did.
    #[error(
        "another manager, `{name}`, is at work in run {simulation_id} (it sent {sent}): stop it, or give this run an \
         id of its own; nothing has been published"
    )]
    AnotherManager {
        /// Its name.
        name: String,
        /// The run.
        simulation_id: String,
        /// What it sent.
        sent: &'static str,
    },
}

/// What a manager works with.
pub struct Equipment {
    /// What waits for instants.
    pub pace: Pace,
    /// Where epochs are written down before they begin; nowhere if there is none. One that has a run in it makes the
    /// manager go on with that run.
    pub journal: Option<Journal>,
    /// Where measurements are shown.
    pub metrics: Metrics,
}

/// Without a journal, and with no measurements shown.
impl From<Pace> for Equipment {
    fn from(pace: Pace) -> Self {
        Self { pace, journal: None, metrics: Metrics::default() }
    }
}

/// Runs a simulation to its end, whatever that is, and says how it went. SimState `stopped` has been published by then,
/// whenever the bus took it.
///
/// `cancel` ends the run at once. `progress` is called on the run's own task: it must be quick and must not wait.
///
/// # Errors
/// When the run could not begin. Everything that goes wrong later is in the report.
pub async fn run(
    settings: Settings,
    bus: Bus,
    clock: SharedClock,
    equipment: Equipment,
    cancel: CancellationToken,
    progress: impl FnMut(Progress) + Send,
) -> Result<Report, RunError> {
    let problems = settings.problems();
    if !problems.is_empty() {
        return Err(RunError::Settings(problems));
    }
    let Equipment { pace, mut journal, metrics } = equipment;
    let anchor = clock.anchor();
    if journal.as_ref().and_then(Journal::past).is_some_and(|past| past.is_finished()) {
        return Err(RunError::Finished);
    }
    let resumption = match &journal {
        Some(journal) => journal.resumption(anchor)?,
        None => None,
    };
    let lease = bus.lease(LEASE).await.map_err(RunError::Lease)?;
    let inbox = bus.subscribe(subscription(&settings)).await.map_err(RunError::Subscribe)?;
    let overheard = bus.subscribe(managers_topics(&settings)).await.map_err(RunError::Subscribe)?;
    let mut ears = Ears { lease, inbox, overheard };
    let watch = Watch::start(&pace, anchor).map_err(RunError::Clocks)?;
    if let Some(journal) = &mut journal {
        journal.begin(&settings, anchor).await?;
    }
    let process = resumption.as_ref().map_or(0, |resumption| resumption.process);
    let resuming = resumption.as_ref().map(|resumption| Resumed {
        at: WallTime::from(anchor.utc).to_string(),
        epoch: resumption.completed + 1,
        repeated: resumption.pending.is_some(),
    });
    let core = match resumption {
        None => ManagerCore::new(settings.clone()),
        Some(resumption) => ManagerCore::resumed(settings.clone(), resumption),
    };
    let mut recorder = Recorder::new(&settings, Measures::new(&core.components(), &metrics));
    if let Some(past) = journal.as_ref().and_then(Journal::past) {
        past.tell(&mut recorder);
    }
    resuming.into_iter().for_each(|resumed| recorder.resumed(resumed));
    let mut run = Run {
        rivals: Rivals::new(&settings.name, &settings.simulation_id, process.saturating_mul(NUMBERED_APART)),
        core,
        alarm: Alarm::new(Arc::clone(&clock)),
        instants: Instants::new(pace),
        recorder,
        journal,
        bus,
        clock,
        cancel,
        progress,
        actions: Vec::new(),
        prepared: None,
        sent_at: None,
        heard_at: None,
        started: MonoTime::default(),
        ending: None,
        broken: false,
        strangers: 0,
    };
    let refused = run.instants.refusals();
    for refusal in &refused {
        tracing::warn!("{refusal}");
    }
    let ending = match AssertUnwindSafe(run.until_end(&mut ears)).catch_unwind().await {
        Ok(ending) => ending,
        Err(payload) => run.after_panic(panic_text(payload)).await,
    };
    if let Ending::AnotherManager(Rival { name, sent }) = ending {
        let simulation_id = settings.simulation_id.as_str().to_owned();
        return Err(RunError::AnotherManager { name, simulation_id, sent });
    }
    if until(run.clock.as_ref(), run.clock.now() + FAREWELL, run.bus.flush())
        .await
        .is_none_or(|sent| sent.is_err())
    {
        tracing::warn!("the end of the run may not have reached the broker");
    }
    run.close_journal(&ending).await;
    let outcome = ending.outcome();
    run.show(Progress::Finished { outcome, reason: ending.to_string() });
    let granted = run.instants.granted();
    let surroundings = Surroundings {
        scheduler: match (settings.speed, granted) {
            (Speed::Max, _) => "none: unpaced".to_owned(),
            (Speed::Times(_), Some(granted)) => granted.scheduler.to_string(),
            (Speed::Times(_), None) => "none: the clock's own waits".to_owned(),
        },
        memory_locked: granted.is_some_and(|granted| granted.memory_locked),
        cpu: granted.and_then(|granted| granted.cpu),
        refused,
        stolen_ms: watch.as_ref().and_then(Watch::stolen_ms),
        clock: watch.as_ref().map(Watch::clocks),
    };
    Ok(run.recorder.report(&ending, &settings, surroundings))
}

/// Contract 3.1: exactly these two topics. An answer must not be lost for lack of room, and two per component are
/// usual when something is sent again.
fn subscription(settings: &Settings) -> Subscribe {
    Subscribe {
        name: settings.name.clone(),
        patterns: vec![topic::STATUS_READY.to_owned(), topic::STATUS_ERROR.to_owned()],
        capacity: 64 + 4 * settings.components.len(),
        when_full: WhenFull::Wait,
    }
}

/// The manager's own topics, to hear others on them. A glut of what is only looked at must not slow anybody down.
fn managers_topics(settings: &Settings) -> Subscribe {
    Subscribe {
        name: format!("{}.rivals", settings.name),
        patterns: vec![topic::SIM_STATE.to_owned(), topic::EPOCH.to_owned()],
        capacity: 64,
        when_full: WhenFull::Shed,
    }
}

/// What a manager listens to.
struct Ears {
    lease: Lease,
    inbox: Subscription,
    /// The manager's own topics.
    overheard: Subscription,
}

/// Everything that a run holds.
struct Run<P> {
    rivals: Rivals,
    core: ManagerCore,
    alarm: Alarm,
    instants: Instants,
    recorder: Recorder,
    journal: Option<Journal>,
    bus: Bus,
    clock: SharedClock,
    cancel: CancellationToken,
    progress: P,
    /// Kept for its memory.
    actions: Vec<Action>,
    /// The next Epoch as it goes to the bus.
    prepared: Option<(Arc<Message>, Bytes)>,
    /// When the pacer handed the Epoch to the bus that the core is about to start.
    sent_at: Option<MonoTime>,
    /// When the message was taken that the core hears of, if it hears of one.
    heard_at: Option<MonoTime>,
    /// When the present epoch was handed to the bus.
    started: MonoTime,
    ending: Option<Ending>,
    /// Something panicked: nobody outside is called any more.
    broken: bool,
    /// Notes about messages that are none of this run's business.
    strangers: u64,
}

impl<P: FnMut(Progress) + Send> Run<P> {
    async fn until_end(&mut self, ears: &mut Ears) -> Ending {
        self.take(Input::Start).await;
        loop {
            if let Some(ending) = self.ending.take() {
                return ending;
            }
            // In this order: a stop must not wait for anything; without the lease nothing may be said; an instant is
            // what everything is measured by; the timer comes before the messages so that no flood of them can hide
            // it; other managers come last, for they change nothing once the run goes on.
            let input = tokio::select! {
                biased;
                () = self.cancel.cancelled() => Input::Stop(Ending::Cancelled),
                lost = ears.lease.lost() => Input::Stop(match lost {
                    BusError::LeaseTaken { .. } => Ending::LeaseLost,
                    _ => Ending::BusClosed,
                }),
                reached = self.instants.reached() => {
                    self.come_to(reached, &mut ears.inbox).await;
                    continue;
                }
                () = self.alarm.rings() => {
                    self.take_overheard(&mut ears.overheard).await;
                    self.take_delivered(&mut ears.inbox).await;
                    Input::Timer
                }
                event = ears.inbox.recv() => {
                    if self.instants.has_come() {
                        let reached = self.instants.reached().await;
                        self.come_to(reached, &mut ears.inbox).await;
                    }
                    self.take_event(event).await;
                    self.take_delivered(&mut ears.inbox).await;
                    continue;
                }
                Some(event) = ears.overheard.recv() => {
                    self.overhear(&event).await;
                    continue;
                }
            };
            self.take(input).await;
        }
    }

    /// The instant waited for has come.
    async fn come_to(&mut self, reached: Reached, inbox: &mut Subscription) {
        let Reached { instant, sent_at } = reached;
        if sent_at.is_none() {
            self.take_delivered(inbox).await;
        }
        self.sent_at = sent_at;
        self.take(Input::Instant(instant)).await;
    }

    /// The run must be ended by word even if its manager is broken: components would wait for ever.
    async fn after_panic(&mut self, message: String) -> Ending {
        tracing::error!("the manager broke off, a bug: {message}");
        self.broken = true;
        let ending = Ending::Panicked { message };
        let farewell = AssertUnwindSafe(self.take(Input::Stop(ending.clone()))).catch_unwind().await;
        if farewell.is_err() {
            tracing::error!("the end of the run could not be announced");
        }
        ending
    }

    async fn take_overheard(&mut self, overheard: &mut Subscription) {
        for _ in 0..BATCH {
            let Some(Some(event)) = tokio::task::unconstrained(overheard.recv()).now_or_never() else {
                return;
            };
            self.overhear(&event).await;
        }
    }

    /// A message on the manager's own topics; most are its own.
    async fn overhear(&mut self, event: &Event) {
        let Event::Message(delivery) = event else { return };
        if let Some(rival) = self.rivals.judge(&delivery.body, self.clock.utc().into()) {
            self.take(Input::Rival(rival)).await;
        }
    }

    /// What has been delivered and not been looked at, as far as one batch goes.
    async fn take_delivered(&mut self, inbox: &mut Subscription) {
        for _ in 0..BATCH {
            // Without `unconstrained`, a task that has done much would be told that nothing is there.
            // An Epoch that has just left comes before the answers to it.
            if self.instants.has_come() {
                return;
            }
            let Some(event) = tokio::task::unconstrained(inbox.recv()).now_or_never() else { return };
            self.take_event(event).await;
            if self.core.is_done() {
                return;
            }
        }
    }

    async fn take_event(&mut self, event: Option<Event>) {
        let delivery = match event {
            None => return self.take(Input::Stop(Ending::BusClosed)).await,
            Some(Event::Restored) => return self.take(Input::BusRestored).await,
            Some(Event::Message(delivery)) => delivery,
        };
        self.heard_at = Some(self.clock.now());
        match decode(&delivery.body, self.clock.utc().into()) {
            Ok(Decoded::Message(message)) => self.take(Input::Message(message)).await,
            Ok(Decoded::General(general)) => {
                tracing::warn!(topic = %delivery.topic, "{} ignored: no status", general.type_name);
            }
            Err(error) => {
                self.recorder.invalid();
                tracing::warn!(topic = %delivery.topic, "message ignored: {error}");
            }
        }
        self.heard_at = None;
    }

    /// One input, and all that follows from it.
    async fn take(&mut self, input: Input) {
        let mut next = Some(input);
        while let Some(input) = next.take() {
            let Anchor { at: now, utc } = match input {
                // All labels of the run are counted from this one.
                Input::Start => self.clock.anchor(),
                _ => Anchor { at: self.clock.now(), utc: self.clock.utc() },
            };
            let present = Present { now, utc };
            let mut actions = std::mem::take(&mut self.actions);
            self.core.handle(input, present, &mut actions);
            if self.core.is_done() {
                // Before `stopped` goes out, so that no Epoch follows it.
                let left = self.instants.forget() || self.sent_at.take().is_some();
                if let (true, Some((message, _))) = (left, &self.prepared) {
                    let epoch = message.epoch_number().unwrap_or_default();
                    log(&Note::StartedAtTheEnd { epoch });
                }
            }
            for action in actions.drain(..) {
                if let Err(ending) = self.perform(action, present).await {
                    next = Some(Input::Stop(ending));
                }
            }
            self.actions = actions;
        }
    }

    async fn perform(&mut self, action: Action, present: Present) -> Result<(), Ending> {
        match action {
            Action::Publish { topic, message } => {
                let body = encode(&message)?;
                self.publish(topic, body).await?;
            }
            Action::Prepare(start) => self.prepare(start).await?,
            Action::StartEpoch(start) => self.start_epoch(start).await?,
            Action::Answered { who, slack } => self.recorder.measures().answered(who, slack),
            Action::EndEpoch { number, left_behind } => {
                let turnaround = present.now.since(self.started);
                self.recorder.ended(turnaround);
                self.note_down(|| Record::Ended { number, turnaround_ns: nanos(turnaround) });
                self.show(Progress::EpochCompleted { number, turnaround, missing: left_behind });
            }
            Action::WaitFor(instant) => self.instants.wait_for(instant),
            Action::ArmTimer(instant) => self.alarm.set(instant),
            Action::StopTimer => self.alarm.stop(),
            Action::Tell(progress) => self.tell(progress),
            Action::Note(Note::AnotherManager(rival)) => {
                if self.recorder.another_manager(&rival.name) {
                    log(&Note::AnotherManager(rival));
                }
            }
            Action::Note(note) if note.is_of_strangers() => self.note_of_strangers(&note),
            Action::Note(note) => log(&note),
            Action::Finish(ending) => self.ending = Some(ending),
        }
        Ok(())
    }

    /// A flood of strangers' messages must not become a flood of log lines: the 1st, 2nd, 4th, 8th ... of them is told.
    fn note_of_strangers(&mut self, note: &Note) {
        self.strangers += 1;
        if self.strangers.is_power_of_two() {
            tracing::warn!(count = self.strangers, "{note}");
        }
    }

    fn tell(&mut self, progress: Progress) {
        match &progress {
            Progress::EpochOverran { number, missing, noticed_after } => {
                self.recorder.overran(*number, missing);
                self.recorder.measures().overrun_detected.add(*noticed_after);
                let (number, missing) = (*number, missing.clone());
                tracing::warn!(epoch = number, "its end has come, missing: {}", missing.join(", "));
                self.note_down(|| Record::Overran { number, missing });
            }
            Progress::ComponentLate { component, epoch, by } => {
                self.recorder.answered_late(component, *epoch, *by);
                tracing::warn!(%component, epoch, ?by, "late");
                let (component, epoch, by_ns) = (component.clone(), *epoch, nanos(*by));
                self.note_down(|| Record::Late { component, epoch, by_ns });
            }
            Progress::Resent { .. } => self.recorder.resent(),
            Progress::Running { .. }
            | Progress::EpochStarted { .. }
            | Progress::EpochCompleted { .. }
            | Progress::Finished { .. } => {}
        }
        self.show(progress);
    }

    fn show(&mut self, progress: Progress) {
        if !self.broken {
            (self.progress)(progress);
        }
    }

    /// A bus that is down for a while is not the end of the run: the message is repeated when the session is restored,
    /// or when answers are missing for too long.
    async fn publish(&mut self, topic: &str, body: Bytes) -> Result<(), Ending> {
        self.rivals.say(body.clone());
        let publishing = self.bus.publish(topic, body);
        let published = if self.core.is_done() {
            until(self.clock.as_ref(), self.clock.now() + FAREWELL, publishing).await
        } else {
            // The bus first: usually it takes the message at once. A stop must not wait for a broker.
            tokio::select! {
                biased;
                published = publishing => Some(published),
                () = self.cancel.cancelled() => None,
            }
        };
        match published {
            Some(Ok(())) => Ok(()),
            Some(Err(BusError::Closed)) if !self.core.is_done() => Err(Ending::BusClosed),
            Some(Err(error)) => {
                tracing::warn!(topic, "the bus did not take a message: {error}");
                Ok(())
            }
            None => {
                tracing::warn!(topic, "a message was given up because the run is being stopped");
                Ok(())
            }
        }
    }
}

/// What a panic said. Takes the payload away, which must not be held over a wait.
fn panic_text(payload: Box<dyn Any + Send>) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("panic without a text").to_owned()
}

fn encode(message: &Message) -> Result<Bytes, Ending> {
    message.encode().map(Bytes::from).map_err(|error| Ending::Unsendable { cause: error.to_string() })
}

fn log(note: &Note) {
    if note.is_usual() {
        tracing::debug!("{note}");
    } else if let Note::AnotherManager(_) = note {
        tracing::error!("{note}");
    } else {
        tracing::warn!("{note}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::settings;

    #[test]
    fn answers_are_taken_from_the_two_status_topics_and_none_of_them_is_ever_shed() {
        let subscribe = subscription(&settings());
        assert_eq!(subscribe.patterns, ["Status.Ready", "Status.Error"]);
        assert_eq!(subscribe.when_full, WhenFull::Wait);
    }
}
