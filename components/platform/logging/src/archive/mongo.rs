//! Runs in MongoDB: [`MongoArchive`] serves a database in the layout of wire contract 5.1, whoever wrote it.

use super::select::{Cursor, EpochSpan, Epochs, Order, Select};
use super::{ArchiveError, Documents, Fields, Kind, Sender, Started};
use crate::location::{Collections, MongoSettings};
use futures_util::TryStreamExt;
use gridloop_messages::Timestamp;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, DateTime, Document, RawDocumentBuf, doc};
use mongodb::options::ClientOptions;
use mongodb::{Client, Database};
use serde_json::{Number, Value};
use std::time::Duration;

/// How long a question waits for a server that does not answer; a server of one's own answers or is down.
const SERVER_WAIT: Duration = Duration::from_secs(5);

/// A database of runs.
#[derive(Debug, Clone)]
pub struct MongoArchive {
    database: Database,
    collections: Collections,
}

impl MongoArchive {
    /// The database of these settings. The server is looked for when it is asked something.
    ///
    /// # Errors
    /// When the settings make no sense to the driver.
    pub async fn connect(settings: &MongoSettings) -> Result<Self, ArchiveError> {
        let mut options = ClientOptions::parse(&settings.url).await?;
        options.server_selection_timeout.get_or_insert(SERVER_WAIT);
        let database = Client::with_options(options)?.database(&settings.database);
        Ok(Self { database, collections: settings.collections.clone() })
    }

    pub(super) async fn runs(&self, started: &Started) -> Result<Vec<Fields>, ArchiveError> {
        let mut range = Document::new();
        if let Some(from) = started.from {
            range.insert("$gte", date(from));
        }
        if let Some(to) = started.to {
            range.insert("$lt", date(to));
        }
        let filter = if range.is_empty() {
            doc! {}
        } else {
            doc! { "StartTime": range }
        };
        let runs = self.metadata().find(filter).projection(doc! { "_id": 0 }).await?;
        Ok(runs.map_ok(fields).try_collect().await?)
    }

    pub(super) async fn run(&self, id: &str) -> Result<Option<Fields>, ArchiveError> {
        let found =
            self.metadata().find_one(doc! { "SimulationId": id }).projection(doc! { "_id": 0 }).await?;
        Ok(found.map(fields))
    }

    pub(super) async fn has(&self, id: &str) -> Result<bool, ArchiveError> {
        let names = [self.name(Kind::Valid, id), self.name(Kind::Invalid, id)];
        let filter = doc! { "name": { "$in": names.to_vec() } };
        Ok(!self.database.list_collection_names().filter(filter).await?.is_empty())
    }

    pub(super) async fn messages(&self, id: &str, select: Select) -> Result<Documents, ArchiveError> {
        self.stream(Kind::Valid, id, filter(&select), &select).await
    }

    pub(super) async fn invalid_messages(&self, id: &str, select: Select) -> Result<Documents, ArchiveError> {
        self.stream(Kind::Invalid, id, filter(&select), &select).await
    }

    pub(super) async fn page_end(
        &self,
        id: &str,
        select: &Select,
        kind: Kind,
        limit: usize,
    ) -> Result<Option<Cursor>, ArchiveError> {
        let Some(skip) = limit.checked_sub(1).and_then(|skip| i64::try_from(skip).ok()) else {
            return Ok(None);
        };
        let steps = vec![
            doc! { "$match": filter(select) },
            doc! { "$sort": { "Timestamp": 1, "_id": 1 } },
            doc! { "$skip": skip },
            doc! { "$limit": 2 },
            doc! { "$project": { "_id": 1, "Timestamp": 1 } },
        ];
        let collection = self.database.collection::<Document>(&self.name(kind, id));
        let mut places = collection.aggregate(steps).allow_disk_use(true).await?;
        let last = places.try_next().await?;
        if places.try_next().await?.is_none() {
            return Ok(None);
        }
        Ok(last.and_then(|place| {
            let Some(Bson::DateTime(time)) = place.get("Timestamp") else { return None };
            Some(Cursor { timestamp: timestamp(*time), key: key(place.get("_id")?)? })
        }))
    }

    pub(super) async fn epochs(&self, id: &str, epochs: Epochs) -> Result<Vec<EpochSpan>, ArchiveError> {
        let select = Select { epochs, order: Order::Epoch, ..Select::default() };
        let mut condition = filter(&select);
        condition.insert("Topic", "Epoch");
        let steps = vec![
            doc! { "$match": condition },
            doc! { "$sort": { "EpochNumber": 1, "Timestamp": 1 } },
            doc! { "$project": { "_id": 0, "EpochNumber": 1, "StartTime": 1, "EndTime": 1 } },
        ];
        let collection = self.database.collection::<Document>(&self.name(Kind::Valid, id));
        let mut found = collection.aggregate(steps).allow_disk_use(true).await?;
        let mut spans = Vec::new();
        while let Some(epoch) = found.try_next().await? {
            let time = |name| match epoch.get(name) {
                Some(Bson::DateTime(time)) => Some(timestamp(*time)),
                _ => None,
            };
            if let Some(number) = epoch.get("EpochNumber").and_then(whole) {
                spans.push(EpochSpan { number, start: time("StartTime"), end: time("EndTime") });
            }
        }
        Ok(spans)
    }

    pub(super) async fn last_epoch(&self, id: &str) -> Result<Option<i64>, ArchiveError> {
        let collection = self.database.collection::<Document>(&self.name(Kind::Valid, id));
        let highest = collection.find_one(doc! { "EpochNumber": { "$type": "number" } });
        let found = highest.sort(doc! { "EpochNumber": -1 }).projection(doc! { "EpochNumber": 1 }).await?;
        Ok(found.and_then(|message| message.get("EpochNumber").and_then(whole)))
    }

    fn metadata(&self) -> mongodb::Collection<Document> {
        self.database.collection(&self.collections.metadata)
    }

    fn name(&self, kind: Kind, id: &str) -> String {
        match kind {
            Kind::Valid => format!("{}{id}", self.collections.messages_prefix),
            Kind::Invalid => format!("{}{id}", self.collections.invalid_prefix),
        }
    }

    /// Asks for messages in the order in which the Python Log Reader does, so that the server chooses the same way
    /// through them; pages need an order in which no two messages are equal.
    async fn stream(
        &self,
        kind: Kind,
        id: &str,
        filter: Document,
        select: &Select,
    ) -> Result<Documents, ArchiveError> {
        let paged = select.limit.is_some() || select.after.is_some();
        let sort = match select.order {
            Order::Epoch => doc! { "EpochNumber": 1 },
            Order::Time if paged => doc! { "Timestamp": 1, "_id": 1 },
            Order::Time => doc! { "Timestamp": 1 },
        };
        let mut steps = vec![doc! { "$match": filter }, doc! { "$sort": sort }];
        if let Some(limit) = select.limit {
            steps.push(doc! { "$limit": i64::try_from(limit).unwrap_or(i64::MAX) });
        }
        steps.push(doc! { "$project": { "_id": 0 } });
        let collection = self.database.collection::<Document>(&self.name(kind, id));
        // A sort by the unindexed Timestamp may need more memory than the server grants.
        let cursor = collection.aggregate(steps).allow_disk_use(true).await?;
        let (sender, documents) = Sender::new();
        tokio::spawn(feed(cursor.with_type(), sender, select.order));
        Ok(documents)
    }
}

/// Moves what the server gives into a stream until nobody listens.
async fn feed(mut cursor: mongodb::Cursor<RawDocumentBuf>, mut sender: Sender, order: Order) {
    loop {
        let next = match cursor.try_next().await {
            Ok(next) => next,
            Err(error) => {
                // Nobody listens any more: then nobody wants the error either.
                let _ = sender.batches.send(Err(error.into())).await;
                return;
            }
        };
        let Some(raw) = next else { break };
        let bytes = raw.as_bytes().len();
        let Ok(document) = Document::try_from(raw) else { continue };
        if order == Order::Epoch && document.get("EpochNumber").and_then(whole).is_none() {
            continue;
        }
        if let Some(batch) = sender.put(fields(document), bytes)
            && sender.batches.send(Ok(batch)).await.is_err()
        {
            return;
        }
    }
    if let Some(rest) = sender.rest() {
        // Nobody listens any more: nothing is left to do anyway.
        let _ = sender.batches.send(Ok(rest)).await;
    }
}

/// The condition that a selection is. An empty one is everything.
fn filter(select: &Select) -> Document {
    let mut filter = Document::new();
    let mut range = Document::new();
    if let Some(first) = select.epochs.first {
        range.insert("$gte", first);
    }
    if let Some(last) = select.epochs.last {
        range.insert("$lte", last);
    }
    if !range.is_empty() {
        filter.insert("EpochNumber", range);
    }
    if !select.processes.is_empty() {
        filter.insert("SourceProcessId", doc! { "$in": select.processes.clone() });
    }
    if select.only_warnings {
        filter.insert("Warnings", doc! { "$exists": true });
    }
    if let Some(topic) = &select.topic {
        filter.insert("Topic", doc! { "$regex": topic.to_regex() });
    }
    if let Some(after) = &select.after {
        let time = date(after.timestamp);
        // `$expr` compares ids of different types too.
        let behind = doc! { "Timestamp": time.clone(), "$expr": { "$gt": ["$_id", literal(&after.key)] } };
        filter.insert("$or", vec![doc! { "Timestamp": { "$gt": time } }, behind]);
    }
    filter
}

/// What a place is known by: the `_id` of its document, an ObjectId as Python writes it or a text.
fn key(id: &Bson) -> Option<String> {
    match id {
        Bson::ObjectId(id) => Some(format!("o{id}")),
        Bson::String(text) => Some(format!("s{text}")),
        _ => None,
    }
}

/// The `_id` of a key. One of another store is behind everything.
fn literal(key: &str) -> Document {
    let id = match (key.strip_prefix('o').map(ObjectId::parse_str), key.strip_prefix('s')) {
        (Some(Ok(id)), _) => Bson::ObjectId(id),
        (_, Some(text)) => Bson::String(text.to_owned()),
        _ => Bson::MaxKey,
    };
    doc! { "$literal": id }
}

fn date(time: Timestamp) -> Bson {
    Bson::DateTime(DateTime::from_millis(time.as_datetime().timestamp_millis()))
}

/// In the range of years that have four digits.
fn timestamp(time: DateTime) -> Timestamp {
    let whole = gridloop_clock::Utc::from_timestamp_millis(time.timestamp_millis());
    Timestamp::from(whole.unwrap_or_default())
}

/// A whole number, whatever type it was stored as.
fn whole(value: &Bson) -> Option<i64> {
    match value {
        Bson::Int32(value) => Some(i64::from(*value)),
        Bson::Int64(value) => Some(*value),
        // `{:.0}` of a whole double is that number.
        Bson::Double(value) if value.fract() == 0.0 => format!("{value:.0}").parse().ok(),
        _ => None,
    }
}

fn fields(document: Document) -> Fields {
    document.into_iter().map(|(name, value)| (name, json(value))).collect()
}

/// As JSON; what JSON does not have becomes a text, as in the stored form.
fn json(value: Bson) -> Value {
    match value {
        Bson::Null | Bson::Undefined => Value::Null,
        Bson::Boolean(value) => value.into(),
        Bson::Int32(value) => value.into(),
        Bson::Int64(value) => value.into(),
        Bson::Double(value) => match Number::from_f64(value) {
            Some(number) => number.into(),
            None if value.is_nan() => "NaN".into(),
            None if value > 0.0 => "Infinity".into(),
            None => "-Infinity".into(),
        },
        Bson::String(text) => text.into(),
        Bson::DateTime(time) => timestamp(time).to_string().into(),
        Bson::Array(items) => items.into_iter().map(json).collect(),
        Bson::Document(document) => fields(document).into(),
        other => other.to_string().into(),
    }
}
