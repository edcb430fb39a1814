//! Economic dispatch from outside: plans, and the component that makes them.

mod component;
mod plans;
mod rig;
mod settings;
