//! A simulated tap changer with the register map of an MR ECOTAP VPD control, as far as `configs/devices` uses it.
//!
//! Holding registers 0 to 17 are served without gaps; those that are not named below read as zero and are read-only.
//! A tap command is refused with 06 while the drive moves or rests, with 04 outside external control, and with 03 when
//! it is zero, more than three steps or past an end stop. A write is one register at a time.

use super::bind::Bind;
use super::codec::{Exception, Registers};
use super::server::SimulatedServer;
use crate::register_map::Table;
use crate::registers::{Scale, word, words};
use gridloop_clock::SharedClock;
use gridloop_plant::{CommandError, LivePlant, TapChanger, TapMode, TapOutputs};
use std::io;

/// Holding register: who moves it. 1 its own regulator, 2 somebody at the cabinet, 3 commands from outside.
const MODE: u16 = 0;
/// Holding register: tap position.
const POSITION: u16 = 1;
/// Holding registers: steps since the plant began, 32 bits, high word first.
const OPERATIONS: u16 = 2;
/// Holding register: what the automatic mode regulates to, in V.
const VOLTAGE_SETPOINT: u16 = 6;
/// Holding register: how many positions there are.
const POSITIONS: u16 = 13;
/// Holding register: the lower end stop.
const LOWEST: u16 = 14;
/// Holding register: the upper end stop.
const HIGHEST: u16 = 15;
/// Holding register: so many steps up or down. Reads as zero.
const COMMAND: u16 = 17;
/// Input register: how long the motor will still rest, in tens of seconds, rounded up.
const MOTOR_PAUSE: u16 = 8;
/// Input register: regulated voltage in tenths of a volt. It is gridloop's addition to the map.
const VOLTAGE: u16 = 9;
/// Input register: tap position.
const POSITION_INPUT: u16 = 36_600;

/// Serves a tap changer on a socket as Modbus unit `unit_id`; port 0 takes a free one. The clock is for the delays that
/// its knobs ask for.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve_tap_changer(
    bind: impl Into<Bind>,
    plant: LivePlant<TapChanger>,
    unit_id: u8,
    clock: SharedClock,
) -> io::Result<SimulatedServer> {
    SimulatedServer::start(bind.into(), unit_id, TapChangerImage { plant }, clock).await
}

struct TapChangerImage {
    plant: LivePlant<TapChanger>,
}

impl Registers for TapChangerImage {
    fn read(&mut self, table: Table, address: u16, count: u16) -> Result<Vec<u16>, Exception> {
        self.plant.with(|taps| {
            let addresses = address..=address.saturating_add(count - 1);
            addresses.map(|address| register(taps, table, address)).collect()
        })
    }

    fn write(&mut self, address: u16, values: &[u16]) -> Result<(), Exception> {
        let &[value] = values else { return Err(Exception::IllegalValue) };
        self.plant.with(|taps| match address {
            MODE => {
                taps.set_mode(mode(value).ok_or(Exception::IllegalValue)?);
                Ok(())
            }
            VOLTAGE_SETPOINT => taps.set_voltage_setpoint_v(value.into()).map_err(exception),
            COMMAND => {
                let steps = i16::from_be_bytes(value.to_be_bytes());
                taps.command_steps(steps.into()).map_err(exception)
            }
            address if address <= COMMAND => Err(Exception::IllegalValue),
            _ => Err(Exception::IllegalAddress),
        })
    }
}

fn register(taps: &TapChanger, table: Table, address: u16) -> Result<u16, Exception> {
    let outputs = taps.outputs();
    let settings = taps.settings();
    let operations = words(outputs.operations.into());
    let value = match (table, address) {
        (Table::Holding, MODE) => mode_number(&outputs),
        (Table::Holding, POSITION) | (Table::Input, POSITION_INPUT) => word(outputs.position.into()),
        (Table::Holding, OPERATIONS) => operations[0],
        (Table::Holding, address) if address == OPERATIONS + 1 => operations[1],
        (Table::Holding, VOLTAGE_SETPOINT) => whole(outputs.voltage_setpoint_v),
        (Table::Holding, POSITIONS) => word(i64::from(settings.highest) - i64::from(settings.lowest) + 1),
        (Table::Holding, LOWEST) => word(settings.lowest.into()),
        (Table::Holding, HIGHEST) => word(settings.highest.into()),
        (Table::Holding, address) if address <= COMMAND => 0,
        (Table::Input, MOTOR_PAUSE) => whole((outputs.motor_pause_s / 10.0).ceil()),
        (Table::Input, VOLTAGE) => whole(outputs.voltage_v * 10.0),
        _ => return Err(Exception::IllegalAddress),
    };
    Ok(value)
}

/// A number in one unsigned register; what is too large for it reads as the largest.
fn whole(value: f64) -> u16 {
    Scale::ONE.whole(value, 0, u16::MAX.into()).map_or(u16::MAX, word)
}

fn mode(number: u16) -> Option<TapMode> {
    match number {
        1 => Some(TapMode::Automatic),
        2 => Some(TapMode::Manual),
        3 => Some(TapMode::External),
        _ => None,
    }
}

fn mode_number(outputs: &TapOutputs) -> u16 {
    match outputs.mode {
        TapMode::Automatic => 1,
        TapMode::Manual => 2,
        TapMode::External => 3,
    }
}

fn exception(error: CommandError) -> Exception {
    match error {
        CommandError::OutOfRange { .. } => Exception::IllegalValue,
        CommandError::NotRemote => Exception::DeviceFailure,
        CommandError::Moving | CommandError::Pausing { .. } => Exception::Busy,
    }
}

#[cfg(test)]
mod tests;
