//! A network in a file of the user's own: [`load`] reads TOML into a [`NetworkDescription`].

use crate::connection::Connected;
use crate::description::{NetworkDescription, Place};
use crate::source::NEUTRALS;
use crate::taps::read_range;
use gridloop_power_flow::{BusKind, PerUnitBranch, PerUnitBus, PerUnitNetwork, Wires};
use gridloop_service::{Diagnostics, Document, Section};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The largest number that an impedance, admittance or current may have, in whatever unit.
const LARGEST: f64 = 1e12;

/// Reads the network in `path`.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub fn load(path: &Path) -> Result<NetworkDescription, Diagnostics> {
    let document = Document::load(path)?;
    let description = read(&document.root());
    document.finish()?;
    Ok(description)
}

/// What per unit refers to.
struct Base {
    power_va: f64,
    /// Of every bus that does not say its own.
    voltage_v: f64,
    /// Of those that do.
    bus_voltages_v: BTreeMap<String, f64>,
}

impl Base {
    fn voltage_v(&self, bus: &str) -> f64 {
        self.bus_voltages_v.get(bus).copied().unwrap_or(self.voltage_v)
    }
}

fn read(root: &Section<'_>) -> NetworkDescription {
    let base = read_base(root);
    let source = root.required_section("source", "Where the network is fed.");
    let source_bus = source.text("bus", "The bus that the source holds.").required();
    let root_voltage_pu = source
        .number("voltage_pu", "What it holds, as a part of the base voltage.")
        .within(0.5..=1.5)
        .or(1.0);
    let wires = root
        .text(
            "neutral",
            "earthed: everywhere; four-wire: a conductor of its own, earthed at the source alone.",
        )
        .choice(&NEUTRALS)
        .or(Wires::NeutralEarthedEverywhere);
    let mut tap_positions = BTreeMap::new();
    let sections = root.named_sections("branch", "Lines, cables and transformers, by name.");
    let branches: Vec<PerUnitBranch> =
        sections.iter().map(|section| read_branch(section, &base, &mut tap_positions)).collect();
    if branches.is_empty() {
        root.error(None, "at least one `[branch.NAME]`", None);
    }
    let mut buses = buses_of(&branches, &source_bus, &base);
    if !branches.is_empty() && !buses.iter().any(|bus| bus.kind == BusKind::Root) && !source_bus.is_empty() {
        source.error(Some("bus"), "a bus at an end of some branch", None);
    }
    for section in root.named_sections("bus", ABOUT_BUSES) {
        if !buses.iter().any(|bus| bus.name == section.name()) {
            section.error(None, "a bus at an end of some branch", None);
        }
    }
    let resources = read_resources(root, &mut buses);
    let network = PerUnitNetwork { base_power_va: base.power_va, buses, branches, root_voltage_pu, wires };
    NetworkDescription { network, tap_positions, resources }
}

const ABOUT_BUSES: &str = "Buses that differ from the others, by name.";

fn read_base(root: &Section<'_>) -> Base {
    let base = root.required_section("base", "What per unit refers to.");
    let power_kva = base.number("power_kva", "Base power of all three phases together, in kVA.");
    let voltage_kv = base
        .number("voltage_kv", "Base voltage of every bus that does not say its own, line to line, in kV.");
    let (power_kva, voltage_kv) =
        (power_kva.within(1e-3..=1e9).required(), voltage_kv.within(1e-3..=1e4).required());
    let own = root.named_sections("bus", ABOUT_BUSES).into_iter().filter_map(|section| {
        let voltage = section.number("voltage_kv", "Its base voltage, line to line, in kV.");
        Some((section.name().to_owned(), voltage.within(1e-3..=1e4).optional()? * 1e3))
    });
    Base { power_va: power_kva * 1e3, voltage_v: voltage_kv * 1e3, bus_voltages_v: own.collect() }
}

fn buses_of(branches: &[PerUnitBranch], source: &str, base: &Base) -> Vec<PerUnitBus> {
    let mut known = BTreeSet::new();
    let mut buses = Vec::new();
    for name in branches.iter().flat_map(|branch| [&branch.sending_bus, &branch.receiving_bus]) {
        if known.insert(name) && !name.is_empty() {
            let kind = if name == source { BusKind::Root } else { BusKind::Dummy };
            buses.push(PerUnitBus { name: name.clone(), base_voltage_v: base.voltage_v(name), kind });
        }
    }
    buses
}

/// Ohm, siemens and ampere are those at the bus where the branch begins.
fn read_branch(
    section: &Section<'_>,
    base: &Base,
    tap_positions: &mut BTreeMap<String, i32>,
) -> PerUnitBranch {
    let name = section.name().to_owned();
    let sending_bus = section.text("from", "The bus where it begins.").required();
    let receiving_bus = section.text("to", "The bus where it ends.").required();
    if sending_bus == receiving_bus && !sending_bus.is_empty() {
        section.error(Some("to"), "another bus than the one where it begins", None);
    }
    let voltage_v = base.voltage_v(&sending_bus);
    let base_ohm = voltage_v * voltage_v / base.power_va;
    let base_a = base.power_va / (3.0_f64.sqrt() * voltage_v);
    let either = |per_unit: &str, unit: &str, about: &str, scale: f64| {
        let read = |key, about: &str| section.number(key, about).within(-LARGEST..=LARGEST).optional();
        let (in_pu, in_si) =
            (read(per_unit, &format!("{about}, in per unit.")), read(unit, &format!("{about}.")));
        if in_pu.is_some() && in_si.is_some() {
            section.error(Some(unit), format!("this or `{per_unit}`, not both"), None);
        }
        in_pu.or(in_si.map(|value| value * scale))
    };
    let resistance =
        either("resistance_pu", "resistance_ohm", "Series resistance of each conductor", base_ohm.recip());
    let reactance =
        either("reactance_pu", "reactance_ohm", "Series reactance of each conductor", base_ohm.recip());
    let conductance =
        either("shunt_conductance_pu", "shunt_conductance_s", "Shunt conductance of each phase", base_ohm);
    let susceptance =
        either("shunt_susceptance_pu", "shunt_susceptance_s", "Shunt susceptance of each phase", base_ohm);
    let rated =
        either("rated_current_pu", "rated_current_a", "Current that it may carry for ever", base_a.recip());
    if resistance.unwrap_or(0.0) == 0.0 && reactance.unwrap_or(0.0) == 0.0 {
        section.error(Some("resistance_pu"), "a resistance or reactance other than 0", None);
    }
    if rated.is_some_and(|rated| rated <= 0.0) {
        section.error(None, "a rated current above 0, or none", None);
    }
    let taps = section.section("taps", "Its taps; a branch with taps is a transformer.");
    let taps = taps.is_present().then(|| read_range(&taps)).flatten().map(|(range, position)| {
        tap_positions.insert(name.clone(), position);
        range
    });
    PerUnitBranch {
        name,
        sending_bus,
        receiving_bus,
        resistance_pu: resistance.unwrap_or(0.0),
        reactance_pu: reactance.unwrap_or(0.0),
        shunt_conductance_pu: conductance.unwrap_or(0.0),
        shunt_susceptance_pu: susceptance.unwrap_or(0.0),
        rated_current_pu: rated,
        taps,
    }
}

fn read_resources(root: &Section<'_>, buses: &mut [PerUnitBus]) -> BTreeMap<String, Place> {
    let mut resources = BTreeMap::new();
    for section in root.named_sections("resource", "Who is connected where, by the names of the resources.") {
        let Connected { bus, connection, dependence } = Connected::read(&section);
        let customer_id = section.text("customer_id", "Whom it belongs to. Default: the bus.").optional();
        let Some(bus) = bus else {
            section.error(Some("bus"), "the bus that it is connected to", None);
            continue;
        };
        match buses.iter_mut().find(|known| known.name == bus) {
            Some(known) if known.kind == BusKind::Dummy => known.kind = BusKind::UsagePoint,
            Some(_) => {}
            None => section.error(Some("bus"), "a bus at an end of some branch", None),
        }
        let place = Place::at(customer_id.unwrap_or_else(|| bus.clone()), bus);
        let connection = connection.unwrap_or(place.connection);
        let dependence = dependence.unwrap_or(place.dependence);
        resources.insert(section.name().to_owned(), Place { connection, dependence, ..place });
    }
    resources
}
