//! The rules, one by one. Time is a number here; a [`Rig`] is a core, the present, and what it has asked for.

mod catch_up;
mod lateness;
mod lead;
mod pacing;
mod random;
mod resend;
mod resume;
mod rivals;
mod start;
mod status;

use super::*;
use crate::settings::tests::{settings, timestamp};
use crate::settings::{Speed, StartAt};
use gridloop_messages::{SimState, SimulationId, Warning, WarningKind};

const S: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// One wall-clock second per epoch.
fn paced(overrun: Overrun) -> Settings {
    Settings { speed: Speed::Times(3600.0), epochs: 3, overrun, ..settings() }
}

struct Rig {
    core: ManagerCore,
    now: MonoTime,
    /// Statuses sent by all components.
    sent: u64,
    /// Everything published, in short.
    wire: Vec<String>,
    /// As [`Action::ArmTimer`] and [`Action::StopTimer`] left it.
    timer: Option<MonoTime>,
    awaited: Option<MonoTime>,
    starts: Vec<EpochStart>,
    published: Vec<Arc<Message>>,
    progress: Vec<Progress>,
    ends: Vec<(u64, Vec<String>)>,
    notes: Vec<Note>,
    answered: Vec<(usize, Duration)>,
    ending: Option<Ending>,
}

impl Rig {
    /// A core that has been started at second 1000.
    fn started(settings: Settings) -> Self {
        let mut rig = Self::idle(settings);
        rig.give(Input::Start);
        rig
    }

    fn idle(settings: Settings) -> Self {
        Self::of(ManagerCore::new(settings))
    }

    fn of(core: ManagerCore) -> Self {
        Self {
            core,
            now: MonoTime::default() + S * 1000,
            sent: 0,
            wire: Vec::new(),
            timer: None,
            awaited: None,
            starts: Vec::new(),
            published: Vec::new(),
            progress: Vec::new(),
            ends: Vec::new(),
            notes: Vec::new(),
            answered: Vec::new(),
            ending: None,
        }
    }

    fn give(&mut self, input: Input) {
        let mut out = Vec::new();
        self.core.handle(input, self.present(), &mut out);
        for action in out {
            assert_eq!(self.ending, None, "{action:?} after the end");
            self.perform(action);
        }
    }

    /// UTC is 2024-03-01 08:00 at second 1000.
    fn present(&self) -> Present {
        let utc = timestamp("2024-03-01T07:43:20.000Z").as_datetime();
        let since = self.now.since(MonoTime::default());
        Present { now: self.now, utc: utc + chrono::TimeDelta::from_std(since).unwrap() }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Publish { topic, message } => {
                assert_eq!(topic, message.type_name());
                self.publish(message);
            }
            Action::StartEpoch(start) => {
                self.publish(Arc::clone(&start.message));
                self.starts.push(start);
            }
            Action::Prepare(start) => assert!(start.message.encode().is_ok()),
            Action::Answered { who, slack } => self.answered.push((who, slack)),
            Action::EndEpoch { number, left_behind } => self.ends.push((number, left_behind)),
            Action::WaitFor(instant) => self.awaited = Some(instant),
            Action::ArmTimer(instant) => self.timer = Some(instant),
            Action::StopTimer => self.timer = None,
            Action::Tell(progress) => self.progress.push(progress),
            Action::Note(note) => self.notes.push(note),
            Action::Finish(ending) => self.ending = Some(ending),
        }
    }

    fn publish(&mut self, message: Arc<Message>) {
        assert!(message.encode().is_ok(), "{message:?}");
        let id = &message.header.message_id;
        self.wire.push(match (&message.body, &message.header.epoch) {
            (Body::SimState(state), None) => match state.simulation_state {
                SimulationState::Running => format!("{id} running"),
                SimulationState::Stopped => format!("{id} stopped"),
            },
            (Body::Epoch(_), Some(fields)) => {
                format!("{id} ep{} trig[{}]", fields.epoch_number, fields.triggering_message_ids.join(","))
            }
            (Body::EpochOverrun(overrun), Some(fields)) => {
                let late = |it: &gridloop_messages::LateComponent| match it.late_by_s {
                    None => it.component.clone(),
                    Some(by) => format!("{} by {by}", it.component),
                };
                let late: Vec<_> = overrun.late_components.iter().map(late).collect();
                format!("{id} overran{} {}", fields.epoch_number, late.join(", "))
            }
            other => panic!("the manager does not publish {other:?}"),
        });
        self.published.push(message);
    }

    /// A status, whose MessageId is `<source>-<epoch>` with what makes it unique behind it, if anything.
    fn status(&mut self, source: &str, epoch: u64, id: &str, status: Status) {
        self.give(Input::Message(message(source, epoch, id, status)));
    }

    fn ready(&mut self, source: &str, epoch: u64) {
        self.status(source, epoch, &format!("{source}-{epoch}"), READY);
    }

    fn both_ready(&mut self, epoch: u64) {
        self.ready("A", epoch);
        self.ready("B", epoch);
    }

    fn error(&mut self, source: &str, epoch: u64) {
        self.sent += 1;
        self.status(source, epoch, &format!("{source}-e{}", self.sent), error("broken"));
    }

    /// The instant waited for comes, `late` after it.
    fn instant(&mut self, late: Duration) {
        let instant = self.awaited.take().expect("an instant is waited for");
        self.now = self.now.max(instant) + late;
        self.give(Input::Instant(instant));
    }

    /// The timer's instant comes.
    fn ring(&mut self) {
        let due = self.timer.take().expect("the timer is armed");
        assert!(due >= self.now);
        self.now = due;
        self.give(Input::Timer);
    }

    /// The manager waits for answers to this epoch.
    fn collects(&self, epoch: u64) -> bool {
        self.core.phase == Phase::Collecting && self.core.epoch == epoch
    }

    fn last(&self) -> &str {
        self.wire.last().map_or("", String::as_str)
    }
}

const READY: Status = Status::READY;

fn error(description: &str) -> Status {
    Status::error(description.into())
}

fn message(source: &str, epoch: u64, id: &str, status: Status) -> Message {
    let settings = settings();
    let fields = EpochFields {
        epoch_number: epoch,
        triggering_message_ids: vec!["Clock-1".into()],
        ..EpochFields::default()
    };
    let header = Header {
        simulation_id: settings.simulation_id.clone(),
        timestamp: settings.initial_start_time,
        source_process_id: source.into(),
        message_id: id.into(),
        epoch: Some(fields),
    };
    Message { header, body: Body::Status(status) }
}

/// SimState `running` is out and nobody has answered.
fn running() -> Progress {
    Progress::Running { missing: vec!["A".into(), "B".into()] }
}

fn component_error(component: &str, description: Option<&str>, listed: bool) -> ComponentError {
    ComponentError { component: component.into(), description: description.map(Into::into), listed }
}
