//! Networks: layers over one flat buffer of parameters, forward and backward.

use std::ops::Range;

use ndarray::{ArrayView2, ArrayViewMut2};
use schuss_kernels::{Compute, Fused, zip};

use crate::dense::Dense;
use crate::dropout::Dropout;
use crate::fork::Fork;
use crate::heads::Heads;
use crate::layer::Context;
use crate::norm::{Norm, NormKind};
use crate::parametric::Parametric;
use crate::periodic::Periodic;
use crate::residual::Residual;
use crate::scale::Scale;
use crate::workspace::{Pass, first_rows, first_rows_mut};
use crate::{Activation, Error, Factors, Layer, Real, Result, Threads, Workspace};

/// A named part of the parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// `layers.{i}.weight` or `layers.{i}.bias`, i counting dense layers from 0; `norms.{i}.weight` (γ), `norms.{i}.bias`
    /// (β), i counting norms; `scales.{i}.weight` (s), `activations.{i}.weight` (α); `embeds.0.frequencies` (w₁), `.phases`
    /// (b₁), `.weights` (W₂), `.biases` (b₂), `.tables.{j}` (E); `forks.0.weight` (r); `heads.{j}.weight` and
    /// `heads.{j}.bias` of the last layer of network j.
    pub name: String,
    /// The layer that it belongs to, counted from 0 over layers of all kinds.
    pub layer: usize,
    /// Where it lies in the flat buffer, row-major.
    pub range: Range<usize>,
    /// (outputs, inputs) of a weight, (outputs,) of a bias.
    pub shape: Vec<usize>,
    /// The learning rate is multiplied by this.
    pub learning_rate_factor: f64,
    /// k: an optimiser sees θ/k in place of θ, hence k times its gradient, and k times its step is taken.
    pub gain: f64,
    /// λ of decoupled weight decay is multiplied by this: 0 is none.
    pub decay_factor: f64,
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
    statistics: Vec<T>,
    /// Layers that training leaves alone, from the first on.
    frozen: usize,
}

/// A multilayer perceptron as it is usually described: what stands between its sizes. Of a hidden layer, the order is
/// dense, norm, activation, dropout, residual connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Mlp {
    /// Inputs, hidden sizes, outputs; two sizes are a linear model.
    pub sizes: Vec<usize>,
    /// The function at the end of every hidden layer.
    pub hidden: Activation,
    /// The function at the end.
    pub last: Activation,
    /// What normalises the hidden layers before their activation, if anything.
    pub norm: Option<NormKind>,
    /// The share of a hidden layer's outputs that a step drops.
    pub dropout: f64,
    /// The share of the inputs that a step drops.
    pub input_dropout: f64,
    /// Whether hidden layers with as many outputs as inputs add their input to their output.
    pub residual: bool,
}

impl Mlp {
    /// Dense layers and their activations, nothing else.
    pub fn new(sizes: &[usize], hidden: Activation, last: Activation) -> Self {
        Self { sizes: sizes.to_vec(), hidden, last, norm: None, dropout: 0.0, input_dropout: 0.0, residual: false }
    }

    /// Its layers, for [`Network::of_layers`].
    ///
    /// # Errors
    /// Fewer than two sizes.
    pub fn layers(&self) -> Result<Vec<Layer>> {
        let Self { ref sizes, hidden, last, norm, dropout, input_dropout, residual } = *self;
        if sizes.len() < 2 {
            return Err(Error::value("network sizes", "inputs and outputs at least", format!("{sizes:?}")));
        }
        let mut layers = Vec::new();
        if input_dropout != 0.0 {
            layers.push(Layer::Dropout(Dropout { features: sizes[0], rate: input_dropout }));
        }
        for (i, size) in sizes.windows(2).enumerate() {
            let [inputs, outputs] = [size[0], size[1]];
            if i + 2 == sizes.len() {
                layers.push(Layer::Dense(Dense::new(inputs, outputs, last)));
                break;
            }
            let before = layers.len().checked_sub(1);
            let activation = if norm.is_some() { Activation::Identity } else { hidden };
            layers.push(Layer::Dense(Dense::new(inputs, outputs, activation)));
            layers.extend(norm.map(|kind| Layer::Norm(Norm { features: outputs, kind, activation: hidden })));
            if dropout != 0.0 {
                layers.push(Layer::Dropout(Dropout { features: outputs, rate: dropout }));
            }
            if let (true, Some(from)) = (residual && i > 0 && inputs == outputs, before) {
                layers.push(Layer::Residual(Residual { features: outputs, from }));
            }
        }
        Ok(layers)
    }
}

impl<T: Real> Network<T> {
    /// Dense layers between `sizes` (inputs, hidden sizes, outputs), every parameter 0. `hidden` follows every layer
    /// but the last, `last` the last; two sizes are a linear model.
    ///
    /// # Errors
    /// Fewer than two sizes, a size of zero, more parameters than fit the memory, a softmax with a smoothing outside
    /// [0, 1).
    pub fn new(sizes: &[usize], hidden: Activation, last: Activation) -> Result<Self> {
        Self::of_layers(Mlp::new(sizes, hidden, last).layers()?)
    }

    /// A network of these layers, weights and biases 0, scales, shares of activations and running variances 1.
    ///
    /// # Errors
    /// No dense layer; a layer that does not take what the one before it gives, has a size of zero, or a residual
    /// connection from a layer that is not before it or has another size; a dropout rate or a softmax smoothing outside
    /// [0, 1); a factor that is negative or not finite; a parametric softmax; an [`Embed`](crate::Embed) that
    /// is not the first layer, or has sizes outside their range; a second [`Fork`], or one whose networks do not end in
    /// [`Heads`] of their own; more parameters than fit the memory.
    pub fn of_layers(layers: Vec<Layer>) -> Result<Self> {
        if !layers.iter().any(|layer| layer.dense().is_some()) {
            return Err(Error::value("layers of a network", "a dense one at least", layers.len()));
        }
        let share = |what: &str, x: f64| match x {
            0.0..1.0 => Ok(()),
            _ => Err(Error::value(what, "0 or more and below 1", x)),
        };
        for (i, layer) in layers.iter().enumerate() {
            if layer.inputs() == 0 || layer.outputs() == 0 {
                return Err(Error::value("network sizes", "1 or more each", 0));
            }
            if let Some(before) = i.checked_sub(1).map(|before| layers[before].outputs())
                && before != layer.inputs()
            {
                return Err(Error::Shape { what: "inputs of a layer", expected: before, got: layer.inputs() });
            }
            share("softmax epsilon", layer.activation().epsilon())?;
            match layer {
                Layer::Embed(_) if i > 0 => {
                    return Err(Error::value("place of a layer that embeds", "0, the first", i));
                }
                Layer::Embed(embed) => embed.check()?,
                Layer::Parametric(Parametric { activation: Activation::Softmax { .. }, .. }) => {
                    return Err(Error::value("parametric activation", "one of single numbers", "softmax"));
                }
                Layer::Dropout(dropout) => share("dropout", dropout.rate)?,
                Layer::Residual(Residual { from, .. }) if *from >= i.saturating_sub(1) => {
                    let expected = format!("a layer before {}", i.saturating_sub(1));
                    return Err(Error::value("layer of a residual connection", expected, from));
                }
                Layer::Residual(Residual { from, features }) if layers[*from].outputs() != *features => {
                    let [expected, got] = [*features, layers[*from].outputs()];
                    return Err(Error::Shape { what: "features of a residual connection", expected, got });
                }
                _ => {}
            }
        }
        check_fork(&layers)?;
        let count = parameter_count(&layers);
        let bytes = count.and_then(|count| count.checked_mul(size_of::<T>()));
        let mut parameters = Vec::new();
        if bytes.is_none() || parameters.try_reserve_exact(count.unwrap_or(usize::MAX)).is_err() {
            let sizes: Vec<_> = layers.iter().map(Layer::outputs).collect();
            return Err(Error::value("network sizes", "parameters that fit the memory", format!("{sizes:?}")));
        }
        parameters.resize(count.unwrap_or(0), T::ZERO);
        let segments = segments(&layers);
        let is_factor = |factor: f64| factor.is_finite() && factor >= 0.0;
        let fits = |segment: &&Segment| is_factor(segment.learning_rate_factor) && is_factor(segment.decay_factor);
        if let Some(Segment { name, learning_rate_factor: rate, decay_factor: decay, .. }) =
            segments.iter().find(|segment| !fits(segment))
        {
            let what = format!("factors of {name}");
            return Err(Error::value(what, "finite numbers of 0 or more", format!("{rate}, {decay}")));
        }
        for segment in segments.iter().filter(|segment| segment.is_scale()) {
            parameters[segment.range.clone()].fill(T::ONE);
        }
        let mut statistics = Vec::new();
        for layer in &layers {
            let count = layer.statistics_count() / 2;
            statistics.extend(std::iter::repeat_n(T::ZERO, count)); // means
            statistics.extend(std::iter::repeat_n(T::ONE, count)); // variances
        }
        Ok(Self { layers, parameters, segments, statistics, frozen: 0 })
    }

    /// The layers, first to last.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Inputs, hidden sizes, outputs of the dense layers.
    pub fn sizes(&self) -> Vec<usize> {
        std::iter::once(self.inputs()).chain(self.dense().map(|dense| dense.outputs)).collect()
    }

    fn dense(&self) -> impl Iterator<Item = &Dense> {
        self.layers.iter().filter_map(Layer::dense)
    }

    /// How many networks it is, which share layers: 1, unless it [forks](Fork).
    pub fn members(&self) -> usize {
        self.layers.iter().map(Layer::copies).product()
    }

    /// Rows of the output of layer `i` for a row of the input.
    pub(crate) fn copies_after(&self, i: usize) -> usize {
        self.layers[..=i].iter().map(Layer::copies).product()
    }

    /// The networks that it is, each with layers of its own: their outputs are the same to the last bit.
    pub fn unfolded(&self) -> Vec<Self> {
        let of_member = |layer: &Layer| match layer {
            Layer::Fork(fork) => Layer::Scale(fork.alone()),
            Layer::Heads(heads) => Layer::Dense(heads.dense),
            layer => layer.clone(),
        };
        let layers: Vec<Layer> = self.layers.iter().map(of_member).collect();
        let alone = |member: usize| {
            let mut network = Self::of_layers(layers.clone()).expect("a part of a network that was checked");
            let mut parameters = &self.parameters[..];
            let mut own = &mut network.parameters[..];
            for (layer, of_member) in self.layers.iter().zip(&layers) {
                let all = parameters.split_off(..layer.parameter_count()).unwrap_or_default();
                let count = of_member.parameter_count();
                // What is shared is there once, and what is not, once for each network.
                let start = if all.len() == count { 0 } else { member * count };
                let to = own.split_off_mut(..count).unwrap_or_default();
                to.copy_from_slice(&all[start..start + count]);
            }
            network.statistics.copy_from_slice(&self.statistics);
            network
        };
        (0..self.members()).map(alone).collect()
    }

    /// Features of the input.
    pub fn inputs(&self) -> usize {
        self.layers[0].inputs()
    }

    /// Features of the output.
    pub fn outputs(&self) -> usize {
        self.last().outputs()
    }

    /// The function before the second dense layer; of the only one where there is no other.
    pub fn hidden_activation(&self) -> Activation {
        let is_dense = |layer: &&Layer| layer.dense().is_some();
        let first = self.layers.iter().position(|layer| is_dense(&layer)).unwrap_or(0);
        let until_next = self.layers[first + 1..].iter().take_while(|layer| !is_dense(layer));
        let functions = std::iter::once(&self.layers[first]).chain(until_next).map(Layer::function);
        functions.filter(|f| *f != Activation::Identity).last().unwrap_or(Activation::Identity)
    }

    /// The function at the end.
    pub fn last_activation(&self) -> Activation {
        self.last().activation()
    }

    pub(crate) fn set_last_activation(&mut self, activation: Activation) {
        self.layers.last_mut().and_then(Layer::activation_mut).into_iter().for_each(|last| *last = activation);
    }

    fn last(&self) -> &Layer {
        self.layers.last().expect("a network has a layer")
    }

    /// This network with another smoothing of its softmax.
    pub fn with_epsilon(mut self, epsilon: f64) -> Self {
        for activation in self.layers.iter_mut().filter_map(Layer::activation_mut) {
            *activation = activation.with_epsilon(epsilon);
        }
        self
    }

    /// This network in another precision.
    pub fn cast<U: Real>(&self) -> Network<U> {
        Network {
            layers: self.layers.clone(),
            parameters: self.parameters.iter().map(|p| U::from_f64(p.to_f64())).collect(),
            segments: self.segments.clone(),
            statistics: self.statistics.iter().map(|x| U::from_f64(x.to_f64())).collect(),
            frozen: self.frozen,
        }
    }

    /// Takes over the first `layers` dense layers of `other`, and what norms it has before the next one.
    ///
    /// # Errors
    /// The tensors of these layers are not the same in both.
    pub fn copy_layers(&mut self, other: &Self, layers: usize) -> Result<()> {
        let dense = self.dense().count();
        let is_taken = |name: &str| match name.split('.').nth(1).and_then(|i| i.parse::<usize>().ok()) {
            // The last layer of each of several networks.
            Some(_) if name.starts_with("heads.") => layers >= dense,
            Some(i) => i < layers,
            None => false,
        };
        let shapes = |network: &Self| -> Vec<(String, Vec<usize>)> {
            let tensors = network.tensors().into_iter().filter(|(name, ..)| is_taken(name));
            tensors.map(|(name, shape, _)| (name, shape)).collect()
        };
        let [own, others] = [shapes(self), shapes(other)];
        if let Some((name, shape)) = own.iter().find(|tensor| !others.contains(tensor)) {
            return Err(Error::value(
                name,
                "a tensor of the model to start from",
                format!("none of the shape {shape:?}"),
            ));
        }
        if let Some((name, shape)) = others.iter().find(|tensor| !own.contains(tensor)) {
            return Err(Error::value(
                format!("the tensor {name} of the model to start from"),
                "a place for it",
                format!("{shape:?}"),
            ));
        }
        for (name, _, values) in other.tensors().into_iter().filter(|(name, ..)| is_taken(name)) {
            self.tensor_mut(&name).copy_from_slice(values);
        }
        Ok(())
    }

    /// Whether every parameter and running statistic is a finite number.
    pub(crate) fn is_finite(&self) -> bool {
        self.parameters.iter().chain(&self.statistics).all(|x| x.is_finite())
    }

    /// Exchanges the parameters for others of the same number.
    pub(crate) fn swap_parameters(&mut self, others: &mut Vec<T>) {
        debug_assert_eq!(others.len(), self.parameters.len());
        std::mem::swap(&mut self.parameters, others);
    }

    /// Leaves the first `layers` dense layers, and what is before the next one, as they are: their parameters have a
    /// learning rate of 0 and no gradient, their dropout drops nothing, their batch norms use what they are used to.
    ///
    /// # Errors
    /// No dense layer would be left to train.
    pub fn freeze(&mut self, layers: usize) -> Result<()> {
        let dense: Vec<_> = (0..self.layers.len()).filter(|&i| self.layers[i].dense().is_some()).collect();
        if layers >= dense.len() {
            return Err(Error::value("frozen layers", format!("fewer than the network's {}", dense.len()), layers));
        }
        self.frozen = if layers == 0 { 0 } else { dense[layers] };
        self.segments = segments(&self.layers);
        for segment in self.segments.iter_mut().filter(|segment| segment.layer < self.frozen) {
            segment.learning_rate_factor = 0.0;
        }
        Ok(())
    }

    /// Layers of all kinds that training leaves alone, from the first on.
    pub(crate) fn frozen(&self) -> usize {
        self.frozen
    }

    /// Running means and variances of the batch norms, layer after layer.
    pub fn statistics(&self) -> &[T] {
        &self.statistics
    }

    /// [`Network::statistics`], to change.
    pub fn statistics_mut(&mut self) -> &mut [T] {
        &mut self.statistics
    }

    /// Parameters and running statistics, all that training changes, with names and shapes: `layers.{i}.weight` (outputs,
    /// inputs) and `layers.{i}.bias` first, and what [`Heads`] have, then what other layers have, layer after layer: see
    /// [`Segment::name`]; a batch norm's `norms.{i}.running_mean` and `norms.{i}.running_var` follow its own.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>, &[T])> {
        let of_segment =
            |segment: &Segment| (segment.name.clone(), segment.shape.clone(), &self.parameters[segment.range.clone()]);
        let (dense, others): (Vec<_>, Vec<_>) = self.segments.iter().partition(|segment| segment.is_dense());
        let mut tensors: Vec<_> = dense.into_iter().map(of_segment).collect();
        let mut others = others.into_iter().peekable();
        let mut statistics = &self.statistics[..];
        let mut norms = 0;
        for (i, layer) in self.layers.iter().enumerate() {
            tensors.extend(std::iter::from_fn(|| others.next_if(|segment| segment.layer == i)).map(of_segment));
            let Layer::Norm(norm) = layer else { continue };
            let n = norm.statistics_count() / 2;
            for name in if n > 0 { &["running_mean", "running_var"][..] } else { &[] } {
                let of_norm = statistics.split_off(..n).unwrap_or_default();
                tensors.push((format!("norms.{norms}.{name}"), vec![n], of_norm));
            }
            norms += 1;
        }
        tensors
    }

    /// One of [`Network::tensors`], to change.
    ///
    /// # Panics
    /// There is none of this name.
    pub(crate) fn tensor_mut(&mut self, name: &str) -> &mut [T] {
        if let Some(segment) = self.segments.iter().find(|segment| segment.name == name) {
            return &mut self.parameters[segment.range.clone()];
        }
        let tensors = self.tensors().into_iter().filter(|(name, ..)| name.contains(".running_"));
        let sizes: Vec<_> = tensors.map(|(name, _, numbers)| (name, numbers.len())).collect();
        let at = sizes.iter().position(|(known, _)| known == name).expect("a tensor of the network");
        let start = sizes[..at].iter().map(|(_, size)| size).sum();
        &mut self.statistics[start..][..sizes[at].1]
    }

    /// Moves running statistics towards those of the last forward pass, which was one of training.
    pub fn update_statistics(&mut self, workspace: &Workspace<T>) {
        let mut rest = &mut self.statistics[..];
        let mut rows = workspace.rows;
        for (i, (layer, memory)) in self.layers.iter().zip(&workspace.layers).enumerate() {
            rows *= layer.copies();
            let (statistics, others) = rest.split_at_mut(layer.statistics_count());
            rest = others;
            if let (Layer::Norm(norm), true) = (layer, i >= self.frozen && !statistics.is_empty()) {
                norm.update_statistics(rows, &memory.moments, statistics);
            }
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
    /// products a dense layer, no input gradient for the first layer.
    pub fn step_operations(&self, rows: usize) -> f64 {
        let is_first = matches!(self.layers[0], Layer::Dense(_));
        let products = |(i, operations): (usize, f64)| (if i == 0 && is_first { 2 } else { 3 }) as f64 * operations;
        rows as f64 * self.products().enumerate().map(products).sum::<f64>()
    }

    /// Floating-point operations of a forward pass over `rows` rows: two for each multiply-add of the products.
    pub fn forward_operations(&self, rows: usize) -> f64 {
        rows as f64 * self.products().sum::<f64>()
    }

    /// Floating-point operations of the products of a forward pass of one row, dense layer after dense layer.
    fn products(&self) -> impl Iterator<Item = f64> {
        let of_layer = |(i, layer): (usize, &Layer)| {
            let Dense { inputs, outputs, .. } = layer.dense()?;
            Some(2.0 * self.copies_after(i) as f64 * *inputs as f64 * *outputs as f64)
        };
        self.layers.iter().enumerate().filter_map(of_layer)
    }

    /// The output (batch, outputs) for the batch `x` (batch, inputs); where it [forks](Fork), (batch · members, outputs),
    /// the members of a row one after the other.
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
        let Workspace { compute, input, layers: memory, rows, output_rows, pass, dropout_factor, .. } = workspace;
        let mut rows = *rows;
        for (i, (layer, context)) in self.contexts(compute, *pass, *dropout_factor).enumerate() {
            let (before, rest) = memory.split_at_mut(i);
            let x = before.last().map_or(&*input, |previous| &previous.a);
            let s = layer.skips_from().map(|from| first_rows(&before[from].a, rows));
            layer.forward(context, first_rows(x, rows), s, &mut rest[0]);
            rows *= layer.copies();
        }
        *output_rows = rows;
        workspace.output()
    }

    /// The layers, each with what its forward needs beside its memory.
    pub(crate) fn contexts<'c>(
        &'c self,
        compute: &'c Compute,
        pass: Pass,
        dropout_factor: f64,
    ) -> impl Iterator<Item = (&'c Layer, Context<'c, T>)> {
        let [mut parameters, mut statistics] = [&self.parameters[..], &self.statistics[..]];
        self.layers.iter().enumerate().map(move |(index, layer)| {
            let parameters = parameters.split_off(..layer.parameter_count()).unwrap_or_default();
            let statistics = statistics.split_off(..layer.statistics_count()).unwrap_or_default();
            let pass = if index < self.frozen { Pass::Inference } else { pass.copied(self.copies_after(index)) };
            (layer, Context { compute, pass, index, dropout_factor, parameters, statistics })
        })
    }

    /// The backward pass of the last forward pass: overwrites [`Workspace::gradient`] with ∂L/∂parameters, and
    /// `d_input` (batch, inputs), if there is one, with ∂L/∂x, for `d_output` = ∂L/∂output, of the output's shape.
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
            ("rows of the output's gradient", workspace.output_rows, d_output.nrows()),
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
        let Workspace { compute, input, layers: memory, gradient, rows, pass, dropout_factor, .. } = workspace;
        let dropout_factor = *dropout_factor;
        let threads = &compute.threads;
        let last_to_do = if d_input.is_some() { 0 } else { self.frozen };
        let mut end = self.parameters.len();
        let mut activation = last;
        for (i, layer) in self.layers.iter().enumerate().rev() {
            if i < last_to_do {
                break;
            }
            let range = end - layer.parameter_count()..end;
            end = range.start;
            let own_activation = activation;
            // Of the layer's input.
            let rows = *rows * self.copies_after(i) / layer.copies();
            let pass = if i < self.frozen { Pass::Inference } else { pass.copied(self.copies_after(i)) };
            let parameters = &self.parameters[range.clone()];
            // A norm's backward has what it needs of the statistics from its forward.
            let context = Context { compute, pass, index: i, dropout_factor, parameters, statistics: &[] };
            let (before, rest) = memory.split_at_mut(i);
            let (x, dx) = match before.last_mut() {
                Some(previous) if i == last_to_do && d_input.is_none() => (&previous.a, None),
                Some(previous) => {
                    // What this layer's backward can do of the layer before's f′, that layer need not.
                    let f = self.layers[i - 1].activation();
                    let (fused, left) = match self.fuses(i) {
                        true => f.fuse_chain(first_rows(&previous.a, rows)),
                        false => (Fused::Nothing, f),
                    };
                    activation = left;
                    (&previous.a, Some((first_rows_mut(&mut previous.d, rows), fused)))
                }
                None => (&*input, d_input.take().map(|dx| (dx, Fused::Nothing))),
            };
            layer.backward(context, own_activation, first_rows(x, rows), &mut rest[0], &mut gradient[range], dx);
            if let Some(previous) = before.last_mut() {
                for later in self.residuals_from(i - 1) {
                    let d = first_rows(&rest[later - i].d, rows);
                    Residual::backward_skipped(threads, d, first_rows_mut(&mut previous.d, rows));
                }
            }
        }
    }

    /// Whether the backward of layer `i` takes over what it can of the derivative of the layer before's activation.
    fn fuses(&self, i: usize) -> bool {
        i > 0 && self.layers[i].fuses() && self.residuals_from(i - 1).next().is_none()
    }

    /// The residual connections that come from layer `i`.
    fn residuals_from(&self, i: usize) -> impl Iterator<Item = usize> {
        let comes_from = move |layer: &Layer| matches!(layer, Layer::Residual(residual) if residual.from == i);
        self.layers.iter().enumerate().filter(move |(_, layer)| comes_from(layer)).map(|(later, _)| later)
    }

    /// Adds the gradient of the penalty `l2`·Σθ² over the [penalized](Self::penalized) parameters θ:
    /// `gradient += 2·l2·θ`. The penalty itself is not part of any reported loss.
    pub(crate) fn add_l2(&self, threads: &Threads, l2: f64, on_biases: bool, gradient: &mut [T]) {
        let factor = T::from_f64(2.0 * l2);
        for range in self.penalized(on_biases) {
            let parameters = &self.parameters[range.clone()];
            zip(threads, &mut gradient[range], [parameters], move |gradient, [parameter]| {
                gradient + factor * parameter
            });
        }
    }

    /// Where the parameters of a penalty are: all that are trained, or the weights of dense layers among them.
    pub(crate) fn penalized(&self, on_biases: bool) -> impl Iterator<Item = Range<usize>> {
        let trained = self.segments.iter().find(|segment| segment.layer >= self.frozen);
        let start = trained.map_or(0, |segment| segment.range.start);
        let all = on_biases.then_some(start..self.parameters.len());
        let is_weight = |segment: &&Segment| segment.is_dense() && segment.shape.len() == 2;
        let weights = self.segments.iter().filter(is_weight).map(|segment| segment.range.clone());
        all.into_iter().chain(weights.filter(move |range| !on_biases && range.start >= start))
    }
}

impl Segment {
    /// Whether it is the weight or the bias of a dense layer.
    pub(crate) fn is_dense(&self) -> bool {
        self.name.starts_with("layers.") || self.name.starts_with("heads.")
    }

    /// Whether it begins at 1: γ of a norm, s of a scale, α of a parametric activation, r of a fork.
    pub(crate) fn is_scale(&self) -> bool {
        let is_of = |kind: &&str| self.name.starts_with(*kind);
        ["norms.", "scales.", "activations.", "forks."].iter().any(is_of) && self.name.ends_with(".weight")
    }
}

/// Fails unless these layers fork once at most, and what forked has heads of its own at the end.
fn check_fork(layers: &[Layer]) -> Result<()> {
    let forks = || {
        layers
            .iter()
            .enumerate()
            .filter_map(|(i, layer)| if let Layer::Fork(fork) = layer { Some((i, fork)) } else { None })
    };
    let heads = layers.iter().position(|layer| matches!(layer, Layer::Heads(_)));
    let Some((place, fork)) = forks().next() else {
        return match heads {
            Some(place) => Err(Error::value("place of a layer of heads", "one after a fork", place)),
            None => Ok(()),
        };
    };
    Fork::check(fork.members)?;
    if let Some((second, _)) = forks().nth(1) {
        return Err(Error::value("forks of a network", "one at most", format!("layers {place} and {second}")));
    }
    match layers.last() {
        Some(Layer::Heads(last)) if last.members == fork.members && heads == Some(layers.len() - 1) => {}
        last => {
            let expected = format!("heads of its {} networks, and no others", fork.members);
            return Err(Error::value("last layer of a network that forks", expected, format!("{last:?}")));
        }
    }
    let crosses = |(i, layer): (usize, &Layer)| layer.skips_from().filter(|&from| i > place && from < place);
    match layers.iter().enumerate().find_map(crosses) {
        Some(from) => Err(Error::value("layer of a residual connection behind a fork", "one behind it, too", from)),
        None => Ok(()),
    }
}

/// How many numbers the parameters of `layers` are, unless they are more than can be counted.
pub(crate) fn parameter_count(layers: &[Layer]) -> Option<usize> {
    layers.iter().try_fold(0usize, |count, layer| {
        let of_layer = match layer {
            Layer::Dense(dense) => dense.inputs.checked_add(1)?.checked_mul(dense.outputs)?,
            Layer::Norm(norm) => norm.features.checked_mul(2)?,
            Layer::Scale(Scale { features, .. }) | Layer::Parametric(Parametric { features, .. }) => *features,
            Layer::Embed(embed) => embed.parameter_count()?,
            Layer::Fork(fork) => fork.features.checked_mul(fork.members)?,
            Layer::Heads(Heads { dense, members }) => {
                dense.inputs.checked_add(1)?.checked_mul(dense.outputs)?.checked_mul(*members)?
            }
            Layer::Dropout(_) | Layer::Residual(_) => 0,
        };
        count.checked_add(of_layer)
    })
}

/// The named parts of the parameters of `layers`.
fn segments(layers: &[Layer]) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    let [mut dense, mut norms, mut scales, mut activations] = [0; 4];
    for (layer, description) in layers.iter().enumerate() {
        let mut add = |name: String, shape: Vec<usize>, factors: Factors, gain: f64| {
            let start = segments.last().map_or(0, |segment| segment.range.end);
            let range = start..start + shape.iter().product::<usize>();
            let Factors { rate: learning_rate_factor, decay: decay_factor } = factors;
            segments.push(Segment { name, layer, range, shape, learning_rate_factor, gain, decay_factor });
        };
        match description {
            Layer::Dense(Dense { inputs, outputs, parametrization, bias_factors, .. }) => {
                let gain = parametrization.gain(*inputs);
                add(format!("layers.{dense}.weight"), vec![*outputs, *inputs], Factors::ONE, gain);
                add(format!("layers.{dense}.bias"), vec![*outputs], *bias_factors, 1.0);
                dense += 1;
            }
            Layer::Heads(Heads { dense: Dense { inputs, outputs, parametrization, bias_factors, .. }, members }) => {
                let gain = parametrization.gain(*inputs);
                for j in 0..*members {
                    add(format!("heads.{j}.weight"), vec![*outputs, *inputs], Factors::ONE, gain);
                    add(format!("heads.{j}.bias"), vec![*outputs], *bias_factors, 1.0);
                }
            }
            Layer::Fork(Fork { features, members, factors }) => {
                add("forks.0.weight".into(), vec![*members, *features], *factors, 1.0);
            }
            Layer::Norm(norm) => {
                let factors = Factors { decay: 0.0, ..Factors::ONE };
                add(format!("norms.{norms}.weight"), vec![norm.features], factors, 1.0);
                add(format!("norms.{norms}.bias"), vec![norm.features], factors, 1.0);
                norms += 1;
            }
            Layer::Scale(Scale { features, factors }) => {
                add(format!("scales.{scales}.weight"), vec![*features], *factors, 1.0);
                scales += 1;
            }
            Layer::Parametric(Parametric { features, factors, .. }) => {
                add(format!("activations.{activations}.weight"), vec![*features], *factors, 1.0);
                activations += 1;
            }
            Layer::Embed(embed) => {
                let n = embed.numbers;
                if let Some(Periodic { frequencies: k, outputs, factors, .. }) = embed.periodic {
                    add("embeds.0.frequencies".into(), vec![n, k], factors, 1.0);
                    add("embeds.0.phases".into(), vec![n, k], factors, 1.0);
                    add("embeds.0.weights".into(), vec![n, outputs - 1, k], factors, 1.0);
                    add("embeds.0.biases".into(), vec![n, outputs - 1], factors, 1.0);
                }
                for (i, category) in embed.categories.iter().enumerate() {
                    add(format!("embeds.0.tables.{i}"), vec![category.count, category.width], Factors::ONE, 1.0);
                }
            }
            Layer::Dropout(_) | Layer::Residual(_) => {}
        }
    }
    segments
}
