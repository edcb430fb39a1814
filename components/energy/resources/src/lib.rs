//! Loads, generators and the setpoint series controller.
