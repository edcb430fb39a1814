//! Journals: what they keep, what a crash may do to them, and disks that fail.

use super::*;
use crate::settings::Speed;
use crate::settings::tests::{settings, timestamp};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn anchor() -> Anchor {
    Anchor { at: MonoTime::from_nanos(1_000), utc: timestamp("2026-01-01T00:00:00.000Z").as_datetime() }
}

fn body(number: u64) -> Vec<u8> {
    let text = format!(
        r#"{{"Type":"Epoch","SimulationId":"2024-03-01T08:00:00.000Z","Timestamp":"2024-03-01T08:00:00.000Z",
        "SourceProcessId":"Clock","MessageId":"Clock-{number}","EpochNumber":{number},"TriggeringMessageIds":["A-1"],
        "StartTime":"2023-02-01T00:00:00.000Z","EndTime":"2023-02-01T01:00:00.000Z"}}"#
    );
    text.into_bytes()
}

fn paced() -> Settings {
    Settings { speed: Speed::Times(3600.0), ..settings() }
}

/// A journal of which two epochs are over and a third has begun.
async fn write_three(path: &Path, settings: &Settings) {
    let mut journal = Journal::open(path, settings).unwrap();
    assert!(journal.past().is_none());
    journal.begin(settings, anchor()).await.unwrap();
    for number in 1..=3 {
        let nominal = MonoTime::from_nanos(number * 1_000_000_000);
        journal.epoch(number, Some(nominal), anchor(), &body(number)).await.unwrap();
        journal.note(&Record::Started { number, late_ns: Some(5), skipped: 0 });
        if number < 3 {
            journal.note(&Record::Ended { number, turnaround_ns: 7 });
        }
    }
}

fn resumption(path: &Path, settings: &Settings) -> Resumption {
    Journal::open(path, settings).unwrap().resumption(anchor()).unwrap().unwrap()
}

#[tokio::test]
async fn what_was_written_is_where_to_go_on() {
    let folder = tempfile::tempdir().unwrap();
    for (name, settings) in [("paced", paced()), ("unpaced", settings())] {
        let path = folder.path().join(name);
        write_three(&path, &settings).await;
        // The paced journal's thread may still be at it.
        let opened = loop {
            match Journal::open(&path, &settings) {
                Err(JournalError::InUse { .. }) => tokio::task::yield_now().await,
                other => break other.unwrap(),
            }
        };
        let found = opened.resumption(anchor()).unwrap().unwrap();
        assert_eq!((found.completed, found.process), (2, 1));
        assert_eq!(found.pending.and_then(|message| message.epoch_number()), Some(3));
        assert_eq!(found.last_nominal, Some(MonoTime::from_nanos(3_000_000_000)));
    }
}

#[tokio::test]
async fn a_file_cut_at_any_byte_is_continued_from_its_last_whole_line_and_never_from_half_of_one() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    write_three(&whole, &settings()).await;
    let bytes = std::fs::read(&whole).unwrap();
    let path = folder.path().join("cut");
    for length in 0..=bytes.len() {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let journal = Journal::open(&path, &settings()).unwrap();
        let lines = bytes[..length].iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(journal.past().map_or(0, |past| past.records.len()), lines, "cut at {length}");
        drop(journal);
        let kept = std::fs::read(&path).unwrap();
        assert!(bytes.starts_with(&kept) && (kept.is_empty() || kept.ends_with(b"\n")));
    }
}

#[tokio::test]
async fn a_line_that_is_damaged_in_the_middle_is_told_and_nothing_is_guessed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    write_three(&path, &settings()).await;
    let sound = std::fs::read(&path).unwrap();
    let second = sound.iter().position(|byte| *byte == b'\n').unwrap() + 20;
    let mut damaged = sound.clone();
    damaged[second] ^= 4;
    std::fs::write(&path, &damaged).unwrap();
    assert!(matches!(Journal::open(&path, &settings()), Err(JournalError::Damaged { line: 2, .. })));
    assert_eq!(std::fs::read(&path).unwrap(), damaged, "and nothing is cut");
    // A whole last line that is damaged was no crash: what it said may have been published.
    let mut damaged = sound.clone();
    let last = sound.len() - 3;
    damaged[last] ^= 4;
    std::fs::write(&path, &damaged).unwrap();
    assert!(matches!(Journal::open(&path, &settings()), Err(JournalError::Damaged { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), damaged);
}

#[tokio::test]
async fn a_line_that_is_missing_or_stands_elsewhere_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    write_three(&path, &settings()).await;
    let sound = std::fs::read(&path).unwrap();
    let lines: Vec<&[u8]> = sound.split_inclusive(|byte| *byte == b'\n').collect();
    let damaged = |lines: &[&[u8]]| {
        std::fs::write(&path, lines.concat()).unwrap();
        matches!(Journal::open(&path, &settings()), Err(JournalError::Damaged { .. }))
    };
    assert!(!damaged(&lines));
    for gone in 1..lines.len() - 1 {
        let mut fewer = lines.clone();
        fewer.remove(gone);
        assert!(damaged(&fewer), "without line {}", gone + 1);
    }
    for second in 2..lines.len() {
        let mut swapped = lines.clone();
        swapped.swap(second - 1, second);
        assert!(damaged(&swapped), "with lines {second} and {} swapped", second + 1);
    }
}

#[test]
fn a_file_that_is_something_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("diary");
    for text in ["dear diary", "dear diary\n", "0123abcd {\"other\":1}", "\0\0\0"] {
        std::fs::write(&path, text).unwrap();
        let refused = Journal::open(&path, &settings());
        assert!(matches!(refused, Err(JournalError::NoBeginning { .. })), "{text}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}

#[tokio::test]
async fn a_journal_of_another_run_is_refused_with_what_differs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    write_three(&path, &settings()).await;
    let refusal = |settings: Settings| Journal::open(&path, &settings).err().unwrap().to_string();
    let others = [
        (Settings { epochs: 3, ..settings() }, "number of epochs"),
        (Settings { epoch_length: Duration::from_secs(1), ..settings() }, "length of an epoch"),
        (Settings { components: vec!["A".into()], ..settings() }, "list of components"),
        (Settings { name: "boss".into(), ..settings() }, "name of its manager"),
        (
            Settings { initial_start_time: timestamp("2020-01-01T00:00:00.000Z"), ..settings() },
            "simulated time of the start",
        ),
        (
            Settings {
                simulation_id: gridloop_messages::SimulationId::new(timestamp("2020-01-01T00:00:00.000Z")),
                ..settings()
            },
            "simulation id",
        ),
    ];
    for (other, what) in others {
        assert!(refusal(other).ends_with(what), "{what}");
    }
}

#[tokio::test]
async fn two_managers_cannot_have_one_journal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let first = Journal::open(&path, &settings()).unwrap();
    assert!(matches!(Journal::open(&path, &settings()), Err(JournalError::InUse { .. })));
    drop(first);
    assert!(Journal::open(&path, &settings()).is_ok());
}

#[tokio::test]
async fn each_process_is_counted_and_a_finished_run_is_known_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    write_three(&path, &settings()).await;
    for process in 1..4 {
        assert_eq!(resumption(&path, &settings()).process, process);
        let mut journal = Journal::open(&path, &settings()).unwrap();
        assert!(!journal.past().unwrap().is_finished());
        journal.begin(&settings(), anchor()).await.unwrap();
    }
    let mut journal = Journal::open(&path, &settings()).unwrap();
    journal.finish("completed", "all epochs were run").await.unwrap();
    drop(journal);
    assert!(Journal::open(&path, &settings()).unwrap().past().unwrap().is_finished());
}

#[tokio::test]
async fn after_another_boot_the_grid_is_found_by_utc() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    write_three(&path, &settings()).await;
    let text = std::fs::read_to_string(&path).unwrap();
    let lines = text.lines().map(|line| Record::read(line.as_bytes()).unwrap());
    let mut rewritten = Vec::new();
    for record in lines {
        let record = match record {
            Record::Began {
                version,
                simulation_id,
                epochs,
                epoch_length_ns,
                initial_start_time,
                components,
                manager,
                ..
            } => {
                let boot = Boot("another".into());
                Record::Began {
                    version,
                    simulation_id,
                    epochs,
                    epoch_length_ns,
                    initial_start_time,
                    components,
                    manager,
                    boot,
                }
            }
            other => other,
        };
        record.write(&mut rewritten).unwrap();
    }
    std::fs::write(&path, rewritten).unwrap();
    // The new boot's clock began an hour later.
    let later = Anchor {
        utc: anchor().utc + chrono::TimeDelta::hours(1),
        at: MonoTime::from_nanos(5_000_000_000_000),
    };
    let found = Journal::open(&path, &settings()).unwrap().resumption(later).unwrap().unwrap();
    let since_anchor = 3_000_000_000 - 1_000;
    let expected = 5_000_000_000_000 - 3_600_000_000_000 + since_anchor;
    let off = found.last_nominal.unwrap().as_nanos().abs_diff(expected);
    assert!(off < 1_000, "labels are microseconds: {off} ns off");
}

/// A disk that fails from its nth call on, in one of its ways.
struct Failing {
    calls: u32,
    fails_at: u32,
    on_sync: bool,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Failing {
    fn call(&mut self, sync: bool) -> io::Result<()> {
        if sync == self.on_sync {
            self.calls += 1;
        }
        let fails = sync == self.on_sync && self.calls >= self.fails_at;
        if fails { Err(io::Error::from(io::ErrorKind::StorageFull)) } else { Ok(()) }
    }
}

impl Disk for Failing {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let result = self.call(false);
        // A disk that is full takes a part.
        let taken = if result.is_ok() { bytes.len() } else { bytes.len() / 2 };
        self.written.lock().unwrap().extend_from_slice(&bytes[..taken]);
        result
    }

    fn sync(&mut self) -> io::Result<()> {
        self.call(true)
    }
}

#[tokio::test]
async fn a_disk_that_has_failed_once_is_never_believed_again() {
    for on_sync in [false, true] {
        for fails_at in 1..5 {
            let written = Arc::new(Mutex::new(Vec::new()));
            let disk = Failing { calls: 0, fails_at, on_sync, written: Arc::clone(&written) };
            let mut journal = Journal::on_disk(Box::new(disk), &paced()).unwrap();
            let mut failed = journal.begin(&paced(), anchor()).await.is_err();
            for number in 1..10 {
                let result = journal.epoch(number, None, anchor(), &body(number)).await;
                if failed {
                    let said = result.unwrap_err().to_string();
                    assert!(said.contains("no storage space"), "{said}");
                } else {
                    failed = result.is_err();
                }
            }
            assert!(failed);
            let bytes = written.lock().unwrap().len();
            assert_eq!(journal.epoch(99, None, anchor(), b"x").await.is_err(), failed);
            assert_eq!(written.lock().unwrap().len(), bytes, "nothing is written after the failure");
        }
    }
}
