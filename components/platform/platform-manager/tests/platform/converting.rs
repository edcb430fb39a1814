//! `gridloop convert`: what comes out passes `gridloop check` and says what it cannot run.

use crate::{Folder, shipped};

#[test]
fn the_sample_becomes_a_configuration_that_is_sound() {
    let folder = Folder::new(&[]);
    let sample = shipped("configs/simces/energy-community.yml");
    let (manifests, resources) = (shipped("configs/manifests"), shipped("configs/simces/resources"));
    let arguments =
        ["convert", &sample, "--manifests", &manifests, "--resources", &resources, "-o", "community.toml"];
    let done = folder.gridloop(&arguments);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let checked = folder.gridloop(&["check", "community.toml"]);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    assert!(checked.stdout.contains("24 epochs, 7 components"), "{}", checked.stdout);
    let ran = folder.gridloop(&["run", "--epochs", "2", "community.toml"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn what_gridloop_has_not_becomes_external_with_a_word_about_it() {
    let grid = "Name: Grid\nType: external\n";
    let simple = "Name: SimpleComponent\nType: platform\nAttributes:\n  SimpleValue: {Environment: SIMPLE_VALUE}\n  InputComponents: {Environment: INPUT_COMPONENTS, Optional: true}\n";
    let run = "Simulation:
    Name: 'a \"quoted\" \\ name'
    InitialStartTime: '2023-02-01T00:00:00+02:00'
    EpochLength: 900
    MaxEpochCount: 4
    EpochTimerInterval: 45
    MaxEpochResendCount: 3
Components:
    Grid:
        GridA: {ModelName: Valley}
    SimpleComponent:
        first: {SimpleValue: 10}
        second: {SimpleValue: 2.5, InputComponents: [first]}
";
    let folder = Folder::new(&[("run.yml", run), ("m/grid.yml", grid), ("m/simple.yml", simple)]);
    let done = folder.gridloop(&["convert", "run.yml", "--manifests", "m"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    for words in [
        "#   GridA was a Grid",
        "external_components = [\"GridA\"]",
        "initial_start_time = \"2023-01-31T22:00:00.000Z\"",
        "resend_interval_s = 45",
        "max_resends = 3",
        "[component.second]",
        "inputs = [\"first\"]",
        "url = \"amqp://localhost\"",
    ] {
        assert!(done.stdout.contains(words), "{words} in {}", done.stdout);
    }
    folder.write("run.toml", &done.stdout);
    let checked = folder.gridloop(&["check", "run.toml"]);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
}

#[test]
fn parameters_that_a_component_cannot_be_told_are_errors_with_their_place() {
    let run = "Simulation: {InitialStartTime: '2023-02-01T00:00:00Z', EpochLength: 900, MaxEpochCount: 4}
Components:
    Dummy:
        bad: {ErrorChance: 2, MinSleepTime: long}
";
    let folder = Folder::new(&[("run.yml", run)]);
    let done = folder.gridloop(&["convert", "run.yml", "--manifests", &shipped("configs/manifests")]);
    assert_eq!(done.code, 2, "{}", done.stdout);
    assert!(done.stderr.contains("run.yml:4:9") && done.stderr.contains("ERROR_CHANCE"), "{}", done.stderr);
    assert!(done.stderr.contains("MIN_SLEEP_TIME"), "{}", done.stderr);
}
