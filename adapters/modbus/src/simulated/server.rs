//! The wire's side of a simulated device: [`SimulatedServer`] listens where [`Bind`] says, reads requests, and writes
//! what the knobs let pass.

use super::bind::{Bind, Rights, Security};
use super::codec::{Exception, Framing, Registers, Request, Taken, exception_pdu, respond, take_request};
use super::knobs::{Fault, Knobs, carries_out, reply};
use super::secure::{self, Client};
use crate::address::{Address, SerialLine};
use crate::session::open_port;
use gridloop_clock::{SharedClock, sleep, until};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_serial::SerialStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

/// Connections served at a time; one more is closed as soon as it is accepted.
const MAX_CONNECTIONS: usize = 16;
/// How long a client may take to shake hands.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long it takes to look for a port or for file descriptors again.
const PAUSE: Duration = Duration::from_millis(100);
/// The silence that ends an RTU frame of which nothing more is known. Operating systems hand on bytes in heaps, so it
/// is longer than on the wire.
const GAP: Duration = Duration::from_millis(50);

/// A simulated device on a socket or a serial port. It ends when this is dropped.
#[derive(Debug)]
pub struct SimulatedServer {
    local_addr: SocketAddr,
    address: Address,
    knobs: Knobs,
    refusals: Arc<AtomicU64>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl SimulatedServer {
    pub(super) async fn start(
        bind: Bind,
        unit_id: u8,
        registers: impl Registers,
        clock: SharedClock,
    ) -> io::Result<Self> {
        let knobs = Knobs::default();
        let refusals = Arc::new(AtomicU64::new(0));
        let device = Arc::new(Served {
            unit_id,
            registers: Mutex::new(registers),
            knobs: knobs.clone(),
            refusals: Arc::clone(&refusals),
            clock,
        });
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let local_addr = match &bind {
            Bind::Rtu { path, line } => {
                let port = open_port(path, *line).map_err(io::Error::other)?;
                let serving = serve_port(port, path.clone(), *line, device);
                tasks.spawn(stop.clone().run_until_cancelled_owned(serving));
                SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))
            }
            Bind::Tcp(address) | Bind::RtuOverTcp(address) | Bind::Tls { address, .. } => {
                let listener = TcpListener::bind(address).await?;
                let local_addr = listener.local_addr()?;
                let accepting = accept(listener, bind.clone(), device, stop.clone(), tasks.clone());
                tasks.spawn(stop.clone().run_until_cancelled_owned(accepting));
                local_addr
            }
        };
        Ok(Self { local_addr, address: bind.address(local_addr), knobs, refusals, stop, tasks })
    }

    /// The socket that it listens at; unspecified on a serial port.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Where a driver finds it. On a serial port that is the port it has opened itself; the driver needs the other end.
    #[must_use]
    pub fn address(&self) -> Address {
        self.address.clone()
    }

    /// Its knobs.
    #[must_use]
    pub fn knobs(&self) -> Knobs {
        self.knobs.clone()
    }

    /// How many requests were refused because the client's role may not make them. Each is in the log, too.
    #[must_use]
    pub fn not_authorised(&self) -> u64 {
        self.refusals.load(Ordering::Relaxed)
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
    refusals: Arc<AtomicU64>,
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

    /// The refusal of a request that the client may not make ("MODBUS/TCP Security Protocol Specification", 8.4).
    fn refuse(&self, request: &Request, peer: &Peer) -> Option<Vec<u8>> {
        let client = peer.client.as_ref()?;
        let function = request.pdu.first().copied().unwrap_or(0);
        let allowed = match client.rights {
            Some(Rights::ReadAndWrite) => true,
            Some(Rights::Read) => matches!(function, 3 | 4),
            None => false,
        };
        if allowed {
            return None;
        }
        self.refusals.fetch_add(1, Ordering::Relaxed);
        let role = client.role.as_deref().unwrap_or("none");
        warn!(peer = %peer.name, role, unit = request.unit, function, "not authorised: refused with exception 01");
        Some(exception_pdu(function, Exception::IllegalFunction as u8))
    }
}

/// The other end of a connection.
struct Peer {
    name: String,
    /// Who it is, on TLS.
    client: Option<Client>,
}

async fn accept<R: Registers>(
    listener: TcpListener,
    bind: Bind,
    device: Arc<Served<R>>,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    let connections = Arc::new(tokio::sync::Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            // Out of file descriptors, most likely: others may soon give some back.
            sleep(&*device.clock, PAUSE).await;
            continue;
        };
        let Ok(permit) = Arc::clone(&connections).try_acquire_owned() else { continue };
        let (device, stop, bind) = (Arc::clone(&device), stop.clone(), bind.clone());
        tasks.spawn(async move {
            // A connection that breaks is the peer's business; the device listens on.
            let _ = stop.run_until_cancelled(welcome(stream, peer, &bind, &device)).await;
            drop(permit);
        });
    }
}

async fn welcome<R: Registers>(
    stream: TcpStream,
    peer: SocketAddr,
    bind: &Bind,
    device: &Served<R>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let peer = Peer { name: peer.to_string(), client: None };
    match bind {
        Bind::Tls { security, .. } => converse_securely(stream, peer, security, device).await,
        Bind::RtuOverTcp(_) => converse(stream, Framing::Rtu, &peer, device).await,
        Bind::Tcp(_) | Bind::Rtu { .. } => converse(stream, Framing::Tcp, &peer, device).await,
    }
}

async fn converse_securely<R: Registers>(
    stream: TcpStream,
    mut peer: Peer,
    security: &Security,
    device: &Served<R>,
) -> io::Result<()> {
    let deadline = device.clock.now() + HANDSHAKE;
    let accepting = secure::accept(stream, security, &device.clock);
    match until(&*device.clock, deadline, accepting).await {
        Some(Ok((stream, client))) => {
            info!(peer = %peer.name, role = client.role.as_deref().unwrap_or("none"), "a client was let in");
            peer.client = Some(client);
            converse(stream, Framing::Tcp, &peer, device).await
        }
        Some(Err(why)) => {
            warn!(peer = %peer.name, "a client was not let in: {why}");
            Ok(())
        }
        None => Ok(()),
    }
}

/// Serves a port, and opens it again when it breaks, for as long as it takes.
async fn serve_port<R: Registers>(
    mut port: SerialStream,
    path: PathBuf,
    line: SerialLine,
    device: Arc<Served<R>>,
) {
    let peer = Peer { name: path.display().to_string(), client: None };
    loop {
        // A line that breaks is opened again; what was on it is lost.
        let _ = converse(port, Framing::Rtu, &peer, &*device).await;
        port = loop {
            sleep(&*device.clock, PAUSE).await;
            if let Ok(port) = open_port(&path, line) {
                break port;
            }
        };
    }
}

/// Answers one peer until it leaves, breaks, or speaks something else.
async fn converse<S, R>(mut stream: S, framing: Framing, peer: &Peer, device: &Served<R>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
    R: Registers,
{
    let mut buffer = Vec::new();
    let mut chunk = [0; 512];
    let mut silent = false;
    loop {
        while let Taken::Request(request) =
            take_request(framing, &mut buffer, silent).map_err(|_| io::ErrorKind::InvalidData)?
        {
            if framing == Framing::Rtu && request.unit != device.unit_id {
                continue; // Somebody else on the line is meant, and will answer.
            }
            let (fault, delay) = device.knobs.next();
            let pdu = match device.refuse(&request, peer) {
                Some(refusal) => refusal,
                None => device.answer(&request, fault),
            };
            let reply = reply(&request, &pdu, fault);
            if !delay.is_zero() {
                sleep(&*device.clock, delay).await;
            }
            stream.write_all(&reply.bytes).await?;
            stream.flush().await?;
            if reply.then_close {
                return Ok(());
            }
        }
        let reading = stream.read(&mut chunk);
        let read = if framing == Framing::Rtu && !buffer.is_empty() {
            until(&*device.clock, device.clock.now() + GAP, reading).await
        } else {
            Some(reading.await)
        };
        silent = read.is_none();
        match read.transpose()? {
            None => {}
            Some(0) => return Ok(()),
            Some(length) => buffer.extend_from_slice(&chunk[..length]),
        }
    }
}
