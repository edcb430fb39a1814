//! What went wrong, for whoever asked: [`Problem`].

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use gridloop_logging::archive::ArchiveError;

/// An answer that is no result: `{"title": ..., "description": ...}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    status: StatusCode,
    title: String,
    description: String,
}

impl Problem {
    fn new(status: StatusCode, title: impl Into<String>, description: impl Into<String>) -> Self {
        Self { status, title: title.into(), description: description.into() }
    }

    /// The question is wrong.
    pub(crate) fn bad(title: impl Into<String>, description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, title, description)
    }

    /// There is no such run.
    pub(crate) fn no_run(id: &str) -> Self {
        let description = format!("Simulation with id {id} not found.");
        Self::new(StatusCode::NOT_FOUND, "Simulation not found.", description)
    }

    /// Nobody we know.
    pub(crate) fn unknown_client(description: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Not authorised", description)
    }

    /// Somebody we know, who may not.
    pub(crate) fn forbidden(description: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Not allowed", description)
    }

    /// Too much at once.
    pub(crate) fn busy() -> Self {
        let description = "Too many answers are being read at the moment; ask again in a few seconds.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "Busy", description)
    }

    /// The HTTP status.
    #[cfg(test)]
    pub(crate) fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// What kind of problem it is.
    #[cfg(test)]
    pub(crate) fn title(&self) -> &str {
        &self.title
    }

    /// What exactly, and what to do about it.
    #[cfg(test)]
    pub(crate) fn description(&self) -> &str {
        &self.description
    }
}

/// What is wrong with the store is told to the log; to clients, only that it is.
impl From<ArchiveError> for Problem {
    fn from(error: ArchiveError) -> Self {
        tracing::error!("the store cannot be read: {error}");
        let description =
            "The store of the runs cannot be read at the moment; the log of this server says why.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "Store not available", description)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let text = |text: &str| serde_json::Value::from(text).to_string();
        let body =
            format!("{{\"title\": {}, \"description\": {}}}", text(&self.title), text(&self.description));
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match self.status {
            StatusCode::UNAUTHORIZED => {
                let challenge =
                    HeaderValue::from_static("Bearer realm=\"gridloop\", Basic realm=\"gridloop\"");
                headers.insert(header::WWW_AUTHENTICATE, challenge);
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ => {}
        }
        response
    }
}
