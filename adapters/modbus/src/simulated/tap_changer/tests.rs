//! The register map of the simulated tap changer.

use super::*;
use crate::simulated::pass;
use gridloop_clock::SimulatedClock;
use gridloop_plant::TapChangerSettings;
use std::sync::Arc;
use std::time::Duration;

fn tap_changer() -> (TapChangerImage, SimulatedClock) {
    let clock = SimulatedClock::new(gridloop_clock::Utc::default());
    let settings =
        TapChangerSettings { travel_time_s: 2.0, motor_pause_s: 15.0, ..TapChangerSettings::default() };
    let plant = LivePlant::new(TapChanger::new(settings).unwrap(), Arc::new(clock.clone()));
    (TapChangerImage { plant }, clock)
}

fn bits(number: i16) -> u16 {
    u16::from_be_bytes(number.to_be_bytes())
}

#[test]
fn the_map_shows_the_plant() {
    let (mut taps, _) = tap_changer();
    let holding = taps.read(Table::Holding, 0, 18).unwrap();
    assert_eq!(holding, [3, 5, 0, 0, 0, 0, 230, 0, 0, 0, 0, 0, 0, 9, 1, 9, 0, 0]);
    assert_eq!(taps.read(Table::Input, 8, 2), Ok(vec![0, 2300]));
    assert_eq!(taps.read(Table::Input, 36_600, 1), Ok(vec![5]));
}

#[test]
fn a_pulse_moves_the_taps_and_makes_the_motor_rest() {
    let (mut taps, clock) = tap_changer();
    taps.write(17, &[bits(-2)]).unwrap();
    pass(&clock, Duration::from_secs(3));
    assert_eq!(taps.read(Table::Holding, 1, 3), Ok(vec![4, 0, 1]));
    pass(&clock, Duration::from_secs(1));
    assert_eq!(taps.read(Table::Holding, 1, 3), Ok(vec![3, 0, 2]));
    assert_eq!(taps.read(Table::Input, 8, 2), Ok(vec![2, 2185]));
    assert_eq!(taps.read(Table::Holding, 17, 1), Ok(vec![0]));
}

#[test]
fn a_pulse_is_refused_with_the_exception_that_says_why() {
    let (mut taps, clock) = tap_changer();
    for bad in [0, 4, -4, i16::MIN, i16::MAX] {
        assert_eq!(taps.write(17, &[bits(bad)]), Err(Exception::IllegalValue), "{bad}");
    }
    taps.write(0, &[2]).unwrap();
    assert_eq!(taps.write(17, &[1]), Err(Exception::DeviceFailure));
    taps.write(0, &[3]).unwrap();
    taps.write(17, &[3]).unwrap();
    assert_eq!(taps.write(17, &[1]), Err(Exception::Busy));
    pass(&clock, Duration::from_secs(10));
    assert_eq!(taps.write(17, &[1]), Err(Exception::Busy));
    pass(&clock, Duration::from_secs(11));
    assert_eq!(taps.write(17, &[2]), Err(Exception::IllegalValue));
    assert_eq!(taps.write(17, &[1]), Ok(()));
}

#[test]
fn the_automatic_mode_regulates_to_the_voltage_set_point() {
    let (mut taps, clock) = tap_changer();
    taps.write(6, &[242]).unwrap();
    taps.write(0, &[1]).unwrap();
    pass(&clock, Duration::from_secs(60));
    assert_eq!(taps.read(Table::Input, 9, 1), Ok(vec![2415]));
}

#[test]
fn addresses_outside_the_map_and_registers_that_cannot_be_written_are_told_apart() {
    let (mut taps, _) = tap_changer();
    assert_eq!(taps.read(Table::Holding, 17, 2), Err(Exception::IllegalAddress));
    assert_eq!(taps.read(Table::Input, 0, 1), Err(Exception::IllegalAddress));
    assert_eq!(taps.write(18, &[1]), Err(Exception::IllegalAddress));
    let refused: [(u16, &[u16]); 5] = [(1, &[5]), (14, &[0]), (0, &[4]), (6, &[100]), (16, &[0, 1])];
    for (address, values) in refused {
        assert_eq!(taps.write(address, values), Err(Exception::IllegalValue), "{address}");
    }
}
