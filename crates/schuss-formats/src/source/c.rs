//! From a program to C.

use std::fmt::Write as _;

use schuss::{Activation, Error, Model, NumberScaling, Real, Result};

use super::{ROW, Source, Step, Steps, functions, list, program, what_comes_out, what_is_in, what_is_of};
use crate::{ColumnKind, Feature, Formula, Input, Operation, Output, Program};

/// What a string of standard C holds.
const LONGEST: usize = 4095;

/// The header around what differs.
const FRAME: &str = r#"/*
 * NAME: a neural network, as schuss VERSION wrote it. C99 or C++17, header only; nothing is allocated, and every
 * function may be called by several threads at once.
 *
 * Input: INPUT_IS.
 * Output: OUTPUT_IS.
 */
#ifndef UPPER_H
#define UPPER_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

/* Products and sums are to be rounded as they are written. */
#ifdef __FAST_MATH__
#error "compile NAME without -ffast-math"
#endif
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(_MSC_VER)
#pragma fp_contract(off)
#elif defined(__GNUC__)
#pragma GCC push_options
#pragma GCC optimize("fp-contract=off")
#endif

#define UPPER_INPUTS INPUT_COUNT
#define UPPER_OUTPUTS OUTPUT_COUNT

STRINGS
TABLES
HELPERS

/* Values between input and output. */
struct NAME_scratch {
BUFFERS};

/* The prediction for an input, with memory for the values in between. */
static inline void NAME_predict_with(
    struct NAME_scratch *scratch, const NUMBER input[UPPER_INPUTS], float output[UPPER_OUTPUTS])
{
BODY    for (size_t i = 0; i < UPPER_OUTPUTS; i++) output[i] = scratch->value_LAST[i];
}

/* The prediction for an input. Takes sizeof(struct NAME_scratch) bytes of the stack. */
static inline void NAME_predict(const NUMBER input[UPPER_INPUTS], float output[UPPER_OUTPUTS])
{
    struct NAME_scratch scratch;
    NAME_predict_with(&scratch, input, output);
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif

#endif
"#;

/// The model as one header of C99, which is C++17, too; it needs nothing but `<math.h>`, `<stddef.h>` and `<stdint.h>`, and
/// allocates nothing.
///
/// `name`, as lower-case letters, digits and underscores, begins everything in it. For the name `digits`:
///
/// - `void digits_predict(const float input[DIGITS_INPUTS], float output[DIGITS_OUTPUTS])`, whose input is what the model's
///   [`Program`] takes: an example as it is stored; of a model of a table, a row of `double`, NaN where a value is missing.
///   Values in between are on the stack, `sizeof(struct digits_scratch)` bytes; `digits_predict_with` takes memory for
///   them instead. Both may be called by several threads at once.
/// - `digits_classes`, the names of the classes, and `digits_class(output)`, the place of the most probable one; of a table
///   `digits_columns`, the names of its columns, `digits_categories`, those of their categories, and
///   `digits_code(column, "text")`, the number of a category.
///
/// Constants are hexadecimal, so that none is rounded. Sums begin with the bias and go in the order of the inputs, as those of
/// [`Model::predict`] do; each product is added with one rounding, by `fmaf` where the processor has it (`FP_FAST_FMAF`), else
/// in double precision. exp, tanh and cos are those of training. So the outputs are those of the model to 1e-6 of the
/// largest of the row. It is not to be compiled with
/// `-ffast-math`.
///
/// # Errors
/// See [`Program::new`]. A name of a column, category or class that C's strings cannot hold: with a null character, or of more
/// than 4095 bytes.
pub fn to_c<T: Real>(model: &Model<T>, name: &str) -> Result<Source> {
    let program = program(model)?;
    let steps = Steps::new(&program);
    let name = identifier(name);
    let mut writer = Writer::default();
    steps.steps.iter().enumerate().for_each(|(i, step)| writer.step(&steps, step, i + 1));
    let (number, what) = match &program.input {
        Input::Features { shape } => ("float", what_is_of(shape)),
        Input::Table(_) => ("double", ROW.into()),
    };
    let helpers = functions(include_str!("helpers.h"), &writer.body, "static inline ");
    if helpers.contains("NAME_normals") {
        writer.doubles("normals", NumberScaling::normals().iter().copied());
    }
    let buffers = (1..).zip(&steps.buffers[1..]).map(|(i, columns)| format!("    float value_{i}[{columns}];\n"));
    let frame = FRAME
        .replace("VERSION", env!("CARGO_PKG_VERSION"))
        .replace("INPUT_IS", &what)
        .replace("OUTPUT_IS", what_comes_out(&program.output))
        .replace("INPUT_COUNT", &program.inputs().to_string())
        .replace("OUTPUT_COUNT", &program.outputs().to_string())
        .replace("NUMBER", number)
        .replace("BUFFERS", &buffers.collect::<String>())
        .replace("LAST", &steps.last.to_string())
        .replace("BODY", &writer.body)
        .replace("HELPERS", &helpers)
        .replace("KNOTS", &NumberScaling::normals().len().to_string())
        .replace("TABLES", &writer.tables);
    let frame = frame.split_once("STRINGS\n").unwrap_or_default();
    let upper = name.to_uppercase();
    let [before, after] = [frame.0, frame.1].map(|part| part.replace("NAME", &name).replace("UPPER", &upper));
    // What other people named things is put in last: nothing in it is replaced.
    let text = [before, names(&program, &name, &upper)?, after].concat();
    Ok(Source { text, constants: writer.bytes, scratch: steps.scratch() })
}

/// A name for C: lower-case letters, digits and underscores, a letter first.
fn identifier(name: &str) -> String {
    let of = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let name: String = name.chars().map(of).collect();
    let name = name.trim_matches('_');
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) { name.into() } else { format!("model_{name}") }
}

/// The names of columns, categories and classes, and what finds them.
fn names(program: &Program, name: &str, upper: &str) -> Result<String> {
    let mut text = String::new();
    let strings = |names: &[String]| -> Result<String> {
        Ok(list(['{', '}'], names.iter().map(|name| string(name)).collect::<Result<Vec<_>>>()?, ""))
    };
    if let Input::Table(columns) = &program.input {
        let (mut of_columns, mut of_categories) = (String::new(), String::new());
        for (i, column) in columns.iter().enumerate() {
            let _ = writeln!(of_columns, "    {}, /* {} */", string(&column.name)?, what_is_in(&column.kind));
            match &column.kind {
                ColumnKind::Category(names) if !names.is_empty() => {
                    let (count, names) = (names.len(), strings(names)?);
                    let _ = writeln!(text, "static const char *const {name}_categories_{i}[{count}] = {names};\n");
                    let _ = writeln!(of_categories, "    {{{name}_categories_{i}, {count}}},");
                }
                _ => of_categories.push_str("    {NULL, 0},\n"),
            }
        }
        let _ = writeln!(
            text,
            "/* The names of the columns. */\nstatic const char *const {name}_columns[{upper}_INPUTS] = {{\n{of_columns}}};\n"
        );
        let lookup = "\
/* The names of the categories of each column; none of numbers and times. */
struct NAME_category_names {
    const char *const *names;
    size_t count;
};

static const struct NAME_category_names NAME_categories[UPPER_INPUTS] = {
ENTRIES};

/* What stands in the input for a category of a column; -1 for one that is unknown. */
static inline double NAME_code(size_t column, const char *category)
{
    if (column >= UPPER_INPUTS) return -1.0;
    for (size_t i = 0; i < NAME_categories[column].count; i++) {
        const char *a = NAME_categories[column].names[i], *b = category;
        while (*a != '\\0' && *a == *b) a++, b++;
        if (*a == *b) return (double)i;
    }
    return -1.0;
}

";
        text.push_str(&lookup.replace("ENTRIES", &of_categories).replace("NAME", name).replace("UPPER", upper));
    }
    if let Output::Classes { names, .. } = &program.output {
        let _ = writeln!(
            text,
            "/* The names of the classes. */\nstatic const char *const {name}_classes[{upper}_OUTPUTS] = {};\n",
            strings(names)?
        );
        let class = "\
/* The class that an output says: the place of its largest number, the first of equal ones. */
static inline size_t NAME_class(const float output[UPPER_OUTPUTS])
{
    size_t best = 0;
    for (size_t i = 1; i < UPPER_OUTPUTS; i++) best = output[i] > output[best] ? i : best;
    return best;
}

";
        text.push_str(&class.replace("NAME", name).replace("UPPER", upper));
    }
    Ok(text)
}

/// A string: what is not plain ASCII as octal bytes of UTF-8, question marks so that there is no trigraph.
fn string(name: &str) -> Result<String> {
    if name.len() > LONGEST || name.contains('\0') {
        let start: String = name.chars().take(40).collect();
        let expected = format!("{LONGEST} bytes at most, and no null character, as C's strings hold them; rename it");
        return Err(Error::value("name of a column, category or class", expected, format!("{start:?}")));
    }
    let byte = |byte: u8| match byte {
        b'"' | b'\\' | b'?' => format!("\\{}", char::from(byte)),
        b' '..=b'~' => char::from(byte).to_string(),
        _ => format!("\\{byte:03o}"),
    };
    Ok(format!("\"{}\"", name.bytes().map(byte).collect::<String>()))
}

/// A number of single precision, exactly.
fn single(x: f32) -> String {
    let suffix = if x.is_finite() { "f" } else { "" };
    format!("{}{suffix}", hexadecimal(u64::from(x.to_bits()), 23, 8))
}

/// A number of double precision, exactly.
fn double(x: f64) -> String {
    hexadecimal(x.to_bits(), 52, 11)
}

/// A number of IEEE 754 as C writes it in hexadecimal.
fn hexadecimal(bits: u64, mantissa: u32, exponent: u32) -> String {
    let bias = (1 << (exponent - 1)) - 1;
    let sign = if bits >> (mantissa + exponent) == 1 { "-" } else { "" };
    let power = (bits >> mantissa) as i64 & ((1 << exponent) - 1);
    // In whole digits of four bits.
    let digits = mantissa.div_ceil(4);
    let fraction = (bits & ((1 << mantissa) - 1)) << (4 * digits - mantissa);
    let fraction = format!("{fraction:0width$x}", width = digits as usize);
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    match power {
        0 if fraction.is_empty() => format!("{sign}0x0p+0"),
        0 => format!("{sign}0x0{point}{fraction}p{:+}", 1 - bias),
        _ if power > 2 * bias => {
            if fraction.is_empty() {
                format!("{sign}INFINITY")
            } else {
                "NAN".into()
            }
        }
        _ => format!("{sign}0x1{point}{fraction}p{:+}", power - bias),
    }
}

#[derive(Default)]
struct Writer {
    tables: String,
    body: String,
    bytes: usize,
}

impl Writer {
    fn table(&mut self, of: &str, name: &str, numbers: Vec<String>) {
        let numbers = if numbers.is_empty() { vec!["0".into()] } else { numbers };
        let count = numbers.len();
        let _ = writeln!(self.tables, "static const {of} NAME_{name}[{count}] = {};\n", list(['{', '}'], numbers, ""));
    }

    fn singles<'a>(&mut self, name: &str, numbers: impl IntoIterator<Item = &'a f32>) {
        let numbers: Vec<String> = numbers.into_iter().map(|&x| single(x)).collect();
        self.bytes += numbers.len() * size_of::<f32>();
        self.table("float", name, numbers);
    }

    fn doubles(&mut self, name: &str, numbers: impl IntoIterator<Item = f64>) {
        let numbers: Vec<String> = numbers.into_iter().map(double).collect();
        self.bytes += numbers.len() * size_of::<f64>();
        self.table("double", name, numbers);
    }

    fn line(&mut self, line: &str) {
        let _ = writeln!(self.body, "    {line}");
    }

    /// Node `i`, from 1.
    fn step(&mut self, steps: &Steps, step: &Step, i: usize) {
        let buffer = |buffer: usize| {
            if buffer == 0 { "input".into() } else { format!("scratch->value_{buffer}") }
        };
        let of: Vec<String> = step.inputs.iter().map(|&input| buffer(input)).collect();
        let (x, y) = (&of[0], buffer(step.output));
        let columns = step.node.columns;
        if super::is_in_place(&step.node.operation) && step.inputs[0] != step.output {
            self.line(&format!("NAME_copy({y}, {x}, {columns});"));
        }
        match &step.node.operation {
            Operation::Encode(features) => self.encode(&y, features, i),
            Operation::Divide(by) => self.line(&format!("NAME_divide({y}, {columns}, {});", single(*by))),
            Operation::Standardize { mean, deviation } => {
                self.doubles(&format!("mean_{i}"), mean.iter().copied());
                self.doubles(&format!("deviation_{i}"), deviation.iter().copied());
                self.line(&format!("NAME_standardize({y}, {columns}, NAME_mean_{i}, NAME_deviation_{i});"));
            }
            Operation::Affine { weight, bias } => {
                let inputs = weight.ncols();
                // Transposed: all outputs of an input lie side by side.
                self.singles(&format!("weight_{i}"), weight.t().iter());
                self.singles(&format!("bias_{i}"), bias);
                self.line(&format!("NAME_affine({x}, {inputs}, NAME_weight_{i}, NAME_bias_{i}, {columns}, {y});"));
            }
            Operation::Subtract(by) => self.by("subtract", &y, by, i),
            Operation::Multiply(by) => self.by("multiply", &y, by, i),
            Operation::Shift(by) => self.by("add", &y, by, i),
            Operation::Normalize { epsilon } => {
                self.line(&format!("NAME_normalize({y}, {columns}, {});", single(*epsilon)));
            }
            Operation::Activation(Activation::Identity) => {}
            Operation::Activation(Activation::Softmax { epsilon }) => {
                let [share, floor] = [1.0 - epsilon, epsilon / columns as f64].map(|x| single(x as f32));
                self.line(&format!("NAME_softmax({y}, {columns}, {share}, {floor});"));
            }
            Operation::Activation(activation) => self.each(&y, columns, &activation.name().replace('-', "_")),
            Operation::Exp => self.each(&y, columns, "exp"),
            Operation::Blend(share) => {
                self.singles(&format!("share_{i}"), share);
                self.line(&format!("NAME_blend({y}, {columns}, {}, NAME_share_{i});", of[1]));
            }
            Operation::Add => self.line(&format!("NAME_add({y}, {columns}, {});", of[1])),
            Operation::Mean => {
                of[1..].iter().for_each(|x| self.line(&format!("NAME_add({y}, {columns}, {x});")));
                let share = single((1.0 / of.len() as f64) as f32);
                self.line(&format!("NAME_scale({y}, {columns}, {share});"));
            }
            Operation::Slice(range) => self.line(&format!("NAME_copy({y}, {x} + {}, {columns});", range.start)),
            Operation::Concat => {
                let mut start = 0;
                for (x, &buffer) in of.iter().zip(&step.inputs) {
                    let columns = steps.buffers[buffer];
                    self.line(&format!("NAME_copy({y} + {start}, {x}, {columns});"));
                    start += columns;
                }
            }
            Operation::Lookup { column, table } => {
                self.singles(&format!("table_{i}"), table);
                let rows = table.nrows();
                self.line(&format!("NAME_lookup({x}[{column}], NAME_table_{i}, {rows}, {columns}, {y});"));
            }
            Operation::Periodic { frequencies, phases, weights, biases } => {
                self.singles(&format!("frequencies_{i}"), frequencies);
                self.singles(&format!("phases_{i}"), phases);
                self.singles(&format!("weights_{i}"), weights);
                self.singles(&format!("biases_{i}"), biases);
                let (numbers, waves) = frequencies.dim();
                let outputs = biases.ncols();
                self.line(&format!("NAME_periodic({x}, {numbers}, NAME_frequencies_{i}, NAME_phases_{i}, {waves},"));
                self.line(&format!("              NAME_weights_{i}, NAME_biases_{i}, {outputs}, {y});"));
            }
            Operation::Rescale { factor, shift } => {
                self.doubles(&format!("factor_{i}"), factor.iter().copied());
                self.doubles(&format!("shift_{i}"), shift.iter().copied());
                self.line(&format!("NAME_rescale({y}, {columns}, NAME_factor_{i}, NAME_shift_{i});"));
            }
            Operation::Clamp { low, high } => {
                self.singles(&format!("low_{i}"), low);
                self.singles(&format!("high_{i}"), high);
                self.line(&format!("NAME_clamp({y}, {columns}, NAME_low_{i}, NAME_high_{i});"));
            }
        }
    }

    fn by(&mut self, function: &str, y: &str, by: &[f32], i: usize) {
        self.singles(&format!("by_{i}"), by);
        self.line(&format!("NAME_{function}({y}, {}, NAME_by_{i});", by.len()));
    }

    fn each(&mut self, y: &str, columns: usize, function: &str) {
        self.line(&format!("for (size_t i = 0; i < {columns}; i++) {y}[i] = NAME_{function}({y}[i]);"));
    }

    fn encode(&mut self, y: &str, features: &[Feature], i: usize) {
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
                    self.doubles(&format!("knots_{i}_{place}"), knots.iter().copied());
                    format!("quantile({x}, NAME_knots_{i}_{place})")
                }
                Formula::Sine(cycle) => format!("sine({x}, {})", double(cycle.seconds())),
                Formula::Cosine(cycle) => format!("cosine({x}, {})", double(cycle.seconds())),
                Formula::IsMissing => format!("is_missing({x})"),
                Formula::Sign => format!("sign({x})"),
                Formula::IsCode(code) => format!("is_code({x}, {code}.0)"),
                Formula::Code { count, missing } => format!("place({x}, {count}.0, {})", single(*missing)),
            };
            self.line(&format!("{y}[{place}] = NAME_{value};"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact() {
        for (x, expected) in [
            (0.0, "0x0p+0"),
            (-0.0, "-0x0p+0"),
            (1.0, "0x1p+0"),
            (-0.1, "-0x1.999999999999ap-4"),
            (f64::MAX, "0x1.fffffffffffffp+1023"),
            (f64::MIN_POSITIVE, "0x1p-1022"),
            (5e-324, "0x0.0000000000001p-1022"),
            (f64::NEG_INFINITY, "-INFINITY"),
            (f64::NAN, "NAN"),
        ] {
            assert_eq!(double(x), expected);
        }
        for (x, expected) in [
            (0.1f32, "0x1.99999ap-4f"),
            (f32::MAX, "0x1.fffffep+127f"),
            (1e-45, "0x0.000002p-126f"),
            (-3.0, "-0x1.8p+1f"),
            (f32::INFINITY, "INFINITY"),
        ] {
            assert_eq!(single(x), expected);
        }
    }

    #[test]
    fn names_are_identifiers() {
        for (name, expected) in [
            ("digits", "digits"),
            ("MNIST-v2.best", "mnist_v2_best"),
            ("__a", "a"),
            ("2nd", "model_2nd"),
            ("", "model_"),
            ("größe", "gr__e"),
            ("int", "int"),
        ] {
            assert_eq!(identifier(name), expected);
        }
    }

    #[test]
    fn strings_are_escaped() {
        assert_eq!(string("a\"b\\c??/\n*/ü1").unwrap(), r#""a\"b\\c\?\?/\012*/\303\2741""#);
        assert!(string("a\0b").is_err_and(|error| error.to_string().contains("null")));
        assert!(string(&"x".repeat(4096)).is_err() && string(&"x".repeat(4095)).is_ok());
    }
}
