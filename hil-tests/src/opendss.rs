//! A [`Network`] and an [`Operation`] as a script for OpenDSS: [`script`]. Each element becomes the one that OpenDSS has for
//! it, so that its own models judge ours.
//!
//! Buses are `n0`, `n1`, ... by their numbers, neutrals are node 4 (0 where they are earthed solidly). Loads keep their
//! model at any voltage, transformers have taps but no controls, and the solution is iterated to the end.

use anyhow::{Context, bail, ensure};
use gridloop_power_flow::{
    Branch, Coil, Complex64, Conductor, Connection, Element, Injection, Line, Network, Operation, Shunt,
    Source, Transformer, VoltageDependence, Winding, Windings,
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
struct Side<'a> {
    bus: String,
    connection: &'a str,
    voltage_v: f64,
}

/// A transformer of a script, without its windings.
struct Unit<'a> {
    name: String,
    phases: u8,
    power_va: f64,
    /// At the tap where it stands.
    ratio: f64,
    /// Whether the low voltage leads or lags.
    lead: &'a str,
}

fn add_unit(
    text: &mut String,
    unit: Unit<'_>,
    sides: [Side<'_>; 2],
    transformer: &Transformer,
) -> anyhow::Result<()> {
    let Unit { name, phases, power_va, ratio, lead } = unit;
    let half = transformer.resistance_percent / 2.0;
    let [from, to] = sides;
    write!(
        text,
        "New Transformer.{name} phases={phases} windings=2 xhl={} %Rs=[{half} {half}] leadlag={lead}",
        transformer.reactance_percent
    )?;
    let kva = power_va / 1e3;
    for (winding, side) in [(1, from), (2, to)] {
        let Side { bus, connection, voltage_v } = side;
        let kv = voltage_v / 1e3;
        write!(text, " wdg={winding} bus={bus} conn={connection} kv={kv} kva={kva}")?;
    }
    let (loss, magnetising) = (transformer.no_load_loss_percent, transformer.magnetising_percent);
    writeln!(text, " wdg=2 mintap=0.1 maxtap=3 tap={ratio} %noloadloss={loss} %imag={magnetising}")?;
    Ok(())
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
    let bare = match transformer.no_load_sending_share {
        0.0 => *transformer,
        _ => without_no_load(text, network, at, branch, transformer, ratio)?,
    };
    let transformer = &bare;
    let voltages = [transformer.sending_voltage_v, transformer.receiving_voltage_v];
    let (from, to) = (branch.sending_bus, branch.receiving_bus);
    let (sending, receiving, clock) = match transformer.windings {
        Windings::Single { sending, receiving } => {
            let sides = [(from, sending, voltages[0]), (to, receiving, voltages[1])];
            let sides = sides.map(|(bus, coil, voltage_v)| Side {
                bus: coil_nodes(network, bus, coil),
                connection: "wye",
                voltage_v,
            });
            let power_va = transformer.rated_power_va;
            let unit = Unit { name: format!("e{at}"), phases: 1, power_va, ratio, lead: "lag" };
            return add_unit(text, unit, sides, transformer);
        }
        Windings::Three { sending, receiving, clock } => (sending, receiving, clock),
    };
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
    let star_of = |bus, winding| match winding {
        Winding::Wye => format!(".{}", star(network, bus)),
        Winding::Delta => String::new(),
    };
    let word = |winding| if winding == Winding::Wye { "wye" } else { "delta" };
    if !turned {
        let [a, b, c] = legs;
        let sides = [
            Side {
                bus: format!("n{from}.1.2.3{}", star_of(from, sending)),
                connection: word(sending),
                voltage_v: voltages[0],
            },
            Side {
                bus: format!("n{to}.{a}.{b}.{c}{}", star_of(to, receiving)),
                connection: word(receiving),
                voltage_v: voltages[1],
            },
        ];
        let power_va = transformer.rated_power_va;
        let unit = Unit { name: format!("e{at}"), phases: 3, power_va, ratio, lead };
        return add_unit(text, unit, sides, transformer);
    }
    // OpenDSS cannot turn the coils of a winding of three phases round; three units of one phase can.
    for leg in 0..3 {
        let (own, next) = (legs[leg], legs[(leg + 1) % 3]);
        let (from_other, to_other, root) = match sending {
            Winding::Wye => (star(network, from), star(network, to), 3f64.sqrt()),
            Winding::Delta => ((u8::try_from(leg)? + 1) % 3 + 1, next, 1.0),
        };
        let sides = [
            Side {
                bus: format!("n{from}.{}.{from_other}", leg + 1),
                connection: word(sending),
                voltage_v: voltages[0] / root,
            },
            Side {
                bus: format!("n{to}.{to_other}.{own}"),
                connection: word(receiving),
                voltage_v: voltages[1] / root,
            },
        ];
        let power_va = transformer.rated_power_va / 3.0;
        let unit = Unit { name: format!("e{at}_{leg}"), phases: 1, power_va, ratio, lead };
        add_unit(text, unit, sides, transformer)?;
    }
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
    ratio: f64,
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
        (branch.sending_bus, transformer.sending_voltage_v, share),
        (branch.receiving_bus, transformer.receiving_voltage_v * ratio, 1.0 - share),
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
