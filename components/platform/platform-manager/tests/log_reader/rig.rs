//! A Log Reader process, a model beside it, and a plain client.

use bytes::Bytes;
use gridloop_bus::Bus;
use gridloop_clock::{SharedClock, WallClock};
use gridloop_logging::RunLog;
use gridloop_messages::SimulationId;
use serde_json::json;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crate::generated::Run;

/// The built binary in an empty environment of ours.
pub(crate) fn gridloop(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gridloop"));
    command.args(arguments).stdin(Stdio::null());
    for name in ["RUST_LOG", "SIMULATION_ID", "LOGREADER_TOKENS", "LOGREADER_HOST", "LOGREADER_PORT"] {
        command.env_remove(name);
    }
    command
}

/// A Log Reader process. It is killed when this is dropped.
pub(crate) struct Reader {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) said: String,
}

impl Reader {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut all = vec!["log-reader", "--listen", "127.0.0.1:0"];
        all.extend(arguments);
        Self::of(gridloop(&all))
    }

    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let said = lines.by_ref().map_while(Result::ok).find(|line| line.starts_with("serving"));
        let said = said.expect("it serves");
        // What it says later must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let address = said.rsplit("://").next().unwrap().parse().unwrap();
        Self { child, address, said }
    }

    pub(crate) fn get(&self, target: &str) -> (u16, Vec<u8>) {
        get(self.address, target, None)
    }

    /// Asks it to stop and gives its exit code.
    pub(crate) fn stop(mut self) -> i32 {
        let process = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap().code().expect("no other signal")
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // One that has ended cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Status and body.
pub(crate) fn get(server: SocketAddr, target: &str, token: Option<&str>) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    // HTTP/1.0 knows no chunks.
    stream.write_all(format!("GET {target} HTTP/1.0\r\nHost: reader\r\n{token}\r\n").as_bytes()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    let status = std::str::from_utf8(&bytes[9..12]).unwrap().parse().unwrap();
    (status, bytes[end + 4..].to_vec())
}

/// Stores a run in SQLite as its log does.
pub(crate) async fn store(runs: &Path, run: &Run) {
    let folder = runs.join(SimulationId::parse(&run.id).unwrap().compact());
    std::fs::create_dir_all(&folder).unwrap();
    let clock: SharedClock = Arc::new(WallClock::start().unwrap());
    let bus = Bus::memory(None);
    let log = RunLog::start(&folder.join("messages.sqlite"), &bus, clock, false).await.unwrap();
    for (topic, body) in &run.messages {
        bus.publish(topic, Bytes::from(body.clone())).await.unwrap();
    }
    let counts = log.finish().await;
    assert_eq!((counts.stored, counts.error), (run.messages.len() as u64, None));
}

/// Writes what was published, one message a line.
pub(crate) fn write(path: &Path, run: &Run) {
    let lines =
        run.messages.iter().map(|(topic, body)| format!("{}\n", json!({"topic": topic, "body": body})));
    std::fs::write(path, lines.collect::<String>()).unwrap();
}
