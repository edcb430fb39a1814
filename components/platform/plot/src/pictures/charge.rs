//! States of charge, always from 0 to 100 %.

use super::many::{Named, rank};
use crate::panel::Panel;
use crate::recording::Recording;

pub(super) fn panels(recording: &Recording, height: f64) -> Vec<Panel> {
    let named = recording.resources.iter().map(|(name, resource)| Named {
        name: name.clone(),
        steps: resource.charge_percent.steps(&recording.epochs, 1.0),
        weight: 0.0,
    });
    let ranked = rank(named.collect());
    let mut panel = Panel {
        title: "States of charge".into(),
        unit: "%".into(),
        lines: ranked.lines,
        axis: Some((0.0, 100.0, 20.0)),
        height,
        ..Panel::default()
    };
    panel.envelopes.extend(ranked.envelope);
    vec![panel]
}
