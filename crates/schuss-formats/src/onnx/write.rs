//! From a program to ONNX.

use ndarray::{Array2, Axis, concatenate};
use schuss::{Activation, NumberScaling};
use serde_json::json;

use super::messages::{
    Attribute, Dimension, Entry, GraphProto, ModelProto, NodeProto, OperatorSet, TensorProto, TensorShape, TensorType,
    TypeProto, ValueInfo, data_type, kind,
};
use crate::{ColumnKind, Feature, Formula, Input, Node, Operation, Output, Program};

/// The version of ONNX's operators that is written.
pub(crate) const OPSET: i64 = 17;
/// That of the file format, the first that knows those operators.
const IR_VERSION: i64 = 8;
/// Where smooth clipping ends.
const FAR: f64 = 3.0;
/// Where numbers are cut off before they are squared.
const MOST: f64 = 1e100;

/// The model as a message.
pub(crate) fn model(program: &Program) -> ModelProto {
    let mut graph = Graph::default();
    let (input, input_type) = match program.input {
        Input::Features { .. } => ("features", data_type::FLOAT),
        Input::Table(_) => ("columns", data_type::DOUBLE),
    };
    let mut values = vec![input.to_string()];
    for node in &program.nodes {
        let of: Vec<&str> = node.inputs.iter().map(|&value| values[value].as_str()).collect();
        let value = graph.operation(program, node, &of);
        values.push(value);
    }
    let last = values.last().map_or(input, |value| value.as_str()).to_string();
    let name = match &program.output {
        Output::Classes { are_probabilities: true, .. } | Output::Labels => "probabilities",
        Output::Classes { .. } => "scores",
        Output::Numbers => "predictions",
    };
    graph.push("Identity", &[&last], name, Vec::new());
    let mut outputs = vec![value_info(name, data_type::FLOAT, Some(program.outputs()))];
    if let Output::Classes { .. } = program.output {
        graph.push("ArgMax", &[&last], "label", vec![int("axis", 1), int("keepdims", 0)]);
        outputs.push(value_info("label", data_type::INT64, None));
    }
    ModelProto {
        ir_version: IR_VERSION,
        producer_name: "schuss".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(GraphProto {
            node: graph.nodes,
            name: "schuss".into(),
            initializer: graph.initializers,
            input: vec![value_info(input, input_type, Some(program.inputs()))],
            output: outputs,
        }),
        opset_import: vec![OperatorSet { domain: String::new(), version: OPSET }],
        metadata_props: metadata(program),
        ..ModelProto::default()
    }
}

/// What the columns and classes are, as JSON.
fn metadata(program: &Program) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut add = |key: &str, value: serde_json::Value| {
        entries.push(Entry { key: key.into(), value: value.to_string() });
    };
    match &program.input {
        Input::Features { shape } => add("example_shape", json!(shape)),
        Input::Table(columns) => {
            let described = columns.iter().map(|column| match &column.kind {
                ColumnKind::Number => json!({"name": column.name, "kind": "number"}),
                ColumnKind::Time => {
                    json!({"name": column.name, "kind": "time", "unit": "seconds since 1970-01-01 UTC"})
                }
                ColumnKind::Category(names) => {
                    json!({"name": column.name, "kind": "category", "categories": names})
                }
            });
            add("columns", described.collect());
        }
    }
    if let Output::Classes { names, .. } = &program.output {
        add("classes", json!(names));
    }
    entries
}

fn value_info(name: &str, elem_type: i32, columns: Option<usize>) -> ValueInfo {
    let batch = Dimension { dim_value: None, dim_param: Some("batch".into()) };
    let columns = columns.map(|columns| Dimension { dim_value: Some(columns as i64), dim_param: None });
    let shape = TensorShape { dim: std::iter::once(batch).chain(columns).collect() };
    let tensor = TensorType { elem_type, shape: Some(shape) };
    ValueInfo { name: name.into(), kind: Some(TypeProto { tensor: Some(tensor) }), doc_string: String::new() }
}

fn int(name: &str, i: i64) -> Attribute {
    Attribute { name: name.into(), i, kind: kind::INT, ..Attribute::default() }
}

fn float(name: &str, f: f64) -> Attribute {
    Attribute { name: name.into(), f: f as f32, kind: kind::FLOAT, ..Attribute::default() }
}

/// A graph that grows; values have the names of their numbers.
#[derive(Default)]
struct Graph {
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
}

impl Graph {
    fn push(&mut self, op_type: &str, inputs: &[&str], output: &str, attribute: Vec<Attribute>) {
        self.nodes.push(NodeProto {
            input: inputs.iter().map(ToString::to_string).collect(),
            output: vec![output.into()],
            name: format!("{op_type}_{}", self.nodes.len()),
            op_type: op_type.into(),
            attribute,
            domain: String::new(),
        });
    }

    fn node_with(&mut self, op_type: &str, inputs: &[&str], attributes: Vec<Attribute>) -> String {
        let output = format!("value_{}", self.nodes.len());
        self.push(op_type, inputs, &output, attributes);
        output
    }

    fn node(&mut self, op_type: &str, inputs: &[&str]) -> String {
        self.node_with(op_type, inputs, Vec::new())
    }

    fn constant(&mut self, data_type: i32, shape: &[usize], raw_data: Vec<u8>) -> String {
        let name = format!("constant_{}", self.initializers.len());
        let dims = shape.iter().map(|&size| size as i64).collect();
        self.initializers.push(TensorProto { dims, data_type, name: name.clone(), raw_data, ..Default::default() });
        name
    }

    fn singles(&mut self, shape: &[usize], numbers: &[f32]) -> String {
        self.constant(data_type::FLOAT, shape, numbers.iter().flat_map(|x| x.to_le_bytes()).collect())
    }

    fn single(&mut self, number: f32) -> String {
        self.singles(&[], &[number])
    }

    fn row(&mut self, numbers: &[f32]) -> String {
        self.singles(&[numbers.len()], numbers)
    }

    fn doubles(&mut self, shape: &[usize], numbers: &[f64]) -> String {
        self.constant(data_type::DOUBLE, shape, numbers.iter().flat_map(|x| x.to_le_bytes()).collect())
    }

    fn double(&mut self, number: f64) -> String {
        self.doubles(&[], &[number])
    }

    fn double_row(&mut self, numbers: &[f64]) -> String {
        self.doubles(&[numbers.len()], numbers)
    }

    fn integers(&mut self, shape: &[usize], numbers: &[usize]) -> String {
        let bytes = numbers.iter().flat_map(|&x| (x as i64).to_le_bytes()).collect();
        self.constant(data_type::INT64, shape, bytes)
    }

    fn cast(&mut self, x: &str, to: i32) -> String {
        self.node_with("Cast", &[x], vec![int("to", i64::from(to))])
    }

    fn gather(&mut self, x: &str, places: &str, axis: i64) -> String {
        self.node_with("Gather", &[x, places], vec![int("axis", axis)])
    }

    /// The value that an operation of the program makes.
    fn operation(&mut self, program: &Program, node: &Node, of: &[&str]) -> String {
        let x = of[0];
        match &node.operation {
            Operation::Encode(features) => self.encode(x, features),
            Operation::Divide(divisor) => {
                let divisor = self.single(*divisor);
                self.node("Div", &[x, &divisor])
            }
            Operation::Standardize { mean, deviation } => {
                let (mean, deviation) = (self.double_row(mean), self.double_row(deviation));
                let x = self.cast(x, data_type::DOUBLE);
                let x = self.node("Sub", &[&x, &mean]);
                let x = self.node("Div", &[&x, &deviation]);
                self.cast(&x, data_type::FLOAT)
            }
            Operation::Affine { weight, bias } => {
                let weight = self.matrix(weight);
                let bias = self.row(bias);
                self.node_with("Gemm", &[x, &weight, &bias], vec![int("transB", 1)])
            }
            Operation::Subtract(by) => {
                let by = self.row(by);
                self.node("Sub", &[x, &by])
            }
            Operation::Multiply(by) => {
                let by = self.row(by);
                self.node("Mul", &[x, &by])
            }
            Operation::Shift(by) => {
                let by = self.row(by);
                self.node("Add", &[x, &by])
            }
            Operation::Normalize { epsilon } => {
                let ones = self.row(&vec![1.0; node.columns]);
                let attributes = vec![int("axis", -1), float("epsilon", f64::from(*epsilon))];
                self.node_with("LayerNormalization", &[x, &ones], attributes)
            }
            Operation::Activation(activation) => self.activation(x, *activation, node.columns),
            Operation::Exp => self.node("Exp", &[x]),
            Operation::Blend(share) => {
                let share = self.row(share);
                let change = self.node("Sub", &[of[1], x]);
                let change = self.node("Mul", &[&share, &change]);
                self.node("Add", &[x, &change])
            }
            Operation::Add => self.node("Add", of),
            Operation::Mean => {
                let sum = of[1..].iter().fold(x.to_string(), |sum, x| self.node("Add", &[&sum, x]));
                let share = self.single((1.0 / of.len() as f64) as f32);
                self.node("Mul", &[&sum, &share])
            }
            Operation::Slice(range) => {
                if range.len() == program.columns(node.inputs[0]) {
                    return x.to_string();
                }
                let [start, end, axis] = [range.start, range.end, 1].map(|at| self.integers(&[1], &[at]));
                self.node("Slice", &[x, &start, &end, &axis])
            }
            Operation::Concat => self.node_with("Concat", of, vec![int("axis", 1)]),
            Operation::Lookup { column, table } => {
                // A last row of zeros stands for every code that there is none of.
                let none = Array2::zeros((1, table.ncols()));
                let rows = concatenate(Axis(0), &[table.view(), none.view()]).expect("as many columns");
                let rows = self.matrix(&rows);
                let column = self.integers(&[], &[*column]);
                let code = self.gather(x, &column, 1);
                let (zero, count) = (self.single(0.0), self.single(table.nrows() as f32));
                let is_known = self.is_place(&code, &zero, &count);
                let place = self.node("Where", &[&is_known, &code, &count]);
                let place = self.cast(&place, data_type::INT64);
                self.gather(&rows, &place, 0)
            }
            Operation::Periodic { frequencies, phases, weights, biases } => {
                let (numbers, outputs) = biases.dim();
                let one = self.integers(&[1], &[2]);
                let column = self.node("Unsqueeze", &[x, &one]); // (batch, n, 1)
                let frequencies = self.matrix(frequencies);
                let phases = self.matrix(phases);
                let angles = self.node("Mul", &[&column, &frequencies]);
                let angles = self.node("Add", &[&angles, &phases]); // (batch, n, k)
                let cosines = self.node("Cos", &[&angles]);
                let cosines = self.node("Unsqueeze", &[&cosines, &one]); // (batch, n, 1, k)
                let transposed = weights.view().permuted_axes([0, 2, 1]);
                let transposed: Vec<f32> = transposed.iter().copied().collect();
                let weights = self.singles(&[numbers, weights.dim().2, outputs], &transposed);
                let sums = self.node("MatMul", &[&cosines, &weights]); // (batch, n, 1, o - 1)
                let sums = self.node("Squeeze", &[&sums, &one]);
                let biases = self.matrix(biases);
                let sums = self.node("Add", &[&sums, &biases]);
                let both = self.node_with("Concat", &[&column, &sums], vec![int("axis", 2)]);
                self.node_with("Flatten", &[&both], vec![int("axis", 1)])
            }
            Operation::Rescale { factor, shift } => {
                let (factor, shift) = (self.double_row(factor), self.double_row(shift));
                let x = self.cast(x, data_type::DOUBLE);
                let x = self.node("Mul", &[&x, &factor]);
                let x = self.node("Add", &[&x, &shift]);
                self.cast(&x, data_type::FLOAT)
            }
            Operation::Clamp { low, high } => {
                let (low, high) = (self.row(low), self.row(high));
                let x = self.node("Max", &[x, &low]);
                self.node("Min", &[&x, &high])
            }
        }
    }

    fn matrix(&mut self, matrix: &Array2<f32>) -> String {
        let numbers: Vec<f32> = matrix.iter().copied().collect();
        self.singles(&[matrix.nrows(), matrix.ncols()], &numbers)
    }

    /// Whether `x` is one of 0, 1, ..., `count` - 1, all of one type.
    fn is_place(&mut self, x: &str, zero: &str, count: &str) -> String {
        let is_not_below = self.node("GreaterOrEqual", &[x, zero]);
        let is_below = self.node("Less", &[x, count]);
        let whole = self.node("Floor", &[x]);
        let is_whole = self.node("Equal", &[x, &whole]);
        let is_within = self.node("And", &[&is_not_below, &is_below]);
        self.node("And", &[&is_within, &is_whole])
    }

    fn activation(&mut self, x: &str, activation: Activation, columns: usize) -> String {
        match activation {
            Activation::Identity => x.to_string(),
            Activation::Relu => self.node("Relu", &[x]),
            Activation::LeakyRelu => self.node_with("LeakyRelu", &[x], vec![float("alpha", Activation::LEAKY_SLOPE)]),
            Activation::Sigmoid => self.node("Sigmoid", &[x]),
            Activation::Tanh => self.node("Tanh", &[x]),
            // z (1 + erf(z/√2))/2
            Activation::Gelu => {
                let [root, one, half] = [std::f32::consts::FRAC_1_SQRT_2, 1.0, 0.5].map(|number| self.single(number));
                let erf = self.node("Mul", &[x, &root]);
                let erf = self.node("Erf", &[&erf]);
                let share = self.node("Add", &[&erf, &one]);
                let share = self.node("Mul", &[&share, &half]);
                self.node("Mul", &[x, &share])
            }
            Activation::Selu => {
                let [lambda, alpha] = Activation::SELU;
                self.node_with("Selu", &[x], vec![float("alpha", alpha), float("gamma", lambda)])
            }
            Activation::Swish => {
                let share = self.node("Sigmoid", &[x]);
                self.node("Mul", &[x, &share])
            }
            Activation::Mish => {
                let share = self.node("Softplus", &[x]);
                let share = self.node("Tanh", &[&share]);
                self.node("Mul", &[x, &share])
            }
            Activation::Softplus => self.node("Softplus", &[x]),
            Activation::Softmax { epsilon } => {
                let shares = self.node_with("Softmax", &[x], vec![int("axis", -1)]);
                if epsilon == 0.0 {
                    return shares;
                }
                let share = self.single((1.0 - epsilon) as f32);
                let floor = self.single((epsilon / columns as f64) as f32);
                let shares = self.node("Mul", &[&shares, &share]);
                self.node("Add", &[&shares, &floor])
            }
        }
    }

    /// The inputs of a network, from the columns of a table: those of one kind are made together, then put in order.
    fn encode(&mut self, input: &str, features: &[Feature]) -> String {
        let mut rest: Vec<usize> = (0..features.len()).collect();
        let (mut parts, mut order) = (Vec::new(), Vec::new());
        while let Some(&first) = rest.first() {
            let is_alike = |formula: &Formula| kind_of(formula) == kind_of(&features[first].formula);
            let (group, others): (Vec<usize>, Vec<usize>) =
                rest.into_iter().partition(|&i| is_alike(&features[i].formula));
            rest = others;
            let formulas: Vec<&Formula> = group.iter().map(|&i| &features[i].formula).collect();
            let columns: Vec<usize> = group.iter().map(|&i| features[i].column).collect();
            let columns = self.integers(&[columns.len()], &columns);
            let x = self.gather(input, &columns, 1);
            let part = self.formulas(&x, &formulas);
            parts.push(part);
            order.extend(group);
        }
        let names: Vec<&str> = parts.iter().map(String::as_str).collect();
        let all =
            if let [one] = names[..] { one.into() } else { self.node_with("Concat", &names, vec![int("axis", 1)]) };
        if order.is_sorted() {
            return all;
        }
        let places: Vec<usize> =
            (0..order.len()).map(|i| order.iter().position(|&at| at == i).expect("every one is made")).collect();
        let places = self.integers(&[places.len()], &places);
        self.gather(&all, &places, 1)
    }

    /// Formulas of one kind, of as many columns in double precision.
    fn formulas(&mut self, x: &str, formulas: &[&Formula]) -> String {
        let of = |f: &dyn Fn(&Formula) -> f64| -> Vec<f64> { formulas.iter().map(|formula| f(formula)).collect() };
        let scaling = |f: &dyn Fn(&NumberScaling) -> f64| -> Vec<f64> {
            of(&|formula| if let Formula::Number(scaling) = formula { f(scaling) } else { 0.0 })
        };
        match formulas[0] {
            Formula::Sign => {
                let [is_first, is_second] = [0.0, 1.0].map(|code| {
                    let code = self.double(code);
                    let is_code = self.node("Equal", &[x, &code]);
                    self.cast(&is_code, data_type::FLOAT)
                });
                return self.node("Sub", &[&is_second, &is_first]);
            }
            Formula::IsCode(_) => {
                let codes = of(&|formula| if let Formula::IsCode(code) = formula { *code as f64 } else { 0.0 });
                let codes = self.double_row(&codes);
                let is_code = self.node("Equal", &[x, &codes]);
                return self.cast(&is_code, data_type::FLOAT);
            }
            _ => {}
        }
        // A number that is missing is the only one that is not itself.
        let is_there = self.node("Equal", &[x, x]);
        if let Formula::IsMissing = formulas[0] {
            let is_missing = self.node("Not", &[&is_there]);
            return self.cast(&is_missing, data_type::FLOAT);
        }
        let zero = self.double(0.0);
        let scaled = match formulas[0] {
            Formula::Code { .. } => {
                let part = |f: &dyn Fn(usize, f32) -> f64| {
                    of(&|formula| {
                        if let Formula::Code { count, missing } = formula { f(*count, *missing) } else { 0.0 }
                    })
                };
                let counts = part(&|count, _| count as f64);
                let missing = part(&|_, missing| f64::from(missing));
                let (counts, missing, unknown) =
                    (self.double_row(&counts), self.double_row(&missing), self.double(-1.0));
                let is_known = self.is_place(x, &zero, &counts);
                let other = self.node("Where", &[&is_there, &unknown, &missing]);
                let code = self.node("Where", &[&is_known, x, &other]);
                return self.cast(&code, data_type::FLOAT);
            }
            Formula::Number(NumberScaling::None) => x.to_string(),
            Formula::Number(NumberScaling::Divide(_)) => {
                let divisors = scaling(&|s| if let NumberScaling::Divide(divisor) = s { *divisor } else { 1.0 });
                let divisors = self.double_row(&divisors);
                self.node("Div", &[x, &divisors])
            }
            Formula::Number(NumberScaling::Standard { .. }) => {
                let means = scaling(&|s| if let NumberScaling::Standard { mean, .. } = s { *mean } else { 0.0 });
                let deviations =
                    scaling(&|s| if let NumberScaling::Standard { deviation, .. } = s { *deviation } else { 1.0 });
                let (means, deviations) = (self.double_row(&means), self.double_row(&deviations));
                let x = self.node("Sub", &[x, &means]);
                self.node("Div", &[&x, &deviations])
            }
            Formula::Number(NumberScaling::Robust { .. }) => {
                let medians = scaling(&|s| if let NumberScaling::Robust { median, .. } = s { *median } else { 0.0 });
                let factors = scaling(&|s| if let NumberScaling::Robust { factor, .. } = s { *factor } else { 0.0 });
                let (medians, factors) = (self.double_row(&medians), self.double_row(&factors));
                let [low, high, far, one] = [-MOST, MOST, FAR, 1.0].map(|number| self.double(number));
                let z = self.node("Sub", &[x, &medians]);
                let z = self.node("Mul", &[&z, &factors]);
                let z = self.node("Max", &[&z, &low]);
                let z = self.node("Min", &[&z, &high]);
                let part = self.node("Div", &[&z, &far]);
                let square = self.node("Mul", &[&part, &part]);
                let sum = self.node("Add", &[&square, &one]);
                let root = self.node("Sqrt", &[&sum]);
                self.node("Div", &[&z, &root])
            }
            Formula::Number(NumberScaling::Quantile { .. }) => {
                let x = self.node("Where", &[&is_there, x, &zero]);
                self.quantiles(&x, formulas)
            }
            // cos t = sin(t + π/2)
            Formula::Sine(_) | Formula::Cosine(_) => {
                let seconds = of(&|formula| match formula {
                    Formula::Sine(cycle) | Formula::Cosine(cycle) => cycle.seconds(),
                    _ => 1.0,
                });
                let turns =
                    of(&|formula| if let Formula::Cosine(_) = formula { std::f64::consts::FRAC_PI_2 } else { 0.0 });
                let (seconds, turns) = (self.double_row(&seconds), self.double_row(&turns));
                let tau = self.double(std::f64::consts::TAU);
                let cycles = self.node("Div", &[x, &seconds]);
                let whole = self.node("Floor", &[&cycles]);
                let phase = self.node("Sub", &[&cycles, &whole]);
                let angle = self.node("Mul", &[&phase, &tau]);
                let angle = self.node("Add", &[&angle, &turns]);
                self.node("Sin", &[&angle])
            }
            Formula::IsMissing | Formula::Sign | Formula::IsCode(_) => unreachable!("made above"),
        };
        let scaled = self.node("Where", &[&is_there, &scaled, &zero]);
        self.cast(&scaled, data_type::FLOAT)
    }

    /// Normal quantiles by knots: [`NumberScaling::Quantile`] of columns without missing values.
    fn quantiles(&mut self, x: &str, formulas: &[&Formula]) -> String {
        let knots: Vec<f64> = formulas
            .iter()
            .filter_map(|formula| {
                if let Formula::Number(NumberScaling::Quantile { knots }) = formula { Some(knots) } else { None }
            })
            .flatten()
            .copied()
            .collect();
        let normals = NumberScaling::normals();
        let (count, per_column) = (formulas.len(), normals.len());
        let all_knots = self.doubles(&[count, per_column], &knots);
        let flat_knots = self.double_row(&knots);
        let normals = self.double_row(normals);
        let starts: Vec<usize> = (0..count).map(|column| column * per_column).collect();
        let starts = self.integers(&[count], &starts);
        let [zero, one, last] = [0, 1, per_column - 2].map(|number| self.integers(&[], &[number]));
        let axis = self.integers(&[1], &[2]);
        let column = self.node("Unsqueeze", &[x, &axis]);
        // How many knots are below x, and how many not above it.
        let [below, not_above] = ["Greater", "GreaterOrEqual"].map(|comparison| {
            let is_so = self.node(comparison, &[&column, &all_knots]);
            let ones = self.cast(&is_so, data_type::INT64);
            self.node_with("ReduceSum", &[&ones, &axis], vec![int("keepdims", 0)])
        });
        // On a knot: the middle of those that are equal.
        let most = self.integers(&[], &[per_column - 1]);
        let first = self.node("Min", &[&below, &most]);
        let until = self.node("Sub", &[&not_above, &one]);
        let until = self.node("Max", &[&until, &zero]);
        let [first, until] = [first, until].map(|place| self.gather(&normals, &place, 0));
        let half = self.double(0.5);
        let middle = self.node("Add", &[&first, &until]);
        let middle = self.node("Mul", &[&middle, &half]);
        // Between two: the straight line; beyond all, its end.
        let from = self.node("Sub", &[&below, &one]);
        let from = self.node("Max", &[&from, &zero]);
        let from = self.node("Min", &[&from, &last]);
        let to = self.node("Add", &[&from, &one]);
        let [low, high] = [&from, &to].map(|place| self.gather(&normals, place, 0));
        let [start, end] = [&from, &to].map(|place| {
            let place = self.node("Add", &[place, &starts]);
            let knot = self.gather(&flat_knots, &place, 0);
            // Halves, whose difference is finite.
            self.node("Mul", &[&knot, &half])
        });
        let halved = self.node("Mul", &[x, &half]);
        let part = self.node("Sub", &[&halved, &start]);
        let whole = self.node("Sub", &[&end, &start]);
        // Beyond knots that are equal: ±∞, which is cut off.
        let part = self.node("Div", &[&part, &whole]);
        let [nothing, all] = [0.0, 1.0].map(|number| self.double(number));
        let part = self.node("Max", &[&part, &nothing]);
        let part = self.node("Min", &[&part, &all]);
        let rise = self.node("Sub", &[&high, &low]);
        let rise = self.node("Mul", &[&part, &rise]);
        let line = self.node("Add", &[&low, &rise]);
        let is_on_knot = self.node("Less", &[&below, &not_above]);
        self.node("Where", &[&is_on_knot, &middle, &line])
    }
}

/// Formulas of one kind have the same operators.
fn kind_of(formula: &Formula) -> usize {
    match formula {
        Formula::Number(NumberScaling::None) => 0,
        Formula::Number(NumberScaling::Divide(_)) => 1,
        Formula::Number(NumberScaling::Standard { .. }) => 2,
        Formula::Number(NumberScaling::Robust { .. }) => 3,
        Formula::Number(NumberScaling::Quantile { .. }) => 4,
        Formula::Sine(_) | Formula::Cosine(_) => 5,
        Formula::IsMissing => 6,
        Formula::Sign => 7,
        Formula::IsCode(_) => 8,
        Formula::Code { .. } => 9,
    }
}
