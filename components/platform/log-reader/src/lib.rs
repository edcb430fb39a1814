//! The Log Reader: REST access to stored runs, with authentication and TLS (wire contract 5.2 and 5.3).
//!
//! [`Settings`] say which store is served where and to whom; [`Server`] does it until it is told to stop. Requests are
//! read by `query`, answered by `http` out of a [`gridloop_logging::archive::Archive`] and written by `format`, to the
//! byte as the Python Log Reader writes them. `access` knows who may ask and keeps a record of who asked what.
//! [`export`] writes a whole run without a server.
//!
//! Architecture invariant: only this crate knows axum; nothing here writes into a store.

mod access;
pub mod export;
mod format;
mod http;
mod problem;
mod query;
mod series;
mod server;
mod settings;
mod tls;

pub use access::{AccessLog, Issued, Role, Token, TokenError, TokenFile};
pub use http::openapi;
pub use server::{Server, ServerError};
pub use settings::{Limits, Settings, TlsFiles, read_settings};
pub use tls::TlsError;
