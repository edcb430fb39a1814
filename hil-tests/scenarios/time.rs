//! The simulated world itself: everything else in this folder stands on it.

use gridloop_clock::{Clock, sleep};
use gridloop_hil_tests::world::simulated;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn an_hour_of_many_tasks_passes_at_once_and_wakes_them_in_the_order_of_their_instants() {
    let order = simulated(|clock| async move {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        for number in [3_u32, 1, 2, 1] {
            let (clock, sender) = (clock.clone(), sender.clone());
            tokio::spawn(async move {
                sleep(&clock, HOUR * number).await;
                let _ = sender.send((number, clock.now().as_nanos()));
            });
        }
        drop(sender);
        let mut order = Vec::new();
        while let Some(woken) = receiver.recv().await {
            order.push(woken);
        }
        order
    });
    let hour = u64::try_from(HOUR.as_nanos()).unwrap();
    assert_eq!(order, [(1, hour), (1, hour), (2, 2 * hour), (3, 3 * hour)]);
}

#[test]
fn time_stands_still_while_wakeups_between_tasks_are_under_way() {
    simulated(|clock| async move {
        let (sender, mut seen) = watch::channel(0);
        let begin = Arc::new(Notify::new());
        let begun = Arc::clone(&begin);
        tokio::spawn(async move {
            begun.notified().await;
            for number in 1..=100 {
                sender.send_replace(number);
                tokio::task::yield_now().await;
            }
        });
        let ticking = clock.clone();
        tokio::spawn(async move {
            loop {
                sleep(&ticking, Duration::from_secs(1)).await;
            }
        });
        sleep(&clock, HOUR).await;
        let before = clock.now();
        begin.notify_one();
        while *seen.borrow_and_update() < 100 {
            seen.changed().await.unwrap();
        }
        assert_eq!(clock.now(), before, "the outermost task was ready all the time");
    });
}

#[test]
#[should_panic(expected = "none of them for an instant")]
fn a_world_in_which_nobody_can_go_on_ends_instead_of_hanging() {
    simulated(|_| std::future::pending::<()>());
}
