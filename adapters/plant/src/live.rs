//! A plant that keeps abreast of a clock: [`LivePlant`], and [`Plant`], which is any of them. [`GridTerminals`] are what
//! somebody holds who knows the voltage of the grid and not the plant.

use crate::{Battery, GridEmulator, PvInverter, TapChanger};
use gridloop_clock::{MonoTime, SharedClock};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What all plants have in common: they live through time.
pub trait Step {
    /// Lets `dt` pass. One long step gives the same as many short ones.
    fn step(&mut self, dt: Duration);
}

/// What hangs on a grid whose voltage somebody else knows.
pub trait OnGrid {
    /// The line-to-neutral voltage in V, from now on until another is said. What is not a voltage changes nothing.
    /// `at_position`: the tap position at which it is so, for a plant that has one and may have moved since.
    fn set_grid_voltage_v(&mut self, voltage_v: f64, at_position: Option<i32>);
}

/// Any plant.
#[derive(Debug, Clone)]
pub enum Plant {
    /// A PV inverter.
    PvInverter(PvInverter),
    /// A battery with its inverter.
    Battery(Battery),
    /// A tap changer.
    TapChanger(TapChanger),
    /// A voltage source.
    GridEmulator(GridEmulator),
}

/// The last that was known of a device, for its twin to go on from. What is not known is absent.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LastKnown {
    /// Real power in W, positive towards the grid.
    pub real_power_w: Option<f64>,
    /// Reactive power in var, positive towards the grid.
    pub reactive_power_var: Option<f64>,
    /// Tap position.
    pub tap_position: Option<i32>,
    /// State of charge in per cent.
    pub state_of_charge_percent: Option<f64>,
    /// Line-to-neutral voltage in V.
    pub voltage_v: Option<f64>,
}

impl Plant {
    /// Goes on from what a device did last, as far as this plant can. Commands stay what they were.
    pub fn adopt(&mut self, last: &LastKnown) {
        match self {
            Self::PvInverter(inverter) => inverter.adopt(last),
            Self::TapChanger(tap_changer) => tap_changer.adopt(last),
            Self::Battery(battery) => battery.adopt(last),
            Self::GridEmulator(emulator) => emulator.adopt(last),
        }
    }
}

impl OnGrid for Plant {
    fn set_grid_voltage_v(&mut self, voltage_v: f64, at_position: Option<i32>) {
        match self {
            Self::PvInverter(inverter) => inverter.set_grid_voltage_v(voltage_v, at_position),
            Self::TapChanger(tap_changer) => tap_changer.set_grid_voltage_v(voltage_v, at_position),
            Self::Battery(battery) => battery.set_grid_voltage_v(voltage_v, at_position),
            Self::GridEmulator(emulator) => emulator.set_grid_voltage_v(voltage_v, at_position),
        }
    }
}

impl Step for Plant {
    fn step(&mut self, dt: Duration) {
        match self {
            Self::PvInverter(inverter) => inverter.step(dt),
            Self::Battery(battery) => battery.step(dt),
            Self::TapChanger(tap_changer) => tap_changer.step(dt),
            Self::GridEmulator(emulator) => emulator.step(dt),
        }
    }
}

impl From<PvInverter> for Plant {
    fn from(inverter: PvInverter) -> Self {
        Self::PvInverter(inverter)
    }
}

impl From<Battery> for Plant {
    fn from(battery: Battery) -> Self {
        Self::Battery(battery)
    }
}

impl From<TapChanger> for Plant {
    fn from(tap_changer: TapChanger) -> Self {
        Self::TapChanger(tap_changer)
    }
}

impl From<GridEmulator> for Plant {
    fn from(emulator: GridEmulator) -> Self {
        Self::GridEmulator(emulator)
    }
}

/// A plant and the clock it lives by. Clones share the plant. Time passes for it whenever somebody looks.
pub struct LivePlant<P> {
    clock: SharedClock,
    state: Arc<Mutex<State<P>>>,
}

struct State<P> {
    plant: P,
    lived_until: MonoTime,
}

impl<P: Step> LivePlant<P> {
    /// A plant whose life begins now.
    #[must_use]
    pub fn new(plant: P, clock: SharedClock) -> Self {
        let state = State { plant, lived_until: clock.now() };
        Self { clock, state: Arc::new(Mutex::new(state)) }
    }

    /// Brings the plant to the present instant and hands it over, for as long as `work` takes.
    pub fn with<T>(&self, work: impl FnOnce(&mut P) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let passed = now.since(state.lived_until);
        state.lived_until = state.lived_until.max(now);
        state.plant.step(passed);
        work(&mut state.plant)
    }
}

impl<P: Step + OnGrid + Send + 'static> LivePlant<P> {
    /// Where it hangs on the grid.
    #[must_use]
    pub fn terminals(&self) -> GridTerminals {
        let plant = self.clone();
        GridTerminals(Arc::new(move |voltage_v, at_position| {
            plant.with(|plant| plant.set_grid_voltage_v(voltage_v, at_position));
        }))
    }
}

/// The terminals of a plant, whatever plant it is.
#[derive(Clone)]
pub struct GridTerminals(Arc<dyn Fn(f64, Option<i32>) + Send + Sync>);

impl GridTerminals {
    /// As [`OnGrid::set_grid_voltage_v`], at the present instant.
    pub fn set_voltage_v(&self, voltage_v: f64, at_position: Option<i32>) {
        (self.0)(voltage_v, at_position);
    }
}

impl<P> Clone for LivePlant<P> {
    fn clone(&self) -> Self {
        Self { clock: Arc::clone(&self.clock), state: Arc::clone(&self.state) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TapChangerSettings;
    use gridloop_clock::{Clock, SimulatedClock, sleep};
    use std::task::{Context, Waker};

    fn pass(clock: &SimulatedClock, time: Duration) {
        let mut wait = sleep(clock, time);
        let mut context = Context::from_waker(Waker::noop());
        while wait.as_mut().poll(&mut context).is_pending() {
            assert!(clock.advance());
        }
    }

    #[test]
    fn time_passes_for_a_live_plant_as_on_its_clock_whoever_looks() {
        let clock = SimulatedClock::new(gridloop_clock::Utc::default());
        pass(&clock, Duration::from_secs(5));
        let plant = TapChanger::new(TapChangerSettings::default()).unwrap();
        let here = LivePlant::new(plant, Arc::new(clock.clone()));
        let there = here.clone();
        here.with(|taps| taps.command_steps(1)).unwrap();
        assert!(there.with(|taps| taps.outputs().moving));
        pass(&clock, Duration::from_secs(1));
        assert_eq!(there.with(|taps| taps.outputs().position), 6);
        assert_eq!(clock.now().since(MonoTime::default()), Duration::from_secs(6));
    }
}
