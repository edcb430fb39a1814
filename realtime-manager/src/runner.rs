//! The loop around the core: whatever happens becomes an [`Input`], every [`Action`] is performed in its order.
//!
//! One rule of the loop is worth knowing: before the core hears of an instant or of its timer, it hears of everything
//! that has been delivered by then. Nobody is called late whose answer was there.

use crate::alarm::Alarm;
use crate::core::{Action, EpochStart, Input, ManagerCore, Present};
use crate::ending::Ending;
use crate::pace::{Instants, Pace};
use crate::progress::{Note, Progress};
use crate::report::{Recorder, Report};
use crate::settings::{Settings, SettingsError, Speed};
use bytes::Bytes;
use futures_util::FutureExt;
use gridloop_bus::{Bus, BusError, Event, Subscribe, Subscription, WhenFull};
use gridloop_clock::{MonoTime, SharedClock, until};
use gridloop_messages::{Decoded, Message, decode, topic};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long the last message of a run may take to leave.
const FAREWELL: Duration = Duration::from_secs(5);

/// Messages handled before the loop looks at anything else.
const BATCH: usize = 1024;

/// A run that could not begin.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The settings make no sense.
    #[error("the settings have {} problems, the first: {}", .0.len(), .0.first().map(ToString::to_string).unwrap_or_default())]
    Settings(Vec<SettingsError>),
    /// Nobody could be heard.
    #[error("cannot subscribe to the status topics")]
    Subscribe(#[source] BusError),
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
    pace: Pace,
    cancel: CancellationToken,
    progress: impl FnMut(Progress) + Send,
) -> Result<Report, RunError> {
    let problems = settings.problems();
    if !problems.is_empty() {
        return Err(RunError::Settings(problems));
    }
    let mut inbox = bus.subscribe(subscription(&settings)).await.map_err(RunError::Subscribe)?;
    let mut run = Run {
        core: ManagerCore::new(settings.clone()),
        alarm: Alarm::new(Arc::clone(&clock)),
        instants: Instants::new(pace),
        recorder: Recorder::new(&settings),
        bus,
        clock,
        cancel,
        progress,
        actions: Vec::new(),
        prepared: None,
        started: MonoTime::default(),
        ending: None,
    };
    for refusal in run.instants.refusals() {
        tracing::info!("{refusal}");
    }
    let ending = run.until_end(&mut inbox).await;
    if until(run.clock.as_ref(), run.clock.now() + FAREWELL, run.bus.flush())
        .await
        .is_none_or(|sent| sent.is_err())
    {
        tracing::warn!("the end of the run may not have reached the broker");
    }
    let scheduler = match settings.speed {
        Speed::Max => "none: unpaced".to_owned(),
        Speed::Times(_) => run.instants.scheduler(),
    };
    let report = run.recorder.report(&ending, &settings, scheduler);
    (run.progress)(Progress::Finished { outcome: report.outcome, reason: report.reason.clone() });
    Ok(report)
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

/// Everything that a run holds.
struct Run<P> {
    core: ManagerCore,
    alarm: Alarm,
    instants: Instants,
    recorder: Recorder,
    bus: Bus,
    clock: SharedClock,
    cancel: CancellationToken,
    progress: P,
    /// Kept for its memory.
    actions: Vec<Action>,
    /// The next Epoch as it goes to the bus.
    prepared: Option<(Arc<Message>, Bytes)>,
    /// When the present epoch was handed to the bus.
    started: MonoTime,
    ending: Option<Ending>,
}

impl<P: FnMut(Progress) + Send> Run<P> {
    async fn until_end(&mut self, inbox: &mut Subscription) -> Ending {
        self.take(Input::Start).await;
        loop {
            if let Some(ending) = self.ending.take() {
                return ending;
            }
            // In this order: a stop must not wait for anything; an instant is what everything is measured by; the timer
            // comes before the messages so that no flood of them can hide it.
            let input = tokio::select! {
                biased;
                () = self.cancel.cancelled() => Input::Stop(Ending::Cancelled),
                instant = self.instants.reached() => {
                    self.take_delivered(inbox).await;
                    Input::Instant(instant)
                }
                () = self.alarm.rings() => {
                    self.take_delivered(inbox).await;
                    Input::Timer
                }
                event = inbox.recv() => {
                    self.take_event(event).await;
                    self.take_delivered(inbox).await;
                    continue;
                }
            };
            self.take(input).await;
        }
    }

    /// What has been delivered and not been looked at, as far as one batch goes.
    async fn take_delivered(&mut self, inbox: &mut Subscription) {
        for _ in 0..BATCH {
            // Without `unconstrained`, a task that has done much would be told that nothing is there.
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
    }

    /// One input, and all that follows from it.
    async fn take(&mut self, input: Input) {
        let mut next = Some(input);
        while let Some(input) = next.take() {
            let present = Present { now: self.clock.now(), utc: self.clock.utc() };
            let mut actions = std::mem::take(&mut self.actions);
            self.core.handle(input, present, &mut actions);
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
            Action::Prepare(message) => {
                let body = encode(&message)?;
                self.prepared = Some((message, body));
            }
            Action::StartEpoch(start) => self.start_epoch(start).await?,
            Action::EndEpoch { number, left_behind } => {
                let turnaround = present.now.since(self.started);
                self.recorder.ended(turnaround);
                (self.progress)(Progress::EpochCompleted { number, turnaround, missing: left_behind });
            }
            Action::WaitFor(instant) => self.instants.wait_for(instant),
            Action::ArmTimer(instant) => self.alarm.set(instant),
            Action::StopTimer => self.alarm.stop(),
            Action::Tell(progress) => self.tell(progress),
            Action::Note(note) => log(&note),
            Action::Finish(ending) => self.ending = Some(ending),
        }
        Ok(())
    }

    /// Between the instant and the publishing there is nothing but the stamp.
    async fn start_epoch(&mut self, start: EpochStart) -> Result<(), Ending> {
        let EpochStart { number, nominal, skipped, message } = start;
        let body = match self.prepared.take() {
            Some((prepared, body)) if Arc::ptr_eq(&prepared, &message) => body,
            _ => encode(&message)?,
        };
        self.started = self.clock.now();
        let published = self.publish(topic::EPOCH, body).await;
        let late_by = nominal.map(|nominal| self.started.since(nominal));
        self.recorder.started(number, late_by, skipped);
        (self.progress)(Progress::EpochStarted { number, late_by, skipped });
        published
    }

    fn tell(&mut self, progress: Progress) {
        match &progress {
            Progress::EpochOverran { number, missing } => self.recorder.overran(*number, missing),
            Progress::Resent { .. } => self.recorder.resent(),
            Progress::Running
            | Progress::EpochStarted { .. }
            | Progress::EpochCompleted { .. }
            | Progress::Finished { .. } => {}
        }
        (self.progress)(progress);
    }

    /// A bus that is down for a while is not the end of the run: the message is repeated when the session is restored,
    /// or when answers are missing for too long.
    async fn publish(&mut self, topic: &str, body: Bytes) -> Result<(), Ending> {
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

fn encode(message: &Message) -> Result<Bytes, Ending> {
    message.encode().map(Bytes::from).map_err(|error| Ending::Unsendable { cause: error.to_string() })
}

fn log(note: &Note) {
    if note.is_usual() {
        tracing::debug!("{note}");
    } else {
        tracing::warn!("{note}");
    }
}
