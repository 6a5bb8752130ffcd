//! The fully connected layer: its forward and its backward.

use ndarray::{ArrayView2, ArrayViewMut2};
use schuss_kernels::{Compute, Fused, gemm, sum_rows};
use serde::{Deserialize, Serialize};

use crate::{Activation, Factors, Real};

/// Fully connected layer, `a = f(x·Wᵀ + b)`.
///
/// # Shapes
/// Row-major: `x` (batch, inputs), `weight` W (outputs, inputs), `bias` b (outputs,), `z` and `a` (batch, outputs).
///
/// A layer describes itself and holds no numbers: its parameters are a slice of the network's, W before b, and its
/// gradient is the same slice of the network's gradient. How it is learnt is part of the description.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dense {
    /// Features of `x`.
    pub inputs: usize,
    /// Features of `a`.
    pub outputs: usize,
    /// f
    pub activation: Activation,
    /// What of W an optimiser sees.
    #[serde(default, skip_serializing_if = "Parametrization::is_standard")]
    pub parametrization: Parametrization,
    /// How b is learnt.
    #[serde(default = "Dense::bias_factors", skip_serializing_if = "Dense::is_usual_bias")]
    pub bias_factors: Factors,
}

/// What of a weight W an optimiser sees; the layer itself is the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Parametrization {
    /// W itself.
    #[default]
    Standard,
    /// V = √inputs W, the neural tangent parametrisation (Jacot, Gabriel and Hongler 2018, arXiv:1806.07572), where the
    /// layer is x·Vᵀ/√inputs + b: V's gradient is W's over √inputs, and V's step changes W by itself over √inputs. Weight
    /// decay is V's, θ -= η λ θ as for any other.
    NeuralTangent,
}

impl Parametrization {
    fn is_standard(&self) -> bool {
        *self == Self::Standard
    }

    /// The [`gain`](crate::Segment::gain) of a weight of so many inputs.
    pub(crate) fn gain(self, inputs: usize) -> f64 {
        match self {
            Self::Standard => 1.0,
            Self::NeuralTangent => 1.0 / (inputs as f64).sqrt(),
        }
    }
}

impl Dense {
    /// A layer that is learnt as it is.
    pub fn new(inputs: usize, outputs: usize, activation: Activation) -> Self {
        let (parametrization, bias_factors) = (Parametrization::Standard, Self::bias_factors());
        Self { inputs, outputs, activation, parametrization, bias_factors }
    }

    /// As all others, but that it does not decay.
    fn bias_factors() -> Factors {
        Factors { decay: 0.0, ..Factors::ONE }
    }

    fn is_usual_bias(factors: &Factors) -> bool {
        *factors == Self::bias_factors()
    }

    /// Overwrites `a` with the layer's output for the batch `x`, and `z` where f keeps it
    /// ([`Activation::keeps_logits`]).
    pub fn forward<T: Real>(
        &self,
        compute: &Compute,
        parameters: &[T],
        x: ArrayView2<T>,
        mut z: ArrayViewMut2<T>,
        mut a: ArrayViewMut2<T>,
    ) {
        let (weight, bias) = self.views(parameters);
        let (with_bias, rest) = self.activation.fuse(bias);
        gemm(compute, x, weight.t(), with_bias, a.view_mut()); // z = x·Wᵀ + 1·bᵀ
        if self.activation.keeps_logits() {
            z.assign(&a);
        }
        rest.apply(&compute.threads, a); // a = f(z), unless the product did it
    }

    /// Overwrites `gradient`, and `dx` if there is one, with what its product is fused with. `d` is ∂L/∂a on entry and
    /// ∂L/∂z on return; f′ comes from the output `a`, so that z is stored only where that cannot be.
    #[expect(clippy::too_many_arguments, reason = "the terms of the formulas")]
    pub fn backward<T: Real>(
        &self,
        compute: &Compute,
        parameters: &[T],
        x: ArrayView2<T>,
        z: ArrayView2<T>,
        a: ArrayView2<T>,
        mut d: ArrayViewMut2<T>,
        gradient: &mut [T],
        dx: Option<(ArrayViewMut2<T>, Fused<T>)>,
    ) {
        let (weight, _) = self.views(parameters);
        let (d_weight, d_bias) = self.views_mut(gradient);
        self.activation.chain(&compute.threads, z, a, d.view_mut()); // dz = da ⊙ f′(z)
        let dz = d.view();
        gemm(compute, dz.t(), x, Fused::Nothing, d_weight); // dW = dzᵀ·x
        sum_rows(&compute.threads, dz, d_bias); // db = Σ_batch dz
        if let Some((dx, fused)) = dx {
            gemm(compute, dz, weight, fused, dx); // dx = dz·W
        }
    }

    /// How many numbers W and b are.
    pub fn parameter_count(&self) -> usize {
        self.outputs * (self.inputs + 1)
    }

    /// W and b.
    pub(crate) fn views<'p, T>(&self, parameters: &'p [T]) -> (ArrayView2<'p, T>, &'p [T]) {
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
