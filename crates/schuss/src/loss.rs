//! Losses: each one's value beside its gradient.
//!
//! A batch has m rows. Values are sums over its rows, in double precision, so that batches of any size add up to the
//! mean over a data set; gradients are those of the mean over the batch.
//!
//! | name | L, mean over m rows | gradient |
//! |---|---|---|
//! | `cross-entropy` | -Σ_j y_j ln p_j | ∂L/∂p = -y/(p m); with softmax ∂L/∂z = (p - y)/m, p smoothed |
//! | `mse` | Σ_j (a_j - y_j)²/2 | ∂L/∂a = (a - y)/m |
//! | `binary-cross-entropy` | Σ_j max(z_j, 0) - z_j y_j + ln(1 + exp(-\|z_j\|)) | ∂L/∂z = (σ(z) - y)/m |
//! | `mae` | Σ_j \|a_j - y_j\| | ∂L/∂a = sign(a - y)/m, 0 at 0 |
//! | `huber:δ` | Σ_j e²/2 where \|e\| ≤ δ, else δ (\|e\| - δ/2); e = a_j - y_j | ∂L/∂a = min(max(e, -δ), δ)/m |
//! | `quantile:q,q,...` | Σ_jk max(q_k e, (q_k - 1) e), e = y_j - a_jk | ∂L/∂a = -q_k/m where e > 0, (1 - q_k)/m where e < 0 |
//! | `poisson` | Σ_j exp(a_j) - y_j a_j | ∂L/∂a = (exp(a) - y)/m |
//!
//! `mse` is (outputs/2) times PyTorch's `MSELoss`, `binary-cross-entropy`, `mae` and `huber` (outputs) times its
//! `BCEWithLogitsLoss`, `L1Loss` and `HuberLoss`, `poisson` (outputs) times its `PoissonNLLLoss`: those average over the
//! outputs, too. Huber 1964, doi:10.1214/aoms/1177703732; quantiles: Koenker and Bassett 1978, doi:10.2307/1913643,
//! one output for each target and level, the levels of a target side by side; `poisson` takes the logarithm of the rate.
//!
//! On classes, y is one-hot (never stored), or smoothed by e: (1 - e) one-hot + e/K of K classes (Szegedy et al. 2016,
//! arXiv:1512.00567); one output with binary cross-entropy is class 1's logit. Rows may have weights w: L = Σ w L_row/m.
//! PyTorch divides by Σ w in place of m, which is the same where the weights' mean is 1, as that of a whole data set is
//! here; of single batches it would make rows count less beside heavy ones.

use std::fmt;
use std::str::FromStr;

use ndarray::{ArrayView2, ArrayViewMut2, Axis};

use schuss_kernels::map_rows_sum;

use crate::activation::sigmoid;
use crate::{Activation, Error, Real, Result, Targets, Threads};

/// What training makes small.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// Categorical cross-entropy of probabilities, in nats.
    CrossEntropy,
    /// Half the squared error, summed over the outputs.
    Mse,
    /// Binary cross-entropy of logits, in nats, summed over the outputs.
    BinaryCrossEntropy,
    /// The absolute error, summed over the outputs.
    Mae,
    /// The squared error up to δ, the absolute one beyond.
    Huber {
        /// δ, above 0.
        delta: f64,
    },
    /// The pinball loss: every output is a quantile of its target.
    Quantile(Levels),
    /// The negative log-likelihood of counts, but for what does not depend on the outputs, their rates' logarithms.
    Poisson,
}

/// The levels of quantiles, each above 0 and below 1, in rising order; 16 at most.
#[derive(Clone, Copy, PartialEq)]
pub struct Levels {
    levels: [f64; Self::MOST],
    count: usize,
}

impl Levels {
    /// The most levels.
    pub const MOST: usize = 16;
    /// The median alone.
    pub const MEDIAN: Self = {
        let mut levels = [0.0; Self::MOST];
        levels[0] = 0.5;
        Self { levels, count: 1 }
    };

    /// These levels.
    ///
    /// # Errors
    /// None, more than 16, one outside (0, 1), not in rising order.
    pub fn new(levels: &[f64]) -> Result<Self> {
        let rise = levels.windows(2).all(|pair| pair[0] < pair[1]);
        let are_inside = levels.iter().all(|level| *level > 0.0 && *level < 1.0);
        if levels.is_empty() || levels.len() > Self::MOST || !rise || !are_inside {
            let expected = "1 to 16 numbers above 0 and below 1, in rising order";
            return Err(Error::value("levels of quantiles", expected, format!("{levels:?}")));
        }
        let mut all = [0.0; Self::MOST];
        all[..levels.len()].copy_from_slice(levels);
        Ok(Self { levels: all, count: levels.len() })
    }

    /// The levels.
    pub fn levels(&self) -> &[f64] {
        &self.levels[..self.count]
    }

    /// The level that is nearest to the median: its output stands for the target where one number is asked for.
    pub fn middle(&self) -> usize {
        let distance = |i: &usize| (self.levels[*i] - 0.5).abs();
        (0..self.count).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(0)
    }
}

impl fmt::Debug for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.levels(), f)
    }
}

/// The targets of a batch.
#[derive(Clone, Copy, Debug)]
pub enum BatchTargets<'a, T> {
    /// The class of each row.
    Classes(&'a [u32]),
    /// The class of each row, and e: y = (1 - e) one-hot + e/K.
    Smoothed(&'a [u32], f64),
    /// y, (batch, targets); of classes, their probabilities.
    Values(ArrayView2<'a, T>),
}

/// A batch's output, as far as a loss reads it: (batch, outputs) each.
#[derive(Clone, Copy, Debug)]
pub struct Output<'a, T> {
    /// The last activation.
    pub activation: Activation,
    /// Its input; empty unless [`Activation::keeps_logits`].
    pub z: ArrayView2<'a, T>,
    /// Its output.
    pub a: ArrayView2<'a, T>,
}

impl Loss {
    /// Every loss, with its usual constants.
    pub const ALL: [Self; 7] = [
        Self::CrossEntropy,
        Self::Mse,
        Self::BinaryCrossEntropy,
        Self::Mae,
        Self::Huber { delta: 1.0 },
        Self::Quantile(Levels::MEDIAN),
        Self::Poisson,
    ];

    /// The name, without constants.
    pub fn name(self) -> &'static str {
        match self {
            Self::CrossEntropy => "cross-entropy",
            Self::Mse => "mse",
            Self::BinaryCrossEntropy => "binary-cross-entropy",
            Self::Mae => "mae",
            Self::Huber { .. } => "huber",
            Self::Quantile(_) => "quantile",
            Self::Poisson => "poisson",
        }
    }

    /// How many outputs stand for one target.
    pub fn outputs_per_target(self) -> usize {
        if let Self::Quantile(levels) = self { levels.count } else { 1 }
    }

    /// Whether numbers to predict keep their unit: counts and probabilities do, others are better standardised.
    pub fn keeps_unit(self) -> bool {
        matches!(self, Self::BinaryCrossEntropy | Self::Poisson)
    }

    /// Whether the gradient is with respect to the last layer's logits, the activation's derivative included.
    pub fn is_fused_with(self, activation: Activation) -> bool {
        match self {
            Self::CrossEntropy => matches!(activation, Activation::Softmax { .. }),
            Self::BinaryCrossEntropy => true,
            _ => false,
        }
    }

    /// What a gradient of this loss has yet to pass on its way back through `last`.
    pub(crate) fn activation_left(self, last: Activation) -> Activation {
        if self.is_fused_with(last) { Activation::Identity } else { last }
    }

    /// Fails unless this loss can be computed from `outputs` values of `activation` and such targets.
    ///
    /// # Errors
    /// Cross-entropy of other things than probabilities; binary cross-entropy, or rates, of something else than the
    /// plain outputs; a loss of numbers on classes; another number of outputs than of classes or target values.
    pub fn check(self, activation: Activation, outputs: usize, targets: Targets) -> Result<()> {
        let name = self.name();
        let of_targets = || format!("targets of the loss {name}");
        let outside = |range: std::ops::RangeInclusive<f64>| match targets {
            Targets::Values(values) => values.iter().copied().find(|value| !range.contains(value)),
            Targets::Classes { .. } => None,
        };
        let needs_identity = || match activation {
            Activation::Identity => Ok(()),
            other => {
                let expected = format!("identity: the loss {name} takes logits, plain outputs");
                Err(Error::value("final activation", expected, other.name()))
            }
        };
        match self {
            Self::CrossEntropy => {
                if let Targets::Values(values) = targets {
                    let is_share = |sum: f64| (sum - 1.0).abs() <= 1e-3;
                    let is_off = |row: &ndarray::ArrayView1<f64>| row.iter().any(|x| *x < 0.0) || !is_share(row.sum());
                    if let Some(row) = values.rows().into_iter().find(is_off) {
                        let expected = "classes (or --loss mse), or rows of probabilities that sum to 1";
                        return Err(Error::value(of_targets(), expected, format!("numbers such as {row}")));
                    }
                }
                if !matches!(activation, Activation::Softmax { .. } | Activation::Sigmoid) {
                    let expected = format!("softmax or sigmoid: the loss {name} needs probabilities");
                    return Err(Error::value("final activation", expected, activation.name()));
                }
            }
            Self::Mse | Self::Mae => {}
            Self::Huber { delta } => {
                if !(delta > 0.0 && delta.is_finite()) {
                    return Err(Error::value("delta of the loss huber", "a finite number above 0", delta));
                }
            }
            Self::Quantile(_) | Self::Poisson => {
                needs_identity()?;
                if let Targets::Classes { .. } = targets {
                    return Err(Error::value(of_targets(), "numbers", "classes"));
                }
                if let (Self::Poisson, Some(value)) = (self, outside(0.0..=f64::INFINITY)) {
                    return Err(Error::value(of_targets(), "numbers of 0 or more", value));
                }
            }
            Self::BinaryCrossEntropy => {
                needs_identity()?;
                if let Some(value) = outside(0.0..=1.0) {
                    return Err(Error::value(of_targets(), "numbers from 0 to 1", value));
                }
                if let (1, Targets::Classes { classes: 2, .. }) = (outputs, targets) {
                    return Ok(());
                }
            }
        }
        let what = match targets {
            Targets::Classes { .. } => "outputs of the network, one for each class",
            Targets::Values(_) if self.outputs_per_target() > 1 => {
                "outputs of the network, one for each target and level"
            }
            Targets::Values(_) => "outputs of the network, one for each target value",
        };
        let expected = targets.width() * self.outputs_per_target();
        if outputs == expected { Ok(()) } else { Err(Error::Shape { what, expected, got: outputs }) }
    }

    /// On which side of the loss's corners every error of a batch is: where it changes side, there is no derivative.
    pub(crate) fn sides<T: Real>(self, output: Output<T>, targets: BatchTargets<T>) -> Vec<bool> {
        let corner = match self {
            Self::Mae | Self::Quantile(_) => 0.0,
            Self::Huber { delta } => delta,
            _ => return Vec::new(),
        };
        let mut sides = Vec::new();
        for row in 0..output.a.nrows() {
            let RowOf { a, target, .. } = RowOf::new(output, targets, None, row, &mut []);
            let error = |(j, a): (usize, &T)| (*a - target.value(j / self.outputs_per_target(), 0)).to_f64();
            sides.extend(a.iter().enumerate().map(error).flat_map(|e| [e > corner, e < -corner]));
        }
        sides
    }

    /// The loss summed over the rows of a batch, each times its weight if there are any. Overwrites `gradient`, if there
    /// is one, with the gradient of the mean: with respect to the logits if [`Loss::is_fused_with`] the activation, else
    /// to the output.
    ///
    /// # Panics
    /// The shapes do not fit together (see [`Loss::check`]), or a matrix is not contiguous.
    pub fn evaluate<T: Real>(
        self,
        threads: &Threads,
        output: Output<T>,
        targets: BatchTargets<T>,
        weights: Option<&[T]>,
        gradient: Option<ArrayViewMut2<T>>,
    ) -> f64 {
        let [rows, columns] = [output.a.nrows(), output.a.ncols()];
        match targets {
            BatchTargets::Classes(labels) | BatchTargets::Smoothed(labels, _) => {
                assert_eq!(labels.len(), rows, "labels of the batch");
            }
            BatchTargets::Values(values) => {
                let shape = (rows, columns / self.outputs_per_target());
                assert_eq!(values.dim(), shape, "shape of the target values");
            }
        }
        weights.into_iter().for_each(|weights| assert_eq!(weights.len(), rows, "weights of the batch"));
        macro_rules! sum {
            ($row_loss:ident $(, $constant:expr)?) => {
                map_rows_sum(
                    threads,
                    [rows, columns],
                    gradient,
                    #[inline(always)]
                    |rows, d| {
                        let mut d = d.chunks_exact_mut(columns.max(1));
                        rows.map(|row| {
                            let of_row = RowOf::new(output, targets, weights, row, d.next().unwrap_or_default());
                            weights.map_or(1.0, |weights| weights[row].to_f64()) * $row_loss(of_row $(, $constant)?)
                        })
                        .sum()
                    },
                )
            };
        }
        match self {
            Self::CrossEntropy if self.is_fused_with(output.activation) => sum!(softmax_cross_entropy),
            Self::CrossEntropy => sum!(cross_entropy),
            Self::Mse => match (targets, weights) {
                (BatchTargets::Values(y), None) => map_rows_sum(
                    threads,
                    [rows, columns],
                    gradient,
                    #[inline(always)]
                    |rows, d| {
                        let elements = rows.start * columns..rows.end * columns;
                        mse_of_values(&flat(output.a)[elements.clone()], &flat(y)[elements], d, 1.0 / rows_of(output))
                    },
                ),
                _ => sum!(mse),
            },
            Self::BinaryCrossEntropy => sum!(binary_cross_entropy),
            Self::Mae => sum!(mae),
            Self::Huber { delta } => {
                sum!(huber, delta)
            }
            Self::Quantile(levels) => {
                sum!(quantile, levels.levels())
            }
            Self::Poisson => sum!(poisson),
        }
    }
}

/// The name, with the constants where they are not the usual ones: `huber:0.5`, `quantile:0.1,0.5,0.9`.
impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Huber { delta } => write!(f, "huber:{delta}"),
            Self::Quantile(levels) => {
                let levels: Vec<_> = levels.levels().iter().map(f64::to_string).collect();
                write!(f, "quantile:{}", levels.join(","))
            }
            other => f.write_str(other.name()),
        }
    }
}

impl FromStr for Loss {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let error = || {
            let names: Vec<_> = Self::ALL.map(Self::name).into();
            let expected = format!("one of {} (or huber:DELTA, quantile:LEVEL,LEVEL,...)", names.join(", "));
            Error::value("loss", expected, text)
        };
        let (name, constants) = text.split_once(':').map_or((text, None), |(name, constants)| (name, Some(constants)));
        let loss = Self::ALL.into_iter().find(|loss| loss.name() == name).ok_or_else(error)?;
        let Some(constants) = constants else { return Ok(loss) };
        let numbers: Option<Vec<f64>> = constants.split(',').map(|number| number.trim().parse().ok()).collect();
        match (loss, numbers.ok_or_else(error)?.as_slice()) {
            (Self::Huber { .. }, &[delta]) if delta > 0.0 && delta.is_finite() => Ok(Self::Huber { delta }),
            (Self::Quantile(_), levels) => Ok(Self::Quantile(Levels::new(levels)?)),
            _ => Err(error()),
        }
    }
}

/// One row of a batch; `d` is empty where no gradient is asked for.
struct RowOf<'a, T> {
    z: &'a [T],
    a: &'a [T],
    d: &'a mut [T],
    target: RowTarget<'a, T>,
    /// What a row's gradient counts in the mean's: 1/m, times the weight.
    share: T,
}

impl<'a, T: Real> RowOf<'a, T> {
    #[inline(always)]
    fn new<'o: 'a, 't: 'a>(
        output: Output<'o, T>,
        targets: BatchTargets<'t, T>,
        weights: Option<&[T]>,
        row: usize,
        d: &'a mut [T],
    ) -> Self {
        let target = match targets {
            BatchTargets::Classes(labels) => RowTarget::Class(labels[row] as usize),
            BatchTargets::Smoothed(labels, e) => {
                // One output stands for two classes.
                let floor = e / output.a.ncols().max(2) as f64;
                RowTarget::Smoothed {
                    class: labels[row] as usize,
                    floor: T::from_f64(floor),
                    share: T::from_f64(1.0 - e),
                }
            }
            BatchTargets::Values(values) => RowTarget::Values(row_slice(values, row)),
        };
        let z = if output.z.is_empty() { &[] } else { row_slice(output.z, row) };
        let one_over_m = T::from_f64(1.0 / output.a.nrows() as f64);
        let share = weights.map_or(one_over_m, |weights| weights[row] * one_over_m);
        Self { z, a: row_slice(output.a, row), d, target, share }
    }
}

enum RowTarget<'a, T> {
    Class(usize),
    Smoothed { class: usize, floor: T, share: T },
    Values(&'a [T]),
}

impl<T: Real> RowTarget<'_, T> {
    /// y_j; one-hot for a class, output 0 standing for `first_class`.
    #[inline(always)]
    fn value(&self, j: usize, first_class: usize) -> T {
        match *self {
            Self::Values(values) => values[j],
            Self::Class(class) if class == j + first_class => T::ONE,
            Self::Class(_) => T::ZERO,
            Self::Smoothed { class, floor, share } if class == j + first_class => floor + share,
            Self::Smoothed { floor, .. } => floor,
        }
    }
}

/// L = -Σ y ln p, -ln p_y for a class; dz = (p Σy - y)/m. Where nothing is smoothed, ln p comes from the logits and cannot
/// underflow.
#[inline(always)]
fn softmax_cross_entropy<T: Real>(RowOf { z, a: p, d, target, share }: RowOf<T>) -> f64 {
    let log_of_sum = if z.is_empty() {
        0.0
    } else {
        let max = z.iter().fold(z[0], |max, &z| if z > max { z } else { max }).to_f64();
        z.iter().map(|&z| (z.to_f64() - max).exp()).sum::<f64>().ln() + max
    };
    let minus_log = |j: usize| if z.is_empty() { -p[j].to_f64().ln() } else { log_of_sum - z[j].to_f64() };
    if let RowTarget::Class(class) = target {
        d.iter_mut().zip(p).for_each(|(d, &p)| *d = p * share);
        if let Some(d) = d.get_mut(class) {
            *d -= share;
        }
        return minus_log(class);
    }
    let y = |j: usize| target.value(j, 0);
    let sum = (0..p.len()).fold(T::ZERO, |sum, j| sum + y(j));
    d.iter_mut().zip(p).enumerate().for_each(|(j, (d, &p))| *d = (p * sum - y(j)) * share);
    weighted((0..p.len()).map(|j| (y(j), j)), minus_log)
}

/// Σ y f(j), where y is not 0: 0 · ∞ is 0 here.
#[inline(always)]
fn weighted<T: Real>(terms: impl Iterator<Item = (T, usize)>, f: impl Fn(usize) -> f64) -> f64 {
    terms.filter(|(y, _)| *y != T::ZERO).map(|(y, j)| y.to_f64() * f(j)).sum()
}

/// L = -Σ y ln p; dp = -y/(p m).
#[inline(always)]
fn cross_entropy<T: Real>(RowOf { a: p, d, target, share, .. }: RowOf<T>) -> f64 {
    let y = |j: usize| target.value(j, 0);
    let slope = |j: usize| if y(j) == T::ZERO { T::ZERO } else { -y(j) * share / p[j] };
    d.iter_mut().enumerate().for_each(|(j, d)| *d = slope(j));
    weighted((0..p.len()).map(|j| (y(j), j)), |j| -p[j].to_f64().ln())
}

/// L = Σ (a - y)²/2; da = (a - y)/m.
#[inline(always)]
fn mse<T: Real>(RowOf { a, d, target, share, .. }: RowOf<T>) -> f64 {
    let error = |j: usize| a[j] - target.value(j, 0);
    d.iter_mut().enumerate().for_each(|(j, d)| *d = error(j) * share);
    (0..a.len()).map(|j| error(j).to_f64().powi(2) / 2.0).sum()
}

/// [`mse`] of all rows at once, which are short where there are many: eight sums, so that they do not wait for each
/// other.
#[inline(always)]
fn mse_of_values<T: Real>(a: &[T], y: &[T], d: &mut [T], one_over_m: f64) -> f64 {
    let one_over_m = T::from_f64(one_over_m);
    d.iter_mut().zip(a.iter().zip(y)).for_each(|(d, (&a, &y))| *d = (a - y) * one_over_m);
    let mut sums = [0.0; 8];
    for (a, y) in a.chunks(8).zip(y.chunks(8)) {
        sums.iter_mut().zip(a.iter().zip(y)).for_each(|(sum, (&a, &y))| {
            let error = (a - y).to_f64();
            *sum += error * error;
        });
    }
    sums.iter().sum::<f64>() / 2.0
}

/// L = Σ max(z, 0) - z y + ln(1 + exp(-|z|)); dz = (σ(z) - y)/m.
#[inline(always)]
fn binary_cross_entropy<T: Real>(RowOf { a: z, d, target, share, .. }: RowOf<T>) -> f64 {
    let first_class = usize::from(z.len() == 1); // a single output is class 1's logit
    let y = |j: usize| target.value(j, first_class);
    d.iter_mut().enumerate().for_each(|(j, d)| *d = (sigmoid(z[j]) - y(j)) * share);
    let loss = |(j, z): (usize, &T)| {
        let z = z.to_f64();
        z.max(0.0) - z * y(j).to_f64() + (-z.abs()).exp().ln_1p()
    };
    z.iter().enumerate().map(loss).sum()
}

/// L = Σ |a - y|; da = sign(a - y)/m.
#[inline(always)]
fn mae<T: Real>(RowOf { a, d, target, share, .. }: RowOf<T>) -> f64 {
    let error = |j: usize| a[j] - target.value(j, 0);
    d.iter_mut().enumerate().for_each(|(j, d)| *d = sign(error(j)) * share);
    (0..a.len()).map(|j| error(j).to_f64().abs()).sum()
}

/// -1, 0 or 1; NaN for NaN.
#[inline(always)]
fn sign<T: Real>(x: T) -> T {
    if x > T::ZERO {
        T::ONE
    } else if x < T::ZERO {
        -T::ONE
    } else {
        x
    }
}

/// L = Σ e²/2 where |e| ≤ δ, else δ (|e| - δ/2), e = a - y; da = e/m, no further than δ/m.
#[inline(always)]
fn huber<T: Real>(RowOf { a, d, target, share, .. }: RowOf<T>, delta: f64) -> f64 {
    let error = |j: usize| a[j] - target.value(j, 0);
    let most = T::from_f64(delta);
    let within = |e: T| {
        if e > most {
            most
        } else if e < -most {
            -most
        } else {
            e
        }
    };
    d.iter_mut().enumerate().for_each(|(j, d)| *d = within(error(j)) * share);
    let loss = |e: f64| if e.abs() <= delta { e * e / 2.0 } else { delta * (e.abs() - delta / 2.0) };
    (0..a.len()).map(|j| loss(error(j).to_f64())).sum()
}

/// L = Σ max(q e, (q - 1) e), e = y - a; da = -q/m where e > 0, (1 - q)/m where e < 0.
#[inline(always)]
fn quantile<T: Real>(RowOf { a, d, target, share, .. }: RowOf<T>, levels: &[f64]) -> f64 {
    let level = |output: usize| levels[output % levels.len()];
    let error = |output: usize| target.value(output / levels.len(), 0) - a[output];
    for (output, d) in d.iter_mut().enumerate() {
        let [above, below] = [-level(output), 1.0 - level(output)].map(T::from_f64);
        let e = error(output);
        let slope = if e > T::ZERO {
            above
        } else if e < T::ZERO {
            below
        } else {
            e
        };
        *d = slope * share;
    }
    let loss = |(output, e): (usize, f64)| (level(output) * e).max((level(output) - 1.0) * e);
    (0..a.len()).map(|output| loss((output, error(output).to_f64()))).sum()
}

/// L = Σ exp(a) - y a; da = (exp(a) - y)/m.
#[inline(always)]
fn poisson<T: Real>(RowOf { a, d, target, share, .. }: RowOf<T>) -> f64 {
    let y = |j: usize| target.value(j, 0);
    d.iter_mut().enumerate().for_each(|(j, d)| *d = (a[j].exp() - y(j)) * share);
    (0..a.len()).map(|j| a[j].to_f64().exp() - y(j).to_f64() * a[j].to_f64()).sum()
}

fn rows_of<T>(output: Output<T>) -> f64 {
    output.a.nrows() as f64
}

#[inline(always)]
fn flat<T>(matrix: ArrayView2<'_, T>) -> &'_ [T] {
    matrix.to_slice().expect(CONTIGUOUS)
}

const CONTIGUOUS: &str = "rows are contiguous";

#[inline(always)]
fn row_slice<'a, T>(matrix: ArrayView2<'a, T>, row: usize) -> &'a [T] {
    matrix.index_axis_move(Axis(0), row).to_slice().expect(CONTIGUOUS)
}
