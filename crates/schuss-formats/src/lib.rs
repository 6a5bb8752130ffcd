//! Models of schuss in other formats, and models of others in that of schuss.
//!
//! [`to_onnx`], [`to_torch`], [`to_npz`], [`to_c`] and [`to_rust`] write; [`Foreign::read`] reads. What an exporter writes is the same
//! [`Program`]: a model as a short list of plain operations, from a stored example to a prediction.
#![forbid(unsafe_code)]

mod foreign;
mod layers;
mod npz;
mod onnx;
mod program;
mod samples;
mod source;
mod torch;
mod verify;

pub use foreign::{Foreign, Unsaid};
pub use layers::Layers;
pub use npz::to_npz;
pub use onnx::{OPSET, read_onnx, run_onnx, to_onnx};
pub use program::{Column, ColumnKind, Feature, Formula, Input, Node, Operation, Output, Program};
pub use source::{Source, to_c, to_rust};
pub use torch::{read_torch, to_torch};
pub use verify::{difference, predictions};
