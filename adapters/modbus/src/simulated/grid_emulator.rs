//! A simulated grid emulator with the register map of `configs/devices/grid-emulator.toml`: holding registers 0 and 1
//! take the line-to-neutral voltage as a float, input registers 0 to 5 show voltage, set point and frequency. The two
//! registers of the set point are written together, or not at all.

use super::bind::Bind;
use super::codec::{Exception, Registers};
use super::server::SimulatedServer;
use crate::register_map::Table;
use crate::registers::words;
use gridloop_clock::SharedClock;
use gridloop_plant::{GridEmulator, LivePlant};
use std::io;

/// Holding registers: the voltage set point in V.
const SETPOINT: u16 = 0;

/// Serves a grid emulator on a socket as Modbus unit `unit_id`; port 0 takes a free one. The clock is for the delays that
/// its knobs ask for.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve_grid_emulator(
    bind: impl Into<Bind>,
    plant: LivePlant<GridEmulator>,
    unit_id: u8,
    clock: SharedClock,
) -> io::Result<SimulatedServer> {
    SimulatedServer::start(bind.into(), unit_id, GridEmulatorImage { plant }, clock).await
}

struct GridEmulatorImage {
    plant: LivePlant<GridEmulator>,
}

impl Registers for GridEmulatorImage {
    fn read(&mut self, table: Table, address: u16, count: u16) -> Result<Vec<u16>, Exception> {
        let outputs = self.plant.with(|emulator| emulator.outputs());
        let values = match table {
            Table::Holding => vec![outputs.voltage_setpoint_v],
            Table::Input => vec![outputs.voltage_v, outputs.voltage_setpoint_v, outputs.frequency_hz],
        };
        let registers: Vec<u16> = values.into_iter().flat_map(float).collect();
        let from = usize::from(address);
        let asked = registers.get(from..from + usize::from(count));
        asked.map(<[u16]>::to_vec).ok_or(Exception::IllegalAddress)
    }

    fn write(&mut self, address: u16, values: &[u16]) -> Result<(), Exception> {
        if address != SETPOINT {
            return Err(Exception::IllegalAddress);
        }
        let &[high, low] = values else { return Err(Exception::IllegalValue) };
        let voltage_v = f64::from(f32::from_bits(u32::from(high) << 16 | u32::from(low)));
        let set = self.plant.with(|emulator| emulator.set_voltage_setpoint_v(voltage_v));
        set.map_err(|_| Exception::IllegalValue)
    }
}

fn float(value: f64) -> [u16; 2] {
    #[expect(clippy::cast_possible_truncation, reason = "the nearest is what it shows")]
    let single = value as f32;
    words(single.to_bits().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulated::pass;
    use gridloop_clock::SimulatedClock;
    use gridloop_plant::GridEmulatorSettings;
    use std::sync::Arc;
    use std::time::Duration;

    #[test]
    fn a_voltage_is_taken_whole_and_the_output_follows() {
        let clock = SimulatedClock::new(gridloop_clock::Utc::default());
        let plant = GridEmulator::new(GridEmulatorSettings::typical(230.0)).unwrap();
        let plant = LivePlant::new(plant, Arc::new(clock.clone()));
        let mut image = GridEmulatorImage { plant };
        assert_eq!(image.write(SETPOINT, &float(240.0)), Ok(()));
        pass(&clock, Duration::from_secs(1));
        let shown: Vec<u16> = [240.0, 240.0, 50.0].into_iter().flat_map(float).collect();
        assert_eq!(image.read(Table::Input, 0, 6), Ok(shown));
        assert_eq!(image.read(Table::Holding, 0, 2), Ok(float(240.0).to_vec()));
        assert_eq!(image.write(SETPOINT, &float(240.0)[..1]), Err(Exception::IllegalValue));
        assert_eq!(image.write(SETPOINT, &float(1000.0)), Err(Exception::IllegalValue));
        assert_eq!(image.write(SETPOINT, &float(f64::NAN)), Err(Exception::IllegalValue));
        assert_eq!(image.write(1, &[0]), Err(Exception::IllegalAddress));
        assert_eq!(image.read(Table::Input, 5, 2), Err(Exception::IllegalAddress));
        assert_eq!(image.read(Table::Holding, 0, 2), Ok(float(240.0).to_vec()));
    }
}
