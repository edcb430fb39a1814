//! A device of the `gridloop` profile: [`MqttDevice`] asks, orders and waits; [`Heard`] understands what comes back.
//!
//! A call takes the session out of its place and puts it back when all went well: a call that fails or is dropped in the
//! middle ends the session, and the next call is `connect`. Every command has an id of its own and is written once; only
//! the acknowledgement of that id counts.

use crate::broker::BrokerSettings;
use crate::heard::{Heard, Taken};
use crate::session::{Hello, Peer, Publication, Session};
use crate::wire::{About, Ack, Action, Held, LONGEST_VALIDITY, Order, Outcome, Part, PowerNameplate, Topics};
use async_trait::async_trait;
use gridloop_clock::{MonoTime, SharedClock, until};
use gridloop_device::{
    Applied, Command, Description, Device, DeviceError, Renewal, SafeState, Setpoint, Snapshot,
};
use rumqttc::mqttbytes::v4::Publish;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How far what a device holds may be from what it was told, as a part of its range: its resolution.
const RESOLUTION: f64 = 0.01;

/// How a device of the `gridloop` profile is reached.
#[derive(Debug, Clone, PartialEq)]
pub struct MqttSettings {
    /// The broker.
    pub broker: BrokerSettings,
    /// What its topics begin with.
    pub prefix: String,
    /// What comes then: the device's own name.
    pub device_id: String,
    /// Longest wait for an answer.
    pub timeout: Duration,
}

/// A device that speaks the `gridloop` profile.
pub struct MqttDevice {
    settings: MqttSettings,
    topics: Topics,
    clock: SharedClock,
    link: Option<Link>,
    /// Distinguishes this driver's commands from everybody else's.
    stem: String,
    commands: u64,
    /// What the device confirmed last, and when.
    confirmed: Option<(Held, MonoTime)>,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    /// The present word of a device, which has none when it is gone.
    Value,
    /// What a device made of a command, which holds although the device may be gone since.
    Acknowledgement,
}

/// A session, and what has been heard in it.
struct Link {
    session: Session,
    heard: Arc<Mutex<Heard>>,
    changed: watch::Receiver<u64>,
    about: Option<About>,
}

/// The end of the session where messages come in.
struct Ear {
    topics: Topics,
    heard: Arc<Mutex<Heard>>,
    changed: watch::Sender<u64>,
}

impl Peer for Ear {
    fn heard(&mut self, message: &Publish, now: MonoTime) -> Vec<Publication> {
        if let Some(part) = self.topics.part(&message.topic) {
            let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.take(part, &message.payload, message.retain, now);
            drop(heard);
            self.changed.send_modify(|count| *count += 1);
        }
        Vec::new()
    }
}

impl MqttDevice {
    /// A device that has not been connected.
    #[must_use]
    pub fn new(settings: MqttSettings, clock: SharedClock) -> Self {
        let topics = Topics::new(&settings.prefix, &settings.device_id);
        // A client id of at most 23 characters is one that every broker takes.
        let stem = format!("{:014x}", fastrand::u64(..) >> 8);
        Self { settings, topics, clock, link: None, stem, commands: 0, confirmed: None }
    }

    async fn open(&self) -> Result<Link, DeviceError> {
        let heard = Arc::new(Mutex::new(Heard::default()));
        let (change, changed) = watch::channel(0);
        let ear = Ear { topics: self.topics.clone(), heard: Arc::clone(&heard), changed: change };
        let parts = [Part::About, Part::Status, Part::Telemetry, Part::Ack];
        let hello = Hello {
            client_id: format!("gridloop-{}", self.stem),
            will: None,
            filters: parts.map(|part| self.topics.of(part)).to_vec(),
        };
        let Self { settings, clock, .. } = self;
        let opened = Session::open(&settings.broker, hello, ear, clock, settings.timeout).await;
        let session =
            opened.map_err(|error| error.during(&format!("connect to {}", settings.broker.address)))?;
        Ok(Link { session, heard, changed, about: None })
    }

    /// Waits until the device has said who it is and that it is there.
    async fn identify(&self, link: &mut Link) -> Result<About, DeviceError> {
        let operation = format!("wait for {}", self.topics.of(Part::About));
        let about = self.wait(link, &operation, |heard| {
            let about = heard.about()?;
            heard.online()?;
            Some(about.clone())
        });
        let about = about.await.map_err(|error| match error {
            DeviceError::Timeout { operation, waited } => DeviceError::Disconnected {
                operation,
                reason: format!(
                    "the device has told neither what it is nor that it is there within {waited:?}"
                ),
            },
            other => other,
        })?;
        link.about = Some(about.clone());
        Ok(about)
    }

    /// Waits for a value to be heard, for as long as an answer may take.
    async fn wait<T>(
        &self,
        link: &mut Link,
        operation: &str,
        look: impl FnMut(&mut Heard) -> Option<T>,
    ) -> Result<T, DeviceError> {
        self.wait_for(link, operation, (Awaited::Value, self.settings.timeout), look).await
    }

    /// Waits for something to be heard. A device that goes away, and a message that makes no sense, end the wait.
    async fn wait_for<T>(
        &self,
        link: &mut Link,
        operation: &str,
        (awaited, timeout): (Awaited, Duration),
        mut look: impl FnMut(&mut Heard) -> Option<T>,
    ) -> Result<T, DeviceError> {
        let Link { session, heard, changed, .. } = link;
        if awaited == Awaited::Value && changed.has_changed().is_err() {
            return Err(session.ended().await.during(operation));
        }
        let looking = async {
            loop {
                changed.borrow_and_update();
                {
                    let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                    let online = heard.online() != Some(false);
                    if (online || awaited == Awaited::Acknowledgement)
                        && let Some(found) = look(&mut heard)
                    {
                        return Ok(found);
                    }
                    if !online {
                        let reason = "the device is offline (its last will says so)".to_owned();
                        return Err(DeviceError::Disconnected { operation: operation.to_owned(), reason });
                    }
                    if let Some(reason) = heard.flaw() {
                        return Err(DeviceError::Malformed { operation: operation.to_owned(), reason });
                    }
                }
                // The other end is dropped with the session, and not before what came in has been seen.
                if changed.changed().await.is_err() {
                    return Err(session.ended().await.during(operation));
                }
            }
        };
        match until(&*self.clock, self.clock.now() + timeout, looking).await {
            Some(result) => result,
            None => Err(DeviceError::Timeout { operation: operation.to_owned(), waited: timeout }),
        }
    }

    /// Sends a command; gives its id.
    async fn order(
        &mut self,
        link: &Link,
        operation: &str,
        action: Action,
        valid_for: Duration,
    ) -> Result<String, DeviceError> {
        self.commands += 1;
        let id = format!("{}-{}", self.stem, self.commands);
        let issued_at = self.clock.utc();
        let valid_until = issued_at + valid_for.min(LONGEST_VALIDITY);
        let order = Order { id: id.clone(), issued_at, valid_until, action };
        let publication = Publication {
            topic: self.topics.of(Part::Command),
            payload: order.to_json(),
            retained: false,
            assured: true,
        };
        let sending = link.session.publish(publication);
        let timeout = self.settings.timeout;
        match until(&*self.clock, self.clock.now() + timeout, sending).await {
            Some(sent) => sent.map_err(|error| error.during(operation))?,
            None => return Err(DeviceError::Timeout { operation: operation.to_owned(), waited: timeout }),
        }
        Ok(id)
    }

    /// A reading taken after this was called, from a device that reports when it is asked to; else the newest one.
    async fn fresh(&mut self, link: &mut Link, about: &About) -> Result<(Taken, MonoTime), DeviceError> {
        let operation = format!("read {}", self.topics.of(Part::Telemetry));
        if about.reports {
            let id = self.order(link, &operation, Action::Report, self.settings.timeout).await?;
            let taken = self.wait(link, &operation, |heard| heard.answer_to(&id).cloned()).await?;
            let arrived_at = taken.arrived_at;
            return Ok((taken, arrived_at));
        }
        // What came within two of its intervals is its present word; the first one may be an interval away.
        let interval = about.interval_s.map(Duration::from_secs_f64).unwrap_or_default();
        let age_max = self.settings.timeout.max(interval * 2);
        let since = self.clock.now().before(age_max);
        let first = link.heard.lock().unwrap_or_else(PoisonError::into_inner).taken().is_none();
        let wait = if first { age_max } else { self.settings.timeout };
        let taken = self.wait_for(link, &operation, (Awaited::Value, wait), |heard| {
            heard.taken().filter(|taken| taken.arrived_at >= since).cloned()
        });
        let taken = taken.await?;
        let sampled_at = taken.sampled_at;
        Ok((taken, sampled_at))
    }

    /// Sends a command and waits until the device says what it made of it.
    async fn command(
        &mut self,
        link: &mut Link,
        operation: &str,
        action: Action,
        valid_for: Duration,
    ) -> Result<Option<Held>, DeviceError> {
        let id = self.order(link, operation, action, valid_for).await?;
        let awaited = (Awaited::Acknowledgement, self.settings.timeout);
        let acknowledged = self.wait_for(link, operation, awaited, |heard| heard.acknowledged(&id));
        let Ack { result, reason, held, .. } = acknowledged.await?;
        match result {
            Outcome::Accepted => Ok(held),
            Outcome::Refused => Err(DeviceError::Refused {
                operation: operation.to_owned(),
                reason: reason.unwrap_or_else(|| "it gave no reason".to_owned()),
            }),
        }
    }

    async fn set_power(
        &mut self,
        link: &mut Link,
        command: Command,
        keep: bool,
        valid_for: Duration,
    ) -> Result<Applied, DeviceError> {
        const OPERATION: &str = "set the power";
        let nameplate = link.about.as_ref().and_then(|about| about.power);
        let power = encodable(command, nameplate)?;
        let before = self.confirmed.and_then(|(held, at)| Some((held, held_since(link, at)?)));
        let action = Action::Power { power, keep };
        let Some(held) = self.command(link, OPERATION, action, valid_for).await? else {
            let reason = "it acknowledged the command and holds none".to_owned();
            return Err(DeviceError::Malformed { operation: OPERATION.to_owned(), reason });
        };
        if !close(power, held, nameplate) {
            let reason = format!("it acknowledged {power:?} and holds {held:?}");
            return Err(DeviceError::Malformed { operation: OPERATION.to_owned(), reason });
        }
        let lost = before.is_some_and(|(confirmed, later)| confirmed == held && later != Some(held));
        self.confirmed = Some((held, self.clock.now()));
        let readback = held.into();
        Ok(if lost { Applied::Restored { readback } } else { Applied::Confirmed { readback } })
    }

    async fn apply_on(&mut self, link: &mut Link, setpoint: &Setpoint) -> Result<Applied, DeviceError> {
        let now = self.clock.now();
        if now >= setpoint.expires_at {
            let reason = "the command has expired".to_owned();
            return Err(DeviceError::Refused { operation: "set the power".to_owned(), reason });
        }
        self.set_power(link, setpoint.command, false, setpoint.expires_at.since(now)).await
    }

    async fn release_on(&mut self, link: &mut Link, safe: &SafeState) -> Result<Applied, DeviceError> {
        let validity = self.settings.timeout * 2;
        let about = identified(link)?;
        let held = match safe {
            SafeState::Command(command) => {
                return self.set_power(link, *command, true, validity).await;
            }
            SafeState::Release => {
                let held = self.command(link, "release", Action::Release, validity).await?;
                if let Some(held) = held {
                    let reason = format!("it acknowledged the release and holds {held:?}");
                    return Err(DeviceError::Malformed { operation: "release".to_owned(), reason });
                }
                held
            }
            SafeState::Hold => self.fresh(link, &about).await?.0.telemetry.held,
        };
        self.confirmed = None;
        let free =
            Held { real_power_w: about.power.map_or(0.0, |power| power.released_w), reactive_power_var: 0.0 };
        Ok(Applied::Confirmed { readback: held.unwrap_or(free).into() })
    }

    /// The session, taken out of its place.
    fn link(&mut self, operation: &str) -> Result<Link, DeviceError> {
        let link = self.link.take().ok_or_else(|| DeviceError::Disconnected {
            operation: operation.to_owned(),
            reason: "connect comes first".to_owned(),
        })?;
        // What made no sense before this call is no answer to it.
        link.heard.lock().unwrap_or_else(PoisonError::into_inner).flaw();
        Ok(link)
    }

    /// Puts the session back, unless the result says that it is spoilt.
    fn keep<T>(&mut self, link: Link, result: Result<T, DeviceError>) -> Result<T, DeviceError> {
        if result.as_ref().err().is_none_or(DeviceError::keeps_link) {
            self.link = Some(link);
        }
        result
    }
}

#[async_trait]
impl Device for MqttDevice {
    async fn connect(&mut self) -> Result<Description, DeviceError> {
        self.link = None;
        self.confirmed = None;
        let mut link = self.open().await?;
        let about = self.identify(&mut link).await?;
        let (taken, _) = self.fresh(&mut link, &about).await?;
        self.link = Some(link);
        Ok(Description {
            identity: about.identity.clone(),
            profile: format!("gridloop {}/{}", self.settings.prefix, self.settings.device_id),
            capabilities: about.capabilities(),
            fail_safe: about.fail_safe(),
            renewal: Renewal::BeforeExpiry,
            standing: taken.telemetry.held.map(Command::from),
        })
    }

    async fn read(&mut self) -> Result<Snapshot, DeviceError> {
        let mut link = self.link("read")?;
        let result = match identified(&link) {
            Ok(about) => self.fresh(&mut link, &about).await,
            Err(error) => Err(error),
        };
        let result = result.map(|(taken, sampled_at)| taken.snapshot(sampled_at));
        self.keep(link, result)
    }

    async fn apply(&mut self, setpoint: &Setpoint) -> Result<Applied, DeviceError> {
        let mut link = self.link("apply")?;
        let result = self.apply_on(&mut link, setpoint).await;
        self.keep(link, result)
    }

    async fn release(&mut self, safe: &SafeState) -> Result<Applied, DeviceError> {
        let mut link = self.link("release")?;
        let result = self.release_on(&mut link, safe).await;
        self.keep(link, result)
    }
}

fn identified(link: &Link) -> Result<About, DeviceError> {
    link.about.clone().ok_or_else(|| DeviceError::Disconnected {
        operation: "identify".to_owned(),
        reason: "the device has not said what it is".to_owned(),
    })
}

/// What the device said it holds in its newest reading, if that came after an instant.
fn held_since(link: &Link, at: MonoTime) -> Option<Option<Held>> {
    let heard = link.heard.lock().unwrap_or_else(PoisonError::into_inner);
    heard.taken().filter(|taken| !taken.retained && taken.arrived_at > at).map(|taken| taken.telemetry.held)
}

/// The command as the device can be told it.
fn encodable(command: Command, nameplate: Option<PowerNameplate>) -> Result<Held, DeviceError> {
    let operation = || "set the power".to_owned();
    let (Command::Power { real_power_w, reactive_power_var }, Some(range)) = (command, nameplate) else {
        let reason = format!("the device takes no {}", kind(command));
        return Err(DeviceError::Unsupported { operation: operation(), reason });
    };
    let PowerNameplate { min_w, max_w, max_var, .. } = range;
    for (value, lowest, highest, unit) in
        [(real_power_w, min_w, max_w, "W"), (reactive_power_var, -max_var, max_var, "var")]
    {
        if !(lowest..=highest).contains(&value) {
            let reason = format!("{value} is not from {lowest} to {highest} {unit}, the device's nameplate");
            return Err(DeviceError::Refused { operation: operation(), reason });
        }
    }
    Ok(Held { real_power_w, reactive_power_var })
}

fn kind(command: Command) -> &'static str {
    match command {
        Command::Power { .. } => "power",
        Command::TapPosition(_) => "tap position",
        Command::Voltage { .. } => "voltage",
    }
}

fn close(told: Held, held: Held, nameplate: Option<PowerNameplate>) -> bool {
    let (real, reactive) = nameplate.map_or((0.0, 0.0), |it| (it.max_w - it.min_w, 2.0 * it.max_var));
    let near = |a: f64, b: f64, range: f64| (a - b).abs() <= range * RESOLUTION;
    near(told.real_power_w, held.real_power_w, real)
        && near(told.reactive_power_var, held.reactive_power_var, reactive)
}

#[cfg(test)]
mod tests;
