//! MongoDB with a spool in front of it: [`Backed`].
//!
//! While MongoDB answers, records go straight there. When it does not, they go to the spool and count as safe; a probe
//! beside the work asks whether it is back. Then the spool is replayed from its oldest record while new messages wait
//! at the broker, so that the order stays. A record may be replayed that was stored already: it meets itself.

use super::sink::blocking;
use super::spool::{Oldest, Spool};
use super::{Counts, SpoolSummary, WriterError, WriterSettings};
use crate::location::MongoSettings;
use crate::mongo::{MongoError, MongoStore};
use crate::record::Record;
use gridloop_clock::{SharedClock, Sleep, sleep};
use gridloop_messages::SimulationId;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Between two questions whether MongoDB is back.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// Records replayed at a time.
const PORTION: usize = 1000;
/// And their size in bytes.
const PORTION_BYTES: usize = 8 << 20;
/// Fill levels, in percent, that are told.
const FILL_LEVELS: [u64; 4] = [25, 50, 75, 90];

/// MongoDB, and what waits for it.
pub(super) struct Backed {
    mongo: MongoStore,
    /// Away only while blocking work is done on it.
    spool: Option<Spool>,
    state: State,
    run: Option<SimulationId>,
    settings: MongoSettings,
    clock: SharedClock,
    summary: SpoolSummary,
    told_percent: u64,
}

enum State {
    /// Records go straight to MongoDB.
    Direct,
    /// Records go to the spool.
    Away(Probe),
    /// The spool is being emptied.
    Replaying,
}

enum Probe {
    Waiting(Sleep),
    Asking(JoinHandle<Result<(), MongoError>>),
}

impl Backed {
    pub(super) async fn open(
        mongo: &MongoSettings,
        settings: &WriterSettings,
        clock: SharedClock,
    ) -> Result<Self, WriterError> {
        let name = settings.run.as_ref().map_or_else(|| "management".to_owned(), SimulationId::compact);
        let (path, bytes_max) = (settings.spool.join(format!("{name}.spool")), settings.spool_bytes_max);
        let spool = blocking(move || Ok(Spool::open(&path, bytes_max)?)).await?;
        let mut backed = Self {
            mongo: MongoStore::new(mongo.clone(), settings.run.clone(), Arc::clone(&clock)),
            state: if spool.waiting() > 0 { State::Replaying } else { State::Direct },
            spool: Some(spool),
            run: settings.run.clone(),
            settings: mongo.clone(),
            clock,
            summary: SpoolSummary::default(),
            told_percent: 0,
        };
        match backed.mongo.ping().await {
            Ok(()) => {}
            Err(error) if error.is_for_good() => {
                return Err(WriterError::Refused { store: mongo.to_string(), said: error.to_string() });
            }
            Err(error) => backed.went_away(&error),
        }
        Ok(backed)
    }

    pub(super) async fn append(&mut self, records: Vec<Record>) -> Result<Counts, WriterError> {
        if matches!(self.state, State::Direct) {
            match self.mongo.append(&records).await {
                Ok(counts) => return Ok(counts),
                Err(error) => self.went_away(&error),
            }
        }
        self.summary.spooled += records.len() as u64;
        self.on_spool(move |spool| Ok(spool.append(&records)?)).await?;
        self.tell_fill_level();
        Ok(Counts::default())
    }

    pub(super) fn takes_more(&self) -> bool {
        match self.state {
            State::Direct => true,
            State::Away(_) => !self.spool.as_ref().is_some_and(Spool::is_full),
            State::Replaying => false,
        }
    }

    pub(super) fn is_drained(&self) -> bool {
        self.waiting() == 0
    }

    /// Completes when MongoDB is there and something waits for it.
    pub(super) async fn can_catch_up(&mut self) {
        match &mut self.state {
            State::Direct => std::future::pending().await,
            State::Away(probe) => {
                probe.answer(&self.settings, &self.clock).await;
                tracing::warn!(store = %self.settings, waiting = self.waiting(), "MongoDB is back; the spool is replayed");
                self.state = State::Replaying;
            }
            State::Replaying => {}
        }
    }

    /// Replays one portion of the spool.
    pub(super) async fn catch_up(&mut self) -> Result<Counts, WriterError> {
        let oldest: Oldest = self.on_spool(|spool| Ok(spool.oldest(PORTION, PORTION_BYTES)?)).await?;
        let counts = match self.mongo.append(&oldest.records).await {
            Ok(counts) => counts,
            Err(error) => {
                self.went_away(&error);
                return Ok(Counts::default());
            }
        };
        self.on_spool(move |spool| Ok(spool.stored(&oldest)?)).await?;
        if self.waiting() == 0 {
            self.state = State::Direct;
            self.told_percent = 0;
            tracing::warn!(store = %self.settings, "everything in the spool is stored");
        }
        Ok(counts)
    }

    /// Whether the run was stopped: by what MongoDB or the spool has.
    pub(super) async fn was_stopped(&mut self) -> Result<bool, WriterError> {
        let Some(run) = self.run.clone() else { return Ok(false) };
        let stored = match self.mongo.metadata(&run).await {
            Ok(metadata) => metadata.stopped,
            Err(error) => {
                self.went_away(&error);
                false
            }
        };
        let spooled = self.on_spool(move |spool| {
            let mut stopped = false;
            spool.each(|record| stopped |= record.stops(Some(&run)))?;
            Ok(stopped)
        });
        Ok(stored || spooled.await?)
    }

    pub(super) fn summary(&self) -> SpoolSummary {
        SpoolSummary { waiting: self.waiting(), ..self.summary }
    }

    fn waiting(&self) -> u64 {
        self.spool.as_ref().map_or(0, Spool::waiting)
    }

    fn went_away(&mut self, error: &MongoError) {
        if matches!(self.state, State::Away(_)) {
            return;
        }
        self.summary.outages += 1;
        tracing::error!(
            store = %self.settings,
            %error,
            "ALARM: MongoDB cannot be used; messages are kept in the local spool until it can"
        );
        self.state = State::Away(Probe::Waiting(sleep(&*self.clock, PROBE_INTERVAL)));
    }

    /// Says it when the spool passes a level.
    fn tell_fill_level(&mut self) {
        let Some(spool) = &self.spool else { return };
        self.summary.bytes_peak = self.summary.bytes_peak.max(spool.bytes());
        let percent = spool.fill_percent();
        let passed = FILL_LEVELS.into_iter().rev().find(|level| percent >= *level).unwrap_or(0);
        if spool.is_full() && self.told_percent < 100 {
            self.told_percent = 100;
            let waiting = spool.waiting();
            tracing::error!(
                waiting,
                "ALARM: the spool is full; messages wait at the broker until MongoDB is back"
            );
        } else if passed > self.told_percent {
            self.told_percent = passed;
            tracing::warn!(percent, waiting = spool.waiting(), "the spool fills up");
        }
    }

    async fn on_spool<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Spool) -> Result<T, WriterError> + Send + 'static,
    ) -> Result<T, WriterError> {
        let mut spool = self.spool.take().ok_or(WriterError::BrokeOff)?;
        let (spool, output) = blocking(move || {
            let output = work(&mut spool);
            Ok((spool, output))
        })
        .await?;
        self.spool = Some(spool);
        output
    }
}

impl Probe {
    /// Completes when MongoDB has answered. What was begun goes on when the wait is cancelled.
    async fn answer(&mut self, settings: &MongoSettings, clock: &SharedClock) {
        loop {
            match self {
                Self::Waiting(interval) => {
                    interval.await;
                    let mut mongo = MongoStore::new(settings.clone(), None, Arc::clone(clock));
                    *self = Self::Asking(tokio::spawn(async move { mongo.ping().await }));
                }
                Self::Asking(answer) => {
                    let answer = answer.await;
                    *self = Self::Waiting(sleep(&**clock, PROBE_INTERVAL));
                    if matches!(answer, Ok(Ok(()))) {
                        return;
                    }
                }
            }
        }
    }
}
