//! RealMLP: a network for tables, and how it is trained.

use crate::embed::{Category, Embed};
use crate::{
    Activation, Dense, Dropout, Factors, Features, Init, Keep, Layer, Model, Optimizer, Parametric, Parametrization,
    Periodic, Real, Result, Scale, Schedule, Settings, Task, Threads,
};

/// RealMLP with tuned defaults (Holzmüller et al. 2024, arXiv:2407.04491, RealMLP-TD; package `pytabkit`), or its simpler
/// form RealMLP-TD-S. Its inputs are numbers, less their median, divided by their interquartile range and clipped
/// smoothly by x/√(1 + (x/3)²), then categories of up to nine values as columns of 0 and 1, then codes of larger ones: see
/// [`Embed`].
///
/// ```
/// use schuss::{Network, RealMlp, Task};
/// let table = RealMlp { numbers: 5, plain: 3, categories: vec![12, 40], ..RealMlp::td(Task::Regression, 1) };
/// let network = Network::<f32>::of_layers(table.layers())?;
/// assert_eq!((network.inputs(), network.outputs()), (10, 1));
/// let settings = table.settings();
/// assert_eq!(settings.learning_rate, 0.2);
/// # Ok::<(), schuss::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RealMlp {
    /// What the outputs stand for.
    pub task: Task,
    /// Outputs.
    pub outputs: usize,
    /// Whether it is RealMLP-TD-S: no periodic embeddings, plain activations, neither dropout nor weight decay.
    pub is_simple: bool,
    /// Inputs that are numbers.
    pub numbers: usize,
    /// Columns of 0 and 1.
    pub plain: usize,
    /// For each column of codes, how many there are.
    pub categories: Vec<usize>,
    /// Sizes of the hidden layers.
    pub hidden: Vec<usize>,
    /// The function at the end of every hidden layer.
    pub activation: Activation,
    /// The function at the end.
    pub last: Activation,
    /// The share of a hidden layer's outputs that a step drops.
    pub dropout: f64,
}

/// Of a learning rate that is so many times that of the weights. `pytabkit`, with which the defaults were tuned,
/// multiplies weight decay by the square of it.
fn factors(rate: f64) -> Factors {
    Factors { rate, decay: rate }
}

impl RealMlp {
    /// RealMLP-TD for no columns yet.
    pub fn td(task: Task, outputs: usize) -> Self {
        let (activation, last) = match task {
            Task::Regression => (Activation::Mish, Activation::Identity),
            Task::MultiLabel { .. } => (Activation::Selu, Activation::Identity),
            Task::Classification { .. } => (Activation::Selu, Activation::Softmax { epsilon: 0.0 }),
        };
        Self {
            task,
            outputs,
            is_simple: false,
            numbers: 0,
            plain: 0,
            categories: Vec::new(),
            hidden: vec![256; 3],
            activation,
            last,
            // 0.15 for numbers, too, with pytabkit; with fewer epochs that is too much of it.
            dropout: if task == Task::Regression { 0.05 } else { 0.15 },
        }
    }

    /// RealMLP-TD-S for no columns yet.
    pub fn td_s(task: Task, outputs: usize) -> Self {
        Self { is_simple: true, dropout: 0.0, ..Self::td(task, outputs) }
    }

    /// Draws the initial parameters of `model`, whose network has these layers: from the data ([`Model::fit_init`]) or, in
    /// the simpler form, weights from N(0, 1/inputs) and biases from N(0, 1), zeros in the last layer.
    ///
    /// # Errors
    /// See [`Model::fit_init`].
    pub fn init<T: Real>(&self, model: &mut Model<T>, features: Features, seed: u64, threads: &Threads) -> Result<()> {
        if !self.is_simple {
            return model.fit_init(features, seed, threads);
        }
        let network = &mut model.network;
        let last = network.layers().len() - 1;
        Init::Normal { deviation: 1.0 }.draw(network, seed);
        let of_dense: Vec<_> = network.segments().iter().filter(|segment| segment.is_dense()).cloned().collect();
        for segment in &of_dense {
            let factor = if segment.layer < last { T::from_f64(segment.gain) } else { T::ZERO };
            network.parameters_mut()[segment.range.clone()].iter_mut().for_each(|x| *x *= factor);
        }
        Ok(())
    }

    fn is_regression(&self) -> bool {
        self.task == Task::Regression
    }

    /// Its layers, for [`Network::of_layers`](crate::Network::of_layers).
    pub fn layers(&self) -> Vec<Layer> {
        let Self { activation, last, .. } = *self;
        let mut layers = Vec::new();
        let mut features = self.numbers + self.plain;
        if !self.is_simple || !self.categories.is_empty() {
            // 0.1 with pytabkit. Learnt at a tenth of the rate, frequencies stay where they begin if there are few steps.
            let periodic = Periodic { frequencies: 16, outputs: 4, deviation: 0.25, factors: factors(0.1) };
            let categories = self.categories.iter().map(|&count| Category { count, width: 8 }).collect();
            let periodic = (self.numbers > 0 && !self.is_simple).then_some(periodic);
            let embed = Embed { numbers: self.numbers, periodic, plain: self.plain, categories };
            features = embed.outputs();
            layers.push(Layer::Embed(embed));
        }
        layers.push(Layer::Scale(Scale { features, factors: factors(6.0) }));
        let dense = |inputs, outputs, activation| {
            let parametrization = Parametrization::NeuralTangent;
            let bias_factors = Factors { rate: 0.1, decay: 0.0 };
            Layer::Dense(Dense { parametrization, bias_factors, ..Dense::new(inputs, outputs, activation) })
        };
        for &size in &self.hidden {
            if self.is_simple {
                layers.push(dense(features, size, activation));
            } else {
                layers.push(dense(features, size, Activation::Identity));
                layers.push(Layer::Parametric(Parametric { features: size, activation, factors: factors(0.1) }));
                if self.dropout > 0.0 {
                    layers.push(Layer::Dropout(Dropout { features: size, rate: self.dropout }));
                }
            }
            features = size;
        }
        layers.push(dense(features, self.outputs, last));
        layers
    }

    /// How it is trained: all epochs, of which the last of the best by validation data is kept.
    pub fn settings(&self) -> Settings {
        let learning_rate = match (self.is_regression(), self.is_simple) {
            (false, _) => 0.04,
            (true, false) => 0.2,
            (true, true) => 0.07,
        };
        let second_half = Schedule::FlatCosine { share: 0.5 };
        Settings {
            optimizer: Optimizer::Adam { beta1: 0.9, beta2: 0.95, epsilon: 1e-8 },
            learning_rate,
            schedule: Schedule::CosLog4,
            weight_decay: if self.is_simple { 0.0 } else { 0.02 },
            decay_schedule: second_half,
            dropout_schedule: second_half,
            label_smoothing: if self.is_regression() { 0.0 } else { 0.1 },
            batch_size: 256,
            epochs: 256,
            keep: Keep::LeastLoss,
            calibrate: !self.is_regression(),
            ..Settings::default()
        }
    }
}
