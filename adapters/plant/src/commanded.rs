//! Commands that give way by themselves: [`Commanded`] holds a value until its [`Revert`] is due.
//!
//! It is the fail-safe on the device's side, with a value to go to (as `WMaxLimPctRvrt` and `WSetRvrt` of SunSpec model
//! 704) or without one (as the timers of models 123 and 124).

use std::time::Duration;

/// What a command gives way to when it is not renewed in time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Revert {
    /// How long the command holds.
    pub after: Duration,
    /// The value that then takes its place; `None` means that there is no command any more.
    pub to: Option<f64>,
}

/// A command and what will become of it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Commanded {
    value: Option<f64>,
    revert: Option<(Duration, Option<f64>)>,
    reverted: bool,
}

impl Commanded {
    /// The value in force; `None` without a command.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        self.value
    }

    /// Whether the value in force is what the last command gave way to.
    #[must_use]
    pub fn reverted(&self) -> bool {
        self.reverted
    }

    /// How long the command still holds at this time of the plant's life; `None` when it does not give way by itself.
    #[must_use]
    pub fn remaining(&self, elapsed: Duration) -> Option<Duration> {
        self.due().map(|due| due.saturating_sub(elapsed))
    }

    pub(crate) fn new(value: Option<f64>, revert: Option<Revert>, now: Duration) -> Self {
        let revert = revert.map(|revert| (now.saturating_add(revert.after), revert.to));
        Self { value, revert, reverted: false }
    }

    pub(crate) fn due(&self) -> Option<Duration> {
        self.revert.map(|(due, _)| due)
    }

    pub(crate) fn expire(&mut self, now: Duration) {
        if let Some((_, to)) = self.revert.take_if(|(due, _)| *due <= now) {
            *self = Self { value: to, revert: None, reverted: true };
        }
    }
}

/// `value`, moved towards `target` by at most `reach`.
pub(crate) fn approach(value: f64, target: f64, reach: f64) -> f64 {
    value + (target - value).clamp(-reach, reach)
}
