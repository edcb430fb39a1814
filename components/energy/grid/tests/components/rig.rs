//! A component core, its time, and everybody else on the bus.

use gridloop_clock::MonoTime;
use gridloop_component::{Action, Component, ComponentCore, Identity, Input};
use gridloop_grid::{Awaited, Details, Grid, GridSettings, NetworkDescription, NetworkSource, Place, Unsaid};
use gridloop_messages::{
    Body, BranchCurrent, BusType, BusVoltage, CustomerInfo, Decoded, DeviceState, Epoch, EpochFields, Header,
    Message, NetworkBusInfo, NetworkComponentInfo, NetworkState, PointQuality, PointSource, PointState,
    ResourceState, SimState, SimulationId, SimulationState, Status, StatusValue, Timestamp, Warning,
    WarningKind, decode, topic,
};
use gridloop_power_flow::{BusKind, PerUnitBranch, PerUnitBus, PerUnitNetwork, Wires};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

pub(crate) fn start() -> Timestamp {
    Timestamp::parse("2026-06-21T00:00:00.000Z").unwrap()
}

/// A message that somebody sends, with its topic.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) topic: String,
    pub(crate) source: String,
    pub(crate) body: Body,
    pub(crate) warned: Option<WarningKind>,
}

pub(crate) fn sent(topic: impl Into<String>, source: &str, body: Body) -> Sent {
    Sent { topic: topic.into(), source: source.into(), body, warned: None }
}

impl Sent {
    pub(crate) fn with_a_warning(self) -> Self {
        self.with_warning(WarningKind::InputUnreliable)
    }

    pub(crate) fn with_warning(self, kind: WarningKind) -> Self {
        Self { warned: Some(kind), ..self }
    }
}

pub(crate) struct Rig {
    core: ComponentCore<Box<dyn Component>>,
    now: MonoTime,
    epoch: u64,
    messages: u64,
}

/// What the component published.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Said {
    pub(crate) topic: String,
    pub(crate) message: Message,
}

impl Said {
    pub(crate) fn warnings(&self) -> String {
        let warnings = &self.message.header.epoch.as_ref().unwrap().warnings;
        warnings.iter().map(Warning::as_str).collect::<Vec<_>>().join("|")
    }
}

impl Rig {
    /// The component, after SimState `running` and its answer to that.
    pub(crate) fn new(component: Box<dyn Component>) -> Self {
        let simulation_id = SimulationId::new(start());
        let identity = Identity { name: "tested".into(), simulation_id, manager: None, numbered_from: 0 };
        let core = ComponentCore::new(component, identity);
        let mut rig = Self { core, now: MonoTime::from_nanos(0), epoch: 0, messages: 0 };
        let running = SimState { simulation_state: SimulationState::Running, name: None, description: None };
        rig.hear_in(None, &sent(topic::SIM_STATE, "manager", Body::SimState(running)));
        rig
    }

    pub(crate) fn grid(settings: GridSettings) -> Self {
        Self::new(Box::new(Grid::new(settings)))
    }

    /// The next epoch begins, an hour long.
    pub(crate) fn next_epoch(&mut self) -> Vec<Said> {
        self.epoch += 1;
        let number = u32::try_from(self.epoch).unwrap();
        let start_time = start().plus(HOUR * (number - 1));
        let epoch = Epoch { start_time, end_time: start_time.plus(HOUR), pacing: None };
        self.hear_in(Some(self.epoch), &sent(topic::EPOCH, "manager", Body::Epoch(epoch)))
    }

    /// A message of the present epoch.
    pub(crate) fn hear(&mut self, sent: &Sent) -> Vec<Said> {
        self.hear_in(Some(self.epoch), sent)
    }

    pub(crate) fn hear_in(&mut self, epoch: Option<u64>, sent: &Sent) -> Vec<Said> {
        self.messages += 1;
        let message = self.message(epoch, sent);
        self.deliver(&sent.topic, &message)
    }

    pub(crate) fn hear_all(&mut self, sent: &[Sent]) -> Vec<Said> {
        sent.iter().flat_map(|sent| self.hear(sent)).collect()
    }

    /// The next message, not delivered yet.
    pub(crate) fn message(&self, epoch: Option<u64>, sent: &Sent) -> Message {
        let warnings = sent.warned.map(|kind| Warning::new(kind, "stale")).into_iter().collect();
        let epoch = epoch.map(|epoch_number| EpochFields {
            epoch_number,
            triggering_message_ids: vec!["manager-1".into()],
            warnings,
            ..EpochFields::default()
        });
        let header = Header {
            simulation_id: SimulationId::new(start()),
            timestamp: start(),
            source_process_id: sent.source.clone(),
            message_id: format!("{}-{}", sent.source, self.messages),
            epoch,
        };
        Message { header, body: sent.body.clone() }
    }

    pub(crate) fn deliver(&mut self, topic: &str, message: &Message) -> Vec<Said> {
        let body = message.encode().unwrap();
        let (topic, message) = (topic.into(), Arc::new(message.clone()));
        self.handle(Input::Message { topic: &topic, message: &message, body: &body })
    }

    /// Waits until the component wants to be woken, and wakes it.
    pub(crate) fn wake(&mut self) -> Vec<Said> {
        self.now = self.core.wake_at().expect("it waits for an instant");
        self.handle(Input::WakeUp)
    }

    fn handle(&mut self, input: Input<'_>) -> Vec<Said> {
        let mut actions = Vec::new();
        self.core.handle(input, self.now, start(), &mut actions);
        let published = actions.into_iter().filter_map(|action| match action {
            Action::Publish { topic, body } => Some((topic, body)),
            Action::End(_) => None,
        });
        let said = published.map(|(topic, body)| match decode(&body, start()).unwrap() {
            Decoded::Message(message) => Said { topic: topic.to_string(), message },
            Decoded::General(_) => panic!("unknown type"),
        });
        said.collect()
    }

    pub(crate) fn findings(&mut self) -> serde_json::Value {
        self.core.findings().expect("findings")
    }
}

/// Whether the last of what was said is Status `ready`.
pub(crate) fn is_ready(said: &[Said]) -> bool {
    matches!(
        said.last().map(|said| &said.message.body),
        Some(Body::Status(Status { value: StatusValue::Ready, .. }))
    )
}

/// The Description of Status `error`.
pub(crate) fn error(said: &[Said]) -> &str {
    match said.last().map(|said| &said.message.body) {
        Some(Body::Status(status)) if status.value == StatusValue::Error => {
            status.description.as_deref().unwrap()
        }
        other => panic!("no error, but {other:?}"),
    }
}

pub(crate) fn voltages(said: &[Said]) -> Vec<&BusVoltage> {
    let each = said.iter().filter_map(|said| match &said.message.body {
        Body::NetworkState(NetworkState::Voltage(voltage)) => Some(voltage),
        _ => None,
    });
    each.collect()
}

pub(crate) fn currents(said: &[Said]) -> Vec<&BranchCurrent> {
    let each = said.iter().filter_map(|said| match &said.message.body {
        Body::NetworkState(NetworkState::Current(current)) => Some(current),
        _ => None,
    });
    each.collect()
}

/// The voltage of one phase in kV.
pub(crate) fn voltage_kv(said: &[Said], bus: &str, phase: usize) -> f64 {
    let of_bus: Vec<_> = voltages(said).into_iter().filter(|voltage| voltage.bus == bus).collect();
    of_bus[phase - 1].magnitude_kv
}

/// src - b1 - b2 of the golden case of wire contract 6.8.
pub(crate) fn buses() -> NetworkBusInfo {
    NetworkBusInfo {
        bus_voltage_base_kv: vec![0.4; 3],
        bus_name: vec!["src".into(), "b1".into(), "b2".into()],
        bus_type: vec![BusType::Root, BusType::Dummy, BusType::UsagePoint],
    }
}

pub(crate) fn branches() -> NetworkComponentInfo {
    NetworkComponentInfo {
        resistance_pu: vec![0.05, 0.04],
        reactance_pu: vec![0.02, 0.01],
        shunt_admittance_pu: vec![0.0; 2],
        shunt_conductance_pu: vec![0.0; 2],
        rated_current_pu: vec![1.2, 0.9],
        sending_end_bus: vec!["src".into(), "b1".into()],
        receiving_end_bus: vec!["b1".into(), "b2".into()],
        device_id: vec!["L1".into(), "L2".into()],
        power_base_kva: 50.0,
    }
}

pub(crate) fn customers(rows: &[(&str, &str)]) -> CustomerInfo {
    CustomerInfo {
        resource_id: rows.iter().map(|(resource, _)| (*resource).to_owned()).collect(),
        customer_id: rows.iter().map(|_| "c7".to_owned()).collect(),
        bus_name: rows.iter().map(|(_, bus)| (*bus).to_owned()).collect(),
    }
}

pub(crate) fn bus_info(info: NetworkBusInfo) -> Sent {
    sent(topic::NETWORK_BUS_INFO, "nis", Body::NetworkBusInfo(info))
}

pub(crate) fn component_info(info: NetworkComponentInfo) -> Sent {
    sent(topic::NETWORK_COMPONENT_INFO, "nis", Body::NetworkComponentInfo(Box::new(info)))
}

pub(crate) fn customer_info(info: CustomerInfo) -> Sent {
    sent(topic::CUSTOMER_INFO, "cis", Body::CustomerInfo(info))
}

pub(crate) fn state(name: &str, real_power_kw: f64, reactive_power_kvar: f64, node: Option<u8>) -> Sent {
    let category = if real_power_kw > 0.0 { "Generator" } else { "Load" };
    let customer_id = "c7".to_owned();
    let state = ResourceState {
        customer_id,
        real_power_kw,
        reactive_power_kvar,
        node,
        state_of_charge_percent: None,
    };
    sent(topic::resource_state(category, name), name, Body::ResourceState(state))
}

pub(crate) fn device_state(device: &str, value: f64, quality: PointQuality) -> Sent {
    let (name, unit, source) = ("tap_position".to_owned(), "1".to_owned(), PointSource::Field);
    let point = PointState { name, value, unit, quality, source, age_s: 0.1 };
    let state = DeviceState { device_id: device.to_owned(), points: vec![point] };
    sent(topic::device_state(device), device, Body::DeviceState(state))
}

/// The same network, described without messages, with `load` at b2.
pub(crate) fn description() -> NetworkDescription {
    let bus = |name: &str, kind| PerUnitBus { name: name.into(), base_voltage_v: 400.0, kind };
    let branch = |name: &str, from: &str, to: &str, resistance_pu, reactance_pu, rated| PerUnitBranch {
        name: name.into(),
        sending_bus: from.into(),
        receiving_bus: to.into(),
        resistance_pu,
        reactance_pu,
        shunt_conductance_pu: 0.0,
        shunt_susceptance_pu: 0.0,
        rated_current_pu: Some(rated),
        taps: None,
    };
    NetworkDescription {
        network: PerUnitNetwork {
            base_power_va: 50e3,
            buses: vec![bus("src", BusKind::Root), bus("b1", BusKind::Dummy), bus("b2", BusKind::UsagePoint)],
            branches: vec![
                branch("L1", "src", "b1", 0.05, 0.02, 1.2),
                branch("L2", "b1", "b2", 0.04, 0.01, 0.9),
            ],
            root_voltage_pu: 1.02,
            wires: Wires::NeutralEarthedEverywhere,
        },
        details: Details::default(),
        tap_positions: BTreeMap::new(),
        resources: BTreeMap::from([("load".to_owned(), Place::at("c7", "b2"))]),
    }
}

pub(crate) fn settings(source: NetworkSource) -> GridSettings {
    GridSettings {
        grid_id: "valley".into(),
        source,
        resources: BTreeMap::new(),
        awaited: Awaited::default(),
        taps: BTreeMap::new(),
        source_voltage_pu: Vec::new(),
        input_timeout: Duration::from_secs(60),
    }
}

pub(crate) fn from_messages(wires: Wires) -> NetworkSource {
    NetworkSource::Messages(Unsaid { root_voltage_pu: 1.02, wires, ..Unsaid::default() })
}

pub(crate) fn from_file(description: NetworkDescription) -> NetworkSource {
    NetworkSource::File(Box::new(description))
}
