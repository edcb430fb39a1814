//! A plant behind the device contract, without a wire: the smallest complete adapter, and the one to copy.
//!
//! [`SimulatedDevice`] is a [`Device`] whose requests are function calls on a [`LivePlant`]. It has what every adapter
//! has, one file each: a conversation (here), points and capabilities (`pv_inverter.rs`, `battery.rs`,
//! `tap_changer.rs`, `grid_emulator.rs`), and the contract's test suite run on it (`tests/conformance.rs`).

mod battery;
mod grid_emulator;
mod pv_inverter;
mod tap_changer;

use async_trait::async_trait;
use gridloop_clock::SharedClock;
use gridloop_device::{Applied, Command, Description, Device, DeviceError, SafeState, Setpoint, Snapshot};
use gridloop_plant::{CommandError, LivePlant, Plant};
use std::time::Duration;

/// A simulated device without a wire.
pub struct SimulatedDevice {
    plant: LivePlant<Plant>,
    clock: SharedClock,
    revert_after: Option<Duration>,
    connected: bool,
}

impl SimulatedDevice {
    /// A device around a plant. `clock` is the one that the plant lives by; it dates the samples.
    #[must_use]
    pub fn new(plant: LivePlant<Plant>, clock: SharedClock) -> Self {
        Self { plant, clock, revert_after: None, connected: false }
    }

    /// Makes an inverter drop its commands, and a battery go to zero, by itself when they are not renewed within this
    /// time, as real ones do.
    #[must_use]
    pub fn reverting_after(mut self, after: Duration) -> Self {
        self.revert_after = Some(after);
        self
    }

    fn check_connected(&self, operation: &str) -> Result<(), DeviceError> {
        if self.connected {
            return Ok(());
        }
        let reason = "connect comes first".to_owned();
        Err(DeviceError::Disconnected { operation: operation.to_owned(), reason })
    }

    fn command(&self, command: Command) -> Result<Applied, DeviceError> {
        self.plant.with(|plant| match plant {
            Plant::PvInverter(inverter) => pv_inverter::apply(inverter, command, self.revert_after),
            Plant::Battery(battery) => battery::apply(battery, command, self.revert_after),
            Plant::TapChanger(taps) => tap_changer::apply(taps, command),
            Plant::GridEmulator(emulator) => grid_emulator::apply(emulator, command),
        })
    }
}

#[async_trait]
impl Device for SimulatedDevice {
    async fn connect(&mut self) -> Result<Description, DeviceError> {
        self.connected = true;
        Ok(self.plant.with(|plant| match plant {
            Plant::PvInverter(inverter) => pv_inverter::describe(inverter, self.revert_after),
            Plant::Battery(battery) => battery::describe(battery, self.revert_after),
            Plant::TapChanger(taps) => tap_changer::describe(taps),
            Plant::GridEmulator(emulator) => grid_emulator::describe(emulator),
        }))
    }

    async fn read(&mut self) -> Result<Snapshot, DeviceError> {
        self.check_connected("read")?;
        let sampled_at = self.clock.now();
        Ok(self.plant.with(|plant| match plant {
            Plant::PvInverter(inverter) => pv_inverter::read(inverter, sampled_at),
            Plant::Battery(battery) => battery::read(battery, sampled_at),
            Plant::TapChanger(taps) => tap_changer::read(taps, sampled_at),
            Plant::GridEmulator(emulator) => grid_emulator::read(emulator, sampled_at),
        }))
    }

    async fn apply(&mut self, setpoint: &Setpoint) -> Result<Applied, DeviceError> {
        self.check_connected("apply")?;
        self.command(setpoint.command)
    }

    async fn release(&mut self, safe: &SafeState) -> Result<Applied, DeviceError> {
        self.check_connected("release")?;
        match safe {
            SafeState::Command(command) => self.command(*command),
            SafeState::Release => self.plant.with(|plant| match plant {
                Plant::PvInverter(inverter) => pv_inverter::release(inverter),
                Plant::Battery(battery) => battery::release(battery),
                Plant::TapChanger(taps) => Ok(tap_changer::held(taps)),
                Plant::GridEmulator(emulator) => Ok(grid_emulator::held(emulator)),
            }),
            SafeState::Hold => Ok(self.plant.with(|plant| match plant {
                Plant::PvInverter(inverter) => pv_inverter::held(inverter),
                Plant::Battery(battery) => battery::held(battery),
                Plant::TapChanger(taps) => tap_changer::held(taps),
                Plant::GridEmulator(emulator) => grid_emulator::held(emulator),
            })),
        }
    }
}

/// The plant's refusal of a command as the device's.
fn refused(operation: &str, error: &CommandError) -> DeviceError {
    DeviceError::Refused { operation: operation.to_owned(), reason: error.to_string() }
}

/// What a plant of this kind is never told.
fn unsupported(operation: &str, kind: &str) -> DeviceError {
    DeviceError::Unsupported { operation: operation.to_owned(), reason: format!("this is a {kind}") }
}
