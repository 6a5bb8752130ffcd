//! Confidence intervals: between which values a metric of the population may lie, as far as these rows tell.
//!
//! Shares of rows have intervals of their own, which are sound near 0 and 1, too; every other metric has the bootstrap's.

use std::sync::{Mutex, PoisonError};

use super::classification::mean;
use crate::Threads;
use crate::activation::normal_distribution;
use crate::random::{Purpose, Stream};

/// From `low` to `high`, at 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Interval {
    /// Whether `value` is in it, its ends included.
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}

/// The 97.5 % quantile of the standard normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// How many rows that count all the same tell as much as these weights: (Σ w)²/Σ w² (Kish 1965).
pub fn effective_rows(weights: &[f64]) -> f64 {
    let [sum, squares] = weights.iter().fold([0.0; 2], |[sum, squares], w| [sum + w, squares + w * w]);
    sum * sum / squares
}

/// The interval of a share of so many rows (Wilson 1927, doi:10.1080/01621459.1927.10502953): those p for which the share
/// is less than z standard deviations √(p (1 - p)/rows) away. It is sound near 0 and 1, too. None where the share is
/// not from 0 to 1 or there are no rows.
pub fn wilson(share: f64, rows: f64) -> Option<Interval> {
    if !((0.0..=1.0).contains(&share) && rows > 0.0) {
        return None;
    }
    let middle = share + Z * Z / (2.0 * rows);
    let half = Z * (share * (1.0 - share) / rows + Z * Z / (4.0 * rows * rows)).sqrt();
    let scale = 1.0 + Z * Z / rows;
    // Rounding must not lead past the share itself where that is 0 or 1.
    let low = if share == 0.0 { 0.0 } else { (middle - half) / scale };
    let high = if share == 1.0 { 1.0 } else { (middle + half) / scale };
    Some(Interval { low, high })
}

/// The interval of the difference of two means of shares (each row's from 0 to 1: right or wrong), the first minus the
/// second, on the same rows: mean ± z deviation/√rows of the rows' differences and two more, +1 and -1 (Bonett and Price
/// 2012, doi:10.3102/1076998611411915). Those two make up for rows that are few, or where few differ: replicates of them would
/// not differ enough. None where nothing counts.
///
/// # Panics
/// The lengths differ.
pub fn paired_shares(shares: [&[f64]; 2], weights: &[f64]) -> Option<Interval> {
    assert_eq!([shares[0].len(), shares[1].len()], [weights.len(); 2], "shares");
    let differences = || shares[0].iter().zip(shares[1]).map(|(a, b)| a - b);
    let [first, second] = [mean(differences(), weights), mean(differences().map(|d| d * d), weights)];
    let rows = effective_rows(weights);
    let middle = rows * first / (rows + 2.0);
    let square = (rows * second + 2.0) / (rows + 2.0);
    let half = Z * ((square - middle * middle) / (rows + 2.0)).sqrt();
    half.is_finite().then(|| Interval { low: (middle - half).max(-1.0), high: (middle + half).min(1.0) })
}

/// The bootstrap of metrics that are functions of the rows' weights (Efron 1979, doi:10.1214/aos/1176344552).
///
/// A metric is computed again for replicates of the data, each of as many rows, drawn from these with replacement:
/// multinomial counts of the rows, times their weights; rows that weigh nothing are not drawn. The interval's ends are
/// quantiles of the replicates, at levels corrected for bias and skewness (BCa: Efron 1987, doi:10.2307/2289144) and for
/// small samples (Hesterberg 2015, doi:10.1080/00031305.2015.1089789): with z₀ = Φ⁻¹(share of replicates below the value),
/// z = √(n/(n - 1)) t₀.₉₇₅(n - 1) of n effective rows, and a the acceleration,
///
/// level = Φ(z₀ + (z₀ ± z)/(1 - a (z₀ ± z))).
///
/// a = Σ u³/(6 (Σ u²)^1.5) over rows, u the mean of the metric without one row less the metric without that one; of more
/// rows than there are replicates it is near 0, and taken as 0.
///
/// The rows have to be independent of each other, and new ones drawn like them. The training's own chance (another seed,
/// other training data) is not in the interval. Where a metric hangs on a few rows, too few are too few: of 30 rows, of
/// which two are wrong, the interval of the log-loss holds the true one in 86 instead of 95 of 100 cases, of 60 in 90, of
/// 200 in 95 (`tests/suite/metrics.rs` simulates such).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// Replicates: a thousand for an interval's ends to move little with the seed.
    pub replicates: usize,
    /// Of the draws.
    pub seed: u64,
}

impl Default for Bootstrap {
    /// 1,000 replicates, seed 0.
    fn default() -> Self {
        Self { replicates: 1000, seed: 0 }
    }
}

impl Bootstrap {
    /// As many replicates as take no longer than a moment, 100 to 1,000, of metrics that go over so many rows so many times.
    pub fn quick(rows: usize, passes: usize) -> Self {
        const MOST_WORK: usize = 50_000_000;
        // Drawing the rows takes as long as some passes.
        let work = rows.saturating_mul(passes + 10).max(1);
        Self { replicates: (MOST_WORK / work).clamp(100, 1000), ..Self::default() }
    }

    /// Rows that tell anything of others: of fewer, replicates are too much alike.
    const LEAST_ROWS: usize = 10;
    /// The largest share of replicates for which a metric may be undefined.
    const MOST_UNDEFINED: f64 = 0.05;
    /// Replicates that a thread takes at once.
    const PART: usize = 16;

    /// The intervals of several metrics at once. `metrics` says what they are under given weights, always as many, NaN where
    /// one is undefined. None where one is undefined for `weights` or for more than 5 % of the replicates, or fewer than ten
    /// rows count. An interval without width says that all replicates agree: they then tell nothing about others.
    ///
    /// The result does not depend on the number of threads.
    ///
    /// # Panics
    /// `metrics` gives another number of values than before.
    ///
    /// ```
    /// use schuss::{Threads, metrics::{Bootstrap, rmse}};
    /// let predictions = ndarray::Array2::from_shape_fn((50, 1), |(row, _)| row as f64);
    /// let targets = ndarray::Array2::from_shape_fn((50, 1), |(row, _)| row as f64 + (row % 7) as f64 - 3.0);
    /// let metric = |weights: &[f64]| vec![rmse(predictions.view(), targets.view(), Some(weights))];
    /// let intervals = Bootstrap::default().intervals(&[1.0; 50], &Threads::ONE, metric);
    /// assert!(intervals[0].unwrap().contains(2.0));
    /// ```
    pub fn intervals(
        &self,
        weights: &[f64],
        threads: &Threads,
        metrics: impl Fn(&[f64]) -> Vec<f64> + Sync,
    ) -> Vec<Option<Interval>> {
        let values = metrics(weights);
        let rows: Vec<u32> = (0..weights.len() as u32).filter(|&row| weights[row as usize] > 0.0).collect();
        let rows_that_count = effective_rows(weights);
        if rows.len() < Self::LEAST_ROWS || values.is_empty() {
            return vec![None; values.len()];
        }
        let stream = |replicate: usize| Stream::new(self.seed, Purpose::Bootstrap, replicate as u64);
        let replicates = many(self.replicates, values.len(), weights, threads, &metrics, |replicate, changed| {
            changed.fill(0.0);
            let mut draws = stream(replicate);
            for _ in 0..rows.len() {
                let row = rows[draws.below(rows.len() as u32) as usize] as usize;
                changed[row] += weights[row];
            }
        });
        let left_out = if rows.len() <= self.replicates { rows.len() } else { 0 };
        let without = many(left_out, values.len(), weights, threads, &metrics, |i, changed| {
            changed.copy_from_slice(weights);
            changed[rows[i] as usize] = 0.0;
        });
        let column = |of: &[f64], i: usize| of.chunks(values.len()).map(|chunk| chunk[i]).collect::<Vec<_>>();
        let interval = |(i, &value): (usize, &f64)| {
            interval_of(value, column(&replicates, i), acceleration(&column(&without, i)), rows_that_count)
        };
        values.iter().enumerate().map(interval).collect()
    }
}

/// `metrics` under `count` changes of the weights, (count, metrics).
fn many(
    count: usize,
    width: usize,
    weights: &[f64],
    threads: &Threads,
    metrics: &(impl Fn(&[f64]) -> Vec<f64> + Sync),
    change: impl Fn(usize, &mut [f64]) + Sync,
) -> Vec<f64> {
    let mut values = vec![f64::NAN; count * width];
    let parts: Vec<_> = values.chunks_mut(Bootstrap::PART * width).map(Mutex::new).collect();
    threads.for_each(parts.len(), |part| {
        let mut changed = weights.to_vec();
        let mut values = parts[part].lock().unwrap_or_else(PoisonError::into_inner);
        for (i, values) in values.chunks_mut(width).enumerate() {
            change(part * Bootstrap::PART + i, &mut changed);
            values.copy_from_slice(&metrics(&changed));
        }
    });
    drop(parts);
    values
}

/// a, from the values without each row; 0 where they do not say.
fn acceleration(without: &[f64]) -> f64 {
    let mean = without.iter().sum::<f64>() / without.len() as f64;
    let [squares, cubes] = without.iter().map(|x| mean - x).fold([0.0; 2], |[s, c], u| [s + u * u, c + u * u * u]);
    let a = cubes / (6.0 * squares.powf(1.5));
    if a.is_finite() { a } else { 0.0 }
}

/// The interval around `value`, of so many effective rows.
fn interval_of(value: f64, mut replicates: Vec<f64>, acceleration: f64, rows: f64) -> Option<Interval> {
    let count = replicates.len() as f64;
    replicates.retain(|x| x.is_finite());
    let defined = replicates.len() as f64;
    if !value.is_finite() || rows <= 1.0 || defined == 0.0 || defined < (1.0 - Bootstrap::MOST_UNDEFINED) * count {
        return None;
    }
    replicates.sort_unstable_by(f64::total_cmp);
    let below = replicates.partition_point(|x| *x < value) as f64;
    let not_above = replicates.partition_point(|x| *x <= value) as f64;
    // Never quite 0 or 1: that the value is outside all replicates is as far as they can tell.
    let share = ((below + not_above) / (2.0 * defined)).clamp(0.5 / defined, 1.0 - 0.5 / defined);
    let bias = normal_quantile(share);
    let z = (rows / (rows - 1.0)).sqrt() * student_quantile(rows - 1.0);
    let end = |z: f64| {
        let shifted = bias + z;
        // Beyond the pole, the level is at its end.
        let scale = (1.0 - acceleration * shifted).max(1e-3);
        let level = normal_distribution(bias + shifted / scale);
        let place = (level * (defined + 1.0) - 1.0).clamp(0.0, defined - 1.0);
        let (whole, rest) = (place as usize, place.fract());
        replicates[whole] + rest * (replicates[(whole + 1).min(replicates.len() - 1)] - replicates[whole])
    };
    Some(Interval { low: end(-z), high: end(z) })
}

/// Φ⁻¹, by halving.
pub(crate) fn normal_quantile(level: f64) -> f64 {
    let [mut low, mut high] = [-9.0, 9.0];
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if normal_distribution(middle) < level { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// The 97.5 % quantile of Student's distribution: the first terms of its expansion for many degrees of freedom (Abramowitz and
/// Stegun 1964, 26.7.5), within 0.1 % from 4 on.
fn student_quantile(freedom: f64) -> f64 {
    let z = Z;
    let terms = [
        (z.powi(3) + z) / 4.0,
        (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0,
        (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0,
        (79.0 * z.powi(9) + 776.0 * z.powi(7) + 1482.0 * z.powi(5) - 1920.0 * z.powi(3) - 945.0 * z) / 92160.0,
    ];
    terms.iter().rev().fold(0.0, |sum, term| (sum + term) / freedom) + z
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_close(got: f64, expected: f64, tolerance: f64) {
        assert!((got - expected).abs() <= tolerance * expected.abs(), "{got}, expected {expected}");
    }

    /// Of tables: Student's of any textbook; Φ⁻¹ to more places.
    #[test]
    fn quantiles() {
        for (freedom, expected) in [(4.0, 2.776_445), (9.0, 2.262_157), (29.0, 2.045_230), (999.0, 1.962_341)] {
            check_close(student_quantile(freedom), expected, 1e-3);
        }
        for (level, expected) in [(0.975, Z), (0.025, -Z), (0.841_344_746_068_543, 1.0), (0.001, -3.090_232_306)] {
            check_close(normal_quantile(level), expected, 1e-9);
        }
    }
}
