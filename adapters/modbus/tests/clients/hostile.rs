//! Devices that answer wrongly, late, or not at all. The oracle: a value reported is a value that the device's
//! registers held at or after the moment of asking, a command confirmed is a command held, and a connection that has
//! seen a wrong answer sees no further request.

use crate::support::{Asked, Seeded, Server, Step, clock, frame};
use gridloop_clock::{SharedClock, until};
use gridloop_device::{Applied, Command, Device, DeviceError, Setpoint};
use gridloop_modbus::{Profile, RegisterMapDevice, RegisterMapSettings};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_millis(20);

/// Two points that always hold the same number, in different tables, and a register to write.
const PROFILE: &str = r#"
    name = "counter"
    point = [
        { name = "count", table = "holding", address = 10, type = "u32", unit = "1" },
        { name = "again", table = "holding", address = 12, type = "u32", unit = "1", word_order = "low-first" },
        { name = "input", table = "input", address = 10, type = "u32", unit = "1" },
        { name = "voltage_setpoint", table = "holding", address = 100, type = "u16", unit = "V", valid = [0, 9999], writable = true },
    ]
    commands.voltage_setpoint.point = "voltage_setpoint"
"#;

fn device(server: &Server, timeout: Duration, clock: &SharedClock) -> RegisterMapDevice {
    let profile = Profile::parse("counter.toml", PROFILE).unwrap();
    RegisterMapDevice::new(RegisterMapSettings { link: server.link(timeout), profile }, Arc::clone(clock))
}

fn volts(voltage_v: f64) -> Setpoint {
    let now = gridloop_clock::MonoTime::default();
    Setpoint {
        command: Command::Voltage { voltage_v },
        epoch: 1,
        received_at: now,
        expires_at: now,
        order: 0,
    }
}

/// A device whose counter moves with every request, so that no two answers are alike.
#[derive(Default)]
struct Truth {
    count: AtomicU32,
    voltage: AtomicU32,
    wrong_answers: AtomicUsize,
    /// Requests that came by a connection on which a wrong answer had been given.
    after_poison: AtomicUsize,
}

impl Truth {
    /// Carries a request out and gives the registers it reads.
    fn carry_out(&self, asked: &Asked) -> Vec<u16> {
        let count = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        if asked.function == 0x10 {
            self.voltage.store(asked.values[0].into(), Ordering::SeqCst);
        }
        let [a, b, c, d] = count.to_be_bytes();
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let voltage = u16::try_from(self.voltage.load(Ordering::SeqCst)).unwrap();
        (asked.address..asked.address + asked.count)
            .map(|address| match address {
                10 | 13 => high,
                11 | 12 => low,
                100 => voltage,
                _ => 0,
            })
            .collect()
    }
}

/// The ways of answering: the first 22 are wrong, the others right, so that a link lives long enough to be hurt.
const WAYS: u64 = 80;
const WRONG_WAYS: u64 = 22;

/// One seeded answer, and whether the connection must not be used after it.
fn hostile(truth: &Truth, seeded: &mut Seeded, previous: &mut Vec<u8>, asked: &Asked) -> (Vec<Step>, bool) {
    let send = |bytes: Vec<u8>| vec![Step::Send(bytes)];
    let way = seeded.below(WAYS);
    truth.wrong_answers.fetch_add(usize::from(way < WRONG_WAYS), Ordering::SeqCst);
    if way == 20 {
        return (asked.exception([1, 2, 3, 4, 6][usize::try_from(seeded.below(5)).unwrap()]), false);
    }
    if way == 21 {
        return (asked.exception([0x0A, 0x0B][usize::try_from(seeded.below(2)).unwrap()]), true);
    }
    let carries_out = way != 10 || seeded.below(2) == 0;
    let registers = if carries_out { truth.carry_out(asked) } else { vec![0; asked.count.into()] };
    let pdu = if asked.function == 0x10 { asked.written_pdu() } else { asked.registers_pdu(&registers) };
    let right = asked.framed(&pdu);
    let stale = std::mem::replace(previous, right.clone());
    let cut = usize::try_from(seeded.below(u64::try_from(right.len()).unwrap())).unwrap();
    let shorter = pdu.len() - 2;
    match way {
        0 => (vec![Step::Pause(TIMEOUT * 2), Step::Send(right)], false),
        1 => (
            vec![
                Step::Send(right[..cut].to_vec()),
                Step::Pause(TIMEOUT * 2),
                Step::Send(right[cut..].to_vec()),
            ],
            false,
        ),
        2 if asked.function != 0x10 => (send(asked.framed(&asked.registers_pdu(&registers[1..]))), true),
        2 => (send(asked.framed(&[0x10, 0, 100, 0, 2])), true),
        3 => (send(frame(asked.transaction, pdu.len() + 1, asked.unit ^ (seeded.byte() | 1), &pdu)), true),
        4 => {
            (send(frame(asked.transaction ^ (1 << seeded.below(16)), pdu.len() + 1, asked.unit, &pdu)), true)
        }
        5 if !stale.is_empty() && stale[..2] != right[..2] => (send(stale), true),
        6 => (send((0..=seeded.below(300)).map(|_| seeded.byte()).collect()), true),
        7 => (vec![Step::Send(right[..cut].to_vec()), Step::Close], true),
        8 => (right.iter().map(|byte| Step::Send(vec![*byte])).collect(), false),
        9 => (vec![Step::Close], true),
        10 => (Vec::new(), true),
        11 => (send((0..65_536).map(|_| seeded.byte()).collect()), true),
        12 => (send(frame(asked.transaction, 0xFFFF, asked.unit, &pdu)), true),
        13 => (send(frame(asked.transaction, 0, asked.unit, &pdu)), true),
        14 => (send(asked.framed(&[&[seeded.byte() & 0x7F | 0x40], &pdu[1..]].concat())), true),
        // What follows a right answer may come when the next request is out already.
        15 => (send([right.clone(), right].concat()), false),
        16 => (send([right, vec![seeded.byte()]].concat()), false),
        17 => (send(frame(asked.transaction, shorter + 1, asked.unit, &pdu[..shorter])), true),
        18 if asked.function != 0x10 => {
            (send(asked.framed(&[&[asked.function, 0xFE], &pdu[2..]].concat())), true)
        }
        19 => (send(asked.framed(&[asked.function ^ 0x07, 4, 0, 0, 0, 0])), true),
        _ => (send(right), false),
    }
}

async fn hostile_server(seed: u64) -> (Server, Arc<Truth>) {
    let truth = Arc::new(Truth::default());
    let shared = Arc::clone(&truth);
    let (mut seeded, mut previous, mut poisoned) = (Seeded(seed), Vec::new(), None);
    let server = Server::start(move |asked| {
        if poisoned == Some(asked.connection) {
            shared.after_poison.fetch_add(1, Ordering::SeqCst);
        }
        let (steps, poisons) = hostile(&shared, &mut seeded, &mut previous, asked);
        if poisons {
            poisoned = Some(asked.connection);
        }
        steps
    })
    .await;
    (server, truth)
}

/// Whether a reading is true: no point older than the asking, and the points of one request of one instant.
fn check_reading(device_seed: u64, asked_at: u32, snapshot: &gridloop_device::Snapshot) {
    let value = |name: &str| snapshot.get(name).unwrap().value;
    for name in ["count", "again", "input"] {
        assert!(value(name) > f64::from(asked_at), "seed {device_seed}: {name} is older than the asking");
    }
    assert!((value("count") - value("again")).abs() < 0.5, "seed {device_seed}: a torn reading");
}

/// Talks to one hostile device as a device task would, and counts what succeeded.
async fn talk(seed: u64, wrong_answers: usize, clock: SharedClock) -> (usize, usize, usize) {
    let (server, truth) = hostile_server(seed).await;
    let mut device = device(&server, TIMEOUT, &clock);
    let (mut readings, mut confirmations, mut connected, mut voltage) = (0, 0, false, 0);
    while truth.wrong_answers.load(Ordering::SeqCst) < wrong_answers {
        let asked_at = truth.count.load(Ordering::SeqCst);
        let failed = if !connected {
            device.connect().await.err()
        } else if readings % 4 == 3 {
            voltage = (voltage + 1) % 9999;
            readings += 1;
            match device.apply(&volts(voltage.into())).await {
                Ok(applied) => {
                    let readback = Command::Voltage { voltage_v: voltage.into() };
                    assert_eq!(applied, Applied::Confirmed { readback }, "seed {seed}");
                    assert_eq!(truth.voltage.load(Ordering::SeqCst), voltage, "seed {seed}: not held");
                    confirmations += 1;
                    None
                }
                Err(error) => Some(error),
            }
        } else {
            match device.read().await {
                Ok(snapshot) => {
                    check_reading(seed, asked_at, &snapshot);
                    readings += 1;
                    None
                }
                Err(error) => Some(error),
            }
        };
        if let Some(error) = failed.filter(|error| !error.keeps_link()) {
            let unconnected = device.read().await;
            assert!(
                matches!(unconnected, Err(DeviceError::Disconnected { .. })),
                "seed {seed}: after {error}"
            );
            connected = false;
        } else {
            connected = true;
        }
    }
    assert_eq!(truth.after_poison.load(Ordering::SeqCst), 0, "seed {seed}: a spoilt connection was used");
    (truth.wrong_answers.load(Ordering::SeqCst), readings, confirmations)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_wrong_answers_never_become_a_wrong_value() {
    const LINKS: u64 = 24;
    let clock = clock();
    let links: Vec<_> = (0..LINKS).map(|seed| tokio::spawn(talk(seed, 420, Arc::clone(&clock)))).collect();
    let (mut cases, mut readings, mut confirmations) = (0, 0, 0);
    for link in links {
        let (more, read, confirmed) = link.await.unwrap();
        cases += more;
        readings += read;
        confirmations += confirmed;
    }
    assert!(cases >= 10_000, "{cases} cases");
    assert!(readings > 1000 && confirmations > 100, "{readings} readings, {confirmations} confirmations");
}

#[tokio::test]
async fn a_late_answer_ends_its_link_and_the_next_reading_is_right() {
    let truth = Arc::new(Truth::default());
    let gate = Arc::new(tokio::sync::Notify::new());
    let (shared, hold) = (Arc::clone(&truth), Arc::clone(&gate));
    let server = Server::start(move |asked| {
        let answer = asked.honest(&shared.carry_out(asked));
        let late = asked.connection == 0 && shared.count.load(Ordering::SeqCst) == 4;
        if late { [vec![Step::Await(Arc::clone(&hold))], answer].concat() } else { answer }
    })
    .await;
    let mut device = device(&server, Duration::from_millis(500), &clock());
    device.connect().await.unwrap();
    let error = device.read().await.unwrap_err();
    assert!(matches!(error, DeviceError::Timeout { .. }), "{error}");
    gate.notify_one();
    assert!(matches!(device.read().await.unwrap_err(), DeviceError::Disconnected { .. }));
    device.connect().await.unwrap();
    let asked_at = truth.count.load(Ordering::SeqCst);
    check_reading(0, asked_at, &device.read().await.unwrap());
}

#[tokio::test]
async fn a_call_that_is_abandoned_leaves_its_answer_to_nobody() {
    let truth = Arc::new(Truth::default());
    let gate = Arc::new(tokio::sync::Notify::new());
    let (shared, hold) = (Arc::clone(&truth), Arc::clone(&gate));
    let server = Server::start(move |asked| {
        let answer = asked.honest(&shared.carry_out(asked));
        if shared.count.load(Ordering::SeqCst) == 4 {
            return [vec![Step::Await(Arc::clone(&hold))], answer].concat();
        }
        answer
    })
    .await;
    let clock = clock();
    let mut device = device(&server, Duration::from_secs(30), &clock);
    device.connect().await.unwrap();
    while truth.count.load(Ordering::SeqCst) < 4 {
        let soon = clock.now() + Duration::from_millis(10);
        assert!(until(&*clock, soon, device.read()).await.is_none());
    }
    let asked_at = truth.count.load(Ordering::SeqCst);
    gate.notify_one();
    check_reading(0, asked_at, &device.read().await.unwrap());
}

#[tokio::test]
async fn a_silent_device_does_not_delay_its_siblings() {
    let clock = clock();
    let silent = Server::start(|_| Vec::new()).await;
    let mut waiting = device(&silent, Duration::from_secs(30), &clock);
    let waiting = tokio::spawn(async move { waiting.connect().await });
    for _ in 0..3 {
        let truth = Arc::new(Truth::default());
        let shared = Arc::clone(&truth);
        let server = Server::start(move |asked| asked.honest(&shared.carry_out(asked))).await;
        let mut sibling = device(&server, Duration::from_secs(30), &clock);
        sibling.connect().await.unwrap();
        for _ in 0..50 {
            sibling.read().await.unwrap();
        }
    }
    assert!(!waiting.is_finished(), "the silent device cannot have answered");
    waiting.abort();
}

/// What a device's wrong answer to connecting is taken for. It has half a minute, so no error comes of waiting.
async fn error_of(answer: impl Fn(&Asked, Vec<u8>) -> Vec<u8> + Send + 'static) -> DeviceError {
    let server = Server::start(move |asked| {
        let right = asked.registers_pdu(&vec![0; asked.count.into()]);
        vec![Step::Send(answer(asked, right))]
    })
    .await;
    device(&server, Duration::from_secs(30), &clock()).connect().await.unwrap_err()
}

#[tokio::test]
async fn frames_that_are_too_long_are_malformed_at_once() {
    let trailing = error_of(|asked, pdu| [asked.framed(&pdu), vec![0]].concat()).await;
    let doubled = error_of(|asked, pdu| [asked.framed(&pdu), asked.framed(&pdu)].concat()).await;
    let padded = error_of(|asked, pdu| asked.framed(&[&pdu[..], &[0, 0]].concat())).await;
    let endless = error_of(|asked, pdu| frame(asked.transaction, 0xFFFF, asked.unit, &pdu)).await;
    for error in [trailing, doubled, padded, endless] {
        assert!(matches!(error, DeviceError::Malformed { .. }), "{error}");
    }
}

#[tokio::test]
async fn exceptions_keep_the_link_and_say_what_they_are() {
    let connections = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&connections);
    let mut answers = 0;
    let server = Server::start(move |asked| {
        seen.lock().unwrap().push(asked.connection);
        answers += 1;
        // The three requests of connecting are answered, the first of every later reading is refused.
        if answers > 3 {
            asked.exception([1, 2, 3, 4, 6][answers - 4])
        } else {
            asked.honest(&vec![0; asked.count.into()])
        }
    })
    .await;
    let mut device = device(&server, Duration::from_secs(30), &clock());
    device.connect().await.unwrap();
    for text in
        ["01 (illegal function)", "02 (illegal data address)", "03 (illegal data value)", "04", "06 (busy)"]
    {
        let error = device.read().await.unwrap_err();
        assert!(matches!(error, DeviceError::Refused { .. }) && error.to_string().contains(text), "{error}");
    }
    assert_eq!(*connections.lock().unwrap(), [0; 8]);
}

#[tokio::test]
async fn a_gateway_without_path_to_its_device_drops_the_link() {
    let mut answers = 0;
    let server = Server::start(move |asked| {
        answers += 1;
        if answers > 3 { asked.exception(0x0B) } else { asked.honest(&vec![0; asked.count.into()]) }
    })
    .await;
    let mut device = device(&server, Duration::from_secs(30), &clock());
    device.connect().await.unwrap();
    for text in ["exception 0B", "not open"] {
        let error = device.read().await.unwrap_err();
        assert!(
            matches!(error, DeviceError::Disconnected { .. }) && error.to_string().contains(text),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_disconnected_and_no_panic() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().into();
    let link = gridloop_modbus::LinkSettings::new(address, 1, Duration::from_secs(5));
    drop(listener);
    let profile = Profile::parse("counter.toml", PROFILE).unwrap();
    let mut device = RegisterMapDevice::new(RegisterMapSettings { link, profile }, clock());
    assert!(matches!(device.read().await, Err(DeviceError::Disconnected { .. })));
    assert!(matches!(device.connect().await, Err(DeviceError::Disconnected { .. })));
}
