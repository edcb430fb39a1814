//! Foreign implementations, started as processes.
