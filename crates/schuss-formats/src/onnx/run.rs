//! ONNX's operators, as far as they are understood: what a graph gives, to check what is written and read.

use std::collections::HashMap;

use ndarray::{ArrayD, Axis, IxDyn, concatenate};

use schuss::Real;

use super::messages::{Attribute, GraphProto, NodeProto, TensorProto, data_type};

/// The most numbers of a tensor.
pub(super) const MOST_NUMBERS: usize = 1 << 27;
/// The most that is done with them, in additions and multiplications.
const MOST_WORK: usize = 1 << 36;

/// Numbers of a type. Those of every type are kept in double precision, and rounded where they are of single precision:
/// sums, products, quotients and roots then have the bits that single precision gives.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tensor {
    /// As in the messages.
    pub(super) kind: i32,
    pub(super) values: ArrayD<f64>,
}

impl Tensor {
    pub(super) fn new(kind: i32, values: ArrayD<f64>) -> Self {
        let mut tensor = Self { kind, values };
        if kind == data_type::FLOAT {
            tensor.values.mapv_inplace(|x| f64::from(x as f32));
        }
        tensor
    }

    /// The tensor of a message.
    pub(super) fn read(proto: &TensorProto) -> Result<Self, String> {
        let name = &proto.name;
        if proto.data_location != 0 || !proto.external_data.is_empty() {
            return Err(format!(
                "tensor {name:?}: its numbers are in another file; save the model as one file (`onnx.save(model, FILE)`)"
            ));
        }
        let mut count = 1usize;
        let mut shape = Vec::new();
        for &size in &proto.dims {
            let size = usize::try_from(size).map_err(|_| format!("tensor {name:?}: a size of {size}"))?;
            count = count.checked_mul(size).filter(|count| *count <= MOST_NUMBERS).ok_or_else(|| {
                format!("tensor {name:?}: the shape {:?}; expected {MOST_NUMBERS} numbers at most", proto.dims)
            })?;
            shape.push(size);
        }
        let raw = &proto.raw_data[..];
        let numbers: Vec<f64> = match proto.data_type {
            data_type::FLOAT if raw.is_empty() => proto.float_data.iter().map(|&x| f64::from(x)).collect(),
            data_type::FLOAT => chunks(raw, |bytes| f64::from(f32::from_le_bytes(bytes))),
            data_type::DOUBLE if raw.is_empty() => proto.double_data.clone(),
            data_type::DOUBLE => chunks(raw, f64::from_le_bytes),
            data_type::INT64 if raw.is_empty() => proto.int64_data.iter().map(|&x| x as f64).collect(),
            data_type::INT64 => chunks(raw, |bytes| i64::from_le_bytes(bytes) as f64),
            data_type::INT32 | data_type::BOOL if raw.is_empty() => {
                proto.int32_data.iter().map(|&x| f64::from(x)).collect()
            }
            data_type::INT32 => chunks(raw, |bytes| f64::from(i32::from_le_bytes(bytes))),
            data_type::BOOL => raw.iter().map(|&x| f64::from(x)).collect(),
            other => {
                let known = "float32, float64, int32, int64 or bool";
                return Err(format!("tensor {name:?}: numbers of ONNX's type {other}; expected {known}"));
            }
        };
        let got = numbers.len();
        let values = ArrayD::from_shape_vec(IxDyn(&shape), numbers)
            .map_err(|_| format!("tensor {name:?}: {got} numbers for the shape {shape:?}"))?;
        Ok(Self { kind: proto.data_type, values })
    }

    /// Whole numbers, such as axes and shapes.
    pub(super) fn integers(&self) -> Vec<i64> {
        self.values.iter().map(|&x| x as i64).collect()
    }

    /// The number, if it is a single one.
    pub(super) fn single(&self) -> Option<f64> {
        if self.values.len() == 1 { self.values.first().copied() } else { None }
    }

    fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self::new(self.kind, self.values.mapv(f))
    }
}

fn chunks<const N: usize>(bytes: &[u8], f: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    // What is left over makes the count wrong, as too few numbers do.
    bytes.as_chunks::<N>().0.iter().map(|bytes| f(*bytes)).collect()
}

/// An operator's attributes.
pub(super) struct Attributes<'n>(&'n [Attribute]);

impl<'n> Attributes<'n> {
    pub(super) fn of(node: &'n NodeProto) -> Self {
        Self(&node.attribute)
    }

    pub(super) fn get(&self, name: &str) -> Option<&'n Attribute> {
        self.0.iter().find(|attribute| attribute.name == name)
    }

    pub(super) fn int(&self, name: &str, usual: i64) -> i64 {
        self.get(name).map_or(usual, |attribute| attribute.i)
    }

    pub(super) fn float(&self, name: &str, usual: f32) -> f64 {
        f64::from(self.get(name).map_or(usual, |attribute| attribute.f))
    }
}

/// An axis of so many, where negative ones count from the end.
pub(super) fn axis_of(axis: i64, axes: usize) -> Result<usize, String> {
    let from_start = if axis < 0 { axis.checked_add(axes as i64) } else { Some(axis) };
    let found = from_start.and_then(|axis| usize::try_from(axis).ok()).filter(|axis| *axis < axes);
    found.ok_or_else(|| format!("axis {axis} of a tensor that has {axes}"))
}

/// What may yet be computed of a graph: no file can ask for more.
pub(super) struct Budget {
    numbers: usize,
    work: usize,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self { numbers: MOST_NUMBERS, work: MOST_WORK }
    }

    /// Fails where these numbers are too many.
    pub(super) fn keep(&mut self, tensor: Tensor) -> Result<Tensor, String> {
        let left = self.numbers.checked_sub(tensor.values.len());
        self.numbers = left.ok_or_else(|| format!("more than {MOST_NUMBERS} numbers in all; that is too large"))?;
        Ok(tensor)
    }

    /// What an operator gives.
    pub(super) fn apply(&mut self, node: &NodeProto, of: &[&Tensor]) -> Result<Tensor, String> {
        let sizes = of.iter().map(|tensor| tensor.values.len());
        let work = match (node.op_type.as_str(), of) {
            ("MatMul" | "Gemm", [x, y, ..]) => {
                let inner = y.values.shape().iter().copied().min().unwrap_or(1).max(1);
                x.values.len().saturating_mul(y.values.len() / inner)
            }
            _ => sizes.fold(1, usize::saturating_add),
        };
        let left = self.work.checked_sub(work);
        self.work = left.ok_or("more is to be computed than for a network of dense layers; that is too much")?;
        let tensor = apply(node, of)?;
        self.keep(tensor)
    }
}

/// What the graph gives for its input, by the names of all values, as far as it is understood; and the first problem.
pub(super) fn run(graph: &GraphProto, input: Tensor) -> Result<(HashMap<String, Tensor>, Option<String>), String> {
    let mut budget = Budget::new();
    let mut values = HashMap::new();
    for initializer in graph.initializer.iter().filter(|tensor| tensor.data_type != data_type::STRING) {
        values.insert(initializer.name.clone(), budget.keep(Tensor::read(initializer)?)?);
    }
    let name = graph.input.iter().map(|input| &input.name).find(|name| !values.contains_key(*name));
    values.insert(name.ok_or("no input")?.clone(), input);
    let mut problem = None;
    for node in &graph.node {
        let of: Option<Vec<&Tensor>> =
            node.input.iter().filter(|name| !name.is_empty()).map(|name| values.get(name)).collect();
        let value = of.ok_or_else(|| "an input that nothing gives".into()).and_then(|of| budget.apply(node, &of));
        match (value, node.output.first()) {
            (Ok(value), Some(output)) => {
                values.insert(output.clone(), value);
            }
            (Ok(_), None) => {}
            (Err(found), _) => {
                problem.get_or_insert(format!("node {:?} ({}): {found}", node.name, node.op_type));
            }
        }
    }
    Ok((values, problem))
}

fn apply(node: &NodeProto, of: &[&Tensor]) -> Result<Tensor, String> {
    let attributes = Attributes::of(node);
    let input = |i: usize| of.get(i).copied().ok_or_else(|| format!("no input {i}"));
    if node.op_type == "Constant" {
        return constant(&attributes);
    }
    let x = input(0)?;
    let zipped = |f: &dyn Fn(f64, f64) -> f64| zip(x, input(1)?, x.kind, f);
    let compared =
        |f: &dyn Fn(f64, f64) -> bool| zip(x, input(1)?, data_type::BOOL, &|x, y| f64::from(u8::from(f(x, y))));
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
    Ok(match node.op_type.as_str() {
        "Identity" | "Dropout" | "ZipMap" => x.clone(),
        "Add" => zipped(&|x, y| x + y)?,
        "Sub" => zipped(&|x, y| x - y)?,
        "Mul" => zipped(&|x, y| x * y)?,
        "Div" => zipped(&|x, y| x / y)?,
        "Max" => zipped(&|x, y| if x.is_nan() || x > y { x } else { y })?,
        "Min" => zipped(&|x, y| if x.is_nan() || x < y { x } else { y })?,
        "Less" => compared(&|x, y| x < y)?,
        "Greater" => compared(&|x, y| x > y)?,
        "GreaterOrEqual" => compared(&|x, y| x >= y)?,
        "Equal" => compared(&|x, y| x == y)?,
        "And" => compared(&|x, y| x != 0.0 && y != 0.0)?,
        "Not" => x.map(|x| f64::from(u8::from(x == 0.0))),
        "Shape" => {
            let shape = x.values.shape().iter().map(|&size| size as f64).collect();
            Tensor::new(data_type::INT64, ndarray::Array1::from_vec(shape).into_dyn())
        }
        "LogSoftmax" => {
            let shares = softmax(
                &Tensor { kind: data_type::DOUBLE, ..x.clone() },
                axis_of(attributes.int("axis", -1), x.values.ndim())?,
            );
            Tensor::new(x.kind, shares.values.mapv(f64::ln))
        }
        "BatchNormalization" => {
            let [scale, bias, mean, variance] = [input(1)?, input(2)?, input(3)?, input(4)?];
            let epsilon = attributes.float("epsilon", 1e-5);
            let centred = zip(x, mean, x.kind, &|x, mean| x - mean)?;
            let normalized = zip(&centred, variance, x.kind, &|x, variance| x / (variance + epsilon).sqrt())?;
            let scaled = zip(&normalized, scale, x.kind, &|x, scale| x * scale)?;
            zip(&scaled, bias, x.kind, &|x, bias| x + bias)?
        }
        "Scaler" => {
            let row = |name: &str| {
                let numbers = attributes.get(name).map_or(Vec::new(), |attribute| attribute.floats.clone());
                let numbers = numbers.into_iter().map(f64::from).collect();
                Tensor::new(data_type::FLOAT, ndarray::Array1::from_vec(numbers).into_dyn())
            };
            let centred = zip(x, &row("offset"), data_type::FLOAT, &|x, offset| x - offset)?;
            zip(&centred, &row("scale"), data_type::FLOAT, &|x, scale| x * scale)?
        }
        "Neg" => x.map(|x| -x),
        "Floor" => x.map(f64::floor),
        "Sqrt" => x.map(f64::sqrt),
        "Exp" => x.map(f64::exp),
        "Sin" => x.map(f64::sin),
        "Cos" => x.map(f64::cos),
        "Erf" => x.map(Real::erf),
        "Relu" => x.map(|x| if x < 0.0 { 0.0 } else { x }),
        "LeakyRelu" => {
            let alpha = attributes.float("alpha", 0.01);
            x.map(|x| if x < 0.0 { alpha * x } else { x })
        }
        "Sigmoid" => x.map(sigmoid),
        "Tanh" => x.map(f64::tanh),
        "Softplus" => x.map(softplus),
        "Gelu" => x.map(|x| 0.5 * x * (1.0 + Real::erf(x * std::f64::consts::FRAC_1_SQRT_2))),
        "Swish" => {
            let alpha = attributes.float("alpha", 1.0);
            x.map(|x| x * sigmoid(alpha * x))
        }
        "Mish" => x.map(|x| x * softplus(x).tanh()),
        "Selu" => {
            let (alpha, gamma) = (attributes.float("alpha", 1.673_263_2), attributes.float("gamma", 1.050_701));
            x.map(|x| if x > 0.0 { gamma * x } else { gamma * alpha * x.exp_m1() })
        }
        "Softmax" => softmax(x, axis_of(attributes.int("axis", -1), x.values.ndim())?),
        "Cast" => cast(x, attributes.int("to", 0))?,
        "Transpose" => transpose(x, attributes.get("perm").map(|perm| &perm.ints[..]))?,
        "Gemm" => gemm(x, input(1)?, of.get(2).copied(), &attributes)?,
        "MatMul" => matmul(x, input(1)?)?,
        "Concat" => concat(of, attributes.int("axis", 0))?,
        "Gather" => gather(x, input(1)?, attributes.int("axis", 0))?,
        "Slice" => slice(x, &of[1..])?,
        "Unsqueeze" => unsqueeze(x, &axes(of.get(1).copied(), &attributes))?,
        "Squeeze" => squeeze(x, &axes(of.get(1).copied(), &attributes))?,
        "Flatten" => {
            let axis = attributes.int("axis", 1);
            let at = if axis == x.values.ndim() as i64 { x.values.ndim() } else { axis_of(axis, x.values.ndim())? };
            let (rows, columns) = x.values.shape().split_at(at);
            reshaped(x, &[rows.iter().product(), columns.iter().product()])?
        }
        "Reshape" => reshape(x, &input(1)?.integers())?,
        "Where" => {
            let chosen = zip(x, input(1)?, input(1)?.kind, &|is_so, y| if is_so != 0.0 { y } else { 0.0 })?;
            let others = zip(x, input(2)?, input(1)?.kind, &|is_so, y| if is_so != 0.0 { 0.0 } else { y })?;
            zip(&chosen, &others, chosen.kind, &|x, y| x + y)?
        }
        "ReduceSum" => {
            let mut sum = x.values.clone();
            for axis in axes(of.get(1).copied(), &attributes) {
                let axis = axis_of(axis, sum.ndim())?;
                sum = sum.sum_axis(Axis(axis)).insert_axis(Axis(axis));
            }
            let sum = Tensor::new(x.kind, sum);
            let keeps = attributes.int("keepdims", 1) != 0;
            if keeps { sum } else { squeeze(&sum, &axes(of.get(1).copied(), &attributes))? }
        }
        "LayerNormalization" => layer_normalization(x, input(1)?, of.get(2).copied(), &attributes)?,
        "ArgMax" => {
            let axis = axis_of(attributes.int("axis", 0), x.values.ndim())?;
            let largest = x.values.map_axis(Axis(axis), |row| {
                (0..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best }) as f64
            });
            let keeps = attributes.int("keepdims", 1) != 0;
            Tensor::new(data_type::INT64, if keeps { largest.insert_axis(Axis(axis)) } else { largest })
        }
        other => return Err(format!("the operator {other} is not understood")),
    })
}

fn constant(attributes: &Attributes) -> Result<Tensor, String> {
    if let Some(tensor) = attributes.get("value").and_then(|value| value.t.as_ref()) {
        return Tensor::read(tensor);
    }
    let row = |kind, numbers: Vec<f64>| Tensor::new(kind, ndarray::Array1::from_vec(numbers).into_dyn());
    let single = |kind, number: f64| Tensor::new(kind, ndarray::arr0(number).into_dyn());
    let of = |name: &str| attributes.get(name);
    if let Some(value) = of("value_float") {
        Ok(single(data_type::FLOAT, f64::from(value.f)))
    } else if let Some(value) = of("value_int") {
        Ok(single(data_type::INT64, value.i as f64))
    } else if let Some(value) = of("value_floats") {
        Ok(row(data_type::FLOAT, value.floats.iter().map(|&x| f64::from(x)).collect()))
    } else if let Some(value) = of("value_ints") {
        Ok(row(data_type::INT64, value.ints.iter().map(|&x| x as f64).collect()))
    } else {
        Err("a constant that is no tensor of numbers".into())
    }
}

/// f of two tensors, of which each axis of size 1, or that one lacks at the front, is repeated.
pub(super) fn zip(x: &Tensor, y: &Tensor, kind: i32, f: &dyn Fn(f64, f64) -> f64) -> Result<Tensor, String> {
    let (a, b) = (x.values.shape(), y.values.shape());
    let axes = a.len().max(b.len());
    let size = |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(axes).map_or(1, |axis| shape[axis]);
    let mut shape = Vec::new();
    for axis in 0..axes {
        shape.push(match (size(a, axis), size(b, axis)) {
            (m, n) if m == n || n == 1 => m,
            (1, n) => n,
            _ => return Err(format!("the shapes {a:?} and {b:?} do not fit together")),
        });
    }
    let count = shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
    if count.is_none_or(|count| count > MOST_NUMBERS) {
        return Err(format!("a result of the shape {shape:?}; expected {MOST_NUMBERS} numbers at most"));
    }
    let misfit = || format!("the shapes {a:?} and {b:?} do not fit together");
    let x = x.values.broadcast(IxDyn(&shape)).ok_or_else(misfit)?;
    let y = y.values.broadcast(IxDyn(&shape)).ok_or_else(misfit)?;
    Ok(Tensor::new(kind, ndarray::Zip::from(x).and(y).map_collect(|&x, &y| f(x, y))))
}

fn softmax(x: &Tensor, axis: usize) -> Tensor {
    let mut values = x.values.clone();
    for mut row in values.lanes_mut(Axis(axis)) {
        let most = row.fold(f64::NEG_INFINITY, |most, &x| most.max(x));
        row.mapv_inplace(|x| (x - most).exp());
        let sum = row.sum();
        row.mapv_inplace(|x| x / sum);
    }
    Tensor::new(x.kind, values)
}

fn cast(x: &Tensor, to: i64) -> Result<Tensor, String> {
    let kind = i32::try_from(to).unwrap_or(0);
    match kind {
        data_type::FLOAT | data_type::DOUBLE => Ok(Tensor::new(kind, x.values.clone())),
        data_type::INT64 | data_type::INT32 => Ok(Tensor::new(kind, x.values.mapv(f64::trunc))),
        data_type::BOOL => Ok(Tensor::new(kind, x.values.mapv(|x| f64::from(u8::from(x != 0.0))))),
        _ => Err(format!("to ONNX's type {to}; expected a number")),
    }
}

pub(super) fn transpose(x: &Tensor, order: Option<&[i64]>) -> Result<Tensor, String> {
    let axes = x.values.ndim();
    let order: Vec<usize> = match order {
        None => (0..axes).rev().collect(),
        Some(order) => order.iter().map(|&axis| axis_of(axis, axes)).collect::<Result<_, _>>()?,
    };
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if sorted != (0..axes).collect::<Vec<_>>() {
        return Err(format!("the order {order:?} of {axes} axes; expected each once"));
    }
    let values = x.values.view().permuted_axes(IxDyn(&order)).as_standard_layout().into_owned();
    Ok(Tensor { kind: x.kind, values })
}

fn gemm(x: &Tensor, w: &Tensor, bias: Option<&Tensor>, attributes: &Attributes) -> Result<Tensor, String> {
    let turned = |tensor: &Tensor, name: &str| match attributes.int(name, 0) {
        0 => Ok(tensor.clone()),
        _ => transpose(tensor, None),
    };
    let product = matmul(&turned(x, "transA")?, &turned(w, "transB")?)?;
    let product = product.map(|x| x * attributes.float("alpha", 1.0));
    match bias {
        None => Ok(product),
        Some(bias) => {
            let beta = attributes.float("beta", 1.0);
            zip(&product, bias, x.kind, &|x, b| x + beta * b)
        }
    }
}

/// The product of matrices, or of stacks of them.
fn matmul(x: &Tensor, y: &Tensor) -> Result<Tensor, String> {
    let misfit = || format!("a product of the shapes {:?} and {:?}", x.values.shape(), y.values.shape());
    let (Some((_, [m, k])), Some((_, [l, n]))) =
        (x.values.shape().split_last_chunk::<2>(), y.values.shape().split_last_chunk::<2>())
    else {
        return Err(misfit());
    };
    let (m, k, n) = (*m, *k, *n);
    if k != *l || m.checked_mul(n).is_none_or(|count| count > MOST_NUMBERS) {
        return Err(misfit());
    }
    let two = |values: &ArrayD<f64>| values.clone().into_dimensionality::<ndarray::Ix2>();
    if let (Ok(x2), Ok(y2)) = (two(&x.values), two(&y.values)) {
        return Ok(Tensor::new(x.kind, x2.dot(&y2).into_dyn()));
    }
    // (..., m, k, 1) times (..., 1, k, n), summed over k.
    let left = Tensor { kind: x.kind, values: x.values.clone().insert_axis(Axis(x.values.ndim())) };
    let right = Tensor { kind: y.kind, values: y.values.clone().insert_axis(Axis(y.values.ndim() - 2)) };
    let terms = zip(&left, &right, data_type::DOUBLE, &|x, y| x * y)?;
    Ok(Tensor::new(x.kind, terms.values.sum_axis(Axis(terms.values.ndim() - 2))))
}

fn concat(of: &[&Tensor], axis: i64) -> Result<Tensor, String> {
    let first = of.first().ok_or("no inputs")?;
    let axis = axis_of(axis, first.values.ndim())?;
    let total = of.iter().try_fold(0usize, |sum, tensor| sum.checked_add(tensor.values.len()));
    if total.is_none_or(|total| total > MOST_NUMBERS) {
        return Err(format!("a result of more than {MOST_NUMBERS} numbers"));
    }
    let views: Vec<_> = of.iter().map(|tensor| tensor.values.view()).collect();
    let misfit = |_| "parts whose shapes do not fit together".to_string();
    Ok(Tensor { kind: first.kind, values: concatenate(Axis(axis), &views).map_err(misfit)? })
}

fn gather(x: &Tensor, places: &Tensor, axis: i64) -> Result<Tensor, String> {
    let axis = axis_of(axis, x.values.ndim())?;
    let size = x.values.shape()[axis];
    let indices: Vec<usize> =
        places.integers().into_iter().map(|place| axis_of(place, size)).collect::<Result<_, _>>()?;
    let others = x.values.len() / size.max(1);
    if others.checked_mul(indices.len()).is_none_or(|count| count > MOST_NUMBERS) {
        return Err(format!("a result of more than {MOST_NUMBERS} numbers"));
    }
    let chosen = x.values.select(Axis(axis), &indices);
    let shape: Vec<usize> = x.values.shape()[..axis]
        .iter()
        .chain(places.values.shape())
        .chain(&x.values.shape()[axis + 1..])
        .copied()
        .collect();
    reshaped(&Tensor { kind: x.kind, values: chosen }, &shape)
}

fn slice(x: &Tensor, of: &[&Tensor]) -> Result<Tensor, String> {
    let [starts, ends] = [of.first(), of.get(1)].map(|tensor| tensor.map_or(Vec::new(), |tensor| tensor.integers()));
    let axes = of.get(2).map_or_else(|| (0..starts.len() as i64).collect(), |axes| axes.integers());
    let steps = of.get(3).map_or_else(|| vec![1; starts.len()], |steps| steps.integers());
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] || steps.iter().any(|step| *step != 1) {
        return Err("a slice that is not understood; expected steps of 1".into());
    }
    let mut values = x.values.view();
    for ((&start, &end), &axis) in starts.iter().zip(&ends).zip(&axes) {
        let axis = axis_of(axis, values.ndim())?;
        let size = values.shape()[axis] as i64;
        let place = |at: i64| if at < 0 { at.saturating_add(size).max(0) } else { at.min(size) };
        let (start, end) = (place(start), place(end).max(place(start)));
        values = values.slice_axis_move(Axis(axis), (start as isize..end as isize).into());
    }
    Ok(Tensor { kind: x.kind, values: values.as_standard_layout().into_owned() })
}

/// Axes, from an input or an attribute.
fn axes(input: Option<&Tensor>, attributes: &Attributes) -> Vec<i64> {
    let attribute = || attributes.get("axes").map_or(Vec::new(), |axes| axes.ints.clone());
    input.map_or_else(attribute, Tensor::integers)
}

fn unsqueeze(x: &Tensor, axes: &[i64]) -> Result<Tensor, String> {
    let mut values = x.values.clone();
    let mut places: Vec<usize> =
        axes.iter().map(|&axis| axis_of(axis, x.values.ndim() + axes.len())).collect::<Result<_, _>>()?;
    places.sort_unstable();
    for place in places {
        if place > values.ndim() || values.ndim() > 8 {
            return Err("more axes than are understood".into());
        }
        values = values.insert_axis(Axis(place));
    }
    Ok(Tensor { kind: x.kind, values })
}

fn squeeze(x: &Tensor, axes: &[i64]) -> Result<Tensor, String> {
    let mut places: Vec<usize> = axes.iter().map(|&axis| axis_of(axis, x.values.ndim())).collect::<Result<_, _>>()?;
    places.sort_unstable();
    places.dedup();
    let mut values = x.values.clone();
    for place in places.into_iter().rev() {
        if values.shape()[place] != 1 {
            return Err(format!("axis {place} of the shape {:?} is not 1", values.shape()));
        }
        values = values.index_axis_move(Axis(place), 0);
    }
    Ok(Tensor { kind: x.kind, values })
}

fn reshaped(x: &Tensor, shape: &[usize]) -> Result<Tensor, String> {
    let values = x.values.as_standard_layout().into_owned();
    let misfit = |_| format!("the shape {:?} as {shape:?}", x.values.shape());
    Ok(Tensor { kind: x.kind, values: values.into_shape_with_order(IxDyn(shape)).map_err(misfit)? })
}

fn reshape(x: &Tensor, sizes: &[i64]) -> Result<Tensor, String> {
    let misfit = || format!("the shape {:?} as {sizes:?}", x.values.shape());
    let mut shape = Vec::new();
    for (axis, &size) in sizes.iter().enumerate() {
        shape.push(match size {
            0 => *x.values.shape().get(axis).ok_or_else(misfit)?,
            -1 => 1,
            size => usize::try_from(size).map_err(|_| misfit())?,
        });
    }
    if let Some(free) = sizes.iter().position(|size| *size == -1) {
        let others = shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size)).filter(|count| *count > 0);
        shape[free] = x.values.len() / others.ok_or_else(misfit)?;
    }
    reshaped(x, &shape)
}

fn layer_normalization(
    x: &Tensor,
    scale: &Tensor,
    bias: Option<&Tensor>,
    attributes: &Attributes,
) -> Result<Tensor, String> {
    let axis = axis_of(attributes.int("axis", -1), x.values.ndim())?;
    if axis + 1 != x.values.ndim() {
        return Err("layer normalisation over more than the last axis".into());
    }
    let epsilon = attributes.float("epsilon", 1e-5);
    let mut values = x.values.clone();
    for mut row in values.lanes_mut(Axis(axis)) {
        let count = row.len() as f64;
        let mean = row.sum() / count;
        let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / count;
        let root = (variance + epsilon).sqrt();
        row.mapv_inplace(|x| (x - mean) / root);
    }
    let scaled = zip(&Tensor::new(x.kind, values), scale, x.kind, &|x, scale| x * scale)?;
    bias.map_or(Ok(scaled.clone()), |bias| zip(&scaled, bias, x.kind, &|x, bias| x + bias))
}
