//! What the buses of a network file are: [`Area`] knows the base of each, and its conductors.

use crate::details::BusDetails;
use crate::source::NEUTRALS;
use gridloop_power_flow::{Conductor, Wires};
use gridloop_service::Section;
use std::collections::{BTreeMap, BTreeSet};

/// Buses that differ from the others.
pub(super) const ABOUT_BUSES: &str = "Buses that differ from the others, by name.";

/// The base of the network, and what is said of its buses.
pub(super) struct Area {
    pub(super) power_va: f64,
    pub(super) frequency_hz: f64,
    pub(super) wires: Wires,
    /// The bus that the source holds.
    pub(super) root: String,
    /// Of every bus that does not say its own.
    voltage_v: f64,
    own: BTreeMap<String, OwnBus>,
    /// By bus, the earthing of its neutral that transformers bring with them, in ohm.
    earthings: BTreeMap<String, f64>,
    /// Buses at transformers that have a table: there nothing is earthed that nobody says.
    at_transformers: BTreeSet<String>,
}

/// What a bus says of itself.
#[derive(Default)]
struct OwnBus {
    voltage_v: Option<f64>,
    neutral: Option<Wires>,
    phases: Option<Vec<Conductor>>,
    neutral_earthing_ohm: Option<f64>,
}

impl Area {
    pub(super) fn read(root: &Section<'_>, source_bus: String, wires: Wires) -> Self {
        let base = root.required_section("base", "What per unit refers to.");
        let power_kva = base.number("power_kva", "Base power of all three phases together, in kVA.");
        let voltage_kv = base.number(
            "voltage_kv",
            "Base voltage of every bus that does not say its own, line to line, in kV.",
        );
        let power_kva = power_kva.within(1e-3..=1e9).required();
        let voltage_kv = voltage_kv.within(1e-3..=1e4).required();
        let about = "What capacitances are susceptances at, in Hz.";
        let frequency_hz = base.number("frequency_hz", about).within(1.0..=1000.0).or(50.0);
        let own = root.named_sections("bus", ABOUT_BUSES);
        let own = own.iter().map(|section| (section.name().to_owned(), OwnBus::read(section, wires)));
        Self {
            power_va: power_kva * 1e3,
            frequency_hz,
            wires,
            root: source_bus,
            voltage_v: voltage_kv * 1e3,
            own: own.collect(),
            earthings: BTreeMap::new(),
            at_transformers: BTreeSet::new(),
        }
    }

    /// Base voltage of a bus, line to line.
    pub(super) fn voltage_v(&self, bus: &str) -> f64 {
        self.own.get(bus).and_then(|own| own.voltage_v).unwrap_or(self.voltage_v)
    }

    pub(super) fn base_ohm(&self, bus: &str) -> f64 {
        let voltage_v = self.voltage_v(bus);
        voltage_v * voltage_v / self.power_va
    }

    pub(super) fn base_a(&self, bus: &str) -> f64 {
        self.power_va / (3.0_f64.sqrt() * self.voltage_v(bus))
    }

    /// Whether a branch between these buses changes the voltage.
    pub(super) fn same_voltage(&self, one: &str, other: &str) -> bool {
        (self.voltage_v(one) / self.voltage_v(other) - 1.0).abs() < 1e-9
    }

    pub(super) fn has_neutral(&self, bus: &str) -> bool {
        let own = self.own.get(bus).and_then(|own| own.neutral);
        own.unwrap_or(self.wires) == Wires::FourWire
    }

    pub(super) fn phases(&self, bus: &str) -> Vec<Conductor> {
        let own = self.own.get(bus).and_then(|own| own.phases.clone());
        own.unwrap_or_else(|| Conductor::PHASES.to_vec())
    }

    pub(super) fn conductors(&self, bus: &str) -> Vec<Conductor> {
        let mut conductors = self.phases(bus);
        if self.has_neutral(bus) {
            conductors.push(Conductor::Neutral);
        }
        conductors
    }

    /// Whether a bus has the conductors that all have which say nothing.
    pub(super) fn is_usual(&self, bus: &str) -> bool {
        self.own.get(bus).is_none_or(|own| own.phases.is_none() && own.neutral.is_none())
    }

    pub(super) fn says_earthing(&self, bus: &str) -> bool {
        self.own.get(bus).is_some_and(|own| own.neutral_earthing_ohm.is_some())
    }

    /// A transformer with a table of its own ends at the bus.
    pub(super) fn note_transformer(&mut self, bus: &str) {
        self.at_transformers.insert(bus.to_owned());
    }

    /// A transformer earths the neutral of the bus, beside whatever else does.
    pub(super) fn earth(&mut self, bus: &str, ohm: f64) {
        let beside = |known: f64| if known == 0.0 || ohm == 0.0 { 0.0 } else { known * ohm / (known + ohm) };
        self.earthings.entry(bus.to_owned()).and_modify(|known| *known = beside(*known)).or_insert(ohm);
    }

    /// The buses of which per unit does not say all; `fed_in_per_unit` names those behind transformers in per unit.
    pub(super) fn details(
        &self,
        buses: impl Iterator<Item = String>,
        fed_in_per_unit: &BTreeSet<String>,
    ) -> BTreeMap<String, BusDetails> {
        let of = |bus: String| {
            let own = self.own.get(&bus);
            let said = own.and_then(|own| own.neutral_earthing_ohm);
            let by_transformer = self.earthings.get(&bus).copied();
            let differs = !self.is_usual(&bus)
                || said.is_some()
                || by_transformer.is_some()
                || self.at_transformers.contains(&bus);
            if !differs {
                return None;
            }
            let usual = bus == self.root || fed_in_per_unit.contains(&bus);
            let neutral_earthing_ohm = match (said, by_transformer) {
                (Some(one), Some(other)) if one == 0.0 || other == 0.0 => Some(0.0),
                (Some(one), Some(other)) => Some(one * other / (one + other)),
                (Some(ohm), None) | (None, Some(ohm)) => Some(ohm),
                (None, None) => usual.then_some(0.0),
            };
            let conductors = self.conductors(&bus);
            Some((bus, BusDetails { conductors, neutral_earthing_ohm }))
        };
        buses.filter_map(of).collect()
    }
}

impl OwnBus {
    fn read(section: &Section<'_>, usual: Wires) -> Self {
        let voltage = section.number("voltage_kv", "Its base voltage, line to line, in kV.");
        let neutral = section.text("neutral", "What it has of a neutral, if not what the others have.");
        let neutral = neutral.choice(&NEUTRALS).optional();
        let phases = section.text("phases", "The phases that it has. Default: all three.").choice(&PHASES);
        let phases = phases.optional().map(|phases: &[Conductor]| phases.to_vec());
        let earthing = section.number(
            "neutral_earthing_ohm",
            "Resistance between its neutral and earth in ohm, 0 for a solid connection. Default: none, but at the source \
             and behind transformers.",
        );
        let earthing = earthing.within(0.0..=1e9).optional();
        if earthing.is_some() && neutral.unwrap_or(usual) != Wires::FourWire {
            let expected = "`neutral = \"four-wire\"` beside it: elsewhere the neutral is earthed everywhere";
            section.error(Some("neutral_earthing_ohm"), expected, None);
        }
        Self {
            voltage_v: voltage.within(1e-3..=1e4).optional().map(|voltage_kv| voltage_kv * 1e3),
            neutral,
            phases,
            neutral_earthing_ohm: earthing,
        }
    }
}

const PHASES: [(&str, &[Conductor]); 7] = {
    use Conductor::{Phase1, Phase2, Phase3};
    [
        ("1", &[Phase1]),
        ("2", &[Phase2]),
        ("3", &[Phase3]),
        ("1-2", &[Phase1, Phase2]),
        ("2-3", &[Phase2, Phase3]),
        ("3-1", &[Phase1, Phase3]),
        ("1-2-3", &[Phase1, Phase2, Phase3]),
    ]
};
