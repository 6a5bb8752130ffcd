//! The time of a run: when it is to end, and when its state is to be written.

use std::time::{Duration, Instant};

use crate::failure::{Failure, Result};
use crate::plan::Plan;
use crate::values::{Checkpoints, seconds};

/// The clock of a run.
pub struct Clock {
    /// Seconds of this run before it was interrupted.
    before: f64,
    begin: Instant,
    /// Where training begins and ends in seconds since the program's start, if it has an end.
    limits: Option<[f64; 2]>,
    pub has_time_for_report: bool,
    last_share: f64,
    last_step: Instant,
    checkpoints: Checkpoints,
    last_checkpoint: Instant,
    /// Of the run that was furthest when it was last asked.
    last_steps: u64,
}

impl Clock {
    /// `time_of_report` says how long a report takes, unless it is more than so many seconds.
    pub fn new(
        plan: &Plan,
        before: f64,
        time_of_evaluation: impl FnOnce() -> f64,
        time_of_report: impl FnOnce(f64) -> Result<Option<f64>>,
    ) -> Result<Self> {
        /// The share of the time that a report may take.
        const SHARE_OF_REPORT: f64 = 0.15;
        /// For the measure of the machine's speed at the end, and for writing the model.
        const REST: f64 = 0.07;
        let begin = crate::start();
        let mut has_time_for_report = true;
        let limits = match plan.options.time.as_deref() {
            None => None,
            Some(time) => {
                let time = seconds(time).map_err(Failure::Usage)?;
                let report = time_of_report(SHARE_OF_REPORT * time)?;
                has_time_for_report = report.is_some();
                let to = time - time_of_evaluation() - report.unwrap_or(0.0) - REST;
                // One that goes on has begun before.
                let from = if before > 0.0 { 0.0 } else { begin.elapsed().as_secs_f64() };
                Some([from.min(to), to])
            }
        };
        let checkpoints = plan.options.checkpoint.as_deref().unwrap_or("60s").parse().map_err(Failure::Usage)?;
        Ok(Self {
            before,
            begin,
            limits,
            has_time_for_report,
            last_share: 0.0,
            last_step: Instant::now(),
            checkpoints,
            last_checkpoint: Instant::now(),
            last_steps: 0,
        })
    }

    /// Seconds of the run, interruptions left out.
    pub fn elapsed(&self) -> f64 {
        self.before + self.begin.elapsed().as_secs_f64()
    }

    /// The share of the run that is over, where it ends at a time, and has come far enough since the last one.
    pub fn progress(&mut self) -> Option<f64> {
        const OFTEN: f64 = 0.005;
        let [from, to] = self.limits?;
        // A step that would end too late is not begun.
        let now = Instant::now();
        let step = std::mem::replace(&mut self.last_step, now);
        if self.elapsed() + now.duration_since(step).as_secs_f64() > to {
            return Some(1.0);
        }
        let share = if to > from { ((self.elapsed() - from) / (to - from)).clamp(0.0, 1.0) } else { 1.0 };
        if share < 1.0 && share - self.last_share < OFTEN {
            return None;
        }
        self.last_share = share;
        Some(share)
    }

    /// Other runs begin, or go on.
    pub fn begin(&mut self) {
        self.last_steps = 0;
    }

    /// `steps`: those of the run that has gone on last.
    pub fn is_checkpoint_due(&mut self, steps: u64) -> bool {
        let is_due = match self.checkpoints {
            Checkpoints::Never => false,
            Checkpoints::Steps(every) => {
                let last = self.last_steps;
                self.last_steps = steps.max(last);
                steps / every > last / every
            }
            Checkpoints::Seconds(every) => self.last_checkpoint.elapsed() >= Duration::from_secs_f64(every),
        };
        if is_due {
            self.last_checkpoint = Instant::now();
        }
        is_due
    }
}
