//! From plans to setpoints (wire contract 6.6): [`Controller`].

use crate::curve::millis;
use crate::setpoint_series::is_nameable;
use gridloop_clock::MonoTime;
use gridloop_component::{Component, Fault, OpenEpoch, Output, Step};
use gridloop_messages::{Body, Dispatch, Message, PowerSetpoint, TimeSeries, Warning, WarningKind};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// What a [`Controller`] obeys and whom it commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControllerSettings {
    /// The economic dispatches whose plan it waits for in each epoch.
    pub dispatchers: Vec<String>,
    /// The resources that it commands; none: whatever the plans name.
    pub resources: Option<BTreeSet<String>>,
    /// The topic of plans; usually [`DISPATCH`](gridloop_messages::topic::DISPATCH).
    pub dispatch_topic: String,
    /// The beginning of the topics of setpoints; usually [`POWER_SETPOINT_TOPIC`](crate::POWER_SETPOINT_TOPIC).
    pub setpoint_topic: String,
}

/// Publishes for each resource of the plans the power of the epoch as ControlState.PowerSetpoint.
///
/// A plan's value is the one of the point at the epoch's start, or of the interval that it lies in; where the plan has
/// none it is the first, as in SimCES, with a warning. Where several plans name one resource the last of the configured
/// dispatchers decides, with a warning. A configured resource that no plan names is commanded to 0 kW, with a warning,
/// for a storage waits for its setpoint. Plans of others than the configured dispatchers are not looked at.
#[derive(Debug)]
pub struct Controller {
    settings: ControllerSettings,
    /// By dispatcher.
    plans: BTreeMap<String, Dispatch>,
    /// Names in plans that no topic can carry.
    unnameable: BTreeSet<String>,
    published: u64,
    fallbacks: u64,
}

impl Controller {
    /// A controller that has no plan yet.
    #[must_use]
    pub fn new(settings: ControllerSettings) -> Self {
        Self { settings, plans: BTreeMap::new(), unnameable: BTreeSet::new(), published: 0, fallbacks: 0 }
    }

    /// The setpoints of the epoch by resource, and what is to be said about them.
    fn setpoints(&mut self, epoch: &OpenEpoch) -> BTreeMap<String, (PowerSetpoint, Vec<Warning>)> {
        let mut setpoints: BTreeMap<String, (PowerSetpoint, Vec<Warning>)> = BTreeMap::new();
        let warning = |text: String| Warning::new(WarningKind::Input, &text);
        for dispatcher in &self.settings.dispatchers {
            let Some(plan) = self.plans.get(dispatcher) else { continue };
            for (resource, series) in &plan.dispatch {
                if self.settings.resources.as_ref().is_some_and(|only| !only.contains(resource)) {
                    continue;
                }
                if !is_nameable(resource) {
                    self.unnameable.insert(resource.clone());
                    continue;
                }
                let (setpoint, note) = setpoint(series, epoch);
                let mut warnings: Vec<Warning> = note.map(warning).into_iter().collect();
                if setpoints.contains_key(resource) {
                    let told = format!("more than one plan for {resource}; that of {dispatcher} is obeyed");
                    warnings.push(warning(told));
                }
                setpoints.insert(resource.clone(), (setpoint, warnings));
            }
        }
        for resource in self.settings.resources.iter().flatten() {
            setpoints.entry(resource.clone()).or_insert_with(|| {
                let nothing = PowerSetpoint { real_power_kw: 0.0, reactive_power_kvar: 0.0 };
                (nothing, vec![warning(format!("no plan names {resource}; 0 kW are taken for it"))])
            });
        }
        setpoints
    }
}

/// What the plan says for the epoch, and what is to be said about it.
fn setpoint(plan: &TimeSeries, epoch: &OpenEpoch) -> (PowerSetpoint, Option<String>) {
    let start = millis(epoch.start_time);
    let at = |index: usize| plan.time_index.get(index).map(|time| millis(*time));
    let exact = (0..plan.time_index.len()).find(|index| at(*index) == Some(start));
    let within = || {
        let holds = |index: &usize| {
            at(*index).is_some_and(|from| from <= start) && at(index + 1).is_some_and(|to| start < to)
        };
        (0..plan.time_index.len()).find(holds)
    };
    let found = exact.or_else(within);
    let value = |name| {
        let numbers = plan.numbers(name)?;
        numbers.get(found.unwrap_or_default()).copied()
    };
    let note = match (value("RealPower"), found) {
        (None, _) => Some("the plan has no RealPower for the epoch; 0 kW are taken for it".to_owned()),
        (_, None) => Some(format!(
            "the plan has no value for {}; its first is taken, that of {}",
            epoch.start_time,
            plan.time_index.first().map_or_else(|| "no time".to_owned(), ToString::to_string),
        )),
        _ => None,
    };
    let setpoint = PowerSetpoint {
        real_power_kw: value("RealPower").unwrap_or_default(),
        reactive_power_kvar: value("ReactivePower").unwrap_or_default(),
    };
    (setpoint, note)
}

impl Component for Controller {
    fn inputs(&self) -> Vec<String> {
        vec![self.settings.dispatch_topic.clone()]
    }

    fn open(&mut self, _: &OpenEpoch) -> Result<(), Fault> {
        self.plans.clear();
        Ok(())
    }

    /// The newest plan of each dispatcher counts.
    fn take(&mut self, _: &str, message: &Message, _: MonoTime) -> Result<(), Fault> {
        let sender = &message.header.source_process_id;
        if let Body::Dispatch(plan) = &message.body
            && self.settings.dispatchers.contains(sender)
        {
            self.plans.insert(sender.clone(), plan.clone());
        }
        Ok(())
    }

    fn step(&mut self, epoch: &OpenEpoch, _: MonoTime) -> Result<Step, Fault> {
        if !self.settings.dispatchers.iter().all(|dispatcher| self.plans.contains_key(dispatcher)) {
            return Ok(Step::Waiting);
        }
        let mut outputs = Vec::new();
        for (resource, (setpoint, warnings)) in self.setpoints(epoch) {
            self.published += 1;
            self.fallbacks += u64::from(!warnings.is_empty());
            let topic = format!("{}.{resource}", self.settings.setpoint_topic);
            outputs.push(Output { warnings, ..Output::new(topic, Body::PowerSetpoint(setpoint)) });
        }
        Ok(Step::Done(outputs))
    }

    fn findings(&self) -> Option<serde_json::Value> {
        Some(json!({
            "kind": "controller",
            "setpoints": self.published,
            "setpoints_with_warning": self.fallbacks,
            "names_left_out": self.unnameable,
        }))
    }
}
