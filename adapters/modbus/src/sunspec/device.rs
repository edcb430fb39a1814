//! The SunSpec inverter as a device: [`SunSpecDevice`].
//!
//! Connecting finds the models and reads the nameplate; it writes nothing, so what the inverter does is adopted.
//! Applying reads the control block, writes what is to change, and reads back until the registers hold exactly what
//! was asked.

use super::block::{Block, Place};
use super::controls::{CONTROLS, Controls, Goal, Impossible, Revert, Write};
use super::discovery::{self, Chain};
use super::measure::{self, INVERTERS};
use super::models::{Model, model};
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
}

/// What connecting found.
#[derive(Debug, Clone, Copy)]
struct Inverter {
    measures: Located,
    controls: Option<Located>,
    w_max: f64,
    max_var: f64,
}

#[derive(Debug, Clone, Copy)]
struct Located {
    place: Place,
    model: &'static Model,
}

impl SunSpecDevice {
    /// A device that is not connected yet.
    #[must_use]
    pub fn new(settings: SunSpecSettings, clock: SharedClock) -> Self {
        let SunSpecSettings { link, revert_after, revert_to_w } = settings;
        let revert = revert_after.map(|after| Revert { after, to_w: revert_to_w });
        Self { link: Link::new(link, clock), revert, inverter: None }
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
        let measures = located(&chain, &INVERTERS)
            .ok_or_else(|| unsupported("none of the inverter models 101 to 103 and 111 to 113"))?;
        let mut inverter = Inverter { measures, controls: None, w_max: f64::NAN, max_var: 0.0 };
        let mut fail_safe = FailSafe::None;
        if let Some(nameplate) = self.nameplate(&chain).await?
            && let Some(controls) = located(&chain, &CONTROLS)
        {
            let block = Block::read(&self.link, controls.place, controls.model).await?;
            let view = Controls::new(&block, nameplate.w_max, nameplate.max_var);
            if view.limits_power() {
                let max_var = nameplate.max_var.min(nameplate.w_max);
                inverter.w_max = nameplate.w_max;
                inverter.max_var = if view.sets_reactive_power() { max_var } else { 0.0 };
                inverter.controls = Some(controls);
                fail_safe = view.fail_safe(self.revert);
            }
        }
        let identity = self.identity(&chain).await?;
        self.inverter = Some(inverter);
        Ok(Description {
            identity,
            profile: profile(&chain),
            capabilities: inverter.capabilities(),
            fail_safe,
        })
    }

    async fn identity(&self, chain: &Chain) -> Result<String, DeviceError> {
        let Some(common) = located(chain, &[1]) else { return Ok(String::new()) };
        let block = Block::read(&self.link, common.place, common.model).await?;
        let parts: Vec<String> = ["Mn", "Md", "SN"].iter().filter_map(|name| block.text(name)).collect();
        Ok(parts.join(" "))
    }

    /// The ratings, from the settings where the device has them (121, 702), else from the nameplate (120, 702).
    /// `None` when no model states a power above zero.
    async fn nameplate(&self, chain: &Chain) -> Result<Option<Nameplate>, DeviceError> {
        const SOURCES: [(u16, &str, [&str; 2]); 4] = [
            (121, "WMax", ["VArMaxQ1", "VArMaxQ4"]),
            (702, "WMax", ["VarMaxInj", "VarMaxAbs"]),
            (120, "WRtg", ["VArRtgQ1", "VArRtgQ4"]),
            (702, "WMaxRtg", ["VarMaxInjRtg", "VarMaxAbsRtg"]),
        ];
        let (mut w_max, mut max_var) = (None, None);
        for (id, power, vars) in SOURCES {
            let Some(located) = located(chain, &[id]) else { continue };
            let block = Block::read(&self.link, located.place, located.model).await?;
            let number = |name: &str| block.named(name).map_err(|error| block.malformed(&error));
            w_max = w_max.or(number(power)?.filter(|watts| *watts > 0.0));
            let [injected, absorbed] = [number(vars[0])?, number(vars[1])?].map(|var| var.map(f64::abs));
            max_var = max_var.or(match (injected, absorbed) {
                (Some(injected), Some(absorbed)) => Some(injected.min(absorbed)),
                (one, other) => one.or(other),
            });
        }
        Ok(w_max.map(|w_max| Nameplate { w_max, max_var: max_var.unwrap_or(0.0) }))
    }

    async fn try_read(&self) -> Result<Snapshot, DeviceError> {
        let Located { place, model } = self.found("read")?.measures;
        let block = Block::read(&self.link, place, model).await?;
        measure::snapshot(&block).map_err(|error| block.malformed(&error))
    }

    /// Makes the control block hold what a goal takes, and tells the command that it holds then.
    async fn pursue(&self, goal: Goal) -> Result<Applied, DeviceError> {
        let operation = goal.name();
        let Inverter { controls, w_max, max_var, .. } = self.found(operation)?;
        let Located { place, model } = controls.ok_or_else(|| DeviceError::Unsupported {
            operation: operation.to_owned(),
            reason: "the inverter has no model 123 or 704 that limits power, or states no power".to_owned(),
        })?;
        let before = Block::read(&self.link, place, model).await?;
        let view = Controls::new(&before, w_max, max_var);
        let writes = view.plan(goal, self.revert).map_err(|error| impossible(operation, &error))?;
        // A timer restarts by being written; without one, what stands already is not written again.
        let due: Vec<&Write> =
            if self.revert.is_some() { writes.iter().collect() } else { view.missing(&writes) };
        for run in contiguous(&due) {
            let names: Vec<&str> = run.iter().map(|write| write.point.name).collect();
            let registers: Vec<u16> = run.iter().flat_map(|write| write.registers.iter().copied()).collect();
            let address = address_of(place, run[0])?;
            self.link.write(&names.join(" "), address, &registers).await?;
        }
        let after = Block::read(&self.link, place, model).await?;
        let view = Controls::new(&after, w_max, max_var);
        if let Some(write) = view.missing(&writes).first() {
            return Err(DeviceError::Refused {
                operation: format!("write {}", write.point.name),
                reason: format!(
                    "asked for {:?}, the device holds {:?}",
                    write.registers,
                    after.registers(write.point).unwrap_or_default()
                ),
            });
        }
        let readback = view.held().map_err(|error| after.malformed(&error))?;
        Ok(Applied::Confirmed { readback })
    }

    async fn command(&self, command: &Command) -> Result<Applied, DeviceError> {
        let Command::Power { real_power_w, reactive_power_var } = *command else {
            return Err(DeviceError::Unsupported {
                operation: "apply".to_owned(),
                reason: "an inverter takes power only".to_owned(),
            });
        };
        self.pursue(Goal::Power { real_power_w, reactive_power_var }).await
    }

    async fn try_release(&self, safe: &SafeState) -> Result<Applied, DeviceError> {
        match safe {
            SafeState::Command(command) => self.command(command).await,
            SafeState::Release => self.pursue(Goal::Free).await,
            SafeState::Hold => self.pursue(Goal::Adopt).await,
        }
    }

    fn found(&self, operation: &str) -> Result<Inverter, DeviceError> {
        self.inverter.ok_or_else(|| DeviceError::Disconnected {
            operation: operation.to_owned(),
            reason: "the device has not been identified".to_owned(),
        })
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
        let result = self.command(&setpoint.command).await;
        self.link.settle(result)
    }

    async fn release(&mut self, safe: &SafeState) -> Result<Applied, DeviceError> {
        let result = self.try_release(safe).await;
        self.link.settle(result)
    }
}

struct Nameplate {
    w_max: f64,
    max_var: f64,
}

impl Inverter {
    fn capabilities(&self) -> Capabilities {
        let power =
            self.controls.map(|_| PowerRange { min_w: 0.0, max_w: self.w_max, max_var: self.max_var });
        Capabilities { power, ..Capabilities::default() }
    }
}

/// The first of these models that the device has.
fn located(chain: &Chain, ids: &[u16]) -> Option<Located> {
    let place = chain.first_of(ids)?;
    Some(Located { place, model: model(place.id)? })
}

/// The models found, for people.
fn profile(chain: &Chain) -> String {
    let ids: Vec<String> = chain.places.iter().map(|place| place.id.to_string()).collect();
    format!("SunSpec {}", ids.join(" "))
}

/// Writes whose registers follow on one another, in the order of the plan, as one request each.
fn contiguous<'w>(writes: &[&'w Write]) -> Vec<Vec<&'w Write>> {
    let mut runs: Vec<Vec<&Write>> = Vec::new();
    for write in writes {
        let follows = |last: &&Write| last.point.offset + last.point.kind.registers() == write.point.offset;
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(follows) => run.push(write),
            _ => runs.push(vec![write]),
        }
    }
    runs
}

fn address_of(place: Place, write: &Write) -> Result<u16, DeviceError> {
    place.address.checked_add(write.point.offset).ok_or_else(|| DeviceError::Malformed {
        operation: format!("write {}", write.point.name),
        reason: "the point lies beyond register 65535".to_owned(),
    })
}

fn impossible(operation: &str, error: &Impossible) -> DeviceError {
    let (operation, reason) = (operation.to_owned(), error.to_string());
    match error {
        Impossible::Missing(_) => DeviceError::Unsupported { operation, reason },
        Impossible::BadScaleFactor(_) => DeviceError::Malformed { operation, reason },
        Impossible::OutOfRange { .. } | Impossible::Unencodable { .. } | Impossible::Rival(_) => {
            DeviceError::Refused { operation, reason }
        }
    }
}
