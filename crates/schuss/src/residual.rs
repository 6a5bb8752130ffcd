//! The residual connection: its forward and its backward.

use ndarray::{ArrayView2, ArrayViewMut2};
use schuss_kernels::each_row;
use serde::{Deserialize, Serialize};

use crate::{Real, Threads};

/// Residual connection (He et al. 2016, arXiv:1512.03385), `a = x + s`, where s is the output of an earlier layer.
///
/// # Shapes
/// `x`, `s` and `a` (batch, features).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Residual {
    /// Of `x`, `s` and `a`.
    pub features: usize,
    /// The layer whose output is s, counted from 0 over the network's layers of all kinds.
    pub from: usize,
}

impl Residual {
    /// Overwrites `a` with the layer's output for the batch `x`.
    pub(crate) fn forward<T: Real>(
        &self,
        threads: &Threads,
        x: ArrayView2<T>,
        s: ArrayView2<T>,
        mut a: ArrayViewMut2<T>,
    ) {
        copy(threads, x, a.view_mut());
        add(threads, a, s);
    }

    /// Overwrites `dx` with ∂L/∂x = ∂L/∂a.
    pub(crate) fn backward<T: Real>(&self, threads: &Threads, d: ArrayView2<T>, dx: ArrayViewMut2<T>) {
        copy(threads, d, dx);
    }

    /// Adds ∂L/∂s = ∂L/∂a to what came to s by the other way.
    pub(crate) fn backward_skipped<T: Real>(threads: &Threads, d: ArrayView2<T>, ds: ArrayViewMut2<T>) {
        add(threads, ds, d);
    }
}

/// `y = x`
pub(crate) fn copy<T: Real>(threads: &Threads, x: ArrayView2<T>, y: ArrayViewMut2<T>) {
    each_row(threads, x.ncols(), [y], [x], |_, [y], [x]| y.copy_from_slice(x));
}

/// `y += x`
fn add<T: Real>(threads: &Threads, y: ArrayViewMut2<T>, x: ArrayView2<T>) {
    each_row(
        threads,
        x.ncols(),
        [y],
        [x],
        #[inline(always)]
        |_, [y], [x]| y.iter_mut().zip(x).for_each(|(y, &x)| *y += x),
    );
}
