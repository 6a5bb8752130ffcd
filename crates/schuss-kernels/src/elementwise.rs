//! Loops over elements and rows: plain closures, compiled for the instruction set in use and shared out to threads.
//!
//! A closure sees one element or one row at a time (or several rows, which it treats one by one), so that the partition
//! never shows in a result. Loops work with a copy of it, whose constants no store can change: they stay in registers.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ndarray::{ArrayView2, ArrayViewMut2, Axis};

use crate::meter::{Work, timed};
use crate::{Isa, Real, Threads};

/// Fewer elements than this are not worth waking a thread.
pub(crate) const SMALLEST_PART: usize = 1 << 13;
/// These loops wait for the memory: more threads than this do not make them faster.
pub(crate) const MOST_PARTS: usize = 32;

/// `x = f(x)` for every element.
pub fn map<T: Real>(threads: &Threads, values: &mut [T], f: impl Fn(T) -> T + Copy + Sync) {
    spread(
        threads,
        1,
        values,
        #[inline(always)]
        |values: &mut [T]| {
            let copy = f;
            values.iter_mut().for_each(|x| *x = copy(*x));
        },
    );
}

/// `x = f(x, others)` for every element and those in its place.
///
/// # Panics
/// The lengths differ.
pub fn zip<T: Real, const N: usize>(
    threads: &Threads,
    values: &mut [T],
    others: [&[T]; N],
    f: impl Fn(T, [T; N]) -> T + Copy + Sync,
) {
    let length = values.len();
    spread(
        threads,
        1,
        (values, Several { length, pieces: others }),
        #[inline(always)]
        |(values, Several { pieces: others, .. }): (&mut [T], Several<&[T], N>)| {
            let (copy, length) = (f, values.len());
            let others = others.map(|other| &other[..length]);
            for (i, x) in values.iter_mut().enumerate() {
                *x = copy(*x, std::array::from_fn(|k| others[k][i]));
            }
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
    type Operands<'a, T, const N: usize> = ((Indices, &'a mut [T]), (&'a [T], Several<&'a mut [T], N>));
    let length = parameters.len();
    assert_eq!(runs.last().map_or(0, |(end, _)| *end), length, "end of the last run");
    let all_finite = AtomicBool::new(true);
    spread(
        threads,
        1,
        ((Indices(0..length), parameters), (gradient, Several { length, pieces: states })),
        #[inline(always)]
        |((Indices(indices), parameters), (gradient, Several { pieces: mut states, .. })): Operands<T, N>| {
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

/// Calls `f` with every row, and several rows at once, one after the other.
///
/// # Panics
/// The matrix is not contiguous.
pub fn map_rows<T: Real>(threads: &Threads, matrix: ArrayViewMut2<T>, f: impl Fn(&mut [T]) + Copy + Sync) {
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

/// Calls `f` with the number of every row, and that row of all `outputs` and `inputs`. A row is as much work as `work`
/// elements.
///
/// # Panics
/// The numbers of rows differ, or rows are not contiguous.
pub fn each_row<T: Real, const N: usize, const M: usize>(
    threads: &Threads,
    work: usize,
    outputs: [ArrayViewMut2<T>; N],
    inputs: [ArrayView2<T>; M],
    f: impl Fn(usize, [&mut [T]; N], [&[T]; M]) + Copy + Sync,
) {
    type Operands<'a, T, const N: usize, const M: usize> =
        (Indices, (Several<ArrayViewMut2<'a, T>, N>, Several<ArrayView2<'a, T>, M>));
    let length = outputs.first().map_or(0, |output| output.nrows());
    spread(
        threads,
        work,
        (Indices(0..length), (Several { length, pieces: outputs }, Several { length, pieces: inputs })),
        #[inline(always)]
        |(Indices(numbers), (mut outputs, inputs)): Operands<T, N, M>| {
            let copy = f;
            for (i, number) in numbers.enumerate() {
                copy(number, rows_mut(&mut outputs.pieces, i), rows(&inputs.pieces, i));
            }
        },
    );
}

/// A row of each matrix.
#[inline(always)]
pub(crate) fn rows<'a, T, const N: usize>(matrices: &'a [ArrayView2<T>; N], row: usize) -> [&'a [T]; N] {
    std::array::from_fn(|k| matrices[k].row(row).to_slice().expect(CONTIGUOUS))
}

/// [`rows`], to write.
#[inline(always)]
pub(crate) fn rows_mut<'a, T, const N: usize>(matrices: &'a mut [ArrayViewMut2<T>; N], row: usize) -> [&'a mut [T]; N] {
    matrices.each_mut().map(|matrix| matrix.row_mut(row).into_slice().expect(CONTIGUOUS))
}

/// Calls `f` with the numbers of some rows and those rows, which lie one after the other, whichever rows they are. A row is
/// as much work as `work` elements.
///
/// # Panics
/// The matrix is not contiguous.
pub fn map_row_ranges<T: Real>(
    threads: &Threads,
    work: usize,
    matrix: ArrayViewMut2<T>,
    f: impl Fn(Range<usize>, &mut [T]) + Sync,
) {
    let rows = matrix.nrows();
    spread(
        threads,
        work,
        (Indices(0..rows), matrix),
        #[inline(always)]
        |(Indices(rows), matrix): (Indices, ArrayViewMut2<T>)| f(rows, matrix.into_slice().expect(CONTIGUOUS)),
    );
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

pub(crate) fn lock<X>(cell: &Mutex<X>) -> MutexGuard<'_, X> {
    cell.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) const CONTIGUOUS: &str = "rows are contiguous";

/// Something that can be cut in two at an index.
pub(crate) trait Pieces: Sized + Send {
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
pub(crate) struct Columns<V>(pub(crate) V);

impl<T: Real> Pieces for Columns<ArrayView2<'_, T>> {
    fn len(&self) -> usize {
        self.0.ncols()
    }
    fn split_at(self, middle: usize) -> (Self, Self) {
        let (left, right) = self.0.split_at(Axis(1), middle);
        (Columns(left), Columns(right))
    }
}

impl<T: Real> Pieces for Columns<ArrayViewMut2<'_, T>> {
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

/// Operands of one length; there may be none.
pub(crate) struct Several<P, const N: usize> {
    pub(crate) length: usize,
    pub(crate) pieces: [P; N],
}

impl<P: Pieces, const N: usize> Pieces for Several<P, N> {
    fn len(&self) -> usize {
        assert!(self.pieces.iter().all(|piece| piece.len() == self.length), "lengths of the operands");
        self.length
    }
    fn split_at(self, middle: usize) -> (Self, Self) {
        let mut ends = [const { None }; N];
        let mut places = ends.iter_mut();
        let begins = self.pieces.map(|piece| {
            let (begin, end) = piece.split_at(middle);
            if let Some(place) = places.next() {
                *place = Some(end);
            }
            begin
        });
        let ends = ends.map(|end| end.expect("as many ends as begins"));
        (Self { length: middle, pieces: begins }, Self { length: self.length - middle, pieces: ends })
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
pub(crate) fn spread<P: Pieces>(threads: &Threads, size_of_one: usize, pieces: P, f: impl Fn(P) + Sync) {
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
            zip(&threads, out.as_slice_mut().unwrap(), [y.as_slice().unwrap()], |x, [y]| x - y);
            assert_eq!(out, x.mapv(|x| 2.0 * x) - &y);
            each_row(&threads, columns, [out.view_mut()], [y.view()], |_, [row], [other]| row.copy_from_slice(other));
            assert_eq!(out, y);
            map_rows(&threads, out.view_mut(), |rows| rows.chunks_mut(columns).for_each(<[f64]>::reverse));
            let last = rows - 1;
            assert_eq!(out[(last, 0)], y[(last, columns - 1)]);
            let mut numbers = x.clone();
            each_row(&threads, columns, [out.view_mut(), numbers.view_mut()], [], |number, [first, second], []| {
                first.copy_from_slice(y.row(number).to_slice().unwrap());
                second.fill(number as f64);
            });
            assert_eq!(out, y);
            assert!(numbers.rows().into_iter().enumerate().all(|(i, row)| row.iter().all(|&x| x == i as f64)));
            map_row_ranges(&threads, columns, out.view_mut(), |rows, out| {
                out.chunks_mut(columns).zip(rows).for_each(|(out, row)| out.fill(row as f64));
            });
            assert_eq!(out, numbers);
            let flat = [&x, &y].map(|matrix| matrix.as_slice().unwrap());
            check_runs(&threads, flat);
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
    #[should_panic(expected = "lengths of the operands")]
    fn lengths_must_agree() {
        zip(&Threads::ONE, &mut [1.0f32], [&[1.0, 2.0]], |x, _| x);
    }
}
