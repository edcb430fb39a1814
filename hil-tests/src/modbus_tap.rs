//! A proxy that understands Modbus TCP: a [`ModbusTap`] tells every request and answer as it passes, before and after,
//! so that a test can do something at exactly that moment.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Where an exchange is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The request is here; the device has not seen it.
    Asked,
    /// The device has answered; the client has not seen it.
    Answered,
    /// The client has been sent the answer.
    Told,
}

/// Told of every moment with the request's PDU; whether the exchange goes on.
pub type Watch = Arc<dyn Fn(Moment, &[u8]) -> bool + Send + Sync>;

/// Forwards connections until it is dropped.
pub struct ModbusTap {
    port: u16,
    connections: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

/// A connection that counts while it lives.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl ModbusTap {
    /// A tap before the device at `target`, on a port of its own.
    ///
    /// # Errors
    /// When the operating system gives no port.
    pub async fn start(target: u16, watch: Watch) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let watch = Arc::clone(&watch);
                count.fetch_add(1, Ordering::AcqRel);
                let counted = Counted(Arc::clone(&count));
                tokio::spawn(async move {
                    // A connection that breaks is what tests are about.
                    drop(forward(client, target, watch).await);
                    drop(counted);
                });
            }
        });
        Ok(Self { port, connections, accepting })
    }

    /// How many connections it forwards. What a client that is gone had sent has been forwarded when it is none.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Acquire)
    }

    /// The port to connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for ModbusTap {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// One exchange after the other, as Modbus TCP clients do them.
async fn forward(mut client: TcpStream, target: u16, watch: Watch) -> std::io::Result<()> {
    let mut device = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await?;
    client.set_nodelay(true)?;
    device.set_nodelay(true)?;
    loop {
        let request = frame(&mut client).await?;
        let pdu = &request[HEADER..];
        if !watch(Moment::Asked, pdu) {
            return Ok(());
        }
        device.write_all(&request).await?;
        let answer = frame(&mut device).await?;
        if !watch(Moment::Answered, pdu) {
            return Ok(());
        }
        client.write_all(&answer).await?;
        if !watch(Moment::Told, pdu) {
            return Ok(());
        }
    }
}

/// Transaction, protocol, length and unit.
const HEADER: usize = 7;

async fn frame(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut frame = vec![0; HEADER];
    stream.read_exact(&mut frame).await?;
    // The length counts the unit.
    let rest = usize::from(u16::from_be_bytes([frame[4], frame[5]])).saturating_sub(1);
    frame.resize(HEADER + rest, 0);
    stream.read_exact(&mut frame[HEADER..]).await?;
    Ok(frame)
}
