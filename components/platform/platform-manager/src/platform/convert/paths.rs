//! Where files of a run configuration are as seen from the configuration that is made of it: [`Folders`].

use std::path::{Component, Path, PathBuf};

/// Where files are, before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    /// The folder of the run configuration, absolute.
    pub run: PathBuf,
    /// The folder that the TOML is for, absolute.
    pub toml: PathBuf,
    /// Paths that begin with the first are files of the second.
    pub resources: Option<(String, PathBuf)>,
}

impl Folders {
    /// The same file as seen from the folder of the TOML.
    pub(super) fn file(&self, file: &Path) -> PathBuf {
        let written = file.to_string_lossy();
        let mapped = self.resources.as_ref().and_then(|(prefix, folder)| {
            let rest = written.strip_prefix(prefix.as_str())?.strip_prefix('/')?;
            Some(folder.join(rest))
        });
        let absolute = self.run.join(mapped.as_deref().unwrap_or(file));
        if mapped.is_none() && file.is_absolute() { absolute } else { relative(&absolute, &self.toml) }
    }
}

/// `path` as seen from `folder`; both absolute.
fn relative(path: &Path, folder: &Path) -> PathBuf {
    let (path, folder) = (plain(path), plain(folder));
    let shared = path.iter().zip(&folder).take_while(|(left, right)| left == right).count();
    let up = std::iter::repeat_n(Component::ParentDir, folder.len() - shared);
    let down = path[shared..].iter().map(|name| Component::Normal(name));
    up.chain(down).collect()
}

/// The names in an absolute path, `.` and `..` resolved by their spelling.
fn plain(path: &Path) -> Vec<std::ffi::OsString> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name.to_owned()),
            Component::ParentDir => {
                names.pop();
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_told_as_seen_from_the_folder_of_the_result() {
        let seen =
            |path: &str, folder: &str| relative(Path::new(path), Path::new(folder)).display().to_string();
        assert_eq!(seen("/a/b/c.csv", "/a/b"), "c.csv");
        assert_eq!(seen("/a/b/c.csv", "/a/d/e"), "../../b/c.csv");
        assert_eq!(seen("/a/./x/../b/c.csv", "/"), "a/b/c.csv");
    }
}
