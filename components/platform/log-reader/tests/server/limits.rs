//! Clients that are slow, greedy or hostile.

use crate::client::{ask, connect};
use crate::rig::{Folder, RUN, Rig, message, small};
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

fn with(change: impl FnOnce(&mut gridloop_log_reader::Limits)) -> Rig {
    let folder = Folder::new();
    folder.store(RUN, small());
    let mut settings = folder.settings();
    change(&mut settings.limits);
    folder.serve(settings)
}

/// Waits until the server has ended the connection; gives what it said before.
fn end_of(stream: &mut TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    // A reset is an end too.
    let _ = stream.read_to_end(&mut said);
    said
}

#[test]
fn a_head_that_does_not_end_ends_the_connection() {
    let rig = with(|limits| limits.request_timeout = Duration::from_millis(300));
    let mut silent = connect(rig.address);
    let mut slow = connect(rig.address);
    slow.write_all(b"GET /simulations HTTP/1.1\r\nHost: x\r\nX-Slow: ").unwrap();
    end_of(&mut silent);
    let said = end_of(&mut slow);
    assert!(!String::from_utf8_lossy(&said).contains("200 OK"));
    assert_eq!(rig.get("/simulations").status, 200);
}

#[test]
fn silent_connections_make_room_for_others() {
    let rig = with(|limits| {
        limits.connections = 4;
        limits.request_timeout = Duration::from_millis(300);
    });
    let silent: Vec<TcpStream> = (0..8).map(|_| connect(rig.address)).collect();
    assert_eq!(rig.get("/simulations").status, 200);
    drop(silent);
}

#[test]
fn a_client_that_takes_nothing_is_left_and_recorded_as_such() {
    let folder = Folder::new();
    let filler = "x".repeat(20_000);
    let large = (0..2_000).map(|number| {
        let message = message("Measured", "grid", number, Some(1), json!({"Filler": filler}));
        ("Measured".to_owned(), message.to_string().into_bytes())
    });
    folder.store(RUN, large);
    let mut settings = folder.settings();
    settings.limits.stall_timeout = Duration::from_millis(300);
    settings.limits.readings = 1;
    let rig = folder.serve(settings);
    let mut lazy = connect(rig.address);
    lazy.write_all(format!("GET /simulations/{RUN}/messages HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
        .unwrap();
    // The only reading is free again once the lazy client is left.
    assert_eq!(rig.of_run("/messages?limit=1").status, 200);
    // Which of the two is recorded first is chance.
    let lines = rig.accesses(2);
    let left = lines.iter().filter(|line| line["status"] == 200 && line["complete"] == false).count();
    assert_eq!(left, 1, "{lines:?}");
    drop(lazy);
}

#[test]
fn a_client_that_goes_away_stops_the_reading() {
    let folder = Folder::new();
    let many = (0..20_000).map(|number| {
        let message = message("Measured", "grid", number, Some(1), json!({"Value": number}));
        ("Measured".to_owned(), message.to_string().into_bytes())
    });
    folder.store(RUN, many);
    let mut settings = folder.settings();
    settings.limits.readings = 1;
    let rig = folder.serve(settings);
    for _ in 0..20 {
        let mut hasty = connect(rig.address);
        hasty
            .write_all(format!("GET /simulations/{RUN}/messages HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
            .unwrap();
        let mut first = [0; 64];
        hasty.read_exact(&mut first).unwrap();
    }
    assert_eq!(rig.of_run("/messages?limit=1").status, 200);
}

#[test]
fn a_series_that_is_too_long_for_json_is_refused_with_a_way_out() {
    let rig = with(|limits| limits.series_values = 4);
    let answer = rig.of_run("/timeseries?attrs=RealPower");
    assert_eq!((answer.status, answer.json()["title"].as_str()), (400, Some("Too many values")));
    assert!(answer.text().contains("format=csv"));
    assert_eq!(rig.of_run("/timeseries?attrs=RealPower&epoch=1").status, 200);
    assert_eq!(rig.of_run("/timeseries?attrs=RealPower&format=csv").status, 200);
}

#[test]
fn hostile_requests_are_refused_and_hurt_nobody() {
    let rig = Rig::small();
    let long = format!("/simulations?fromDate={}", "9".repeat(100_000));
    let mut stream = connect(rig.address);
    // It may stop listening before all of it is sent.
    let _ = stream.write_all(format!("GET {long} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
    assert!(!String::from_utf8_lossy(&end_of(&mut stream)).contains("200 OK"));
    for bytes in [
        &b"\x00\x01\x02\x03\r\n\r\n"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET \r\n\r\n",
        b"\r\n\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        let mut stream = connect(rig.address);
        let _ = stream.write_all(bytes);
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(!String::from_utf8_lossy(&end_of(&mut stream)).contains("200 OK"), "{bytes:?}");
    }
    let pattern = "%23".repeat(80);
    assert_eq!(rig.of_run(&format!("/messages?topic={pattern}")).status, 200);
    assert_eq!(
        ask(rig.address, "GET", "/simulations", &[("Accept-Encoding", "gzip, br;q=9, nonsense")]).status,
        200
    );
}
