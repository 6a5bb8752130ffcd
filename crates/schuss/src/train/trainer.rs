//! The training step.

use std::ops::Range;

use schuss_kernels::meter::{Work, timed};
use schuss_kernels::{sum_of_pairs, zip};

use crate::optimizer::OptimizerState;
use crate::train::batch::Batch;
use crate::train::{OnDivergence, Settings};
use crate::workspace::{Pass, first_rows};
use crate::{Average, Dataset, Error, Metrics, Model, Optimizer, Real, Result, Threads, Workspace};

/// A model in training on a data set: what one step needs, laid out once, so that a step allocates nothing.
#[derive(Debug)]
pub struct Trainer<'m, 'd, T> {
    pub(crate) model: &'m mut Model<T>,
    dataset: Dataset<'d>,
    batch: Batch<T>,
    workspace: Workspace<T>,
    settings: Settings,
    pub(super) optimizer: OptimizerState<T>,
    pub(super) average: Option<Average<T>>,
    /// Memory for parameters to evaluate, where they are not those that are trained.
    evaluated: Vec<T>,
    /// Steps made.
    steps: u64,
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
        let rows = settings.batch_size.min(dataset.total_rows()).div_ceil(settings.accumulate);
        let parameters = model.network.parameters().len();
        let optimizer = Self::optimizer(model, settings)?;
        let is_averaged = settings.average.is_some() || matches!(settings.optimizer, Optimizer::ScheduleFree { .. });
        Ok(Self {
            // Evaluation takes the larger batches.
            workspace: Workspace::new(&model.network, rows.max(model.batch()), threads)
                .with_products(settings.products),
            dataset,
            batch: Batch::new(model, dataset, settings, rows),
            optimizer,
            average: settings.average.map(|decay| Average::new(decay, parameters)).transpose()?,
            evaluated: vec![T::ZERO; if is_averaged { parameters } else { 0 }],
            steps: 0,
            accumulated: vec![T::ZERO; if settings.accumulate > 1 { parameters } else { 0 }],
            settings: settings.clone(),
            model,
        })
    }

    fn optimizer(model: &Model<T>, settings: &Settings) -> Result<OptimizerState<T>> {
        OptimizerState::new(settings.optimizer, model.network.segments(), settings.weight_decay, settings.clip)
    }

    /// What the steps are made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The model as it is now.
    pub fn model(&self) -> &Model<T> {
        self.model
    }

    /// From the next step on, the penalty is that of this λ: see [`Settings::l2`].
    pub fn set_l2(&mut self, l2: f64) {
        self.settings.l2 = l2;
    }

    /// Ends the training; what its optimiser remembers, for another one of the same network to go on with.
    pub fn into_optimizer(self) -> OptimizerState<T> {
        self.optimizer
    }

    /// Goes on with what the optimiser of another training remembers.
    ///
    /// # Errors
    /// It is of another rule, or of another number of parameters.
    pub fn set_optimizer(&mut self, optimizer: OptimizerState<T>) -> Result<()> {
        let [expected, got] = [&self.optimizer, &optimizer].map(OptimizerState::optimizer);
        if got != expected {
            return Err(Error::value("optimizer to go on with", format!("{expected:?}"), format!("{got:?}")));
        }
        let values = |state: &OptimizerState<T>| state.buffers().map(|(_, values)| values.len()).sum();
        let [expected, got] = [values(&self.optimizer), values(&optimizer)];
        if got != expected {
            return Err(Error::Shape { what: "numbers that the optimizer to go on with remembers", expected, got });
        }
        self.optimizer = optimizer;
        Ok(())
    }

    /// Goes on as after so many steps: dropout, mixup and changes of pictures are functions of their number.
    pub fn set_steps(&mut self, steps: u64) {
        self.steps = steps;
    }

    /// From the next step on, the rates of dropout and λ are multiplied by these factors: see
    /// [`Settings::dropout_schedule`].
    pub fn set_factors(&mut self, dropout: f64, weight_decay: f64) {
        self.workspace.set_dropout_factor(dropout.clamp(0.0, 1.0));
        self.optimizer.set_decay_factor(weight_decay);
    }

    /// One step on the examples `rows`: forward, loss, backward, update. The mean loss of the batch before the step; none
    /// where that, or a parameter after the step, is not finite, unless the run is to go on.
    ///
    /// # Panics
    /// More rows than a batch has, or one that does not exist.
    pub fn step(&mut self, rows: &[u32], learning_rate: f64) -> Option<f64> {
        self.step_of(self.dataset, rows, learning_rate)
    }

    /// [`Trainer::step`] on rows of `dataset`: the data, or a window of them.
    pub(super) fn step_of(&mut self, dataset: Dataset, rows: &[u32], learning_rate: f64) -> Option<f64> {
        let loss = self.gradient_of(dataset, rows);
        let goes_on = self.settings.on_divergence == OnDivergence::GoOn;
        self.steps += 1;
        if !loss.is_finite() && !goes_on {
            return None;
        }
        // What a line search starts from; nobody else asks for the penalty.
        let is_searched = matches!(self.settings.optimizer, Optimizer::Lbfgs { .. });
        let before = if is_searched { loss + self.penalty() } else { loss };
        let (threads, gradient) = (self.workspace.threads(), &self.workspace.gradient);
        let parameters = self.model.network.parameters_mut();
        let mut is_finite =
            timed(Work::Optimizer, || self.optimizer.step(threads, parameters, gradient, learning_rate));
        if let Some(slope) = self.optimizer.slope(self.workspace.threads(), &self.workspace.gradient) {
            is_finite = self.search_line(rows.len(), before, slope);
        }
        let network = &mut self.model.network;
        network.update_statistics(&self.workspace);
        if let Some(average) = &mut self.average {
            timed(Work::Optimizer, || average.update(self.workspace.threads(), network.parameters()));
        }
        (is_finite || goes_on).then_some(loss)
    }

    /// l2·Σθ², which no reported loss has.
    fn penalty(&self) -> f64 {
        let (network, Settings { l2, l2_on_biases, .. }) = (&self.model.network, &self.settings);
        if *l2 == 0.0 {
            return 0.0;
        }
        let square = |range: Range<usize>| {
            let parameters = &network.parameters()[range];
            sum_of_pairs(self.workspace.threads(), parameters, parameters, |x, y| x * y)
        };
        l2 * network.penalized(*l2_on_biases).map(square).sum::<f64>()
    }

    /// Halves the last step, up to thirty times, until the loss with its penalty, `before` it, falls by a part in 10,000 of
    /// what its `slope` promises (Armijo 1966). The step's rows are one batch, whose inputs are still there. Whether the
    /// parameters are finite then.
    fn search_line(&mut self, rows: usize, before: f64, slope: f64) -> bool {
        const SHARE: f64 = 1e-4;
        // The last digits of a loss near its minimum are noise.
        let noise = before.abs() * if size_of::<T>() == 4 { 1e-7 } else { 1e-15 };
        let threads = self.workspace.threads().clone();
        let mut part = 1.0;
        for _ in 0..30 {
            let network = &self.model.network;
            network.forward_input(&mut self.workspace);
            let (output, _) = self.workspace.output_and_gradient(network.last_activation());
            let (targets, weights) = (self.batch.targets(rows), self.batch.weights(rows));
            let sum = self.model.loss.evaluate(&threads, output, targets, weights, None) / network.members() as f64;
            if sum / rows as f64 + self.penalty() <= before + SHARE * part * slope + noise {
                break;
            }
            self.optimizer.shorten(&threads, self.model.network.parameters_mut(), 0.5);
            part *= 0.5;
        }
        self.model.network.is_finite()
    }

    /// Where the last step has a number first that is not finite, in the order of its computation.
    pub(crate) fn culprit(&self) -> String {
        fn is_finite<T: Real>(numbers: &[T]) -> bool {
            numbers.iter().all(|x| x.is_finite())
        }
        let network = &self.model.network;
        let of_layer = |i: usize| {
            let segment = network.segments().iter().find(|segment| segment.layer == i);
            segment
                .and_then(|segment| segment.name.rsplit_once('.'))
                .map_or(format!("layer {i}"), |(name, _)| name.into())
        };
        let rows = self.workspace.rows;
        let outputs = self.workspace.layers.iter().enumerate();
        let mut outputs = outputs.map(|(i, memory)| (i, first_rows(&memory.a, rows * network.copies_after(i))));
        let lost = outputs.find(|(_, a)| a.iter().any(|x| !x.is_finite()));
        let segments = || network.segments().iter();
        let gradient = segments().find(|segment| !is_finite(&self.workspace.gradient[segment.range.clone()]));
        let parameter = segments().find(|segment| !is_finite(&network.parameters()[segment.range.clone()]));
        match (lost, gradient, parameter) {
            (Some((i, _)), _, _) => format!("the output of {}", of_layer(i)),
            (_, Some(segment), _) => format!("the gradient of {}", segment.name),
            (_, _, Some(segment)) => segment.name.clone(),
            _ => "the loss".into(),
        }
    }

    /// The optimiser, and the average, begin anew.
    pub(crate) fn forget(&mut self) {
        self.optimizer = Self::optimizer(self.model, &self.settings).expect("settings that were checked");
        let parameters = self.model.network.parameters().len();
        self.average = self.settings.average.and_then(|decay| Average::new(decay, parameters).ok());
    }

    /// The mean loss of the examples `rows`; afterwards [`Trainer::workspace`] holds its gradient, the penalty's
    /// included.
    ///
    /// # Panics
    /// As for [`Trainer::step`].
    pub fn gradient(&mut self, rows: &[u32]) -> f64 {
        self.gradient_of(self.dataset, rows)
    }

    fn gradient_of(&mut self, dataset: Dataset, rows: &[u32]) -> f64 {
        let threads = self.workspace.threads().clone();
        let piece = rows.len().div_ceil(self.settings.accumulate);
        let mut sum = 0.0;
        for first_row in (0..rows.len()).step_by(piece.max(1)) {
            let range = first_row..(first_row + piece).min(rows.len());
            let share = range.len() as f64 / rows.len() as f64;
            sum += self.gradient_of_batch(&threads, (dataset, rows), range);
            if self.settings.accumulate > 1 {
                let share = T::from_f64(share);
                let is_first = first_row == 0;
                zip(&threads, &mut self.accumulated, [&self.workspace.gradient], move |sum, [g]| {
                    if is_first { share * g } else { sum + share * g }
                });
            }
        }
        if self.settings.accumulate > 1 {
            self.workspace.gradient.copy_from_slice(&self.accumulated);
        }
        if self.settings.l2 != 0.0 {
            let Settings { l2, l2_on_biases, .. } = self.settings;
            self.model.network.add_l2(&threads, l2, l2_on_biases, &mut self.workspace.gradient);
        }
        sum / rows.len() as f64
    }

    /// The loss summed over the examples at the places `range` of `rows`, and the gradient of its mean; of networks that
    /// share layers, the mean of their losses.
    fn gradient_of_batch(&mut self, threads: &Threads, rows: (Dataset, &[u32]), range: Range<usize>) -> f64 {
        let Self { model, workspace, batch, .. } = self;
        let Model { network, loss, .. } = &**model;
        let (count, last) = (range.len(), network.last_activation());
        workspace.set_pass(Pass::Training { seed: self.settings.seed, step: self.steps, first_row: range.start });
        batch.fill(threads, model, self.steps, rows, range, workspace.input(count));
        network.forward_input(workspace);
        let (output, gradient) = workspace.output_and_gradient(last);
        let sum = loss.evaluate(threads, output, batch.targets(count), batch.weights(count), Some(gradient));
        network.backward_output(workspace, loss.activation_left(last), None);
        sum / network.members() as f64
    }

    /// Whether what is evaluated and kept is an average.
    pub(crate) fn is_averaged(&self) -> bool {
        !self.evaluated.is_empty()
    }

    /// Calls `f` while the model has the parameters to evaluate and to keep: those that are trained, or their average.
    pub(crate) fn with_evaluated<R>(&mut self, f: impl FnOnce(&mut Self) -> R) -> R {
        let mut others = std::mem::take(&mut self.evaluated);
        let is_averaged = self.optimizer.averaged(self.model.network.parameters(), &mut others)
            || self.average.as_ref().filter(|average| average.steps() > 0).is_some_and(|average| {
                others.copy_from_slice(average.values());
                true
            });
        if is_averaged {
            self.model.network.swap_parameters(&mut others);
        }
        let result = f(self);
        if is_averaged {
            self.model.network.swap_parameters(&mut others);
        }
        self.evaluated = others;
        result
    }

    /// Leaves the model with the parameters to keep; nothing is trained after that.
    pub(crate) fn keep_evaluated(&mut self) {
        let parameters = self.with_evaluated(|trainer| trainer.model.network.parameters().to_vec());
        self.model.network.parameters_mut().copy_from_slice(&parameters);
    }

    /// Loss and scores over all rows of a data set that fits the model, by the parameters to keep.
    pub(crate) fn evaluate_part(&mut self, part: Option<Dataset>) -> Result<Option<Metrics>> {
        part.map(|part| self.with_evaluated(|trainer| trainer.evaluate_kept(part))).transpose()
    }

    /// Loss and scores over all rows of a data set that fits the model, by its parameters as they are.
    pub(crate) fn evaluate_kept(&mut self, part: Dataset) -> Result<Metrics> {
        self.with_exact(|model, workspace| model.evaluate_in(part, workspace))
    }

    /// Gives the model the temperature that suits this part of the data.
    pub(crate) fn calibrate(&mut self, part: Dataset) {
        self.with_exact(|model, workspace| model.calibrate_in(part, workspace));
    }

    /// Inference in exact products, as whoever uses the model will have them.
    fn with_exact<R>(&mut self, f: impl FnOnce(&mut Model<T>, &mut Workspace<T>) -> R) -> R {
        self.workspace.set_pass(Pass::Inference);
        let products = std::mem::take(&mut self.workspace.compute.products);
        let result = f(self.model, &mut self.workspace);
        self.workspace.compute.products = products;
        result
    }

    /// The memory of the last pass.
    pub fn workspace(&self) -> &Workspace<T> {
        &self.workspace
    }
}
