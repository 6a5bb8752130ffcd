//! Core.
mod dataset;
mod error;
pub use dataset::{Dataset, Features, Scaling, Targets};
pub use error::{Error, Result};
pub use schuss_kernels::{Isa, IsaError, Real, Threads};
