//! `schuss evaluate`: how good a model is on data.

use std::path::PathBuf;

use clap::Args;
use schuss::{Dataset, Metrics, ModelFile, Real, Scores};
use schuss_data::{Data, Examples};
use serde_json::json;

use super::{open_data_for, read_model, threads, with_precision};
use crate::events;
use crate::events::say;
use crate::failure::{Failure, Result};

#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    subject: Subject,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// A model, and the rows of data that it is used on.
#[derive(Args, Debug)]
pub struct Subject {
    /// A model file, or a run folder
    model: PathBuf,
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
    /// The model, the rows, and whether these are all rows for want of a test part.
    pub fn open(&self) -> Result<(ModelFile, Examples, bool)> {
        let file = read_model(&self.model)?;
        let data = open_data_for(&file, &self.data, self.data_dir.clone(), self.skip_bad)?;
        let all_rows = data.test.is_none() && self.split.is_none();
        Ok((file, part(data, self.split.as_deref())?, all_rows))
    }
}

pub fn run(arguments: Arguments) -> Result<()> {
    let (file, examples, all_rows) = arguments.subject.open()?;
    let dataset = examples.dataset()?;
    let metrics = with_precision!(file.precision, evaluate(&file, dataset, arguments.subject.threads))?;
    if all_rows {
        eprintln!(
            "note: these data have no test part, so these are all rows, those of the training included; --split test \
             takes the 20 % that training holds out"
        );
    }
    if arguments.json {
        events::print(&json!({ "rows": dataset.rows(), "metrics": events::metrics(metrics) }));
        return Ok(());
    }
    say!("rows      {}", dataset.rows());
    say!("loss      {:.6}", metrics.loss);
    match metrics.scores {
        Scores::Classification { accuracy, log_loss } => {
            say!("accuracy  {:.2} %", 100.0 * accuracy);
            if let Some(log_loss) = log_loss {
                say!("log loss  {log_loss:.6} nats");
            }
        }
        Scores::MultiLabel { accuracy, exact, log_loss } => {
            say!(
                "accuracy  {:.2} % of the labels, {:.2} % of the rows with all labels right",
                100.0 * accuracy,
                100.0 * exact
            );
            if let Some(log_loss) = log_loss {
                say!("log loss  {log_loss:.6} nats a label");
            }
        }
        Scores::Regression { rmse, mae, r2 } => {
            say!("rmse      {rmse:.6}\nmae       {mae:.6}\nR²        {r2:.6}");
        }
    }
    Ok(())
}

/// The rows that are asked for: by default the data's own test part, all rows where there is none.
fn part(data: Data, split: Option<&str>) -> Result<Examples> {
    match split {
        None => Ok(data.test.unwrap_or(data.train)),
        Some("train") => Ok(data.with_test_split().train),
        Some(_) => {
            let none = || Failure::Failed("too few rows to split a test part off; leave --split out".into());
            data.with_test_split().test.ok_or_else(none)
        }
    }
}

fn evaluate<T: Real>(file: &ModelFile, dataset: Dataset, count: Option<usize>) -> Result<Metrics> {
    Ok(file.model::<T>().evaluate(dataset, &threads(count)?)?)
}
