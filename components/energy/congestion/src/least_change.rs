//! The smallest set of moves that brings values back within their bounds: [`least_change`].
//!
//! A convex quadratic program: what is moved costs its square, and what stays outside its bounds the square of that at a
//! much higher price, so there is an answer whatever the bounds are. It is solved by Newton's method on the moves that
//! are not at an end of their range, with an exact search along each direction: every round comes nearer, and the last
//! one ends at the answer, not where progress has become slow.

/// What one unit of the sum of squared misses costs, with the whole range of one actuator at the price of 1 costing one.
const MISS: f64 = 1e6;
/// Rounds at most; a few are usual.
const ROUNDS: u32 = 200;
/// Halvings of an interval in the search along a direction.
const HALVINGS: u32 = 50;
/// What a round must promise to gain for another one, in parts of what there is.
const GAIN: f64 = 1e-12;

/// A value that has bounds: `value + slopes * moves` must lie from `low` to `high`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// What a miss of it costs beside those of others.
    pub(crate) weight: f64,
    /// By actuator: by how much its whole range raises the value.
    pub(crate) slopes: Vec<f64>,
}

/// What an actuator can do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Reach {
    /// The lowest move, 0 or less.
    pub(crate) low: f64,
    /// The highest move, 0 or more.
    pub(crate) high: f64,
    /// What the square of a move costs beside those of others.
    pub(crate) price: f64,
}

/// The moves with the least sum of squares, each at its price, that bring `rows` within their bounds, or as near to them
/// as the `reaches` allow: then with the least sum of squares of what is missed.
pub(crate) fn least_change(rows: &[Row], reaches: &[Reach]) -> Vec<f64> {
    let rows: Vec<&Row> = rows.iter().filter(|row| may_miss(row, reaches)).collect();
    let mut moves = vec![0.0; reaches.len()];
    for _ in 0..ROUNDS {
        let misses = misses(&rows, &moves);
        let gradient = gradient(&rows, &misses, reaches, &moves);
        let Some(direction) = newton(&rows, &misses, &gradient, reaches, &moves) else { break };
        let gain = -dot(&gradient, &direction);
        let missed = |(row, miss): (&&Row, &f64)| MISS * row.weight * miss * miss;
        let there_is: f64 = rows.iter().zip(&misses).map(missed).sum::<f64>()
            + reaches.iter().zip(&moves).map(|(reach, x)| reach.price * x * x).sum::<f64>();
        if !gain.is_finite() || gain <= GAIN * there_is {
            break;
        }
        let part = best_part(&rows, reaches, &moves, &direction);
        for ((x, by), reach) in moves.iter_mut().zip(&direction).zip(reaches) {
            *x = (*x + part * by).clamp(reach.low.min(0.0), reach.high.max(0.0));
        }
    }
    moves
}

/// Whether a row has bounds that some moves would leave.
fn may_miss(row: &Row, reaches: &[Reach]) -> bool {
    let ends = row.slopes.iter().zip(reaches).map(|(slope, reach)| (slope * reach.low, slope * reach.high));
    let (fall, rise) =
        ends.fold((0.0, 0.0), |(fall, rise), (a, b)| (fall + a.min(b).min(0.0), rise + a.max(b).max(0.0)));
    row.value.is_finite() && (row.value + rise > row.high || row.value + fall < row.low)
}

/// By how much each row is above its bounds; negative: below.
fn misses(rows: &[&Row], moves: &[f64]) -> Vec<f64> {
    let miss = |row: &&Row| {
        let value = row.value + dot(&row.slopes, moves);
        (value - row.high).max(0.0) + (value - row.low).min(0.0)
    };
    rows.iter().map(miss).collect()
}

fn gradient(rows: &[&Row], misses: &[f64], reaches: &[Reach], moves: &[f64]) -> Vec<f64> {
    let mut gradient: Vec<f64> = reaches.iter().zip(moves).map(|(reach, x)| reach.price * x).collect();
    for (row, miss) in rows.iter().zip(misses).filter(|(_, miss)| **miss != 0.0) {
        gradient
            .iter_mut()
            .zip(&row.slopes)
            .for_each(|(sum, slope)| *sum += MISS * row.weight * miss * slope);
    }
    gradient
}

/// Where Newton's method goes with the moves that are not held at an end of their range; `None` if all are.
fn newton(
    rows: &[&Row],
    misses: &[f64],
    gradient: &[f64],
    reaches: &[Reach],
    moves: &[f64],
) -> Option<Vec<f64>> {
    let leaves = |at: usize, by: f64| {
        let Reach { low, high, .. } = reaches[at];
        (moves[at] <= low.min(0.0) && by < 0.0) || (moves[at] >= high.max(0.0) && by > 0.0)
    };
    let mut free: Vec<usize> =
        (0..moves.len()).filter(|at| gradient[*at] != 0.0 && !leaves(*at, -gradient[*at])).collect();
    // One that is left alone goes down its gradient, so this ends with some.
    while !free.is_empty() {
        let matrix = curvature(rows, misses, reaches, &free);
        let down: Vec<f64> = free.iter().map(|at| -gradient[*at]).collect();
        let solved = solve(matrix, down);
        if solved.iter().any(|by| !by.is_finite()) {
            return None;
        }
        let stay = |(at, by): (&usize, &f64)| (!leaves(*at, *by)).then_some(*at);
        let staying: Vec<usize> = free.iter().zip(&solved).filter_map(stay).collect();
        if staying.len() == free.len() {
            let mut direction = vec![0.0; moves.len()];
            free.iter().zip(solved).for_each(|(at, by)| direction[*at] = by);
            return Some(direction);
        }
        free = staying;
    }
    None
}

/// The second derivatives by the free moves, from the rows that are outside.
fn curvature(rows: &[&Row], misses: &[f64], reaches: &[Reach], free: &[usize]) -> Vec<Vec<f64>> {
    let mut matrix = vec![vec![0.0; free.len()]; free.len()];
    for (i, at) in free.iter().enumerate() {
        matrix[i][i] = reaches[*at].price;
    }
    for (row, _) in rows.iter().zip(misses).filter(|(_, miss)| **miss != 0.0) {
        for (i, at) in free.iter().enumerate() {
            for (j, other) in free.iter().enumerate().take(i + 1) {
                matrix[i][j] += MISS * row.weight * row.slopes[*at] * row.slopes[*other];
            }
        }
    }
    matrix
}

/// Solves a symmetric positive definite system, of which the lower triangle is given, by Cholesky's method.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    for i in 0..right.len() {
        for j in 0..=i {
            let sum = matrix[i][j] - dot(&matrix[i][..j], &matrix[j][..j]);
            // What rounding makes of a tiny pivot must not become nothing or negative.
            matrix[i][j] =
                if i == j { sum.max(f64::EPSILON * matrix[i][i]).sqrt() } else { sum / matrix[j][j] };
        }
        right[i] = (right[i] - dot(&matrix[i][..i], &right[..i])) / matrix[i][i];
    }
    for i in (0..right.len()).rev() {
        let behind: f64 = (i + 1..right.len()).map(|k| matrix[k][i] * right[k]).sum();
        right[i] = (right[i] - behind) / matrix[i][i];
    }
    right
}

/// The part of a direction, up to the first end of a range, that brings most.
fn best_part(rows: &[&Row], reaches: &[Reach], moves: &[f64], direction: &[f64]) -> f64 {
    let room = |((x, by), reach): ((&f64, &f64), &Reach)| match *by {
        by if by > 0.0 => (reach.high.max(0.0) - x) / by,
        by if by < 0.0 => (reach.low.min(0.0) - x) / by,
        _ => f64::INFINITY,
    };
    let most = moves.iter().zip(direction).zip(reaches).map(room).fold(1.0, f64::min);
    let still_falls = |part: f64| {
        let there: Vec<f64> = moves.iter().zip(direction).map(|(x, by)| x + part * by).collect();
        dot(&gradient(rows, &misses(rows, &there), reaches, &there), direction) <= 0.0
    };
    if still_falls(most) {
        return most;
    }
    let (mut falls, mut rises) = (0.0, most);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(falls, rises);
        if still_falls(middle) { falls = middle } else { rises = middle }
    }
    falls
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(value: f64, low: f64, high: f64, slopes: &[f64]) -> Row {
        Row { value, low, high, weight: 1.0, slopes: slopes.to_vec() }
    }

    fn reaches(ranges: &[(f64, f64)]) -> Vec<Reach> {
        ranges.iter().map(|&(low, high)| Reach { low, high, price: 1.0 }).collect()
    }

    #[test]
    fn nothing_moves_while_everything_is_inside() {
        let rows = [row(1.0, 0.9, 1.1, &[0.05, 0.02])];
        assert_eq!(least_change(&rows, &reaches(&[(-1.0, 1.0); 2])), [0.0, 0.0]);
    }

    #[test]
    fn the_more_effective_actuator_moves_in_proportion_to_its_effect() {
        let rows = [row(1.12, 0.9, 1.1, &[0.04, 0.02])];
        let moves = least_change(&rows, &reaches(&[(-1.0, 1.0); 2]));
        // The projection onto the half space: -0.02 * (0.04, 0.02) / 0.002.
        assert!((moves[0] + 0.4).abs() < 1e-3 && (moves[1] + 0.2).abs() < 1e-3, "{moves:?}");
    }

    #[test]
    fn what_one_actuator_cannot_give_the_other_does() {
        let rows = [row(1.12, 0.9, 1.1, &[0.04, 0.02])];
        let moves = least_change(&rows, &reaches(&[(-0.25, 1.0), (-1.0, 1.0)]));
        assert!((moves[0] + 0.25).abs() < 1e-6 && (moves[1] + 0.5).abs() < 1e-2, "{moves:?}");
    }

    #[test]
    fn bounds_that_cannot_be_reached_are_approached_as_far_as_the_ranges_go() {
        let rows = [row(1.3, 0.9, 1.1, &[0.04])];
        let moves = least_change(&rows, &reaches(&[(-1.0, 1.0)]));
        assert!((moves[0] + 1.0).abs() < 1e-6, "{moves:?}");
    }

    #[test]
    fn bounds_that_contradict_each_other_are_missed_by_the_same_at_either_end_however_far_the_way_is() {
        // Less lowers both; one is too high by 0.05 and the other too low by 0.01, so the best is to rise by nothing
        // where the slopes weigh the misses alike.
        let rows = [row(1.15, 0.9, 1.1, &[0.05, 0.1]), row(0.89, 0.9, 1.1, &[0.05, 0.0])];
        let moves = least_change(&rows, &reaches(&[(-1.0, 1.0), (0.0, 0.0)]));
        let misses = rows.clone().map(|row| row.value + row.slopes[0] * moves[0]);
        assert!(((misses[0] - 1.1) - (0.9 - misses[1])).abs() < 1e-4, "{moves:?}");
        // With the second, that reaches only the first value, both can be met.
        let moves = least_change(&rows, &reaches(&[(-1.0, 1.0), (-1.0, 1.0)]));
        for row in &rows {
            let value = row.value + dot(&row.slopes, &moves);
            assert!(value < row.high + 1e-4 && value > row.low - 1e-4, "{value} {moves:?}");
        }
    }

    #[test]
    fn what_costs_less_goes_to_its_end_before_what_costs_more_goes_far() {
        let rows = [row(1.14, 0.9, 1.1, &[0.03, 0.1])];
        let cheap = Reach { low: -1.0, high: 1.0, price: 1e-4 };
        let moves = least_change(&rows, &[cheap, Reach { price: 1.0, ..cheap }]);
        assert!((moves[0] + 1.0).abs() < 1e-6 && (moves[1] + 0.1).abs() < 1e-3, "{moves:?}");
    }

    proptest! {
        #[test]
        fn no_other_moves_are_nearer(
            values in prop::collection::vec((0.8..1.2_f64, prop::collection::vec(-0.1..0.1_f64, 3)), 1..12),
            ranges in prop::collection::vec((-1.0..=0.0_f64, 0.0..=1.0_f64), 3),
            others in prop::collection::vec(prop::collection::vec(0.0..=1.0_f64, 3), 20),
        ) {
            let rows: Vec<Row> = values.iter().map(|(value, slopes)| row(*value, 0.95, 1.05, slopes)).collect();
            let reaches = reaches(&ranges);
            let costs = |moves: &[f64]| {
                let rows: Vec<&Row> = rows.iter().collect();
                let misses = misses(&rows, moves);
                MISS * dot(&misses, &misses) + dot(moves, moves)
            };
            let moves = least_change(&rows, &reaches);
            let least = costs(&moves);
            for other in &others {
                // Anywhere, and near by.
                for part in [1.0, 1e-3] {
                    let there: Vec<f64> = other.iter().zip(&reaches).zip(&moves).map(|((at, reach), x)| {
                        x + part * (reach.low + at * (reach.high - reach.low) - x)
                    }).collect();
                    prop_assert!(costs(&there) >= least * (1.0 - 1e-9) - 1e-9, "{least} {moves:?} {there:?}");
                }
            }
        }

        #[test]
        fn moves_are_finite_and_within_their_ranges_whatever_the_numbers(
            values in prop::collection::vec((-1e3..1e3_f64, -2.0..2.0_f64, 0.0..2.0_f64,
                prop::collection::vec(-1e3..1e3_f64, 3)), 0..6),
            ranges in prop::collection::vec((-2.0..=0.0_f64, 0.0..=2.0_f64), 3),
        ) {
            let rows: Vec<Row> =
                values.iter().map(|(value, low, width, slopes)| row(*value, *low, low + width, slopes)).collect();
            for (x, (low, high)) in least_change(&rows, &reaches(&ranges)).iter().zip(&ranges) {
                prop_assert!(x.is_finite() && x >= low && x <= high);
            }
        }

        #[test]
        fn one_bound_is_met_if_the_ranges_allow_it(
            value in 1.1..1.2_f64, slopes in prop::collection::vec(0.01..0.1_f64, 3),
        ) {
            let reach: f64 = slopes.iter().sum();
            let high = (value - reach * 0.9).max(1.0).min(value);
            let moves = least_change(&[row(value, 0.0, high, &slopes)], &reaches(&[(-1.0, 1.0); 3]));
            let after: f64 = value + slopes.iter().zip(&moves).map(|(s, x)| s * x).sum::<f64>();
            prop_assert!(after <= high + 1e-3, "{after} {high}");
        }
    }
}
