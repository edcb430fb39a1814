//! A feeder behind messages: what NIS, CIS, a grid, resources and a tap changer would publish.

use gridloop_clock::MonoTime;
use gridloop_component::{Component, OpenEpoch, Output, Step};
use gridloop_congestion::{Feeder, KINDS, Kind, Place, Point, Power, Quantity, Site};
use gridloop_messages::{
    Body, BranchCurrent, BusType, BusVoltage, Conductor, CustomerInfo, DeviceState, EpochFields, Header,
    Message, NetworkBusInfo, NetworkComponentInfo, NetworkState, PointQuality, PointSource, PointState,
    ResourceForecast, ResourceState, SimulationId, TimeSeries, Timestamp, Warning, topic,
};
use gridloop_power_flow::{
    BuiltIn, BusKind, Network, PerUnitBranch, PerUnitBus, PerUnitNetwork, TapRange, Wires,
};
use gridloop_service::{Diagnostics, Document, Section};
use std::collections::BTreeMap;
use std::time::Duration;

type Branch = (&'static str, &'static str, &'static str, f64, f64, f64);
type Reader = dyn Fn(&Section<'_>) -> Kind;

/// Name, from, to, R, X, rated current: the way from the transformer to the large PV system of the paper's network.
const BRANCHES: [Branch; 4] = [
    ("T1", "source", "1", 0.072, 0.134, 1.739_13),
    ("L1", "1", "2", 0.056, 0.008, 1.12),
    ("L5", "2", "6", 0.249, 0.038, 1.12),
    ("L6", "6", "7", 0.143, 0.002, 0.624),
];
const BUSES: [&str; 5] = ["source", "1", "2", "6", "7"];
/// Resource, bus, category.
pub(crate) const RESOURCES: [(&str, &str, &str); 3] =
    [("house7", "7", "Load"), ("pv7", "7", "Generator"), ("battery7", "7", "Storage")];

pub(crate) const REAL_TIME: &str = r#"
kind = "real-time-congestion-management"
grid = "grid"
min_voltage_pu = 0.92
max_voltage_pu = 1.08
hold_epochs = 1
state_timeout_s = 2

[resource.pv7]
type = "generator"
rated_power_kw = 15
rated_apparent_power_kva = 16.5
max_reactive_power_kvar = 6

[tap_changer.oltc1]
branch = "T1"
range = { lowest = -4, highest = 4, neutral = 0, step_percent = 2.5 }
"#;

pub(crate) const OPERATIONAL: &str = r#"
kind = "operational-grid-optimization"
min_voltage_pu = 0.92
max_voltage_pu = 1.08
steps = 4
input_timeout_s = 2

[resource.pv7]
type = "generator"
contract = "mandated"
rated_power_kw = 15
rated_apparent_power_kva = 16.5
max_reactive_power_kvar = 6

[resource.battery7]
type = "storage"
contract = "owned"
rated_power_kw = 5
capacity_kwh = 10

[tap_changer.oltc1]
branch = "T1"
range = { lowest = -4, highest = 4, neutral = 0, step_percent = 2.5 }
"#;

/// The component that a table describes.
pub(crate) fn read(text: &str) -> Result<Box<dyn Component>, Diagnostics> {
    named("ogo1", text)
}

/// The same, by another name.
pub(crate) fn named(name: &str, text: &str) -> Result<Box<dyn Component>, Diagnostics> {
    let document = Document::parse("test.toml", text)?;
    let root = document.root();
    let readers: Vec<_> =
        KINDS.iter().map(|(word, read)| (*word, move |section: &Section<'_>| read(section))).collect();
    let kinds: Vec<(&str, &Reader)> = readers.iter().map(|(word, read)| (*word, read as &Reader)).collect();
    let kind = root.variants("kind", "What it is.", &kinds);
    document.finish()?;
    let mut component = kind.unwrap().make(name).unwrap();
    component.start().unwrap();
    Ok(component)
}

pub(crate) fn component(text: &str) -> Box<dyn Component> {
    read(text).unwrap_or_else(|error| panic!("{error:?}"))
}

pub(crate) fn time(epoch: u64) -> Timestamp {
    let first = Timestamp::parse("2026-06-21T08:00:00.000Z").unwrap();
    first.plus(Duration::from_secs(900) * u32::try_from(epoch).unwrap())
}

pub(crate) fn open_epoch(number: u64) -> OpenEpoch {
    let opened_at = at(number, 0.0);
    OpenEpoch {
        number,
        start_time: time(number),
        end_time: time(number + 1),
        nominal_start: opened_at,
        deadline: None,
        opened_at,
    }
}

/// An instant of an epoch of ten seconds.
pub(crate) fn at(epoch: u64, seconds: f64) -> MonoTime {
    MonoTime::from_nanos(epoch * 10_000_000_000) + Duration::from_secs_f64(seconds)
}

pub(crate) fn message(source: &str, epoch: u64, body: Body, warnings: Vec<Warning>) -> Message {
    let fields = EpochFields {
        epoch_number: epoch,
        triggering_message_ids: vec!["Clock-1".into()],
        warnings,
        ..EpochFields::default()
    };
    let header = Header {
        simulation_id: SimulationId::new(time(0)),
        timestamp: time(0),
        source_process_id: source.into(),
        message_id: format!("{source}-1"),
        epoch: Some(fields),
    };
    Message { header, body }
}

pub(crate) type Told = Vec<(String, Message)>;

/// What NIS and CIS say in epoch 1.
pub(crate) fn network_messages() -> Told {
    let numbers = |of: fn(&Branch) -> f64| BRANCHES.iter().map(of).collect::<Vec<_>>();
    let texts =
        |of: fn(&Branch) -> &'static str| BRANCHES.iter().map(of).map(str::to_owned).collect::<Vec<_>>();
    let buses = NetworkBusInfo {
        bus_voltage_base_kv: vec![0.4; BUSES.len()],
        bus_name: BUSES.map(str::to_owned).to_vec(),
        bus_type: BUSES
            .iter()
            .map(|bus| if *bus == "source" { BusType::Root } else { BusType::UsagePoint })
            .collect(),
    };
    let branches = NetworkComponentInfo {
        resistance_pu: numbers(|it| it.3),
        reactance_pu: numbers(|it| it.4),
        shunt_admittance_pu: vec![0.0; BRANCHES.len()],
        shunt_conductance_pu: vec![0.0; BRANCHES.len()],
        rated_current_pu: numbers(|it| it.5),
        sending_end_bus: texts(|it| it.1),
        receiving_end_bus: texts(|it| it.2),
        device_id: texts(|it| it.0),
        power_base_kva: 50.0,
    };
    let customers = CustomerInfo {
        resource_id: RESOURCES.iter().map(|it| it.0.to_owned()).collect(),
        customer_id: vec!["c7".into(); RESOURCES.len()],
        bus_name: RESOURCES.iter().map(|it| it.1.to_owned()).collect(),
    };
    vec![
        (topic::NETWORK_BUS_INFO.into(), message("nis", 1, Body::NetworkBusInfo(buses), vec![])),
        (
            topic::NETWORK_COMPONENT_INFO.into(),
            message("nis", 1, Body::NetworkComponentInfo(Box::new(branches)), vec![]),
        ),
        (topic::CUSTOMER_INFO.into(), message("cis", 1, Body::CustomerInfo(customers), vec![])),
    ]
}

/// The feeder outside: its resources obey what they were told an epoch ago.
pub(crate) struct Plant {
    feeder: Feeder,
    branch: usize,
    pub(crate) position: i32,
    pub(crate) told: BTreeMap<String, (f64, f64)>,
    pub(crate) stored_kwh: f64,
}

impl Plant {
    pub(crate) fn new() -> Self {
        let buses = BUSES.iter().map(|name| PerUnitBus {
            name: (*name).into(),
            base_voltage_v: 400.0,
            kind: if *name == "source" { BusKind::Root } else { BusKind::UsagePoint },
        });
        let branches = BRANCHES.iter().map(|&(name, from, to, r, x, rated)| PerUnitBranch {
            name: name.into(),
            sending_bus: from.into(),
            receiving_bus: to.into(),
            // Not quite what NIS says.
            resistance_pu: r * 1.1,
            reactance_pu: x * 0.9,
            shunt_conductance_pu: 0.0,
            shunt_susceptance_pu: 0.0,
            rated_current_pu: Some(rated),
            taps: (name == "T1").then_some(TapRange { lowest: -4, highest: 4, neutral: 0, step: 0.025 }),
        });
        let network = PerUnitNetwork {
            base_power_va: 50_000.0,
            buses: buses.collect(),
            branches: branches.collect(),
            root_voltage_pu: 1.0,
            wires: Wires::NeutralEarthedEverywhere,
        };
        let engine = BuiltIn::new(&Network::from_per_unit(&network).unwrap()).unwrap();
        let places = RESOURCES.iter().map(|it| (it.0.to_owned(), Site::at(it.1))).collect();
        let feeder = Feeder::new(Box::new(engine), &places).unwrap();
        let branch = feeder.taps("T1").unwrap().0;
        Self { feeder, branch, position: 0, told: BTreeMap::new(), stored_kwh: 5.0 }
    }

    /// What is published in an epoch in which the sun gives so many watts, and the highest voltage of it.
    pub(crate) fn states(&mut self, epoch: u64, sun_w: f64) -> (Told, f64) {
        let (ceiling, reactive) = self.told.get("pv7").copied().unwrap_or((f64::MAX, 0.0));
        let battery = self.told.get("battery7").copied().unwrap_or_default();
        self.stored_kwh -= battery.0 / 4000.0;
        let powers =
            [("house7", -400.0, 0.0), ("pv7", sun_w.min(ceiling), reactive), ("battery7", battery.0, 0.0)];
        let powers: BTreeMap<String, Power> = powers
            .map(|(name, real_power_w, reactive_power_var)| {
                (name.to_owned(), Power { real_power_w, reactive_power_var, node: None })
            })
            .into();
        let taps = BTreeMap::from([(self.branch, self.position)]);
        let values = self.feeder.solve(&Point { powers: powers.clone(), taps }).unwrap();
        let places = self.feeder.places().list();
        let mut told: Told =
            places.iter().zip(&values).map(|(place, value)| network_state(epoch, place, *value)).collect();
        for (name, _, category) in RESOURCES {
            told.push(self.resource_state(epoch, name, category, powers[name]));
        }
        told.push(device_state(epoch, f64::from(self.position), PointQuality::Good));
        let voltages =
            places.iter().zip(&values).filter(|(place, _)| place.is_voltage()).map(|(_, value)| *value);
        (told, voltages.fold(f64::MIN, f64::max))
    }

    fn resource_state(&self, epoch: u64, name: &str, category: &str, power: Power) -> (String, Message) {
        let state = ResourceState {
            customer_id: "c7".into(),
            real_power_kw: power.real_power_w / 1000.0,
            reactive_power_kvar: power.reactive_power_var / 1000.0,
            node: None,
            state_of_charge_percent: (category == "Storage").then_some(self.stored_kwh * 10.0),
        };
        (topic::resource_state(category, name), message(name, epoch, Body::ResourceState(state), vec![]))
    }

    /// Obeys the control messages among these.
    pub(crate) fn obey(&mut self, outputs: &[Output]) {
        for output in outputs {
            match &output.body {
                Body::PowerSetpoint(setpoint) => {
                    let name = output.topic.rsplit('.').next().unwrap().to_owned();
                    self.told.insert(
                        name,
                        (setpoint.real_power_kw * 1000.0, setpoint.reactive_power_kvar * 1000.0),
                    );
                }
                Body::TapPosition(setpoint) => self.position = setpoint.tap_position,
                _ => {}
            }
        }
    }
}

fn network_state(epoch: u64, place: &Place, value: f64) -> (String, Message) {
    let phase = match place.conductor {
        gridloop_power_flow::Conductor::Phase1 => Conductor::Phase1,
        gridloop_power_flow::Conductor::Phase2 => Conductor::Phase2,
        _ => Conductor::Phase3,
    };
    let (topic, state) = match place.quantity {
        Quantity::Voltage { .. } => {
            let state = BusVoltage {
                magnitude_kv: value * 0.4,
                angle_deg: 0.0,
                bus: place.name.clone(),
                node: phase,
            };
            (topic::network_voltage("grid", &place.name), NetworkState::Voltage(state))
        }
        Quantity::Loading { rated_a } => {
            let state = BranchCurrent {
                magnitude_sending_end_a: value * rated_a,
                magnitude_receiving_end_a: value * rated_a,
                angle_sending_end_deg: 0.0,
                angle_receiving_end_deg: 0.0,
                device_id: place.name.clone(),
                phase,
            };
            (topic::network_current("grid", &place.name), NetworkState::Current(state))
        }
    };
    (topic, message("grid", epoch, Body::NetworkState(state), vec![]))
}

pub(crate) fn device_state(epoch: u64, position: f64, quality: PointQuality) -> (String, Message) {
    let point = PointState {
        name: "tap_position".into(),
        value: position,
        unit: "1".into(),
        quality,
        source: PointSource::Simulated,
        age_s: 0.1,
    };
    let state = DeviceState { device_id: "oltc1".into(), points: vec![point] };
    (topic::device_state("oltc1"), message("oltc1", epoch, Body::DeviceState(state), vec![]))
}

/// The forecasts of house and sun from this epoch on, by epoch.
pub(crate) fn forecasts(epoch: u64, sun_w: impl Fn(u64) -> f64) -> Told {
    let times: Vec<Timestamp> = (epoch..epoch + 8).map(time).collect();
    let forecast = |name: &str, category: &str, kw: Vec<f64>| {
        let forecast = TimeSeries::single(times.clone(), "RealPower", "kW", kw);
        let body = Body::ResourceForecast(ResourceForecast { resource_id: name.into(), forecast });
        (topic::resource_forecast(category, name), message("forecaster", epoch, body, vec![]))
    };
    vec![
        forecast("house7", "Load", vec![-0.4; 8]),
        forecast("pv7", "Generator", (epoch..epoch + 8).map(|epoch| sun_w(epoch) / 1000.0).collect()),
    ]
}

/// Opens an epoch, tells all that, and gives the outputs.
pub(crate) fn run(component: &mut dyn Component, number: u64, told: &Told) -> Vec<Output> {
    let epoch = open_epoch(number);
    component.open(&epoch).unwrap();
    for (topic, message) in told {
        component.take(topic, message, at(number, 0.1)).unwrap();
    }
    match component.step(&epoch, at(number, 0.2)).unwrap() {
        Step::Done(outputs) => outputs,
        other => panic!("epoch {number}: {other:?}"),
    }
}
