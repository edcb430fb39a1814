//! The drivers of this crate against servers that the tests themselves hold in hand: register images, and devices
//! that answer as no device should.

mod adversity;
mod hostile;
mod leaving;
mod power_map;
mod profiles;
mod register_map;
mod storage;
mod sunspec;
mod support;
