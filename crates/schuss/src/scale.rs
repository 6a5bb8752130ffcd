//! The scale of every feature: its forward and its backward.

use ndarray::{ArrayView2, ArrayViewMut2};
use schuss_kernels::{each_row, same_rows, sum_rows_of};
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
        each_row(
            threads,
            self.features,
            [a],
            [x],
            #[inline(always)]
            |_, [a], [x]| a.iter_mut().zip(x.iter().zip(s)).for_each(|(a, (&x, &s))| *a = s * x),
        );
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
        let inputs = [d, x, same_rows(s, x.nrows())];
        // ds = Σ_batch da ⊙ x
        match dx {
            None => sum_rows_of(threads, inputs, [], [gradient], |[d, x, _]| ([], [d * x])),
            // dx = s ⊙ da
            Some(dx) => sum_rows_of(threads, inputs, [dx], [gradient], |[d, x, s]| ([s * d], [d * x])),
        }
    }
}
