//! F19 and F20: the store is away, is slow, or fails.

use crate::rig::{Rig, Traffic, reader};
use std::process::Command;

async fn publish(rig: &mut Rig, traffic: &mut Traffic, messages: u32) {
    for _ in 0..messages {
        traffic.publish_one(rig).await;
    }
    rig.bus.flush().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_mongodb_is_away_or_frozen_messages_wait_in_the_spool_and_then_come_in() {
    let mut rig = Rig::with_mongodb().await;
    let mut traffic = Traffic::new(11);
    let mut reader = reader().await;
    rig.state("running").await;
    let writer = rig.writer();
    publish(&mut rig, &mut traffic, 300).await;
    rig.wait_for("the first messages", async || rig.count(&mut reader).await > Some(100)).await;

    rig.mongodb().term().unwrap();
    publish(&mut rig, &mut traffic, 2000).await;
    rig.wait_for("the alarm", async || writer.told().contains("ALARM")).await;
    rig.mongodb().restart().unwrap();
    rig.wait_for("the replay", async || writer.told().contains("everything in the spool is stored")).await;

    rig.mongodb().stop_signal().unwrap();
    publish(&mut rig, &mut traffic, 2000).await;
    rig.wait_for("the second alarm", async || writer.told().matches("ALARM").count() == 2).await;
    rig.mongodb().continue_signal().unwrap();
    rig.wait_for("the second replay", async || {
        writer.told().matches("everything in the spool is stored").count() == 2
    })
    .await;

    rig.state("stopped").await;
    let summary = rig.end_of(writer).await;
    assert_eq!((&summary["spool"]["outages"], &summary["spool"]["waiting"]), (&2.into(), &0.into()));
    assert!(summary["spool"]["spooled"].as_u64() > Some(0), "{summary}");
    rig.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_ends_while_mongodb_is_away_is_stored_when_it_is_back() {
    let mut rig = Rig::with_mongodb().await;
    let mut traffic = Traffic::new(12);
    rig.mongodb().kill9().unwrap();
    let writer = rig.writer();
    rig.state("running").await;
    publish(&mut rig, &mut traffic, 500).await;
    rig.state("stopped").await;
    rig.wait_for("the alarm", async || writer.told().contains("ALARM")).await;
    rig.mongodb().restart().unwrap();
    let summary = rig.end_of(writer).await;
    assert_eq!(summary["ended"], "stopped");
    rig.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_is_stopped_with_a_full_spool_says_so_and_the_next_one_empties_it() {
    let mut rig = Rig::with_mongodb().await;
    let mut traffic = Traffic::new(13);
    rig.mongodb().kill9().unwrap();
    let mut writer = rig.writer();
    rig.state("running").await;
    publish(&mut rig, &mut traffic, 500).await;
    let spool = rig.path("spool").join("20260301-080000-000.spool");
    rig.wait_for("the spool", async || spool.metadata().is_ok_and(|file| file.len() > 10_000)).await;
    writer.term();
    let status = rig.status_of(&mut writer).await;
    assert_eq!(status.code(), Some(1), "{}", writer.told());
    assert!(writer.told().contains("wait in the spool"), "{}", writer.told());

    // Half a record at the end, as a power cut leaves it: its message was not acknowledged.
    let mut torn = std::fs::OpenOptions::new().append(true).open(&spool).unwrap();
    std::io::Write::write_all(&mut torn, &[200, 0, 0, 0, 1, 2, 3, 4, 5]).unwrap();
    rig.mongodb().restart().unwrap();
    rig.state("stopped").await;
    let writer = rig.writer();
    rig.end_of(writer).await;
    rig.check().await;
    assert_eq!(std::fs::read(spool.with_extension("damaged")).unwrap().len(), 9);
}

/// A command whose files may not grow beyond `blocks` of 512 or 1024 bytes: writing more fails as on a full disk.
fn limited(rig: &Rig, blocks: u32) -> Command {
    let mut command = Command::new("sh");
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
    command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_gridloop")]);
    command.args(rig.arguments()).args(["--simulation-id", crate::rig::RUN]);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_ends_the_writer_with_clear_words_and_loses_nothing() {
    let mut rig = Rig::with_sqlite().await;
    let mut traffic = Traffic::new(14);
    rig.state("running").await;
    publish(&mut rig, &mut traffic, 3000).await;
    let command = limited(&rig, 400);
    let mut writer = rig.spawn(command);
    let status = rig.status_of(&mut writer).await;
    assert_eq!(status.code(), Some(1), "{}", writer.told());
    let told = writer.told();
    assert!(told.contains("cannot be written") && told.contains("Nothing more is acknowledged"), "{told}");
    rig.state("stopped").await;
    let writer = rig.writer();
    rig.end_of(writer).await;
    rig.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spool_that_cannot_be_written_ends_the_writer_with_clear_words_and_loses_nothing() {
    let mut rig = Rig::with_mongodb().await;
    let mut traffic = Traffic::new(15);
    rig.mongodb().kill9().unwrap();
    rig.state("running").await;
    publish(&mut rig, &mut traffic, 3000).await;
    let command = limited(&rig, 200);
    let mut writer = rig.spawn(command);
    let status = rig.status_of(&mut writer).await;
    assert_eq!(status.code(), Some(1), "{}", writer.told());
    let told = writer.told();
    assert!(told.contains("spool") && told.contains("Nothing more is acknowledged"), "{told}");
    rig.mongodb().restart().unwrap();
    rig.state("stopped").await;
    let writer = rig.writer();
    rig.end_of(writer).await;
    rig.check().await;
}
