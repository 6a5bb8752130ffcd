//! Optimisers: how a gradient changes the parameters. One pass over the flat buffer each.

use schuss_kernels::{update, update_with_moments};

use crate::{Error, Real, Result, Threads};

/// The rule and its constants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    /// Plain gradient descent: θ -= η g.
    Sgd,
    /// Adam (Kingma and Ba 2015, arXiv:1412.6980, algorithm 1):
    /// m = β₁ m + (1-β₁) g, v = β₂ v + (1-β₂) g², θ -= η m̂ / (√v̂ + ε) with m̂ = m/(1-β₁ᵗ), v̂ = v/(1-β₂ᵗ).
    Adam {
        /// β₁
        beta1: f64,
        /// β₂
        beta2: f64,
        /// ε
        epsilon: f64,
    },
}

impl Optimizer {
    /// Adam with the constants of its paper.
    pub const ADAM: Self = Self::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

    /// Every optimiser with its usual constants.
    pub const ALL: [Self; 2] = [Self::Sgd, Self::ADAM];

    /// The name as in settings and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sgd => "sgd",
            Self::Adam { .. } => "adam",
        }
    }

    /// The optimiser of this name, with its usual constants.
    ///
    /// # Errors
    /// There is none; the message lists them.
    pub fn from_name(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|optimizer| optimizer.name() == name).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.map(Self::name).into();
            Error::value("optimizer", format!("one of {}", names.join(", ")), name)
        })
    }
}

/// What an optimiser remembers from step to step.
#[derive(Clone, Debug)]
pub struct OptimizerState<T> {
    optimizer: Optimizer,
    first_moment: Vec<T>,
    second_moment: Vec<T>,
    steps: i32,
}

impl<T: Real> OptimizerState<T> {
    /// The state before the first step, for this many parameters.
    pub fn new(optimizer: Optimizer, parameters: usize) -> Self {
        let moments = match optimizer {
            Optimizer::Sgd => 0,
            Optimizer::Adam { .. } => parameters,
        };
        let [first_moment, second_moment] = [0, 1].map(|_| vec![T::ZERO; moments]);
        Self { optimizer, first_moment, second_moment, steps: 0 }
    }

    /// One update of the flat parameters; allocates nothing.
    ///
    /// # Panics
    /// The numbers of parameters and gradients differ.
    pub fn step(&mut self, threads: &Threads, parameters: &mut [T], gradient: &[T], learning_rate: f64) {
        self.steps += 1;
        match self.optimizer {
            Optimizer::Sgd => {
                let rate = T::from_f64(learning_rate);
                update(threads, parameters, gradient, |p, g| *p -= rate * g);
            }
            Optimizer::Adam { beta1, beta2, epsilon } => {
                let rate = learning_rate / (1.0 - beta1.powi(self.steps));
                let correction = 1.0 / (1.0 - beta2.powi(self.steps)).sqrt();
                let [keep1, keep2, add1, add2, rate, correction, epsilon] =
                    [beta1, beta2, 1.0 - beta1, 1.0 - beta2, rate, correction, epsilon].map(T::from_f64);
                let moments = [&mut self.first_moment[..], &mut self.second_moment[..]];
                update_with_moments(threads, parameters, gradient, moments, |p, g, m, v| {
                    *m = keep1 * *m + add1 * g;
                    *v = keep2 * *v + add2 * g * g;
                    *p -= rate * *m / (v.sqrt() * correction + epsilon);
                });
            }
        }
    }
}
