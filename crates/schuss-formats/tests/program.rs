//! A program gives what its model predicts.

mod common;

use common::{TOLERANCE, models};
use schuss::{Activation, Loss, Model, Network, Task};
use schuss_formats::{Program, difference, predictions};

#[test]
fn programs_give_what_their_models_predict() {
    let mut worst = (0.0, String::new());
    for seed in 0..4 {
        for (name, model) in models(seed) {
            let program = Program::new(&model).unwrap_or_else(|error| panic!("{name}: {error}"));
            let rows = program.samples(50, seed);
            let expected = predictions(&model, rows.view()).unwrap();
            let got = program.run(rows.view()).unwrap().mapv(f64::from);
            let off = difference(&program, expected.view(), got.view());
            assert!(off <= TOLERANCE, "{name}, seed {seed}: {off:e}");
            worst = if off > worst.0 { (off, name) } else { worst };
        }
    }
    println!("{worst:?}");
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut network = Network::<f64>::new(&[2, 1], Activation::Relu, Activation::Identity).unwrap();
    // Finite in double precision alone.
    network.parameters_mut()[0] = 1e300;
    let model = Model::new(network, Loss::Mse, Task::Regression);
    assert!(Program::new(&model).is_err_and(|error| error.to_string().contains("finite")));
    let network = Network::<f32>::new(&[2, 1], Activation::Relu, Activation::Identity).unwrap();
    let program = Program::new(&Model::new(network, Loss::Mse, Task::Regression)).unwrap();
    assert!(program.run(ndarray::Array2::zeros((1, 3)).view()).is_err());
}
