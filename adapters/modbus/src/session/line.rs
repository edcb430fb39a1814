//! A line with RTU frames: [`RtuLine`] sends one request at a time and gives its answer.
//!
//! RTU has no transaction number, so an answer that comes late would be taken for that to the next request. After any
//! fault the line is therefore in quarantine: what comes in is thrown away until nothing has come for as long as the
//! device may take to answer. It is so from the beginning too, for whoever had the line before may have left a request
//! on it.

use super::ask::Ask;
use super::error::LinkError;
use super::rtu::{MAX_FRAME, Verdict, answer_length, frame, judge};
use super::statistics::Tally;
use gridloop_clock::{MonoTime, SharedClock, sleep, until};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

/// A quarantine that is so many times longer than it would be on a quiet line is given up.
const PATIENCE: u32 = 5;

/// How fast a line is. Both are zero where bytes take no time of their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Pace {
    /// How long a character takes.
    pub(super) character: Duration,
    /// The silence that parts two frames.
    pub(super) silence: Duration,
}

/// A line, and what is known of its silence.
pub(super) struct RtuLine<S> {
    stream: S,
    pace: Pace,
    clock: SharedClock,
    tally: Tally,
    /// When something was last sent, received, or waited for in vain.
    last_busy: MonoTime,
    /// How long the line must have been quiet since then before the next request, after a fault.
    quarantine: Option<Duration>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> RtuLine<S> {
    /// A line that has just been opened. Its first request waits until it has been quiet for `quiet`.
    pub(super) fn new(stream: S, pace: Pace, quiet: Duration, clock: SharedClock, tally: Tally) -> Self {
        let last_busy = clock.now();
        Self { stream, pace, clock, tally, last_busy, quarantine: Some(quiet) }
    }

    /// Asks a unit. After an error that is no exception the line goes into quarantine: until it has been quiet for
    /// `quiet`, counted from now.
    pub(super) async fn ask(
        &mut self,
        unit: u8,
        ask: &Ask,
        timeout: Duration,
        quiet: Duration,
    ) -> Result<Vec<u16>, LinkError> {
        self.settle(quiet).await?;
        let request = frame(unit, &ask.pdu());
        let characters = u32::try_from(request.len() + answer_length(ask)).unwrap_or(u32::MAX);
        let deadline = self.clock.now() + timeout + self.pace.character * characters;
        // Should this be broken off, the line is left as after a fault.
        self.quarantine = Some(quiet);
        let clock = SharedClock::clone(&self.clock);
        let result = match until(&*clock, deadline, self.converse(unit, ask, &request)).await {
            None => Err(LinkError::Timeout(timeout)),
            Some(result) => result,
        };
        self.last_busy = self.clock.now();
        if result.as_ref().err().is_none_or(LinkError::keeps_link) {
            self.quarantine = None;
        }
        result
    }

    /// Waits until a request may be sent.
    async fn settle(&mut self, quiet: Duration) -> Result<(), LinkError> {
        if self.discard().await? > 0 {
            // Nobody has asked for it: an answer that is late, or somebody else on the line.
            self.last_busy = self.clock.now();
            self.quarantine = Some(self.quarantine.unwrap_or(quiet).max(quiet));
        }
        let Some(quiet) = self.quarantine else {
            self.be_silent_until(self.last_busy + self.pace.silence).await;
            return Ok(());
        };
        let quiet = quiet.max(self.pace.silence);
        let give_up_at = self.clock.now() + quiet * PATIENCE;
        let mut chunk = [0; MAX_FRAME];
        loop {
            let clock = SharedClock::clone(&self.clock);
            match until(&*clock, self.last_busy + quiet, self.stream.read(&mut chunk)).await {
                None => return Ok(()),
                Some(Ok(0)) => return Err(LinkError::Lost("the line was closed".to_owned())),
                Some(Ok(length)) => self.tally.discarded(length),
                Some(Err(error)) => return Err(LinkError::Lost(error.to_string())),
            }
            self.last_busy = self.clock.now();
            if self.last_busy >= give_up_at {
                return Err(LinkError::Lost(format!(
                    "the line has not been quiet for {quiet:?} within {:?}: another master, or noise",
                    quiet * PATIENCE
                )));
            }
        }
    }

    /// Throws away what has come already; how much that was.
    async fn discard(&mut self) -> Result<usize, LinkError> {
        let mut chunk = [0; MAX_FRAME];
        let mut discarded = 0;
        // A line that is never empty must not hold this up: the quarantine deals with it.
        for _ in 0..64 {
            let stream = &mut self.stream;
            let read = poll_fn(|cx| {
                let mut buffer = ReadBuf::new(&mut chunk);
                Poll::Ready(match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
                    Poll::Pending => None,
                    Poll::Ready(result) => Some(result.map(|()| buffer.filled().len())),
                })
            })
            .await;
            match read {
                None => break,
                Some(Ok(0)) => return Err(LinkError::Lost("the line was closed".to_owned())),
                Some(Ok(length)) => discarded += length,
                Some(Err(error)) => return Err(LinkError::Lost(error.to_string())),
            }
        }
        self.tally.discarded(discarded);
        Ok(discarded)
    }

    async fn be_silent_until(&mut self, instant: MonoTime) {
        let now = self.clock.now();
        if now < instant {
            sleep(&*self.clock, instant.since(now)).await;
        }
    }

    /// Sends the request and collects its answer. Never more is kept than the longest frame has.
    async fn converse(&mut self, unit: u8, ask: &Ask, request: &[u8]) -> Result<Vec<u16>, LinkError> {
        let lost = |error: std::io::Error| LinkError::Lost(error.to_string());
        self.stream.write_all(request).await.map_err(lost)?;
        self.stream.flush().await.map_err(lost)?;
        let mut come = [0; MAX_FRAME + 1];
        let mut length = 0;
        loop {
            match self.stream.read(&mut come[length..]).await.map_err(lost)? {
                0 => return Err(LinkError::Lost("the line was closed".to_owned())),
                read => length += read,
            }
            match judge(unit, ask, &come[..length]) {
                Verdict::More => {}
                Verdict::Answer(registers) => return Ok(registers),
                Verdict::Wrong(error) => return Err(error),
            }
        }
    }
}
