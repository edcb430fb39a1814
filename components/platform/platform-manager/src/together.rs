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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const NETWORK: &str = "[base]\npower_kva = 50\nvoltage_kv = 0.4\n[source]\nbus = \"s\"\n[branch.sb]\nfrom = \"s\"\n\
                           to = \"b\"\nresistance_ohm = 0.1\n[resource.load1]\nbus = \"b\"\n";
    const HEAD: &str =
        "[simulation]\ninitial_start_time = \"2026-06-21T00:00:00Z\"\nepoch_length_s = 3600\nepochs = 2\n";
    const GRID: &str = "[component.feeder]\nkind = \"grid\"\nnetwork = \"network.toml\"\n";
    const LOAD: &str =
        "[component.load1]\nkind = \"static-time-series\"\nresource_type = \"Load\"\nfile = \"load.csv\"\n";
    const ROWS: &str = "RealPower,ReactivePower,CustomerId\n-1,0,c\n-2,0,c\n";

    /// What is wrong with the tables, in a folder where the load has these rows.
    fn check(rows: &str, tables: &[&str]) -> String {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("network.toml"), NETWORK).unwrap();
        fs::write(folder.path().join("load.csv"), rows).unwrap();
        let name = folder.path().join("run.toml").display().to_string();
        let text = format!("{HEAD}{}", tables.concat());
        Configuration::parse(&name, &text, &[]).err().map(|errors| errors.to_string()).unwrap_or_default()
    }

    #[track_caller]
    fn assert_refused(told: &str, place: &str, expected: &str) {
        assert!(
            told.contains(&format!("run.toml:{place}: error")) && told.contains(expected),
            "{place} {expected}: {told}"
        );
    }

    #[test]
    fn tables_that_have_everything_that_they_wait_for_are_sound() {
        let monitor =
            "[component.m]\nkind = \"state-monitoring\"\nnetwork = \"network.toml\"\ngrid = \"feeder\"\n";
        assert_eq!(check(ROWS, &[GRID, LOAD, monitor]), "");
    }

    #[test]
    fn a_network_that_nobody_publishes_cannot_be_watched() {
        let monitor =
            "[component.m]\nkind = \"state-monitoring\"\nnetwork = \"network.toml\"\ngrid = \"feedr\"\n";
        let told = check(ROWS, &[GRID, LOAD, monitor]);
        assert_refused(&told, "15:8", "a network that is here: feeder");
        assert!(told.contains("did you mean `feeder`?"), "{told}");
        let elsewhere = "[manager]\nexternal_components = [\"else\"]\n";
        assert_eq!(check(ROWS, &[elsewhere, GRID, LOAD, monitor]), "", "somebody else may publish it");
    }

    #[test]
    fn a_resource_that_nobody_plays_is_refused_where_it_is_named() {
        let told = check(ROWS, &[GRID]);
        assert_refused(&told, "7:11", "nobody is load1");
        let ghost = "resources.ghost = { bus = \"b\" }\n";
        let told = check(ROWS, &[GRID, ghost, LOAD]);
        assert_refused(&told, "8:19", "a component or device ghost that tells its state");
        let counted = "resource_count = 1\n";
        assert_eq!(check(ROWS, &[GRID, counted, ghost, LOAD]), "", "one of both tells its state");
    }

    #[test]
    fn two_networks_of_one_name_are_refused() {
        let second = "[component.other]\nkind = \"grid\"\nnetwork = \"network.toml\"\ngrid = \"feeder\"\n";
        let told = check(ROWS, &[GRID, LOAD, second]);
        assert_refused(&told, "15:8", "another name than `feeder`, which `[component.feeder]` has");
    }

    #[test]
    fn a_series_that_is_too_short_for_the_run_is_refused_with_both_places() {
        let told = check("RealPower,ReactivePower,CustomerId\n-1,0,c\n", &[GRID, LOAD]);
        assert_refused(
            &told,
            "11:8",
            "load.csv:3:1: expected a row for epoch 2, found the end of the file after 1 rows",
        );
    }

    #[test]
    fn a_series_that_begins_too_late_or_ends_too_early_is_refused() {
        let late = "TimeIndex,RealPower,ReactivePower,CustomerId\n2026-06-21T01:00:00Z,-1,0,c\n";
        let told = check(late, &[GRID, LOAD]);
        assert_refused(&told, "11:8", "found a series that begins at 2026-06-21T01:00:00.000Z");
        let short = "TimeIndex,RealPower,ReactivePower,CustomerId\n2026-06-21T00:00:00Z,-1,0,c\n\
                     2026-06-21T00:30:00Z,-1,0,c\n";
        let told = check(short, &[GRID, LOAD]);
        assert_refused(&told, "11:8", "the end of the series at 2026-06-21T01:00:00.000Z");
        let whole = format!("{late}2026-06-21T02:00:00Z,-1,0,c\n").replace("T01", "T00");
        assert_eq!(check(&whole, &[GRID, LOAD]), "");
    }
}
