//! `schuss inspect`: what is in a model file.

use std::path::PathBuf;

use clap::Args;
use schuss::{Encoding, Layer, ModelFile, NormKind, NumberScaling, Precision, Real, Scaling, Schema, Task};
use serde_json::json;

use super::{read_model, with_precision};
use crate::events;
use crate::events::say;
use crate::failure::Result;

#[derive(Args, Debug)]
pub struct Arguments {
    /// A model file, or a run folder
    model: PathBuf,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: Arguments) -> Result<()> {
    let file = read_model(&arguments.model)?;
    let sha256 = with_precision!(file.precision, sha256(&file));
    let precision = match file.precision {
        Precision::F32 => "f32",
        Precision::F64 => "f64",
    };
    let model = file.model::<f64>();
    let network = &model.network;
    if arguments.json {
        events::print(&json!({
            "sizes": network.sizes(),
            "parameters": network.parameters().len(),
            "precision": precision,
            "activation": network.hidden_activation().name(),
            "layers": network.layers(),
            "final": network.last_activation().name(),
            "softmax_epsilon": network.last_activation().epsilon(),
            "loss": model.loss.to_string(),
            "task": model.task,
            "scaling": model.scaling,
            "target_scaling": model.target_scaling,
            "example_shape": model.example_shape,
            "class_names": model.class_names,
            "members": model.members(),
            "schema": model.schema,
            "validation_rows": model.conformal.as_ref().map(schuss::Conformal::rows),
            "has_metadata": file.has_metadata,
            "weights_sha256": sha256,
        }));
        return Ok(());
    }
    if !file.has_metadata {
        say!("plain weights, without schuss's metadata: activations, loss and task are assumed");
    }
    let task = match model.task {
        Task::Classification { classes } => format!("classification, {classes} classes"),
        Task::MultiLabel { labels } => format!("multi-label, {labels} labels"),
        Task::Regression => format!("regression, {} outputs", network.outputs()),
    };
    say!("task            {task}");
    say!("layer           shape (outputs, inputs)  activation");
    let [mut dense, mut norms] = [0, 0];
    for layer in network.layers() {
        let features = layer.outputs();
        match layer {
            Layer::Dense(layer) => {
                let shape = format!("({}, {})", layer.outputs, layer.inputs);
                say!("layers.{dense:<8} {shape:<24} {}", layer.activation.name());
                dense += 1;
            }
            Layer::Norm(norm) => {
                let kind = if norm.kind == NormKind::Batch { "batch norm" } else { "layer norm" };
                say!("norms.{norms:<9} {:<24} {}", format!("{kind} ({features},)"), norm.activation.name());
                norms += 1;
            }
            Layer::Dropout(dropout) => {
                say!("dropout         {:<24} in training", format!("{} of {features}", dropout.rate))
            }
            Layer::Residual(residual) => say!("residual        adds the output of row {}", residual.from + 1),
            Layer::Fork(fork) => say!(
                "forks.0         {:<24} {} networks share the next layers",
                format!("({}, {features})", fork.members),
                fork.members
            ),
            Layer::Heads(heads) => {
                let shape = format!("{} of ({features}, {})", heads.members, heads.dense.inputs);
                say!("heads           {shape:<24} {}", heads.dense.activation.name());
            }
            _ => say!("{layer:?}"),
        }
    }
    say!("parameters      {} in {precision}", network.parameters().len());
    say!("loss            {}", model.loss);
    say!("softmax epsilon {:e}", network.last_activation().epsilon());
    say!("scaling         {}", describe(&model.scaling));
    if model.task == Task::Regression {
        say!("target scaling  {}", describe(&model.target_scaling));
    }
    say!("example shape   {:?}", model.example_shape);
    if model.networks().len() > 1 {
        say!("ensemble        {} such networks, whose predictions are averaged", model.networks().len());
    }
    model.schema.iter().for_each(say_schema);
    say!("weights_sha256  {sha256}");
    Ok(())
}

/// The columns of a table, and what becomes of them.
fn say_schema(schema: &Schema) {
    say!("target          {}", schema.target);
    say!("trained on      {}", schema.fingerprint);
    schema.weight.iter().for_each(|weight| say!("weight          {weight}"));
    if !schema.missing.is_empty() {
        say!("missing         {}", schema.missing.join(", "));
    }
    say!("column          becomes");
    for column in &schema.columns {
        let categories = |names: &[String]| {
            let shown: Vec<_> = names.iter().take(6).cloned().collect();
            let more = names.len().saturating_sub(shown.len());
            shown.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
        };
        let becomes = match &column.encoding {
            Encoding::Number(scaling) => describe_number(scaling),
            Encoding::Skewed(scalings) => scalings.each_ref().map(describe_number).join(", and "),
            Encoding::Binary { names } => format!("-1 or 1: {}", categories(names)),
            Encoding::OneHot { names } => format!("{} columns of 0 and 1: {}", names.len(), categories(names)),
            Encoding::Code { names } => format!("a learnt row for each of {}: {}", names.len(), categories(names)),
            Encoding::Time { scaling, cycles } => {
                format!("{}, sine and cosine of {} cycles", describe_number(scaling), cycles.len())
            }
        };
        let missing = if column.marks_missing { "; missing values are marked" } else { "" };
        say!("{:<15} {becomes}{missing}", column.name);
    }
}

fn describe_number(scaling: &NumberScaling) -> String {
    match scaling {
        NumberScaling::None => "itself".into(),
        NumberScaling::Divide(divisor) => format!("x / {divisor}"),
        NumberScaling::Standard { mean, deviation } => format!("(x - {mean}) / {deviation}"),
        NumberScaling::Robust { median, factor } => format!("(x - {median}) * {factor}, clipped smoothly at 3"),
        NumberScaling::Quantile { .. } => "the normal quantile of its rank".into(),
    }
}

fn describe(scaling: &Scaling) -> String {
    match scaling {
        Scaling::None => "none: values as stored".into(),
        Scaling::Divide(divisor) => format!("x / {divisor}"),
        Scaling::Standard { mean, .. } => format!("(x - mean) / deviation, of {} columns", mean.len()),
    }
}

fn sha256<T: Real>(file: &ModelFile) -> String {
    file.model::<T>().weights_sha256()
}
