//! Who is late, and by how much: [`Lateness`] remembers the epochs at whose end components were missing, until each of
//! them has answered.

use super::messages::late;
use super::{Action, ManagerCore, Present};
use crate::progress::Progress;
use gridloop_clock::MonoTime;
use gridloop_messages::{EpochOverrun, topic};
use std::collections::VecDeque;
use std::sync::Arc;

/// Overruns that are remembered. Who does not answer for longer is late in all of them, and told of in the newest.
const REMEMBERED: usize = 64;

/// Epochs whose answers are not complete.
#[derive(Default)]
pub(super) struct Lateness {
    overruns: VecDeque<Overrun>,
}

struct Overrun {
    epoch: u64,
    deadline: MonoTime,
    missing: Vec<String>,
}

impl Lateness {
    fn add(&mut self, overrun: Overrun) {
        if self.overruns.len() == REMEMBERED {
            self.overruns.pop_front();
        }
        self.overruns.push_back(overrun);
    }

    /// The epochs up to `answered` that `component` was missing in, and their ends. Each is given once.
    fn take(&mut self, component: &str, answered: u64) -> Vec<(u64, MonoTime)> {
        let mut taken = Vec::new();
        for overrun in self.overruns.iter_mut().filter(|overrun| overrun.epoch <= answered) {
            if let Some(at) = overrun.missing.iter().position(|name| name == component) {
                overrun.missing.swap_remove(at);
                taken.push((overrun.epoch, overrun.deadline));
            }
        }
        self.overruns.retain(|overrun| !overrun.missing.is_empty());
        taken
    }
}

impl ManagerCore {
    /// The end of the present epoch has come without these.
    pub(super) fn note_overrun(
        &mut self,
        deadline: MonoTime,
        missing: &[String],
        present: Present,
        out: &mut Vec<Action>,
    ) {
        let number = self.epoch;
        let noticed_after = present.now.since(deadline);
        out.push(Action::Tell(Progress::EpochOverran { number, missing: missing.to_vec(), noticed_after }));
        let late_components = missing.iter().map(|component| late(component, None)).collect();
        let trigger = self.standing.as_ref().map(|message| message.header.message_id.clone());
        let overrun = EpochOverrun { deadline: self.anchor.utc_of(deadline).into(), late_components };
        self.tell_overrun(number, overrun, trigger, present, out);
        self.lateness.add(Overrun { epoch: number, deadline, missing: missing.to_vec() });
    }

    /// `component` is ready for the present epoch, by its own word `slack_s` before the end. An end that has come and is
    /// not noticed yet, because the manager itself was held up, must not hide that somebody was late; who does not say
    /// when it answered may have answered in time.
    pub(super) fn on_answer_before_the_end_is_noticed(
        &mut self,
        component: &str,
        slack_s: Option<f64>,
        present: Present,
        out: &mut Vec<Action>,
    ) {
        let Some(deadline) = self.deadline.filter(|_| self.awaited == self.deadline && !self.behind) else {
            return;
        };
        let was_late = slack_s.is_some_and(|slack_s| slack_s < 0.0) && present.now > deadline;
        if was_late && self.roster.is_missing(component) {
            self.note_overrun(deadline, &[component.to_owned()], present, out);
        }
    }

    /// `component` is ready for `answered`, says message `id`: it may have been missed before.
    pub(super) fn on_late_answer(
        &mut self,
        component: &str,
        answered: u64,
        id: &str,
        present: Present,
        out: &mut Vec<Action>,
    ) {
        for (epoch, deadline) in self.lateness.take(component, answered) {
            let by = present.now.since(deadline);
            let component = component.to_owned();
            let late_components = vec![late(&component, Some(by))];
            out.push(Action::Tell(Progress::ComponentLate { component, epoch, by }));
            let overrun = EpochOverrun { deadline: self.anchor.utc_of(deadline).into(), late_components };
            self.tell_overrun(epoch, overrun, Some(id.to_owned()), present, out);
        }
    }

    fn tell_overrun(
        &mut self,
        number: u64,
        overrun: EpochOverrun,
        trigger: Option<String>,
        present: Present,
        out: &mut Vec<Action>,
    ) {
        let Some(trigger) = trigger else { return };
        let message = self.author.overrun(number, overrun, trigger, self.anchor.utc_of(present.now));
        out.push(Action::Publish { topic: topic::EPOCH_OVERRUN, message: Arc::new(message) });
    }
}
