//! The manager's memory on the disk: a [`Journal`] has each epoch before the bus has it, so that a manager that is
//! killed at any point can be followed by another that goes on with the same run ([`Past`]).
//!
//! In a paced run an epoch counts as written down once the disk confirms it; a thread of the journal's own waits for
//! that, not the manager's. In an unpaced run it is handed to the operating system: that survives the process, not a
//! power cut. A disk that refuses, or that cannot say whether it has what it was given, ends the run: nothing is tried
//! again and hoped for.

mod past;
mod record;

#[cfg(test)]
mod tests;

pub use past::Past;
pub(crate) use past::Resumption;
pub(crate) use record::Record;

use crate::settings::Settings;
use gridloop_clock::{Anchor, MonoTime};
use past::{label, nanos, out_of_order};
use record::Boot;
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use tokio::sync::oneshot;

/// Layout of the file.
const VERSION: u32 = 1;
/// Lines that may wait for the disk.
const QUEUE: usize = 1024;
/// A journal larger than this is none of ours: a run of a million epochs has some hundred megabytes.
const LARGEST: u64 = 4 << 30;

/// The journal could not do as told.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system.
    #[error("the journal {}: {operation}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was being done.
        operation: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// Another process goes on with this run.
    #[error("the journal {} is in use: another process is the manager of this run", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It does not begin as one.
    #[error("{} is no journal of a run, or one of another version of gridloop", path.display())]
    NoBeginning {
        /// The file.
        path: PathBuf,
    },
    /// A line in the middle is not what was written.
    #[error("the journal {} is damaged in line {line}; the run cannot be continued from it", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// It belongs to another run.
    #[error("the journal {} is of a run with another {what}", path.display())]
    AnotherRun {
        /// The file.
        path: PathBuf,
        /// What differs.
        what: &'static str,
    },
    /// The Epoch message in it cannot be understood.
    #[error("the journal {} has no sound message for epoch {number}", path.display())]
    NoEpoch {
        /// The file.
        path: PathBuf,
        /// The epoch.
        number: u64,
    },
    /// The journal's thread has ended.
    #[error("the journal {} is closed", path.display())]
    Closed {
        /// The file.
        path: PathBuf,
    },
}

/// Where a journal's bytes go. A disk in life; in tests one that fails when it is told to.
pub trait Disk: Send + Sync + 'static {
    /// Appends all of `bytes`.
    ///
    /// # Errors
    /// They may have been written in part.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Waits until everything appended is on the disk.
    ///
    /// # Errors
    /// It is not known what is.
    fn sync(&mut self) -> io::Result<()>;
}

impl Disk for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// The journal of one run.
pub struct Journal {
    path: PathBuf,
    hand: Hand,
    /// Lines that wait for the next one that must be written.
    waiting: Vec<u8>,
    boot: Boot,
    past: Option<Past>,
}

/// Who writes.
enum Hand {
    /// The manager itself: an unpaced run has time.
    Own(Writer),
    /// A thread, which waits for the disk.
    Thread(SyncSender<Order>),
}

struct Order {
    lines: Vec<u8>,
    /// To be told when they are on the disk.
    done: Option<oneshot::Sender<io::Result<()>>>,
}

impl Journal {
    /// Opens the journal of a run, or makes it if there is none. What a crash left half written at its end is cut off.
    ///
    /// # Errors
    /// The file cannot be used, is damaged, is another's, or belongs to a run with other settings.
    pub fn open(path: &Path, settings: &Settings) -> Result<Self, JournalError> {
        Self::open_with(path, settings, settings.period().is_none())
    }

    /// As [`Journal::open`], and the manager itself waits for the disk: for simulated time, which must not go on
    /// meanwhile.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open_in_place(path: &Path, settings: &Settings) -> Result<Self, JournalError> {
        Self::open_with(path, settings, true)
    }

    fn open_with(path: &Path, settings: &Settings, in_place: bool) -> Result<Self, JournalError> {
        let failed = failure(path);
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .map_err(|error| failed("open it", error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(JournalError::InUse { path: path.to_owned() }),
            Err(error) => return Err(failed("lock it", error.into())),
        }
        let past = read(path, &mut file)?;
        if past.records.is_empty() {
            // The name of a new file must survive a power cut as well.
            let folder =
                path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(|error| failed("keep its name", error))?;
            return Self::on(path, Box::new(file), in_place, None);
        }
        past.check(path, settings)?;
        Self::on(path, Box::new(file), in_place, Some(past))
    }

    /// A journal on any disk, for tests of what happens when the disk fails.
    ///
    /// # Errors
    /// When the operating system refuses the thread.
    pub fn on_disk(disk: Box<dyn Disk>, settings: &Settings) -> Result<Self, JournalError> {
        Self::on(Path::new("a disk of the test's"), disk, settings.period().is_none(), None)
    }

    fn on(
        path: &Path,
        disk: Box<dyn Disk>,
        in_place: bool,
        past: Option<Past>,
    ) -> Result<Self, JournalError> {
        let hand = match in_place {
            true => Hand::Own(Writer { disk, failed: None }),
            false => {
                let (sender, orders) = sync_channel(QUEUE);
                let disk = Writer { disk, failed: None };
                thread::Builder::new()
                    .name("journal".into())
                    .spawn(move || write(disk, &orders))
                    .map_err(|error| failure(path)("start its thread", error))?;
                Hand::Thread(sender)
            }
        };
        Ok(Self { path: path.to_owned(), hand, waiting: Vec::new(), boot: Boot::present(), past })
    }

    /// What the journal had in it when it was opened.
    #[must_use]
    pub fn past(&self) -> Option<&Past> {
        self.past.as_ref()
    }

    /// Where to go on with a run that broke off.
    pub(crate) fn resumption(&self, anchor: Anchor) -> Result<Option<Resumption>, JournalError> {
        self.past.as_ref().map(|past| past.resumption(&self.path, anchor)).transpose()
    }

    /// The run begins, or goes on.
    pub(crate) async fn begin(&mut self, settings: &Settings, anchor: Anchor) -> Result<(), JournalError> {
        let boot = self.boot.clone();
        let record = match self.past {
            None => Record::Began {
                version: VERSION,
                simulation_id: settings.simulation_id.to_string(),
                epochs: settings.epochs,
                epoch_length_ns: nanos(settings.epoch_length),
                initial_start_time: settings.initial_start_time.to_string(),
                components: settings.components.clone(),
                manager: settings.name.clone(),
                boot,
            },
            Some(_) => Record::Resumed { boot, utc: label(anchor, anchor.at) },
        };
        self.must(&record).await
    }

    /// Completes when the epoch may be published.
    pub(crate) async fn epoch(
        &mut self,
        number: u64,
        nominal: Option<MonoTime>,
        anchor: Anchor,
        body: &[u8],
    ) -> Result<(), JournalError> {
        let record = Record::Epoch {
            number,
            nominal_ns: nominal.map(MonoTime::as_nanos),
            nominal_utc: nominal.map(|nominal| label(anchor, nominal)),
            body: String::from_utf8_lossy(body).into_owned(),
        };
        self.must(&record).await
    }

    /// The run is over.
    pub(crate) async fn finish(&mut self, outcome: &str, reason: &str) -> Result<(), JournalError> {
        self.must(&Record::Finished { outcome: outcome.to_owned(), reason: reason.to_owned() }).await
    }

    /// Writes something down that nobody waits for. A journal that cannot is heard of with the next epoch.
    pub(crate) fn note(&mut self, record: &Record) {
        if record.write(&mut self.waiting).is_err() {
            return;
        }
        let lines = std::mem::take(&mut self.waiting);
        match &mut self.hand {
            Hand::Own(writer) => writer.write(&lines, false).unwrap_or_default(),
            Hand::Thread(thread) => {
                let full = thread.try_send(Order { lines, done: None });
                if let Err(TrySendError::Full(order) | TrySendError::Disconnected(order)) = full {
                    self.waiting = order.lines;
                }
            }
        }
    }

    /// Writes something down that must be there before anything else happens.
    async fn must(&mut self, record: &Record) -> Result<(), JournalError> {
        let failed = failure(&self.path);
        let mut lines = std::mem::take(&mut self.waiting);
        record.write(&mut lines).map_err(|error| failed("write", error.into()))?;
        match &mut self.hand {
            Hand::Own(writer) => writer.write(&lines, false).map_err(|error| failed("write", error)),
            Hand::Thread(thread) => {
                let closed = || JournalError::Closed { path: self.path.clone() };
                let (done, told) = oneshot::channel();
                match thread.try_send(Order { lines, done: Some(done) }) {
                    Ok(()) => {}
                    Err(TrySendError::Disconnected(_)) => return Err(closed()),
                    Err(TrySendError::Full(_)) => {
                        let busy = io::Error::from(io::ErrorKind::ResourceBusy);
                        return Err(failed("the disk has not kept up for a thousand lines", busy));
                    }
                }
                told.await.map_err(|_| closed())?.map_err(|error| failed("write", error))
            }
        }
    }
}

/// Writes until the journal is dropped.
fn write(mut writer: Writer, orders: &Receiver<Order>) {
    while let Ok(Order { lines, done }) = orders.recv() {
        let written = writer.write(&lines, done.is_some());
        if let Some(done) = done {
            // Whoever gave up waiting has ended the run.
            drop(done.send(written));
        }
    }
}

/// A disk that is not written to any more once it has failed: what is on it then is not known.
struct Writer {
    disk: Box<dyn Disk>,
    failed: Option<(io::ErrorKind, String)>,
}

impl Writer {
    fn write(&mut self, lines: &[u8], sync: bool) -> io::Result<()> {
        if let Some((kind, said)) = &self.failed {
            return Err(io::Error::new(*kind, said.clone()));
        }
        let mut written = self.disk.append(lines);
        if written.is_ok() && sync {
            written = self.disk.sync();
        }
        if let Err(error) = &written {
            self.failed = Some((error.kind(), error.to_string()));
        }
        written
    }
}

fn failure(path: &Path) -> impl Fn(&'static str, io::Error) -> JournalError + use<> {
    let path = path.to_owned();
    move |operation, source| JournalError::File { path: path.clone(), operation, source }
}

/// Whether a first line may have been cut off here. Nobody else's file is to be cut.
fn is_torn_beginning(bytes: &[u8]) -> bool {
    let expected = b"........ {\"began\":";
    let fits =
        |(byte, expected): (&u8, &u8)| byte == expected || (*expected == b'.' && byte.is_ascii_hexdigit());
    !bytes.contains(&b'\n') && bytes.iter().zip(expected).all(fits)
}

/// Every whole line of the file; what follows the last of them is cut off.
fn read(path: &Path, file: &mut File) -> Result<Past, JournalError> {
    let failed = failure(path);
    let length = file.metadata().map_err(|error| failed("look at it", error))?.len();
    if length > LARGEST {
        return Err(JournalError::NoBeginning { path: path.to_owned() });
    }
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).map_err(|error| failed("read it", error))?;
    file.read_to_end(&mut bytes).map_err(|error| failed("read it", error))?;
    let (mut records, mut sound) = (Vec::new(), 0);
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    for (index, line) in lines.iter().enumerate() {
        let record = line.strip_suffix(b"\n").and_then(Record::read);
        match record {
            Some(record) => records.push(record),
            // The line feed is written last.
            None if !line.ends_with(b"\n") => break,
            None if index == 0 => return Err(JournalError::NoBeginning { path: path.to_owned() }),
            None => return Err(JournalError::Damaged { path: path.to_owned(), line: index + 1 }),
        }
        sound += line.len();
    }
    let begins = match records.first() {
        Some(Record::Began { version, .. }) => *version == VERSION,
        Some(_) => false,
        // Nothing, or a torn beginning: the run had not begun.
        None => is_torn_beginning(&bytes),
    };
    if !begins {
        return Err(JournalError::NoBeginning { path: path.to_owned() });
    }
    if let Some(line) = out_of_order(&records) {
        return Err(JournalError::Damaged { path: path.to_owned(), line });
    }
    let torn_bytes = u64::try_from(bytes.len() - sound).unwrap_or(0);
    if torn_bytes > 0 {
        file.set_len(u64::try_from(sound).unwrap_or(0)).map_err(|error| failed("cut its end off", error))?;
        file.sync_data().map_err(|error| failed("cut its end off", error))?;
    }
    Ok(Past { records, torn_bytes })
}
