//! A simulated battery inverter with the register map of `configs/devices/battery-inverter.toml`, which is invented.
//!
//! Every write to the control registers 40 to 47 starts the watchdog again. When it ends a command, the set points
//! show what has taken its place: the fallback power and no reactive power. A number of two registers is written
//! whole or not at all. A value that the inverter cannot follow is refused with 03, whether or not the mode puts it
//! in force.

use super::bind::Bind;
use super::codec::{Exception, Registers};
use super::server::SimulatedServer;
use crate::register_map::Table;
use crate::registers::{Scale, joined, signed32, word, words};
use gridloop_clock::SharedClock;
use gridloop_plant::{Battery, BatterySettings, LivePlant, Revert};
use std::io;
use std::ops::Range;
use std::time::Duration;

/// What the identity registers say.
const IDENTITY: &str = "gridloop simulated battery SIM-1";
/// Holding registers: the identity, two characters each.
const IDENTITY_AT: Range<u16> = 0..16;
/// Holding registers: rated power, most charging, most discharging, most reactive power; 32 bits each.
const RATINGS_AT: Range<u16> = 20..28;
/// Holding registers: mode, power, reactive power, watchdog time, fallback power.
const CONTROLS_AT: Range<u16> = 40..48;
/// Where the controls begin within their registers, and where the last one ends.
const CONTROL_STARTS: [u16; 6] = [0, 1, 3, 5, 6, 8];
/// Input registers: measurements. Register 7 is spare and reads as zero.
const MEASURED_AT: Range<u16> = 0..17;

/// Serves a battery inverter on a socket as Modbus unit `unit_id`; port 0 takes a free one. The clock is for the
/// delays that its knobs ask for.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve_battery_inverter(
    bind: impl Into<Bind>,
    plant: LivePlant<Battery>,
    unit_id: u8,
    clock: SharedClock,
) -> io::Result<SimulatedServer> {
    SimulatedServer::start(bind.into(), unit_id, BatteryImage { plant, controls: Controls::default() }, clock)
        .await
}

struct BatteryImage {
    plant: LivePlant<Battery>,
    controls: Controls,
}

/// The control registers as numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Controls {
    remote: bool,
    power_w: i32,
    reactive_var: i32,
    watchdog_s: u16,
    fallback_w: i32,
    /// The watchdog has ended the last command.
    tripped: bool,
}

impl Registers for BatteryImage {
    fn read(&mut self, table: Table, address: u16, count: u16) -> Result<Vec<u16>, Exception> {
        let controls = &mut self.controls;
        self.plant.with(|battery| {
            controls.follow(battery);
            let parts: Vec<(Range<u16>, Vec<u16>)> = match table {
                Table::Holding => vec![
                    (IDENTITY_AT, identity()),
                    (RATINGS_AT, ratings(battery.settings())),
                    (CONTROLS_AT, controls.registers().to_vec()),
                ],
                Table::Input => vec![(MEASURED_AT, controls.measured(battery))],
            };
            let register = |at: u16| {
                let (range, registers) = parts.iter().find(|(range, _)| range.contains(&at))?;
                registers.get(usize::from(at - range.start)).copied()
            };
            let addresses = address..=address.saturating_add(count - 1);
            addresses.map(|at| register(at).ok_or(Exception::IllegalAddress)).collect()
        })
    }

    fn write(&mut self, address: u16, values: &[u16]) -> Result<(), Exception> {
        let first = address.checked_sub(CONTROLS_AT.start).ok_or(Exception::IllegalAddress)?;
        let end = usize::from(first) + values.len();
        if end > CONTROLS_AT.len() {
            return Err(Exception::IllegalAddress);
        }
        let cuts_none =
            CONTROL_STARTS.contains(&first) && CONTROL_STARTS.iter().any(|at| usize::from(*at) == end);
        if !cuts_none {
            return Err(Exception::IllegalValue);
        }
        let controls = &mut self.controls;
        self.plant.with(|battery| {
            controls.follow(battery);
            let mut registers = controls.registers();
            registers[usize::from(first)..end].copy_from_slice(values);
            let wanted = Controls::from_registers(registers).ok_or(Exception::IllegalValue)?;
            wanted.obeyed_by(battery)?;
            *controls = wanted;
            Ok(())
        })
    }
}

impl Controls {
    fn registers(&self) -> [u16; 8] {
        let [p, q, f] = [self.power_w, self.reactive_var, self.fallback_w].map(|number| words(number.into()));
        [self.remote.into(), p[0], p[1], q[0], q[1], self.watchdog_s, f[0], f[1]]
    }

    fn from_registers([mode, p0, p1, q0, q1, watchdog_s, f0, f1]: [u16; 8]) -> Option<Self> {
        let long = |high: u16, low: u16| signed32(joined(high, low));
        Some(Self {
            remote: [false, true].into_iter().find(|remote| u16::from(*remote) == mode)?,
            power_w: long(p0, p1),
            reactive_var: long(q0, q1),
            watchdog_s: Some(watchdog_s).filter(|seconds| *seconds <= 3600)?,
            fallback_w: long(f0, f1),
            tripped: false,
        })
    }

    /// Gives the battery these commands, or refuses them as a whole.
    fn obeyed_by(&self, battery: &mut Battery) -> Result<(), Exception> {
        let refused = |_| Exception::IllegalValue;
        let mut trial = battery.clone();
        // A value that could not be followed is refused before the mode puts it in force.
        trial.command_power(Some(self.fallback_w.into()), None).map_err(refused)?;
        let after = Duration::from_secs(self.watchdog_s.into());
        let revert = |to: f64| (!after.is_zero()).then_some(Revert { after, to: Some(to) });
        trial.command_power(Some(self.power_w.into()), revert(self.fallback_w.into())).map_err(refused)?;
        trial.command_reactive(Some(self.reactive_var.into()), revert(0.0)).map_err(refused)?;
        if !self.remote {
            trial.command_power(None, None).map_err(refused)?;
            trial.command_reactive(None, None).map_err(refused)?;
        }
        *battery = trial;
        Ok(())
    }

    /// Brings the registers abreast of what has become of the command.
    fn follow(&mut self, battery: &Battery) {
        if self.remote && battery.power_command().reverted() {
            (self.power_w, self.reactive_var, self.tripped) = (self.fallback_w, 0, true);
        }
    }

    fn measured(&self, battery: &Battery) -> Vec<u16> {
        let outputs = battery.outputs();
        let long = |value: f64| {
            Scale::ONE.whole(value, i64::from(i32::MIN) + 1, i32::MAX.into()).map_or([0x8000, 0], words)
        };
        let short = |value: f64| Scale::ONE.whole(value, 0, 0xFFFE).map_or(0xFFFF, word);
        let counter = |value: f64| {
            let low = Scale::ONE.whole(value, 0, u32::MAX.into()).map_or([0xFFFF, 0xFFFF], words);
            [0, 0, low[0], low[1]]
        };
        let flags = u16::from(self.remote) | u16::from(self.tripped) << 1;
        let mut registers = Vec::new();
        registers.extend(long(outputs.real_power_w));
        registers.extend(long(outputs.reactive_power_var));
        registers.push(short(outputs.voltage_v * 10.0));
        registers.push(short(outputs.frequency_hz * 100.0));
        registers.push(short(outputs.state_of_charge_percent * 10.0));
        registers.push(0);
        registers.extend(counter(outputs.discharged_wh));
        registers.extend(counter(outputs.charged_wh));
        registers.push(flags);
        registers
    }
}

fn ratings(settings: &BatterySettings) -> Vec<u16> {
    let rated = settings.rated_charge_power_w.max(settings.rated_discharge_power_w);
    let limits = [
        rated,
        settings.rated_charge_power_w,
        settings.rated_discharge_power_w,
        settings.max_reactive_power_var,
    ];
    // Rounded down: the inverter takes no command beyond a rating.
    let whole = |watts: f64| Scale::ONE.whole(watts.floor(), 0, 0xFFFF_FFFE).map_or([0xFFFF, 0xFFFF], words);
    limits.into_iter().flat_map(whole).collect()
}

fn identity() -> Vec<u16> {
    IDENTITY.as_bytes().chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
}

#[cfg(test)]
mod tests;
