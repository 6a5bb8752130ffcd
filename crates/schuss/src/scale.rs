//! The scale of every feature: its forward and its backward.

use ndarray::{ArrayView2, ArrayViewMut2};
use schuss_kernels::{sum_rows_of, zip_rows};
use serde::{Deserialize, Serialize};

use crate::{Factors, Real, Threads};

/// A learnt scale for every feature, `a = s ⊙ x`, 1 at first: in front of a network, it learns which features matter
/// (Holzmüller et al. 2024, arXiv:2407.04491).
///
/// # Shapes
/// `x` and `a` (batch, features), s (features,).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// Of `x` and `a`.
    pub features: usize,
    /// How its parameters are learnt.
    #[serde(default, skip_serializing_if = "Factors::is_one")]
    pub factors: Factors,
}

impl Scale {
    /// Overwrites `a` with the layer's output for the batch `x`.
    pub(crate) fn forward<T: Real>(&self, threads: &Threads, s: &[T], x: ArrayView2<T>, a: ArrayViewMut2<T>) {
        scale(threads, s, x, a);
    }

    /// Overwrites `gradient`, and `dx` if there is one, for `d` = ∂L/∂a.
    pub(crate) fn backward<T: Real>(
        &self,
        threads: &Threads,
        s: &[T],
        x: ArrayView2<T>,
        d: ArrayView2<T>,
        gradient: &mut [T],
        dx: Option<ArrayViewMut2<T>>,
    ) {
        sum_rows_of(threads, d, x, |d, x| d * x, gradient); // ds = Σ_batch da ⊙ x
        if let Some(dx) = dx {
            scale(threads, s, d, dx); // dx = s ⊙ da
        }
    }
}

/// `y = s ⊙ x`
fn scale<T: Real>(threads: &Threads, s: &[T], x: ArrayView2<T>, y: ArrayViewMut2<T>) {
    zip_rows(
        threads,
        y,
        x,
        #[inline(always)]
        |y, x| y.iter_mut().zip(x.iter().zip(s)).for_each(|(y, (&x, &s))| *y = s * x),
    );
}
