//! `schuss compare`: runs side by side, and which of their differences are more than noise.

use std::path::{Path, PathBuf};

use clap::Args;
use schuss::metrics::Measure;
use schuss::{Evaluation, Loss, ModelFile, Real, Threads};
use schuss_data::Data;
use schuss_report::html;
use schuss_report::schema::{Better, Comparison, Difference, Differing, Pair, Report, Run};
use serde_json::{Value, json};

use super::train::{prepare, show};
use super::{check_output, read_model, threads};
use crate::events;
use crate::events::say;
use crate::failure::{Failure, Result};
use crate::options::Options;
use crate::plan::{Plan, task_name};
use crate::report::{Subject, amount, counted, findings, judged, made};
use crate::run_folder::RunFolder;
use crate::values::Hidden;

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
    arguments.output.as_deref().map_or(Ok(()), check_output)?;
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
        tuning: None,
    };
    schuss::write_atomically(&path, html(&report).as_bytes())?;
    match arguments.json {
        true => eprintln!("note: the page is {}", path.display()),
        false => say!("page: {}", path.display()),
    }
    if arguments.open {
        show(&path);
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
        let of_config = |failure| {
            Failure::Failed(format!(
                "{0}: cannot be compared as its config.toml says: {failure}; where its data were moved, put them back or \
                 correct `data` in {0}/config.toml",
                folder.display()
            ))
        };
        let (plan, data) = prepare(RunFolder::config_of(&folder)?).map_err(of_config)?;
        check_fit(&folder, &file, &plan, &data)?;
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

/// Fails where a config is not that of the model beside it.
fn check_fit(folder: &Path, file: &ModelFile, plan: &Plan, data: &Data) -> Result<()> {
    let model = file.model::<f64>();
    let sizes = model.network.sizes();
    let of_model = [Hidden(sizes[1..sizes.len() - 1].to_vec()).to_string(), model.loss.to_string()];
    let options = &plan.options;
    let loss = options.loss.as_ref().and_then(|loss| loss.parse::<Loss>().ok());
    let of_config = [options.hidden.as_ref().map(Hidden::to_string), loss.map(|loss| loss.to_string())];
    for (name, (got, expected)) in ["hidden", "loss"].into_iter().zip(of_config.into_iter().zip(of_model)) {
        if got.as_ref().is_some_and(|got| *got != expected) && file.has_metadata {
            let (folder, got) = (folder.display(), got.unwrap_or_default());
            return Err(Failure::Failed(format!(
                "{folder}: config.toml is not that of the model beside it: expected {name} {expected} as in model.safetensors, got \
                 {got}; put back the config.toml that the run was made with, or train again"
            )));
        }
    }
    let judged = judged(data).1.dataset()?;
    model.check(judged).map_err(|error| {
        let folder = folder.display();
        Failure::Failed(format!(
            "{folder}: the model does not fit the data of its config.toml, {}: {error}; correct `data` in {folder}/config.toml",
            data.name
        ))
    })
}

type Measured<'d> = (Vec<Measure>, Evaluation<'d>);

/// Every run beside the first.
fn compare(runs: &[Compared], measured: &[Measured], threads: &Threads) -> Result<Comparison> {
    let first_of = &measured[0].1;
    let part = judged(&runs[0].data).0;
    let mut differences = Vec::new();
    let mut others = Vec::new();
    for (b, (measures, evaluation)) in measured.iter().enumerate().skip(1) {
        let are_others = |[run, first]: [&Compared; 2]| -> Result<bool> {
            let [(part, rows), (part_of_first, rows_of_first)] = [run, first].map(|run| judged(&run.data));
            // What presets make of a table's columns differs where the rows are the same; their targets do not.
            let is_table = run.data.schema.is_some() && first.data.schema.is_some();
            Ok(part != part_of_first
                || match is_table {
                    true => rows.targets.view() != rows_of_first.targets.view(),
                    false => rows.dataset()?.fingerprint() != rows_of_first.dataset()?.fingerprint(),
                })
        };
        let [task, first_task] = [&runs[b], &runs[0]].map(|run| task_name(run.file.model::<f64>().task));
        let obstacle = if task != first_task {
            format!("another task, {task}")
        } else if are_others([&runs[b], &runs[0]])? {
            "judged by other rows".into()
        } else if let Ok(difference) = evaluation.difference(first_of, threads) {
            differences.push(Pair { a: 0, b, difference: schuss_report::difference(&difference) });
            continue;
        } else {
            format!("judged by another measure, {}", measures[0].name)
        };
        others.push(format!("{} ({obstacle})", runs[b].folder.display()));
    }
    let mut notes = Vec::new();
    if !differences.is_empty() {
        notes.push(format!(
            "Differences to the first run on its {}, row by row, with intervals that hold the true difference in 95 % of all \
             cases; one whose interval holds 0 is inside the noise of these rows.",
            counted(first_of.rows(), &format!("{part} row"))
        ));
    }
    if !others.is_empty() {
        notes.push(format!("Not compared with the first run: {}.", others.join(", ")));
    }
    let note = notes.join(" ");
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
