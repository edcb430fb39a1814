//! What a run is to be: [`Settings`] are plain data, and [`Settings::problems`] lists everything that is wrong with
//! them at once. The names of the fields follow wire contract 1.7 and 2.3 (Start).

use gridloop_clock::OnOverrun;
use gridloop_messages::{SimulationId, Timestamp};
use serde::{Serialize, Serializer};
use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Shorter periods leave no time for a single message to go round.
const SHORTEST_PERIOD: Duration = Duration::from_micros(100);

/// The share of the period by which an epoch may start late without being called late.
const TOLERATED_SHARE: u32 = 20;
const TOLERATED_MOST: Duration = Duration::from_millis(10);

/// A run and how it is paced.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Name of the manager: its SourceProcessId and the beginning of its MessageIds.
    pub name: String,
    /// The run's id.
    pub simulation_id: SimulationId,
    /// Name of the run, for people.
    pub simulation_name: String,
    /// What the run is about, for people.
    pub description: String,
    /// Names of the components that must be ready before an epoch may begin. Repetitions are ignored.
    pub components: Vec<String>,
    /// Simulated time at which epoch 1 begins.
    pub initial_start_time: Timestamp,
    /// Simulated time that an epoch covers: whole milliseconds. SimCES itself knows whole seconds only.
    pub epoch_length: Duration,
    /// How many epochs to run; initialisation, epoch 0, is not counted.
    pub epochs: u64,
    /// Simulated time against wall-clock time.
    pub speed: Speed,
    /// What to do when an epoch's end comes while components are missing. Without pacing that never happens.
    pub overrun: Overrun,
    /// When epoch 1 begins, once everybody is ready for it.
    pub start_at: StartAt,
    /// Wait before SimState `running`, so that other processes can bind their queues: 10 s in SimCES, zero when every
    /// component is in this process.
    pub start_delay: Duration,
    /// Wait before the first re-send; each further wait is longer by the same time (wire contract 3.3). 120 s in SimCES.
    pub resend_interval: Duration,
    /// Re-sends before the run is given up; 5 in SimCES.
    pub max_resends: u32,
    /// How late an epoch may start without being called late. Absent: 5 % of the period, at most 10 ms.
    pub late_tolerance: Option<Duration>,
    /// How long before its instant an Epoch is published. Components that know the instant from the message wait for it,
    /// so that the way over the broker no longer shows; the answers must be there as much earlier. Zero for none.
    pub release_lead: Duration,
}

/// Simulated time against wall-clock time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Speed {
    /// As fast as everybody is ready, as SimCES does.
    Max,
    /// This many times faster than wall-clock time: 1 is real time.
    Times(f64),
}

/// What happens when an epoch's end comes while components are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overrun {
    /// Time waits for everybody, as in SimCES; all later instants are as much later.
    Stretch,
    /// The missing components are left behind for that epoch, named and counted; the grid stays.
    Skip,
    /// The run fails.
    Abort,
    /// Time waits for everybody, and the grid stays: the epochs after it are run faster until the grid is reached
    /// again, at most so many of them; what the delay is longer is passed over in whole periods.
    CatchUp(u32),
}

/// Most epochs that may be run faster after one overrun.
const CATCH_UP_MOST: u32 = 1_000_000;

/// When epoch 1 begins, once everybody is ready for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// At once.
    Now,
    /// So much later: time to prepare it as well as all others.
    In(Duration),
    /// At the next multiple of this time, counted in UTC from 1970: 1 min is the next full minute.
    Aligned(Duration),
    /// At this time; at once when it has passed.
    At(Timestamp),
}

/// Something wrong with [`Settings`]. Each names the field.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SettingsError {
    /// An empty name.
    #[error("{field}: a name must not be empty")]
    EmptyName {
        /// The field it stands in.
        field: &'static str,
    },
    /// A character that breaks SimCES somewhere (wire contract 7.2, naming traps).
    #[error("{field}: `{name}` must not contain `{character}`; use letters, digits, `-` and `_`")]
    NameCharacter {
        /// The field it stands in.
        field: &'static str,
        /// The name.
        name: String,
        /// The first character that breaks something.
        character: char,
    },
    /// The manager cannot wait for itself.
    #[error("components: `{name}` is the manager's own name; rename one of them")]
    ManagerListed {
        /// The name.
        name: String,
    },
    /// The wire has no room for it.
    #[error("epoch_length: {found:?} must be whole milliseconds and more than none")]
    EpochLength {
        /// What stands there.
        found: Duration,
    },
    /// Not a speed.
    #[error("speed: {found} must be a number above 0, or \"max\"")]
    Speed {
        /// What stands there.
        found: f64,
    },
    /// Nothing can follow that pace.
    #[error("speed: {found} makes epochs of {period:?}; at least {SHORTEST_PERIOD:?} is needed, or \"max\"")]
    TooFast {
        /// What stands there.
        found: f64,
        /// The period it makes.
        period: Duration,
    },
    /// There is no multiple of nothing.
    #[error("start_at: the time to align to must be more than none")]
    Alignment,
    /// Re-sending without pause.
    #[error("resend_interval: must be more than none")]
    ResendInterval,
    /// Nothing would be left of the epoch.
    #[error("release_lead: {found:?} must be less than half of an epoch, which is {period:?}")]
    ReleaseLead {
        /// What stands there.
        found: Duration,
        /// Wall-clock time of an epoch.
        period: Duration,
    },
    /// There is no instant to be ahead of.
    #[error("release_lead: an unpaced run has no instants to be ahead of; give a speed, or no lead")]
    LeadUnpaced,
}

impl Settings {
    /// Everything that is wrong, in the order of the fields. Nothing may start before this is empty.
    #[must_use]
    pub fn problems(&self) -> Vec<SettingsError> {
        let mut problems: Vec<_> = name_problem("name", &self.name).into_iter().collect();
        let mut seen = HashSet::new();
        for component in self.components.iter().filter(|name| seen.insert(name.as_str())) {
            problems.extend(name_problem("components", component));
            if *component == self.name {
                problems.push(SettingsError::ManagerListed { name: component.clone() });
            }
        }
        if self.epoch_length.is_zero() || !self.epoch_length.subsec_nanos().is_multiple_of(1_000_000) {
            problems.push(SettingsError::EpochLength { found: self.epoch_length });
        }
        problems.extend(self.speed_problem());
        if self.start_at == StartAt::Aligned(Duration::ZERO) {
            problems.push(SettingsError::Alignment);
        }
        if self.resend_interval.is_zero() {
            problems.push(SettingsError::ResendInterval);
        }
        problems.extend(self.lead_problem());
        problems
    }

    /// Wall-clock time between two epochs; none when unpaced.
    #[must_use]
    pub fn period(&self) -> Option<Duration> {
        match self.speed {
            Speed::Max => None,
            Speed::Times(times) => Some(divide(self.epoch_length, times)),
        }
    }

    /// How late an epoch may start without being called late.
    #[must_use]
    pub fn tolerance(&self) -> Duration {
        let share = self.period().map(|period| period / TOLERATED_SHARE);
        self.late_tolerance.or(share.map(|share| share.min(TOLERATED_MOST))).unwrap_or(TOLERATED_MOST)
    }

    fn lead_problem(&self) -> Option<SettingsError> {
        let found = self.release_lead;
        match self.period() {
            _ if found.is_zero() => None,
            None => Some(SettingsError::LeadUnpaced),
            Some(period) => (found >= period / 2).then_some(SettingsError::ReleaseLead { found, period }),
        }
    }

    fn speed_problem(&self) -> Option<SettingsError> {
        let Speed::Times(found) = self.speed else { return None };
        if !found.is_finite() || found <= 0.0 {
            return Some(SettingsError::Speed { found });
        }
        let period = divide(self.epoch_length, found);
        let too_fast = period < SHORTEST_PERIOD && !self.epoch_length.is_zero();
        too_fast.then_some(SettingsError::TooFast { found, period })
    }
}

/// `length / times`, to the nearest nanosecond; the longest duration where there is none.
fn divide(length: Duration, times: f64) -> Duration {
    Duration::try_from_secs_f64(length.as_secs_f64() / times).unwrap_or(Duration::MAX)
}

fn name_problem(field: &'static str, name: &str) -> Option<SettingsError> {
    if name.is_empty() {
        return Some(SettingsError::EmptyName { field });
    }
    let breaks = |c: &char| matches!(c, ',' | '.' | '#' | '*') || c.is_whitespace() || c.is_control();
    let character = name.chars().find(breaks)?;
    Some(SettingsError::NameCharacter { field, name: name.to_owned(), character })
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Max => f.write_str("max"),
            Self::Times(times) => times.fmt(f),
        }
    }
}

impl Overrun {
    /// What it means for the grid.
    pub(crate) const fn on_grid(self) -> OnOverrun {
        match self {
            Self::Stretch => OnOverrun::Stretch,
            Self::Skip | Self::Abort => OnOverrun::Skip,
            Self::CatchUp(most) => OnOverrun::CatchUp(most),
        }
    }
}

impl fmt::Display for Overrun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stretch => f.write_str("stretch"),
            Self::Skip => f.write_str("skip"),
            Self::Abort => f.write_str("abort"),
            Self::CatchUp(most) => write!(f, "catch-up {most}"),
        }
    }
}

impl FromStr for Overrun {
    type Err = String;

    /// As `Display` writes it.
    fn from_str(text: &str) -> Result<Self, String> {
        let expected =
            || "expected stretch, skip, abort or `catch-up N`, where N epochs may be run faster".to_owned();
        match text {
            "stretch" => Ok(Self::Stretch),
            "skip" => Ok(Self::Skip),
            "abort" => Ok(Self::Abort),
            other => {
                let most = other.strip_prefix("catch-up ").ok_or_else(expected)?;
                let most = most.trim().parse().map_err(|_| expected())?;
                if (1..=CATCH_UP_MOST).contains(&most) { Ok(Self::CatchUp(most)) } else { Err(expected()) }
            }
        }
    }
}

impl Serialize for Overrun {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A number, or `"max"`.
impl Serialize for Speed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Max => serializer.serialize_str("max"),
            Self::Times(times) => serializer.serialize_f64(*times),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Two components, two epochs of an hour, unpaced, nothing waits.
    pub(crate) fn settings() -> Settings {
        Settings {
            name: "Clock".into(),
            simulation_id: SimulationId::new(timestamp("2024-03-01T08:00:00.000Z")),
            simulation_name: "Valley feeder".into(),
            description: "two homes".into(),
            components: vec!["A".into(), "B".into()],
            initial_start_time: timestamp("2023-02-01T00:00:00.000Z"),
            epoch_length: Duration::from_secs(3600),
            epochs: 2,
            speed: Speed::Max,
            overrun: Overrun::Stretch,
            start_at: StartAt::Now,
            start_delay: Duration::ZERO,
            resend_interval: Duration::from_secs(120),
            max_resends: 5,
            late_tolerance: None,
            release_lead: Duration::ZERO,
        }
    }

    pub(crate) fn timestamp(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn sound_settings_have_no_problems() {
        assert_eq!(settings().problems(), []);
    }

    #[test]
    fn every_problem_is_listed_at_once() {
        let broken = Settings {
            name: String::new(),
            components: ["a,b", "a b", "a.b", "a#", "*", ""].map(String::from).to_vec(),
            epoch_length: Duration::from_micros(1500),
            speed: Speed::Times(f64::NAN),
            start_at: StartAt::Aligned(Duration::ZERO),
            resend_interval: Duration::ZERO,
            ..settings()
        };
        let texts: Vec<String> = broken.problems().iter().map(ToString::to_string).collect();
        let begins: Vec<&str> = texts.iter().filter_map(|text| text.split(':').next()).collect();
        let names = std::iter::repeat_n("components", 7);
        let expected: Vec<&str> = std::iter::once("name")
            .chain(names)
            .chain(["epoch_length", "speed", "start_at", "resend_interval"])
            .collect();
        assert_eq!(begins, expected, "{texts:#?}");
    }

    #[test]
    fn the_manager_cannot_be_listed() {
        let mut settings = settings();
        settings.components.push("Clock".into());
        assert_eq!(settings.problems(), [SettingsError::ManagerListed { name: "Clock".into() }]);
    }

    #[test]
    fn a_speed_must_be_a_positive_number() {
        for found in [0.0, -1.0, f64::INFINITY] {
            let broken = Settings { speed: Speed::Times(found), ..settings() };
            assert_eq!(broken.problems(), [SettingsError::Speed { found }]);
        }
        let broken = Settings { speed: Speed::Times(1e9), ..settings() };
        assert!(matches!(broken.problems()[..], [SettingsError::TooFast { .. }]));
    }

    #[test]
    fn the_period_is_the_epoch_length_over_the_speed() {
        let at = |speed| Settings { speed, ..settings() }.period();
        assert_eq!(at(Speed::Max), None);
        assert_eq!(at(Speed::Times(1.0)), Some(Duration::from_secs(3600)));
        assert_eq!(at(Speed::Times(3600.0)), Some(Duration::from_secs(1)));
        assert_eq!(at(Speed::Times(0.5)), Some(Duration::from_secs(7200)));
    }

    #[test]
    fn policies_are_read_as_they_are_written() {
        for policy in [Overrun::Stretch, Overrun::Skip, Overrun::Abort, Overrun::CatchUp(7)] {
            assert_eq!(policy.to_string().parse(), Ok(policy));
        }
        for text in
            ["", "Skip", "catch-up", "catch-up 0", "catch-up -1", "catch-up 1000001", "catch-up 3 epochs"]
        {
            assert!(text.parse::<Overrun>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_lead_must_leave_half_of_the_epoch_and_needs_instants() {
        let lead = |ms, speed| {
            let release_lead = Duration::from_millis(ms);
            Settings { release_lead, speed, ..settings() }.problems()
        };
        assert_eq!(lead(499, Speed::Times(3600.0)), []);
        assert!(matches!(lead(500, Speed::Times(3600.0))[..], [SettingsError::ReleaseLead { .. }]));
        assert_eq!(lead(1, Speed::Max), [SettingsError::LeadUnpaced]);
    }

    #[test]
    fn the_tolerance_is_a_twentieth_of_the_period_but_ten_milliseconds_at_most() {
        let at = |speed| Settings { speed: Speed::Times(speed), ..settings() }.tolerance();
        assert_eq!(at(1.0), Duration::from_millis(10));
        assert_eq!(at(36_000.0), Duration::from_millis(5));
        let chosen = Settings { late_tolerance: Some(Duration::from_secs(1)), ..settings() };
        assert_eq!(chosen.tolerance(), Duration::from_secs(1));
    }
}
