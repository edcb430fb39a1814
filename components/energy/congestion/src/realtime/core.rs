//! The decisions: [`RealTimeCore`].
//!
//! What was measured in epoch n is answered by setpoints that act in epoch n + 1. The core therefore reckons with what
//! its last setpoints will do, as far as the measurement does not show it yet, and sends absolute setpoints: nothing
//! winds up while a device is slow, and the same measurement gives the same setpoints again.

use super::actuators::{Actuator, Stage, any_outside, hold, release};
use super::kept::Kept;
use super::settings::RealTimeSettings;
use super::tap::{Excess, TapLogic, repairs};
use crate::feeder::{Axis, Feeder, Point, Power};
use crate::limits::LOADING_RELEASE;
use crate::{Band, ResourceKind};
use gridloop_power_flow::SolveError;
use std::collections::{BTreeMap, BTreeSet};

/// Voltages outside the target band by less than this do not count, in parts of the nominal one.
const OUTSIDE: f64 = super::actuators::OUTSIDE;

/// The state of the network and its resources in one epoch.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sight {
    /// Values at the feeder's places, in their order.
    pub values: Vec<f64>,
    /// Power by resource.
    pub powers: BTreeMap<String, Power>,
    /// State of charge of storages that tell it, in %.
    pub states_of_charge: BTreeMap<String, f64>,
    /// Positions of tap changers by name, as far as they are known for certain.
    pub tap_positions: BTreeMap<String, i32>,
    /// Resources whose state is not to be relied on.
    pub unreliable: BTreeSet<String>,
}

/// When decisions are made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct When {
    /// Number of the simulated day, for budgets.
    pub day: i64,
    /// Length of the epoch in hours.
    pub hours: f64,
}

/// What a superordinate plan wants for the next epoch.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Base {
    /// Real power in W (of generators and loads: the most) and reactive power in var, by resource.
    pub powers: BTreeMap<String, (f64, f64)>,
    /// Generators and loads among them that are to do what they can.
    pub uncurtailed: BTreeSet<String>,
    /// Positions by tap changer.
    pub tap_positions: BTreeMap<String, i32>,
}

/// What holds from now on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Instructions {
    /// Real power in W and reactive power in var, by resource in the order of the settings.
    pub setpoints: Vec<(String, f64, f64)>,
    /// Positions by tap changer.
    pub tap_positions: Vec<(String, i32)>,
    /// What an operator should know.
    pub warnings: Vec<String>,
}

/// What it came to in the run so far.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Totals {
    /// Epochs with a complete state.
    pub epochs_seen: u64,
    /// Epochs without.
    pub epochs_blind: u64,
    /// Epochs in which setpoints were given up for want of a state.
    pub epochs_released: u64,
    /// Epochs in which some value was beyond its limits.
    pub epochs_with_violation: u64,
    /// Those among them in which the measures at hand were not enough.
    pub epochs_not_repaired: u64,
    /// Operations of tap changers.
    pub tap_operations: u64,
    /// Energy that generators did not feed in because of setpoints, in kWh; an estimate.
    pub curtailed_kwh: f64,
    /// Energy that loads did not draw because of setpoints, in kWh; an estimate.
    pub shed_kwh: f64,
    /// Energy that storages moved beside their base, in kWh.
    pub storage_kwh: f64,
    /// Reactive energy, in kvarh.
    pub reactive_kvarh: f64,
    /// The worst violation and where it was.
    pub worst: Option<(f64, String)>,
}

/// Decides what the controlled resources do.
#[derive(Debug)]
pub struct RealTimeCore {
    settings: RealTimeSettings,
    feeder: Feeder,
    kept: Vec<Kept>,
    taps: Vec<TapLogic>,
    blind: u32,
    totals: Totals,
}

/// Why a feeder cannot be controlled as configured.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MismatchError {
    /// A resource without a bus.
    #[error("the network has no resource {0}; say its bus in its table, the CIS data or the network's file")]
    Resource(String),
    /// A tap changer whose branch is missing or has no taps.
    #[error("the network has no branch {branch} with taps, which tap changer {name} needs")]
    Branch {
        /// The tap changer.
        name: String,
        /// What its settings say.
        branch: String,
    },
    /// A target band that one step of the tap changer crosses.
    #[error(
        "one step of tap changer {name} moves the voltage by {step_pu} pu, and the target band has only {band_pu:.4} pu: \
         it would hunt; widen the band to {wanted_pu:.4} pu or more"
    )]
    Band {
        /// The tap changer.
        name: String,
        /// Its step.
        step_pu: f64,
        /// Width of the target band.
        band_pu: f64,
        /// The narrowest band that will do.
        wanted_pu: f64,
    },
}

impl RealTimeCore {
    /// Control of `feeder`.
    ///
    /// # Errors
    /// When the feeder lacks something that is to be controlled, or the band does not suit the tap changers.
    pub fn new(settings: RealTimeSettings, feeder: Feeder) -> Result<Self, MismatchError> {
        if let Some(resource) = settings.resources.iter().find(|it| !feeder.has(&it.unit.name)) {
            return Err(MismatchError::Resource(resource.unit.name.clone()));
        }
        let target = settings.limits.target();
        let band_pu = target.highest_pu - target.lowest_pu;
        let mut taps = Vec::new();
        for tap in &settings.tap_changers {
            let (name, branch) = (tap.changer.name.clone(), tap.changer.branch.clone());
            let Some((index, range)) = feeder.taps(&branch) else {
                return Err(MismatchError::Branch { name, branch });
            };
            let (step_pu, wanted_pu) = (range.step.abs(), range.step.abs() * 1.2);
            if band_pu < wanted_pu {
                return Err(MismatchError::Band { name, step_pu, band_pu, wanted_pu });
            }
            taps.push(TapLogic::new(tap.clone(), index, range));
        }
        let kept = settings.resources.iter().map(Kept::new).collect();
        Ok(Self { settings, feeder, kept, taps, blind: 0, totals: Totals::default() })
    }

    /// The network.
    #[must_use]
    pub fn feeder(&self) -> &Feeder {
        &self.feeder
    }

    /// What it came to so far.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// What holds in the next epoch after one whose state is not known, `reason` says why: the same again, and after
    /// some epochs of that the way back to the base.
    pub fn go_on_blind(&mut self, reason: &str, base: &Base) -> Instructions {
        self.blind = self.blind.saturating_add(1);
        self.totals.epochs_blind += 1;
        let held = self.blind <= self.settings.hold_epochs;
        let mut instructions = Instructions::default();
        for tap in &mut self.taps {
            tap.count(Excess { above: 0.0, below: 0.0 }, true, OUTSIDE);
        }
        if held {
            instructions.warnings.push(format!("{reason}; the last setpoints are held"));
        } else {
            self.totals.epochs_released += 1;
            let since = self.blind;
            let warning =
                format!("{reason}; {since} epochs without a state, setpoints go back to their base");
            instructions.warnings.push(warning);
            for (kept, settings) in self.kept.iter_mut().zip(&self.settings.resources) {
                kept.go_back(settings, settings.base(base));
            }
        }
        self.instruct(instructions)
    }

    /// What holds in the next epoch after one with this state.
    ///
    /// # Errors
    /// When the power flow has no solution at the measured powers; then nothing has been decided.
    pub fn decide(&mut self, sight: &Sight, base: &Base, when: When) -> Result<Instructions, SolveError> {
        let point = self.point(sight);
        let controls = self.controls();
        let names: Vec<(&str, Axis)> = controls
            .iter()
            .map(|(at, axis, _)| (self.settings.resources[*at].unit.name.as_str(), *axis))
            .collect();
        let (model, slopes) = self.feeder.linearise(&point, &names)?;
        self.blind = 0;
        let mut warnings = Vec::new();
        self.compare(sight, &mut warnings);
        self.account(sight, when);
        let mut values = sight.values.clone();
        let mut actuators = self.actuators(&controls, slopes, sight, (base, when.hours), &mut values);
        let busy = self.observe_taps(sight, when.day, &mut warnings);
        let operated = self.move_tap(sight, &point, &model, &values, &actuators, base)?;
        self.move_resources(&mut values, &mut actuators, busy || operated.is_some());
        if let Some((change, warning)) = operated {
            values.iter_mut().zip(change).for_each(|(value, change)| *value += change);
            warnings.push(warning);
        }
        self.judge(sight, &values, &mut warnings);
        self.command(&actuators, base);
        Ok(self.instruct(Instructions { warnings, ..Instructions::default() }))
    }

    fn point(&self, sight: &Sight) -> Point {
        let positions =
            self.taps.iter().filter_map(|tap| Some((tap.branch, *sight.tap_positions.get(tap.name())?)));
        Point { powers: sight.powers.clone(), taps: positions.collect() }
    }

    /// The powers that may be moved, by the number of the resource.
    fn controls(&self) -> Vec<(usize, Axis, Stage)> {
        let mut controls = Vec::new();
        for (at, resource) in self.settings.resources.iter().enumerate() {
            if resource.unit.max_reactive_power_var > 0.0 {
                controls.push((at, Axis::Reactive, Stage::Reactive));
            }
            if resource.curtail {
                let storage = resource.unit.kind == ResourceKind::Storage;
                controls.push((at, Axis::Real, if storage { Stage::Storage } else { Stage::LastResort }));
            }
        }
        controls
    }

    /// Compares what resources do with what was commanded.
    fn compare(&mut self, sight: &Sight, warnings: &mut Vec<String>) {
        for (kept, settings) in self.kept.iter_mut().zip(&self.settings.resources) {
            let Some(power) = sight.powers.get(&settings.unit.name) else { continue };
            let Some((real_w, reactive_var)) = kept.commanded else {
                kept.unhindered_w = power.real_power_w;
                continue;
            };
            let off_real = power.real_power_w - settings.follows(real_w, power.real_power_w);
            let off_reactive = power.reactive_power_var - reactive_var;
            let before = kept.is_astray();
            kept.count(settings, off_real, off_reactive);
            if kept.is_astray() && !before {
                warnings.push(format!(
                    "{} does not do what its setpoint says; it is not reckoned with until it does",
                    settings.unit.name
                ));
            }
            kept.estimate(settings, power.real_power_w);
        }
    }

    /// Adds the epoch's energies.
    fn account(&mut self, sight: &Sight, when: When) {
        self.totals.epochs_seen += 1;
        let kwh = when.hours / 1000.0;
        for (kept, settings) in self.kept.iter().zip(&self.settings.resources) {
            let (Some(power), Some(_)) = (sight.powers.get(&settings.unit.name), kept.commanded) else {
                continue;
            };
            if settings.unit.max_reactive_power_var > 0.0 {
                self.totals.reactive_kvarh += power.reactive_power_var.abs() * kwh;
            }
            let missing = kept.unhindered_w - power.real_power_w;
            match settings.unit.kind {
                ResourceKind::Generator => self.totals.curtailed_kwh += missing.max(0.0) * kwh,
                ResourceKind::Load => self.totals.shed_kwh += (-missing).max(0.0) * kwh,
                ResourceKind::Storage => {
                    self.totals.storage_kwh += (power.real_power_w - kept.base.0).abs() * kwh;
                }
            }
        }
    }

    /// The actuators as they will stand in the next epoch if nothing is decided, and `values` with them.
    fn actuators(
        &self,
        controls: &[(usize, Axis, Stage)],
        slopes: Vec<Vec<f64>>,
        sight: &Sight,
        (base, hours): (&Base, f64),
        values: &mut [f64],
    ) -> Vec<Actuator> {
        let mut actuators = Vec::with_capacity(controls.len());
        for (&(resource, axis, stage), slopes) in controls.iter().zip(slopes) {
            let (settings, kept) = (&self.settings.resources[resource], &self.kept[resource]);
            let power = sight.powers.get(&settings.unit.name).copied().unwrap_or_default();
            let base = settings.base(base);
            let (measured, size) = match axis {
                Axis::Real => (power.real_power_w, settings.unit.rated_power_w),
                Axis::Reactive => (power.reactive_power_var, settings.unit.max_reactive_power_var),
            };
            let obeys = !kept.is_astray() && !sight.unreliable.contains(&settings.unit.name);
            let mut actuator = Actuator {
                resource,
                axis,
                stage,
                size,
                slopes,
                range: (measured, measured),
                expected: measured,
                told: measured,
                base: measured,
                release_share: settings.release_share,
                obeys,
            };
            if obeys {
                let soc = sight.states_of_charge.get(&settings.unit.name).copied();
                let (told, expected, goal, range) = kept.outlook(settings, axis, power, base, soc, hours);
                actuator.shift(expected - measured, values);
                (actuator.told, actuator.base, actuator.range) = (told, goal, range);
            }
            actuators.push(actuator);
        }
        actuators
    }

    /// Takes the positions; says whether any tap changer is on its way.
    fn observe_taps(&mut self, sight: &Sight, day: i64, warnings: &mut Vec<String>) -> bool {
        let mut moving = false;
        for tap in &mut self.taps {
            let position = sight.tap_positions.get(tap.name()).copied();
            warnings.extend(tap.observe(position, day));
            if position.is_none() {
                warnings.push(format!("the position of {} is not known for certain; it stays", tap.name()));
            }
            moving |= position.is_some() && tap.is_busy(position);
        }
        moving
    }

    /// Sends one tap changer one step if that is due. Gives by how much the values change, and says it.
    fn move_tap(
        &mut self,
        sight: &Sight,
        point: &Point,
        model: &[f64],
        values: &[f64],
        actuators: &[Actuator],
        base: &Base,
    ) -> Result<Option<(Vec<f64>, String)>, SolveError> {
        let mut unsupported = values.to_vec();
        for actuator in actuators {
            let mut alone = actuator.clone();
            let goal = match actuator.stage {
                // What setpoints of its own keep away, not what the plan does.
                Stage::LastResort if actuator.base >= 0.0 && actuator.obeys => {
                    self.kept[actuator.resource].unhindered_w.min(actuator.base).max(actuator.expected)
                }
                Stage::LastResort if actuator.obeys => {
                    self.kept[actuator.resource].unhindered_w.max(actuator.base).min(actuator.expected)
                }
                _ => actuator.base,
            };
            alone.shift(goal - actuator.expected, &mut unsupported);
        }
        let next = self.as_planned(values, actuators, base);
        let before = self.excess(&unsupported);
        for tap in &mut self.taps {
            let busy = tap.is_busy(sight.tap_positions.get(tap.name()).copied());
            tap.count(before, busy, OUTSIDE);
        }
        if self.taps.iter().any(|tap| tap.is_busy(sight.tap_positions.get(tap.name()).copied())) {
            return Ok(None);
        }
        for at in 0..self.taps.len() {
            let tap = &self.taps[at];
            let (name, branch, due) = (tap.name().to_owned(), tap.branch, tap.is_due());
            let overdue = tap.is_overdue();
            if !tap.is_free() {
                continue;
            }
            let wanted = base.tap_positions.get(&name).and_then(|target| tap.towards(*target));
            let candidates = match (due, wanted) {
                (true, _) => tap.neighbours(),
                (false, Some(position)) => vec![position],
                (false, None) => continue,
            };
            for position in candidates {
                let mut there = point.clone();
                there.taps.insert(branch, position);
                let change: Vec<f64> =
                    self.feeder.solve(&there)?.iter().zip(model).map(|(there, here)| there - here).collect();
                let shifted = |values: &[f64]| -> Vec<f64> {
                    values.iter().zip(&change).map(|(value, by)| value + by).collect()
                };
                let after = self.excess(&shifted(&unsupported));
                let moves = if due {
                    let spoils = self.excess(&shifted(&next)).worst() > self.excess(&next).worst().max(0.0);
                    repairs(before, after, OUTSIDE) && (overdue || base.powers.is_empty() || !spoils)
                } else {
                    // A step that prepares for what comes may be wrong for what is.
                    let stays = before.is_inside(OUTSIDE) && after.is_inside(0.0);
                    stays
                        || self.excess_of(&shifted(&next), &self.settings.limits.last_resort()).is_inside(0.0)
                };
                if moves {
                    self.taps[at].operate(position);
                    let why = if due { "against voltages outside the target band" } else { "as planned" };
                    return Ok(Some((change, format!("{name} goes to {position} {why}"))));
                }
            }
        }
        Ok(None)
    }

    /// The values of the next epoch if everybody whom the plan names does what it says. Who does not obey goes on.
    fn as_planned(&self, values: &[f64], actuators: &[Actuator], base: &Base) -> Vec<f64> {
        let mut planned = values.to_vec();
        for actuator in actuators.iter().filter(|actuator| actuator.obeys) {
            let name = &self.settings.resources[actuator.resource].unit.name;
            let Some((real_w, reactive_var)) = base.powers.get(name) else { continue };
            let goal = if actuator.axis == Axis::Real { real_w } else { reactive_var };
            actuator.clone().shift(goal - actuator.expected, &mut planned);
        }
        planned
    }

    fn excess(&self, values: &[f64]) -> Excess {
        self.excess_of(values, &self.settings.limits.target())
    }

    fn excess_of(&self, values: &[f64], band: &Band) -> Excess {
        let places = self.feeder.places();
        let bounds = places.bounds(band);
        let voltages = places.list().iter().zip(values).zip(bounds);
        Excess::of(
            voltages.filter(|((place, _), _)| place.is_voltage()).map(|((_, value), bound)| (*value, bound)),
        )
    }

    /// Takes measures where values are outside; else takes measures back.
    fn move_resources(&self, values: &mut [f64], actuators: &mut [Actuator], tap_moves: bool) {
        let (limits, places) = (&self.settings.limits, self.feeder.places());
        let margin = limits.release_margin_pu;
        let band =
            |stage: Stage| if stage == Stage::LastResort { limits.last_resort() } else { limits.target() };
        let mut acted = false;
        for stage in Stage::ALL {
            let bounds = places.bounds(&band(stage));
            let aims = places.bounds(&band(stage).inside(margin / 2.0, LOADING_RELEASE / 2.0));
            acted |= hold(values, actuators, stage, &bounds, &aims);
        }
        if acted || tap_moves {
            return;
        }
        for stage in Stage::ALL.into_iter().rev() {
            let room = places.bounds(&band(stage).inside(margin, LOADING_RELEASE));
            release(values, actuators, stage, &room);
        }
    }

    /// Counts violations and says where they are.
    fn judge(&mut self, sight: &Sight, expected: &[f64], warnings: &mut Vec<String>) {
        let (places, limits) = (self.feeder.places(), &self.settings.limits);
        let Some((by, at)) = places.worst(&sight.values, limits) else { return };
        self.totals.epochs_with_violation += 1;
        let place = places.list()[at].describe(sight.values[at]);
        if self.totals.worst.as_ref().is_none_or(|(worst, _)| by > *worst) {
            self.totals.worst = Some((by, place.clone()));
        }
        if any_outside(expected, &places.bounds(&limits.red())) {
            self.totals.epochs_not_repaired += 1;
            warnings.push(format!("{place}: beyond its limits, and the measures at hand are not enough"));
        } else {
            warnings.push(format!("{place}: beyond its limits"));
        }
    }

    /// Makes commands of what the actuators are told.
    fn command(&mut self, actuators: &[Actuator], base: &Base) {
        for (at, (kept, settings)) in self.kept.iter_mut().zip(&self.settings.resources).enumerate() {
            let base = settings.base(base);
            let before = kept.commanded.unwrap_or(base);
            let mut command = (if settings.curtail { before.0 } else { base.0 }, before.1);
            for actuator in actuators.iter().filter(|actuator| actuator.resource == at && actuator.obeys) {
                match actuator.axis {
                    Axis::Reactive => command.1 = actuator.told,
                    Axis::Real => command.0 = actuator.told,
                }
            }
            kept.set(settings, command, base);
        }
    }

    fn instruct(&mut self, mut instructions: Instructions) -> Instructions {
        for (kept, settings) in self.kept.iter_mut().zip(&self.settings.resources) {
            let (real_w, reactive_var) = kept.commanded.unwrap_or_else(|| settings.base(&Base::default()));
            kept.commanded = Some((real_w, reactive_var));
            instructions.setpoints.push((settings.unit.name.clone(), real_w, reactive_var));
        }
        for tap in &self.taps {
            instructions.tap_positions.extend(tap.commanded().map(|at| (tap.name().to_owned(), at)));
        }
        self.totals.tap_operations = self.taps.iter().map(|tap| tap.operations).sum();
        instructions
    }
}
