//! Networks and optimisers from the plain values that the package hands over.

use std::str::FromStr;

use pyo3::prelude::*;
use schuss::{Activation, Init, Loss, Mlp, Model, Network, NormKind, Optimizer, Real, Task};

use crate::failure::Result;

/// A new network, everything chosen.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Description {
    pub dtype: String,
    sizes: Vec<usize>,
    activation: String,
    #[pyo3(item("final"))]
    last: String,
    softmax_epsilon: f64,
    loss: String,
    task: String,
    norm: Option<String>,
    dropout: f64,
    input_dropout: f64,
    residual: bool,
    init: String,
    seed: u64,
    class_names: Vec<String>,
}

impl Description {
    pub fn model<T: Real>(&self) -> Result<Model<T>> {
        let activation = |name: &str| Activation::from_name(name).map(|f| f.with_epsilon(self.softmax_epsilon));
        let norm = match self.norm.as_deref() {
            None => None,
            Some("layer") => Some(NormKind::Layer),
            Some("batch") => Some(NormKind::Batch),
            Some(other) => return Err(schuss::Error::value("norm", "'layer', 'batch' or None", other).into()),
        };
        let mlp = Mlp {
            norm,
            dropout: self.dropout,
            input_dropout: self.input_dropout,
            residual: self.residual,
            ..Mlp::new(&self.sizes, activation(&self.activation)?, activation(&self.last)?)
        };
        let mut network = Network::of_layers(mlp.layers()?)?;
        Init::from_str(&self.init)?.draw(&mut network, self.seed);
        let loss = Loss::from_str(&self.loss)?;
        let outputs = network.outputs();
        let task = match self.task.as_str() {
            // One logit tells two classes apart.
            "classification" if outputs == 1 && loss == Loss::BinaryCrossEntropy => Task::Classification { classes: 2 },
            "classification" => Task::Classification { classes: outputs },
            "multi-label" => Task::MultiLabel { labels: outputs },
            "regression" => Task::Regression,
            other => {
                let expected = "'classification', 'multi-label' or 'regression'";
                return Err(schuss::Error::value("task", expected, other).into());
            }
        };
        Ok(Model { class_names: self.class_names.clone(), ..Model::new(network, loss, task) })
    }
}

/// The optimiser of this name with these constants.
pub fn optimizer(name: &str, constants: &[(String, f64)]) -> Result<Optimizer> {
    let set = |optimizer: Optimizer, (name, value): &(String, f64)| optimizer.with(name, *value);
    Ok(constants.iter().try_fold(Optimizer::from_name(name)?, set)?)
}

/// Classes that a model tells apart; as many as fit anything where it does not.
pub fn classes<T: Real>(model: &Model<T>) -> usize {
    if let Task::Classification { classes } = model.task { classes } else { model.network.outputs() }
}
