//! `gridloop log-writer`, the built binary, against real servers: killed at random moments, with its store away or
//! failing, and with messages of every kind.

mod content;
mod faults;
mod kill;
mod rig;
mod services;
