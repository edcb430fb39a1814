//! What a journal tells of a run that broke off: [`Past`], from which a manager goes on.

use super::JournalError;
use super::record::{Boot, Record};
use crate::report::{Recorder, Resumed};
use crate::settings::Settings;
use gridloop_clock::{Anchor, MonoTime};
use gridloop_messages::{Decoded, Message, Timestamp, WallTime, decode};
use std::path::Path;
use std::time::Duration;

/// A run up to where it broke off.
#[derive(Debug, Clone)]
pub struct Past {
    pub(super) records: Vec<Record>,
    /// Bytes of the journal that were cut off because a crash had left them half written.
    pub torn_bytes: u64,
}

/// Where a manager goes on with a run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Resumption {
    /// The last epoch that came to its end; 0 if none did.
    pub(crate) completed: u64,
    /// An Epoch that was written down and did not come to its end. It is sent again as it was.
    pub(crate) pending: Option<Message>,
    /// The grid instant of the last epoch that was written down.
    pub(crate) last_nominal: Option<MonoTime>,
    /// Which process of this run this is; the first is 0.
    pub(crate) process: u64,
}

impl Past {
    /// Whether the run came to its end.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        matches!(self.records.last(), Some(Record::Finished { .. }))
    }

    /// Processes that have had this run, each of which numbers its messages apart from the others.
    #[must_use]
    pub fn processes(&self) -> u64 {
        let resumed = self.records.iter().filter(|record| matches!(record, Record::Resumed { .. })).count();
        u64::try_from(resumed).unwrap_or(0) + 1
    }

    /// Refuses settings of another run.
    pub(super) fn check(&self, path: &Path, settings: &Settings) -> Result<(), JournalError> {
        let Some(Record::Began {
            simulation_id,
            epochs,
            epoch_length_ns,
            initial_start_time,
            components,
            manager,
            ..
        }) = self.records.first()
        else {
            return Err(JournalError::NoBeginning { path: path.to_owned() });
        };
        let differs = |what: &'static str| JournalError::AnotherRun { path: path.to_owned(), what };
        if *simulation_id != settings.simulation_id.as_str() {
            return Err(differs("simulation id"));
        }
        if *epochs != settings.epochs {
            return Err(differs("number of epochs"));
        }
        if *epoch_length_ns != nanos(settings.epoch_length) {
            return Err(differs("length of an epoch"));
        }
        if *initial_start_time != settings.initial_start_time.to_string() {
            return Err(differs("simulated time of the start"));
        }
        if *components != settings.components {
            return Err(differs("list of components"));
        }
        if *manager != settings.name {
            return Err(differs("name of its manager"));
        }
        Ok(())
    }

    /// Where to go on. `anchor` is now on both clocks.
    pub(crate) fn resumption(&self, path: &Path, anchor: Anchor) -> Result<Resumption, JournalError> {
        let (mut completed, mut pending, mut last_nominal) = (0, None, None);
        let mut boot = Boot(String::new());
        for record in &self.records {
            match record {
                Record::Began { boot: of, .. } | Record::Resumed { boot: of, .. } => boot = of.clone(),
                Record::Epoch { number, nominal_ns, nominal_utc, body } => {
                    pending = Some((*number, body));
                    last_nominal = nominal_ns.and_then(|nanos| {
                        if boot.is_present() {
                            return Some(MonoTime::from_nanos(nanos));
                        }
                        let utc = nominal_utc.as_ref()?.parse::<chrono::DateTime<chrono::Utc>>().ok()?;
                        Some(anchor.instant_of(utc))
                    });
                }
                Record::Ended { number, .. } => {
                    completed = *number;
                    pending = pending.filter(|(of, _)| of > number);
                }
                _ => {}
            }
        }
        let pending = match pending {
            None => None,
            Some((number, body)) => match decode(body.as_bytes(), Timestamp::from(anchor.utc)) {
                Ok(Decoded::Message(message)) if message.epoch_number() == Some(number) => Some(message),
                _ => return Err(JournalError::NoEpoch { path: path.to_owned(), number }),
            },
        };
        Ok(Resumption { completed, pending, last_nominal, process: self.processes() })
    }

    /// Tells the recorder what happened before.
    pub(crate) fn tell(&self, recorder: &mut Recorder) {
        let (mut written_down, mut taken_over) = (0, None);
        for record in &self.records {
            match record {
                Record::Resumed { utc, .. } => taken_over = Some(utc.clone()),
                Record::Epoch { number, .. } => {
                    let repeated = *number <= written_down;
                    written_down = *number;
                    if let Some(at) = taken_over.take() {
                        recorder.resumed(Resumed { at, epoch: *number, repeated });
                    }
                }
                Record::Started { number, late_ns, skipped } => {
                    recorder.started(*number, late_ns.map(Duration::from_nanos), *skipped);
                }
                Record::Overran { number, missing } => recorder.overran(*number, missing),
                Record::Late { component, epoch, by_ns } => {
                    recorder.answered_late(component, *epoch, Duration::from_nanos(*by_ns));
                }
                Record::Ended { turnaround_ns, .. } => recorder.ended(Duration::from_nanos(*turnaround_ns)),
                Record::Began { .. } | Record::Finished { .. } => {}
            }
        }
    }
}

/// The first line, from 1, that cannot stand where it does: epochs are written down one after the other, each is started
/// and comes to its end before the next one, and only another process repeats one.
pub(super) fn out_of_order(records: &[Record]) -> Option<usize> {
    let (mut ended, mut written, mut started) = (0, 0, 0);
    let fits = |(index, record): (usize, &Record)| {
        let fits = match record {
            Record::Began { .. } => index == 0,
            Record::Resumed { .. } => {
                (written, started) = (ended, ended);
                true
            }
            Record::Epoch { number, .. } => {
                let follows = written == ended && *number == ended + 1;
                written = *number;
                follows
            }
            Record::Started { number, .. } => {
                let follows = started == ended && *number == written;
                started = *number;
                follows
            }
            Record::Ended { number, .. } => {
                let follows = *number == started && *number == ended + 1;
                ended = *number;
                follows
            }
            Record::Overran { number, .. } => *number == started && started == ended + 1,
            Record::Late { .. } | Record::Finished { .. } => true,
        };
        (!fits).then_some(index + 1)
    };
    records.iter().enumerate().find_map(fits)
}

pub(super) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// A label to the microsecond that `resumption` reads.
pub(super) fn label(anchor: Anchor, instant: MonoTime) -> String {
    WallTime::from(anchor.utc_of(instant)).to_string()
}
