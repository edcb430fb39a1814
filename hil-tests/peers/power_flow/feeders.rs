//! The 13-bus and the 34-bus feeder of the IEEE before OpenDSS, which also says what they are made of: every line,
//! transformer and capacitor comes over as its primitive matrix, loads and the source become our own.

use super::{TOLERANCE_PU, complex};
use anyhow::{Context, bail, ensure};
use gridloop_hil_tests::peers::Peer;
use gridloop_power_flow::{
    AdmittanceBranch, Branch, BuiltIn, Bus, Complex64, Conductor, Connection, Element, Engine, Injection,
    Network, Operation, SequenceImpedance, Source, VoltageDependence,
};
use serde_json::{Value, json};

const FEEDERS: [&str; 2] = ["ieee13.dss", "ieee34.dss"];

fn text(value: &Value) -> anyhow::Result<&str> {
    value.as_str().with_context(|| format!("{value} is no text"))
}

fn number(value: &Value) -> anyhow::Result<f64> {
    value.as_f64().with_context(|| format!("{value} is no number"))
}

fn list(value: &Value) -> anyhow::Result<&Vec<Value>> {
    value.as_array().with_context(|| format!("{value} is no list"))
}

fn phase(node: &Value) -> Option<Conductor> {
    Conductor::phase(u8::try_from(node.as_u64()?).ok()?)
}

/// A feeder as OpenDSS described it.
fn taken_over(feeder: &Value) -> anyhow::Result<(Network, Operation)> {
    let mut network = Network { base_power_va: Some(1e6), ..Network::default() };
    for node in list(&feeder["nodes"])? {
        let (name, node) = text(node)?.split_once('.').context("a node has a bus")?;
        let conductor = Conductor::phase(node.parse()?).context("a node is a phase")?;
        let at = match network.bus(name) {
            Some(at) => at,
            None => {
                let mut bus = Bus::three_phase(name, number(&feeder["bases_kv"][name])? * 1e3);
                bus.conductors.clear();
                network.add_bus(bus)
            }
        };
        network.buses[at].conductors.push(conductor);
    }
    let bus = |name: &Value| network.bus(text(name)?).with_context(|| format!("no bus {name}"));
    let mut branches = Vec::new();
    for element in list(&feeder["deliveries"])? {
        branches.push(branch(element, &bus)?);
    }
    let source = &feeder["source"];
    let at = bus(&source["bus"])?;
    let magnitude = number(&source["pu"])? * number(&source["kv"])? * 1e3 / network.buses[at].base_voltage_v;
    let angle = number(&source["angle"])?;
    let source = Source {
        angle_deg: [angle, angle - 120.0, angle + 120.0],
        impedance: Some(SequenceImpedance {
            positive_ohm: complex(&source["positive"]).context("an impedance")?,
            zero_ohm: complex(&source["zero"]).context("an impedance")?,
        }),
        ..Source::balanced(at, magnitude)
    };
    let mut operation = Operation::default();
    for one in list(&feeder["loads"])? {
        let at = bus(&one["bus"])?;
        operation.injections.push(load(one, at, network.buses[at].base_voltage_v)?);
    }
    network.branches = branches;
    network.sources.push(source);
    Ok((network, operation))
}

fn branch(element: &Value, bus: &impl Fn(&Value) -> anyhow::Result<usize>) -> anyhow::Result<Branch> {
    let terminals = list(&element["terminals"])?;
    let kept: Vec<usize> = (0..terminals.len()).filter(|at| phase(&terminals[*at][1]).is_some()).collect();
    let first = &terminals[0][0];
    let other = terminals.iter().map(|terminal| &terminal[0]).find(|name| *name != first).unwrap_or(first);
    let side = |name: &Value| {
        kept.iter()
            .filter(|at| terminals[**at][0] == *name)
            .filter_map(|at| phase(&terminals[*at][1]))
            .collect()
    };
    let receiving = if other == first { Vec::new() } else { side(other) };
    let entry = |row: usize, column: usize| complex(&element["y"][row][column]).context("an admittance");
    let admittance_s = kept.iter().map(|row| kept.iter().map(|column| entry(*row, *column)).collect());
    Ok(Branch {
        name: text(&element["name"])?.to_owned(),
        sending_bus: bus(first)?,
        receiving_bus: bus(other)?,
        rated_current_a: None,
        element: Element::Admittance(AdmittanceBranch {
            sending: side(first),
            receiving,
            admittance_s: admittance_s.collect::<anyhow::Result<_>>()?,
        }),
    })
}

/// A load whose nominal voltage is not quite that of its bus is another one there.
fn load(one: &Value, bus: usize, base_voltage_v: f64) -> anyhow::Result<Injection> {
    let nodes = list(&one["nodes"])?;
    let delta = one["delta"] == true;
    let three = one["phases"] == 3;
    let nominal_v = if three || delta { base_voltage_v } else { base_voltage_v / 3f64.sqrt() };
    let ratio = nominal_v / (number(&one["kv"])? * 1e3);
    let (dependence, factor) = match one["model"].as_u64() {
        Some(1) => (VoltageDependence::ConstantPower, 1.0),
        Some(2) => (VoltageDependence::ConstantImpedance, ratio * ratio),
        Some(5) => (VoltageDependence::ConstantCurrent, ratio),
        model => bail!("a load of model {model:?}"),
    };
    let at = |number: usize| nodes.get(number).and_then(phase).context("a phase");
    let connection = match (three, delta) {
        (true, true) => Connection::Delta,
        (true, false) => Connection::Wye,
        (false, true) => Connection::Between(at(0)?, at(1)?),
        (false, false) => Connection::Phase(at(0)?),
    };
    Ok(Injection {
        bus,
        connection,
        real_power_w: -number(&one["kw"])? * 1e3 * factor,
        reactive_power_var: -number(&one["kvar"])? * 1e3 * factor,
        dependence,
    })
}

#[tokio::test]
async fn the_ieee_feeders_have_the_voltages_that_opendss_finds() -> anyhow::Result<()> {
    let (mut peer, _) = Peer::start("power_flow_opendss.py", &[]).await?;
    for name in FEEDERS {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/data/").to_owned() + name;
        let script = std::fs::read_to_string(path)?;
        let feeder = peer.ask("elements", json!({ "script": script })).await?;
        let (network, operation) = taken_over(&feeder)?;
        let mut engine = BuiltIn::new(&network)?;
        let solution = engine.solve(&operation)?;
        let (mut worst, mut nodes) = ((0.0, String::new()), 0);
        for (bus, info) in engine.topology().buses.iter().enumerate() {
            for (at, conductor) in info.conductors.iter().enumerate() {
                let number =
                    Conductor::PHASES.iter().position(|one| one == conductor).context("a phase")? + 1;
                let node = format!("{}.{number}", info.name);
                let expected = complex(&feeder["voltages"][&node]).with_context(|| format!("no {node}"))?;
                let found: Complex64 = solution.voltages_v[bus][at];
                let difference = (found - expected).norm() * 3f64.sqrt() / info.base_voltage_v;
                ensure!(difference.is_finite(), "{name}: {node} is {found}");
                nodes += 1;
                if difference > worst.0 {
                    worst = (difference, format!("{node}: {found} V, OpenDSS has {expected} V"));
                }
            }
        }
        println!("{name}: {nodes} nodes, at most {:.1e} pu apart, {}", worst.0, worst.1);
        assert!(worst.0 < TOLERANCE_PU, "{name}: {:.2e} pu apart: {}", worst.0, worst.1);
    }
    Ok(())
}
