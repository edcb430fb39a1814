//! Where a run is kept: `runs/<id>/` with the messages, the report and the configuration.

use anyhow::Context as _;
use gridloop_messages::SimulationId;
use gridloop_platform_manager::Configuration;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of one run.
pub(crate) struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes the folder; a run of that id must not be there yet.
    pub(crate) fn create(
        runs: &Path,
        id: &SimulationId,
        configuration: &Configuration,
    ) -> anyhow::Result<Self> {
        fs::create_dir_all(runs).with_context(|| format!("cannot make the folder {}", runs.display()))?;
        let path = runs.join(id.compact());
        fs::create_dir(&path).with_context(|| {
            format!(
                "cannot make the folder {}; if a run of this id is there, use another --simulation-id",
                path.display()
            )
        })?;
        let copy = path.join("configuration.toml");
        let overrides = configuration.overrides.iter().map(|it| format!("# this run had --set {it}\n"));
        let text = overrides.collect::<String>() + &configuration.text;
        fs::write(&copy, text).with_context(|| format!("cannot write {}", copy.display()))?;
        Ok(Self { path })
    }

    pub(crate) fn messages(&self) -> PathBuf {
        self.path.join("messages.sqlite")
    }

    pub(crate) fn report(&self) -> PathBuf {
        self.path.join("report.json")
    }
}
