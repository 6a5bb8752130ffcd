//! Views of examples, and the scaling that turns stored values into the numbers a network sees.

use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::stream::{Moments, Stream, Totals};
use crate::{Error, Real, Result, Threads};

/// Feature values, one example a row, in the type in which they are stored. They are converted batch by batch.
#[derive(Clone, Copy, Debug)]
pub enum Features<'a> {
    /// Bytes: pixels.
    U8(ArrayView2<'a, u8>),
    /// Single precision.
    F32(ArrayView2<'a, f32>),
    /// Double precision.
    F64(ArrayView2<'a, f64>),
}

/// Evaluates an expression for the view inside [`Features`], whatever its type.
macro_rules! with_view {
    ($features:expr, $view:ident => $body:expr) => {
        match $features {
            Features::U8($view) => $body,
            Features::F32($view) => $body,
            Features::F64($view) => $body,
        }
    };
}
pub(crate) use with_view;

impl Features<'_> {
    /// Examples.
    pub fn rows(&self) -> usize {
        with_view!(self, view => view.nrows())
    }

    /// Values of an example.
    pub fn columns(&self) -> usize {
        with_view!(self, view => view.ncols())
    }

    /// The row and column of a value that is infinite or NaN.
    fn find_not_finite(&self) -> Option<(usize, usize)> {
        match self {
            Self::U8(_) => None,
            Self::F32(view) => view.indexed_iter().find(|(_, x)| !x.is_finite()).map(|(at, _)| at),
            Self::F64(view) => view.indexed_iter().find(|(_, x)| !x.is_finite()).map(|(at, _)| at),
        }
    }
}

/// A stored value.
pub(crate) trait Value: Copy + Into<f64> {
    /// The nearest number of that type; the way there is never through a wider one than it takes.
    fn to_real<T: Real>(self) -> T;
}

impl Value for u8 {
    #[inline(always)]
    fn to_real<T: Real>(self) -> T {
        T::from_f32(f32::from(self))
    }
}

impl Value for f32 {
    #[inline(always)]
    fn to_real<T: Real>(self) -> T {
        T::from_f32(self)
    }
}

impl Value for f64 {
    #[inline(always)]
    fn to_real<T: Real>(self) -> T {
        T::from_f64(self)
    }
}

/// What is to be predicted, one for each example.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Targets<'a> {
    /// A class, counted from 0.
    Classes {
        /// The class of every example.
        labels: &'a [u32],
        /// How many classes there are; every label is below.
        classes: usize,
    },
    /// Numbers, (examples, outputs).
    Values(ArrayView2<'a, f64>),
}

impl Targets<'_> {
    /// Examples.
    pub fn rows(&self) -> usize {
        match self {
            Self::Classes { labels, .. } => labels.len(),
            Self::Values(values) => values.nrows(),
        }
    }

    /// The number of classes, or of values for an example.
    pub fn width(&self) -> usize {
        match self {
            Self::Classes { classes, .. } => *classes,
            Self::Values(values) => values.ncols(),
        }
    }

    /// The lowest and the highest of each value; of classes nothing.
    pub fn range(&self) -> Vec<[f64; 2]> {
        let of_column = |column: ArrayView1<f64>| {
            column.iter().fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], &x| [low.min(x), high.max(x)])
        };
        match self {
            Self::Classes { .. } => Vec::new(),
            Self::Values(values) => values.columns().into_iter().map(of_column).collect(),
        }
    }
}

/// Examples with their targets, checked once: as many targets as examples, labels below the number of classes, every
/// number finite.
///
/// They may be a sample of a [`Stream`]: then training and [`Model::evaluate`](crate::Model::evaluate) take the rows of that,
/// and whatever needs rows at hand takes the sample.
#[derive(Clone, Copy, Debug)]
pub struct Dataset<'a> {
    features: Features<'a>,
    targets: Targets<'a>,
    weights: Option<&'a [f64]>,
    stream: Option<&'a dyn Stream>,
}

impl<'a> Dataset<'a> {
    /// A data set of these views.
    ///
    /// # Errors
    /// No examples, no features, another number of targets than of examples, a label that is not below the number of
    /// classes, a number that is not finite.
    pub fn new(features: Features<'a>, targets: Targets<'a>) -> Result<Self> {
        let [rows, columns] = [features.rows(), features.columns()];
        if rows == 0 || columns == 0 {
            return Err(Error::value("data", "at least one example and one feature", format!("{rows} x {columns}")));
        }
        if targets.rows() != rows {
            return Err(Error::Shape { what: "number of targets", expected: rows, got: targets.rows() });
        }
        if let Some((row, column)) = features.find_not_finite() {
            return Err(Error::value(
                format!("feature in row {row}, column {column} (counted from 0)"),
                "a finite number",
                "infinity or NaN",
            ));
        }
        match targets {
            Targets::Classes { labels, classes } => {
                if let Some(row) = labels.iter().position(|&label| label as usize >= classes) {
                    let expected = format!("a class below {classes}");
                    return Err(Error::value(format!("label of row {row} (counted from 0)"), expected, labels[row]));
                }
            }
            Targets::Values(values) => {
                if let Some(((row, _), value)) = values.indexed_iter().find(|(_, value)| !value.is_finite()) {
                    return Err(Error::value(
                        format!("target of row {row} (counted from 0)"),
                        "a finite number",
                        value,
                    ));
                }
            }
        }
        Ok(Self::of_checked(features, targets, None))
    }

    /// A data set of what was checked.
    pub(crate) fn of_checked(features: Features<'a>, targets: Targets<'a>, weights: Option<&'a [f64]>) -> Self {
        Self { features, targets, weights, stream: None }
    }

    /// This data set for as long as it is borrowed: views of `ndarray` do not shorten on their own.
    pub(crate) fn reborrow(&self) -> Dataset<'_> {
        let features = match &self.features {
            Features::U8(view) => Features::U8(view.reborrow()),
            Features::F32(view) => Features::F32(view.reborrow()),
            Features::F64(view) => Features::F64(view.reborrow()),
        };
        let targets = match &self.targets {
            Targets::Classes { labels, classes } => Targets::Classes { labels, classes: *classes },
            Targets::Values(values) => Targets::Values(values.reborrow()),
        };
        Dataset { features, targets, weights: self.weights, stream: self.stream }
    }

    /// These examples as a sample of the rows of `stream`, which are of the same kind.
    pub fn sample_of(self, stream: &'a dyn Stream) -> Self {
        Self { stream: Some(stream), ..self }
    }

    /// What the examples are a sample of, if they are one.
    pub fn stream(&self) -> Option<&'a dyn Stream> {
        self.stream
    }

    /// All rows that there are, those of the stream where these are a sample.
    pub fn total_rows(&self) -> usize {
        self.stream.map_or(self.rows(), |stream| stream.totals().rows)
    }

    /// What is known of all rows, where they are more than are here.
    fn totals(&self) -> Option<&'a Totals> {
        self.stream.map(Stream::totals).filter(|totals| totals.rows > self.rows())
    }

    /// The sum of what all rows count, each times what `class_weights`, if there are any, say of its class.
    pub(crate) fn total_weight(&self, class_weights: &[f64]) -> Option<f64> {
        let totals = self.totals()?;
        let classes = totals.classes.iter().zip(class_weights);
        let sum = classes.map(|((_, weight), of_class)| weight * of_class).sum();
        Some(if class_weights.is_empty() { totals.weight } else { sum })
    }

    /// The mean of each target over all rows, each as much as it counts, where they are more than are here.
    pub(crate) fn total_means(&self) -> Option<Vec<f64>> {
        self.totals().map(|totals| totals.weighted_means.clone())
    }

    /// How many rows each class has; none of numbers.
    pub fn class_counts(&self) -> Vec<usize> {
        match (self.totals(), self.targets) {
            (Some(totals), _) => totals.classes.iter().map(|(rows, _)| *rows).collect(),
            (None, Targets::Classes { labels, classes }) => {
                let mut counts = vec![0; classes];
                labels.iter().for_each(|&label| counts[label as usize] += 1);
                counts
            }
            (None, Targets::Values(_)) => Vec::new(),
        }
    }

    /// The lowest and the highest of each target of all rows: see [`Targets::range`].
    pub fn target_range(&self) -> Vec<[f64; 2]> {
        let of_all = |totals: &Totals| totals.targets.iter().map(|moments| [moments.least, moments.most]).collect();
        self.totals().map_or_else(|| self.targets.range(), of_all)
    }

    /// [`Scaling::standard`] of the features of all rows; of a stream that does not know theirs, of the sample.
    pub fn standard_features(&self) -> Scaling {
        match self.totals() {
            Some(totals) if !totals.features.is_empty() => Moments::scaling(&totals.features),
            _ => Scaling::standard(self.features),
        }
    }

    /// [`Scaling::standard`] of the targets of all rows; of classes none.
    pub fn standard_targets(&self) -> Scaling {
        match (self.totals(), self.targets) {
            (_, Targets::Classes { .. }) => Scaling::None,
            (Some(totals), _) => totals.target_scaling(),
            (None, Targets::Values(values)) => Scaling::standard(Features::F64(values)),
        }
    }

    /// These examples, each counting as much as its weight says beside the others, in training and in metrics. Only their
    /// proportions matter.
    ///
    /// # Errors
    /// Another number of weights than of examples; one that is negative or not finite; all of them 0.
    pub fn with_weights(self, weights: &'a [f64]) -> Result<Self> {
        if weights.len() != self.rows() {
            return Err(Error::Shape { what: "number of weights", expected: self.rows(), got: weights.len() });
        }
        if let Some(row) = weights.iter().position(|weight| !(weight.is_finite() && *weight >= 0.0)) {
            let what = format!("weight of row {row} (counted from 0)");
            return Err(Error::value(what, "a finite number of 0 or more", weights[row]));
        }
        if weights.iter().all(|weight| *weight == 0.0) {
            return Err(Error::value("weights", "one above 0 at least", 0));
        }
        Ok(Self { weights: Some(weights), ..self })
    }

    /// What the examples count, if they do not all count the same.
    pub fn weights(&self) -> Option<&'a [f64]> {
        self.weights
    }

    /// A hash of all values, targets and weights (SHA-256, hexadecimal), and their numbers: the same for the same data.
    pub fn fingerprint(&self) -> String {
        if let Some(stream) = self.stream {
            return stream.fingerprint();
        }
        fn add<X: Copy>(hash: &mut Sha256, view: ArrayView2<X>, to_bytes: impl Fn(X, &mut Vec<u8>)) {
            let mut bytes = Vec::new();
            for row in view.rows() {
                bytes.clear();
                row.iter().for_each(|&x| to_bytes(x, &mut bytes));
                hash.update(&bytes);
            }
        }
        let mut hash = Sha256::new();
        match self.features {
            Features::U8(view) => add(&mut hash, view, |x, bytes| bytes.push(x)),
            Features::F32(view) => add(&mut hash, view, |x, bytes| bytes.extend(x.to_le_bytes())),
            Features::F64(view) => add(&mut hash, view, |x, bytes| bytes.extend(x.to_le_bytes())),
        }
        match self.targets {
            Targets::Classes { labels, .. } => labels.iter().for_each(|label| hash.update(label.to_le_bytes())),
            Targets::Values(view) => add(&mut hash, view, |x, bytes| bytes.extend(x.to_le_bytes())),
        }
        self.weights.iter().for_each(|w| w.iter().for_each(|weight| hash.update(weight.to_le_bytes())));
        let hash: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        format!(
            "{} rows of {} features, {} targets, {hash}",
            self.rows(),
            self.features.columns(),
            self.targets.width()
        )
    }

    /// The values of the examples.
    pub fn features(&self) -> Features<'a> {
        self.features
    }

    /// What is to be predicted.
    pub fn targets(&self) -> Targets<'a> {
        self.targets
    }

    /// Examples that are here.
    pub fn rows(&self) -> usize {
        self.features.rows()
    }
}

/// How stored values become a network's numbers: `(x - shift) / divisor`. Fitted on the training data, kept in the
/// model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Scaling {
    /// Values as they are stored.
    #[default]
    None,
    /// Every value divided by the same number: pixels by 255.
    Divide(f64),
    /// Every column less its mean, divided by its standard deviation (by 1 where the column is constant).
    Standard {
        /// The mean of each column.
        mean: Vec<f64>,
        /// The divisor of each column.
        deviation: Vec<f64>,
    },
}

impl Scaling {
    /// The standard scaling of these columns: mean and population standard deviation, in double precision.
    pub fn standard(features: Features) -> Self {
        let (mean, deviation) = with_view!(features, view => moments(view));
        Self::Standard { mean, deviation }
    }

    /// Fails unless this scaling fits examples of `columns` values.
    ///
    /// # Errors
    /// Another number of columns; a divisor of zero or a number that is not finite.
    pub fn check(&self, columns: usize) -> Result<()> {
        let [shifts, divisors] = match self {
            Self::None => return Ok(()),
            Self::Divide(divisor) => [&[], std::slice::from_ref(divisor)],
            Self::Standard { mean, deviation } => {
                for got in [mean.len(), deviation.len()] {
                    if got != columns {
                        return Err(Error::Shape { what: "columns of the scaling", expected: columns, got });
                    }
                }
                [mean.as_slice(), deviation.as_slice()]
            }
        };
        match divisors.iter().find(|x| **x == 0.0).or(divisors.iter().chain(shifts).find(|x| !x.is_finite())) {
            Some(got) => Err(Error::value("scale", "a finite number, not zero", got)),
            None => Ok(()),
        }
    }

    /// Overwrites `out` with the scaled examples `rows` of `features`.
    ///
    /// # Panics
    /// The shapes do not fit together, or a row does not exist.
    pub fn gather<T: Real>(&self, threads: &Threads, features: Features, rows: &[u32], out: ArrayViewMut2<T>) {
        assert_eq!(out.dim(), (rows.len(), features.columns()), "shape of the batch");
        with_view!(features, view => schuss_kernels::gather_rows(
            threads,
            rows,
            out,
            |row| view.row(row as usize).to_slice().into_iter().for_each(schuss_kernels::prefetch),
            // Compiled for the instruction set in use where it is inlined into the kernel.
            #[inline(always)]
            |row, out| self.scale(view.row(row as usize), out),
        ));
    }

    /// Overwrites `out` with the scaled `row`.
    #[inline(always)]
    pub(crate) fn scale<X: Value, T: Real>(&self, row: ArrayView1<X>, out: &mut [T]) {
        let copy;
        let row = match row.to_slice() {
            Some(row) => row,
            None => {
                copy = row.to_vec();
                &copy
            }
        };
        self.scale_at(0, row, out);
    }

    /// [`Scaling::scale`] of a part of a row that goes to the columns from `column` on.
    #[inline(always)]
    pub(crate) fn scale_at<X: Value, T: Real>(&self, column: usize, row: &[X], out: &mut [T]) {
        match self {
            Self::None => out.iter_mut().zip(row).for_each(|(out, &x)| *out = x.to_real()),
            Self::Divide(divisor) => {
                let divisor = T::from_f64(*divisor);
                out.iter_mut().zip(row).for_each(|(out, &x)| *out = x.to_real::<T>() / divisor);
            }
            Self::Standard { mean, deviation } => {
                let columns = row.iter().zip(&mean[column..]).zip(&deviation[column..]);
                out.iter_mut().zip(columns).for_each(|(out, ((&x, m), d))| *out = T::from_f64((x.into() - m) / d));
            }
        }
    }

    /// [`Scaling::scale_at`] of nothing but zeros.
    #[inline(always)]
    pub(crate) fn scale_zeros<T: Real>(&self, column: usize, out: &mut [T]) {
        match self {
            Self::None | Self::Divide(_) => out.fill(T::ZERO),
            Self::Standard { mean, deviation } => {
                let columns = mean[column..].iter().zip(&deviation[column..]);
                out.iter_mut().zip(columns).for_each(|(out, (m, d))| *out = T::from_f64(-m / d));
            }
        }
    }

    /// Undoes the scaling of some values of one column, in place.
    pub(crate) fn invert(&self, column: usize, values: &mut [f64]) {
        match self {
            Self::None => {}
            Self::Divide(divisor) => values.iter_mut().for_each(|x| *x *= divisor),
            Self::Standard { mean, deviation } => {
                values.iter_mut().for_each(|x| *x = *x * deviation[column] + mean[column]);
            }
        }
    }
}

/// Mean and standard deviation of each column, the latter 1 where all values are the same.
fn moments<X: Copy + Into<f64>>(view: ArrayView2<X>) -> (Vec<f64>, Vec<f64>) {
    let count = view.nrows() as f64;
    let column_means = |value: &dyn Fn(usize, f64) -> f64| {
        let mut sums = vec![0.0; view.ncols()];
        for row in view.rows() {
            sums.iter_mut().zip(row).enumerate().for_each(|(column, (sum, &x))| *sum += value(column, x.into()));
        }
        sums.into_iter().map(|sum| sum / count).collect::<Vec<_>>()
    };
    let mean = column_means(&|_, x| x);
    let variance = column_means(&|column, x| (x - mean[column]).powi(2));
    // A constant column leaves nothing but rounding.
    let is_constant = |deviation: f64, mean: f64| deviation <= 1e-12 * mean.abs();
    let deviation = variance.iter().zip(&mean).map(|(variance, &mean)| match variance.sqrt() {
        deviation if is_constant(deviation, mean) => 1.0,
        deviation => deviation,
    });
    let deviation = deviation.collect();
    (mean, deviation)
}
