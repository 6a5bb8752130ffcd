//! `schuss evaluate`: how good a model is on data, how sure that is, and what would be as good.

use std::path::PathBuf;

use clap::Args;
use schuss::metrics::{Interval, Measure};
use schuss::{Control, Dataset, Evaluation, Metrics, ModelFile, Real, Threads};
use schuss_data::{Data, FeatureValues};
use schuss_report::schema::Baseline;
use serde_json::{Map, Value, json};

use super::train::{parts, prepare};
use super::{open_data_for, read_model, threads, with_precision};
use crate::baselines;
use crate::events;
use crate::events::{number, say};
use crate::failure::{Failure, Result};
use crate::options::Options;
use crate::report::{amount, plain, warnings};
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
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// A model, and the rows of data that it is used on.
#[derive(Args, Debug)]
pub struct Subject {
    /// A model file, or a run folder
    pub model: PathBuf,
    /// digits, mnist, fashion-mnist, an NPZ file, a folder of IDX files, or a folder with a folder of pictures a class
    data: String,
    /// Which rows [default: the data's test part; all rows where it has none]
    #[arg(long, value_parser = ["test", "train"])]
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
    /// The model, and the features of the rows; a table needs no targets.
    pub fn open_features(&self) -> Result<(ModelFile, FeatureValues)> {
        let file = read_model(&self.model)?;
        if tables::is_name_of_table(&self.data) && self.split.is_none() {
            let features = tables::features_for(&file, &self.data)?;
            return Ok((file, features));
        }
        let data = open_data_for(&file, &self.data, self.data_dir.clone(), self.skip_bad)?;
        let (part, data) = self.part(data)?;
        let examples = if part == Part::Test { data.test } else { None };
        Ok((file, examples.unwrap_or(data.train).features))
    }

    fn open_data(&self) -> Result<(ModelFile, Data)> {
        let file = read_model(&self.model)?;
        let data = open_data_for(&file, &self.data, self.data_dir.clone(), self.skip_bad)?;
        Ok((file, data))
    }

    /// The rows that are asked for: by default the data's own test part, all rows where there is none.
    fn part(&self, data: Data) -> Result<(Part, Data)> {
        match self.split.as_deref() {
            None if data.test.is_none() => Ok((Part::All, data)),
            None => Ok((Part::Test, data)),
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
    let (file, data) = arguments.subject.open_data()?;
    let (part, data) = arguments.subject.part(data)?;
    if part == Part::All {
        eprintln!(
            "note: these data have no test part, so these are all rows, those of the training included; --split test \
             takes the 20 % that training holds out"
        );
    }
    let findings = with_precision!(file.precision, findings(&file, &data, part, &arguments))?;
    match arguments.json {
        true => events::print(&findings.to_json()),
        false => findings.say(),
    }
    Ok(())
}

/// What was found out about a model.
struct Findings {
    rows: usize,
    /// As training shows them, to the last bit.
    metrics: Metrics,
    measures: Vec<Measure>,
    baselines: Vec<Baseline>,
    warnings: Vec<String>,
    /// The main measure of models with other seeds.
    seeds: Option<Seeds>,
}

fn findings<T: Real>(file: &ModelFile, data: &Data, part: Part, arguments: &Arguments) -> Result<Findings> {
    let model = file.model::<T>();
    let threads = threads(arguments.subject.threads)?;
    let examples = if part == Part::Test { data.test.as_ref() } else { None };
    let dataset = examples.unwrap_or(&data.train).dataset()?;
    let metrics = model.evaluate(dataset, &threads)?;
    let evaluation = Evaluation::new(&model, dataset, &threads)?;
    let mut findings = Findings {
        rows: dataset.rows(),
        metrics,
        measures: evaluation.measures(&threads),
        baselines: Vec::new(),
        warnings: warnings(data)?,
        seeds: None,
    };
    if !arguments.no_baselines {
        let options = Options { data: Some(arguments.subject.data.clone()), ..Options::default() };
        findings.baselines = baselines::beside(&model, &evaluation, data, dataset, &options, true, &threads)?;
        findings.warnings.extend(findings.baselines.iter().filter_map(baselines::doubt));
    }
    if let Some(count) = arguments.seeds {
        findings.seeds = Some(Seeds::train::<T>(arguments, count, dataset, &threads)?);
    }
    Ok(findings)
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
        if let Some(seeds) = &self.seeds {
            object["seeds"] = seeds.to_json();
        }
        object
    }

    fn say(&self) {
        say!("rows                {}", self.rows);
        say!("loss                {:.6}", self.metrics.loss);
        for measure in &self.measures {
            say!("{:<19} {}", measure.name, amount(measure));
        }
        let Some(main) = self.measures.first() else { return };
        for baseline in &self.baselines {
            let value = baseline.metrics.first().and_then(|metric| metric.value);
            let value = value.map_or("not defined".into(), |value| plain(value, main));
            say!("baseline            {}: {} {value}", baseline.name, main.name);
        }
        if let Some(seeds) = &self.seeds {
            seeds.say();
        }
        self.warnings.iter().for_each(|warning| say!("warning: {warning}"));
    }
}

/// The main measure of models that differ in their seed alone.
struct Seeds {
    measures: Vec<(u64, Measure)>,
}

impl Seeds {
    /// Trains `count` models with the settings of the run folder and the seeds that follow the run's own.
    fn train<T: Real>(arguments: &Arguments, count: usize, test: Dataset, threads: &Threads) -> Result<Self> {
        let folder = &arguments.subject.model;
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
        let mut measures = Vec::new();
        for seed in (0..count as u64).map(|i| first.wrapping_add(1 + i)) {
            let (plan, data) = prepare(Options { seed: Some(seed), ..options.clone() })?;
            let parts = parts(&data)?;
            let mut model = plan.model::<T>(parts.train, threads)?;
            schuss::train(&mut model, parts, &plan.settings(parts.train)?, threads, |_| Control::Continue)?;
            let measure = Evaluation::new(&model, test, threads)?.main();
            eprintln!("note: seed {seed}: {} {}", measure.name, amount(&measure));
            measures.push((seed, measure));
        }
        Ok(Self { measures })
    }

    fn values(&self) -> Vec<f64> {
        self.measures.iter().filter_map(|(_, measure)| measure.value).collect()
    }

    /// Mean and standard deviation.
    fn moments(&self) -> [f64; 2] {
        let values = self.values();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (count - 1.0);
        [mean, variance.sqrt()]
    }

    fn to_json(&self) -> Value {
        let [mean, deviation] = self.moments();
        let key = self.measures.first().map_or("", |(_, measure)| measure.key);
        let of_seed = |(seed, measure): &(u64, Measure)| json!({ "seed": seed, key: measure.value });
        json!({
            "key": key,
            "mean": number(mean),
            "deviation": number(deviation),
            "runs": self.measures.iter().map(of_seed).collect::<Vec<_>>(),
        })
    }

    fn say(&self) {
        let Some((_, measure)) = self.measures.first() else { return };
        let [mean, deviation] = self.moments();
        let spread = |x: f64| if measure.is_share { format!("{:.2} points", 100.0 * x) } else { format!("{x:.4}") };
        let values = self.values();
        let [low, high] = values.iter().fold([f64::INFINITY, f64::NEG_INFINITY], |[l, h], x| [l.min(*x), h.max(*x)]);
        say!(
            "{} other seeds      {} {}, deviation {}, from {} to {}",
            values.len(),
            measure.name,
            plain(mean, measure),
            if deviation.is_finite() { spread(deviation) } else { "not defined".into() },
            plain(low, measure),
            plain(high, measure)
        );
    }
}
