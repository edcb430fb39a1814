//! The `gridloop` command.
fn main() {}
