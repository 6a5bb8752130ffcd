//! Optimisers against PyTorch's steps (`golden/make_optimizers.py`), and what they promise beside the numbers.

use safetensors::SafeTensors;
use schuss::{Activation, Average, Clip, MuonRate, Network, Optimizer, OptimizerState, Real, Segment, Threads};
use serde_json::Value;

const GOLDEN: &[u8] = include_bytes!("../golden/optimizers.safetensors");
const SIZES: [usize; 4] = [3, 4, 3, 2];
const TOLERANCE: f64 = 1e-12;
const TOLERANCE_SINGLE: f64 = 1e-5;

fn segments(sizes: &[usize], factors: Option<&[f64]>) -> Vec<Segment> {
    let network = Network::<f64>::new(sizes, Activation::Tanh, Activation::Identity).unwrap();
    let mut segments = network.segments().to_vec();
    for (segment, factor) in segments.iter_mut().zip(factors.unwrap_or_default()) {
        segment.learning_rate_factor = *factor;
    }
    segments
}

/// Rows of a golden tensor.
fn rows(tensors: &SafeTensors, name: &str) -> Vec<Vec<f64>> {
    let tensor = tensors.tensor(name).unwrap_or_else(|_| panic!("golden file: {name}"));
    let values: Vec<f64> = match tensor.dtype() {
        safetensors::Dtype::F64 => tensor.data().as_chunks().0.iter().map(|&x| f64::from_le_bytes(x)).collect(),
        _ => tensor.data().as_chunks().0.iter().map(|&x| f64::from(f32::from_le_bytes(x))).collect(),
    };
    values.chunks(*tensor.shape().last().unwrap()).map(<[f64]>::to_vec).collect()
}

fn numbers(value: &Value) -> Option<Vec<f64>> {
    value.as_array().map(|numbers| numbers.iter().map(|x| x.as_f64().unwrap()).collect())
}

fn state_of<T: Real>(case: &Value) -> OptimizerState<T> {
    let mut optimizer = Optimizer::from_name(case["optimizer"].as_str().unwrap()).unwrap();
    for (name, value) in case["constants"].as_object().unwrap() {
        optimizer = optimizer.with(name, value.as_f64().unwrap()).unwrap();
    }
    if let Optimizer::Muon { rate, .. } = &mut optimizer {
        *rate = match case["rate"].as_str() {
            None => MuonRate::MatchRmsAdamW,
            Some("original") => MuonRate::Original,
            Some("spectral_unclamped") => MuonRate::SpectralUnclamped,
            Some(other) => panic!("golden file: {other}"),
        };
    }
    let clip = case["clip"].as_array().map(|clip| {
        let limit = clip[1].as_f64().unwrap();
        if clip[0] == "norm" { Clip::Norm(limit) } else { Clip::Value(limit) }
    });
    let weight_decay = case["weight_decay"].as_f64().unwrap_or(0.0);
    let factors = numbers(&case["factors"]);
    OptimizerState::new(optimizer, &segments(&SIZES, factors.as_deref()), weight_decay, clip).unwrap()
}

/// Within the tolerance, relative to the largest value.
#[track_caller]
fn check_close<T: Real>(what: &str, got: &[T], expected: &[f64]) {
    assert_eq!(got.len(), expected.len(), "{what}: how many");
    let tolerance = if T::NAME == "f64" { TOLERANCE } else { TOLERANCE_SINGLE };
    let largest = expected.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let error = (got.to_f64() - expected).abs() / largest;
        assert!(error <= tolerance, "{what}[{i}]: {got:?}, expected {expected:?}, off by {error:e}");
    }
}

#[test]
fn every_step_is_that_of_pytorch() {
    let tensors = SafeTensors::deserialize(GOLDEN).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(GOLDEN).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&metadata.metadata().as_ref().unwrap()["cases"]).unwrap();
    for case in &cases {
        check::<f64>(case, &tensors);
        check::<f32>(case, &tensors);
    }
    for optimizer in Optimizer::ALL {
        assert!(cases.iter().any(|case| case["optimizer"] == optimizer.name()), "no case of {}", optimizer.name());
    }
}

#[track_caller]
fn check<T: Real>(case: &Value, tensors: &SafeTensors) {
    let name = case["name"].as_str().unwrap();
    let [learning_rates, gradients, expected] =
        ["learning_rates", "gradients", "parameters"].map(|what| rows(tensors, &format!("{name}.{what}")));
    let cast = |values: &Vec<f64>| values.iter().map(|&x| T::from_f64(x)).collect::<Vec<T>>();
    let mut state = state_of::<T>(case);
    let mut parameters = cast(&expected[0]);
    for (step, (learning_rate, gradient)) in learning_rates[0].iter().zip(&gradients).enumerate() {
        assert!(state.step(&Threads::ONE, &mut parameters, &cast(gradient), *learning_rate), "{name}: finite");
        check_close(&format!("{name}, step {step}"), &parameters, &expected[step + 1]);
    }
    assert_eq!(state.steps(), 20);
    let mut averaged = cast(&expected[0]);
    let is_schedule_free = matches!(state.optimizer(), Optimizer::ScheduleFree { .. });
    assert_eq!(state.averaged(&parameters, &mut averaged), is_schedule_free);
    if is_schedule_free {
        check_close(&format!("{name}, averaged"), &averaged, &rows(tensors, &format!("{name}.averaged"))[0]);
    }
}

#[test]
fn the_average_is_that_of_pytorch() {
    let tensors = SafeTensors::deserialize(GOLDEN).unwrap();
    let [parameters, expected] = ["sgd.parameters", "sgd.average"].map(|name| rows(&tensors, name));
    let mut average = Average::new(0.8, parameters[0].len()).unwrap();
    for (parameters, expected) in parameters[1..].iter().zip(&expected) {
        assert!(average.update(&Threads::ONE, parameters));
        check_close("average", average.values(), expected);
    }
    let mut other = Average::new(0.8, parameters[0].len()).unwrap();
    other.restore(average.steps(), average.values()).unwrap();
    for average in [&mut average, &mut other] {
        average.update(&Threads::ONE, &parameters[3]);
    }
    assert_eq!(other.values(), average.values());
    assert!(Average::<f32>::new(1.0, 3).is_err());
    assert!(average.restore(1, &[0.0]).is_err());
}

/// Every optimiser in other settings than its usual ones, too.
fn variants() -> impl Iterator<Item = Optimizer> {
    let others = [
        Optimizer::Sgd { momentum: 0.9, nesterov: true },
        Optimizer::RmsProp { decay: 0.9, epsilon: 1e-8, momentum: 0.9, centered: true },
        Optimizer::RmsProp { decay: 0.9, epsilon: 1e-8, momentum: 0.0, centered: true },
        Optimizer::RmsProp { decay: 0.9, epsilon: 1e-8, momentum: 0.5, centered: false },
        Optimizer::Lbfgs { history: 2 },
    ];
    Optimizer::ALL.into_iter().chain(others)
}

/// Parameters towards a target: the gradient of a smooth function that is no quadratic.
fn gradient<T: Real>(parameters: &[T]) -> Vec<T> {
    let of_one = |(i, p): (usize, &T)| {
        let error = p.to_f64() - (i as f64 * 0.7).sin();
        T::from_f64((1.0 + (i % 7) as f64) * error.tanh() / parameters.len() as f64)
    };
    parameters.iter().enumerate().map(of_one).collect()
}

fn run<T: Real>(state: &mut OptimizerState<T>, threads: &Threads, parameters: &mut [T], steps: usize) {
    for _ in 0..steps {
        let gradient = gradient(parameters);
        assert!(state.step(threads, parameters, &gradient, 0.01));
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    #[track_caller]
    fn check<T: Real>(optimizer: Optimizer, factors: Option<&[f64]>, clip: Option<Clip>) {
        let segments = segments(&[150, 300, 200, 3], factors);
        let count = segments.last().unwrap().range.end;
        let after = |threads: usize| {
            let mut state = OptimizerState::<T>::new(optimizer, &segments, 0.1, clip).unwrap();
            let mut parameters = vec![T::ZERO; count];
            run(&mut state, &Threads::new(threads).unwrap(), &mut parameters, 4);
            parameters
        };
        let one = after(1);
        assert_ne!(one[count - 1], T::ZERO);
        assert!([2, 3].into_iter().all(|threads| after(threads) == one), "{optimizer:?}, {clip:?}");
    }
    for optimizer in variants() {
        check::<f32>(optimizer, None, Some(Clip::Norm(1e-3)));
        check::<f64>(optimizer, Some(&[1.0, 2.0, 1.0, 1.0, 0.5, 3.0]), Some(Clip::Value(1e-5)));
    }
}

#[test]
fn a_restored_state_goes_on_with_the_same_bits() {
    #[track_caller]
    fn check<T: Real>(optimizer: Optimizer, steps: usize) {
        let segments = segments(&[20, 30, 20, 3], Some(&[1.0, 0.7]));
        let count = segments.last().unwrap().range.end;
        let new = || OptimizerState::<T>::new(optimizer, &segments, 0.1, Some(Clip::Norm(0.5))).unwrap();
        let (mut state, mut parameters) = (new(), vec![T::ZERO; count]);
        run(&mut state, &Threads::ONE, &mut parameters, steps);

        let buffers: Vec<(String, Vec<T>)> =
            state.buffers().map(|(name, values)| (name.into(), values.to_vec())).collect();
        let (mut other, mut others) = (new(), parameters.clone());
        other.restore(state.steps(), &state.numbers(), &buffers).unwrap();
        run(&mut state, &Threads::ONE, &mut parameters, 15);
        run(&mut other, &Threads::ONE, &mut others, 15);
        assert_eq!(others, parameters, "{optimizer:?} after {steps} steps");

        for (i, (name, _)) in buffers.iter().enumerate() {
            let mut short = buffers.clone();
            short[i].1.pop();
            let error = new().restore(1, &state.numbers(), &short).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("values"), "{error}");
            short.remove(i);
            assert!(new().restore(1, &state.numbers(), &short).is_err(), "{optimizer:?} without {name}");
        }
        for (i, (name, _)) in state.numbers().into_iter().enumerate() {
            for bad in [f64::NAN, f64::INFINITY, -1.0] {
                let mut numbers = state.numbers();
                numbers[i].1 = bad;
                let error = new().restore(1, &numbers, &buffers).unwrap_err().to_string();
                assert!(error.contains(name), "{error}");
            }
        }
    }
    for optimizer in variants() {
        for steps in [0, 1, 5, 13] {
            check::<f32>(optimizer, steps);
            check::<f64>(optimizer, steps);
        }
    }
}

#[test]
fn what_is_not_finite_is_noticed() {
    let segments = segments(&SIZES, None);
    let count = segments.last().unwrap().range.end;
    for optimizer in variants() {
        for (clip, bad) in [
            (None, f64::NAN),
            (None, f64::INFINITY),
            (Some(Clip::Value(0.1)), f64::NAN),
            (Some(Clip::Norm(0.1)), f64::NAN),
            (Some(Clip::Norm(0.1)), f64::NEG_INFINITY),
        ] {
            for place in [0, count / 2, count - 1] {
                let mut state = OptimizerState::<f32>::new(optimizer, &segments, 0.0, clip).unwrap();
                let mut parameters = vec![0.5; count];
                run(&mut state, &Threads::ONE, &mut parameters, 3);
                let mut gradient = gradient(&parameters);
                gradient[place] = bad as f32;
                let is_finite = state.step(&Threads::ONE, &mut parameters, &gradient, 0.01);
                assert!(!is_finite, "{optimizer:?}, {clip:?}, {bad} at {place}: {:?}", parameters[place]);
            }
        }
    }
}

/// At a steady gradient the variance is nothing but rounding, and may come out below zero.
#[test]
fn centred_rmsprop_stays_finite_at_a_steady_gradient() {
    let optimizer = Optimizer::RMSPROP.with("centered", 1.0).unwrap();
    let mut state = OptimizerState::<f32>::new(optimizer, &segments(&SIZES, None), 0.0, None).unwrap();
    let mut parameters = [0.0; 39];
    let gradient: [f32; 39] = std::array::from_fn(|i| 0.1 + i as f32);
    assert!((0..5000).all(|_| state.step(&Threads::ONE, &mut parameters, &gradient, 1e-9)));
}

#[test]
fn settings_are_checked_at_the_door() {
    #[track_caller]
    fn check(optimizer: Optimizer, weight_decay: f64, clip: Option<Clip>, factor: f64, message: &str) {
        let segments = segments(&SIZES, Some(&[1.0, factor]));
        let error = OptimizerState::<f32>::new(optimizer, &segments, weight_decay, clip).unwrap_err().to_string();
        assert_eq!(error, message);
    }
    let sgd = Optimizer::SGD;
    check(sgd, -1.0, None, 1.0, "weight decay: expected a finite number of 0 or more, got -1");
    check(
        sgd,
        0.0,
        Some(Clip::Norm(0.0)),
        1.0,
        "largest norm of the gradient: expected a finite number above 0, got 0",
    );
    let message = "largest value of the gradient: expected a finite number above 0, got NaN";
    check(sgd, 0.0, Some(Clip::Value(f64::NAN)), 1.0, message);
    let message = "learning-rate factor of layers.0.bias: expected a finite number of 0 or more, got inf";
    check(sgd, 0.0, None, f64::INFINITY, message);
    let nesterov = Optimizer::Sgd { momentum: 0.0, nesterov: true };
    check(nesterov, 0.0, None, 1.0, "momentum: expected a number above 0, as it is Nesterov's, got 0");
    let steady = Optimizer::ADAM.with("beta1", 0.0).unwrap();
    assert!(OptimizerState::<f32>::new(steady, &segments(&SIZES, None), 0.0, None).is_ok());
    let steady = Optimizer::SCHEDULE_FREE.with("beta1", 0.0).unwrap();
    check(steady, 0.0, None, 1.0, "beta1: expected a number above 0, schedule-free, got 0");
    check(Optimizer::Lbfgs { history: 0 }, 0.0, None, 1.0, "history: expected a whole number from 1 to 1000, got 0");
}

#[test]
fn constants_have_names_and_ranges() {
    for optimizer in Optimizer::ALL {
        assert_eq!(Optimizer::from_name(optimizer.name()).unwrap(), optimizer);
        for (name, value) in optimizer.constants() {
            assert_eq!(optimizer.with(name, value).unwrap(), optimizer, "{name}");
            for bad in [-1.0, f64::NAN, f64::INFINITY, 1e300, -0.5] {
                let is_fine = name == "epsilon" && bad == 1e300;
                assert_eq!(optimizer.with(name, bad).is_ok(), is_fine, "{optimizer:?} with {name} = {bad}");
            }
        }
        let error = optimizer.with("beta3", 0.5).unwrap_err().to_string();
        assert!(optimizer.constants().iter().all(|(name, _)| error.contains(name)), "{error}");
    }
    let error = Optimizer::from_name("adan").unwrap_err().to_string();
    assert_eq!(error, "optimizer: expected one of sgd, rmsprop, adam, adamw, muon, schedule-free, lbfgs, got adan");
    assert!(Optimizer::SGD.with("nesterov", 0.5).is_err());
    assert!(Optimizer::LBFGS.with("history", 2.5).is_err());
    let defaults = Optimizer::ALL.map(Optimizer::default_weight_decay);
    assert_eq!(defaults, [0.0, 0.0, 0.0, 0.01, 0.01, 0.0, 0.0]);
}
