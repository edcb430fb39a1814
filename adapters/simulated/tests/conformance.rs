//! The device contract's test suite on simulated devices, in simulated time.

use gridloop_clock::{SharedClock, SimulatedClock, Utc, sleep};
use gridloop_device::{Applied, Command, Device, Setpoint, conformance, point};
use gridloop_plant::{
    Battery, BatterySettings, GridEmulator, GridEmulatorSettings, LivePlant, Plant, PvInverter,
    PvInverterSettings, Series, TapChanger, TapChangerSettings,
};
use gridloop_simulated::SimulatedDevice;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Runs `work` on a clock that jumps whenever there is nothing left to do.
fn in_simulated_time<W: Future>(work: impl FnOnce(SharedClock) -> W) -> W::Output {
    let clock = SimulatedClock::new(Utc::default());
    let idle = clock.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .on_thread_park(move || {
            let _ = idle.advance();
        })
        .build()
        .unwrap();
    runtime.block_on(work(Arc::new(clock)))
}

fn device(plant: Plant, clock: &SharedClock) -> SimulatedDevice {
    SimulatedDevice::new(LivePlant::new(plant, Arc::clone(clock)), Arc::clone(clock))
}

fn inverter() -> Plant {
    PvInverter::new(PvInverterSettings::typical(8000.0, Series::constant(1000.0))).unwrap().into()
}

fn battery() -> Plant {
    Battery::new(BatterySettings::typical(5000.0, 10_000.0)).unwrap().into()
}

fn tap_changer() -> Plant {
    TapChanger::new(TapChangerSettings::default()).unwrap().into()
}

fn grid_emulator() -> Plant {
    GridEmulator::new(GridEmulatorSettings::typical(230.0)).unwrap().into()
}

fn setpoint(command: Command, clock: &SharedClock) -> Setpoint {
    let now = clock.now();
    Setpoint { command, epoch: 1, received_at: now, expires_at: now + Duration::from_secs(60), order: 0 }
}

#[test]
fn the_simulated_inverter_keeps_the_contract() {
    let outcome = in_simulated_time(|clock| {
        let make = {
            let clock = Arc::clone(&clock);
            move || {
                let device: Box<dyn Device> = Box::new(device(inverter(), &clock));
                std::future::ready(device)
            }
        };
        conformance::check(clock, make)
    });
    assert_eq!(outcome, Ok(()));
}

#[test]
fn the_simulated_battery_keeps_the_contract() {
    let outcome = in_simulated_time(|clock| {
        let make = {
            let clock = Arc::clone(&clock);
            move || {
                let device: Box<dyn Device> = Box::new(device(battery(), &clock));
                std::future::ready(device)
            }
        };
        conformance::check(clock, make)
    });
    assert_eq!(outcome, Ok(()));
}

#[test]
fn the_simulated_tap_changer_keeps_the_contract() {
    let outcome = in_simulated_time(|clock| {
        let make = {
            let clock = Arc::clone(&clock);
            move || {
                let device: Box<dyn Device> = Box::new(device(tap_changer(), &clock));
                std::future::ready(device)
            }
        };
        conformance::check(clock, make)
    });
    assert_eq!(outcome, Ok(()));
}

#[test]
fn the_simulated_grid_emulator_keeps_the_contract() {
    let outcome = in_simulated_time(|clock| {
        let make = {
            let clock = Arc::clone(&clock);
            move || {
                let device: Box<dyn Device> = Box::new(device(grid_emulator(), &clock));
                std::future::ready(device)
            }
        };
        conformance::check(clock, make)
    });
    assert_eq!(outcome, Ok(()));
}

#[test]
fn a_limit_shows_in_the_power_and_is_dropped_when_it_is_not_renewed() {
    in_simulated_time(async |clock| {
        let mut device = device(inverter(), &clock).reverting_after(Duration::from_secs(10));
        device.connect().await.unwrap();
        let command = Command::Power { real_power_w: 2000.0, reactive_power_var: 500.0 };
        let applied = device.apply(&setpoint(command, &clock)).await.unwrap();
        assert_eq!(applied, Applied::Confirmed { readback: command });
        sleep(&*clock, Duration::from_secs(5)).await;
        let limited = device.read().await.unwrap();
        let value = |name| limited.get(name).map(|sample| sample.value);
        assert_eq!((value(point::REAL_POWER), value(point::REACTIVE_POWER)), (Some(2000.0), Some(500.0)));
        sleep(&*clock, Duration::from_secs(10)).await;
        let free = device.read().await.unwrap();
        assert_eq!(free.get(point::REAL_POWER).map(|sample| sample.value), Some(8000.0));
    });
}

#[test]
fn a_battery_follows_a_command_and_idles_when_it_is_not_renewed() {
    in_simulated_time(async |clock| {
        let mut device = device(battery(), &clock).reverting_after(Duration::from_secs(10));
        device.connect().await.unwrap();
        let command = Command::Power { real_power_w: -2000.0, reactive_power_var: 500.0 };
        let applied = device.apply(&setpoint(command, &clock)).await.unwrap();
        assert_eq!(applied, Applied::Confirmed { readback: command });
        sleep(&*clock, Duration::from_secs(5)).await;
        let charging = device.read().await.unwrap();
        let value = |name| charging.get(name).map(|sample| sample.value);
        assert_eq!((value(point::REAL_POWER), value(point::REACTIVE_POWER)), (Some(-2000.0), Some(500.0)));
        assert!(value(point::STATE_OF_CHARGE).is_some_and(|percent| percent > 50.0 && percent < 51.0));
        sleep(&*clock, Duration::from_secs(10)).await;
        let idle = device.read().await.unwrap();
        assert_eq!(idle.get(point::REAL_POWER).map(|sample| sample.value), Some(0.0));
    });
}

#[test]
fn a_far_tap_position_is_reached_in_strides_and_each_step_is_made_once() {
    in_simulated_time(async |clock| {
        let mut device = device(tap_changer(), &clock);
        device.connect().await.unwrap();
        let mut answers = Vec::new();
        while answers.last() != Some(&Applied::Confirmed { readback: Command::TapPosition(9) }) {
            answers.push(device.apply(&setpoint(Command::TapPosition(9), &clock)).await.unwrap());
            sleep(&*clock, Duration::from_millis(100)).await;
            assert!(answers.len() < 200, "{answers:?}");
        }
        let reading = device.read().await.unwrap();
        assert_eq!(reading.get("operation_count").map(|sample| sample.value), Some(4.0));
    });
}
