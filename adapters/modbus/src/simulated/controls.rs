//! The controls of models 123, 124 and 704 as tables: each [`Control`] names the points that enable a command, give
//! its value, and say what becomes of it when it is not renewed. [`PV`] are those of an inverter, [`BATTERY`] those
//! of a battery.
//!
//! One command of a kind is in force at a time: enabling it in one model disables it in the other.

use super::block::Block;
use gridloop_plant::Revert;
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
    /// What its values are as long as nothing was written.
    at_rest: f64,
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
    whole: Whole,
}

/// What one hundred per cent of a value are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whole {
    /// The rating.
    Rating,
    /// The value is in W or var.
    None,
    /// It is one end of the window of model 124, which the enabling bits 0 (charging) and 1 (discharging) put in
    /// force.
    Charging,
    Discharging,
}

/// The powers that per cents are of, in W.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Wholes {
    pub(super) rating_w: f64,
    pub(super) charge_w: f64,
    pub(super) discharge_w: f64,
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

const LIMIT_123: Control = Control {
    model: 123,
    quantity: Quantity::Power,
    at_rest: 100.0,
    enable: "WMaxLim_Ena",
    mode: None,
    values: &[Value { mode: 0, point: "WMaxLimPct", revert_point: None, whole: Whole::Rating }],
    revert_seconds: "WMaxLimPct_RvrtTms",
    revert_remaining: None,
    revert_enable: None,
};

const VAR_123: Control = Control {
    model: 123,
    quantity: Quantity::Reactive,
    at_rest: 0.0,
    enable: "VArPct_Ena",
    mode: Some("VArPct_Mod"),
    values: &[
        Value { mode: 1, point: "VArWMaxPct", revert_point: None, whole: Whole::Rating },
        Value { mode: 2, point: "VArMaxPct", revert_point: None, whole: Whole::Rating },
    ],
    revert_seconds: "VArPct_RvrtTms",
    revert_remaining: None,
    revert_enable: None,
};

const LIMIT_704: Control = Control {
    model: 704,
    quantity: Quantity::Power,
    at_rest: 100.0,
    enable: "WMaxLimPctEna",
    mode: None,
    values: &[Value {
        mode: 0,
        point: "WMaxLimPct",
        revert_point: Some("WMaxLimPctRvrt"),
        whole: Whole::Rating,
    }],
    revert_seconds: "WMaxLimPctRvrtTms",
    revert_remaining: Some("WMaxLimPctRvrtRem"),
    revert_enable: Some("WMaxLimPctEnaRvrt"),
};

const VAR_704: Control = Control {
    model: 704,
    quantity: Quantity::Reactive,
    at_rest: 0.0,
    enable: "VarSetEna",
    mode: Some("VarSetMod"),
    values: &[
        Value { mode: 0, point: "VarSetPct", revert_point: Some("VarSetPctRvrt"), whole: Whole::Rating },
        Value { mode: 1, point: "VarSetPct", revert_point: Some("VarSetPctRvrt"), whole: Whole::Rating },
        Value { mode: 4, point: "VarSet", revert_point: Some("VarSetRvrt"), whole: Whole::None },
    ],
    revert_seconds: "VarSetRvrtTms",
    revert_remaining: Some("VarSetRvrtRem"),
    revert_enable: Some("VarSetEnaRvrt"),
};

const SET_704: Control = Control {
    model: 704,
    quantity: Quantity::Power,
    at_rest: 0.0,
    enable: "WSetEna",
    mode: Some("WSetMod"),
    values: &[
        Value { mode: 1, point: "WSet", revert_point: Some("WSetRvrt"), whole: Whole::None },
        Value { mode: 0, point: "WSetPct", revert_point: Some("WSetPctRvrt"), whole: Whole::Rating },
    ],
    revert_seconds: "WSetRvrtTms",
    revert_remaining: Some("WSetRvrtRem"),
    revert_enable: Some("WSetEnaRvrt"),
};

const STORAGE_124: Control = Control {
    model: 124,
    quantity: Quantity::Power,
    at_rest: 100.0,
    enable: "StorCtl_Mod",
    mode: None,
    values: &[
        Value { mode: 0, point: "InWRte", revert_point: None, whole: Whole::Charging },
        Value { mode: 0, point: "OutWRte", revert_point: None, whole: Whole::Discharging },
    ],
    revert_seconds: "InOutWRte_RvrtTms",
    revert_remaining: None,
    revert_enable: None,
};

/// Every control that the simulated PV inverter obeys. Power comes first: reactive power is what the rating leaves.
pub(super) const PV: &[Control] = &[LIMIT_123, VAR_123, LIMIT_704, VAR_704];

/// Every control that the simulated battery obeys.
pub(super) const BATTERY: &[Control] = &[SET_704, VAR_704, STORAGE_124];

impl Control {
    /// Whether one of these points belongs to it.
    pub(super) fn is_touched_by(&self, points: &[&str]) -> bool {
        let values = self.values.iter().flat_map(|value| [Some(value.point), value.revert_point]);
        let own = [Some(self.enable), self.mode, Some(self.revert_seconds), self.revert_enable];
        own.into_iter().chain(values).flatten().any(|point| points.contains(&point))
    }

    /// Makes its points implemented: disabled, the full rating or no reactive power, no time limit.
    pub(super) fn set_up(&self, block: &mut Block) {
        block.set(self.enable, 0.0);
        block.set(self.revert_seconds, 0.0);
        if let Some(mode) = self.mode {
            block.set(mode, self.values.first().map_or(0.0, |value| value.mode.into()));
        }
        for value in self.values {
            block.set(value.point, self.at_rest);
            value.revert_point.inspect(|point| block.set(point, self.at_rest));
        }
        self.revert_enable.inspect(|point| block.set(point, 0.0));
        self.revert_remaining.inspect(|point| block.set(point, 0.0));
    }

    /// What the registers of the block ask for.
    pub(super) fn order(&self, block: &Block, wholes: Wholes) -> Result<Order, Senseless> {
        let value = self.value_meant(block)?;
        let (wanted, reverts_to) = if self.is_window() {
            (self.window(block, wholes)?, None)
        } else {
            let held = |point: &str| -> Result<f64, Senseless> {
                let number = block.value(point).ok_or(Senseless)?;
                let is_percent = value.whole == Whole::Rating;
                let wanted = if is_percent { number / 100.0 * wholes.rating_w } else { number };
                (wanted.abs() <= wholes.rating_w).then_some(wanted).ok_or(Senseless)
            };
            let reverts_to = match (self.revert_enable, value.revert_point) {
                (Some(enable), Some(point)) if flag(block, enable)? => Some(held(point)?),
                _ => None,
            };
            (held(value.point)?, reverts_to)
        };
        if !self.enabled(block)? {
            return Ok(Order::Disabled);
        }
        let seconds = block.value(self.revert_seconds).ok_or(Senseless)?;
        let after = Duration::try_from_secs_f64(seconds).map_err(|_| Senseless)?;
        Ok(Order::Enabled(wanted, (!after.is_zero()).then_some(Revert { after, to: reverts_to })))
    }

    /// The power that the window of model 124 leaves to a battery that would rather rest. Where the two ends leave
    /// nothing, as while they are written one by one, the end of discharging counts.
    fn window(&self, block: &Block, wholes: Wholes) -> Result<f64, Senseless> {
        let bits = block.value(self.enable).ok_or(Senseless)?;
        let (mut low_w, mut high_w) = (-wholes.charge_w, wholes.discharge_w);
        for value in self.values {
            let percent = block.value(value.point).ok_or(Senseless)?;
            if percent.abs() > 100.0 {
                return Err(Senseless);
            }
            match value.whole {
                Whole::Charging if bits == 1.0 || bits == 3.0 => low_w = -percent / 100.0 * wholes.charge_w,
                Whole::Discharging if bits >= 2.0 => high_w = percent / 100.0 * wholes.discharge_w,
                _ => {}
            }
        }
        Ok(0.0_f64.max(low_w).min(high_w).clamp(-wholes.charge_w, wholes.discharge_w))
    }

    fn is_window(&self) -> bool {
        self.values.iter().any(|value| value.whole == Whole::Charging)
    }

    fn enabled(&self, block: &Block) -> Result<bool, Senseless> {
        if !self.is_window() {
            return flag(block, self.enable);
        }
        match block.value(self.enable) {
            Some(bits) if (0.0..=3.0).contains(&bits) => Ok(bits > 0.0),
            _ => Err(Senseless),
        }
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
        self.enabled(block) == Ok(true)
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
