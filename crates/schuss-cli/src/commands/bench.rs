//! `schuss bench`: the peak of this machine, and what training and prediction make of it.

use std::time::Instant;

use clap::Args;
use ndarray::{Array2, Axis};
use schuss::{
    Activation, Dataset, Features, Init, Isa, Loss, Mlp, Model, Network, NormKind, Optimizer, Order, Predictor,
    Products, Real, RealMlp, Scaling, Settings, Targets, Task, Threads, Trainer,
};
use schuss_kernels::meter::skipped;
use schuss_kernels::{Bf16, Burst, memory_sweep};
use serde_json::{Map, Value, json};

use super::threads;
use crate::events;
use crate::events::say;
use crate::failure::Result;
use crate::meter::{Clocked, Spent, describe, parts, peak};

/// The notebook's network and batch.
const NOTEBOOK: [usize; 8] = [784, 500, 200, 100, 30, 30, 30, 10];
const BATCH: usize = 1000;

/// What can be measured.
const ROWS: [&str; 16] = [
    "peak",
    "memory",
    "notebook",
    "notebook_f64",
    "notebook_bf16",
    "notebook_sparse",
    "scaling",
    "adam",
    "costs",
    "notebook_batch32",
    "small",
    "tiny",
    "tanh",
    "real_mlp",
    "predict_row",
    "predict_60000",
];

#[derive(Args, Debug)]
pub struct Arguments {
    /// What to measure [default: all]
    #[arg(value_name = "ROW", value_parser = ROWS)]
    rows: Vec<String>,
    /// Threads [default: all cores]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = crate::values::thread_count)]
    threads: Option<usize>,
    /// Fewer repetitions
    #[arg(long)]
    quick: bool,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: Arguments) -> Result<()> {
    let rows = if arguments.rows.is_empty() { ROWS.map(String::from).to_vec() } else { arguments.rows };
    let mut bench = Bench {
        threads: threads(arguments.threads)?,
        seconds: if arguments.quick { 0.15 } else { 0.6 },
        // A machine whose speed drifts is compared with itself: peak and rows are measured in turn.
        rounds: if arguments.quick { 3 } else { 5 },
        is_json: arguments.json,
        fields: Map::new(),
    };
    bench.fields.insert("isa".into(), Isa::current().name().into());
    bench.fields.insert("threads".into(), bench.threads.count().into());
    if !bench.is_json {
        let bf16 = if Products::bf16_available() { ", bfloat16 products" } else { ", no bfloat16 products" };
        say!("{} threads, {}{bf16}", bench.threads.count(), Isa::current().name());
        say!("shares are executed floating-point operations over the FMA peak of these threads in the same run");
    }
    for row in rows {
        bench.row(&row)?;
    }
    if bench.is_json {
        events::print(&Value::Object(bench.fields));
    }
    Ok(())
}

struct Bench {
    threads: Threads,
    /// Of a round.
    seconds: f64,
    rounds: usize,
    is_json: bool,
    fields: Map<String, Value>,
}

/// A network in training on made-up data.
#[derive(Clone, Copy)]
struct Case<'a> {
    sizes: &'a [usize],
    hidden: Activation,
    loss: Loss,
    optimizer: Optimizer,
    batch: usize,
    products: Products,
    inputs: Inputs,
    norm: Option<NormKind>,
    dropout: f64,
    /// Whether it is the network for tables of these sizes ([`RealMlp`]), whose activations and dropout are its own.
    is_real_mlp: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Inputs {
    /// No zeros.
    Dense,
    /// As dark as MNIST's pictures, ones for zeros.
    Grey,
    /// Zeros where MNIST's pictures have them.
    Pictures,
}

/// The floating-point operations of a step, and those of them that were executed: whose factors are not left out as zero.
struct Operations {
    all: f64,
    executed: f64,
}

impl Bench {
    fn row(&mut self, row: &str) -> Result<()> {
        let notebook = Case {
            sizes: &NOTEBOOK,
            hidden: Activation::Relu,
            loss: Loss::CrossEntropy,
            optimizer: Optimizer::SGD,
            batch: BATCH,
            products: Products::Exact,
            inputs: Inputs::Grey,
            norm: None,
            dropout: 0.0,
            is_real_mlp: false,
        };
        match row {
            "peak" => self.peaks(),
            "memory" => self.memory(),
            "notebook" => self.train::<f32>("train_f32", &notebook, 1e3)?,
            "notebook_f64" => self.train::<f64>("train_f64", &notebook, 1e3)?,
            "notebook_bf16" if !Products::bf16_available() => {
                self.say("bf16: this machine or level lacks AVX512-BF16, --precision bf16 is f32 here");
            }
            "notebook_bf16" => {
                self.train::<f32>("train_bf16", &Case { products: Products::Bf16, ..notebook }, 1e3)?;
            }
            "notebook_sparse" => {
                let case = Case { inputs: Inputs::Pictures, ..notebook };
                self.gain::<f32>("notebook_sparse", &case, &notebook)?;
                if Products::bf16_available() {
                    let [case, notebook] = [case, notebook].map(|case| Case { products: Products::Bf16, ..case });
                    self.gain::<f32>("notebook_sparse_bf16", &case, &notebook)?;
                }
            }
            "scaling" => self.scaling(&notebook)?,
            "adam" => self.train::<f32>("adam", &Case { optimizer: Optimizer::ADAM, ..notebook }, 1e3)?,
            "costs" => self.costs(&notebook)?,
            "notebook_batch32" => self.train::<f32>("notebook_batch32", &Case { batch: 32, ..notebook }, 1e6)?,
            "small" => {
                let case = Case { sizes: &[784, 128, 10], batch: 64, inputs: Inputs::Dense, ..notebook };
                self.train::<f32>("small", &case, 1e6)?;
            }
            "tiny" => {
                let case = Case { sizes: &[64, 50, 10], batch: 32, inputs: Inputs::Dense, ..notebook };
                self.train::<f32>("tiny", &case, 1e6)?;
            }
            "tanh" => {
                let case = Case {
                    sizes: &[4, 32, 16, 4],
                    hidden: Activation::Tanh,
                    loss: Loss::Mse,
                    optimizer: Optimizer::ADAM,
                    batch: 10_000,
                    inputs: Inputs::Dense,
                    ..notebook
                };
                self.train::<f32>("tanh", &case, 1e6)?;
            }
            "real_mlp" => {
                let case = Case {
                    sizes: &[16, 256, 256, 256, 26],
                    optimizer: Optimizer::ADAM,
                    batch: 256,
                    inputs: Inputs::Dense,
                    is_real_mlp: true,
                    ..notebook
                };
                self.train::<f32>("real_mlp", &case, 1e3)?;
            }
            "predict_row" => self.predict_row()?,
            _ => self.predict_60000()?,
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: f64) {
        self.fields.insert(name.into(), json!(value));
    }

    fn say(&self, line: &str) {
        if !self.is_json {
            say!("{line}");
        }
    }

    fn peaks(&mut self) {
        let peaks = [
            ("f32", (0..self.rounds).map(|_| peak::<f32>(&self.threads)).fold(0.0, f64::max)),
            ("f64", (0..self.rounds).map(|_| peak::<f64>(&self.threads)).fold(0.0, f64::max)),
            ("bf16", (0..self.rounds).map(|_| peak::<Bf16>(&self.threads)).fold(0.0, f64::max)),
        ];
        for (name, peak) in peaks {
            if peak > 0.0 {
                self.set(&format!("peak_{name}_gflops"), peak);
                self.say(&format!("{:<18} {peak:10.1} GFLOP/s", format!("FMA peak {name}")));
            }
        }
    }

    fn memory(&mut self) {
        let numbers = vec![1.0f32; 1 << 25];
        let rate = |_| {
            let start = Instant::now();
            let bytes = memory_sweep(&self.threads, &numbers);
            bytes / start.elapsed().as_secs_f64() / 1e9
        };
        let rate = (0..self.rounds).map(rate).fold(0.0, f64::max);
        self.set("memory_gb_per_s", rate);
        self.say(&format!("{:<18} {rate:10.1} GB/s read from 128 MiB", "memory"));
    }

    /// Steps of the case, and the peak of its arithmetic beside them; `unit` parts of a second.
    fn train<T: Real + Burst>(&mut self, name: &str, case: &Case, unit: f64) -> Result<()> {
        let is_bf16 = case.products == Products::Bf16;
        let mut rounds = Vec::new();
        let mut best_peak = 0.0f64;
        let mut spent = Spent::default();
        let operations = case.with_trainer::<T, _>(&self.threads, |step| {
            for _ in 0..self.rounds {
                best_peak = best_peak.max(if is_bf16 { peak::<Bf16>(&self.threads) } else { peak::<T>(&self.threads) });
                rounds.push(median_seconds(self.seconds, &mut *step));
            }
            let clocked = Clocked::start();
            median_seconds(self.seconds / 2.0, step);
            spent = clocked.stop();
        })?;
        let seconds = median(rounds);
        let share = operations.executed / seconds / (best_peak * 1e9);
        let [rate, examples] = [operations.executed / seconds / 1e9, case.batch as f64 / seconds];
        let left_out = 1.0 - operations.executed / operations.all;
        let (suffix, print) = if unit == 1e3 { ("ms", "ms") } else { ("us", "µs") };
        self.set(&format!("{name}_step_{suffix}"), seconds * unit);
        self.set(&format!("{name}_share"), share);
        self.set(&format!("{name}_gflops"), rate);
        self.set(&format!("{name}_left_out"), left_out);
        self.set(&format!("{name}_examples_per_s"), examples);
        let time: Map<_, _> = parts(spent).into_iter().map(|(part, share)| (part.into(), json!(share))).collect();
        self.fields.insert(format!("{name}_time"), Value::Object(time));
        let split = describe(spent);
        let sizes: Vec<_> = case.sizes.iter().map(usize::to_string).collect();
        let zeros = if left_out < 0.005 { String::new() } else { format!(" ({:.0} % left out)", 100.0 * left_out) };
        self.say(&format!(
            "{:<18} {:10.3} {print} a step of {}, batch {}, {}: {examples:.0} examples/s, {rate:.0} GFLOP/s{zeros}, {:.1} % of peak; {split}",
            name.trim_start_matches("train_"),
            seconds * unit,
            sizes.join("-"),
            case.batch,
            case.optimizer.name(),
            100.0 * share,
        ));
        Ok(())
    }

    /// [`Bench::train`] of a case, and its time beside that of another.
    fn gain<T: Real + Burst>(&mut self, name: &str, case: &Case, other: &Case) -> Result<()> {
        let [sparse, dense] = self.in_turn::<T>(case, other)?;
        self.train::<T>(name, case, 1e3)?;
        self.set(&format!("{name}_gain"), dense / sparse);
        self.say(&format!("{:<18} {:10.3} times as fast as without zeros, in turn", "", dense / sparse));
        Ok(())
    }

    /// Seconds of a step of each case, measured in turn.
    fn in_turn<T: Real>(&self, case: &Case, other: &Case) -> Result<[f64; 2]> {
        let mut times = [Vec::new(), Vec::new()];
        let seconds = self.seconds / 2.0;
        let mut inner = Ok(());
        other.with_trainer::<T, _>(&self.threads, |other| {
            inner = case
                .with_trainer::<T, _>(&self.threads, |step| {
                    for _ in 0..self.rounds {
                        times[0].push(median_seconds(seconds, &mut *step));
                        times[1].push(median_seconds(seconds, &mut *other));
                    }
                })
                .map(drop);
        })?;
        inner?;
        Ok(times.map(median))
    }

    /// What layers and optimisers cost beside the same step without them, in turn.
    fn costs(&mut self, notebook: &Case) -> Result<()> {
        let cases = [
            ("dropout", Case { dropout: 0.2, ..*notebook }),
            ("layer_norm", Case { norm: Some(NormKind::Layer), ..*notebook }),
            ("batch_norm", Case { norm: Some(NormKind::Batch), ..*notebook }),
            ("adamw", Case { optimizer: Optimizer::ADAMW, ..*notebook }),
        ];
        for (name, case) in cases {
            let [time, plain] = self.in_turn::<f32>(&case, notebook)?;
            let cost = time / plain - 1.0;
            self.set(&format!("{name}_cost"), cost);
            self.say(&format!("{name:<18} {:10.1} % more than the step without it, in turn", 100.0 * cost));
        }
        Ok(())
    }

    /// The step on one thread over that on all.
    fn scaling(&mut self, case: &Case) -> Result<()> {
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..self.rounds {
            for (times, threads) in times.iter_mut().zip([&Threads::ONE, &self.threads]) {
                case.with_trainer::<f32, _>(threads, |step| times.push(median_seconds(self.seconds, step)))?;
            }
        }
        let [one, all] = times.map(median);
        self.set("scaling", one / all);
        self.say(&format!(
            "{:<18} {:10.3} times as fast on {} threads as on one",
            "scaling",
            one / all,
            self.threads.count()
        ));
        Ok(())
    }

    /// One example through the notebook's network, as sparse as MNIST's pictures and dense.
    fn predict_row(&mut self) -> Result<()> {
        let model = notebook_model()?;
        let mut predictor = Predictor::new(&model)?;
        for (name, dense) in [("predict_row_us", 191), ("predict_dense_row_us", 1000)] {
            let pixels = pixels(1000, NOTEBOOK[0], dense);
            let mut i = 0;
            let mut rounds = Vec::new();
            for _ in 0..self.rounds {
                let predict = || {
                    i = (i + 1) % pixels.nrows();
                    let example = pixels.slice_axis(Axis(0), (i..i + 1).into());
                    std::hint::black_box(predictor.predict(Features::U8(example)).map(|p| p[0]).ok());
                };
                rounds.push(median_seconds(self.seconds, predict));
            }
            let microseconds = median(rounds) * 1e6;
            self.set(name, microseconds);
            let what = if dense == 1000 { "dense" } else { "81 % zeros" };
            self.say(&format!("{:<18} {:10.3} µs for one row, {what}, one thread", "predict", microseconds));
        }
        Ok(())
    }

    fn predict_60000(&mut self) -> Result<()> {
        let model = notebook_model()?;
        let pixels = pictures(60_000);
        let mut operations = model.network.forward_operations(60_000);
        let before = skipped();
        let mut rounds = Vec::new();
        let mut best_peak = 0.0f64;
        for _ in 0..self.rounds {
            best_peak = best_peak.max(peak::<f32>(&self.threads));
            let start = Instant::now();
            std::hint::black_box(model.predict(Features::U8(pixels.view()), &self.threads)?);
            rounds.push(start.elapsed().as_secs_f64());
        }
        operations -= 2.0 * (skipped() - before) as f64 / self.rounds as f64;
        let seconds = median(rounds);
        let share = operations / seconds / (best_peak * 1e9);
        self.set("predict_60000_ms", seconds * 1e3);
        self.set("predict_60000_share", share);
        self.say(&format!(
            "{:<18} {:10.3} ms for 60,000 pictures with MNIST's zeros: {:.1} % of peak",
            "predict",
            seconds * 1e3,
            100.0 * share
        ));
        Ok(())
    }
}

impl Case<'_> {
    /// Calls `f` with a function that makes a step; the operations of one.
    fn with_trainer<T: Real, R>(&self, threads: &Threads, f: impl FnOnce(&mut dyn FnMut()) -> R) -> Result<Operations> {
        let [inputs, outputs] = [self.sizes[0], self.sizes[self.sizes.len() - 1]];
        let rows = 2 * self.batch;
        let pixels = match self.inputs {
            Inputs::Dense => pixels(rows, inputs, 1000),
            Inputs::Grey => pixels(rows, inputs, 191).mapv_into(|pixel| pixel.max(1)),
            Inputs::Pictures => pictures(rows),
        };
        let labels: Vec<u32> = (0..rows).map(|i| (i % outputs) as u32).collect();
        let values = Array2::from_shape_fn((rows, outputs), |(i, j)| ((i * 7 + j * 3) % 11) as f64 / 11.0);
        let (targets, last) = match self.loss {
            Loss::CrossEntropy => (
                Targets::Classes { labels: &labels, classes: outputs },
                Activation::Softmax { epsilon: Activation::DEFAULT_EPSILON },
            ),
            _ => (Targets::Values(values.view()), Activation::Identity),
        };
        let dataset = Dataset::new(Features::U8(pixels.view()), targets)?;
        let layers = if self.is_real_mlp {
            let hidden = self.sizes[1..self.sizes.len() - 1].to_vec();
            RealMlp { numbers: inputs, hidden, ..RealMlp::td(Task::of(targets), outputs) }.layers()
        } else {
            Mlp { norm: self.norm, dropout: self.dropout, ..Mlp::new(self.sizes, self.hidden, last) }.layers()?
        };
        let mut network = Network::<T>::of_layers(layers)?;
        Init::Glorot.draw(&mut network, 0);
        let all = network.step_operations(self.batch);
        let model = Model::new(network, self.loss, Task::of(targets));
        let mut model = Model { scaling: Scaling::Divide(255.0), ..model };
        let settings = Settings {
            optimizer: self.optimizer,
            weight_decay: self.optimizer.default_weight_decay(),
            batch_size: self.batch,
            products: self.products,
            order: Order::Sequential,
            ..Settings::default()
        };
        let mut trainer = Trainer::new(&mut model, dataset, &settings, threads)?;
        // Examples are gathered in another order than they are stored.
        let order: Vec<u32> = (0..rows).map(|i| (i * 7919 % rows) as u32).collect();
        let (mut steps, mut left_out) = (0, 0);
        f(&mut || {
            let before = skipped();
            steps += 1;
            trainer.step(&order[steps % 2 * self.batch..][..self.batch], 1e-4);
            left_out += skipped() - before;
        });
        Ok(Operations { all, executed: all - 2.0 * left_out as f64 / steps.max(1) as f64 })
    }
}

fn notebook_model() -> Result<Model<f32>> {
    let softmax = Activation::Softmax { epsilon: Activation::DEFAULT_EPSILON };
    let mut network = Network::<f32>::new(&NOTEBOOK, Activation::Relu, softmax)?;
    Init::He.draw(&mut network, 0);
    let model = Model::new(network, Loss::CrossEntropy, Task::Classification { classes: 10 });
    Ok(Model { scaling: Scaling::Divide(255.0), ..model })
}

/// Bytes of which so many in 1000 are not zero, in runs as the strokes of pictures are.
fn pixels(rows: usize, columns: usize, dense: usize) -> Array2<u8> {
    Array2::from_shape_fn((rows, columns), |(i, j)| {
        let is_stroke = (i * 131 + j) / 6 * 7919 % 1000 < dense;
        if is_stroke { ((i * 7919 + j * 104_729) % 255 + 1) as u8 } else { 0 }
    })
}

/// Pictures of 28 x 28 whose zeros are as many as MNIST's and lie where they do: a stroke of six or seven pixels in each of
/// the 22 rows in the middle. (Blank: 82 % of the pixels, of MNIST 81 %; in eight pictures at once: 52 %, of MNIST 54 %;
/// eight pixels in a row at once: 62 %, of MNIST 60 %.)
fn pictures(count: usize) -> Array2<u8> {
    Array2::from_shape_fn((count, 28 * 28), |(i, j)| {
        let [row, column] = [j / 28, j % 28];
        let stroke = 4 + (i * 131 + row / 2) * 389 % 1000 * 14 / 1000;
        let is_ink = (3..25).contains(&row) && (stroke..stroke + 6 + row % 2).contains(&column);
        if is_ink { ((i * 7919 + j * 104_729) % 255 + 1) as u8 } else { 0 }
    })
}

/// The median time of `f`, called again and again for so many seconds.
fn median_seconds(seconds: f64, mut f: impl FnMut()) -> f64 {
    // Calls of a few microseconds are timed together: reading the clock takes time, too.
    let mut time = |calls: usize| {
        let start = Instant::now();
        (0..calls).for_each(|_| f());
        start.elapsed().as_secs_f64() / calls as f64
    };
    let once = time(2);
    let calls = ((1e-5 / once) as usize).clamp(1, 1000);
    let start = Instant::now();
    let mut times = Vec::new();
    while times.len() < 5 || start.elapsed().as_secs_f64() < seconds {
        times.push(time(calls));
    }
    median(times)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
