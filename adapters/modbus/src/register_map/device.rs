//! A device that is described by a profile: [`RegisterMapDevice`].

use super::plan::{Span, spans};
use super::profile::{PointSpec, Profile, Reading, TapPulse, VoltageSetpoint};
use crate::link::Link;
use crate::register_map::Table;
use crate::registers::{Unencodable, word};
use crate::session::LinkSettings;
use async_trait::async_trait;
use gridloop_clock::{MonoTime, SharedClock};
use gridloop_device::{
    Applied, Capabilities, Command, Description, Device, DeviceError, FailSafe, SafeState, Setpoint,
    Snapshot, TapAction, TapRange, TapReading, TapRules, TapSequencer, VoltageRange,
};

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
}

/// The commands of a tap changer and what is known of its last pulse, which outlives the connection.
struct TapChanger {
    pulse: TapPulse,
    sequencer: TapSequencer,
}

impl RegisterMapDevice {
    /// A device that is not connected yet.
    #[must_use]
    pub fn new(settings: RegisterMapSettings, clock: SharedClock) -> Self {
        let RegisterMapSettings { link, profile } = settings;
        let tap = profile.tap_pulse.clone().map(|pulse| {
            let rules = TapRules { max_step: pulse.max_step, confirm_within: pulse.confirm_within };
            TapChanger { pulse, sequencer: TapSequencer::new(rules) }
        });
        Self { link: Link::new(link, clock), spans: spans(&profile.points), profile, tap }
    }

    async fn try_connect(&mut self) -> Result<Description, DeviceError> {
        self.link.open().await?;
        let snapshot = self.try_read().await?;
        let mut capabilities = Capabilities::default();
        if let Some(tap) = &self.tap {
            let TapReading { lowest, highest, .. } = tap.pulse.reading(&snapshot)?;
            capabilities.tap_position = Some(TapRange { lowest, highest });
        }
        if let Some(VoltageSetpoint { min_v, max_v, .. }) = self.profile.voltage_setpoint {
            capabilities.voltage = Some(VoltageRange { min_v, max_v });
        }
        Ok(Description {
            identity: String::new(),
            profile: self.profile.name.clone(),
            capabilities,
            fail_safe: FailSafe::None,
        })
    }

    async fn try_read(&self) -> Result<Snapshot, DeviceError> {
        let mut snapshot = Snapshot::default();
        for span in &self.spans {
            let operation = format!("{} registers at {}", span.count, span.address);
            let registers = self.link.read(&operation, span.table, span.address, span.count).await?;
            let at = self.link.now();
            for point in span.points.iter().map(|index| &self.profile.points[*index]) {
                put(&mut snapshot, point, span, &registers, at);
            }
        }
        Ok(snapshot)
    }

    async fn command(&mut self, command: &Command) -> Result<Applied, DeviceError> {
        match *command {
            Command::TapPosition(target) => self.drive_tap(target).await,
            Command::Voltage { voltage_v } => self.set_voltage(voltage_v).await,
            Command::Power { .. } => Err(unsupported("apply power")),
        }
    }

    async fn drive_tap(&mut self, target: i32) -> Result<Applied, DeviceError> {
        let snapshot = self.try_read().await?;
        let now = self.link.now();
        let Some(TapChanger { pulse, sequencer }) = &mut self.tap else {
            return Err(unsupported("apply a tap position"));
        };
        let operation = "write the tap-change command";
        let reading = pulse.reading(&snapshot)?;
        match sequencer.step(now, &reading, target) {
            TapAction::Reached => Ok(Applied::Confirmed { readback: Command::TapPosition(reading.position) }),
            TapAction::Wait => Ok(Applied::InProgress),
            TapAction::Failed(failure) => {
                Err(DeviceError::Refused { operation: operation.to_owned(), reason: failure.to_string() })
            }
            TapAction::Pulse(steps) => {
                let written = self.link.try_write(pulse.address, &[word(steps.into())]).await;
                if written.as_ref().is_err_and(crate::session::LinkError::nothing_done) {
                    sequencer.not_sent();
                }
                written.map_err(|error| error.writing("the tap-change command"))?;
                Ok(Applied::InProgress)
            }
        }
    }

    async fn set_voltage(&mut self, voltage_v: f64) -> Result<Applied, DeviceError> {
        let operation = "voltage set point";
        let refused =
            |reason: String| DeviceError::Refused { operation: format!("write the {operation}"), reason };
        let (point, command) = self.voltage_point().ok_or_else(|| unsupported("apply a voltage"))?;
        if !(command.min_v..=command.max_v).contains(&voltage_v) {
            let VoltageSetpoint { min_v, max_v, .. } = command;
            return Err(refused(format!("{voltage_v} V is outside {min_v} to {max_v} V")));
        }
        let wanted = point.encode(voltage_v).map_err(|error: Unencodable| refused(error.to_string()))?;
        let count = point.kind.registers();
        let held = self.link.read(operation, Table::Holding, point.address, count).await?;
        if held != wanted {
            self.link.write(operation, point.address, &wanted).await?;
            let held = self.link.read(operation, Table::Holding, point.address, count).await?;
            if held != wanted {
                return Err(refused(format!("asked for {wanted:?}, the device holds {held:?}")));
            }
        }
        self.held_voltage(&wanted)
            .ok_or_else(|| refused("the device holds no voltage".to_owned()))
            .map(|readback| Applied::Confirmed { readback })
    }

    /// What the device holds, when nothing of ours is left to be taken back: a pulse has no lasting effect, and a
    /// voltage set point stays until the next.
    async fn state(&mut self) -> Result<Applied, DeviceError> {
        let snapshot = self.try_read().await?;
        if let Some(tap) = &self.tap {
            let position = tap.pulse.reading(&snapshot)?.position;
            return Ok(Applied::Confirmed { readback: Command::TapPosition(position) });
        }
        let (point, _) = self.voltage_point().ok_or_else(|| unsupported("release"))?;
        match snapshot.get(&point.name) {
            Some(sample) => Ok(Applied::Confirmed { readback: Command::Voltage { voltage_v: sample.value } }),
            None => Err(absent(&point.name)),
        }
    }

    fn voltage_point(&self) -> Option<(&PointSpec, &VoltageSetpoint)> {
        let command = self.profile.voltage_setpoint.as_ref()?;
        Some((self.profile.point(&command.point)?, command))
    }

    fn held_voltage(&self, registers: &[u16]) -> Option<Command> {
        match self.voltage_point()?.0.decode(registers) {
            Reading::Value(voltage_v, _) => Some(Command::Voltage { voltage_v }),
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
        let result = self.command(&setpoint.command).await;
        self.link.settle(result)
    }

    async fn release(&mut self, safe: &SafeState) -> Result<Applied, DeviceError> {
        let result = match safe {
            SafeState::Command(command) => self.command(command).await,
            SafeState::Release | SafeState::Hold => self.state().await,
        };
        self.link.settle(result)
    }
}

impl TapPulse {
    /// What one reading says of the tap changer. Without position, end stops or mode nothing can be done.
    fn reading(&self, snapshot: &Snapshot) -> Result<TapReading, DeviceError> {
        let whole = |name: &str| {
            let sample = snapshot.get(name).ok_or_else(|| absent(name))?;
            whole_number(sample.value).ok_or_else(|| DeviceError::Malformed {
                operation: "read the tap changer".to_owned(),
                reason: format!("{name} is {}, not a whole number", sample.value),
            })
        };
        let remote = match &self.remote {
            Some((mode, wanted)) => whole(mode)? == *wanted,
            None => true,
        };
        let resting = match &self.motor_pause {
            Some(pause) => snapshot.get(pause).ok_or_else(|| absent(pause))?.value > 0.0,
            None => false,
        };
        Ok(TapReading {
            position: whole(&self.position)?,
            lowest: whole(&self.lowest)?,
            highest: whole(&self.highest)?,
            remote,
            resting,
        })
    }
}

fn put(snapshot: &mut Snapshot, point: &PointSpec, span: &Span, registers: &[u16], at: MonoTime) {
    let start = usize::from(point.address - span.address);
    let own = registers.get(start..start + usize::from(point.kind.registers())).unwrap_or_default();
    if let Reading::Value(value, quality) = point.decode(own) {
        snapshot.put_as(&point.name, value, point.unit, quality, at);
    }
}

/// A value as a whole number, if it is one of 32 bits.
fn whole_number(value: f64) -> Option<i32> {
    let fits = value.fract() == 0.0 && (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&value);
    #[expect(clippy::cast_possible_truncation, reason = "checked on the line above")]
    fits.then_some(value as i32)
}

fn absent(name: &str) -> DeviceError {
    DeviceError::Malformed {
        operation: format!("read {name}"),
        reason: "the device has no value there".to_owned(),
    }
}

fn unsupported(operation: &str) -> DeviceError {
    DeviceError::Unsupported {
        operation: operation.to_owned(),
        reason: "the profile has no such command".to_owned(),
    }
}
