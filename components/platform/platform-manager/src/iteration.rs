//! The components that iterate within an epoch as a configuration describes them.

use gridloop_dummies::iteration::{Bus, DroopGeneratorSettings, VoltageDependentLoadSettings};
use gridloop_service::Section;
use std::num::NonZeroU32;

/// Rounds that an epoch may take unless configured otherwise.
const ROUNDS_MAX: NonZeroU32 = NonZeroU32::MIN.saturating_add(49);

/// `kind = "droop-generator"`
pub(crate) fn read_droop_generator(section: &Section<'_>) -> DroopGeneratorSettings {
    let loads = section
        .texts("loads", "Voltage-dependent loads at its bus; it waits for each in every round.")
        .matching(|loads| if loads.is_empty() { Err("it names no load".into()) } else { Ok(()) })
        .required();
    DroopGeneratorSettings {
        bus: read_bus(section),
        loads,
        customer_id: read_customer(section),
        no_load_voltage_kv: section
            .number("no_load_voltage_kv", "Voltage without load, line to neutral, in kV.")
            .within(0.001..=1000.0)
            .or(0.24),
        droop_percent: section
            .number("droop_percent", "By how much of that the voltage sinks at rated power, in %.")
            .within(0.0..=100.0)
            .or(5.0),
        rated_power_kw: section
            .number("rated_power_kw", "Rated power, in kW.")
            .within(0.001..=1e9)
            .required(),
        tolerance_kv: section
            .number(
                "tolerance_kv",
                "It is done when the voltage moves by no more than this in a round, in kV.",
            )
            .within(1e-12..=1000.0)
            .or(1e-6),
        rounds_max: read_rounds(section),
    }
}

/// `kind = "voltage-dependent-load"`
pub(crate) fn read_voltage_dependent_load(section: &Section<'_>) -> VoltageDependentLoadSettings {
    VoltageDependentLoadSettings {
        bus: read_bus(section),
        customer_id: read_customer(section),
        consumption_kw: section
            .number("consumption_kw", "What it draws at nominal voltage in epoch 1, in kW; not negative.")
            .within(0.0..=1e9)
            .required(),
        growth_kw: section
            .number("growth_kw", "What is added to that in each further epoch, in kW.")
            .within(-1e9..=1e9)
            .or(0.0),
        nominal_voltage_kv: section
            .number("nominal_voltage_kv", "Nominal voltage, line to neutral, in kV.")
            .within(0.001..=1000.0)
            .or(0.23),
        exponent: section
            .number(
                "exponent",
                "How power follows voltage: 0 not at all, 1 constant current, 2 a resistance.",
            )
            .within(0.0..=10.0)
            .or(2.0),
        rounds_max: read_rounds(section),
    }
}

fn read_bus(section: &Section<'_>) -> Bus {
    Bus {
        grid: section.text("grid", "Name of the grid: a segment of the voltage's topic.").or("island".into()),
        name: section
            .text("bus", "Name of the bus: the last segment of the voltage's topic.")
            .or("bus".into()),
    }
}

fn read_customer(section: &Section<'_>) -> String {
    section.text("customer_id", "Whom it belongs to.").or(section.name().to_owned())
}

fn read_rounds(section: &Section<'_>) -> NonZeroU32 {
    let rounds = section
        .integer("rounds_max", "The most rounds that an epoch may take before the run is stopped.")
        .within(1..=10_000)
        .fits::<u32>()
        .or(ROUNDS_MAX.get());
    NonZeroU32::new(rounds).unwrap_or(ROUNDS_MAX)
}
