//! What the simulated battery says of itself, by model.

use super::measurements::{Terminals, ac_measurements, dc_measurements, identity};
use super::plants::MOST;
use crate::simulated::block::{Block, exponent_for};
use crate::sunspec::models::Model;
use gridloop_plant::{Battery, BatteryState};

/// DERTyp of model 120: PV with storage. The model knows no storage without PV.
const DER_TYPE_STORAGE: f64 = 82.0;

/// CtrlModes of model 702: a set point of real power, and constant reactive power.
const CONTROL_MODES: u32 = 1 << 1 | 1 << 2;

/// Typ of model 802: lithium-ion.
const LITHIUM_ION: u32 = 4;

/// The block of a model as the battery is now.
pub(super) fn block(model: &'static Model, battery: &Battery, serial_number: &str) -> Block {
    let mut block = Block::new(model);
    match model.id {
        1 => identity(&mut block, "simulated battery inverter", serial_number),
        101..=103 | 111..=113 | 701 => ac_measurements(&mut block, model.id, &terminals(battery)),
        120 => nameplate(&mut block, battery),
        121 => settings(&mut block, battery),
        702 => capacity(&mut block, battery),
        713 => storage_capacity(&mut block, battery),
        714 | 160 => {
            let outputs = battery.outputs();
            dc_measurements(&mut block, model.id, outputs.real_power_w, rating_w(battery));
        }
        802 => bank(&mut block, battery),
        _ => {}
    }
    block
}

/// Shows in model 124 how full the battery is.
pub(super) fn show_charge(block: &mut Block, battery: &Battery) {
    block.set("ChaState", battery.outputs().state_of_charge_percent);
    block.set_bits("ChaSt", charge_state(battery.outputs().state));
}

fn rating_w(battery: &Battery) -> f64 {
    battery.settings().rated_charge_power_w.max(battery.settings().rated_discharge_power_w)
}

fn terminals(battery: &Battery) -> Terminals {
    let outputs = battery.outputs();
    Terminals {
        real_power_w: outputs.real_power_w,
        reactive_power_var: outputs.reactive_power_var,
        voltage_v: outputs.voltage_v,
        current_a: outputs.current_a,
        frequency_hz: outputs.frequency_hz,
        injected_wh: outputs.discharged_wh,
        absorbed_wh: Some(outputs.charged_wh),
        dc_power_w: None,
        rating_w: rating_w(battery),
        nominal_voltage_v: battery.settings().nominal_voltage_v,
        // St of models 101 to 113, InvSt of model 701: standing by, at fault, or working.
        state: match outputs.state {
            BatteryState::Idle => (8, 7),
            BatteryState::Tripped => (7, 6),
            _ => (4, 3),
        },
        connected: outputs.state != BatteryState::Tripped,
    }
}

/// ChaSt of models 124 and 802.
fn charge_state(state: BatteryState) -> u32 {
    match state {
        BatteryState::Empty => 2,
        BatteryState::Discharging => 3,
        BatteryState::Charging => 4,
        BatteryState::Full => 5,
        BatteryState::Idle | BatteryState::Tripped => 6,
    }
}

fn nameplate(block: &mut Block, battery: &Battery) {
    let settings = battery.settings();
    let rating = rating_w(battery);
    block.set_scale(exponent_for(rating, MOST, 0), &["WRtg_SF", "VARtg_SF", "VArRtg_SF"]);
    block.set_scale(exponent_for(rating, MOST, 0), &["MaxChaRte_SF", "MaxDisChaRte_SF"]);
    block.set_scale(exponent_for(settings.capacity_wh, MOST, 0), &["WHRtg_SF"]);
    block.set("DERTyp", DER_TYPE_STORAGE);
    block.set("WRtg", rating);
    block.set("VArRtgQ1", settings.max_reactive_power_var);
    block.set("VArRtgQ4", -settings.max_reactive_power_var);
    block.set("WHRtg", settings.capacity_wh);
    block.set("MaxChaRte", settings.rated_charge_power_w);
    block.set("MaxDisChaRte", settings.rated_discharge_power_w);
}

fn settings(block: &mut Block, battery: &Battery) {
    let rating = rating_w(battery);
    block.set_scale(exponent_for(rating, MOST, 0), &["WMax_SF", "VArMax_SF"]);
    block.set("WMax", rating);
    block.set("VArMaxQ1", battery.settings().max_reactive_power_var);
    block.set("VArMaxQ4", -battery.settings().max_reactive_power_var);
}

fn capacity(block: &mut Block, battery: &Battery) {
    let settings = battery.settings();
    let rating = rating_w(battery);
    block.set_scale(exponent_for(rating, MOST, 0), &["W_SF", "VA_SF", "Var_SF"]);
    block.set_scale(exponent_for(settings.nominal_voltage_v, MOST, -1), &["V_SF"]);
    for (point, value) in [
        ("WMax", rating),
        ("VarMaxInj", settings.max_reactive_power_var),
        ("VarMaxAbs", settings.max_reactive_power_var),
        ("WChaRteMax", settings.rated_charge_power_w),
        ("WDisChaRteMax", settings.rated_discharge_power_w),
    ] {
        block.set(point, value);
        block.set(&format!("{point}Rtg"), value);
    }
    block.set("VNomRtg", settings.nominal_voltage_v);
    block.set_bits("CtrlModes", CONTROL_MODES);
}

fn storage_capacity(block: &mut Block, battery: &Battery) {
    let outputs = battery.outputs();
    block.set_scale(exponent_for(battery.settings().capacity_wh, MOST, 0), &["WH_SF"]);
    block.set_scale(-1, &["Pct_SF"]);
    block.set("WHRtg", battery.settings().capacity_wh);
    block.set("WHAvail", outputs.stored_wh);
    block.set("SoC", outputs.state_of_charge_percent);
    block.set_bits("Sta", 0);
}

fn bank(block: &mut Block, battery: &Battery) {
    let (settings, outputs) = (battery.settings(), battery.outputs());
    block.set_scale(exponent_for(settings.capacity_wh, MOST, 0), &["WHRtg_SF"]);
    block.set_scale(exponent_for(rating_w(battery), MOST, 0), &["WChaDisChaMax_SF", "W_SF"]);
    block.set_scale(-1, &["SoC_SF"]);
    block.set("WHRtg", settings.capacity_wh);
    block.set("WChaRteMax", settings.rated_charge_power_w);
    block.set("WDisChaRteMax", settings.rated_discharge_power_w);
    block.set("SoCMax", settings.max_state_of_charge_percent);
    block.set("SoCMin", settings.min_state_of_charge_percent);
    block.set("SoC", outputs.state_of_charge_percent);
    block.set_bits("ChaSt", charge_state(outputs.state));
    block.set_bits("LocRemCtl", 0);
    block.set_bits("Typ", LITHIUM_ION);
    block.set_bits("Evt1", 0);
    block.set_bits("Evt2", 0);
    block.set("W", outputs.real_power_w);
}
