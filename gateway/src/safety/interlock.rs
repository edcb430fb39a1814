//! When a device must not be driven because of the grid it stands on: [`Interlock`], a state machine without I/O.
//!
//! It opens at the first reading in which voltage or frequency is outside its window, or is not told at all, and when
//! there has been no good value for a while. It closes when every reading has been good and inside for a time that begins
//! anew with each that is not. While the link is down nothing is known: it is open then too, and closes again with the
//! first reading that is inside, unless one is outside before that.

use gridloop_clock::MonoTime;
use gridloop_device::{Quality, Sample, point};
use std::time::Duration;

/// The windows of one device. Absent: whatever it measures is fine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InterlockSettings {
    /// Lowest and highest line-to-neutral voltage in V.
    pub voltage_v: Option<(f64, f64)>,
    /// Lowest and highest frequency in Hz.
    pub frequency_hz: Option<(f64, f64)>,
    /// How long both have to be inside before the device may be driven again.
    pub back_after: Duration,
}

/// IEEE 1547-2018, 4.10.2: a resource enters service when voltage and frequency have been in range for 300 s, unless
/// the operator of the grid says otherwise.
pub(crate) const ENTER_SERVICE_DELAY_S: f64 = 300.0;

impl Default for InterlockSettings {
    fn default() -> Self {
        let back_after = Duration::from_secs_f64(ENTER_SERVICE_DELAY_S);
        Self { voltage_v: None, frequency_hz: None, back_after }
    }
}

/// The interlock of one device.
#[derive(Debug, Clone)]
pub(crate) struct Interlock {
    settings: InterlockSettings,
    /// How long a value may be missing or doubtful.
    patience: Duration,
    open: Option<Open>,
    unproven_since: Option<MonoTime>,
}

#[derive(Debug, Clone)]
struct Open {
    why: String,
    inside_since: Option<MonoTime>,
    /// How long everything has to be inside.
    wait: Duration,
}

/// What a reading changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The device must be released, for this reason.
    Opened(String),
    /// It may be driven again.
    Closed,
}

impl Interlock {
    pub(crate) fn new(settings: InterlockSettings, patience: Duration) -> Self {
        Self { settings, patience, open: None, unproven_since: None }
    }

    /// Why the device must not be driven; `None` when it may be.
    pub(crate) fn refusal(&self) -> Option<String> {
        let open = self.open.as_ref()?;
        let closes = match open.wait.as_secs_f64() {
            0.0 => "with the first reading in range".to_owned(),
            wait_s => format!("when all has been in range for {wait_s} s"),
        };
        Some(format!("interlock: {}; it closes {closes}", open.why))
    }

    /// The link to the device is down.
    pub(crate) fn link_is_down(&mut self) -> Option<Turn> {
        self.unproven_since = None;
        // Without a window there is nothing to be known.
        self.settings.voltage_v.or(self.settings.frequency_hz)?;
        if let Some(open) = &mut self.open {
            open.inside_since = None;
            return None;
        }
        let why = "nothing is known of the grid while the device does not answer".to_owned();
        self.open = Some(Open { why: why.clone(), inside_since: None, wait: Duration::ZERO });
        Some(Turn::Opened(why))
    }

    /// Takes a reading of `now`. `point` gives a point as it is then.
    pub(crate) fn judge(&mut self, point: impl Fn(&str) -> Option<Sample>, now: MonoTime) -> Option<Turn> {
        let windows = [
            (point::VOLTAGE, "V", self.settings.voltage_v),
            (point::FREQUENCY, "Hz", self.settings.frequency_hz),
        ];
        let (mut why, mut unproven) = (None, None);
        for (name, unit, window) in windows {
            let Some((lowest, highest)) = window else { continue };
            match point(name) {
                None => why = why.or(Some(format!("the device does not tell its {name}"))),
                Some(Sample { quality: Quality::Good, value, .. }) if (lowest..=highest).contains(&value) => {
                }
                Some(Sample { quality: Quality::Good, value, .. }) => {
                    why =
                        why.or(Some(format!("{name} {value:.2} {unit} outside {lowest}..{highest} {unit}")));
                }
                Some(_) => unproven = unproven.or(Some(format!("no good {name}"))),
            }
        }
        if let (None, Some(unproven)) = (&why, unproven) {
            if let Some(open) = &mut self.open {
                open.inside_since = None;
                return None;
            }
            let since = *self.unproven_since.get_or_insert(now);
            if now.since(since) < self.patience {
                return None;
            }
            why = Some(unproven);
        }
        self.unproven_since = None;
        match (why, &mut self.open) {
            (Some(why), open) => {
                let turned = open.is_none().then(|| Turn::Opened(why.clone()));
                *open = Some(Open { why, inside_since: None, wait: self.settings.back_after });
                turned
            }
            (None, Some(open)) => {
                let since = *open.inside_since.get_or_insert(now);
                if now.since(since) < open.wait {
                    return None;
                }
                self.open = None;
                Some(Turn::Closed)
            }
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridloop_device::Unit;

    const SETTINGS: InterlockSettings = InterlockSettings {
        voltage_v: Some((207.0, 253.0)),
        frequency_hz: Some((49.5, 50.5)),
        back_after: Duration::from_secs(10),
    };

    const PATIENCE: Duration = Duration::from_secs(3);

    fn at(seconds: u64) -> MonoTime {
        MonoTime::from_nanos(seconds * 1_000_000_000)
    }

    fn reading(voltage_v: f64, frequency_hz: f64, quality: Quality) -> impl Fn(&str) -> Option<Sample> {
        move |name| {
            let (value, unit) = match name {
                point::VOLTAGE => (voltage_v, Unit::Volt),
                _ => (frequency_hz, Unit::Hertz),
            };
            Some(Sample { value, unit, quality, sampled_at: MonoTime::default() })
        }
    }

    #[test]
    fn a_voltage_outside_opens_it_and_it_closes_after_a_time_inside() {
        let mut interlock = Interlock::new(SETTINGS, PATIENCE);
        assert_eq!(interlock.judge(reading(230.0, 50.0, Quality::Good), at(0)), None);
        let opened = interlock.judge(reading(260.0, 50.0, Quality::Good), at(1));
        assert_eq!(opened, Some(Turn::Opened("voltage 260.00 V outside 207..253 V".into())));
        assert!(interlock.refusal().is_some_and(|it| it.contains("260.00 V")));
        assert_eq!(interlock.judge(reading(230.0, 50.0, Quality::Good), at(2)), None);
        assert_eq!(interlock.judge(reading(230.0, 48.0, Quality::Good), at(11)), None, "counts anew");
        assert_eq!(interlock.judge(reading(230.0, 50.0, Quality::Good), at(12)), None);
        assert_eq!(interlock.judge(reading(230.0, 50.0, Quality::Good), at(21)), None);
        assert_eq!(interlock.judge(reading(230.0, 50.0, Quality::Good), at(22)), Some(Turn::Closed));
        assert_eq!(interlock.refusal(), None);
    }

    #[test]
    fn a_device_that_does_not_tell_is_not_driven() {
        let mut interlock = Interlock::new(SETTINGS, PATIENCE);
        assert!(
            matches!(interlock.judge(|_| None, at(0)), Some(Turn::Opened(why)) if why.contains("voltage"))
        );
        let mut without = Interlock::new(InterlockSettings::default(), PATIENCE);
        assert_eq!(without.judge(|_| None, at(0)), None, "nothing was asked of it");
    }

    #[test]
    fn a_value_that_is_not_good_proves_nothing_and_opens_it_after_a_while() {
        for quality in [Quality::Stale, Quality::Questionable, Quality::CommLost] {
            let mut interlock = Interlock::new(SETTINGS, PATIENCE);
            assert_eq!(interlock.judge(reading(230.0, 50.0, quality), at(0)), None);
            assert_eq!(interlock.judge(reading(230.0, 50.0, quality), at(2)), None);
            assert_eq!(interlock.judge(reading(230.0, 50.0, Quality::Good), at(3)), None);
            assert_eq!(interlock.judge(reading(230.0, 50.0, quality), at(4)), None, "counts anew");
            assert!(interlock.judge(reading(230.0, 50.0, quality), at(7)).is_some(), "no good value for 3 s");
            interlock.judge(reading(230.0, 50.0, Quality::Good), at(8));
            interlock.judge(reading(230.0, 50.0, quality), at(9));
            assert_eq!(interlock.judge(reading(230.0, 50.0, Quality::Good), at(60)), None, "counts anew");
            assert_eq!(interlock.judge(reading(230.0, 50.0, Quality::Good), at(70)), Some(Turn::Closed));
        }
    }

    #[test]
    fn one_value_outside_is_enough_whatever_the_other_is() {
        let mut interlock = Interlock::new(SETTINGS, PATIENCE);
        let judged = interlock.judge(
            |name| {
                let (value, quality) =
                    if name == point::VOLTAGE { (280.0, Quality::Good) } else { (50.0, Quality::Stale) };
                Some(Sample { value, unit: Unit::One, quality, sampled_at: MonoTime::default() })
            },
            at(0),
        );
        assert!(matches!(judged, Some(Turn::Opened(why)) if why.contains("280")));
    }

    #[test]
    fn without_a_link_nothing_is_known_and_the_first_reading_decides() {
        let mut interlock = Interlock::new(SETTINGS, PATIENCE);
        assert!(interlock.link_is_down().is_some() && interlock.link_is_down().is_none());
        assert_eq!(interlock.judge(reading(230.0, 50.0, Quality::Good), at(1)), Some(Turn::Closed));
        interlock.link_is_down();
        assert_eq!(interlock.judge(reading(300.0, 50.0, Quality::Good), at(2)), None);
        assert_eq!(interlock.judge(reading(230.0, 50.0, Quality::Good), at(3)), None);
        assert_eq!(interlock.judge(reading(230.0, 50.0, Quality::Good), at(12)), None);
        assert_eq!(interlock.judge(reading(230.0, 50.0, Quality::Good), at(13)), Some(Turn::Closed));
        assert_eq!(Interlock::new(InterlockSettings::default(), PATIENCE).link_is_down(), None);
    }
}
