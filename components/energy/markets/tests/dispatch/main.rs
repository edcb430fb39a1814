//! Economic dispatch from outside: plans, and the component that makes them.

mod plans;
