//! The logical device of the tap changer.

use super::model::{Values, float};
use gridloop_plant::{CommandError, LivePlant, TapChanger, TapMode};
use iec61850_model::MmsValue;
use iec61850_server::control::ControlAddCause;

/// The two bits of a step command (IEC 61850-7-3, BSC), in the first byte.
const RAISE: u8 = 0x80;
const LOWER: u8 = 0x40;

/// What the objects hold at present.
pub(super) fn values(plant: &LivePlant<TapChanger>) -> Values {
    plant.with(|taps| {
        let outputs = taps.outputs();
        let (lowest, highest) = (taps.settings().lowest, taps.settings().highest);
        let (min_v, max_v) = taps.voltage_range_v();
        let position = MmsValue::Integer(outputs.position.into());
        // The rest of the motor is the last part of a movement: nothing is taken until it is over.
        let moving = MmsValue::Boolean(outputs.moving || outputs.motor_pause_s > 0.0);
        let (lowest_told, highest_told) =
            (MmsValue::Integer(lowest.into()), MmsValue::Integer(highest.into()));
        vec![
            ("YLTC1.TapPos.valWTr.posVal", position.clone()),
            ("YLTC1.TapPos.valWTr.transInd", moving.clone()),
            ("YLTC1.TapPos.minVal", lowest_told.clone()),
            ("YLTC1.TapPos.maxVal", highest_told.clone()),
            ("YLTC1.TapChg.valWTr.posVal", position),
            ("YLTC1.TapChg.valWTr.transInd", moving),
            ("YLTC1.TapChg.minVal", lowest_told),
            ("YLTC1.TapChg.maxVal", highest_told),
            ("YLTC1.OpCnt.stVal", MmsValue::Integer(outputs.operations.into())),
            ("YLTC1.Loc.stVal", MmsValue::Boolean(outputs.mode == TapMode::Manual)),
            ("YLTC1.EndPosR.stVal", MmsValue::Boolean(outputs.position == highest)),
            ("YLTC1.EndPosL.stVal", MmsValue::Boolean(outputs.position == lowest)),
            ("ATCC1.CtlV.mag.f", float(outputs.voltage_v)),
            ("ATCC1.BndCtr.setMag.f", float(outputs.voltage_setpoint_v)),
            ("ATCC1.BndCtr.minVal.f", float(min_v)),
            ("ATCC1.BndCtr.maxVal.f", float(max_v)),
            ("ATCC1.Auto.stVal", MmsValue::Boolean(outputs.mode == TapMode::Automatic)),
            ("ATCC1.LTCBlk.stVal", MmsValue::Boolean(false)),
        ]
    })
}

/// Makes a step, or only says whether it could be made. A rest of the motor is part of the command before.
pub(super) fn command(
    plant: &LivePlant<TapChanger>,
    value: Option<&MmsValue>,
    act: bool,
) -> Result<(), ControlAddCause> {
    let steps = match value {
        None => None,
        Some(MmsValue::BitString { data, padding: 6 }) => match data.as_slice() {
            [RAISE] => Some(1),
            [LOWER] => Some(-1),
            _ => return Err(ControlAddCause::NotSupported),
        },
        Some(_) => return Err(ControlAddCause::InconsistentParameters),
    };
    plant.with(|taps| {
        let mode = taps.outputs().mode;
        let refused = |error: CommandError| match (error, mode) {
            (CommandError::OutOfRange { .. }, _) => ControlAddCause::StepLimit,
            (CommandError::NotRemote, TapMode::Automatic) => ControlAddCause::BlockedByMode,
            (CommandError::NotRemote, _) => ControlAddCause::BlockedBySwitchingHierarchy,
            (CommandError::Moving | CommandError::Pausing { .. }, _) => {
                ControlAddCause::CommandAlreadyInExecution
            }
        };
        let mut next = taps.clone();
        match steps {
            Some(steps) => next.command_steps(steps).map_err(refused)?,
            // A select without a value: either direction would do.
            None => {
                let up = next.command_steps(1);
                up.or_else(|_| next.command_steps(-1)).map_err(refused)?;
            }
        }
        if act {
            *taps = next;
        }
        Ok(())
    })
}
