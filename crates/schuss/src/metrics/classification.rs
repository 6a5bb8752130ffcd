//! Metrics of classes: which are right, how often, and how sure.

use std::borrow::Cow;

use ndarray::{Array2, ArrayView2};

use super::argmax;

/// The weights, 1 for each row if there are none.
pub(super) fn all_weights(weights: Option<&[f64]>, rows: usize) -> Cow<'_, [f64]> {
    weights.map_or_else(|| Cow::Owned(vec![1.0; rows]), Cow::Borrowed)
}

/// Σ w x / Σ w.
pub(super) fn mean(values: impl IntoIterator<Item = f64>, weights: &[f64]) -> f64 {
    let sums = values.into_iter().zip(weights).fold([0.0; 2], |[sum, total], (x, w)| [sum + w * x, total + w]);
    sums[0] / sums[1]
}

/// The share of rows whose predicted class is theirs.
///
/// # Panics
/// The lengths differ.
pub fn accuracy(labels: &[u32], predicted: &[u32], weights: Option<&[f64]>) -> f64 {
    assert_eq!(labels.len(), predicted.len(), "predicted classes");
    let right = labels.iter().zip(predicted).map(|(label, predicted)| f64::from(label == predicted));
    mean(right, &all_weights(weights, labels.len()))
}

/// The share of rows whose class is among the `k` with the largest probabilities; of equal ones the first count as larger,
/// as for [`argmax`] (for scikit-learn the last do).
///
/// # Panics
/// The lengths differ, or a label is not below the number of classes.
pub fn top_k_accuracy(labels: &[u32], probabilities: ArrayView2<f64>, k: usize, weights: Option<&[f64]>) -> f64 {
    mean(top_k_hits(labels, probabilities, k), &all_weights(weights, labels.len()))
}

/// For each row 1 if its class is among the `k` with the largest probabilities, else 0.
pub(super) fn top_k_hits(labels: &[u32], probabilities: ArrayView2<f64>, k: usize) -> Vec<f64> {
    each_row(labels, probabilities, |label, p| {
        let is_before = |(class, &x): (usize, &f64)| x > p[label] || (x == p[label] && class < label);
        f64::from(p.iter().enumerate().filter(|&of_class| is_before(of_class)).count() < k)
    })
}

/// -mean ln p of the rows' classes, in nats, p no nearer to 0 and 1 than the machine's ε = 2⁻⁵², as scikit-learn's
/// `log_loss`.
///
/// # Panics
/// The lengths differ, or a label is not below the number of classes.
pub fn log_loss(labels: &[u32], probabilities: ArrayView2<f64>, weights: Option<&[f64]>) -> f64 {
    mean(log_losses(labels, probabilities), &all_weights(weights, labels.len()))
}

/// -ln p of each row's class.
pub(super) fn log_losses(labels: &[u32], probabilities: ArrayView2<f64>) -> Vec<f64> {
    each_row(labels, probabilities, |label, p| negative_log(p[label]))
}

/// -ln p, p no nearer to 0 and 1 than ε.
pub(super) fn negative_log(p: f64) -> f64 {
    -p.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
}

/// mean Σ_k (p_k - y_k)², y one-hot (Brier 1950), of two classes half of that, (p₁ - y₁)² where they add up to 1: from 0 to
/// 2, of two classes to 1, as scikit-learn's `brier_score_loss` with `scale_by_half="auto"`.
///
/// # Panics
/// The lengths differ, or a label is not below the number of classes.
pub fn brier(labels: &[u32], probabilities: ArrayView2<f64>, weights: Option<&[f64]>) -> f64 {
    mean(brier_scores(labels, probabilities), &all_weights(weights, labels.len()))
}

/// What each row adds to [`brier`].
pub(super) fn brier_scores(labels: &[u32], probabilities: ArrayView2<f64>) -> Vec<f64> {
    let scale = if probabilities.ncols() == 2 { 0.5 } else { 1.0 };
    each_row(labels, probabilities, |label, p| {
        scale * p.iter().enumerate().map(|(class, p)| (p - f64::from(class == label)).powi(2)).sum::<f64>()
    })
}

/// `f` of each row's class and probabilities.
fn each_row(labels: &[u32], probabilities: ArrayView2<f64>, f: impl Fn(usize, &[f64]) -> f64) -> Vec<f64> {
    assert_eq!(labels.len(), probabilities.nrows(), "rows of probabilities");
    let probabilities = probabilities.as_standard_layout();
    let rows = labels.iter().zip(probabilities.rows());
    rows.map(|(&label, p)| f(label as usize, p.to_slice().expect("rows are contiguous"))).collect()
}

/// The class that each row's prediction says.
pub(super) fn predicted_classes(predictions: ArrayView2<f64>) -> Vec<u32> {
    predictions.rows().into_iter().map(|row| argmax(row) as u32).collect()
}

/// How often a class, or label, was right, predicted and there: sums of weights.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Hits {
    /// Rows that are of the class and predicted as such.
    pub right: f64,
    /// Rows that are predicted as of the class.
    pub predicted: f64,
    /// Rows that are of the class.
    pub support: f64,
}

/// Precision, recall and F1 of a class, or averaged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassScores {
    /// The rows that are of the class; of an average, all of them: a sum of weights.
    pub support: f64,
    /// Of the rows predicted as of the class, the share that are; 0 where none is predicted.
    pub precision: f64,
    /// Of the rows of the class, the share predicted as such; 0 where there are none.
    pub recall: f64,
    /// 2 precision recall / (precision + recall); 0 where both are.
    pub f1: f64,
}

/// How scores of classes become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Average {
    /// The mean over the classes.
    Macro,
    /// The mean over the classes, each as often as it has rows.
    Weighted,
    /// That of the sums over the classes.
    Micro,
}

/// a/b, 0 where b is.
fn ratio(a: f64, b: f64) -> f64 {
    if b == 0.0 { 0.0 } else { a / b }
}

impl Hits {
    /// The scores.
    pub fn scores(&self) -> ClassScores {
        ClassScores {
            support: self.support,
            precision: ratio(self.right, self.predicted),
            recall: ratio(self.right, self.support),
            f1: ratio(2.0 * self.right, self.predicted + self.support),
        }
    }
}

/// The scores of several classes as one; 0 where there are none.
pub fn average(hits: &[Hits], average: Average) -> ClassScores {
    let total = hits.iter().fold(Hits::default(), |sum, of_class| Hits {
        right: sum.right + of_class.right,
        predicted: sum.predicted + of_class.predicted,
        support: sum.support + of_class.support,
    });
    let weight: fn(&Hits) -> f64 = match average {
        Average::Macro => |_| 1.0,
        Average::Weighted => |hits| hits.support,
        Average::Micro => return total.scores(),
    };
    let [mut sum, mut precision, mut recall, mut f1] = [0.0; 4];
    for (weight, scores) in hits.iter().map(|hits| (weight(hits), hits.scores())) {
        sum += weight;
        precision += weight * scores.precision;
        recall += weight * scores.recall;
        f1 += weight * scores.f1;
    }
    let [precision, recall, f1] = [precision, recall, f1].map(|x| ratio(x, sum));
    ClassScores { support: total.support, precision, recall, f1 }
}

/// How often each class was taken for each: sums of weights, (true class, predicted class).
#[derive(Clone, Debug, PartialEq)]
pub struct Confusion {
    counts: Array2<f64>,
    /// Whether a class is among labels or predictions, if only with a weight of 0.
    occurs: Vec<bool>,
}

impl Confusion {
    /// The counts of these rows.
    ///
    /// # Panics
    /// The lengths differ, or a class is not below `classes`.
    pub fn new(labels: &[u32], predicted: &[u32], classes: usize, weights: Option<&[f64]>) -> Self {
        assert_eq!(labels.len(), predicted.len(), "predicted classes");
        let mut confusion = Self { counts: Array2::zeros((classes, classes)), occurs: vec![false; classes] };
        let weights = all_weights(weights, labels.len());
        assert_eq!(labels.len(), weights.len(), "weights");
        for ((&label, &predicted), weight) in labels.iter().zip(predicted).zip(&*weights) {
            confusion.counts[(label as usize, predicted as usize)] += weight;
            [label, predicted].into_iter().for_each(|class| confusion.occurs[class as usize] = true);
        }
        confusion
    }

    /// Sums of weights, (true class, predicted class).
    pub fn counts(&self) -> ArrayView2<'_, f64> {
        self.counts.view()
    }

    /// What a class was.
    ///
    /// # Panics
    /// There is no such class.
    pub fn class(&self, class: usize) -> Hits {
        Hits {
            right: self.counts[(class, class)],
            predicted: self.counts.column(class).sum(),
            support: self.counts.row(class).sum(),
        }
    }

    /// The scores of the classes that occur among labels or predictions, as one.
    pub fn average(&self, how: Average) -> ClassScores {
        let hits: Vec<Hits> = (0..self.occurs.len()).filter(|&i| self.occurs[i]).map(|i| self.class(i)).collect();
        average(&hits, how)
    }

    /// The share of rows that are right.
    pub fn accuracy(&self) -> f64 {
        self.counts.diag().sum() / self.counts.sum()
    }

    /// The mean recall of the classes that have rows.
    pub fn balanced_accuracy(&self) -> f64 {
        balanced_accuracy(&self.hits())
    }

    /// The correlation of truth and prediction, from -1 to 1 (Matthews 1975; of several classes Gorodkin 2004); 0 where one
    /// of them is constant.
    pub fn matthews(&self) -> f64 {
        matthews(&self.hits())
    }

    fn hits(&self) -> Vec<Hits> {
        (0..self.occurs.len()).map(|class| self.class(class)).collect()
    }
}

/// What each class was: all that scores of classes take of the confusion, without its pairs of classes.
pub(super) fn class_hits(labels: &[u32], predicted: &[u32], classes: usize, weights: &[f64]) -> Vec<Hits> {
    let mut hits = vec![Hits::default(); classes];
    for ((&label, &predicted), weight) in labels.iter().zip(predicted).zip(weights) {
        hits[label as usize].support += weight;
        hits[predicted as usize].predicted += weight;
        hits[label as usize].right += if label == predicted { *weight } else { 0.0 };
    }
    hits
}

/// See [`Confusion::balanced_accuracy`].
pub(super) fn balanced_accuracy(hits: &[Hits]) -> f64 {
    let recalls = hits.iter().filter(|hits| hits.support > 0.0);
    let [sum, count] = recalls.fold([0.0; 2], |[sum, count], hits| [sum + hits.right / hits.support, count + 1.0]);
    sum / count
}

/// See [`Confusion::matthews`].
pub(super) fn matthews(hits: &[Hits]) -> f64 {
    let sum = |f: fn(&Hits) -> f64| hits.iter().map(f).sum::<f64>();
    let (total, right) = (sum(|hits| hits.support), sum(|hits| hits.right));
    let covariance = right * total - sum(|hits| hits.support * hits.predicted);
    let [truth, predicted] = [sum(|hits| hits.support.powi(2)), sum(|hits| hits.predicted.powi(2))];
    let spread = (total * total - truth) * (total * total - predicted);
    ratio(covariance, spread.max(0.0).sqrt())
}

/// Rows whose confidence is above `low` and at most `high`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CalibrationBin {
    /// Below every confidence of the bin, but for 0 itself in the first.
    pub low: f64,
    /// The largest confidence that the bin may hold.
    pub high: f64,
    /// How many rows.
    pub rows: usize,
    /// The sum of their weights.
    pub weight: f64,
    /// The mean probability of the predicted class; none without weight.
    pub confidence: Option<f64>,
    /// The share of rows that are right; none without weight.
    pub accuracy: Option<f64>,
}

/// The expected calibration error, Σ_b (weight of bin b) |accuracy - confidence| / Σ weights, and the `bins` bins, equally
/// wide from 0 to 1 (Naeini et al. 2015; Guo et al. 2017, arXiv:1706.04599). `confidence` is the probability of the
/// predicted class.
///
/// With few rows in a bin, chance alone makes a difference: the error of a perfectly calibrated model is then above 0.
///
/// # Panics
/// The lengths differ, or there are no bins.
pub fn calibration(
    confidence: &[f64],
    is_right: &[bool],
    bins: usize,
    weights: Option<&[f64]>,
) -> (f64, Vec<CalibrationBin>) {
    assert_eq!(confidence.len(), is_right.len(), "confidences");
    let weights = all_weights(weights, confidence.len());
    let sums = CalibrationSums::new(&bins_of(confidence, bins), confidence, is_right, bins, weights.iter().copied());
    let bin_of = |(i, sum): (usize, &[f64; 3])| CalibrationBin {
        low: i as f64 / bins as f64,
        high: (i + 1) as f64 / bins as f64,
        rows: sums.rows[i],
        weight: sum[0],
        confidence: (sum[0] > 0.0).then(|| sum[1] / sum[0]),
        accuracy: (sum[0] > 0.0).then(|| sum[2] / sum[0]),
    };
    (sums.error(), sums.sums.iter().enumerate().map(bin_of).collect())
}

/// The bin of each confidence.
pub(super) fn bins_of(confidence: &[f64], bins: usize) -> Vec<u32> {
    assert!(bins > 0, "bins of a calibration");
    // A cast takes NaN to 0.
    let bin_of = |p: &f64| ((p * bins as f64).ceil() as usize).clamp(1, bins) as u32 - 1;
    confidence.iter().map(bin_of).collect()
}

/// For each bin Σ w, Σ w confidence, Σ w right.
pub(super) struct CalibrationSums {
    sums: Vec<[f64; 3]>,
    rows: Vec<usize>,
}

impl CalibrationSums {
    /// One weight for each confidence.
    pub(super) fn new(
        of: &[u32],
        confidence: &[f64],
        is_right: &[bool],
        bins: usize,
        weights: impl Iterator<Item = f64>,
    ) -> Self {
        let mut sums = Self { sums: vec![[0.0; 3]; bins], rows: vec![0; bins] };
        for (((&bin, p), &is_right), w) in of.iter().zip(confidence).zip(is_right).zip(weights) {
            let [weight, confidence, right] = &mut sums.sums[bin as usize];
            *weight += w;
            *confidence += w * p;
            *right += if is_right { w } else { 0.0 };
            sums.rows[bin as usize] += 1;
        }
        sums
    }

    pub(super) fn error(&self) -> f64 {
        let total: f64 = self.sums.iter().map(|[weight, ..]| weight).sum();
        self.sums.iter().map(|[_, confidence, right]| (right - confidence).abs()).sum::<f64>() / total
    }
}
