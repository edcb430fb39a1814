//! The component kit from outside: the rules one by one, iteration within an epoch, any order of
//! events, and the loop on a bus in memory.

mod interleavings;
mod iteration;
mod probe;
mod rig;
mod rules;
mod runner;
