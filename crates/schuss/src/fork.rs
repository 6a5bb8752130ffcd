//! The fork of one network into several that share their layers: its forward and its backward.

use ndarray::{ArrayView2, ArrayViewMut2, Axis, Slice};
use schuss_kernels::{each_row, sum_rows_of};
use serde::{Deserialize, Serialize};

use crate::{Error, Factors, Heads, Layer, Real, Result, Scale, Threads};

/// Several networks in one, of which each sees the input by a learnt scale of its own, `a_j = r_j ⊙ x`, ±1 at random at
/// first: the layers after it are the same for all of them, but for the [`Heads`](crate::Heads) at the end. They are as
/// different as an ensemble's networks need to be, and share what they learn (TabM, in its form with one adapter: Gorishniy,
/// Kotelnikov and Babenko 2025, arXiv:2410.24210).
///
/// # Shapes
/// `x` (batch, features), r (members, features), `a` (batch · members, features): the members of a row follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fork {
    /// Of `x` and `a`.
    pub features: usize,
    /// How many networks.
    pub members: usize,
    /// How its parameters are learnt.
    #[serde(default, skip_serializing_if = "Factors::is_one")]
    pub factors: Factors,
}

impl Fork {
    /// Networks, at most: more than a few dozen are of no use.
    pub const MOST: usize = 1000;

    /// Overwrites `a` with the layer's output for the batch `x`.
    pub(crate) fn forward<T: Real>(&self, threads: &Threads, r: &[T], x: ArrayView2<T>, a: ArrayViewMut2<T>) {
        let f = self.features;
        let of_rows = a.into_shape_with_order((x.nrows(), self.members * f)).expect("rows are contiguous");
        each_row(
            threads,
            self.members * f,
            [of_rows],
            [x],
            #[inline(always)]
            |_, [a], [x]| {
                for (a, r) in a.chunks_exact_mut(f).zip(r.chunks_exact(f)) {
                    a.iter_mut().zip(x.iter().zip(r)).for_each(|(a, (&x, &r))| *a = r * x);
                }
            },
        );
    }

    /// Overwrites `gradient`, and `dx` if there is one, for `d` = ∂L/∂a.
    pub(crate) fn backward<T: Real>(
        &self,
        threads: &Threads,
        r: &[T],
        x: ArrayView2<T>,
        d: ArrayView2<T>,
        gradient: &mut [T],
        dx: Option<ArrayViewMut2<T>>,
    ) {
        let f = self.features;
        for (j, gradient) in gradient.chunks_exact_mut(f).enumerate() {
            // dr_j = Σ_batch da_j ⊙ x
            let d = d.slice_axis(Axis(0), of_member(j, self.members));
            sum_rows_of(threads, [d, x], [], [gradient], |[d, x]| ([], [d * x]));
        }
        if let Some(dx) = dx {
            let of_rows = d.into_shape_with_order((x.nrows(), self.members * f)).expect("rows are contiguous");
            each_row(
                threads,
                self.members * f,
                [dx],
                [of_rows],
                #[inline(always)]
                |_, [dx], [d]| {
                    dx.fill(T::ZERO);
                    // dx = Σ_members r_j ⊙ da_j
                    for (d, r) in d.chunks_exact(f).zip(r.chunks_exact(f)) {
                        dx.iter_mut().zip(d.iter().zip(r)).for_each(|(dx, (&d, &r))| *dx += r * d);
                    }
                },
            );
        }
    }

    /// Fails unless there can be so many networks.
    pub(crate) fn check(members: usize) -> Result<()> {
        match members {
            1..=Self::MOST => Ok(()),
            _ => Err(Error::value("networks that share layers", format!("1 to {}", Self::MOST), members)),
        }
    }

    /// The layer of one of the networks alone.
    pub(crate) fn alone(&self) -> Scale {
        Scale { features: self.features, factors: self.factors }
    }
}

/// The rows of network `j` among those of all `members`.
pub(crate) fn of_member(j: usize, members: usize) -> Slice {
    Slice::new(j as isize, None, members as isize)
}

/// The layers of a network of `members` networks that share these, but for the last one: it forks before the first dense
/// layer, behind what [embeds](crate::Embed) and [scales](Scale) the input.
///
/// ```
/// use schuss::{Activation, Mlp, Network, fork};
/// let mlp = Mlp::new(&[4, 8, 3], Activation::Relu, Activation::Identity);
/// let network = Network::<f32>::of_layers(fork(mlp.layers()?, 5)?)?;
/// assert_eq!(network.members(), 5);
/// assert_eq!(network.parameters().len(), 5 * 4 + (4 + 1) * 8 + 5 * (8 + 1) * 3);
/// # Ok::<(), schuss::Error>(())
/// ```
///
/// # Errors
/// No members, or too many; layers that fork already, or whose last one is not dense.
pub fn fork(mut layers: Vec<Layer>, members: usize) -> Result<Vec<Layer>> {
    Fork::check(members)?;
    if members == 1 {
        return Ok(layers);
    }
    let Some(Layer::Dense(last)) = layers.pop() else {
        return Err(Error::value("last layer of a network to fork", "a dense one", "another"));
    };
    layers.push(Layer::Heads(Heads { dense: last, members }));
    let place = layers.iter().take_while(|layer| matches!(layer, Layer::Embed(_) | Layer::Scale(_))).count();
    let factors = Factors { decay: 0.0, ..Factors::ONE };
    for layer in &mut layers {
        if let Layer::Residual(residual) = layer {
            residual.from += usize::from(residual.from >= place);
        }
    }
    layers.insert(place, Layer::Fork(Fork { features: layers[place].inputs(), members, factors }));
    Ok(layers)
}
