//! The life of one setpoint, station by station: from the operator's file over the bus, the limits and the device's task
//! to the plant, and back as results into the next epoch. `docs/life-of-a-setpoint.md` tells it in words.

use crate::rig::{Feeder, PV1, PV1_POINTS, PV1_POWER};
use gridloop_clock::MonoTime;
use gridloop_device::{Command, Snapshot, point};
use gridloop_hil_tests::world::{Heard, Ledger, Run, World, honest, simulated, spoil};
use gridloop_messages::{Body, PointQuality, PointSource, PointState, StatusValue, topic};
use gridloop_realtime_manager::Outcome;
use std::time::Duration;

/// The epoch in which 12 kW are asked for. The inverter is rated 8 kW, its configured limit is 5 kW; the sun gives less
/// than 4 kW, so the later 2 kW show that it is really curtailed.
const FIRST: u64 = 3;
const SECOND: u64 = 6;
/// From the start of an epoch to its reading: 60 % of one second.
const READ_AFTER: Duration = Duration::from_millis(600);

fn run() -> (Run, Ledger) {
    let feeder = Feeder::with(&["3,pv1,12.0,0.5,,", "6,pv1,2.0,0.5,,"]);
    let mut configuration = feeder.configuration(&[]);
    let ledger = spoil(&mut configuration, "pv1", honest());
    let run = simulated(|clock| async move { World::new(&clock, 1).run(configuration).await });
    (run.expect("a run"), ledger)
}

fn power(real_power_w: f64) -> Command {
    Command::Power { real_power_w, reactive_power_var: 500.0 }
}

/// The reading that the device gave at an instant.
fn reading_at(ledger: &Ledger, at: MonoTime) -> Snapshot {
    let found = ledger.sampled().into_iter().rev().find(|(sampled_at, _)| *sampled_at == at);
    found.map(|(_, snapshot)| snapshot).expect("a reading at that instant")
}

fn point_named<'a>(heard: &'a Heard, name: &str) -> &'a PointState {
    let Body::DeviceState(state) = heard.body() else { panic!("no DeviceState") };
    state.points.iter().find(|point| point.name == name).expect("a point of that name")
}

/// Where the message stands among all that were heard.
fn place(run: &Run, wanted: &Heard) -> usize {
    run.messages.iter().position(|heard| heard.id() == wanted.id()).expect("it was heard")
}

#[test]
fn a_setpoint_goes_from_the_file_to_the_plant_and_comes_back_as_a_result() {
    let (run, ledger) = run();
    assert_eq!(run.report.manager.outcome, Outcome::Completed, "{}", run.report.manager.reason);

    // The bus: the operator's row is a message of its epoch, in kW.
    let asked = run.one(PV1_POWER, FIRST);
    let Body::PowerSetpoint(setpoint) = asked.body() else { panic!("no setpoint") };
    assert_eq!(
        (asked.source(), setpoint.real_power_kw, setpoint.reactive_power_kvar),
        ("operator", 12.0, 0.5)
    );
    assert_eq!(asked.at, run.start_of(FIRST));

    // The plant: W instead of kW, moved to the limit, at the instant of the message, and once although the operator
    // repeats it in every epoch.
    let expected = [(run.start_of(FIRST), power(5000.0)), (run.start_of(SECOND), power(2000.0))];
    assert_eq!(ledger.took(), expected);

    // The way back: read 60 % into the epoch, published at once, in kW, with the warning of this epoch's clamp.
    let result = run.one(PV1, FIRST);
    assert_eq!(result.at, run.start_of(FIRST) + READ_AFTER);
    let truth = reading_at(&ledger, result.at).get(point::REAL_POWER).expect("a power").value;
    assert_eq!(result.real_power_kw(), truth / 1000.0);
    assert!(result.warns_of("warning.input-range"), "{:?}", result.warnings());
    assert!(run.one(PV1, FIRST - 1).warnings().is_empty());

    // The second setpoint is what the plant does one epoch later, to the watt, and nothing is warned of any more.
    let obeyed = run.one(PV1, SECOND + 1);
    let Body::ResourceState(state) = obeyed.body() else { panic!("no ResourceState") };
    assert_eq!((state.real_power_kw, state.reactive_power_kvar, obeyed.warnings().len()), (2.0, 0.5, 0));
    let real = point_named(run.one(PV1_POINTS, SECOND + 1), "real_power");
    assert_eq!((real.value, real.unit.as_str(), real.age_s), (2000.0, "W", 0.0));
    assert_eq!((real.quality, real.source), (PointQuality::Good, PointSource::Simulated));
}

#[test]
fn results_name_what_caused_them_and_ready_comes_after_them() {
    let (run, _) = run();
    let (result, points) = (run.one(PV1, FIRST), run.one(PV1_POINTS, FIRST));
    let epoch = run.one(topic::EPOCH, FIRST);
    for cause in [epoch, run.one(PV1_POWER, FIRST)] {
        assert!(result.triggers().iter().any(|id| id == cause.id()), "{} is no cause", cause.id());
        assert!(points.triggers().iter().any(|id| id == cause.id()), "{} is no cause", cause.id());
    }
    let statuses = run.on(topic::STATUS_READY);
    let ready: Vec<_> = statuses.filter(|it| it.source() == "pv1" && it.epoch() == Some(FIRST)).collect();
    assert_eq!(ready.len(), 1);
    let Body::Status(status) = ready[0].body() else { panic!("no status") };
    assert_eq!(status.value, StatusValue::Ready);
    assert!(place(&run, ready[0]) > place(&run, points) && place(&run, points) > place(&run, result));
    let next = run.one(topic::EPOCH, FIRST + 1);
    assert!(next.triggers().iter().any(|id| id == ready[0].id()), "the next epoch answers every ready");
    assert!(place(&run, next) > place(&run, ready[0]));
}

#[test]
fn the_report_tells_what_was_asked_what_passed_and_what_the_device_held() {
    let (run, ledger) = run();
    let device = run.device("pv1");
    let steps: Vec<_> = device
        .steps
        .iter()
        .map(|step| (step.epoch, step.asked.as_str(), step.passed.as_deref(), step.held.as_deref()))
        .collect();
    let expected = [
        (FIRST, "12.00 kW +0.50 kvar", Some("5.00 kW +0.50 kvar"), Some("5.00 kW +0.50 kvar")),
        (SECOND, "2.00 kW +0.50 kvar", Some("2.00 kW +0.50 kvar"), Some("2.00 kW +0.50 kvar")),
    ];
    assert_eq!(steps, expected);
    assert_eq!(device.steps[1].measured.as_deref(), Some("2.00 kW +0.50 kvar"));
    // Asked in the epochs 3 to 10, over the limit in 3 to 5.
    assert_eq!((device.setpoints, device.clamped, device.refused, device.writes), (8, 3, 0, 3));
    assert_eq!((device.left.as_str(), device.errors), ("released", 0));
    assert!(ledger.is_released());
}
