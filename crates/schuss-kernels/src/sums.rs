//! Sums over rows and over elements, whose order depends on nothing but how many there are.

use std::ops::Range;
use std::sync::Mutex;

use ndarray::{ArrayView2, ArrayViewMut2, Axis, ShapeBuilder};

use crate::elementwise::{
    CONTIGUOUS, Columns, MOST_PARTS, Pieces, SMALLEST_PART, Several, lock, rows, rows_mut, spread,
};
use crate::meter::{Work, timed};
use crate::{Isa, Real, Threads};

/// `sums[j] = Σ_i matrix[i][j]`. Every column is summed in the order of its rows; where there are no more than
/// 64 columns, rows are cut into at most 32 pieces, as their number says, whose sums are added in their order.
///
/// # Panics
/// The length of `sums` is not the number of columns, or rows are not contiguous.
pub fn sum_rows<T: Real>(threads: &Threads, matrix: ArrayView2<T>, sums: &mut [T]) {
    sum_rows_of(threads, [matrix], [], [sums], |[x]| ([], [x]));
}

/// `(outputs[i][j], terms[i][j]) = f(inputs[i][j])` and `sums[j] = Σ_i terms[i][j]`, in the order of [`sum_rows`].
///
/// # Panics
/// The shapes do not fit together, or rows are not contiguous.
pub fn sum_rows_of<T: Real, const M: usize, const N: usize, const K: usize>(
    threads: &Threads,
    inputs: [ArrayView2<T>; M],
    outputs: [ArrayViewMut2<T>; N],
    mut sums: [&mut [T]; K],
    f: impl Fn([T; M]) -> ([T; N], [T; K]) + Copy + Sync,
) {
    const NARROW: usize = 64;
    type OfColumns<'a, T, const M: usize, const N: usize, const K: usize> =
        (Several<&'a mut [T], K>, (Several<Columns<ArrayView2<'a, T>>, M>, Several<Columns<ArrayViewMut2<'a, T>>, N>));
    #[inline(always)]
    fn add<T: Real, const M: usize, const N: usize, const K: usize>(
        count: usize,
        inputs: [ArrayView2<T>; M],
        mut outputs: [ArrayViewMut2<T>; N],
        mut sums: [&mut [T]; K],
        f: impl Fn([T; M]) -> ([T; N], [T; K]) + Copy,
    ) {
        let columns = sums[0].len();
        let mut sums = sums.each_mut().map(|sums| &mut sums[..columns]);
        sums.iter_mut().for_each(|sums| sums.fill(T::ZERO));
        for row in 0..count {
            let inputs = rows(&inputs, row).map(|input| &input[..columns]);
            let mut outputs = rows_mut(&mut outputs, row).map(|output| &mut output[..columns]);
            for j in 0..columns {
                let (output, terms) = f(std::array::from_fn(|k| inputs[k][j]));
                (0..N).for_each(|k| outputs[k][j] = output[k]);
                (0..K).for_each(|k| sums[k][j] += terms[k]);
            }
        }
    }
    let [rows, columns] = [inputs[0].nrows(), inputs[0].ncols()];
    assert!(sums.iter().all(|sums| sums.len() == columns), "length of the sums");
    let shapes = inputs.iter().map(|input| input.dim()).chain(outputs.iter().map(|output| output.dim()));
    shapes.for_each(|shape| assert_eq!(shape, (rows, columns), "shapes of the matrices"));
    if columns > NARROW {
        let several = Several { length: columns, pieces: sums };
        let inputs = Several { length: columns, pieces: inputs.map(Columns) };
        let outputs = Several { length: columns, pieces: outputs.map(Columns) };
        return spread(
            threads,
            rows,
            (several, (inputs, outputs)),
            #[inline(always)]
            |(sums, (inputs, outputs)): OfColumns<T, M, N, K>| {
                let inputs = inputs.pieces.map(|Columns(input)| input);
                let outputs = outputs.pieces.map(|Columns(output)| output);
                add(rows, inputs, outputs, sums.pieces, f);
            },
        );
    }
    let pieces = RowPieces::of(rows);
    // A small batch is one piece, which needs no sums of its own.
    if pieces.count <= 1 {
        return timed(Work::Elementwise, || {
            Isa::current().run(
                #[inline(always)]
                || add(rows, inputs, outputs, sums, f),
            );
        });
    }
    let mut rest = Some(Several { length: rows, pieces: outputs });
    let cells: [_; MOST_PARTS] = std::array::from_fn(|piece| {
        let (outputs, others) = rest.take().map(|rest| rest.split_at(pieces.rows(piece).len())).unzip();
        rest = others;
        Mutex::new((outputs, [[T::ZERO; NARROW]; K]))
    });
    timed(Work::Elementwise, || {
        pieces.for_each(threads, columns, |piece, rows| {
            let (outputs, sums) = &mut *lock(&cells[piece]);
            let Some(outputs) = outputs.take() else { return };
            let inputs = inputs.map(|input| input.slice_axis_move(Axis(0), rows.clone().into()));
            Isa::current().run(
                #[inline(always)]
                || add(rows.len(), inputs, outputs.pieces, sums.each_mut().map(|sums| &mut sums[..columns]), f),
            );
        });
        sums.iter_mut().for_each(|sums| sums.fill(T::ZERO));
        for cell in &cells[..pieces.count] {
            let of_piece = &lock(cell).1;
            for (sums, of_piece) in sums.iter_mut().zip(of_piece) {
                sums.iter_mut().zip(of_piece).for_each(|(sum, &x)| *sum += x);
            }
        }
    });
}

/// A matrix of so many rows that are all the same.
pub fn same_rows<T: Real>(row: &[T], rows: usize) -> ArrayView2<'_, T> {
    ArrayView2::from_shape((rows, row.len()).strides((0, 1)), row).expect("a view may repeat what it reads")
}

/// Rows cut into pieces whose number depends on nothing but theirs.
#[derive(Clone, Copy)]
struct RowPieces {
    rows: usize,
    /// Rows of a piece.
    length: usize,
    count: usize,
}

impl RowPieces {
    fn of(rows: usize) -> Self {
        const SHORTEST: usize = 64;
        let length = rows.div_ceil(MOST_PARTS).max(SHORTEST);
        Self { rows, length, count: rows.div_ceil(length) }
    }

    fn rows(self, piece: usize) -> Range<usize> {
        let [first, end] = [piece, piece + 1].map(|piece| (piece * self.length).min(self.rows));
        first..end
    }

    /// Calls `f` with each piece and its rows, in parallel where that is worth it.
    fn for_each(self, threads: &Threads, columns: usize, f: impl Fn(usize, Range<usize>) + Sync) {
        let do_piece = |piece: usize| f(piece, self.rows(piece));
        if threads.parts(self.rows * columns, SMALLEST_PART) > 1 {
            threads.for_each(self.count, do_piece);
        } else {
            (0..self.count).for_each(do_piece);
        }
    }
}

/// `Σ f(rows, those rows of matrix)` over pieces of `rows` rows of `columns` elements, which are empty where there is no
/// matrix. There are at most 32 pieces, as the number of rows says; their sums are added in their order.
///
/// # Panics
/// The matrix has another shape, or is not contiguous.
pub fn map_rows_sum<T: Real>(
    threads: &Threads,
    [rows, columns]: [usize; 2],
    matrix: Option<ArrayViewMut2<T>>,
    f: impl Fn(Range<usize>, &mut [T]) -> f64 + Sync,
) -> f64 {
    let pieces = RowPieces::of(rows);
    let cells: [Mutex<(&mut [T], f64)>; MOST_PARTS] = std::array::from_fn(|_| Mutex::new((Default::default(), 0.0)));
    if let Some(matrix) = matrix {
        assert_eq!(matrix.dim(), (rows, columns), "shape of the matrix");
        let elements = matrix.into_slice().expect(CONTIGUOUS);
        for (cell, piece) in cells.iter().zip(elements.chunks_mut((pieces.length * columns).max(1))) {
            lock(cell).0 = piece;
        }
    }
    timed(Work::Elementwise, || {
        // Loss functions take some operations for an element.
        pieces.for_each(threads, 4 * columns, |piece, rows| {
            let (matrix, sum) = &mut *lock(&cells[piece]);
            *sum = Isa::current().run(
                #[inline(always)]
                || f(rows, matrix),
            );
        });
    });
    cells[..pieces.count].iter().map(|cell| lock(cell).1).sum()
}

/// `Σ f(a, b)` over pairs of elements, in `f64`: the dot product, or the norm of one vector given twice. As for
/// [`map_rows_sum`], the order of the additions depends on the length alone.
///
/// # Panics
/// The lengths differ.
pub fn sum_of_pairs<T: Real>(threads: &Threads, a: &[T], b: &[T], f: impl Fn(f64, f64) -> f64 + Sync) -> f64 {
    /// Sums that grow side by side, as vectors can add them.
    const LANES: usize = 16;
    assert_eq!(a.len(), b.len(), "lengths of the operands");
    map_rows_sum::<T>(
        threads,
        [a.len(), 1],
        None,
        #[inline(always)]
        |range, _| {
            let (a, a_rest) = a[range.clone()].as_chunks::<LANES>();
            let (b, b_rest) = b[range].as_chunks::<LANES>();
            let mut sums = [0.0; LANES];
            for (a, b) in a.iter().zip(b) {
                for lane in 0..LANES {
                    sums[lane] += f(a[lane].to_f64(), b[lane].to_f64());
                }
            }
            let rest = a_rest.iter().zip(b_rest).map(|(a, b)| f(a.to_f64(), b.to_f64()));
            sums.into_iter().chain(rest).sum()
        },
    )
}

/// `Σ f(x_j, y_j)` over a row, in 32 sums side by side that are added in a fixed order.
///
/// # Panics
/// `y` is shorter than `x`.
#[inline(always)]
pub fn sum_of<T: Real>(x: &[T], y: &[T], f: impl Fn(T, T) -> T) -> T {
    const LANES: usize = 32;
    let mut sums = [T::ZERO; LANES];
    let y = &y[..x.len()];
    let (chunks, rest) = (x.as_chunks::<LANES>().0.iter().zip(y.as_chunks::<LANES>().0), x.len() / LANES * LANES);
    for (x, y) in chunks {
        sums.iter_mut().zip(x.iter().zip(y)).for_each(|(sum, (&x, &y))| *sum += f(x, y));
    }
    sums.iter_mut().zip(x[rest..].iter().zip(&y[rest..])).for_each(|(sum, (&x, &y))| *sum += f(x, y));
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for j in 0..width {
            let other = sums[j + width];
            sums[j] += other;
        }
    }
    sums[0]
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    /// Any number of threads gives the bits of one, and what a plain loop gives.
    #[test]
    fn every_sum_is_one_on_any_number_of_threads() {
        for shape in [[1000, 333], [3001, 33], [7, 5], [1, 1000]] {
            check(shape);
        }
    }

    fn check([rows, columns]: [usize; 2]) {
        let value = |i: usize| (i as f64 * 0.7).sin();
        let [x, y] =
            [0, 5].map(|shift| Array2::from_shape_fn((rows, columns), |(i, j)| value(i * columns + j + shift)));
        for count in [1, 2, 3, 7] {
            let threads = Threads::new(count).unwrap();
            let mut out = x.clone();
            let mut sums = vec![f64::NAN; columns];
            sum_rows(&threads, x.view(), &mut sums);
            for (sum, column) in sums.iter().zip(x.columns()) {
                let expected: f64 = column.iter().sum();
                assert!((sum - expected).abs() <= 1e-12 * rows as f64, "{sum} {expected}");
            }
            let mut sums_of_one = vec![f64::NAN; columns];
            sum_rows(&Threads::ONE, x.view(), &mut sums_of_one);
            assert_eq!(sums, sums_of_one, "bits of the sums at {count} threads");
            let double = |[x, y]: [f64; 2]| ([2.0 * x], [x * y]);
            sum_rows_of(&threads, [x.view(), y.view()], [out.view_mut()], [&mut sums], double);
            assert_eq!(out, x.mapv(|x| 2.0 * x));
            for (sum, (x, y)) in sums.iter().zip(x.columns().into_iter().zip(y.columns())) {
                let expected: f64 = x.iter().zip(y).map(|(x, y)| x * y).sum();
                assert!((sum - expected).abs() <= 1e-12 * rows as f64, "{sum} {expected}");
            }
            let flat = [&x, &y].map(|matrix| matrix.as_slice().unwrap());
            let product = |threads| sum_of_pairs(threads, flat[0], flat[1], |x, y| x * y);
            let expected = (&x * &y).sum();
            assert!((product(&threads) - expected).abs() <= 1e-12 * x.len() as f64, "{expected}");
            assert_eq!(product(&threads), product(&Threads::ONE), "bits of a product at {count} threads");
            let double = |rows: Range<usize>, piece: &mut [f64]| {
                assert_eq!(piece.len(), rows.len() * columns);
                piece.iter_mut().for_each(|x| *x *= 2.0);
                rows.map(|row| row as f64).sum()
            };
            out.assign(&x);
            let sum = map_rows_sum(&threads, [rows, columns], Some(out.view_mut()), double);
            assert_eq!((sum, &out), ((rows * (rows - 1) / 2) as f64, &x.mapv(|x| 2.0 * x)));
        }
    }

    #[test]
    fn sums_of_rows_of_any_length() {
        for length in [0, 1, 31, 32, 33, 1000] {
            let x: Vec<f64> = (0..length).map(|j| (j as f64 * 0.3).sin()).collect();
            let expected: f64 = x.iter().map(|x| x * x).sum();
            assert!((sum_of(&x, &x, |x, y| x * y) - expected).abs() < 1e-12 * length.max(1) as f64);
        }
    }
}
