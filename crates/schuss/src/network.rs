//! Networks: layers over one flat buffer of parameters, forward and backward.

use std::ops::Range;

use ndarray::{ArrayView2, ArrayViewMut2};
use schuss_kernels::{Fused, update};

use crate::dense::Dense;
use crate::workspace::{LayerMemory, first_rows, first_rows_mut};
use crate::{Activation, Error, Layer, Real, Result, Threads, Workspace};

/// A named part of the parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// `layers.{i}.weight` or `layers.{i}.bias`, i counting layers with parameters from 0.
    pub name: String,
    /// Where it lies in the flat buffer, row-major.
    pub range: Range<usize>,
    /// (outputs, inputs) of a weight, (outputs,) of a bias.
    pub shape: Vec<usize>,
    /// The learning rate is multiplied by this.
    pub learning_rate_factor: f64,
    /// Whether decoupled weight decay applies.
    pub decay: bool,
}

/// A sequence of layers and their parameters.
///
/// ```
/// use schuss::{Activation, Init, Network, Threads, Workspace};
/// let mut network = Network::<f32>::new(&[2, 3, 1], Activation::Tanh, Activation::Identity)?;
/// Init::Glorot.draw(&mut network, 0);
/// let mut workspace = Workspace::new(&network, 4, &Threads::ONE);
/// let x = ndarray::arr2(&[[0.0, 1.0], [1.0, 0.0]]);
/// assert_eq!(network.forward(&mut workspace, x.view())?.dim(), (2, 1));
/// // Any loss of one's own: the gradient of its value with respect to the output, here of the sum of the outputs.
/// let mut d_input = ndarray::Array2::zeros((2, 2));
/// network.backward(&mut workspace, ndarray::arr2(&[[1.0], [1.0]]).view(), Some(d_input.view_mut()))?;
/// assert_eq!(workspace.gradient().len(), network.parameters().len());
/// # Ok::<(), schuss::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Network<T> {
    layers: Vec<Layer>,
    parameters: Vec<T>,
    segments: Vec<Segment>,
}

impl<T: Real> Network<T> {
    /// Dense layers between `sizes` (inputs, hidden sizes, outputs), every parameter 0. `hidden` follows every layer
    /// but the last, `last` the last; two sizes are a linear model.
    ///
    /// # Errors
    /// Fewer than two sizes, a size of zero, more parameters than fit the memory, a softmax with a smoothing outside
    /// [0, 1).
    pub fn new(sizes: &[usize], hidden: Activation, last: Activation) -> Result<Self> {
        if sizes.len() < 2 {
            return Err(Error::value("network sizes", "inputs and outputs at least", format!("{sizes:?}")));
        }
        if sizes.contains(&0) {
            return Err(Error::value("network sizes", "1 or more each", format!("{sizes:?}")));
        }
        let epsilons = [hidden.epsilon(), last.epsilon()];
        if let Some(epsilon) = epsilons.into_iter().find(|epsilon| !(0.0..1.0).contains(epsilon)) {
            return Err(Error::value("softmax epsilon", "0 or more and below 1", epsilon));
        }
        let count = sizes
            .windows(2)
            .try_fold(0usize, |count, size| size[0].checked_add(1)?.checked_mul(size[1])?.checked_add(count));
        let bytes = count.and_then(|count| count.checked_mul(size_of::<T>()));
        let mut parameters = Vec::new();
        if bytes.is_none() || parameters.try_reserve_exact(count.unwrap_or(usize::MAX)).is_err() {
            return Err(Error::value("network sizes", "parameters that fit the memory", format!("{sizes:?}")));
        }
        parameters.resize(count.unwrap_or(0), T::ZERO);

        let layers: Vec<_> = sizes
            .windows(2)
            .enumerate()
            .map(|(i, size)| {
                let activation = if i + 2 == sizes.len() { last } else { hidden };
                Layer::Dense(Dense { inputs: size[0], outputs: size[1], activation })
            })
            .collect();
        let segments = segments(&layers);
        Ok(Self { layers, parameters, segments })
    }

    /// The layers, first to last.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Inputs, hidden sizes, outputs.
    pub fn sizes(&self) -> Vec<usize> {
        std::iter::once(self.inputs()).chain(self.layers.iter().map(Layer::outputs)).collect()
    }

    /// Features of the input.
    pub fn inputs(&self) -> usize {
        self.layers[0].inputs()
    }

    /// Features of the output.
    pub fn outputs(&self) -> usize {
        self.last().outputs()
    }

    /// The function at the end of the hidden layers; of the only layer where there is no hidden one.
    pub fn hidden_activation(&self) -> Activation {
        self.layers[0].activation()
    }

    /// The function at the end.
    pub fn last_activation(&self) -> Activation {
        self.last().activation()
    }

    fn last(&self) -> &Layer {
        self.layers.last().expect("a network has a layer")
    }

    /// This network with another smoothing of its softmax.
    pub fn with_epsilon(mut self, epsilon: f64) -> Self {
        for layer in &mut self.layers {
            *layer = layer.with_activation(layer.activation().with_epsilon(epsilon));
        }
        self
    }

    /// This network in another precision.
    pub fn cast<U: Real>(&self) -> Network<U> {
        Network {
            layers: self.layers.clone(),
            parameters: self.parameters.iter().map(|p| U::from_f64(p.to_f64())).collect(),
            segments: self.segments.clone(),
        }
    }

    /// All parameters, flat: segment after segment.
    pub fn parameters(&self) -> &[T] {
        &self.parameters
    }

    /// All parameters, flat, to change.
    pub fn parameters_mut(&mut self) -> &mut [T] {
        &mut self.parameters
    }

    /// The named parts of the parameters, in their order.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Floating-point operations of a training step over `rows` rows: two for each multiply-add of the products, three
    /// products a layer, no input gradient for the first.
    pub fn step_operations(&self, rows: usize) -> f64 {
        let products = |(i, layer): (usize, &Layer)| {
            (if i == 0 { 2 } else { 3 }) as f64 * layer.inputs() as f64 * layer.outputs() as f64
        };
        2.0 * rows as f64 * self.layers.iter().enumerate().map(products).sum::<f64>()
    }

    /// Floating-point operations of a forward pass over `rows` rows: two for each multiply-add of the products.
    pub fn forward_operations(&self, rows: usize) -> f64 {
        let products = |layer: &Layer| layer.inputs() as f64 * layer.outputs() as f64;
        2.0 * rows as f64 * self.layers.iter().map(products).sum::<f64>()
    }

    /// The output (batch, outputs) for the batch `x` (batch, inputs).
    ///
    /// # Errors
    /// `x` has another number of columns than the network has inputs, or more rows than the workspace holds.
    pub fn forward<'w>(&self, workspace: &'w mut Workspace<T>, x: ArrayView2<T>) -> Result<ArrayView2<'w, T>> {
        if x.ncols() != self.inputs() {
            return Err(Error::Shape { what: "features of a row", expected: self.inputs(), got: x.ncols() });
        }
        if x.nrows() > workspace.capacity() {
            return Err(Error::Shape {
                what: "rows of a batch, at most",
                expected: workspace.capacity(),
                got: x.nrows(),
            });
        }
        workspace.input(x.nrows()).assign(&x);
        Ok(self.forward_input(workspace))
    }

    /// [`Network::forward`] of the batch that was written into [`Workspace::input`].
    pub fn forward_input<'w>(&self, workspace: &'w mut Workspace<T>) -> ArrayView2<'w, T> {
        let Workspace { compute, input, layers: memory, rows, .. } = workspace;
        let rows = *rows;
        let mut offset = 0;
        for (i, layer) in self.layers.iter().enumerate() {
            let parameters = &self.parameters[offset..][..layer.parameter_count()];
            let (before, rest) = memory.split_at_mut(i);
            let x = first_rows(before.last().map_or(&*input, |previous| &previous.a), rows);
            let LayerMemory { z, a, .. } = &mut rest[0];
            layer.forward(compute, parameters, x, first_rows_mut(z, rows), first_rows_mut(a, rows));
            offset += layer.parameter_count();
        }
        workspace.output()
    }

    /// The backward pass of the last forward pass: overwrites [`Workspace::gradient`] with ∂L/∂parameters, and
    /// `d_input` (batch, inputs), if there is one, with ∂L/∂x, for `d_output` = ∂L/∂output (batch, outputs).
    ///
    /// # Errors
    /// `d_output` or `d_input` has another shape than the last batch.
    pub fn backward(
        &self,
        workspace: &mut Workspace<T>,
        d_output: ArrayView2<T>,
        d_input: Option<ArrayViewMut2<T>>,
    ) -> Result<()> {
        let shapes = [
            ("rows of the output's gradient", workspace.rows, d_output.nrows()),
            ("columns of the output's gradient", self.outputs(), d_output.ncols()),
            ("rows of the input's gradient", workspace.rows, d_input.as_ref().map_or(workspace.rows, |d| d.nrows())),
            ("columns of the input's gradient", self.inputs(), d_input.as_ref().map_or(self.inputs(), |d| d.ncols())),
        ];
        if let Some(&(what, expected, got)) = shapes.iter().find(|(_, expected, got)| expected != got) {
            return Err(Error::Shape { what, expected, got });
        }
        let (_, mut gradient) = workspace.output_and_gradient(self.last_activation());
        gradient.assign(&d_output);
        self.backward_output(workspace, self.last_activation(), d_input);
        Ok(())
    }

    /// [`Network::backward`] of a gradient that stands in the last layer's memory already. `last` is the activation
    /// that it has yet to pass: identity where a loss gave ∂L/∂z.
    pub(crate) fn backward_output(
        &self,
        workspace: &mut Workspace<T>,
        last: Activation,
        mut d_input: Option<ArrayViewMut2<T>>,
    ) {
        let Workspace { compute, input, layers: memory, gradient, rows } = workspace;
        let rows = *rows;
        let mut end = self.parameters.len();
        let mut activation = last;
        for (i, layer) in self.layers.iter().enumerate().rev() {
            let range = end - layer.parameter_count()..end;
            end = range.start;
            let layer = layer.with_activation(activation);
            let (before, rest) = memory.split_at_mut(i);
            let (x, dx) = match before.last_mut() {
                Some(LayerMemory { a, d, .. }) => {
                    // What the product with W can do of the layer before's f′, that layer need not.
                    let (fused, left) = self.layers[i - 1].activation().fuse_chain(first_rows(a, rows));
                    activation = left;
                    (&*a, Some((first_rows_mut(d, rows), fused)))
                }
                None => (&*input, d_input.take().map(|dx| (dx, Fused::Nothing))),
            };
            let LayerMemory { z, a, d } = &mut rest[0];
            layer.backward(
                compute,
                &self.parameters[range.clone()],
                first_rows(x, rows),
                first_rows(z, rows),
                first_rows(a, rows),
                first_rows_mut(d, rows),
                &mut gradient[range],
                dx,
            );
        }
    }

    /// Adds the gradient of the penalty `l2`·Σθ² over all parameters θ, biases too: `gradient += 2·l2·θ`. The penalty
    /// itself is not part of any reported loss.
    pub(crate) fn add_l2(&self, threads: &Threads, l2: f64, gradient: &mut [T]) {
        let factor = T::from_f64(2.0 * l2);
        update(threads, gradient, &self.parameters, |gradient, parameter| *gradient += factor * parameter);
    }
}

/// The named parts of the parameters of `layers`.
fn segments(layers: &[Layer]) -> Vec<Segment> {
    let mut end = 0;
    let mut segment = |name: String, shape: Vec<usize>, decay| {
        let range = end..end + shape.iter().product::<usize>();
        end = range.end;
        Segment { name, range, shape, learning_rate_factor: 1.0, decay }
    };
    let mut segments = Vec::new();
    for (i, layer) in layers.iter().enumerate() {
        match layer {
            Layer::Dense(dense) => {
                segments.push(segment(format!("layers.{i}.weight"), vec![dense.outputs, dense.inputs], true));
                segments.push(segment(format!("layers.{i}.bias"), vec![dense.outputs], false));
            }
        }
    }
    segments
}
