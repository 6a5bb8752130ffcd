//! A network together with what it takes to use it: the loss, the task, the scaling of its inputs and targets.

use std::ops::Range;

use ndarray::{Array2, Axis};
use serde::{Deserialize, Serialize};

use crate::activation::sigmoid;
use crate::{
    Activation, Conformal, Dataset, Error, Features, Loss, Network, Real, Result, Scaling, Schema, Targets, Threads,
    Workspace,
};

/// Rows of a batch where nothing depends on how many there are: prediction and evaluation.
const BATCH: usize = 1000;

/// What the outputs stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// One of a number of classes.
    Classification {
        /// How many.
        classes: usize,
    },
    /// Any of a number of labels, each there or not.
    MultiLabel {
        /// How many.
        labels: usize,
    },
    /// Numbers.
    Regression,
}

impl Task {
    /// The task that such targets set, unless another is asked for: numbers may also be probabilities of classes, or labels
    /// that are there or not.
    pub fn of(targets: Targets) -> Self {
        match targets {
            Targets::Classes { classes, .. } => Self::Classification { classes },
            Targets::Values(_) => Self::Regression,
        }
    }

    /// What its targets are called.
    fn targets(self) -> &'static str {
        match self {
            Self::Classification { .. } => "classes, or a probability for each",
            Self::MultiLabel { .. } => "a 0 or 1 for each label",
            Self::Regression => "numbers",
        }
    }
}

/// A network, and what turns stored examples into its inputs and its outputs into predictions.
#[derive(Clone, Debug, PartialEq)]
pub struct Model<T> {
    /// The network.
    pub network: Network<T>,
    /// Further networks of the same layers, where the prediction is the mean of several: see [`Model::ensemble`].
    pub others: Vec<Network<T>>,
    /// What it was trained to make small.
    pub loss: Loss,
    /// What its outputs stand for.
    pub task: Task,
    /// From stored feature values to inputs.
    pub scaling: Scaling,
    /// From target values to what the outputs are compared with; [`Scaling::None`] for classes.
    pub target_scaling: Scaling,
    /// The lowest and the highest prediction of every target of a regression, in the unit of the targets: what is beyond is
    /// predicted as one of them, in training nothing changes. Empty for none.
    pub output_range: Vec<[f64; 2]>,
    /// The shape of an example before it was flattened: (28, 28) for MNIST.
    pub example_shape: Vec<usize>,
    /// The names of the classes, in their order, where they have any.
    pub class_names: Vec<String>,
    /// The columns of the table that examples come from, if they do.
    pub schema: Option<Schema>,
    /// How far it was off on rows that it did not learn from, if that was measured.
    pub conformal: Option<Conformal>,
}

impl<T: Real> Model<T> {
    /// A model that takes examples as they are stored, one flat row each.
    pub fn new(network: Network<T>, loss: Loss, task: Task) -> Self {
        Self {
            example_shape: vec![network.inputs()],
            network,
            others: Vec::new(),
            loss,
            task,
            scaling: Scaling::None,
            target_scaling: Scaling::None,
            output_range: Vec::new(),
            class_names: Vec::new(),
            schema: None,
            conformal: None,
        }
    }

    /// Fails unless the network takes such examples and the loss such targets.
    ///
    /// # Errors
    /// Another number of features or classes; a loss that does not fit; a scaling for other examples.
    pub fn check(&self, dataset: Dataset) -> Result<()> {
        if !self.networks().all(|network| network.parameters().iter().all(|parameter| parameter.is_finite())) {
            return Err(Error::value("parameters", "finite numbers", "infinity or NaN"));
        }
        self.check_features(dataset.features())?;
        let (last, outputs) = (self.network.last_activation(), self.network.outputs());
        match (self.task, dataset.targets()) {
            (Task::Classification { classes }, Targets::Classes { labels, .. }) => {
                // A part of the data may lack the last classes, but must not have others.
                if let Some(row) = labels.iter().position(|&label| label as usize >= classes) {
                    let what = format!("label of row {row} (counted from 0)");
                    return Err(Error::value(what, format!("one of the model's {classes} classes"), labels[row]));
                }
                self.loss.check(last, outputs, Targets::Classes { labels, classes })
            }
            (Task::Regression, targets @ Targets::Values(_)) => self.loss.check(last, outputs, targets),
            (task, Targets::Values(values)) => {
                let (Task::Classification { classes: width } | Task::MultiLabel { labels: width }) = task else {
                    return Ok(());
                };
                if values.ncols() != width {
                    return Err(Error::Shape { what: "values of a target", expected: width, got: values.ncols() });
                }
                let is_label = |x: &f64| *x == 0.0 || *x == 1.0;
                if let (Task::MultiLabel { .. }, Some(x)) = (task, values.iter().find(|x| !is_label(x))) {
                    return Err(Error::value("targets", task.targets(), x));
                }
                self.loss.check(last, outputs, Targets::Values(values))
            }
            (task, Targets::Classes { .. }) => Err(Error::value("targets", task.targets(), "classes")),
        }
    }

    /// Fails unless the network takes such examples.
    ///
    /// # Errors
    /// Another number of features; a scaling for other examples.
    pub fn check_features(&self, features: Features) -> Result<()> {
        if features.columns() != self.network.inputs() {
            let [expected, got] = [self.network.inputs(), features.columns()];
            return Err(Error::Shape { what: "features of an example, as the model takes them", expected, got });
        }
        self.scaling.check(features.columns())?;
        self.target_scaling.check(self.targets())?;
        self.check_output_range()
    }

    /// Fails unless the range of the predictions, if there is one, is one of numbers for each target.
    pub(crate) fn check_output_range(&self) -> Result<()> {
        let (range, targets) = (&self.output_range, self.targets());
        if range.is_empty() {
            return Ok(());
        }
        if self.task != Task::Regression {
            return Err(Error::value("range of the predictions", "none but in regression", format!("{range:?}")));
        }
        if range.len() != targets {
            return Err(Error::Shape {
                what: "targets of the range of the predictions",
                expected: targets,
                got: range.len(),
            });
        }
        let is_range = |[low, high]: &&[f64; 2]| low.is_finite() && high.is_finite() && low <= high;
        match range.iter().find(|range| !is_range(range)) {
            Some(got) => {
                let expected = "two finite numbers, the lower one first";
                Err(Error::value("range of the predictions", expected, format!("{got:?}")))
            }
            None => Ok(()),
        }
    }

    /// Predictions for every example, (rows, classes) or (rows, outputs), of quantiles all levels of a target side by
    /// side: probabilities where the network ends in
    /// softmax or sigmoid or was trained on logits, else its plain outputs; regression in the unit of the targets.
    /// A row's prediction is the same alone and among others, bit for bit.
    ///
    /// # Errors
    /// See [`Model::check_features`].
    pub fn predict(&self, features: Features, threads: &Threads) -> Result<Array2<f64>> {
        self.check_features(features)?;
        let mut workspace = Workspace::new(&self.network, self.batch().min(features.rows()).max(1), threads);
        let mut predictions = Array2::zeros((features.rows(), self.prediction_width()));
        self.for_each_batch(features, &mut workspace, |range, workspace| {
            let mut predictions = predictions.slice_axis_mut(Axis(0), range.into());
            for (output, mut prediction) in workspace.output().rows().into_iter().zip(predictions.rows_mut()) {
                let row = "rows are contiguous";
                self.write_prediction(output.to_slice().expect(row), prediction.as_slice_mut().expect(row));
            }
        });
        Ok(predictions)
    }

    /// Values of a prediction.
    pub fn prediction_width(&self) -> usize {
        match self.task {
            Task::Classification { classes } => classes,
            Task::MultiLabel { .. } | Task::Regression => self.network.outputs(),
        }
    }

    /// Numbers that are predicted for an example; a loss of quantiles has several outputs for each.
    pub(crate) fn targets(&self) -> usize {
        self.network.outputs() / self.loss.outputs_per_target()
    }

    /// A row of the network's outputs as a prediction; see [`Model::predict`].
    #[inline]
    pub(crate) fn write_prediction(&self, output: &[T], prediction: &mut [f64]) {
        let outputs = output.iter().map(|x| x.to_f64());
        match (self.task, self.loss, output) {
            (Task::Classification { classes: 2 }, Loss::BinaryCrossEntropy, [z]) => {
                prediction.copy_from_slice(&[-1.0, 1.0].map(|sign| sigmoid(sign * z.to_f64())));
            }
            (_, Loss::BinaryCrossEntropy, _) => prediction.iter_mut().zip(outputs).for_each(|(p, z)| *p = sigmoid(z)),
            (_, Loss::Poisson, _) => prediction.iter_mut().zip(outputs).for_each(|(p, a)| *p = a.exp()),
            _ => prediction.iter_mut().zip(outputs).for_each(|(p, a)| *p = a),
        }
        let of_one = self.loss.outputs_per_target();
        if self.task == Task::Regression && !self.loss.keeps_unit() {
            prediction.chunks_mut(of_one).enumerate().for_each(|(target, x)| self.target_scaling.invert(target, x));
        }
        for (prediction, &[low, high]) in prediction.chunks_mut(of_one).zip(&self.output_range) {
            // What is not a number stays none.
            let clamp = |x: f64| {
                if x < low {
                    low
                } else if x > high {
                    high
                } else {
                    x
                }
            };
            prediction.iter_mut().for_each(|x| *x = clamp(*x));
        }
    }

    /// Whether [`Model::predict`] gives probabilities.
    pub fn predicts_probabilities(&self) -> bool {
        self.task != Task::Regression
            && (self.loss == Loss::BinaryCrossEntropy
                || matches!(self.network.last_activation(), Activation::Softmax { .. } | Activation::Sigmoid))
    }

    /// Rows of a batch outside of training, at most: of networks that share layers, as many rows less.
    pub(crate) fn batch(&self) -> usize {
        (BATCH / self.network.members()).max(1)
    }

    /// Runs the examples through the network, a batch at a time.
    pub(crate) fn for_each_batch(
        &self,
        features: Features,
        workspace: &mut Workspace<T>,
        mut f: impl FnMut(Range<usize>, &mut Workspace<T>),
    ) {
        let mut sums = Vec::new();
        self.for_each_input(features, workspace, |range, workspace| {
            self.forward_input(workspace, &mut sums);
            f(range, workspace);
        });
    }

    /// Writes the examples into the workspace's input, a batch at a time.
    pub(crate) fn for_each_input(
        &self,
        features: Features,
        workspace: &mut Workspace<T>,
        mut f: impl FnMut(Range<usize>, &mut Workspace<T>),
    ) {
        // The same batches whatever the capacity: sums over batches then have the same bits.
        let size = self.batch().min(workspace.capacity());
        let threads = workspace.threads().clone();
        let rows: Vec<u32> = (0..features.rows() as u32).collect();
        for (i, rows) in rows.chunks(size).enumerate() {
            self.scaling.gather(&threads, features, rows, workspace.input(rows.len()));
            f(i * size..i * size + rows.len(), workspace);
        }
    }
}
