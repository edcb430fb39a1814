//! A storage on the bus (wire contract 6.2): [`Storage`] asks its [`Battery`] for what a setpoint or a file says.

use crate::SeriesError;
use crate::battery::{Battery, BatteryRating};
use crate::curve::hours;
use crate::power_series::{PowerSeries, SeriesFile};
use gridloop_clock::MonoTime;
use gridloop_component::{Component, Fault, OpenEpoch, Output, Step};
use gridloop_messages::{Body, Message, PowerSetpoint, ResourceState, Warning, WarningKind};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// The beginning of the topics of setpoints, unless it is configured otherwise.
pub const POWER_SETPOINT_TOPIC: &str = "ControlState.PowerSetpoint";

/// What a [`Storage`] is.
#[derive(Debug, Clone, PartialEq)]
pub struct StorageSettings {
    /// Its energy, power and losses.
    pub rating: BatteryRating,
    /// What tells it what to do.
    pub mode: StorageMode,
    /// Phase 1, 2 or 3; none: all three. A file may say another.
    pub node: Option<u8>,
    /// The beginning of its topic; usually [`RESOURCE_STATE_TOPIC`](crate::RESOURCE_STATE_TOPIC).
    pub topic: String,
}

/// What tells a storage what to do.
#[derive(Debug, Clone, PartialEq)]
pub enum StorageMode {
    /// One setpoint in each epoch.
    Controlled {
        /// Whom it belongs to.
        customer_id: String,
        /// The beginning of the topic of setpoints; usually [`POWER_SETPOINT_TOPIC`].
        control_topic: String,
        /// What it does when none comes.
        without_setpoint: WithoutSetpoint,
    },
    /// The RealPower of a file.
    File(SeriesFile),
}

/// What a storage does in an epoch without a setpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WithoutSetpoint {
    /// It waits, as the contract says.
    #[default]
    Wait,
    /// At half of the time until the deadline of the epoch it takes 0 kW for the setpoint, with a warning.
    Idle,
    /// At half of the time until the deadline it takes the last setpoint once more (0 kW if there was none), with a
    /// warning.
    Hold,
}

#[derive(Debug)]
enum Request {
    Setpoint(Control),
    Series(PowerSeries),
}

#[derive(Debug)]
struct Control {
    customer_id: Arc<str>,
    topic: String,
    without: WithoutSetpoint,
    /// The epoch that is open, or was last.
    epoch: u64,
    /// The newest setpoint for that epoch.
    pending_kw: Option<f64>,
    last_kw: f64,
    completed: bool,
    /// Setpoints that came when the epoch's result was out.
    late: u64,
    missing: u64,
    /// The epoch for which it has last been told that a setpoint is waited for.
    told: u64,
}

/// A storage that obeys setpoints or a file, within its rating.
///
/// In controlled mode it waits for one PowerSetpoint of each epoch. One that comes before the Epoch itself is kept for
/// it (a SimCES storage drops it and then waits for ever). The first that is there decides; if several are there when
/// the epoch opens, the newest. One that comes after the result is counted and changes nothing.
#[derive(Debug)]
pub struct Storage {
    topic: String,
    battery: Battery,
    request: Request,
    node: Option<u8>,
    warnings: Vec<Warning>,
    totals: Totals,
}

#[derive(Debug)]
struct Totals {
    charged_kwh: f64,
    discharged_kwh: f64,
    lost_kwh: f64,
    soc_min_percent: f64,
    soc_max_percent: f64,
    limited_epochs: u64,
}

impl Storage {
    /// The storage `name`.
    ///
    /// # Errors
    /// When its file cannot be read or has any flaw.
    pub fn new(name: &str, settings: &StorageSettings) -> Result<Self, SeriesError> {
        let request = match &settings.mode {
            StorageMode::Controlled { customer_id, control_topic, without_setpoint } => {
                Request::Setpoint(Control {
                    customer_id: customer_id.as_str().into(),
                    topic: format!("{control_topic}.{name}"),
                    without: *without_setpoint,
                    epoch: 0,
                    pending_kw: None,
                    last_kw: 0.0,
                    completed: false,
                    late: 0,
                    missing: 0,
                    told: 0,
                })
            }
            StorageMode::File(file) => Request::Series(PowerSeries::open(file)?),
        };
        let battery = Battery::new(settings.rating);
        let soc = battery.state_of_charge_percent();
        Ok(Self {
            topic: format!("{}.Storage.{name}", settings.topic),
            battery,
            request,
            node: settings.node,
            warnings: Vec::new(),
            totals: Totals {
                charged_kwh: 0.0,
                discharged_kwh: 0.0,
                lost_kwh: 0.0,
                soc_min_percent: soc,
                soc_max_percent: soc,
                limited_epochs: 0,
            },
        })
    }

    fn deliver(
        &mut self,
        requested_kw: f64,
        customer_id: &str,
        node: Option<u8>,
        epoch: &OpenEpoch,
    ) -> Output {
        let delivered = self.battery.step(requested_kw, hours(epoch.start_time, epoch.end_time));
        let soc = self.battery.state_of_charge_percent();
        let totals = &mut self.totals;
        totals.charged_kwh += delivered.charged_kwh;
        totals.discharged_kwh += delivered.discharged_kwh;
        totals.lost_kwh += delivered.lost_kwh;
        totals.soc_min_percent = totals.soc_min_percent.min(soc);
        totals.soc_max_percent = totals.soc_max_percent.max(soc);
        let mut warnings = std::mem::take(&mut self.warnings);
        if delivered.power_kw != requested_kw {
            totals.limited_epochs += 1;
            let told = format!("{requested_kw} kW were asked for, {} kW are possible", delivered.power_kw);
            warnings.push(Warning::new(WarningKind::InputRange, &told));
        }
        let state = ResourceState {
            customer_id: customer_id.to_owned(),
            real_power_kw: delivered.power_kw,
            reactive_power_kvar: 0.0,
            node: node.or(self.node),
            state_of_charge_percent: Some(soc),
        };
        Output { warnings, ..Output::new(self.topic.clone(), Body::ResourceState(state)) }
    }
}

/// When to stop waiting for a setpoint: at half of the time until the deadline.
fn patience(epoch: &OpenEpoch) -> Option<MonoTime> {
    let deadline = epoch.deadline?;
    Some(deadline.before(deadline.since(epoch.opened_at) / 2))
}

/// So long a setpoint is waited for in silence.
const SILENCE: Duration = Duration::from_secs(10);

impl Control {
    /// Waits on, and tells people for what once it has been long.
    fn wait(&mut self, epoch: &OpenEpoch, now: MonoTime) -> Step {
        let until = epoch.opened_at + SILENCE;
        if now < until {
            return Step::WakeAt(until);
        }
        if self.told < epoch.number {
            self.told = epoch.number;
            let idle = match self.without {
                WithoutSetpoint::Wait => "",
                WithoutSetpoint::Idle | WithoutSetpoint::Hold => {
                    "; `without_setpoint` ends the wait in a paced run only, where epochs have a deadline"
                }
            };
            tracing::warn!(
                epoch = epoch.number,
                "no setpoint on {} yet, which is waited for{idle}",
                self.topic
            );
        }
        Step::Waiting
    }

    /// The setpoint to obey now, or how to go on waiting. A warning says where it is no setpoint of this epoch.
    fn setpoint(
        &mut self,
        epoch: &OpenEpoch,
        now: MonoTime,
        warnings: &mut Vec<Warning>,
    ) -> Result<f64, Step> {
        if let Some(setpoint_kw) = self.pending_kw.take() {
            return Ok(setpoint_kw);
        }
        let instead_kw = match self.without {
            WithoutSetpoint::Wait => return Err(self.wait(epoch, now)),
            WithoutSetpoint::Idle => 0.0,
            WithoutSetpoint::Hold => self.last_kw,
        };
        match patience(epoch) {
            None => Err(self.wait(epoch, now)),
            Some(until) if now.since(until) == Duration::ZERO && now != until => Err(Step::WakeAt(until)),
            Some(_) => {
                self.missing += 1;
                let told = format!("no setpoint on {}; {instead_kw} kW are taken for it", self.topic);
                warnings.push(Warning::new(WarningKind::Input, &told));
                Ok(instead_kw)
            }
        }
    }
}

impl Component for Storage {
    fn inputs(&self) -> Vec<String> {
        match &self.request {
            Request::Setpoint(control) => vec![control.topic.clone()],
            Request::Series(_) => Vec::new(),
        }
    }

    fn open(&mut self, epoch: &OpenEpoch) -> Result<(), Fault> {
        if let Request::Setpoint(control) = &mut self.request {
            (control.epoch, control.pending_kw, control.completed) = (epoch.number, None, false);
        }
        Ok(())
    }

    fn take(&mut self, topic: &str, message: &Message, _: MonoTime) -> Result<(), Fault> {
        let Request::Setpoint(control) = &mut self.request else { return Ok(()) };
        match &message.body {
            Body::PowerSetpoint(_) if control.completed => control.late += 1,
            Body::PowerSetpoint(PowerSetpoint { real_power_kw, .. }) => {
                control.pending_kw = Some(*real_power_kw);
            }
            _ => {
                let told = format!("{topic}: {} is no setpoint of power", message.header.message_id);
                self.warnings.push(Warning::new(WarningKind::Input, &told));
            }
        }
        Ok(())
    }

    fn step(&mut self, epoch: &OpenEpoch, now: MonoTime) -> Result<Step, Fault> {
        let (requested_kw, customer_id, node) = match &mut self.request {
            Request::Setpoint(control) => match control.setpoint(epoch, now, &mut self.warnings) {
                Ok(setpoint_kw) => {
                    (control.last_kw, control.completed) = (setpoint_kw, true);
                    (setpoint_kw, Arc::clone(&control.customer_id), None)
                }
                Err(step) => return Ok(step),
            },
            Request::Series(series) => {
                let values = series.values(epoch)?;
                (values.real_power_kw, values.customer_id, values.node)
            }
        };
        Ok(Step::Done(vec![self.deliver(requested_kw, &customer_id, node, epoch)]))
    }

    fn findings(&self) -> Option<serde_json::Value> {
        let Totals {
            charged_kwh,
            discharged_kwh,
            lost_kwh,
            soc_min_percent,
            soc_max_percent,
            limited_epochs,
        } = &self.totals;
        let mut findings = json!({
            "kind": "storage",
            "energy_charged_kwh": charged_kwh,
            "energy_discharged_kwh": discharged_kwh,
            "energy_lost_kwh": lost_kwh,
            "state_of_charge_min_percent": soc_min_percent,
            "state_of_charge_max_percent": soc_max_percent,
            "state_of_charge_final_percent": self.battery.state_of_charge_percent(),
            "limited_epochs": limited_epochs,
        });
        if let Request::Setpoint(control) = &self.request {
            findings["epochs_without_setpoint"] = control.missing.into();
            findings["late_setpoints"] = control.late.into();
            if control.epoch > 0 && !control.completed {
                let waiting = format!("a setpoint on {} in epoch {}", control.topic, control.epoch);
                findings["waited_in_vain_for"] = waiting.into();
            }
        }
        Some(findings)
    }
}
