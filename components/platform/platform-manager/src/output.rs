//! Files that a command writes because its user named them.

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use std::fs::{File, OpenOptions, metadata};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Whether something is there that is no file of bytes: a pipe, a terminal, a device. It is written to, not replaced.
#[must_use]
pub fn is_special(path: &Path) -> bool {
    metadata(path).is_ok_and(|metadata| !metadata.is_file())
}

/// Opens what [`is_special`] found. A pipe that nobody reads is refused; waiting for a reader could take for ever.
///
/// # Errors
/// What the operating system says.
pub fn open_special(path: &Path) -> io::Result<File> {
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    let opened = OpenOptions::new().write(true).custom_flags(nonblocking).open(path);
    let file = opened.map_err(|error| match rustix::io::Errno::from_io_error(&error) {
        Some(rustix::io::Errno::NXIO) => io::Error::new(ErrorKind::BrokenPipe, "nobody reads from it"),
        _ => error,
    })?;
    fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
    Ok(file)
}

/// Where a file of this name really lies, behind links.
#[must_use]
pub fn behind_links(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Replaces a file by another one, whole or not at all.
///
/// # Errors
/// What the operating system says.
pub(crate) fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    if is_special(path) {
        return open_special(path)?.write_all(text.as_bytes());
    }
    let path = behind_links(path);
    let mut unfinished = path.clone().into_os_string();
    unfinished.push(".unfinished");
    std::fs::write(&unfinished, text)?;
    std::fs::rename(&unfinished, &path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_stays_one_and_its_target_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        std::fs::write(&target, "old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        write_whole(&link, "new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing else is left");
    }

    #[test]
    fn a_pipe_is_written_to_and_never_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let mode = rustix::fs::Mode::RWXU;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let alone = write_whole(&pipe, "text").unwrap_err();
        assert!(alone.to_string().contains("nobody reads"), "{alone}");
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::read_to_string(pipe).unwrap()
        });
        while let Err(error) = write_whole(&pipe, "text") {
            assert_eq!(error.kind(), ErrorKind::BrokenPipe, "until the reader is there");
            std::thread::yield_now();
        }
        assert_eq!(reader.join().unwrap(), "text");
        assert!(is_special(&pipe), "it is still a pipe");
    }
}
