//! A generator or load that can be limited: [`ControllableResource`].

use crate::SeriesError;
use crate::curve::hours;
use crate::power_series::{PowerSeries, SeriesFile};
use crate::static_time_series::ResourceType;
use gridloop_clock::MonoTime;
use gridloop_component::{Component, Fault, OpenEpoch, Output, Refusal, Step};
use gridloop_messages::{Body, Message, PowerSetpoint, ResourceState, Warning, WarningKind};
use serde_json::json;

/// What a [`ControllableResource`] is.
#[derive(Debug, Clone, PartialEq)]
pub struct ControllableSettings {
    /// What it is: a generator's setpoint limits what it gives, a load's what it takes.
    pub resource_type: ResourceType,
    /// What is available, or would be consumed, without a setpoint.
    pub series: SeriesFile,
    /// Rated apparent power in kV.A; none: no limit.
    pub rated_power_kva: Option<f64>,
    /// For how many epochs after its own a setpoint holds; none: until another comes.
    pub setpoint_holds_epochs: Option<u64>,
    /// The beginning of its topic; usually [`RESOURCE_STATE_TOPIC`](crate::RESOURCE_STATE_TOPIC).
    pub topic: String,
    /// The beginning of the topic of setpoints; usually [`POWER_SETPOINT_TOPIC`](crate::POWER_SETPOINT_TOPIC).
    pub control_topic: String,
}

/// A generator or load whose power is known beforehand and which obeys setpoints.
///
/// It waits for nothing: an epoch has the newest setpoint of the epochs before it. A setpoint of the epoch itself
/// counts from the next one on, whether it comes before or after the result, so that a run does not depend on the
/// order of messages. One that comes when the next epoch has opened already is refused and counted: the one before
/// holds.
///
/// The RealPower of a setpoint is a limit: a generator gives no more, a load (for which it is negative, as its power
/// is) takes no more. ReactivePower is delivered as far as the rating leaves room beside the real power; without a
/// setpoint that of the series is.
#[derive(Debug)]
pub struct ControllableResource {
    topic: String,
    control_topic: String,
    settings: ControllableSettings,
    series: PowerSeries,
    /// What counts in this epoch, and since which epoch it was set.
    setpoint: Option<(u64, PowerSetpoint)>,
    /// What counts from the next epoch on.
    next: Option<(u64, PowerSetpoint)>,
    warnings: Vec<Warning>,
    available_kwh: f64,
    delivered_kwh: f64,
    curtailed_epochs: u64,
    limited_epochs: u64,
    refused_inputs: u64,
}

impl ControllableResource {
    /// The resource `name`.
    ///
    /// # Errors
    /// When its file cannot be read or has any flaw.
    pub fn new(name: &str, settings: &ControllableSettings) -> Result<Self, SeriesError> {
        Ok(Self {
            topic: format!("{}.{}.{name}", settings.topic, settings.resource_type.as_str()),
            control_topic: format!("{}.{name}", settings.control_topic),
            series: PowerSeries::open(&settings.series)?,
            settings: settings.clone(),
            setpoint: None,
            next: None,
            warnings: Vec::new(),
            available_kwh: 0.0,
            delivered_kwh: 0.0,
            curtailed_epochs: 0,
            limited_epochs: 0,
            refused_inputs: 0,
        })
    }

    /// The setpoint that counts in the epoch.
    fn setpoint_in(&self, epoch: u64) -> Option<&PowerSetpoint> {
        let (set_in, setpoint) = self.setpoint.as_ref()?;
        let age = epoch.saturating_sub(*set_in);
        self.settings.setpoint_holds_epochs.is_none_or(|epochs| age <= epochs).then_some(setpoint)
    }

    /// What of the available power the setpoint leaves, in kW. What flows the other way, as the stand-by of an
    /// inverter does at night, is not limited.
    fn limited_kw(&self, available_kw: f64, setpoint_kw: f64) -> f64 {
        match self.settings.resource_type {
            ResourceType::Generator if available_kw > 0.0 => available_kw.min(setpoint_kw.max(0.0)),
            ResourceType::Load if available_kw < 0.0 => available_kw.max(setpoint_kw.min(0.0)),
            _ => available_kw,
        }
    }

    /// Real and reactive power within the rating, real power first.
    fn rated(&self, real_kw: f64, reactive_kvar: f64) -> (f64, f64) {
        let Some(rated_kva) = self.settings.rated_power_kva else { return (real_kw, reactive_kvar) };
        let real_kw = real_kw.clamp(-rated_kva, rated_kva);
        let room_kvar = (rated_kva * rated_kva - real_kw * real_kw).max(0.0).sqrt();
        (real_kw, reactive_kvar.clamp(-room_kvar, room_kvar))
    }
}

impl Component for ControllableResource {
    fn inputs(&self) -> Vec<String> {
        vec![self.control_topic.clone()]
    }

    fn open(&mut self, _: &OpenEpoch) -> Result<(), Fault> {
        if let Some(next) = self.next.take() {
            self.setpoint = Some(next);
        }
        Ok(())
    }

    fn take(&mut self, topic: &str, message: &Message, _: MonoTime) -> Result<(), Fault> {
        match (&message.body, &message.header.epoch) {
            (Body::PowerSetpoint(setpoint), Some(fields)) => {
                self.next = Some((fields.epoch_number, setpoint.clone()));
            }
            _ => {
                let told = format!("{topic}: {} is no setpoint of power", message.header.message_id);
                self.warnings.push(Warning::new(WarningKind::Input, &told));
            }
        }
        Ok(())
    }

    fn refused(&mut self, _: &Refusal) {
        self.refused_inputs += 1;
    }

    fn step(&mut self, epoch: &OpenEpoch, _: MonoTime) -> Result<Step, Fault> {
        let values = self.series.values(epoch)?;
        let (wanted_kw, wanted_kvar) = match self.setpoint_in(epoch.number) {
            Some(setpoint) => {
                (self.limited_kw(values.real_power_kw, setpoint.real_power_kw), setpoint.reactive_power_kvar)
            }
            None => (values.real_power_kw, values.reactive_power_kvar),
        };
        let (real_power_kw, reactive_power_kvar) = self.rated(wanted_kw, wanted_kvar);
        let mut warnings = std::mem::take(&mut self.warnings);
        if (real_power_kw, reactive_power_kvar) != (wanted_kw, wanted_kvar) {
            self.limited_epochs += 1;
            let told = format!(
                "{wanted_kw} kW and {wanted_kvar} kV.A{{r}} are beyond the rating; {real_power_kw} kW and {reactive_power_kvar} kV.A{{r}} are within"
            );
            warnings.push(Warning::new(WarningKind::InputRange, &told));
        }
        let hours = hours(epoch.start_time, epoch.end_time);
        self.available_kwh += values.real_power_kw.abs() * hours;
        self.delivered_kwh += real_power_kw.abs() * hours;
        self.curtailed_epochs += u64::from(real_power_kw != values.real_power_kw);
        let state = ResourceState {
            customer_id: values.customer_id.to_string(),
            real_power_kw,
            reactive_power_kvar,
            node: values.node,
            state_of_charge_percent: None,
        };
        let output = Output { warnings, ..Output::new(self.topic.clone(), Body::ResourceState(state)) };
        Ok(Step::Done(vec![output]))
    }

    fn findings(&self) -> Option<serde_json::Value> {
        Some(json!({
            "kind": "controllable-resource",
            "energy_available_kwh": self.available_kwh,
            "energy_delivered_kwh": self.delivered_kwh,
            "energy_curtailed_kwh": self.available_kwh - self.delivered_kwh,
            "curtailed_epochs": self.curtailed_epochs,
            "limited_by_rating_epochs": self.limited_epochs,
            "refused_inputs": self.refused_inputs,
        }))
    }
}
