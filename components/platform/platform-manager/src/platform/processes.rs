//! Processes of this machine: [`Processes`], the default [`Runner`].
//!
//! Every process is the leader of a process group of its own, so that Ctrl-C in a terminal reaches gridloop alone and
//! everything that a process starts can be ended with it. It gets `PATH`, `HOME` and what the plan says, nothing else of
//! gridloop's environment. Output goes straight into `<logs>/<name>.log`, so that it goes on when gridloop has left.

use super::plan::Launch;
use super::runner::{Ended, Exit, Runner};
use anyhow::{Context as _, bail};
use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process_group};
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use tokio::process::Command;
use tokio::sync::mpsc;

/// In a manifest's `Command`: the executable that is running now.
const OURSELVES: &str = "gridloop";
/// Bytes at the end of a log that are looked at for its last lines.
const TAIL_BYTES: u64 = 16 * 1024;

/// Starts processes of this machine.
pub struct Processes {
    logs: PathBuf,
    /// The executable that `gridloop` means.
    ourselves: PathBuf,
    planned: Vec<Planned>,
    exits: mpsc::UnboundedReceiver<Exit>,
    exited: mpsc::UnboundedSender<Exit>,
    /// Started, and not yet told of as ended.
    running: usize,
    detached: bool,
}

struct Planned {
    launch: Launch,
    program: PathBuf,
    log: PathBuf,
    /// Its process group, from its start until it has been told of as ended.
    group: Option<Pid>,
}

impl Processes {
    /// Starts processes whose output goes into the folder `logs`. `ourselves` is the running executable.
    #[must_use]
    pub fn new(logs: PathBuf, ourselves: PathBuf) -> Self {
        let (exited, exits) = mpsc::unbounded_channel();
        Self { logs, ourselves, planned: Vec::new(), exits, exited, running: 0, detached: false }
    }

    /// The file that a command's first word means.
    fn program(&self, launch: &Launch) -> anyhow::Result<PathBuf> {
        let name = &launch.name;
        let word = launch.command.as_ref().and_then(|command| command.first());
        let word = word
            .with_context(|| format!("{name}: the manifest of {} has no `Command`", launch.component_type))?;
        if word == OURSELVES {
            return Ok(self.ourselves.clone());
        }
        let found = if word.contains('/') {
            Some(std::path::absolute(launch.manifest_folder.join(word))?)
        } else {
            let paths = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&paths).map(|folder| folder.join(word)).find(|path| is_program(path))
        };
        match found {
            Some(program) if is_program(&program) => Ok(program),
            Some(program) => {
                bail!("{name}: there is no program {}, which its manifest names", program.display())
            }
            None => bail!("{name}: there is no program `{word}` in PATH, which its manifest names"),
        }
    }

    fn signal(&self, index: usize, signal: Signal) -> anyhow::Result<()> {
        let Some(planned) = self.planned.get(index) else { return Ok(()) };
        let Some(group) = planned.group else { return Ok(()) };
        match kill_process_group(group, signal) {
            // It has just ended by itself.
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("{} cannot be signalled", planned.launch.name)),
        }
    }

    fn note(&mut self, exit: Exit) -> Exit {
        self.running = self.running.saturating_sub(1);
        // What it has started must not outlive it; the group is gone if there is nothing of that kind.
        let _ = self.signal(exit.index, Signal::KILL);
        if let Some(planned) = self.planned.get_mut(exit.index) {
            planned.group = None;
        }
        exit
    }
}

#[async_trait]
impl Runner for Processes {
    async fn prepare(&mut self, launches: &[Launch]) -> anyhow::Result<()> {
        let mut planned = Vec::with_capacity(launches.len());
        let mut missing = Vec::new();
        for launch in launches {
            match self.program(launch) {
                Ok(program) => {
                    let log = self.logs.join(format!("{}.log", launch.name));
                    planned.push(Planned { launch: launch.clone(), program, log, group: None });
                }
                Err(error) => missing.push(format!("{error:#}")),
            }
        }
        if !missing.is_empty() {
            missing.dedup();
            bail!("{}", missing.join("\n"));
        }
        std::fs::create_dir_all(&self.logs)
            .with_context(|| format!("cannot make the folder {}", self.logs.display()))?;
        self.planned = planned;
        Ok(())
    }

    async fn start(&mut self, index: usize) -> anyhow::Result<String> {
        let planned = self.planned.get_mut(index).context("nothing is planned there: a bug")?;
        let log = File::create(&planned.log)
            .with_context(|| format!("cannot write the log {}", planned.log.display()))?;
        let arguments = planned.launch.command.iter().flatten().skip(1);
        let kept = ["PATH", "HOME"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        let mut command = Command::new(&planned.program);
        command
            .args(arguments)
            .current_dir(&planned.launch.folder)
            .env_clear()
            .envs(kept)
            .envs(planned.launch.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        let mut child = command.spawn().map_err(|error| describe(error, &planned.program))?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        planned.group = pid;
        self.running += 1;
        let exited = self.exited.clone();
        tokio::spawn(async move {
            let ended = child.wait().await.map_or(Ended::Gone, ended);
            // Nobody may be listening any more.
            let _ = exited.send(Exit { index, ended });
        });
        Ok(format!("pid {}", pid.map_or(0, |pid| pid.as_raw_nonzero().get())))
    }

    async fn next_exit(&mut self) -> Option<Exit> {
        if self.running == 0 {
            return None;
        }
        let exit = self.exits.recv().await?;
        Some(self.note(exit))
    }

    async fn terminate(&mut self, index: usize) -> anyhow::Result<()> {
        self.signal(index, Signal::TERM)
    }

    async fn kill(&mut self, index: usize) -> anyhow::Result<()> {
        self.signal(index, Signal::KILL)
    }

    async fn last_lines(&mut self, index: usize, count: usize) -> Vec<String> {
        self.planned.get(index).map(|planned| tail(&planned.log, count)).unwrap_or_default()
    }

    async fn collect_logs(&mut self) -> anyhow::Result<()> {
        Ok(())
    }

    async fn clean_up(&mut self) -> anyhow::Result<()> {
        for index in 0..self.planned.len() {
            self.signal(index, Signal::KILL)?;
        }
        while self.next_exit().await.is_some() {}
        Ok(())
    }

    async fn detach(&mut self) -> anyhow::Result<()> {
        self.detached = true;
        Ok(())
    }
}

impl Drop for Processes {
    /// Whatever breaks off the run, nothing goes on in secret.
    fn drop(&mut self) {
        if !self.detached {
            for index in 0..self.planned.len() {
                // There is nobody left to tell.
                let _ = self.signal(index, Signal::KILL);
            }
        }
    }
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

fn describe(error: std::io::Error, program: &Path) -> anyhow::Error {
    let program = program.display();
    let text = match error.kind() {
        ErrorKind::PermissionDenied => format!("{program} may not be executed"),
        ErrorKind::ArgumentListTooLong => format!("the environment is too long for {program}"),
        ErrorKind::NotFound => {
            format!("{program}, its interpreter or the folder of the run configuration is missing")
        }
        _ => format!("{program} does not start"),
    };
    anyhow::Error::new(error).context(text)
}

fn ended(status: ExitStatus) -> Ended {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Code(code),
        (None, Some(signal)) => Ended::Signal(signal),
        (None, None) => Ended::Gone,
    }
}

/// The last lines of a file, as far as they lie in its last bytes.
fn tail(path: &Path, count: usize) -> Vec<String> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    // A log that cannot be read has no last lines.
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].iter().map(|line| (*line).to_owned()).collect()
}
