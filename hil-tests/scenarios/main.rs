//! Tests: scenarios.

mod architecture;
