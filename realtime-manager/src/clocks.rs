//! What the system's clocks did during a run. A [`ClockWatcher`] is a thread that looks at them every second, and at
//! once when UTC is set; what it saw becomes a [`ClockReport`]. Nothing of it touches pacing.

use crate::rt::{Synchronisation, clock_synchronisation};
use gridloop_clock::{Anchor, ClockEvent, ClockWatch, MonoTime, read_clocks};
use gridloop_messages::WallTime;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use serde::Serialize;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Between two looks.
const EVERY: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
/// Events that are kept; the rest are counted.
const MOST_EVENTS: usize = 100;

/// Watches the clocks until it is dropped.
pub(crate) struct ClockWatcher {
    shared: Arc<Shared>,
}

struct Shared {
    anchor: Anchor,
    ended: AtomicBool,
    seen: Mutex<Seen>,
}

struct Seen {
    watch: ClockWatch,
    events: Vec<ClockChange>,
    more_events: u64,
}

/// How the system's UTC was during a run (`clock` in `report.json`).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClockReport {
    /// UTC at the instant from which all labels of the run are counted.
    pub anchored_at: String,
    /// UTC was set, the machine slept, or the clock's rate was changed.
    pub events: Vec<ClockChange>,
    /// Events beyond the first hundred.
    pub more_events: u64,
    /// The system's UTC at the end less the labels of the run, in seconds: the sum of all steps.
    pub stepped_s: f64,
    /// Rate of the clock against the hardware's own, in parts per million; absent in runs shorter than some seconds.
    pub rate_ppm: Option<f64>,
    /// How well UTC was kept when the run began; absent where the kernel does not say.
    pub synchronisation_at_start: Option<Synchronisation>,
    /// And when it ended.
    pub synchronisation_at_end: Option<Synchronisation>,
}

/// Something that happened to the system's clock.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClockChange {
    /// When, by the labels of the run.
    pub at: String,
    /// What.
    #[serde(flatten)]
    pub change: Change,
}

/// What happened to the system's clock.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// UTC was set, by so many seconds.
    SteppedByS(f64),
    /// The machine slept, for so many seconds.
    SuspendedForS(f64),
    /// The clock's rate was changed, by so many parts per million.
    SlewedByPpm(f64),
}

impl fmt::Display for ClockChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = &self.at;
        match self.change {
            Change::SteppedByS(by) => write!(f, "the system's clock was set by {by:+.6} s at {at}"),
            Change::SuspendedForS(for_s) => {
                write!(f, "the machine was suspended for {for_s:.3} s before {at}")
            }
            Change::SlewedByPpm(by) => {
                write!(f, "the rate of the system's clock changed by {by:+.1} ppm before {at}")
            }
        }
    }
}

impl ClockWatcher {
    /// Starts the watch; labels are counted from `anchor`.
    pub(crate) fn start(anchor: Anchor) -> io::Result<Self> {
        let seen = Seen { watch: ClockWatch::new(read_clocks()), events: Vec::new(), more_events: 0 };
        let shared = Arc::new(Shared { anchor, ended: AtomicBool::new(false), seen: Mutex::new(seen) });
        let alarm = StepAlarm::new()?;
        let watching = Arc::clone(&shared);
        thread::Builder::new().name("clock-watch".into()).spawn(move || {
            while !watching.ended.load(Ordering::Acquire) && alarm.wait().is_ok() {
                watching.look();
            }
        })?;
        Ok(Self { shared })
    }

    /// What was seen up to now.
    pub(crate) fn report(&self, at_start: Option<Synchronisation>) -> ClockReport {
        self.shared.look();
        let seen = self.shared.seen();
        ClockReport {
            anchored_at: WallTime::from(self.shared.anchor.utc).to_string(),
            events: seen.events.clone(),
            more_events: seen.more_events,
            stepped_s: seconds(seen.watch.stepped_nanos()),
            rate_ppm: seen.watch.rate_ppm(),
            synchronisation_at_start: at_start,
            synchronisation_at_end: clock_synchronisation().ok(),
        }
    }
}

impl Drop for ClockWatcher {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
    }
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self) {
        let mut seen = self.seen();
        for event in seen.watch.look(read_clocks()) {
            let change = self.named(event);
            tracing::warn!("{change}");
            if seen.events.len() < MOST_EVENTS {
                seen.events.push(change);
            } else {
                seen.more_events += 1;
            }
        }
    }

    fn named(&self, event: ClockEvent) -> ClockChange {
        let (at, change) = match event {
            ClockEvent::Stepped { at, by } => (at, Change::SteppedByS(seconds(by))),
            ClockEvent::Suspended { at, lasted } => (at, Change::SuspendedForS(lasted.as_secs_f64())),
            ClockEvent::Slewed { at, by_ppm } => (at, Change::SlewedByPpm(by_ppm)),
        };
        let instant = MonoTime::from_nanos(u64::try_from(at).unwrap_or(0));
        ClockChange { at: WallTime::from(self.anchor.utc_of(instant)).to_string(), change }
    }
}

/// A timer of the kernel that is cancelled when UTC is set.
struct StepAlarm(OwnedFd);

impl StepAlarm {
    fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let alarm = Self(timerfd_create(TimerfdClockId::Realtime, flags)?);
        alarm.arm()?;
        Ok(alarm)
    }

    /// To an instant that never comes.
    fn arm(&self) -> io::Result<()> {
        let never = Timespec { tv_sec: i64::from(u32::MAX) * 100, tv_nsec: 0 };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: never };
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        timerfd_settime(&self.0, flags, &once)?;
        Ok(())
    }

    /// Returns when UTC was set, or after a while.
    fn wait(&self) -> io::Result<()> {
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        match poll(&mut fds, Some(&EVERY)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut expirations = [0_u8; 8];
        // The read says that the timer was cancelled, which is what is known here already.
        let _ = rustix::io::read(&self.0, &mut expirations);
        self.arm()
    }
}

/// Processor time that the hypervisor has given to others since the boot, of all processors together, in milliseconds;
/// none where the kernel does not say.
pub(crate) fn stolen_ms() -> Option<u64> {
    stolen_in(&std::fs::read_to_string("/proc/stat").ok()?)
}

/// The eighth number of the first line, in hundredths of a second.
fn stolen_in(stat: &str) -> Option<u64> {
    let processors = stat.lines().next()?.strip_prefix("cpu ")?;
    processors.split_whitespace().nth(7)?.parse::<u64>().ok()?.checked_mul(10)
}

/// To the microsecond.
fn seconds(nanos: i64) -> f64 {
    let micros = nanos / 1000;
    let (whole, rest) = (micros / 1_000_000, micros % 1_000_000);
    let whole = f64::from(i32::try_from(whole).unwrap_or(if whole < 0 { i32::MIN } else { i32::MAX }));
    whole + f64::from(i32::try_from(rest).unwrap_or(0)) / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridloop_clock::{Clock, WallClock};

    #[test]
    fn a_quiet_clock_is_reported_quiet_with_what_the_kernel_says_of_it() {
        let clock = WallClock::start().unwrap();
        let anchor = Anchor { at: clock.now(), utc: clock.utc() };
        let at_start = clock_synchronisation().ok();
        let report = ClockWatcher::start(anchor).unwrap().report(at_start);
        assert_eq!((report.events.len(), report.more_events), (0, 0), "{report:?}");
        assert_eq!(report.synchronisation_at_start.is_some(), report.synchronisation_at_end.is_some());
    }

    #[test]
    fn stolen_time_is_read_from_the_kernel_s_line_or_not_known() {
        assert_eq!(stolen_in("cpu  1 2 3 4 5 6 7 89 0 0\ncpu0 1\n"), Some(890));
        for text in ["", "cpu  1 2 3", "cpu  a b c d e f g h", "intr 1 2 3 4 5 6 7 8 9"] {
            assert_eq!(stolen_in(text), None, "{text}");
        }
    }

    #[test]
    fn changes_are_told_with_their_size_and_their_time() {
        let at = "2026-01-01T00:00:00.000000Z".to_owned();
        let told = |change| ClockChange { at: at.clone(), change }.to_string();
        assert_eq!(
            told(Change::SteppedByS(-3600.0)),
            "the system's clock was set by -3600.000000 s at 2026-01-01T00:00:00.000000Z"
        );
        assert!(told(Change::SuspendedForS(90.0)).contains("suspended for 90.000 s"));
        assert!(told(Change::SlewedByPpm(11.6)).contains("+11.6 ppm"));
        let json = serde_json::to_value(ClockChange { at, change: Change::SteppedByS(1.5) }).unwrap();
        assert_eq!(json["stepped_by_s"], 1.5);
    }
}
