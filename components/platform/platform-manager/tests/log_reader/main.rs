//! `gridloop log-reader`, `export` and `token`, the built binary: byte for byte against a model of the Python Log
//! Reader on both stores, under the requests of schemathesis, and as people use them.

mod commands;
mod generated;
mod model;
mod rig;
mod schema;
