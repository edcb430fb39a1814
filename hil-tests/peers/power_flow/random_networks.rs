//! Random networks before OpenDSS.

use super::{TOLERANCE_PU, largest_difference};
use gridloop_power_flow::samples::{Recipe, network};

async fn judged(seeds: std::ops::Range<u64>, recipe: impl Fn(u64) -> Recipe) -> anyhow::Result<()> {
    let cases: Vec<_> = seeds.map(|seed| network(seed, recipe(seed))).collect();
    let (difference, place) = largest_difference(&cases).await?;
    println!("{} networks: at most {difference:.1e} pu apart, in {place}", cases.len());
    assert!(difference < TOLERANCE_PU, "{difference:.2e} pu apart: {place}");
    Ok(())
}

fn buses(seed: u64) -> usize {
    4 + usize::try_from(seed % 57).unwrap_or(0)
}

#[tokio::test]
async fn random_radial_lines_have_the_voltages_that_opendss_finds() -> anyhow::Result<()> {
    judged(0..100, |seed| Recipe { buses: buses(seed), transformers: false, ..Recipe::default() }).await
}

#[tokio::test]
async fn random_radial_networks_of_all_vector_groups_have_the_voltages_that_opendss_finds()
-> anyhow::Result<()> {
    judged(100..250, |seed| Recipe { buses: buses(seed), ..Recipe::default() }).await
}

#[tokio::test]
async fn zigzags_star_points_of_their_own_and_taps_on_either_side_have_the_voltages_that_opendss_finds()
-> anyhow::Result<()> {
    judged(500..650, |seed| Recipe { buses: buses(seed), every_star: true, ..Recipe::default() }).await
}

#[tokio::test]
async fn random_meshed_networks_have_the_voltages_that_opendss_finds() -> anyhow::Result<()> {
    judged(300..450, |seed| Recipe { buses: buses(seed), meshes: 6, ..Recipe::default() }).await
}

#[tokio::test]
async fn a_feeder_of_thousands_of_nodes_has_the_voltages_that_opendss_finds() -> anyhow::Result<()> {
    judged(1000..1001, |_| Recipe { buses: 2500, meshes: 20, ..Recipe::default() }).await
}
