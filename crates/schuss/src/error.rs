//! What a caller can get wrong.

use std::path::PathBuf;
use std::{fmt, io};

/// Everything a caller can get wrong. Raised at the doors of the crate; the inner loops cannot fail.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// Two sizes that must agree do not.
    Shape {
        /// Which size.
        what: &'static str,
        /// What it must be.
        expected: usize,
        /// What it is.
        got: usize,
    },
    /// A setting or a value outside its range.
    Value {
        /// Which one, as the user knows it.
        what: String,
        /// What it must be, and the way out where there is one.
        expected: String,
        /// What it is.
        got: String,
    },
    /// The loss, or the parameters, stopped being finite. The network holds the parameters of `last_good_epoch`.
    Diverged {
        /// The step, counted from 0 over the whole run, whose loss is not finite.
        step: u64,
        /// The epoch of that step, from 0.
        epoch: usize,
        /// The learning rate of that step.
        learning_rate: f64,
        /// Where a number that is not finite was found first: the output of a layer, the loss, a gradient, a parameter.
        culprit: String,
        /// The last epoch after which loss and parameters were finite; -1 is before training.
        last_good_epoch: i64,
    },
    /// A file could not be read or written; see `source()`.
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried: `read`, `write`, ...
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// A file is not what it should be.
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, what was expected, and the way out.
        problem: String,
    },
}

impl Error {
    /// A [`Error::Value`].
    pub fn value(what: impl Into<String>, expected: impl Into<String>, got: impl fmt::Display) -> Self {
        Self::Value { what: what.into(), expected: expected.into(), got: got.to_string() }
    }

    pub(crate) fn file(path: &std::path::Path, problem: impl Into<String>) -> Self {
        Self::File { path: path.into(), problem: problem.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape { what, expected, got } => write!(f, "{what}: expected {expected}, got {got}"),
            Self::Value { what, expected, got } => write!(f, "{what}: expected {expected}, got {got}"),
            Self::Diverged { step, epoch, learning_rate, culprit, last_good_epoch } => {
                write!(
                    f,
                    "{culprit} is not finite at step {step} (epoch {epoch}) with learning rate {learning_rate:?}; try a \
                     smaller one, a warm-up, clipped gradients, or scaled features. The last good parameters are those "
                )?;
                match last_good_epoch {
                    -1 => write!(f, "from before training"),
                    epoch => write!(f, "after epoch {epoch}"),
                }
            }
            Self::Io { path, action, source } => write!(f, "cannot {action} {}: {source}", path.display()),
            Self::File { path, problem } => write!(f, "{}: {problem}", path.display()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// The result of everything that can fail here.
pub type Result<T> = std::result::Result<T, Error>;
