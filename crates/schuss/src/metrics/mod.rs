//! How good a model is: its loss and its scores over all rows of a data set.
//!
//! [`Model::evaluate`] streams the few numbers that a run reports after every epoch. [`Evaluation`] keeps the predictions
//! and has everything else: every metric of the task with its confidence interval, curves, calibration, mistakes. Below it
//! are the metrics themselves, as functions of what is true, what was predicted and the weights of the rows; they agree
//! with scikit-learn's where those exist (`tests/suite/metrics.rs`).
//!
//! Labels and predicted classes are counted from 0; probabilities are (rows, classes), numbers (rows, outputs). Weights say
//! what each row counts beside the others; without them all count the same. A mean over nothing (weights that add up to
//! 0) is NaN.

mod classification;
mod evaluation;
mod importance;
mod interval;
mod measure;
mod ranking;
mod regression;
mod reweighted;

use std::ops::Range;

use ndarray::{Array2, ArrayView1, ArrayView2, Axis};

use crate::loss::BatchTargets;
use crate::{Dataset, Loss, Model, Real, Result, Targets, Task, Threads, Workspace};

pub use classification::{
    Average, CalibrationBin, ClassScores, Confusion, Hits, accuracy, average, brier, calibration, log_loss,
    top_k_accuracy,
};
pub use evaluation::Evaluation;
pub use importance::{Importance, Importances, Permutations};
pub(crate) use interval::normal_quantile;
pub use interval::{Bootstrap, Interval, effective_rows, paired_shares, wilson};
pub use measure::{Difference, Measure};
pub use ranking::{Curve, average_precision, macro_one_vs_rest, precision_recall_curve, roc_auc, roc_curve, thin};
pub use regression::{mae, pinball, r2, rmse};

use regression::mean_of;

/// The loss and the scores of a model on a data set. Penalties are not part of the loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metrics {
    /// The mean loss of a row; for regression in the unit of the scaled targets.
    pub loss: f64,
    /// What else there is to say.
    pub scores: Scores,
}

/// The scores of a task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scores {
    /// Of classes.
    Classification {
        /// The share of rows whose largest prediction is that of their class (the first of equal ones).
        accuracy: f64,
        /// -mean ln p of the rows' classes, in nats; absent where the outputs are no probabilities.
        log_loss: Option<f64>,
    },
    /// Of labels that are each there or not; a label counts as predicted where its probability is above 1/2.
    MultiLabel {
        /// The share of labels, over all rows, that are right.
        accuracy: f64,
        /// The share of rows whose labels are all right.
        exact: f64,
        /// The mean of -ln p of a label's being as it is, in nats; absent where the outputs are no probabilities.
        log_loss: Option<f64>,
    },
    /// Of numbers, in the unit of the targets, of quantiles for the level nearest to the median; R² averaged over the outputs.
    Regression {
        /// √(mean (a - y)²) over rows and outputs.
        rmse: f64,
        /// mean |a - y| over rows and outputs.
        mae: f64,
        /// 1 - Σ(a - y)²/Σ(y - ȳ)²; of constant targets 1 if the predictions are exact, else 0; of a single row NaN; see
        /// [`r2`].
        r2: f64,
    },
}

impl Metrics {
    /// The accuracy, of classes or labels.
    pub fn accuracy(&self) -> Option<f64> {
        match self.scores {
            Scores::Classification { accuracy, .. } | Scores::MultiLabel { accuracy, .. } => Some(accuracy),
            Scores::Regression { .. } => None,
        }
    }
}

/// The index of the largest value, the first of equal ones.
pub fn argmax<T: PartialOrd + Copy>(values: ArrayView1<T>) -> usize {
    let better = |best: usize, i: usize| if values[i] > values[best] { i } else { best };
    (0..values.len()).fold(0, better)
}

impl<T: Real> Model<T> {
    /// The loss and the scores over all rows of `dataset`.
    ///
    /// # Errors
    /// See [`Model::check`].
    pub fn evaluate(&self, dataset: Dataset, threads: &Threads) -> Result<Metrics> {
        self.check(dataset)?;
        let mut workspace = Workspace::new(&self.network, self.batch().min(dataset.total_rows()), threads);
        self.evaluate_in(dataset, &mut workspace)
    }

    /// [`Model::evaluate`] of a data set that was checked, in memory that is there already.
    pub(crate) fn evaluate_in(&self, dataset: Dataset, workspace: &mut Workspace<T>) -> Result<Metrics> {
        let mut tally = Tally::new(self, dataset);
        match dataset.stream() {
            None => self.tally(&mut tally, dataset, workspace),
            Some(stream) => {
                let all: Vec<u32> = (0..stream.blocks().len() as u32).collect();
                let windows: Vec<Vec<u32>> = all.chunks(stream.window_blocks().max(1)).map(<[u32]>::to_vec).collect();
                let count = windows.len();
                let mut windows = stream.read(windows, 0);
                for _ in 0..count {
                    let window = windows.next()?;
                    self.tally(&mut tally, window.dataset(), workspace);
                    windows.give_back(window);
                }
            }
        }
        let loss = tally.loss / tally.weight;
        Ok(Metrics { loss, scores: tally.scores(self, loss) })
    }

    /// Adds the rows of `dataset`, which are all or a part.
    fn tally(&self, tally: &mut Tally, dataset: Dataset, workspace: &mut Workspace<T>) {
        let last = self.network.last_activation();
        let threads = workspace.threads().clone();
        let mut weights = Vec::new();
        self.for_each_batch(dataset.features(), workspace, |range, workspace| {
            weights.clear();
            weights.extend(dataset.weights().iter().flat_map(|w| &w[range.clone()]).map(|&w| T::from_f64(w)));
            let weights = (!weights.is_empty()).then_some(&weights[..]);
            let (output, _) = workspace.output_and_gradient(last);
            let values;
            let targets = match dataset.targets() {
                Targets::Classes { labels, .. } => BatchTargets::Classes(&labels[range.clone()]),
                Targets::Values(all) => {
                    values = self.scaled_targets(all.slice_axis(Axis(0), range.clone().into()));
                    BatchTargets::Values(values.view())
                }
            };
            tally.loss += self.loss.evaluate(&threads, output, targets, weights, None);
            tally.add(self, output.a, dataset, range);
        });
    }

    /// Targets as the loss compares them with the outputs.
    fn scaled_targets(&self, values: ArrayView2<f64>) -> Array2<T> {
        let mut scaled = Array2::from_elem(values.dim(), T::ZERO);
        for (row, mut out) in values.rows().into_iter().zip(scaled.rows_mut()) {
            self.target_scaling.scale(row, out.as_slice_mut().expect(CONTIGUOUS));
        }
        scaled
    }
}

const CONTIGUOUS: &str = "rows are contiguous";

/// Sums over the rows seen so far, each times its weight.
struct Tally {
    rows: usize,
    weight: f64,
    loss: f64,
    correct: f64,
    exact: f64,
    log_loss: f64,
    absolute_error: f64,
    /// Σ(a - y)² and Σ(y - ȳ)² of each target.
    squared_error: Vec<f64>,
    squared_deviation: Vec<f64>,
    mean: Vec<f64>,
    /// Of one row.
    prediction: Vec<f64>,
}

impl Tally {
    fn new<T: Real>(model: &Model<T>, dataset: Dataset) -> Self {
        let mean = match (dataset.targets(), dataset.total_means()) {
            (Targets::Classes { .. }, _) => Vec::new(),
            (Targets::Values(_), Some(means)) => means,
            (Targets::Values(values), None) => {
                values.columns().into_iter().map(|y| mean_of(y, dataset.weights())).collect()
            }
        };
        Self {
            rows: dataset.total_rows(),
            weight: 0.0,
            loss: 0.0,
            correct: 0.0,
            exact: 0.0,
            log_loss: 0.0,
            absolute_error: 0.0,
            squared_error: vec![0.0; mean.len()],
            squared_deviation: vec![0.0; mean.len()],
            mean,
            prediction: vec![0.0; model.prediction_width()],
        }
    }

    /// Adds the rows `range` of `dataset`, for which the network's output is `output`.
    fn add<T: Real>(&mut self, model: &Model<T>, output: ArrayView2<T>, dataset: Dataset, range: Range<usize>) {
        for (output, row) in output.rows().into_iter().zip(range) {
            model.write_prediction(output.to_slice().expect(CONTIGUOUS), &mut self.prediction);
            let weight = dataset.weights().map_or(1.0, |weights| weights[row]);
            self.weight += weight;
            match (model.task, dataset.targets()) {
                (_, Targets::Classes { labels, .. }) => self.add_class(weight, labels[row] as usize),
                (Task::Classification { .. }, Targets::Values(values)) => {
                    self.add_class(weight, argmax(values.row(row)));
                }
                (Task::MultiLabel { .. }, Targets::Values(values)) => self.add_labels(weight, values.row(row)),
                (Task::Regression, Targets::Values(values)) => self.add_numbers(model, weight, values.row(row)),
            }
        }
    }

    fn add_class(&mut self, weight: f64, class: usize) {
        if argmax((&self.prediction).into()) == class {
            self.correct += weight;
        }
        self.log_loss -= weight * self.prediction[class].ln();
    }

    fn add_labels(&mut self, weight: f64, labels: ArrayView1<f64>) {
        let pairs = || self.prediction.iter().zip(labels);
        let right = pairs().filter(|(p, y)| (**p > 0.5) == (**y > 0.5)).count();
        let log_loss: f64 = pairs().map(|(&p, &y)| if y > 0.5 { -p.ln() } else { -(1.0 - p).ln() }).sum();
        self.correct += weight * right as f64 / labels.len() as f64;
        self.exact += if right == labels.len() { weight } else { 0.0 };
        self.log_loss += weight * log_loss / labels.len() as f64;
    }

    fn add_numbers<T: Real>(&mut self, model: &Model<T>, weight: f64, values: ArrayView1<f64>) {
        let (of_one, middle) = match model.loss {
            Loss::Quantile(levels) => (levels.levels().len(), levels.middle()),
            _ => (1, 0),
        };
        for (target, (prediction, y)) in self.prediction.chunks(of_one).zip(values).enumerate() {
            let error = prediction[middle] - y;
            self.absolute_error += weight * error.abs();
            self.squared_error[target] += weight * error * error;
            self.squared_deviation[target] += weight * (y - self.mean[target]).powi(2);
        }
    }

    fn scores<T: Real>(&self, model: &Model<T>, loss: f64) -> Scores {
        let mean = |sum: f64| sum / self.weight;
        let log_loss = || model.predicts_probabilities().then_some(mean(self.log_loss));
        match model.task {
            Task::Classification { .. } => Scores::Classification {
                accuracy: mean(self.correct),
                // Cross-entropy is the log-loss already, and does not underflow.
                log_loss: if model.loss == Loss::CrossEntropy { Some(loss) } else { log_loss() },
            },
            Task::MultiLabel { labels } => Scores::MultiLabel {
                accuracy: mean(self.correct),
                exact: mean(self.exact),
                log_loss: if model.loss == Loss::BinaryCrossEntropy { Some(loss / labels as f64) } else { log_loss() },
            },
            Task::Regression => {
                let targets = self.mean.len() as f64;
                let parts = self.squared_error.iter().zip(&self.squared_deviation);
                let r2 = parts.map(|(&error, &deviation)| regression::explained_share(error, deviation)).sum::<f64>();
                Scores::Regression {
                    rmse: mean(self.squared_error.iter().sum::<f64>() / targets).sqrt(),
                    mae: mean(self.absolute_error / targets),
                    r2: if self.rows < regression::LEAST_ROWS { f64::NAN } else { r2 / targets },
                }
            }
        }
    }
}
