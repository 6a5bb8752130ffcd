//! `schuss evaluate`: how good a model is on data, how sure that is, and what would be as good.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use schuss::metrics::{Importances, Interval, Measure};
use schuss::{Dataset, Evaluation, Metrics, ModelFile, Real, Threads};
use schuss_data::{Data, Examples, FeatureValues, PackPart};
use schuss_report::schema::Baseline;
use serde_json::{Map, Value, json};

use super::train::{parts, prepare, train_in_silence};
use super::{open_data_for, read_model, threads, with_precision};
use crate::baselines;
use crate::events;
use crate::events::{number, say};
use crate::failure::{Failure, Result};
use crate::importance;
use crate::importance::Effort;
use crate::options::Options;
use crate::packs;
use crate::plan::Plan;
use crate::progress;
use crate::report::{amount, counted, doubts, leak_warnings, plain};
use crate::run_folder::RunFolder;
use crate::tables;

#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    subject: Subject,
    /// Train N models again, with other seeds and the settings of the run folder, for mean and spread of the figures
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = crate::values::count)]
    seeds: Option<usize>,
    /// Leave out the baselines: the linear model takes a moment to train
    #[arg(long)]
    no_baselines: bool,
    /// Leave out how much each column of a table matters, which takes a moment or some seconds
    #[arg(long)]
    no_importance: bool,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// A model, and the rows of data that it is used on.
#[derive(Args, Debug)]
pub struct Subject {
    /// A model file, or a run folder
    pub model: PathBuf,
    /// digits, mnist, fashion-mnist, a table, a packed file, an NPZ file, a folder of IDX files, or a folder
    /// with a folder of pictures a class
    data: String,
    /// Which rows [default: the data's test part; of the data that the model learned from, those held out; else all rows]
    #[arg(long, value_parser = ["test", "train", "all"])]
    split: Option<String>,
    /// Where named data sets are looked for [default: $SCHUSS_DATA, ./data, the repository's data, the cache]
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Leave out pictures that cannot be decoded, and say which
    #[arg(long)]
    skip_bad: bool,
    /// Threads; never changes a result [default: all cores]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = crate::values::thread_count)]
    pub threads: Option<usize>,
}

impl Subject {
    /// The model, and the features of the rows, or a sample of them and where all are; a table needs no targets.
    pub fn open_features(&self) -> Result<(ModelFile, FeatureValues, Option<Arc<PackPart>>)> {
        let file = read_model(&self.model)?;
        if tables::is_name_of_table(&self.data) && self.split.is_none() {
            let features = tables::features_for(&file, &self.data)?;
            return Ok((file, features, None));
        }
        let (part, data) = match self.split {
            None => self.part(self.open_data(&file)?)?,
            Some(_) => self.open(&file)?,
        };
        let examples = if part == Part::Test { data.test } else { None };
        let Examples { features, stream, .. } = examples.unwrap_or(data.train);
        Ok((file, features, stream))
    }

    fn open_data(&self, file: &ModelFile) -> Result<Data> {
        open_data_for(file, &self.data, self.data_dir.clone(), self.skip_bad)
    }

    /// The rows to judge by. Of the data that the model learned from, those that were held out then, if any were.
    fn open(&self, file: &ModelFile) -> Result<(Part, Data)> {
        let data = match self.own_data(file)? {
            Some(data) => data,
            None => self.open_data(file)?,
        };
        let (part, data) = self.part(data)?;
        if let (None, Part::Test, true, Some(test)) = (&self.split, part, data.test_is_split, &data.test) {
            eprintln!(
                "note: the model learned from {}: these are the {} that were held out; --split all has all",
                data.name,
                counted(test.total_rows(), "row")
            );
        }
        Ok((part, data))
    }

    /// These data in the parts of the run that made the model, if it held rows of them out.
    fn own_data(&self, file: &ModelFile) -> Result<Option<Data>> {
        // A packed file has its parts itself.
        if self.data_dir.is_some() || packs::is_name_of_pack(&self.data) || self.split.as_deref() == Some("all") {
            return Ok(None);
        }
        let Some(folder) = folder_of(&self.model) else { return Ok(None) };
        let Ok(config) = RunFolder::config_of(folder) else { return Ok(None) };
        let place = |name: &str| std::fs::canonicalize(name).ok();
        let is_same = |name: &String| *name == self.data || place(name).is_some_and(|it| place(&self.data) == Some(it));
        if !config.data.as_ref().is_some_and(is_same) {
            return Ok(None);
        }
        match (&config.test, self.split.as_deref()) {
            (Some(test), Some("test")) => {
                return Err(Failure::Usage(format!(
                    "--split test: {} was tested on {test}, and no row of {} was held out; evaluate it on that file, or leave \
                     --split out",
                    folder.display(),
                    self.data
                )));
            }
            (Some(_), None) => return Ok(None),
            _ => {}
        }
        match data_of_config(config, file) {
            Ok(data) => Ok(Some(data)),
            Err(failure) => {
                eprintln!("note: which rows {} held out cannot be told: {failure}", folder.display());
                Ok(None)
            }
        }
    }

    /// The rows that are asked for: by default the data's own test part, all rows where there is none.
    fn part(&self, data: Data) -> Result<(Part, Data)> {
        match self.split.as_deref() {
            None if data.test.is_none() => Ok((Part::All, data)),
            None => Ok((Part::Test, data)),
            Some("all") if data.test.is_none() => Ok((Part::All, data)),
            Some("all") => Err(Failure::Failed(format!(
                "--split all: {} has a test part of its own; --split test or --split train",
                data.name
            ))),
            Some(split) if data.train.stream.is_some() && data.test.is_none() => Err(Failure::Failed(format!(
                "--split {split}: {} was packed without test rows; leave --split out",
                data.name
            ))),
            Some("train") => Ok((Part::Train, data.with_test_split())),
            Some(_) => {
                let data = data.with_test_split();
                if data.test.is_none() {
                    return Err(Failure::Failed("too few rows to split a test part off; leave --split out".into()));
                }
                Ok((Part::Test, data))
            }
        }
    }
}

/// Rows of the data.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Test,
    Train,
    /// All, for want of a test part.
    All,
}

pub fn run(arguments: Arguments) -> Result<()> {
    // What they train with is looked at before any work.
    let retraining = arguments.seeds.map(|count| Retraining::new(&arguments.subject.model, count)).transpose()?;
    let file = read_model(&arguments.subject.model)?;
    let (part, data) = arguments.subject.open(&file)?;
    // A table is one to judge by, mostly; whether it was learnt from is not known.
    if part == Part::All && arguments.subject.split.is_none() && data.schema.is_none() {
        eprintln!(
            "note: these data have no test part, so these are all rows, those of the training included; --split test \
             takes the 20 % that training holds out"
        );
    }
    let findings = with_precision!(file.precision, findings(&file, &data, part, &arguments, retraining))?;
    match arguments.json {
        true => events::print(&findings.to_json()),
        false => findings.say(),
    }
    Ok(())
}

/// What was found out about a model.
struct Findings {
    rows: usize,
    /// Those that all but `metrics` are of, if they are not all.
    sampled: Option<usize>,
    /// As training shows them, to the last bit.
    metrics: Metrics,
    measures: Vec<Measure>,
    baselines: Vec<Baseline>,
    warnings: Vec<String>,
    /// Of the columns of a table, with their names.
    importances: Option<(Importances, Vec<String>)>,
    /// The measures of models with other seeds.
    seeds: Option<Seeds>,
}

fn findings<T: Real>(
    file: &ModelFile,
    data: &Data,
    part: Part,
    arguments: &Arguments,
    retraining: Option<Retraining>,
) -> Result<Findings> {
    let model = file.model::<T>();
    let threads = threads(arguments.subject.threads)?;
    let examples = if part == Part::Test { data.test.as_ref() } else { None };
    let dataset = examples.unwrap_or(&data.train).dataset()?;
    let metrics = model.evaluate(dataset, &threads)?;
    if let Some(retraining) = &retraining {
        retraining.check::<T>(dataset, &threads)?;
    }
    let waiting = progress::waiting("measuring");
    let evaluation = Evaluation::new(&model, dataset, &threads)?;
    let row = match part {
        Part::Test => "test row",
        Part::Train => "training row",
        Part::All => "row",
    };
    let is_sample = dataset.total_rows() > dataset.rows();
    let row = if is_sample { format!("sampled {row}") } else { row.into() };
    // What is judged alone may be all that there is of these data.
    let of_run;
    let learned = match (part, &retraining) {
        (Part::All, Some(retraining)) => Some(&retraining.data),
        (Part::All, None) => {
            of_run = data_of_run(&arguments.subject.model, file);
            of_run.as_ref()
        }
        (Part::Test | Part::Train, _) => Some(data),
    };
    let mut warnings = doubts(&row, dataset, &model);
    if let Some(learned) = learned {
        let others = if part == Part::Train { Vec::new() } else { vec![(row, dataset)] };
        warnings.extend(leak_warnings(learned, &others)?);
    }
    let mut findings = Findings {
        rows: dataset.total_rows(),
        sampled: is_sample.then_some(dataset.rows()),
        metrics,
        measures: evaluation.measures(&threads),
        baselines: Vec::new(),
        warnings,
        importances: None,
        seeds: None,
    };
    if let (Some(schema), false) = (&model.schema, arguments.no_importance) {
        let importances = importance::importances(&model, dataset, Effort::Full, &threads)?;
        findings.importances = importances.map(|importances| (importances, importance::names(schema)));
    }
    if let (false, Some(learned)) = (arguments.no_baselines, learned) {
        let options = Options { data: Some(arguments.subject.data.clone()), ..Options::default() };
        findings.baselines = baselines::beside(&model, &evaluation, learned, dataset, &options, true, &threads)?;
        findings.warnings.extend(findings.baselines.iter().filter_map(baselines::doubt));
    }
    waiting.finish_and_clear();
    findings.seeds = retraining.map(|retraining| retraining.train::<T>(dataset, &threads)).transpose()?;
    Ok(findings)
}

/// The folder that a model lies in, or that stands for it.
fn folder_of(model: &Path) -> Option<&Path> {
    if model.is_dir() { Some(model) } else { model.parent() }
}

/// What the run of a model learned from, if its folder says so; what comes of it is compared with the model.
fn data_of_run(model: &Path, file: &ModelFile) -> Option<Data> {
    let folder = folder_of(model)?;
    match RunFolder::config_of(folder).and_then(|config| data_of_config(config, file)) {
        Ok(data) => Some(data),
        Err(_) if !folder.join("config.toml").is_file() => {
            eprintln!(
                "note: no baselines, which learn from the training rows: a model file alone does not say where they are"
            );
            None
        }
        Err(failure) => {
            eprintln!("note: no baselines, which learn from the training rows of {}: {failure}", folder.display());
            None
        }
    }
}

/// What a run with these settings learns from, if it is what the model learned from.
fn data_of_config(config: Options, file: &ModelFile) -> Result<Data> {
    let (_, data) = prepare(config)?;
    let columns = |schema: &Option<schuss::Schema>| schema.as_ref().map(|schema| schema.columns.clone());
    let is_same = columns(&data.schema) == columns(&file.schema().cloned())
        && data.train.features.view().columns() == file.model::<f64>().network.inputs();
    match is_same {
        true => Ok(data),
        false => Err(Failure::Failed("its data are no longer those that the model was trained on".into())),
    }
}

impl Findings {
    fn to_json(&self) -> Value {
        let mut metrics = events::metrics(self.metrics);
        let mut intervals = Map::new();
        for measure in &self.measures {
            if metrics.get(measure.key).is_none() {
                metrics[measure.key] = measure.value.map_or(Value::Null, number);
            }
            if let Some(Interval { low, high }) = measure.interval {
                intervals.insert(measure.key.into(), json!([number(low), number(high)]));
            }
        }
        let baseline = |baseline: &Baseline| {
            let metrics = baseline.metrics.iter().map(|metric| (metric.key.clone(), json!(metric.value)));
            json!({ "name": baseline.name, "metrics": metrics.collect::<Map<_, _>>(), "difference": baseline.difference })
        };
        let mut object = json!({
            "rows": self.rows,
            "metrics": metrics,
            "intervals": intervals,
            "baselines": self.baselines.iter().map(baseline).collect::<Vec<_>>(),
            "warnings": self.warnings,
        });
        if let Some((importances, names)) = &self.importances {
            object["importance"] = importance::to_json(importances, names);
        }
        if let Some(sampled) = self.sampled {
            object["rows_sampled"] = sampled.into();
        }
        if let Some(seeds) = &self.seeds {
            object["seeds"] = seeds.to_json();
        }
        object
    }

    /// A table: each measure of the model, and beside it the baselines'.
    fn say(&self) {
        let names = self.baselines.iter().map(|baseline| baseline.name.clone());
        let mut table =
            vec![vec!["rows".into(), self.rows.to_string()], vec!["loss".into(), format!("{:.6}", self.metrics.loss)]];
        if let Some(sampled) = self.sampled {
            table.push(vec!["sampled rows".into(), format!("{sampled}, for what follows")]);
        }
        if !self.baselines.is_empty() {
            table.push([String::new(), "this model".into()].into_iter().chain(names).collect());
        }
        for measure in &self.measures {
            let of_baseline = |baseline: &Baseline| {
                let metric = baseline.metrics.iter().find(|metric| metric.key == measure.key);
                metric.and_then(|metric| metric.value).map_or("not defined".into(), |value| plain(value, measure))
            };
            let of_model = [measure.name.to_string(), amount(measure)];
            table.push(of_model.into_iter().chain(self.baselines.iter().map(of_baseline)).collect());
        }
        say_table(&table);
        if let Some((importances, names)) = &self.importances {
            importance::say_most(importances, names, self.rows);
        }
        if let Some(seeds) = &self.seeds {
            seeds.say();
        }
        self.warnings.iter().for_each(|warning| say!("warning: {warning}"));
    }
}

/// Cells below one another, a line for each row.
fn say_table(rows: &[Vec<String>]) {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}  "));
        say!("{}", cells.collect::<String>().trim_end());
    }
}

/// Models to train again, with the settings of a run folder and the seeds that follow the run's own.
struct Retraining {
    plan: Plan,
    data: Data,
    seeds: Vec<u64>,
    config: PathBuf,
}

impl Retraining {
    fn new(folder: &Path, count: usize) -> Result<Self> {
        let config = folder.join("config.toml");
        if !config.is_file() {
            return Err(Failure::Usage(format!(
                "--seeds needs a run folder, whose settings it trains with; {} has no config.toml",
                folder.display()
            )));
        }
        let options = RunFolder::config_of(folder)?;
        if options.time.is_some() {
            let folder = folder.display();
            return Err(Failure::Failed(format!("{folder}: the run is not over; --resume {folder} ends it")));
        }
        let first = options.seed.unwrap_or(0);
        let of_config = |failure| Failure::Failed(format!("--seeds trains as {} says: {failure}", config.display()));
        let (plan, data) = prepare(options).map_err(of_config)?;
        let seeds = (0..count as u64).map(|i| first.wrapping_add(1 + i)).collect();
        Ok(Self { plan, data, seeds, config })
    }

    /// Fails where such a model cannot be judged by these rows.
    fn check<T: Real>(&self, judged: Dataset, threads: &Threads) -> Result<()> {
        let model = self.plan.model::<T>(self.data.train.dataset()?, threads)?;
        let of_config = |error| Failure::Failed(format!("--seeds trains as {} says: {error}", self.config.display()));
        model.check(judged).map_err(of_config)
    }

    fn train<T: Real>(mut self, judged: Dataset, threads: &Threads) -> Result<Seeds> {
        let parts = parts(&self.data)?;
        let data = format!("{} of {}", counted(parts.train.total_rows(), "training row"), self.data.name);
        let config = self.config.display();
        eprintln!("note: training {} on {data}, as {config} says", counted(self.seeds.len(), "model"));
        let mut runs = Vec::new();
        for seed in self.seeds {
            self.plan.options.seed = Some(seed);
            let model = train_in_silence::<T>(&self.plan, &self.data, threads)?;
            let measures = Evaluation::new(&model, judged, threads)?.values();
            if let Some(main) = measures.first() {
                eprintln!("note: seed {seed}: {} {}", main.name, amount(main));
            }
            runs.push((seed, measures));
        }
        Ok(Seeds { data, runs })
    }
}

/// The measures of models that differ in their seed alone.
struct Seeds {
    /// What they were trained on.
    data: String,
    runs: Vec<(u64, Vec<Measure>)>,
}

/// A measure over the seeds for which it is defined.
struct Spread<'a> {
    measure: &'a Measure,
    mean: f64,
    /// The standard deviation of one seed.
    deviation: f64,
    low: f64,
    high: f64,
}

impl Seeds {
    fn spreads(&self) -> impl Iterator<Item = Spread<'_>> {
        let measures = self.runs.first().map_or(&[][..], |(_, measures)| measures);
        measures.iter().enumerate().map(|(i, measure)| {
            let values: Vec<f64> = self.runs.iter().filter_map(|(_, measures)| measures[i].value).collect();
            let count = values.len() as f64;
            let mean = values.iter().sum::<f64>() / count;
            let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (count - 1.0);
            let [low, high] =
                values.iter().fold([f64::INFINITY, f64::NEG_INFINITY], |[l, h], x| [l.min(*x), h.max(*x)]);
            Spread { measure, mean, deviation: variance.sqrt(), low, high }
        })
    }

    fn to_json(&self) -> Value {
        let of_measure = |spread: Spread| {
            let Spread { measure, mean, deviation, low, high } = spread;
            let [mean, deviation, low, high] = [mean, deviation, low, high].map(number);
            (measure.key.to_string(), json!({ "mean": mean, "deviation": deviation, "low": low, "high": high }))
        };
        let measures: Map<_, _> = self.spreads().map(of_measure).collect();
        let of_run = |(seed, measures): &(u64, Vec<Measure>)| {
            let values = measures.iter().map(|measure| (measure.key.to_string(), json!(measure.value)));
            Value::Object([("seed".to_string(), json!(seed))].into_iter().chain(values).collect())
        };
        let key = self.spreads().next().map_or("", |spread| spread.measure.key);
        json!({
            "data": self.data,
            "key": key,
            "mean": measures[key]["mean"],
            "deviation": measures[key]["deviation"],
            "measures": measures,
            "runs": self.runs.iter().map(of_run).collect::<Vec<_>>(),
        })
    }

    fn say(&self) {
        say!("{}, trained on {}:", counted(self.runs.len(), "other seed"), self.data);
        let mut table = vec![["", "mean", "deviation", "least", "most"].map(String::from).to_vec()];
        for Spread { measure, mean, deviation, low, high } in self.spreads() {
            let plain = |x: f64| if x.is_finite() { plain(x, measure) } else { "not defined".into() };
            let spread = match deviation.is_finite() {
                true if measure.is_share => format!("{:.2} points", 100.0 * deviation),
                _ => plain(deviation),
            };
            table.push(vec![measure.name.into(), plain(mean), spread, plain(low), plain(high)]);
        }
        say_table(&table);
    }
}
