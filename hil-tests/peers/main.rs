//! Tests against foreign implementations: pysunspec2, pymodbus, mbpoll, mosquitto and open61850 for devices, OpenDSS and
//! pandapower for networks, HiGHS for plans, a checker of messages written from the wire contract, and jsonschema, each in
//! a process of its own.
//!
//! gridloop's drivers and its simulated devices are written by the same people from the same tables, so that either
//! could confirm the other's mistakes. These tests let others judge both sides.

mod battery_map;
mod dispatch;
mod drill;
mod ied_driver;
mod mbpoll;
mod messages;
mod modbus_security;
mod modbus_transports;
mod model_tables;
mod mqtt;
mod opendss_engine;
mod power_flow;
mod register_map_driver;
mod rig;
mod simulated_ied;
mod simulated_inverter;
mod simulated_storage;
mod sunspec_driver;
