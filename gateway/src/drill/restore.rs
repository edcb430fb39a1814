//! Giving a device back after a drill: [`Restore`], a state machine without I/O. It is asked and told like the device's
//! own core, and ends when a release has been read back, or when its time is up.

use gridloop_clock::MonoTime;
use gridloop_device::{Done, Job, Left, Next, SafeState};
use std::time::Duration;

/// The wait between two attempts.
const RETRY: Duration = Duration::from_millis(100);

/// The release of one device.
#[derive(Debug)]
pub(super) struct Restore {
    connected: bool,
    /// Until then a write of unknown outcome may still take effect; a release before it is not the last.
    unsure_until: Option<MonoTime>,
    end_by: MonoTime,
    retry_at: MonoTime,
    released: bool,
    last_error: Option<String>,
}

impl Restore {
    /// A release that begins `now` and may take until `end_by`.
    pub(super) fn new(
        connected: bool,
        unsure_until: Option<MonoTime>,
        now: MonoTime,
        end_by: MonoTime,
    ) -> Self {
        Self { connected, unsure_until, end_by, retry_at: now, released: false, last_error: None }
    }

    pub(super) fn next(&self, now: MonoTime) -> Next {
        if now >= self.end_by || (self.released && self.unsure_until.is_none()) {
            return Next::End;
        }
        if now < self.retry_at {
            return Next::Until(self.retry_at.min(self.end_by));
        }
        Next::Do(if self.connected { Job::Release(SafeState::Release) } else { Job::Connect })
    }

    pub(super) fn done(&mut self, done: &Done, now: MonoTime) {
        let error = match done {
            Done::Connected(Ok(_)) => {
                self.connected = true;
                return;
            }
            Done::Released(Ok(gridloop_device::Applied::InProgress)) => {
                self.retry_at = now + RETRY;
                return;
            }
            Done::Released(Ok(_)) => {
                self.released = true;
                // Once more when nothing can come after it.
                self.unsure_until = self.unsure_until.filter(|until| now < *until);
                self.retry_at = self.unsure_until.unwrap_or(now);
                return;
            }
            Done::Connected(Err(error)) | Done::Released(Err(error)) => error,
            Done::Applied(_) | Done::Read(_) => return,
        };
        self.released = false;
        self.connected = self.connected && error.keeps_link();
        self.last_error = Some(error.to_string());
        self.retry_at = now + RETRY;
    }

    /// How the device is left if this is the end.
    pub(super) fn left(&self) -> Left {
        if self.released && self.unsure_until.is_none() {
            return Left::Released;
        }
        let error = self.last_error.as_deref().unwrap_or("its release was not confirmed");
        Left::Unknown(error.to_owned())
    }
}
