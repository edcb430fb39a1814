//! What is planned for which configuration: wire contract 4.1 to 4.4, rule by rule.

use gridloop_bus::{AmqpUrl, BusUrl};
use gridloop_messages::Timestamp;
use gridloop_platform_manager::environment::Variables;
use gridloop_platform_manager::platform::plan::{log_file, start_file_name};
use gridloop_platform_manager::platform::{
    Image, Kind, Manifest, Manifests, Places, Plan, Role, RunFile, Store, Surroundings,
};
use gridloop_service::{Diagnostics, Text};
use serde_json::json;
use std::path::Path;

const MANAGER: &str = "
Name: SimulationManager
Type: platform
Command: [gridloop, manager]
DockerImage: simulation-manager
Attributes:
    InitialStartTime: {Environment: SIMULATION_INITIAL_START_TIME}
    EpochLength: {Environment: SIMULATION_EPOCH_LENGTH}
    MaxEpochCount: {Environment: SIMULATION_MAX_EPOCHS}
    Components: {Environment: SIMULATION_COMPONENTS}
    ManagerName: {Environment: SIMULATION_MANAGER_NAME, Optional: true, Default: SimulationManager}
    EpochTimerInterval: {Environment: SIMULATION_EPOCH_TIMER_INTERVAL, Optional: true, Default: 120.0}
    MaxEpochResendCount: {Environment: SIMULATION_MAX_EPOCH_RESENDS, Optional: true, Default: 5}
    SimulationName: {Environment: SIMULATION_NAME, Optional: true, IncludeInStart: false}
    SimulationDescription: {Environment: SIMULATION_DESCRIPTION, Optional: true, IncludeInStart: false}
";
const LOG_WRITER: &str = "
Name: LogWriter
Type: platform
Command: [gridloop, log-writer]
Attributes:
    MessageBufferMaxDocumentCount: {Environment: MESSAGE_BUFFER_MAX_DOCUMENTS, Optional: true, Default: 20}
    MessageBufferMaxInterval: {Environment: MESSAGE_BUFFER_MAX_INTERVAL, Optional: true, Default: 10.0}
";
const WIND: &str = "
Name: WindFarm
Type: platform
Command: [windfarm]
Attributes:
    RatedPower: {Environment: RATED_POWER, Optional: false}
    HubHeight: {Environment: HUB_HEIGHT, Optional: true, Default: 90.0}
    Brake: {Environment: BRAKE, Optional: true}
    ApiNote: {Optional: true, Default: '', IncludeInStart: false}
    Ignored:
    Wind: {Optional: true, Default: [a, 2]}
";
const GRID: &str = "
Name: Grid
Type: external
Attributes:
    ModelName: {Optional: false}
    Symmetrical: {Optional: true, Default: false}
";
const RUN: &str = "
Simulation:
    Name: Valley feeder
    InitialStartTime: '2023-02-01T00:00:00.000+02:00'
    EpochLength: 900
    MaxEpochCount: 4
    ManagerName: Clock
    EpochTimerInterval: 45
    Colour: red
Components:
    Grid:
        GridA: {ModelName: Valley, Depth: {a: [1, 2.5]}}
    WindFarm:
        north:
            duplication_count: 2
            RatedPower: 3
            Anything: [a, 2, true]
        south:
            RatedPower: null
            HubHeight: 80
            ApiNote: secret note
            Brake: true
";

fn manifest(text: &str) -> Manifest {
    let text = Text::new("manifests/some.yml", text).expect("a text");
    Manifest::read(&text).unwrap_or_else(|(_, problems)| panic!("{problems}"))
}

fn surroundings(variables: &[(&str, &str)]) -> Surroundings {
    let variables: Variables = variables.iter().copied().collect();
    Surroundings::read(&variables, None, &Store::Environment).expect("surroundings")
}

fn places() -> Places {
    Places {
        kind: Kind::Processes,
        folder: "/lab".into(),
        log_file: "/lab/logs/simces.log".into(),
        start_folder: "/lab/start".into(),
        resources: Some(("/resources".into(), "/lab/csv".into())),
    }
}

fn plan_with(
    run: &str,
    manifests: &[&str],
    surroundings: &Surroundings,
    places: &Places,
) -> Result<Plan, Diagnostics> {
    let text = Text::new("run.yml", run).expect("a text");
    let run = RunFile::read(&text)?;
    let manifests = Manifests::of(manifests.iter().map(|text| manifest(text)).collect());
    let now = Timestamp::parse("2024-03-01T08:00:00.213Z").expect("a time");
    Plan::make(&text, &run, &manifests, surroundings, places, now)
}

fn plan(run: &str) -> Result<Plan, Diagnostics> {
    let surroundings =
        surroundings(&[("RABBITMQ_HOST", "broker"), ("RABBITMQ_PASSWORD", "hush"), ("MONGODB_HOST", "db")]);
    plan_with(run, &[MANAGER, LOG_WRITER, WIND, GRID], &surroundings, &places())
}

fn problems(run: &str) -> String {
    plan(run).expect_err("it is wrong").to_string()
}

fn variable<'p>(plan: &'p Plan, process: &str, name: &str) -> Option<&'p str> {
    let launch = plan.launches.iter().find(|launch| launch.name == process).expect("the process");
    launch.environment.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
}

#[test]
fn the_log_writer_comes_first_the_components_in_the_order_of_the_file_and_the_manager_last() {
    let plan = plan(RUN).expect("a plan");
    let order: Vec<_> = plan.launches.iter().map(|launch| (launch.name.as_str(), launch.role)).collect();
    assert_eq!(
        order,
        [
            ("log_writer", Role::LogWriter),
            ("north_1", Role::Component),
            ("north_2", Role::Component),
            ("south", Role::Component),
            ("Clock", Role::Manager),
        ]
    );
    assert_eq!(plan.externals, [("GridA".to_owned(), "Grid".to_owned())]);
    assert_eq!(
        plan.components,
        ["GridA", "north_1", "north_2", "south"],
        "the manager waits for external ones too"
    );
}

#[test]
fn attributes_reach_their_variables_as_python_spells_them() {
    let plan = plan(RUN).expect("a plan");
    for (process, name, value) in [
        ("north_1", "RATED_POWER", Some("3")),
        ("north_2", "Anything", Some("a,2,True")),
        ("north_1", "HUB_HEIGHT", Some("90.0")),
        ("north_1", "BRAKE", None),
        ("north_1", "ApiNote", Some("")),
        ("north_1", "Wind", Some("a,2")),
        ("south", "RATED_POWER", Some("None")),
        ("south", "HUB_HEIGHT", Some("80")),
        ("south", "BRAKE", Some("True")),
        ("south", "Ignored", None),
        ("south", "duplication_count", None),
        ("Clock", "SIMULATION_COMPONENTS", Some("GridA,north_1,north_2,south")),
        ("Clock", "SIMULATION_INITIAL_START_TIME", Some("2023-01-31T22:00:00.000Z")),
        ("Clock", "SIMULATION_EPOCH_LENGTH", Some("900")),
        ("Clock", "SIMULATION_MAX_EPOCHS", Some("4")),
        ("Clock", "SIMULATION_EPOCH_TIMER_INTERVAL", Some("45")),
        ("Clock", "SIMULATION_MAX_EPOCH_RESENDS", Some("5")),
        ("Clock", "SIMULATION_NAME", Some("Valley feeder")),
        ("Clock", "SIMULATION_DESCRIPTION", Some("")),
        ("Clock", "Colour", None),
        ("log_writer", "MESSAGE_BUFFER_MAX_INTERVAL", Some("10.0")),
    ] {
        assert_eq!(variable(&plan, process, name), value, "{process} {name}");
    }
}

#[test]
fn everybody_is_told_of_the_run_and_its_exchange_and_only_the_log_writer_of_the_database() {
    let plan = plan(RUN).expect("a plan");
    for launch in &plan.launches {
        let name = &launch.name;
        for (variable_name, value) in [
            ("RABBITMQ_HOST", "broker"),
            ("RABBITMQ_PASSWORD", "hush"),
            ("RABBITMQ_EXCHANGE", "procem.20240301-080000-213"),
            ("RABBITMQ_EXCHANGE_AUTODELETE", "True"),
            ("RABBITMQ_EXCHANGE_DURABLE", "False"),
            ("SIMULATION_ID", "2024-03-01T08:00:00.213Z"),
            ("SIMULATION_COMPONENT_NAME", name.as_str()),
            ("SIMULATION_STATUS_MESSAGE_TOPIC", "Status.Ready"),
            ("SIMULATION_START_MESSAGE_FILENAME", "/lab/start/start_message_procem.20240301-080000-213.json"),
        ] {
            assert_eq!(variable(&plan, name, variable_name), Some(value), "{name}");
        }
        assert_eq!(
            variable(&plan, name, "SIMULATION_LOG_FILE"),
            Some(format!("/lab/logs/simces_{name}.log").as_str())
        );
        let database = variable(&plan, name, "MONGODB_HOST");
        assert_eq!(database, (launch.role == Role::LogWriter).then_some("db"), "{name}");
        let mut names: Vec<_> = launch.environment.iter().map(|(name, _)| name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), launch.environment.len(), "each variable once");
    }
}

#[test]
fn an_attribute_overrides_what_every_process_is_told() {
    let run = RUN.replace("Brake: true", "SIMULATION_LOG_LEVEL: 20");
    assert_eq!(variable(&plan(&run).expect("a plan"), "south", "SIMULATION_LOG_LEVEL"), Some("20"));
    assert_eq!(variable(&plan(RUN).expect("a plan"), "south", "SIMULATION_LOG_LEVEL"), Some("10"));
}

#[test]
fn the_start_message_keeps_types_and_leaves_out_what_the_manifest_says() {
    let plan = plan(RUN).expect("a plan");
    assert_eq!(
        plan.start,
        json!({
            "Type": "Start", "Timestamp": "2024-03-01T08:00:00.213Z", "SimulationId": "2024-03-01T08:00:00.213Z",
            "SimulationSpecificExchange": "procem.20240301-080000-213",
            "SimulationName": "Valley feeder", "SimulationDescription": "",
            "ProcessParameters": {
                "SimulationManager": {
                    "InitialStartTime": "2023-01-31T22:00:00.000Z", "EpochLength": 900, "MaxEpochCount": 4,
                    "Components": ["GridA", "north_1", "north_2", "south"], "ManagerName": "Clock",
                    "EpochTimerInterval": 45, "MaxEpochResendCount": 5,
                },
                "LogWriter": {"MessageBufferMaxDocumentCount": 20, "MessageBufferMaxInterval": 10.0},
                "Grid": {"GridA": {"ModelName": "Valley", "Symmetrical": false, "Depth": {"a": [1, 2.5]}}},
                "WindFarm": {
                    "north_1": {"RatedPower": 3, "HubHeight": 90.0, "Wind": ["a", 2], "Anything": ["a", 2, true]},
                    "north_2": {"RatedPower": 3, "HubHeight": 90.0, "Wind": ["a", 2], "Anything": ["a", 2, true]},
                    "south": {"RatedPower": null, "HubHeight": 80, "Wind": ["a", 2], "Brake": true},
                },
            },
        })
    );
    assert_eq!(start_file_name(&plan.exchange), "start_message_procem.20240301-080000-213.json");
    let read = gridloop_messages::Start::decode(&serde_json::to_vec(&plan.start).expect("JSON"), plan_time());
    let read = read.expect("what gridloop's own components read");
    assert_eq!(read.announcement.exchange, plan.exchange);
}

fn plan_time() -> Timestamp {
    Timestamp::parse("2024-03-01T08:00:00.213Z").expect("a time")
}

#[test]
fn without_a_count_or_with_one_a_process_keeps_its_name() {
    let one = plan(&RUN.replace("duplication_count: 2", "duplication_count: 1")).expect("a plan");
    assert_eq!(one.components, ["GridA", "north", "south"]);
    let none = plan(&RUN.replace("            duplication_count: 2\n", "")).expect("a plan");
    assert_eq!(none.components, ["GridA", "north", "south"]);
}

#[test]
fn a_missing_required_attribute_is_an_error_or_for_external_processes_null_in_start() {
    let told = problems(
        &RUN.replace("            RatedPower: 3\n", "").replace("            RatedPower: null\n", ""),
    );
    for name in ["north_1", "north_2", "south"] {
        assert!(told.contains(&format!("`{name}` has no `RatedPower`, which WindFarm requires")), "{told}");
    }
    let plan = plan(&RUN.replace("ModelName: Valley, ", "")).expect("a plan");
    assert_eq!(plan.start["ProcessParameters"]["Grid"]["GridA"], json!(null));
    assert!(plan.remarks.iter().any(|remark| remark.message().contains("`GridA` has no `ModelName`")));
}

#[test]
fn every_error_of_a_configuration_is_told_at_once_with_its_place() {
    let told = problems(
        "Simulation:
    InitialStartTime: soon
    EpochLength: 2.5
    MaxEpochCount: 0
    MaxEpochResendCount: -1
    EpochTimerInterval: 0
    ManagerName: the boss
Components:
    WindFarm:
        'a,b': {RatedPower: 1}
        a.b: {RatedPower: 1}
        'a b': {RatedPower: 1}
        'a#': {RatedPower: 1}
        '../../x': {RatedPower: 1}
        7: {RatedPower: 1}
        n: {RatedPower: 2026-06-21, duplication_count: many}
        n: 5
",
    );
    // A key that is there twice stops the reading of the file; so it is told alone.
    assert!(told.contains("run.yml:17:9") && told.contains("a second time"), "{told}");
    let told = problems(
        "Simulation:
    InitialStartTime: soon
    EpochLength: 2.5
    MaxEpochCount: 0
    MaxEpochResendCount: -1
    EpochTimerInterval: 0
    ManagerName: the boss
Components:
    WindFarm:
        'a,b': {RatedPower: 1}
        a.b: {RatedPower: 1}
        'a b': {RatedPower: 1}
        'a#': {RatedPower: 1}
        '../../x': {RatedPower: 1}
        7: {RatedPower: 1}
        n: {RatedPower: 2026-06-21, duplication_count: many}
        m: 5
",
    );
    for place in [
        "run.yml:2:23",
        "run.yml:3:18",
        "run.yml:4:20",
        "run.yml:5:26",
        "run.yml:6:25",
        "run.yml:7:18",
        "run.yml:10:9",
        "run.yml:11:9",
        "run.yml:12:9",
        "run.yml:13:9",
        "run.yml:14:9",
        "run.yml:15:9",
        "run.yml:16:25",
        "run.yml:16:56",
        "run.yml:17:12",
    ] {
        assert!(told.contains(place), "{place} in {told}");
    }
    assert!(told.contains("15 errors"), "{told}");
    for words in ["has a comma", "has a dot", "has a blank", "wildcards", "quotes around it: \"2026-06-21\""]
    {
        assert!(told.contains(words), "{words} in {told}");
    }
}

#[test]
fn names_are_unique_across_types_duplicates_manager_and_log_writer() {
    for (from, to, words) in [
        ("south:", "GridA:", "another process is called `GridA`"),
        ("south:", "north_2:", "another process is called `north_2`"),
        ("south:", "Clock:", "the Simulation Manager is called `Clock` already"),
        ("south:", "log_writer:", "the Log Writer is called `log_writer` already"),
        ("ManagerName: Clock", "ManagerName: log_writer", "both called `log_writer`"),
    ] {
        let told = problems(&RUN.replace(from, to));
        assert!(told.contains(words), "{told}");
    }
}

#[test]
fn too_many_processes_are_refused() {
    let told = problems(&RUN.replace("duplication_count: 2", "duplication_count: 1000000000"));
    assert!(told.contains("too many processes"), "{told}");
}

#[test]
fn an_unknown_type_is_told_with_what_was_probably_meant() {
    let told = problems(&RUN.replace("    WindFarm:", "    WindFram:"));
    assert!(
        told.contains("there is no manifest for `WindFram`") && told.contains("did you mean `WindFarm`?"),
        "{told}"
    );
}

#[test]
fn every_run_needs_manifests_of_the_manager_and_the_log_writer() {
    let surroundings = surroundings(&[]);
    let told = plan_with(RUN, &[WIND, GRID], &surroundings, &places()).expect_err("two missing").to_string();
    assert!(told.contains("`SimulationManager`") && told.contains("`LogWriter`"), "{told}");
}

#[test]
fn a_manifest_must_say_how_its_processes_are_started() {
    let surroundings = surroundings(&[]);
    let manifests = [MANAGER, LOG_WRITER, &WIND.replace("Command: [windfarm]", ""), GRID];
    let told = plan_with(RUN, &manifests, &surroundings, &places()).expect_err("no command").to_string();
    assert!(
        told.contains("manifests/some.yml")
            && told.contains("no `Command`")
            && told.contains("--runner docker"),
        "{told}"
    );
    let containers = Places { kind: Kind::Containers, ..places() };
    let told = plan_with(RUN, &manifests, &surroundings, &containers).expect_err("no image").to_string();
    assert!(told.contains("no `DockerImage`"), "{told}");
}

#[test]
fn a_mistyped_attribute_is_passed_on_and_told_of() {
    let plan = plan(&RUN.replace("HubHeight: 80", "HubHieght: 80")).expect("a plan");
    assert_eq!(variable(&plan, "south", "HubHieght"), Some("80"));
    let told: String = plan.remarks.iter().map(ToString::to_string).collect();
    assert!(
        told.contains("does not declare `HubHieght`") && told.contains("did you mean `HubHeight`?"),
        "{told}"
    );
}

#[test]
fn resources_of_containers_are_found_in_the_folder_that_is_named() {
    let plan = plan(&RUN.replace("Brake: true", "File: /resources/a/b.csv")).expect("a plan");
    assert_eq!(variable(&plan, "south", "File"), Some("/lab/csv/a/b.csv"));
    assert_eq!(plan.start["ProcessParameters"]["WindFarm"]["south"]["File"], json!("/resources/a/b.csv"));
}

#[test]
fn a_merge_key_takes_over_what_is_not_said() {
    let run = RUN
        .replace("north:\n", "north: &north\n")
        .replace("        south:\n", "        south:\n            <<: *north\n");
    let run =
        run.replace("            RatedPower: null\n", "").replace("duplication_count: 2", "HubHeight: 1");
    let plan = plan(&run).expect("a plan");
    assert_eq!(variable(&plan, "south", "RATED_POWER"), Some("3"));
    assert_eq!(variable(&plan, "south", "HUB_HEIGHT"), Some("80"));
}

#[test]
fn no_password_is_shown_with_a_plan() {
    let url = "amqp://lab:hush@h".parse();
    let Ok(BusUrl::Amqp(url)): Result<BusUrl, _> = url else { panic!("a broker") };
    let store = Store::parse("mongodb://u:hush2@h:1/logs").expect("a store");
    let variables = Variables::default();
    let surroundings = Surroundings::read(&variables, Some::<&AmqpUrl>(&url), &store).expect("surroundings");
    let plan = plan_with(RUN, &[MANAGER, LOG_WRITER, WIND, GRID], &surroundings, &places()).expect("a plan");
    assert_eq!(variable(&plan, "log_writer", "MONGODB_PASSWORD"), Some("hush2"));
    assert_eq!(variable(&plan, "log_writer", "RABBITMQ_PASSWORD"), Some("hush"));
    let shown = format!("{plan:?} {surroundings:?} {store:?}");
    assert!(!shown.contains("hush"), "{shown}");
}

#[test]
fn wrong_variables_are_told_all_at_once() {
    let variables: Variables =
        [("RABBITMQ_PORT", "many"), ("SIMULATION_LOG_LEVEL", "loud"), ("MONGODB_APPNAME", "log writer")]
            .into_iter()
            .collect();
    let told = Surroundings::read(&variables, None, &Store::Environment).expect_err("errors").to_string();
    for name in ["RABBITMQ_PORT", "SIMULATION_LOG_LEVEL", "MONGODB_APPNAME"] {
        assert!(told.contains(name), "{told}");
    }
}

#[test]
fn an_image_may_come_from_a_registry_with_a_port() {
    for (text, name, tag) in [
        ("windfarm", "windfarm", "latest"),
        ("registry.example/windfarm:1.2", "registry.example/windfarm", "1.2"),
        ("localhost:5000/windfarm", "localhost:5000/windfarm", "latest"),
        ("localhost:5000/windfarm:2", "localhost:5000/windfarm", "2"),
    ] {
        assert_eq!(Image::parse(text), Image { name: name.into(), tag: tag.into() });
    }
}

#[test]
fn the_name_of_a_process_goes_before_the_extension_of_its_log() {
    assert_eq!(log_file(Path::new("/logs/logfile.log"), "home1"), Path::new("/logs/logfile_home1.log"));
    assert_eq!(log_file(Path::new("/lo.gs/logfile"), "home1"), Path::new("/lo.gs/logfile_home1"));
}

#[test]
fn a_manifest_tells_all_its_errors() {
    let text = "Name: 5\nType: core\nDockerImage: 'a b'\nCommand: gridloop\nAttributes:\n  A: {Optional: maybe}\n  B: 5\n  C: {Enviroment: X}\n  'D=': {}\n";
    let (name, problems) = Manifest::read(&Text::new("m.yml", text).expect("a text")).expect_err("errors");
    assert_eq!((name, problems.len()), (None, 8), "{problems}");
    let told = problems.to_string();
    assert!(told.contains("did you mean `Environment`?") && told.contains("m.yml:2:7"), "{told}");
}

#[test]
fn manifests_are_looked_for_files_first_then_local_then_the_other_folders() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |path: &str, name: &str, image: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, format!("Name: {name}\nType: platform\nDockerImage: {image}\n"))
            .expect("a file");
    };
    write("z.yml", "A", "top");
    write("local/a.yml", "A", "local");
    write("local/b.yaml", "B", "local");
    write("aaa/b.yml", "B", "aaa");
    write("aaa/local/c.yml", "C", "aaa-local");
    write("bbb/c.yml", "C", "bbb");
    write("aaa/zzz/c.yml", "C", "aaa-zzz");
    write("notes.txt", "D", "none");
    std::fs::write(folder.path().join("compose.yml"), "services: {}\n").expect("a file");
    let manifests = Manifests::load(&[folder.path().to_path_buf()]).expect("manifests");
    let image = |name: &str| {
        manifests.get(name).ok().and_then(|manifest| manifest.image.clone()).map(|image| image.name)
    };
    assert_eq!(image("A").as_deref(), Some("top"));
    assert_eq!(image("B").as_deref(), Some("local"));
    assert_eq!(image("C").as_deref(), Some("aaa-local"));
    assert_eq!(image("D"), None);
    let missing = Manifests::load(&[folder.path().join("nowhere")]).expect_err("no folder").to_string();
    assert!(missing.contains("nowhere") && missing.contains("--manifests"), "{missing}");
}
