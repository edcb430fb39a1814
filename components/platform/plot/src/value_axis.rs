//! The axis of values: [`ValueAxis`] finds a range with round ticks and writes their labels.

/// Ticks at most, but for one; there may be half as many.
const WISHED: f64 = 7.0;
/// A range narrower than this part of its values is widened: their digits would all be the same.
const NARROWEST: f64 = 1e-6;

/// A range of values and its ticks.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ValueAxis {
    pub(crate) lowest: f64,
    pub(crate) highest: f64,
    step: f64,
}

impl ValueAxis {
    /// The axis for values between these two. `whole`: only whole numbers are told.
    pub(crate) fn new(lowest: f64, highest: f64, whole: bool) -> Self {
        let (mut low, mut high) = (lowest.min(highest), lowest.max(highest));
        let size = low.abs().max(high.abs());
        if high - low <= size * NARROWEST {
            let more = if size == 0.0 { 1.0 } else { size * 0.05 };
            (low, high) = (low - more, high + more);
        }
        let mut step = round_step((high - low) / WISHED);
        if whole {
            step = step.max(1.0);
        }
        Self { lowest: low, highest: high, step }
    }

    /// The same with room for this value and `share` of the axis beyond it, on the side where it lies.
    pub(crate) fn with_room(self, value: f64, share: f64) -> Self {
        let place = self.place(value);
        if place < 0.5 && place < share {
            Self { lowest: (value - share * self.highest) / (1.0 - share), ..self }
        } else if place > 1.0 - share {
            Self { highest: (value - share * self.lowest) / (1.0 - share), ..self }
        } else {
            self
        }
    }

    /// As it is, from here to there.
    pub(crate) fn fixed(lowest: f64, highest: f64, step: f64) -> Self {
        Self { lowest, highest, step }
    }

    /// Every tick and its label.
    pub(crate) fn ticks(&self) -> Vec<(f64, String)> {
        let mut ticks = Vec::new();
        let first = (self.lowest / self.step - 0.01).ceil();
        for index in 0..=40 {
            let value = (first + f64::from(index)) * self.step;
            if value > self.highest + self.step * 0.01 {
                break;
            }
            ticks.push((value, label(value, self.step)));
        }
        ticks
    }

    /// Where a value lies, 0 at the lowest and 1 at the highest.
    pub(crate) fn place(&self, value: f64) -> f64 {
        ((value - self.lowest) / (self.highest - self.lowest)).clamp(-1.0, 2.0)
    }
}

/// 1, 2 or 5 times a power of ten, not less than `least`.
fn round_step(least: f64) -> f64 {
    let power = least.log10().floor();
    let [one, two, five, ten] = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * 10.0_f64.powf(power));
    let found = [one, two, five].into_iter().find(|step| *step >= least * 0.999_999);
    found.unwrap_or(ten)
}

/// With as many decimals as the step needs.
fn label(value: f64, step: f64) -> String {
    // A sum of steps that should be 0 need not be.
    let value = if value.abs() < step * 1e-6 { 0.0 } else { value };
    let size = value.abs().max(step);
    if size >= 1e6 || step < 1e-6 {
        return format!("{value:.2e}");
    }
    let decimals: usize =
        (0..9).find(|n| step >= 0.999 * 0.1_f64.powi(*n)).unwrap_or(9).try_into().unwrap_or(9);
    with_minus(format!("{value:.decimals$}"))
}

/// A number with the minus sign of mathematics.
pub(crate) fn with_minus(text: String) -> String {
    text.strip_prefix('-').map_or(text.clone(), |amount| format!("\u{2212}{amount}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(low: f64, high: f64, whole: bool) -> Vec<String> {
        ValueAxis::new(low, high, whole).ticks().into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round_numbers_around_the_values() {
        assert_eq!(labels(0.898, 1.101, false), ["0.90", "0.95", "1.00", "1.05", "1.10"]);
        assert_eq!(labels(-4.1, 4.0, false), ["\u{2212}4", "\u{2212}2", "0", "2", "4"]);
        assert_eq!(labels(3.5, 6.5, true), ["4", "5", "6"]);
    }

    #[test]
    fn a_flat_line_lies_in_the_middle() {
        let axis = ValueAxis::new(230.0, 230.0, false);
        assert!(axis.lowest < 230.0 && axis.highest > 230.0);
        assert_eq!(labels(0.0, 0.0, false), ["\u{2212}1.0", "\u{2212}0.5", "0.0", "0.5", "1.0"]);
    }

    #[test]
    fn a_mark_at_the_edge_gets_room_beyond_it() {
        let axis = ValueAxis::new(0.0, 10.0, false);
        assert!((axis.clone().with_room(0.0, 0.2).place(0.0) - 0.2).abs() < 1e-12);
        assert!((axis.clone().with_room(10.0, 0.2).place(10.0) - 0.8).abs() < 1e-12);
        assert_eq!(axis.clone().with_room(5.0, 0.2), axis);
    }

    #[test]
    fn any_two_numbers_make_an_axis_of_few_ticks() {
        let some = [0.0, 1.0, -1.0, 1e-300, 1e300, -1e300, 1.0 + 1e-12, f64::MIN_POSITIVE, 12_345.678];
        for low in some {
            for high in some {
                let axis = ValueAxis::new(low, high, false);
                let ticks = axis.ticks();
                assert!((1..=14).contains(&ticks.len()), "{low} {high}: {ticks:?}");
                assert!(axis.place(low).is_finite() && axis.place(high).is_finite(), "{low} {high}");
            }
        }
    }
}
