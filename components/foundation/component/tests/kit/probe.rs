//! A component that needs a number of inputs in each epoch, tells what happened to it and fails when it is told to.

use gridloop_clock::MonoTime;
use gridloop_component::{Component, Fault, OpenEpoch, Output, Refusal, Step};
use gridloop_messages::{Body, Message, PowerSetpoint, topic};
use std::sync::{Arc, Mutex};

/// What happened to a probe, for all to read.
#[derive(Clone, Default)]
pub(crate) struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    pub(crate) fn write(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// The lines that begin with `word`, without it.
    pub(crate) fn of(&self, word: &str) -> Vec<String> {
        self.lines()
            .iter()
            .filter_map(|line| line.strip_prefix(word))
            .map(|rest| rest.trim().into())
            .collect()
    }
}

/// Where a probe fails, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failing {
    Start,
    Open,
    Take,
    PanicInTake,
    Step,
    PanicInStep,
    PanicInRefused,
    Output,
}

#[derive(Clone, Default)]
pub(crate) struct Probe {
    pub(crate) diary: Diary,
    pub(crate) needs: usize,
    pub(crate) failing: Option<Failing>,
    pub(crate) wake_at: Option<MonoTime>,
    pub(crate) taken: usize,
    /// The most inputs that it says an epoch may have.
    pub(crate) inputs_max: usize,
}

impl Probe {
    pub(crate) fn needing(needs: usize) -> Self {
        Self { needs, ..Self::default() }
    }

    pub(crate) fn failing(failing: Failing) -> Self {
        Self { failing: Some(failing), ..Self::default() }
    }

    fn fails(&self, here: Failing) -> bool {
        self.failing == Some(here)
    }
}

impl Component for Probe {
    fn start(&mut self) -> Result<(), Fault> {
        if self.fails(Failing::Start) { Err("no data file".into()) } else { Ok(()) }
    }

    fn inputs(&self) -> Vec<String> {
        vec!["ControlState.#".into()]
    }

    fn inputs_max(&self) -> usize {
        self.inputs_max
    }

    fn open(&mut self, epoch: &OpenEpoch) -> Result<(), Fault> {
        self.diary.write(format!("open {}", epoch.number));
        self.taken = 0;
        if self.fails(Failing::Open) { Err("cannot open".into()) } else { Ok(()) }
    }

    fn take(&mut self, _: &str, message: &Message, arrived_at: MonoTime) -> Result<(), Fault> {
        let id = &message.header.message_id;
        self.diary.write(format!("take {id} at {}", arrived_at.as_nanos()));
        self.taken += 1;
        assert!(!self.fails(Failing::PanicInTake), "the taker broke");
        if self.fails(Failing::Take) { Err("cannot take".into()) } else { Ok(()) }
    }

    fn refused(&mut self, refusal: &Refusal) {
        self.diary.write(format!("refused {refusal}"));
        assert!(!self.fails(Failing::PanicInRefused), "the reader of refusals broke");
    }

    fn step(&mut self, epoch: &OpenEpoch, now: MonoTime) -> Result<Step, Fault> {
        self.diary.write(format!("step {} at {}", epoch.number, now.as_nanos()));
        assert!(!self.fails(Failing::PanicInStep), "the stepper broke");
        if self.fails(Failing::Step) {
            return Err("power flow did not converge".into());
        }
        if self.taken < self.needs {
            return Ok(Step::Waiting);
        }
        if let Some(instant) = self.wake_at.filter(|instant| now < *instant) {
            return Ok(Step::WakeAt(instant));
        }
        let last = if self.fails(Failing::Output) { f64::NAN } else { 2.0 };
        let outputs = [("a", 1.0), ("b", last)].map(|(resource, real_power_kw)| {
            let setpoint = PowerSetpoint { real_power_kw, reactive_power_kvar: 0.0 };
            Output::new(topic::power_setpoint(resource), Body::PowerSetpoint(setpoint))
        });
        Ok(Step::Done(outputs.into()))
    }

    fn stopped(&mut self) {
        self.diary.write("stopped");
    }
}
