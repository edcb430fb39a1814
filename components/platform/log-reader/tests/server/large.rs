//! A run that is larger than what the server holds of it. The larger one takes minutes:
//! `cargo test --release -p gridloop-log-reader --test server -- --ignored`.

use crate::client::connect;
use crate::rig::{Folder, RUN, Rig, message};
use serde_json::json;
use std::io::{Read as _, Write as _};

/// A server on a run of so many messages.
fn rig(messages: u32) -> Rig {
    let folder = Folder::new();
    let epochs = messages / 10 + 1;
    let all = (0..messages).map(|number| {
        let epoch = i64::from(number / 10) + 1;
        if number % 10 == 0 {
            let minute = |epoch: i64| format!("2023-{:02}-{:02}T{:02}:{:02}:00.000Z", epoch / 40_320 + 1, epoch / 1440 % 28 + 1, epoch / 60 % 24, epoch % 60);
            let times = json!({"StartTime": minute(epoch), "EndTime": minute(epoch + 1)});
            return ("Epoch".to_owned(), message("Epoch", "manager", number, Some(epoch), times).to_string().into_bytes());
        }
        let fields = json!({"RealPower": {"Value": f64::from(number) / 8.0, "UnitOfMeasure": "kW"}, "Filler": "x".repeat(200)});
        let source = format!("home{}", number % 10);
        (format!("Load.{source}"), message("Measured", &source, number, Some(epoch), fields).to_string().into_bytes())
    });
    folder.store(RUN, all);
    assert!(epochs < 500_000);
    let settings = folder.settings();
    folder.serve(settings)
}

/// Memory of this process in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Takes an answer and throws it away; gives its length and by how much this process grew meanwhile, in KiB.
fn drain(rig: &Rig, target: &str) -> (u64, u64) {
    let mut stream = connect(rig.address);
    stream
        .write_all(
            format!("GET /simulations/{RUN}{target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                .as_bytes(),
        )
        .unwrap();
    let before = resident_kib();
    let (mut total, mut most, mut buffer) = (0, before, vec![0; 1 << 16]);
    for turn in 0_u32.. {
        let length = stream.read(&mut buffer).unwrap();
        if length == 0 {
            assert!(
                buffer.starts_with(b"0\r\n\r\n") || buffer.windows(5).any(|end| end == b"0\r\n\r\n"),
                "it was cut off"
            );
            break;
        }
        total += length as u64;
        if turn % 64 == 0 {
            most = most.max(resident_kib());
        }
    }
    (total, most - before)
}

fn holds_little(messages: u32, bound_kib: u64) {
    let rig = rig(messages);
    for target in ["/messages", "/timeseries?attrs=RealPower&format=csv"] {
        let (total, grown_kib) = drain(&rig, target);
        assert!(total > u64::from(messages) * 3, "{target}: only {total} bytes");
        assert!(grown_kib < bound_kib, "{target}: {grown_kib} KiB more for {total} bytes");
    }
}

#[test]
fn an_answer_of_many_megabytes_is_streamed() {
    holds_little(60_000, 48 * 1024);
}

#[test]
#[ignore = "takes minutes"]
fn a_million_messages_are_streamed_in_the_same_memory() {
    holds_little(1_000_000, 96 * 1024);
}
