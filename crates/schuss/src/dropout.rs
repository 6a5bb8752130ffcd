//! Dropout: its forward and its backward.

use ndarray::{ArrayView2, ArrayViewMut2};
use schuss_kernels::each_row;
use serde::{Deserialize, Serialize};

use crate::random::{Purpose, Stream};
use crate::residual::copy;
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

/// Parts of which a rate is some.
const LEVELS: f64 = 65536.0;
/// Elements of a row that are drawn at once.
const PART: usize = 256;

impl Dropout {
    /// This dropout with its rate times `factor`.
    pub(crate) fn times(self, factor: f64) -> Self {
        Self { rate: self.rate * factor, ..self }
    }

    /// The draws below which an element is dropped, and 1/(1 - rate).
    fn dropped_and_kept<T: Real>(&self) -> (u16, T) {
        let dropped = (self.rate * LEVELS).round().min(LEVELS - 1.0);
        (dropped as u16, T::from_f64(LEVELS / (LEVELS - dropped)))
    }

    /// Overwrites `a` with the layer's output for the batch `x`, and in training `k`, unless it has no columns, with what
    /// x was multiplied with. `layer` tells dropouts of one network apart.
    pub(crate) fn forward<T: Real>(
        &self,
        threads: &Threads,
        pass: Pass,
        layer: usize,
        x: ArrayView2<T>,
        k: ArrayViewMut2<T>,
        a: ArrayViewMut2<T>,
    ) {
        let Pass::Training { seed, step, first_row } = pass else { return copy(threads, x, a) };
        let (dropped, kept) = self.dropped_and_kept::<T>();
        let draws = Stream::new(seed, Purpose::Dropout, step);
        each_row(
            threads,
            self.features,
            [k, a],
            [x],
            #[inline(always)]
            |row, [k, a], [x]| {
                // Two draws a word; every row begins with a block of its own.
                let words = x.len().div_ceil(2).next_multiple_of(16) as u64;
                let mut draws = draws.at(layer as u64, (first_row + row) as u64 * words);
                let (mut bytes, mut factors) = ([0; 2 * PART], [T::ZERO; PART]);
                for (part, (a, x)) in a.chunks_mut(PART).zip(x.chunks(PART)).enumerate() {
                    let (bytes, factors) = (&mut bytes[..2 * x.len()], &mut factors[..x.len()]);
                    draws.fill(bytes);
                    let drawn = bytes.as_chunks::<2>().0.iter().map(|draw| u16::from_le_bytes(*draw));
                    factors
                        .iter_mut()
                        .zip(drawn)
                        .for_each(|(k, draw)| *k = if draw < dropped { T::ZERO } else { kept });
                    a.iter_mut().zip(x.iter().zip(&*factors)).for_each(|(a, (&x, &k))| *a = x * k); // a = x ⊙ k
                    if !k.is_empty() {
                        k[part * PART..][..x.len()].copy_from_slice(factors);
                    }
                }
            },
        );
    }

    /// Overwrites `dx` with ∂L/∂x for `d` = ∂L/∂a, or with what comes back through a ReLU whose output x is: such an x is
    /// positive and kept where `a` is positive, so that k is not needed.
    #[expect(clippy::too_many_arguments, reason = "the terms of the formulas")]
    pub(crate) fn backward<T: Real>(
        &self,
        threads: &Threads,
        pass: Pass,
        k: ArrayView2<T>,
        a: ArrayView2<T>,
        d: ArrayView2<T>,
        dx: ArrayViewMut2<T>,
        is_after_relu: bool,
    ) {
        let is_training = pass != Pass::Inference;
        let kept = if is_training { self.dropped_and_kept::<T>().1 } else { T::ONE };
        match is_after_relu {
            true => each_row(
                threads,
                self.features,
                [dx],
                [d, a],
                #[inline(always)]
                |_, [dx], [d, a]| {
                    let terms = d.iter().zip(a);
                    dx.iter_mut()
                        .zip(terms)
                        .for_each(|(dx, (&d, &a))| *dx = if a > T::ZERO { d * kept } else { T::ZERO });
                },
            ),
            false if is_training => each_row(
                threads,
                self.features,
                [dx],
                [d, k],
                #[inline(always)]
                |_, [dx], [d, k]| dx.iter_mut().zip(d.iter().zip(k)).for_each(|(dx, (&d, &k))| *dx = d * k), // dx = da ⊙ k
            ),
            false => copy(threads, d, dx),
        }
    }
}
