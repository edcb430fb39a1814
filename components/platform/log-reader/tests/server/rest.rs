//! What is answered to whom asks for runs and messages.

use crate::client::ask;
use crate::rig::{Folder, RUN, Rig};
use serde_json::{Value, json};

fn topics(answer: &Value) -> Vec<&str> {
    answer.as_array().unwrap().iter().map(|message| message["Topic"].as_str().unwrap()).collect()
}

#[test]
fn a_run_is_told_with_sorted_keys_and_four_spaces() {
    let rig = Rig::small();
    let expected = format!(
        "{{\n    \"Description\": \"two homes\",\n    \"EndTime\": \"2024-03-01T08:00:00.148000Z\",\n    \"Epochs\": 3,\n    \
         \"Name\": \"Valley <b>\",\n    \"Processes\": [\n        \"grid\",\n        \"home1\",\n        \"home2\",\n        \
         \"manager\"\n    ],\n    \"SimulationId\": \"{RUN}\",\n    \"StartTime\": \"2024-03-01T08:00:00.008000Z\"\n}}"
    );
    let answer = rig.of_run("");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.text(), expected);
    assert_eq!(rig.get("/simulations").text(), format!("[\n    {}\n]", expected.replace('\n', "\n    ")));
}

#[test]
fn runs_are_chosen_by_the_time_at_which_they_started() {
    let rig = Rig::small();
    let count = |query: &str| rig.get(&format!("/simulations?{query}")).json().as_array().unwrap().len();
    assert_eq!(count("fromDate=2024-03-01T08:00:00.008Z"), 1);
    assert_eq!(count("fromDate=2024-03-01T08:00:00.009Z"), 0);
    assert_eq!(count("toDate=2024-03-01T08:00:00.008Z"), 0);
    assert_eq!(count("toDate=2024-03-02&fromDate=2024"), 1);
}

#[test]
fn messages_come_by_time_with_their_topics_and_shortened_dates() {
    let rig = Rig::small();
    let answer = rig.of_run("/messages");
    let messages = answer.json();
    assert_eq!(messages.as_array().unwrap().len(), 21);
    assert_eq!(messages[2]["StartTime"], "2023-02-01T00:00:00Z");
    assert_eq!(messages[2]["Timestamp"], "2024-03-01T08:00:00.022000Z");
    let times: Vec<&str> =
        messages.as_array().unwrap().iter().filter_map(|m| m["Timestamp"].as_str()).collect();
    assert!(times.is_sorted());
    assert!(answer.text().starts_with("[\n    {\n        \"Description\": \"two homes\",\n"));
    assert!(answer.text().ends_with("\n    }\n]"));
}

#[test]
fn every_filter_leaves_what_it_says() {
    let rig = Rig::small();
    for (query, count) in [
        ("epoch=0", 1),
        ("epoch=2", 6),
        ("startEpoch=2", 12),
        ("endEpoch=1", 7),
        ("startEpoch=1&endEpoch=2", 12),
        ("epoch=9", 0),
        ("process=home1", 4),
        ("process=home1,manager&process=home2", 12),
        ("process=nobody", 0),
        ("topic=Epoch", 3),
        ("topic=ResourceState.%23", 6),
        ("topic=ResourceState.*", 0),
        ("topic=*.Load.home1", 3),
        ("topic=Resource*.Load.*", 6),
        ("topic=Resource.tate.Load.home1", 0),
        ("onlyWarnings=true", 1),
        ("onlyWarnings=false&epoch=1", 6),
        ("fromSimDate=2023-02-01T00:20:00Z", 12),
        ("toSimDate=2023-02-01T00:15:00Z", 7),
        ("toSimDate=2023-02-01T00:15:00Z&epoch=3&endEpoch=3", 7),
        ("fromSimDate=2030-01-01", 21),
        ("", 21),
    ] {
        let answer = rig.of_run(&format!("/messages?{query}"));
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
        assert_eq!(answer.json().as_array().unwrap().len(), count, "{query}");
    }
    assert_eq!(rig.of_run("/messages?epoch=9").text(), "[]");
}

#[test]
fn what_broke_the_contract_is_told_with_the_reason() {
    let rig = Rig::small();
    let answer = rig.of_run("/messages/invalid").json();
    assert_eq!(topics(&answer), ["Odd", "Status.Ready"]);
    assert_eq!(answer[0]["InvalidJsonMessage"], "\\xff{not json");
    assert_eq!(answer[1]["InvalidMessage"], json!({"Type": "Status"}));
    assert!(answer[1]["Reason"].as_str().unwrap().contains("SimulationId"), "{}", answer[1]["Reason"]);
    assert_eq!(topics(&rig.of_run("/messages/invalid?topic=Status.*").json()), ["Status.Ready"]);
}

#[test]
fn what_is_not_there_and_what_cannot_be_done_have_their_own_answers() {
    let rig = Rig::small();
    for id in [
        "2030-01-01T00:00:00.000Z",
        "nonsense",
        "..",
        "%2e%2e%2fetc",
        "2024-03-01T08:00:00Z",
        "%ff",
        RUN.trim_end_matches('Z'),
    ] {
        for rest in ["", "/messages", "/messages/invalid", "/timeseries?attrs=a"] {
            let answer = rig.get(&format!("/simulations/{id}{rest}"));
            assert_eq!(
                (answer.status, answer.json()["title"].as_str()),
                (404, Some("Simulation not found.")),
                "{id}{rest}"
            );
        }
    }
    let unknown = rig.get("/nowhere/at/all");
    assert_eq!((unknown.status, unknown.text().as_str()), (404, ""));
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let answer = ask(rig.address, method, "/simulations", &[]);
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET,HEAD")), "{method}");
    }
    let head = ask(rig.address, "HEAD", "/simulations", &[]);
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[test]
fn what_the_python_log_reader_answers_with_500_is_a_400_here() {
    let rig = Rig::small();
    for target in [
        "?x=1",
        "/messages?unknown=1",
        "/messages?epoch=1&endEpoch=2",
        "/messages?epoch=1&epoch=2",
        "/messages/invalid?epoch=1",
        "/timeseries?attrs=RealPower.Value",
        "/timeseries?attrs=RealPower.Value&format=csv",
        "/timeseries?attrs=CustomerId.x",
        "/timeseries?attrs=RealPower&unknown=1",
    ] {
        let answer = rig.of_run(target);
        assert_eq!(answer.status, 400, "{target}: {}", answer.text());
        let problem = answer.json();
        assert!(
            problem["title"].is_string()
                && problem["description"].as_str().is_some_and(|text| text.len() > 20),
            "{problem}"
        );
    }
}

#[test]
fn a_folder_that_is_not_there_is_told_and_a_broken_file_does_not_hide_the_others() {
    let folder = Folder::new();
    let settings = folder.settings();
    let rig = folder.serve(settings);
    assert_eq!(rig.get("/simulations").status, 503);
    let broken = rig.folder.path().join("runs/20240301-080000-000");
    std::fs::create_dir_all(&broken).unwrap();
    std::fs::write(broken.join("messages.sqlite"), "this is no database, but long enough to be looked at")
        .unwrap();
    assert_eq!(rig.get("/simulations").text(), "[]");
    let answer = rig.of_run("/messages");
    assert_eq!((answer.status, answer.json()["title"].as_str()), (503, Some("Store not available")));
    assert!(!answer.text().contains("sqlite"), "{}", answer.text());
}

#[test]
fn the_start_page_has_links_and_no_markup_of_others() {
    let rig = Rig::small();
    let page = rig.get("/");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.text().contains("Valley &lt;b&gt;") && !page.text().contains("<b>"), "{}", page.text());
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(rig.get("/health").status, 200);
    assert_eq!(rig.get("/openapi.json").json()["openapi"], "3.1.0");
}

#[test]
fn random_queries_never_lead_to_a_500() {
    let rig = Rig::small();
    let mut random = fastrand::Rng::with_seed(20_240_301);
    let names = [
        "epoch",
        "startEpoch",
        "endEpoch",
        "fromSimDate",
        "toSimDate",
        "process",
        "topic",
        "onlyWarnings",
        "limit",
        "after",
        "attrs",
        "format",
        "by",
        "x",
    ];
    let values = [
        "",
        "1",
        "-1",
        "2",
        "true",
        "csv",
        "RealPower",
        "RealPower.Value",
        "Bus,Volts",
        "2023-02-01T00:20:00Z",
        "%23",
        "*",
        "%ff",
        "%00",
        "a%2Cb",
        "9e9",
        "home1",
        "Node",
    ];
    for round in 0..300 {
        let pairs: Vec<String> = (0..random.usize(0..4))
            .map(|_| {
                format!("{}={}", names[random.usize(..names.len())], values[random.usize(..values.len())])
            })
            .collect();
        let resource = ["/messages", "/messages/invalid", "/timeseries", ""][random.usize(..4)];
        let answer = rig.of_run(&format!("{resource}?{}", pairs.join("&")));
        assert!(
            matches!(answer.status, 200 | 400),
            "round {round}: {resource}?{} gives {}",
            pairs.join("&"),
            answer.status
        );
    }
}
