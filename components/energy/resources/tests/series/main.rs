//! Series from CSV files: what they publish, and what they say about files that are not as they must be.

mod obeying;
mod over_time;
mod setpoint;
mod static_time_series;
mod storage;

use gridloop_clock::MonoTime;
use gridloop_component::{Component, Fault, OpenEpoch, Output, Step};
use gridloop_messages::Timestamp;
use std::path::PathBuf;
use tempfile::TempDir;

/// A CSV file in a folder of its own.
struct File {
    folder: TempDir,
}

impl File {
    fn new(content: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("x.csv"), content).unwrap();
        Self { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("x.csv")
    }

    /// `text` without the folder.
    fn short(&self, text: &impl ToString) -> String {
        text.to_string().replace(&format!("{}/", self.folder.path().display()), "")
    }
}

fn step(component: &mut impl Component, number: u64) -> Result<Vec<Output>, Fault> {
    let time = Timestamp::parse("2026-11-22T15:19:25.203Z").unwrap();
    let opened_at = MonoTime::default();
    let epoch = OpenEpoch {
        number,
        start_time: time,
        end_time: time,
        nominal_start: opened_at,
        deadline: None,
        opened_at,
    };
    match component.step(&epoch, opened_at)? {
        Step::Done(outputs) => Ok(outputs),
        other => panic!("{other:?}"),
    }
}
