//! A component that does nothing for a while (wire contract 6.13): [`Dummy`].

use crate::chance::Dice;
use gridloop_clock::MonoTime;
use gridloop_component::{Component, Fault, OpenEpoch, Output, Step};
use gridloop_messages::{AnyResult, Body, Message, Warning, WarningKind};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Instants of the time series in a result, the first and the last of the epoch among them.
const POINTS: u32 = 7;

/// How a [`Dummy`] behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct DummySettings {
    /// Topic of its results.
    pub topic: String,
    /// It works at least this long in each epoch.
    pub min_sleep: Duration,
    /// And at most this long; every time between is as likely.
    pub max_sleep: Duration,
    /// Probability that an epoch ends in an error, 0 to 1.
    pub error_chance: f64,
    /// Probability that result and Status of an epoch are not sent, so that the manager has to ask again.
    pub send_miss_chance: f64,
    /// Probability that an Epoch message is not heard, so that the manager has to send it again.
    pub receive_miss_chance: f64,
    /// Probability that a result carries a `warning.internal`.
    pub warning_chance: f64,
    /// What all randomness comes from, together with name and epoch.
    pub seed: u64,
}

/// Sleeps 2 to 15 s and never fails, as the Python platform's does without attributes.
impl Default for DummySettings {
    fn default() -> Self {
        Self {
            topic: "Result".into(),
            min_sleep: Duration::from_secs(2),
            max_sleep: Duration::from_secs(15),
            error_chance: 0.0,
            send_miss_chance: 0.0,
            receive_miss_chance: 0.0,
            warning_chance: 0.0,
            seed: 0,
        }
    }
}

/// Settings that no [`Dummy`] can have.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DummyError {
    /// There is no time between.
    #[error("the shortest sleep, {min:?}, is longer than the longest, {max:?}")]
    Sleep {
        /// The shortest.
        min: Duration,
        /// The longest.
        max: Duration,
    },
    /// No probability.
    #[error("a chance must be from 0 to 1, {chance} is {found}")]
    Chance {
        /// Which of the four.
        chance: &'static str,
        /// What it is.
        found: f64,
    },
}

/// Answers each Epoch with random values after a random time, and misbehaves as often as it was told to.
///
/// What it misses is missed as by a lossy connection: the manager's next re-send of the Epoch finds it where it was,
/// and may be missed in turn.
#[derive(Debug)]
pub struct Dummy {
    name: String,
    settings: DummySettings,
    dice: Dice,
    stage: Stage,
}

/// How far it is in the open epoch.
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// No Epoch message has been heard.
    Deaf,
    Asleep {
        until: MonoTime,
    },
    /// It has worked and has not sent anything.
    Silent,
}

impl Dummy {
    /// The dummy `name`.
    ///
    /// # Errors
    /// When the settings contradict themselves.
    pub fn new(name: &str, settings: DummySettings) -> Result<Self, DummyError> {
        let DummySettings { min_sleep: min, max_sleep: max, .. } = settings;
        if min > max {
            return Err(DummyError::Sleep { min, max });
        }
        let chances = [
            ("error_chance", settings.error_chance),
            ("send_miss_chance", settings.send_miss_chance),
            ("receive_miss_chance", settings.receive_miss_chance),
            ("warning_chance", settings.warning_chance),
        ];
        if let Some((chance, found)) = chances.into_iter().find(|(_, found)| !(0.0..=1.0).contains(found)) {
            return Err(DummyError::Chance { chance, found });
        }
        let dice = Dice::new(settings.seed, name, 0, "conduct");
        Ok(Self { name: name.to_owned(), settings, dice, stage: Stage::Deaf })
    }

    /// The result of the epoch. It is the same whatever was missed before it was sent.
    fn result(&self, epoch: &OpenEpoch) -> Output {
        let mut dice = Dice::new(self.settings.seed, &self.name, epoch.number, "result");
        let body = result_body(epoch, &mut dice);
        let mut output = Output::new(self.settings.topic.clone(), body);
        if dice.falls(self.settings.warning_chance) {
            output.warnings.push(Warning::new(WarningKind::Internal, "a random warning of a dummy"));
        }
        output
    }
}

impl Component for Dummy {
    fn inputs(&self) -> Vec<String> {
        Vec::new()
    }

    fn open(&mut self, epoch: &OpenEpoch) -> Result<(), Fault> {
        self.dice = Dice::new(self.settings.seed, &self.name, epoch.number, "conduct");
        self.stage = Stage::Deaf;
        Ok(())
    }

    fn take(&mut self, _: &str, _: &Message, _: MonoTime) -> Result<(), Fault> {
        Ok(())
    }

    /// Without inputs and pokes, a call that is no wake-up is an Epoch message.
    fn step(&mut self, epoch: &OpenEpoch, now: MonoTime) -> Result<Step, Fault> {
        if let Stage::Deaf = self.stage {
            if self.dice.falls(self.settings.receive_miss_chance) {
                tracing::info!(component = %self.name, epoch = epoch.number, "an Epoch message is missed by chance");
                return Ok(Step::Waiting);
            }
            let sleep = self.dice.time_between(self.settings.min_sleep, self.settings.max_sleep);
            self.stage = Stage::Asleep { until: now + sleep };
        }
        if let Stage::Asleep { until } = self.stage {
            if now < until {
                return Ok(Step::WakeAt(until));
            }
            if self.dice.falls(self.settings.error_chance) {
                return Err(Fault::new(format!("a random error of a dummy in epoch {}", epoch.number)));
            }
            self.stage = Stage::Silent;
        }
        if self.dice.falls(self.settings.send_miss_chance) {
            tracing::info!(component = %self.name, epoch = epoch.number, "nothing is sent by chance");
            return Ok(Step::Waiting);
        }
        Ok(Step::Done(vec![self.result(epoch)]))
    }
}

/// `DummyValue` (0 to 1000), `TestValue` (100 to 200), and time series of the currents (A) and voltages (V) of three
/// phases (wire contract 2.3).
fn result_body(epoch: &OpenEpoch, dice: &mut Dice) -> Body {
    let length = epoch.end_time.as_datetime() - epoch.start_time.as_datetime();
    let length = length.to_std().unwrap_or_default();
    let instant = |n| epoch.start_time.plus(length * n / (POINTS - 1)).to_string();
    let time_index: Vec<String> = (0..POINTS).map(instant).collect();
    let mut series = |unit: &str, low: f64, high: f64| {
        let mut phase = || {
            let values: Vec<f64> = (0..POINTS).map(|_| in_thousandths(dice.between(low, high))).collect();
            json!({ "UnitOfMeasure": unit, "Values": values })
        };
        let phases = json!({ "L1": phase(), "L2": phase(), "L3": phase() });
        json!({ "TimeIndex": time_index, "Series": phases })
    };
    let (current, voltage) = (series("A", 0.0, 25.0), series("V", 220.0, 240.0));
    let fields = [
        ("DummyValue", in_thousandths(dice.between(0.0, 1000.0)).into()),
        ("TestValue", in_thousandths(dice.between(100.0, 200.0)).into()),
        ("Current", current),
        ("Voltage", voltage),
    ];
    let fields: Map<String, Value> =
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Body::Result(AnyResult { fields })
}

/// Short enough to be read.
fn in_thousandths(value: f64) -> f64 {
    (value * 1000.0).floor() / 1000.0
}
