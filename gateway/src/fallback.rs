//! Whether the simulated twin stands in for a device. Pure.

use serde::Serialize;

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

/// The decision, epoch by epoch.
#[derive(Debug, Clone)]
pub struct Fallback {
    policy: FallbackPolicy,
    active: Active,
}

impl Fallback {
    /// The decision at the start of a run; `None` when there is nobody to speak for the resource.
    #[must_use]
    pub fn start(policy: FallbackPolicy, device_answers: bool) -> Option<Self> {
        let active = match (policy, device_answers) {
            (_, true) => Active::Device,
            (FallbackPolicy::Never, false) => return None,
            (FallbackPolicy::OnStart | FallbackPolicy::OnLoss, false) => Active::Twin,
        };
        Some(Self { policy, active })
    }

    /// Whether setpoints go to the device. A device that its twin replaces for the whole run is not to be driven when it
    /// comes back: nobody would see what it does. One that was lost is: it is to come back to the newest setpoint.
    #[must_use]
    pub fn drives_device(&self) -> bool {
        (self.policy, self.active) != (FallbackPolicy::OnStart, Active::Twin)
    }

    /// Decides for an epoch.
    pub fn decide(&mut self, device_answers: bool) -> Active {
        if self.policy == FallbackPolicy::OnLoss {
            self.active = if device_answers { Active::Device } else { Active::Twin };
        }
        self.active
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_means_never() {
        assert!(Fallback::start(FallbackPolicy::Never, false).is_none());
        let mut fallback = Fallback::start(FallbackPolicy::Never, true).unwrap();
        assert_eq!(fallback.decide(false), Active::Device);
    }

    #[test]
    fn on_start_is_decided_once() {
        let mut absent = Fallback::start(FallbackPolicy::OnStart, false).unwrap();
        assert_eq!(absent.decide(true), Active::Twin);
        assert!(!absent.drives_device());
        let mut present = Fallback::start(FallbackPolicy::OnStart, true).unwrap();
        assert_eq!(present.decide(false), Active::Device);
    }

    #[test]
    fn on_loss_follows_the_device() {
        let mut fallback = Fallback::start(FallbackPolicy::OnLoss, true).unwrap();
        assert_eq!(fallback.decide(false), Active::Twin);
        assert!(fallback.drives_device());
        assert_eq!(fallback.decide(true), Active::Device);
    }
}
