//! What a component is: [`Component`] is given an [`OpenEpoch`] and its inputs, and answers with a [`Step`] that
//! carries each [`Output`] of the epoch.

use crate::{Fault, Refusal};
use gridloop_clock::MonoTime;
use gridloop_messages::{Body, Message, SimulationId, Timestamp, Warning};

/// A process of a simulation, as far as it is not the same for all of them.
///
/// The kit calls it from one task, one call after another. A [`Fault`] or a panic in any call ends the component's
/// work for the rest of the run: the kit answers everything with Status `error`, and only [`Component::stopped`] is
/// still called.
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

    /// Called at the start of an epoch, and after every input, poke or wake-up while it is open.
    ///
    /// # Errors
    /// When the epoch cannot be completed.
    fn step(&mut self, epoch: &OpenEpoch, now: MonoTime) -> Result<Step, Fault>;

    /// The run is over or the process is asked to end. The last call, made after a fault too.
    fn stopped(&mut self) {}
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
    /// When its Epoch message was first received.
    pub opened_at: MonoTime,
}

/// How far a component has come in the open epoch. Each answer replaces the one before.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// An input or a poke is missing.
    Waiting,
    /// Call again at this instant, or earlier with an input or a poke.
    WakeAt(MonoTime),
    /// The epoch is completed with these outputs. They are published in this order, then Status `ready`.
    Done(Vec<Output>),
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
}

impl Output {
    /// An output without warnings.
    #[must_use]
    pub fn new(topic: String, body: Body) -> Self {
        Self { topic, body, warnings: Vec::new() }
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
}

/// A component whose construction failed takes part all the same: it answers SimState `running` with the fault.
impl<C: Component> Component for Result<C, Fault> {
    fn start(&mut self) -> Result<(), Fault> {
        self.as_mut().map_err(|fault| fault.clone())?.start()
    }

    fn inputs(&self) -> Vec<String> {
        self.as_ref().map(Component::inputs).unwrap_or_default()
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

    fn stopped(&mut self) {
        if let Ok(component) = self {
            component.stopped();
        }
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

    fn stopped(&mut self) {
        (**self).stopped();
    }
}
