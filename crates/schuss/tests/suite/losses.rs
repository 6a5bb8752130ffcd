//! Losses, activations and norms, with their gradients, against PyTorch's (`golden/make_losses.py`).

use ndarray::Array2;
use safetensors::SafeTensors;
use schuss::{Activation, BatchTargets, Layer, Loss, Network, Norm, NormKind, Output, Pass, Threads, Workspace};

const GOLDEN: &[u8] = include_bytes!("../golden/losses.safetensors");
const TOLERANCE: f64 = 1e-12;

fn golden() -> SafeTensors<'static> {
    SafeTensors::deserialize(GOLDEN).unwrap()
}

/// A golden tensor; a vector is one row.
#[track_caller]
fn tensor(name: &str) -> Array2<f64> {
    let golden = golden();
    let tensor = golden.tensor(name).unwrap_or_else(|_| panic!("golden file: {name}"));
    let values: Vec<f64> = tensor.data().as_chunks().0.iter().map(|&x| f64::from_le_bytes(x)).collect();
    let columns = tensor.shape().last().copied().unwrap_or(1);
    Array2::from_shape_vec((values.len() / columns, columns), values).unwrap()
}

/// Within the tolerance, relative to the largest value.
#[track_caller]
fn check_close(what: &str, got: &[f64], expected: &Array2<f64>) {
    assert_eq!(got.len(), expected.len(), "{what}: how many");
    let largest = expected.iter().fold(1e-3, |largest: f64, x| largest.max(x.abs()));
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!((got - expected).abs() <= TOLERANCE * largest, "{what}[{i}]: {got:e}, expected {expected:e}");
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Labels,
    Smoothed,
    Values,
}

/// The loss of a case, and its gradient with respect to the outputs, or the logits before a softmax.
#[track_caller]
fn check_loss(case: &str, kind: Kind) {
    let loss: Loss = case
        .split("-smoothed")
        .next()
        .unwrap()
        .split("-soft")
        .next()
        .unwrap()
        .split("-weighted")
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let z = tensor(&format!("{case}.outputs"));
    let rows = z.nrows();
    let last = if loss == Loss::CrossEntropy { Activation::Softmax { epsilon: 0.0 } } else { Activation::Identity };
    let mut a = z.clone();
    last.apply(&Threads::ONE, a.view_mut());
    let targets = tensor(&format!("{case}.targets"));
    let labels: Vec<u32> = targets.iter().map(|&x| x as u32).collect();
    // Class weights of the batch, with mean 1 over it, as schuss has them over a data set.
    let weights = golden().tensor(&format!("{case}.class_weights")).is_ok().then(|| {
        let of_class = tensor(&format!("{case}.class_weights"));
        let weights: Vec<f64> = labels.iter().map(|&label| of_class[(0, label as usize)]).collect();
        let mean = weights.iter().sum::<f64>() / rows as f64;
        weights.into_iter().map(|weight| weight / mean).collect::<Vec<_>>()
    });
    let targets = match kind {
        Kind::Labels => BatchTargets::Classes(&labels),
        Kind::Smoothed => BatchTargets::Smoothed(&labels, 0.1),
        Kind::Values => BatchTargets::Values(targets.view()),
    };
    let output = Output { activation: last, z: z.view(), a: a.view() };
    let mut gradient = Array2::zeros(z.dim());
    let sum = loss.evaluate(&Threads::ONE, output, targets, weights.as_deref(), Some(gradient.view_mut()));
    check_close(&format!("{case}: loss"), &[sum / rows as f64], &tensor(&format!("{case}.loss")));
    check_close(&format!("{case}: gradient"), gradient.as_slice().unwrap(), &tensor(&format!("{case}.gradient")));
}

#[test]
fn losses_are_pytorchs() {
    check_loss("cross-entropy", Kind::Labels);
    check_loss("cross-entropy-smoothed", Kind::Smoothed);
    check_loss("cross-entropy-soft", Kind::Values);
    check_loss("cross-entropy-weighted", Kind::Labels);
    for case in ["mse", "mae", "huber:0.7", "poisson", "binary-cross-entropy", "quantile:0.1,0.5,0.9"] {
        check_loss(case, Kind::Values);
    }
}

#[test]
fn activations_are_pytorchs() {
    for f in Activation::ALL {
        if matches!(f, Activation::Identity | Activation::Softmax { .. }) {
            continue;
        }
        let case = format!("activation-{}", f.name());
        let z = tensor(&format!("{case}.x"));
        let mut a = z.clone();
        f.apply(&Threads::ONE, a.view_mut());
        check_close(&format!("{case}: a"), a.as_slice().unwrap(), &tensor(&format!("{case}.a")));
        let mut d = tensor(&format!("{case}.d"));
        f.chain(&Threads::ONE, z.view(), a.view(), d.view_mut());
        check_close(&format!("{case}: dx"), d.as_slice().unwrap(), &tensor(&format!("{case}.dx")));
    }
}

/// A norm between two dense layers that are the identity, in training and out of it.
#[test]
fn norms_are_pytorchs() {
    let training = Pass::Training { seed: 0, step: 0, first_row: 0 };
    for (kind, name) in [(NormKind::Layer, "layer"), (NormKind::Batch, "batch")] {
        for (pass, pass_name) in [(training, "training"), (Pass::Inference, "inference")] {
            let case = format!("norm-{name}-{pass_name}");
            let of = |part: &str| tensor(&format!("{case}.{part}"));
            let n = 5;
            let dense = schuss::Dense::new(n, n, Activation::Identity);
            let norm = Norm { features: n, kind, activation: Activation::Identity };
            let layers = vec![Layer::Dense(dense), Layer::Norm(norm)];
            let mut network = Network::<f64>::of_layers(layers).unwrap();
            (0..n).for_each(|i| network.parameters_mut()[i * (n + 1)] = 1.0);
            let scale = n * (n + 1);
            network.parameters_mut()[scale..scale + n].copy_from_slice(of("weight").as_slice().unwrap());
            network.parameters_mut()[scale + n..].copy_from_slice(of("bias").as_slice().unwrap());
            if kind == NormKind::Batch {
                network.statistics_mut()[..n].copy_from_slice(of("mean").as_slice().unwrap());
                network.statistics_mut()[n..].copy_from_slice(of("var").as_slice().unwrap());
            }
            let x = of("x");
            let mut workspace = Workspace::new(&network, x.nrows(), &Threads::ONE);
            workspace.set_pass(pass);
            let a = network.forward(&mut workspace, x.view()).unwrap().to_owned();
            check_close(&format!("{case}: a"), a.as_slice().unwrap(), &of("a"));
            let mut dx = Array2::zeros(x.dim());
            network.backward(&mut workspace, of("d").view(), Some(dx.view_mut())).unwrap();
            check_close(&format!("{case}: dx"), dx.as_slice().unwrap(), &of("dx"));
            let gradient = &workspace.gradient()[scale..];
            check_close(&format!("{case}: d_weight"), &gradient[..n], &of("d_weight"));
            check_close(&format!("{case}: d_bias"), &gradient[n..], &of("d_bias"));
            if kind == NormKind::Batch {
                if pass == training {
                    network.update_statistics(&workspace);
                }
                check_close(&format!("{case}: mean"), &network.statistics()[..n], &of("mean_after"));
                check_close(&format!("{case}: var"), &network.statistics()[n..], &of("var_after"));
            }
        }
    }
}
