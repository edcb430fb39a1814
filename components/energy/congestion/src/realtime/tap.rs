//! When a tap changer moves: [`TapLogic`] waits until a violation lasts, asks whether a step repairs it for the whole
//! feeder, and counts what it costs.

use super::settings::ControlledTap;
use gridloop_power_flow::TapRange;

/// How far values are outside their target band, above and below, in parts of the nominal voltage; negative inside.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Excess {
    pub(super) above: f64,
    pub(super) below: f64,
}

impl Excess {
    /// Of voltages with a low and high bound.
    pub(super) fn of(voltages: impl Iterator<Item = (f64, (f64, f64))>) -> Self {
        let none = Self { above: f64::NEG_INFINITY, below: f64::NEG_INFINITY };
        voltages.fold(none, |worst, (value, (low, high))| Self {
            above: worst.above.max(value - high),
            below: worst.below.max(low - value),
        })
    }

    /// Whether nothing is outside by more than `tolerance`.
    pub(super) fn is_inside(self, tolerance: f64) -> bool {
        self.above <= tolerance && self.below <= tolerance
    }

    pub(super) fn worst(self) -> f64 {
        self.above.max(self.below)
    }
}

/// A tap changer under control.
#[derive(Debug)]
pub(super) struct TapLogic {
    settings: ControlledTap,
    pub(super) branch: usize,
    range: TapRange,
    /// What is commanded: nothing before the position was known.
    commanded: Option<i32>,
    /// Epochs that a violation has lasted; more for a great one.
    lasted: f64,
    /// Epochs since the last operation.
    rested: u32,
    /// Epochs that the position has not been the one commanded.
    under_way: u32,
    day: i64,
    operations_today: u32,
    pub(super) operations: u64,
}

impl TapLogic {
    pub(super) fn new(settings: ControlledTap, branch: usize, range: TapRange) -> Self {
        Self {
            settings,
            branch,
            range,
            commanded: None,
            lasted: 0.0,
            rested: u32::MAX,
            under_way: 0,
            day: i64::MIN,
            operations_today: 0,
            operations: 0,
        }
    }

    /// The name under which it obeys.
    pub(super) fn name(&self) -> &str {
        &self.settings.changer.name
    }

    pub(super) fn commanded(&self) -> Option<i32> {
        self.commanded
    }

    pub(super) fn step_pu(&self) -> f64 {
        self.range.step.abs()
    }

    /// Takes the position of the epoch. A warning if the drive did not get to where it was sent.
    pub(super) fn observe(&mut self, position: Option<i32>, day: i64) -> Option<String> {
        self.rested = self.rested.saturating_add(1);
        if day != self.day {
            (self.day, self.operations_today) = (day, 0);
        }
        let (Some(position), Some(commanded)) = (position, self.commanded.or(position)) else {
            self.lasted = 0.0;
            return None;
        };
        self.commanded = Some(commanded);
        if position == commanded {
            self.under_way = 0;
            return None;
        }
        self.under_way += 1;
        if self.under_way <= self.settings.travel_epochs {
            return None;
        }
        self.commanded = Some(position);
        (self.under_way, self.rested, self.lasted) = (0, 0, 0.0);
        Some(format!(
            "{} stands at {position} and was to go to {commanded}; it is left where it is",
            self.name()
        ))
    }

    /// Whether it is on its way, or its position is not known.
    pub(super) fn is_busy(&self, position: Option<i32>) -> bool {
        position.is_none() || position != self.commanded
    }

    /// Counts the epoch for or against an operation. `unsupported` is how far the voltages would be outside the target
    /// band without the support of other resources.
    pub(super) fn count(&mut self, unsupported: Excess, busy: bool, outside: f64) {
        let worst = unsupported.worst();
        if busy || worst <= outside {
            self.lasted = 0.0;
        } else {
            self.lasted += (worst / self.step_pu()).clamp(1.0, 3.0);
        }
    }

    /// Whether a violation has lasted as long as it must.
    pub(super) fn is_due(&self) -> bool {
        self.lasted >= f64::from(self.settings.delay_epochs)
    }

    /// Whether it has lasted so much longer that a plan by which it ends is not believed any more.
    pub(super) fn is_overdue(&self) -> bool {
        self.lasted >= 3.0 * f64::from(self.settings.delay_epochs.max(1))
    }

    /// Whether the rest between operations and the budget of the day allow one.
    pub(super) fn is_free(&self) -> bool {
        self.rested >= self.settings.interval_epochs
            && self.operations_today < self.settings.operations_per_day
    }

    /// The neighbouring positions, the one that lowers the voltage of the receiving side first.
    pub(super) fn neighbours(&self) -> Vec<i32> {
        let Some(commanded) = self.commanded else { return Vec::new() };
        let inside = |position: &i32| (self.range.lowest..=self.range.highest).contains(position);
        [commanded.saturating_sub(1), commanded.saturating_add(1)].into_iter().filter(inside).collect()
    }

    /// The next position on the way to `target`.
    pub(super) fn towards(&self, target: i32) -> Option<i32> {
        let commanded = self.commanded?;
        let target = target.clamp(self.range.lowest, self.range.highest);
        (target != commanded).then(|| commanded + (target - commanded).signum())
    }

    /// Sends it to `position`.
    pub(super) fn operate(&mut self, position: i32) {
        self.commanded = Some(position);
        (self.lasted, self.rested, self.under_way) = (0.0, 0, 0);
        self.operations_today += 1;
        self.operations += 1;
    }
}

/// Whether a step that turns `before` into `after` repairs something and spoils nothing.
pub(super) fn repairs(before: Excess, after: Excess, outside: f64) -> bool {
    let above = before.above > before.below;
    let (worse_before, worse_after, other_after) = if above {
        (before.above, after.above, after.below)
    } else {
        (before.below, after.below, after.above)
    };
    worse_before > outside && worse_after < worse_before - outside && other_after <= 0.0
}
