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

/// So many names, and so many letters of each, are shown in a message.
const SHOWN_NAMES: usize = 20;
const SHOWN_LETTERS: usize = 40;

/// As much of a name, or of what else a file says, as a message shows.
pub(crate) fn quoted(name: &str) -> String {
    format!("{:?}", name.chars().take(SHOWN_LETTERS).collect::<String>())
}

/// As many of these, with commas between them, as a message shows, and how many more there are.
pub(crate) fn listed(names: impl IntoIterator<Item = String>) -> String {
    let mut names = names.into_iter();
    let list = names.by_ref().take(SHOWN_NAMES).collect::<Vec<_>>().join(", ");
    match names.count() {
        0 => list,
        more => format!("{list} and {more} more"),
    }
}
