//! How far a run is, by what is heard on its exchange: [`Heard`].

use super::{Action, Told};
use gridloop_clock::MonoTime;
use gridloop_messages::{
    Body, Decoded, Message, SimulationId, SimulationState, Status, StatusValue, Timestamp, decode,
};
use gridloop_realtime_manager::Progress;
use std::time::Duration;

/// The run that is listened to.
pub(super) struct Run<'a> {
    pub(super) simulation_id: &'a SimulationId,
    pub(super) manager: &'a str,
    pub(super) components: &'a [String],
}

/// What has been heard so far.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// The present epoch; 0 is initialisation, none before SimState `running`.
    epoch: Option<u64>,
    began: MonoTime,
    /// Who has not answered it.
    missing: Vec<String>,
    missing_told: bool,
    /// How often it was sent again.
    resent: u32,
    /// The last epoch that everybody answered.
    pub(super) completed: u64,
    /// The first error that a component reported.
    pub(super) error: Option<(String, String)>,
    stopped: bool,
}

impl Heard {
    pub(super) fn has_begun(&self) -> bool {
        self.epoch.is_some()
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch.unwrap_or(0)
    }

    pub(super) fn missing(&self) -> &[String] {
        &self.missing
    }

    /// Since when somebody is missing of whom nothing has been told.
    pub(super) fn missing_due(&self) -> Option<MonoTime> {
        let due = self.epoch.is_some() && !self.missing.is_empty() && !self.missing_told && !self.stopped;
        due.then_some(self.began)
    }

    pub(super) fn tell_missing(&mut self, now: MonoTime, after: Duration) -> Option<String> {
        self.missing_due().filter(|began| now >= *began + after)?;
        self.missing_told = true;
        let missing = self.missing.join(", ");
        Some(match self.epoch() {
            0 => format!("still waiting for {missing} to be ready"),
            epoch => format!("epoch {epoch}: still waiting for {missing}"),
        })
    }

    /// Takes a message in; whether it ends the run. What is not of this run is passed over.
    pub(super) fn hear(
        &mut self,
        body: &[u8],
        run: &Run<'_>,
        now: MonoTime,
        actions: &mut Vec<Action>,
    ) -> bool {
        // When a message without a Timestamp came does not matter here.
        let any = Timestamp::from(chrono::DateTime::UNIX_EPOCH);
        let Ok(Decoded::Message(message)) = decode(body, any) else { return false };
        let Message { header, body } = message;
        if header.simulation_id != *run.simulation_id {
            return false;
        }
        let by_manager = header.source_process_id == run.manager;
        let epoch = header.epoch.as_ref().map_or(0, |epoch| epoch.epoch_number);
        match body {
            Body::SimState(state) if by_manager => match state.simulation_state {
                SimulationState::Running => self.running(run, now, actions),
                SimulationState::Stopped => {
                    self.stopped = true;
                    return true;
                }
            },
            Body::Epoch(_) if by_manager => self.epoch_begins(epoch, run, now, actions),
            Body::Status(status) => self.status(&header.source_process_id, epoch, status, now, actions),
            _ => {}
        }
        false
    }

    fn running(&mut self, run: &Run<'_>, now: MonoTime, actions: &mut Vec<Action>) {
        if self.epoch.is_none() {
            self.begin(0, run, now);
            actions.push(tell(Progress::Running { missing: self.missing.clone() }));
        } else if self.epoch == Some(0) {
            self.sent_again(actions);
        }
    }

    fn epoch_begins(&mut self, number: u64, run: &Run<'_>, now: MonoTime, actions: &mut Vec<Action>) {
        if self.epoch == Some(number) {
            self.sent_again(actions);
        } else if number > self.epoch() {
            self.begin(number, run, now);
            actions.push(tell(Progress::EpochStarted { number, late_by: None, skipped: 0 }));
        }
    }

    fn begin(&mut self, epoch: u64, run: &Run<'_>, now: MonoTime) {
        self.epoch = Some(epoch);
        self.began = now;
        self.missing = run.components.to_vec();
        self.missing_told = false;
        self.resent = 0;
    }

    fn sent_again(&mut self, actions: &mut Vec<Action>) {
        self.resent += 1;
        let (number, attempt, missing) = (self.epoch(), self.resent, self.missing.clone());
        actions.push(tell(Progress::Resent { number, attempt, missing }));
    }

    fn status(&mut self, source: &str, epoch: u64, status: Status, now: MonoTime, actions: &mut Vec<Action>) {
        if status.value == StatusValue::Error {
            let description =
                status.description.unwrap_or_else(|| "an error without a description".to_owned());
            actions.push(Action::Tell(Told::Line(format!("{source} reports an error: {description}"))));
            self.error.get_or_insert((source.to_owned(), description));
            return;
        }
        if self.epoch != Some(epoch) || self.missing.is_empty() {
            return;
        }
        self.missing.retain(|name| name != source);
        if self.missing.is_empty() {
            self.completed = epoch;
            if epoch > 0 {
                let turnaround = now.since(self.began);
                actions.push(tell(Progress::EpochCompleted {
                    number: epoch,
                    turnaround,
                    missing: Vec::new(),
                }));
            }
        }
    }
}

fn tell(progress: Progress) -> Action {
    Action::Tell(Told::Progress(progress))
}
