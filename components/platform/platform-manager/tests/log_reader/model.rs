//! Answers to ordinary requests on ordinary runs are those of the model, to the byte, on both stores.

use crate::generated::{Run, requests, run};
use crate::rig::{Reader, store, write};
use gridloop_hil_tests::mongodb::MongoDb;
use gridloop_hil_tests::peers::Peer;
use serde_json::{Value, json};

async fn compare(reader: &Reader, model: &mut Peer, run: &Run, seed: u64) {
    let mut done = 0;
    for target in requests(run, seed) {
        let expected = model.ask("answer", json!({ "target": target })).await.unwrap();
        let (status, body) = reader.get(&target);
        assert_eq!(
            u64::from(status),
            expected["status"],
            "seed {seed}: {target}: {}",
            String::from_utf8_lossy(&body)
        );
        if status == 200 {
            let expected = expected["body"].as_str().unwrap();
            assert_eq!(String::from_utf8(body).unwrap(), expected, "seed {seed}: {target}");
            done += 1;
        }
    }
    assert!(done > 100, "only {done} answers were compared");
}

#[tokio::test]
async fn every_answer_on_sqlite_is_that_of_the_model_to_the_byte() {
    let folder = tempfile::tempdir().unwrap();
    let (mut model, _) = Peer::start("log_reader_model.py", &[]).await.unwrap();
    let runs: Vec<(u64, Run)> = (1..=4).map(|seed| (seed, run(seed))).collect();
    for (seed, run) in &runs {
        store(&folder.path().join("runs"), run).await;
        let sent = folder.path().join(format!("{seed}.jsonl"));
        write(&sent, run);
        model.ask("keep", json!({"run": run.id, "sent_file": sent})).await.unwrap();
    }
    let store = format!("sqlite:{}", folder.path().join("runs").display());
    let reader = Reader::start(&["--store", &store]);
    for (seed, run) in &runs {
        compare(&reader, &mut model, run, *seed).await;
    }
}

#[tokio::test]
async fn every_answer_on_what_python_stored_in_mongodb_is_that_of_the_model_to_the_byte() {
    let folder = tempfile::tempdir().unwrap();
    let server = MongoDb::start().unwrap();
    let (mut model, _) = Peer::start("log_reader_model.py", &[]).await.unwrap();
    let runs: Vec<(u64, Run)> = (11..=14).map(|seed| (seed, run(seed))).collect();
    for (seed, run) in &runs {
        let sent = folder.path().join(format!("{seed}.jsonl"));
        write(&sent, run);
        let details =
            json!({"run": run.id, "sent_file": sent, "url": server.url("logs"), "database": "logs"});
        model.ask("keep", details).await.unwrap();
    }
    let reader = Reader::start(&["--store", &server.url("logs")]);
    for (seed, run) in &runs {
        compare(&reader, &mut model, run, *seed).await;
    }
    pages_are_the_whole(&reader, &runs[0].1);
    let (status, listed) = reader.get("/simulations?toDate=2030-01-01");
    let listed: Value = serde_json::from_slice(&listed).unwrap();
    assert_eq!((status, listed.as_array().unwrap().len()), (200, runs.len()));
}

/// Pages of messages whose `_id`s Python made.
fn pages_are_the_whole(reader: &Reader, run: &Run) {
    let base = format!("/simulations/{}/messages", run.id);
    let all = |target: &str| -> Vec<Value> { serde_json::from_slice(&reader.get(target).1).unwrap() };
    let identity = |message: &Value| message["MessageId"].as_str().unwrap().to_owned();
    let mut whole: Vec<String> = all(&base).iter().map(identity).collect();
    let mut paged = Vec::new();
    let mut after = String::new();
    loop {
        let page = all(&format!("{base}?limit=7{after}"));
        paged.extend(page.iter().map(identity));
        let Some(next) = next(reader, &format!("{base}?limit=7{after}")) else { break };
        after = next;
    }
    whole.sort();
    paged.sort();
    assert_eq!(paged, whole);
}

/// What a Link header adds to a request.
fn next(reader: &Reader, target: &str) -> Option<String> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(reader.address).unwrap();
    stream.write_all(format!("GET {target} HTTP/1.0\r\n\r\n").as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let link =
        text.lines().take_while(|line| !line.is_empty()).find_map(|line| line.strip_prefix("link: "))?;
    let (_, after) = link.split_once("&after=")?;
    Some(format!("&after={}", after.split('>').next()?))
}

#[tokio::test]
async fn a_mongodb_that_is_away_is_told_and_forgiven() {
    let mut server = MongoDb::start().unwrap();
    let reader = Reader::start(&["--store", &format!("{}?serverSelectionTimeoutMS=300", server.url("logs"))]);
    assert_eq!(reader.get("/simulations"), (200, b"[]".to_vec()));
    server.kill9().unwrap();
    let (status, body) = reader.get("/simulations");
    assert_eq!(status, 503, "{}", String::from_utf8_lossy(&body));
    server.restart().unwrap();
    let back = (0..100).any(|_| {
        std::thread::park_timeout(std::time::Duration::from_millis(100));
        reader.get("/simulations").0 == 200
    });
    assert!(back);
}
