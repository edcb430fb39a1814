//! F16: `gridloop run` is killed with SIGKILL around its writes to an inverter, and goes on with `--resume`.
//!
//! The inverter is a process of its own. Between the two stands a [`ModbusTap`], which kills gridloop when a write has
//! arrived at it, when the inverter has answered, or when gridloop has been told; by a seed, as the place and the
//! number of the write are. Every write is counted there. What the inverter holds is read by mbpoll, from the inverter
//! itself. `gateway` does the same with a gateway that is a process of its own, on RabbitMQ.
//!
//! `GRIDLOOP_CRASHES=300` takes so many seeds, `GRIDLOOP_SEED=17` one.

mod bench;
mod gateway;

use bench::{Bench, Crash, HELD, eventually};
use gridloop_clock::{SharedClock, WallClock, sleep};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Crashes of a usual test run.
const CRASHES: u64 = 30;
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
                Err(panic) => {
                    let told = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                    broken.lock().expect("the broken ones").push(format!("GRIDLOOP_SEED={seed}: {told}"));
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(work);
        }
    });
    let broken = broken.into_inner().expect("the broken ones");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    let met = met.into_inner().expect("the kinds");
    assert!(count < CRASHES || met.len() == 6, "not every kind of crash was met: {met:?}");
}

/// What the inverter does by itself, and when gridloop comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Case {
    /// Its timer is short, and nobody comes until it has ended the command.
    Gap,
    /// Its timer is long: gridloop comes back while the command stands.
    Timer,
    /// It has no timer: the command stands for ever.
    NoTimer,
}

/// The case, and whether the command stood when gridloop was dead.
type Kind = (Case, bool);

async fn crash(seed: u64, clock: SharedClock) -> Kind {
    let mut random = fastrand::Rng::with_seed(seed);
    let (case, timer_s, writes) = match seed % 3 {
        0 => (Case::Gap, Some(1), 12),
        1 => (Case::Timer, Some(6), 12),
        // What holds already is not written, and nothing is renewed.
        _ => (Case::NoTimer, None, 3),
    };
    let bench = Bench::start(timer_s, clock.clone()).await;
    let run = bench.spawn("first", &["run", "bench.toml"]);
    let drawn = Crash::drawn(&mut random, writes);
    // The first of each case, so that none depends on luck to have the device without its command.
    bench.hunt(&run, if seed < 3 { Crash::FIRST } else { drawn });
    bench.killed(run).await;
    let before = bench.times_limited();
    let stood = bench.in_force().await == Some(HELD);
    if case == Case::Gap {
        let ended = async || bench.in_force().await != Some(HELD);
        eventually(&clock, "the inverter's own timer has ended the command", ended).await;
    } else {
        // Some come back at once, some after a while.
        sleep(&*clock, Duration::from_millis(random.u64(..300))).await;
    }

    let asked = bench.asked();
    let mut resumed = bench.spawn("resumed", &["run", "--resume", &bench.folder_of_the_run()]);
    let again = match case {
        Case::NoTimer => {
            // As many requests as make many readings: whatever was to be written has been.
            eventually(&clock, "the new process has looked around", async || bench.asked() > asked + 40)
                .await;
            bench.times_limited() - before
        }
        Case::Gap | Case::Timer => {
            eventually(&clock, "the new process has written", async || bench.times_limited() > before).await;
            let renewed = Duration::from_secs(timer_s.unwrap_or_default()) / 3;
            sleep(&*clock, renewed / 2).await;
            bench.limited_again(before, renewed / 2)
        }
    };
    let expected = usize::from(case != Case::NoTimer || !stood);
    assert_eq!(again, expected, "identical writes, in {case:?}, {stood}");
    match case {
        // On a slow machine the timer may have been quicker than a renewal; then it is written again.
        Case::Gap => {
            let held = async || bench.in_force().await == Some(HELD);
            eventually(&clock, "the command is in force again", held).await;
        }
        Case::Timer | Case::NoTimer => {
            assert_eq!(bench.in_force().await, Some(HELD), "the command is not lost");
        }
    }
    assert_eq!(bench.others(), [0; 0], "nobody ever wrote another limit, or took it away");
    resumed.interrupt(&clock).await;
    let told = resumed.output();
    assert_eq!(bench.in_force().await, None, "released at the end: {told}");
    if stood && case != Case::Gap {
        assert!(told.contains("from an earlier controller"), "the command was not adopted: {told}");
    }
    (case, stood)
}
