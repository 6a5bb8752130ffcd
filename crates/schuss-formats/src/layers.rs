//! Layers that are read, put together.

use ndarray::Array2;
use schuss::{
    Activation, Dense, Factors, Layer, Loss, Model, Network, Norm, NormKind, Parametric, Residual, Scale, Scaling, Task,
};

type Outcome<T> = Result<T, String>;

/// The most outputs of all layers together, and the most parameters.
const MOST_OUTPUTS: usize = 1 << 22;
const MOST_PARAMETERS: usize = 1 << 27;

/// A network that grows layer by layer, with its parameters, as it is read.
#[derive(Debug, Default)]
pub struct Layers {
    layers: Vec<Layer>,
    parameters: Vec<Vec<f64>>,
    statistics: Vec<Vec<f64>>,
    /// Changes so far: a value of the graph is the output after one of them.
    changes: usize,
    /// For each layer, the last change of it.
    changed: Vec<usize>,
    /// (x - mean)/deviation of the input, before all layers.
    scaling: Vec<[f64; 2]>,
    /// Of all layers.
    outputs: usize,
    count: usize,
}

impl Layers {
    /// Adds a layer that is described by arrays and a number: `dense`, W (outputs, inputs) row by row and b; `batch-norm`, γ,
    /// β, mean, variance and ε; `layer-norm`, γ, β and ε; `affine`, `x ⊙ factor + shift` with a number for each column or
    /// one for all, and how many columns there are; or the name of an activation.
    ///
    /// # Errors
    /// What does not fit.
    pub fn add(&mut self, kind: &str, arrays: &[&[f64]], number: f64) -> Outcome<()> {
        match (kind, arrays) {
            ("dense", [weight, bias]) => {
                let misfit = |_| format!("a weight of {} numbers, and {} biases", weight.len(), bias.len());
                let inputs = weight.len() / bias.len().max(1);
                let weight = Array2::from_shape_vec((bias.len(), inputs), weight.to_vec()).map_err(misfit)?;
                self.dense(&weight, bias)
            }
            ("batch-norm", &[scale, shift, mean, variance]) => {
                self.norm(NormKind::Batch, [scale, shift], [mean, variance], number)
            }
            ("layer-norm", &[scale, shift]) => self.norm(NormKind::Layer, [scale, shift], [&[], &[]], number),
            ("affine", [factor, shift]) => self.affine(factor, shift, Some(number as usize).filter(|width| *width > 0)),
            (name, []) => {
                let function = Activation::from_name(name).map_err(|error| error.to_string())?;
                self.activation(function.with_epsilon(0.0))
            }
            _ => Err(format!("{kind} with {} arrays", arrays.len())),
        }
    }

    /// The output so far, as a value.
    pub(crate) fn value(&self) -> usize {
        self.changes
    }

    /// Columns of the output so far, where they are known.
    pub(crate) fn width(&self) -> Option<usize> {
        self.layers.last().map(Layer::outputs)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    pub(crate) fn last_activation(&self) -> Activation {
        self.layers.last().map_or(Activation::Identity, Layer::activation)
    }

    fn push(&mut self, layer: Layer, parameters: Vec<f64>, statistics: Vec<f64>) -> Outcome<()> {
        if let Some(width) = self.width()
            && width != layer.inputs()
        {
            return Err(format!("{} inputs after {width} outputs", layer.inputs()));
        }
        self.outputs = self.outputs.saturating_add(layer.outputs());
        self.count = self.count.saturating_add(parameters.len());
        if self.outputs > MOST_OUTPUTS || self.count > MOST_PARAMETERS {
            return Err(format!("more than {MOST_OUTPUTS} outputs, or {MOST_PARAMETERS} parameters, of all layers"));
        }
        self.changes += 1;
        self.layers.push(layer);
        self.parameters.push(parameters);
        self.statistics.push(statistics);
        self.changed.push(self.changes);
        Ok(())
    }

    fn change(&mut self) {
        self.changes += 1;
        self.changed.iter_mut().last().into_iter().for_each(|changed| *changed = self.changes);
    }

    /// `x·Wᵀ + b`, W (outputs, inputs).
    pub(crate) fn dense(&mut self, weight: &Array2<f64>, bias: &[f64]) -> Outcome<()> {
        let (outputs, inputs) = weight.dim();
        if inputs == 0 || outputs == 0 || bias.len() != outputs {
            return Err(format!("a weight of {outputs} outputs and {inputs} inputs, and {} biases", bias.len()));
        }
        let parameters = weight.iter().chain(bias).copied().collect();
        self.push(Layer::Dense(Dense::new(inputs, outputs, Activation::Identity)), parameters, Vec::new())
    }

    /// Normalisation; `statistics` are means and variances of a batch norm with ε = `epsilon`.
    pub(crate) fn norm(
        &mut self,
        kind: NormKind,
        [scale, shift]: [&[f64]; 2],
        [mean, variance]: [&[f64]; 2],
        epsilon: f64,
    ) -> Outcome<()> {
        let features = scale.len();
        let statistics = if kind == NormKind::Batch { features } else { 0 };
        if features == 0 || shift.len() != features || [mean.len(), variance.len()] != [statistics; 2] {
            return Err("parts of a normalisation whose sizes differ".into());
        }
        // ε is always the same here: the variances of a batch norm make up for it. One of less than nothing may come of it,
        // but never with ε.
        let corrected = variance.iter().map(|variance| variance + epsilon - Norm::EPSILON);
        if kind == NormKind::Batch && !variance.iter().all(|variance| variance + epsilon > 0.0) {
            return Err("a variance below zero".into());
        }
        if kind == NormKind::Layer && !(epsilon > 0.0 && epsilon.is_finite()) {
            return Err(format!("a layer normalisation with ε = {epsilon:e}; expected a number above 0"));
        }
        if kind == NormKind::Layer && (epsilon / Norm::EPSILON - 1.0).abs() > 1e-6 {
            // (s x - s μ)/√(s² variance + ε) is that of another ε, where s² is their ratio.
            let scale = Layer::Scale(Scale { features, factors: Factors::ONE });
            self.push(scale, vec![(Norm::EPSILON / epsilon).sqrt(); features], Vec::new())?;
        }
        let parameters = scale.iter().chain(shift).copied().collect();
        let statistics = mean.iter().copied().chain(corrected).collect();
        self.push(Layer::Norm(Norm { features, kind, activation: Activation::Identity }), parameters, statistics)
    }

    /// f of the output.
    pub(crate) fn activation(&mut self, f: Activation) -> Outcome<()> {
        match self.layers.last_mut() {
            Some(Layer::Dense(Dense { activation, .. }) | Layer::Norm(Norm { activation, .. }))
                if *activation == Activation::Identity =>
            {
                *activation = f;
                self.change();
                Ok(())
            }
            Some(_) if matches!(f, Activation::Softmax { .. }) => Err("softmax of what is no layer's output".into()),
            Some(layer) => {
                let features = layer.outputs();
                let parametric = Parametric { features, activation: f, factors: Factors::ONE };
                self.push(Layer::Parametric(parametric), vec![1.0; features], Vec::new())
            }
            None => Err("a function of the input, before any layer".into()),
        }
    }

    /// The smoothing of the softmax at the end.
    pub(crate) fn set_epsilon(&mut self, e: f64) -> Outcome<()> {
        match self.layers.last_mut() {
            Some(
                Layer::Dense(Dense { activation: Activation::Softmax { epsilon }, .. })
                | Layer::Norm(Norm { activation: Activation::Softmax { epsilon }, .. }),
            ) => {
                *epsilon = e;
                self.change();
                Ok(())
            }
            _ => Err("no softmax is before it".into()),
        }
    }

    /// `x ⊙ factor + shift`, a number for each column or one for all.
    pub(crate) fn affine(&mut self, factor: &[f64], shift: &[f64], width: Option<usize>) -> Outcome<()> {
        let width = self.width().or(width).ok_or("before the number of columns is known")?;
        if width > MOST_OUTPUTS {
            return Err(format!("{width} columns; expected {MOST_OUTPUTS} at most"));
        }
        let spread = |numbers: &[f64]| match *numbers {
            [one] => Ok(vec![one; width]),
            _ if numbers.len() == width => Ok(numbers.to_vec()),
            _ => Err(format!("{} numbers for {width} columns", numbers.len())),
        };
        let (factor, shift) = (spread(factor)?, spread(shift)?);
        match self.layers.last_mut() {
            None => {
                self.scaling.resize(width, [0.0, 1.0]);
                for ([mean, deviation], (factor, shift)) in self.scaling.iter_mut().zip(factor.iter().zip(&shift)) {
                    if *factor == 0.0 {
                        return Err("an input times 0".into());
                    }
                    // f (x - m)/d + s = (x - (m - s d/f))/(d/f)
                    *deviation /= factor;
                    *mean -= shift * *deviation;
                }
                self.change();
                Ok(())
            }
            Some(Layer::Dense(dense)) if dense.activation == Activation::Identity => {
                let inputs = dense.inputs;
                let parameters = self.parameters.last_mut().ok_or("no parameters")?;
                let (weight, bias) = parameters.split_at_mut(width * inputs);
                for ((row, bias), (factor, shift)) in weight.chunks_mut(inputs).zip(bias).zip(factor.iter().zip(&shift))
                {
                    row.iter_mut().for_each(|w| *w *= factor);
                    *bias = *bias * factor + shift;
                }
                self.change();
                Ok(())
            }
            Some(Layer::Norm(norm)) if norm.activation == Activation::Identity => {
                let parameters = self.parameters.last_mut().ok_or("no parameters")?;
                let (own_factor, own_shift) = parameters.split_at_mut(width);
                own_factor.iter_mut().zip(&factor).for_each(|(own, factor)| *own *= factor);
                for (own, (factor, shift)) in own_shift.iter_mut().zip(factor.iter().zip(&shift)) {
                    *own = *own * factor + shift;
                }
                self.change();
                Ok(())
            }
            // A batch norm of mean 0 and variance 1.
            Some(_) => {
                let (mean, variance) = (vec![0.0; width], vec![1.0; width]);
                self.norm(NormKind::Batch, [&factor, &shift], [&mean, &variance], 0.0)
            }
        }
    }

    /// Adds an earlier value to the output.
    pub(crate) fn residual(&mut self, value: usize) -> Outcome<()> {
        let from = self.changed.binary_search(&value).ok();
        let from = from.ok_or("a sum with what is not the output of a layer")?;
        let features = self.width().unwrap_or(0);
        if from + 1 >= self.layers.len() || self.layers[from].outputs() != features {
            return Err("a sum with an output of another layer that does not fit".into());
        }
        self.push(Layer::Residual(Residual { features, from }), Vec::new(), Vec::new())
    }

    /// The model of these layers, whose end tells its task unless `last` does: softmax gives classes, sigmoid labels,
    /// everything else numbers. `classes` are the names of classes, if there are classes.
    ///
    /// # Errors
    /// No dense layer, or what does not fit together.
    pub fn model(mut self, last: Option<Activation>, classes: Option<Vec<String>>) -> Outcome<Model<f64>> {
        let outputs = self.width().ok_or("there is no dense layer in it")?;
        let mut end = self.last_activation();
        if let (Some(last), Activation::Identity) = (last, end)
            && last != Activation::Identity
        {
            self.activation(last)?;
            end = last;
        }
        let is_binary = outputs == 1 && classes.is_some();
        let (loss, task) = match end {
            Activation::Softmax { .. } => (Loss::CrossEntropy, Task::Classification { classes: outputs }),
            Activation::Sigmoid => {
                // Its loss takes logits.
                self.layers.pop().into_iter().for_each(|layer| self.layers.push(without_activation(layer)));
                let task = match is_binary {
                    true => Task::Classification { classes: 2 },
                    false => Task::MultiLabel { labels: outputs },
                };
                (Loss::BinaryCrossEntropy, task)
            }
            _ if classes.is_some() && outputs > 1 => (Loss::Mse, Task::Classification { classes: outputs }),
            _ => (Loss::Mse, Task::Regression),
        };
        let mut network = Network::of_layers(self.layers).map_err(|error| error.to_string())?;
        let parameters: Vec<f64> = self.parameters.concat();
        let statistics: Vec<f64> = self.statistics.concat();
        if [parameters.len(), statistics.len()] != [network.parameters().len(), network.statistics().len()] {
            return Err("parameters that do not fit the layers".into());
        }
        network.parameters_mut().copy_from_slice(&parameters);
        network.statistics_mut().copy_from_slice(&statistics);
        let mut model = Model::new(network, loss, task);
        if !self.scaling.is_empty() {
            let first = self.scaling[0];
            model.scaling = match self.scaling.iter().all(|scale| *scale == first) && first[0] == 0.0 {
                true => Scaling::Divide(first[1]),
                false => Scaling::Standard {
                    mean: self.scaling.iter().map(|scale| scale[0]).collect(),
                    deviation: self.scaling.iter().map(|scale| scale[1]).collect(),
                },
            };
            model.scaling.check(model.network.inputs()).map_err(|error| error.to_string())?;
        }
        if let (Task::Classification { classes: count }, Some(names)) = (task, classes) {
            // Names that are the numbers of the classes are none.
            let are_numbers = (0..).zip(&names).all(|(i, name): (usize, &String)| *name == i.to_string());
            if names.len() == count && !are_numbers {
                model.class_names = names;
            }
        }
        Ok(model)
    }
}

fn without_activation(layer: Layer) -> Layer {
    match layer {
        Layer::Dense(dense) => Layer::Dense(Dense { activation: Activation::Identity, ..dense }),
        Layer::Norm(norm) => Layer::Norm(Norm { activation: Activation::Identity, ..norm }),
        other => other,
    }
}
