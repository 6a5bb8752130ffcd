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
//!
//! `mse` is (outputs/2) times PyTorch's `MSELoss`, `binary-cross-entropy` (outputs) times its `BCEWithLogitsLoss`, which
//! average over the outputs, too. On classes, y is one-hot (never stored); one output with binary cross-entropy is
//! class 1's logit.

use ndarray::{ArrayView2, ArrayViewMut2, Axis};

use schuss_kernels::map_rows_sum;

use crate::activation::sigmoid;
use crate::{Activation, Error, Real, Result, Targets, Threads};

/// What training makes small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Categorical cross-entropy of probabilities, in nats.
    CrossEntropy,
    /// Half the squared error, summed over the outputs.
    Mse,
    /// Binary cross-entropy of logits, in nats, summed over the outputs.
    BinaryCrossEntropy,
}

/// The targets of a batch.
#[derive(Clone, Copy, Debug)]
pub enum BatchTargets<'a, T> {
    /// The class of each row.
    Classes(&'a [u32]),
    /// (batch, outputs).
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
    /// Every loss.
    pub const ALL: [Self; 3] = [Self::CrossEntropy, Self::Mse, Self::BinaryCrossEntropy];

    /// The name as in settings and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::CrossEntropy => "cross-entropy",
            Self::Mse => "mse",
            Self::BinaryCrossEntropy => "binary-cross-entropy",
        }
    }

    /// The loss of this name.
    ///
    /// # Errors
    /// There is none; the message lists them.
    pub fn from_name(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|loss| loss.name() == name).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.map(Self::name).into();
            Error::value("loss", format!("one of {}", names.join(", ")), name)
        })
    }

    /// Whether the gradient is with respect to the last layer's logits, the activation's derivative included.
    pub fn is_fused_with(self, activation: Activation) -> bool {
        match self {
            Self::CrossEntropy => matches!(activation, Activation::Softmax { .. }),
            Self::Mse => false,
            Self::BinaryCrossEntropy => true,
        }
    }

    /// What a gradient of this loss has yet to pass on its way back through `last`.
    pub(crate) fn activation_left(self, last: Activation) -> Activation {
        if self.is_fused_with(last) { Activation::Identity } else { last }
    }

    /// Fails unless this loss can be computed from `outputs` values of `activation` and such targets.
    ///
    /// # Errors
    /// Cross-entropy without probabilities or without classes; binary cross-entropy of something else than logits;
    /// another number of outputs than of classes or target values.
    pub fn check(self, activation: Activation, outputs: usize, targets: Targets) -> Result<()> {
        let name = self.name();
        match self {
            Self::CrossEntropy => {
                if let Targets::Values(_) = targets {
                    return Err(Error::value(
                        format!("targets of the loss {name}"),
                        "classes (or --loss mse)",
                        "numbers",
                    ));
                }
                if !matches!(activation, Activation::Softmax { .. } | Activation::Sigmoid) {
                    let expected = format!("softmax or sigmoid: the loss {name} needs probabilities");
                    return Err(Error::value("final activation", expected, activation.name()));
                }
            }
            Self::Mse => {}
            Self::BinaryCrossEntropy => {
                if activation != Activation::Identity {
                    let expected = format!("identity: the loss {name} takes logits");
                    return Err(Error::value("final activation", expected, activation.name()));
                }
                if let Targets::Values(values) = targets
                    && let Some(value) = values.iter().find(|value| !(0.0..=1.0).contains(*value))
                {
                    return Err(Error::value(format!("targets of the loss {name}"), "numbers from 0 to 1", value));
                }
                if let (1, Targets::Classes { classes: 2, .. }) = (outputs, targets) {
                    return Ok(());
                }
            }
        }
        let what = match targets {
            Targets::Classes { .. } => "outputs of the network, one for each class",
            Targets::Values(_) => "outputs of the network, one for each target value",
        };
        if outputs == targets.width() {
            Ok(())
        } else {
            Err(Error::Shape { what, expected: targets.width(), got: outputs })
        }
    }

    /// The loss summed over the rows of a batch. Overwrites `gradient`, if there is one, with the gradient of the mean:
    /// with respect to the logits if [`Loss::is_fused_with`] the activation, else to the output.
    ///
    /// # Panics
    /// The shapes do not fit together (see [`Loss::check`]), or a matrix is not contiguous.
    pub fn evaluate<T: Real>(
        self,
        threads: &Threads,
        output: Output<T>,
        targets: BatchTargets<T>,
        gradient: Option<ArrayViewMut2<T>>,
    ) -> f64 {
        let [rows, columns] = [output.a.nrows(), output.a.ncols()];
        match targets {
            BatchTargets::Classes(labels) => assert_eq!(labels.len(), rows, "labels of the batch"),
            BatchTargets::Values(values) => assert_eq!(values.dim(), (rows, columns), "shape of the target values"),
        }
        macro_rules! sum {
            ($row_loss:ident) => {
                map_rows_sum(
                    threads,
                    [rows, columns],
                    gradient,
                    #[inline(always)]
                    |rows, d| {
                        let mut d = d.chunks_exact_mut(columns.max(1));
                        rows.map(|row| $row_loss(RowOf::new(output, targets, row, d.next().unwrap_or_default()))).sum()
                    },
                )
            };
        }
        match self {
            Self::CrossEntropy if self.is_fused_with(output.activation) => sum!(softmax_cross_entropy),
            Self::CrossEntropy => sum!(cross_entropy),
            Self::Mse => match targets {
                BatchTargets::Classes(_) => sum!(mse),
                BatchTargets::Values(y) => map_rows_sum(
                    threads,
                    [rows, columns],
                    gradient,
                    #[inline(always)]
                    |rows, d| {
                        let elements = rows.start * columns..rows.end * columns;
                        mse_of_values(&flat(output.a)[elements.clone()], &flat(y)[elements], d, 1.0 / rows_of(output))
                    },
                ),
            },
            Self::BinaryCrossEntropy => sum!(binary_cross_entropy),
        }
    }
}

/// One row of a batch; `d` is empty where no gradient is asked for.
struct RowOf<'a, T> {
    z: &'a [T],
    a: &'a [T],
    d: &'a mut [T],
    target: RowTarget<'a, T>,
    one_over_m: T,
}

impl<'a, T: Real> RowOf<'a, T> {
    #[inline(always)]
    fn new<'o: 'a, 't: 'a>(output: Output<'o, T>, targets: BatchTargets<'t, T>, row: usize, d: &'a mut [T]) -> Self {
        let target = match targets {
            BatchTargets::Classes(labels) => RowTarget::Class(labels[row] as usize),
            BatchTargets::Values(values) => RowTarget::Values(row_slice(values, row)),
        };
        let z = if output.z.is_empty() { &[] } else { row_slice(output.z, row) };
        let one_over_m = T::from_f64(1.0 / output.a.nrows() as f64);
        Self { z, a: row_slice(output.a, row), d, target, one_over_m }
    }
}

enum RowTarget<'a, T> {
    Class(usize),
    Values(&'a [T]),
}

impl<T: Real> RowTarget<'_, T> {
    /// y_j; one-hot for a class, output 0 standing for `first_class`.
    #[inline]
    fn value(&self, j: usize, first_class: usize) -> T {
        match self {
            Self::Values(values) => values[j],
            Self::Class(class) if *class == j + first_class => T::ONE,
            Self::Class(_) => T::ZERO,
        }
    }

    /// The class; losses of classes alone are checked to have one.
    fn class(&self) -> usize {
        match self {
            Self::Class(class) => *class,
            Self::Values(_) => unreachable!("cross-entropy of values is refused by Loss::check"),
        }
    }
}

/// L = -ln p_y; dz = (p - y)/m. Where nothing is smoothed, ln p_y comes from the logits and cannot underflow.
#[inline(always)]
fn softmax_cross_entropy<T: Real>(RowOf { z, a: p, d, target, one_over_m }: RowOf<T>) -> f64 {
    let class = target.class();
    d.iter_mut().zip(p).for_each(|(d, &p)| *d = p * one_over_m);
    if let Some(d) = d.get_mut(class) {
        *d -= one_over_m;
    }
    if z.is_empty() {
        return -p[class].to_f64().ln();
    }
    let max = z.iter().fold(z[0], |max, &z| if z > max { z } else { max }).to_f64();
    let sum: f64 = z.iter().map(|&z| (z.to_f64() - max).exp()).sum();
    sum.ln() + max - z[class].to_f64()
}

/// L = -ln p_y; dp = -y/(p m).
#[inline(always)]
fn cross_entropy<T: Real>(RowOf { a: p, d, target, one_over_m, .. }: RowOf<T>) -> f64 {
    let class = target.class();
    d.fill(T::ZERO);
    if let Some(d) = d.get_mut(class) {
        *d = -one_over_m / p[class];
    }
    -p[class].to_f64().ln()
}

/// L = Σ (a - y)²/2; da = (a - y)/m.
#[inline(always)]
fn mse<T: Real>(RowOf { a, d, target, one_over_m, .. }: RowOf<T>) -> f64 {
    let error = |j: usize| a[j] - target.value(j, 0);
    d.iter_mut().enumerate().for_each(|(j, d)| *d = error(j) * one_over_m);
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
fn binary_cross_entropy<T: Real>(RowOf { a: z, d, target, one_over_m, .. }: RowOf<T>) -> f64 {
    let first_class = usize::from(z.len() == 1); // a single output is class 1's logit
    let y = |j: usize| target.value(j, first_class);
    d.iter_mut().enumerate().for_each(|(j, d)| *d = (sigmoid(z[j]) - y(j)) * one_over_m);
    let loss = |(j, z): (usize, &T)| {
        let z = z.to_f64();
        z.max(0.0) - z * y(j).to_f64() + (-z.abs()).exp().ln_1p()
    };
    z.iter().enumerate().map(loss).sum()
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
