//! What a device measures: models to points of the engineering plane. AC measurements come from 701, else from 101
//! to 103 or 111 to 113; the DC side from 714 or 160; the state of charge from 713, 802 or 124; the status from 122.
//!
//! [`Measurements`] remembers the scale factors of the last reading. A value is always scaled by the factor that
//! came with it. Where a factor has changed and the value has jumped along with it, as when a device renews the two
//! one after the other, the value is questionable until the next reading.

use super::block::{BadScaleFactor, Block};
use super::discovery::{Chain, Located};
use gridloop_device::{Quality, Snapshot, Unit, point};
use std::collections::BTreeMap;

/// The inverter models, best first: 701 has both directions of energy, floating point has no scale factors to go
/// wrong, and three phases are more than one.
pub(super) const INVERTERS: [u16; 7] = [701, 113, 112, 111, 103, 102, 101];

/// SunSpec name, name in snapshots, unit.
type Map = (&'static str, &'static str, Unit);

/// Models 101 to 113. An inverter counts what it gives as positive, as gridloop does.
const INVERTER: &[Map] = &[
    ("W", point::REAL_POWER, Unit::Watt),
    ("VAr", point::REACTIVE_POWER, Unit::Var),
    ("VA", "apparent_power", Unit::VoltAmpere),
    ("Hz", point::FREQUENCY, Unit::Hertz),
    ("A", "current", Unit::Ampere),
    ("PhVphA", "voltage_a", Unit::Volt),
    ("PhVphB", "voltage_b", Unit::Volt),
    ("PhVphC", "voltage_c", Unit::Volt),
    ("WH", "energy", Unit::WattHour),
    ("DCW", "dc_power", Unit::Watt),
    ("DCV", "dc_voltage", Unit::Volt),
    ("DCA", "dc_current", Unit::Ampere),
    ("TmpCab", "cabinet_temperature", Unit::Celsius),
    ("St", "operating_state", Unit::One),
    ("Evt1", "events", Unit::One),
];

/// Model 701.
const DER: &[Map] = &[
    ("W", point::REAL_POWER, Unit::Watt),
    ("Var", point::REACTIVE_POWER, Unit::Var),
    ("VA", "apparent_power", Unit::VoltAmpere),
    ("Hz", point::FREQUENCY, Unit::Hertz),
    ("A", "current", Unit::Ampere),
    ("LNV", point::VOLTAGE, Unit::Volt),
    ("VL1", "voltage_a", Unit::Volt),
    ("VL2", "voltage_b", Unit::Volt),
    ("VL3", "voltage_c", Unit::Volt),
    ("WL1", "real_power_a", Unit::Watt),
    ("WL2", "real_power_b", Unit::Watt),
    ("WL3", "real_power_c", Unit::Watt),
    ("TotWhInj", "energy", Unit::WattHour),
    ("TotWhAbs", "energy_absorbed", Unit::WattHour),
    ("TmpCab", "cabinet_temperature", Unit::Celsius),
    ("St", "der_state", Unit::One),
    ("InvSt", "inverter_state", Unit::One),
    ("ConnSt", "connection_state", Unit::One),
    ("Alrm", "alarms", Unit::One),
    ("ThrotPct", "throttled", Unit::Percent),
];

const STATUS: &[Map] = &[
    ("PVConn", "pv_connection", Unit::One),
    ("StorConn", "storage_connection", Unit::One),
    ("StActCtl", "active_controls", Unit::One),
    ("WAval", "available_power", Unit::Watt),
];

const DC: &[Map] = &[
    ("DCW", "dc_power", Unit::Watt),
    ("DCA", "dc_current", Unit::Ampere),
    ("DCWhInj", "dc_energy", Unit::WattHour),
];

const DC_PART: &[Map] = &[
    ("DCW", "dc_power", Unit::Watt),
    ("DCV", "dc_voltage", Unit::Volt),
    ("DCA", "dc_current", Unit::Ampere),
];

const CAPACITY: &[Map] = &[
    ("SoC", point::STATE_OF_CHARGE, Unit::Percent),
    ("SoH", "state_of_health", Unit::Percent),
    ("WHAvail", "energy_available", Unit::WattHour),
    ("Sta", "storage_state", Unit::One),
];

const BATTERY: &[Map] = &[
    ("SoC", point::STATE_OF_CHARGE, Unit::Percent),
    ("SoH", "state_of_health", Unit::Percent),
    ("V", "battery_voltage", Unit::Volt),
    ("A", "battery_current", Unit::Ampere),
    ("W", "battery_power", Unit::Watt),
    ("ChaSt", "charge_state", Unit::One),
    ("State", "battery_state", Unit::One),
    ("Evt1", "battery_events", Unit::One),
];

const STORAGE: &[Map] = &[
    ("ChaState", point::STATE_OF_CHARGE, Unit::Percent),
    ("InBatV", "battery_voltage", Unit::Volt),
    ("ChaSt", "charge_state", Unit::One),
];

/// The points of a model, and those of each of its repetitions.
fn maps(id: u16) -> (&'static [Map], &'static [Map]) {
    match id {
        701 => (DER, &[]),
        101..=113 => (INVERTER, &[]),
        122 => (STATUS, &[]),
        714 => (DC, DC_PART),
        160 => (&[], DC_PART),
        713 => (CAPACITY, &[]),
        802 => (BATTERY, &[]),
        124 => (STORAGE, &[]),
        _ => (&[], &[]),
    }
}

/// The models to read each time, the inverter's first; `None` when none says what the device does on the AC side. Of
/// those that say the same the better one is read. Model 715 comes with them for its heartbeat.
pub(super) fn sources(chain: &Chain) -> Option<Vec<Located>> {
    let inverter = chain.located(&INVERTERS)?;
    let besides: [&[u16]; 5] = [&[122], &[714, 160], &[713, 124], &[802], &[715]];
    let besides = besides.into_iter().filter_map(|ids| chain.located(ids));
    Some([inverter].into_iter().chain(besides).collect())
}

/// What the last reading said, by model and SunSpec name.
#[derive(Debug, Clone, Default)]
pub(super) struct Measurements {
    scale_factors: BTreeMap<(u16, &'static str), i16>,
    values: BTreeMap<(u16, &'static str), f64>,
}

impl Measurements {
    /// The points of a reading.
    ///
    /// # Errors
    /// The first scale factor that no device may state, with the number of its block.
    pub(super) fn snapshot(&mut self, blocks: &[Block]) -> Result<Snapshot, (usize, BadScaleFactor)> {
        let mut snapshot = Snapshot::default();
        let before = std::mem::take(self);
        for (index, block) in blocks.iter().enumerate() {
            self.take_in(&before, block, &mut snapshot).map_err(|error| (index, error))?;
        }
        mean_voltage(&mut snapshot);
        Ok(snapshot)
    }

    fn take_in(
        &mut self,
        before: &Self,
        block: &Block,
        snapshot: &mut Snapshot,
    ) -> Result<(), BadScaleFactor> {
        let id = block.place.id;
        let (whole, part) = maps(id);
        self.scale_factors.extend(block.scale_factors().map(|(name, exponent)| ((id, name), exponent)));
        for (name, as_name, unit) in whole {
            let Some(value) = block.named(name)? else { continue };
            self.values.insert((id, name), value);
            let scale = block.model.point(name).and_then(|point| point.scale);
            let jumped = scale.is_some_and(|scale| self.jumped(before, (id, name), (id, scale)));
            let sound = if jumped { Quality::Questionable } else { plausible(as_name, value) };
            if snapshot.get(as_name).is_none() {
                snapshot.put_as(as_name, value, *unit, sound, block.read_at);
            }
        }
        for repetition in 0..block.repetitions() {
            for (name, as_name, unit) in part {
                if let Some(value) = block.repeated(repetition, name)? {
                    let name = format!("{as_name}_{}", repetition + 1);
                    snapshot.put(&name, value, *unit, block.read_at);
                }
            }
        }
        Ok(())
    }

    /// Whether a scale factor has changed and its value has jumped with it: by more than to its double or its half.
    fn jumped(&self, before: &Self, value: (u16, &'static str), scale: (u16, &'static str)) -> bool {
        let factors = (before.scale_factors.get(&scale), self.scale_factors.get(&scale));
        let (Some(old), Some(new)) = factors else { return false };
        let values = (before.values.get(&value), self.values.get(&value));
        let (Some(last), Some(now)) = values else { return false };
        let ratio = now / last;
        old != new && !(0.5..=2.0).contains(&ratio) && now != last
    }
}

/// A state of charge is a part of the whole.
fn plausible(name: &str, value: f64) -> Quality {
    let outside = name == point::STATE_OF_CHARGE && !(0.0..=100.0).contains(&value);
    if outside { Quality::OutOfRange } else { Quality::Good }
}

/// The voltage is the mean of the phases that are implemented, where the device gives none itself.
fn mean_voltage(snapshot: &mut Snapshot) {
    let phases: Vec<_> = ["voltage_a", "voltage_b", "voltage_c"]
        .iter()
        .filter_map(|name| snapshot.get(name).copied())
        .collect();
    let (Ok(count @ 1..), None) = (u32::try_from(phases.len()), snapshot.get(point::VOLTAGE)) else { return };
    let mean = phases.iter().map(|sample| sample.value).sum::<f64>() / f64::from(count);
    let quality = phases.iter().map(|sample| sample.quality).max().unwrap_or(Quality::Good);
    if let Some(first) = phases.first() {
        snapshot.put_as(point::VOLTAGE, mean, Unit::Volt, quality, first.sampled_at);
    }
}

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;
