//! `schuss bench`: the peak of this machine, and what training makes of it.

use std::time::Instant;

use clap::Args;
use ndarray::Array2;
use schuss::{
    Activation, Dataset, Features, Init, Isa, Loss, Model, Network, Optimizer, Order, Real, Scaling, Settings, Targets,
    Task, Threads, Trainer,
};
use schuss_kernels::fma_burst;
use serde_json::json;

use super::threads;
use crate::events;
use crate::events::say;
use crate::failure::Result;

/// The notebook's network and batch.
const SIZES: [usize; 8] = [784, 500, 200, 100, 30, 30, 30, 10];
const BATCH: usize = 1000;

#[derive(Args, Debug)]
pub struct Arguments {
    /// Threads [default: all cores]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = crate::options::thread_count)]
    threads: Option<usize>,
    /// Fewer repetitions
    #[arg(long)]
    quick: bool,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: Arguments) -> Result<()> {
    let threads = threads(arguments.threads)?;
    let steps = if arguments.quick { 15 } else { 60 };
    // Peak and training are measured in turn, so that a machine whose speed drifts is compared with itself.
    let rounds = if arguments.quick { 3 } else { 5 };
    let mut results = [Measured::default(); 2];
    for _ in 0..rounds {
        results[0].add::<f32>(&threads, steps)?;
        results[1].add::<f64>(&threads, steps)?;
    }
    let [single, double] = results;
    if arguments.json {
        events::print(&json!({
            "isa": Isa::current().name(),
            "threads": threads.count(),
            "peak_f32_gflops": single.peak,
            "peak_f64_gflops": double.peak,
            "train_f32_step_ms": single.step * 1e3,
            "train_f64_step_ms": double.step * 1e3,
            "train_f32_share": single.share(),
            "train_f64_share": double.share(),
        }));
        return Ok(());
    }
    let network = SIZES.map(|size| size.to_string()).join("-");
    say!("{} threads, {}", threads.count(), Isa::current().name());
    say!("a step of {network}, batch {BATCH}, plain gradient descent: 2.32 GFLOP");
    say!("{:>6}  {:>12}  {:>9}  {:>9}  {:>13}", "", "peak GFLOP/s", "step ms", "GFLOP/s", "share of peak");
    for (name, measured) in [("f32", single), ("f64", double)] {
        let Measured { peak, step, operations } = measured;
        let [milliseconds, rate, share] = [step * 1e3, operations / step / 1e9, 100.0 * measured.share()];
        say!("{name:>6}  {peak:>12.1}  {milliseconds:>9.3}  {rate:>9.1}  {share:>11.1} %");
    }
    Ok(())
}

/// The best of the rounds.
#[derive(Clone, Copy, Default)]
struct Measured {
    /// GFLOP/s
    peak: f64,
    /// Seconds, the median of a round.
    step: f64,
    /// Of a step.
    operations: f64,
}

impl Measured {
    fn add<T: Real>(&mut self, threads: &Threads, steps: usize) -> Result<()> {
        self.peak = self.peak.max(peak::<T>(threads));
        let (step, operations) = step::<T>(threads, steps)?;
        self.step = if self.step == 0.0 { step } else { self.step.min(step) };
        self.operations = operations;
        Ok(())
    }

    fn share(&self) -> f64 {
        self.operations / self.step / (self.peak * 1e9)
    }
}

/// GFLOP/s of independent fused multiply-adds on all threads.
fn peak<T: Real>(threads: &Threads) -> f64 {
    let measure = |iterations: usize| {
        let start = Instant::now();
        let operations = fma_burst::<T>(threads, iterations);
        (operations, start.elapsed().as_secs_f64())
    };
    let (_, seconds) = measure(100_000);
    let iterations = (100_000.0 * 0.05 / seconds.max(1e-6)) as usize;
    let (operations, seconds) = measure(iterations.max(1));
    operations / seconds / 1e9
}

/// The median time of a step of the notebook's network, and its floating-point operations.
fn step<T: Real>(threads: &Threads, steps: usize) -> Result<(f64, f64)> {
    // As many zeros as MNIST has; the time does not depend on them.
    let pixels = Array2::from_shape_fn((2 * BATCH, SIZES[0]), |(i, j)| match (i * 7919 + j * 104_729) % 1009 {
        value @ 0..192 => value as u8,
        _ => 0,
    });
    let labels: Vec<u32> = (0..2 * BATCH as u32).map(|i| i % 10).collect();
    let dataset = Dataset::new(Features::U8(pixels.view()), Targets::Classes { labels: &labels, classes: 10 })?;
    let softmax = Activation::Softmax { epsilon: Activation::DEFAULT_EPSILON };
    let mut network = Network::<T>::new(&SIZES, Activation::Relu, softmax)?;
    Init::He.draw(&mut network, 0);
    let operations = network.step_operations(BATCH);
    let model = Model::new(network, Loss::CrossEntropy, Task::Classification { classes: 10 });
    let mut model = Model { scaling: Scaling::Divide(255.0), ..model };
    let settings =
        Settings { optimizer: Optimizer::Sgd, batch_size: BATCH, order: Order::Sequential, ..Settings::default() };
    let mut trainer = Trainer::new(&mut model, dataset, &settings, threads)?;
    let rows: Vec<u32> = (0..2 * BATCH as u32).map(|i| i * 7 % (2 * BATCH as u32)).collect();
    let time = |i: usize| {
        let start = Instant::now();
        trainer.step(&rows[i % 2 * BATCH..][..BATCH], settings.learning_rate);
        start.elapsed().as_secs_f64()
    };
    let mut seconds: Vec<f64> = (0..steps + 2).map(time).skip(2).collect();
    seconds.sort_by(f64::total_cmp);
    Ok((seconds[steps / 2], operations))
}
