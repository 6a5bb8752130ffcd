//! `schuss predict`: a model's predictions as CSV.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use ndarray::Array2;
use schuss::{Features, ModelFile, Precision, Real, Task, argmax};

use super::evaluate::part;
use super::{open_data_for, read_model, threads, with_precision};
use crate::failure::{Failure, Result};

#[derive(Args, Debug)]
pub struct Arguments {
    /// A model file, or a run folder
    model: PathBuf,
    /// digits, mnist, fashion-mnist, an NPZ file, or a folder of IDX files
    data: String,
    /// The CSV file [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Which rows [default: the data's test part; all rows where it has none]
    #[arg(long, value_parser = ["test", "train"])]
    split: Option<String>,
    /// Where named data sets are looked for
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Threads; never changes a result [default: all cores]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = crate::options::thread_count)]
    threads: Option<usize>,
}

pub fn run(arguments: Arguments) -> Result<()> {
    let file = read_model(&arguments.model)?;
    let data = open_data_for(&file, &arguments.data, arguments.data_dir)?;
    let examples = part(data, arguments.split.as_deref())?;
    let csv = with_precision!(file.precision, csv(&file, examples.features.view(), arguments.threads))?;
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
    Ok(to_csv(&predictions, model.task, model.predicts_probabilities(), file.precision))
}

/// `prediction`, then a column for each class; for numbers `prediction`, or one column for each output. Numbers have the
/// fewest digits that read back as the same number.
fn to_csv(predictions: &Array2<f64>, task: Task, probabilities: bool, precision: Precision) -> String {
    let number = |x: f64| match precision {
        Precision::F32 => format!("{:?}", x as f32),
        Precision::F64 => format!("{x:?}"),
    };
    let heads: Vec<String> = match task {
        Task::Classification { classes } => {
            let kind = if probabilities { "probability" } else { "output" };
            std::iter::once("prediction".into()).chain((0..classes).map(|class| format!("{kind}_{class}"))).collect()
        }
        Task::Regression if predictions.ncols() == 1 => vec!["prediction".into()],
        Task::Regression => (0..predictions.ncols()).map(|output| format!("prediction_{output}")).collect(),
    };
    let mut csv = heads.join(",") + "\n";
    for row in predictions.rows() {
        let numbers: Vec<String> = row.iter().map(|&x| number(x)).collect();
        // Writing to a string does not fail.
        let _ = match task {
            Task::Classification { .. } => writeln!(csv, "{},{}", argmax(row), numbers.join(",")),
            Task::Regression => writeln!(csv, "{}", numbers.join(",")),
        };
    }
    csv
}
