//! The rules of following and ending a run, in simulated time.

use super::*;
use crate::platform::plan::Launch;
use crate::platform::surroundings::Topics;
use gridloop_realtime_manager::Outcome;
use serde_json::json;

const ID: &str = "2026-11-22T15:19:25.203Z";

/// A run of two components and two epochs: log_writer, home1, home2 and the manager Clock are processes 0 to 3.
struct Rig {
    watch: Watch,
    now: MonoTime,
    messages: u32,
}

impl Rig {
    fn new() -> Self {
        let now = MonoTime::from_nanos(1_000_000_000);
        Self { watch: Watch::new(&plan(), now), now, messages: 0 }
    }

    fn say(&mut self, body: serde_json::Value) -> Vec<Action> {
        self.messages += 1;
        let mut body = body;
        body["SimulationId"] = json!(ID);
        body["Timestamp"] = json!(ID);
        body["MessageId"] = json!(format!("m-{}", self.messages));
        self.watch.handle(Input::Message(body.to_string().as_bytes()), self.now)
    }

    fn state(&mut self, state: &str) -> Vec<Action> {
        self.say(json!({"Type": "SimState", "SourceProcessId": "Clock", "SimulationState": state}))
    }

    fn epoch(&mut self, number: u64) -> Vec<Action> {
        self.say(json!({
            "Type": "Epoch", "SourceProcessId": "Clock", "EpochNumber": number, "TriggeringMessageIds": ["x"],
            "StartTime": "2026-01-01T00:00:00.000Z", "EndTime": "2026-01-01T00:15:00.000Z",
        }))
    }

    fn ready(&mut self, who: &str, epoch: u64) -> Vec<Action> {
        self.say(json!({
            "Type": "Status", "SourceProcessId": who, "EpochNumber": epoch, "TriggeringMessageIds": ["x"],
            "Value": "ready",
        }))
    }

    fn exit(&mut self, index: usize, ended: Ended) -> Vec<Action> {
        self.watch.handle(Input::Exited(Exit { index, ended }), self.now)
    }

    fn stop(&mut self) -> Vec<Action> {
        self.watch.handle(Input::StopAsked, self.now)
    }

    /// Lets time pass as the loop does: from one due instant to the next.
    fn pass(&mut self, seconds: u64) -> Vec<Action> {
        let end = self.now + Duration::from_secs(seconds);
        let mut actions = Vec::new();
        while let Some(due) = self.watch.due().filter(|due| *due <= end) {
            assert!(due >= self.now || actions.len() < 100, "it does not come to rest: {actions:?}");
            self.now = self.now.max(due);
            let done = self.watch.handle(Input::Tick, self.now);
            if done.is_empty() && self.watch.due() == Some(due) {
                panic!("due at {due:?}, but nothing is done then");
            }
            actions.extend(done);
        }
        self.now = end;
        actions
    }

    fn whole_run(&mut self) {
        self.state("running");
        for epoch in 0..=2 {
            if epoch > 0 {
                self.epoch(epoch);
            }
            self.ready("home1", epoch);
            self.ready("home2", epoch);
        }
        self.state("stopped");
    }

    fn all_end_well(&mut self) {
        for index in 0..4 {
            self.exit(index, Ended::Code(0));
        }
    }
}

fn plan() -> Plan {
    let launch = |(name, role): (&str, Role)| Launch {
        name: name.into(),
        role,
        component_type: "Any".into(),
        image: None,
        command: None,
        environment: Vec::new(),
        folder: ".".into(),
        manifest_folder: ".".into(),
    };
    let processes = [
        ("log_writer", Role::LogWriter),
        ("home1", Role::Component),
        ("home2", Role::Component),
        ("Clock", Role::Manager),
    ];
    Plan {
        simulation_id: SimulationId::parse(ID).expect("an id"),
        name: "a run".into(),
        exchange: "procem.x".into(),
        epochs: 2,
        components: vec!["home1".into(), "home2".into()],
        manager: "Clock".into(),
        launches: processes.map(launch).into(),
        externals: Vec::new(),
        topics: Topics {
            sim_state: "SimState".into(),
            epoch: "Epoch".into(),
            ready: "Status.Ready".into(),
            error: "Status.Error".into(),
        },
        start: json!({}),
        remarks: Vec::new(),
    }
}

fn lines(actions: &[Action]) -> Vec<String> {
    let line = |action: &Action| match action {
        Action::Tell(Told::Line(line)) => Some(line.clone()),
        _ => None,
    };
    actions.iter().filter_map(line).collect()
}

fn progress(actions: &[Action]) -> Vec<Progress> {
    let told = |action: &Action| match action {
        Action::Tell(Told::Progress(progress)) => Some(progress.clone()),
        _ => None,
    };
    actions.iter().filter_map(told).collect()
}

#[test]
fn a_run_that_everybody_answers_to_the_end_is_completed() {
    let mut rig = Rig::new();
    let told = rig.state("running");
    assert_eq!(progress(&told), [Progress::Running { missing: vec!["home1".into(), "home2".into()] }]);
    rig.ready("home1", 0);
    rig.ready("home2", 0);
    rig.epoch(1);
    rig.now = rig.now + Duration::from_millis(7);
    rig.ready("home2", 1);
    let told = rig.ready("home1", 1);
    let turnaround = Duration::from_millis(7);
    assert_eq!(progress(&told), [Progress::EpochCompleted { number: 1, turnaround, missing: Vec::new() }]);
    rig.epoch(2);
    rig.ready("home1", 2);
    rig.ready("home2", 2);
    rig.state("stopped");
    assert!(!rig.watch.is_over(), "processes still run");
    rig.all_end_well();
    assert!(rig.watch.is_over());
    let verdict = rig.watch.verdict();
    assert_eq!((verdict.outcome, verdict.completed), (Outcome::Completed, 2));
}

#[test]
fn ends_that_are_heard_of_just_before_stopped_are_explained_by_it() {
    let mut rig = Rig::new();
    rig.state("running");
    for epoch in 0..=2 {
        if epoch > 0 {
            rig.epoch(epoch);
        }
        rig.ready("home1", epoch);
        rig.ready("home2", epoch);
    }
    assert_eq!(rig.exit(3, Ended::Code(0)), []);
    assert_eq!(rig.exit(1, Ended::Code(0)), []);
    assert_eq!(rig.state("stopped"), []);
    rig.exit(0, Ended::Code(0));
    rig.exit(2, Ended::Code(0));
    assert!(rig.watch.is_over());
    assert_eq!(rig.watch.verdict().outcome, Outcome::Completed);
}

#[test]
fn a_component_that_dies_is_told_of_and_ends_the_run_by_way_of_the_manager() {
    let mut rig = Rig::new();
    rig.state("running");
    rig.ready("home1", 0);
    rig.ready("home2", 0);
    rig.epoch(1);
    rig.exit(1, Ended::Signal(9));
    let done = rig.pass(1);
    assert!(
        done.contains(&Action::Tell(Told::Died { index: 1, name: "home1".into(), ended: Ended::Signal(9) })),
        "{done:?}"
    );
    assert!(done.contains(&Action::Terminate(3)), "{done:?}");
    assert!(!done.contains(&Action::PublishStopped), "the manager says it itself");
    rig.state("stopped");
    rig.exit(3, Ended::Code(0));
    rig.exit(2, Ended::Code(0));
    rig.exit(0, Ended::Code(0));
    let verdict = rig.watch.verdict();
    assert_eq!(verdict.outcome, Outcome::Failed);
    assert_eq!(verdict.reason, "home1 was killed (signal 9) in epoch 1 of 2");
}

#[test]
fn a_manager_that_dies_is_spoken_for() {
    let mut rig = Rig::new();
    rig.state("running");
    rig.exit(3, Ended::Signal(11));
    let done = rig.pass(1);
    assert!(
        done.contains(&Action::Tell(Told::Died { index: 3, name: "Clock".into(), ended: Ended::Signal(11) })),
        "{done:?}"
    );
    assert_eq!(done.iter().filter(|action| **action == Action::PublishStopped).count(), 1, "{done:?}");
    for index in 0..3 {
        rig.exit(index, Ended::Code(0));
    }
    assert!(rig.watch.is_over());
    assert!(rig.watch.verdict().reason.starts_with("Clock was ended by signal 11"));
}

#[test]
fn a_stop_goes_to_the_manager_and_the_others_end_by_its_word() {
    let mut rig = Rig::new();
    rig.state("running");
    let done = rig.stop();
    assert!(done.contains(&Action::Terminate(3)), "{done:?}");
    assert!(!done.iter().any(|action| matches!(action, Action::Terminate(0..=2) | Action::Kill(_))));
    rig.state("stopped");
    rig.all_end_well();
    let verdict = rig.watch.verdict();
    assert_eq!(
        (verdict.outcome, verdict.reason.as_str()),
        (Outcome::Stopped, "stopped on request in epoch 0 of 2")
    );
}

#[test]
fn a_manager_that_ends_by_the_signal_without_a_word_is_spoken_for_and_the_run_is_stopped_not_failed() {
    let mut rig = Rig::new();
    rig.state("running");
    rig.stop();
    rig.exit(3, Ended::Signal(15));
    let done = rig.pass(1);
    assert!(done.contains(&Action::PublishStopped), "{done:?}");
    assert!(!done.iter().any(|action| matches!(action, Action::Tell(Told::Died { .. }))), "{done:?}");
    for index in 0..3 {
        rig.exit(index, Ended::Code(0));
    }
    assert_eq!(rig.watch.verdict().outcome, Outcome::Stopped);
}

#[test]
fn a_manager_that_does_not_react_is_spoken_for_after_a_while_and_killed() {
    let mut rig = Rig::new();
    rig.state("running");
    rig.stop();
    let done = rig.pass(14);
    assert!(!done.contains(&Action::PublishStopped), "{done:?}");
    let done = rig.pass(1);
    assert!(done.contains(&Action::PublishStopped), "{done:?}");
    for index in 0..3 {
        rig.exit(index, Ended::Code(0));
    }
    let done = rig.pass(10);
    assert!(done.contains(&Action::Kill(3)), "{done:?}");
    rig.exit(3, Ended::Signal(9));
    assert!(rig.watch.is_over());
    assert_eq!(rig.watch.verdict().outcome, Outcome::Stopped);
}

#[test]
fn whoever_does_not_end_after_stopped_is_asked_and_then_killed_the_log_writer_last() {
    let mut rig = Rig::new();
    rig.whole_run();
    rig.exit(3, Ended::Code(0));
    rig.exit(2, Ended::Code(0));
    let waiting = Told::Line("waiting for log_writer, home1 to end; see the logs".into());
    assert_eq!(rig.pass(14), [Action::Tell(waiting)]);
    assert!(rig.pass(1).contains(&Action::Terminate(1)));
    assert!(rig.pass(5).contains(&Action::Kill(1)));
    rig.exit(1, Ended::Signal(9));
    assert_eq!(rig.pass(69), [], "the Log Writer has time to write what it has");
    assert!(rig.pass(1).contains(&Action::Terminate(0)));
    assert!(rig.pass(5).contains(&Action::Kill(0)));
    rig.exit(0, Ended::Signal(9));
    assert!(rig.watch.is_over());
    let verdict = rig.watch.verdict();
    assert_eq!(verdict.outcome, Outcome::Failed, "its record is doubtful");
    assert!(verdict.reason.contains("but log_writer was killed"), "{}", verdict.reason);
}

#[test]
fn a_log_writer_that_gives_up_when_it_is_asked_is_told_of_with_its_last_words() {
    let mut rig = Rig::new();
    rig.whole_run();
    for index in 1..4 {
        rig.exit(index, Ended::Code(0));
    }
    assert!(rig.pass(90).contains(&Action::Terminate(0)));
    let done = rig.exit(0, Ended::Code(1));
    assert!(
        done.iter().any(|action| matches!(action, Action::Tell(Told::Died { index: 0, .. }))),
        "{done:?}"
    );
    assert!(rig.watch.verdict().reason.contains("but log_writer ended with exit code 1"));
}

#[test]
fn asked_a_second_time_everything_is_killed_and_others_outside_are_told() {
    let mut rig = Rig::new();
    rig.state("running");
    rig.stop();
    let done = rig.stop();
    assert!(done.contains(&Action::PublishStopped), "{done:?}");
    for index in 0..4 {
        assert!(done.contains(&Action::Kill(index)), "{done:?}");
    }
    for index in 0..4 {
        rig.exit(index, Ended::Signal(9));
    }
    assert!(rig.watch.is_over());
}

#[test]
fn an_error_that_a_component_reports_is_the_reason_of_the_end() {
    let mut rig = Rig::new();
    rig.state("running");
    let told = rig.say(json!({
        "Type": "Status", "SourceProcessId": "home2", "EpochNumber": 0, "TriggeringMessageIds": ["x"],
        "Value": "error", "Description": "no such file",
    }));
    assert_eq!(lines(&told), ["home2 reports an error: no such file"]);
    rig.state("stopped");
    rig.all_end_well();
    let verdict = rig.watch.verdict();
    assert_eq!(verdict.outcome, Outcome::Failed);
    assert_eq!(verdict.reason, "home2 reported an error in epoch 0 of 2: no such file");
}

#[test]
fn who_is_missing_is_told_once_when_an_epoch_lasts() {
    let mut rig = Rig::new();
    rig.state("running");
    rig.ready("home1", 0);
    assert_eq!(lines(&rig.pass(11)), ["still waiting for home2 to be ready"]);
    assert_eq!(rig.pass(100), []);
    rig.ready("home2", 0);
    rig.epoch(1);
    assert_eq!(lines(&rig.pass(11)), ["epoch 1: still waiting for home1, home2"]);
}

#[test]
fn a_manager_of_which_nothing_is_heard_is_told_of_once() {
    let mut rig = Rig::new();
    assert_eq!(lines(&rig.pass(61)), ["nothing has been heard of Clock for 60 s; see its log"]);
    assert_eq!(rig.pass(1000), []);
}

#[test]
fn an_epoch_that_is_sent_again_is_told_with_who_is_missing() {
    let mut rig = Rig::new();
    rig.state("running");
    rig.ready("home1", 0);
    let missing = vec!["home2".to_owned()];
    let told = rig.state("running");
    assert_eq!(progress(&told), [Progress::Resent { number: 0, attempt: 1, missing: missing.clone() }]);
    let told = rig.state("running");
    assert_eq!(progress(&told), [Progress::Resent { number: 0, attempt: 2, missing }]);
}

#[test]
fn what_is_not_of_this_run_or_not_by_its_manager_changes_nothing() {
    let mut rig = Rig::new();
    let now = rig.now;
    let stranger = json!({"Type": "SimState", "SourceProcessId": "Eve", "SimulationState": "stopped"});
    assert_eq!(rig.say(stranger), []);
    let other_run = json!({
        "Type": "SimState", "SourceProcessId": "Clock", "SimulationState": "stopped", "MessageId": "a",
        "SimulationId": "2020-01-01T00:00:00.000Z", "Timestamp": ID,
    });
    assert_eq!(rig.watch.handle(Input::Message(other_run.to_string().as_bytes()), now), []);
    assert_eq!(rig.watch.handle(Input::Message(b"\xff{"), now), []);
    rig.state("running");
    assert!(!rig.watch.is_over());
}

#[test]
fn a_manager_that_gives_up_before_the_end_has_failed_and_who_was_missing_is_named() {
    let mut rig = Rig::new();
    rig.state("running");
    rig.ready("home1", 0);
    rig.state("stopped");
    rig.all_end_well();
    let verdict = rig.watch.verdict();
    assert_eq!(verdict.outcome, Outcome::Failed);
    assert_eq!(verdict.reason, "Clock ended the run in epoch 0 of 2; not ready: home2");
}
