//! Services that are told everything by SimCES environment variables: `variables` is about reading them, `manifests`
//! about what `configs/manifests` promises of them, `refusals` about processes that do not start, `runs` about whole
//! runs of processes over a RabbitMQ of the test's own, and `configuration` about dummies in a configuration.

mod configuration;
mod manifests;
mod network;
mod process;
mod refusals;
mod runs;
mod variables;

use std::path::{Path, PathBuf};

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}
