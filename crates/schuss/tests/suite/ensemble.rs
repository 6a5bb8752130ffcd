//! Several networks that predict together.

use ndarray::{Array2, Axis};
use schuss::{
    Activation, Dataset, Features, Init, Loss, Model, ModelFile, Network, Predictor, Scores, Settings, Targets, Task,
    Threads, Trainer,
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
    let predict = |model: &Model<f32>| model.predict(features, &Threads::ONE).unwrap();
    let mean = members.iter().map(predict).reduce(|sum, next| sum + next).unwrap() / 3.0;
    let ensemble = Model::ensemble(members).unwrap();
    let predictions = predict(&ensemble);
    let errors = predictions.iter().zip(&mean).map(|(got, mean)| (got - mean).abs() / mean.abs().max(1.0));
    let worst = errors.fold(0.0, f64::max);
    assert!(worst < 2e-6, "{loss:?}: {worst}");

    let two = ensemble.predict(features, &Threads::new(2).unwrap()).unwrap();
    assert_eq!(two, predictions);
    let mut predictor = Predictor::new(&ensemble).unwrap();
    for (row, expected) in predictions.rows().into_iter().enumerate().step_by(37) {
        let example = columns.slice_axis(Axis(0), (row..row + 1).into());
        assert_eq!(predictor.predict(Features::F32(example)).unwrap(), expected.to_slice().unwrap(), "{loss:?}");
    }
    let path = std::env::temp_dir().join(format!("schuss-ensemble-{}-{}.safetensors", std::process::id(), loss.name()));
    ensemble.save(&path).unwrap();
    let read = ModelFile::read(&path).unwrap().model::<f32>();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(read, ensemble);
    assert_ne!(ensemble.weights_sha256(), schuss::weights_sha256(&ensemble.network));
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
