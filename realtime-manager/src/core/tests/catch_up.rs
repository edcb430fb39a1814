//! Catching up after an overrun: the grid stays, and a bounded number of epochs is run faster.

use super::*;

/// Instants at which epochs really began, in milliseconds after epoch 1.
struct Story {
    rig: Rig,
    began: Vec<u128>,
    zero: MonoTime,
}

impl Story {
    fn new(most: u32, epochs: u64) -> Self {
        let mut rig = Rig::started(Settings { epochs, ..paced(Overrun::CatchUp(most)) });
        rig.both_ready(0);
        let zero = rig.now;
        Self { rig, began: vec![0], zero }
    }

    /// The present epoch takes so long.
    fn epoch_takes(&mut self, ms: u32) {
        let epoch = self.rig.core.epoch;
        let end = self.rig.now + MS * ms;
        self.rig.ready("A", epoch);
        if let Some(instant) = self.rig.awaited
            && instant <= end
        {
            self.rig.instant(Duration::ZERO);
        }
        self.rig.now = end;
        self.rig.ready("B", epoch);
        if self.rig.core.epoch == epoch && self.rig.ending.is_none() {
            self.rig.instant(Duration::ZERO);
        }
        self.began.push(self.rig.now.since(self.zero).as_millis());
    }

    fn skipped(&self) -> u64 {
        self.rig.starts.iter().map(|start| start.skipped).sum()
    }
}

#[test]
fn epochs_after_an_overrun_begin_at_once_until_the_grid_is_reached() {
    let mut story = Story::new(5, 100);
    for ms in [2500, 100, 100, 100, 100] {
        story.epoch_takes(ms);
    }
    // Epochs 2 and 3 were due at 1000 and 2000; epoch 4 is back on the grid.
    assert_eq!(story.began, [0, 2500, 2600, 3000, 4000, 5000]);
    assert_eq!(story.skipped(), 0);
}

#[test]
fn no_more_epochs_than_allowed_are_run_faster_and_the_rest_is_passed_over() {
    let mut story = Story::new(2, 100);
    for ms in [6500, 100, 100, 100] {
        story.epoch_takes(ms);
    }
    // Two fast ones; the next is on the grid again. Without the bound there would have been six.
    assert_eq!(story.began, [0, 6500, 6600, 7000, 8000]);
    assert_eq!(story.skipped(), 4);
}

#[test]
fn an_epoch_that_catches_up_is_late_by_the_grid_and_nobody_is_blamed_for_its_end() {
    let mut story = Story::new(5, 100);
    for ms in [2500, 300, 900, 100] {
        story.epoch_takes(ms);
    }
    let blamed: Vec<_> = story.rig.wire.iter().filter(|line| line.contains("overran")).collect();
    assert_eq!(blamed, ["Clock-3 overran1 B", "Clock-4 overran1 B by 1.5"]);
    let late: Vec<_> = story
        .rig
        .starts
        .iter()
        .zip(&story.began)
        .map(|(start, began)| {
            let nominal = start.nominal.unwrap().since(story.zero).as_millis();
            began - nominal
        })
        .collect();
    assert_eq!(late, [0, 1500, 800, 700, 0], "how much later than on the grid each began");
}

#[test]
fn an_epoch_that_begins_after_its_own_end_says_so_in_its_message() {
    let mut story = Story::new(5, 100);
    story.epoch_takes(2500);
    let Body::Epoch(epoch) = &story.rig.published.last().unwrap().body else { panic!("an epoch") };
    let pacing = epoch.pacing.as_ref().unwrap();
    let now = story.rig.present().utc;
    assert!(pacing.deadline.as_datetime() < now && pacing.nominal_start < pacing.deadline);
}

#[test]
fn a_stall_of_the_manager_is_caught_up_as_well() {
    let mut rig = Rig::started(Settings { epochs: 10, ..paced(Overrun::CatchUp(3)) });
    rig.both_ready(0);
    let zero = rig.now;
    rig.both_ready(1);
    rig.instant(MS * 2200);
    assert_eq!(rig.starts[1].skipped, 0);
    assert_eq!(rig.awaited, None, "its end has passed");
    rig.both_ready(2);
    rig.both_ready(3);
    assert_eq!(rig.awaited, Some(zero + S * 4));
    rig.both_ready(4);
    rig.instant(Duration::ZERO);
    assert_eq!(rig.starts[4].nominal, Some(zero + S * 4));
}
