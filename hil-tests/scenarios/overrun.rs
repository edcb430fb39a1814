//! What a component that takes longer than its epoch does to the grid of epoch instants, under each policy.

use crate::rig::Feeder;
use gridloop_clock::MonoTime;
use gridloop_component::{Component, Fault, Identity, OpenEpoch, Poke, Step};
use gridloop_hil_tests::world::{Run, World, simulated};
use gridloop_messages::{Message, topic};
use gridloop_realtime_manager::Outcome;
use std::time::Duration;

const PERIOD: Duration = Duration::from_secs(1);
/// What the component takes for its slow epoch.
const TAKES: Duration = Duration::from_millis(1400);
const SLOW_EPOCH: u64 = 3;

/// Takes its time in one epoch.
struct Slow;

impl Component for Slow {
    fn inputs(&self) -> Vec<String> {
        Vec::new()
    }

    fn take(&mut self, _: &str, _: &Message, _: MonoTime) -> Result<(), Fault> {
        Ok(())
    }

    fn step(&mut self, epoch: &OpenEpoch, now: MonoTime) -> Result<Step, Fault> {
        let done_at = epoch.opened_at + TAKES;
        let waits = epoch.number == SLOW_EPOCH && now < done_at;
        Ok(if waits { Step::WakeAt(done_at) } else { Step::Done(Vec::new()) })
    }
}

fn run(policy: &str) -> Run {
    let feeder = Feeder::with(&["2,pv1,3.0,0.0,,"]);
    let overrun = format!("manager.overrun=\"{policy}\"");
    let configuration = feeder.configuration(&[
        "simulation.epochs=6",
        "manager.external_components=[\"slow\"]",
        overrun.as_str(),
    ]);
    let run = simulated(|clock| async move {
        let world = World::new(&clock, 3);
        let identity = Identity {
            name: "slow".into(),
            simulation_id: world.id.clone(),
            manager: None,
            numbered_from: 0,
        };
        let joined =
            gridloop_component::join(Slow, identity, world.bus.session(), world.shared_clock()).await?;
        tokio::spawn(joined.run(Poke::new(), world.cancel.clone()));
        world.run(configuration).await
    });
    run.expect("a run")
}

/// When the epochs began, counted from the first.
fn starts(run: &Run) -> Vec<Duration> {
    let first = run.start_of(1);
    run.epochs().map(|(_, at)| at.since(first)).collect()
}

#[test]
fn stretch_waits_for_everybody_and_moves_the_grid() {
    let run = run("stretch");
    let report = &run.report.manager;
    assert_eq!((report.outcome, report.epochs.completed, report.epochs.late), (Outcome::Completed, 6, 1));
    let expected: Vec<_> = [0, 1000, 2000, 3400, 4400, 5400].map(Duration::from_millis).to_vec();
    assert_eq!(starts(&run), expected);
    assert_eq!(report.late_components.get("slow").map(|late| late.epochs), Some(1));
    assert!(run.report.missed_deadlines(), "a run that overran is not reported as a normal one");
}

#[test]
fn catching_up_waits_for_everybody_and_is_back_on_the_grid_with_the_next_epoch() {
    let run = run("catch-up 3");
    let report = &run.report.manager;
    // The epoch that overran, and the one that began late because of it.
    assert_eq!((report.outcome, report.epochs.completed, report.epochs.late), (Outcome::Completed, 6, 2));
    let expected: Vec<_> = [0, 1000, 2000, 3400, 4000, 5000].map(Duration::from_millis).to_vec();
    assert_eq!(starts(&run), expected);
    let late: Vec<_> = report.late_components.iter().map(|(name, late)| (name.as_str(), *late)).collect();
    let slow = gridloop_realtime_manager::Lateness { epochs: 1, longest_ms: Some(400.0) };
    assert_eq!(late, [("slow", slow)], "nobody is blamed for an epoch with less time than others");
    let told: Vec<_> = run.on(topic::EPOCH_OVERRUN).filter_map(|it| it.epoch()).collect();
    assert_eq!(told, [SLOW_EPOCH, SLOW_EPOCH], "at its end and when the answer came");
}

#[test]
fn skip_leaves_the_late_one_behind_and_keeps_the_grid() {
    let run = run("skip");
    let report = &run.report.manager;
    assert_eq!((report.outcome, report.epochs.completed, report.epochs.late), (Outcome::Completed, 6, 1));
    let expected: Vec<_> = (0..6).map(|number| PERIOD * number).collect();
    assert_eq!(starts(&run), expected);
    let late: Vec<_> =
        report.late_components.iter().map(|(name, late)| (name.as_str(), late.epochs)).collect();
    assert_eq!(late, [("slow", 1)], "named and counted, and nobody else");
    let ready: Vec<_> = run.on(topic::STATUS_READY).filter(|it| it.source() == "slow").collect();
    let epochs: Vec<_> = ready.iter().filter_map(|it| it.epoch()).collect();
    assert_eq!(epochs, [0, 1, 2, 4, 5, 6], "it goes on with the next epoch instead of the one that is over");
    assert!(run.report.missed_deadlines());
}

#[test]
fn abort_fails_at_the_end_of_the_epoch_and_names_the_late_one() {
    let run = run("abort");
    let report = &run.report.manager;
    assert_eq!((report.outcome, report.epochs.completed), (Outcome::Failed, 2));
    assert!(report.reason.contains("slow"), "{}", report.reason);
    assert_eq!(starts(&run).len(), 3);
    let stopped = run.on(topic::SIM_STATE).last().expect("a last word");
    assert_eq!(stopped.at, run.start_of(SLOW_EPOCH) + PERIOD);
    assert_eq!(run.device("pv1").left, "released", "the devices are released all the same");
}
