//! `schuss import`: a model that others made.

use std::path::PathBuf;

use clap::Args;
use schuss::Activation;
use schuss_formats::{Foreign, Unsaid};

use super::check_output;
use crate::events::say;
use crate::failure::Result;
use crate::values::names;

#[derive(Args, Debug)]
pub struct Arguments {
    /// An ONNX file, or safetensors of a PyTorch nn.Sequential of Linear layers
    file: PathBuf,
    /// The function between the layers of PyTorch's weights, which do not say it [default: relu]
    #[arg(long, value_name = "NAME", value_parser = names(Activation::ALL.map(Activation::name)))]
    activation: Option<String>,
    /// The function at the end, where the file does not say it: softmax makes classes of logits, identity numbers
    /// [default: softmax for PyTorch's weights; what the file ends in for ONNX]
    #[arg(long = "final", value_name = "NAME", value_parser = names(Activation::ALL.map(Activation::name)))]
    last: Option<String>,
    /// The model file
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

pub fn run(arguments: Arguments) -> Result<()> {
    check_output(&arguments.output)?;
    // Probabilities as others have them are not smoothed.
    let function = |name: &Option<String>| {
        name.as_deref().map(|name| Ok::<_, schuss::Error>(Activation::from_name(name)?.with_epsilon(0.0))).transpose()
    };
    let unsaid = Unsaid { activation: function(&arguments.activation)?, last: function(&arguments.last)? };
    let foreign = Foreign::read(&arguments.file, unsaid)?;
    foreign.save(&arguments.output)?;
    foreign.notes.iter().for_each(|note| eprintln!("note: {note}"));
    let network = &foreign.model.network;
    let sizes: Vec<String> = network.sizes().iter().map(usize::to_string).collect();
    say!(
        "{}: {} parameters, {}, {}",
        arguments.output.display(),
        network.parameters().len(),
        sizes.join("-"),
        match foreign.model.task {
            schuss::Task::Classification { classes } => format!("{classes} classes"),
            schuss::Task::MultiLabel { labels } => format!("{labels} labels"),
            schuss::Task::Regression => format!("{} numbers", network.outputs()),
        }
    );
    Ok(())
}
