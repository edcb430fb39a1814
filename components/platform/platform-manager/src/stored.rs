//! Stored runs by what people call them: [`find`].

use anyhow::{Context as _, bail};
use gridloop_messages::SimulationId;
use std::fs;
use std::path::{Path, PathBuf};

/// The file of a run's messages in its folder.
const MESSAGES: &str = "messages.sqlite";

/// A run that is there.
pub(crate) struct Found {
    pub(crate) folder: PathBuf,
    /// The folder around it.
    pub(crate) runs: PathBuf,
    pub(crate) id: SimulationId,
}

/// Finds a run by its folder, the name of its folder, its SimulationId, or as `latest`.
///
/// # Errors
/// When there is none.
pub(crate) fn find(runs: &Path, run: &str) -> anyhow::Result<Found> {
    let given = Path::new(run);
    let folder = if run == "latest" {
        latest(runs)?
    } else if given.join(MESSAGES).is_file() {
        given.to_owned()
    } else {
        let id = SimulationId::parse(run).ok().or_else(|| id_of(run));
        match id.map(|id| runs.join(id.compact())) {
            Some(folder) if folder.join(MESSAGES).is_file() => folder,
            _ => bail!(
                "there is no run {run}: name a folder with a {MESSAGES} in it, the id of a run in {}, or `latest`",
                runs.display()
            ),
        }
    };
    // Its name tells the run, also where it was named as `.`.
    let whole = fs::canonicalize(&folder).with_context(|| format!("cannot open {}", folder.display()))?;
    let id = whole.file_name().and_then(|name| id_of(&name.to_string_lossy()));
    match (id, whole.parent()) {
        (Some(id), Some(runs)) => Ok(Found { runs: runs.to_owned(), folder, id }),
        _ => bail!(
            "{} does not have the name of a run's folder, such as 20260621-120000-000: a run is found by it",
            whole.display()
        ),
    }
}

/// The run with the latest id.
fn latest(runs: &Path) -> anyhow::Result<PathBuf> {
    let entries =
        fs::read_dir(runs).with_context(|| format!("cannot list the runs in {}", runs.display()))?;
    let folders = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let found = folders.filter_map(|path| {
        let id = id_of(&path.file_name()?.to_string_lossy())?;
        path.join(MESSAGES).is_file().then_some((id, path))
    });
    let latest = found.max_by(|a, b| a.0.cmp(&b.0));
    latest.map(|(_, path)| path).with_context(|| format!("there is no run in {}", runs.display()))
}

/// The id that a folder's name spells: `20260621-120000-000`.
fn id_of(name: &str) -> Option<SimulationId> {
    let mut parts = name.split('-');
    let (day, time, millis) = (parts.next()?, parts.next()?, parts.next()?);
    let shaped = |part: &str, length| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
    if !shaped(day, 8) || !shaped(time, 6) || !shaped(millis, 3) || parts.next().is_some() {
        return None;
    }
    let (year, month, day) = (&day[..4], &day[4..6], &day[6..]);
    let (hour, minute, second) = (&time[..2], &time[2..4], &time[4..]);
    SimulationId::parse(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}.{millis}Z")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_folder_is_the_id_of_its_run() {
        let id = id_of("20260621-120000-123").unwrap();
        assert_eq!(id.as_str(), "2026-06-21T12:00:00.123Z");
        assert_eq!(id.compact(), "20260621-120000-123");
        for name in [
            "",
            "audit",
            "20260621-120000",
            "20269921-120000-000",
            "20260621-120000-000-1",
            "2026\u{e9}21-120000-000",
        ] {
            assert_eq!(id_of(name), None, "{name}");
        }
    }
}
