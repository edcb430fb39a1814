//! Connections: [`Server`] accepts them, encrypts them, and sees to it that none of them hurts the others.

mod patient;

use crate::access::{Guard, Peer, Recorder, TokenError, TokenFile};
use crate::http::{Reader, router};
use crate::settings::{Limits, Settings};
use crate::tls::{Tls, TlsError};
use axum::{Extension, Router};
use gridloop_clock::{SharedClock, sleep, until};
use gridloop_logging::archive::{Archive, ArchiveError};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use patient::Patient;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long answers under way may take when the server is told to stop.
const FAREWELL: Duration = Duration::from_secs(10);
/// Before another try when the operating system has no connection to give.
const BREATH: Duration = Duration::from_millis(100);
/// The most bytes that the head of a request may have.
const HEAD_MAX: usize = 1 << 16;

/// The Log Reader could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Others would be served without tokens or without encryption.
    #[error(
        "{address} can be reached from other machines, and {missing}; give what is missing, listen on 127.0.0.1, or \
         say that this is meant with --insecure"
    )]
    Exposed {
        /// Where it would have listened.
        address: SocketAddr,
        /// What is missing.
        missing: &'static str,
    },
    /// The address is taken, or none of this machine.
    #[error("listen on {address}: {source}")]
    Listen {
        /// The address as it was given.
        address: String,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The file of tokens.
    #[error("the tokens: {0}")]
    Tokens(#[from] TokenError),
    /// The certificate.
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
    /// The store.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The record of accesses.
    #[error("the access log: {0}")]
    AccessLog(std::io::Error),
}

/// A Log Reader that listens.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
    tls: Option<Arc<Tls>>,
    clock: SharedClock,
    limits: Limits,
}

impl Server {
    /// Checks everything and begins to listen. Connections wait until [`Server::serve`].
    ///
    /// # Errors
    /// When something is missing or wrong; nothing is served then.
    pub async fn bind(settings: Settings, clock: SharedClock) -> Result<Self, ServerError> {
        let listen = |source| ServerError::Listen { address: settings.listen.clone(), source };
        let addresses: Vec<SocketAddr> = lookup_host(&settings.listen).await.map_err(listen)?.collect();
        check_exposure(&settings, &addresses)?;
        let guard = Guard::new(clock.clone(), settings.tokens.clone().map(TokenFile::new))?;
        let tls = settings.tls.clone().map(|files| Tls::load(files, clock.clone())).transpose()?;
        let recorder = Recorder::open(clock.clone(), &settings.access_log).map_err(ServerError::AccessLog)?;
        let archive = Archive::open(&settings.store).await?;
        let reader = Reader::new(archive, clock.clone(), settings.limits);
        let router = router(reader, Arc::new(guard), Arc::new(recorder));
        let listener = TcpListener::bind(&addresses[..]).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        Ok(Self { listener, address, router, tls: tls.map(Arc::new), clock, limits: settings.limits })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where a client on this machine finds it.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Serves until it is told to stop; answers under way may then take a little longer.
    pub async fn serve(self, stop: CancellationToken) {
        let connections = Arc::new(Semaphore::new(self.limits.connections));
        let tasks = TaskTracker::new();
        loop {
            let accepted = async {
                // Closed only when this loop has ended.
                let permit = connections.clone().acquire_owned().await.ok()?;
                Some((self.listener.accept().await, permit))
            };
            // To stop comes first: a server under load is stopped too.
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                accepted = accepted => accepted,
            };
            let Some((accepted, permit)) = accepted else { break };
            match accepted {
                Ok((stream, peer)) => {
                    let connection = self.connection(peer, stop.clone());
                    tasks.spawn(async move {
                        connection.talk(stream).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!("no connection accepted: {error}");
                    sleep(&*self.clock, BREATH).await;
                }
            }
        }
        tasks.close();
        let end = self.clock.now() + FAREWELL;
        if until(&*self.clock, end, tasks.wait()).await.is_none() {
            tracing::warn!("{} answers were broken off", tasks.len());
        }
    }

    fn connection(&self, peer: SocketAddr, stop: CancellationToken) -> Connection {
        Connection {
            router: self.router.clone().layer(Extension(Peer(peer))),
            tls: self.tls.clone(),
            clock: self.clock.clone(),
            limits: self.limits,
            peer,
            stop,
        }
    }
}

/// Refuses to serve other machines without tokens and TLS, unless that is meant.
fn check_exposure(settings: &Settings, addresses: &[SocketAddr]) -> Result<(), ServerError> {
    let Some(address) = addresses.iter().find(|address| !address.ip().is_loopback()) else { return Ok(()) };
    let missing = match (&settings.tokens, &settings.tls) {
        (Some(_), Some(_)) => return Ok(()),
        (None, None) => "there are neither tokens nor a certificate",
        (None, Some(_)) => "there are no tokens",
        (Some(_), None) => "there is no certificate",
    };
    if settings.insecure {
        tracing::warn!("{address} can be reached from other machines, and {missing}");
        return Ok(());
    }
    Err(ServerError::Exposed { address: *address, missing })
}

/// One client.
struct Connection {
    router: Router,
    tls: Option<Arc<Tls>>,
    clock: SharedClock,
    limits: Limits,
    peer: SocketAddr,
    stop: CancellationToken,
}

impl Connection {
    async fn talk(self, stream: TcpStream) {
        // Small answers go out at once.
        let _ = stream.set_nodelay(true);
        let Some(tls) = self.tls.clone() else { return self.http(stream).await };
        let end = self.clock.now() + self.limits.request_timeout;
        match until(&*self.clock, end, tls.acceptor().accept(stream)).await {
            Some(Ok(stream)) => self.http(stream).await,
            Some(Err(error)) => tracing::info!("{}: no TLS: {error}", self.peer),
            None => tracing::info!("{}: took too long for the TLS handshake", self.peer),
        }
    }

    async fn http(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let stream = Patient::new(stream, self.clock.clone(), self.limits.stall_timeout);
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(self.limits.request_timeout)
                .max_buf_size(HEAD_MAX)
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(self.router))
        );
        // To stop comes first; the connection then ends with the answer under way.
        let ended = tokio::select! {
            biased;
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
            ended = connection.as_mut() => ended,
        };
        if let Err(error) = ended {
            tracing::info!("{}: {error}", self.peer);
        }
    }
}
