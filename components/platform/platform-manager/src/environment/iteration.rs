//! What the components that iterate within an epoch are told.

use super::Reader;
use super::common::{is_sound, read_topic_word};
use gridloop_dummies::iteration::{Bus, DroopGeneratorSettings, VoltageDependentLoadSettings};
use std::num::NonZeroU32;

/// Rounds that an epoch may take unless told otherwise.
const ROUNDS_MAX: NonZeroU32 = NonZeroU32::MIN.saturating_add(49);

/// `droop-generator`, called `name`.
pub(crate) fn read_droop_generator(name: &str, reader: &Reader<'_>) -> DroopGeneratorSettings {
    const LOADS: &str = "LOADS";
    let loads = reader.list(LOADS);
    if loads.is_empty() || !loads.iter().all(|load| is_sound(load)) {
        reader.reject(LOADS, "the names of the loads at its bus, with commas between them");
    }
    DroopGeneratorSettings {
        bus: read_bus(reader),
        loads,
        customer_id: reader.text("CUSTOMER_ID").unwrap_or_else(|| name.to_owned()),
        no_load_voltage_kv: reader.number("NO_LOAD_VOLTAGE", 0.001..=1000.0).unwrap_or(0.24),
        droop_percent: reader.number("DROOP", 0.0..=100.0).unwrap_or(5.0),
        rated_power_kw: reader.required_number("RATED_POWER", 0.001..=1e9),
        tolerance_kv: reader.number("TOLERANCE", 1e-12..=1000.0).unwrap_or(1e-6),
        rounds_max: read_rounds(reader),
    }
}

/// `voltage-dependent-load`, called `name`.
pub(crate) fn read_voltage_dependent_load(name: &str, reader: &Reader<'_>) -> VoltageDependentLoadSettings {
    VoltageDependentLoadSettings {
        bus: read_bus(reader),
        customer_id: reader.text("CUSTOMER_ID").unwrap_or_else(|| name.to_owned()),
        consumption_kw: reader.required_number("CONSUMPTION", 0.0..=1e9),
        growth_kw: reader.number("GROWTH", -1e9..=1e9).unwrap_or(0.0),
        nominal_voltage_kv: reader.number("NOMINAL_VOLTAGE", 0.001..=1000.0).unwrap_or(0.23),
        exponent: reader.number("EXPONENT", 0.0..=10.0).unwrap_or(2.0),
        rounds_max: read_rounds(reader),
    }
}

fn read_bus(reader: &Reader<'_>) -> Bus {
    Bus {
        grid: read_topic_word(reader, "GRID_ID", "island"),
        name: read_topic_word(reader, "BUS_NAME", "bus"),
    }
}

fn read_rounds(reader: &Reader<'_>) -> NonZeroU32 {
    let rounds = reader.whole("MAX_ROUNDS", 1..=10_000).and_then(NonZeroU32::new);
    rounds.unwrap_or(ROUNDS_MAX)
}
