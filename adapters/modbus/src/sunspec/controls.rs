//! How an inverter is told what to do: models 123 and 704, as plans of register writes and as what they hold.
//!
//! Both limit real power to a percentage of WMax; both can set reactive power as a percentage of WMax. Model 704 also
//! says to which value it reverts, so it is preferred. The enabling registers come last, so that a value never takes
//! effect before its revert time stands. WSet, the other way to command real power, is never driven.

use super::block::{BadScaleFactor, Block};
use super::models::Point;
use crate::registers::Unencodable;
use gridloop_device::{Command, FailSafe};
use std::time::Duration;

/// The control models, best first.
pub(super) const CONTROLS: [u16; 2] = [704, 123];

/// The percentage and the points around it, by which one quantity is commanded.
struct Lever {
    /// Per cent of WMax.
    percent: &'static str,
    /// 1 puts it in force.
    enable: &'static str,
    /// Seconds until it reverts; 0 is never.
    revert_s: &'static str,
    /// Per cent of WMax to revert to, and 1 for doing so.
    revert_to: Option<(&'static str, &'static str)>,
    /// The point that selects "per cent of WMax", and its value for that.
    mode: Option<(&'static str, f64)>,
}

struct Levers {
    real: Lever,
    reactive: Lever,
    /// The enabling point of a command that contradicts ours.
    rival: Option<&'static str>,
}

static IMMEDIATE: Levers = Levers {
    real: Lever {
        percent: "WMaxLimPct",
        enable: "WMaxLim_Ena",
        revert_s: "WMaxLimPct_RvrtTms",
        revert_to: None,
        mode: None,
    },
    reactive: Lever {
        percent: "VArWMaxPct",
        enable: "VArPct_Ena",
        revert_s: "VArPct_RvrtTms",
        revert_to: None,
        mode: Some(("VArPct_Mod", 1.0)),
    },
    rival: None,
};

static DER: Levers = Levers {
    real: Lever {
        percent: "WMaxLimPct",
        enable: "WMaxLimPctEna",
        revert_s: "WMaxLimPctRvrtTms",
        revert_to: Some(("WMaxLimPctRvrt", "WMaxLimPctEnaRvrt")),
        mode: None,
    },
    reactive: Lever {
        percent: "VarSetPct",
        enable: "VarSetEna",
        revert_s: "VarSetRvrtTms",
        revert_to: Some(("VarSetPctRvrt", "VarSetEnaRvrt")),
        mode: Some(("VarSetMod", 0.0)),
    },
    rival: Some("WSetEna"),
};

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
    /// Nothing in force.
    Free,
    /// Whatever is there.
    Adopt,
}

impl Goal {
    /// What errors call it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Power { .. } => "apply power",
            Self::Free => "release",
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

/// Why a command cannot be put into registers.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum Impossible {
    #[error("{what} of {asked} is outside {low} to {high}")]
    OutOfRange { what: &'static str, asked: f64, low: f64, high: f64 },
    #[error("{point}: {reason}")]
    Unencodable { point: &'static str, reason: Unencodable },
    #[error("the device has no {0}")]
    Missing(&'static str),
    #[error("{0} is enabled by another controller and contradicts a limit")]
    Rival(&'static str),
    #[error(transparent)]
    BadScaleFactor(#[from] BadScaleFactor),
}

/// The control block of a device, read just now, and the power that 100 per cent stands for.
pub(super) struct Controls<'b> {
    block: &'b Block,
    levers: &'static Levers,
    w_max: f64,
    max_var: f64,
}

impl<'b> Controls<'b> {
    pub(super) fn new(block: &'b Block, w_max: f64, max_var: f64) -> Self {
        let levers = if block.place.id == 704 { &DER } else { &IMMEDIATE };
        Self { block, levers, w_max, max_var }
    }

    /// Whether real power can be limited.
    pub(super) fn limits_power(&self) -> bool {
        self.levers.real.present(self.block)
    }

    /// Whether reactive power can be set.
    pub(super) fn sets_reactive_power(&self) -> bool {
        self.levers.reactive.present(self.block)
    }

    /// What the device will do by itself once `revert` is armed.
    pub(super) fn fail_safe(&self, revert: Option<Revert>) -> FailSafe {
        let real = &self.levers.real;
        let Some(Revert { after, .. }) = revert else { return FailSafe::None };
        if !implemented(self.block, real.revert_s) {
            return FailSafe::None;
        }
        let after = Duration::from_secs(whole_seconds(after));
        match real.revert_to {
            Some((percent, enable))
                if implemented(self.block, percent) && implemented(self.block, enable) =>
            {
                FailSafe::RevertsToValue { after }
            }
            _ => FailSafe::RevertsToFree { after },
        }
    }

    /// The writes that reach a goal, in their order.
    pub(super) fn plan(&self, goal: Goal, revert: Option<Revert>) -> Result<Vec<Write>, Impossible> {
        match goal {
            Goal::Power { real_power_w, reactive_power_var } => {
                self.power(real_power_w, reactive_power_var, revert)
            }
            Goal::Free => self.release(),
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
        if let Some(rival) = self.levers.rival
            && self.block.named(rival)? == Some(1.0)
        {
            return Err(Impossible::Rival(rival));
        }
        if !self.limits_power() {
            return Err(Impossible::Missing("limit of real power"));
        }
        let limit = self.percent("real power", real_power_w, 0.0, self.w_max)?;
        let revert_to =
            revert.map(|revert| self.percent("revert power", revert.to_w, 0.0, self.w_max)).transpose()?;
        let after = revert.map(|revert| revert.after);
        let (mut values, mut enables) = self.pull(&self.levers.real, limit, after, revert_to)?;
        if self.sets_reactive_power() {
            let share = self.percent("reactive power", reactive_power_var, -self.max_var, self.max_var)?;
            let (more, enable) = self.pull(&self.levers.reactive, share, after, after.map(|_| 0.0))?;
            values.extend(more);
            enables.extend(enable);
        } else if reactive_power_var != 0.0 {
            return Err(Impossible::Missing("setting of reactive power"));
        }
        values.extend(enables);
        Ok(values)
    }

    /// The writes that put everything out of force that [`Controls::power`] puts in force.
    fn release(&self) -> Result<Vec<Write>, Impossible> {
        let levers = [&self.levers.real, &self.levers.reactive];
        levers
            .into_iter()
            .filter(|lever| implemented(self.block, lever.enable))
            .map(|lever| self.write(lever.enable, 0.0))
            .collect()
    }

    /// The command that the registers hold. What is not in force counts as WMax and as no reactive power.
    pub(super) fn held(&self) -> Result<Command, BadScaleFactor> {
        let [real, reactive] = [&self.levers.real, &self.levers.reactive].map(|lever| self.in_force(lever));
        Ok(self.told(real?, reactive?))
    }

    /// The command in force; `None` when none is, or the registers make no sense.
    pub(super) fn standing(&self) -> Option<Command> {
        let [real, reactive] =
            [&self.levers.real, &self.levers.reactive].map(|lever| self.in_force(lever).ok().flatten());
        (real.is_some() || reactive.is_some()).then(|| self.told(real, reactive))
    }

    /// Whether a command that was read back is the goal, but for half a step of the per cents.
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
        let is_near = |lever: &Lever, asked: f64, held: f64| {
            let step = self.block.model.point(lever.percent).and_then(|point| self.block.step(point));
            let half_step_w = step.unwrap_or(0.0) / 2.0 * self.w_max / 100.0;
            (asked - held).abs() <= half_step_w + self.w_max * 1e-6
        };
        if is_near(&self.levers.real, asked_w, held_w) && is_near(&self.levers.reactive, asked_var, held_var)
        {
            return Ok(());
        }
        Err(format!(
            "asked for {asked_w} W and {asked_var} var, the device holds {held_w} W and {held_var} var"
        ))
    }

    /// What a lever holds in W or var; `None` when it is not in force, or does not mean per cent of WMax.
    fn in_force(&self, lever: &Lever) -> Result<Option<f64>, BadScaleFactor> {
        let stands = |(point, value): (&str, f64)| Ok(self.block.named(point)? == Some(value));
        if !stands((lever.enable, 1.0))? || !lever.mode.map_or(Ok(true), stands)? {
            return Ok(None);
        }
        Ok(self.block.named(lever.percent)?.map(|percent| percent * self.w_max / 100.0))
    }

    fn told(&self, real_power_w: Option<f64>, reactive_power_var: Option<f64>) -> Command {
        Command::Power {
            real_power_w: real_power_w.unwrap_or(self.w_max),
            reactive_power_var: reactive_power_var.unwrap_or(0.0),
        }
    }

    /// Those of `writes` that the registers do not hold.
    pub(super) fn missing<'w>(&self, writes: &'w [Write]) -> Vec<&'w Write> {
        writes
            .iter()
            .filter(|write| self.block.registers(write.point) != Some(write.registers.as_slice()))
            .collect()
    }

    /// The writes for one lever: everything but the enable, and the enable.
    fn pull(
        &self,
        lever: &Lever,
        percent: f64,
        revert_after: Option<Duration>,
        revert_to: Option<f64>,
    ) -> Result<(Vec<Write>, Vec<Write>), Impossible> {
        let mut values = Vec::new();
        if let (Some((to, enable)), Some(percent)) = (lever.revert_to, revert_to)
            && implemented(self.block, to)
            && implemented(self.block, enable)
        {
            values.push(self.write(to, percent)?);
            values.push(self.write(enable, 1.0)?);
        }
        if implemented(self.block, lever.revert_s) {
            // Zero: a time that somebody else left there must not end our command.
            let seconds = revert_after.map_or(0, whole_seconds);
            values.push(self.write(lever.revert_s, seconds as f64)?);
        }
        if let Some((mode, value)) = lever.mode {
            values.push(self.write(mode, value)?);
        }
        values.push(self.write(lever.percent, percent)?);
        Ok((values, vec![self.write(lever.enable, 1.0)?]))
    }

    fn write(&self, name: &'static str, value: f64) -> Result<Write, Impossible> {
        let point = self.block.model.point(name).ok_or(Impossible::Missing(name))?;
        let registers = self
            .block
            .encode(point, value)
            .map_err(|reason| Impossible::Unencodable { point: name, reason })?;
        Ok(Write { point, registers })
    }

    /// Watts (or var) as per cent of WMax, within `low` to `high`.
    fn percent(&self, what: &'static str, asked: f64, low: f64, high: f64) -> Result<f64, Impossible> {
        let slack = self.w_max * 1e-9;
        if !(low - slack..=high + slack).contains(&asked) {
            return Err(Impossible::OutOfRange { what, asked, low, high });
        }
        Ok(asked.clamp(low, high) / self.w_max * 100.0)
    }
}

impl Lever {
    /// A lever is there when its value, its scale, its enable and its mode are.
    fn present(&self, block: &Block) -> bool {
        let mode = self.mode.is_none_or(|(mode, _)| implemented(block, mode));
        let scaled = block.model.point(self.percent).is_some_and(|point| block.encode(point, 0.0).is_ok());
        mode && scaled && implemented(block, self.percent) && implemented(block, self.enable)
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
