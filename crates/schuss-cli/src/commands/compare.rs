//! `schuss compare`: runs side by side, and which of their differences are more than noise.

use std::path::PathBuf;

use clap::Args;
use schuss::metrics::Measure;
use schuss::{Evaluation, ModelFile, Real, Threads};
use schuss_data::Data;
use schuss_report::html;
use schuss_report::schema::{Better, Comparison, Difference, Differing, Pair, Report, Run};
use serde_json::{Value, json};

use super::train::{open, prepare};
use super::{read_model, threads};
use crate::events;
use crate::events::say;
use crate::failure::{Failure, Result};
use crate::options::Options;
use crate::report::{Subject, amount, findings, judged, made};
use crate::run_folder::RunFolder;

#[derive(Args, Debug)]
pub struct Arguments {
    /// Run folders, the first of them what the others are compared with
    #[arg(value_name = "RUN", required = true, num_args = 2..)]
    runs: Vec<PathBuf>,
    /// Write the page of the comparison there
    #[arg(long, short, value_name = "FILE.html")]
    output: Option<PathBuf>,
    /// Show the page in the browser
    #[arg(long)]
    open: bool,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
    /// Threads; never changes a result [default: all cores]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = crate::values::thread_count)]
    threads: Option<usize>,
}

/// One of the runs, on the data of its config.
struct Compared {
    folder: PathBuf,
    options: Options,
    file: ModelFile,
    data: Data,
}

pub fn run(arguments: Arguments) -> Result<()> {
    let threads = threads(arguments.threads)?;
    let runs: Vec<Compared> =
        arguments.runs.iter().map(|folder| Compared::open(folder.clone())).collect::<Result<_>>()?;
    let mut pages = Vec::new();
    let mut measured = Vec::new();
    for run in &runs {
        let (page, measures, evaluation) = match run.file.precision {
            schuss::Precision::F32 => run.measure::<f32>(&threads)?,
            schuss::Precision::F64 => run.measure::<f64>(&threads)?,
        };
        pages.push(page);
        measured.push((measures, evaluation));
    }
    let comparison = compare(&runs, &measured, &threads)?;
    if arguments.json {
        events::print(&to_json(&runs, &measured, &comparison));
    } else {
        say_all(&runs, &measured, &comparison);
    }
    if arguments.output.is_none() && !arguments.open {
        return Ok(());
    }
    let path = arguments.output.unwrap_or_else(|| "comparison.html".into());
    let names: Vec<_> = pages.iter().map(|page| page.name.clone()).collect();
    let report = Report {
        version: 1,
        title: names.join(" and "),
        made: made(),
        schuss: env!("CARGO_PKG_VERSION").into(),
        runs: pages,
        comparison: Some(comparison),
    };
    schuss::write_atomically(&path, html(&report).as_bytes())?;
    match arguments.json {
        true => eprintln!("note: the page is {}", path.display()),
        false => say!("page: {}", path.display()),
    }
    if arguments.open {
        open(&path);
    }
    Ok(())
}

impl Compared {
    fn open(folder: PathBuf) -> Result<Self> {
        if !folder.join("config.toml").is_file() {
            return Err(Failure::Failed(format!(
                "{}: expected a run folder, there is no config.toml in it",
                folder.display()
            )));
        }
        let file = read_model(&folder)?;
        let (plan, data) = prepare(RunFolder::config_of(&folder)?)?;
        Ok(Self { folder, options: plan.options, file, data })
    }

    fn measure<T: Real>(&self, threads: &Threads) -> Result<(Run, Vec<Measure>, Evaluation<'_>)> {
        let model = self.file.model::<T>();
        let name = self.folder.display().to_string();
        let [lines, details] = [RunFolder::metrics_of(&self.folder)?, RunFolder::details_of(&self.folder)?];
        let (options, data) = (&self.options, &self.data);
        let subject = Subject {
            name: &name,
            options,
            data,
            model: &model,
            lines: &lines,
            details: &details,
            problem: None,
            threads,
        };
        let findings = findings(&subject)?;
        Ok((findings.run, findings.measures, findings.evaluation))
    }
}

type Measured<'d> = (Vec<Measure>, Evaluation<'d>);

/// Every run beside the first.
fn compare(runs: &[Compared], measured: &[Measured], threads: &Threads) -> Result<Comparison> {
    let first_of = &measured[0].1;
    let part = judged(&runs[0].data).0;
    let rows = first_of.rows();
    let mut differences = Vec::new();
    let mut others = Vec::new();
    for (b, (_, evaluation)) in measured.iter().enumerate().skip(1) {
        let fingerprint = |run: &Compared| judged(&run.data).1.dataset().map(|dataset| dataset.fingerprint());
        let is_same = judged(&runs[b].data).0 == part && fingerprint(&runs[b])? == fingerprint(&runs[0])?;
        match is_same.then(|| evaluation.difference(first_of, threads)) {
            Some(Ok(difference)) => {
                differences.push(Pair { a: 0, b, difference: schuss_report::difference(&difference) })
            }
            // Other rows, or another task.
            _ => others.push(runs[b].folder.display().to_string()),
        }
    }
    let mut note = format!(
        "Differences to the first run on its {rows} {part} rows, row by row, with intervals that hold the true difference in \
         95 % of all cases; one whose interval holds 0 is inside the noise of these rows."
    );
    if !others.is_empty() {
        note += &format!(" Not compared, as it is judged by other rows: {}.", others.join(", "));
    }
    Ok(Comparison { note, differences, settings: differing(runs) })
}

/// The settings in which the runs differ.
fn differing(runs: &[Compared]) -> Vec<Differing> {
    let tables: Vec<Vec<(String, String)>> = runs.iter().map(|run| run.options.in_words()).collect();
    let mut names: Vec<&String> = Vec::new();
    for (name, _) in tables.iter().flatten() {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let value = |table: &Vec<(String, String)>, name: &String| {
        table.iter().find(|(known, _)| known == name).map_or("–".to_string(), |(_, value)| value.clone())
    };
    let row = |name: &String| Differing {
        name: name.clone(),
        values: tables.iter().map(|table| value(table, name)).collect(),
    };
    names.into_iter().map(row).filter(|row| row.values.iter().any(|value| *value != row.values[0])).collect()
}

/// A difference in words: how large, and whether it is more than noise.
fn words(difference: &Difference) -> String {
    let Some(value) = difference.value else { return "not defined".into() };
    let (factor, unit, digits) = if difference.is_share { (100.0, " points", 2) } else { (1.0, "", 4) };
    let number = |x: f64| format!("{:+.digits$}", factor * x);
    let interval = match (difference.low, difference.high) {
        (Some(low), Some(high)) => format!(" (95 %: {} to {})", number(low), number(high)),
        _ => String::new(),
    };
    let is_better = (value > 0.0) == (difference.better == Better::Higher);
    let verdict = match (difference.is_noise, is_better) {
        (true, _) => "inside the noise",
        (false, true) => "better",
        (false, false) => "worse",
    };
    format!("{}{unit}{interval}: {verdict}", number(value))
}

fn say_all(runs: &[Compared], measured: &[Measured], comparison: &Comparison) {
    for (i, (run, (measures, _))) in runs.iter().zip(measured).enumerate() {
        say!("{} {}", i + 1, run.folder.display());
        for measure in measures.iter().take(4) {
            say!("    {:<18} {}", measure.name, amount(measure));
        }
        for pair in comparison.differences.iter().filter(|pair| pair.b == i) {
            say!("    {:<18} {}", format!("less {}", pair.a + 1), words(&pair.difference));
        }
    }
    if !comparison.settings.is_empty() {
        say!("settings that differ");
    }
    for Differing { name, values } in &comparison.settings {
        say!("    {name:<18} {}", values.join("  |  "));
    }
    say!("{}", comparison.note);
}

fn to_json(runs: &[Compared], measured: &[Measured], comparison: &Comparison) -> Value {
    let run = |(run, (measures, _)): (&Compared, &Measured)| {
        let metrics: serde_json::Map<_, _> = measures
            .iter()
            .map(|measure| (measure.key.to_string(), measure.value.map_or(Value::Null, events::number)))
            .collect();
        json!({ "run": run.folder.display().to_string(), "part": judged(&run.data).0, "metrics": metrics })
    };
    json!({
        "runs": runs.iter().zip(measured).map(run).collect::<Vec<_>>(),
        "differences": comparison.differences,
        "settings": comparison.settings,
        "note": comparison.note,
    })
}
