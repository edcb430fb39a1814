//! The SimCES component kit: a state machine without I/O and the loop that runs it.
