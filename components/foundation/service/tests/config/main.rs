//! The configuration library from outside: what it reads, what it says, what it withstands, and its schema.

mod errors;
mod hostile;
mod reading;
mod sample;
mod schema;
