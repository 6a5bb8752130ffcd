//! Training: the step, and the loop around it.

mod batch;
mod order;
mod trainer;

use schuss_kernels::Products;

use crate::{Augment, Dataset, Error, Metrics, Model, Network, Optimizer, Real, Result, Schedule, Targets, Threads};

pub use order::Order;
pub use trainer::Trainer;

/// How a model is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The rule that changes the parameters.
    pub optimizer: Optimizer,
    /// η, before the schedule's factor.
    pub learning_rate: f64,
    /// How η changes from step to step.
    pub schedule: Schedule,
    /// Rows of a step; the last one of an epoch has what is left, and is averaged over its own rows.
    pub batch_size: usize,
    /// Passes over the training data.
    pub epochs: usize,
    /// The run ends after this many steps, if there are so many.
    pub steps: Option<u64>,
    /// λ of the penalty λ Σθ² over weights and biases: 2 λ θ is added to every gradient.
    pub l2: f64,
    /// The arithmetic of the steps' matrix products. Metrics are always those of exact ones.
    pub products: Products,
    /// The order of the examples.
    pub order: Order,
    /// What is done to the pictures of a step, if anything.
    pub augment: Option<Augment>,
    /// α of mixup, above 0 and at most 4: every example of a step is mixed with another, as much as Beta(α, α) says;
    /// 0 is none.
    pub mixup: f64,
    /// e of label smoothing, below 1: see [`Loss`](crate::Loss).
    pub label_smoothing: f64,
    /// What the examples of each class count in training, if not all the same; only their proportions matter.
    pub class_weights: Vec<f64>,
    /// A step's rows go through the network in so many batches, one after the other, whose mean gradient it takes.
    pub accumulate: usize,
    /// Of dropout, mixup and the changes of pictures.
    pub seed: u64,
    /// When the metrics are computed.
    pub evaluation: Evaluation,
    /// What a loss that stops being finite does to the run.
    pub on_divergence: OnDivergence,
}

/// When the metrics over all rows are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evaluation {
    /// Before training and after every epoch.
    EachEpoch,
    /// Once, after the last step: of the test data, or of the training data where there are none.
    AtEnd,
}

/// What happens when a loss, and soon every parameter, stops being finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDivergence {
    /// The run ends before that step with [`Error::Diverged`].
    Stop,
    /// The run goes on with what is no number any more, as NumPy does, to its regular end.
    GoOn,
}

impl Default for Settings {
    /// Adam at 0.001, ten epochs of batches of 32 in a shuffled order.
    fn default() -> Self {
        Self {
            optimizer: Optimizer::ADAM,
            learning_rate: 0.001,
            schedule: Schedule::Constant,
            batch_size: 32,
            epochs: 10,
            steps: None,
            l2: 0.0,
            products: Products::Exact,
            order: Order::Shuffled { seed: 0 },
            augment: None,
            mixup: 0.0,
            label_smoothing: 0.0,
            class_weights: Vec::new(),
            accumulate: 1,
            seed: 0,
            evaluation: Evaluation::EachEpoch,
            on_divergence: OnDivergence::Stop,
        }
    }
}

/// What happens in a run, in its order: an epoch -1 of metrics alone, then for each epoch its start, its steps, the end
/// of its steps, its metrics; of the metrics only the last where they are asked for at the end.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The steps of an epoch begin.
    EpochStarted {
        /// Counted from 0.
        epoch: usize,
    },
    /// A step was made.
    Step {
        /// Counted from 0 over the whole run.
        step: u64,
        /// Rows of its batch.
        rows: usize,
        /// Mean loss of the batch before the step.
        loss: f64,
    },
    /// The steps of an epoch are over; its metrics, if they are asked for, are computed next.
    StepsFinished {
        /// Counted from 0.
        epoch: usize,
    },
    /// The metrics over all rows after an epoch.
    Epoch {
        /// Counted from 0; -1 is before training.
        epoch: i64,
        /// Of the training data, unless only the test data are evaluated.
        train: Option<Metrics>,
        /// Of the test data, if there is any. Never used for a choice.
        test: Option<Metrics>,
    },
}

/// A callback's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Go on.
    Continue,
    /// Make no further step.
    Stop,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Steps made.
    pub steps: u64,
    /// Whether a callback ended it.
    pub stopped: bool,
    /// The epoch whose parameters the model has: the last one, or the last good one where a run went on without numbers.
    pub kept_epoch: i64,
    /// The last metrics of the training data, unless only the test data were evaluated.
    pub train: Option<Metrics>,
    /// The last metrics of the test data.
    pub test: Option<Metrics>,
}

/// Trains `model` on `train`, and reports to `on_event`, which may end the run. The parameters afterwards are a function
/// of the model, the data and the settings alone, not of the number of threads.
///
/// # Errors
/// Data that do not fit the model; settings outside their range; [`Error::Diverged`] where a loss or the parameters stop
/// being finite, unless they may ([`OnDivergence::GoOn`]). Either way the model then has the parameters of the last good
/// epoch.
pub fn train<T: Real>(
    model: &mut Model<T>,
    train: Dataset,
    test: Option<Dataset>,
    settings: &Settings,
    threads: &Threads,
    mut on_event: impl FnMut(Event) -> Control,
) -> Result<Summary> {
    test.map_or(Ok(()), |test| model.check(test))?;
    run(model, train, test, settings, threads, &mut on_event)
}

fn run<T: Real>(
    model: &mut Model<T>,
    train: Dataset,
    test: Option<Dataset>,
    settings: &Settings,
    threads: &Threads,
    on_event: &mut impl FnMut(Event) -> Control,
) -> Result<Summary> {
    let total_steps = settings.total_steps(train.rows());
    let mut good = LastGood { parameters: model.network.parameters().to_vec(), epoch: -1 };
    let mut trainer = Trainer::new(model, train, settings, threads)?;
    let mut order = vec![0; train.rows()];
    let mut step = 0;
    let mut stop = false;
    let mut is_lost = false;

    let evaluates_train = settings.evaluation == Evaluation::EachEpoch || test.is_none();
    let evaluate = |trainer: &mut Trainer<T>| {
        let train = evaluates_train.then(|| trainer.evaluate(train));
        (train, test.map(|test| trainer.evaluate(test)))
    };
    let is_evaluated = |step: u64| settings.evaluation == Evaluation::EachEpoch || step == total_steps;
    let mut metrics = None;
    if is_evaluated(0) {
        let (train, test) = evaluate(&mut trainer);
        metrics = Some((train, test));
        stop |= on_event(Event::Epoch { epoch: -1, train, test }) == Control::Stop;
    }

    for epoch in 0..settings.epochs {
        if stop || step == total_steps {
            break;
        }
        settings.order.fill(epoch, &mut order);
        stop |= on_event(Event::EpochStarted { epoch }) == Control::Stop;
        let mut learning_rate = settings.learning_rate;
        for rows in order.chunks(settings.batch_size) {
            if stop || step == total_steps {
                break;
            }
            learning_rate = settings.learning_rate * settings.schedule.factor(step, total_steps);
            let Some(loss) = trainer.step(rows, learning_rate) else {
                good.restore(trainer.model);
                return Err(good.diverged(step, epoch, learning_rate));
            };
            stop |= on_event(Event::Step { step, rows: rows.len(), loss }) == Control::Stop;
            step += 1;
        }
        stop |= on_event(Event::StepsFinished { epoch }) == Control::Stop;

        let evaluated = (stop || is_evaluated(step)).then(|| evaluate(&mut trainer));
        // The test loss is never used for a choice.
        let train_metrics = evaluated.and_then(|(train, _)| train);
        if train_metrics.is_none_or(|metrics| metrics.loss.is_finite()) && are_finite(&trainer.model.network) {
            good.keep(&trainer.model.network, epoch);
            is_lost = false;
        } else if settings.on_divergence == OnDivergence::Stop {
            good.restore(trainer.model);
            return Err(good.diverged(step.saturating_sub(1), epoch, learning_rate));
        } else {
            is_lost = true;
        }
        if let Some((train, test)) = evaluated {
            metrics = Some((train, test));
            stop |= on_event(Event::Epoch { epoch: epoch as i64, train, test }) == Control::Stop;
        }
    }
    let (last_train, last_test) = metrics.unwrap_or_default();
    if is_lost {
        good.restore(trainer.model);
    }
    Ok(Summary { steps: step, stopped: stop, kept_epoch: good.epoch, train: last_train, test: last_test })
}

fn are_finite<T: Real>(network: &Network<T>) -> bool {
    network.parameters().iter().all(|parameter| parameter.is_finite())
}

/// The parameters to go back to.
struct LastGood<T> {
    parameters: Vec<T>,
    epoch: i64,
}

impl<T: Real> LastGood<T> {
    fn keep(&mut self, network: &Network<T>, epoch: usize) {
        self.parameters.copy_from_slice(network.parameters());
        self.epoch = epoch as i64;
    }

    fn restore(&self, model: &mut Model<T>) {
        model.network.parameters_mut().copy_from_slice(&self.parameters);
    }

    fn diverged(&self, step: u64, epoch: usize, learning_rate: f64) -> Error {
        Error::Diverged { step, epoch, learning_rate, last_good_epoch: self.epoch }
    }
}

impl Settings {
    /// Steps of the whole run over `rows` examples.
    pub fn total_steps(&self, rows: usize) -> u64 {
        let steps = (rows.div_ceil(self.batch_size) as u64).saturating_mul(self.epochs as u64);
        self.steps.map_or(steps, |most| most.min(steps))
    }

    fn check<T: Real>(&self, model: &Model<T>, dataset: Dataset) -> Result<()> {
        model.check(dataset)?;
        let positive = |what: &str, x: f64| match x {
            x if x.is_finite() && x > 0.0 => Ok(()),
            x => Err(Error::value(what, "a finite number above 0", x)),
        };
        positive("learning rate", self.learning_rate)?;
        let within = |what: &str, x: f64, least: f64, most: f64| match x {
            x if (least..=most).contains(&x) => Ok(()),
            x => Err(Error::value(what, format!("a number from {least} to {most}"), x)),
        };
        within("l2", self.l2, 0.0, f64::MAX)?;
        within("mixup", self.mixup, 0.0, 4.0)?;
        within("label smoothing", self.label_smoothing, 0.0, 1.0)?;
        for (what, count) in [("batch size", self.batch_size), ("accumulate", self.accumulate)] {
            if count == 0 {
                return Err(Error::value(what, "1 or more", 0));
            }
        }
        let is_classes = matches!(dataset.targets(), Targets::Classes { .. });
        if self.label_smoothing > 0.0 && !is_classes {
            return Err(Error::value("label smoothing", "0 where targets are numbers", self.label_smoothing));
        }
        if !self.class_weights.is_empty() {
            let classes = dataset.targets().width();
            if !is_classes || self.class_weights.len() != classes {
                let expected = if is_classes { classes } else { 0 };
                return Err(Error::Shape { what: "number of class weights", expected, got: self.class_weights.len() });
            }
            self.class_weights.iter().try_for_each(|&weight| within("class weight", weight, 0.0, f64::MAX))?;
        }
        if let Some(augment) = self.augment {
            augment.check(&model.example_shape)?;
            let [expected, got] = [model.network.inputs(), model.example_shape.iter().product()];
            if got != expected {
                return Err(Error::Shape { what: "values of a picture of the model's shape", expected, got });
            }
        }
        self.schedule.check()?;
        self.order.check(dataset.rows(), self.epochs)
    }
}
