//! The SimCES rules around a component, as a state machine: [`ComponentCore::handle`] takes one [`Input`] and the time,
//! and appends the [`Action`]s that follow.

use crate::inbox::{Early, INPUTS_PER_EPOCH, Inbox, Verdict};
use crate::outbox::Outbox;
use crate::window::{Window, window};
use crate::{Component, Ended, Fault, Identity, OpenEpoch, Refusal, Round, Step};
use bytes::Bytes;
use gridloop_clock::{Anchor, MonoTime};
use gridloop_messages::{
    Body, DecodeError, Epoch, Header, IterationStatus, Message, SimState, SimulationState, Timestamp, topic,
};
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// Something that happens to a component.
#[derive(Debug)]
pub enum Input<'a> {
    /// A message arrived.
    Message {
        /// Its routing key.
        topic: &'a Arc<str>,
        /// What it says.
        message: &'a Arc<Message>,
        /// Its body as it came, by which two messages of one id are told apart.
        body: &'a [u8],
    },
    /// A message arrived that is no SimCES message.
    Undecodable {
        /// Its routing key.
        topic: &'a str,
        /// What is wrong with it.
        reason: DecodeError,
    },
    /// The instant of [`ComponentCore::wake_at`] has come.
    WakeUp,
    /// Another task wants the component to look again.
    Poke,
    /// The bus was lost and is back.
    BusRestored,
    /// The process is asked to end.
    Stop,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Publish this, after everything before it.
    Publish {
        /// The routing key.
        topic: Arc<str>,
        /// The message.
        body: Bytes,
    },
    /// The component's work is over. Nothing follows.
    End(Ended),
}

/// A component and where it stands in its run.
///
/// Where the wire contract leaves a choice:
/// - An Epoch opens even if SimState `running` was missed, so that a component that was restarted joins again.
/// - An input for the epoch that this component has completed is given to [`Component::take`] and opens nothing.
/// - Epochs may be passed over; those between count as neither open nor completed.
/// - An Epoch that is repeated in the middle of an iteration is answered with the latest round, word for word: some of
///   it may have been lost, and who had it recognises it.
pub struct ComponentCore<C> {
    component: C,
    patterns: Vec<String>,
    rounds_max: Option<NonZeroU32>,
    /// Rounds of the open epoch so far.
    rounds: u32,
    phase: Phase,
    held: Option<Held>,
    /// When answers to the latest epoch must be there, if that is known.
    deadline: Option<MonoTime>,
    wake_at: Option<MonoTime>,
    /// What this process takes UTC for; without it, what an Epoch says of wall-clock time means nothing here.
    anchor: Option<Anchor>,
    /// Epochs that said something of wall-clock time that cannot be.
    misplaced: u64,
    inbox: Inbox,
    outbox: Outbox,
    refusals: u64,
    /// Words of those who are not the manager, on the manager's topics.
    strangers: u64,
}

/// An epoch whose instant is nearer than this is opened at once: two clocks of one host are not read more alike, and
/// waiting for so little would take longer.
const NEAR: Duration = Duration::from_micros(200);

/// A component that answers so often in a row with results that complete nothing will never do anything else.
const MOST_PUBLISHED_AHEAD: usize = 1_000;

/// The time of an input.
#[derive(Clone, Copy)]
struct Present {
    now: MonoTime,
    utc: Timestamp,
}

/// An epoch whose message came before its instant.
struct Held {
    epoch: OpenEpoch,
    message_id: String,
}

enum Phase {
    /// No epoch has been opened.
    Initialising,
    Open(OpenEpoch),
    Completed,
    /// In every epoch from now on.
    Failed(Fault),
    Ended,
}

impl<C: Component> ComponentCore<C> {
    /// Starts `component`. A fault or a panic in that is not lost: it answers SimState `running`.
    #[must_use]
    pub fn new(mut component: C, identity: Identity) -> Self {
        let inputs = guarded(&mut component, |component| {
            component.start()?;
            Ok((component.inputs(), component.rounds_max()))
        });
        let mut patterns = vec![topic::SIM_STATE.to_owned(), topic::EPOCH.to_owned()];
        let (phase, rounds_max) = match inputs {
            Ok((inputs, rounds_max)) => {
                patterns.extend(inputs);
                (Phase::Initialising, rounds_max)
            }
            Err(fault) => {
                tracing::error!(component = %identity.name, "{fault}");
                (Phase::Failed(fault), None)
            }
        };
        let (inbox, outbox) = (Inbox::default(), Outbox::new(identity));
        Self {
            component,
            patterns,
            rounds_max,
            rounds: 0,
            phase,
            held: None,
            deadline: None,
            wake_at: None,
            anchor: None,
            misplaced: 0,
            inbox,
            outbox,
            refusals: 0,
            strangers: 0,
        }
    }

    /// From now on the wall-clock times of epochs are understood, by this anchor for the whole run: a step of the system's
    /// clock then moves nothing.
    pub fn anchor(&mut self, anchor: Anchor) {
        self.anchor = Some(anchor);
    }

    /// The topic patterns to subscribe to.
    #[must_use]
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// When [`Input::WakeUp`] is due next, if nothing else happens before.
    #[must_use]
    pub const fn wake_at(&self) -> Option<MonoTime> {
        self.wake_at
    }

    /// When an epoch opens whose message has come before its instant: [`Input::WakeUp`] is due then too.
    #[must_use]
    pub fn opens_at(&self) -> Option<MonoTime> {
        self.held.as_ref().map(|held| held.epoch.nominal_start)
    }

    /// Inputs refused since the start, undecodable ones among them.
    #[must_use]
    pub const fn refusals(&self) -> u64 {
        self.refusals
    }

    /// Lets `input` happen at `now`, which is `utc` for people, and appends what follows to `actions`.
    pub fn handle(&mut self, input: Input<'_>, now: MonoTime, utc: Timestamp, actions: &mut Vec<Action>) {
        let at = Present { now, utc };
        let opened = self.open_held(at, actions);
        let look_again = opened
            | match input {
                Input::Message { topic, message, body } => self.message(topic, message, body, at, actions),
                Input::Undecodable { topic, reason } => {
                    self.refuse(&Refusal::Undecodable { topic: topic.to_owned(), reason }, at, actions);
                    false
                }
                Input::WakeUp => false,
                Input::Poke => true,
                Input::BusRestored => {
                    self.outbox.repeat(actions);
                    false
                }
                Input::Stop => self.end(Ended::Cancelled, actions),
            };
        // A wake-up that is due is never put off by other inputs that keep coming.
        let due = self.wake_at.is_some_and(|instant| instant <= now);
        if let Phase::Open(epoch) = self.phase
            && (look_again || due)
        {
            self.step(epoch, at, actions);
        }
    }

    /// Whether the component is to look again at its epoch, if one is open.
    fn message(
        &mut self,
        topic: &Arc<str>,
        message: &Arc<Message>,
        body: &[u8],
        at: Present,
        actions: &mut Vec<Action>,
    ) -> bool {
        let identity = self.outbox.identity();
        let header = &message.header;
        if header.simulation_id != identity.simulation_id || header.source_process_id == identity.name {
            return false;
        }
        let stranger = identity.manager.as_ref().is_some_and(|manager| *manager != header.source_process_id);
        if stranger && matches!(message.body, Body::SimState(_) | Body::Epoch(_)) {
            self.strangers += 1;
            // Told as seldom as refusals are.
            if self.strangers.is_power_of_two() {
                tracing::warn!(
                    component = %identity.name,
                    sender = %header.source_process_id,
                    count = self.strangers,
                    "{} of a sender that is not the manager, ignored",
                    message.type_name()
                );
            }
            return false;
        }
        match &message.body {
            Body::SimState(state) => self.sim_state(header, state, at, actions),
            Body::Epoch(epoch) => self.epoch(header, epoch, at, actions),
            _ => self.input(topic, message, body, at, actions),
        }
    }

    fn sim_state(
        &mut self,
        header: &Header,
        state: &SimState,
        at: Present,
        actions: &mut Vec<Action>,
    ) -> bool {
        match state.simulation_state {
            SimulationState::Stopped => self.end(Ended::Stopped, actions),
            SimulationState::Running if self.inbox.latest() > 0 => false,
            SimulationState::Running => {
                self.outbox.begin(0, &header.message_id);
                self.answer(at, actions);
                false
            }
        }
    }

    fn epoch(&mut self, header: &Header, epoch: &Epoch, at: Present, actions: &mut Vec<Action>) -> bool {
        let Some(fields) = &header.epoch else { return false };
        let number = fields.epoch_number;
        if number == 0 || number < self.inbox.latest() || matches!(self.phase, Phase::Ended) {
            return false;
        }
        if self.held.as_ref().is_some_and(|held| number < held.epoch.number) {
            return false;
        }
        if number > self.inbox.latest() {
            let Epoch { start_time, end_time, .. } = *epoch;
            let Window { nominal_start, deadline } = self.window(number, epoch, at.now);
            let epoch =
                OpenEpoch { number, start_time, end_time, nominal_start, deadline, opened_at: at.now };
            if nominal_start > at.now + NEAR {
                self.held = Some(Held { epoch, message_id: header.message_id.clone() });
                return false;
            }
            self.held = None;
            self.open(epoch, &header.message_id, at, actions);
            return true;
        }
        let registered = self
            .outbox
            .status_id()
            .is_some_and(|own| fields.triggering_message_ids.iter().any(|id| id == own));
        if registered {
            return false;
        }
        self.outbox.begin_again(&header.message_id);
        if let Phase::Open(_) = self.phase {
            self.outbox.repeat(actions);
        } else {
            self.answer(at, actions);
        }
        true
    }

    /// How the epoch lies on this process's clock.
    fn window(&mut self, number: u64, epoch: &Epoch, now: MonoTime) -> Window {
        let (window, doubt) = window(self.anchor, epoch.pacing.as_ref(), now);
        if let Some(doubt) = doubt {
            self.misplaced += 1;
            // Told as seldom as refusals are.
            if self.misplaced.is_power_of_two() {
                let component = &self.outbox.identity().name;
                tracing::warn!(%component, epoch = number, count = self.misplaced, "{doubt}");
            }
        }
        window
    }

    /// Opens the epoch that was held, if its instant has come.
    fn open_held(&mut self, at: Present, actions: &mut Vec<Action>) -> bool {
        match self.held.take() {
            Some(Held { epoch, message_id }) if epoch.nominal_start <= at.now => {
                self.open(OpenEpoch { opened_at: at.now, ..epoch }, &message_id, at, actions);
                true
            }
            held => {
                self.held = held;
                false
            }
        }
    }

    fn open(&mut self, epoch: OpenEpoch, message_id: &str, at: Present, actions: &mut Vec<Action>) {
        self.outbox.begin(epoch.number, message_id);
        self.deadline = epoch.deadline;
        self.wake_at = None;
        self.rounds = 0;
        let opening = self.inbox.open(epoch.number);
        if let Phase::Failed(_) = self.phase {
            self.answer(at, actions);
            return;
        }
        self.phase = Phase::Open(epoch);
        if let Err(fault) = guarded(&mut self.component, |component| component.open(&epoch)) {
            self.fail(fault, at, actions);
        }
        for refusal in opening.refused {
            self.refuse(&refusal, at, actions);
        }
        for Early { topic, message, arrived_at, .. } in opening.inputs {
            self.give(&topic, &message, arrived_at, at, actions);
        }
    }

    fn input(
        &mut self,
        topic: &Arc<str>,
        message: &Arc<Message>,
        body: &[u8],
        at: Present,
        actions: &mut Vec<Action>,
    ) -> bool {
        if matches!(self.phase, Phase::Failed(_) | Phase::Ended) {
            return false;
        }
        let Some(fields) = &message.header.epoch else { return false };
        if self.rounds_max.is_none() && fields.iteration_status == Some(IterationStatus::Intermediate) {
            return false;
        }
        let mut inputs_max = INPUTS_PER_EPOCH;
        if self.inbox.is_full() {
            match guarded(&mut self.component, |component| Ok(component.inputs_max())) {
                Ok(most) => inputs_max = inputs_max.max(most),
                Err(fault) => {
                    self.fail(fault, at, actions);
                    return false;
                }
            }
        }
        match self.inbox.offer(inputs_max, fields.epoch_number, topic, message, body, at.now) {
            Verdict::Take => {
                self.give(topic, message, at.now, at, actions);
                true
            }
            Verdict::Held | Verdict::Duplicate => false,
            Verdict::Refused(refusal) => {
                self.refuse(&refusal, at, actions);
                false
            }
        }
    }

    /// Gives the component an input of the latest epoch.
    fn give(
        &mut self,
        topic: &str,
        message: &Message,
        arrived_at: MonoTime,
        at: Present,
        actions: &mut Vec<Action>,
    ) {
        match self.phase {
            Phase::Open(_) => self.outbox.record(&message.header.message_id),
            Phase::Initialising | Phase::Completed => {}
            Phase::Failed(_) | Phase::Ended => return,
        }
        if let Err(fault) = guarded(&mut self.component, |it| it.take(topic, message, arrived_at)) {
            self.fail(fault, at, actions);
        }
    }

    fn step(&mut self, epoch: OpenEpoch, at: Present, actions: &mut Vec<Action>) {
        self.wake_at = None;
        for _ in 0..MOST_PUBLISHED_AHEAD {
            match guarded(&mut self.component, |component| component.step(&epoch, at.now)) {
                Ok(Step::Publish(outputs)) => {
                    let status = self.rounds_max.map(|_| IterationStatus::Final);
                    if let Err(fault) = self.outbox.ahead(outputs, status, at.utc, actions) {
                        return self.fail(fault, at, actions);
                    }
                }
                answer => return self.stepped(epoch, answer, at, actions),
            }
        }
        let name = &self.outbox.identity().name;
        let fault = format!("internal error: {name} publishes without end in epoch {}", epoch.number);
        self.fail(Fault::new(fault), at, actions);
    }

    fn stepped(
        &mut self,
        epoch: OpenEpoch,
        answer: Result<Step, Fault>,
        at: Present,
        actions: &mut Vec<Action>,
    ) {
        match answer {
            Ok(Step::Waiting | Step::Publish(_)) => {}
            Ok(Step::WakeAt(instant)) => self.wake_at = Some(instant),
            Ok(Step::Round(round)) => {
                if let Err(fault) = self.round(epoch, round, at, actions) {
                    self.fail(fault, at, actions);
                }
            }
            Ok(Step::Done(outputs)) => {
                let status = self.rounds_max.map(|_| IterationStatus::Final);
                match self.outbox.results(outputs, status, at.utc, actions) {
                    Ok(_) => {
                        self.phase = Phase::Completed;
                        self.answer(at, actions);
                    }
                    Err(fault) => self.fail(fault, at, actions),
                }
            }
            Err(fault) => self.fail(fault, at, actions),
        }
    }

    /// One more round, if there may be one.
    fn round(
        &mut self,
        epoch: OpenEpoch,
        round: Round,
        at: Present,
        actions: &mut Vec<Action>,
    ) -> Result<(), Fault> {
        let name = &self.outbox.identity().name;
        let Some(most) = self.rounds_max else {
            let number = epoch.number;
            return Err(Fault::new(format!(
                "internal error: {name} gave an intermediate result in epoch {number} and names no bound of rounds"
            )));
        };
        if self.rounds >= most.get() {
            return Err(Fault::not_converged(name, epoch.number, self.rounds, round.change));
        }
        self.rounds += 1;
        let ids = self.outbox.results(round.outputs, Some(IterationStatus::Intermediate), at.utc, actions)?;
        guarded(&mut self.component, |component| {
            component.round_published(&ids);
            Ok(())
        })
    }

    /// Tells how the component stands: ready, or why not.
    fn answer(&mut self, at: Present, actions: &mut Vec<Action>) {
        match &self.phase {
            Phase::Initialising | Phase::Completed => {
                let slack = self.deadline.map(|deadline| deadline.nanos_since(at.now));
                self.outbox.status(None, slack, at.utc, actions);
            }
            Phase::Failed(fault) => self.outbox.status(Some(fault), None, at.utc, actions),
            Phase::Open(_) | Phase::Ended => {}
        }
    }

    fn fail(&mut self, fault: Fault, at: Present, actions: &mut Vec<Action>) {
        tracing::error!(component = %self.outbox.identity().name, epoch = self.inbox.latest(), "{fault}");
        self.phase = Phase::Failed(fault);
        self.wake_at = None;
        self.inbox.clear();
        // Before the first SimState there is nothing to answer yet; it will be answered with the fault.
        if self.outbox.is_asked() {
            self.answer(at, actions);
        }
    }

    fn refuse(&mut self, refusal: &Refusal, at: Present, actions: &mut Vec<Action>) {
        self.refusals += 1;
        // A flood of bad inputs must not become a flood of log lines: the 1st, 2nd, 4th, 8th ... of them is told.
        if self.refusals.is_power_of_two() {
            let component = &self.outbox.identity().name;
            tracing::warn!(%component, count = self.refusals, "input refused: {refusal}");
        }
        if matches!(self.phase, Phase::Failed(_) | Phase::Ended) {
            return;
        }
        let told = guarded(&mut self.component, |component| {
            component.refused(refusal);
            Ok(())
        });
        if let Err(fault) = told {
            self.fail(fault, at, actions);
        }
    }

    /// Always `false`: nothing is left to look at.
    fn end(&mut self, reason: Ended, actions: &mut Vec<Action>) -> bool {
        if matches!(self.phase, Phase::Ended) {
            return false;
        }
        self.phase = Phase::Ended;
        self.wake_at = None;
        self.held = None;
        let stopped = guarded(&mut self.component, |component| {
            component.stopped();
            Ok(())
        });
        if let Err(fault) = stopped {
            tracing::error!(component = %self.outbox.identity().name, "at the end of the run: {fault}");
        }
        actions.push(Action::End(reason));
        false
    }
}

impl<C: Component> ComponentCore<C> {
    /// What the component has [found](Component::findings). A panic is logged, and counts as nothing found.
    pub fn findings(&mut self) -> Option<serde_json::Value> {
        guarded(&mut self.component, |component| Ok(component.findings())).unwrap_or_else(|fault| {
            tracing::error!(component = %self.outbox.identity().name, "in its findings: {fault}");
            None
        })
    }
}

/// Calls into the component. After a panic the component is in an unknown state, which is why every caller that gets a
/// fault here sees to it that nothing but `stopped` is called again.
fn guarded<C, T>(component: &mut C, call: impl FnOnce(&mut C) -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(|| call(component)))
        .unwrap_or_else(|payload| Err(Fault::panicked(payload.as_ref())))
}
