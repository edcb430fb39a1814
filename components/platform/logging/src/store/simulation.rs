//! The table `simulation`: what is known of a run as a whole.

use super::{StoreError, failed};
use crate::metadata::Metadata;
use gridloop_messages::{SimulationId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};

const COLUMNS: &str = "simulation_id, start_time, latest, stopped, name, description, epochs, processes";

/// The metadata of one run; `None` if the file has none of it.
pub(crate) fn metadata_of(
    connection: &Connection,
    run: &SimulationId,
) -> Result<Option<Metadata>, StoreError> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM simulation WHERE simulation_id = ?1"))
        .and_then(|mut select| select.query_row([run.as_str()], from_row).optional())
        .map_err(failed("read the metadata"))
}

/// The metadata of every run in the file, by their ids.
pub(crate) fn metadata_of_all(connection: &Connection) -> Result<Vec<Metadata>, StoreError> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM simulation ORDER BY simulation_id"))
        .and_then(|mut select| select.query_map([], from_row)?.collect())
        .map_err(failed("read the metadata"))
}

/// Writes what is known of a run, over what was known before.
pub(super) fn write(connection: &Connection, metadata: &Metadata) -> Result<(), StoreError> {
    let text = |time: Option<Timestamp>| time.map(|time| time.to_string());
    let processes: Vec<&str> = metadata.processes.iter().map(String::as_str).collect();
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO simulation (simulation_id, start_time, end_time, name, description, epochs, \
             processes, latest, stopped) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )
        .and_then(|mut upsert| {
            upsert.execute(params![
                metadata.simulation_id.as_str(),
                text(metadata.start_time),
                text(metadata.end_time()),
                metadata.name,
                metadata.description,
                metadata.epochs,
                serde_json::Value::from(processes).to_string(),
                text(metadata.latest),
                metadata.stopped,
            ])
        })
        .map(drop)
        .map_err(failed("write the metadata"))
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Metadata> {
    let time = |column: usize| -> rusqlite::Result<Option<Timestamp>> {
        let text: Option<String> = row.get(column)?;
        Ok(text.and_then(|text| Timestamp::parse(&text).ok()))
    };
    let id: String = row.get(0)?;
    let simulation_id = SimulationId::parse(&id).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error))
    })?;
    let processes: String = row.get(7)?;
    Ok(Metadata {
        simulation_id,
        start_time: time(1)?,
        latest: time(2)?,
        stopped: row.get(3)?,
        name: row.get(4)?,
        description: row.get(5)?,
        epochs: row.get(6)?,
        processes: serde_json::from_str(&processes).unwrap_or_default(),
    })
}
