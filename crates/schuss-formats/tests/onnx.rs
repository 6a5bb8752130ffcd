//! ONNX files give what their models predict, and come back as they were.

mod common;

use std::path::Path;

use common::{TOLERANCE, models};
use ndarray::Array2;
use safetensors::SafeTensors;
use schuss::{Activation, Init, Loss, Model, Network, Scaling, Task};
use schuss_formats::{Foreign, Layers, Program, Unsaid, difference, predictions, read_onnx, run_onnx, to_onnx};

#[test]
fn files_give_what_their_models_predict() {
    for seed in 0..3 {
        for (name, model) in models(seed) {
            let bytes = to_onnx(&model).unwrap_or_else(|error| panic!("{name}: {error}"));
            let program = Program::new(&model).unwrap();
            let rows = program.samples(40, seed + 7);
            let expected = predictions(&model, rows.view()).unwrap();
            let got = run_onnx(&bytes, rows.view()).unwrap_or_else(|error| panic!("{name}: {error}"));
            let off = difference(&program, expected.view(), got.view());
            assert!(off <= TOLERANCE, "{name}, seed {seed}: {off:e}");
        }
    }
}

/// What is read of a file that was written predicts what the model did, wherever it has nothing but layers.
#[test]
fn what_was_written_is_read_again() {
    let mut read = 0;
    for (name, model) in models(1).into_iter().filter(|(_, model)| model.schema.is_none() && model.members() == 1) {
        let last = model.network.last_activation();
        let is_softmax = |layer: &schuss::Layer| matches!(layer.activation(), Activation::Softmax { .. });
        let is_plain = !model.network.layers().iter().rev().skip(1).any(is_softmax);
        let has_one =
            model.task == Task::Regression && matches!(last, Activation::Softmax { .. } | Activation::Sigmoid);
        let is_told = is_plain && !has_one && !matches!(model.loss, Loss::Poisson) && model.network.outputs() > 1;
        if !is_told || name == "shares" {
            continue;
        }
        let foreign = read_onnx(&to_onnx(&model).unwrap(), Unsaid::default());
        let foreign = foreign.unwrap_or_else(|problem| panic!("{name}: {problem}"));
        let program = Program::new(&model).unwrap();
        let rows = program.samples(20, 3);
        let expected = predictions(&model, rows.view()).unwrap();
        let got = predictions(&foreign.model, rows.view()).unwrap();
        let off = difference(&program, expected.view(), got.view());
        assert!(off <= 2.0 * TOLERANCE, "{name}: {off:e}");
        read += 1;
    }
    assert!(read >= 20, "{read}");
}

/// `x` and `y` of a file beside the golden ones.
fn golden(name: &str) -> [Array2<f64>; 2] {
    let bytes = std::fs::read(Path::new("tests/golden").join(name)).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    ["x", "y"].map(|part| {
        let tensor = tensors.tensor(part).unwrap();
        let [rows, columns] = *tensor.shape() else { panic!("{name}: {:?}", tensor.shape()) };
        let numbers = tensor.data().as_chunks::<4>().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes)));
        Array2::from_shape_vec((rows, columns), numbers.collect()).unwrap()
    })
}

#[track_caller]
fn check_golden(file: &str, values: &str, unsaid: Unsaid, task: Task, classes: &[&str]) {
    let foreign =
        Foreign::read(&Path::new("tests/golden").join(file), unsaid).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        (foreign.model.task, &foreign.model.class_names[..]),
        (task, &classes.iter().map(|name| (*name).to_string()).collect::<Vec<_>>()[..]),
        "{file}"
    );
    let [x, mut y] = golden(values);
    if file.contains("logarithms") {
        y.mapv_inplace(f64::exp);
    }
    // As the model file holds it.
    let model = schuss::ModelFile::from_bytes(&foreign.to_bytes().unwrap()).unwrap().model::<f32>();
    let program = Program::new(&model).unwrap();
    let off = difference(&program, y.view(), predictions(&model, x.view()).unwrap().view());
    assert!(off <= 2.0 * TOLERANCE, "{file}: {off:e}");
}

#[test]
fn networks_of_others_are_read() {
    let classes = |classes| Task::Classification { classes };
    let labels = |labels| Task::MultiLabel { labels };
    for (name, task) in [
        ("mlp", Task::Regression),
        ("norms", classes(4)),
        ("pictures", classes(5)),
        ("residual", Task::Regression),
        ("labels", labels(3)),
        ("logarithms", classes(3)),
        ("functions", Task::Regression),
        ("blocks", Task::Regression),
        ("written", Task::Regression),
    ] {
        for exporter in ["", "_dynamo"] {
            let values = format!("torch_{name}.safetensors");
            check_golden(&format!("torch_{name}{exporter}.onnx"), &values, Unsaid::default(), task, &[]);
        }
    }
    for (name, task, names) in [
        ("classes", classes(3), &[][..]),
        ("names", classes(3), &["high", "low", "middle"]),
        ("two", classes(2), &[]),
        ("zipmap", classes(3), &[]),
        ("number", Task::Regression, &[]),
        ("labels", labels(3), &[]),
    ] {
        let [file, values] = ["onnx", "safetensors"].map(|end| format!("skl_{name}.{end}"));
        check_golden(&file, &values, Unsaid::default(), task, names);
    }
    // The exporter lays several numbers of a row one below the other, which is no prediction a row.
    let problem = Foreign::read(Path::new("tests/golden/skl_numbers.onnx"), Unsaid::default()).unwrap_err().to_string();
    assert!(problem.contains("operator Reshape: rows of 2 numbers as [-1, 1]"), "{problem}");
    let tanh = Unsaid { activation: Some(Activation::Tanh), last: None };
    check_golden("torch_sequential.safetensors", "torch_sequential_values.safetensors", tanh, classes(3), &[]);
}

/// Logits of classes are classes where that is said.
#[test]
fn what_a_file_does_not_say_can_be_said() {
    let softmax = Some(Activation::Softmax { epsilon: 0.0 });
    let path = Path::new("tests/golden/torch_mlp.onnx");
    let foreign = Foreign::read(path, Unsaid { activation: None, last: softmax }).unwrap();
    assert_eq!(foreign.model.task, Task::Classification { classes: 3 });
    let path = Path::new("tests/golden/torch_sequential.safetensors");
    let foreign = Foreign::read(path, Unsaid { activation: None, last: Some(Activation::Identity) }).unwrap();
    assert_eq!(foreign.model.task, Task::Regression);
}

#[test]
fn scalings_are_read() {
    let mut network = Network::<f32>::new(&[3, 4, 2], Activation::Relu, Activation::Softmax { epsilon: 1e-8 }).unwrap();
    Init::He.draw(&mut network, 1);
    let plain = Model::new(network, Loss::CrossEntropy, Task::Classification { classes: 2 });
    let standard = Scaling::Standard { mean: vec![100.0, 1.5, -2.0], deviation: vec![3.0, 0.5, 1.0] };
    for scaling in [Scaling::None, Scaling::Divide(255.0), standard] {
        let model = Model { scaling: scaling.clone(), ..plain.clone() };
        let foreign = read_onnx(&to_onnx(&model).unwrap(), Unsaid::default()).unwrap();
        assert_eq!(foreign.model.scaling, scaling);
        let [epsilon, expected] = [&foreign.model.network.last_activation(), &plain.network.last_activation()]
            .map(|activation| activation.epsilon());
        assert!((epsilon - expected).abs() < 1e-14, "{epsilon:e}");
    }
}

/// Functions that are taken apart are one again, however their factors are ordered.
#[test]
fn functions_are_put_together_again() {
    let layers = |file: &str| {
        let foreign = Foreign::read(&Path::new("tests/golden").join(file), Unsaid::default()).unwrap();
        foreign.model.network.layers().iter().map(|layer| layer.activation().name()).collect::<Vec<_>>()
    };
    for file in ["torch_functions.onnx", "torch_functions_dynamo.onnx"] {
        assert_eq!(layers(file), ["gelu", "swish", "mish", "swish", "softplus", "identity"], "{file}");
    }
    for file in ["torch_written.onnx", "torch_written_dynamo.onnx"] {
        assert_eq!(layers(file), ["gelu", "swish", "mish", "identity"], "{file}");
    }
}

/// Layer norms have another ε here than elsewhere; what is none is refused.
#[test]
fn layer_norms_have_any_epsilon() {
    let (x, scale, shift) = ([0.3, -0.1, 0.7], [1.5, 0.5, -1.0], [0.1, 0.0, -0.2]);
    let identity = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
    let read = |epsilon: f64| {
        let mut layers = Layers::default();
        layers.add("dense", &[&identity, &[0.0; 3]], 0.0)?;
        layers.add("layer-norm", &[&scale, &shift], epsilon)?;
        layers.model(None, None)
    };
    let mean = x.iter().sum::<f64>() / 3.0;
    let variance = x.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / 3.0;
    for epsilon in [1e-12, 1e-5, 1e-3, 0.5] {
        let rows = Array2::from_shape_vec((1, 3), x.to_vec()).unwrap();
        let got = predictions(&read(epsilon).unwrap(), rows.view()).unwrap();
        for i in 0..3 {
            let expected = scale[i] * (x[i] - mean) / (variance + epsilon).sqrt() + shift[i];
            // The rows are of single precision.
            assert!((got[(0, i)] - expected).abs() < 1e-6, "{epsilon:e}: {} beside {expected}", got[(0, i)]);
        }
    }
    for epsilon in [0.0, -1e-5, f64::NAN, f64::INFINITY] {
        let problem = read(epsilon).unwrap_err();
        assert!(problem.contains("expected a number above 0"), "{problem}");
    }
}
