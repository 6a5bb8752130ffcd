//! The hot loops of schuss behind safe doors: matrix products, elementwise kernels, threads, the peak of the machine.
//!
//! This is the only crate of the workspace with `unsafe` code. What holds for every kernel here:
//!
//! - The instruction set is chosen at run time, once ([`Isa::current`]); `SCHUSS_ISA=portable|avx2|avx512` overrides it.
//! - A result is a function of the inputs and of the instruction set alone. Every output element is computed by one
//!   thread, in one order, whatever the number of threads and whatever its neighbours, so that any partition of the
//!   work gives the same bits. Sums over rows that are cut into pieces are cut as the number of rows says.
//! - The portable twin of a kernel is the same source, instantiated for one lane: both fallback and oracle. Only bfloat16
//!   has none: where the instruction is missing, products are exact ones.

mod elementwise;
mod gemm;
mod isa;
mod math;
pub mod meter;
mod peak;
mod real;
mod row;
mod sums;
mod threads;
mod transpose;

pub use elementwise::{each_row, gather_rows, map, map_row_ranges, map_rows, prefetch, update_runs, zip};
pub use gemm::{Compute, Fused, Products, gemm};
pub use isa::{Isa, IsaError};
pub use meter::Work;
pub use peak::{Bf16, Burst, fma_burst, memory_sweep};
pub use real::Real;
pub use row::{ROW_PRODUCT_COLUMNS, row_product};
pub use sums::{map_rows_sum, same_rows, sum_of, sum_of_pairs, sum_rows, sum_rows_of};
pub use threads::Threads;
