//! What the simulated inverter says of itself: identity, measurements, nameplate, settings and status, by model.

use crate::simulated::block::{Block, exponent_for};
use crate::sunspec::models::Model;
use gridloop_plant::{PvInverter, PvOutputs, PvState};

/// The largest number that all the types of 16 bits hold.
const MOST: u16 = 32_767;

/// Panels and cables can give more than the rating for a moment; currents and voltages need room as well.
const HEADROOM: f64 = 1.3;

/// DERTyp of model 120.
const DER_TYPE_PV: f64 = 4.0;

/// CtrlModes of model 702: limit of real power, and constant reactive power.
const CONTROL_MODES: u32 = 1 << 0 | 1 << 2;

/// The block of a model as the inverter is now. Models 123 and 704 hold what was written and are not made here.
pub(super) fn block(model: &'static Model, inverter: &PvInverter, serial_number: &str) -> Block {
    let mut block = Block::new(model);
    match model.id {
        1 => identity(&mut block, serial_number),
        101..=103 | 111..=113 => measurements(&mut block, model.id % 10, inverter),
        120 => nameplate(&mut block, inverter),
        121 => settings(&mut block, inverter),
        122 => status(&mut block, inverter),
        702 => capacity(&mut block, inverter),
        _ => {}
    }
    block
}

/// Sets the scale factors of a block of controls.
pub(super) fn set_control_scales(block: &mut Block, rating_w: f64) {
    block.set_scale(-2, &["WMaxLimPct_SF", "VArPct_SF", "VarSetPct_SF"]);
    block.set_scale(exponent_for(rating_w, MOST, 0), &["VarSet_SF"]);
}

fn identity(block: &mut Block, serial_number: &str) {
    block.set_text("Mn", "gridloop");
    block.set_text("Md", "simulated PV inverter");
    block.set_text("Vr", env!("CARGO_PKG_VERSION"));
    block.set_text("SN", serial_number);
}

fn measurements(block: &mut Block, phases: u16, inverter: &PvInverter) {
    let outputs = inverter.outputs();
    let rating_w = inverter.settings().rated_power_w;
    let nominal_v = inverter.settings().nominal_voltage_v;
    let power = exponent_for(rating_w * HEADROOM, MOST, -1);
    let current_a = outputs.current_a * 3.0;
    let largest_a = rating_w * HEADROOM / nominal_v;
    block.set_scale(power, &["W_SF", "VA_SF", "VAr_SF", "DCW_SF"]);
    block.set_scale(exponent_for(largest_a, MOST, -2), &["A_SF"]);
    block.set_scale(exponent_for(nominal_v * 3.0_f64.sqrt() * HEADROOM, MOST, -1), &["V_SF"]);
    block.set_scale(-2, &["Hz_SF"]);
    block.set_scale(0, &["WH_SF"]);

    block.set("A", current_a);
    let all = ["A", "B", "C"];
    for phase in all.into_iter().take(phases.into()) {
        block.set(&format!("Aph{phase}"), current_a / f64::from(phases));
        block.set(&format!("PhVph{phase}"), outputs.voltage_v);
    }
    if phases == 3 {
        for pair in ["PPVphAB", "PPVphBC", "PPVphCA"] {
            block.set(pair, outputs.voltage_v * 3.0_f64.sqrt());
        }
    }
    block.set("W", outputs.real_power_w);
    block.set("Hz", outputs.frequency_hz);
    block.set("VA", outputs.real_power_w.hypot(outputs.reactive_power_var));
    block.set("VAr", outputs.reactive_power_var);
    block.set("WH", outputs.energy_wh);
    block.set("DCW", outputs.dc_power_w);
    block.set_bits("St", operating_state(outputs.state));
    block.set_bits("Evt1", 0);
    block.set_bits("Evt2", 0);
}

/// St of models 101 to 113.
fn operating_state(state: PvState) -> u32 {
    match state {
        PvState::Off => 1,
        PvState::Sleeping => 2,
        PvState::Tracking => 4,
        PvState::Throttled => 5,
    }
}

fn nameplate(block: &mut Block, inverter: &PvInverter) {
    let rating_w = inverter.settings().rated_power_w;
    let rated_a = rating_w / inverter.settings().nominal_voltage_v;
    block.set_scale(exponent_for(rating_w, MOST, 0), &["WRtg_SF", "VARtg_SF", "VArRtg_SF"]);
    block.set_scale(exponent_for(rated_a, MOST, -2), &["ARtg_SF"]);
    block.set_scale(-2, &["PFRtg_SF"]);
    block.set("DERTyp", DER_TYPE_PV);
    block.set("WRtg", rating_w);
    block.set("VARtg", rating_w);
    block.set("VArRtgQ1", rating_w);
    block.set("VArRtgQ4", -rating_w);
    block.set("ARtg", rated_a);
    block.set("PFRtgQ1", 0.0);
    block.set("PFRtgQ4", 0.0);
}

fn settings(block: &mut Block, inverter: &PvInverter) {
    let settings = inverter.settings();
    let rating_w = settings.rated_power_w;
    let ramp_percent = settings.ramp_w_per_s / rating_w * 100.0;
    block.set_scale(exponent_for(rating_w, MOST, 0), &["WMax_SF", "VAMax_SF", "VArMax_SF"]);
    block.set_scale(exponent_for(settings.nominal_voltage_v, MOST, -1), &["VRef_SF", "VRefOfs_SF"]);
    block.set_scale(exponent_for(ramp_percent, MOST, -1), &["WGra_SF"]);
    block.set_scale(-2, &["ECPNomHz_SF"]);
    block.set("WMax", rating_w);
    block.set("VRef", settings.nominal_voltage_v);
    block.set("VRefOfs", 0.0);
    block.set("VAMax", rating_w);
    block.set("VArMaxQ1", rating_w);
    block.set("VArMaxQ4", -rating_w);
    block.set("WGra", ramp_percent);
    block.set("ECPNomHz", gridloop_plant::GRID_FREQUENCY_HZ);
}

fn status(block: &mut Block, inverter: &PvInverter) {
    let outputs = inverter.outputs();
    let rating_w = inverter.settings().rated_power_w;
    let room_var = (rating_w * rating_w - outputs.real_power_w * outputs.real_power_w).max(0.0).sqrt();
    block.set_scale(exponent_for(rating_w, MOST, 0), &["WAval_SF", "VArAval_SF"]);
    block.set_bits("PVConn", connection(inverter.connected(), &outputs));
    block.set_bits("StorConn", 0);
    block.set_bits("ECPConn", if inverter.connected() { 0b10 } else { 0b01 });
    block.set("ActWh", outputs.energy_wh);
    block.set("WAval", outputs.available_power_w);
    block.set("VArAval", room_var);
    let limited = u32::from(inverter.power_limit().value().is_some());
    let reactive = u32::from(inverter.reactive_command().value().is_some());
    block.set_bits("StActCtl", limited | reactive << 1);
}

/// PVConn of model 122: connected, available, operating.
fn connection(connected: bool, outputs: &PvOutputs) -> u32 {
    let available = outputs.available_power_w > 0.0;
    let operating = outputs.real_power_w > 0.0;
    u32::from(connected) | u32::from(available) << 1 | u32::from(operating) << 2
}

fn capacity(block: &mut Block, inverter: &PvInverter) {
    let settings = inverter.settings();
    let rating_w = settings.rated_power_w;
    let rated_a = rating_w / settings.nominal_voltage_v;
    block.set_scale(exponent_for(rating_w, MOST, 0), &["W_SF", "VA_SF", "Var_SF"]);
    block.set_scale(exponent_for(settings.nominal_voltage_v, MOST, -1), &["V_SF"]);
    block.set_scale(exponent_for(rated_a, MOST, -2), &["A_SF"]);
    for point in
        ["WMaxRtg", "VAMaxRtg", "VarMaxInjRtg", "VarMaxAbsRtg", "WMax", "VAMax", "VarMaxInj", "VarMaxAbs"]
    {
        block.set(point, rating_w);
    }
    block.set("VNomRtg", settings.nominal_voltage_v);
    block.set("AMaxRtg", rated_a);
    block.set_bits("CtrlModes", CONTROL_MODES);
}
