//! What a tap changer does, by example and for arbitrary commands and slicings of time.

use super::*;
use proptest::prelude::*;

fn seconds(s: f64) -> Duration {
    Duration::from_secs_f64(s)
}

fn tap_changer() -> TapChanger {
    let settings =
        TapChangerSettings { travel_time_s: 1.5, motor_pause_s: 2.0, ..TapChangerSettings::default() };
    TapChanger::new(settings).unwrap()
}

fn automatic(primary_voltage_v: Series) -> TapChanger {
    let settings =
        TapChangerSettings { primary_voltage_v, mode: TapMode::Automatic, ..TapChangerSettings::default() };
    TapChanger::new(settings).unwrap()
}

#[test]
fn a_step_takes_its_time_and_moves_the_voltage() {
    let mut taps = tap_changer();
    taps.command_steps(1).unwrap();
    taps.step(seconds(1.4));
    assert_eq!((taps.outputs().position, taps.outputs().moving), (5, true));
    taps.step(seconds(0.1));
    let outputs = taps.outputs();
    assert_eq!((outputs.position, outputs.moving, outputs.motor_pause_s), (6, false, 2.0));
    assert_eq!(outputs.voltage_v, 230.0 * 1.025);
}

#[test]
fn several_steps_follow_each_other_and_are_counted() {
    let mut taps = tap_changer();
    taps.command_steps(-3).unwrap();
    taps.step(seconds(3.1));
    assert_eq!((taps.outputs().position, taps.outputs().operations), (3, 2));
    taps.step(seconds(1.5));
    assert_eq!((taps.outputs().position, taps.outputs().operations), (2, 3));
}

#[test]
fn a_command_is_refused_while_it_moves_and_while_the_motor_rests() {
    let mut taps = tap_changer();
    taps.command_steps(1).unwrap();
    assert_eq!(taps.command_steps(1), Err(CommandError::Moving));
    taps.step(seconds(2.0));
    assert_eq!(taps.command_steps(1), Err(CommandError::Pausing { remaining_s: 1.5 }));
    taps.step(seconds(1.5));
    assert_eq!(taps.command_steps(1), Ok(()));
}

#[test]
fn a_command_past_the_end_stop_moves_nothing() {
    let mut taps =
        TapChanger::new(TapChangerSettings { position: 8, ..TapChangerSettings::default() }).unwrap();
    for bad in [2, 3, 0, 4, -4, i32::MAX, i32::MIN] {
        assert!(matches!(taps.command_steps(bad), Err(CommandError::OutOfRange { .. })), "{bad}");
    }
    assert!(!taps.outputs().moving);
    assert_eq!(taps.command_steps(1), Ok(()));
}

#[test]
fn it_moves_from_outside_only_in_external_control() {
    let mut taps = tap_changer();
    for mode in [TapMode::Manual, TapMode::Automatic] {
        taps.set_mode(mode);
        assert_eq!(taps.command_steps(1), Err(CommandError::NotRemote));
    }
    taps.set_mode(TapMode::External);
    assert_eq!(taps.command_steps(1), Ok(()));
}

#[test]
fn a_movement_is_finished_when_the_mode_changes() {
    let mut taps = tap_changer();
    taps.command_steps(2).unwrap();
    taps.set_mode(TapMode::Manual);
    taps.step(seconds(10.0));
    assert_eq!(taps.outputs().position, 7);
}

#[test]
fn the_automatic_mode_brings_the_voltage_near_the_setpoint_and_stays() {
    let mut taps = automatic(Series::constant(215.0));
    taps.step(seconds(60.0));
    let settled = taps.outputs();
    assert!((settled.voltage_v - 230.0).abs() <= 0.75 * 0.025 * 230.0, "{settled:?}");
    taps.step(seconds(3600.0));
    assert_eq!(taps.outputs(), settled);
}

#[test]
fn the_automatic_mode_stops_at_the_end_stop() {
    let mut taps = automatic(Series::constant(150.0));
    taps.step(Duration::MAX);
    assert_eq!((taps.outputs().position, taps.outputs().operations), (9, 4));
}

#[test]
fn a_voltage_that_the_taps_cannot_make_is_refused() {
    let mut taps = tap_changer();
    assert_eq!(taps.voltage_range_v(), (230.0 * 0.9, 230.0 * 1.1));
    for bad in [206.9, 253.1, f64::NAN, f64::INFINITY, -230.0] {
        assert!(taps.set_voltage_setpoint_v(bad).is_err());
    }
    taps.set_voltage_setpoint_v(240.0).unwrap();
    assert_eq!(taps.outputs().voltage_setpoint_v, 240.0);
}

#[test]
fn a_bad_setting_is_refused_by_its_name() {
    type Spoil = fn(&mut TapChangerSettings);
    let cases: [(&str, Spoil); 8] = [
        ("lowest", |s| s.lowest = i32::MIN),
        ("highest", |s| s.highest = s.lowest),
        ("position", |s| s.position = 10),
        ("travel_time_s", |s| s.travel_time_s = 0.0),
        ("motor_pause_s", |s| s.motor_pause_s = f64::NAN),
        ("step_percent", |s| (s.step_percent, s.lowest, s.position) = (20.0, -20, 0)),
        ("primary_voltage_v", |s| s.primary_voltage_v = Series::constant(-1.0)),
        ("voltage_setpoint_v", |s| s.voltage_setpoint_v = f64::INFINITY),
    ];
    for (field, spoil) in cases {
        let mut settings = TapChangerSettings::default();
        spoil(&mut settings);
        assert_eq!(TapChanger::new(settings).unwrap_err().field, field);
    }
}

fn commands() -> impl Strategy<Value = Vec<(i32, TapMode, u64)>> {
    let mode = prop_oneof![
        4 => Just(TapMode::External),
        1 => Just(TapMode::Automatic),
        1 => Just(TapMode::Manual)
    ];
    proptest::collection::vec((-4..=4_i32, mode, 0..9000_u64), 1..20)
}

proptest! {
    #[test]
    fn slicing_time_changes_nothing(commands in commands(), slices in 2..30_u32, from_v in 200.0..260.0_f64) {
        let primary = Series::new("primary", vec![(0.0, from_v), (40.0, 230.0)]).unwrap();
        let settings = TapChangerSettings { primary_voltage_v: primary, ..TapChangerSettings::default() };
        let mut whole = TapChanger::new(settings).unwrap();
        let mut sliced = whole.clone();
        for (steps, mode, wait_ms) in commands {
            for taps in [&mut whole, &mut sliced] {
                taps.set_mode(mode);
                let _ = taps.command_steps(steps);
            }
            let wait = Duration::from_millis(wait_ms);
            whole.step(wait);
            for _ in 0..slices {
                sliced.step(wait / slices);
            }
            sliced.step(wait - wait / slices * slices);
            prop_assert_eq!(whole.outputs(), sliced.outputs());
        }
    }

    #[test]
    fn the_position_never_passes_an_end_stop_and_every_step_is_counted(commands in commands()) {
        let mut taps = tap_changer();
        let mut travelled = 0;
        for (steps, mode, wait_ms) in commands {
            taps.set_mode(mode);
            let _ = taps.command_steps(steps);
            for _ in 0..20 {
                let before = taps.outputs().position;
                taps.step(Duration::from_millis(wait_ms / 20));
                let position = taps.outputs().position;
                prop_assert!((1..=9).contains(&position));
                prop_assert!((position - before).abs() <= 1);
                travelled += (position - before).unsigned_abs();
            }
        }
        prop_assert_eq!(taps.outputs().operations, travelled);
    }
}

#[test]
fn what_the_grid_says_is_the_voltage_and_its_own_steps_move_it_from_there() {
    let mut taps = TapChanger::new(TapChangerSettings::default()).unwrap();
    taps.set_grid_voltage_v(220.0, None);
    assert_eq!(taps.outputs().voltage_v, 220.0);
    taps.command_steps(2).unwrap();
    taps.step(Duration::from_secs(10));
    assert!((taps.outputs().voltage_v - 220.0 * 1.05).abs() < 1e-9);
    // What was calculated for a position that it has left since counts for that position.
    taps.set_grid_voltage_v(221.0, Some(5));
    assert!((taps.outputs().voltage_v - 221.0 * 1.05).abs() < 1e-9);
    taps.set_grid_voltage_v(231.0, Some(7));
    assert!((taps.outputs().voltage_v - 231.0).abs() < 1e-9);
    taps.set_grid_voltage_v(f64::INFINITY, None);
    assert!((taps.outputs().voltage_v - 231.0).abs() < 1e-9);
}

#[test]
fn its_own_regulator_sees_the_voltage_of_the_grid() {
    let settings = TapChangerSettings { mode: TapMode::Automatic, ..TapChangerSettings::default() };
    let mut taps = TapChanger::new(settings).unwrap();
    taps.step(Duration::from_secs(60));
    assert_eq!(taps.outputs().position, 5);
    taps.set_grid_voltage_v(215.0, None);
    taps.step(Duration::from_secs(60));
    assert_eq!(taps.outputs().position, 7, "215 V become 225.75 V, within three quarters of a step");
}
