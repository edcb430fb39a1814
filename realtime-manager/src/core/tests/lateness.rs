//! Who is late, by how much and in which epoch, and who has time left.

use super::*;

fn late(rig: &Rig) -> Vec<(String, u64, u128)> {
    let late = |progress: &Progress| match progress {
        Progress::ComponentLate { component, epoch, by } => Some((component.clone(), *epoch, by.as_millis())),
        _ => None,
    };
    rig.progress.iter().filter_map(late).collect()
}

#[test]
fn the_missing_are_named_on_the_bus_at_the_end_of_the_epoch_and_each_again_when_it_answers() {
    let mut rig = Rig::started(paced(Overrun::Stretch));
    rig.both_ready(0);
    rig.instant(Duration::ZERO);
    assert_eq!(rig.last(), "Clock-3 overran1 A, B");
    rig.now = rig.now + MS * 250;
    rig.ready("B", 1);
    assert_eq!(rig.last(), "Clock-4 overran1 B by 0.25");
    rig.now = rig.now + MS * 50;
    rig.ready("A", 1);
    assert_eq!(rig.wire[4..], ["Clock-5 overran1 A by 0.3", "Clock-6 ep2 trig[B-1,A-1]"]);
    assert_eq!(late(&rig), [("B".to_owned(), 1, 250), ("A".to_owned(), 1, 300)]);
}

#[test]
fn who_was_left_behind_is_told_of_when_it_answers_epochs_later() {
    let mut rig = Rig::started(Settings { epochs: 10, ..paced(Overrun::Skip) });
    rig.both_ready(0);
    for epoch in 1..=3 {
        rig.ready("A", epoch);
        rig.instant(Duration::ZERO);
    }
    rig.now = rig.now + MS * 100;
    rig.ready("B", 1);
    assert_eq!(late(&rig), [("B".to_owned(), 1, 2100)]);
    rig.ready("B", 3);
    let expected = [("B".to_owned(), 1, 2100), ("B".to_owned(), 2, 1100), ("B".to_owned(), 3, 100)];
    assert_eq!(late(&rig), expected, "an answer to epoch 3 answers epoch 2 as well");
    rig.ready("B", 3);
    assert_eq!(late(&rig).len(), 3, "each is told once");
}

#[test]
fn an_end_that_the_manager_itself_notices_late_hides_nobody_and_blames_nobody_who_may_have_been_in_time() {
    let said = |slack_s| Status { slack_s, ..READY };
    let mut rig = Rig::started(Settings {
        components: ["A", "B", "C"].map(String::from).to_vec(),
        ..paced(Overrun::Skip)
    });
    for name in ["A", "B", "C"] {
        rig.ready(name, 0);
    }
    rig.now = rig.now + MS * 1400;
    rig.status("A", 1, "A-1", said(Some(-0.3)));
    rig.status("B", 1, "B-1", said(Some(0.2)));
    rig.status("C", 1, "C-1", said(None));
    assert_eq!(late(&rig), [("A".to_owned(), 1, 400)]);
    assert_eq!(rig.wire[2..], ["Clock-3 overran1 A", "Clock-4 overran1 A by 0.4"]);
    rig.instant(Duration::ZERO);
    assert!(rig.collects(2));
}

#[test]
fn a_component_that_never_answers_fills_no_memory() {
    let mut rig = Rig::started(Settings { epochs: 1000, ..paced(Overrun::Skip) });
    rig.both_ready(0);
    for epoch in 1..500 {
        rig.ready("A", epoch);
        rig.instant(Duration::ZERO);
    }
    rig.ready("B", 499);
    assert_eq!(late(&rig).len(), 64);
}

#[test]
fn time_left_is_told_for_each_punctual_answer_of_a_paced_run_once() {
    let mut rig = Rig::started(paced(Overrun::Stretch));
    rig.both_ready(0);
    rig.now = rig.now + MS * 300;
    rig.ready("B", 1);
    rig.ready("B", 1);
    rig.instant(Duration::ZERO);
    rig.now = rig.now + MS;
    rig.ready("A", 1);
    assert_eq!(rig.answered, [(1, MS * 700)]);
    let mut unpaced = Rig::started(settings());
    unpaced.both_ready(0);
    unpaced.both_ready(1);
    assert_eq!(unpaced.answered, []);
}

#[test]
fn the_epoch_message_says_how_it_lies_in_wall_clock_time() {
    let mut rig = Rig::started(paced(Overrun::Stretch));
    rig.now = rig.now + Duration::from_micros(125);
    rig.both_ready(0);
    rig.both_ready(1);
    rig.instant(MS * 3);
    let pacing = |message: &Message| match &message.body {
        Body::Epoch(epoch) => epoch.pacing.clone().unwrap(),
        other => panic!("{other:?}"),
    };
    let told: Vec<_> = rig.published[1..]
        .iter()
        .map(|message| pacing(message))
        .map(|pacing| (pacing.nominal_start.to_string(), pacing.deadline.to_string(), pacing.speed))
        .collect();
    let at = |seconds: u8| format!("2024-03-01T08:00:0{seconds}.000125Z");
    assert_eq!(told, [(at(0), at(1), 3600.0), (at(1), at(2), 3600.0)]);
    let mut unpaced = Rig::started(settings());
    unpaced.both_ready(0);
    let Body::Epoch(epoch) = &unpaced.published[1].body else { panic!("an epoch") };
    assert_eq!(epoch.pacing, None);
}

#[test]
fn labels_are_counted_from_one_anchor_whatever_happens_to_utc() {
    let mut rig = Rig::started(paced(Overrun::Stretch));
    rig.both_ready(0);
    // UTC is set an hour back: the rig's UTC follows its clock, so the core is told of another by hand.
    let stepped =
        |rig: &Rig| Present { utc: rig.present().utc - chrono::TimeDelta::hours(1), ..rig.present() };
    for (source, epoch) in [("A", 1), ("B", 1)] {
        let mut out = Vec::new();
        let message = message(source, epoch, &format!("{source}-{epoch}"), READY);
        rig.core.handle(Input::Message(message), stepped(&rig), &mut out);
        out.into_iter().for_each(|action| rig.perform(action));
    }
    let instant = rig.awaited.take().unwrap();
    rig.now = instant;
    let mut out = Vec::new();
    rig.core.handle(Input::Instant(instant), stepped(&rig), &mut out);
    out.into_iter().for_each(|action| rig.perform(action));
    assert_eq!(rig.published[2].header.timestamp, timestamp("2024-03-01T08:00:01.000Z"));
}
