//! The component kit from outside: the rules one by one, iteration within an epoch, results before its end, any order of
//! events, long computations, and the loop on a bus in memory.

mod ahead;
mod at_length;
mod interleavings;
mod iteration;
mod probe;
mod rig;
mod rules;
mod runner;
