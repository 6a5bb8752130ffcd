//! How a command fails: one message and an exit code.

use std::fmt;
use std::process::ExitCode;

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub enum Failure {
    /// It was asked for in a wrong way: exit code 2.
    Usage(String),
    /// It failed: exit code 1.
    Failed(String),
}

/// The result of a command.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// 1 or 2.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Failed(_) => ExitCode::from(1),
            Self::Usage(_) => ExitCode::from(2),
        }
    }

    /// A wrong use, from whatever says what is wrong.
    pub fn usage(error: impl fmt::Display) -> Self {
        Self::Usage(error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Usage(message) | Self::Failed(message)) = self;
        f.write_str(message)
    }
}

impl From<schuss::Error> for Failure {
    fn from(error: schuss::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl Failure {
    /// Threads that the operating system refuses to start.
    pub fn threads(error: std::io::Error) -> Self {
        Self::Failed(format!("cannot start the threads: {error}"))
    }

    /// A file or folder that cannot be used.
    pub fn io(action: &str, path: &std::path::Path, error: std::io::Error) -> Self {
        Self::Failed(format!("cannot {action} {}: {error}", path.display()))
    }
}
