//! `/metrics`: the measurements of a run in the Prometheus text format, over HTTP.

use gridloop_metrics::Metrics;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// Connections at a time; more wait.
const CONNECTIONS_MAX: usize = 16;
/// A request is there within this time, or its connection is closed.
const REQUEST_WITHIN: Duration = Duration::from_secs(5);
/// A connection lives no longer, so that slow readers make room.
const CONNECTION_WITHIN: Duration = Duration::from_secs(30);

/// Serves the page on the runtime `tasks` until that ends; gives its address.
///
/// # Errors
/// When the address cannot be listened on.
pub(crate) async fn serve(address: &str, metrics: Metrics, tasks: &Handle) -> io::Result<String> {
    let listener = TcpListener::bind(address).await?;
    let url = format!("http://{}/metrics", listener.local_addr()?);
    // Sockets belong to the runtime that made them; this one is for the other.
    let listener = listener.into_std()?;
    tasks.spawn(async move {
        match TcpListener::from_std(listener) {
            Ok(listener) => accept(listener, metrics).await,
            Err(error) => tracing::error!("the metrics are not served: {error}"),
        }
    });
    Ok(url)
}

async fn accept(listener: TcpListener, metrics: Metrics) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    while let Ok(place) = Arc::clone(&room).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let metrics = metrics.clone();
                tokio::spawn(async move {
                    talk(stream, metrics).await;
                    drop(place);
                });
            }
            // Too many open files, or a connection that has gone again.
            Err(error) => {
                tracing::debug!("metrics: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn talk(stream: TcpStream, metrics: Metrics) {
    let service = service_fn(move |request| {
        let metrics = metrics.clone();
        async move { Ok::<_, Infallible>(answer(&request, &metrics)) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(REQUEST_WITHIN);
    let connection = http.serve_connection(TokioIo::new(stream), service);
    // Whoever breaks off is nobody's trouble.
    let _ = tokio::time::timeout(CONNECTION_WITHIN, connection).await;
}

fn answer(request: &Request<Incoming>, metrics: &Metrics) -> Response<Full<Bytes>> {
    let (status, text) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => (StatusCode::OK, metrics.text()),
        (_, "/metrics") => (StatusCode::METHOD_NOT_ALLOWED, "GET only\n".to_owned()),
        _ => (StatusCode::NOT_FOUND, "here is /metrics only\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let format = "text/plain; version=0.0.4; charset=utf-8";
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(format));
    response
}
