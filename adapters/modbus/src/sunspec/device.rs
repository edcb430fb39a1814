//! The SunSpec inverter as a device: [`SunSpecDevice`].
//!
//! Connecting finds the models and reads the nameplate and what is in force; it writes nothing, so what the inverter
//! does is adopted. Everything that writes is in `drive`.

use super::block::Block;
use super::controls::{CONTROLS, Controls, Revert};
use super::discovery::{self, Chain, Located};
use super::drive::Drive;
use super::measure::{self, INVERTERS};
use super::nameplate::Ratings;
use crate::link::Link;
use crate::session::LinkSettings;
use async_trait::async_trait;
use gridloop_clock::SharedClock;
use gridloop_device::{
    Applied, Capabilities, Command, Description, Device, DeviceError, FailSafe, PowerRange, SafeState,
    Setpoint, Snapshot,
};
use std::time::Duration;

/// How to reach and drive a SunSpec inverter.
#[derive(Debug, Clone, PartialEq)]
pub struct SunSpecSettings {
    /// Where it is.
    pub link: LinkSettings,
    /// After how long without commands the inverter itself is to end the command. `None`: never. Rounded to whole
    /// seconds, at least one.
    pub revert_after: Option<Duration>,
    /// The real power in W to which it is to go then. Only model 704 can; model 123 drops the limit.
    pub revert_to_w: f64,
}

/// A SunSpec inverter behind Modbus TCP.
pub struct SunSpecDevice {
    link: Link,
    revert: Option<Revert>,
    inverter: Option<Inverter>,
    /// A command was sent whose outcome is not known yet; it outlives the connection.
    unsure: bool,
}

/// What connecting found.
#[derive(Debug)]
struct Inverter {
    measures: Located,
    drive: Option<Drive>,
}

/// What connecting found of the controls.
struct Found {
    drive: Drive,
    power: PowerRange,
    fail_safe: FailSafe,
    standing: Option<Command>,
}

impl SunSpecDevice {
    /// A device that is not connected yet.
    #[must_use]
    pub fn new(settings: SunSpecSettings, clock: SharedClock) -> Self {
        let SunSpecSettings { link, revert_after, revert_to_w } = settings;
        let revert = revert_after.map(|after| Revert { after, to_w: revert_to_w });
        Self { link: Link::new(link, clock), revert, inverter: None, unsure: false }
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
        let measures = chain
            .located(&INVERTERS)
            .ok_or_else(|| unsupported("none of the inverter models 101 to 103 and 111 to 113"))?;
        let mut description = Description { profile: profile(&chain), ..Description::default() };
        let mut inverter = Inverter { measures, drive: None };
        if let Some(found) = self.controls(&chain).await? {
            inverter.drive = Some(found.drive);
            description.capabilities = Capabilities { power: Some(found.power), ..Capabilities::default() };
            description.fail_safe = found.fail_safe;
            description.standing = found.standing;
        }
        description.identity = self.identity(&chain).await?;
        self.inverter = Some(inverter);
        Ok(description)
    }

    /// What the inverter can be told and holds; `None` when it states no power or has no limit of it.
    async fn controls(&self, chain: &Chain) -> Result<Option<Found>, DeviceError> {
        let Some(ratings) = Ratings::read(&self.link, chain).await? else { return Ok(None) };
        let Some(controls) = chain.located(&CONTROLS) else { return Ok(None) };
        let block = Block::read(&self.link, controls.place, controls.model).await?;
        let view = Controls::new(&block, ratings.w_max, ratings.max_var);
        if !view.limits_power() {
            return Ok(None);
        }
        let max_var = if view.sets_reactive_power() { ratings.max_var } else { 0.0 };
        let (revert, chain) = (self.revert, chain.clone());
        Ok(Some(Found {
            power: PowerRange { min_w: 0.0, max_w: ratings.w_max, max_var },
            fail_safe: view.fail_safe(revert),
            standing: view.standing(),
            drive: Drive { controls, ratings, chain, revert, confirmed: None },
        }))
    }

    async fn identity(&self, chain: &Chain) -> Result<String, DeviceError> {
        let Some(common) = chain.located(&[1]) else { return Ok(String::new()) };
        let block = Block::read(&self.link, common.place, common.model).await?;
        let parts: Vec<String> = ["Mn", "Md", "SN"].iter().filter_map(|name| block.text(name)).collect();
        Ok(parts.join(" "))
    }

    async fn try_read(&self) -> Result<Snapshot, DeviceError> {
        let inverter = self.inverter.as_ref().ok_or_else(|| unidentified("read"))?;
        let Located { place, model } = inverter.measures;
        let block = Block::read(&self.link, place, model).await?;
        measure::snapshot(&block).map_err(|error| block.malformed(&error))
    }

    /// Writes to the controls. If it breaks off, what they hold is unknown until something is confirmed.
    async fn drive(&mut self, order: Order<'_>) -> Result<Applied, DeviceError> {
        let (link, drive, unsure) = self.controlled(order.name())?;
        let rewrite = std::mem::replace(unsure, true);
        let done = match order {
            Order::Apply(command) => drive.power(link, command, rewrite).await,
            Order::Safe(command) => drive.hold(link, command).await,
            Order::Free => drive.free(link).await,
        };
        *unsure = done.as_ref().err().is_some_and(|error| rewrite || !error.keeps_link());
        done
    }

    async fn adopt(&mut self) -> Result<Applied, DeviceError> {
        let (link, drive, _) = self.controlled("read back")?;
        drive.adopt(link).await
    }

    /// The link, the controls, and whether a command of unknown outcome may still come.
    fn controlled(&mut self, operation: &str) -> Result<(&Link, &mut Drive, &mut bool), DeviceError> {
        let inverter = self.inverter.as_mut().ok_or_else(|| unidentified(operation))?;
        let drive = inverter.drive.as_mut().ok_or_else(|| DeviceError::Unsupported {
            operation: operation.to_owned(),
            reason: "the inverter has no model 123 or 704 that limits power, or states no power".to_owned(),
        })?;
        Ok((&self.link, drive, &mut self.unsure))
    }
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
