//! `schuss predict`: a model's predictions as CSV.

use std::fmt::Write as _;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use ndarray::{Array2, ArrayView1};
use schuss::{Features, Model, ModelFile, Precision, Real, Stream, Task, argmax};

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
    let (file, features, stream) = arguments.subject.open_features()?;
    let Arguments { subject, coverage, output } = arguments;
    let write = |out: &mut dyn Write, path: &Path| {
        let rows = Rows { features: features.view(), stream: stream.as_deref().map(|stream| stream as &dyn Stream) };
        with_precision!(file.precision, predict(&file, rows, coverage, subject.threads, out, path))
    };
    match output {
        Some(path) => schuss::write_atomically_with(&path, |out| write(&mut BufWriter::new(out), &path)),
        None => write(&mut std::io::stdout().lock(), Path::new(STANDARD_OUTPUT)),
    }
}

const STANDARD_OUTPUT: &str = "standard output";

/// Rows to predict: these or, where they are a sample, those of a packed file.
struct Rows<'d> {
    features: Features<'d>,
    stream: Option<&'d dyn Stream>,
}

fn predict<T: Real>(
    file: &ModelFile,
    rows: Rows,
    coverage: Option<f64>,
    count: Option<usize>,
    out: &mut dyn Write,
    path: &Path,
) -> Result<()> {
    let model = file.model::<T>();
    let quantile = coverage.map(|coverage| quantile(&model, coverage)).transpose()?;
    let threads = threads(count)?;
    let mut write = |text: String| match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // A reader that has seen enough is no failure.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::Failed(format!("cannot write {}: {error}", path.display()))),
        Ok(()) => Ok(true),
    };
    model.check_features(rows.features)?;
    if !write(head(&model, quantile))? {
        return Ok(());
    }
    let mut write_rows = |features: Features| {
        let predictions = model.predict(features, &threads)?;
        write(to_csv(&predictions, &model, quantile, file.precision))
    };
    let Some(stream) = rows.stream else { return write_rows(rows.features).map(drop) };
    let blocks: Vec<u32> = (0..stream.blocks().len() as u32).collect();
    let windows: Vec<Vec<u32>> = blocks.chunks(stream.window_blocks()).map(<[u32]>::to_vec).collect();
    let count = windows.len();
    let mut windows = stream.read(windows, 0);
    for _ in 0..count {
        let window = windows.next()?;
        if !write_rows(window.dataset().features())? {
            break;
        }
        windows.give_back(window);
    }
    Ok(())
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

/// The names of the columns of [`to_csv`].
fn head<T: Real>(model: &Model<T>, quantile: Option<f64>) -> String {
    let task = model.task;
    let heads: Vec<String> = match task {
        Task::Classification { classes } => {
            let kind = if model.predicts_probabilities() { "probability" } else { "output" };
            std::iter::once("prediction".into())
                .chain(
                    (0..classes)
                        .map(|i| field(&format!("{kind}_{}", model.class_names.get(i).unwrap_or(&i.to_string())))),
                )
                .collect()
        }
        Task::MultiLabel { labels } => (0..labels).map(|label| format!("probability_{label}")).collect(),
        Task::Regression if model.prediction_width() == 1 => vec!["prediction".into()],
        Task::Regression => (0..model.prediction_width()).map(|output| format!("prediction_{output}")).collect(),
    };
    let more: &[&str] = match (quantile, task) {
        (None, _) => &[],
        (Some(_), Task::Regression) => &["low", "high"],
        (Some(_), _) => &["set"],
    };
    let heads: Vec<String> = heads.into_iter().chain(more.iter().map(ToString::to_string)).collect();
    heads.join(",") + "\n"
}

/// `prediction`, then a column for each class, by its name where it has one; for numbers `prediction`, or one column for each output. Numbers have the
/// fewest digits that read back as the same number.
///
/// With a conformal `quantile` there is more behind them: `set`, the classes with commas between them, or `low` and `high`.
fn to_csv<T: Real>(predictions: &Array2<f64>, model: &Model<T>, quantile: Option<f64>, precision: Precision) -> String {
    let task = model.task;
    let class = |class: usize| model.class_names.get(class).map_or(class.to_string(), |name| field(name));
    let number = |x: f64| match precision {
        Precision::F32 => format!("{:?}", x as f32),
        Precision::F64 => format!("{x:?}"),
    };
    let names = |class: usize| model.class_names.get(class).cloned().unwrap_or_else(|| class.to_string());
    let covered = |row: ArrayView1<f64>, quantile: f64| match task {
        Task::Regression => vec![number(row[0] - quantile), number(row[0] + quantile)],
        _ => {
            let classes = row.iter().enumerate().filter(|(_, p)| 1.0 - **p <= quantile);
            vec![field(&classes.map(|(class, _)| names(class)).collect::<Vec<_>>().join(","))]
        }
    };
    let mut csv = String::new();
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
