//! Finding the cheapest plan: [`solve`] of a problem as it stands, [`solve_relaxed`] of one that has no solution.
//!
//! The problem is solved as a linear programme first, and again with binary variables where that pays to do two things
//! at once (see `linear`), until a solution does not.

use super::linear::{Exclusion, Programme};
use super::plan::Plan;
use super::problem::Problem;
use good_lp::solvers::{SolutionStatus, WithMipGap, WithTimeLimit};
use good_lp::{ResolutionError, Solution, SolverModel};
use gridloop_clock::read_clocks;
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
    /// For so long at most, all rounds together. A solution with binary variables that is found by then is taken as it
    /// is.
    pub limit: Duration,
}

/// A search under way, or several that share their time.
#[derive(Debug, Clone, Copy)]
pub struct Search {
    settings: SolverSettings,
    /// By the monotonic clock, in ns.
    begun_at: i64,
}

impl Search {
    /// The time begins.
    #[must_use]
    pub fn begin(settings: SolverSettings) -> Self {
        Self { settings, begun_at: read_clocks().monotonic }
    }

    /// How long the next round may take; nothing when the time is over.
    fn left(&self) -> Option<Duration> {
        let past = u64::try_from(read_clocks().monotonic.saturating_sub(self.begun_at)).unwrap_or_default();
        let left = self.settings.limit.saturating_sub(Duration::from_nanos(past));
        (!left.is_zero()).then_some(left)
    }

    /// The cheapest plan.
    ///
    /// # Errors
    /// As [`solve`].
    pub fn solve(&self, problem: &Problem) -> Result<Plan, SolveError> {
        self.solve_as(problem, false)
    }

    fn solve_as(&self, problem: &Problem, relaxed: bool) -> Result<Plan, SolveError> {
        if let Some(flaw) = problem.flaw() {
            return Err(SolveError::Flawed(flaw));
        }
        let left = || self.left();
        let found = match self.settings.solver {
            Solver::Microlp => rounds(problem, relaxed, left, |programme, limit| {
                let model = minimised(programme, good_lp::microlp).with_time_limit(limit.as_secs_f64());
                model.with_mip_gap(MIP_GAP).map_or(Err(ResolutionError::Other("gap")), SolverModel::solve)
            }),
            #[cfg(feature = "highs")]
            Solver::Highs => rounds(problem, relaxed, left, |programme, limit| {
                let model = minimised(programme, good_lp::highs).with_time_limit(limit.as_secs_f64());
                model.with_mip_gap(MIP_GAP).map_or(Err(ResolutionError::Other("gap")), SolverModel::solve)
            }),
            #[cfg(not(feature = "highs"))]
            Solver::Highs => return Err(SolveError::NotBuiltIn),
        };
        let gave_up = |reason| SolveError::GaveUp { limit: self.settings.limit, reason };
        found.map_err(|error| match error {
            ResolutionError::Infeasible => SolveError::Infeasible,
            ResolutionError::Unbounded => SolveError::Unbounded,
            ResolutionError::Other(reason) => gave_up(reason.to_owned()),
            ResolutionError::Str(reason) => gave_up(reason),
        })
    }
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
    Search::begin(settings).solve(problem)
}

/// The plan of a problem that has no solution, which departs from what is asked for by as little as can be, and says
/// where.
///
/// # Errors
/// When the problem is wrong, or the solver finds no plan in time.
pub fn solve_relaxed(problem: &Problem, settings: SolverSettings) -> Result<Plan, SolveError> {
    Search::begin(settings).solve_as(problem, true)
}

/// Solves with more and more binary variables, until they are no longer missing. Each round has what is `left` of the
/// time.
fn rounds<S: Solution>(
    problem: &Problem,
    relaxed: bool,
    left: impl Fn() -> Option<Duration>,
    solve: impl Fn(&mut Programme<'_>, Duration) -> Result<S, ResolutionError>,
) -> Result<Plan, ResolutionError> {
    let mut exclusions = BTreeSet::new();
    let mut round = 0;
    loop {
        let mut programme = Programme::new(problem, &exclusions, relaxed);
        let left = left().ok_or(ResolutionError::Other("its time was over before it was done"))?;
        let solution = solve(&mut programme, left)?;
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
            let cut_short = !matches!(solution.status(), SolutionStatus::Optimal | SolutionStatus::GapLimit);
            return Ok(Plan { binaries: known, cut_short, ..programme.plan(&solution) });
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

#[cfg(test)]
mod tests {
    use super::super::problem::{MarketSteps, Storage, StorageModel, Tariff, Terminal};
    use super::*;
    use std::cell::Cell;

    /// Whoever takes energy is paid for it, so that a battery would burn it: that takes a second round.
    fn paid_to_take() -> Problem {
        let tariff = Tariff {
            purchase_eur_per_kwh: -0.1,
            sale_eur_per_kwh: -0.2,
            purchase_max_kw: 10.0,
            sale_max_kw: 10.0,
        };
        Problem {
            step_h: 1.0,
            fixed_kw: vec![0.0; 2],
            storage_model: StorageModel::Rated,
            storages: vec![Storage {
                name: "b".into(),
                capacity_kwh: 10.0,
                charge_max_kw: 5.0,
                discharge_max_kw: 5.0,
                charge_efficiency: 0.9,
                discharge_efficiency: 0.9,
                self_discharge: 0.0,
                wear_eur_per_kwh: 0.0,
                initial_kwh: 10.0,
                terminal: Terminal::none(10.0),
            }],
            markets: vec![MarketSteps { name: "spot".into(), steps: vec![tariff.open(); 2] }],
            regulations: Vec::new(),
            first_kw: None,
        }
    }

    fn microlp(
        programme: &mut Programme<'_>,
        limit: Duration,
    ) -> Result<impl Solution + use<>, ResolutionError> {
        minimised(programme, good_lp::microlp).with_time_limit(limit.as_secs_f64()).solve()
    }

    #[test]
    fn all_rounds_of_a_search_share_its_time() {
        let second = Duration::from_secs(20);
        let rounds_for = |times: u32| {
            let asked = Cell::new(0);
            let left = || {
                asked.set(asked.get() + 1);
                (asked.get() <= times).then_some(second)
            };
            (rounds(&paid_to_take(), false, left, microlp), asked.get())
        };
        let (enough, asked) = rounds_for(100);
        assert!(enough.is_ok_and(|plan| plan.binaries > 0) && asked >= 2, "{asked}");
        let (cut, asked) = rounds_for(1);
        assert_eq!(cut.unwrap_err(), ResolutionError::Other("its time was over before it was done"));
        assert_eq!(asked, 2);
    }

    /// A solution at which the time was over.
    struct Stopped<S>(S);

    impl<S: Solution> Solution for Stopped<S> {
        fn status(&self) -> SolutionStatus {
            SolutionStatus::TimeLimit
        }

        fn value(&self, variable: good_lp::Variable) -> f64 {
            self.0.value(variable)
        }
    }

    #[test]
    fn a_plan_of_which_nobody_knows_that_it_is_the_cheapest_says_so() {
        let left = || Some(Duration::from_secs(20));
        let whole = rounds(&paid_to_take(), false, left, microlp).unwrap();
        let stopped = |programme: &mut Programme<'_>, limit| microlp(programme, limit).map(Stopped);
        let cut = rounds(&paid_to_take(), false, left, stopped).unwrap();
        assert_eq!((whole.cut_short, cut.cut_short), (false, true));
    }

    #[test]
    fn a_search_without_time_gives_up_and_says_what_it_had() {
        let settings = SolverSettings { limit: Duration::ZERO, ..SolverSettings::default() };
        let error = solve(&paid_to_take(), settings).unwrap_err();
        assert!(matches!(error, SolveError::GaveUp { limit: Duration::ZERO, .. }), "{error}");
    }
}
