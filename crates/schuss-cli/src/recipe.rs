//! What a run is like that was not asked to be otherwise.

use std::num::NonZeroUsize;

use schuss::{Features, Init, Loss, Task};

use crate::values::Hidden;

/// Rate and length of a run that was not asked for any.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    pub lr: f64,
    pub schedule: &'static str,
    pub batch_size: usize,
    pub epochs: usize,
}

impl Recipe {
    /// Enough steps to learn, few enough not to wait: small data are seen more often. Plain gradient descent keeps its
    /// rate, as the notebook does.
    pub fn new(optimizer: &str, rows: usize, is_linear: bool) -> Self {
        let batch_size = match rows {
            0..5_000 => 32,
            5_000..20_000 => 64,
            _ => 128,
        };
        let epochs = (600_000 / rows.max(1)).clamp(8, 100);
        if optimizer == "lbfgs" {
            return Self { lr: 1.0, schedule: "constant", batch_size: rows, epochs: 200 };
        }
        let (lr, schedule) = match optimizer {
            "adam" | "adamw" | "muon" if is_linear => (0.02, "one-cycle"),
            "adam" | "adamw" | "muon" => (0.002, "one-cycle"),
            "rmsprop" => (0.001, "one-cycle"),
            "schedule-free" => (0.0025, "constant"),
            _ => (0.1, "constant"),
        };
        Self { lr, schedule, batch_size, epochs }
    }
}

pub fn default_init(activation: &Option<String>) -> Init {
    match activation.as_deref() {
        Some("relu" | "leaky-relu" | "gelu" | "swish" | "mish" | "softplus") => Init::He,
        _ => Init::Glorot,
    }
}

pub fn default_hidden(rows: usize) -> Hidden {
    Hidden(if rows < 20_000 { vec![128, 64] } else { vec![256, 128] })
}

pub fn default_loss(task: Task) -> Loss {
    match task {
        Task::Classification { .. } => Loss::CrossEntropy,
        Task::MultiLabel { .. } => Loss::BinaryCrossEntropy,
        Task::Regression => Loss::Mse,
    }
}

pub fn default_last(loss: Loss, task: Task) -> &'static str {
    match (loss, task) {
        (Loss::CrossEntropy | Loss::Mse, Task::Classification { .. }) => "softmax",
        _ => "identity",
    }
}

/// Bytes are pixels: their full range, or what there is of it in pictures of few grey levels. Numbers are standardised.
pub fn default_scale(features: Features) -> (String, String) {
    match features {
        Features::U8(pixels) => {
            let largest = pixels.iter().copied().max().unwrap_or(0);
            match largest {
                0 => ("255".into(), "bytes".into()),
                1..128 => (largest.to_string(), format!("bytes of 0 to {largest}")),
                128.. => ("255".into(), "bytes of 0 to 255".into()),
            }
        }
        _ => ("standard".into(), "numbers: every column to mean 0 and deviation 1".into()),
    }
}

/// Epochs of a quick look, of so many steps: with the paper's 256, such a network is no better on the tables that were tried,
/// and many times as long in the making.
pub fn quick_epochs(steps: usize) -> usize {
    const ENOUGH_STEPS: usize = 1000;
    (ENOUGH_STEPS / steps).clamp(8, 40)
}

/// Epochs from one measurement of a table's network to the next: enough points for a curve, which take a few hundredths of
/// the time of the steps.
pub fn epochs_between(epochs: usize) -> NonZeroUsize {
    const MOST_POINTS: usize = 20;
    const LEAST: NonZeroUsize = NonZeroUsize::new(5).unwrap();
    NonZeroUsize::new(epochs.div_ceil(MOST_POINTS)).map_or(LEAST, |epochs| epochs.max(LEAST))
}

/// A network for a table whose validation loss becomes less by less than this between two rests of its schedule has learnt what
/// there is to learn, as those of tables that are mostly noise have before half of the run. On 63 tables a fifth of the
/// steps is not made, for a validation loss that is 0.04 % larger. A run of few steps has nothing to save, and the validation
/// rows of so small a table are too few to tell (on 1,047 rows the test loss was 1 % larger).
pub fn least_gain(steps: usize) -> f64 {
    const FEW_STEPS: usize = 400;
    if steps < FEW_STEPS { 0.0 } else { 0.01 }
}

/// Epochs of each network of an ensemble, of so many steps: fewer than those of a network alone, since what one learns too
/// much or too little the others make up for, but enough steps to learn. Numbers take longer than classes; a small table is
/// sooner learnt by heart; a large one is not worth the wait for the last percent.
pub fn epochs_of_member(steps: usize, task: Task) -> usize {
    let (enough_steps, least) = if task == Task::Regression { (1800, 15) } else { (1200, 25) };
    (enough_steps / steps).clamp(least, 56)
}
