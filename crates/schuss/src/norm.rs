//! Normalisation: its forward and its backward.

use ndarray::{ArrayView2, ArrayViewMut2, Axis};
use schuss_kernels::{Threads, each_row, same_rows, sum_of, sum_rows, sum_rows_of};
use serde::{Deserialize, Serialize};

use crate::workspace::Pass;
use crate::{Activation, Real};

/// What is normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NormKind {
    /// Every row by its own mean and variance (Ba, Kiros and Hinton 2016, arXiv:1607.06450).
    Layer,
    /// Every column: in training by the mean and variance of the batch, else by running ones (Ioffe and Szegedy 2015,
    /// arXiv:1502.03167).
    Batch,
}

/// Normalisation, `a = f(γ ⊙ x̂ + β)` with `x̂ = (x - μ)/σ`, `σ = √(variance + ε)`.
///
/// Variances are those of the population. The running ones of a batch norm move by a tenth of the way at every step,
/// `running += (batch - running)/10`, where the batch's variance is that of a sample, as in PyTorch. A
/// batch of a single row has no variance: it is normalised by the running ones, which stay.
///
/// # Shapes
/// `x`, `x̂` and `a` (batch, features), γ and β (features,); its parameters are γ before β.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Norm {
    /// Of `x` and `a`.
    pub features: usize,
    /// What is normalised.
    pub kind: NormKind,
    /// f
    pub activation: Activation,
}

/// How far running statistics move at a step.
const MOMENTUM: f64 = 0.1;

/// What a norm's backward needs of its forward.
pub(crate) struct Kept<'m, T> {
    /// x̂ and, for a layer norm, 1/σ in a last column of its own.
    pub(crate) normalized: ArrayViewMut2<'m, T>,
    /// Mean, variance and 1/σ of a batch norm's columns.
    pub(crate) moments: &'m mut [T],
}

impl Norm {
    /// ε
    pub const EPSILON: f64 = 1e-5;

    /// Columns of [`Kept::normalized`].
    pub(crate) fn kept_columns(&self) -> usize {
        self.features + usize::from(self.kind == NormKind::Layer)
    }

    /// Numbers of [`Kept::moments`].
    pub(crate) fn moments(&self) -> usize {
        if self.kind == NormKind::Batch { 3 * self.features } else { 0 }
    }

    /// Running means and variances.
    pub(crate) fn statistics_count(&self) -> usize {
        if self.kind == NormKind::Batch { 2 * self.features } else { 0 }
    }

    /// Overwrites `a` with the layer's output for the batch `x`, `z` where f keeps it, and what backward needs.
    #[expect(clippy::too_many_arguments, reason = "the terms of the formulas")]
    pub(crate) fn forward<T: Real>(
        &self,
        threads: &Threads,
        pass: Pass,
        parameters: &[T],
        statistics: &[T],
        x: ArrayView2<T>,
        Kept { normalized, moments }: Kept<T>,
        mut z: ArrayViewMut2<T>,
        mut a: ArrayViewMut2<T>,
    ) {
        let n = self.features;
        let is_relu = self.activation == Activation::Relu;
        match self.kind {
            NormKind::Layer => each_row(
                threads,
                n,
                [normalized, a.view_mut()],
                [x],
                #[inline(always)]
                |_, [x_hat, a], [x]| {
                    let (x_hat, inverse) = x_hat.split_at_mut(n);
                    let count = T::from_f64(n as f64);
                    let mean = sum_of(x, x, |x, _| x) / count;
                    let variance = sum_of(x, x, |x, _| (x - mean) * (x - mean)) / count;
                    inverse[0] = T::ONE / (variance + T::from_f64(Self::EPSILON)).sqrt();
                    x_hat.iter_mut().zip(x).for_each(|(x_hat, &x)| *x_hat = (x - mean) * inverse[0]);
                    affine(x_hat, parameters, is_relu, a);
                },
            ),
            NormKind::Batch => {
                let (mean, rest) = moments.split_at_mut(n);
                let (variance, rest) = rest.split_at_mut(n);
                let inverse = &mut rest[..n];
                if uses_running(pass, x.nrows()) {
                    mean.copy_from_slice(&statistics[..n]);
                    variance.copy_from_slice(&statistics[n..]);
                } else {
                    let one_over_m = T::from_f64(1.0 / x.nrows() as f64);
                    sum_rows(threads, x, mean);
                    mean.iter_mut().for_each(|mean| *mean *= one_over_m);
                    let inputs = [x, same_rows(mean, x.nrows())];
                    sum_rows_of(threads, inputs, [], [variance], |[x, mean]| ([], [(x - mean) * (x - mean)]));
                    variance.iter_mut().for_each(|variance| *variance *= one_over_m);
                }
                let epsilon = T::from_f64(Self::EPSILON);
                inverse.iter_mut().zip(&*variance).for_each(|(i, &v)| *i = T::ONE / (v + epsilon).sqrt());
                let (mean, inverse) = (&*mean, &*inverse);
                each_row(
                    threads,
                    n,
                    [normalized, a.view_mut()],
                    [x],
                    #[inline(always)]
                    |_, [x_hat, a], [x]| {
                        let columns = x.iter().zip(mean.iter().zip(inverse));
                        x_hat.iter_mut().zip(columns).for_each(|(x_hat, (&x, (&m, &i)))| *x_hat = (x - m) * i);
                        affine(x_hat, parameters, is_relu, a);
                    },
                );
            }
        }
        if self.activation.keeps_logits() {
            z.assign(&a);
        }
        let rest = if is_relu { Activation::Identity } else { self.activation };
        rest.apply(threads, a);
    }

    /// Overwrites `gradient` and `dx`. `d` is ∂L/∂a on entry and ∂L/∂(γ ⊙ x̂ + β) on return.
    #[expect(clippy::too_many_arguments, reason = "the terms of the formulas")]
    pub(crate) fn backward<T: Real>(
        &self,
        threads: &Threads,
        pass: Pass,
        parameters: &[T],
        Kept { normalized, moments }: Kept<T>,
        z: ArrayView2<T>,
        a: ArrayView2<T>,
        mut d: ArrayViewMut2<T>,
        gradient: &mut [T],
        dx: Option<ArrayViewMut2<T>>,
    ) {
        let n = self.features;
        let gamma = &parameters[..n];
        let (d_gamma, d_beta) = gradient.split_at_mut(n);
        self.activation.chain(threads, z, a, d.view_mut()); // dz = da ⊙ f′(z)
        let normalized = normalized.view();
        let x_hat = normalized.split_at(Axis(1), n).0;
        // dγ = Σ_batch dz ⊙ x̂, dβ = Σ_batch dz
        sum_rows_of(threads, [d.view(), x_hat], [], [&mut *d_gamma, &mut *d_beta], |[d, x_hat]| ([], [d * x_hat, d]));
        let Some(dx) = dx else { return };
        let (d_gamma, d_beta) = (&*d_gamma, &*d_beta);
        let count = |count: usize| T::from_f64(1.0 / count as f64);
        match self.kind {
            // dx = (g - mean g - x̂ mean(g ⊙ x̂))/σ with g = γ ⊙ dz, means over the row
            NormKind::Layer => each_row(
                threads,
                n,
                [dx],
                [d.view(), normalized],
                #[inline(always)]
                |_, [dx], [d, kept]| {
                    let (x_hat, inverse) = (&kept[..n], kept[n]);
                    dx.iter_mut().zip(d.iter().zip(gamma)).for_each(|(g, (&d, &gamma))| *g = gamma * d);
                    let mean = sum_of(dx, dx, |g, _| g) * count(n);
                    let along = sum_of(dx, x_hat, |g, x_hat| g * x_hat) * count(n);
                    dx.iter_mut().zip(x_hat).for_each(|(g, &x_hat)| *g = inverse * (*g - mean - x_hat * along));
                },
            ),
            // dx = γ (dz - mean dz - x̂ mean(dz ⊙ x̂))/σ, means over the column; the means are 0 where σ is not the batch's
            NormKind::Batch => {
                let inverse = &moments[2 * n..3 * n];
                let one_over_m = if uses_running(pass, d.nrows()) { T::ZERO } else { count(d.nrows()) };
                each_row(
                    threads,
                    n,
                    [dx],
                    [d.view(), normalized],
                    #[inline(always)]
                    |_, [dx], [d, x_hat]| {
                        let sums = d_beta.iter().zip(d_gamma);
                        let factors = gamma.iter().zip(inverse);
                        for ((dx, (&d, &x_hat)), ((&db, &dg), (&gamma, &inverse))) in
                            dx.iter_mut().zip(d.iter().zip(x_hat)).zip(sums.zip(factors))
                        {
                            *dx = gamma * inverse * (d - one_over_m * (db + x_hat * dg));
                        }
                    },
                );
            }
        }
    }

    /// Moves the running `statistics` towards the `moments` of a batch of `rows` rows.
    pub(crate) fn update_statistics<T: Real>(&self, rows: usize, moments: &[T], statistics: &mut [T]) {
        let n = self.features;
        if rows < 2 {
            return;
        }
        let sample = T::from_f64(rows as f64 / (rows - 1) as f64);
        let momentum = T::from_f64(MOMENTUM);
        let (mean, variance) = statistics.split_at_mut(n);
        mean.iter_mut().zip(&moments[..n]).for_each(|(r, &m)| *r += momentum * (m - *r));
        variance.iter_mut().zip(&moments[n..2 * n]).for_each(|(r, &v)| *r += momentum * (sample * v - *r));
    }
}

/// Whether a batch norm of so many rows goes by its running statistics.
fn uses_running(pass: Pass, rows: usize) -> bool {
    pass == Pass::Inference || rows < 2
}

/// a = γ ⊙ x̂ + β, and ReLU if it is one.
#[inline(always)]
fn affine<T: Real>(x_hat: &[T], parameters: &[T], is_relu: bool, a: &mut [T]) {
    let (gamma, beta) = parameters.split_at(x_hat.len());
    for (a, (&x_hat, (&gamma, &beta))) in a.iter_mut().zip(x_hat.iter().zip(gamma.iter().zip(beta))) {
        let z = gamma * x_hat + beta;
        *a = if is_relu && z < T::ZERO { T::ZERO } else { z };
    }
}
