//! A storage by the rules of wire contract 6.2, worked by hand.

use gridloop_resources::{Battery, BatteryRating};
use proptest::prelude::*;

const RATING: BatteryRating = BatteryRating {
    rated_energy_kwh: 10.0,
    rated_power_kw: 4.0,
    charge_rate_percent: 100.0,
    discharge_rate_percent: 50.0,
    charge_efficiency_percent: 90.0,
    discharge_efficiency_percent: 80.0,
    self_discharge_percent_per_h: 1.0,
    initial_state_of_charge_percent: 50.0,
};

fn battery(initial_state_of_charge_percent: f64) -> Battery {
    Battery::new(BatteryRating { initial_state_of_charge_percent, ..RATING })
}

fn near(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-9
}

#[test]
fn discharging_takes_more_from_the_store_than_the_grid_gets() {
    let mut battery = battery(50.0);
    let delivered = battery.step(1.0, 1.0);
    // 1 kWh over 80 %, and 1 % of 10 kWh by itself.
    assert!(near(battery.energy_kwh(), 5.0 - 1.25 - 0.1), "{battery:?}");
    assert_eq!(delivered.power_kw, 1.0);
}

#[test]
fn charging_stores_less_than_the_grid_gives() {
    let mut battery = battery(50.0);
    battery.step(-2.0, 0.5);
    assert!(near(battery.energy_kwh(), 5.0 + 0.9 - 0.05), "{battery:?}");
}

#[test]
fn power_ends_at_the_rates_of_either_direction() {
    assert_eq!(battery(50.0).step(3.0, 1.0).power_kw, 2.0);
    assert_eq!(battery(50.0).step(-9.0, 1.0).power_kw, -4.0);
}

#[test]
fn an_empty_store_gives_what_is_left_after_its_own_loss() {
    let mut battery = battery(10.0);
    let delivered = battery.step(2.0, 1.0);
    // Rule 4: (1 - 0.1) kWh at 80 %.
    assert!(near(delivered.power_kw, 0.9 * 0.8), "{delivered:?}");
    assert_eq!(battery.state_of_charge_percent(), 0.0);
}

#[test]
fn a_full_store_takes_what_fits_and_its_own_loss() {
    let mut battery = battery(95.0);
    let delivered = battery.step(-4.0, 1.0);
    assert!(near(delivered.power_kw, -(0.5 + 0.1) / 0.9), "{delivered:?}");
    assert_eq!(battery.state_of_charge_percent(), 100.0);
}

#[test]
fn an_empty_store_that_is_asked_for_nothing_stays_empty() {
    let mut battery = battery(0.0);
    let delivered = battery.step(0.0, 1.0);
    assert_eq!((delivered.power_kw, battery.energy_kwh()), (0.0, 0.0));
    assert!(battery.step(1.0, 1.0).power_kw == 0.0, "what is not there is not given");
}

proptest! {
    #[test]
    fn energy_is_conserved_and_the_store_keeps_within_its_bounds(
        initial in 0.0..100.0f64,
        requests in proptest::collection::vec((-10.0..10.0f64, 0.01..3.0f64), 1..50),
    ) {
        let mut battery = battery(initial);
        for (requested_kw, hours) in requests {
            let before_kwh = battery.energy_kwh();
            let delivered = battery.step(requested_kw, hours);
            let change_kwh = battery.energy_kwh() - before_kwh;
            let balance = delivered.charged_kwh - delivered.discharged_kwh - delivered.lost_kwh;
            prop_assert!((balance - change_kwh).abs() < 1e-9);
            prop_assert!(delivered.lost_kwh > -1e-9, "{delivered:?}");
            prop_assert!((0.0..=10.0).contains(&battery.energy_kwh()));
            prop_assert!((-4.0..=2.0).contains(&delivered.power_kw));
            prop_assert!(delivered.power_kw * requested_kw >= 0.0);
        }
    }

    /// The losses that the rating explains: 10 % of what is taken, 25 % more than what is given, 0.1 kWh in an hour.
    /// Only a store that runs empty loses less by itself.
    #[test]
    fn nothing_is_lost_but_by_the_efficiencies_and_by_itself(
        initial in 0.0..100.0f64,
        requested_kw in -10.0..10.0f64,
        hours in 0.01..3.0f64,
    ) {
        let mut battery = battery(initial);
        let delivered = battery.step(requested_kw, hours);
        let explained = 0.1 * delivered.charged_kwh + 0.25 * delivered.discharged_kwh + 0.1 * hours;
        prop_assert!(delivered.lost_kwh < explained + 1e-9, "{delivered:?}");
        let runs_empty = battery.energy_kwh() == 0.0;
        prop_assert!(runs_empty || (delivered.lost_kwh - explained).abs() < 1e-9, "{delivered:?}");
    }

    #[test]
    fn an_epoch_in_parts_ends_where_the_whole_does(
        initial in 40.0..60.0f64,
        requested_kw in -1.0..1.0f64,
        parts in 1..50u32,
    ) {
        let (mut whole, mut parted) = (battery(initial), battery(initial));
        let delivered = whole.step(requested_kw, 1.0);
        prop_assert!(delivered.power_kw == requested_kw);
        for _ in 0..parts {
            prop_assert!(parted.step(requested_kw, 1.0 / f64::from(parts)).power_kw == requested_kw);
        }
        prop_assert!((whole.energy_kwh() - parted.energy_kwh()).abs() < 1e-9);
    }
}
