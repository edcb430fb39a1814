//! Tests against foreign implementations: pysunspec2, pymodbus and mbpoll for devices, a checker of messages written
//! from the wire contract, and jsonschema, each in a process of its own.
//!
//! gridloop's drivers and its simulated devices are written by the same people from the same tables, so that either
//! could confirm the other's mistakes. These tests let others judge both sides.

mod drill;
mod mbpoll;
mod messages;
mod model_tables;
mod register_map_driver;
mod rig;
mod simulated_inverter;
mod sunspec_driver;
