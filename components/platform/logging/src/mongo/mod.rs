//! Runs in MongoDB, in the layout of wire contract 5.1: [`MongoStore`].
//!
//! Every document has an `_id` made of its message, so that a message that is delivered or replayed again meets itself:
//! the server's refusal of the second one (E11000) is success. Nothing is taken for stored before the server has it in
//! its journal. A server that does not answer is given up after some seconds, with its connections; whoever calls then
//! keeps the records and comes again.

mod bson;
mod metadata;

use crate::document::Document;
use crate::location::MongoSettings;
use crate::metadata::Metadata;
use crate::record::{Index, Record};
use crate::service::Counts;
use crate::store::REPEATED_ID;
use bson::Unholdable;
use gridloop_clock::{SharedClock, until};
use gridloop_messages::SimulationId;
use mongodb::bson::doc;
use mongodb::bson::raw::RawDocumentBuf;
use mongodb::error::{Error, ErrorKind};
use mongodb::options::{ClientOptions, IndexOptions, InsertManyOptions, WriteConcern};
use mongodb::{Client, Collection, Database, IndexModel};
use std::collections::{BTreeMap, HashSet};
use std::future::IntoFuture;
use std::time::Duration;

/// A server that is there is found in this time.
const SELECTION_TIMEOUT: Duration = Duration::from_secs(2);
/// A server that does not answer one operation in this time is taken for away.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(8);
/// Runs whose state is remembered; more are asked for again.
const RUNS_MAX: usize = 64;
/// A document with this `_id` is there already.
const DUPLICATE_KEY: i32 = 11000;
/// Where the messages that belong to no run are kept apart: those of the management exchange.
const NO_RUN: &str = "management";

/// MongoDB cannot be used now. The records are not stored, or may be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MongoError {
    /// It did not answer in time.
    #[error("MongoDB did not answer within {} s", OPERATION_TIMEOUT.as_secs())]
    Silent,
    /// The driver or the server says why.
    #[error("MongoDB: {0}")]
    Driver(#[from] Error),
}

impl MongoError {
    /// Whether waiting cannot help: the login or the connection string is wrong.
    pub(crate) fn is_for_good(&self) -> bool {
        matches!(self, Self::Driver(error) if matches!(
            *error.kind,
            ErrorKind::Authentication { .. } | ErrorKind::InvalidArgument { .. } | ErrorKind::InvalidTlsConfig { .. }
        ))
    }
}

/// The messages of one run, or of all that are announced on the management exchange.
pub(crate) struct MongoStore {
    settings: MongoSettings,
    run: Option<SimulationId>,
    clock: SharedClock,
    client: Option<Client>,
    runs: BTreeMap<SimulationId, Metadata>,
    indexed: HashSet<String>,
}

/// A valid message on its way.
struct Valid<'a> {
    record: &'a Record,
    index: Index,
    document: Document,
    bson: RawDocumentBuf,
}

/// Records by where they go.
#[derive(Default)]
struct Sorted<'a> {
    /// By run.
    valid: BTreeMap<SimulationId, Vec<Valid<'a>>>,
    apart: Vec<RawDocumentBuf>,
    /// Valid messages that MongoDB cannot hold still count for their run's metadata.
    noted: Vec<Index>,
}

impl MongoStore {
    pub(crate) fn new(settings: MongoSettings, run: Option<SimulationId>, clock: SharedClock) -> Self {
        Self { settings, run, clock, client: None, runs: BTreeMap::new(), indexed: HashSet::new() }
    }

    /// Whether the server is there and lets us in.
    pub(crate) async fn ping(&mut self) -> Result<(), MongoError> {
        let database = self.database().await?;
        self.bounded(database.run_command(doc! {"ping": 1})).await.map(drop)
    }

    /// Stores records, each once. On an error some of them may be stored; storing all of them again is the remedy.
    pub(crate) async fn append(&mut self, records: &[Record]) -> Result<Counts, MongoError> {
        let mut sorted = self.sort(records);
        let mut counts = Counts::default();
        let runs: Vec<_> = std::mem::take(&mut sorted.valid).into_iter().collect();
        let mut noted = std::mem::take(&mut sorted.noted);
        for (run, mut messages) in runs {
            let name = format!("{}{run}", self.settings.collections.messages_prefix);
            let filed = self.insert_messages(&name, &mut messages, &mut sorted.apart).await?;
            counts.add(&filed);
            noted.extend(messages.into_iter().map(|message| message.index));
        }
        counts.add(&self.insert_apart(&sorted.apart).await?);
        self.note(&noted).await?;
        Ok(counts)
    }

    /// What is known of a run.
    pub(crate) async fn metadata(&mut self, run: &SimulationId) -> Result<Metadata, MongoError> {
        if let Some(known) = self.runs.get(run) {
            return Ok(known.clone());
        }
        let collection = self.metadata_collection().await?;
        let found = self.bounded(collection.find_one(metadata::filter(run))).await?;
        Ok(found.map_or_else(|| Metadata::new(run.clone()), |found| metadata::read(run, &found)))
    }

    fn sort<'a>(&self, records: &'a [Record]) -> Sorted<'a> {
        let mut sorted = Sorted::default();
        for record in records {
            match record.index(self.run.as_ref()) {
                Ok(index) => sort_valid(&mut sorted, record, index),
                Err(reason) => sorted.apart.extend(documents_apart(record, &reason)),
            }
        }
        sorted
    }

    /// Stores valid messages of one run. What cannot stay among them is added to `apart`.
    async fn insert_messages(
        &mut self,
        name: &str,
        messages: &mut [Valid<'_>],
        apart: &mut Vec<RawDocumentBuf>,
    ) -> Result<Counts, MongoError> {
        self.make_indexes(name, &MESSAGE_INDEXES).await?;
        let collection = self.database().await?.collection::<RawDocumentBuf>(name);
        let refused = self.insert(&collection, messages.iter().map(|message| &message.bson)).await?;
        let mut counts = Counts { stored: count(messages.len() - refused.len()), ..Counts::default() };
        for (at, refusal) in refused {
            let message = &mut messages[at];
            match refusal {
                Refusal::Known if self.is_repetition(&collection, message).await? => counts.duplicates += 1,
                Refusal::Known => apart.extend(documents_apart(message.record, REPEATED_ID)),
                Refusal::Unfit(reason) => {
                    let reason = Unholdable::Refused(reason).to_string();
                    apart.extend(
                        bson::of_unholdable(message.record, &reason).into_iter().map(|(_, bson)| bson),
                    );
                }
            }
        }
        Ok(counts)
    }

    /// Whether the stored document of this `_id` is the same message. Then the message has the time of the stored one:
    /// where it says none itself, it was heard later.
    async fn is_repetition(
        &mut self,
        collection: &Collection<RawDocumentBuf>,
        message: &mut Valid<'_>,
    ) -> Result<bool, MongoError> {
        let filter = doc! {"_id": message.index.identity.to_string()};
        let stored = self.bounded(collection.find_one(filter)).await?;
        let stored = stored.filter(|stored| bson::says_the_same(stored, &message.bson, &message.document));
        if let Some(time) = stored.as_ref().and_then(|stored| stored.get_datetime("Timestamp").ok()) {
            message.index.timestamp = metadata::time_of(time).unwrap_or(message.index.timestamp);
        }
        Ok(stored.is_some())
    }

    /// Stores what is kept apart.
    async fn insert_apart(&mut self, documents: &[RawDocumentBuf]) -> Result<Counts, MongoError> {
        let mut counts = Counts::default();
        if documents.is_empty() {
            return Ok(counts);
        }
        let run = self.run.as_ref().map_or(NO_RUN, SimulationId::as_str);
        let name = format!("{}{run}", self.settings.collections.invalid_prefix);
        self.make_indexes(&name, &INVALID_INDEXES).await?;
        let collection = self.database().await?.collection::<RawDocumentBuf>(&name);
        let refused = self.insert(&collection, documents).await?;
        counts.invalid = count(documents.len() - refused.len());
        for (_, refusal) in refused {
            match refusal {
                Refusal::Known => counts.duplicates += 1,
                // These are plain texts of a size that fits: the server has another reason, such as a full disk.
                Refusal::Unfit(reason) => return Err(Error::custom(reason).into()),
            }
        }
        Ok(counts)
    }

    /// Inserts documents in no order; what the server refused, by position.
    async fn insert(
        &mut self,
        collection: &Collection<RawDocumentBuf>,
        documents: impl IntoIterator<Item = &RawDocumentBuf>,
    ) -> Result<Vec<(usize, Refusal)>, MongoError> {
        let journaled = WriteConcern::builder().w(Some(1.into())).journal(true).build();
        let options = InsertManyOptions::builder().ordered(false).write_concern(journaled).build();
        let inserted = self.bounded(collection.insert_many(documents).with_options(options)).await;
        let Err(error) = inserted else { return Ok(Vec::new()) };
        let MongoError::Driver(error) = error else { return Err(error) };
        let refused = match &*error.kind {
            ErrorKind::InsertMany(refused) if refused.write_concern_error.is_none() => {
                refused.write_errors.clone()
            }
            _ => None,
        };
        let Some(refused) = refused else { return Err(error.into()) };
        if let Some(fault) = refused.iter().find(|refusal| is_fault_of_the_server(refusal.code)) {
            self.client = None;
            return Err(Error::custom(fault.message.clone()).into());
        }
        let told =
            |code, message| if code == DUPLICATE_KEY { Refusal::Known } else { Refusal::Unfit(message) };
        Ok(refused.into_iter().map(|refusal| (refusal.index, told(refusal.code, refusal.message))).collect())
    }

    /// Brings the metadata of the runs of these messages up to date.
    async fn note(&mut self, messages: &[Index]) -> Result<(), MongoError> {
        let mut told = BTreeMap::new();
        for message in messages {
            let run = &message.simulation_id;
            if !self.runs.contains_key(run) {
                let known = self.metadata(run).await?;
                if self.runs.len() >= RUNS_MAX {
                    self.runs.pop_first();
                }
                self.runs.insert(run.clone(), known);
            }
            let Some(metadata) = self.runs.get_mut(run) else { continue };
            let before = metadata.stopped.then(|| metadata.clone());
            metadata.note(message);
            let changed = before.is_some_and(|before| before != *metadata);
            if Metadata::is_told_by(message) || changed {
                told.insert(run.clone(), metadata.clone());
            }
        }
        if told.is_empty() {
            return Ok(());
        }
        let name = self.settings.collections.metadata.clone();
        self.make_indexes(&name, &METADATA_INDEXES).await?;
        let collection = self.metadata_collection().await?;
        for metadata in told.values() {
            let upsert = collection
                .update_one(metadata::filter(&metadata.simulation_id), metadata::update(metadata))
                .upsert(true)
                .write_concern(WriteConcern::builder().w(Some(1.into())).journal(true).build());
            self.bounded(upsert).await?;
        }
        Ok(())
    }

    async fn metadata_collection(&mut self) -> Result<Collection<mongodb::bson::Document>, MongoError> {
        Ok(self.database().await?.collection(&self.settings.collections.metadata))
    }

    /// Makes the indexes of a collection, once. Those that are there already stay.
    async fn make_indexes(&mut self, name: &str, indexes: &[IndexSpec]) -> Result<(), MongoError> {
        if self.indexed.contains(name) {
            return Ok(());
        }
        let collection = self.database().await?.collection::<RawDocumentBuf>(name);
        self.bounded(collection.create_indexes(indexes.iter().map(IndexSpec::model))).await?;
        if self.indexed.len() >= RUNS_MAX * 2 {
            self.indexed.clear();
        }
        self.indexed.insert(name.to_owned());
        Ok(())
    }

    async fn database(&mut self) -> Result<Database, MongoError> {
        if self.client.is_none() {
            let parsed =
                until(&*self.clock, self.clock.now() + OPERATION_TIMEOUT, client_options(&self.settings));
            let options = parsed.await.ok_or(MongoError::Silent)??;
            self.client = Some(Client::with_options(options)?);
        }
        // The client was put there above.
        let client = self.client.as_ref().ok_or(MongoError::Silent)?;
        Ok(client.database(&self.settings.database))
    }

    /// Does one operation within its time. After any error but a refusal of documents the connections are thrown away:
    /// what hangs on them is of unknown outcome.
    async fn bounded<T>(
        &mut self,
        operation: impl IntoFuture<Output = mongodb::error::Result<T>>,
    ) -> Result<T, MongoError> {
        let deadline = self.clock.now() + OPERATION_TIMEOUT;
        match until(&*self.clock, deadline, operation.into_future()).await {
            Some(Ok(output)) => Ok(output),
            Some(Err(error)) => {
                if !matches!(*error.kind, ErrorKind::InsertMany(_)) {
                    self.client = None;
                }
                Err(error.into())
            }
            None => {
                self.client = None;
                Err(MongoError::Silent)
            }
        }
    }
}

/// Why the server did not take a document.
enum Refusal {
    /// It has one of this `_id`.
    Known,
    /// Something about it.
    Unfit(String),
}

/// Refusals that are not about the document: out of disk space, shutting down, not primary, not allowed.
fn is_fault_of_the_server(code: i32) -> bool {
    matches!(code, 11600 | 11602 | 10107 | 13435 | 13436 | 189 | 91 | 14031 | 13 | 18 | 8000)
}

fn sort_valid<'a>(sorted: &mut Sorted<'a>, record: &'a Record, index: Index) {
    let document = std::str::from_utf8(&record.body)
        .ok()
        .and_then(|body| Document::of_message(&record.topic, body, record.heard_at));
    let Some(document) = document else {
        sorted.apart.extend(documents_apart(record, "the body is no object"));
        return;
    };
    match bson::of_document(&index.identity.to_string(), &document) {
        Ok(bson) => {
            let run = index.simulation_id.clone();
            sorted.valid.entry(run).or_default().push(Valid { record, index, document, bson });
        }
        Err(reason) => {
            let documents = bson::of_unholdable(record, &reason.to_string());
            sorted.apart.extend(documents.into_iter().map(|(_, bson)| bson));
            sorted.noted.push(index);
        }
    }
}

/// What is kept apart, in one document or, where no document can hold it, as text.
fn documents_apart(record: &Record, reason: &str) -> Vec<RawDocumentBuf> {
    let document = Document::of_invalid(&record.topic, &record.body, reason, record.heard_at);
    match bson::of_document(&record.identity_by_content().to_string(), &document) {
        Ok(bson) => vec![bson],
        Err(why) => {
            let reason = format!("{reason}; {why}");
            bson::of_unholdable(record, &reason).into_iter().map(|(_, bson)| bson).collect()
        }
    }
}

async fn client_options(settings: &MongoSettings) -> mongodb::error::Result<ClientOptions> {
    let mut options = ClientOptions::parse(&settings.url).await?;
    options.server_selection_timeout = Some(SELECTION_TIMEOUT);
    options.connect_timeout = Some(SELECTION_TIMEOUT);
    // Retrying is done here, and a server without a replica set refuses retryable writes.
    options.retry_writes = Some(false);
    options.app_name.get_or_insert_with(|| "gridloop_log_writer".to_owned());
    Ok(options)
}

fn count(number: usize) -> u64 {
    number as u64
}

/// An index of wire contract 5.1.
struct IndexSpec {
    name: &'static str,
    keys: &'static [&'static str],
    unique: bool,
    sparse: bool,
}

const fn index(name: &'static str, keys: &'static [&'static str]) -> IndexSpec {
    IndexSpec { name, keys, unique: false, sparse: false }
}

const METADATA_INDEXES: [IndexSpec; 3] = [
    IndexSpec { unique: true, ..index("simulation_id_index", &["SimulationId"]) },
    index("start_time_index", &["StartTime", "EndTime"]),
    IndexSpec { sparse: true, ..index("end_time_index", &["EndTime"]) },
];

/// The last one is ours: readers sort by it.
const MESSAGE_INDEXES: [IndexSpec; 4] = [
    index("epoch_index", &["EpochNumber", "SourceProcessId", "Topic"]),
    index("process_index", &["SourceProcessId", "Topic"]),
    index("topic_index", &["Topic", "StartTime"]),
    index("timestamp_index", &["Timestamp"]),
];

const INVALID_INDEXES: [IndexSpec; 2] =
    [index("topic_index", &["Topic", "Timestamp"]), index("timestamp_index", &["Timestamp"])];

impl IndexSpec {
    fn model(&self) -> IndexModel {
        let keys = self.keys.iter().map(|key| ((*key).to_owned(), 1.into()));
        let options = IndexOptions::builder()
            .name(self.name.to_owned())
            .unique(self.unique.then_some(true))
            .sparse(self.sparse.then_some(true))
            .build();
        IndexModel::builder().keys(keys.collect::<mongodb::bson::Document>()).options(options).build()
    }
}
