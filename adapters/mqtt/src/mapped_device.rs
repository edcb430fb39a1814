//! Existing equipment behind a broker: [`MappedDevice`] does what its [`Profile`] says.
//!
//! Such equipment acknowledges nothing. A command counts as taken when the equipment tells, live, on its read-back topic
//! that it holds it; until then it is in progress and is not written again, and when it never does, the outcome is
//! unknown. A device without a timer of its own is written only what it does not hold.

use crate::broker::BrokerSettings;
use crate::mapped::MappedHeard;
use crate::profile::{KeepAlive, PowerCommand, Profile};
use crate::session::{Hello, Peer, Publication, Session};
use async_trait::async_trait;
use gridloop_clock::{MonoTime, SharedClock, until};
use gridloop_device::{
    Applied, Capabilities, Command, Description, Device, DeviceError, FailSafe, Renewal, SafeState, Setpoint,
    Snapshot,
};
use rumqttc::mqttbytes::v4::Publish;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

const SET: &str = "set the power";

/// How mapped equipment is reached.
#[derive(Debug, Clone, PartialEq)]
pub struct MappedSettings {
    /// The broker.
    pub broker: BrokerSettings,
    /// What `{prefix}` stands for.
    pub prefix: String,
    /// What `{device}` stands for.
    pub device_id: String,
    /// Longest wait for an answer.
    pub timeout: Duration,
    /// What its topics mean.
    pub profile: Profile,
}

/// Equipment whose topics a profile describes.
pub struct MappedDevice {
    settings: MappedSettings,
    clock: SharedClock,
    link: Option<Link>,
    /// The same for every connection: a broker that still holds an earlier one ends it, and what is on its way there.
    client_id: String,
}

struct Link {
    session: Session,
    heard: Arc<Mutex<MappedHeard>>,
    changed: watch::Receiver<u64>,
    opened_at: MonoTime,
    /// The command that was written and is not confirmed yet.
    pending: Option<Pending>,
    confirmed: Option<Confirmed>,
}

/// The command that the equipment has said it holds.
#[derive(Debug, Clone, Copy)]
struct Confirmed {
    watts: f64,
    /// When it was written last.
    written_at: MonoTime,
}

#[derive(Debug, Clone, Copy)]
struct Pending {
    watts: f64,
    asked_w: f64,
    written_at: MonoTime,
    lost: bool,
    /// It was confirmed before, and is to be written anew as soon as it is read back again.
    renewal: bool,
}

struct Ear {
    heard: Arc<Mutex<MappedHeard>>,
    changed: watch::Sender<u64>,
    keepalive: Option<(KeepAlive, MonoTime)>,
}

impl Peer for Ear {
    fn heard(&mut self, message: &Publish, now: MonoTime) -> Vec<Publication> {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.take(&message.topic, &message.payload, message.retain, now);
        drop(heard);
        self.changed.send_modify(|count| *count += 1);
        Vec::new()
    }

    fn connected(&mut self, now: MonoTime) -> Vec<Publication> {
        self.tick(now)
    }

    fn due(&self) -> Option<MonoTime> {
        self.keepalive.as_ref().map(|(_, due)| *due)
    }

    fn tick(&mut self, now: MonoTime) -> Vec<Publication> {
        let Some((keepalive, due)) = &mut self.keepalive else { return Vec::new() };
        *due = now + keepalive.interval;
        let (topic, payload) = (keepalive.topic.clone(), keepalive.payload.clone().into_bytes());
        vec![Publication { topic, payload, retained: false, assured: true }]
    }
}

impl MappedDevice {
    /// A device that has not been connected.
    #[must_use]
    pub fn new(mut settings: MappedSettings, clock: SharedClock) -> Self {
        settings.profile = settings.profile.filled(&settings.prefix, &settings.device_id);
        let client_id = format!("gridloop-{:014x}", fastrand::u64(..) >> 8);
        Self { settings, clock, link: None, client_id }
    }

    async fn open(&self) -> Result<Link, DeviceError> {
        let Self { settings, clock, .. } = self;
        let now = clock.now();
        let heard = MappedHeard::new(settings.profile.clone());
        let filters = heard.topics();
        let heard = Arc::new(Mutex::new(heard));
        let (change, changed) = watch::channel(0);
        let keepalive = settings.profile.keepalive.clone().map(|keepalive| (keepalive, now));
        let ear = Ear { heard: Arc::clone(&heard), changed: change, keepalive };
        let hello = Hello { client_id: self.client_id.clone(), will: None, filters };
        let opened = Session::open(&settings.broker, hello, ear, clock, settings.timeout).await;
        let session =
            opened.map_err(|error| error.during(&format!("connect to {}", settings.broker.address)))?;
        Ok(Link { session, heard, changed, opened_at: now, pending: None, confirmed: None })
    }

    /// Waits for something to be heard; `Ok(None)` when it is not within the time of an answer.
    async fn wait<T>(
        &self,
        link: &mut Link,
        operation: &str,
        look: impl FnMut(&MappedHeard) -> Option<T>,
    ) -> Result<Option<T>, DeviceError> {
        self.wait_for(link, operation, self.settings.timeout, look).await
    }

    /// Waits for something to be heard. Nothing that was heard of equipment that is gone, or over a connection that is
    /// lost, counts.
    async fn wait_for<T>(
        &self,
        link: &mut Link,
        operation: &str,
        timeout: Duration,
        mut look: impl FnMut(&MappedHeard) -> Option<T>,
    ) -> Result<Option<T>, DeviceError> {
        let Link { session, heard, changed, .. } = link;
        if changed.has_changed().is_err() {
            return Err(session.ended().await.during(operation));
        }
        let looking = async {
            loop {
                changed.borrow_and_update();
                {
                    let heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                    if heard.online() == Some(false) {
                        let reason = "the equipment says that it is not there".to_owned();
                        return Err(DeviceError::Disconnected { operation: operation.to_owned(), reason });
                    }
                    if let Some(found) = look(&heard) {
                        return Ok(Some(found));
                    }
                }
                if changed.changed().await.is_err() {
                    return Err(session.ended().await.during(operation));
                }
            }
        };
        until(&*self.clock, self.clock.now() + timeout, looking).await.unwrap_or(Ok(None))
    }

    /// Everything that is known. Before anything was heard it is little; when nothing comes any more it is an error.
    async fn read_on(&self, link: &mut Link) -> Result<Snapshot, DeviceError> {
        const READ: &str = "read";
        let patience = self.freshness();
        let opened_at = link.opened_at;
        let (clock, timeout) = (Arc::clone(&self.clock), self.settings.timeout);
        let found = self.wait(link, READ, |heard| {
            let now = clock.now();
            let last = heard.newest().unwrap_or(opened_at);
            (now.since(last) <= patience).then(|| heard.snapshot(now))
        });
        found.await?.ok_or(DeviceError::Timeout { operation: READ.to_owned(), waited: patience + timeout })
    }

    /// Writes a power, unless it is on its way or held already, and looks whether the equipment holds it.
    async fn set(&self, link: &mut Link, watts: f64) -> Result<Applied, DeviceError> {
        let power = self.power()?;
        self.wait(link, SET, |_| Some(())).await?;
        let now = self.clock.now();
        let pending = match link.pending.take().filter(|pending| pending.watts == watts) {
            Some(pending) => pending,
            None => {
                let (payload, asked_w) = power.encode(watts).ok_or_else(|| outside(power, watts))?;
                let fresh = now.before(self.freshness());
                // What is held counts only for what was confirmed last: an earlier command may still be on its way.
                let again = link.confirmed.take().filter(|confirmed| confirmed.watts == watts);
                let (held, renewed) = {
                    let heard = link.heard.lock().unwrap_or_else(PoisonError::into_inner);
                    (heard.held_w(fresh), again.and_then(|again| heard.held_w(again.written_at.max(fresh))))
                };
                let near = |held: f64| (held - asked_w).abs() <= power.tolerance_w;
                match (again, held.filter(|held| near(*held))) {
                    (Some(again), Some(held)) if renewed.is_some() => {
                        link.confirmed = Some(again);
                        self.renew(link, power, watts).await?;
                        return Ok(confirmed(link, held, false));
                    }
                    // Nothing was read back since it was renewed last: that is to be shown first.
                    (Some(Confirmed { written_at, .. }), Some(_)) => {
                        Pending { watts, asked_w, written_at, lost: false, renewal: true }
                    }
                    _ => {
                        self.publish(link, power, payload).await?;
                        let lost = again.is_some() && held.is_some();
                        Pending { watts, asked_w, written_at: now, lost, renewal: false }
                    }
                }
            }
        };
        self.settle(link, power, pending).await
    }

    /// Writes the confirmed command anew to equipment that lets go of it otherwise.
    async fn renew(&self, link: &mut Link, power: &PowerCommand, watts: f64) -> Result<(), DeviceError> {
        if power.fail_safe != FailSafe::None {
            let written_at = self.clock.now();
            let (payload, _) = power.encode(watts).ok_or_else(|| outside(power, watts))?;
            self.publish(link, power, payload).await?;
            link.confirmed = Some(Confirmed { watts, written_at });
        }
        Ok(())
    }

    async fn settle(
        &self,
        link: &mut Link,
        power: &PowerCommand,
        pending: Pending,
    ) -> Result<Applied, DeviceError> {
        let Pending { watts, asked_w, written_at, lost, renewal } = pending;
        let held = self.wait(link, SET, |heard| {
            heard.held_w(written_at).filter(|held| (held - asked_w).abs() <= power.tolerance_w)
        });
        if let Some(held) = held.await? {
            link.confirmed = Some(Confirmed { watts, written_at });
            if renewal {
                self.renew(link, power, watts).await?;
            }
            return Ok(confirmed(link, held, lost));
        }
        let waited = self.clock.now().since(written_at);
        if waited >= power.confirm_within {
            return Err(DeviceError::Timeout { operation: SET.to_owned(), waited });
        }
        link.pending = Some(pending);
        Ok(Applied::InProgress)
    }

    async fn publish(&self, link: &Link, power: &PowerCommand, payload: String) -> Result<(), DeviceError> {
        let topic = power.topic.clone();
        let publication =
            Publication { topic, payload: payload.into_bytes(), retained: false, assured: true };
        let timeout = self.settings.timeout;
        match until(&*self.clock, self.clock.now() + timeout, link.session.publish(publication)).await {
            Some(sent) => sent.map_err(|error| error.during(SET)),
            None => Err(DeviceError::Timeout { operation: SET.to_owned(), waited: timeout }),
        }
    }

    /// How long what was told of the held command counts: as long as the slowest point.
    fn freshness(&self) -> Duration {
        self.settings.profile.points.iter().map(|point| point.stale_after).max().unwrap_or_default()
    }

    fn power(&self) -> Result<&PowerCommand, DeviceError> {
        self.settings.profile.power.as_ref().ok_or_else(|| unsupported("its profile has no [power]"))
    }

    async fn apply_on(&self, link: &mut Link, command: Command) -> Result<Applied, DeviceError> {
        let range = self.power()?.range;
        let Command::Power { real_power_w, reactive_power_var } = command else {
            return Err(unsupported("its profile knows powers only"));
        };
        if !(range.min_w..=range.max_w).contains(&real_power_w) || reactive_power_var != 0.0 {
            let (min_w, max_w) = (range.min_w, range.max_w);
            let reason = format!(
                "{real_power_w} W and {reactive_power_var} var are not from {min_w} to {max_w} W without reactive power"
            );
            return Err(DeviceError::Refused { operation: SET.to_owned(), reason });
        }
        self.set(link, real_power_w).await
    }

    async fn release_on(&self, link: &mut Link, safe: &SafeState) -> Result<Applied, DeviceError> {
        match safe {
            SafeState::Command(command) => self.apply_on(link, *command).await,
            SafeState::Release => self.set(link, self.power()?.release_w).await,
            SafeState::Hold => {
                let fresh = self.clock.now().before(self.freshness());
                match self.wait(link, "release", |heard| heard.held_w(fresh)).await? {
                    Some(held) => Ok(confirmed(link, held, false)),
                    None => Err(DeviceError::Timeout {
                        operation: "release".to_owned(),
                        waited: self.settings.timeout,
                    }),
                }
            }
        }
    }

    fn link(&mut self, operation: &str) -> Result<Link, DeviceError> {
        self.link.take().ok_or_else(|| DeviceError::Disconnected {
            operation: operation.to_owned(),
            reason: "connect comes first".to_owned(),
        })
    }

    fn keep<T>(&mut self, link: Link, result: Result<T, DeviceError>) -> Result<T, DeviceError> {
        if result.as_ref().err().is_none_or(DeviceError::keeps_link) {
            self.link = Some(link);
        }
        result
    }
}

fn outside(power: &PowerCommand, watts: f64) -> DeviceError {
    let (min_w, max_w) = (power.range.min_w, power.range.max_w);
    let reason = format!("{watts} W, as it can be told, is not from {min_w} to {max_w} W");
    DeviceError::Refused { operation: SET.to_owned(), reason }
}

fn unsupported(reason: &str) -> DeviceError {
    DeviceError::Unsupported { operation: SET.to_owned(), reason: reason.to_owned() }
}

fn confirmed(link: &mut Link, held_w: f64, lost: bool) -> Applied {
    link.pending = None;
    let readback = Command::Power { real_power_w: held_w, reactive_power_var: 0.0 };
    if lost { Applied::Restored { readback } } else { Applied::Confirmed { readback } }
}

#[async_trait]
impl Device for MappedDevice {
    async fn connect(&mut self) -> Result<Description, DeviceError> {
        self.link = None;
        let mut link = self.open().await?;
        let operation = "wait for a sign of life";
        // Where only values show that it is there, the first one may take as long as they stay fresh.
        let status = self.settings.profile.status.is_some();
        let timeout = self.settings.timeout;
        let patience = if status { timeout } else { self.freshness().max(timeout) };
        let heard = self.wait_for(&mut link, operation, patience, |heard| heard.alive().then_some(()));
        let Some(()) = heard.await? else {
            let reason = format!("the equipment did not show that it is there within {patience:?}");
            return Err(DeviceError::Disconnected { operation: operation.to_owned(), reason });
        };
        self.link = Some(link);
        let MappedSettings { profile, prefix, device_id, .. } = &self.settings;
        Ok(Description {
            identity: String::new(),
            profile: format!("{} ({prefix}, {device_id})", profile.name),
            capabilities: Capabilities {
                power: profile.power.as_ref().map(|power| power.range),
                ..Capabilities::default()
            },
            fail_safe: profile.power.as_ref().map_or(FailSafe::None, |power| power.fail_safe),
            renewal: Renewal::No,
            standing: None,
        })
    }

    async fn read(&mut self) -> Result<Snapshot, DeviceError> {
        let mut link = self.link("read")?;
        let result = self.read_on(&mut link).await;
        self.keep(link, result)
    }

    async fn apply(&mut self, setpoint: &Setpoint) -> Result<Applied, DeviceError> {
        let mut link = self.link("apply")?;
        let result = if self.clock.now() >= setpoint.expires_at {
            let reason = "the command has expired".to_owned();
            Err(DeviceError::Refused { operation: SET.to_owned(), reason })
        } else {
            self.apply_on(&mut link, setpoint.command).await
        };
        self.keep(link, result)
    }

    async fn release(&mut self, safe: &SafeState) -> Result<Applied, DeviceError> {
        let mut link = self.link("release")?;
        let result = self.release_on(&mut link, safe).await;
        self.keep(link, result)
    }
}

#[cfg(test)]
mod tests;
