//! Models as source code that computes their predictions: C and Rust.

mod c;
mod rust;

use ndarray::ArrayView2;
use schuss::{Error, Model, Real, Result};

use crate::{ColumnKind, Node, Operation, Output, Program, verify};

pub use self::c::to_c;
pub use self::rust::to_rust;

/// A model as source code, and what it takes in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The file.
    pub text: String,
    /// Of its constants: parameters and scalings, not names.
    pub constants: usize,
    /// Of the values between input and output, at most: what a prediction takes of the stack.
    pub scratch: usize,
}

/// The program of a model, which gives what the model does.
fn program<T: Real>(model: &Model<T>) -> Result<Program> {
    let program = Program::new(model)?;
    if program.nodes.is_empty() {
        return Err(Error::value("model", "a layer that computes something", "none"));
    }
    verify::check(model, &program, |rows: ArrayView2<f64>| {
        Ok(program.run(rows).map_err(|error| error.to_string())?.mapv(f64::from))
    })?;
    Ok(program)
}

/// A node whose values lie in buffers. That of value 0, buffer 0, is only read.
struct Step<'a> {
    node: &'a Node,
    /// That of each input.
    inputs: Vec<usize>,
    /// That of the result. Where it is that of the first input, the result takes its place.
    output: usize,
}

/// What is computed, and the number of columns of each buffer.
struct Steps<'a> {
    steps: Vec<Step<'a>>,
    buffers: Vec<usize>,
    /// That of the prediction.
    last: usize,
}

impl<'a> Steps<'a> {
    /// Results take the place of values that nothing later is made of.
    fn new(program: &'a Program) -> Self {
        // Of each value, the last node that is made of it.
        let mut last_use = vec![0; program.nodes.len() + 1];
        for (i, node) in program.nodes.iter().enumerate() {
            node.inputs.iter().for_each(|&value| last_use[value] = i);
        }
        let mut buffer_of = vec![0];
        let mut steps = Self { steps: Vec::new(), buffers: vec![program.inputs()], last: 0 };
        for (i, node) in program.nodes.iter().enumerate() {
            let inputs: Vec<usize> = node.inputs.iter().map(|&value| buffer_of[value]).collect();
            let is_free = is_in_place(&node.operation) && last_use[node.inputs[0]] == i && inputs[0] != 0;
            steps.last = if is_free { inputs[0] } else { steps.buffers.len() };
            if !is_free {
                steps.buffers.push(node.columns);
            }
            buffer_of.push(steps.last);
            steps.steps.push(Step { node, inputs, output: steps.last });
        }
        steps
    }

    /// Bytes of the buffers that are written.
    fn scratch(&self) -> usize {
        self.buffers[1..].iter().sum::<usize>() * size_of::<f32>()
    }
}

/// Whether a number of the result depends on x in its place alone, or is written when x has been read.
fn is_in_place(operation: &Operation) -> bool {
    !matches!(
        operation,
        Operation::Encode(_)
            | Operation::Affine { .. }
            | Operation::Slice(_)
            | Operation::Concat
            | Operation::Lookup { .. }
            | Operation::Periodic { .. }
    )
}

/// Those of the functions that `code` calls, and of those that they call, in their order. A function is a block between empty
/// lines with a line `before name(...`, and calls only earlier ones.
fn functions(all: &str, code: &str, before: &str) -> String {
    let mut needed: Vec<&str> = Vec::new();
    let blocks: Vec<&str> = all.split("\n\n").collect();
    for block in blocks.into_iter().rev() {
        let Some(signature) = block.lines().find(|line| line.starts_with(before)) else { continue };
        let name: &str = signature.split(['(', '<']).next().unwrap_or_default();
        let name = name.rsplit(' ').next().unwrap_or_default();
        if calls(code, name) || needed.iter().any(|block| calls(block, name)) {
            needed.push(block.trim_end());
        }
    }
    needed.reverse();
    needed.join("\n\n")
}

/// Whether a function is called, or handed to another one as its last argument, outside comments.
fn calls(code: &str, name: &str) -> bool {
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let is_comment = |line: &&str| line.trim_start().starts_with("//") || line.starts_with("/*");
    code.lines().filter(|line| !is_comment(line)).any(|line| {
        line.match_indices(name).any(|(at, _)| {
            let [before, after] = [&line[..at], &line[at + name.len()..]];
            !before.ends_with(is_of_word)
                && (after.starts_with('(') || before.ends_with(", ") && after.starts_with(')'))
        })
    })
}

/// Numbers in a list that begins at `indent`, in one line or in several.
fn list([open, close]: [char; 2], numbers: impl IntoIterator<Item = String>, indent: &str) -> String {
    const WIDTH: usize = 118;
    let mut lines = vec![String::new()];
    for number in numbers {
        let last = lines.len() - 1;
        if !lines[last].is_empty() && indent.len() + lines[last].len() + number.len() + 6 > WIDTH {
            lines.push(format!("{number},"));
        } else {
            let space = if lines[last].is_empty() { "" } else { " " };
            lines[last] += &format!("{space}{number},");
        }
    }
    match &lines[..] {
        [line] if !line.contains('\n') => format!("{open}{}{close}", line.trim_end_matches(',')),
        _ => {
            let lines: String = lines.iter().map(|line| format!("{indent}    {line}\n")).collect();
            format!("{open}\n{lines}{indent}{close}")
        }
    }
}

/// What an example is.
fn what_is_of(shape: &[usize]) -> String {
    let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
    format!("an example as it is stored, {} numbers", sizes.join(" x "))
}

/// What a row of a table is.
const ROW: &str = "a row of a table, NaN where a value is missing";

/// What the numbers of a column are, to stand beside its name.
fn what_is_in(kind: &ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Number => "a number",
        ColumnKind::Time => "seconds since 1970-01-01 UTC",
        ColumnKind::Category(_) => "the code of a category",
    }
}

/// What a prediction is.
fn what_comes_out(output: &Output) -> &'static str {
    match output {
        Output::Classes { are_probabilities: true, .. } => "the probability of each class",
        Output::Classes { .. } => "a number for each class",
        Output::Labels => "the probability of each label",
        Output::Numbers => "numbers in the unit of the targets",
    }
}
