//! The built-in power flow before foreign judges: OpenDSS, which gets every network as a script of its own elements, and
//! pandapower, for balanced networks.

mod feeders;
mod network_files;
mod pandapower;
mod random_networks;
mod scenario;

use anyhow::{Context, ensure};
use gridloop_hil_tests::opendss;
use gridloop_hil_tests::peers::Peer;
use gridloop_power_flow::{BuiltIn, Complex64, Engine, Network, Operation};
use serde_json::{Value, json};

/// How far two voltages may be apart, as a part of the nominal one.
const TOLERANCE_PU: f64 = 1e-6;

/// Solves each case with OpenDSS and with the built-in engine; the largest difference of a voltage, as a part of the
/// nominal one, and where it is.
async fn largest_difference(cases: &[(Network, Operation)]) -> anyhow::Result<(f64, String)> {
    let (mut peer, _) = Peer::start("power_flow_opendss.py", &[]).await?;
    let scripts = cases.iter().map(|(network, operation)| opendss::script(network, operation));
    let scripts = scripts.collect::<anyhow::Result<Vec<_>>>()?;
    let answer = peer.ask("solve", json!({ "scripts": scripts })).await?;
    let mut worst = (0.0, String::new());
    for (number, (network, operation)) in cases.iter().enumerate() {
        let mut engine = BuiltIn::new(network)?;
        let solution = engine.solve(operation).with_context(|| format!("case {number}"))?;
        let sources = complex(&answer["cases"][number]["sources_va"]).context("no power of the sources")?;
        // OpenDSS computes this power over an impedance of next to nothing.
        let apart = (solution.source_power_va - sources).norm();
        ensure!(
            apart < 1e-4 * sources.norm().max(2e5),
            "case {number}: {} VA, not {sources}",
            solution.source_power_va
        );
        let theirs = &answer["cases"][number]["voltages"];
        for (bus, info) in engine.topology().buses.iter().enumerate() {
            for (at, conductor) in info.conductors.iter().enumerate() {
                let Some(node) = opendss::node(network, bus, *conductor) else { continue };
                let found = solution.voltages_v[bus][at];
                let expected =
                    complex(&theirs[&node]).with_context(|| format!("case {number}: no {node}"))?;
                let difference = (found - expected).norm() * 3f64.sqrt() / info.base_voltage_v;
                ensure!(difference.is_finite(), "case {number}: {node} is {found}, expected {expected}");
                if difference > worst.0 {
                    worst =
                        (difference, format!("case {number}, {node}: {found} V, OpenDSS has {expected} V"));
                }
            }
        }
    }
    Ok(worst)
}

fn complex(pair: &Value) -> Option<Complex64> {
    Some(Complex64::new(pair[0].as_f64()?, pair[1].as_f64()?))
}
