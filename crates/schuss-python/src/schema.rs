//! What a table's columns are, and how their values become inputs.

use numpy::{IntoPyArray, PyArray2, PyReadonlyArray1};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use schuss::{Encoder, Encoding, Error, NumberScale, Values};

use crate::failure::Result;

/// A fitted schema.
#[pyclass(frozen, module = "schuss._schuss")]
pub struct Schema {
    pub inner: schuss::Schema,
}

/// A column's values: places in the names of its categories, -1 where one is missing; numbers, or seconds since 1970, NaN
/// where one is missing.
#[derive(FromPyObject)]
pub enum Cells<'py> {
    Codes(PyReadonlyArray1<'py, i64>, Vec<String>),
    Numbers(PyReadonlyArray1<'py, f64>, bool),
}

/// Its name and its cells.
type Column<'py> = (String, Cells<'py>);

/// Codes as the core has them, for as long as [`values`] are lent.
fn codes(columns: &[Column]) -> Vec<Vec<Option<u32>>> {
    let of_column = |(_, cells): &Column| match cells {
        Cells::Codes(codes, _) => codes.as_array().iter().map(|&code| u32::try_from(code).ok()).collect(),
        Cells::Numbers(..) => Vec::new(),
    };
    columns.iter().map(of_column).collect()
}

fn values<'v>(columns: &'v [Column], codes: &'v [Vec<Option<u32>>]) -> Result<Vec<Values<'v>>> {
    let of_column = |((_, cells), codes): (&'v Column, &'v Vec<Option<u32>>)| {
        Ok(match cells {
            Cells::Codes(_, names) => Values::Categories { codes, names },
            Cells::Numbers(numbers, true) => Values::Times(numbers.as_slice().map_err(PyErr::from)?),
            Cells::Numbers(numbers, false) => Values::Numbers(numbers.as_slice().map_err(PyErr::from)?),
        })
    };
    columns.iter().zip(codes).map(of_column).collect()
}

#[pymethods]
impl Schema {
    /// Numbers are standardised, a column stands for each category.
    #[staticmethod]
    fn fit(columns: Vec<Column>, most_categories: usize) -> Result<Self> {
        let codes = codes(&columns);
        let named = columns.iter().map(|(name, _)| name.as_str()).zip(values(&columns, &codes)?);
        let encoder = Encoder { scale: NumberScale::Standard, most_one_hot: most_categories };
        let inner = schuss::Schema { target: "target".into(), ..schuss::Schema::fit(named, &encoder) };
        if let Some(column) = inner.columns.iter().find(|column| matches!(column.encoding, Encoding::Code { .. })) {
            let count = column.category_names().map_or(0, <[String]>::len);
            let what = format!("categories of column {:?}", column.name);
            return Err(
                Error::value(what, format!("{most_categories} at most, or none of them in the table"), count).into()
            );
        }
        Ok(Self { inner })
    }

    #[staticmethod]
    fn from_json(text: &str) -> PyResult<Self> {
        let inner = serde_json::from_str(text).map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(Self { inner })
    }

    fn to_json(&self) -> PyResult<String> {
        serde_json::to_string(&self.inner).map_err(|error| PyValueError::new_err(error.to_string()))
    }

    /// For pickle.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        Ok((slf.get_type().getattr("from_json")?, (slf.get().to_json()?,)))
    }

    /// The columns that are needed, whether they are times, and the names of the categories of those that have some.
    fn columns(&self) -> Vec<(String, bool, Option<Vec<String>>)> {
        let of_column = |column: &schuss::Column| {
            let is_time = matches!(column.encoding, Encoding::Time { .. });
            (column.name.clone(), is_time, column.category_names().map(<[String]>::to_vec))
        };
        self.inner.columns.iter().map(of_column).collect()
    }

    /// The inputs, (rows, inputs), of these columns.
    fn encode<'py>(&self, py: Python<'py>, columns: Vec<Column>) -> Result<Bound<'py, PyArray2<f64>>> {
        Ok(self.inner.encode::<f64>(&values(&columns, &codes(&columns))?)?.into_pyarray(py))
    }
}
