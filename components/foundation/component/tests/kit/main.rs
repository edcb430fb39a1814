//! The component kit from outside: the rules one by one, iteration within an epoch, results before its end, any order of
//! events, and the loop on a bus in memory.

mod ahead;
mod interleavings;
mod iteration;
mod probe;
mod rig;
mod rules;
mod runner;
