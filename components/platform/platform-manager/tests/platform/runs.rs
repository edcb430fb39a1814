//! Whole runs over a RabbitMQ of the test's own: what is started, followed, ended and left behind.

use crate::{Folder, shipped, wait_for};
use gridloop_hil_tests::peers::Peer;
use gridloop_hil_tests::rabbitmq::RabbitMq;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::{Value, json};
use std::path::Path;

/// A run of two households and a dummy; `more` goes below `Components`.
fn run_file(epochs: u32, sleep: &str, more: &str) -> String {
    format!(
        "Simulation:
    Name: two households
    InitialStartTime: '2026-06-21T12:00:00.000Z'
    EpochLength: 900
    MaxEpochCount: {epochs}
    ManagerName: Clock
    StartDelay: 1.0
    EpochTimerInterval: 600.0
Components:
    StaticTimeSeriesResource:
        house1: {{ResourceType: Load, ResourceStateFile: /resources/load1.csv}}
        house2: {{ResourceType: Load, ResourceStateFile: /resources/load2.csv}}
    Dummy:
        pacer: {{MinSleepTime: {sleep}, MaxSleepTime: {sleep}}}
{more}"
    )
}

fn arguments(broker: &RabbitMq, more: &[&str]) -> Vec<String> {
    let manifests = shipped("configs/manifests");
    let resources = shipped("configs/simces/resources");
    let url = format!("amqp://guest:guest@127.0.0.1:{}", broker.port());
    let fixed =
        ["platform", "run.yml", "--manifests", &manifests, "--resources", &resources, "--broker", &url];
    fixed.into_iter().chain(more.iter().copied()).map(ToOwned::to_owned).collect()
}

fn borrowed(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

fn is_alive(pid: Pid) -> bool {
    // A process that has ended and that nobody has waited for is a zombie, which counts as gone.
    let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    test_kill_process(pid).is_ok() && !state.contains(") Z ")
}

fn start_message(run: &Path) -> Value {
    let name = run.file_name().expect("a name").to_string_lossy().into_owned();
    let text = std::fs::read_to_string(run.join(format!("start_message_procem.{name}.json")))
        .expect("the Start file");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn a_run_of_gridloops_own_processes_is_followed_to_its_end_and_kept() {
    let broker = RabbitMq::start().expect("RabbitMQ");
    let folder = Folder::new(&[("run.yml", &run_file(4, "0.01", ""))]);
    let running = folder.start(&borrowed(&arguments(&broker, &["--wait"])));
    let (code, said) = running.end();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("completed: all 4 epochs were run"), "{said}");
    assert!(said.contains("epoch 4/4: everybody ready after"), "{said}");
    let run = folder.run();
    let logs: Vec<String> =
        ["house1", "house2", "log_writer", "pacer", "Clock"].map(|name| format!("{name}.log")).into();
    for log in logs {
        assert!(run.join("logs").join(&log).exists(), "{log}");
    }
    assert!(run.join("messages.sqlite").exists(), "the Log Writer stores beside the logs");
    assert!(run.join("configuration.yml").exists());
    let start = start_message(&run);
    assert_eq!(
        start["ProcessParameters"]["SimulationManager"]["Components"],
        json!(["house1", "house2", "pacer"])
    );
    let log_writer = std::fs::read_to_string(run.join("logs/log_writer.log")).expect("its log");
    assert!(log_writer.contains("\"stored\""), "{log_writer}");
}

#[test]
fn without_wait_the_run_is_started_and_goes_on_by_itself() {
    let broker = RabbitMq::start().expect("RabbitMQ");
    let folder = Folder::new(&[("run.yml", &run_file(3, "0.01", ""))]);
    let done = folder.gridloop(&borrowed(&arguments(&broker, &[])));
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    assert!(
        done.stdout.contains("Clock") && done.stdout.contains("the run goes on by itself"),
        "{}",
        done.stdout
    );
    let report = folder.run().join("logs/Clock.log");
    wait_for("the manager's report", || {
        let text = std::fs::read_to_string(&report).ok()?;
        text.contains("\"outcome\": \"completed\"").then_some(())
    });
    let log_writer = folder.run().join("logs/log_writer.log");
    wait_for("the Log Writer's end", || {
        let text = std::fs::read_to_string(&log_writer).ok()?;
        text.contains("\"stored\"").then_some(())
    });
}

#[test]
fn a_process_that_is_killed_is_told_of_by_name_and_fails_the_run() {
    let broker = RabbitMq::start().expect("RabbitMQ");
    let folder = Folder::new(&[("run.yml", &run_file(100_000, "0.2", ""))]);
    let mut running = folder.start(&borrowed(&arguments(&broker, &["--wait"])));
    let pids: Vec<Pid> =
        ["log_writer", "house1", "house2", "pacer", "Clock"].map(|name| running.pid_of(name)).into();
    running.line("waiting for");
    kill_process(pids[3], Signal::KILL).expect("a signal");
    let (code, said) = running.end();
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("FAILED: pacer was killed (signal 9) in epoch"), "{said}");
    assert!(said.contains("the last lines of pacer") || said.contains("pacer has written nothing"), "{said}");
    for pid in pids {
        assert!(!is_alive(pid), "{pid:?} goes on: {said}");
    }
}

#[test]
fn a_manager_that_is_killed_is_spoken_for_so_that_everybody_ends() {
    let broker = RabbitMq::start().expect("RabbitMQ");
    let folder = Folder::new(&[("run.yml", &run_file(100_000, "0.2", ""))]);
    let mut running = folder.start(&borrowed(&arguments(&broker, &["--wait"])));
    let (manager, house) = (running.pid_of("Clock"), running.pid_of("house1"));
    running.line("waiting for");
    kill_process(manager, Signal::KILL).expect("a signal");
    let (code, said) = running.end();
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("FAILED: Clock was killed (signal 9)"), "{said}");
    assert!(said.contains("the run is ended in its place"), "{said}");
    assert!(!said.contains("house1 does not end by itself"), "it has heard `stopped`: {said}");
    assert!(!is_alive(house));
}

#[test]
fn ctrl_c_stops_the_run_by_way_of_its_manager() {
    let broker = RabbitMq::start().expect("RabbitMQ");
    let folder = Folder::new(&[("run.yml", &run_file(100_000, "0.05", ""))]);
    let mut running = folder.start(&borrowed(&arguments(&broker, &["--wait"])));
    let pids: Vec<Pid> =
        ["log_writer", "house1", "house2", "pacer", "Clock"].map(|name| running.pid_of(name)).into();
    running.line("waiting for");
    running.signal(Signal::INT);
    let (code, said) = running.end();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("stopped: stopped on request in epoch"), "{said}");
    assert!(!said.contains("is killed"), "{said}");
    for pid in pids {
        assert!(!is_alive(pid), "{pid:?} goes on: {said}");
    }
}

#[test]
fn a_program_that_is_missing_is_told_before_anything_is_started() {
    let broker = RabbitMq::start().expect("RabbitMQ");
    let manifest = "Name: Turbine\nType: platform\nCommand: [no-such-program-anywhere]\n";
    let more = "    Turbine:\n        t1:\n";
    let folder = Folder::new(&[("run.yml", &run_file(3, "0.01", more)), ("m/turbine.yml", manifest)]);
    let done = folder.gridloop(&borrowed(&arguments(&broker, &["--wait", "--manifests", "m"])));
    assert_eq!(done.code, 1, "{}", done.stdout);
    assert!(
        done.stderr.contains("t1: there is no program `no-such-program-anywhere` in PATH"),
        "{}",
        done.stderr
    );
    assert!(!done.stdout.contains("pid"), "{}", done.stdout);
}

#[test]
fn what_was_started_is_ended_when_a_later_one_cannot_be() {
    let broker = RabbitMq::start().expect("RabbitMQ");
    let manifest = "Name: Turbine\nType: platform\nCommand: [./turbine]\n";
    let more = "    Turbine:\n        t1:\n";
    let folder = Folder::new(&[
        ("run.yml", &run_file(3, "0.01", more)),
        ("m/turbine.yml", manifest),
        ("m/turbine", "#!/no/such/interpreter\n"),
    ]);
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path("m/turbine"), executable).expect("permissions");
    let done = folder.gridloop(&borrowed(&arguments(&broker, &["--wait", "--manifests", "m"])));
    assert_eq!(done.code, 1, "{}", done.stdout);
    assert!(done.stderr.contains("t1 cannot be started; what was started is ended again"), "{}", done.stderr);
    let pids = done.stdout.lines().filter_map(|line| line.split_once("pid ")?.1.trim().parse().ok());
    let pids: Vec<Pid> = pids.filter_map(Pid::from_raw).collect();
    assert_eq!(pids.len(), 4, "{}", done.stdout);
    assert!(pids.iter().all(|pid| !is_alive(*pid)), "{}", done.stdout);
}

#[test]
fn processes_see_only_what_the_plan_tells_them_and_their_children_end_with_them() {
    let broker = RabbitMq::start().expect("RabbitMQ");
    let manifest =
        "Name: Shell\nType: platform\nCommand: [sh, -c, 'env; sleep 1000 & echo child $!; wait']\n";
    let more = "    Shell:\n        shell: {Colour: red}\n";
    let folder = Folder::new(&[("run.yml", &run_file(3, "0.01", more)), ("m/shell.yml", manifest)]);
    let mut command = folder.command(&borrowed(&arguments(&broker, &["--manifests", "m"])));
    command.env("LAB_SECRET", "hush");
    let done = command.output().expect("the command");
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let log = folder.run().join("logs/shell.log");
    let text = wait_for("the shell's words", || {
        let text = std::fs::read_to_string(&log).ok()?;
        text.contains("child ").then_some(text)
    });
    assert!(text.contains("Colour=red") && text.contains("SIMULATION_COMPONENT_NAME=shell"), "{text}");
    assert!(!text.contains("LAB_SECRET"), "{text}");
    let out = String::from_utf8_lossy(&done.stdout).into_owned();
    for pid in out
        .lines()
        .filter_map(|line| line.split_once("pid ")?.1.trim().parse().ok())
        .filter_map(Pid::from_raw)
    {
        // They were left to themselves; the test ends them with all that they have started.
        let _ = rustix::process::kill_process_group(pid, Signal::KILL);
    }
    let child =
        text.lines().find_map(|line| line.strip_prefix("child ")?.parse().ok()).and_then(Pid::from_raw);
    let child = child.expect("its child");
    wait_for("the end of the child", || (!is_alive(child)).then_some(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_external_component_joins_by_start() {
    let broker = RabbitMq::start().expect("RabbitMQ");
    let url = format!("amqp://guest:guest@127.0.0.1:{}", broker.port());
    let external = ["external_component.py", &url, "procem-management", "PythonLoad"];
    let (mut peer, _) = Peer::start(external[0], &external[1..]).await.expect("the peer");
    let manifest = "Name: PythonLoad\nType: external\nAttributes:\n    Size: {Optional: true, Default: 5}\n";
    let more = "    PythonLoad:\n        python_home: {Colour: [red, 2]}\n";
    let folder = Folder::new(&[("run.yml", &run_file(3, "0.01", more)), ("m/external.yml", manifest)]);
    let arguments = arguments(&broker, &["--wait", "--manifests", "m"]);
    let running = folder.start(&borrowed(&arguments));
    let report = peer.ask("report", json!({})).await.expect("its report");
    let (code, said) = tokio::task::spawn_blocking(|| running.end()).await.expect("its end");
    assert_eq!(code, 0, "{said}\n{report:#}");
    assert!(said.contains("python_home") && said.contains("external: it joins by Start"), "{said}");
    assert_eq!(
        report["start"]["ProcessParameters"]["PythonLoad"]["python_home"],
        json!({"Colour": ["red", 2], "Size": 5})
    );
    assert_eq!(report["start"], start_message(&folder.run()), "the file says what was published");
    assert_eq!(report["components"][0]["code"], 0, "{report:#}");
}
