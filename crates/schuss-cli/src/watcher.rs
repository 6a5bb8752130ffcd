//! What is done beside the steps of a run: what it says, records and keeps to go on from.

use std::path::Path;
use std::time::Instant;

use schuss::{Event, Real, Run};

use crate::board::Board;
use crate::clock::Clock;
use crate::commands::train::{RunArguments, is_interrupted};
use crate::failure::Result;
use crate::plan::Plan;
use crate::reporter::Reporter;
use crate::run_folder::{Progress, RunFolder};
use crate::runs::{Advanced, Watch};

/// Looks after the networks of a run.
pub struct Watcher<'a> {
    plan: &'a Plan,
    pub reporter: Reporter<'a>,
    pub clock: Clock,
    pub folder: RunFolder,
    /// Where TensorBoard's files are to be, and those that were begun.
    tensorboard: Option<&'a Path>,
    board: Option<Board>,
    /// Of the last step of the first network.
    learning_rate: Option<f64>,
    /// Epochs from one histogram to the next; none where nobody sees them.
    histograms: Option<i64>,
    pub histogram_seconds: f64,
    /// Networks that were trained before those that are under way, and the steps of these.
    pub trained: usize,
    pub steps: u64,
    /// How many of these ended before their last epoch.
    pub ended_early: usize,
    pub is_stopped: bool,
    /// Since when nothing was heard of.
    since: Instant,
}

impl<'a> Watcher<'a> {
    /// Nothing is changed yet.
    pub fn new(
        plan: &'a Plan,
        (reporter, clock, folder): (Reporter<'a>, Clock, RunFolder),
        arguments: &'a RunArguments,
        before: Progress,
    ) -> Self {
        const MOST_HISTOGRAMS: usize = 60;
        let every = plan.options.epochs.map_or(1, |epochs| epochs.div_ceil(MOST_HISTOGRAMS).max(1) as i64);
        let tensorboard = arguments.tensorboard.as_deref();
        Self {
            plan,
            reporter,
            clock,
            folder,
            tensorboard,
            board: None,
            histograms: (!arguments.no_report || tensorboard.is_some()).then_some(every),
            learning_rate: None,
            histogram_seconds: 0.0,
            trained: before.member,
            steps: before.steps,
            ended_early: before.ended_early,
            is_stopped: false,
            since: Instant::now(),
        }
    }

    /// Opens what is written to, unless it is open.
    pub fn open(&mut self) -> Result<()> {
        if self.folder.is_open() {
            return Ok(());
        }
        self.folder.open(&self.plan.options)?;
        let goes_on = self.folder.is_resumed().then(|| self.folder.next_epoch()).transpose()?;
        let create = |path| Board::create(path, &self.plan.member(self.trained), goes_on);
        self.board = self.tensorboard.map(create).transpose()?;
        Ok(())
    }

    /// These runs begin, or go on.
    pub fn begin<T: Real>(&mut self, runs: &[Run<T>]) -> Result<()> {
        self.open()?;
        if self.trained == 0 {
            let start = self.reporter.start(runs[0].model());
            if self.folder.is_new() {
                self.folder.record_detail(&start)?;
            }
        }
        self.reporter.begin(self.trained..self.trained + runs.len());
        self.clock.begin();
        self.since = Instant::now();
        Ok(())
    }

    /// What of a network is shown beside its metrics; of several networks, the first stands for all.
    fn show<T: Real>(&mut self, run: &Run<T>, event: &Event) -> Result<()> {
        let (epoch, gradient) = match *event {
            Event::Epoch { epoch: -1, .. } => (-1, None),
            Event::StepsFinished { epoch } => (epoch as i64, Some(run.gradient())),
            _ => return Ok(()),
        };
        if let (Some(board), Some(rate), Some(_)) = (&mut self.board, self.learning_rate, gradient) {
            board.learning_rate(epoch, rate)?;
        }
        if self.histograms.is_some_and(|every| (epoch + 1) % every == 0) {
            let begin = Instant::now();
            let line = schuss_report::histograms(epoch, &run.model().network, gradient);
            self.folder.record_detail(&line)?;
            self.histogram_seconds += begin.elapsed().as_secs_f64();
            self.board.iter_mut().try_for_each(|board| board.histograms(epoch, &line))?;
        }
        Ok(())
    }
}

impl<T: Real> Watch<T> for Watcher<'_> {
    fn on_advanced(&mut self, place: usize, run: &mut Run<T>, advanced: Advanced) -> Result<bool> {
        if advanced.has_steps() {
            self.reporter.on_steps(self.since.elapsed().as_secs_f64(), &advanced);
        }
        let has_steps = advanced.has_steps();
        let member = self.trained + place;
        if member == 0 {
            self.learning_rate = advanced.learning_rate().or(self.learning_rate);
        }
        for event in advanced.events {
            if member == 0 {
                self.show(run, &event)?;
            }
            if let Some(line) = self.reporter.on_event(event, (self.plan.members() > 1).then_some(member)) {
                self.folder.record(&line)?;
                self.board.iter_mut().filter(|_| member == 0).try_for_each(|board| board.scalars(&line))?;
            }
        }
        let mut is_due = is_interrupted() && !self.is_stopped;
        if has_steps {
            // Of a run that ends at a time, which is one alone.
            if let Some(share) = self.clock.progress() {
                run.set_progress(share);
            }
            is_due |= self.clock.is_checkpoint_due(run.steps()) && !self.is_stopped;
        }
        self.since = Instant::now();
        Ok(is_due)
    }

    fn on_gathered(&mut self, runs: &mut [&mut Run<T>]) -> Result<()> {
        // What is needed to go on, before runs that are to stop end themselves.
        let checkpoints: Vec<_> = runs.iter().map(|run| run.checkpoint()).collect();
        let (elapsed, train_seconds) = (self.clock.elapsed(), self.reporter.train_seconds);
        let Self { trained: member, steps, ended_early, .. } = *self;
        let progress = Progress { elapsed, train_seconds, member, steps, ended_early };
        self.folder.save_checkpoint(&checkpoints, progress)?;
        if is_interrupted() {
            runs.iter_mut().for_each(|run| run.stop());
            self.is_stopped = true;
        }
        self.since = Instant::now();
        Ok(())
    }
}
