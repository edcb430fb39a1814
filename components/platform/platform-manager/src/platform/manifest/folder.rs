//! Which files are looked at, and in which order (wire contract 4.2).

use std::io;
use std::path::{Path, PathBuf};

/// Folders within folders.
const DEPTH_MAX: usize = 16;
/// Files and folders looked at.
const ENTRIES_MAX: usize = 10_000;

/// The manifest files below a folder, in the order of precedence. Within a folder names decide, so that every machine
/// finds the same.
pub(super) fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut seen = 0;
    look(folder, 0, &mut seen, &mut found)?;
    Ok(found)
}

fn look(folder: &Path, depth: usize, seen: &mut usize, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        *seen += 1;
        if *seen > ENTRIES_MAX {
            return Err(io::Error::other(format!("there are more than {ENTRIES_MAX} files below it")));
        }
        paths.push(entry?.path());
    }
    paths.sort();
    let (mut folders, files): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| path.is_dir());
    found.extend(files.into_iter().filter(|path| is_manifest(path)));
    // `local` before the others, which stay in the order of their names.
    folders.sort_by_key(|path| path.file_name().is_none_or(|name| name != "local"));
    if depth == DEPTH_MAX {
        return Ok(());
    }
    folders.iter().try_for_each(|path| look(path, depth + 1, seen, found))
}

fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml")
}
