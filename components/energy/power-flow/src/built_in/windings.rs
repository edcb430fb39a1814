//! A transformer as a [`Primitive`]: its coils over the terminals of both sides and over the star points that are none
//! of them, which are then eliminated.

use super::coils::{Rating, coil_pairs};
use super::nodes::Nodes;
use super::primitive::Primitive;
use crate::transformer::{Coil, StarPoint, Transformer};
use crate::{Branch, Conductor, NetworkError};
use num_complex::Complex64;

/// Which part of its rating, as an inductive admittance, lies between either end of a transformer's coils and earth, so
/// that no delta floats. OpenDSS has the same: half of its `ppm_antifloat`.
const ANTIFLOAT: f64 = 0.5e-6;

/// The transformer with its tap at `position`.
pub(super) fn primitive(
    nodes: &Nodes,
    branch: &Branch,
    transformer: &Transformer,
    position: i32,
) -> Result<Primitive, NetworkError> {
    let rating = Rating::of(&branch.name, transformer, position)?;
    let pairs = coil_pairs(&branch.name, transformer.windings)?;
    let sides = [
        (branch.sending_bus, transformer.sending_star, pairs.iter().map(|pair| pair.sending).collect()),
        (branch.receiving_bus, transformer.receiving_star, pairs.iter().map(|pair| pair.receiving).collect()),
    ];
    let [sending, receiving]: [Side; 2] =
        sides.map(|(bus, star, coils): (_, _, Vec<Coil>)| Side::of(nodes, bus, star, &coils));
    let mut matrix = Matrix::new(sending.conductors.len() + receiving.conductors.len());
    let sending_star = matrix.add_star(&branch.name, &sending, 0)?;
    let receiving_star = matrix.add_star(&branch.name, &receiving, sending.conductors.len())?;
    for pair in pairs {
        let mut from = sending.ends(0, pair.sending, sending_star);
        if pair.turned {
            from.swap(0, 1);
        }
        let to = receiving.ends(sending.conductors.len(), pair.receiving, receiving_star);
        matrix.add_coils(&rating, from, to);
    }
    let terminals = sending.conductors.len() + receiving.conductors.len();
    let (admittance, shunt) = matrix.over(terminals).ok_or_else(|| NetworkError::Singular {
        what: format!("the admittance over the star points of {}", branch.name),
    })?;
    let mut primitive = Primitive::new(nodes, branch, &sending.conductors, &receiving.conductors)?;
    primitive.admittance = admittance;
    primitive.shunt = shunt;
    Ok(primitive)
}

/// One side: its terminals, and where its star point is.
struct Side {
    conductors: Vec<Conductor>,
    star: StarPoint,
    has_star: bool,
}

impl Side {
    fn of(nodes: &Nodes, bus: usize, star: StarPoint, coils: &[Coil]) -> Self {
        let mut conductors: Vec<Conductor> =
            coils.iter().flat_map(|coil| [Some(coil.from), coil.to]).flatten().collect();
        let has_star = coils.iter().any(|coil| coil.to.is_none());
        if has_star && star == StarPoint::Neutral && nodes.find(bus, Conductor::Neutral).is_some() {
            conductors.push(Conductor::Neutral);
        }
        conductors.sort_unstable();
        conductors.dedup();
        Self { conductors, star, has_star }
    }

    /// Where the ends of a coil are in the matrix, in which the terminals of this side begin at `first`; `None` for
    /// earth.
    fn ends(&self, first: usize, coil: Coil, star: Option<usize>) -> [Option<usize>; 2] {
        let place = |conductor| self.conductors.iter().position(|one| *one == conductor).map(|at| first + at);
        [place(coil.from), coil.to.map_or(star, place)]
    }
}

/// Admittances over terminals, and over star points behind them.
struct Matrix {
    rows: Vec<Vec<Complex64>>,
    /// That part which is shunts.
    shunt: Vec<Vec<Complex64>>,
}

impl Matrix {
    fn new(size: usize) -> Self {
        let rows = vec![vec![Complex64::ZERO; size]; size];
        Self { shunt: rows.clone(), rows }
    }

    /// Where the star point of a side is whose terminals begin at `first`; `None` for earth.
    fn add_star(&mut self, name: &str, side: &Side, first: usize) -> Result<Option<usize>, NetworkError> {
        let impedance_ohm = match side.star {
            _ if !side.has_star => return Ok(None),
            StarPoint::Neutral => {
                let neutral = side.conductors.iter().position(|one| *one == Conductor::Neutral);
                return Ok(neutral.map(|at| first + at));
            }
            StarPoint::Earthed(Complex64::ZERO) => return Ok(None),
            StarPoint::Earthed(impedance_ohm) => Some(impedance_ohm),
            StarPoint::Isolated => None,
        };
        let star = self.rows.len();
        for rows in [&mut self.rows, &mut self.shunt] {
            rows.iter_mut().for_each(|row| row.push(Complex64::ZERO));
            rows.push(vec![Complex64::ZERO; star + 1]);
        }
        if let Some(impedance_ohm) = impedance_ohm {
            if !impedance_ohm.is_finite() || impedance_ohm.re < 0.0 {
                return Err(NetworkError::Value {
                    what: format!("earthing impedance of {name}"),
                    expected: "finite numbers, and no resistance below 0",
                    found: impedance_ohm.to_string(),
                });
            }
            self.add(star, star, impedance_ohm.inv(), true);
        }
        Ok(Some(star))
    }

    fn add_coils(&mut self, rating: &Rating, from: [Option<usize>; 2], to: [Option<usize>; 2]) {
        let ends = |coil: [Option<usize>; 2], weight: f64| [(coil[0], weight), (coil[1], -weight)];
        let sending = ends(from, 1.0 / rating.sending_v);
        let receiving = ends(to, 1.0 / rating.receiving_v);
        let both = [sending, ends(to, -1.0 / rating.receiving_v)].concat();
        self.add_product(&both, rating.series_va, false);
        self.add_product(&sending, rating.no_load_va * rating.sending_share, true);
        self.add_product(&receiving, rating.no_load_va * (1.0 - rating.sending_share), true);
        for (ends, volts) in [(from, rating.sending_nominal_v), (to, rating.receiving_nominal_v)] {
            let admittance = Complex64::new(0.0, -ANTIFLOAT * rating.coil_va / (volts * volts));
            for end in ends.into_iter().flatten() {
                self.add(end, end, admittance, true);
            }
        }
    }

    /// Adds an admittance between weighted sums of terminals.
    fn add_product(&mut self, weights: &[(Option<usize>, f64)], admittance: Complex64, shunt: bool) {
        if admittance == Complex64::ZERO {
            return;
        }
        for (row, row_weight) in weights.iter().filter_map(|(at, weight)| Some(((*at)?, weight))) {
            for (column, weight) in weights.iter().filter_map(|(at, weight)| Some(((*at)?, weight))) {
                self.add(row, column, admittance * row_weight * weight, shunt);
            }
        }
    }

    fn add(&mut self, row: usize, column: usize, value: Complex64, shunt: bool) {
        self.rows[row][column] += value;
        if shunt {
            self.shunt[row][column] += value;
        }
    }

    /// Both matrices by rows over the first `terminals` alone, with no current into what is behind them; `None` where that
    /// has no solution.
    ///
    /// What is behind is eliminated one by one, the largest admittance first: what holds a star that leads nowhere is a
    /// millionth of what joins it with the other, and must not drown in the rounding of that. The shunts keep their
    /// power: where `V = T V_terminals`, theirs are `T^H Y_shunt T`.
    fn over(&self, terminals: usize) -> Option<(Vec<Complex64>, Vec<Complex64>)> {
        let size = self.rows.len();
        let mut rows = self.rows.clone();
        let mut behind: Vec<usize> = (terminals..size).collect();
        let mut eliminated: Vec<(usize, Vec<Complex64>)> = Vec::new();
        while let Some(at) =
            (0..behind.len()).max_by(|a, b| own(&rows, behind[*a]).total_cmp(&own(&rows, behind[*b])))
        {
            let pivot = behind.remove(at);
            let scale = rows[pivot][pivot].inv();
            if !scale.is_finite() {
                return None;
            }
            let follows: Vec<Complex64> = rows[pivot].iter().map(|entry| -entry * scale).collect();
            for row in (0..size).filter(|row| *row != pivot) {
                let factor = rows[row][pivot];
                for column in (0..size).filter(|column| *column != pivot) {
                    rows[row][column] += factor * follows[column];
                }
                rows[row][pivot] = Complex64::ZERO;
            }
            eliminated.push((pivot, follows));
        }
        let unit = |at: usize| {
            (0..terminals).map(|one| Complex64::from(f64::from(u8::from(one == at)))).collect::<Vec<_>>()
        };
        let mut voltages: Vec<Vec<Complex64>> = (0..size).map(unit).collect();
        for (pivot, follows) in eliminated.iter().rev() {
            // Of those eliminated before it there is nothing left in its row.
            let voltage = |column: usize| -> Complex64 {
                follows.iter().zip(&voltages).map(|(part, of)| part * of[column]).sum()
            };
            let own = (0..terminals).map(voltage).collect();
            voltages[*pivot] = own;
        }
        let mut admittance = Vec::with_capacity(terminals * terminals);
        let mut shunt = Vec::with_capacity(terminals * terminals);
        for row in 0..terminals {
            for column in 0..terminals {
                admittance.push(rows[row][column]);
                let current = |at: usize| -> Complex64 {
                    self.shunt[at].iter().zip(&voltages).map(|(entry, of)| entry * of[column]).sum()
                };
                shunt.push((0..size).map(|at| voltages[at][row].conj() * current(at)).sum());
            }
        }
        Some((admittance, shunt))
    }
}

/// How much there is of an admittance to itself.
fn own(rows: &[Vec<Complex64>], at: usize) -> f64 {
    rows[at][at].norm()
}
