//! `gridloop convert`: what comes out passes `gridloop check` and says what it cannot run.

use crate::{Folder, shipped};
use gridloop_markets as markets;
use gridloop_platform_manager::environment::{Kind, Reader, Variables};
use gridloop_platform_manager::{ComponentKind, Configuration};
use gridloop_resources::{self as resources, TimeIndex};
use serde_json::Value;
use std::time::Duration;

#[test]
fn the_sample_becomes_a_configuration_that_is_sound() {
    let folder = Folder::new(&[]);
    let sample = shipped("configs/simces/energy-community.yml");
    let (manifests, resources) = (shipped("configs/manifests"), shipped("configs/simces/resources"));
    let arguments =
        ["convert", &sample, "--manifests", &manifests, "--resources", &resources, "-o", "community.toml"];
    let done = folder.gridloop(&arguments);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let checked = folder.gridloop(&["check", "community.toml"]);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    assert!(checked.stdout.contains("24 epochs, 7 components"), "{}", checked.stdout);
    let ran = folder.gridloop(&["run", "--epochs", "2", "community.toml"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn what_gridloop_has_not_becomes_external_with_a_word_about_it() {
    let grid = "Name: Grid\nType: external\n";
    let simple = "Name: SimpleComponent\nType: platform\nAttributes:\n  SimpleValue: {Environment: SIMPLE_VALUE}\n  InputComponents: {Environment: INPUT_COMPONENTS, Optional: true}\n";
    let run = "Simulation:
    Name: 'a \"quoted\" \\ name'
    InitialStartTime: '2023-02-01T00:00:00+02:00'
    EpochLength: 900
    MaxEpochCount: 4
    EpochTimerInterval: 45
    MaxEpochResendCount: 3
Components:
    Grid:
        GridA: {ModelName: Valley}
    SimpleComponent:
        first: {SimpleValue: 10}
        second: {SimpleValue: 2.5, InputComponents: [first]}
";
    let folder = Folder::new(&[("run.yml", run), ("m/grid.yml", grid), ("m/simple.yml", simple)]);
    let done = folder.gridloop(&["convert", "run.yml", "--manifests", "m"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    for words in [
        "#   GridA was a Grid",
        "external_components = [\"GridA\"]",
        "initial_start_time = \"2023-01-31T22:00:00.000Z\"",
        "resend_interval_s = 45",
        "max_resends = 3",
        "[component.second]",
        "inputs = [\"first\"]",
        "url = \"amqp://localhost\"",
    ] {
        assert!(done.stdout.contains(words), "{words} in {}", done.stdout);
    }
    folder.write("run.toml", &done.stdout);
    let checked = folder.gridloop(&["check", "run.toml"]);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
}

#[test]
fn parameters_that_a_component_cannot_be_told_are_errors_with_their_place() {
    let run = "Simulation: {InitialStartTime: '2023-02-01T00:00:00Z', EpochLength: 900, MaxEpochCount: 4}
Components:
    Dummy:
        bad: {ErrorChance: 2, MinSleepTime: long}
";
    let folder = Folder::new(&[("run.yml", run)]);
    let done = folder.gridloop(&["convert", "run.yml", "--manifests", &shipped("configs/manifests")]);
    assert_eq!(done.code, 2, "{}", done.stdout);
    assert!(done.stderr.contains("run.yml:4:9") && done.stderr.contains("ERROR_CHANCE"), "{}", done.stderr);
    assert!(done.stderr.contains("MIN_SLEEP_TIME"), "{}", done.stderr);
}

const COMMUNITY: &str = "Simulation: {InitialStartTime: '2026-06-21T10:00:00Z', EpochLength: 3600, MaxEpochCount: 2}
Components:
    StaticTimeSeriesResource:
        home1: {ResourceType: Load, ResourceStateFile: /resources/home1.csv}
    StorageResource:
        battery: {CustomerId: c4, KwhRated: 20, KwRated: 10, ChargeRate: 50, InitialStateOfCharge: 50, Node: 2}
    StaticTimeSeriesResourceForecaster:
        forecaster: {ResourceForecastComponentIds: home1, ResourceTypes: Load,
                     ResourceForecastStateCsvFolder: /resources/, ForecastHorizon: PT2H}
    PriceForecaster:
        prices: {PriceForecasterStateCsvFile: /resources/prices.csv, ForecastHorizon: PT2H}
    EconomicDispatch:
        ed:
            Resources: [[StaticTimeSeriesResource, home1], [PriceForecaster, spot], [StorageResource, battery]]
            Weights: {battery: {TerminalSOCTarget: 60, TerminalSOCBound: 25, TerminalWeight: 0.3}}
            Horizon: PT2H
            CommitmentTime: '09:30'
            ParticipatingMarketId: market
    controller:
        commands:
    lfm:
        market: {MarketOpeningTime: 8, MarketClosingTime: 24, FlexibilityProviderList: [ed]}
";

/// The files that the community's run needs.
fn community(run: &str) -> Folder {
    let power = "TimeIndex,RealPower,ReactivePower,CustomerId\n2026-06-21T10:00:00Z,-4.0,0.0,c1\n\
                 2026-06-21T11:00:00Z,-4.0,0.0,c1\n2026-06-21T12:00:00Z,-4.0,0.0,c1\n\
                 2026-06-21T13:00:00Z,-4.0,0.0,c1\n2026-06-21T14:00:00Z,-4.0,0.0,c1\n";
    let prices = "MarketId,UnitOfMeasure,ResourceId,PricingType,Time1,Price1,Time2,Price2,Time3,Price3\n\
                  spot,{EUR}/(kW.h),NoResource,TOU,2026-06-21T10:00:00Z,0.1,2026-06-21T11:00:00Z,0.2,\
                  2026-06-21T12:00:00Z,0.3\n\
                  spot,{EUR}/(kW.h),NoResource,TOU,2026-06-21T11:00:00Z,0.2,2026-06-21T12:00:00Z,0.3,\
                  2026-06-21T13:00:00Z,0.1\n";
    Folder::new(&[("run.yml", run), ("csv/home1.csv", power), ("csv/prices.csv", prices)])
}

fn convert_community(folder: &Folder) -> crate::Done {
    let manifests = shipped("configs/manifests");
    folder.gridloop(&[
        "convert",
        "run.yml",
        "--manifests",
        &manifests,
        "--resources",
        "csv",
        "-o",
        "own.toml",
    ])
}

/// A dispatch and a controller are told by the Start message what its units are; here the run configuration says it.
#[test]
fn an_energy_community_becomes_tables_of_all_its_parts() {
    let folder = community(COMMUNITY);
    let done = convert_community(&folder);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let checked = folder.gridloop(&["check", "own.toml"]);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    assert!(checked.stdout.contains("2 epochs, 7 components"), "{}", checked.stdout);
    let configuration =
        Configuration::load(&folder.path("own.toml"), &[]).unwrap_or_else(|told| panic!("{told}"));
    let kind = |name: &str| &configuration.components.iter().find(|it| it.name == name).expect(name).kind;
    let ComponentKind::StaticTimeSeries(home) = kind("home1") else { panic!() };
    assert_eq!(home.series.time_index, TimeIndex::Ignored, "as SimCES, which counts rows");
    let ComponentKind::Resource(resources::Kind::Storage(battery)) = kind("battery") else { panic!() };
    assert_eq!((battery.rating.charge_rate_percent, battery.node), (50.0, Some(2)));
    let ComponentKind::Resource(resources::Kind::ResourceForecaster(forecaster)) = kind("forecaster") else {
        panic!()
    };
    assert_eq!(forecaster.horizon, Duration::from_secs(7200));
    let ComponentKind::Resource(resources::Kind::Controller(controller)) = kind("commands") else { panic!() };
    assert_eq!(controller.dispatchers, ["ed"]);
    let ComponentKind::Market(markets::Kind::FlexibilityMarket(market)) = kind("market") else { panic!() };
    assert_eq!((market.hours.opening_h, market.hours.closing_h), (8.0, 23.0));
    assert_eq!((&market.providers[..], market.procurers.len()), (&["ed".to_owned()][..], 0));
}

/// Converted, a dispatch is the one that its process would have made of environment and Start message.
#[test]
fn a_converted_dispatch_is_the_one_that_its_process_would_be() {
    let folder = community(COMMUNITY);
    assert_eq!(convert_community(&folder).code, 0);
    let configuration =
        Configuration::load(&folder.path("own.toml"), &[]).unwrap_or_else(|told| panic!("{told}"));
    let converted = configuration.components.iter().find(|it| it.name == "ed").expect("the dispatch");
    let ComponentKind::Market(markets::Kind::EconomicDispatch(converted)) = &converted.kind else { panic!() };
    let manifests = shipped("configs/manifests");
    let dry = folder.gridloop(&["platform", "run.yml", "--manifests", &manifests, "--dry-run"]);
    assert_eq!(dry.code, 0, "{}", dry.stderr);
    let start = dry.stdout.find("{\n").map(|at| &dry.stdout[at..]).expect("the Start message");
    let start = serde_json::Deserializer::from_str(start).into_iter::<Value>().next();
    let start = start.expect("a message").expect("JSON");
    let variables: Variables = [
        ("RESOURCES", "x"),
        ("SIMULATION_START_MESSAGE_FILENAME", "x"),
        ("DISPATCH_HORIZON", "PT2H"),
        ("COMMITMENT_TIME", "09:30"),
        ("MARKET_ID", "market"),
    ]
    .into_iter()
    .collect();
    let reader = Reader::new(&variables);
    let told = Kind::EconomicDispatch.read("ed", &reader);
    let ComponentKind::Market(markets::Kind::SimcesDispatch(told)) = told else { panic!() };
    let parameters = start["ProcessParameters"].as_object().expect("an object");
    assert_eq!(**converted, told.of_start("ed", parameters).expect("a dispatch"));
}

#[test]
fn a_converted_community_runs_as_it_is() {
    let folder = community(&COMMUNITY.replace("            ParticipatingMarketId: market\n", ""));
    assert_eq!(convert_community(&folder).code, 0);
    let ran = folder.gridloop(&["run", "own.toml"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn a_controller_without_a_dispatch_and_a_dispatch_without_its_units_are_not_converted() {
    let (before, _) = COMMUNITY.split_once("    EconomicDispatch:").expect("a dispatch");
    let folder = community(&format!("{before}    controller:\n        commands:\n"));
    let done = convert_community(&folder);
    assert_eq!(done.code, 2, "{}", done.stdout);
    let expected = "`commands` cannot be a controller: the run has no EconomicDispatch";
    assert!(done.stderr.contains(expected), "{}", done.stderr);
    let folder = community(&COMMUNITY.replace("[StorageResource, battery]]", "[StorageResource, tank]]"));
    let done = convert_community(&folder);
    assert_eq!(done.code, 2, "{}", done.stdout);
    let expected =
        "`ed` cannot be a EconomicDispatch: ProcessParameters.StorageResource.tank of the Start message";
    assert!(done.stderr.contains(expected), "{}", done.stderr);
}

/// The configuration has no keys for other topics.
#[test]
fn who_speaks_on_topics_of_its_own_stays_external() {
    let run = "Simulation: {InitialStartTime: '2026-06-21T10:00:00Z', EpochLength: 900, MaxEpochCount: 1}
Components:
    NIS:
        nis: {NIS-File: nis.json, BusDataTopic: Init.Buses}
";
    let folder = Folder::new(&[("run.yml", run)]);
    let done = folder.gridloop(&["convert", "run.yml", "--manifests", &shipped("configs/manifests")]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stdout.contains("external_components = [\"nis\"]"), "{}", done.stdout);
}

#[test]
fn components_that_iterate_are_converted_and_their_run_completes() {
    let run = "Simulation: {InitialStartTime: '2026-06-21T10:00:00Z', EpochLength: 900, MaxEpochCount: 2}
Components:
    DroopGenerator:
        diesel: {Loads: [mill, farm], RatedPower: 30, Droop: 4.0}
    VoltageDependentLoad:
        mill: {Consumption: 12.5, Exponent: 1.5}
        farm: {Consumption: 4, Growth: 0.5}
";
    let folder = Folder::new(&[("run.yml", run)]);
    let manifests = shipped("configs/manifests");
    let done = folder.gridloop(&["convert", "run.yml", "--manifests", &manifests, "-o", "own.toml"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let configuration =
        Configuration::load(&folder.path("own.toml"), &[]).unwrap_or_else(|told| panic!("{told}"));
    let read = |name: &str| &configuration.components.iter().find(|it| it.name == name).expect(name).kind;
    let ComponentKind::DroopGenerator(diesel) = read("diesel") else { panic!() };
    assert_eq!(
        (diesel.loads.join("+"), diesel.droop_percent, diesel.rated_power_kw),
        ("mill+farm".into(), 4.0, 30.0)
    );
    let ComponentKind::VoltageDependentLoad(mill) = read("mill") else { panic!() };
    assert_eq!((mill.consumption_kw, mill.exponent, mill.customer_id.as_str()), (12.5, 1.5, "mill"));
    let ran = folder.gridloop(&["run", "own.toml"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
}
