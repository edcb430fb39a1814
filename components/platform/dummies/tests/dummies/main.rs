//! Dummies and simple components on a bus that the test carries itself, in time that the test moves.

mod dummy;
mod simple;
mod world;
