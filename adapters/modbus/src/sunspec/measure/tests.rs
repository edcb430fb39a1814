//! Models to points, with blocks made by hand and with blocks of arbitrary registers.

use super::*;

fn read(blocks: &[Block]) -> Snapshot {
    Measurements::default().snapshot(blocks).unwrap()
}

fn value(snapshot: &Snapshot, name: &str) -> Option<f64> {
    snapshot.get(name).map(|sample| sample.value)
}

proptest::proptest! {
    #[test]
    fn arbitrary_registers_give_finite_numbers_or_an_error(
        registers in proptest::collection::vec(proptest::prelude::any::<u16>(), 0..125),
        id in proptest::sample::select(vec![101, 113, 701, 122, 714, 160, 713, 802, 124]),
    ) {
        let block = Block::arbitrary(id, &registers);
        if let Ok(snapshot) = Measurements::default().snapshot(&[block]) {
            assert!(snapshot.points.values().all(|sample| sample.value.is_finite()));
        }
    }
}

#[test]
fn integers_are_scaled_and_phases_averaged() {
    let block = Block::fake(
        103,
        &[
            ("W", &[0xFFF6]),
            ("W_SF", &[2]),
            ("PhVphA", &[2300, 2310, 2320]),
            ("V_SF", &[0xFFFF]),
            ("St", &[4]),
            ("WH", &[0, 0]),
            ("WH_SF", &[0]),
        ],
    );
    let snapshot = read(&[block]);
    assert_eq!(value(&snapshot, point::REAL_POWER), Some(-1000.0));
    assert_eq!(value(&snapshot, point::VOLTAGE), Some(231.0));
    assert_eq!(value(&snapshot, "voltage_c"), Some(232.0));
    assert_eq!(value(&snapshot, "operating_state"), Some(4.0));
    assert_eq!(value(&snapshot, "energy"), None);
    assert_eq!(value(&snapshot, point::REACTIVE_POWER), None);
}

#[test]
fn a_single_phase_device_has_the_voltage_of_its_phase() {
    let block = Block::fake(101, &[("PhVphA", &[230]), ("PhVphB", &[0xFFFF]), ("V_SF", &[0])]);
    assert_eq!(value(&read(&[block]), point::VOLTAGE), Some(230.0));
}

#[test]
fn floats_need_no_scale_factor_and_nan_is_absent() {
    let watts = 1234.5_f32.to_bits().to_be_bytes();
    let words = [u16::from_be_bytes([watts[0], watts[1]]), u16::from_be_bytes([watts[2], watts[3]])];
    let block = Block::fake(113, &[("W", &words), ("Hz", &[0x7FC0, 0])]);
    let snapshot = read(&[block]);
    assert_eq!(value(&snapshot, point::REAL_POWER), Some(1234.5));
    assert_eq!(value(&snapshot, point::FREQUENCY), None);
}

#[test]
fn model_701_gives_its_own_voltage_and_both_directions_of_energy() {
    let block = Block::fake(
        701,
        &[
            ("W", &[0xFF38]),
            ("W_SF", &[1]),
            ("LNV", &[2301]),
            ("VL1", &[2200]),
            ("V_SF", &[0xFFFF]),
            ("Hz", &[0, 50_010]),
            ("Hz_SF", &[0xFFFD]),
            ("TotWhInj", &[0, 0, 1, 0]),
            ("TotWhAbs", &[0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF]),
            ("TotWh_SF", &[0]),
        ],
    );
    let snapshot = read(&[block]);
    assert_eq!(value(&snapshot, point::REAL_POWER), Some(-2000.0));
    assert_eq!(value(&snapshot, point::VOLTAGE), Some(230.1));
    assert_eq!(value(&snapshot, point::FREQUENCY), Some(50.01));
    assert_eq!(value(&snapshot, "energy"), Some(65_536.0));
    assert_eq!(value(&snapshot, "energy_absorbed"), None);
}

#[test]
fn the_state_of_charge_is_out_of_range_when_it_is_no_part_of_the_whole() {
    for (raw, quality) in [(1000, Quality::Good), (1001, Quality::OutOfRange)] {
        let block = Block::fake(713, &[("SoC", &[raw]), ("Pct_SF", &[0xFFFF])]);
        let snapshot = read(&[block]);
        assert_eq!(snapshot.get(point::STATE_OF_CHARGE).map(|sample| sample.quality), Some(quality));
    }
}

#[test]
fn a_value_that_jumps_with_its_scale_factor_is_questionable_for_one_reading() {
    let block = |watts: u16, exponent: u16| Block::fake(103, &[("W", &[watts]), ("W_SF", &[exponent])]);
    let mut measurements = Measurements::default();
    let readings = [
        (7500, 0, 7500.0, Quality::Good),
        (750, 1, 7500.0, Quality::Good),
        (748, 0, 748.0, Quality::Questionable),
        (7480, 0, 7480.0, Quality::Good),
        (0, 1, 0.0, Quality::Questionable),
        (0, 0, 0.0, Quality::Good),
    ];
    for (watts, exponent, value, quality) in readings {
        let snapshot = measurements.snapshot(&[block(watts, exponent)]).unwrap();
        let sample = snapshot.get(point::REAL_POWER).unwrap();
        assert_eq!((sample.value, sample.quality), (value, quality), "{watts} {exponent}");
    }
}
