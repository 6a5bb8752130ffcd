//! What a run says: JSON lines, or text for a person.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use schuss::{Event, Isa, Measured, Metrics, Model, Products, Real, Scores, Summary, Threads};
use schuss_data::Data;
use schuss_kernels::{Bf16, Burst};
use serde_json::{Value, json};

use crate::curve::curve;
use crate::events;
use crate::events::say;
use crate::meter::{Spent, describe, parts};
use crate::plan::Plan;
use crate::progress;
use crate::report::{Findings, amount, counted, plain};
use crate::runs::Advanced;

/// Whose losses are told of, and what they are called in an event.
const PARTS: [(&str, &str); 3] =
    [("training loss", "loss"), ("validation loss", "loss_valid"), ("test loss", "loss_test")];

/// Tells of a run.
pub struct Reporter<'a> {
    json: bool,
    data: &'a Data,
    plan: &'a Plan,
    pub bar: indicatif::ProgressBar,
    /// Of the steps.
    pub train_seconds: f64,
    /// Those when a member began, or last told of an epoch.
    told: BTreeMap<usize, f64>,
    /// Of them, those before the run was interrupted.
    seconds_before: f64,
    step_operations: f64,
    /// Executed: without those that were left out for a zero factor.
    operations: f64,
    examples: f64,
    pub has_diverged: bool,
    /// Whether the table has its head.
    /// The metrics of the first epoch.
    first: Option<Measured>,
    threads: &'a Threads,
    is_bf16: bool,
    peak: fn(&Threads) -> f64,
    spent: Spent,
    /// Of training and of validation or test data, epoch by epoch.
    losses: Vec<[f64; 3]>,
}

/// Measures that a person sees at the end of a run, what there is of them; the report has them all.
const MEASURES: [&str; 9] = ["accuracy", "exact", "f1_macro", "roc_auc", "log_loss", "rmse", "mae", "r2", "pinball"];

impl<'a> Reporter<'a> {
    pub fn new<T: Real + Burst>(
        json: bool,
        data: &'a Data,
        plan: &'a Plan,
        model: &Model<T>,
        threads: &'a Threads,
        steps: u64,
    ) -> Self {
        let is_bf16 = plan.options.precision.as_deref() == Some("bf16") && Products::bf16_available();
        let batch_size = plan.options.batch_size.unwrap_or(1) as u64;
        let rows = data.train.total_rows() as u64;
        let [per_epoch, epochs] =
            [rows.div_ceil(batch_size), plan.options.epochs.map_or(u64::MAX, |epochs| epochs as u64)];
        let examples = if steps == per_epoch.saturating_mul(epochs) {
            rows.saturating_mul(epochs)
        } else {
            steps.saturating_mul(batch_size)
        };
        let examples = plan.options.time.is_none().then_some(examples);
        Self {
            json,
            data,
            plan,
            bar: progress::bar(examples),
            train_seconds: 0.0,
            told: BTreeMap::new(),
            seconds_before: 0.0,
            step_operations: model.network.step_operations(1),
            operations: 0.0,
            examples: 0.0,
            has_diverged: false,
            first: None,
            threads,
            is_bf16,
            peak: if is_bf16 { crate::meter::peak::<Bf16> } else { crate::meter::peak::<T> },
            spent: Spent::default(),
            losses: Vec::new(),
        }
    }

    /// Goes on after so many seconds of steps, with what was recorded of them.
    pub fn go_on(&mut self, train_seconds: f64, lines: &[Value]) {
        self.train_seconds = train_seconds;
        self.seconds_before = train_seconds;
        let loss = |line: &Value| PARTS.map(|(_, key)| line[key].as_f64().unwrap_or(f64::NAN));
        let is_first = |line: &&Value| line["event"] == "epoch" && line["member"].as_u64().unwrap_or(0) == 0;
        self.losses = lines.iter().filter(is_first).map(loss).collect();
    }

    /// Says how the run begins; the event, with the names of the settings that were asked for.
    pub fn start<T: Real>(&self, model: &Model<T>) -> Value {
        let threads = self.threads;
        let rows = schuss_data::Examples::total_rows;
        let (train, test) = (rows(&self.data.train), self.data.test.as_ref().map(rows));
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
        match self.json {
            true => events::print(&start),
            false => self.say_start(model, train, test),
        }
        start["asked"] = json!(self.plan.asked);
        start
    }

    fn say_start<T: Real>(&self, model: &Model<T>, train: usize, test: Option<usize>) {
        let origin = if self.data.test_is_split { "a fixed 20 % of the rows, split off" } else { "the data's own" };
        let test = test.map_or("no test rows".into(), |rows| format!("{} ({origin})", counted(rows, "test row")));
        say!("{}: {}, {test}", self.data.name, counted(train, "training row"));
        let sizes: Vec<_> = model.network.sizes().iter().map(usize::to_string).collect();
        say!(
            "network {}{}: {} parameters, {}, {}, loss {}",
            sizes.join("-"),
            match model.network.members() {
                1 => String::new(),
                members => format!(", {members} that share layers"),
            },
            model.network.parameters().len(),
            model.network.hidden_activation().name(),
            model.network.last_activation().name(),
            model.loss.name()
        );
        for reason in &self.plan.reasons {
            say!("chosen: {reason}");
        }
        let products = self.products::<T>();
        say!("{} threads, {}, {}, {products} products", self.threads.count(), Isa::current().name(), T::NAME);
    }

    /// These networks begin, or go on.
    pub fn begin(&mut self, members: Range<usize>) {
        self.told.extend(members.map(|member| (member, self.train_seconds)));
    }

    /// Takes down steps, which took so long.
    pub fn on_steps(&mut self, seconds: f64, advanced: &Advanced) {
        self.train_seconds += seconds;
        self.operations -= 2.0 * advanced.skipped as f64;
        self.spent += advanced.spent;
    }

    /// The event to record, if it is one; of an ensemble, this member's.
    pub fn on_event(&mut self, event: Event, member: Option<usize>) -> Option<Value> {
        let told = self.told.entry(member.unwrap_or(0)).or_default();
        match event {
            Event::EpochStarted { epoch } => self.bar.set_message(format!("epoch {epoch}")),
            Event::Step { step, rows, loss, .. } => {
                if !loss.is_finite() && !self.has_diverged {
                    self.has_diverged = true;
                    self.bar.suspend(|| {
                        eprintln!(
                            "note: the loss is not finite from step {step} on; the run goes on, and what it keeps in the \
                             end are the last good parameters"
                        );
                    });
                }
                self.bar.inc(rows as u64);
                self.operations += self.step_operations * rows as f64;
                self.examples += rows as f64;
            }
            Event::RolledBack { step, culprit, good_epoch, learning_rate } => {
                let good =
                    if good_epoch < 0 { "from before training".into() } else { format!("of epoch {good_epoch}") };
                self.bar.suspend(|| {
                    eprintln!(
                        "note: {culprit} is not finite at step {step}; the run goes on from the parameters {good} at half \
                         the learning rate, {learning_rate:?}"
                    );
                });
                let mut line = json!({ "event": "rolled_back", "step": step, "culprit": culprit,
                                       "good_epoch": good_epoch, "lr": learning_rate });
                if let Some(member) = member {
                    line["member"] = member.into();
                }
                return Some(line);
            }
            Event::Epoch { epoch, train, valid, test } => {
                let measured = Measured { train, valid, test };
                let loss = |metrics: Option<Metrics>| metrics.map_or(f64::NAN, |metrics| metrics.loss);
                if member.unwrap_or(0) == 0 {
                    self.losses.push([train, valid, test].map(loss));
                }
                let seconds = self.train_seconds - std::mem::replace(told, self.train_seconds);
                let mut line = events::epoch(epoch, measured, seconds);
                if let Some(member) = member {
                    line["member"] = member.into();
                }
                if self.json {
                    events::print(&line);
                } else if member.unwrap_or(0) == 0 {
                    let first = *self.first.get_or_insert_with(|| {
                        self.bar.suspend(|| {
                            if self.plan.members() > 1 {
                                say!("the first of {} networks:", self.plan.members());
                            }
                            say!("{}", progress::head(measured));
                        });
                        measured
                    });
                    // Where training rows are measured now and then, other epochs are not worth a line.
                    if first.train.is_none() || measured.train.is_some() {
                        let text = progress::line(epoch, measured, first, seconds);
                        self.bar.suspend(|| say!("{text}"));
                    }
                }
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
    pub fn speed(&self) -> (Value, String) {
        let seconds = (self.train_seconds - self.seconds_before).max(f64::MIN_POSITIVE);
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

    pub fn done(&self, done: &Value, summary: &Summary, speed: &str, report: Option<(&Findings, &Path)>) {
        if self.json {
            return events::print(done);
        }
        let steps = counted(summary.steps as usize, "step");
        say!("trained in {:.2} s, {steps}: {speed}", self.train_seconds);
        if let Some(early) = done.get("ended_early").and_then(Value::as_u64) {
            let of_all = match self.plan.members() {
                1 => "the network".into(),
                members => format!("{early} of {members} networks"),
            };
            say!("{of_all} ended early, having gained too little");
        }
        if done.get("kept_epoch").is_some() {
            let is_best = self.plan.options.keep.as_deref().is_some_and(|keep| keep != "last");
            let reason = if is_best { "the best by validation" } else { "the last with finite numbers" };
            say!("the model has the parameters of epoch {}, {reason} (-1: before training)", summary.kept_epoch);
        }
        self.say_curves();
        let part_of_report = report.map(|(findings, _)| findings.part);
        for (name, metrics) in [("validation", summary.measured.valid), ("test", summary.measured.test)] {
            if let Some(metrics) = metrics.filter(|_| part_of_report != Some(name)) {
                say!("{name} {}", score(metrics));
            }
        }
        if let Some((findings, _)) = report {
            say_findings(findings);
        }
        say!("weights_sha256 {}", done["weights_sha256"].as_str().unwrap_or_default());
        say!("model: {}", done["model"].as_str().unwrap_or_default());
        if let Some((_, path)) = report {
            say!("report: {}", path.display());
        }
    }

    /// The losses over the epochs, two of them side by side: of training, and of what it is judged by.
    fn say_curves(&self) {
        let column = |part: usize| self.losses.iter().map(|losses| losses[part]).collect::<Vec<f64>>();
        let curves = PARTS.iter().enumerate().filter_map(|(part, (name, _))| Some((*name, curve(&column(part))?)));
        let curves: Vec<_> = curves.take(2).collect();
        let Some((_, (first, _))) = curves.first() else { return };
        if self.plan.members() > 1 {
            say!("of the first of {} networks:", self.plan.members());
        }
        let head = |name: &str, is_logarithmic: bool| {
            format!("{:>10}{:<30}", "", format!("{name}{}", if is_logarithmic { ", logarithmic" } else { "" }))
        };
        let heads: Vec<_> = curves.iter().map(|(name, (_, is_logarithmic))| head(name, *is_logarithmic)).collect();
        say!("{}", heads.concat().trim_end());
        for row in 0..first.len() {
            let lines: Vec<_> = curves.iter().map(|(_, (lines, _))| lines[row].as_str()).collect();
            say!("{}", lines.concat());
        }
    }
}

/// How good the model is, beside what it is compared with.
fn say_findings(findings: &Findings) {
    let seen = if findings.part == "training" { "learned from" } else { "not learned from" };
    say!("{}, {seen}:", counted(findings.evaluation.rows(), &findings.row));
    let shown = findings.measures.iter().filter(|measure| MEASURES.contains(&measure.key));
    let mut lines: Vec<_> = shown.map(|measure| (measure.name.to_string(), amount(measure))).collect();
    for baseline in &findings.run.baselines {
        let (Some(metric), Some(main)) = (baseline.metrics.first(), findings.measures.first()) else { continue };
        let value = metric.value.map_or("not defined".into(), |value| plain(value, main));
        lines.push((format!("{} of the {}", main.name, baseline.name), value));
    }
    let width = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    lines.iter().for_each(|(name, value)| say!("  {name:<width$}  {value}"));
    findings.run.warnings.iter().for_each(|warning| say!("warning: {warning}"));
}

fn score(metrics: Metrics) -> String {
    match metrics.scores {
        Scores::Classification { accuracy, .. } => format!("accuracy {:.2} %", 100.0 * accuracy),
        Scores::MultiLabel { accuracy, exact, .. } => {
            format!("accuracy {:.2} % of the labels, {:.2} % of the rows", 100.0 * accuracy, 100.0 * exact)
        }
        Scores::Regression { rmse, mae, r2 } => {
            let r2 = if r2.is_nan() { "not defined".into() } else { format!("{r2:.4}") };
            format!("rmse {rmse:.4}, mae {mae:.4}, R² {r2}")
        }
    }
}
