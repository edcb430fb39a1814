//! The images of the Dockerfile, around the binary under test, and the services of compose.yaml.

use crate::until_it;
use gridloop_hil_tests::docker::{BASE_IMAGE, Engine};
use gridloop_platform_manager::platform::manifest::Manifests;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What an image may have beside the base image and the binary.
const OVERHEAD_MAX_BYTES: u64 = 1_000_000;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// Every stage of the Dockerfile that is an image, with its command.
fn roles() -> Vec<(String, Vec<String>)> {
    let manifests = Manifests::load(&[root().join("configs/manifests")]).expect("manifests");
    let started = manifests.names().map(|name| {
        let manifest = manifests.get(name).expect("a manifest");
        let image = manifest.image.as_ref().expect("an image");
        let stage = image.name.strip_prefix("gridloop/").expect("an image of ours");
        let (program, command) =
            manifest.command.as_ref().and_then(|it| it.split_first()).expect("a command");
        assert_eq!(program, "gridloop", "{name}");
        (stage.to_owned(), command.to_vec())
    });
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    let others = [
        ("log-reader".to_owned(), words(&["log-reader", "--from-environment"])),
        ("gridloop".to_owned(), words(&["--help"])),
    ];
    started.chain(others).collect()
}

#[tokio::test]
async fn images_are_the_base_and_the_binary_and_do_what_the_manifests_say_as_nobody_special() {
    let engine = Engine::start().expect("an engine");
    let binary = Path::new(env!("CARGO_BIN_EXE_gridloop"));
    let size = |image: &str| engine.inspect(image).expect("an image")["Size"].as_u64().expect("a size");
    let small = size(BASE_IMAGE) + binary.metadata().expect("the binary").len() + OVERHEAD_MAX_BYTES;
    for (role, command) in roles() {
        engine.build_stage(&role, &role, binary).expect("an image");
        let image = engine.inspect(&role).expect("an image");
        let config = &image["Config"];
        assert_eq!(config["User"], "10001:10001", "{role}");
        assert_eq!(config["Entrypoint"], json!(["gridloop"]), "{role}");
        assert_eq!(config["Cmd"], json!(command), "{role}");
        assert!(size(&role) < small, "{role} has {} bytes", size(&role));
        assert_eq!(config["Healthcheck"].is_object(), role == "log-reader", "{role}");
    }
    let run = |arguments: &[&str]| {
        let hardened = ["run", "--rm", "--network=none", "--read-only", "--cap-drop=ALL"];
        engine.docker(hardened.into_iter().chain(arguments.iter().copied())).expect("a container")
    };
    assert!(run(&["gridloop", "--version"]).starts_with("gridloop "));
    assert_eq!(run(&["--entrypoint=id", "gridloop", "-u"]), "10001");
    let writable = ["--volume=fresh:/logs", "--entrypoint=touch", "gridloop", "/logs/x"];
    assert_eq!(run(&writable), "", "a fresh volume can be written to");
    let serving = ["-e", "LOG_STORE=sqlite:/runs", "-e", "LOGREADER_HOST=127.0.0.1", "log-reader"];
    let checked = ["run", "--detach", "--network=none", "--name=reader", "--health-interval=1s"];
    engine.docker(checked.into_iter().chain(serving)).expect("a container");
    let health = || engine.inspect("reader").expect("a container")["State"]["Health"]["Status"].clone();
    until_it(|| health() != "starting").await;
    assert_eq!(health(), "healthy");
}

#[test]
fn every_command_of_an_image_is_one_that_gridloop_has() {
    for (role, command) in roles() {
        // With --help nothing is started, but what comes before it is understood or refused.
        let mut gridloop = Command::new(env!("CARGO_BIN_EXE_gridloop"));
        let output = gridloop.args(command).arg("--help").output().expect("an output");
        assert!(output.status.success(), "{role}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// What Compose makes of compose.yaml with the values of .env.example.
fn compose(arguments: &[&str]) -> String {
    let output = Command::new("docker-compose")
        .current_dir(root())
        .args([
            "--env-file=.env.example",
            "--file=compose.yaml",
            "--profile=tools",
            "--profile=images",
            "config",
        ])
        .args(arguments)
        .env_remove("DOCKER_HOST")
        .output()
        .expect("docker-compose does not start: is it installed?");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn compose_builds_every_image_that_a_manifest_names() {
    let configuration = compose(&[]);
    let built: BTreeSet<&str> = configuration
        .lines()
        .filter_map(|line| line.trim().strip_prefix("image: gridloop"))
        .map(|image| image.trim_start_matches('/'))
        .collect();
    let mut wanted: BTreeSet<String> = roles().into_iter().map(|(role, _)| role).collect();
    // The image `gridloop` itself, of which the prefix is all there is.
    wanted.remove("gridloop");
    wanted.insert(String::new());
    assert_eq!(built, wanted.iter().map(String::as_str).collect());
    for stage in configuration.lines().filter_map(|line| line.trim().strip_prefix("target: ")) {
        let dockerfile = std::fs::read_to_string(root().join("Dockerfile")).expect("a Dockerfile");
        let named = dockerfile.lines().any(|line| line.ends_with(&format!(" AS {stage}")));
        assert!(named, "the Dockerfile has no stage {stage}");
    }
}

#[test]
fn compose_has_no_password_of_its_own() {
    let text = std::fs::read_to_string(root().join("compose.yaml")).expect("a file");
    let passwords = text.lines().filter(|line| line.contains("PASS") && line.contains(": "));
    for line in passwords {
        assert!(line.contains("${"), "{line}");
    }
    let nothing = tempfile::NamedTempFile::new().expect("a file");
    let without = Command::new("docker-compose")
        .current_dir(root())
        .arg("--env-file")
        .arg(nothing.path())
        .args(["--file=compose.yaml", "config", "--quiet"])
        .output()
        .expect("docker-compose does not start: is it installed?");
    let said = String::from_utf8_lossy(&without.stderr);
    assert!(!without.status.success() && said.contains("copy .env.example to .env"), "{said}");
}
