//! The variables of a network and of a flexibility market (wire contract 6.7 to 6.11).

use crate::variables::kind;
use gridloop_grid::{GridSettings, NetworkSource, PredictorSettings, SimcesInformation, Wires};
use gridloop_markets::FlexibilityMarketSettings;
use gridloop_platform_manager::ComponentKind;
use gridloop_platform_manager::environment::Kind;
use std::path::PathBuf;

const GRID: [(&str, &str); 3] =
    [("GRID_ID", "feeder"), ("NUM_OF_RESOURCES", "3"), ("RESOURCE_CATEGORIES", "Load,Generator")];

fn grid(more: &[(&str, &str)]) -> Result<GridSettings, Vec<String>> {
    match kind(Kind::Grid, &[&GRID[..], more].concat())? {
        ComponentKind::Grid(gridloop_grid::Kind::Grid(settings)) => Ok(*settings),
        other => panic!("{other:?}"),
    }
}

fn predictor(more: &[(&str, &str)]) -> Result<PredictorSettings, Vec<String>> {
    match kind(Kind::NetworkStatePredictor, &[&GRID[..], more].concat())? {
        ComponentKind::Grid(gridloop_grid::Kind::NetworkStatePredictor(settings)) => Ok(*settings),
        other => panic!("{other:?}"),
    }
}

fn market(variables: &[(&str, &str)]) -> Result<FlexibilityMarketSettings, Vec<String>> {
    match kind(Kind::LocalFlexibilityMarket, variables)? {
        ComponentKind::Market(gridloop_markets::Kind::FlexibilityMarket(settings)) => Ok(settings),
        other => panic!("{other:?}"),
    }
}

/// The names of the variables that are told to be wrong, in order.
fn named(told: &[String]) -> Vec<&str> {
    told.iter().filter_map(|line| line.split(':').next()).collect()
}

#[test]
fn nis_and_cis_need_their_files_and_have_the_topics_of_the_python_platform() {
    let information = |kind_of, variables: &[(&str, &str)]| match kind(kind_of, variables) {
        Ok(ComponentKind::Grid(gridloop_grid::Kind::SimcesInformation(simces))) => Ok(simces),
        Ok(other) => panic!("{other:?}"),
        Err(told) => Err(told),
    };
    let nis = information(Kind::Nis, &[("NIS_JSON_FILE", "nis.json"), ("BUS_DATA_TOPIC", "Init.Buses")]);
    let expected = SimcesInformation::Nis {
        file: PathBuf::from("nis.json"),
        bus_topic: "Init.Buses".into(),
        component_topic: "Init.NIS.NetworkComponentInfo".into(),
    };
    assert_eq!(nis.unwrap(), expected);
    let cis = information(Kind::Cis, &[("CIS_JSON_FILE", "cis.json")]).unwrap();
    assert_eq!(
        cis,
        SimcesInformation::Cis { file: "cis.json".into(), topic: "Init.CIS.CustomerInfo".into() }
    );
    let told = information(Kind::Cis, &[("CIS_DATA_TOPIC", "Init.#")]).unwrap_err();
    assert_eq!(named(&told), ["CIS_JSON_FILE", "CIS_DATA_TOPIC"]);
    assert_eq!(named(&information(Kind::Nis, &[]).unwrap_err()), ["NIS_JSON_FILE"]);
}

#[test]
fn a_grid_has_four_wires_and_1_02_pu_at_its_root_unless_told_otherwise() {
    let usual = grid(&[]).unwrap();
    let NetworkSource::Messages(unsaid) = &usual.source else { panic!("{:?}", usual.source) };
    assert_eq!((unsaid.root_voltage_pu, unsaid.wires), (1.02, Wires::FourWire));
    assert_eq!((usual.grid_id.as_str(), usual.awaited.count), ("feeder", Some(3)));
    assert_eq!(usual.awaited.categories.iter().collect::<Vec<_>>(), ["Generator", "Load"]);
    let told = grid(&[("ROOT_BUS_VOLTAGE", "0.98"), ("STORAGE_RESOURCE_LIST", "battery, ev1")]).unwrap();
    let NetworkSource::Messages(unsaid) = &told.source else { panic!("{:?}", told.source) };
    assert_eq!(unsaid.root_voltage_pu, 0.98);
    assert_eq!(told.awaited.storages.iter().collect::<Vec<_>>(), ["battery", "ev1"]);
}

#[test]
fn the_word_empty_is_how_the_python_platform_says_that_there_are_no_storages() {
    assert_eq!(grid(&[("STORAGE_RESOURCE_LIST", "empty")]).unwrap(), grid(&[]).unwrap());
}

/// When the sweep of the Python platform ends, and what it reckons in, is nothing that matters here.
#[test]
fn the_numerics_of_the_python_platform_change_nothing() {
    let numerics =
        [("POWER_FLOW_PERCISION", "0.001"), ("MAX_ITERATION", "3"), ("APPARENT_POWER_BASE", "10000")];
    assert_eq!(grid(&numerics).unwrap(), grid(&[]).unwrap());
    assert_eq!(predictor(&numerics).unwrap(), predictor(&[]).unwrap());
}

#[test]
fn what_a_grid_cannot_be_is_told_by_variable() {
    let wrong = [
        ("GRID_ID", "a.b"),
        ("NUM_OF_RESOURCES", "many"),
        ("RESOURCE_CATEGORIES", "Load,Gene rator"),
        ("STORAGE_RESOURCE_LIST", "battery,ev#1"),
        ("ROOT_BUS_VOLTAGE", "230"),
        ("POWER_FLOW_PERCISION", "nan"),
        ("MAX_ITERATION", "0"),
        ("APPARENT_POWER_BASE", "-1"),
    ];
    let mut expected: Vec<&str> = wrong.iter().map(|(name, _)| *name).collect();
    let told = kind(Kind::Grid, &wrong).unwrap_err();
    let mut found = named(&told);
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
    let count = told.iter().find(|line| line.starts_with("NUM_OF_RESOURCES")).unwrap();
    let whole =
        "NUM_OF_RESOURCES: expected how many resources tell their state, from 0 to 100000, found \"many\"";
    assert_eq!(count, whole);
    let told = kind(Kind::Grid, &[]).unwrap_err();
    assert_eq!(named(&told), ["GRID_ID", "NUM_OF_RESOURCES", "RESOURCE_CATEGORIES"]);
}

/// The Python platform looks 36 steps ahead in its first forecast, and as far as forecasts reach in all others.
#[test]
fn a_predictor_looks_as_far_as_forecasts_reach_unless_its_horizon_is_given() {
    assert_eq!(predictor(&[]).unwrap().points_max, None);
    assert_eq!(predictor(&[("FORECAST_HORIZON", "24")]).unwrap().points_max, Some(24));
    for wrong in ["0", "PT36H", "10001"] {
        assert_eq!(named(&predictor(&[("FORECAST_HORIZON", wrong)]).unwrap_err()), ["FORECAST_HORIZON"]);
    }
    let settings = predictor(&[]).unwrap();
    assert_eq!((settings.awaited.count, settings.grid_id.as_str()), (Some(3), "feeder"));
}

#[test]
fn a_flexibility_market_is_open_all_day_unless_told_otherwise() {
    let usual = market(&[]).unwrap();
    assert_eq!((usual.hours.opening_h, usual.hours.closing_h), (0.0, 23.0));
    assert_eq!((usual.providers.len(), usual.procurers.len(), usual.offers_within), (0, 0, None));
    let told = market(&[
        ("MarketOpeningTime", "8.0"),
        ("MarketClosingTime", "24"),
        ("FlexibilityProviderList", "ed2, ed1"),
        ("FlexibilityProcurerList", "pgo"),
    ])
    .unwrap();
    assert_eq!((told.hours.opening_h, told.hours.closing_h), (8.0, 23.0));
    assert_eq!((told.providers, told.procurers), (vec!["ed2".to_owned(), "ed1".into()], vec!["pgo".into()]));
}

#[test]
fn what_a_flexibility_market_cannot_be_is_told_by_variable() {
    let told = market(&[
        ("MarketOpeningTime", "9"),
        ("MarketClosingTime", "8"),
        ("FlexibilityProviderList", "ed,ed"),
        ("FlexibilityProcurerList", "p.go"),
    ]);
    let expected = [
        "MarketClosingTime: expected an hour that is not before MarketOpeningTime, in UTC, found \"8\"",
        "FlexibilityProviderList: expected each name once, found \"ed,ed\"",
        "FlexibilityProcurerList: expected names without blanks and `.`, `#`, `*`, unlike `p.go`, found \"p.go\"",
    ];
    assert_eq!(told.unwrap_err(), expected);
    assert_eq!(named(&market(&[("MarketOpeningTime", "24")]).unwrap_err()), ["MarketOpeningTime"]);
}

const LIMITS: [(&str, &str); 7] = [
    ("MONITORED_GRID_NAME", "feeder"),
    ("MAX_VOLTAGE", "1.05"),
    ("MIN_VOLTAGE", "0.95"),
    ("UPPER_AMBER_BAND_VOLTAGE", "0.01"),
    ("LOWER_AMBER_BAND_VOLTAGE", "0.02"),
    ("OVERLOADING_BASELINE", "1"),
    ("AMBER_LOADING_BASELINE", "0.9"),
];

#[test]
fn state_monitoring_takes_its_limits_and_needs_all_of_them() {
    let Ok(ComponentKind::Grid(gridloop_grid::Kind::StateMonitoring(settings))) =
        kind(Kind::StateMonitoring, &LIMITS)
    else {
        panic!()
    };
    let limits = settings.limits;
    assert_eq!((limits.max_voltage_pu, limits.min_voltage_pu), (1.05, 0.95));
    assert_eq!((limits.upper_amber_band_pu, limits.lower_amber_band_pu), (0.01, 0.02));
    assert_eq!((limits.overloading_baseline, limits.amber_loading_baseline), (1.0, 0.9));
    let told = kind(Kind::StateMonitoring, &[]).unwrap_err();
    assert_eq!(named(&told), LIMITS.map(|(name, _)| name));
}

#[test]
fn limits_of_monitoring_that_leave_no_room_are_told() {
    let narrow = [&LIMITS[..], &[("MIN_VOLTAGE", "1.03"), ("AMBER_LOADING_BASELINE", "1.1")]].concat();
    let told = kind(Kind::StateMonitoring, &narrow).unwrap_err();
    assert_eq!(named(&told), ["MAX_VOLTAGE", "AMBER_LOADING_BASELINE"]);
}
