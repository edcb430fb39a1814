//! One link to one Modbus TCP server: [`ModbusSession`], the handle, and the task that owns the connection.
//!
//! The task takes requests from a bounded queue and carries out one at a time. A link that has erred once is never
//! used again: after a timeout, a header that does not match, a wrong length or any transport error the task drops
//! the connection and ends, so that a late answer has nobody to be mistaken by. Only an exception, with which the
//! device proves that it is in step, keeps the link. Reconnecting is the caller's decision.
//!
//! The stream type of [`ModbusSession::over`] is the seam for other transports: anything that reads and writes bytes
//! in Modbus TCP framing, such as a TLS stream, fits there.

mod error;
mod guard;

pub(crate) use error::LinkError;

use crate::address::Address;
use crate::register_map::Table;
use gridloop_clock::{Clock, SharedClock, until};
use guard::Guarded;
use std::borrow::Cow;
use std::fmt::Debug;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio_modbus::client::{Client, Context, tcp};
use tokio_modbus::{Request, Response, Slave};

/// The most registers that one read request may ask for.
pub(crate) const MOST_READ: u16 = 125;
/// The most registers that one write request may carry.
pub(crate) const MOST_WRITTEN: usize = 123;
/// How many requests may wait for the link. A full queue makes the next caller wait; nothing is shed.
const QUEUE: usize = 4;

/// How to reach one unit of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkSettings {
    /// The server.
    pub address: Address,
    /// The unit identifier: 1 for most devices, others behind a gateway.
    pub unit: u8,
    /// How long opening the link, and each answer, may take.
    pub timeout: Duration,
}

/// A handle to a link. Dropping it closes the connection at once, whatever is under way.
#[derive(Debug)]
pub(crate) struct ModbusSession {
    jobs: mpsc::Sender<Job>,
    task: AbortHandle,
}

#[derive(Debug)]
struct Job {
    request: Request<'static>,
    answer: oneshot::Sender<Result<Vec<u16>, LinkError>>,
}

impl ModbusSession {
    /// Opens a connection within the timeout.
    pub(crate) async fn connect(settings: &LinkSettings, clock: SharedClock) -> Result<Self, LinkError> {
        let LinkSettings { address, unit, timeout } = settings;
        let opening = TcpStream::connect((address.host.as_str(), address.port));
        let stream = until(&*clock, clock.now() + *timeout, opening)
            .await
            .ok_or(LinkError::Timeout(*timeout))?
            .map_err(|error| LinkError::Lost(error.to_string()))?;
        stream.set_nodelay(true).map_err(|error| LinkError::Lost(error.to_string()))?;
        Ok(Self::over(stream, *unit, *timeout, clock))
    }

    /// A session over a stream that is connected already.
    fn over<S>(stream: S, unit: u8, timeout: Duration, clock: SharedClock) -> Self
    where
        S: AsyncRead + AsyncWrite + Debug + Send + Unpin + 'static,
    {
        let context = tcp::attach_slave(Guarded::new(stream), Slave(unit));
        let (jobs, queue) = mpsc::channel(QUEUE);
        let task = tokio::spawn(serve(context, queue, timeout, clock)).abort_handle();
        Self { jobs, task }
    }

    /// Reads `count` registers, 1 to 125. The answer has exactly that many.
    pub(crate) async fn read(&self, table: Table, address: u16, count: u16) -> Result<Vec<u16>, LinkError> {
        debug_assert!((1..=MOST_READ).contains(&count));
        self.ask(match table {
            Table::Holding => Request::ReadHoldingRegisters(address, count),
            Table::Input => Request::ReadInputRegisters(address, count),
        })
        .await
    }

    /// Writes holding registers with one request. After a timeout or a lost link the outcome is unknown.
    pub(crate) async fn write(&self, address: u16, registers: &[u16]) -> Result<(), LinkError> {
        debug_assert!((1..=MOST_WRITTEN).contains(&registers.len()));
        self.ask(Request::WriteMultipleRegisters(address, Cow::Owned(registers.to_vec()))).await.map(drop)
    }

    /// Writes one holding register with function 6. After a timeout or a lost link the outcome is unknown.
    pub(crate) async fn write_one(&self, address: u16, register: u16) -> Result<(), LinkError> {
        self.ask(Request::WriteSingleRegister(address, register)).await.map(drop)
    }

    async fn ask(&self, request: Request<'static>) -> Result<Vec<u16>, LinkError> {
        let (answer, answered) = oneshot::channel();
        let gone = |_| LinkError::Lost("the link was dropped after an error".to_owned());
        self.jobs.send(Job { request, answer }).await.map_err(gone)?;
        // The task answers every job it takes. If it could not, it panicked over what the device sent.
        answered
            .await
            .unwrap_or_else(|_| Err(LinkError::Malformed("the answer cannot be decoded".to_owned())))
    }
}

impl Drop for ModbusSession {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Carries out the queue, one request at a time, until the handle is gone or the link is spoilt.
async fn serve(mut context: Context, mut queue: mpsc::Receiver<Job>, timeout: Duration, clock: SharedClock) {
    while let Some(Job { request, answer }) = queue.recv().await {
        if answer.is_closed() {
            continue; // Abandoned before it was sent: then it is not sent.
        }
        let result = perform(&mut context, request, timeout, &*clock).await;
        let spoilt = result.as_ref().err().is_some_and(|error| !error.keeps_link());
        if spoilt {
            drop(context);
            queue.close();
            _ = answer.send(result);
            while let Some(waiting) = queue.recv().await {
                _ = waiting
                    .answer
                    .send(Err(LinkError::Lost("the link was dropped after an error".to_owned())));
            }
            return;
        }
        _ = answer.send(result);
    }
}

/// Sends one request and judges the answer. Written registers answer with nothing.
async fn perform(
    context: &mut Context,
    request: Request<'static>,
    timeout: Duration,
    clock: &dyn Clock,
) -> Result<Vec<u16>, LinkError> {
    let expected = Expected::of(&request);
    // The client's typed methods only assert the length of an answer; `call` hands it out to be checked.
    match until(clock, clock.now() + timeout, context.call(request)).await {
        None => Err(LinkError::Timeout(timeout)),
        Some(Err(error)) => Err(error.into()),
        Some(Ok(Err(exception))) => Err(LinkError::Exception(exception.into())),
        Some(Ok(Ok(response))) => expected.check(response),
    }
}

/// What makes an answer the answer to a request.
enum Expected {
    Registers(u16),
    Written { address: u16, count: usize },
    WrittenOne { address: u16, register: u16 },
}

impl Expected {
    fn of(request: &Request<'_>) -> Self {
        match request {
            Request::WriteMultipleRegisters(address, registers) => {
                Self::Written { address: *address, count: registers.len() }
            }
            Request::WriteSingleRegister(address, register) => {
                Self::WrittenOne { address: *address, register: *register }
            }
            Request::ReadHoldingRegisters(_, count) | Request::ReadInputRegisters(_, count) => {
                Self::Registers(*count)
            }
            _ => Self::Registers(0),
        }
    }

    fn check(&self, response: Response) -> Result<Vec<u16>, LinkError> {
        match (self, response) {
            (
                Self::Registers(count),
                Response::ReadHoldingRegisters(words) | Response::ReadInputRegisters(words),
            ) => {
                if words.len() == usize::from(*count) {
                    return Ok(words);
                }
                Err(LinkError::Malformed(format!("{} registers instead of {count}", words.len())))
            }
            (Self::Written { address, count }, Response::WriteMultipleRegisters(at, written)) => {
                if at == *address && usize::from(written) == *count {
                    return Ok(Vec::new());
                }
                Err(LinkError::Malformed(format!(
                    "confirms {written} registers at {at} instead of {count} at {address}"
                )))
            }
            (Self::WrittenOne { address, register }, Response::WriteSingleRegister(at, held)) => {
                if at == *address && held == *register {
                    return Ok(Vec::new());
                }
                Err(LinkError::Malformed(format!(
                    "confirms {held} at {at} instead of {register} at {address}"
                )))
            }
            (_, other) => Err(LinkError::Malformed(format!("an answer with {}", other.function_code()))),
        }
    }
}
