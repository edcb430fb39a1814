//! Positions of tap changers, and below them, broad and pale, where they were to go.

use super::many::{Named, rank};
use crate::palette;
use crate::panel::{Line, Look, Panel};
use crate::recording::Recording;

pub(super) fn panels(recording: &Recording, height: f64) -> Vec<Panel> {
    let named = recording.taps.iter().map(|(name, track)| Named {
        name: name.clone(),
        steps: track.steps(&recording.epochs, 1.0),
        weight: 0.0,
    });
    let ranked = rank(named.collect());
    let mut panel = Panel {
        title: "Tap positions".into(),
        unit: "in each device's own counting".into(),
        lines: ranked.lines,
        whole: true,
        // Few whole numbers need less room than measured values.
        height: height * 0.7,
        ..Panel::default()
    };
    panel.envelopes.extend(ranked.envelope);
    let mut asked = false;
    for (name, track) in &recording.taps_asked {
        let steps = track.steps(&recording.epochs, 1.0);
        let answered = recording.taps.contains_key(name);
        let colour = match ranked.colours.get(name) {
            Some(colour) => colour,
            None if !answered => palette::OTHERS,
            None => continue,
        };
        if steps.is_empty() {
            continue;
        }
        asked = true;
        let label = if answered { String::new() } else { format!("{name}, asked for") };
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
    vec![panel]
}
