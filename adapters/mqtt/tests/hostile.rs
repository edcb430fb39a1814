//! The driver and the small broker against peers that speak no MQTT, or speak it wrong on purpose.

use gridloop_clock::{SharedClock, WallClock};
use gridloop_device::Device;
use gridloop_mqtt::simulated::Broker;
use gridloop_mqtt::{BrokerSettings, MqttDevice, MqttSettings};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const SEEDS: u64 = 1500;

/// Panics anywhere in the process, in tasks too.
static PANICS: AtomicU64 = AtomicU64::new(0);

fn count_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        usual(panic);
    }));
}

/// A sound CONNACK, and a SUBACK for four subscriptions with the packet id that rumqttc begins with.
const WELCOME: &[u8] = &[0x20, 2, 0, 0, 0x90, 6, 0, 1, 1, 1, 1, 1];

fn nonsense(random: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = Vec::new();
    match random.u8(0..4) {
        0 => {}
        1 => bytes.extend_from_slice(&WELCOME[..random.usize(0..=WELCOME.len())]),
        _ => bytes.extend_from_slice(WELCOME),
    }
    for _ in 0..random.usize(0..6) {
        let length = random.usize(0..40);
        let body: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(length).collect();
        if random.bool() {
            // A well-formed header with a body that is not.
            bytes.push(random.u8(1..15) << 4 | random.u8(0..16));
            bytes.push(u8::try_from(body.len()).unwrap());
        }
        bytes.extend_from_slice(&body);
    }
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_talks_nonsense_is_an_error_and_nothing_else() {
    count_panics();
    let clock: SharedClock = Arc::new(WallClock::start().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let broker = BrokerSettings::at(listener.local_addr().unwrap().into());
    tokio::spawn(async move {
        for seed in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut random = fastrand::Rng::with_seed(seed);
            let mut greeting = [0; 256];
            let _ = stream.read(&mut greeting).await;
            let _ = stream.write_all(&nonsense(&mut random)).await;
            let _ = stream.shutdown().await;
        }
    });
    for seed in 0..SEEDS {
        let settings = MqttSettings {
            broker: broker.clone(),
            prefix: "lab".into(),
            device_id: "bat1".into(),
            timeout: Duration::from_secs(5),
        };
        let connected = MqttDevice::new(settings, Arc::clone(&clock)).connect().await;
        assert!(connected.is_err(), "seed {seed}: {connected:?}");
    }
    assert_eq!(PANICS.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_talk_nonsense_do_not_disturb_the_small_broker() {
    count_panics();
    let clock: SharedClock = Arc::new(WallClock::start().unwrap());
    let broker = Broker::start(0, Arc::clone(&clock)).await.unwrap();
    // A sound CONNECT of MQTT 3.1.1 with the client id `x`.
    let connect = [0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 10, 0, 1, b'x'];
    for seed in 0..SEEDS {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut stream = TcpStream::connect(broker.local_addr()).await.unwrap();
        let mut bytes = if random.u8(0..3) == 0 { Vec::new() } else { connect.to_vec() };
        bytes.extend(nonsense(&mut random));
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
    }
    let mut stream = TcpStream::connect(broker.local_addr()).await.unwrap();
    stream.write_all(&connect).await.unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, [0x20, 2, 0, 0]);
    assert_eq!(PANICS.load(Ordering::SeqCst), 0);
}
