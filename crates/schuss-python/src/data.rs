//! Arrays of Python as the core takes them: borrowed, never copied.

use numpy::{PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use schuss::{Dataset, Features, Targets};

use crate::failure::Result;

/// Features, (rows, columns). The package sees to it that the arrays are aligned and in the machine's order of bytes.
#[derive(FromPyObject)]
pub enum Rows<'py> {
    F32(PyReadonlyArray2<'py, f32>),
    F64(PyReadonlyArray2<'py, f64>),
    U8(PyReadonlyArray2<'py, u8>),
}

impl Rows<'_> {
    pub fn features(&self) -> Features<'_> {
        match self {
            Self::F32(array) => Features::F32(array.as_array()),
            Self::F64(array) => Features::F64(array.as_array()),
            Self::U8(array) => Features::U8(array.as_array()),
        }
    }
}

/// Classes counted from 0, (rows,), or numbers, (rows, targets).
#[derive(FromPyObject)]
pub enum Goals<'py> {
    Labels(PyReadonlyArray1<'py, u32>),
    Values(PyReadonlyArray2<'py, f64>),
}

/// Examples, their targets, and what each counts.
#[derive(FromPyObject)]
pub struct Part<'py>(Rows<'py>, Goals<'py>, Option<PyReadonlyArray1<'py, f64>>);

impl Part<'_> {
    /// The data set for a model of so many classes.
    pub fn dataset(&self, classes: usize) -> Result<Dataset<'_>> {
        let Self(rows, goals, weights) = self;
        let targets = match goals {
            Goals::Labels(labels) => Targets::Classes { labels: labels.as_slice().map_err(PyErr::from)?, classes },
            Goals::Values(values) => Targets::Values(values.as_array()),
        };
        let dataset = Dataset::new(rows.features(), targets)?;
        match weights {
            Some(weights) => Ok(dataset.with_weights(weights.as_slice().map_err(PyErr::from)?)?),
            None => Ok(dataset),
        }
    }
}
