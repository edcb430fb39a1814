//! OpenDSS as an engine of gridloop, and the built-in one, on the same network: the engine that calls the library directly
//! must say what the built-in engine says of every bus and branch.

use anyhow::{Context, ensure};
use gridloop_hil_tests::opendss::script;
use gridloop_hil_tests::peers::python;
use gridloop_opendss::{OpenDss, OpenDssSettings};
use gridloop_power_flow::samples::grid_scenario;
use gridloop_power_flow::{
    BuiltIn, Complex64, Conductor, Connection, Engine, Injection, Network, Operation, SolveError, TapRange,
    VoltageDependence, Wires,
};
use std::path::PathBuf;

/// The folder with the library in the environment of the Python peers.
fn library() -> anyhow::Result<PathBuf> {
    let lib = python()?.with_file_name("").join("../lib");
    let pythons = std::fs::read_dir(&lib).with_context(|| lib.display().to_string())?;
    let folders =
        pythons.filter_map(Result::ok).map(|it| it.path().join("site-packages/dss_python_backend.libs"));
    folders.into_iter().find(|path| path.is_dir()).context("dss_python_backend is not installed")
}

fn network() -> anyhow::Result<Network> {
    let mut data = grid_scenario(Wires::NeutralEarthedEverywhere);
    // The script makes an element of its own of a shunt, whose current OpenDSS does not count for the branch.
    data.branches[0].shunt_conductance_pu = 0.0;
    data.branches[0].taps = Some(TapRange { lowest: -4, highest: 4, neutral: 0, step: 0.025 });
    Ok(Network::from_per_unit(&data)?)
}

fn injection(bus: usize, connection: Connection, kw: f64, dependence: VoltageDependence) -> Injection {
    Injection { bus, connection, real_power_w: kw * 1e3, reactive_power_var: kw * 200.0, dependence }
}

fn operation(kw: f64) -> Operation {
    let zip = VoltageDependence::Zip { impedance: 0.5, current: 0.3, power: 0.2 };
    let injections = vec![
        injection(7, Connection::Wye, kw, VoltageDependence::ConstantPower),
        injection(5, Connection::Phase(Conductor::Phase1), 1.5, VoltageDependence::ConstantPower),
        injection(10, Connection::Phase(Conductor::Phase2), -3.0, VoltageDependence::ConstantCurrent),
        injection(10, Connection::Delta, -1.0, VoltageDependence::ConstantImpedance),
        injection(11, Connection::Wye, -2.0, zip),
    ];
    Operation { injections, ..Operation::default() }
}

/// In the script buses and branches have their numbers for names.
fn engines(folder: &tempfile::TempDir) -> anyhow::Result<(BuiltIn, OpenDss)> {
    let network = network()?;
    let model = folder.path().join("feeder.dss");
    let taps = "Edit Transformer.e0 wdg=2 numtaps=8 mintap=0.9 maxtap=1.1\n";
    std::fs::write(&model, script(&network, &Operation::default())? + taps)?;
    let settings = OpenDssSettings { library: Some(library()?), model, controls: false };
    Ok((BuiltIn::new(&network)?, OpenDss::open(&settings)?))
}

/// The greatest difference of a voltage, in per unit, and of a current, in A.
fn differences(
    ours: &mut BuiltIn,
    theirs: &mut OpenDss,
    operation: &Operation,
) -> anyhow::Result<(f64, f64)> {
    let (mine, other) = (ours.solve(operation)?, theirs.solve(operation)?);
    let (topology, foreign) = (ours.topology(), theirs.topology());
    let (mut voltage_pu, mut current_a) = (0.0_f64, 0.0_f64);
    for (bus, info) in topology.buses.iter().enumerate() {
        let at = foreign.bus(&format!("n{bus}")).with_context(|| info.name.clone())?;
        ensure!(foreign.buses[at].conductors == info.conductors, "{}", info.name);
        for (one, another) in mine.voltages_v[bus].iter().zip(&other.voltages_v[at]) {
            voltage_pu = voltage_pu.max((one - another).norm() * 3f64.sqrt() / info.base_voltage_v);
        }
    }
    for (branch, info) in topology.branches.iter().enumerate() {
        let at = foreign.branch(&format!("e{branch}")).with_context(|| info.name.clone())?;
        for (one, another) in mine.branches[branch].conductors.iter().zip(&other.branches[at].conductors) {
            let apart = |a: Complex64, b: Complex64| (a - b).norm();
            current_a = current_a.max(apart(one.sending_a, another.sending_a));
            current_a = current_a.max(apart(one.receiving_a, another.receiving_a));
        }
    }
    Ok((voltage_pu, current_a))
}

#[test]
fn both_engines_find_the_same_voltages_and_currents_whatever_was_solved_before() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut ours, mut theirs) = engines(&folder)?;
    let tap = ours.topology().branch("T1").context("no T1")?;
    ensure!(theirs.topology().branch("e0") == Some(tap), "T1 has another number in OpenDSS");
    let mut moved = operation(8.0);
    moved.tap_positions.insert(tap, -2);
    moved.source_voltage_pu = Some(0.99);
    let mut fewer = operation(-1.0);
    fewer.injections.truncate(2);
    // The last is the first again: neither taps, nor the source, nor loads stay from what came between.
    for (number, operation) in [operation(8.0), moved, fewer, operation(8.0)].iter().enumerate() {
        let (voltage_pu, current_a) = differences(&mut ours, &mut theirs, operation)?;
        ensure!(voltage_pu < 1e-6, "operation {number}: {voltage_pu:.1e} pu apart");
        ensure!(current_a < 1e-3, "operation {number}: {current_a:.1e} A apart");
    }
    Ok(())
}

#[test]
fn what_opendss_cannot_solve_or_does_not_have_is_an_error_that_names_the_place() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (_, mut theirs) = engines(&folder)?;
    let too_much = theirs.solve(&operation(-500.0)).unwrap_err();
    assert!(too_much.to_string().contains("did not converge"), "{too_much}");
    let nowhere = Operation {
        injections: vec![injection(99, Connection::Wye, 1.0, VoltageDependence::ConstantPower)],
        ..Operation::default()
    };
    assert!(matches!(theirs.solve(&nowhere), Err(SolveError::Injection { index: 0, .. })));
    let beyond = Operation { tap_positions: [(0, 99)].into(), ..Operation::default() };
    assert!(matches!(theirs.solve(&beyond), Err(SolveError::TapPosition { position: 99, .. })));
    let wrong = folder.path().join("wrong.dss");
    std::fs::write(&wrong, "Clear\nNew Circuit.x basekv=0.4 bus1=s\nNew Line.l bus1=s bus2=b phazes=3\n")?;
    let settings = OpenDssSettings { library: Some(library()?), model: wrong, controls: false };
    let refused = OpenDss::open(&settings).map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("phazes") && refused.contains("line: 3"), "{refused}");
    Ok(())
}
