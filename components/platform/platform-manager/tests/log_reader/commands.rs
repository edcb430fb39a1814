//! The commands as people use them.

use crate::generated::run;
use crate::rig::{Reader, get, gridloop, store};
use gridloop_hil_tests::mongodb::MongoDb;
use serde_json::Value;
use std::path::Path;
use std::process::Output;

fn done(arguments: &[&str]) -> Output {
    gridloop(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn url(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("runs").display())
}

#[tokio::test]
async fn a_whole_run_is_exported_as_lines_and_as_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let run = run(31);
    store(&folder.path().join("runs"), &run).await;
    let store = url(folder.path());
    let lines = done(&["export", &run.id, "--store", &store, "--format", "jsonl"]);
    assert!(lines.status.success());
    let messages: Vec<Value> =
        text(&lines.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(messages.len(), run.messages.len());
    assert!(messages.iter().all(|message| message["Topic"].is_string()));

    let file = folder.path().join("run.csv");
    let table = done(&["export", &run.id, "--store", &store, "--output", file.to_str().unwrap()]);
    assert!(table.status.success(), "{}", text(&table.stderr));
    let table = std::fs::read_to_string(&file).unwrap();
    let header = table.split("\r\n").next().unwrap();
    for column in [
        "ResourceState.Load.load_1:load_1.RealPower",
        "Result:dummy.Current.L2",
        "Weather.Now:weather.Deep.er.Irradiance",
        "Status.Ready:battery.Value",
    ] {
        assert!(header.contains(column), "{column} in {header}");
    }
    assert!(!header.contains("MessageId") && !header.contains("Timestamp"), "{header}");
    // Epoch 0 and at least three points in time of every other epoch.
    assert!(table.split("\r\n").count() > 3 * usize::try_from(run.epochs).unwrap());

    // What is asked for by name is what the server tells.
    let some = done(&["export", &run.id, "--store", &store, "--attrs", "RealPower"]);
    let reader = Reader::start(&["--store", &store]);
    let (_, served) = reader.get(&format!("/simulations/{}/timeseries?attrs=RealPower&format=csv", run.id));
    assert_eq!(text(&some.stdout), text(&served));
    assert_eq!(reader.stop(), 0);
}

#[tokio::test]
async fn an_export_that_cannot_be_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let run = run(32);
    store(&folder.path().join("runs"), &run).await;
    for (arguments, why) in [
        (vec!["2001-01-01T00:00:00.000Z"], "no run 2001"),
        (vec![run.id.as_str(), "--attrs", "RealPower.Value"], "ask for RealPower"),
        (vec![run.id.as_str(), "--attrs", "Nope"], "no message of the run has Nope"),
        (vec![run.id.as_str(), "--output", "/nowhere/at/all.csv"], "/nowhere/at/all.csv"),
    ] {
        let store = url(folder.path());
        let all: Vec<&str> = [&["export", "--store", &store], &arguments[..]].concat();
        let failed = done(&all);
        assert_eq!(failed.status.code(), Some(1), "{arguments:?}");
        assert!(text(&failed.stderr).contains(why), "{}", text(&failed.stderr));
    }
}

#[tokio::test]
async fn tokens_are_made_listed_and_revoked_and_open_the_door() {
    let folder = tempfile::tempdir().unwrap();
    let run = run(33);
    store(&folder.path().join("runs"), &run).await;
    let tokens = folder.path().join("tokens.toml").display().to_string();
    let made = done(&[
        "token",
        "add",
        "alice",
        "--role",
        "operator",
        "--expires",
        "2999-01-01",
        "--tokens",
        &tokens,
    ]);
    let token = text(&made.stdout).trim().to_owned();
    assert!(token.starts_with("gridloop_"), "{token}");
    assert!(!std::fs::read_to_string(&tokens).unwrap().contains(&token));
    done(&["token", "add", "old", "--expires", "2020-01-01", "--tokens", &tokens]);
    let listed = text(&done(&["token", "list", "--tokens", &tokens]).stdout);
    assert!(
        listed.contains("alice") && listed.contains("operator") && listed.contains("until 2999"),
        "{listed}"
    );
    assert!(listed.contains("expired 2020"), "{listed}");

    let reader = Reader::start(&["--store", &url(folder.path()), "--tokens", &tokens]);
    assert_eq!(reader.get("/simulations").0, 401);
    assert_eq!(get(reader.address, "/simulations", Some(&token)).0, 200);
    assert!(done(&["token", "revoke", "alice", "--tokens", &tokens]).status.success());
    assert_eq!(get(reader.address, "/simulations", Some(&token)).0, 401);
    let again = done(&["token", "revoke", "alice", "--tokens", &tokens]);
    assert_eq!((again.status.code(), text(&again.stderr).contains("no token `alice`")), (Some(1), true));
}

#[test]
fn other_machines_are_refused_until_it_is_said() {
    for arguments in [&["log-reader", "--listen", "0.0.0.0:0"][..], &["log-reader", "--from-environment"]] {
        let refused =
            gridloop(arguments).env("LOG_STORE", "sqlite:x").env("LOGREADER_PORT", "0").output().unwrap();
        assert_eq!(refused.status.code(), Some(2));
        assert!(text(&refused.stderr).contains("--insecure"), "{}", text(&refused.stderr));
    }
    let reader = Reader::of(gridloop(&["log-reader", "--listen", "0.0.0.0:0", "--insecure"]));
    assert!(reader.said.contains("serving sqlite:runs on http://0.0.0.0:"), "{}", reader.said);
}

#[test]
fn the_simces_variables_lead_to_a_database() {
    let server = MongoDb::start().unwrap();
    let mut command = gridloop(&["log-reader", "--from-environment"]);
    command.env("MONGODB_PORT", server.port().to_string()).env("MONGODB_HOST", "127.0.0.1");
    command.env("LOGREADER_HOST", "127.0.0.1").env("LOGREADER_PORT", "0");
    let reader = Reader::of(command);
    assert!(
        reader.said.contains(&format!("mongodb://127.0.0.1:{}/messages", server.port())),
        "{}",
        reader.said
    );
    assert_eq!(reader.get("/simulations"), (200, b"[]".to_vec()));
}

#[test]
fn a_section_of_the_configuration_says_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.toml");
    let simulation =
        "[simulation]\ninitial_start_time = \"2023-02-01T00:00:00Z\"\nepoch_length_s = 60\nepochs = 1\n";
    let config = path.to_str().unwrap();
    std::fs::write(
        &path,
        format!("{simulation}[log]\nstore = \"sqlite:here\"\n[log_reader]\nlisten = \"127.0.0.1:0\"\n"),
    )
    .unwrap();
    let reader = Reader::of(gridloop(&["log-reader", config]));
    assert!(reader.said.starts_with("serving sqlite:here on http://127.0.0.1:"), "{}", reader.said);
    std::fs::write(&path, format!("{simulation}[log_reader]\nlissen = \"127.0.0.1:0\"\nkey = \"nowhere\"\n"))
        .unwrap();
    let refused = done(&["log-reader", config]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text(&refused.stderr).contains("lissen") && text(&refused.stderr).contains("nowhere"),
        "{}",
        text(&refused.stderr)
    );
}
