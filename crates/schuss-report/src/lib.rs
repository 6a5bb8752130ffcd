//! Reports of training runs: a page to look at, and TensorBoard's event files.
//!
//! A report is plain data ([`schema`]), put together from what the core measures ([`evaluation`], [`first_layer`]) and what a
//! run recorded ([`history`], [`distributions`], [`speed`]); [`html`] makes one self-contained page of it, with the script and
//! the styles that `web/` builds.
#![forbid(unsafe_code)]

mod evaluation;
mod histogram;
mod history;
mod layers;
mod page;
pub mod schema;
mod tensorboard;

pub use evaluation::{TableRows, difference, evaluation, metric, metrics_of};
pub use histogram::{distributions, histograms, histograms_of};
pub use history::{done, history, speed};
pub use layers::first_layer;
pub use page::html;
pub use tensorboard::{EventWriter, Setting};
