//! TensorBoard's files of a run, written while it trains.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use schuss_report::{EventWriter, Setting, histograms_of};
use serde_json::Value;

use crate::failure::{Failure, Result};
use crate::plan::Plan;

/// An open event file.
#[derive(Debug)]
pub struct Board {
    path: PathBuf,
    events: EventWriter,
}

impl Board {
    /// A file in this folder, with the settings of the run; of one that goes on with an epoch, what other files have of
    /// that and later ones counts no more.
    pub fn create(path: &Path, plan: &Plan, goes_on: Option<i64>) -> Result<Self> {
        let events = EventWriter::create(path, now()).map_err(|error| failed(path, &error))?;
        let mut board = Self { path: path.into(), events };
        let settings = plan.options.in_words();
        board.write(|events| {
            goes_on.map_or(Ok(()), |epoch| events.go_on(epoch, now()))?;
            let rows: String = settings.iter().map(|(name, value)| format!("| `{name}` | `{value}` |\n")).collect();
            events.text("settings", 0, now(), &format!("| setting | value |\n|---|---|\n{rows}"))?;
            events.settings(now(), settings.iter().map(|(name, value)| (name.as_str(), setting(value))))
        })?;
        Ok(board)
    }

    /// The metrics of an epoch.
    pub fn scalars(&mut self, line: &Value) -> Result<()> {
        let (Some(epoch), Some(line)) = (line["epoch"].as_i64(), line.as_object()) else { return Ok(()) };
        self.write(|events| {
            for (name, value) in line {
                // loss_test: of the curve `loss`, the part `test`.
                let (curve, part) = name.split_once('_').unwrap_or((name, "train"));
                if let (Some(value), "loss" | "acc" | "rmse") = (value.as_f64(), curve) {
                    events.scalar(&format!("{curve}/{part}"), epoch, now(), value)?;
                }
            }
            Ok(())
        })
    }

    /// η of the last step of an epoch.
    pub fn learning_rate(&mut self, epoch: i64, rate: f64) -> Result<()> {
        self.write(|events| events.scalar("learning_rate", epoch, now(), rate))
    }

    /// The histograms after an epoch.
    pub fn histograms(&mut self, epoch: i64, line: &Value) -> Result<()> {
        self.write(|events| {
            for (tag, histogram) in histograms_of(line) {
                events.histogram(&tag, epoch, now(), histogram.low, histogram.high, &histogram.counts)?;
            }
            Ok(())
        })
    }

    /// Writes, so that TensorBoard sees it while the run goes on.
    fn write(&mut self, f: impl FnOnce(&mut EventWriter) -> std::io::Result<()>) -> Result<()> {
        let result = f(&mut self.events).and_then(|()| self.events.flush());
        result.map_err(|error| failed(&self.path, &error))
    }
}

/// Numbers and flags as such, so that runs can be sorted by them.
fn setting(value: &str) -> Setting<'_> {
    match (value.parse::<f64>(), value.parse::<bool>()) {
        (Ok(number), _) => Setting::Number(number),
        (_, Ok(flag)) => Setting::Flag(flag),
        _ => Setting::Text(value),
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Failed(format!("cannot write TensorBoard's events to {}: {error}", path.display()))
}
