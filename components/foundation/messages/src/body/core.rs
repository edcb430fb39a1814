//! The messages that make a run go (wire contract 2.3): SimState, Epoch, Status, and the two results of the platform's
//! test components.

use serde_json::{Map, Value};

use crate::codec::number::{Float, Number, SECONDS, SIGNED_SECONDS};
use crate::codec::{List, Name, Nested, PreciseTime, Text, Time, nested, one_of, some};
use crate::field::{FieldError, Written};
use crate::record::{all_but, hint, optional, quoted, record, required, words};
use crate::{Timestamp, WallTime};

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
    pub struct Epoch checked by ends_after_it_starts {
        /// First instant of the epoch, in simulated time.
        start_time: Timestamp = required("StartTime", Time),
        /// First instant after it; later than `StartTime`.
        end_time: Timestamp = required("EndTime", Time),
        /// How the epoch lies in wall-clock time, where the run is paced (gridloop extension).
        pacing: Option<EpochPacing> = hint("Pacing", PACING),
    }
}

record! {
    /// How an epoch lies in wall-clock time (gridloop extension). Both times are counted from one anchor for the whole
    /// run, so their differences are exact whatever happens to the system's clock.
    pub struct EpochPacing checked by ends_before_its_deadline {
        /// The instant on the grid at which the epoch begins. The message may be published before it.
        nominal_start: WallTime = required("NominalStart", PreciseTime),
        /// Who answers later makes the epoch late.
        deadline: WallTime = required("Deadline", PreciseTime),
        /// Simulated time against wall-clock time: 1 is real time.
        speed: f64 = required("Speed", Number),
    }
}

const PACING: Nested<EpochPacing> = nested();

fn ends_before_its_deadline(pacing: &EpochPacing) -> Written {
    if pacing.deadline > pacing.nominal_start {
        return Ok(());
    }
    let expected = format!("a time after NominalStart, which is {}", pacing.nominal_start);
    Err(FieldError::of(expected, quoted(&pacing.deadline.to_string())).inside("Deadline"))
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
    pub struct Status before sending an_error_says_what_it_is {
        /// Ready or failed. This decides, not the topic.
        value: StatusValue = required("Value", one_of::<StatusValue>()),
        /// What went wrong. Never absent on an error that gridloop sends (wire contract, rule 2).
        description: Option<String> = optional("Description", Text),
        /// Time from this answer to the epoch's deadline, where that is known; negative when the answer is late
        /// (gridloop extension).
        slack_s: Option<f64> = hint("Slack", SIGNED_SECONDS),
    }
}

impl Status {
    /// Ready, without a word.
    pub const READY: Self = Self { value: StatusValue::Ready, description: None, slack_s: None };

    /// Failed, and why.
    #[must_use]
    pub const fn error(description: String) -> Self {
        Self { value: StatusValue::Error, description: Some(description), slack_s: None }
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
    /// Components were missing when the end of an epoch came (gridloop extension; sent by the manager). It comes once when
    /// the end has come, with everybody who is missing, and once more for each of them when its answer has come.
    pub struct EpochOverrun {
        /// The end of the epoch.
        deadline: WallTime = required("Deadline", PreciseTime),
        /// Who was missing.
        late_components: Vec<LateComponent> = required("LateComponents", LATE),
    }
}

record! {
    /// A component that was missing at the end of an epoch.
    pub struct LateComponent {
        /// Its name.
        component: String = required("Component", Name),
        /// How long after the end its answer came; absent as long as it has not come.
        late_by_s: Option<f64> = optional("LateBy", SECONDS),
    }
}

const LATE: List<Nested<LateComponent>> = some(nested(), "late component");

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
