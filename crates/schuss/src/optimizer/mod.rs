//! Optimisers: how a gradient changes the parameters.
//!
//! Before the formula of an [`Optimizer`], every step does this, as PyTorch does: g is clipped ([`Clip`]), and where there
//! is weight decay λ, θ = (1 - η λ) θ (Loshchilov and Hutter 2019, arXiv:1711.05101; biases exempt). η is the learning
//! rate of the step times the factor of the segment. A segment with a [gain](crate::Segment::gain) k takes part as θ/k: the
//! formula sees k g, and θ changes by k times what it says (but L-BFGS, which measures for itself, has no use for that).
//! Clip, decay, formula and a look for what is not finite are one pass
//! over memory; only a norm or a product of vectors takes another.

mod adam;
mod average;
mod clip;
mod lbfgs;
mod muon;
mod pass;
mod rmsprop;
mod schedule_free;
mod sgd;
mod state;

use crate::{Error, Result};

pub use average::Average;
pub use clip::Clip;
pub use muon::MuonRate;
pub use state::OptimizerState;

/// The rule and its constants. θ are the parameters, g their gradient, η is the learning rate, t counts steps from 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    /// Gradient descent, with momentum in the form of Sutskever et al. 2013 (ICML) as PyTorch writes it:
    /// b = μ b + g, d = b or, with Nesterov's momentum, g + μ b; θ -= η d.
    Sgd {
        /// μ; 0 is plain gradient descent, which remembers nothing.
        momentum: f64,
        /// Whether the step looks ahead by one momentum.
        nesterov: bool,
    },
    /// RMSProp (Tieleman and Hinton 2012, lecture 6.5): v = α v + (1-α) g², d = g / (√v + ε), b = μ b + d, θ -= η b.
    /// Centred (Graves 2013, arXiv:1308.0850): m = α m + (1-α) g, and √(v - m²) in place of √v; what rounding puts below
    /// zero is zero there, where PyTorch has no number.
    RmsProp {
        /// α
        decay: f64,
        /// ε
        epsilon: f64,
        /// μ
        momentum: f64,
        /// Whether the variance of the gradient takes the place of its mean square.
        centered: bool,
    },
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
    /// The rule of [`Optimizer::Adam`], for use with weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101): its
    /// default is another, [`Optimizer::default_weight_decay`].
    AdamW {
        /// β₁
        beta1: f64,
        /// β₂
        beta2: f64,
        /// ε
        epsilon: f64,
    },
    /// Muon (Jordan et al. 2024, <https://kellerjordan.github.io/posts/muon/>) for the weights W (outputs, inputs) of
    /// hidden layers, which are all matrices but the last, as `torch.optim.Muon` with products in the precision of the
    /// parameters in place of bfloat16; [`Optimizer::AdamW`] for everything else:
    /// B = μ B + (1-μ) G, U = B or, with Nesterov's momentum, (1-μ) G + μ B; W -= η r O with O = NS(U / ‖U‖), where
    /// NS iterates X = a X + (b X Xᵀ + c (X Xᵀ)²) X, (a, b, c) = (3.4445, -4.7750, 2.0315), which brings all singular
    /// values near 1; r is [`MuonRate`].
    ///
    /// A step multiplies as much for a square weight of n columns as the passes of 5n rows through it do: for large batches.
    Muon {
        /// μ
        momentum: f64,
        /// Whether U looks ahead by one momentum.
        nesterov: bool,
        /// Iterations of NS.
        newton_schulz_steps: usize,
        /// r
        rate: MuonRate,
        /// β₁ of AdamW.
        beta1: f64,
        /// β₂ of AdamW.
        beta2: f64,
        /// ε of AdamW.
        epsilon: f64,
    },
    /// Schedule-free AdamW (Defazio et al. 2024, arXiv:2405.15682), as the package `schedulefree`. Training is at y; the
    /// model to use is the average x ([`OptimizerState::averaged`]):
    /// v = β₂ v + (1-β₂) g², d = g / (√v̂ + ε) + λ y, z -= η d, x = (1-c) x + c z, y = (1-β₁) z + β₁ x, with c the share
    /// of w = (largest η so far)² in the sum of all w. Over the first steps η grows linearly from 1/`warm_up` of itself.
    /// Made for a constant learning rate. x is not stored: x = y + (1 - 1/β₁) (z - y).
    ScheduleFree {
        /// β₁
        beta1: f64,
        /// β₂
        beta2: f64,
        /// ε
        epsilon: f64,
        /// Steps until η is reached.
        warm_up: usize,
    },
    /// L-BFGS (Nocedal 1980; Liu and Nocedal 1989) for gradients of all the data: d = -H g by the two-loop recursion over
    /// the last `history` pairs s = Δθ, y = Δg with yᵀs > 1e-10, from H = yᵀs/yᵀy; θ += η d, and η min(1, 1/‖g‖₁) d in the
    /// first step. As `torch.optim.LBFGS` with one iteration a step, no line search and no tolerances; η = 1 is usual.
    /// s is what the step changed, weight decay included. A [`Trainer`](crate::Trainer) halves the step until the loss falls
    /// enough.
    Lbfgs {
        /// Pairs that are remembered: each takes the memory of two gradients.
        history: usize,
    },
}

impl Optimizer {
    /// Plain gradient descent.
    pub const SGD: Self = Self::Sgd { momentum: 0.0, nesterov: false };
    /// RMSProp with the constants of PyTorch.
    pub const RMSPROP: Self = Self::RmsProp { decay: 0.99, epsilon: 1e-8, momentum: 0.0, centered: false };
    /// Adam with the constants of its paper.
    pub const ADAM: Self = Self::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
    /// AdamW with the constants of Adam.
    pub const ADAMW: Self = Self::AdamW { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
    /// Muon with the constants of its authors, at the learning rate of AdamW.
    pub const MUON: Self = Self::Muon {
        momentum: 0.95,
        nesterov: true,
        newton_schulz_steps: 5,
        rate: MuonRate::MatchRmsAdamW,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
    };
    /// Schedule-free AdamW with the constants of its authors.
    pub const SCHEDULE_FREE: Self = Self::ScheduleFree { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, warm_up: 0 };
    /// L-BFGS with a history of 10.
    pub const LBFGS: Self = Self::Lbfgs { history: 10 };

    /// Every optimiser with its usual constants.
    pub const ALL: [Self; 7] =
        [Self::SGD, Self::RMSPROP, Self::ADAM, Self::ADAMW, Self::MUON, Self::SCHEDULE_FREE, Self::LBFGS];

    /// The name as in settings and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sgd { .. } => "sgd",
            Self::RmsProp { .. } => "rmsprop",
            Self::Adam { .. } => "adam",
            Self::AdamW { .. } => "adamw",
            Self::Muon { .. } => "muon",
            Self::ScheduleFree { .. } => "schedule-free",
            Self::Lbfgs { .. } => "lbfgs",
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

    /// λ where nothing else is asked for: 0.01 for AdamW, and for Muon, which takes over what AdamW is used with.
    pub fn default_weight_decay(self) -> f64 {
        if matches!(self, Self::AdamW { .. } | Self::Muon { .. }) { 0.01 } else { 0.0 }
    }

    /// The names and values of the constants that [`Optimizer::with`] sets; a flag is 0 or 1.
    pub fn constants(mut self) -> Vec<(&'static str, f64)> {
        self.slots().into_iter().map(|(name, slot)| (name, slot.get())).collect()
    }

    /// This optimiser with another value of one of its constants.
    ///
    /// ```
    /// use schuss::Optimizer;
    /// let optimizer = Optimizer::ADAM.with("beta2", 0.95)?;
    /// assert_eq!(optimizer, Optimizer::Adam { beta1: 0.9, beta2: 0.95, epsilon: 1e-8 });
    /// let error = Optimizer::SGD.with("beta2", 0.95).unwrap_err().to_string();
    /// assert_eq!(error, "a constant of sgd: expected one of momentum, nesterov, got beta2");
    /// # Ok::<(), schuss::Error>(())
    /// ```
    ///
    /// # Errors
    /// It has none of this name, the message lists what it has; a value outside its range.
    pub fn with(mut self, constant: &str, value: f64) -> Result<Self> {
        let owner = self.name();
        let slots = self.slots();
        let names: Vec<_> = slots.iter().map(|(name, _)| *name).collect();
        let (name, mut slot) = slots.into_iter().find(|(name, _)| *name == constant).ok_or_else(|| {
            Error::value(format!("a constant of {owner}"), format!("one of {}", names.join(", ")), constant)
        })?;
        check_constant(name, &slot, value)?;
        slot.set(value);
        Ok(self)
    }

    /// Every constant in its range, and those that need each other together.
    pub(crate) fn check(mut self) -> Result<()> {
        self.slots().iter().try_for_each(|(name, slot)| check_constant(name, slot, slot.get()))?;
        match self {
            Self::Sgd { momentum: 0.0, nesterov: true } => {
                Err(Error::value("momentum", "a number above 0, as it is Nesterov's", 0))
            }
            Self::ScheduleFree { beta1: 0.0, .. } => Err(Error::value("beta1", "a number above 0, schedule-free", 0)),
            _ => Ok(()),
        }
    }

    fn slots(&mut self) -> Vec<(&'static str, Slot<'_>)> {
        use Slot::{Count, Flag, Number};
        match self {
            Self::Sgd { momentum, nesterov } => vec![("momentum", Number(momentum)), ("nesterov", Flag(nesterov))],
            Self::RmsProp { decay, epsilon, momentum, centered } => vec![
                ("decay", Number(decay)),
                ("epsilon", Number(epsilon)),
                ("momentum", Number(momentum)),
                ("centered", Flag(centered)),
            ],
            Self::Adam { beta1, beta2, epsilon } | Self::AdamW { beta1, beta2, epsilon } => {
                vec![("beta1", Number(beta1)), ("beta2", Number(beta2)), ("epsilon", Number(epsilon))]
            }
            Self::Muon { momentum, nesterov, newton_schulz_steps, rate: _, beta1, beta2, epsilon } => vec![
                ("momentum", Number(momentum)),
                ("nesterov", Flag(nesterov)),
                ("newton-schulz-steps", Count(newton_schulz_steps)),
                ("beta1", Number(beta1)),
                ("beta2", Number(beta2)),
                ("epsilon", Number(epsilon)),
            ],
            Self::ScheduleFree { beta1, beta2, epsilon, warm_up } => vec![
                ("beta1", Number(beta1)),
                ("beta2", Number(beta2)),
                ("epsilon", Number(epsilon)),
                ("warm-up", Count(warm_up)),
            ],
            Self::Lbfgs { history } => vec![("history", Count(history))],
        }
    }
}

/// A constant, to read and to set.
enum Slot<'a> {
    Number(&'a mut f64),
    Flag(&'a mut bool),
    Count(&'a mut usize),
}

impl Slot<'_> {
    fn get(&self) -> f64 {
        match self {
            Self::Number(number) => **number,
            Self::Flag(flag) => f64::from(u8::from(**flag)),
            Self::Count(count) => **count as f64,
        }
    }

    fn set(&mut self, value: f64) {
        match self {
            Self::Number(number) => **number = value,
            Self::Flag(flag) => **flag = value != 0.0,
            Self::Count(count) => **count = value as usize,
        }
    }
}

fn check_constant(name: &str, slot: &Slot, value: f64) -> Result<()> {
    const LARGEST_COUNT: f64 = (1u64 << 53) as f64;
    let is_count = |least: f64, most: f64| value.fract() == 0.0 && (least..=most).contains(&value);
    let (is_fine, expected) = match (slot, name) {
        (Slot::Flag(_), _) => (value == 0.0 || value == 1.0, "0 or 1"),
        (Slot::Count(_), "history") => (is_count(1.0, 1000.0), "a whole number from 1 to 1000"),
        (Slot::Count(_), "newton-schulz-steps") => (is_count(1.0, 99.0), "a whole number from 1 to 99"),
        (Slot::Count(_), _) => (is_count(0.0, LARGEST_COUNT), "a whole number"),
        (Slot::Number(_), "epsilon") => (value.is_finite() && value > 0.0, "a finite number above 0"),
        (Slot::Number(_), _) => ((0.0..1.0).contains(&value), "0 or more and below 1"),
    };
    if is_fine { Ok(()) } else { Err(Error::value(name, expected, value)) }
}
