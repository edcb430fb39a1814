//! The component kit from outside: the rules one by one, any order of events, and the loop on a bus in memory.

mod interleavings;
mod probe;
mod rig;
mod rules;
mod runner;
