//! What the simulated inverter says of itself: identity, measurements, nameplate, settings and status, by model.

use super::plants::MOST;
use crate::simulated::block::{Block, exponent_for};
use crate::sunspec::models::Model;
use gridloop_plant::{PvInverter, PvOutputs, PvState};

/// Panels and cables can give more than the rating for a moment; currents and voltages need room as well.
const HEADROOM: f64 = 1.3;

/// DERTyp of model 120.
const DER_TYPE_PV: f64 = 4.0;

/// CtrlModes of model 702: limit of real power, and constant reactive power.
const CONTROL_MODES: u32 = 1 << 0 | 1 << 2;

/// PrtTyp of model 714: a port that takes and gives.
const PORT_BOTH_WAYS: f64 = 5.0;

/// What a meter at the terminals of a device shows, and what scales it.
pub(super) struct Terminals {
    pub(super) real_power_w: f64,
    pub(super) reactive_power_var: f64,
    pub(super) voltage_v: f64,
    /// Current of each of the three phases in A.
    pub(super) current_a: f64,
    pub(super) frequency_hz: f64,
    pub(super) injected_wh: f64,
    pub(super) absorbed_wh: Option<f64>,
    pub(super) dc_power_w: Option<f64>,
    pub(super) rating_w: f64,
    pub(super) nominal_voltage_v: f64,
    /// St of models 101 to 113, and InvSt of model 701.
    pub(super) state: (u32, u32),
    pub(super) connected: bool,
}

/// The block of a model as the inverter is now. Models 123, 704 and 715 hold what was written and are not made here.
pub(super) fn block(model: &'static Model, inverter: &PvInverter, serial_number: &str) -> Block {
    let mut block = Block::new(model);
    match model.id {
        1 => identity(&mut block, "simulated PV inverter", serial_number),
        101..=103 | 111..=113 | 701 => ac_measurements(&mut block, model.id, &terminals(inverter)),
        160 | 714 => {
            let rating_w = inverter.settings().rated_power_w;
            dc_measurements(&mut block, model.id, inverter.outputs().dc_power_w, rating_w);
        }
        120 => nameplate(&mut block, inverter),
        121 => settings(&mut block, inverter),
        122 => status(&mut block, inverter),
        702 => capacity(&mut block, inverter),
        _ => {}
    }
    block
}

pub(super) fn identity(block: &mut Block, kind: &str, serial_number: &str) {
    block.set_text("Mn", "gridloop");
    block.set_text("Md", kind);
    block.set_text("Vr", env!("CARGO_PKG_VERSION"));
    block.set_text("SN", serial_number);
}

fn terminals(inverter: &PvInverter) -> Terminals {
    let outputs = inverter.outputs();
    Terminals {
        real_power_w: outputs.real_power_w,
        reactive_power_var: outputs.reactive_power_var,
        voltage_v: outputs.voltage_v,
        current_a: outputs.current_a,
        frequency_hz: outputs.frequency_hz,
        injected_wh: outputs.energy_wh,
        absorbed_wh: None,
        dc_power_w: Some(outputs.dc_power_w),
        rating_w: inverter.settings().rated_power_w,
        nominal_voltage_v: inverter.settings().nominal_voltage_v,
        state: (operating_state(outputs.state), inverter_state(outputs.state)),
        connected: inverter.connected(),
    }
}

/// Models 101 to 103, 111 to 113 and 701. The last digit of the former is the number of phases.
pub(super) fn ac_measurements(block: &mut Block, model: u16, at: &Terminals) {
    let power = exponent_for(at.rating_w * HEADROOM, MOST, -1);
    let largest_a = at.rating_w * HEADROOM / at.nominal_voltage_v;
    block.set_scale(power, &["W_SF", "VA_SF", "VAr_SF", "Var_SF", "DCW_SF"]);
    block.set_scale(exponent_for(largest_a, MOST, -2), &["A_SF"]);
    block.set_scale(exponent_for(at.nominal_voltage_v * 3.0_f64.sqrt() * HEADROOM, MOST, -1), &["V_SF"]);
    block.set_scale(-2, &["Hz_SF"]);
    block.set_scale(0, &["WH_SF", "TotWh_SF"]);
    for (points, value) in [
        (["W", ""], at.real_power_w),
        (["VAr", "Var"], at.reactive_power_var),
        (["VA", ""], at.real_power_w.hypot(at.reactive_power_var)),
        (["Hz", ""], at.frequency_hz),
        (["A", ""], at.current_a * 3.0),
        (["WH", "TotWhInj"], at.injected_wh),
    ] {
        points.into_iter().for_each(|point| block.set(point, value));
    }
    at.dc_power_w.into_iter().for_each(|watts| block.set("DCW", watts));
    at.absorbed_wh.into_iter().for_each(|energy| block.set("TotWhAbs", energy));
    match model {
        701 => der_phases(block, at),
        _ => phases(block, model % 10, at),
    }
    block.set_bits("Evt1", 0);
    block.set_bits("Evt2", 0);
}

fn phases(block: &mut Block, phases: u16, at: &Terminals) {
    for phase in ["A", "B", "C"].into_iter().take(phases.into()) {
        block.set(&format!("Aph{phase}"), at.current_a * 3.0 / f64::from(phases));
        block.set(&format!("PhVph{phase}"), at.voltage_v);
    }
    if phases == 3 {
        for pair in ["PPVphAB", "PPVphBC", "PPVphCA"] {
            block.set(pair, at.voltage_v * 3.0_f64.sqrt());
        }
    }
    block.set_bits("St", at.state.0);
}

/// The three phases of model 701, which are alike.
fn der_phases(block: &mut Block, at: &Terminals) {
    const THREE_PHASE: u32 = 2;
    block.set_bits("ACType", THREE_PHASE);
    block.set_bits("St", u32::from(at.connected));
    block.set_bits("InvSt", at.state.1);
    block.set_bits("ConnSt", u32::from(at.connected));
    block.set_bits("Alrm", 0);
    block.set("LNV", at.voltage_v);
    block.set("LLV", at.voltage_v * 3.0_f64.sqrt());
    for phase in 1..=3 {
        block.set(&format!("WL{phase}"), at.real_power_w / 3.0);
        block.set(&format!("VarL{phase}"), at.reactive_power_var / 3.0);
        block.set(&format!("AL{phase}"), at.current_a);
        block.set(&format!("VL{phase}"), at.voltage_v);
    }
}

/// Models 160 and 714, with one module or port that carries everything.
pub(super) fn dc_measurements(block: &mut Block, model: u16, power_w: f64, rating_w: f64) {
    block.set_scale(exponent_for(rating_w * HEADROOM, MOST, -1), &["DCW_SF"]);
    block.set("DCW", power_w);
    block.set(if model == 714 { "NPrt" } else { "N" }, 1.0);
    block.set_repeated("ID", 1.0);
    block.set_repeated("DCW", power_w);
    block.set_repeated("PrtTyp", PORT_BOTH_WAYS);
}

/// St of models 101 to 113.
fn operating_state(state: PvState) -> u32 {
    match state {
        PvState::Off => 1,
        PvState::Tripped => 7,
        PvState::Sleeping => 2,
        PvState::Tracking => 4,
        PvState::Throttled => 5,
    }
}

/// InvSt of model 701.
fn inverter_state(state: PvState) -> u32 {
    match state {
        PvState::Off => 0,
        PvState::Tripped => 6,
        PvState::Sleeping => 1,
        PvState::Tracking => 3,
        PvState::Throttled => 4,
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
