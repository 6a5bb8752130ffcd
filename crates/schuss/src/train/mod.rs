//! Training: the step, and the loop around it.

mod order;
mod trainer;

use schuss_kernels::Products;

use crate::{Augment, Dataset, Error, Metrics, Model, Network, Optimizer, Real, Result, Schedule, Threads};

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
    /// What is done to the pictures of a step, if anything, and the seed of it.
    pub augment: Option<(Augment, u64)>,
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

    fn check(&self, rows: usize) -> Result<()> {
        if !(self.learning_rate.is_finite() && self.learning_rate > 0.0) {
            return Err(Error::value("learning rate", "a finite number above 0", self.learning_rate));
        }
        if !(self.l2.is_finite() && self.l2 >= 0.0) {
            return Err(Error::value("l2", "a finite number of 0 or more", self.l2));
        }
        if self.batch_size == 0 {
            return Err(Error::value("batch size", "1 or more", 0));
        }
        self.schedule.check()?;
        self.order.check(rows, self.epochs)
    }
}
