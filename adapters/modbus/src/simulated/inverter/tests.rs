//! The SunSpec map of the simulated inverter, by addresses, as a client without our tables would see it.

use super::*;
use crate::simulated::pass;
use gridloop_clock::SimulatedClock;
use gridloop_plant::{PvInverterSettings, Series};
use std::sync::Arc;
use std::time::Duration;

/// An inverter of 8 kW in full sun, with its controls at known places.
struct Bench {
    image: InverterImage<PvInverter>,
    clock: SimulatedClock,
    plant: LivePlant<PvInverter>,
}

impl Bench {
    fn new() -> Self {
        Self::with(InverterSettings::default()).unwrap()
    }

    fn with(settings: InverterSettings) -> io::Result<Self> {
        let clock = SimulatedClock::new(gridloop_clock::Utc::default());
        let inverter =
            PvInverter::new(PvInverterSettings::typical(8000.0, Series::constant(1000.0))).unwrap();
        let plant = LivePlant::new(inverter, Arc::new(clock.clone()));
        Ok(Self { image: InverterImage::new(plant.clone(), settings)?, clock, plant })
    }

    fn at(&self, model: u16, offset: u16) -> u16 {
        self.image.places.iter().find(|place| place.model.id == model).unwrap().address + offset
    }

    fn read(&mut self, model: u16, offset: u16, count: u16) -> Vec<u16> {
        let address = self.at(model, offset);
        self.image.read(Table::Holding, address, count).unwrap()
    }

    fn write(&mut self, model: u16, offset: u16, values: &[u16]) -> Result<(), Exception> {
        let address = self.at(model, offset);
        self.image.write(address, values)
    }

    fn seconds(&self, seconds: u64) {
        pass(&self.clock, Duration::from_secs(seconds));
    }

    fn power_w(&self) -> f64 {
        self.plant.with(|inverter| inverter.outputs().real_power_w)
    }
}

#[test]
fn the_map_is_a_chain_of_models_between_marker_and_end() {
    let mut bench = Bench::new();
    let mut read = |address, count| bench.image.read(Table::Holding, address, count).unwrap();
    assert_eq!(read(40_000, 2), [0x5375, 0x6E53]);
    let (mut address, mut chain) = (40_002, Vec::new());
    loop {
        let header = read(address, 2);
        if header[0] == 0xFFFF {
            break;
        }
        chain.push((header[0], header[1]));
        address += header[1] + 2;
    }
    let lengths = [(1, 66), (103, 50), (120, 26), (121, 30), (122, 44), (123, 24), (702, 50), (704, 65)];
    assert_eq!(chain, lengths);
    assert_eq!(read(address, 2), [0xFFFF, 0]);
    assert_eq!(bench.image.read(Table::Holding, address, 3), Err(Exception::IllegalAddress));
    assert_eq!(bench.image.read(Table::Holding, 39_999, 2), Err(Exception::IllegalAddress));
    assert_eq!(bench.image.read(Table::Input, 40_000, 2), Err(Exception::IllegalAddress));
}

#[test]
fn a_read_across_models_is_the_parts_put_together() {
    let mut bench = Bench::new();
    let whole = bench.image.read(Table::Holding, 40_060, 100).unwrap();
    for (address, register) in (40_060..).zip(whole) {
        assert_eq!(bench.image.read(Table::Holding, address, 1), Ok(vec![register]), "{address}");
    }
}

#[test]
fn the_measurements_are_those_of_the_plant() {
    let mut bench = Bench::new();
    assert_eq!(bench.read(103, 14, 4), [8000, 0, 5000, 0xFFFE]);
    assert_eq!(bench.read(103, 10, 4), [2300, 2300, 2300, 0xFFFF]);
    assert_eq!(bench.read(103, 38, 1), [4]);
    assert_eq!(bench.read(103, 33, 1), [0x8000], "there is no thermometer");
    bench.seconds(3600);
    assert_eq!(bench.read(103, 24, 3), [0, 8000, 0]);
}

#[test]
fn the_limit_of_model_123_acts_and_gives_way_after_its_time() {
    let mut bench = Bench::new();
    bench.write(123, 5, &[2500]).unwrap();
    bench.write(123, 7, &[10]).unwrap();
    assert_eq!(bench.power_w(), 8000.0);
    bench.write(123, 9, &[1]).unwrap();
    bench.seconds(9);
    assert_eq!((bench.power_w(), bench.read(103, 38, 1)[0]), (2000.0, 5));
    bench.seconds(2);
    assert_eq!((bench.power_w(), bench.read(123, 9, 1)), (6000.0, vec![0]));
    assert_eq!(bench.read(123, 5, 1), [2500], "what was written stays readable");
}

#[test]
fn writing_the_limit_again_renews_its_time() {
    let mut bench = Bench::new();
    bench.write(123, 5, &[2500, 0xFFFF, 2, 0xFFFF, 1]).unwrap();
    for _ in 0..10 {
        bench.seconds(1);
        bench.write(123, 5, &[2500, 0xFFFF, 2, 0xFFFF, 1]).unwrap();
    }
    assert_eq!(bench.power_w(), 2000.0);
    bench.write(123, 9, &[0]).unwrap();
    bench.seconds(3);
    assert_eq!(bench.power_w(), 8000.0);
}

#[test]
fn the_limit_of_model_704_gives_way_to_the_value_that_it_was_told() {
    let mut bench = Bench::new();
    bench.write(704, 15, &[5000, 1000, 1, 0, 10]).unwrap();
    bench.write(704, 14, &[1]).unwrap();
    bench.seconds(4);
    assert_eq!((bench.power_w(), bench.read(704, 20, 2)), (4000.0, vec![0, 6]));
    bench.seconds(10);
    assert_eq!(bench.power_w(), 800.0);
    assert_eq!(bench.read(704, 14, 2), [1, 1000]);
    assert_eq!(bench.read(704, 20, 2), [0, 0]);
}

#[test]
fn the_limit_of_model_704_is_dropped_when_no_reversion_is_enabled() {
    let mut bench = Bench::new();
    bench.write(704, 14, &[1, 2500, 1000, 0, 0, 5]).unwrap();
    bench.seconds(6);
    assert_eq!((bench.power_w(), bench.read(704, 14, 2)), (6000.0, vec![0, 2500]));
}

#[test]
fn reactive_power_is_commanded_in_per_cent_or_in_var() {
    let mut bench = Bench::new();
    bench.write(123, 5, &[5000, 0xFFFF, 0, 0xFFFF, 1]).unwrap();
    let minus_quarter = u16::from_be_bytes((-2500_i16).to_be_bytes());
    bench.write(123, 15, &[minus_quarter]).unwrap();
    bench.write(123, 22, &[1]).unwrap();
    bench.seconds(5);
    assert_eq!(bench.read(103, 20, 1), [u16::from_be_bytes((-2000_i16).to_be_bytes())]);
    bench.write(704, 36, &[4]).unwrap();
    bench.write(704, 38, &[0, 3000]).unwrap();
    bench.write(704, 35, &[1]).unwrap();
    bench.seconds(5);
    assert_eq!((bench.read(103, 20, 1), bench.read(123, 22, 1)), (vec![3000], vec![0]));
}

#[test]
fn enabling_a_limit_in_one_model_disables_it_in_the_other() {
    let mut bench = Bench::new();
    bench.write(123, 9, &[1]).unwrap();
    bench.write(704, 14, &[1, 4000]).unwrap();
    assert_eq!((bench.read(123, 9, 1), bench.read(704, 14, 1)), (vec![0], vec![1]));
    bench.write(123, 9, &[0]).unwrap();
    bench.seconds(4);
    assert_eq!(bench.power_w(), 3200.0, "disabling what is not enabled changes nothing");
}

#[test]
fn disconnecting_stops_the_power_at_once() {
    let mut bench = Bench::new();
    bench.write(123, 4, &[0]).unwrap();
    assert_eq!((bench.power_w(), bench.read(103, 38, 1)), (0.0, vec![1]));
    assert_eq!(bench.read(122, 2, 3), [0b010, 0, 0b01]);
}

#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let mut bench = Bench::new();
    bench.write(123, 5, &[2500, 0xFFFF, 0, 0xFFFF, 1]).unwrap();
    bench.seconds(5);
    let before = (bench.read(123, 0, 26), bench.power_w());
    let refused: [(u16, u16, &[u16]); 12] = [
        (123, 5, &[10_001]),
        (123, 5, &[0xFFFF]),
        (123, 9, &[2]),
        (123, 9, &[0xFFFF]),
        (123, 4, &[7]),
        (123, 6, &[30]),
        (123, 23, &[0]),
        (123, 0, &[124]),
        (123, 21, &[3]),
        (103, 14, &[0]),
        (121, 2, &[9000]),
        (704, 18, &[0]),
    ];
    for (model, offset, values) in refused {
        assert_eq!(
            bench.write(model, offset, values),
            Err(Exception::IllegalValue),
            "{model} {offset} {values:?}"
        );
    }
    assert_eq!(bench.image.write(39_999, &[0]), Err(Exception::IllegalAddress));
    assert_eq!(bench.image.write(50_000, &[0]), Err(Exception::IllegalAddress));
    assert_eq!((bench.read(123, 0, 26), bench.power_w()), before);
}

#[test]
fn a_device_without_model_704_and_with_floats_elsewhere_is_served_too() {
    let settings =
        InverterSettings { base_address: 0, models: vec![1, 113, 120, 123], ..InverterSettings::default() };
    let mut bench = Bench::with(settings).unwrap();
    assert_eq!(bench.image.read(Table::Holding, 0, 3), Ok(vec![0x5375, 0x6E53, 1]));
    let power = 8000.0_f32.to_bits().to_be_bytes();
    assert_eq!(bench.read(113, 22, 1), [u16::from_be_bytes([power[0], power[1]])]);
    assert_eq!(bench.read(113, 40, 1), [0x7FC0], "there is no thermometer");
}

#[test]
fn a_map_that_cannot_be_is_refused() {
    for (base_address, models) in [(40_000, vec![1, 999]), (65_000, vec![1; 9]), (65_535, vec![])] {
        let settings = InverterSettings { base_address, models, ..InverterSettings::default() };
        assert!(Bench::with(settings).is_err());
    }
}

#[test]
fn the_biggest_and_the_smallest_inverter_have_a_rating_that_fits_the_registers() {
    for rating_w in [1.0, 40_000.0, 9e8] {
        let settings = PvInverterSettings::typical(rating_w, Series::constant(800.0));
        let inverter = PvInverter::new(settings).unwrap();
        let rating = measurements::block(model(120).unwrap(), &inverter, "").value("WRtg").unwrap();
        assert!((rating - rating_w).abs() <= rating_w * 1e-3);
        assert!(measurements::block(model(103).unwrap(), &inverter, "").value("W").unwrap() > rating_w / 2.0);
    }
}
