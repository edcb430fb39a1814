//! Finding the cheapest plan: [`solve`] of a problem as it stands, [`solve_relaxed`] of one that has no solution.
//!
//! The problem is solved as a linear programme first, and again with binary variables where that pays to do two things
//! at once (see `linear`), until a solution does not.

use super::linear::{Exclusion, Programme};
use super::plan::Plan;
use super::problem::Problem;
use good_lp::solvers::{SolutionStatus, WithMipGap, WithTimeLimit};
use good_lp::{ResolutionError, Solution, SolverModel};
use std::collections::BTreeSet;
use std::time::Duration;

/// Times that binary variables are added for just what a solution did; then every storage gets them that did so once.
const PATIENT_ROUNDS: usize = 8;
/// Relative gap to the optimum at which a solution with binary variables is taken.
const MIP_GAP: f32 = 1e-7;

/// Whose algorithm is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Solver {
    /// In Rust, always there.
    #[default]
    Microlp,
    /// HiGHS, in builds with the feature `highs`: faster for many storages.
    Highs,
}

impl Solver {
    /// Whether this build has it.
    #[must_use]
    pub const fn is_built_in(self) -> bool {
        match self {
            Self::Microlp => true,
            Self::Highs => cfg!(feature = "highs"),
        }
    }
}

/// How a problem is solved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SolverSettings {
    /// By whom.
    pub solver: Solver,
    /// For so long at most, each time. A solution with binary variables that is found by then is taken as it is.
    pub limit: Duration,
}

impl Default for SolverSettings {
    fn default() -> Self {
        Self { solver: Solver::Microlp, limit: Duration::from_secs(10) }
    }
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SolveError {
    /// The constraints exclude each other.
    #[error("no plan meets all conditions")]
    Infeasible,
    /// Energy can be bought and sold at a profit without end. Limits of [`Problem`] prevent that, so this is a bug.
    #[error("the cost has no lower bound")]
    Unbounded,
    /// The problem itself is wrong.
    #[error("the problem has {0}")]
    Flawed(String),
    /// The solver gave up.
    #[error("the solver found no plan within {} s, or gave up: {reason}", limit.as_secs_f64())]
    GaveUp {
        /// What it may take.
        limit: Duration,
        /// What it says.
        reason: String,
    },
    /// This build is without it.
    #[error(
        "this build of gridloop has no HiGHS: build with `--features highs`, or choose the solver microlp"
    )]
    NotBuiltIn,
}

/// The cheapest plan.
///
/// # Errors
/// When there is none, or the solver finds none in time.
pub fn solve(problem: &Problem, settings: SolverSettings) -> Result<Plan, SolveError> {
    solve_as(problem, settings, false)
}

/// The plan of a problem that has no solution, which departs from what is asked for by as little as can be, and says
/// where.
///
/// # Errors
/// When the problem is wrong, or the solver finds no plan in time.
pub fn solve_relaxed(problem: &Problem, settings: SolverSettings) -> Result<Plan, SolveError> {
    solve_as(problem, settings, true)
}

fn solve_as(problem: &Problem, settings: SolverSettings, relaxed: bool) -> Result<Plan, SolveError> {
    if let Some(flaw) = problem.flaw() {
        return Err(SolveError::Flawed(flaw));
    }
    let found = match settings.solver {
        Solver::Microlp => rounds(problem, relaxed, &|programme| {
            let limit = settings.limit.as_secs_f64();
            let model = minimised(programme, good_lp::microlp).with_time_limit(limit);
            model.with_mip_gap(MIP_GAP).map_or(Err(ResolutionError::Other("gap")), SolverModel::solve)
        }),
        #[cfg(feature = "highs")]
        Solver::Highs => rounds(problem, relaxed, &|programme| {
            let limit = settings.limit.as_secs_f64();
            let model = minimised(programme, good_lp::highs).with_time_limit(limit);
            model.with_mip_gap(MIP_GAP).map_or(Err(ResolutionError::Other("gap")), SolverModel::solve)
        }),
        #[cfg(not(feature = "highs"))]
        Solver::Highs => return Err(SolveError::NotBuiltIn),
    };
    found.map_err(|error| match error {
        ResolutionError::Infeasible => SolveError::Infeasible,
        ResolutionError::Unbounded => SolveError::Unbounded,
        ResolutionError::Other(reason) => {
            SolveError::GaveUp { limit: settings.limit, reason: reason.to_owned() }
        }
        ResolutionError::Str(reason) => SolveError::GaveUp { limit: settings.limit, reason },
    })
}

/// Solves with more and more binary variables, until they are no longer missing.
fn rounds<S: Solution>(
    problem: &Problem,
    relaxed: bool,
    solve: &dyn Fn(&mut Programme<'_>) -> Result<S, ResolutionError>,
) -> Result<Plan, ResolutionError> {
    let mut exclusions = BTreeSet::new();
    let mut round = 0;
    loop {
        let mut programme = Programme::new(problem, &exclusions, relaxed);
        let solution = solve(&mut programme)?;
        let known = exclusions.len();
        for offence in programme.offences(&solution) {
            match offence {
                Exclusion::Storage(index, _) if round >= PATIENT_ROUNDS => {
                    exclusions.extend((0..problem.steps()).map(|t| Exclusion::Storage(index, t)));
                }
                Exclusion::Community(_) if round >= PATIENT_ROUNDS => {
                    exclusions.extend((0..problem.steps()).map(Exclusion::Community));
                }
                one => {
                    exclusions.insert(one);
                }
            }
        }
        // An offence that has its binary variable is one within the solver's tolerance.
        if exclusions.len() == known {
            if !matches!(solution.status(), SolutionStatus::Optimal | SolutionStatus::GapLimit) {
                tracing::warn!("the plan is the best that was found in time, not the cheapest");
            }
            return Ok(Plan { binaries: known, ..programme.plan(&solution) });
        }
        round += 1;
    }
}

fn minimised<M: SolverModel>(
    programme: &mut Programme<'_>,
    solver: impl FnMut(good_lp::variable::UnsolvedProblem) -> M,
) -> M {
    let variables = std::mem::take(&mut programme.variables);
    let objective = std::mem::take(&mut programme.objective);
    let mut model = variables.minimise(objective).using(solver);
    for constraint in std::mem::take(&mut programme.constraints) {
        model.add_constraint(constraint);
    }
    model
}
