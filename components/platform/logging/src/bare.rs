//! Inserting and reading without gridloop around it: what the stores themselves cost.
//!
//! These are the floors that the benchmarks of hil-tests measure the Log Writer and the Log Reader against. They stand
//! in this crate, behind the feature `bare`, because no other crate may name the stores' libraries.

use rusqlite::{Connection, params};
use std::path::Path;

/// Inserts texts into a table of one column, each batch in one transaction that is on the disk when it is committed.
///
/// # Errors
/// When SQLite refuses.
pub fn insert_into_sqlite(path: &Path, bodies: &[String], batch: usize) -> rusqlite::Result<()> {
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute_batch("CREATE TABLE bare (body TEXT NOT NULL)")?;
    for bodies in bodies.chunks(batch.max(1)) {
        let transaction = connection.transaction()?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO bare (body) VALUES (?1)")?;
            for body in bodies {
                insert.execute(params![body])?;
            }
        }
        transaction.commit()?;
    }
    Ok(())
}

/// Reads the bodies of a run's messages in the order of a Log Reader; gives how many and their bytes.
///
/// # Errors
/// When the file is no run log.
pub fn read_from_sqlite(path: &Path) -> rusqlite::Result<(u64, usize)> {
    let connection = Connection::open(path)?;
    let mut select = connection.prepare("SELECT body FROM messages ORDER BY timestamp, seq")?;
    let mut rows = select.query([])?;
    let (mut count, mut bytes) = (0, 0);
    while let Some(row) = rows.next()? {
        count += 1;
        bytes += row.get_ref(0)?.as_str()?.len();
    }
    Ok((count, bytes))
}

/// Inserts JSON objects as documents, each batch in one journaled operation.
///
/// # Errors
/// When a body is no JSON object, or MongoDB refuses.
#[cfg(feature = "mongodb")]
pub async fn insert_into_mongodb(url: &str, bodies: &[String], batch: usize) -> std::io::Result<()> {
    use mongodb::bson::{Document, serialize_to_document};
    use mongodb::options::WriteConcern;
    let client = mongodb::Client::with_uri_str(url).await.map_err(std::io::Error::other)?;
    let collection = client.database("bare").collection::<Document>("messages");
    collection.drop().await.map_err(std::io::Error::other)?;
    let durable = WriteConcern::builder().journal(true).build();
    for bodies in bodies.chunks(batch.max(1)) {
        let mut documents = Vec::with_capacity(bodies.len());
        for body in bodies {
            let object: serde_json::Value = serde_json::from_str(body)?;
            documents.push(serialize_to_document(&object).map_err(std::io::Error::other)?);
        }
        let inserted = collection.insert_many(documents).write_concern(durable.clone()).ordered(false);
        inserted.await.map_err(std::io::Error::other)?;
    }
    Ok(())
}
