//! Economic dispatch from outside: plans, and the component that makes them.

mod component;
mod flexibility;
mod plans;
mod rig;
mod settings;
