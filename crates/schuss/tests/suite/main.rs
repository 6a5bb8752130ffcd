//! What the core promises, file by file. They are one program: each would compile all kernels anew.

mod calibrate;
mod conformal;
mod ensemble;
mod gradients;
mod leaks;
mod losses;
mod metrics;
mod notebook;
mod optimizers;
mod schedules;
mod schema;
mod tables;
mod training;
