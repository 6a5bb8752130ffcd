//! A model as a short list of plain operations: what every exporter writes down in its own language.

use std::ops::Range;

use ndarray::{Array2, Array3, ArrayView2, Axis, concatenate};
use schuss::{
    Activation, Cycle, Embed, Encoding, Error, Layer, Loss, Model, Network, Norm, NormKind, NumberScaling, Real,
    Result, Scaling, Schema, Task, Threads,
};

/// What a model computes, from a stored example to a prediction, in single precision.
///
/// Values are numbered. Value 0 is the input, a row of numbers; value i is what `nodes[i - 1]` makes of earlier ones; the
/// last one is the prediction. The parameters of a model in double precision are rounded.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// What value 0 is.
    pub input: Input,
    /// In the order in which they are computed.
    pub nodes: Vec<Node>,
    /// What the last value is.
    pub output: Output,
}

/// What a program takes.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// An example as it is stored, flat, in single precision: pixels from 0 to 255, say.
    Features {
        /// The shape before it was flattened, whose product is the number of features.
        shape: Vec<usize>,
    },
    /// A row of a table in double precision, a number for each of these columns; NaN where the value is missing.
    Table(Vec<Column>),
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What its numbers are.
    pub kind: ColumnKind,
}

/// What the numbers of a column are.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnKind {
    /// Themselves.
    Number,
    /// Seconds since 1970-01-01 UTC.
    Time,
    /// Places among these names, from 0; every other number is a category that was not seen in training.
    Category(Vec<String>),
}

/// What a program gives.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// A number for each class; the largest, the first of equal ones, is the predicted class.
    Classes {
        /// The names of the classes; where they have none, 0, 1, ...
        names: Vec<String>,
        /// Whether the numbers are probabilities.
        are_probabilities: bool,
    },
    /// The probability of each label.
    Labels,
    /// Numbers, in the unit of the targets.
    Numbers,
}

/// An operation on values.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What is done.
    pub operation: Operation,
    /// The values that it is done with, x first.
    pub inputs: Vec<usize>,
    /// Numbers of a row of the result y.
    pub columns: usize,
}

/// What can be done with values, row by row. Everything is computed in single precision but where it says so.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Columns of a table become numbers, in double precision, then rounded; only of the input, and first.
    Encode(Vec<Feature>),
    /// `y = x / divisor`
    Divide(f32),
    /// `y = (x - mean) / deviation`, in double precision, then rounded.
    Standardize {
        /// Of each column.
        mean: Vec<f64>,
        /// Of each column.
        deviation: Vec<f64>,
    },
    /// `y = x·Wᵀ + b`
    Affine {
        /// W, (outputs, inputs)
        weight: Array2<f32>,
        /// b
        bias: Vec<f32>,
    },
    /// `y = x - by`
    Subtract(Vec<f32>),
    /// `y = x ⊙ by`
    Multiply(Vec<f32>),
    /// `y = x + by`
    Shift(Vec<f32>),
    /// `y = (x - μ)/√(variance + ε)`, mean and population variance those of the row.
    Normalize {
        /// ε
        epsilon: f32,
    },
    /// `y = f(x)`, softmax with its smoothing.
    Activation(Activation),
    /// `y = exp(x)`
    Exp,
    /// `y = x₀ + α ⊙ (x₁ - x₀)`
    Blend(Vec<f32>),
    /// `y = x₀ + x₁`
    Add,
    /// The mean of all inputs.
    Mean,
    /// These columns of x.
    Slice(Range<usize>),
    /// All inputs, side by side.
    Concat,
    /// The row of the table whose place stands in a column of x; zeros where there is no such row.
    Lookup {
        /// Of x.
        column: usize,
        /// (codes, width)
        table: Array2<f32>,
    },
    /// Every number x of n becomes `[x, W₂·cos(w₁ x + b₁) + b₂]`, with parameters of its own.
    Periodic {
        /// w₁, 2π included, (n, k)
        frequencies: Array2<f32>,
        /// b₁ (n, k)
        phases: Array2<f32>,
        /// W₂ (n, o - 1, k)
        weights: Array3<f32>,
        /// b₂ (n, o - 1)
        biases: Array2<f32>,
    },
    /// `y = x ⊙ factor + shift`, in double precision, then rounded.
    Rescale {
        /// Of each column.
        factor: Vec<f64>,
        /// Of each column.
        shift: Vec<f64>,
    },
    /// `y = min(max(x, low), high)`; what is not a number stays none.
    Clamp {
        /// Of each column.
        low: Vec<f32>,
        /// Of each column.
        high: Vec<f32>,
    },
}

/// An input of the network, made of one column of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Feature {
    /// The place of the column.
    pub column: usize,
    /// What becomes of its number.
    pub formula: Formula,
}

/// What becomes of a number of a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Formula {
    /// It is scaled; 0 where it is missing.
    Number(NumberScaling),
    /// sin(2π p), where p is the fraction of time/cycle, from 0 to 1; 0 where it is missing.
    Sine(Cycle),
    /// cos(2π p); 0 where it is missing.
    Cosine(Cycle),
    /// 1 where it is missing, else 0.
    IsMissing,
    /// -1 for category 0, 1 for category 1, else 0.
    Sign,
    /// 1 where it is this category, else 0.
    IsCode(usize),
    /// The category as a row of a table; -1 where it is unknown.
    Code {
        /// Categories that are known.
        count: usize,
        /// What stands for a missing one: `count` or -1.
        missing: f32,
    },
}

impl Formula {
    /// What becomes of `x`.
    pub fn apply(&self, x: f64) -> f32 {
        let is_missing = x.is_nan();
        let phase = |cycle: &Cycle| std::f64::consts::TAU * (x / cycle.seconds()).rem_euclid(1.0);
        match self {
            Self::IsMissing => f32::from(u8::from(is_missing)),
            Self::Code { missing, .. } if is_missing => *missing,
            _ if is_missing => 0.0,
            Self::Number(scaling) => scaling.scale(x) as f32,
            Self::Sine(cycle) => phase(cycle).sin() as f32,
            Self::Cosine(cycle) => phase(cycle).cos() as f32,
            Self::Sign => match x {
                0.0 => -1.0,
                1.0 => 1.0,
                _ => 0.0,
            },
            Self::IsCode(code) => f32::from(u8::from(x == *code as f64)),
            Self::Code { count, .. } => {
                let is_known = x >= 0.0 && x < *count as f64 && x.fract() == 0.0;
                if is_known { x as f32 } else { -1.0 }
            }
        }
    }
}

impl Program {
    /// The program of this model.
    ///
    /// # Errors
    /// A parameter, or a number of a scaling, that is not finite in single precision; parts of the model that do not fit
    /// together.
    pub fn new<T: Real>(model: &Model<T>) -> Result<Self> {
        let inputs = model.network.inputs();
        model.scaling.check(inputs)?;
        let mut program = match &model.schema {
            Some(schema) => {
                schema.check(inputs)?;
                Self::of_table(schema)
            }
            None => Self::of_features(&model.example_shape, inputs),
        };
        let x = program.scale(&model.scaling);
        let networks: Vec<usize> =
            model.unfolded().networks().map(|network| program.network(network, x)).collect::<Result<_>>()?;
        let said: Vec<usize> = networks.into_iter().map(|x| program.say(model.task, model.loss, x)).collect();
        let mean = match said[..] {
            [one] => one,
            _ => program.add(Operation::Mean, said),
        };
        program.finish(model, mean)?;
        program.output = match model.task {
            Task::Classification { classes } => {
                let named = |class: usize| model.class_names.get(class).cloned().unwrap_or_else(|| class.to_string());
                let are_probabilities = model.predicts_probabilities();
                Output::Classes { names: (0..classes).map(named).collect(), are_probabilities }
            }
            Task::MultiLabel { .. } => Output::Labels,
            Task::Regression => Output::Numbers,
        };
        Ok(program)
    }

    /// Numbers of a row of the input.
    pub fn inputs(&self) -> usize {
        match &self.input {
            Input::Features { shape } => shape.iter().product(),
            Input::Table(columns) => columns.len(),
        }
    }

    /// Numbers of a row of the output.
    pub fn outputs(&self) -> usize {
        self.columns(self.nodes.len())
    }

    /// Numbers of a row of a value.
    pub fn columns(&self, value: usize) -> usize {
        value.checked_sub(1).map_or_else(|| self.inputs(), |node| self.nodes[node].columns)
    }

    fn of_features(shape: &[usize], inputs: usize) -> Self {
        let is_known = shape.iter().product::<usize>() == inputs;
        let shape = if is_known { shape.to_vec() } else { vec![inputs] };
        Self { input: Input::Features { shape }, nodes: Vec::new(), output: Output::Numbers }
    }

    fn of_table(schema: &Schema) -> Self {
        let mut features: Vec<Option<Feature>> = vec![None; schema.inputs()];
        for (column, described) in schema.columns.iter().enumerate() {
            let formulas = formulas(described);
            for (place, formula) in schema.inputs_of(column).into_iter().zip(formulas) {
                features[place] = Some(Feature { column, formula });
            }
        }
        let kind = |column: &schuss::Column| match &column.encoding {
            Encoding::Number(_) | Encoding::Skewed(_) => ColumnKind::Number,
            Encoding::Time { .. } => ColumnKind::Time,
            Encoding::Binary { names } | Encoding::OneHot { names } | Encoding::Code { names } => {
                ColumnKind::Category(names.clone())
            }
        };
        let columns = schema.columns.iter().map(|column| Column { name: column.name.clone(), kind: kind(column) });
        let mut program = Self { input: Input::Table(columns.collect()), nodes: Vec::new(), output: Output::Numbers };
        program.add(Operation::Encode(features.into_iter().flatten().collect()), vec![0]);
        program
    }

    /// Adds a node; the value that it makes.
    fn add(&mut self, operation: Operation, inputs: Vec<usize>) -> usize {
        let x = self.columns(inputs[0]);
        let columns = match &operation {
            Operation::Encode(features) => features.len(),
            Operation::Affine { bias, .. } => bias.len(),
            Operation::Slice(range) => range.len(),
            Operation::Concat => inputs.iter().map(|&input| self.columns(input)).sum(),
            Operation::Lookup { table, .. } => table.ncols(),
            Operation::Periodic { biases, .. } => biases.nrows() * (biases.ncols() + 1),
            _ => x,
        };
        self.nodes.push(Node { operation, inputs, columns });
        self.nodes.len()
    }

    /// From stored values to the networks' inputs.
    fn scale(&mut self, scaling: &Scaling) -> usize {
        let x = self.nodes.len();
        match scaling {
            Scaling::None => x,
            Scaling::Divide(divisor) => self.add(Operation::Divide(*divisor as f32), vec![x]),
            Scaling::Standard { mean, deviation } => {
                let operation = Operation::Standardize { mean: mean.clone(), deviation: deviation.clone() };
                self.add(operation, vec![x])
            }
        }
    }

    /// The output of a network for the input x.
    fn network<T: Real>(&mut self, network: &Network<T>, mut x: usize) -> Result<usize> {
        let single = |numbers: &[T]| numbers.iter().map(|x| x.to_f64() as f32).collect::<Vec<f32>>();
        let (parameters, statistics) = (single(network.parameters()), single(network.statistics()));
        if !parameters.iter().chain(&statistics).all(|x| x.is_finite()) {
            return Err(Error::value("parameters", "finite numbers in single precision", "infinity or NaN"));
        }
        let [mut parameters, mut statistics] = [&parameters[..], &statistics[..]];
        let mut outputs = Vec::new();
        for layer in network.layers() {
            let mut own = parameters.split_off(..layer.parameter_count()).unwrap_or_default();
            let mut take = |count: usize| own.split_off(..count).unwrap_or_default().to_vec();
            x = match layer {
                Layer::Dense(dense) => {
                    let weight = matrix(dense.outputs, dense.inputs, take(dense.outputs * dense.inputs));
                    let bias = take(dense.outputs);
                    self.add(Operation::Affine { weight, bias }, vec![x])
                }
                Layer::Norm(norm) => {
                    let n = norm.features;
                    let (factor, shift) = (take(n), take(n));
                    let mut own = statistics.split_off(..layer.statistics_count()).unwrap_or_default();
                    x = match norm.kind {
                        NormKind::Layer => self.add(Operation::Normalize { epsilon: Norm::EPSILON as f32 }, vec![x]),
                        NormKind::Batch => {
                            let mean = own.split_off(..n).unwrap_or_default().to_vec();
                            let inverse = |&variance: &f32| 1.0 / (variance + Norm::EPSILON as f32).sqrt();
                            let inverses = own.iter().map(inverse).collect();
                            let x = self.add(Operation::Subtract(mean), vec![x]);
                            self.add(Operation::Multiply(inverses), vec![x])
                        }
                    };
                    x = self.add(Operation::Multiply(factor), vec![x]);
                    self.add(Operation::Shift(shift), vec![x])
                }
                Layer::Dropout(_) => x,
                Layer::Residual(residual) => self.add(Operation::Add, vec![x, outputs[residual.from]]),
                Layer::Scale(scale) => self.add(Operation::Multiply(take(scale.features)), vec![x]),
                Layer::Parametric(parametric) => {
                    let y = self.add(Operation::Activation(parametric.activation), vec![x]);
                    self.add(Operation::Blend(take(parametric.features)), vec![x, y])
                }
                Layer::Embed(embed) => self.embed(embed, x, take),
                _ => return Err(Error::value("layer", "one that can be exported", format!("{layer:?}"))),
            };
            if layer.activation() != Activation::Identity {
                x = self.add(Operation::Activation(layer.activation()), vec![x]);
            }
            outputs.push(x);
        }
        Ok(x)
    }

    /// The first layer of a table, whose parameters are taken one after the other.
    fn embed(&mut self, embed: &Embed, x: usize, mut take: impl FnMut(usize) -> Vec<f32>) -> usize {
        let n = embed.numbers;
        let mut parts = Vec::new();
        match embed.periodic {
            Some(periodic) if n > 0 => {
                let (k, o) = (periodic.frequencies, periodic.outputs - 1);
                let turns = take(n * k);
                let radians = turns.iter().map(|w| std::f64::consts::TAU as f32 * w).collect();
                let operation = Operation::Periodic {
                    frequencies: matrix(n, k, radians),
                    phases: matrix(n, k, take(n * k)),
                    weights: Array3::from_shape_vec((n, o, k), take(n * o * k)).expect(SHAPE),
                    biases: matrix(n, o, take(n * o)),
                };
                let numbers = self.add(Operation::Slice(0..n), vec![x]);
                parts.push(self.add(operation, vec![numbers]));
                if embed.plain > 0 {
                    parts.push(self.add(Operation::Slice(n..n + embed.plain), vec![x]));
                }
            }
            _ if n + embed.plain > 0 => parts.push(self.add(Operation::Slice(0..n + embed.plain), vec![x])),
            _ => {}
        }
        for (i, category) in embed.categories.iter().enumerate() {
            let table = matrix(category.count, category.width, take(category.count * category.width));
            parts.push(self.add(Operation::Lookup { column: n + embed.plain + i, table }, vec![x]));
        }
        match parts[..] {
            [one] => one,
            _ => self.add(Operation::Concat, parts),
        }
    }

    /// What a network's output says: probabilities, rates, numbers.
    fn say(&mut self, task: Task, loss: Loss, mut x: usize) -> usize {
        match loss {
            Loss::BinaryCrossEntropy => {
                if (task, self.columns(x)) == (Task::Classification { classes: 2 }, 1) {
                    // The logits of both classes.
                    let weight = matrix(2, 1, vec![-1.0, 1.0]);
                    x = self.add(Operation::Affine { weight, bias: vec![0.0; 2] }, vec![x]);
                }
                self.add(Operation::Activation(Activation::Sigmoid), vec![x])
            }
            Loss::Poisson => self.add(Operation::Exp, vec![x]),
            _ => x,
        }
    }

    /// Numbers in the unit of the targets, within their range.
    fn finish<T: Real>(&mut self, model: &Model<T>, mut x: usize) -> Result<()> {
        if model.task != Task::Regression {
            return Ok(());
        }
        let of_one = model.loss.outputs_per_target();
        let targets = model.network.outputs() / of_one;
        model.target_scaling.check(targets)?;
        let spread = |numbers: &[f64]| numbers.iter().flat_map(|&x| std::iter::repeat_n(x, of_one)).collect();
        if !model.loss.keeps_unit() {
            let operation = match &model.target_scaling {
                Scaling::None => None,
                Scaling::Divide(divisor) => {
                    let factor = vec![*divisor; targets * of_one];
                    Some(Operation::Rescale { factor, shift: vec![0.0; targets * of_one] })
                }
                Scaling::Standard { mean, deviation } => {
                    Some(Operation::Rescale { factor: spread(deviation), shift: spread(mean) })
                }
            };
            x = operation.map_or(x, |operation| self.add(operation, vec![x]));
        }
        if !model.output_range.is_empty() {
            let range = &model.output_range;
            if range.len() != targets {
                let what = "targets of the range of the predictions";
                return Err(Error::Shape { what, expected: targets, got: range.len() });
            }
            let bound =
                |side: usize| range.iter().flat_map(move |range| std::iter::repeat_n(range[side] as f32, of_one));
            self.add(Operation::Clamp { low: bound(0).collect(), high: bound(1).collect() }, vec![x]);
        }
        Ok(())
    }

    /// What it gives for each of these rows, (rows, outputs).
    ///
    /// Sums are added up as the core does it, so that the result differs from that of [`Model::predict`] by little more
    /// than what the order of a few other sums makes out.
    ///
    /// # Errors
    /// Another number of columns than the input has.
    pub fn run(&self, rows: ArrayView2<f64>) -> Result<Array2<f32>> {
        if rows.ncols() != self.inputs() {
            let (expected, got) = (self.inputs(), rows.ncols());
            return Err(Error::Shape { what: "columns of the program's input", expected, got });
        }
        let mut values = vec![rows.mapv(|x| x as f32)];
        for node in &self.nodes {
            let of: Vec<ArrayView2<f32>> = node.inputs.iter().map(|&value| values[value].view()).collect();
            let value = node.operation.run(rows, &of, node.columns);
            values.push(value);
        }
        Ok(values.pop().unwrap_or_default())
    }
}

impl Operation {
    fn run(&self, rows: ArrayView2<f64>, of: &[ArrayView2<f32>], columns: usize) -> Array2<f32> {
        let x = of[0];
        let each = |f: &dyn Fn(usize, f32) -> f32| {
            Array2::from_shape_fn((x.nrows(), columns), |(row, column)| f(column, x[(row, column)]))
        };
        match self {
            Self::Encode(features) => Array2::from_shape_fn((x.nrows(), columns), |(row, i)| {
                features[i].formula.apply(rows[(row, features[i].column)])
            }),
            Self::Divide(divisor) => each(&|_, x| x / divisor),
            Self::Standardize { mean, deviation } => each(&|i, x| ((f64::from(x) - mean[i]) / deviation[i]) as f32),
            Self::Affine { weight, bias } => Array2::from_shape_fn((x.nrows(), columns), |(row, i)| {
                let terms = x.row(row).into_iter().zip(weight.row(i));
                terms.fold(bias[i], |sum, (&x, &w)| fused(x, w, sum))
            }),
            Self::Subtract(by) => each(&|i, x| x - by[i]),
            Self::Multiply(by) => each(&|i, x| x * by[i]),
            Self::Shift(by) => each(&|i, x| x + by[i]),
            Self::Normalize { epsilon } => {
                let mut y = x.to_owned();
                let count = columns as f32;
                for mut row in y.rows_mut() {
                    let mean = row.sum() / count;
                    let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / count;
                    let inverse = 1.0 / (variance + epsilon).sqrt();
                    row.mapv_inplace(|x| (x - mean) * inverse);
                }
                y
            }
            Self::Activation(activation) => {
                let mut y = x.as_standard_layout().into_owned();
                activation.apply(&Threads::ONE, y.view_mut());
                y
            }
            Self::Exp => x.mapv(f32::exp),
            Self::Blend(share) => {
                Array2::from_shape_fn((x.nrows(), columns), |at| x[at] + share[at.1] * (of[1][at] - x[at]))
            }
            Self::Add => &x + &of[1],
            Self::Mean => {
                let sum = of[1..].iter().fold(x.to_owned(), |sum, x| sum + x);
                sum * (1.0 / of.len() as f64) as f32
            }
            Self::Slice(range) => x.slice_axis(Axis(1), range.clone().into()).to_owned(),
            Self::Concat => concatenate(Axis(1), of).expect("as many rows each"),
            Self::Lookup { column, table } => Array2::from_shape_fn((x.nrows(), columns), |(row, i)| {
                let code = x[(row, *column)];
                let place = code as usize;
                if place as f32 == code && place < table.nrows() { table[(place, i)] } else { 0.0 }
            }),
            Self::Periodic { frequencies, phases, weights, biases } => {
                let outputs = biases.ncols() + 1;
                Array2::from_shape_fn((x.nrows(), columns), |(row, i)| {
                    let (number, output) = (i / outputs, i % outputs);
                    let x = x[(row, number)];
                    let Some(output) = output.checked_sub(1) else { return x };
                    let angles = frequencies.row(number).into_iter().zip(phases.row(number));
                    let cosines = angles.map(|(&frequency, &phase)| (frequency * x + phase).cos());
                    let weights = weights.index_axis(Axis(0), number);
                    let terms = cosines.zip(weights.row(output));
                    terms.fold(biases[(number, output)], |sum, (cos, w)| sum + w * cos)
                })
            }
            Self::Rescale { factor, shift } => each(&|i, x| (f64::from(x) * factor[i] + shift[i]) as f32),
            Self::Clamp { low, high } => each(&|i, x| {
                if x < low[i] {
                    low[i]
                } else if x > high[i] {
                    high[i]
                } else {
                    x
                }
            }),
        }
    }
}

/// `x w + sum`, rounded once, as a product's kernels do it.
fn fused(x: f32, w: f32, sum: f32) -> f32 {
    (f64::from(x) * f64::from(w) + f64::from(sum)) as f32
}

/// What the inputs of a column are, in the order of [`Schema::inputs_of`].
fn formulas(column: &schuss::Column) -> Vec<Formula> {
    let mut formulas = match &column.encoding {
        Encoding::Number(scaling) => vec![Formula::Number(scaling.clone())],
        Encoding::Skewed(scalings) => scalings.iter().cloned().map(Formula::Number).collect(),
        Encoding::Binary { .. } => vec![Formula::Sign],
        Encoding::OneHot { names } => (0..names.len()).map(Formula::IsCode).collect(),
        Encoding::Code { names } => {
            let missing = if column.marks_missing { names.len() as f32 } else { -1.0 };
            return vec![Formula::Code { count: names.len(), missing }];
        }
        Encoding::Time { scaling, cycles } => {
            let both = cycles.iter().flat_map(|&cycle| [Formula::Sine(cycle), Formula::Cosine(cycle)]);
            std::iter::once(Formula::Number(scaling.clone())).chain(both).collect()
        }
    };
    if column.marks_missing {
        formulas.push(Formula::IsMissing);
    }
    formulas
}

fn matrix(rows: usize, columns: usize, numbers: Vec<f32>) -> Array2<f32> {
    Array2::from_shape_vec((rows, columns), numbers).expect(SHAPE)
}

const SHAPE: &str = "a layer has its own parameters";
