//! The gateway between the SimCES bus and field devices.
