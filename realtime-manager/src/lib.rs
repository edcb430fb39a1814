//! The wall-clock-paced SimCES Simulation Manager.
