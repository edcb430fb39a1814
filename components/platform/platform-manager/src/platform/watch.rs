//! Following a run to its end, and ending it: [`Watch`], a state machine without I/O.
//!
//! What is heard on the run's exchange, ends of processes, the operator's wish to stop and the passing of time go in;
//! what to tell, whom to signal and when to leave come out. A run ends by SimState `stopped` alone; whoever keeps it
//! from coming (a manager that has died, or does not react) is spoken for, so that nobody outside waits for ever
//! (wire contract 7.2, 8).

mod heard;
mod verdict;

pub use verdict::Verdict;

use super::plan::{Plan, Role};
use super::runner::{Ended, Exit};
use gridloop_clock::MonoTime;
use gridloop_messages::SimulationId;
use gridloop_realtime_manager::Progress;
use std::time::Duration;

/// What an end of a process may precede the message that explains it by.
const EXPLAINED_WITHIN: Duration = Duration::from_secs(1);
/// Time for a manager that is asked to stop until it says `stopped`.
const MANAGER_STOPS_WITHIN: Duration = Duration::from_secs(15);
/// After `stopped`: time for components to end by themselves. Those of the Python platform look every 2 s.
const COMPONENTS_END_WITHIN: Duration = Duration::from_secs(15);
/// After `stopped`: time for the manager. The Python one sleeps a while first.
const MANAGER_ENDS_WITHIN: Duration = Duration::from_secs(45);
/// After `stopped`: time for the Log Writer. The Python one lingers up to 75 s before it writes its last messages.
const LOG_WRITER_ENDS_WITHIN: Duration = Duration::from_secs(90);
/// Between asking to end and killing.
const KILLED_AFTER: Duration = Duration::from_secs(5);
/// An epoch that lasts this long makes the operator ask who is missing.
const MISSING_TOLD_AFTER: Duration = Duration::from_secs(10);
/// Ends that take this long make the operator ask whom everybody waits for.
const ENDS_TOLD_AFTER: Duration = Duration::from_secs(10);
/// Nothing at all from the manager: it waits some 10 s before it begins.
const SILENCE_TOLD_AFTER: Duration = Duration::from_secs(60);

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Input<'a> {
    /// A message on the run's exchange.
    Message(&'a [u8]),
    /// A process has ended.
    Exited(Exit),
    /// The operator wants the run to end; a second time, at once.
    StopAsked,
    /// Time has passed.
    Tick,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Show it to the operator.
    Tell(Told),
    /// Ask a process to end.
    Terminate(usize),
    /// End a process.
    Kill(usize),
    /// Publish SimState `stopped` in the manager's name.
    PublishStopped,
}

/// What the operator hears.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// How far the run is.
    Progress(Progress),
    /// Something worth a line.
    Line(String),
    /// A process has ended that should not have: who and how. The end of its log belongs to it.
    Died {
        /// Its place in the plan.
        index: usize,
        /// Its name.
        name: String,
        /// How.
        ended: Ended,
    },
}

/// The state of a run as seen from outside.
#[derive(Debug)]
pub struct Watch {
    simulation_id: SimulationId,
    manager: String,
    components: Vec<String>,
    epochs: u64,
    processes: Vec<Watched>,
    began: MonoTime,
    progress: heard::Heard,
    /// Since when `stopped` is said, by the manager or in its place.
    stopped: Option<MonoTime>,
    /// Since when the run is being ended before its time.
    stopping: Option<MonoTime>,
    /// The operator has asked, how often.
    asked: u32,
    /// The first end of a process that came too early.
    death: Option<(usize, Ended)>,
    /// Ends that are not yet explained.
    unexplained: Vec<(MonoTime, Exit)>,
    silence_told: bool,
    ends_told: bool,
}

#[derive(Debug)]
struct Watched {
    name: String,
    role: Role,
    /// How it ended.
    ended: Option<Ended>,
    /// When it was asked to.
    asked: Option<MonoTime>,
    killed: bool,
}

impl Watch {
    /// Watches the run of a plan whose processes have been started just now.
    #[must_use]
    pub fn new(plan: &Plan, now: MonoTime) -> Self {
        let watched = plan.launches.iter().map(|launch| Watched {
            name: launch.name.clone(),
            role: launch.role,
            ended: None,
            asked: None,
            killed: false,
        });
        Self {
            simulation_id: plan.simulation_id.clone(),
            manager: plan.manager.clone(),
            components: plan.components.clone(),
            epochs: plan.epochs,
            processes: watched.collect(),
            began: now,
            progress: heard::Heard::default(),
            stopped: None,
            stopping: None,
            asked: 0,
            death: None,
            unexplained: Vec::new(),
            silence_told: false,
            ends_told: false,
        }
    }

    /// Takes in what happened at `now`.
    pub fn handle(&mut self, input: Input<'_>, now: MonoTime) -> Vec<Action> {
        let mut actions = Vec::new();
        match input {
            Input::Message(body) => self.message(body, now, &mut actions),
            Input::Exited(exit) => self.exited(exit, now, &mut actions),
            Input::StopAsked => self.stop_asked(now, &mut actions),
            Input::Tick => {}
        }
        self.pass(now, &mut actions);
        actions
    }

    /// Whether every process has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let spoken = self.stopped.is_some() || self.processes.is_empty();
        spoken && self.unexplained.is_empty() && self.processes.iter().all(|process| process.ended.is_some())
    }

    /// When time itself is the next thing to happen.
    #[must_use]
    pub fn due(&self) -> Option<MonoTime> {
        let explained = self.unexplained.iter().map(|(at, _)| *at + EXPLAINED_WITHIN);
        let manager = self.stopping.filter(|_| self.stopped.is_none()).map(|at| at + MANAGER_STOPS_WITHIN);
        let missing = self.progress.missing_due().map(|at| at + MISSING_TOLD_AFTER);
        let silence = self.silence_due().map(|at| at + SILENCE_TOLD_AFTER);
        let ends = self.processes.iter().filter_map(|process| self.end_due(process));
        let slow_ends = self.slow_ends_due();
        explained.chain(manager).chain(missing).chain(silence).chain(ends).chain(slow_ends).min()
    }

    /// When it is time to tell who has not ended.
    fn slow_ends_due(&self) -> Option<MonoTime> {
        let waits = !self.ends_told && self.processes.iter().any(|process| process.ended.is_none());
        self.stopped.filter(|_| waits).map(|at| at + ENDS_TOLD_AFTER)
    }

    fn tell_slow_ends(&mut self, now: MonoTime, actions: &mut Vec<Action>) {
        if self.slow_ends_due().is_none_or(|due| now < due) {
            return;
        }
        self.ends_told = true;
        let going = self.processes.iter().filter(|process| process.ended.is_none());
        let names: Vec<&str> = going.map(|process| process.name.as_str()).collect();
        actions
            .push(Action::Tell(Told::Line(format!("waiting for {} to end; see the logs", names.join(", ")))));
    }

    fn silence_due(&self) -> Option<MonoTime> {
        let silent = !self.silence_told
            && !self.progress.has_begun()
            && self.stopped.is_none()
            && self.stopping.is_none();
        silent.then_some(self.began)
    }

    fn message(&mut self, body: &[u8], now: MonoTime, actions: &mut Vec<Action>) {
        let context = heard::Run {
            simulation_id: &self.simulation_id,
            manager: &self.manager,
            components: &self.components,
        };
        let stopped = self.progress.hear(body, &context, now, actions);
        if stopped && self.stopped.is_none() {
            self.stopped = Some(now);
        }
    }

    fn exited(&mut self, exit: Exit, now: MonoTime, actions: &mut Vec<Action>) {
        let Some(process) = self.processes.get_mut(exit.index) else { return };
        process.ended = Some(exit.ended);
        if self.stopped.is_none() {
            self.unexplained.push((now, exit));
        } else if !exit.ended.is_success()
            && !process.killed
            // What a Log Writer says when it gives up is how to save the messages, asked or not.
            && (process.asked.is_none() || process.role == Role::LogWriter)
        {
            let name = process.name.clone();
            actions.push(Action::Tell(Told::Died { index: exit.index, name, ended: exit.ended }));
        }
    }

    fn stop_asked(&mut self, now: MonoTime, actions: &mut Vec<Action>) {
        self.asked += 1;
        if self.asked == 1 {
            let line = "stopping the run; ask again to end everything at once".to_owned();
            actions.push(Action::Tell(Told::Line(line)));
            self.stop(now, actions);
        } else {
            self.speak_for_manager(now, actions);
            for index in 0..self.processes.len() {
                self.kill(index, actions);
            }
        }
    }

    /// Begins to end the run: by the manager's word, if it is ours to ask.
    fn stop(&mut self, now: MonoTime, actions: &mut Vec<Action>) {
        if self.stopped.is_some() || self.stopping.is_some() {
            return;
        }
        self.stopping = Some(now);
        let manager = self.processes.iter().position(|it| it.role == Role::Manager && it.ended.is_none());
        match manager {
            Some(index) => self.terminate(index, now, actions),
            None => self.speak_for_manager(now, actions),
        }
    }

    fn speak_for_manager(&mut self, now: MonoTime, actions: &mut Vec<Action>) {
        if self.stopped.is_none() {
            self.stopped = Some(now);
            actions.push(Action::PublishStopped);
        }
    }

    fn terminate(&mut self, index: usize, now: MonoTime, actions: &mut Vec<Action>) {
        self.processes[index].asked = Some(now);
        actions.push(Action::Terminate(index));
    }

    fn kill(&mut self, index: usize, actions: &mut Vec<Action>) {
        let process = &mut self.processes[index];
        if process.ended.is_none() && !process.killed {
            process.killed = true;
            actions.push(Action::Kill(index));
        }
    }

    /// What is due by now.
    fn pass(&mut self, now: MonoTime, actions: &mut Vec<Action>) {
        self.judge_ends(now, actions);
        if self.stopping.is_some_and(|at| now >= at + MANAGER_STOPS_WITHIN) && self.stopped.is_none() {
            let line = format!("{} does not end the run; it is ended in its place", self.manager);
            actions.push(Action::Tell(Told::Line(line)));
            self.speak_for_manager(now, actions);
        }
        self.tell_slow_ends(now, actions);
        self.end_late_ones(now, actions);
        if let Some(line) = self.progress.tell_missing(now, MISSING_TOLD_AFTER) {
            actions.push(Action::Tell(Told::Line(line)));
        }
        if self.silence_due().is_some_and(|at| now >= at + SILENCE_TOLD_AFTER) {
            self.silence_told = true;
            let seconds = SILENCE_TOLD_AFTER.as_secs();
            let line = format!("nothing has been heard of {} for {seconds} s; see its log", self.manager);
            actions.push(Action::Tell(Told::Line(line)));
        }
    }

    /// Ends of processes that `stopped` has not explained in time are failures.
    fn judge_ends(&mut self, now: MonoTime, actions: &mut Vec<Action>) {
        let stopped = self.stopped.is_some();
        let (open, judged): (Vec<_>, Vec<_>) =
            self.unexplained.drain(..).partition(|(at, _)| !stopped && now < *at + EXPLAINED_WITHIN);
        self.unexplained = open;
        for (_, exit) in judged {
            let asked = self.processes[exit.index].asked.is_some() || self.processes[exit.index].killed;
            let manager = self.processes[exit.index].role == Role::Manager;
            if stopped && (exit.ended.is_success() || asked) {
                continue;
            }
            if !asked {
                let name = self.processes[exit.index].name.clone();
                actions.push(Action::Tell(Told::Died { index: exit.index, name, ended: exit.ended }));
                if !stopped {
                    self.death.get_or_insert((exit.index, exit.ended));
                }
            }
            if manager {
                let line = format!("{} is gone without a word; the run is ended in its place", self.manager);
                actions.push(Action::Tell(Told::Line(line)));
                self.stopping.get_or_insert(now);
                self.speak_for_manager(now, actions);
            } else {
                self.stop(now, actions);
            }
        }
    }

    /// When a process that has not ended must be asked to, or be killed.
    fn end_due(&self, process: &Watched) -> Option<MonoTime> {
        if process.ended.is_some() || process.killed {
            return None;
        }
        let stopped = self.stopped?;
        let bound = stopped + end_within(process.role);
        // A manager that was asked to stop has until then what it needs to end by itself.
        match process.asked {
            Some(asked) if process.role != Role::Manager => Some(asked + KILLED_AFTER),
            Some(_) => Some(bound.min(stopped + KILLED_AFTER + KILLED_AFTER)),
            None => Some(bound),
        }
    }

    fn end_late_ones(&mut self, now: MonoTime, actions: &mut Vec<Action>) {
        for index in 0..self.processes.len() {
            if self.end_due(&self.processes[index]).is_none_or(|due| now < due) {
                continue;
            }
            let name = &self.processes[index].name;
            if self.processes[index].asked.is_none() {
                let line = format!("{name} does not end by itself; it is asked to");
                actions.push(Action::Tell(Told::Line(line)));
                self.terminate(index, now, actions);
            } else {
                actions.push(Action::Tell(Told::Line(format!("{name} does not end; it is killed"))));
                self.kill(index, actions);
            }
        }
    }
}

fn end_within(role: Role) -> Duration {
    match role {
        Role::LogWriter => LOG_WRITER_ENDS_WITHIN,
        Role::Component => COMPONENTS_END_WITHIN,
        Role::Manager => MANAGER_ENDS_WITHIN,
    }
}

#[cfg(test)]
mod tests;
