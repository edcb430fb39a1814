//! What keeps a network within its limits, as SimCES components.

mod kind;

pub use kind::{KINDS, Kind, ReadKind};
