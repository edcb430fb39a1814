//! The border between the bus and the engineering plane: kW and W, kV and V, SimCES names and ours. Both sides count
//! power towards the grid as positive, so no sign changes here; if one ever must, it is here.

use gridloop_device::{Command, Quality, Sample, Source, point};
use gridloop_messages::{Body, PointQuality, PointSource, PointState, ResourceState};
use std::time::Duration;

/// A control message as a command; `None` for messages that are none.
pub(crate) fn command(body: &Body) -> Option<Command> {
    match body {
        Body::PowerSetpoint(setpoint) => Some(Command::Power {
            real_power_w: setpoint.real_power_kw * 1000.0,
            reactive_power_var: setpoint.reactive_power_kvar * 1000.0,
        }),
        Body::TapPosition(setpoint) => Some(Command::TapPosition(setpoint.tap_position)),
        Body::VoltageSetpoint(setpoint) => Some(Command::Voltage { voltage_v: setpoint.voltage_kv * 1000.0 }),
        _ => None,
    }
}

/// What a resource publishes of itself besides its powers.
pub(crate) struct Resource<'a> {
    pub(crate) customer_id: &'a str,
    pub(crate) node: Option<u8>,
}

/// The powers of a device as a ResourceState; `None` when it has never told its real power.
pub(crate) fn resource_state(
    resource: &Resource<'_>,
    value: impl Fn(&str) -> Option<f64>,
) -> Option<ResourceState> {
    Some(ResourceState {
        customer_id: resource.customer_id.to_owned(),
        real_power_kw: value(point::REAL_POWER)? / 1000.0,
        reactive_power_kvar: value(point::REACTIVE_POWER).unwrap_or(0.0) / 1000.0,
        node: resource.node,
        state_of_charge_percent: value(point::STATE_OF_CHARGE),
    })
}

/// A sample as a point of DeviceState.
pub(crate) fn point_state(name: &str, sample: Sample, age: Duration, source: Source) -> PointState {
    PointState {
        name: name.to_owned(),
        value: sample.value,
        unit: sample.unit.ucum().to_owned(),
        quality: match sample.quality {
            Quality::Good => PointQuality::Good,
            Quality::Stale => PointQuality::Stale,
            Quality::Questionable => PointQuality::Questionable,
            Quality::OutOfRange => PointQuality::OutOfRange,
            Quality::CommLost => PointQuality::CommLost,
            Quality::Substituted => PointQuality::Substituted,
        },
        source: match source {
            Source::Field => PointSource::Field,
            Source::Simulated => PointSource::Simulated,
        },
        age_s: age.as_secs_f64(),
    }
}

/// A command as an operator reads it.
pub(crate) fn describe(command: &Command) -> String {
    match command {
        Command::Power { real_power_w, reactive_power_var } if *reactive_power_var == 0.0 => {
            format!("{:.2} kW", real_power_w / 1000.0)
        }
        Command::Power { real_power_w, reactive_power_var } => {
            format!("{:.2} kW {:+.2} kvar", real_power_w / 1000.0, reactive_power_var / 1000.0)
        }
        Command::TapPosition(position) => format!("tap {position}"),
        Command::Voltage { voltage_v } => format!("{voltage_v:.1} V"),
    }
}

/// What a device does at present about a command of this kind, as an operator reads it.
pub(crate) fn measured(command: &Command, value: impl Fn(&str) -> Option<f64>) -> Option<String> {
    match command {
        Command::Power { .. } => {
            let real_power_w = value(point::REAL_POWER)?;
            let reactive_power_var = value(point::REACTIVE_POWER).unwrap_or(0.0);
            Some(describe(&Command::Power {
                real_power_w,
                reactive_power_var: if reactive_power_var.abs() < 5.0 { 0.0 } else { reactive_power_var },
            }))
        }
        Command::TapPosition(_) => {
            let position = value(point::TAP_POSITION)?;
            let voltage = value(point::VOLTAGE).map(|volts| format!(", {volts:.1} V")).unwrap_or_default();
            Some(format!("tap {position:.0}{voltage}"))
        }
        Command::Voltage { .. } => Some(format!("{:.1} V", value(point::VOLTAGE)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridloop_messages::{PowerSetpoint, TapPosition, VoltageSetpoint};

    #[test]
    fn control_messages_become_commands_in_si_units_with_the_same_sign() {
        let setpoint = PowerSetpoint { real_power_kw: -2.5, reactive_power_kvar: 0.25 };
        let expected = Command::Power { real_power_w: -2500.0, reactive_power_var: 250.0 };
        assert_eq!(command(&Body::PowerSetpoint(setpoint)), Some(expected));
        assert_eq!(
            command(&Body::TapPosition(TapPosition { tap_position: -3 })),
            Some(Command::TapPosition(-3))
        );
        let voltage = VoltageSetpoint { voltage_kv: 0.4 };
        assert_eq!(command(&Body::VoltageSetpoint(voltage)), Some(Command::Voltage { voltage_v: 400.0 }));
    }

    #[test]
    fn a_device_without_a_real_power_gives_no_resource_state() {
        let resource = Resource { customer_id: "c", node: None };
        assert_eq!(resource_state(&resource, |_| None), None);
        let state = resource_state(&resource, |name| (name == point::REAL_POWER).then_some(1500.0)).unwrap();
        assert_eq!((state.real_power_kw, state.reactive_power_kvar), (1.5, 0.0));
    }
}
