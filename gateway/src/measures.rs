//! What is measured of one device, for its report and for Prometheus: [`Measures`].

use gridloop_device::Quality;
use gridloop_metrics::{Durations, Gauge, Metrics};

/// The measurements of one device. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Measures {
    /// Age of the oldest published value when it was published.
    pub(crate) read_age: Durations,
    /// From asking the device for the epoch's reading to giving its values to the bus.
    pub(crate) device_to_bus: Durations,
    /// From the arrival of a setpoint to its confirmation by read-back, first writes only.
    pub(crate) setpoint_to_device: Durations,
    quality: Gauge,
    fallback: Gauge,
}

impl Measures {
    pub(crate) fn new(device: &str, metrics: &Metrics) -> Self {
        let label = [("device", device)];
        let durations = |name, help| metrics.durations(name, help, &label);
        Self {
            read_age: durations(
                "gridloop_device_read_age_seconds",
                "Age of the oldest published value when it was published.",
            ),
            device_to_bus: durations(
                "gridloop_device_to_bus_seconds",
                "From asking a device for the reading of an epoch to giving its values to the bus.",
            ),
            setpoint_to_device: durations(
                "gridloop_setpoint_to_device_seconds",
                "From the arrival of a setpoint to its confirmation by read-back.",
            ),
            quality: metrics.gauge(
                "gridloop_device_quality",
                "What was published last: 0 good, 1 stale, 2 questionable or out of range, 3 communication lost, 4 substituted.",
                &label,
            ),
            fallback: metrics.gauge(
                "gridloop_fallback_active",
                "Whether the simulated twin stands in for the device.",
                &label,
            ),
        }
    }

    /// What was published. No value at all is as bad as a lost device.
    pub(crate) fn published(&self, worst: Option<Quality>, substituted: bool) {
        let quality = if substituted { Some(Quality::Substituted) } else { worst };
        self.quality.set(match quality {
            Some(Quality::Good) => 0,
            Some(Quality::Stale) => 1,
            Some(Quality::Questionable | Quality::OutOfRange) => 2,
            Some(Quality::CommLost) | None => 3,
            Some(Quality::Substituted) => 4,
        });
        self.fallback.set(i64::from(substituted));
    }
}
