//! What is known of a device: [`ProcessImage`], and how its values age.

use crate::contract::{Description, PowerRange};
use crate::core::Mode;
use crate::value::{Command, PointName, Quality, Sample, Setpoint, Snapshot, point};
use gridloop_clock::MonoTime;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Whether the device answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Link {
    /// It has never answered yet.
    #[default]
    Connecting,
    /// It answered the last request.
    Up,
    /// It did not.
    Down,
}

/// The last thing known of a device: its points, its link, what it was told and what it holds.
#[derive(Debug, Clone, Default)]
pub struct ProcessImage {
    /// The last reading, point by point; a point that once was read is kept until it is read again.
    pub points: BTreeMap<PointName, Sample>,
    /// The link.
    pub link: Link,
    /// Whether it may be written to at present.
    pub mode: Mode,
    /// What the device said of itself when it was connected last.
    pub description: Option<Arc<Description>>,
    /// Readings so far. It moves when a new one is in.
    pub readings: u64,
    /// Failed requests and connects so far.
    pub failures: u64,
    /// What went wrong last, in words.
    pub last_error: Option<String>,
    /// The newest setpoint that was accepted for it.
    pub asked: Option<Setpoint>,
    /// What the device held at the last read-back. `None`: nobody drives it, or the outcome of a write is unknown.
    pub held: Option<Command>,
    /// The order of the setpoint that `held` confirmed when it was first written; 0 where there is none.
    pub held_order: u64,
    /// Why `asked` is not `held`, where the device or the driver said no.
    pub refusal: Option<String>,
}

/// From which age on a value is no longer good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ageing {
    /// Older than this: [`Quality::Stale`].
    pub stale_after: Duration,
    /// Older than this: [`Quality::CommLost`].
    pub lost_after: Duration,
}

impl ProcessImage {
    /// A driver that breaks its promises must not make a value look good: what is not finite is left out, and nothing
    /// is newer than the reading. A point that is missing from the reading keeps its value, which is no longer good;
    /// a real power that the device cannot have is out of range.
    pub(crate) fn took(&mut self, snapshot: Snapshot, power: Option<PowerRange>, now: MonoTime) {
        for (_, sample) in self.points.iter_mut().filter(|(name, _)| !snapshot.points.contains_key(*name)) {
            sample.quality = sample.quality.max(Quality::Stale);
        }
        for (name, mut sample) in snapshot.points {
            if !sample.value.is_finite() {
                continue;
            }
            sample.sampled_at = sample.sampled_at.min(now);
            if &*name == point::REAL_POWER && power.is_some_and(|range| !plausible(sample.value, range)) {
                sample.quality = sample.quality.max(Quality::OutOfRange);
            }
            self.points.insert(name, sample);
        }
        self.readings += 1;
        self.link = Link::Up;
    }

    /// A point as it is at `now`: its value, its quality after ageing, and its age.
    #[must_use]
    pub fn point(&self, name: &str, ageing: Ageing, now: MonoTime) -> Option<(Sample, Duration)> {
        self.points.get(name).map(|sample| self.aged(*sample, ageing, now))
    }

    /// Every point as it is at `now`, in the order of names.
    pub fn points_at(
        &self,
        ageing: Ageing,
        now: MonoTime,
    ) -> impl Iterator<Item = (&PointName, Sample, Duration)> {
        self.points.iter().map(move |(name, sample)| {
            let (sample, age) = self.aged(*sample, ageing, now);
            (name, sample, age)
        })
    }

    fn aged(&self, mut sample: Sample, ageing: Ageing, now: MonoTime) -> (Sample, Duration) {
        let age = now.since(sample.sampled_at);
        if self.link != Link::Up || age > ageing.lost_after {
            sample.quality = Quality::CommLost;
        } else if age > ageing.stale_after && sample.quality == Quality::Good {
            sample.quality = Quality::Stale;
        }
        (sample, age)
    }
}

/// Whether a device of this range can have this real power. Measurements overshoot a nameplate, but not by half.
fn plausible(real_power_w: f64, range: PowerRange) -> bool {
    let margin = range.max_w.abs().max(range.min_w.abs()) / 2.0;
    (range.min_w - margin..=range.max_w + margin).contains(&real_power_w)
}
