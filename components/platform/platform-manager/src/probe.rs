//! `gridloop probe`: whether a service of ours answers, for the health checks of containers, whose images have no other
//! client.

use crate::context::FAILED;
use clap::Args;
use gridloop_clock::{Clock, WallClock, until};
use std::process::ExitCode;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What is asked. A service that expects TLS answers with an alert, which is an answer too.
const QUESTION: &[u8] = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

#[derive(Debug, Args)]
pub(crate) struct ProbeArgs {
    /// Where it listens, host:port.
    #[arg(default_value = "127.0.0.1:8080")]
    address: String,
    /// Seconds that it may take.
    #[arg(long, value_name = "S", default_value_t = 5)]
    within: u64,
}

/// `gridloop probe`
pub(crate) fn probe(args: &ProbeArgs) -> anyhow::Result<ExitCode> {
    match trouble(args)? {
        None => Ok(ExitCode::SUCCESS),
        Some(trouble) => {
            eprintln!("{}: {trouble}", args.address);
            Ok(ExitCode::from(FAILED))
        }
    }
}

/// What is wrong with the service, if anything is.
fn trouble(args: &ProbeArgs) -> anyhow::Result<Option<String>> {
    let clock = WallClock::start()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let deadline = clock.now() + Duration::from_secs(args.within);
    Ok(match runtime.block_on(until(&clock, deadline, ask(&args.address))) {
        None => Some(format!("does not answer within {} s", args.within)),
        Some(Err(error)) => Some(error.to_string()),
        Some(Ok(answer)) => flaw(&answer),
    })
}

/// The beginning of the answer.
async fn ask(address: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(QUESTION).await?;
    let mut answer = Vec::new();
    // Long enough for the line that counts.
    stream.take(64).read_to_end(&mut answer).await?;
    Ok(answer)
}

/// What is wrong with an answer.
fn flaw(answer: &[u8]) -> Option<String> {
    match String::from_utf8_lossy(answer).lines().next() {
        None => Some("says nothing".to_owned()),
        Some(status) if status.starts_with("HTTP/") && !status.contains(" 200 ") => {
            Some(format!("answers {status}"))
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    fn of(listener: &TcpListener, within: u64) -> Option<String> {
        let address = listener.local_addr().expect("an address").to_string();
        trouble(&ProbeArgs { address, within }).expect("an attempt")
    }

    #[test]
    fn a_service_that_answers_is_well() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut client, _) = listener.accept().expect("a client");
                let mut question = vec![0; QUESTION.len()];
                client.read_exact(&mut question).expect("a question");
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\nwell\n").expect("an answer");
            });
            assert_eq!(of(&listener, 60), None);
        });
    }

    #[test]
    fn a_service_that_accepts_and_is_silent_is_not_well() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        assert_eq!(of(&listener, 0).as_deref(), Some("does not answer within 0 s"));
    }

    #[test]
    fn where_nobody_listens_nobody_is_well() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        drop(listener);
        let trouble = trouble(&ProbeArgs { address, within: 60 }).expect("an attempt");
        assert!(trouble.is_some_and(|trouble| trouble.contains("refused")));
    }

    #[test]
    fn only_silence_and_trouble_are_flaws() {
        assert_eq!(flaw(b"HTTP/1.1 200 OK\r\n"), None);
        assert_eq!(flaw(b"\x15\x03\x03\x00\x02\x02\x32"), None, "an alert of TLS");
        assert_eq!(
            flaw(b"HTTP/1.1 503 Service Unavailable\r\n").as_deref(),
            Some("answers HTTP/1.1 503 Service Unavailable")
        );
        assert_eq!(flaw(b"").as_deref(), Some("says nothing"));
    }
}
