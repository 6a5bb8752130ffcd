//! The report of a run: what was measured of its model, said in words and as a page.

use std::path::Path;

use schuss::metrics::Measure;
use schuss::{Dataset, Evaluation, Features, Layer, Loss, Model, Real, Targets, Task, Threads, leaks};
use schuss_data::{Data, Examples};
use schuss_report::schema::{Baseline, Report, Run, Setting};
use schuss_report::{TableRows, distributions, done, first_layer, history, html, metrics_of, schema, speed};
use serde_json::Value;

use crate::baselines;
use crate::failure::Result;
use crate::importance::{self, Effort, importances};
use crate::options::Options;

/// A linear model is trained for a run's report up to so many weights times rows: some milliseconds.
const LINEAR_WORK: usize = 5_000_000;
/// Rows that a model is not judged by are measured in full up to so much work: some ten milliseconds.
const OTHER_WORK: usize = 2_000_000_000;

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
    /// What its rows are called.
    pub row: String,
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
    let held_out = [("test", &data.test), ("validation", &data.valid)].into_iter();
    let held_out = held_out.filter_map(|(part, examples)| examples.as_ref().map(|examples| (part, examples)));
    let held_out = held_out
        .map(|(part, examples)| Ok((row_name(examples, part), examples.dataset()?)))
        .collect::<Result<Vec<_>>>()?;
    let mut warnings: Vec<String> = problem.iter().cloned().chain(course(lines)).collect();
    warnings.extend(doubts(&row_name(examples, part), dataset, model));
    warnings.extend(leak_warnings(data, &held_out)?);
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
        let is_asked = asked.contains(&name.as_str());
        Setting { name, value, is_asked }
    });
    let mut history = history(lines, &loss_label(model.loss));
    // Said only where it is not the last one.
    let last_epoch = history.epochs.last().map(|epoch| epoch.epoch);
    history.kept_epoch = history.kept_epoch.filter(|kept| Some(*kept) != last_epoch);
    let importances = match options.time {
        None => importances(model, dataset, Effort::Quick, threads)?,
        Some(_) => None,
    };
    let names = data.schema.as_ref().map_or(Vec::new(), importance::names);
    let value = |row: usize, column: usize| {
        let values = data.judged_table.as_ref().map(|table| &table.columns[column].values);
        values.and_then(|values| values.text(row)).unwrap_or_else(|| "missing".into())
    };
    let table = TableRows { names: &names, importances: importances.as_ref(), value: &value };
    let table = data.judged_table.as_ref().map(|_| &table);
    let mut evaluations = vec![schuss_report::evaluation(part, model, &evaluation, &measures, dataset, table)];
    evaluations.extend(others(subject, part, &measures[0])?);
    let config = Path::new(name).join("config.toml");
    let config = std::path::absolute(&config).unwrap_or(config);
    let run = Run {
        name: name.into(),
        summary: summary(subject, part, &measures, &baselines),
        warnings,
        facts: facts(subject),
        history,
        evaluations,
        baselines,
        first_layer: first_layer(model, &column_names(data)),
        distributions: distributions(details),
        speed: speed(lines, &machine),
        settings: settings.collect(),
        command: format!("schuss train --config {}", quoted(&config.display().to_string())),
        weights_sha256: model.weights_sha256(),
    };
    Ok(Findings { evaluation, run, part, row: row_name(examples, part), measures })
}

/// What one of the rows is called by which a model is judged.
pub fn row_name(examples: &Examples, part: &str) -> String {
    if examples.is_sample() { format!("sampled {part} row") } else { format!("{part} row") }
}

/// The metrics of the parts that the model is not judged by, without intervals; of many rows what the run measured of them,
/// the main one.
fn others<T: Real>(subject: &Subject<T>, judged: &str, main: &Measure) -> Result<Vec<schema::Evaluation>> {
    let Subject { data, model, lines, threads, .. } = *subject;
    let mut evaluations = Vec::new();
    let parts = [("training", "", Some(&data.train)), ("validation", "_valid", data.valid.as_ref())];
    for (part, suffix, examples) in parts.into_iter().filter(|(part, ..)| *part != judged) {
        let Some(examples) = examples else { continue };
        let dataset = examples.dataset()?;
        // Predictions, then the order of the rows by each of them.
        let work = model.network.parameters().len() + 6000 * model.network.outputs();
        let of_run = |done: &Value| {
            let key = if main.key == "accuracy" { "acc" } else { main.key };
            done[format!("{key}{suffix}")].as_f64().map(|value| Measure {
                value: Some(value),
                interval: None,
                ..main.clone()
            })
        };
        let measures = match dataset.rows().saturating_mul(work) {
            ..=OTHER_WORK => Evaluation::new(model, dataset, threads)?.values(),
            _ => done(lines).and_then(of_run).into_iter().collect(),
        };
        if !measures.is_empty() {
            evaluations.push(metrics_of(part, dataset.rows(), &measures));
        }
    }
    Ok(evaluations)
}

/// The page of one run.
pub fn page(findings: &Findings, data: &Data) -> String {
    let subject = match &data.schema {
        Some(schema) => format!("{} from {}", schema.target, data.name),
        None => data.name.clone(),
    };
    let score = findings.measures.first().map_or(String::new(), |main| {
        format!(": {} {}", main.name, main.value.map_or("not defined".into(), |value| plain(value, main)))
    });
    html(&Report {
        version: 1,
        title: format!("{subject}{score}"),
        made: made(),
        schuss: env!("CARGO_PKG_VERSION").into(),
        runs: vec![findings.run.clone()],
        comparison: None,
        tuning: None,
    })
}

/// Now, to the minute.
pub fn made() -> String {
    jiff::Zoned::now().strftime("%Y-%m-%d %H:%M").to_string()
}

/// The names of the columns, those of a table: what its columns become.
fn column_names(data: &Data) -> Vec<String> {
    data.schema.as_ref().map_or(Vec::new(), schuss::Schema::input_names)
}

/// What may give the target away: the name of a column, and its inputs, all of a category's at once.
fn sources(data: &Data, inputs: usize) -> Vec<(String, Vec<usize>)> {
    let Some(schema) = &data.schema else {
        return (0..inputs).map(|input| (format!("{input} (counted from 0)"), vec![input])).collect();
    };
    let of_column = |place: usize| {
        let (column, inputs) = (&schema.columns[place], schema.inputs_of(place));
        let groups = match column.category_names() {
            Some(_) => vec![inputs],
            None => inputs.into_iter().map(|input| vec![input]).collect(),
        };
        groups.into_iter().map(|inputs| (format!("{:?}", column.name), inputs))
    };
    (0..schema.columns.len()).flat_map(of_column).collect()
}

/// What makes the figures of `judged`, each of them such a row of the data, doubtful.
pub fn doubts<T: Real>(row: &str, judged: Dataset, model: &Model<T>) -> Vec<String> {
    /// Of fewer rows, most metrics have no interval.
    const FEW: usize = 10;
    let mut warnings = Vec::new();
    let rows = counted(judged.rows(), row);
    if let (Targets::Classes { .. }, Task::Classification { classes }) = (judged.targets(), model.task) {
        let counts = judged.class_counts();
        let count = |class: usize| counts.get(class).copied().unwrap_or(0);
        let missing: Vec<usize> = (0..classes).filter(|&class| count(class) == 0).collect();
        let name = |class: usize| model.class_names.get(class).cloned().unwrap_or_else(|| class.to_string());
        let present = (0..classes).find(|&class| count(class) == judged.total_rows());
        match (present, &missing[..]) {
            (Some(class), _) if classes > 1 && judged.rows() > 1 => warnings.push(format!(
                "All {rows} are of class {}: they do not show how well it is told apart from others, and some metrics are not \
                 defined.",
                name(class)
            )),
            (_, [first, others @ ..]) if judged.rows() > 1 => {
                let others = if others.is_empty() { String::new() } else { format!(", nor of {} others", others.len()) };
                warnings.push(format!(
                    "No {row} is of class {}{others}: nothing is shown of how well such rows are told apart.",
                    name(*first)
                ));
            }
            _ => {}
        }
    }
    if judged.rows() < FEW {
        warnings.push(format!(
            "The figures are those of {rows} only: so few say little, and most metrics have no interval."
        ));
    }
    warnings
}

/// Signs that `data` give away what is to be predicted: rows of the `others`, each called so, that are training rows, too,
/// and columns that say it all.
pub fn leak_warnings(data: &Data, others: &[(String, Dataset)]) -> Result<Vec<String>> {
    let train = data.train.dataset()?;
    let mut warnings = Vec::new();
    if let Some(class) = train.class_counts().iter().position(|rows| *rows == 0) {
        let name = data.class_names.as_ref().and_then(|names| names.get(class)).cloned();
        warnings.push(format!(
            "No training row is of class {}, so it cannot be learned.",
            name.unwrap_or_else(|| class.to_string())
        ));
    }
    let all = if data.train.is_sample() { "a sample of the training data" } else { "the training data" };
    for (row, dataset) in others {
        let shared = leaks::shared_rows(train, *dataset);
        if shared > 0 {
            let share = 100.0 * shared as f64 / dataset.rows() as f64;
            warnings.push(format!(
                "{shared} of the {} ({share:.1} %) {} in {all}, too, value by value, with the same target: figures of the \
                 {row}s may look better than they are.",
                counted(dataset.rows(), row),
                if shared == 1 { "stands" } else { "stand" }
            ));
        }
    }
    let (names, inputs): (Vec<_>, Vec<_>) = sources(data, train.features().columns()).into_iter().unzip();
    let mut named: Vec<&str> = Vec::new();
    for telltale in leaks::telltale_columns(train, &inputs) {
        // A column may say it twice: by its value, by its quantile, and by being missing.
        let name = names[telltale.column].as_str();
        if named.contains(&name) || named.len() == 5 {
            continue;
        }
        named.push(name);
        let what = match train.targets() {
            Targets::Classes { .. } => format!("the right class in {:.2} % of the rows", 100.0 * telltale.share),
            Targets::Values(_) => format!("the target (R² {:.5})", telltale.share),
        };
        warnings.push(format!(
            "Column {name} alone gives {what}: is it known when a prediction is needed, or does it come from \
             the target?"
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

/// What went wrong on the way, and did not end the run.
fn course(lines: &[Value]) -> Vec<String> {
    let mut warnings = Vec::new();
    let rollbacks = lines.iter().filter(|line| line["event"] == "rolled_back").count();
    if rollbacks > 0 {
        warnings.push(format!(
            "The run diverged {}: it went back to the last good epoch and on with half the learning rate.",
            if rollbacks == 1 { "once".into() } else { format!("{rollbacks} times") }
        ));
    }
    let last = lines.iter().rev().find(|line| line["event"] == "epoch" && line["member"].as_u64().unwrap_or(0) == 0);
    let is_lost =
        |line: &Value| ["loss", "loss_valid", "loss_test"].iter().any(|key| line.get(key) == Some(&Value::Null));
    if last.is_some_and(is_lost) {
        warnings.push(
            "The run diverged: its loss was no number any more at the end. A smaller learning rate may help.".into(),
        );
    }
    warnings
}

/// What was trained on what, how it went, how good it is.
fn summary<T: Real>(subject: &Subject<T>, part: &str, measures: &[Measure], baselines: &[Baseline]) -> Vec<String> {
    let Subject { data, model, lines, .. } = *subject;
    let network = &model.network;
    let sizes: Vec<_> = network.sizes().iter().map(usize::to_string).collect();
    let rows = data.train.total_rows();
    let examples = match model.example_shape[..] {
        [height, width] | [height, width, _] => format!("{} of {height} x {width} pixels", noun(rows, "picture")),
        _ => {
            let columns = model.schema.as_ref().map_or(network.inputs(), |schema| schema.columns.len());
            format!("{} of {}", noun(rows, "row"), counted(columns, "column"))
        }
    };
    let target = model.schema.as_ref().map(|schema| schema.target.as_str());
    let numbers = data.train.targets.view().width();
    let learned = match (model.task, model.loss) {
        (Task::Classification { classes }, _) => {
            let of = target.map_or(String::new(), |target| format!(" of {target}"));
            format!("to tell {classes} classes{of} apart")
        }
        (Task::MultiLabel { labels }, _) => format!("which of {labels} labels are there"),
        (Task::Regression, Loss::Quantile(levels)) => {
            let levels: Vec<_> = levels.levels().iter().map(f64::to_string).collect();
            format!("the quantiles {} of {}", levels.join(", "), target.unwrap_or("the targets"))
        }
        (Task::Regression, _) if numbers == 1 => format!("to predict {}", target.unwrap_or("a number")),
        (Task::Regression, _) => format!("to predict {numbers} numbers"),
    };
    let members = match model.members() {
        1 => "A network".into(),
        members => format!("{members} networks, whose mean is the prediction, each"),
    };
    let mut sentences = vec![format!(
        "{members} of {} ({} parameters) learned {learned} from {} training {examples} of {}.",
        sizes.join("-"),
        grouped(network.parameters().len()),
        grouped(rows),
        data.name,
    )];
    if let Some(done) = done(lines) {
        let steps = done["steps"].as_u64().unwrap_or(0) as usize;
        let steps = format!("{} {}", grouped(steps), noun(steps, "step"));
        let seconds = done["train_seconds"].as_f64().unwrap_or(0.0);
        let share = done["speed"]["share_of_peak"].as_f64();
        let share = share.map_or(String::new(), |share| format!(", at {:.0} % of the machine's peak", 100.0 * share));
        let ended = match (done["interrupted"] == true, done["ended_early"].as_u64()) {
            (true, _) => ", and was interrupted",
            (false, Some(_)) => ", and ended early, having gained too little",
            (false, None) => "",
        };
        sentences.push(format!("It took {steps} in {seconds:.2} s{share}{ended}."));
    }
    if let Some(main) = measures.first() {
        let examples = judged(data).1;
        let [rows, all] = [examples.targets.view().rows(), examples.total_rows()];
        let sample = if all > rows { format!("a sample of {} of ", grouped(rows)) } else { String::new() };
        let seen = match part {
            "training" => format!("{sample}the same rows that it learned from"),
            _ => format!("{sample}{} {part} {}, which it did not learn from", grouped(all), noun(all, "row")),
        };
        let mut sentence = format!("On {seen}, its {} is {}", main.name, amount(main));
        if let Some(baseline) = baselines.first() {
            let value = baseline.metrics.iter().find(|metric| metric.key == main.key).and_then(|metric| metric.value);
            let value = value.map_or("none".into(), |value| plain(value, main));
            sentence += &format!("; {} has {value}", baselines::constant_name(model.task, model.loss).1);
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

/// `1 test row`, `360 test rows`.
pub fn counted(count: usize, what: &str) -> String {
    format!("{count} {}", noun(count, what))
}

/// One `what`, or more of them.
fn noun(count: usize, what: &str) -> String {
    if count == 1 { what.into() } else { format!("{what}s") }
}

/// Thousands apart.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let pieces: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|piece| std::str::from_utf8(piece).ok()).collect();
    pieces.join(",")
}

/// A path as a shell reads it.
pub fn quoted(path: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:,".contains(c);
    if path.chars().all(is_plain) { path.into() } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

fn facts<T: Real>(subject: &Subject<T>) -> Vec<(String, String)> {
    let Subject { data, model, options, .. } = *subject;
    let rows = |examples: &Examples| grouped(examples.total_rows());
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
                "{}{}, {}, {} at the end{extra}",
                match model.members() {
                    1 => String::new(),
                    members => format!("{members} of "),
                },
                sizes.join("-"),
                model.network.hidden_activation().name(),
                model.network.last_activation().name()
            ),
        ),
        ("Parameters", grouped(model.networks().map(|network| network.parameters().len()).sum())),
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
