//! Backward is the derivative of forward: every activation with every loss, and the check fails where it is not.

use ndarray::{Array2, ArrayView2};
use schuss::{
    Activation, BatchTargets, Init, Loss, Network, Subject, TOLERANCE, Targets, Threads, Workspace,
    softmax_jacobian_error,
};

const ROWS: usize = 9;

fn waves(rows: usize, columns: usize, frequency: f64) -> Array2<f64> {
    Array2::from_shape_fn((rows, columns), |(i, j)| ((i * columns + j) as f64 * frequency + 0.3).sin())
}

fn network(sizes: &[usize], hidden: Activation, last: Activation, seed: u64) -> Network<f64> {
    let mut network = Network::new(sizes, hidden.with_epsilon(0.0), last.with_epsilon(0.0)).unwrap();
    Init::Normal { deviation: 0.6 }.draw(&mut network, seed);
    network
}

#[track_caller]
fn check<'a>(network: &'a Network<f64>, loss: Loss, x: ArrayView2<'a, f64>, targets: BatchTargets<'a, f64>) {
    let subject = Subject { network, loss, x, targets };
    let check = subject.compare(&subject.backward().unwrap(), 0).unwrap();
    assert!(check.passed(), "{loss:?} of {:?}: {check:?}", network.layers());
    assert!(check.corners * 10 < check.coordinates, "too few coordinates are compared: {check:?}");
}

#[test]
fn every_activation_with_every_loss() {
    let labels: Vec<u32> = (0..ROWS as u32).map(|row| row % 3).collect();
    let values = waves(ROWS, 3, 0.9).mapv(|x| 0.5 + 0.4 * x);
    let mut combinations = 0;
    for (seed, hidden) in Activation::ALL.into_iter().enumerate() {
        for last in Activation::ALL {
            for loss in Loss::ALL {
                for sizes in [&[5, 4, 6, 3][..], &[5, 3]] {
                    let network = network(sizes, hidden, last, seed as u64);
                    let x = waves(ROWS, 5, 1.7);
                    if loss.check(last, 3, Targets::Classes { labels: &labels, classes: 3 }).is_ok() {
                        check(&network, loss, x.view(), BatchTargets::Classes(&labels));
                        combinations += 1;
                    }
                    if loss.check(last, 3, Targets::Values(values.view())).is_ok() {
                        check(&network, loss, x.view(), BatchTargets::Values(values.view()));
                        combinations += 1;
                    }
                }
            }
        }
    }
    assert!(combinations > 200, "{combinations}");
}

#[test]
fn one_logit_for_two_classes() {
    let network = network(&[4, 5, 1], Activation::Tanh, Activation::Identity, 1);
    let labels: Vec<u32> = (0..ROWS as u32).map(|row| row % 2).collect();
    check(&network, Loss::BinaryCrossEntropy, waves(ROWS, 4, 2.1).view(), BatchTargets::Classes(&labels));
}

/// A gradient that is wrong by a factor of 1.00001 in one place, or a sign, or missing, does not pass.
#[test]
fn a_planted_error_fails() {
    let network = network(&[5, 6, 4, 3], Activation::Tanh, Activation::Softmax { epsilon: 0.0 }, 5);
    let (x, labels) = (waves(ROWS, 5, 1.3), vec![0, 1, 2, 0, 1, 2, 0, 1, 2]);
    let targets = BatchTargets::Classes(&labels);
    let subject = Subject { network: &network, loss: Loss::CrossEntropy, x: x.view(), targets };
    let right = subject.backward().unwrap();
    assert!(subject.compare(&right, 0).unwrap().passed());

    let largest =
        |values: &[f64]| (0..values.len()).max_by(|&a, &b| values[a].abs().total_cmp(&values[b].abs())).unwrap();
    let at = largest(&right.parameters);
    for wrong in [right.parameters[at] * 1.00001, -right.parameters[at], 0.0, f64::NAN] {
        let mut planted = right.clone();
        planted.parameters[at] = wrong;
        let check = subject.compare(&planted, 0).unwrap();
        assert!(!check.passed() && check.worst > TOLERANCE, "{wrong}: {check:?}");
        assert!(check.worst_at.starts_with("layers."), "{check:?}");
    }
    let mut planted = right.clone();
    planted.input[(3, 2)] += 1e-4;
    let check = subject.compare(&planted, 0).unwrap();
    assert!(!check.passed());
    assert_eq!(check.worst_at, format!("input[{}]", 3 * 5 + 2));
}

/// A ReLU at z = 0 exactly has no derivative: such coordinates are counted, not compared and not dropped in silence.
#[test]
fn corners_are_counted() {
    let network = Network::new(&[2, 3, 2], Activation::Relu, Activation::Identity).unwrap();
    let x = waves(2, 2, 0.5);
    let values = waves(2, 2, 0.7);
    let targets = BatchTargets::Values(values.view());
    let subject = Subject { network: &network, loss: Loss::Mse, x: x.view(), targets };
    let check = subject.compare(&subject.backward().unwrap(), 0).unwrap();
    // All parameters are 0: the first layer's nine stand on a corner.
    assert_eq!((check.corners, check.compared + check.corners), (9, check.coordinates));
}

#[test]
fn softmax_backward_is_its_explicit_jacobian_at_the_smoothed_output() {
    for epsilon in [0.0, 1e-8, 1e-3, 0.5] {
        let error = softmax_jacobian_error(epsilon);
        assert!(error < 1e-14, "e = {epsilon}: {error:e}");
    }
}

/// With e > 0 the notebook's derivative is not that of its forward: kept, and refused by the check.
#[test]
fn the_smoothed_softmax_is_not_checked_by_differences() {
    let network = Network::new(&[2, 2], Activation::Relu, Activation::Softmax { epsilon: 1e-8 }).unwrap();
    let x = waves(1, 2, 0.5);
    let subject =
        Subject { network: &network, loss: Loss::CrossEntropy, x: x.view(), targets: BatchTargets::Classes(&[1]) };
    assert!(subject.compare(&subject.backward().unwrap(), 0).is_err());
}

/// Saturated by a logit 100 below the others, p is e/n: the gradient of the loss there is the notebook's p - y, where
/// the derivative of the smoothed p would vanish.
#[test]
fn a_saturated_softmax_still_learns() {
    let epsilon = 1e-8;
    let mut network = Network::<f64>::new(&[1, 2], Activation::Relu, Activation::Softmax { epsilon }).unwrap();
    network.parameters_mut().copy_from_slice(&[100.0, 0.0, 0.0, 0.0]);
    let x = Array2::from_elem((1, 1), 1.0);
    for loss in [Loss::CrossEntropy, Loss::Mse] {
        let subject = Subject { network: &network, loss, x: x.view(), targets: BatchTargets::Classes(&[1]) };
        let gradient = subject.backward().unwrap();
        let p = epsilon / 2.0;
        let expected = match loss {
            Loss::CrossEntropy => p - 1.0,
            _ => p * ((p - 1.0) - ((1.0 - p) * (1.0 - p) + p * (p - 1.0))),
        };
        let d_bias = gradient.parameters[3];
        assert!((d_bias - expected).abs() <= 1e-12 * expected.abs(), "{loss:?}: {d_bias:e}, expected {expected:e}");
    }
}

/// Shapes are checked at the public doors.
#[test]
fn shapes_that_do_not_fit_are_errors() {
    let network = network(&[3, 2], Activation::Relu, Activation::Identity, 0);
    let mut workspace = Workspace::new(&network, 4, &Threads::ONE);
    assert!(network.forward(&mut workspace, waves(4, 2, 1.0).view()).is_err());
    assert!(network.forward(&mut workspace, waves(5, 3, 1.0).view()).is_err());
    assert!(network.forward(&mut workspace, waves(4, 3, 1.0).view()).is_ok());
    assert!(network.backward(&mut workspace, waves(3, 2, 1.0).view(), None).is_err());
    let mut d_input = waves(4, 2, 1.0);
    assert!(network.backward(&mut workspace, waves(4, 2, 1.0).view(), Some(d_input.view_mut())).is_err());
    assert!(Network::<f32>::new(&[3, 0, 2], Activation::Relu, Activation::Identity).is_err());
    assert!(Network::<f32>::new(&[3], Activation::Relu, Activation::Identity).is_err());
    assert!(Network::<f32>::new(&[usize::MAX / 2, 7], Activation::Relu, Activation::Identity).is_err());
}
