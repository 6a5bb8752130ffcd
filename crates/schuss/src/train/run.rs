//! The loop around the step, one event at a time, so that whoever drives it may look, save and stop wherever it likes.

use serde::{Deserialize, Serialize};

use crate::train::pace::Pace;
use crate::train::source::Source;
use crate::train::trainer::Trainer;
use crate::train::{Evaluate, Event, Keep, Measured, OnDivergence, Parts, Settings, Summary};
use crate::{Error, Model, Network, Plateau, Real, Result, Schedule, Scores, Task, Threads};

/// A training that is under way.
///
/// ```
/// use schuss::*;
/// # let x = ndarray::arr2(&[[0.0f32, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]);
/// # let data = Dataset::new(Features::F32(x.view()), Targets::Classes { labels: &[0, 1, 1, 0], classes: 2 })?;
/// # let softmax = Activation::Softmax { epsilon: Activation::DEFAULT_EPSILON };
/// # let network = Network::<f32>::new(&[2, 8, 2], Activation::Tanh, softmax)?;
/// # let mut model = Model::new(network, Loss::CrossEntropy, Task::Classification { classes: 2 });
/// let mut run = Run::new(&mut model, Parts::of(data), &Settings::default(), &Threads::ONE)?;
/// while let Some(event) = run.advance()? {
///     if let Event::Step { step: 5, .. } = event {
///         let checkpoint = run.checkpoint(); // bytes from which Run::resume goes on, with the same bits
///         assert!(!checkpoint.is_empty());
///         run.stop();
///     }
/// }
/// assert_eq!(run.finish()?.steps, 6);
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct Run<'m, 'd, T> {
    pub(super) trainer: Trainer<'m, 'd, T>,
    pub(super) parts: Parts<'d>,
    total_steps: u64,
    source: Source<'d>,
    pub(super) state: State,
    /// Parameters of the last epoch after which everything was finite.
    pub(super) good: Snapshot<T>,
    /// What is kept of that epoch, where it is an average.
    pub(super) good_average: Snapshot<T>,
    /// Those of the epoch with the best validation metric, if that is what is kept.
    pub(super) best: Snapshot<T>,
}

/// Where a run stands, but for large arrays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    phase: Phase,
    epoch: usize,
    /// Rows of the epoch that its steps have taken.
    place: usize,
    pub(super) step: u64,
    is_stopped: bool,
    /// Whether parameters are no numbers any more, and good ones are to be had from before.
    is_lost: bool,
    /// Times that the run went back to good parameters, with half the learning rate each.
    rollbacks: i32,
    plateau: Option<Plateau>,
    pub(super) pace: Option<Pace>,
    good_epoch: i64,
    best_epoch: i64,
    best_score: Option<f64>,
    /// Of the first step's batch, and of the last one's, where they are numbers.
    first_loss: Option<f64>,
    last_loss: Option<f64>,
    /// Epochs since the best one.
    waited: usize,
    /// The least validation loss, and what it was when the schedule last rested.
    least_loss: Option<f64>,
    least_loss_at_rest: Option<f64>,
    /// The last metrics, since the run began or went on.
    #[serde(skip)]
    measured: Measured,
}

impl State {
    /// Whether some epoch was the best.
    pub(super) fn has_best(&self) -> bool {
        self.best_score.is_some()
    }

    /// Whether steps of an epoch are under way.
    pub(super) fn is_in_steps(&self) -> bool {
        self.phase == Phase::Steps
    }

    /// Fails unless a run over `rows` examples can stand so.
    pub(super) fn check(&self, rows: usize) -> std::result::Result<(), String> {
        const MOST: u64 = 1 << 53;
        let is_factor = |plateau: &Plateau| plateau.current > 0.0 && plateau.current <= 1.0;
        let fits = self.place <= rows
            && (0..=MOST_ROLLBACKS).contains(&self.rollbacks)
            && (self.epoch as u64) < MOST
            && self.step < MOST
            && self.plateau.iter().all(is_factor);
        if fits { Ok(()) } else { Err(format!("a state that no run over {rows} examples has")) }
    }
}

/// A run that goes back more often will not come through.
const MOST_ROLLBACKS: i32 = 10;
/// A loss so many times that of the first step is on its way to infinity.
const EXPLODED: f64 = 10.0;

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Phase {
    Begin,
    Epoch,
    Steps,
    Metrics,
    Done,
}

/// Parameters and running statistics at some time; empty where none are needed.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot<T> {
    pub(super) parameters: Vec<T>,
    pub(super) statistics: Vec<T>,
}

impl<T: Real> Snapshot<T> {
    fn of(network: &Network<T>) -> Self {
        Self { parameters: network.parameters().to_vec(), statistics: network.statistics().to_vec() }
    }

    fn take(&mut self, network: &Network<T>) {
        self.parameters.clear();
        self.parameters.extend_from_slice(network.parameters());
        self.statistics.clear();
        self.statistics.extend_from_slice(network.statistics());
    }

    pub(super) fn give(&self, network: &mut Network<T>) {
        network.parameters_mut().copy_from_slice(&self.parameters);
        network.statistics_mut().copy_from_slice(&self.statistics);
    }
}

impl<'m, 'd, T: Real> Run<'m, 'd, T> {
    /// A run that has yet to begin.
    ///
    /// # Errors
    /// Data that do not fit the model; settings outside their range, or that contradict each other.
    pub fn new(model: &'m mut Model<T>, parts: Parts<'d>, settings: &Settings, threads: &Threads) -> Result<Self> {
        for part in [parts.valid, parts.test].into_iter().flatten() {
            model.check(part)?;
        }
        settings.check_parts(&parts)?;
        let good = Snapshot::of(&model.network);
        let trainer = Trainer::new(model, parts.train, settings, threads)?;
        let state = State {
            phase: Phase::Begin,
            epoch: 0,
            place: 0,
            step: 0,
            is_stopped: false,
            is_lost: false,
            rollbacks: 0,
            plateau: settings.schedule.plateau(),
            pace: settings.pace.clone(),
            good_epoch: -1,
            best_epoch: -1,
            best_score: None,
            first_loss: None,
            last_loss: None,
            waited: 0,
            least_loss: None,
            least_loss_at_rest: None,
            measured: Measured::default(),
        };
        Ok(Self {
            total_steps: settings.total_steps(parts.train.total_rows()),
            source: Source::new(parts.train, &settings.order, settings.batch_size),
            trainer,
            parts,
            state,
            good,
            good_average: Snapshot::default(),
            best: Snapshot::default(),
        })
    }

    /// Does what comes next, a step or metrics, and tells of it; nothing once the run is over.
    ///
    /// # Errors
    /// [`Error::Diverged`] where a loss or a parameter stops being finite, unless the run may go on or back. The model
    /// then has the parameters of the last good epoch.
    pub fn advance(&mut self) -> Result<Option<Event>> {
        loop {
            match self.state.phase {
                Phase::Begin => {
                    self.state.phase = Phase::Epoch;
                    if self.trainer.settings().evaluation != Evaluate::AtEnd || self.total_steps == 0 {
                        self.measure(true)?;
                        return Ok(Some(self.epoch_event(-1)));
                    }
                }
                Phase::Epoch if self.is_over() => self.state.phase = Phase::Done,
                Phase::Epoch => {
                    self.state.place = 0;
                    self.begin_epoch();
                    self.state.phase = Phase::Steps;
                    return Ok(Some(Event::EpochStarted { epoch: self.state.epoch }));
                }
                Phase::Steps if self.state.place == self.source.len() || self.is_over() => {
                    self.source.end();
                    self.state.phase = Phase::Metrics;
                    return Ok(Some(Event::StepsFinished { epoch: self.state.epoch }));
                }
                Phase::Steps => return self.step().map(Some),
                Phase::Metrics => {
                    let event = self.metrics()?;
                    self.state.epoch += 1;
                    self.state.phase = Phase::Epoch;
                    if event.is_some() {
                        return Ok(event);
                    }
                }
                Phase::Done => return Ok(None),
            }
        }
    }

    /// Ends the run: no further step is made. Its metrics are still to come.
    pub fn stop(&mut self) {
        self.state.is_stopped = true;
    }

    /// Tells a run with a [`Settings::pace`] which share of it is over, from 0 to 1, where it ends.
    pub fn set_progress(&mut self, share: f64) {
        let step = self.state.step;
        self.state.pace.iter_mut().for_each(|pace| pace.add(step, share));
    }

    /// Steps made.
    pub fn steps(&self) -> u64 {
        self.state.step
    }

    /// ∂L/∂parameters of the last step.
    pub fn gradient(&self) -> &[T] {
        self.trainer.workspace().gradient()
    }

    /// The model as it is now.
    pub fn model(&self) -> &Model<T> {
        self.trainer.model
    }

    /// Ends the run and gives the model the parameters that it keeps: the last ones, their average where there is one, the
    /// best ones, or the last good ones.
    ///
    /// # Errors
    /// Rows of a [`Stream`](crate::Stream) that cannot be read, to measure what is kept; the model has it all the same.
    pub fn finish(mut self) -> Result<Summary> {
        let State { step, is_stopped, is_lost, epoch, .. } = self.state;
        let last_epoch = epoch as i64 - 1;
        let kept_epoch = match self.give_kept() {
            Some(best) => best,
            None if is_lost => self.give_good(),
            None => {
                self.trainer.keep_evaluated();
                last_epoch
            }
        };
        // The metrics of what is kept, not of what came last.
        let Parts { train, valid, test } = self.parts;
        let mut measured = self.state.measured;
        let to_calibrate_by = valid.filter(|_| self.trainer.settings().calibrate);
        to_calibrate_by.into_iter().for_each(|valid| self.trainer.calibrate(valid));
        let is_stale = to_calibrate_by.is_some() || kept_epoch != last_epoch || measured == Measured::default();
        if is_stale {
            let with_train = measured.train.is_some() || (valid.is_none() && test.is_none());
            measured.train = with_train.then(|| self.trainer.evaluate_kept(train)).transpose()?;
            measured.valid = valid.map(|valid| self.trainer.evaluate_kept(valid)).transpose()?;
        }
        if is_stale || self.trainer.settings().test_at_end {
            measured.test = test.map(|test| self.trainer.evaluate_kept(test)).transpose()?;
        }
        let stopped = is_stopped && step < self.total_steps;
        Ok(Summary { steps: step, stopped, kept_epoch, measured, pace: self.state.pace })
    }

    /// Goes to the rows of the epoch from where it stands.
    pub(super) fn begin_epoch(&mut self) {
        self.source.begin(self.state.epoch, self.state.place);
    }

    /// Whether no step is left to make.
    fn is_over(&self) -> bool {
        let State { is_stopped, step, epoch, .. } = self.state;
        is_stopped
            || step >= self.total_steps
            || epoch >= self.trainer.settings().epochs
            || self.state.pace.as_ref().is_some_and(|pace| pace.is_over(step, self.trainer.settings().steps))
    }

    fn learning_rate(&self) -> f64 {
        let Settings { schedule, warm_up, learning_rate, .. } = self.trainer.settings();
        let plateau = self.state.plateau.map_or(1.0, |plateau| plateau.current);
        let rollbacks = 0.5f64.powi(self.state.rollbacks);
        learning_rate * self.factor(*schedule) * warm_up.factor(self.state.step) * plateau * rollbacks
    }

    /// The factor of a schedule at the next step.
    fn factor(&self, schedule: Schedule) -> f64 {
        let step = self.state.step;
        match &self.state.pace {
            Some(pace) => schedule.factor_at(pace.at(step), step),
            None => schedule.factor(step, self.total_steps),
        }
    }

    fn step(&mut self) -> Result<Event> {
        let rate = self.learning_rate();
        let Settings { dropout_schedule, decay_schedule, .. } = *self.trainer.settings();
        self.trainer.set_factors(self.factor(dropout_schedule), self.factor(decay_schedule));
        let end = (self.state.place + self.trainer.settings().batch_size).min(self.source.len());
        let (dataset, rows) = self.source.take(self.state.place..end)?;
        let count = rows.len();
        let step = self.state.step;
        let result = self.trainer.step_of(dataset, rows, rate);
        self.state.place = end;
        match result {
            Some(loss) => {
                self.state.step += 1;
                self.state.last_loss = Some(loss).filter(|loss| loss.is_finite());
                self.state.first_loss = self.state.first_loss.or(self.state.last_loss);
                Ok(Event::Step { step, rows: count, loss, learning_rate: rate })
            }
            None if self.can_roll_back() => {
                self.state.step += 1;
                Ok(self.roll_back(step))
            }
            None => Err(self.diverged(step, rate)),
        }
    }

    fn can_roll_back(&self) -> bool {
        self.trainer.settings().on_divergence == OnDivergence::Rollback && self.state.rollbacks < MOST_ROLLBACKS
    }

    /// Goes back to the last good parameters, with an optimiser that remembers nothing and half the learning rate.
    fn roll_back(&mut self, step: u64) -> Event {
        let culprit = self.trainer.culprit();
        self.good.give(&mut self.trainer.model.network);
        self.trainer.forget();
        self.state.rollbacks += 1;
        self.state.measured = Measured::default();
        self.state.is_lost = true;
        let good_epoch = self.state.good_epoch;
        Event::RolledBack { step, culprit, good_epoch, learning_rate: self.learning_rate() }
    }

    fn diverged(&mut self, step: u64, learning_rate: f64) -> Error {
        let culprit = self.trainer.culprit();
        let last_good_epoch = self.give_kept().unwrap_or_else(|| self.give_good());
        Error::Diverged { step, epoch: self.state.epoch, learning_rate, culprit, last_good_epoch }
    }

    /// Whether a run that may go back is on its way to infinity: then it must not go back to where it is.
    fn is_exploding(&self) -> bool {
        let pair = self.state.first_loss.zip(self.state.last_loss);
        self.trainer.settings().on_divergence == OnDivergence::Rollback
            && pair.is_some_and(|(first, last)| last > EXPLODED * first.abs())
    }

    /// Takes the parameters as the last good ones, and what is kept of them.
    fn keep_good(&mut self, epoch: i64) {
        self.good.take(&self.trainer.model.network);
        if self.trainer.is_averaged() {
            let good = &mut self.good_average;
            self.trainer.with_evaluated(|trainer| good.take(&trainer.model.network));
        }
        self.state.good_epoch = epoch;
    }

    /// Gives the model the best parameters, if those are kept and there are some; their epoch.
    fn give_kept(&mut self) -> Option<i64> {
        let is_best = self.trainer.settings().keep.chooses() && self.state.has_best();
        is_best.then(|| {
            self.best.give(&mut self.trainer.model.network);
            self.state.best_epoch
        })
    }

    /// Gives the model what is kept of the last good epoch; that epoch.
    fn give_good(&mut self) -> i64 {
        let is_averaged = !self.good_average.parameters.is_empty();
        let good = if is_averaged { &self.good_average } else { &self.good };
        good.give(&mut self.trainer.model.network);
        self.state.good_epoch
    }

    /// The metrics after an epoch, those that are asked for now, and what follows from them.
    fn metrics(&mut self) -> Result<Option<Event>> {
        let epoch = self.state.epoch;
        let chooses = self.parts.valid.is_some()
            && (self.trainer.settings().keep.chooses()
                || self.trainer.settings().patience.is_some()
                || self.trainer.settings().least_gain > 0.0
                || self.state.plateau.is_some());
        let mut is_last = self.is_over() || epoch + 1 == self.trainer.settings().epochs;
        if chooses {
            self.state.measured.valid = self.trainer.evaluate_part(self.parts.valid)?;
            self.choose(epoch as i64);
            is_last |= self.state.is_stopped;
        }
        let is_measured = is_last || self.trainer.settings().evaluation.is_due(epoch);
        if is_measured {
            self.measure(!chooses)?;
        } else {
            // Those of an earlier epoch are not this one's.
            self.state.measured =
                Measured { valid: self.state.measured.valid.filter(|_| chooses), ..Measured::default() };
        }
        // A loss that is no number ends the run, or has it go back to where it was one; test data decide nothing.
        let losses = [self.state.measured.train, self.state.measured.valid];
        let are_finite = losses.into_iter().flatten().all(|metrics| metrics.loss.is_finite());
        let is_finite = are_finite && self.trainer.model.network.is_finite();
        if is_finite {
            self.state.is_lost = false;
            if !self.is_exploding() {
                self.keep_good(epoch as i64);
            }
        } else if self.trainer.settings().on_divergence == OnDivergence::GoOn {
            self.state.is_lost = true;
        } else if self.can_roll_back() {
            return Ok(Some(self.roll_back(self.state.step.saturating_sub(1))));
        } else {
            return Err(self.diverged(self.state.step.saturating_sub(1), self.learning_rate()));
        }
        Ok((is_measured || chooses).then(|| self.epoch_event(epoch as i64)))
    }

    /// Measures the training data, unless others say enough, the validation data if they are not measured yet, and the
    /// test data unless they are left for the end.
    fn measure(&mut self, with_valid: bool) -> Result<()> {
        let Parts { train, valid, test } = self.parts;
        let is_at_end = self.trainer.settings().evaluation == Evaluate::AtEnd;
        let train = (!is_at_end || (test.is_none() && valid.is_none())).then_some(train);
        let before = self.state.measured;
        self.state.measured = Measured {
            train: self.trainer.evaluate_part(train)?,
            valid: if with_valid { self.trainer.evaluate_part(valid)? } else { before.valid },
            test: if self.trainer.settings().test_at_end { None } else { self.trainer.evaluate_part(test)? },
        };
        Ok(())
    }

    /// What the validation metrics of an epoch decide: which parameters to keep, whether to go on, how fast.
    fn choose(&mut self, epoch: i64) {
        let Some(metrics) = self.state.measured.valid else { return };
        let score = match metrics.scores {
            _ if self.trainer.settings().keep == Keep::LeastLoss => -metrics.loss,
            Scores::Classification { accuracy, .. } | Scores::MultiLabel { accuracy, .. } => accuracy,
            Scores::Regression { rmse, .. } => -rmse,
        };
        let best = self.state.best_score;
        let is_good = score.is_finite() && metrics.loss.is_finite() && self.trainer.model.network.is_finite();
        if is_good && best.is_none_or(|best| score >= best) {
            // Of equal ones, the last: it has seen most.
            let best = &mut self.best;
            self.trainer.with_evaluated(|trainer| best.take(&trainer.model.network));
            self.state.best_epoch = epoch;
        }
        if is_good && best.is_none_or(|best| score > best) {
            self.state.best_score = Some(score);
            self.state.waited = 0;
        } else {
            self.state.waited += 1;
        }
        self.state.is_stopped |= self.trainer.settings().patience.is_some_and(|patience| self.state.waited > patience);
        self.state.is_stopped |= self.has_stalled(epoch, metrics.loss);
        if let Some(plateau) = &mut self.state.plateau {
            plateau.epoch(metrics.loss);
        }
    }

    /// Whether the schedule rests after this epoch, and the loss has not become less as it should have since it last did, or
    /// has nothing left to become less by: it is 0, or that of classes and less than single precision tells from it.
    fn has_stalled(&mut self, epoch: i64, loss: f64) -> bool {
        let Settings { schedule, batch_size, least_gain, .. } = *self.trainer.settings();
        let least = self.state.least_loss.map_or(loss, |least| least.min(loss));
        if least.is_finite() {
            self.state.least_loss = Some(least);
        }
        let epochs = self.total_steps as f64 / self.source.len().div_ceil(batch_size) as f64;
        if !schedule.rests().iter().any(|share| (share * epochs).round() as i64 == epoch + 1) {
            return false;
        }
        let before = std::mem::replace(&mut self.state.least_loss_at_rest, self.state.least_loss);
        let has_gained = |now: f64| before.is_none_or(|before| before - now >= least_gain * before);
        let is_of_classes = self.trainer.model.task != Task::Regression;
        let is_least = |now: f64| now == 0.0 || (is_of_classes && now < f64::from(f32::EPSILON));
        least_gain > 0.0 && self.state.least_loss.is_some_and(|now| is_least(now) || !has_gained(now))
    }

    fn epoch_event(&self, epoch: i64) -> Event {
        let Measured { train, valid, test } = self.state.measured;
        Event::Epoch { epoch, train, valid, test }
    }
}
