//! Storing records: each once, valid or apart, and what they say of their run.

use super::{Store, StoreError, failed, simulation};
use crate::document::Document;
use crate::metadata::Metadata;
use crate::record::{Index, Record};
use gridloop_messages::{SimulationId, Timestamp};
use rusqlite::{CachedStatement, Connection, TransactionBehavior, params};
use std::collections::BTreeMap;

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filed {
    Stored,
    Duplicate,
    Invalid,
}

impl Store {
    /// Stores records in one transaction, in their order.
    pub(crate) fn append(
        &mut self,
        records: &[Record],
        mut filed: impl FnMut(Filed),
    ) -> Result<(), StoreError> {
        let run = self.run.as_ref();
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed("begin"))?;
        let mut statements = Statements::prepare(&transaction)?;
        let mut runs = BTreeMap::new();
        for record in records {
            let became = match (record.index(run), std::str::from_utf8(&record.body)) {
                (Ok(index), Ok(body)) => {
                    let became = statements.store(record, &index, body)?;
                    if became == Filed::Stored {
                        known(&mut runs, &transaction, &index.simulation_id)?.note(&index);
                    }
                    became
                }
                (index, text) => {
                    let reason = index.err().or(text.err().map(|e| e.to_string())).unwrap_or_default();
                    statements.keep_apart(record, &reason)?
                }
            };
            filed(became);
        }
        for metadata in runs.values() {
            simulation::write(&transaction, metadata)?;
        }
        drop(statements);
        transaction.commit().map_err(failed("commit"))
    }
}

/// What the file and this batch know of a run.
fn known<'a>(
    runs: &'a mut BTreeMap<SimulationId, Metadata>,
    connection: &Connection,
    run: &SimulationId,
) -> Result<&'a mut Metadata, StoreError> {
    if !runs.contains_key(run) {
        let metadata = simulation::metadata_of(connection, run)?;
        runs.insert(run.clone(), metadata.unwrap_or_else(|| Metadata::new(run.clone())));
    }
    Ok(runs.entry(run.clone()).or_insert_with(|| Metadata::new(run.clone())))
}

struct Statements<'c> {
    store: CachedStatement<'c>,
    keep: CachedStatement<'c>,
    known: CachedStatement<'c>,
}

impl<'c> Statements<'c> {
    fn prepare(connection: &'c Connection) -> Result<Self, StoreError> {
        let prepare = |sql| connection.prepare_cached(sql).map_err(failed("prepare"));
        Ok(Self {
            store: prepare(
                "INSERT OR IGNORE INTO messages (heard_at, topic, type, simulation_id, source_process_id, message_id, \
                 epoch_number, body, timestamp, warnings, identity) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, \
                 ?11)",
            )?,
            keep: prepare(
                "INSERT OR IGNORE INTO invalid_messages (heard_at, topic, reason, body, timestamp, identity) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?,
            known: prepare("SELECT body FROM messages WHERE identity = ?1")?,
        })
    }

    fn store(&mut self, record: &Record, index: &Index, body: &str) -> Result<Filed, StoreError> {
        let rows = self
            .store
            .execute(params![
                Timestamp::from(record.heard_at).to_string(),
                &*record.topic,
                index.type_name,
                index.simulation_id.as_str(),
                index.source_process_id,
                index.message_id,
                index.epoch_number,
                body,
                index.timestamp.to_string(),
                index.has_warnings,
                index.identity.as_bytes(),
            ])
            .map_err(failed("store a message"))?;
        if rows > 0 {
            return Ok(Filed::Stored);
        }
        let known: String = self
            .known
            .query_row([index.identity.as_bytes()], |row| row.get(0))
            .map_err(failed("look up a message"))?;
        if known == body {
            return Ok(Filed::Duplicate);
        }
        self.keep_apart(record, REPEATED_ID)
    }

    fn keep_apart(&mut self, record: &Record, reason: &str) -> Result<Filed, StoreError> {
        let document = Document::of_invalid(&record.topic, &record.body, reason, record.heard_at);
        let made_at = document.date("Timestamp").unwrap_or_else(|| Timestamp::from(record.heard_at));
        let rows = self
            .keep
            .execute(params![
                Timestamp::from(record.heard_at).to_string(),
                &*record.topic,
                reason,
                &*record.body,
                made_at.to_string(),
                record.identity_by_content().as_bytes(),
            ])
            .map_err(failed("keep an invalid message"))?;
        Ok(if rows > 0 { Filed::Invalid } else { Filed::Duplicate })
    }
}

/// The reason for keeping a message apart whose sender has used its MessageId for another content before.
pub(crate) const REPEATED_ID: &str = "repeats the MessageId of another message of its sender";
