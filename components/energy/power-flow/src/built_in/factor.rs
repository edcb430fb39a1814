//! Sparse matrices by columns, and their LU [`Factors`]: ordered and factored by faer, solved here.
//!
//! The same factors are solved for many right-hand sides, one at a time. The triangles are therefore taken out of faer
//! into flat arrays, with the diagonal of U inverted once.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::perm::PermRef;
use faer::sparse::linalg::amd;
use faer::sparse::linalg::lu::simplicial::{
    SimplicialLu, factorize_simplicial_numeric_lu, factorize_simplicial_numeric_lu_scratch,
};
use faer::sparse::{SparseColMatRef, SymbolicSparseColMatRef};
use faer::traits::ComplexField;
use std::ops::{Div, Mul, SubAssign};

/// A number that the matrices are made of: `f64` or `Complex64`.
pub(super) trait Scalar:
    ComplexField
    + Copy
    + Default
    + PartialEq
    + Mul<Output = Self>
    + Div<Output = Self>
    + SubAssign
    + std::ops::AddAssign
{
}

impl Scalar for f64 {}
impl Scalar for num_complex::Complex64 {}

/// A square sparse matrix by columns, rows ascending.
#[derive(Debug, Clone)]
pub(super) struct Columns<T> {
    pub(super) starts: Vec<usize>,
    pub(super) rows: Vec<usize>,
    pub(super) values: Vec<T>,
}

impl<T: Scalar> Columns<T> {
    /// Adds up entries of row, column and value.
    pub(super) fn new(size: usize, mut entries: Vec<(usize, usize, T)>) -> Self {
        entries.sort_by_key(|&(row, column, _)| (column, row));
        let mut columns = Self { starts: vec![0; size + 1], rows: Vec::new(), values: Vec::new() };
        let mut last = None;
        for (row, column, value) in entries {
            if last == Some((row, column)) {
                if let Some(sum) = columns.values.last_mut() {
                    *sum += value;
                }
            } else {
                columns.rows.push(row);
                columns.values.push(value);
                columns.starts[column + 1] += 1;
                last = Some((row, column));
            }
        }
        for column in 0..size {
            columns.starts[column + 1] += columns.starts[column];
        }
        columns
    }

    pub(super) fn size(&self) -> usize {
        self.starts.len() - 1
    }

    /// Calls `visit` with row, column and value of each entry.
    pub(super) fn for_each(&self, mut visit: impl FnMut(usize, usize, T)) {
        for column in 0..self.size() {
            for at in self.starts[column]..self.starts[column + 1] {
                visit(self.rows[at], column, self.values[at]);
            }
        }
    }
}

/// Why there are no factors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FactorError {
    /// The matrix has no inverse: nothing holds the unknown of this number.
    Singular(usize),
    /// Too large for the memory.
    Memory,
}

/// A fill-reducing order of the unknowns; depends on the pattern alone.
#[derive(Debug, Clone)]
pub(super) struct Order {
    forward: Vec<usize>,
    inverse: Vec<usize>,
}

impl Order {
    pub(super) fn of<T>(matrix: &Columns<T>) -> Result<Self, FactorError>
    where
        T: Scalar,
    {
        let size = matrix.size();
        let mut order = Self { forward: vec![0; size], inverse: vec![0; size] };
        let scratch = amd::order_maybe_unsorted_scratch::<usize>(size, matrix.rows.len());
        let mut memory = MemBuffer::try_new(scratch).map_err(|_| FactorError::Memory)?;
        let pattern = SymbolicSparseColMatRef::new_checked(size, size, &matrix.starts, None, &matrix.rows);
        let control = amd::Control::default();
        amd::order_maybe_unsorted(
            &mut order.forward,
            &mut order.inverse,
            pattern,
            control,
            MemStack::new(&mut memory),
        )
        .map_err(|_| FactorError::Memory)?;
        Ok(order)
    }
}

/// LU factors with row and column order.
#[derive(Debug, Clone)]
pub(super) struct Factors<T> {
    /// By unknown in the order of elimination, which row of the right-hand side it takes.
    rows: Vec<usize>,
    /// And which unknown it is.
    columns: Vec<usize>,
    lower: Columns<T>,
    upper: Columns<T>,
    inverse_diagonal: Vec<T>,
    work: Vec<T>,
}

impl<T: Scalar> Factors<T> {
    pub(super) fn new(matrix: &Columns<T>, order: &Order) -> Result<Self, FactorError> {
        let size = matrix.size();
        let mut rows = vec![0; size];
        let mut rows_inverse = vec![0; size];
        let mut factors = SimplicialLu::new();
        let scratch = factorize_simplicial_numeric_lu_scratch::<usize, T>(size, size);
        let mut memory = MemBuffer::try_new(scratch).map_err(|_| FactorError::Memory)?;
        let pattern = SymbolicSparseColMatRef::new_checked(size, size, &matrix.starts, None, &matrix.rows);
        factorize_simplicial_numeric_lu(
            &mut rows,
            &mut rows_inverse,
            &mut factors,
            SparseColMatRef::new(pattern, &matrix.values),
            PermRef::new_checked(&order.forward, &order.inverse, size),
            MemStack::new(&mut memory),
        )
        .map_err(|error| match error {
            faer::sparse::linalg::LuError::SymbolicSingular { index } => {
                FactorError::Singular(order.forward.get(index).copied().unwrap_or_default())
            }
            faer::sparse::linalg::LuError::Generic(_) => FactorError::Memory,
        })?;
        let (lower, _) = strict_triangle(factors.l_factor_unsorted());
        let (upper, diagonal) = strict_triangle(factors.u_factor_unsorted());
        let one = faer::traits::math_utils::one::<T>();
        for (at, value) in diagonal.iter().enumerate() {
            if *value == T::default() || !faer::traits::math_utils::is_finite(value) {
                return Err(FactorError::Singular(order.forward[at]));
            }
        }
        let inverse_diagonal = diagonal.into_iter().map(|value| one / value).collect();
        let columns = order.forward.clone();
        Ok(Self { rows, columns, lower, upper, inverse_diagonal, work: vec![T::default(); size] })
    }

    /// Replaces a right-hand side by its solution.
    pub(super) fn solve(&mut self, right: &mut [T]) {
        let work = &mut self.work;
        for (value, row) in work.iter_mut().zip(&self.rows) {
            *value = right[*row];
        }
        for column in 0..work.len() {
            let value = work[column];
            eliminate(&self.lower, column, value, work);
        }
        for column in (0..work.len()).rev() {
            let value = work[column] * self.inverse_diagonal[column];
            work[column] = value;
            eliminate(&self.upper, column, value, work);
        }
        for (value, column) in work.iter().zip(&self.columns) {
            right[*column] = *value;
        }
    }
}

impl Factors<f64> {
    /// Whether the determinant of the matrix is above 0.
    pub(super) fn determinant_is_positive(&self) -> bool {
        let negative = self.inverse_diagonal.iter().filter(|value| **value < 0.0).count();
        let transpositions = transpositions(&self.rows) + transpositions(&self.columns);
        (negative + transpositions).is_multiple_of(2)
    }
}

/// Of how many exchanges of two a permutation is made.
fn transpositions(permutation: &[usize]) -> usize {
    let mut seen = vec![false; permutation.len()];
    let mut cycles = 0;
    for first in 0..permutation.len() {
        let mut at = first;
        cycles += usize::from(!seen[at]);
        while !seen[at] {
            seen[at] = true;
            at = permutation[at];
        }
    }
    permutation.len() - cycles
}

#[inline]
fn eliminate<T: Scalar>(triangle: &Columns<T>, column: usize, value: T, work: &mut [T]) {
    // An exact zero is frequent: most of a feeder's nodes have no current of their own.
    if value == T::default() {
        return;
    }
    let range = triangle.starts[column]..triangle.starts[column + 1];
    for (row, factor) in triangle.rows[range.clone()].iter().zip(&triangle.values[range]) {
        work[*row] -= *factor * value;
    }
}

/// A triangle without its diagonal, and the diagonal.
fn strict_triangle<T: Scalar>(triangle: SparseColMatRef<'_, usize, T>) -> (Columns<T>, Vec<T>) {
    let size = triangle.ncols();
    let mut strict = Columns { starts: Vec::with_capacity(size + 1), rows: Vec::new(), values: Vec::new() };
    let mut diagonal = vec![T::default(); size];
    strict.starts.push(0);
    for (column, on_diagonal) in diagonal.iter_mut().enumerate() {
        let rows = triangle.row_idx_of_col_raw(column);
        let mut entries: Vec<(usize, T)> =
            rows.iter().copied().zip(triangle.val_of_col(column).iter().copied()).collect();
        entries.sort_by_key(|(row, _)| *row);
        for (row, value) in entries {
            if row == column {
                *on_diagonal = value;
            } else if value != T::default() {
                strict.rows.push(row);
                strict.values.push(value);
            }
        }
        strict.starts.push(strict.rows.len());
    }
    (strict, diagonal)
}

/// The inverse of a small matrix by rows; `None` if it has none.
pub(super) fn inverse(matrix: &[Vec<num_complex::Complex64>]) -> Option<Vec<Vec<num_complex::Complex64>>> {
    let size = matrix.len();
    let mut left: Vec<Vec<_>> = matrix.to_vec();
    let mut right = crate::line::diagonal(size, num_complex::Complex64::ONE);
    let largest = matrix.iter().flatten().map(|entry| entry.norm()).fold(0.0, f64::max);
    for column in 0..size {
        let pivot =
            (column..size).max_by(|a, b| left[*a][column].norm().total_cmp(&left[*b][column].norm()))?;
        // A determinant within rounding of zero.
        if left[pivot][column].norm() <= 1e-13 * largest {
            return None;
        }
        left.swap(column, pivot);
        right.swap(column, pivot);
        let scale = left[column][column].inv();
        for at in 0..size {
            left[column][at] *= scale;
            right[column][at] *= scale;
        }
        for row in (0..size).filter(|row| *row != column) {
            let factor = left[row][column];
            for at in 0..size {
                let (from_left, from_right) = (left[column][at], right[column][at]);
                left[row][at] -= factor * from_left;
                right[row][at] -= factor * from_right;
            }
        }
    }
    right.iter().flatten().all(|entry| entry.is_finite()).then_some(right)
}
