//! Whether and when the simulated twin stands in for a device, and that nobody can overlook it.

use crate::rig::{Feeder, PV1, PV1_POINTS};
use gridloop_clock::MonoTime;
use gridloop_device::Command;
use gridloop_gateway::Address;
use gridloop_hil_tests::world::{Ledger, Plan, Run, World, cut, simulated, spoil};
use gridloop_messages::{Body, PointQuality, PointSource, PointState, topic};
use gridloop_realtime_manager::Outcome;
use std::time::Duration;

const EPOCHS: u64 = 16;
/// Longer than the start of a run waits for a device.
const ABSENT: MonoTime = MonoTime::from_nanos(7_000_000_000);
const FOR_EVER: MonoTime = MonoTime::from_nanos(u64::MAX);

/// The device is in the field, so that its values and those of its twin differ in their source.
fn run(policy: &str, plan: Plan) -> (Run, Ledger) {
    let feeder = Feeder::with(&["2,pv1,3.0,0.0,,", "7,pv1,1.0,0.0,,"]);
    let fallback = format!("device.pv1.fallback=\"{policy}\"");
    let mut configuration = feeder.configuration(&[
        "simulation.epochs=16",
        "device.pv1.dead_man_s=30",
        "device.pv1.back_after_s=1",
        fallback.as_str(),
    ]);
    let ledger = spoil(&mut configuration, "pv1", plan);
    let device = configuration.devices.iter_mut().find(|device| device.name == "pv1").expect("pv1");
    device.address = Address::At(format!("the bench of {}", std::process::id()));
    let run = simulated(|clock| async move { World::new(&clock, 5).run(configuration).await });
    (run.expect("a run"), ledger)
}

fn points(run: &Run, epoch: u64) -> Vec<PointState> {
    let Body::DeviceState(state) = run.one(PV1_POINTS, epoch).body() else { panic!("no DeviceState") };
    state.points.clone()
}

fn is_marked_as_substituted(run: &Run, epoch: u64) -> bool {
    let points = points(run, epoch);
    let substituted =
        |it: &PointState| it.quality == PointQuality::Substituted && it.source == PointSource::Simulated;
    let warned = |topic: &str| run.one(topic, epoch).warnings().iter().any(|it| it.contains("twin"));
    let marks = [!points.is_empty() && points.iter().all(substituted), warned(PV1), warned(PV1_POINTS)];
    assert!(
        marks.iter().all(|mark| *mark == marks[0]),
        "epoch {epoch} is marked in one place only: {marks:?}"
    );
    assert!(marks[0] || !points.iter().any(|it| it.source == PointSource::Simulated), "epoch {epoch}");
    marks[0]
}

fn power_of(command: &Command) -> f64 {
    let Command::Power { real_power_w, .. } = command else { panic!("no power") };
    *real_power_w
}

#[test]
fn never_means_that_a_run_without_the_device_does_not_begin() {
    let (run, ledger) = run("never", cut(MonoTime::default(), FOR_EVER));
    let report = &run.report.manager;
    assert_eq!((report.outcome, report.epochs.completed), (Outcome::Failed, 0));
    for word in ["pv1", "did not answer", "never"] {
        assert!(report.reason.contains(word), "{}", report.reason);
    }
    let error = run.on(topic::STATUS_ERROR).next().expect("a status");
    let Body::Status(status) = error.body() else { panic!("no status") };
    assert_eq!((error.source(), status.description.is_some()), ("pv1", true));
    assert_eq!(run.epochs().count(), 0);
    assert!(ledger.took().is_empty());
    assert_eq!(run.device("pv1").left, "untouched");
}

#[test]
fn never_means_that_a_device_lost_in_mid_run_has_no_good_values() {
    let lost = ABSENT;
    let (run, _) = run("never", cut(lost, FOR_EVER));
    assert_eq!(run.report.manager.outcome, Outcome::Completed);
    let (mut before, mut after) = (0, 0);
    for epoch in 1..=EPOCHS {
        let result = run.one(PV1, epoch);
        let points = points(&run, epoch);
        assert!(points.iter().all(|point| point.source == PointSource::Field));
        // Old enough for the loss to have been noticed; before that values are as old as they say.
        if result.at > lost + Duration::from_millis(600) {
            after += 1;
            assert!(result.warns_of("warning.input-unreliable"), "epoch {epoch}");
            assert!(points.iter().all(|point| point.quality == PointQuality::CommLost), "epoch {epoch}");
        } else if result.at < lost {
            before += 1;
            assert!(!result.warns_of("warning.input-unreliable"), "epoch {epoch}");
            assert!(points.iter().all(|point| point.quality == PointQuality::Good), "epoch {epoch}");
        }
    }
    assert!(before >= 6 && after >= 6);
    assert_eq!(run.device("pv1").fallback_epochs, 0);
    assert!(run.device("pv1").unreliable_epochs >= after);
    assert!(
        run.device("pv1").left.starts_with("unknown"),
        "it may hold a command: {}",
        run.device("pv1").left
    );
}

#[test]
fn on_start_puts_the_twin_in_the_place_of_an_absent_device_for_the_whole_run() {
    let (run, ledger) = run("on-start", cut(MonoTime::default(), ABSENT));
    assert_eq!(run.report.manager.outcome, Outcome::Completed, "{}", run.report.manager.reason);
    for epoch in 1..=EPOCHS {
        assert!(is_marked_as_substituted(&run, epoch), "epoch {epoch}");
    }
    assert_eq!(run.device("pv1").fallback_epochs, EPOCHS);
    assert!((run.one(PV1, 12).real_power_kw() - 1.0).abs() < 1e-9, "the twin obeys");
    let back = ledger.sampled();
    assert!(!back.is_empty(), "the device came back");
    assert!(ledger.took().is_empty(), "and is not driven behind everybody's back");
    assert_eq!(run.device("pv1").left, "untouched");
}

#[test]
fn on_start_does_not_cover_a_loss_in_mid_run() {
    let (run, _) = run("on-start", cut(ABSENT, FOR_EVER));
    assert_eq!(run.report.manager.outcome, Outcome::Completed);
    assert!((1..=EPOCHS).all(|epoch| !is_marked_as_substituted(&run, epoch)));
    assert!(run.one(PV1, EPOCHS).warns_of("warning.input-unreliable"));
}

#[test]
fn on_loss_the_twin_stands_in_until_the_device_is_back_and_driven_again() {
    let (from, to) = (MonoTime::from_nanos(4_300_000_000), MonoTime::from_nanos(9_300_000_000));
    let (run, ledger) = run("on-loss", cut(from, to));
    assert_eq!(run.report.manager.outcome, Outcome::Completed);
    let substituted: Vec<u64> = (1..=EPOCHS).filter(|epoch| is_marked_as_substituted(&run, *epoch)).collect();
    let first = run.start_of(5) + Duration::from_millis(600);
    assert!(first > from && substituted.first() == Some(&5), "{substituted:?}");
    let last = *substituted.last().expect("some");
    assert_eq!(substituted, (5..=last).collect::<Vec<_>>(), "without gaps");
    // The back-off between attempts has grown to 3.2 s by then, and it has to be good for a second.
    let back = run.one(PV1, last).at;
    assert!(back <= to + Duration::from_secs(5), "the device was back at {to:?}, the twin left at {back:?}");
    assert_eq!(run.device("pv1").fallback_epochs, u64::try_from(substituted.len()).expect("few"));
    // In the epochs without the device its setpoint changed. The device is told the newest when it has taken over, and
    // never the older again.
    let asked: Vec<f64> = ledger.took().iter().map(|(_, command)| power_of(command)).collect();
    assert_eq!(asked, [3000.0, 1000.0]);
    assert!((run.one(PV1, EPOCHS).real_power_kw() - 1.0).abs() < 1e-9);
    assert_eq!(run.device("pv1").left, "released");
}
