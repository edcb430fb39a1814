//! What the operating system grants the pacer's thread, and what its clock says of itself: [`Granted`] says what was
//! asked for, each [`Refusal`] what that costs and how to obtain it. Everything is optional, and nothing is assumed: the
//! scheduler is read back.
//!
//! One of the two files with unsafe code: one system call that no library wraps.

use rustix::io::Errno;
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{Resource, getrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::Serialize;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
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
    /// Whether no page of this process can be taken out of memory.
    pub memory_locked: bool,
    /// The processor that it is bound to.
    pub cpu: Option<usize>,
    /// What was refused besides the scheduler.
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// What was asked for.
    pub what: &'static str,
    /// The operating system's answer.
    pub answer: String,
    /// What helps.
    pub remedy: &'static str,
}

impl Granted {
    /// Everything that was refused.
    pub fn all_refusals(&self) -> impl Iterator<Item = &Refusal> {
        let scheduler = match &self.scheduler {
            Scheduler::Fifo(_) => None,
            Scheduler::Other(refusal) => Some(refusal),
        };
        scheduler.into_iter().chain(&self.refusals)
    }
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

/// Asks for everything, for the calling thread; memory is locked for the whole process and stays so.
pub(crate) fn request(cpu: Option<usize>) -> Granted {
    let mut refusals = Vec::new();
    refusals.extend(sharpen_timers().err());
    let latency_request = hold_latency().map_err(|refusal| refusals.push(refusal)).ok();
    let memory_locked = lock_memory().map_err(|refusal| refusals.push(refusal)).is_ok();
    let cpu = cpu.and_then(|cpu| bind_to(cpu).map_err(|refusal| refusals.push(refusal)).ok());
    let scheduler = schedule_first().map_or_else(Scheduler::Other, Scheduler::Fifo);
    Granted { scheduler, memory_locked, cpu, refusals, _latency_request: latency_request }
}

/// Before every thread that does not ask for the same; gives the priority that the thread has now.
fn schedule_first() -> Result<i32, Refusal> {
    let refusal = |answer: String| Refusal {
        what: "SCHED_FIFO",
        answer,
        remedy: "run as root, grant CAP_SYS_NICE (containers: --cap-add SYS_NICE) or allow real-time priorities \
                 (limits.conf: `rtprio 90`; systemd: LimitRTPRIO=90)",
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
        thread_priority::Error::OS(code) => io::Error::from_raw_os_error(*code).to_string(),
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
    hold().map_err(|error: io::Error| Refusal {
        what: "latency request (/dev/cpu_dma_latency)",
        answer: error.to_string(),
        remedy: "let this user write to the file (containers: --device /dev/cpu_dma_latency)",
    })
}

/// Keeps every page of the process in memory, also those that are still to come. Where there is a limit to that, it is
/// not asked for at all: the page beyond the limit would be refused in the middle of the run.
fn lock_memory() -> Result<(), Refusal> {
    let refusal = |answer: String| Refusal {
        what: "locked memory",
        answer,
        remedy: "run as root, grant CAP_IPC_LOCK (containers: --cap-add IPC_LOCK --ulimit memlock=-1) or lift the \
                 limit (limits.conf: `memlock unlimited`; systemd: LimitMEMLOCK=infinity)",
    };
    if let Some(limit) = getrlimit(Resource::Memlock).current
        && !may_lock_beyond_limits()
    {
        return Err(refusal(format!("no more than {limit} bytes may be locked")));
    }
    let all = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    mlockall(all).map_err(|error| refusal(error.to_string()))
}

/// Whether this process has CAP_IPC_LOCK, and not only inside a user namespace, where it does not count.
fn may_lock_beyond_limits() -> bool {
    const CAP_IPC_LOCK: u32 = 14;
    let users = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    if users.split_whitespace().collect::<Vec<_>>() != ["0", "0", "4294967295"] {
        return false;
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok());
    effective.is_some_and(|effective| effective >> CAP_IPC_LOCK & 1 == 1)
}

/// Binds the calling thread to one processor, and gives its number back.
fn bind_to(cpu: usize) -> Result<usize, Refusal> {
    let refusal = |answer: String| Refusal {
        what: "the processor of manager.pacer_cpu",
        answer,
        remedy: "name one that exists and that this process may use (`taskset -p $$` shows which)",
    };
    if cpu >= CpuSet::MAX_CPU {
        return Err(refusal(format!("there is no processor {cpu}")));
    }
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).map_err(|error| refusal(error.to_string()))?;
    let bound = sched_getaffinity(None).map_err(|error| refusal(error.to_string()))?;
    if bound.is_set(cpu) && bound.count() == 1 { Ok(cpu) } else { Err(refusal("not bound".into())) }
}

/// What the kernel says about the system's UTC (`adjtimex(2)`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Synchronisation {
    /// Whether a time service keeps it.
    pub synchronised: bool,
    /// What is still to be corrected, in microseconds.
    pub offset_us: f64,
    /// How wrong it may be at most, in microseconds.
    pub error_bound_us: i64,
    /// How wrong it probably is, in microseconds.
    pub estimated_error_us: i64,
    /// The correction of its rate, in parts per million.
    pub frequency_ppm: f64,
    /// A leap second will be inserted or left out at the end of the day.
    pub leap_second_pending: bool,
}

/// Asks the kernel how well UTC is kept; changes nothing.
///
/// # Errors
/// The call was refused, as in some containers.
#[allow(unsafe_code)]
pub fn clock_synchronisation() -> io::Result<Synchronisation> {
    // SAFETY: `timex` is a C struct of integers, for which all zeroes are valid; `modes` 0 asks and sets nothing. The
    // pointer is to a live value of the right type, which the kernel fills in before the call returns.
    let (state, asked) = unsafe {
        let mut asked: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&raw mut asked), asked)
    };
    if state < 0 {
        return Err(io::Error::last_os_error());
    }
    let nanos = asked.status & libc::STA_NANO != 0;
    let offset = as_f64(asked.offset);
    Ok(Synchronisation {
        synchronised: asked.status & libc::STA_UNSYNC == 0 && state != libc::TIME_ERROR,
        offset_us: if nanos { offset / 1000.0 } else { offset },
        error_bound_us: asked.maxerror,
        estimated_error_us: asked.esterror,
        // 2^16 is one part per million.
        frequency_ppm: as_f64(asked.freq) / 65_536.0,
        leap_second_pending: asked.status & (libc::STA_INS | libc::STA_DEL) != 0,
    })
}

/// The kernel's corrections fit into 32 bits.
fn as_f64(value: i64) -> f64 {
    f64::from(i32::try_from(value).unwrap_or(if value < 0 { i32::MIN } else { i32::MAX }))
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
            std::thread::spawn(|| (request(None), thread_priority::thread_schedule_policy())).join().unwrap();
        let fifo = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
        assert_eq!(matches!(granted.scheduler, Scheduler::Fifo(_)), policy == Ok(fifo));
    }

    #[test]
    fn memory_is_locked_or_it_is_said_why_not() {
        let locked = lock_memory();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let pages = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap().trim();
        assert_eq!(locked.is_ok(), pages != "0 kB", "{locked:?} {pages}");
    }

    #[test]
    fn a_thread_is_bound_to_a_processor_that_exists_and_to_no_other() {
        let bound = |cpu| std::thread::spawn(move || bind_to(cpu)).join().unwrap();
        assert_eq!(bound(0), Ok(0));
        for cpu in [CpuSet::MAX_CPU - 1, CpuSet::MAX_CPU, usize::MAX] {
            assert!(bound(cpu).is_err(), "{cpu}");
        }
    }

    #[test]
    fn the_kernel_says_how_well_utc_is_kept() {
        let Ok(said) = clock_synchronisation() else { return };
        assert!(said.error_bound_us >= 0 && said.frequency_ppm.abs() <= 500.0, "{said:?}");
    }
}
