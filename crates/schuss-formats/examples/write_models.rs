//! Writes a model of every architecture as ONNX, with rows and what the model predicts for them, into a folder:
//! `cargo run -p schuss-formats --example write_models -- FOLDER [SEED]`. `tests/check_onnx.py` has other programs run them.

#[path = "../tests/common/mod.rs"]
mod common;

use std::path::PathBuf;

use ndarray::Array2;
use safetensors::tensor::{Dtype, TensorView};
use schuss_formats::{Program, predictions, to_onnx};

const ROWS: usize = 50;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("expected a folder")?);
    let seed = arguments.next().map_or(Ok(0), |seed| seed.parse())?;
    std::fs::create_dir_all(&folder)?;
    for (i, (name, model)) in common::models(seed).into_iter().enumerate() {
        let program = Program::new(&model)?;
        let rows = program.samples(ROWS, seed);
        let expected = predictions(&model, rows.view())?;
        std::fs::write(folder.join(format!("{i:02}.onnx")), to_onnx(&model)?)?;
        let le_bytes = |matrix: &Array2<f64>| matrix.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
        let contents =
            [("rows", &rows), ("expected", &expected)].map(|(part, matrix)| (part, matrix.dim(), le_bytes(matrix)));
        let tensors = contents.iter().map(|(part, (rows, columns), bytes)| {
            (*part, TensorView::new(Dtype::F64, vec![*rows, *columns], bytes).expect("a matrix has its shape"))
        });
        // Numbers to predict are compared by the unit that they have.
        let is_regression = model.task == schuss::Task::Regression;
        let metadata = [("name".to_string(), name), ("regression".to_string(), is_regression.to_string())];
        let bytes = safetensors::serialize(tensors, Some(metadata.into_iter().collect()))?;
        std::fs::write(folder.join(format!("{i:02}.safetensors")), bytes)?;
    }
    Ok(())
}
