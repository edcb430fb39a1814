//! The components of the network, each through the kit's core: messages in, messages out.

mod awaited;
mod configured;
mod grid;
mod information;
mod monitoring;
mod predictor;
mod rig;
mod simces;
mod taps;
