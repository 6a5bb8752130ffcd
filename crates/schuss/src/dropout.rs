//! Dropout: its forward and its backward.

use ndarray::{ArrayView2, ArrayViewMut2};
use schuss_kernels::each_row;
use serde::{Deserialize, Serialize};

use crate::random::{Purpose, Stream};
use crate::workspace::Pass;
use crate::{Real, Threads};

/// Dropout (Srivastava et al. 2014, JMLR 15): in training `a = x ⊙ k`, where each element of k is 0 with probability
/// `rate` and 1/(1 - rate) otherwise, so that the mean stays; else `a = x`.
///
/// k is a function of the seed, the step, the layer, and the place in the batch. A rate is one of 0, 1, ..., 65,535
/// parts of 65,536, the nearest to what was asked for.
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

impl Dropout {
    /// Overwrites `a` with the layer's output for the batch `x`, and in training `k` with what x was multiplied with.
    /// `layer` tells dropouts of one network apart.
    pub(crate) fn forward<T: Real>(
        &self,
        threads: &Threads,
        pass: Pass,
        layer: usize,
        x: ArrayView2<T>,
        k: ArrayViewMut2<T>,
        mut a: ArrayViewMut2<T>,
    ) {
        const LEVELS: f64 = 65536.0;
        let Pass::Training { seed, step, first_row } = pass else { return a.assign(&x) };
        let dropped = (self.rate * LEVELS).round().min(LEVELS - 1.0);
        let kept = T::from_f64(LEVELS / (LEVELS - dropped));
        let dropped = dropped as u16;
        let draws = Stream::new(seed, Purpose::Dropout, step);
        each_row(
            threads,
            [k, a],
            x,
            #[inline(always)]
            |row, [k, a], x| {
                // Two draws a word; every row begins with a block of its own.
                let words = k.len().div_ceil(2).next_multiple_of(16) as u64;
                let mut draws = draws.at(layer as u64, (first_row + row) as u64 * words);
                let mut bytes = [0; 1024];
                for ((k, a), x) in k.chunks_mut(512).zip(a.chunks_mut(512)).zip(x.chunks(512)) {
                    let bytes = &mut bytes[..2 * k.len()];
                    draws.fill(bytes);
                    for (k, draw) in k.iter_mut().zip(bytes.as_chunks::<2>().0) {
                        *k = if u16::from_le_bytes(*draw) < dropped { T::ZERO } else { kept };
                    }
                    a.iter_mut().zip(k.iter().zip(x)).for_each(|(a, (&k, &x))| *a = k * x);
                }
            },
        );
    }

    /// Overwrites `dx` with ∂L/∂x for `d` = ∂L/∂a.
    pub(crate) fn backward<T: Real>(
        &self,
        threads: &Threads,
        pass: Pass,
        k: ArrayView2<T>,
        d: ArrayViewMut2<T>,
        mut dx: ArrayViewMut2<T>,
    ) {
        if pass == Pass::Inference {
            return dx.assign(&d);
        }
        each_row(
            threads,
            [dx, d],
            k,
            #[inline(always)]
            |_, [dx, d], k| dx.iter_mut().zip(d.iter().zip(k)).for_each(|(dx, (&d, &k))| *dx = d * k), // dx = da ⊙ k
        );
    }
}
