//! Tests: the architecture, and whole runs in simulated time.

mod architecture;
mod closed_loop;
mod conformance;
mod determinism;
mod device_task;
mod doubt;
mod endings;
mod energy;
mod examples;
mod fallback;
mod faulty_device;
mod flexibility;
mod grid;
mod iteration;
mod life_of_a_setpoint;
mod operational;
mod overrun;
mod rig;
mod safety;
mod setpoint_abuse;
mod stopping;
mod tap_changer;
mod time;
mod whole_system;
