//! Simulated SunSpec devices: registers rendered at each read from a live [`PvInverter`] or [`Battery`], and the
//! controls of it. Which models they have is a setting: 101 to 103 or 111 to 113 or 701 for one, two or three
//! phases, in integers or floating point.
//!
//! Implemented are the measurements that the plant has and, of the controls, Conn, WMaxLimPct and VArPct of model
//! 123 (VArPct_Mod 1 and 2) and WMaxLimPct and VarSet of model 704 (VarSetMod 0, 1 and 4), each with its revert
//! time. When a command gives way, model 123 shows it as disabled; model 704 shows the reversion value, or the
//! command as disabled where EnaRvrt is 0. A battery has WSet of model 704 and the window of model 124 instead of
//! limits. Once ControllerHb of model 715 has been written, it must not stand still for three seconds: then the
//! device lets its commands give way as if their time were over. Every other point reads as "not implemented" and
//! takes no value. Models 121 and 702 are settings of the installer and read-only here.

mod measurements;
mod plants;
mod storage;

use super::bind::Bind;
use super::block::Block;
use super::codec::{Exception, Registers};
use super::controls::{Control, Order, Quantity, Wholes};
use super::server::SimulatedServer;
use crate::register_map::Table;
use crate::sunspec::models::{Model, model};
use gridloop_clock::SharedClock;
use gridloop_plant::{Battery, CommandError, Commanded, LivePlant, PvInverter, Revert, Step};
use std::io;
use std::time::Duration;

/// The two registers before the first model: `SunS`.
const MARKER: [u16; 2] = [0x5375, 0x6E53];

/// The two registers after the last model.
const END: [u16; 2] = [0xFFFF, 0];

/// The models that hold what was written to them.
const WRITABLE: [u16; 4] = [123, 124, 704, 715];

/// How long ControllerHb of model 715 may stand still before the device does without its controller.
const CONTROLLER_SILENCE: Duration = Duration::from_secs(3);

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

impl InverterSettings {
    /// A battery of unit 1 at 40000 with the models of the IEEE 1547 family and those of storage.
    #[must_use]
    pub fn battery() -> Self {
        Self { models: vec![1, 701, 702, 704, 713, 714, 715, 802, 124], ..Self::default() }
    }
}

/// Serves a PV inverter on a socket; port 0 takes a free one. The clock is for the delays that its knobs ask for.
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

/// Serves a battery with its inverter on a socket, as [`serve_inverter`] does. It obeys WSet and VarSet of model 704
/// and the window of model 124.
///
/// # Errors
/// As [`serve_inverter`].
pub async fn serve_battery(
    bind: impl Into<Bind>,
    plant: LivePlant<Battery>,
    settings: InverterSettings,
    clock: SharedClock,
) -> io::Result<SimulatedServer> {
    let unit_id = settings.unit_id;
    let image = InverterImage::new(plant, settings)?;
    SimulatedServer::start(bind.into(), unit_id, image, clock).await
}

/// What a plant is to be so that it can stand behind SunSpec registers.
trait SunSpecPlant: Step + Clone + Send + 'static {
    /// The controls that it obeys.
    const CONTROLS: &'static [Control];

    /// The block of a model as the plant is now. Models with controls hold what was written and are not made here.
    fn block(&self, model: &'static Model, serial_number: &str) -> Block;

    /// The powers that per cents are of.
    fn wholes(&self) -> Wholes;

    /// What else a block of controls says.
    fn set_up(&self, block: &mut Block, model: u16);

    /// Shows in a block of controls what is measured there.
    fn show(&self, block: &mut Block, model: u16);

    /// The command that it follows.
    fn commanded(&self, quantity: Quantity) -> Commanded;

    /// Gives it a command.
    fn command(
        &mut self,
        quantity: Quantity,
        value: Option<f64>,
        revert: Option<Revert>,
    ) -> Result<(), CommandError>;

    /// How long it has lived.
    fn elapsed(&self) -> Duration;

    /// Connects it to the grid or disconnects it.
    fn connect(&mut self, connected: bool);
}

/// The register map of one device.
struct InverterImage<P> {
    plant: LivePlant<P>,
    settings: InverterSettings,
    places: Vec<Place>,
    controls: Controls,
}

/// A model and the address of its ID.
struct Place {
    address: u16,
    model: &'static Model,
    /// The value of L: one repetition of what repeats.
    length: u16,
}

/// The blocks that can be written, and what they hold.
#[derive(Clone, Default)]
struct Controls {
    blocks: Vec<(u16, Block)>,
    /// When ControllerHb of model 715 was written last, in the plant's life.
    heard_at: Option<Duration>,
}

impl<P: SunSpecPlant> InverterImage<P> {
    fn new(plant: LivePlant<P>, settings: InverterSettings) -> io::Result<Self> {
        let refused = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
        let mut address = settings.base_address.checked_add(2);
        let mut places = Vec::new();
        for id in &settings.models {
            let model = model(*id).ok_or_else(|| refused(format!("there is no model {id} to serve")))?;
            let Some(place) = address else {
                return Err(refused("the map ends beyond address 65535".into()));
            };
            let length = model.length() + model.group.map_or(0, |group| group.registers());
            places.push(Place { address: place, model, length });
            address = place.checked_add(length + 2);
        }
        if address.and_then(|end| end.checked_add(2)).is_none() {
            return Err(refused("the map ends beyond address 65535".into()));
        }
        let controls = plant.with(|plant| Controls::new(&places, plant));
        Ok(Self { plant, settings, places, controls })
    }

    fn rendered(&mut self, place: usize) -> Vec<u16> {
        let Some(Place { model, .. }) = self.places.get(place) else { return END.to_vec() };
        let (controls, serial) = (&mut self.controls, &self.settings.serial_number);
        self.plant.with(|inverter| {
            controls.follow(inverter);
            let block = controls.block(model.id).cloned();
            block.unwrap_or_else(|| inverter.block(model, serial)).registers().to_vec()
        })
    }

    /// The addresses at which the parts of the map begin: marker, models, end.
    fn end_address(&self) -> u16 {
        self.places.last().map_or(self.settings.base_address + 2, |place| place.address + place.length + 2)
    }
}

impl<P: SunSpecPlant> Registers for InverterImage<P> {
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
            let length = length.map_or(2, |place| usize::from(place.length) + 2);
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
    fn new<P: SunSpecPlant>(places: &[Place], plant: &P) -> Self {
        let mut controls = Self::default();
        for Place { model, .. } in places.iter().filter(|place| WRITABLE.contains(&place.model.id)) {
            let mut block = Block::new(model);
            plant.set_up(&mut block, model.id);
            P::CONTROLS.iter().filter(|control| control.model == model.id).for_each(|c| c.set_up(&mut block));
            controls.blocks.push((model.id, block));
        }
        controls
    }

    fn block(&self, model: u16) -> Option<&Block> {
        self.blocks.iter().find(|(id, _)| *id == model).map(|(_, block)| block)
    }

    fn block_mut(&mut self, model: u16) -> Option<&mut Block> {
        self.blocks.iter_mut().find(|(id, _)| *id == model).map(|(_, block)| block)
    }

    /// Brings the registers abreast of what has become of the commands.
    fn follow<P: SunSpecPlant>(&mut self, plant: &mut P) {
        self.miss_the_controller(plant);
        for control in P::CONTROLS {
            let Some(block) = self.block_mut(control.model) else { continue };
            let enabled = control.is_enabled(block);
            let commanded = plant.commanded(control.quantity);
            if enabled && commanded.reverted() {
                control.show_reverted(block);
            }
            control.show_remaining(block, commanded.remaining(plant.elapsed()).filter(|_| enabled));
        }
        for (model, block) in &mut self.blocks {
            plant.show(block, *model);
        }
    }

    /// Lets every command give way once the heartbeat of the controller, where there was one, has stopped.
    fn miss_the_controller<P: SunSpecPlant>(&mut self, plant: &mut P) {
        if self.heard_at.is_none_or(|at| plant.elapsed().saturating_sub(at) < CONTROLLER_SILENCE) {
            return;
        }
        self.heard_at = None;
        let wholes = plant.wholes();
        for control in P::CONTROLS {
            let Some(block) = self.block_mut(control.model).filter(|block| control.is_enabled(block)) else {
                continue;
            };
            let to = match control.order(block, wholes) {
                Ok(Order::Enabled(_, Some(Revert { to, .. }))) => to,
                _ => None,
            };
            // It was in force, so it is within the ratings.
            let _ = plant.command(control.quantity, to, None);
            match to {
                Some(_) => control.show_reverted(block),
                None => control.disable(block),
            }
        }
    }

    /// Writes registers of one block and obeys them: all or nothing.
    fn write<P: SunSpecPlant>(
        &mut self,
        model: u16,
        offset: u16,
        values: &[u16],
        plant: &mut P,
    ) -> Result<(), Exception> {
        self.follow(plant);
        let mut next = self.clone();
        let block = next.block_mut(model).ok_or(Exception::IllegalValue)?;
        let (written, touched) = block.overwrite(offset, values).ok_or(Exception::IllegalValue)?;
        *block = written;

        let mut trial = plant.clone();
        if touched.contains(&"Conn") {
            trial.connect(connect_bit(block)?);
        }
        if touched.contains(&"ControllerHb") {
            next.heard_at = Some(plant.elapsed());
        }
        for control in
            P::CONTROLS.iter().filter(|control| control.model == model && control.is_touched_by(&touched))
        {
            next.obey(control, self, &mut trial)?;
        }
        *plant = trial;
        *self = next;
        Ok(())
    }

    fn obey<P: SunSpecPlant>(
        &mut self,
        control: &Control,
        before: &Self,
        plant: &mut P,
    ) -> Result<(), Exception> {
        let block = self.block(control.model).ok_or(Exception::IllegalValue)?;
        let order = control.order(block, plant.wholes()).map_err(|_| Exception::IllegalValue)?;
        let was_enabled = before.block(control.model).is_some_and(|block| control.is_enabled(block));
        if !was_enabled && !control.is_enabled(block) {
            return Ok(());
        }
        let (value, revert) = match order {
            Order::Disabled => (None, None),
            Order::Enabled(value, revert) => (Some(value), revert),
        };
        plant.command(control.quantity, value, revert).map_err(|_| Exception::IllegalValue)?;
        for other in P::CONTROLS {
            if other.model != control.model && other.quantity == control.quantity {
                self.block_mut(other.model).into_iter().for_each(|block| other.disable(block));
            }
        }
        Ok(())
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
mod storage_tests;
#[cfg(test)]
mod tests;
