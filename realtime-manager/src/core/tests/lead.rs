//! A release lead: Epochs are published before their instants.

use super::*;

fn leading(overrun: Overrun) -> Settings {
    Settings { release_lead: MS * 20, epochs: 10, ..paced(overrun) }
}

fn nominal_start(message: &Message) -> String {
    match &message.body {
        Body::Epoch(epoch) => epoch.pacing.as_ref().unwrap().nominal_start.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_epoch_leaves_by_the_lead_before_its_instant_and_names_the_instant() {
    let mut rig = Rig::started(leading(Overrun::Stretch));
    let began = rig.now;
    rig.both_ready(0);
    assert_eq!(rig.starts[0].release, Some(began), "the first leaves at once");
    assert_eq!(nominal_start(&rig.published[1]), "2024-03-01T08:00:00.020000Z");
    assert_eq!(rig.awaited, Some(began + S), "answers must be there when the next one leaves");
    rig.both_ready(1);
    rig.instant(MS);
    assert_eq!(rig.starts[1].release, Some(began + S));
    assert_eq!(rig.starts[1].nominal, Some(began + S + MS * 20));
    assert_eq!(nominal_start(&rig.published[2]), "2024-03-01T08:00:01.020000Z");
}

#[test]
fn an_aligned_start_is_the_instant_not_the_release() {
    let mut rig = Rig::started(Settings { start_at: StartAt::Aligned(S * 60), ..leading(Overrun::Stretch) });
    rig.now = rig.now + S * 30;
    rig.both_ready(0);
    assert_eq!(rig.awaited, Some((rig.now + S * 30).before(MS * 20)));
    rig.instant(Duration::ZERO);
    assert_eq!(nominal_start(&rig.published[1]), "2024-03-01T08:01:00.000000Z");
}

#[test]
fn an_aligned_start_that_is_too_near_for_the_lead_is_the_one_after_it() {
    let mut rig = Rig::started(Settings { start_at: StartAt::Aligned(S * 60), ..leading(Overrun::Stretch) });
    rig.now = (rig.now + S * 60).before(MS * 5);
    rig.both_ready(0);
    assert_eq!(rig.awaited, Some(rig.now + MS * 5 + S * 60).map(|instant| instant.before(MS * 20)));
    rig.instant(Duration::ZERO);
    assert_eq!(nominal_start(&rig.published[1]), "2024-03-01T08:02:00.000000Z");
}

#[test]
fn an_overrun_with_a_lead_moves_the_grid_by_what_was_late_and_keeps_the_lead() {
    let mut rig = Rig::started(leading(Overrun::Stretch));
    rig.both_ready(0);
    let began = rig.now;
    rig.ready("A", 1);
    rig.instant(Duration::ZERO);
    rig.now = rig.now + MS * 300;
    rig.ready("B", 1);
    assert_eq!(rig.starts[1].release, Some(began + MS * 1300));
    assert_eq!(rig.starts[1].nominal, Some(began + MS * 1320));
    assert_eq!(rig.awaited, Some(began + MS * 2300));
}

#[test]
fn skip_and_catch_up_keep_the_grid_with_a_lead() {
    for overrun in [Overrun::Skip, Overrun::CatchUp(3)] {
        let mut rig = Rig::started(leading(overrun));
        rig.both_ready(0);
        let began = rig.now;
        for epoch in 1..9 {
            if epoch != 4 {
                rig.both_ready(epoch);
            } else {
                rig.ready("A", 4);
            }
            rig.instant(Duration::ZERO);
            if epoch == 4 && overrun != Overrun::Skip {
                rig.ready("B", 4);
            }
        }
        for start in &rig.starts {
            let nominal = start.nominal.unwrap().since(began + MS * 20);
            assert_eq!(nominal.as_millis() % 1000, 0, "{overrun:?} {start:?}");
        }
    }
}
