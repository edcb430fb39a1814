//! Balanced networks before pandapower, which solves the positive sequence by Newton's method.

use super::TOLERANCE_PU;
use anyhow::Context;
use fastrand::Rng;
use gridloop_hil_tests::peers::Peer;
use gridloop_power_flow::{
    Branch, BuiltIn, Bus, Complex64, Connection, Element, Engine, Injection, Line, Network, Operation,
    SequenceValues, Source, TapRange, Transformer, VoltageDependence, Winding, Windings,
};
use serde_json::{Value, json};

const MEDIUM_V: f64 = 20_000.0;
const LOW_V: f64 = 400.0;
const STEP: f64 = 0.025;

/// The same network for both.
struct Case {
    network: Network,
    operation: Operation,
    question: Value,
}

/// Buses of medium voltage in a random tree with some rings, and low voltage behind transformers.
fn case(seed: u64) -> Case {
    let mut rng = Rng::with_seed(seed);
    let source_pu = 0.98 + 0.06 * rng.f64();
    let (mut network, mut operation) = (Network::default(), Operation::default());
    let (mut lines, mut transformers, mut loads) = (Vec::new(), Vec::new(), Vec::new());
    let medium = rng.usize(3..15);
    for bus in 0..medium {
        network.add_bus(Bus::three_phase(format!("m{bus}"), MEDIUM_V));
    }
    network.sources.push(Source::balanced(0, source_pu));
    let mut add_line = |network: &mut Network, rng: &mut Rng, from: usize, to: usize, ohm: f64| {
        let (r, x, b) = (ohm * (0.5 + rng.f64()), ohm * (0.5 + rng.f64()), 2e-6 * rng.f64());
        let line = Line::from_sequence(SequenceValues {
            r1_ohm: r,
            x1_ohm: x,
            r0_ohm: 3.0 * r,
            x0_ohm: 3.0 * x,
            b1_s: b,
            b0_s: b / 2.0,
        });
        lines.push(json!({"from": from, "to": to, "r": r, "x": x, "b": b}));
        add_branch(network, from, to, Element::Line(line));
    };
    for bus in 1..medium {
        let from = rng.usize(0..bus);
        add_line(&mut network, &mut rng, from, bus, 1.0);
    }
    for _ in 0..rng.usize(0..4) {
        let (from, to) = (rng.usize(0..medium), rng.usize(0..medium));
        if from != to {
            add_line(&mut network, &mut rng, from, to, 1.0);
        }
    }
    for _ in 0..rng.usize(1..5) {
        let from = rng.usize(0..medium);
        let to = network.add_bus(Bus::three_phase(format!("l{}", network.buses.len()), LOW_V));
        let unit = transformer(&mut rng, from, to);
        transformers.push(unit.1);
        add_branch(&mut network, from, to, Element::Transformer(unit.0));
        let end = network.add_bus(Bus::three_phase(format!("l{}", network.buses.len()), LOW_V));
        add_line(&mut network, &mut rng, to, end, 0.02);
    }
    for bus in 1..network.buses.len() {
        let most_w = if bus < medium { 400e3 } else { 60e3 };
        let (w, z, i) = ((rng.f64() * 1.5 - 1.0) * most_w, rng.f64() * 0.4, rng.f64() * 0.4);
        let var = w * (rng.f64() - 0.3);
        loads.push(json!({"bus": bus, "w": w, "var": var, "z": z, "i": i}));
        operation.injections.push(Injection {
            bus,
            connection: if rng.bool() { Connection::Wye } else { Connection::Delta },
            real_power_w: w,
            reactive_power_var: var,
            dependence: VoltageDependence::Zip { impedance: z, current: i, power: 1.0 - z - i },
        });
    }
    let buses: Vec<f64> = network.buses.iter().map(|bus| bus.base_voltage_v).collect();
    let question = json!({
        "buses": buses, "source_pu": source_pu, "lines": lines, "transformers": transformers, "loads": loads,
    });
    Case { network, operation, question }
}

fn add_branch(network: &mut Network, sending_bus: usize, receiving_bus: usize, element: Element) {
    let name = format!("e{}", network.branches.len());
    network.add_branch(Branch { name, sending_bus, receiving_bus, rated_current_a: None, element });
}

fn transformer(rng: &mut Rng, from: usize, to: usize) -> (Transformer, Value) {
    let (sending, receiving, clocks) = match rng.u8(0..4) {
        0 => (Winding::Wye, Winding::Wye, [0, 6]),
        1 => (Winding::Wye, Winding::Delta, [1, 5]),
        _ => (Winding::Delta, Winding::Wye, [5, 11]),
    };
    let clock = clocks[rng.usize(0..2)];
    let (r, x) = (0.5 + rng.f64(), 4.0 + 2.0 * rng.f64());
    let low = LOW_V * (1.0 + 0.05 * rng.f64());
    let position = rng.i32(-2..=2);
    let windings = Windings::Three { sending, receiving, clock };
    let mut unit = Transformer::three_phase(windings, [MEDIUM_V, low], 250e3, Complex64::new(r, x));
    unit.taps = Some(TapRange { lowest: -8, highest: 8, neutral: 0, step: STEP });
    unit.tap_position = position;
    let question = json!({
        "from": from, "to": to, "va": 250e3, "high": MEDIUM_V, "low": low, "r": r, "x": x, "clock": clock,
        "position": position, "step": STEP,
    });
    (unit, question)
}

#[tokio::test]
async fn balanced_networks_have_the_voltages_that_pandapower_finds() -> anyhow::Result<()> {
    let (mut peer, _) = Peer::start("power_flow_pandapower.py", &[]).await?;
    let cases: Vec<Case> = (0..60).map(case).collect();
    let questions: Vec<&Value> = cases.iter().map(|case| &case.question).collect();
    let answer = peer.ask("solve", json!({ "cases": questions })).await?;
    let mut worst = (0.0, String::new());
    for (number, case) in cases.iter().enumerate() {
        let mut engine = BuiltIn::new(&case.network)?;
        let solution = engine.solve(&case.operation)?;
        for (bus, info) in engine.topology().buses.iter().enumerate() {
            let expected = &answer["cases"][number][bus];
            let part = |at: usize| expected[at].as_f64().with_context(|| format!("case {number}, bus {bus}"));
            let expected = Complex64::from_polar(part(0)?, part(1)?.to_radians());
            for (phase, found) in solution.voltages_v[bus].iter().enumerate() {
                let turn = Complex64::from_polar(1.0, [0.0, -120.0, 120.0_f64][phase].to_radians());
                let found = found * 3f64.sqrt() / info.base_voltage_v;
                let difference = (found - expected * turn).norm();
                // Rather this way round, so that no number fails.
                if difference.is_nan() || difference > worst.0 {
                    worst =
                        (difference, format!("case {number}, {}: {found}, expected {expected}", info.name));
                }
            }
        }
    }
    println!("{} networks: at most {:.1e} pu apart, in {}", cases.len(), worst.0, worst.1);
    assert!(worst.0 < TOLERANCE_PU, "{:.2e} pu apart: {}", worst.0, worst.1);
    Ok(())
}
