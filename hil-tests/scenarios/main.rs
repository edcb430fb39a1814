//! Tests: the architecture, and whole runs in simulated time.

mod architecture;
mod determinism;
mod device_task;
mod fallback;
mod faulty_device;
mod life_of_a_setpoint;
mod overrun;
mod rig;
mod setpoint_abuse;
mod stopping;
mod tap_changer;
mod time;
