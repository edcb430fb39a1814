//! The promises, one function each.

use super::{ATTEMPTS, Bench, Violation, abandon_after};
use crate::{
    Applied, Capabilities, Command, Description, Device, DeviceError, Quality, SafeState, Snapshot, point,
};
use std::fmt::Debug;
use std::future::Future;

type Outcome = Result<(), Violation>;

/// A read-back may differ by the device's resolution: so much of the range.
const RESOLUTION: f64 = 0.01;

fn broken(promise: &'static str, found: impl Debug) -> Violation {
    Violation { promise, found: format!("{found:?}") }
}

async fn connected<F, D>(
    bench: &Bench<F>,
    promise: &'static str,
) -> Result<(Box<dyn Device>, Description), Violation>
where
    F: Fn() -> D,
    D: Future<Output = Box<dyn Device>>,
{
    let mut device = bench.device().await;
    let description = device.connect().await.map_err(|error| broken(promise, error))?;
    Ok((device, description))
}

pub(super) async fn nothing_works_before_connecting<F, D>(bench: &Bench<F>) -> Outcome
where
    F: Fn() -> D,
    D: Future<Output = Box<dyn Device>>,
{
    let promise = "before connecting, every call is Disconnected";
    let (mut other, description) = connected(bench, promise).await?;
    let before = other.read().await.map_err(|error| broken(promise, error))?;
    let mut device = bench.device().await;
    let mut errors = vec![device.read().await.err(), device.release(&SafeState::Hold).await.err()];
    for command in modest(&description.capabilities, &before) {
        errors.push(device.apply(&bench.setpoint(command)).await.err());
    }
    let all = errors.iter().all(|error| matches!(error, Some(DeviceError::Disconnected { .. })));
    if all { Ok(()) } else { Err(broken(promise, errors)) }
}

pub(super) async fn connecting_again_describes_the_same<F, D>(bench: &Bench<F>) -> Outcome
where
    F: Fn() -> D,
    D: Future<Output = Box<dyn Device>>,
{
    let promise = "connecting describes the device, and again the same way";
    let (mut device, first) = connected(bench, promise).await?;
    let second = device.connect().await.map_err(|error| broken(promise, error))?;
    let Capabilities { power, tap_position, voltage } = first.capabilities;
    let sane = power.is_none_or(|range| range.min_w <= range.max_w && range.max_var >= 0.0)
        && tap_position.is_none_or(|range| range.lowest < range.highest)
        && voltage.is_none_or(|range| range.min_v < range.max_v);
    if first == second && sane { Ok(()) } else { Err(broken(promise, (first, second))) }
}

pub(super) async fn a_reading_is_finite_and_dated<F, D>(bench: &Bench<F>) -> Outcome
where
    F: Fn() -> D,
    D: Future<Output = Box<dyn Device>>,
{
    let promise = "a reading has finite values, dated between request and answer";
    let (mut device, _) = connected(bench, promise).await?;
    for _ in 0..3 {
        bench.wait().await;
        let asked_at = bench.clock().now();
        let snapshot = device.read().await.map_err(|error| broken(promise, error))?;
        let answered_at = bench.clock().now();
        let sound = snapshot.points.values().all(|sample| {
            sample.value.is_finite()
                && matches!(sample.quality, Quality::Good | Quality::OutOfRange)
                && (asked_at..=answered_at).contains(&sample.sampled_at)
        });
        if snapshot.points.is_empty() || !sound {
            return Err(broken(promise, (asked_at, snapshot, answered_at)));
        }
    }
    Ok(())
}

pub(super) async fn a_command_is_read_back<F, D>(bench: &Bench<F>) -> Outcome
where
    F: Fn() -> D,
    D: Future<Output = Box<dyn Device>>,
{
    let promise = "a command is confirmed by what the device then holds";
    let (mut device, description) = connected(bench, promise).await?;
    let before = device.read().await.map_err(|error| broken(promise, error))?;
    for command in modest(&description.capabilities, &before) {
        let readback = confirmed(bench, &mut *device, command, promise).await?;
        if !close(command, readback, &description.capabilities) {
            return Err(broken(promise, (command, readback)));
        }
        if let Command::TapPosition(target) = command {
            let after = device.read().await.map_err(|error| broken(promise, error))?;
            if after.get(point::TAP_POSITION).map(|sample| sample.value) != Some(target.into()) {
                return Err(broken(promise, (command, after)));
            }
        }
    }
    Ok(())
}

pub(super) async fn a_command_out_of_range_is_refused<F, D>(bench: &Bench<F>) -> Outcome
where
    F: Fn() -> D,
    D: Future<Output = Box<dyn Device>>,
{
    let promise = "a command out of range is refused, and the link stays";
    let (mut device, description) = connected(bench, promise).await?;
    for command in absurd(&description.capabilities) {
        refuse(bench, &mut *device, command, promise).await?;
    }
    Ok(())
}

pub(super) async fn a_command_without_capability_is_refused<F, D>(bench: &Bench<F>) -> Outcome
where
    F: Fn() -> D,
    D: Future<Output = Box<dyn Device>>,
{
    let promise = "a command that the device has no capability for is refused, and the link stays";
    let (mut device, description) = connected(bench, promise).await?;
    let Capabilities { power, tap_position, voltage } = description.capabilities;
    let commands = [
        (power.is_none(), Command::Power { real_power_w: 1.0, reactive_power_var: 0.0 }),
        (tap_position.is_none(), Command::TapPosition(1)),
        (voltage.is_none(), Command::Voltage { voltage_v: 230.0 }),
    ];
    for (_, command) in commands.into_iter().filter(|(lacking, _)| *lacking) {
        refuse(bench, &mut *device, command, promise).await?;
    }
    Ok(())
}

pub(super) async fn releasing_twice_is_releasing<F, D>(bench: &Bench<F>) -> Outcome
where
    F: Fn() -> D,
    D: Future<Output = Box<dyn Device>>,
{
    let promise = "releasing twice is the same as releasing once";
    let (mut device, description) = connected(bench, promise).await?;
    let before = device.read().await.map_err(|error| broken(promise, error))?;
    for command in modest(&description.capabilities, &before) {
        confirmed(bench, &mut *device, command, promise).await?;
        for safe in [SafeState::Hold, SafeState::Release] {
            let first = device.release(&safe).await.map_err(|error| broken(promise, error))?;
            let second = device.release(&safe).await.map_err(|error| broken(promise, error))?;
            if first != second {
                return Err(broken(promise, (safe, first, second)));
            }
        }
    }
    Ok(())
}

pub(super) async fn an_abandoned_call_leaves_a_working_device<F, D>(bench: &Bench<F>) -> Outcome
where
    F: Fn() -> D,
    D: Future<Output = Box<dyn Device>>,
{
    let promise = "after an abandoned call the device works, connected anew at most";
    let (mut device, description) = connected(bench, promise).await?;
    let before = device.read().await.map_err(|error| broken(promise, error))?;
    for polls in 0..6 {
        abandon_after(polls, device.read()).await;
        works(bench, &mut *device, promise, &before).await?;
        abandon_after(polls, device.connect()).await;
        works(bench, &mut *device, promise, &before).await?;
        abandon_after(polls, device.release(&SafeState::Release)).await;
        works(bench, &mut *device, promise, &before).await?;
        for command in modest(&description.capabilities, &before) {
            abandon_after(polls, device.apply(&bench.setpoint(command))).await;
            works(bench, &mut *device, promise, &before).await?;
        }
    }
    Ok(())
}

/// Reads, connecting where the device asks for it, and finds the points of an earlier reading.
async fn works<F, D>(
    bench: &Bench<F>,
    device: &mut dyn Device,
    promise: &'static str,
    before: &Snapshot,
) -> Outcome
where
    F: Fn() -> D,
    D: Future<Output = Box<dyn Device>>,
{
    let asked_at = bench.clock().now();
    let mut snapshot = device.read().await;
    if matches!(snapshot, Err(DeviceError::Disconnected { .. })) {
        device.connect().await.map_err(|error| broken(promise, error))?;
        snapshot = device.read().await;
    }
    let snapshot = snapshot.map_err(|error| broken(promise, error))?;
    let same_points = snapshot.points.keys().eq(before.points.keys());
    let fresh = snapshot.points.values().all(|sample| sample.sampled_at >= asked_at);
    if same_points && fresh { Ok(()) } else { Err(broken(promise, snapshot)) }
}

/// Applies a command as often as it takes: a tap changer needs its time.
async fn confirmed<F, D>(
    bench: &Bench<F>,
    device: &mut dyn Device,
    command: Command,
    promise: &'static str,
) -> Result<Command, Violation>
where
    F: Fn() -> D,
    D: Future<Output = Box<dyn Device>>,
{
    for _ in 0..ATTEMPTS {
        let applied = device.apply(&bench.setpoint(command)).await;
        match applied.map_err(|error| broken(promise, (command, error)))? {
            Applied::Confirmed { readback } | Applied::Restored { readback } => return Ok(readback),
            Applied::InProgress => {
                bench.wait().await;
                device.read().await.map_err(|error| broken(promise, error))?;
            }
        }
    }
    Err(broken(promise, (command, "never confirmed")))
}

/// Expects a refusal that keeps the link.
async fn refuse<F, D>(
    bench: &Bench<F>,
    device: &mut dyn Device,
    command: Command,
    promise: &'static str,
) -> Outcome
where
    F: Fn() -> D,
    D: Future<Output = Box<dyn Device>>,
{
    match device.apply(&bench.setpoint(command)).await {
        Err(DeviceError::Refused { .. } | DeviceError::Unsupported { .. }) => {}
        other => return Err(broken(promise, (command, other))),
    }
    device.read().await.map(|_| ()).map_err(|error| broken(promise, (command, error)))
}

/// Commands well within the capabilities.
fn modest(capabilities: &Capabilities, before: &Snapshot) -> Vec<Command> {
    let mut commands = Vec::new();
    if let Some(range) = capabilities.power {
        let middle = f64::midpoint(range.min_w, range.max_w);
        commands.push(Command::Power { real_power_w: middle, reactive_power_var: 0.0 });
        commands.push(Command::Power { real_power_w: middle, reactive_power_var: range.max_var / -4.0 });
    }
    if let Some(range) = capabilities.tap_position {
        let at =
            |position: i32| before.get(point::TAP_POSITION).is_some_and(|s| s.value == f64::from(position));
        let (first, second) = if at(range.highest) {
            (range.highest - 1, range.highest)
        } else {
            (range.lowest, range.lowest + 1)
        };
        commands.extend([Command::TapPosition(first), Command::TapPosition(second)]);
    }
    if let Some(range) = capabilities.voltage {
        let present_v = before.get(point::VOLTAGE).map(|sample| sample.value.round());
        let middle_v = f64::midpoint(range.min_v, range.max_v).round();
        let within = present_v.filter(|volts| (range.min_v..=range.max_v).contains(volts));
        commands.push(Command::Voltage { voltage_v: within.unwrap_or(middle_v) });
    }
    commands
}

/// Commands that no such device can follow.
fn absurd(capabilities: &Capabilities) -> Vec<Command> {
    let nonsense = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e12, -1e12, f64::MAX];
    let mut commands = Vec::new();
    if let Some(range) = capabilities.power {
        for watts in nonsense {
            commands.push(Command::Power { real_power_w: watts, reactive_power_var: 0.0 });
            commands.push(Command::Power { real_power_w: range.max_w, reactive_power_var: watts });
        }
        let step = (range.max_w - range.min_w).max(range.max_var) * RESOLUTION;
        for real_power_w in [range.min_w - step, range.max_w + step] {
            commands.push(Command::Power { real_power_w, reactive_power_var: 0.0 });
        }
        for reactive_power_var in [-range.max_var - step, range.max_var + step] {
            commands.push(Command::Power { real_power_w: range.min_w, reactive_power_var });
        }
    }
    if let Some(range) = capabilities.tap_position {
        let positions = [range.lowest.saturating_sub(1), range.highest.saturating_add(1), i32::MIN, i32::MAX];
        commands.extend(positions.map(Command::TapPosition));
    }
    if capabilities.voltage.is_some() {
        commands.extend(nonsense.map(|voltage_v| Command::Voltage { voltage_v }));
    }
    commands
}

/// Whether a read-back is the command, but for the device's resolution.
fn close(command: Command, readback: Command, capabilities: &Capabilities) -> bool {
    match (command, readback) {
        (
            Command::Power { real_power_w: w, reactive_power_var: var },
            Command::Power { real_power_w: held_w, reactive_power_var: held_var },
        ) => capabilities.power.is_some_and(|range| {
            let step = (range.max_w - range.min_w).max(range.max_var) * RESOLUTION;
            (w - held_w).abs() <= step && (var - held_var).abs() <= step
        }),
        (Command::TapPosition(target), Command::TapPosition(held)) => target == held,
        (Command::Voltage { voltage_v }, Command::Voltage { voltage_v: held_v }) => capabilities
            .voltage
            .is_some_and(|range| (voltage_v - held_v).abs() <= (range.max_v - range.min_v) * RESOLUTION),
        _ => false,
    }
}
