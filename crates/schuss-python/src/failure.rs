//! What goes wrong, as Python has it.

use pyo3::PyErr;
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use schuss::Error;

pyo3::create_exception!(
    schuss,
    DivergedError,
    PyValueError,
    "A loss or a parameter stopped being finite; the network has the last good parameters."
);

/// An error of the core, or one that Python raised on the way.
#[derive(Debug)]
pub enum Failure {
    Core(Error),
    Python(PyErr),
}

pub type Result<T> = std::result::Result<T, Failure>;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Core(error)
    }
}

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Self {
        Self::Python(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Python(PyErr::from(error))
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Python(error) => error,
            Failure::Core(error) => {
                let message = error.to_string();
                match error {
                    Error::Shape { .. } | Error::Value { .. } | Error::File { .. } => PyValueError::new_err(message),
                    Error::Diverged { .. } => DivergedError::new_err(message),
                    // Of its number Python makes FileNotFoundError, PermissionError, ...
                    Error::Io { path, source, .. } => match source.raw_os_error() {
                        Some(number) => PyOSError::new_err((number, source.to_string(), path)),
                        None => PyOSError::new_err(message),
                    },
                    _ => PyRuntimeError::new_err(message),
                }
            }
        }
    }
}
