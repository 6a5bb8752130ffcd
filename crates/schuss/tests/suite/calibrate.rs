//! Temperatures that make probabilities as sure as they are right.

use ndarray::Array2;
use schuss::{
    Activation, Control, Dataset, Features, Init, Keep, Loss, Mlp, Model, Network, Parts, Settings, Targets, Task,
    Threads, fork, train,
};

const ROWS: usize = 4000;

/// Numbers that stand for logits of three classes.
fn logits() -> Array2<f64> {
    Array2::from_shape_fn((ROWS, 3), |(i, j)| 3.0 * ((i * 7 + j * 311) as f64 * 0.7).sin())
}

/// Uniform in [0, 1), of each row.
fn draw(row: usize) -> f64 {
    (row as f64 * 0.618_033_988_749_894_9).fract()
}

/// A class for each row, drawn from softmax(z/t).
fn labels(logits: &Array2<f64>, t: f64) -> Vec<u32> {
    let label = |(row, z): (usize, ndarray::ArrayView1<f64>)| {
        let shares: Vec<f64> = z.iter().map(|z| (z / t).exp()).collect();
        let mut rest = draw(row) * shares.iter().sum::<f64>();
        shares.iter().position(|share| {
            rest -= share;
            rest < 0.0
        })
    };
    logits.rows().into_iter().enumerate().map(|row| label(row).unwrap_or(2) as u32).collect()
}

/// A model whose logits are its inputs.
fn identity() -> Model<f64> {
    let mut network = Network::new(&[3, 3], Activation::Relu, Activation::Softmax { epsilon: 0.0 }).unwrap();
    (0..3).for_each(|i| network.parameters_mut()[3 * i + i] = 1.0);
    Model::new(network, Loss::CrossEntropy, Task::Classification { classes: 3 })
}

#[test]
fn the_temperature_by_which_classes_were_drawn_is_found() {
    let logits = logits();
    for t in [0.5, 1.0, 2.5] {
        let labels = labels(&logits, t);
        let dataset =
            Dataset::new(Features::F64(logits.view()), Targets::Classes { labels: &labels, classes: 3 }).unwrap();
        let mut model = identity();
        let before = model.evaluate(dataset, &Threads::ONE).unwrap();
        let found = model.calibrate(dataset, &Threads::ONE).unwrap();
        assert!((found / t - 1.0).abs() < 0.1, "{found}, expected {t}");
        let after = model.evaluate(dataset, &Threads::ONE).unwrap();
        assert!(after.loss <= before.loss && after.accuracy() == before.accuracy());
        // No other temperature is better.
        for factor in [0.99, 1.01] {
            let mut other = model.clone();
            other.network.parameters_mut().iter_mut().for_each(|x| *x *= factor);
            assert!(other.evaluate(dataset, &Threads::ONE).unwrap().loss > after.loss, "{t} {factor}");
        }
    }
}

#[test]
fn weights_count_and_a_single_logit_is_one_of_two() {
    let logits = logits();
    let labels = labels(&logits, 2.0);
    // Rows that do not count are drawn otherwise.
    let other: Vec<u32> = labels.iter().enumerate().map(|(i, l)| if i % 2 == 0 { *l } else { (l + 1) % 3 }).collect();
    let weights: Vec<f64> = (0..ROWS).map(|i| if i % 2 == 0 { 3.0 } else { 0.0 }).collect();
    let dataset = Dataset::new(Features::F64(logits.view()), Targets::Classes { labels: &other, classes: 3 }).unwrap();
    let found = identity().calibrate(dataset.with_weights(&weights).unwrap(), &Threads::ONE).unwrap();
    assert!((found / 2.0 - 1.0).abs() < 0.1, "{found}");

    let z = Array2::from_shape_fn((ROWS, 1), |(i, _)| 4.0 * (i as f64 * 0.7).sin());
    let labels: Vec<u32> = (0..ROWS).map(|i| u32::from(draw(i) < 1.0 / (1.0 + (-z[(i, 0)] / 2.0).exp()))).collect();
    let mut network = Network::<f64>::new(&[1, 1], Activation::Relu, Activation::Identity).unwrap();
    network.parameters_mut()[0] = 1.0;
    let mut model = Model::new(network, Loss::BinaryCrossEntropy, Task::Classification { classes: 2 });
    let dataset = Dataset::new(Features::F64(z.view()), Targets::Classes { labels: &labels, classes: 2 }).unwrap();
    let found = model.calibrate(dataset, &Threads::ONE).unwrap();
    assert!((found / 2.0 - 1.0).abs() < 0.1 && (model.network.parameters()[0] - 1.0 / found).abs() < 1e-12, "{found}");
}

/// The metrics of a run are those of the model that it leaves.
#[test]
fn a_run_may_end_with_it() {
    let logits = logits();
    let labels = labels(&logits, 1.0);
    let logits = logits.view();
    let part = |range: std::ops::Range<usize>| {
        let features = Features::F64(logits.slice_move(ndarray::s![range.clone(), ..]));
        Dataset::new(features, Targets::Classes { labels: &labels[range], classes: 3 }).unwrap()
    };
    let parts = Parts { train: part(0..200), valid: Some(part(200..2000)), test: Some(part(2000..ROWS)) };
    let settings =
        Settings { learning_rate: 0.02, epochs: 60, keep: Keep::LeastLoss, calibrate: true, ..Settings::default() };
    let network = Network::new(&[3, 64, 3], Activation::Relu, Activation::Softmax { epsilon: 0.0 }).unwrap();
    let mut model = Model::<f64>::new(network, Loss::CrossEntropy, Task::Classification { classes: 3 });
    Init::He.draw(&mut model.network, 0);
    let mut losses = Vec::new();
    let summary = train(&mut model, parts, &settings, &Threads::ONE, |event| {
        if let schuss::Event::Epoch { valid: Some(valid), .. } = event {
            losses.push(valid.loss);
        }
        Control::Continue
    })
    .unwrap();
    let least = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(losses[(summary.kept_epoch + 1) as usize], least);
    for (part, metrics) in [(parts.valid, summary.measured.valid), (parts.test, summary.measured.test)] {
        assert_eq!(metrics, Some(model.evaluate(part.unwrap(), &Threads::ONE).unwrap()));
    }
    assert!(summary.measured.valid.unwrap().loss < least);
}

#[test]
fn what_has_no_temperature_is_refused() {
    let values = Array2::zeros((4, 1));
    let inputs = Array2::<f64>::ones((4, 1));
    let dataset = Dataset::new(Features::F64(inputs.view()), Targets::Values(values.view())).unwrap();
    let network = Network::<f64>::new(&[1, 1], Activation::Relu, Activation::Identity).unwrap();
    let mut model = Model::new(network, Loss::Mse, Task::Regression);
    let message = model.calibrate(dataset, &Threads::ONE).unwrap_err().to_string();
    assert!(message.contains("ends in softmax"), "{message}");
    let settings = Settings { calibrate: true, ..Settings::default() };
    let parts = Parts { valid: Some(dataset), ..Parts::of(dataset) };
    assert!(train(&mut model, parts, &settings, &Threads::ONE, |_| Control::Continue).is_err());
}

/// Of networks that share layers, no other temperature is better for their mean.
#[test]
fn the_mean_of_networks_that_share_layers_is_calibrated() {
    let logits = logits();
    for (outputs, last, loss, classes) in [
        (3, Activation::Softmax { epsilon: 0.0 }, Loss::CrossEntropy, 3),
        (1, Activation::Identity, Loss::BinaryCrossEntropy, 2),
    ] {
        let labels: Vec<u32> = labels(&logits, 1.0).into_iter().map(|label| label % classes as u32).collect();
        let targets = Targets::Classes { labels: &labels, classes };
        let dataset = Dataset::new(Features::F64(logits.view()), targets).unwrap();
        let layers = fork(Mlp::new(&[3, 8, outputs], Activation::Tanh, last).layers().unwrap(), 4).unwrap();
        let mut model = Model::<f64>::new(Network::of_layers(layers).unwrap(), loss, Task::Classification { classes });
        Init::Normal { deviation: 0.3 }.draw(&mut model.network, 4);
        let settings = Settings { epochs: 3, ..Settings::default() };
        train(&mut model, Parts::of(dataset), &settings, &Threads::ONE, |_| Control::Continue).unwrap();
        // Surer than it has a right to be.
        let scale_heads = |model: &mut Model<f64>, factor: f64| {
            let segments = model.network.segments().iter().filter(|segment| segment.name.starts_with("heads."));
            let ranges: Vec<_> = segments.map(|segment| segment.range.clone()).collect();
            for range in ranges {
                model.network.parameters_mut()[range].iter_mut().for_each(|x| *x *= factor);
            }
        };
        scale_heads(&mut model, 2.5);
        let t = model.calibrate(dataset, &Threads::ONE).unwrap();
        assert!(t > 1.2, "{t}");
        let best = model.evaluate(dataset, &Threads::ONE).unwrap().loss;
        for factor in [0.97, 1.03] {
            let mut other = model.clone();
            scale_heads(&mut other, factor);
            let loss = other.evaluate(dataset, &Threads::ONE).unwrap().loss;
            assert!(loss > best, "{factor}: {loss}, at {t} {best}");
        }
    }
}
