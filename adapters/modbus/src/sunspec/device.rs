//! The SunSpec inverter as a device: [`SunSpecDevice`].
//!
//! Connecting finds the models and reads the nameplate and what is in force; it writes nothing, so what the inverter
//! does is adopted. Everything that writes is in `drive`. A device with storage is given powers, charging included;
//! any other a ceiling of its power. Model 715 tells whether it lives and whether it takes commands at all.

use super::block::Block;
use super::controls::{Controls, Means, RevertAfter};
use super::discovery::{self, Chain, Located};
use super::drive::Drive;
use super::measure::{self, Measurements};
use super::nameplate::Ratings;
use super::supervision::{self, Heartbeat};
use crate::link::Link;
use crate::session::LinkSettings;
use async_trait::async_trait;
use gridloop_clock::SharedClock;
use gridloop_device::{
    Applied, Capabilities, Command, Description, Device, DeviceError, FailSafe, PowerRange, Quality, Renewal,
    SafeState, Setpoint, Snapshot,
};

/// How to reach and drive a SunSpec inverter.
#[derive(Debug, Clone, PartialEq)]
pub struct SunSpecSettings {
    /// Where it is.
    pub link: LinkSettings,
    /// After how long without commands the inverter itself is to end the command.
    pub revert_after: RevertAfter,
    /// The real power in W to which it is to go then. Only model 704 can; models 123 and 124 drop the command.
    pub revert_to_w: f64,
    /// Whether it is told a power, charging included, instead of a ceiling of its power. `None`: if it has a storage
    /// model (124, 713 or 802) and takes one.
    pub storage: Option<bool>,
    /// Whether a new value is put in force only by taking the old one out of force first, as some inverters demand.
    /// In between nothing is in force.
    pub reenable: bool,
}

impl SunSpecSettings {
    /// An inverter on this link, with the usual timer and without quirks.
    #[must_use]
    pub fn new(link: LinkSettings) -> Self {
        Self { link, revert_after: RevertAfter::Usual, revert_to_w: 0.0, storage: None, reenable: false }
    }
}

/// A SunSpec inverter behind Modbus TCP.
pub struct SunSpecDevice {
    link: Link,
    revert_after: RevertAfter,
    revert_to_w: f64,
    storage: Option<bool>,
    reenable: bool,
    inverter: Option<Inverter>,
    /// A command was sent whose outcome is not known yet; it outlives the connection.
    unsure: bool,
    /// What we have driven and not freed yet; it outlives the connection, so that a release frees the same.
    driven: Option<Driven>,
}

/// What we have driven.
#[derive(Debug, Clone, Copy)]
struct Driven {
    means: Means,
    /// The ratings then, for a device that states none any more.
    ratings: Ratings,
    /// Whether there was a lever of reactive power.
    reactive: bool,
}

/// What connecting found.
#[derive(Debug)]
struct Inverter {
    sources: Vec<Located>,
    measurements: Measurements,
    heartbeat: Heartbeat,
    drive: Option<Drive>,
}

/// What connecting found of the controls.
struct Found {
    drive: Drive,
    power: Option<PowerRange>,
    fail_safe: FailSafe,
    renewal: Renewal,
    is_local: bool,
    standing: Option<Command>,
}

/// What model 715, if there is one, makes of the controls.
#[derive(Default)]
struct Supervised {
    renewal: Renewal,
    is_local: bool,
    control: Option<Located>,
}

impl SunSpecDevice {
    /// A device that is not connected yet.
    #[must_use]
    pub fn new(settings: SunSpecSettings, clock: SharedClock) -> Self {
        let SunSpecSettings { link, revert_after, revert_to_w, storage, reenable } = settings;
        Self {
            link: Link::new(link, clock),
            revert_after,
            revert_to_w,
            storage,
            reenable,
            inverter: None,
            unsure: false,
            driven: None,
        }
    }

    async fn try_connect(&mut self) -> Result<Description, DeviceError> {
        self.inverter = None;
        self.link.open().await?;
        let unsupported = |reason: &str| DeviceError::Unsupported {
            operation: "identify a SunSpec inverter".to_owned(),
            reason: reason.to_owned(),
        };
        let chain = discovery::discover(&self.link)
            .await?
            .ok_or_else(|| unsupported("no SunSpec marker at register 40000, 0 or 50000"))?;
        let sources = measure::sources(&chain)
            .ok_or_else(|| unsupported("none of the inverter models 101 to 103, 111 to 113 and 701"))?;
        let mut description = Description { profile: profile(&chain), ..Description::default() };
        let (measurements, heartbeat) = (Measurements::default(), Heartbeat::default());
        let mut inverter = Inverter { sources, measurements, heartbeat, drive: None };
        if let Some(found) = self.controls(&chain).await? {
            inverter.drive = Some(found.drive);
            description.capabilities = Capabilities { power: found.power, ..Capabilities::default() };
            description.fail_safe = found.fail_safe;
            description.renewal = found.renewal;
            if found.is_local {
                description.profile.push_str(", under local control");
            }
            description.standing = found.standing;
        }
        description.identity = self.identity(&chain).await?;
        self.inverter = Some(inverter);
        Ok(description)
    }

    /// What the inverter can be told and holds; `None` when it states no power or takes none. What we have driven and
    /// not freed is found again, whether or not it takes power now.
    async fn controls(&self, chain: &Chain) -> Result<Option<Found>, DeviceError> {
        let stated = Ratings::read(&self.link, chain).await?;
        let Some(ratings) = stated.or(self.driven.map(|driven| driven.ratings)) else { return Ok(None) };
        for means in self.candidates(chain) {
            let Some(located) = chain.located(&[means.model()]) else { continue };
            let block = Block::read(&self.link, located.place, located.model).await?;
            let view = Controls::new(&block, means, ratings);
            let commands_power = stated.is_some() && view.commands_power();
            if !commands_power && self.driven.is_none() {
                continue;
            }
            let revert = view.revert(self.revert_after, self.revert_to_w);
            let supervised = self.supervised(chain).await?;
            return Ok(Some(Found {
                power: commands_power.then(|| view.range(revert)),
                fail_safe: view.fail_safe(revert),
                renewal: supervised.renewal,
                is_local: supervised.is_local,
                standing: view.standing(),
                drive: Drive {
                    controls: located,
                    means,
                    supervision: supervised.control,
                    reenable: self.reenable,
                    ratings,
                    chain: chain.clone(),
                    revert,
                    reactive: view.has_reactive() || self.driven.is_some_and(|driven| driven.reactive),
                    sent: false,
                    confirmed: None,
                },
            }));
        }
        Ok(None)
    }

    /// The means by which it may be driven, the best first.
    fn candidates(&self, chain: &Chain) -> Vec<Means> {
        if let Some(Driven { means, .. }) = self.driven {
            return vec![means];
        }
        let stores = self.storage.unwrap_or_else(|| chain.located(&[124, 713, 802]).is_some());
        let set_points: &[Means] = if stores { &[Means::WSet704, Means::Storage124] } else { &[] };
        let ceilings: &[Means] =
            if self.storage == Some(true) { &[] } else { &[Means::Limit704, Means::Limit123] };
        [set_points, ceilings].concat()
    }

    /// Whether the device wants signs of life, and who is in control.
    async fn supervised(&self, chain: &Chain) -> Result<Supervised, DeviceError> {
        let Some(control) = chain.located(&[supervision::MODEL]) else { return Ok(Supervised::default()) };
        let block = Block::read(&self.link, control.place, control.model).await?;
        Ok(Supervised {
            renewal: supervision::renewal(&block),
            is_local: supervision::is_local(&block),
            control: Some(control),
        })
    }

    async fn identity(&self, chain: &Chain) -> Result<String, DeviceError> {
        let Some(common) = chain.located(&[1]) else { return Ok(String::new()) };
        let block = Block::read(&self.link, common.place, common.model).await?;
        let parts: Vec<String> = ["Mn", "Md", "SN"].iter().filter_map(|name| block.text(name)).collect();
        Ok(parts.join(" "))
    }

    async fn try_read(&mut self) -> Result<Snapshot, DeviceError> {
        let inverter = self.inverter.as_mut().ok_or_else(|| unidentified("read"))?;
        let blocks = Block::read_all(&self.link, &inverter.sources).await?;
        let snapshot = inverter.measurements.snapshot(&blocks);
        let mut snapshot = snapshot.map_err(|(index, error)| blocks[index].malformed(&error))?;
        let control = blocks.iter().find(|block| block.place.id == supervision::MODEL);
        if control.is_some_and(|control| !inverter.heartbeat.lives(control)) {
            // The registers answer, but nobody behind them renews what they hold.
            for sample in snapshot.points.values_mut() {
                sample.quality = sample.quality.max(Quality::Stale);
            }
        }
        Ok(snapshot)
    }

    /// Writes to the controls. If it breaks off, what they hold is unknown until something is confirmed.
    async fn drive(&mut self, order: Order<'_>) -> Result<Applied, DeviceError> {
        let Self { link, inverter, unsure, driven, .. } = self;
        let drive = controlled(inverter, order.name())?;
        let Drive { means, ratings, reactive, .. } = *drive;
        let rewrite = std::mem::replace(unsure, true);
        let driven_before = driven.replace(Driven { means, ratings, reactive });
        drive.sent = false;
        let done = match order {
            Order::Apply(command) => drive.power(link, command, rewrite).await,
            Order::Safe(command) => drive.hold(link, command).await,
            Order::Free => drive.free(link).await,
        };
        let failure = done.as_ref().err();
        *unsure = failure.is_some_and(|error| rewrite || drive.sent || !error.keeps_link());
        if done.is_ok() && matches!(order, Order::Free) {
            *driven = None;
        } else if done.is_err() && !drive.sent {
            *driven = driven_before;
        }
        done
    }

    async fn adopt(&mut self) -> Result<Applied, DeviceError> {
        controlled(&mut self.inverter, "read back")?.adopt(&self.link).await
    }
}

/// The controls that connecting found.
fn controlled<'i>(inverter: &'i mut Option<Inverter>, operation: &str) -> Result<&'i mut Drive, DeviceError> {
    let inverter = inverter.as_mut().ok_or_else(|| unidentified(operation))?;
    inverter.drive.as_mut().ok_or_else(|| DeviceError::Unsupported {
        operation: operation.to_owned(),
        reason: "the inverter has no model 123, 124 or 704 that commands power, or states no power"
            .to_owned(),
    })
}

/// What is to be written to the controls.
#[derive(Clone, Copy)]
enum Order<'o> {
    /// A command; what stands already need not be written.
    Apply(&'o Command),
    /// A command to be left behind.
    Safe(&'o Command),
    /// Nothing in force.
    Free,
}

impl Order<'_> {
    /// What errors call it.
    const fn name(self) -> &'static str {
        match self {
            Self::Apply(_) => "apply power",
            Self::Safe(_) | Self::Free => "release",
        }
    }
}

#[async_trait]
impl Device for SunSpecDevice {
    async fn connect(&mut self) -> Result<Description, DeviceError> {
        let result = self.try_connect().await;
        self.link.settle(result)
    }

    async fn read(&mut self) -> Result<Snapshot, DeviceError> {
        let result = self.try_read().await;
        self.link.settle(result)
    }

    async fn apply(&mut self, setpoint: &Setpoint) -> Result<Applied, DeviceError> {
        let result = self.drive(Order::Apply(&setpoint.command)).await;
        self.link.settle(result)
    }

    async fn release(&mut self, safe: &SafeState) -> Result<Applied, DeviceError> {
        let result = match safe {
            SafeState::Command(command) => self.drive(Order::Safe(command)).await,
            SafeState::Release => self.drive(Order::Free).await,
            SafeState::Hold => self.adopt().await,
        };
        self.link.settle(result)
    }
}

/// The models found, for people.
fn profile(chain: &Chain) -> String {
    let ids: Vec<String> = chain.places.iter().map(|place| place.id.to_string()).collect();
    format!("SunSpec {}", ids.join(" "))
}

fn unidentified(operation: &str) -> DeviceError {
    DeviceError::Disconnected {
        operation: operation.to_owned(),
        reason: "the device has not been identified".to_owned(),
    }
}
