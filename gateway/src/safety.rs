//! What stands between a message and a device, for every protocol the same.
//!
//! A setpoint passes, in this order: the device's mode (`adapters/device`), the [`interlock`], the [`limits`] of the
//! device, the [`total`] of all devices, and the [`budget`] of a tap changer. After the write, [`effect`] compares what
//! the device does with what it was told. Everything that was asked, written, held and judged is in the [`audit`] log,
//! before it happens where it matters; and a [`lock`] lets one process at a time drive a device. [`guard`] holds them together
//! for one device. The rules are pure.

pub(crate) mod audit;
pub(crate) mod budget;
pub(crate) mod effect;
pub(crate) mod guard;
pub(crate) mod interlock;
pub(crate) mod limits;
pub(crate) mod lock;
pub(crate) mod total;
