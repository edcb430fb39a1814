//! What a voltage and a current may be: [`Limits`].

use serde_json::Value;

/// The limits of a state monitoring. Voltages in per unit, loading in parts of the rated current.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Limits {
    /// Red: below it a voltage is unacceptable.
    pub min_pu: Option<f64>,
    /// Red: above it a voltage is unacceptable.
    pub max_pu: Option<f64>,
    /// Amber: below it a voltage is close to the limit.
    pub amber_min_pu: Option<f64>,
    /// Amber: above it a voltage is close to the limit.
    pub amber_max_pu: Option<f64>,
    /// Red: above it a loading is unacceptable.
    pub loading: Option<f64>,
    /// Amber: above it a loading is close to the limit.
    pub amber_loading: Option<f64>,
}

impl Limits {
    /// Whether nothing is limited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The limits in the findings of a state monitoring (docs/report.md); `None` where they are of another kind or tell
    /// none.
    #[must_use]
    pub fn of_findings(findings: &Value) -> Option<Self> {
        if findings.get("kind")?.as_str()? != "state-monitoring" {
            return None;
        }
        let limits = findings.get("limits")?;
        let number = |name: &str| limits.get(name)?.as_f64().filter(|number| number.is_finite());
        let limits = Self {
            min_pu: number("min_voltage_pu"),
            max_pu: number("max_voltage_pu"),
            amber_min_pu: number("lower_amber_voltage_pu"),
            amber_max_pu: number("upper_amber_voltage_pu"),
            loading: number("overloading_baseline"),
            amber_loading: number("amber_loading_baseline"),
        };
        (!limits.is_empty()).then_some(limits)
    }

    /// How far a voltage is beyond its red limits; negative inside. Without limits, how far it is from 1.
    pub(crate) fn beyond(&self, pu: f64) -> f64 {
        match (self.min_pu, self.max_pu) {
            (None, None) => (pu - 1.0).abs(),
            (min, max) => {
                let below = min.map_or(f64::NEG_INFINITY, |min| min - pu);
                let above = max.map_or(f64::NEG_INFINITY, |max| pu - max);
                below.max(above)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_state_monitoring_tells_its_limits() {
        let limits = json!({"min_voltage_pu": 0.9, "max_voltage_pu": 1.1, "lower_amber_voltage_pu": 0.92,
            "upper_amber_voltage_pu": 1.08, "overloading_baseline": 1.0, "amber_loading_baseline": 0.9});
        let found = Limits::of_findings(&json!({"kind": "state-monitoring", "limits": limits})).unwrap();
        assert_eq!((found.min_pu, found.max_pu, found.amber_min_pu), (Some(0.9), Some(1.1), Some(0.92)));
        assert_eq!(
            (found.amber_max_pu, found.loading, found.amber_loading),
            (Some(1.08), Some(1.0), Some(0.9))
        );
        assert!(found.beyond(0.88) > 0.0 && found.beyond(1.0) < 0.0);
    }

    #[test]
    fn whoever_is_no_state_monitoring_tells_none() {
        for other in [json!(1), json!({}), json!({"kind": "storage", "limits": {"max_voltage_pu": 1.1}})] {
            assert_eq!(Limits::of_findings(&other), None);
        }
        assert_eq!(
            Limits::of_findings(&json!({"kind": "state-monitoring", "limits": {"max_voltage_pu": "x"}})),
            None
        );
    }
}
