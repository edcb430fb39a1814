//! The Log Reader on a stored run of a million messages: the time until the first byte of an answer, whose floor is the
//! same question about a run of a hundred, and how fast the whole answer comes, whose floor is reading the same bodies
//! out of the file.

use crate::figure::{Figure, alternate, median, per_second};
use crate::log_writer::body;
use anyhow::{Context, ensure};
use gridloop_bus::Bus;
use gridloop_clock::SharedClock;
use gridloop_log_reader::{AccessLog, Server, Settings};
use gridloop_logging::bare::read_from_sqlite;
use gridloop_logging::{RunLog, StoreUrl};
use gridloop_messages::SimulationId;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

pub(crate) const FIRST_BYTE: &str = "log_reader_first_byte_us";
pub(crate) const MESSAGES: &str = "log_reader_messages_per_s";

const LARGE: u32 = 1_000_000;
const SMALL: u32 = 100;
/// Questions of a block.
const QUESTIONS: u32 = 50;

pub(crate) async fn first_byte(clock: &SharedClock) -> anyhow::Result<Figure> {
    let served = Served::new(clock).await?;
    let work = async || served.typical_first_byte(&served.large, clock).await;
    let floor = async || served.typical_first_byte(&served.small, clock).await;
    alternate(FIRST_BYTE, "us, less is better", work, floor).await
}

pub(crate) async fn messages(clock: &SharedClock) -> anyhow::Result<Figure> {
    let served = Served::new(clock).await?;
    let work = async || {
        let began = clock.now();
        let (_, bytes) = ask(served.address, &served.large, usize::MAX, clock).await?;
        ensure!(bytes > LARGE as usize * 100, "the answer has only {bytes} bytes");
        Ok(per_second(LARGE, clock.now().since(began)))
    };
    let floor = async || {
        let path = served.file(&served.large);
        let began = clock.now();
        let (count, _) = tokio::task::block_in_place(|| read_from_sqlite(&path))?;
        ensure!(count == u64::from(LARGE), "{count} messages are in the file");
        Ok(per_second(LARGE, clock.now().since(began)))
    };
    alternate(MESSAGES, "messages/s", work, floor).await
}

/// A Log Reader on two stored runs.
struct Served {
    folder: TempDir,
    large: SimulationId,
    small: SimulationId,
    address: SocketAddr,
    stop: CancellationToken,
}

impl Served {
    async fn new(clock: &SharedClock) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let large = SimulationId::parse("2026-01-01T00:00:00.000Z")?;
        let small = SimulationId::parse("2026-01-02T00:00:00.000Z")?;
        for (id, messages) in [(&large, LARGE), (&small, SMALL)] {
            store(folder.path(), id, messages, clock).await?;
        }
        let settings = Settings {
            store: StoreUrl::Sqlite(folder.path().to_owned()),
            listen: "127.0.0.1:0".into(),
            access_log: AccessLog::File(folder.path().join("access.jsonl")),
            ..Settings::default()
        };
        let server = Server::bind(settings, clock.clone()).await?;
        let (address, stop) = (server.address(), CancellationToken::new());
        tokio::spawn(server.serve(stop.clone()));
        Ok(Self { folder, large, small, address, stop })
    }

    fn file(&self, id: &SimulationId) -> PathBuf {
        file(self.folder.path(), id)
    }

    /// The median over some questions, in microseconds.
    async fn typical_first_byte(&self, id: &SimulationId, clock: &SharedClock) -> anyhow::Result<f64> {
        let mut taken = Vec::new();
        for _ in 0..QUESTIONS {
            taken.push(ask(self.address, id, 1, clock).await?.0.as_secs_f64() * 1e6);
        }
        Ok(median(taken))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn file(runs: &Path, id: &SimulationId) -> PathBuf {
    runs.join(id.compact()).join("messages.sqlite")
}

/// Writes a run as `gridloop run` does.
async fn store(runs: &Path, id: &SimulationId, messages: u32, clock: &SharedClock) -> anyhow::Result<()> {
    let path = file(runs, id);
    std::fs::create_dir_all(path.parent().context("the file has no folder")?)?;
    let bus = Bus::memory(None);
    let log = RunLog::start(&path, &bus.session(), clock.clone(), false).await?;
    for n in 1..=messages {
        bus.publish("ResourceState.Load.house", body(id, n).into()).await?;
    }
    let counts = log.finish().await;
    ensure!(counts.stored == u64::from(messages), "stored: {counts:?}");
    Ok(())
}

/// Asks for all messages of a run; gives the time to the first byte of the answer's body, and how many bytes were read
/// of it, at most about `enough`.
async fn ask(
    address: SocketAddr,
    id: &SimulationId,
    enough: usize,
    clock: &SharedClock,
) -> anyhow::Result<(Duration, usize)> {
    let began = clock.now();
    let mut stream = TcpStream::connect(address).await?;
    let request =
        format!("GET /simulations/{id}/messages HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let (mut head, mut buffer) = (Vec::new(), vec![0; 1 << 18]);
    let (mut first, mut bytes) = (None, 0);
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            break;
        }
        if first.is_some() {
            bytes += read;
        } else {
            head.extend_from_slice(&buffer[..read]);
            if let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") {
                ensure!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head[..end]));
                bytes = head.len() - end - 4;
                if bytes > 0 {
                    first = Some(clock.now().since(began));
                }
            }
        }
        if first.is_some() && bytes >= enough {
            break;
        }
    }
    Ok((first.context("the answer has no body")?, bytes))
}
