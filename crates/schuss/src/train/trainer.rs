//! The training step.

use ndarray::Array2;
use schuss_kernels::meter::{Work, timed};

use crate::augment::Augmenter;
use crate::loss::BatchTargets;
use crate::model::BATCH;
use crate::optimizer::OptimizerState;
use crate::train::{OnDivergence, Settings};
use crate::workspace::{first_rows, first_rows_mut};
use crate::{Dataset, Error, Features, Metrics, Model, Real, Result, Targets, Threads, Workspace};

/// A model in training on a data set: what one step needs, laid out once, so that a step allocates nothing.
#[derive(Debug)]
pub struct Trainer<'m, 'd, T> {
    pub(crate) model: &'m mut Model<T>,
    dataset: Dataset<'d>,
    workspace: Workspace<T>,
    optimizer: OptimizerState<T>,
    l2: f64,
    on_divergence: OnDivergence,
    augmenter: Option<Augmenter>,
    /// Steps made.
    steps: u64,
    labels: Vec<u32>,
    values: Array2<T>,
}

impl<'m, 'd, T: Real> Trainer<'m, 'd, T> {
    /// Memory for steps of up to `settings.batch_size` rows.
    ///
    /// # Errors
    /// Data that do not fit the model; settings outside their range.
    pub fn new(model: &'m mut Model<T>, dataset: Dataset<'d>, settings: &Settings, threads: &Threads) -> Result<Self> {
        settings.check(dataset.rows())?;
        model.check(dataset)?;
        if let Some((augment, _)) = settings.augment {
            augment.check(&model.example_shape)?;
            let [expected, got] = [model.network.inputs(), model.example_shape.iter().product()];
            if got != expected {
                return Err(Error::Shape { what: "values of a picture of the model's shape", expected, got });
            }
        }
        let rows = settings.batch_size.min(dataset.rows());
        let parameters = model.network.parameters().len();
        Ok(Self {
            // Evaluation takes the larger batches.
            workspace: Workspace::new(&model.network, rows.max(BATCH), threads).with_products(settings.products),
            optimizer: OptimizerState::new(settings.optimizer, parameters),
            l2: settings.l2,
            on_divergence: settings.on_divergence,
            augmenter: settings.augment.map(|(augment, seed)| Augmenter::new(augment, seed, &model.example_shape)),
            steps: 0,
            labels: vec![0; rows],
            values: Array2::from_elem((rows, model.network.outputs()), T::ZERO),
            model,
            dataset,
        })
    }

    /// One step on the examples `rows`: forward, loss, backward, update. The mean loss of the batch before the step;
    /// where that is not finite, nothing is changed and there is none, unless the run is to go on.
    ///
    /// # Panics
    /// More rows than a batch has, or one that does not exist.
    pub fn step(&mut self, rows: &[u32], learning_rate: f64) -> Option<f64> {
        let loss = self.gradient(rows);
        if !loss.is_finite() && self.on_divergence == OnDivergence::Stop {
            return None;
        }
        let Workspace { compute, gradient, .. } = &self.workspace;
        let parameters = self.model.network.parameters_mut();
        timed(Work::Optimizer, || self.optimizer.step(&compute.threads, parameters, gradient, learning_rate));
        self.steps += 1;
        Some(loss)
    }

    /// The mean loss of the examples `rows`; afterwards [`Trainer::workspace`] holds its gradient, the penalty's
    /// included.
    ///
    /// # Panics
    /// As for [`Trainer::step`].
    pub fn gradient(&mut self, rows: &[u32]) -> f64 {
        let dataset = self.dataset;
        let Model { network, loss, scaling, target_scaling, .. } = &*self.model;
        let workspace = &mut self.workspace;
        let threads = workspace.threads().clone();
        let last = network.last_activation();

        let input = workspace.input(rows.len());
        timed(Work::Data, || match &self.augmenter {
            None => scaling.gather(&threads, dataset.features(), rows, input),
            Some(augmenter) => augmenter.gather(&threads, self.steps, scaling, dataset.features(), rows, input),
        });
        let targets = match dataset.targets() {
            Targets::Classes { labels, .. } => {
                self.labels.iter_mut().zip(rows).for_each(|(label, &row)| *label = labels[row as usize]);
                BatchTargets::Classes(&self.labels[..rows.len()])
            }
            Targets::Values(values) => {
                let out = first_rows_mut(&mut self.values, rows.len());
                timed(Work::Data, || target_scaling.gather(&threads, Features::F64(values), rows, out));
                BatchTargets::Values(first_rows(&self.values, rows.len()))
            }
        };
        network.forward_input(workspace);
        let (output, gradient) = workspace.output_and_gradient(last);
        let sum = loss.evaluate(&threads, output, targets, Some(gradient));
        network.backward_output(workspace, loss.activation_left(last), None);
        if self.l2 != 0.0 {
            network.add_l2(&threads, self.l2, &mut workspace.gradient);
        }
        sum / rows.len() as f64
    }

    /// Loss and scores over all rows of a data set that fits the model.
    pub(crate) fn evaluate(&mut self, dataset: Dataset) -> Metrics {
        // Exact products, as whoever uses the model will have them.
        let products = std::mem::take(&mut self.workspace.compute.products);
        let metrics = self.model.evaluate_in(dataset, &mut self.workspace);
        self.workspace.compute.products = products;
        metrics
    }

    /// The memory of the last pass.
    pub fn workspace(&self) -> &Workspace<T> {
        &self.workspace
    }
}
