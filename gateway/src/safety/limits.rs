//! What a device may be told: [`Limits`] from the configuration and from the device's own nameplate. Pure; every value
//! that is changed or refused comes back with the reason.

use gridloop_clock::MonoTime;
use gridloop_device::{Capabilities, Command};

/// Limits of one device. Absent: only the device's own nameplate counts.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Limits {
    /// Highest real power in W, positive towards the grid.
    pub max_real_power_w: Option<f64>,
    /// Lowest real power in W.
    pub min_real_power_w: Option<f64>,
    /// Largest reactive power either way in var.
    pub max_reactive_power_var: Option<f64>,
    /// Largest change of the real power setpoint in W per second.
    pub ramp_w_per_s: Option<f64>,
    /// Lowest and highest tap position.
    pub tap_position: Option<(i32, i32)>,
    /// Lowest and highest voltage setpoint in V.
    pub voltage_v: Option<(f64, f64)>,
    /// What happens to a value outside.
    pub when_outside: WhenOutside,
}

/// The room of a device that is alone.
pub(crate) const ALONE: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);

/// What happens to a value outside the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenOutside {
    /// It is moved to the limit.
    #[default]
    Clamp,
    /// It is not applied at all.
    Refuse,
}

/// What becomes of a command.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// It may pass as it is.
    Pass(Command),
    /// It may pass changed.
    Clamped {
        /// What may pass.
        command: Command,
        /// What was changed, and why.
        why: String,
    },
    /// It may not pass.
    Refused(String),
}

impl Limits {
    /// Decides about `asked`, which replaces `previous` (the last command that passed, and when). `room_w` is the real
    /// power that the other devices leave to this one.
    #[must_use]
    pub fn decide(
        &self,
        asked: Command,
        capabilities: &Capabilities,
        previous: Option<(Command, MonoTime)>,
        room_w: (f64, f64),
        now: MonoTime,
    ) -> Decision {
        let bounded = match asked {
            Command::Power { real_power_w, reactive_power_var } => {
                self.power(real_power_w, reactive_power_var, capabilities, previous, room_w, now)
            }
            Command::TapPosition(position) => self.tap(position, capabilities),
            Command::Voltage { voltage_v } => self.voltage(voltage_v, capabilities),
        };
        match bounded {
            Err(reason) => Decision::Refused(reason),
            Ok((command, whys)) if whys.is_empty() => Decision::Pass(command),
            Ok((_, whys)) if self.when_outside == WhenOutside::Refuse => Decision::Refused(whys.join("; ")),
            Ok((command, whys)) => Decision::Clamped { command, why: whys.join("; ") },
        }
    }

    fn power(
        &self,
        real_power_w: f64,
        reactive_power_var: f64,
        capabilities: &Capabilities,
        previous: Option<(Command, MonoTime)>,
        room_w: (f64, f64),
        now: MonoTime,
    ) -> Result<(Command, Vec<String>), String> {
        let range = capabilities.power.ok_or("the device takes no power setpoint")?;
        if !real_power_w.is_finite() || !reactive_power_var.is_finite() {
            return Err("a setpoint must be a finite number".into());
        }
        let mut whys = Vec::new();
        let highest = self.max_real_power_w.unwrap_or(f64::INFINITY).min(range.max_w);
        let lowest = self.min_real_power_w.unwrap_or(f64::NEG_INFINITY).max(range.min_w);
        let mut real = bound("real power", "W", real_power_w, lowest, highest, &mut whys)?;
        let most = self.max_reactive_power_var.unwrap_or(f64::INFINITY).min(range.max_var);
        let reactive = bound("reactive power", "var", reactive_power_var, -most, most, &mut whys)?;
        if let (Some(ramp), Some((Command::Power { real_power_w: before, .. }, at))) =
            (self.ramp_w_per_s, previous)
        {
            let step = ramp * now.since(at).as_secs_f64();
            real = bound("real power ramp", "W", real, before - step, before + step, &mut whys)?;
            // A limit that was tightened since outranks the ramp.
            real = real.clamp(lowest, highest);
        }
        // The sum outranks the ramp too, and where it leaves nothing, nothing passes.
        let (lowest, highest) = (lowest.max(room_w.0), highest.min(room_w.1));
        real = bound("real power beside the other devices", "W", real, lowest, highest, &mut whys)?;
        Ok((Command::Power { real_power_w: real, reactive_power_var: reactive }, whys))
    }

    fn tap(&self, asked: i32, capabilities: &Capabilities) -> Result<(Command, Vec<String>), String> {
        let range = capabilities.tap_position.ok_or("the device has no tap position")?;
        let (lowest, highest) = self.tap_position.unwrap_or((range.lowest, range.highest));
        let (lowest, highest) = (lowest.max(range.lowest), highest.min(range.highest));
        if lowest > highest {
            return Err(format!("no tap position is allowed ({lowest}..{highest})"));
        }
        let position = asked.clamp(lowest, highest);
        let mut whys = Vec::new();
        if position != asked {
            whys.push(format!("tap position {asked} outside {lowest}..{highest}"));
        }
        Ok((Command::TapPosition(position), whys))
    }

    fn voltage(&self, asked: f64, capabilities: &Capabilities) -> Result<(Command, Vec<String>), String> {
        let range = capabilities.voltage.ok_or("the device takes no voltage setpoint")?;
        let (lowest, highest) = self.voltage_v.unwrap_or((range.min_v, range.max_v));
        let mut whys = Vec::new();
        let voltage_v =
            bound("voltage", "V", asked, lowest.max(range.min_v), highest.min(range.max_v), &mut whys)?;
        Ok((Command::Voltage { voltage_v }, whys))
    }
}

/// `value` within the bounds, with a line in `whys` if it had to be moved.
fn bound(
    what: &str,
    unit: &str,
    value: f64,
    lowest: f64,
    highest: f64,
    whys: &mut Vec<String>,
) -> Result<f64, String> {
    if !value.is_finite() {
        return Err("a setpoint must be a finite number".into());
    }
    if lowest.is_nan() || highest.is_nan() || lowest > highest {
        return Err(format!("no {what} is allowed ({lowest}..{highest} {unit})"));
    }
    let bounded = value.clamp(lowest, highest);
    if bounded != value {
        whys.push(format!("{what} {value:.0} {unit} outside {lowest:.0}..{highest:.0} {unit}"));
    }
    Ok(bounded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridloop_device::{PowerRange, TapRange};
    use proptest::prelude::*;
    use std::time::Duration;

    const INVERTER: Capabilities = Capabilities {
        power: Some(PowerRange { min_w: 0.0, max_w: 8000.0, max_var: 3500.0 }),
        tap_position: None,
        voltage: None,
    };
    const TAP_CHANGER: Capabilities =
        Capabilities { power: None, tap_position: Some(TapRange { lowest: 1, highest: 9 }), voltage: None };

    fn power(real_power_w: f64) -> Command {
        Command::Power { real_power_w, reactive_power_var: 0.0 }
    }

    fn decide(limits: &Limits, asked: Command) -> Decision {
        limits.decide(asked, &INVERTER, None, ALONE, MonoTime::default())
    }

    #[test]
    fn what_is_inside_passes_unchanged() {
        assert_eq!(decide(&Limits::default(), power(8000.0)), Decision::Pass(power(8000.0)));
    }

    #[test]
    fn what_is_outside_is_clamped_to_the_tighter_of_configuration_and_nameplate() {
        let limits = Limits { max_real_power_w: Some(6000.0), ..Limits::default() };
        let Decision::Clamped { command, why } = decide(&limits, power(9e9)) else { panic!("not clamped") };
        assert_eq!(command, power(6000.0));
        assert_eq!(why, "real power 9000000000 W outside 0..6000 W");
        let generous = Limits { max_real_power_w: Some(60_000.0), ..Limits::default() };
        let Decision::Clamped { command, .. } = decide(&generous, power(9e9)) else { panic!("not clamped") };
        assert_eq!(command, power(8000.0));
    }

    #[test]
    fn what_is_outside_is_refused_where_the_configuration_says_so() {
        let limits = Limits { when_outside: WhenOutside::Refuse, ..Limits::default() };
        assert!(matches!(decide(&limits, power(-1.0)), Decision::Refused(_)));
    }

    #[test]
    fn infinities_and_nan_are_refused_however_generous_the_limits() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(matches!(decide(&Limits::default(), power(value)), Decision::Refused(_)));
            let reactive = Command::Power { real_power_w: 0.0, reactive_power_var: value };
            assert!(matches!(decide(&Limits::default(), reactive), Decision::Refused(_)));
        }
    }

    #[test]
    fn a_command_of_the_wrong_kind_is_refused() {
        assert!(matches!(decide(&Limits::default(), Command::TapPosition(3)), Decision::Refused(_)));
        let decision = Limits::default().decide(power(1.0), &TAP_CHANGER, None, ALONE, MonoTime::default());
        assert!(matches!(decision, Decision::Refused(_)));
    }

    #[test]
    fn a_step_is_no_steeper_than_the_ramp() {
        let limits = Limits { ramp_w_per_s: Some(1000.0), ..Limits::default() };
        let at = MonoTime::from_nanos(7);
        let previous = Some((power(8000.0), at));
        let decision = limits.decide(power(3000.0), &INVERTER, previous, ALONE, at + Duration::from_secs(2));
        assert!(matches!(decision, Decision::Clamped { command, .. } if command == power(6000.0)));
    }

    #[test]
    fn what_the_other_devices_leave_is_a_limit_too() {
        let decide =
            |room_w| Limits::default().decide(power(5000.0), &INVERTER, None, room_w, MonoTime::default());
        assert!(matches!(decide((-1e4, 3000.0)), Decision::Clamped { command, why }
            if command == power(3000.0) && why.contains("beside the other devices")));
        assert!(matches!(decide((-1e4, -500.0)), Decision::Refused(_)), "they leave nothing");
    }

    #[test]
    fn a_tap_position_beyond_the_end_stops_is_clamped() {
        let decision = Limits::default().decide(
            Command::TapPosition(i32::MAX),
            &TAP_CHANGER,
            None,
            ALONE,
            MonoTime::default(),
        );
        assert!(matches!(decision, Decision::Clamped { command: Command::TapPosition(9), .. }));
    }

    proptest! {
        #[test]
        fn nothing_ever_passes_outside(real in any::<f64>(), reactive in any::<f64>(), max in any::<f64>(), ramp in any::<f64>(), before in -8000.0..8000.0f64) {
            let limits = Limits { max_real_power_w: Some(max), ramp_w_per_s: Some(ramp), ..Limits::default() };
            let asked = Command::Power { real_power_w: real, reactive_power_var: reactive };
            let previous = Some((power(before), MonoTime::default()));
            let decision = limits.decide(asked, &INVERTER, previous, ALONE, MonoTime::from_nanos(1_000_000_000));
            if let Decision::Pass(command) | Decision::Clamped { command, .. } = decision {
                let Command::Power { real_power_w, reactive_power_var } = command else { panic!("another kind") };
                prop_assert!((0.0..=8000.0).contains(&real_power_w) && reactive_power_var.abs() <= 3500.0);
                prop_assert!(real_power_w.is_finite() && reactive_power_var.is_finite());
            }
        }
    }
}
