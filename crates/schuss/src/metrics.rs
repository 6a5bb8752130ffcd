//! How good a model is: its loss and its scores over all rows of a data set.

use ndarray::{Array2, ArrayView1, ArrayView2, Axis};

use crate::loss::BatchTargets;
use crate::model::BATCH;
use crate::{Dataset, Loss, Model, Real, Result, Targets, Threads, Workspace};

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
    /// Of numbers, in the unit of the targets; R² averaged over the outputs.
    Regression {
        /// √(mean (a - y)²) over rows and outputs.
        rmse: f64,
        /// mean |a - y| over rows and outputs.
        mae: f64,
        /// 1 - Σ(a - y)²/Σ(y - ȳ)²; not finite where the targets are constant.
        r2: f64,
    },
}

impl Metrics {
    /// The accuracy, of classes.
    pub fn accuracy(&self) -> Option<f64> {
        match self.scores {
            Scores::Classification { accuracy, .. } => Some(accuracy),
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
        let mut workspace = Workspace::new(&self.network, BATCH.min(dataset.rows()), threads);
        Ok(self.evaluate_in(dataset, &mut workspace))
    }

    /// [`Model::evaluate`] of a data set that was checked, in memory that is there already.
    pub(crate) fn evaluate_in(&self, dataset: Dataset, workspace: &mut Workspace<T>) -> Metrics {
        let last = self.network.last_activation();
        let threads = workspace.threads().clone();
        let mut loss = 0.0;
        let mut tally = Tally::new(dataset.targets(), self.prediction_width());
        self.for_each_batch(dataset.features(), workspace, |range, workspace| {
            let (output, _) = workspace.output_and_gradient(last);
            match dataset.targets() {
                Targets::Classes { labels, .. } => {
                    let labels = &labels[range];
                    loss += self.loss.evaluate(&threads, output, BatchTargets::Classes(labels), None);
                    tally.add_classes(self, output.a, labels);
                }
                Targets::Values(values) => {
                    let values = values.slice_axis(Axis(0), range.into());
                    let mut scaled = Array2::from_elem(values.dim(), T::ZERO);
                    for (row, mut out) in values.rows().into_iter().zip(scaled.rows_mut()) {
                        self.target_scaling.scale(row, out.as_slice_mut().expect("rows are contiguous"));
                    }
                    loss += self.loss.evaluate(&threads, output, BatchTargets::Values(scaled.view()), None);
                    tally.add_values(self, output.a, values);
                }
            }
        });
        let loss = loss / dataset.rows() as f64;
        // Cross-entropy is the log-loss already.
        let log_loss = (self.loss == Loss::CrossEntropy).then_some(loss);
        Metrics { loss, scores: tally.scores(dataset, log_loss, self.predicts_probabilities()) }
    }
}

const CONTIGUOUS: &str = "rows are contiguous";

/// Sums over the rows seen so far.
struct Tally {
    correct: usize,
    log_loss: f64,
    absolute_error: f64,
    /// Σ(a - y)² and Σ(y - ȳ)² of each output.
    squared_error: Vec<f64>,
    squared_deviation: Vec<f64>,
    mean: Vec<f64>,
    /// Of one row.
    prediction: Vec<f64>,
}

impl Tally {
    fn new(targets: Targets, prediction_width: usize) -> Self {
        let mean = match targets {
            Targets::Classes { .. } => Vec::new(),
            Targets::Values(values) => values.columns().into_iter().map(|y| y.sum() / y.len() as f64).collect(),
        };
        let zeros = vec![0.0; mean.len()];
        Self {
            correct: 0,
            log_loss: 0.0,
            absolute_error: 0.0,
            squared_error: zeros.clone(),
            squared_deviation: zeros,
            mean,
            prediction: vec![0.0; prediction_width],
        }
    }

    fn add_classes<T: Real>(&mut self, model: &Model<T>, output: ArrayView2<T>, labels: &[u32]) {
        for (row, &label) in output.rows().into_iter().zip(labels) {
            model.write_prediction(row.to_slice().expect(CONTIGUOUS), &mut self.prediction);
            self.correct += usize::from(argmax((&self.prediction).into()) == label as usize);
            if model.loss != Loss::CrossEntropy {
                self.log_loss -= self.prediction[label as usize].ln();
            }
        }
    }

    fn add_values<T: Real>(&mut self, model: &Model<T>, output: ArrayView2<T>, values: ArrayView2<f64>) {
        for (row, values) in output.rows().into_iter().zip(values.rows()) {
            model.write_prediction(row.to_slice().expect(CONTIGUOUS), &mut self.prediction);
            for (output, (prediction, y)) in self.prediction.iter().zip(values).enumerate() {
                let error = prediction - y;
                self.absolute_error += error.abs();
                self.squared_error[output] += error * error;
                self.squared_deviation[output] += (y - self.mean[output]).powi(2);
            }
        }
    }

    fn scores(&self, dataset: Dataset, log_loss: Option<f64>, probabilities: bool) -> Scores {
        let rows = dataset.rows() as f64;
        match dataset.targets() {
            Targets::Classes { .. } => Scores::Classification {
                accuracy: self.correct as f64 / rows,
                log_loss: probabilities.then_some(log_loss.unwrap_or(self.log_loss / rows)),
            },
            Targets::Values(values) => {
                let count = rows * values.ncols() as f64;
                let outputs = self.squared_error.iter().zip(&self.squared_deviation);
                Scores::Regression {
                    rmse: (self.squared_error.iter().sum::<f64>() / count).sqrt(),
                    mae: self.absolute_error / count,
                    r2: outputs.map(|(error, deviation)| 1.0 - error / deviation).sum::<f64>() / values.ncols() as f64,
                }
            }
        }
    }
}
