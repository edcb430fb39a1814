//! What has been heard of mapped equipment: [`MappedHeard`], a state machine without I/O.
//!
//! Such equipment numbers nothing and dates nothing, so that a value is as old as its arrival and a message that was held
//! up on the way cannot be told from a prompt one. What was retained has no known age and is never good. A message that
//! makes no sense leaves no value behind: the last word counts, and it was none.

use crate::profile::{Profile, Reading};
use gridloop_clock::MonoTime;
use gridloop_device::{Quality, Snapshot};

/// A value and when it came.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Told {
    value: f64,
    quality: Quality,
    at: MonoTime,
    retained: bool,
}

/// The present word of mapped equipment.
#[derive(Debug, Clone)]
pub(crate) struct MappedHeard {
    profile: Profile,
    points: Vec<Option<Told>>,
    online: Option<bool>,
    held: Option<Told>,
    newest: Option<MonoTime>,
}

impl MappedHeard {
    pub(crate) fn new(profile: Profile) -> Self {
        let points = vec![None; profile.points.len()];
        Self { profile, points, online: None, held: None, newest: None }
    }

    /// Every topic that matters, once.
    pub(crate) fn topics(&self) -> Vec<String> {
        let Profile { status, points, power, .. } = &self.profile;
        let status = status.iter().map(|status| &status.place.topic);
        let points = points.iter().map(|point| &point.place.topic);
        let power = power.iter().map(|power| &power.readback.topic);
        let mut topics: Vec<String> = status.chain(points).chain(power).cloned().collect();
        topics.sort();
        topics.dedup();
        topics
    }

    /// Takes a message; a topic may carry several values.
    pub(crate) fn take(&mut self, topic: &str, payload: &[u8], retained: bool, at: MonoTime) {
        let Profile { status, points, power, .. } = &self.profile;
        if let Some(status) = status.as_ref().filter(|status| status.place.topic == topic) {
            self.online = Some(status.place.text(payload).as_deref() == Some(status.online.as_str()));
        }
        for (point, told) in points.iter().zip(&mut self.points) {
            if point.place.topic != topic {
                continue;
            }
            *told = match point.decode(payload) {
                Reading::Absent => None,
                Reading::Value(value, quality) => Some(Told { value, quality, at, retained }),
            };
            if told.is_some() && !retained {
                self.newest = Some(at);
            }
        }
        if let Some(power) = power.as_ref().filter(|power| power.readback.topic == topic) {
            self.held =
                power.decode(payload).map(|value| Told { value, quality: Quality::Good, at, retained });
        }
    }

    /// Whether the equipment says that it is there; `None` when it has not said anything, `Some(true)` where it says
    /// nothing of the kind.
    pub(crate) fn online(&self) -> Option<bool> {
        if self.profile.status.is_none() { Some(true) } else { self.online }
    }

    /// Whether it has shown that it is there: by its word where it has one for that, else by a value that was not
    /// retained.
    pub(crate) fn alive(&self) -> bool {
        if self.profile.status.is_none() { self.newest.is_some() } else { self.online == Some(true) }
    }

    /// When the newest value came that was not retained.
    pub(crate) fn newest(&self) -> Option<MonoTime> {
        self.newest
    }

    /// Everything that is known, as old as it is.
    pub(crate) fn snapshot(&self, now: MonoTime) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for (point, told) in self.profile.points.iter().zip(&self.points) {
            let Some(Told { value, quality, at, retained }) = *told else { continue };
            let old = retained || now.since(at) > point.stale_after;
            let quality = if old { quality.max(Quality::Stale) } else { quality };
            snapshot.put_as(&point.name, value, point.unit, quality, at);
        }
        snapshot
    }

    /// The power in W that the equipment said it holds, after `since` and not from the broker's memory.
    pub(crate) fn held_w(&self, since: MonoTime) -> Option<f64> {
        self.held.filter(|told| !told.retained && told.at >= since).map(|told| told.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const OPENDTU: &str = include_str!("../../../configs/devices/mqtt-opendtu.toml");

    fn heard() -> MappedHeard {
        MappedHeard::new(Profile::parse("opendtu", OPENDTU).unwrap().filled("solar", "1"))
    }

    fn at(seconds: u64) -> MonoTime {
        MonoTime::default() + Duration::from_secs(seconds)
    }

    fn power(heard: &MappedHeard, now: MonoTime) -> Option<(f64, Quality, MonoTime)> {
        let snapshot = heard.snapshot(now);
        snapshot.get("real_power").map(|sample| (sample.value, sample.quality, sample.sampled_at))
    }

    #[test]
    fn a_value_is_good_until_it_is_too_old() {
        let mut heard = heard();
        heard.take("solar/1/0/power", b"250", false, at(10));
        assert_eq!(power(&heard, at(25)), Some((250.0, Quality::Good, at(10))));
        assert_eq!(power(&heard, at(26)), Some((250.0, Quality::Stale, at(10))));
    }

    #[test]
    fn what_was_retained_is_not_good_and_holds_nothing() {
        let mut heard = heard();
        heard.take("solar/1/0/power", b"250", true, at(10));
        heard.take("solar/1/status/limit_absolute", b"600", true, at(10));
        assert_eq!(power(&heard, at(10)), Some((250.0, Quality::Stale, at(10))));
        assert_eq!((heard.newest(), heard.held_w(at(0))), (None, None));
    }

    #[test]
    fn nonsense_leaves_no_value_behind() {
        let mut heard = heard();
        heard.take("solar/1/0/power", b"250", false, at(10));
        heard.take("solar/1/0/power", b"nan", false, at(11));
        assert_eq!(power(&heard, at(11)), None);
        heard.take("solar/1/0/power", b"9999", false, at(12));
        assert_eq!(power(&heard, at(12)), Some((9999.0, Quality::OutOfRange, at(12))));
        heard.take("solar/2/0/power", b"1", false, at(13));
        assert_eq!(power(&heard, at(13)), Some((9999.0, Quality::OutOfRange, at(12))));
    }

    #[test]
    fn presence_is_the_word_of_the_profile_and_nothing_else() {
        let mut heard = heard();
        assert_eq!(heard.online(), None);
        for (word, online) in [(&b"1"[..], true), (b"0", false), (b"1", true), (b"yes", false), (b"", false)]
        {
            heard.take("solar/1/status/reachable", word, false, at(1));
            assert_eq!(heard.online(), Some(online));
        }
    }

    #[test]
    fn what_is_held_must_have_been_said_after_the_command() {
        let mut heard = heard();
        heard.take("solar/1/status/limit_absolute", b"300", false, at(10));
        assert_eq!((heard.held_w(at(10)), heard.held_w(at(11))), (Some(300.0), None));
    }

    /// As for the gridloop profile, of messages that carry no number and no date: among garbage, other topics, retained
    /// and old values, a good one is always the last that was said live, and young enough.
    #[test]
    fn among_a_hundred_thousand_bad_messages_no_wrong_value_is_shown_as_good() {
        const CASES: u64 = 120_000;
        let mut random = fastrand::Rng::with_seed(2);
        let (mut heard, mut last, mut millis, mut good) = (heard(), None, 0_u64, 0_u64);
        for case in 0..CASES {
            millis += if random.u32(0..1000) == 0 { 20_000 } else { random.u64(1..100) };
            let now = MonoTime::from_nanos(millis * 1_000_000);
            let watts = random.u32(0..9000);
            let (topic, payload, retained) = match random.u32(0..6) {
                0 | 1 => ("solar/1/0/power", watts.to_string().into_bytes(), false),
                2 => ("solar/1/0/power", watts.to_string().into_bytes(), true),
                3 => ("solar/1/0/power", std::iter::repeat_with(|| random.u8(..)).take(6).collect(), false),
                4 => ("solar/1/1/power", watts.to_string().into_bytes(), false),
                _ => ("solar/1/0/voltage", b"230".to_vec(), false),
            };
            heard.take(topic, &payload, retained, now);
            if topic == "solar/1/0/power" {
                let text = std::str::from_utf8(&payload).unwrap_or_default().trim();
                let said = text.parse().ok().filter(|value: &f64| (0.0..=5000.0).contains(value));
                last = said.filter(|_| !retained).map(|value| (value, now));
            }
            if let Some((value, Quality::Good, sampled_at)) = power(&heard, now) {
                good += 1;
                assert_eq!(Some((value, sampled_at)), last, "case {case}");
                assert!(now.since(sampled_at) <= Duration::from_secs(15), "case {case}");
            }
        }
        assert!(good > CASES / 5, "{good}");
    }
}
