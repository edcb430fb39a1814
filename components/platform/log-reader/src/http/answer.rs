//! Answers as they go out: whole, or in chunks while the store is read.

use super::Turn;
use crate::format::json;
use crate::problem::Problem;
use axum::body::Body;
use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use gridloop_logging::archive::{ArchiveError, Documents, Fields};

/// A short answer in JSON.
pub(super) fn whole(write: impl FnOnce(&mut Vec<u8>)) -> Response {
    let mut out = Vec::new();
    write(&mut out);
    of_type("application/json", Body::from(out))
}

/// A body with its type.
pub(super) fn of_type(content_type: &'static str, body: Body) -> Response {
    let mut response = body.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Tells where the next page is: at the same address, `after` a place.
pub(super) fn link(response: &mut Response, uri: &Uri, after: &str) {
    let query = uri.query().unwrap_or_default();
    let kept = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != "after");
    let next = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(kept)
        .append_pair("after", after)
        .finish();
    // What is percent-encoded has no character that a header cannot have.
    if let Ok(link) = HeaderValue::try_from(format!("<{}?{next}>; rel=\"next\"", uri.path())) {
        response.headers_mut().insert(header::LINK, link);
    }
}

/// An array of messages, written while they are read. The first of them are waited for, so that a store that cannot be
/// read is told by the status.
pub(super) async fn documents(mut documents: Documents, turn: Turn) -> Result<Response, Problem> {
    let stage = match documents.next().await? {
        None => Stage::Last(b"[]".to_vec()),
        Some(first) => Stage::More { chunk: chunk(b'[', &first), documents, turn },
    };
    let chunks = stream::unfold(stage, |stage| async move {
        match stage {
            Stage::Last(chunk) => Some((Ok(Bytes::from(chunk)), Stage::End)),
            Stage::More { chunk: ready, mut documents, turn } => {
                let stage = match documents.next().await {
                    Ok(Some(batch)) => Stage::More { chunk: chunk(b',', &batch), documents, turn },
                    Ok(None) => Stage::Last(b"\n]".to_vec()),
                    Err(error) => Stage::Broken(error),
                };
                Some((Ok(Bytes::from(ready)), stage))
            }
            // The connection is cut, so that nobody takes a part for the whole.
            Stage::Broken(error) => {
                tracing::error!("an answer was broken off: {error}");
                Some((Err(error), Stage::End))
            }
            Stage::End => None,
        }
    });
    Ok(of_type("application/json", Body::from_stream(chunks.fuse())))
}

enum Stage {
    More { chunk: Vec<u8>, documents: Documents, turn: Turn },
    Last(Vec<u8>),
    Broken(ArchiveError),
    End,
}

/// Messages of an array; `before` stands before the first of them.
fn chunk(before: u8, messages: &[Fields]) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        out.push(if index == 0 { before } else { b',' });
        json::line(&mut out, 1);
        json::document(&mut out, message, 1);
    }
    out
}
