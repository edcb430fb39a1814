//! What is done with more things than colours: [`rank`] tells the largest apart and keeps the others as one.

use crate::palette;
use crate::panel::{Envelope, Line, Look};
use crate::path::Reach;
use crate::track::Step;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Beyond so many others each is no longer a line of its own.
const MOST_THIN_LINES: usize = 60;

/// A value of something that has a name.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) steps: Vec<Step>,
    /// How much it is to be seen.
    pub(super) weight: f64,
}

/// What is told apart, each with its colour, and the others.
pub(super) struct Ranked {
    /// In the order of names.
    pub(super) lines: Vec<Line>,
    /// The colours by name.
    pub(super) colours: BTreeMap<String, &'static str>,
    /// The others, where there are too many for lines.
    pub(super) envelope: Option<Envelope>,
}

/// Gives colours to those that weigh most; where all weigh the same, to the first by name.
pub(super) fn rank(mut all: Vec<Named>) -> Ranked {
    all.retain(|named| !named.steps.is_empty());
    all.sort_by(|a, b| b.weight.total_cmp(&a.weight).then_with(|| by_name(&a.name, &b.name)));
    let others = all.split_off(all.len().min(palette::LINES.len()));
    all.sort_by(|a, b| by_name(&a.name, &b.name));
    let colours: BTreeMap<String, &'static str> =
        all.iter().enumerate().map(|(index, named)| (named.name.clone(), palette::line(index))).collect();
    let plain = |(index, named): (usize, Named)| Line {
        label: named.name.clone(),
        title: named.name,
        colour: palette::line(index),
        look: Look::Plain,
        steps: named.steps,
    };
    let mut lines: Vec<Line> = all.into_iter().enumerate().map(plain).collect();
    let label = format!("{} others", others.len());
    let envelope = (others.len() > MOST_THIN_LINES).then(|| envelope(&label, palette::OTHERS, &others));
    if envelope.is_none() {
        lines.extend(others.into_iter().enumerate().map(|(index, named)| Line {
            label: if index == 0 { label.clone() } else { String::new() },
            title: named.name,
            colour: palette::OTHERS,
            look: Look::Thin,
            steps: named.steps,
        }));
    }
    Ranked { lines, colours, envelope }
}

/// The order in which people count: `L9` before `L10`.
fn by_name(a: &str, b: &str) -> Ordering {
    let parts = |text: &str| {
        let start = text.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        let (name, number) = text.split_at(start);
        (name.to_owned(), number.len(), number.to_owned())
    };
    parts(a).cmp(&parts(b))
}

/// From the lowest to the highest of all.
pub(super) fn envelope(label: &str, colour: &'static str, all: &[Named]) -> Envelope {
    let mut reaches: BTreeMap<(i64, i64), (Reach, bool)> = BTreeMap::new();
    for step in all.iter().flat_map(|named| &named.steps) {
        let Step { from_ms, to_ms, value, doubtful } = *step;
        let alone = Reach { from_ms, to_ms, lowest: value, highest: value };
        let (reach, any_doubt) = reaches.entry((from_ms, to_ms)).or_insert((alone, false));
        reach.lowest = reach.lowest.min(value);
        reach.highest = reach.highest.max(value);
        *any_doubt |= doubtful;
    }
    let doubts = reaches.values().filter(|(_, doubtful)| *doubtful);
    let doubts = doubts.map(|(reach, _)| Step {
        from_ms: reach.from_ms,
        to_ms: reach.to_ms,
        value: reach.lowest,
        doubtful: true,
    });
    Envelope {
        label: label.to_owned(),
        colour,
        doubts: doubts.collect(),
        reaches: reaches.values().map(|(reach, _)| *reach).collect(),
    }
}
