//! Predictions of single examples, as fast as the memory gives out the weights.

use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis};
use schuss_kernels::{Compute, ROW_PRODUCT_COLUMNS, row_product};

use crate::ensemble::Said;
use crate::workspace::{LayerMemory, Pass};
use crate::{Activation, Error, Features, Layer, Model, Network, Real, Result, Threads};

/// A model made ready to predict one example at a time.
///
/// Its weights are kept transposed, so that the inputs of a layer that are zero (blank pixels, silent ReLUs) cost
/// nothing: their weights are not even read. A prediction allocates nothing after a thread's first, if its example lies in
/// one piece, and equals that of [`Model::predict`] to the last bit.
///
/// ```
/// use schuss::{Activation, Features, Init, Loss, Model, Network, Predictor, Task};
/// let softmax = Activation::Softmax { epsilon: Activation::DEFAULT_EPSILON };
/// let mut network = Network::<f32>::new(&[4, 8, 3], Activation::Relu, softmax)?;
/// Init::He.draw(&mut network, 0);
/// let model = Model::new(network, Loss::CrossEntropy, Task::Classification { classes: 3 });
/// let mut predictor = Predictor::new(&model)?;
/// let example = ndarray::arr2(&[[0.0f32, 1.5, 0.0, -0.5]]);
/// let probabilities = predictor.predict(Features::F32(example.view()))?;
/// assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-6);
/// # Ok::<(), schuss::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Predictor<T> {
    model: Model<T>,
    /// Of every network.
    networks: Vec<Vec<Stage<T>>>,
    compute: Compute,
    input: Array2<T>,
    /// Of several networks.
    sums: Vec<Said<T>>,
    output: Array2<T>,
    prediction: Vec<f64>,
}

/// A layer of the network, ready for single rows.
#[derive(Clone, Debug)]
enum Stage<T> {
    Dense(TransposedLayer<T>),
    /// Any other, by its forward for batches.
    Other(LayerMemory<T>),
}

/// A layer whose outputs are filled up with zeros to a multiple of [`ROW_PRODUCT_COLUMNS`].
#[derive(Clone, Debug)]
struct TransposedLayer<T> {
    /// (inputs, outputs)
    weight: Array2<T>,
    bias: Vec<T>,
    outputs: usize,
    activation: Activation,
    output: Vec<T>,
}

impl<T: Real> Predictor<T> {
    /// The predictor of `model`; a copy of its weights.
    ///
    /// # Errors
    /// A parameter that is infinite or NaN; a scaling that does not fit.
    pub fn new(model: &Model<T>) -> Result<Self> {
        let model = model.unfolded();
        let network = &model.network;
        if !model.networks().all(|network| network.parameters().iter().all(|parameter| parameter.is_finite())) {
            return Err(Error::value("parameters", "finite numbers", "infinity or NaN"));
        }
        model.scaling.check(network.inputs())?;
        model.target_scaling.check(model.targets())?;
        model.check_output_range()?;
        let compute = Compute::from(&Threads::ONE);
        let stages = |network: &Network<T>| {
            let contexts = network.contexts(&compute, Pass::Inference, 1.0);
            let stages = contexts.map(|(layer, context)| match layer {
                Layer::Dense(dense) => {
                    Stage::Dense(TransposedLayer::new(dense.views(context.parameters), dense.activation))
                }
                other => Stage::Other(LayerMemory::new(other, 1)),
            });
            stages.collect()
        };
        let networks = model.networks().map(stages).collect();
        let output = Array2::from_elem((1, network.outputs()), T::ZERO);
        let sums = vec![[T::ZERO; 2]; network.outputs()];
        let input = Array2::from_elem((1, network.inputs()), T::ZERO);
        let prediction = vec![0.0; model.prediction_width()];
        Ok(Self { model, networks, compute, input, sums, output, prediction })
    }

    /// The prediction for the one row of `example`, as [`Model::predict`] gives it.
    ///
    /// # Errors
    /// Another number of rows than one, or of features than the model takes.
    pub fn predict(&mut self, example: Features) -> Result<&[f64]> {
        if example.rows() != 1 {
            return Err(Error::Shape { what: "rows of an example", expected: 1, got: example.rows() });
        }
        if example.columns() != self.model.network.inputs() {
            let [expected, got] = [self.model.network.inputs(), example.columns()];
            return Err(Error::Shape { what: "features of an example, as the model takes them", expected, got });
        }
        self.model.scaling.gather(&Threads::ONE, example, &[0], self.input.view_mut());
        let Self { model, networks, compute, input, sums, output, prediction } = self;
        let input = input.as_slice().unwrap_or_default();
        if let [stages] = &mut networks[..] {
            model.write_prediction(forward(&model.network, compute, input, stages), prediction);
            return Ok(prediction);
        }
        sums.fill([T::ZERO; 2]);
        for (network, stages) in model.networks().zip(networks) {
            model.add_said(forward(network, compute, input, stages), sums);
        }
        let no_logits = ArrayViewMut2::from_shape((0, sums.len()), &mut []).expect("no rows");
        model.write_mean(sums, no_logits, output.view_mut());
        model.write_prediction(output.as_slice().unwrap_or_default(), prediction);
        Ok(prediction)
    }
}

/// A network's output for one row.
fn forward<'s, T: Real>(network: &Network<T>, compute: &Compute, input: &[T], stages: &'s mut [Stage<T>]) -> &'s [T] {
    for (i, (layer, context)) in network.contexts(compute, Pass::Inference, 1.0).enumerate() {
        let (before, rest) = stages.split_at_mut(i);
        let x = before.last().map_or(input, Stage::output);
        match &mut rest[0] {
            Stage::Dense(dense) => dense.forward(x),
            Stage::Other(memory) => {
                let row = |x| ArrayView2::from_shape((1, layer.inputs()), x).expect("one row");
                let s = layer.skips_from().map(|from| row(before[from].output()));
                layer.forward(context, row(x), s, memory);
            }
        }
    }
    stages.last().map_or(&[][..], Stage::output)
}

impl<T: Real> Stage<T> {
    fn output(&self) -> &[T] {
        match self {
            Self::Dense(dense) => &dense.output[..dense.outputs],
            Self::Other(memory) => memory.a.as_slice().unwrap_or_default(),
        }
    }
}

impl<T: Real> TransposedLayer<T> {
    fn new((weight, bias): (ArrayView2<T>, &[T]), activation: Activation) -> Self {
        let outputs = bias.len();
        let columns = outputs.next_multiple_of(ROW_PRODUCT_COLUMNS);
        let mut transposed = Array2::from_elem((weight.ncols(), columns), T::ZERO);
        transposed.view_mut().split_at(Axis(1), outputs).0.assign(&weight.t());
        let mut padded_bias = vec![T::ZERO; columns];
        padded_bias[..outputs].copy_from_slice(bias);
        Self { weight: transposed, bias: padded_bias, outputs, activation, output: vec![T::ZERO; columns] }
    }

    /// a = f(x·Wᵀ + b)
    fn forward(&mut self, x: &[T]) {
        let is_relu = self.activation == Activation::Relu;
        row_product(x, self.weight.view(), &self.bias, is_relu, &mut self.output);
        let output = &mut self.output[..self.outputs];
        if !is_relu {
            let row = ArrayViewMut2::from_shape((1, self.outputs), output).expect("one row");
            self.activation.apply(&Threads::ONE, row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Init, Loss, Network, Scaling, Task};

    #[track_caller]
    fn check<T: Real>(sizes: &[usize], hidden: Activation, last: Activation, loss: Loss, task: Task) {
        let mut network = Network::<T>::new(sizes, hidden, last).unwrap();
        Init::Normal { deviation: 0.3 }.draw(&mut network, 5);
        let mut model = Model { scaling: Scaling::Divide(255.0), ..Model::new(network, loss, task) };
        if task == Task::Regression {
            let outputs = model.network.outputs();
            model.target_scaling = Scaling::Standard { mean: vec![3.0; outputs], deviation: vec![0.7; outputs] };
        }
        let pixels =
            Array2::from_shape_fn((17, sizes[0]), |(i, j)| if (i * j) % 3 == 0 { (i * 31 + j * 7) as u8 } else { 0 });
        let expected = model.predict(Features::U8(pixels.view()), &Threads::ONE).unwrap();
        let mut predictor = Predictor::new(&model).unwrap();
        for (row, expected) in expected.rows().into_iter().enumerate() {
            let example = pixels.slice_axis(Axis(0), (row..row + 1).into());
            assert_eq!(predictor.predict(Features::U8(example)).unwrap(), expected.to_slice().unwrap(), "row {row}");
        }
    }

    #[test]
    fn a_single_prediction_has_the_bits_of_one_among_others() {
        let softmax = Activation::Softmax { epsilon: 1e-8 };
        let classes = |classes| Task::Classification { classes };
        check::<f32>(&[784, 500, 200, 30, 10], Activation::Relu, softmax, Loss::CrossEntropy, classes(10));
        check::<f64>(&[20, 64, 65, 3], Activation::Tanh, softmax, Loss::CrossEntropy, classes(3));
        check::<f32>(&[1500, 7, 1], Activation::Gelu, Activation::Identity, Loss::BinaryCrossEntropy, classes(2));
        check::<f32>(&[5, 2], Activation::LeakyRelu, Activation::Identity, Loss::Mse, Task::Regression);
        check::<f64>(&[9, 4, 3], Activation::Sigmoid, Activation::Identity, Loss::BinaryCrossEntropy, classes(3));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let network = Network::<f32>::new(&[4, 2], Activation::Relu, Activation::Identity).unwrap();
        let mut model = Model::new(network, Loss::Mse, Task::Regression);
        let mut predictor = Predictor::new(&model).unwrap();
        for shape in [(2, 4), (0, 4), (1, 3)] {
            assert!(predictor.predict(Features::F32(Array2::zeros(shape).view())).is_err());
        }
        model.network.parameters_mut()[1] = f32::NAN;
        assert!(Predictor::new(&model).is_err());
    }
}
