//! Records that wait for their store, in a file: [`Spool`].
//!
//! The file is a header and one record after the other: length and CRC-32 of what follows, time of hearing, topic and
//! body. A record counts once it is on the disk. What a crash left half written at the end is cut off when the file is
//! opened and set aside: its message was not acknowledged and comes again. A file is emptied when all of it has been
//! stored.

use crate::record::Record;
use bytes::Bytes;
use gridloop_clock::Utc;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The first bytes of a spool.
const HEADER: &[u8; 16] = b"gridloop spool 1";
/// Length and CRC before each record.
const FRAME: usize = 8;
/// Time and length of the topic, within a record.
const FIXED: usize = 10;

/// Records that wait, oldest first.
#[derive(Debug)]
pub(crate) struct Spool {
    path: PathBuf,
    file: File,
    /// Where the oldest record that waits begins.
    read_at: u64,
    /// Where the next one goes.
    write_at: u64,
    waiting: u64,
    bytes_max: u64,
}

/// The spool could not be used.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The file system.
    #[error("the spool {}: {operation}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was being done.
        operation: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file has something else in it.
    #[error("{} is no spool of the Log Writer; move it away or name another folder", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
}

/// The oldest records of a spool, and where the next ones begin.
pub(crate) struct Oldest {
    pub(crate) records: Vec<Record>,
    end: u64,
}

impl Spool {
    /// Opens or makes the file. `bytes_max` bounds it.
    pub(crate) fn open(path: &Path, bytes_max: u64) -> Result<Self, SpoolError> {
        let failed = |operation| failure(path, operation);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed("make its folder"))?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed("open it"))?;
        let length = file.metadata().map_err(failed("look at it"))?.len();
        let mut header = Vec::new();
        (&file).take(HEADER.len() as u64).read_to_end(&mut header).map_err(failed("read it"))?;
        if !HEADER.starts_with(&header) {
            return Err(SpoolError::Foreign { path: path.to_owned() });
        }
        if header.len() < HEADER.len() {
            file.seek(SeekFrom::Start(0)).map_err(failed("write its beginning"))?;
            file.write_all(HEADER).map_err(failed("write its beginning"))?;
        }
        let start = HEADER.len() as u64;
        let mut spool =
            Self { path: path.to_owned(), file, read_at: start, write_at: start, waiting: 0, bytes_max };
        spool.count()?;
        if spool.write_at < length {
            spool.set_aside()?;
        }
        spool.cut()?;
        Ok(spool)
    }

    /// Copies what is behind the last whole record into a file of its own: usually half a record that was never
    /// acknowledged, but nothing is thrown away unseen.
    fn set_aside(&self) -> Result<(), SpoolError> {
        let failed = |operation| failure(&self.path, operation);
        let aside = self.path.with_extension("damaged");
        let mut copy = OpenOptions::new().create(true).append(true).open(&aside);
        let mut rest = self.reader_at(self.write_at)?;
        let bytes = copy
            .as_mut()
            .map_err(|error| io::Error::new(error.kind(), error.to_string()))
            .and_then(|copy| io::copy(&mut rest, copy))
            .map_err(failed("set its damaged end aside"))?;
        let (path, aside) = (self.path.display(), aside.display());
        tracing::warn!(%path, %aside, bytes, "the end of the spool is not whole and is set aside");
        Ok(())
    }

    /// Finds the end of the last whole record.
    fn count(&mut self) -> Result<(), SpoolError> {
        let mut reader = self.reader_at(self.read_at)?;
        while let Some((_, bytes)) = next(&mut reader).map_err(failure(&self.path, "read it"))? {
            self.waiting += 1;
            self.write_at += bytes;
        }
        Ok(())
    }

    fn reader_at(&self, at: u64) -> Result<BufReader<File>, SpoolError> {
        let failed = |operation| failure(&self.path, operation);
        let mut file = File::open(&self.path).map_err(failed("open it"))?;
        file.seek(SeekFrom::Start(at)).map_err(failed("read it"))?;
        Ok(BufReader::with_capacity(1 << 16, file))
    }

    /// Cuts off what is behind the last record, and sees that the disk has what is left.
    fn cut(&mut self) -> Result<(), SpoolError> {
        let failed = |operation| failure(&self.path, operation);
        self.file.set_len(self.write_at).map_err(failed("cut it"))?;
        self.file.seek(SeekFrom::Start(self.write_at)).map_err(failed("cut it"))?;
        self.file.sync_all().map_err(failed("write it to the disk"))
    }

    /// Records that wait.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting
    }

    /// Its size in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.write_at
    }

    /// How full it is, in percent.
    pub(crate) fn fill_percent(&self) -> u64 {
        (self.write_at.saturating_mul(100) / self.bytes_max.max(1)).min(100)
    }

    /// Whether it takes no more until it has been emptied.
    pub(crate) fn is_full(&self) -> bool {
        self.write_at >= self.bytes_max
    }

    /// Appends records. When this returns, they are on the disk; on an error none of them counts.
    pub(crate) fn append(&mut self, records: &[Record]) -> Result<(), SpoolError> {
        let mut bytes = Vec::new();
        for record in records {
            write_record(&mut bytes, record);
        }
        let written = self.file.write_all(&bytes).map_err(failure(&self.path, "write to it"));
        let written =
            written.and_then(|()| self.file.sync_data().map_err(failure(&self.path, "write it to the disk")));
        if let Err(error) = written {
            // What may be there in part must not stand before later records. If even that fails, opening it finds out.
            let _ = self.cut();
            return Err(error);
        }
        self.write_at += bytes.len() as u64;
        self.waiting += records.len() as u64;
        Ok(())
    }

    /// The oldest records: as many, and up to as many bytes, but at least one if there is one.
    pub(crate) fn oldest(&self, records_max: usize, bytes_max: usize) -> Result<Oldest, SpoolError> {
        let mut reader = self.reader_at(self.read_at)?;
        let mut oldest = Oldest { records: Vec::new(), end: self.read_at };
        let mut bytes = 0;
        while oldest.end < self.write_at && oldest.records.len() < records_max && bytes < bytes_max {
            let Some((record, length)) = next(&mut reader).map_err(failure(&self.path, "read it"))? else {
                let source =
                    io::Error::new(io::ErrorKind::InvalidData, "a record in the middle of it is damaged");
                return Err(failure(&self.path, "read it")(source));
            };
            bytes += record.body.len();
            oldest.records.push(record);
            oldest.end += length;
        }
        Ok(oldest)
    }

    /// Everything that waits, in order, without taking it away.
    pub(crate) fn each(&self, mut look: impl FnMut(&Record)) -> Result<(), SpoolError> {
        let mut reader = self.reader_at(self.read_at)?;
        while let Some((record, _)) = next(&mut reader).map_err(failure(&self.path, "read it"))? {
            look(&record);
        }
        Ok(())
    }

    /// Takes the oldest records away: they are stored.
    pub(crate) fn stored(&mut self, oldest: &Oldest) -> Result<(), SpoolError> {
        self.read_at = oldest.end;
        self.waiting = self.waiting.saturating_sub(oldest.records.len() as u64);
        if self.read_at < self.write_at {
            return Ok(());
        }
        self.read_at = HEADER.len() as u64;
        self.write_at = self.read_at;
        self.waiting = 0;
        self.cut()
    }
}

fn failure(path: &Path, operation: &'static str) -> impl FnOnce(io::Error) -> SpoolError + use<> {
    let path = path.to_owned();
    move |source| SpoolError::File { path, operation, source }
}

fn write_record(bytes: &mut Vec<u8>, record: &Record) {
    let begin = bytes.len();
    bytes.extend([0; FRAME]);
    bytes.extend(record.heard_at.timestamp_millis().to_le_bytes());
    // A routing key has 255 bytes at most, by AMQP.
    let topic = record.topic.as_bytes();
    let topic_length = u16::try_from(topic.len()).unwrap_or(u16::MAX);
    bytes.extend(topic_length.to_le_bytes());
    bytes.extend(&topic[..usize::from(topic_length)]);
    bytes.extend(&record.body[..]);
    let (content, crc) = {
        let content = &bytes[begin + FRAME..];
        (u32::try_from(content.len()).unwrap_or(u32::MAX), crc32fast::hash(content))
    };
    bytes[begin..begin + 4].copy_from_slice(&content.to_le_bytes());
    bytes[begin + 4..begin + FRAME].copy_from_slice(&crc.to_le_bytes());
}

/// The next record and its length in the file; `None` where no whole one follows.
fn next(reader: &mut impl Read) -> io::Result<Option<(Record, u64)>> {
    let mut frame = [0; FRAME];
    if !fill(reader, &mut frame)? {
        return Ok(None);
    }
    let [l0, l1, l2, l3, c0, c1, c2, c3] = frame;
    let (length, crc) = (u32::from_le_bytes([l0, l1, l2, l3]), u32::from_le_bytes([c0, c1, c2, c3]));
    let mut content = Vec::new();
    reader.take(u64::from(length)).read_to_end(&mut content)?;
    if content.len() as u64 != u64::from(length) || crc32fast::hash(&content) != crc {
        return Ok(None);
    }
    Ok(parse(content).map(|record| (record, FRAME as u64 + u64::from(length))))
}

fn parse(content: Vec<u8>) -> Option<Record> {
    let (time, rest) = content.split_at_checked(FIXED - 2)?;
    let (topic_length, rest) = rest.split_at_checked(2)?;
    let topic_length = usize::from(u16::from_le_bytes(topic_length.try_into().ok()?));
    let (topic, _) = rest.split_at_checked(topic_length)?;
    let topic = std::str::from_utf8(topic).ok()?.into();
    let heard_at = Utc::from_timestamp_millis(i64::from_le_bytes(time.try_into().ok()?))?;
    let body = Bytes::from(content).slice(FIXED + topic_length..);
    Some(Record { topic, body, heard_at })
}

/// Reads as many bytes as there is room; `false` when the file ends before.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(number: u64) -> Record {
        let length = usize::try_from(number % 7 * 100).unwrap();
        let heard_at = Utc::from_timestamp_millis(1_700_000_000_000).unwrap();
        Record { topic: format!("Töpic.{number}").into(), body: vec![0xff; length].into(), heard_at }
    }

    fn all(spool: &Spool) -> Vec<Record> {
        let mut all = Vec::new();
        spool.each(|record| all.push(record.clone())).unwrap();
        all
    }

    fn records(range: std::ops::Range<u64>) -> Vec<Record> {
        range.map(record).collect()
    }

    #[test]
    fn what_was_appended_comes_back_in_order_after_a_restart_until_it_is_stored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/run.spool");
        let mut spool = Spool::open(&path, 1 << 20).unwrap();
        spool.append(&records(0..5)).unwrap();
        spool.append(&records(5..9)).unwrap();
        let oldest = spool.oldest(3, usize::MAX).unwrap();
        assert_eq!(oldest.records, records(0..3));
        spool.stored(&oldest).unwrap();
        assert_eq!((spool.waiting(), all(&spool)), (6, records(3..9)));
        drop(spool);
        let mut spool = Spool::open(&path, 1 << 20).unwrap();
        assert_eq!((spool.waiting(), all(&spool)), (9, records(0..9)));
        let oldest = spool.oldest(usize::MAX, usize::MAX).unwrap();
        spool.stored(&oldest).unwrap();
        assert_eq!(spool.waiting(), 0);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), HEADER.len() as u64);
    }

    #[test]
    fn it_says_when_it_is_full_and_hands_out_bounded_portions() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(&folder.path().join("run.spool"), 1000).unwrap();
        assert!(!spool.is_full());
        spool.append(&records(0..7)).unwrap();
        assert!(spool.is_full());
        assert_eq!(spool.fill_percent(), 100);
        assert_eq!(spool.oldest(usize::MAX, 1).unwrap().records, records(0..2), "the first one is empty");
    }

    #[test]
    fn a_foreign_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.spool");
        std::fs::write(&path, "someone's diary").unwrap();
        let error = Spool::open(&path, 1000).unwrap_err();
        assert!(matches!(error, SpoolError::Foreign { .. }), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"someone's diary");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_torn_or_damaged_end_is_cut_and_everything_before_it_is_kept(
            keep in 0.0..1.0_f64, flip in proptest::option::of(any::<u8>())
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("run.spool");
            let mut spool = Spool::open(&path, 1 << 20).unwrap();
            let mut ends = vec![spool.bytes()];
            for number in 0..8 {
                spool.append(&[record(number)]).unwrap();
                ends.push(spool.bytes());
            }
            drop(spool);
            let mut bytes = std::fs::read(&path).unwrap();
            let length = bytes.len() as f64;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a small length")]
            let cut = (length * keep) as usize;
            bytes.truncate(cut);
            let mut sound = cut as u64;
            if let (Some(bit), true) = (flip, cut > HEADER.len()) {
                let at = bytes.len() - 1;
                bytes[at] ^= 1 << (bit % 8);
                sound = sound.saturating_sub(1);
            }
            std::fs::write(&path, &bytes).unwrap();
            let mut spool = Spool::open(&path, 1 << 20).unwrap();
            let whole = ends.iter().skip(1).filter(|&&end| end <= sound).count() as u64;
            prop_assert_eq!(all(&spool), records(0..whole));
            spool.append(&[record(99)]).unwrap();
            drop(spool);
            let spool = Spool::open(&path, 1 << 20).unwrap();
            let mut expected = records(0..whole);
            expected.push(record(99));
            prop_assert_eq!(all(&spool), expected);
        }
    }
}
