//! A tap changer's points, capabilities and commands.

use crate::{refused, unsupported};
use gridloop_clock::MonoTime;
use gridloop_device::{
    Applied, Capabilities, Command, Description, DeviceError, FailSafe, Renewal, Snapshot, TapRange, Unit,
    VoltageRange, point,
};
use gridloop_plant::{CommandError, MAX_STEPS, TapChanger};

const MOVE: &str = "move the taps";

pub(crate) fn describe(taps: &TapChanger) -> Description {
    let (lowest, highest) = (taps.settings().lowest, taps.settings().highest);
    let (min_v, max_v) = taps.voltage_range_v();
    Description {
        identity: "gridloop simulated tap changer".into(),
        profile: format!("tap changer from {lowest} to {highest}"),
        capabilities: Capabilities {
            tap_position: Some(TapRange { lowest, highest }),
            voltage: Some(VoltageRange { min_v, max_v }),
            ..Capabilities::default()
        },
        fail_safe: FailSafe::None,
        renewal: Renewal::No,
        standing: None,
    }
}

pub(crate) fn read(taps: &TapChanger, sampled_at: MonoTime) -> Snapshot {
    let outputs = taps.outputs();
    let mut snapshot = Snapshot::default();
    snapshot.put(point::TAP_POSITION, outputs.position.into(), Unit::One, sampled_at);
    snapshot.put(point::VOLTAGE, outputs.voltage_v, Unit::Volt, sampled_at);
    snapshot.put("voltage_setpoint", outputs.voltage_setpoint_v, Unit::Volt, sampled_at);
    snapshot.put("motor_pause", outputs.motor_pause_s, Unit::Second, sampled_at);
    snapshot.put("operation_count", outputs.operations.into(), Unit::One, sampled_at);
    snapshot
}

pub(crate) fn apply(taps: &mut TapChanger, command: Command) -> Result<Applied, DeviceError> {
    match command {
        Command::TapPosition(target) => move_to(taps, target).map_err(|error| refused(MOVE, &error)),
        Command::Voltage { voltage_v } => {
            taps.set_voltage_setpoint_v(voltage_v).map_err(|error| refused("set the voltage", &error))?;
            Ok(Applied::Confirmed {
                readback: Command::Voltage { voltage_v: taps.outputs().voltage_setpoint_v },
            })
        }
        Command::Power { .. } => Err(unsupported(MOVE, "tap changer")),
    }
}

/// The position that it stands at.
pub(crate) fn held(taps: &TapChanger) -> Applied {
    Applied::Confirmed { readback: Command::TapPosition(taps.outputs().position) }
}

/// One stride towards the target, if the drive is free for it. A call cannot be lost, so that there is no doubt about
/// what was sent.
fn move_to(taps: &mut TapChanger, target: i32) -> Result<Applied, CommandError> {
    let (lowest, highest) = (taps.settings().lowest, taps.settings().highest);
    if !(lowest..=highest).contains(&target) {
        let (value, lowest, highest) = (target.into(), lowest.into(), highest.into());
        return Err(CommandError::OutOfRange { value, lowest, highest, unit: "as a tap position" });
    }
    let outputs = taps.outputs();
    if outputs.moving {
        return Ok(Applied::InProgress);
    }
    if outputs.position == target {
        return Ok(held(taps));
    }
    match taps.command_steps((target - outputs.position).clamp(-MAX_STEPS, MAX_STEPS)) {
        Ok(()) | Err(CommandError::Moving | CommandError::Pausing { .. }) => Ok(Applied::InProgress),
        Err(error) => Err(error),
    }
}
