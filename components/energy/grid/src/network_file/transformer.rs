//! Transformers of a network file, by their rating plates and test reports.

use super::area::Area;
use super::vector_group::{Connected, VectorGroup};
use crate::taps::read_range_of;
use gridloop_power_flow::{
    Coil, Complex64, Conductor, Side, StarPoint, TapRange, Transformer, Winding, Windings,
};
use gridloop_service::Section;

/// By how much one position of a tap changer may change a winding, in %.
const STEPS_PERCENT: std::ops::RangeInclusive<f64> = -20.0..=20.0;

/// How far a rated voltage may be from the base voltage of its bus, as a part of it.
const NEAR: std::ops::RangeInclusive<f64> = 0.5..=2.0;

/// A transformer as it was read.
pub(super) struct ReadTransformer {
    pub(super) element: Transformer,
    /// At the bus where it begins, as NIS tells it.
    pub(super) impedance_pu: Complex64,
    pub(super) shunt_pu: Complex64,
    pub(super) rated_current_pu: f64,
}

/// Which side is which.
#[derive(Clone, Copy)]
struct Ends<'n> {
    hv: &'n str,
    lv: &'n str,
    /// Whether it begins at the high voltage.
    from_hv: bool,
}

impl<'n> Ends<'n> {
    fn of(area: &Area, [from, to]: [&'n str; 2]) -> Self {
        let from_hv = area.voltage_v(from) >= area.voltage_v(to);
        if from_hv { Self { hv: from, lv: to, from_hv } } else { Self { hv: to, lv: from, from_hv } }
    }

    /// The one of the high voltage and that of the low voltage as those of the sending and the receiving side.
    fn in_order<T>(self, hv: T, lv: T) -> [T; 2] {
        if self.from_hv { [hv, lv] } else { [lv, hv] }
    }
}

/// Reads the table `transformer` of a branch; `None` if something that all depends on is missing or wrong.
pub(super) fn read(
    branch: &Section<'_>,
    section: &Section<'_>,
    area: &mut Area,
    buses: [&str; 2],
) -> Option<ReadTransformer> {
    let ends = Ends::of(area, buses);
    let group = section
        .text(
            "vector_group",
            "How its windings are connected, by IEC 60076-1, such as Dyn11; Ii0 for one phase.",
        )
        .such_as("Dyn11")
        .parsed(VectorGroup::parse)
        .required_option();
    let rated_kva = section.number("rated_power_kva", "Rated power, all phases together, in kVA.");
    let rated_kva = rated_kva.within(1e-3..=1e8).required_option();
    let coils = match group {
        Some(VectorGroup::Single) => ["hv_connection", "lv_connection"].map(|key| read_coil(section, key)),
        _ => [None, None],
    };
    let [hv_v, lv_v] = rated_voltages(section, area, ends, coils);
    if hv_v < lv_v {
        section.error(Some("lv_rated_voltage_kv"), "no more than that of the high-voltage side", None);
    }
    let losses = rated_kva.and_then(|rated_kva| Losses::read(section, rated_kva));
    let [hv_star, lv_star] = [("hv", ends.hv), ("lv", ends.lv)].map(|(side, bus)| {
        let connected = match group {
            Some(VectorGroup::Three { hv, lv, .. }) => Some(if side == "hv" { hv } else { lv }),
            _ => None,
        };
        let receiving = (side == "lv") == ends.from_hv;
        read_star(section, area, side, bus, connected, receiving)
    });
    for bus in buses {
        area.note_transformer(bus);
    }
    let taps = branch.section("taps", "Its taps.");
    let taps = if taps.is_present() { read_taps(&taps, ends) } else { None };
    let (group, rated_kva, losses) = (group?, rated_kva?, losses?);
    let windings = windings(group, coils, ends)?;
    let [sending_voltage_v, receiving_voltage_v] = ends.in_order(hv_v, lv_v);
    let [sending_star, receiving_star] = ends.in_order(hv_star, lv_star);
    let (taps, tapped, tap_position) = match taps {
        Some((range, position, side)) => (Some(range), side, position),
        None => (None, Side::Receiving, 0),
    };
    let rated_power_va = rated_kva * 1e3;
    let element = Transformer {
        no_load_loss_percent: losses.no_load_percent,
        magnetising_percent: losses.magnetising_percent,
        sending_star,
        receiving_star,
        taps,
        tapped,
        tap_position,
        ..Transformer::three_phase(
            windings,
            [sending_voltage_v, receiving_voltage_v],
            rated_power_va,
            losses.short_circuit_percent,
        )
    };
    let rated_ohm = sending_voltage_v * sending_voltage_v / rated_power_va;
    let in_base = rated_ohm / area.base_ohm(buses[0]);
    let no_load = Complex64::new(losses.no_load_percent, -losses.magnetising_percent) / 100.0;
    let root = if group == VectorGroup::Single { 1.0 } else { 3.0_f64.sqrt() };
    Some(ReadTransformer {
        element,
        impedance_pu: losses.short_circuit_percent / 100.0 * in_base,
        shunt_pu: no_load / in_base,
        rated_current_pu: rated_power_va / (root * sending_voltage_v) / area.base_a(buses[0]),
    })
}

fn read_coil(section: &Section<'_>, key: &str) -> Option<Coil> {
    use Conductor::{Phase1, Phase2, Phase3};
    let coil = |from, to| Coil { from, to };
    let about = "Of Ii0: the phase that the coil of this side is connected to, against the star point, or two of them.";
    section
        .text(key, about)
        .choice(&[
            ("1", coil(Phase1, None)),
            ("2", coil(Phase2, None)),
            ("3", coil(Phase3, None)),
            ("1-2", coil(Phase1, Some(Phase2))),
            ("2-3", coil(Phase2, Some(Phase3))),
            ("3-1", coil(Phase3, Some(Phase1))),
            ("2-1", coil(Phase2, Some(Phase1))),
            ("3-2", coil(Phase3, Some(Phase2))),
            ("1-3", coil(Phase1, Some(Phase3))),
        ])
        .required_option()
}

/// In V, of the high and the low voltage; those of a coil from a phase to the star point are phase voltages.
fn rated_voltages(section: &Section<'_>, area: &Area, ends: Ends<'_>, coils: [Option<Coil>; 2]) -> [f64; 2] {
    let [hv_coil, lv_coil] = coils;
    let read = |key: &str, bus: &str, coil: Option<Coil>| {
        let root = if coil.is_some_and(|coil| coil.to.is_none()) { 3.0_f64.sqrt() } else { 1.0 };
        let base_v = area.voltage_v(bus) / root;
        let about = "Rated voltage of this side in kV, line to line, or that of the coil of Ii0. Default: the base voltage.";
        let rated_kv = section.number(key, about).within(1e-3..=1e4).optional();
        let rated_v = rated_kv.map_or(base_v, |rated_kv| rated_kv * 1e3);
        if !NEAR.contains(&(rated_v / base_v)) {
            let expected = format!("about the base voltage of bus {bus}, {:.4} kV", base_v / 1e3);
            section.error(Some(key), expected, None);
        }
        rated_v
    };
    [read("hv_rated_voltage_kv", ends.hv, hv_coil), read("lv_rated_voltage_kv", ends.lv, lv_coil)]
}

/// Impedances and losses, in percent on the rating.
struct Losses {
    short_circuit_percent: Complex64,
    no_load_percent: f64,
    magnetising_percent: f64,
}

impl Losses {
    fn read(section: &Section<'_>, rated_kva: f64) -> Option<Self> {
        let number = |key: &str, about: &str| section.number(key, about);
        let short_circuit = number(
            "short_circuit_voltage_percent",
            "Short-circuit voltage, or impedance, in % of the rating.",
        );
        let short_circuit = short_circuit.within(0.01..=100.0).required_option();
        let load_loss = number("load_loss_kw", "Copper losses at the rated current, in kW.");
        let load_loss = load_loss.within(0.0..=1e6).optional();
        let about = "Instead of `load_loss_kw`: short-circuit resistance, in % of the rating.";
        let resistance = number("short_circuit_resistance_percent", about).within(0.0..=100.0).optional();
        let no_load_kw = number("no_load_loss_kw", "Iron losses at the rated voltage, in kW. Default: none.");
        let no_load_percent = no_load_kw.within(0.0..=1e6).or(0.0) / rated_kva * 100.0;
        let about = "No-load current at the rated voltage, in % of the rated one. Default: what the iron losses take.";
        let current = number("no_load_current_percent", about).within(0.0..=100.0).optional();
        let (key, resistance) = match (load_loss, resistance) {
            (Some(_), Some(_)) => {
                let expected = "this or `load_loss_kw`, not both";
                section.error(Some("short_circuit_resistance_percent"), expected, None);
                return None;
            }
            (Some(load_loss_kw), None) => ("load_loss_kw", load_loss_kw / rated_kva * 100.0),
            (None, Some(resistance)) => ("short_circuit_resistance_percent", resistance),
            (None, None) => {
                let expected = "the copper losses, or a `short_circuit_resistance_percent`";
                section.error(Some("load_loss_kw"), expected, None);
                return None;
            }
        };
        let short_circuit = short_circuit?;
        let magnetising_percent = other_leg(current.unwrap_or(no_load_percent), no_load_percent);
        let reactance = other_leg(short_circuit, resistance);
        if magnetising_percent.is_none() {
            let expected = format!("at least {no_load_percent:.4}, which the iron losses take");
            section.error(Some("no_load_current_percent"), expected, None);
        }
        if reactance.is_none() {
            let expected = format!("no more than the short-circuit voltage: {resistance:.4} % are above it");
            section.error(Some(key), expected, None);
        }
        Some(Self {
            short_circuit_percent: Complex64::new(resistance, reactance?),
            no_load_percent,
            magnetising_percent: magnetising_percent?,
        })
    }
}

/// The other leg of a right-angled triangle; `None` if this one is longer than the hypotenuse.
fn other_leg(hypotenuse: f64, leg: f64) -> Option<f64> {
    (leg <= hypotenuse).then(|| ((hypotenuse - leg) * (hypotenuse + leg)).sqrt())
}

/// Where the star point of a side is, and what it does to the neutral of the bus.
fn read_star(
    section: &Section<'_>,
    area: &mut Area,
    side: &str,
    bus: &str,
    connected: Option<Connected>,
    receiving: bool,
) -> StarPoint {
    let keys = ["resistance", "reactance"].map(|part| format!("{side}_earthing_{part}_ohm"));
    let [resistance_key, reactance_key] = &keys;
    let about = "Resistance between the star point of this side and earth, in ohm. Default: 0.";
    let resistance = section.number(resistance_key, about).within(0.0..=1e9).optional();
    let about = "Reactance between the star point of this side and earth, in ohm: that of a Petersen coil. Default: 0.";
    let reactance = section.number(reactance_key, about).within(-1e9..=1e9).optional();
    let given = [resistance.map(|_| resistance_key), reactance.map(|_| reactance_key)];
    if !connected.is_some_and(|it| it.star_out) {
        for key in given.into_iter().flatten() {
            let expected = match connected {
                Some(Connected { winding: Winding::Wye | Winding::Zigzag, .. }) => {
                    "a star point that is brought out: `N` or `n` in the vector group"
                }
                _ => "a winding in star with its star point brought out",
            };
            section.error(Some(key), expected, None);
        }
        let has_star = connected.is_some_and(|it| it.winding != Winding::Delta);
        return if has_star { StarPoint::Isolated } else { StarPoint::Neutral };
    }
    if !area.has_neutral(bus) {
        let impedance = Complex64::new(resistance.unwrap_or(0.0), reactance.unwrap_or(0.0));
        return if impedance == Complex64::ZERO { StarPoint::Neutral } else { StarPoint::Earthed(impedance) };
    }
    if reactance.is_some() {
        let expected = "no reactance, where the star point is the neutral conductor of its bus";
        section.error(Some(reactance_key), expected, None);
    }
    // Behind a transformer a network of four wires is earthed, unless somebody says how.
    let usual = (receiving && !area.says_earthing(bus)).then_some(0.0);
    if let Some(ohm) = resistance.or(usual) {
        area.earth(bus, ohm);
    }
    StarPoint::Neutral
}

fn read_taps(section: &Section<'_>, ends: Ends<'_>) -> Option<(TapRange, i32, Side)> {
    let [from, to] = [Side::Sending, Side::Receiving];
    let (hv, lv) = if ends.from_hv { (from, to) } else { (to, from) };
    let winding = section
        .text("winding", "The winding that has the taps: hv or lv.")
        .choice(&[("hv", hv), ("lv", lv)])
        .required_option();
    let about = "By how much one position up raises the turns of that winding, in %; below 0, lowers them.";
    let (range, position) = read_range_of(section, about, STEPS_PERCENT)?;
    Some((range, position, winding?))
}

fn windings(group: VectorGroup, coils: [Option<Coil>; 2], ends: Ends<'_>) -> Option<Windings> {
    match group {
        VectorGroup::Single => {
            let [hv, lv] = coils;
            let [sending, receiving] = ends.in_order(hv?, lv?);
            Some(Windings::Single { sending, receiving })
        }
        VectorGroup::Three { hv, lv, clock } => {
            let [sending, receiving] = ends.in_order(hv.winding, lv.winding);
            let clock = if ends.from_hv { clock } else { (12 - clock) % 12 };
            Some(Windings::Three { sending, receiving, clock })
        }
    }
}
