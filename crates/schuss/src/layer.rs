//! The kinds of layers.

use ndarray::{ArrayView2, ArrayViewMut2};
use schuss_kernels::{Compute, Fused};
use serde::{Deserialize, Serialize};

use crate::dense::Dense;
use crate::dropout::Dropout;
use crate::embed::Embed;
use crate::fork::Fork;
use crate::heads::Heads;
use crate::norm::{Kept, Norm};
use crate::parametric::Parametric;
use crate::residual::Residual;
use crate::scale::Scale;
use crate::workspace::{LayerMemory, Pass, first_rows, first_rows_mut};
use crate::{Activation, Real};

/// A layer of a network. Each kind has its forward and backward in a file of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Layer {
    /// `a = f(x·Wᵀ + b)`
    Dense(Dense),
    /// `a = x ⊙ k`, k random in training
    Dropout(Dropout),
    /// `a = f(γ ⊙ x̂ + β)`
    Norm(Norm),
    /// `a = x + s`, s the output of an earlier layer
    Residual(Residual),
    /// `a = s ⊙ x`
    Scale(Scale),
    /// `a = x + α ⊙ (f(x) - x)`
    Parametric(Parametric),
    /// Numbers, plain columns and tables of categories, side by side; only the first layer.
    Embed(Embed),
    /// `a_j = r_j ⊙ x`: from here on several networks, which share all layers but the [`Layer::Heads`].
    Fork(Fork),
    /// `a_j = f(x_j·W_jᵀ + b_j)`; only the last layer after a fork.
    Heads(Heads),
}

/// What the passes of one layer are given, beside its memory.
#[derive(Clone, Copy)]
pub(crate) struct Context<'c, T> {
    pub(crate) compute: &'c Compute,
    pub(crate) pass: Pass,
    /// The layer's place in the network.
    pub(crate) index: usize,
    /// What the rates of dropout are multiplied with.
    pub(crate) dropout_factor: f64,
    pub(crate) parameters: &'c [T],
    /// Running ones.
    pub(crate) statistics: &'c [T],
}

impl Layer {
    /// Features of the input.
    pub fn inputs(&self) -> usize {
        match self {
            Self::Dense(dense) | Self::Heads(Heads { dense, .. }) => dense.inputs,
            Self::Embed(embed) => embed.inputs(),
            _ => self.outputs(),
        }
    }

    /// Features of the output.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Dense(dense) | Self::Heads(Heads { dense, .. }) => dense.outputs,
            Self::Dropout(Dropout { features, .. })
            | Self::Norm(Norm { features, .. })
            | Self::Residual(Residual { features, .. })
            | Self::Scale(Scale { features, .. })
            | Self::Fork(Fork { features, .. })
            | Self::Parametric(Parametric { features, .. }) => *features,
            Self::Embed(embed) => embed.outputs(),
        }
    }

    /// Rows of the output for a row of the input.
    pub(crate) fn copies(&self) -> usize {
        if let Self::Fork(fork) = self { fork.members } else { 1 }
    }

    /// The fully connected layer that it is, or each of the networks that it ends.
    pub(crate) fn dense(&self) -> Option<&Dense> {
        match self {
            Self::Dense(dense) | Self::Heads(Heads { dense, .. }) => Some(dense),
            _ => None,
        }
    }

    /// The function that ends the layer.
    pub fn activation(&self) -> Activation {
        match self {
            Self::Dense(Dense { activation, .. })
            | Self::Heads(Heads { dense: Dense { activation, .. }, .. })
            | Self::Norm(Norm { activation, .. }) => *activation,
            _ => Activation::Identity,
        }
    }

    /// [`Layer::activation`], to change, where there is one.
    pub(crate) fn activation_mut(&mut self) -> Option<&mut Activation> {
        match self {
            Self::Dense(Dense { activation, .. })
            | Self::Heads(Heads { dense: Dense { activation, .. }, .. })
            | Self::Norm(Norm { activation, .. }) => Some(activation),
            _ => None,
        }
    }

    /// The function that it applies, at its end or within.
    pub(crate) fn function(&self) -> Activation {
        if let Self::Parametric(parametric) = self { parametric.activation } else { self.activation() }
    }

    /// How many numbers its parameters are.
    pub fn parameter_count(&self) -> usize {
        match self {
            Self::Dense(dense) => dense.parameter_count(),
            Self::Norm(norm) => 2 * norm.features,
            Self::Scale(scale) => scale.features,
            Self::Parametric(parametric) => parametric.features,
            Self::Embed(embed) => embed.parameter_count().unwrap_or(usize::MAX),
            Self::Fork(fork) => fork.members * fork.features,
            Self::Heads(heads) => heads.members * heads.dense.parameter_count(),
            Self::Dropout(_) | Self::Residual(_) => 0,
        }
    }

    /// How many numbers its running statistics are.
    pub fn statistics_count(&self) -> usize {
        match self {
            Self::Norm(norm) => norm.statistics_count(),
            _ => 0,
        }
    }

    /// Columns of [`LayerMemory::kept`].
    pub(crate) fn kept_columns(&self) -> usize {
        if let Self::Norm(norm) = self { norm.kept_columns() } else { 0 }
    }

    /// Numbers of [`LayerMemory::moments`].
    pub(crate) fn moments(&self) -> usize {
        match self {
            Self::Norm(norm) => norm.moments(),
            _ => 0,
        }
    }

    /// Overwrites the output in `memory` for the batch `x`, and what backward needs. `s` is the output of the layer that
    /// a residual connection comes from.
    pub(crate) fn forward<T: Real>(
        &self,
        context: Context<T>,
        x: ArrayView2<T>,
        s: Option<ArrayView2<T>>,
        memory: &mut LayerMemory<T>,
    ) {
        let Context { compute, pass, index, dropout_factor, parameters, statistics } = context;
        let threads = &compute.threads;
        let rows = x.nrows() * self.copies();
        let LayerMemory { z, a, kept, moments, .. } = memory;
        let [z, a, kept] = [z, a, kept].map(|matrix| first_rows_mut(matrix, rows));
        match self {
            Self::Dense(dense) => dense.forward(compute, parameters, x, z, a),
            Self::Dropout(dropout) => dropout.times(dropout_factor).forward(threads, pass, index, x, a),
            Self::Norm(norm) => {
                let kept = Kept { normalized: kept, moments };
                norm.forward(threads, pass, parameters, statistics, x, kept, z, a);
            }
            Self::Residual(residual) => residual.forward(threads, x, s.expect("an earlier layer"), a),
            Self::Scale(scale) => scale.forward(threads, parameters, x, a),
            Self::Parametric(parametric) => parametric.forward(threads, parameters, x, a),
            Self::Embed(embed) => embed.forward(threads, parameters, x, a),
            Self::Fork(fork) => fork.forward(threads, parameters, x, a),
            Self::Heads(heads) => heads.forward(compute, parameters, x, z, a),
        }
    }

    /// Overwrites `gradient`, and `dx` if there is one, with what its product is fused with. The output's gradient in
    /// `memory` is ∂L/∂a on entry and ∂L/∂z on return; `activation` is what is left to go back through of the layer's.
    pub(crate) fn backward<T: Real>(
        &self,
        context: Context<T>,
        activation: Activation,
        x: ArrayView2<T>,
        memory: &mut LayerMemory<T>,
        gradient: &mut [T],
        dx: Option<(ArrayViewMut2<T>, Fused<T>)>,
    ) {
        let Context { compute, pass, index, dropout_factor, parameters, .. } = context;
        let threads = &compute.threads;
        let rows = x.nrows() * self.copies();
        let LayerMemory { z, a, d, kept, moments } = memory;
        let [z, a] = [z, a].map(|matrix| first_rows(matrix, rows));
        let [d, kept] = [d, kept].map(|matrix| first_rows_mut(matrix, rows));
        match self {
            Self::Dense(dense) => {
                Dense { activation, ..*dense }.backward(compute, parameters, x, z, a, d, gradient, dx);
            }
            Self::Norm(norm) => {
                let norm = Norm { activation, ..*norm };
                let kept = Kept { normalized: kept, moments };
                norm.backward(threads, pass, parameters, kept, z, a, d, gradient, dx.map(|(dx, _)| dx));
            }
            Self::Dropout(dropout) => {
                if let Some((dx, fused)) = dx {
                    let is_after_relu = matches!(fused, Fused::ReluMask(_));
                    dropout.times(dropout_factor).backward(threads, pass, index, a, d.view(), dx, is_after_relu);
                }
            }
            Self::Residual(residual) => dx.into_iter().for_each(|(dx, _)| residual.backward(threads, d.view(), dx)),
            Self::Scale(scale) => scale.backward(threads, parameters, x, d.view(), gradient, dx.map(|(dx, _)| dx)),
            Self::Parametric(parametric) => {
                parametric.backward(threads, parameters, x, d.view(), gradient, dx.map(|(dx, _)| dx));
            }
            Self::Embed(embed) => embed.backward(threads, parameters, x, d.view(), gradient, dx.map(|(dx, _)| dx)),
            Self::Fork(fork) => fork.backward(threads, parameters, x, d.view(), gradient, dx.map(|(dx, _)| dx)),
            Self::Heads(heads) => {
                let dense = Dense { activation, ..heads.dense };
                Heads { dense, ..*heads }.backward(compute, parameters, x, z, a, d, gradient, dx.map(|(dx, _)| dx));
            }
        }
    }

    /// The layer whose output a residual connection adds.
    pub(crate) fn skips_from(&self) -> Option<usize> {
        if let Self::Residual(residual) = self { Some(residual.from) } else { None }
    }

    /// Whether its backward can do more with `dx` than write it: go back through the activation of the layer before.
    pub(crate) fn fuses(&self) -> bool {
        matches!(self, Self::Dense(_) | Self::Dropout(_))
    }
}

/// How parameters are learnt beside those of other layers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Factors {
    /// The learning rate is multiplied by this.
    pub rate: f64,
    /// λ of decoupled weight decay is multiplied by this, beside the learning rate's factor: 0 is none.
    pub decay: f64,
}

impl Factors {
    /// As all others.
    pub const ONE: Self = Self { rate: 1.0, decay: 1.0 };

    /// Whether they change nothing, which a file need not say.
    pub(crate) fn is_one(&self) -> bool {
        *self == Self::ONE
    }
}

impl Default for Factors {
    fn default() -> Self {
        Self::ONE
    }
}
