//! What a component is: [`Component`] is given an [`OpenEpoch`] and its inputs, and answers with a [`Step`] that
//! carries each [`Output`] of the epoch.

use crate::inbox::INPUTS_PER_EPOCH;
use crate::{Fault, Refusal};
use gridloop_clock::MonoTime;
use gridloop_messages::{Body, IterationStatus, Message, SimulationId, Timestamp, Warning};
use std::fmt;
use std::num::NonZeroU32;

/// A process of a simulation, as far as it is not the same for all of them.
///
/// The kit calls it from one task, one call after another. A [`Fault`] or a panic in any call ends the component's
/// work for the rest of the run: the kit answers everything with Status `error`, and only [`Component::stopped`] and
/// [`Component::findings`] are still called.
pub trait Component: Send {
    /// Called once, before anything else. A fault is answered to the first SimState `running`.
    ///
    /// # Errors
    /// When the component cannot take part in the run.
    fn start(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    /// Topic patterns beyond SimState and Epoch.
    fn inputs(&self) -> Vec<String>;

    /// The most inputs that an epoch may have; what comes beyond is refused. More than
    /// [`INPUTS_PER_EPOCH`](crate::INPUTS_PER_EPOCH) for a component that knows of so many senders. Asked in an epoch that
    /// has had that many.
    fn inputs_max(&self) -> usize {
        INPUTS_PER_EPOCH
    }

    /// The most rounds that an epoch may take, for a component that iterates (wire contract 3.6): only such a one may
    /// answer with [`Step::Round`], and its results say `final`. All others are given final results only: an
    /// intermediate one never reaches their [`take`](Component::take). Asked once, after [`start`](Component::start).
    fn rounds_max(&self) -> Option<NonZeroU32> {
        None
    }

    /// An epoch opens. Called once for each, before the inputs that came early for it are given to
    /// [`Component::take`]. The epoch before may not have been completed; it never will be.
    ///
    /// # Errors
    /// When the component cannot work on the epoch.
    fn open(&mut self, epoch: &OpenEpoch) -> Result<(), Fault> {
        let _ = epoch;
        Ok(())
    }

    /// Takes one input of the run's latest epoch: right run, right epoch, seen once. That epoch is open, or is the
    /// one that this component has completed: then the input comes too late to change what was published, and
    /// nothing but this call follows from it.
    ///
    /// # Errors
    /// When the input leaves the component unable to go on. An input that can be left aside with a warning on the
    /// next output is no fault.
    fn take(&mut self, topic: &str, message: &Message, arrived_at: MonoTime) -> Result<(), Fault>;

    /// An input was refused by the kit. For a warning on the next output; the kit itself has logged it.
    fn refused(&mut self, refusal: &Refusal) {
        let _ = refusal;
    }

    /// Called at the start of an epoch, and after every input, poke, wake-up or repeated Epoch while it is open. A
    /// component that iterates must therefore not answer two calls with a round if nothing came between them.
    ///
    /// # Errors
    /// When the epoch cannot be completed.
    fn step(&mut self, epoch: &OpenEpoch, now: MonoTime) -> Result<Step, Fault>;

    /// The outputs of a [`Step::Round`] have these MessageIds, in their order. An answer to the round has one of them
    /// among its triggers; that tells it from a late answer to the round before.
    fn round_published(&mut self, message_ids: &[String]) {
        let _ = message_ids;
    }

    /// The run is over or the process is asked to end. Made after a fault too; only
    /// [`findings`](Component::findings) is asked after it.
    fn stopped(&mut self) {}

    /// What the component found out in the course of the run, for the run's report: an object with a `kind`. Asked
    /// once, at the end.
    fn findings(&self) -> Option<serde_json::Value> {
        None
    }
}

/// The epoch that a component works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenEpoch {
    /// Its number, from 1.
    pub number: u64,
    /// First simulated instant.
    pub start_time: Timestamp,
    /// First simulated instant after it.
    pub end_time: Timestamp,
    /// The instant at which it begins, where the manager says; else when its message was received.
    pub nominal_start: MonoTime,
    /// When the results of everybody must be there, where the manager says; it may have passed.
    pub deadline: Option<MonoTime>,
    /// When it was opened: at its instant, or when its message was received if that was later.
    pub opened_at: MonoTime,
}

/// How far a component has come in the open epoch. Each answer replaces the one before.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// An input or a poke is missing.
    Waiting,
    /// Call again at this instant, or earlier with an input or a poke.
    WakeAt(MonoTime),
    /// Results that others need before this component can complete the epoch, such as a plan whose effects it waits
    /// for. They are published at once on their plain topics, in this order, and the component is asked again. They
    /// are not withdrawn: what is still to come with [`Step::Done`] adds to them.
    Publish(Vec<Output>),
    /// Intermediate results, for the others to answer. They are published at once, and the epoch stays open.
    Round(Round),
    /// The epoch is completed with these outputs. They are published in this order, then Status `ready`.
    Done(Vec<Output>),
}

impl Step {
    /// What a component that does not decide about the end of an iteration answers: it copies the status of what it
    /// answers (wire contract 3.6). Something without a status is not iterated, and so is final.
    #[must_use]
    pub fn copying(status: Option<IterationStatus>, outputs: Vec<Output>, change: Option<Change>) -> Self {
        match status {
            Some(IterationStatus::Intermediate) => Self::Round(Round { outputs, change }),
            Some(IterationStatus::Final) | None => Self::Done(outputs),
        }
    }
}

/// One round of an iteration within an epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct Round {
    /// Published in this order on [`iteration_topic`] of their topics, with IterationStatus `intermediate`.
    pub outputs: Vec<Output>,
    /// How far they are from those of the round before; nothing in the first. For whoever has to find out why an
    /// iteration does not end.
    pub change: Option<Change>,
}

/// By how much a quantity changed from one round to the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// The quantity, such as `voltage`.
    pub of: &'static str,
    /// New value less old, in `unit`.
    pub by: f64,
    /// Unit of `by`.
    pub unit: &'static str,
}

/// To four digits that count, such as `voltage by -0.01235 kV`.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounded = format!("{:.3e}", self.by).parse().unwrap_or(self.by);
        write!(f, "{} by {rounded} {}", self.of, self.unit)
    }
}

/// Where intermediate results for `topic` go: `<topic>.Iter` (wire contract 3.6).
#[must_use]
pub fn iteration_topic(topic: &str) -> String {
    format!("{topic}.Iter")
}

/// One result message of an epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// Where to publish it.
    pub topic: String,
    /// What it says.
    pub body: Body,
    /// What the receiver should know about it.
    pub warnings: Vec<Warning>,
    /// The epoch in which it last changed, if that was before this one: results are published in every epoch, changed
    /// or not (wire contract 3.6).
    pub last_updated_in_epoch: Option<u64>,
}

impl Output {
    /// An output without warnings, new in this epoch.
    #[must_use]
    pub fn new(topic: String, body: Body) -> Self {
        Self { topic, body, warnings: Vec::new(), last_updated_in_epoch: None }
    }
}

/// Which process of which run a component is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `SourceProcessId` and beginning of every MessageId.
    pub name: String,
    /// The run; messages of any other are ignored.
    pub simulation_id: SimulationId,
    /// The manager, where its name is known: then SimState and Epoch of anybody else are ignored. Without it whoever
    /// sends them is obeyed, as SimCES does.
    pub manager: Option<String>,
    /// Messages are numbered from one more than this. 0, unless another process has had the same name in the same run
    /// before: its numbers must not come again.
    pub numbered_from: u64,
}

/// A component whose construction failed takes part all the same: it answers SimState `running` with the fault.
impl<C: Component> Component for Result<C, Fault> {
    fn start(&mut self) -> Result<(), Fault> {
        self.as_mut().map_err(|fault| fault.clone())?.start()
    }

    fn inputs(&self) -> Vec<String> {
        self.as_ref().map(Component::inputs).unwrap_or_default()
    }

    fn inputs_max(&self) -> usize {
        self.as_ref().map_or(INPUTS_PER_EPOCH, Component::inputs_max)
    }

    fn rounds_max(&self) -> Option<NonZeroU32> {
        self.as_ref().ok().and_then(Component::rounds_max)
    }

    fn open(&mut self, epoch: &OpenEpoch) -> Result<(), Fault> {
        self.as_mut().map_err(|fault| fault.clone())?.open(epoch)
    }

    fn take(&mut self, topic: &str, message: &Message, arrived_at: MonoTime) -> Result<(), Fault> {
        self.as_mut().map_err(|fault| fault.clone())?.take(topic, message, arrived_at)
    }

    fn refused(&mut self, refusal: &Refusal) {
        if let Ok(component) = self {
            component.refused(refusal);
        }
    }

    fn step(&mut self, epoch: &OpenEpoch, now: MonoTime) -> Result<Step, Fault> {
        self.as_mut().map_err(|fault| fault.clone())?.step(epoch, now)
    }

    fn round_published(&mut self, message_ids: &[String]) {
        if let Ok(component) = self {
            component.round_published(message_ids);
        }
    }

    fn stopped(&mut self) {
        if let Ok(component) = self {
            component.stopped();
        }
    }

    fn findings(&self) -> Option<serde_json::Value> {
        self.as_ref().ok().and_then(Component::findings)
    }
}

/// A component chosen at run time.
impl<C: Component + ?Sized> Component for Box<C> {
    fn start(&mut self) -> Result<(), Fault> {
        (**self).start()
    }

    fn inputs(&self) -> Vec<String> {
        (**self).inputs()
    }

    fn inputs_max(&self) -> usize {
        (**self).inputs_max()
    }

    fn rounds_max(&self) -> Option<NonZeroU32> {
        (**self).rounds_max()
    }

    fn open(&mut self, epoch: &OpenEpoch) -> Result<(), Fault> {
        (**self).open(epoch)
    }

    fn take(&mut self, topic: &str, message: &Message, arrived_at: MonoTime) -> Result<(), Fault> {
        (**self).take(topic, message, arrived_at)
    }

    fn refused(&mut self, refusal: &Refusal) {
        (**self).refused(refusal);
    }

    fn step(&mut self, epoch: &OpenEpoch, now: MonoTime) -> Result<Step, Fault> {
        (**self).step(epoch, now)
    }

    fn round_published(&mut self, message_ids: &[String]) {
        (**self).round_published(message_ids);
    }

    fn stopped(&mut self) {
        (**self).stopped();
    }

    fn findings(&self) -> Option<serde_json::Value> {
        (**self).findings()
    }
}
