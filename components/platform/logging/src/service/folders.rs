//! Runs in SQLite: [`Folders`], the folder of each run as `gridloop run` makes it.

use super::{Counts, WriterError};
use crate::metadata::Metadata;
use crate::record::Record;
use crate::store::{Store, metadata_of};
use gridloop_messages::SimulationId;
use std::path::PathBuf;

/// Files open at a time. A run has one; only announcements are of many runs.
const OPEN_MAX: usize = 8;
/// The folder of what belongs to no run.
const NO_RUN: &str = "management";

/// The files of the runs that are being written.
pub(super) struct Folders {
    root: PathBuf,
    run: Option<SimulationId>,
    /// The one used last is last.
    open: Vec<(Option<SimulationId>, Store)>,
}

impl Folders {
    /// Opens the file of the run, so that a folder that cannot be written is known at once.
    pub(super) fn open(root: PathBuf, run: Option<SimulationId>) -> Result<Self, WriterError> {
        let mut folders = Self { root, run: run.clone(), open: Vec::new() };
        folders.store_of(run)?;
        Ok(folders)
    }

    /// Stores records: when this returns, they are on the disk.
    pub(super) fn append(&mut self, records: &[Record]) -> Result<Counts, WriterError> {
        let mut counts = Counts::default();
        let Some(run) = self.run.clone() else {
            for record in records {
                let run = record.index(None).ok().map(|index| index.simulation_id);
                self.append_to(run, std::slice::from_ref(record), &mut counts)?;
            }
            return Ok(counts);
        };
        self.append_to(Some(run), records, &mut counts)?;
        Ok(counts)
    }

    fn append_to(
        &mut self,
        run: Option<SimulationId>,
        records: &[Record],
        counts: &mut Counts,
    ) -> Result<(), WriterError> {
        let store = self.root.display().to_string();
        let written = self.store_of(run)?.append(records, |filed| counts.count(filed));
        written.map_err(|source| WriterError::Store { store, source })
    }

    /// Whether the run was stopped before this writer began.
    pub(super) fn was_stopped(&mut self) -> Result<bool, WriterError> {
        let Some(run) = self.run.clone() else { return Ok(false) };
        let store = self.root.display().to_string();
        let known = metadata_of(self.store_of(Some(run.clone()))?.connection(), &run);
        let known: Option<Metadata> = known.map_err(|source| WriterError::Store { store, source })?;
        Ok(known.is_some_and(|metadata| metadata.stopped))
    }

    /// Moves everything into the files themselves.
    pub(super) fn settle(&self) {
        for (_, store) in &self.open {
            if let Err(error) = store.settle() {
                tracing::warn!(%error, "the run log stays in two files until it is opened again");
            }
        }
    }

    fn store_of(&mut self, run: Option<SimulationId>) -> Result<&mut Store, WriterError> {
        let known = self.open.iter().position(|(of, _)| *of == run);
        let entry = match known {
            Some(at) => self.open.remove(at),
            None => {
                let name = run.as_ref().map_or_else(|| NO_RUN.to_owned(), SimulationId::compact);
                let folder = self.root.join(name);
                std::fs::create_dir_all(&folder)
                    .map_err(|source| WriterError::Folder { path: folder.clone(), source })?;
                let path = folder.join("messages.sqlite");
                let store = Store::open_durable(&path, run.clone())
                    .map_err(|source| WriterError::Store { store: path.display().to_string(), source })?;
                (run, store)
            }
        };
        if self.open.len() >= OPEN_MAX {
            self.open.remove(0);
        }
        let (_, store) = self.open.push_mut(entry);
        Ok(store)
    }
}
