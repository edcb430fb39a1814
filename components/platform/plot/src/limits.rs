//! What a voltage and a current may be: [`Limits`].

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
