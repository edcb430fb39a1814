//! A battery's points, capabilities and commands.

use crate::{refused, unsupported};
use gridloop_clock::MonoTime;
use gridloop_device::{
    Applied, Capabilities, Command, Description, DeviceError, FailSafe, PowerRange, Renewal, Snapshot, Unit,
    point,
};
use gridloop_plant::{Battery, Revert};
use std::time::Duration;

const APPLY: &str = "set the power";

pub(crate) fn describe(battery: &Battery, revert_after: Option<Duration>) -> Description {
    let settings = battery.settings();
    Description {
        identity: "gridloop simulated battery".into(),
        profile: format!("battery of {} Wh", settings.capacity_wh),
        capabilities: Capabilities {
            power: Some(PowerRange {
                min_w: -settings.rated_charge_power_w,
                max_w: settings.rated_discharge_power_w,
                max_var: settings.max_reactive_power_var,
            }),
            ..Capabilities::default()
        },
        fail_safe: revert_after
            .map_or(FailSafe::None, |after| FailSafe::RevertsToValue { after, to_w: Some(0.0) }),
        renewal: Renewal::No,
        standing: None,
    }
}

pub(crate) fn read(battery: &Battery, sampled_at: MonoTime) -> Snapshot {
    let outputs = battery.outputs();
    let apparent_va = outputs.real_power_w.hypot(outputs.reactive_power_var);
    let mut snapshot = Snapshot::default();
    snapshot.put(point::REAL_POWER, outputs.real_power_w, Unit::Watt, sampled_at);
    snapshot.put(point::REACTIVE_POWER, outputs.reactive_power_var, Unit::Var, sampled_at);
    snapshot.put("apparent_power", apparent_va, Unit::VoltAmpere, sampled_at);
    snapshot.put(point::VOLTAGE, outputs.voltage_v, Unit::Volt, sampled_at);
    snapshot.put("current", outputs.current_a * 3.0, Unit::Ampere, sampled_at);
    snapshot.put(point::FREQUENCY, outputs.frequency_hz, Unit::Hertz, sampled_at);
    snapshot.put(point::STATE_OF_CHARGE, outputs.state_of_charge_percent, Unit::Percent, sampled_at);
    snapshot.put("discharged_energy", outputs.discharged_wh, Unit::WattHour, sampled_at);
    snapshot.put("charged_energy", outputs.charged_wh, Unit::WattHour, sampled_at);
    snapshot
}

/// Both commands or neither. Commands that are not renewed give way to standing idle.
pub(crate) fn apply(
    battery: &mut Battery,
    command: Command,
    revert_after: Option<Duration>,
) -> Result<Applied, DeviceError> {
    let Command::Power { real_power_w, reactive_power_var } = command else {
        return Err(unsupported(APPLY, "battery"));
    };
    let revert = revert_after.map(|after| Revert { after, to: Some(0.0) });
    let mut next = battery.clone();
    next.command_power(Some(real_power_w), revert).map_err(|error| refused(APPLY, &error))?;
    next.command_reactive(Some(reactive_power_var), revert).map_err(|error| refused(APPLY, &error))?;
    *battery = next;
    Ok(held(battery))
}

pub(crate) fn release(battery: &mut Battery) -> Result<Applied, DeviceError> {
    battery.command_power(None, None).map_err(|error| refused("release", &error))?;
    battery.command_reactive(None, None).map_err(|error| refused("release", &error))?;
    Ok(held(battery))
}

/// The command that it holds; without one it idles.
pub(crate) fn held(battery: &Battery) -> Applied {
    let real_power_w = battery.power_command().value().unwrap_or(0.0);
    let reactive_power_var = battery.reactive_command().value().unwrap_or(0.0);
    Applied::Confirmed { readback: Command::Power { real_power_w, reactive_power_var } }
}
