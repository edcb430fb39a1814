//! SunSpec over Modbus: information models, their values, discovery and the inverter driver.

pub mod models;
