//! A network in a file of the user's own: [`load`] reads TOML into a [`NetworkDescription`].
//!
//! An [`Area`] knows the buses; a branch is a [`line`] or a [`transformer`], or one of the two in per unit.

mod area;
mod line;
mod quantity;
mod transformer;
mod vector_group;

use crate::connection::Connected;
use crate::description::{NetworkDescription, Place};
use crate::details::Details;
use crate::settings::is_topic_word;
use crate::source::NEUTRALS;
use crate::taps::read_range;
use area::{ABOUT_BUSES, Area};
use gridloop_power_flow::{
    BusKind, Complex64, Conductor, Connection, Element, PerUnitBranch, PerUnitBus, PerUnitNetwork,
    SequenceImpedance, Wires,
};
use gridloop_service::{Diagnostics, Document, Section};
use quantity::Quantities;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The most branches that a network may have.
const BRANCHES_MAX: usize = 10_000;

/// Reads the network in `path`.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub fn load(path: &Path) -> Result<NetworkDescription, Diagnostics> {
    description_in(&Document::load(path)?)
}

/// Reads the network in `text`; `name` is what its errors are prefixed with.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub fn parse(name: &str, text: &str) -> Result<NetworkDescription, Diagnostics> {
    description_in(&Document::parse(name, text)?)
}

fn description_in(document: &Document) -> Result<NetworkDescription, Diagnostics> {
    let description = read(&document.root());
    document.finish()?;
    Ok(description)
}

fn read(root: &Section<'_>) -> NetworkDescription {
    let source = root.required_section("source", "Where the network is fed.");
    let source_bus = source.text("bus", "The bus that the source holds.").required();
    let root_voltage_pu = source
        .number("voltage_pu", "What it holds, as a part of the base voltage.")
        .within(0.5..=1.5)
        .or(1.0);
    let wires = root
        .text(
            "neutral",
            "earthed: everywhere; four-wire: a conductor of its own, earthed at the source and behind transformers.",
        )
        .choice(&NEUTRALS)
        .or(Wires::NeutralEarthedEverywhere);
    let mut area = Area::read(root, source_bus.clone(), wires);
    let source_impedance = read_source_impedance(&source, &area);
    let sections = root.named_sections("branch", "Lines, cables and transformers, by name.");
    if sections.is_empty() {
        root.error(None, "at least one `[branch.NAME]`", None);
    }
    if sections.len() > BRANCHES_MAX {
        root.error(None, format!("at most {BRANCHES_MAX} branches, not {}", sections.len()), None);
    }
    let mut branches = Branches::default();
    for section in sections.iter().take(BRANCHES_MAX) {
        branches.read(section, &mut area);
    }
    let mut buses = buses_of(&branches.list, &area);
    let known: BTreeSet<&str> = buses.iter().map(|bus| bus.name.as_str()).collect();
    if !branches.list.is_empty() && !known.contains(source_bus.as_str()) && !source_bus.is_empty() {
        source.error(Some("bus"), "a bus at an end of some branch", None);
    }
    for section in root.named_sections("bus", ABOUT_BUSES) {
        if !known.contains(section.name()) {
            section.error(None, "a bus at an end of some branch", None);
        }
    }
    let Branches { list, elements, tap_positions, fed_in_per_unit } = branches;
    let names = buses.iter().map(|bus| bus.name.clone());
    let details = Details { buses: area.details(names, &fed_in_per_unit), elements, source_impedance };
    let resources = read_resources(root, &mut buses, &area);
    let network =
        PerUnitNetwork { base_power_va: area.power_va, buses, branches: list, root_voltage_pu, wires };
    NetworkDescription { network, details, tap_positions, resources }
}

fn read_source_impedance(source: &Section<'_>, area: &Area) -> Option<SequenceImpedance> {
    let quantities =
        Quantities::of(source, area.base_ohm(&area.root), area.base_a(&area.root), area.frequency_hz);
    let read = |name: &str, about: &str| quantities.lumped_impedance(name, about);
    let resistance = read("resistance", "Resistance behind which it lies; default: none");
    let reactance = read("reactance", "Reactance behind which it lies; default: none");
    let zero_resistance = read("zero_resistance", "The same of the zero sequence; default: as the other");
    let zero_reactance = read("zero_reactance", "The same of the zero sequence; default: as the other");
    let positive = Complex64::new(resistance.unwrap_or(0.0), reactance.unwrap_or(0.0));
    let zero = Complex64::new(zero_resistance.unwrap_or(positive.re), zero_reactance.unwrap_or(positive.im));
    let given = [resistance, reactance, zero_resistance, zero_reactance];
    if given.iter().all(Option::is_none) {
        return None;
    }
    if given.into_iter().flatten().any(|part| part < 0.0)
        || positive == Complex64::ZERO
        || zero == Complex64::ZERO
    {
        source.error(
            None,
            "a resistance and reactance of 0 or more, and one of them above, or none at all",
            None,
        );
    }
    let base_ohm = area.base_ohm(&area.root);
    Some(SequenceImpedance { positive_ohm: positive * base_ohm, zero_ohm: zero * base_ohm })
}

fn buses_of(branches: &[PerUnitBranch], area: &Area) -> Vec<PerUnitBus> {
    let mut known = BTreeSet::new();
    let mut buses = Vec::new();
    for name in branches.iter().flat_map(|branch| [&branch.sending_bus, &branch.receiving_bus]) {
        if known.insert(name) && !name.is_empty() {
            let kind = if *name == area.root { BusKind::Root } else { BusKind::Dummy };
            buses.push(PerUnitBus { name: name.clone(), base_voltage_v: area.voltage_v(name), kind });
        }
    }
    buses
}

/// The branches, as far as they have been read.
#[derive(Default)]
struct Branches {
    list: Vec<PerUnitBranch>,
    elements: BTreeMap<String, Element>,
    tap_positions: BTreeMap<String, i32>,
    /// Buses behind transformers in per unit.
    fed_in_per_unit: BTreeSet<String>,
}

impl Branches {
    fn read(&mut self, section: &Section<'_>, area: &mut Area) {
        let name = section.name().to_owned();
        if let Err(reason) = is_topic_word(&name) {
            section.error(None, format!("another name: {reason}"), None);
        }
        let bus =
            |key: &str, about: &str| section.text(key, about).matching(|name| is_topic_word(name)).required();
        let from = bus("from", "The bus where it begins.");
        let to = bus("to", "The bus where it ends.");
        if from == to && !from.is_empty() {
            section.error(Some("to"), "another bus than the one where it begins", None);
        }
        let quantities = Quantities::of(section, area.base_ohm(&from), area.base_a(&from), area.frequency_hz);
        let rated = quantities.current("rated_current", "Current that it may carry for ever");
        if rated.is_some_and(|rated| rated <= 0.0) {
            section.error(None, "a rated current above 0, or none", None);
        }
        let mut branch = PerUnitBranch {
            name,
            sending_bus: from,
            receiving_bus: to,
            resistance_pu: 0.0,
            reactance_pu: 0.0,
            shunt_conductance_pu: 0.0,
            shunt_susceptance_pu: 0.0,
            rated_current_pu: rated,
            taps: None,
        };
        let plate = section.section("transformer", "A transformer, by its rating plate.");
        if plate.is_present() {
            self.transformer(section, &plate, area, &mut branch);
        } else {
            self.line(section, area, &mut branch);
        }
        self.list.push(branch);
    }

    /// A transformer with a table of its own.
    fn transformer(
        &mut self,
        section: &Section<'_>,
        plate: &Section<'_>,
        area: &mut Area,
        branch: &mut PerUnitBranch,
    ) {
        let buses = [branch.sending_bus.as_str(), branch.receiving_bus.as_str()];
        let Some(read) = transformer::read(section, plate, area, buses) else { return };
        if read.element.taps.is_some() {
            self.tap_positions.insert(branch.name.clone(), read.element.tap_position);
        }
        branch.taps = read.element.taps;
        branch.rated_current_pu = branch.rated_current_pu.or(Some(read.rated_current_pu));
        set(branch, read.impedance_pu, read.shunt_pu);
        self.elements.insert(branch.name.clone(), Element::Transformer(read.element));
    }

    /// A line, or a transformer in per unit.
    fn line(&mut self, section: &Section<'_>, area: &Area, branch: &mut PerUnitBranch) {
        let about = "Its taps; a branch with taps is a transformer.";
        let taps = section.section("taps", about);
        if let Some((range, position)) = taps.is_present().then(|| read_range(&taps)).flatten() {
            self.tap_positions.insert(branch.name.clone(), position);
            branch.taps = Some(range);
        }
        let buses = [branch.sending_bus.as_str(), branch.receiving_bus.as_str()];
        let in_per_unit = taps.is_present() || !area.same_voltage(buses[0], buses[1]);
        let read = line::read(section, area, buses, in_per_unit);
        if in_per_unit {
            self.fed_in_per_unit.insert(branch.receiving_bus.clone());
        }
        set(branch, read.impedance, read.shunt);
        self.elements.extend(read.element.map(|element| (branch.name.clone(), element)));
    }
}

fn set(branch: &mut PerUnitBranch, impedance: Complex64, shunt: Complex64) {
    (branch.resistance_pu, branch.reactance_pu) = (impedance.re, impedance.im);
    (branch.shunt_conductance_pu, branch.shunt_susceptance_pu) = (shunt.re, shunt.im);
}

fn read_resources(root: &Section<'_>, buses: &mut [PerUnitBus], area: &Area) -> BTreeMap<String, Place> {
    let mut resources = BTreeMap::new();
    let mut by_name: BTreeMap<String, &mut PerUnitBus> =
        buses.iter_mut().map(|bus| (bus.name.clone(), bus)).collect();
    for section in root.named_sections("resource", "Who is connected where, by the names of the resources.") {
        let Connected { bus, connection, dependence } = Connected::read(&section);
        let customer_id = section.text("customer_id", "Whom it belongs to. Default: the bus.").optional();
        let Some(bus) = bus else {
            section.error(Some("bus"), "the bus that it is connected to", None);
            continue;
        };
        match by_name.get_mut(&bus) {
            Some(known) if known.kind == BusKind::Dummy => known.kind = BusKind::UsagePoint,
            Some(_) => {}
            None => section.error(Some("bus"), "a bus at an end of some branch", None),
        }
        let place = Place::at(customer_id.unwrap_or_else(|| bus.clone()), bus);
        let connection = connection.unwrap_or(place.connection);
        let phases = area.phases(&place.bus);
        if !phases_of(connection).iter().all(|phase| phases.contains(phase)) {
            let expected = format!("phases that bus {} has", place.bus);
            section.error(Some("connection"), expected, None);
        }
        let dependence = dependence.unwrap_or(place.dependence);
        resources.insert(section.name().to_owned(), Place { connection, dependence, ..place });
    }
    resources
}

/// The phases that somebody is connected to.
fn phases_of(connection: Connection) -> Vec<Conductor> {
    match connection {
        Connection::Wye | Connection::Delta => Conductor::PHASES.to_vec(),
        Connection::Phase(phase) => vec![phase],
        Connection::Between(one, other) => vec![one, other],
    }
}
