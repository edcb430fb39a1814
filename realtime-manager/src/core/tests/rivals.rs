//! Fault F32: two managers for one run.

use super::*;

fn rival() -> Rival {
    Rival { name: "manager".into(), sent: "Epoch" }
}

#[test]
fn another_manager_heard_before_the_first_word_keeps_the_run_and_nothing_is_said() {
    let mut rig = Rig::started(Settings { start_delay: S * 10, ..settings() });
    rig.give(Input::Rival(rival()));
    assert_eq!(rig.ending, Some(Ending::AnotherManager(rival())));
    assert_eq!((rig.wire.len(), rig.timer), (0, None));
    assert_eq!(rig.ending.unwrap().outcome(), crate::Outcome::Failed);
}

#[test]
fn another_manager_heard_later_is_noted_and_the_run_goes_on() {
    let mut rig = Rig::started(settings());
    rig.give(Input::Rival(rival()));
    rig.both_ready(0);
    rig.give(Input::Rival(rival()));
    assert_eq!(rig.notes, [Note::AnotherManager(rival()), Note::AnotherManager(rival())]);
    assert!(rig.collects(1));
}

#[test]
fn a_lost_lease_ends_the_work_without_a_word_about_the_run() {
    let mut rig = Rig::started(settings());
    rig.both_ready(0);
    let said = rig.wire.len();
    rig.give(Input::Stop(Ending::LeaseLost));
    assert_eq!((rig.wire.len(), rig.ending.clone()), (said, Some(Ending::LeaseLost)));
}
