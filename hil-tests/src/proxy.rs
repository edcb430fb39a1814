//! A TCP proxy that spoils connections on request.
//!
//! A [`Proxy`] forwards every connection to one port on 127.0.0.1. It can reset all of them, cut them as a cable is cut,
//! so that neither side learns of it, or stop forwarding without closing anything and go on later.

use std::net::Ipv4Addr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Forwards connections until it is dropped.
pub struct Proxy {
    port: u16,
    state: watch::Sender<State>,
    accepting: JoinHandle<()>,
}

#[derive(Clone, Copy, Default)]
struct State {
    resets: u64,
    cuts: u64,
    stalled: bool,
}

impl Proxy {
    /// A proxy for `target` on a port of its own.
    ///
    /// # Errors
    /// When the operating system gives no port.
    pub async fn start(target: u16) -> std::io::Result<Self> {
        Self::start_at(Ipv4Addr::LOCALHOST, target).await
    }

    /// A proxy for `target` that listens at another address of this host, where containers can reach it.
    ///
    /// # Errors
    /// When the operating system gives no port.
    pub async fn start_at(address: Ipv4Addr, target: u16) -> std::io::Result<Self> {
        let listener = TcpListener::bind((address, 0)).await?;
        let port = listener.local_addr()?.port();
        let (state, spoil) = watch::channel(State::default());
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, target, spoil.clone()));
            }
        });
        Ok(Self { port, state, accepting })
    }

    /// The port to connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Resets all connections (RST, both ways). New ones are forwarded.
    pub fn reset(&self) {
        self.state.send_modify(|state| state.resets += 1);
    }

    /// Cuts all connections: nothing passes any more, not even that an end has been closed. New ones are forwarded.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }

    /// Stops forwarding, on present and new connections, and closes nothing.
    pub fn stall(&self) {
        self.state.send_modify(|state| state.stalled = true);
    }

    /// Forwards again.
    pub fn resume(&self) {
        self.state.send_modify(|state| state.stalled = false);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn forward(mut client: TcpStream, target: u16, mut spoil: watch::Receiver<State>) {
    let State { resets, cuts, .. } = *spoil.borrow_and_update();
    let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let upward = spoil.clone();
    let downward = spoil.clone();
    {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let spoilt = |state: &State| state.resets != resets || state.cuts != cuts;
        // What spoils a connection comes before traffic, which may never pause.
        tokio::select! {
            biased;
            spoilt = spoil.wait_for(spoilt) => if spoilt.is_err() { return },
            () = pump(from_client, to_server, upward) => return,
            () = pump(from_server, to_client, downward) => return,
        }
    }
    // A cut lasts until the proxy goes; a reset ends it.
    if spoil.wait_for(|state| state.resets != resets).await.is_err() {
        return;
    }
    let _ = (client.set_zero_linger(), server.set_zero_linger());
}

/// Forwards in one direction until either end is closed.
async fn pump(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, mut spoil: watch::Receiver<State>) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(size @ 1..) = from.read(&mut buffer).await else { return };
        if spoil.wait_for(|state| !state.stalled).await.is_err()
            || to.write_all(&buffer[..size]).await.is_err()
        {
            return;
        }
    }
}
