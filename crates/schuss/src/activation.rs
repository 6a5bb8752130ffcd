//! Activations: each f beside its f′.
//!
//! Matrices are (batch, features), row-major. With `a = f(z)`, `da` = ∂L/∂a and `dz` = ∂L/∂z:
//!
//! | name | f(z) | dz |
//! |---|---|---|
//! | `identity` | z | da |
//! | `relu` | max(0, z) | da where z > 0, else 0 (so 0 at z = 0) |
//! | `leaky-relu` | z where z > 0, else z/100 | da where z > 0, else da/100 |
//! | `sigmoid` | 1 / (1 + exp(-z)) | da a (1 - a) |
//! | `tanh` | tanh(z) | da (1 - a²) |
//! | `gelu` | z Φ(z) = z/2 (1 + erf(z/√2)) | da (Φ(z) + z φ(z)), φ(z) = exp(-z²/2)/√(2π) |
//! | `selu` | λz where z > 0, else λα (exp z - 1); λ = 1.0507..., α = 1.6732... | da λ where a > 0, else da (a + λα) |
//! | `swish` | z σ(z), σ the sigmoid | da (σ + z σ (1 - σ)) |
//! | `mish` | z t, t = tanh(ln(1 + exp z)) | da (t + z σ(z) (1 - t²)) |
//! | `softplus` | ln(1 + exp z) | da σ(z) |
//! | `softmax` | p = (1-e) s + e/n, s = exp(z - max z) / Σ exp(z - max z) over the row of n | p (da - Σ da p) |
//!
//! GELU is the exact one of Hendrycks and Gimpel 2016, arXiv:1606.08415. SELU: Klambauer et al. 2017, arXiv:1706.02515.
//! Swish, also SiLU: Ramachandran, Zoph and Le 2017, arXiv:1710.05941. Mish: Misra 2019, arXiv:1908.08681.
//!
//! Softmax smooths its output by e = `epsilon`, and then uses softmax's own derivative at the smoothed p: diagonal
//! p(1-p), off-diagonal -p_i p_j. For e > 0 that is not the derivative of the smoothed p, which is (1-e) s(1-s) on the
//! diagonal and vanishes where softmax saturates; this one stays near e/n there, so that with cross-entropy
//! a saturated network still learns. With e = 0 the two are the same.

use ndarray::{ArrayView2, ArrayViewMut2};
use schuss_kernels::{Fused, each_row, map, map_rows, zip};
use serde::{Deserialize, Serialize};

use crate::{Error, Real, Result, Threads};

/// The function after a layer's linear map.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// z
    Identity,
    /// max(0, z)
    Relu,
    /// z where z > 0, else z/100
    LeakyRelu,
    /// 1 / (1 + exp(-z))
    Sigmoid,
    /// tanh(z)
    Tanh,
    /// z Φ(z)
    Gelu,
    /// λz where z > 0, else λα (exp z - 1)
    Selu,
    /// z σ(z)
    Swish,
    /// z tanh(ln(1 + exp z))
    Mish,
    /// ln(1 + exp z)
    Softplus,
    /// Probabilities of a row, smoothed towards uniform by `epsilon`.
    Softmax {
        /// e, in [0, 1): the share of the uniform distribution in the result.
        epsilon: f64,
    },
}

impl Activation {
    /// The smoothing of softmax unless another is asked for.
    pub const DEFAULT_EPSILON: f64 = 1e-8;
    /// Slope of the leaky ReLU below zero.
    pub const LEAKY_SLOPE: f64 = 0.01;
    /// λ and α of SELU.
    pub const SELU: [f64; 2] = [1.050_700_987_355_480_5, 1.673_263_242_354_377_2];

    /// Every activation, softmax with [`Activation::DEFAULT_EPSILON`].
    pub const ALL: [Self; 11] = [
        Self::Identity,
        Self::Relu,
        Self::LeakyRelu,
        Self::Sigmoid,
        Self::Tanh,
        Self::Gelu,
        Self::Selu,
        Self::Swish,
        Self::Mish,
        Self::Softplus,
        Self::Softmax { epsilon: Self::DEFAULT_EPSILON },
    ];

    /// The name as in settings and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Relu => "relu",
            Self::LeakyRelu => "leaky-relu",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::Gelu => "gelu",
            Self::Selu => "selu",
            Self::Swish => "swish",
            Self::Mish => "mish",
            Self::Softplus => "softplus",
            Self::Softmax { .. } => "softmax",
        }
    }

    /// The activation of this name.
    ///
    /// # Errors
    /// There is none; the message lists them.
    pub fn from_name(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|activation| activation.name() == name).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.map(Self::name).into();
            Error::value("activation", format!("one of {}", names.join(", ")), name)
        })
    }

    /// This activation, with this smoothing if it is softmax.
    pub fn with_epsilon(self, epsilon: f64) -> Self {
        match self {
            Self::Softmax { .. } => Self::Softmax { epsilon },
            other => other,
        }
    }

    /// The smoothing, 0 for everything but softmax.
    pub fn epsilon(self) -> f64 {
        match self {
            Self::Softmax { epsilon } => epsilon,
            _ => 0.0,
        }
    }

    /// Whether something is later computed from z that cannot be had from a: f′ of GELU and its like, and the logarithm
    /// of a softmax that may underflow.
    pub fn keeps_logits(self) -> bool {
        match self {
            Self::Gelu | Self::Swish | Self::Mish | Self::Softplus => true,
            Self::Softmax { epsilon } => epsilon == 0.0,
            _ => false,
        }
    }

    /// Whether f has a corner that a finite difference can step across.
    pub fn has_corner(self) -> bool {
        matches!(self, Self::Relu | Self::LeakyRelu | Self::Selu)
    }

    /// What a product `x·Wᵀ` is fused with so that this activation follows it, and what is left to apply.
    pub(crate) fn fuse<T>(self, bias: &[T]) -> (Fused<'_, T>, Self) {
        match self {
            Self::Relu => (Fused::BiasRelu(bias), Self::Identity),
            other => (Fused::Bias(bias), other),
        }
    }

    /// What a product `dz·W` is fused with so that its result passes this activation, whose output is `a`, and what
    /// is left of [`Activation::chain`].
    pub(crate) fn fuse_chain<T>(self, a: ArrayView2<'_, T>) -> (Fused<'_, T>, Self) {
        match self {
            Self::Relu => (Fused::ReluMask(a), Self::Identity),
            other => (Fused::Nothing, other),
        }
    }

    /// Has `to_do` done with f and f′ of an activation of single numbers, which softmax is not.
    pub(crate) fn with<T: Real>(self, to_do: impl WithFunction<T>) {
        match self {
            Self::Identity | Self::Softmax { .. } => to_do.call(
                #[inline(always)]
                |z| z,
                #[inline(always)]
                |d, _, _| d,
            ),
            Self::Relu => to_do.call(
                #[inline(always)]
                |z| if z < T::ZERO { T::ZERO } else { z },
                #[inline(always)]
                |d, _, a| if a > T::ZERO { d } else { T::ZERO },
            ),
            Self::LeakyRelu => to_do.call(
                #[inline(always)]
                |z| if z < T::ZERO { T::from_f64(Self::LEAKY_SLOPE) * z } else { z },
                #[inline(always)]
                |d, _, a| if a > T::ZERO { d } else { T::from_f64(Self::LEAKY_SLOPE) * d },
            ),
            Self::Sigmoid => to_do.call(
                #[inline(always)]
                |z| sigmoid(z),
                #[inline(always)]
                |d, _, a| d * a * (T::ONE - a),
            ),
            Self::Tanh => to_do.call(
                #[inline(always)]
                |z| z.tanh(),
                #[inline(always)]
                |d, _, a| d * (T::ONE - a * a),
            ),
            Self::Gelu => to_do.call(
                #[inline(always)]
                |z| z * normal_distribution(z),
                #[inline(always)]
                |d, z, _| d * (normal_distribution(z) + z * normal_density(z)),
            ),
            Self::Selu => to_do.call(
                #[inline(always)]
                |z| {
                    let [scale, scaled_alpha] = [Self::SELU[0], Self::SELU[0] * Self::SELU[1]].map(T::from_f64);
                    let negative = scaled_alpha * ((if z < T::ZERO { z } else { T::ZERO }).exp() - T::ONE);
                    if z > T::ZERO { scale * z } else { negative }
                },
                #[inline(always)]
                |d, _, a| {
                    let [scale, scaled_alpha] = [Self::SELU[0], Self::SELU[0] * Self::SELU[1]].map(T::from_f64);
                    d * (if a > T::ZERO { scale } else { a + scaled_alpha })
                },
            ),
            Self::Swish => to_do.call(
                #[inline(always)]
                |z| z * sigmoid(z),
                #[inline(always)]
                |d, z, _| {
                    let s = sigmoid(z);
                    d * (s + z * s * (T::ONE - s))
                },
            ),
            Self::Mish => to_do.call(
                #[inline(always)]
                |z| {
                    let [_, n, inverse] = mish_terms(z);
                    z * (n * inverse)
                },
                // With t = n/(n + 2): σ(z) (1 - t²) = 4 e (e + 1)/(n + 2)².
                #[inline(always)]
                |d, z, _| {
                    let [e, n, inverse] = mish_terms(z);
                    d * (inverse * (n + T::from_f64(4.0) * z * (e * (e + T::ONE) * inverse)))
                },
            ),
            Self::Softplus => to_do.call(
                #[inline(always)]
                |z| softplus(z),
                #[inline(always)]
                |d, z, _| d * sigmoid(z),
            ),
        }
    }

    /// `a = f(a)`. A NaN stays one.
    pub fn apply<T: Real>(self, threads: &Threads, mut a: ArrayViewMut2<T>) {
        match self {
            Self::Identity => {}
            Self::Softmax { epsilon } => {
                let columns = a.ncols();
                map_rows(
                    threads,
                    a,
                    #[inline(always)]
                    |rows| softmax(rows, columns, epsilon),
                );
            }
            _ => self.with(Apply { threads, a: a.as_slice_mut().expect(CONTIGUOUS) }),
        }
    }

    /// `d = d ⊙ f′(z)`: ∂L/∂a on entry, ∂L/∂z on return. `z` is read only where [`Activation::keeps_logits`], `a` only
    /// elsewhere.
    pub fn chain<T: Real>(self, threads: &Threads, z: ArrayView2<T>, a: ArrayView2<T>, mut d: ArrayViewMut2<T>) {
        match self {
            Self::Identity => {}
            Self::Softmax { .. } => each_row(
                threads,
                d.ncols(),
                [d],
                [a],
                #[inline(always)]
                |_, [d], [p]| softmax_chain(d, p),
            ),
            _ => {
                let z_or_a = if self.keeps_logits() { z } else { a };
                let (z_or_a, d) = (z_or_a.to_slice().expect(CONTIGUOUS), d.as_slice_mut().expect(CONTIGUOUS));
                self.with(Chain { threads, z_or_a, d });
            }
        }
    }
}

/// Something to do with an activation of single numbers: f and f′ are inlined into it.
pub(crate) trait WithFunction<T> {
    /// `f(z)`, and `chain(d, z, a)` = d f′(z) for a = f(z), which reads z only where [`Activation::keeps_logits`], a
    /// only elsewhere.
    fn call(self, f: impl Fn(T) -> T + Copy + Sync, chain: impl Fn(T, T, T) -> T + Copy + Sync);
}

struct Apply<'a, T> {
    threads: &'a Threads,
    a: &'a mut [T],
}

impl<T: Real> WithFunction<T> for Apply<'_, T> {
    fn call(self, f: impl Fn(T) -> T + Copy + Sync, _: impl Fn(T, T, T) -> T + Copy + Sync) {
        map(self.threads, self.a, f);
    }
}

struct Chain<'a, T> {
    threads: &'a Threads,
    z_or_a: &'a [T],
    d: &'a mut [T],
}

impl<T: Real> WithFunction<T> for Chain<'_, T> {
    fn call(self, _: impl Fn(T) -> T + Copy + Sync, chain: impl Fn(T, T, T) -> T + Copy + Sync) {
        zip(
            self.threads,
            self.d,
            [self.z_or_a],
            #[inline(always)]
            move |d, [z_or_a]| chain(d, z_or_a, z_or_a),
        );
    }
}

/// p = (1-e) s + e/n with s = softmax of each row; the row maximum is subtracted, so that no finite value overflows. The
/// exponentials of all rows are one loop, which vectorises however short a row is.
#[inline(always)]
fn softmax<T: Real>(rows: &mut [T], columns: usize, epsilon: f64) {
    for row in rows.chunks_mut(columns) {
        let max = row.iter().fold(row[0], |max, &z| if z > max { z } else { max });
        row.iter_mut().for_each(|z| *z -= max);
    }
    rows.iter_mut().for_each(|z| *z = z.exp());
    let [share, floor] = [1.0 - epsilon, epsilon / columns as f64].map(T::from_f64);
    for row in rows.chunks_mut(columns) {
        let mut sum = T::ZERO;
        row.iter().for_each(|&s| sum += s);
        row.iter_mut().for_each(|s| *s = share * (*s / sum) + floor);
    }
}

/// dz = p ⊙ (da - Σ da p): the Jacobian diag(p) - p pᵀ applied to da, without building it.
#[inline(always)]
fn softmax_chain<T: Real>(d: &mut [T], p: &[T]) {
    let mut dot = T::ZERO;
    d.iter().zip(p).for_each(|(&d, &p)| dot += d * p);
    d.iter_mut().zip(p).for_each(|(d, &p)| *d = p * (*d - dot));
}

/// 1 / (1 + exp(-z)), by way of exp(z) where z < 0, so that no exponential overflows.
#[inline(always)]
pub(crate) fn sigmoid<T: Real>(z: T) -> T {
    let is_negative = z < T::ZERO;
    let e = (if is_negative { z } else { -z }).exp();
    (if is_negative { e } else { T::ONE }) / (T::ONE + e)
}

/// e = exp z, n = e (e + 2) and 1/(n + 2), in which tanh(ln(1 + exp z)) = n/(n + 2); that is 1 from z = 20 on, as far as
/// numbers of 53 bits can tell.
#[inline(always)]
fn mish_terms<T: Real>(z: T) -> [T; 3] {
    let [two, most] = [2.0, 20.0].map(T::from_f64);
    let e = (if z > most { most } else { z }).exp();
    let n = e * (e + two);
    [e, n, T::ONE / (n + two)]
}

/// ln(1 + exp z) = max(z, 0) + ln(1 + e) with e = exp(-|z|); the logarithm is corrected for what 1 + e rounds off.
#[inline(always)]
pub(crate) fn softplus<T: Real>(z: T) -> T {
    let is_positive = z > T::ZERO;
    let e = (if is_positive { -z } else { z }).exp();
    let sum = T::ONE + e;
    let log = if sum == T::ONE { e } else { sum.ln() * e / (sum - T::ONE) };
    (if is_positive { z } else { T::ZERO }) + log
}

/// Φ(z) = (1 + erf(z/√2)) / 2.
#[inline(always)]
pub(crate) fn normal_distribution<T: Real>(z: T) -> T {
    T::from_f64(0.5) * (T::ONE + (z * T::from_f64(std::f64::consts::FRAC_1_SQRT_2)).erf())
}

/// φ(z) = exp(-z²/2) / √(2π).
#[inline(always)]
fn normal_density<T: Real>(z: T) -> T {
    const INVERSE_SQRT_TAU: f64 = 0.398_942_280_401_432_7;
    T::from_f64(INVERSE_SQRT_TAU) * (T::from_f64(-0.5) * z * z).exp()
}

const CONTIGUOUS: &str = "matrices of activations are contiguous";
