//! Metrics of an order: how well scores put the rows that are of a class before those that are not.
//!
//! A curve has a point for every distinct score: rows with the same score cross the threshold together.

/// A curve through points in the unit square, and the area under it.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// x and y.
    pub points: Vec<[f64; 2]>,
    /// The area; for precision and recall the average precision.
    pub area: Option<f64>,
}

/// The rows by falling score.
pub(super) struct Ranking(Vec<Ranked>);

struct Ranked {
    row: u32,
    is_positive: bool,
    /// Whether the next row's score is another one.
    is_last: bool,
}

impl Ranking {
    /// None where a score is NaN.
    pub(super) fn new(truth: impl Fn(usize) -> bool, scores: &[f64]) -> Option<Self> {
        if scores.iter().any(|score| score.is_nan()) {
            return None;
        }
        let mut rows: Vec<u32> = (0..scores.len() as u32).collect();
        let score = |row: u32| scores[row as usize];
        rows.sort_unstable_by(|&a, &b| score(b).total_cmp(&score(a)));
        let ranked = |(i, &row): (usize, &u32)| {
            let is_last = rows.get(i + 1).is_none_or(|&next| score(next) != score(row));
            Ranked { row, is_positive: truth(row as usize), is_last }
        };
        Some(Self(rows.iter().enumerate().map(ranked).collect()))
    }

    /// Calls `f` with the weights of the true and the false positives at every threshold, from the highest score on.
    #[inline(always)]
    fn walk(&self, weights: &[f64], mut f: impl FnMut(f64, f64)) {
        let [mut right, mut wrong] = [0.0; 2];
        for ranked in &self.0 {
            let weight = weights[ranked.row as usize];
            if ranked.is_positive {
                right += weight;
            } else {
                wrong += weight;
            }
            if ranked.is_last {
                f(right, wrong);
            }
        }
    }

    /// [`roc_auc`] and [`average_precision`], in one pass.
    pub(super) fn areas(&self, weights: &[f64]) -> Option<[f64; 2]> {
        let [mut roc, mut precision] = [0.0; 2];
        let [mut last_right, mut last_wrong] = [0.0; 2];
        self.walk(weights, |right, wrong| {
            roc += (wrong - last_wrong) * (right + last_right);
            if right > last_right {
                precision += (right - last_right) * right / (right + wrong);
            }
            (last_right, last_wrong) = (right, wrong);
        });
        (last_right > 0.0 && last_wrong > 0.0).then(|| [roc / (2.0 * last_right * last_wrong), precision / last_right])
    }

    /// Weights of true and false positives at every threshold at which a row that counts is added; none where a class is
    /// absent.
    fn thresholds(&self, weights: &[f64]) -> Option<Vec<[f64; 2]>> {
        let mut thresholds = Vec::new();
        let mut last = [0.0; 2];
        self.walk(weights, |right, wrong| {
            if [right, wrong] != last {
                last = [right, wrong];
                thresholds.push(last);
            }
        });
        (last[0] > 0.0 && last[1] > 0.0).then_some(thresholds)
    }

    pub(super) fn roc(&self, weights: &[f64]) -> Option<Vec<[f64; 2]>> {
        let thresholds = self.thresholds(weights)?;
        let [all_right, all_wrong] = *thresholds.last()?;
        let points = thresholds.iter().map(|[right, wrong]| [wrong / all_wrong, right / all_right]);
        Some(std::iter::once([0.0, 0.0]).chain(points).collect())
    }

    pub(super) fn precision_recall(&self, weights: &[f64]) -> Option<Vec<[f64; 2]>> {
        let thresholds = self.thresholds(weights)?;
        let [all_right, _] = *thresholds.last()?;
        let points = thresholds.iter().map(|[right, wrong]| [right / all_right, right / (right + wrong)]);
        Some(std::iter::once([0.0, 1.0]).chain(points).collect())
    }
}

/// `f` of the ranking of these rows and their weights.
fn ranked<R>(
    truth: &[bool],
    scores: &[f64],
    weights: Option<&[f64]>,
    f: impl Fn(&Ranking, &[f64]) -> Option<R>,
) -> Option<R> {
    assert_eq!(truth.len(), scores.len(), "scores");
    let weights = super::classification::all_weights(weights, truth.len());
    assert_eq!(truth.len(), weights.len(), "weights");
    f(&Ranking::new(|row| truth[row], scores)?, &weights)
}

/// The receiver operating characteristic: for every threshold from the highest on, the share of negatives above it (x) and
/// of positives (y), from (0, 0) to (1, 1). None where a class is absent or a score is NaN.
///
/// # Panics
/// The lengths differ.
pub fn roc_curve(truth: &[bool], scores: &[f64], weights: Option<&[f64]>) -> Option<Vec<[f64; 2]>> {
    ranked(truth, scores, weights, Ranking::roc)
}

/// The area under the [`roc_curve`]: the probability that a positive has a higher score than a negative, ties counting half.
/// None where a class is absent or a score is NaN.
///
/// # Panics
/// The lengths differ.
pub fn roc_auc(truth: &[bool], scores: &[f64], weights: Option<&[f64]>) -> Option<f64> {
    ranked(truth, scores, weights, |ranking, weights| ranking.areas(weights).map(|[area, _]| area))
}

/// For every threshold from the highest on, recall (x) and precision (y), after (0, 1). None where a class is absent or
/// a score is NaN.
///
/// # Panics
/// The lengths differ.
pub fn precision_recall_curve(truth: &[bool], scores: &[f64], weights: Option<&[f64]>) -> Option<Vec<[f64; 2]>> {
    ranked(truth, scores, weights, Ranking::precision_recall)
}

/// Σ (R_i - R_{i-1}) P_i over the thresholds of the [`precision_recall_curve`], the area under it without interpolation.
/// None where a class is absent or a score is NaN.
///
/// # Panics
/// The lengths differ.
pub fn average_precision(truth: &[bool], scores: &[f64], weights: Option<&[f64]>) -> Option<f64> {
    ranked(truth, scores, weights, |ranking, weights| ranking.areas(weights).map(|[_, area]| area))
}

/// The mean over the classes of `metric`, [`roc_auc`] or [`average_precision`], of each class against the others; over those
/// classes for which it is defined, none where there is no such one. Of two classes it is that of the second, class 1.
///
/// # Panics
/// The lengths differ.
pub fn macro_one_vs_rest(
    labels: &[u32],
    scores: ndarray::ArrayView2<f64>,
    weights: Option<&[f64]>,
    metric: impl Fn(&[bool], &[f64], Option<&[f64]>) -> Option<f64>,
) -> Option<f64> {
    let of_class = |class: usize| {
        let truth: Vec<bool> = labels.iter().map(|&label| label as usize == class).collect();
        metric(&truth, &scores.column(class).to_vec(), weights)
    };
    mean_of_defined(ranked_classes(scores.ncols()).map(of_class))
}

/// The classes of which a macro average of rankings is taken.
pub(super) fn ranked_classes(classes: usize) -> std::ops::Range<usize> {
    if classes == 2 { 1..2 } else { 0..classes }
}

/// The mean of those that are there.
fn mean_of_defined(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let [sum, count] = values.flatten().fold([0.0; 2], |[sum, count], x| [sum + x, count + 1.0]);
    (count > 0.0).then(|| sum / count)
}

/// The areas of several rankings, averaged over those for which they are defined; NaN where there are none.
pub(super) fn mean_areas(rankings: &[Ranking], weights: &[f64]) -> [f64; 2] {
    let areas = rankings.iter().filter_map(|ranking| ranking.areas(weights));
    let [roc, precision, count] = areas.fold([0.0; 3], |[a, b, n], [roc, precision]| [a + roc, b + precision, n + 1.0]);
    [roc / count, precision / count]
}

/// At most `most` of the points (2 at least), the first and the last among them, about equally far apart along the curve.
pub fn thin(points: &[[f64; 2]], most: usize) -> Vec<[f64; 2]> {
    let most = most.max(2);
    if points.len() <= most {
        return points.to_vec();
    }
    let distance = |a: &[f64; 2], b: &[f64; 2]| (a[0] - b[0]).abs() + (a[1] - b[1]).abs();
    let length: f64 = points.windows(2).map(|pair| distance(&pair[0], &pair[1])).sum();
    let step = length / (most - 1) as f64;
    let mut thinned = vec![points[0]];
    let [mut along, mut next] = [0.0, step];
    for pair in points[..points.len() - 1].windows(2) {
        along += distance(&pair[0], &pair[1]);
        if along >= next && along > 0.0 && thinned.len() < most - 1 {
            thinned.push(pair[1]);
            next = ((along / step).floor() + 1.0) * step;
        }
    }
    thinned.push(points[points.len() - 1]);
    thinned
}
