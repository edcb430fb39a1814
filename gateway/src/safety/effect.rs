//! Whether a device does what it holds: [`Effect`], a state machine without I/O.
//!
//! A read-back proves that a command was received, not that it is obeyed (SunSpec, "Modbus Interface", 6.5). So a
//! measurement is compared with it: within a time, and within a tolerance.

use gridloop_clock::MonoTime;
use gridloop_device::{Command, Quality, Sample, point};
use std::time::Duration;

/// How obedience is judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EffectSettings {
    /// How long a device may take.
    pub within: Duration,
    /// How far the real power may be off, in W; `None`: a tenth of the setpoint and 50 W.
    pub tolerance_w: Option<f64>,
    /// Whether the real power has to be the setpoint, not merely no more than it: batteries and loads follow,
    /// generators have no more than the sun gives.
    pub follows: bool,
}

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Verdict {
    /// The order that it was given by.
    pub(crate) order: u64,
    pub(crate) command: Command,
    /// What the device did when it was judged; `None` when it did not tell.
    pub(crate) measured: Option<f64>,
    pub(crate) obeyed: bool,
    /// Since the command was confirmed by read-back.
    pub(crate) after: Duration,
}

/// The check of one device.
#[derive(Debug, Clone)]
pub(crate) struct Effect {
    settings: EffectSettings,
    pending: Option<Pending>,
}

#[derive(Debug, Clone, Copy)]
struct Pending {
    order: u64,
    command: Command,
    held_at: MonoTime,
    last: Option<f64>,
}

impl Effect {
    pub(crate) fn new(settings: EffectSettings) -> Self {
        Self { settings, pending: None }
    }

    /// The device has confirmed a command, which replaces the one before. A voltage is not judged: how near a regulator
    /// comes to it depends on its bandwidth and on the grid.
    pub(crate) fn holds(&mut self, order: u64, command: Command, held_at: MonoTime) {
        self.pending = match command {
            Command::Power { .. } | Command::TapPosition(_) => {
                Some(Pending { order, command, held_at, last: None })
            }
            Command::Voltage { .. } => None,
        };
    }

    /// The device was released, or its link is lost: there is nothing to judge any more.
    pub(crate) fn forget(&mut self) {
        self.pending = None;
    }

    /// When the verdict will be due at the latest.
    pub(crate) fn due(&self) -> Option<MonoTime> {
        self.pending.map(|pending| pending.held_at + self.settings.within)
    }

    /// Takes a reading of `now`: the verdict, once, as soon as the device obeys or its time is up.
    pub(crate) fn judge(&mut self, point: impl Fn(&str) -> Option<Sample>, now: MonoTime) -> Option<Verdict> {
        let pending = self.pending.as_mut()?;
        let name = match pending.command {
            Command::TapPosition(_) => point::TAP_POSITION,
            Command::Power { .. } | Command::Voltage { .. } => point::REAL_POWER,
        };
        // A value from before the command says nothing about it.
        let measured = point(name)
            .filter(|sample| sample.quality == Quality::Good && sample.sampled_at > pending.held_at)
            .map(|sample| sample.value);
        pending.last = measured.or(pending.last);
        let Pending { order, command, held_at, last } = *pending;
        let after = now.since(held_at);
        let obeyed = measured.is_some_and(|value| self.settings.obeys(command, value));
        if !obeyed && after < self.settings.within {
            return None;
        }
        self.pending = None;
        Some(Verdict { order, command, measured: last, obeyed, after })
    }
}

impl EffectSettings {
    fn obeys(&self, command: Command, measured: f64) -> bool {
        match command {
            Command::Power { real_power_w, .. } => {
                let tolerance = self.tolerance_w.unwrap_or(real_power_w.abs() / 10.0 + 50.0);
                let off = measured - real_power_w;
                off <= tolerance && (!self.follows || off >= -tolerance)
            }
            Command::TapPosition(position) => (measured - f64::from(position)).abs() < 0.5,
            Command::Voltage { .. } => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridloop_device::Unit;

    const SETTINGS: EffectSettings =
        EffectSettings { within: Duration::from_secs(5), tolerance_w: Some(100.0), follows: false };

    fn at(seconds: u64) -> MonoTime {
        MonoTime::from_nanos(seconds * 1_000_000_000)
    }

    fn power(real_power_w: f64) -> Command {
        Command::Power { real_power_w, reactive_power_var: 0.0 }
    }

    fn measures(value: f64, seconds: u64) -> impl Fn(&str) -> Option<Sample> {
        move |_| Some(Sample { value, unit: Unit::Watt, quality: Quality::Good, sampled_at: at(seconds) })
    }

    #[test]
    fn obedience_is_told_once_and_as_soon_as_it_shows() {
        let mut effect = Effect::new(SETTINGS);
        effect.holds(7, power(3000.0), at(0));
        assert_eq!(effect.judge(measures(8000.0, 1), at(1)), None, "on its way");
        let verdict = effect.judge(measures(3090.0, 2), at(2)).expect("a verdict");
        assert!(verdict.obeyed);
        assert_eq!((verdict.order, verdict.after), (7, Duration::from_secs(2)));
        assert_eq!(effect.judge(measures(8000.0, 9), at(9)), None, "told already");
    }

    #[test]
    fn a_device_that_goes_on_as_before_is_found_out_when_its_time_is_up() {
        let mut effect = Effect::new(SETTINGS);
        effect.holds(7, power(3000.0), at(0));
        assert_eq!(effect.due(), Some(at(5)));
        assert_eq!(effect.judge(measures(8000.0, 4), at(4)), None);
        let verdict = effect.judge(measures(8000.0, 5), at(5)).expect("a verdict");
        assert_eq!((verdict.obeyed, verdict.measured), (false, Some(8000.0)));
    }

    #[test]
    fn a_value_from_before_the_command_proves_nothing() {
        let mut effect = Effect::new(SETTINGS);
        effect.holds(7, power(3000.0), at(2));
        assert_eq!(effect.judge(measures(2000.0, 1), at(3)), None);
        let verdict = effect.judge(|_| None, at(7)).expect("a verdict");
        assert_eq!((verdict.obeyed, verdict.measured), (false, None));
    }

    #[test]
    fn a_battery_has_to_follow_and_a_generator_may_do_less() {
        let mut generator = Effect::new(SETTINGS);
        generator.holds(1, power(3000.0), at(0));
        assert!(generator.judge(measures(0.0, 1), at(1)).is_some_and(|it| it.obeyed));
        let mut battery = Effect::new(EffectSettings { follows: true, ..SETTINGS });
        battery.holds(1, power(-3000.0), at(0));
        assert_eq!(battery.judge(measures(0.0, 1), at(1)), None);
        assert_eq!(battery.judge(measures(-4000.0, 2), at(2)), None);
        assert!(battery.judge(measures(-2950.0, 3), at(3)).is_some_and(|it| it.obeyed));
    }
}
