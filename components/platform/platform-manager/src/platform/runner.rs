//! How the processes of a run are started and ended: the [`Runner`] trait, with one implementation for operating system
//! processes and one for Docker containers.
//!
//! A runner does what it is told and decides nothing: the order, what a failure leads to and when a stop has taken too
//! long are decided by its caller ([`start_all`](super::launch::start_all) and the supervision of a run). The processes
//! are known by their index in the list given to [`Runner::prepare`].

use super::plan::Launch;
use async_trait::async_trait;
use std::fmt;

/// Starts, watches and ends the processes of one run.
///
/// Every method may be called at any time after [`Runner::prepare`]; asking an ended process to end is no error. Errors
/// say which process, what was tried and what the operator can do; they never carry a password.
#[async_trait]
pub trait Runner: Send {
    /// Makes everything ready without running anything: programs are looked for, images too, containers are created,
    /// in the order of the list. Called once, first. When it fails, it has removed again whatever it had made.
    async fn prepare(&mut self, launches: &[Launch]) -> anyhow::Result<()>;

    /// Starts one process. What it is called where it runs comes back, for the operator: `pid 4711`,
    /// `container Sim00_grid`.
    async fn start(&mut self, index: usize) -> anyhow::Result<String>;

    /// Waits until a started process ends; each end is told once. `None` when no started process is left running.
    /// Nothing is lost when the wait is cancelled.
    async fn next_exit(&mut self) -> Option<Exit>;

    /// Asks a process to end, as an operator would (SIGTERM; for containers the same signal to their first process).
    async fn terminate(&mut self, index: usize) -> anyhow::Result<()>;

    /// Ends a process at once (SIGKILL), with everything that it started.
    async fn kill(&mut self, index: usize) -> anyhow::Result<()>;

    /// The last lines that a process wrote to its standard output and error, oldest first, at most `count`; also of a
    /// process that has ended.
    async fn last_lines(&mut self, index: usize, count: usize) -> Vec<String>;

    /// Makes everything that the processes have written so far readable in the run's `logs` folder, one file
    /// `<name>.log` each. For processes it is there already.
    async fn collect_logs(&mut self) -> anyhow::Result<()>;

    /// Removes what [`Runner::prepare`] and [`Runner::start`] have made, killing what still runs. Logs stay.
    async fn clean_up(&mut self) -> anyhow::Result<()>;

    /// Leaves the started processes to themselves: they go on when this runner, and this process, are gone.
    async fn detach(&mut self) -> anyhow::Result<()>;
}

/// The end of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Its place in the list given to [`Runner::prepare`].
    pub index: usize,
    /// How it ended.
    pub ended: Ended,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Nobody can say: it was gone when it was looked for.
    Gone,
}

impl Ended {
    /// Whether it ended by itself and well.
    #[must_use]
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Code(0))
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "ended with exit code {code}"),
            Self::Signal(9) => f.write_str("was killed (signal 9)"),
            Self::Signal(15) => f.write_str("was ended by a signal (TERM)"),
            Self::Signal(number) => write!(f, "was ended by signal {number}"),
            Self::Gone => f.write_str("has disappeared"),
        }
    }
}
