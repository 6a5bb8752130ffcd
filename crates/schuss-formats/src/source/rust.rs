//! From a program to Rust.

use std::fmt::Write as _;

use ndarray::{Array2, ArrayView1, Axis};
use schuss::{Activation, Model, NumberScaling, Real, Result};

use super::{ROW, Source, Step, Steps, functions, list, program, what_comes_out, what_is_in, what_is_of};
use crate::{ColumnKind, Feature, Formula, Input, Operation, Output};

/// The model as one module of Rust (edition 2021) for `no_std`, without `alloc`, dependencies, `unsafe` or panics.
///
/// - `predict(input: &[f32; INPUTS]) -> [f32; OUTPUTS]`, whose input is what the model's [`Program`](crate::Program) takes: an
///   example as it is stored; of a model of a table, `&[f64; INPUTS]`, NaN where a value is missing. Values in between are
///   on the stack.
/// - `CLASSES`, the names of the classes, and `class(&output)`, the place of the most probable one; of a table `COLUMNS`,
///   `CATEGORIES`, and `code(column, "text")`, the number of a category.
///
/// Constants are the shortest decimal numbers that are read as the same bits. Sums begin with the bias and go in the order of
/// the inputs, as those of [`Model::predict`] do; each product is added with one rounding, by way of double precision, as `core`
/// has no fused multiplication. Nor has it functions: exp, tanh and cos are those of training, to 1.1, 3 and 0.7 units of the
/// last place; the others say their error beside them. So the outputs are those of the model to 1e-6 of the largest of the
/// row.
///
/// # Errors
/// See [`Program::new`](crate::Program::new).
pub fn to_rust<T: Real>(model: &Model<T>) -> Result<Source> {
    let program = program(model)?;
    let steps = Steps::new(&program);
    let mut writer = Writer::default();
    steps.steps.iter().enumerate().for_each(|(i, step)| writer.step(&steps, step, i + 1));
    let helpers = functions(include_str!("helpers.rs"), &writer.body, "fn ");
    if writer.body.contains("NORMALS") {
        let normals = NumberScaling::normals();
        writer.doubles("NORMALS", normals);
    }
    let (number, what) = match &program.input {
        Input::Features { shape } => ("f32", what_is_of(shape)),
        Input::Table(_) => ("f64", ROW.into()),
    };
    let mut names = String::new();
    let strings = |names: &[String], indent: &str| bracketed(names.iter().map(|name| string(name)), indent);
    if let Input::Table(columns) = &program.input {
        let (mut of_columns, mut of_categories) = (String::new(), String::new());
        for column in columns {
            let _ = writeln!(of_columns, "    {}, // {}", string(&column.name), what_is_in(&column.kind));
            let categories = if let ColumnKind::Category(names) = &column.kind { &names[..] } else { &[] };
            let _ = writeln!(of_categories, "    &{},", strings(categories, "    "));
        }
        let _ = writeln!(
            names,
            "/// The names of the columns.\n#[allow(dead_code)]\npub static COLUMNS: [&str; INPUTS] = [\n{of_columns}];\n\n\
             /// The names of the categories of each column; none of numbers and times.\n\
             #[allow(dead_code)]\npub static CATEGORIES: [&[&str]; INPUTS] = [\n{of_categories}];\n"
        );
        names.push_str(
            "\
/// What stands in the input for a category of a column; -1 for one that is unknown.
#[allow(dead_code)]
pub fn code(column: usize, category: &str) -> f64 {
    let names = CATEGORIES.get(column).copied().unwrap_or(&[]);
    names.iter().position(|name| *name == category).map_or(-1.0, |place| place as f64)
}

",
        );
    }
    if let Output::Classes { names: classes, .. } = &program.output {
        let classes = strings(classes, "");
        let _ = writeln!(
            names,
            "/// The names of the classes.\n#[allow(dead_code)]\npub static CLASSES: [&str; OUTPUTS] = {classes};\n"
        );
        names.push_str(
            "\
/// The class that an output says: the place of its largest number, the first of equal ones.
#[allow(dead_code)]
pub fn class(output: &[f32; OUTPUTS]) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for (place, x) in output.iter().enumerate() {
        if *x > best.1 {
            best = (place, *x);
        }
    }
    best.0
}

",
        );
    }
    let Writer { tables, body, bytes } = writer;
    let text = format!(
        "//! A neural network, as schuss {version} wrote it. For `no_std`, without `alloc`; nothing in it panics.\n//!\n\
         //! Input: {what}. Output: {result}.\n#![forbid(unsafe_code)]\n#![allow(clippy::all)]\n\n\
         /// Numbers that [`predict`] takes.\npub const INPUTS: usize = {inputs};\n\
         /// Numbers that [`predict`] gives.\npub const OUTPUTS: usize = {outputs};\n\n\
         {names}/// The prediction for an input. Takes about {scratch} bytes of the stack.\n\
         pub fn predict(input: &[{number}; INPUTS]) -> [f32; OUTPUTS] {{\n{body}    value_{last}\n}}\n\n\
         {helpers}\n\n{tables}",
        version = env!("CARGO_PKG_VERSION"),
        result = what_comes_out(&program.output),
        inputs = program.inputs(),
        outputs = program.outputs(),
        scratch = steps.scratch(),
        last = steps.last,
    );
    Ok(Source { text, constants: bytes, scratch: steps.scratch() })
}

/// A string; letters as they are, every other character that is not plain ASCII escaped.
fn string(name: &str) -> String {
    let of = |c: char| if c.is_alphanumeric() { c.to_string() } else { c.escape_default().to_string() };
    format!("\"{}\"", name.chars().map(of).collect::<String>())
}

/// A number of single precision, exactly.
fn single(x: f32) -> String {
    if x.is_finite() { format!("{x:?}") } else { special("f32", x.into()) }
}

/// A number of double precision, exactly.
fn double(x: f64) -> String {
    if x.is_finite() { format!("{x:?}") } else { special("f64", x) }
}

fn special(of: &str, x: f64) -> String {
    let name = if x.is_nan() {
        "NAN"
    } else if x > 0.0 {
        "INFINITY"
    } else {
        "NEG_INFINITY"
    };
    format!("{of}::{name}")
}

#[derive(Default)]
struct Writer {
    tables: String,
    body: String,
    bytes: usize,
}

impl Writer {
    fn table(&mut self, name: &str, of: &str, numbers: &str) {
        let _ = writeln!(self.tables, "static {name}: {of} = {numbers};\n");
    }

    fn singles(&mut self, name: &str, numbers: &[f32]) {
        self.bytes += size_of_val(numbers);
        self.table(name, &format!("[f32; {}]", numbers.len()), &bracketed(numbers.iter().map(|&x| single(x)), ""));
    }

    fn doubles(&mut self, name: &str, numbers: &[f64]) {
        self.bytes += size_of_val(numbers);
        self.table(name, &format!("[f64; {}]", numbers.len()), &bracketed(numbers.iter().map(|&x| double(x)), ""));
    }

    fn matrix(&mut self, name: &str, matrix: &Array2<f32>) {
        self.bytes += matrix.len() * size_of::<f32>();
        let (rows, columns) = matrix.dim();
        self.table(name, &format!("[[f32; {columns}]; {rows}]"), &rows_of(matrix.rows(), ""));
    }

    fn line(&mut self, line: &str) {
        let _ = writeln!(self.body, "    {line}");
    }

    /// Node `i`, from 1.
    fn step(&mut self, steps: &Steps, step: &Step, i: usize) {
        let buffer = |buffer: usize| if buffer == 0 { "input".into() } else { format!("value_{buffer}") };
        // To be borrowed.
        let borrowed = |of: usize| if of == 0 { "input".into() } else { format!("&value_{of}") };
        let (x, y) = (borrowed(step.inputs[0]), buffer(step.output));
        let others: Vec<String> = step.inputs[1..].iter().map(|&input| borrowed(input)).collect();
        let columns = step.node.columns;
        let operation = &step.node.operation;
        if super::is_in_place(operation) && step.inputs[0] != step.output {
            let star = if step.inputs[0] == 0 { "*" } else { "" };
            let x = buffer(step.inputs[0]);
            self.line(&format!("let mut {y} = {star}{x};"));
        }
        // Changed later by a node that takes its place.
        let is_changed = steps.steps[i..].iter().any(|later| later.output == step.output);
        let y_new = format!("let {}{y}", if is_changed { "mut " } else { "" });
        match operation {
            Operation::Encode(features) => self.encode(&y_new, features, i),
            Operation::Divide(by) => self.line(&format!("divide(&mut {y}, {});", single(*by))),
            Operation::Standardize { mean, deviation } => {
                self.doubles(&format!("MEAN_{i}"), mean);
                self.doubles(&format!("DEVIATION_{i}"), deviation);
                self.line(&format!("standardize(&mut {y}, &MEAN_{i}, &DEVIATION_{i});"));
            }
            Operation::Affine { weight, bias } => {
                // Transposed: all outputs of an input lie side by side.
                self.matrix(&format!("WEIGHT_{i}"), &weight.t().to_owned());
                self.singles(&format!("BIAS_{i}"), bias);
                self.line(&format!("{y_new} = affine({x}, &WEIGHT_{i}, &BIAS_{i});"));
            }
            Operation::Subtract(by) => self.by("subtract", &y, by, i),
            Operation::Multiply(by) => self.by("multiply", &y, by, i),
            Operation::Shift(by) => self.by("add", &y, by, i),
            Operation::Normalize { epsilon } => self.line(&format!("normalize(&mut {y}, {});", single(*epsilon))),
            Operation::Activation(Activation::Identity) => {}
            Operation::Activation(Activation::Softmax { epsilon }) => {
                let [share, floor] = [1.0 - epsilon, epsilon / columns as f64].map(|x| single(x as f32));
                self.line(&format!("softmax(&mut {y}, {share}, {floor});"));
            }
            Operation::Activation(activation) => {
                self.line(&format!("map(&mut {y}, {});", activation.name().replace('-', "_")));
            }
            Operation::Exp => self.line(&format!("map(&mut {y}, exp);")),
            Operation::Blend(share) => {
                self.singles(&format!("SHARE_{i}"), share);
                self.line(&format!("blend(&mut {y}, {}, &SHARE_{i});", others[0]));
            }
            Operation::Add => self.line(&format!("add(&mut {y}, {});", others[0])),
            Operation::Mean => {
                others.iter().for_each(|x| self.line(&format!("add(&mut {y}, {x});")));
                let share = single((1.0 / step.inputs.len() as f64) as f32);
                self.line(&format!("scale(&mut {y}, {share});"));
            }
            Operation::Slice(range) => {
                self.line(&format!("{y_new}: [f32; {columns}] = slice({x}, {});", range.start));
            }
            Operation::Concat => {
                let parts = [&[x][..], &others].concat().join(", ");
                self.line(&format!("{y_new}: [f32; {columns}] = concat(&[{parts}]);"));
            }
            Operation::Lookup { column, table } => {
                self.matrix(&format!("TABLE_{i}"), table);
                self.line(&format!("{y_new} = lookup({}[{column}], &TABLE_{i});", buffer(step.inputs[0])));
            }
            Operation::Periodic { frequencies, phases, weights, biases } => {
                self.matrix(&format!("FREQUENCIES_{i}"), frequencies);
                self.matrix(&format!("PHASES_{i}"), phases);
                let (numbers, outputs, waves) = weights.dim();
                self.bytes += weights.len() * size_of::<f32>();
                let of_numbers = weights.axis_iter(Axis(0)).map(|weights| rows_of(weights.rows(), "    "));
                let of = format!("[[[f32; {waves}]; {outputs}]; {numbers}]");
                self.table(&format!("WEIGHTS_{i}"), &of, &bracketed(of_numbers, ""));
                self.matrix(&format!("BIASES_{i}"), biases);
                let parameters = format!("&FREQUENCIES_{i}, &PHASES_{i}, &WEIGHTS_{i}, &BIASES_{i}");
                self.line(&format!("{y_new}: [f32; {columns}] = periodic({x}, {parameters});"));
            }
            Operation::Rescale { factor, shift } => {
                self.doubles(&format!("FACTOR_{i}"), factor);
                self.doubles(&format!("SHIFT_{i}"), shift);
                self.line(&format!("rescale(&mut {y}, &FACTOR_{i}, &SHIFT_{i});"));
            }
            Operation::Clamp { low, high } => {
                self.singles(&format!("LOW_{i}"), low);
                self.singles(&format!("HIGH_{i}"), high);
                self.line(&format!("clamp(&mut {y}, &LOW_{i}, &HIGH_{i});"));
            }
        }
    }

    fn by(&mut self, function: &str, y: &str, by: &[f32], i: usize) {
        self.singles(&format!("BY_{i}"), by);
        self.line(&format!("{function}(&mut {y}, &BY_{i});"));
    }

    fn encode(&mut self, y_new: &str, features: &[Feature], i: usize) {
        self.line(&format!("{y_new} = ["));
        for (place, feature) in features.iter().enumerate() {
            let x = format!("input[{}]", feature.column);
            let value = match &feature.formula {
                Formula::Number(NumberScaling::None) => format!("number({x})"),
                Formula::Number(NumberScaling::Divide(divisor)) => format!("quotient({x}, {})", double(*divisor)),
                Formula::Number(NumberScaling::Standard { mean, deviation }) => {
                    format!("standard({x}, {}, {})", double(*mean), double(*deviation))
                }
                Formula::Number(NumberScaling::Robust { median, factor }) => {
                    format!("robust({x}, {}, {})", double(*median), double(*factor))
                }
                Formula::Number(NumberScaling::Quantile { knots }) => {
                    self.doubles(&format!("KNOTS_{i}_{place}"), knots);
                    format!("quantile({x}, &KNOTS_{i}_{place}, &NORMALS)")
                }
                Formula::Sine(cycle) => format!("sine({x}, {})", double(cycle.seconds())),
                Formula::Cosine(cycle) => format!("cosine({x}, {})", double(cycle.seconds())),
                Formula::IsMissing => format!("is_missing({x})"),
                Formula::Sign => format!("sign({x})"),
                Formula::IsCode(code) => format!("is_code({x}, {code}.0)"),
                Formula::Code { count, missing } => format!("place({x}, {count}.0, {})", single(*missing)),
            };
            self.line(&format!("    {value},"));
        }
        self.line("];");
    }
}

fn bracketed(numbers: impl IntoIterator<Item = String>, indent: &str) -> String {
    list(['[', ']'], numbers, indent)
}

/// A matrix, row by row.
fn rows_of<'a>(rows: impl IntoIterator<Item = ArrayView1<'a, f32>>, indent: &str) -> String {
    let inner = format!("{indent}    ");
    bracketed(rows.into_iter().map(|row| bracketed(row.iter().map(|&x| single(x)), &inner)), indent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped() {
        assert_eq!(string("a\"b\\\u{202e}\r\0{ü}"), r#""a\"b\\\u{202e}\r\u{0}{ü}""#);
    }

    #[test]
    fn numbers_are_exact() {
        for x in [0.1f32, -0.0, 1e-45, f32::MAX, 16_777_216.0, 1e10] {
            assert_eq!(single(x).parse::<f32>().map(f32::to_bits), Ok(x.to_bits()));
        }
        assert_eq!([single(f32::INFINITY), double(f64::NEG_INFINITY)], ["f32::INFINITY", "f64::NEG_INFINITY"]);
    }
}

/// What generated code is made of, measured.
#[cfg(test)]
#[allow(dead_code, reason = "not all of it is called")]
mod exactness {
    use ndarray::{Array1, Axis};
    use schuss::{Activation, Threads};

    include!("helpers.rs");

    /// Numbers of every size up to this one, both signs.
    fn numbers(largest: f64) -> impl Iterator<Item = f64> {
        (0..100_000).flat_map(move |i| {
            let i = f64::from(i);
            [largest * (i / 50_000.0 - 1.0), largest * (-i / 3000.0).exp(), -largest * (-i / 3000.0).exp()]
        })
    }

    /// Units of the last place of `expected`.
    fn units(got: f32, expected: f64) -> f64 {
        let nearest = (expected as f32).abs();
        (f64::from(got) - expected).abs() / (f64::from(nearest.next_up()) - f64::from(nearest))
    }

    #[test]
    fn functions_are_as_exact_as_they_say() {
        let worst = |of: &dyn Fn(f32) -> f64, largest: f64| {
            numbers(largest).map(|x| of(x as f32)).fold(0.0, |most, off| if off <= most { most } else { off })
        };
        let double = |x: f32| f64::from(x);
        for (name, off, stated) in [
            ("exp", worst(&|x| units(exp(x), double(x).exp()), 87.0), 1.1),
            ("tanh", worst(&|x| units(tanh(x), double(x).tanh()), 20.0), 3.0),
            ("cos", worst(&|x| (double(cos(x)) - double(x).cos()).abs() / f64::from(f32::EPSILON), 8192.0), 0.7),
            ("sine", worst(&|x| (turn(double(x), 1.0)[0] - turned(x).sin()).abs(), 9.0), 3e-15),
            ("cosine", worst(&|x| (turn(double(x), 1.0)[1] - turned(x).cos()).abs(), 9.0), 3e-15),
            ("sqrt", worst(&|x| (inverse_sqrt(double(x * x)) * double(x * x).sqrt() - 1.0).abs(), 1e9), 1e-15),
        ] {
            assert!(off <= stated, "{name}: {off:e}");
        }
    }

    fn turned(x: f32) -> f64 {
        std::f64::consts::TAU * f64::from(x).rem_euclid(1.0)
    }

    #[test]
    fn activations_are_those_of_the_core() {
        let x: Array1<f64> = numbers(30.0).map(|x| f64::from(x as f32)).collect();
        for (activation, function, stated) in [
            (Activation::Relu, relu as fn(f32) -> f32, 0.0),
            (Activation::LeakyRelu, leaky_relu, 1e-7),
            (Activation::Sigmoid, sigmoid, 3e-7),
            (Activation::Tanh, tanh, 3e-7),
            (Activation::Gelu, gelu, 2e-7),
            (Activation::Selu, selu, 2e-7),
            (Activation::Swish, swish, 3e-7),
            (Activation::Mish, mish, 5e-7),
            (Activation::Softplus, softplus, 3e-7),
        ] {
            let mut expected = x.clone().insert_axis(Axis(0));
            activation.apply(&Threads::ONE, expected.view_mut());
            // Of 1, or of x where that is larger.
            let off = |(&x, &y): (&f64, &f64)| (f64::from(function(x as f32)) - y).abs() / x.abs().max(1.0);
            let off = x.iter().zip(&expected).map(off).fold(0.0, f64::max);
            assert!(off <= stated, "{}: {off:e}", activation.name());
            assert!(function(f32::NAN).is_nan());
        }
    }
}
