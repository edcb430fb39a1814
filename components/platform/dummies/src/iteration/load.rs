//! The answering side of the iteration: [`VoltageDependentLoad`].

use super::Bus;
use gridloop_clock::MonoTime;
use gridloop_component::{Change, Component, Fault, OpenEpoch, Output, Step, iteration_topic};
use gridloop_messages::{Body, IterationStatus, Message, NetworkState, ResourceState, topic};
use std::num::NonZeroU32;

/// What a [`VoltageDependentLoad`] is.
#[derive(Debug, Clone, PartialEq)]
pub struct VoltageDependentLoadSettings {
    /// The bus that it is connected to.
    pub bus: Bus,
    /// Whom it belongs to.
    pub customer_id: String,
    /// What it draws at nominal voltage in epoch 1, in kW; a positive number.
    pub consumption_kw: f64,
    /// What is added to that in each further epoch, in kW.
    pub growth_kw: f64,
    /// Nominal voltage, line to neutral, in kV; above 0.
    pub nominal_voltage_kv: f64,
    /// How the power follows the voltage: 0 not at all, 1 as a constant current, 2 as a resistance.
    pub exponent: f64,
    /// The most rounds that an epoch may take.
    pub rounds_max: NonZeroU32,
}

/// A load whose power depends on the voltage of its bus, P = Pn (V / Vn)^exponent.
///
/// Answers every voltage with its power, and copies the IterationStatus.
#[derive(Debug)]
pub struct VoltageDependentLoad {
    topic: String,
    settings: VoltageDependentLoadSettings,
    /// Voltage in kV and its status, if it has not been answered.
    unanswered: Option<(f64, Option<IterationStatus>)>,
    /// The last answer in this epoch, in kW.
    answered_kw: Option<f64>,
}

impl VoltageDependentLoad {
    /// The load `name`.
    #[must_use]
    pub fn new(name: &str, settings: VoltageDependentLoadSettings) -> Self {
        let topic = topic::resource_state("Load", name);
        Self { topic, settings, unanswered: None, answered_kw: None }
    }

    /// What it draws in the epoch `number` at this voltage, in kW. Growth below 0 ends at 0.
    pub(super) fn power_kw(&self, number: u64, voltage_kv: f64) -> f64 {
        let VoltageDependentLoadSettings { consumption_kw, growth_kw, nominal_voltage_kv, exponent, .. } =
            self.settings;
        // A run has at most 10^9 epochs.
        let epochs = u32::try_from(number.saturating_sub(1)).unwrap_or(u32::MAX);
        let nominal = (consumption_kw + growth_kw * f64::from(epochs)).max(0.0);
        nominal * (voltage_kv / nominal_voltage_kv).powf(exponent)
    }
}

impl Component for VoltageDependentLoad {
    fn inputs(&self) -> Vec<String> {
        let topic = self.settings.bus.voltage_topic();
        vec![iteration_topic(&topic), topic]
    }

    fn rounds_max(&self) -> Option<NonZeroU32> {
        Some(self.settings.rounds_max)
    }

    fn open(&mut self, _: &OpenEpoch) -> Result<(), Fault> {
        (self.unanswered, self.answered_kw) = (None, None);
        Ok(())
    }

    fn take(&mut self, topic: &str, message: &Message, _: MonoTime) -> Result<(), Fault> {
        let Body::NetworkState(NetworkState::Voltage(voltage)) = &message.body else { return Ok(()) };
        if !(0.0..f64::INFINITY).contains(&voltage.magnitude_kv) {
            let found = voltage.magnitude_kv;
            return Err(Fault::new(format!("{topic}: expected a Magnitude of 0 kV or more, found {found}")));
        }
        let status = message.header.epoch.as_ref().and_then(|fields| fields.iteration_status);
        self.unanswered = Some((voltage.magnitude_kv, status));
        Ok(())
    }

    fn step(&mut self, epoch: &OpenEpoch, _: MonoTime) -> Result<Step, Fault> {
        let Some((voltage_kv, status)) = self.unanswered.take() else { return Ok(Step::Waiting) };
        let power_kw = self.power_kw(epoch.number, voltage_kv);
        let before = self.answered_kw.replace(power_kw);
        let change = before.map(|before| Change { of: "real power", by: power_kw - before, unit: "kW" });
        let state = ResourceState {
            customer_id: self.settings.customer_id.clone(),
            real_power_kw: -power_kw,
            reactive_power_kvar: 0.0,
            node: None,
            state_of_charge_percent: None,
        };
        let output = Output::new(self.topic.clone(), Body::ResourceState(state));
        Ok(Step::copying(status, vec![output], change))
    }
}
