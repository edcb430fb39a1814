//! One line of a journal: a CRC-32 in eight hexadecimal digits, a space, and a [`Record`] as JSON. A line that a crash
//! cut off is recognised by either.

use serde::{Deserialize, Serialize};

/// What a manager writes down. Instants are nanoseconds of `CLOCK_MONOTONIC` of the boot that `Began` or `Resumed`
/// names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Record {
    /// The run begins. The first line.
    Began {
        /// Layout of the journal.
        version: u32,
        simulation_id: String,
        epochs: u64,
        epoch_length_ns: u64,
        initial_start_time: String,
        components: Vec<String>,
        /// The manager's name: components obey no other.
        manager: String,
        boot: Boot,
    },
    /// Another process goes on with the run.
    Resumed { boot: Boot, utc: String },
    /// This Epoch message is about to be published. On the disk before it is.
    Epoch {
        number: u64,
        /// Its instant on the grid; none when unpaced.
        nominal_ns: Option<u64>,
        /// The same as a label of UTC, for another boot.
        nominal_utc: Option<String>,
        /// The message as it goes to the bus.
        body: String,
    },
    /// It was published.
    Started { number: u64, late_ns: Option<u64>, skipped: u64 },
    /// Its end came while these were missing.
    Overran { number: u64, missing: Vec<String> },
    /// One of them answered.
    Late { component: String, epoch: u64, by_ns: u64 },
    /// Everybody answered, or was left behind.
    Ended { number: u64, turnaround_ns: u64 },
    /// The run is over. Nothing follows.
    Finished { outcome: String, reason: String },
}

/// Which boot of which machine instants belong to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Boot(pub(crate) String);

impl Boot {
    /// The present one; of no boot at all where the kernel does not say.
    pub(crate) fn present() -> Self {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        Self(id.map(|id| id.trim().to_owned()).unwrap_or_default())
    }

    pub(crate) fn is_present(&self) -> bool {
        !self.0.is_empty() && *self == Self::present()
    }
}

impl Record {
    /// Adds the line to `out`.
    pub(crate) fn write(&self, out: &mut Vec<u8>) -> serde_json::Result<()> {
        let json = serde_json::to_vec(self)?;
        out.extend_from_slice(format!("{:08x} ", crc32fast::hash(&json)).as_bytes());
        out.extend_from_slice(&json);
        out.push(b'\n');
        Ok(())
    }

    /// The record in a line without its line feed.
    pub(crate) fn read(line: &[u8]) -> Option<Self> {
        let (crc, json) = line.split_at_checked(9)?;
        let crc = std::str::from_utf8(crc).ok()?.strip_suffix(' ')?;
        let sound = u32::from_str_radix(crc, 16).ok()? == crc32fast::hash(json);
        if sound { serde_json::from_slice(json).ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written_and_not_with_any_bit_changed() {
        let record = Record::Epoch {
            number: 7,
            nominal_ns: Some(u64::MAX),
            nominal_utc: Some("2026-01-01T00:00:00.000000Z".into()),
            body: "{\"a\":\"\u{e9}\\n\"}".into(),
        };
        let mut line = Vec::new();
        record.write(&mut line).unwrap();
        assert_eq!(line.pop(), Some(b'\n'));
        assert!(!line.contains(&b'\n'));
        assert_eq!(Record::read(&line), Some(record));
        for at in 0..line.len() {
            let mut changed = line.clone();
            changed[at] ^= 1;
            assert_eq!(Record::read(&changed), None, "bit of byte {at}");
            assert_eq!(Record::read(&line[..at]), None, "cut at {at}");
        }
    }
}
