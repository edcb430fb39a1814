//! The messages that make a run go (wire contract 2.3): SimState, Epoch, Status, and the two results of the platform's
//! test components.

use serde_json::{Map, Value};

use crate::Timestamp;
use crate::codec::number::Float;
use crate::codec::{Text, Time, one_of};
use crate::field::{FieldError, Written};
use crate::record::{all_but, optional, quoted, record, required, words};

record! {
    /// Whether a run is going on. `running` again and again until everybody has answered; `stopped` once.
    #[derive(Eq)]
    pub struct SimState {
        /// Whether the run begins or ends.
        simulation_state: SimulationState = required("SimulationState", one_of::<SimulationState>()),
        /// Name of the run.
        name: Option<String> = optional("Name", Text),
        /// What the run is about.
        description: Option<String> = optional("Description", Text),
    }
}

words! {
    /// The two states of a run.
    pub enum SimulationState {
        /// `running`
        Running = "running",
        /// `stopped`
        Stopped = "stopped",
    }
}

record! {
    /// The simulated time that the epoch covers; the start belongs to it, the end does not.
    #[derive(Eq)]
    pub struct Epoch checked by ends_after_it_starts {
        /// First instant of the epoch, in simulated time.
        start_time: Timestamp = required("StartTime", Time),
        /// First instant after it; later than `StartTime`.
        end_time: Timestamp = required("EndTime", Time),
    }
}

fn ends_after_it_starts(epoch: &Epoch) -> Written {
    if epoch.end_time > epoch.start_time {
        return Ok(());
    }
    let expected = format!("a timestamp after StartTime, which is {}", epoch.start_time);
    Err(FieldError::of(expected, quoted(&epoch.end_time.to_string())).inside("EndTime"))
}

record! {
    /// A component's report on an epoch.
    #[derive(Eq)]
    pub struct Status before sending an_error_says_what_it_is {
        /// Ready or failed. This decides, not the topic.
        value: StatusValue = required("Value", one_of::<StatusValue>()),
        /// What went wrong. Never absent on an error that gridloop sends (wire contract, rule 2).
        description: Option<String> = optional("Description", Text),
    }
}

/// The Python platform does not stop the run on an error that does not say what it is (wire contract, rule 2).
fn an_error_says_what_it_is(status: &Status) -> Written {
    match &status.description {
        _ if status.value == StatusValue::Ready => Ok(()),
        Some(text) if !text.trim().is_empty() => Ok(()),
        Some(text) => Err(FieldError::of("words on an error", quoted(text)).inside("Description")),
        None => Err(FieldError::of("words on an error", "nothing").inside("Description")),
    }
}

words! {
    /// The two values of a status. The value decides, not the topic.
    pub enum StatusValue {
        /// `ready`
        Ready = "ready",
        /// `error`
        Error = "error",
    }
}

record! {
    /// A result of any content, such as the platform's Dummy sends.
    #[derive(Eq)]
    pub struct AnyResult {
        /// Every field but those that every result has.
        fields: Map<String, Value> = all_but(crate::header::NAMES),
    }
}

record! {
    /// The result of the platform's SimpleComponent.
    pub struct Simple {
        /// The component's value in this epoch.
        simple_value: f64 = required("SimpleValue", Float),
    }
}
