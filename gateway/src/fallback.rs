//! Whether the simulated twin stands in for a device: [`Fallback`], a state machine without I/O, and [`SourceSwitch`], by
//! which an operator outranks it.

use gridloop_clock::MonoTime;
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// When the twin may stand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FallbackPolicy {
    /// Never: a device that is not there at the start fails the run; one that is lost later has no good values.
    #[default]
    Never,
    /// When the device is not there at the start, for the whole run.
    OnStart,
    /// Whenever the device does not answer.
    OnLoss,
}

/// Who speaks for the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Active {
    /// The device.
    Device,
    /// Its simulated twin.
    Twin,
}

/// What an operator said about who is to speak for a resource. Clones are the same switch.
#[derive(Debug, Clone, Default)]
pub struct SourceSwitch(Arc<AtomicU8>);

/// Whose word counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Chosen {
    /// Nobody said anything: the policy of the configuration.
    #[default]
    Policy,
    /// The device, as soon as it can.
    Device,
    /// The twin.
    Twin,
}

impl SourceSwitch {
    pub(crate) fn choose(&self, active: Active) {
        self.0.store(1 + u8::from(active == Active::Twin), Ordering::Release);
    }

    pub(crate) fn chosen(&self) -> Chosen {
        match self.0.load(Ordering::Acquire) {
            0 => Chosen::Policy,
            1 => Chosen::Device,
            _ => Chosen::Twin,
        }
    }
}

/// The decision, epoch by epoch.
#[derive(Debug, Clone)]
pub(crate) struct Fallback {
    policy: FallbackPolicy,
    /// How long the device has to be good before it takes over again.
    back_after: Duration,
    absent_at_start: bool,
    active: Active,
    good_since: Option<MonoTime>,
}

impl Fallback {
    /// The decision at the start of a run; `None` when there is nobody to speak for the resource.
    pub(crate) fn start(policy: FallbackPolicy, back_after: Duration, device_answers: bool) -> Option<Self> {
        let active = match (policy, device_answers) {
            (_, true) => Active::Device,
            (FallbackPolicy::Never, false) => return None,
            (FallbackPolicy::OnStart | FallbackPolicy::OnLoss, false) => Active::Twin,
        };
        Some(Self { policy, back_after, absent_at_start: !device_answers, active, good_since: None })
    }

    /// Whether setpoints go to the device. While its twin stands in nobody would see what it does: it is released, left
    /// alone, and driven again when it has taken over.
    pub(crate) fn drives_device(&self) -> bool {
        self.active == Active::Device
    }

    /// Since when, at `now`, a device that takes over has been back: no longer than it has to be good.
    pub(crate) fn back_since(&self, now: MonoTime) -> MonoTime {
        let good_for = self.good_since.map_or(Duration::ZERO, |since| now.since(since));
        MonoTime::from_nanos(now.as_nanos().saturating_sub(nanos(good_for.min(self.back_after))))
    }

    /// Notes whether the device is good at `now`.
    pub(crate) fn observe(&mut self, device_is_good: bool, now: MonoTime) {
        match device_is_good {
            true => _ = self.good_since.get_or_insert(now),
            false => self.good_since = None,
        }
    }

    /// Decides for an epoch. A device that answers keeps its place, whatever it says of its values; to take over again they
    /// have to be good.
    pub(crate) fn decide(
        &mut self,
        chosen: Chosen,
        device_answers: bool,
        device_is_good: bool,
        now: MonoTime,
    ) -> Active {
        self.observe(device_answers && device_is_good, now);
        let twin_is_due = match (chosen, self.policy) {
            (Chosen::Twin, _) => true,
            (_, FallbackPolicy::OnLoss) => !device_answers,
            (Chosen::Policy, FallbackPolicy::OnStart) => self.absent_at_start,
            (Chosen::Policy | Chosen::Device, FallbackPolicy::Never)
            | (Chosen::Device, FallbackPolicy::OnStart) => false,
        };
        let proven = self.good_since.is_some_and(|since| now.since(since) >= self.back_after);
        self.active = match self.active {
            Active::Device if twin_is_due => Active::Twin,
            Active::Twin if !twin_is_due && proven => Active::Device,
            unchanged => unchanged,
        };
        self.active
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACK_AFTER: Duration = Duration::from_secs(3);

    fn at(seconds: u64) -> MonoTime {
        MonoTime::from_nanos(seconds * 1_000_000_000)
    }

    fn start(policy: FallbackPolicy, answers: bool) -> Fallback {
        Fallback::start(policy, BACK_AFTER, answers).expect("somebody speaks")
    }

    #[test]
    fn never_means_never() {
        assert!(Fallback::start(FallbackPolicy::Never, BACK_AFTER, false).is_none());
        let mut fallback = start(FallbackPolicy::Never, true);
        assert_eq!(fallback.decide(Chosen::Policy, false, false, at(1)), Active::Device);
    }

    #[test]
    fn on_start_is_decided_once() {
        let mut absent = start(FallbackPolicy::OnStart, false);
        assert_eq!(absent.decide(Chosen::Policy, true, true, at(60)), Active::Twin);
        assert_eq!(absent.decide(Chosen::Policy, true, true, at(120)), Active::Twin);
        assert!(!absent.drives_device());
        let mut present = start(FallbackPolicy::OnStart, true);
        assert_eq!(present.decide(Chosen::Policy, false, false, at(1)), Active::Device);
    }

    #[test]
    fn on_loss_follows_the_device_which_has_to_be_good_for_a_while() {
        let mut fallback = start(FallbackPolicy::OnLoss, true);
        assert_eq!(fallback.decide(Chosen::Policy, false, false, at(1)), Active::Twin);
        assert!(!fallback.drives_device());
        assert_eq!(fallback.decide(Chosen::Policy, true, true, at(2)), Active::Twin);
        fallback.observe(false, at(4));
        assert_eq!(fallback.decide(Chosen::Policy, true, true, at(5)), Active::Twin, "it counts anew");
        assert_eq!(fallback.decide(Chosen::Policy, true, true, at(8)), Active::Device);
        assert!(fallback.drives_device());
    }

    #[test]
    fn an_operator_swaps_and_swaps_back() {
        for policy in [FallbackPolicy::Never, FallbackPolicy::OnStart, FallbackPolicy::OnLoss] {
            let switch = SourceSwitch::default();
            let mut fallback = start(policy, true);
            switch.choose(Active::Twin);
            assert_eq!(fallback.decide(switch.chosen(), true, true, at(10)), Active::Twin);
            switch.choose(Active::Device);
            assert_eq!(fallback.decide(switch.chosen(), false, false, at(11)), Active::Twin, "not good");
            assert_eq!(fallback.decide(switch.chosen(), true, true, at(12)), Active::Twin, "not for long");
            assert_eq!(fallback.decide(switch.chosen(), true, true, at(15)), Active::Device);
        }
    }

    #[test]
    fn an_operator_brings_in_a_device_that_was_absent_at_the_start() {
        let mut fallback = start(FallbackPolicy::OnStart, false);
        assert_eq!(fallback.decide(Chosen::Device, true, true, at(1)), Active::Twin);
        assert_eq!(fallback.decide(Chosen::Device, true, true, at(4)), Active::Device);
    }

    #[test]
    fn a_device_that_answers_with_doubtful_values_keeps_its_place_and_does_not_take_over() {
        let mut fallback = start(FallbackPolicy::OnLoss, true);
        assert_eq!(fallback.decide(Chosen::Policy, true, false, at(1)), Active::Device);
        assert_eq!(fallback.decide(Chosen::Policy, false, false, at(2)), Active::Twin);
        assert_eq!(fallback.decide(Chosen::Policy, true, false, at(3)), Active::Twin);
        assert_eq!(fallback.decide(Chosen::Policy, true, false, at(9)), Active::Twin);
        assert_eq!(fallback.decide(Chosen::Policy, true, true, at(10)), Active::Twin);
        assert_eq!(fallback.decide(Chosen::Policy, true, true, at(13)), Active::Device);
    }
}
