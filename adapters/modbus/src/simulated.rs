//! Simulated Modbus devices: peers with a socket or a serial port, registers and a live plant, not mocks.
//!
//! [`serve_inverter`] and [`serve_battery`] serve SunSpec devices; [`serve_battery_inverter`], [`serve_tap_changer`],
//! [`serve_grid_emulator`] and [`serve_meter`] have plain register maps. Each gives a [`SimulatedServer`], whose [`Knobs`] make it slow, mute or wrong;
//! on RTU, which has no transactions, [`Fault::WrongTransaction`] is none. The framing is written here rather than taken
//! from a library, because no library answers wrongly on purpose.
//!
//! Functions 3, 4, 6 and 16 are served, any other gets exception 01. A unit other than the device's own gets exception
//! 0B over TCP, as from a gateway that finds nobody behind it, and no answer on RTU. An address outside the map gets
//! 02; a register that cannot be written, or not with that value, gets 03.

mod battery;
mod bind;
mod block;
mod codec;
mod controls;
mod grid_emulator;
mod inverter;
mod knobs;
mod meter;
mod secure;
mod server;
mod tap_changer;

pub use battery::serve_battery_inverter;
pub use bind::{Bind, BindError, Rights, Security};
pub use grid_emulator::serve_grid_emulator;
pub use inverter::{InverterSettings, serve_battery, serve_inverter};
pub use knobs::{Fault, Knobs};
pub use meter::serve_meter;
pub use server::SimulatedServer;
pub use tap_changer::serve_tap_changer;

/// Lets time pass on a simulated clock that nobody else waits for.
#[cfg(test)]
fn pass(clock: &gridloop_clock::SimulatedClock, time: std::time::Duration) {
    let mut wait = gridloop_clock::sleep(clock, time);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    while wait.as_mut().poll(&mut context).is_pending() {
        assert!(clock.advance());
    }
}
