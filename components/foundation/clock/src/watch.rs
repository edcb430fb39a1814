//! What happens to the system's clocks during a run: [`ClockWatch`] compares [`Readings`] and names every
//! [`ClockEvent`]. It asks no clock itself.
//!
//! `CLOCK_MONOTONIC` never steps, but it stands still while the machine is suspended, and it is slewed together with
//! UTC. So a change of UTC against it is a step, a change of `CLOCK_BOOTTIME` against it a suspend, and its rate
//! against `CLOCK_MONOTONIC_RAW` is what the time service does to the clock's frequency.

use std::time::Duration;

/// The system's clocks at one instant, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Readings {
    /// `CLOCK_MONOTONIC`
    pub monotonic: i64,
    /// `CLOCK_REALTIME`, since 1970.
    pub utc: i64,
    /// `CLOCK_BOOTTIME`: monotonic, and counts while suspended.
    pub boottime: i64,
    /// `CLOCK_MONOTONIC_RAW`: the hardware's own rate.
    pub raw: i64,
    /// How long the reading took: by so much the clocks may have been read apart.
    pub taken: i64,
}

/// Something that happened to the system's clocks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ClockEvent {
    /// UTC was set, forward or, if negative, back.
    Stepped {
        /// When, by the monotonic clock in nanoseconds.
        at: i64,
        /// By how much, in nanoseconds.
        by: i64,
    },
    /// The machine slept.
    Suspended {
        /// When it was noticed.
        at: i64,
        /// For how long.
        lasted: Duration,
    },
    /// The clock's rate was changed, as by a time service that makes up for an error or smears a leap second.
    Slewed {
        /// When it was noticed.
        at: i64,
        /// The new rate less the one before, in parts per million.
        by_ppm: f64,
    },
}

/// Steps shorter than this are not told from the time between two readings.
const STEP_MIN_NANOS: i64 = 500_000;
/// The rate is measured over at least this time.
const RATE_OVER_NANOS: i64 = 10_000_000_000;
/// A change of rate below this is the usual steering of a time service. Smearing a leap second over a day is 11.6.
const RATE_CHANGE_PPM: f64 = 5.0;

/// Compares readings.
#[derive(Debug, Clone)]
pub struct ClockWatch {
    last: Readings,
    /// Where the present measurement of the rate began.
    rate_from: Readings,
    rate_ppm: Option<f64>,
    /// Sum of all steps, in nanoseconds.
    stepped: i64,
}

impl ClockWatch {
    /// A watch that begins with these readings.
    #[must_use]
    pub const fn new(first: Readings) -> Self {
        Self { last: first, rate_from: first, rate_ppm: None, stepped: 0 }
    }

    /// The rate of the monotonic clock against the hardware's own in parts per million, once it has been measured.
    #[must_use]
    pub const fn rate_ppm(&self) -> Option<f64> {
        self.rate_ppm
    }

    /// All steps together: by how much the labels of a run differ from the system's UTC now.
    #[must_use]
    pub const fn stepped_nanos(&self) -> i64 {
        self.stepped
    }

    /// What happened between the readings before and `now`.
    pub fn look(&mut self, now: Readings) -> Vec<ClockEvent> {
        let mut events = Vec::new();
        let last = std::mem::replace(&mut self.last, now);
        let doubt = (now.taken + last.taken).max(STEP_MIN_NANOS);
        let at = now.monotonic;
        let suspended = (now.boottime - now.monotonic) - (last.boottime - last.monotonic);
        if suspended > doubt {
            events.push(ClockEvent::Suspended { at, lasted: Duration::from_nanos(suspended.unsigned_abs()) });
        }
        // While suspended UTC goes on and the monotonic clock does not: that alone is no step.
        let stepped = (now.utc - now.boottime) - (last.utc - last.boottime);
        if stepped.abs() > doubt {
            self.stepped = self.stepped.saturating_add(stepped);
            events.push(ClockEvent::Stepped { at, by: stepped });
        }
        if suspended > doubt {
            self.rate_from = now;
        } else if now.raw - self.rate_from.raw >= RATE_OVER_NANOS {
            events.extend(self.measure_rate(now));
        }
        events
    }

    fn measure_rate(&mut self, now: Readings) -> Option<ClockEvent> {
        let from = std::mem::replace(&mut self.rate_from, now);
        let raw = now.raw - from.raw;
        // Readings that were interrupted say nothing about a rate: a part per million of ten seconds is ten microseconds.
        if raw <= 0 || now.taken + from.taken > raw / 1_000_000 {
            return None;
        }
        let gained = (now.monotonic - from.monotonic) - raw;
        let (gained, raw) = (nanos_as_f64(gained), nanos_as_f64(raw));
        let rate = gained / raw * 1e6;
        let before = self.rate_ppm.replace(rate)?;
        let by_ppm = rate - before;
        (by_ppm.abs() > RATE_CHANGE_PPM).then_some(ClockEvent::Slewed { at: now.monotonic, by_ppm })
    }
}

/// Exact up to 104 days.
fn nanos_as_f64(nanos: i64) -> f64 {
    let seconds = f64::from(i32::try_from(nanos / 1_000_000_000).unwrap_or(i32::MAX));
    let rest = f64::from(i32::try_from(nanos % 1_000_000_000).unwrap_or(0));
    seconds * 1e9 + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    /// Clocks that can be disturbed.
    struct Clocks {
        now: Readings,
        watch: ClockWatch,
        events: Vec<ClockEvent>,
    }

    impl Clocks {
        fn new() -> Self {
            let now = Readings {
                monotonic: 100 * S,
                utc: 1_800_000_000 * S,
                boottime: 150 * S,
                raw: 99 * S,
                taken: 300,
            };
            Self { now, watch: ClockWatch::new(now), events: Vec::new() }
        }

        fn run(&mut self, seconds: i64, ppm: i64) {
            for _ in 0..seconds {
                self.now.raw += S;
                let passed = S + S / 1_000_000 * ppm;
                self.now.monotonic += passed;
                self.now.utc += passed;
                self.now.boottime += passed;
                let events = self.watch.look(self.now);
                self.events.extend(events);
            }
        }
    }

    #[test]
    fn clocks_that_are_left_alone_give_no_events_whatever_their_rate() {
        for ppm in [-80, 0, 80] {
            let mut clocks = Clocks::new();
            clocks.run(100, ppm);
            assert_eq!(clocks.events, []);
            let rate = clocks.watch.rate_ppm().unwrap();
            assert!((rate - f64::from(i32::try_from(ppm).unwrap())).abs() < 0.01, "{rate}");
        }
    }

    #[test]
    fn a_step_of_an_hour_and_one_of_a_millisecond_are_told_each_once() {
        for by in [3600 * S, -3600 * S, S / 1000, -S / 1000] {
            let mut clocks = Clocks::new();
            clocks.run(5, 0);
            clocks.now.utc += by;
            clocks.run(5, 0);
            let at = 106 * S;
            assert_eq!(clocks.events, [ClockEvent::Stepped { at, by }]);
            assert_eq!(clocks.watch.stepped_nanos(), by);
        }
    }

    #[test]
    fn a_suspend_is_told_and_is_no_step() {
        let mut clocks = Clocks::new();
        clocks.run(5, 0);
        clocks.now.utc += 90 * S;
        clocks.now.boottime += 90 * S;
        clocks.run(5, 0);
        assert_eq!(clocks.events, [ClockEvent::Suspended { at: 106 * S, lasted: Duration::from_secs(90) }]);
    }

    #[test]
    fn a_suspend_after_which_utc_is_set_is_both() {
        let mut clocks = Clocks::new();
        clocks.now.boottime += 90 * S;
        clocks.run(1, 0);
        assert!(
            matches!(clocks.events[..], [ClockEvent::Suspended { .. }, ClockEvent::Stepped { by, .. }] if by == -90 * S)
        );
    }

    #[test]
    fn a_leap_second_that_is_smeared_is_told_when_it_begins_and_when_it_ends() {
        let mut clocks = Clocks::new();
        clocks.run(60, 20);
        clocks.run(60, 32);
        clocks.run(60, 20);
        let slews: Vec<f64> =
            clocks
                .events
                .iter()
                .map(|event| {
                    if let ClockEvent::Slewed { by_ppm, .. } = event { *by_ppm } else { panic!("{event:?}") }
                })
                .collect();
        assert!((slews.iter().sum::<f64>()).abs() < 0.01, "{slews:?}");
        assert!(slews.iter().any(|by| *by > 5.0) && slews.iter().any(|by| *by < -5.0), "{slews:?}");
    }

    #[test]
    fn a_reading_that_was_interrupted_is_no_step_and_no_slew() {
        let mut clocks = Clocks::new();
        clocks.run(15, 0);
        // The thread lost its processor for 3 ms between two of the clocks.
        clocks.now.utc += 3_000_000;
        clocks.now.boottime -= 1_000;
        clocks.now.taken = 3_100_000;
        clocks.run(1, 0);
        clocks.now.utc -= 3_000_000;
        clocks.now.taken = 300;
        clocks.now.raw += 0;
        assert_eq!(clocks.events, []);
    }
}
