//! `schuss notebook`: the three runs of the teaching notebook.

use clap::{Args, ValueEnum};

use super::train::{RunArguments, train};
use crate::failure::Result;
use crate::options::Options;
use crate::values::Hidden;

#[derive(Args, Debug)]
pub struct Arguments {
    /// Which of the notebook's runs
    #[arg(value_enum)]
    run: Run,
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    arguments: RunArguments,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Run {
    /// Cross-entropy, learning rate 0.01
    Cce,
    /// Mean squared error, learning rate 0.03
    Mse,
    /// Mean squared error, learning rate 0.03, penalty 0.05
    MseWd,
}

pub fn run(Arguments { run, options, arguments }: Arguments) -> Result<()> {
    train(options, run.preset(), arguments)
}

impl Run {
    /// The notebook's settings: raw pixels, everything drawn from N(0, 0.1²), plain gradient descent. A run
    /// whose numbers overflow goes on, as it does there.
    fn preset(self) -> Options {
        let (loss, lr, l2) = match self {
            Self::Cce => ("cross-entropy", 0.01, 0.0),
            Self::Mse => ("mse", 0.03, 0.0),
            Self::MseWd => ("mse", 0.03, 0.05),
        };
        Options {
            data: Some("mnist".into()),
            hidden: Some(Hidden(vec![500, 200, 100, 30, 30, 30])),
            activation: Some("relu".into()),
            last: Some("softmax".into()),
            softmax_epsilon: Some(1e-8),
            loss: Some(loss.into()),
            optimizer: Some("sgd".into()),
            lr: Some(lr),
            schedule: Some("constant".into()),
            batch_size: Some(1000),
            epochs: Some(20),
            l2: Some(l2),
            on_divergence: Some("go-on".into()),
            init: Some("normal:0.1".into()),
            scale: Some("none".into()),
            valid: Some("0".into()),
            ..Options::default()
        }
    }
}
