//! Hundreds of runs of a feeder with one device in which everything goes wrong that can: the run goes on, nobody else
//! is delayed, and no value is published as good that the plant did not really show a moment ago.

use crate::rig::{Feeder, PV1, PV1_POINTS};
use gridloop_clock::MonoTime;
use gridloop_device::{Command, point};
use gridloop_hil_tests::world::{Call, Ledger, Mishap, Run, What, World, mischief, simulated, spoil};
use gridloop_messages::{Body, PointQuality, topic};
use gridloop_realtime_manager::Outcome;
use std::time::Duration;

const EPOCHS: u64 = 20;
const SEEDS: u64 = 200;
/// The gateway's own rule: two polling intervals of 0.2 s and one request timeout of 0.2 s.
const STALE_AFTER: Duration = Duration::from_millis(600);

fn run(feeder: &Feeder, seed: u64) -> (Run, Ledger) {
    let mut configuration = feeder.configuration(&["simulation.epochs=20"]);
    // The first reading works, or the run would rightly not begin.
    let begin = MonoTime::default() + Duration::from_millis(1);
    let percent = 10 + u8::try_from(seed % 60).expect("a small number");
    let plan = mischief(seed, percent, begin, MonoTime::from_nanos(u64::MAX));
    let ledger = spoil(&mut configuration, "pv1", plan);
    let run = simulated(|clock| async move { World::new(&clock, seed).run(configuration).await });
    (run.expect("a run"), ledger)
}

/// Whether the plant showed this value of the point within the stale age before `at`.
fn was_shown(
    samples: &[(MonoTime, gridloop_device::Snapshot)],
    name: &str,
    value: f64,
    at: MonoTime,
) -> bool {
    samples.iter().any(|(sampled_at, snapshot)| {
        let shown = snapshot.get(name).is_some_and(|sample| (sample.value - value).abs() < 1e-6);
        *sampled_at <= at && at.since(*sampled_at) <= STALE_AFTER && shown
    })
}

fn check_values(run: &Run, ledger: &Ledger, seed: u64) -> (u64, u64) {
    let samples = ledger.sampled();
    let (mut trusted, mut distrusted) = (0, 0);
    for heard in run.on(PV1) {
        if heard.warns_of("warning.input-unreliable") {
            distrusted += 1;
            continue;
        }
        trusted += 1;
        let Body::ResourceState(state) = heard.body() else { panic!("no ResourceState") };
        for (name, kilo) in
            [(point::REAL_POWER, state.real_power_kw), (point::REACTIVE_POWER, state.reactive_power_kvar)]
        {
            let shown = was_shown(&samples, name, kilo * 1000.0, heard.at);
            assert!(shown, "seed {seed}, epoch {:?}: {name} {kilo} k was never shown", heard.epoch());
        }
    }
    for heard in run.on(PV1_POINTS) {
        let Body::DeviceState(state) = heard.body() else { panic!("no DeviceState") };
        for point in state.points.iter().filter(|point| point.quality == PointQuality::Good) {
            let shown = was_shown(&samples, &point.name, point.value, heard.at);
            assert!(shown, "seed {seed}, epoch {:?}: {point:?} was never shown", heard.epoch());
        }
    }
    (trusted, distrusted)
}

/// The configured limits of `pv1`.
fn is_within_limits(command: &Command) -> bool {
    let Command::Power { real_power_w, reactive_power_var } = command else { return false };
    (0.0..=5000.0).contains(real_power_w) && reactive_power_var.abs() <= 2000.0
}

fn check_rhythm(run: &Run, seed: u64) {
    let report = &run.report.manager;
    assert_eq!(report.outcome, Outcome::Completed, "seed {seed}: {}", report.reason);
    assert_eq!((report.epochs.completed, report.epochs.late), (EPOCHS, 0), "seed {seed}");
    let epochs: Vec<_> = run.epochs().collect();
    let start = epochs[0].1;
    for (index, epoch) in (0_u32..).zip(&epochs) {
        let expected = (u64::from(index) + 1, start + Duration::from_secs(1) * index);
        assert_eq!(*epoch, expected, "seed {seed}: epochs are numbered and on the grid");
    }
    assert_eq!(epochs.len(), 20);
    for number in 1..=EPOCHS {
        let begun = run.start_of(number);
        for load in ["ResourceState.Load.load1", "ResourceState.Load.load2"] {
            assert_eq!(run.one(load, number).at, begun, "seed {seed}: a load is not delayed");
        }
        let read = begun + Duration::from_millis(600);
        for sibling in ["ResourceState.Generator.pv2", "DeviceState.oltc1"] {
            assert_eq!(run.one(sibling, number).at, read, "seed {seed}: a sound device is not delayed");
            assert!(run.one(sibling, number).warnings().is_empty(), "seed {seed}");
        }
        let own = run.one(PV1, number).at;
        assert!(own <= begun + Duration::from_millis(900), "seed {seed}: the faulty device is in time too");
    }
    for component in ["load1", "load2", "operator", "pv1", "pv2", "oltc1"] {
        let ready = run.on(topic::STATUS_READY).filter(|it| it.source() == component).count();
        assert_eq!(ready, 21, "seed {seed}: {component} is ready once an epoch, initialisation included");
    }
}

#[test]
fn a_device_in_which_everything_goes_wrong_spoils_no_value_no_sibling_and_no_run() {
    let feeder = Feeder::with(&[
        "2,pv1,3.0,0.4,,",
        "5,oltc1,,,7,",
        "8,pv1,9.9,-7.0,,",
        "12,pv1,,,,",
        "15,pv1,2.5,0.0,,",
    ]);
    let (mut trusted, mut distrusted) = (0, 0);
    for seed in 0..SEEDS {
        let (run, ledger) = run(&feeder, seed);
        check_rhythm(&run, seed);
        let counts = check_values(&run, &ledger, seed);
        (trusted, distrusted) = (trusted + counts.0, distrusted + counts.1);
        let beyond = |what: &What| matches!(what, What::Called(Call::Apply(it), _) if !is_within_limits(it));
        assert!(
            !ledger.entries().iter().any(|(_, what)| beyond(what)),
            "seed {seed}: told beyond its limits"
        );
        let left = &run.device("pv1").left;
        let true_to_fact = match left.as_str() {
            "released" => ledger.is_released(),
            "untouched" => ledger.took().is_empty(),
            unknown => unknown.starts_with("unknown: "),
        };
        assert!(true_to_fact, "seed {seed}: {left}");
    }
    // Both kinds occurred often, or this test would show nothing.
    assert!(trusted > SEEDS && distrusted > SEEDS, "{trusted} trusted, {distrusted} distrusted");
}

#[test]
fn a_power_that_is_missing_from_the_readings_is_not_trusted_any_more() {
    for name in [point::REAL_POWER, point::REACTIVE_POWER] {
        let feeder = Feeder::with(&["2,pv1,1.0,0.5,,"]);
        let mut configuration = feeder.configuration(&[]);
        let missing_from = MonoTime::from_nanos(4_500_000_000);
        let plan = move |call, now| {
            (call == Call::Read && now >= missing_from).then_some(Mishap::Short { of: name })
        };
        spoil(&mut configuration, "pv1", Box::new(plan));
        let run = simulated(|clock| async move { World::new(&clock, 2).run(configuration).await });
        let run = run.expect("a run");
        for epoch in 1..=10 {
            let warned = run.one(PV1, epoch).warns_of("warning.input-unreliable");
            let missing = run.one(PV1, epoch).at > missing_from;
            assert_eq!(warned, missing, "{name}, epoch {epoch}: {:?}", run.one(PV1, epoch).warnings());
        }
    }
}
