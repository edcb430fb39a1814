//! Lines and cables of a network file, by symmetrical components, with a neutral of their own, or by matrices.

use super::area::Area;
use super::quantity::Quantities;
use gridloop_power_flow::{Complex64, Conductor, Element, Line};
use gridloop_service::Section;

/// A line as it was read, in per unit of the bus where it begins.
pub(super) struct ReadLine {
    /// Of the positive sequence.
    pub(super) impedance: Complex64,
    /// Of the positive sequence, half of it at either end.
    pub(super) shunt: Complex64,
    /// Where that is not all of it.
    pub(super) element: Option<Element>,
}

/// What a line says beyond its positive sequence.
#[derive(Default, PartialEq)]
struct Beyond {
    zero: Option<Complex64>,
    zero_susceptance: Option<f64>,
    neutral: Option<Complex64>,
    matrix: Option<Vec<Vec<Complex64>>>,
}

/// Reads a branch without a table `transformer`; `in_per_unit`: its taps or voltages make a transformer in per unit of
/// it, which has no more than a positive sequence.
pub(super) fn read(section: &Section<'_>, area: &Area, [from, to]: [&str; 2], in_per_unit: bool) -> ReadLine {
    let quantities = Quantities::of(section, area.base_ohm(from), area.base_a(from), area.frequency_hz);
    let quantities = quantities.with_length();
    let mut conductors = area.conductors(from);
    let at_end = area.conductors(to);
    conductors.retain(|one| at_end.contains(one));
    if !conductors.iter().any(|one| *one != Conductor::Neutral) {
        section.error(Some("to"), "a bus that has a phase in common with the one where it begins", None);
    }
    let beyond = Beyond::read(section, &quantities, &conductors);
    let impedance = positive_sequence(section, &quantities, beyond.matrix.as_deref(), &conductors);
    let shunt = read_shunt(section, &quantities);
    if in_per_unit {
        if beyond != Beyond::default() {
            let expected = "no zero sequence, neutral or matrix beside taps or another voltage at its end";
            let help = "a table `transformer` says how the windings of a transformer are connected";
            section.error(None, expected, Some(help.to_owned()));
        }
        return ReadLine { impedance, shunt, element: None };
    }
    let usual = area.is_usual(from) && area.is_usual(to);
    let element = (beyond != Beyond::default() || !usual)
        .then(|| beyond.line(impedance, shunt, conductors, area.base_ohm(from)));
    ReadLine { impedance, shunt, element: element.map(Element::Line) }
}

/// As it is given, or as the mean of a line whose phases would be interchanged.
fn positive_sequence(
    section: &Section<'_>,
    quantities: &Quantities<'_, '_>,
    matrix: Option<&[Vec<Complex64>]>,
    conductors: &[Conductor],
) -> Complex64 {
    let resistance = quantities.impedance("resistance", "Series resistance of each conductor");
    let reactance = quantities.impedance("reactance", "Series reactance of each conductor");
    if let Some(matrix) = matrix {
        if resistance.is_some() || reactance.is_some() {
            section.error(None, "matrices, or a resistance and reactance, not both", None);
        }
        let (own, mutual) = means(matrix, conductors);
        return own - mutual;
    }
    let impedance = Complex64::new(resistance.unwrap_or(0.0), reactance.unwrap_or(0.0));
    if impedance == Complex64::ZERO {
        section.error(Some("resistance_pu"), "a resistance or reactance other than 0", None);
    }
    impedance
}

fn read_shunt(section: &Section<'_>, quantities: &Quantities<'_, '_>) -> Complex64 {
    let conductance = quantities.admittance("shunt_conductance", "Shunt conductance of each phase");
    let susceptance = quantities.admittance("shunt_susceptance", "Shunt susceptance of each phase");
    let capacitance = quantities.capacitance("capacitance", "Capacitance of the positive sequence");
    if susceptance.is_some() && capacitance.is_some() {
        let expected = "this or `shunt_susceptance_pu` or `_s`, not both";
        section.error(Some("capacitance_nf_per_km"), expected, None);
    }
    Complex64::new(conductance.unwrap_or(0.0), susceptance.or(capacitance).unwrap_or(0.0))
}

impl Beyond {
    fn read(section: &Section<'_>, quantities: &Quantities<'_, '_>, conductors: &[Conductor]) -> Self {
        let pair = |name: &str, about: &str| {
            let resistance =
                quantities.impedance(&format!("{name}_resistance"), &format!("Resistance of the {about}"));
            let reactance =
                quantities.impedance(&format!("{name}_reactance"), &format!("Reactance of the {about}"));
            if resistance.is_some() != reactance.is_some() {
                section.error(None, format!("both a `{name}_resistance` and a `{name}_reactance`"), None);
            }
            Some(Complex64::new(resistance?, reactance?))
        };
        let zero = pair("zero", "zero sequence");
        let neutral = pair("neutral", "neutral conductor");
        let susceptance =
            quantities.admittance("zero_shunt_susceptance", "Shunt susceptance of the zero sequence");
        let capacitance = quantities.capacitance("zero_capacitance", "Capacitance of the zero sequence");
        if susceptance.is_some() && capacitance.is_some() {
            let expected = "this or `zero_shunt_susceptance_pu` or `_s`, not both";
            section.error(Some("zero_capacitance_nf_per_km"), expected, None);
        }
        let has_neutral = conductors.contains(&Conductor::Neutral);
        if neutral.is_some() && !has_neutral {
            let expected = "no impedance of a neutral, or `neutral = \"four-wire\"` at both of its buses";
            section.error(None, expected, None);
        }
        if neutral.is_some() && zero.is_some() {
            section.error(None, "the impedance of its zero sequence or of its neutral, not both", None);
        }
        let size = conductors.len();
        let resistances =
            quantities.matrix("resistance_matrix", "Series resistances of its conductors", size);
        let reactances = quantities.matrix("reactance_matrix", "Series reactances of its conductors", size);
        let matrix = match (resistances, reactances) {
            (Some(resistances), Some(reactances)) => Some(together(&resistances, &reactances)),
            (None, None) => None,
            _ => {
                section.error(None, "both a `resistance_matrix` and a `reactance_matrix`", None);
                None
            }
        };
        if matrix.is_some() && (zero.is_some() || neutral.is_some()) {
            section.error(None, "matrices, or the impedance of zero sequence or neutral, not both", None);
        }
        Self { zero, zero_susceptance: susceptance.or(capacitance), neutral, matrix }
    }

    /// The line in ohm and S over its conductors.
    fn line(
        &self,
        impedance: Complex64,
        shunt: Complex64,
        conductors: Vec<Conductor>,
        base_ohm: f64,
    ) -> Line {
        let has_neutral = conductors.contains(&Conductor::Neutral);
        let series = match (&self.matrix, has_neutral) {
            (Some(matrix), _) => matrix.clone(),
            (None, false) => phase_matrix(impedance, self.zero.unwrap_or(impedance), &conductors),
            // All that returns does so in the neutral: phases see each other in it alone.
            (None, true) => {
                let back = self.zero.map(|zero| (zero - impedance) / 3.0);
                let mut matrix = phase_matrix(impedance, impedance, &conductors);
                for (at, _) in conductors.iter().enumerate().filter(|(_, one)| **one == Conductor::Neutral) {
                    if let Some(entry) = matrix.get_mut(at).and_then(|row| row.get_mut(at)) {
                        *entry = self.neutral.or(back).unwrap_or(impedance);
                    }
                }
                matrix
            }
        };
        let zero_shunt = Complex64::new(shunt.re, self.zero_susceptance.unwrap_or(shunt.im));
        let none = shunt == Complex64::ZERO && zero_shunt == Complex64::ZERO;
        let shunt = if none { Vec::new() } else { phase_matrix(shunt, zero_shunt, &conductors) };
        Line {
            shunt_s: scaled(without_neutral(shunt, &conductors), base_ohm.recip()),
            series_ohm: scaled(series, base_ohm),
            conductors,
        }
    }
}

/// Over the conductors of a line of three phases alike of which it may have fewer.
fn phase_matrix(positive: Complex64, zero: Complex64, conductors: &[Conductor]) -> Vec<Vec<Complex64>> {
    let (own, mutual) = ((zero + 2.0 * positive) / 3.0, (zero - positive) / 3.0);
    let size = conductors.len();
    (0..size).map(|row| (0..size).map(|column| if row == column { own } else { mutual }).collect()).collect()
}

/// Shunts lie between phases and earth alone.
fn without_neutral(mut matrix: Vec<Vec<Complex64>>, conductors: &[Conductor]) -> Vec<Vec<Complex64>> {
    let neutral = conductors.iter().position(|one| *one == Conductor::Neutral);
    for (row, entries) in matrix.iter_mut().enumerate() {
        for (column, entry) in entries.iter_mut().enumerate() {
            if Some(row) == neutral || Some(column) == neutral {
                *entry = Complex64::ZERO;
            }
        }
    }
    matrix
}

fn scaled(mut matrix: Vec<Vec<Complex64>>, factor: f64) -> Vec<Vec<Complex64>> {
    matrix.iter_mut().flatten().for_each(|entry| *entry *= factor);
    matrix
}

fn together(real: &[Vec<f64>], imaginary: &[Vec<f64>]) -> Vec<Vec<Complex64>> {
    let row = |(real, imaginary): (&Vec<f64>, &Vec<f64>)| {
        real.iter().zip(imaginary).map(|(re, im)| Complex64::new(*re, *im)).collect()
    };
    real.iter().zip(imaginary).map(row).collect()
}

/// The mean of the own impedances of the phases, and of those between them.
fn means(matrix: &[Vec<Complex64>], conductors: &[Conductor]) -> (Complex64, Complex64) {
    let is_phase = |at: usize| conductors.get(at).is_some_and(|one| *one != Conductor::Neutral);
    let mut sums = [(Complex64::ZERO, 0.0); 2];
    for (row, entries) in matrix.iter().enumerate().filter(|(row, _)| is_phase(*row)) {
        for (column, entry) in entries.iter().enumerate().filter(|(column, _)| is_phase(*column)) {
            let (sum, count) = &mut sums[usize::from(row != column)];
            (*sum, *count) = (*sum + entry, *count + 1.0);
        }
    }
    let [own, mutual] = sums.map(|(sum, count)| if count > 0.0 { sum / count } else { Complex64::ZERO });
    (own, mutual)
}
