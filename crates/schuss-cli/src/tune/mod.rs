//! A search of settings: trials, each a function of the seed and its number, compared by cross-validation.

pub mod halving;
pub mod page;
pub mod record;
pub mod space;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use schuss::{Control, Evaluation, Parts, Real, Threads};
use schuss_data::Data;

use self::halving::Rung;
use self::record::{Outcome, Setup};
use crate::commands::train::{fold, member_parts};
use crate::failure::{Failure, Result};
use crate::options::Options;
use crate::plan::Plan;
use crate::runs::at_once;

/// Trains the trials of a search.
pub struct Trainings<'a> {
    pub setup: &'a Setup,
    pub data: &'a Data,
    /// In all.
    pub threads: usize,
    /// Whether what is under way is to be given up.
    pub is_over: &'a (dyn Fn() -> bool + Sync),
}

/// What came of one training.
enum Trained {
    Value(Option<f64>),
    /// It cannot be, or did not come to its end.
    Failed(String),
    GivenUp,
}

/// The value of a trial on one fold, or why there is none; and the seconds that it took.
struct Training {
    job: usize,
    trained: Result<Trained>,
    seconds: f64,
}

impl Trainings<'_> {
    /// Trainings at once, and the threads of each.
    ///
    /// Results do not depend on it.
    pub fn at_once(&self, jobs: usize) -> [usize; 2] {
        let at_once = at_once(self.data, self.threads).min(jobs).max(1);
        [at_once, (self.threads / at_once).max(1)]
    }

    /// Trains these trials at a rung, and hands over what comes of them in their order, with the seconds of their trainings
    /// together. Whether all were; not where it was over before.
    pub fn train<T: Real>(
        &self,
        number: usize,
        rung: Rung,
        trials: &[usize],
        mut on_outcome: impl FnMut(Outcome, f64) -> Result<()>,
    ) -> Result<bool> {
        let Setup { options, space, .. } = self.setup;
        let seed = options.seed.unwrap_or(0);
        let folds = self.data.folds.len().max(1);
        let drawn: Vec<_> = trials.iter().map(|&trial| space.draw(seed, trial)).collect();
        let plans: Vec<_> = drawn.iter().map(|drawn| self.plan(drawn, rung.epochs)).collect();
        let jobs = trials.len() * folds;
        let [at_once, threads_each] = self.at_once(jobs);
        let next = AtomicUsize::new(0);
        let is_given_up = AtomicBool::new(false);
        let is_over = || is_given_up.load(Ordering::Relaxed) || (self.is_over)();
        let work = |sender: mpsc::Sender<Training>| -> Result<()> {
            let threads = Threads::new(threads_each);
            let threads = threads.map_err(Failure::threads)?;
            loop {
                let job = next.fetch_add(1, Ordering::Relaxed);
                if job >= jobs || is_over() {
                    return Ok(());
                }
                let begin = Instant::now();
                let trained = match &plans[job / folds] {
                    Ok(plan) => self.train_fold::<T>(plan, job % folds, &threads, &is_over),
                    Err(problem) => Ok(Trained::Failed(problem.to_string())),
                };
                // Nobody listens any more: then this was given up.
                let _ = sender.send(Training { job, trained, seconds: begin.elapsed().as_secs_f64() });
            }
        };
        let mut trained: Vec<Vec<Option<Training>>> =
            plans.iter().map(|_| (0..folds).map(|_| None).collect()).collect();
        let mut done = 0;
        let mut collect = |training: Training| -> Result<()> {
            let (trial, fold) = (training.job / folds, training.job % folds);
            trained[trial][fold] = Some(training);
            // In the order of the trials, whichever came first.
            while trained.get(done).is_some_and(|folds| folds.iter().all(Option::is_some)) {
                let (mut values, mut problem, mut seconds) = (Vec::new(), None, 0.0);
                for training in trained[done].iter_mut().filter_map(Option::take) {
                    seconds += training.seconds;
                    values.push(match training.trained? {
                        Trained::Value(value) => value,
                        Trained::Failed(why) => {
                            problem = problem.or(Some(why));
                            None
                        }
                        Trained::GivenUp => return Ok(()),
                    });
                }
                let outcome = Outcome::new(number, trials[done], rung.epochs, drawn[done].clone(), values);
                on_outcome(Outcome { problem, ..outcome }, seconds)?;
                done += 1;
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let (sender, receiver) = mpsc::channel();
            let workers: Vec<_> = (0..at_once).map(|_| (sender.clone(), &work)).collect();
            let workers: Vec<_> = workers.into_iter().map(|(sender, work)| scope.spawn(move || work(sender))).collect();
            drop(sender);
            let collected = receiver.iter().try_for_each(&mut collect);
            is_given_up.store(collected.is_err(), Ordering::Relaxed);
            drop(receiver);
            for worker in workers {
                worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            }
            collected
        })?;
        Ok(done == trials.len())
    }

    /// The plan of a trial.
    pub fn plan(&self, drawn: &space::Drawn, epochs: usize) -> Result<Plan> {
        let pairs = drawn.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let drawn = Options::of_pairs(pairs).map_err(Failure::Usage)?;
        let options =
            Options { epochs: Some(epochs), evaluate: Some("at-end".into()), ..drawn.or(self.setup.options.clone()) };
        options.check()?;
        Plan::new(options, Vec::new(), Vec::new(), self.data)
    }

    /// The main measure of what a plan makes of the rows outside of a fold, on those of the fold; where there are no folds, on
    /// the validation part. Test rows have no part in it.
    fn train_fold<T: Real>(
        &self,
        plan: &Plan,
        number: usize,
        threads: &Threads,
        is_over: &dyn Fn() -> bool,
    ) -> Result<Trained> {
        let plan = plan.member(number);
        let fold = fold(self.data, number);
        let parts = Parts { test: None, ..member_parts(self.data, &plan, &fold)? };
        let Some(valid) = parts.valid else {
            return Err(Failure::Failed(format!("{}: too few rows to compare trials by", self.data.name)));
        };
        let trained = plan.model::<T>(self.data.train.dataset()?, threads).and_then(|mut model| {
            let mut is_given_up = false;
            let settings = plan.settings(parts.train)?;
            schuss::train(&mut model, parts, &settings, threads, |_| match is_over() {
                true => {
                    is_given_up = true;
                    Control::Stop
                }
                false => Control::Continue,
            })?;
            Ok(if is_given_up { None } else { Some(model) })
        });
        match trained {
            Ok(Some(model)) => Ok(Trained::Value(Evaluation::new(&model, valid, threads)?.main_value().value)),
            Ok(None) => Ok(Trained::GivenUp),
            Err(failure) => Ok(Trained::Failed(failure.to_string())),
        }
    }
}
