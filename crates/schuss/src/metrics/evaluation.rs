//! Predictions beside what is true.

use std::borrow::Cow;

use ndarray::{Array2, ArrayView2, Axis, Slice};

use super::classification::{
    CalibrationBin, Confusion, Hits, all_weights, calibration, class_hits, mean, predicted_classes,
};
use super::measure::Key;
use super::ranking::{Curve, Ranking};
use super::regression::{mean_of, pinball_losses, row_means};
use super::reweighted::{Reweighted, label_hits, right_shares};
use super::{Bootstrap, Difference, Interval, Measure, argmax, effective_rows, paired_shares, wilson};
use crate::{Dataset, Error, Levels, Loss, Model, Real, Result, Targets, Task, Threads};

/// Predictions beside what is true, and how good they are.
///
/// ```
/// use schuss::{Dataset, Evaluation, Features, Targets, Task, Threads};
/// let x = ndarray::Array2::<f32>::zeros((4, 1));
/// let data = Dataset::new(Features::F32(x.view()), Targets::Classes { labels: &[0, 1, 1, 0], classes: 2 })?;
/// let probabilities = ndarray::arr2(&[[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]]);
/// let evaluation = Evaluation::of_predictions(Task::Classification { classes: 2 }, true, probabilities, data)?;
/// let accuracy = evaluation.main();
/// assert_eq!(accuracy.value, Some(0.75));
/// // Four rows do not tell much.
/// assert!(accuracy.interval.is_some_and(|interval| interval.low < 0.31 && interval.high > 0.95));
/// assert_eq!(evaluation.mistakes(10), [2]);
/// # Ok::<(), schuss::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Evaluation<'d> {
    /// (rows, classes), (rows, labels), (rows, targets) or (rows, targets x levels).
    predictions: Array2<f64>,
    is_probability: bool,
    /// Of numbers.
    aim: Aim,
    truth: Truth<'d>,
    weights: Cow<'d, [f64]>,
}

/// What predicted numbers are meant to hit: the main measure is the one that these make smallest.
#[derive(Clone, Copy, Debug)]
pub(super) enum Aim {
    /// RMSE.
    Mean,
    /// MAE.
    Median,
    /// The pinball loss.
    Quantiles(Levels),
}

impl Aim {
    fn key(self) -> Key {
        match self {
            Self::Mean => Key::Rmse,
            Self::Median => Key::Mae,
            Self::Quantiles(_) => Key::Pinball,
        }
    }

    pub(super) fn levels(self) -> Option<Levels> {
        if let Self::Quantiles(levels) = self { Some(levels) } else { None }
    }
}

#[derive(Clone, Debug)]
enum Truth<'d> {
    Classes(Cow<'d, [u32]>),
    /// There where above 1/2.
    Labels(ArrayView2<'d, f64>),
    Numbers(ArrayView2<'d, f64>),
}

impl Truth<'_> {
    fn is_that_of(&self, other: &Truth) -> bool {
        match (self, other) {
            (Self::Classes(a), Truth::Classes(b)) => a == b,
            (Self::Labels(a), Truth::Labels(b)) | (Self::Numbers(a), Truth::Numbers(b)) => a == b,
            _ => false,
        }
    }
}

impl<'d> Evaluation<'d> {
    /// What `model` predicts for `dataset`.
    ///
    /// # Errors
    /// See [`Model::check`].
    pub fn new<T: Real>(model: &Model<T>, dataset: Dataset<'d>, threads: &Threads) -> Result<Self> {
        model.check(dataset)?;
        Self::of_model(model, model.predict(dataset.features(), threads)?, dataset)
    }

    /// What `model` has predicted for `dataset`.
    pub(super) fn of_model<T: Real>(model: &Model<T>, predictions: Array2<f64>, dataset: Dataset<'d>) -> Result<Self> {
        match (model.task, model.loss) {
            (_, Loss::Quantile(levels)) => Self::of_quantiles(levels, predictions, dataset),
            (Task::Regression, Loss::Mae) => Self::of_medians(predictions, dataset),
            (task, _) => Self::of_predictions(task, model.predicts_probabilities(), predictions, dataset),
        }
    }

    /// Predictions as [`Model::predict`] gives them, (rows, classes), (rows, labels) or (rows, targets). Where they are no
    /// probabilities, the metrics that need them are left out. Targets of a classification that are numbers, a
    /// probability for each class, count as the class of the largest.
    ///
    /// # Errors
    /// Another number of rows, classes, labels or targets than `dataset` has; targets that do not fit the task.
    pub fn of_predictions(
        task: Task,
        is_probability: bool,
        predictions: Array2<f64>,
        dataset: Dataset<'d>,
    ) -> Result<Self> {
        let check = |what: &'static str, expected: usize, got: usize| {
            if expected == got { Ok(()) } else { Err(Error::Shape { what, expected, got }) }
        };
        check("rows of predictions", dataset.rows(), predictions.nrows())?;
        let width = predictions.ncols();
        let truth = match (task, dataset.targets()) {
            (Task::Classification { classes }, targets) => {
                check("classes of a prediction", classes, width)?;
                let labels = match targets {
                    Targets::Classes { labels, .. } => Cow::Borrowed(labels),
                    Targets::Values(values) => {
                        check("values of a target", classes, values.ncols())?;
                        values.rows().into_iter().map(|row| argmax(row) as u32).collect()
                    }
                };
                if let Some(row) = labels.iter().position(|&label| label as usize >= classes) {
                    let what = format!("label of row {row} (counted from 0)");
                    return Err(Error::value(what, format!("one of {classes} classes"), labels[row]));
                }
                Truth::Classes(labels)
            }
            (Task::MultiLabel { labels }, Targets::Values(values)) => {
                check("labels of a prediction", labels, width)?;
                check("values of a target", labels, values.ncols())?;
                Truth::Labels(values)
            }
            (Task::Regression, Targets::Values(values)) => {
                check("values of a prediction", values.ncols(), width)?;
                Truth::Numbers(values)
            }
            (_, Targets::Classes { .. }) => {
                return Err(Error::value("targets of predicted numbers or labels", "numbers", "classes"));
            }
        };
        if width == 0 {
            return Err(Error::value("predictions", "one value for a row at least", 0));
        }
        let weights = all_weights(dataset.weights(), dataset.rows());
        Ok(Self { predictions, is_probability, aim: Aim::Mean, truth, weights })
    }

    /// Predicted medians, (rows, targets), as the loss `mae` makes them: the mean absolute error is their main measure.
    ///
    /// # Errors
    /// As [`Evaluation::of_predictions`].
    pub fn of_medians(predictions: Array2<f64>, dataset: Dataset<'d>) -> Result<Self> {
        Ok(Self { aim: Aim::Median, ..Self::of_predictions(Task::Regression, false, predictions, dataset)? })
    }

    /// Predicted quantiles, (rows, targets x levels), the levels of a target side by side: the pinball loss is their main
    /// measure. The one nearest to the median counts as the prediction where one number is asked for.
    ///
    /// # Errors
    /// As [`Evaluation::of_predictions`].
    pub fn of_quantiles(levels: Levels, predictions: Array2<f64>, dataset: Dataset<'d>) -> Result<Self> {
        let expected = dataset.targets().width() * levels.levels().len();
        if predictions.ncols() != expected {
            let got = predictions.ncols();
            return Err(Error::Shape { what: "values of a prediction, one for each target and level", expected, got });
        }
        let middle = middle_of(&predictions, Aim::Quantiles(levels)).into_owned();
        let evaluation = Self::of_predictions(Task::Regression, false, middle, dataset)?;
        Ok(Self { predictions, aim: Aim::Quantiles(levels), ..evaluation })
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.predictions.nrows()
    }

    /// The predictions.
    pub fn predictions(&self) -> ArrayView2<'_, f64> {
        self.predictions.view()
    }

    /// Every metric that the task has, the main one first: accuracy (of several labels that over all labels); of numbers
    /// RMSE, of medians MAE, of quantiles the pinball loss. Each with a 95 % interval: Wilson's for shares of rows
    /// ([`wilson`], by [`effective_rows`]), else the [bootstrap's](Bootstrap), none where it tells nothing: where a metric is
    /// the same for every replicate, and of the calibration error, which chance can only make greater. Large data have fewer replicates, 100 at least.
    pub fn measures(&self, threads: &Threads) -> Vec<Measure> {
        let middle = middle_of(&self.predictions, self.aim);
        let reweighted = self.reweighted(&middle);
        let values = reweighted.all(&self.weights);
        let bootstrap = Bootstrap::quick(self.rows(), self.predictions.ncols());
        let intervals = bootstrap.intervals(&self.weights, threads, |weights| {
            reweighted.all(weights).into_iter().map(|(_, value)| value).collect()
        });
        values.into_iter().zip(intervals).map(|((key, value), interval)| self.measure(key, value, interval)).collect()
    }

    /// [`Evaluation::measures`] without their intervals, which take most of the time.
    pub fn values(&self) -> Vec<Measure> {
        let middle = middle_of(&self.predictions, self.aim);
        let values = self.reweighted(&middle).all(&self.weights).into_iter();
        values.map(|(key, value)| Measure { value: value.is_finite().then_some(value), ..key.measure() }).collect()
    }

    /// The first of [`Evaluation::measures`].
    pub fn main(&self) -> Measure {
        let row_scores = self.row_scores();
        let metric = |weights: &[f64]| vec![self.main_of(&row_scores, weights)];
        let interval = match self.truth {
            Truth::Numbers(_) => Bootstrap::quick(self.rows(), 1).intervals(&self.weights, &Threads::ONE, metric)[0],
            Truth::Classes(_) | Truth::Labels(_) => None,
        };
        self.measure(self.main_key(), self.main_of(&row_scores, &self.weights), interval)
    }

    /// [`Evaluation::main`] without its interval, which takes most of the time.
    pub fn main_value(&self) -> Measure {
        let value = self.main_of(&self.row_scores(), &self.weights);
        Measure { value: value.is_finite().then_some(value), ..self.main_key().measure() }
    }

    /// How often each class was taken for each.
    pub fn confusion(&self) -> Option<Confusion> {
        let Truth::Classes(labels) = &self.truth else { return None };
        let predicted = predicted_classes(self.predictions.view());
        Some(Confusion::new(labels, &predicted, self.predictions.ncols(), Some(&self.weights)))
    }

    /// How often each class or label was right, predicted and there.
    pub fn hits(&self) -> Option<Vec<Hits>> {
        match &self.truth {
            Truth::Classes(labels) => {
                let predicted = predicted_classes(self.predictions.view());
                Some(class_hits(labels, &predicted, self.predictions.ncols(), &self.weights))
            }
            Truth::Labels(targets) => {
                let pairs = targets.iter().zip(&self.predictions).map(|(y, p)| [*y > 0.5, *p > 0.5]);
                Some(label_hits(&pairs.collect::<Vec<_>>(), targets.ncols(), &self.weights))
            }
            Truth::Numbers(_) => None,
        }
    }

    /// The expected calibration error and its bins, see [`calibration`]; of several labels every one is a decision. None where
    /// the predictions are no probabilities, or there are no bins.
    pub fn calibration(&self, bins: usize) -> Option<(f64, Vec<CalibrationBin>)> {
        if !self.is_probability || bins == 0 {
            return None;
        }
        let (confidence, is_right, decisions): (Vec<f64>, Vec<bool>, usize) = match &self.truth {
            Truth::Classes(labels) => {
                let predicted = predicted_classes(self.predictions.view());
                let of_row = |(row, &class): (usize, &u32)| self.predictions[(row, class as usize)];
                let is_right = labels.iter().zip(&predicted).map(|(label, predicted)| label == predicted).collect();
                (predicted.iter().enumerate().map(of_row).collect(), is_right, 1)
            }
            Truth::Labels(targets) => {
                let is_right = targets.iter().zip(&self.predictions).map(|(y, p)| (*y > 0.5) == (*p > 0.5)).collect();
                (self.predictions.iter().map(|&p| p.max(1.0 - p)).collect(), is_right, targets.ncols())
            }
            Truth::Numbers(_) => return None,
        };
        let weights: Vec<f64> = self.weights.iter().flat_map(|&w| std::iter::repeat_n(w, decisions)).collect();
        Some(calibration(&confidence, &is_right, bins, Some(&weights)))
    }

    /// The receiver operating characteristic of a class against the others, or of a label; see [`roc_curve`](super::roc_curve).
    /// None where there is no such class, or it has no rows, or all.
    pub fn roc(&self, class: usize) -> Option<Curve> {
        self.curves(class).map(|[roc, _]| roc)
    }

    /// Precision over recall of a class against the others, or of a label; see
    /// [`precision_recall_curve`](super::precision_recall_curve). None where there is no such class, or it has no rows, or all.
    pub fn precision_recall(&self, class: usize) -> Option<Curve> {
        self.curves(class).map(|[_, precision_recall]| precision_recall)
    }

    /// [`Evaluation::roc`] and [`Evaluation::precision_recall`] of one ranking of the rows, which takes most of the time.
    pub fn curves(&self, class: usize) -> Option<[Curve; 2]> {
        let ranking = self.ranking(class)?;
        let [roc, precision_recall] = ranking.areas(&self.weights).map_or([None; 2], |areas| areas.map(Some));
        Some([
            Curve { points: ranking.roc(&self.weights)?, area: roc },
            Curve { points: ranking.precision_recall(&self.weights)?, area: precision_recall },
        ])
    }

    /// The rows that are wrong, the most sure first: by the value predicted for the wrong class; by how far a wrong label's
    /// is from 1/2; of numbers all rows by their squared errors, each target's divided by its variance. Rows that weigh
    /// nothing are left out.
    pub fn mistakes(&self, count: usize) -> Vec<usize> {
        let mut mistakes: Vec<(f64, usize)> = match &self.truth {
            Truth::Classes(labels) => {
                let predicted = predicted_classes(self.predictions.view());
                let wrong = (0..self.rows()).filter(|&row| labels[row] != predicted[row]);
                wrong.map(|row| (self.predictions[(row, predicted[row] as usize)], row)).collect()
            }
            Truth::Labels(targets) => {
                let sureness = |row: usize| {
                    let pairs = targets.row(row).into_iter().zip(self.predictions.row(row));
                    pairs.filter(|(y, p)| (**y > 0.5) != (**p > 0.5)).map(|(_, p)| (p - 0.5).abs()).reduce(f64::max)
                };
                (0..self.rows()).filter_map(|row| Some((sureness(row)?, row))).collect()
            }
            Truth::Numbers(targets) => {
                let middle = middle_of(&self.predictions, self.aim);
                let mut errors = vec![0.0; self.rows()];
                for (a, y) in middle.columns().into_iter().zip(targets.columns()) {
                    let mean_target = mean_of(y, Some(&self.weights));
                    let variance = mean(y.iter().map(|y| (y - mean_target).powi(2)), &self.weights);
                    let scale = if variance > 0.0 { variance } else { 1.0 };
                    let squares = a.iter().zip(y).map(|(a, y)| (a - y).powi(2) / scale);
                    errors.iter_mut().zip(squares).for_each(|(error, square)| *error += square);
                }
                errors.into_iter().zip(0..).filter(|(error, _)| *error > 0.0 || error.is_nan()).collect()
            }
        };
        mistakes.retain(|(_, row)| self.weights[*row] > 0.0);
        mistakes.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        mistakes.into_iter().take(count).map(|(_, row)| row).collect()
    }

    /// This main measure minus that of `other`, predictions for the same rows. The interval of shares is that of
    /// [`paired_shares`], else that of a bootstrap that draws the same rows for both.
    ///
    /// # Errors
    /// Another task, other rows or targets, another main measure.
    pub fn difference(&self, other: &Evaluation, threads: &Threads) -> Result<Difference> {
        if self.rows() != other.rows() {
            let [expected, got] = [self.rows(), other.rows()];
            return Err(Error::Shape { what: "rows of the other evaluation", expected, got });
        }
        if !self.truth.is_that_of(&other.truth) {
            return Err(Error::value("targets of the other evaluation", "the same as of the first", "others"));
        }
        let [key, got] = [self.main_key(), other.main_key()];
        if key != got {
            return Err(Error::value("main measure of the other evaluation", key.measure().name, got.measure().name));
        }
        let scores = [self.row_scores(), other.row_scores()];
        let metric = |weights: &[f64]| self.main_of(&scores[0], weights) - self.main_of(&scores[1], weights);
        let interval = match self.truth {
            Truth::Classes(_) | Truth::Labels(_) => paired_shares([&scores[0], &scores[1]], &self.weights),
            Truth::Numbers(_) => {
                let bootstrap = Bootstrap::quick(self.rows(), 2);
                bootstrap.intervals(&self.weights, threads, |weights| vec![metric(weights)])[0]
            }
        };
        let value = metric(&self.weights);
        let Measure { key, name, is_share, higher_is_better, .. } = key.measure();
        Ok(Difference {
            key,
            name,
            is_share,
            higher_is_better,
            value: value.is_finite().then_some(value),
            interval,
            is_noise: interval.is_none_or(|interval| interval.contains(0.0)),
        })
    }

    fn reweighted<'e>(&'e self, middle: &'e Array2<f64>) -> Reweighted<'e> {
        let predictions = self.predictions.view();
        match &self.truth {
            Truth::Classes(labels) => Reweighted::of_classes(labels, predictions, self.is_probability),
            Truth::Labels(targets) => Reweighted::of_labels(*targets, predictions, self.is_probability),
            Truth::Numbers(targets) => Reweighted::of_numbers(*targets, predictions, middle.view(), self.aim),
        }
    }

    fn main_key(&self) -> Key {
        match self.truth {
            Truth::Classes(_) => Key::Accuracy,
            Truth::Labels(_) => Key::LabelAccuracy,
            Truth::Numbers(_) => self.aim.key(),
        }
    }

    /// What each row adds to the main measure: the share of its decisions that are right, its mean error of the kind that
    /// the measure is about.
    fn row_scores(&self) -> Vec<f64> {
        match &self.truth {
            Truth::Classes(labels) => {
                let predicted = predicted_classes(self.predictions.view());
                labels.iter().zip(&predicted).map(|(label, predicted)| f64::from(label == predicted)).collect()
            }
            Truth::Labels(targets) => right_shares(*targets, self.predictions.view()),
            Truth::Numbers(targets) => {
                let predictions = self.predictions.view();
                match self.aim {
                    Aim::Mean => row_means(predictions, *targets, |error| error * error),
                    Aim::Median => row_means(predictions, *targets, f64::abs),
                    Aim::Quantiles(levels) => pinball_losses(predictions, *targets, levels),
                }
            }
        }
    }

    /// The main measure under given weights.
    fn main_of(&self, row_scores: &[f64], weights: &[f64]) -> f64 {
        let mean = mean(row_scores.iter().copied(), weights);
        if self.main_key() == Key::Rmse { mean.sqrt() } else { mean }
    }

    /// The measure of this value; `interval` is the bootstrap's.
    fn measure(&self, key: Key, value: f64, interval: Option<Interval>) -> Measure {
        let interval = match key {
            Key::Accuracy | Key::TopThree | Key::Exact => wilson(value, effective_rows(&self.weights)),
            Key::LabelAccuracy => wilson(value, self.effective_decisions(value)),
            // That of a sample is greater than the true one, those of samples of the sample greater still.
            Key::CalibrationError => None,
            _ => interval.filter(|interval| interval.low < interval.high),
        };
        Measure { value: value.is_finite().then_some(value), interval, ..key.measure() }
    }

    /// How many independent decisions tell as much about the accuracy as these rows of several labels: p (1 - p) over the
    /// variance of the mean of the rows' shares (Kish 1965: the design effect of clusters), from one a row, where the
    /// labels of a row are right or wrong together, to one a label.
    fn effective_decisions(&self, accuracy: f64) -> f64 {
        let row_scores = self.row_scores();
        let variance = mean(row_scores.iter().map(|share| (share - accuracy).powi(2)), &self.weights);
        let decisions = accuracy * (1.0 - accuracy) / variance;
        let rows = effective_rows(&self.weights);
        // Of no mistakes, nothing is known about whether they would come together.
        if decisions.is_finite() { rows * decisions.clamp(1.0, self.predictions.ncols() as f64) } else { rows }
    }

    fn ranking(&self, class: usize) -> Option<Ranking> {
        if class >= self.predictions.ncols() {
            return None;
        }
        let is_of_class = |row: usize| match &self.truth {
            Truth::Classes(labels) => labels[row] as usize == class,
            Truth::Labels(targets) => targets[(row, class)] > 0.5,
            Truth::Numbers(_) => false,
        };
        Ranking::new(is_of_class, &self.predictions.column(class).to_vec())
    }
}

/// One prediction for each target: of quantiles the level nearest to the median.
fn middle_of(predictions: &Array2<f64>, aim: Aim) -> Cow<'_, Array2<f64>> {
    match aim.levels() {
        Some(levels) => {
            let middle = of_level(predictions.view(), levels, levels.middle());
            Cow::Owned(middle.to_owned())
        }
        None => Cow::Borrowed(predictions),
    }
}

/// The column of one level for each target.
pub(super) fn of_level(predictions: ArrayView2<f64>, levels: Levels, level: usize) -> ArrayView2<f64> {
    let step = levels.levels().len() as isize;
    predictions.slice_axis_move(Axis(1), Slice::new(level as isize, None, step))
}
