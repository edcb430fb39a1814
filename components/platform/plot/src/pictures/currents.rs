//! Currents of branches against their rating, the most loaded one named.

use super::Options;
use super::many::{Named, rank};
use crate::palette;
use crate::panel::{Limit, Mark, Panel};
use crate::recording::{Place, Recording};
use crate::time_axis::TimeAxis;
use crate::track::Track;
use gridloop_messages::Conductor;
use std::collections::BTreeMap;

pub(super) fn panels(recording: &Recording, options: &Options, height: f64) -> Vec<Panel> {
    let branches = highest_of_phases(recording);
    let rated = branches.keys().any(|branch| recording.rating_a(&branch.name).is_some());
    let mut without = Vec::new();
    let mut all = Vec::new();
    for (branch, track) in &branches {
        let scale = match (rated, recording.rating_a(&branch.name)) {
            (true, Some(rating)) => 100.0 / rating,
            (true, None) => {
                without.push(recording.called(branch));
                continue;
            }
            (false, _) => 1.0,
        };
        let steps = track.steps(&recording.epochs, scale);
        all.push(Named { name: recording.called(branch), steps, weight: track.peak() * scale });
    }
    let (title, unit) =
        if rated { ("Loading of branches", "% of rated current") } else { ("Currents of branches", "A") };
    let mut panel = Panel { title: title.into(), unit: unit.into(), height, ..Panel::default() };
    let most = all.iter().flat_map(|named| named.steps.iter().map(move |step| (&named.name, *step)));
    let most = most.reduce(|most, next| if next.1.value > most.1.value { next } else { most });
    if let (Some((name, step)), Some(range)) = (most, recording.range()) {
        let instant = TimeAxis::new(range).instant(step.from_ms);
        let unit = if rated { "%" } else { "A" };
        let unsure = if step.doubtful { ", not reliable" } else { "" };
        let label = format!("highest: {name}, {:.1} {unit} at {instant}{unsure}", step.value);
        let at_ms = step.from_ms + (step.to_ms - step.from_ms) / 2;
        panel.marks.push(Mark { at_ms, value: step.value, label });
    }
    let ranked = rank(all);
    panel.lines = ranked.lines;
    panel.envelopes.extend(ranked.envelope);
    if rated {
        panel.limits = limits(options);
        if !without.is_empty() {
            let names = without.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
            panel.notes.push(format!(
                "Not shown, for no rated current is known: {} branches, {names}.",
                without.len()
            ));
        }
    } else if !panel.is_empty() {
        panel
            .notes
            .push("No Init.NIS.NetworkComponentInfo message with the branches' rated currents.".into());
    }
    vec![panel]
}

/// Of each branch the current of the phase that has most, epoch by epoch. Neutrals are left out: they have no rating.
fn highest_of_phases(recording: &Recording) -> BTreeMap<&Place, Track> {
    let mut branches: BTreeMap<&Place, BTreeMap<u64, (f64, bool)>> = BTreeMap::new();
    for ((branch, conductor), track) in &recording.currents {
        if *conductor == Conductor::Neutral {
            continue;
        }
        let highest = branches.entry(branch).or_default();
        for (epoch, reading) in track.iter() {
            let (value, doubtful) = highest.entry(epoch).or_insert((reading.value, false));
            *value = value.max(reading.value);
            *doubtful |= reading.doubtful;
        }
    }
    let track = |readings: BTreeMap<u64, (f64, bool)>| {
        let mut track = Track::default();
        for (epoch, (value, doubtful)) in readings {
            track.put(epoch, value, doubtful);
        }
        track
    };
    branches.into_iter().map(|(branch, readings)| (branch, track(readings))).collect()
}

fn limits(options: &Options) -> Vec<Limit> {
    let red = options.limits.loading.unwrap_or(1.0) * 100.0;
    let limit = |value: f64, colour, until| Limit {
        value,
        label: format!("{} %", (value * 1e4).round() / 1e4),
        colour,
        upper: true,
        until,
    };
    let amber = options.limits.amber_loading.map(|amber| limit(amber * 100.0, palette::AMBER, Some(red)));
    [Some(limit(red, palette::RED, None)), amber].into_iter().flatten().collect()
}
