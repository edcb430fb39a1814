//! Real-time congestion management behind its messages.

use crate::world::*;
use gridloop_component::Step;
use gridloop_messages::{Body, PointQuality, Warning, WarningKind};

#[test]
fn an_overvoltage_is_repaired_within_a_few_epochs_and_every_message_can_be_sent() {
    let (mut component, mut plant) = (component(REAL_TIME), Plant::new());
    let mut highest = Vec::new();
    for epoch in 1..=20 {
        let (mut told, voltage) = plant.states(epoch, 12_000.0);
        if epoch == 1 {
            told.extend(network_messages());
        }
        let outputs = run(&mut *component, epoch, &told);
        for output in &outputs {
            message("rtcm", epoch, output.body.clone(), output.warnings.clone()).encode().unwrap();
        }
        plant.obey(&outputs);
        highest.push(voltage);
    }
    assert!(highest[0] > 1.1, "{highest:?}");
    assert!(highest[2..].iter().all(|voltage| *voltage <= 1.08), "{highest:?}");
    let findings = component.findings().unwrap();
    assert_eq!(findings["kind"], "real-time-congestion-management");
    assert!(findings["tap_operations"].as_u64().unwrap() >= 1, "{findings}");
    assert!(findings["epochs_with_violation"].as_u64().unwrap() <= 2, "{findings}");
}

#[test]
fn the_order_of_messages_repetitions_and_strangers_change_nothing() {
    let mut random = fastrand::Rng::with_seed(3);
    let mut seen = Vec::new();
    for _ in 0..8 {
        let (mut component, mut plant) = (component(REAL_TIME), Plant::new());
        let (mut told, _) = plant.states(1, 12_000.0);
        told.extend(network_messages());
        let again: Vec<_> = told.iter().filter(|_| random.bool()).cloned().collect();
        told.extend(again);
        let (topic, mut stranger) =
            plant.states(1, 0.0).0.into_iter().find(|(topic, _)| topic.contains("pv7")).unwrap();
        stranger.header.source_process_id = "pv99".into();
        told.push((topic.replace("pv7", "pv99"), stranger));
        random.shuffle(&mut told);
        seen.push(run(&mut *component, 1, &told));
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{seen:?}");
}

#[test]
fn a_state_that_is_not_complete_is_waited_for_then_the_setpoints_are_held() {
    let (mut component, mut plant) = (component(REAL_TIME), Plant::new());
    let (mut told, _) = plant.states(1, 12_000.0);
    told.extend(network_messages());
    let first = run(&mut *component, 1, &told);
    plant.obey(&first);
    let epoch = open_epoch(2);
    component.open(&epoch).unwrap();
    for (topic, message) in
        plant.states(2, 12_000.0).0.iter().filter(|(topic, _)| !topic.ends_with("Voltage.6"))
    {
        component.take(topic, message, at(2, 0.1)).unwrap();
    }
    assert_eq!(component.step(&epoch, at(2, 0.2)).unwrap(), Step::WakeAt(at(2, 2.0)));
    let Step::Done(held) = component.step(&epoch, at(2, 2.0)).unwrap() else { panic!("it waits on") };
    let bodies = |outputs: &[gridloop_component::Output]| -> Vec<Body> {
        outputs.iter().map(|output| output.body.clone()).collect()
    };
    assert_eq!(bodies(&first), bodies(&held));
    let warning = held[0].warnings[0].as_str();
    assert!(warning.contains("no bus 6 phase 1, bus 6 phase 2, bus 6 phase 3; the last"), "{warning}");
    assert_eq!(held[0].last_updated_in_epoch, Some(1));
}

#[test]
fn a_doubtful_state_moves_nothing() {
    let (mut component, mut plant) = (component(REAL_TIME), Plant::new());
    let (mut told, _) = plant.states(1, 12_000.0);
    told.extend(network_messages());
    let doubt = Warning::new(WarningKind::InputUnreliable, "pv7 is stale");
    told.iter_mut()
        .filter(|(topic, _)| topic.starts_with("NetworkState"))
        .for_each(|(_, message)| message.header.epoch.as_mut().unwrap().warnings = vec![doubt.clone()]);
    let outputs = run(&mut *component, 1, &told);
    assert!(outputs[0].warnings[0].as_str().contains("doubtful"), "{outputs:?}");
    plant.obey(&outputs);
    assert_eq!((plant.position, plant.told["pv7"]), (0, (15_000.0, 0.0)));
}

#[test]
fn a_position_of_bad_quality_keeps_the_tap_changer_where_it_is() {
    let (mut component, mut plant) = (component(REAL_TIME), Plant::new());
    for epoch in 1..=8 {
        let (mut told, _) = plant.states(epoch, 12_000.0);
        told.retain(|(topic, _)| !topic.starts_with("DeviceState"));
        told.push(device_state(epoch, 0.0, PointQuality::Stale));
        if epoch == 1 {
            told.extend(network_messages());
        }
        let outputs = run(&mut *component, epoch, &told);
        assert!(!outputs.iter().any(|output| matches!(output.body, Body::TapPosition(_))));
        plant.obey(&outputs);
    }
    assert!(plant.told["pv7"].1 < 0.0, "the inverter does what it can: {:?}", plant.told);
}

#[test]
fn a_network_that_never_comes_is_a_fault_that_says_so() {
    let mut component = component(REAL_TIME);
    let epoch = open_epoch(1);
    component.open(&epoch).unwrap();
    for (topic, message) in &network_messages()[..2] {
        component.take(topic, message, at(1, 0.1)).unwrap();
    }
    assert_eq!(component.step(&epoch, at(1, 0.2)).unwrap(), Step::WakeAt(at(1, 2.0)));
    let fault = component.step(&epoch, at(1, 2.0)).unwrap_err();
    assert!(fault.description().contains("no Init.CIS.CustomerInfo came within 2 s"), "{fault}");
}

#[test]
fn a_paced_epoch_is_answered_before_its_end() {
    let mut component = component(&REAL_TIME.replace("state_timeout_s = 2", "state_timeout_s = 60"));
    let mut epoch = open_epoch(1);
    epoch.deadline = Some(at(1, 1.0));
    component.open(&epoch).unwrap();
    for (topic, message) in &network_messages() {
        component.take(topic, message, at(1, 0.1)).unwrap();
    }
    assert_eq!(component.step(&epoch, at(1, 0.2)).unwrap(), Step::WakeAt(at(1, 0.9)));
    assert!(matches!(component.step(&epoch, at(1, 0.9)).unwrap(), Step::Done(_)));
}

#[test]
fn setpoints_are_renewed_as_an_epoch_begins_for_storages_that_wait_for_them() {
    let renewed = REAL_TIME.replace("hold_epochs", "renew_at_start = true\nhold_epochs");
    let battery = "\n[resource.battery7]\ntype = \"storage\"\nrated_power_kw = 5\ncapacity_kwh = 10\n";
    let mut component = component(&(renewed + battery));
    let mut plant = Plant::new();
    let mut before = Vec::new();
    for number in 1..=3 {
        let epoch = open_epoch(number);
        component.open(&epoch).unwrap();
        let Step::Publish(renewed) = component.step(&epoch, at(number, 0.0)).unwrap() else {
            panic!("nothing")
        };
        // A storage has nothing to wait for but this, and what came later would be for an epoch that it has ended.
        let of_battery = |outputs: &[gridloop_component::Output]| {
            outputs.iter().filter(|output| output.topic.ends_with("battery7")).count()
        };
        assert_eq!((of_battery(&renewed), of_battery(&before)), (1, 0));
        for output in &before {
            let same = |again: &&gridloop_component::Output| again.topic == output.topic;
            assert_eq!(renewed.iter().find(same).unwrap().body, output.body);
        }
        let (mut told, _) = plant.states(number, 12_000.0);
        told.extend(network_messages());
        for (topic, message) in &told {
            component.take(topic, message, at(number, 0.1)).unwrap();
        }
        let Step::Done(outputs) = component.step(&epoch, at(number, 0.2)).unwrap() else {
            panic!("it waits")
        };
        plant.obey(&renewed);
        before = outputs;
    }
}

#[test]
fn another_commander_of_the_same_resource_is_told_of_once() {
    let (mut component, mut plant) = (component(REAL_TIME), Plant::new());
    let topic = "ControlState.PowerSetpoint.pv7";
    assert!(component.inputs().iter().any(|input| input == topic));
    let mut warned = Vec::new();
    for epoch in 1..=3 {
        let (mut told, _) = plant.states(epoch, 12_000.0);
        told.extend(network_messages());
        let setpoint = gridloop_messages::PowerSetpoint { real_power_kw: 1.0, reactive_power_kvar: 0.0 };
        told.insert(0, (topic.into(), message("other", epoch, Body::PowerSetpoint(setpoint), vec![])));
        let outputs = run(&mut *component, epoch, &told);
        let warnings = outputs.iter().flat_map(|output| &output.warnings);
        warned.extend(
            warnings.map(|warning| warning.as_str().to_owned()).filter(|text| text.contains("other sends")),
        );
        plant.obey(&outputs);
    }
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(warned[0].contains(topic), "{warned:?}");
}

#[test]
fn a_resource_that_nobody_else_knows_is_at_the_bus_of_its_table() {
    let battery = "[resource.battery7]\ntype = \"storage\"\nrated_power_kw = 5\n";
    let told = |known: bool| {
        let (mut told, _) = Plant::new().states(1, 12_000.0);
        told.extend(network_messages());
        for (_, message) in &mut told {
            if let (false, Body::CustomerInfo(customers)) = (known, &mut message.body) {
                let at = customers.resource_id.iter().position(|name| name == "battery7").unwrap();
                customers.resource_id.remove(at);
                customers.customer_id.remove(at);
                customers.bus_name.remove(at);
            }
        }
        told
    };
    let by_network = run(&mut *component(&format!("{REAL_TIME}{battery}")), 1, &told(true));
    let placed = |bus: &str| component(&format!("{REAL_TIME}{battery}bus = \"{bus}\"\n"));
    let by_table = run(&mut *placed("7"), 1, &told(false));
    assert!(by_table.iter().any(|output| output.topic.ends_with(".battery7")), "{by_table:?}");
    assert_eq!(by_table, by_network);

    // Nobody knows it, or the network has no such bus.
    let nowhere = component(&format!("{REAL_TIME}{battery}"));
    for (mut component, part) in [(nowhere, "has no resource battery7"), (placed("77"), "battery7 at \"77\"")]
    {
        let epoch = open_epoch(1);
        component.open(&epoch).unwrap();
        for (topic, message) in &told(false) {
            component.take(topic, message, at(1, 0.1)).unwrap();
        }
        let fault = component.step(&epoch, at(1, 0.2)).unwrap_err();
        assert!(fault.description().contains(part), "{part}: {fault}");
    }
}

#[test]
fn what_is_wrong_in_a_configuration_is_told_at_its_place() {
    let wrong = REAL_TIME
        .replace("type = \"generator\"", "type = \"generater\"")
        .replace("max_reactive_power_kvar = 6", "max_reactive_power_kvar = 60")
        .replace("step_percent = 2.5", "step_percent = 0");
    let Err(diagnostics) = read(&wrong) else { panic!("accepted") };
    let text = format!("{diagnostics:?}");
    for part in ["generator", "max_reactive_power_kvar", "step_percent"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
