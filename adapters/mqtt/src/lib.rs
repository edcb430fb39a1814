//! MQTT: devices, and simulated ones.
