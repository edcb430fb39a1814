//! What a battery does, by example and for arbitrary commands and slicings of time.

use super::*;
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

/// 5 kW both ways, 10 kWh, half full, 90 % efficient each way.
fn settings() -> BatterySettings {
    BatterySettings {
        charge_efficiency: 0.9,
        discharge_efficiency: 0.9,
        ..BatterySettings::typical(5000.0, 10_000.0)
    }
}

fn battery() -> Battery {
    Battery::new(settings()).unwrap()
}

#[test]
fn a_battery_that_nobody_commands_idles_and_keeps_its_charge() {
    let mut battery = battery();
    battery.step(SECOND * 86_400);
    let outputs = battery.outputs();
    assert_eq!((outputs.real_power_w, outputs.state_of_charge_percent), (0.0, 50.0));
    assert_eq!(outputs.state, BatteryState::Idle);
}

#[test]
fn the_power_ramps_through_zero_to_a_command() {
    let mut battery = battery();
    battery.command_power(Some(2500.0), None).unwrap();
    battery.step(SECOND);
    assert_eq!(
        (battery.outputs().real_power_w, battery.outputs().state),
        (2500.0, BatteryState::Discharging)
    );
    battery.command_power(Some(-2500.0), None).unwrap();
    battery.step(SECOND / 2);
    assert_eq!(battery.outputs().real_power_w, 1250.0);
    battery.step(SECOND * 3 / 2);
    assert_eq!((battery.outputs().real_power_w, battery.outputs().state), (-2500.0, BatteryState::Charging));
    battery.command_power(None, None).unwrap();
    battery.step(SECOND);
    assert_eq!(battery.outputs().real_power_w, 0.0);
}

#[test]
fn discharging_takes_more_from_the_store_than_it_gives_and_charging_puts_in_less() {
    let mut battery = battery();
    battery.command_power(Some(4500.0), None).unwrap();
    battery.step(SECOND * 600);
    let discharged = battery.outputs();
    assert!((5000.0 - discharged.stored_wh - discharged.discharged_wh / 0.9).abs() < 1e-6);
    battery.command_power(Some(-4500.0), None).unwrap();
    battery.step(SECOND * 600);
    let charged = battery.outputs();
    let given = charged.discharged_wh / 0.9;
    assert!((5000.0 - given + charged.charged_wh * 0.9 - charged.stored_wh).abs() < 1e-6);
}

#[test]
fn an_empty_battery_gives_nothing_and_takes_again_at_once() {
    let mut battery =
        Battery::new(BatterySettings { min_state_of_charge_percent: 20.0, ..settings() }).unwrap();
    battery.command_power(Some(5000.0), None).unwrap();
    battery.step(SECOND * 3600);
    let outputs = battery.outputs();
    assert_eq!((outputs.real_power_w, outputs.state), (0.0, BatteryState::Empty));
    assert_eq!((outputs.stored_wh, outputs.state_of_charge_percent), (2000.0, 20.0));
    assert!((outputs.discharged_wh - 2700.0).abs() < 1e-6);
    battery.command_power(Some(-5000.0), None).unwrap();
    battery.step(SECOND * 4);
    assert_eq!(battery.outputs().state, BatteryState::Charging);
}

#[test]
fn a_full_battery_takes_nothing() {
    let mut battery =
        Battery::new(BatterySettings { max_state_of_charge_percent: 90.0, ..settings() }).unwrap();
    battery.command_power(Some(-5000.0), None).unwrap();
    battery.step(SECOND * 7200);
    let outputs = battery.outputs();
    assert_eq!((outputs.real_power_w, outputs.state), (0.0, BatteryState::Full));
    assert_eq!(outputs.state_of_charge_percent, 90.0);
    assert!((outputs.charged_wh - 4000.0 / 0.9).abs() < 1e-6);
}

#[test]
fn a_command_gives_way_to_its_revert_value_at_its_instant_even_within_a_long_step() {
    let mut battery = battery();
    let revert = Revert { after: SECOND * 10, to: Some(-1000.0) };
    battery.command_power(Some(3000.0), Some(revert)).unwrap();
    battery.step(SECOND * 9);
    let remaining = battery.power_command().remaining(battery.elapsed());
    assert_eq!((battery.outputs().real_power_w, remaining), (3000.0, Some(SECOND)));
    battery.step(SECOND * 2);
    assert_eq!((battery.outputs().real_power_w, battery.power_command().reverted()), (500.0, true));
    battery.step(SECOND);
    assert_eq!((battery.outputs().real_power_w, battery.power_command().value()), (-1000.0, Some(-1000.0)));
}

#[test]
fn a_renewed_command_does_not_give_way() {
    let mut battery = battery();
    for _ in 0..10 {
        battery.command_power(Some(3000.0), Some(Revert { after: SECOND, to: None })).unwrap();
        battery.step(SECOND / 2);
    }
    assert_eq!(battery.outputs().real_power_w, 3000.0);
}

#[test]
fn a_command_out_of_range_is_refused_and_the_old_one_stays() {
    let mut battery = battery();
    battery.command_power(Some(3000.0), None).unwrap();
    for bad in [-5000.1, 5000.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(battery.command_power(Some(bad), None).is_err());
        assert!(battery.command_power(Some(0.0), Some(Revert { after: SECOND, to: Some(bad) })).is_err());
        assert!(battery.command_reactive(Some(bad), None).is_err());
    }
    assert_eq!((battery.power_command().value(), battery.reactive_command().value()), (Some(3000.0), None));
}

#[test]
fn a_bad_setting_is_refused_by_its_name() {
    type Spoil = fn(&mut BatterySettings);
    let cases: [(&str, Spoil); 12] = [
        ("rated_charge_power_w", |s| s.rated_charge_power_w = 0.0),
        ("rated_discharge_power_w", |s| s.rated_discharge_power_w = f64::NAN),
        ("max_reactive_power_var", |s| s.max_reactive_power_var = -1.0),
        ("capacity_wh", |s| s.capacity_wh = 0.0),
        ("state_of_charge_percent", |s| s.state_of_charge_percent = 101.0),
        ("state_of_charge_percent", |s| s.min_state_of_charge_percent = 60.0),
        ("min_state_of_charge_percent", |s| s.min_state_of_charge_percent = -1.0),
        ("max_state_of_charge_percent", |s| s.max_state_of_charge_percent = 0.0),
        ("charge_efficiency", |s| s.charge_efficiency = 1.01),
        ("discharge_efficiency", |s| s.discharge_efficiency = 0.0),
        ("ramp_w_per_s", |s| s.ramp_w_per_s = f64::INFINITY),
        ("nominal_voltage_v", |s| s.nominal_voltage_v = 0.0),
    ];
    for (field, spoil) in cases {
        let mut settings = settings();
        spoil(&mut settings);
        assert_eq!(Battery::new(settings).unwrap_err().field, field);
    }
}

#[test]
fn the_end_of_time_is_no_trouble() {
    let mut battery = battery();
    battery.command_power(Some(1.0), Some(Revert { after: Duration::MAX, to: None })).unwrap();
    battery.step(Duration::MAX);
    battery.step(Duration::MAX);
    assert_eq!(battery.outputs().state_of_charge_percent, 0.0);
}

#[derive(Debug, Clone)]
struct Act {
    wait_ms: u64,
    watts: Option<f64>,
    var: Option<f64>,
    revert: Option<(u64, Option<f64>)>,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let power = || proptest::option::of(-5000.0..=5000.0);
    let revert = proptest::option::of((0..5000_u64, power()));
    let act = (1..8000_u64, power(), power(), revert).prop_map(|(wait_ms, watts, var, revert)| Act {
        wait_ms,
        watts,
        var,
        revert,
    });
    proptest::collection::vec(act, 1..12)
}

/// A battery so small that it is full or empty within a few acts.
fn small() -> impl Strategy<Value = Battery> {
    (2.0..40.0_f64, 0.0..40.0_f64, 50.0..=100.0_f64, 0.3..=1.0_f64, 0.3..=1.0_f64).prop_map(
        |(capacity_wh, lowest, highest, charge, discharge)| {
            let settings = BatterySettings {
                state_of_charge_percent: f64::midpoint(lowest, highest),
                min_state_of_charge_percent: lowest,
                max_state_of_charge_percent: highest,
                charge_efficiency: charge,
                discharge_efficiency: discharge,
                ..BatterySettings::typical(5000.0, capacity_wh)
            };
            Battery::new(settings).unwrap()
        },
    )
}

fn perform(battery: &mut Battery, act: &Act) {
    let revert = act.revert.map(|(ms, to)| Revert { after: Duration::from_millis(ms), to });
    battery.command_power(act.watts, revert).unwrap();
    battery.command_reactive(act.var, None).unwrap();
}

proptest! {
    #[test]
    fn slicing_time_changes_nothing(mut whole in small(), acts in acts(), slices in 2..40_u32) {
        let mut sliced = whole.clone();
        for act in &acts {
            perform(&mut whole, act);
            perform(&mut sliced, act);
            let wait = Duration::from_millis(act.wait_ms);
            whole.step(wait);
            for _ in 0..slices {
                sliced.step(wait / slices);
            }
            sliced.step(wait - wait / slices * slices);
            let (a, b) = (whole.outputs(), sliced.outputs());
            prop_assert!((a.real_power_w - b.real_power_w).abs() < 1e-3, "{a:?} {b:?}");
            prop_assert!((a.reactive_power_var - b.reactive_power_var).abs() < 1e-3, "{a:?} {b:?}");
            prop_assert!((a.stored_wh - b.stored_wh).abs() < 1e-6, "{a:?} {b:?}");
            prop_assert!((a.discharged_wh - b.discharged_wh).abs() < 1e-6, "{a:?} {b:?}");
            prop_assert!((a.charged_wh - b.charged_wh).abs() < 1e-6, "{a:?} {b:?}");
        }
    }

    #[test]
    fn energy_is_conserved_and_no_limit_is_ever_exceeded(mut battery in small(), acts in acts()) {
        let settings = battery.settings().clone();
        let begun_wh = battery.outputs().stored_wh;
        for act in &acts {
            perform(&mut battery, act);
            for _ in 0..10 {
                battery.step(Duration::from_millis(act.wait_ms) / 10);
                let o = battery.outputs();
                let balance_wh = begun_wh + o.charged_wh * settings.charge_efficiency
                    - o.discharged_wh / settings.discharge_efficiency;
                prop_assert!((balance_wh - o.stored_wh).abs() < 1e-6, "{balance_wh} {o:?}");
                prop_assert!((-5000.0..=5000.0).contains(&o.real_power_w));
                let percent = settings.min_state_of_charge_percent..=settings.max_state_of_charge_percent;
                let shown = o.state_of_charge_percent;
                prop_assert!(percent.contains(&shown) || (shown - percent.start()).abs() < 1e-9
                    || (shown - percent.end()).abs() < 1e-9, "{o:?}");
            }
        }
    }
}
