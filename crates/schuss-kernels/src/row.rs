//! One row times a matrix: reads only those rows of the matrix whose factor is not zero.

use std::cell::RefCell;

use ndarray::ArrayView2;
use pulp::{Simd, WithSimd};

use crate::real::lanes;
use crate::{Isa, Real};

/// The columns of a matrix for [`row_product`] are a multiple of this: whole vectors at every level.
pub const ROW_PRODUCT_COLUMNS: usize = 64;

thread_local! {
    /// Where the factors are that are not zero.
    static NONZERO: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
}

/// `y = max(0, bias + x·b)` if `relu`, else `y = bias + x·b`, for finite `b` (k, n): n a multiple of
/// [`ROW_PRODUCT_COLUMNS`], columns contiguous. An element is summed in the order of the inner index as in
/// [`gemm`](crate::gemm()); a factor of zero would add nothing, and is left out.
///
/// # Panics
/// The shapes do not fit together, or the columns are not contiguous or not such a multiple.
pub fn row_product<T: Real>(x: &[T], b: ArrayView2<T>, bias: &[T], relu: bool, y: &mut [T]) {
    assert_eq!([b.nrows(), b.ncols()], [x.len(), y.len()], "shapes of x·b");
    assert_eq!(bias.len(), y.len(), "length of the bias");
    assert!(y.len().is_multiple_of(ROW_PRODUCT_COLUMNS), "columns are a multiple of {ROW_PRODUCT_COLUMNS}");
    assert!(b.is_empty() || b.strides()[1] == 1, "the columns must be contiguous");
    NONZERO.with_borrow_mut(|nonzero| {
        nonzero.resize(nonzero.len().max(x.len()), 0);
        let mut count = 0;
        for (k, &x) in x.iter().enumerate() {
            nonzero[count] = k as u32;
            count += usize::from(x != T::ZERO);
        }
        let (b, stride) = (b.as_ptr(), b.strides()[0]);
        Isa::current().run(RowProduct { x, nonzero: &nonzero[..count], b, stride, bias, relu, y });
    });
}

struct RowProduct<'a, T> {
    x: &'a [T],
    nonzero: &'a [u32],
    b: *const T,
    stride: isize,
    bias: &'a [T],
    relu: bool,
    y: &'a mut [T],
}

impl<T: Real> WithSimd for RowProduct<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let lanes = lanes::<S, T>();
        let most = if S::IS_SCALAR || S::REGISTER_COUNT >= 32 { 16 } else { 8 };
        let mut column = 0;
        while column < self.y.len() {
            let vectors = (self.y.len() - column) / lanes;
            // SAFETY: `row_product` checked the shapes; 4 vectors divide ROW_PRODUCT_COLUMNS, and what is left of it.
            unsafe {
                if vectors >= 16 && most >= 16 {
                    self.columns::<S, 16>(simd, column);
                    column += 16 * lanes;
                } else if vectors >= 8 {
                    self.columns::<S, 8>(simd, column);
                    column += 8 * lanes;
                } else {
                    self.columns::<S, 4>(simd, column);
                    column += 4 * lanes;
                }
            }
        }
    }
}

impl<T: Real> RowProduct<'_, T> {
    /// # Safety
    /// `VECTORS` vectors from `column` on lie within the columns.
    #[inline(always)]
    unsafe fn columns<S: Simd, const VECTORS: usize>(&mut self, simd: S, column: usize) {
        let lanes = lanes::<S, T>();
        let mut sums = [T::splat(simd, T::ZERO); VECTORS];
        // SAFETY: by this function's contract; every index is below the number of factors and of rows.
        unsafe {
            for (v, sum) in sums.iter_mut().enumerate() {
                *sum = T::load(simd, None, self.bias.as_ptr().add(column + v * lanes));
            }
            for &k in self.nonzero {
                let x = T::splat(simd, *self.x.as_ptr().add(k as usize));
                let row = self.b.offset(k as isize * self.stride).add(column);
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = T::mul_add(simd, x, T::load(simd, None, row.add(v * lanes)), *sum);
                }
            }
            for (v, &sum) in sums.iter().enumerate() {
                let sum = if self.relu { T::relu(simd, sum) } else { T::without_negative_zero(simd, sum) };
                T::store(simd, None, self.y.as_mut_ptr().add(column + v * lanes), sum);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::{Compute, Fused, Threads, gemm};

    #[track_caller]
    fn check<T: Real>(k: usize, n: usize, relu: bool) {
        let value = |i: usize| T::from_f64((i as f64 * 0.71).sin());
        let b = Array2::from_shape_fn((k, n), |(i, j)| value(i * n + j));
        let x = Array2::from_shape_fn((1, k), |(_, i)| if i % 3 == 0 { T::ZERO } else { value(i) });
        let bias: Vec<T> = (0..n).map(value).collect();
        let mut expected = Array2::from_elem((1, n), T::ZERO);
        let fused = if relu { Fused::BiasRelu(&bias) } else { Fused::Bias(&bias) };
        gemm(&Compute::from(&Threads::ONE), x.view(), b.view(), fused, expected.view_mut());
        let mut y = vec![T::from_f64(f64::NAN); n];
        row_product(x.as_slice().unwrap(), b.view(), &bias, relu, &mut y);
        assert_eq!(y, expected.row(0).to_vec(), "{k}x{n}");
    }

    #[test]
    fn a_row_has_the_bits_of_the_product_of_matrices() {
        for k in [0, 1, 30, 784, 2100] {
            for n in [64, 128, 192, 448, 512] {
                check::<f32>(k, n, n == 128);
                check::<f64>(k, n, n == 448);
            }
        }
    }
}
