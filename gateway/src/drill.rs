//! A drill: the proof, on a bench, that a device's own fail-safe works. `Drill` is a state machine without I/O, which
//! knows no protocol; [`run_drill`] performs what it asks for; [`Drilled`] is what came of it.
//!
//! It connects, reads, and chooses a [`Plan`]. Armed, it commands a harmless power (along the configured ramp), waits
//! until the measurement follows, writes once more and from then on only reads: what the device holds, by
//! [`SafeState::Hold`], which changes nothing, and what it measures. The fall-back lies between the last look at which
//! the command stood and the first at which it did not. Whatever happens, the device is released at the end.

mod plan;
mod restore;
mod runner;
mod watch;

#[cfg(test)]
mod tests;

pub use plan::{FallsBack, NoPlan, Plan, Wish};
pub use runner::{DrillTimes, run_drill};
pub use watch::Measured;

use crate::safety::limits::{ALONE, Decision, Limits, WhenOutside};
use gridloop_clock::MonoTime;
use gridloop_device::{
    Applied, Command, Description, DeviceError, Done, Job, Left, Next, Quality, SafeState, Setpoint,
    Snapshot, point,
};
use std::time::Duration;
use watch::{Seen, Watch};

/// What a drill showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The device fell back as it states, in its registers and in its power.
    Passed,
    /// It did not.
    Failed,
    /// It has no fail-safe that a drill could show.
    NotApplicable,
    /// Nothing was shown: the drill could not be done, or broke off.
    Aborted,
    /// Nothing was commanded: it was not armed.
    NotArmed,
}

impl Verdict {
    /// The word in a record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::NotApplicable => "not applicable",
            Self::Aborted => "aborted",
            Self::NotArmed => "not armed",
        }
    }
}

/// Something that was done or seen.
#[derive(Debug, Clone, PartialEq)]
pub struct DrillStep {
    /// When.
    pub at: MonoTime,
    /// In words.
    pub what: String,
}

/// What came of a drill.
#[derive(Debug, Clone, PartialEq)]
pub struct Drilled {
    /// What the device said of itself; absent when it was never reached.
    pub description: Option<Description>,
    /// What was done with it.
    pub plan: Option<Plan>,
    /// What was measured of its fall-back.
    pub measured: Measured,
    /// The verdict.
    pub verdict: Verdict,
    /// The reason for the verdict.
    pub reason: String,
    /// Everything that was done and seen.
    pub steps: Vec<DrillStep>,
    /// How the device was left.
    pub left: Left,
}

/// How a drill is done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DrillSettings {
    /// What the device may be told.
    pub limits: Limits,
    /// What the operator asks for.
    pub wish: Wish,
    /// Time between readings: the accuracy of what is measured.
    pub reading_interval: Duration,
    /// Whether anything is written.
    pub armed: bool,
}

/// The state machine.
#[derive(Debug)]
pub(crate) struct Drill {
    settings: DrillSettings,
    stage: Stage,
    next_at: MonoTime,
    description: Option<Description>,
    plan: Option<Plan>,
    measured: Measured,
    steps: Vec<DrillStep>,
    /// Whether the device may hold something of ours.
    touched: bool,
    /// When a write was given up whose outcome is unknown.
    unknown_at: Option<MonoTime>,
    connected: bool,
}

#[derive(Debug)]
enum Stage {
    Connecting,
    Reading,
    Driving(Driving),
    Watching(Watch),
    /// Connecting again, to be told whether a command stands.
    Asking,
    Over(Verdict, String),
}

/// Leading the device to the commanded power.
#[derive(Debug)]
struct Driving {
    /// What it was told last, in W, and when; before the first time what it gave.
    told: (f64, MonoTime),
    /// What it is being told.
    telling: f64,
    written: bool,
    /// It follows: the next write is the last.
    last: bool,
    /// The turn's reading is still to come.
    read: bool,
    give_up_at: MonoTime,
}

impl Drill {
    pub(crate) fn new(settings: DrillSettings, now: MonoTime) -> Self {
        Self {
            settings,
            stage: Stage::Connecting,
            next_at: now,
            description: None,
            plan: None,
            measured: Measured::default(),
            steps: Vec::new(),
            touched: false,
            unknown_at: None,
            connected: false,
        }
    }

    /// What to do at `now`.
    pub(crate) fn next(&mut self, now: MonoTime) -> Next {
        let job = match &self.stage {
            Stage::Over(..) => return Next::End,
            Stage::Connecting | Stage::Asking => Job::Connect,
            Stage::Reading => Job::Read,
            _ if now < self.next_at => return Next::Until(self.next_at),
            Stage::Driving(driving) => match self.to_write(driving, now) {
                Some(power_w) => self.write(power_w, now),
                None => Job::Read,
            },
            Stage::Watching(watch) if watch.asks() => Job::Release(SafeState::Hold),
            Stage::Watching(_) => Job::Read,
        };
        Next::Do(job)
    }

    /// Takes the result of a job that was asked for, begun at `begun`.
    pub(crate) fn done(&mut self, done: Done, begun: MonoTime, now: MonoTime) {
        match done {
            Done::Connected(Ok(description)) => self.has_connected(description, now),
            Done::Read(Ok(snapshot)) => self.has_read(&snapshot, now),
            Done::Applied(Ok(applied)) => self.has_applied(applied, begun, now),
            Done::Released(Ok(applied)) => self.has_asked(applied, begun, now),
            Done::Connected(Err(error)) | Done::Read(Err(error)) => self.failed(&error, now),
            Done::Applied(Err(error)) => {
                self.unknown_at = (!error.keeps_link()).then_some(now);
                self.failed(&error, now);
            }
            Done::Released(Err(error)) => self.does_not_tell(&error, now),
        }
    }

    /// Ends it early; `writing` when a write was broken off.
    pub(crate) fn abort(&mut self, reason: &str, writing: bool, now: MonoTime) {
        if writing {
            self.unknown_at = Some(now);
        }
        // A call that was broken off leaves no link.
        self.connected = false;
        self.over(Verdict::Aborted, reason.to_owned(), now);
    }

    /// Whether the device may hold something of ours.
    pub(crate) fn touched(&self) -> bool {
        self.touched
    }

    pub(crate) fn connected(&self) -> bool {
        self.connected
    }

    pub(crate) fn unknown_at(&self) -> Option<MonoTime> {
        self.unknown_at
    }

    pub(crate) fn steps(&self) -> &[DrillStep] {
        &self.steps
    }

    pub(crate) fn step(&mut self, at: MonoTime, what: String) {
        self.steps.push(DrillStep { at, what });
    }

    /// The result, with how the device was left.
    pub(crate) fn result(self, left: Left) -> Drilled {
        let (mut verdict, mut reason) = match self.stage {
            Stage::Over(verdict, reason) => (verdict, reason),
            _ => (Verdict::Aborted, "it broke off".to_owned()),
        };
        if let (Left::Unknown(why), Verdict::Passed) = (&left, verdict) {
            (verdict, reason) = (Verdict::Failed, format!("it fell back, but could not be released: {why}"));
        }
        let Self { description, plan, measured, steps, .. } = self;
        Drilled { description, plan, measured, verdict, reason, steps, left }
    }

    fn over(&mut self, verdict: Verdict, reason: String, now: MonoTime) {
        self.step(now, format!("{}: {reason}", verdict.as_str()));
        self.stage = Stage::Over(verdict, reason);
    }

    fn failed(&mut self, error: &DeviceError, now: MonoTime) {
        self.connected = self.connected && error.keeps_link();
        self.over(Verdict::Aborted, error.to_string(), now);
    }

    /// Asked what it holds, it said no: then its measurement alone is watched.
    fn does_not_tell(&mut self, error: &DeviceError, now: MonoTime) {
        let Stage::Watching(watch) = &mut self.stage else { return };
        if !error.keeps_link() {
            return self.failed(error, now);
        }
        watch.tells_nothing();
        self.step(now, format!("it does not tell what it holds: {error}"));
    }

    fn has_connected(&mut self, description: Description, now: MonoTime) {
        self.connected = true;
        if matches!(self.stage, Stage::Asking) {
            match description.standing {
                None => self.over(Verdict::Passed, self.measured.to_string(), now),
                Some(Command::Power { real_power_w, .. }) => self.over(
                    Verdict::Failed,
                    format!("it does not drop its command, but holds {real_power_w:.0} W"),
                    now,
                ),
                Some(other) => self.over(Verdict::Failed, format!("it holds {other:?}"), now),
            }
            return;
        }
        self.step(now, format!("connected: {} {}", description.identity, description.profile));
        self.description = Some(description);
        self.stage = Stage::Reading;
    }

    fn has_read(&mut self, snapshot: &Snapshot, now: MonoTime) {
        let power = snapshot.get(point::REAL_POWER).filter(|sample| sample.quality == Quality::Good);
        let power_w = power.map(|sample| sample.value);
        match &mut self.stage {
            Stage::Reading => self.choose(power_w, now),
            Stage::Driving(driving) => {
                driving.read = false;
                self.next_at = now + self.settings.reading_interval;
                self.follow(power_w, now);
            }
            Stage::Watching(watch) => {
                let seen = watch.has_read(power_w, now);
                self.next_at = now + self.settings.reading_interval;
                self.saw(seen, now);
            }
            _ => {}
        }
    }

    /// The first reading: what to do.
    fn choose(&mut self, power_w: Option<f64>, now: MonoTime) {
        let Some(description) = &self.description else { return };
        let plan =
            Plan::choose(description, power_w.unwrap_or_default(), &self.settings.limits, self.settings.wish);
        let plan = match (plan, power_w) {
            // A device without a fail-safe is told so, whatever it measures.
            (Err(NoPlan::NotApplicable(reason)), _) => Err(NoPlan::NotApplicable(reason)),
            (_, None) => Err(NoPlan::Impossible("it gives no good value of its real power".to_owned())),
            (plan, Some(_)) => plan,
        };
        let plan = match plan {
            Ok(plan) => plan,
            Err(NoPlan::NotApplicable(reason)) => return self.over(Verdict::NotApplicable, reason, now),
            Err(NoPlan::Impossible(reason)) => return self.over(Verdict::Aborted, reason, now),
        };
        self.plan = Some(plan);
        self.step(now, format!("the plan: {plan}"));
        if !self.settings.armed {
            return self.over(Verdict::NotArmed, "nothing was written".to_owned(), now);
        }
        self.next_at = now;
        self.stage = Stage::Driving(Driving {
            told: (plan.baseline_w, now),
            telling: plan.baseline_w,
            written: false,
            last: false,
            read: false,
            give_up_at: now + plan.within.max(plan.after),
        });
    }

    /// Whether the device follows the command.
    fn follow(&mut self, power_w: Option<f64>, now: MonoTime) {
        let (Stage::Driving(driving), Some(plan)) = (&mut self.stage, self.plan) else { return };
        let arrived = driving.written && driving.told.0 == plan.command_w;
        if let Some(power_w) = power_w
            && arrived
            && is_near(power_w, plan.command_w, plan.baseline_w, 0.1, plan.rating_w)
        {
            driving.last = true;
            self.next_at = now;
            self.step(now, format!("it follows: {power_w:.0} W measured"));
        } else if now >= driving.give_up_at {
            let measured = power_w.map_or("no good value".to_owned(), |power_w| format!("{power_w:.0} W"));
            let reason = format!("its power does not follow {:.0} W: {measured} measured", plan.command_w);
            self.over(Verdict::Failed, reason, now);
        }
    }

    /// What the device is to be told in this turn, if anything.
    fn to_write(&self, driving: &Driving, now: MonoTime) -> Option<f64> {
        let plan = self.plan?;
        if driving.last {
            return Some(plan.command_w);
        }
        let along = self.along_the_ramp(plan.command_w, driving.told, now);
        let refresh = now >= driving.told.1 + plan.after / 3;
        let due = !driving.read && (!driving.written || along != driving.told.0 || refresh);
        due.then_some(along)
    }

    /// The power on the way to `goal` that the configured ramp allows at `now`.
    fn along_the_ramp(&self, goal: f64, (told, at): (f64, MonoTime), now: MonoTime) -> f64 {
        let power = |real_power_w| Command::Power { real_power_w, reactive_power_var: 0.0 };
        let Some(description) = &self.description else { return told };
        let limits = Limits { when_outside: WhenOutside::Clamp, ..self.settings.limits };
        match limits.decide(power(goal), &description.capabilities, Some((power(told), at)), ALONE, now) {
            Decision::Pass(Command::Power { real_power_w, .. })
            | Decision::Clamped { command: Command::Power { real_power_w, .. }, .. } => real_power_w,
            _ => told,
        }
    }

    fn write(&mut self, real_power_w: f64, now: MonoTime) -> Job {
        self.touched = true;
        if let Stage::Driving(driving) = &mut self.stage {
            driving.telling = real_power_w;
        }
        let within = self.plan.map_or(Duration::ZERO, |plan| plan.within);
        Job::Apply(Setpoint {
            command: Command::Power { real_power_w, reactive_power_var: 0.0 },
            epoch: 1,
            received_at: now,
            expires_at: now + within,
            order: 0,
        })
    }

    fn has_applied(&mut self, applied: Applied, begun: MonoTime, now: MonoTime) {
        let (Stage::Driving(driving), Some(plan)) = (&mut self.stage, self.plan) else { return };
        let readback = match applied {
            Applied::InProgress if now >= driving.give_up_at => {
                return self.over(Verdict::Failed, "it does not get to its command".to_owned(), now);
            }
            Applied::InProgress => {
                // Again after a reading.
                driving.read = true;
                self.next_at = now + self.settings.reading_interval;
                return;
            }
            Applied::Restored { .. } => {
                let reason = "it lost its command while it was being renewed in time".to_owned();
                return self.over(Verdict::Failed, reason, now);
            }
            Applied::Confirmed { readback } => readback,
        };
        let Command::Power { real_power_w: held_w, .. } = readback else {
            return self.over(Verdict::Failed, format!("told a power, it holds {readback:?}"), now);
        };
        if driving.last {
            self.next_at = now + self.settings.reading_interval;
            let watch = Watch::new(plan, held_w, begun, now);
            self.step(
                now,
                format!("{held_w:.0} W written for the last time and read back; from now on only read"),
            );
            self.stage = Stage::Watching(watch);
            return;
        }
        let first = !driving.written;
        driving.told = (driving.telling, now);
        (driving.written, driving.read) = (true, true);
        if first || driving.telling == plan.command_w {
            self.step(now, format!("{held_w:.0} W written and read back"));
        }
    }

    fn has_asked(&mut self, applied: Applied, begun: MonoTime, now: MonoTime) {
        let Stage::Watching(watch) = &mut self.stage else { return };
        let seen = match applied {
            Applied::Confirmed { readback: Command::Power { real_power_w, .. } }
            | Applied::Restored { readback: Command::Power { real_power_w, .. } } => {
                watch.has_told(real_power_w, begun, now)
            }
            _ => {
                watch.tells_nothing();
                Seen::Nothing
            }
        };
        self.saw(seen, now);
    }

    fn saw(&mut self, seen: Seen, now: MonoTime) {
        let Stage::Watching(watch) = &self.stage else { return };
        self.measured = watch.measured();
        match seen {
            Seen::Nothing => {}
            Seen::Step(what) => self.step(now, what),
            Seen::Passed(what) => {
                let free = self.plan.is_some_and(|plan| plan.falls_back == FallsBack::ToFree);
                let tells = watch.tells();
                self.step(now, what);
                if free && tells {
                    self.stage = Stage::Asking;
                } else {
                    self.over(Verdict::Passed, self.measured.to_string(), now);
                }
            }
            Seen::Failed(reason) => self.over(Verdict::Failed, reason, now),
        }
    }
}

/// How inaccurate a device's own measurement may be, as a share of its rating.
const ACCURACY_SHARE: f64 = 0.01;

/// Whether `value` has come so near to `goal` from `origin` that only this share of the way is left, or what the
/// measurement does not show.
fn is_near(value: f64, goal: f64, origin: f64, share: f64, rating_w: f64) -> bool {
    (value - goal).abs() <= ((goal - origin).abs() * share).max(rating_w * ACCURACY_SHARE)
}
