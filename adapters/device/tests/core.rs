//! The rules of the device loop, one test each, in numbered time.

use gridloop_clock::MonoTime;
use gridloop_device::{
    Ageing, Applied, Capabilities, Command, Description, DeviceCore, DeviceError, Disarmed, Done, FailSafe,
    Job, Left, Link, Mode, Next, NotAccepted, Occurrence, PowerRange, Quality, Renewal, SafeState, Setpoint,
    Snapshot, TaskSettings, Unit, point,
};
use proptest::prelude::*;
use std::time::Duration;

const SETTINGS: TaskSettings = TaskSettings {
    mode: Mode::Armed,
    armed_for: None,
    write_interval: Duration::ZERO,
    poll_interval: Duration::from_millis(200),
    job_timeout: Duration::from_millis(500),
    write_timeout: Duration::from_millis(500),
    connect_timeout: Duration::from_millis(500),
    backoff_min: Duration::from_millis(100),
    backoff_max: Duration::from_millis(1600),
    safe_state: SafeState::Release,
    release_within: Duration::from_secs(5),
};

fn ms(millis: u64) -> MonoTime {
    MonoTime::from_nanos(millis * 1_000_000)
}

fn power(kw: f64, epoch: u64, at: u64) -> Setpoint {
    let command = Command::Power { real_power_w: kw * 1000.0, reactive_power_var: 0.0 };
    Setpoint { command, epoch, received_at: ms(at), expires_at: ms(at + 3000), order: 0 }
}

fn timeout() -> DeviceError {
    DeviceError::Timeout { operation: "test".into(), waited: Duration::from_millis(500) }
}

fn reading(at: u64) -> Snapshot {
    let mut snapshot = Snapshot::default();
    snapshot.put(point::REAL_POWER, 1234.0, Unit::Watt, ms(at));
    snapshot
}

/// A core that is connected and has read at instant 0.
fn connected(settings: TaskSettings, description: Description) -> DeviceCore {
    let mut core = DeviceCore::new(settings, ms(0));
    assert_eq!(core.next(ms(0)), Next::Do(Job::Connect));
    core.done(Done::Connected(Ok(description)), ms(0));
    assert_eq!(core.next(ms(0)), Next::Do(Job::Read), "the device's state is adopted before anything else");
    core.done(Done::Read(Ok(reading(0))), ms(0));
    core
}

fn confirm(core: &mut DeviceCore, setpoint: Setpoint, at: u64) {
    assert_eq!(core.next(ms(at)), Next::Do(Job::Apply(setpoint)));
    core.done(Done::Applied(Ok(Applied::Confirmed { readback: setpoint.command })), ms(at));
}

#[test]
fn a_setpoint_is_written_before_a_reading_that_is_due() {
    let mut core = connected(SETTINGS, Description::default());
    let setpoint = power(3.0, 1, 200);
    core.command(setpoint, ms(200)).unwrap();
    core.refresh();
    confirm(&mut core, setpoint, 200);
    assert_eq!(core.next(ms(200)), Next::Do(Job::Read));
    assert_eq!(core.image().held, Some(setpoint.command));
}

#[test]
fn a_repeated_setpoint_is_written_once_and_keeps_the_device_alive() {
    let mut core = connected(SETTINGS, Description::default());
    confirm_first(&mut core);
    core.command(power(3.0, 2, 1100), ms(1100)).unwrap();
    core.done(Done::Read(Ok(reading(1100))), ms(1100));
    assert_eq!(core.next(ms(1100)), Next::Until(ms(1300)), "no second write");
    core.done(Done::Read(Ok(reading(4000))), ms(4000));
    assert_eq!(core.next(ms(4000)), Next::Until(ms(4100)), "the dead-man timer counts from the newest");
}

fn confirm_first(core: &mut DeviceCore) {
    let setpoint = power(3.0, 1, 100);
    core.command(setpoint, ms(100)).unwrap();
    confirm(core, setpoint, 100);
}

#[test]
fn a_device_with_a_timer_of_its_own_is_told_again_after_a_third_of_it() {
    let fail_safe = FailSafe::RevertsToFree { after: Duration::from_millis(300) };
    let mut core = connected(SETTINGS, Description { fail_safe, ..Description::default() });
    confirm_first(&mut core);
    assert_eq!(core.next(ms(100)), Next::Until(ms(200)));
    let Next::Do(Job::Apply(again)) = core.next(ms(200)) else { panic!("no refresh") };
    core.done(Done::Applied(Ok(Applied::Confirmed { readback: again.command })), ms(200));
    let firsts: Vec<bool> = core
        .occurrences()
        .filter_map(|o| if let Occurrence::Applied { first, .. } = o { Some(first) } else { None })
        .collect();
    assert_eq!(firsts, [true, false]);
}

#[test]
fn without_a_newer_setpoint_the_device_is_released() {
    let mut core = connected(SETTINGS, Description::default());
    confirm_first(&mut core);
    core.done(Done::Read(Ok(reading(3099))), ms(3099));
    assert_eq!(core.next(ms(3099)), Next::Until(ms(3100)));
    assert_eq!(core.next(ms(3100)), Next::Do(Job::Release(SafeState::Release)));
    core.done(Done::Released(Ok(Applied::Confirmed { readback: power(8.0, 0, 0).command })), ms(3100));
    assert_eq!(core.left(), Left::Released);
    assert!(core.occurrences().any(|o| matches!(o, Occurrence::DeadMan(_))));
}

#[test]
fn a_write_that_timed_out_is_settled_by_a_reading_before_it_is_repeated() {
    let mut core = connected(SETTINGS, Description::default());
    let setpoint = power(3.0, 1, 100);
    core.command(setpoint, ms(100)).unwrap();
    assert_eq!(core.next(ms(100)), Next::Do(Job::Apply(setpoint)));
    core.done(Done::Applied(Err(timeout())), ms(600));
    assert_eq!(core.image().held, None, "unknown is not held");
    assert_eq!(core.next(ms(600)), Next::Until(ms(700)), "back-off");
    assert_eq!(core.next(ms(700)), Next::Do(Job::Connect));
    core.done(Done::Connected(Ok(Description::default())), ms(700));
    assert_eq!(core.next(ms(700)), Next::Do(Job::Read));
    core.done(Done::Read(Ok(reading(700))), ms(700));
    assert_eq!(core.next(ms(700)), Next::Do(Job::Apply(setpoint)));
}

#[test]
fn back_off_doubles_up_to_its_cap_and_begins_anew_after_a_reading() {
    let mut core = DeviceCore::new(SETTINGS, ms(0));
    let mut now = 0;
    let mut waits = Vec::new();
    for _ in 0..7 {
        assert_eq!(core.next(ms(now)), Next::Do(Job::Connect));
        core.done(Done::Connected(Err(timeout())), ms(now));
        let Next::Until(at) = core.next(ms(now)) else { panic!("no wait") };
        waits.push(at.since(ms(now)).as_millis());
        now += u64::try_from(at.since(ms(now)).as_millis()).unwrap();
    }
    assert_eq!(waits, [100, 200, 400, 800, 1600, 1600, 1600]);
}

#[test]
fn an_older_epoch_an_expired_setpoint_and_a_read_only_device_refuse() {
    let mut core = connected(SETTINGS, Description::default());
    core.command(power(3.0, 5, 100), ms(100)).unwrap();
    assert_eq!(core.command(power(4.0, 4, 110), ms(110)), Err(NotAccepted::Older));
    assert_eq!(core.command(power(4.0, 6, 110), ms(3110)), Err(NotAccepted::Expired));
    let mut reader = connected(TaskSettings { mode: Mode::ReadOnly, ..SETTINGS }, Description::default());
    assert_eq!(reader.command(power(3.0, 1, 100), ms(100)), Err(NotAccepted::ReadOnly));
}

#[test]
fn a_dry_run_tells_and_never_writes() {
    let mut core = connected(TaskSettings { mode: Mode::DryRun, ..SETTINGS }, Description::default());
    core.command(power(3.0, 1, 100), ms(100)).unwrap();
    assert!(core.occurrences().any(|o| matches!(o, Occurrence::WouldApply(_))));
    assert_eq!(core.next(ms(100)), Next::Until(ms(200)));
    core.end(ms(100));
    assert_eq!(core.next(ms(100)), Next::End);
    assert_eq!(core.left(), Left::Untouched);
}

#[test]
fn the_end_releases_a_driven_device_and_gives_up_at_its_bound() {
    let mut core = connected(SETTINGS, Description::default());
    confirm_first(&mut core);
    core.end(ms(500));
    assert_eq!(core.next(ms(500)), Next::Do(Job::Release(SafeState::Release)));
    core.done(Done::Released(Err(timeout())), ms(1000));
    assert!(matches!(core.next(ms(1000)), Next::Until(_)));
    assert_eq!(core.next(ms(5500)), Next::End);
    assert!(matches!(core.left(), Left::Unknown(_)));
}

#[test]
fn what_is_released_after_a_write_of_unknown_outcome_is_released_once_more() {
    let mut core = connected(SETTINGS, Description::default());
    let setpoint = power(3.0, 1, 100);
    core.command(setpoint, ms(100)).unwrap();
    assert_eq!(core.next(ms(100)), Next::Do(Job::Apply(setpoint)));
    core.done(Done::Applied(Err(timeout())), ms(200));
    core.end(ms(200));
    assert_eq!(core.next(ms(300)), Next::Do(Job::Connect));
    core.done(Done::Connected(Ok(Description::default())), ms(300));
    core.done(Done::Read(Ok(reading(300))), ms(300));
    let release = Next::Do(Job::Release(SafeState::Release));
    let released = || Done::Released(Ok(Applied::Confirmed { readback: power(8.0, 0, 0).command }));
    assert_eq!(core.next(ms(300)), release);
    core.done(released(), ms(300));
    assert!(matches!(core.left(), Left::Unknown(_)), "the write may still be on its way");
    assert_eq!(core.next(ms(500)), Next::Do(Job::Read));
    core.done(Done::Read(Ok(reading(500))), ms(500));
    assert_eq!(core.next(ms(501)), Next::Until(ms(700)));
    assert_eq!(core.next(ms(700)), release);
    core.done(released(), ms(700));
    assert_eq!((core.next(ms(700)), core.left()), (Next::End, Left::Released));
}

#[test]
fn a_release_that_takes_its_time_is_asked_for_after_each_reading_and_hurries_nobody() {
    let mut core = connected(SETTINGS, Description::default());
    confirm_first(&mut core);
    core.end(ms(150));
    assert_eq!(core.next(ms(150)), Next::Do(Job::Release(SafeState::Release)));
    core.done(Done::Released(Ok(Applied::InProgress)), ms(150));
    assert_eq!(core.next(ms(150)), Next::Until(ms(200)), "the usual pace of readings");
    assert_eq!(core.next(ms(200)), Next::Do(Job::Read));
    core.done(Done::Read(Ok(reading(200))), ms(200));
    assert_eq!(core.next(ms(200)), Next::Do(Job::Release(SafeState::Release)));
}

#[test]
fn a_command_that_the_device_lost_is_told_as_such() {
    let mut core = connected(SETTINGS, Description::default());
    let setpoint = Setpoint { expires_at: ms(60_000), ..power(3.0, 1, 100) };
    core.command(setpoint, ms(100)).unwrap();
    confirm(&mut core, setpoint, 100);
    core.done(Done::Read(Ok(reading(5100))), ms(5100));
    assert_eq!(core.next(ms(5100)), Next::Do(Job::Apply(setpoint)), "looked after every five seconds");
    core.done(Done::Applied(Ok(Applied::Restored { readback: setpoint.command })), ms(5100));
    assert!(core.occurrences().any(|o| matches!(o, Occurrence::Restored { .. })));
}

#[test]
fn a_point_that_is_no_longer_reported_is_not_good() {
    let mut core = connected(SETTINGS, Description::default());
    core.done(Done::Read(Ok(Snapshot::default())), ms(10));
    let ageing = Ageing { stale_after: Duration::from_secs(1), lost_after: Duration::from_secs(2) };
    assert_eq!(core.image().point(point::REAL_POWER, ageing, ms(10)).unwrap().0.quality, Quality::Stale);
}

#[test]
fn a_power_that_the_device_cannot_have_is_out_of_range() {
    let power = Some(PowerRange { min_w: 0.0, max_w: 500.0, max_var: 0.0 });
    let capabilities = Capabilities { power, ..Capabilities::default() };
    let core = connected(SETTINGS, Description { capabilities, ..Description::default() });
    let ageing = Ageing { stale_after: Duration::from_secs(1), lost_after: Duration::from_secs(2) };
    assert_eq!(core.image().point(point::REAL_POWER, ageing, ms(0)).unwrap().0.quality, Quality::OutOfRange);
}

#[test]
fn an_untouched_device_ends_untouched() {
    let mut core = connected(SETTINGS, Description::default());
    core.end(ms(10));
    assert_eq!(core.next(ms(10)), Next::End);
    assert_eq!(core.left(), Left::Untouched);
}

#[test]
fn values_age_from_good_to_stale_to_lost() {
    let mut core = connected(SETTINGS, Description::default());
    let ageing = Ageing { stale_after: Duration::from_millis(400), lost_after: Duration::from_millis(2000) };
    let quality =
        |core: &DeviceCore, at| core.image().point(point::REAL_POWER, ageing, ms(at)).unwrap().0.quality;
    assert_eq!(quality(&core, 400), Quality::Good);
    assert_eq!(quality(&core, 401), Quality::Stale);
    assert_eq!(quality(&core, 2001), Quality::CommLost);
    core.done(Done::Read(Err(timeout())), ms(300));
    assert_eq!(quality(&core, 300), Quality::CommLost, "a device that does not answer has no good values");
    assert_eq!(core.image().link, Link::Down);
}

#[derive(Debug, Clone)]
enum Step {
    Command { kw: u8, epoch: u8 },
    Refresh,
    Pass { millis: u16 },
    Work { fails: bool, refuses: bool },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..8u8, 0..20u8).prop_map(|(kw, epoch)| Step::Command { kw, epoch }),
        Just(Step::Refresh),
        (0..2000u16).prop_map(|millis| Step::Pass { millis }),
        (any::<bool>(), any::<bool>()).prop_map(|(fails, refuses)| Step::Work { fails, refuses }),
    ];
    prop::collection::vec(step, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever happens: no expired setpoint is written, only the newest is, nothing is written before the first
    /// reading after a connect, and the end always comes, with a device that is released or said to be unknown.
    #[test]
    fn no_order_of_events_writes_what_must_not_be_written(steps in steps()) {
        let mut core = DeviceCore::new(SETTINGS, ms(0));
        let mut now = 0;
        let mut newest: Option<Setpoint> = None;
        let mut read_since_connect = false;
        for step in steps {
            match step {
                Step::Command { kw, epoch } => {
                    let setpoint = power(f64::from(kw), u64::from(epoch), now);
                    if core.command(setpoint, ms(now)).is_ok() { newest = Some(setpoint); }
                }
                Step::Refresh => core.refresh(),
                Step::Pass { millis } => now += u64::from(millis),
                Step::Work { fails, refuses } => {
                    let Next::Do(job) = core.next(ms(now)) else { continue };
                    let error = if refuses {
                        DeviceError::Refused { operation: "t".into(), reason: "t".into() }
                    } else { timeout() };
                    let done = match job {
                        Job::Connect if fails => Done::Connected(Err(timeout())),
                        Job::Connect => { read_since_connect = false; Done::Connected(Ok(Description::default())) }
                        Job::Read if fails => Done::Read(Err(timeout())),
                        Job::Read => { read_since_connect = true; Done::Read(Ok(reading(now))) }
                        Job::Apply(setpoint) => {
                            prop_assert!(read_since_connect);
                            prop_assert!(ms(now) < setpoint.expires_at);
                            let told = |it: Setpoint| (it.command, it.epoch, it.expires_at);
                            prop_assert_eq!(Some(told(setpoint)), newest.map(told));
                            if fails { Done::Applied(Err(error)) }
                            else { Done::Applied(Ok(Applied::Confirmed { readback: setpoint.command })) }
                        }
                        Job::Release(_) => {
                            prop_assert!(read_since_connect);
                            let readback = power(8.0, 0, 0).command;
                            if fails { Done::Released(Err(error)) } else { Done::Released(Ok(Applied::Confirmed { readback })) }
                        }
                    };
                    core.done(done, ms(now));
                }
            }
        }
        core.end(ms(now));
        for _ in 0..1000 {
            match core.next(ms(now)) {
                Next::Do(Job::Connect) => core.done(Done::Connected(Ok(Description::default())), ms(now)),
                Next::Do(Job::Read) => core.done(Done::Read(Ok(reading(now))), ms(now)),
                Next::Do(Job::Release(_)) => {
                    let readback = power(8.0, 0, 0).command;
                    core.done(Done::Released(Ok(Applied::Confirmed { readback })), ms(now));
                }
                Next::Do(Job::Apply(_)) => prop_assert!(false, "a write after the end"),
                Next::Until(at) => now = at.as_nanos().div_ceil(1_000_000),
                Next::End => {
                    prop_assert!(!matches!(core.left(), Left::Unknown(_)), "everything answered");
                    return Ok(());
                }
            }
        }
        prop_assert!(false, "no end");
    }
}

#[test]
fn another_command_waits_for_the_write_interval_and_the_newest_wins() {
    let settings = TaskSettings { write_interval: Duration::from_secs(1), ..SETTINGS };
    let mut core = connected(settings, Description::default());
    confirm_first(&mut core);
    core.command(power(2.0, 2, 200), ms(200)).unwrap();
    core.command(power(1.0, 3, 300), ms(300)).unwrap();
    core.done(Done::Read(Ok(reading(1000))), ms(1000));
    assert_eq!(core.next(ms(1000)), Next::Until(ms(1100)));
    confirm(&mut core, power(1.0, 3, 300), 1100);
    core.end(ms(1100));
    assert_eq!(
        core.next(ms(1100)),
        Next::Do(Job::Release(SafeState::Release)),
        "the safe state does not wait"
    );
}

#[test]
fn when_the_lease_runs_out_the_device_is_released_and_takes_nothing_more() {
    let settings = TaskSettings { armed_for: Some(Duration::from_secs(1)), ..SETTINGS };
    let mut core = connected(settings, Description::default());
    confirm_first(&mut core);
    core.done(Done::Read(Ok(reading(900))), ms(900));
    assert_eq!(core.next(ms(900)), Next::Until(ms(1000)));
    assert_eq!(core.next(ms(1000)), Next::Do(Job::Release(SafeState::Release)));
    assert_eq!(core.image().mode, Mode::ReadOnly);
    assert_eq!(core.command(power(1.0, 2, 1000), ms(1000)), Err(NotAccepted::ReadOnly));
    let disarmed = Occurrence::Disarmed(Disarmed::LeaseExpired);
    assert_eq!(core.occurrences().filter(|it| *it == disarmed).count(), 1);
}

#[test]
fn a_read_only_device_that_is_armed_is_driven_until_then_and_read_only_again() {
    let settings = TaskSettings { mode: Mode::ReadOnly, ..SETTINGS };
    let mut core = connected(settings, Description::default());
    core.arm(ms(1000));
    confirm_first(&mut core);
    core.disarm(ms(500));
    assert_eq!(core.next(ms(500)), Next::Do(Job::Release(SafeState::Release)));
    core.done(Done::Released(Ok(Applied::Confirmed { readback: power(8.0, 0, 0).command })), ms(500));
    assert_eq!((core.image().mode, core.left()), (Mode::ReadOnly, Left::Released));
    core.arm(ms(900));
    assert_eq!(core.command(power(1.0, 2, 950), ms(950)), Err(NotAccepted::ReadOnly), "after its time");
}

#[test]
fn what_is_taken_back_is_released_and_a_newer_setpoint_is_written() {
    let mut core = connected(SETTINGS, Description::default());
    confirm_first(&mut core);
    core.take_back(ms(200));
    assert_eq!(core.next(ms(200)), Next::Do(Job::Release(SafeState::Release)));
    core.done(Done::Released(Ok(Applied::Confirmed { readback: power(8.0, 0, 0).command })), ms(200));
    core.command(power(2.0, 2, 200), ms(200)).unwrap();
    confirm(&mut core, power(2.0, 2, 200), 200);
    core.take_back(ms(300));
    core.command(power(1.0, 3, 300), ms(300)).unwrap();
    assert_eq!(
        core.next(ms(300)),
        Next::Do(Job::Apply(power(1.0, 3, 300))),
        "the newer one ends the release"
    );
}

#[test]
fn a_write_is_told_before_it_is_done_once() {
    let mut core = connected(SETTINGS, Description::default());
    let setpoint = power(3.0, 1, 100);
    core.command(setpoint, ms(100)).unwrap();
    let told = |core: &mut DeviceCore| {
        core.occurrences().filter(|it| matches!(it, Occurrence::Writing { .. })).collect::<Vec<_>>()
    };
    let Next::Do(job) = core.next(ms(100)) else { panic!("nothing to do") };
    core.begins(&job);
    assert_eq!(told(&mut core), [Occurrence::Writing { setpoint, before: None }]);
    core.done(Done::Applied(Ok(Applied::InProgress)), ms(100));
    core.done(Done::Read(Ok(reading(300))), ms(300));
    let Next::Do(job) = core.next(ms(300)) else { panic!("nothing to do") };
    core.begins(&job);
    assert_eq!((job, told(&mut core)), (Job::Apply(setpoint), vec![]), "it is under way already");
}

#[test]
fn a_device_that_is_told_when_a_command_expires_is_told_again_in_time() {
    let description = Description { renewal: Renewal::BeforeExpiry, ..Description::default() };
    let mut core = connected(SETTINGS, description);
    confirm_first(&mut core);
    core.command(power(3.0, 2, 1000), ms(1000)).unwrap();
    core.done(Done::Read(Ok(reading(1590))), ms(1590));
    assert_eq!(core.next(ms(1590)), Next::Until(ms(1600)), "half-way to 3100 ms");
    assert_eq!(
        core.next(ms(1600)),
        Next::Do(Job::Apply(Setpoint { received_at: ms(100), ..power(3.0, 2, 1000) }))
    );
}

#[test]
fn another_command_does_not_wait_until_the_timer_of_the_device_has_ended_the_one_before() {
    let settings = TaskSettings { write_interval: Duration::from_secs(60), ..SETTINGS };
    let fail_safe = FailSafe::RevertsToFree { after: Duration::from_millis(900) };
    let mut core = connected(settings, Description { fail_safe, ..Description::default() });
    confirm_first(&mut core);
    core.command(power(1.0, 2, 200), ms(200)).unwrap();
    core.done(Done::Read(Ok(reading(390))), ms(390));
    assert_eq!(core.next(ms(390)), Next::Until(ms(400)), "a third of 900 ms after the first write");
    confirm(&mut core, power(1.0, 2, 200), 400);
}

#[test]
fn a_command_that_is_refused_again_and_again_does_not_keep_the_one_before_on_the_device() {
    let mut core = connected(SETTINGS, Description::default());
    confirm_first(&mut core);
    let refused = DeviceError::Refused { operation: "test".into(), reason: "no".into() };
    for at in (200..3000).step_by(1000) {
        let other = power(9.0, 2, at);
        core.command(other, ms(at)).unwrap();
        assert_eq!(core.next(ms(at)), Next::Do(Job::Apply(other)));
        core.done(Done::Applied(Err(refused.clone())), ms(at));
        core.done(Done::Read(Ok(reading(at))), ms(at));
    }
    assert_eq!(core.image().held, None, "it may be anything");
    core.done(Done::Read(Ok(reading(3050))), ms(3050));
    assert_eq!(core.next(ms(3050)), Next::Until(ms(3100)), "the first command was good until then");
    assert_eq!(core.next(ms(3100)), Next::Do(Job::Release(SafeState::Release)));
}
