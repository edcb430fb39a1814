//! Bodies made to take as much memory as they can (fault F23): what decoding takes is bounded by the size of a body and
//! by the number of values in it.
//!
//! This is a test program of its own, because it looks at the most memory that the process ever had.

use gridloop_messages::{DecodeError, MAX_BODY_BYTES, Timestamp, decode};

/// More than this the process may not take, whatever it decodes, the body itself included.
const MOST_MIB: u64 = 200;

/// The most memory that this process had so far in MiB.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() / 1024
}

/// As many repetitions as fit into the largest body.
fn filled(start: &str, repeated: &str, end: &str) -> String {
    let room = MAX_BODY_BYTES - start.len() - end.len();
    format!("{start}{}{end}", repeated.repeat(room / repeated.len()))
}

#[test]
fn no_body_takes_more_than_its_bound_and_none_makes_decode_panic() {
    const RUN: &str = r#"{"SimulationId":"2025-06-01T11:59:00.000Z","Type":"#;
    let known = format!(r#"{RUN}"DeviceState","SourceProcessId":"a","MessageId":"a-1","EpochNumber":1,"#);
    let result = format!(r#"{RUN}"Result","SourceProcessId":"a","MessageId":"a-1","EpochNumber":1,"#);
    let triggers = r#""TriggeringMessageIds":["b-1"],"#;
    let deep = format!("{}{},", "[".repeat(120), "]".repeat(120));
    let bodies: [(String, &str, &str); 21] = [
        ("[".to_owned(), "0,", "0]"),
        ("[".to_owned(), "[],", "0]"),
        ("[".to_owned(), "[0],", "0]"),
        ("[".to_owned(), "{},", "0]"),
        ("{".to_owned(), r#""":0,"#, r#""":0}"#),
        ("[".to_owned(), r#"{"":{"":0}},"#, "0]"),
        ("[".to_owned(), "NaN,", "0]"),
        ("[".to_owned(), "-Infinity,", "0]"),
        ("[".to_owned(), r#""\u0000","#, "0]"),
        ("".to_owned(), "[", ""),
        ("[".to_owned(), &deep, "0]"),
        (format!(r#"{RUN}"x","a":"#), "9", "}"),
        (format!(r#"{RUN}"x","a":0."#), "9", "}"),
        (format!(r#"{RUN}"x","a":""#), r"\n", "\"}"),
        (format!(r#"{RUN}""#), "x", "\"}"),
        (format!(r#"{RUN}"x","a":["#), r#""aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","#, "0]}"),
        (format!(r#"{RUN}"x","a":["#), r"{},", "0]}"),
        (format!(r#"{known}{triggers}"DeviceId":"d","Points":{{"#), r#""p":1,"#, r#""p":1}}"#),
        (format!(r#"{known}"TriggeringMessageIds":["#), r#""aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","#, "\"\"]}"),
        (format!(r#"{result}{triggers}"a":["#), r#""aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","#, "0]}"),
        (format!(r#"{result}{triggers}"a":["#), r#"{"aaaaaaaaaaaaaaaaaaaaaaaaa":NaN},"#, "0]}"),
    ];
    let mut too_many = 0;
    for (start, repeated, end) in bodies {
        // One at a time: each is as large as a body may be.
        let body = filled(&start, repeated, end);
        assert!(body.len() <= MAX_BODY_BYTES);
        let decoded = decode(body.as_bytes(), Timestamp::parse("2025-06-01").unwrap());
        too_many += u8::from(matches!(decoded, Err(DecodeError::TooManyValues)));
        let peak = peak_mib();
        assert!(peak < MOST_MIB, "{peak} MiB after {}", &body[..60]);
    }
    assert!(too_many > 5, "{too_many}");
}
