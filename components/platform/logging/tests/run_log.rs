//! The run log against a bus in memory.

use bytes::Bytes;
use gridloop_bus::Bus;
use gridloop_clock::{SharedClock, WallClock};
use gridloop_logging::{RunLog, Store};
use std::sync::Arc;

const STATE: &str = r#"{"Type": "SimState", "SimulationId": "2026-01-01T00:00:00.000Z", "Timestamp": "2026-01-01T00:00:01.000Z", "SourceProcessId": "manager", "MessageId": "manager-1", "SimulationState": "running"}"#;

#[tokio::test]
async fn messages_are_stored_in_order_once_each_and_invalid_ones_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("messages.sqlite");
    let clock: SharedClock = Arc::new(WallClock::start().unwrap());
    let bus = Bus::memory(None);
    let log = RunLog::start(&path, &bus, clock, false).await.unwrap();
    let second = STATE.replace("manager-1", "manager-2");
    let forged = second.replace("running", "stopped");
    for body in [STATE, &second, STATE, "{not json", "[1]", &forged] {
        bus.publish("SimState", Bytes::copy_from_slice(body.as_bytes())).await.unwrap();
    }
    bus.publish("Odd", Bytes::from_static(&[0xff, 0xfe])).await.unwrap();
    let counts = log.finish().await;
    assert_eq!((counts.received, counts.stored, counts.duplicates, counts.invalid), (7, 2, 1, 4));
    assert_eq!((counts.shed, counts.error), (0, None));
    let stored = Store::read(&path).unwrap().messages().unwrap();
    assert_eq!(stored, [("SimState".into(), STATE.into()), ("SimState".into(), second)]);
}
