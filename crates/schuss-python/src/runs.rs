//! Training as the core does it: every setting, metrics of every part, and a callback after every epoch.

use std::time::Instant;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use schuss::{
    Augment, Clip, Evaluate, Event, Keep, Measured, OnDivergence, Order, Products, Run, Settings, Summary, WarmUp,
};

use crate::data::Part;
use crate::describe::{classes, optimizer};
use crate::failure::{Failure, Result};
use crate::network::{Number, Shared, Signals, metrics_dict, threads};

/// The parts of the data: to train on, to choose by, to measure alone.
#[derive(FromPyObject)]
pub struct Parts<'py>(Part<'py>, Option<Part<'py>>, Option<Part<'py>>);

/// Every setting, none left to choose.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct RunSettings {
    optimizer: String,
    constants: Vec<(String, f64)>,
    learning_rate: f64,
    schedule: String,
    warm_up: u64,
    weight_decay: Option<f64>,
    clip_norm: Option<f64>,
    clip_value: Option<f64>,
    average: Option<f64>,
    batch_size: usize,
    epochs: usize,
    steps: Option<u64>,
    l2: f64,
    bfloat16: bool,
    shuffle: bool,
    augment: Option<String>,
    mixup: f64,
    label_smoothing: f64,
    class_weights: Vec<f64>,
    accumulate: usize,
    seed: u64,
    evaluate: String,
    test_at_end: bool,
    keep: String,
    calibrate: bool,
    patience: Option<usize>,
    on_divergence: String,
    threads: Option<usize>,
}

impl RunSettings {
    fn settings(&self) -> Result<Settings> {
        let one_of = |what: &str, names: &[&str], got: &str| match names.iter().position(|name| *name == got) {
            Some(place) => Ok(place),
            None => Err(schuss::Error::value(what, format!("one of {}", names.join(", ")), got)),
        };
        let optimizer = optimizer(&self.optimizer, &self.constants)?;
        let evaluation = one_of("evaluate", &["each-epoch", "at-end"], &self.evaluate)?;
        let keep = one_of("keep", &["last", "best", "least-loss"], &self.keep)?;
        let on_divergence = one_of("on_divergence", &["stop", "go-on", "rollback"], &self.on_divergence)?;
        Ok(Settings {
            optimizer,
            learning_rate: self.learning_rate,
            schedule: self.schedule.parse()?,
            warm_up: WarmUp { steps: self.warm_up },
            weight_decay: self.weight_decay.unwrap_or(optimizer.default_weight_decay()),
            clip: self.clip_norm.map(Clip::Norm).or(self.clip_value.map(Clip::Value)),
            average: self.average,
            batch_size: self.batch_size,
            epochs: self.epochs,
            steps: self.steps,
            l2: self.l2,
            products: if self.bfloat16 { Products::Bf16 } else { Products::Exact },
            order: if self.shuffle { Order::Shuffled { seed: self.seed } } else { Order::Sequential },
            augment: self.augment.as_deref().map(str::parse::<Augment>).transpose()?,
            mixup: self.mixup,
            label_smoothing: self.label_smoothing,
            class_weights: self.class_weights.clone(),
            accumulate: self.accumulate,
            seed: self.seed,
            evaluation: [Evaluate::EachEpoch, Evaluate::AtEnd][evaluation],
            test_at_end: self.test_at_end,
            keep: [Keep::Last, Keep::Best, Keep::LeastLoss][keep],
            calibrate: self.calibrate,
            patience: self.patience,
            on_divergence: [OnDivergence::Stop, OnDivergence::GoOn, OnDivergence::Rollback][on_divergence],
            ..Settings::default()
        })
    }
}

/// Trains, tells `on_event` of every epoch, and returns what the run came to.
pub fn run<'py, T: Number>(
    py: Python<'py>,
    shared: &Shared<T>,
    parts: &Parts,
    settings: RunSettings,
    on_event: &Py<PyAny>,
) -> Result<Bound<'py, PyDict>> {
    let mut model = (*shared.model()).clone();
    let Parts(train, valid, test) = parts;
    let classes = classes(&model);
    let parts = schuss::Parts {
        train: train.dataset(classes)?,
        valid: valid.as_ref().map(|part| part.dataset(classes)).transpose()?,
        test: test.as_ref().map(|part| part.dataset(classes)).transpose()?,
    };
    let count = settings.threads;
    let settings = settings.settings()?;
    let result = py.detach(|| -> Result<(Result<Summary>, f64)> {
        let threads = threads(count, model.network.step_operations(settings.batch_size.min(parts.train.rows())))?;
        let mut run = Run::new(&mut model, parts, &settings, &threads)?;
        let mut steps = Steps::default();
        let result = drive(&mut run, shared, &mut steps, on_event);
        // Interrupted or not, the model has what the run keeps; where it diverged, the core saw to that.
        let result = match result {
            Ok(()) => run.finish().map_err(Failure::Core),
            Err(error @ Failure::Core(_)) => Err(error),
            Err(error) => {
                run.finish().map_err(Failure::Core)?;
                Err(error)
            }
        };
        Ok((result, steps.seconds))
    });
    let (result, seconds) = result?;
    shared.put(model);
    let Summary { steps, stopped, kept_epoch, measured, .. } = result?;
    let summary = PyDict::new(py);
    summary.set_item("steps", steps)?;
    summary.set_item("stopped", stopped)?;
    summary.set_item("kept_epoch", kept_epoch)?;
    summary.set_item("seconds", seconds)?;
    set_metrics(&summary, measured)?;
    Ok(summary)
}

/// Of the steps since the last epoch that Python was told of, and the time of all.
#[derive(Default)]
struct Steps {
    seconds: f64,
    loss: f64,
    rows: usize,
}

impl Steps {
    /// An epoch, with its metrics if any were asked for.
    fn epoch<'py>(&mut self, py: Python<'py>, epoch: i64, measured: Measured) -> Result<Bound<'py, PyDict>> {
        let told = PyDict::new(py);
        told.set_item("epoch", epoch)?;
        if self.rows > 0 {
            told.set_item("loss", self.loss / self.rows as f64)?;
            told.set_item("seconds", self.seconds)?;
            (self.loss, self.rows) = (0.0, 0);
        }
        set_metrics(&told, measured)?;
        Ok(told)
    }
}

fn rolled_back<'py>(py: Python<'py>, event: Event) -> Result<Bound<'py, PyDict>> {
    let told = PyDict::new(py);
    if let Event::RolledBack { step, culprit, good_epoch, learning_rate } = event {
        told.set_item("step", step)?;
        told.set_item("culprit", culprit)?;
        told.set_item("good_epoch", good_epoch)?;
        told.set_item("learning_rate", learning_rate)?;
    }
    Ok(told)
}

fn set_metrics(told: &Bound<PyDict>, Measured { train, valid, test }: Measured) -> Result<()> {
    for (name, metrics) in [("train", train), ("valid", valid), ("test", test)] {
        if let Some(metrics) = metrics {
            told.set_item(name, metrics_dict(told.py(), metrics)?)?;
        }
    }
    Ok(())
}

/// Advances a run to its end, and tells Python of every epoch: it says whether to end the run.
fn drive<T: Number>(run: &mut Run<T>, shared: &Shared<T>, steps: &mut Steps, on_event: &Py<PyAny>) -> Result<()> {
    let mut signals = Signals::new();
    // An epoch whose metrics, if there are any, come next.
    let mut finished = None;
    loop {
        let begin = Instant::now();
        let event = run.advance()?;
        let (epoch, measured) = match event {
            Some(Event::Step { loss, rows, .. }) => {
                steps.seconds += begin.elapsed().as_secs_f64();
                steps.loss += loss * rows as f64;
                steps.rows += rows;
                signals.check()?;
                continue;
            }
            Some(Event::StepsFinished { epoch }) => {
                finished = (steps.rows > 0).then_some(epoch as i64);
                continue;
            }
            // One that was stopped before its first step has nothing to tell; the summary has its metrics.
            Some(Event::Epoch { epoch: 0.., .. }) if steps.rows == 0 => continue,
            Some(Event::Epoch { epoch, train, valid, test }) => (Some(epoch), Measured { train, valid, test }),
            Some(event @ Event::RolledBack { .. }) => {
                Python::attach(|py| -> Result<_> {
                    Ok(on_event.call1(py, ("rolled-back", rolled_back(py, event)?))?)
                })?;
                continue;
            }
            Some(_) | None => (finished, Measured::default()),
        };
        finished = None;
        let is_over = event.is_none();
        if let Some(epoch) = epoch {
            shared.put(run.model().clone());
            let is_enough = Python::attach(|py| -> Result<bool> {
                let told = steps.epoch(py, epoch, measured)?;
                Ok(on_event.call1(py, ("epoch", told))?.is_truthy(py)?)
            })?;
            if is_enough {
                run.stop();
            }
        }
        if is_over {
            return Ok(());
        }
    }
}
