//! Checks that tract gives what models predict, of ONNX files with rows and predictions beside them:
//! `cargo run -p schuss-formats --example write_models -- FOLDER`, then, here, `cargo run -- FOLDER [TOLERANCE]`.
//!
//! Differences are relative to the largest magnitude of all; of numbers to predict, in their row or
//! column, as `schuss_formats::difference` has it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use safetensors::SafeTensors;
use tract_onnx::prelude::tract_ndarray::{Array2, ArrayView1, ArrayView2, Axis, Ix2};
use tract_onnx::prelude::*;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("expected a folder")?);
    let tolerance: f64 = arguments.next().map_or(Ok(1e-6), |tolerance| tolerance.parse())?;
    let entries = std::fs::read_dir(&folder).map_err(|problem| format!("{}: {problem}", folder.display()))?;
    let entries = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    let mut paths: Vec<_> = entries.into_iter().filter(|path| path.extension() == Some("onnx".as_ref())).collect();
    paths.sort();
    let (mut most, mut problems) = ((-1.0, String::new()), Vec::new());
    for path in &paths {
        let (name, off) = check(path).map_err(|problem| format!("{}: {problem}", path.display()))?;
        if off > tolerance || off.is_nan() {
            problems.push(format!("{} ({name}): {off:.2e} off, relative", path.display()));
        }
        if off > most.0 {
            most = (off, name);
        }
    }
    if paths.is_empty() {
        return Err(format!("{}: no ONNX files", folder.display()).into());
    }
    if !problems.is_empty() {
        return Err(problems.join("\n").into());
    }
    println!("{} models, tract: at most {:.1e} off, relative ({})", paths.len(), most.0, most.1);
    Ok(())
}

/// The model's name, and how far off the predictions are.
fn check(path: &Path) -> Outcome<(String, f64)> {
    let bytes = std::fs::read(path.with_extension("safetensors"))?;
    let tensors = SafeTensors::deserialize(&bytes)?;
    let metadata = SafeTensors::read_metadata(&bytes)?.1.metadata().clone().unwrap_or_default();
    let rows = matrix(&tensors, "rows")?;
    let expected = matrix(&tensors, "expected")?;
    let model = tract_onnx::onnx().model_for_path(path)?.into_optimized()?;
    let kind = model.input_fact(0)?.datum_type;
    let model = model.into_runnable()?;
    let run = |rows: ArrayView2<f64>| -> TractResult<_> {
        let rows: Tensor = rows.to_owned().into();
        model.run(tvec!(rows.cast_to_dt(kind)?.into_owned().into()))
    };
    let outputs = run(rows.view())?;
    let got = outputs[0].to_plain_array_view::<f32>()?.mapv(f64::from).into_dimensionality::<Ix2>()?;
    if got.dim() != expected.dim() {
        return Err(format!("{:?} numbers, expected {:?}", got.dim(), expected.dim()).into());
    }
    // A row alone has a batch of its own.
    run(rows.slice_axis(Axis(0), (0..1).into()))?;
    if let Some(label) = outputs.get(1) {
        let label = label.to_plain_array_view::<i64>()?;
        let largest =
            |row: ArrayView1<f64>| (0..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best });
        if !got.rows().into_iter().map(largest).eq(label.iter().map(|&class| class as usize)) {
            return Err("labels that are not the places of the largest numbers".into());
        }
    }
    let is_regression = metadata.get("regression").is_some_and(|is_so| is_so == "true");
    Ok((metadata.get("name").cloned().unwrap_or_default(), difference(&expected, &got, is_regression)))
}

fn matrix(tensors: &SafeTensors, name: &str) -> Outcome<Array2<f64>> {
    let tensor = tensors.tensor(name)?;
    let [rows, columns] = *tensor.shape() else { return Err(format!("{name}: {:?}", tensor.shape()).into()) };
    let numbers = tensor.data().as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes));
    Ok(Array2::from_shape_vec((rows, columns), numbers.collect())?)
}

/// The largest difference, relative; NaN where there is one.
fn difference(expected: &Array2<f64>, got: &Array2<f64>, is_regression: bool) -> f64 {
    let size = |lane: ArrayView1<f64>| lane.iter().fold(f64::MIN_POSITIVE, |most, x| most.max(x.abs()));
    let of_rows: Vec<f64> = expected.rows().into_iter().map(size).collect();
    let of_columns: Vec<f64> = expected.columns().into_iter().map(size).collect();
    let of_all = of_rows.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let mut most = 0.0;
    for (((row, column), x), y) in expected.indexed_iter().zip(got) {
        let off = (x - y).abs() / if is_regression { of_rows[row].max(of_columns[column]) } else { of_all };
        most = if off > most || off.is_nan() { off } else { most };
    }
    most
}
