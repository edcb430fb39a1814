//! MQTT: devices, and simulated ones.
//!
//! A device is reached by [`BrokerSettings`]. [`MqttDevice`] speaks gridloop's own plain JSON (docs/mqtt.md), in which
//! a device says itself what it can do, acknowledges every command and falls back by itself; [`MappedDevice`] is told by
//! a [`Profile`], which is a data file, what the topics of existing equipment mean. What comes in is understood by pure
//! state machines (`heard.rs`, `mapped.rs`); one session type owns the connection and ends with the first error. Nothing
//! here retries: that is the device task's business.

mod address;
mod broker;
mod device;
mod heard;
mod mapped;
mod mapped_device;
mod profile;
mod scan;
mod session;
pub mod simulated;
mod tls;
mod wire;

pub use address::{Address, AddressError, DEFAULT_PORT, DEFAULT_TLS_PORT};
pub use broker::{BrokerSettings, Identity, Login, PasswordSource, TlsFiles};
pub use device::{MqttDevice, MqttSettings};
pub use mapped_device::{MappedDevice, MappedSettings};
pub use profile::{KeepAlive, Place, PointSpec, PowerCommand, Profile, ProfileError, Reading, StatusSpec};
pub use scan::{ScanReport, ScanSettings, ScannedDevice, ScannedPoint, ScannedTopic, scan};
pub use wire::check_message;
