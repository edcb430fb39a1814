//! The register map of the simulated battery inverter.

use super::*;
use crate::simulated::pass;
use gridloop_clock::SimulatedClock;
use std::sync::Arc;

/// A battery of 5 kW and 10 kWh, half full, that follows at once.
fn battery() -> (BatteryImage, SimulatedClock) {
    let clock = SimulatedClock::new(gridloop_clock::Utc::default());
    let mut settings = BatterySettings::typical(5000.0, 10_000.0);
    settings.ramp_w_per_s = 1e6;
    let plant = LivePlant::new(Battery::new(settings).unwrap(), Arc::new(clock.clone()));
    (BatteryImage { plant, controls: Controls::default() }, clock)
}

fn long(number: i32) -> [u16; 2] {
    words(number.into())
}

fn power(image: &mut BatteryImage) -> i32 {
    let held = image.read(Table::Input, 0, 2).unwrap();
    signed32(joined(held[0], held[1]))
}

#[test]
fn the_map_shows_the_plant() {
    let (mut image, _) = battery();
    let identity = image.read(Table::Holding, 0, 16).unwrap();
    assert_eq!(crate::sunspec::value::text(&identity).as_deref(), Some(IDENTITY));
    assert_eq!(image.read(Table::Holding, 20, 8), Ok(vec![0, 5000, 0, 5000, 0, 5000, 0, 5000]));
    assert_eq!(image.read(Table::Holding, 40, 8), Ok(vec![0; 8]));
    let measured = image.read(Table::Input, 0, 17).unwrap();
    assert_eq!(measured, [0, 0, 0, 0, 2300, 5000, 500, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for (address, count) in [(16, 4), (27, 2), (48, 1), (39, 2)] {
        assert_eq!(image.read(Table::Holding, address, count), Err(Exception::IllegalAddress), "{address}");
    }
}

#[test]
fn a_set_point_acts_once_the_mode_is_remote_and_no_longer_when_it_is_not() {
    let (mut image, clock) = battery();
    image.write(41, &long(-3000)).unwrap();
    pass(&clock, Duration::from_secs(1));
    assert_eq!(power(&mut image), 0);
    image.write(40, &[1]).unwrap();
    pass(&clock, Duration::from_secs(1));
    assert_eq!(power(&mut image), -3000);
    assert_eq!(image.read(Table::Input, 16, 1), Ok(vec![1]));
    image.write(40, &[0]).unwrap();
    pass(&clock, Duration::from_secs(1));
    assert_eq!(power(&mut image), 0);
}

#[test]
fn the_watchdog_ends_a_command_that_is_not_renewed_with_the_fallback_power() {
    let (mut image, clock) = battery();
    let [f0, f1] = long(-500);
    let [p0, p1] = long(2000);
    image.write(40, &[1, p0, p1, 0, 300, 10, f0, f1]).unwrap();
    pass(&clock, Duration::from_secs(9));
    assert_eq!(power(&mut image), 2000);
    image.write(45, &[10]).unwrap();
    pass(&clock, Duration::from_secs(9));
    assert_eq!(power(&mut image), 2000);
    pass(&clock, Duration::from_secs(2));
    assert_eq!(power(&mut image), -500);
    assert_eq!(image.read(Table::Input, 16, 1), Ok(vec![3]));
    assert_eq!(image.read(Table::Holding, 40, 8), Ok(vec![1, f0, f1, 0, 0, 10, f0, f1]));
    image.write(41, &long(1000)).unwrap();
    pass(&clock, Duration::from_secs(1));
    assert_eq!(power(&mut image), 1000);
    assert_eq!(image.read(Table::Input, 16, 1), Ok(vec![1]));
}

#[test]
fn what_the_inverter_cannot_follow_is_refused_and_changes_nothing() {
    let (mut image, _) = battery();
    let before = image.read(Table::Holding, 40, 8).unwrap();
    let beyond: [(u16, Vec<u16>); 7] = [
        (40, vec![2]),
        (41, long(5001).to_vec()),
        (41, long(-5001).to_vec()),
        (43, long(6000).to_vec()),
        (45, vec![3601]),
        (46, long(9000).to_vec()),
        (41, vec![0]),
    ];
    for (address, values) in beyond {
        assert_eq!(image.write(address, &values), Err(Exception::IllegalValue), "{address} {values:?}");
    }
    for (address, count) in [(20, 1), (47, 2), (48, 1)] {
        assert_eq!(image.write(address, &vec![0; count]), Err(Exception::IllegalAddress), "{address}");
    }
    assert_eq!(image.read(Table::Holding, 40, 8), Ok(before));
}
