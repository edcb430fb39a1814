//! Plans of economic dispatch against HiGHS (highspy), to which each problem is formulated in another way.

use fastrand::Rng;
use gridloop_hil_tests::dispatch::{anything, case, community};
use gridloop_hil_tests::peers::Peer;
use gridloop_markets::dispatch::{Problem, SolveError, Solver, SolverSettings, solve};
use serde_json::{Value, json};
use std::time::Duration;

/// HiGHS and we find plans of the same cost, or both find none. In EUR.
const TOLERANCE_EUR: f64 = 1e-6;

/// How often a problem has a plan, has none, and needs binary variables; and the greatest difference in cost.
#[derive(Debug, Default)]
struct Tally {
    planned: usize,
    infeasible: usize,
    with_binaries: usize,
    greatest_eur: f64,
}

async fn compare(problems: &[Problem], solver: Solver) -> anyhow::Result<Tally> {
    let (mut highs, _) = Peer::start("dispatch.py", &[]).await?;
    let cases: Vec<Value> = problems.iter().map(case).collect();
    let answers = highs.ask("solve", json!({ "cases": cases, "binaries": true })).await?;
    let answers = answers["answers"].as_array().cloned().unwrap_or_default();
    assert_eq!(answers.len(), problems.len());
    let settings = SolverSettings { solver, limit: Duration::from_secs(60) };
    let mut tally = Tally::default();
    for (n, (problem, answer)) in problems.iter().zip(answers).enumerate() {
        let found = solve(problem, settings);
        match answer["cost_eur"].as_f64() {
            None => {
                assert_eq!(
                    found,
                    Err(SolveError::Infeasible),
                    "case {n}: HiGHS finds no plan of {problem:?}"
                );
                tally.infeasible += 1;
            }
            Some(cost_eur) => {
                let plan = found.unwrap_or_else(|error| panic!("case {n}: {error}: {problem:?}"));
                let apart = (plan.cost_eur - cost_eur).abs();
                assert!(
                    apart <= TOLERANCE_EUR,
                    "case {n}: {} and HiGHS {cost_eur}: {problem:?}",
                    plan.cost_eur
                );
                tally.greatest_eur = tally.greatest_eur.max(apart);
                tally.planned += 1;
                tally.with_binaries += usize::from(plan.binaries > 0);
            }
        }
    }
    Ok(tally)
}

#[tokio::test]
async fn plans_of_any_problem_cost_what_those_of_highs_cost() -> anyhow::Result<()> {
    let mut rng = Rng::with_seed(65);
    let problems: Vec<Problem> = (0..400).map(|_| anything(&mut rng)).collect();
    let tally = compare(&problems, Solver::Microlp).await?;
    println!("{tally:?}");
    assert!(tally.planned > 100 && tally.infeasible > 20 && tally.with_binaries > 20, "{tally:?}");
    Ok(())
}

#[tokio::test]
async fn plans_of_communities_over_a_day_and_a_half_cost_what_those_of_highs_cost() -> anyhow::Result<()> {
    let mut rng = Rng::with_seed(66);
    let problems: Vec<Problem> = [1, 2, 5, 10].into_iter().map(|n| community(n, 36, &mut rng)).collect();
    let tally = compare(&problems, Solver::Microlp).await?;
    println!("{tally:?}");
    assert_eq!(tally.with_binaries, 0, "energy always costs something here");
    Ok(())
}
