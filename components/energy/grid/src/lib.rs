//! The network of a simulation as SimCES components.

mod kind;

pub use kind::{KINDS, Kind, ReadKind};
