//! UTC labels for monotonic instants: [`Anchor`].

use crate::{MonoTime, Utc};
use chrono::TimeDelta;

/// One instant that is known on both clocks. Every other label is counted from it by the monotonic clock, so that a
/// step of the system's UTC changes no label of a run that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// The instant.
    pub at: MonoTime,
    /// What UTC was then.
    pub utc: Utc,
}

impl Anchor {
    /// The label of `instant`; the anchor's own beyond 292 years.
    #[must_use]
    pub fn utc_of(&self, instant: MonoTime) -> Utc {
        let nanos = i128::from(instant.as_nanos()) - i128::from(self.at.as_nanos());
        let delta = i64::try_from(nanos).map_or(TimeDelta::zero(), TimeDelta::nanoseconds);
        self.utc.checked_add_signed(delta).unwrap_or(self.utc)
    }

    /// The instant that has the label `utc`; the clock's zero for one before it.
    #[must_use]
    pub fn instant_of(&self, utc: Utc) -> MonoTime {
        let delta =
            (utc - self.utc).num_nanoseconds().unwrap_or(if utc < self.utc { i64::MIN } else { i64::MAX });
        let nanos = i128::from(self.at.as_nanos()) + i128::from(delta);
        MonoTime::from_nanos(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anchor() -> Anchor {
        let utc = chrono::DateTime::from_timestamp(1_767_225_600, 123_456_789).unwrap();
        Anchor { at: MonoTime::from_nanos(5_000_000_000), utc }
    }

    #[test]
    fn labels_and_instants_are_each_other_s_inverse_on_both_sides_of_the_anchor() {
        for nanos in [0, 1, 4_999_999_999, 5_000_000_000, 5_000_000_001, 9_000_000_000_000_000] {
            let instant = MonoTime::from_nanos(nanos);
            assert_eq!(anchor().instant_of(anchor().utc_of(instant)), instant);
        }
    }

    #[test]
    fn what_lies_outside_either_clock_is_cut_to_it() {
        let anchor = anchor();
        assert_eq!(anchor.instant_of(chrono::DateTime::UNIX_EPOCH), MonoTime::default());
        assert_eq!(anchor.utc_of(MonoTime::from_nanos(u64::MAX)), anchor.utc);
        assert!(anchor.instant_of(chrono::DateTime::<chrono::Utc>::MAX_UTC) > anchor.at);
    }
}
