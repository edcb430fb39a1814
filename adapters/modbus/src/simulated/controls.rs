//! The controls of models 123 and 704 as tables: each [`Control`] names the points that enable a command, give its
//! value, and say what becomes of it when it is not renewed.
//!
//! One command of a kind is in force at a time: enabling it in one model disables it in the other.

use super::block::Block;
use gridloop_plant::{CommandError, Commanded, PvInverter, Revert};
use std::time::Duration;

/// What a control commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantity {
    Power,
    Reactive,
}

/// One command of a model.
#[derive(Debug)]
pub(super) struct Control {
    /// The model that it belongs to.
    pub(super) model: u16,
    /// What it commands.
    pub(super) quantity: Quantity,
    enable: &'static str,
    /// The point that says which of `values` is meant.
    mode: Option<&'static str>,
    values: &'static [Value],
    revert_seconds: &'static str,
    revert_remaining: Option<&'static str>,
    revert_enable: Option<&'static str>,
}

/// A point that can hold the value of a command.
#[derive(Debug)]
struct Value {
    mode: u8,
    point: &'static str,
    revert_point: Option<&'static str>,
    is_percent: bool,
}

/// What the registers ask for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Order {
    /// The control is disabled.
    Disabled,
    /// The control is enabled: the value in W or var, and what becomes of it.
    Enabled(f64, Option<Revert>),
}

/// What the registers ask for makes no sense.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Senseless;

/// Every control that the simulated inverter obeys. Power comes first: reactive power is what the rating leaves.
pub(super) const CONTROLS: &[Control] = &[
    Control {
        model: 123,
        quantity: Quantity::Power,
        enable: "WMaxLim_Ena",
        mode: None,
        values: &[Value { mode: 0, point: "WMaxLimPct", revert_point: None, is_percent: true }],
        revert_seconds: "WMaxLimPct_RvrtTms",
        revert_remaining: None,
        revert_enable: None,
    },
    Control {
        model: 123,
        quantity: Quantity::Reactive,
        enable: "VArPct_Ena",
        mode: Some("VArPct_Mod"),
        values: &[
            Value { mode: 1, point: "VArWMaxPct", revert_point: None, is_percent: true },
            Value { mode: 2, point: "VArMaxPct", revert_point: None, is_percent: true },
        ],
        revert_seconds: "VArPct_RvrtTms",
        revert_remaining: None,
        revert_enable: None,
    },
    Control {
        model: 704,
        quantity: Quantity::Power,
        enable: "WMaxLimPctEna",
        mode: None,
        values: &[Value {
            mode: 0,
            point: "WMaxLimPct",
            revert_point: Some("WMaxLimPctRvrt"),
            is_percent: true,
        }],
        revert_seconds: "WMaxLimPctRvrtTms",
        revert_remaining: Some("WMaxLimPctRvrtRem"),
        revert_enable: Some("WMaxLimPctEnaRvrt"),
    },
    Control {
        model: 704,
        quantity: Quantity::Reactive,
        enable: "VarSetEna",
        mode: Some("VarSetMod"),
        values: &[
            Value { mode: 0, point: "VarSetPct", revert_point: Some("VarSetPctRvrt"), is_percent: true },
            Value { mode: 1, point: "VarSetPct", revert_point: Some("VarSetPctRvrt"), is_percent: true },
            Value { mode: 4, point: "VarSet", revert_point: Some("VarSetRvrt"), is_percent: false },
        ],
        revert_seconds: "VarSetRvrtTms",
        revert_remaining: Some("VarSetRvrtRem"),
        revert_enable: Some("VarSetEnaRvrt"),
    },
];

impl Quantity {
    /// The command that the inverter follows.
    pub(super) fn commanded(self, inverter: &PvInverter) -> Commanded {
        match self {
            Self::Power => inverter.power_limit(),
            Self::Reactive => inverter.reactive_command(),
        }
    }

    /// Gives the inverter a command.
    pub(super) fn command(self, inverter: &mut PvInverter, order: Order) -> Result<(), CommandError> {
        let (value, revert) = match order {
            Order::Disabled => (None, None),
            Order::Enabled(value, revert) => (Some(value), revert),
        };
        match self {
            Self::Power => inverter.limit_power(value, revert),
            Self::Reactive => inverter.command_reactive(value, revert),
        }
    }
}

impl Control {
    /// Whether one of these points belongs to it.
    pub(super) fn is_touched_by(&self, points: &[&str]) -> bool {
        let values = self.values.iter().flat_map(|value| [Some(value.point), value.revert_point]);
        let own = [Some(self.enable), self.mode, Some(self.revert_seconds), self.revert_enable];
        own.into_iter().chain(values).flatten().any(|point| points.contains(&point))
    }

    /// Makes its points implemented: disabled, the full rating or no reactive power, no time limit.
    pub(super) fn set_up(&self, block: &mut Block) {
        let at_rest = match self.quantity {
            Quantity::Power => 100.0,
            Quantity::Reactive => 0.0,
        };
        block.set(self.enable, 0.0);
        block.set(self.revert_seconds, 0.0);
        if let Some(mode) = self.mode {
            block.set(mode, self.values.first().map_or(0.0, |value| value.mode.into()));
        }
        for value in self.values {
            block.set(value.point, at_rest);
            value.revert_point.inspect(|point| block.set(point, at_rest));
        }
        self.revert_enable.inspect(|point| block.set(point, 0.0));
        self.revert_remaining.inspect(|point| block.set(point, 0.0));
    }

    /// What the registers of the block ask for, on an inverter of this rating.
    pub(super) fn order(&self, block: &Block, rating_w: f64) -> Result<Order, Senseless> {
        let enabled = flag(block, self.enable)?;
        let value = self.value_meant(block)?;
        let held = |point: &str| -> Result<f64, Senseless> {
            let number = block.value(point).ok_or(Senseless)?;
            let wanted = if value.is_percent { number / 100.0 * rating_w } else { number };
            (wanted.abs() <= rating_w).then_some(wanted).ok_or(Senseless)
        };
        let wanted = held(value.point)?;
        let reverts_to = match (self.revert_enable, value.revert_point) {
            (Some(enable), Some(point)) if flag(block, enable)? => Some(held(point)?),
            _ => None,
        };
        if !enabled {
            return Ok(Order::Disabled);
        }
        let seconds = block.value(self.revert_seconds).ok_or(Senseless)?;
        let after = Duration::try_from_secs_f64(seconds).map_err(|_| Senseless)?;
        Ok(Order::Enabled(wanted, (!after.is_zero()).then_some(Revert { after, to: reverts_to })))
    }

    /// Shows in the block that the command has given way by itself.
    pub(super) fn show_reverted(&self, block: &mut Block) {
        let reverts_to = self.revert_enable.filter(|enable| flag(block, enable) == Ok(true));
        let value = self.value_meant(block).ok().filter(|_| reverts_to.is_some());
        let Some((point, reverted)) =
            value.and_then(|value| Some((value.point, block.value(value.revert_point?)?)))
        else {
            return self.disable(block);
        };
        block.set(point, reverted);
    }

    /// Shows in the block that the command is no longer in force.
    pub(super) fn disable(&self, block: &mut Block) {
        block.set(self.enable, 0.0);
    }

    /// Whether the block shows the command as enabled.
    pub(super) fn is_enabled(&self, block: &Block) -> bool {
        flag(block, self.enable) == Ok(true)
    }

    /// Shows how long the command still holds.
    pub(super) fn show_remaining(&self, block: &mut Block, remaining: Option<Duration>) {
        let seconds = remaining.map_or(0.0, |remaining| remaining.as_secs_f64().ceil());
        self.revert_remaining.inspect(|point| block.set(point, seconds));
    }

    fn value_meant(&self, block: &Block) -> Result<&Value, Senseless> {
        let Some(point) = self.mode else { return self.values.first().ok_or(Senseless) };
        let mode = block.value(point).ok_or(Senseless)?;
        self.values.iter().find(|value| f64::from(value.mode) == mode).ok_or(Senseless)
    }
}

/// A point that is 0 or 1.
fn flag(block: &Block, point: &str) -> Result<bool, Senseless> {
    match block.value(point) {
        Some(0.0) => Ok(false),
        Some(1.0) => Ok(true),
        _ => Err(Senseless),
    }
}
