//! What the operating system grants the pacer's thread: [`Granted`] says what was asked for, each [`Refusal`] what that
//! costs and how to obtain it. Everything is optional, and nothing is assumed: the scheduler is read back.

use rustix::io::Errno;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::num::NonZeroU64;
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id, thread_schedule_policy_param,
};

/// Below the kernel's own threads that must run, above everything else.
const PRIORITY: u8 = 80;

/// What the pacer's thread was granted.
#[derive(Debug)]
pub struct Granted {
    /// How it is scheduled.
    pub scheduler: Scheduler,
    /// What was refused besides.
    pub refusals: Vec<Refusal>,
    /// The request is in force as long as the file is open.
    _latency_request: Option<File>,
}

/// How a thread is scheduled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scheduler {
    /// By `SCHED_FIFO` with this priority.
    Fifo(i32),
    /// As any other thread, because the better was refused.
    Other(Refusal),
}

/// Something the operating system refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What was asked for.
    pub what: &'static str,
    /// The operating system's answer.
    pub answer: String,
    /// What helps.
    pub remedy: &'static str,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} refused: {}; {}", self.what, self.answer, self.remedy)
    }
}

impl fmt::Display for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fifo(priority) => write!(f, "SCHED_FIFO {priority}"),
            Self::Other(refusal) => write!(f, "SCHED_OTHER ({refusal})"),
        }
    }
}

/// Asks for everything, for the calling thread.
pub(crate) fn request() -> Granted {
    let mut refusals = Vec::new();
    refusals.extend(sharpen_timers().err());
    let latency_request = hold_latency().map_err(|refusal| refusals.push(refusal)).ok();
    let scheduler = schedule_first().map_or_else(Scheduler::Other, Scheduler::Fifo);
    Granted { scheduler, refusals, _latency_request: latency_request }
}

/// Before every thread that does not ask for the same; gives the priority that the thread has now.
fn schedule_first() -> Result<i32, Refusal> {
    let refusal = |answer: String| Refusal {
        what: "SCHED_FIFO",
        answer,
        remedy: "run as root, grant CAP_SYS_NICE (containers: --cap-add SYS_NICE) or set `ulimit -r 99`",
    };
    let fifo = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    let priority = ThreadPriorityValue::try_from(PRIORITY).map_err(|error| refusal(error.to_owned()))?;
    let thread = thread_native_id();
    set_thread_priority_and_policy(thread, ThreadPriority::Crossplatform(priority), fifo)
        .map_err(|error| refusal(in_words(&error)))?;
    let (policy, params) = thread_schedule_policy_param(thread).map_err(|error| refusal(in_words(&error)))?;
    if policy == fifo {
        Ok(params.sched_priority)
    } else {
        Err(refusal(format!("granted, but the thread has {policy:?}")))
    }
}

fn in_words(error: &thread_priority::Error) -> String {
    match error {
        thread_priority::Error::OS(code) => std::io::Error::from_raw_os_error(*code).to_string(),
        other => other.to_string(),
    }
}

/// The kernel may join wake-ups that lie within 50 us; not here.
fn sharpen_timers() -> Result<(), Refusal> {
    let set = |error: Errno| Refusal {
        what: "timer slack of 1 ns",
        answer: error.to_string(),
        remedy: "needs a Linux kernel with PR_SET_TIMERSLACK",
    };
    rustix::thread::set_current_timer_slack(NonZeroU64::new(1)).map_err(set)
}

/// Keeps the processors out of their deep idle states, which cost more on an idle machine than the scheduler does.
fn hold_latency() -> Result<File, Refusal> {
    let hold = || {
        let mut file = OpenOptions::new().write(true).open("/dev/cpu_dma_latency")?;
        file.write_all(&0_i32.to_ne_bytes())?;
        Ok(file)
    };
    hold().map_err(|error: std::io::Error| Refusal {
        what: "latency request (/dev/cpu_dma_latency)",
        answer: error.to_string(),
        remedy: "let this user write to the file (containers: --device /dev/cpu_dma_latency)",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_was_answered_and_what_helps() {
        let refusal = Refusal { what: "SCHED_FIFO", answer: "not permitted".into(), remedy: "run as root" };
        let text = Scheduler::Other(refusal).to_string();
        assert_eq!(text, "SCHED_OTHER (SCHED_FIFO refused: not permitted; run as root)");
    }

    #[test]
    fn what_is_said_of_the_scheduler_is_what_the_thread_has() {
        let (granted, policy) =
            std::thread::spawn(|| (request(), thread_priority::thread_schedule_policy())).join().unwrap();
        let fifo = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
        assert_eq!(matches!(granted.scheduler, Scheduler::Fifo(_)), policy == Ok(fifo));
    }
}
