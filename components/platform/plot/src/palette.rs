//! Colours: Okabe and Ito's, which people of every kind of colour vision tell apart, and what is not data.

/// Of lines, in the order in which they are given out. The yellow of the set is left out: it is no line on white.
pub(crate) const LINES: [&str; 7] =
    ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4D4D4D"];
/// Of phases 1, 2 and 3.
pub(crate) const PHASES: [&str; 3] = ["#0072B2", "#E69F00", "#009E73"];
/// What is not told apart.
pub(crate) const OTHERS: &str = "#9A9A9A";
pub(crate) const TEXT: &str = "#222222";
pub(crate) const FAINT_TEXT: &str = "#5F5F5F";
pub(crate) const GRID: &str = "#E4E4E4";
pub(crate) const AXIS: &str = "#8A8A8A";
/// Limits that must not be passed, and the area behind them.
pub(crate) const RED: &str = "#B2182B";
/// Limits that are to be watched.
pub(crate) const AMBER: &str = "#C77F00";

/// The colour of the line with this number.
pub(crate) fn line(index: usize) -> &'static str {
    LINES[index % LINES.len()]
}
