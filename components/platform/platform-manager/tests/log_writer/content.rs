//! F23 and F6: messages of every kind are stored or kept apart, each once, and none stops the writer.

use crate::rig::{RUN, Rig, time};
use serde_json::json;

/// A General message with one more field.
fn general(number: u64, field: &str) -> String {
    format!(
        r#"{{"Type": "Odd", "SimulationId": "{RUN}", "Timestamp": "{}", "SourceProcessId": "odd", "MessageId": "odd-{number}", "EpochNumber": 1, {field}}}"#,
        time(number)
    )
}

fn nested(levels: usize) -> String {
    format!("\"Deep\": {}1{}", "[".repeat(levels), "]".repeat(levels))
}

/// What both stores take for valid.
async fn publish_valid(rig: &mut Rig) {
    let large = format!("\"Text\": \"{}\"", "x".repeat(2 << 20));
    let fields = [
        r#""Large": 123456789012345678901234567890, "Half": 9223372036854775809, "Even": 100000000000000000000"#,
        r#""Whole": -9223372036854775808, "Small": 5e-324, "Exact": 0.1, "One": 1, "OnePointNought": 1.0"#,
        r#""a.b": {"c.d": 1, "$e": 2, "": 3}, "$dollar": [{"$oid": "x"}]"#,
        r#""Number": NaN, "Warnings": []"#,
        r#""StartTime": "2026-01-01T00:00:00+02:00", "EndTime": "never", "TimeIndex": ["2026-01-01T00:00:00Z"]"#,
        r#""Nothing": null, "Text": "\u0000\ud83d\ude00 é", "Type2": true"#,
        &nested(90),
        &large,
    ];
    for (number, field) in (10..).zip(fields) {
        rig.publish("Odd", general(number, field), true).await;
    }
    let anonymous = json!({"Type": "Anonymous", "SimulationId": RUN, "Value": 1});
    for _ in 0..2 {
        // Without ids and time, a repetition is known by its bytes.
        rig.publish("Anonymous", anonymous.to_string(), true).await;
    }
    let status = json!({"Type": "Status", "SimulationId": RUN, "Timestamp": time(60), "SourceProcessId": "pgo",
        "MessageId": "pgo-1", "EpochNumber": 1, "TriggeringMessageIds": ["Clock-2"], "Value": "ready"});
    for topic in ["Status.Ready", "PgoReady.pgo", "Status.Ready"] {
        rig.publish(topic, status.to_string(), true).await;
    }
    let epoch = json!({"Type": "Epoch", "SimulationId": RUN, "Timestamp": time(70), "SourceProcessId": "Clock",
        "MessageId": "Clock-2", "EpochNumber": 7, "TriggeringMessageIds": ["pgo-1"],
        "StartTime": time(0), "EndTime": time(9)});
    rig.publish("Epoch", epoch.to_string(), true).await;
}

async fn publish_invalid(rig: &mut Rig) {
    let foreign = general(80, "\"A\": 1").replace(RUN, "2021-01-01T00:00:00.000Z");
    let bodies: [&[u8]; 12] = [
        b"hello",
        b"",
        b"\xff\xfe not UTF-8",
        b"[1, 2]",
        b"17",
        b"null",
        b"{\"Type\": \"Epoch\"",
        b"{\"Type\": 5}",
        b"{\"Type\": \"X\", \"SimulationId\": \"yesterday\"}",
        b"{\"Type\": \"X\", \"SimulationId\": \"2026-03-01T08:00:00.000Z\", \"N\": 1e999}",
        foreign.as_bytes(),
        &[b'['; 100_000],
    ];
    for body in bodies {
        for _ in 0..2 {
            rig.publish("Bad", body.to_vec(), false).await;
        }
    }
    // The MessageId of another message.
    rig.publish("Odd", general(10, "\"Another\": true"), false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_takes_messages_of_every_kind() {
    let mut rig = Rig::with_sqlite().await;
    let writer = rig.writer();
    rig.state("running").await;
    publish_valid(&mut rig).await;
    publish_invalid(&mut rig).await;
    for (number, field) in [(90, r#""_id": 5"#), (91, r#""nul\u0000key": 5"#), (92, nested(110).as_str())] {
        rig.publish("Odd", general(number, field), true).await;
    }
    rig.state("stopped").await;
    let summary = rig.end_of(writer).await;
    assert_eq!(summary["invalid"], rig.sent.invalid.len(), "{summary}");
    assert_eq!(summary["stored"], rig.sent.valid.len(), "{summary}");
    rig.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mongodb_takes_messages_of_every_kind_and_keeps_what_it_cannot_hold_as_text() {
    let mut rig = Rig::with_mongodb().await;
    let writer = rig.writer();
    rig.state("running").await;
    publish_valid(&mut rig).await;
    publish_invalid(&mut rig).await;
    for (number, field) in [(90, r#""_id": 5"#), (91, r#""nul\u0000key": 5"#), (92, nested(110).as_str())] {
        rig.publish("Odd", general(number, field), false).await;
    }
    let many = format!("\"Many\": [{}0]", "0,".repeat(3 << 20));
    rig.publish("Odd", general(93, &many), false).await;
    rig.state("stopped").await;
    let summary = rig.end_of(writer).await;
    assert_eq!(summary["invalid"], rig.sent.invalid.len(), "{summary}");
    rig.check().await;
}
