//! A simulated SunSpec inverter: registers rendered from a live [`PvInverter`] at each read, and its controls.
//!
//! Implemented are the measurements that the plant has and, of the controls, Conn, WMaxLimPct and VArPct of model 123
//! (VArPct_Mod 1 and 2) and WMaxLimPct and VarSet of model 704 (VarSetMod 0, 1 and 4), each with its revert time. When
//! a command gives way, model 123 shows it as disabled; model 704 shows the reversion value, or the command as disabled
//! where EnaRvrt is 0. Every other point reads as "not implemented" and takes no value. Models 121 and 702 are
//! settings of the installer and read-only here.

mod measurements;

use super::bind::Bind;
use super::block::Block;
use super::codec::{Exception, Registers};
use super::controls::{CONTROLS, Control, Quantity};
use super::server::SimulatedServer;
use crate::register_map::Table;
use crate::sunspec::models::{Model, model};
use gridloop_clock::SharedClock;
use gridloop_plant::{LivePlant, PvInverter};
use std::io;

/// The two registers before the first model: `SunS`.
const MARKER: [u16; 2] = [0x5375, 0x6E53];

/// The two registers after the last model.
const END: [u16; 2] = [0xFFFF, 0];

/// How the simulated inverter presents itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InverterSettings {
    /// The Modbus unit that it is.
    pub unit_id: u8,
    /// Where the map begins: SunSpec allows 0, 40000 and 50000.
    pub base_address: u16,
    /// The models of the map, in their order.
    pub models: Vec<u16>,
    /// The serial number in model 1.
    pub serial_number: String,
}

impl Default for InverterSettings {
    /// Unit 1 at 40000 with the integer models and both kinds of controls.
    fn default() -> Self {
        Self {
            unit_id: 1,
            base_address: 40_000,
            models: vec![1, 103, 120, 121, 122, 123, 702, 704],
            serial_number: "SIM-1".into(),
        }
    }
}

/// Serves an inverter on a socket; port 0 takes a free one. The clock is for the delays that its knobs ask for.
///
/// # Errors
/// When the address cannot be bound, or when the settings name a model that is not known.
pub async fn serve_inverter(
    bind: impl Into<Bind>,
    plant: LivePlant<PvInverter>,
    settings: InverterSettings,
    clock: SharedClock,
) -> io::Result<SimulatedServer> {
    let unit_id = settings.unit_id;
    let image = InverterImage::new(plant, settings)?;
    SimulatedServer::start(bind.into(), unit_id, image, clock).await
}

/// The register map of one inverter.
struct InverterImage {
    plant: LivePlant<PvInverter>,
    settings: InverterSettings,
    places: Vec<Place>,
    controls: Controls,
}

/// A model and the address of its ID.
struct Place {
    address: u16,
    model: &'static Model,
}

/// The blocks that can be written, and what they hold.
#[derive(Clone, Default)]
struct Controls {
    blocks: Vec<(u16, Block)>,
}

impl InverterImage {
    fn new(plant: LivePlant<PvInverter>, settings: InverterSettings) -> io::Result<Self> {
        let refused = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
        let mut address = settings.base_address.checked_add(2);
        let mut places = Vec::new();
        for id in &settings.models {
            let model = model(*id).ok_or_else(|| refused(format!("there is no model {id} to serve")))?;
            let Some(place) = address else {
                return Err(refused("the map ends beyond address 65535".into()));
            };
            places.push(Place { address: place, model });
            address = place.checked_add(model.length() + 2);
        }
        if address.and_then(|end| end.checked_add(2)).is_none() {
            return Err(refused("the map ends beyond address 65535".into()));
        }
        let controls = Controls::new(&places, plant.with(|inverter| inverter.settings().rated_power_w));
        Ok(Self { plant, settings, places, controls })
    }

    fn rendered(&mut self, place: usize) -> Vec<u16> {
        let Some(Place { model, .. }) = self.places.get(place) else { return END.to_vec() };
        let (controls, serial) = (&mut self.controls, &self.settings.serial_number);
        self.plant.with(|inverter| {
            controls.follow(inverter);
            let block = controls.block(model.id).cloned();
            block.unwrap_or_else(|| measurements::block(model, inverter, serial)).registers().to_vec()
        })
    }

    /// The addresses at which the parts of the map begin: marker, models, end.
    fn end_address(&self) -> u16 {
        self.places
            .last()
            .map_or(self.settings.base_address + 2, |place| place.address + place.model.length() + 2)
    }
}

impl Registers for InverterImage {
    fn read(&mut self, table: Table, address: u16, count: u16) -> Result<Vec<u16>, Exception> {
        if table == Table::Input {
            return Err(Exception::IllegalAddress);
        }
        let begin = self.settings.base_address;
        let end = u32::from(self.end_address()) + 2;
        let from = address.checked_sub(begin).ok_or(Exception::IllegalAddress)?;
        if u32::from(address) + u32::from(count) > end {
            return Err(Exception::IllegalAddress);
        }
        let (from, until) = (usize::from(from), usize::from(from) + usize::from(count));
        let mut registers = Vec::with_capacity(usize::from(count));
        let mut offset = 0;
        for part in 0..self.places.len() + 2 {
            let length = part.checked_sub(1).and_then(|place| self.places.get(place));
            let length = length.map_or(2, |place| usize::from(place.model.length()) + 2);
            let overlap = from.max(offset)..until.min(offset + length);
            if !overlap.is_empty() {
                let whole = if part == 0 { MARKER.to_vec() } else { self.rendered(part - 1) };
                registers.extend_from_slice(&whole[overlap.start - offset..overlap.end - offset]);
            }
            offset += length;
        }
        Ok(registers)
    }

    fn write(&mut self, address: u16, values: &[u16]) -> Result<(), Exception> {
        let begin = self.settings.base_address;
        let last = usize::from(address) + values.len();
        if address < begin || last > usize::from(self.end_address()) + 2 {
            return Err(Exception::IllegalAddress);
        }
        let place = self.places.iter().rev().find(|place| place.address <= address);
        let place = place.ok_or(Exception::IllegalValue)?;
        let offset = address - place.address;
        let controls = &mut self.controls;
        self.plant.with(|inverter| controls.write(place.model.id, offset, values, inverter))
    }
}

impl Controls {
    fn new(places: &[Place], rating_w: f64) -> Self {
        let mut blocks = Vec::new();
        for Place { model, .. } in places.iter().filter(|place| matches!(place.model.id, 123 | 704)) {
            let mut block = Block::new(model);
            measurements::set_control_scales(&mut block, rating_w);
            CONTROLS.iter().filter(|control| control.model == model.id).for_each(|c| c.set_up(&mut block));
            if model.id == 123 {
                block.set("Conn", 1.0);
            }
            blocks.push((model.id, block));
        }
        Self { blocks }
    }

    fn block(&self, model: u16) -> Option<&Block> {
        self.blocks.iter().find(|(id, _)| *id == model).map(|(_, block)| block)
    }

    fn block_mut(&mut self, model: u16) -> Option<&mut Block> {
        self.blocks.iter_mut().find(|(id, _)| *id == model).map(|(_, block)| block)
    }

    /// Brings the registers abreast of what has become of the commands.
    fn follow(&mut self, inverter: &PvInverter) {
        let connected = f64::from(u8::from(inverter.connected()));
        self.block_mut(123).into_iter().for_each(|block| block.set("Conn", connected));
        for control in CONTROLS {
            let Some(block) = self.block_mut(control.model) else { continue };
            let enabled = control.is_enabled(block);
            if enabled && control.quantity.commanded(inverter).reverted() {
                control.show_reverted(block);
            }
            let remaining = control.quantity.commanded(inverter).remaining(inverter.elapsed());
            control.show_remaining(block, remaining.filter(|_| enabled));
        }
    }

    /// Writes registers of one block and obeys them: all or nothing.
    fn write(
        &mut self,
        model: u16,
        offset: u16,
        values: &[u16],
        inverter: &mut PvInverter,
    ) -> Result<(), Exception> {
        self.follow(inverter);
        let mut next = self.clone();
        let block = next.block_mut(model).ok_or(Exception::IllegalValue)?;
        let (written, touched) = block.overwrite(offset, values).ok_or(Exception::IllegalValue)?;
        *block = written;

        let mut trial = inverter.clone();
        if touched.contains(&"Conn") {
            trial.set_connected(connect_bit(block)?);
        }
        for control in
            CONTROLS.iter().filter(|control| control.model == model && control.is_touched_by(&touched))
        {
            next.obey(control, self, &mut trial)?;
        }
        *inverter = trial;
        *self = next;
        Ok(())
    }

    fn obey(&mut self, control: &Control, before: &Self, inverter: &mut PvInverter) -> Result<(), Exception> {
        let block = self.block(control.model).ok_or(Exception::IllegalValue)?;
        let rating_w = inverter.settings().rated_power_w;
        let order = control.order(block, rating_w).map_err(|_| Exception::IllegalValue)?;
        let was_enabled = before.block(control.model).is_some_and(|block| control.is_enabled(block));
        if !was_enabled && !control.is_enabled(block) {
            return Ok(());
        }
        control.quantity.command(inverter, order).map_err(|_| Exception::IllegalValue)?;
        self.disable_others(control.model, control.quantity);
        Ok(())
    }

    fn disable_others(&mut self, model: u16, quantity: Quantity) {
        for other in CONTROLS.iter().filter(|other| other.model != model && other.quantity == quantity) {
            self.block_mut(other.model).into_iter().for_each(|block| other.disable(block));
        }
    }
}

fn connect_bit(block: &Block) -> Result<bool, Exception> {
    match block.value("Conn") {
        Some(0.0) => Ok(false),
        Some(1.0) => Ok(true),
        _ => Err(Exception::IllegalValue),
    }
}

#[cfg(test)]
mod tests;
