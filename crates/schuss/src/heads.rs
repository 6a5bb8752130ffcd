//! The last layer of several networks in one: its forward and its backward.

use ndarray::{ArrayView2, ArrayViewMut2, Axis};
use schuss_kernels::{Compute, Fused};
use serde::{Deserialize, Serialize};

use crate::fork::of_member;
use crate::{Activation, Dense, Real};

/// A [`Dense`] layer for each of the networks that a [`Fork`](crate::Fork) made, `a_j = f(x_j·W_jᵀ + b_j)`.
///
/// # Shapes
/// `x` (batch · members, inputs) and `a` (batch · members, outputs), the members of a row one after the other. Parameters:
/// W and b of the first network, then of the second, and so on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heads {
    /// The layer of one network.
    pub dense: Dense,
    /// How many networks.
    pub members: usize,
}

impl Heads {
    /// Overwrites `a` with the layer's output for the batch `x`, and `z` where f keeps it.
    pub(crate) fn forward<T: Real>(
        &self,
        compute: &Compute,
        parameters: &[T],
        x: ArrayView2<T>,
        mut z: ArrayViewMut2<T>,
        mut a: ArrayViewMut2<T>,
    ) {
        let linear = self.linear();
        for (j, parameters) in parameters.chunks_exact(linear.parameter_count()).enumerate() {
            let rows = of_member(j, self.members);
            let (x, a) = (x.slice_axis(Axis(0), rows), a.slice_axis_mut(Axis(0), rows));
            linear.forward(compute, parameters, x, z.view_mut(), a); // z_j = x_j·W_jᵀ + 1·b_jᵀ
        }
        if self.dense.activation.keeps_logits() {
            z.assign(&a);
        }
        self.dense.activation.apply(&compute.threads, a); // a = f(z)
    }

    /// Overwrites `gradient`, and `dx` if there is one. `d` is ∂L/∂a on entry and ∂L/∂z on return.
    #[expect(clippy::too_many_arguments, reason = "the terms of the formulas")]
    pub(crate) fn backward<T: Real>(
        &self,
        compute: &Compute,
        parameters: &[T],
        x: ArrayView2<T>,
        z: ArrayView2<T>,
        a: ArrayView2<T>,
        mut d: ArrayViewMut2<T>,
        gradient: &mut [T],
        mut dx: Option<ArrayViewMut2<T>>,
    ) {
        self.dense.activation.chain(&compute.threads, z, a, d.view_mut()); // dz = da ⊙ f′(z)
        let linear = self.linear();
        let count = linear.parameter_count();
        let of_members = parameters.chunks_exact(count).zip(gradient.chunks_exact_mut(count));
        for (j, (parameters, gradient)) in of_members.enumerate() {
            let rows = of_member(j, self.members);
            let (x, d) = (x.slice_axis(Axis(0), rows), d.slice_axis_mut(Axis(0), rows));
            let dx = dx.as_mut().map(|dx| (dx.slice_axis_mut(Axis(0), rows), Fused::Nothing));
            linear.backward(compute, parameters, x, z, a, d, gradient, dx);
        }
    }

    /// The layer of one network without f, which all rows go through at once.
    fn linear(&self) -> Dense {
        Dense { activation: Activation::Identity, ..self.dense }
    }
}
