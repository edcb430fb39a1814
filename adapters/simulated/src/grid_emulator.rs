//! A grid emulator's points, capabilities and commands.

use crate::{refused, unsupported};
use gridloop_clock::MonoTime;
use gridloop_device::{
    Applied, Capabilities, Command, Description, DeviceError, FailSafe, Renewal, Snapshot, Unit,
    VoltageRange, point,
};
use gridloop_plant::GridEmulator;

const APPLY: &str = "set the voltage";

pub(crate) fn describe(emulator: &GridEmulator) -> Description {
    let settings = emulator.settings();
    let (min_v, max_v) = (settings.min_voltage_v, settings.max_voltage_v);
    Description {
        identity: "gridloop simulated grid emulator".into(),
        profile: format!("voltage source from {min_v} V to {max_v} V"),
        capabilities: Capabilities {
            voltage: Some(VoltageRange { min_v, max_v }),
            ..Capabilities::default()
        },
        fail_safe: FailSafe::None,
        renewal: Renewal::No,
        standing: None,
    }
}

pub(crate) fn read(emulator: &GridEmulator, sampled_at: MonoTime) -> Snapshot {
    let outputs = emulator.outputs();
    let mut snapshot = Snapshot::default();
    snapshot.put(point::VOLTAGE, outputs.voltage_v, Unit::Volt, sampled_at);
    snapshot.put("voltage_setpoint", outputs.voltage_setpoint_v, Unit::Volt, sampled_at);
    snapshot.put(point::FREQUENCY, outputs.frequency_hz, Unit::Hertz, sampled_at);
    snapshot
}

pub(crate) fn apply(emulator: &mut GridEmulator, command: Command) -> Result<Applied, DeviceError> {
    let Command::Voltage { voltage_v } = command else {
        return Err(unsupported(APPLY, "grid emulator"));
    };
    emulator.set_voltage_setpoint_v(voltage_v).map_err(|error| refused(APPLY, &error))?;
    Ok(held(emulator))
}

/// The voltage that it was told; without a command it keeps the one before.
pub(crate) fn held(emulator: &GridEmulator) -> Applied {
    Applied::Confirmed { readback: Command::Voltage { voltage_v: emulator.outputs().voltage_setpoint_v } }
}
