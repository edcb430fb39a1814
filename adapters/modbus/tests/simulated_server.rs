//! Simulated devices as a raw socket sees them.

use gridloop_clock::{SharedClock, WallClock, sleep, until};
use gridloop_modbus::simulated::{Fault, SimulatedServer, serve_tap_changer};
use gridloop_plant::{LivePlant, TapChanger, TapChangerSettings};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Reads the tap position: transaction 0x1234, unit 1, function 3, address 1, one register.
const READ: [u8; 12] = [0x12, 0x34, 0, 0, 0, 6, 1, 3, 0, 1, 0, 1];
/// Five, the position to begin with.
const FIVE: [u8; 11] = [0x12, 0x34, 0, 0, 0, 5, 1, 3, 2, 0, 5];
/// One step up.
const STEP: [u8; 12] = [0x12, 0x35, 0, 0, 0, 6, 1, 6, 0, 17, 0, 1];

struct Rig {
    server: SimulatedServer,
    plant: LivePlant<TapChanger>,
    clock: SharedClock,
}

impl Rig {
    async fn new() -> Self {
        let clock: SharedClock = Arc::new(WallClock::start().unwrap());
        let plant = TapChanger::new(TapChangerSettings::default()).unwrap();
        let plant = LivePlant::new(plant, Arc::clone(&clock));
        let bind = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let server = serve_tap_changer(bind, plant.clone(), 1, Arc::clone(&clock)).await.unwrap();
        Self { server, plant, clock }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.server.local_addr()).await.unwrap()
    }

    /// The next `length` bytes; less when the connection is closed before.
    async fn receive(&self, stream: &mut TcpStream, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let mut filled = 0;
        let bound = self.clock.now() + Duration::from_secs(10);
        while filled < length {
            let read = until(&*self.clock, bound, stream.read(&mut bytes[filled..])).await;
            match read.expect("an answer within ten seconds") {
                Ok(0) | Err(_) => break,
                Ok(more) => filled += more,
            }
        }
        bytes.truncate(filled);
        bytes
    }

    async fn ask(&self, stream: &mut TcpStream, request: &[u8], length: usize) -> Vec<u8> {
        stream.write_all(request).await.unwrap();
        self.receive(stream, length).await
    }

    fn moving(&self) -> bool {
        self.plant.with(|taps| taps.outputs().moving)
    }
}

#[tokio::test]
async fn requests_are_answered_in_order_however_they_are_cut() {
    let rig = Rig::new().await;
    let mut stream = rig.connect().await;
    let requests = [READ, READ].concat();
    for part in requests.chunks(5) {
        stream.write_all(part).await.unwrap();
        stream.flush().await.unwrap();
    }
    assert_eq!(rig.receive(&mut stream, 22).await, [FIVE, FIVE].concat());
    assert_eq!(rig.server.knobs().requests(), 2);
}

#[tokio::test]
async fn another_unit_is_not_there() {
    let rig = Rig::new().await;
    let mut request = READ;
    request[6] = 2;
    let answer = rig.ask(&mut rig.connect().await, &request, 9).await;
    assert_eq!(answer, [0x12, 0x34, 0, 0, 0, 3, 2, 0x83, 0x0B]);
}

#[tokio::test]
async fn a_silent_device_does_nothing_and_one_that_loses_its_reply_does_what_it_was_told() {
    let rig = Rig::new().await;
    let mut stream = rig.connect().await;
    rig.server.knobs().set_for(Fault::Silence, 1);
    stream.write_all(&STEP).await.unwrap();
    assert_eq!(rig.ask(&mut stream, &READ, 11).await, FIVE);
    assert!(!rig.moving());
    rig.server.knobs().set_for(Fault::LostReply, 1);
    stream.write_all(&STEP).await.unwrap();
    assert_eq!(rig.ask(&mut stream, &READ, 11).await, FIVE);
    assert!(rig.moving());
}

#[tokio::test]
async fn a_delayed_reply_comes_after_the_deed() {
    let rig = Rig::new().await;
    let mut stream = rig.connect().await;
    rig.server.knobs().set_delay(Duration::from_millis(200));
    let asked_at = rig.clock.now();
    assert_eq!(rig.ask(&mut stream, &STEP, 12).await, STEP);
    assert!(rig.clock.now().since(asked_at) >= Duration::from_millis(200));
    assert!(rig.moving());
    rig.server.knobs().heal();
    assert_eq!(rig.ask(&mut stream, &READ, 11).await, FIVE);
}

#[tokio::test]
async fn wrong_replies_are_wrong_in_the_way_that_was_asked_for() {
    let rig = Rig::new().await;
    let cases: [(Fault, &[u8]); 6] = [
        (Fault::Exception(6), &[0x12, 0x34, 0, 0, 0, 3, 1, 0x83, 6]),
        (Fault::WrongUnit, &[0x12, 0x34, 0, 0, 0, 5, 2, 3, 2, 0, 5]),
        (Fault::WrongTransaction, &[0x12, 0x33, 0, 0, 0, 5, 1, 3, 2, 0, 5]),
        (Fault::WrongFunction, &[0x12, 0x34, 0, 0, 0, 5, 1, 2, 2, 0, 5]),
        (Fault::Short, &[0x12, 0x34, 0, 0, 0, 3, 1, 3, 0]),
        (Fault::BadLength, &[0x12, 0x34, 0, 0, 0, 7, 1, 3, 2, 0, 5]),
    ];
    for (fault, reply) in cases {
        rig.server.knobs().set_for(fault, 1);
        let mut stream = rig.connect().await;
        assert_eq!(rig.ask(&mut stream, &READ, reply.len()).await, reply, "{fault:?}");
    }
    for (fault, length) in [(Fault::Truncated, 5), (Fault::Close, 0)] {
        rig.server.knobs().set_for(fault, 1);
        let mut stream = rig.connect().await;
        assert_eq!(rig.ask(&mut stream, &READ, 11).await.len(), length, "{fault:?}");
    }
}

#[tokio::test]
async fn a_peer_that_speaks_something_else_is_hung_up_on_and_others_are_served() {
    let rig = Rig::new().await;
    let mut stranger = rig.connect().await;
    let mut guest = rig.connect().await;
    assert_eq!(rig.ask(&mut stranger, b"GET / HTTP/1.1\r\n\r\n", 1).await, b"");
    assert_eq!(rig.ask(&mut guest, &READ, 11).await, FIVE);
}

#[tokio::test]
async fn one_connection_too_many_is_closed_and_room_is_made_when_another_leaves() {
    let rig = Rig::new().await;
    let mut guests = Vec::new();
    for _ in 0..16 {
        let mut stream = rig.connect().await;
        assert_eq!(rig.ask(&mut stream, &READ, 11).await, FIVE);
        guests.push(stream);
    }
    assert_eq!(rig.ask(&mut rig.connect().await, &READ, 11).await, b"");
    guests.pop();
    let bound = rig.clock.now() + Duration::from_secs(10);
    while rig.ask(&mut rig.connect().await, &READ, 11).await != FIVE {
        assert!(rig.clock.now() < bound, "no room was made");
        sleep(&*rig.clock, Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn stopping_closes_the_connections_and_the_socket() {
    let rig = Rig::new().await;
    let mut stream = rig.connect().await;
    assert_eq!(rig.ask(&mut stream, &READ, 11).await, FIVE);
    let address = rig.server.local_addr();
    let Rig { server, clock, plant } = rig;
    server.stop().await;
    assert!(TcpStream::connect(address).await.is_err());
    let bound = clock.now() + Duration::from_secs(10);
    let closed = until(&*clock, bound, stream.read(&mut [0; 8])).await.expect("an end of the connection");
    assert!(matches!(closed, Ok(0) | Err(_)));
    assert_eq!(plant.with(|taps| taps.outputs().position), 5);
}
