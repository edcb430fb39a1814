//! Setpoints as they must not be: every one is refused or moved to a limit, says so on the result of its epoch, and
//! reaches the device at most once.

use crate::rig::{Feeder, PV1, PV1_POWER};
use bytes::Bytes;
use gridloop_clock::MonoTime;
use gridloop_device::Command;
use gridloop_hil_tests::world::{Author, Ledger, Run, World, at_epochs, honest, simulated, spoil};
use gridloop_messages::{Body, TapPosition};
use gridloop_realtime_manager::Outcome;

/// Runs a feeder without an operator. `make` says which messages are sent when which epoch begins.
fn run(
    overrides: &[&str],
    make: impl FnOnce(&mut Author) -> Vec<(u64, &'static str, Bytes)>,
) -> (Run, Ledger) {
    let feeder = Feeder::with(&["1,nobody,1.0,0.0,,"]);
    let mut configuration = feeder.configuration(overrides);
    let ledger = spoil(&mut configuration, "pv1", honest());
    let run = simulated(|clock| async move {
        let world = World::new(&clock, 8);
        let messages = make(&mut Author::new("abuser", &world));
        let messages = messages.into_iter().map(|(epoch, topic, body)| (epoch, topic.to_owned(), body));
        let sending = at_epochs(&world, messages.collect()).await?;
        let run = world.run(configuration).await;
        sending.abort();
        run
    });
    let run = run.expect("a run");
    assert_eq!(run.report.manager.outcome, Outcome::Completed, "{}", run.report.manager.reason);
    assert_eq!(run.report.manager.epochs.late, 0);
    (run, ledger)
}

fn kilowatts(ledger: &Ledger) -> Vec<f64> {
    let power = |(_, command)| match command {
        Command::Power { real_power_w, .. } => real_power_w / 1000.0,
        other => panic!("the inverter was told {other:?}"),
    };
    ledger.took().into_iter().map(power).collect()
}

fn warned_epochs(run: &Run, beginning: &str) -> Vec<u64> {
    run.on(PV1)
        .filter(|it| it.warns_of(beginning))
        .filter_map(gridloop_hil_tests::world::Heard::epoch)
        .collect()
}

fn altered(body: &Bytes, from: &str, to: &str) -> Bytes {
    let text = String::from_utf8(body.to_vec()).expect("text");
    assert!(text.contains(from), "{text} has no {from}");
    text.replace(from, to).into()
}

#[test]
fn out_of_range_is_moved_to_the_limit_with_a_warning_on_that_epoch_and_never_wraps() {
    let values = [6.0, 65_536.5, 1e300, -1.0, -70_000.0];
    let (run, ledger) = run(&[], |author| {
        (2..).zip(values).map(|(epoch, kw)| (epoch, PV1_POWER, author.power(epoch, kw))).collect()
    });
    assert_eq!(
        kilowatts(&ledger),
        [5.0, 0.0],
        "the nearer limit each time, and a repeated one is written once"
    );
    assert_eq!(warned_epochs(&run, "warning.input-range"), [2, 3, 4, 5, 6]);
    assert_eq!(run.device("pv1").clamped, 5);
}

#[test]
fn out_of_range_is_refused_where_the_configuration_says_so() {
    let (run, ledger) = run(&["device.pv1.limits.when_outside=\"refuse\""], |author| {
        vec![(2, PV1_POWER, author.power(2, 2.0)), (4, PV1_POWER, author.power(4, 5.001))]
    });
    assert_eq!(kilowatts(&ledger), [2.0], "the setpoint in force stays in force");
    assert_eq!(warned_epochs(&run, "warning.input"), [4]);
    assert_eq!(warned_epochs(&run, "warning.other"), [5], "what is refused keeps no device alive");
    assert!(run.one(PV1, 5).warnings()[0].contains("no newer setpoint"), "{:?}", run.one(PV1, 5).warnings());
    assert_eq!((run.device("pv1").refused, run.device("pv1").clamped), (1, 0));
}

#[test]
fn what_is_no_number_no_kilowatt_or_no_message_is_refused_with_a_warning_on_that_epoch() {
    let (run, ledger) = run(&[], |author| {
        let sound = author.power(2, 1.5);
        let bodies = [
            altered(&sound, "1.5", "NaN"),
            altered(&author.power(3, 1.5), "1.5", "1e999"),
            altered(&author.power(4, 1.5), "\"kW\"", "\"W\""),
            altered(&author.power(5, 1.5), "\"kW\"", "\"MW\""),
            Bytes::from_static(b"\xff\xfe garbage \0"),
            Bytes::from_static(b"{}"),
            altered(&author.power(8, 1.5), "1.5", "\"1.5 or so\""),
            Bytes::from("[".repeat(100_000)),
        ];
        (2..).zip(bodies).map(|(epoch, body)| (epoch, PV1_POWER, body)).collect()
    });
    assert!(ledger.took().is_empty(), "{:?}", ledger.took());
    assert_eq!(warned_epochs(&run, "warning.input"), [2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(run.device("pv1").refused, 8);
}

#[test]
fn a_command_of_a_kind_that_the_device_does_not_know_is_refused_with_a_warning() {
    let topic = "ControlState.TapPosition.pv1";
    let (run, ledger) = run(&[], |author| {
        vec![(3, topic, author.write(3, Body::TapPosition(TapPosition { tap_position: 4 })))]
    });
    assert!(ledger.took().is_empty());
    assert_eq!(warned_epochs(&run, "warning.input"), [3]);
}

#[test]
fn setpoints_for_an_unknown_resource_are_counted_and_change_nothing() {
    let topic = "ControlState.PowerSetpoint.pv11";
    let (run, ledger) =
        run(&[], |author| vec![(2, topic, author.power(2, 1.0)), (3, topic, author.power(3, 1.0))]);
    let strays: Vec<_> =
        run.report.setpoints_for_nobody.iter().map(|(topic, n)| (topic.as_str(), *n)).collect();
    // The operator's own file names a resource that nobody has, in each of the ten epochs.
    assert_eq!(strays, [("ControlState.PowerSetpoint.nobody", 10), (topic, 2)]);
    assert!(ledger.took().is_empty());
    assert!(warned_epochs(&run, "warning").is_empty());
}

#[test]
fn a_setpoint_of_an_old_epoch_is_refused_with_a_warning() {
    let (run, ledger) =
        run(&[], |author| vec![(5, PV1_POWER, author.power(5, 2.0)), (6, PV1_POWER, author.power(3, 4.0))]);
    assert_eq!(kilowatts(&ledger), [2.0]);
    assert_eq!(warned_epochs(&run, "warning.input"), [6]);
    assert_eq!(warned_epochs(&run, "warning.other"), [8], "the old one does not put the dead-man timer off");
    assert!(run.one(PV1, 6).warnings()[0].contains("epoch 3"), "{:?}", run.one(PV1, 6).warnings());
}

#[test]
fn a_setpoint_of_a_future_epoch_is_held_until_then_and_holds_from_then_on() {
    let (run, ledger) = run(&[], |author| vec![(1, PV1_POWER, author.power(7, 2.0))]);
    let expected = Command::Power { real_power_w: 2000.0, reactive_power_var: 0.0 };
    assert_eq!(ledger.took(), [(run.start_of(7), expected)], "though it came six seconds before");
    assert_eq!(warned_epochs(&run, "warning"), [10], "three seconds from then its time is up");
    assert_eq!(run.device("pv1").steps[0].confirmed_after_ms, Some(0.0), "waiting for its epoch is no delay");
}

#[test]
fn a_message_that_is_delivered_again_and_again_is_applied_once() {
    let (run, ledger) = run(&[], |author| {
        let message = author.power(3, 2.0);
        let late = message.clone();
        let mut messages = vec![(3, PV1_POWER, message); 5];
        messages.push((4, PV1_POWER, late));
        messages
    });
    assert_eq!(kilowatts(&ledger), [2.0]);
    assert_eq!(run.device("pv1").setpoints, 1);
    assert!(warned_epochs(&run, "warning.input").is_empty(), "a redelivery is not worth a warning");
    assert_eq!(warned_epochs(&run, "warning.other"), [6], "nor does it put the dead-man timer off");
}

#[test]
fn another_content_under_an_id_that_was_used_is_refused_with_a_warning() {
    let (run, ledger) = run(&[], |author| {
        let message = author.power(3, 2.0);
        let forged = altered(&message, "2.0", "4.0");
        vec![(3, PV1_POWER, message), (3, PV1_POWER, forged)]
    });
    assert_eq!(kilowatts(&ledger), [2.0]);
    assert!(run.one(PV1, 3).warns_of("warning.input"), "{:?}", run.one(PV1, 3).warnings());
}

#[test]
fn a_read_only_device_refuses_with_a_warning_and_is_left_untouched() {
    let (run, ledger) =
        run(&["device.pv1.mode=\"read-only\""], |author| vec![(3, PV1_POWER, author.power(3, 2.0))]);
    assert!(ledger.took().is_empty());
    assert_eq!(warned_epochs(&run, "warning.input"), [3]);
    assert!(run.one(PV1, 3).warnings()[0].contains("read-only"));
    assert_eq!(run.device("pv1").left, "untouched");
}

#[test]
fn a_dry_run_shows_what_would_pass_and_writes_nothing() {
    let (run, ledger) =
        run(&["device.pv1.mode=\"dry-run\""], |author| vec![(3, PV1_POWER, author.power(3, 9.0))]);
    assert!(ledger.took().is_empty());
    assert_eq!(warned_epochs(&run, "warning.input-range"), [3]);
    let step = &run.device("pv1").steps[0];
    assert_eq!((step.passed.as_deref(), step.held.as_deref()), (Some("5.00 kW"), None));
    let remark = step.remark.as_deref().expect("a remark");
    assert!(remark.contains("outside") && remark.contains("dry run: not written"), "{remark}");
    assert_eq!(run.device("pv1").left, "untouched");
}

#[test]
fn a_change_of_setpoint_is_no_steeper_than_the_ramp_allows() {
    let (run, ledger) = run(&["device.pv1.limits.ramp_w_per_s=500"], |author| {
        vec![(2, PV1_POWER, author.power(2, 3.0)), (4, PV1_POWER, author.power(4, 0.5))]
    });
    assert_eq!(kilowatts(&ledger), [3.0, 2.0], "two seconds at 500 W/s");
    assert_eq!(warned_epochs(&run, "warning.input-range"), [4]);
    let told: Vec<MonoTime> = ledger.took().into_iter().map(|(at, _)| at).collect();
    assert_eq!(told, [run.start_of(2), run.start_of(4)]);
}
