//! How an inverter is told what to do: models 123, 124 and 704, as plans of register writes and as what they hold.
//!
//! A PV inverter is given a ceiling of real power as a percentage of WMax (704, else 123); a battery is given a
//! power, charging included (WSet of 704, else the window of 124). Reactive power is a percentage of WMax. Model 704
//! also says to which value it reverts, so it is preferred. The enabling registers come last, so that a value never
//! takes effect before its revert time stands. Only one of these is driven, and none while somebody else has enabled
//! another one that contradicts it: SunSpec does not say which of them wins.

mod levers;

use super::block::{BadScaleFactor, Block};
use super::models::Point;
use super::nameplate::Ratings;
use crate::registers::Unencodable;
use gridloop_device::{Command, FailSafe, PowerRange};
use levers::{Lever, Levers, Value, Whole};
use std::time::Duration;

pub(super) use levers::Means;

/// The timer of a device that can be told where to go, when the configuration does not name another.
const USUAL_REVERT: Duration = Duration::from_secs(30);

/// The point of model 124 by which a battery says that it may not be charged from the grid, and its value for that.
const NO_GRID_CHARGING: (&str, f64) = ("ChaGriSet", 0.0);

/// When an inverter is to end a command by itself that is not renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RevertAfter {
    /// After 30 s where it goes to a stated power then (model 704 with a reversion value). Never where it would only
    /// drop the command (models 123 and 124), because its output may rise then.
    #[default]
    Usual,
    /// Never: it keeps the command until it is told otherwise.
    Never,
    /// After this time. Rounded to whole seconds, at least one.
    After(Duration),
}

/// The device-side fail-safe that is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Revert {
    /// When commands cease for this long, in whole seconds of at least one.
    pub(super) after: Duration,
    /// The real power to revert to, in W. Only model 704 can.
    pub(super) to_w: f64,
}

/// What is wanted of the controls.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Goal {
    /// This power in force.
    Power { real_power_w: f64, reactive_power_var: f64 },
    /// Nothing in force. `reactive`: the lever of reactive power has to be there to be freed.
    Free { reactive: bool },
    /// Whatever is there.
    Adopt,
}

impl Goal {
    /// What errors call it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Power { .. } => "apply power",
            Self::Free { .. } => "release",
            Self::Adopt => "read back",
        }
    }
}

/// Registers to be written to one point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Write {
    pub(super) point: &'static Point,
    pub(super) registers: Vec<u16>,
}

impl Write {
    /// Whether the registers of `next` follow on its own.
    pub(super) fn precedes(&self, next: &Write) -> bool {
        self.point.offset + self.point.kind.registers() == next.point.offset
    }
}

/// Why a command cannot be put into registers.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum Impossible {
    #[error("{what} of {asked} is outside {low} to {high}")]
    OutOfRange { what: &'static str, asked: f64, low: f64, high: f64 },
    #[error("{point}: {reason}")]
    Unencodable { point: &'static str, reason: Unencodable },
    #[error("the device has no {0}")]
    Missing(&'static str),
    #[error("{point} of model {model} is enabled by another controller and contradicts this command")]
    Rival { model: u16, point: &'static str },
    #[error(transparent)]
    BadScaleFactor(#[from] BadScaleFactor),
}

/// The control block of a device, read just now, and the powers that 100 per cent stand for.
pub(super) struct Controls<'b> {
    block: &'b Block,
    means: Means,
    levers: &'static Levers,
    ratings: Ratings,
}

impl<'b> Controls<'b> {
    pub(super) fn new(block: &'b Block, means: Means, ratings: Ratings) -> Self {
        Self { block, means, levers: means.levers(), ratings }
    }

    /// Whether real power can be commanded by these means.
    pub(super) fn commands_power(&self) -> bool {
        let rated = !self.means.is_set_point()
            || (self.ratings.charge_w.is_some() && self.ratings.discharge_w.is_some());
        rated && self.is_present(&self.levers.real)
    }

    /// The power that can be commanded with this timer.
    pub(super) fn range(&self, revert: Option<Revert>) -> PowerRange {
        let Ratings { w_max, max_var, charge_w, discharge_w } = self.ratings;
        let max_var = if self.reactive(revert).is_some() { max_var } else { 0.0 };
        if !self.means.is_set_point() {
            return PowerRange { min_w: 0.0, max_w: w_max, max_var };
        }
        let (mut charge_w, mut discharge_w) = (charge_w.unwrap_or(0.0), discharge_w.unwrap_or(0.0));
        if self.means == Means::Storage124 {
            // Each end of the window is also the other one's, in per cent of another rating: neither beyond 100 %.
            charge_w = charge_w.min(discharge_w);
            discharge_w = charge_w;
        }
        let (point, forbidden) = NO_GRID_CHARGING;
        let may_charge = self.block.named(point) != Ok(Some(forbidden));
        PowerRange { min_w: if may_charge { -charge_w } else { 0.0 }, max_w: discharge_w, max_var }
    }

    /// The timer that the configuration means on this device.
    pub(super) fn revert(&self, after: RevertAfter, to_w: f64) -> Option<Revert> {
        match after {
            RevertAfter::Never => None,
            RevertAfter::After(after) => Some(Revert { after, to_w }),
            RevertAfter::Usual => {
                self.reverts_to_value(&self.levers.real).then_some(Revert { after: USUAL_REVERT, to_w })
            }
        }
    }

    /// What the device will do by itself once `revert` is armed: of what it does with real and with reactive power,
    /// the weaker.
    pub(super) fn fail_safe(&self, revert: Option<Revert>) -> FailSafe {
        let Some(Revert { after, to_w }) = revert.filter(|_| self.has_timer(&self.levers.real)) else {
            return FailSafe::None;
        };
        let after = Duration::from_secs(whole_seconds(after));
        let mut driven = [Some(&self.levers.real), self.reactive(revert)].into_iter().flatten();
        if driven.all(|lever| self.reverts_to_value(lever)) {
            FailSafe::RevertsToValue { after, to_w: Some(to_w) }
        } else {
            FailSafe::RevertsToFree { after }
        }
    }

    fn has_timer(&self, lever: &Lever) -> bool {
        implemented(self.block, lever.revert_s)
    }

    fn reverts_to_value(&self, lever: &Lever) -> bool {
        let there = |(value, enable)| implemented(self.block, value) && implemented(self.block, enable);
        self.has_timer(lever) && lever.revert_to.is_some_and(there)
    }

    /// The writes that reach a goal, in their order.
    pub(super) fn plan(&self, goal: Goal, revert: Option<Revert>) -> Result<Vec<Write>, Impossible> {
        match goal {
            Goal::Power { real_power_w, reactive_power_var } => {
                self.power(real_power_w, reactive_power_var, revert)
            }
            Goal::Free { reactive } => self.release(reactive),
            Goal::Adopt => Ok(Vec::new()),
        }
    }

    /// The writes that put this power in force: values and revert times, then enables.
    fn power(
        &self,
        real_power_w: f64,
        reactive_power_var: f64,
        revert: Option<Revert>,
    ) -> Result<Vec<Write>, Impossible> {
        self.means.yields_to(self.block)?;
        if !self.commands_power() {
            return Err(Impossible::Missing("command of real power"));
        }
        let PowerRange { min_w, max_w, max_var } = self.range(revert);
        let real = self.within("real power", real_power_w, min_w, max_w)?;
        let revert_to =
            revert.map(|revert| self.within("revert power", revert.to_w, min_w, max_w)).transpose()?;
        let after = revert.map(|revert| revert.after);
        let (mut values, mut enables) = self.pull(&self.levers.real, real, after, revert_to)?;
        if let Some(lever) = self.reactive(revert) {
            let var = self.within("reactive power", reactive_power_var, -max_var, max_var)?;
            let (more, enable) = self.pull(lever, var, after, after.map(|_| 0.0))?;
            values.extend(more);
            enables.extend(enable);
        } else if reactive_power_var != 0.0 {
            return Err(Impossible::Missing("setting of reactive power"));
        }
        values.extend(enables);
        Ok(values)
    }

    /// The writes that put everything out of force that [`Controls::power`] puts in force, and then disarm the
    /// reversion to a value. An enable that is gone cannot be said to be out of force.
    fn release(&self, reactive: bool) -> Result<Vec<Write>, Impossible> {
        let (mut enables, mut reversions) = (Vec::new(), Vec::new());
        let needed = [Some(&self.levers.real), self.levers.reactive.as_ref().filter(|_| reactive)];
        if let Some(lever) =
            needed.into_iter().flatten().find(|lever| !implemented(self.block, lever.enable.0))
        {
            return Err(Impossible::Missing(lever.enable.0));
        }
        for lever in self.all().filter(|lever| implemented(self.block, lever.enable.0)) {
            enables.push(self.write(lever.enable.0, 0.0)?);
            let Some((_, armed)) = lever.revert_to else { continue };
            for point in [armed, lever.revert_s].into_iter().filter(|point| implemented(self.block, point)) {
                reversions.push(self.write(point, 0.0)?);
            }
        }
        enables.extend(reversions);
        Ok(enables)
    }

    /// The write that puts the real power in force, where it is not.
    pub(super) fn enable_again(&self) -> Result<Option<Write>, Impossible> {
        let write = self.write(self.levers.real.enable.0, self.levers.real.enable.1)?;
        Ok((self.block.registers(write.point) != Some(&write.registers)).then_some(write))
    }

    /// What takes the real power out of force first, for devices that take no new value otherwise. Nothing when it is
    /// not in force, or when it holds what is to be written.
    pub(super) fn disable_first(&self, writes: &[Write]) -> Result<Vec<Write>, Impossible> {
        let real = &self.levers.real;
        let values = || real.values.iter().map(|value| value.point);
        let changes =
            self.missing(writes).iter().any(|write| values().any(|point| point == write.point.name));
        if !changes || self.block.named(real.enable.0)? != Some(real.enable.1) {
            return Ok(Vec::new());
        }
        Ok(vec![self.write(real.enable.0, 0.0)?])
    }

    /// The command that the registers hold. What is not in force counts as no limit, or as no power, and as no
    /// reactive power.
    pub(super) fn held(&self) -> Result<Command, BadScaleFactor> {
        let reactive = self.levers.reactive.as_ref().map_or(Ok(None), |lever| self.in_force(lever));
        Ok(self.told(self.in_force(&self.levers.real)?, reactive?))
    }

    /// The command in force; `None` when none is, or the registers make no sense.
    pub(super) fn standing(&self) -> Option<Command> {
        let real = self.in_force(&self.levers.real).ok().flatten();
        let reactive = self.levers.reactive.as_ref().and_then(|lever| self.in_force(lever).ok().flatten());
        (real.is_some() || reactive.is_some()).then(|| self.told(real, reactive))
    }

    /// Whether a command that was read back is the goal, but for half a step of the registers.
    ///
    /// # Errors
    /// A sentence with both, when it is not.
    pub(super) fn check(&self, goal: Goal, held: Command) -> Result<(), String> {
        let (
            Goal::Power { real_power_w: asked_w, reactive_power_var: asked_var },
            Command::Power { real_power_w: held_w, reactive_power_var: held_var },
        ) = (goal, held)
        else {
            return Ok(());
        };
        let is_near = |lever: Option<&Lever>, asked: f64, held: f64| {
            let step = lever.and_then(|lever| self.step(lever.values.first()?)).unwrap_or(0.0);
            (asked - held).abs() <= step / 2.0 + self.ratings.w_max * 1e-6
        };
        if is_near(Some(&self.levers.real), asked_w, held_w)
            && is_near(self.levers.reactive.as_ref(), asked_var, held_var)
        {
            return Ok(());
        }
        Err(format!(
            "asked for {asked_w} W and {asked_var} var, the device holds {held_w} W and {held_var} var"
        ))
    }

    /// Those of `writes` that the registers do not hold.
    pub(super) fn missing<'w>(&self, writes: &'w [Write]) -> Vec<&'w Write> {
        writes
            .iter()
            .filter(|write| self.block.registers(write.point) != Some(write.registers.as_slice()))
            .collect()
    }

    /// What a lever holds in W or var; `None` when it is not in force, or does not mean one power.
    fn in_force(&self, lever: &Lever) -> Result<Option<f64>, BadScaleFactor> {
        let stands = |(point, value): (&str, f64)| Ok(self.block.named(point)? == Some(value));
        if !stands(lever.enable)? || !lever.mode.map_or(Ok(true), stands)? {
            return Ok(None);
        }
        let mut power = None;
        for value in lever.values {
            let Some(held) = self.block.named(value.point)? else { return Ok(None) };
            let held = self.power_of(value, held);
            let step = self.step(value).unwrap_or(0.0);
            if power.is_some_and(|power: f64| (power - held).abs() > step + self.ratings.w_max * 1e-6) {
                return Ok(None);
            }
            power = power.or(Some(held));
        }
        Ok(power)
    }

    fn told(&self, real_power_w: Option<f64>, reactive_power_var: Option<f64>) -> Command {
        let free_w = if self.means.is_set_point() { 0.0 } else { self.ratings.w_max };
        Command::Power {
            real_power_w: real_power_w.unwrap_or(free_w),
            reactive_power_var: reactive_power_var.unwrap_or(0.0),
        }
    }

    /// The writes for one lever: everything but the enable, and the enable.
    fn pull(
        &self,
        lever: &Lever,
        power: f64,
        revert_after: Option<Duration>,
        revert_to: Option<f64>,
    ) -> Result<(Vec<Write>, Vec<Write>), Impossible> {
        let (mut timer, mut values) = (Vec::new(), Vec::new());
        if let (Some((to, enable)), Some(power), Some(value)) =
            (lever.revert_to, revert_to, lever.values.first())
            && implemented(self.block, to)
            && implemented(self.block, enable)
        {
            timer.push(self.write(to, self.value_of(value, power))?);
            timer.push(self.write(enable, 1.0)?);
        }
        if implemented(self.block, lever.revert_s) {
            // Zero: a time that somebody else left there must not end our command.
            let seconds = revert_after.map_or(0, whole_seconds);
            timer.push(self.write(lever.revert_s, seconds as f64)?);
        }
        for value in lever.values {
            values.push(self.write(value.point, self.value_of(value, power))?);
        }
        let mode = lever.mode.map(|(mode, value)| self.write(mode, value)).transpose()?;
        let enable = vec![self.write(lever.enable.0, lever.enable.1)?];
        // The value goes before its timer only where one request takes both.
        let together = [values.clone(), timer.clone()].concat();
        let writes = if together.windows(2).all(|pair| pair[0].precedes(&pair[1])) {
            mode.into_iter().chain(together).collect()
        } else {
            timer.into_iter().chain(mode).chain(values).collect()
        };
        Ok((writes, enable))
    }

    fn write(&self, name: &'static str, value: f64) -> Result<Write, Impossible> {
        let point = self.block.model.point(name).ok_or(Impossible::Missing(name))?;
        let registers = self
            .block
            .encode(point, value)
            .map_err(|reason| Impossible::Unencodable { point: name, reason })?;
        Ok(Write { point, registers })
    }

    /// A power within its limits; a rounding error beyond them is cut off.
    fn within(&self, what: &'static str, asked: f64, low: f64, high: f64) -> Result<f64, Impossible> {
        let slack = self.ratings.w_max * 1e-9;
        if !(low - slack..=high + slack).contains(&asked) {
            return Err(Impossible::OutOfRange { what, asked, low, high });
        }
        Ok(asked.clamp(low, high))
    }

    /// A power in the unit of a point.
    fn value_of(&self, value: &Value, power: f64) -> f64 {
        self.whole(value).map_or(power, |whole| power / whole * 100.0)
    }

    /// What a number in the unit of a point means in W or var.
    fn power_of(&self, value: &Value, number: f64) -> f64 {
        self.whole(value).map_or(number, |whole| number * whole / 100.0)
    }

    /// What 100 per cent of a point are; below zero where it counts charging. `None` when it is not in per cent.
    fn whole(&self, value: &Value) -> Option<f64> {
        let Ratings { w_max, charge_w, discharge_w, .. } = self.ratings;
        match value.whole {
            Whole::Max => Some(w_max),
            Whole::Charge => Some(-charge_w.unwrap_or(w_max)),
            Whole::Discharge => Some(discharge_w.unwrap_or(w_max)),
            Whole::None => None,
        }
    }

    /// The difference between neighbouring values of a point, in W or var.
    fn step(&self, value: &Value) -> Option<f64> {
        let step = self.block.step(self.block.model.point(value.point)?)?;
        Some(self.power_of(value, step).abs())
    }

    fn all(&self) -> impl Iterator<Item = &'static Lever> {
        [Some(&self.levers.real), self.levers.reactive.as_ref()].into_iter().flatten()
    }

    /// Whether the device has a lever of reactive power.
    pub(super) fn has_reactive(&self) -> bool {
        self.levers.reactive.as_ref().is_some_and(|lever| self.is_present(lever))
    }

    /// The lever of reactive power that is driven with this timer: none that would stay when the timer of the real
    /// power is over.
    fn reactive(&self, revert: Option<Revert>) -> Option<&'static Lever> {
        let lever = self.levers.reactive.as_ref().filter(|lever| self.is_present(lever))?;
        let stays = revert.is_some() && self.has_timer(&self.levers.real) && !self.has_timer(lever);
        (!stays).then_some(lever)
    }

    /// A lever is there when its values, their scales, its enable and its mode are.
    fn is_present(&self, lever: &Lever) -> bool {
        let there = |value: &Value| {
            let scaled =
                self.block.model.point(value.point).is_some_and(|p| self.block.encode(p, 0.0).is_ok());
            scaled && implemented(self.block, value.point)
        };
        let mode = lever.mode.is_none_or(|(mode, _)| implemented(self.block, mode));
        mode && lever.values.iter().all(there) && implemented(self.block, lever.enable.0)
    }
}

/// Whether the device has a point: its model is long enough and its register is not "not implemented".
fn implemented(block: &Block, name: &str) -> bool {
    let registers = block.model.point(name).and_then(|point| Some((point, block.registers(point)?)));
    registers.is_some_and(|(point, registers)| super::value::raw_number(point.kind, registers).is_some())
}

/// Revert times are whole seconds; a shorter one becomes one second, because zero means never.
fn whole_seconds(time: Duration) -> u64 {
    (time.as_secs() + u64::from(time.subsec_nanos() >= 500_000_000)).max(1)
}

#[cfg(test)]
mod tests;
