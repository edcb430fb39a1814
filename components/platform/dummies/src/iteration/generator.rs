//! The leading side of the iteration: [`DroopGenerator`].

use super::Bus;
use gridloop_clock::MonoTime;
use gridloop_component::{Change, Component, Fault, OpenEpoch, Output, Round, Step, iteration_topic};
use gridloop_messages::{Body, IterationStatus, Message, ResourceState, topic};
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// What a [`DroopGenerator`] is.
#[derive(Debug, Clone, PartialEq)]
pub struct DroopGeneratorSettings {
    /// The bus that it holds the voltage of.
    pub bus: Bus,
    /// The loads at that bus. It waits for the answer of each in every round.
    pub loads: Vec<String>,
    /// Whom it belongs to.
    pub customer_id: String,
    /// Voltage without load, line to neutral, in kV; above 0.
    pub no_load_voltage_kv: f64,
    /// By how much of that voltage it sinks at rated power, in %.
    pub droop_percent: f64,
    /// Rated power in kW; above 0.
    pub rated_power_kw: f64,
    /// The iteration is over when the voltage moves by no more than this from one round to the next, in kV.
    pub tolerance_kv: f64,
    /// The most rounds that an epoch may take.
    pub rounds_max: NonZeroU32,
}

/// A generator on an island: its voltage sinks in proportion to the power that it gives, V = V0 (1 - droop P / Prated).
///
/// Publishes the voltage of its bus in every round and, when it no longer moves, voltage and power as final results.
/// Each epoch begins with the voltage at which the one before ended.
#[derive(Debug)]
pub struct DroopGenerator {
    name: String,
    settings: DroopGeneratorSettings,
    voltage_kv: f64,
    /// MessageIds of the present round; `None` before the first.
    asked: Option<Vec<String>>,
    /// What each load draws at the voltage of the present round, in kW.
    answers: BTreeMap<String, f64>,
}

impl DroopGenerator {
    /// The generator `name`.
    #[must_use]
    pub fn new(name: &str, settings: DroopGeneratorSettings) -> Self {
        let voltage_kv = settings.no_load_voltage_kv;
        Self { name: name.to_owned(), settings, voltage_kv, asked: None, answers: BTreeMap::new() }
    }

    /// The voltage at which it gives `power_kw`; it cannot sink below 0.
    fn voltage_at(&self, power_kw: f64) -> f64 {
        let DroopGeneratorSettings { no_load_voltage_kv, droop_percent, rated_power_kw, .. } = self.settings;
        (no_load_voltage_kv * (1.0 - droop_percent / 100.0 * power_kw / rated_power_kw)).max(0.0)
    }

    /// A round at the present voltage.
    fn ask(&mut self, change: Option<Change>) -> Step {
        self.answers.clear();
        self.asked = Some(Vec::new());
        Step::Round(Round { outputs: vec![self.settings.bus.voltage(self.voltage_kv)], change })
    }

    fn power(&self, real_power_kw: f64) -> Output {
        let state = ResourceState {
            customer_id: self.settings.customer_id.clone(),
            real_power_kw,
            reactive_power_kvar: 0.0,
            node: None,
            state_of_charge_percent: None,
        };
        Output::new(topic::resource_state("Generator", &self.name), Body::ResourceState(state))
    }
}

impl Component for DroopGenerator {
    fn inputs(&self) -> Vec<String> {
        let topic = |load: &String| iteration_topic(&topic::resource_state("Load", load));
        self.settings.loads.iter().map(topic).collect()
    }

    fn rounds_max(&self) -> Option<NonZeroU32> {
        Some(self.settings.rounds_max)
    }

    fn open(&mut self, _: &OpenEpoch) -> Result<(), Fault> {
        self.asked = None;
        self.answers.clear();
        Ok(())
    }

    /// The answer of a load to the present round. Answers to rounds that are over, which a load that was restarted may
    /// give, and anything else on its topic are left aside.
    fn take(&mut self, _: &str, message: &Message, _: MonoTime) -> Result<(), Fault> {
        let (header, Some(fields)) = (&message.header, &message.header.epoch) else { return Ok(()) };
        let Body::ResourceState(state) = &message.body else { return Ok(()) };
        let asked = self.asked.as_deref().unwrap_or_default();
        let answers = fields.triggering_message_ids.iter().any(|id| asked.contains(id));
        let intermediate = fields.iteration_status == Some(IterationStatus::Intermediate);
        if answers && intermediate && self.settings.loads.contains(&header.source_process_id) {
            self.answers.insert(header.source_process_id.clone(), -state.real_power_kw);
        }
        Ok(())
    }

    fn step(&mut self, _: &OpenEpoch, _: MonoTime) -> Result<Step, Fault> {
        if self.asked.is_none() {
            return Ok(self.ask(None));
        }
        if self.answers.len() < self.settings.loads.len() {
            return Ok(Step::Waiting);
        }
        let power_kw = self.answers.values().sum();
        let voltage_kv = self.voltage_at(power_kw);
        let by = voltage_kv - self.voltage_kv;
        self.voltage_kv = voltage_kv;
        if by.abs() <= self.settings.tolerance_kv {
            let voltage = self.settings.bus.voltage(voltage_kv);
            return Ok(Step::Done(vec![voltage, self.power(power_kw)]));
        }
        Ok(self.ask(Some(Change { of: "voltage", by, unit: "kV" })))
    }

    fn round_published(&mut self, message_ids: &[String]) {
        self.asked = Some(message_ids.to_vec());
    }
}
