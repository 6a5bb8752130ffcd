//! Dropout: its forward and its backward.

use ndarray::{ArrayView2, ArrayViewMut2};
use schuss_kernels::each_row;
use serde::{Deserialize, Serialize};

use crate::random::{Places, Purpose, Stream};
use crate::residual::copy;
use crate::workspace::Pass;
use crate::{Real, Threads};

/// Dropout (Srivastava et al. 2014, JMLR 15): in training `a = x ⊙ k`, where each element of k is 0 with probability
/// `rate` and 1/(1 - rate) otherwise, so that the mean stays; else `a = x`.
///
/// k is a function of the seed, the step, the layer, and the place in the batch, so simple a one that backward makes it
/// again rather than read it; after 2³² places it begins anew. A rate is one of 0, 1, ..., 2³² - 1 parts of 2³², the
/// nearest to what was asked for.
///
/// # Shapes
/// `x`, `k` and `a` (batch, features).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropout {
    /// Of `x` and `a`.
    pub features: usize,
    /// The share that is dropped, in [0, 1).
    pub rate: f64,
}

/// Parts of which a rate is some.
const LEVELS: f64 = (1u64 << 32) as f64;

/// k of a batch.
#[derive(Clone, Copy)]
struct Mask<T> {
    draws: Places,
    /// Of the batch in the step.
    first_row: usize,
    features: usize,
    /// The draws below which an element is dropped.
    dropped: u32,
    /// 1/(1 - rate)
    kept: T,
}

impl<T: Real> Mask<T> {
    #[inline(always)]
    fn of_row(self, row: usize) -> impl Fn(usize) -> T {
        let first = self.first_row.wrapping_add(row).wrapping_mul(self.features) as u32;
        #[inline(always)]
        move |column| {
            let draw = self.draws.at(first.wrapping_add(column as u32));
            if draw < self.dropped { T::ZERO } else { self.kept }
        }
    }
}

impl Dropout {
    /// This dropout with its rate times `factor`.
    pub(crate) fn times(self, factor: f64) -> Self {
        Self { rate: self.rate * factor, ..self }
    }

    /// k; in inference there is none. `layer` tells dropouts of one network apart.
    fn mask<T: Real>(&self, pass: Pass, layer: usize) -> Option<Mask<T>> {
        let Pass::Training { seed, step, first_row } = pass else { return None };
        let draws = Stream::new(seed, Purpose::Dropout, step).item(layer as u64).places();
        let dropped = (self.rate * LEVELS).round().min(LEVELS - 1.0);
        let kept = T::from_f64(LEVELS / (LEVELS - dropped));
        Some(Mask { draws, first_row, features: self.features, dropped: dropped as u32, kept })
    }

    /// Overwrites `a` with the layer's output for the batch `x`.
    pub(crate) fn forward<T: Real>(
        &self,
        threads: &Threads,
        pass: Pass,
        layer: usize,
        x: ArrayView2<T>,
        a: ArrayViewMut2<T>,
    ) {
        self.multiply(threads, self.mask(pass, layer), x, a); // a = x ⊙ k
    }

    /// Overwrites `dx` with ∂L/∂x for `d` = ∂L/∂a, or with what comes back through a ReLU whose output x is: such an x is
    /// positive and kept where `a` is positive, so that k need not be known.
    #[expect(clippy::too_many_arguments, reason = "the terms of the formulas")]
    pub(crate) fn backward<T: Real>(
        &self,
        threads: &Threads,
        pass: Pass,
        layer: usize,
        a: ArrayView2<T>,
        d: ArrayView2<T>,
        dx: ArrayViewMut2<T>,
        is_after_relu: bool,
    ) {
        let k = self.mask::<T>(pass, layer);
        if !is_after_relu {
            return self.multiply(threads, k, d, dx); // dx = da ⊙ k
        }
        let kept = k.map_or(T::ONE, |k| k.kept);
        each_row(
            threads,
            self.features,
            [dx],
            [d, a],
            #[inline(always)]
            move |_, [dx], [d, a]| {
                let terms = d.iter().zip(a);
                dx.iter_mut().zip(terms).for_each(|(dx, (&d, &a))| *dx = if a > T::ZERO { d * kept } else { T::ZERO });
            },
        );
    }

    /// Overwrites `y` with x ⊙ k.
    fn multiply<T: Real>(&self, threads: &Threads, k: Option<Mask<T>>, x: ArrayView2<T>, y: ArrayViewMut2<T>) {
        let Some(k) = k else { return copy(threads, x, y) };
        each_row(
            threads,
            self.features,
            [y],
            [x],
            #[inline(always)]
            move |row, [y], [x]| {
                let k = k.of_row(row);
                y.iter_mut().zip(x).enumerate().for_each(|(column, (y, &x))| *y = x * k(column));
            },
        );
    }
}
