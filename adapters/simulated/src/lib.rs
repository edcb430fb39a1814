//! A plant behind the device contract, without a wire: the smallest complete adapter.
