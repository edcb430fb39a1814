//! The Platform Manager: SimCES run configurations and manifests in, a run out (wire contract 4).
//!
//! [`RunFile`] and [`Manifests`] are what people write, in [`yaml`]; [`Surroundings`] is what the environment says
//! about broker and database. [`Plan::make`] turns them into processes with environments and the Start message, as a
//! pure function. A [`Runner`] starts the processes: as processes of this machine ([`Processes`]) or as Docker
//! containers. [`Session`] does both in the right order and can follow the run to its end, which
//! [`Watch`] decides about as a state machine without I/O.

pub mod convert;
#[cfg(feature = "docker")]
pub mod docker;
pub mod launch;
pub mod manifest;
mod parameters;
pub mod plan;
pub mod processes;
pub mod run_file;
pub mod runner;
pub mod session;
pub mod surroundings;
pub mod watch;
pub mod yaml;

pub use manifest::{Attribute, Image, Manifest, Manifests};
pub use plan::{Kind, Launch, Places, Plan, Role};
pub use processes::Processes;
pub use run_file::RunFile;
pub use runner::{Ended, Exit, Runner};
pub use session::Session;
pub use surroundings::{MongoLogin, Store, Surroundings, Topics};
pub use watch::Watch;

/// A boolean as Python's `str()` writes it, which every process of a run reads.
fn python_flag(value: bool) -> String {
    if value { "True" } else { "False" }.to_owned()
}
