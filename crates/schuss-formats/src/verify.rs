//! Whether what was made of a model gives what the model predicts.

use ndarray::{Array2, ArrayView1, ArrayView2};
use schuss::{Encoding, Error, Features, Model, Real, Result, Threads, Values};

use crate::{Output, Program};

/// Rows that are compared.
const ROWS: usize = 32;
/// How far off what was written may be: rounding stays far below, a wrong operator far above.
const MOST: f64 = 1e-3;

/// What the model predicts for rows of its [`Program`]'s input.
///
/// # Errors
/// See [`Model::predict`] and [`schuss::Schema::encode`].
pub fn predictions<T: Real>(model: &Model<T>, rows: ArrayView2<f64>) -> Result<Array2<f64>> {
    let Some(schema) = &model.schema else {
        let features = rows.mapv(|x| x as f32);
        return model.predict(Features::F32(features.view()), &Threads::ONE);
    };
    if rows.ncols() != schema.columns.len() {
        let (expected, got) = (schema.columns.len(), rows.ncols());
        return Err(Error::Shape { what: "columns of the table", expected, got });
    }
    let columns: Vec<Vec<f64>> = rows.columns().into_iter().map(|column| column.to_vec()).collect();
    // A number that is no place is a category that is unknown.
    let place = |x: f64| if x == f64::from(x as u32) { x as u32 } else { u32::MAX };
    let code = |x: &f64| if x.is_nan() { None } else { Some(place(*x)) };
    let codes: Vec<Vec<Option<u32>>> = columns.iter().map(|column| column.iter().map(code).collect()).collect();
    let values: Vec<Values> = (schema.columns.iter().zip(&columns).zip(&codes))
        .map(|((column, numbers), codes)| match &column.encoding {
            Encoding::Number(_) | Encoding::Skewed(_) => Values::Numbers(numbers),
            Encoding::Time { .. } => Values::Times(numbers),
            Encoding::Binary { names } | Encoding::OneHot { names } | Encoding::Code { names } => {
                Values::Categories { codes, names }
            }
        })
        .collect();
    let encoded = schema.encode::<f32>(&values)?;
    model.predict(Features::F32(encoded.view()), &Threads::ONE)
}

/// How far two predictions of the same rows are apart: the largest difference, relative to the largest magnitude of all that is
/// expected; of numbers to predict, whose columns may have units of their own, to the largest in their row or column. A single
/// one may be near 0 by chance, as a sum of much larger terms with their rounding.
pub fn difference(program: &Program, expected: ArrayView2<f64>, got: ArrayView2<f64>) -> f64 {
    let size = |lane: ArrayView1<f64>| lane.iter().fold(f64::MIN_POSITIVE, |most, x| largest(most, x.abs()));
    let of_rows: Vec<f64> = expected.rows().into_iter().map(size).collect();
    let of_columns: Vec<f64> = expected.columns().into_iter().map(size).collect();
    let of_all = of_rows.iter().copied().fold(f64::MIN_POSITIVE, largest);
    let mut most = 0.0;
    for (((row, column), &x), &y) in expected.indexed_iter().zip(got) {
        let size = if program.output == Output::Numbers { largest(of_rows[row], of_columns[column]) } else { of_all };
        let is_same = x == y || x.is_nan() && y.is_nan();
        most = largest(most, if is_same { 0.0 } else { (x - y).abs() / size });
    }
    most
}

/// The larger one; NaN where one of them is.
fn largest(x: f64, y: f64) -> f64 {
    if x >= y || x.is_nan() { x } else { y }
}

/// Fails unless what `written` gives for some random rows is what the model predicts for them.
pub(crate) fn check<T: Real>(
    model: &Model<T>,
    program: &Program,
    written: impl FnOnce(ArrayView2<f64>) -> std::result::Result<Array2<f64>, String>,
) -> Result<()> {
    let rows = program.samples(ROWS, 0);
    // As large as what was written can say.
    let expected = predictions(model, rows.view())?.mapv(|x| f64::from(x as f32));
    let what = "what was written";
    let got = written(rows.view()).map_err(|problem| Error::value(what, "a file that can be read", problem))?;
    if got.dim() != expected.dim() {
        return Err(Error::value(what, format!("predictions {:?}", expected.dim()), format!("{:?}", got.dim())));
    }
    let off = difference(program, expected.view(), got.view());
    if off > MOST || off.is_nan() {
        let expected = "the predictions of the model; please report this, with the model";
        return Err(Error::value(what, expected, format!("predictions that differ by {off:.1e}, relative")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use schuss::{Activation, Init, Loss, Network, Task};

    use super::*;

    #[test]
    fn a_difference_is_relative_to_the_largest() {
        let [expected, got] = [array![[8.0, -200.0], [4.0, 2.0]], array![[8.0, -200.0], [5.0, 2.5]]];
        let task = |task, loss| {
            let network = Network::<f32>::new(&[3, 2], Activation::Tanh, Activation::Identity).unwrap();
            difference(&Program::new(&Model::new(network, loss, task)).unwrap(), expected.view(), got.view())
        };
        assert_eq!(task(Task::Regression, Loss::Mse), 1.0 / 8.0);
        assert_eq!(task(Task::Classification { classes: 2 }, Loss::Mse), 1.0 / 200.0);
    }

    #[test]
    fn what_predicts_something_else_is_refused() {
        let mut network = Network::<f32>::new(&[3, 4, 2], Activation::Tanh, Activation::Identity).unwrap();
        Init::Glorot.draw(&mut network, 0);
        let model = Model::new(network, Loss::Mse, Task::Regression);
        let program = Program::new(&model).unwrap();
        let run = |factor: f64| {
            check(&model, &program, |rows| Ok(program.run(rows).unwrap().mapv(|x| factor * f64::from(x))))
        };
        assert!(run(1.0).is_ok());
        for factor in [1.01, 0.0, f64::NAN, f64::INFINITY] {
            let problem = run(factor).unwrap_err().to_string();
            assert!(problem.contains("differ"), "{problem}");
        }
        let transposed = check(&model, &program, |rows| Ok(Array2::zeros((2, rows.nrows()))));
        assert!(transposed.is_err());
        assert!(check(&model, &program, |_| Err("damaged".into())).is_err());
    }
}
