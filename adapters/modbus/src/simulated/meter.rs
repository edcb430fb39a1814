//! A simulated three-phase meter at the terminals of a PV inverter, with the register map of
//! `configs/devices/meter-three-phase.toml`: input registers 0 to 23, a float in two registers each. It takes no
//! commands. The three phases are alike, because those of the plant are.

use super::bind::Bind;
use super::codec::{Exception, Registers};
use super::server::SimulatedServer;
use crate::register_map::Table;
use crate::registers::words;
use gridloop_clock::SharedClock;
use gridloop_plant::{LivePlant, PvInverter};
use std::io;

/// Serves a meter on a socket as Modbus unit `unit_id`; port 0 takes a free one. The clock is for the delays that its
/// knobs ask for.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve_meter(
    bind: impl Into<Bind>,
    plant: LivePlant<PvInverter>,
    unit_id: u8,
    clock: SharedClock,
) -> io::Result<SimulatedServer> {
    SimulatedServer::start(bind.into(), unit_id, MeterImage { plant }, clock).await
}

struct MeterImage {
    plant: LivePlant<PvInverter>,
}

impl Registers for MeterImage {
    fn read(&mut self, table: Table, address: u16, count: u16) -> Result<Vec<u16>, Exception> {
        if table != Table::Input {
            return Err(Exception::IllegalAddress);
        }
        let registers = self.plant.with(|inverter| registers(inverter));
        let from = usize::from(address);
        let asked = registers.get(from..from + usize::from(count));
        asked.map(<[u16]>::to_vec).ok_or(Exception::IllegalAddress)
    }

    fn write(&mut self, _: u16, _: &[u16]) -> Result<(), Exception> {
        Err(Exception::IllegalAddress)
    }
}

fn registers(inverter: &PvInverter) -> Vec<u16> {
    let outputs = inverter.outputs();
    let (volts, amperes) = (outputs.voltage_v, outputs.current_a);
    let values = [
        volts,
        volts,
        volts,
        amperes,
        amperes,
        amperes,
        outputs.real_power_w,
        outputs.reactive_power_var,
        outputs.real_power_w.hypot(outputs.reactive_power_var),
        outputs.frequency_hz,
        outputs.energy_wh,
        volts,
    ];
    values.into_iter().flat_map(float).collect()
}

fn float(value: f64) -> [u16; 2] {
    #[expect(clippy::cast_possible_truncation, reason = "the nearest is what a meter shows")]
    let single = value as f32;
    words(single.to_bits().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridloop_clock::SimulatedClock;
    use gridloop_plant::{PvInverterSettings, Series};
    use std::sync::Arc;

    #[test]
    fn the_map_shows_the_plant_and_takes_nothing() {
        let clock = SimulatedClock::new(gridloop_clock::Utc::default());
        let settings = PvInverterSettings::typical(8000.0, Series::constant(1000.0));
        let plant = LivePlant::new(PvInverter::new(settings).unwrap(), Arc::new(clock));
        let mut meter = MeterImage { plant };
        let held = meter.read(Table::Input, 12, 2).unwrap();
        assert_eq!(held, words(8000_f32.to_bits().into()));
        assert_eq!(meter.read(Table::Input, 22, 2), Ok(float(230.0).to_vec()));
        assert_eq!(meter.read(Table::Input, 23, 2), Err(Exception::IllegalAddress));
        assert_eq!(meter.read(Table::Holding, 0, 2), Err(Exception::IllegalAddress));
        assert_eq!(meter.write(0, &[0]), Err(Exception::IllegalAddress));
    }
}
