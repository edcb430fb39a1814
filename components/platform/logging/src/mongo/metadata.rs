//! The metadata document of a run (wire contract 5.1).

use super::bson::date;
use crate::metadata::Metadata;
use gridloop_messages::{SimulationId, Timestamp};
use mongodb::bson::{Bson, Document, doc};

/// Finds the document of a run.
pub(super) fn filter(run: &SimulationId) -> Document {
    doc! {"SimulationId": run.as_str()}
}

/// What a document says. Its time of the latest message is not there before the run has ended.
pub(super) fn read(run: &SimulationId, document: &Document) -> Metadata {
    let time = |field: &str| time_of(*document.get_datetime(field).ok()?);
    let text = |field: &str| document.get_str(field).ok().map(str::to_owned);
    let epochs = match document.get("Epochs") {
        Some(Bson::Int32(epochs)) => i64::from(*epochs),
        Some(Bson::Int64(epochs)) => *epochs,
        _ => 0,
    };
    let processes = document.get_array("Processes").map(Vec::as_slice).unwrap_or_default();
    Metadata {
        simulation_id: run.clone(),
        start_time: time("StartTime"),
        latest: time("EndTime"),
        stopped: document.contains_key("EndTime"),
        name: text("Name"),
        description: text("Description"),
        epochs,
        processes: processes.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect(),
    }
}

/// Writes what is known. Start, end and epochs only move outwards, whoever else writes.
pub(super) fn update(metadata: &Metadata) -> Document {
    let processes: Vec<&str> = metadata.processes.iter().map(String::as_str).collect();
    let mut set = doc! {"Processes": processes};
    if let Some(name) = &metadata.name {
        set.insert("Name", name);
    }
    if let Some(description) = &metadata.description {
        set.insert("Description", description);
    }
    let epochs = i32::try_from(metadata.epochs).map_or(Bson::Int64(metadata.epochs), Bson::Int32);
    let mut raise = doc! {"Epochs": epochs};
    if let Some(end) = metadata.end_time() {
        raise.insert("EndTime", date(end));
    }
    let mut update = doc! {"$set": set, "$max": raise};
    if let Some(start) = metadata.start_time {
        update.insert("$min", doc! {"StartTime": date(start)});
    }
    update
}

/// A stored time.
pub(super) fn time_of(time: mongodb::bson::DateTime) -> Option<Timestamp> {
    gridloop_clock::Utc::from_timestamp_millis(time.timestamp_millis()).map(Timestamp::from)
}
