//! The plants behind SunSpec registers: what each of them obeys and shows.

use super::{SunSpecPlant, measurements, storage};
use crate::simulated::block::{Block, exponent_for};
use crate::simulated::controls::{BATTERY, Control, PV, Quantity, Wholes};
use crate::sunspec::models::Model;
use gridloop_plant::{Battery, CommandError, Commanded, PvInverter, Revert};
use std::time::Duration;

/// The largest number that all the types of 16 bits hold.
pub(super) const MOST: u16 = 32_767;

/// LocRemCtl of model 715: commands from outside are taken.
const REMOTE: u32 = 0;

impl SunSpecPlant for PvInverter {
    const CONTROLS: &'static [Control] = PV;

    fn block(&self, model: &'static Model, serial_number: &str) -> Block {
        measurements::block(model, self, serial_number)
    }

    fn wholes(&self) -> Wholes {
        let rating_w = self.settings().rated_power_w;
        Wholes { rating_w, charge_w: 0.0, discharge_w: rating_w }
    }

    fn set_up(&self, block: &mut Block, model: u16) {
        set_scales(block, self.settings().rated_power_w);
        block.set_scale(-2, &["WMaxLimPct_SF", "VArPct_SF"]);
        if model == 123 {
            block.set("Conn", 1.0);
        }
        set_up_supervision(block);
    }

    fn show(&self, block: &mut Block, model: u16) {
        if model == 123 {
            block.set("Conn", f64::from(u8::from(self.connected())));
        }
        show_heartbeat(block, self.elapsed());
    }

    fn commanded(&self, quantity: Quantity) -> Commanded {
        match quantity {
            Quantity::Power => self.power_limit(),
            Quantity::Reactive => self.reactive_command(),
        }
    }

    fn command(
        &mut self,
        quantity: Quantity,
        value: Option<f64>,
        revert: Option<Revert>,
    ) -> Result<(), CommandError> {
        match quantity {
            Quantity::Power => self.limit_power(value, revert),
            Quantity::Reactive => self.command_reactive(value, revert),
        }
    }

    fn elapsed(&self) -> Duration {
        Self::elapsed(self)
    }

    fn connect(&mut self, connected: bool) {
        self.set_connected(connected);
    }
}

impl SunSpecPlant for Battery {
    const CONTROLS: &'static [Control] = BATTERY;

    fn block(&self, model: &'static Model, serial_number: &str) -> Block {
        storage::block(model, self, serial_number)
    }

    fn wholes(&self) -> Wholes {
        let settings = self.settings();
        let (charge_w, discharge_w) = (settings.rated_charge_power_w, settings.rated_discharge_power_w);
        Wholes { rating_w: charge_w.max(discharge_w), charge_w, discharge_w }
    }

    fn set_up(&self, block: &mut Block, model: u16) {
        let rating_w = self.wholes().rating_w;
        set_scales(block, rating_w);
        block.set_scale(exponent_for(rating_w, MOST, 0), &["WSet_SF", "WChaMax_SF"]);
        block.set_scale(-2, &["WSetPct_SF", "InOutWRte_SF"]);
        block.set_scale(-1, &["ChaState_SF"]);
        if model == 124 {
            block.set("WChaMax", self.settings().rated_charge_power_w);
        }
        set_up_supervision(block);
    }

    fn show(&self, block: &mut Block, model: u16) {
        if model == 124 {
            storage::show_charge(block, self);
        }
        show_heartbeat(block, self.elapsed());
    }

    fn commanded(&self, quantity: Quantity) -> Commanded {
        match quantity {
            Quantity::Power => self.power_command(),
            Quantity::Reactive => self.reactive_command(),
        }
    }

    fn command(
        &mut self,
        quantity: Quantity,
        value: Option<f64>,
        revert: Option<Revert>,
    ) -> Result<(), CommandError> {
        match quantity {
            Quantity::Power => self.command_power(value, revert),
            Quantity::Reactive => self.command_reactive(value, revert),
        }
    }

    fn elapsed(&self) -> Duration {
        Self::elapsed(self)
    }

    /// A battery is always connected: model 123, which could say otherwise, is none of its models.
    fn connect(&mut self, _: bool) {}
}

/// The scale factors of controls that both have; a block takes those that it has.
fn set_scales(block: &mut Block, rating_w: f64) {
    block.set_scale(-2, &["VarSetPct_SF"]);
    block.set_scale(exponent_for(rating_w, MOST, 0), &["VarSet_SF"]);
}

fn set_up_supervision(block: &mut Block) {
    block.set_bits("LocRemCtl", REMOTE);
    block.set_bits("ControllerHb", 0);
}

/// DERHb counts the seconds of the plant's life.
fn show_heartbeat(block: &mut Block, elapsed: Duration) {
    block.set_bits("DERHb", u32::try_from(elapsed.as_secs() % u64::from(u32::MAX)).unwrap_or(0));
}
