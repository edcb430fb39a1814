//! What an inverter measures: models 101 to 103 and 111 to 113 to points of the engineering plane.

use super::block::{BadScaleFactor, Block};
use gridloop_device::{Snapshot, Unit, point};

/// The inverter models, best first: floating point has no scale factors to go wrong, and three phases are more
/// than one.
pub(super) const INVERTERS: [u16; 6] = [113, 112, 111, 103, 102, 101];

/// SunSpec name, name in snapshots, unit. An inverter counts what it gives as positive, as gridloop does.
const POINTS: [(&str, &str, Unit); 12] = [
    ("W", point::REAL_POWER, Unit::Watt),
    ("VAr", point::REACTIVE_POWER, Unit::Var),
    ("VA", "apparent_power", Unit::VoltAmpere),
    ("Hz", point::FREQUENCY, Unit::Hertz),
    ("A", "current", Unit::Ampere),
    ("WH", "energy", Unit::WattHour),
    ("DCW", "dc_power", Unit::Watt),
    ("DCV", "dc_voltage", Unit::Volt),
    ("DCA", "dc_current", Unit::Ampere),
    ("TmpCab", "cabinet_temperature", Unit::Celsius),
    ("St", "operating_state", Unit::One),
    ("Evt1", "events", Unit::One),
];

/// The points of an inverter block. The voltage is the mean of the phases that are implemented.
pub(super) fn snapshot(block: &Block) -> Result<Snapshot, BadScaleFactor> {
    let mut snapshot = Snapshot::default();
    for (name, as_name, unit) in POINTS {
        if let Some(value) = block.named(name)? {
            snapshot.put(as_name, value, unit, block.read_at);
        }
    }
    let mut phases = Vec::new();
    for name in ["PhVphA", "PhVphB", "PhVphC"] {
        phases.extend(block.named(name)?);
    }
    if let Ok(count @ 1..) = u32::try_from(phases.len()) {
        let mean = phases.iter().sum::<f64>() / f64::from(count);
        snapshot.put(point::VOLTAGE, mean, Unit::Volt, block.read_at);
    }
    Ok(snapshot)
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn arbitrary_registers_give_finite_numbers_or_an_error(
            registers in proptest::collection::vec(proptest::prelude::any::<u16>(), 0..64), float: bool,
        ) {
            let block = Block::arbitrary(if float { 113 } else { 103 }, &registers);
            if let Ok(snapshot) = snapshot(&block) {
                assert!(snapshot.points.values().all(|sample| sample.value.is_finite()));
            }
        }
    }

    fn value(snapshot: &Snapshot, name: &str) -> Option<f64> {
        snapshot.get(name).map(|sample| sample.value)
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
        let snapshot = snapshot(&block).unwrap();
        assert_eq!(value(&snapshot, point::REAL_POWER), Some(-1000.0));
        assert_eq!(value(&snapshot, point::VOLTAGE), Some(231.0));
        assert_eq!(value(&snapshot, "operating_state"), Some(4.0));
        assert_eq!(value(&snapshot, "energy"), None);
        assert_eq!(value(&snapshot, point::REACTIVE_POWER), None);
    }

    #[test]
    fn a_single_phase_device_has_the_voltage_of_its_phase() {
        let block = Block::fake(101, &[("PhVphA", &[230]), ("PhVphB", &[0xFFFF]), ("V_SF", &[0])]);
        assert_eq!(value(&snapshot(&block).unwrap(), point::VOLTAGE), Some(230.0));
    }

    #[test]
    fn floats_need_no_scale_factor_and_nan_is_absent() {
        let watts = 1234.5_f32.to_bits().to_be_bytes();
        let words = [u16::from_be_bytes([watts[0], watts[1]]), u16::from_be_bytes([watts[2], watts[3]])];
        let block = Block::fake(113, &[("W", &words), ("Hz", &[0x7FC0, 0])]);
        let snapshot = snapshot(&block).unwrap();
        assert_eq!(value(&snapshot, point::REAL_POWER), Some(1234.5));
        assert_eq!(value(&snapshot, point::FREQUENCY), None);
    }
}
