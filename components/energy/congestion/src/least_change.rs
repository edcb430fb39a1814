//! The smallest set of moves that brings values back within their bounds: [`least_change`].
//!
//! A quadratic program, solved on its dual by coordinate ascent (Hildreth's method). It has a solution whatever the
//! bounds are, for they may be missed at a price, and it takes a bounded number of steps.

/// What one unit of the sum of squared misses costs, with the whole range of one actuator costing one.
const MISS: f64 = 1e6;
/// Rounds over all rows.
const ROUNDS: u32 = 400;

/// A value that has bounds: `value + slopes * moves` must lie from `low` to `high`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// By actuator: by how much its whole range raises the value.
    pub(crate) slopes: Vec<f64>,
}

/// The moves with the least sum of squares that bring `rows` within their bounds, or as near to them as `ranges`, the
/// lowest and highest of each move (from no more to no less than 0), allow.
pub(crate) fn least_change(rows: &[Row], ranges: &[(f64, f64)]) -> Vec<f64> {
    let inequalities: Vec<(&Row, f64, f64)> = rows
        .iter()
        .flat_map(|row| [(row, 1.0, row.high - row.value), (row, -1.0, row.value - row.low)])
        .filter(|(row, sign, room)| {
            let rise =
                |(slope, (low, high)): (&f64, &(f64, f64))| (sign * slope * low).max(sign * slope * high);
            room.is_finite() && row.slopes.iter().zip(ranges).map(rise).sum::<f64>() > *room
        })
        .collect();
    let mut prices = vec![0.0; inequalities.len()];
    let mut pull = vec![0.0; ranges.len()];
    let moves = |pull: &[f64]| -> Vec<f64> {
        pull.iter()
            .zip(ranges)
            .map(|(pull, (low, high))| (-pull).clamp(low.min(0.0), high.max(0.0)))
            .collect()
    };
    let mut now = moves(&pull);
    for _ in 0..ROUNDS {
        let mut moved = 0.0_f64;
        for ((row, sign, room), price) in inequalities.iter().zip(&mut prices) {
            let sum: f64 = row.slopes.iter().zip(&now).map(|(slope, x)| sign * slope * x).sum();
            let stiffness: f64 = row.slopes.iter().map(|slope| slope * slope).sum::<f64>() + 1.0 / MISS;
            let next = (*price + (sum - room - *price / MISS) / stiffness).max(0.0);
            let step = next - *price;
            if !step.is_finite() || step == 0.0 {
                continue;
            }
            *price = next;
            for ((pull, slope), (x, (low, high))) in
                pull.iter_mut().zip(&row.slopes).zip(now.iter_mut().zip(ranges))
            {
                *pull += step * sign * slope;
                let after = (-*pull).clamp(low.min(0.0), high.max(0.0));
                moved = moved.max((after - *x).abs());
                *x = after;
            }
        }
        if moved < 1e-6 {
            break;
        }
    }
    now
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(value: f64, low: f64, high: f64, slopes: &[f64]) -> Row {
        Row { value, low, high, slopes: slopes.to_vec() }
    }

    #[test]
    fn nothing_moves_while_everything_is_inside() {
        let rows = [row(1.0, 0.9, 1.1, &[0.05, 0.02])];
        assert_eq!(least_change(&rows, &[(-1.0, 1.0), (-1.0, 1.0)]), [0.0, 0.0]);
    }

    #[test]
    fn the_more_effective_actuator_moves_in_proportion_to_its_effect() {
        let rows = [row(1.12, 0.9, 1.1, &[0.04, 0.02])];
        let moves = least_change(&rows, &[(-1.0, 1.0), (-1.0, 1.0)]);
        // The projection onto the half space: -0.02 * (0.04, 0.02) / 0.002.
        assert!((moves[0] + 0.4).abs() < 1e-3 && (moves[1] + 0.2).abs() < 1e-3, "{moves:?}");
    }

    #[test]
    fn what_one_actuator_cannot_give_the_other_does() {
        let rows = [row(1.12, 0.9, 1.1, &[0.04, 0.02])];
        let moves = least_change(&rows, &[(-0.25, 1.0), (-1.0, 1.0)]);
        assert!((moves[0] + 0.25).abs() < 1e-6 && (moves[1] + 0.5).abs() < 1e-2, "{moves:?}");
    }

    #[test]
    fn bounds_that_cannot_be_reached_are_approached_as_far_as_the_ranges_go() {
        let rows = [row(1.3, 0.9, 1.1, &[0.04])];
        let moves = least_change(&rows, &[(-1.0, 1.0)]);
        assert!((moves[0] + 1.0).abs() < 1e-6, "{moves:?}");
    }

    proptest! {
        #[test]
        fn moves_are_finite_and_within_their_ranges_whatever_the_numbers(
            values in prop::collection::vec((-1e3..1e3_f64, -2.0..2.0_f64, 0.0..2.0_f64,
                prop::collection::vec(-1e3..1e3_f64, 3)), 0..6),
            ranges in prop::collection::vec((-2.0..=0.0_f64, 0.0..=2.0_f64), 3),
        ) {
            let rows: Vec<Row> =
                values.iter().map(|(value, low, width, slopes)| row(*value, *low, low + width, slopes)).collect();
            for (x, (low, high)) in least_change(&rows, &ranges).iter().zip(&ranges) {
                prop_assert!(x.is_finite() && x >= low && x <= high);
            }
        }

        #[test]
        fn one_bound_is_met_if_the_ranges_allow_it(
            value in 1.1..1.2_f64, slopes in prop::collection::vec(0.01..0.1_f64, 3),
        ) {
            let reach: f64 = slopes.iter().sum();
            let high = (value - reach * 0.9).max(1.0).min(value);
            let moves = least_change(&[row(value, 0.0, high, &slopes)], &[(-1.0, 1.0); 3]);
            let after: f64 = value + slopes.iter().zip(&moves).map(|(s, x)| s * x).sum::<f64>();
            prop_assert!(after <= high + 1e-3, "{after} {high}");
        }
    }
}
