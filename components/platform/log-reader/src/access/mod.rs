//! Who may ask, and the record of who asked: [`TokenFile`], [`Guard`], [`AccessLog`].
//!
//! A client shows a token; the file of tokens has only hashes of them. [`Role`] says what a token opens.

mod guard;
mod record;
mod tokens;

pub(crate) use guard::{Guard, guard};
pub use record::AccessLog;
pub(crate) use record::{Peer, Recorder, record};
pub use tokens::{Issued, Role, Token, TokenError, TokenFile};
