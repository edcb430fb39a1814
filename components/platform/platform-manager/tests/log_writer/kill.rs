//! F18: a writer that is killed at any moment and started again has stored what was sent, each message once.

use crate::rig::{Rig, Traffic};
use gridloop_clock::sleep;
use std::time::Duration;

/// Publishes while the writer is killed at random moments, then lets the run end.
async fn killed_at_random_moments(mut rig: Rig, kills: u32, seed: u64) {
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut traffic = Traffic::new(seed);
    rig.state("running").await;
    for _ in 0..kills {
        let mut writer = rig.writer();
        // Some writers are killed before they have begun, some in the middle of their work.
        let bursts = random.u32(..40);
        for _ in 0..bursts {
            for _ in 0..random.u32(..60) {
                traffic.publish_one(&mut rig).await;
            }
            sleep(&*rig.clock, Duration::from_millis(random.u64(..20))).await;
        }
        writer.kill9();
    }
    rig.state("stopped").await;
    rig.bus.flush().await.unwrap();
    let writer = rig.writer();
    let summary = rig.end_of(writer).await;
    assert_eq!(summary["ended"], "stopped");
    rig.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_has_what_was_sent_although_the_writer_was_killed_again_and_again() {
    for seed in [1, 2] {
        killed_at_random_moments(Rig::with_sqlite().await, 15, seed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mongodb_has_what_was_sent_although_the_writer_was_killed_again_and_again() {
    for seed in [3, 4] {
        killed_at_random_moments(Rig::with_mongodb().await, 12, seed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_is_killed_while_its_spool_fills_and_empties_loses_nothing() {
    let seed = 5;
    println!("seed {seed}");
    let mut rig = Rig::with_mongodb().await;
    let mut random = fastrand::Rng::with_seed(seed);
    let mut traffic = Traffic::new(seed);
    rig.state("running").await;
    for round in 0..8 {
        let mut writer = rig.writer();
        for _ in 0..random.u32(5..30) {
            for _ in 0..random.u32(..60) {
                traffic.publish_one(&mut rig).await;
            }
            sleep(&*rig.clock, Duration::from_millis(random.u64(..80))).await;
        }
        if round % 2 == 0 {
            rig.mongodb().kill9().unwrap()
        } else {
            rig.mongodb().restart().unwrap()
        }
        for _ in 0..500 {
            traffic.publish_one(&mut rig).await;
        }
        sleep(&*rig.clock, Duration::from_millis(random.u64(..3000))).await;
        writer.kill9();
    }
    rig.state("stopped").await;
    rig.bus.flush().await.unwrap();
    rig.mongodb().restart().unwrap();
    let writer = rig.writer();
    rig.end_of(writer).await;
    rig.check().await;
}
