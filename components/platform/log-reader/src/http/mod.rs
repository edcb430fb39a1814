//! The resources of wire contract 5.2: [`Reader`] answers, [`router`] finds out what is asked.

mod answer;
mod openapi;
mod page;
mod series;

pub use openapi::openapi;
pub(crate) use series::{Lines, starts};

use crate::access::{Guard, Recorder, guard, record};
use crate::problem::Problem;
use crate::query::{self, Question, RunsQuestion};
use crate::settings::Limits;
use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use gridloop_clock::{SharedClock, until};
use gridloop_logging::archive::{Archive, Documents, Fields, Kind, Select};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_http::compression::CompressionLayer;

/// How long a request waits for its turn to be read.
const TURN: Duration = Duration::from_secs(10);

/// What every request needs.
pub(crate) struct Reader {
    archive: Archive,
    clock: SharedClock,
    readings: Arc<Semaphore>,
    limits: Limits,
}

/// The turn of one answer; the next one begins when it is dropped.
type Turn = OwnedSemaphorePermit;

impl Reader {
    pub(crate) fn new(archive: Archive, clock: SharedClock, limits: Limits) -> Self {
        Self { archive, clock, readings: Arc::new(Semaphore::new(limits.readings)), limits }
    }

    async fn turn(&self) -> Result<Turn, Problem> {
        let end = self.clock.now() + TURN;
        let turn = until(&*self.clock, end, self.readings.clone().acquire_owned()).await;
        turn.and_then(Result::ok).ok_or_else(Problem::busy)
    }

    /// Refuses a run that has no messages.
    async fn known(&self, id: &str) -> Result<(), Problem> {
        if self.archive.has(id).await? { Ok(()) } else { Err(Problem::no_run(id)) }
    }

    /// Turns simulated dates into epochs.
    async fn resolved(&self, id: &str, question: Question) -> Result<Select, Problem> {
        let mut select = question.select;
        if question.dates.is_limited() {
            let spans = self.archive.epochs(id, select.epochs).await?;
            select.epochs = question.dates.epochs(&spans);
        }
        Ok(select)
    }

    /// Answers with messages, page by page if that is wanted.
    async fn documents(
        &self,
        uri: &Uri,
        id: &str,
        select: Select,
        kind: Kind,
        turn: Turn,
    ) -> Result<Response, Problem> {
        let next = self.archive.page_end(id, &select, kind).await?;
        let documents: Documents = match kind {
            Kind::Valid => self.archive.messages(id, select).await?,
            Kind::Invalid => self.archive.invalid_messages(id, select).await?,
        };
        let mut response = answer::documents(documents, turn).await?;
        if let Some(next) = next {
            answer::link(&mut response, uri, &next.to_string());
        }
        Ok(response)
    }
}

/// Every resource, behind the door and on the record.
pub(crate) fn router(reader: Reader, door: Arc<Guard>, recorder: Arc<Recorder>) -> Router {
    Router::new()
        .route("/", get(page::start))
        .route("/health", get(|| async { "well\n" }))
        .route("/openapi.json", get(openapi::document))
        .route("/simulations", get(simulations))
        .route("/simulations/{id}", get(simulation))
        .route("/simulations/{id}/messages", get(messages))
        .route("/simulations/{id}/messages/invalid", get(invalid_messages))
        .route("/simulations/{id}/timeseries", get(series::time_series))
        .fallback(|| async { StatusCode::NOT_FOUND })
        .with_state(Arc::new(reader))
        .layer(CompressionLayer::new())
        .layer(middleware::from_fn_with_state(door, guard))
        .layer(middleware::from_fn(harden))
        .layer(middleware::from_fn_with_state(recorder, record))
}

/// Tells browsers to run nothing, to keep nothing and to guess nothing.
async fn harden(request: Request, next: Next) -> Response {
    const HEADERS: [(HeaderName, &str); 4] = [
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The id in a path.
type Id = Result<Path<String>, PathRejection>;

fn id_of(id: Id) -> Result<String, Problem> {
    // What is no text is no run.
    id.map(|Path(id)| id).map_err(|_| Problem::no_run("in this path"))
}

async fn simulations(
    State(reader): State<Arc<Reader>>,
    uri: Uri,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let question = query::runs(query.as_deref())?;
    let _turn = reader.turn().await?;
    let runs = reader.archive.runs(&question.started).await?;
    let (runs, next) = page_of_runs(runs, &question);
    let mut response = answer::whole(|out| {
        crate::format::json::list(out, runs.iter(), 0, crate::format::json::document);
    });
    if let Some(next) = next {
        answer::link(&mut response, &uri, &next);
    }
    Ok(response)
}

/// The page of the runs that was asked for, in the order of their ids, and the id behind which the next one begins.
fn page_of_runs(mut runs: Vec<Fields>, question: &RunsQuestion) -> (Vec<Fields>, Option<String>) {
    if question.limit.is_none() && question.after.is_none() {
        return (runs, None);
    }
    let id = |run: &Fields| run.get("SimulationId").and_then(|id| id.as_str()).unwrap_or_default().to_owned();
    runs.sort_by_cached_key(id);
    if let Some(after) = &question.after {
        runs.retain(|run| id(run) > *after);
    }
    let limit = question.limit.unwrap_or(usize::MAX);
    let more = runs.len() > limit;
    runs.truncate(limit);
    let next = runs.last().filter(|_| more).map(id);
    (runs, next)
}

async fn simulation(
    State(reader): State<Arc<Reader>>,
    id: Id,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let id = id_of(id)?;
    query::nothing(query.as_deref())?;
    let run = reader.archive.run(&id).await?.ok_or_else(|| Problem::no_run(&id))?;
    Ok(answer::whole(|out| crate::format::json::document(out, &run, 0)))
}

async fn messages(
    State(reader): State<Arc<Reader>>,
    uri: Uri,
    id: Id,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let id = id_of(id)?;
    let question = query::messages(query.as_deref())?;
    let turn = reader.turn().await?;
    reader.known(&id).await?;
    let select = reader.resolved(&id, question).await?;
    reader.documents(&uri, &id, select, Kind::Valid, turn).await
}

async fn invalid_messages(
    State(reader): State<Arc<Reader>>,
    uri: Uri,
    id: Id,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let id = id_of(id)?;
    let select = query::invalid(query.as_deref())?;
    let turn = reader.turn().await?;
    reader.known(&id).await?;
    reader.documents(&uri, &id, select, Kind::Invalid, turn).await
}
