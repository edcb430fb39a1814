//! The Platform Manager with a Docker engine that the test starts: `runner` is the runner alone, `images` what the
//! Dockerfile makes, `runs` whole runs by the built command.
//!
//! These tests need root, Debian's `docker.io` and the base image that `hil-tests/run docker` makes.

mod images;
mod runner;
mod runs;

use gridloop_clock::{Clock, WallClock, sleep, until};
use gridloop_hil_tests::docker::Engine;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks.
const POLL: Duration = Duration::from_millis(50);

/// The output of `work`, which must not take forever.
async fn within<T>(work: impl Future<Output = T>) -> T {
    let clock = WallClock::start().expect("a clock");
    until(&clock, clock.now() + PATIENCE, work).await.expect("it takes too long")
}

/// Waits until `holds`.
async fn until_it(holds: impl Fn() -> bool) {
    let clock = WallClock::start().expect("a clock");
    let waiting = async {
        while !holds() {
            sleep(&clock, POLL).await;
        }
    };
    within(waiting).await;
}

/// What the runner is told of an engine with the networks and volumes of these tests, and `more`, which wins.
fn environment(engine: &Engine, more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let host = engine.host();
    let usual = [
        ("DOCKER_HOST", host.as_str()),
        ("DOCKER_NETWORK_PLATFORM", "platform"),
        ("DOCKER_NETWORK_RABBITMQ", "rabbitmq"),
        ("DOCKER_NETWORK_MONGODB", "mongodb"),
        ("DOCKER_VOLUME_NAME_LOGS", "logs"),
        ("DOCKER_VOLUME_NAME_RESOURCES", "resources"),
    ];
    usual.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
