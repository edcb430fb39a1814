//! A run that is ended early: the devices first, and one word to everybody.

use crate::rig::Feeder;
use gridloop_clock::{MonoTime, sleep};
use gridloop_hil_tests::world::{Call, Mishap, Run, World, honest, simulated, spoil};
use gridloop_messages::{Body, SimulationState, topic};
use gridloop_realtime_manager::Outcome;
use std::time::Duration;

const STOP_AFTER: Duration = Duration::from_millis(4300);

fn stopped_messages(run: &Run) -> usize {
    let stopped =
        |body: &Body| matches!(body, Body::SimState(it) if it.simulation_state == SimulationState::Stopped);
    run.on(topic::SIM_STATE).filter(|heard| stopped(heard.body())).count()
}

fn stop_early(plan: gridloop_hil_tests::world::Plan) -> (Run, gridloop_hil_tests::world::Ledger, MonoTime) {
    let feeder = Feeder::with(&["2,pv1,3.0,0.0,,", "3,oltc1,,,6,"]);
    let mut configuration = feeder.configuration(&[]);
    let ledger = spoil(&mut configuration, "pv1", plan);
    let (run, ended) = simulated(|clock| async move {
        let world = World::new(&clock, 4);
        let cancel = world.cancel.clone();
        let waiting = clock.clone();
        tokio::spawn(async move {
            sleep(&waiting, STOP_AFTER).await;
            cancel.cancel();
        });
        let run = world.run(configuration).await;
        (run, gridloop_clock::Clock::now(&clock))
    });
    (run.expect("a run"), ledger, ended)
}

#[test]
fn a_stop_in_mid_epoch_releases_the_devices_and_says_so_once() {
    let (run, ledger, ended) = stop_early(honest());
    let report = &run.report;
    assert_eq!(
        (report.manager.outcome, report.manager.reason.as_str()),
        (Outcome::Stopped, "stopped on request")
    );
    assert_eq!(stopped_messages(&run), 1);
    assert_eq!(ledger.took().len(), 1);
    assert!(ledger.is_released());
    assert_eq!(run.device("pv1").left, "released");
    assert_eq!(run.device("pv2").left, "untouched");
    assert_eq!(run.device("oltc1").left, "holding its last command, as configured");
    assert!(report.is_sound());
    assert_eq!(ended, MonoTime::default() + STOP_AFTER, "nobody had to be waited for");
    let last = run.messages.last().expect("messages");
    assert_eq!(&*last.topic, topic::SIM_STATE, "nothing is said after the end");
}

#[test]
fn a_device_that_cannot_be_released_is_said_to_be_in_an_unknown_state_and_holds_nobody_up_for_long() {
    let never = Box::new(|call, _| (call == Call::Release).then_some(Mishap::Hang { done: false }));
    let (run, ledger, ended) = stop_early(never);
    assert!(!ledger.is_released());
    assert!(run.device("pv1").left.starts_with("unknown: "), "{}", run.device("pv1").left);
    assert!(!run.report.is_sound(), "such a run is not reported as a sound one");
    assert_eq!(run.report.manager.outcome, Outcome::Stopped);
    assert_eq!(stopped_messages(&run), 1);
    // Two seconds, and the time for which a write that was given up may still take effect.
    let bound = MonoTime::default() + STOP_AFTER + Duration::from_secs(10);
    assert!(ended <= bound, "the end took until {ended:?}");
}
