//! Drills in simulated time, with inverters that keep their word and others that do not.

use super::*;
use async_trait::async_trait;
use gridloop_clock::{SharedClock, SimulatedClock, Utc, sleep};
use gridloop_device::{Capabilities, Device, FailSafe, PowerRange, Renewal, Unit};
use std::sync::{Arc, Mutex};

const RATED_W: f64 = 8000.0;
const SUN_W: f64 = 6000.0;
const TIMER: Duration = Duration::from_secs(10);

/// What an inverter does, whatever it says.
#[derive(Debug, Clone, Copy)]
struct Habits {
    states: FailSafe,
    /// When it really falls back, and to what; `None` of the value: it drops the limit.
    falls_back: Option<(Duration, Option<f64>)>,
    /// Its registers go on showing the command.
    keeps_registers: bool,
    /// Its power does what it likes.
    ignores_limits: bool,
    /// It answers nothing from then on.
    gone: Option<(Duration, Duration)>,
    /// It is always on its way to a command.
    slow: bool,
    /// Being gone, its driver panics.
    panics: bool,
    /// It does not tell what it holds.
    secretive: bool,
    standing: Option<f64>,
}

const TO_ZERO: Habits = Habits {
    states: FailSafe::RevertsToValue { after: TIMER, to_w: None },
    falls_back: Some((TIMER, Some(0.0))),
    keeps_registers: false,
    ignores_limits: false,
    gone: None,
    slow: false,
    panics: false,
    secretive: false,
    standing: None,
};
const TO_FREE: Habits =
    Habits { states: FailSafe::RevertsToFree { after: TIMER }, falls_back: Some((TIMER, None)), ..TO_ZERO };

#[derive(Debug, Default)]
struct State {
    limit: Option<(f64, MonoTime)>,
    writes: Vec<f64>,
    releases: u32,
}

#[derive(Clone)]
struct Inverter {
    clock: SharedClock,
    habits: Habits,
    state: Arc<Mutex<State>>,
}

impl Inverter {
    /// The limit in force.
    fn limit(&self) -> Option<f64> {
        let (value, at) = self.state.lock().unwrap().limit?;
        match self.habits.falls_back {
            Some((after, to)) if self.clock.now().since(at) >= after => to,
            _ => Some(value),
        }
    }

    fn held(&self) -> Applied {
        let registers = self.state.lock().unwrap().limit.map(|(value, _)| value);
        let limit = if self.habits.keeps_registers { registers } else { self.limit() };
        Applied::Confirmed {
            readback: Command::Power { real_power_w: limit.unwrap_or(RATED_W), reactive_power_var: 0.0 },
        }
    }

    /// An answer takes a millisecond, or does not come within a second.
    async fn answer(&self) -> Result<(), DeviceError> {
        sleep(&*self.clock, Duration::from_millis(1)).await;
        let now = self.clock.now().since(MonoTime::default());
        if let Some((from, to)) = self.habits.gone
            && (from..to).contains(&now)
        {
            assert!(!self.habits.panics, "a bug in the driver");
            let waited = Duration::from_secs(1);
            sleep(&*self.clock, waited).await;
            return Err(DeviceError::Timeout { operation: "ask".into(), waited });
        }
        Ok(())
    }
}

#[async_trait]
impl Device for Inverter {
    async fn connect(&mut self) -> Result<Description, DeviceError> {
        self.answer().await?;
        let limit = self.limit().or(self.habits.standing);
        Ok(Description {
            identity: "an inverter".into(),
            profile: "of these tests".into(),
            capabilities: Capabilities {
                power: Some(PowerRange { min_w: 0.0, max_w: RATED_W, max_var: 0.0 }),
                ..Capabilities::default()
            },
            fail_safe: self.habits.states,
            renewal: Renewal::No,
            standing: limit.map(|real_power_w| Command::Power { real_power_w, reactive_power_var: 0.0 }),
        })
    }

    async fn read(&mut self) -> Result<Snapshot, DeviceError> {
        self.answer().await?;
        let limit = self.limit().filter(|_| !self.habits.ignores_limits);
        let mut snapshot = Snapshot::default();
        snapshot.put(point::REAL_POWER, limit.unwrap_or(RATED_W).min(SUN_W), Unit::Watt, self.clock.now());
        Ok(snapshot)
    }

    async fn apply(&mut self, setpoint: &Setpoint) -> Result<Applied, DeviceError> {
        let Command::Power { real_power_w, .. } = setpoint.command else {
            panic!("a drill commands a power")
        };
        {
            let mut state = self.state.lock().unwrap();
            state.limit = Some((real_power_w, self.clock.now()));
            state.writes.push(real_power_w);
        }
        self.answer().await?;
        Ok(if self.habits.slow { Applied::InProgress } else { self.held() })
    }

    async fn release(&mut self, safe: &SafeState) -> Result<Applied, DeviceError> {
        self.answer().await?;
        if *safe == SafeState::Hold && self.habits.secretive {
            return Err(DeviceError::Unsupported { operation: "ask".into(), reason: "a secret".into() });
        }
        if *safe == SafeState::Release {
            let mut state = self.state.lock().unwrap();
            state.limit = None;
            state.releases += 1;
        }
        Ok(self.held())
    }
}

fn simulated<F: Future>(work: impl FnOnce(SimulatedClock) -> F) -> F::Output {
    let clock = SimulatedClock::new(Utc::default());
    let idle = clock.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .on_thread_park(move || assert!(idle.advance(), "every task waits, and none of them for an instant"))
        .build()
        .unwrap();
    runtime.block_on(work(clock))
}

fn settings() -> DrillSettings {
    DrillSettings {
        limits: Limits::default(),
        wish: Wish { reverts_to_w: Some(0.0), ..Wish::default() },
        reading_interval: Duration::from_millis(200),
        armed: true,
    }
}

const TIMES: DrillTimes = DrillTimes {
    job: Duration::from_secs(4),
    connect: Duration::from_secs(40),
    release: Duration::from_secs(9),
};

/// What came of a drill, what reached the inverter, and whether it is limited at the end.
struct Story {
    drilled: Drilled,
    writes: Vec<f64>,
    releases: u32,
    limited: bool,
}

fn drill(habits: Habits, settings: DrillSettings) -> Story {
    drill_until(habits, settings, None, &mut |_| {})
}

fn drill_until(
    habits: Habits,
    settings: DrillSettings,
    stop_after: Option<Duration>,
    tell: &mut (dyn FnMut(&DrillStep) + Send),
) -> Story {
    simulated(|clock| async move {
        let clock: SharedClock = Arc::new(clock);
        let mut inverter = Inverter { clock: clock.clone(), habits, state: Arc::default() };
        let stopped = clock.clone();
        let stop = async move {
            match stop_after {
                Some(after) => sleep(&*stopped, after).await,
                None => std::future::pending().await,
            }
        };
        let drilled = run_drill(&mut inverter, settings, TIMES, &clock, stop, tell).await;
        let limited = inverter.limit().is_some();
        let state = inverter.state.lock().unwrap();
        Story { drilled, writes: state.writes.clone(), releases: state.releases, limited }
    })
}

impl Story {
    fn expect(&self, verdict: Verdict, reason: &str) {
        assert_eq!(self.drilled.verdict, verdict, "{:#?}", self.drilled);
        assert!(self.drilled.reason.contains(reason), "{reason}: {:#?}", self.drilled);
        if self.writes.is_empty() {
            assert_eq!(self.drilled.left, Left::Untouched);
            assert_eq!(self.releases, 0, "what was not touched is not released");
        } else {
            assert_eq!(self.drilled.left, Left::Released);
            assert!(!self.limited && self.releases > 0, "released");
        }
    }
}

#[test]
fn an_inverter_that_goes_to_its_value_in_time_passes() {
    let story = drill(TO_ZERO, settings());
    story.expect(Verdict::Passed, "it fell back between");
    assert_eq!(story.writes, [3000.0, 3000.0], "half of what it gave, and once more when it followed");
    let (not_before, not_after) = story.drilled.measured.fell_back_after.unwrap();
    assert!(not_before <= TIMER && TIMER <= not_after, "{not_before:?} {not_after:?}");
    assert!(not_after - not_before < Duration::from_millis(300), "as accurate as the reading interval");
    assert_eq!(story.drilled.measured.held_w, Some(0.0));
}

#[test]
fn an_inverter_that_drops_its_limit_in_time_passes() {
    let story = drill(TO_FREE, settings());
    story.expect(Verdict::Passed, "it fell back between");
    assert_eq!(story.drilled.measured.held_w, Some(RATED_W));
    assert_eq!(story.drilled.measured.power_w, Some(SUN_W));
}

#[test]
fn without_consent_nothing_is_written_and_the_plan_is_told() {
    let story = drill(TO_ZERO, DrillSettings { armed: false, ..settings() });
    story.expect(Verdict::NotArmed, "nothing was written");
    assert_eq!(story.writes, [0.0; 0]);
    let told = story.drilled.steps.iter().find(|step| step.what.starts_with("the plan")).unwrap();
    assert_eq!(
        told.what,
        "the plan: command 3000 W (it gives 6000 W now), then only read for at most 30 s; after 10 s it is to go to 0 W \
         by itself, and to give about 0 W"
    );
}

#[test]
fn a_device_that_ignores_its_timer_fails() {
    let story = drill(Habits { falls_back: None, ..TO_ZERO }, settings());
    story.expect(Verdict::Failed, "it did not fall back within 30 s: 3000 W measured");
}

#[test]
fn a_device_that_goes_to_another_value_fails() {
    let story = drill(Habits { falls_back: Some((TIMER, Some(1000.0))), ..TO_ZERO }, settings());
    story.expect(Verdict::Failed, "it fell back to 1000 W, not to 0 W");
}

#[test]
fn a_device_that_states_to_drop_its_limit_and_keeps_one_fails() {
    let story = drill(Habits { falls_back: Some((TIMER, Some(5500.0))), ..TO_FREE }, settings());
    story.expect(Verdict::Failed, "it does not drop its command, but holds 5500 W");
}

#[test]
fn a_device_that_falls_back_late_fails() {
    let story = drill(Habits { falls_back: Some((TIMER * 2, Some(0.0))), ..TO_ZERO }, settings());
    story.expect(Verdict::Failed, "too late, it states 10 s");
    assert!(story.drilled.measured.fell_back_after.unwrap().0 > TIMER + TIMER / 2);
}

#[test]
fn a_device_that_falls_back_early_fails() {
    let story = drill(Habits { falls_back: Some((TIMER / 2, Some(0.0))), ..TO_ZERO }, settings());
    story.expect(Verdict::Failed, "too early, it states 10 s");
}

#[test]
fn a_device_whose_registers_alone_fall_back_fails() {
    let lies = Habits { falls_back: Some((TIMER, Some(0.0))), ignores_limits: true, ..TO_ZERO };
    drill(lies, settings()).expect(Verdict::Failed, "its power does not follow 3000 W: 6000 W measured");
}

#[test]
fn a_device_whose_power_alone_falls_back_fails() {
    let story = drill(Habits { keeps_registers: true, ..TO_ZERO }, settings());
    story.expect(Verdict::Failed, "its power went to 0 W, but it still holds 3000 W");
}

#[test]
fn a_device_that_does_not_tell_what_it_holds_is_judged_by_its_power() {
    let story = drill(Habits { secretive: true, ..TO_ZERO }, settings());
    story.expect(Verdict::Passed, "it fell back between");
    assert_eq!(story.drilled.measured.held_w, None);
    let late = Habits { secretive: true, falls_back: Some((TIMER * 2, Some(0.0))), ..TO_ZERO };
    drill(late, settings()).expect(Verdict::Failed, "too late");
}

#[test]
fn a_device_that_goes_away_aborts_the_drill_and_is_released_when_it_is_back() {
    let away = (Duration::from_secs(3), Duration::from_secs(11));
    let story = drill(Habits { gone: Some(away), ..TO_ZERO }, settings());
    story.expect(Verdict::Aborted, "no answer within 1s");
}

#[test]
fn a_driver_that_panics_aborts_the_drill_and_the_device_is_released() {
    let away = (Duration::from_secs(3), Duration::from_secs(4));
    let story = drill(Habits { gone: Some(away), panics: true, ..TO_ZERO }, settings());
    story.expect(Verdict::Aborted, "the driver panicked");
}

#[test]
fn a_device_that_stays_away_is_told_to_be_unreleased() {
    let away = (Duration::from_secs(3), Duration::from_secs(3000));
    let story = drill(Habits { gone: Some(away), falls_back: None, ..TO_ZERO }, settings());
    assert_eq!(story.drilled.verdict, Verdict::Aborted);
    assert!(matches!(story.drilled.left, Left::Unknown(_)), "{:?}", story.drilled.left);
    assert!(story.drilled.steps.iter().any(|step| step.what.starts_with("NOT RELEASED")));
    assert!(story.limited, "the truth is that it still holds the command");
}

#[test]
fn a_write_that_was_not_answered_is_followed_by_a_release_after_its_last_chance() {
    let away = (Duration::from_micros(2500), Duration::from_millis(1500));
    let story = drill(Habits { gone: Some(away), ..TO_ZERO }, settings());
    story.expect(Verdict::Aborted, "no answer within 1s");
    assert_eq!(story.releases, 2, "at once, and when the write can no longer come");
}

#[test]
fn a_stop_at_any_time_leaves_the_device_released() {
    for tenth in 0..140 {
        let story = drill_until(TO_ZERO, settings(), Some(Duration::from_millis(tenth * 100)), &mut |_| {});
        if story.drilled.verdict != Verdict::Passed {
            story.expect(Verdict::Aborted, "it was stopped");
        }
    }
}

#[test]
fn a_panic_of_whoever_is_told_leaves_the_device_released() {
    for panics_at in 0..7 {
        let mut steps = 0;
        let story = drill_until(TO_ZERO, settings(), None, &mut |_| {
            steps += 1;
            assert!(steps <= panics_at, "nobody listens");
        });
        story.expect(Verdict::Aborted, "a bug in gridloop");
    }
}

#[test]
fn a_device_without_a_fail_safe_is_told_so_and_not_touched() {
    let story = drill(Habits { states: FailSafe::None, ..TO_ZERO }, settings());
    story.expect(Verdict::NotApplicable, "it has no fail-safe of its own");
    assert_eq!(story.writes, [0.0; 0]);
}

#[test]
fn a_command_of_somebody_else_is_not_taken_away() {
    let story = drill(Habits { standing: Some(2000.0), ..TO_ZERO }, settings());
    story.expect(Verdict::Aborted, "another controller's command stands");
    assert_eq!(story.writes, [0.0; 0]);
}

#[test]
fn a_chosen_power_counts_unless_it_is_outside_the_limits_or_shows_nothing() {
    let wish = |power_w| Wish { power_w: Some(power_w), ..settings().wish };
    let limits = Limits { max_real_power_w: Some(5000.0), ..Limits::default() };
    let story = drill(TO_ZERO, DrillSettings { wish: wish(4000.0), limits, ..settings() });
    story.expect(Verdict::Passed, "");
    assert_eq!(story.writes, [4000.0, 4000.0]);
    let outside = drill(TO_ZERO, DrillSettings { wish: wish(5500.0), limits, ..settings() });
    outside.expect(Verdict::Aborted, "5500 W is outside the limits");
    let invisible = drill(TO_ZERO, DrillSettings { wish: wish(50.0), ..settings() });
    invisible.expect(Verdict::Aborted, "no change would be seen");
}

#[test]
fn a_time_to_watch_that_is_shorter_than_the_timer_is_refused() {
    let wish = Wish { within: Some(TIMER), ..settings().wish };
    let story = drill(TO_ZERO, DrillSettings { wish, ..settings() });
    story.expect(Verdict::Aborted, "--within");
}

#[test]
fn a_device_that_never_gets_to_its_command_fails() {
    let story = drill(Habits { slow: true, ..TO_ZERO }, settings());
    story.expect(Verdict::Failed, "");
    assert!(story.writes.len() < 200, "it was asked {} times", story.writes.len());
}

#[test]
fn the_command_is_reached_along_the_configured_ramp() {
    let limits = Limits { ramp_w_per_s: Some(1000.0), ..Limits::default() };
    let story = drill(TO_ZERO, DrillSettings { limits, ..settings() });
    story.expect(Verdict::Passed, "it fell back between");
    let steps = story.writes.windows(2).map(|pair| (pair[1] - pair[0]).abs());
    let first = (SUN_W - story.writes[0]).abs();
    let largest = steps.fold(first, f64::max);
    assert!(largest <= 250.0, "steps of up to {largest} W in {:?}", story.writes);
    assert_eq!(story.writes.last(), Some(&3000.0));
}

#[test]
fn a_value_to_fall_back_to_that_nobody_states_has_to_be_said() {
    let story = drill(TO_ZERO, DrillSettings { wish: Wish::default(), ..settings() });
    story.expect(Verdict::Aborted, "--reverts-to-w");
}

#[test]
fn a_battery_is_told_a_tenth_of_its_power() {
    let description = Description {
        capabilities: Capabilities {
            power: Some(PowerRange { min_w: -5000.0, max_w: 4000.0, max_var: 0.0 }),
            ..Capabilities::default()
        },
        fail_safe: FailSafe::RevertsToFree { after: TIMER },
        ..Description::default()
    };
    let plan = Plan::choose(&description, 0.0, &Limits::default(), Wish::default()).unwrap();
    assert_eq!((plan.command_w, plan.expected_w), (-500.0, 0.0));
    let limits = Limits { min_real_power_w: Some(0.0), ..Limits::default() };
    let plan = Plan::choose(&description, 0.0, &limits, Wish::default()).unwrap();
    assert_eq!(plan.command_w, 400.0);
}
