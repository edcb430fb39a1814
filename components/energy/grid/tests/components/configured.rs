//! Configurations and network files, as they are read and refused.

use gridloop_grid::{KINDS, Kind, NetworkSource, load_network};
use gridloop_power_flow::{Connection, VoltageDependence};
use gridloop_service::Document;
use std::path::Path;
use tempfile::TempDir;

const NETWORK: &str = r#"
[base]
power_kva = 50
voltage_kv = 0.4
[source]
bus = "src"
[branch.T1]
from = "src"
to = "b1"
resistance_pu = 0.05
reactance_pu = 0.02
rated_current_pu = 1.2
taps = { lowest = 1, highest = 9, neutral = 5, position = 6, step_percent = 2.5 }
[branch.L2]
from = "b1"
to = "b2"
resistance_ohm = 0.128
reactance_ohm = 0.032
rated_current_a = 65
[resource.load]
bus = "b2"
customer_id = "c7"
connection = "1-2"
zip = [0.5, 0.25, 0.25]
"#;

fn folder(network: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("network.toml"), network).unwrap();
    folder
}

/// What a component's table says, or everything that is wrong with it.
fn read(folder: &Path, kind: &str, table: &str) -> Result<Kind, String> {
    let name = folder.join("configuration.toml");
    let document = Document::parse(&name.display().to_string(), table).unwrap();
    let read = KINDS.iter().find(|(word, _)| *word == kind).unwrap().1;
    let kind = read(&document.root());
    document.finish().map_err(|errors| errors.to_string())?;
    Ok(kind)
}

#[test]
fn a_network_file_is_read_in_per_unit_and_in_ohm() {
    let folder = folder(NETWORK);
    let network =
        load_network(&folder.path().join("network.toml")).unwrap_or_else(|errors| panic!("{errors}"));
    let branches = &network.network.branches;
    assert!(
        (branches[1].resistance_pu - 0.04).abs() < 1e-12 && (branches[1].reactance_pu - 0.01).abs() < 1e-12
    );
    assert!((branches[1].rated_current_pu.unwrap() - 65.0 / 72.168_783_648_703_2).abs() < 1e-12);
    assert_eq!(network.tap_positions["T1"], 6);
    let load = &network.resources["load"];
    assert!(matches!(load.connection, Connection::Between(..)));
    assert_eq!(load.dependence, VoltageDependence::Zip { impedance: 0.5, current: 0.25, power: 0.25 });
    assert!(network.to_network().is_ok());
}

/// Each flaw is told with its place in the network file, also through the table that names the file.
#[test]
fn what_is_wrong_with_a_network_file_is_told_with_its_place() {
    for (from, to, place, expected) in [
        ("from = \"b1\"", "from = \"b2\"", "network.toml:16:6", "another bus than the one where it begins"),
        (
            "resistance_ohm = 0.128",
            "resistance_ohm = \"x\"",
            "network.toml:17:18",
            "wrong value for `resistance_ohm`",
        ),
        ("reactance_ohm", "reactance_omh", "network.toml:18:1", "unknown key `reactance_omh`"),
        ("bus = \"b2\"", "bus = \"b9\"", "network.toml:21:7", "a bus at an end of some branch"),
        ("bus = \"src\"", "bus = \"b9\"", "network.toml:6:7", "a bus at an end of some branch"),
        ("neutral = 5", "neutral = 10", "network.toml:13:", "from 1 to 9"),
        ("[0.5, 0.25, 0.25]", "[0.5, 0.5]", "network.toml:24:7", "three shares that add up to 1"),
        ("to = \"b2\"", "to = \"b 2\"", "network.toml:16:6", "a name in topics has no"),
        ("[branch.L2]", "[branch.\"L.2\"]", "network.toml:", "another name"),
        ("power_kva = 50", "power_kva = 0", "network.toml:3:13", "wrong value for `power_kva`"),
    ] {
        let folder = folder(&NETWORK.replace(from, to));
        for kind in ["grid", "nis", "cis"] {
            let told = read(folder.path(), kind, "network = \"network.toml\"").unwrap_err();
            assert!(
                told.contains(place) && told.contains(expected),
                "{kind}: no {place} {expected} in {told}"
            );
        }
    }
}

#[test]
fn a_network_that_has_an_island_is_refused_before_the_run() {
    let island = format!("{NETWORK}\n[branch.L9]\nfrom = \"x\"\nto = \"y\"\nresistance_pu = 0.1\n");
    let folder = folder(&island);
    let told = read(folder.path(), "grid", "network = \"network.toml\"").unwrap_err();
    assert!(told.contains("no source reaches x, y"), "{told}");
}

#[test]
fn a_grid_is_configured_with_resources_taps_and_a_source_that_swings() {
    let folder = folder(NETWORK);
    std::fs::write(folder.path().join("mv.csv"), "Epoch,SourceVoltage\n1,1.0\n2,0.97\n").unwrap();
    let table = r#"
network = "network.toml"
grid = "valley"
source_voltage_file = "mv.csv"
input_timeout_s = 5
resource_count = 2
categories = ["Load", "Generator"]
storages = ["battery"]
resources.pump = { bus = "b1", connection = "2", dependence = "constant-current" }
taps.T1 = { device = "oltc1" }
taps.L2 = { commanded = true, range = { lowest = -2, highest = 2, neutral = 0, step_percent = 1.5 } }
"#;
    let Ok(Kind::Grid(settings)) = read(folder.path(), "grid", table) else { panic!("no grid") };
    assert_eq!(settings.source_voltage_pu, [1.0, 0.97]);
    assert_eq!((settings.grid_id.as_str(), settings.taps.len(), settings.resources.len()), ("valley", 2, 1));
    let awaited = &settings.awaited;
    assert_eq!((awaited.count, awaited.categories.len(), awaited.storages.len()), (Some(2), 2, 1));
    let NetworkSource::File(network) = &settings.source else { panic!("no file") };
    assert_eq!(network.network.branches[1].taps.unwrap().lowest, -2);
    assert!(Kind::Grid(settings).make("grid").is_ok());
}

#[test]
fn a_table_that_contradicts_itself_is_refused() {
    let folder = folder(NETWORK);
    std::fs::write(folder.path().join("mv.csv"), "Epoch,SourceVoltage\n1,1.0\n2,high\n").unwrap();
    for (kind, table, expected) in [
        ("grid", "network = \"network.toml\"\nmodel = \"network.toml\"", "this or `network`, not both"),
        ("grid", "network = \"network.toml\"\nroot_voltage_pu = 1.02", "no such key"),
        ("grid", "network = \"missing.toml\"", "missing.toml"),
        ("grid", "grid = \"a.b\"", "a name in topics"),
        ("grid", "taps.T1 = { device = \"x\", commanded = true }", "either `device` or `commanded = true`"),
        ("grid", "source_voltage_file = \"mv.csv\"", "mv.csv:3:3: a number from 0 to 2, found \"high\""),
        ("grid", "resource_count = -1", "wrong value for `resource_count`"),
        ("grid", "categories = [\"a.b\"]", "a name in topics"),
        ("network-state-predictor", "grid = \"valley\"\nstorages = [\"b\"]", "unknown key `storages`"),
        ("network-state-predictor", "grid = \"valley\"\npoints_max = 0", "wrong value for `points_max`"),
        ("grid", "library = \"network.toml\"", "a `model` beside it"),
        (
            "grid",
            "taps.T1 = { commanded = true, range = { lowest = 3, highest = 1, neutral = 3, step_percent = 1 } }",
            "3 or more",
        ),
        (
            "network-state-predictor",
            "grid = \"valley\"\ntaps.T1 = { commanded = true }",
            "unknown key `commanded`",
        ),
        ("state-monitoring", "grid = \"valley\"\nmin_voltage_pu = 1.2", "limits with room between amber"),
        ("state-monitoring", "min_voltage_pu = 0.9", "missing key `grid`"),
        ("nis", "", "either `file` or `network`"),
    ] {
        let told = read(folder.path(), kind, table).unwrap_err();
        assert!(told.contains(expected), "{kind} {table}: no {expected:?} in {told}");
    }
}
