//! Where the Log Writer puts messages: [`Sink`].

#[cfg(feature = "mongodb")]
use super::backed::Backed;
use super::folders::Folders;
use super::{Counts, SpoolSummary, WriterError, WriterSettings};
use crate::location::StoreUrl;
use crate::record::Record;
use gridloop_clock::SharedClock;
use std::sync::Arc;

/// A store, and whatever stands in front of it.
pub(super) enum Sink {
    /// A file beside us: when it fails, there is nothing to wait for.
    Sqlite(Box<Sqlite>),
    /// A server, and a spool for when it is away.
    #[cfg(feature = "mongodb")]
    MongoDb(Box<Backed>),
}

impl Sink {
    pub(super) async fn open(settings: &WriterSettings, clock: &SharedClock) -> Result<Self, WriterError> {
        match &settings.store {
            StoreUrl::Sqlite(folder) => {
                let (folder, run) = (folder.clone(), settings.run.clone());
                let folders = blocking(move || Folders::open(folder, run)).await?;
                Ok(Self::Sqlite(Box::new(Sqlite { folders: Some(folders) })))
            }
            #[cfg(feature = "mongodb")]
            StoreUrl::MongoDb(mongo) => {
                let backed = Backed::open(mongo, settings, Arc::clone(clock)).await?;
                Ok(Self::MongoDb(Box::new(backed)))
            }
            #[cfg(not(feature = "mongodb"))]
            StoreUrl::MongoDb(_) => {
                let _ = Arc::clone(clock);
                Err(WriterError::NoMongoDb)
            }
        }
    }

    /// Makes records safe: when this returns, they need not come again. The counts are of those that are stored.
    pub(super) async fn append(&mut self, records: Vec<Record>) -> Result<Counts, WriterError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.on(move |folders| folders.append(&records)).await,
            #[cfg(feature = "mongodb")]
            Self::MongoDb(backed) => backed.append(records).await,
        }
    }

    /// Whether it takes more now.
    pub(super) fn takes_more(&self) -> bool {
        match self {
            Self::Sqlite(_) => true,
            #[cfg(feature = "mongodb")]
            Self::MongoDb(backed) => backed.takes_more(),
        }
    }

    /// Whether nothing waits in front of the store.
    pub(super) fn is_drained(&self) -> bool {
        match self {
            Self::Sqlite(_) => true,
            #[cfg(feature = "mongodb")]
            Self::MongoDb(backed) => backed.is_drained(),
        }
    }

    /// Completes when something that waits can be worked on. Cancelling the wait loses nothing.
    pub(super) async fn can_catch_up(&mut self) {
        match self {
            Self::Sqlite(_) => std::future::pending().await,
            #[cfg(feature = "mongodb")]
            Self::MongoDb(backed) => backed.can_catch_up().await,
        }
    }

    /// Works on what waits, for a bounded time. Must not be cancelled.
    pub(super) async fn catch_up(&mut self) -> Result<Counts, WriterError> {
        match self {
            Self::Sqlite(_) => Ok(Counts::default()),
            #[cfg(feature = "mongodb")]
            Self::MongoDb(backed) => backed.catch_up().await,
        }
    }

    /// Whether the run was stopped before this writer began.
    pub(super) async fn was_stopped(&mut self) -> Result<bool, WriterError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.on(Folders::was_stopped).await,
            #[cfg(feature = "mongodb")]
            Self::MongoDb(backed) => backed.was_stopped().await,
        }
    }

    /// What waited so far.
    pub(super) fn spool(&self) -> SpoolSummary {
        match self {
            Self::Sqlite(_) => SpoolSummary::default(),
            #[cfg(feature = "mongodb")]
            Self::MongoDb(backed) => backed.summary(),
        }
    }

    /// Closes the store.
    pub(super) async fn close(mut self) {
        match &mut self {
            Self::Sqlite(sqlite) => {
                // What cannot be settled now is settled when the file is opened next.
                let _ = sqlite
                    .on(|folders| {
                        folders.settle();
                        Ok(())
                    })
                    .await;
            }
            #[cfg(feature = "mongodb")]
            Self::MongoDb(_) => {}
        }
    }
}

/// The folders of runs, on a thread for blocking work while they are used.
pub(super) struct Sqlite {
    folders: Option<Folders>,
}

impl Sqlite {
    async fn on<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Folders) -> Result<T, WriterError> + Send + 'static,
    ) -> Result<T, WriterError> {
        let mut folders = self.folders.take().ok_or(WriterError::BrokeOff)?;
        let (folders, output) = blocking(move || {
            let output = work(&mut folders);
            Ok((folders, output))
        })
        .await?;
        self.folders = Some(folders);
        output
    }
}

/// Does blocking work beside the tasks.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, WriterError> + Send + 'static,
) -> Result<T, WriterError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(WriterError::BrokeOff))
}
