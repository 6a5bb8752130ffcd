//! Training: the step, and the loop around it.

mod batch;
mod checkpoint;
mod find_rate;
mod order;
mod pace;
mod run;
mod source;
mod trainer;

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

use schuss_kernels::Products;

use crate::{
    Augment, Clip, Dataset, Error, Layer, Loss, Metrics, Model, Optimizer, Real, Result, Schedule, Stream, Targets,
    Threads, WarmUp,
};

pub use find_rate::{FoundRate, find_rate};
pub use order::Order;
pub use pace::Pace;
pub use run::Run;
pub use trainer::Trainer;

/// The data of a run.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'d> {
    /// What steps are made of.
    pub train: Dataset<'d>,
    /// What choices are made by, if any.
    pub valid: Option<Dataset<'d>>,
    /// What is only measured.
    pub test: Option<Dataset<'d>>,
}

impl<'d> Parts<'d> {
    /// Training data alone.
    pub fn of(train: Dataset<'d>) -> Self {
        Self { train, valid: None, test: None }
    }
}

/// How a model is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The rule that changes the parameters.
    pub optimizer: Optimizer,
    /// η, before the schedule's factor.
    pub learning_rate: f64,
    /// How η changes from step to step. A plateau needs validation data.
    pub schedule: Schedule,
    /// η grows over the first steps.
    pub warm_up: WarmUp,
    /// λ of decoupled weight decay, θ -= η λ θ on weights.
    pub weight_decay: f64,
    /// How λ changes from step to step, if it does; any but a plateau.
    pub decay_schedule: Schedule,
    /// How the rates of dropout change from step to step, if they do; any but a plateau. A factor above 1 is 1.
    pub dropout_schedule: Schedule,
    /// What is done to a gradient that is too large.
    pub clip: Option<Clip>,
    /// γ of the average of the parameters that is evaluated and kept in their place: see [`Average`](crate::Average).
    pub average: Option<f64>,
    /// Rows of a step; the last one of an epoch has what is left, and is averaged over its own rows.
    pub batch_size: usize,
    /// Passes over the training data.
    pub epochs: usize,
    /// The run ends after this many steps, if there are so many.
    pub steps: Option<u64>,
    /// Where the run ends otherwise than by steps or epochs: see [`Run::set_progress`]. Its schedule follows that.
    pub pace: Option<Pace>,
    /// λ of the penalty λ Σθ² over weights and biases: 2 λ θ is added to every gradient.
    pub l2: f64,
    /// Whether that penalty is on biases, too, and on whatever else is no weight of a dense layer, as the notebook has it.
    pub l2_on_biases: bool,
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
    pub evaluation: Evaluate,
    /// Whether the test data are measured once, of what is kept in the end, and never before.
    pub test_at_end: bool,
    /// Which parameters are kept.
    pub keep: Keep,
    /// Whether the model that is kept gets the temperature that suits the validation data: see [`Model::calibrate`].
    pub calibrate: bool,
    /// The run ends after more than so many epochs in a row whose validation metric is not better than the best so far.
    pub patience: Option<usize>,
    /// The run ends after the epoch whose end is nearest to a rest of its schedule ([`Schedule::rests`]) unless its least
    /// validation loss has become less by this share of itself since the rest before; at the first rest only if
    /// that loss is 0 or, of classes, less than single precision tells from it; never with 0.
    pub least_gain: f64,
    /// What a loss that stops being finite does to the run.
    pub on_divergence: OnDivergence,
}

/// When the metrics over all rows are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evaluate {
    /// Before training and after every epoch.
    EachEpoch,
    /// Once, after the last step: of validation and test data, or of the training data where there are none. Validation
    /// data by which something is chosen are measured after every epoch.
    AtEnd,
    /// Before training, after every so many epochs, and after the last step.
    Every(NonZeroUsize),
}

impl Evaluate {
    /// Whether they are computed after this epoch, counted from 0, which is not the last one.
    pub(crate) fn is_due(self, epoch: usize) -> bool {
        match self {
            Self::EachEpoch => true,
            Self::AtEnd => false,
            Self::Every(epochs) => (epoch + 1).is_multiple_of(epochs.get()),
        }
    }
}

impl fmt::Display for Evaluate {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::EachEpoch => f.write_str("each-epoch"),
            Self::AtEnd => f.write_str("at-end"),
            Self::Every(epochs) => write!(f, "every-{epochs}"),
        }
    }
}

impl FromStr for Evaluate {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let every = || text.strip_prefix("every-").and_then(|epochs| epochs.parse().ok()).map(Self::Every);
        match text {
            "each-epoch" => Ok(Self::EachEpoch),
            "at-end" => Ok(Self::AtEnd),
            _ => {
                every().ok_or_else(|| Error::value("evaluation", "each-epoch, at-end, or every-N, as in every-5", text))
            }
        }
    }
}

/// Which parameters a run keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The last ones.
    Last,
    /// Those of the epoch with the best validation metric, accuracy or root mean squared error; of equal ones the last.
    Best,
    /// Those of the epoch with the least validation loss; of equal ones the last.
    LeastLoss,
}

impl Keep {
    /// Whether validation data say what is kept.
    pub fn chooses(self) -> bool {
        self != Self::Last
    }
}

/// What happens when a loss or a parameter stops being finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDivergence {
    /// The run ends before that step with [`Error::Diverged`].
    Stop,
    /// The run goes on with what is no number any more, as NumPy does, to its regular end.
    GoOn,
    /// The run goes on from the last good epoch's parameters with half the learning rate and an optimiser that begins
    /// anew; after ten times, it ends.
    Rollback,
}

impl Default for Settings {
    /// Adam at 0.001, ten epochs of batches of 32 in a shuffled order.
    fn default() -> Self {
        Self {
            optimizer: Optimizer::ADAM,
            learning_rate: 0.001,
            schedule: Schedule::Constant,
            warm_up: WarmUp::default(),
            weight_decay: 0.0,
            decay_schedule: Schedule::Constant,
            dropout_schedule: Schedule::Constant,
            clip: None,
            average: None,
            batch_size: 32,
            epochs: 10,
            steps: None,
            pace: None,
            l2: 0.0,
            l2_on_biases: true,
            products: Products::Exact,
            order: Order::Shuffled { seed: 0 },
            augment: None,
            mixup: 0.0,
            label_smoothing: 0.0,
            class_weights: Vec::new(),
            accumulate: 1,
            seed: 0,
            evaluation: Evaluate::EachEpoch,
            test_at_end: false,
            keep: Keep::Last,
            calibrate: false,
            patience: None,
            least_gain: 0.0,
            on_divergence: OnDivergence::Stop,
        }
    }
}

/// What happens in a run, in its order: an epoch -1 of metrics alone, then for each epoch its start, its steps, the end
/// of its steps, its metrics; of the metrics only the last where they are asked for at the end.
#[derive(Clone, Debug, PartialEq)]
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
        /// η
        learning_rate: f64,
    },
    /// A step came to numbers that are not finite, and the run went back to good ones.
    RolledBack {
        /// Counted from 0 over the whole run.
        step: u64,
        /// Where such a number was found first.
        culprit: String,
        /// The epoch whose parameters it went back to; -1 is before training.
        good_epoch: i64,
        /// η from now on.
        learning_rate: f64,
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
        /// Of the training data, unless only others are evaluated.
        train: Option<Metrics>,
        /// Of the validation data, if there is any.
        valid: Option<Metrics>,
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

/// Metrics of the parts of the data, where they were measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measured {
    /// Of the training data, unless only others were evaluated.
    pub train: Option<Metrics>,
    /// Of the validation data.
    pub valid: Option<Metrics>,
    /// Of the test data.
    pub test: Option<Metrics>,
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Steps made.
    pub steps: u64,
    /// Whether it was ended, by a callback or for want of something better, before its last step.
    pub stopped: bool,
    /// The epoch whose parameters the model has: the last one, the best one, or the last good one where a run went on
    /// without numbers.
    pub kept_epoch: i64,
    /// The metrics of what is kept.
    pub measured: Measured,
    /// How it went on, if its end was no step: with it, and as many steps, the run repeats itself.
    pub pace: Option<Pace>,
}

/// Trains `model` and reports to `on_event`, which may end the run. The parameters afterwards are a function of the model,
/// the data and the settings alone, not of the number of threads. [`Run`] is the same, one event at a time.
///
/// # Errors
/// Data that do not fit the model; settings outside their range; [`Error::Diverged`] where a loss or a parameter stops
/// being finite, unless it may ([`OnDivergence`]). Either way the model then has the parameters of the last good epoch.
pub fn train<T: Real>(
    model: &mut Model<T>,
    parts: Parts,
    settings: &Settings,
    threads: &Threads,
    mut on_event: impl FnMut(Event) -> Control,
) -> Result<Summary> {
    let mut run = Run::new(model, parts, settings, threads)?;
    while let Some(event) = run.advance()? {
        if on_event(event) == Control::Stop {
            run.stop();
        }
    }
    run.finish()
}

impl Settings {
    /// Steps of the whole run over `rows` examples.
    pub fn total_steps(&self, rows: usize) -> u64 {
        let steps = (rows.div_ceil(self.batch_size) as u64).saturating_mul(self.epochs as u64);
        self.steps.map_or(steps, |most| most.min(steps))
    }

    /// What the steps of a run depend on, by name, in words.
    pub(crate) fn describe(&self) -> Vec<(&'static str, String)> {
        vec![
            ("optimizer", format!("{:?}", self.optimizer)),
            ("learning rate", format!("{:?}", self.learning_rate)),
            ("schedule", self.schedule.to_string()),
            ("warm-up", self.warm_up.steps.to_string()),
            ("weight decay", format!("{:?}", self.weight_decay)),
            ("schedule of weight decay", self.decay_schedule.to_string()),
            ("schedule of dropout", self.dropout_schedule.to_string()),
            ("clip", format!("{:?}", self.clip)),
            ("average", format!("{:?}", self.average)),
            ("batch size", self.batch_size.to_string()),
            ("epochs", self.epochs.to_string()),
            ("steps", format!("{:?}", self.steps)),
            ("l2", format!("{:?}", self.l2)),
            ("l2 on biases", self.l2_on_biases.to_string()),
            ("products", format!("{:?}", self.products)),
            ("augment", format!("{:?}", self.augment)),
            ("mixup", format!("{:?}", self.mixup)),
            ("label smoothing", format!("{:?}", self.label_smoothing)),
            ("class weights", format!("{:?}", self.class_weights)),
            ("accumulate", self.accumulate.to_string()),
            ("seed", self.seed.to_string()),
            ("order", if let Order::Given(_) = self.order { "given".into() } else { format!("{:?}", self.order) }),
            ("keep", format!("{:?}", self.keep)),
            ("calibrate", self.calibrate.to_string()),
            ("patience", format!("{:?}", self.patience)),
            ("least gain", self.least_gain.to_string()),
        ]
    }

    /// Settings that need some part of the data have it.
    fn check_parts(&self, parts: &Parts) -> Result<()> {
        let needs_valid = [
            ("keep", "last where there are no validation data", self.keep.chooses()),
            ("calibrate", "false where there are no validation data", self.calibrate),
            ("patience", "none where there are no validation data", self.patience.is_some()),
            ("least_gain", "0 where there are no validation data", self.least_gain > 0.0),
            ("schedule", "another than plateau where there are no validation data", self.schedule.plateau().is_some()),
        ];
        match needs_valid.into_iter().find(|(_, _, is_set)| *is_set && parts.valid.is_none()) {
            Some((what, expected, _)) => Err(Error::value(what, expected, "one that chooses by them")),
            None if self.test_at_end && parts.test.is_none() => Err(Error::value("test_at_end", "test data", "none")),
            None => Ok(()),
        }
    }

    fn check<T: Real>(&self, model: &Model<T>, dataset: Dataset) -> Result<()> {
        model.check(dataset)?;
        if model.networks().len() > 1 {
            let got = format!("an ensemble of {}", model.networks().len());
            return Err(Error::value("model to train", "a single network: train the members one by one", got));
        }
        if self.calibrate {
            model.check_calibration(dataset)?;
        }
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
        within("weight decay", self.weight_decay, 0.0, f64::MAX)?;
        within("mixup", self.mixup, 0.0, 4.0)?;
        within("label smoothing", self.label_smoothing, 0.0, 1.0)?;
        within("least gain", self.least_gain, 0.0, 1.0)?;
        if self.least_gain > 0.0 && self.schedule.rests().is_empty() {
            let expected = format!("0 with a schedule that has no rests, as {} has", Schedule::CosLog4);
            return Err(Error::value("least gain", expected, self.least_gain));
        }
        if self.least_gain > 0.0 && (model.loss == Loss::Poisson || self.pace.is_some()) {
            let expected = "0 with a deadline, and with poisson, whose least is not 0";
            return Err(Error::value("least gain", expected, self.least_gain));
        }
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
            if self.class_weights.iter().all(|weight| *weight == 0.0) {
                return Err(Error::value("class weights", "one above 0 at least", 0));
            }
            self.class_weights.iter().try_for_each(|&weight| within("class weight", weight, 0.0, f64::MAX))?;
        }
        if let Optimizer::Lbfgs { .. } = self.optimizer
            && self.accumulate > 1
        {
            return Err(Error::value("accumulate", "1 with lbfgs", self.accumulate));
        }
        if let Some(augment) = self.augment {
            augment.check(&model.example_shape)?;
            let [expected, got] = [model.network.inputs(), model.example_shape.iter().product()];
            if got != expected {
                return Err(Error::Shape { what: "values of a picture of the model's shape", expected, got });
            }
        }
        self.schedule.check()?;
        for (what, schedule) in
            [("schedule of weight decay", self.decay_schedule), ("schedule of dropout", self.dropout_schedule)]
        {
            schedule.check()?;
            if schedule.plateau().is_some() {
                return Err(Error::value(what, "any but a plateau", schedule));
            }
        }
        if let (true, [Layer::Embed(embed), ..]) = (self.mixup > 0.0, model.network.layers())
            && !embed.categories.is_empty()
        {
            return Err(Error::value("mixup", "0 where there are codes of categories, which do not mix", self.mixup));
        }
        match dataset.stream() {
            None => self.order.check(dataset.rows(), self.epochs),
            Some(stream) => self.check_stream(stream),
        }
    }

    /// Fails unless steps can be made of the windows of `stream`.
    fn check_stream(&self, stream: &dyn Stream) -> Result<()> {
        if let Order::Given(_) = self.order {
            return Err(Error::value("order", "shuffled or sequential, of rows that are not in memory", "a given one"));
        }
        let (blocks, of_window) = (stream.blocks(), stream.window_blocks().max(1));
        // Whichever blocks they are.
        let largest: usize = blocks.iter().take(of_window).map(|&rows| rows as usize).sum();
        if blocks.len() > of_window && self.batch_size > largest {
            let expected = format!("at most {largest} rows, which are in memory together");
            return Err(Error::value("batch size", expected, self.batch_size));
        }
        Ok(())
    }
}
