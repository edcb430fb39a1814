//! `state-monitoring`: what it makes of voltages and currents, and of those that do not come.

use crate::rig::{
    Rig, Said, Sent, branches, bus_info, buses, component_info, description, error, from_file, from_messages,
    is_ready, sent,
};
use gridloop_grid::{Limits, NetworkSource, StateMonitoring, StateMonitoringSettings};
use gridloop_messages::{
    Body, BranchCurrent, BusVoltage, Conductor, CurrentStatus, LimitStatus, NetworkState, Status,
    StatusValue, VoltageStatus, topic,
};
use gridloop_power_flow::Wires;
use serde_json::json;
use std::time::Duration;

/// Base current of 50 kVA at 400 V, in A.
const BASE_A: f64 = 72.168_783_648_703_2;
const PHASES: [(Conductor, f64); 3] =
    [(Conductor::Phase1, 0.0), (Conductor::Phase2, -120.0), (Conductor::Phase3, 120.0)];

fn rig(source: NetworkSource) -> Rig {
    let settings = StateMonitoringSettings {
        grid_id: "valley".into(),
        source,
        limits: Limits {
            min_voltage_pu: 0.9,
            max_voltage_pu: 1.1,
            lower_amber_band_pu: 0.05,
            upper_amber_band_pu: 0.02,
            overloading_baseline: 1.0,
            amber_loading_baseline: 0.9,
        },
        input_timeout: Duration::from_secs(60),
        grace: Duration::from_secs(1),
    };
    Rig::new(Box::new(StateMonitoring::new(settings)))
}

fn voltage(bus: &str, node: Conductor, voltage_pu: f64, angle_deg: f64) -> Sent {
    let voltage = BusVoltage { magnitude_kv: voltage_pu * 0.4, angle_deg, bus: bus.into(), node };
    sent(topic::network_voltage("valley", bus), "grid", Body::NetworkState(NetworkState::Voltage(voltage)))
}

fn current(branch: &str, phase: Conductor, sending_a: f64, receiving_a: f64) -> Sent {
    let current = BranchCurrent {
        magnitude_sending_end_a: sending_a,
        magnitude_receiving_end_a: receiving_a,
        angle_sending_end_deg: 0.0,
        angle_receiving_end_deg: 180.0,
        device_id: branch.into(),
        phase,
    };
    sent(topic::network_current("valley", branch), "grid", Body::NetworkState(NetworkState::Current(current)))
}

/// A whole state: `volts` at b2, nominal voltage elsewhere, and `loading` of L2, nothing on L1.
fn whole_state(volts: [f64; 3], loading: f64) -> Vec<Sent> {
    let mut state = Vec::new();
    for ((phase, deg), b2) in PHASES.into_iter().zip(volts) {
        state.extend([
            voltage("src", phase, 1.0, deg),
            voltage("b1", phase, 1.0, deg),
            voltage("b2", phase, b2, deg),
        ]);
        state.extend([current("L1", phase, 0.0, 0.0), current("L2", phase, loading * 0.9 * BASE_A, 0.0)]);
    }
    state
}

fn ready_of_grid() -> Sent {
    let status = Status { value: StatusValue::Ready, description: None, slack_s: None };
    sent(topic::STATUS_READY, "grid", Body::Status(status))
}

fn judgement(said: &[Said]) -> (Vec<VoltageStatus>, Vec<CurrentStatus>) {
    assert!(is_ready(said));
    let [voltages, currents, _] = said else { panic!("{said:?}") };
    match (&voltages.message.body, &currents.message.body) {
        (Body::DmsVoltage(voltages), Body::DmsCurrent(currents)) => {
            assert_eq!(said[0].topic, "DMSNetworkStatus.Voltage");
            assert_eq!(said[1].topic, "DMSNetworkStatus.Current");
            (voltages.voltage_status.clone(), currents.current_status.clone())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn voltages_and_currents_are_acceptable_close_to_limits_or_unacceptable() {
    let mut rig = rig(from_file(description()));
    rig.next_epoch();
    let (voltages, currents) = judgement(&rig.hear_all(&whole_state([0.94, 1.12, 0.87], 0.95)));
    let of_b2: Vec<_> = voltages.iter().filter(|it| it.bus_name == "b2").collect();
    let statuses: Vec<_> = of_b2.iter().map(|it| (it.node, it.status)).collect();
    let expected =
        [(1, LimitStatus::CloseToLimits), (2, LimitStatus::Unacceptable), (3, LimitStatus::Unacceptable)];
    assert_eq!(statuses, expected);
    let violations: Vec<f64> = of_b2.iter().map(|it| it.violation).collect();
    for (violation, expected) in violations.into_iter().zip([0.0, 0.02, -0.03]) {
        assert!((violation - expected).abs() < 1e-9, "{violation}");
    }
    assert_eq!(voltages.len(), 9);
    let l2 = currents.iter().find(|it| it.device_id == "L2" && it.phase == 3).unwrap();
    assert_eq!(l2.status_sending_end, LimitStatus::CloseToLimits);
    assert_eq!(l2.status_receiving_end, LimitStatus::Acceptable);
    assert_eq!(currents.len(), 6);
}

#[test]
fn time_outside_the_limits_is_counted_and_the_worst_instant_is_named() {
    let mut rig = rig(from_file(description()));
    for (volts, loading) in [([1.0, 1.0, 1.0], 0.5), ([0.94, 1.0, 1.0], 1.2), ([1.0, 0.85, 1.0], 0.95)] {
        rig.next_epoch();
        judgement(&rig.hear_all(&whole_state(volts, loading)));
    }
    let findings = rig.findings();
    assert_eq!(findings["kind"], "state-monitoring");
    assert_eq!(findings["epochs"], 3);
    assert_eq!(findings["incomplete_epochs"], 0);
    let red = &findings["red"];
    assert_eq!((&red["epochs"], &red["seconds"]), (&json!(2), &json!(7200.0)));
    // An hour of 0.85 pu where 0.9 are accepted; the overload of the hour before is no voltage.
    assert!((red["voltage_pu_h"].as_f64().unwrap() - 0.05).abs() < 1e-9, "{red}");
    assert_eq!(findings["buses"]["b2"]["amber"], json!({"epochs": 1, "seconds": 3600.0}));
    assert_eq!(findings["buses"]["b2"]["red"], json!({"epochs": 1, "seconds": 3600.0}));
    assert_eq!(findings["buses"]["b1"]["red"]["epochs"], 0);
    assert_eq!(findings["worst"]["bus"], "b2");
    assert_eq!(findings["worst"]["node"], 2);
    assert_eq!(findings["worst"]["epoch"], 3);
    assert_eq!(findings["worst"]["time"], "2026-06-21T02:00:00.000Z");
    assert_eq!(findings["branches"]["L2"]["highest"]["epoch"], 2);
    assert_eq!(findings["branches"]["L2"]["red"]["epochs"], 1);
    assert!((findings["most_loaded"]["loading"].as_f64().unwrap() - 1.2).abs() < 1e-9);
}

/// A customer has what is between phase and neutral.
#[test]
fn a_neutral_that_lifts_off_earth_counts() {
    let mut network = description();
    network.network.wires = Wires::FourWire;
    let mut rig = rig(from_file(network));
    rig.next_epoch();
    rig.hear_all(&whole_state([1.0; 3], 0.0));
    rig.hear_all(&[
        voltage("src", Conductor::Neutral, 0.0, 0.0),
        voltage("b1", Conductor::Neutral, 0.0, 0.0),
    ]);
    let (voltages, _) = judgement(&rig.hear(&voltage("b2", Conductor::Neutral, 0.12, 0.0)));
    let b2 = voltages.iter().find(|it| it.bus_name == "b2" && it.node == 1).unwrap();
    assert_eq!(b2.status, LimitStatus::Unacceptable);
    assert!((b2.violation + 0.02).abs() < 1e-9, "{}", b2.violation);
}

/// In any order, the ratings last: only NIS is needed, not CIS.
#[test]
fn states_that_come_before_the_network_is_known_are_judged_all_the_same() {
    let mut rig = rig(from_messages(Wires::NeutralEarthedEverywhere));
    rig.next_epoch();
    rig.hear_all(&whole_state([1.0; 3], 0.5));
    rig.hear(&component_info(branches()));
    let (voltages, currents) = judgement(&rig.hear(&bus_info(buses())));
    assert_eq!((voltages.len(), currents.len()), (9, 6));
}

#[test]
fn of_an_incomplete_state_what_came_is_judged_once_the_grid_is_ready() {
    let mut rig = rig(from_file(description()));
    rig.next_epoch();
    let state = whole_state([0.8; 3], 0.5);
    assert!(rig.hear_all(&state[..13]).is_empty());
    assert!(rig.hear(&ready_of_grid()).is_empty());
    let said = rig.wake();
    let (voltages, currents) = judgement(&said);
    assert_eq!((voltages.len(), currents.len()), (9, 4));
    assert_eq!(said[0].warnings(), "warning.input: 2 voltages and currents of the grid did not come");
    assert_eq!(rig.findings()["incomplete_epochs"], 1);
    // What came late counts in no epoch, and the next one is judged by its own states.
    assert!(rig.hear_in(Some(1), &state[14]).is_empty());
    rig.next_epoch();
    let (voltages, _) = judgement(&rig.hear_all(&whole_state([1.0; 3], 0.5)));
    assert!(voltages.iter().all(|it| it.status == LimitStatus::Acceptable));
}

#[test]
fn a_network_that_nobody_tells_is_an_error_that_names_what_is_missing() {
    let mut rig = rig(from_messages(Wires::NeutralEarthedEverywhere));
    rig.next_epoch();
    rig.hear(&bus_info(buses()));
    assert_eq!(error(&rig.wake()), "epoch 1: after 60 s there is still no Init.NIS.NetworkComponentInfo");
}

#[test]
fn a_doubtful_state_makes_a_doubtful_judgement() {
    let mut rig = rig(from_file(description()));
    rig.next_epoch();
    let mut state = whole_state([1.0; 3], 0.5);
    state[4] = state[4].clone().with_a_warning();
    let said = rig.hear_all(&state);
    assert!(said[0].warnings().starts_with("warning.input-unreliable"), "{}", said[0].warnings());
    assert_eq!(rig.findings()["unreliable_epochs"], 1);
}
