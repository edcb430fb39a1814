//! Operational grid optimisation on the bus: [`OperationalOptimization`].

use super::core::{OperationalCore, Outlook, Plan, Planned};
use super::settings::OperationalSettings;
use crate::ResourceKind;
use crate::commands::{Commands, Setpoint, command_topics, give_up_at, listed, warned};
use crate::feeder::{Feeder, Power};
use crate::network::NetworkInbox;
use crate::plan_message::{dispatch_of, plan_topic};
use crate::states::States;
use gridloop_clock::MonoTime;
use gridloop_component::{Component, Fault, OpenEpoch, Output, Step, at_length};
use gridloop_messages::{Body, Message, TimeSeries, Timestamp, topic};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Programs that a plan takes at most, and one part of the time for its power flows.
const PROGRAMS: u32 = 9;
/// The least time for one program: with less there would be no answer at all.
const SOLVE_LEAST: Duration = Duration::from_millis(20);
/// Forecasts that are kept.
const FORECASTS_MOST: usize = 50_000;
/// The most reactive power that a forecast of real power is given, as a part of it.
const TANGENT_MOST: f64 = 2.0;

/// Makes in each epoch a plan for the next ones, publishes it, and commands its first step.
///
/// It waits for NIS and CIS data (once), and in each epoch for the forecast and the state of every resource in the
/// network and the position of every tap changer that it plans with.
#[derive(Debug)]
pub struct OperationalOptimization {
    settings: OperationalSettings,
    plan_topic: String,
    network: NetworkInbox,
    core: Option<OperationalCore>,
    states: States,
    /// The last known power of each resource, of any epoch.
    known: BTreeMap<String, Power>,
    positions: BTreeMap<String, i32>,
    states_of_charge: BTreeMap<String, f64>,
    forecasts: BTreeMap<String, TimeSeries>,
    /// Resources whose forecast came in this epoch.
    fresh: BTreeSet<String>,
    /// Those whose forecast says that it is not to be relied on.
    doubtful: BTreeSet<String>,
    commands: Commands,
    renewed: bool,
}

impl OperationalOptimization {
    /// The component called `name`.
    #[must_use]
    pub fn new(name: &str, settings: OperationalSettings) -> Self {
        Self {
            settings,
            plan_topic: plan_topic(name),
            network: NetworkInbox::default(),
            core: None,
            states: States::default(),
            known: BTreeMap::new(),
            positions: BTreeMap::new(),
            states_of_charge: BTreeMap::new(),
            forecasts: BTreeMap::new(),
            fresh: BTreeSet::new(),
            doubtful: BTreeSet::new(),
            commands: Commands::default(),
            renewed: false,
        }
    }

    fn learn(&mut self) -> Result<(), Fault> {
        if self.core.is_some() {
            return Ok(());
        }
        if let Some(feeder) = self.network.feeder()? {
            let core = OperationalCore::new(self.settings.clone(), feeder);
            let core = core.map_err(|error| Fault::caused_by(&error))?;
            self.forecasts.retain(|name, _| core.feeder().has(name));
            self.core = Some(core);
        }
        Ok(())
    }

    fn is_planned_storage(&self, name: &str) -> bool {
        let planned = &self.settings.resources;
        planned
            .iter()
            .any(|resource| resource.unit.name == name && resource.unit.kind == ResourceKind::Storage)
    }

    fn is_persistent(&self, name: &str) -> bool {
        self.settings.persistent.iter().any(|persistent| persistent == name)
    }

    /// What has not come in this epoch.
    fn missing(&self, feeder: &Feeder) -> Vec<String> {
        let mut missing = Vec::new();
        for name in feeder.resources() {
            let forecast = !self.is_planned_storage(name) && !self.is_persistent(name);
            if forecast && !self.fresh.contains(name) {
                missing.push(format!("forecast of {name}"));
            }
            if !self.states.powers.contains_key(name) {
                missing.push(format!("state of {name}"));
            }
        }
        let taps = self.settings.tap_changers.iter().map(|tap| &tap.changer.name);
        let unknown = taps.filter(|name| !matches!(self.states.positions.get(*name), Some(Some(_))));
        missing.extend(unknown.map(|name| format!("certain position of {name}")));
        missing
    }

    /// The outlook for the epochs that begin at the end of this one; else why there is none.
    fn outlook(&self, feeder: &Feeder, epoch: &OpenEpoch) -> (Outlook, Vec<Timestamp>, Option<String>) {
        let length = length(epoch);
        let mut outlook = Outlook {
            start_h: hours_since_1970(epoch.end_time),
            hours: length.as_secs_f64() / 3_600.0,
            powers: Vec::new(),
            tap_positions: self.positions.clone(),
            states_of_charge: self.states_of_charge.clone(),
        };
        let mut times = Vec::new();
        let mut time = epoch.end_time;
        let mut reason = None;
        while times.len() < self.settings.steps {
            match self.expected(feeder, time) {
                Ok(powers) => outlook.powers.push(powers),
                Err(name) if times.is_empty() => {
                    reason = Some(format!("nothing is known of what {name} will do"));
                    break;
                }
                Err(_) => break,
            }
            times.push(time);
            time = time.plus(length);
        }
        let unknown =
            self.settings.tap_changers.iter().find(|tap| !self.positions.contains_key(&tap.changer.name));
        let reason = reason
            .or_else(|| unknown.map(|tap| format!("the position of {} is not known", tap.changer.name)));
        (outlook, times, reason)
    }

    /// What every resource will do at `time`; else the name of one that nobody knows it of.
    fn expected(&self, feeder: &Feeder, time: Timestamp) -> Result<BTreeMap<String, Power>, String> {
        let mut powers = BTreeMap::new();
        for name in feeder.resources().filter(|name| !self.is_planned_storage(name)) {
            let known = self.known.get(name).copied();
            let forecast = self.forecasts.get(name).filter(|_| !self.is_persistent(name));
            let forecast = forecast.and_then(|forecast| value_at(forecast, time));
            // Nobody forecasts it: what it does now it will do next.
            let forecast_ever = self.forecasts.contains_key(name) && !self.is_persistent(name);
            let real_power_w = match (forecast, known) {
                (Some(kw), _) => kw * 1000.0,
                (None, Some(power)) if !forecast_ever => power.real_power_w,
                _ => return Err(name.to_owned()),
            };
            let tangent = known.filter(|power| power.real_power_w.abs() > 1.0).map_or(0.0, |power| {
                (power.reactive_power_var / power.real_power_w).clamp(-TANGENT_MOST, TANGENT_MOST)
            });
            let node = known.and_then(|power| power.node);
            powers.insert(
                name.to_owned(),
                Power { real_power_w, reactive_power_var: real_power_w * tangent, node },
            );
        }
        Ok(powers)
    }

    /// What was heard in this epoch and is not to be relied on, and what nobody tells, in words.
    fn doubts(&self, feeder: &Feeder) -> Vec<String> {
        let mut doubts = Vec::new();
        let unreliable = self.states.unreliable.iter().filter(|name| feeder.has(name));
        let unreliable: Vec<String> = unreliable.map(|name| format!("state of {name}")).collect();
        let forecasts = self.doubtful.iter().filter(|name| feeder.has(name));
        let unreliable: Vec<String> =
            unreliable.into_iter().chain(forecasts.map(|name| format!("forecast of {name}"))).collect();
        if !unreliable.is_empty() {
            doubts.push(format!("doubtful by their own words: {}", listed(&unreliable)));
        }
        let storages = self.settings.resources.iter().filter(|it| it.unit.kind == ResourceKind::Storage);
        let unknown = storages.filter(|it| !self.states_of_charge.contains_key(&it.unit.name));
        let unknown: Vec<String> = unknown.map(|it| it.unit.name.clone()).collect();
        if !unknown.is_empty() {
            doubts.push(format!("no state of charge of {}; it rests", listed(&unknown)));
        }
        doubts
    }

    /// Takes over what the epoch's states say. Of a resource that is doubtful what was known before stays.
    fn learn_states(&mut self) {
        let Some(core) = &self.core else { return };
        let States { powers, states_of_charge, positions, unreliable, .. } = &self.states;
        for (name, power) in powers.iter().filter(|(name, _)| core.feeder().has(name)) {
            let doubtful = unreliable.contains(name);
            if !(doubtful && self.known.contains_key(name)) {
                self.known.insert(name.clone(), *power);
            }
            match states_of_charge.get(name) {
                Some(percent) if !(doubtful && self.states_of_charge.contains_key(name)) => {
                    self.states_of_charge.insert(name.clone(), *percent);
                }
                _ => {}
            }
        }
        self.positions.extend(positions.iter().filter_map(|(name, at)| Some((name.clone(), (*at)?))));
    }

    /// How long the solver may take for one program of a plan that is wanted by the end of the epoch.
    fn solve_within(&self, epoch: &OpenEpoch, now: MonoTime) -> Duration {
        let left = epoch.deadline.filter(|deadline| *deadline > epoch.opened_at);
        let left = left.map_or(Duration::MAX, |deadline| deadline.since(now) / PROGRAMS);
        self.settings.solve_timeout.min(left.max(SOLVE_LEAST))
    }

    fn plan(&mut self, epoch: &OpenEpoch, missing: &[String], now: MonoTime) -> Vec<Output> {
        let Some(core) = &self.core else { return Vec::new() };
        let (outlook, mut times, reason) = self.outlook(core.feeder(), epoch);
        let (doubts, within) = (self.doubts(core.feeder()), self.solve_within(epoch, now));
        let Some(core) = &mut self.core else { return Vec::new() };
        let Planned { plan, mut warnings, .. } = match reason {
            None => at_length(|| core.plan(&outlook, within)),
            Some(reason) => core.go_on(&reason, &outlook),
        };
        warnings.extend(doubts);
        if !missing.is_empty() {
            warnings.push(format!("no {}; what was known before is planned with", listed(missing)));
        }
        let mut next = times.last().map_or(epoch.end_time, |last| last.plus(length(epoch)));
        while times.len() < plan.steps.len() {
            times.push(next);
            next = next.plus(length(epoch));
        }
        let mut outputs = Vec::new();
        if self.settings.commands {
            let (setpoints, positions) = first_step(&self.settings, &plan);
            outputs = self.commands.outputs(epoch.number, &setpoints, &positions, &[]);
            if self.settings.renew_at_start {
                let storages = self.settings.resources.iter().map(|resource| &resource.unit);
                let storages = storages.filter(|unit| unit.kind == ResourceKind::Storage);
                let storages = storages.map(|unit| unit.name.as_str());
                outputs = self.commands.leave_to_renewal(epoch.number, outputs, storages);
            }
        }
        for warning in &warnings {
            tracing::warn!(epoch = epoch.number, "{warning}");
        }
        let dispatch = Body::Dispatch(dispatch_of(&plan, &times));
        outputs
            .push(Output { warnings: warned(&warnings), ..Output::new(self.plan_topic.clone(), dispatch) });
        outputs
    }

    /// What is sent as an epoch begins, for those who wait for it.
    fn renewal(&mut self, epoch: u64) -> Vec<Output> {
        let again = self.commands.again(epoch);
        if !again.is_empty() {
            return again;
        }
        let (setpoints, _) = first_step(&self.settings, &Plan::default());
        self.commands.outputs(epoch, &setpoints, &[], &[])
    }
}

/// The commands of a plan's first step. Generators and loads that are not curtailed may do what they can.
fn first_step(settings: &OperationalSettings, plan: &Plan) -> (Vec<Setpoint>, Vec<(String, i32)>) {
    let first = plan.steps.first();
    let setpoint = |resource: &super::PlannedResource| {
        let unit = &resource.unit;
        let power = first.and_then(|step| step.powers.get(&unit.name)).copied().unwrap_or_default();
        let free = unit.kind != ResourceKind::Storage && power.curtailed_w == 0.0;
        let real_w = if free { unit.free_power_w() } else { power.real_power_w };
        (unit.name.clone(), real_w, power.reactive_power_var)
    };
    let positions = first.map(|step| step.tap_positions.clone().into_iter().collect()).unwrap_or_default();
    (settings.resources.iter().map(setpoint).collect(), positions)
}

fn hours_since_1970(time: Timestamp) -> f64 {
    let seconds = time.as_datetime().timestamp();
    let days = i32::try_from(seconds.div_euclid(86_400)).unwrap_or(i32::MAX);
    let of_day = i32::try_from(seconds.rem_euclid(86_400)).unwrap_or_default();
    f64::from(days) * 24.0 + f64::from(of_day) / 3_600.0
}

fn length(epoch: &OpenEpoch) -> Duration {
    let span = epoch.end_time.as_datetime() - epoch.start_time.as_datetime();
    span.to_std().unwrap_or_default()
}

/// The value of a forecast in kW at `time`: that of the last point before it. The last point of all holds as long as
/// the one before it did.
fn value_at(forecast: &TimeSeries, time: Timestamp) -> Option<f64> {
    let at = crate::plan_message::step_at(&forecast.time_index, time)?;
    forecast.numbers("RealPower")?.get(at).copied().filter(|kw| kw.is_finite())
}

impl Component for OperationalOptimization {
    fn start(&mut self) -> Result<(), Fault> {
        let resources = self.settings.resources.iter();
        let placed = resources.map(|resource| (resource.unit.name.as_str(), resource.unit.bus.as_deref()));
        self.network.begin(&self.settings.network, placed)
    }

    fn inputs(&self) -> Vec<String> {
        let mut topics: Vec<String> = self.settings.network.topics();
        topics.push("ResourceState.#".to_owned());
        topics.extend(
            ["Load", "Generator", "Storage"].map(|category| format!("ResourceForecastState.{category}.#")),
        );
        topics.extend(self.settings.tap_changers.iter().map(|tap| topic::device_state(&tap.changer.name)));
        if self.settings.commands {
            topics.extend(command_topics(
                self.settings.resources.iter().map(|it| it.unit.name.as_str()),
                self.settings.tap_changers.iter().map(|it| it.changer.name.as_str()),
            ));
        }
        topics
    }

    fn open(&mut self, _: &OpenEpoch) -> Result<(), Fault> {
        self.states.clear();
        self.fresh.clear();
        self.doubtful.clear();
        self.renewed = false;
        Ok(())
    }

    fn take(&mut self, topic: &str, message: &Message, _: MonoTime) -> Result<(), Fault> {
        self.network.take(&message.body)?;
        self.states.take(topic, message);
        self.commands.hear(topic, message);
        if let Body::ResourceForecast(forecast) = &message.body {
            let name = &forecast.resource_id;
            // Before the network is known anybody may be in it.
            let wanted = self.core.as_ref().is_none_or(|core| core.feeder().has(name));
            if wanted && (self.forecasts.len() < FORECASTS_MOST || self.forecasts.contains_key(name)) {
                self.forecasts.insert(name.clone(), forecast.forecast.clone());
                self.fresh.insert(name.clone());
                match message.doubt() {
                    Some(_) => self.doubtful.insert(name.clone()),
                    None => self.doubtful.remove(name),
                };
            }
        }
        Ok(())
    }

    fn step(&mut self, epoch: &OpenEpoch, now: MonoTime) -> Result<Step, Fault> {
        let renews = self.settings.renew_at_start && self.settings.commands;
        if renews && !std::mem::replace(&mut self.renewed, true) {
            return Ok(Step::Publish(self.renewal(epoch.number)));
        }
        self.learn()?;
        let until = give_up_at(epoch, self.settings.input_timeout);
        let late = now >= until;
        let Some(core) = &self.core else {
            if late {
                let missing = self.network.missing().join(", ");
                let waited = self.settings.input_timeout.as_secs_f64();
                return Err(format!("the network is not known: no {missing} came within {waited} s").into());
            }
            return Ok(Step::WakeAt(until));
        };
        let missing = self.missing(core.feeder());
        if !missing.is_empty() && !late {
            return Ok(Step::WakeAt(until));
        }
        self.learn_states();
        Ok(Step::Done(self.plan(epoch, &missing, now)))
    }

    fn findings(&self) -> Option<Value> {
        let totals = self.core.as_ref().map(OperationalCore::totals).unwrap_or_default();
        Some(json!({
            "kind": super::KIND,
            "plans": totals.plans,
            "fallbacks": totals.fallbacks,
            "plans_with_violation": totals.plans_with_violation,
            "planned_cost_eur": totals.cost_eur,
            "planned_tap_operations": totals.tap_operations,
            "planned_energy_kwh": totals.energy_kwh,
        }))
    }
}
