//! Components that stand in for real ones, in tests and demonstrations.
//!
//! A [`Dummy`] takes its time and fails as often as it is told to (wire contract 6.13); [`SimpleComponent`]s talk to
//! each other by one number. What is random comes from a seed, the component's name and the epoch, so that one seed is
//! one run, whatever else happens. The two of [`iteration`] settle on an operating point within each epoch.

mod chance;
mod dummy;
pub mod iteration;
mod simple;

pub use dummy::{Dummy, DummyError, DummySettings};
pub use simple::{SIMPLE_TOPIC, SimpleComponent, SimpleError, SimpleSettings};
