//! The binding between Python and the core: arrays in and out, exceptions, and who holds the interpreter when. What users
//! see is the package in `python/schuss`, which checks and documents; nothing here is public to anybody else.
#![forbid(unsafe_code)]

mod data;
mod describe;
mod epochs;
mod failure;
mod network;
mod runs;
mod schema;

/// What the package `schuss` is built on.
#[pyo3::pymodule]
mod _schuss {
    #[pymodule_export]
    use crate::failure::DivergedError;
    #[pymodule_export]
    use crate::network::Network;
    #[pymodule_export]
    use crate::schema::Schema;

    /// The level of the instruction set in use, and the number of threads that a run gets unless it asks for another.
    #[pyo3::pyfunction]
    fn machine() -> (String, usize) {
        (schuss::Isa::current().name().into(), crate::network::cores())
    }
}
