//! The codec as other crates see it: what is sent byte for byte, what is accepted, what is refused and in which words.

mod accepted;
mod accepted_domain;
mod documentation;
mod fields;
mod general;
mod golden;
mod python_run;
mod refused;
mod refused_to_send;
mod round_trip;
mod sample;
mod schema;
mod sent;
mod timestamps;
mod topics;
