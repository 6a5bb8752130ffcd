//! `schuss predict`: a model's predictions as CSV.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use ndarray::Array2;
use schuss::{Features, Model, ModelFile, Precision, Real, Task, argmax};

use super::evaluate::Subject;
use super::{threads, with_precision};
use crate::failure::{Failure, Result};

#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    subject: Subject,
    /// The CSV file [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub fn run(arguments: Arguments) -> Result<()> {
    let (file, features) = arguments.subject.open_features()?;
    let csv = with_precision!(file.precision, csv(&file, features.view(), arguments.subject.threads))?;
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

fn csv<T: Real>(file: &ModelFile, features: Features, count: Option<usize>) -> Result<String> {
    let model = file.model::<T>();
    let predictions = model.predict(features, &threads(count)?)?;
    Ok(to_csv(&predictions, &model, file.precision))
}

/// A field of CSV: quoted where it has to be.
fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.into() }
}

/// `prediction`, then a column for each class, by its name where it has one; for numbers `prediction`, or one column for each output. Numbers have the
/// fewest digits that read back as the same number.
fn to_csv<T: Real>(predictions: &Array2<f64>, model: &Model<T>, precision: Precision) -> String {
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
    let mut csv = heads.join(",") + "\n";
    for row in predictions.rows() {
        let numbers: Vec<String> = row.iter().map(|&x| number(x)).collect();
        // Writing to a string does not fail.
        let _ = match task {
            Task::Classification { .. } => writeln!(csv, "{},{}", class(argmax(row)), numbers.join(",")),
            Task::MultiLabel { .. } | Task::Regression => writeln!(csv, "{}", numbers.join(",")),
        };
    }
    csv
}
