//! The components of this crate behind their messages.

mod operational;
mod predictive;
mod real_time;
mod world;
