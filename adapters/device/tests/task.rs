//! The loop around the device core, in simulated time, with a driver that does as each test says.

use async_trait::async_trait;
use gridloop_clock::{Clock, MonoTime, SharedClock, SimulatedClock, sleep};
use gridloop_device::{
    Ageing, Applied, Command, Description, Device, DeviceError, DeviceHandle, DeviceTask, Left, Link, Mode,
    Occurrence, Quality, SafeState, Sample, Setpoint, Snapshot, TaskSettings, Unit, point,
};
use std::collections::VecDeque;
use std::future::{Future, pending};
use std::sync::{Arc, Mutex};
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
    release_within: Duration::from_secs(2),
};
const AGEING: Ageing =
    Ageing { stale_after: Duration::from_millis(500), lost_after: Duration::from_millis(1500) };

/// What becomes of a call.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Works,
    Hangs,
    Panics,
    Refuses,
    /// A reading that breaks the contract of a driver: a value that is none, and one from the future.
    Lies,
}

/// What a driver was called for, and when.
type Calls = Arc<Mutex<Vec<(u64, &'static str)>>>;

/// Fates of calls by the name of the method; a call without one works.
#[derive(Clone)]
struct Driver {
    clock: SharedClock,
    fates: Arc<Mutex<VecDeque<(&'static str, Fate)>>>,
    calls: Calls,
}

impl Driver {
    async fn call(&self, name: &'static str) -> Result<Fate, DeviceError> {
        self.calls.lock().unwrap().push((self.clock.now().as_nanos() / 1_000_000, name));
        let fate = {
            let mut fates = self.fates.lock().unwrap();
            let at = fates.iter().position(|(of, _)| *of == name);
            at.and_then(|at| fates.remove(at)).map_or(Fate::Works, |(_, fate)| fate)
        };
        match fate {
            Fate::Works | Fate::Lies => Ok(fate),
            Fate::Hangs => pending().await,
            // Without the text on the terminal that `panic!` makes.
            Fate::Panics => std::panic::resume_unwind(Box::new("a bug")),
            Fate::Refuses => Err(DeviceError::Refused { operation: name.into(), reason: "busy".into() }),
        }
    }
}

#[async_trait]
impl Device for Driver {
    async fn connect(&mut self) -> Result<Description, DeviceError> {
        self.call("connect").await.map(|_| Description::default())
    }

    async fn read(&mut self) -> Result<Snapshot, DeviceError> {
        let fate = self.call("read").await?;
        let now = self.clock.now();
        let mut snapshot = Snapshot::default();
        snapshot.put(point::REAL_POWER, 1234.0, Unit::Watt, now);
        if let Fate::Lies = fate {
            let sample =
                Sample { value: f64::NAN, unit: Unit::Watt, quality: Quality::Good, sampled_at: now };
            snapshot.points.insert(point::REAL_POWER.into(), sample);
            let sampled_at = now + Duration::from_secs(3600);
            snapshot.points.insert("energy".into(), Sample { value: 1.0, sampled_at, ..sample });
        }
        Ok(snapshot)
    }

    async fn apply(&mut self, setpoint: &Setpoint) -> Result<Applied, DeviceError> {
        self.call("apply").await.map(|_| Applied::Confirmed { readback: setpoint.command })
    }

    async fn release(&mut self, _: &SafeState) -> Result<Applied, DeviceError> {
        self.call("release").await.map(|_| Applied::Confirmed { readback: power(8.0) })
    }
}

fn power(kw: f64) -> Command {
    Command::Power { real_power_w: kw * 1000.0, reactive_power_var: 0.0 }
}

/// Everything a test looks at.
struct Rig {
    clock: SimulatedClock,
    task: DeviceTask,
    handle: DeviceHandle,
    calls: Calls,
    occurrences: Arc<Mutex<Vec<Occurrence>>>,
}

impl Rig {
    fn new(clock: SimulatedClock, fates: &[(&'static str, Fate)]) -> Self {
        let shared: SharedClock = Arc::new(clock.clone());
        let fates = Arc::new(Mutex::new(fates.iter().copied().collect()));
        let driver = Driver { clock: Arc::clone(&shared), fates, calls: Calls::default() };
        let calls = Arc::clone(&driver.calls);
        let occurrences = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&occurrences);
        let observer = Box::new(move |it: &Occurrence| noted.lock().unwrap().push(it.clone()));
        let task = DeviceTask::start(Box::new(driver), SETTINGS, shared, observer);
        Self { clock, handle: task.handle(), task, calls, occurrences }
    }

    async fn pass(&self, millis: u64) {
        sleep(&self.clock, Duration::from_millis(millis)).await;
    }

    fn command(&self, kw: f64, epoch: u64) {
        let received_at = self.clock.now();
        let expires_at = received_at + Duration::from_secs(3);
        self.handle.command(Setpoint { command: power(kw), epoch, received_at, expires_at, order: 0 });
    }

    fn quality(&self, name: &str) -> Option<Quality> {
        self.handle.image().point(name, AGEING, self.clock.now()).map(|(sample, _)| sample.quality)
    }

    fn times_of(&self, call: &str) -> Vec<u64> {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|(_, name)| *name == call).map(|(at, _)| *at).collect()
    }

    /// Ends the task; also how long that took.
    async fn end(self) -> (Left, Duration) {
        let asked_at = self.clock.now();
        let left = self.task.end().await;
        (left, self.clock.now().since(asked_at))
    }
}

fn simulated<F: Future<Output = ()>>(work: impl FnOnce(SimulatedClock) -> F) {
    let clock = SimulatedClock::new(chrono::DateTime::UNIX_EPOCH);
    let idle = clock.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .on_thread_park(move || assert!(idle.advance(), "nobody can go on"))
        .build()
        .unwrap();
    runtime.block_on(work(clock));
}

#[test]
fn a_setpoint_is_written_and_told_at_once_and_the_end_releases() {
    simulated(|clock| async {
        let rig = Rig::new(clock, &[]);
        assert!(rig.handle.first_reading(Duration::from_secs(1)).await);
        rig.pass(50).await;
        rig.command(3.0, 1);
        rig.pass(1).await;
        assert_eq!(rig.handle.image().held, Some(power(3.0)));
        assert_eq!(rig.times_of("apply"), [50]);
        assert_eq!((rig.handle.statistics().writes, rig.handle.statistics().reads), (1, 1));
        assert_eq!(rig.end().await, (Left::Released, Duration::ZERO));
    });
}

#[test]
fn of_setpoints_that_come_together_the_newest_is_written_and_no_other() {
    simulated(|clock| async {
        let rig = Rig::new(clock, &[]);
        rig.pass(50).await;
        for kw in [1.0, 2.0, 3.0] {
            rig.command(kw, 1);
        }
        rig.pass(1).await;
        assert_eq!((rig.times_of("apply").len(), rig.handle.image().held), (1, Some(power(3.0))));
    });
}

#[test]
fn a_call_that_hangs_is_abandoned_at_its_deadline_and_the_link_with_it() {
    simulated(|clock| async {
        let rig = Rig::new(clock, &[("read", Fate::Works), ("read", Fate::Hangs)]);
        rig.pass(690).await;
        assert_eq!(
            rig.quality(point::REAL_POWER),
            Some(Quality::Stale),
            "the reading has been hanging since 200"
        );
        rig.pass(20).await;
        assert_eq!(rig.handle.image().link, Link::Down);
        assert_eq!(rig.quality(point::REAL_POWER), Some(Quality::CommLost));
        rig.pass(100).await;
        assert_eq!(rig.times_of("connect"), [0, 800], "after the deadline at 700, one back-off");
        assert_eq!(rig.quality(point::REAL_POWER), Some(Quality::Good));
    });
}

#[test]
fn a_driver_that_panics_has_merely_failed() {
    simulated(|clock| async {
        let rig =
            Rig::new(clock, &[("connect", Fate::Panics), ("read", Fate::Panics), ("apply", Fate::Panics)]);
        rig.command(3.0, 1);
        rig.pass(2500).await;
        assert_eq!(rig.handle.image().held, Some(power(3.0)));
        assert_eq!(rig.handle.statistics().errors, 3);
        let lost =
            |it: &Occurrence| matches!(it, Occurrence::LinkLost(why) if why.contains("bug in the driver"));
        assert_eq!(rig.occurrences.lock().unwrap().iter().filter(|it| lost(it)).count(), 2);
        assert_eq!(rig.end().await.0, Left::Released);
    });
}

#[test]
fn a_write_of_unknown_outcome_is_not_repeated_while_the_device_refuses_to_be_read() {
    simulated(|clock| async {
        let fates =
            [("read", Fate::Works), ("apply", Fate::Hangs), ("read", Fate::Refuses), ("read", Fate::Refuses)];
        let rig = Rig::new(clock, &fates);
        rig.pass(50).await;
        rig.command(3.0, 1);
        rig.pass(1500).await;
        // Broken off at 550, connected again at 650; refused then and at 850, read at 1050.
        assert_eq!(rig.times_of("connect"), [0, 650]);
        assert_eq!(rig.times_of("read")[..4], [0, 650, 850, 1050]);
        assert_eq!(rig.times_of("apply"), [50, 1050]);
    });
}

#[test]
fn a_device_that_refuses_to_be_read_is_released_all_the_same() {
    simulated(|clock| async {
        let mut fates = vec![("read", Fate::Works), ("apply", Fate::Hangs)];
        fates.extend([("read", Fate::Refuses); 100]);
        let rig = Rig::new(clock, &fates);
        rig.pass(50).await;
        rig.command(3.0, 1);
        rig.pass(3500).await;
        assert_eq!(rig.times_of("apply"), [50]);
        assert_eq!(rig.times_of("release"), [3050], "when the setpoint has expired");
        assert_eq!(rig.end().await.0, Left::Released);
    });
}

#[test]
fn what_a_driver_must_not_say_is_never_good() {
    simulated(|clock| async {
        let rig = Rig::new(clock, &[("read", Fate::Lies), ("read", Fate::Hangs)]);
        rig.pass(100).await;
        assert_eq!(rig.quality(point::REAL_POWER), None, "not a number");
        assert_eq!(rig.quality("energy"), Some(Quality::Good));
        rig.pass(550).await;
        assert_eq!(rig.quality("energy"), Some(Quality::Stale), "it is no newer than its reading");
    });
}

#[test]
fn the_end_comes_within_its_bound_whatever_the_driver_is_doing() {
    for (delay, fates, expected) in [
        (250, vec![("read", Fate::Works), ("read", Fate::Hangs)], Left::Untouched),
        (100, [("release", Fate::Hangs); 100].to_vec(), Left::Unknown(String::new())),
        (100, [("release", Fate::Panics); 100].to_vec(), Left::Unknown(String::new())),
        (50, [("apply", Fate::Hangs); 100].to_vec(), Left::Unknown(String::new())),
    ] {
        simulated(|clock| async move {
            let rig = Rig::new(clock, &fates);
            rig.pass(50).await;
            if expected != Left::Untouched {
                rig.command(3.0, 1);
            }
            rig.pass(delay - 50 + 1).await;
            let (left, took) = rig.end().await;
            assert!(took <= SETTINGS.release_within, "{fates:?}: {took:?}");
            match (&left, &expected) {
                // A write that hangs is abandoned, and the release then works.
                (Left::Released, Left::Unknown(_)) => assert_eq!(fates[0].0, "apply"),
                (Left::Unknown(why), Left::Unknown(_)) => assert!(!why.is_empty()),
                _ => assert_eq!(left, expected),
            }
        });
    }
}

#[test]
fn an_end_that_is_broken_off_in_the_middle_of_a_write_says_that_the_device_may_hold_it() {
    simulated(|clock| async move {
        let shared: SharedClock = Arc::new(clock.clone());
        let fates = Arc::new(Mutex::new([("apply", Fate::Hangs)].into()));
        let driver = Driver { clock: Arc::clone(&shared), fates, calls: Calls::default() };
        let patient = TaskSettings { write_timeout: Duration::from_secs(60), ..SETTINGS };
        let task = DeviceTask::start(Box::new(driver), patient, shared, Box::new(|_| {}));
        let received_at = MonoTime::default();
        let expires_at = received_at + Duration::from_secs(3);
        task.handle().command(Setpoint { command: power(3.0), epoch: 1, received_at, expires_at, order: 0 });
        sleep(&clock, Duration::from_millis(10)).await;
        assert_eq!(task.end().await, Left::Unknown("a write was broken off".into()));
        assert_eq!(clock.now(), MonoTime::default() + Duration::from_millis(2010));
    });
}

#[test]
fn a_first_reading_that_never_comes_is_not_waited_for_beyond_the_bound() {
    simulated(|clock| async {
        let rig = Rig::new(clock, &[("connect", Fate::Hangs); 100]);
        assert!(!rig.handle.first_reading(Duration::from_secs(3)).await);
        assert_eq!(rig.clock.now(), MonoTime::default() + Duration::from_secs(3));
        assert_eq!(rig.handle.image().link, Link::Down);
    });
}
