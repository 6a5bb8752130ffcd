//! `schuss train`: data and options to a trained model in a run folder.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use schuss::{Control, Error, Event, Isa, Metrics, Model, Products, Real, Threads, weights_sha256};
use schuss_data::Data;
use schuss_kernels::meter::skipped;
use schuss_kernels::{Bf16, Burst};
use serde_json::{Value, json};

use super::{open_data, threads, with_precision};
use crate::events;
use crate::events::say;
use crate::failure::{Failure, Result};
use crate::meter::{Clocked, Spent, describe, parts};
use crate::options::Options;
use crate::plan::Plan;
use crate::progress;
use crate::run_folder::RunFolder;

#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    pub options: Options,
    #[command(flatten)]
    pub run: RunArguments,
}

/// What concerns a run but does not change its result.
#[derive(Args, Debug)]
pub struct RunArguments {
    /// Folder of the run [default: runs/<date>-<data>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Settings from a file, such as a run folder's config.toml; flags win
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,

    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

pub fn run(Arguments { options, run }: Arguments) -> Result<()> {
    train(options, Options::default(), run)
}

/// A run by the flags, else the config, else the preset, else what fits the data.
pub fn train(flags: Options, preset: Options, run: RunArguments) -> Result<()> {
    let config = run.config.as_deref().map(Options::read).transpose()?.unwrap_or_default();
    let mut options = flags.or_config(config).or(preset);
    let missing = || Failure::Usage("DATA is missing: digits, mnist, fashion-mnist, or the path of a file".into());
    let name = options.data.clone().ok_or_else(missing)?;
    let data = open_data(&name, options.data_dir.clone(), options.task.as_deref())?.with_test_split();

    // A config repeats the run from any folder.
    if !schuss_data::NAMES.contains(&name.as_str()) {
        options.data = std::path::absolute(&name).ok().map(|path| path.display().to_string()).or(options.data);
    }
    options.from = options.from.map(|path| std::path::absolute(&path).unwrap_or(path));
    options.data_dir = options.data_dir.map(|path| std::path::absolute(&path).unwrap_or(path));

    let plan = Plan::new(options, &data)?;
    with_precision!(plan.precision(), run_plan(&plan, &data, run))
}

fn run_plan<T: Real + Burst>(plan: &Plan, data: &Data, run: RunArguments) -> Result<()> {
    let threads = threads(plan.options.threads)?;
    let train = data.train.dataset()?;
    let test = data.test.as_ref().map(|test| test.dataset()).transpose()?;
    let mut model = plan.model::<T>(train)?;
    let settings = plan.settings()?;
    test.map_or(Ok(()), |test| model.check(test))?;

    let out = run.out.unwrap_or_else(|| RunFolder::default_path(&data.name));
    let mut folder = RunFolder::create(out, &plan.options)?;
    let model_path = folder.model();
    let mut reporter = Reporter::new(run.json, data, plan, &model, &threads, settings.total_steps(train.rows()));
    reporter.start(&model);
    let mut recording = Ok(());
    let result = schuss::train(&mut model, train, test, &settings, &threads, |event| {
        if let Some(event) = reporter.on_event(event)
            && recording.is_ok()
        {
            recording = folder.record(&event);
        }
        if recording.is_ok() { Control::Continue } else { Control::Stop }
    });
    reporter.bar.finish_and_clear();
    recording?;
    match result {
        Ok(summary) => {
            model.save(&model_path)?;
            let sha256 = weights_sha256(&model.network);
            let mut done = json!({
                "event": "done",
                "model": model_path.display().to_string(),
                "train_seconds": events::number(reporter.train_seconds),
                "weights_sha256": sha256,
            });
            let (speed, text) = reporter.speed();
            done["speed"] = speed;
            if reporter.has_diverged {
                done["kept_epoch"] = summary.kept_epoch.into();
            }
            folder.record(&done)?;
            reporter.done(&done, &text);
            Ok(())
        }
        Err(error @ Error::Diverged { .. }) => {
            model.save(&model_path)?;
            Err(Failure::Failed(format!("{error}; they are kept in {}", model_path.display())))
        }
        Err(error) => Err(error.into()),
    }
}

/// Tells of a run: JSON lines, or text for a person.
struct Reporter<'a> {
    json: bool,
    data: &'a Data,
    plan: &'a Plan,
    bar: indicatif::ProgressBar,
    epoch_start: Instant,
    epoch_seconds: f64,
    train_seconds: f64,
    step_operations: f64,
    /// Executed: without those that were left out for a zero factor.
    operations: f64,
    examples: f64,
    skipped: u64,
    has_diverged: bool,
    /// Of the training and of the test data.
    last: (Option<Metrics>, Option<Metrics>),
    threads: &'a Threads,
    is_bf16: bool,
    peak: fn(&Threads) -> f64,
    clocked: Option<Clocked>,
    spent: Spent,
}

impl<'a> Reporter<'a> {
    fn new<T: Real + Burst>(
        json: bool,
        data: &'a Data,
        plan: &'a Plan,
        model: &Model<T>,
        threads: &'a Threads,
        steps: u64,
    ) -> Self {
        let is_bf16 = plan.options.precision.as_deref() == Some("bf16") && Products::bf16_available();
        let batch_size = plan.options.batch_size.unwrap_or(1) as u64;
        let rows = data.train.targets.view().rows() as u64;
        let [per_epoch, epochs] = [rows.div_ceil(batch_size), plan.options.epochs.unwrap_or(0) as u64];
        let examples = if steps == per_epoch * epochs { rows * epochs } else { steps * batch_size };
        Self {
            json,
            data,
            plan,
            bar: progress::bar(examples),
            epoch_start: Instant::now(),
            epoch_seconds: 0.0,
            train_seconds: 0.0,
            step_operations: model.network.step_operations(1),
            operations: 0.0,
            examples: 0.0,
            skipped: 0,
            has_diverged: false,
            last: (None, None),
            threads,
            is_bf16,
            peak: if is_bf16 { crate::meter::peak::<Bf16> } else { crate::meter::peak::<T> },
            clocked: None,
            spent: Spent::default(),
        }
    }

    fn start<T: Real>(&self, model: &Model<T>) {
        let threads = self.threads;
        let rows = |examples: &schuss_data::Examples| examples.targets.view().rows();
        let (train, test) = (rows(&self.data.train), self.data.test.as_ref().map(rows));
        if self.json {
            let mut start = json!({
                "event": "start",
                "data": self.data.name,
                "rows": train,
                "sizes": model.network.sizes(),
                "parameters": model.network.parameters().len(),
                "settings": serde_json::to_value(&self.plan.options).unwrap_or(Value::Null),
                "chosen": self.plan.reasons,
                "threads": threads.count(),
                "isa": Isa::current().name(),
                "products": self.products::<T>(),
            });
            if let Some(test) = test {
                start["rows_test"] = test.into();
            }
            events::print(&start);
            return;
        }
        let origin = if self.data.test_is_split { "a fixed 20 % of the rows, split off" } else { "the data's own" };
        let test = test.map_or("no test rows".into(), |rows| format!("{rows} test rows ({origin})"));
        say!("{}: {train} training rows, {test}", self.data.name);
        let sizes: Vec<_> = model.network.sizes().iter().map(usize::to_string).collect();
        say!(
            "network {}: {} parameters, {}, {}, loss {}",
            sizes.join("-"),
            model.network.parameters().len(),
            model.network.hidden_activation().name(),
            model.network.last_activation().name(),
            model.loss.name()
        );
        for reason in &self.plan.reasons {
            say!("chosen: {reason}");
        }
        let products = self.products::<T>();
        say!("{} threads, {}, {}, {products} products", threads.count(), Isa::current().name(), T::NAME);
    }

    /// The event to record, if it is one.
    fn on_event(&mut self, event: Event) -> Option<Value> {
        match event {
            Event::EpochStarted { epoch } => {
                self.bar.set_message(format!("epoch {epoch}"));
                self.epoch_start = Instant::now();
                self.skipped = skipped();
                self.clocked = Some(Clocked::start());
            }
            Event::Step { step, rows, loss } => {
                if !loss.is_finite() && !self.has_diverged {
                    self.has_diverged = true;
                    self.bar.suspend(|| {
                        eprintln!(
                            "note: the loss is not finite from step {step} on; the run goes on, and what it keeps in the \
                             end are the last good parameters"
                        );
                    });
                }
                // A sample of the steps, so that the clock costs nothing: the first of an epoch, and one in sixteen.
                if let Some(clocked) = self.clocked.take() {
                    self.spent += clocked.stop();
                }
                if step % 16 == 4 {
                    self.clocked = Some(Clocked::start());
                }
                self.bar.inc(rows as u64);
                self.operations += self.step_operations * rows as f64;
                self.examples += rows as f64;
            }
            Event::StepsFinished { .. } => {
                self.clocked.take().map(Clocked::stop);
                let seconds = self.epoch_start.elapsed().as_secs_f64();
                self.epoch_seconds += seconds;
                self.train_seconds += seconds;
                self.operations -= 2.0 * (skipped() - self.skipped) as f64;
            }
            Event::Epoch { epoch, train, test } => {
                let line = events::epoch(epoch, train, test, self.epoch_seconds);
                if self.json {
                    events::print(&line);
                } else {
                    let text = progress::line(epoch, train, test, self.epoch_seconds);
                    self.bar.suspend(|| {
                        if self.last == (None, None) {
                            say!("{}", progress::head(train, test));
                        }
                        say!("{text}");
                    });
                }
                self.last = (train, test);
                self.epoch_seconds = 0.0;
                return Some(line);
            }
            _ => {}
        }
        None
    }

    /// The number type of the products' factors.
    fn products<T: Real>(&self) -> &'static str {
        if self.is_bf16 { "bf16" } else { T::NAME }
    }

    /// What the steps made of the machine, for the last event and the last lines.
    fn speed(&self) -> (Value, String) {
        let seconds = self.train_seconds.max(f64::MIN_POSITIVE);
        let [rate, examples] = [self.operations / seconds / 1e9, self.examples / seconds];
        let left_out = 1.0 - self.operations / (self.step_operations * self.examples).max(1.0);
        let peak = (self.peak)(self.threads);
        let share = rate / peak;
        let parts = parts(self.spent);
        let mut split = serde_json::Map::new();
        parts.iter().for_each(|(name, share)| drop(split.insert((*name).into(), events::number(*share))));
        let mut value = json!({
            "gflops": events::number(rate),
            "peak_gflops": events::number(peak),
            "share_of_peak": events::number(share),
            "left_out": events::number(left_out),
            "examples_per_s": events::number(examples),
        });
        if self.spent.total > 0 {
            value["time"] = split.into();
        }
        let mut text = format!("{examples:.0} examples/s, {rate:.0} GFLOP/s, {:.0} % of the FMA peak", 100.0 * share);
        if left_out >= 0.005 {
            text += &format!(" ({:.0} % of the operations left out: zeros)", 100.0 * left_out);
        }
        if self.spent.total > 0 {
            text += &format!("; {}", describe(self.spent));
        }
        (value, text)
    }

    fn done(&self, done: &Value, speed: &str) {
        if self.json {
            return events::print(done);
        }
        say!("trained in {:.2} s: {speed}", self.train_seconds);
        if let Some(epoch) = done.get("kept_epoch") {
            say!("the model has the parameters of epoch {epoch}, the last with finite numbers (-1: before training)");
        } else if let (_, Some(test)) = self.last {
            match test.scores {
                schuss::Scores::Classification { accuracy, .. } | schuss::Scores::MultiLabel { accuracy, .. } => {
                    say!("test accuracy {:.2} %", 100.0 * accuracy);
                }
                schuss::Scores::Regression { rmse, mae, r2 } => {
                    say!("test rmse {rmse:.4}, mae {mae:.4}, R² {r2:.4}");
                }
            }
        }
        say!("weights_sha256 {}", done["weights_sha256"].as_str().unwrap_or_default());
        say!("model: {}", done["model"].as_str().unwrap_or_default());
    }
}
