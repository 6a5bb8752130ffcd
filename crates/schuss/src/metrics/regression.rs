//! Metrics of numbers: predictions and targets are (rows, outputs), errors in the unit of the targets.

use ndarray::{ArrayView1, ArrayView2};

use super::classification::{all_weights, mean};
use super::evaluation::of_level;
use crate::Levels;

/// Rows of which there is an R².
pub(super) const LEAST_ROWS: usize = 2;

/// √(mean (a - y)²) over rows and outputs together. (scikit-learn's `root_mean_squared_error` is that of each output,
/// averaged; of one output they are the same.)
///
/// # Panics
/// The shapes differ.
pub fn rmse(predictions: ArrayView2<f64>, targets: ArrayView2<f64>, weights: Option<&[f64]>) -> f64 {
    let squares = row_means(predictions, targets, |error| error * error);
    mean(squares, &all_weights(weights, targets.nrows())).sqrt()
}

/// mean |a - y| over rows and outputs.
///
/// # Panics
/// The shapes differ.
pub fn mae(predictions: ArrayView2<f64>, targets: ArrayView2<f64>, weights: Option<&[f64]>) -> f64 {
    mean(row_means(predictions, targets, f64::abs), &all_weights(weights, targets.nrows()))
}

/// mean max(q e, (q - 1) e) over rows and outputs, e = y - a: the loss that the quantile of level q makes smallest (Koenker
/// and Bassett 1978), half of [`mae`] for the median.
///
/// # Panics
/// The shapes differ.
pub fn pinball(predictions: ArrayView2<f64>, targets: ArrayView2<f64>, level: f64, weights: Option<&[f64]>) -> f64 {
    let losses = row_means(predictions, targets, |error| pinball_of(error, level));
    mean(losses, &all_weights(weights, targets.nrows()))
}

/// The pinball loss of a - y.
fn pinball_of(error: f64, level: f64) -> f64 {
    (-level * error).max((1.0 - level) * error)
}

/// The pinball loss of each row, averaged over levels and outputs; the levels of an output side by side.
pub(super) fn pinball_losses(predictions: ArrayView2<f64>, targets: ArrayView2<f64>, levels: Levels) -> Vec<f64> {
    let mut sums = vec![0.0; targets.nrows()];
    for (i, &level) in levels.levels().iter().enumerate() {
        let losses = row_means(of_level(predictions, levels, i), targets, |error| pinball_of(error, level));
        sums.iter_mut().zip(losses).for_each(|(sum, loss)| *sum += loss / levels.levels().len() as f64);
    }
    sums
}

/// The mean over a row's outputs of `f` of a - y, for each row.
pub(super) fn row_means(predictions: ArrayView2<f64>, targets: ArrayView2<f64>, f: impl Fn(f64) -> f64) -> Vec<f64> {
    assert_eq!(predictions.dim(), targets.dim(), "shape of the predictions");
    let outputs = targets.ncols() as f64;
    let rows = predictions.rows().into_iter().zip(targets.rows());
    rows.map(|(a, y)| a.iter().zip(y).map(|(a, y)| f(a - y)).sum::<f64>() / outputs).collect()
}

/// R² = 1 - Σ(a - y)²/Σ(y - ȳ)² of each output, averaged over the outputs.
///
/// Where the targets of an output are all the same, there is nothing to explain: its R² is 1 if the predictions are exact,
/// else 0, as scikit-learn's `r2_score` with `force_finite`. That of fewer than two rows is undefined: NaN.
///
/// # Panics
/// The shapes differ.
pub fn r2(predictions: ArrayView2<f64>, targets: ArrayView2<f64>, weights: Option<&[f64]>) -> f64 {
    assert_eq!(predictions.dim(), targets.dim(), "shape of the predictions");
    if targets.nrows() < LEAST_ROWS {
        return f64::NAN;
    }
    let all = all_weights(weights, targets.nrows());
    let of_output = |(a, y): (ArrayView1<f64>, ArrayView1<f64>)| {
        let mean = mean_of(y, weights);
        let rows = a.iter().zip(y).zip(&*all);
        let [error, deviation] = rows.fold([0.0; 2], |[error, deviation], ((a, y), w)| {
            [error + w * (a - y) * (a - y), deviation + w * (y - mean) * (y - mean)]
        });
        explained_share(error, deviation)
    };
    let outputs = predictions.columns().into_iter().zip(targets.columns());
    outputs.map(of_output).sum::<f64>() / targets.ncols() as f64
}

/// R² of the sums Σ(a - y)² and Σ(y - ȳ)².
pub(super) fn explained_share(error: f64, deviation: f64) -> f64 {
    match (error == 0.0, deviation == 0.0) {
        (true, _) => 1.0,
        (false, true) => 0.0,
        (false, false) => 1.0 - error / deviation,
    }
}

/// The weighted mean; of numbers that are all the same exactly that one, so that nothing deviates from it.
pub(super) fn mean_of(values: ArrayView1<f64>, weights: Option<&[f64]>) -> f64 {
    let weights = all_weights(weights, values.len());
    let mut counting = values.iter().zip(&*weights).filter(|(_, w)| **w > 0.0).map(|(x, _)| *x);
    match counting.next() {
        Some(first) if counting.all(|x| x == first) => first,
        _ => mean(values.iter().copied(), &weights),
    }
}
