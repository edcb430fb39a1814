//! What to do next with a device: [`DeviceCore`], a state machine without I/O.
//!
//! It is asked [`DeviceCore::next`] and told [`DeviceCore::done`]. The order is fixed: connect before everything, one
//! reading after every connect (the device's state is adopted, and a write of unknown outcome is settled), release
//! before commands, commands before readings. A setpoint is written once, and again only to refresh the device's own
//! timer or when the device has lost it. When it expires and no newer one has come, the device is released: that is the
//! dead-man timer. The same happens when the device is disarmed, by somebody's word or because the time is up for which
//! it was armed. A device that is connected and refuses to be read is not commanded, but it is released all the same.

mod interface;

use crate::contract::{Description, DeviceError, FailSafe, Renewal};
use crate::image::{Link, ProcessImage};
use crate::value::{Applied, Command, Setpoint, Snapshot};
use gridloop_clock::MonoTime;
use std::sync::Arc;
use std::time::Duration;

pub use interface::{Disarmed, Done, Job, Left, Mode, Next, NotAccepted, Occurrence, TaskSettings};

/// The state machine.
#[derive(Debug)]
pub struct DeviceCore {
    settings: TaskSettings,
    image: ProcessImage,
    occurrences: Vec<Occurrence>,
    connected: bool,
    read_first: bool,
    attempts: u32,
    retry_at: MonoTime,
    next_read: MonoTime,
    read_asked: bool,
    setpoint: Option<Driven>,
    lease: Lease,
    /// The last command that was written, and when.
    written: Option<(Command, MonoTime)>,
    /// Until when the command that the device holds may stand; later only if it is asked for again.
    held_until: Option<MonoTime>,
    /// When the device's own timer has to be refreshed, if it has one.
    timer_at: Option<MonoTime>,
    /// The device may hold something of ours.
    touched: bool,
    released: bool,
    /// When a write of unknown outcome was given up. It may still take effect for as long as a job may take.
    last_unknown: Option<MonoTime>,
    release: Release,
    end_by: Option<MonoTime>,
}

/// Until when a device is armed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Lease {
    None,
    Until(MonoTime),
    Unlimited,
}

/// The setpoint in force.
#[derive(Debug, Clone, Copy)]
struct Driven {
    setpoint: Setpoint,
    write: Write,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Write {
    Due,
    /// Under way, and to be applied again.
    Continued,
    /// To be applied again after the next reading.
    AfterRead,
    /// Held by the device; applied again at the instant.
    Held {
        refresh_at: MonoTime,
    },
    /// Refused: not written again.
    Given,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Release {
    No,
    Wanted { at: MonoTime },
    AfterRead,
}

impl DeviceCore {
    /// A device that has not been connected.
    #[must_use]
    pub fn new(settings: TaskSettings, now: MonoTime) -> Self {
        let lease = match (settings.mode, settings.armed_for) {
            (Mode::Armed, None) => Lease::Unlimited,
            (Mode::Armed, Some(time)) => Lease::Until(now + time),
            (Mode::ReadOnly | Mode::DryRun, _) => Lease::None,
        };
        Self {
            settings,
            image: ProcessImage { mode: settings.mode, ..ProcessImage::default() },
            lease,
            written: None,
            held_until: None,
            timer_at: None,
            occurrences: Vec::new(),
            connected: false,
            read_first: false,
            attempts: 0,
            retry_at: now,
            next_read: now,
            read_asked: false,
            setpoint: None,
            touched: false,
            released: false,
            last_unknown: None,
            release: Release::No,
            end_by: None,
        }
    }

    /// What is known of the device.
    #[must_use]
    pub fn image(&self) -> &ProcessImage {
        &self.image
    }

    /// How the device would be left if this were the end.
    #[must_use]
    pub fn left(&self) -> Left {
        match (self.touched, self.released) {
            (true, _) => {
                let error = self.image.last_error.as_deref();
                Left::Unknown(error.unwrap_or("its safe state was not confirmed").to_owned())
            }
            (false, true) => Left::Released,
            (false, false) => Left::Untouched,
        }
    }

    /// Whether something has happened since it was last asked.
    #[must_use]
    pub fn has_news(&self) -> bool {
        !self.occurrences.is_empty()
    }

    /// Takes what has happened since it was last asked.
    pub fn occurrences(&mut self) -> std::vec::Drain<'_, Occurrence> {
        self.occurrences.drain(..)
    }

    /// Accepts a setpoint, which from now on is the newest.
    ///
    /// # Errors
    /// [`NotAccepted`], and nothing has changed.
    pub fn command(&mut self, setpoint: Setpoint, now: MonoTime) -> Result<(), NotAccepted> {
        if self.end_by.is_some() {
            return Err(NotAccepted::Ending);
        }
        self.watch_lease(now);
        if self.image.mode == Mode::ReadOnly {
            return Err(NotAccepted::ReadOnly);
        }
        if now >= setpoint.expires_at {
            return Err(NotAccepted::Expired);
        }
        if self.image.asked.is_some_and(|asked| asked.epoch > setpoint.epoch) {
            return Err(NotAccepted::Older);
        }
        self.image.asked = Some(setpoint);
        if self.image.mode == Mode::DryRun {
            self.occurrences.push(Occurrence::WouldApply(setpoint));
            return Ok(());
        }
        self.release = Release::No;
        if let Some(Driven { setpoint: before, write: Write::Held { .. } }) = self.setpoint
            && before.command == setpoint.command
        {
            self.held_until = Some(setpoint.expires_at);
        }
        // A repetition keeps what has been reached, and the date on which it was first asked for.
        self.setpoint = Some(match self.setpoint {
            Some(Driven { setpoint: before, write })
                if before.command == setpoint.command && write != Write::Given =>
            {
                Driven { setpoint: Setpoint { received_at: before.received_at, ..setpoint }, write }
            }
            _ => Driven { setpoint, write: Write::Due },
        });
        Ok(())
    }

    /// Asks for a reading as soon as possible.
    pub fn refresh(&mut self) {
        self.read_asked = true;
    }

    /// Arms the device until that instant, whatever its mode was.
    pub fn arm(&mut self, until: MonoTime) {
        self.lease = Lease::Until(until);
        self.image.mode = Mode::Armed;
        self.occurrences.push(Occurrence::Armed(until));
    }

    /// Disarms the device: it is put into its safe state if it may hold anything of ours.
    pub fn disarm(&mut self, now: MonoTime) {
        if self.lease != Lease::None {
            self.disarmed(Disarmed::OnRequest, now);
        }
    }

    /// Takes back the setpoint in force: the safe state if the device may hold anything of ours. It stays armed.
    pub fn take_back(&mut self, now: MonoTime) {
        self.want_release(now);
    }

    /// Asks for the end: the safe state if the device may hold anything of ours, then nothing more.
    pub fn end(&mut self, now: MonoTime) {
        if self.end_by.is_none() {
            self.end_by = Some(now + self.settings.release_within);
            self.want_release(now);
        }
    }

    /// What to do at `now`.
    pub fn next(&mut self, now: MonoTime) -> Next {
        self.watch_lease(now);
        self.watch_expiry(now);
        if self.end_by.is_some_and(|end_by| self.release == Release::No || now >= end_by) {
            return Next::End;
        }
        if !self.connected {
            return if now >= self.retry_at {
                Next::Do(Job::Connect)
            } else {
                self.wait_until(self.retry_at)
            };
        }
        if self.read_first && (self.read_asked || now >= self.next_read) {
            return Next::Do(Job::Read);
        }
        if let Release::Wanted { at } = self.release
            && now >= at
        {
            return Next::Do(Job::Release(self.settings.safe_state));
        }
        if let Some(driven) = self.setpoint
            && self.due_at(driven).is_some_and(|at| now >= at)
            && !self.read_first
        {
            return Next::Do(Job::Apply(driven.setpoint));
        }
        if self.read_asked || now >= self.next_read {
            return Next::Do(Job::Read);
        }
        self.wait_until(self.next_read)
    }

    /// Notes that a job is about to be done, for whoever keeps a record of writes.
    pub fn begins(&mut self, job: &Job) {
        match job {
            Job::Apply(setpoint) if self.setpoint.is_some_and(|driven| driven.write == Write::Due) => {
                let before = self.image.held;
                self.occurrences.push(Occurrence::Writing { setpoint: *setpoint, before });
            }
            Job::Release(_) => self.occurrences.push(Occurrence::Releasing),
            Job::Apply(_) | Job::Connect | Job::Read => {}
        }
    }

    /// Takes the result of a job that was asked for.
    pub fn done(&mut self, done: Done, now: MonoTime) {
        match done {
            Done::Connected(Ok(description)) => {
                let description = Arc::new(description);
                self.connected = true;
                self.read_first = true;
                self.next_read = now;
                self.image.description = Some(Arc::clone(&description));
                self.occurrences.push(Occurrence::Connected(description));
            }
            Done::Connected(Err(error)) => self.failed(&error, now),
            Done::Read(Ok(snapshot)) => self.has_read(snapshot, now),
            Done::Read(Err(error)) => {
                self.failed(&error, now);
                self.read_asked = false;
                self.next_read = now + self.settings.poll_interval;
            }
            Done::Applied(result) => self.has_applied(result, now),
            Done::Released(result) => self.has_released(result, now),
        }
    }

    fn has_read(&mut self, snapshot: Snapshot, now: MonoTime) {
        self.attempts = 0;
        self.read_first = false;
        self.read_asked = false;
        self.next_read = now + self.settings.poll_interval;
        let power = self.image.description.as_ref().and_then(|it| it.capabilities.power);
        self.image.took(snapshot, power, now);
        if self.release == Release::AfterRead {
            self.release = Release::Wanted { at: now };
        }
        if let Some(driven) = &mut self.setpoint
            && driven.write == Write::AfterRead
        {
            driven.write = Write::Continued;
        }
    }

    fn has_applied(&mut self, result: Result<Applied, DeviceError>, now: MonoTime) {
        let Some(driven) = self.setpoint.as_mut() else { return };
        let setpoint = driven.setpoint;
        self.touched = true;
        if self.written.is_none_or(|(command, _)| command != setpoint.command) {
            self.written = Some((setpoint.command, now));
        }
        match result {
            Ok(Applied::Confirmed { readback }) => {
                let first = !matches!(driven.write, Write::Held { .. });
                let refresh_at = refresh_at(self.image.description.as_deref(), &setpoint, now);
                driven.write = Write::Held { refresh_at };
                self.held_until = Some(setpoint.expires_at);
                self.timer_at = wants_renewal(self.image.description.as_deref()).then_some(refresh_at);
                self.image.held = Some(readback);
                if first {
                    self.image.held_order = setpoint.order;
                }
                self.image.refusal = None;
                self.occurrences.push(Occurrence::Applied { setpoint, readback, first });
            }
            Ok(Applied::Restored { readback }) => {
                let refresh_at = refresh_at(self.image.description.as_deref(), &setpoint, now);
                driven.write = Write::Held { refresh_at };
                self.held_until = Some(setpoint.expires_at);
                self.timer_at = wants_renewal(self.image.description.as_deref()).then_some(refresh_at);
                self.image.held = Some(readback);
                self.image.refusal = None;
                self.occurrences.push(Occurrence::Restored { setpoint, readback });
            }
            Ok(Applied::InProgress) => {
                driven.write = Write::AfterRead;
                self.image.refusal = None;
            }
            Err(error) if error.keeps_link() => {
                driven.write = Write::Given;
                // It may be what it was, or something between.
                self.image.held = None;
                self.image.refusal = Some(error.to_string());
                self.image.last_error = Some(error.to_string());
                self.image.failures += 1;
                self.occurrences.push(Occurrence::Refused { setpoint, reason: error.to_string() });
            }
            Err(error) => {
                driven.write = Write::Due;
                self.last_unknown = Some(now);
                self.occurrences.push(Occurrence::OutcomeUnknown(setpoint));
                self.failed(&error, now);
            }
        }
    }

    fn has_released(&mut self, result: Result<Applied, DeviceError>, now: MonoTime) {
        match result {
            Ok(Applied::Confirmed { .. } | Applied::Restored { .. }) => {
                // A write that was given up may still be on its way: what was released is released once more after it.
                if let Some(settled_at) = self.last_unknown.take().map(|at| at + self.settings.write_timeout)
                    && now < settled_at
                {
                    self.release = Release::Wanted { at: settled_at };
                    return;
                }
                self.release = Release::No;
                self.touched = false;
                self.released = true;
                self.image.held = None;
                self.occurrences.push(Occurrence::Released);
            }
            Ok(Applied::InProgress) => self.release = Release::AfterRead,
            Err(error) => {
                self.occurrences.push(Occurrence::ReleaseFailed(error.to_string()));
                if error.keeps_link() {
                    self.image.last_error = Some(error.to_string());
                    self.image.failures += 1;
                    self.release = Release::Wanted { at: now + self.backoff() };
                } else {
                    self.failed(&error, now);
                }
            }
        }
    }

    /// A request failed. The link goes with it, unless the device merely said no.
    fn failed(&mut self, error: &DeviceError, now: MonoTime) {
        self.image.failures += 1;
        self.image.last_error = Some(error.to_string());
        if self.connected && error.keeps_link() {
            return;
        }
        if self.connected {
            self.occurrences.push(Occurrence::LinkLost(error.to_string()));
        }
        self.connected = false;
        self.timer_at = None;
        self.image.link = Link::Down;
        self.image.held = None;
        if let Some(driven) = &mut self.setpoint
            && driven.write != Write::Given
        {
            driven.write = Write::Due;
        }
        self.retry_at = now + self.backoff();
    }

    fn backoff(&mut self) -> Duration {
        let doubled = self.settings.backoff_min.saturating_mul(1 << self.attempts.min(16));
        self.attempts = self.attempts.saturating_add(1);
        doubled.min(self.settings.backoff_max)
    }

    fn watch_lease(&mut self, now: MonoTime) {
        if let Lease::Until(until) = self.lease
            && now >= until
        {
            self.disarmed(Disarmed::LeaseExpired, now);
        }
    }

    fn disarmed(&mut self, why: Disarmed, now: MonoTime) {
        self.lease = Lease::None;
        self.image.mode = match self.settings.mode {
            Mode::Armed | Mode::ReadOnly => Mode::ReadOnly,
            Mode::DryRun => Mode::DryRun,
        };
        self.occurrences.push(Occurrence::Disarmed(why));
        self.want_release(now);
    }

    fn watch_expiry(&mut self, now: MonoTime) {
        if let Some(driven) = self.setpoint
            && (now >= driven.setpoint.expires_at || self.outlived(driven, now))
        {
            self.occurrences.push(Occurrence::DeadMan(driven.setpoint));
            self.want_release(now);
        }
    }

    /// Whether the device refused the setpoint in force, and the one that it still holds is over.
    fn outlived(&self, driven: Driven, now: MonoTime) -> bool {
        driven.write == Write::Given && self.touched && self.held_until.is_some_and(|until| now >= until)
    }

    fn want_release(&mut self, now: MonoTime) {
        self.setpoint = None;
        (self.held_until, self.timer_at) = (None, None);
        if self.touched && self.release == Release::No {
            self.release = Release::Wanted { at: now };
        }
    }

    /// When a setpoint is to be written, the present included; `None`: not before something else has happened.
    fn due_at(&self, driven: Driven) -> Option<MonoTime> {
        match driven.write {
            // Not later than the device's timer has to be refreshed: a write is due then in any case.
            Write::Due => Some(match self.written {
                Some((command, at)) if command != driven.setpoint.command => {
                    let at = at + self.settings.write_interval;
                    self.timer_at.map_or(at, |timer_at| at.min(timer_at))
                }
                _ => MonoTime::default(),
            }),
            Write::Continued => Some(MonoTime::default()),
            Write::Held { refresh_at } => Some(refresh_at),
            Write::AfterRead | Write::Given => None,
        }
    }

    /// The instant to wait for: `wanted`, or earlier if something runs out before.
    fn wait_until(&self, wanted: MonoTime) -> Next {
        let expiry = self.setpoint.map(|driven| match (driven.write, self.held_until) {
            (Write::Given, Some(held_until)) => held_until.min(driven.setpoint.expires_at),
            _ => driven.setpoint.expires_at,
        });
        let ready = self.connected && !self.read_first;
        let write = self.setpoint.and_then(|driven| self.due_at(driven)).filter(|_| ready);
        let release = match self.release {
            Release::Wanted { at } if self.connected => Some(at),
            _ => None,
        };
        let lease = match self.lease {
            Lease::Until(until) => Some(until),
            Lease::None | Lease::Unlimited => None,
        };
        let first =
            [expiry, write, release, lease, self.end_by].into_iter().flatten().fold(wanted, MonoTime::min);
        Next::Until(first)
    }
}

/// How often a command that a device holds without a timer is looked after.
const LOOK_AFTER: Duration = Duration::from_secs(5);

/// Whether what the device holds comes to an end by itself.
fn wants_renewal(description: Option<&Description>) -> bool {
    description.is_some_and(|it| it.fail_safe != FailSafe::None || it.renewal != Renewal::No)
}

/// A device with a timer of its own, or one that wants signs of life, is told again after a third of the time; one that
/// was told when the command expires, at half that time. One without is told again too: a driver writes what the device no longer holds, and nothing else.
fn refresh_at(description: Option<&Description>, written: &Setpoint, now: MonoTime) -> MonoTime {
    let timer = match description.map(|description| description.fail_safe) {
        None | Some(FailSafe::None) => None,
        Some(FailSafe::RevertsToFree { after } | FailSafe::RevertsToValue { after, .. }) => Some(after / 3),
    };
    let renewal = match description.map(|description| description.renewal) {
        None | Some(Renewal::No) => None,
        Some(Renewal::Within(time)) => Some(time / 3),
        Some(Renewal::BeforeExpiry) => Some(written.expires_at.since(now) / 2),
    };
    now + timer.into_iter().chain(renewal).fold(LOOK_AFTER, Duration::min)
}
