//! The training step.

use std::ops::Range;

use schuss_kernels::meter::{Work, timed};
use schuss_kernels::update;

use crate::model::BATCH;
use crate::optimizer::OptimizerState;
use crate::train::batch::Batch;
use crate::train::{OnDivergence, Settings};
use crate::workspace::Pass;
use crate::{Dataset, Metrics, Model, Real, Result, Threads, Workspace};

/// A model in training on a data set: what one step needs, laid out once, so that a step allocates nothing.
#[derive(Debug)]
pub struct Trainer<'m, 'd, T> {
    pub(crate) model: &'m mut Model<T>,
    batch: Batch<'d, T>,
    workspace: Workspace<T>,
    optimizer: OptimizerState<T>,
    l2: f64,
    on_divergence: OnDivergence,
    seed: u64,
    /// Steps made.
    steps: u64,
    /// Batches of a step.
    accumulate: usize,
    /// The mean gradient of a step's batches, if they are several.
    accumulated: Vec<T>,
}

impl<'m, 'd, T: Real> Trainer<'m, 'd, T> {
    /// Memory for steps of up to `settings.batch_size` rows.
    ///
    /// # Errors
    /// Data that do not fit the model; settings outside their range.
    pub fn new(model: &'m mut Model<T>, dataset: Dataset<'d>, settings: &Settings, threads: &Threads) -> Result<Self> {
        settings.check(model, dataset)?;
        let rows = settings.batch_size.min(dataset.rows()).div_ceil(settings.accumulate);
        let parameters = model.network.parameters().len();
        let weight_decay = settings.optimizer.default_weight_decay();
        let optimizer = OptimizerState::new(settings.optimizer, model.network.segments(), weight_decay, None)?;
        Ok(Self {
            // Evaluation takes the larger batches.
            workspace: Workspace::new(&model.network, rows.max(BATCH), threads).with_products(settings.products),
            batch: Batch::new(model, dataset, settings, rows),
            optimizer,
            l2: settings.l2,
            on_divergence: settings.on_divergence,
            seed: settings.seed,
            steps: 0,
            accumulate: settings.accumulate,
            accumulated: vec![T::ZERO; if settings.accumulate > 1 { parameters } else { 0 }],
            model,
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
        self.model.network.update_statistics(&self.workspace);
        self.steps += 1;
        Some(loss)
    }

    /// The mean loss of the examples `rows`; afterwards [`Trainer::workspace`] holds its gradient, the penalty's
    /// included.
    ///
    /// # Panics
    /// As for [`Trainer::step`].
    pub fn gradient(&mut self, rows: &[u32]) -> f64 {
        let threads = self.workspace.threads().clone();
        let piece = rows.len().div_ceil(self.accumulate);
        let mut sum = 0.0;
        for first_row in (0..rows.len()).step_by(piece.max(1)) {
            let range = first_row..(first_row + piece).min(rows.len());
            let share = range.len() as f64 / rows.len() as f64;
            sum += self.gradient_of(&threads, rows, range);
            if self.accumulate > 1 {
                let share = T::from_f64(share);
                let is_first = first_row == 0;
                update(&threads, &mut self.accumulated, &self.workspace.gradient, |sum, g| {
                    *sum = if is_first { share * g } else { *sum + share * g };
                });
            }
        }
        if self.accumulate > 1 {
            self.workspace.gradient.copy_from_slice(&self.accumulated);
        }
        if self.l2 != 0.0 {
            self.model.network.add_l2(&threads, self.l2, &mut self.workspace.gradient);
        }
        sum / rows.len() as f64
    }

    /// The loss summed over the examples at the places `range` of `rows`, and the gradient of its mean.
    fn gradient_of(&mut self, threads: &Threads, rows: &[u32], range: Range<usize>) -> f64 {
        let Self { model, workspace, batch, .. } = self;
        let Model { network, loss, .. } = &**model;
        let (count, last) = (range.len(), network.last_activation());
        workspace.set_pass(Pass::Training { seed: self.seed, step: self.steps, first_row: range.start });
        batch.fill(threads, model, self.steps, rows, range, workspace.input(count));
        network.forward_input(workspace);
        let (output, gradient) = workspace.output_and_gradient(last);
        let sum = loss.evaluate(threads, output, batch.targets(count), batch.weights(count), Some(gradient));
        network.backward_output(workspace, loss.activation_left(last), None);
        sum
    }

    /// Loss and scores over all rows of a data set that fits the model.
    pub(crate) fn evaluate(&mut self, dataset: Dataset) -> Metrics {
        self.workspace.set_pass(Pass::Inference);
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
