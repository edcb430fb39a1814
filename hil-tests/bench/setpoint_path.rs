//! The way of a setpoint, from its message to the write at the device's socket, and the way back, from an Epoch for
//! which the device has something new to the ResourceState that says so. Through the real gateway, with a simulated
//! inverter behind a socket, on the bus in memory and over RabbitMQ.
//!
//! The floor is the same way without anything on it: one message over the same bus and one write over the same kind of
//! socket; and two messages and one reading. Both sides go through the same tap, which takes the instant of a write.

use crate::epochs::{BODY_BYTES, WARM_UP};
use crate::figure::{Figure, alternate, median, percentile_us};
use crate::handling::round_trip_us;
use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use gridloop_bus::bare::round_trips;
use gridloop_bus::{Bus, BusUrl, Connect, Event, Exchange, Subscribe, Subscription, WhenFull};
use gridloop_clock::{MonoTime, SharedClock, until};
use gridloop_component::{Identity, join};
use gridloop_gateway::{Gateway, Surroundings, Timing};
use gridloop_hil_tests::modbus_tap::{ModbusTap, Moment};
use gridloop_hil_tests::rabbitmq::RabbitMq;
use gridloop_messages::{
    Body, Epoch, EpochFields, Header, Message, PowerSetpoint, SimState, SimulationId, SimulationState,
    Timestamp, topic,
};
use gridloop_modbus::simulated::{InverterSettings, SimulatedServer, serve_inverter};
use gridloop_plant::{LivePlant, PvInverter, PvInverterSettings, Series};
use gridloop_platform_manager::Configuration;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Before the kind of bus.
pub(crate) const TO_WRITE: &str = "setpoint_to_write_us_";
/// Before the kind of bus.
pub(crate) const TO_STATE: &str = "change_to_state_us_";
pub(crate) const BUSES: [&str; 2] = ["memory", "amqp"];

const UNIT: &str = "us, less is better";
/// Setpoints of a block, and epochs.
const ROUNDS: u32 = 200;
const PATIENCE: Duration = Duration::from_secs(10);

/// Writes 50 % to WMaxLimPct of model 704 of the simulated inverter.
const WRITE: [u8; 15] = [0, 1, 0, 0, 0, 9, 1, 16, 0x9D, 0x81, 0, 1, 2, 0x13, 0x88];
const WRITTEN_BYTES: usize = 12;
/// Reads model 103 of it: 52 registers from 40070 on.
const READ: [u8; 12] = [0, 1, 0, 0, 0, 6, 1, 3, 0x9C, 0x86, 0, 52];
const READ_BYTES: usize = 9 + 2 * 52;

pub(crate) async fn measure(name: &str, clock: &SharedClock) -> anyhow::Result<Figure> {
    let broker =
        if name.ends_with("amqp") { Some(tokio::task::block_in_place(RabbitMq::start)?) } else { None };
    let broker = broker.as_ref();
    if name.starts_with(TO_WRITE) {
        let work = async || Ok(through_the_gateway(broker, clock).await?.to_write_us);
        let floor = async || {
            Ok(message_us(broker, clock).await? + exchange_us(&WRITE, WRITTEN_BYTES, clock).await?.0)
        };
        return alternate(name, UNIT, work, floor).await;
    }
    let work = async || Ok(through_the_gateway(broker, clock).await?.to_state_us);
    let floor =
        async || Ok(2.0 * message_us(broker, clock).await? + exchange_us(&READ, READ_BYTES, clock).await?.1);
    alternate(name, UNIT, work, floor).await
}

/// A reading of the inverter and a write to it, one after the other, as bytes over a plain socket.
pub(crate) async fn reading_and_write_us(clock: &SharedClock) -> anyhow::Result<f64> {
    let reading = exchange_us(&READ, READ_BYTES, clock).await?.1;
    Ok(reading + exchange_us(&WRITE, WRITTEN_BYTES, clock).await?.1)
}

/// An inverter behind a tap that tells when a write arrives.
struct Device {
    _server: SimulatedServer,
    tap: ModbusTap,
    writes: mpsc::UnboundedReceiver<MonoTime>,
}

impl Device {
    async fn start(clock: &SharedClock) -> anyhow::Result<Self> {
        let inverter = PvInverter::new(PvInverterSettings::typical(8000.0, Series::constant(800.0)))?;
        let plant = LivePlant::new(inverter, clock.clone());
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = serve_inverter(anywhere, plant, InverterSettings::default(), clock.clone()).await?;
        let (told, writes) = mpsc::unbounded_channel();
        let now = clock.clone();
        let watch = move |moment, pdu: &[u8]| {
            if moment == Moment::Asked && pdu.first() == Some(&16) {
                // Nobody need listen.
                let _ = told.send(now.now());
            }
            true
        };
        let tap = ModbusTap::start(server.local_addr().port(), Arc::new(watch)).await?;
        Ok(Self { _server: server, tap, writes })
    }
}

/// Of a block, the medians.
struct Taken {
    to_write_us: f64,
    to_state_us: f64,
}

async fn through_the_gateway(broker: Option<&RabbitMq>, clock: &SharedClock) -> anyhow::Result<Taken> {
    let mut device = Device::start(clock).await?;
    let (ours, theirs) = match broker {
        None => {
            let bus = Bus::memory(None);
            (bus.session(), bus)
        }
        Some(broker) => (connect(broker, "bench", clock).await?, connect(broker, "gateway", clock).await?),
    };
    let id = SimulationId::new(Timestamp::from(clock.utc()));
    let settings = configuration(device.tap.port())?.devices;
    let (gateway, mut started) =
        Gateway::start(settings, Surroundings::new(Timing { period: None }, clock)).await?;
    let started = started.pop().context("no device")?;
    let identity =
        Identity { name: started.name, simulation_id: id.clone(), manager: None, numbered_from: 0 };
    let component = started.component.map_err(|fault| anyhow::anyhow!("{fault}"))?;
    let joined = join(component, identity, theirs.session(), clock.clone()).await?;
    let cancel = CancellationToken::new();
    let bridge = tokio::spawn(joined.run(started.poke, cancel.clone()));
    let mut operator = Operator::start(ours, id, clock.clone()).await?;
    let (mut to_write, mut to_state) = (Vec::new(), Vec::new());
    for round in 1..=u64::from(WARM_UP + ROUNDS) {
        let state = operator.epoch(round).await?;
        let began = clock.now();
        // Another one each time: the same would not be written again.
        operator.setpoint(round, if round % 2 == 0 { 3.0 } else { 4.0 }).await?;
        let write = device.first_write(began, clock).await?;
        if round > u64::from(WARM_UP) {
            to_state.push(state);
            to_write.push(write);
        }
    }
    cancel.cancel();
    bridge.await??;
    gateway.end().await;
    operator.bus.close().await;
    theirs.close().await;
    Ok(Taken { to_write_us: percentile_us(&to_write, 50), to_state_us: percentile_us(&to_state, 50) })
}

impl Device {
    /// The time from `began` to the next write; writes of the setpoint before are passed over.
    async fn first_write(&mut self, began: MonoTime, clock: &SharedClock) -> anyhow::Result<Duration> {
        loop {
            let next = until(&**clock, clock.now() + PATIENCE, self.writes.recv()).await;
            let at = next.flatten().context("the setpoint was not written")?;
            if at > began {
                return Ok(at.since(began));
            }
        }
    }
}

/// Who starts epochs and gives setpoints.
struct Operator {
    bus: Bus,
    answers: Subscription,
    id: SimulationId,
    clock: SharedClock,
    messages: u64,
}

impl Operator {
    async fn start(bus: Bus, id: SimulationId, clock: SharedClock) -> anyhow::Result<Self> {
        let listening = Subscribe {
            name: "bench".into(),
            patterns: vec![topic::STATUS_READY.into(), "ResourceState.#".into()],
            capacity: 1 << 10,
            when_full: WhenFull::Wait,
        };
        let answers = bus.subscribe(listening).await?;
        let mut operator = Self { bus, answers, id, clock, messages: 0 };
        let running = Body::SimState(SimState {
            simulation_state: SimulationState::Running,
            name: None,
            description: None,
        });
        operator.publish(topic::SIM_STATE, None, running).await?;
        operator.answer(topic::STATUS_READY).await?;
        Ok(operator)
    }

    /// Starts an epoch; the time until its ResourceState was here. Waits for the device to be ready.
    async fn epoch(&mut self, number: u64) -> anyhow::Result<Duration> {
        let start = chrono::DateTime::UNIX_EPOCH + Duration::from_secs(number);
        let (start, end) = (Timestamp::from(start), Timestamp::from(start + Duration::from_secs(1)));
        let began = self.clock.now();
        let epoch = Body::Epoch(Epoch { start_time: start, end_time: end, pacing: None });
        self.publish(topic::EPOCH, Some(number), epoch).await?;
        self.answer("ResourceState.").await?;
        let taken = self.clock.now().since(began);
        self.answer(topic::STATUS_READY).await?;
        Ok(taken)
    }

    async fn setpoint(&mut self, epoch: u64, real_power_kw: f64) -> anyhow::Result<()> {
        let setpoint = Body::PowerSetpoint(PowerSetpoint { real_power_kw, reactive_power_kvar: 0.0 });
        self.publish(&topic::power_setpoint("pv1"), Some(epoch), setpoint).await
    }

    async fn publish(&mut self, topic: &str, epoch: Option<u64>, body: Body) -> anyhow::Result<()> {
        self.messages += 1;
        let header = Header {
            simulation_id: self.id.clone(),
            timestamp: Timestamp::from(self.clock.utc()),
            source_process_id: "manager".into(),
            message_id: format!("manager-{}", self.messages),
            epoch: epoch.map(|epoch_number| EpochFields {
                epoch_number,
                triggering_message_ids: vec!["manager-1".into()],
                ..EpochFields::default()
            }),
        };
        let body: Bytes = Message { header, body }.encode()?.into();
        Ok(self.bus.publish(topic, body).await?)
    }

    /// Waits for a message whose topic begins so.
    async fn answer(&mut self, beginning: &str) -> anyhow::Result<()> {
        let give_up = self.clock.now() + PATIENCE;
        loop {
            let event = until(&*self.clock, give_up, self.answers.recv()).await.flatten();
            match event {
                Some(Event::Message(delivery)) if delivery.topic.starts_with(beginning) => return Ok(()),
                Some(_) => {}
                None => bail!("no {beginning} came"),
            }
        }
    }
}

async fn connect(broker: &RabbitMq, name: &str, clock: &SharedClock) -> anyhow::Result<Bus> {
    let connect = Connect::new(broker.url().parse()?, Exchange::run("procem.setpoints"), name);
    Ok(Bus::connect(&connect, clock.clone()).await?)
}

fn configuration(port: u16) -> anyhow::Result<Configuration> {
    let text = format!(
        "[simulation]\nname = \"bench\"\ninitial_start_time = \"2026-06-21T12:00:00.000Z\"\nepoch_length_s = 1\n\
         epochs = 1\n\n[device.pv1]\ndriver = \"sunspec\"\naddress = \"tcp://127.0.0.1:{port}\"\nmode = \"armed\"\n\
         category = \"Generator\"\n"
    );
    Configuration::parse("bench.toml", &text, &[]).map_err(|errors| anyhow::anyhow!("{errors}"))
}

/// One way of a message over the bus, without anything that is done with it.
async fn message_us(broker: Option<&RabbitMq>, clock: &SharedClock) -> anyhow::Result<f64> {
    let Some(broker) = broker else { return Ok(round_trip_us(clock).await? / 2.0) };
    let url: BusUrl = broker.url().parse()?;
    let BusUrl::Amqp(plain) = &url else { bail!("{url} is no broker") };
    let taken =
        round_trips(plain, "procem.floor", BODY_BYTES, WARM_UP + ROUNDS, Duration::ZERO, &**clock).await?;
    Ok(percentile_us(&taken[usize::try_from(WARM_UP)?..], 50))
}

/// One request as bytes over a plain socket through the tap: until the tap had it, if it is a write, and until the
/// answer was here.
async fn exchange_us(request: &[u8], answer_bytes: usize, clock: &SharedClock) -> anyhow::Result<(f64, f64)> {
    let mut device = Device::start(clock).await?;
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, device.tap.port())).await?;
    stream.set_nodelay(true)?;
    let (mut arrived, mut answered) = (Vec::new(), Vec::new());
    let mut answer = vec![0; answer_bytes];
    for _ in 0..ROUNDS {
        let began = clock.now();
        stream.write_all(request).await?;
        stream.read_exact(&mut answer).await?;
        answered.push(clock.now().since(began).as_secs_f64() * 1e6);
        ensure!(answer[7] == request[7], "the answer is {answer:?}");
        arrived.extend(device.writes.try_recv().ok().map(|at| at.since(began).as_secs_f64() * 1e6));
    }
    Ok((median(arrived), median(answered)))
}
