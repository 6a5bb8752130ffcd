//! What steps of training do beside the gradient: dropout, mixup, weights, accumulation, frozen layers, and that none of it
//! depends on the number of threads.

use ndarray::Array2;
use schuss::{
    Activation, Augment, Control, Dataset, Features, Init, Loss, Mlp, Model, Network, NormKind, Order, Pass, Settings,
    Targets, Task, Threads, Trainer, Workspace, train, weights_sha256,
};

const ROWS: usize = 300;
const SOFTMAX: Activation = Activation::Softmax { epsilon: 1e-8 };

fn pixels() -> Array2<u8> {
    Array2::from_shape_fn((ROWS, 100), |(i, j)| ((i * 31 + j * 17) % 256) as u8)
}

fn labels() -> Vec<u32> {
    (0..ROWS as u32).map(|i| i * 7 % 10).collect()
}

fn everything() -> Mlp {
    Mlp {
        norm: Some(NormKind::Batch),
        dropout: 0.3,
        input_dropout: 0.1,
        residual: true,
        ..Mlp::new(&[100, 80, 80, 80, 10], Activation::Relu, SOFTMAX)
    }
}

fn model(mlp: &Mlp) -> Model<f32> {
    let mut network = Network::of_layers(mlp.layers().unwrap()).unwrap();
    Init::He.draw(&mut network, 3);
    let model = Model::new(network, Loss::CrossEntropy, Task::Classification { classes: 10 });
    Model { scaling: schuss::Scaling::Divide(255.0), example_shape: vec![10, 10], ..model }
}

fn trained(mlp: &Mlp, settings: &Settings, threads: usize) -> Model<f32> {
    let (pixels, labels) = (pixels(), labels());
    let data = Dataset::new(Features::U8(pixels.view()), Targets::Classes { labels: &labels, classes: 10 }).unwrap();
    let mut model = model(mlp);
    train(&mut model, data, None, settings, &Threads::new(threads).unwrap(), |_| Control::Continue).unwrap();
    model
}

#[test]
fn bits_do_not_depend_on_threads() {
    let settings = Settings {
        epochs: 3,
        batch_size: 128,
        mixup: 0.4,
        label_smoothing: 0.1,
        class_weights: (1..=10).map(f64::from).collect(),
        accumulate: 2,
        augment: Some("shift:2,rotate:10,elastic:10:3".parse::<Augment>().unwrap()),
        seed: 5,
        ..Settings::default()
    };
    for mlp in [everything(), Mlp { norm: Some(NormKind::Layer), ..everything() }] {
        let [one, two, seven] = [1, 2, 7].map(|threads| weights_sha256(&trained(&mlp, &settings, threads).network));
        assert_eq!((&one, &one), (&two, &seven));
        let other = trained(&mlp, &Settings { seed: 6, ..settings.clone() }, 1);
        assert_ne!(one, weights_sha256(&other.network), "the seed shows");
    }
}

/// Batches one after the other are one batch, but for rounding and for batch norms.
#[test]
fn accumulated_gradients_are_those_of_the_whole_batch() {
    let mlp = Mlp { norm: Some(NormKind::Layer), ..everything() };
    let (pixels, labels) = (pixels(), labels());
    let data = Dataset::new(Features::U8(pixels.view()), Targets::Classes { labels: &labels, classes: 10 }).unwrap();
    let rows: Vec<u32> = (0..100).collect();
    let gradient = |accumulate| {
        let mut model = model(&mlp);
        let settings = Settings { accumulate, batch_size: 100, mixup: 0.2, seed: 4, l2: 0.01, ..Settings::default() };
        let mut trainer = Trainer::new(&mut model, data, &settings, &Threads::ONE).unwrap();
        let loss = trainer.gradient(&rows);
        (loss, trainer.workspace().gradient().to_vec())
    };
    let (loss, whole) = gradient(1);
    for pieces in [2, 3, 7] {
        let (other_loss, other) = gradient(pieces);
        assert!((loss - other_loss).abs() < 1e-5 * loss, "{pieces}: {other_loss}, expected {loss}");
        let largest = whole.iter().fold(0.0f32, |largest, g| largest.max(g.abs()));
        for (g, other) in whole.iter().zip(&other) {
            assert!((g - other).abs() < 1e-5 * largest, "{pieces}: {other}, expected {g}");
        }
    }
}

#[test]
fn dropout_drops_its_share_and_keeps_the_mean() {
    let mlp = Mlp { input_dropout: 0.3, ..Mlp::new(&[1000, 1], Activation::Identity, Activation::Identity) };
    let mut network = Network::<f64>::of_layers(mlp.layers().unwrap()).unwrap();
    network.parameters_mut()[..1000].fill(1.0);
    let mut workspace = Workspace::new(&network, 100, &Threads::ONE);
    let x = Array2::ones((100, 1000));
    let mut sums = Vec::new();
    for step in 0..5 {
        workspace.set_pass(Pass::Training { seed: 1, step, first_row: 0 });
        sums.extend(network.forward(&mut workspace, x.view()).unwrap().iter().copied());
    }
    // 500,000 draws: of a share of 0.7 with a deviation of 0.00065.
    let share = sums.iter().sum::<f64>() / 500_000.0;
    assert!((share - 1.0).abs() < 0.004, "{share}");
    sums.sort_by(f64::total_cmp);
    sums.dedup();
    assert!(sums.len() > 30, "rows and steps differ: {sums:?}");
    // The same rows as the second half of a larger step.
    workspace.set_pass(Pass::Training { seed: 1, step: 0, first_row: 0 });
    let whole = network.forward(&mut workspace, x.view()).unwrap().to_owned();
    workspace.set_pass(Pass::Training { seed: 1, step: 0, first_row: 40 });
    let part = network.forward(&mut workspace, x.slice(ndarray::s![40.., ..])).unwrap();
    assert_eq!(part, whole.slice(ndarray::s![40.., ..]));
    workspace.set_pass(Pass::Inference);
    assert!(network.forward(&mut workspace, x.view()).unwrap().iter().all(|&sum| sum == 1000.0));
}

/// A large batch's running statistics tend to the columns' own mean and variance.
#[test]
fn running_statistics_are_learnt() {
    let mlp = Mlp { norm: Some(NormKind::Batch), ..Mlp::new(&[2, 2, 1], Activation::Relu, Activation::Identity) };
    let mut network = Network::<f64>::of_layers(mlp.layers().unwrap()).unwrap();
    network.parameters_mut()[..4].copy_from_slice(&[1.0, 0.0, 0.0, 1.0]);
    let mut workspace = Workspace::new(&network, 4, &Threads::ONE);
    let x = ndarray::arr2(&[[1.0, 10.0], [2.0, 10.0], [3.0, 40.0], [6.0, 20.0]]);
    for step in 0..400 {
        workspace.set_pass(Pass::Training { seed: 0, step, first_row: 0 });
        network.forward(&mut workspace, x.view()).unwrap();
        network.update_statistics(&workspace);
    }
    let expected = [3.0, 20.0, 14.0 / 3.0, 200.0];
    for (value, expected) in network.statistics().iter().zip(expected) {
        assert!((value - expected).abs() < 1e-9, "{value}, expected {expected}");
    }
}

#[test]
fn frozen_layers_stay() {
    let (pixels, labels) = (pixels(), labels());
    let data = Dataset::new(Features::U8(pixels.view()), Targets::Classes { labels: &labels, classes: 10 }).unwrap();
    let mut model = model(&everything());
    model.network.freeze(2).unwrap();
    let before = model.network.clone();
    let settings = Settings { epochs: 2, l2: 0.1, ..Settings::default() };
    train(&mut model, data, None, &settings, &Threads::ONE, |_| Control::Continue).unwrap();
    let tensors = model.network.tensors();
    for ((name, _, after), (_, _, before)) in tensors.into_iter().zip(before.tensors()) {
        let is_frozen = name.contains(".0.") || name.contains(".1.");
        assert_eq!(after == before, is_frozen, "{name}");
    }
    assert!(model.network.freeze(4).is_err());
}

/// Each example's share in the mixed sum is its own, and that of its partner the rest.
#[test]
fn mixup_mixes_inputs_and_targets_alike() {
    // Features are one-hot like the labels, so that inputs and targets must be mixed the same.
    let x = Array2::from_shape_fn((ROWS, 10), |(i, j)| if (i as u32 * 7 % 10) as usize == j { 1.0f64 } else { 0.0 });
    let labels = labels();
    let data = Dataset::new(Features::F64(x.view()), Targets::Classes { labels: &labels, classes: 10 }).unwrap();
    let network = Network::<f64>::new(&[10, 10], Activation::Identity, Activation::Identity).unwrap();
    let mut model = Model::new(network, Loss::Mse, Task::Classification { classes: 10 });
    // The identity: outputs equal targets, and there is no loss, exactly where both are mixed alike.
    (0..10).for_each(|i| model.network.parameters_mut()[i * 11] = 1.0);
    let settings = Settings { mixup: 0.5, batch_size: 100, order: Order::Sequential, ..Settings::default() };
    let rows: Vec<u32> = (0..100).collect();
    let mut trainer = Trainer::new(&mut model, data, &settings, &Threads::ONE).unwrap();
    assert!(trainer.gradient(&rows) < 1e-30);
    // And they are mixed: a network that answers 0 has the loss Σ λ² + (1 - λ)² over two, less than 1/2.
    model.network.parameters_mut().fill(0.0);
    let mut trainer = Trainer::new(&mut model, data, &settings, &Threads::ONE).unwrap();
    let loss = trainer.gradient(&rows);
    assert!((0.3..0.48).contains(&loss), "{loss}");
}
