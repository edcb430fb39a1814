//! [`Primitive`]: an element as its terminals and the admittance matrix over them. Everything that the engine solves is
//! made of these.

use super::factor::inverse;
use super::nodes::{Nodes, Terminal};
use super::windings;
use crate::{AdmittanceBranch, Branch, Conductor, Element, Line, NetworkError};
use num_complex::Complex64;

/// A branch as the engine sees it.
#[derive(Debug, Clone)]
pub(super) struct Primitive {
    /// Its terminals: sending ones first, then receiving ones.
    pub(super) nodes: Vec<usize>,
    /// How many of them are sending ones.
    pub(super) sending: usize,
    /// Conductors of the terminals.
    pub(super) conductors: Vec<Conductor>,
    /// Admittances over the terminals, by rows.
    pub(super) admittance: Vec<Complex64>,
    /// That part of them which is shunts; empty for none.
    pub(super) shunt: Vec<Complex64>,
}

impl Primitive {
    pub(super) fn new(
        nodes: &Nodes,
        branch: &Branch,
        sending: &[Conductor],
        receiving: &[Conductor],
    ) -> Result<Self, NetworkError> {
        let ends = sending.iter().map(|conductor| (branch.sending_bus, *conductor));
        let ends = ends.chain(receiving.iter().map(|conductor| (branch.receiving_bus, *conductor)));
        let terminals = ends
            .map(|(bus, conductor)| nodes.required(&branch.name, bus, conductor))
            .collect::<Result<Vec<_>, _>>()?;
        let size = terminals.len();
        Ok(Self {
            nodes: terminals,
            sending: sending.len(),
            conductors: [sending, receiving].concat(),
            admittance: vec![Complex64::ZERO; size * size],
            shunt: Vec::new(),
        })
    }

    /// The element of a branch; a transformer with its tap at `position`.
    pub(super) fn of(nodes: &Nodes, branch: &Branch, position: i32) -> Result<Self, NetworkError> {
        match &branch.element {
            Element::Line(line) => Self::line(nodes, branch, line),
            Element::Transformer(transformer) => windings::primitive(nodes, branch, transformer, position),
            Element::Admittance(admittance) => Self::admittance(nodes, branch, admittance),
        }
    }

    fn line(nodes: &Nodes, branch: &Branch, line: &Line) -> Result<Self, NetworkError> {
        let name = &branch.name;
        let size = line.conductors.len();
        distinct(name, &line.conductors)?;
        square(&format!("series impedance of {name}"), &line.series_ohm, size)?;
        if !line.shunt_s.is_empty() {
            square(&format!("shunt admittance of {name}"), &line.shunt_s, size)?;
        }
        let singular = || NetworkError::Singular { what: format!("series impedance of {name}") };
        let series = inverse(&line.series_ohm).ok_or_else(singular)?;
        let mut primitive = Self::new(nodes, branch, &line.conductors, &line.conductors)?;
        for (row, entries) in series.iter().enumerate() {
            for (column, value) in entries.iter().enumerate() {
                primitive.add(row, column, *value);
                primitive.add(size + row, size + column, *value);
                primitive.add(row, size + column, -value);
                primitive.add(size + row, column, -value);
            }
        }
        for (row, entries) in line.shunt_s.iter().enumerate() {
            for (column, value) in entries.iter().enumerate() {
                primitive.add_shunt(row, column, value / 2.0);
                primitive.add_shunt(size + row, size + column, value / 2.0);
            }
        }
        Ok(primitive)
    }

    fn admittance(nodes: &Nodes, branch: &Branch, element: &AdmittanceBranch) -> Result<Self, NetworkError> {
        distinct(&branch.name, &element.sending)?;
        if !element.receiving.is_empty() {
            distinct(&branch.name, &element.receiving)?;
        }
        let mut primitive = Self::new(nodes, branch, &element.sending, &element.receiving)?;
        let size = primitive.nodes.len();
        square(&format!("admittance of {}", branch.name), &element.admittance_s, size)?;
        primitive.admittance = element.admittance_s.concat();
        Ok(primitive)
    }

    fn add(&mut self, row: usize, column: usize, value: Complex64) {
        let size = self.nodes.len();
        self.admittance[row * size + column] += value;
    }

    fn add_shunt(&mut self, row: usize, column: usize, value: Complex64) {
        let size = self.nodes.len();
        if self.shunt.is_empty() {
            self.shunt = vec![Complex64::ZERO; size * size];
        }
        self.shunt[row * size + column] += value;
        self.add(row, column, value);
    }

    /// Currents into the terminals.
    pub(super) fn currents(&self, voltages: &[Complex64]) -> Vec<Complex64> {
        self.product(&self.admittance, voltages)
    }

    /// Power of the shunts.
    pub(super) fn shunt_power(&self, voltages: &[Complex64]) -> Complex64 {
        if self.shunt.is_empty() {
            return Complex64::ZERO;
        }
        let currents = self.product(&self.shunt, voltages);
        self.nodes.iter().zip(currents).map(|(node, current)| voltages[*node] * current.conj()).sum()
    }

    fn product(&self, matrix: &[Complex64], voltages: &[Complex64]) -> Vec<Complex64> {
        let rows = matrix.chunks(self.nodes.len().max(1));
        rows.map(|row| row.iter().zip(&self.nodes).map(|(entry, node)| entry * voltages[*node]).sum())
            .collect()
    }
}

fn distinct(name: &str, conductors: &[Conductor]) -> Result<(), NetworkError> {
    let twice = conductors.iter().enumerate().find(|(at, one)| conductors[..*at].contains(one));
    if conductors.is_empty() || twice.is_some() {
        return Err(NetworkError::Value {
            what: format!("conductors of {name}"),
            expected: "at least one, each once",
            found: format!("{conductors:?}"),
        });
    }
    Ok(())
}

fn square(what: &str, matrix: &[Vec<Complex64>], size: usize) -> Result<(), NetworkError> {
    let wrong = |found| NetworkError::Size { what: what.to_owned(), expected: size, found };
    if matrix.len() != size {
        return Err(wrong(matrix.len()));
    }
    if let Some(row) = matrix.iter().find(|row| row.len() != size) {
        return Err(wrong(row.len()));
    }
    match matrix.iter().flatten().find(|entry| !entry.is_finite()) {
        Some(entry) => Err(NetworkError::Value {
            what: what.to_owned(),
            expected: "finite numbers",
            found: entry.to_string(),
        }),
        None => Ok(()),
    }
}

/// An admittance between two terminals of a bus.
pub(super) fn between(ends: [Terminal; 2], admittance: Complex64) -> Vec<(usize, usize, Complex64)> {
    match ends {
        [Terminal::Node(a), Terminal::Node(b)] => {
            vec![(a, a, admittance), (b, b, admittance), (a, b, -admittance), (b, a, -admittance)]
        }
        [Terminal::Node(a), Terminal::Earth] | [Terminal::Earth, Terminal::Node(a)] => {
            vec![(a, a, admittance)]
        }
        [Terminal::Earth, Terminal::Earth] => Vec::new(),
    }
}
