//! [`Line`]: series impedance between two buses and shunt admittance, half of it at either end.

use crate::Conductor;
use num_complex::Complex64;

/// A line or cable: the same conductors at both ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its conductors, any of those that both buses have.
    pub conductors: Vec<Conductor>,
    /// Series impedance matrix of the whole length in ohm, by rows in the order of the conductors.
    pub series_ohm: Vec<Vec<Complex64>>,
    /// Shunt admittance matrix of the whole length in S, half of it at either end; empty for none.
    pub shunt_s: Vec<Vec<Complex64>>,
}

/// Values of a three-phase line by symmetrical components, of the whole length.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SequenceValues {
    /// Resistance of the positive sequence in ohm.
    pub r1_ohm: f64,
    /// Reactance of the positive sequence in ohm.
    pub x1_ohm: f64,
    /// Resistance of the zero sequence in ohm.
    pub r0_ohm: f64,
    /// Reactance of the zero sequence in ohm.
    pub x0_ohm: f64,
    /// Shunt susceptance of the positive sequence in S.
    pub b1_s: f64,
    /// Shunt susceptance of the zero sequence in S.
    pub b0_s: f64,
}

impl Line {
    /// A line of three phases alike, with an earthed neutral that is part of the zero sequence.
    #[must_use]
    pub fn from_sequence(values: SequenceValues) -> Self {
        let SequenceValues { r1_ohm, x1_ohm, r0_ohm, x0_ohm, b1_s, b0_s } = values;
        let positive = Complex64::new(r1_ohm, x1_ohm);
        let zero = Complex64::new(r0_ohm, x0_ohm);
        let shunt = if b1_s == 0.0 && b0_s == 0.0 {
            Vec::new()
        } else {
            phase_matrix(Complex64::new(0.0, b1_s), Complex64::new(0.0, b0_s))
        };
        Self {
            conductors: Conductor::PHASES.to_vec(),
            series_ohm: phase_matrix(positive, zero),
            shunt_s: shunt,
        }
    }

    /// Conductors that do not see each other, each with this impedance.
    #[must_use]
    pub fn uncoupled(conductors: &[Conductor], impedance_ohm: Complex64) -> Self {
        Self {
            conductors: conductors.to_vec(),
            series_ohm: diagonal(conductors.len(), impedance_ohm),
            shunt_s: Vec::new(),
        }
    }
}

/// The matrix over three phases alike whose positive and zero sequence values these are.
pub(crate) fn phase_matrix(positive: Complex64, zero: Complex64) -> Vec<Vec<Complex64>> {
    let own = (zero + 2.0 * positive) / 3.0;
    let mutual = (zero - positive) / 3.0;
    (0..3).map(|row| (0..3).map(|column| if row == column { own } else { mutual }).collect()).collect()
}

pub(crate) fn diagonal(size: usize, value: Complex64) -> Vec<Vec<Complex64>> {
    let entry = |row, column| if row == column { value } else { Complex64::ZERO };
    (0..size).map(|row| (0..size).map(|column| entry(row, column)).collect()).collect()
}
