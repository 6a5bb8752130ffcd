//! `schuss predict`: a model's predictions as CSV.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use ndarray::{Array2, ArrayView1};
use schuss::{Features, Model, ModelFile, Precision, Real, Task, argmax};

use super::evaluate::Subject;
use super::{threads, with_precision};
use crate::failure::{Failure, Result};

#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    subject: Subject,
    /// Say beside a prediction what holds the truth with this probability, such as 0.9: a set of classes, or an interval
    #[arg(long, value_name = "SHARE", allow_hyphen_values = true, value_parser = crate::values::share)]
    coverage: Option<f64>,
    /// The CSV file [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub fn run(arguments: Arguments) -> Result<()> {
    let (file, features) = arguments.subject.open_features()?;
    let csv =
        with_precision!(file.precision, csv(&file, features.view(), arguments.coverage, arguments.subject.threads))?;
    match arguments.output {
        Some(path) => Ok(schuss::write_atomically(&path, csv.as_bytes())?),
        None => match std::io::stdout().lock().write_all(csv.as_bytes()) {
            // A reader that has seen enough is no failure.
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Failure::Failed(format!("cannot write to standard output: {error}")))
            }
            _ => Ok(()),
        },
    }
}

fn csv<T: Real>(file: &ModelFile, features: Features, coverage: Option<f64>, count: Option<usize>) -> Result<String> {
    let model = file.model::<T>();
    let quantile = coverage.map(|coverage| quantile(&model, coverage)).transpose()?;
    let predictions = model.predict(features, &threads(count)?)?;
    Ok(to_csv(&predictions, &model, quantile, file.precision))
}

/// How far the truth is off at most, as often as `coverage` says.
pub fn quantile<T: Real>(model: &Model<T>, coverage: f64) -> Result<f64> {
    let Some(conformal) = &model.conformal else {
        let reason = match model.has_conformal() {
            true => {
                "it was trained without validation rows, from which the distance would be known; train with --valid 0.2"
            }
            false => "there are none of several labels or numbers, nor of classes without probabilities",
        };
        return Err(Failure::Failed(format!("--coverage: the model has no sets or intervals: {reason}")));
    };
    conformal.quantile(coverage).ok_or_else(|| {
        let rows = conformal.rows();
        let most = rows as f64 / (rows + 1) as f64;
        Failure::Failed(format!(
            "--coverage {coverage}: expected more than 0 and at most {most:.4}, which is what {rows} validation rows can say"
        ))
    })
}

/// A field of CSV: quoted where it has to be.
fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.into() }
}

/// `prediction`, then a column for each class, by its name where it has one; for numbers `prediction`, or one column for each output. Numbers have the
/// fewest digits that read back as the same number.
///
/// With a conformal `quantile` there is more behind them: `set`, the classes with commas between them, or `low` and `high`.
fn to_csv<T: Real>(predictions: &Array2<f64>, model: &Model<T>, quantile: Option<f64>, precision: Precision) -> String {
    let (task, probabilities) = (model.task, model.predicts_probabilities());
    let class = |class: usize| model.class_names.get(class).map_or(class.to_string(), |name| field(name));
    let number = |x: f64| match precision {
        Precision::F32 => format!("{:?}", x as f32),
        Precision::F64 => format!("{x:?}"),
    };
    let heads: Vec<String> = match task {
        Task::Classification { classes } => {
            let kind = if probabilities { "probability" } else { "output" };
            std::iter::once("prediction".into())
                .chain(
                    (0..classes)
                        .map(|i| field(&format!("{kind}_{}", model.class_names.get(i).unwrap_or(&i.to_string())))),
                )
                .collect()
        }
        Task::MultiLabel { labels } => (0..labels).map(|label| format!("probability_{label}")).collect(),
        Task::Regression if predictions.ncols() == 1 => vec!["prediction".into()],
        Task::Regression => (0..predictions.ncols()).map(|output| format!("prediction_{output}")).collect(),
    };
    let more: &[&str] = match (quantile, task) {
        (None, _) => &[],
        (Some(_), Task::Regression) => &["low", "high"],
        (Some(_), _) => &["set"],
    };
    let heads: Vec<String> = heads.into_iter().chain(more.iter().map(ToString::to_string)).collect();
    let names = |class: usize| model.class_names.get(class).cloned().unwrap_or_else(|| class.to_string());
    let covered = |row: ArrayView1<f64>, quantile: f64| match task {
        Task::Regression => vec![number(row[0] - quantile), number(row[0] + quantile)],
        _ => {
            let classes = row.iter().enumerate().filter(|(_, p)| 1.0 - **p <= quantile);
            vec![field(&classes.map(|(class, _)| names(class)).collect::<Vec<_>>().join(","))]
        }
    };
    let mut csv = heads.join(",") + "\n";
    for row in predictions.rows() {
        let mut numbers: Vec<String> = row.iter().map(|&x| number(x)).collect();
        numbers.extend(quantile.into_iter().flat_map(|quantile| covered(row, quantile)));
        // Writing to a string does not fail.
        let _ = match task {
            Task::Classification { .. } => writeln!(csv, "{},{}", class(argmax(row)), numbers.join(",")),
            Task::MultiLabel { .. } | Task::Regression => writeln!(csv, "{}", numbers.join(",")),
        };
    }
    csv
}
