//! The Simulation Manager's rules (wire contract 3.1 to 3.4) as a state machine without I/O.
//!
//! [`ManagerCore::handle`] takes an [`Input`] and the [`Present`] and gives [`Action`]s, in the order in which they are
//! to be done. Between two inputs the core waits for answers ([`Phase::Collecting`]) or, when all are in, for the next
//! epoch's instant ([`Phase::Waiting`]); the [`Pacer`] knows the instants, the [`Roster`] the answers.
//!
//! It differs from SimCES where contract 7.2 lists a weakness that can be cured without changing the wire: an error
//! without a description stops the run as well, an error after `ready` for the same epoch is not lost, and components
//! that run ahead do not stall the run.

mod grid;
mod lateness;
mod messages;

#[cfg(test)]
mod tests;

use crate::ending::{ComponentError, Ending};
use crate::journal::Resumption;
use crate::progress::{Note, Progress};
use crate::rivals::Rival;
use crate::roster::{Mark, Roster};
use crate::settings::{Overrun, Settings};
use gridloop_clock::{Anchor, MonoTime, Pacer, Utc};
use gridloop_messages::{Body, EpochFields, Header, Message, SimulationState, Status, StatusValue, topic};
use lateness::Lateness;
use messages::Author;
pub use messages::NUMBERED_APART;
use std::sync::Arc;
use std::time::Duration;

/// Who goes on with a run waits for answers to SimState `running` no longer than this: components that live through
/// the end of their manager do not answer it a second time.
const RESUME_PATIENCE: Duration = Duration::from_secs(5);

/// What happens to the manager.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The manager listens; the run may begin.
    Start,
    /// A message of a known type has come.
    Message(Message),
    /// Another manager of this run has spoken.
    Rival(Rival),
    /// This instant has come, which [`Action::WaitFor`] asked for.
    Instant(MonoTime),
    /// The instant of [`Action::ArmTimer`] has come.
    Timer,
    /// The bus session was lost and is back.
    BusRestored,
    /// The run must end.
    Stop(Ending),
}

/// The time of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Present {
    /// For reckoning.
    pub now: MonoTime,
    /// For labels.
    pub utc: Utc,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Publish the message.
    Publish {
        /// Its routing key.
        topic: &'static str,
        /// The message.
        message: Arc<Message>,
    },
    /// This epoch will begin at the instant waited for; whatever can be done before then should be.
    Prepare(EpochStart),
    /// Publish an Epoch, now.
    StartEpoch(EpochStart),
    /// An epoch is over.
    EndEpoch {
        /// Its number.
        number: u64,
        /// Who was left behind.
        left_behind: Vec<String>,
    },
    /// The component of this place in the list of names has answered the present epoch, so much before its end.
    Answered {
        /// Its place, repetitions not counted.
        who: usize,
        /// Time left.
        slack: Duration,
    },
    /// Give [`Input::Instant`] at this instant. Replaces the instant waited for before.
    WaitFor(MonoTime),
    /// Give [`Input::Timer`] at this instant. Replaces the timer's instant.
    ArmTimer(MonoTime),
    /// Forget the timer.
    StopTimer,
    /// Tell whoever watches.
    Tell(Progress),
    /// Write to the log.
    Note(Note),
    /// The run is over; nothing follows.
    Finish(Ending),
}

/// The beginning of an epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct EpochStart {
    /// Its number, from 1.
    pub number: u64,
    /// Its instant on the grid; none when unpaced.
    pub nominal: Option<MonoTime>,
    /// When its message is to be published; none when unpaced. Before `nominal` by the release lead.
    pub release: Option<MonoTime>,
    /// Whole periods passed over just before it.
    pub skipped: u64,
    /// The Epoch message.
    pub message: Arc<Message>,
}

/// What the core waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// For the start, or for the end of the start delay.
    Idle,
    /// For answers to the present epoch.
    Collecting,
    /// For the instant of the next epoch; all answers are in.
    Waiting,
    /// For nothing; the run is over.
    Done,
}

/// The Simulation Manager.
pub struct ManagerCore {
    settings: Settings,
    period: Option<Duration>,
    author: Author,
    roster: Roster,
    /// Names that were listed more than once, until they have been noted.
    repeated: Vec<String>,
    phase: Phase,
    epoch: u64,
    resends: u32,
    /// The grid of epoch instants, from the first epoch on.
    grid: Option<Pacer>,
    /// The instant that the runner waits for.
    awaited: Option<MonoTime>,
    /// The present epoch's end instant came while answers were missing, and they are waited for.
    overran: bool,
    /// The present epoch began late because one before it had overrun: who is missing at its end is not to blame.
    behind: bool,
    /// When the present epoch ends; none when unpaced.
    deadline: Option<MonoTime>,
    lateness: Lateness,
    /// From which labels are counted.
    anchor: Anchor,
    /// No epoch of this process has begun.
    initialising: bool,
    /// Where another process left the run.
    resumption: Option<Resumption>,
    /// Periods that were passed over while nobody had the run.
    passed_over: u64,
    /// The newest SimState or Epoch that was published.
    standing: Option<Arc<Message>>,
    /// The next epoch.
    prepared: Option<EpochStart>,
}

impl ManagerCore {
    /// A manager at the beginning. The settings must be free of [problems](Settings::problems).
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self::begun(settings, None)
    }

    /// A manager that goes on where another left off.
    pub(crate) fn resumed(settings: Settings, resumption: Resumption) -> Self {
        Self::begun(settings, Some(resumption))
    }

    fn begun(settings: Settings, resumption: Option<Resumption>) -> Self {
        let (roster, repeated) = Roster::new(&settings.components);
        let (completed, process) = resumption.as_ref().map_or((0, 0), |it| (it.completed, it.process));
        Self {
            period: settings.period(),
            author: Author::new(&settings, completed, process),
            roster,
            repeated,
            phase: Phase::Idle,
            epoch: completed,
            resends: 0,
            grid: None,
            awaited: None,
            overran: false,
            behind: false,
            deadline: None,
            lateness: Lateness::default(),
            anchor: Anchor { at: MonoTime::default(), utc: Utc::default() },
            initialising: true,
            resumption,
            passed_over: 0,
            standing: None,
            prepared: None,
            settings,
        }
    }

    /// The instant from which all labels are counted, once there is one.
    pub(crate) const fn anchor(&self) -> Anchor {
        self.anchor
    }

    /// The names that are waited for, in the order of [`Action::Answered`].
    pub(crate) fn components(&self) -> Vec<String> {
        self.roster.names()
    }

    /// Takes one input, and adds what is to be done to `out`. The work is bounded by the number of components.
    pub fn handle(&mut self, input: Input, present: Present, out: &mut Vec<Action>) {
        if self.phase == Phase::Done {
            return;
        }
        match input {
            Input::Start => self.on_start(present, out),
            Input::Message(message) => self.on_message(message, present, out),
            Input::Rival(rival) => self.on_rival(rival, present, out),
            Input::Instant(instant) => self.on_instant(instant, present, out),
            Input::Timer => self.on_timer(present, out),
            Input::BusRestored => self.publish_again(out),
            Input::Stop(ending) => self.finish(ending, present, out),
        }
    }

    /// Whether the run is over.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    /// Contract 3.1. The start delay is the timer's first use.
    fn on_start(&mut self, present: Present, out: &mut Vec<Action>) {
        self.anchor = Anchor { at: present.now, utc: present.utc };
        let repeated = std::mem::take(&mut self.repeated);
        out.extend(repeated.into_iter().map(|component| Action::Note(Note::ListedTwice { component })));
        if self.roster.is_empty() {
            self.finish(Ending::NoComponents, present, out);
        } else if self.settings.start_delay.is_zero() {
            self.announce(present, out);
        } else {
            out.push(Action::ArmTimer(present.now + self.settings.start_delay));
        }
    }

    /// SimState `running` begins epoch 0.
    fn announce(&mut self, present: Present, out: &mut Vec<Action>) {
        self.phase = Phase::Collecting;
        let message = self.author.sim_state(SimulationState::Running, self.label(present));
        self.publish(message, out);
        out.push(Action::Tell(Progress::Running { missing: self.roster.missing() }));
        match self.resumption {
            Some(_) => out.push(Action::ArmTimer(present.now + RESUME_PATIENCE)),
            None => self.arm_timer(present, out),
        }
    }

    fn label(&self, present: Present) -> Utc {
        self.anchor.utc_of(present.now)
    }

    /// Who comes second gives way, as long as it has said nothing itself. After that the run goes on, for a stranger
    /// must not be able to end it with a word.
    fn on_rival(&mut self, rival: Rival, present: Present, out: &mut Vec<Action>) {
        if self.phase == Phase::Idle {
            self.finish(Ending::AnotherManager(rival), present, out);
        } else {
            out.push(Action::Note(Note::AnotherManager(rival)));
        }
    }

    fn on_message(&mut self, message: Message, present: Present, out: &mut Vec<Action>) {
        let Message { header, body } = message;
        let type_name = body.type_name();
        match (header, body) {
            (
                Header { epoch: Some(epoch), source_process_id, simulation_id, message_id, .. },
                Body::Status(status),
            ) => {
                if simulation_id != self.settings.simulation_id {
                    let simulation_id = simulation_id.as_str().to_owned();
                    out.push(Action::Note(Note::OtherRun { source: source_process_id, simulation_id }));
                } else if source_process_id != self.settings.name {
                    self.on_status(source_process_id, message_id, epoch, status, present, out);
                }
            }
            (header, _) => {
                out.push(Action::Note(Note::NotAStatus { source: header.source_process_id, type_name }));
            }
        }
    }

    /// Contract 3.2, from step 3 on.
    fn on_status(
        &mut self,
        source: String,
        id: String,
        epoch: EpochFields,
        status: Status,
        present: Present,
        out: &mut Vec<Action>,
    ) {
        if !epoch.warnings.is_empty() {
            let warnings = epoch.warnings.iter().map(|warning| warning.as_str().to_owned()).collect();
            out.push(Action::Note(Note::Warnings { source: source.clone(), warnings }));
        }
        let who = self.roster.find(&source);
        match (status.value, who) {
            (StatusValue::Ready, Some(who)) => {
                if epoch.epoch_number == self.epoch {
                    self.on_answer_before_the_end_is_noticed(&source, status.slack_s, present, out);
                }
                self.on_late_answer(&source, epoch.epoch_number, &id, present, out);
                let mark = self.roster.ready(who, epoch.epoch_number, id);
                if let (Mark::Counted, Some(deadline)) = (mark, self.deadline)
                    && present.now <= deadline
                {
                    out.push(Action::Answered { who, slack: deadline.since(present.now) });
                }
                out.extend(self.note(mark, source, epoch.epoch_number).map(Action::Note));
            }
            (StatusValue::Error, _) if !self.initialising => {
                let listed = who.is_some();
                if !listed {
                    out.push(Action::Note(Note::Unlisted { source: source.clone() }));
                }
                let error = ComponentError { component: source, description: status.description, listed };
                let ending = Ending::ComponentErrors { epoch: self.epoch, errors: vec![error] };
                return self.finish(ending, present, out);
            }
            (StatusValue::Error, Some(who)) => self.roster.fail(who, epoch.epoch_number, status.description),
            (_, None) => out.push(Action::Note(Note::Unlisted { source })),
        }
        self.look(present, out);
    }

    fn note(&self, mark: Mark, component: String, epoch: u64) -> Option<Note> {
        let current = self.epoch;
        match mark {
            Mark::Counted => None,
            Mark::Ahead => Some(Note::Ahead { component, epoch, current }),
            Mark::Late => Some(Note::Late { component, epoch, current }),
            Mark::Repeated => Some(Note::Repeated { component, epoch }),
            Mark::AfterError => Some(Note::ReadyAfterError { component }),
        }
    }

    /// Contract 3.2, step 6.
    fn look(&mut self, present: Present, out: &mut Vec<Action>) {
        let listening = matches!(self.phase, Phase::Collecting | Phase::Waiting);
        if !listening || !self.roster.is_complete() {
            return;
        }
        if self.roster.has_failures() {
            let ending = Ending::ComponentErrors { epoch: self.epoch, errors: self.roster.failures() };
            self.finish(ending, present, out);
        } else if self.phase == Phase::Collecting {
            self.complete(present, out);
        }
    }

    /// Everybody has answered the present epoch. The re-send timer stops while the manager itself waits.
    fn complete(&mut self, present: Present, out: &mut Vec<Action>) {
        if !self.initialising {
            out.push(Action::EndEpoch { number: self.epoch, left_behind: Vec::new() });
        }
        if self.epoch >= self.settings.epochs {
            return self.finish_complete(present, out);
        }
        if self.grid.is_none() {
            self.lay_grid(present, out);
        }
        let Some(instant) = self.awaited else { return self.begin_epoch(present, out) };
        out.push(Action::StopTimer);
        self.phase = Phase::Waiting;
        let nominal = self.period.and(Some(instant + self.settings.release_lead));
        let start = self.next_epoch(nominal, self.anchor.utc_of(instant));
        out.push(Action::Prepare(start.clone()));
        self.prepared = Some(start);
    }

    /// The instant of the next epoch, which is the end instant of the present one.
    fn on_instant(&mut self, instant: MonoTime, present: Present, out: &mut Vec<Action>) {
        if self.awaited != Some(instant) {
            return;
        }
        self.awaited = None;
        if self.phase == Phase::Waiting {
            return self.begin_epoch(present, out);
        }
        if self.roster.is_complete() {
            // Everybody was ahead of this epoch, and it has not been looked at since it began.
            return self.look(present, out);
        }
        let (number, missing) = (self.epoch, self.roster.missing());
        if !self.behind {
            self.note_overrun(instant, &missing, present, out);
        }
        match self.settings.overrun {
            Overrun::Stretch | Overrun::CatchUp(_) => self.overran = true,
            Overrun::Abort => self.finish(Ending::Overrun { epoch: number, missing }, present, out),
            Overrun::Skip => {
                out.push(Action::EndEpoch { number, left_behind: missing });
                if number == self.settings.epochs {
                    self.finish_complete(present, out);
                } else {
                    self.begin_epoch(present, out);
                }
            }
        }
    }

    /// Contract 3.3: number, window and re-sends move on, the timer starts afresh.
    fn begin_epoch(&mut self, present: Present, out: &mut Vec<Action>) {
        let (nominal, skipped) = self.take_tick(present.now);
        let prepared = self.prepared.take();
        let start = prepared.unwrap_or_else(|| self.next_epoch(nominal, self.label(present)));
        let release = nominal.map(|nominal| nominal.before(self.settings.release_lead));
        self.author.move_window(&start.message);
        self.epoch += 1;
        self.initialising = false;
        self.resumption = None;
        self.resends = 0;
        self.behind = matches!(self.settings.overrun, Overrun::CatchUp(_))
            && release.is_some_and(|release| present.now.since(release) > self.settings.tolerance());
        self.overran = false;
        self.phase = Phase::Collecting;
        self.roster.begin(self.epoch);
        self.standing = Some(Arc::clone(&start.message));
        let skipped = skipped + std::mem::take(&mut self.passed_over);
        out.push(Action::StartEpoch(EpochStart { nominal, release, skipped, ..start }));
        self.deadline = self.end_of_epoch(nominal);
        // Who catches up may begin an epoch after its end.
        self.awaited = self.deadline.filter(|deadline| !self.behind || *deadline > present.now);
        self.overran = self.deadline.is_some() && self.awaited.is_none();
        out.extend(self.awaited.map(Action::WaitFor));
        if self.roster.is_complete() {
            // Everybody is ahead and may have nothing to say any more: look again at once, with a new input, so that
            // no claim about a distant epoch makes one input long.
            out.push(Action::ArmTimer(present.now));
        } else {
            self.arm_timer(present, out);
        }
    }

    /// Contract 3.3: the start delay is over, or answers are missing for too long.
    fn on_timer(&mut self, present: Present, out: &mut Vec<Action>) {
        match self.phase {
            Phase::Idle => self.announce(present, out),
            Phase::Collecting if self.roster.is_complete() => self.look(present, out),
            Phase::Collecting if self.initialising && self.resumption.is_some() => {
                self.complete(present, out)
            }
            Phase::Collecting if self.resends < self.settings.max_resends => self.resend(present, out),
            Phase::Collecting => self.give_up(present, out),
            Phase::Waiting | Phase::Done => {}
        }
    }

    fn resend(&mut self, present: Present, out: &mut Vec<Action>) {
        self.resends += 1;
        let message = match self.standing.as_deref() {
            Some(Message { body: Body::Epoch(window), header: Header { epoch: Some(fields), .. } }) => {
                let counted = self.roster.counted();
                let triggers = if counted.is_empty() { &fields.triggering_message_ids } else { counted };
                let label = self.anchor.utc_of(present.now);
                self.author.epoch(self.epoch, window.clone(), triggers.to_vec(), label)
            }
            _ => self.author.sim_state(SimulationState::Running, self.anchor.utc_of(present.now)),
        };
        self.publish(message, out);
        let missing = self.roster.missing();
        out.push(Action::Tell(Progress::Resent { number: self.epoch, attempt: self.resends, missing }));
        self.arm_timer(present, out);
    }

    /// With [`Overrun::Skip`] it is the end instant that ends an epoch, not the lack of answers.
    fn give_up(&mut self, present: Present, out: &mut Vec<Action>) {
        if self.settings.overrun == Overrun::Skip && self.awaited.is_some() {
            out.push(Action::Note(Note::NoMoreResends { epoch: self.epoch }));
            return;
        }
        let (missing, resends) = (self.roster.missing(), self.resends);
        self.finish(Ending::NoAnswer { epoch: self.epoch, missing, resends }, present, out);
    }

    fn finish_complete(&mut self, present: Present, out: &mut Vec<Action>) {
        self.finish(Ending::AllEpochs { epochs: self.settings.epochs }, present, out);
    }

    /// Contract 3.4. Every run ends here, whatever the reason, and says so; unless it is another manager's run.
    fn finish(&mut self, ending: Ending, present: Present, out: &mut Vec<Action>) {
        self.phase = Phase::Done;
        out.push(Action::StopTimer);
        if !ending.leaves_the_run_to_another() {
            let message = self.author.sim_state(SimulationState::Stopped, self.label(present));
            self.publish(message, out);
        }
        out.push(Action::Finish(ending));
    }

    /// Contract 3.3: each wait of an epoch is longer by one interval than the one before.
    fn arm_timer(&self, present: Present, out: &mut Vec<Action>) {
        let wait = times(self.settings.resend_interval, u64::from(self.resends) + 1);
        out.push(Action::ArmTimer(present.now + wait));
    }

    fn publish(&mut self, message: Message, out: &mut Vec<Action>) {
        self.standing = Some(Arc::new(message));
        self.publish_again(out);
    }

    /// The newest message once more, with the MessageId it has: whoever knows it recognises it. Older ones are over.
    fn publish_again(&self, out: &mut Vec<Action>) {
        let Some(message) = self.standing.clone() else { return };
        let topic = if matches!(message.body, Body::Epoch(_)) { topic::EPOCH } else { topic::SIM_STATE };
        out.push(Action::Publish { topic, message });
    }

    /// The next epoch. Nobody may have answered the present one; its triggers are never empty all the same. What another
    /// process has written down is sent as it was written.
    fn next_epoch(&mut self, nominal: Option<MonoTime>, label: Utc) -> EpochStart {
        let (number, release) = (self.epoch + 1, nominal.map(|it| it.before(self.settings.release_lead)));
        let start = |message| EpochStart { number, nominal, release, skipped: 0, message };
        if let Some(pending) = self.resumption.as_mut().and_then(|resumption| resumption.pending.take()) {
            return start(Arc::new(pending));
        }
        let mut triggers = self.roster.take_counted();
        if triggers.is_empty()
            && let Some(Message { header, .. }) = self.standing.as_deref()
        {
            let previous = header.epoch.as_ref().map(|fields| fields.triggering_message_ids.clone());
            triggers = previous.unwrap_or_else(|| vec![header.message_id.clone()]);
        }
        let window = self.author.window(nominal.and_then(|nominal| self.pacing(nominal)));
        start(Arc::new(self.author.epoch(number, window, triggers, label)))
    }
}

fn times(span: Duration, count: u64) -> Duration {
    span.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX))
}
