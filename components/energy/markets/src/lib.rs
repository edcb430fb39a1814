//! Economic dispatch and the local flexibility market as SimCES components.

mod kind;

pub use kind::{KINDS, Kind, ReadKind};
