//! `schuss check`: backward against central differences.

use std::path::PathBuf;

use clap::Args;
use ndarray::{Array2, Axis};
use schuss::{
    Activation, BatchTargets, GradientCheck, Init, Layer, Loss, Mlp, Model, Network, NormKind, Pass, Subject,
    TOLERANCE, Targets, Task, Threads, softmax_jacobian_error,
};

use super::{open_data_for, read_model};
use crate::events::say;
use crate::failure::{Failure, Result};

/// Rows of the batch that gradients are checked on.
const ROWS: usize = 16;
/// Gradients are those of training: with what is dropped at its first step, and the statistics of the batch.
const TRAINING: Pass = Pass::Training { seed: 0, step: 0, first_row: 0 };

#[derive(Args, Debug)]
pub struct Arguments {
    /// A model file, or a run folder [default: every activation with every loss and every kind of layer, on small networks]
    model: Option<PathBuf>,
    /// Data for the model [default: made-up rows]
    data: Option<String>,
    /// Where named data sets are looked for
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Seed of the sample of coordinates
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

pub fn run(arguments: Arguments) -> Result<()> {
    say!("backward against central differences of fourth order in double precision, h = 1e-4, softmax with e = 0");
    say!("{:<66}  {:>9}  {:>8}  {:>7}  worst error", "network", "compared", "of", "corners");
    let mut report = Report::default();
    match &arguments.model {
        Some(path) => {
            let file = read_model(path)?;
            let model = file.model::<f64>();
            let data = arguments.data.map(|name| open_data_for(&file, &name, arguments.data_dir, false)).transpose()?;
            let examples = data.map(|data| data.train);
            let (x, labels, values) = match &examples {
                Some(examples) => batch_of(&model, examples)?,
                None => made_up_batch(&model),
            };
            let targets = match model.task {
                Task::Classification { .. } if !labels.is_empty() => BatchTargets::Classes(&labels),
                _ => BatchTargets::Values(values.view()),
            };
            let network = model.network.clone().with_epsilon(0.0);
            let subject = Subject { network: &network, loss: model.loss, x: x.view(), targets, pass: TRAINING };
            report.add(subject, arguments.seed)?;
        }
        None => every_combination(&mut report, arguments.seed)?,
    }
    report.add_softmax();
    report.conclude()
}

/// What a layer is, if it is not dense.
fn kind(layer: &Layer) -> Option<&'static str> {
    match layer {
        Layer::Norm(norm) if norm.kind == NormKind::Batch => Some("batch norm"),
        Layer::Norm(_) => Some("layer norm"),
        Layer::Dropout(_) => Some("dropout"),
        Layer::Residual(_) => Some("residual"),
        _ => None,
    }
}

/// What was checked so far.
#[derive(Default)]
struct Report {
    failures: usize,
    corners: usize,
}

impl Report {
    fn add(&mut self, subject: Subject, seed: u64) -> Result<()> {
        let check = subject.compare(&subject.backward()?, seed)?;
        let Subject { network, loss, .. } = subject;
        let sizes: Vec<_> = network.sizes().iter().map(usize::to_string).collect();
        let [hidden, last] = [network.hidden_activation(), network.last_activation()].map(Activation::name);
        let kinds: Vec<_> = network.layers().iter().filter_map(kind).collect();
        let kinds: Vec<_> =
            kinds.iter().enumerate().filter(|(i, kind)| !kinds[..*i].contains(kind)).map(|(_, k)| *k).collect();
        let kinds = if kinds.is_empty() { String::new() } else { format!(", {}", kinds.join(", ")) };
        self.line(&format!("{} {hidden}, {last}, {}{kinds}", sizes.join("-"), loss.name()), &check);
        Ok(())
    }

    fn line(&mut self, what: &str, check: &GradientCheck) {
        let GradientCheck { coordinates, compared, corners, worst, worst_at } = check;
        let verdict = if check.passed() { String::new() } else { format!("  FAILED at {worst_at}") };
        say!("{what:<66}  {compared:>9}  {coordinates:>8}  {corners:>7}  {worst:.1e}{verdict}");
        self.failures += usize::from(!check.passed());
        self.corners += corners;
    }

    /// The smoothed softmax, whose backward is by design another thing than the derivative of its forward.
    fn add_softmax(&mut self) {
        for epsilon in [0.0, 1e-8, 0.1] {
            let error = softmax_jacobian_error(epsilon);
            let failed = error > 1e-12;
            let verdict = if failed { "  FAILED" } else { "" };
            say!("softmax backward against its explicit Jacobian, e = {epsilon:<7e}{:>45}{error:.1e}{verdict}", "");
            self.failures += usize::from(failed);
        }
        let (epsilon, classes) = (Activation::DEFAULT_EPSILON, 10.0);
        let floor = epsilon / classes;
        say!(
            "With e > 0 the notebook keeps softmax's own Jacobian, p(1-p) and -p_i p_j, at the smoothed p = (1-e) s + e/n. \
             It is not\nthe derivative of p, which is (1-e) s(1-s): where s saturates to 0 with e = {epsilon:e} and n = 10, \
             that is 0, and the\nnotebook's is {:.1e}. So with cross-entropy a saturated network still learns; that is kept on\npurpose.",
            floor * (1.0 - floor)
        );
    }

    fn conclude(&self) -> Result<()> {
        if self.corners > 0 {
            say!(
                "{} coordinates were not compared: a ReLU changes side within the step, where there is no derivative.",
                self.corners
            );
        }
        if self.failures > 0 {
            let failures = self.failures;
            return Err(Failure::Failed(format!("{failures} checks failed: relative errors above {TOLERANCE:e}")));
        }
        say!("every gradient is right: no relative error above {TOLERANCE:e}");
        Ok(())
    }
}

/// Every hidden activation, every last one with every loss that fits it, classes and numbers.
fn every_combination(report: &mut Report, seed: u64) -> Result<()> {
    let x = waves(ROWS, 6);
    let values = waves(ROWS, 4).mapv(|v| 0.5 + 0.4 * v);
    let labels: Vec<u32> = (0..ROWS as u32).map(|row| row * 7 % 4).collect();
    for hidden in Activation::ALL {
        for last in Activation::ALL {
            for loss in Loss::ALL {
                let classes = Targets::Classes { labels: &labels, classes: 4 };
                let numbers = Targets::Values(values.view());
                let targets = match [classes, numbers].map(|targets| loss.check(last, 4, targets).is_ok()) {
                    [true, _] => BatchTargets::Classes(&labels),
                    [false, true] => BatchTargets::Values(values.view()),
                    [false, false] => continue,
                };
                let mlp = Mlp::new(&[6, 7, 5, 4], hidden.with_epsilon(0.0), last.with_epsilon(0.0));
                let network = drawn(&mlp, seed)?;
                report.add(Subject { network: &network, loss, x: x.view(), targets, pass: TRAINING }, seed)?;
            }
        }
    }
    let plain = Mlp::new(&[6, 7, 7, 4], Activation::Tanh, Activation::Softmax { epsilon: 0.0 });
    for mlp in [
        Mlp { norm: Some(NormKind::Layer), ..plain.clone() },
        Mlp { norm: Some(NormKind::Batch), ..plain.clone() },
        Mlp { dropout: 0.3, input_dropout: 0.2, ..plain.clone() },
        Mlp { residual: true, ..plain.clone() },
        Mlp { norm: Some(NormKind::Batch), dropout: 0.3, residual: true, ..plain },
    ] {
        let network = drawn(&mlp, seed)?;
        let targets = BatchTargets::Smoothed(&labels, 0.1);
        let loss = Loss::CrossEntropy;
        report.add(Subject { network: &network, loss, x: x.view(), targets, pass: TRAINING }, seed)?;
    }
    Ok(())
}

fn drawn(mlp: &Mlp, seed: u64) -> Result<Network<f64>> {
    let mut network = Network::of_layers(mlp.layers()?)?;
    Init::Normal { deviation: 0.5 }.draw(&mut network, seed);
    Ok(network)
}

type Batch = (Array2<f64>, Vec<u32>, Array2<f64>);

/// The first rows of `examples`, spread over all of them, as the model's network sees them.
fn batch_of(model: &Model<f64>, examples: &schuss_data::Examples) -> Result<Batch> {
    let dataset = examples.dataset()?;
    model.check(dataset)?;
    let rows: Vec<u32> = (0..ROWS.min(dataset.rows())).map(|i| (i * dataset.rows() / ROWS.max(1)) as u32).collect();
    let rows: Vec<u32> = rows.into_iter().map(|row| row.min(dataset.rows() as u32 - 1)).collect();
    let mut x = Array2::zeros((rows.len(), model.network.inputs()));
    model.scaling.gather(&Threads::ONE, dataset.features(), &rows, x.view_mut());
    let indices: Vec<usize> = rows.iter().map(|&row| row as usize).collect();
    Ok(match dataset.targets() {
        Targets::Classes { labels, .. } => (x, indices.iter().map(|&row| labels[row]).collect(), Array2::zeros((0, 0))),
        Targets::Values(values) => (x, Vec::new(), values.select(Axis(0), &indices)),
    })
}

fn made_up_batch(model: &Model<f64>) -> Batch {
    let outputs = model.network.outputs();
    let classes = if let Task::Classification { classes } = model.task { classes } else { 1 };
    let labels = (0..ROWS as u32).map(|row| row * 7 % classes as u32).collect();
    let targets = outputs / model.loss.outputs_per_target();
    // From 0 to 1, which every loss takes.
    (waves(ROWS, model.network.inputs()), labels, waves(ROWS, targets).mapv(|x| 0.5 + 0.4 * x))
}

/// Numbers in ±1 without a pattern that a network could hide behind.
fn waves(rows: usize, columns: usize) -> Array2<f64> {
    Array2::from_shape_fn((rows, columns), |(i, j)| ((i * columns + j) as f64 * 1.37 + (i * i) as f64 * 0.11).sin())
}
