//! The Log Reader over real connections, on runs in SQLite: what it answers, whom it answers, how it is protected from
//! slow and greedy clients, and how little of a run it holds.

mod access;
mod client;
mod large;
mod limits;
mod pages;
mod rest;
mod rig;
mod series;
mod tls;
