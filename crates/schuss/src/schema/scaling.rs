//! How a column of numbers is scaled.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::metrics::normal_quantile;
use crate::{Error, Result};

/// How numbers become numbers of a network's size.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum NumberScaling {
    /// As they are.
    #[default]
    None,
    /// x / d
    Divide(f64),
    /// (x - mean) / deviation
    Standard {
        /// Of the training rows.
        mean: f64,
        /// Of the population; 1 where all are the same.
        deviation: f64,
    },
    /// z = (x - median) · factor, then z / √(1 + (z/3)²), which keeps what is far off within ±3 (Holzmüller et al. 2024,
    /// arXiv:2407.04491).
    Robust {
        /// Of the training rows.
        median: f64,
        /// One over the interquartile range; where that is 0, two over the range.
        factor: f64,
    },
    /// The normal quantile of the share of the training rows that are below, within ±3: at 257 knots, and on the straight
    /// lines between them.
    Quantile {
        /// The quantiles of the training rows for shares of 0, 1/256, 2/256, ..., 1, ascending.
        knots: Vec<f64>,
    },
}

/// Which scaling is fitted to numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum NumberScale {
    /// [`NumberScaling::None`]
    None,
    /// [`NumberScaling::Divide`] by this.
    Divide(f64),
    /// [`NumberScaling::Standard`]
    Standard,
    /// [`NumberScaling::Robust`]; [`NumberScaling::Standard`] where one row in a hundred, and twenty at least, are more
    /// than six interquartile ranges from the median: that many are no outliers, and the clip would make them all the same.
    /// A column of numbers of which that and [`NumberScaling::Quantile`] correlate by less than 0.95 becomes both
    /// ([`Encoding::Skewed`](crate::Encoding::Skewed)): one keeps the distances, the other tells those apart that are close.
    #[default]
    Robust,
    /// [`NumberScaling::Quantile`]
    Quantile,
}

/// Knots of [`NumberScaling::Quantile`].
const KNOTS: usize = 257;
/// Where smooth clipping and quantiles end.
const FAR: f64 = 3.0;

impl NumberScaling {
    /// That of the numbers that are there, ascending.
    pub(super) fn fit(scale: NumberScale, sorted: &[f64]) -> Self {
        let quantile = |level: f64| quantile(sorted, level);
        let [least, most] = [sorted[0], sorted[sorted.len() - 1]];
        match scale {
            NumberScale::None => Self::None,
            NumberScale::Divide(divisor) => Self::Divide(divisor),
            NumberScale::Robust if has_heavy_tail(sorted) => Self::fit(NumberScale::Standard, sorted),
            NumberScale::Standard => {
                let count = sorted.len() as f64;
                let mean = sorted.iter().map(|x| x / count).sum::<f64>();
                let deviation = (sorted.iter().map(|x| (x - mean).powi(2) / count).sum::<f64>()).sqrt();
                let is_constant = deviation <= 1e-12 * mean.abs();
                Self::Standard { mean, deviation: if is_constant { 1.0 } else { deviation } }
            }
            NumberScale::Robust => {
                let range = quantile(0.75) - quantile(0.25);
                let range = if range > 0.0 { range } else { 0.5 * (most - least) };
                // The range of what is almost the same, or as large as numbers go, has no finite inverse.
                let factor = Some(range.recip()).filter(|factor| factor.is_normal()).unwrap_or(0.0);
                Self::Robust { median: quantile(0.5), factor }
            }
            NumberScale::Quantile => {
                let at = |knot: usize| quantile(knot as f64 / (KNOTS - 1) as f64);
                Self::Quantile { knots: (0..KNOTS).map(at).collect() }
            }
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        let (numbers, divisor): (&[f64], f64) = match self {
            Self::None => return Ok(()),
            Self::Divide(divisor) => (&[], *divisor),
            Self::Standard { mean, deviation } => (&[*mean], *deviation),
            Self::Robust { median, factor } => (&[*median, *factor], 1.0),
            Self::Quantile { knots } => {
                if knots.len() != KNOTS || !knots.is_sorted() {
                    let expected = format!("{KNOTS}, ascending");
                    return Err(Error::value("knots of a quantile scaling", expected, knots.len()));
                }
                (knots, 1.0)
            }
        };
        match numbers.iter().chain([&divisor]).find(|x| !x.is_finite()) {
            Some(got) => Err(Error::value("scale of a column", "finite numbers", got)),
            None if divisor == 0.0 => Err(Error::value("scale of a column", "a divisor that is not zero", divisor)),
            None => Ok(()),
        }
    }

    /// What [`NumberScaling::Quantile`] has at its knots: Φ⁻¹ of the share that belongs to each, within ±3.
    pub fn normals() -> &'static [f64] {
        &*NORMALS
    }

    /// Whether two scalings are nearly a straight line of each other: whether they correlate by 0.95 or more, over numbers
    /// of these, ascending, that are as far apart as the knots.
    pub(super) fn is_straight_in(&self, other: &Self, sorted: &[f64]) -> bool {
        const LEAST: f64 = 0.95;
        let place = |knot: usize| knot * (sorted.len() - 1) / (KNOTS - 1);
        let pairs = (0..KNOTS).map(|knot| sorted[place(knot)]).map(|x| [self.scale(x), other.scale(x)]);
        let means = [0, 1].map(|i| pairs.clone().map(|pair| pair[i]).sum::<f64>() / KNOTS as f64);
        let product =
            |i: usize, j: usize| -> f64 { pairs.clone().map(|pair| (pair[i] - means[i]) * (pair[j] - means[j])).sum() };
        // Equal where there is no spread.
        product(0, 1) >= LEAST * (product(0, 0) * product(1, 1)).sqrt()
    }

    /// The scaled number.
    pub fn scale(&self, x: f64) -> f64 {
        match self {
            Self::None => x,
            Self::Divide(divisor) => x / divisor,
            Self::Standard { mean, deviation } => (x - mean) / deviation,
            Self::Robust { median, factor } => {
                // Cut off where a square would overflow, long after the clip has reached its end.
                let z = ((x - median) * factor).clamp(-1e100, 1e100);
                z / (1.0 + (z / FAR).powi(2)).sqrt()
            }
            Self::Quantile { knots } => between(knots, x),
        }
    }
}

/// Whether one number in a hundred, and twenty at least, are more than six interquartile ranges from the median.
fn has_heavy_tail(sorted: &[f64]) -> bool {
    const FAR_OFF: f64 = 6.0;
    const LEAST: usize = 20;
    let [low, median, high] = [0.25, 0.5, 0.75].map(|level| quantile(sorted, level));
    let reach = FAR_OFF * (high - low);
    let beyond = sorted.partition_point(|x| *x < median - reach) + sorted.len()
        - sorted.partition_point(|x| *x <= median + reach);
    // Squares of larger ones may not be finite.
    let is_moderate = sorted[0].abs().max(sorted[sorted.len() - 1].abs()) < 1e100;
    high > low && is_moderate && beyond >= LEAST && 100 * beyond >= sorted.len()
}

/// Φ⁻¹ of the share that belongs to each knot.
static NORMALS: LazyLock<[f64; KNOTS]> =
    LazyLock::new(|| std::array::from_fn(|knot| normal_quantile(knot as f64 / (KNOTS - 1) as f64).clamp(-FAR, FAR)));

/// The normal quantile of `x` by the `knots`; the middle of those of knots that are equal to it.
fn between(knots: &[f64], x: f64) -> f64 {
    let below = knots.partition_point(|&knot| knot < x);
    let not_above = knots.partition_point(|&knot| knot <= x);
    if below < not_above {
        return 0.5 * (NORMALS[below] + NORMALS[not_above - 1]);
    }
    if below == 0 || below == KNOTS {
        return if below == 0 { -FAR } else { FAR };
    }
    let [from, to] = [knots[below - 1], knots[below]];
    // Halves, whose difference is finite.
    let part = (0.5 * x - 0.5 * from) / (0.5 * to - 0.5 * from);
    NORMALS[below - 1] + part * (NORMALS[below] - NORMALS[below - 1])
}

/// Of numbers that ascend: the straight line between the two that are nearest to the level (type 7 of Hyndman and Fan 1996).
fn quantile(sorted: &[f64], level: f64) -> f64 {
    let place = level * (sorted.len() - 1) as f64;
    let (whole, rest) = (place as usize, place.fract());
    let [from, to] = [sorted[whole], sorted[(whole + 1).min(sorted.len() - 1)]];
    // Rounding leaves neither.
    (from * (1.0 - rest) + to * rest).clamp(from, to)
}
