//! The record of accesses: [`AccessLog`] says where it goes, [`Recorder`] writes one line of JSON for each request.
//!
//! A line is written when the answer has ended, so that it tells how much of it was taken.

use super::tokens::{PREFIX, Role};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use gridloop_clock::{MonoTime, SharedClock};
use gridloop_messages::Timestamp;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use serde_json::{Value, json};
use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

/// Where accesses are recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLog {
    /// Nowhere.
    Off,
    /// On standard output.
    Stdout,
    /// At the end of a file.
    File(PathBuf),
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    /// The name of the token; none where no token is needed.
    pub(super) name: Option<String>,
    pub(super) role: Role,
}

impl Client {
    /// Whoever asks a server that wants no tokens.
    pub(super) fn anybody() -> Self {
        Self { name: None, role: Role::Operator }
    }
}

/// Writes the record.
pub(crate) struct Recorder {
    clock: SharedClock,
    out: Out,
}

enum Out {
    Nowhere,
    File(Mutex<File>),
    /// Through a thread of its own, for whoever reads it may stop reading.
    Stdout(Printer),
}

/// A thread that prints lines. It may wait for ever without holding up an answer.
struct Printer {
    lines: Option<SyncSender<String>>,
    ended: Mutex<Receiver<()>>,
}

/// Lines that may wait for whoever reads standard output.
const LINES: usize = 4096;
/// What waits at the end is printed within this time, or nobody reads it.
const FAREWELL: Duration = Duration::from_secs(1);

impl Recorder {
    pub(crate) fn open(clock: SharedClock, log: &AccessLog) -> std::io::Result<Self> {
        let out = match log {
            AccessLog::Off => Out::Nowhere,
            AccessLog::Stdout => Out::Stdout(Printer::start()?),
            AccessLog::File(path) => {
                Out::File(Mutex::new(File::options().create(true).append(true).open(path)?))
            }
        };
        Ok(Self { clock, out })
    }

    fn write(&self, line: &Value) {
        // One write for a line, so that lines of several processes do not mix.
        let text = format!("{line}\n");
        let written = match &self.out {
            Out::Nowhere => Ok(()),
            Out::File(file) => file.lock().unwrap_or_else(PoisonError::into_inner).write_all(text.as_bytes()),
            Out::Stdout(printer) => printer.print(text),
        };
        if let Err(error) = written {
            tracing::error!("an access could not be recorded: {error}: {line}");
        }
    }
}

impl Printer {
    fn start() -> std::io::Result<Self> {
        let (sender, lines) = sync_channel::<String>(LINES);
        let (end, ended) = sync_channel(1);
        std::thread::Builder::new().name("access-log".into()).spawn(move || {
            for line in lines {
                let mut out = std::io::stdout();
                if out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_err() {
                    break;
                }
            }
            // Whoever waits for it may have given up.
            let _ = end.send(());
        })?;
        Ok(Self { lines: Some(sender), ended: Mutex::new(ended) })
    }

    fn print(&self, line: String) -> std::io::Result<()> {
        let taken = self.lines.as_ref().is_some_and(|lines| lines.try_send(line).is_ok());
        taken.then_some(()).ok_or_else(|| std::io::Error::other("nobody reads the standard output any more"))
    }
}

impl Drop for Printer {
    fn drop(&mut self) {
        self.lines = None;
        // Late or not: the server ends now.
        let _ = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner).recv_timeout(FAREWELL);
    }
}

/// Records a request and what became of it.
pub(crate) async fn record(State(recorder): State<Arc<Recorder>>, request: Request, next: Next) -> Response {
    let began = recorder.clock.now();
    let time = Timestamp::from(recorder.clock.utc());
    let from = request.extensions().get::<Peer>().map(|peer| peer.0.to_string());
    let (method, target) = (request.method().to_string(), without_tokens(&request.uri().to_string()));
    let response = next.run(request).await;
    let client = response.extensions().get::<Client>();
    let entry = Entry {
        time,
        began,
        from,
        user: client.and_then(|client| client.name.clone()),
        role: client.map(|client| client.role),
        method,
        target,
        status: response.status().as_u16(),
    };
    response.map(|inner| Body::new(Watched { inner, ended: false, bytes: 0, entry, recorder }))
}

/// A token that somebody has put into an address is not for the record.
fn without_tokens(target: &str) -> String {
    let mut parts = target.split(PREFIX);
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        shown += PREFIX;
        shown += "***";
        shown += rest;
    }
    shown
}

struct Entry {
    time: Timestamp,
    began: MonoTime,
    from: Option<String>,
    user: Option<String>,
    role: Option<Role>,
    method: String,
    target: String,
    status: u16,
}

/// The body of an answer, watched until it ends or nobody wants it any more.
struct Watched {
    inner: Body,
    ended: bool,
    bytes: u64,
    entry: Entry,
    recorder: Arc<Recorder>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                self.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
            }
            Poll::Ready(None) => self.ended = true,
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let entry = &self.entry;
        // The body of an answer to HEAD is never taken.
        let complete = self.ended || self.inner.is_end_stream() || entry.method == "HEAD";
        let took = self.recorder.clock.now().since(entry.began);
        self.recorder.write(&json!({
            "time": entry.time,
            "from": entry.from,
            "user": entry.user,
            "role": entry.role.map(|role| role.to_string()),
            "method": entry.method,
            "target": entry.target,
            "status": entry.status,
            "bytes": self.bytes,
            "complete": complete,
            "took_s": took.as_secs_f64(),
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_in_an_address_is_not_recorded() {
        let shown = without_tokens("/simulations?token=gridloop_aB-9_x&limit=3");
        assert_eq!(shown, "/simulations?token=gridloop_***&limit=3");
        assert_eq!(without_tokens("/simulations"), "/simulations");
    }
}
