//! What is kept of a controlled resource from epoch to epoch: [`Kept`], and what its settings make of commands.

use super::core::Base;
use super::settings::ControlledResource;
use crate::feeder::{Axis, Power};
use crate::{ResourceKind, Unit};

/// Epochs that a resource may take to do what its setpoint says.
const RESPONSE_EPOCHS: u32 = 3;

/// The memory of one resource.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    /// What was commanded last, in W and var; nothing before the first time.
    pub(super) commanded: Option<(f64, f64)>,
    /// Base of that command.
    pub(super) base: (f64, f64),
    /// Epochs in which its real and its reactive power have not been what was commanded.
    astray: (u32, u32),
    /// What it would probably give or draw without a setpoint, in W.
    pub(super) unhindered_w: f64,
}

impl Kept {
    pub(super) fn new(settings: &ControlledResource) -> Self {
        Self { commanded: None, base: settings.base(&Base::default()), astray: (0, 0), unhindered_w: 0.0 }
    }

    /// Whether it has not done what was commanded for too long.
    pub(super) fn is_astray(&self) -> bool {
        self.astray.0.max(self.astray.1) > RESPONSE_EPOCHS
    }

    /// Counts an epoch in which its powers were off by so much.
    pub(super) fn count(&mut self, settings: &ControlledResource, off_real_w: f64, off_reactive_var: f64) {
        let tolerance = settings.tolerance_w();
        let count = |astray: u32, off: f64| if off.abs() > tolerance { astray.saturating_add(1) } else { 0 };
        let reactive = settings.unit.max_reactive_power_var > 0.0;
        let real = settings.curtail;
        self.astray = (
            if real { count(self.astray.0, off_real_w) } else { 0 },
            if reactive { count(self.astray.1, off_reactive_var) } else { 0 },
        );
    }

    /// Learns from an epoch what the resource does when it is free. What it would do beyond its setpoint does not
    /// show: then it is taken to be what it was before.
    pub(super) fn estimate(&mut self, settings: &ControlledResource, measured_w: f64) {
        let Some((told_w, _)) = self.commanded else { return };
        let tolerance = settings.tolerance_w();
        self.unhindered_w = match settings.unit.kind {
            ResourceKind::Generator
                if told_w < settings.unit.rated_power_w && measured_w >= told_w - tolerance =>
            {
                self.unhindered_w.max(measured_w)
            }
            ResourceKind::Load
                if told_w > -settings.unit.rated_power_w && measured_w <= told_w + tolerance =>
            {
                self.unhindered_w.min(measured_w)
            }
            _ => measured_w,
        };
    }

    /// What the resource is told at present, what it will do, where it goes when nothing stands against it, and
    /// between what it can be moved.
    pub(super) fn outlook(
        &self,
        settings: &ControlledResource,
        axis: Axis,
        power: Power,
        base: (f64, f64),
        state_of_charge_percent: Option<f64>,
        hours: f64,
    ) -> (f64, f64, f64, (f64, f64)) {
        let commanded = self.commanded.unwrap_or(base);
        let deviation = (commanded.0 - self.base.0, commanded.1 - self.base.1);
        if axis == Axis::Reactive {
            let most = settings.unit.most_reactive_var(power.real_power_w);
            let goal = base.1.clamp(-most, most);
            let told = (base.1 + deviation.1).clamp(-most, most);
            return (told, told, goal, (-most, most));
        }
        match settings.unit.kind {
            ResourceKind::Generator => {
                // A ceiling of the plan goes with the plan; one of our own stays until it is released.
                let told = if deviation.0 < -1e-6 { commanded.0.min(base.0) } else { base.0 };
                let expected = power.real_power_w.min(told);
                (told, expected, base.0, (0.0_f64.min(expected), expected))
            }
            ResourceKind::Load => {
                let told = if deviation.0 > 1e-6 { commanded.0.max(base.0) } else { base.0 };
                let expected = power.real_power_w.max(told);
                (told, expected, base.0, (expected, 0.0_f64.max(expected)))
            }
            ResourceKind::Storage => {
                let (low, high) = settings.storage_range(state_of_charge_percent, hours);
                let told = (base.0 + deviation.0).clamp(low, high);
                (told, told, base.0.clamp(low, high), (low, high))
            }
        }
    }

    /// Commands this, within what the resource can do.
    pub(super) fn set(&mut self, settings: &ControlledResource, command: (f64, f64), base: (f64, f64)) {
        let unit = &settings.unit;
        let real_w = unit.within_rating_w(command.0);
        // The setpoint of a storage is what it does; that of others is a ceiling, and says not what is left beside it.
        let most = match unit.kind {
            ResourceKind::Storage => unit.most_reactive_var(real_w),
            _ => unit.max_reactive_power_var,
        };
        self.commanded = Some((real_w, command.1.clamp(-most, most)));
        self.base = base;
    }

    /// Goes one step of a release towards the base, without a look at the network.
    pub(super) fn go_back(&mut self, settings: &ControlledResource, base: (f64, f64)) {
        let Some((real_w, reactive_var)) = self.commanded else { return };
        let step = |value: f64, goal: f64, size: f64| {
            let most = settings.release_share * size;
            value + (goal - value).clamp(-most, most)
        };
        let real_w = step(real_w, base.0, settings.unit.rated_power_w);
        let reactive_var = step(reactive_var, base.1, settings.unit.max_reactive_power_var);
        self.set(settings, (real_w, reactive_var), base);
    }
}

impl ControlledResource {
    /// What it does when nothing stands against it: all that it can, unless a plan says otherwise; a storage without a
    /// plan rests.
    pub(super) fn base(&self, base: &Base) -> (f64, f64) {
        let unit = &self.unit;
        let usual = unit.free_power_w();
        let (real_w, reactive_var) = base.powers.get(&unit.name).copied().unwrap_or((usual, 0.0));
        let free = unit.kind != ResourceKind::Storage && base.uncurtailed.contains(&unit.name);
        let real_w = if real_w.is_finite() && !free { real_w } else { usual };
        let reactive_var = if reactive_var.is_finite() { reactive_var } else { 0.0 };
        let most = unit.max_reactive_power_var;
        (unit.within_rating_w(real_w), reactive_var.clamp(-most, most))
    }

    /// By how much a power may differ from its setpoint, in W or var.
    pub(super) fn tolerance_w(&self) -> f64 {
        (0.02 * self.unit.rated_power_w).max(50.0)
    }

    /// What it does under a setpoint, if it did `measured_w` before.
    pub(super) fn follows(&self, told_w: f64, measured_w: f64) -> f64 {
        match self.unit.kind {
            ResourceKind::Generator => measured_w.min(told_w),
            ResourceKind::Storage => told_w,
            ResourceKind::Load => measured_w.max(told_w),
        }
    }

    /// Between what a storage of this state of charge can be moved for so many hours, in W. Where its capacity is not
    /// known, it is stopped when it has passed an end, and not before.
    fn storage_range(&self, state_of_charge_percent: Option<f64>, hours: f64) -> (f64, f64) {
        let Unit { rated_power_w, capacity_kwh, efficiency: (charging, discharging), .. } = self.unit;
        let (lowest, highest) = self.unit.state_of_charge_percent;
        let Some(now) = state_of_charge_percent else { return (-rated_power_w, rated_power_w) };
        let (below, above) = ((now - lowest).max(0.0), (highest - now).max(0.0));
        match capacity_kwh {
            Some(capacity_kwh) if hours > 0.0 => {
                let power_w = |percent: f64| percent / 100.0 * capacity_kwh / hours * 1000.0;
                let (charge_w, discharge_w) = (power_w(above) / charging, power_w(below) * discharging);
                (-charge_w.min(rated_power_w), discharge_w.min(rated_power_w))
            }
            _ => (
                if above > 0.0 { -rated_power_w } else { 0.0 },
                if below > 0.0 { rated_power_w } else { 0.0 },
            ),
        }
    }
}
