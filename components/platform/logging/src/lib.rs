//! The run log: every message of a run, in order, in SQLite.
