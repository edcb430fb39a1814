//! F16: `gridloop run` is killed with SIGKILL around its writes to an inverter, and goes on with `--resume`.
//!
//! The inverter is a process of its own. Between the two stands a [`ModbusTap`], which kills gridloop when a write has
//! arrived at it, when the inverter has answered, or when gridloop has been told; by a seed, as the place and the
//! number of the write are. Every write is counted there. What the inverter holds is read by mbpoll, from the inverter
//! itself.
//!
//! `GRIDLOOP_CRASHES=300` takes so many seeds, `GRIDLOOP_SEED=17` one.

mod bench;

use bench::{Bench, Crash, HELD, eventually};
use gridloop_clock::{MonoTime, SharedClock, WallClock, sleep};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Crashes of a usual test run.
const CRASHES: u64 = 30;
/// Of so many crashes, one is not followed by a new process until the inverter's own timer has ended the command.
const ONE_GAP_OF: u64 = 3;
/// Benches at a time: they mostly wait.
const AT_ONCE: usize = 6;

#[test]
fn a_gateway_that_is_killed_at_any_write_leaves_a_device_that_is_safe_and_is_adopted_again() {
    let clock: SharedClock = Arc::new(WallClock::start().expect("a clock"));
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let seeds = match number("GRIDLOOP_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("GRIDLOOP_CRASHES").unwrap_or(CRASHES),
    };
    let count = seeds.end - seeds.start;
    let (seeds, broken, met) = (Mutex::new(seeds), Mutex::new(Vec::new()), Mutex::new(BTreeSet::new()));
    let work = || {
        let next = || seeds.lock().expect("the seeds").next();
        while let Some(seed) = next() {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let crash = AssertUnwindSafe(|| runtime.block_on(crash(seed, clock.clone())));
            match catch_unwind(crash) {
                Ok(kind) => drop(met.lock().expect("the kinds").insert(kind)),
                Err(_) => broken.lock().expect("the broken ones").push(format!("GRIDLOOP_SEED={seed}")),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(work);
        }
    });
    let broken = broken.into_inner().expect("the broken ones");
    assert!(broken.is_empty(), "what broke stands above; again with {}", broken.join(" or "));
    let met = met.into_inner().expect("the kinds");
    assert!(count < CRASHES || met.len() == 4, "not every kind of crash was met: {met:?}");
}

/// What a crash was: whether the command stood when gridloop was dead, and whether the inverter was left alone then.
type Kind = (bool, bool);

async fn crash(seed: u64, clock: SharedClock) -> Kind {
    let mut random = fastrand::Rng::with_seed(seed);
    let waits = seed.is_multiple_of(ONE_GAP_OF);
    // The timer is long where a new process is to find the command, and short where nobody comes.
    let timer_s = if waits { 1 } else { 6 };
    let crash = Crash::drawn(&mut random);
    let bench = Bench::start(timer_s, crash, clock.clone()).await;
    let run = bench.run(&[]);
    bench.killed(run).await;
    let killed_at = clock.now();
    let before = bench.times_limited();
    let stood = bench.in_force().await;
    if waits {
        falls_back(&bench, &clock, killed_at, timer_s).await;
    } else {
        // Some come back at once, some after a while.
        sleep(&*clock, Duration::from_millis(random.u64(..300))).await;
    }

    let mut resumed = bench.run(&["--resume", &bench.folder_of_the_run()]);
    eventually(&clock, "the new process has written", async || bench.times_limited() > before).await;
    let first_write = clock.now();
    sleep(&*clock, Duration::from_millis(200)).await;
    let again = bench.times_limited() - before;
    if !waits && clock.now() < first_write + Duration::from_secs(timer_s.into()) / 4 {
        assert_eq!(again, 1, "one identical write, and no other before it is renewed");
    }
    assert_eq!(bench.in_force().await, Some(HELD), "the command is not lost");
    assert_eq!(bench.others(), [0; 0], "nobody ever wrote another limit, or took it away");
    resumed.interrupt(&clock).await;
    let told = resumed.output();
    assert_eq!(bench.in_force().await, None, "released at the end: {told}");
    if stood == Some(HELD) && !waits {
        assert!(told.contains("from an earlier controller"), "the command was not adopted: {told}");
    }
    (stood == Some(HELD), waits)
}

/// The inverter's own timer covers the gap: the command ends without anybody.
async fn falls_back(bench: &Bench, clock: &SharedClock, killed_at: MonoTime, timer_s: u32) {
    eventually(clock, "the timer has ended the command", async || bench.in_force().await != Some(HELD)).await;
    let gap = clock.now().since(killed_at);
    // A second for the read that shows it.
    let bound = Duration::from_secs(timer_s.into()) + Duration::from_secs(1);
    assert!(gap <= bound, "the command stood for {gap:?} after the kill");
    assert_ne!(bench.in_force().await, Some(HELD));
}
