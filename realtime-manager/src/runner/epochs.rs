//! Epochs on their way to the bus: written, in the journal, with the pacer, out.

use super::{FAREWELL, Run, encode};
use crate::core::EpochStart;
use crate::ending::Ending;
use crate::journal::Record;
use crate::progress::Progress;
use bytes::Bytes;
use gridloop_clock::until;
use gridloop_messages::topic;
use std::sync::Arc;
use std::time::Duration;

/// A disk that has not answered for so long does not answer.
const DISK_PATIENCE: Duration = Duration::from_secs(30);

impl<P: FnMut(Progress) + Send> Run<P> {
    /// Everything that an epoch needs before its instant: its message is written, in the journal, and with the pacer.
    pub(super) async fn prepare(&mut self, start: EpochStart) -> Result<(), Ending> {
        let body = encode(&start.message)?;
        self.write_down(&start, &body).await?;
        if self.instants.granted().is_some() {
            self.rivals.say(body.clone());
            let preparing = self.bus.prepare(topic::EPOCH, body.clone());
            match self.cancel.run_until_cancelled(preparing).await {
                Some(Ok(prepared)) => self.instants.load(prepared),
                // Said again when the runner publishes it itself.
                Some(Err(error)) => tracing::debug!("an Epoch is left to the instant itself: {error}"),
                None => return Err(Ending::Cancelled),
            }
        }
        self.prepared = Some((start.message, body));
        Ok(())
    }

    /// Between the instant and the publishing there is nothing; usually the pacer has done it.
    pub(super) async fn start_epoch(&mut self, start: EpochStart) -> Result<(), Ending> {
        let body = match self.prepared.take() {
            Some((prepared, body)) if Arc::ptr_eq(&prepared, &start.message) => body,
            _ => {
                let body = encode(&start.message)?;
                self.write_down(&start, &body).await?;
                body
            }
        };
        let published = match self.sent_at.take() {
            Some(sent_at) => {
                self.started = sent_at;
                Ok(())
            }
            None => {
                if let Some(heard_at) = self.heard_at {
                    self.recorder.measures().handling.add(self.clock.now().since(heard_at));
                }
                let published = self.publish(topic::EPOCH, body).await;
                self.started = self.clock.now();
                published
            }
        };
        let EpochStart { number, release, skipped, .. } = start;
        let late_by = release.map(|release| self.started.since(release));
        self.recorder.started(number, late_by, skipped);
        self.note_down(|| Record::Started { number, late_ns: late_by.map(nanos), skipped });
        self.show(Progress::EpochStarted { number, late_by, skipped });
        published
    }

    /// Completes when the journal has the epoch.
    async fn write_down(&mut self, start: &EpochStart, body: &Bytes) -> Result<(), Ending> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        let anchor = self.core.anchor();
        let writing = journal.epoch(start.number, start.nominal, anchor, body);
        let deadline = self.clock.now() + DISK_PATIENCE;
        let writing = until(self.clock.as_ref(), deadline, writing);
        let cause = match self.cancel.run_until_cancelled(writing).await {
            Some(Some(Ok(()))) => return Ok(()),
            Some(Some(Err(error))) => error.to_string(),
            Some(None) => format!("the disk has not answered for {DISK_PATIENCE:?}"),
            None => return Err(Ending::Cancelled),
        };
        Err(Ending::Journal { epoch: Some(start.number), cause })
    }

    pub(super) fn note_down(&mut self, record: impl FnOnce() -> Record) {
        if let Some(journal) = &mut self.journal {
            journal.note(&record());
        }
    }

    /// A run that is over is not gone on with; one that broke off for want of the disk, the bus or a manager may be.
    pub(super) async fn close_journal(&mut self, ending: &Ending) {
        let Some(journal) = &mut self.journal else { return };
        if ending.may_be_resumed() {
            return;
        }
        let outcome = format!("{:?}", ending.outcome()).to_lowercase();
        let reason = ending.to_string();
        // Not for long: the devices are released after this.
        let deadline = self.clock.now() + FAREWELL;
        match until(self.clock.as_ref(), deadline, journal.finish(&outcome, &reason)).await {
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::error!("the end of the run is not in its journal: {error}"),
            None => tracing::error!("the end of the run is not in its journal: the disk does not answer"),
        }
    }
}

pub(super) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
