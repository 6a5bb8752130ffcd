//! The first layer of a table: its forward and its backward.

use std::ops::Range;

use ndarray::{ArrayView2, ArrayViewMut2};
use schuss_kernels::{Threads, map_row_ranges};
use serde::{Deserialize, Serialize};

use crate::periodic::Periodic;
use crate::{Error, Real, Result};

/// The first layer of a table, `a = [numbers, plain columns, E₁[c₁], E₂[c₂], ...]`, side by side: numbers, each as it is or
/// by a [periodic embedding](Periodic); columns that pass through; categories c, each as its row of a learnt table E (Guo
/// and Berkhahn 2016, arXiv:1604.06737).
///
/// A category's column holds codes 0, 1, ..., count - 1. Every other number stands for what is unknown or missing: a row
/// of zeros, which learns nothing.
///
/// # Shapes
/// `x` (batch, numbers + plain + categories), `a` (batch, what becomes of the numbers + plain + widths), E (count, width).
/// Its parameters are those of the periodic embedding, then the tables.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Embed {
    /// Columns of numbers.
    pub numbers: usize,
    /// What becomes of each number, if not itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub periodic: Option<Periodic>,
    /// Columns that pass through.
    #[serde(default)]
    pub plain: usize,
    /// One for each column of codes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<Category>,
}

/// A column of codes, and their table E.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Category {
    /// Codes, up to 16,777,216, which `f32` can tell apart.
    pub count: usize,
    /// Numbers of a code.
    pub width: usize,
}

/// The most codes.
const MOST_CODES: usize = 1 << 24;

impl Embed {
    /// Columns of `x`.
    pub fn inputs(&self) -> usize {
        self.numbers.saturating_add(self.plain).saturating_add(self.categories.len())
    }

    /// Columns of `a`.
    pub fn outputs(&self) -> usize {
        let widths = self.categories.iter().fold(0, |sum: usize, category| sum.saturating_add(category.width));
        self.of_numbers().saturating_add(self.plain).saturating_add(widths)
    }

    /// What becomes of the numbers.
    fn of_numbers(&self) -> usize {
        self.numbers.saturating_mul(self.periodic.map_or(1, |periodic| periodic.outputs))
    }

    /// How many numbers its parameters are, unless they are more than can be counted.
    pub(crate) fn parameter_count(&self) -> Option<usize> {
        let of_number = |Periodic { frequencies, outputs, .. }: &Periodic| {
            let both = frequencies.checked_add(1)?.checked_mul(outputs.checked_add(1)?)?;
            Some(both.saturating_sub(2))
        };
        let of_number = self.periodic.as_ref().map_or(Some(0), of_number)?;
        let of_tables = self
            .categories
            .iter()
            .try_fold(0usize, |sum, category| sum.checked_add(category.count.checked_mul(category.width)?))?;
        of_number.checked_mul(self.numbers)?.checked_add(of_tables)
    }

    /// Fails unless every size is one that a layer can have.
    pub(crate) fn check(&self) -> Result<()> {
        if let Some(Periodic { frequencies, outputs, deviation, .. }) = self.periodic {
            if frequencies == 0 {
                return Err(Error::value("frequencies of a periodic embedding", "1 or more", 0));
            }
            if !Periodic::OUTPUTS.contains(&outputs) {
                let (least, most) = Periodic::OUTPUTS.into_inner();
                return Err(Error::value("outputs of a periodic embedding", format!("{least} to {most}"), outputs));
            }
            if !(deviation.is_finite() && deviation >= 0.0) {
                let expected = "a finite number of 0 or more";
                return Err(Error::value("deviation of a periodic embedding", expected, deviation));
            }
        }
        for (i, Category { count, width }) in self.categories.iter().enumerate() {
            if !(1..=MOST_CODES).contains(count) || *width == 0 {
                let expected = format!("1 to {MOST_CODES} codes, each 1 number or more");
                return Err(Error::value(format!("category {i}"), expected, format!("{count} codes of {width}")));
            }
        }
        Ok(())
    }

    /// Parameters of the periodic embedding and those of the tables.
    fn parts<'p, T>(&self, parameters: &'p [T]) -> (&'p [T], &'p [T]) {
        parameters.split_at(self.periodic_count())
    }

    fn periodic_count(&self) -> usize {
        self.periodic.map_or(0, |periodic| self.numbers * periodic.lengths().iter().sum::<usize>())
    }

    /// What a row is as much work as.
    fn work(&self) -> usize {
        self.outputs() + self.periodic.map_or(0, |periodic| periodic.work(self.numbers))
    }

    /// Overwrites `a` with the layer's output for the batch `x`.
    pub(crate) fn forward<T: Real>(&self, threads: &Threads, parameters: &[T], x: ArrayView2<T>, a: ArrayViewMut2<T>) {
        let (of_numbers, tables) = self.parts(parameters);
        map_row_ranges(
            threads,
            self.work(),
            a,
            #[inline(always)]
            |range, rows| {
                for (a, row) in rows.chunks_mut(self.outputs()).zip(range.clone()) {
                    let x = row_of(&x, row);
                    let (x, codes) = x.split_at(self.numbers + self.plain);
                    let (a_of_numbers, a) = a.split_at_mut(self.of_numbers());
                    if self.periodic.is_none() {
                        a_of_numbers.copy_from_slice(&x[..self.numbers]);
                    }
                    let (a_plain, mut a) = a.split_at_mut(self.plain);
                    a_plain.copy_from_slice(&x[self.numbers..]);
                    let mut tables = tables;
                    for (&code, category) in codes.iter().zip(&self.categories) {
                        let out = a.split_off_mut(..category.width).unwrap_or_default();
                        let table = tables.split_off(..category.count * category.width).unwrap_or_default();
                        match category.place(code) {
                            Some(place) => out.copy_from_slice(&table[place]),
                            None => out.fill(T::ZERO),
                        }
                    }
                }
                if let Some(periodic) = &self.periodic {
                    periodic.forward(self.numbers, of_numbers, x, range, rows);
                }
            },
        );
    }

    /// Overwrites `gradient`, and `dx` if there is one, for `d` = ∂L/∂a. A code has no derivative: 0.
    pub(crate) fn backward<T: Real>(
        &self,
        threads: &Threads,
        parameters: &[T],
        x: ArrayView2<T>,
        d: ArrayView2<T>,
        gradient: &mut [T],
        dx: Option<ArrayViewMut2<T>>,
    ) {
        let (of_numbers, _) = self.parts(parameters);
        let (d_of_numbers, d_tables) = gradient.split_at_mut(self.periodic_count());
        if let Some(periodic) = &self.periodic {
            periodic.backward(threads, self.numbers, of_numbers, x, d, d_of_numbers);
        }
        d_tables.fill(T::ZERO);
        for row in 0..x.nrows() {
            let codes = &row_of(&x, row)[self.numbers + self.plain..];
            let mut d = &row_of(&d, row)[self.of_numbers() + self.plain..];
            let mut d_tables = &mut *d_tables;
            for (&code, category) in codes.iter().zip(&self.categories) {
                let d = d.split_off(..category.width).unwrap_or_default();
                let table = d_tables.split_off_mut(..category.count * category.width).unwrap_or_default();
                if let Some(place) = category.place(code) {
                    table[place].iter_mut().zip(d).for_each(|(sum, &d)| *sum += d); // dE = Σ_batch of the code da
                }
            }
        }
        let Some(dx) = dx else { return };
        map_row_ranges(
            threads,
            self.work(),
            dx,
            #[inline(always)]
            |range, rows| {
                for (dx, row) in rows.chunks_mut(self.inputs()).zip(range) {
                    let (x, d) = (row_of(&x, row), row_of(&d, row));
                    match &self.periodic {
                        Some(periodic) => periodic.backward_input(self.numbers, of_numbers, x, d, dx),
                        None => dx[..self.numbers].copy_from_slice(&d[..self.numbers]),
                    }
                    let (_, dx) = dx.split_at_mut(self.numbers);
                    let (dx_plain, dx_codes) = dx.split_at_mut(self.plain);
                    dx_plain.copy_from_slice(&d[self.of_numbers()..][..self.plain]);
                    dx_codes.fill(T::ZERO);
                }
            },
        );
    }
}

impl Category {
    /// Where the row of a code lies in the table, if there is one.
    #[inline(always)]
    fn place<T: Real>(&self, code: T) -> Option<Range<usize>> {
        let code = code.to_f64();
        let row = code as usize;
        (row < self.count && row as f64 == code).then(|| row * self.width..(row + 1) * self.width)
    }
}

fn row_of<'a, T: Real>(matrix: &'a ArrayView2<T>, row: usize) -> &'a [T] {
    matrix.row(row).to_slice().expect("rows are contiguous")
}
