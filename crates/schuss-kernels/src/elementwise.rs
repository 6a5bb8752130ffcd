//! Loops over elements and rows: plain closures, compiled for the instruction set in use and shared out to threads.
//!
//! A closure sees one element or one row at a time (or several rows, which it treats one by one), so that the partition
//! never shows in a result.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ndarray::{ArrayView2, ArrayViewMut2, Axis};

use crate::meter::{Work, timed};
use crate::{Isa, Real, Threads};

/// Fewer elements than this are not worth waking a thread.
const SMALLEST_PART: usize = 1 << 13;
/// These loops wait for the memory: more threads than this do not make them faster.
const MOST_PARTS: usize = 32;

/// `x = f(x)` for every element.
pub fn map<T: Real>(threads: &Threads, values: &mut [T], f: impl Fn(T) -> T + Sync) {
    spread(
        threads,
        1,
        values,
        #[inline(always)]
        |values: &mut [T]| values.iter_mut().for_each(|x| *x = f(*x)),
    );
}

/// `x = f(x, y)` for every pair of elements.
///
/// # Panics
/// The lengths differ.
pub fn zip<T: Real>(threads: &Threads, values: &mut [T], other: &[T], f: impl Fn(T, T) -> T + Sync) {
    spread(
        threads,
        1,
        (values, other),
        #[inline(always)]
        |(values, other): (&mut [T], &[T])| {
            values.iter_mut().zip(other).for_each(|(x, &y)| *x = f(*x, y));
        },
    );
}

/// Calls `f` with a parameter and its gradient, for every one.
///
/// # Panics
/// The lengths differ.
pub fn update<T: Real>(threads: &Threads, parameters: &mut [T], gradient: &[T], f: impl Fn(&mut T, T) + Sync) {
    spread(
        threads,
        1,
        (parameters, gradient),
        #[inline(always)]
        |(parameters, gradient): (&mut [T], &[T])| {
            parameters.iter_mut().zip(gradient).for_each(|(p, &g)| f(p, g));
        },
    );
}

/// `(p, states) = rule(run)(p, g, states)` for every parameter p, its gradient g and what is remembered of it, in one
/// pass. `runs` says where each run of parameters ends, and its constants. Whether all parameters, and all that is remembered,
/// are finite afterwards.
///
/// # Panics
/// The lengths differ, or the last run does not end with the parameters.
pub fn update_runs<T: Real, R: Sync, F: Fn(T, T, [T; N]) -> (T, [T; N]), const N: usize>(
    threads: &Threads,
    runs: &[(usize, R)],
    parameters: &mut [T],
    gradient: &[T],
    states: [&mut [T]; N],
    rule: impl Fn(&R) -> F + Sync,
) -> bool {
    type Operands<'a, T, const N: usize> = ((Indices, &'a mut [T]), (&'a [T], Slices<'a, T, N>));
    let length = parameters.len();
    assert_eq!(runs.last().map_or(0, |(end, _)| *end), length, "end of the last run");
    assert!(states.iter().all(|state| state.len() == length), "lengths of the operands");
    let all_finite = AtomicBool::new(true);
    spread(
        threads,
        1,
        ((Indices(0..length), parameters), (gradient, Slices { length, slices: states })),
        #[inline(always)]
        |((Indices(indices), parameters), (gradient, Slices { slices: mut states, .. })): Operands<T, N>| {
            let first_run = runs.partition_point(|(end, _)| *end <= indices.start);
            let mut done = 0;
            for (end, run) in &runs[first_run..] {
                let next = indices.end.min(*end) - indices.start;
                let part = done..next;
                let states = states.each_mut().map(|state| &mut state[part.clone()]);
                if !update_run(&mut parameters[part.clone()], &gradient[part], states, rule(run)) {
                    all_finite.store(false, Ordering::Relaxed);
                }
                done = next;
                if done == indices.len() {
                    break;
                }
            }
        },
    );
    all_finite.into_inner()
}

/// One run of [`update_runs`].
#[inline(always)]
fn update_run<T: Real, const N: usize>(
    parameters: &mut [T],
    gradient: &[T],
    mut states: [&mut [T]; N],
    f: impl Fn(T, T, [T; N]) -> (T, [T; N]),
) -> bool {
    let length = parameters.len();
    let gradient = &gradient[..length];
    states = states.map(|state| &mut state[..length]);
    let mut all_finite = true;
    for i in 0..length {
        let (parameter, state) = f(parameters[i], gradient[i], std::array::from_fn(|k| states[k][i]));
        parameters[i] = parameter;
        all_finite &= parameter.is_finite();
        for (states, state) in states.iter_mut().zip(state) {
            states[i] = state;
            all_finite &= state.is_finite();
        }
    }
    all_finite
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

/// Calls `f` with every row, and several rows at once, one after the other.
///
/// # Panics
/// The matrix is not contiguous.
pub fn map_rows<T: Real>(threads: &Threads, matrix: ArrayViewMut2<T>, f: impl Fn(&mut [T]) + Sync) {
    /// As many as stay in the L1 cache.
    const BLOCK: usize = 2048;
    let columns = matrix.ncols();
    spread(
        threads,
        columns,
        matrix,
        #[inline(always)]
        |matrix: ArrayViewMut2<T>| {
            let rows = (BLOCK / columns.max(1)).max(1);
            let elements = matrix.into_slice().expect(CONTIGUOUS);
            elements.chunks_mut((rows * columns).max(1)).for_each(&f);
        },
    );
}

/// Calls `f` with every row and the same row of `other`.
///
/// # Panics
/// The numbers of rows differ, or rows are not contiguous.
pub fn zip_rows<T: Real>(
    threads: &Threads,
    matrix: ArrayViewMut2<T>,
    other: ArrayView2<T>,
    f: impl Fn(&mut [T], &[T]) + Sync,
) {
    let columns = matrix.ncols();
    spread(
        threads,
        columns,
        (matrix, other),
        #[inline(always)]
        |(mut matrix, other): (ArrayViewMut2<T>, ArrayView2<T>)| {
            matrix.rows_mut().into_iter().zip(other.rows()).for_each(|(row, other)| {
                f(row.into_slice().expect(CONTIGUOUS), other.to_slice().expect(CONTIGUOUS));
            });
        },
    );
}

/// Calls `f` with the number of every row, its row of both `outputs`, and its row of `input`.
///
/// # Panics
/// The numbers of rows differ, or rows are not contiguous.
pub fn each_row<T: Real>(
    threads: &Threads,
    outputs: [ArrayViewMut2<T>; 2],
    input: ArrayView2<T>,
    f: impl Fn(usize, [&mut [T]; 2], &[T]) + Sync,
) {
    type Rows<'a, T> = ((ArrayViewMut2<'a, T>, ArrayViewMut2<'a, T>), (ArrayView2<'a, T>, Indices));
    let [first, second] = outputs;
    let [rows, columns] = [input.nrows(), input.ncols()];
    spread(
        threads,
        columns,
        ((first, second), (input, Indices(0..rows))),
        #[inline(always)]
        |((mut first, mut second), (input, Indices(numbers))): Rows<T>| {
            let outputs = first.rows_mut().into_iter().zip(second.rows_mut());
            for ((number, input), (first, second)) in numbers.zip(input.rows()).zip(outputs) {
                let outputs = [first, second].map(|row| row.into_slice().expect(CONTIGUOUS));
                f(number, outputs, input.to_slice().expect(CONTIGUOUS));
            }
        },
    );
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

/// Calls `f` with every one of `indices` and the row of `matrix` in its place, and `announce` with those to come.
///
/// # Panics
/// The number of rows differs, or rows are not contiguous.
pub fn gather_rows<T: Real>(
    threads: &Threads,
    indices: &[u32],
    matrix: ArrayViewMut2<T>,
    announce: impl Fn(u32) + Sync,
    f: impl Fn(u32, &mut [T]) + Sync,
) {
    /// Rows on the way from memory while one is worked on.
    const AHEAD: usize = 4;
    let columns = matrix.ncols();
    spread(
        threads,
        columns,
        (matrix, indices),
        #[inline(always)]
        |(mut matrix, indices): (ArrayViewMut2<T>, &[u32])| {
            indices.iter().take(AHEAD).for_each(|&index| announce(index));
            for (i, row) in matrix.rows_mut().into_iter().enumerate() {
                indices.get(i + AHEAD).into_iter().for_each(|&index| announce(index));
                f(indices[i], row.into_slice().expect(CONTIGUOUS));
            }
        },
    );
}

/// Asks for `values` to be brought from memory: they will be read soon.
#[inline]
pub fn prefetch<X>(values: &[X]) {
    const LINE: usize = 64;
    for offset in (0..size_of_val(values)).step_by(LINE) {
        prefetch_line(values.as_ptr().cast::<u8>().wrapping_add(offset));
    }
}

/// Asks for the cache line of what will be read soon; any address will do.
#[inline(always)]
pub(crate) fn prefetch_line<X>(address: *const X) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, which reads nothing.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

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

fn lock<X>(cell: &Mutex<X>) -> MutexGuard<'_, X> {
    cell.lock().unwrap_or_else(PoisonError::into_inner)
}

const CONTIGUOUS: &str = "rows are contiguous";

/// Something that can be cut in two at an index.
trait Pieces: Sized + Send {
    fn len(&self) -> usize;
    fn split_at(self, middle: usize) -> (Self, Self);
}

impl<T: Sync> Pieces for &[T] {
    fn len(&self) -> usize {
        (**self).len()
    }
    fn split_at(self, middle: usize) -> (Self, Self) {
        self.split_at(middle)
    }
}

impl<T: Send> Pieces for &mut [T] {
    fn len(&self) -> usize {
        (**self).len()
    }
    fn split_at(self, middle: usize) -> (Self, Self) {
        self.split_at_mut(middle)
    }
}

impl<T: Real> Pieces for ArrayView2<'_, T> {
    fn len(&self) -> usize {
        self.nrows()
    }
    fn split_at(self, middle: usize) -> (Self, Self) {
        self.split_at(Axis(0), middle)
    }
}

impl<T: Real> Pieces for ArrayViewMut2<'_, T> {
    fn len(&self) -> usize {
        self.nrows()
    }
    fn split_at(self, middle: usize) -> (Self, Self) {
        self.split_at(Axis(0), middle)
    }
}

/// A matrix that is cut between columns.
struct Columns<'a, T>(ArrayView2<'a, T>);

impl<T: Real> Pieces for Columns<'_, T> {
    fn len(&self) -> usize {
        self.0.ncols()
    }
    fn split_at(self, middle: usize) -> (Self, Self) {
        let (left, right) = self.0.split_at(Axis(1), middle);
        (Columns(left), Columns(right))
    }
}

/// Where a piece lies in the whole.
struct Indices(Range<usize>);

impl Pieces for Indices {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn split_at(self, middle: usize) -> (Self, Self) {
        let middle = self.0.start + middle;
        (Self(self.0.start..middle), Self(middle..self.0.end))
    }
}

/// Several slices of one length; there may be none.
struct Slices<'a, T, const N: usize> {
    length: usize,
    slices: [&'a mut [T]; N],
}

impl<T: Send, const N: usize> Pieces for Slices<'_, T, N> {
    fn len(&self) -> usize {
        self.length
    }
    fn split_at(self, middle: usize) -> (Self, Self) {
        let mut ends = std::array::from_fn(|_| Default::default());
        let mut places = ends.iter_mut();
        let begins = self.slices.map(|slice| {
            let (begin, end) = slice.split_at_mut(middle);
            if let Some(place) = places.next() {
                *place = end;
            }
            begin
        });
        (Self { length: middle, slices: begins }, Self { length: self.length - middle, slices: ends })
    }
}

impl<A: Pieces, B: Pieces> Pieces for (A, B) {
    fn len(&self) -> usize {
        assert_eq!(self.0.len(), self.1.len(), "lengths of the operands");
        self.0.len()
    }
    fn split_at(self, middle: usize) -> (Self, Self) {
        let (left, right) = self.0.split_at(middle);
        let (other_left, other_right) = self.1.split_at(middle);
        ((left, other_left), (right, other_right))
    }
}

/// Calls `f` with `pieces`, cut for as many threads as `size_of_one * length` elements are worth.
fn spread<P: Pieces>(threads: &Threads, size_of_one: usize, pieces: P, f: impl Fn(P) + Sync) {
    timed(Work::Elementwise, || spread_untimed(threads, size_of_one, pieces, f));
}

fn spread_untimed<P: Pieces>(threads: &Threads, size_of_one: usize, pieces: P, f: impl Fn(P) + Sync) {
    let parts = threads.parts(pieces.len() * size_of_one, SMALLEST_PART).min(MOST_PARTS);
    if parts == 1 {
        return run(pieces, &f);
    }
    let cells: [Mutex<Option<P>>; MOST_PARTS] = [const { Mutex::new(None) }; MOST_PARTS];
    let mut rest = pieces;
    for (part, cell) in cells[..parts].iter().enumerate() {
        let length = rest.len() / (parts - part);
        let (piece, others) = rest.split_at(length);
        *lock(cell) = Some(piece);
        rest = others;
    }
    threads.for_each(parts, |part| {
        let piece = lock(&cells[part]).take();
        piece.into_iter().for_each(|piece| run(piece, &f));
    });
}

/// The instruction set in use, around the whole loop.
fn run<P: Pieces>(pieces: P, f: &impl Fn(P)) {
    Isa::current().run(
        #[inline(always)]
        || f(pieces),
    );
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    /// Any number of threads gives what a plain loop gives; large enough that threads are used.
    #[test]
    fn every_loop_reaches_every_element_once_on_any_number_of_threads() {
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
            map(&threads, out.as_slice_mut().unwrap(), |x| 2.0 * x);
            assert_eq!(out, x.mapv(|x| 2.0 * x));
            zip(&threads, out.as_slice_mut().unwrap(), y.as_slice().unwrap(), |x, y| x - y);
            assert_eq!(out, x.mapv(|x| 2.0 * x) - &y);
            zip_rows(&threads, out.view_mut(), y.view(), |row, other| row.copy_from_slice(other));
            assert_eq!(out, y);
            map_rows(&threads, out.view_mut(), |rows| rows.chunks_mut(columns).for_each(<[f64]>::reverse));
            let last = rows - 1;
            assert_eq!(out[(last, 0)], y[(last, columns - 1)]);
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
            let mut numbers = x.clone();
            each_row(&threads, [out.view_mut(), numbers.view_mut()], y.view(), |number, [first, second], y| {
                first.copy_from_slice(y);
                second.fill(number as f64);
            });
            assert_eq!(out, y);
            assert!(numbers.rows().into_iter().enumerate().all(|(i, row)| row.iter().all(|&x| x == i as f64)));
            let flat = [&x, &y].map(|matrix| matrix.as_slice().unwrap());
            let product = |threads| sum_of_pairs(threads, flat[0], flat[1], |x, y| x * y);
            let expected = (&x * &y).sum();
            assert!((product(&threads) - expected).abs() <= 1e-12 * x.len() as f64, "{expected}");
            assert_eq!(product(&threads), product(&Threads::ONE), "bits of a product at {count} threads");
            check_runs(&threads, flat);
            let double = |rows: Range<usize>, piece: &mut [f64]| {
                assert_eq!(piece.len(), rows.len() * columns);
                piece.iter_mut().for_each(|x| *x *= 2.0);
                rows.map(|row| row as f64).sum()
            };
            out.assign(&x);
            let sum = map_rows_sum(&threads, [rows, columns], Some(out.view_mut()), double);
            assert_eq!((sum, &out), ((rows * (rows - 1) / 2) as f64, &x.mapv(|x| 2.0 * x)));
            let indices: Vec<u32> = (0..rows as u32).rev().collect();
            let row_of =
                |index: u32, row: &mut [f64]| row.iter_mut().zip(x.row(index as usize)).for_each(|(out, x)| *out = *x);
            gather_rows(&threads, &indices, out.view_mut(), |_| {}, row_of);
            assert!((0..rows).all(|row| out.row(row) == x.row(rows - 1 - row)));
        }
    }

    /// Every run has its own constant, on any number of threads; what is not finite is noticed wherever it is.
    fn check_runs(threads: &Threads, [x, gradient]: [&[f64]; 2]) {
        let n = x.len();
        let runs = [(0, 9.0), (n / 3, 1.0), (n / 3 + 1, 2.0), (n / 3 + 1, 9.0), (n, 3.0)];
        let factor = |i: usize| runs.iter().find(|(end, _)| i < *end).unwrap().1;
        let [mut parameters, mut state, mut other] = [x, gradient, x].map(<[f64]>::to_vec);
        let rule = |&factor: &f64| move |p, g, [a, b]: [f64; 2]| (p - factor * g, [a + p, b - g]);
        assert!(update_runs(threads, &runs, &mut parameters, gradient, [&mut state, &mut other], rule));
        for i in 0..n {
            assert_eq!(parameters[i], x[i] - factor(i) * gradient[i]);
            assert_eq!([state[i], other[i]], [gradient[i] + x[i], x[i] - gradient[i]]);
        }
        for (place, value) in [(0, f64::NAN), (n / 2, f64::INFINITY), (n - 1, f64::NEG_INFINITY)] {
            let mut gradient = gradient.to_vec();
            gradient[place] = value;
            assert!(!update_runs(threads, &runs, &mut parameters.clone(), &gradient, [], |_| |p, g, []| (p - g, [])));
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

    #[test]
    #[should_panic(expected = "lengths of the operands")]
    fn lengths_must_agree() {
        zip(&Threads::ONE, &mut [1.0f32], &[1.0, 2.0], |x, _| x);
    }
}
