//! What `configs/manifests` promises: every attribute is read, whatever is read is an attribute, and every command is
//! one of gridloop's.

use crate::process::Process;
use crate::root;
use gridloop_platform_manager::environment::{
    Common, GatewayVariables, Kind, ManagerVariables, Reader, Variables,
};
use gridloop_platform_manager::platform::{Manifest, Manifests};
use std::collections::BTreeSet;

/// Variables that a process reads and a manifest does not have, for the Python platform has no attribute for them.
const WITHOUT_ATTRIBUTE: [&str; 8] = [
    "CONTROL_STATE_POWERSETPOINT_TOPIC",
    "CONTROL_STATE_TOPIC",
    "PRICE_FORECAST_STATE_TOPIC",
    "RESOURCE_FORECASTE_STATE_DISPTCH_TOPIC",
    "RESOURCE_STATE_TOPIC",
    "SIMULATION_RESULT_MESSAGE_TOPIC",
    "SIMPLE_TOPIC",
    // Every process has it; few read it.
    "SIMULATION_START_MESSAGE_FILENAME",
];

const NAMES: [&str; 20] = [
    "SimulationManager",
    "LogWriter",
    "StaticTimeSeriesResource",
    "SetpointSeries",
    "Dummy",
    "SimpleComponent",
    "StorageResource",
    "StaticTimeSeriesResourceForecaster",
    "PriceForecaster",
    "controller",
    "EconomicDispatch",
    "NIS",
    "CIS",
    "Grid",
    "NetworkStatePredictor",
    "StateMonitoring",
    "lfm",
    "DroopGenerator",
    "VoltageDependentLoad",
    "Gateway",
];

fn manifest(name: &str) -> Manifest {
    let manifests = Manifests::load(&[root().join("configs/manifests")]).expect("the folder");
    manifests.get(name).unwrap_or_else(|error| panic!("{error}")).clone()
}

/// The variables that the process of a manifest asks its environment for, besides those that all processes have.
fn asked(name: &str) -> Option<BTreeSet<&'static str>> {
    let variables = Variables::default();
    let reader = Reader::new(&variables);
    let kind = match name {
        "SimulationManager" => {
            ManagerVariables::read(&reader);
            None
        }
        "Gateway" => {
            GatewayVariables::read(&reader);
            None
        }
        "StaticTimeSeriesResource" => Some(Kind::StaticTimeSeries),
        "SetpointSeries" => Some(Kind::SetpointSeries),
        "Dummy" => Some(Kind::Dummy),
        "SimpleComponent" => Some(Kind::Simple),
        "StorageResource" => Some(Kind::Storage),
        "StaticTimeSeriesResourceForecaster" => Some(Kind::ResourceForecaster),
        "PriceForecaster" => Some(Kind::PriceForecaster),
        "controller" => Some(Kind::Controller),
        "EconomicDispatch" => Some(Kind::EconomicDispatch),
        "NIS" => Some(Kind::Nis),
        "CIS" => Some(Kind::Cis),
        "Grid" => Some(Kind::Grid),
        "NetworkStatePredictor" => Some(Kind::NetworkStatePredictor),
        "StateMonitoring" => Some(Kind::StateMonitoring),
        "lfm" => Some(Kind::LocalFlexibilityMarket),
        "DroopGenerator" => Some(Kind::DroopGenerator),
        "VoltageDependentLoad" => Some(Kind::VoltageDependentLoad),
        _ => return None,
    };
    if let Some(kind) = kind {
        kind.read("x", &reader);
    }
    Some(reader.asked().into_iter().collect())
}

#[test]
fn every_attribute_is_read_and_everything_that_is_read_is_an_attribute() {
    for name in NAMES {
        let Some(mut asked) = asked(name) else { continue };
        let manifest = manifest(name);
        let promised: BTreeSet<&str> =
            manifest.attributes.iter().map(|attribute| attribute.environment.as_str()).collect();
        asked.retain(|variable| promised.contains(variable) || !WITHOUT_ATTRIBUTE.contains(variable));
        assert_eq!(promised, asked, "{name}");
    }
}

/// A required attribute is one without which the process refuses to start, and no other.
#[test]
fn exactly_the_required_attributes_are_missed_when_nothing_is_given() {
    for name in NAMES.into_iter().filter(|name| *name != "SimulationManager") {
        let Some(asked) = asked(name) else { continue };
        let manifest = manifest(name);
        let mut required: BTreeSet<&str> = manifest
            .attributes
            .iter()
            .filter(|attribute| !attribute.optional)
            .map(|attribute| attribute.environment.as_str())
            .collect();
        // Needed without the file that takes its place.
        required.extend((name == "StorageResource").then_some("CUSTOMER_ID"));
        let command: Vec<&str> = manifest.command.iter().flatten().skip(1).map(String::as_str).collect();
        let done = Process::start(&command, &[]).end();
        let missed = done.stderr.lines().filter_map(|line| line.split(": expected").next());
        let counts = |variable: &&str| asked.contains(variable) && !WITHOUT_ATTRIBUTE.contains(variable);
        let missed: BTreeSet<&str> = missed.filter(counts).collect();
        assert_eq!(missed, required, "{name}: {}", done.stderr);
    }
}

#[test]
fn every_command_is_one_of_gridloop_that_knows_where_to_look() {
    for name in NAMES {
        let manifest = manifest(name);
        assert!(!manifest.external, "{name}");
        let image = manifest.image.expect("an image");
        assert!(image.name.starts_with("gridloop/") && image.tag == "latest", "{image:?}");
        let command = manifest.command.expect("a command");
        assert_eq!(command[0], "gridloop");
        let arguments: Vec<&str> = command[1..].iter().map(String::as_str).collect();
        let done = Process::start(&arguments, &[]).end();
        assert_eq!(done.code, 2, "{name}: {}", done.stderr);
        assert!(done.stderr.contains("SIMULATION_ID: expected"), "{name}: {}", done.stderr);
        let missing = "RABBITMQ_EXCHANGE: expected the name of the run's exchange, but it is not set";
        assert!(done.stderr.contains(missing), "{name}: {}", done.stderr);
    }
}

#[test]
fn attributes_and_variables_of_types_that_the_python_platform_has_are_the_same() {
    let expected = [
        (
            "LogWriter",
            "MessageBufferMaxDocumentCount=MESSAGE_BUFFER_MAX_DOCUMENTS MessageBufferMaxInterval=MESSAGE_BUFFER_MAX_INTERVAL",
        ),
        (
            "StaticTimeSeriesResource",
            "ResourceType=RESOURCE_TYPE ResourceStateFile=RESOURCE_STATE_CSV_FILE ResourceFileDelimiter=RESOURCE_STATE_CSV_DELIMITER",
        ),
        (
            "StorageResource",
            "ResourceStateFile=RESOURCE_STATE_CSV_FILE ResourceFileDelimiter=RESOURCE_STATE_CSV_DELIMITER CustomerId=CUSTOMER_ID Node=NODE ChargeRate=CHARGE_RATE DischargeRate=DISCHARGE_RATE ChargeEfficiency=CHARGE_EFFICIENCY DischargeEfficiency=DISCHARGE_EFFICIENCY KwhRated=KWH_RATED KwRated=KW_RATED InitialStateOfCharge=INITIAL_STATE_OF_CHARGE SelfDischarge=SELF_DISCHARGE",
        ),
        (
            "StaticTimeSeriesResourceForecaster",
            "ResourceForecastComponentIds=RESOURCE_FORECAST_COMPONENT_IDS ResourceTypes=RESOURCE_TYPES ResourceForecastStateCsvFolder=RESOURCE_FORECAST_STATE_CSV_FOLDER ResourceFileDelimiter=RESOURCE_STATE_CSV_DELIMITER ResourceForecastTopic=RESOURCE_FORECAST_TOPIC ForecastHorizon=FORECAST_HORIZON UnitOfMeasure=UNIT_OF_MEASURE ResourceType=RESOURCE_TYPE",
        ),
        (
            "PriceForecaster",
            "PriceForecasterStateCsvFile=PRICE_FORECASTER_STATE_CSV_FILE ForecastHorizon=FORECAST_HORIZON PriceForecasterStateCsvDelimiter=PRICE_FORECASTER_STATE_CSV_DELIMITER",
        ),
        ("NIS", "NIS-File=NIS_JSON_FILE BusDataTopic=BUS_DATA_TOPIC ComponentDataTopic=COMPONENT_DATA_TOPIC"),
        ("CIS", "CIS-File=CIS_JSON_FILE CustomerDataTopic=CIS_DATA_TOPIC"),
        (
            "Grid",
            "Grid=GRID_ID Resources=NUM_OF_RESOURCES ResourceCategories=RESOURCE_CATEGORIES StorageResourceList=STORAGE_RESOURCE_LIST RootBus=ROOT_BUS_VOLTAGE PowerFlowPercision=POWER_FLOW_PERCISION MaxIteration=MAX_ITERATION ApparentPowerBase=APPARENT_POWER_BASE",
        ),
        (
            "NetworkStatePredictor",
            "Grid=GRID_ID Resources=NUM_OF_RESOURCES ResourceCategories=RESOURCE_CATEGORIES ForecastHorizon=FORECAST_HORIZON RootBus=ROOT_BUS_VOLTAGE PowerFlowPercision=POWER_FLOW_PERCISION MaxIteration=MAX_ITERATION ApparentPowerBase=APPARENT_POWER_BASE",
        ),
        (
            "lfm",
            "MarketOpeningTime=MarketOpeningTime MarketClosingTime=MarketClosingTime FlexibilityProviderList=FlexibilityProviderList FlexibilityProcurerList=FlexibilityProcurerList",
        ),
        (
            "Dummy",
            "MinSleepTime=MIN_SLEEP_TIME MaxSleepTime=MAX_SLEEP_TIME ErrorChance=ERROR_CHANCE SendMissChance=SEND_MISS_CHANCE ReceiveMissChance=RECEIVE_MISS_CHANCE WarningChance=WARNING_CHANCE Seed=SEED",
        ),
        (
            "SimpleComponent",
            "SimpleValue=SIMPLE_VALUE InputComponents=INPUT_COMPONENTS OutputDelay=OUTPUT_DELAY",
        ),
        (
            "SimulationManager",
            "InitialStartTime=SIMULATION_INITIAL_START_TIME EpochLength=SIMULATION_EPOCH_LENGTH MaxEpochCount=SIMULATION_MAX_EPOCHS Components=SIMULATION_COMPONENTS ManagerName=SIMULATION_MANAGER_NAME EpochTimerInterval=SIMULATION_EPOCH_TIMER_INTERVAL MaxEpochResendCount=SIMULATION_MAX_EPOCH_RESENDS SimulationName=SIMULATION_NAME SimulationDescription=SIMULATION_DESCRIPTION Speed=SIMULATION_SPEED Overrun=SIMULATION_OVERRUN StartDelay=SIMULATION_START_DELAY",
        ),
    ];
    for (name, pairs) in expected {
        let manifest = manifest(name);
        let found = manifest.attributes.iter().map(|one| format!("{}={}", one.name, one.environment));
        assert_eq!(found.collect::<Vec<_>>(), pairs.split(' ').collect::<Vec<_>>(), "{name}");
    }
}

/// `Common` is what the manifests need not say.
#[test]
fn no_attribute_stands_for_what_every_process_is_told() {
    let variables = Variables::default();
    let reader = Reader::new(&variables);
    Common::read(&reader);
    for name in NAMES {
        let manifest = manifest(name);
        let taken = manifest.attributes.iter().find(|one| reader.asked().contains(&one.environment.as_str()));
        assert_eq!(taken, None, "{name}");
    }
}
