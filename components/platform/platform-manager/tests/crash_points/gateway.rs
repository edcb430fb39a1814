//! The gateway as a process of its own: the run goes on without it, and it goes on in the run.

use crate::bench::{Bench, Crash, HELD, eventually};
use gridloop_clock::{SharedClock, WallClock, sleep};
use gridloop_hil_tests::rabbitmq::RabbitMq;
use std::sync::Arc;
use std::time::Duration;

/// How often it is killed.
const CRASHES: u32 = 3;
/// Of the inverter; the gateway renews its command after a third of it.
const TIMER_S: u64 = 6;

#[test]
fn a_gateway_that_is_killed_and_started_again_goes_on_in_the_same_run() {
    let broker = RabbitMq::start().expect("a broker");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(crashes(&broker.url()));
}

async fn crashes(bus: &str) {
    let clock: SharedClock = Arc::new(WallClock::start().expect("a clock"));
    let mut random = fastrand::Rng::with_seed(1);
    let bench = Bench::start(Some(TIMER_S), clock.clone()).await;
    let common = ["--bus", bus, "--simulation-id", "2026-06-21T12:00:00.000Z", "bench.toml"];
    let spawn = |name: &str, command: &[&str]| bench.spawn(name, &[command, &common].concat());
    let _operator = spawn("operator", &["component", "operator"]);
    let mut gateway = spawn("gateway", &["gateway"]);
    bench.hunt(&gateway, Crash::drawn(&mut random, 4));
    let mut manager = spawn("manager", &["manager"]);
    for number in 1..=CRASHES {
        bench.killed(gateway).await;
        let before = bench.times_limited();
        let stood = bench.in_force().await == Some(HELD);
        gateway = spawn(&format!("gateway-{number}"), &["gateway"]);
        eventually(&clock, "the new gateway has written", async || bench.times_limited() > before).await;
        let renewed = Duration::from_secs(TIMER_S) / 3;
        sleep(&*clock, renewed / 2).await;
        let again = bench.limited_again(before, renewed / 2);
        assert_eq!(again, 1, "one identical write; {stood} before");
        assert_eq!(bench.in_force().await, Some(HELD), "the command is not lost");
        assert_eq!(bench.others(), [0; 0], "nobody ever wrote another limit, or took it away");
        if number < CRASHES {
            bench.hunt(&gateway, Crash::drawn(&mut random, 4));
        }
    }
    manager.interrupt(&clock).await;
    gateway.ended(&clock).await;
    let told = gateway.output();
    assert!(told.contains("\"left\": \"released\""), "{told}");
    assert_eq!(bench.in_force().await, None, "released at the end");
}
