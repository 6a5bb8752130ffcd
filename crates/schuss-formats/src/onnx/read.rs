//! From ONNX to a model.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use ndarray::{Array2, Ix2};
use schuss::{Activation, NormKind, Precision};

use super::fuse::fuse;
use super::messages::{Dimension, GraphProto, NodeProto, TensorProto, data_type};
use super::run::{Attributes, Budget, Tensor, axis_of, transpose};
use super::{Read, graph_of, output_of, run};
use crate::foreign::Unsaid;
use crate::layers::Layers;
use crate::{Foreign, Program, verify};

/// What is understood of a network, for a message.
const UNDERSTOOD: &str = "Gemm, MatMul, Add, Sub, Mul, Div, BatchNormalization, LayerNormalization, Relu, LeakyRelu, \
                          Sigmoid, Tanh, Gelu, Selu, Swish, Mish, Softplus, Softmax, LogSoftmax, Identity, Dropout, Flatten, \
                          Reshape, Cast, Transpose of constants, and the Scaler, Binarizer, ArgMax, \
                          ArrayFeatureExtractor and ZipMap of skl2onnx";
/// The most numbers of a row.
const MOST_COLUMNS: usize = 1 << 22;
/// Rows by which what was read is compared with the file.
const ROWS: usize = 8;
/// How far apart the two may be, relative.
const MOST: f64 = 1e-4;

/// Reads a dense network from an ONNX file, as PyTorch's exporters, skl2onnx and [`to_onnx`](crate::to_onnx) write it. What
/// was read is run beside the file's own operators before it is given back.
///
/// # Errors
/// A damaged file; numbers in another file; an operator that no dense network is made of.
pub fn read_onnx(bytes: &[u8], unsaid: Unsaid) -> Read {
    let (proto, graph) = graph_of(bytes)?;
    if let Some(set) = proto.opset_import.iter().find(|set| set.domain.is_empty() && !(7..=26).contains(&set.version)) {
        return Err(format!("operators of version {}; expected 7 to 26", set.version));
    }
    let mut reader = Reader::new(&graph)?;
    for node in fuse(&graph) {
        reader.node(&node).map_err(|problem| format!("node {:?}, operator {}: {problem}", node.name, node.op_type))?;
    }
    reader.finish(&graph, unsaid)
}

/// The one input of a graph.
pub(super) struct GraphInput {
    pub(super) name: String,
    pub(super) kind: i32,
    /// Sizes of a row, where they are known.
    shape: Option<Vec<usize>>,
    /// Their product.
    width: Option<usize>,
}

pub(super) fn input_of(graph: &GraphProto) -> Result<GraphInput, String> {
    let constants: HashSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    let inputs: Vec<_> = graph.input.iter().filter(|input| !constants.contains(input.name.as_str())).collect();
    let [input] = inputs[..] else {
        let names: Vec<&str> = inputs.iter().take(8).map(|input| input.name.as_str()).collect();
        return Err(format!("{} inputs {names:?}; expected one, (batch, features)", inputs.len()));
    };
    let tensor = input.kind.as_ref().and_then(|kind| kind.tensor.as_ref());
    let kind = tensor.map_or(data_type::FLOAT, |tensor| tensor.elem_type);
    if kind == data_type::STRING {
        return Err(format!("input {:?}: text; expected numbers", input.name));
    }
    let sizes = tensor.and_then(|tensor| tensor.shape.as_ref()).map(|shape| &shape.dim[..]);
    let size = |size: &Dimension| usize::try_from(size.dim_value?).ok();
    let shape: Option<Vec<usize>> =
        sizes.filter(|sizes| sizes.len() > 1).and_then(|sizes| sizes[1..].iter().map(size).collect());
    let product = |shape: &[usize]| shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    let width = shape.as_deref().and_then(product).filter(|width| *width <= MOST_COLUMNS);
    Ok(GraphInput { name: input.name.clone(), kind, shape, width })
}

/// What a name in the graph stands for.
#[derive(Clone, Debug)]
enum Value {
    Constant(Rc<Tensor>),
    /// The names of classes.
    Names(Rc<Vec<String>>),
    /// The output of the layers after so many changes.
    Output(usize),
    /// One minus that.
    Complement(usize),
    /// Sizes of the batch and the like.
    Sizes,
    /// Predicted classes.
    Labels,
}

struct Reader {
    values: HashMap<String, Value>,
    layers: Layers,
    input: GraphInput,
    budget: Budget,
    classes: Option<Vec<String>>,
    is_double: bool,
    is_logarithm: bool,
    has_labels: bool,
    notes: Vec<String>,
}

impl Reader {
    fn new(graph: &GraphProto) -> Result<Self, String> {
        let input = input_of(graph)?;
        let mut reader = Self {
            values: HashMap::new(),
            layers: Layers::default(),
            budget: Budget::new(),
            classes: None,
            is_double: false,
            is_logarithm: false,
            has_labels: false,
            notes: Vec::new(),
            input,
        };
        for tensor in &graph.initializer {
            let value = reader.constant(tensor)?;
            reader.values.insert(tensor.name.clone(), value);
        }
        reader.values.insert(reader.input.name.clone(), Value::Output(0));
        Ok(reader)
    }

    fn constant(&mut self, tensor: &TensorProto) -> Result<Value, String> {
        if tensor.data_type == data_type::STRING {
            return Ok(Value::Names(Rc::new(tensor.string_data.iter().map(|name| text(name)).collect())));
        }
        Ok(Value::Constant(Rc::new(self.budget.keep(Tensor::read(tensor)?)?)))
    }

    fn node(&mut self, node: &NodeProto) -> Result<(), String> {
        let names = node.input.iter().filter(|name| !name.is_empty());
        let of: Vec<Value> = names
            .map(|name| {
                self.values.get(name).cloned().ok_or_else(|| format!("nothing before it gives its input {name:?}"))
            })
            .collect::<Result<_, _>>()?;
        let value = self.value(node, &of)?;
        if let Some(output) = node.output.first() {
            self.values.insert(output.clone(), value);
        }
        Ok(())
    }

    fn value(&mut self, node: &NodeProto, of: &[Value]) -> Result<Value, String> {
        let constants: Option<Vec<&Tensor>> =
            of.iter().map(|value| if let Value::Constant(tensor) = value { Some(&**tensor) } else { None }).collect();
        if let Some(constants) = constants {
            return self.of_constants(node, &constants);
        }
        let attributes = Attributes::of(node);
        let operator = node.op_type.as_str();
        if of.iter().any(|value| matches!(value, Value::Labels)) || operator == "ArgMax" {
            return self.labels(node, of);
        }
        match (operator, of) {
            ("Shape", _) => return Ok(Value::Sizes),
            (_, [Value::Sizes, ..]) => return Ok(Value::Sizes),
            (_, [Value::Names(names)]) if matches!(operator, "Identity" | "Reshape" | "Cast") => {
                return Ok(Value::Names(names.clone()));
            }
            _ => {}
        }
        match (operator, of) {
            (
                "Identity" | "Dropout" | "Cast" | "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" | "ZipMap",
                [Value::Output(at), rest @ ..],
            ) => {
                if operator == "ZipMap" {
                    self.take_classes(&attributes);
                }
                if let ("Reshape", [Value::Constant(sizes)]) = (operator, rest) {
                    self.check_reshape(&sizes.integers())?;
                }
                Ok(Value::Output(*at))
            }
            ("Binarizer", [Value::Output(_)]) => Ok(Value::Labels),
            // What a sigmoid is of two classes: the probability of the second one, beside that of the first.
            ("Sub", [Value::Constant(one), Value::Output(at)]) if one.single() == Some(1.0) => {
                Ok(Value::Complement(*at))
            }
            ("Concat", [Value::Complement(first), Value::Output(second)]) if first == second => {
                self.classes.get_or_insert_with(Vec::new);
                Ok(Value::Output(*second))
            }
            ("Add", [Value::Output(a), Value::Output(b)]) => {
                let [early, late] = [*a.min(b), *a.max(b)];
                self.expect_last(late)?;
                self.layers.residual(early)?;
                Ok(Value::Output(self.layers.value()))
            }
            _ => {
                self.layer(node, operator, of, &attributes)?;
                Ok(Value::Output(self.layers.value()))
            }
        }
    }

    fn of_constants(&mut self, node: &NodeProto, of: &[&Tensor]) -> Result<Value, String> {
        if node.op_type == "Constant" {
            let attributes = Attributes::of(node);
            if let Some(tensor) = attributes.get("value").and_then(|value| value.t.as_ref()) {
                return self.constant(tensor);
            }
            if let Some(names) = attributes.get("value_strings") {
                return Ok(Value::Names(Rc::new(names.strings.iter().map(|name| text(name)).collect())));
            }
        }
        Ok(Value::Constant(Rc::new(self.budget.apply(node, of)?)))
    }

    /// What follows a prediction of classes has their names at most.
    fn labels(&mut self, node: &NodeProto, of: &[Value]) -> Result<Value, String> {
        self.has_labels = true;
        if node.op_type == "ArrayFeatureExtractor" {
            let names = match of.first() {
                Some(Value::Names(names)) => Some(names.to_vec()),
                Some(Value::Constant(classes)) => Some(classes.integers().iter().map(i64::to_string).collect()),
                _ => None,
            };
            if let Some(names) = names {
                self.classes = Some(names);
            }
        }
        Ok(Value::Labels)
    }

    fn take_classes(&mut self, attributes: &Attributes) {
        if let Some(names) = attributes.get("classlabels_strings") {
            self.classes = Some(names.strings.iter().map(|name| text(name)).collect());
        } else if let Some(numbers) = attributes.get("classlabels_int64s") {
            self.classes = Some(numbers.ints.iter().map(i64::to_string).collect());
        }
    }

    fn expect_last(&self, value: usize) -> Result<(), String> {
        match value == self.layers.value() {
            true => Ok(()),
            false => Err("it is not applied to what the layers before it give: a network with branches".into()),
        }
    }

    /// A row stays a row of as many numbers.
    fn check_reshape(&self, sizes: &[i64]) -> Result<(), String> {
        let columns = if sizes.len() > 1 { &sizes[1..] } else { &[1] };
        let known = columns.iter().try_fold(1i64, |product, &size| product.checked_mul(size));
        let width = self.layers.width().or(self.input.width);
        match (known, width) {
            (Some(count), Some(width)) if count > 0 && count as u64 != width as u64 => {
                Err(format!("rows of {width} numbers as {sizes:?}"))
            }
            _ => Ok(()),
        }
    }

    /// An operator that is, or is a part of, a layer.
    fn layer(&mut self, node: &NodeProto, operator: &str, of: &[Value], attributes: &Attributes) -> Result<(), String> {
        let unknown = || format!("it is not understood here; of a network, these are: {UNDERSTOOD}");
        let value = of.iter().find_map(|value| if let Value::Output(value) = value { Some(*value) } else { None });
        self.expect_last(value.ok_or_else(unknown)?)?;
        let constant = |i: usize| match of.get(i) {
            Some(Value::Constant(tensor)) => Ok(tensor),
            _ => Err(format!("input {i} (counted from 0) is no constant")),
        };
        let row = |i: usize| match &constant(i)?.values {
            values if values.len() <= MOST_COLUMNS => Ok::<Vec<f64>, String>(values.iter().copied().collect()),
            values => Err(format!("a row of {} numbers; expected {MOST_COLUMNS} at most", values.len())),
        };
        let is_first = matches!(of.first(), Some(Value::Output(_)));
        let epsilon = attributes.float("epsilon", 1e-5);
        let width = self.layers.width().or(self.input.width);
        match operator {
            "MatMul" if is_first => {
                let weight = self.weight(&transpose(constant(1)?, None)?)?;
                let bias = vec![0.0; weight.nrows()];
                self.layers.dense(&weight, &bias)
            }
            "Gemm" if is_first && attributes.int("transA", 0) == 0 => {
                let weight = constant(1)?;
                let weight =
                    if attributes.int("transB", 0) == 0 { transpose(weight, None)? } else { (**weight).clone() };
                let weight = self.weight(&weight)? * attributes.float("alpha", 1.0);
                let bias = if of.len() > 2 { row(2)? } else { vec![0.0] };
                let bias = if let [one] = bias[..] { vec![one; weight.nrows()] } else { bias };
                let beta = attributes.float("beta", 1.0);
                self.layers.dense(&weight, &bias.iter().map(|b| b * beta).collect::<Vec<_>>())
            }
            "Add" | "Mul" if self.is_softmax() => self.smoothed(operator, of),
            "Add" | "Sub" | "Mul" | "Div" => {
                let by = constant(usize::from(is_first))?;
                if by.values.shape().iter().rev().skip(1).any(|size| *size != 1) {
                    return Err(format!("a constant of the shape {:?}; expected a row", by.values.shape()));
                }
                let by = row(usize::from(is_first))?;
                let negative: Vec<f64> = by.iter().map(|x| -x).collect();
                let inverse: Vec<f64> = by.iter().map(|x| x.recip()).collect();
                match (operator, is_first) {
                    ("Add", _) => self.layers.affine(&[1.0], &by, width),
                    ("Sub", true) => self.layers.affine(&[1.0], &negative, width),
                    ("Sub", false) => self.layers.affine(&[-1.0], &by, width),
                    ("Mul", _) => self.layers.affine(&by, &[0.0], width),
                    ("Div", true) => self.layers.affine(&inverse, &[0.0], width),
                    _ => Err("a constant divided by what the layers give".into()),
                }
            }
            "Scaler" if node.domain == "ai.onnx.ml" => {
                let numbers = |name: &str| {
                    let attribute = attributes.get(name).map_or(&[][..], |attribute| &attribute.floats);
                    attribute.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>()
                };
                let negative: Vec<f64> = numbers("offset").iter().map(|x| -x).collect();
                self.layers.affine(&[1.0], &negative, width)?;
                self.layers.affine(&numbers("scale"), &[0.0], width)
            }
            "BatchNormalization" => {
                if attributes.int("training_mode", 0) != 0 {
                    return Err("it is in training; export the model in inference (`model.eval()`)".into());
                }
                let [scale, shift, mean, variance] = [row(1)?, row(2)?, row(3)?, row(4)?];
                self.layers.norm(NormKind::Batch, [&scale, &shift], [&mean, &variance], epsilon)
            }
            "LayerNormalization" => {
                let scale = row(1)?;
                let shift = if of.len() > 2 { row(2)? } else { vec![0.0; scale.len()] };
                if !matches!(attributes.int("axis", -1), -1 | 1) {
                    return Err("a normalisation of another axis than the last".into());
                }
                self.layers.norm(NormKind::Layer, [&scale, &shift], [&[], &[]], epsilon)
            }
            "Relu" => self.layers.activation(Activation::Relu),
            "LeakyRelu" if (attributes.float("alpha", 0.01) - Activation::LEAKY_SLOPE).abs() < 1e-8 => {
                self.layers.activation(Activation::LeakyRelu)
            }
            "LeakyRelu" => Err(format!("a slope of {}; expected 0.01", attributes.float("alpha", 0.01))),
            "Sigmoid" => self.layers.activation(Activation::Sigmoid),
            "Tanh" => self.layers.activation(Activation::Tanh),
            "Gelu" if attributes.get("approximate").is_none_or(|how| how.s == b"none") => {
                self.layers.activation(Activation::Gelu)
            }
            "Gelu" => Err("the approximation by tanh; expected the function itself (approximate = none)".into()),
            "Swish" if attributes.float("alpha", 1.0) == 1.0 => self.layers.activation(Activation::Swish),
            "Swish" => Err(format!("x σ(αx) with α = {}; expected 1", attributes.float("alpha", 1.0))),
            "Selu" => self.layers.activation(Activation::Selu),
            "Mish" => self.layers.activation(Activation::Mish),
            "Softplus" => self.layers.activation(Activation::Softplus),
            "Softmax" | "LogSoftmax" => {
                // The axis of a row; a row is the last of two.
                if axis_of(attributes.int("axis", -1), 2)? != 1 {
                    return Err("over the rows of a batch".into());
                }
                if operator == "LogSoftmax" {
                    self.is_logarithm = true;
                    self.notes.push("the file gives logarithms of probabilities, the model probabilities".into());
                }
                self.layers.activation(Activation::Softmax { epsilon: 0.0 })
            }
            _ => Err(unknown()),
        }
    }

    /// W, (outputs, inputs).
    fn weight(&mut self, weight: &Tensor) -> Result<Array2<f64>, String> {
        self.is_double |= weight.kind == data_type::DOUBLE;
        let shape = weight.values.shape().to_vec();
        weight.values.clone().into_dimensionality::<Ix2>().map_err(|_| format!("a weight of the shape {shape:?}"))
    }

    fn is_softmax(&self) -> bool {
        matches!(self.layers.last_activation(), Activation::Softmax { .. })
    }

    /// p = (1 - e) s + e/n: the factor says next to nothing of e in single precision, the sum all.
    fn smoothed(&mut self, operator: &str, of: &[Value]) -> Result<(), String> {
        let by = of.iter().find_map(|value| if let Value::Constant(tensor) = value { tensor.single() } else { None });
        let by = by.ok_or("after softmax, not by a single number")?;
        match operator {
            "Mul" if (0.0..=1.0).contains(&by) => self.layers.set_epsilon(1.0 - by),
            "Add" if by >= 0.0 => {
                let e = by * self.layers.width().unwrap_or(0) as f64;
                self.layers.set_epsilon(e)
            }
            _ => Err(format!("after softmax, by {by}")),
        }
    }

    fn finish(mut self, graph: &GraphProto, unsaid: Unsaid) -> Read {
        let last = self.layers.value();
        let is_last = |name: &&str| matches!(self.values.get(*name), Some(Value::Output(at)) if *at == last);
        let outputs = graph.output.iter().map(|output| output.name.as_str());
        let output = outputs.clone().find(is_last).map(str::to_string).ok_or_else(|| {
            let names: Vec<&str> = outputs.take(8).collect();
            format!("none of its outputs {names:?} is what the last layer gives")
        })?;
        if self.has_labels {
            self.classes.get_or_insert_with(Vec::new);
        }
        if self.layers.is_empty() {
            return Err("there is no dense layer in it".into());
        }
        let end = self.layers.last_activation();
        let model = self.layers.model(unsaid.last, self.classes)?;
        let precision = if self.is_double { Precision::F64 } else { Precision::F32 };
        let foreign = Foreign { precision, model, notes: self.notes };
        if end == foreign.model.network.last_activation() || end == Activation::Sigmoid {
            compare(&foreign, graph, &self.input, &output, self.is_logarithm)?;
        }
        Ok(foreign)
    }
}

/// Fails unless the model predicts what the graph gives, for some random rows.
fn compare(
    foreign: &Foreign,
    graph: &GraphProto,
    input: &GraphInput,
    output: &str,
    is_logarithm: bool,
) -> Result<(), String> {
    let program = Program::new(&foreign.model).map_err(|error| error.to_string())?;
    let rows = program.samples(ROWS, 0);
    let expected = verify::predictions(&foreign.model, rows.view()).map_err(|error| error.to_string())?;
    let shape = input.shape.as_ref().filter(|_| input.width == Some(rows.ncols()));
    let shape = shape.map_or(vec![ROWS, rows.ncols()], |shape| [&[ROWS], &shape[..]].concat());
    let rows = rows.into_shape_with_order(shape).map_err(|error| error.to_string())?;
    let (mut values, problem) = run::run(graph, Tensor::new(input.kind, rows))?;
    let mut got = output_of(&mut values, output, problem)?;
    if is_logarithm {
        got.mapv_inplace(f64::exp);
    }
    if got.dim() != expected.dim() {
        return Err(format!(
            "it gives {:?} numbers where the model that was read gives {:?}",
            got.dim(),
            expected.dim()
        ));
    }
    let off = verify::difference(&program, expected.view(), got.view());
    match off <= MOST {
        true => Ok(()),
        false => Err(format!("the model that was read predicts something else than the file: {off:.1e} off, relative")),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
