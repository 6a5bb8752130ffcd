//! All metrics of an evaluation under many weights of its rows. What does not depend on the weights is computed once, so
//! that each set of weights takes one pass over the rows for every metric, and one for every ranking.

use ndarray::ArrayView2;

use super::classification::{
    self, Average, CalibrationSums, Hits, bins_of, brier_scores, class_hits, log_losses, mean, negative_log, top_k_hits,
};
use super::evaluation::Aim;
use super::measure::Key;
use super::ranking::{Ranking, mean_areas, ranked_classes};
use super::regression::{self, pinball_losses, row_means};

/// Bins of the calibration error (as many as Guo et al. 2017 take).
const BINS: usize = 15;
/// From so many classes on, the top three tell something that the top one does not.
const TOP_THREE_CLASSES: usize = 6;

/// An evaluation, but for the weights.
pub(super) enum Reweighted<'e> {
    Classes(Classes<'e>),
    Labels(Labels),
    Numbers(Numbers<'e>),
}

pub(super) struct Classes<'e> {
    labels: &'e [u32],
    predicted: Vec<u32>,
    classes: usize,
    right: Vec<f64>,
    top_three: Option<Vec<f64>>,
    /// Of the classes that a macro average takes.
    rankings: Vec<Ranking>,
    probabilities: Option<Probabilities>,
}

pub(super) struct Labels {
    labels: usize,
    /// For each row and label: whether it is there, whether it is predicted.
    pairs: Vec<[bool; 2]>,
    /// The share of a row's labels that are right.
    right: Vec<f64>,
    rankings: Vec<Ranking>,
    probabilities: Option<Probabilities>,
}

pub(super) struct Numbers<'e> {
    predictions: ArrayView2<'e, f64>,
    targets: ArrayView2<'e, f64>,
    squares: Vec<f64>,
    absolutes: Vec<f64>,
    pinballs: Option<Vec<f64>>,
    are_medians: bool,
}

/// What each row adds to the metrics of probabilities.
struct Probabilities {
    log_losses: Vec<f64>,
    briers: Vec<f64>,
    /// Of every decision, several in a row.
    bins: Vec<u32>,
    confidence: Vec<f64>,
    is_right: Vec<bool>,
}

impl<'e> Reweighted<'e> {
    pub(super) fn of_classes(labels: &'e [u32], predictions: ArrayView2<f64>, is_probability: bool) -> Self {
        let classes = predictions.ncols();
        let predicted = classification::predicted_classes(predictions);
        let ranking =
            |class: usize| Ranking::new(|row| labels[row] as usize == class, &predictions.column(class).to_vec());
        let probabilities = || {
            let confidence = predictions.rows().into_iter().zip(&predicted).map(|(p, &class)| p[class as usize]);
            let is_right = labels.iter().zip(&predicted).map(|(label, predicted)| label == predicted);
            let [log_losses, briers] = [log_losses(labels, predictions), brier_scores(labels, predictions)];
            Probabilities::new(log_losses, briers, confidence.collect(), is_right.collect())
        };
        Self::Classes(Classes {
            labels,
            classes,
            right: labels.iter().zip(&predicted).map(|(label, predicted)| f64::from(label == predicted)).collect(),
            top_three: (classes >= TOP_THREE_CLASSES).then(|| top_k_hits(labels, predictions, 3)),
            rankings: ranked_classes(classes).filter_map(ranking).collect(),
            probabilities: is_probability.then(probabilities),
            predicted,
        })
    }

    pub(super) fn of_labels(targets: ArrayView2<f64>, predictions: ArrayView2<f64>, is_probability: bool) -> Self {
        let labels = targets.ncols();
        let pairs: Vec<[bool; 2]> = targets.iter().zip(predictions).map(|(y, p)| [*y > 0.5, *p > 0.5]).collect();
        let ranking =
            |label: usize| Ranking::new(|row| targets[(row, label)] > 0.5, &predictions.column(label).to_vec());
        let probabilities = || {
            let row_mean = |f: &dyn Fn(f64, bool) -> f64| {
                let of_each: Vec<f64> =
                    predictions.iter().zip(&pairs).map(|(p, [is_there, _])| f(*p, *is_there)).collect();
                of_each.chunks(labels).map(|row| row.iter().sum::<f64>() / labels as f64).collect()
            };
            let log_losses = row_mean(&|p, is_there| negative_log(if is_there { p } else { 1.0 - p }));
            let briers = row_mean(&|p, is_there| (p - f64::from(is_there)).powi(2));
            let confidence = predictions.iter().map(|&p| p.max(1.0 - p)).collect();
            let is_right = pairs.iter().map(|[is_there, is_predicted]| is_there == is_predicted).collect();
            Probabilities::new(log_losses, briers, confidence, is_right)
        };
        Self::Labels(Labels {
            labels,
            right: right_shares(targets, predictions),
            rankings: (0..labels).filter_map(ranking).collect(),
            probabilities: is_probability.then(probabilities),
            pairs,
        })
    }

    /// `predictions` has the levels of a target side by side, `middle` one column for each target.
    pub(super) fn of_numbers(
        targets: ArrayView2<'e, f64>,
        predictions: ArrayView2<f64>,
        middle: ArrayView2<'e, f64>,
        aim: Aim,
    ) -> Self {
        Self::Numbers(Numbers {
            predictions: middle,
            targets,
            squares: row_means(middle, targets, |error| error * error),
            absolutes: row_means(middle, targets, f64::abs),
            pinballs: aim.levels().map(|levels| pinball_losses(predictions, targets, levels)),
            are_medians: matches!(aim, Aim::Median),
        })
    }

    /// Every metric under these weights, always the same ones in the same order, the main one first; NaN where one is
    /// undefined.
    pub(super) fn all(&self, weights: &[f64]) -> Vec<(Key, f64)> {
        let mut all = Vec::new();
        let mut put = |key, value| all.push((key, value));
        match self {
            Self::Classes(classes) => classes.each(weights, &mut put),
            Self::Labels(labels) => labels.each(weights, &mut put),
            Self::Numbers(numbers) => numbers.each(weights, &mut put),
        }
        all
    }
}

impl Classes<'_> {
    fn each(&self, weights: &[f64], f: &mut impl FnMut(Key, f64)) {
        let mut hits = class_hits(self.labels, &self.predicted, self.classes, weights);
        hits.retain(|hits| hits.support > 0.0 || hits.predicted > 0.0);
        f(Key::Accuracy, mean(self.right.iter().copied(), weights));
        if let Some(hits) = &self.top_three {
            f(Key::TopThree, mean(hits.iter().copied(), weights));
        }
        f(Key::BalancedAccuracy, classification::balanced_accuracy(&hits));
        let scores = classification::average(&hits, Average::Macro);
        f(Key::Precision, scores.precision);
        f(Key::Recall, scores.recall);
        f(Key::F1, scores.f1);
        f(Key::Matthews, classification::matthews(&hits));
        each_area(&self.rankings, weights, f);
        self.probabilities.iter().for_each(|of| of.each(1, weights, f));
    }
}

impl Labels {
    fn each(&self, weights: &[f64], f: &mut impl FnMut(Key, f64)) {
        let hits = label_hits(&self.pairs, self.labels, weights);
        f(Key::LabelAccuracy, mean(self.right.iter().copied(), weights));
        f(Key::Exact, mean(self.right.iter().map(|&share| f64::from(share == 1.0)), weights));
        let scores = classification::average(&hits, Average::Macro);
        f(Key::Precision, scores.precision);
        f(Key::Recall, scores.recall);
        f(Key::F1, scores.f1);
        let scores = classification::average(&hits, Average::Micro);
        f(Key::MicroPrecision, scores.precision);
        f(Key::MicroRecall, scores.recall);
        f(Key::MicroF1, scores.f1);
        each_area(&self.rankings, weights, f);
        self.probabilities.iter().for_each(|of| of.each(self.labels, weights, f));
    }
}

impl Numbers<'_> {
    fn each(&self, weights: &[f64], f: &mut impl FnMut(Key, f64)) {
        if let Some(losses) = &self.pinballs {
            f(Key::Pinball, mean(losses.iter().copied(), weights));
        }
        let mut errors = [
            (Key::Rmse, mean(self.squares.iter().copied(), weights).sqrt()),
            (Key::Mae, mean(self.absolutes.iter().copied(), weights)),
        ];
        if self.are_medians {
            errors.reverse();
        }
        errors.into_iter().for_each(|(key, value)| f(key, value));
        f(Key::R2, regression::r2(self.predictions, self.targets, Some(weights)));
    }
}

impl Probabilities {
    fn new(log_losses: Vec<f64>, briers: Vec<f64>, confidence: Vec<f64>, is_right: Vec<bool>) -> Self {
        Self { log_losses, briers, bins: bins_of(&confidence, BINS), confidence, is_right }
    }

    /// With so many decisions in a row.
    fn each(&self, decisions: usize, weights: &[f64], f: &mut impl FnMut(Key, f64)) {
        f(Key::LogLoss, mean(self.log_losses.iter().copied(), weights));
        f(Key::Brier, mean(self.briers.iter().copied(), weights));
        let weights = weights.iter().flat_map(|&weight| std::iter::repeat_n(weight, decisions));
        let sums = CalibrationSums::new(&self.bins, &self.confidence, &self.is_right, BINS, weights);
        f(Key::CalibrationError, sums.error());
    }
}

fn each_area(rankings: &[Ranking], weights: &[f64], f: &mut impl FnMut(Key, f64)) {
    let [roc, precision_recall] = mean_areas(rankings, weights);
    f(Key::RocAuc, roc);
    f(Key::PrAuc, precision_recall);
}

/// The hits of each label; for every row and label whether it is there, and whether it is predicted.
pub(super) fn label_hits(pairs: &[[bool; 2]], labels: usize, weights: &[f64]) -> Vec<Hits> {
    let mut hits = vec![Hits::default(); labels];
    for (row, weight) in pairs.chunks(labels).zip(weights) {
        for (hits, [is_there, is_predicted]) in hits.iter_mut().zip(row) {
            let count = |is: bool| if is { *weight } else { 0.0 };
            hits.support += count(*is_there);
            hits.predicted += count(*is_predicted);
            hits.right += count(*is_there && *is_predicted);
        }
    }
    hits
}

/// The share of each row's labels that are right.
pub(super) fn right_shares(targets: ArrayView2<f64>, predictions: ArrayView2<f64>) -> Vec<f64> {
    let rows = targets.rows().into_iter().zip(predictions.rows());
    let is_right = |(y, p): (&f64, &f64)| (*y > 0.5) == (*p > 0.5);
    rows.map(|(y, p)| y.iter().zip(p).filter(|&pair| is_right(pair)).count() as f64 / y.len() as f64).collect()
}
