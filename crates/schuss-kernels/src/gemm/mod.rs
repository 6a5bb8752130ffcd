//! The matrix product and what is fused with it, `c = f(start + a·b)`.
//!
//! ```text
//! for each block of K_BLOCK inner indices            (the sums go on from c where the block before left them)
//!   for each panel of columns of b                   (packed once: k rows, a few vectors wide)
//!     for each tile of rows of a                     (the tile's sums live in registers)
//!       for each inner index: sum += a[row] * b[k]   (in this order, one fused multiply-add each)
//!       c = f(sum)
//! ```
//!
//! An element of `c` is therefore a sum in the order of the inner index, begun with the bias: it does not depend on its
//! row, its column, the other rows, or the number of threads, which share out the elements of `c`.
//!
//! Where a factor is zero in all rows of a tile, the tile leaves that inner index out ([`zeros`]), which changes no bit:
//! sums of finite numbers do not depend on it, and no result is a negative zero.
//!
//! [`tile`] multiplies, [`pack`] lays `b`, and where it is worth it `a`, out for it, [`bf16`] does both with pairs of 16-bit numbers.

mod bf16;
mod pack;
mod tile;
mod zeros;

use std::cell::RefCell;
use std::ops::Range;
use std::sync::atomic::AtomicU64;

use ndarray::{ArrayView2, ArrayViewMut2};

use crate::meter::{Work, add_skipped, timed};
use crate::{Isa, Real, Threads};
pub(crate) use bf16::{burst as bf16_burst, has_bf16};
use pack::Memory;
use tile::{Exact, Part, Product};

/// Inner indices of a packed panel, which then fits the L2 cache.
const K_BLOCK: usize = 1024;
/// Fewer multiply-adds than this are not worth another thread: some microseconds.
const SMALLEST_PART: usize = 1 << 17;
/// Packing an element of b takes about as long as multiplying it with this many rows.
const PACKING_ROWS: usize = 6;
/// Columns and rows are shared out between threads in multiples of these.
const COLUMN_UNIT: usize = 16;
const ROW_UNIT: usize = 2;

/// How products of `f32` matrices are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Products {
    /// In the precision of the matrices.
    #[default]
    Exact,
    /// Factors rounded to bfloat16 (8 bits of significand; what is below the normal numbers of `f32` becomes 0, what is
    /// above 3.38e38 infinite), products and sums in `f32`, about twice as fast where the
    /// machine has AVX512-BF16 ([`Products::bf16_available`]); elsewhere, and for `f64`, as [`Products::Exact`].
    Bf16,
}

impl Products {
    /// Whether [`Products::Bf16`] differs from [`Products::Exact`] on this machine and at this level.
    pub fn bf16_available() -> bool {
        bf16::is_available(Isa::current())
    }
}

/// What computes, and how.
#[derive(Clone, Debug)]
pub struct Compute {
    /// The threads that share the work.
    pub threads: Threads,
    /// The arithmetic of matrix products.
    pub products: Products,
}

impl From<&Threads> for Compute {
    /// Exact products on these threads.
    fn from(threads: &Threads) -> Self {
        Self { threads: threads.clone(), products: Products::Exact }
    }
}

/// What a product is fused with.
#[derive(Clone, Copy, Debug)]
pub enum Fused<'a, T> {
    /// `c = a·b`
    Nothing,
    /// `c = 1·biasᵀ + a·b`, the bias once for every row.
    Bias(&'a [T]),
    /// `c = max(0, 1·biasᵀ + a·b)`. A NaN stays one.
    BiasRelu(&'a [T]),
    /// `c = a·b` where this matrix, of the shape of `c`, is positive, else 0: back through a ReLU with this output.
    ReluMask(ArrayView2<'a, T>),
}

/// Overwrites `c` (m, n) with the product of `a` (m, k) and `b` (k, n), and what it is fused with. Any strides for `a`
/// and `b`; the columns of `c` and of a mask are contiguous.
///
/// Elements that are zero are +0. Zeros of `a`, or of `b` where the product is fused with nothing, may be left out: an
/// element is the same as if they were not, unless they stand against an infinity or a NaN, which they may or may not turn
/// into a NaN. [`meter::skipped`](crate::meter::skipped) counts what was left out.
///
/// # Panics
/// The shapes do not fit together, or columns are not contiguous.
pub fn gemm<T: Real>(compute: &Compute, a: ArrayView2<T>, b: ArrayView2<T>, fused: Fused<T>, c: ArrayViewMut2<T>) {
    timed(Work::Products, || gemm_at(Isa::current(), compute, a, b, fused, c));
}

fn gemm_at<T: Real>(
    isa: Isa,
    compute: &Compute,
    a: ArrayView2<T>,
    b: ArrayView2<T>,
    fused: Fused<T>,
    mut c: ArrayViewMut2<T>,
) {
    let [m, k, n] = [a.nrows(), a.ncols(), b.ncols()];
    assert_eq!(b.nrows(), k, "inner dimensions of a·b");
    assert_eq!(c.dim(), (m, n), "shape of c");
    assert!(c.is_empty() || n == 1 || c.strides()[1] == 1, "the columns of c must be contiguous");
    match fused {
        Fused::Nothing => {}
        Fused::Bias(bias) | Fused::BiasRelu(bias) => assert_eq!(bias.len(), n, "length of the bias"),
        Fused::ReluMask(mask) => {
            assert_eq!(mask.dim(), (m, n), "shape of the mask");
            assert!(mask.is_empty() || n == 1 || mask.strides()[1] == 1, "the columns of a mask must be contiguous");
        }
    }
    let product = Product::new(a, b, fused, &mut c);
    let is_bf16 = compute.products == Products::Bf16 && T::NAME == f32::NAME && bf16::is_available(isa);
    let [row_parts, column_parts] = grid(compute.threads.parts(m * n * k, SMALLEST_PART), [m, n]);
    let skipped = AtomicU64::new(0);
    compute.threads.for_each(row_parts * column_parts, |part| {
        let rows = share(m, ROW_UNIT, row_parts, part / column_parts);
        let columns = share(n, COLUMN_UNIT, column_parts, part % column_parts);
        if rows.is_empty() || columns.is_empty() {
            return;
        }
        MEMORY.with_borrow_mut(|memory| {
            let part = Part { product, rows, columns, memory, skipped: &skipped };
            // The kernels are compiled for the level only where they are inlined, hence no closure below this one.
            if is_bf16 { bf16::run(part) } else { isa.run(Exact(part)) }
        });
    });
    add_skipped(skipped.into_inner());
}

/// Cuts an (m, n) result for `parts` threads: least work in the largest part, its share of the packing included.
fn grid(parts: usize, [m, n]: [usize; 2]) -> [usize; 2] {
    let largest = |size: usize, unit: usize, parts| share(size, unit, parts, 0).len();
    let cost = |row_parts: usize| {
        let columns = largest(n, COLUMN_UNIT, parts / row_parts);
        columns * (largest(m, ROW_UNIT, row_parts) + PACKING_ROWS)
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

thread_local! {
    /// What a thread packs into: laid out at its first product.
    static MEMORY: RefCell<Memory> = const { RefCell::new(Memory::new()) };
}

#[cfg(test)]
mod tests;
