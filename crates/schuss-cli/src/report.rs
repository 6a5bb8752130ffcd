//! The report of a run: what was measured of its model, said in words and as a page.

use schuss::metrics::Measure;
use schuss::{Evaluation, Features, Layer, Loss, Model, Real, Targets, Task, Threads, leaks};
use schuss_data::{Data, Examples};
use schuss_report::schema::{Baseline, Report, Run, Setting};
use schuss_report::{distributions, done, first_layer, history, html, speed};
use serde_json::Value;

use crate::baselines;
use crate::failure::Result;
use crate::options::Options;

/// A linear model is trained for a run's report up to so many weights times rows: some milliseconds.
const LINEAR_WORK: usize = 5_000_000;

/// A run that is over, and what it is judged by.
pub struct Subject<'a, 'd, T> {
    pub name: &'a str,
    pub options: &'a Options,
    pub data: &'d Data,
    pub model: &'a Model<T>,
    /// Of its metrics, and of its details.
    pub lines: &'a [Value],
    pub details: &'a [Value],
    /// What went wrong with it, if anything.
    pub problem: Option<String>,
    pub threads: &'a Threads,
}

/// What was found out about a run.
pub struct Findings<'d> {
    /// Its model on the rows that count.
    pub evaluation: Evaluation<'d>,
    pub run: Run,
    /// Of the part that counts.
    pub part: &'static str,
    pub measures: Vec<Measure>,
}

/// The part of the data that a model is judged by: the test part, else the validation part, else the training part.
pub fn judged(data: &Data) -> (&'static str, &Examples) {
    match (&data.test, &data.valid) {
        (Some(test), _) => ("test", test),
        (None, Some(valid)) => ("validation", valid),
        (None, None) => ("training", &data.train),
    }
}

/// Measures the model of a run.
pub fn findings<'d, T: Real>(subject: &Subject<'_, 'd, T>) -> Result<Findings<'d>> {
    let Subject { name, options, data, model, lines, details, ref problem, threads } = *subject;
    let (part, examples) = judged(data);
    let (train, dataset) = (data.train.dataset()?, examples.dataset()?);
    let evaluation = Evaluation::new(model, dataset, threads)?;
    let measures = evaluation.measures(threads);
    let mut warnings: Vec<String> = problem.iter().cloned().chain(warnings(data)?).collect();
    // Whoever has a deadline has no time for another model.
    let work = train.rows() * train.features().columns() * model.network.outputs();
    let with_linear = work <= LINEAR_WORK && options.time.is_none();
    let baselines = baselines::beside(model, &evaluation, data, dataset, options, with_linear, threads)?;
    warnings.extend(baselines.iter().filter_map(baselines::doubt));
    let start = details.iter().find(|line| line["event"] == "start");
    let machine = start.map_or(String::new(), |start| {
        let text = |name: &str| start[name].as_str().unwrap_or_default().to_string();
        format!("{} threads, {}, {}", start["threads"], text("isa"), text("products"))
    });
    let asked: Vec<&str> =
        start.and_then(|start| start["asked"].as_array()).into_iter().flatten().filter_map(Value::as_str).collect();
    let settings = options.in_words().into_iter().map(|(name, value)| {
        let is_chosen = start.is_some() && !asked.contains(&name.as_str());
        Setting { name, value, is_chosen }
    });
    let mut history = history(lines, &loss_label(model.loss));
    // Said only where it is not the last one.
    let last_epoch = history.epochs.last().map(|epoch| epoch.epoch);
    history.kept_epoch = history.kept_epoch.filter(|kept| Some(*kept) != last_epoch);
    let run = Run {
        name: name.into(),
        summary: summary(subject, part, &measures, &baselines),
        warnings,
        facts: facts(subject),
        history,
        evaluations: vec![schuss_report::evaluation(part, model, &evaluation, &measures, dataset, &[])],
        baselines,
        first_layer: first_layer(model, &[]),
        distributions: distributions(details),
        speed: speed(lines, &machine),
        settings: settings.collect(),
        command: format!("schuss train --config {}", quoted(&format!("{name}/config.toml"))),
        weights_sha256: model.weights_sha256(),
    };
    Ok(Findings { evaluation, run, part, measures })
}

/// The page of one run.
pub fn page(findings: &Findings, data: &str) -> String {
    let score = findings.measures.first().map_or(String::new(), |main| {
        format!(": {} {}", main.name, main.value.map_or("not defined".into(), |value| plain(value, main)))
    });
    html(&Report {
        version: 1,
        title: format!("{data}{score}"),
        made: made(),
        schuss: env!("CARGO_PKG_VERSION").into(),
        runs: vec![findings.run.clone()],
        comparison: None,
    })
}

/// Now, to the minute.
pub fn made() -> String {
    jiff::Zoned::now().strftime("%Y-%m-%d %H:%M").to_string()
}

/// What makes the figures of these data doubtful.
pub fn warnings(data: &Data) -> Result<Vec<String>> {
    let train = data.train.dataset()?;
    let mut warnings = Vec::new();
    for (part, examples) in [("test", &data.test), ("validation", &data.valid)] {
        let Some(examples) = examples else { continue };
        let rows = examples.dataset()?.rows();
        let shared = leaks::shared_rows(train.features(), examples.features.view());
        if shared > 0 {
            let share = 100.0 * shared as f64 / rows as f64;
            warnings.push(format!(
                "{shared} of the {rows} {part} rows ({share:.1} %) stand in the training data, too, value by value: figures of \
                 the {part} rows look better than they are."
            ));
        }
    }
    for telltale in leaks::telltale_columns(train).into_iter().take(5) {
        let what = match train.targets() {
            Targets::Classes { .. } => format!("the right class in {:.2} % of the rows", 100.0 * telltale.share),
            Targets::Values(_) => format!("the target (R² {:.5})", telltale.share),
        };
        warnings.push(format!(
            "Column {} (counted from 0) alone gives {what}: is it known when a prediction is needed, or does it come from \
             the target?",
            telltale.column
        ));
    }
    Ok(warnings)
}

fn loss_label(loss: Loss) -> String {
    match loss {
        Loss::CrossEntropy | Loss::BinaryCrossEntropy | Loss::Poisson => format!("{} (nats)", loss.name()),
        _ => format!("{} of the scaled targets", loss.name()),
    }
}

/// What was trained on what, how it went, how good it is.
fn summary<T: Real>(subject: &Subject<T>, part: &str, measures: &[Measure], baselines: &[Baseline]) -> Vec<String> {
    let Subject { data, model, lines, .. } = *subject;
    let network = &model.network;
    let sizes: Vec<_> = network.sizes().iter().map(usize::to_string).collect();
    let examples = match model.example_shape[..] {
        [height, width] | [height, width, _] => format!("pictures of {height} x {width} pixels"),
        _ => format!("rows of {} columns", network.inputs()),
    };
    let learned = match model.task {
        Task::Classification { classes } => format!("to tell {classes} classes apart"),
        Task::MultiLabel { labels } => format!("which of {labels} labels are there"),
        Task::Regression if network.outputs() == 1 => "to predict a number".into(),
        Task::Regression => format!("to predict {} numbers", data.train.targets.view().width()),
    };
    let mut sentences = vec![format!(
        "A network of {} ({} parameters) learned {learned} from {} training {examples} of {}.",
        sizes.join("-"),
        grouped(network.parameters().len()),
        grouped(data.train.targets.view().rows()),
        data.name,
    )];
    if let Some(done) = done(lines) {
        let steps = grouped(done["steps"].as_u64().unwrap_or(0) as usize);
        let seconds = done["train_seconds"].as_f64().unwrap_or(0.0);
        let share = done["speed"]["share_of_peak"].as_f64();
        let share = share.map_or(String::new(), |share| format!(", at {:.0} % of the machine's peak", 100.0 * share));
        let ended = if done["interrupted"] == true { ", and was interrupted" } else { "" };
        sentences.push(format!("It took {steps} steps in {seconds:.2} s{share}{ended}."));
    }
    if let Some(main) = measures.first() {
        let rows = grouped(judged(data).1.targets.view().rows());
        let seen = match part {
            "training" => "the same rows that it learned from".into(),
            _ => format!("{rows} {part} rows, which it did not learn from"),
        };
        let mut sentence = format!("On {seen}, its {} is {}", main.name, amount(main));
        if let Some(baseline) = baselines.first() {
            let value = baseline.metrics.iter().find(|metric| metric.key == main.key).and_then(|metric| metric.value);
            let value = value.map_or("none".into(), |value| plain(value, main));
            sentence += &format!(
                "; {} has {value}",
                match model.task {
                    Task::Classification { .. } => "always answering the most frequent class",
                    Task::MultiLabel { .. } => "answering by each label's share",
                    Task::Regression => "always answering the mean",
                }
            );
        }
        sentences.push(sentence + ".");
    }
    sentences
}

/// A value in its unit.
pub fn plain(value: f64, measure: &Measure) -> String {
    match measure.is_share {
        true => format!("{:.2} %", 100.0 * value),
        false if measure.unit != "nats" => number(value),
        false => format!("{} {}", number(value), measure.unit),
    }
}

/// A number of whatever size.
fn number(x: f64) -> String {
    if x == 0.0 || (1e-3..1e7).contains(&x.abs()) { format!("{x:.4}") } else { format!("{x:.4e}") }
}

/// A measure with its interval.
pub fn amount(measure: &Measure) -> String {
    let value = measure.value.map_or("not defined".into(), |value| plain(value, measure));
    match measure.interval {
        Some(interval) if measure.is_share => {
            format!("{value} (95 %: {:.2} to {:.2} %)", 100.0 * interval.low, 100.0 * interval.high)
        }
        Some(interval) => format!("{value} (95 %: {} to {})", number(interval.low), number(interval.high)),
        None => value,
    }
}

/// Thousands apart.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let pieces: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|piece| std::str::from_utf8(piece).ok()).collect();
    pieces.join(",")
}

/// A path as a shell reads it.
fn quoted(path: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:,".contains(c);
    if path.chars().all(is_plain) { path.into() } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

fn facts<T: Real>(subject: &Subject<T>) -> Vec<(String, String)> {
    let Subject { data, model, options, .. } = *subject;
    let rows = |examples: &Examples| grouped(examples.targets.view().rows());
    let part = |examples: &Option<Examples>, is_split: bool, name: &str| {
        let origin = if is_split { "split off" } else { "the data's own" };
        examples.as_ref().map(|examples| format!(", {} {name} ({origin})", rows(examples))).unwrap_or_default()
    };
    let type_name = match data.train.features.view() {
        Features::U8(_) => "bytes",
        Features::F32(_) | Features::F64(_) => "numbers",
    };
    let task = match model.task {
        Task::Classification { classes } => format!("classification, {classes} classes"),
        Task::MultiLabel { labels } => format!("multi-label, {labels} labels"),
        Task::Regression => "regression".into(),
    };
    let count = |kind: fn(&Layer) -> bool| model.network.layers().iter().filter(|layer| kind(layer)).count();
    let extra = [
        ("norms", count(|layer| matches!(layer, Layer::Norm(_)))),
        ("dropouts", count(|layer| matches!(layer, Layer::Dropout(_)))),
        ("residual connections", count(|layer| matches!(layer, Layer::Residual(_)))),
    ];
    let extra: String = extra.iter().filter(|(_, n)| *n > 0).map(|(name, n)| format!(", {n} {name}")).collect();
    let sizes: Vec<_> = model.network.sizes().iter().map(usize::to_string).collect();
    let setting = |value: &Option<String>| value.clone().unwrap_or_default();
    let shape: Vec<_> = model.example_shape.iter().map(usize::to_string).collect();
    let facts = [
        ("Data", format!("{}, {} {type_name} a row", data.name, shape.join(" x "))),
        (
            "Rows",
            format!(
                "{} training{}{}",
                rows(&data.train),
                part(&data.valid, data.valid_is_split, "validation"),
                part(&data.test, data.test_is_split, "test")
            ),
        ),
        ("Task", task),
        (
            "Network",
            format!(
                "{}, {}, {} at the end{extra}",
                sizes.join("-"),
                model.network.hidden_activation().name(),
                model.network.last_activation().name()
            ),
        ),
        ("Parameters", grouped(model.network.parameters().len())),
        ("Loss", loss_label(model.loss)),
        (
            "Optimiser",
            format!(
                "{}, learning rate {}, {}, batches of {}",
                setting(&options.optimizer),
                options.lr.unwrap_or_default(),
                setting(&options.schedule),
                options.batch_size.unwrap_or_default()
            ),
        ),
        ("Seed", options.seed.unwrap_or_default().to_string()),
    ];
    facts.into_iter().map(|(name, text)| (name.into(), text)).collect()
}
