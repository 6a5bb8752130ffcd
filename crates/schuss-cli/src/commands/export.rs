//! `schuss export`: a model in another format.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use schuss::{Model, ModelFile, Precision, Real};
use schuss_formats::Source;

use super::{check_output, read_model, with_precision};
use crate::events::say;
use crate::failure::Result;

#[derive(Args, Debug)]
pub struct Arguments {
    /// A model file, or a run folder
    model: PathBuf,
    /// The format
    #[arg(long, value_name = "FORMAT")]
    to: Format,
    /// The file
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// What a model can be written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// All of the model, from a stored example to a prediction, in single precision; read by onnxruntime and many more
    Onnx,
    /// The weights as PyTorch's nn.Sequential of Linear layers has them, in safetensors
    Torch,
    /// The weights as NumPy reads them
    Npz,
    /// All of the model as one header of C99 without dependencies, named after the file
    C,
    /// All of the model as one module of Rust for no_std, without dependencies
    Rust,
}

pub fn run(arguments: Arguments) -> Result<()> {
    check_output(&arguments.output)?;
    let file = read_model(&arguments.model)?;
    let (bytes, said) = with_precision!(file.precision, written(&file, &arguments))?;
    schuss::write_atomically(&arguments.output, &bytes)?;
    say!("{}: {said}, a file of {} bytes", arguments.output.display(), bytes.len());
    Ok(())
}

/// The content of the file, and what it is.
fn written<T: Real>(file: &ModelFile, Arguments { output, to, .. }: &Arguments) -> Result<(Vec<u8>, String)> {
    let model: Model<T> = file.model();
    let rounded = if file.precision == Precision::F64 { ", rounded to single precision" } else { "" };
    let source = |language: &str, Source { text, constants, scratch }: Source| {
        let takes = format!("{constants} bytes of constants, {scratch} bytes of stack");
        (text.into_bytes(), format!("{language}{rounded}: {takes}"))
    };
    Ok(match to {
        Format::Onnx => (schuss_formats::to_onnx(&model)?, format!("ONNX of opset {}{rounded}", schuss_formats::OPSET)),
        Format::C => {
            let name = output.file_stem().unwrap_or_default().to_string_lossy();
            source("C", schuss_formats::to_c(&model, &name)?)
        }
        Format::Rust => source("Rust", schuss_formats::to_rust(&model)?),
        Format::Torch => (schuss_formats::to_torch(&model)?, "weights for PyTorch".into()),
        Format::Npz => (schuss_formats::to_npz(&model), "weights for NumPy".into()),
    })
}
