//! Economic dispatch and the local flexibility market as SimCES components.

pub mod dispatch;
mod kind;

pub use kind::{KINDS, Kind, ReadKind};
