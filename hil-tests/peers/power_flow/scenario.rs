//! The network of the grid scenario before OpenDSS, under many loads.

use super::{TOLERANCE_PU, largest_difference};
use gridloop_power_flow::samples::grid_scenario;
use gridloop_power_flow::{
    Conductor, Connection, Injection, Network, Operation, PerUnitNetwork, TapRange, VoltageDependence, Wires,
};

/// Buses with customers.
const CUSTOMERS: [usize; 4] = [5, 7, 10, 11];

fn loads(seed: u64) -> Operation {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut operation =
        Operation { source_voltage_pu: Some(0.98 + 0.06 * rng.f64()), ..Operation::default() };
    for bus in CUSTOMERS {
        for _ in 0..rng.usize(1..4) {
            let connection = match rng.usize(0..6) {
                0 => Connection::Phase(Conductor::Phase1),
                1 => Connection::Phase(Conductor::Phase2),
                2 => Connection::Phase(Conductor::Phase3),
                3 => Connection::Delta,
                _ => Connection::Wye,
            };
            let real_power_w = 5e3 * (rng.f64() * 1.6 - 1.0);
            operation.injections.push(Injection {
                bus,
                connection,
                real_power_w,
                reactive_power_var: real_power_w * 0.5 * (rng.f64() - 0.3),
                dependence: VoltageDependence::ConstantPower,
            });
        }
    }
    operation
}

#[tokio::test]
async fn the_grid_scenario_has_the_voltages_that_opendss_finds() -> anyhow::Result<()> {
    let mut cases = Vec::new();
    for wires in [Wires::NeutralEarthedEverywhere, Wires::FourWire] {
        let network = Network::from_per_unit(&grid_scenario(wires))?;
        cases.extend((0..40).map(|seed| (network.clone(), loads(seed))));
    }
    let mut data: PerUnitNetwork = grid_scenario(Wires::NeutralEarthedEverywhere);
    data.branches[0].taps = Some(TapRange { lowest: -8, highest: 8, neutral: 0, step: 0.00625 });
    let network = Network::from_per_unit(&data)?;
    for (seed, position) in (40..).zip(-8..=8) {
        let mut operation = loads(seed);
        operation.tap_positions.insert(0, position);
        cases.push((network.clone(), operation));
    }
    let (difference, place) = largest_difference(&cases).await?;
    println!("{} cases: at most {difference:.1e} pu apart, in {place}", cases.len());
    assert!(difference < TOLERANCE_PU, "{difference:.2e} pu apart: {place}");
    Ok(())
}
