//! candle on the CPU: tensors, `backward_step`, and candle-nn's layers and optimisers.

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::{AdamW, Linear, Module, Optimizer, ParamsAdamW, SGD, VarBuilder, VarMap, linear, loss, ops};
use timing::Row;

/// The layers, with the activation between them.
struct Network {
    layers: Vec<Linear>,
    tanh: bool,
}

impl Network {
    fn new(row: &Row, parameters: VarBuilder) -> Result<Self> {
        let sizes = row.sizes.windows(2).enumerate();
        let layers = sizes.map(|(i, size)| linear(size[0], size[1], parameters.pp(i))).collect::<Result<_>>()?;
        Ok(Self { layers, tanh: row.activation == "tanh" })
    }

    fn forward(&self, inputs: &Tensor) -> Result<Tensor> {
        let (last, hidden) = self.layers.split_last().expect("a layer");
        let mut x = inputs.clone();
        for layer in hidden {
            let sums = layer.forward(&x)?;
            x = if self.tanh { sums.tanh()? } else { sums.relu()? };
        }
        last.forward(&x)
    }
}

/// Inputs and targets.
type Batch = (Tensor, Tensor);

fn batches(row: &Row) -> Result<Vec<Batch>> {
    let tensors = |batch: timing::Batch| {
        let inputs = Tensor::from_vec(batch.inputs, (row.batch, row.inputs()), &Device::Cpu)?;
        let targets = match row.loss.as_str() {
            "mse" => Tensor::from_vec(batch.numbers, (row.batch, row.outputs()), &Device::Cpu)?,
            _ => Tensor::from_vec(batch.labels, row.batch, &Device::Cpu)?,
        };
        Ok((inputs, targets))
    };
    row.data().into_iter().map(tensors).collect()
}

fn train(row: &Row, network: &Network, batches: &[Batch], mut optimizer: impl Optimizer) {
    let mut step = |(inputs, targets): &Batch| {
        let outputs = network.forward(inputs)?;
        let loss = match row.loss.as_str() {
            "mse" => loss::mse(&outputs, targets)?,
            _ => loss::cross_entropy(&outputs, targets)?,
        };
        optimizer.backward_step(&loss)
    };
    row.time(|steps| batches.iter().cycle().take(steps).for_each(|batch| step(batch).expect("a step")));
}

fn predict(row: &Row, network: &Network, batches: &[Batch]) {
    let probabilities = |inputs: &Tensor| ops::softmax_last_dim(&network.forward(inputs)?);
    row.time(|calls| {
        for (inputs, _) in (0..calls).flat_map(|_| batches) {
            probabilities(inputs).expect("a prediction");
        }
    });
}

fn main() -> Result<()> {
    let row = Row::from_command_line();
    let parameters = VarMap::new();
    let network = Network::new(&row, VarBuilder::from_varmap(&parameters, DType::F32, &Device::Cpu))?;
    let batches = batches(&row)?;
    if row.predicts {
        // Parameters that are no variables record no graph.
        let frozen =
            network.layers.iter().map(|layer| Linear::new(layer.weight().detach(), layer.bias().map(Tensor::detach)));
        predict(&row, &Network { layers: frozen.collect(), tanh: network.tanh }, &batches);
        return Ok(());
    }
    let variables = parameters.all_vars();
    let rate = row.learning_rate;
    match row.optimizer.as_str() {
        "sgd" => train(&row, &network, &batches, SGD::new(variables, rate)?),
        name => {
            let weight_decay = if name == "adamw" { 0.01 } else { 0.0 };
            let settings = ParamsAdamW { lr: rate, weight_decay, ..ParamsAdamW::default() };
            train(&row, &network, &batches, AdamW::new(variables, settings)?);
        }
    }
    Ok(())
}
