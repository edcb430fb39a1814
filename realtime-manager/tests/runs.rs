//! Whole runs over the memory bus, against small components of the test's own: in simulated time, and one on the
//! pacer's real thread.

use bytes::Bytes;
use gridloop_bus::{Bus, BusError, Event, Subscribe, Subscription, WhenFull};
use gridloop_clock::{Clock, SharedClock, SimulatedClock, WallClock, sleep, until};
use gridloop_messages::{
    Body, Decoded, EpochFields, Header, Message, SimState, SimulationId, SimulationState, Status, Timestamp,
    decode, topic,
};
use gridloop_realtime_manager::{
    EpochCounts, Outcome, Overrun, Pace, PacerSettings, PacerThread, Progress, Report, RunError, Settings,
    Speed, StartAt, run,
};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const MS: Duration = Duration::from_millis(1);
const S: Duration = Duration::from_secs(1);

fn timestamp(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn settings(components: &[&str]) -> Settings {
    Settings {
        name: "Clock".into(),
        simulation_id: SimulationId::new(timestamp("2024-03-01T08:00:00.000Z")),
        simulation_name: "Valley feeder".into(),
        description: String::new(),
        components: components.iter().map(ToString::to_string).collect(),
        initial_start_time: timestamp("2023-02-01T00:00:00.000Z"),
        epoch_length: S,
        epochs: 60,
        speed: Speed::Times(1.0),
        overrun: Overrun::Stretch,
        start_at: StartAt::Now,
        start_delay: Duration::ZERO,
        resend_interval: S * 120,
        max_resends: 5,
        late_tolerance: None,
        release_lead: Duration::ZERO,
    }
}

/// Runs `work` in simulated time, which moves when every task waits.
fn simulated<F: Future>(work: impl FnOnce(SharedClock) -> F) -> F::Output {
    let clock = SimulatedClock::new(timestamp("2024-03-01T08:00:00.250Z").as_datetime());
    let idle = clock.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .on_thread_park(move || {
            let _ = idle.advance();
        })
        .build()
        .unwrap();
    runtime.block_on(work(Arc::new(clock)))
}

/// A listed component, or a listener if it never answers.
struct Component {
    name: String,
    bus: Bus,
    inbox: Subscription,
    clock: SharedClock,
    /// How it answers an epoch: after this time, or not at all.
    answer: fn(u64) -> Option<Duration>,
}

impl Component {
    async fn new(name: &str, bus: &Bus, clock: &SharedClock, answer: fn(u64) -> Option<Duration>) -> Self {
        let bus = bus.session();
        let patterns = vec![topic::SIM_STATE.into(), topic::EPOCH.into()];
        let subscribe = Subscribe { name: name.into(), patterns, capacity: 1024, when_full: WhenFull::Wait };
        let inbox = bus.subscribe(subscribe).await.unwrap();
        Self { name: name.into(), bus, inbox, clock: Arc::clone(clock), answer }
    }

    /// Takes part until the run ends, and gives the manager's messages as it saw them.
    async fn take_part(mut self) -> Vec<Message> {
        let mut heard = Vec::new();
        while let Some(event) = self.inbox.recv().await {
            let Event::Message(delivery) = event else { continue };
            let Ok(Decoded::Message(message)) = decode(&delivery.body, self.clock.utc().into()) else {
                panic!("the manager's messages are valid")
            };
            let stopped =
                matches!(&message.body, Body::SimState(s) if s.simulation_state == SimulationState::Stopped);
            heard.push(message);
            if stopped {
                break;
            }
            let trigger = &heard[heard.len() - 1];
            let epoch = trigger.epoch_number().unwrap_or(0);
            if let Some(delay) = (self.answer)(epoch) {
                sleep(self.clock.as_ref(), delay).await;
                let answer = ready(&self.name, epoch, heard.len(), vec![trigger.header.message_id.clone()]);
                self.bus.publish(topic::STATUS_READY, answer).await.unwrap();
            }
        }
        heard
    }
}

/// `ready` of the run that [`settings`] make.
fn ready(name: &str, epoch: u64, count: usize, triggers: Vec<String>) -> Bytes {
    let header = Header {
        simulation_id: settings(&[]).simulation_id,
        timestamp: timestamp("2024-03-01T08:00:01.000Z"),
        source_process_id: name.to_owned(),
        message_id: format!("{name}-{count}"),
        epoch: Some(EpochFields {
            epoch_number: epoch,
            triggering_message_ids: triggers,
            ..EpochFields::default()
        }),
    };
    let body = Body::Status(Status::READY);
    Message { header, body }.encode().unwrap().into()
}

/// What came of a run.
struct Ran {
    report: Report,
    progress: Vec<Progress>,
    /// What the first component heard.
    heard: Vec<Message>,
    took: Duration,
}

type Answer = fn(u64) -> Option<Duration>;

/// A run in simulated time with these components.
fn ran(settings: Settings, answers: &[(&str, Answer)]) -> Ran {
    simulated(|clock| async move {
        let pace = Pace::Clock(Arc::clone(&clock));
        ran_on(clock, pace, settings, answers, CancellationToken::new()).await
    })
}

async fn ran_on(
    clock: SharedClock,
    pace: Pace,
    settings: Settings,
    answers: &[(&str, Answer)],
    cancel: CancellationToken,
) -> Ran {
    let bus = Bus::memory(None);
    let mut tasks = Vec::new();
    for (name, answer) in answers {
        tasks.push(tokio::spawn(Component::new(name, &bus, &clock, *answer).await.take_part()));
    }
    let mut progress = Vec::new();
    let begun = clock.now();
    let report = run(settings, bus, Arc::clone(&clock), pace.into(), cancel, |step| progress.push(step))
        .await
        .unwrap();
    let took = clock.now().since(begun);
    let mut heard = Vec::new();
    for task in tasks {
        heard.push(task.await.unwrap());
    }
    Ran { report, progress, heard: heard.swap_remove(0), took }
}

fn at_once(_: u64) -> Option<Duration> {
    Some(Duration::ZERO)
}

#[test]
fn sixty_epochs_of_a_second_take_fifty_nine_seconds_and_none_is_late() {
    let ran = ran(settings(&["A", "B"]), &[("A", |_| Some(MS * 300)), ("B", |_| Some(MS * 900))]);
    let expected = EpochCounts { planned: 60, completed: 60, late: 0, skipped: 0 };
    assert_eq!((ran.report.outcome, ran.report.epochs), (Outcome::Completed, expected));
    // Initialisation, 59 whole epochs and the last one up to its last answer.
    assert_eq!(ran.took, MS * 900 + S * 59 + MS * 900);
    let lateness = ran.report.pacing.start_lateness_us;
    assert_eq!((lateness.samples, lateness.max), (60, Some(0.0)));
    let turnaround = ran.report.pacing.turnaround_us;
    assert_eq!(turnaround.max.map(|us| (us / 900.0).round()), Some(1000.0));
}

#[test]
fn a_run_tells_its_steps_in_order() {
    let ran = ran(Settings { epochs: 1, ..settings(&["A"]) }, &[("A", at_once)]);
    let started = Progress::EpochStarted { number: 1, late_by: Some(Duration::ZERO), skipped: 0 };
    let completed = Progress::EpochCompleted { number: 1, turnaround: Duration::ZERO, missing: vec![] };
    let reason = "all 1 epochs were run".to_owned();
    let finished = Progress::Finished { outcome: Outcome::Completed, reason };
    assert_eq!(ran.progress, [Progress::Running { missing: vec!["A".into()] }, started, completed, finished]);
}

#[test]
fn an_unpaced_run_waits_for_nothing_but_answers() {
    let unpaced = Settings { speed: Speed::Max, epochs: 500, ..settings(&["A", "B"]) };
    let ran = ran(unpaced, &[("A", at_once), ("B", at_once)]);
    assert_eq!((ran.report.epochs.completed, ran.took), (500, Duration::ZERO));
    assert_eq!(ran.report.pacing.start_lateness_us.samples, 0);
    assert_eq!(ran.report.pacing.scheduler, "none: unpaced");
}

#[test]
fn every_epoch_is_triggered_by_the_answers_to_the_one_before() {
    let unpaced = Settings { speed: Speed::Max, epochs: 3, ..settings(&["A"]) };
    let ran = ran(unpaced, &[("A", at_once)]);
    let triggers: Vec<_> = ran
        .heard
        .iter()
        .filter_map(|message| message.header.epoch.as_ref())
        .map(|fields| (fields.epoch_number, fields.triggering_message_ids.join(",")))
        .collect();
    assert_eq!(triggers, [(1, "A-1".to_owned()), (2, "A-2".to_owned()), (3, "A-3".to_owned())]);
}

#[test]
fn skip_counts_and_names_a_slow_component_and_keeps_the_grid() {
    let slow = |epoch: u64| Some(if epoch == 7 { MS * 1400 } else { MS * 100 });
    let skip = Settings { overrun: Overrun::Skip, epochs: 20, ..settings(&["A", "B"]) };
    let ran = ran(skip, &[("A", at_once), ("B", slow)]);
    let report = &ran.report;
    let expected = EpochCounts { planned: 20, completed: 20, late: 1, skipped: 0 };
    assert_eq!((report.outcome, report.epochs), (Outcome::Completed, expected));
    let late: Vec<_> =
        report.late_components.iter().map(|(name, late)| (name.as_str(), late.epochs)).collect();
    assert_eq!((late, report.pacing.overran, report.pacing.started_late), (vec![("B", 1)], 1, 0));
    assert_eq!(ran.took, MS * 100 + S * 19 + MS * 100);
    let left: Vec<_> = ran
        .progress
        .iter()
        .filter_map(|step| match step {
            Progress::EpochCompleted { number, missing, .. } if !missing.is_empty() => {
                Some((*number, missing))
            }
            _ => None,
        })
        .collect();
    assert_eq!(left, [(7, &vec!["B".to_owned()])]);
}

#[test]
fn stretch_moves_the_rest_of_the_run_by_the_overrun() {
    let slow = |epoch: u64| Some(if epoch == 7 { MS * 1400 } else { MS * 100 });
    let stretch = Settings { epochs: 20, ..settings(&["A", "B"]) };
    let ran = ran(stretch, &[("A", at_once), ("B", slow)]);
    assert_eq!((ran.report.epochs.late, ran.report.epochs.completed), (1, 20));
    assert_eq!(ran.took, MS * 100 + S * 19 + MS * 400 + MS * 100);
}

#[test]
fn abort_fails_and_names_the_slow_component() {
    let slow = |epoch: u64| Some(if epoch == 7 { MS * 1400 } else { MS * 100 });
    let abort = Settings { overrun: Overrun::Abort, ..settings(&["A", "B"]) };
    let ran = ran(abort, &[("A", at_once), ("B", slow)]);
    assert_eq!(ran.report.outcome, Outcome::Failed);
    assert_eq!(ran.report.reason, "epoch 7 ended while it waited for B");
    assert_eq!(ran.report.epochs.completed, 6);
}

#[test]
fn an_answer_delivered_at_the_very_instant_is_not_late() {
    let report = simulated(|clock| async move {
        let bus = Bus::memory(None);
        let initialised = |epoch: u64| (epoch == 0).then_some(Duration::ZERO);
        tokio::spawn(Component::new("A", &bus, &clock, initialised).await.take_part());
        // Begun before the manager's own wait for the same instant, so it is over before that one.
        let (session, punctual) = (bus.session(), sleep(clock.as_ref(), S));
        let answered = tokio::spawn(async move {
            punctual.await;
            session.publish(topic::STATUS_READY, ready("A", 1, 2, vec!["Clock-2".into()])).await.unwrap();
        });
        let pace = Pace::Clock(Arc::clone(&clock));
        let abort = Settings { overrun: Overrun::Abort, epochs: 1, ..settings(&["A"]) };
        let report =
            run(abort, bus, Arc::clone(&clock), pace.into(), CancellationToken::new(), |_| {}).await.unwrap();
        answered.await.unwrap();
        assert_eq!(clock.utc(), timestamp("2024-03-01T08:00:01.250Z").as_datetime());
        report
    });
    assert_eq!((report.outcome, report.epochs.late), (Outcome::Completed, 0), "{}", report.reason);
}

#[test]
fn a_silent_component_is_asked_again_and_the_run_is_given_up() {
    let silent = Settings { max_resends: 2, resend_interval: S, ..settings(&["A", "B"]) };
    let never_later = |epoch: u64| (epoch == 0).then_some(Duration::ZERO);
    let ran = ran(Settings { speed: Speed::Max, ..silent }, &[("A", at_once), ("B", never_later)]);
    assert_eq!(ran.report.reason, "no answer in epoch 1 after 2 re-sends from B");
    assert_eq!((ran.report.resends, ran.took), (2, S * 6));
}

#[test]
fn the_first_epoch_is_aligned_to_utc() {
    let aligned = Settings { start_at: StartAt::Aligned(S * 10), epochs: 2, ..settings(&["A"]) };
    let ran = ran(aligned, &[("A", at_once)]);
    let first = ran.heard.iter().find(|message| message.epoch_number() == Some(1)).unwrap();
    assert_eq!(first.header.timestamp, timestamp("2024-03-01T08:00:10.000Z"));
    assert_eq!(ran.took, MS * 9750 + S);
}

#[test]
fn a_cancelled_run_is_stopped_and_says_so() {
    let ran = simulated(|clock| async move {
        let cancel = CancellationToken::new();
        let stop = cancel.clone();
        let later = Arc::clone(&clock);
        tokio::spawn(async move {
            sleep(later.as_ref(), MS * 5500).await;
            stop.cancel();
        });
        let pace = Pace::Clock(Arc::clone(&clock));
        ran_on(clock, pace, settings(&["A"]), &[("A", at_once)], cancel).await
    });
    assert_eq!((ran.report.outcome, ran.report.epochs.completed), (Outcome::Stopped, 6));
    assert_eq!(ran.took, MS * 5500);
}

#[test]
fn what_cannot_be_understood_is_counted_and_changes_nothing() {
    let report = simulated(|clock| async move {
        let bus = Bus::memory(None);
        let component = Component::new("A", &bus, &clock, |_| Some(MS * 100)).await;
        let stranger = bus.session();
        tokio::spawn(component.take_part());
        tokio::spawn(async move {
            for body in [&b"\xff\xfe"[..], b"[]", b"{}", br#"{"Type": "Status"}"#] {
                stranger.publish(topic::STATUS_READY, Bytes::from_static(body)).await.unwrap();
            }
        });
        let pace = Pace::Clock(Arc::clone(&clock));
        let few = Settings { epochs: 2, ..settings(&["A"]) };
        run(few, bus, clock, pace.into(), CancellationToken::new(), |_| {}).await.unwrap()
    });
    assert_eq!((report.outcome, report.invalid_messages), (Outcome::Completed, 4));
}

#[test]
fn ready_counts_on_either_status_topic() {
    let report = simulated(|clock| async move {
        let bus = Bus::memory(None);
        let mut component = Component::new("A", &bus, &clock, |_| None).await;
        tokio::spawn(async move {
            let mut count = 0;
            while let Some(Event::Message(delivery)) = component.inbox.recv().await {
                let now = component.clock.utc().into();
                let Ok(Decoded::Message(message)) = decode(&delivery.body, now) else { continue };
                count += 1;
                let epoch = message.epoch_number().unwrap_or(0);
                let answer = ready("A", epoch, count, vec![message.header.message_id]);
                component.bus.publish(topic::STATUS_ERROR, answer).await.unwrap();
            }
        });
        let pace = Pace::Clock(Arc::clone(&clock));
        let few = Settings { epochs: 2, ..settings(&["A"]) };
        run(few, bus, clock, pace.into(), CancellationToken::new(), |_| {}).await.unwrap()
    });
    assert_eq!((report.outcome, report.resends), (Outcome::Completed, 0));
}

#[test]
fn a_closed_bus_fails_the_run_and_does_not_hang_it() {
    let report = simulated(|clock| async move {
        let bus = Bus::memory(None);
        let (closing, later) = (bus.clone(), Arc::clone(&clock));
        tokio::spawn(Component::new("A", &bus, &clock, at_once).await.take_part());
        tokio::spawn(async move {
            sleep(later.as_ref(), MS * 2500).await;
            closing.close().await;
        });
        let pace = Pace::Clock(Arc::clone(&clock));
        run(settings(&["A"]), bus, clock, pace.into(), CancellationToken::new(), |_| {}).await.unwrap()
    });
    assert_eq!((report.outcome, &report.reason[..]), (Outcome::Failed, "the bus session was closed"));
}

#[test]
fn nothing_starts_with_settings_that_make_no_sense() {
    let refused = simulated(|clock| async move {
        let pace = Pace::Clock(Arc::clone(&clock));
        let broken = Settings { name: String::new(), speed: Speed::Times(0.0), ..settings(&["A"]) };
        run(broken, Bus::memory(None), clock, pace.into(), CancellationToken::new(), |_| {}).await
    });
    assert!(matches!(refused, Err(RunError::Settings(problems)) if problems.len() == 2));
}

/// `SimState running` of a manager that is not ours, in the run that [`settings`] make.
fn foreign_sim_state(name: &str) -> Bytes {
    let body = Body::SimState(SimState {
        simulation_state: SimulationState::Running,
        name: Some(String::new()),
        description: Some(String::new()),
    });
    let header = Header {
        simulation_id: settings(&[]).simulation_id,
        timestamp: timestamp("2024-03-01T07:59:59.000Z"),
        source_process_id: name.to_owned(),
        message_id: format!("{name}-1"),
        epoch: None,
    };
    Message { header, body }.encode().unwrap().into()
}

#[test]
fn a_second_manager_is_refused_by_the_lease_and_changes_nothing() {
    simulated(|clock| async move {
        let bus = Bus::memory(None);
        tokio::spawn(Component::new("A", &bus, &clock, |_| Some(MS * 100)).await.take_part());
        let pace = || Pace::Clock(Arc::clone(&clock));
        let few = || Settings { epochs: 3, ..settings(&["A"]) };
        let (session, shared) = (bus.session(), Arc::clone(&clock));
        let first =
            tokio::spawn(run(few(), session, shared, pace().into(), CancellationToken::new(), |_| {}));
        sleep(clock.as_ref(), MS * 500).await;
        let heard = Component::new("listener", &bus, &clock, |_| None).await;
        let other = Settings { name: "manager".into(), ..few() };
        let (session, shared) = (bus.session(), Arc::clone(&clock));
        let refused = run(other, session, shared, pace().into(), CancellationToken::new(), |_| {}).await;
        assert!(matches!(refused, Err(RunError::Lease(BusError::LeaseTaken { .. }))), "{refused:?}");
        let report = first.await.unwrap().unwrap();
        assert_eq!((report.outcome, report.epochs.completed), (Outcome::Completed, 3));
        assert!(report.other_managers.is_empty());
        let senders = heard.take_part().await;
        assert!(senders.iter().all(|message| message.header.source_process_id == "Clock"));
        let after =
            run(few(), bus.session(), Arc::clone(&clock), pace().into(), CancellationToken::new(), |_| {});
        let begun = until(clock.as_ref(), clock.now() + MS, after).await;
        assert!(begun.is_none(), "the lease is free again when the run is over");
    });
}

#[test]
fn a_manager_without_a_lease_that_spoke_first_is_named_and_keeps_the_run() {
    for name in ["manager", "Clock"] {
        let (refused, heard) = simulated(|clock| async move {
            let bus = Bus::memory(None);
            let listener = Component::new("A", &bus, &clock, |_| None).await;
            let (session, later) = (bus.session(), Arc::clone(&clock));
            tokio::spawn(async move {
                sleep(later.as_ref(), S * 3).await;
                session.publish(topic::SIM_STATE, foreign_sim_state(name)).await.unwrap();
            });
            let pace = Pace::Clock(Arc::clone(&clock));
            let waits = Settings { start_delay: S * 10, ..settings(&["A"]) };
            let refused =
                run(waits, bus.session(), clock, pace.into(), CancellationToken::new(), |_| {}).await;
            listener.bus.close().await;
            (refused, listener.take_part().await)
        });
        let text = refused.unwrap_err().to_string();
        let expected = format!("another manager, `{name}`, is at work in run 2024-03-01T08:00:00.000Z");
        assert!(text.starts_with(&expected), "{text}");
        let said: Vec<_> = heard.iter().map(|message| message.header.timestamp).collect();
        assert_eq!(said.len(), 1, "nothing but the other's own word");
    }
}

#[test]
fn a_manager_without_a_lease_that_speaks_later_is_in_the_report() {
    let report = simulated(|clock| async move {
        let bus = Bus::memory(None);
        tokio::spawn(Component::new("A", &bus, &clock, |_| Some(MS * 100)).await.take_part());
        let (session, later) = (bus.session(), Arc::clone(&clock));
        tokio::spawn(async move {
            for _ in 0..2 {
                sleep(later.as_ref(), S).await;
                session.publish(topic::SIM_STATE, foreign_sim_state("manager")).await.unwrap();
            }
        });
        let pace = Pace::Clock(Arc::clone(&clock));
        let few = Settings { epochs: 5, ..settings(&["A"]) };
        run(few, bus, clock, pace.into(), CancellationToken::new(), |_| {}).await.unwrap()
    });
    assert_eq!((report.outcome, report.epochs.completed), (Outcome::Completed, 5));
    let others: Vec<_> = report.other_managers.into_iter().collect();
    assert_eq!(others, [("manager".to_owned(), 2)]);
}

#[test]
fn a_message_that_cannot_be_written_ends_the_run_with_stopped() {
    // The last millisecond that a timestamp can spell: the second epoch has no end.
    let late = timestamp("9999-12-31T23:59:59.000Z");
    let ran = ran(Settings { initial_start_time: late, ..settings(&["A"]) }, &[("A", at_once)]);
    assert_eq!(ran.report.outcome, Outcome::Failed);
    assert!(ran.report.reason.starts_with("a message could not be written: "), "{}", ran.report.reason);
    assert!(matches!(&ran.heard.last().unwrap().body, Body::SimState(state)
        if state.simulation_state == SimulationState::Stopped));
}

#[test]
fn a_manager_that_breaks_off_says_stopped_all_the_same() {
    let (report, heard) = simulated(|clock| async move {
        let bus = Bus::memory(None);
        let component = Component::new("A", &bus, &clock, at_once).await;
        let taking_part = tokio::spawn(component.take_part());
        let pace = Pace::Clock(Arc::clone(&clock));
        let watcher =
            |step| assert!(!matches!(step, Progress::EpochStarted { number: 3, .. }), "the watcher broke");
        let report =
            run(settings(&["A"]), bus, clock, pace.into(), CancellationToken::new(), watcher).await.unwrap();
        (report, taking_part.await.unwrap())
    });
    assert_eq!((report.outcome, &report.reason[..]), (Outcome::Failed, "internal error: the watcher broke"));
    assert!(matches!(&heard.last().unwrap().body, Body::SimState(state)
        if state.simulation_state == SimulationState::Stopped));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_on_the_pacers_thread_completes_and_names_its_scheduler() {
    let wall = WallClock::start().unwrap();
    let thread = PacerThread::start(wall.clone(), PacerSettings::default()).unwrap();
    let scheduler = thread.granted().scheduler.to_string();
    let fast = Settings { speed: Speed::Times(100.0), epochs: 30, ..settings(&["A", "B"]) };
    let answers: &[(&str, Answer)] = &[("A", at_once), ("B", at_once)];
    let begun = wall.now();
    let ran =
        ran_on(Arc::new(wall.clone()), Pace::Thread(thread), fast, answers, CancellationToken::new()).await;
    assert_eq!((ran.report.outcome, ran.report.epochs.completed), (Outcome::Completed, 30));
    assert_eq!(ran.report.pacing.scheduler, scheduler);
    assert!(wall.now().since(begun) >= MS * 290, "no epoch begins before its instant");
}
