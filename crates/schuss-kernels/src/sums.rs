//! Sums over rows and over elements, whose order depends on nothing but how many there are.

use std::ops::Range;
use std::sync::Mutex;

use ndarray::{ArrayView2, ArrayViewMut2, Axis};

use crate::elementwise::{CONTIGUOUS, Columns, MOST_PARTS, SMALLEST_PART, lock, spread};
use crate::meter::{Work, timed};
use crate::{Isa, Real, Threads};

/// `sums[j] = Σ_i matrix[i][j]`. Every column is summed in the order of its rows; where there are no more than
/// 64 columns, rows are cut into at most 32 pieces, as their number says, whose sums are added in their order.
///
/// # Panics
/// The length of `sums` is not the number of columns, or rows are not contiguous.
pub fn sum_rows<T: Real>(threads: &Threads, matrix: ArrayView2<T>, sums: &mut [T]) {
    sum_rows_of(threads, matrix, matrix, |x, _| x, sums);
}

/// `sums[j] = Σ_i f(x[i][j], y[i][j])`, in the order of [`sum_rows`].
///
/// # Panics
/// The shapes do not fit together, or rows are not contiguous.
pub fn sum_rows_of<T: Real>(
    threads: &Threads,
    x: ArrayView2<T>,
    y: ArrayView2<T>,
    f: impl Fn(T, T) -> T + Sync,
    sums: &mut [T],
) {
    const NARROW: usize = 64;
    #[inline(always)]
    fn add<T: Real>(sums: &mut [T], x: ArrayView2<T>, y: ArrayView2<T>, f: impl Fn(T, T) -> T) {
        sums.fill(T::ZERO);
        for (x, y) in x.rows().into_iter().zip(y.rows()) {
            let [x, y] = [x, y].map(|row| row.to_slice().expect(CONTIGUOUS));
            sums.iter_mut().zip(x.iter().zip(y)).for_each(|(sum, (&x, &y))| *sum += f(x, y));
        }
    }
    assert_eq!(sums.len(), x.ncols(), "length of the sums");
    assert_eq!(x.dim(), y.dim(), "shapes of the matrices");
    let [rows, columns] = [x.nrows(), x.ncols()];
    if columns > NARROW {
        return spread(
            threads,
            rows,
            (sums, (Columns(x), Columns(y))),
            #[inline(always)]
            |(sums, (Columns(x), Columns(y))): (&mut [T], (Columns<T>, Columns<T>))| add(sums, x, y, &f),
        );
    }
    let pieces = RowPieces::of(rows);
    if pieces.count <= 1 {
        return timed(Work::Elementwise, || {
            Isa::current().run(
                #[inline(always)]
                || add(sums, x, y, &f),
            );
        });
    }
    let of_pieces = [const { Mutex::new([T::ZERO; NARROW]) }; MOST_PARTS];
    timed(Work::Elementwise, || {
        pieces.for_each(threads, columns, |piece, rows| {
            let sums = &mut lock(&of_pieces[piece])[..columns];
            let [x, y] = [x, y].map(|matrix| matrix.slice_axis_move(Axis(0), rows.clone().into()));
            Isa::current().run(
                #[inline(always)]
                || add(sums, x, y, &f),
            );
        });
        sums.fill(T::ZERO);
        for of_piece in &of_pieces[..pieces.count] {
            sums.iter_mut().zip(&*lock(of_piece)).for_each(|(sum, &x)| *sum += x);
        }
    });
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

    /// Calls `f` with each piece and its rows, in parallel where that is worth it.
    fn for_each(self, threads: &Threads, columns: usize, f: impl Fn(usize, Range<usize>) + Sync) {
        let do_piece = |piece: usize| {
            let first = piece * self.length;
            f(piece, first..(first + self.length).min(self.rows));
        };
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
            sum_rows_of(&threads, x.view(), y.view(), |x, y| x * y, &mut sums);
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
