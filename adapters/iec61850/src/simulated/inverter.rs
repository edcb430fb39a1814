//! The logical device of the inverter.

use super::model::{Values, float};
use gridloop_plant::{CommandError, LivePlant, PvInverter, PvState};
use iec61850_model::MmsValue;
use iec61850_server::control::ControlAddCause;

/// What the objects hold at present.
pub(super) fn values(plant: &LivePlant<PvInverter>) -> Values {
    plant.with(|inverter| {
        let outputs = inverter.outputs();
        let rating = inverter.settings().rated_power_w;
        let power = inverter.power_limit().value().unwrap_or(rating);
        let reactive = inverter.reactive_command().value().unwrap_or(0.0);
        let volts = float(outputs.voltage_v);
        let amperes = float(outputs.current_a);
        let apparent = outputs.real_power_w.hypot(outputs.reactive_power_var);
        vec![
            ("MMXU1.TotW.mag.f", float(outputs.real_power_w)),
            ("MMXU1.TotVAr.mag.f", float(outputs.reactive_power_var)),
            ("MMXU1.TotVA.mag.f", float(apparent)),
            ("MMXU1.Hz.mag.f", float(outputs.frequency_hz)),
            ("MMXU1.PhV.phsA.cVal.mag.f", volts.clone()),
            ("MMXU1.PhV.phsB.cVal.mag.f", volts.clone()),
            ("MMXU1.PhV.phsC.cVal.mag.f", volts),
            ("MMXU1.A.phsA.cVal.mag.f", amperes.clone()),
            ("MMXU1.A.phsB.cVal.mag.f", amperes.clone()),
            ("MMXU1.A.phsC.cVal.mag.f", amperes),
            ("ZINV1.WRtg.setMag.f", float(rating)),
            ("ZINV1.VarRtg.setMag.f", float(rating)),
            ("ZINV1.OutWSet.mxVal.f", float(power)),
            ("ZINV1.OutWSet.minVal.f", float(0.0)),
            ("ZINV1.OutWSet.maxVal.f", float(rating)),
            ("ZINV1.OutVarSet.mxVal.f", float(reactive)),
            ("ZINV1.OutVarSet.minVal.f", float(-rating)),
            ("ZINV1.OutVarSet.maxVal.f", float(rating)),
            (
                "ZINV1.GridModSt.stVal",
                MmsValue::Integer(i64::from(!matches!(outputs.state, PvState::Off | PvState::Tripped))),
            ),
        ]
    })
}

/// Follows a command, or only says whether it could be followed.
pub(super) fn command(
    plant: &LivePlant<PvInverter>,
    object: &str,
    value: Option<&MmsValue>,
    act: bool,
) -> Result<(), ControlAddCause> {
    let wanted = match value {
        None => return Ok(()),
        Some(MmsValue::Structure(parts)) => match parts.as_slice() {
            [MmsValue::Float32(value)] => f64::from(*value),
            _ => return Err(ControlAddCause::InconsistentParameters),
        },
        Some(_) => return Err(ControlAddCause::InconsistentParameters),
    };
    let result = plant.with(|inverter| {
        let mut next = inverter.clone();
        match object {
            "OutWSet" => next.limit_power(Some(wanted), None),
            _ => next.command_reactive(Some(wanted), None),
        }?;
        if act {
            *inverter = next;
        }
        Ok(())
    });
    result.map_err(|error: CommandError| match error {
        CommandError::OutOfRange { .. } => ControlAddCause::InconsistentParameters,
        CommandError::NotRemote => ControlAddCause::BlockedBySwitchingHierarchy,
        CommandError::Moving | CommandError::Pausing { .. } => ControlAddCause::CommandAlreadyInExecution,
    })
}
