//! The fully connected layer: its forward and its backward.

use ndarray::{ArrayView2, ArrayViewMut2};
use schuss_kernels::{Start, gemm, sum_rows};

use crate::{Activation, Real, Threads};

/// Fully connected layer, `a = f(x·Wᵀ + b)`.
///
/// # Shapes
/// Row-major: `x` (batch, inputs), `weight` W (outputs, inputs), `bias` b (outputs,), `z` and `a` (batch, outputs).
///
/// A layer describes itself and holds no numbers: its parameters are a slice of the network's, W before b, and its
/// gradient is the same slice of the network's gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dense {
    /// Features of `x`.
    pub inputs: usize,
    /// Features of `a`.
    pub outputs: usize,
    /// f
    pub activation: Activation,
}

impl Dense {
    /// Overwrites `a` with the layer's output for the batch `x`, and `z` where f keeps it
    /// ([`Activation::keeps_logits`]).
    pub fn forward<T: Real>(
        &self,
        threads: &Threads,
        parameters: &[T],
        x: ArrayView2<T>,
        mut z: ArrayViewMut2<T>,
        mut a: ArrayViewMut2<T>,
    ) {
        let (weight, bias) = self.views(parameters);
        gemm(threads, x, weight.t(), Start::Bias(bias), a.view_mut()); // z = x·Wᵀ + 1·bᵀ
        if self.activation.keeps_logits() {
            z.assign(&a);
        }
        self.activation.apply(threads, a); // a = f(z)
    }

    /// Overwrites `gradient`, and `dx` if there is one. `d` is ∂L/∂a on entry and ∂L/∂z on return; f′ comes from the
    /// output `a`, so that z is stored only where that cannot be.
    #[expect(clippy::too_many_arguments, reason = "the terms of the formulas")]
    pub fn backward<T: Real>(
        &self,
        threads: &Threads,
        parameters: &[T],
        x: ArrayView2<T>,
        z: ArrayView2<T>,
        a: ArrayView2<T>,
        mut d: ArrayViewMut2<T>,
        gradient: &mut [T],
        dx: Option<ArrayViewMut2<T>>,
    ) {
        let (weight, _) = self.views(parameters);
        let (d_weight, d_bias) = self.views_mut(gradient);
        self.activation.chain(threads, z, a, d.view_mut()); // dz = da ⊙ f′(z)
        let dz = d.view();
        gemm(threads, dz.t(), x, Start::Zero, d_weight); // dW = dzᵀ·x
        sum_rows(threads, dz, d_bias); // db = Σ_batch dz
        if let Some(dx) = dx {
            gemm(threads, dz, weight, Start::Zero, dx); // dx = dz·W
        }
    }

    /// How many numbers W and b are.
    pub fn parameter_count(&self) -> usize {
        self.outputs * (self.inputs + 1)
    }

    /// W and b.
    fn views<'p, T>(&self, parameters: &'p [T]) -> (ArrayView2<'p, T>, &'p [T]) {
        let (weight, bias) = parameters.split_at(self.outputs * self.inputs);
        (ArrayView2::from_shape((self.outputs, self.inputs), weight).expect(SLICE), bias)
    }

    /// ∂L/∂W and ∂L/∂b.
    fn views_mut<'p, T>(&self, gradient: &'p mut [T]) -> (ArrayViewMut2<'p, T>, &'p mut [T]) {
        let (weight, bias) = gradient.split_at_mut(self.outputs * self.inputs);
        (ArrayViewMut2::from_shape((self.outputs, self.inputs), weight).expect(SLICE), bias)
    }
}

const SLICE: &str = "a layer gets its own slice of the parameters";
