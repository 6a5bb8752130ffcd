//! The kinds of layers.

use ndarray::{ArrayView2, ArrayViewMut2};
use schuss_kernels::{Compute, Fused};

use crate::dense::Dense;
use crate::{Activation, Real};

/// A layer of a network. Each kind has its forward and backward in a file of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Layer {
    /// `a = f(x·Wᵀ + b)`
    Dense(Dense),
}

impl Layer {
    /// Features of the input.
    pub fn inputs(&self) -> usize {
        match self {
            Self::Dense(dense) => dense.inputs,
        }
    }

    /// Features of the output.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Dense(dense) => dense.outputs,
        }
    }

    /// The function that ends the layer.
    pub fn activation(&self) -> Activation {
        match self {
            Self::Dense(dense) => dense.activation,
        }
    }

    /// This layer with another function at its end.
    pub(crate) fn with_activation(self, activation: Activation) -> Self {
        match self {
            Self::Dense(dense) => Self::Dense(Dense { activation, ..dense }),
        }
    }

    /// How many numbers its parameters are.
    pub fn parameter_count(&self) -> usize {
        match self {
            Self::Dense(dense) => dense.parameter_count(),
        }
    }

    /// See [`Dense::forward`].
    pub(crate) fn forward<T: Real>(
        &self,
        compute: &Compute,
        parameters: &[T],
        x: ArrayView2<T>,
        z: ArrayViewMut2<T>,
        a: ArrayViewMut2<T>,
    ) {
        match self {
            Self::Dense(dense) => dense.forward(compute, parameters, x, z, a),
        }
    }

    /// See [`Dense::backward`].
    #[expect(clippy::too_many_arguments, reason = "the terms of the formulas")]
    pub(crate) fn backward<T: Real>(
        &self,
        compute: &Compute,
        parameters: &[T],
        x: ArrayView2<T>,
        z: ArrayView2<T>,
        a: ArrayView2<T>,
        d: ArrayViewMut2<T>,
        gradient: &mut [T],
        dx: Option<(ArrayViewMut2<T>, Fused<T>)>,
    ) {
        match self {
            Self::Dense(dense) => dense.backward(compute, parameters, x, z, a, d, gradient, dx),
        }
    }
}
