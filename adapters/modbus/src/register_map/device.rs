//! A device that is described by a profile: [`RegisterMapDevice`].

use super::plan::{Image, Span, send, spans};
use super::power::PowerDrive;
use super::profile::{ByteOrder, IdentityText, PointSpec, Profile, Reading, VoltageSetpoint};
use super::tap::TapChanger;
use crate::link::Link;
use crate::register_map::Table;
use crate::registers::Unencodable;
use crate::session::{LinkError, LinkSettings};
use crate::sunspec::value::text;
use async_trait::async_trait;
use gridloop_clock::SharedClock;
use gridloop_device::{
    Applied, Capabilities, Command, Description, Device, DeviceError, FailSafe, Renewal, SafeState, Setpoint,
    Snapshot, TapRange, TapReading, VoltageRange,
};

/// What errors call the register of the voltage command.
const VOLTAGE_SETPOINT: &str = "voltage set point";

/// How to reach a device, and what its registers mean.
#[derive(Debug, Clone, PartialEq)]
pub struct RegisterMapSettings {
    /// Where it is.
    pub link: LinkSettings,
    /// What its registers mean.
    pub profile: Profile,
}

/// A device behind Modbus TCP whose registers a [`Profile`] describes.
pub struct RegisterMapDevice {
    link: Link,
    profile: Profile,
    spans: Vec<Span>,
    tap: Option<TapChanger>,
    power: Option<PowerDrive>,
    /// The registers of a voltage set point whose writing nothing has confirmed yet; it outlives the connection.
    unsure: Option<Vec<u16>>,
}

impl RegisterMapDevice {
    /// A device that is not connected yet.
    #[must_use]
    pub fn new(settings: RegisterMapSettings, clock: SharedClock) -> Self {
        let RegisterMapSettings { link, profile } = settings;
        let tap = profile.tap_pulse.clone().map(|pulse| TapChanger::new(pulse, profile.write_function));
        let power = profile.power.clone().map(|command| PowerDrive::new(command, &profile));
        let spans = spans(&profile, |_| true);
        Self { link: Link::new(link, clock), spans, profile, tap, power, unsure: None }
    }

    async fn try_connect(&mut self) -> Result<Description, DeviceError> {
        self.link.open().await?;
        let snapshot = self.try_read().await?;
        let mut capabilities = Capabilities::default();
        if let Some(tap) = &self.tap {
            let TapReading { lowest, highest, .. } = tap.reading(&snapshot)?;
            capabilities.tap_position = Some(TapRange { lowest, highest });
        }
        if let Some(VoltageSetpoint { min_v, max_v, .. }) = self.profile.voltage_setpoint {
            capabilities.voltage = Some(VoltageRange { min_v, max_v });
        }
        let (mut fail_safe, mut standing) = (FailSafe::None, None);
        if let Some(power) = &self.power {
            let (range, held) = power.look(&self.link, &self.profile).await?;
            capabilities.power = range;
            (fail_safe, standing) = (power.fail_safe(&self.profile), held);
        }
        Ok(Description {
            identity: self.identity().await?,
            profile: self.profile.name.clone(),
            capabilities,
            fail_safe,
            renewal: Renewal::No,
            standing,
        })
    }

    /// The texts by which the device says what it is, as far as there are any.
    async fn identity(&self) -> Result<String, DeviceError> {
        let mut parts = Vec::new();
        for IdentityText { table, address, registers, byte_order } in &self.profile.identity {
            let mut held = self.link.read("the identity", *table, *address, *registers).await?;
            if *byte_order == ByteOrder::LowFirst {
                held.iter_mut().for_each(|register| *register = register.swap_bytes());
            }
            parts.extend(text(&held));
        }
        Ok(parts.join(" "))
    }

    async fn try_read(&self) -> Result<Snapshot, DeviceError> {
        let image = Image::read(&self.link, &self.profile, &self.spans).await?;
        Ok(snapshot(&self.profile, &image))
    }

    /// Applies a command; `is_last` when the device is to be left with it.
    async fn command(&mut self, command: &Command, is_last: bool) -> Result<Applied, DeviceError> {
        match *command {
            Command::TapPosition(target) => self.drive_tap(target).await,
            Command::Voltage { voltage_v } => self.set_voltage(voltage_v).await,
            Command::Power { .. } => self.set_power(command, is_last).await,
        }
    }

    async fn set_power(&mut self, command: &Command, is_last: bool) -> Result<Applied, DeviceError> {
        let Self { link, profile, power, .. } = self;
        let power = power.as_mut().ok_or_else(|| unsupported("apply power"))?;
        power.apply(link, profile, *command, is_last).await
    }

    async fn drive_tap(&mut self, target: i32) -> Result<Applied, DeviceError> {
        let snapshot = self.try_read().await?;
        let Self { link, tap, .. } = self;
        let tap = tap.as_mut().ok_or_else(|| unsupported("apply a tap position"))?;
        tap.drive(link, &snapshot, target).await
    }

    async fn set_voltage(&mut self, voltage_v: f64) -> Result<Applied, DeviceError> {
        let (point, command) = self.voltage_point().ok_or_else(|| unsupported("apply a voltage"))?;
        if !(command.min_v..=command.max_v).contains(&voltage_v) {
            let VoltageSetpoint { min_v, max_v, .. } = command;
            return Err(not_set(format!("{voltage_v} V is outside {min_v} to {max_v} V")));
        }
        let wanted = point.encode(voltage_v).map_err(|error: Unencodable| not_set(error.to_string()))?;
        let address = point.address;
        let held = self.held_registers(address, wanted.len()).await?;
        // A write that may still come would undo what stands; one more write comes after it.
        let undone = self.unsure.as_ref().is_some_and(|unsure| *unsure != wanted);
        if held != wanted || undone {
            self.write_voltage(address, &wanted).await?;
            let held = self.held_registers(address, wanted.len()).await?;
            if held != wanted {
                return Err(not_set(format!("asked for {wanted:?}, the device holds {held:?}")));
            }
        }
        self.unsure = None;
        self.decoded(&wanted)
            .ok_or_else(|| not_set("the device holds no voltage".to_owned()))
            .map(|voltage_v| Applied::Confirmed { readback: Command::Voltage { voltage_v } })
    }

    async fn held_registers(&self, address: u16, count: usize) -> Result<Vec<u16>, DeviceError> {
        let count = u16::try_from(count).unwrap_or(u16::MAX);
        self.link.read(VOLTAGE_SETPOINT, Table::Holding, address, count).await
    }

    async fn write_voltage(&mut self, address: u16, wanted: &[u16]) -> Result<(), DeviceError> {
        let before = self.unsure.replace(wanted.to_vec());
        let written = send(&self.link, self.profile.write_function, address, wanted).await;
        match &written {
            Ok(()) => self.unsure = None,
            Err(error) if error.nothing_done() => self.unsure = before,
            Err(_) => {}
        }
        written.map_err(|error: LinkError| error.writing(VOLTAGE_SETPOINT))
    }

    async fn free(&mut self) -> Result<Applied, DeviceError> {
        let Self { link, profile, power, .. } = self;
        match power {
            Some(power) => power.free(link, profile).await,
            None => self.state().await,
        }
    }

    async fn hold(&mut self) -> Result<Applied, DeviceError> {
        let Self { link, profile, power, .. } = self;
        match power {
            Some(power) => power.adopt(link, profile).await,
            None => self.state().await,
        }
    }

    /// What the device holds, once nothing of ours can change it any more: a pulse that the position has confirmed
    /// has no lasting effect, and a voltage set point stays until the next. It writes nothing.
    async fn state(&mut self) -> Result<Applied, DeviceError> {
        let snapshot = self.try_read().await?;
        let now = self.link.now();
        let voltage = self.voltage(&snapshot);
        if let Some(asked_v) = self.unsure.as_ref().and_then(|registers| self.decoded(registers)) {
            let holds_v = voltage.clone()?;
            if asked_v != holds_v {
                return Err(DeviceError::Refused {
                    operation: format!("release the {VOLTAGE_SETPOINT}"),
                    reason: format!("{asked_v} V was not confirmed: the device holds {holds_v} V"),
                });
            }
            self.unsure = None;
        }
        match &mut self.tap {
            Some(tap) => tap.settled(now, &snapshot),
            None => voltage.map(|voltage_v| Applied::Confirmed { readback: Command::Voltage { voltage_v } }),
        }
    }

    /// The voltage set point of a reading, in V.
    fn voltage(&self, snapshot: &Snapshot) -> Result<f64, DeviceError> {
        let (point, _) = self.voltage_point().ok_or_else(|| unsupported("release"))?;
        snapshot.get(&point.name).map(|sample| sample.value).ok_or_else(|| absent(&point.name))
    }

    fn voltage_point(&self) -> Option<(&PointSpec, &VoltageSetpoint)> {
        let command = self.profile.voltage_setpoint.as_ref()?;
        Some((self.profile.point(&command.point)?, command))
    }

    /// What these registers would mean as voltage set point, in V.
    fn decoded(&self, registers: &[u16]) -> Option<f64> {
        match self.voltage_point()?.0.decode(registers) {
            Reading::Value(voltage_v, _) => Some(voltage_v),
            Reading::Absent => None,
        }
    }
}

#[async_trait]
impl Device for RegisterMapDevice {
    async fn connect(&mut self) -> Result<Description, DeviceError> {
        let result = self.try_connect().await;
        self.link.settle(result)
    }

    async fn read(&mut self) -> Result<Snapshot, DeviceError> {
        let result = self.try_read().await;
        self.link.settle(result)
    }

    async fn apply(&mut self, setpoint: &Setpoint) -> Result<Applied, DeviceError> {
        let result = self.command(&setpoint.command, false).await;
        self.link.settle(result)
    }

    async fn release(&mut self, safe: &SafeState) -> Result<Applied, DeviceError> {
        let result = match safe {
            SafeState::Command(command) => self.command(command, true).await,
            SafeState::Release => self.free().await,
            SafeState::Hold => self.hold().await,
        };
        self.link.settle(result)
    }
}

/// What the registers of a profile's points say.
pub(super) fn snapshot(profile: &Profile, image: &Image) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for (index, point) in profile.points.iter().enumerate() {
        let Some((registers, at)) = image.registers(index) else { continue };
        if let Reading::Value(value, quality) = point.decode(registers) {
            snapshot.put_as(&point.name, value, point.unit, quality, at);
        }
    }
    snapshot
}

fn not_set(reason: String) -> DeviceError {
    DeviceError::Refused { operation: format!("write the {VOLTAGE_SETPOINT}"), reason }
}

pub(super) fn absent(name: &str) -> DeviceError {
    DeviceError::Malformed {
        operation: format!("read {name}"),
        reason: "the device has no value there".to_owned(),
    }
}

pub(super) fn unsupported(operation: &str) -> DeviceError {
    DeviceError::Unsupported {
        operation: operation.to_owned(),
        reason: "the profile has no such command".to_owned(),
    }
}
