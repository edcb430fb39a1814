//! The architecture's invariants, checked against `cargo metadata`: which crate may stand on which, where each crate
//! lives, which libraries are known to one crate only, and that no Rust file steps outside the language's safety.
//!
//! When one of these tests fails, the dependency is wrong, not the test: the invariants are what keeps a device free of
//! SimCES, a test free of sockets and the real-time loop free of drivers.

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Every crate of the workspace and its folder. A new crate earns its line by keeping a dependency out of the others.
const TREE: [(&str, &str); 26] = [
    ("gridloop", "components/platform/platform-manager"),
    ("gridloop-bus", "components/foundation/bus"),
    ("gridloop-clock", "components/foundation/clock"),
    ("gridloop-component", "components/foundation/component"),
    ("gridloop-congestion", "components/energy/congestion"),
    ("gridloop-device", "adapters/device"),
    ("gridloop-dummies", "components/platform/dummies"),
    ("gridloop-gateway", "gateway"),
    ("gridloop-grid", "components/energy/grid"),
    ("gridloop-hil-tests", "hil-tests"),
    ("gridloop-iec61850", "adapters/iec61850"),
    ("gridloop-log-reader", "components/platform/log-reader"),
    ("gridloop-logging", "components/platform/logging"),
    ("gridloop-markets", "components/energy/markets"),
    ("gridloop-messages", "components/foundation/messages"),
    ("gridloop-metrics", "components/foundation/metrics"),
    ("gridloop-modbus", "adapters/modbus"),
    ("gridloop-mqtt", "adapters/mqtt"),
    ("gridloop-opendss", "components/energy/opendss"),
    ("gridloop-plant", "adapters/plant"),
    ("gridloop-plot", "components/platform/plot"),
    ("gridloop-power-flow", "components/energy/power-flow"),
    ("gridloop-realtime-manager", "realtime-manager"),
    ("gridloop-resources", "components/energy/resources"),
    ("gridloop-service", "components/foundation/service"),
    ("gridloop-simulated", "adapters/simulated"),
];

/// Libraries that one crate keeps away from all others.
const KEPT_BY: [(&str, &str); 18] = [
    ("axum", "gridloop-log-reader"),
    ("bollard", "gridloop"),
    ("faer", "gridloop-power-flow"),
    ("granit-parser", "gridloop"),
    ("iec61850-client", "gridloop-iec61850"),
    ("iec61850-mms", "gridloop-iec61850"),
    ("iec61850-model", "gridloop-iec61850"),
    ("iec61850-scl", "gridloop-iec61850"),
    ("iec61850-server", "gridloop-iec61850"),
    ("lapin", "gridloop-bus"),
    ("libloading", "gridloop-opendss"),
    ("mongodb", "gridloop-logging"),
    ("resvg", "gridloop-plot"),
    ("roxmltree", "gridloop-iec61850"),
    ("rumqttc", "gridloop-mqtt"),
    ("rusqlite", "gridloop-logging"),
    ("tokio-modbus", "gridloop-modbus"),
    ("tokio-serial", "gridloop-modbus"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("hil-tests is a folder of the workspace")
        .to_path_buf()
}

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .exec()
        .expect("cargo describes the workspace")
}

/// The folder of a package, from the root of the workspace.
fn folder(metadata: &Metadata, package: &Package) -> String {
    let manifest =
        package.manifest_path.strip_prefix(&metadata.workspace_root).expect("a member of the workspace");
    manifest.parent().map(ToString::to_string).unwrap_or_default()
}

/// Everything `package` is built or tested with, its own test dependencies included, those of others not.
fn stands_on<'m>(metadata: &'m Metadata, package: &PackageId) -> BTreeSet<&'m str> {
    let resolve = metadata.resolve.as_ref().expect("cargo resolved the dependencies");
    let nodes: BTreeMap<&PackageId, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let mut found = BTreeSet::new();
    let mut waiting = vec![package];
    while let Some(id) = waiting.pop() {
        for dependency in &nodes[id].deps {
            let in_build = dependency.dep_kinds.iter().any(|kind| kind.kind != DependencyKind::Development);
            if (in_build || id == package) && found.insert(&dependency.pkg) {
                waiting.push(&dependency.pkg);
            }
        }
    }
    found.into_iter().map(|id| metadata[id].name.as_str()).collect()
}

/// Says which of `forbidden` the chosen crates stand on.
fn violations(chosen: impl Fn(&str, &str) -> bool, forbidden: impl Fn(&str) -> bool) -> Vec<String> {
    let metadata = metadata();
    let members = metadata.workspace_packages();
    let chosen: Vec<_> =
        members.iter().filter(|member| chosen(&member.name, &folder(&metadata, member))).collect();
    assert!(!chosen.is_empty(), "the rule is about no crate at all");
    let mut found = Vec::new();
    for member in chosen {
        let wrong = stands_on(&metadata, &member.id).into_iter().filter(|name| forbidden(name));
        found.extend(wrong.map(|name| format!("{} stands on {name}", member.name)));
    }
    found
}

#[test]
fn adapters_know_neither_the_messages_nor_the_bus() {
    let found = violations(
        |_, folder| folder.starts_with("adapters/"),
        |name| ["gridloop-messages", "gridloop-bus"].contains(&name),
    );
    assert_eq!(found, [""; 0]);
}

#[test]
fn clock_messages_and_plant_stand_on_no_runtime() {
    let pure = ["gridloop-clock", "gridloop-messages", "gridloop-plant"];
    let found = violations(|name, _| pure.contains(&name), |name| name == "tokio");
    assert_eq!(found, [""; 0]);
}

#[test]
fn the_realtime_manager_knows_no_adapter() {
    let metadata = metadata();
    let adapters: BTreeSet<String> = metadata
        .workspace_packages()
        .iter()
        .filter(|member| folder(&metadata, member).starts_with("adapters/"))
        .map(|member| member.name.to_string())
        .collect();
    assert!(!adapters.is_empty(), "the adapters have moved");
    let found = violations(|name, _| name == "gridloop-realtime-manager", |name| adapters.contains(name));
    assert_eq!(found, [""; 0]);
}

#[test]
fn each_kept_library_is_named_by_the_manifest_of_its_keeper_alone() {
    let metadata = metadata();
    for (library, keeper) in KEPT_BY {
        let members = metadata.workspace_packages();
        let naming: Vec<&str> = members
            .iter()
            .filter(|member| member.dependencies.iter().any(|dependency| dependency.name == library))
            .map(|member| member.name.as_str())
            .collect();
        assert_eq!(naming, [keeper], "{library}");
    }
}

#[test]
fn every_crate_sits_where_the_tree_says() {
    let metadata = metadata();
    let actual: BTreeMap<String, String> = metadata
        .workspace_packages()
        .iter()
        .map(|member| (member.name.to_string(), folder(&metadata, member)))
        .collect();
    let stated = TREE.map(|(name, folder)| (name.to_owned(), folder.to_owned()));
    assert_eq!(actual, BTreeMap::from(stated));
}

/// The file with a single system call that no library wraps.
const UNWRAPPED: &str = "realtime-manager/src/rt.rs";

/// The file that calls OpenDSS.
const FOREIGN: &str = "components/energy/opendss/src/library.rs";

#[test]
fn no_rust_file_but_two_steps_outside_the_language_s_safety_and_one_of_them_once() {
    // Put together from two halves, so that this file passes its own test.
    let forbidden = concat!("un", "safe");
    let files = rust_files(&root());
    assert!(files.len() > TREE.len(), "the walk missed the sources: {files:?}");
    let mut found = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a readable source file");
        let lines = text.lines().enumerate();
        let wrong = lines.filter(|(_, line)| has_word(without_comment(line), forbidden));
        let name = file.strip_prefix(root()).unwrap_or(&file).display().to_string();
        found.extend(wrong.map(|(at, _)| (name.clone(), at + 1)));
    }
    let files: Vec<&str> =
        found.iter().map(|(file, _)| file.as_str()).filter(|file| *file != FOREIGN).collect();
    assert_eq!(files, [UNWRAPPED], "{found:?}");
}

/// The Rust files of the repository, in the order of their names; not what a build or a run has left there.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("a readable folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    entries.sort();
    let mut files = Vec::new();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_symlink() || name.starts_with('.') || ["target", "runs"].contains(&name.as_ref()) {
            continue;
        }
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn without_comment(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|character: char| !character.is_alphanumeric() && character != '_').any(|part| part == word)
}

#[test]
fn the_search_sees_a_word_and_neither_a_comment_nor_a_longer_word() {
    assert!(has_word(without_comment("let x = forbidden { y };"), "forbidden"));
    assert!(!has_word(without_comment("let x = 1; // forbidden"), "forbidden"));
    assert!(!has_word(without_comment("#![deny(forbidden_code)]"), "forbidden"));
}
