//! Reading environment variables (wire contract 1.7), without a process.

use gridloop_bus::{Authentication, BusUrl, Identity, Password};
use gridloop_dummies::DummySettings;
use gridloop_markets::dispatch::{Solver, StorageModel};
use gridloop_messages::SimulationId;
use gridloop_platform_manager::ComponentKind;
use gridloop_platform_manager::environment::{
    Common, GatewayVariables, Kind, ManagerVariables, Reader, Variables,
};
use gridloop_realtime_manager::{Overrun, Settings, Speed, StartAt};
use gridloop_resources::StorageMode;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

const RUN: [(&str, &str); 3] = [
    ("SIMULATION_ID", "2026-06-21T12:00:00.000Z"),
    ("SIMULATION_COMPONENT_NAME", "home1"),
    ("RABBITMQ_EXCHANGE", "procem.20260621-120000-000"),
];

/// What is made of these variables, or what is wrong with them, a line each.
fn read<T>(variables: &[(&str, &str)], part: impl FnOnce(&Reader<'_>) -> T) -> Result<T, Vec<String>> {
    let variables: Variables = variables.iter().copied().collect();
    let reader = Reader::new(&variables);
    let part = part(&reader);
    match reader.finish() {
        Ok(()) => Ok(part),
        Err(errors) => Err(errors.to_string().lines().map(ToOwned::to_owned).collect()),
    }
}

fn common(more: &[(&str, &str)]) -> Result<Common, Vec<String>> {
    read(&[&RUN[..], more].concat(), Common::read)
}

pub(crate) fn kind(kind: Kind, variables: &[(&str, &str)]) -> Result<ComponentKind, Vec<String>> {
    read(variables, |reader| kind.read("home1", reader))
}

fn manager(variables: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
    let id = SimulationId::parse("2026-06-21T12:00:00.000Z").unwrap();
    read(variables, |reader| ManagerVariables::read(reader).into_settings(id))
}

#[test]
fn a_run_an_exchange_and_a_name_are_enough_and_the_rest_is_as_in_the_python_platform() {
    let common = common(&[]).unwrap();
    assert_eq!((common.simulation_id.as_str(), common.name.as_str()), (RUN[0].1, "home1"));
    assert_eq!((common.log.level, common.log.file), (None, None));
    let connect = common.bus.connect("home1");
    let BusUrl::Amqp(url) = &connect.url else { panic!("{:?}", connect.url) };
    assert_eq!(url.to_string(), "amqp://guest:***@localhost:5672/%2f");
    assert_eq!(connect.access.password, Password::InUrl);
    let exchange = (connect.exchange.name.as_str(), connect.exchange.durable, connect.exchange.auto_delete);
    assert_eq!(exchange, (RUN[2].1, false, false), "the exchange's flags are false unless they are set");
    let unnamed = read(&[RUN[0], RUN[2]], Common::read).unwrap();
    assert_eq!(unnamed.name, "component");
}

#[test]
fn python_s_spellings_blanks_and_empty_values_are_understood() {
    let told = [
        ("RABBITMQ_HOST", ""),
        ("RABBITMQ_PORT", " 5673 "),
        ("RABBITMQ_SSL", "False"),
        ("RABBITMQ_EXCHANGE_AUTODELETE", "True"),
        ("RABBITMQ_EXCHANGE_DURABLE", "None"),
        ("RABBITMQ_SSL_VERSION", "PROTOCOL_TLS"),
        ("SIMULATION_LOG_LEVEL", ""),
        ("SIMULATION_LOG_FILE", "None"),
        ("SIMULATION_OTHER_TOPICS", "anything"),
        ("SIMULATION_EPOCH_MESSAGE_TOPIC", "Epoch"),
        ("SIMULATION_STATE_MESSAGE_TOPIC", ""),
    ];
    let common = common(&told).unwrap();
    let connect = common.bus.connect("home1");
    assert_eq!(connect.url.to_string(), "amqp://guest:***@localhost:5673/%2f");
    assert!(connect.exchange.auto_delete && !connect.exchange.durable);
    assert_eq!((common.log.level, common.log.file), (None, None));
}

#[test]
fn the_login_is_guest_where_it_is_empty_and_the_password_may_be_in_a_file() {
    let access = |more: &[(&str, &str)]| common(more).unwrap().bus.connect("x").access;
    let given = access(&[("RABBITMQ_LOGIN", "anna"), ("RABBITMQ_PASSWORD", " p w ")]);
    assert_eq!((given.user.as_deref(), given.password), (Some("anna"), Password::Given(" p w ".into())));
    let no_password = access(&[("RABBITMQ_LOGIN", "anna"), ("RABBITMQ_PASSWORD", "")]);
    assert_eq!(no_password.password, Password::Given("guest".into()));
    let filed = access(&[("RABBITMQ_PASSWORD_FILE", "/run/secrets/rabbitmq")]);
    assert_eq!(filed.user.as_deref(), Some("guest"));
    assert_eq!(filed.password, Password::File("/run/secrets/rabbitmq".into()));
    let both = [("RABBITMQ_PASSWORD", "se cret"), ("RABBITMQ_PASSWORD_FILE", "x")];
    let told = common(&both).unwrap_err();
    let expected =
        "RABBITMQ_PASSWORD: expected nothing, for RABBITMQ_PASSWORD_FILE is given too, found \"***\"";
    assert_eq!(told, [expected]);
}

#[test]
fn certificates_need_tls_and_each_other_and_alone_they_are_the_login() {
    let files = [("RABBITMQ_CERTIFICATE_FILE", "own.pem"), ("RABBITMQ_KEY_FILE", "own.key")];
    let tls =
        [&[("RABBITMQ_SSL", "true"), ("RABBITMQ_PORT", "5671"), ("RABBITMQ_CA_FILE", "ca.pem")], &files[..]];
    let connect = common(&tls.concat()).unwrap().bus.connect("x");
    assert_eq!(connect.url.to_string(), "amqps://guest:***@localhost:5671/%2f");
    assert_eq!(connect.access.authentication, Authentication::External);
    assert_eq!(connect.access.tls.ca_file, Some("ca.pem".into()));
    let identity = Identity { certificate_file: "own.pem".into(), key_file: "own.key".into() };
    assert_eq!(connect.access.tls.identity, Some(identity));
    let with_login = [&tls.concat()[..], &[("RABBITMQ_LOGIN", "anna")]].concat();
    let connect = common(&with_login).unwrap().bus.connect("x");
    assert_eq!(connect.access.authentication, Authentication::Plain);
    let told = common(&files[..1]).unwrap_err();
    let expected = [
        "RABBITMQ_CERTIFICATE_FILE: expected RABBITMQ_SSL=true beside it, or nothing, found \"own.pem\"",
        "RABBITMQ_KEY_FILE: expected the private key of RABBITMQ_CERTIFICATE_FILE, but it is not set",
    ];
    assert_eq!(told, expected);
}

#[test]
fn every_wrong_variable_is_told_at_once_by_name_with_what_belongs_there() {
    let wrong = [
        ("RABBITMQ_PORT", "70000"),
        ("RABBITMQ_SSL", "yes"),
        ("RABBITMQ_EXCHANGE", ""),
        ("SIMULATION_ID", "yesterday"),
        ("SIMULATION_COMPONENT_NAME", "home 1"),
        ("SIMULATION_EPOCH_MESSAGE_TOPIC", "Epoque"),
        ("SIMULATION_LOG_LEVEL", "DEBUG"),
    ];
    let expected = [
        "SIMULATION_EPOCH_MESSAGE_TOPIC: expected Epoch or nothing: gridloop knows no other topic for it, found \
         \"Epoque\"",
        "RABBITMQ_SSL: expected true or false, found \"yes\"",
        "RABBITMQ_PORT: expected a whole number from 1 to 65535, found \"70000\"",
        "RABBITMQ_EXCHANGE: expected the name of the run's exchange, but it is empty",
        "SIMULATION_ID: expected a UTC time like 2026-06-21T12:00:00.000Z, found \"yesterday\"",
        "SIMULATION_COMPONENT_NAME: expected a name without blanks and `.`, `,`, `#`, `*`, found \"home 1\"",
        "SIMULATION_LOG_LEVEL: expected a whole number from 0 to 50, found \"DEBUG\"",
    ];
    assert_eq!(read(&wrong, Common::read).unwrap_err(), expected);
}

#[test]
fn a_simulation_id_in_another_spelling_is_refused_with_the_right_one() {
    for spelling in ["2026-06-21T12:00:00Z", "2026-06-21T14:00:00.000+02:00", " 2026-06-21T12:00:00.000Z"] {
        let told = read(&[("SIMULATION_ID", spelling), RUN[2]], Common::read).unwrap_err();
        assert_eq!(told.len(), 1, "{told:?}");
        let expected = "SIMULATION_ID: expected the spelling 2026-06-21T12:00:00.000Z";
        assert!(told[0].starts_with(expected), "{}", told[0]);
    }
}

#[test]
fn a_value_that_is_no_text_is_told_once() {
    let broken = OsString::from_vec(vec![b'x', 0xff]);
    let variables: Variables = [("SIMULATION_ID".into(), broken), ("RABBITMQ_EXCHANGE".into(), "x".into())]
        .into_iter()
        .collect::<Vec<(OsString, OsString)>>()
        .into_iter()
        .collect();
    let reader = Reader::new(&variables);
    Common::read(&reader);
    let told = reader.finish().unwrap_err().to_string();
    assert_eq!(told, "SIMULATION_ID: expected text in UTF-8, found \"x\u{fffd}\"");
}

#[test]
fn log_levels_are_python_s_numbers() {
    let level = |number| common(&[("SIMULATION_LOG_LEVEL", number)]).unwrap().log.level;
    let levels =
        [("10", "debug"), ("20", "info"), ("30", "warn"), ("40", "error"), ("50", "error"), ("15", "info")];
    for (number, word) in levels {
        assert_eq!(level(number), Some(word), "{number}");
    }
    let log = common(&[("SIMULATION_LOG_FILE", "/logs/home1.log")]).unwrap().log;
    assert_eq!(log.file, Some(PathBuf::from("/logs/home1.log")));
}

#[test]
fn a_manager_without_variables_is_as_in_the_python_platform() {
    let settings = manager(&[]).unwrap();
    let expected = Settings {
        name: "manager".into(),
        simulation_id: settings.simulation_id.clone(),
        simulation_name: String::new(),
        description: String::new(),
        components: Vec::new(),
        initial_start_time: gridloop_messages::Timestamp::parse("2020-01-01T00:00:00.000Z").unwrap(),
        epoch_length: Duration::from_secs(3600),
        epochs: 5,
        speed: Speed::Max,
        overrun: Overrun::Stretch,
        start_at: StartAt::Now,
        start_delay: Duration::from_secs(10),
        resend_interval: Duration::from_secs(120),
        max_resends: 5,
        late_tolerance: None,
        release_lead: Duration::ZERO,
    };
    assert_eq!(settings, expected);
}

#[test]
fn a_manager_takes_everything_a_platform_manager_writes_and_real_time_besides() {
    let settings = manager(&[
        ("SIMULATION_MANAGER_NAME", "Clock"),
        ("SIMULATION_COMPONENTS", "grid,home1, home2,"),
        ("SIMULATION_NAME", "Valley feeder"),
        ("SIMULATION_DESCRIPTION", "None"),
        ("SIMULATION_INITIAL_START_TIME", "2023-02-01T00:00:00+02:00"),
        ("SIMULATION_EPOCH_LENGTH", "900.0"),
        ("SIMULATION_MAX_EPOCHS", "96"),
        ("SIMULATION_EPOCH_TIMER_INTERVAL", "45"),
        ("SIMULATION_MAX_EPOCH_RESENDS", "3"),
        ("SIMULATION_SPEED", "60"),
        ("SIMULATION_OVERRUN", "skip"),
        ("SIMULATION_START_DELAY", "0.5"),
    ])
    .unwrap();
    assert_eq!(settings.components, ["grid", "home1", "home2"]);
    assert_eq!((settings.simulation_name.as_str(), settings.description.as_str()), ("Valley feeder", "None"));
    assert_eq!(settings.initial_start_time.to_string(), "2023-01-31T22:00:00.000Z");
    assert_eq!((settings.epoch_length, settings.epochs), (Duration::from_secs(900), 96));
    assert_eq!((settings.resend_interval, settings.max_resends), (Duration::from_secs(45), 3));
    assert_eq!((settings.speed, settings.overrun), (Speed::Times(60.0), Overrun::Skip));
    assert_eq!(settings.start_delay, Duration::from_millis(500));
}

#[test]
fn what_a_manager_cannot_do_is_refused() {
    let told = manager(&[
        ("SIMULATION_COMPONENTS", "manager,a.b"),
        ("SIMULATION_EPOCH_LENGTH", "0.0005"),
        ("SIMULATION_MAX_EPOCHS", "5.5"),
        ("SIMULATION_SPEED", "0"),
        ("SIMULATION_OVERRUN", "Skip"),
    ]);
    let names = |told: Vec<String>| {
        told.iter().map(|line| line.split(':').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let expected = [
        "SIMULATION_COMPONENTS",
        "SIMULATION_COMPONENTS",
        "SIMULATION_EPOCH_LENGTH",
        "SIMULATION_MAX_EPOCHS",
        "SIMULATION_SPEED",
        "SIMULATION_OVERRUN",
    ];
    assert_eq!(names(told.unwrap_err()), expected);
}

#[test]
fn a_static_time_series_needs_its_type_and_file() {
    let told = kind(Kind::StaticTimeSeries, &[("RESOURCE_TYPE", "Resource")]).unwrap_err();
    let expected = [
        "RESOURCE_TYPE: expected Load or Generator, found \"Resource\"",
        "RESOURCE_STATE_CSV_FILE: expected the CSV file with the resource's states, but it is not set",
    ];
    assert_eq!(told, expected);
    let read = kind(
        Kind::StaticTimeSeries,
        &[
            ("RESOURCE_TYPE", "Generator"),
            ("RESOURCE_STATE_CSV_FILE", "pv.csv"),
            ("RESOURCE_STATE_CSV_DELIMITER", "\t"),
            ("RESOURCE_STATE_TOPIC", "Measured"),
        ],
    );
    let ComponentKind::StaticTimeSeries(settings) = read.unwrap() else { panic!("another kind") };
    assert_eq!((settings.series.delimiter, settings.topic.as_str()), ('\t', "Measured"));
    assert_eq!(settings.series.time_index, gridloop_resources::TimeIndex::Ignored);
}

#[test]
fn a_dummy_takes_its_chances_and_its_seed() {
    let ComponentKind::Dummy(usual) = kind(Kind::Dummy, &[]).unwrap() else { panic!("another kind") };
    assert_eq!(usual, DummySettings::default());
    let told = [("MIN_SLEEP_TIME", "0.25"), ("MAX_SLEEP_TIME", "1"), ("ERROR_CHANCE", "1e-1"), ("SEED", "7")];
    let ComponentKind::Dummy(settings) = kind(Kind::Dummy, &told).unwrap() else { panic!("another kind") };
    let (min_sleep, max_sleep) = (Duration::from_millis(250), Duration::from_secs(1));
    assert_eq!(settings, DummySettings { min_sleep, max_sleep, error_chance: 0.1, seed: 7, ..usual });
    let wrong = [("MIN_SLEEP_TIME", "20"), ("WARNING_CHANCE", "nan"), ("SEED", "-1")];
    let told = kind(Kind::Dummy, &wrong).unwrap_err();
    let expected = [
        "WARNING_CHANCE: expected a number from 0 to 1, found \"nan\"",
        "SEED: expected a whole number from 0 to 18446744073709551615, found \"-1\"",
        "MIN_SLEEP_TIME: expected another, for the shortest sleep, 20s, is longer than the longest, 15s, found \"20\"",
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_simple_component_takes_its_value_and_its_inputs() {
    let told = [("SIMPLE_VALUE", "7"), ("INPUT_COMPONENTS", "C1,C2"), ("OUTPUT_DELAY", "0.5")];
    let ComponentKind::Simple(settings) = kind(Kind::Simple, &told).unwrap() else { panic!("another kind") };
    assert_eq!((settings.value, settings.inputs), (7.0, vec!["C1".to_owned(), "C2".to_owned()]));
    assert_eq!((settings.output_delay, settings.topic.as_str()), (Duration::from_millis(500), "SimpleTopic"));
    let told = kind(Kind::Simple, &[("INPUT_COMPONENTS", "C1,home1")]).unwrap_err();
    let expected = [
        "SIMPLE_VALUE: expected a finite number, but it is not set",
        "INPUT_COMPONENTS: expected other names, for `home1` is among its own inputs and would wait for itself, found \
         \"C1,home1\"",
    ];
    assert_eq!(told, expected);
}

#[test]
fn components_that_iterate_take_their_physics_and_their_bound_of_rounds() {
    let generator = [("LOADS", "mill, farm"), ("RATED_POWER", "30"), ("MAX_ROUNDS", "20")];
    let read = kind(Kind::DroopGenerator, &generator).unwrap();
    let ComponentKind::DroopGenerator(settings) = read else { panic!("another kind") };
    assert_eq!((settings.loads, settings.rounds_max.get()), (vec!["mill".to_owned(), "farm".to_owned()], 20));
    assert_eq!((settings.rated_power_kw, settings.customer_id.as_str()), (30.0, "home1"));
    let read = kind(Kind::VoltageDependentLoad, &[("CONSUMPTION", "12.5"), ("BUS_NAME", "b2")]).unwrap();
    let ComponentKind::VoltageDependentLoad(settings) = read else { panic!("another kind") };
    assert_eq!((settings.consumption_kw, settings.bus.name.as_str()), (12.5, "b2"));
    let told = kind(Kind::DroopGenerator, &[]).unwrap_err();
    assert!(told[0].starts_with("LOADS: ") && told[1].starts_with("RATED_POWER: "), "{told:?}");
}

#[test]
fn a_gateway_takes_its_configuration_and_the_pace_of_the_run() {
    let told = [
        ("GATEWAY_CONFIGURATION", "lab.toml"),
        ("SIMULATION_SPEED", "2.5"),
        ("SIMULATION_EPOCH_LENGTH", "60"),
    ];
    let gateway = read(&told, GatewayVariables::read).unwrap();
    assert_eq!(gateway.configuration, PathBuf::from("lab.toml"));
    assert_eq!(gateway.overrides, ["manager.speed=2.5", "simulation.epoch_length_s=60"]);
    let told = read(&[], GatewayVariables::read).unwrap_err();
    assert_eq!(
        told,
        ["GATEWAY_CONFIGURATION: expected the TOML file that has the device, but it is not set"]
    );
}

const DISPATCH: [(&str, &str); 2] = [
    ("RESOURCES", "[['PriceForecaster', 'spot']]"),
    ("SIMULATION_START_MESSAGE_FILENAME", "/start/start.json"),
];

#[test]
fn an_economic_dispatch_has_the_horizon_of_the_python_platform_and_the_rest_in_its_start_message() {
    let ComponentKind::Market(gridloop_markets::Kind::SimcesDispatch(dispatch)) =
        kind(Kind::EconomicDispatch, &DISPATCH).unwrap()
    else {
        panic!()
    };
    assert_eq!((dispatch.steps, dispatch.step), (36, Duration::from_secs(3600)));
    assert_eq!((dispatch.topic.as_str(), dispatch.market), ("ResourceForecastState.Dispatch", None));
    assert_eq!(dispatch.start_file, PathBuf::from("/start/start.json"));
    assert_eq!((dispatch.solver.solver, dispatch.storage_model), (Solver::Microlp, StorageModel::Rated));
}

#[test]
fn an_economic_dispatch_tells_what_it_cannot_be() {
    let told = [
        ("DISPATCH_HORIZON", "PT36H"),
        ("DISPATCH_TIMESTEP", "PT7H"),
        ("COMMITMENT_TIME", "noon"),
        ("DISPATCH_SOLVER", "cplex"),
        ("SKIP_OPEN_OFFERS", "perhaps"),
        ("MARKET_ID", "a market"),
        ("OFFER_TOPIC", "Bid"),
    ];
    let errors = kind(Kind::EconomicDispatch, &[&DISPATCH[..], &told].concat()).unwrap_err();
    let named: Vec<&str> = errors.iter().filter_map(|line| line.split(':').next()).collect();
    for (variable, _) in told.iter().filter(|(variable, _)| *variable != "DISPATCH_TIMESTEP") {
        assert!(named.contains(variable), "{variable}: {errors:?}");
    }
}

const STORAGE: [(&str, &str); 4] =
    [("CUSTOMER_ID", "c7"), ("KWH_RATED", "10"), ("KW_RATED", "4"), ("INITIAL_STATE_OF_CHARGE", "50")];

#[test]
fn a_storage_has_the_defaults_of_the_python_platform_and_needs_a_customer_or_a_file() {
    let read = |given: &[(&str, &str)]| match kind(Kind::Storage, given) {
        Ok(ComponentKind::Resource(gridloop_resources::Kind::Storage(settings))) => Ok(settings),
        Ok(other) => panic!("{other:?}"),
        Err(told) => Err(told),
    };
    let settings = read(&STORAGE).unwrap();
    let rating = settings.rating;
    assert_eq!((rating.charge_rate_percent, rating.discharge_efficiency_percent), (100.0, 90.0));
    assert_eq!((rating.self_discharge_percent_per_h, settings.node), (0.0, None));
    assert!(matches!(settings.mode, StorageMode::Controlled { .. }));
    let told = read(&STORAGE[1..]).unwrap_err();
    assert_eq!(
        told,
        ["CUSTOMER_ID: expected a name, unless RESOURCE_STATE_CSV_FILE is given, but it is not set"]
    );
    let file = read(&[&STORAGE[1..], &[("RESOURCE_STATE_CSV_FILE", "b.csv")]].concat()).unwrap();
    assert!(matches!(file.mode, StorageMode::File(_)));
    let wrong = [("KW_RATED", "0"), ("NODE", "4"), ("CHARGE_EFFICIENCY", "0"), ("SELF_DISCHARGE", "101")];
    assert_eq!(read(&[&STORAGE[..1], &wrong].concat()).unwrap_err().len(), 6);
}

#[test]
fn forecasters_take_lists_folders_and_horizons_of_the_python_platform() {
    let given = [
        ("RESOURCE_FORECAST_COMPONENT_IDS", "home1, pv"),
        ("RESOURCE_TYPES", "Load,Generator"),
        ("RESOURCE_FORECAST_STATE_CSV_FOLDER", "forecasts/"),
    ];
    let Ok(ComponentKind::Resource(gridloop_resources::Kind::ResourceForecaster(settings))) =
        kind(Kind::ResourceForecaster, &given)
    else {
        panic!()
    };
    let files: Vec<_> = settings.resources.iter().map(|one| one.file.display().to_string()).collect();
    assert_eq!(files, ["forecasts/home1.csv", "forecasts/pv.csv"]);
    assert_eq!(settings.horizon, Duration::from_secs(36 * 3600));
    let wrong = [given[0], ("RESOURCE_TYPES", "Load"), given[2], ("UNIT_OF_MEASURE", "W")];
    let told = kind(Kind::ResourceForecaster, &wrong).unwrap_err();
    assert!(told[0].contains("which is 2") && told[1].starts_with("UNIT_OF_MEASURE"), "{told:?}");
    let told = kind(Kind::PriceForecaster, &[("FORECAST_HORIZON", "36")]).unwrap_err();
    assert!(told[0].starts_with("PRICE_FORECASTER_STATE_CSV_FILE") && told[1].contains("PT36H"), "{told:?}");
}

#[test]
fn a_controller_takes_its_dispatchers_from_the_start_message() {
    let given = [("SIMULATION_START_MESSAGE_FILENAME", "/start/start.json")];
    let Ok(ComponentKind::Resource(gridloop_resources::Kind::SimcesController(controller))) =
        kind(Kind::Controller, &given)
    else {
        panic!()
    };
    assert_eq!(controller.start_file, Some(PathBuf::from("/start/start.json")));
    assert_eq!(controller.setpoint_topic, "ControlState.PowerSetpoint");
}
