//! OpenDSS as an engine of power flow, loaded at run time.
