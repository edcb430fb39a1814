//! What a Log Writer is told.

use super::{BusVariables, Common, LogVariables, Reader, UsualMongo, read_store};
use gridloop_logging::{Collections, WriterSettings};
use gridloop_messages::{SimulationId, Timestamp};
use std::path::PathBuf;
use std::time::Duration;

/// The variables of a Log Writer: the bus, the run, and the store.
///
/// The store is `LOG_STORE`, or else the MongoDB of the `MONGODB_` variables. `MESSAGE_BUFFER_MAX_DOCUMENTS` and
/// `MESSAGE_BUFFER_MAX_INTERVAL` say when the Python platform writes at the latest; this Log Writer writes at once, so
/// that both always hold and neither is read.
#[derive(Debug)]
pub struct LogWriterVariables {
    /// What all processes are told. For the management exchange, the run in it means nothing.
    pub common: Common,
    /// What to do.
    pub settings: WriterSettings,
}

impl LogWriterVariables {
    /// Reads them. A Log Writer on a durable exchange is the one of the management exchange (wire contract 1.1): it has
    /// no run.
    pub fn read(reader: &Reader<'_>) -> Self {
        let management = reader.flag("RABBITMQ_EXCHANGE_DURABLE").unwrap_or(false);
        let common = if management { common_of_management(reader) } else { Common::read(reader) };
        let run = (!management).then(|| common.simulation_id.clone());
        let usual = UsualMongo { database: "db", app_name: "log_writer" };
        let store = read_store(reader, usual, read_collections);
        let spool = reader.text("LOG_SPOOL").map_or_else(|| PathBuf::from("spool"), PathBuf::from);
        let mut settings = WriterSettings::new(run, store, spool);
        if let Some(seconds) = reader.whole("STATISTICS_DISPLAY_INTERVAL", 1..=86_400) {
            settings.statistics_interval = Duration::from_secs(seconds);
        }
        Self { common, settings }
    }
}

fn common_of_management(reader: &Reader<'_>) -> Common {
    Common {
        bus: BusVariables::read(reader),
        simulation_id: SimulationId::new(Timestamp::from(chrono::DateTime::UNIX_EPOCH)),
        name: "log-writer".into(),
        log: LogVariables::read(reader),
    }
}

fn read_collections(reader: &Reader<'_>) -> Collections {
    if reader.text("MONGODB_COLLECTION_IDENTIFIER").is_some_and(|field| field != "SimulationId") {
        let expected = "SimulationId or nothing: gridloop files messages by no other field";
        reader.reject("MONGODB_COLLECTION_IDENTIFIER", expected);
    }
    let usual = Collections::default();
    let text = |name, default| reader.text(name).unwrap_or(default);
    Collections {
        metadata: text("MONGODB_METADATA_COLLECTION", usual.metadata),
        messages_prefix: text("MONGODB_MESSAGES_COLLECTION_PREFIX", usual.messages_prefix),
        invalid_prefix: text("MONGODB_INVALID_MESSAGES_COLLECTION_PREFIX", usual.invalid_prefix),
    }
}
