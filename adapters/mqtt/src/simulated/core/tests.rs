//! What a simulated device does with commands of every kind.

use super::*;
use crate::broker::BrokerSettings;
use gridloop_clock::{Clock, SharedClock, SimulatedClock, sleep};
use gridloop_plant::BatterySettings;
use std::task::{Context, Waker};

struct Bench {
    clock: SimulatedClock,
    plant: LivePlant<Battery>,
    core: DeviceCore,
}

impl Bench {
    fn new() -> Self {
        let clock = SimulatedClock::new(Utc::from_timestamp(1_782_000_000, 0).unwrap());
        let shared: SharedClock = Arc::new(clock.clone());
        let battery = Battery::new(BatterySettings::typical(5000.0, 10_000.0)).unwrap();
        let plant = LivePlant::new(battery, shared);
        let broker = BrokerSettings::at("mqtt://127.0.0.1".parse().unwrap());
        let core = DeviceCore::new(SimulatedSettings::new(broker, "lab", "bat1"), Arc::new(plant.clone()));
        Self { clock, plant, core }
    }

    fn pass(&self, time: Duration) {
        let mut wait = sleep(&self.clock, time);
        let mut context = Context::from_waker(Waker::noop());
        while wait.as_mut().poll(&mut context).is_pending() {
            assert!(self.clock.advance());
        }
    }

    fn order(&self, id: &str, watts: f64, valid_s: i64) -> Order {
        let issued_at = self.clock.utc();
        let valid_until = issued_at + chrono::Duration::seconds(valid_s);
        let power = Held { real_power_w: watts, reactive_power_var: 0.0 };
        Order { id: id.into(), issued_at, valid_until, action: Action::Power { power, keep: false } }
    }

    fn send(&mut self, payload: &[u8], retained: bool) -> Option<Ack> {
        let published = self.core.command(payload, retained, self.clock.now(), self.clock.utc());
        published.first().map(|publication| Ack::parse(&publication.payload).unwrap())
    }

    fn refusal(&mut self, payload: &[u8], retained: bool) -> String {
        let ack = self.send(payload, retained).unwrap();
        assert_eq!((ack.result, ack.held, self.core.effects()), (Outcome::Refused, None, 0));
        ack.reason.unwrap()
    }
}

#[test]
fn a_command_is_held_and_acknowledged_with_what_is_held() {
    let mut bench = Bench::new();
    let ack = bench.send(&bench.order("1", 2000.0, 30).to_json(), false).unwrap();
    let held = Some(Held { real_power_w: 2000.0, reactive_power_var: 0.0 });
    assert_eq!(ack, Ack { id: "1".into(), result: Outcome::Accepted, reason: None, held });
    bench.pass(Duration::from_secs(2));
    assert_eq!(bench.plant.with(|battery| battery.outputs().real_power_w), 2000.0);
}

#[test]
fn a_command_gives_way_when_its_time_is_over_or_the_devices_patience() {
    let mut bench = Bench::new();
    bench.send(&bench.order("1", 2000.0, 3).to_json(), false).unwrap();
    bench.pass(Duration::from_millis(2999));
    assert_eq!(bench.plant.held().map(|held| held.real_power_w), Some(2000.0));
    bench.pass(Duration::from_millis(2));
    assert_eq!(bench.plant.held().map(|held| held.real_power_w), Some(0.0));
    bench.send(&bench.order("2", 2000.0, 600).to_json(), false).unwrap();
    bench.pass(Duration::from_secs(11));
    assert_eq!(bench.plant.held().map(|held| held.real_power_w), Some(0.0));
}

#[test]
fn a_command_to_be_kept_is_kept() {
    let mut bench = Bench::new();
    let power = Held { real_power_w: -500.0, reactive_power_var: 0.0 };
    let order = Order { action: Action::Power { power, keep: true }, ..bench.order("1", 0.0, 3) };
    bench.send(&order.to_json(), false).unwrap();
    bench.pass(Duration::from_secs(7200));
    assert_eq!(bench.plant.held(), Some(power));
}

#[test]
fn what_is_retained_expired_malformed_or_out_of_range_is_refused_with_a_reason() {
    let mut bench = Bench::new();
    let sound = bench.order("1", 2000.0, 30).to_json();
    assert!(bench.refusal(&sound, true).contains("retained"));
    let expired = bench.order("2", 2000.0, 0).to_json();
    assert!(bench.refusal(&expired, false).contains("expired"));
    let beyond = bench.order("3", 5001.0, 30).to_json();
    assert!(bench.refusal(&beyond, false).contains("5001"));
    let unknown =
        String::from_utf8(bench.order("4", 1.0, 30).to_json()).unwrap().replace("power\"", "jump\"");
    assert!(bench.refusal(unknown.as_bytes(), false).contains("jump"));
    assert_eq!(bench.send(b"off!", false), None);
}

#[test]
fn a_command_that_comes_twice_has_one_effect_and_the_same_answer() {
    let mut bench = Bench::new();
    let order = bench.order("1", 2000.0, 30).to_json();
    let first = bench.send(&order, false);
    bench.pass(Duration::from_secs(1));
    bench.send(&bench.order("2", 1000.0, 30).to_json(), false);
    assert_eq!(bench.send(&order, false), first);
    assert_eq!((bench.core.effects(), bench.plant.held().map(|held| held.real_power_w)), (2, Some(1000.0)));
}

#[test]
fn a_command_that_was_held_up_behind_a_newer_one_is_refused() {
    let mut bench = Bench::new();
    let old = bench.order("1", 2000.0, 600).to_json();
    bench.pass(Duration::from_secs(1));
    let release = Order { action: Action::Release, ..bench.order("2", 0.0, 600) };
    assert_eq!(bench.send(&release.to_json(), false).map(|ack| ack.result), Some(Outcome::Accepted));
    let late = bench.send(&old, false).unwrap();
    assert_eq!((late.result, late.held), (Outcome::Refused, None));
}

#[test]
fn a_report_is_telemetry_with_the_id_of_its_request() {
    let mut bench = Bench::new();
    bench.core.begin_session("s".into());
    let order = Order { action: Action::Report, ..bench.order("9", 0.0, 5) };
    let published = bench.core.command(&order.to_json(), false, bench.clock.now(), bench.clock.utc());
    let telemetry = Telemetry::parse(&published[0].payload).unwrap();
    assert_eq!((telemetry.request.as_deref(), telemetry.seq, telemetry.held), (Some("9"), 1, None));
    assert_eq!(bench.core.effects(), 0);
}
