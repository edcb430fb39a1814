//! The door: [`Guard`] knows the tokens, [`guard`] asks every request for one.

use super::record::Client;
use super::tokens::{Refused, Role, TokenError, TokenFile, Tokens};
use crate::problem::Problem;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gridloop_clock::SharedClock;
use gridloop_messages::Timestamp;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, Mutex, PoisonError};

/// What is open to everybody: nothing of any run.
const OPEN: [&str; 2] = ["/health", "/openapi.json"];

/// Who may ask.
pub(crate) struct Guard {
    clock: SharedClock,
    /// None: everybody may, everything.
    tokens: Option<Kept>,
}

/// A file of tokens that is read again whenever it changes.
struct Kept {
    file: TokenFile,
    read: Mutex<(Option<Stamp>, Arc<Tokens>)>,
}

/// What changes when a file does: its inode, its length and its time.
type Stamp = (u64, u64, i64, i64);

impl Guard {
    /// Reads the tokens once, so that what is wrong with them is known before the server starts.
    pub(crate) fn new(clock: SharedClock, file: Option<TokenFile>) -> Result<Self, TokenError> {
        let kept = |file: TokenFile| {
            let stamp = stamp(&file);
            let tokens = Arc::new(file.read()?);
            Ok(Kept { file, read: Mutex::new((stamp, tokens)) })
        };
        Ok(Self { clock, tokens: file.map(kept).transpose()? })
    }

    /// Who asks.
    fn client(&self, headers: &HeaderMap) -> Result<Client, Problem> {
        let Some(kept) = &self.tokens else { return Ok(Client::anybody()) };
        let shown = shown(headers).ok_or_else(|| {
            Problem::unknown_client(
                "Send a token: `Authorization: Bearer gridloop_...`. `gridloop token add` makes one.",
            )
        })?;
        let tokens = kept.tokens();
        match tokens.whose(&shown, Timestamp::from(self.clock.utc())) {
            Ok(token) => Ok(Client { name: Some(token.name.clone()), role: token.role }),
            Err(Refused::Unknown) => Err(Problem::unknown_client("Nobody here has this token.")),
            Err(Refused::Expired) => Err(Problem::unknown_client("This token has expired.")),
        }
    }
}

impl Kept {
    /// The tokens as the file has them now. A file that cannot be read lets nobody in.
    fn tokens(&self) -> Arc<Tokens> {
        let now = stamp(&self.file);
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.0 != now {
            let tokens = self.file.read().unwrap_or_else(|error| {
                tracing::error!("nobody is let in until the file of tokens is put right: {error}");
                Tokens::default()
            });
            *read = (now, Arc::new(tokens));
        }
        read.1.clone()
    }
}

fn stamp(file: &TokenFile) -> Option<Stamp> {
    let metadata = std::fs::metadata(file.path()).ok()?;
    Some((metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec()))
}

/// The token that a request shows: as bearer, or as password of any user, as browsers do.
fn shown(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, value) = text.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(value.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let login = String::from_utf8(STANDARD.decode(value.trim()).ok()?).ok()?;
    login.split_once(':').map(|(_, password)| password.to_owned())
}

/// Lets a request through that shows a token with the role that it needs.
pub(crate) async fn guard(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    if OPEN.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let client = match guard.client(request.headers()) {
        Ok(client) => client,
        Err(problem) => return problem.into_response(),
    };
    let mut response = if client.role < needed(request.uri().path()) {
        let description = "Messages that broke the wire contract are for the role operator.";
        Problem::forbidden(description).into_response()
    } else {
        request.extensions_mut().insert(client.clone());
        next.run(request).await
    };
    response.extensions_mut().insert(client);
    response
}

/// The role that opens a path.
fn needed(path: &str) -> Role {
    let invalid = path.trim_end_matches('/').ends_with("/messages/invalid");
    if invalid { Role::Operator } else { Role::Viewer }
}
