//! The SunSpec map of the simulated battery: set points, the window of model 124, and the heartbeats of model 715.

use super::*;
use crate::registers::{joined, signed16, signed32, words};
use crate::simulated::pass;
use gridloop_clock::SimulatedClock;
use gridloop_plant::BatterySettings;
use std::sync::Arc;

/// A battery of 5 kW charging, 8 kW discharging and 10 kWh, half full, that follows at once.
struct Bench {
    image: InverterImage<Battery>,
    clock: SimulatedClock,
    plant: LivePlant<Battery>,
}

impl Bench {
    fn new() -> Self {
        let clock = SimulatedClock::new(gridloop_clock::Utc::default());
        let settings = BatterySettings {
            rated_charge_power_w: 5000.0,
            ramp_w_per_s: 1e6,
            ..BatterySettings::typical(8000.0, 10_000.0)
        };
        let plant = LivePlant::new(Battery::new(settings).unwrap(), Arc::new(clock.clone()));
        let image = InverterImage::new(plant.clone(), InverterSettings::battery()).unwrap();
        Self { image, clock, plant }
    }

    fn at(&self, model: u16, point: &str) -> u16 {
        let place = self.image.places.iter().find(|place| place.model.id == model).unwrap();
        place.address + place.model.point(point).unwrap().offset
    }

    fn write(&mut self, model: u16, point: &str, values: &[u16]) -> Result<(), Exception> {
        let address = self.at(model, point);
        self.image.write(address, values)
    }

    fn read(&mut self, model: u16, point: &str, count: u16) -> Vec<u16> {
        let address = self.at(model, point);
        self.image.read(Table::Holding, address, count).unwrap()
    }

    /// The power after so many seconds, in W.
    fn power_after(&mut self, seconds: u64) -> f64 {
        pass(&self.clock, Duration::from_secs(seconds));
        self.read(701, "W", 1);
        self.plant.with(|battery| battery.outputs().real_power_w)
    }
}

fn percent(percent: i16) -> [u16; 1] {
    [u16::from_be_bytes((percent * 100).to_be_bytes())]
}

#[test]
fn wset_charges_and_gives_way_to_its_reversion_value() {
    let mut bench = Bench::new();
    bench.write(704, "WSetMod", &[1]).unwrap();
    bench.write(704, "WSet", &words(-4000)).unwrap();
    assert_eq!(bench.power_after(1), 0.0);
    bench.write(704, "WSetRvrt", &words(500)).unwrap();
    bench.write(704, "WSetEnaRvrt", &[1]).unwrap();
    bench.write(704, "WSetRvrtTms", &words(10)).unwrap();
    bench.write(704, "WSetEna", &[1]).unwrap();
    assert_eq!(bench.power_after(9), -4000.0);
    let measured = bench.read(701, "W", 1);
    assert!(signed16(measured[0]) < 0, "charging is negative");
    assert_eq!(bench.power_after(2), 500.0);
    let shown = bench.read(704, "WSet", 2);
    assert_eq!(signed32(joined(shown[0], shown[1])), 500);
    assert_eq!(bench.write(704, "WSet", &words(-5001)), Err(Exception::IllegalValue));
    assert_eq!(bench.write(704, "WSet", &words(8001)), Err(Exception::IllegalValue));
    assert_eq!(bench.power_after(1), 500.0);
}

#[test]
fn the_window_of_model_124_leaves_one_power_and_opens_after_its_time() {
    let mut bench = Bench::new();
    bench.write(124, "InOutWRte_RvrtTms", &[10]).unwrap();
    bench.write(124, "InWRte", &percent(60)).unwrap();
    bench.write(124, "OutWRte", &percent(-30)).unwrap();
    bench.write(124, "StorCtl_Mod", &[3]).unwrap();
    assert_eq!(bench.power_after(1), -2400.0);
    bench.write(124, "InWRte", &percent(-40)).unwrap();
    bench.write(124, "OutWRte", &percent(25)).unwrap();
    assert_eq!(bench.power_after(1), 2000.0);
    assert_eq!(bench.power_after(10), 0.0);
    assert_eq!(bench.read(124, "StorCtl_Mod", 1), [0]);
    assert_eq!(bench.write(124, "StorCtl_Mod", &[4]), Err(Exception::IllegalValue));
    assert_eq!(bench.write(124, "OutWRte", &percent(101)), Err(Exception::IllegalValue));
}

#[test]
fn a_window_that_is_open_leaves_the_battery_at_rest() {
    let mut bench = Bench::new();
    bench.write(124, "StorCtl_Mod", &[3]).unwrap();
    assert_eq!(bench.power_after(1), 0.0);
}

#[test]
fn enabling_one_model_takes_the_other_out_of_force() {
    let mut bench = Bench::new();
    bench.write(704, "WSetMod", &[1, 0, 1000]).unwrap();
    bench.write(704, "WSetEna", &[1]).unwrap();
    bench.write(124, "InWRte", &percent(100)).unwrap();
    bench.write(124, "OutWRte", &percent(-50)).unwrap();
    bench.write(124, "StorCtl_Mod", &[2]).unwrap();
    assert_eq!(bench.power_after(1), -4000.0);
    assert_eq!(bench.read(704, "WSetEna", 1), [0]);
}

#[test]
fn the_state_of_charge_is_the_same_in_every_model_that_has_it() {
    let mut bench = Bench::new();
    for (model, point) in [(713, "SoC"), (802, "SoC"), (124, "ChaState")] {
        assert_eq!(bench.read(model, point, 1), [500], "{model}");
    }
    assert_eq!(bench.read(802, "ChaSt", 1), [6]);
    assert_eq!(bench.read(713, "WHAvail", 1), [5000]);
}

#[test]
fn the_heartbeat_counts_seconds_and_a_controller_that_falls_silent_is_done_without() {
    let mut bench = Bench::new();
    pass(&bench.clock, Duration::from_secs(5));
    assert_eq!(bench.read(715, "DERHb", 2), [0, 5]);
    bench.write(704, "WSetMod", &[1, 0, 1000]).unwrap();
    bench.write(704, "WSetEna", &[1]).unwrap();
    assert_eq!(bench.power_after(10), 1000.0, "nobody has given a heartbeat");
    for beat in [1, 2, 3] {
        bench.write(715, "ControllerHb", &[0, beat]).unwrap();
        assert_eq!(bench.power_after(2), 1000.0);
    }
    assert_eq!(bench.power_after(1), 1000.0);
    assert_eq!(bench.power_after(1), 0.0);
    assert_eq!(bench.read(704, "WSetEna", 1), [0]);
}
