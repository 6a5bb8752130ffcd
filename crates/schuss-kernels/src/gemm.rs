//! The matrix product, `c = start + a·b`.
//!
//! ```text
//! for each block of K_BLOCK inner indices            (its sums are added to c in this order)
//!   for each panel of columns of b                   (packed once: k rows, a few vectors wide)
//!     for each tile of rows of a                     (the tile's sums live in registers)
//!       for each inner index: sum += a[row] * b[k]   (in this order, one fused multiply-add each)
//! ```
//!
//! An element of `c` therefore sums in an order that depends on the inner dimension alone: not on its row, its column,
//! the other rows, or the number of threads, which share out the elements of `c`.

use std::cell::RefCell;
use std::ops::Range;

use ndarray::{ArrayView2, ArrayViewMut2};
use pulp::{Simd, WithSimd};

use crate::{Isa, Real, Threads};

/// Inner indices whose sums stay in registers before they are added to `c`: a packed panel then fits the L2 cache.
const K_BLOCK: usize = 1024;
/// The largest packed panel in bytes: K_BLOCK rows of three 64-byte vectors.
const PANEL_BYTES: usize = K_BLOCK * 192;
/// Fewer multiply-adds than this are not worth waking a thread.
const SMALLEST_PART: usize = 1 << 19;
/// Columns and rows are shared out between threads in multiples of these.
const COLUMN_UNIT: usize = 16;
const ROW_UNIT: usize = 8;

/// What the product is added to.
#[derive(Clone, Copy, Debug)]
pub enum Start<'a, T> {
    /// `c = a·b`.
    Zero,
    /// `c = 1·biasᵀ + a·b`, the bias once for every row.
    Bias(&'a [T]),
}

/// Overwrites `c` (m, n) with `start + a·b` for `a` (m, k) and `b` (k, n). Any strides for `a` and `b`; the columns of
/// `c` are contiguous.
///
/// # Panics
/// The shapes do not fit together, or the columns of `c` are not contiguous.
pub fn gemm<T: Real>(threads: &Threads, a: ArrayView2<T>, b: ArrayView2<T>, start: Start<T>, c: ArrayViewMut2<T>) {
    gemm_at(Isa::current(), threads, a, b, start, c);
}

fn gemm_at<T: Real>(
    isa: Isa,
    threads: &Threads,
    a: ArrayView2<T>,
    b: ArrayView2<T>,
    start: Start<T>,
    mut c: ArrayViewMut2<T>,
) {
    let (m, k, n) = (a.nrows(), a.ncols(), b.ncols());
    assert_eq!(b.nrows(), k, "inner dimensions of a·b");
    assert_eq!(c.dim(), (m, n), "shape of c");
    assert!(c.is_empty() || n == 1 || c.strides()[1] == 1, "the columns of c must be contiguous");
    if let Start::Bias(bias) = start {
        assert_eq!(bias.len(), n, "length of the bias");
    }
    let product = Product {
        a: Operand { pointer: a.as_ptr(), strides: [a.strides()[0], a.strides()[1]] },
        b: Operand { pointer: b.as_ptr(), strides: [b.strides()[0], b.strides()[1]] },
        bias: match start {
            Start::Zero => std::ptr::null(),
            Start::Bias(bias) => bias.as_ptr(),
        },
        c: c.as_mut_ptr(),
        c_stride: c.strides()[0],
        inner: k,
    };
    let [row_parts, column_parts] = grid(threads.parts(m * n * k, SMALLEST_PART), [m, n]);
    threads.for_each(row_parts * column_parts, |part| {
        let rows = share(m, ROW_UNIT, row_parts, part / column_parts);
        let columns = share(n, COLUMN_UNIT, column_parts, part % column_parts);
        // The kernel is compiled for `isa` only where it is inlined, hence no closure below this one.
        PANEL.with_borrow_mut(|memory| isa.run(Part { product, rows, columns, panel: Panel::new(memory) }));
    });
}

/// Cuts an (m, n) result for `parts` threads: least work in the largest part, its share of the packing included.
fn grid(parts: usize, [m, n]: [usize; 2]) -> [usize; 2] {
    let largest = |size: usize, unit: usize, parts| share(size, unit, parts, 0).len();
    let cost = |row_parts: usize| {
        let columns = largest(n, COLUMN_UNIT, parts / row_parts);
        // Packing an element of b costs about as much as multiplying it with sixteen rows.
        columns * (largest(m, ROW_UNIT, row_parts) + 16)
    };
    let row_parts = (1..=parts).filter(|p| parts.is_multiple_of(*p)).min_by_key(|&p| cost(p)).unwrap_or(1);
    [row_parts, parts / row_parts]
}

/// The `part`th of `parts` nearly equal ranges of whole units (but for the end of `0..size`); the first is the largest.
fn share(size: usize, unit: usize, parts: usize, part: usize) -> Range<usize> {
    let units = size.div_ceil(unit);
    let [quotient, remainder] = [units / parts, units % parts];
    let begin = |part: usize| ((part * quotient + part.min(remainder)) * unit).min(size);
    begin(part)..begin(part + 1)
}

#[derive(Clone, Copy)]
struct Operand<T> {
    pointer: *const T,
    strides: [isize; 2],
}

impl<T> Operand<T> {
    /// # Safety
    /// The element lies within the operand.
    #[inline(always)]
    unsafe fn at(self, row: usize, column: usize) -> *const T {
        // SAFETY: by this function's contract.
        unsafe { self.pointer.offset(row as isize * self.strides[0] + column as isize * self.strides[1]) }
    }
}

#[derive(Clone, Copy)]
struct Product<T> {
    a: Operand<T>,
    b: Operand<T>,
    bias: *const T,
    c: *mut T,
    c_stride: isize,
    inner: usize,
}

// SAFETY: `a`, `b` and `bias` are only read; each part writes its own region of `c`; the views they come from outlive
// the call.
unsafe impl<T: Sync> Sync for Product<T> {}
// SAFETY: as for `Sync`.
unsafe impl<T: Send> Send for Product<T> {}

/// A thread's region of the product.
struct Part<T> {
    product: Product<T>,
    rows: Range<usize>,
    columns: Range<usize>,
    panel: Panel<T>,
}

impl<T: Real> WithSimd for Part<T> {
    type Output = ();

    /// Tiles of `rows x vectors` sums: as many as the registers hold beside the operands.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // SAFETY: `gemm_at` checked the shapes and gave each part a region and a panel of its own.
        unsafe {
            if S::IS_SCALAR {
                self.run::<S, 2, 16>(simd);
            } else if S::REGISTER_COUNT >= 32 {
                self.run::<S, 8, 3>(simd);
            } else {
                self.run::<S, 6, 2>(simd);
            }
        }
    }
}

impl<T: Real> Part<T> {
    /// # Safety
    /// The region lies within the product, and nothing else accesses it in `c`.
    #[inline(always)]
    unsafe fn run<S: Simd, const ROWS: usize, const VECTORS: usize>(&self, simd: S) {
        let lanes = lanes::<S, T>();
        for k in (0..self.product.inner.max(1)).step_by(K_BLOCK) {
            let k = k..(k + K_BLOCK).min(self.product.inner);
            for column in self.columns.clone().step_by(VECTORS * lanes) {
                let columns = column..(column + VECTORS * lanes).min(self.columns.end);
                // SAFETY: as for this function.
                unsafe {
                    match columns.len().div_ceil(lanes) {
                        1 => self.panel::<S, ROWS, 1>(simd, &k, &columns),
                        2 if VECTORS > 2 => self.panel::<S, ROWS, 2>(simd, &k, &columns),
                        _ => self.panel::<S, ROWS, VECTORS>(simd, &k, &columns),
                    }
                }
            }
        }
    }

    /// # Safety
    /// As for [`Part::run`], and `columns` are at most `VECTORS` vectors.
    #[inline(always)]
    unsafe fn panel<S: Simd, const ROWS: usize, const VECTORS: usize>(
        &self,
        simd: S,
        k: &Range<usize>,
        columns: &Range<usize>,
    ) {
        let mut row = self.rows.start;
        // SAFETY: as for this function; the tiles stay within the part's rows.
        unsafe {
            self.panel.pack(self.product.b, k, columns, VECTORS * lanes::<S, T>());
            while row + ROWS <= self.rows.end {
                self.tile::<S, ROWS, VECTORS>(simd, row, k, columns);
                row += ROWS;
            }
            while row + 4 <= self.rows.end {
                self.tile::<S, 4, VECTORS>(simd, row, k, columns);
                row += 4;
            }
            while row < self.rows.end {
                self.tile::<S, 1, VECTORS>(simd, row, k, columns);
                row += 1;
            }
        }
    }

    /// `ROWS` rows of one panel: the sums over `k`, added to the start or to the sums of the blocks before.
    ///
    /// # Safety
    /// As for [`Part::panel`]; the panel holds rows `k` of `columns`, and `row + ROWS` is within the part.
    #[inline(always)]
    unsafe fn tile<S: Simd, const ROWS: usize, const VECTORS: usize>(
        &self,
        simd: S,
        row: usize,
        k: &Range<usize>,
        columns: &Range<usize>,
    ) {
        let Product { a, bias, c, c_stride, .. } = self.product;
        let width = VECTORS * lanes::<S, T>();
        let mut sums = [[T::splat(simd, T::ZERO); VECTORS]; ROWS];
        // SAFETY: `at` stays within `a`; a packed row is VECTORS vectors wide; a whole tile lies within `c` and the
        // bias, and a narrow one goes through `edge`, which is a whole tile wide.
        unsafe {
            let mut packed = self.panel.0.cast::<T::Vector<S>>().cast_const();
            let mut column = a.at(row, k.start);
            for _ in k.clone() {
                let b: [T::Vector<S>; VECTORS] = std::array::from_fn(
                    #[inline(always)]
                    |v| packed.add(v).read_unaligned(),
                );
                for (r, sums) in sums.iter_mut().enumerate() {
                    let x = T::splat(simd, *column.offset(r as isize * a.strides[0]));
                    for (sum, b) in sums.iter_mut().zip(b) {
                        *sum = T::mul_add(simd, x, b, *sum);
                    }
                }
                packed = packed.add(VECTORS);
                column = column.offset(a.strides[1]);
            }

            let first = k.start == 0;
            for (r, sums) in sums.iter().enumerate() {
                let c = c.offset((row + r) as isize * c_stride).add(columns.start);
                let start = if !first {
                    c.cast_const()
                } else if bias.is_null() {
                    std::ptr::null()
                } else {
                    bias.add(columns.start)
                };
                if columns.len() == width {
                    write_sums(simd, sums, start, c);
                } else {
                    let mut edge = [T::ZERO; 64];
                    if !start.is_null() {
                        std::ptr::copy_nonoverlapping(start, edge.as_mut_ptr(), columns.len());
                    }
                    let whole = edge.as_mut_ptr();
                    let start = if start.is_null() { start } else { whole.cast_const() };
                    write_sums(simd, sums, start, whole);
                    std::ptr::copy_nonoverlapping(whole, c, columns.len());
                }
            }
        }
    }
}

/// `c = sums`, or `c = start + sums` where there is a start.
///
/// # Safety
/// `c`, and `start` unless null, hold as many elements as `sums`.
#[inline(always)]
unsafe fn write_sums<S: Simd, T: Real, const VECTORS: usize>(
    simd: S,
    sums: &[T::Vector<S>; VECTORS],
    start: *const T,
    c: *mut T,
) {
    let c = c.cast::<T::Vector<S>>();
    for (v, &sum) in sums.iter().enumerate() {
        // SAFETY: by this function's contract.
        unsafe {
            let value = if start.is_null() {
                sum
            } else {
                T::add_vectors(simd, start.cast::<T::Vector<S>>().add(v).read_unaligned(), sum)
            };
            c.add(v).write_unaligned(value);
        }
    }
}

#[inline(always)]
fn lanes<S: Simd, T: Real>() -> usize {
    size_of::<T::Vector<S>>() / size_of::<T>()
}

#[derive(Clone, Copy)]
#[repr(align(64))]
struct CacheLine(#[expect(dead_code, reason = "memory that the panel reads through its pointer")] [u8; 64]);

thread_local! {
    static PANEL: RefCell<Vec<CacheLine>> = const { RefCell::new(Vec::new()) };
}

/// A block of `b` in the order in which the tiles read it: row after row, each `width` elements, zeros at the end.
#[derive(Clone, Copy)]
struct Panel<T>(*mut T);

impl<T: Real> Panel<T> {
    fn new(memory: &mut Vec<CacheLine>) -> Self {
        memory.resize(PANEL_BYTES / 64, CacheLine([0; 64]));
        Self(memory.as_mut_ptr().cast())
    }

    /// # Safety
    /// `k` and `columns` lie within `b`; `width` is at least the number of columns and at most three 64-byte vectors.
    #[inline(always)]
    unsafe fn pack(self, b: Operand<T>, k: &Range<usize>, columns: &Range<usize>, width: usize) {
        // Blocks of this many rows are read along b's own memory order while they stay in the L1 cache.
        const ROWS: usize = 16;
        let contiguous = b.strides[1] == 1;
        for begin in k.clone().step_by(ROWS) {
            let rows = begin..(begin + ROWS).min(k.end);
            // SAFETY: `at` stays within `b`, and row `r` of the panel ends at (r + 1) * width.
            unsafe {
                let to = |row: usize, column: usize| self.0.add((row - k.start) * width + column);
                if contiguous {
                    for row in rows.clone() {
                        std::ptr::copy_nonoverlapping(b.at(row, columns.start), to(row, 0), columns.len());
                    }
                } else {
                    for (i, column) in columns.clone().enumerate() {
                        for row in rows.clone() {
                            *to(row, i) = *b.at(row, column);
                        }
                    }
                }
                for row in rows {
                    for i in columns.len()..width {
                        *to(row, i) = T::ZERO;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, ShapeBuilder};

    use super::*;

    /// Small whole numbers: every product and sum is exact, so that kernels must equal the plain triple loop.
    fn whole_numbers<T: Real>(rows: usize, columns: usize, transposed: bool) -> Array2<T> {
        let value = |(i, j): (usize, usize)| T::from_f64(((i * 31 + j * 17) % 13) as f64 - 6.0);
        let shape = if transposed { (rows, columns).f() } else { (rows, columns).into_shape_with_order() };
        Array2::from_shape_fn(shape, value)
    }

    /// Numbers whose sums round, so that another order of summation shows in the bits.
    fn fractions<T: Real>(rows: usize, columns: usize, transposed: bool) -> Array2<T> {
        let mut matrix = whole_numbers::<T>(rows, columns, transposed);
        for ((i, j), x) in matrix.indexed_iter_mut() {
            *x = T::from_f64((x.to_f64() + (i as f64 * 0.37).sin()) * 10f64.powi((j % 7) as i32 - 3));
        }
        matrix
    }

    fn product<T: Real>(isa: Isa, threads: usize, a: ArrayView2<T>, b: ArrayView2<T>, bias: Option<&[T]>) -> Array2<T> {
        let mut c = Array2::from_elem((a.nrows(), b.ncols()), T::from_f64(f64::NAN));
        let start = bias.map_or(Start::Zero, Start::Bias);
        gemm_at(isa, &Threads::new(threads).unwrap(), a, b, start, c.view_mut());
        c
    }

    #[track_caller]
    fn check<T: Real>([m, n, k]: [usize; 3], [ta, tb]: [bool; 2], with_bias: bool) {
        let [a, b] = [whole_numbers::<T>(m, k, ta), whole_numbers::<T>(k, n, tb)];
        let bias: Vec<T> = (0..n).map(|j| T::from_f64(j as f64 - 2.0)).collect();
        let bias = with_bias.then_some(bias.as_slice());
        let expected = Array2::from_shape_fn((m, n), |(i, j)| {
            let mut sum = bias.map_or(T::ZERO, |bias| bias[j]);
            (0..k).for_each(|p| sum += a[(i, p)] * b[(p, j)]);
            sum
        });
        let [fa, fb] = [fractions::<T>(m, k, ta), fractions::<T>(k, n, tb)];
        for isa in Isa::available() {
            let one = product(isa, 1, fa.view(), fb.view(), bias);
            for threads in [1, 2, 5] {
                let exact = product(isa, threads, a.view(), b.view(), bias);
                assert_eq!(exact, expected, "{isa:?}, {threads} threads, {m}x{n}x{k}");
                let rounded = product(isa, threads, fa.view(), fb.view(), bias);
                assert_eq!(rounded, one, "bits at {threads} threads, {isa:?}, {m}x{n}x{k}");
            }
            for row in [0, m / 2, m.saturating_sub(1)].into_iter().filter(|&row| row < m) {
                let alone = product(isa, 1, fa.slice(ndarray::s![row..row + 1, ..]), fb.view(), bias);
                assert_eq!(alone.row(0), one.row(row), "row {row} alone, {isa:?}, {m}x{n}x{k}");
            }
        }
    }

    #[test]
    fn ragged_shapes_layouts_and_threads_at_every_level() {
        let shapes = [
            [1, 1, 1],
            [1, 10, 30],
            [2, 3, 5],
            [3, 1, 7],
            [7, 15, 16],
            [8, 16, 17],
            [9, 17, 33],
            [13, 47, 64],
            [16, 48, 100],
            [17, 49, 127],
            [33, 97, 31],
            [40, 100, 1024],
            [5, 50, 1025],
            [11, 33, 2100],
            [129, 130, 70],
            [64, 8, 0],
            [0, 8, 3],
            [8, 0, 3],
            [200, 200, 200],
        ];
        for shape in shapes {
            for layout in [[false, false], [false, true], [true, false], [true, true]] {
                check::<f32>(shape, layout, layout[0]);
                check::<f64>(shape, layout, !layout[0]);
            }
        }
        let missing: Vec<_> =
            [Isa::Avx2, Isa::Avx512].into_iter().filter(|i| !Isa::available().any(|a| a == *i)).collect();
        if !missing.is_empty() {
            eprintln!("this machine lacks {missing:?}: those kernels were not run");
        }
    }

    #[test]
    fn the_vector_levels_give_the_same_bits() {
        let [a, b] = [fractions::<f32>(50, 1100, false), fractions::<f32>(1100, 70, true)];
        let results: Vec<_> = Isa::available()
            .filter(|&isa| isa != Isa::Portable)
            .map(|isa| product(isa, 2, a.view(), b.view(), None))
            .collect();
        assert!(results.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn a_grid_covers_every_element_once() {
        for (parts, [m, n]) in [(1, [5, 5]), (2, [1000, 500]), (6, [30, 1000]), (16, [1000, 30]), (7, [3, 3])] {
            let [row_parts, column_parts] = grid(parts, [m, n]);
            let total = |size, unit, parts| (0..parts).map(|p| share(size, unit, parts, p).len()).sum::<usize>();
            assert_eq!(row_parts * column_parts, parts);
            assert_eq!([total(m, ROW_UNIT, row_parts), total(n, COLUMN_UNIT, column_parts)], [m, n]);
        }
    }
}
