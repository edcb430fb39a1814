//! Networks in TOML before OpenDSS, which has each of them in its own words, written by hand.

use super::{TOLERANCE_PU, complex};
use anyhow::{Context, ensure};
use gridloop_grid::{NetworkDescription, load_network};
use gridloop_hil_tests::peers::Peer;
use gridloop_power_flow::{BuiltIn, Conductor, Connection, Engine, Injection, Operation, VoltageDependence};
use serde_json::json;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// A load in the words of both.
struct Load {
    bus: &'static str,
    connection: Connection,
    /// Its words for where it is, and its nominal voltage in kV.
    opendss: (&'static str, f64),
    kw: f64,
    kvar: f64,
}

/// A load of no power.
const fn load(bus: &'static str, connection: Connection, opendss: (&'static str, f64)) -> Load {
    Load { bus, connection, opendss, kw: 0.0, kvar: 0.0 }
}

const PHASE_KV: f64 = 0.230_940_107_675_850_3;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn description(name: &str) -> anyhow::Result<NetworkDescription> {
    load_network(&path(name)).map_err(|errors| anyhow::anyhow!("{errors}"))
}

/// The loads with powers drawn from a seed.
fn drawn(loads: Vec<Load>, seed: u64, most_kw: f64) -> Vec<Load> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let draw = |load: Load| {
        let kw = most_kw * (rng.f64() * 1.4 - 0.4);
        Load { kw, kvar: kw * 0.4 * rng.f64(), ..load }
    };
    loads.into_iter().map(draw).collect()
}

fn operation(engine: &BuiltIn, loads: &[Load]) -> anyhow::Result<Operation> {
    let mut operation = Operation::default();
    for load in loads {
        operation.injections.push(Injection {
            bus: engine.topology().bus(load.bus).with_context(|| format!("no bus {}", load.bus))?,
            connection: load.connection,
            real_power_w: -load.kw * 1e3,
            reactive_power_var: -load.kvar * 1e3,
            dependence: VoltageDependence::ConstantPower,
        });
    }
    Ok(operation)
}

fn in_opendss(loads: &[Load]) -> anyhow::Result<String> {
    let mut text = String::new();
    for (at, load) in loads.iter().enumerate() {
        let (words, kv) = load.opendss;
        let (kw, kvar) = (load.kw, load.kvar);
        writeln!(text, "New Load.l{at} {words} kv={kv} kw={kw} kvar={kvar} model=1 vminpu=0.001 vmaxpu=100")?;
    }
    Ok(text)
}

/// Solves each case with both, and tells the largest difference of a voltage as a part of the nominal one.
async fn judged(network: &str, model: &str, cases: Vec<(i32, &str, Vec<Load>)>) -> anyhow::Result<()> {
    let description = description(network)?;
    let mut engine = BuiltIn::new(&description.to_network()?)?;
    let model = std::fs::read_to_string(path(model))?;
    let scripts = cases
        .iter()
        .map(|(_, tap, loads)| Ok(model.replace("{tap}", tap).replace("{loads}", &in_opendss(loads)?)));
    let scripts = scripts.collect::<anyhow::Result<Vec<_>>>()?;
    let (mut peer, _) = Peer::start("power_flow_opendss.py", &[]).await?;
    let answer = peer.ask("solve", json!({ "scripts": scripts })).await?;
    let mut worst = (0.0, String::new());
    for (number, (position, tap, loads)) in cases.iter().enumerate() {
        let mut operation = operation(&engine, loads)?;
        if !tap.is_empty() {
            let branch = engine.topology().branch("T1").context("no T1")?;
            operation.tap_positions.insert(branch, *position);
        }
        let solution = engine.solve(&operation)?;
        let theirs = &answer["cases"][number]["voltages"];
        for (bus, info) in engine.topology().buses.iter().enumerate() {
            for conductor in &info.conductors {
                let node = match conductor {
                    Conductor::Phase1 => 1,
                    Conductor::Phase2 => 2,
                    Conductor::Phase3 => 3,
                    Conductor::Neutral => 4,
                };
                let node = format!("{}.{node}", info.name);
                let expected =
                    complex(&theirs[&node]).with_context(|| format!("case {number}: no {node}"))?;
                let found = solution.voltage(engine.topology(), bus, *conductor).context("a voltage")?;
                let difference = (found - expected).norm() * 3f64.sqrt() / info.base_voltage_v;
                ensure!(difference.is_finite(), "case {number}: {node} is {found}");
                if difference > worst.0 {
                    worst = (difference, format!("case {number}, {node}: {found} V, not {expected} V"));
                }
            }
        }
    }
    println!("{network}: {} cases, at most {:.1e} pu apart, in {}", cases.len(), worst.0, worst.1);
    assert!(worst.0 < TOLERANCE_PU, "{:.2e} pu apart: {}", worst.0, worst.1);
    Ok(())
}

#[tokio::test]
async fn the_village_of_the_examples_has_the_voltages_that_opendss_finds() -> anyhow::Result<()> {
    use Conductor::{Phase1, Phase2, Phase3};
    let loads = || {
        vec![
            load("square", Connection::Wye, ("phases=3 bus1=square.1.2.3.4 conn=wye", 0.4)),
            load("square", Connection::Phase(Phase2), ("phases=1 bus1=square.2.4", PHASE_KV)),
            load("mill", Connection::Phase(Phase2), ("phases=1 bus1=mill.2.4", PHASE_KV)),
            load("mill", Connection::Delta, ("phases=3 bus1=mill.1.2.3 conn=delta", 0.4)),
            load("farm", Connection::Phase(Phase3), ("phases=1 bus1=farm.3.4", PHASE_KV)),
            load("farm", Connection::Between(Phase1, Phase2), ("phases=1 bus1=farm.1.2 conn=delta", 0.4)),
            load("cottage", Connection::Phase(Phase1), ("phases=1 bus1=cottage.1.4", PHASE_KV)),
        ]
    };
    let positions = [(1, "1.05"), (2, "1.025"), (3, "1"), (4, "0.975"), (5, "0.95")].into_iter();
    let cases = (0..50).zip(positions.cycle());
    let cases = cases.map(|(seed, (position, tap))| (position, tap, drawn(loads(), seed, 9.0)));
    let (network, model) = ("../configs/examples/networks/village-20kv.toml", "peers/data/village-20kv.dss");
    judged(network, model, cases.collect()).await
}

#[tokio::test]
async fn zero_sequence_in_three_wires_has_the_voltages_that_opendss_finds() -> anyhow::Result<()> {
    use Conductor::{Phase1, Phase2, Phase3};
    let loads = || {
        vec![
            load("five", Connection::Phase(Phase3), ("phases=1 bus1=five.3.0", PHASE_KV)),
            load("end", Connection::Phase(Phase1), ("phases=1 bus1=end.1.0", PHASE_KV)),
            load("end", Connection::Phase(Phase2), ("phases=1 bus1=end.2.0", PHASE_KV)),
            load("end", Connection::Wye, ("phases=3 bus1=end.1.2.3.0 conn=wye", 0.4)),
            load("works", Connection::Delta, ("phases=3 bus1=works.1.2.3 conn=delta", 6.0)),
            load("works", Connection::Between(Phase2, Phase3), ("phases=1 bus1=works.2.3 conn=delta", 6.0)),
            load("station", Connection::Phase(Phase1), ("phases=1 bus1=station.1.0", 20.0 / 3f64.sqrt())),
        ]
    };
    let cases = (0..30).map(|seed| (0, "", drawn(loads(), seed, 40.0)));
    judged("peers/data/earthed-20kv.toml", "peers/data/earthed-20kv.dss", cases.collect()).await
}
