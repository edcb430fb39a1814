//! `grid`: what it waits for, what it publishes, and how it ends when it cannot go on.

use crate::rig::{
    Rig, Said, branches, bus_info, buses, component_info, currents, customer_info, customers, description,
    error, from_file, from_messages, is_ready, settings, state, voltage_kv, voltages,
};
use gridloop_grid::Connected;
use gridloop_messages::{Body, Conductor, NetworkBusInfo, WarningKind};
use gridloop_power_flow::{VoltageDependence, Wires};

/// Magnitude in kV and angle in degrees of phases 1 to 3 at src, b1 and b2, as the sweep of the public platform has them
/// (wire contract 6.8).
const GOLDEN_VOLTAGES: [[(f64, f64); 3]; 3] = [
    [(0.408, 0.0), (0.408, -120.0), (0.408, 120.0)],
    [(0.405_700_8, -0.125_96), (0.407_307_7, -120.027_00), (0.405_702_4, 119.857_49)],
    [(0.403_864_8, -0.188_77), (0.406_753_7, -120.046_67), (0.403_864_4, 119.791_25)],
];
const GOLDEN_CURRENTS: [(f64, f64); 3] =
    [(8.265_574, -0.605_73), (2.499_853, -119.914_54), (8.299_610, 120.074_21)];

/// The golden case with these powers, in kW: of the load in three phases, and of the generator in phase 2.
fn golden_case(load_kw: f64, generator_kw: f64) -> Vec<Said> {
    let mut rig = Rig::grid(settings(from_messages(Wires::FourWire)));
    rig.next_epoch();
    rig.hear_all(&[
        bus_info(buses()),
        component_info(branches()),
        customer_info(customers(&[("load", "b2"), ("pv", "b2")])),
        state("load", load_kw, 0.0, None),
        state("pv", generator_kw, 0.0, Some(2)),
    ])
}

/// The sweep puts S/sqrt(3) on each phase of a three-phase resource and all of S on the phase of a single-phase one, both
/// in per unit of Sbase / (sqrt(3) Vbase). With a base voltage line to line that is 1/sqrt(3) and 1/3 of the power. Told
/// those powers, the network of four wires has the platform's voltages and currents; it rotates phase 2 by -119.988 degrees at the source, because
/// it takes 57.29 for 180/pi.
#[test]
fn the_golden_case_comes_out_for_the_powers_that_the_platform_makes_of_it() {
    let said = golden_case(-10.0 / 3f64.sqrt(), 4.0 / 3.0);
    assert!(is_ready(&said));
    let turned = |degrees: f64| degrees * 57.29 / (180.0 / std::f64::consts::PI);
    let phases = voltages(&said).into_iter().filter(|it| it.node != Conductor::Neutral);
    for (voltage, (kv, deg)) in phases.zip(GOLDEN_VOLTAGES.into_iter().flatten()) {
        assert!((voltage.magnitude_kv - kv).abs() < 2e-6, "{voltage:?}, expected {kv}");
        let deg = if deg.abs() == 120.0 { deg } else { deg / turned(1.0) };
        assert!((voltage.angle_deg - deg).abs() < 1e-3, "{voltage:?}, expected {deg}");
    }
    for branch in ["L1", "L2"] {
        let phases = currents(&said).into_iter().filter(|it| it.device_id == branch);
        for (current, (a, deg)) in phases.zip(GOLDEN_CURRENTS) {
            assert!((current.magnitude_sending_end_a - a).abs() < 2e-3, "{current:?}, expected {a}");
            assert!((current.angle_sending_end_deg - deg / turned(1.0)).abs() < 0.02, "{current:?}, {deg}");
        }
    }
}

/// What a resource says is its power in W. The platform's currents are too small by sqrt(3) (three-phase) and 3
/// (single-phase).
#[test]
fn power_is_taken_for_what_it_says() {
    let said = golden_case(-10.0, 4.0);
    let (b2_kv, a) = (voltage_kv(&said, "b2", 1), currents(&said)[4].magnitude_sending_end_a);
    assert!((b2_kv - 0.400_727).abs() < 1e-6 && (a - 14.465_64).abs() < 1e-5, "{b2_kv} kV, {a} A");
    let volts = |conductor: Conductor| {
        let at = voltages(&said).into_iter().find(|it| it.bus == "b2" && it.node == conductor).unwrap();
        let (v, deg) = (at.magnitude_kv * 1e3 / 3f64.sqrt(), at.angle_deg.to_radians());
        (v * deg.cos(), v * deg.sin())
    };
    let amperes = |phase: Conductor| {
        let at = currents(&said).into_iter().find(|it| it.device_id == "L2" && it.phase == phase).unwrap();
        let (a, deg) = (at.magnitude_receiving_end_a, at.angle_receiving_end_deg.to_radians());
        (a * deg.cos(), a * deg.sin())
    };
    let neutral = volts(Conductor::Neutral);
    let phases = [
        (Conductor::Phase1, 10e3 / 3.0),
        (Conductor::Phase2, 10e3 / 3.0 - 4e3),
        (Conductor::Phase3, 10e3 / 3.0),
    ];
    for (phase, drawn_w) in phases {
        let ((vx, vy), (ix, iy)) = (volts(phase), amperes(phase));
        let (vx, vy) = (vx - neutral.0, vy - neutral.1);
        // Current is positive into the branch; what comes out at the end is drawn.
        let (real_w, reactive_var) = (-(vx * ix + vy * iy), -(vy * ix - vx * iy));
        assert!((real_w - drawn_w).abs() < 1e-3, "{phase:?}: {real_w} W");
        assert!(reactive_var.abs() < 1e-3, "{phase:?}: {reactive_var} var");
    }
}

#[test]
fn results_come_as_voltages_currents_losses_and_ready() {
    let said = golden_case(-10.0, 4.0);
    let topics: Vec<&str> = said.iter().map(|said| said.topic.as_str()).collect();
    let expected = [
        "NetworkState.valley.Voltage.src",
        "NetworkState.valley.Voltage.b1",
        "NetworkState.valley.Voltage.b2",
        "NetworkState.valley.Current.L1",
        "NetworkState.valley.Current.L2",
    ];
    let mut expected: Vec<&str> = expected.into_iter().flat_map(|topic| [topic; 4]).collect();
    expected.extend(["NetworkState.valley.Loss.L1", "NetworkState.valley.Loss.L2", "Status.Ready"]);
    assert_eq!(topics, expected);
}

/// Losses as published are what the source gives and nobody takes.
#[test]
fn losses_are_what_is_left_of_power() {
    let mut rig = Rig::grid(settings(from_file(description())));
    rig.next_epoch();
    let said = rig.hear(&state("load", -10.0, -3.0, None));
    let power_kw = |branch: &str, sending: bool| -> f64 {
        let phases = currents(&said).into_iter().filter(|it| it.device_id == branch);
        let bus = if sending { "src" } else { "b2" };
        let of_bus = voltages(&said).into_iter().filter(|it| it.bus == bus);
        phases
            .zip(of_bus)
            .map(|(i, v)| {
                let (a, deg) = if sending {
                    (i.magnitude_sending_end_a, i.angle_sending_end_deg)
                } else {
                    (i.magnitude_receiving_end_a, i.angle_receiving_end_deg)
                };
                v.magnitude_kv / 3f64.sqrt() * a * (v.angle_deg - deg).to_radians().cos()
            })
            .sum()
    };
    let lost: f64 = said
        .iter()
        .filter_map(|said| match &said.message.body {
            Body::NetworkLoss(loss) => Some(loss.real_power_series.value + loss.real_power_shunt.value),
            _ => None,
        })
        .sum();
    assert!((power_kw("L2", false) + 10.0).abs() < 1e-6, "{}", power_kw("L2", false));
    assert!((power_kw("L1", true) - 10.0 - lost).abs() < 1e-6, "{} and {lost}", power_kw("L1", true));
    assert!((rig.findings()["loss_kwh"].as_f64().unwrap() - lost).abs() < 1e-9);
}

#[test]
fn reactive_power_counts_too() {
    let at_b2 = |kvar| {
        let mut rig = Rig::grid(settings(from_file(description())));
        rig.next_epoch();
        voltage_kv(&rig.hear(&state("load", -10.0, kvar, None)), "b2", 1)
    };
    assert!(at_b2(-5.0) < at_b2(0.0) - 1e-4 && at_b2(0.0) < at_b2(5.0) - 1e-4);
}

/// Whatever the order, whatever comes twice, whatever comes for others: the same results.
#[test]
fn results_depend_on_no_order_and_no_repetition() {
    let inputs = [
        bus_info(buses()),
        component_info(branches()),
        customer_info(customers(&[("load", "b2"), ("pv", "b2"), ("far", "")])),
        state("load", -10.0, -1.0, None),
        state("pv", 4.0, 0.0, Some(2)),
        state("far", -99.0, 0.0, None),
        state("stranger", -99.0, 0.0, None),
    ];
    let expected = {
        let mut rig = Rig::grid(settings(from_messages(Wires::NeutralEarthedEverywhere)));
        rig.next_epoch();
        results(&rig.hear_all(&inputs))
    };
    assert_eq!(expected.len(), 3 * 3 + 2 * 3 + 2);
    for seed in 0..50 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut order: Vec<_> = inputs.iter().chain(&inputs[..3]).cloned().collect();
        random.shuffle(&mut order);
        let mut rig = Rig::grid(settings(from_messages(Wires::NeutralEarthedEverywhere)));
        let mut said = Vec::new();
        let early = random.usize(0..order.len());
        for sent in &order[..early] {
            said.extend(rig.hear_in(Some(1), sent));
        }
        said.extend(rig.next_epoch());
        for sent in &order[early..] {
            let (topic, message) = (sent.topic.clone(), rig.message(Some(1), sent));
            said.extend(rig.hear_in(Some(1), sent));
            // The same message again, word for word.
            said.extend(rig.deliver(&topic, &message));
        }
        assert_eq!(results(&said), expected, "seed {seed}");
        // Late, and for an epoch that is over: nothing follows, and the next epoch is a new one.
        assert!(rig.hear_in(Some(1), &inputs[3]).is_empty());
        rig.next_epoch();
        assert!(rig.hear_in(Some(1), &inputs[3]).is_empty());
        assert!(is_ready(&rig.hear_all(&inputs[3..5])), "seed {seed}");
    }
}

fn results(said: &[Said]) -> Vec<Body> {
    said.iter()
        .map(|said| said.message.body.clone())
        .filter(|body| !matches!(body, Body::Status(_)))
        .collect()
}

#[test]
fn whoever_is_missing_is_named_after_the_timeout() {
    let mut rig = Rig::grid(settings(from_messages(Wires::NeutralEarthedEverywhere)));
    rig.next_epoch();
    let known = customer_info(customers(&[("load", "b2"), ("pv", "b2")]));
    rig.hear_all(&[bus_info(buses()), component_info(branches()), known, state("pv", 4.0, 0.0, None)]);
    assert_eq!(error(&rig.wake()), "epoch 1: after 60 s there is still no ResourceState of load");
}

#[test]
fn messages_of_nis_and_cis_that_never_come_are_named() {
    let mut rig = Rig::grid(settings(from_messages(Wires::NeutralEarthedEverywhere)));
    rig.next_epoch();
    rig.hear(&component_info(branches()));
    let said = rig.wake();
    let expected = "epoch 1: after 60 s there is still no Init.NIS.NetworkBusInfo, no Init.CIS.CustomerInfo";
    assert_eq!(error(&said), expected);
}

/// A network of messages: what is wrong with it is said, and by what name.
#[test]
fn a_network_that_makes_no_sense_is_an_error_that_says_why() {
    let twice = NetworkBusInfo { bus_voltage_base_kv: vec![0.4, 0.4, 0.2], ..buses() };
    let mut loose = branches();
    loose.sending_end_bus[1] = "b2".into();
    loose.receiving_end_bus[1] = "b2".into();
    let mut unknown = branches();
    unknown.receiving_end_bus[1] = "b9".into();
    let here = customer_info(customers(&[("load", "b2")]));
    let mut gaining = branches();
    gaining.resistance_pu[1] = -0.05;
    let mut leaking = branches();
    leaking.shunt_conductance_pu[0] = -1.0;
    let mut drowned = branches();
    (drowned.resistance_pu[1], drowned.reactance_pu[1]) = (1e-12, 0.0);
    for (sent, expected) in [
        (vec![bus_info(buses()), bus_info(twice)], "Init.NIS.NetworkBusInfo came twice"),
        (vec![bus_info(buses()), component_info(unknown), here.clone()], "b9"),
        (vec![bus_info(buses()), component_info(loose), here.clone()], "b2"),
        (
            vec![bus_info(buses()), component_info(gaining), here.clone()],
            "Init.NIS.NetworkComponentInfo: resistance in per unit of branch L2: expected a number of 0 or more, found \
             -0.05",
        ),
        (
            vec![bus_info(buses()), component_info(leaking), here.clone()],
            "shunt conductance in per unit of branch L1: expected a number of 0 or more, found -1",
        ),
        (
            vec![bus_info(buses()), component_info(drowned), here],
            "Init.NIS.NetworkComponentInfo: the impedance of L2 is about",
        ),
        (
            vec![bus_info(buses()), component_info(branches()), customer_info(customers(&[("load", "b7")]))],
            "resource load is connected to bus b7, which the network does not have",
        ),
        (
            vec![
                bus_info(buses()),
                component_info(branches()),
                customer_info(customers(&[("load", "b1"), ("load", "b2")])),
            ],
            "CIS has two places for the resource load",
        ),
    ] {
        let mut rig = Rig::grid(settings(from_messages(Wires::NeutralEarthedEverywhere)));
        rig.next_epoch();
        let said = rig.hear_all(&sent);
        assert!(error(&said).contains(expected), "{} does not say {expected}", error(&said));
    }
}

#[test]
fn more_power_than_the_network_can_carry_is_an_error_that_names_the_bus() {
    let mut rig = Rig::grid(settings(from_file(description())));
    rig.next_epoch();
    let said = rig.hear(&state("load", -5000.0, 0.0, None));
    let told = error(&said);
    assert!(told.starts_with("epoch 1: the power flow has no solution: "), "{told}");
    assert!(told.contains("b2"), "{told}");
    // It stays in error, and answers every epoch.
    error(&rig.next_epoch());
}

#[test]
fn a_power_that_is_no_number_is_an_error_that_names_the_resource() {
    let mut rig = Rig::grid(settings(from_file(description())));
    rig.next_epoch();
    let said = rig.hear(&state("load", -1e308, 0.0, None));
    let expected = "epoch 1: the power flow has no solution: resource load at bus b2: its power, or a share of it, is \
                    not a finite number";
    assert_eq!(error(&said), expected);
}

#[test]
fn a_resource_that_is_connected_nowhere_is_in_the_findings() {
    let mut rig = Rig::grid(settings(from_file(description())));
    rig.next_epoch();
    rig.hear(&state("stranger", -1.0, 0.0, None));
    assert!(is_ready(&rig.hear(&state("load", -1.0, 0.0, None))));
    assert_eq!(rig.findings()["resources_outside"], serde_json::json!(["stranger"]));
}

#[test]
fn a_state_with_a_warning_makes_every_result_doubtful() {
    let mut rig = Rig::grid(settings(from_file(description())));
    rig.next_epoch();
    let said = rig.hear(&state("load", -1.0, 0.0, None).with_a_warning());
    let (_, results) = said.split_last().unwrap();
    for result in results {
        assert_eq!(result.warnings(), "warning.input-unreliable: the state of load may not be right");
    }
    rig.next_epoch();
    let said = rig.hear(&state("load", -1.0, 0.0, None));
    assert!(said.iter().all(|said| said.warnings().is_empty()));
    assert_eq!(rig.findings()["unreliable_epochs"], 1);
}

#[test]
fn a_warning_that_says_nothing_of_the_values_makes_no_result_doubtful() {
    let mut rig = Rig::grid(settings(from_file(description())));
    for kind in [WarningKind::Input, WarningKind::InputRange, WarningKind::Other] {
        rig.next_epoch();
        let said = rig.hear(&state("load", -1.0, 0.0, None).with_warning(kind));
        assert!(is_ready(&said) && said.iter().all(|said| said.warnings().is_empty()), "{kind:?}: {said:?}");
    }
    assert_eq!(rig.findings()["unreliable_epochs"], 0);
}

#[test]
fn the_configuration_connects_resources_that_the_network_does_not_know() {
    let mut configured = settings(from_file(description()));
    let bus = Some("b1".to_owned());
    configured.resources.insert("pump".into(), Connected { bus, ..Connected::default() });
    let dependence = Some(VoltageDependence::ConstantImpedance);
    configured.resources.insert("load".into(), Connected { dependence, ..Connected::default() });
    let mut rig = Rig::grid(configured.clone());
    rig.next_epoch();
    assert!(!is_ready(&rig.hear(&state("load", -10.0, 0.0, None))));
    let said = rig.hear(&state("pump", 0.0, 0.0, None));
    assert!(is_ready(&said));
    // A constant impedance draws less than its nominal power below nominal voltage.
    let resistance_ohm = 400.0 * 400.0 / 10e3;
    let current_a = currents(&said)[3].magnitude_receiving_end_a;
    let volts = voltage_kv(&said, "b2", 1) * 1e3 / 3f64.sqrt();
    assert!((current_a - volts / resistance_ohm).abs() < 1e-6);
    configured.resources.insert("lost".into(), Connected::default());
    let said = Rig::grid(configured).next_epoch();
    assert_eq!(error(&said), "resource lost: the network does not know it, and `bus` is not given");
}

#[test]
fn the_source_follows_its_series_and_keeps_the_last_voltage() {
    let mut configured = settings(from_file(description()));
    configured.source_voltage_pu = vec![1.0, 0.95];
    let mut rig = Rig::grid(configured);
    for expected_kv in [0.4, 0.38, 0.38] {
        rig.next_epoch();
        let said = rig.hear(&state("load", -1.0, 0.0, None));
        assert!((voltage_kv(&said, "src", 1) - expected_kv).abs() < 1e-9);
    }
    let findings = rig.findings();
    assert_eq!(findings["lowest_voltage"]["epoch"], 2);
    assert_eq!(findings["lowest_voltage"]["bus"], "b2");
    assert_eq!(findings["lowest_voltage"]["time"], "2026-06-21T01:00:00.000Z");
}
