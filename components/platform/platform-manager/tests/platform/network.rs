//! A SimCES run that has a network: NIS, CIS, Grid, predictor and monitoring as processes over a RabbitMQ, judged by a
//! component in Python; and the same run as a configuration of gridloop's own.

use crate::{Done, Folder, shipped};
use gridloop_hil_tests::rabbitmq::RabbitMq;
use serde_json::{Value, json};

/// The voltages of a phase at src, b1, b2 and b3 in each epoch, in kV. By a sweep of one phase apart from this program: the
/// feeder and all resources are balanced, so that the neutral carries nothing.
const VOLTAGES_KV: [[f64; 4]; 4] = [
    [0.408, 0.408_507_9, 0.410_898_3, 0.416_533_1],
    [0.408, 0.408_534_6, 0.410_982_0, 0.416_237_8],
    [0.408, 0.408_788_5, 0.412_200_1, 0.418_232_0],
    [0.408, 0.408_118_8, 0.409_116_4, 0.413_899_1],
];

/// The messages of the one run in a folder of runs, by time.
fn messages(folder: &Folder, runs: &str) -> Vec<Value> {
    let names = folder.entries(runs);
    let run = names.iter().find(|name| name.starts_with("20")).expect("a run");
    let (date, time) = run.split_once('-').expect("a date and a time");
    let (clock, millis) = time.split_once('-').expect("milliseconds");
    let part = |text: &str, from: usize, to: usize| text[from..to].to_owned();
    let (date, clock) = (
        format!("{}-{}-{}", part(date, 0, 4), part(date, 4, 6), part(date, 6, 8)),
        format!("{}:{}:{}", part(clock, 0, 2), part(clock, 2, 4), part(clock, 4, 6)),
    );
    let id = format!("{date}T{clock}.{millis}Z");
    let store = format!("sqlite:{runs}");
    let done = folder.gridloop(&["export", &id, "--store", &store, "--format", "jsonl"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    done.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// What these messages say, without who said it when: each as epoch, topic and content, in order.
fn content(messages: &[Value], topics: &[&str]) -> Vec<String> {
    let header = ["SimulationId", "Timestamp", "MessageId", "TriggeringMessageIds", "_id"];
    let of_topic = messages.iter().filter(|message| {
        let topic = message["Topic"].as_str().unwrap_or_default();
        message["SourceProcessId"] != "judge" && topics.iter().any(|wanted| topic.starts_with(wanted))
    });
    let mut content: Vec<String> = of_topic
        .map(|message| {
            let mut message = message.as_object().expect("an object").clone();
            message.retain(|key, _| !header.contains(&key.as_str()));
            let (epoch, topic) = (message["EpochNumber"].clone(), message["Topic"].clone());
            format!("{epoch} {topic} {}", Value::Object(message))
        })
        .collect();
    content.sort();
    content
}

fn voltage_kv(messages: &[Value], epoch: usize, bus: &str, node: u64) -> f64 {
    let topic = format!("NetworkState.feeder.Voltage.{bus}");
    let found: Vec<&Value> = messages
        .iter()
        .filter(|it| it["Topic"] == topic && it["EpochNumber"] == epoch && it["Node"] == node)
        .collect();
    assert_eq!(found.len(), 1, "{topic} of phase {node} in epoch {epoch}");
    found[0]["Magnitude"]["Value"].as_f64().expect("a number")
}

fn statuses<'a>(messages: &'a [Value], bus: &str) -> Vec<&'a str> {
    let judged = messages.iter().filter(|it| it["Type"] == "DMSNetworkStatus.Voltage");
    let mut judged: Vec<&Value> = judged.collect();
    judged.sort_by_key(|it| it["EpochNumber"].as_u64());
    let of_bus = |message: &'a Value| {
        let all = message["VoltageStatus"].as_array().expect("an array");
        let found = all.iter().find(|it| it["BusName"] == bus && it["Node"] == 1).expect("a bus");
        found["Status"].as_str().expect("a word")
    };
    judged.into_iter().map(of_bus).collect()
}

/// The run configuration that is shipped, changed.
fn sample(from: &str, to: &str) -> String {
    let path = shipped("configs/simces/congestion-management.yml");
    let text = std::fs::read_to_string(path).expect("a run configuration");
    assert!(text.contains(from), "no {from} in it");
    text.replacen(from, to, 1)
}

/// Follows the run of `run.yml` in the folder to its end.
fn platform(folder: &Folder, broker: &RabbitMq) -> Done {
    let url = format!("amqp://guest:guest@127.0.0.1:{}", broker.port());
    let (ours, theirs) = (shipped("configs/manifests"), shipped("hil-tests/peers/manifests"));
    let resources = shipped("configs/simces/congestion");
    let files = ["--manifests", &ours, "--manifests", &theirs, "--resources", &resources];
    folder.gridloop(&[&["platform", "run.yml"], &files[..], &["--broker", &url, "--wait"]].concat())
}

/// Makes `congestion.toml` in the folder of what is shipped, and runs it in one process.
fn converted(folder: &Folder) {
    let path = shipped("configs/simces/congestion-management.yml");
    let (manifests, resources) = (shipped("configs/manifests"), shipped("configs/simces/congestion"));
    let files = ["--manifests", &manifests, "--resources", &resources, "-o", "congestion.toml"];
    let done = folder.gridloop(&[&["convert", &path], &files[..]].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    let toml = std::fs::read_to_string(folder.path("congestion.toml")).expect("the configuration");
    assert!(!toml.contains("external_components") && toml.contains("url = \"memory:\""), "{toml}");
    let checked = folder.gridloop(&["check", "congestion.toml"]);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    assert!(checked.stdout.contains("4 epochs, 10 components"), "{}", checked.stdout);
    let ran = folder.gridloop(&["run", "--runs", "own", "congestion.toml"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn a_simces_run_with_a_network_has_its_voltages_in_the_log_and_is_the_same_when_converted() {
    let broker = RabbitMq::start().expect("RabbitMQ");
    // It is also a resource that CIS does not know, and must not count for the Grid.
    let judge = "    PythonLoad:\n        judge: {ObservedTopics: '#'}\n";
    let market = "    lfm:\n        market: {MarketOpeningTime: 8, FlexibilityProviderList: [nobody]}\n";
    let more = format!("Components:\n{judge}{market}");
    let folder = Folder::new(&[("run.yml", &sample("Components:\n", &more))]);
    let done = platform(&folder, &broker);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("completed: all 4 epochs were run"), "{}", done.stdout);
    let judged = std::fs::read_to_string(folder.run().join("logs/judge.log")).expect("its log");
    let judged: Value = serde_json::from_str(judged.lines().last().unwrap_or_default()).expect("its report");
    assert_eq!(judged["violations"], json!([]), "{judged}");
    let states = judged["received"]["NetworkState"].as_u64();
    assert_eq!(states, Some(4 * 4 * (4 + 3)), "4 epochs, 4 conductors of 4 buses and 3 branches: {judged}");
    assert_eq!(judged["received"]["LFMMarketResult"], 4, "an open market without procurers: {judged}");

    let as_processes = messages(&folder, "runs");
    for (epoch, expected) in (1..).zip(VOLTAGES_KV) {
        for (bus, expected_kv) in ["src", "b1", "b2", "b3"].into_iter().zip(expected) {
            for node in 1..=3 {
                let kv = voltage_kv(&as_processes, epoch, bus, node);
                let told = format!("epoch {epoch}, {bus}.{node}: {kv} kV, not {expected_kv}");
                assert!((kv - expected_kv).abs() < 1e-6, "{told}");
            }
        }
    }
    let close = "close-to-limits";
    assert_eq!(statuses(&as_processes, "b3"), [close, close, close, "acceptable"]);
    assert_eq!(statuses(&as_processes, "b1"), ["acceptable"; 4]);
    let forecasts = as_processes.iter().filter(|it| it["Topic"] == "NetworkForecastState.feeder.Voltage.b3");
    let lengths = forecasts.map(|it| it["Forecast"]["TimeIndex"].as_array().map(Vec::len));
    assert_eq!(lengths.collect::<Vec<_>>(), vec![Some(4); 4 * 4], "every conductor in every epoch");

    converted(&folder);
    let in_one_process = messages(&folder, "own");
    let topics = [
        "Init.",
        "ResourceState.",
        "ResourceForecastState.",
        "NetworkState.",
        "NetworkForecastState.",
        "DMS",
    ];
    let (one, other) = (content(&as_processes, &topics), content(&in_one_process, &topics));
    assert!(one.len() > 200, "{} messages", one.len());
    assert_eq!(one, other);
}

/// What a process of the platform cannot use is told on the bus by name, and ends the run.
#[test]
fn a_nis_without_its_file_and_a_grid_that_waits_for_too_many_end_the_run_with_a_word_about_it() {
    let broker = RabbitMq::start().expect("RabbitMQ");
    for (from, to, expected) in [
        ("/resources/nis.json", "/resources/missing.json", "missing.json cannot be read"),
        ("Resources: 3", "Resources: 5", "5 resources are to be waited for, and the network has 3"),
    ] {
        let folder = Folder::new(&[("run.yml", &sample(from, to))]);
        let done = platform(&folder, &broker);
        let said = format!("{}{}", done.stdout, done.stderr);
        assert_eq!(done.code, 1, "{said}");
        let manager = std::fs::read_to_string(folder.run().join("logs/Clock.log")).expect("its log");
        assert!(said.contains("FAILED") && manager.contains(expected), "no {expected} in {manager}{said}");
    }
}
