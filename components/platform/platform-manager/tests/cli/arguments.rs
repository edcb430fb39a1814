//! What people type.

use crate::{entries, feeder, folder, gridloop};

/// What is indented under a heading of the help.
fn under<'t>(help: &'t str, heading: &str) -> Vec<&'t str> {
    let below = help.lines().skip_while(|line| *line != heading).skip(1);
    below.take_while(|line| line.starts_with("  ")).map(str::trim).collect()
}

#[test]
fn the_help_names_every_command_and_says_what_gridloop_is_not() {
    let folder = folder();
    let done = gridloop(folder.path(), &["--help"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    assert!(
        done.stdout.starts_with("Physical inverters, batteries and tap changers in the loop of a SimCES")
    );
    for (group, commands) in [
        ("A simulation in one process:", &["run", "check", "schema"][..]),
        ("A SimCES run of several processes:", &["platform", "convert"]),
        ("One service of a run:", &["manager", "gateway", "component", "log-writer", "log-reader", "probe"]),
        ("Stored runs:", &["export", "plot", "token"]),
        ("This computer and devices:", &["doctor", "device", "drill"]),
    ] {
        let listed: Vec<&str> = under(&done.stdout, group)
            .into_iter()
            .filter_map(|line| line.split_once("  ").map(|(name, _)| name))
            .collect();
        assert_eq!(listed, commands, "{group}");
    }
    let codes =
        ["0 completed or stopped", "1 failed", "2 bad configuration or arguments", "3 deadlines missed"];
    assert!(codes.iter().all(|code| done.stdout.contains(code)), "{}", done.stdout);
    assert!(done.stdout.contains("gridloop is no safety device"));
}

#[test]
fn run_has_every_switch_that_is_promised() {
    let folder = folder();
    let help = gridloop(folder.path(), &["run", "--help"]).stdout;
    let promised =
        ["--bus", "--set", "--report", "--strict", "--json", "--epochs", "--speed", "--resume", "--metrics"];
    for switch in promised {
        let named = help.lines().any(|line| line.split_whitespace().next() == Some(switch));
        assert!(named, "{switch}: {help}");
    }
}

#[test]
fn arguments_that_do_not_exist_are_bad_arguments() {
    let folder = folder();
    for arguments in [&["fly"][..], &["run", "--frobnicate"], &["run", "--epochs", "many"], &["device"]] {
        let done = gridloop(folder.path(), arguments);
        assert_eq!(done.code, 2, "{arguments:?}");
        assert!(done.stdout.is_empty() && done.stderr.contains("--help"), "{arguments:?}: {}", done.stderr);
    }
    assert!(entries(folder.path()).is_empty());
}

#[test]
fn the_version_is_that_of_the_package() {
    let folder = folder();
    let done = gridloop(folder.path(), &["--version"]);
    assert_eq!(done.stdout, format!("gridloop {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_service_without_a_broker_says_that_it_needs_one() {
    let folder = folder();
    let id = "2026-06-21T12:00:00.000Z";
    for service in [&["manager"][..], &["gateway"], &["component", "Load1"]] {
        let feeder = feeder();
        let arguments = [service, &[feeder.as_str(), "--simulation-id", id]].concat();
        let done = gridloop(folder.path(), &arguments);
        assert_ne!(done.code, 0, "{service:?}");
        assert!(done.stderr.contains("needs a broker"), "{service:?}: {}", done.stderr);
    }
    assert!(entries(folder.path()).is_empty());
}
