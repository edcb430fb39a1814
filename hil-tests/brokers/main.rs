//! Tests: brokers.
