//! Training as scikit-learn's networks are trained: epochs in an order that Python draws, after each of which Python says
//! whether, and with which learning rate, to go on.

use numpy::PyReadonlyArray1;
use pyo3::Borrowed;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use schuss::{Dataset, Error, Loss, Metrics, Model, Optimizer, Scores, Settings, Trainer};

use crate::data::Part;
use crate::describe::{classes, optimizer};
use crate::failure::{DivergedError, Failure, Result};
use crate::network::{Number, Shared, Signals, threads};

/// What the steps are made with.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Recipe {
    optimizer: String,
    constants: Vec<(String, f64)>,
    batch_size: usize,
    /// α of the penalty α/2 Σ W²/m over weights, m the rows of the batch, or what they count.
    alpha: f64,
    threads: Option<usize>,
    /// Whether the optimiser remembers what it knew after the last epochs.
    goes_on: bool,
    first: Next,
}

/// The next epoch: its learning rate, and the order of its rows if that is another than before.
#[derive(FromPyObject)]
pub struct Next(f64, Option<Order>);

/// Rows, of an array of NumPy's usual integers.
struct Order(Vec<u32>);

impl<'a, 'py> FromPyObject<'a, 'py> for Order {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let array: PyReadonlyArray1<i64> = object.extract()?;
        let rows = array.as_array().iter().map(|&row| u32::try_from(row)).collect::<std::result::Result<_, _>>();
        Ok(Self(rows.map_err(|_| PyValueError::new_err("order: expected rows of the data, got one that is none"))?))
    }
}

/// What Python is told of an epoch: the mean loss with its penalty, the validation data's loss and score, and the largest
/// component of the gradient where the optimiser stops by it.
type Told = (f64, Option<(f64, f64)>, Option<f64>);

const NOT_FINITE: &str = "Solver produced non-finite parameter weights. The input data may contain large values and need to be \
                          preprocessed.";

pub fn epochs<T: Number>(
    py: Python,
    shared: &Shared<T>,
    train: &Part,
    valid: Option<&Part>,
    recipe: Recipe,
    on_epoch: &Py<PyAny>,
) -> Result<()> {
    let mut model = (*shared.model()).clone();
    let dataset = train.dataset(classes(&model))?;
    let valid = valid.map(|part| part.dataset(classes(&model))).transpose()?;
    let settings = Settings {
        optimizer: optimizer(&recipe.optimizer, &recipe.constants)?,
        batch_size: recipe.batch_size,
        l2_on_biases: false,
        ..Settings::default()
    };
    let kept = shared.take_optimizer().filter(|_| recipe.goes_on);
    let result = py.detach(|| -> Result<_> {
        let threads = threads(recipe.threads, model.network.step_operations(recipe.batch_size.min(dataset.rows())))?;
        let mut trainer = Trainer::new(&mut model, dataset, &settings, &threads)?;
        kept.map_or(Ok(()), |optimizer| trainer.set_optimizer(optimizer))?;
        let mut best = None;
        let tell = |told: Told| Python::attach(|py| Ok(on_epoch.call1(py, told)?.extract::<Option<Next>>(py)?));
        let result = train_epochs(&mut trainer, dataset, valid, recipe, &mut best, tell);
        let optimizer = trainer.into_optimizer();
        if let Some((_, parameters)) = best {
            model.network.parameters_mut().copy_from_slice(&parameters);
        }
        Ok((result, optimizer))
    });
    let (result, optimizer) = result?;
    if model.network.parameters().iter().all(|parameter| parameter.is_finite()) {
        shared.put(model);
        shared.put_optimizer(Some(optimizer));
    }
    result
}

/// The best validation score, and its parameters.
type Best<T> = Option<(f64, Vec<T>)>;

fn train_epochs<T: Number>(
    trainer: &mut Trainer<T>,
    dataset: Dataset,
    valid: Option<Dataset>,
    recipe: Recipe,
    best: &mut Best<T>,
    tell: impl Fn(Told) -> Result<Option<Next>>,
) -> Result<()> {
    let Recipe { batch_size, alpha, first, .. } = recipe;
    let threads = trainer.workspace().threads().clone();
    let rows = dataset.rows();
    let mean_weight = dataset.weights().map_or(1.0, |weights| weights.iter().sum::<f64>() / rows as f64);
    // The mean over the outputs, where the core has the sum.
    let share = if trainer.model().loss == Loss::Mse { 1.0 / trainer.model().network.outputs() as f64 } else { 1.0 };
    let has_slope = matches!(trainer.settings().optimizer, Optimizer::Lbfgs { .. });
    let mut order: Vec<u32> = (0..rows as u32).collect();
    let mut next = first;
    let mut signals = Signals::new();
    loop {
        let Next(learning_rate, given) = next;
        if let Some(Order(given)) = given {
            check_order(&given, rows)?;
            order = given;
        }
        let (mut loss, mut penalty) = (0.0, 0.0);
        for batch in order.chunks(batch_size) {
            let l2 = alpha / (2.0 * batch.len() as f64 * mean_weight);
            trainer.set_l2(l2);
            if alpha > 0.0 {
                penalty += l2 * batch.len() as f64 * squared_weights(trainer.model());
            }
            let of_batch = trainer.step(batch, learning_rate);
            let of_batch = of_batch.ok_or_else(|| Failure::Python(DivergedError::new_err(NOT_FINITE)))?;
            loss += of_batch * batch.len() as f64;
            signals.check()?;
        }
        let loss = (share * loss + penalty) / rows as f64;
        let metrics = valid.map(|valid| trainer.model().evaluate(valid, &threads)).transpose()?;
        let of_valid = metrics.map(|metrics| (share * metrics.loss, score(metrics)));
        if let Some((_, score)) = of_valid
            && best.as_ref().is_none_or(|(best, _)| score > *best)
        {
            *best = Some((score, trainer.model().network.parameters().to_vec()));
        }
        let largest = || trainer.workspace().gradient().iter().fold(0.0f64, |most, g| most.max(g.to_f64().abs()));
        match tell((loss, of_valid, has_slope.then(largest)))? {
            Some(answer) => next = answer,
            None => return Ok(()),
        }
    }
}

/// Σ W² over the weights of dense layers.
fn squared_weights<T: Number>(model: &Model<T>) -> f64 {
    let weights = model.network.segments().iter().filter(|segment| segment.shape.len() == 2);
    weights.map(|segment| squares(&model.network.parameters()[segment.range.clone()])).sum()
}

/// Σ x², in several sums at a time, which do not wait for each other.
fn squares<T: Number>(values: &[T]) -> f64 {
    let mut sums = [0.0; 8];
    for chunk in values.chunks(sums.len()) {
        sums.iter_mut().zip(chunk).for_each(|(sum, value)| *sum += value.to_f64() * value.to_f64());
    }
    sums.iter().sum()
}

/// What scikit-learn's `score` is of such targets.
fn score(metrics: Metrics) -> f64 {
    match metrics.scores {
        Scores::Classification { accuracy, .. } => accuracy,
        Scores::MultiLabel { exact, .. } => exact,
        Scores::Regression { r2, .. } => r2,
    }
}

fn check_order(order: &[u32], rows: usize) -> Result<()> {
    match order.iter().find(|&&row| row as usize >= rows) {
        Some(row) => Err(Error::value("row of an order", format!("one below {rows}"), row).into()),
        None => Ok(()),
    }
}
