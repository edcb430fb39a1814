//! Solutions of a network, each with other loads. The floor is OpenDSS, which solves the same network in its own loop:
//! the time is that of its calls, without the way to Python. Ours ends when no voltage moves by 1e-9 and every bus
//! balances to 1e-10 of the base power, OpenDSS at a tolerance of 1e-8.

use crate::figure::{Figure, alternate, per_second};
use anyhow::Context;
use gridloop_clock::SharedClock;
use gridloop_hil_tests::opendss;
use gridloop_hil_tests::peers::Peer;
use gridloop_power_flow::samples::{Recipe, grid_scenario, network};
use gridloop_power_flow::{
    BuiltIn, Complex64, Connection, Engine, Injection, Network, Operation, VoltageDependence, Wires,
};
use serde_json::json;
use tokio::sync::Mutex;

/// Before the number of nodes; 12 are the buses of the grid scenario.
pub(crate) const POWER_FLOW: &str = "power_flow_per_s_";

/// Nodes, and solutions of a block.
const SIZES: [(usize, u32); 3] = [(12, 2000), (123, 500), (8500, 10)];
const SEED: u64 = 8500;

pub(crate) fn names() -> impl Iterator<Item = String> {
    SIZES.into_iter().map(|(nodes, _)| format!("{POWER_FLOW}{nodes}"))
}

pub(crate) async fn measure(name: &str, clock: &SharedClock) -> anyhow::Result<Figure> {
    let nodes: usize = name.strip_prefix(POWER_FLOW).context("no such figure")?.parse()?;
    let solutions = SIZES.into_iter().find(|size| size.0 == nodes).context("no such figure")?.1;
    let (network, operation) = if nodes == 12 { scenario()? } else { feeder(nodes) };
    let mut engine = BuiltIn::new(&network)?;
    let (mut peer, _) = Peer::start("power_flow_opendss.py", &[]).await?;
    peer.ask("load", json!({ "script": opendss::script(&network, &operation)? })).await?;
    let peer = Mutex::new(peer);
    let work = async || {
        let began = clock.now();
        tokio::task::block_in_place(|| {
            (0..solutions).try_for_each(|turn| solve(&mut engine, &operation, turn))
        })?;
        Ok(per_second(solutions, clock.now().since(began)))
    };
    let question = json!({ "solutions": solutions, "tolerance": 1e-8 });
    let floor = async || {
        let answer = peer.lock().await.ask("timed", question.clone()).await?;
        answer["per_second"].as_f64().context("OpenDSS does not say how many")
    };
    alternate(name, "solutions/s", work, floor).await
}

/// One solution of the scenario's network by the built-in solver, on average.
pub(crate) fn solution_us(clock: &SharedClock) -> anyhow::Result<f64> {
    let (network, operation) = scenario()?;
    let mut engine = BuiltIn::new(&network)?;
    let solutions = SIZES[0].1;
    let began = clock.now();
    (0..solutions).try_for_each(|turn| solve(&mut engine, &operation, turn))?;
    Ok(clock.now().since(began).as_secs_f64() * 1e6 / f64::from(solutions))
}

/// The loads go from 90 % to 110 % in seven steps, on both sides.
fn solve(engine: &mut BuiltIn, operation: &Operation, turn: u32) -> anyhow::Result<()> {
    let factor = 1.0 + 0.1 * (f64::from(turn % 7) - 3.0) / 3.0;
    let mut operation = operation.clone();
    for injection in &mut operation.injections {
        injection.real_power_w *= factor;
        injection.reactive_power_var *= factor;
    }
    engine.solve(&operation)?;
    Ok(())
}

fn scenario() -> anyhow::Result<(Network, Operation)> {
    let network = Network::from_per_unit(&grid_scenario(Wires::default()))?;
    let load = |(bus, power): (usize, Complex64)| Injection {
        bus,
        connection: Connection::Wye,
        real_power_w: power.re,
        reactive_power_var: power.im,
        dependence: VoltageDependence::ConstantPower,
    };
    let loads = [(5, -3e3), (7, -2.5e3), (7, 6e3), (10, -4e3), (11, -2e3)];
    let injections = loads.map(|(bus, w)| load((bus, Complex64::new(w, w * 0.2)))).to_vec();
    Ok((network, Operation { injections, ..Operation::default() }))
}

/// A random feeder of at least so many nodes.
fn feeder(nodes: usize) -> (Network, Operation) {
    let mut buses = nodes / 4;
    loop {
        let recipe = Recipe { buses, constant_power: true, ..Recipe::default() };
        let made = network(SEED, recipe);
        let count: usize = made.0.buses.iter().map(|bus| bus.conductors.len()).sum();
        if count >= nodes {
            return made;
        }
        buses += (nodes - count).div_ceil(3);
    }
}
