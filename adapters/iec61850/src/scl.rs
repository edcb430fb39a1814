//! What a description in SCL (IEC 61850-6) says of its IEDs.

/// The namespace of SCL.
pub(crate) const NAMESPACE: &str = "http://www.iec.ch/61850/2003/SCL";
