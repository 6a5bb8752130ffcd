//! Activations with a learnt share: their forward and their backward.

use ndarray::{ArrayView2, ArrayViewMut2};
use schuss_kernels::{each_row, same_rows, sum_rows_of};
use serde::{Deserialize, Serialize};

use crate::activation::WithFunction;
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
    /// Overwrites `a` with the layer's output for the batch `x`.
    pub(crate) fn forward<T: Real>(&self, threads: &Threads, alpha: &[T], x: ArrayView2<T>, a: ArrayViewMut2<T>) {
        self.activation.with(Forward { threads, alpha, x, a });
    }

    /// Overwrites `gradient`, and `dx` if there is one, for `d` = ∂L/∂a.
    pub(crate) fn backward<T: Real>(
        &self,
        threads: &Threads,
        alpha: &[T],
        x: ArrayView2<T>,
        d: ArrayView2<T>,
        gradient: &mut [T],
        dx: Option<ArrayViewMut2<T>>,
    ) {
        self.activation.with(Backward { threads, alpha, x, d, gradient, dx });
    }
}

struct Forward<'a, T> {
    threads: &'a Threads,
    alpha: &'a [T],
    x: ArrayView2<'a, T>,
    a: ArrayViewMut2<'a, T>,
}

impl<T: Real> WithFunction<T> for Forward<'_, T> {
    fn call(self, f: impl Fn(T) -> T + Copy + Sync, _: impl Fn(T, T, T) -> T + Copy + Sync) {
        let Self { threads, alpha, x, a } = self;
        each_row(
            threads,
            alpha.len(),
            [a],
            [x],
            #[inline(always)]
            move |_, [a], [x]| {
                let terms = x.iter().zip(alpha);
                a.iter_mut().zip(terms).for_each(|(a, (&x, &alpha))| *a = x + alpha * (f(x) - x));
            },
        );
    }
}

struct Backward<'a, T> {
    threads: &'a Threads,
    alpha: &'a [T],
    x: ArrayView2<'a, T>,
    d: ArrayView2<'a, T>,
    gradient: &'a mut [T],
    dx: Option<ArrayViewMut2<'a, T>>,
}

impl<T: Real> WithFunction<T> for Backward<'_, T> {
    fn call(self, f: impl Fn(T) -> T + Copy + Sync, chain: impl Fn(T, T, T) -> T + Copy + Sync) {
        let Self { threads, alpha, x, d, gradient, dx } = self;
        let inputs = [d, x, same_rows(alpha, x.nrows())];
        // dα = Σ_batch da ⊙ (f(x) - x)
        match dx {
            None => sum_rows_of(
                threads,
                inputs,
                [],
                [gradient],
                #[inline(always)]
                move |[d, x, _]| ([], [d * (f(x) - x)]),
            ),
            // dx = α ⊙ da ⊙ f′(x) + (1 - α) ⊙ da
            Some(dx) => sum_rows_of(
                threads,
                inputs,
                [dx],
                [gradient],
                #[inline(always)]
                move |[d, x, alpha]| {
                    let a = f(x);
                    ([chain(alpha * d, x, a) + (T::ONE - alpha) * d], [d * (a - x)])
                },
            ),
        }
    }
}
