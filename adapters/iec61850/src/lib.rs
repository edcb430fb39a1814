//! IEC 61850 over MMS: devices, and simulated IEDs.
