//! Activations with a learnt share: their forward and their backward.

use ndarray::{ArrayView2, ArrayViewMut2};
use schuss_kernels::{each_row, sum_rows_of, zip_rows};
use serde::{Deserialize, Serialize};

use crate::{Activation, Factors, Real, Threads};

/// An activation of which every unit learns how much it takes, `a = x + α ⊙ (f(x) - x)`: 1 at first, which is f; 0 is
/// the identity (Holzmüller et al. 2024, arXiv:2407.04491).
///
/// # Shapes
/// `x` and `a` (batch, features), α (features,).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parametric {
    /// Of `x` and `a`.
    pub features: usize,
    /// f, any but softmax.
    pub activation: Activation,
    /// How its parameters are learnt.
    #[serde(default, skip_serializing_if = "Factors::is_one")]
    pub factors: Factors,
}

impl Parametric {
    /// Overwrites `a` with the layer's output for the batch `x`, and `f_of_x`.
    pub(crate) fn forward<T: Real>(
        &self,
        threads: &Threads,
        alpha: &[T],
        x: ArrayView2<T>,
        mut f_of_x: ArrayViewMut2<T>,
        a: ArrayViewMut2<T>,
    ) {
        f_of_x.assign(&x);
        self.activation.apply(threads, f_of_x.view_mut());
        each_row(
            threads,
            [a, f_of_x],
            x,
            #[inline(always)]
            |_, [a, f_of_x], x| {
                let terms = x.iter().zip(f_of_x.iter().zip(alpha));
                a.iter_mut().zip(terms).for_each(|(a, (&x, (&f, &alpha)))| *a = x + alpha * (f - x));
            },
        );
    }

    /// Overwrites `gradient`, and `dx` if there is one, for `d` = ∂L/∂a; `f_of_x` is lost.
    #[expect(clippy::too_many_arguments, reason = "the terms of the formulas")]
    pub(crate) fn backward<T: Real>(
        &self,
        threads: &Threads,
        alpha: &[T],
        x: ArrayView2<T>,
        mut f_of_x: ArrayViewMut2<T>,
        d: ArrayView2<T>,
        gradient: &mut [T],
        dx: Option<ArrayViewMut2<T>>,
    ) {
        if let Some(mut dx) = dx {
            // dx = α ⊙ da ⊙ f′(x) + (1 - α) ⊙ da
            combine(threads, dx.view_mut(), d, alpha, |_, d, alpha| alpha * d);
            self.activation.chain(threads, x, f_of_x.view(), dx.view_mut());
            combine(threads, dx, d, alpha, |dx, d, alpha| dx + (T::ONE - alpha) * d);
        }
        combine(threads, f_of_x.view_mut(), x, alpha, |f, x, _| f - x);
        sum_rows_of(threads, d, f_of_x.view(), |d, change| d * change, gradient); // dα = Σ_batch da ⊙ (f(x) - x)
    }
}

/// `y = f(y, x, α)`, α the same for all rows.
fn combine<T: Real>(
    threads: &Threads,
    y: ArrayViewMut2<T>,
    x: ArrayView2<T>,
    alpha: &[T],
    f: impl Fn(T, T, T) -> T + Sync,
) {
    zip_rows(
        threads,
        y,
        x,
        #[inline(always)]
        |y, x| y.iter_mut().zip(x.iter().zip(alpha)).for_each(|(y, (&x, &alpha))| *y = f(*y, x, alpha)),
    );
}
