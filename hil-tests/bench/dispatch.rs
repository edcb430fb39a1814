//! Plans of a community for 36 steps. The floor is HiGHS by highspy, which is given the same linear programme as
//! matrices; building those in Python is not counted, building ours is.

use crate::figure::{Figure, alternate};
use anyhow::Context;
use fastrand::Rng;
use gridloop_clock::SharedClock;
use gridloop_hil_tests::dispatch::{case, community};
use gridloop_hil_tests::peers::Peer;
use gridloop_markets::dispatch::{Problem, Solver, SolverSettings, solve};
use serde_json::json;
use std::time::Duration;
use tokio::sync::Mutex;

/// Before the number of storages and the solver.
pub(crate) const DISPATCH: &str = "dispatch_solve_ms_36_steps_";

/// Storages of a community.
const SIZES: [usize; 3] = [1, 10, 100];
const STEPS: usize = 36;

/// Every figure; those of HiGHS in Rust only where it is built in.
pub(crate) fn names() -> Vec<String> {
    let solvers = [("microlp", Solver::Microlp), ("highs", Solver::Highs)];
    let solvers = solvers.into_iter().filter(|(_, solver)| solver.is_built_in());
    solvers.flat_map(|(word, _)| SIZES.map(|size| format!("{DISPATCH}{size}_{word}"))).collect()
}

pub(crate) async fn measure(name: &str, clock: &SharedClock) -> anyhow::Result<Figure> {
    let (size, word) =
        name.strip_prefix(DISPATCH).and_then(|rest| rest.split_once('_')).context("no such figure")?;
    let solver = if word == "highs" { Solver::Highs } else { Solver::Microlp };
    let settings = SolverSettings { solver, limit: Duration::from_secs(300) };
    let problem: Problem = community(size.parse()?, STEPS, &mut Rng::with_seed(36));
    let (highs, _) = Peer::start("dispatch.py", &[]).await?;
    let highs = Mutex::new(highs);
    let question = json!({ "cases": [case(&problem)], "binaries": false });
    let work = async || {
        let began = clock.now();
        tokio::task::block_in_place(|| solve(&problem, settings))?;
        Ok(clock.now().since(began).as_secs_f64() * 1e3)
    };
    let floor = async || {
        let answer = highs.lock().await.ask("solve", question.clone()).await?;
        let taken =
            answer["answers"][0]["taken_s"].as_f64().context("HiGHS does not say how long it took")?;
        Ok(taken * 1e3)
    };
    alternate(name, "ms", work, floor).await
}
