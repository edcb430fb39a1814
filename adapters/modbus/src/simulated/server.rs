//! The socket side of a simulated device: [`SimulatedServer`] accepts, reads requests, and writes what the knobs let
//! pass.

use super::codec::{Exception, Registers, Request, exception_pdu, respond, take_request};
use super::knobs::{Fault, Knobs, carries_out, reply};
use gridloop_clock::{SharedClock, sleep};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections served at a time; one more is closed as soon as it is accepted.
const MAX_CONNECTIONS: usize = 16;

/// A simulated device on a socket. It ends when this is dropped.
#[derive(Debug)]
pub struct SimulatedServer {
    local_addr: SocketAddr,
    knobs: Knobs,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl SimulatedServer {
    pub(super) async fn start(
        bind: SocketAddr,
        unit_id: u8,
        registers: impl Registers,
        clock: SharedClock,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(bind).await?;
        let local_addr = listener.local_addr()?;
        let knobs = Knobs::default();
        let device =
            Arc::new(Served { unit_id, registers: Mutex::new(registers), knobs: knobs.clone(), clock });
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let accepting = accept(listener, device, stop.clone(), tasks.clone());
        tasks.spawn(stop.clone().run_until_cancelled_owned(accepting));
        Ok(Self { local_addr, knobs, stop, tasks })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Its knobs.
    #[must_use]
    pub fn knobs(&self) -> Knobs {
        self.knobs.clone()
    }

    /// Closes the socket and every connection, and waits until that is done.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for SimulatedServer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// What the connections share.
struct Served<R> {
    unit_id: u8,
    registers: Mutex<R>,
    knobs: Knobs,
    clock: SharedClock,
}

impl<R: Registers> Served<R> {
    fn answer(&self, request: &Request, fault: Option<Fault>) -> Vec<u8> {
        let function = request.pdu.first().copied().unwrap_or(0);
        if request.unit != self.unit_id {
            return exception_pdu(function, Exception::NobodyBehindGateway as u8);
        }
        if !carries_out(fault) {
            return vec![function];
        }
        let mut registers = self.registers.lock().unwrap_or_else(PoisonError::into_inner);
        respond(&request.pdu, &mut *registers)
    }
}

async fn accept<R: Registers>(
    listener: TcpListener,
    device: Arc<Served<R>>,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    let connections = Arc::new(tokio::sync::Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: others may soon give some back.
            sleep(&*device.clock, Duration::from_millis(100)).await;
            continue;
        };
        let Ok(permit) = Arc::clone(&connections).try_acquire_owned() else { continue };
        let (device, stop) = (Arc::clone(&device), stop.clone());
        tasks.spawn(async move {
            // A connection that breaks is the peer's business; the device listens on.
            let _ = stop.run_until_cancelled(converse(stream, &device)).await;
            drop(permit);
        });
    }
}

/// Answers one peer until it leaves, breaks, or speaks something else.
async fn converse<R: Registers>(mut stream: TcpStream, device: &Served<R>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    let mut chunk = [0; 512];
    loop {
        while let Some(request) = take_request(&mut buffer).map_err(|_| io::ErrorKind::InvalidData)? {
            let (fault, delay) = device.knobs.next();
            let reply = reply(&request, &device.answer(&request, fault), fault);
            if !delay.is_zero() {
                sleep(&*device.clock, delay).await;
            }
            stream.write_all(&reply.bytes).await?;
            if reply.then_close {
                return Ok(());
            }
        }
        match stream.read(&mut chunk).await? {
            0 => return Ok(()),
            length => buffer.extend_from_slice(&chunk[..length]),
        }
    }
}
