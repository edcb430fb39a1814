//! gridloop over RTU on serial ports (pseudo terminals of socat), RTU through TCP and shared links, with pymodbus and
//! mbpoll at the other end.

use crate::rig::{FREE_PORT, clock, eventually, tap_changer, tap_changer_at};
use gridloop_clock::SharedClock;
use gridloop_device::{Device, DeviceError, DeviceTask, Link, Mode, SafeState, Snapshot, TaskSettings};
use gridloop_hil_tests::peers::{Peer, mbpoll_serial};
use gridloop_hil_tests::serial::SerialLine;
use gridloop_modbus::simulated::Bind;
use gridloop_modbus::{
    Address, Host, LinkSettings, Profile, RegisterMapDevice, RegisterMapSettings, Table, link_statistics,
    read_registers, write_register, write_registers,
};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(5);
const QUIET: Duration = Duration::from_millis(30);

fn rtu(path: PathBuf) -> Address {
    Address::Rtu { path, line: gridloop_modbus::SerialLine::default() }
}

fn rtu_over_tcp(server: SocketAddr) -> Address {
    Address::RtuOverTcp(Host::from(server))
}

fn link(address: Address, unit: u8) -> LinkSettings {
    LinkSettings { quiet: Some(QUIET), ..LinkSettings::new(address, unit, TIMEOUT) }
}

/// A device with two points: registers 10 and 11.
fn meter(link: LinkSettings, clock: &SharedClock) -> anyhow::Result<RegisterMapDevice> {
    let profile = r#"
        name = "meter"
        point = [
            { name = "first", table = "holding", address = 10, type = "u16", unit = "1" },
            { name = "second", table = "holding", address = 11, type = "u16", unit = "1" },
        ]
    "#;
    let profile = Profile::parse("meter.toml", profile)?;
    Ok(RegisterMapDevice::new(RegisterMapSettings { link, profile }, SharedClock::clone(clock)))
}

fn values(snapshot: &Snapshot) -> (Option<f64>, Option<f64>) {
    let value = |name: &str| snapshot.get(name).map(|sample| sample.value);
    (value("first"), value("second"))
}

async fn a_foreign_server_is_read_and_written(pymodbus: &mut Peer, address: Address) -> anyhow::Result<()> {
    let clock = clock()?;
    let (settings, at) = (link(address, 2), || SharedClock::clone(&clock));
    let read = read_registers(settings.clone(), at(), Table::Holding, 3, 4).await?;
    assert_eq!(read, [203, 204, 205, 206]);
    let most = read_registers(settings.clone(), at(), Table::Holding, 0, 100).await?;
    assert_eq!(most.last(), Some(&299));
    assert_eq!(write_registers(settings.clone(), at(), 7, &[1, 2, 65_535]).await?, [1, 2, 65_535]);
    assert_eq!(write_register(settings.clone(), at(), 10, 4_711).await?, [4_711]);
    let held = pymodbus.ask("held", json!({ "unit": 2, "address": 6, "count": 5 })).await?;
    assert_eq!(held["values"], json!([206, 1, 2, 65_535, 4_711]));
    let refused = read_registers(settings, at(), Table::Holding, 99, 2).await.unwrap_err();
    assert!(refused.to_string().contains("exception 02"), "{refused}");
    Ok(())
}

#[tokio::test]
async fn a_foreign_server_on_a_serial_line_is_read_and_written() -> anyhow::Result<()> {
    let line = SerialLine::new().await?;
    let settings = json!({ "kind": "rtu", "port": line.devices(), "units": [1, 2] });
    let (mut pymodbus, _) = Peer::start("modbus_server.py", &[&settings.to_string()]).await?;
    a_foreign_server_is_read_and_written(&mut pymodbus, rtu(line.master())).await
}

#[tokio::test]
async fn a_foreign_server_of_rtu_through_tcp_is_read_and_written() -> anyhow::Result<()> {
    let settings = json!({ "kind": "rtu+tcp", "units": [1, 2] });
    let (mut pymodbus, server) = Peer::serve("modbus_server.py", &[&settings.to_string()]).await?;
    a_foreign_server_is_read_and_written(&mut pymodbus, rtu_over_tcp(server)).await
}

async fn a_foreign_client_is_answered(settings: Value) -> anyhow::Result<()> {
    let (mut pymodbus, _) = Peer::start("modbus_client.py", &[&settings.to_string()]).await?;
    let read = json!({ "table": "holding", "address": 0, "count": 18 });
    let held = pymodbus.ask("read", read).await?;
    assert_eq!(held["values"], json!([3, 5, 0, 0, 0, 0, 230, 0, 0, 0, 0, 0, 0, 9, 1, 9, 0, 0]));
    let voltage = json!({ "table": "input", "address": 9, "count": 1 });
    assert_eq!(pymodbus.ask("read", voltage).await?["values"], json!([2300]));
    assert_eq!(pymodbus.ask("write", json!({ "address": 6, "values": [231] })).await?, json!({}));
    let refused = pymodbus.ask("write", json!({ "address": 13, "values": [1, 2] })).await?;
    assert_eq!(refused["exception"], json!(3));
    let missing = json!({ "table": "holding", "address": 100, "count": 1 });
    assert_eq!(pymodbus.ask("read", missing).await?["exception"], json!(2));
    let set = json!({ "table": "holding", "address": 6, "count": 1 });
    assert_eq!(pymodbus.ask("read", set).await?["values"], json!([231]));
    Ok(())
}

#[tokio::test]
async fn a_foreign_client_reads_and_writes_the_tap_changer_on_a_serial_line() -> anyhow::Result<()> {
    let (line, clock) = (SerialLine::new().await?, clock()?);
    let bind = Bind::Rtu { path: line.devices(), line: gridloop_modbus::SerialLine::default() };
    let (_server, _plant) = tap_changer_at(bind, &clock).await?;
    a_foreign_client_is_answered(json!({ "kind": "rtu", "port": line.master() })).await
}

#[tokio::test]
async fn a_foreign_client_reads_and_writes_the_tap_changer_through_tcp() -> anyhow::Result<()> {
    let clock = clock()?;
    let (server, _plant) = tap_changer_at(Bind::RtuOverTcp(FREE_PORT), &clock).await?;
    a_foreign_client_is_answered(json!({ "kind": "rtu+tcp", "port": server.local_addr().port() })).await?;
    let (server, _plant) = tap_changer(&clock).await?;
    a_foreign_client_is_answered(json!({ "kind": "tcp", "port": server.local_addr().port() })).await
}

#[tokio::test]
async fn mbpoll_reads_the_tap_changer_on_a_serial_line() -> anyhow::Result<()> {
    let (line, clock) = (SerialLine::new().await?, clock()?);
    let bind = Bind::Rtu { path: line.devices(), line: gridloop_modbus::SerialLine::default() };
    let (_server, _plant) = tap_changer_at(bind, &clock).await?;
    assert_eq!(mbpoll_serial(&line.master(), 13, 3).await?, [9, 1, 9]);
    let refused = mbpoll_serial(&line.master(), 100, 1).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("Illegal data address")));
    Ok(())
}

#[tokio::test]
async fn the_units_of_a_serial_line_share_its_port() -> anyhow::Result<()> {
    let (line, clock) = (SerialLine::new().await?, clock()?);
    let settings = json!({ "kind": "rtu", "port": line.devices(), "units": [1, 2, 3] });
    let (_pymodbus, _) = Peer::start("modbus_server.py", &[&settings.to_string()]).await?;
    let mut devices = Vec::new();
    for unit in [1, 2, 3] {
        let mut device = meter(link(rtu(line.master()), unit), &clock)?;
        device.connect().await?;
        devices.push((f64::from(unit), device));
    }
    let readers = devices.into_iter().map(|(unit, mut device)| {
        tokio::spawn(async move {
            for _ in 0..5 {
                let snapshot = device.read().await?;
                assert_eq!(values(&snapshot), (Some(100.0 * unit + 10.0), Some(100.0 * unit + 11.0)));
            }
            Ok::<_, DeviceError>(())
        })
    });
    for reader in readers.collect::<Vec<_>>() {
        reader.await??;
    }
    let counts = link_statistics(&rtu(line.master())).unwrap_or_default();
    assert_eq!((counts.opened, counts.timeouts, counts.bad_checksums), (1, 0, 0), "{counts:?}");
    Ok(())
}

#[tokio::test]
async fn a_port_that_is_set_in_two_ways_is_refused_to_the_second_device() -> anyhow::Result<()> {
    let (line, clock) = (SerialLine::new().await?, clock()?);
    let bind = Bind::Rtu { path: line.devices(), line: gridloop_modbus::SerialLine::default() };
    let (_server, _plant) = tap_changer_at(bind, &clock).await?;
    let mut first = meter(link(rtu(line.master()), 1), &clock)?;
    first.connect().await?;
    let faster = gridloop_modbus::SerialLine { baud: 38_400, ..gridloop_modbus::SerialLine::default() };
    let mut second = meter(link(Address::Rtu { path: line.master(), line: faster }, 2), &clock)?;
    let error = second.connect().await.unwrap_err();
    assert!(error.to_string().contains("other settings"), "{error}");
    Ok(())
}

#[tokio::test]
async fn the_units_of_a_gateway_share_a_connection_unless_one_wants_its_own() -> anyhow::Result<()> {
    let clock = clock()?;
    let settings = json!({ "kind": "tcp", "units": [1, 2, 3] });
    let (mut pymodbus, server) = Peer::serve("modbus_server.py", &[&settings.to_string()]).await?;
    let mut devices = Vec::new();
    for (unit, own_connection) in [(1, false), (2, false), (3, true)] {
        let settings = LinkSettings { own_connection, ..LinkSettings::new(server.into(), unit, TIMEOUT) };
        let mut device = meter(settings, &clock)?;
        device.connect().await?;
        assert_eq!(values(&device.read().await?).0, Some(100.0 * f64::from(unit) + 10.0));
        devices.push(device);
    }
    assert_eq!(pymodbus.ask("connections", json!({})).await?["count"], json!(2));
    Ok(())
}

#[tokio::test]
async fn a_serial_port_that_was_pulled_out_is_found_again_by_its_name() -> anyhow::Result<()> {
    let (mut line, clock) = (SerialLine::new().await?, clock()?);
    let bind = Bind::Rtu { path: line.devices(), line: gridloop_modbus::SerialLine::default() };
    let (_server, _plant) = tap_changer_at(bind, &clock).await?;
    let mut device = meter(link(rtu(line.master()), 1), &clock)?;
    device.connect().await?;
    device.read().await?;
    line.pull_out();
    let lost = device.read().await.unwrap_err();
    assert!(matches!(lost, DeviceError::Disconnected { .. }), "{lost}");
    let missing = device.connect().await.unwrap_err();
    assert!(missing.to_string().contains("plugged in"), "{missing}");
    line.plug_in().await?;
    // The device at the other end has to find its port again, too.
    let short = LinkSettings { timeout: Duration::from_millis(200), ..link(rtu(line.master()), 1) };
    let mut device = meter(short, &clock)?;
    eventually(&clock, "the device is read again", async || {
        Ok(device.connect().await.is_ok() && device.read().await.is_ok())
    })
    .await?;
    let counts = link_statistics(&rtu(line.master())).unwrap_or_default();
    assert!(counts.opened >= 2 && counts.lost >= 1, "{counts:?}");
    Ok(())
}

#[tokio::test]
async fn a_late_answer_on_a_serial_line_is_never_that_to_the_next_request() -> anyhow::Result<()> {
    let (line, clock) = (SerialLine::new().await?, clock()?);
    let bind = Bind::Rtu { path: line.devices(), line: gridloop_modbus::SerialLine::default() };
    let (server, _plant) = tap_changer_at(bind, &clock).await?;
    let impatient = LinkSettings {
        timeout: Duration::from_millis(100),
        quiet: Some(Duration::from_millis(200)),
        ..link(rtu(line.master()), 1)
    };
    for _ in 0..3 {
        server.knobs().set_delay(Duration::from_millis(200));
        let at = || SharedClock::clone(&clock);
        let late = read_registers(impatient.clone(), at(), Table::Holding, 6, 1).await.unwrap_err();
        assert!(matches!(late, DeviceError::Timeout { .. }), "{late}");
        server.knobs().heal();
        // The set point of 230 V is still on its way; the tap position is 5.
        assert_eq!(read_registers(impatient.clone(), at(), Table::Holding, 1, 1).await?, [5]);
    }
    let counts = link_statistics(&rtu(line.master())).unwrap_or_default();
    assert_eq!(counts.timeouts, 3, "{counts:?}");
    assert!(counts.discarded_bytes > 0, "no late answer came: {counts:?}");
    Ok(())
}

/// How the gateway looks after a device whose `request_timeout_s` is this.
fn task_settings(request_timeout: Duration) -> TaskSettings {
    TaskSettings {
        armed_for: None,
        write_interval: Duration::ZERO,
        mode: Mode::ReadOnly,
        poll_interval: Duration::from_millis(100),
        job_timeout: request_timeout * 4,
        write_timeout: request_timeout * 4,
        connect_timeout: request_timeout * 40,
        backoff_min: Duration::from_millis(100),
        backoff_max: Duration::from_secs(5),
        safe_state: SafeState::Hold,
        release_within: Duration::from_secs(1),
    }
}

#[tokio::test]
async fn six_devices_on_a_serial_line_are_read_on_time_while_two_are_dead() -> anyhow::Result<()> {
    let (line, clock) = (SerialLine::new().await?, clock()?);
    let settings = json!({ "kind": "rtu", "port": line.devices(), "units": [1, 2, 3, 4, 5, 6] });
    let (_pymodbus, _) = Peer::start("modbus_server.py", &[&settings.to_string()]).await?;
    let timeout = Duration::from_millis(500);
    let mut tasks = Vec::new();
    for unit in 1..=8 {
        let settings = LinkSettings { timeout, ..link(rtu(line.master()), unit) };
        let device = Box::new(meter(settings, &clock)?);
        let task =
            DeviceTask::start(device, task_settings(timeout), SharedClock::clone(&clock), Box::new(|_| {}));
        tasks.push(task);
    }
    eventually(&clock, "the living are read twenty times", async || {
        Ok(tasks[..6].iter().all(|task| task.handle().statistics().reads >= 20))
    })
    .await?;
    for (index, task) in tasks.iter().enumerate() {
        let (counts, image) = (task.handle().statistics(), task.handle().image());
        if index < 6 {
            assert_eq!(
                (counts.errors, counts.reconnects),
                (0, 0),
                "unit {}: {:?}",
                index + 1,
                image.last_error
            );
        } else {
            assert_eq!((counts.reads, image.link), (0, Link::Down), "unit {}", index + 1);
        }
    }
    Ok(())
}
