//! Several networks that predict together.

use ndarray::{Array2, Axis};
use schuss::{
    Activation, Category, Dataset, Embed, Features, Init, Layer, Loss, Mlp, Model, ModelFile, Network, NormKind, Parts,
    Periodic, Predictor, Scores, Settings, Targets, Task, Threads, Trainer, fork, train,
};

const ROWS: usize = 1200;

fn columns() -> Array2<f32> {
    Array2::from_shape_fn((ROWS, 4), |(i, j)| ((i * 7 + j * 5) as f32 * 0.37).sin())
}

fn member(seed: u64, outputs: usize, last: Activation, loss: Loss, task: Task) -> Model<f32> {
    let mut network = Network::new(&[4, 16, outputs], Activation::Tanh, last).unwrap();
    Init::Normal { deviation: 0.8 }.draw(&mut network, seed);
    Model::new(network, loss, task)
}

/// A prediction is the mean of the members', alone and among others, and after a file.
#[track_caller]
fn check(outputs: usize, last: Activation, loss: Loss, task: Task) {
    let columns = columns();
    let features = Features::F32(columns.view());
    let members: Vec<_> = (0..3).map(|seed| member(seed, outputs, last, loss, task)).collect();
    let ensemble = Model::ensemble(members.clone()).unwrap();
    check_mean(&members, &ensemble, features);
    assert_ne!(ensemble.weights_sha256(), schuss::weights_sha256(&ensemble.network));
}

/// What `ensemble` predicts for these examples of 32 bits is the mean of what `members` predict.
#[track_caller]
fn check_mean(members: &[Model<f32>], ensemble: &Model<f32>, features: Features) {
    let Features::F32(columns) = features else { panic!("features of 32 bits") };
    let loss = ensemble.loss;
    let predict = |model: &Model<f32>| model.predict(features, &Threads::ONE).unwrap();
    let mean = members.iter().map(predict).reduce(|sum, next| sum + next).unwrap() / members.len() as f64;
    let predictions = predict(ensemble);
    let errors = predictions.iter().zip(&mean).map(|(got, mean)| (got - mean).abs() / mean.abs().max(1.0));
    let worst = errors.fold(0.0, f64::max);
    assert!(worst < 2e-6, "{loss:?}: {worst}");

    let two = ensemble.predict(features, &Threads::new(2).unwrap()).unwrap();
    assert_eq!(two, predictions);
    let mut predictor = Predictor::new(ensemble).unwrap();
    for (row, expected) in predictions.rows().into_iter().enumerate().step_by(37) {
        let example = columns.slice_axis(Axis(0), (row..row + 1).into());
        assert_eq!(predictor.predict(Features::F32(example)).unwrap(), expected.to_slice().unwrap(), "{loss:?}");
    }
    let path = std::env::temp_dir().join(format!("schuss-ensemble-{}-{}.safetensors", std::process::id(), loss.name()));
    ensemble.save(&path).unwrap();
    let read = ModelFile::read(&path).unwrap().model::<f32>();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(read, *ensemble);
}

#[test]
fn the_mean_is_predicted() {
    let softmax = |epsilon| Activation::Softmax { epsilon };
    let classes = |classes| Task::Classification { classes };
    check(3, softmax(0.0), Loss::CrossEntropy, classes(3));
    check(3, softmax(1e-8), Loss::Mse, classes(3));
    check(1, Activation::Identity, Loss::BinaryCrossEntropy, classes(2));
    check(1, Activation::Identity, Loss::Mae, Task::Regression);
    check(2, Activation::Identity, Loss::Poisson, Task::Regression);
}

/// The loss of an ensemble is that of its prediction, not the mean of its members'.
#[test]
fn the_loss_is_that_of_the_mean() {
    let columns = columns();
    let labels: Vec<u32> = (0..ROWS as u32).map(|i| i * 7 % 3).collect();
    let dataset =
        Dataset::new(Features::F32(columns.view()), Targets::Classes { labels: &labels, classes: 3 }).unwrap();
    for epsilon in [0.0, 1e-8] {
        let softmax = Activation::Softmax { epsilon };
        let task = Task::Classification { classes: 3 };
        let members: Vec<_> = (0..3).map(|seed| member(seed, 3, softmax, Loss::CrossEntropy, task)).collect();
        let loss = |model: &Model<f32>| model.evaluate(dataset, &Threads::ONE).unwrap().loss;
        let of_members = members.iter().map(loss).sum::<f64>() / 3.0;
        let ensemble = Model::ensemble(members).unwrap();
        let predictions = ensemble.predict(dataset.features(), &Threads::ONE).unwrap();
        let expected = predictions.rows().into_iter().zip(&labels).map(|(p, &y)| -p[y as usize].ln()).sum::<f64>();
        let metrics = ensemble.evaluate(dataset, &Threads::ONE).unwrap();
        assert!((metrics.loss - expected / ROWS as f64).abs() < 1e-6, "{metrics:?}");
        assert!(metrics.loss < of_members, "a mean is better than what it is of, where the loss is convex");
        assert!(
            matches!(metrics.scores, Scores::Classification { log_loss: Some(log_loss), .. } if log_loss == metrics.loss)
        );
    }
}

/// However sure its networks are, an ensemble's loss is a number, and its predictions the mean.
#[test]
fn sure_networks_have_a_loss() {
    let columns = columns();
    let softmax = Activation::Softmax { epsilon: 0.0 };
    let binary = Task::Classification { classes: 2 };
    let labels: Vec<u32> = (0..ROWS as u32).map(|i| i % 2).collect();
    let values = Array2::from_shape_fn((ROWS, 1), |(i, _)| (i % 5) as f64);
    let classes = Targets::Classes { labels: &labels, classes: 2 };
    for (outputs, last, loss, task, targets) in [
        (1, Activation::Identity, Loss::BinaryCrossEntropy, binary, classes),
        (2, softmax, Loss::CrossEntropy, binary, classes),
        (1, Activation::Identity, Loss::Poisson, Task::Regression, Targets::Values(values.view())),
    ] {
        // A rate of e²⁰⁰ is no number of 32 bits.
        let most = if loss == Loss::Poisson { 80.0 } else { 200.0 };
        for bias in [-200.0, -40.0, -17.5, 17.5, 40.0, most] {
            let sure = |seed: u64| {
                let mut model = member(seed, outputs, last, loss, task);
                let bias_of_last = model.network.segments().last().unwrap().range.start;
                model.network.parameters_mut()[bias_of_last] = bias;
                model
            };
            let ensemble = Model::ensemble(vec![sure(0), sure(1)]).unwrap();
            let dataset = Dataset::new(Features::F32(columns.view()), targets).unwrap();
            let metrics = ensemble.evaluate(dataset, &Threads::ONE).unwrap();
            assert!(metrics.loss.is_finite(), "{loss:?}, {bias}: {metrics:?}");
            let predictions = ensemble.predict(dataset.features(), &Threads::ONE).unwrap();
            assert!(predictions.iter().all(|p| p.is_finite()), "{loss:?}, {bias}");
            if task == binary {
                let of = |model: &Model<f32>| model.predict(dataset.features(), &Threads::ONE).unwrap();
                let mean = (of(&sure(0)) + of(&sure(1))) / 2.0;
                // Each to seven digits, small as it is, down to the least number of 32 bits.
                let off = predictions.iter().zip(&mean).map(|(p, mean)| (p - mean).abs() / (mean + 1e-32));
                assert!(off.clone().fold(0.0, f64::max) < 2e-5, "{loss:?}, {bias}: {:?}", off.fold(0.0, f64::max));
            }
        }
    }
}

#[test]
fn what_does_not_go_together_is_refused() {
    let member = |loss, outputs| member(0, outputs, Activation::Identity, loss, Task::Regression);
    assert!(Model::<f32>::ensemble(vec![]).is_err());
    for other in
        [member(Loss::Mae, 1), member(Loss::Mse, 2), Model { class_names: vec!["a".into()], ..member(Loss::Mse, 1) }]
    {
        let message = Model::ensemble(vec![member(Loss::Mse, 1), other]).unwrap_err().to_string();
        assert!(message.contains("member 1 of an ensemble"), "{message}");
    }
    // An ensemble of ensembles is one of all of them; it has no temperature of its own.
    let two = || Model::ensemble(vec![member(Loss::Mse, 1), member(Loss::Mse, 1)]).unwrap();
    assert_eq!(Model::ensemble(vec![two(), two()]).unwrap().networks().len(), 4);
}

/// A file that says that it has more members than tensors is refused, before memory is laid out for them.
#[test]
fn hostile_files_are_refused() {
    let members = vec![member(0, 1, Activation::Identity, Loss::Mse, Task::Regression); 2];
    let path = std::env::temp_dir().join(format!("schuss-ensemble-{}-hostile.safetensors", std::process::id()));
    Model::ensemble(members).unwrap().save(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let said = br#"\"members\":2"#;
    let at = bytes.windows(said.len()).position(|part| part == said).unwrap();
    for count in ["0", "1", "3", "9"] {
        let mut hostile = bytes.clone();
        hostile[at + said.len() - 1] = count.as_bytes()[0];
        assert!(ModelFile::from_bytes(&hostile).is_err(), "{count} members");
    }
}

/// Layers of every kind, forked into five networks.
fn forked(outputs: usize, last: Activation) -> Vec<Vec<Layer>> {
    let plain = Mlp::new(&[4, 16, 16, outputs], Activation::Tanh, last);
    let mut kinds: Vec<Vec<Layer>> = [
        Mlp::new(&[4, outputs], Activation::Relu, last),
        plain.clone(),
        Mlp { norm: Some(NormKind::Batch), dropout: 0.2, residual: true, ..plain.clone() },
        Mlp { norm: Some(NormKind::Layer), input_dropout: 0.2, ..plain },
    ]
    .iter()
    .map(|mlp| mlp.layers().unwrap())
    .collect();
    let periodic = Some(Periodic { frequencies: 3, outputs: 4, deviation: 0.3, factors: schuss::Factors::ONE });
    let embed = Embed { numbers: 2, periodic, plain: 1, categories: vec![Category { count: 3, width: 2 }] };
    let features = embed.outputs();
    let mut of_table =
        vec![Layer::Embed(embed), Layer::Scale(schuss::Scale { features, factors: schuss::Factors::ONE })];
    of_table.extend(Mlp::new(&[features, 8, outputs], Activation::Mish, last).layers().unwrap());
    kinds.push(of_table);
    kinds.into_iter().map(|layers| fork(layers, 5).unwrap()).collect()
}

/// A network that forks predicts what its networks alone predict, to the last bit.
#[test]
fn networks_that_share_layers_are_networks() {
    let softmax = Activation::Softmax { epsilon: 0.0 };
    let cases = [
        (3, softmax, Loss::CrossEntropy, Task::Classification { classes: 3 }),
        (1, Activation::Identity, Loss::BinaryCrossEntropy, Task::Classification { classes: 2 }),
        (2, Activation::Identity, Loss::Mse, Task::Regression),
    ];
    let columns = columns();
    for (outputs, last, loss, task) in cases {
        for layers in forked(outputs, last) {
            let mut network = Network::<f32>::of_layers(layers).unwrap();
            Init::Normal { deviation: 0.8 }.draw(&mut network, 3);
            network.statistics_mut().iter_mut().enumerate().for_each(|(i, x)| *x += (i as f32).sin().abs());
            let networks = network.unfolded();
            assert_eq!((networks.len(), network.members()), (5, 5));
            let members: Vec<_> = networks.into_iter().map(|network| Model::new(network, loss, task)).collect();
            let model = Model::new(network, loss, task);
            check_mean(&members, &model, Features::F32(columns.view()));
            let predict = |model: &Model<f32>| model.predict(Features::F32(columns.view()), &Threads::ONE).unwrap();
            assert_eq!(predict(&model.unfolded()), predict(&model));
            assert_ne!(predict(&members[0]), predict(&members[1]), "networks differ");
            // Two of them are networks of ten, whose mean is predicted.
            let two = Model::ensemble(vec![model.clone(), model.clone()]).unwrap();
            assert_eq!((two.members(), two.unfolded().networks().len()), (10, 10));
            assert_eq!(predict(&two.unfolded()), predict(&two));
        }
    }
}

/// Trained together, on any number of threads, in parts or at once, the networks learn what each can see.
#[test]
fn networks_that_share_layers_learn() {
    let columns = columns();
    let labels: Vec<u32> =
        columns.rows().into_iter().map(|x| u32::from(x[0] * x[1] > 0.0) + u32::from(x[2] > 0.6)).collect();
    let weights: Vec<f64> = (0..ROWS).map(|i| 1.0 + (i % 3) as f64).collect();
    let targets = Targets::Classes { labels: &labels, classes: 3 };
    let plain = Dataset::new(Features::F32(columns.view()), targets).unwrap();
    let weighted = plain.with_weights(&weights).unwrap();
    let mlp = Mlp { dropout: 0.1, ..Mlp::new(&[4, 32, 32, 3], Activation::Relu, Activation::Softmax { epsilon: 0.0 }) };
    let fit = |data: Dataset, settings: Settings, threads: usize| {
        let network = Network::of_layers(fork(mlp.layers().unwrap(), 4).unwrap()).unwrap();
        let mut model = Model::<f32>::new(network, Loss::CrossEntropy, Task::Classification { classes: 3 });
        Init::He.draw(&mut model.network, 1);
        let before = model.evaluate(data, &Threads::ONE).unwrap().loss;
        let settings = Settings { epochs: 12, learning_rate: 0.01, keep: schuss::Keep::Best, ..settings };
        let parts = Parts { valid: Some(data), ..Parts::of(data) };
        train(&mut model, parts, &settings, &Threads::new(threads).unwrap(), |_| schuss::Control::Continue).unwrap();
        let after = model.evaluate(data, &Threads::ONE).unwrap().loss;
        assert!(after < 0.4 * before, "{settings:?}: {before} to {after}");
        model
    };
    for settings in [
        Settings { calibrate: true, ..Settings::default() },
        Settings { label_smoothing: 0.05, accumulate: 3, ..Settings::default() },
        Settings { mixup: 0.1, ..Settings::default() },
    ] {
        for data in [plain, weighted] {
            assert_eq!(fit(data, settings.clone(), 1), fit(data, settings.clone(), 3));
        }
    }
}

#[test]
fn forks_that_do_not_fit_are_refused() {
    let plain = || Mlp::new(&[4, 8, 8, 2], Activation::Relu, Activation::Identity).layers().unwrap();
    let forked = || fork(plain(), 3).unwrap();
    let mut two = forked();
    two.insert(1, two[0].clone());
    let mut without_heads = forked();
    without_heads.pop();
    let mut without_fork = forked();
    without_fork.remove(0);
    let mut of_others = forked();
    if let Some(Layer::Heads(heads)) = of_others.last_mut() {
        heads.members = 2;
    }
    let mut none = forked();
    for layer in &mut none {
        match layer {
            Layer::Fork(fork) => fork.members = 0,
            Layer::Heads(heads) => heads.members = 0,
            _ => {}
        }
    }
    let mut across =
        Mlp { residual: true, ..Mlp::new(&[4, 4, 4, 2], Activation::Relu, Activation::Identity) }.layers().unwrap();
    let head = across.pop().unwrap();
    across.insert(1, forked()[0].clone());
    if let Layer::Dense(dense) = head {
        across.push(Layer::Heads(schuss::Heads { dense, members: 3 }));
    }
    let cases = [
        (two, "one at most"),
        (without_heads, "heads of its 3 networks"),
        (without_fork, "one after a fork"),
        (of_others, "heads of its 3 networks"),
        (none, "1 to 1000"),
        (across, "one behind it, too"),
    ];
    for (layers, expected) in cases {
        let message = Network::<f32>::of_layers(layers).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
    assert!(
        fork(plain(), 0).is_err()
            && fork(plain(), 1001).is_err()
            && fork(forked(), 2).is_err()
            && fork(Vec::new(), 2).is_err()
    );
}

/// A step would change one network, and be judged by all.
#[test]
fn an_ensemble_is_not_trained_further() {
    let columns = columns();
    let labels: Vec<u32> = (0..ROWS as u32).map(|i| i % 3).collect();
    let dataset =
        Dataset::new(Features::F32(columns.view()), Targets::Classes { labels: &labels, classes: 3 }).unwrap();
    let (softmax, task) = (Activation::Softmax { epsilon: 0.0 }, Task::Classification { classes: 3 });
    let members = (0..2).map(|seed| member(seed, 3, softmax, Loss::CrossEntropy, task)).collect();
    let mut ensemble = Model::ensemble(members).unwrap();
    let problem = Trainer::new(&mut ensemble, dataset, &Settings::default(), &Threads::ONE).err().unwrap().to_string();
    assert!(problem.contains("ensemble of 2"), "{problem}");
}
