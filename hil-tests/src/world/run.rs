//! One run in a simulated world: [`World`] before it, [`Run`] after it.

use gridloop_bus::{Bus, BusError, Event, Subscribe, WhenFull};
use gridloop_clock::{Clock, MonoTime, SharedClock, SimulatedClock};
use gridloop_gateway::DeviceReport;
use gridloop_messages::{Body, Decoded, Message, SimulationId, Timestamp, decode, topic};
use gridloop_platform_manager::{Configuration, RunReport, Session};
use gridloop_realtime_manager::Pace;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What a run stands on. Whoever is to take part besides the configured components gets a `session` of the bus.
pub struct World {
    /// Time.
    pub clock: SimulatedClock,
    /// The bus in memory, which shuffles what waits.
    pub bus: Bus,
    /// Ends the run early.
    pub cancel: CancellationToken,
    /// The run's id, the same in every world.
    pub id: SimulationId,
}

/// A run that is over.
pub struct Run {
    /// What it left.
    pub report: RunReport,
    /// Every message, in the order in which one listener heard them.
    pub messages: Vec<Heard>,
}

/// A message as a listener heard it.
#[derive(Debug, Clone)]
pub struct Heard {
    /// When.
    pub at: MonoTime,
    /// Its routing key.
    pub topic: Arc<str>,
    /// Its body as it came.
    pub bytes: Vec<u8>,
    /// The message in it; none if it is no SimCES message.
    pub message: Option<Message>,
}

impl World {
    /// A world whose bus shuffles by `seed`.
    ///
    /// # Panics
    /// Never: the id is sound.
    #[must_use]
    pub fn new(clock: &SimulatedClock, seed: u64) -> Self {
        Self::with_bus(clock, Bus::memory(Some(seed)))
    }

    /// A world whose bus keeps the order in which messages were published, as that of `gridloop run` does.
    ///
    /// # Panics
    /// Never: the id is sound.
    #[must_use]
    pub fn in_order(clock: &SimulatedClock) -> Self {
        Self::with_bus(clock, Bus::memory(None))
    }

    fn with_bus(clock: &SimulatedClock, bus: Bus) -> Self {
        let id = SimulationId::parse("2026-01-01T00:00:00.000Z").expect("a sound id");
        Self { clock: clock.clone(), bus, cancel: CancellationToken::new(), id }
    }

    /// The clock as everybody takes it.
    #[must_use]
    pub fn shared_clock(&self) -> SharedClock {
        Arc::new(self.clock.clone())
    }

    /// Runs the configuration, without a run log, and listens.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub async fn run(&self, configuration: Configuration) -> anyhow::Result<Run> {
        let listener = Listener::start(self.bus.session(), self.clock.clone()).await?;
        let (bus, clock) = (self.bus.session(), self.shared_clock());
        let session = Session::new(self.id.clone(), bus, clock, self.cancel.clone());
        let report = session.run(Pace::Clock(self.shared_clock()), configuration, |_| {}).await;
        let messages = listener.end().await?;
        Ok(Run { report: report?, messages })
    }
}

/// Hears every message.
pub struct Listener {
    bus: Bus,
    task: JoinHandle<()>,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Listener {
    /// Listens in this session, which is closed at its end.
    ///
    /// # Errors
    /// When the bus cannot be listened to.
    pub async fn start(bus: Bus, clock: SimulatedClock) -> Result<Self, BusError> {
        let subscribe = Subscribe {
            name: "listener".into(),
            patterns: vec!["#".into()],
            capacity: 4096,
            when_full: WhenFull::Wait,
        };
        let mut subscription = bus.subscribe(subscribe).await?;
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            while let Some(event) = subscription.recv().await {
                let Event::Message(delivery) = event else { continue };
                let message = match decode(&delivery.body, Timestamp::from(clock.utc())) {
                    Ok(Decoded::Message(message)) => Some(message),
                    Ok(Decoded::General(_)) | Err(_) => None,
                };
                let (at, bytes) = (clock.now(), delivery.body.to_vec());
                let heard = Heard { at, topic: delivery.topic, bytes, message };
                hears.lock().unwrap_or_else(PoisonError::into_inner).push(heard);
            }
        });
        Ok(Self { bus, task, heard })
    }

    /// What was heard up to now.
    #[must_use]
    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Hears what still waits, then ends.
    ///
    /// # Errors
    /// When the listener broke off.
    pub async fn end(self) -> anyhow::Result<Vec<Heard>> {
        self.bus.close().await;
        self.task.await?;
        Ok(std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Run {
    /// The messages on a topic.
    pub fn on(&self, topic: &str) -> impl Iterator<Item = &Heard> {
        self.messages.iter().filter(move |heard| &*heard.topic == topic)
    }

    /// The one message of an epoch on a topic.
    ///
    /// # Panics
    /// When there is none, or more than one.
    #[must_use]
    pub fn one(&self, topic: &str, epoch: u64) -> &Heard {
        let found: Vec<_> = self.on(topic).filter(|heard| heard.epoch() == Some(epoch)).collect();
        assert_eq!(found.len(), 1, "messages on {topic} in epoch {epoch}");
        found[0]
    }

    /// The epochs in the order of their starts: number and instant.
    pub fn epochs(&self) -> impl Iterator<Item = (u64, MonoTime)> {
        self.on(topic::EPOCH).filter_map(|heard| Some((heard.epoch()?, heard.at)))
    }

    /// When an epoch began.
    ///
    /// # Panics
    /// When it never did.
    #[must_use]
    pub fn start_of(&self, epoch: u64) -> MonoTime {
        self.one(topic::EPOCH, epoch).at
    }

    /// The report on a device.
    ///
    /// # Panics
    /// When there is none of that name.
    #[must_use]
    pub fn device(&self, name: &str) -> &DeviceReport {
        let found = self.report.devices.iter().find(|device| device.id == name);
        found.unwrap_or_else(|| panic!("no report on {name}"))
    }

    /// The whole run as text, a line a message: equal for equal runs, letter by letter.
    #[must_use]
    pub fn log(&self) -> String {
        let line = |heard: &Heard| {
            format!("{} {} {}\n", heard.at.as_nanos(), heard.topic, String::from_utf8_lossy(&heard.bytes))
        };
        self.messages.iter().map(line).collect()
    }
}

impl Heard {
    /// Its epoch; none for SimState and for what is no message.
    #[must_use]
    pub fn epoch(&self) -> Option<u64> {
        self.message.as_ref()?.epoch_number()
    }

    /// Who sent it; nobody if it is no message.
    #[must_use]
    pub fn source(&self) -> &str {
        self.message.as_ref().map_or("", |message| &message.header.source_process_id)
    }

    /// What it says.
    ///
    /// # Panics
    /// When it is no message.
    #[must_use]
    pub fn body(&self) -> &Body {
        &self.message.as_ref().expect("a SimCES message").body
    }

    /// Its id; none if it is no message.
    #[must_use]
    pub fn id(&self) -> &str {
        self.message.as_ref().map_or("", |message| &message.header.message_id)
    }

    /// The messages that caused it.
    #[must_use]
    pub fn triggers(&self) -> &[String] {
        let epoch = self.message.as_ref().and_then(|message| message.header.epoch.as_ref());
        epoch.map_or(&[], |epoch| &epoch.triggering_message_ids)
    }

    /// Its warnings.
    #[must_use]
    pub fn warnings(&self) -> Vec<&str> {
        let epoch = self.message.as_ref().and_then(|message| message.header.epoch.as_ref());
        epoch.map_or_else(Vec::new, |epoch| epoch.warnings.iter().map(|it| it.as_str()).collect())
    }

    /// Whether it has a warning of this beginning.
    #[must_use]
    pub fn warns_of(&self, beginning: &str) -> bool {
        self.warnings().iter().any(|warning| warning.starts_with(beginning))
    }

    /// The real power that a ResourceState gives, in kW.
    ///
    /// # Panics
    /// When it is something else.
    #[must_use]
    pub fn real_power_kw(&self) -> f64 {
        match self.body() {
            Body::ResourceState(state) => state.real_power_kw,
            other => panic!("{} is no ResourceState", other.type_name()),
        }
    }
}
