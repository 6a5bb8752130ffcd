//! burn on its flex backend: modules, `backward`, and burn's optimisers.

use burn::module::Module;
use burn::nn::loss::{CrossEntropyLoss, MseLoss, Reduction};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, AdamWConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::activation::{relu, softmax};
use burn::tensor::{Device, Int, Tensor, TensorData};
use timing::Row;

/// The layers, with the activation between them.
#[derive(Module, Debug)]
struct Network {
    layers: Vec<Linear>,
    tanh: bool,
}

impl Network {
    fn new(row: &Row, device: &Device) -> Self {
        let layers = row.sizes.windows(2).map(|size| LinearConfig::new(size[0], size[1]).init(device)).collect();
        Self { layers, tanh: row.activation == "tanh" }
    }

    fn forward(&self, inputs: Tensor<2>) -> Tensor<2> {
        let (last, hidden) = self.layers.split_last().expect("a layer");
        let mut x = inputs;
        for layer in hidden {
            let sums = layer.forward(x);
            x = if self.tanh { sums.tanh() } else { relu(sums) };
        }
        last.forward(x)
    }
}

/// Inputs, and the targets that the row's loss needs.
struct Batch {
    inputs: Tensor<2>,
    labels: Tensor<1, Int>,
    numbers: Tensor<2>,
}

fn batches(row: &Row, device: &Device) -> Vec<Batch> {
    let tensors = |batch: timing::Batch| {
        let labels: Vec<i64> = batch.labels.into_iter().map(i64::from).collect();
        Batch {
            inputs: Tensor::from_data(TensorData::new(batch.inputs, [row.batch, row.inputs()]), device),
            labels: Tensor::from_data(TensorData::new(labels, [row.batch]), device),
            numbers: Tensor::from_data(TensorData::new(batch.numbers, [row.batch, row.outputs()]), device),
        }
    };
    row.data().into_iter().map(tensors).collect()
}

fn optimizer(row: &Row) -> ModuleOptimizer {
    match row.optimizer.as_str() {
        "sgd" => SgdConfig::new().init(),
        "adam" => AdamConfig::new().init(),
        _ => AdamWConfig::new().init(),
    }
}

fn train(row: &Row) {
    let device = Device::flex().autodiff();
    let batches = batches(row, &device);
    let cross_entropy = CrossEntropyLoss::new(None, &device);
    let mut network = Some(Network::new(row, &device));
    let mut optimizer = optimizer(row);
    let mut step = |batch: &Batch| {
        let trained = network.take().expect("the network of the step before");
        let outputs = trained.forward(batch.inputs.clone());
        let loss = match row.loss.as_str() {
            "mse" => MseLoss::new().forward(outputs, batch.numbers.clone(), Reduction::Mean),
            _ => cross_entropy.forward(outputs, batch.labels.clone()),
        };
        let gradients = GradientsParams::from_grads(loss.backward(), &trained);
        network = Some(optimizer.step(row.learning_rate, trained, gradients));
    };
    row.time(|steps| batches.iter().cycle().take(steps).for_each(&mut step));
}

fn predict(row: &Row) {
    let device = Device::flex();
    let batches = batches(row, &device);
    let network = Network::new(row, &device).valid();
    row.time(|calls| {
        for batch in (0..calls).flat_map(|_| &batches) {
            std::hint::black_box(softmax(network.forward(batch.inputs.clone()), 1));
        }
    });
}

fn main() {
    let row = Row::from_command_line();
    if row.predicts { predict(&row) } else { train(&row) }
}
