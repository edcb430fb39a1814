//! Powers of resources, and below them, broad and pale, what was asked for.

use super::many::{Named, rank};
use crate::panel::{Line, Look, Panel};
use crate::recording::{Recording, Resource};
use std::collections::{BTreeMap, BTreeSet};

/// So many resources share a panel; of more, categories have panels, and reactive power has its own.
const MOST_TOGETHER: usize = 4;

type Resources<'r> = BTreeMap<&'r str, &'r Resource>;

/// A panel for each category, or one of few resources.
pub(super) fn panels(recording: &Recording, height: f64) -> Vec<Panel> {
    let all = resources(recording);
    if all.len() <= MOST_TOGETHER {
        return category(recording, "Powers", &all, height);
    }
    let categories: BTreeSet<&str> = all.values().map(|resource| resource.category.as_str()).collect();
    // Shorter ones where there are several.
    let height = if categories.len() > 1 { height * 0.7 } else { height };
    let panels = categories.into_iter().flat_map(|name| {
        let of_it = all.iter().filter(|(_, resource)| resource.category == name);
        let title = if name.is_empty() { "Asked for, and nobody answered" } else { name };
        category(recording, title, &of_it.map(|(name, resource)| (*name, *resource)).collect(), height)
    });
    panels.collect()
}

/// Real power of everything in one panel.
pub(super) fn panel_of_all(recording: &Recording, height: f64) -> Vec<Panel> {
    let mut panel = real(recording, "Real power", &resources(recording), height);
    panel.unit = "kW towards the grid".into();
    vec![panel]
}

fn resources(recording: &Recording) -> Resources<'_> {
    recording.resources.iter().map(|(name, resource)| (name.as_str(), resource)).collect()
}

fn category(recording: &Recording, title: &str, resources: &Resources<'_>, height: f64) -> Vec<Panel> {
    let mut real = real(recording, title, resources, height);
    let reactive = resources.values().any(|resource| resource.reactive_kvar.peak() > 0.0);
    if !reactive {
        real.title += ", real power";
        real.unit = "kW towards the grid".into();
        return vec![real];
    }
    if resources.len() > MOST_TOGETHER {
        let named =
            named(recording, resources, |resource| (&resource.reactive_kvar, resource.reactive_kvar.peak()));
        let ranked = rank(named);
        let mut panel = Panel {
            title: format!("{title}, reactive power"),
            unit: "kvar towards the grid".into(),
            lines: ranked.lines,
            height: height * 0.7,
            ..Panel::default()
        };
        panel.envelopes.extend(ranked.envelope);
        real.title += ", real power";
        real.unit = "kW towards the grid".into();
        return vec![real, panel];
    }
    let colours: Vec<(String, &'static str)> = real
        .lines
        .iter()
        .filter(|line| line.look == Look::Plain)
        .map(|line| (line.title.clone(), line.colour))
        .collect();
    for (name, colour) in colours {
        let Some(resource) = resources.get(name.as_str()) else { continue };
        if resource.reactive_kvar.peak() > 0.0 {
            real.lines.push(Line {
                label: String::new(),
                title: format!("{name}, reactive power"),
                colour,
                look: Look::Dashed,
                steps: resource.reactive_kvar.steps(&recording.epochs, 1.0),
            });
        }
    }
    real.unit = "kW and kvar towards the grid".into();
    real.keys.insert(0, ("P, real power", Look::Plain));
    real.keys.insert(1, ("Q, reactive power", Look::Dashed));
    vec![real]
}

/// Real power and what was asked for.
fn real(recording: &Recording, title: &str, resources: &Resources<'_>, height: f64) -> Panel {
    let weight = |resource: &Resource| resource.real_kw.peak().max(resource.real_asked_kw.peak());
    let ranked = rank(named(recording, resources, |resource| (&resource.real_kw, weight(resource))));
    let mut panel = Panel { title: title.into(), lines: ranked.lines, height, ..Panel::default() };
    panel.envelopes.extend(ranked.envelope);
    let mut asked = false;
    for (name, resource) in resources {
        let steps = resource.real_asked_kw.steps(&recording.epochs, 1.0);
        let answered = !resource.real_kw.is_empty();
        let colour = match ranked.colours.get(*name) {
            Some(colour) => colour,
            // Nobody answered: it is the only thing to be seen of it.
            None if !answered => crate::palette::OTHERS,
            None => continue,
        };
        if steps.is_empty() {
            continue;
        }
        asked = true;
        let label = if answered { String::new() } else { (*name).to_owned() };
        panel.lines.push(Line {
            label,
            title: format!("{name}, asked for"),
            colour,
            look: Look::Broad,
            steps,
        });
    }
    if asked {
        panel.keys.push(("asked for in the epoch", Look::Broad));
    }
    panel
}

fn named<'r>(
    recording: &Recording,
    resources: &Resources<'r>,
    value: impl Fn(&'r Resource) -> (&'r crate::track::Track, f64),
) -> Vec<Named> {
    let named = |(name, resource): (&&str, &&'r Resource)| {
        let (track, weight) = value(resource);
        Named { name: (*name).to_owned(), steps: track.steps(&recording.epochs, 1.0), weight }
    };
    resources.iter().map(named).collect()
}
