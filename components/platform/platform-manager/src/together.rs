//! What is sound in each table and not in all of them together: [`check_together`]. Only what is certain is refused; where
//! components run elsewhere, they may tell what nobody here does.

use crate::configuration::{ComponentKind, Configuration};
use gridloop_grid::{Kind, Peers};
use gridloop_messages::Timestamp;
use gridloop_service::Section;
use std::collections::{BTreeMap, BTreeSet};

/// Notes in the tables of `components` what no run of them and of `devices` could bring to its end.
pub(crate) fn check_together(
    components: &[Section<'_>],
    devices: &[Section<'_>],
    configuration: &Configuration,
) {
    let table = |name: &str| components.iter().find(|section| section.name() == name);
    let kinds = configuration.components.iter();
    let tables: Vec<(&Section<'_>, &ComponentKind)> =
        kinds.filter_map(|component| Some((table(&component.name)?, &component.kind))).collect();
    check_grids(&tables);
    for (section, kind) in &tables {
        check_series(section, kind, configuration);
    }
    // A table that could not be read might be the one that somebody waits for.
    let whole = tables.len() == components.len();
    if configuration.manager.external_components.is_empty() && whole {
        let names = components.iter().chain(devices).map(|section| section.name().to_owned());
        let peers = peers(names.collect(), configuration);
        for (section, kind) in &tables {
            if let ComponentKind::Grid(kind) = kind {
                kind.check_among(section, &peers);
            }
        }
    }
}

/// Two networks under one name could not be told apart by anybody.
fn check_grids(tables: &[(&Section<'_>, &ComponentKind)]) {
    let mut seen: BTreeMap<&str, String> = BTreeMap::new();
    for (section, kind) in tables {
        let ComponentKind::Grid(kind) = kind else { continue };
        let Some(grid) = kind.grid_id() else { continue };
        if let Some(before) = seen.insert(grid, section.path()) {
            let help = "a grid without the key `grid` has the name of its component";
            section.error(
                Some("grid"),
                format!("another name than `{grid}`, which `[{before}]` has"),
                Some(help.to_owned()),
            );
        }
    }
}

fn check_series(section: &Section<'_>, kind: &ComponentKind, configuration: &Configuration) {
    let series = match kind {
        ComponentKind::StaticTimeSeries(settings) => &settings.series,
        ComponentKind::Resource(kind) => match kind.series() {
            Some(series) => series,
            None => return,
        },
        _ => return,
    };
    let run = &configuration.simulation;
    // What is wrong with these has been told; a start that cannot be read is that of the Unix epoch.
    let timed = run.initial_start_time != Timestamp::from(chrono::DateTime::UNIX_EPOCH);
    if run.epochs > 0 && !run.epoch_length.is_zero() && timed {
        series.check_run(section, run.initial_start_time, run.epoch_length, run.epochs);
    }
}

fn peers(names: BTreeSet<String>, configuration: &Configuration) -> Peers {
    let components = || configuration.components.iter();
    let grids = components().filter_map(|component| match &component.kind {
        ComponentKind::Grid(kind) => kind.grid_id().map(str::to_owned),
        ComponentKind::DroopGenerator(settings) => Some(settings.bus.grid.clone()),
        _ => None,
    });
    let taps = components().filter_map(|component| match &component.kind {
        ComponentKind::Grid(kind) => Some(Kind::takes_setpoints_for(kind)),
        _ => None,
    });
    Peers { names, grids: grids.collect(), commanded_taps: taps.flatten().collect() }
}
