//! What a model is compared with: the prediction that needs no features, and a linear model.

use ndarray::{Array2, ArrayView1, Axis};
use schuss::{Control, Dataset, Evaluation, Loss, Model, Parts, Real, Targets, Task, Threads};
use schuss_data::Data;
use schuss_report::schema::{Baseline, Better};
use schuss_report::{difference, metric};

use crate::failure::{Failure, Result};
use crate::options::Options;
use crate::plan::{Plan, task_name};
use crate::values::Hidden;

/// The prediction that needs no features, and makes the main measure of such a loss best on `train`: how often each class or
/// label is there, of each number the mean, the median of the loss `mae`, the quantiles of `quantile`.
fn constant<'d>(train: Dataset, test: Dataset<'d>, task: Task, loss: Loss) -> Result<Evaluation<'d>> {
    let weight = |row: usize| train.weights().map_or(1.0, |weights| weights[row]);
    let total: f64 = (0..train.rows()).map(weight).sum();
    // The least value that so large a share of the rows does not exceed.
    let quantile = |column: ArrayView1<f64>, level: f64| {
        let mut rows: Vec<usize> = (0..column.len()).collect();
        rows.sort_unstable_by(|&a, &b| column[a].total_cmp(&column[b]));
        let mut below = 0.0;
        let reaches = |row: &&usize| {
            below += weight(**row);
            below >= level * total
        };
        rows.iter().find(reaches).or(rows.last()).map_or(0.0, |&row| column[row])
    };
    let prediction: Vec<f64> = match (train.targets(), task) {
        (Targets::Classes { labels, .. }, Task::Classification { classes }) => {
            let mut shares = vec![0.0; classes];
            labels.iter().enumerate().for_each(|(row, &label)| shares[label as usize] += weight(row) / total);
            shares
        }
        (Targets::Classes { .. }, _) => Vec::new(),
        (Targets::Values(values), _) => {
            let mean = |column: ArrayView1<f64>| {
                column.iter().enumerate().map(|(row, y)| weight(row) * y).sum::<f64>() / total
            };
            let of_column = |column: ArrayView1<f64>| match (task, loss) {
                (Task::Regression, Loss::Mae) => vec![quantile(column, 0.5)],
                (_, Loss::Quantile(levels)) => levels.levels().iter().map(|&level| quantile(column, level)).collect(),
                _ => vec![mean(column)],
            };
            values.columns().into_iter().flat_map(of_column).collect()
        }
    };
    let predictions = ArrayView1::from(&prediction).insert_axis(Axis(0));
    let predictions = predictions.broadcast((test.rows(), prediction.len())).map(|rows| rows.to_owned());
    let predictions = predictions.unwrap_or_else(|| Array2::zeros((test.rows(), 0)));
    let evaluation = match (task, loss) {
        (_, Loss::Quantile(levels)) => Evaluation::of_quantiles(levels, predictions, test),
        (Task::Regression, Loss::Mae) => Evaluation::of_medians(predictions, test),
        _ => Evaluation::of_predictions(task, task != Task::Regression, predictions, test),
    };
    evaluation.map_err(Failure::from)
}

/// What [`constant`] is called, and what it does in words.
pub fn constant_name(task: Task, loss: Loss) -> (&'static str, &'static str) {
    match (task, loss) {
        (Task::Classification { .. }, _) => ("majority class", "always answering the most frequent class"),
        (Task::MultiLabel { .. }, _) => ("shares of the labels", "answering by each label's share"),
        (Task::Regression, Loss::Quantile(_)) => {
            ("quantiles", "always answering the quantiles of the training targets")
        }
        (Task::Regression, Loss::Mae) => ("median", "always answering the median"),
        (Task::Regression, _) => ("mean", "always answering the mean"),
    }
}

/// The linear model that `schuss train --hidden none` makes of the same data, of numbers with the same loss, the rest of its
/// settings chosen to fit them.
fn linear<T: Real>(data: &Data, task: Task, loss: Loss, options: &Options, threads: &Threads) -> Result<Model<T>> {
    // Of rows that are not in memory, their sample is learnt from.
    let sample = data.train.stream.as_ref().map(|_| data.sample());
    let data = sample.as_ref().unwrap_or(data);
    // The inputs of a table need one that can embed them.
    let rows = data.train.targets.view().rows().max(1);
    let of_table = |value: &str| data.schema.as_ref().map(|_| value.to_string());
    let options = Options {
        data: options.data.clone(),
        preset: of_table("small"),
        valid: of_table("0"),
        epochs: data.schema.as_ref().map(|_| (600_000 / rows).clamp(8, 100)),
        task: Some(task_name(task).into()),
        loss: (task == Task::Regression).then(|| loss.to_string()),
        hidden: Some(Hidden(Vec::new())),
        precision: Some(if T::NAME == "f64" { "f64" } else { "f32" }.into()),
        evaluate: Some("at-end".into()),
        ..Options::default()
    };
    let plan = Plan::new(options, Vec::new(), Vec::new(), data)?;
    let parts = Parts::of(data.train.dataset()?);
    let mut model = plan.model::<T>(parts.train, threads)?;
    schuss::train(&mut model, parts, &plan.settings(parts.train)?, threads, |_| Control::Continue)?;
    Ok(model)
}

/// The baselines of a model that was evaluated on `dataset`: the constant one and, where it is asked for and the model is
/// not one itself, a linear model.
pub fn beside<T: Real>(
    model: &Model<T>,
    evaluation: &Evaluation,
    data: &Data,
    dataset: Dataset,
    options: &Options,
    with_linear: bool,
    threads: &Threads,
) -> Result<Vec<Baseline>> {
    let constant = constant(data.train.dataset()?, dataset, model.task, model.loss)?;
    let mut found = vec![baseline(constant_name(model.task, model.loss).0, &constant, evaluation, threads)?];
    if with_linear && model.network.sizes().len() > 2 {
        match linear::<T>(data, model.task, model.loss, options, threads) {
            Ok(linear) => {
                let linear = Evaluation::new(&linear, dataset, threads)?;
                found.push(baseline("linear model", &linear, evaluation, threads)?);
            }
            Err(failure) => eprintln!("note: no linear model to compare with: {failure}"),
        }
    }
    Ok(found)
}

/// A baseline beside the model: all its metrics, the main one with its interval.
fn baseline(name: &str, other: &Evaluation, model: &Evaluation, threads: &Threads) -> Result<Baseline> {
    let mut measures = other.values();
    measures[0] = other.main();
    Ok(Baseline {
        name: name.into(),
        metrics: measures.iter().map(metric).collect(),
        difference: Some(difference(&model.difference(other, threads)?)),
    })
}

/// What a baseline that is as good says of the model.
pub fn doubt(baseline: &Baseline) -> Option<String> {
    let difference = baseline.difference.as_ref()?;
    let name = &baseline.name;
    let is_better = match difference.better {
        Better::Higher => difference.value? > 0.0,
        Better::Lower => difference.value? < 0.0,
    };
    match (difference.is_noise, is_better) {
        (true, _) => Some(format!(
            "The difference to the baseline \"{name}\" is inside the noise: these rows do not show that the network is better."
        )),
        (false, false) => Some(format!("The baseline \"{name}\" is better than the network.")),
        (false, true) => None,
    }
}
