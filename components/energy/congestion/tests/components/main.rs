//! The components of this crate behind their messages.

mod operational;
mod real_time;
mod world;
