//! What steps of training do beside the gradient: dropout, mixup, weights, accumulation, frozen layers, and that none of it
//! depends on the number of threads.

use ndarray::Array2;
use schuss::{
    Activation, Augment, Clip, Control, Dataset, Error, Evaluate, Event, Features, Init, Keep, Loss, Mlp, Model,
    Network, NormKind, OnDivergence, Optimizer, Order, Pace, Parts, Pass, Run, Schedule, Settings, Summary, Targets,
    Task, Threads, Trainer, WarmUp, Workspace, train, weights_sha256,
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
    train(&mut model, Parts::of(data), settings, &Threads::new(threads).unwrap(), |_| Control::Continue).unwrap();
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
    train(&mut model, Parts::of(data), &settings, &Threads::ONE, |_| Control::Continue).unwrap();
    let tensors = model.network.tensors();
    for ((name, _, after), (_, _, before)) in tensors.into_iter().zip(before.tensors()) {
        let is_frozen = name.contains(".0.") || name.contains(".1.");
        assert_eq!(after == before, is_frozen, "{name}");
    }
    assert!(model.network.freeze(4).is_err());
}

/// The penalty's gradient is 2·l2·θ, of all parameters or of weights alone.
#[test]
fn a_penalty_spares_biases_where_it_is_asked_to() {
    let (pixels, labels) = (pixels(), labels());
    let data = Dataset::new(Features::U8(pixels.view()), Targets::Classes { labels: &labels, classes: 10 }).unwrap();
    let rows: Vec<u32> = (0..32).collect();
    let gradient = |l2, l2_on_biases| {
        let mut model = model(&everything());
        model.network.parameters_mut().iter_mut().for_each(|parameter| *parameter += 0.25);
        let settings = Settings { l2_on_biases, ..Settings::default() };
        let mut trainer = Trainer::new(&mut model, data, &settings, &Threads::ONE).unwrap();
        trainer.set_l2(l2);
        trainer.gradient(&rows);
        trainer.workspace().gradient().to_vec()
    };
    let network = {
        let mut model = model(&everything());
        model.network.parameters_mut().iter_mut().for_each(|parameter| *parameter += 0.25);
        model.network
    };
    let plain = gradient(0.0, true);
    for on_biases in [true, false] {
        let penalized = gradient(0.5, on_biases);
        for segment in network.segments() {
            let is_weight = segment.name.starts_with("layers.") && segment.name.ends_with(".weight");
            let factor = if is_weight || on_biases { 1.0 } else { 0.0 };
            for i in segment.range.clone() {
                let expected = plain[i] + factor * network.parameters()[i];
                assert!(
                    (penalized[i] - expected).abs() < 1e-5,
                    "{}: {}, expected {expected}",
                    segment.name,
                    penalized[i]
                );
            }
        }
    }
}

/// Two trainings, the second with what the first one's optimiser remembers, are one.
#[test]
fn an_optimizer_goes_on_in_another_training() {
    let (pixels, labels) = (pixels(), labels());
    let data = Dataset::new(Features::U8(pixels.view()), Targets::Classes { labels: &labels, classes: 10 }).unwrap();
    let batches: Vec<Vec<u32>> = (0..6).map(|i| (i * 32..(i + 1) * 32).collect()).collect();
    let settings = Settings::default();
    let mlp = Mlp::new(&[100, 20, 10], Activation::Relu, SOFTMAX);
    let mut whole = model(&mlp);
    let mut trainer = Trainer::new(&mut whole, data, &settings, &Threads::ONE).unwrap();
    batches.iter().for_each(|rows| assert!(trainer.step(rows, 0.01).is_some()));
    let mut parts = model(&mlp);
    let mut trainer = Trainer::new(&mut parts, data, &settings, &Threads::ONE).unwrap();
    batches[..3].iter().for_each(|rows| assert!(trainer.step(rows, 0.01).is_some()));
    let optimizer = trainer.into_optimizer();
    let mut trainer = Trainer::new(&mut parts, data, &settings, &Threads::ONE).unwrap();
    trainer.set_optimizer(optimizer.clone()).unwrap();
    batches[3..].iter().for_each(|rows| assert!(trainer.step(rows, 0.01).is_some()));
    assert_eq!(weights_sha256(&parts.network), weights_sha256(&whole.network));
    // Neither another rule nor another network goes on with it.
    let sgd = Settings { optimizer: Optimizer::SGD, ..Settings::default() };
    assert!(Trainer::new(&mut parts, data, &sgd, &Threads::ONE).unwrap().set_optimizer(optimizer.clone()).is_err());
    let mut larger = model(&Mlp::new(&[100, 21, 10], Activation::Relu, SOFTMAX));
    assert!(Trainer::new(&mut larger, data, &settings, &Threads::ONE).unwrap().set_optimizer(optimizer).is_err());
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

fn everything_on(optimizer: Optimizer) -> Settings {
    Settings {
        optimizer,
        learning_rate: 0.003,
        schedule: "cosine".parse().unwrap(),
        warm_up: WarmUp { steps: 5 },
        weight_decay: 0.01,
        clip: Some(Clip::Norm(1.0)),
        average: Some(0.9),
        epochs: 3,
        batch_size: 64,
        mixup: 0.4,
        label_smoothing: 0.1,
        augment: Some("shift:2,rotate:10,elastic:10:3".parse::<Augment>().unwrap()),
        keep: Keep::Best,
        patience: Some(5),
        seed: 5,
        ..Settings::default()
    }
}

/// Killed after any event and resumed on another number of threads, a run ends with the same bits.
#[test]
fn a_resumed_run_ends_with_the_same_bits() {
    let (pixels, labels) = (pixels(), labels());
    let targets = |range: std::ops::Range<usize>| Targets::Classes { labels: &labels[range], classes: 10 };
    let view = pixels.view();
    let (first, second) = view.split_at(ndarray::Axis(0), 200);
    let parts = Parts {
        train: Dataset::new(Features::U8(first), targets(0..200)).unwrap(),
        valid: Some(Dataset::new(Features::U8(second), targets(200..ROWS)).unwrap()),
        test: None,
    };
    let nesterov = Optimizer::Sgd { momentum: 0.9, nesterov: true };
    for optimizer in Optimizer::ALL.into_iter().chain([nesterov]) {
        let settings = everything_on(optimizer);
        let undisturbed = |threads: usize| {
            let mut model = model(&everything());
            let summary =
                schuss::train(&mut model, parts, &settings, &Threads::new(threads).unwrap(), |_| Control::Continue);
            (weights_sha256(&model.network), summary.unwrap())
        };
        let expected = undisturbed(2);
        for kill_after in [0, 1, 2, 5, 7, 11] {
            let mut model_before = model(&everything());
            let mut run = Run::new(&mut model_before, parts, &settings, &Threads::ONE).unwrap();
            for _ in 0..kill_after {
                run.advance().unwrap();
            }
            let checkpoint = run.checkpoint();
            drop(run);
            let mut other = model(&everything());
            let threads = Threads::new(3).unwrap();
            let mut run = Run::resume(&mut other, parts, &settings, &threads, &checkpoint).unwrap();
            assert_eq!(run.checkpoint(), checkpoint, "a checkpoint of a checkpoint is itself");
            while run.advance().unwrap().is_some() {}
            let summary = run.finish().unwrap();
            let got = (weights_sha256(&other.network), summary);
            assert_eq!(got, expected, "{optimizer:?}, killed after {kill_after} events");
        }
        // Another setting, other data, another network, another file: refused, with what differs.
        let mut model_before = model(&everything());
        let checkpoint = Run::new(&mut model_before, parts, &settings, &Threads::ONE).unwrap().checkpoint();
        let refused = |mlp: Mlp, parts: Parts, settings: &Settings, bytes: &[u8], expected: &str| {
            let mut model = model(&mlp);
            let error = Run::resume(&mut model, parts, settings, &Threads::ONE, bytes).unwrap_err().to_string();
            assert!(error.contains(expected), "{expected:?} is not in {error:?}");
        };
        let other = Settings { batch_size: 32, ..settings.clone() };
        refused(everything(), parts, &other, &checkpoint, "batch size of the checkpoint: expected 32");
        let swapped = Parts { train: parts.valid.unwrap(), ..parts };
        refused(everything(), swapped, &settings, &checkpoint, "training data of the checkpoint: expected 100 rows");
        let smaller = Mlp { sizes: vec![100, 80, 80, 10], ..everything() };
        refused(smaller, parts, &settings, &checkpoint, "network of the checkpoint");
        refused(everything(), parts, &settings, &checkpoint[..checkpoint.len() / 2], "checkpoint");
        refused(everything(), parts, &settings, b"", "checkpoint");
    }
}

fn with_valid<'d>(pixels: &'d Array2<u8>, labels: &'d [u32]) -> Parts<'d> {
    let dataset = Dataset::new(Features::U8(pixels.view()), Targets::Classes { labels, classes: 10 }).unwrap();
    Parts { valid: Some(dataset), ..Parts::of(dataset) }
}

/// What is kept is the best epoch, measured again, and a run without hope ends.
#[test]
fn the_best_epoch_is_kept_and_patience_ends() {
    let (pixels, labels) = (pixels(), labels());
    let parts = Parts { test: None, ..with_valid(&pixels, &labels) };
    // So fast that it soon gets worse.
    let settings =
        Settings { learning_rate: 0.3, epochs: 60, keep: Keep::Best, patience: Some(4), ..Settings::default() };
    let mut model = model(&Mlp::new(&[100, 30, 10], Activation::Relu, SOFTMAX));
    let mut accuracies = Vec::new();
    let summary = train(&mut model, parts, &settings, &Threads::ONE, |event| {
        if let Event::Epoch { epoch: 0.., valid: Some(valid), .. } = event {
            accuracies.push(valid.accuracy().unwrap());
        }
        Control::Continue
    })
    .unwrap();
    let best = accuracies.iter().copied().fold(0.0, f64::max);
    let first_best = accuracies.iter().position(|&accuracy| accuracy == best).unwrap();
    let last_best = accuracies.iter().rposition(|&accuracy| accuracy == best).unwrap();
    assert!(summary.stopped && accuracies.len() == first_best + 6, "{accuracies:?}");
    assert_eq!(summary.kept_epoch, last_best as i64, "{accuracies:?}");
    assert_eq!(summary.measured.valid, Some(model.evaluate(parts.train, &Threads::ONE).unwrap()));
    assert_eq!(summary.measured.valid.unwrap().accuracy(), Some(best));
}

/// A run whose validation loss has become less by too small a share where its schedule rests ends there.
#[test]
fn what_gains_too_little_ends_at_a_rest() {
    let (pixels, labels) = (pixels(), labels());
    let parts = Parts { test: None, ..with_valid(&pixels, &labels) };
    let schedule = Schedule::CosLog4;
    let settings =
        |least_gain| Settings { learning_rate: 0.05, epochs: 30, schedule, least_gain, ..Settings::default() };
    let losses = |least_gain| {
        let settings = settings(least_gain);
        let mut model = model(&Mlp::new(&[100, 30, 10], Activation::Relu, SOFTMAX));
        let mut losses = Vec::new();
        let summary = train(&mut model, parts, &settings, &Threads::ONE, |event| {
            if let Event::Epoch { epoch: 0.., valid: Some(valid), .. } = event {
                losses.push(valid.loss);
            }
            Control::Continue
        })
        .unwrap();
        assert_eq!(summary.stopped, losses.len() < 30);
        losses
    };
    let all = losses(0.0);
    // 3/15 and 7/15 of 30 epochs.
    let [first, second] = [6, 14].map(|epochs| all[..epochs].iter().copied().fold(f64::INFINITY, f64::min));
    let gain = 1.0 - second / first;
    let ends = [(0.0, 30), (0.5 * gain, 30), (gain + 1e-9, 14), (1.0, 14)];
    for (least_gain, end) in ends {
        assert_eq!(losses(least_gain), all[..end], "{least_gain} of {gain}");
    }
    // Whoever goes on knows what was there at the rest before.
    let steps = |kill_after: usize| {
        let mut model = model(&Mlp::new(&[100, 30, 10], Activation::Relu, SOFTMAX));
        let mut other = model.clone();
        let mut run = Run::new(&mut model, parts, &settings(1.0), &Threads::ONE).unwrap();
        (0..kill_after).for_each(|_| drop(run.advance().unwrap()));
        let mut run = Run::resume(&mut other, parts, &settings(1.0), &Threads::ONE, &run.checkpoint()).unwrap();
        while run.advance().unwrap().is_some() {}
        run.steps()
    };
    assert_eq!([1, 20, 40].map(steps), [steps(0); 3]);
}

/// A loss that cannot become less ends a run at the first rest; one that is asked for no gain makes all of its epochs.
#[test]
fn what_is_learnt_to_0_ends_at_the_first_rest() {
    // The class is the sign, at distances at which softmax is 0 or 1.
    let x = Array2::from_shape_fn((40, 1), |(row, _)| if row % 2 == 0 { -100.0_f32 } else { 100.0 });
    let labels: Vec<u32> = (0..40).map(|row| row % 2).collect();
    let targets = Targets::Classes { labels: &labels, classes: 2 };
    let dataset = Dataset::new(Features::F32(x.view()), targets).unwrap();
    let parts = Parts { valid: Some(dataset), ..Parts::of(dataset) };
    let network = Network::<f32>::new(&[1, 2], Activation::Identity, Activation::Softmax { epsilon: 0.0 }).unwrap();
    let before = Model::new(network, Loss::CrossEntropy, Task::Classification { classes: 2 });
    for (least_gain, epochs) in [(0.01, 6), (1e-9, 6), (0.0, 30)] {
        let schedule = Schedule::CosLog4;
        let settings =
            Settings { learning_rate: 0.05, batch_size: 8, epochs: 30, schedule, least_gain, ..Settings::default() };
        let summary = train(&mut before.clone(), parts, &settings, &Threads::ONE, |_| Control::Continue).unwrap();
        assert_eq!((summary.steps, summary.stopped), (5 * epochs, epochs < 30), "{least_gain}");
    }
}

/// A loss that overflows: the message names where; a run that may go back goes on with half the rate and ends well.
#[test]
fn what_is_not_finite_is_noticed_at_its_step() {
    let (pixels, labels) = (pixels(), labels());
    let parts = with_valid(&pixels, &labels);
    let settings = Settings { optimizer: Optimizer::SGD, learning_rate: 1e30, epochs: 4, ..Settings::default() };
    let plain = Mlp::new(&[100, 30, 10], Activation::Relu, SOFTMAX);
    let run = |settings: &Settings, events: &mut Vec<Event>| {
        let mut model = model(&plain);
        let before = model.network.clone();
        let result = train(&mut model, parts, settings, &Threads::ONE, |event| {
            events.push(event);
            Control::Continue
        });
        (result, before, model)
    };
    let (result, before, after) = run(&settings, &mut Vec::new());
    let Err(Error::Diverged { step, culprit, last_good_epoch, .. }) = result else { panic!("{result:?}") };
    assert!(step <= 2 && last_good_epoch == -1, "{step}");
    assert!(culprit.contains("layers."), "{culprit}");
    assert_eq!(before, after.network, "the last good parameters");

    let settings = Settings { on_divergence: OnDivergence::Rollback, learning_rate: 100.0, ..settings };
    let mut events = Vec::new();
    let (result, ..) = run(&Settings { learning_rate: 1e30, ..settings.clone() }, &mut events);
    let rollbacks = |events: &[Event]| events.iter().filter(|e| matches!(e, Event::RolledBack { .. })).count();
    assert!(matches!(result, Err(Error::Diverged { .. })), "half of too much ten times is still too much");
    assert_eq!(rollbacks(&events), 10);

    // A linear model overflows within an epoch at a rate of 2, and learns at a fraction of it.
    let mut linear = model(&Mlp::new(&[100, 10], Activation::Identity, Activation::Identity));
    linear.loss = Loss::Mse;
    let mut events = Vec::new();
    let settings = Settings { learning_rate: 2.0, batch_size: 4, ..settings };
    let summary = train(&mut linear, parts, &settings, &Threads::ONE, |event| {
        events.push(event);
        Control::Continue
    });
    assert!((1..10).contains(&rollbacks(&events)), "{}", rollbacks(&events));
    assert!(summary.is_ok(), "{summary:?}");

    // In larger steps it is finite after an epoch, but on its way: what it goes back to is from before.
    linear = model(&Mlp::new(&[100, 10], Activation::Identity, Activation::Identity));
    linear.loss = Loss::Mse;
    let settings = Settings { batch_size: 30, epochs: 60, ..settings };
    let mut events = Vec::new();
    let summary = train(&mut linear, parts, &settings, &Threads::ONE, |event| {
        events.push(event);
        Control::Continue
    });
    let first = events.iter().find(|event| matches!(event, Event::RolledBack { .. }));
    assert!(matches!(first, Some(Event::RolledBack { good_epoch: -1, step: 10.., .. })), "{first:?}");
    let loss = summary.unwrap().measured.valid.unwrap().loss;
    assert!(loss < 1.0, "{loss}, {} rollbacks", rollbacks(&events));
}

/// A run that is told how far it is, and the same steps again from what it was told.
#[test]
fn a_pace_repeats_itself() {
    let (pixels, labels) = (pixels(), labels());
    let parts = with_valid(&pixels, &labels);
    let settings = Settings {
        schedule: "one-cycle".parse().unwrap(),
        pace: Some(Pace::live()),
        epochs: usize::MAX,
        evaluation: Evaluate::AtEnd,
        ..Settings::default()
    };
    let run = |settings: &Settings, is_live: bool| -> (String, Summary, Vec<f64>) {
        let mut model = model(&everything());
        let mut run = Run::new(&mut model, parts, settings, &Threads::ONE).unwrap();
        let mut rates = Vec::new();
        while let Some(event) = run.advance().unwrap() {
            if let Event::Step { step, learning_rate, .. } = event {
                rates.push(learning_rate);
                // A machine that becomes slower.
                if is_live && step % 3 == 0 {
                    run.set_progress((step as f64 / 50.0).sqrt());
                }
            }
        }
        let summary = run.finish().unwrap();
        (weights_sha256(&model.network), summary, rates)
    };
    let (sha, summary, rates) = run(&settings, true);
    assert!((50..=55).contains(&summary.steps), "{}", summary.steps);
    let pace: Pace = summary.pace.clone().unwrap().to_string().parse().unwrap();
    let again = Settings { pace: Some(pace), steps: Some(summary.steps), ..settings };
    let (sha_again, summary_again, rates_again) = run(&again, false);
    assert_eq!((sha, summary.steps, &rates), (sha_again, summary_again.steps, &rates_again));
    assert!(rates.iter().fold(0.0f64, |most, rate| most.max(*rate)) > 0.0009, "{rates:?}");
    assert!(rates[rates.len() - 1] < 0.0002, "{rates:?}");
}

/// Rates rise evenly, the loss falls and then explodes, and what is suggested lies between; the model is left alone.
#[test]
fn a_learning_rate_is_found() {
    let (pixels, labels) = (pixels(), labels());
    let parts = with_valid(&pixels, &labels);
    let model = model(&Mlp::new(&[100, 30, 10], Activation::Relu, SOFTMAX));
    let before = model.clone();
    let settings = Settings { optimizer: Optimizer::SGD, ..Settings::default() };
    let found = schuss::find_rate(&model, parts.train, &settings, &Threads::ONE, 200, [1e-4, 1e3]).unwrap();
    assert_eq!(model, before);
    let [first, last] = [found.points[0], found.points[found.points.len() - 1]];
    assert!(found.points.len() < 200 && first.0 == 1e-4 && last.0 < 1e3, "{last:?}");
    let ratio = found.points[1].0 / found.points[0].0;
    assert!(found.points.windows(2).all(|pair| (pair[1].0 / pair[0].0 / ratio - 1.0).abs() < 1e-9));
    for rate in [found.steepest.unwrap(), found.tenth_of_best.unwrap()] {
        assert!((1e-3..10.0).contains(&rate), "{rate}");
    }
}

/// What a run that diverges leaves is what it measured after its last good epoch: the average where there is one, the
/// best epoch where that is kept.
#[test]
fn a_diverged_run_leaves_what_it_measured() {
    let (pixels, labels) = (pixels(), labels());
    let parts = with_valid(&pixels, &labels);
    let average = Settings { average: Some(0.9), ..Settings::default() };
    let schedule_free = Settings { optimizer: Optimizer::SCHEDULE_FREE, ..Settings::default() };
    for settings in [average, schedule_free, Settings { keep: Keep::Best, ..Settings::default() }] {
        let settings = Settings { schedule: "step:30:1e37".parse().unwrap(), epochs: 6, ..settings };
        let mut model = model(&Mlp::new(&[100, 30, 10], Activation::Relu, SOFTMAX));
        let mut measured = Vec::new();
        let result = train(&mut model, parts, &settings, &Threads::ONE, |event| {
            if let Event::Epoch { epoch, valid: Some(valid), .. } = event {
                measured.push((epoch, valid));
            }
            Control::Continue
        });
        let Err(Error::Diverged { last_good_epoch, .. }) = result else { panic!("{result:?}") };
        let (_, expected) = measured.iter().find(|(epoch, _)| *epoch == last_good_epoch).unwrap();
        assert_eq!(model.evaluate(parts.train, &Threads::ONE).unwrap(), *expected, "{settings:?}");
    }
}
