//! The SimCES component kit: a state machine without I/O and the loop that runs it.
//!
//! A [`Component`] says what a simulated process does in an epoch. [`ComponentCore`] holds it and keeps every rule of
//! the wire contract 3.5 around it: which run, which epoch, seen before or not, what to answer and what to answer
//! again. [`run`] is the loop between a core and the bus; it decides nothing.
//!
//! Where SimCES components lose inputs or hang (wire contract 7.2), this kit departs from them: inputs that arrive
//! before their epoch are kept, a repeated Epoch takes nothing away, and every failure ends in a Status `error` that
//! says why.

mod api;
mod at_length;
mod core;
mod fault;
mod inbox;
mod memo;
mod outbox;
mod poke;
mod refusal;
mod run;
mod window;

pub use api::{Change, Component, Identity, OpenEpoch, Output, Round, Step, iteration_topic};
pub use at_length::at_length;
pub use core::{Action, ComponentCore, Input};
pub use fault::Fault;
pub use poke::Poke;
pub use refusal::Refusal;
pub use run::{Ended, Joined, RunError, join, run};
