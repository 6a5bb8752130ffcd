//! Instruction-set levels and the run-time choice between them.

use std::fmt;
use std::sync::OnceLock;

use pulp::{Scalar, Simd, WithSimd};

/// The environment variable that overrides the choice.
const VARIABLE: &str = "SCHUSS_ISA";

/// A level of the instruction set. Results are reproducible to the bit within a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// What every machine has: one lane, multiply and add rounded apart.
    Portable,
    /// 256-bit vectors and fused multiply-add (x86-64-v3).
    Avx2,
    /// 512-bit vectors (x86-64-v4).
    Avx512,
}

/// `SCHUSS_ISA` names a level that does not exist or that this machine lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsaError {
    requested: String,
}

impl fmt::Display for IsaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let available: Vec<_> = Isa::available().map(Isa::name).collect();
        write!(f, "{VARIABLE}={}: expected a level that this machine has: {}", self.requested, available.join(", "))
    }
}

impl std::error::Error for IsaError {}

impl Isa {
    const ALL: [Isa; 3] = [Isa::Portable, Isa::Avx2, Isa::Avx512];

    /// The levels that this machine has, lowest first.
    pub fn available() -> impl Iterator<Item = Isa> {
        Self::ALL.into_iter().filter(|isa| isa.is_available())
    }

    /// The level in use: `SCHUSS_ISA` where it names an available level, else the highest. Decided once a process.
    pub fn current() -> Isa {
        static CURRENT: OnceLock<Isa> = OnceLock::new();
        *CURRENT.get_or_init(|| Self::from_environment().unwrap_or_else(|_| Self::highest()))
    }

    /// The level that `SCHUSS_ISA` asks for, the highest where it is not set.
    ///
    /// # Errors
    /// The variable names no level, or one that this machine lacks.
    pub fn from_environment() -> Result<Isa, IsaError> {
        match std::env::var(VARIABLE) {
            Err(_) => Ok(Self::highest()),
            Ok(requested) => Self::available().find(|isa| isa.name() == requested).ok_or(IsaError { requested }),
        }
    }

    /// `portable`, `avx2` or `avx512`.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Portable => "portable",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
        }
    }

    pub(crate) fn highest() -> Isa {
        Self::available().last().unwrap_or(Isa::Portable)
    }

    #[cfg(target_arch = "x86_64")]
    fn is_available(self) -> bool {
        match self {
            Isa::Portable => true,
            Isa::Avx2 => pulp::x86::V3::is_available(),
            Isa::Avx512 => pulp::x86::V4::is_available(),
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn is_available(self) -> bool {
        self == Isa::Portable
    }

    /// Runs `operation` compiled for this level; for the portable twin where the machine lacks it.
    #[inline]
    pub(crate) fn run<Op: WithSimd>(self, operation: Op) -> Op::Output {
        #[cfg(target_arch = "x86_64")]
        match self {
            Isa::Portable => {}
            Isa::Avx2 => {
                if let Some(simd) = pulp::x86::V3::try_new() {
                    return Simd::vectorize(simd, operation);
                }
            }
            Isa::Avx512 => {
                if let Some(simd) = pulp::x86::V4::try_new() {
                    return Simd::vectorize(simd, operation);
                }
            }
        }
        Simd::vectorize(Scalar, operation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portable_is_always_there_and_the_current_level_is_available() {
        assert_eq!(Isa::available().next(), Some(Isa::Portable));
        assert!(Isa::available().any(|isa| isa == Isa::current()));
    }

    #[test]
    fn the_message_names_the_levels_of_this_machine() {
        let error = IsaError { requested: "sse9".into() }.to_string();
        assert!(error.contains("sse9") && error.contains("portable"), "{error}");
    }
}
