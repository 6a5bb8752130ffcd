//! The notebook's arithmetic, to nine digits, against traces that NumPy made: see `traces/make_traces.py`.

use std::path::{Path, PathBuf};

use ndarray::{Array1, Array2, ArrayView2};
use safetensors::{Dtype, SafeTensors};
use schuss::{
    Activation, Control, Dataset, Event, Features, Loss, Metrics, Model, Network, Optimizer, Order, Parts, Real,
    Settings, Targets, Task, Threads, Trainer, train,
};

const TOLERANCE: f64 = 1e-9;

fn softmax() -> Activation {
    Activation::Softmax { epsilon: Activation::DEFAULT_EPSILON }
}

/// The tensors of a trace, all as f64.
struct Trace {
    name: String,
    bytes: Vec<u8>,
}

impl Trace {
    fn all() -> Vec<Trace> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let traces: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|e| e == "safetensors")).collect();
        assert!(traces.len() >= 4, "the traces are missing");
        let name = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
        traces.iter().map(|path| Trace { name: name(path), bytes: std::fs::read(path).unwrap() }).collect()
    }

    fn get(&self, name: &str) -> Option<(Vec<usize>, Vec<f64>)> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let tensor = tensors.tensor(name).ok()?;
        let data = tensor.data();
        let numbers = match tensor.dtype() {
            Dtype::U8 => data.iter().map(|&x| f64::from(x)).collect(),
            Dtype::I64 => data.as_chunks::<8>().0.iter().map(|x| i64::from_le_bytes(*x) as f64).collect(),
            Dtype::F32 => data.as_chunks::<4>().0.iter().map(|x| f64::from(f32::from_le_bytes(*x))).collect(),
            Dtype::F64 => data.as_chunks::<8>().0.iter().map(|x| f64::from_le_bytes(*x)).collect(),
            other => panic!("{name}: {other:?}"),
        };
        Some((tensor.shape().to_vec(), numbers))
    }

    fn matrix(&self, name: &str) -> Array2<f64> {
        let (shape, numbers) = self.get(name).unwrap();
        Array2::from_shape_vec((shape[0], shape[1]), numbers).unwrap()
    }

    fn labels(&self, name: &str) -> Vec<u32> {
        self.get(name).unwrap().1.into_iter().map(|x| x as u32).collect()
    }

    fn scalar(&self, name: &str) -> f64 {
        self.get(name).unwrap().1[0]
    }

    /// `{part}.layers.i.weight`, `{part}.layers.i.bias`, for every i, flat; and the sizes of the layers.
    fn parameters(&self, part: &str) -> (Vec<f64>, Vec<usize>) {
        let mut parameters = Vec::new();
        let mut sizes = Vec::new();
        for i in 0.. {
            let Some((shape, weight)) = self.get(&format!("{part}.layers.{i}.weight")) else { break };
            let (_, bias) = self.get(&format!("{part}.layers.{i}.bias")).unwrap();
            if sizes.is_empty() {
                sizes.push(shape[1]);
            }
            sizes.push(shape[0]);
            parameters.extend(weight);
            parameters.extend(bias);
        }
        (parameters, sizes)
    }

    fn model<T: Real>(&self) -> Model<T> {
        let (parameters, sizes) = self.parameters("initial");
        let mut network = Network::new(&sizes, Activation::Relu, softmax()).unwrap();
        network.parameters_mut().iter_mut().zip(parameters).for_each(|(p, initial)| *p = T::from_f64(initial));
        let loss = if self.name.starts_with("mse") { Loss::Mse } else { Loss::CrossEntropy };
        Model::new(network, loss, Task::Classification { classes: 10 })
    }

    fn settings(&self) -> Settings {
        let order: Vec<Vec<u32>> =
            self.matrix("order").rows().into_iter().map(|row| row.iter().map(|&x| x as u32).collect()).collect();
        Settings {
            optimizer: Optimizer::SGD,
            learning_rate: self.scalar("learning_rate"),
            batch_size: self.scalar("batch_size") as usize,
            epochs: order.len(),
            l2: self.scalar("l2"),
            order: Order::Given(order),
            ..Settings::default()
        }
    }
}

fn dataset<'a>(x: ArrayView2<'a, f64>, labels: &'a [u32]) -> Dataset<'a> {
    Dataset::new(Features::F64(x), Targets::Classes { labels, classes: 10 }).unwrap()
}

/// Every number within `tolerance`, relative to the largest of its vector (single ones may be zero).
#[track_caller]
fn check_close(what: &str, got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{what}: how many");
    let largest = expected.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let error = (got - expected).abs() / largest;
        assert!(error <= tolerance, "{what}[{i}]: {got:e}, expected {expected:e}");
    }
}

#[test]
fn the_gradient_of_the_first_batch_with_the_penalty() {
    for trace in Trace::all() {
        let (x, labels) = (trace.matrix("x_train"), trace.labels("label_train"));
        let (mut model, settings) = (trace.model::<f64>(), trace.settings());
        let Order::Given(order) = &settings.order else { unreachable!() };
        let rows = &order[0][..settings.batch_size];
        let mut trainer =
            Trainer::new(&mut model, dataset(x.view(), &labels), &settings, &Threads::new(2).unwrap()).unwrap();
        let loss = trainer.gradient(rows);
        check_close(&format!("{}: loss", trace.name), &[loss], &[trace.scalar("first_batch.loss")], TOLERANCE);
        let (expected, _) = trace.parameters("first_batch");
        check_close(&format!("{}: gradient", trace.name), trainer.workspace().gradient(), &expected, TOLERANCE);
    }
}

/// Runs a trace; the metrics before training and after each epoch, and the final parameters.
fn run<T: Real>(trace: &Trace, threads: usize) -> (Vec<[f64; 4]>, Vec<f64>) {
    let (x, labels) = (trace.matrix("x_train"), trace.labels("label_train"));
    let (x_test, labels_test) = (trace.matrix("x_test"), trace.labels("label_test"));
    let mut model = trace.model::<T>();
    let mut lines = Vec::new();
    let [train_data, test_data] = [dataset(x.view(), &labels), dataset(x_test.view(), &labels_test)];
    let threads = Threads::new(threads).unwrap();
    let parts = Parts { test: Some(test_data), ..Parts::of(train_data) };
    train(&mut model, parts, &trace.settings(), &threads, |event| {
        if let Event::Epoch { train: Some(train), test: Some(test), .. } = event {
            let accuracy = |metrics: Metrics| metrics.accuracy().unwrap();
            lines.push([train.loss, test.loss, accuracy(train), accuracy(test)]);
        }
        Control::Continue
    })
    .unwrap();
    (lines, model.network.parameters().iter().map(|p| p.to_f64()).collect())
}

#[test]
fn metrics_of_every_epoch_and_final_parameters() {
    for trace in Trace::all() {
        let (lines, parameters) = run::<f64>(&trace, 2);
        let expected = trace.matrix("metrics");
        assert_eq!(lines.len(), expected.nrows());
        for (line, expected) in lines.iter().zip(expected.rows()) {
            for (got, expected) in line.iter().zip(expected) {
                check_close(&format!("{}: metrics {line:?}", trace.name), &[*got], &[*expected], TOLERANCE);
            }
        }
        check_close(&format!("{}: parameters", trace.name), &parameters, &trace.parameters("final").0, TOLERANCE);
    }
}

/// Five epochs in single precision stay near the trace: 1e-3 of the largest parameter.
#[test]
fn single_precision_follows() {
    for trace in Trace::all() {
        let (_, parameters) = run::<f32>(&trace, 2);
        check_close(&trace.name, &parameters, &trace.parameters("final").0, 1e-3);
    }
}

/// A network small enough to follow by hand: 2-1-2, one example (1, 2) of class 0, learning rate 1.
///
/// z₁ = 0.5·1 + 0.25·2 - 0.5 = 0.5, a₁ = 0.5; z₂ = (1·0.5, -1·0.5) = (0.5, -0.5); with t = e⁻¹,
/// p = (1, t)/(1 + t); loss = ln(1 + t); dz₂ = (p₀ - 1, p₁) = (-q, q) with q = t/(1 + t);
/// dW₂ = dz₂·a₁ = (-q/2, q/2); da₁ = 1·(-q) + (-1)·q = -2q; dW₁ = -2q·(1, 2), db₁ = -2q.
#[test]
fn a_step_worked_by_hand() {
    let mut network = Network::<f64>::new(&[2, 1, 2], Activation::Relu, Activation::Softmax { epsilon: 0.0 }).unwrap();
    network.parameters_mut().copy_from_slice(&[0.5, 0.25, -0.5, 1.0, -1.0, 0.0, 0.0]);
    let mut model = Model::new(network, Loss::CrossEntropy, Task::Classification { classes: 2 });
    let x = Array1::from_vec(vec![1.0, 2.0]).into_shape_with_order((1, 2)).unwrap();
    let data = Dataset::new(Features::F64(x.view()), Targets::Classes { labels: &[0], classes: 2 }).unwrap();
    let settings = Settings { optimizer: Optimizer::SGD, batch_size: 1, ..Settings::default() };
    let loss = Trainer::new(&mut model, data, &settings, &Threads::ONE).unwrap().step(&[0], 1.0).unwrap();
    let t = (-1.0f64).exp();
    let q = t / (1.0 + t);
    check_close("loss", &[loss], &[t.ln_1p()], 1e-15);
    let expected = [0.5 + 2.0 * q, 0.25 + 4.0 * q, -0.5 + 2.0 * q, 1.0 + q / 2.0, -1.0 - q / 2.0, q, -q];
    check_close("parameters after the step", model.network.parameters(), &expected, 1e-15);
}
