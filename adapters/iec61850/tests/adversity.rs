//! Links and servers that fail: whatever comes over the wire, a value that is shown as good is the device's own, and
//! the next connection works.

use fastrand::Rng;
use gridloop_clock::{SharedClock, WallClock, sleep};
use gridloop_device::{Applied, Command, Device, DeviceError, Quality, Setpoint};
use gridloop_iec61850::simulated::{SimulatedIed, SimulatedSettings, serve_inverter};
use gridloop_iec61850::{IedDevice, IedSettings, Mapping};
use gridloop_plant::{LivePlant, PvInverter, PvInverterSettings, Series};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

const FREE_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const TIMEOUT: Duration = Duration::from_millis(60);
const CASES: u64 = 160;

const MAPPING: &str = r#"
[[point]]
name = "setpoint"
object = "INV/ZINV1.OutWSet"
unit = "W"
"#;

/// What becomes of one message from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Late,
    Lost,
    Twice,
    Previous,
    Garbage,
    Truncated,
    Dribbled,
    Closed,
}

const FAULTS: [Fault; 8] = [
    Fault::Late,
    Fault::Lost,
    Fault::Twice,
    Fault::Previous,
    Fault::Garbage,
    Fault::Truncated,
    Fault::Dribbled,
    Fault::Closed,
];

/// Stands between a client and a server, and spoils the next message of the server when told to.
#[derive(Clone)]
struct Proxy {
    address: SocketAddr,
    next: Arc<Mutex<Option<(Fault, u64)>>>,
}

impl Proxy {
    async fn before(server: SocketAddr, clock: SharedClock) -> io::Result<Self> {
        let listener = TcpListener::bind(FREE_PORT).await?;
        let proxy = Self { address: listener.local_addr()?, next: Arc::default() };
        let shared = proxy.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(upstream) = TcpStream::connect(server).await else { continue };
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = upstream.into_split();
                tokio::spawn(copy(from_client, to_server));
                tokio::spawn(shared.clone().pass(from_server, to_client, Arc::clone(&clock)));
            }
        });
        Ok(proxy)
    }

    fn spoil(&self, fault: Fault, seed: u64) {
        *self.next.lock().unwrap() = Some((fault, seed));
    }

    async fn pass(
        self,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        clock: SharedClock,
    ) -> io::Result<()> {
        let mut previous = Vec::new();
        loop {
            let message = message(&mut from).await?;
            let fault = self.next.lock().unwrap().take();
            let Some((fault, seed)) = fault else {
                to.write_all(&message).await?;
                previous = message;
                continue;
            };
            let mut rng = Rng::with_seed(seed);
            match fault {
                Fault::Late => {
                    sleep(&*clock, TIMEOUT + Duration::from_millis(30)).await;
                    to.write_all(&message).await?;
                }
                Fault::Lost => {}
                Fault::Twice => to.write_all(&[message.clone(), message].concat()).await?,
                Fault::Previous => to.write_all(&previous).await?,
                Fault::Garbage => {
                    let garbage: Vec<u8> = (0..rng.usize(1..200)).map(|_| rng.u8(..)).collect();
                    to.write_all(&garbage).await?;
                }
                Fault::Truncated => {
                    to.write_all(&message[..rng.usize(1..message.len())]).await?;
                    return Ok(());
                }
                Fault::Dribbled => {
                    for byte in message {
                        to.write_all(&[byte]).await?;
                        tokio::task::yield_now().await;
                    }
                }
                Fault::Closed => return Ok(()),
            }
        }
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    // A connection that breaks is what these tests are about.
    let _ = tokio::io::copy(&mut from, &mut to).await;
}

/// One message, by the length in its TPKT header (RFC 1006).
async fn message(from: &mut OwnedReadHalf) -> io::Result<Vec<u8>> {
    let mut message = vec![0; 4];
    from.read_exact(&mut message).await?;
    let length = usize::from(u16::from_be_bytes([message[2], message[3]]));
    message.resize(length.max(4), 0);
    from.read_exact(&mut message[4..]).await?;
    Ok(message)
}

struct Rig {
    clock: SharedClock,
    plant: LivePlant<PvInverter>,
    ied: SimulatedIed,
    proxy: Proxy,
    device: IedDevice,
}

impl Rig {
    async fn new() -> Self {
        Self::with_timeout(TIMEOUT).await
    }

    async fn with_timeout(timeout: Duration) -> Self {
        let clock: SharedClock = Arc::new(WallClock::start().unwrap());
        let plant =
            PvInverter::new(PvInverterSettings::typical(100_000.0, Series::constant(1000.0))).unwrap();
        let plant = LivePlant::new(plant, Arc::clone(&clock));
        let settings = SimulatedSettings::default();
        let ied = serve_inverter(FREE_PORT, plant.clone(), settings, Arc::clone(&clock)).await.unwrap();
        let proxy = Proxy::before(ied.local_addr(), Arc::clone(&clock)).await.unwrap();
        let settings = IedSettings {
            timeout,
            mapping: Mapping::parse("setpoint.toml", MAPPING).unwrap(),
            ..IedSettings::at(proxy.address.into())
        };
        let device = IedDevice::new(settings, Arc::clone(&clock));
        Self { clock, plant, ied, proxy, device }
    }

    /// Connects; an occupied machine may take longer than the timeout of these tests.
    async fn connect(&mut self) {
        for _ in 0..50 {
            if self.device.connect().await.is_ok() {
                return;
            }
        }
        panic!("the device cannot be connected any more");
    }

    fn hold(&self, watts: u32) {
        self.plant.with(|inverter| inverter.limit_power(Some(f64::from(watts)), None)).unwrap();
        self.ied.set_quality("MMXU1.Hz", &[]);
    }

    async fn setpoint(&mut self) -> Result<(f64, Quality), DeviceError> {
        let snapshot = self.device.read().await?;
        let sample = snapshot.get("setpoint").copied().expect("the point is mapped");
        Ok((sample.value, sample.quality))
    }

    /// Connects and reads; on an occupied machine an answer that nobody spoils may be late as well.
    async fn setpoint_anew(&mut self) -> (f64, Quality) {
        for _ in 0..50 {
            self.connect().await;
            if let Ok(read) = self.setpoint().await {
                return read;
            }
        }
        panic!("the device cannot be read any more");
    }

    /// Applies a command until the device shows it; the answer may come before the effect.
    async fn apply(&mut self, watts: u32) -> Result<Applied, DeviceError> {
        let mut applied = self.device.apply(&self.command(watts)).await;
        if applied == Ok(Applied::InProgress) {
            sleep(&*self.clock, Duration::from_millis(30)).await;
            applied = self.device.apply(&self.command(watts)).await;
        }
        applied
    }

    fn command(&self, watts: u32) -> Setpoint {
        let now = self.clock.now();
        let command = Command::Power { real_power_w: f64::from(watts), reactive_power_var: 0.0 };
        Setpoint { command, epoch: 1, received_at: now, expires_at: now + Duration::from_mins(1), order: 0 }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_spoilt_answer_is_shown_as_a_good_value() {
    let mut rig = Rig::new().await;
    rig.connect().await;
    let mut failed = 0;
    for seed in 0..CASES {
        let mut rng = Rng::with_seed(seed);
        let fault = rng.choice(FAULTS).unwrap();
        let watts = 1000 + u32::try_from(seed).unwrap();
        rig.hold(watts);
        rig.proxy.spoil(fault, seed);
        let expected = (f64::from(watts), Quality::Good);
        match rig.setpoint().await {
            Ok(read) => assert_eq!(read, expected, "seed {seed}, {fault:?}"),
            Err(error) => {
                failed += 1;
                assert!(!error.keeps_link(), "seed {seed}, {fault:?}: {error}");
                let again = rig.setpoint().await;
                assert!(matches!(again, Err(DeviceError::Disconnected { .. })), "seed {seed}: {again:?}");
                assert_eq!(rig.setpoint_anew().await, expected, "seed {seed}, {fault:?}, connected anew");
            }
        }
    }
    assert!(failed > CASES / 4, "only {failed} of {CASES} answers were spoilt");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_whose_answer_is_spoilt_is_read_back_before_it_counts() {
    let mut rig = Rig::new().await;
    rig.connect().await;
    for seed in 0..CASES / 4 {
        let mut rng = Rng::with_seed(seed);
        let fault = rng.choice(FAULTS).unwrap();
        let watts = 2000 + u32::try_from(seed).unwrap();
        rig.proxy.spoil(fault, seed);
        let mut applied = rig.apply(watts).await;
        let mut attempts = 0;
        // On an occupied machine an answer that nobody spoils may be late as well.
        while let Err(error) = &applied {
            assert!(!error.keeps_link() && attempts < 50, "seed {seed}, {fault:?}: {error}");
            attempts += 1;
            rig.connect().await;
            applied = rig.apply(watts).await;
        }
        let readback = rig.command(watts).command;
        assert_eq!(applied, Ok(Applied::Confirmed { readback }), "seed {seed}, {fault:?}");
        let holds = rig.plant.with(|inverter| inverter.power_limit().value());
        assert_eq!(holds, Some(f64::from(watts)), "seed {seed}, {fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_nothing_or_nonsense_is_no_ied() {
    let clock: SharedClock = Arc::new(WallClock::start().unwrap());
    let listener = TcpListener::bind(FREE_PORT).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut silent = Vec::new();
        for seed in 0.. {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            let mut rng = Rng::with_seed(seed);
            let mut nonsense: Vec<u8> = (0..rng.usize(0..400)).map(|_| rng.u8(..)).collect();
            if rng.bool() {
                // A header that promises more than comes.
                nonsense.splice(0..0, [3, 0, 0xFF, rng.u8(..)]);
            }
            let _ = stream.write_all(&nonsense).await;
            silent.push(stream);
        }
    });
    let settings = IedSettings { timeout: Duration::from_millis(40), ..IedSettings::at(address.into()) };
    for _ in 0..60 {
        let mut device = IedDevice::new(settings.clone(), Arc::clone(&clock));
        let error = device.connect().await.expect_err("there is no IED");
        assert!(!error.keeps_link(), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_send_nonsense_do_not_disturb_the_simulated_ied() {
    let mut rig = Rig::new().await;
    rig.connect().await;
    for seed in 0..60 {
        let mut rng = Rng::with_seed(seed);
        let Ok(mut stream) = TcpStream::connect(rig.ied.local_addr()).await else { continue };
        let mut nonsense: Vec<u8> = (0..rng.usize(0..400)).map(|_| rng.u8(..)).collect();
        if rng.bool() {
            nonsense.splice(0..0, [3, 0, 0, rng.u8(4..)]);
        }
        let _ = stream.write_all(&nonsense).await;
    }
    rig.hold(1234);
    assert_eq!(rig.setpoint_anew().await, (1234.0, Quality::Good));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_expires_while_the_server_is_slow_is_not_given() {
    let mut rig = Rig::with_timeout(Duration::from_secs(10)).await;
    rig.connect().await;
    rig.hold(1000);
    let now = rig.clock.now();
    let mut command = rig.command(2000);
    command.expires_at = now;
    let expired = rig.device.apply(&command).await;
    assert!(matches!(&expired, Err(DeviceError::Refused { .. })), "{expired:?}");
    // Longer than the rest of its time passes before the server has told what it holds.
    command.expires_at = rig.clock.now() + Duration::from_millis(30);
    rig.proxy.spoil(Fault::Late, 0);
    let expired = rig.device.apply(&command).await.expect_err("it has expired").to_string();
    assert!(expired.contains("the command has expired"), "{expired}");
    assert_eq!(rig.setpoint().await, Ok((1000.0, Quality::Good)));
}
