//! A PV inverter's points, capabilities and commands.

use crate::{refused, unsupported};
use gridloop_clock::MonoTime;
use gridloop_device::{
    Applied, Capabilities, Command, Description, DeviceError, FailSafe, PowerRange, Renewal, Snapshot, Unit,
    point,
};
use gridloop_plant::{PvInverter, Revert};
use std::time::Duration;

const APPLY: &str = "limit the power";

pub(crate) fn describe(inverter: &PvInverter, revert_after: Option<Duration>) -> Description {
    let rating = inverter.settings().rated_power_w;
    Description {
        identity: "gridloop simulated PV inverter".into(),
        profile: format!("PV inverter of {rating} W"),
        capabilities: Capabilities {
            power: Some(PowerRange { min_w: 0.0, max_w: rating, max_var: rating }),
            ..Capabilities::default()
        },
        fail_safe: revert_after.map_or(FailSafe::None, |after| FailSafe::RevertsToFree { after }),
        renewal: Renewal::No,
        standing: None,
    }
}

pub(crate) fn read(inverter: &PvInverter, sampled_at: MonoTime) -> Snapshot {
    let outputs = inverter.outputs();
    let apparent_va = outputs.real_power_w.hypot(outputs.reactive_power_var);
    let mut snapshot = Snapshot::default();
    snapshot.put(point::REAL_POWER, outputs.real_power_w, Unit::Watt, sampled_at);
    snapshot.put(point::REACTIVE_POWER, outputs.reactive_power_var, Unit::Var, sampled_at);
    snapshot.put("apparent_power", apparent_va, Unit::VoltAmpere, sampled_at);
    snapshot.put(point::VOLTAGE, outputs.voltage_v, Unit::Volt, sampled_at);
    snapshot.put("current", outputs.current_a * 3.0, Unit::Ampere, sampled_at);
    snapshot.put(point::FREQUENCY, outputs.frequency_hz, Unit::Hertz, sampled_at);
    snapshot.put("energy", outputs.energy_wh, Unit::WattHour, sampled_at);
    snapshot.put("dc_power", outputs.dc_power_w, Unit::Watt, sampled_at);
    snapshot
}

/// Both commands or neither.
pub(crate) fn apply(
    inverter: &mut PvInverter,
    command: Command,
    revert_after: Option<Duration>,
) -> Result<Applied, DeviceError> {
    let Command::Power { real_power_w, reactive_power_var } = command else {
        return Err(unsupported(APPLY, "PV inverter"));
    };
    let revert = revert_after.map(|after| Revert { after, to: None });
    let mut next = inverter.clone();
    next.limit_power(Some(real_power_w), revert).map_err(|error| refused(APPLY, &error))?;
    next.command_reactive(Some(reactive_power_var), revert).map_err(|error| refused(APPLY, &error))?;
    *inverter = next;
    Ok(held(inverter))
}

pub(crate) fn release(inverter: &mut PvInverter) -> Result<Applied, DeviceError> {
    inverter.limit_power(None, None).map_err(|error| refused("release", &error))?;
    inverter.command_reactive(None, None).map_err(|error| refused("release", &error))?;
    Ok(held(inverter))
}

/// The command that it holds; without one it gives what it can.
pub(crate) fn held(inverter: &PvInverter) -> Applied {
    let real_power_w = inverter.power_limit().value().unwrap_or(inverter.settings().rated_power_w);
    let reactive_power_var = inverter.reactive_command().value().unwrap_or(0.0);
    Applied::Confirmed { readback: Command::Power { real_power_w, reactive_power_var } }
}
