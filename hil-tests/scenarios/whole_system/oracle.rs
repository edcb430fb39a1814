//! What must hold in every story, whatever happened in it. The truth is what a listener heard to whom none of the weather
//! happens, and what the ledgers say that the devices really did.

use super::story::{LIMIT_W, Life, PERIOD, Story};
use gridloop_clock::{Anchor, MonoTime};
use gridloop_device::Command;
use gridloop_hil_tests::world::{BEGINNING, Heard, Ledger};
use gridloop_messages::{Body, Epoch, PointQuality, SimulationState, topic};
use gridloop_platform_manager::Deadlines;
use gridloop_realtime_manager::{NUMBERED_APART, Outcome, Overrun};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Panics if something is wrong.
pub(crate) fn judge(story: &Story) {
    ids_are_used_once(story);
    epochs_follow_each_other(story);
    nothing_follows_the_end(story);
    lateness_is_told(story);
    for life in &story.lives {
        commands_are_within_their_limits(story, &life.ledgers[0]);
        what_is_good_was_measured(story, &life.heard, &life.ledgers[0]);
    }
    the_end_is_honest(story);
}

/// No sender uses a MessageId for two contents, however many processes had its name.
fn ids_are_used_once(story: &Story) {
    let mut said: BTreeMap<(&str, &str), &[u8]> = BTreeMap::new();
    for heard in story.heard().filter(|heard| heard.message.is_some()) {
        let before = said.insert((heard.source(), heard.id()), &heard.bytes);
        let same = before.is_none_or(|before| before == heard.bytes);
        assert!(same, "seed {}: {} says two things", story.seed, heard.id());
    }
}

fn window(heard: &Heard) -> &Epoch {
    match heard.body() {
        Body::Epoch(epoch) => epoch,
        other => panic!("{} on the topic of epochs", other.type_name()),
    }
}

/// Every epoch once, in order, and again only as it was.
fn epochs_follow_each_other(story: &Story) {
    let seed = story.seed;
    let mut known: BTreeMap<u64, (String, String)> = BTreeMap::new();
    let mut newest = 0;
    for heard in story.heard().filter(|heard| &*heard.topic == topic::EPOCH) {
        let number = heard.epoch().expect("a number");
        let epoch = window(heard);
        let data = (epoch.start_time.to_string(), epoch.end_time.to_string());
        match known.get(&number) {
            Some(before) => assert_eq!(*before, data, "seed {seed}: epoch {number} is run with other data"),
            None => {
                assert_eq!(number, newest + 1, "seed {seed}: epoch {number} after {newest}");
                let offset = story.settings.epoch_length * u32::try_from(number - 1).expect("few epochs");
                let start = story.settings.initial_start_time.plus(offset);
                assert_eq!(data.0, start.to_string(), "seed {seed}: epoch {number}");
            }
        }
        known.insert(number, data);
        newest = newest.max(number);
    }
}

fn stopped(heard: &Heard) -> bool {
    let state = heard.message.as_ref().map(|message| &message.body);
    matches!(state, Some(Body::SimState(state)) if state.simulation_state == SimulationState::Stopped)
}

fn nothing_follows_the_end(story: &Story) {
    for life in &story.lives {
        let end = life.heard.iter().position(stopped);
        let after = end.map_or(&[][..], |end| &life.heard[end..]);
        let epochs = after.iter().filter(|heard| &*heard.topic == topic::EPOCH).count();
        assert_eq!(epochs, 0, "seed {}: an epoch begins after the end", story.seed);
    }
}

/// An epoch of one process, by its message and the instant at which that was heard.
struct Begun {
    number: u64,
    at: MonoTime,
    /// How much later than its release it was published.
    late_by: Duration,
    deadline: MonoTime,
    /// Another process wrote its message, which is as old as that.
    repeated: bool,
}

/// The instant that a label stands for: the labels of a process are counted from one anchor, and UTC may have been set
/// before that, so the one that lies near `at` is meant.
fn instant_of(label: gridloop_clock::Utc, at: MonoTime, steps_s: &[i64]) -> MonoTime {
    let zero = chrono::DateTime::from_timestamp(BEGINNING, 0).expect("a time");
    let candidates = steps_s.iter().filter_map(|step| {
        let anchor = Anchor { at: MonoTime::default(), utc: zero + chrono::TimeDelta::seconds(*step) };
        (label >= anchor.utc).then(|| anchor.instant_of(label))
    });
    candidates.min_by_key(|instant| instant.nanos_since(at).unsigned_abs()).expect("a candidate")
}

/// Which process of the run wrote a message of the manager.
fn process(heard: &Heard) -> u64 {
    let number = heard.id().rsplit('-').next().and_then(|number| number.parse::<u64>().ok());
    number.expect("a number in a MessageId of the manager") / NUMBERED_APART
}

fn begun(story: &Story, life: &Life) -> Vec<Begun> {
    let first = life.heard.iter().find(|heard| &*heard.topic == topic::SIM_STATE);
    let Some(this) = first.map(process) else { return Vec::new() };
    let (mut begun, mut seen) = (Vec::new(), BTreeSet::new());
    for heard in life.heard.iter().filter(|heard| &*heard.topic == topic::EPOCH) {
        let (Some(number), Some(pacing)) = (heard.epoch(), &window(heard).pacing) else { continue };
        if !seen.insert(number) {
            continue;
        }
        let nominal = instant_of(pacing.nominal_start.as_datetime(), heard.at, &story.steps_s);
        let length = (pacing.deadline.as_datetime() - pacing.nominal_start.as_datetime()).to_std();
        let release = nominal.before(story.settings.release_lead);
        begun.push(Begun {
            number,
            at: heard.at,
            late_by: heard.at.since(release),
            deadline: nominal + length.expect("a deadline after the start"),
            repeated: process(heard) != this,
        });
    }
    begun
}

/// When each component first said that it is ready for an epoch.
fn answers(life: &Life) -> BTreeMap<(u64, &str), MonoTime> {
    let mut answers = BTreeMap::new();
    for heard in life.heard.iter().filter(|heard| &*heard.topic == topic::STATUS_READY) {
        if let Some(number) = heard.epoch() {
            answers.entry((number, heard.source())).or_insert(heard.at);
        }
    }
    answers
}

/// Who was told to be missing in which epoch.
fn told(life: &Life) -> BTreeSet<(u64, String)> {
    let mut told = BTreeSet::new();
    for heard in life.heard.iter().filter(|heard| &*heard.topic == topic::EPOCH_OVERRUN) {
        let Body::EpochOverrun(overrun) = heard.body() else { panic!("something else on {}", heard.topic) };
        let number = heard.epoch().expect("an epoch");
        told.extend(overrun.late_components.iter().map(|late| (number, late.component.clone())));
    }
    told
}

/// Epochs that started late are counted, whoever answered after the end of an epoch is named, and nobody else is.
fn lateness_is_told(story: &Story) {
    let (seed, tolerance) = (story.seed, story.settings.tolerance());
    let (mut started_late, mut overran) = (0_u64, BTreeSet::new());
    for life in &story.lives {
        let (answers, told) = (answers(life), told(life));
        let epochs = begun(story, life);
        for (epoch, next) in epochs.iter().zip(epochs.iter().skip(1).map(Some).chain([None])) {
            let number = epoch.number;
            let late = epoch.late_by > tolerance;
            started_late += u64::from(late && !epoch.repeated);
            if late || epoch.repeated {
                // Who has less time than an epoch is not to blame.
                continue;
            }
            for component in &story.settings.components {
                let answered = answers.get(&(number, component.as_str()));
                let is_told = told.contains(&(number, component.clone()));
                let was_late = answered.is_some_and(|at| *at > epoch.deadline) && next.is_some();
                assert!(
                    !was_late || is_told,
                    "seed {seed}: {component} was late in epoch {number}, and not a word"
                );
                let in_time = answered.is_some_and(|at| *at + story.delay_max < epoch.deadline);
                assert!(
                    !(in_time && is_told && story.sound_bus),
                    "seed {seed}: {component} answered epoch {number} in time and is called late"
                );
            }
            if let Some(next) = next {
                let skipping = matches!(story.settings.overrun, Overrun::Skip | Overrun::Abort);
                let waited = next.at.since(epoch.at) > PERIOD + PERIOD / 2 && !skipping;
                let known = told.iter().any(|(of, _)| *of == number) || next.late_by > tolerance;
                assert!(!waited || known, "seed {seed}: a long wait after epoch {number}, and not a word");
            }
        }
        overran.extend(told.into_iter().map(|(number, _)| number));
    }
    let Some(report) = &story.report else { return };
    let (manager, processes) = (&report.manager, u64::try_from(story.lives.len()).unwrap_or(1));
    let counted = manager.pacing.started_late;
    // An epoch that is begun again by another process may be late once more.
    assert!(
        (started_late..started_late + processes).contains(&counted),
        "seed {seed}: {started_late} epochs started late, {counted} are in the report"
    );
    let late = usize::try_from(manager.epochs.late).unwrap_or(0);
    assert!(overran.len() <= late, "seed {seed}: {overran:?} overran, {late} are in the report");
    let missing: u64 = manager.late_components.values().map(|late| late.epochs).sum();
    assert_eq!(missing > 0, manager.pacing.overran > 0, "seed {seed}");
}

fn commands_are_within_their_limits(story: &Story, ledger: &Ledger) {
    for (at, command) in ledger.took() {
        if let Command::Power { real_power_w, reactive_power_var } = command {
            let within = (0.0..=LIMIT_W).contains(&real_power_w) && reactive_power_var.abs() <= 2000.0;
            assert!(within, "seed {}: {command:?} reached the inverter at {at:?}", story.seed);
        }
    }
}

/// A point that is called good was shown by the device, not long before.
fn what_is_good_was_measured(story: &Story, heard: &[Heard], ledger: &Ledger) {
    let sampled = ledger.sampled();
    // Who has lost the bus says again, word for word, what it said before.
    let mut said = BTreeSet::new();
    for heard in heard.iter().filter(|heard| &*heard.topic == "DeviceState.pv1") {
        let Body::DeviceState(state) = heard.body() else { continue };
        if !said.insert(heard.id()) {
            continue;
        }
        for point in state.points.iter().filter(|point| point.quality == PointQuality::Good) {
            let since = heard.at.before(PERIOD * 2);
            let shown = sampled.iter().rev().take_while(|(at, _)| *at >= since).any(|(_, snapshot)| {
                let sample = snapshot.points.get(point.name.as_str());
                sample.is_some_and(|sample| (sample.value - point.value).abs() < 1e-9)
            });
            assert!(shown, "seed {}: {} is called good at {:?}", story.seed, point.name, heard.at);
        }
    }
}

fn the_end_is_honest(story: &Story) {
    let Some(report) = &story.report else { return };
    let (seed, manager, verdict) = (story.seed, &report.manager, &report.verdict);
    let whole = manager.epochs.late == 0 && manager.epochs.skipped == 0 && manager.resumed.is_empty();
    let met = matches!(verdict.deadlines, Deadlines::Met | Deadlines::MetWithExceptions);
    assert_eq!(met, whole && manager.outcome != Outcome::Failed, "seed {seed}: {verdict:?}");
    assert_eq!(verdict.deadlines == Deadlines::NotMet, !verdict.missed.is_empty(), "seed {seed}");
    // A process that was killed before it began an epoch has taken nothing over.
    let began = |life: &&Life| life.heard.iter().any(|heard| &*heard.topic == topic::EPOCH);
    let taken_over = story.lives.iter().filter(began).count().saturating_sub(1);
    let resumed = manager.resumed.len();
    assert!((taken_over..story.lives.len()).contains(&resumed), "seed {seed}: {resumed} of {taken_over}");
    if manager.outcome == Outcome::Completed {
        let begun: BTreeSet<u64> =
            story.heard().filter(|heard| &*heard.topic == topic::EPOCH).filter_map(Heard::epoch).collect();
        let all: BTreeSet<u64> = (1..=story.settings.epochs).collect();
        assert_eq!(begun, all, "seed {seed}: a completed run has all its epochs");
        assert_eq!(manager.epochs.completed, story.settings.epochs, "seed {seed}");
    }
    let last = story.lives.last().expect("a life");
    for (device, ledger) in ["pv1", "oltc1"].iter().zip(&last.ledgers) {
        let left = &report.devices.iter().find(|it| it.id == **device).expect("a report").left;
        if *device == "pv1" && left == "released" {
            assert!(ledger.is_released(), "seed {seed}: {device} is called released");
        }
        if left == "untouched" {
            assert!(ledger.took().is_empty(), "seed {seed}: {device} is called untouched");
        }
    }
}
