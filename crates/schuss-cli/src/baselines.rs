//! What a model is compared with: the prediction that needs no features, and a linear model.

use ndarray::{Array2, ArrayView1, Axis};
use schuss::{Control, Dataset, Evaluation, Model, Parts, Real, Targets, Task, Threads};
use schuss_data::Data;

use crate::failure::{Failure, Result};
use crate::options::Options;
use crate::plan::{Plan, task_name};
use crate::values::Hidden;

/// The prediction that needs no features: how often each class or label is there in `train`, the mean of each number.
pub fn constant<'d>(train: Dataset, test: Dataset<'d>, task: Task) -> Result<Evaluation<'d>> {
    let weight = |row: usize| train.weights().map_or(1.0, |weights| weights[row]);
    let total: f64 = (0..train.rows()).map(weight).sum();
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
            values.columns().into_iter().map(mean).collect()
        }
    };
    let predictions = ArrayView1::from(&prediction).insert_axis(Axis(0));
    let predictions = predictions.broadcast((test.rows(), prediction.len())).map(|rows| rows.to_owned());
    let predictions = predictions.unwrap_or_else(|| Array2::zeros((test.rows(), 0)));
    Evaluation::of_predictions(task, task != Task::Regression, predictions, test).map_err(Failure::from)
}

/// What [`constant`] is called.
pub fn constant_name(task: Task) -> &'static str {
    match task {
        Task::Classification { .. } => "majority class",
        Task::MultiLabel { .. } => "shares of the labels",
        Task::Regression => "mean",
    }
}

/// The linear model that `schuss train --hidden none` makes of the same data, the rest of its settings chosen to fit them.
pub fn linear<T: Real>(data: &Data, task: Task, options: &Options, threads: &Threads) -> Result<Model<T>> {
    let options = Options {
        data: options.data.clone(),
        task: Some(task_name(task).into()),
        hidden: Some(Hidden(Vec::new())),
        precision: Some(if T::NAME == "f64" { "f64" } else { "f32" }.into()),
        evaluate: Some("at-end".into()),
        ..Options::default()
    };
    let plan = Plan::new(options, data)?;
    let parts = Parts::of(data.train.dataset()?);
    let mut model = plan.model::<T>(parts.train)?;
    schuss::train(&mut model, parts, &plan.settings(parts.train)?, threads, |_| Control::Continue)?;
    Ok(model)
}
