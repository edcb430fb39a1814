//! What a drill is going to do: [`Plan`], chosen from what the device says of itself, what it gives at present, and the
//! limits of the configuration.

use crate::safety::limits::{ALONE, Decision, Limits, WhenOutside};
use gridloop_clock::MonoTime;
use gridloop_device::{Command, Description, FailSafe, PowerRange};
use std::fmt;
use std::time::Duration;

/// A change of power that is smaller than this share of the rating is not told from the inaccuracy of a device's own
/// measurement, either way.
const VISIBLE_SHARE: f64 = 2.0 * super::ACCURACY_SHARE;

/// What the operator asks of a drill, beside the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Wish {
    /// The real power to command, in W; absent: chosen.
    pub power_w: Option<f64>,
    /// The real power in W to which the device is to go by itself, where it goes to a value; absent: as its driver says.
    pub reverts_to_w: Option<f64>,
    /// How long to watch; absent: three times the device's own timer.
    pub within: Option<Duration>,
}

/// What a drill commands, and what the device is to do by itself afterwards.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// The real power before the drill, in W.
    pub baseline_w: f64,
    /// The real power that will be commanded, in W.
    pub command_w: f64,
    /// What the device is to do when it is told nothing any more.
    pub falls_back: FallsBack,
    /// The time after which it is to do that.
    pub after: Duration,
    /// The real power that it is expected to give then, in W.
    pub expected_w: f64,
    /// How long it is watched.
    pub within: Duration,
    /// The larger of the powers that it can give and take, in W.
    pub rating_w: f64,
}

/// To what a device falls back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FallsBack {
    /// It drops the command.
    ToFree,
    /// It goes to this real power, in W.
    ToValue(f64),
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq)]
pub enum NoPlan {
    /// The device has no fail-safe that a drill could show.
    NotApplicable(String),
    /// It has one, and a drill cannot be done now.
    Impossible(String),
}

impl Plan {
    /// Chooses what to do with a device that gives `baseline_w` at present.
    ///
    /// # Errors
    /// [`NoPlan`], with the reason.
    pub fn choose(
        description: &Description,
        baseline_w: f64,
        limits: &Limits,
        wish: Wish,
    ) -> Result<Self, NoPlan> {
        let impossible = |reason: &str| Err(NoPlan::Impossible(reason.to_owned()));
        let (falls_back, after) = match (description.fail_safe, wish.reverts_to_w) {
            (FailSafe::None, _) => return Err(NoPlan::NotApplicable(NO_FAIL_SAFE.to_owned())),
            (FailSafe::RevertsToFree { after }, _) => (FallsBack::ToFree, after),
            (FailSafe::RevertsToValue { after, .. }, Some(value))
            | (FailSafe::RevertsToValue { after, to_w: Some(value) }, None) => {
                (FallsBack::ToValue(value), after)
            }
            (FailSafe::RevertsToValue { to_w: None, .. }, None) => {
                return impossible(
                    "the driver does not say to which power the device goes; say it (--reverts-to-w)",
                );
            }
        };
        let Some(range) = description.capabilities.power else {
            return Err(NoPlan::NotApplicable(
                "a drill commands a power, and the device takes none".to_owned(),
            ));
        };
        if description.standing.is_some() {
            return impossible("another controller's command stands on the device; release it first");
        }
        let is_ceiling = range.min_w >= 0.0;
        let expected_w = match falls_back {
            FallsBack::ToFree => baseline_w,
            FallsBack::ToValue(value) if is_ceiling => value.min(baseline_w),
            FallsBack::ToValue(value) => value,
        };
        let rating_w = range.max_w.abs().max(range.min_w.abs());
        let seen = |command: f64| (command - baseline_w).abs().min((command - expected_w).abs());
        let command_w = match wish.power_w {
            Some(asked) => bounded(asked, limits, description, WhenOutside::Refuse)
                .ok_or_else(|| NoPlan::Impossible(format!("{asked} W is outside the limits")))?,
            None => candidates(range, baseline_w)
                .into_iter()
                .filter_map(|candidate| bounded(candidate, limits, description, WhenOutside::Clamp))
                .max_by(|one, other| seen(*one).total_cmp(&seen(*other)))
                .ok_or_else(|| NoPlan::Impossible("the limits allow no power".to_owned()))?,
        };
        if seen(command_w) < rating_w * VISIBLE_SHARE {
            return Err(NoPlan::Impossible(format!(
                "it gives {baseline_w:.0} W at present and {expected_w:.0} W after its fall-back: between them and \
                 {command_w:.0} W no change would be seen; wait for more power, or choose another one (--power-w)"
            )));
        }
        let plan = Self {
            baseline_w,
            command_w,
            falls_back,
            after,
            expected_w,
            within: wish.within.unwrap_or(after * 3),
            rating_w,
        };
        if plan.within < after + plan.tolerance() {
            return Err(NoPlan::Impossible(format!(
                "watched for {} s, it could not be seen whether it falls back after {} s (--within)",
                plan.within.as_secs_f64(),
                after.as_secs_f64()
            )));
        }
        Ok(plan)
    }

    /// How much the time of the fall-back may differ from what the device states: timers count whole seconds.
    #[must_use]
    pub fn tolerance(&self) -> Duration {
        (self.after / 10).max(Duration::from_secs(1))
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { baseline_w, command_w, falls_back, after, expected_w, within, .. } = self;
        let (after, within) = (after.as_secs_f64(), within.as_secs_f64());
        write!(
            f,
            "command {command_w:.0} W (it gives {baseline_w:.0} W now), then only read for at most {within} s; "
        )?;
        match falls_back {
            FallsBack::ToFree => write!(f, "after {after} s it is to drop the command by itself")?,
            FallsBack::ToValue(value) => write!(f, "after {after} s it is to go to {value:.0} W by itself")?,
        }
        write!(f, ", and to give about {expected_w:.0} W")
    }
}

const NO_FAIL_SAFE: &str = "it has no fail-safe of its own, or none is configured: when gridloop is killed, it keeps \
                            its last command for ever";

/// Harmless powers: parts of what an inverter gives at present, a tenth of what a battery can do.
fn candidates(range: PowerRange, baseline_w: f64) -> Vec<f64> {
    if range.min_w >= 0.0 {
        [0.5, 0.75, 0.25].map(|share| baseline_w * share).to_vec()
    } else {
        [range.max_w, range.min_w].map(|end| end / 10.0).to_vec()
    }
}

/// `power_w` within the limits; `None` where they do not allow it.
fn bounded(
    power_w: f64,
    limits: &Limits,
    description: &Description,
    when_outside: WhenOutside,
) -> Option<f64> {
    let limits = Limits { when_outside, ..*limits };
    let asked = Command::Power { real_power_w: power_w, reactive_power_var: 0.0 };
    match limits.decide(asked, &description.capabilities, None, ALONE, MonoTime::default()) {
        Decision::Pass(Command::Power { real_power_w, .. })
        | Decision::Clamped { command: Command::Power { real_power_w, .. }, .. } => Some(real_power_w),
        _ => None,
    }
}
