//! Backward is the derivative of forward: every activation with every loss, and the check fails where it is not.

use ndarray::{Array2, ArrayView2};
use schuss::{
    Activation, BatchTargets, Category, Dense, Embed, Factors, Init, Layer, Loss, Mlp, Network, NormKind, Parametric,
    Pass, Periodic, Scale, Segment, Subject, TOLERANCE, Targets, Threads, Workspace, fork, softmax_jacobian_error,
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

/// Moves what begins at 0 or 1 somewhere else.
fn shift(network: &mut Network<f64>, kinds: &[&str]) {
    let is_one = |segment: &&Segment| kinds.iter().any(|kind| segment.name.starts_with(kind));
    let ranges: Vec<_> = network.segments().iter().filter(is_one).map(|segment| segment.range.clone()).collect();
    for range in ranges {
        let values = &mut network.parameters_mut()[range];
        values.iter_mut().enumerate().for_each(|(i, x)| *x += 0.3 * (i as f64 * 1.3).cos());
    }
}

#[track_caller]
fn check<'a>(network: &'a Network<f64>, loss: Loss, x: ArrayView2<'a, f64>, targets: BatchTargets<'a, f64>) {
    check_pass(network, loss, x, targets, Pass::Inference);
}

#[track_caller]
fn check_pass<'a>(
    network: &'a Network<f64>,
    loss: Loss,
    x: ArrayView2<'a, f64>,
    targets: BatchTargets<'a, f64>,
    pass: Pass,
) {
    let subject = Subject { network, loss, x, targets, pass };
    let check = subject.compare(&subject.backward().unwrap(), 0).unwrap();
    assert!(check.passed(), "{loss:?} of {:?}: {check:?}", network.layers());
    assert!(check.corners * 3 < check.coordinates, "too few coordinates are compared: {check:?}");
}

#[test]
fn every_activation_with_every_loss() {
    let labels: Vec<u32> = (0..ROWS as u32).map(|row| row % 3).collect();
    let values = waves(ROWS, 3, 0.9).mapv(|x| 0.5 + 0.4 * x);
    let mut probabilities = values.clone();
    probabilities.rows_mut().into_iter().for_each(|mut row| row /= row.sum());
    let losses = Loss::ALL.into_iter().chain(["huber:0.2", "quantile:0.1,0.5,0.8"].map(|loss| loss.parse().unwrap()));
    let mut combinations = 0;
    for loss in losses {
        for (seed, hidden) in Activation::ALL.into_iter().enumerate() {
            for last in Activation::ALL {
                for inner in [&[5, 4, 6][..], &[5]] {
                    let outputs = 3 * loss.outputs_per_target();
                    let network = network(&[inner, &[outputs]].concat(), hidden, last, seed as u64);
                    let x = waves(ROWS, 5, 1.7);
                    let fits = |targets| loss.check(last, outputs, targets).is_ok();
                    let mut check = |targets| {
                        check(&network, loss, x.view(), targets);
                        combinations += 1;
                    };
                    if fits(Targets::Classes { labels: &labels, classes: 3 }) {
                        check(BatchTargets::Classes(&labels));
                        check(BatchTargets::Smoothed(&labels, 0.2));
                    }
                    for values in [&values, &probabilities] {
                        if fits(Targets::Values(values.view())) {
                            check(BatchTargets::Values(values.view()));
                        }
                    }
                }
            }
        }
    }
    assert!(combinations > 1000, "{combinations}");
}

/// A row of weight w counts as w rows do.
#[test]
fn weights_are_repetitions() {
    let weights = [1.0, 0.0, 2.0, 3.0];
    let repeated = [0, 2, 2, 3, 3, 3];
    let labels = [2, 0, 1, 1];
    let values = waves(4, 3, 0.9).mapv(|x| 0.5 + 0.4 * x);
    let softmax = Activation::Softmax { epsilon: 0.0 };
    let losses = Loss::ALL.into_iter().filter(|loss| loss.outputs_per_target() == 1);
    for (loss, last) in losses.flat_map(|loss| [Activation::Identity, softmax].map(|last| (loss, last))) {
        let network = network(&[5, 4, 3], Activation::Tanh, last, 4);
        let x = waves(4, 5, 1.7);
        let evaluate = |rows: &[usize], weights: Option<&[f64]>, is_classes: bool| {
            let mut workspace = Workspace::new(&network, rows.len(), &Threads::ONE);
            let x = x.select(ndarray::Axis(0), rows);
            let labels: Vec<u32> = rows.iter().map(|&row| labels[row]).collect();
            let values = values.select(ndarray::Axis(0), rows);
            let a = network.forward(&mut workspace, x.view()).unwrap().to_owned();
            let z = a.mapv(f64::ln); // up to a constant, which softmax does not see
            let output = schuss::Output { activation: last, z: z.view(), a: a.view() };
            let targets = if is_classes { BatchTargets::Classes(&labels) } else { BatchTargets::Values(values.view()) };
            let mut d = Array2::zeros(a.dim());
            let sum = loss.evaluate(&Threads::ONE, output, targets, weights, Some(d.view_mut()));
            (sum, d.mapv(|d| d * rows.len() as f64))
        };
        for (is_classes, targets) in
            [(true, Targets::Classes { labels: &labels, classes: 3 }), (false, Targets::Values(values.view()))]
        {
            if loss.check(last, 3, targets).is_err() {
                continue;
            }
            let (sum, d) = evaluate(&[0, 1, 2, 3], Some(&weights), is_classes);
            let (expected, d_repeated) = evaluate(&repeated, None, is_classes);
            assert!((sum - expected).abs() < 1e-12 * expected.abs(), "{loss:?}: {sum}, expected {expected}");
            for (row, weight) in weights.into_iter().enumerate() {
                let expected = match repeated.iter().position(|&other| other == row) {
                    Some(at) => d_repeated.row(at).mapv(|d| d * weight),
                    None => ndarray::Array1::zeros(3),
                };
                let error = (&d.row(row) - &expected).mapv(f64::abs).sum();
                assert!(error < 1e-12, "{loss:?}, row {row}: {error:e}");
            }
        }
    }
}

/// Norms, dropout, residual connections and all of them, in one network and in several that share them, in training and out of it, with functions that need their input
/// and functions that do not.
#[test]
fn every_kind_of_layer() {
    let training = Pass::Training { seed: 3, step: 7, first_row: 2 };
    let labels: Vec<u32> = (0..ROWS as u32).map(|row| row % 3).collect();
    let softmax = Activation::Softmax { epsilon: 0.0 };
    for hidden in [Activation::Tanh, Activation::Relu, Activation::Mish, Activation::Softplus] {
        let plain = Mlp::new(&[5, 6, 6, 6, 3], hidden, softmax);
        let kinds = [
            Mlp { norm: Some(NormKind::Layer), ..plain.clone() },
            Mlp { norm: Some(NormKind::Batch), ..plain.clone() },
            Mlp { dropout: 0.4, ..plain.clone() },
            Mlp { dropout: 0.2, input_dropout: 0.3, ..plain.clone() },
            Mlp { residual: true, ..plain.clone() },
            Mlp { norm: Some(NormKind::Batch), dropout: 0.3, input_dropout: 0.1, residual: true, ..plain.clone() },
            Mlp { norm: Some(NormKind::Layer), dropout: 0.3, input_dropout: 0.1, residual: true, ..plain },
        ];
        let plain = kinds.iter().map(|mlp| (1, mlp.layers().unwrap()));
        let forked = kinds.iter().map(|mlp| (3, fork(mlp.layers().unwrap(), 3).unwrap()));
        for (seed, (members, layers)) in plain.chain(forked).enumerate() {
            let mut network = Network::of_layers(layers).unwrap();
            Init::Normal { deviation: 0.6 }.draw(&mut network, seed as u64);
            // Scales, shifts and running statistics that are nobody's defaults.
            shift(&mut network, &["norms.", "forks."]);
            let labels: Vec<u32> = labels.iter().flat_map(|&label| vec![label; members]).collect();
            network.statistics_mut().iter_mut().enumerate().for_each(|(i, x)| *x += 0.2 * (i as f64).sin().abs());
            let x = waves(ROWS, 5, 1.7);
            for pass in [Pass::Inference, training] {
                check_pass(&network, Loss::CrossEntropy, x.view(), BatchTargets::Classes(&labels), pass);
            }
        }
    }
}

/// Numbers, plain columns and codes, some of them unknown: one of each kind of layer for tables.
#[test]
fn layers_for_tables() {
    let categories = vec![Category { count: 3, width: 4 }, Category { count: 2, width: 1 }];
    let periodic = Some(Periodic { frequencies: 18, outputs: 4, deviation: 0.3, factors: Factors::ONE });
    let embeds = [
        Embed { numbers: 3, periodic, plain: 2, categories: categories.clone() },
        Embed { numbers: 3, periodic: None, plain: 0, categories: categories.clone() },
        Embed { numbers: 2, periodic, ..Embed::default() },
        Embed { numbers: 2, periodic: periodic.map(|few| Periodic { outputs: 2, ..few }), ..Embed::default() },
        Embed { numbers: 2, periodic: periodic.map(|more| Periodic { outputs: 5, ..more }), ..Embed::default() },
        Embed { numbers: 1, periodic: periodic.map(|most| Periodic { outputs: 65, ..most }), ..Embed::default() },
        Embed { plain: 1, categories, ..Embed::default() },
    ];
    let labels: Vec<u32> = (0..ROWS as u32).map(|row| row % 3).collect();
    for embed in embeds {
        for activation in Activation::ALL.into_iter().filter(|f| !matches!(f, Activation::Softmax { .. })) {
            let (codes, features) = (embed.inputs() - embed.categories.len(), embed.outputs());
            let layers = vec![
                Layer::Embed(embed.clone()),
                Layer::Scale(Scale { features, factors: Factors::ONE }),
                Layer::Dense(Dense::new(features, 6, Activation::Identity)),
                Layer::Parametric(Parametric { features: 6, activation, factors: Factors::ONE }),
                Layer::Dense(Dense::new(6, 3, Activation::Softmax { epsilon: 0.0 })),
            ];
            let mut network = Network::of_layers(layers).unwrap();
            Init::Normal { deviation: 0.6 }.draw(&mut network, 3);
            shift(&mut network, &["scales.", "activations."]);
            let mut x = waves(ROWS, embed.inputs(), 1.7);
            // From -1 on: the last ones are unknown, too. On both sides of a code there is none, so that differences are 0.
            let of_codes = x.indexed_iter_mut().filter(|((_, j), _)| *j >= codes);
            of_codes.for_each(|((i, j), x)| *x = ((i * 2 + j) % 5) as f64 - 1.0);
            check(&network, Loss::CrossEntropy, x.view(), BatchTargets::Classes(&labels));
            let mut workspace = Workspace::new(&network, 1, &Threads::ONE);
            let none = network.forward(&mut workspace, x.slice(ndarray::s![..0, ..])).unwrap();
            assert_eq!(none.dim(), (0, 3), "the output of no rows");
        }
    }
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
    let subject = Subject { network: &network, loss: Loss::CrossEntropy, x: x.view(), targets, pass: Pass::Inference };
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
    let subject = Subject { network: &network, loss: Loss::Mse, x: x.view(), targets, pass: Pass::Inference };
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
    let subject = Subject {
        network: &network,
        loss: Loss::CrossEntropy,
        x: x.view(),
        targets: BatchTargets::Classes(&[1]),
        pass: Pass::Inference,
    };
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
        let subject = Subject {
            network: &network,
            loss,
            x: x.view(),
            targets: BatchTargets::Classes(&[1]),
            pass: Pass::Inference,
        };
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
