//! Who has answered what: the [`Roster`] is steps 4 and 5 of wire contract 3.2.
//!
//! Each component has a last epoch, and only a later one counts; that makes duplicates and answers to re-sends
//! harmless. MessageIds are no help there: some SimCES components use the same ones in every epoch (contract 6.12).

use crate::ending::ComponentError;
use std::collections::HashMap;

/// The listed components and where each of them stands.
pub(crate) struct Roster {
    index: HashMap<String, usize>,
    entries: Vec<Entry>,
    epoch: u64,
    /// How many have not answered `epoch`.
    missing: usize,
    failed: usize,
    /// MessageIds of the answers to `epoch`, in the order of arrival.
    counted: Vec<String>,
}

struct Entry {
    name: String,
    /// The last epoch answered.
    answered: Option<u64>,
    /// MessageId of the answer, if it was to an epoch that had not begun.
    ahead: Option<String>,
    failure: Option<Option<String>>,
}

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// It is the component's answer to the present epoch.
    Counted,
    /// It is for an epoch that has not begun. It counts for the present one as well.
    Ahead,
    /// It is for an epoch that is over and was not answered before.
    Late,
    /// That epoch or a later one had been answered.
    Repeated,
    /// The component has failed before.
    AfterError,
}

impl Roster {
    /// Everybody of `names`, each once, and the names that are repeated.
    pub(crate) fn new(names: &[String]) -> (Self, Vec<String>) {
        let mut index = HashMap::with_capacity(names.len());
        let mut entries = Vec::with_capacity(names.len());
        let mut repeated = Vec::new();
        for name in names {
            if index.contains_key(name) {
                repeated.push(name.clone());
                continue;
            }
            index.insert(name.clone(), entries.len());
            entries.push(Entry { name: name.clone(), answered: None, ahead: None, failure: None });
        }
        let missing = entries.len();
        (Self { index, entries, epoch: 0, missing, failed: 0, counted: Vec::new() }, repeated)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Everybody, in the order of the list.
    pub(crate) fn names(&self) -> Vec<String> {
        self.entries.iter().map(|entry| entry.name.clone()).collect()
    }

    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// Whether the component of this name has not answered the present epoch.
    pub(crate) fn is_missing(&self, name: &str) -> bool {
        self.find(name).is_some_and(|who| !self.entries[who].has_answered(self.epoch))
    }

    /// The component at `who` is ready for `epoch`, says message `id`.
    pub(crate) fn ready(&mut self, who: usize, epoch: u64, id: String) -> Mark {
        let entry = &mut self.entries[who];
        if entry.failure.is_some() {
            return Mark::AfterError;
        }
        if entry.answered.is_some_and(|answered| epoch <= answered) {
            return Mark::Repeated;
        }
        let was_missing = !entry.has_answered(self.epoch);
        entry.answered = Some(epoch);
        if epoch < self.epoch {
            return Mark::Late;
        }
        let ahead = epoch > self.epoch;
        if ahead {
            entry.ahead = Some(id.clone());
        }
        if was_missing {
            self.missing -= 1;
            self.counted.push(id);
        }
        if ahead { Mark::Ahead } else { Mark::Counted }
    }

    /// The component at `who` has failed. That is an answer to every epoch up to `epoch`, and it is never lost to an
    /// earlier `ready`.
    pub(crate) fn fail(&mut self, who: usize, epoch: u64, description: Option<String>) {
        let entry = &mut self.entries[who];
        let was_missing = !entry.has_answered(self.epoch);
        entry.answered = entry.answered.max(Some(epoch));
        if was_missing && entry.has_answered(self.epoch) {
            self.missing -= 1;
        }
        if entry.failure.is_none() {
            entry.failure = Some(description);
            self.failed += 1;
        }
    }

    /// Everybody has answered the present epoch.
    pub(crate) fn is_complete(&self) -> bool {
        self.missing == 0
    }

    pub(crate) fn has_failures(&self) -> bool {
        self.failed > 0
    }

    /// Who has not answered the present epoch, in the order of the list.
    pub(crate) fn missing(&self) -> Vec<String> {
        let missing = self.entries.iter().filter(|entry| !entry.has_answered(self.epoch));
        missing.map(|entry| entry.name.clone()).collect()
    }

    /// Who has failed, in the order of the list.
    pub(crate) fn failures(&self) -> Vec<ComponentError> {
        let error = |entry: &Entry| {
            let description = entry.failure.clone()?;
            Some(ComponentError { component: entry.name.clone(), description, listed: true })
        };
        self.entries.iter().filter_map(error).collect()
    }

    /// MessageIds of the answers to the present epoch so far.
    pub(crate) fn counted(&self) -> &[String] {
        &self.counted
    }

    /// The same, leaving none behind.
    pub(crate) fn take_counted(&mut self) -> Vec<String> {
        std::mem::replace(&mut self.counted, Vec::with_capacity(self.entries.len()))
    }

    /// `epoch` begins. Whoever is ahead of it has answered it already.
    pub(crate) fn begin(&mut self, epoch: u64) {
        self.epoch = epoch;
        self.counted.clear();
        self.missing = 0;
        for entry in &mut self.entries {
            if !entry.has_answered(epoch) {
                self.missing += 1;
                entry.ahead = None;
            } else if let Some(id) = &entry.ahead {
                self.counted.push(id.clone());
            }
        }
    }
}

impl Entry {
    fn has_answered(&self, epoch: u64) -> bool {
        self.answered.is_some_and(|answered| answered >= epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roster() -> Roster {
        Roster::new(&["A".to_owned(), "B".to_owned()]).0
    }

    #[test]
    fn a_name_listed_twice_is_waited_for_once() {
        let (roster, repeated) = Roster::new(&["A".to_owned(), "A".to_owned()]);
        assert_eq!((roster.missing, repeated), (1, vec!["A".to_owned()]));
    }

    #[test]
    fn answers_are_counted_once_in_the_order_of_arrival() {
        let mut roster = roster();
        assert_eq!(roster.ready(1, 0, "B-1".into()), Mark::Counted);
        assert_eq!(roster.ready(1, 0, "B-1".into()), Mark::Repeated);
        assert_eq!(roster.missing(), ["A"]);
        assert_eq!(roster.ready(0, 0, "A-1".into()), Mark::Counted);
        assert!(roster.is_complete());
        assert_eq!(roster.take_counted(), ["B-1", "A-1"]);
    }

    #[test]
    fn a_component_ahead_has_answered_the_epochs_up_to_there() {
        let mut roster = roster();
        assert_eq!(roster.ready(0, 2, "A-1".into()), Mark::Ahead);
        assert_eq!(roster.counted(), ["A-1"]);
        roster.begin(2);
        assert_eq!((roster.counted(), roster.missing()), (&["A-1".to_owned()][..], vec!["B".to_owned()]));
        roster.begin(3);
        assert_eq!((roster.counted(), roster.missing.to_owned()), (&[][..], 2));
    }

    #[test]
    fn a_late_answer_is_kept_but_does_not_count() {
        let mut roster = roster();
        roster.begin(3);
        assert_eq!(roster.ready(0, 2, "A-3".into()), Mark::Late);
        assert_eq!(roster.ready(0, 2, "A-4".into()), Mark::Repeated);
        assert_eq!((roster.missing, roster.counted().len()), (2, 0));
        assert_eq!(roster.ready(0, 3, "A-5".into()), Mark::Counted);
    }

    #[test]
    fn an_error_outlives_ready_before_and_after_it() {
        let mut roster = roster();
        roster.ready(0, 0, "A-1".into());
        roster.fail(0, 0, Some("no file".into()));
        assert_eq!(roster.ready(0, 1, "A-3".into()), Mark::AfterError);
        assert_eq!(roster.failures()[0].to_string(), "A: no file");
    }
}
