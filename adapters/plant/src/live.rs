//! A plant that keeps abreast of a clock: [`LivePlant`], and [`Plant`], which is any of them.

use crate::{Battery, PvInverter, TapChanger};
use gridloop_clock::{MonoTime, SharedClock};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What all plants have in common: they live through time.
pub trait Step {
    /// Lets `dt` pass. One long step gives the same as many short ones.
    fn step(&mut self, dt: Duration);
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
}

impl Step for Plant {
    fn step(&mut self, dt: Duration) {
        match self {
            Self::PvInverter(inverter) => inverter.step(dt),
            Self::Battery(battery) => battery.step(dt),
            Self::TapChanger(tap_changer) => tap_changer.step(dt),
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
