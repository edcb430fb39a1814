//! Steps as SVG paths: [`Scale`] turns times and values into places, [`Paths`] has what is good apart from what is not.
//!
//! Where there are more steps than a screen has columns, each column keeps its first, lowest, highest and last value: no
//! peak is lost, however long the run.

use crate::svg::px;
use crate::time_axis::TimeAxis;
use crate::track::Step;
use crate::value_axis::ValueAxis;
use std::fmt::Write as _;

/// Columns of a unit of width in which steps are gathered.
const COLUMNS: f64 = 1.0;
/// Pieces that touch within this are one line.
const TOUCHING: f64 = 0.05;

/// The rectangle that values are drawn in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Frame {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Frame {
    pub(crate) fn right(&self) -> f64 {
        self.left + self.width
    }

    pub(crate) fn bottom(&self) -> f64 {
        self.top + self.height
    }
}

/// A frame with its two axes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale<'a> {
    pub(crate) frame: Frame,
    pub(crate) time: &'a TimeAxis,
    pub(crate) values: &'a ValueAxis,
}

impl Scale<'_> {
    pub(crate) fn x(&self, at_ms: i64) -> f64 {
        self.frame.left + self.frame.width * self.time.place(at_ms)
    }

    pub(crate) fn y(&self, value: f64) -> f64 {
        self.frame.bottom() - self.frame.height * self.values.place(value)
    }
}

/// A range of values that is held for a while: of an envelope.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Reach {
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
    pub(crate) lowest: f64,
    pub(crate) highest: f64,
}

/// A step, or all steps of a column.
#[derive(Debug, Clone, Copy)]
struct Piece {
    from: f64,
    to: f64,
    first: f64,
    lowest: f64,
    highest: f64,
    last: f64,
    doubtful: bool,
}

/// The `d` of two paths.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Paths {
    pub(crate) good: String,
    pub(crate) doubtful: String,
}

/// The line through all steps, broken where there is none.
pub(crate) fn line(steps: &[Step], scale: &Scale<'_>) -> Paths {
    let mut paths = Paths::default();
    let mut before: Option<Piece> = None;
    for piece in pieces(steps, scale) {
        let joined = before.filter(|before| piece.from - before.to < TOUCHING);
        let goes_on = joined.is_some_and(|before| before.doubtful == piece.doubtful);
        let path = if piece.doubtful { &mut paths.doubtful } else { &mut paths.good };
        // Writing to a String cannot fail.
        let _ = match (goes_on, joined) {
            (true, _) => write!(path, "V{}", px(piece.first)),
            (false, Some(before)) => {
                write!(path, "M{} {}V{}", px(piece.from), px(before.last), px(piece.first))
            }
            (false, None) => write!(path, "M{} {}", px(piece.from), px(piece.first)),
        };
        if piece.lowest < piece.highest {
            let _ = write!(path, "V{}V{}V{}", px(piece.lowest), px(piece.highest), px(piece.last));
        }
        let _ = write!(path, "H{}", px(piece.to));
        before = Some(piece);
    }
    paths
}

/// The area of an envelope.
pub(crate) fn area(reaches: &[Reach], scale: &Scale<'_>) -> String {
    let step =
        |reach: &Reach, value| Step { from_ms: reach.from_ms, to_ms: reach.to_ms, value, doubtful: false };
    let lows: Vec<Step> = reaches.iter().map(|reach| step(reach, reach.lowest)).collect();
    let highs: Vec<Step> = reaches.iter().map(|reach| step(reach, reach.highest)).collect();
    // In places downwards: the lower edge is the larger number.
    let lower = pieces(&lows, scale).into_iter().map(|piece| (piece.from, piece.to, piece.highest));
    let upper = pieces(&highs, scale).into_iter().map(|piece| (piece.from, piece.to, piece.lowest));
    let both: Vec<_> = upper.zip(lower).map(|((from, to, up), (_, _, down))| (from, to, up, down)).collect();
    let mut path = String::new();
    for part in both.chunk_by(|a, b| b.0 - a.1 < TOUCHING) {
        let Some((from, ..)) = part.first() else { continue };
        let _ = write!(path, "M{} ", px(*from));
        for (index, (_, to, up, _)) in part.iter().enumerate() {
            let _ = write!(path, "{}{}H{}", if index == 0 { "" } else { "V" }, px(*up), px(*to));
        }
        for (from, _, _, down) in part.iter().rev() {
            let _ = write!(path, "V{}H{}", px(*down), px(*from));
        }
        path.push('Z');
    }
    path
}

/// Where any of the steps is doubtful: from and to, joined where they touch.
pub(crate) fn doubtful(steps: &[Step], scale: &Scale<'_>) -> Vec<(f64, f64)> {
    let ranges = pieces(steps, scale).into_iter().filter(|piece| piece.doubtful);
    ranges.map(|piece| (piece.from, piece.to)).collect()
}

/// The ranges together, in order, none touching another.
pub(crate) fn united(mut ranges: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    ranges.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut united: Vec<(f64, f64)> = Vec::new();
    for (from, to) in ranges {
        match united.last_mut() {
            Some(last) if from - last.1 < TOUCHING => last.1 = last.1.max(to),
            _ => united.push((from, to)),
        }
    }
    united
}

fn pieces(steps: &[Step], scale: &Scale<'_>) -> Vec<Piece> {
    let single = |step: &Step| {
        let y = scale.y(step.value);
        let (from, to) = (scale.x(step.from_ms), scale.x(step.to_ms));
        Piece { from, to, first: y, lowest: y, highest: y, last: y, doubtful: step.doubtful }
    };
    // The number of steps fits a double.
    if (steps.len() as f64) < scale.frame.width * COLUMNS * 2.0 {
        return steps.iter().map(single).collect();
    }
    let mut pieces: Vec<Piece> = Vec::new();
    for piece in steps.iter().map(single) {
        let column = |x: f64| (x * COLUMNS).floor();
        match pieces.last_mut() {
            Some(last) if column(last.from) == column(piece.from) && piece.from - last.to < TOUCHING => {
                last.to = piece.to;
                last.lowest = last.lowest.min(piece.lowest);
                last.highest = last.highest.max(piece.highest);
                last.last = piece.last;
                last.doubtful |= piece.doubtful;
            }
            _ => pieces.push(piece),
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::Span;

    fn drawn(steps: &[Step], then: impl Fn(&Scale<'_>) -> String) -> String {
        let to_ms = steps.iter().map(|step| step.to_ms).max().unwrap();
        let (time, values) = (TimeAxis::new(Span { from_ms: 0, to_ms }), ValueAxis::fixed(0.0, 100.0, 10.0));
        let frame = Frame { left: 0.0, top: 0.0, width: 100.0, height: 100.0 };
        then(&Scale { frame, time: &time, values: &values })
    }

    fn step(from_ms: i64, to_ms: i64, value: f64, doubtful: bool) -> Step {
        Step { from_ms, to_ms, value, doubtful }
    }

    #[test]
    fn values_are_held_and_doubtful_ones_are_a_path_of_their_own() {
        let steps = [step(0, 10, 10.0, false), step(10, 20, 20.0, true), step(30, 40, 0.0, false)];
        assert_eq!(drawn(&steps, |scale| line(&steps, scale).good), "M0 90H25M75 100H100");
        assert_eq!(drawn(&steps, |scale| line(&steps, scale).doubtful), "M25 90V80H50");
    }

    #[test]
    fn a_single_peak_and_a_single_doubt_among_ten_thousand_steps_are_seen() {
        let step = |n: i64| step(n, n + 1, if n == 4321 { 99.0 } else { 50.0 }, n == 8000);
        let steps: Vec<Step> = (0..10_000).map(step).collect();
        let good = drawn(&steps, |scale| line(&steps, scale).good);
        assert!(good.contains("V1V50"), "{good}");
        assert!(good.len() < 2000, "{}", good.len());
        assert_eq!(drawn(&steps, |scale| line(&steps, scale).doubtful), "M80 50V50H81");
    }

    #[test]
    fn an_envelope_is_an_area_between_two_lines() {
        let reach = |from_ms, to_ms, lowest, highest| Reach { from_ms, to_ms, lowest, highest };
        let reaches = [reach(0, 10, 10.0, 20.0), reach(10, 20, 0.0, 30.0)];
        let steps = [step(0, 20, 0.0, false)];
        let area = drawn(&steps, |scale| area(&reaches, scale));
        assert_eq!(area, "M0 80H50V70H100V100H50V90H0Z");
    }

    #[test]
    fn ranges_that_touch_are_one() {
        assert_eq!(united(vec![(5.0, 6.0), (0.0, 1.0), (1.0, 2.0), (0.5, 0.7)]), [(0.0, 2.0), (5.0, 6.0)]);
    }
}
