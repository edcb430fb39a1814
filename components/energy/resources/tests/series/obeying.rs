//! Who obeys and who commands: storages and limited resources by setpoints, the controller by plans.

use crate::File;
use gridloop_clock::MonoTime;
use gridloop_component::{Component, Fault, OpenEpoch, Output, Step};
use gridloop_messages::{
    Body, Dispatch, EpochFields, Header, Message, PowerSetpoint, ResourceState, SimulationId, TimeSeries,
    Timestamp, ValueArray,
};
use gridloop_resources::{
    BatteryRating, ControllableResource, ControllableSettings, Controller, ControllerSettings,
    POWER_SETPOINT_TOPIC, RESOURCE_STATE_TOPIC, ResourceType, SeriesFile, SimcesController, Storage,
    StorageMode, StorageSettings, WithoutSetpoint,
};
use std::time::Duration;

const NOW: MonoTime = MonoTime::from_nanos(0);
const HOUR: Duration = Duration::from_secs(3600);

fn time(hour: u32) -> Timestamp {
    Timestamp::parse("2026-06-21T00:00:00Z").unwrap().plus(HOUR * hour)
}

/// Epoch n begins at the hour n - 1.
fn epoch(number: u32) -> OpenEpoch {
    OpenEpoch {
        number: number.into(),
        start_time: time(number - 1),
        end_time: time(number),
        nominal_start: NOW,
        deadline: None,
        opened_at: NOW,
    }
}

fn message(source: &str, epoch_number: u64, body: Body) -> Message {
    let fields =
        EpochFields { epoch_number, triggering_message_ids: vec!["m-1".into()], ..EpochFields::default() };
    let header = Header {
        simulation_id: SimulationId::new(time(0)),
        timestamp: time(0),
        source_process_id: source.into(),
        message_id: format!("{source}-1"),
        epoch: Some(fields),
    };
    Message { header, body }
}

fn command(component: &mut impl Component, epoch: u64, real_power_kw: f64, reactive_power_kvar: f64) {
    let setpoint = PowerSetpoint { real_power_kw, reactive_power_kvar };
    let message = message("controller", epoch, Body::PowerSetpoint(setpoint));
    component.take("ControlState.PowerSetpoint.x", &message, NOW).unwrap();
}

fn done(step: Result<Step, Fault>) -> Vec<Output> {
    match step.unwrap() {
        Step::Done(outputs) => outputs,
        other => panic!("{other:?}"),
    }
}

fn state(output: &Output) -> &ResourceState {
    match &output.body {
        Body::ResourceState(state) => state,
        other => panic!("{other:?}"),
    }
}

fn storage(without_setpoint: WithoutSetpoint) -> Storage {
    let rating = BatteryRating {
        rated_energy_kwh: 10.0,
        rated_power_kw: 4.0,
        charge_rate_percent: 100.0,
        discharge_rate_percent: 100.0,
        charge_efficiency_percent: 100.0,
        discharge_efficiency_percent: 100.0,
        self_discharge_percent_per_h: 0.0,
        initial_state_of_charge_percent: 50.0,
    };
    let control_topic = POWER_SETPOINT_TOPIC.into();
    let mode = StorageMode::Controlled { customer_id: "c7".into(), control_topic, without_setpoint };
    let settings = StorageSettings { rating, mode, node: Some(2), topic: RESOURCE_STATE_TOPIC.into() };
    Storage::new("x", &settings).unwrap()
}

#[test]
fn a_storage_waits_for_its_setpoint_and_tells_what_it_could_not_do() {
    let mut storage = storage(WithoutSetpoint::Wait);
    assert_eq!(storage.inputs(), ["ControlState.PowerSetpoint.x"]);
    storage.open(&epoch(1)).unwrap();
    let told_at = NOW + Duration::from_secs(10);
    assert_eq!(storage.step(&epoch(1), NOW).unwrap(), Step::WakeAt(told_at));
    assert_eq!(storage.step(&epoch(1), told_at).unwrap(), Step::Waiting, "it has been told, once");
    let waited = &storage.findings().unwrap()["waited_in_vain_for"];
    assert_eq!(waited, "a setpoint on ControlState.PowerSetpoint.x in epoch 1");
    command(&mut storage, 1, 3.0, 1.0);
    let output = done(storage.step(&epoch(1), NOW)).remove(0);
    assert_eq!(output.topic, "ResourceState.Storage.x");
    assert_eq!(output.warnings.len(), 0);
    let found = state(&output);
    assert_eq!((found.real_power_kw, found.reactive_power_kvar, found.node), (3.0, 0.0, Some(2)));
    assert_eq!((found.customer_id.as_str(), found.state_of_charge_percent), ("c7", Some(20.0)));
    storage.open(&epoch(2)).unwrap();
    command(&mut storage, 2, 3.0, 0.0);
    let output = done(storage.step(&epoch(2), NOW)).remove(0);
    assert!(output.warnings[0].as_str().starts_with("warning.input-range"), "{:?}", output.warnings);
    assert_eq!((state(&output).real_power_kw, state(&output).state_of_charge_percent), (2.0, Some(0.0)));
    let findings = storage.findings().unwrap();
    assert_eq!((&findings["limited_epochs"], &findings["energy_discharged_kwh"]), (&1.into(), &5.0.into()));
    assert_eq!(findings["state_of_charge_max_percent"], 50.0);
}

#[test]
fn the_newest_setpoint_before_the_result_counts_and_a_later_one_changes_nothing() {
    let mut storage = storage(WithoutSetpoint::Wait);
    storage.open(&epoch(1)).unwrap();
    command(&mut storage, 1, 3.0, 0.0);
    command(&mut storage, 1, 1.0, 0.0);
    assert_eq!(state(&done(storage.step(&epoch(1), NOW))[0]).real_power_kw, 1.0);
    command(&mut storage, 1, -4.0, 0.0);
    storage.open(&epoch(2)).unwrap();
    assert!(matches!(storage.step(&epoch(2), NOW).unwrap(), Step::WakeAt(_)));
    assert_eq!(storage.findings().unwrap()["late_setpoints"], 1);
}

#[test]
fn a_storage_that_may_do_without_a_setpoint_does_so_at_half_of_a_paced_epoch_and_says_so() {
    let deadline = MonoTime::from_nanos(1_000);
    let paced = |number| OpenEpoch { deadline: Some(deadline), ..epoch(number) };
    for (without, expected_kw) in [(WithoutSetpoint::Idle, 0.0), (WithoutSetpoint::Hold, 1.0)] {
        let mut storage = storage(without);
        storage.open(&paced(1)).unwrap();
        command(&mut storage, 1, 1.0, 0.0);
        done(storage.step(&paced(1), NOW));
        storage.open(&paced(2)).unwrap();
        let half = MonoTime::from_nanos(500);
        assert_eq!(storage.step(&paced(2), NOW).unwrap(), Step::WakeAt(half));
        let output = done(storage.step(&paced(2), half)).remove(0);
        assert_eq!(state(&output).real_power_kw, expected_kw);
        assert!(output.warnings[0].as_str().starts_with("warning.input: no setpoint"), "its power is known");
        assert_eq!(storage.findings().unwrap()["epochs_without_setpoint"], 1);
        // Without a deadline nothing says how long to wait.
        storage.open(&epoch(3)).unwrap();
        assert!(matches!(storage.step(&epoch(3), half).unwrap(), Step::WakeAt(_)));
    }
}

fn controllable(resource_type: ResourceType, row: &str, holds: Option<u64>) -> (File, ControllableResource) {
    let rows = format!("{row},7\n").repeat(6);
    let file = File::new(format!("RealPower,ReactivePower,CustomerId\n{rows}"));
    let settings = ControllableSettings {
        resource_type,
        series: SeriesFile::new(file.path()),
        rated_power_kva: Some(5.0),
        setpoint_holds_epochs: holds,
        topic: RESOURCE_STATE_TOPIC.into(),
        control_topic: POWER_SETPOINT_TOPIC.into(),
    };
    let made = ControllableResource::new("x", &settings).unwrap();
    (file, made)
}

/// Real and reactive power, and how many warnings.
fn next(resource: &mut ControllableResource, number: u32) -> (f64, f64, usize) {
    resource.open(&epoch(number)).unwrap();
    let output = done(resource.step(&epoch(number), NOW)).remove(0);
    (state(&output).real_power_kw, state(&output).reactive_power_kvar, output.warnings.len())
}

#[test]
fn a_setpoint_is_a_ceiling_from_the_epoch_after_its_own_until_it_expires() {
    let (_file, mut pv) = controllable(ResourceType::Generator, "4,0.5", Some(2));
    assert_eq!(next(&mut pv, 1), (4.0, 0.5, 0));
    command(&mut pv, 1, 3.0, -1.0);
    assert_eq!(next(&mut pv, 2), (3.0, -1.0, 0));
    assert_eq!(next(&mut pv, 3), (3.0, -1.0, 0));
    assert_eq!(next(&mut pv, 4), (4.0, 0.5, 0));
    command(&mut pv, 4, 10.0, 0.0);
    assert_eq!(next(&mut pv, 5), (4.0, 0.0, 0));
    let findings = pv.findings().unwrap();
    assert_eq!(
        (&findings["energy_available_kwh"], &findings["energy_curtailed_kwh"]),
        (&20.0.into(), &2.0.into())
    );
    assert_eq!(findings["curtailed_epochs"], 2);
}

#[test]
fn a_setpoint_of_the_open_epoch_itself_does_not_count_in_it() {
    let (_file, mut pv) = controllable(ResourceType::Generator, "4,0", None);
    pv.open(&epoch(1)).unwrap();
    command(&mut pv, 1, 1.0, 0.0);
    assert_eq!(state(&done(pv.step(&epoch(1), NOW))[0]).real_power_kw, 4.0);
    assert_eq!(next(&mut pv, 2).0, 1.0);
    assert_eq!(next(&mut pv, 6).0, 1.0);
}

#[test]
fn a_setpoint_limits_what_a_load_takes_and_never_turns_a_resource_round() {
    let (_file, mut load) = controllable(ResourceType::Load, "-4,0", None);
    command(&mut load, 0, -1.5, 0.0);
    assert_eq!(next(&mut load, 1).0, -1.5);
    command(&mut load, 1, 2.0, 0.0);
    assert_eq!(next(&mut load, 2).0, 0.0);
    let (_file, mut pv) = controllable(ResourceType::Generator, "4,0", None);
    command(&mut pv, 0, -2.0, 0.0);
    assert_eq!(next(&mut pv, 1).0, 0.0);
    let (_file, mut asleep) = controllable(ResourceType::Generator, "-0.01,0", None);
    command(&mut asleep, 0, 2.0, 0.0);
    assert_eq!(next(&mut asleep, 1).0, -0.01);
}

#[test]
fn reactive_power_has_the_room_that_real_power_leaves_within_the_rating() {
    let (_file, mut pv) = controllable(ResourceType::Generator, "4,0", None);
    command(&mut pv, 0, 4.0, 9.0);
    assert_eq!(next(&mut pv, 1), (4.0, 3.0, 1));
    command(&mut pv, 1, 4.0, -9.0);
    assert_eq!(next(&mut pv, 2), (4.0, -3.0, 1));
    let (_file, mut beyond) = controllable(ResourceType::Generator, "8,1", None);
    assert_eq!(next(&mut beyond, 1), (5.0, 0.0, 1));
}

/// A plan from these hours on.
fn plan(hours: &[u32], real_kw: &[f64]) -> TimeSeries {
    TimeSeries::single(hours.iter().map(|hour| time(*hour)).collect(), "RealPower", "kW", real_kw.to_vec())
}

fn dispatch(controller: &mut Controller, source: &str, plans: &[(&str, TimeSeries)]) {
    let dispatch = plans.iter().map(|(name, plan)| ((*name).to_owned(), plan.clone())).collect();
    let message = message(source, 1, Body::Dispatch(Dispatch { dispatch }));
    controller.take("ResourceForecastState.Dispatch", &message, NOW).unwrap();
}

fn controller(dispatchers: &[&str], resources: Option<&[&str]>) -> Controller {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    Controller::new(ControllerSettings {
        dispatchers: owned(dispatchers),
        resources: resources.map(|names| owned(names).into_iter().collect()),
        dispatch_topic: "ResourceForecastState.Dispatch".into(),
        setpoint_topic: POWER_SETPOINT_TOPIC.into(),
    })
}

/// `topic real reactive warnings`
fn setpoints(controller: &mut Controller, number: u32) -> Vec<String> {
    let told = |output: Output| match output.body {
        Body::PowerSetpoint(it) => format!(
            "{} {} {} {}",
            output.topic.trim_start_matches("ControlState.PowerSetpoint."),
            it.real_power_kw,
            it.reactive_power_kvar,
            output.warnings.len()
        ),
        other => panic!("{other:?}"),
    };
    done(controller.step(&epoch(number), NOW)).into_iter().map(told).collect()
}

#[test]
fn a_controller_waits_for_every_dispatcher_and_takes_the_value_of_the_epoch() {
    let mut controller = controller(&["ed1", "ed2"], None);
    controller.open(&epoch(2)).unwrap();
    let mut with_reactive = plan(&[0, 1, 2], &[1.0, 2.0, 3.0]);
    with_reactive.series.insert("ReactivePower".into(), ValueArray::numbers("kV.A{r}", vec![0.1, 0.2, 0.3]));
    dispatch(&mut controller, "ed1", &[("battery", with_reactive), ("spot", plan(&[1, 2], &[7.0, 8.0]))]);
    dispatch(&mut controller, "stranger", &[("battery", plan(&[1, 2], &[9.0, 9.0]))]);
    assert_eq!(controller.step(&epoch(2), NOW).unwrap(), Step::Waiting);
    dispatch(&mut controller, "ed2", &[("pump", plan(&[0, 3], &[-1.0, -2.0]))]);
    assert_eq!(setpoints(&mut controller, 2), ["battery 2 0.2 0", "pump -1 0 0", "spot 7 0 0"]);
    controller.open(&epoch(3)).unwrap();
    assert_eq!(controller.step(&epoch(3), NOW).unwrap(), Step::Waiting);
}

#[test]
fn a_plan_without_a_value_for_the_epoch_gives_its_first_with_a_warning() {
    let mut controller = controller(&["ed1"], None);
    for hours in [[3, 4], [0, 1]] {
        controller.open(&epoch(3)).unwrap();
        dispatch(&mut controller, "ed1", &[("battery", plan(&hours, &[1.0, 2.0]))]);
        assert_eq!(setpoints(&mut controller, 3), ["battery 1 0 1"], "{hours:?}");
    }
    controller.open(&epoch(3)).unwrap();
    dispatch(&mut controller, "ed1", &[("battery", plan(&[], &[])), ("a.b", plan(&[2], &[1.0]))]);
    assert_eq!(setpoints(&mut controller, 3), ["battery 0 0 1"]);
    assert_eq!(controller.findings().unwrap()["names_left_out"][0], "a.b");
}

#[test]
fn configured_resources_are_commanded_and_no_others_whatever_the_plans_name() {
    let mut controller = controller(&["ed1", "ed2"], Some(&["battery", "pump"]));
    controller.open(&epoch(1)).unwrap();
    dispatch(&mut controller, "ed2", &[("battery", plan(&[0, 1], &[2.0, 2.0]))]);
    dispatch(&mut controller, "ed1", &[("battery", plan(&[0], &[1.0])), ("spot", plan(&[0], &[5.0]))]);
    assert_eq!(setpoints(&mut controller, 1), ["battery 2 0 1", "pump 0 0 1"]);
}

#[test]
fn a_controller_without_dispatchers_is_ready_at_once() {
    let mut controller = controller(&[], None);
    controller.open(&epoch(1)).unwrap();
    assert!(setpoints(&mut controller, 1).is_empty());
}

#[test]
fn the_start_message_names_the_dispatchers_of_a_simces_run() {
    let start = |dispatches: &str| {
        File::new(format!(
            r#"{{"Type": "Start", "SimulationId": "2026-06-21T00:00:00.000Z", "Timestamp": "2026-06-21T00:00:00.000Z",
            "SimulationSpecificExchange": "x", "SimulationName": "n", "SimulationDescription": "",
            "ProcessParameters": {{"SimulationManager": {{"InitialStartTime": "2026-06-21T00:00:00.000Z",
              "EpochLength": 3600, "MaxEpochCount": 2, "ManagerName": "Clock", "EpochTimerInterval": 120.0,
              "Components": ["ed1"], "MaxEpochResendCount": 5}}{dispatches}}}}}"#
        ))
    };
    let of = |start_file| {
        let topic = String::from("t");
        SimcesController { start_file, dispatch_topic: topic.clone(), setpoint_topic: topic }.settings()
    };
    let two = start(r#", "EconomicDispatch": {"ed1": {}, "ed2": null}"#);
    assert_eq!(of(Some(two.path())).unwrap().dispatchers, ["ed1", "ed2"]);
    let none = start("");
    assert!(of(Some(none.path())).unwrap().dispatchers.is_empty());
    assert!(of(None).unwrap().dispatchers.is_empty());
    for wrong in [start(r#", "EconomicDispatch": 5"#), File::new("{}"), File::new([0xff])] {
        let told = of(Some(wrong.path())).unwrap_err();
        assert!(wrong.short(&told).starts_with("x.csv: "), "{told}");
    }
}
