//! The components of the network, each through the kit's core: messages in, messages out.

mod awaited;
mod configured;
mod grid;
mod information;
mod monitoring;
mod network_file;
mod predictor;
mod rig;
mod simces;
mod taps;
