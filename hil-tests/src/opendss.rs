//! A [`Network`] and an [`Operation`] as a script for OpenDSS: [`script`]. Each element becomes the one that OpenDSS has for
//! it, so that its own models judge ours.
//!
//! Buses are `n0`, `n1`, ... by their numbers, neutrals are node 4 (0 where they are earthed solidly). Loads keep their
//! model at any voltage, transformers have taps but no controls, and the solution is iterated to the end.

use anyhow::{Context, bail, ensure};
use gridloop_power_flow::{
    Branch, Coil, Complex64, Conductor, Connection, Element, Injection, Line, Network, Operation, Shunt,
    Side, Source, StarPoint, Transformer, VoltageDependence, Winding, Windings,
};
use std::fmt::Write;

const FREQUENCY_HZ: f64 = 50.0;
/// What an ideal source lies behind, in ohm.
const IDEAL_OHM: f64 = 1e-8;

/// The name of a conductor of a bus in the script, as OpenDSS lists nodes; `None` for one that is earth.
#[must_use]
pub fn node(network: &Network, bus: usize, conductor: Conductor) -> Option<String> {
    let number = number(network, bus, conductor);
    (number > 0).then(|| format!("n{bus}.{number}"))
}

fn number(network: &Network, bus: usize, conductor: Conductor) -> u8 {
    match conductor {
        Conductor::Phase1 => 1,
        Conductor::Phase2 => 2,
        Conductor::Phase3 => 3,
        Conductor::Neutral => {
            let solid = network.buses.get(bus).is_some_and(|bus| bus.neutral_earthing_ohm == Some(0.0));
            if solid { 0 } else { 4 }
        }
    }
}

/// The node of a bus's star point.
fn star(network: &Network, bus: usize) -> u8 {
    let has = network.buses.get(bus).is_some_and(|bus| bus.conductors.contains(&Conductor::Neutral));
    if has { number(network, bus, Conductor::Neutral) } else { 0 }
}

/// The script, which ends with the solution.
///
/// # Errors
/// When OpenDSS has no element for something.
pub fn script(network: &Network, operation: &Operation) -> anyhow::Result<String> {
    let mut text = format!("Clear\nSet DefaultBaseFrequency={FREQUENCY_HZ}\n");
    for (at, source) in network.sources.iter().enumerate() {
        add_source(&mut text, network, at, source, operation.source_voltage_pu)?;
    }
    for (at, branch) in network.branches.iter().enumerate() {
        match &branch.element {
            Element::Line(line) => add_line(&mut text, network, at, branch, line)?,
            Element::Transformer(transformer) => {
                let position = operation.tap_positions.get(&at).copied().unwrap_or(transformer.tap_position);
                add_transformer(&mut text, network, at, branch, transformer, position)?;
            }
            Element::Admittance(_) => bail!("{} is given by a matrix", branch.name),
        }
    }
    for (at, bus) in network.buses.iter().enumerate() {
        let has = bus.conductors.contains(&Conductor::Neutral);
        if let Some(ohm) = bus.neutral_earthing_ohm.filter(|ohm| has && *ohm > 0.0) {
            writeln!(text, "New Reactor.earth{at} phases=1 bus1=n{at}.4 bus2=n{at}.0 R={ohm} X=0")?;
        }
    }
    for (at, shunt) in network.shunts.iter().enumerate() {
        add_capacitor(&mut text, network, at, shunt)?;
    }
    let lowest = network.lowest_constant_power_voltage_pu.unwrap_or(1e-3);
    for (at, injection) in operation.injections.iter().enumerate() {
        add_load(&mut text, network, at, injection, lowest)?;
    }
    let mut bases: Vec<f64> = network.buses.iter().map(|bus| bus.base_voltage_v / 1e3).collect();
    bases.sort_by(f64::total_cmp);
    bases.dedup();
    // Without, OpenDSS judges the change of a neutral's voltage by that voltage, which may be next to nothing.
    writeln!(text, "Set VoltageBases={bases:?}\nCalcVoltageBases")?;
    text.push_str("Set ControlMode=Off\nSet Tolerance=1e-9\nSet MaxIterations=1000\nSolve\n");
    Ok(text)
}

fn base_voltage(network: &Network, bus: usize) -> anyhow::Result<f64> {
    Ok(network.buses.get(bus).with_context(|| format!("there is no bus {bus}"))?.base_voltage_v)
}

fn add_source(
    text: &mut String,
    network: &Network,
    at: usize,
    source: &Source,
    magnitude_pu: Option<f64>,
) -> anyhow::Result<()> {
    let [angle, second, third] = source.angle_deg;
    let balanced = source.voltage_pu.iter().all(|part| *part == source.voltage_pu[0]);
    let even = (angle - second - 120.0).abs() < 1e-12 && (third - angle - 120.0).abs() < 1e-12;
    ensure!(balanced && even, "source {at} is not balanced");
    let (positive, zero) = match source.impedance {
        Some(impedance) => (impedance.positive_ohm, impedance.zero_ohm),
        None => (Complex64::new(0.0, IDEAL_OHM), Complex64::new(0.0, IDEAL_OHM)),
    };
    let (kind, bus) = (if at == 0 { "Circuit.network" } else { &format!("Vsource.s{at}") }, source.bus);
    writeln!(
        text,
        "New {kind} phases=3 bus1=n{bus}.1.2.3 basekv={} pu={} angle={angle} Z1=[{}, {}] Z0=[{}, {}] Z2=[{}, {}]",
        base_voltage(network, bus)? / 1e3,
        magnitude_pu.unwrap_or(source.voltage_pu[0]),
        positive.re,
        positive.im,
        zero.re,
        zero.im,
        positive.re,
        positive.im,
    )?;
    Ok(())
}

/// The lower triangle of a matrix.
fn triangle(matrix: &[Vec<Complex64>], of: impl Fn(Complex64) -> f64) -> String {
    let row = |(at, row): (usize, &Vec<Complex64>)| {
        row.iter().take(at + 1).map(|entry| of(*entry).to_string()).collect::<Vec<_>>().join(" ")
    };
    format!("[{}]", matrix.iter().enumerate().map(row).collect::<Vec<_>>().join(" | "))
}

fn nodes(network: &Network, bus: usize, conductors: &[Conductor]) -> String {
    let numbers = conductors.iter().map(|conductor| format!(".{}", number(network, bus, *conductor)));
    format!("n{bus}{}", numbers.collect::<String>())
}

fn add_line(
    text: &mut String,
    network: &Network,
    at: usize,
    branch: &Branch,
    line: &Line,
) -> anyhow::Result<()> {
    let size = line.conductors.len();
    let nano_farad = |entry: Complex64| entry.im / (2.0 * std::f64::consts::PI * FREQUENCY_HZ) * 1e9;
    let none = vec![vec![Complex64::ZERO; size]; size];
    let shunt = if line.shunt_s.is_empty() { &none } else { &line.shunt_s };
    let (from, to) = (branch.sending_bus, branch.receiving_bus);
    writeln!(
        text,
        "New Line.e{at} phases={size} bus1={} bus2={} length=1 units=none rmatrix={} xmatrix={} cmatrix={}",
        nodes(network, from, &line.conductors),
        nodes(network, to, &line.conductors),
        triangle(&line.series_ohm, |entry| entry.re),
        triangle(&line.series_ohm, |entry| entry.im),
        triangle(shunt, nano_farad),
    )?;
    // Lines of OpenDSS have no conductance to earth.
    for (row, entries) in shunt.iter().enumerate() {
        for (column, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.re != 0.0) {
            ensure!(row == column, "{} has a conductance between its conductors", branch.name);
            for bus in [from, to] {
                let node = number(network, bus, line.conductors[row]);
                let ohm = 2.0 / entry.re;
                writeln!(
                    text,
                    "New Reactor.g{at}_{bus}_{row} phases=1 bus1=n{bus}.{node} bus2=n{bus}.0 R={ohm} X=0"
                )?;
            }
        }
    }
    Ok(())
}

/// A winding of a script.
struct Terminal<'a> {
    bus: String,
    connection: &'a str,
    voltage_v: f64,
    /// At the tap where it stands.
    ratio: f64,
}

/// A transformer of a script, without its windings.
struct Unit<'a> {
    name: String,
    phases: u8,
    power_va: f64,
    /// Whether the low voltage leads or lags.
    lead: &'a str,
}

fn add_unit(
    text: &mut String,
    unit: Unit<'_>,
    sides: Vec<Terminal<'_>>,
    transformer: &Transformer,
) -> anyhow::Result<()> {
    let Unit { name, phases, power_va, lead } = unit;
    let held = if has_own_star(transformer) { " ppm_antifloat=0" } else { "" };
    let count = sides.len();
    // A half coil carries what a phase carries, at half of the voltage that a phase would have without the other half.
    let (r, x) = match count {
        2 => (transformer.resistance_percent, transformer.reactance_percent),
        _ => (transformer.resistance_percent * 1.5, transformer.reactance_percent * 1.5),
    };
    let (rs, xs) = match count {
        2 => (format!("{} {}", r / 2.0, r / 2.0), format!("xhl={x}")),
        _ => (format!("0 {r} {r}"), format!("xhl={x} xht={x} xlt={}", 2.0 * x)),
    };
    write!(
        text,
        "New Transformer.{name} phases={phases} windings={count} {xs} %Rs=[{rs}] leadlag={lead}{held}"
    )?;
    let kva = power_va / 1e3;
    for (at, side) in sides.into_iter().enumerate() {
        let Terminal { bus, connection, voltage_v, ratio } = side;
        let (winding, kv) = (at + 1, voltage_v / 1e3);
        write!(text, " wdg={winding} bus={bus} conn={connection} kv={kv} kva={kva}")?;
        write!(text, " mintap=0.1 maxtap=3 tap={ratio}")?;
    }
    let (loss, magnetising) = match count {
        2 => (transformer.no_load_loss_percent, transformer.magnetising_percent),
        _ => (0.0, 0.0),
    };
    writeln!(text, " %noloadloss={loss} %imag={magnetising}")?;
    Ok(())
}

/// Whether a star point is a node of its own.
fn has_own_star(transformer: &Transformer) -> bool {
    [transformer.sending_star, transformer.receiving_star].into_iter().any(|star| star != StarPoint::Neutral)
}

/// What holds a side to earth. OpenDSS has a millionth of the rating at the ends of the coils too, but counts the star
/// point once more than there are coils; where that shows, it is written out.
fn hold(
    text: &mut String,
    transformer: &Transformer,
    (at, side, bus): (usize, usize, usize),
    (winding, voltage_v, star): (Winding, f64, usize),
) -> anyhow::Result<()> {
    let half = 0.5e-6 * transformer.rated_power_va / 3.0;
    // How many ends of coils lie at a phase; all three lie at the star point.
    let (coil_v, at_phase) = match winding {
        Winding::Delta => (voltage_v, 2.0),
        Winding::Wye | Winding::Zigzag => (voltage_v / 3f64.sqrt(), 1.0),
    };
    for (place, node) in [1, 2, 3, star].into_iter().enumerate().filter(|(_, node)| *node > 0) {
        let ends = if place < 3 { at_phase } else { 3.0 };
        let x = coil_v * coil_v / (half * ends);
        writeln!(
            text,
            "New Reactor.hold{at}_{side}_{place} phases=1 bus1=n{bus}.{node} bus2=n{bus}.0 R=0 X={x}"
        )?;
    }
    Ok(())
}

/// The node of the star point of a side of a transformer, and what leads from it to earth.
fn star_node(
    text: &mut String,
    network: &Network,
    at: usize,
    bus: usize,
    (side, star_point): (usize, StarPoint),
) -> anyhow::Result<usize> {
    // Beyond those of conductors.
    let own = 10 + 2 * at + side;
    Ok(match star_point {
        StarPoint::Neutral => star(network, bus).into(),
        StarPoint::Earthed(Complex64::ZERO) => 0,
        StarPoint::Isolated => own,
        StarPoint::Earthed(ohm) => {
            let (r, x) = (ohm.re, ohm.im);
            writeln!(
                text,
                "New Reactor.star{at}_{side} phases=1 bus1=n{bus}.{own} bus2=n{bus}.0 R={r} X={x}"
            )?;
            own
        }
    })
}

fn add_transformer(
    text: &mut String,
    network: &Network,
    at: usize,
    branch: &Branch,
    transformer: &Transformer,
    position: i32,
) -> anyhow::Result<()> {
    let ratio = transformer.taps.map_or(1.0, |taps| 1.0 + f64::from(position - taps.neutral) * taps.step);
    let ratios =
        [Side::Sending, Side::Receiving].map(|side| if transformer.tapped == side { ratio } else { 1.0 });
    let bare = match transformer.no_load_sending_share {
        0.0 => *transformer,
        _ => without_no_load(text, network, at, branch, transformer, ratios)?,
    };
    let transformer = &bare;
    let voltages = [transformer.sending_voltage_v, transformer.receiving_voltage_v];
    let (from, to) = (branch.sending_bus, branch.receiving_bus);
    let power_va = transformer.rated_power_va;
    let (sending, receiving, clock) = match transformer.windings {
        Windings::Single { sending, receiving } => {
            let sides = [(from, sending, voltages[0], ratios[0]), (to, receiving, voltages[1], ratios[1])];
            let sides = sides.map(|(bus, coil, voltage_v, ratio)| Terminal {
                bus: coil_nodes(network, bus, coil),
                connection: "wye",
                voltage_v,
                ratio,
            });
            let unit = Unit { name: format!("e{at}"), phases: 1, power_va, lead: "lag" };
            return add_unit(text, unit, sides.into(), transformer);
        }
        Windings::Three { sending, receiving, clock } => (sending, receiving, clock),
    };
    let mut star_of = |side, bus, winding, star| match winding {
        Winding::Wye | Winding::Zigzag => star_node(text, network, at, bus, (side, star)),
        Winding::Delta => Ok(0),
    };
    let stars = [
        star_of(0, from, sending, transformer.sending_star)?,
        star_of(1, to, receiving, transformer.receiving_star)?,
    ];
    if has_own_star(transformer) {
        // The wye opposite a zigzag is none to the engine: what it is held by is so little that it does not show.
        let [sending_v, receiving_v] = voltages;
        hold(text, transformer, (at, 0, from), (sending, sending_v, stars[0]))?;
        hold(text, transformer, (at, 1, to), (receiving, receiving_v, stars[1]))?;
    }
    if receiving == Winding::Zigzag {
        return add_zigzag(text, network, at, branch, transformer, clock, ratios, stars);
    }
    ensure!(sending != Winding::Zigzag, "{} begins with a zigzag", branch.name);
    // Which node of the receiving bus each leg of the winding is connected to, and which way round.
    let turned = matches!(clock, 2 | 6 | 10);
    let (legs, lead) = match if turned { (clock + 6) % 12 } else { clock } {
        0 => ([1, 2, 3], "lag"),
        8 => ([2, 3, 1], "lag"),
        4 => ([3, 1, 2], "lag"),
        11 => ([1, 2, 3], "lead"),
        7 => ([2, 3, 1], "lead"),
        3 => ([3, 1, 2], "lead"),
        1 => ([1, 2, 3], "lag"),
        9 => ([2, 3, 1], "lag"),
        _ => ([3, 1, 2], "lag"),
    };
    let star = |winding, node: usize| match winding {
        Winding::Wye | Winding::Zigzag => format!(".{node}"),
        Winding::Delta => String::new(),
    };
    let word = |winding| if winding == Winding::Delta { "delta" } else { "wye" };
    if !turned {
        let [a, b, c] = legs;
        let sides = vec![
            Terminal {
                bus: format!("n{from}.1.2.3{}", star(sending, stars[0])),
                connection: word(sending),
                voltage_v: voltages[0],
                ratio: ratios[0],
            },
            Terminal {
                bus: format!("n{to}.{a}.{b}.{c}{}", star(receiving, stars[1])),
                connection: word(receiving),
                voltage_v: voltages[1],
                ratio: ratios[1],
            },
        ];
        let unit = Unit { name: format!("e{at}"), phases: 3, power_va, lead };
        return add_unit(text, unit, sides, transformer);
    }
    // OpenDSS cannot turn the coils of a winding of three phases round; three units of one phase can.
    for leg in 0..3 {
        let (own, next) = (legs[leg], legs[(leg + 1) % 3]);
        let (from_other, to_other, root) = match sending {
            Winding::Delta => ((leg + 1) % 3 + 1, next, 1.0),
            Winding::Wye | Winding::Zigzag => (stars[0], stars[1], 3f64.sqrt()),
        };
        let sides = vec![
            Terminal {
                bus: format!("n{from}.{}.{from_other}", leg + 1),
                connection: word(sending),
                voltage_v: voltages[0] / root,
                ratio: ratios[0],
            },
            Terminal {
                bus: format!("n{to}.{to_other}.{own}"),
                connection: word(receiving),
                voltage_v: voltages[1] / root,
                ratio: ratios[1],
            },
        ];
        let unit = Unit { name: format!("e{at}_{leg}"), phases: 1, power_va: power_va / 3.0, lead };
        add_unit(text, unit, sides, transformer)?;
    }
    Ok(())
}

/// A wye and a zigzag: on each leg of the core a coil of the one and two half coils of the other.
#[expect(clippy::too_many_arguments, reason = "what `add_transformer` has found out")]
fn add_zigzag(
    text: &mut String,
    network: &Network,
    at: usize,
    branch: &Branch,
    transformer: &Transformer,
    clock: u8,
    ratios: [f64; 2],
    stars: [usize; 2],
) -> anyhow::Result<()> {
    let (from, to) = (branch.sending_bus, branch.receiving_bus);
    // Phase 1 of the zigzag is the difference of two legs, in the order of the phases of the wye.
    let (plus, minus) = match clock {
        11 => (0, 1),
        1 => (0, 2),
        3 => (1, 2),
        5 => (1, 0),
        7 => (2, 0),
        9 => (2, 1),
        _ => bail!("{} has the clock number {clock}", branch.name),
    };
    // Where the two halves of a phase meet; beyond star points.
    let joint = |phase: usize| 100_000 + 3 * at + phase;
    for leg in 0..3 {
        let of = |first: usize| (3 + leg - first) % 3;
        let (whole, half) =
            (transformer.sending_voltage_v / 3f64.sqrt(), transformer.receiving_voltage_v / 3.0);
        let (outer, inner) = (of(plus), of(minus));
        let coils = [
            (format!("n{from}.{}.{}", leg + 1, stars[0]), whole, ratios[0]),
            (format!("n{to}.{}.{}", outer + 1, joint(outer)), half, ratios[1]),
            (format!("n{to}.{}.{}", stars[1], joint(inner)), half, ratios[1]),
        ];
        let sides =
            coils.map(|(bus, voltage_v, ratio)| Terminal { bus, connection: "wye", voltage_v, ratio });
        let power_va = transformer.rated_power_va / 3.0;
        let unit = Unit { name: format!("e{at}_{leg}"), phases: 1, power_va, lead: "lag" };
        add_unit(text, unit, sides.into(), transformer)?;
    }
    // What a unit of three windings would have at the last of them lies at the whole zigzag.
    let share = |percent: f64| transformer.rated_power_va * percent / 100.0;
    let volts = transformer.receiving_voltage_v * ratios[1];
    let ohm = |power: f64| volts * volts / power;
    let (loss_w, magnetising_var) =
        (share(transformer.no_load_loss_percent), share(transformer.magnetising_percent));
    for phase in 1..=3 {
        let ends = format!("phases=1 bus1=n{to}.{phase} bus2=n{to}.{}", stars[1]);
        if loss_w > 0.0 {
            writeln!(text, "New Reactor.g{at}_{phase} {ends} R={} X=0", ohm(loss_w))?;
        }
        if magnetising_var > 0.0 {
            writeln!(text, "New Reactor.b{at}_{phase} {ends} R=0 X={}", ohm(magnetising_var))?;
        }
    }
    ensure!(network.buses.len() < 10_000, "nodes have numbers up to 100,000");
    Ok(())
}

fn coil_nodes(network: &Network, bus: usize, coil: Coil) -> String {
    let to = coil.to.map_or_else(|| star(network, bus), |conductor| number(network, bus, conductor));
    format!("n{bus}.{}.{to}", number(network, bus, coil.from))
}

/// Writes the no-load losses of a wye-wye transformer that does not have them at the receiving side alone as resistors.
fn without_no_load(
    text: &mut String,
    network: &Network,
    at: usize,
    branch: &Branch,
    transformer: &Transformer,
    ratios: [f64; 2],
) -> anyhow::Result<Transformer> {
    let wye = Windings::Three { sending: Winding::Wye, receiving: Winding::Wye, clock: 0 };
    ensure!(
        transformer.windings == wye && transformer.magnetising_percent == 0.0,
        "{}: its no-load",
        branch.name
    );
    let loss_w = transformer.rated_power_va * transformer.no_load_loss_percent / 100.0;
    let share = transformer.no_load_sending_share;
    let sides = [
        (branch.sending_bus, transformer.sending_voltage_v * ratios[0], share),
        (branch.receiving_bus, transformer.receiving_voltage_v * ratios[1], 1.0 - share),
    ];
    for (bus, volts, share) in sides.into_iter().filter(|(.., share)| loss_w * share > 0.0) {
        let ohm = volts * volts / (loss_w * share);
        let star = star(network, bus);
        for phase in 1..=3 {
            writeln!(
                text,
                "New Reactor.g{at}_{bus}_{phase} phases=1 bus1=n{bus}.{phase} bus2=n{bus}.{star} R={ohm} X=0"
            )?;
        }
    }
    Ok(Transformer { no_load_loss_percent: 0.0, no_load_sending_share: 0.0, ..*transformer })
}

/// Phases, nodes, OpenDSS's word and nominal voltage of a connection.
fn connected(
    network: &Network,
    bus: usize,
    connection: Connection,
) -> anyhow::Result<(u8, String, &'static str, f64)> {
    let base_v = base_voltage(network, bus)?;
    let star = star(network, bus);
    let at = |conductor| number(network, bus, conductor);
    Ok(match connection {
        Connection::Wye => (3, format!("n{bus}.1.2.3.{star}"), "wye", base_v),
        Connection::Delta => (3, format!("n{bus}.1.2.3"), "delta", base_v),
        Connection::Phase(phase) => (1, format!("n{bus}.{}.{star}", at(phase)), "wye", base_v / 3f64.sqrt()),
        Connection::Between(from, to) => (1, format!("n{bus}.{}.{}", at(from), at(to)), "delta", base_v),
    })
}

fn add_capacitor(text: &mut String, network: &Network, at: usize, shunt: &Shunt) -> anyhow::Result<()> {
    ensure!(shunt.admittance_s.re == 0.0, "shunt {at} is no capacitor");
    let (phases, nodes, word, voltage_v) = connected(network, shunt.bus, shunt.connection)?;
    let per_side = shunt.admittance_s.im * voltage_v * voltage_v;
    let var = if shunt.connection == Connection::Delta { 3.0 * per_side } else { per_side };
    let (bus, kv, kvar) = (shunt.bus, voltage_v / 1e3, var / 1e3);
    let ends = match shunt.connection {
        Connection::Delta => format!("bus1={nodes} conn={word}"),
        Connection::Wye => {
            let star = star(network, bus);
            format!("bus1=n{bus}.1.2.3 bus2=n{bus}.{star}.{star}.{star}")
        }
        Connection::Phase(phase) => {
            format!("bus1=n{bus}.{} bus2=n{bus}.{}", number(network, bus, phase), star(network, bus))
        }
        Connection::Between(from, to) => {
            format!("bus1=n{bus}.{} bus2=n{bus}.{}", number(network, bus, from), number(network, bus, to))
        }
    };
    writeln!(text, "New Capacitor.c{at} phases={phases} {ends} kv={kv} kvar={kvar}")?;
    Ok(())
}

fn add_load(
    text: &mut String,
    network: &Network,
    at: usize,
    injection: &Injection,
    lowest: f64,
) -> anyhow::Result<()> {
    let (phases, nodes, word, voltage_v) = connected(network, injection.bus, injection.connection)?;
    let model = match injection.dependence {
        VoltageDependence::ConstantPower => "model=1".to_owned(),
        VoltageDependence::ConstantCurrent => "model=5".to_owned(),
        VoltageDependence::ConstantImpedance => "model=2".to_owned(),
        VoltageDependence::Zip { impedance, current, power } => {
            format!("model=8 zipv=[{impedance} {current} {power} {impedance} {current} {power} 0]")
        }
    };
    writeln!(
        text,
        "New Load.l{at} phases={phases} bus1={nodes} conn={word} kv={} kw={} kvar={} {model} vminpu={lowest} vmaxpu=100 \
         vlowpu=0",
        voltage_v / 1e3,
        -injection.real_power_w / 1e3,
        -injection.reactive_power_var / 1e3,
    )?;
    Ok(())
}
