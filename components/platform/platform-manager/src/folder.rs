//! Where a run is kept: `runs/<id>/` with the messages, the report, the journal, the configuration, and what is needed to
//! go on with it.

use anyhow::{Context as _, bail};
use gridloop_messages::SimulationId;
use gridloop_platform_manager::Configuration;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of one run.
pub(crate) struct RunFolder {
    path: PathBuf,
}

/// How a run was started, so that it can be gone on with.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Begun {
    pub(crate) simulation_id: String,
    /// Where the configuration lay: file names in it are relative to its folder.
    pub(crate) configuration: PathBuf,
    /// As it was then.
    text: String,
    /// What the command line changed in it. Secrets are `***`.
    pub(crate) overrides: Vec<String>,
}

const BEGUN: &str = "begun.json";

impl RunFolder {
    /// Makes the folder; a run of that id must not be there yet.
    pub(crate) fn create(
        runs: &Path,
        id: &SimulationId,
        file: &Path,
        configuration: &Configuration,
    ) -> anyhow::Result<Self> {
        fs::create_dir_all(runs).with_context(|| format!("cannot make the folder {}", runs.display()))?;
        let path = runs.join(id.compact());
        fs::create_dir(&path).with_context(|| {
            format!(
                "cannot make the folder {}; if a run of this id is there, go on with it by --resume, or use another \
                 --simulation-id",
                path.display()
            )
        })?;
        let overrides = configuration.overrides.iter().map(|it| format!("# this run had --set {it}\n"));
        let text = overrides.collect::<String>() + &configuration.text;
        let begun = Begun {
            simulation_id: id.to_string(),
            configuration: std::path::absolute(file).unwrap_or_else(|_| file.to_owned()),
            text: configuration.text.clone(),
            overrides: configuration.overrides.clone(),
        };
        write(&path.join("configuration.toml"), &text)?;
        write(&path.join(BEGUN), &serde_json::to_string_pretty(&begun)?)?;
        Ok(Self { path })
    }

    /// Finds the folder of a run that is to go on: by its path, or by its name among `runs`.
    pub(crate) fn find(runs: &Path, run: &Path) -> anyhow::Result<(Self, Begun)> {
        let named = runs.join(run);
        let path = if run.join(BEGUN).exists() || !named.exists() { run.to_owned() } else { named };
        let begun = path.join(BEGUN);
        let text = match fs::read_to_string(&begun) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(
                "{} is no run that can be resumed: there is no {BEGUN} in it; name a folder, or a run in {}",
                run.display(),
                runs.display()
            ),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", begun.display())),
        };
        let begun = serde_json::from_str(&text)
            .with_context(|| format!("{} is not what a run has written", begun.display()))?;
        Ok((Self { path }, begun))
    }

    pub(crate) fn messages(&self) -> PathBuf {
        self.path.join("messages.sqlite")
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.path.join("journal")
    }

    pub(crate) fn report(&self) -> PathBuf {
        self.path.join("report.json")
    }
}

impl Begun {
    /// The configuration as it was. `given` is what the command line says this time: it comes after what it said then,
    /// and has to repeat the secrets, which are kept nowhere.
    pub(crate) fn load(&self, given: &[String]) -> anyhow::Result<Configuration> {
        let key = |assignment: &str| assignment.split_once('=').map_or("", |(key, _)| key).to_owned();
        let (secret, open): (Vec<_>, Vec<_>) = self.overrides.iter().partition(|it| it.contains("***"));
        for assignment in secret {
            let key = key(assignment);
            if !given.iter().any(|it| it.split_once('=').is_some_and(|(name, _)| name == key)) {
                bail!(
                    "the run was begun with --set {assignment}; what is hidden is kept nowhere: give it again"
                );
            }
        }
        let overrides: Vec<String> = open.into_iter().cloned().chain(given.iter().cloned()).collect();
        let name = self.configuration.to_string_lossy();
        Configuration::parse(&name, &self.text, &overrides).map_err(|errors| anyhow::anyhow!("{errors}"))
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
