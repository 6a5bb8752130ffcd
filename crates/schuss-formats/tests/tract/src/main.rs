//! Runs ONNX files in tract, and compares with what the models predict:
//! `cargo run -p schuss-formats --example write_models -- FOLDER`, then
//! `cargo run --manifest-path crates/schuss-formats/tests/tract/Cargo.toml -- FOLDER`.
#![forbid(unsafe_code)]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use tract_onnx::prelude::*;

const TOLERANCE: f64 = 1e-6;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("expected a folder")?);
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|end| end == "onnx"));
    paths.sort();
    let mut worst = (0.0, String::new());
    for path in &paths {
        let (off, name) = check(path).map_err(|error| format!("{}: {error}", path.display()))?;
        if off > TOLERANCE || off.is_nan() {
            return Err(format!("{} ({name}): {off:.2e} off, relative", path.display()).into());
        }
        worst = if off > worst.0 { (off, name) } else { worst };
    }
    println!("{} models, tract: at most {:.1e} off, relative ({})", paths.len(), worst.0, worst.1);
    if paths.is_empty() { Err("no ONNX files".into()) } else { Ok(()) }
}

/// The largest difference, as `schuss_formats::difference` has it, and the name of the model.
fn check(path: &Path) -> Result<(f64, String), Box<dyn Error>> {
    let bytes = fs::read(path.with_extension("safetensors"))?;
    let (_, header) = SafeTensors::read_metadata(&bytes)?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let tensors = SafeTensors::deserialize(&bytes)?;
    let matrix = |name: &str| -> Result<(Vec<usize>, Vec<f64>), Box<dyn Error>> {
        let tensor = tensors.tensor(name)?;
        let numbers = tensor.data().as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes));
        Ok((tensor.shape().to_vec(), numbers.collect()))
    };
    let (shape, rows) = matrix("rows")?;
    let (expected_shape, expected) = matrix("expected")?;
    let model = tract_onnx::onnx().model_for_path(path)?;
    let is_double = model.input_fact(0)?.datum_type.concretize() == Some(f64::datum_type());
    let kind = if is_double { f64::datum_type() } else { f32::datum_type() };
    let model = model.with_input_fact(0, InferenceFact::dt_shape(kind, &shape[..]))?.into_optimized()?.into_runnable()?;
    let singles: Vec<f32> = rows.iter().map(|&x| x as f32).collect();
    let input = if is_double { Tensor::from_shape(&shape, &rows)? } else { Tensor::from_shape(&shape, &singles)? };
    let outputs = model.run(tvec!(input.into()))?;
    let got = outputs[0].to_plain_array_view::<f32>()?;
    if got.shape() != expected_shape {
        return Err(format!("{:?} numbers, expected {expected_shape:?}", got.shape()).into());
    }
    let is_regression = metadata.get("regression").is_some_and(|is_so| is_so == "true");
    let unit = (expected.iter().map(|x| x * x).sum::<f64>() / expected.len() as f64).sqrt();
    let unit = if is_regression { unit } else { 0.0 };
    let got: Vec<f32> = got.iter().copied().collect();
    let columns = expected_shape[1];
    let of_row = |(expected, got): (&[f64], &[f32])| {
        let size = expected.iter().fold(unit, |most, x| most.max(x.abs())).max(f64::MIN_POSITIVE);
        let off = expected.iter().zip(got).map(|(x, y)| (x - f64::from(*y)).abs() / size);
        off.fold(0.0, |most: f64, x| if x > most || x.is_nan() { x } else { most })
    };
    let off = expected.chunks(columns).zip(got.chunks(columns)).map(of_row);
    let off = off.fold(0.0, |most: f64, x| if x > most || x.is_nan() { x } else { most });
    Ok((off, metadata.get("name").cloned().unwrap_or_default()))
}
