//! Physics behind every simulated device.
