//! Short ways to the core's errors.

use std::fs::File;
use std::io;
use std::path::Path;

use schuss::{Error, Result};

/// Something parsed, or what is wrong with it, before it is said of which file.
pub(crate) type Parsed<T> = std::result::Result<T, String>;

/// The file or folder at `path` is not what it should be.
pub(crate) fn file(path: &Path, problem: impl Into<String>) -> Error {
    Error::File { path: path.into(), problem: problem.into() }
}

/// `action` on `path` failed: "cannot {action} {path}".
pub(crate) fn io(path: &Path, action: &'static str, source: io::Error) -> Error {
    Error::Io { path: path.into(), action, source }
}

pub(crate) fn open_file(path: &Path) -> Result<File> {
    File::open(path).map_err(|source| io(path, "read", source))
}
