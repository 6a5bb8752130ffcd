//! What is done beside the steps of a run: what it says, records and keeps to go on from.

use std::path::Path;
use std::time::Instant;

use schuss::{Event, Real, Run};

use crate::board::Board;
use crate::clock::Clock;
use crate::commands::train::is_interrupted;
use crate::failure::Result;
use crate::plan::Plan;
use crate::reporter::Reporter;
use crate::run_folder::{Progress, RunFolder};
use crate::runs::{Advanced, Watch};

/// Looks after the networks of a run.
pub struct Watcher<'a> {
    pub reporter: Reporter<'a>,
    pub clock: Clock,
    pub folder: RunFolder,
    board: Option<Board>,
    /// Of the last step of the first network.
    learning_rate: Option<f64>,
    /// Epochs from one histogram to the next; none where nobody sees them.
    histograms: Option<i64>,
    pub histogram_seconds: f64,
    /// Networks of the run, those that were trained before the ones that are under way, and the steps of these.
    members: usize,
    pub trained: usize,
    pub steps: u64,
    pub is_stopped: bool,
    /// Since when nothing was heard of.
    since: Instant,
    /// Which share of the time the runs under way know to be over.
    shares: Vec<f64>,
    share: f64,
}

impl<'a> Watcher<'a> {
    /// With TensorBoard's files, if they are asked for, of a run that goes on or begins.
    pub fn new(
        plan: &Plan,
        (reporter, clock, folder): (Reporter<'a>, Clock, RunFolder),
        tensorboard: Option<&Path>,
        is_resumed: bool,
        has_report: bool,
        before: Progress,
    ) -> Result<Self> {
        const MOST_HISTOGRAMS: usize = 60;
        let goes_on = is_resumed.then(|| folder.next_epoch()).transpose()?;
        let board = tensorboard.map(|path| Board::create(path, &plan.member(before.member), goes_on)).transpose()?;
        let every = plan.options.epochs.map_or(1, |epochs| epochs.div_ceil(MOST_HISTOGRAMS).max(1) as i64);
        Ok(Self {
            reporter,
            clock,
            folder,
            histograms: (has_report || board.is_some()).then_some(every),
            board,
            learning_rate: None,
            histogram_seconds: 0.0,
            members: plan.members(),
            trained: before.member,
            steps: before.steps,
            is_stopped: false,
            since: Instant::now(),
            shares: Vec::new(),
            share: 0.0,
        })
    }

    /// So many runs begin, or go on.
    pub fn begin(&mut self, runs: usize) {
        self.shares = vec![0.0; runs];
        self.reporter.begin(self.trained..self.trained + runs);
        self.clock.begin();
        self.since = Instant::now();
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
            if let Some(line) = self.reporter.on_event(event, (self.members > 1).then_some(member)) {
                self.folder.record(&line)?;
                self.board.iter_mut().filter(|_| member == 0).try_for_each(|board| board.scalars(&line))?;
            }
        }
        let mut is_due = is_interrupted() && !self.is_stopped;
        if has_steps {
            self.share = self.clock.progress().unwrap_or(self.share);
            if self.share > std::mem::replace(&mut self.shares[place], self.share) {
                run.set_progress(self.share);
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
        let progress = Progress { elapsed, train_seconds, member: self.trained, steps: self.steps };
        self.folder.save_checkpoint(&checkpoints, progress)?;
        if is_interrupted() {
            runs.iter_mut().for_each(|run| run.stop());
            self.is_stopped = true;
        }
        self.since = Instant::now();
        Ok(())
    }
}
