//! What a PV inverter does, by example and for arbitrary commands and slicings of time.

use super::*;
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

fn sunny(irradiance: f64) -> PvInverter {
    let mut settings = PvInverterSettings::typical(8000.0, Series::constant(irradiance));
    settings.efficiency = 0.95;
    settings.panel_power_w = 10_000.0;
    PvInverter::new(settings).unwrap()
}

fn power(inverter: &PvInverter) -> f64 {
    inverter.outputs().real_power_w
}

#[test]
fn the_sun_and_the_efficiency_make_the_power() {
    let outputs = sunny(500.0).outputs();
    assert_eq!((outputs.real_power_w, outputs.dc_power_w), (4750.0, 5000.0));
    assert_eq!(outputs.current_a, 4750.0 / (3.0 * 230.0));
    assert_eq!(outputs.state, PvState::Tracking);
}

#[test]
fn the_rating_is_the_ceiling_of_a_bright_day() {
    let outputs = sunny(1000.0).outputs();
    assert_eq!((outputs.real_power_w, outputs.state), (8000.0, PvState::Tracking));
}

#[test]
fn without_sun_it_sleeps() {
    assert_eq!(sunny(0.0).outputs().state, PvState::Sleeping);
}

#[test]
fn the_power_ramps_down_to_a_limit_and_up_again_without_it() {
    let mut inverter = sunny(1000.0);
    inverter.limit_power(Some(2000.0), None).unwrap();
    inverter.step(SECOND);
    assert_eq!((power(&inverter), inverter.outputs().state), (4000.0, PvState::Throttled));
    inverter.step(SECOND);
    assert_eq!(power(&inverter), 2000.0);
    inverter.limit_power(None, None).unwrap();
    inverter.step(SECOND / 2);
    assert_eq!(power(&inverter), 4000.0);
}

#[test]
fn energy_is_the_area_under_the_power() {
    let mut inverter = sunny(1000.0);
    inverter.limit_power(Some(2000.0), None).unwrap();
    inverter.step(Duration::from_millis(1500));
    inverter.step(Duration::from_millis(1500));
    let ramp_ws = (8000.0 + 2000.0) / 2.0 * 1.5;
    assert!((inverter.outputs().energy_wh * 3600.0 - (ramp_ws + 2000.0 * 1.5)).abs() < 1e-6);
}

#[test]
fn a_limit_gives_way_at_its_instant_even_within_a_long_step() {
    let mut inverter = sunny(1000.0);
    inverter.limit_power(Some(0.0), Some(Revert { after: SECOND * 10, to: None })).unwrap();
    inverter.step(SECOND * 9);
    let remaining = inverter.power_limit().remaining(inverter.elapsed());
    assert_eq!((power(&inverter), remaining), (0.0, Some(SECOND)));
    inverter.step(SECOND * 2);
    assert_eq!(power(&inverter), 4000.0);
    assert_eq!((inverter.power_limit().value(), inverter.power_limit().reverted()), (None, true));
}

#[test]
fn a_limit_can_give_way_to_another() {
    let mut inverter = sunny(1000.0);
    let revert = Revert { after: SECOND, to: Some(1000.0) };
    inverter.limit_power(Some(5000.0), Some(revert)).unwrap();
    inverter.step(SECOND * 60);
    assert_eq!((power(&inverter), inverter.power_limit().value()), (1000.0, Some(1000.0)));
}

#[test]
fn a_renewed_limit_does_not_give_way() {
    let mut inverter = sunny(1000.0);
    for _ in 0..10 {
        inverter.limit_power(Some(3000.0), Some(Revert { after: SECOND, to: None })).unwrap();
        inverter.step(SECOND / 2);
    }
    assert_eq!(power(&inverter), 3000.0);
}

#[test]
fn reactive_power_takes_what_real_power_leaves() {
    let mut inverter = sunny(1000.0);
    inverter.limit_power(Some(4800.0), None).unwrap();
    inverter.command_reactive(Some(-8000.0), None).unwrap();
    inverter.step(SECOND * 5);
    assert!((inverter.outputs().reactive_power_var + 6400.0).abs() < 1e-9);
    inverter.limit_power(None, None).unwrap();
    inverter.step(SECOND * 5);
    assert_eq!(inverter.outputs().reactive_power_var, 0.0);
}

#[test]
fn disconnecting_acts_at_once_and_connecting_ramps_up() {
    let mut inverter = sunny(1000.0);
    inverter.command_reactive(Some(1000.0), None).unwrap();
    inverter.set_connected(false);
    inverter.step(SECOND);
    let outputs = inverter.outputs();
    assert_eq!((outputs.real_power_w, outputs.reactive_power_var, outputs.state), (0.0, 0.0, PvState::Off));
    inverter.set_connected(true);
    inverter.step(SECOND);
    assert_eq!(power(&inverter), 4000.0);
}

#[test]
fn a_command_out_of_range_is_refused_and_the_old_one_stays() {
    let mut inverter = sunny(1000.0);
    inverter.limit_power(Some(3000.0), None).unwrap();
    for bad in [-1.0, 8000.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(inverter.limit_power(Some(bad), None).is_err());
        assert!(inverter.limit_power(Some(0.0), Some(Revert { after: SECOND, to: Some(bad) })).is_err());
    }
    for bad in [-8000.1, 8000.1, f64::NAN, f64::INFINITY] {
        assert!(inverter.command_reactive(Some(bad), None).is_err());
    }
    assert_eq!((inverter.power_limit().value(), inverter.reactive_command().value()), (Some(3000.0), None));
}

#[test]
fn a_bad_setting_is_refused_by_its_name() {
    type Spoil = fn(&mut PvInverterSettings);
    let cases: [(&str, Spoil); 6] = [
        ("rated_power_w", |s| s.rated_power_w = 0.0),
        ("efficiency", |s| s.efficiency = 1.01),
        ("ramp_w_per_s", |s| s.ramp_w_per_s = f64::NAN),
        ("nominal_voltage_v", |s| s.nominal_voltage_v = f64::INFINITY),
        ("panel_power_w", |s| s.panel_power_w = -1.0),
        ("irradiance_w_per_m2", |s| s.irradiance_w_per_m2 = Series::constant(-5.0)),
    ];
    for (field, spoil) in cases {
        let mut settings = PvInverterSettings::typical(8000.0, Series::constant(0.0));
        spoil(&mut settings);
        assert_eq!(PvInverter::new(settings).unwrap_err().field, field);
    }
}

#[test]
fn the_end_of_time_is_no_trouble() {
    let mut inverter = sunny(700.0);
    inverter.limit_power(Some(1.0), Some(Revert { after: Duration::MAX, to: None })).unwrap();
    inverter.step(Duration::MAX);
    inverter.step(Duration::MAX);
    assert!(power(&inverter).is_finite());
}

#[derive(Debug, Clone)]
struct Act {
    wait_ms: u64,
    limit_w: Option<f64>,
    var: Option<f64>,
    revert: Option<(u64, Option<f64>)>,
    connected: bool,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let watts = proptest::option::of(0.0..=8000.0);
    let vars = proptest::option::of(-8000.0..=8000.0);
    let revert = proptest::option::of((0..5000_u64, proptest::option::of(0.0..=8000.0)));
    let act = (1..8000_u64, watts, vars, revert, proptest::bool::weighted(0.9)).prop_map(
        |(wait_ms, limit_w, var, revert, connected)| Act { wait_ms, limit_w, var, revert, connected },
    );
    proptest::collection::vec(act, 1..12)
}

fn any_sun() -> impl Strategy<Value = Series> {
    proptest::collection::vec((0.05..6.0_f64, 0.0..1300.0_f64), 1..20).prop_map(|gaps| {
        let mut seconds = 0.0;
        let points = gaps.into_iter().map(|(gap, value)| {
            seconds += gap;
            (seconds, value)
        });
        Series::new("any", points.collect()).unwrap()
    })
}

fn perform(inverter: &mut PvInverter, act: &Act) {
    let revert = act.revert.map(|(ms, to)| Revert { after: Duration::from_millis(ms), to });
    inverter.limit_power(act.limit_w, revert).unwrap();
    inverter.command_reactive(act.var, None).unwrap();
    inverter.set_connected(act.connected);
}

proptest! {
    #[test]
    fn slicing_time_changes_nothing(sun in any_sun(), acts in acts(), slices in 2..40_u32) {
        let mut whole = PvInverter::new(PvInverterSettings::typical(8000.0, sun)).unwrap();
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
            prop_assert!((a.real_power_w - b.real_power_w).abs() < 1e-6, "{a:?} {b:?}");
            prop_assert!((a.reactive_power_var - b.reactive_power_var).abs() < 1e-3, "{a:?} {b:?}");
            prop_assert!((a.energy_wh - b.energy_wh).abs() < 1e-6, "{a:?} {b:?}");
        }
    }

    #[test]
    fn no_limit_is_ever_exceeded(sun in any_sun(), acts in acts()) {
        let mut inverter = PvInverter::new(PvInverterSettings::typical(8000.0, sun)).unwrap();
        for act in &acts {
            perform(&mut inverter, act);
            let mut energy = inverter.outputs().energy_wh;
            let slice = Duration::from_millis(act.wait_ms) / 10;
            for n in 1..=10 {
                inverter.step(slice);
                let o = inverter.outputs();
                prop_assert!((0.0..=8000.0).contains(&o.real_power_w));
                prop_assert!(o.real_power_w <= o.available_power_w);
                prop_assert!(o.real_power_w.hypot(o.reactive_power_var) <= 8000.0 * (1.0 + 1e-12));
                prop_assert!(o.energy_wh >= energy);
                energy = o.energy_wh;
                if let (Some(limit), false) = (act.limit_w, inverter.power_limit().reverted()) {
                    let ceiling = 8000.0 - 4000.0 * (slice * n).as_secs_f64();
                    prop_assert!(o.real_power_w <= limit.max(ceiling) + 1e-9);
                }
            }
        }
    }
}
