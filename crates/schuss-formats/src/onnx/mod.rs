//! ONNX in and out.

mod fuse;
mod messages;
mod read;
mod run;
mod write;

use std::collections::HashMap;

use ndarray::{Array2, ArrayView2, Ix2};
use prost::Message;
use schuss::{Model, Real, Result};

use self::messages::{GraphProto, ModelProto, data_type};
use self::run::Tensor;
use crate::{Foreign, Input, Program, verify};

pub use self::read::read_onnx;

/// The version of ONNX's operators that is written.
pub const OPSET: i64 = write::OPSET;

/// The model as an ONNX file, which is checked before it is given back: read again, it predicts what the model does.
///
/// It takes what the model's [`Program`] takes, and has one or two outputs: `probabilities` (or `scores`) and `label`, the
/// place of the largest, of classes, `probabilities` of labels, `predictions` of numbers. The size of a batch is free. The
/// names of columns, categories and classes are in its metadata, as JSON: `columns`, `classes`, `example_shape`.
///
/// # Errors
/// See [`Program::new`].
pub fn to_onnx<T: Real>(model: &Model<T>) -> Result<Vec<u8>> {
    let program = Program::new(model)?;
    let bytes = write::model(&program).encode_to_vec();
    verify::check(model, &program, |rows| {
        let kind = match program.input {
            Input::Features { .. } => data_type::FLOAT,
            Input::Table(_) => data_type::DOUBLE,
        };
        let (_, graph) = graph_of(&bytes)?;
        run_graph(&graph, rows, kind)
    })?;
    Ok(bytes)
}

/// What an ONNX file gives for each of these rows, in its first output, (rows, outputs); of operators that dense networks
/// are made of.
///
/// # Errors
/// A damaged file, another operator, another number of columns than it takes.
pub fn run_onnx(bytes: &[u8], rows: ArrayView2<f64>) -> std::result::Result<Array2<f64>, String> {
    let (_, graph) = graph_of(bytes)?;
    let kind = read::input_of(&graph)?.kind;
    run_graph(&graph, rows, kind)
}

fn run_graph(graph: &GraphProto, rows: ArrayView2<f64>, kind: i32) -> std::result::Result<Array2<f64>, String> {
    let name = graph.output.first().map(|output| output.name.clone()).ok_or("a graph without an output")?;
    let (mut values, problem) = run::run(graph, Tensor::new(kind, rows.to_owned().into_dyn()))?;
    output_of(&mut values, &name, problem)
}

fn output_of(
    values: &mut HashMap<String, Tensor>,
    name: &str,
    problem: Option<String>,
) -> std::result::Result<Array2<f64>, String> {
    let missing = || problem.unwrap_or_else(|| format!("nothing gives the output {name:?}"));
    let values = values.remove(name).ok_or_else(missing)?.values;
    let shape = values.shape().to_vec();
    let values = if let [_] = shape[..] { values.insert_axis(ndarray::Axis(1)) } else { values };
    values.into_dimensionality::<Ix2>().map_err(|_| format!("an output {name:?} of the shape {shape:?}"))
}

/// The graph of a file, and the versions of the operators that it uses.
fn graph_of(bytes: &[u8]) -> std::result::Result<(ModelProto, GraphProto), String> {
    let mut model = ModelProto::read(bytes)?;
    let graph = model.graph.take().ok_or("not an ONNX file: there is no graph in it")?;
    Ok((model, graph))
}

/// What [`read_onnx`] makes of a file.
type Read = std::result::Result<Foreign, String>;
