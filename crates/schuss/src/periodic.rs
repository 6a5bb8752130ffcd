//! Periodic embeddings of numbers: their forward and their backward.

use std::f64::consts::TAU;
use std::ops::{Range, RangeInclusive};

use ndarray::{ArrayView2, ArrayViewMut2};
use schuss_kernels::{Threads, each_row};
use serde::{Deserialize, Serialize};

use crate::{Factors, Real};

/// What becomes of a number x: `[x, W₂·cos(2π w₁ x + b₁) + b₂]`, every number with parameters of its own. PBLD of Holzmüller
/// et al. 2024 (arXiv:2407.04491), after Gorishniy et al. 2022 (arXiv:2203.05556).
///
/// # Shapes
/// Of n numbers with k frequencies and o outputs each, x among them: w₁ and b₁ (n, k), W₂ (n, o - 1, k), b₂ (n, o - 1);
/// its parameters are in this order.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Periodic {
    /// k
    pub frequencies: usize,
    /// o, from 2 to 65.
    pub outputs: usize,
    /// The standard deviation of w₁ at first.
    pub deviation: f64,
    /// How its parameters are learnt.
    #[serde(default, skip_serializing_if = "Factors::is_one")]
    pub factors: Factors,
}

/// Rows, or frequencies, that vectors work on side by side.
const LANES: usize = 16;
/// Outputs beside x, at most, and those of RealMLP, whose loops are compiled for so many: their sums need not go to memory.
const MOST_OUTPUTS: usize = 64;
const USUAL_OUTPUTS: usize = 3;
/// Elements that a sine and a cosine are as much work as.
const WORK: usize = 8;

impl Periodic {
    /// What o may be.
    pub(crate) const OUTPUTS: RangeInclusive<usize> = 2..=MOST_OUTPUTS + 1;

    /// Parameters for each number: of w₁, b₁, W₂, b₂.
    pub(crate) fn lengths(&self) -> [usize; 4] {
        let Self { frequencies, outputs, .. } = *self;
        [frequencies, frequencies, (outputs - 1) * frequencies, outputs - 1]
    }

    /// What a row is as much work as.
    pub(crate) fn work(&self, numbers: usize) -> usize {
        numbers * self.frequencies * WORK
    }

    /// w₁, b₁, W₂ and b₂ of one of so many numbers.
    #[inline(always)]
    fn of_number<'p, T>(&self, numbers: usize, parameters: &'p [T], number: usize) -> [&'p [T]; 4] {
        let mut rest = parameters;
        self.lengths().map(|length| {
            let of_all = rest.split_off(..numbers * length).unwrap_or_default();
            &of_all[number * length..][..length]
        })
    }

    /// Overwrites the first columns of the rows `a`, which lie one after the other, for the first `numbers` columns of
    /// `x` in the rows `range`.
    #[inline(always)]
    pub(crate) fn forward<T: Real>(
        &self,
        numbers: usize,
        parameters: &[T],
        x: ArrayView2<T>,
        range: Range<usize>,
        a: &mut [T],
    ) {
        match self.outputs - 1 {
            USUAL_OUTPUTS => self.forward_of::<T, USUAL_OUTPUTS>(numbers, parameters, x, range, a),
            _ => self.forward_of::<T, MOST_OUTPUTS>(numbers, parameters, x, range, a),
        }
    }

    /// [`Periodic::forward`] of so many outputs beside x, or of at most [`MOST_OUTPUTS`].
    #[inline(always)]
    fn forward_of<T: Real, const OUTPUTS: usize>(
        &self,
        numbers: usize,
        parameters: &[T],
        x: ArrayView2<T>,
        range: Range<usize>,
        a: &mut [T],
    ) {
        let outputs = if OUTPUTS == MOST_OUTPUTS { self.outputs - 1 } else { OUTPUTS };
        if range.is_empty() {
            return;
        }
        let columns = a.len() / range.len();
        for (rows, first) in a.chunks_mut(LANES * columns).zip(range.step_by(LANES)) {
            let count = rows.len() / columns;
            for number in 0..numbers {
                let [w1, b1, w2, b2] = self.of_number(numbers, parameters, number);
                let x: [T; LANES] =
                    std::array::from_fn(|row| if row < count { x[(first + row, number)] } else { T::ZERO });
                let mut sums = [[T::ZERO; LANES]; OUTPUTS];
                sums[..outputs].iter_mut().zip(b2).for_each(|(sums, &b2)| *sums = [b2; LANES]);
                for (k, (&w1, &b1)) in w1.iter().zip(b1).enumerate() {
                    let frequency = T::from_f64(TAU) * w1;
                    let mut cos = [T::ZERO; LANES];
                    cos.iter_mut().zip(x).for_each(|(cos, x)| *cos = (frequency * x + b1).sin_cos().1);
                    for (output, sums) in sums[..outputs].iter_mut().enumerate() {
                        let w2 = w2[output * self.frequencies + k];
                        sums.iter_mut().zip(cos).for_each(|(sum, cos)| *sum += w2 * cos);
                    }
                }
                for (row, out) in rows.chunks_mut(columns).enumerate() {
                    let out = &mut out[number * (outputs + 1)..][..outputs + 1];
                    out[0] = x[row];
                    out[1..].iter_mut().zip(&sums).for_each(|(out, sums)| *out = sums[row]);
                }
            }
        }
    }

    /// Overwrites `gradient` for the first `numbers` columns of `x` and what `d` = ∂L/∂a says of their outputs, the first
    /// columns of `d`. A number's gradient is summed up in the order of the rows, by one thread.
    pub(crate) fn backward<T: Real>(
        &self,
        threads: &Threads,
        numbers: usize,
        parameters: &[T],
        x: ArrayView2<T>,
        d: ArrayView2<T>,
        gradient: &mut [T],
    ) {
        let mut rest = gradient;
        let gradients = self.lengths().map(|length| {
            let of_all = rest.split_off_mut(..numbers * length).unwrap_or_default();
            ArrayViewMut2::from_shape((numbers, length), of_all).expect("a row for each number")
        });
        let work = x.nrows() * self.work(1);
        each_row(
            threads,
            work,
            gradients,
            [],
            #[inline(always)]
            |number, gradients, []| {
                let of_number = self.of_number(numbers, parameters, number);
                match self.outputs - 1 {
                    USUAL_OUTPUTS => self.backward_of::<T, USUAL_OUTPUTS>(number, of_number, x, d, gradients),
                    _ => self.backward_of::<T, MOST_OUTPUTS>(number, of_number, x, d, gradients),
                }
            },
        );
    }

    /// [`Periodic::backward`] of one number, of so many outputs beside x, or of at most [`MOST_OUTPUTS`].
    #[inline(always)]
    fn backward_of<T: Real, const OUTPUTS: usize>(
        &self,
        number: usize,
        [w1, b1, w2, _]: [&[T]; 4],
        x: ArrayView2<T>,
        d: ArrayView2<T>,
        [d_w1, d_b1, d_w2, d_b2]: [&mut [T]; 4],
    ) {
        let outputs = if OUTPUTS == MOST_OUTPUTS { self.outputs - 1 } else { OUTPUTS };
        let k = self.frequencies;
        let tau = T::from_f64(TAU);
        let contiguous = "rows lie one after the other";
        let [x_columns, d_columns] = [x.ncols(), d.ncols()];
        let x = x.to_slice().expect(contiguous).chunks_exact(x_columns).map(|x| x[number]);
        let d = d.to_slice().expect(contiguous).chunks_exact(d_columns);
        for first in (0..k).step_by(LANES) {
            let count = LANES.min(k - first);
            let lanes = |of_all: &[T]| -> [T; LANES] {
                std::array::from_fn(|lane| if lane < count { of_all[first + lane] } else { T::ZERO })
            };
            let [frequencies, phases] = [lanes(w1).map(|w1| tau * w1), lanes(b1)];
            let [mut weights, mut sums] = [[[T::ZERO; LANES]; OUTPUTS]; 2];
            weights[..outputs].iter_mut().zip(w2.chunks(k)).for_each(|(weights, w2)| *weights = lanes(w2));
            let [mut of_frequency, mut of_phase] = [[T::ZERO; LANES]; 2];
            let mut of_bias = [T::ZERO; OUTPUTS];
            for (x, d) in x.clone().zip(d.clone()) {
                let d = &d[number * (outputs + 1) + 1..][..outputs];
                let [mut sin, mut cos] = [[T::ZERO; LANES]; 2];
                for lane in 0..LANES {
                    (sin[lane], cos[lane]) = (frequencies[lane] * x + phases[lane]).sin_cos();
                }
                let mut d_cos = [T::ZERO; LANES];
                for output in 0..outputs {
                    let (d, weights, sums) = (d[output], &weights[output], &mut sums[output]);
                    for lane in 0..LANES {
                        d_cos[lane] += d * weights[lane]; // dcos = W₂ᵀ·da
                        sums[lane] += d * cos[lane]; // dW₂ = Σ_batch da ⊗ cos
                    }
                    of_bias[output] += d; // db₂ = Σ_batch da
                }
                for lane in 0..LANES {
                    let d_angle = -(d_cos[lane] * sin[lane]);
                    of_frequency[lane] += d_angle * x; // dw₁ = 2π Σ_batch x d(angle)
                    of_phase[lane] += d_angle; // db₁ = Σ_batch d(angle)
                }
            }
            let keep = |out: &mut [T], lanes: &[T; LANES]| out[first..][..count].copy_from_slice(&lanes[..count]);
            keep(d_w1, &of_frequency.map(|sum| tau * sum));
            keep(d_b1, &of_phase);
            d_w2.chunks_mut(k).zip(&sums).for_each(|(d_w2, sums)| keep(d_w2, sums));
            d_b2.copy_from_slice(&of_bias[..outputs]);
        }
    }

    /// Overwrites the first columns of a row of ∂L/∂x, as many as there are numbers.
    #[inline(always)]
    pub(crate) fn backward_input<T: Real>(&self, numbers: usize, parameters: &[T], x: &[T], d: &[T], dx: &mut [T]) {
        for (number, dx) in dx[..numbers].iter_mut().enumerate() {
            let [w1, b1, w2, _] = self.of_number(numbers, parameters, number);
            let d = &d[number * self.outputs..][..self.outputs];
            *dx = d[0];
            for (k, (&w1, &b1)) in w1.iter().zip(b1).enumerate() {
                let frequency = T::from_f64(TAU) * w1;
                let sin = (frequency * x[number] + b1).sin_cos().0;
                let mut d_cos = T::ZERO;
                d[1..].iter().zip(w2.chunks(self.frequencies)).for_each(|(&d, w2)| d_cos += d * w2[k]);
                *dx -= frequency * (d_cos * sin); // dx = da₀ + 2π Σ w₁ d(angle)
            }
        }
    }
}
