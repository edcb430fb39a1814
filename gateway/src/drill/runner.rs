//! Performing a drill on a device: [`run_drill`]. Whatever ends it, the release comes after it.

use super::restore::Restore;
use super::{Drill, DrillSettings, DrillStep, Drilled};
use futures_util::FutureExt;
use gridloop_clock::{Clock, MonoTime, SharedClock, until};
use gridloop_device::{Device, DeviceError, Done, Job, Left, Next, point};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::time::Duration;

/// How long the calls of a device may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrillTimes {
    /// Longest time one call may take; then it is abandoned.
    pub job: Duration,
    /// Longest time connecting may take.
    pub connect: Duration,
    /// Longest time that releasing is attempted.
    pub release: Duration,
}

/// Told of every step, as it happens.
type Tell<'t> = &'t mut (dyn FnMut(&DrillStep) + Send);

type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Does a drill with a device that has not been connected. It breaks off when `stop` completes. If anything was written,
/// the device is released afterwards and that is read back, also when this code or `tell` panics.
pub async fn run_drill(
    device: &mut dyn Device,
    settings: DrillSettings,
    times: DrillTimes,
    clock: &SharedClock,
    stop: impl Future<Output = ()> + Send + 'static,
    tell: &mut (dyn FnMut(&DrillStep) + Send),
) -> Drilled {
    let mut hands = Hands { device, clock: clock.as_ref(), times };
    let mut drill = Drill::new(settings, clock.now());
    let mut told = 0;
    let conducted = conduct(&mut drill, &mut hands, Box::pin(stop), tell, &mut told);
    if AssertUnwindSafe(conducted).catch_unwind().await.is_err() {
        drill.abort("a bug in gridloop broke the drill off", true, clock.now());
    }
    let left = if drill.touched() { restore(&mut drill, &mut hands).await } else { Left::Untouched };
    // The device is safe; whoever cannot be told any more need not be.
    let _ = std::panic::catch_unwind(AssertUnwindSafe(|| pass_on(&drill, tell, &mut told)));
    drill.result(left)
}

async fn conduct(drill: &mut Drill, hands: &mut Hands<'_>, mut stop: Stop, tell: Tell<'_>, told: &mut usize) {
    loop {
        pass_on(drill, tell, told);
        let now = hands.clock.now();
        match drill.next(now) {
            Next::End => return,
            Next::Until(instant) => {
                if until(hands.clock, instant, &mut stop).await.is_some() {
                    drill.abort("it was stopped", false, hands.clock.now());
                }
            }
            Next::Do(job) => {
                // A stop comes first: nothing more is begun.
                let done = tokio::select! {
                    biased;
                    () = &mut stop => None,
                    done = hands.perform(job) => Some(done),
                };
                let after = hands.clock.now();
                match done {
                    Some(done) => drill.done(done, now, after),
                    None => drill.abort("it was stopped", matches!(job, Job::Apply(_)), after),
                }
            }
        }
    }
}

fn pass_on(drill: &Drill, tell: Tell<'_>, told: &mut usize) {
    while let Some(step) = drill.steps().get(*told) {
        *told += 1;
        tell(step);
    }
}

/// Releases the device, and looks at it once more.
async fn restore(drill: &mut Drill, hands: &mut Hands<'_>) -> Left {
    let began = hands.clock.now();
    let unsure_until = drill.unknown_at().map(|at| at + hands.times.job);
    let end_by = began + hands.times.release;
    let mut restore = Restore::new(drill.connected(), unsure_until, began, end_by);
    loop {
        match restore.next(hands.clock.now()) {
            Next::End => break,
            Next::Until(instant) => hands.clock.sleep_until(instant).await,
            Next::Do(job) => {
                let done = until(hands.clock, end_by, hands.perform(job)).await;
                if let Some(done) = done {
                    restore.done(&done, hands.clock.now());
                }
            }
        }
    }
    let left = restore.left();
    let now = hands.clock.now();
    match &left {
        Left::Unknown(why) => drill.step(now, format!("NOT RELEASED: {why}")),
        _ => {
            drill.step(now, "released and read back".to_owned());
            if let Done::Read(Ok(snapshot)) = hands.perform(Job::Read).await
                && let Some(power) = snapshot.get(point::REAL_POWER)
            {
                drill.step(hands.clock.now(), format!("{:.0} W measured", power.value));
            }
        }
    }
    left
}

/// The device, and how long its calls may take.
struct Hands<'d> {
    device: &'d mut dyn Device,
    clock: &'d dyn Clock,
    times: DrillTimes,
}

impl Hands<'_> {
    async fn perform(&mut self, job: Job) -> Done {
        let Self { device, clock, times } = self;
        let limit = times.job;
        match job {
            Job::Connect => Done::Connected(guard(*clock, times.connect, "connect", device.connect()).await),
            Job::Read => Done::Read(guard(*clock, limit, "read", device.read()).await),
            Job::Apply(setpoint) => {
                Done::Applied(guard(*clock, limit, "apply", device.apply(&setpoint)).await)
            }
            Job::Release(safe) => {
                Done::Released(guard(*clock, limit, "release", device.release(&safe)).await)
            }
        }
    }
}

/// Runs one call of a driver within its time; a panic in it is an answer that makes no sense.
async fn guard<T>(
    clock: &dyn Clock,
    limit: Duration,
    operation: &str,
    call: impl Future<Output = Result<T, DeviceError>>,
) -> Result<T, DeviceError> {
    let deadline: MonoTime = clock.now() + limit;
    match until(clock, deadline, AssertUnwindSafe(call).catch_unwind()).await {
        None => Err(DeviceError::Timeout { operation: operation.to_owned(), waited: limit }),
        Some(Ok(result)) => result,
        Some(Err(_)) => Err(DeviceError::Malformed {
            operation: operation.to_owned(),
            reason: "the driver panicked; this is a bug in the driver".to_owned(),
        }),
    }
}
