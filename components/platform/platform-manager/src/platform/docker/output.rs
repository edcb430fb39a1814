//! What a container writes, kept in a file: [`Output`].

use anyhow::{Context, anyhow};
use bollard::container::AttachContainerResults;
use futures_util::StreamExt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use tokio::task::JoinHandle;

/// How much of the end of a file is looked at for its last lines.
const TAIL_BYTES: u64 = 64 * 1024;

/// Copies the standard output and error of a container into one file until the container ends, or until this is
/// dropped.
pub(super) struct Output {
    path: PathBuf,
    copying: JoinHandle<anyhow::Result<()>>,
    finished: bool,
}

impl Output {
    /// Makes the file and begins to copy.
    pub(super) fn follow(attached: AttachContainerResults, path: PathBuf) -> anyhow::Result<Self> {
        let file = File::create(&path).with_context(|| format!("cannot write the log {}", path.display()))?;
        let copying = tokio::spawn(copy(attached, file, path.clone()));
        Ok(Self { path, copying, finished: false })
    }

    /// Completes when the container has ended and all that it wrote is in the file.
    pub(super) async fn finished(&mut self) -> anyhow::Result<()> {
        if self.finished {
            return Ok(());
        }
        let result = (&mut self.copying).await;
        self.finished = true;
        result.unwrap_or_else(|_| Err(anyhow!("the log {} broke off", self.path.display())))
    }

    /// The last lines that are in the file.
    pub(super) fn last_lines(&self, count: usize) -> Vec<String> {
        tail(&self.path, count).unwrap_or_default()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.copying.abort();
    }
}

/// The container would stand still if nobody took what it writes, so copying goes on when the file cannot be written.
async fn copy(mut attached: AttachContainerResults, mut file: File, path: PathBuf) -> anyhow::Result<()> {
    let mut result = Ok(());
    while let Some(written) = attached.output.next().await {
        let written = written.with_context(|| format!("the output for {} broke off", path.display()))?;
        if result.is_ok() {
            let outcome = file.write_all(written.as_ref());
            result = outcome.with_context(|| format!("cannot write the log {}", path.display()));
        }
    }
    result
}

fn tail(path: &Path, count: usize) -> std::io::Result<Vec<String>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let begin = length.saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(begin))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    // Where the look began within a line, that line is no whole one.
    let lines: Vec<&str> = text.lines().skip(usize::from(begin > 0)).collect();
    Ok(lines[lines.len().saturating_sub(count)..].iter().map(|&line| line.to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_whole_and_in_order() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.log");
        let text: String = (0..20_000).map(|number| format!("line {number}\n")).collect();
        std::fs::write(&path, text).expect("a file");
        assert_eq!(tail(&path, 2).expect("lines"), ["line 19998", "line 19999"]);
        let many = tail(&path, usize::MAX).expect("lines");
        assert!(
            many.len() < 20_000 && many.iter().all(|line| line.starts_with("line ")),
            "{:?}",
            many.first()
        );
    }

    #[test]
    fn an_empty_log_has_no_last_lines() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.log");
        std::fs::write(&path, "").expect("a file");
        assert!(tail(&path, 5).expect("lines").is_empty());
    }
}
