//! Dense neural networks, trained on the CPU: hand-written forward and backward passes, close to the limit of the
//! hardware, with the same bits on any number of threads.
//!
//! A network and how to use it are a [`Model`]; [`train`](fn@train) trains it on a [`Dataset`] by [`Settings`];
//! [`Model::predict`] and [`Model::evaluate`] use it; [`ModelFile`] reads what [`Model::save`] writes. Below that,
//! [`Network::forward`] and [`Network::backward`] are public for losses and loops of one's own.
//!
//! ```
//! use schuss::*;
//! // Exclusive or: four examples, two classes.
//! let x = ndarray::arr2(&[[0.0f32, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]);
//! let data = Dataset::new(Features::F32(x.view()), Targets::Classes { labels: &[0, 1, 1, 0], classes: 2 })?;
//! let softmax = Activation::Softmax { epsilon: Activation::DEFAULT_EPSILON };
//! let mut network = Network::<f32>::new(&[2, 8, 2], Activation::Tanh, softmax)?;
//! Init::Glorot.draw(&mut network, 0);
//! let mut model = Model::new(network, Loss::CrossEntropy, Task::Classification { classes: 2 });
//! let settings = Settings { learning_rate: 0.05, batch_size: 4, epochs: 200, ..Settings::default() };
//! let summary = train(&mut model, Parts::of(data), &settings, &Threads::ONE, |_| Control::Continue)?;
//! assert_eq!(summary.measured.train.and_then(|metrics| metrics.accuracy()), Some(1.0));
//! # Ok::<(), Error>(())
//! ```
//!
//! The crate never prints, reads the clock, or exits: it reports [`Event`]s to a callback.
#![forbid(unsafe_code)]

mod activation;
mod augment;
mod calibrate;
mod conformal;
mod dataset;
mod dense;
mod dropout;
mod embed;
mod ensemble;
mod error;
mod fitted_init;
mod fork;
mod gradient_check;
mod heads;
mod init;
mod layer;
pub mod leaks;
mod loss;
pub mod metrics;
mod model;
mod model_file;
mod network;
mod norm;
mod optimizer;
mod parametric;
mod periodic;
mod predictor;
mod random;
mod real_mlp;
mod residual;
mod scale;
mod schedule;
mod schema;
mod stream;
mod train;
mod workspace;

pub use activation::Activation;
pub use augment::{Augment, Elastic};
pub use conformal::Conformal;
pub use dataset::{Dataset, Features, Scaling, Targets};
pub use dense::{Dense, Parametrization};
pub use dropout::Dropout;
pub use embed::{Category, Embed};
pub use error::{Error, Result};
pub use fork::{Fork, fork};
pub use gradient_check::{GradientCheck, LossGradient, Subject, TOLERANCE, softmax_jacobian_error};
pub use heads::Heads;
pub use init::Init;
pub use layer::{Factors, Layer};
pub use loss::{BatchTargets, Levels, Loss, Output};
pub use metrics::{Evaluation, Metrics, Scores, argmax};
pub use model::{Model, Task};
pub use model_file::{ModelFile, Precision, weights_sha256, write_atomically, write_atomically_with};
pub use network::{Mlp, Network, Segment};
pub use norm::{Norm, NormKind};
pub use optimizer::{Average, Clip, MuonRate, Optimizer, OptimizerState};
pub use parametric::Parametric;
pub use periodic::Periodic;
pub use predictor::Predictor;
pub use real_mlp::RealMlp;
pub use residual::Residual;
pub use scale::Scale;
pub use schedule::{Plateau, Schedule, WarmUp};
pub use schema::{Column, Cycle, Encoder, Encoding, NumberScale, NumberScaling, Schema, Values, is_nominal};
pub use stream::{Moments, Numbers, Stream, Totals, Window, WindowTargets, Windows};
pub use train::{
    Control, Evaluate, Event, FoundRate, Keep, Measured, OnDivergence, Order, Pace, Parts, Run, Settings, Summary,
    Trainer, find_rate, train,
};
pub use workspace::{Pass, Workspace};

pub use schuss_kernels::{Compute, Fused, Isa, IsaError, Products, Real, Threads};
