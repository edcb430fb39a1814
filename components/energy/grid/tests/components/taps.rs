//! Taps of a network: moved by a device, or by the network itself.

use crate::rig::{
    Rig, Said, description, device_state, error, from_file, is_ready, sent, settings, state, voltage_kv,
};
use gridloop_grid::{GridSettings, TapChanger};
use gridloop_messages::{Body, PointQuality, TapPosition, topic};
use gridloop_power_flow::TapRange;

fn configured(changer: TapChanger) -> GridSettings {
    let mut network = description();
    let range = TapRange { lowest: 1, highest: 9, neutral: 5, step: 0.025 };
    assert!(network.set_taps("L1", range, 5));
    let mut settings = settings(from_file(network));
    settings.taps.insert("L1".into(), changer);
    settings
}

fn order(position: i32) -> crate::rig::Sent {
    let body = Body::TapPosition(TapPosition { tap_position: position });
    sent(topic::tap_position("L1"), "controller", body)
}

fn no_load() -> crate::rig::Sent {
    state("load", 0.0, 0.0, None)
}

#[test]
fn the_position_of_a_device_is_that_of_the_taps_and_is_waited_for() {
    let mut rig = Rig::grid(configured(TapChanger::Device("oltc1".into())));
    rig.next_epoch();
    assert!(!is_ready(&rig.hear(&no_load())));
    let said = rig.hear(&device_state("oltc1", 7.0, PointQuality::Good));
    assert!(is_ready(&said));
    assert!((voltage_kv(&said, "b2", 1) - 0.408 * 1.05).abs() < 1e-6, "{}", voltage_kv(&said, "b2", 1));
    rig.next_epoch();
    rig.hear(&no_load());
    assert_eq!(error(&rig.wake()), "epoch 2: after 60 s there is still no DeviceState of oltc1");
}

#[test]
fn a_position_that_is_not_good_leaves_the_last_good_one_and_a_warning() {
    let mut rig = Rig::grid(configured(TapChanger::Device("oltc1".into())));
    let bad = [
        device_state("oltc1", 3.0, PointQuality::CommLost),
        device_state("oltc1", 3.0, PointQuality::Substituted),
        device_state("oltc1", 99.0, PointQuality::Good),
        device_state("oltc1", 2.5, PointQuality::Good),
    ];
    rig.next_epoch();
    rig.hear(&device_state("oltc1", 6.0, PointQuality::Good));
    let good = rig.hear(&no_load());
    assert!(good.iter().all(|said| said.warnings().is_empty()));
    for told in bad {
        rig.next_epoch();
        rig.hear(&told);
        let said = rig.hear(&no_load());
        assert!(is_ready(&said));
        assert_eq!(voltage_kv(&said, "b2", 1), voltage_kv(&good, "b2", 1));
        assert!(said[0].warnings().contains("the tap position of L1 is not good"), "{}", said[0].warnings());
    }
    assert_eq!(rig.findings()["taps"]["L1"]["operations"], 1);
}

fn told_position(said: &[Said]) -> f64 {
    let told = said.iter().find_map(|said| match &said.message.body {
        Body::DeviceState(state) if said.topic == "DeviceState.L1" => Some(state.points[0].value),
        _ => None,
    });
    told.expect("a position")
}

/// Whether the order comes before or after the solution of its epoch, it counts from the next.
#[test]
fn an_order_counts_from_the_next_epoch_and_every_step_is_counted() {
    for before in [true, false] {
        let mut rig = Rig::grid(configured(TapChanger::Commanded));
        rig.next_epoch();
        let said = if before {
            rig.hear(&order(3));
            rig.hear(&no_load())
        } else {
            let said = rig.hear(&no_load());
            rig.hear(&order(3));
            said
        };
        assert_eq!(told_position(&said), 5.0);
        rig.next_epoch();
        let said = rig.hear(&no_load());
        assert_eq!(told_position(&said), 3.0);
        assert!((voltage_kv(&said, "b2", 1) - 0.408 * 0.95).abs() < 1e-6);
        let findings = rig.findings();
        assert_eq!(findings["taps"]["L1"]["operations"], 2);
        assert_eq!(findings["taps"]["L1"]["position"], 3);
    }
}

#[test]
fn an_order_beyond_the_end_stops_is_not_obeyed_and_warned_of() {
    let mut rig = Rig::grid(configured(TapChanger::Commanded));
    rig.next_epoch();
    rig.hear(&order(10));
    let said = rig.hear(&no_load());
    let (of_tap, of_network): (Vec<&Said>, Vec<&Said>) =
        said.iter().partition(|said| said.topic == "DeviceState.L1");
    let why = "warning.input: L1 cannot go to position 10: it has those from 1 to 9";
    assert_eq!(of_tap[0].warnings(), why);
    assert!(
        of_network.iter().all(|said| said.warnings().is_empty()),
        "it stands where it stood: {of_network:?}"
    );
    rig.next_epoch();
    let said = rig.hear(&no_load());
    assert_eq!(told_position(&said), 5.0);
    assert!(said.iter().all(|said| said.warnings().is_empty()), "{said:?}");
    let findings = rig.findings();
    assert_eq!((&findings["refused_tap_orders"], &findings["unreliable_epochs"]), (&1.into(), &0.into()));
}

#[test]
fn taps_of_a_branch_without_taps_are_an_error() {
    let mut configured = settings(from_file(description()));
    configured.taps.insert("L2".into(), TapChanger::Commanded);
    assert_eq!(
        error(&Rig::grid(configured).next_epoch()),
        "`taps.L2`: the network has no branch L2 with taps"
    );
}
