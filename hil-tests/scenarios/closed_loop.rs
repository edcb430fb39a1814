//! The loop between devices and a network model: powers and positions go to the network, its voltages come back.

use async_trait::async_trait;
use bytes::Bytes;
use gridloop_clock::{MonoTime, SharedClock};
use gridloop_component::{Component, Fault, Identity, OpenEpoch, Output, Poke, Step, join};
use gridloop_device::{
    Applied, Command, Description, Device, DeviceError, SafeState, Setpoint, Snapshot, point as points,
};
use gridloop_gateway::drivers::{OpenError, Opened, Opener};
use gridloop_gateway::{Address, TwinSettings};
use gridloop_hil_tests::world::{Author, Run, World, at_epochs, honest, simulated, spoil};
use gridloop_messages::{Body, BusVoltage, Conductor, Message, NetworkState, Warning, WarningKind, topic};
use gridloop_plant::LivePlant;
use gridloop_platform_manager::Configuration;
use gridloop_realtime_manager::Outcome;
use gridloop_simulated::SimulatedDevice;
use std::collections::BTreeMap;
use std::time::Duration;

/// Six-second epochs: a step of the tap changer and its rest take two of them.
const LOOP: &str = r#"
[simulation]
name = "a loop"
initial_start_time = "2026-06-21T12:00:00.000Z"
epoch_length_s = 6
epochs = 40

[manager]
start_delay_s = 0
external_components = ["grid"]

[device.pv1]
driver = "simulated"
category = "Generator"
request_timeout_s = 0.2
follows = { bus = "2" }

[device.pv1.twin]
plant = "pv-inverter"
rated_power_w = 10000
irradiance_w_per_m2 = 1000
volt_var = "ieee-1547-b"

[device.oltc1]
driver = "simulated"
request_timeout_s = 0.2
follows = { grid = "grid", bus = "1" }

[device.oltc1.twin]
plant = "tap-changer"
mode = "automatic"
"#;

const PV1: &str = "ResourceState.Generator.pv1";
const PV1_POINTS: &str = "DeviceState.pv1";
const OLTC1_POINTS: &str = "DeviceState.oltc1";

/// What feeds the tap changer, line to neutral: 4.3 % above what it regulates to.
const SOURCE_V: f64 = 240.0;
/// The line from bus 1, behind the tap changer, to bus 2, where the inverter is.
const RESISTANCE_OHM: f64 = 0.4;
const REACTANCE_OHM: f64 = 0.4;

fn bus1_v(position: f64) -> f64 {
    SOURCE_V * (1.0 + (position - 5.0) * 0.025)
}

/// The linear rise of the voltage along the line, by the power of all three phases.
fn rise_v(watts: f64, var: f64) -> f64 {
    (RESISTANCE_OHM * watts + REACTANCE_OHM * var) / (3.0 * 230.0)
}

/// Two buses, a tap changer and a line, linear. It waits for what the devices publish in the epoch.
#[derive(Default)]
struct TinyGrid {
    power: Option<(f64, f64)>,
    position: Option<f64>,
    /// The first epoch in which it answers and says nothing of the network.
    silent_from: Option<u64>,
}

impl Component for TinyGrid {
    fn inputs(&self) -> Vec<String> {
        vec![PV1.to_owned(), OLTC1_POINTS.to_owned()]
    }

    fn open(&mut self, _: &OpenEpoch) -> Result<(), Fault> {
        (self.power, self.position) = (None, None);
        Ok(())
    }

    fn take(&mut self, _: &str, message: &Message, _: MonoTime) -> Result<(), Fault> {
        match &message.body {
            Body::ResourceState(state) => {
                self.power = Some((state.real_power_kw * 1000.0, state.reactive_power_kvar * 1000.0));
            }
            Body::DeviceState(state) => self.position = point(state, "tap_position"),
            _ => {}
        }
        Ok(())
    }

    fn step(&mut self, epoch: &OpenEpoch, _: MonoTime) -> Result<Step, Fault> {
        if self.silent_from.is_some_and(|from| epoch.number >= from) {
            return Ok(Step::Done(Vec::new()));
        }
        let (Some((watts, var)), Some(position)) = (self.power, self.position) else {
            return Ok(Step::Waiting);
        };
        let bus1_v = bus1_v(position);
        let buses = [("1", bus1_v), ("2", bus1_v + rise_v(watts, var))];
        let outputs = buses.into_iter().flat_map(|(bus, volts)| {
            let topic = topic::network_voltage("grid", bus);
            phases(bus, volts).map(|state| Output::new(topic.clone(), Body::NetworkState(state)))
        });
        Ok(Step::Done(outputs.collect()))
    }
}

fn phases(bus: &str, volts: f64) -> [NetworkState; 3] {
    [Conductor::Phase1, Conductor::Phase2, Conductor::Phase3].map(|node| {
        NetworkState::Voltage(BusVoltage {
            magnitude_kv: volts / 1000.0,
            angle_deg: 0.0,
            bus: bus.to_owned(),
            node,
        })
    })
}

fn point(state: &gridloop_messages::DeviceState, name: &str) -> Option<f64> {
    state.points.iter().find(|point| point.name == name).map(|point| point.value)
}

fn configuration(text: &str, overrides: &[&str]) -> Configuration {
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    Configuration::parse("loop.toml", text, &overrides).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn closed(grid: TinyGrid, overrides: &[&str]) -> Run {
    let configuration = configuration(LOOP, overrides);
    let run = simulated(|clock| async move {
        let world = World::new(&clock, 4);
        let name = "grid".to_owned();
        let identity = Identity { name, simulation_id: world.id.clone(), manager: None, numbered_from: 0 };
        let joined = join(grid, identity, world.bus.session(), world.shared_clock()).await?;
        tokio::spawn(joined.run(Poke::new(), world.cancel.clone()));
        world.run(configuration).await
    });
    let run = run.expect("a run");
    assert_eq!(run.report.manager.outcome, Outcome::Completed, "{}", run.report.manager.reason);
    run
}

fn shown(run: &Run, on: &str, epoch: u64, name: &str) -> f64 {
    let Body::DeviceState(state) = run.one(on, epoch).body() else { panic!("no DeviceState") };
    point(state, name).unwrap_or_else(|| panic!("no {name} in epoch {epoch}"))
}

/// The voltage of a bus as the network said it, by epoch.
fn said(run: &Run, bus: &str) -> BTreeMap<u64, f64> {
    let on = topic::network_voltage("grid", bus);
    let volts = run.on(&on).map(|heard| {
        let Body::NetworkState(NetworkState::Voltage(voltage)) = heard.body() else { panic!("no voltage") };
        (heard.epoch().expect("an epoch"), voltage.magnitude_kv * 1000.0)
    });
    volts.collect()
}

/// The voltage at which line and volt-var agree, with all of the power: by bisection.
fn fixed_point_v(bus1_v: f64) -> f64 {
    let volt_var = |volts: f64| {
        let above = (volts / 230.0 - 1.02) / 0.06;
        -4400.0 * above.clamp(0.0, 1.0)
    };
    let (mut low, mut high) = (200.0, 280.0);
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        let var = volt_var(middle);
        let watts = (10_000.0_f64.powi(2) - var * var).sqrt();
        if bus1_v + rise_v(watts, var) > middle { low = middle } else { high = middle }
    }
    low
}

#[test]
fn volt_var_and_a_tap_changer_s_own_regulator_settle_in_a_loop_with_the_network() {
    let run = closed(TinyGrid::default(), &[]);
    assert_eq!(shown(&run, OLTC1_POINTS, 40, "tap_position"), 4.0);
    assert_eq!(shown(&run, OLTC1_POINTS, 40, "operation_count"), 1.0, "it does not hunt");
    let volts = said(&run, "2");
    let expected = fixed_point_v(bus1_v(4.0));
    assert!((volts[&40] - expected).abs() < 0.01, "{} V, and {expected} V is where both agree", volts[&40]);
    assert!((volts[&40] - volts[&39]).abs() < 1e-3 && (volts[&40] - volts[&30]).abs() < 0.01);
    let Body::ResourceState(state) = run.one(PV1, 40).body() else { panic!("no ResourceState") };
    assert!(state.reactive_power_kvar < -0.5, "it takes reactive power: {state:?}");
    assert!(run.one(PV1, 40).warnings().is_empty(), "{:?}", run.one(PV1, 40).warnings());
    for device in ["pv1", "oltc1"] {
        let report = run.device(device);
        let (followed, ignored) = (report.network_states_followed, report.network_states_ignored);
        // That of the last epoch may come after the end of the run.
        assert!((39..=40).contains(&followed), "{device}: {followed}");
        assert_eq!((ignored, report.epochs_without_network), (0, 0), "{device}");
    }
}

#[test]
fn a_voltage_is_the_device_s_from_the_epoch_after_the_one_it_was_calculated_for() {
    let run = closed(TinyGrid::default(), &["simulation.epochs=12"]);
    assert_eq!(shown(&run, PV1_POINTS, 1, "voltage"), 230.0, "nominal before the first");
    let (bus1, bus2) = (said(&run, "1"), said(&run, "2"));
    for epoch in 2..=12 {
        assert!((shown(&run, PV1_POINTS, epoch, "voltage") - bus2[&(epoch - 1)]).abs() < 1e-6, "{epoch}");
    }
    // What the tap changer shows has its own steps since in it.
    assert_eq!(shown(&run, OLTC1_POINTS, 2, "tap_position"), 4.0);
    assert!((bus1[&1] - SOURCE_V).abs() < 1e-6);
    assert!((shown(&run, OLTC1_POINTS, 2, "voltage") - SOURCE_V * 0.975).abs() < 1e-6);
    assert!((shown(&run, OLTC1_POINTS, 3, "voltage") - bus1[&2]).abs() < 1e-6);
}

#[test]
fn a_loop_is_the_same_twice() {
    let short = ["simulation.epochs=8"];
    assert_eq!(closed(TinyGrid::default(), &short).log(), closed(TinyGrid::default(), &short).log());
}

#[test]
fn when_the_network_falls_silent_the_last_voltage_is_kept_and_told() {
    let grid = TinyGrid { silent_from: Some(10), ..TinyGrid::default() };
    let run = closed(grid, &["simulation.epochs=20"]);
    let last = said(&run, "2")[&9];
    for epoch in 10..=20 {
        assert!((shown(&run, PV1_POINTS, epoch, "voltage") - last).abs() < 1e-6);
        for on in [PV1, PV1_POINTS, OLTC1_POINTS] {
            let warns = run.one(on, epoch).warnings().iter().any(|it| it.contains("that of epoch 9 is kept"));
            assert_eq!(warns, epoch >= 12, "epoch {epoch} on {on}: {:?}", run.one(on, epoch).warnings());
        }
    }
    let report = run.device("pv1");
    assert_eq!((report.network_states_followed, report.epochs_without_network), (9, 9));
    assert_eq!(shown(&run, OLTC1_POINTS, 20, "operation_count"), 1.0, "nothing runs away");
}

/// A device alone, and what a test says in the place of a network.
const ALONE: &str = r#"
[simulation]
name = "a device that follows"
initial_start_time = "2026-06-21T12:00:00.000Z"
epoch_length_s = 1
epochs = 10

[manager]
start_delay_s = 0

[device.source1]
driver = "simulated"
request_timeout_s = 0.2
node = 1
dead_man_s = 2.5
safe_state = "voltage"
safe_voltage_v = 230
limits = { min_voltage_v = 207, max_voltage_v = 250 }
follows = { grid = "grid", bus = "2" }

[device.source1.twin]
plant = "grid-emulator"

[device.pv1]
driver = "simulated"
category = "Generator"
request_timeout_s = 0.2
node = 1
follows = { bus = "2" }

[device.pv1.twin]
plant = "pv-inverter"
rated_power_w = 10000
"#;

const SOURCE1_POINTS: &str = "DeviceState.source1";
const VOLTAGE: &str = "NetworkState.grid.Voltage.2";

fn volts(author: &mut Author, epoch: u64, volts: f64) -> Bytes {
    let [state, _, _] = phases("2", volts);
    author.write(epoch, Body::NetworkState(state))
}

/// The run with these messages, each sent when its epoch begins, and what the source was told.
fn alone(
    write: impl FnOnce(&mut Author) -> Vec<(u64, Bytes)>,
    overrides: &[&str],
) -> (Run, Vec<(MonoTime, Command)>) {
    let mut configuration = configuration(ALONE, overrides);
    let ledger = spoil(&mut configuration, "source1", honest());
    let run = simulated(|clock| async move {
        let world = World::new(&clock, 2);
        let messages = write(&mut Author::new("grid", &world));
        let messages = messages.into_iter().map(|(epoch, body)| (epoch, VOLTAGE.to_owned(), body)).collect();
        let _sends = at_epochs(&world, messages).await?;
        world.run(configuration).await
    });
    let run = run.expect("a run");
    assert_eq!(run.report.manager.outcome, Outcome::Completed, "{}", run.report.manager.reason);
    (run, ledger.took())
}

#[test]
fn a_voltage_source_is_told_the_voltage_of_the_network_as_any_setpoint() {
    let (run, took) = alone(
        |grid| {
            [(1, 240.0), (2, 225.0), (3, 253.0)].map(|(epoch, it)| (epoch, volts(grid, epoch, it))).to_vec()
        },
        &[],
    );
    let told: Vec<_> = took.iter().map(|(_, command)| *command).collect();
    let voltage = |voltage_v| Command::Voltage { voltage_v };
    assert_eq!(told[..3], [voltage(240.0), voltage(225.0), voltage(250.0)], "253 V are beyond its limits");
    assert!((shown(&run, SOURCE1_POINTS, 2, "voltage") - 225.0).abs() < 1e-6);
    assert!(run.one(SOURCE1_POINTS, 3).warns_of("warning.input-range"));
    let report = run.device("source1");
    assert_eq!((report.setpoints, report.clamped, report.network_states_followed), (3, 1, 3));
    assert_eq!(report.steps[0].held.as_deref(), Some("240.0 V"));
}

#[test]
fn a_voltage_source_goes_to_its_safe_voltage_when_the_network_falls_silent() {
    let (run, _) = alone(|grid| vec![(1, volts(grid, 1, 240.0)), (2, volts(grid, 2, 241.0))], &[]);
    assert!((shown(&run, SOURCE1_POINTS, 3, "voltage") - 241.0).abs() < 1e-6);
    assert!((shown(&run, SOURCE1_POINTS, 6, "voltage") - 230.0).abs() < 1e-6);
    assert_eq!(run.device("source1").dead_man_releases, 1);
    assert!((shown(&run, PV1_POINTS, 10, "voltage") - 241.0).abs() < 1e-6, "the twin keeps the last");
    assert!(run.one(PV1_POINTS, 10).warnings().iter().any(|it| it.contains("that of epoch 2 is kept")));
}

#[test]
fn a_source_that_is_not_armed_follows_nothing() {
    let (run, took) = alone(|grid| vec![(2, volts(grid, 2, 240.0))], &["device.source1.mode=\"read-only\""]);
    assert!(took.is_empty(), "{took:?}");
    assert!(run.one(SOURCE1_POINTS, 2).warns_of("warning.input"));
    let report = run.device("source1");
    assert_eq!((report.network_states_followed, report.network_states_ignored), (0, 1));
    assert_eq!(shown(&run, SOURCE1_POINTS, 10, "voltage"), 230.0);
}

#[test]
fn a_setpoint_from_somebody_else_does_not_reach_a_source_that_follows_the_network() {
    let body = gridloop_messages::VoltageSetpoint { voltage_kv: 0.215 };
    let mut configuration = configuration(ALONE, &[]);
    let ledger = spoil(&mut configuration, "source1", honest());
    let run = simulated(|clock| async move {
        let world = World::new(&clock, 2);
        let text = Author::new("operator", &world).write(2, Body::VoltageSetpoint(body));
        let _sends = at_epochs(&world, vec![(2, topic::voltage_setpoint("source1"), text)]).await?;
        world.run(configuration).await
    });
    assert_eq!(run.expect("a run").report.manager.outcome, Outcome::Completed);
    assert!(ledger.took().is_empty(), "{:?}", ledger.took());
}

#[test]
fn what_is_late_wrong_or_doubted_is_not_followed_and_is_told() {
    let (run, took) = alone(
        |grid| {
            let not_a_number = String::from_utf8(volts(grid, 4, 240.0).to_vec()).expect("text");
            let not_a_number = not_a_number.replace("0.24", "NaN");
            assert!(not_a_number.contains("NaN"));
            vec![
                (2, volts(grid, 2, 235.0)),
                (3, volts(grid, 3, 12_660.0)),
                (4, not_a_number.into()),
                (5, volts(grid, 3, 241.0)),
                (6, doubted(grid, 6, 242.0)),
                (7, volts(grid, 7, 236.0)),
            ]
        },
        &[],
    );
    let voltages: Vec<f64> = (1..=7).map(|epoch| shown(&run, PV1_POINTS, epoch, "voltage")).collect();
    for (epoch, (shown, expected)) in
        (1..).zip(voltages.iter().zip([230.0, 235.0, 235.0, 235.0, 235.0, 235.0, 236.0]))
    {
        assert!((shown - expected).abs() < 1e-6, "epoch {epoch}: {voltages:?}");
    }
    for epoch in 3..=6 {
        let warnings = run.one(PV1, epoch).warnings();
        assert!(
            warnings.iter().any(|it| it.contains("the network is not followed")),
            "{epoch}: {warnings:?}"
        );
        assert!(!run.one(PV1, epoch).warns_of("warning.input"), "a network would doubt itself: {warnings:?}");
    }
    let told: Vec<_> = took.iter().map(|(_, command)| *command).collect();
    assert_eq!(told.first(), Some(&Command::Voltage { voltage_v: 235.0 }));
    assert!(told.contains(&Command::Voltage { voltage_v: 236.0 }));
    assert!(!told.iter().any(|it| matches!(it, Command::Voltage { voltage_v } if *voltage_v > 236.0)));
    for device in ["pv1", "source1"] {
        let report = run.device(device);
        assert_eq!((report.network_states_followed, report.network_states_ignored), (2, 4), "{device}");
    }
}

/// Category I of IEEE 1547-2018, table 11: below 0.45 after 0.16 s.
#[test]
fn a_deep_dip_of_the_network_reaches_the_plant_and_trips_it_and_a_source_is_not_told_it() {
    let (run, took) = alone(
        |grid| {
            let dip = |epoch| if (3..=5).contains(&epoch) { 0.3 * 230.0 } else { 230.0 };
            (1..=10).map(|epoch| (epoch, volts(grid, epoch, dip(epoch)))).collect()
        },
        &["device.pv1.twin.trip=true"],
    );
    let power_kw = |epoch| match run.one(PV1, epoch).body() {
        Body::ResourceState(state) => state.real_power_kw,
        other => panic!("{other:?}"),
    };
    assert!(power_kw(2) > 5.0, "{} kW", power_kw(2));
    assert!((shown(&run, PV1_POINTS, 4, "voltage") - 69.0).abs() < 1e-6);
    assert_eq!((4..=10).map(power_kw).collect::<Vec<_>>(), [0.0; 7]);
    let (pv1, source) = (run.device("pv1"), run.device("source1"));
    assert_eq!((pv1.network_states_followed, pv1.network_states_ignored), (10, 0));
    assert_eq!((source.network_states_followed, source.network_states_ignored), (7, 3));
    let told = |volts: f64| took.iter().any(|(_, it)| *it == Command::Voltage { voltage_v: volts });
    assert!(
        told(230.0)
            && !took.iter().any(|(_, it)| matches!(it, Command::Voltage { voltage_v } if *voltage_v < 207.0))
    );
}

/// A voltage whose sender warns that one of its inputs cannot be relied on.
fn doubted(author: &mut Author, epoch: u64, voltage: f64) -> Bytes {
    let warning = Warning::new(WarningKind::InputUnreliable, "pv9 did not answer");
    let text = String::from_utf8(volts(author, epoch, voltage).to_vec()).expect("text");
    let warned = format!("{{\"Warnings\":[\"{}\"],{}", warning.as_str(), &text[1..]);
    Bytes::from(warned)
}

/// A device that measures real power only.
struct WithoutVars(SimulatedDevice);

#[async_trait]
impl Device for WithoutVars {
    async fn connect(&mut self) -> Result<Description, DeviceError> {
        self.0.connect().await
    }

    async fn read(&mut self) -> Result<Snapshot, DeviceError> {
        let mut snapshot = self.0.read().await?;
        snapshot.points.remove(points::REACTIVE_POWER);
        Ok(snapshot)
    }

    async fn apply(&mut self, setpoint: &Setpoint) -> Result<Applied, DeviceError> {
        self.0.apply(setpoint).await
    }

    async fn release(&mut self, safe: &SafeState) -> Result<Applied, DeviceError> {
        self.0.release(safe).await
    }
}

#[derive(Debug)]
struct OpensWithoutVars;

#[async_trait]
impl Opener for OpensWithoutVars {
    fn plants(&self) -> &'static [&'static str] {
        &["pv-inverter"]
    }

    async fn open(
        &self,
        _: &Address,
        twin: Option<&TwinSettings>,
        _: Duration,
        clock: &SharedClock,
    ) -> Result<Opened, OpenError> {
        let plant = LivePlant::new(twin.ok_or(OpenError::NoTwin)?.plant()?, clock.clone());
        let device = Box::new(WithoutVars(SimulatedDevice::new(plant, clock.clone())));
        Ok(Opened { device, address: "a plain meter".into(), simulator: None, terminals: None })
    }
}

#[test]
fn a_device_that_measures_no_reactive_power_is_published_with_none_and_says_so() {
    let mut configuration = configuration(ALONE, &["simulation.epochs=3"]);
    let pv1 = configuration.devices.iter_mut().find(|device| device.name == "pv1").expect("pv1");
    pv1.opener = Box::new(OpensWithoutVars);
    let run = simulated(|clock| async move { World::new(&clock, 2).run(configuration).await });
    let run = run.expect("a run");
    for epoch in 1..=3 {
        let Body::ResourceState(state) = run.one(PV1, epoch).body() else { panic!("no ResourceState") };
        assert_eq!((state.reactive_power_kvar, state.node), (0.0, Some(1)));
        assert!(state.real_power_kw > 0.0);
        assert!(run.one(PV1, epoch).warns_of("warning.other: pv1: has no reactive power"));
    }
}
