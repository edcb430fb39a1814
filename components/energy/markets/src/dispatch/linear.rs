//! The problem as a linear programme: [`Programme`] has variables, constraints and an objective for `good_lp`, and finds
//! the [`Plan`] in what the solver says.
//!
//! For step t of h hours, storage i, market m (all variables are 0 or more):
//!
//! ```text
//! balance     fixed[t] + sum_i (d[i,t] - c[i,t]) + sum_m (agreed[m,t] + take[m,t] - give[m,t]) = 0
//! energy      s[i,t+1] = s[i,t] - loss + eff_c c[i,t] h - d[i,t] h / eff_d,   0 <= s <= capacity
//! loss        self_discharge * capacity * h   (Rated)   or   self_discharge * s[i,t]   (Simces)
//! objective   sum h (price_take take - price_give give + price_agreed agreed) + sum h wear_i d + sum_i weight_i |s_end - target|
//! ```
//!
//! Charging and discharging at once, and taking and giving at once, are no plans. They need binary variables only
//! where they pay:
//!
//! - *Storage.* Take a solution with c > 0 and d > 0, and lower c by x and d by x eff_c eff_d: every s stays, and the
//!   storage gives x (1 - eff_c eff_d) >= 0 more. If somebody takes that for nothing or more, the solution gets no
//!   worse. So there is an optimum without it wherever energy has no negative price. Elsewhere (negative prices,
//!   nobody who buys, downward regulation) burning energy may pay.
//! - *Market.* Where no sale brings more than some purchase costs, lowering both gets no worse either. Where one does,
//!   the amounts are bounded by what the community can use or deliver, and a binary variable for the whole community
//!   says which way its energy flows.
//!
//! [`Programme::offences`] finds what a solution does at once; the caller solves again with binary variables for just
//! those. A relaxed solution without offences is an optimum of the problem with all binaries, so this ends with one.

use super::plan::{MarketPlan, Plan, Shortfall, StoragePlan};
use super::problem::{MarketSteps, Problem, Regulation, Segment, Settlement, Storage, StorageModel};
use good_lp::{Constraint, Expression, ProblemVariables, Solution, Variable, variable, variables};
use gridloop_messages::Direction;
use std::collections::BTreeSet;

/// EUR/kWh for energy that has to come from nowhere or to go nowhere, in a relaxed problem.
const BALANCE_PENALTY: f64 = 10_000.0;
/// EUR/kWh for stored energy beyond a terminal condition, in a relaxed problem.
const TERMINAL_PENALTY: f64 = 1_000.0;
/// EUR/kWh for self-discharge that does not happen, in a relaxed problem.
const IDLE_PENALTY: f64 = 100_000.0;
/// EUR per kW of regulation that is missing in a step, in a relaxed problem (as SimCES).
const REGULATION_PENALTY: f64 = 100_000.0;
/// What is smaller is nothing, in kW and kWh.
const NOTHING: f64 = 1e-7;

/// What must not happen at once, and so has a binary variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Exclusion {
    /// Charging and discharging of a storage in a step.
    Storage(usize, usize),
    /// Taking and giving of the community in a step.
    Community(usize),
}

pub(super) struct Programme<'a> {
    problem: &'a Problem,
    pub(super) variables: ProblemVariables,
    pub(super) constraints: Vec<Constraint>,
    pub(super) objective: Expression,
    storages: Vec<StorageVariables>,
    markets: Vec<Vec<StepVariables>>,
    slack: Option<Slack>,
}

struct StorageVariables {
    charge: Vec<Variable>,
    discharge: Vec<Variable>,
    /// From the end of the first step on.
    energy: Vec<Variable>,
}

struct StepVariables {
    take: Vec<Variable>,
    give: Vec<Variable>,
}

/// How far a relaxed problem may depart from its constraints.
struct Slack {
    unserved: Vec<Variable>,
    surplus: Vec<Variable>,
    /// Too little and too much in each storage at the end.
    terminal: Vec<[Variable; 2]>,
    /// For each regulation, its steps.
    regulation: Vec<Vec<Variable>>,
}

impl<'a> Programme<'a> {
    pub(super) fn new(problem: &'a Problem, exclusions: &BTreeSet<Exclusion>, relaxed: bool) -> Self {
        let mut variables = variables!();
        let steps = problem.steps();
        let storages = problem.storages.iter().map(|it| storage_variables(it, problem, &mut variables));
        let storages = storages.collect();
        let markets = problem.markets.iter().map(|market| {
            let of = |segments: &[Segment], variables: &mut ProblemVariables| {
                segments.iter().map(|segment| bounded(variables, segment.max_kw)).collect()
            };
            let step = |step: &Settlement| StepVariables {
                take: of(&step.take, &mut variables),
                give: of(&step.give, &mut variables),
            };
            market.steps.iter().map(step).collect()
        });
        let markets = markets.collect();
        let slack = relaxed.then(|| {
            let free = |variables: &mut ProblemVariables| bounded(variables, f64::INFINITY);
            let each = |variables: &mut ProblemVariables| (0..steps).map(|_| free(variables)).collect();
            let of = |it: &Regulation, variables: &mut ProblemVariables| {
                it.steps.clone().map(|_| free(variables)).collect()
            };
            Slack {
                unserved: each(&mut variables),
                surplus: each(&mut variables),
                terminal: problem
                    .storages
                    .iter()
                    .map(|_| [free(&mut variables), free(&mut variables)])
                    .collect(),
                regulation: problem.regulations.iter().map(|it| of(it, &mut variables)).collect(),
            }
        });
        let (constraints, objective) = (Vec::new(), Expression::default());
        let mut programme = Self { problem, variables, constraints, objective, storages, markets, slack };
        programme.balance();
        for (index, storage) in problem.storages.iter().enumerate() {
            programme.energy(index, storage);
            programme.terminal(index, storage);
        }
        for (index, regulation) in problem.regulations.iter().enumerate() {
            programme.regulation(index, regulation);
        }
        for (storage, kw) in programme.storages.iter().zip(problem.first_kw.iter().flatten()) {
            let power = Expression::from(storage.discharge[0]) - storage.charge[0];
            programme.constraints.push(power.eq(*kw));
        }
        for market in 0..problem.markets.len() {
            programme.cost(market);
        }
        programme.bound_arbitrage();
        for exclusion in exclusions {
            programme.exclude(*exclusion);
        }
        programme
    }

    fn balance(&mut self) {
        for t in 0..self.problem.steps() {
            let mut sum = Expression::from(self.problem.fixed_kw[t]);
            for storage in &self.storages {
                sum += storage.discharge[t];
                sum -= storage.charge[t];
            }
            for (market, variables) in self.problem.markets.iter().zip(&self.markets) {
                sum += market.steps[t].agreed_kw;
                sum += total(&variables[t].take);
                sum -= total(&variables[t].give);
            }
            if let Some(slack) = &self.slack {
                sum += slack.unserved[t];
                sum -= slack.surplus[t];
                self.objective += (BALANCE_PENALTY * self.problem.step_h) * slack.unserved[t];
                self.objective += (BALANCE_PENALTY * self.problem.step_h) * slack.surplus[t];
            }
            self.constraints.push(sum.eq(0.0));
        }
    }

    /// Stored energy follows the power.
    fn energy(&mut self, index: usize, storage: &Storage) {
        let Problem { step_h, storage_model, .. } = *self.problem;
        let StorageVariables { charge, discharge, energy } = &self.storages[index];
        for variable in discharge {
            self.objective += (step_h * storage.wear_eur_per_kwh) * *variable;
        }
        for (t, after) in energy.iter().enumerate() {
            let before = match t.checked_sub(1) {
                None => Expression::from(storage.initial_kwh),
                Some(last) => Expression::from(energy[last]),
            };
            let mut sum = match storage_model {
                StorageModel::Rated => before - storage.self_discharge * storage.capacity_kwh * step_h,
                StorageModel::Simces => before * (1.0 - storage.self_discharge),
            };
            sum += (storage.charge_efficiency * step_h) * charge[t];
            sum -= (step_h / storage.discharge_efficiency) * discharge[t];
            if self.slack.is_some() {
                let idle =
                    bounded(&mut self.variables, storage.self_discharge * storage.capacity_kwh * step_h);
                sum += idle;
                self.objective += IDLE_PENALTY * idle;
            }
            self.constraints.push(sum.eq(*after));
        }
    }

    fn terminal(&mut self, index: usize, storage: &Storage) {
        let Some(last) = self.storages[index].energy.last().copied() else { return };
        let (mut least, mut most) = (Expression::from(last), Expression::from(last));
        if let Some(slack) = &self.slack {
            let [short, over] = slack.terminal[index];
            least += short;
            most -= over;
            self.objective += TERMINAL_PENALTY * (short + over);
        }
        let terminal = storage.terminal;
        if terminal.least_kwh > 0.0 {
            self.constraints.push(least.geq(terminal.least_kwh));
        }
        if terminal.most_kwh < storage.capacity_kwh {
            self.constraints.push(most.leq(terminal.most_kwh));
        }
        if let Some((weight, target)) = terminal.penalty {
            let [below, above] = [(); 2].map(|()| bounded(&mut self.variables, f64::INFINITY));
            self.constraints.push((Expression::from(last) + below - above).eq(target));
            self.objective += weight * (below + above);
        }
    }

    fn regulation(&mut self, index: usize, regulation: &Regulation) {
        for (n, t) in regulation.steps.clone().enumerate() {
            let mut change = Expression::from(-regulation.reference_kw[n]);
            for storage in regulation.storages.iter().map(|index| &self.storages[*index]) {
                change += storage.discharge[t];
                change -= storage.charge[t];
            }
            if regulation.direction == Direction::Down {
                change = -change;
            }
            if let Some(slack) = &self.slack {
                change += slack.regulation[index][n];
                self.objective += REGULATION_PENALTY * slack.regulation[index][n];
            }
            self.constraints.push(change.geq(regulation.size_kw));
        }
    }

    fn cost(&mut self, market: usize) {
        let h = self.problem.step_h;
        for (step, variables) in self.problem.markets[market].steps.iter().zip(&self.markets[market]) {
            self.objective += h * step.agreed_eur_per_kwh * step.agreed_kw;
            for (segment, variable) in step.take.iter().zip(&variables.take) {
                self.objective += (h * segment.eur_per_kwh) * *variable;
            }
            for (segment, variable) in step.give.iter().zip(&variables.give) {
                self.objective -= (h * segment.eur_per_kwh) * *variable;
            }
        }
    }

    /// Where taking and giving at once pays, neither is more than the community could do alone.
    fn bound_arbitrage(&mut self) {
        for t in 0..self.problem.steps() {
            if arbitrage(&self.problem.markets, t) {
                let [most_taken, most_given] = community_limits(self.problem, t);
                let (take, give) = (self.taken(t), self.given(t));
                self.constraints.push(take.leq(most_taken));
                self.constraints.push(give.leq(most_given));
            }
        }
    }

    fn exclude(&mut self, exclusion: Exclusion) {
        let either = self.variables.add(variable().binary());
        let (one, other) = match exclusion {
            Exclusion::Storage(index, t) => {
                let Storage { charge_max_kw, discharge_max_kw, .. } = self.problem.storages[index];
                let StorageVariables { charge, discharge, .. } = &self.storages[index];
                (
                    (charge[t] - charge_max_kw * either).leq(0.0),
                    (discharge[t] + discharge_max_kw * either).leq(discharge_max_kw),
                )
            }
            Exclusion::Community(t) => {
                let [most_taken, most_given] = community_limits(self.problem, t);
                let (take, give) = (self.taken(t), self.given(t));
                ((take - most_taken * either).leq(0.0), (give + most_given * either).leq(most_given))
            }
        };
        self.constraints.extend([one, other]);
    }

    fn taken(&self, t: usize) -> Expression {
        self.markets.iter().flat_map(|market| &market[t].take).sum()
    }

    fn given(&self, t: usize) -> Expression {
        self.markets.iter().flat_map(|market| &market[t].give).sum()
    }

    /// What `solution` does at once although it pays.
    pub(super) fn offences(&self, solution: &impl Solution) -> Vec<Exclusion> {
        let mut offences = Vec::new();
        for t in 0..self.problem.steps() {
            let value = |expression: Expression| expression.eval_with(solution);
            if arbitrage(&self.problem.markets, t)
                && value(self.taken(t)) > NOTHING
                && value(self.given(t)) > NOTHING
            {
                offences.push(Exclusion::Community(t));
            }
            for (index, storage) in self.storages.iter().enumerate() {
                let both = solution.value(storage.charge[t]).min(solution.value(storage.discharge[t]));
                let lossless = {
                    let it = &self.problem.storages[index];
                    it.charge_efficiency * it.discharge_efficiency >= 1.0
                };
                if both > NOTHING && !lossless {
                    offences.push(Exclusion::Storage(index, t));
                }
            }
        }
        offences
    }

    /// The plan that `solution` is.
    pub(super) fn plan(&self, solution: &impl Solution) -> Plan {
        let value = |variable: &Variable| solution.value(*variable);
        let storages = self.problem.storages.iter().zip(&self.storages).map(|(storage, variables)| {
            let power = variables.discharge.iter().zip(&variables.charge);
            let energy = variables.energy.iter().map(|it| value(it).clamp(0.0, storage.capacity_kwh));
            StoragePlan {
                name: storage.name.clone(),
                power_kw: power.map(|(d, c)| clean(value(d) - value(c))).collect(),
                energy_kwh: std::iter::once(storage.initial_kwh).chain(energy).collect(),
            }
        });
        let storages: Vec<StoragePlan> = storages.collect();
        let markets = self.problem.markets.iter().zip(&self.markets);
        let markets: Vec<MarketPlan> = markets.map(|it| self.market_plan(it, solution)).collect();
        let market_eur: f64 = markets.iter().flat_map(|market| &market.cost_eur).sum();
        let penalty = self.problem.storages.iter().zip(&storages).map(|(storage, plan)| {
            // A single step of the model of SimCES has no effect on what is stored, and so no terminal condition.
            let end = if plan.energy_kwh.len() > 1 { plan.energy_kwh.last() } else { None };
            let discharged: f64 = plan.power_kw.iter().map(|kw| kw.max(0.0)).sum();
            let wear = self.problem.step_h * storage.wear_eur_per_kwh * discharged;
            wear + storage
                .terminal
                .penalty
                .zip(end)
                .map_or(0.0, |((weight, target), end)| weight * (end - target).abs())
        });
        let cost_eur = market_eur + penalty.sum::<f64>();
        let shortfalls = self.shortfalls(solution);
        let step_h = self.problem.step_h;
        Plan { step_h, storages, markets, market_eur, cost_eur, shortfalls, binaries: 0, cut_short: false }
    }

    fn market_plan(
        &self,
        (market, variables): (&MarketSteps, &Vec<StepVariables>),
        solution: &impl Solution,
    ) -> MarketPlan {
        let h = self.problem.step_h;
        let (mut power_kw, mut cost_eur) = (Vec::new(), Vec::new());
        for (step, variables) in market.steps.iter().zip(variables) {
            let (mut power, mut cost) = (step.agreed_kw, h * step.agreed_eur_per_kwh * step.agreed_kw);
            for (segment, variable) in step.take.iter().zip(&variables.take) {
                power += solution.value(*variable);
                cost += h * segment.eur_per_kwh * solution.value(*variable);
            }
            for (segment, variable) in step.give.iter().zip(&variables.give) {
                power -= solution.value(*variable);
                cost -= h * segment.eur_per_kwh * solution.value(*variable);
            }
            power_kw.push(clean(power));
            cost_eur.push(clean(cost));
        }
        MarketPlan { name: market.name.clone(), power_kw, cost_eur }
    }

    fn shortfalls(&self, solution: &impl Solution) -> Vec<Shortfall> {
        let Some(slack) = &self.slack else { return Vec::new() };
        let h = self.problem.step_h;
        let energy = |variables: &[Variable]| variables.iter().map(|it| solution.value(*it) * h).sum::<f64>();
        let mut found = Vec::new();
        let (unserved, surplus) = (energy(&slack.unserved), energy(&slack.surplus));
        if unserved > NOTHING {
            found.push(Shortfall::Unserved { energy_kwh: unserved });
        }
        if surplus > NOTHING {
            found.push(Shortfall::Surplus { energy_kwh: surplus });
        }
        for ((storage, variables), slack) in
            self.problem.storages.iter().zip(&self.storages).zip(&slack.terminal)
        {
            let away = slack.map(|it| solution.value(it));
            if let (Some(last), true) = (variables.energy.last(), away[0] + away[1] > NOTHING) {
                let energy_kwh = solution.value(*last);
                let name = storage.name.clone();
                let terminal = storage.terminal;
                found.push(Shortfall::Terminal {
                    name,
                    energy_kwh,
                    capacity_kwh: storage.capacity_kwh,
                    terminal,
                });
            }
        }
        for (regulation, slack) in self.problem.regulations.iter().zip(&slack.regulation) {
            let missing = slack.iter().map(|it| solution.value(*it)).fold(0.0, f64::max);
            if missing > NOTHING {
                let (direction, asked_kw) = (regulation.direction, regulation.size_kw);
                found.push(Shortfall::Regulation { direction, asked_kw, missing_kw: missing });
            }
        }
        found
    }
}

fn storage_variables(
    storage: &Storage,
    problem: &Problem,
    variables: &mut ProblemVariables,
) -> StorageVariables {
    let steps = problem.steps();
    let mut each = |count: usize, max| (0..count).map(|_| bounded(variables, max)).collect();
    let energies = match problem.storage_model {
        StorageModel::Rated => steps,
        StorageModel::Simces => steps - 1,
    };
    StorageVariables {
        charge: each(steps, storage.charge_max_kw),
        discharge: each(steps, storage.discharge_max_kw),
        energy: each(energies, storage.capacity_kwh),
    }
}

fn bounded(variables: &mut ProblemVariables, max: f64) -> Variable {
    variables.add(variable().min(0.0).max(max))
}

fn total(variables: &[Variable]) -> Expression {
    variables.iter().sum()
}

/// Whether energy that is taken in the step may be given for more than it costs.
fn arbitrage(markets: &[MarketSteps], t: usize) -> bool {
    let usable = |segments: &[Segment]| -> Vec<f64> {
        segments.iter().filter(|it| it.max_kw > 0.0).map(|it| it.eur_per_kwh).collect()
    };
    let taken = markets.iter().flat_map(|market| usable(&market.steps[t].take));
    let given = markets.iter().flat_map(|market| usable(&market.steps[t].give));
    given.fold(f64::NEG_INFINITY, f64::max) > taken.fold(f64::INFINITY, f64::min)
}

/// The most that the community can use and deliver in a step, beyond what is agreed.
fn community_limits(problem: &Problem, t: usize) -> [f64; 2] {
    let agreed: f64 = problem.markets.iter().map(|market| market.steps[t].agreed_kw).sum();
    let surplus_kw = problem.fixed_kw[t] + agreed;
    let charge: f64 = problem.storages.iter().map(|storage| storage.charge_max_kw).sum();
    let discharge: f64 = problem.storages.iter().map(|storage| storage.discharge_max_kw).sum();
    [(charge - surplus_kw).max(0.0), (discharge + surplus_kw).max(0.0)]
}

/// Without what is left over from calculating.
fn clean(value: f64) -> f64 {
    if value.abs() < 1e-9 { 0.0 } else { value }
}
