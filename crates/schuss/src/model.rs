//! A network together with what it takes to use it: the loss, the task, the scaling of its inputs and targets.

use std::ops::Range;

use ndarray::{Array2, Axis};
use serde::{Deserialize, Serialize};

use crate::activation::sigmoid;
use crate::{Activation, Dataset, Error, Features, Loss, Network, Real, Result, Scaling, Targets, Threads, Workspace};

/// Rows of a batch where nothing depends on how many there are: prediction and evaluation.
pub(crate) const BATCH: usize = 1000;

/// What the outputs stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// One of a number of classes.
    Classification {
        /// How many.
        classes: usize,
    },
    /// Numbers.
    Regression,
}

impl Task {
    /// The task that such targets set.
    pub fn of(targets: Targets) -> Self {
        match targets {
            Targets::Classes { classes, .. } => Self::Classification { classes },
            Targets::Values(_) => Self::Regression,
        }
    }
}

/// A network, and what turns stored examples into its inputs and its outputs into predictions.
#[derive(Clone, Debug, PartialEq)]
pub struct Model<T> {
    /// The network.
    pub network: Network<T>,
    /// What it was trained to make small.
    pub loss: Loss,
    /// What its outputs stand for.
    pub task: Task,
    /// From stored feature values to inputs.
    pub scaling: Scaling,
    /// From target values to what the outputs are compared with; [`Scaling::None`] for classes.
    pub target_scaling: Scaling,
    /// The shape of an example before it was flattened: (28, 28) for MNIST.
    pub example_shape: Vec<usize>,
}

impl<T: Real> Model<T> {
    /// A model that takes examples as they are stored, one flat row each.
    pub fn new(network: Network<T>, loss: Loss, task: Task) -> Self {
        let example_shape = vec![network.inputs()];
        Self { network, loss, task, scaling: Scaling::None, target_scaling: Scaling::None, example_shape }
    }

    /// Fails unless the network takes such examples and the loss such targets.
    ///
    /// # Errors
    /// Another number of features or classes; a loss that does not fit; a scaling for other examples.
    pub fn check(&self, dataset: Dataset) -> Result<()> {
        if !self.network.parameters().iter().all(|parameter| parameter.is_finite()) {
            return Err(Error::value("parameters", "finite numbers", "infinity or NaN"));
        }
        self.check_features(dataset.features())?;
        if let (Task::Classification { classes }, Targets::Classes { labels, .. }) = (self.task, dataset.targets()) {
            // A part of the data may lack the last classes, but must not have others.
            if let Some(row) = labels.iter().position(|&label| label as usize >= classes) {
                let what = format!("label of row {row} (counted from 0)");
                return Err(Error::value(what, format!("one of the model's {classes} classes"), labels[row]));
            }
            let targets = Targets::Classes { labels, classes };
            return self.loss.check(self.network.last_activation(), self.network.outputs(), targets);
        }
        if self.task != Task::of(dataset.targets()) {
            let name = |task| if task == Task::Regression { "numbers" } else { "classes" };
            return Err(Error::value("targets", name(self.task), name(Task::of(dataset.targets()))));
        }
        self.loss.check(self.network.last_activation(), self.network.outputs(), dataset.targets())
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
        self.target_scaling.check(self.network.outputs())
    }

    /// Predictions for every example, (rows, classes) or (rows, outputs): probabilities where the network ends in
    /// softmax or sigmoid or was trained on logits, else its plain outputs; regression in the unit of the targets.
    /// A row's prediction is the same alone and among others, bit for bit.
    ///
    /// # Errors
    /// See [`Model::check_features`].
    pub fn predict(&self, features: Features, threads: &Threads) -> Result<Array2<f64>> {
        self.check_features(features)?;
        let mut workspace = Workspace::new(&self.network, BATCH.min(features.rows()).max(1), threads);
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
    pub(crate) fn prediction_width(&self) -> usize {
        match self.task {
            Task::Classification { classes } => classes,
            Task::Regression => self.network.outputs(),
        }
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
            _ => prediction.iter_mut().zip(outputs).for_each(|(p, a)| *p = a),
        }
        if let (Task::Regression, false) = (self.task, self.loss == Loss::BinaryCrossEntropy) {
            self.target_scaling.invert(prediction);
        }
    }

    /// Whether [`Model::predict`] gives probabilities.
    pub fn predicts_probabilities(&self) -> bool {
        matches!(self.task, Task::Classification { .. })
            && (self.loss == Loss::BinaryCrossEntropy
                || matches!(self.network.last_activation(), Activation::Softmax { .. } | Activation::Sigmoid))
    }

    /// Runs the examples through the network, a batch at a time.
    pub(crate) fn for_each_batch(
        &self,
        features: Features,
        workspace: &mut Workspace<T>,
        mut f: impl FnMut(Range<usize>, &mut Workspace<T>),
    ) {
        // The same batches whatever the capacity: sums over batches then have the same bits.
        let size = BATCH.min(workspace.capacity());
        let threads = workspace.threads().clone();
        let rows: Vec<u32> = (0..features.rows() as u32).collect();
        for (i, rows) in rows.chunks(size).enumerate() {
            self.scaling.gather(&threads, features, rows, workspace.input(rows.len()));
            self.network.forward_input(workspace);
            f(i * size..i * size + rows.len(), workspace);
        }
    }
}
