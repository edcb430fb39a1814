//! What inverters do about the voltage, by example and for arbitrary voltages and slicings of time.

use super::*;
use crate::{Battery, BatterySettings, OnGrid, PvInverter, PvInverterSettings, PvState, Step};
use proptest::prelude::*;

fn b() -> GridSupport {
    GridSupport {
        volt_var: Some(VoltageFunction {
            curve: Curve::ieee_1547_volt_var_b(),
            response_s: VoltageFunction::VOLT_VAR_RESPONSE_S,
        }),
        volt_watt: Some(VoltageFunction {
            curve: Curve::ieee_1547_volt_watt(),
            response_s: VoltageFunction::VOLT_WATT_RESPONSE_S,
        }),
        trip_and_return_after_s: Some(300.0),
    }
}

fn inverter(support: GridSupport) -> PvInverter {
    let typical = PvInverterSettings::typical(10_000.0, Series::constant(1000.0));
    PvInverter::new(PvInverterSettings { support, ..typical }).unwrap()
}

fn at(inverter: &mut PvInverter, voltage_pu: f64, seconds: f64) {
    inverter.set_grid_voltage_v(230.0 * voltage_pu, None);
    inverter.step(Duration::from_secs_f64(seconds));
}

#[test]
fn the_voltage_at_the_terminals_is_shown_and_makes_the_current() {
    let mut inverter = inverter(GridSupport::default());
    assert_eq!(inverter.outputs().voltage_v, 230.0);
    at(&mut inverter, 0.9, 60.0);
    let outputs = inverter.outputs();
    assert_eq!((outputs.voltage_v, outputs.real_power_w), (207.0, 10_000.0));
    assert!((outputs.current_a - 10_000.0 / (3.0 * 207.0)).abs() < 1e-9);
    at(&mut inverter, 0.0, 1.0);
    assert_eq!(inverter.outputs().current_a, 0.0);
    inverter.set_grid_voltage_v(f64::NAN, None);
    assert_eq!(inverter.outputs().voltage_v, 0.0);
}

#[test]
fn the_default_curves_are_those_of_ieee_1547_2018() {
    let volt_var = Curve::ieee_1547_volt_var_b();
    for (voltage, share) in [(0.8, 0.44), (0.92, 0.44), (0.95, 0.22), (0.98, 0.0), (1.0, 0.0), (1.02, 0.0)] {
        assert!((volt_var.at(voltage) - share).abs() < 1e-12, "{voltage}");
        assert!((volt_var.at(2.0 - voltage) + share).abs() < 1e-12, "{voltage} mirrored");
    }
    let volt_watt = Curve::ieee_1547_volt_watt();
    for (voltage, share) in [(1.0, 1.0), (1.06, 1.0), (1.08, 0.6), (1.10, 0.2), (1.2, 0.2)] {
        assert!((volt_watt.at(voltage) - share).abs() < 1e-12, "{voltage}");
    }
}

#[test]
fn volt_var_does_nine_tenths_of_the_way_in_its_response_time() {
    let mut inverter = inverter(GridSupport { volt_var: b().volt_var, ..GridSupport::default() });
    at(&mut inverter, 1.05, 5.0);
    assert!((inverter.outputs().reactive_power_var + 0.9 * 2200.0).abs() < 1e-6);
    at(&mut inverter, 1.05, 600.0);
    assert!((inverter.outputs().reactive_power_var + 2200.0).abs() < 1e-6);
}

#[test]
fn a_command_takes_the_place_of_volt_var_and_none_or_zero_gives_it_back() {
    let mut inverter = inverter(GridSupport { volt_var: b().volt_var, ..GridSupport::default() });
    inverter.command_reactive(Some(1000.0), None).unwrap();
    inverter.limit_power(Some(5000.0), None).unwrap();
    at(&mut inverter, 1.05, 60.0);
    assert_eq!(inverter.outputs().reactive_power_var, 1000.0);
    for free in [Some(0.0), None] {
        inverter.command_reactive(free, None).unwrap();
        at(&mut inverter, 1.05, 600.0);
        assert!((inverter.outputs().reactive_power_var + 2200.0).abs() < 1e-6, "{free:?}");
    }
}

#[test]
fn reactive_power_for_the_voltage_goes_before_real_power() {
    let mut inverter = inverter(GridSupport { volt_var: b().volt_var, ..GridSupport::default() });
    at(&mut inverter, 1.09, 600.0);
    let outputs = inverter.outputs();
    assert!((outputs.reactive_power_var + 4400.0).abs() < 1e-6, "{outputs:?}");
    assert!((outputs.real_power_w.hypot(outputs.reactive_power_var) - 10_000.0).abs() < 1e-6, "{outputs:?}");
}

#[test]
fn volt_watt_lowers_the_ceiling_in_its_time_and_raises_it_again() {
    let mut inverter = inverter(GridSupport { volt_watt: b().volt_watt, ..GridSupport::default() });
    at(&mut inverter, 1.10, 5.0);
    assert!((inverter.outputs().real_power_w - (10_000.0 - 4500.0)).abs() < 1e-6, "{:?}", inverter.outputs());
    assert_eq!(inverter.outputs().state, PvState::Throttled);
    at(&mut inverter, 1.10, 60.0);
    assert!((inverter.outputs().real_power_w - 2000.0).abs() < 1e-6);
    at(&mut inverter, 1.0, 60.0);
    assert_eq!(inverter.outputs().real_power_w, 10_000.0);
}

#[test]
fn it_trips_after_the_clearing_time_and_returns_when_all_has_been_well_for_long_enough() {
    for (voltage_pu, clearing_s) in [(1.21, 0.16), (1.15, 2.0), (0.6, 2.0), (0.3, 0.16)] {
        let support = GridSupport { trip_and_return_after_s: Some(300.0), ..GridSupport::default() };
        let mut inverter = inverter(support);
        at(&mut inverter, voltage_pu, clearing_s - 0.01);
        assert_eq!(inverter.outputs().state, PvState::Tracking, "{voltage_pu}");
        at(&mut inverter, voltage_pu, 0.02);
        let outputs = inverter.outputs();
        assert_eq!((outputs.state, outputs.real_power_w), (PvState::Tripped, 0.0), "{voltage_pu}");
        at(&mut inverter, 1.0, 200.0);
        at(&mut inverter, 1.08, 1.0);
        at(&mut inverter, 1.0, 299.0);
        assert_eq!(inverter.outputs().state, PvState::Tripped, "it counts anew after 1.08");
        at(&mut inverter, 1.0, 2.0);
        assert!(inverter.outputs().real_power_w > 0.0);
        at(&mut inverter, 1.0, 10.0);
        assert_eq!(inverter.outputs().real_power_w, 10_000.0);
    }
}

#[test]
fn a_short_dip_is_ridden_through() {
    let support = GridSupport { trip_and_return_after_s: Some(300.0), ..GridSupport::default() };
    let mut inverter = inverter(support);
    at(&mut inverter, 0.3, 0.15);
    at(&mut inverter, 1.0, 60.0);
    assert_eq!(inverter.outputs().state, PvState::Tracking);
}

#[test]
fn a_battery_follows_volt_var_and_volt_watt_bounds_what_it_gives_and_not_what_it_takes() {
    let typical = BatterySettings::typical(10_000.0, 100_000.0);
    let mut battery = Battery::new(BatterySettings { support: b(), ..typical }).unwrap();
    battery.command_power(Some(9000.0), None).unwrap();
    battery.set_grid_voltage_v(230.0 * 1.09, None);
    battery.step(Duration::from_mins(1));
    let outputs = battery.outputs();
    assert!((outputs.real_power_w - 4000.0).abs() < 1e-6, "{outputs:?}");
    assert!((outputs.reactive_power_var + 4400.0).abs() < 1e-6, "{outputs:?}");
    battery.command_power(Some(-9000.0), None).unwrap();
    battery.step(Duration::from_mins(1));
    assert_eq!(battery.outputs().real_power_w, -9000.0);
    battery.set_grid_voltage_v(300.0, None);
    battery.step(Duration::from_secs(1));
    let outputs = battery.outputs();
    assert_eq!((outputs.real_power_w, outputs.reactive_power_var), (0.0, 0.0), "tripped");
}

#[test]
fn a_curve_is_read_from_text_and_a_bad_one_refused_in_words() {
    let text = "0.92:0.44, 0.98:0, 1.02:0, 1.08:-0.44";
    assert_eq!(Curve::parse(text).unwrap(), Curve::ieee_1547_volt_var_b());
    for (bad, why) in [
        ("", "points `voltage:share`"),
        ("0.9", "points `voltage:share`"),
        ("0.9:2", "point 1, 0.9:2, is not from"),
        ("230:0.4", "point 1, 230:0.4, is not from"),
        ("1.0:NaN", "point 1, 1:NaN, is not from"),
        ("1.0:0, 1.0:0.1", "does not come after"),
    ] {
        let error = Curve::parse(bad).unwrap_err();
        assert!(error.contains(why), "{bad}: {error}");
    }
}

#[derive(Debug, Clone)]
struct Act {
    wait_ms: u64,
    voltage_pu: f64,
    watts: Option<f64>,
    var: Option<f64>,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let (watts, vars) = (proptest::option::of(0.0..=10_000.0), proptest::option::of(-4000.0..=4000.0));
    let act = (1..20_000_u64, 0.4..1.3_f64, watts, vars);
    let act = act.prop_map(|(wait_ms, voltage_pu, watts, var)| Act { wait_ms, voltage_pu, watts, var });
    proptest::collection::vec(act, 1..12)
}

proptest! {
    #[test]
    fn slicing_time_changes_nothing_for_an_inverter(acts in acts(), slices in 2..40_u32) {
        let support = GridSupport { trip_and_return_after_s: Some(5.0), ..b() };
        let mut whole = inverter(support);
        let mut sliced = whole.clone();
        for act in &acts {
            let wait = Duration::from_millis(act.wait_ms);
            for plant in [&mut whole, &mut sliced] {
                plant.set_grid_voltage_v(230.0 * act.voltage_pu, None);
                plant.limit_power(act.watts, None).unwrap();
                plant.command_reactive(act.var, None).unwrap();
            }
            whole.step(wait);
            for _ in 0..slices {
                sliced.step(wait / slices);
            }
            sliced.step(wait - wait / slices * slices);
            let (a, b) = (whole.outputs(), sliced.outputs());
            prop_assert!((a.real_power_w - b.real_power_w).abs() < 1e-3, "{a:?} {b:?}");
            prop_assert!((a.reactive_power_var - b.reactive_power_var).abs() < 1e-3, "{a:?} {b:?}");
            prop_assert!((a.energy_wh - b.energy_wh).abs() < 1e-6, "{a:?} {b:?}");
            prop_assert_eq!(a.state, b.state);
            prop_assert!(a.real_power_w.hypot(a.reactive_power_var) <= 10_000.0 * (1.0 + 1e-12));
        }
    }

    #[test]
    fn slicing_time_changes_nothing_for_a_battery(acts in acts(), slices in 2..40_u32) {
        let support = GridSupport { trip_and_return_after_s: Some(5.0), ..b() };
        let settings = BatterySettings { support, ..BatterySettings::typical(10_000.0, 300.0) };
        let mut whole = Battery::new(settings).unwrap();
        let mut sliced = whole.clone();
        for (number, act) in acts.iter().enumerate() {
            let wait = Duration::from_millis(act.wait_ms);
            let watts = act.watts.map(|it| if number % 2 == 0 { it } else { -it });
            for plant in [&mut whole, &mut sliced] {
                plant.set_grid_voltage_v(230.0 * act.voltage_pu, None);
                plant.command_power(watts, None).unwrap();
                plant.command_reactive(act.var, None).unwrap();
            }
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
    fn the_least_of_three_lines_is_integrated_exactly(
        width in 0.01..10.0_f64, heights in proptest::array::uniform6(0.0..100.0_f64),
    ) {
        let [a, b, c, d, e, f] = heights;
        let lines = [(a, b), (c, d), (e, f)];
        let slices = 20_000;
        let least = |at: f64| lines.iter().map(|(l, r)| l + (r - l) * at).fold(f64::INFINITY, f64::min);
        let sum: f64 = (0..slices).map(|n| least((f64::from(n) + 0.5) / f64::from(slices))).sum();
        prop_assert!((area_under_least(width, lines) - sum * width / f64::from(slices)).abs() < 1e-4);
    }
}
