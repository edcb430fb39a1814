//! What of a network is followed, and what is not.

use super::*;
use gridloop_messages::{
    BranchCurrent, BusVoltage, EpochFields, Header, SimulationId, Timestamp, WarningKind,
};
use gridloop_service::Document;

const TOPIC: &str = "NetworkState.grid.Voltage.7";

fn settings() -> FollowSettings {
    FollowSettings {
        grid: None,
        bus: "7".into(),
        by: FollowBy::Terminals,
        nominal_voltage_v: 230.0,
        bus_nominal_voltage_v: 230.0,
        plausible_pu: (0.5, 1.5),
        warn_after_epochs: 2,
        despite_warnings: false,
    }
}

fn message(epoch: u64, node: Conductor, volts: f64) -> Message {
    let state = BusVoltage { magnitude_kv: volts / 1000.0, angle_deg: 0.0, bus: "7".into(), node };
    let fields = EpochFields { epoch_number: epoch, ..EpochFields::default() };
    let header = Header {
        simulation_id: SimulationId::parse("2026-01-01T00:00:00.000Z").unwrap(),
        timestamp: Timestamp::parse("2026-01-01T00:00:00.000Z").unwrap(),
        source_process_id: "grid".into(),
        message_id: "grid-1".into(),
        epoch: Some(fields),
    };
    Message { header, body: Body::NetworkState(NetworkState::Voltage(state)) }
}

fn warned(kind: WarningKind) -> Message {
    let mut message = message(1, Conductor::Phase2, 240.0);
    message.header.epoch.as_mut().unwrap().warnings.push(Warning::new(kind, "of pv9"));
    message
}

fn volts(heard: Heard) -> f64 {
    match heard {
        Heard::Voltage(volts) => volts,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_device_with_a_node_follows_that_phase() {
    let mut following = Following::new(settings(), Some(2), NetworkDoubts::default());
    assert_eq!(following.topic(), "NetworkState.*.Voltage.7");
    assert_eq!(following.hear(TOPIC, &message(1, Conductor::Phase1, 220.0)), Heard::Nothing);
    assert!((volts(following.hear(TOPIC, &message(1, Conductor::Phase2, 240.0))) - 240.0).abs() < 1e-9);
    assert_eq!(following.hear(TOPIC, &message(1, Conductor::Neutral, 3.0)), Heard::Nothing);
    assert_eq!(following.opens(), None);
}

#[test]
fn a_device_without_a_node_follows_the_mean_when_all_three_are_there() {
    let mut following = Following::new(settings(), None, NetworkDoubts::default());
    assert_eq!(following.hear(TOPIC, &message(1, Conductor::Phase1, 220.0)), Heard::Nothing);
    assert_eq!(following.hear(TOPIC, &message(1, Conductor::Phase3, 235.0)), Heard::Nothing);
    assert!((volts(following.hear(TOPIC, &message(1, Conductor::Phase2, 235.0))) - 230.0).abs() < 1e-9);
    assert_eq!(following.opens(), None);
    let _ = following.hear(TOPIC, &message(2, Conductor::Phase1, 200.0));
    assert!(following.opens().unwrap().contains("1 of the 3 phases"));
    assert_eq!(
        following.hear(TOPIC, &message(3, Conductor::Phase2, 230.0)),
        Heard::Nothing,
        "it counts anew"
    );
}

#[test]
fn the_voltage_of_another_level_comes_in_proportion() {
    let of_bus = FollowSettings { bus_nominal_voltage_v: 7309.0, ..settings() };
    let mut following = Following::new(of_bus, Some(1), NetworkDoubts::default());
    let heard = following.hear(TOPIC, &message(1, Conductor::Phase1, 7309.0 * 1.04));
    assert!((volts(heard) - 230.0 * 1.04).abs() < 1e-9);
}

#[test]
fn what_cannot_be_is_not_followed() {
    for bad in [0.0, 114.0, 346.0, 12_660.0, -230.0, f64::NAN, f64::INFINITY] {
        let mut following = Following::new(settings(), Some(1), NetworkDoubts::default());
        let heard = following.hear(TOPIC, &message(1, Conductor::Phase1, bad));
        assert!(
            matches!(&heard, Heard::Ignored(why) if why.contains("outside 0.5 to 1.5")),
            "{bad}: {heard:?}"
        );
        assert_eq!(following.followed_epoch, 0);
    }
}

#[test]
fn what_its_sender_doubts_is_not_followed_unless_the_configuration_says_so() {
    for kind in [WarningKind::Convergence, WarningKind::InputUnreliable, WarningKind::Internal] {
        let mut following = Following::new(settings(), Some(2), NetworkDoubts::default());
        let heard = following.hear(TOPIC, &warned(kind));
        assert!(matches!(&heard, Heard::Doubted(why) if why.contains("of pv9")), "{kind:?}: {heard:?}");
        let mut trusting = Following::new(
            FollowSettings { despite_warnings: true, ..settings() },
            Some(2),
            NetworkDoubts::default(),
        );
        assert!((volts(trusting.hear(TOPIC, &warned(kind))) - 240.0).abs() < 1e-9);
    }
    for kind in [WarningKind::Input, WarningKind::InputRange, WarningKind::Other] {
        let mut following = Following::new(settings(), Some(2), NetworkDoubts::default());
        assert!((volts(following.hear(TOPIC, &warned(kind))) - 240.0).abs() < 1e-9, "{kind:?}");
    }
}

#[test]
fn one_grid_is_followed_and_no_other() {
    let mut following = Following::new(settings(), Some(1), NetworkDoubts::default());
    let of = message(1, Conductor::Phase1, 231.0);
    assert!((volts(following.hear("NetworkState.north.Voltage.7", &of)) - 231.0).abs() < 1e-9);
    let other = following.hear("NetworkState.south.Voltage.7", &of);
    assert!(matches!(&other, Heard::Ignored(why) if why.contains("only north")), "{other:?}");
    let named = Following::new(
        FollowSettings { grid: Some("south".into()), ..settings() },
        Some(1),
        NetworkDoubts::default(),
    );
    assert!(!named.concerns("NetworkState.north.Voltage.7"));
    assert_eq!(named.topic(), "NetworkState.south.Voltage.7");
    assert!(
        !named.concerns("NetworkState.south.Voltage.71") && !named.concerns("NetworkState.south.Current.7")
    );
}

#[test]
fn a_message_that_is_no_voltage_of_the_bus_is_not_followed() {
    let mut following = Following::new(settings(), Some(1), NetworkDoubts::default());
    let mut current = message(1, Conductor::Phase1, 230.0);
    current.body = Body::NetworkState(NetworkState::Current(BranchCurrent {
        magnitude_sending_end_a: 1.0,
        magnitude_receiving_end_a: 1.0,
        angle_sending_end_deg: 0.0,
        angle_receiving_end_deg: 0.0,
        device_id: "line".into(),
        phase: Conductor::Phase1,
    }));
    assert!(matches!(following.hear(TOPIC, &current), Heard::Ignored(_)));
    let mut of_another = message(1, Conductor::Phase1, 230.0);
    if let Body::NetworkState(NetworkState::Voltage(voltage)) = &mut of_another.body {
        voltage.bus = "8".into();
    }
    assert!(matches!(following.hear(TOPIC, &of_another), Heard::Ignored(_)));
}

#[test]
fn it_is_told_when_a_voltage_has_been_missing_for_so_many_epochs() {
    let mut following = Following::new(settings(), Some(1), NetworkDoubts::default());
    assert_eq!((following.missing(1), following.missing(2)), (None, None));
    assert!(following.missing(3).unwrap().contains("the nominal one stands in its place"));
    let _ = following.hear(TOPIC, &message(3, Conductor::Phase1, 230.0));
    assert_eq!((following.missing(4), following.missing(5)), (None, None));
    assert!(following.missing(6).unwrap().contains("for 2 epochs; that of epoch 3 is kept"));
}

fn read(text: &str) -> Result<Option<FollowSettings>, String> {
    let document = Document::parse("f.toml", text).unwrap();
    let root = document.root();
    let twin = root.section("twin", "");
    let twin = if twin.is_present() { crate::twin::read_twin(&twin) } else { None };
    let follows = read_follows(&root.section("follows", ""), twin.as_ref());
    document.finish().map(|()| follows).map_err(|errors| errors.to_string())
}

#[test]
fn the_table_is_read_with_its_defaults_and_refused_in_words() {
    let pv = "[twin]\nplant = \"pv-inverter\"\nrated_power_w = 1000\n";
    let dips_reach_it = FollowSettings { plausible_pu: (0.0, 1.5), ..settings() };
    assert_eq!(read(&format!("follows = {{ bus = \"7\" }}\n{pv}")).unwrap(), Some(dips_reach_it));
    assert_eq!(read(pv).unwrap(), None);
    let source = "[twin]\nplant = \"grid-emulator\"\n";
    let by = |text: &str| read(text).unwrap().unwrap().by;
    assert_eq!(by(&format!("follows = {{ bus = \"7\" }}\n{source}")), FollowBy::Setpoint);
    let alone = "follows = { bus = \"7\", by = \"setpoint\", nominal_voltage_v = 120 }";
    assert_eq!(by(alone), FollowBy::Setpoint);
    assert_eq!(read(alone).unwrap().unwrap().plausible_pu, (0.5, 1.5), "no dip is told to a source");
    for (bad, why) in [
        ("follows = { }", "bus"),
        ("follows = { bus = \"*\" }", "a name without"),
        ("follows = { bus = \"7\", nominal_voltage_v = 230 }", "by = \"setpoint\""),
        ("follows = { bus = \"7\", by = \"setpoint\" }", "nominal_voltage_v"),
        ("follows = { bus = \"7\", by = \"terminals\" }\n[twin]\nplant = \"grid-emulator\"", "setpoint"),
    ] {
        let error = read(bad).unwrap_err();
        assert!(error.contains(why), "{bad}: {error}");
    }
}
