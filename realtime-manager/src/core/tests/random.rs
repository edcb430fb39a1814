//! Whatever comes, in whatever order: every run ends, once, and no epoch begins that must not.

use super::*;
use proptest::prelude::*;
use proptest::sample::select;

/// Something that happens to the manager.
#[derive(Debug, Clone)]
enum Step {
    /// A status, for an epoch relative to the present one.
    Status { source: &'static str, offset: i64, error: bool, again: bool },
    /// The instant waited for, this late.
    Instant { late_ms: u64 },
    /// The timer.
    Timer,
    /// The bus session is back.
    Restored,
    /// Another manager speaks.
    Rival,
    /// The run is cancelled, the bus is closed, or the manager broke off.
    Stop(Ending),
}

fn step() -> impl Strategy<Value = Step> {
    let source = || select(vec!["A", "B", "C", "D", "mallory", "Clock"]);
    let offset = || select(vec![-2, -1, 0, 0, 0, 0, 1, 3]);
    let ready = (source(), offset(), any::<bool>()).prop_map(|(source, offset, again)| Step::Status {
        source,
        offset,
        error: false,
        again,
    });
    let error = (source(), offset()).prop_map(|(source, offset)| Step::Status {
        source,
        offset,
        error: true,
        again: false,
    });
    let instant = select(vec![0, 1, 900, 3500]).prop_map(|late_ms| Step::Instant { late_ms });
    prop_oneof![
        120 => ready,
        1 => error,
        20 => instant,
        3 => Just(Step::Timer),
        3 => Just(Step::Restored),
        1 => Just(Step::Rival),
        1 => stop().prop_map(Step::Stop),
    ]
}

fn stop() -> impl Strategy<Value = Ending> {
    let message = "a bug".to_owned();
    select(vec![Ending::Cancelled, Ending::BusClosed, Ending::Panicked { message }])
}

fn some_settings() -> impl Strategy<Value = Settings> {
    let overrun = select(vec![Overrun::Stretch, Overrun::Skip, Overrun::Abort, Overrun::CatchUp(2)]);
    let speed = select(vec![Speed::Max, Speed::Times(3600.0)]);
    let start_at = select(vec![StartAt::Now, StartAt::Aligned(S * 7)]);
    (overrun, speed, start_at, 0..6_u64, 0..3_u32).prop_map(
        |(overrun, speed, start_at, epochs, max_resends)| {
            let components = ["A", "B", "C", "D"].map(String::from).to_vec();
            Settings { components, overrun, speed, start_at, epochs, max_resends, ..settings() }
        },
    )
}

/// Does the step if it can happen now, and keeps what each component has said.
fn take(rig: &mut Rig, said: &mut Vec<(&'static str, u64)>, step: &Step) {
    match *step {
        Step::Status { source, offset, error: failed, again } => {
            let epoch = rig.core.epoch.saturating_add_signed(offset);
            let id = format!("{source}-{epoch}");
            let status = if failed { error("broken") } else { READY };
            said.push((source, epoch));
            for _ in 0..=u8::from(again) {
                rig.status(source, epoch, &id, status.clone());
            }
        }
        Step::Instant { late_ms } if rig.awaited.is_some() => {
            rig.instant(MS * u32::try_from(late_ms).unwrap())
        }
        Step::Timer if rig.timer.is_some() => rig.ring_late(),
        Step::Restored => rig.give(Input::BusRestored),
        Step::Rival => rig.give(Input::Rival(Rival { name: "manager".into(), sent: "Epoch" })),
        Step::Stop(ref ending) => rig.give(Input::Stop(ending.clone())),
        Step::Instant { .. } | Step::Timer => {}
    }
}

impl Rig {
    /// The timer's instant comes, maybe after something else that was later.
    fn ring_late(&mut self) {
        self.now = self.now.max(self.timer.take().unwrap_or_default());
        self.give(Input::Timer);
    }

    /// Only time passes: whatever is waited for first comes first.
    fn time_passes(&mut self) {
        match (self.awaited, self.timer) {
            (Some(instant), Some(timer)) if timer < instant => self.ring_late(),
            (Some(_), _) => self.instant(Duration::ZERO),
            (None, Some(_)) => self.ring_late(),
            (None, None) => panic!("the run waits for nothing"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_run_ends_with_one_stopped_and_its_epochs_follow_each_other(
        settings in some_settings(),
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let planned = settings.epochs;
        let waits = settings.overrun != Overrun::Skip || settings.speed == Speed::Max;
        let mut rig = Rig::started(settings);
        let mut said = Vec::new();
        for step in &steps {
            let begun = rig.starts.len();
            take(&mut rig, &mut said, step);
            let inputs = 1 + usize::from(matches!(step, Step::Status { again: true, .. }));
            prop_assert!(rig.starts.len() <= begun + inputs, "more than one epoch per input");
            let answered = |name: &str| said.iter().filter(|(source, _)| *source == name).map(|(_, epoch)| *epoch).max();
            if waits && rig.starts.len() > begun {
                for name in ["A", "B", "C", "D"] {
                    prop_assert!(answered(name) >= Some(rig.core.epoch - 1), "{name} was not waited for");
                }
            }
            if rig.ending.is_some() {
                break;
            }
            prop_assert!(rig.awaited.is_some() || rig.timer.is_some(), "the run waits for nothing");
        }
        for _ in 0..100 {
            if rig.ending.is_none() {
                rig.time_passes();
            }
        }
        let ending = rig.ending.clone();
        prop_assert!(ending.is_some(), "the run does not end");
        prop_assert_eq!(rig.wire.iter().filter(|text| text.ends_with("stopped")).count(), 1);
        prop_assert!(rig.last().ends_with("stopped"));
        let numbers: Vec<u64> = rig.starts.iter().map(|start| start.number).collect();
        let expected: Vec<u64> = (1..).take(numbers.len()).collect();
        prop_assert_eq!(&numbers, &expected);
        prop_assert!(numbers.len() as u64 <= planned);
        if matches!(ending, Some(Ending::AllEpochs { .. })) {
            prop_assert_eq!(numbers.len() as u64, planned);
        }
    }

    #[test]
    fn message_ids_never_go_back_and_only_a_restored_bus_repeats_one(
        settings in some_settings(),
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let mut rig = Rig::started(settings);
        let mut said = Vec::new();
        let (mut newest, mut standing) = (1, 1);
        for step in &steps {
            let before = rig.published.len();
            take(&mut rig, &mut said, step);
            for message in &rig.published[before..] {
                let number: u64 = message.header.message_id["Clock-".len()..].parse().unwrap();
                let repeated = matches!(step, Step::Restored) && number == standing;
                prop_assert!(repeated || number > newest, "{number} after {newest}");
                newest = newest.max(number);
                if !matches!(message.body, Body::EpochOverrun(_)) {
                    standing = number;
                }
            }
            if rig.ending.is_some() {
                break;
            }
        }
    }
}
