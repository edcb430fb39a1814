//! Real-time congestion management on the bus: [`RealTimeManagement`].

use super::core::{Base, Instructions, RealTimeCore, Sight, When};
use super::settings::RealTimeSettings;
use crate::commands::{Commands, give_up_at, listed};
use crate::network::NetworkInbox;
use crate::plan_message::base_of;
use crate::states::States;
use gridloop_clock::MonoTime;
use gridloop_component::{Component, Fault, OpenEpoch, Output, Step, at_length};
use gridloop_messages::{Body, Dispatch, Message};
use serde_json::{Value, json};

/// Answers the state of the network in an epoch with the setpoints of the next.
///
/// It waits for NIS and CIS data (once), and in each epoch for every voltage and current that has limits, the state of
/// every resource in the network, the position of every tap changer that it controls and, with `base`, the plan.
#[derive(Debug)]
pub struct RealTimeManagement {
    settings: RealTimeSettings,
    network: NetworkInbox,
    core: Option<RealTimeCore>,
    states: States,
    plan: Option<Dispatch>,
    /// The plan came in this epoch.
    plan_is_new: bool,
    commands: Commands,
    renewed: bool,
}

impl RealTimeManagement {
    /// The component.
    #[must_use]
    pub fn new(settings: RealTimeSettings) -> Self {
        Self {
            settings,
            network: NetworkInbox::default(),
            core: None,
            states: States::default(),
            plan: None,
            plan_is_new: false,
            commands: Commands::default(),
            renewed: false,
        }
    }

    fn plan_topic(&self) -> Option<String> {
        self.settings.base.as_deref().map(crate::plan_message::plan_topic)
    }

    /// Makes the core when the network is known.
    fn learn(&mut self) -> Result<(), Fault> {
        if self.core.is_some() {
            return Ok(());
        }
        if let Some(feeder) = self.network.feeder()? {
            let core = RealTimeCore::new(self.settings.clone(), feeder);
            self.core = Some(core.map_err(|error| Fault::caused_by(&error))?);
        }
        Ok(())
    }

    /// The complete state of the epoch; else what is missing or wrong.
    fn sight(&self, core: &RealTimeCore) -> Result<Sight, String> {
        let mut missing = Vec::new();
        let values = match self.states.values(core.feeder()) {
            Ok(values) => values,
            Err(labels) => {
                missing.extend(labels);
                Vec::new()
            }
        };
        let silent = core.feeder().resources().filter(|name| !self.states.powers.contains_key(*name));
        missing.extend(silent.map(|name| format!("resource {name}")));
        let taps = self.settings.tap_changers.iter().map(|tap| &tap.changer.name);
        let unknown = taps.filter(|name| !self.states.positions.contains_key(*name));
        missing.extend(unknown.map(|name| format!("position of {name}")));
        if self.settings.base.is_some() && !self.plan_is_new {
            missing.push("the plan".to_owned());
        }
        if !missing.is_empty() {
            return Err(format!("the state of the network is not complete: no {}", listed(&missing)));
        }
        let states = &self.states;
        let positions = states.positions.iter();
        Ok(Sight {
            values,
            powers: states.powers.clone(),
            states_of_charge: states.states_of_charge.clone(),
            tap_positions: positions.filter_map(|(name, at)| Some((name.clone(), (*at)?))).collect(),
            unreliable: states.unreliable.clone(),
        })
    }

    /// What is sent as an epoch begins, for those who wait for it.
    fn renewal(&mut self, epoch: u64) -> Vec<Output> {
        let again = self.commands.again();
        if !again.is_empty() {
            return again;
        }
        let free = |resource: &super::ControlledResource| {
            let (real_w, reactive_var) = resource.base(&Base::default());
            (resource.unit.name.clone(), real_w, reactive_var)
        };
        let setpoints: Vec<_> = self.settings.resources.iter().map(free).collect();
        self.commands.outputs(epoch, &setpoints, &[], &[])
    }

    /// What is missing is waited for; `late` ends that.
    fn decide(&mut self, epoch: &OpenEpoch, late: bool) -> Option<Instructions> {
        let core = self.core.as_ref()?;
        let mut sight = self.sight(core);
        // A plan that does not come is no reason to be blind: the last one is followed.
        if late && sight.is_err() && !self.plan_is_new {
            self.plan_is_new = true;
            sight = self.sight(core);
        }
        if sight.is_err() && !late {
            return None;
        }
        let base = self.plan.as_ref().map(|plan| base_of(plan, epoch.end_time)).unwrap_or_default();
        let sight = match &self.states.doubt {
            Some(doubt) => Err(doubt.clone()),
            None => sight,
        };
        let core = self.core.as_mut()?;
        Some(match sight {
            Err(reason) => core.go_on_blind(&reason, &base),
            Ok(sight) => look(core, &sight, &base, epoch),
        })
    }
}

/// Decides, or goes on blind where the power flow has no solution.
fn look(core: &mut RealTimeCore, sight: &Sight, base: &Base, epoch: &OpenEpoch) -> Instructions {
    if let Some((at, value)) =
        sight.values.iter().enumerate().find(|(_, value)| !(0.0..=5.0).contains(*value))
    {
        let place = core.feeder().places().list().get(at).map(|place| place.describe(*value));
        return core.go_on_blind(&format!("{} cannot be", place.unwrap_or_default()), base);
    }
    let (start, end) = (epoch.start_time.as_datetime(), epoch.end_time.as_datetime());
    let day = start.timestamp().div_euclid(86_400);
    let seconds = (end - start).as_seconds_f64();
    match at_length(|| core.decide(sight, base, When { day, hours: seconds / 3_600.0 })) {
        Ok(instructions) => instructions,
        Err(error) => {
            core.go_on_blind(&format!("the power flow at the measured powers has no solution: {error}"), base)
        }
    }
}

impl Component for RealTimeManagement {
    fn start(&mut self) -> Result<(), Fault> {
        let resources = self.settings.resources.iter();
        let placed = resources.map(|resource| (resource.unit.name.as_str(), resource.unit.bus.as_deref()));
        self.network.begin(&self.settings.network, placed)
    }

    fn inputs(&self) -> Vec<String> {
        let mut topics: Vec<String> = self.settings.network.topics();
        topics.push(format!("NetworkState.{}.#", self.settings.grid));
        topics.push("ResourceState.#".to_owned());
        topics.extend(
            self.settings
                .tap_changers
                .iter()
                .map(|tap| gridloop_messages::topic::device_state(&tap.changer.name)),
        );
        topics.extend(self.plan_topic());
        topics
    }

    fn open(&mut self, _: &OpenEpoch) -> Result<(), Fault> {
        self.states.clear();
        (self.plan_is_new, self.renewed) = (false, false);
        Ok(())
    }

    fn take(&mut self, topic: &str, message: &Message, _: MonoTime) -> Result<(), Fault> {
        self.network.take(&message.body)?;
        self.states.take(topic, message);
        if let Body::Dispatch(dispatch) = &message.body {
            self.plan = Some(dispatch.clone());
            self.plan_is_new = true;
        }
        Ok(())
    }

    fn step(&mut self, epoch: &OpenEpoch, now: MonoTime) -> Result<Step, Fault> {
        if self.settings.renew_at_start && !std::mem::replace(&mut self.renewed, true) {
            return Ok(Step::Publish(self.renewal(epoch.number)));
        }
        self.learn()?;
        let until = give_up_at(epoch, self.settings.state_timeout);
        let late = now >= until;
        if self.core.is_none() {
            if late {
                let missing = self.network.missing().join(", ");
                let waited = self.settings.state_timeout.as_secs_f64();
                return Err(format!("the network is not known: no {missing} came within {waited} s").into());
            }
            return Ok(Step::WakeAt(until));
        }
        match self.decide(epoch, late) {
            None => Ok(Step::WakeAt(until)),
            Some(instructions) => {
                let Instructions { setpoints, tap_positions, warnings } = instructions;
                Ok(Step::Done(self.commands.outputs(epoch.number, &setpoints, &tap_positions, &warnings)))
            }
        }
    }

    fn findings(&self) -> Option<Value> {
        let totals = self.core.as_ref().map(|core| core.totals().clone()).unwrap_or_default();
        let worst = totals.worst.as_ref().map(|(by, place)| json!({"beyond_limit": by, "place": place}));
        Some(json!({
            "kind": super::KIND,
            "epochs_with_state": totals.epochs_seen,
            "epochs_without_state": totals.epochs_blind,
            "epochs_released": totals.epochs_released,
            "epochs_with_violation": totals.epochs_with_violation,
            "epochs_not_repaired": totals.epochs_not_repaired,
            "worst_violation": worst,
            "tap_operations": totals.tap_operations,
            "curtailed_kwh": totals.curtailed_kwh,
            "shed_kwh": totals.shed_kwh,
            "storage_kwh": totals.storage_kwh,
            "reactive_kvarh": totals.reactive_kvarh,
        }))
    }
}
