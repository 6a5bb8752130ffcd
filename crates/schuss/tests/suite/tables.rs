//! Networks for tables: what holds of every network holds of them, and what is theirs alone.

use ndarray::{Array2, Axis};
use safetensors::SafeTensors;
use schuss::{
    Control, Dataset, Features, Layer, Loss, Model, ModelFile, Network, Optimizer, OptimizerState, Order, Parts,
    Predictor, Real, RealMlp, Run, Schedule, Segment, Settings, Targets, Task, Threads, Trainer, train, weights_sha256,
};

const ROWS: usize = 300;

/// Three numbers, two columns of 0 and 1, two columns of codes, some of them unknown.
fn columns() -> Array2<f32> {
    Array2::from_shape_fn((ROWS, 7), |(i, j)| match j {
        0..3 => ((i * 7 + j * 5) as f32 * 0.37).sin() * 2.0,
        3..5 => f32::from(i / 3 % 2 == j - 3),
        5 => (i * 5 % 4) as f32,
        _ => (i * 11 % 14) as f32 - 1.0,
    })
}

fn labels() -> Vec<u32> {
    (0..ROWS as u32).map(|i| i * 7 % 3).collect()
}

fn values() -> Array2<f64> {
    Array2::from_shape_fn((ROWS, 1), |(i, _)| (i as f64 * 0.37).sin() + (i * 5 % 4) as f64)
}

fn table(task: Task) -> RealMlp {
    let outputs = if task == Task::Regression { 1 } else { 3 };
    RealMlp { numbers: 3, plain: 2, categories: vec![3, 12], hidden: vec![40, 24], ..RealMlp::td(task, outputs) }
}

const CLASSES: Task = Task::Classification { classes: 3 };

fn model(task: Task, columns: &Array2<f32>) -> Model<f32> {
    let network = Network::of_layers(table(task).layers()).unwrap();
    let loss = if task == Task::Regression { Loss::Mse } else { Loss::CrossEntropy };
    let mut model = Model::new(network, loss, task);
    model.fit_init(Features::F32(columns.view()), 3, &Threads::ONE).unwrap();
    model
}

fn settings(task: Task) -> Settings {
    Settings { epochs: 3, batch_size: 64, seed: 5, order: Order::Shuffled { seed: 5 }, ..table(task).settings() }
}

/// The first 200 rows to train on, the others to choose by.
fn with_parts<R>(task: Task, f: impl FnOnce(&Array2<f32>, Parts) -> R) -> R {
    let (columns, labels, values) = (columns(), labels(), values());
    let part = |range: std::ops::Range<usize>| {
        let targets = match task {
            Task::Regression => Targets::Values(values.slice_axis(Axis(0), range.clone().into())),
            _ => Targets::Classes { labels: &labels[range.clone()], classes: 3 },
        };
        Dataset::new(Features::F32(columns.slice_axis(Axis(0), range.into())), targets).unwrap()
    };
    f(&columns, Parts { train: part(0..200), valid: Some(part(200..ROWS)), test: None })
}

#[test]
fn bits_do_not_depend_on_threads() {
    for task in [CLASSES, Task::Regression] {
        with_parts(task, |columns, parts| {
            let [one, two, seven] = [1, 2, 7].map(|threads| {
                let mut model = model(task, columns);
                let threads = Threads::new(threads).unwrap();
                train(&mut model, parts, &settings(task), &threads, |_| Control::Continue).unwrap();
                weights_sha256(&model.network)
            });
            assert_eq!((&one, &one), (&two, &seven));
        });
    }
}

/// Large enough that every loop is shared out.
#[test]
fn gradients_of_a_large_batch_do_not_depend_on_threads() {
    let mut table = RealMlp { numbers: 40, hidden: vec![64], ..table(CLASSES) };
    table.plain = 30;
    let columns =
        Array2::from_shape_fn((3000, 72), |(i, j)| if j < 70 { ((i * 3 + j) as f32).sin() } else { (i % 5) as f32 });
    let labels: Vec<u32> = (0..3000).map(|i| i % 3).collect();
    let data = Dataset::new(Features::F32(columns.view()), Targets::Classes { labels: &labels, classes: 3 }).unwrap();
    let rows: Vec<u32> = (0..3000).collect();
    let gradients = [1, 2, 3].map(|threads| {
        let threads = Threads::new(threads).unwrap();
        let network = Network::<f32>::of_layers(table.layers()).unwrap();
        let mut model = Model::new(network, Loss::CrossEntropy, CLASSES);
        model.fit_init(Features::F32(columns.view()), 3, &threads).unwrap();
        let settings = Settings { batch_size: 3000, ..Settings::default() };
        let mut trainer = Trainer::new(&mut model, data, &settings, &threads).unwrap();
        let loss = trainer.gradient(&rows);
        (loss, trainer.workspace().gradient().to_vec())
    });
    assert!(gradients[0] == gradients[1] && gradients[0] == gradients[2]);
}

#[test]
fn a_single_prediction_has_the_bits_of_one_among_others() {
    for task in [CLASSES, Task::Regression] {
        let columns = columns();
        let mut model = model(task, &columns);
        if task == Task::Regression {
            model.output_range = vec![[-0.5, 1.0]];
        }
        let expected = model.predict(Features::F32(columns.view()), &Threads::ONE).unwrap();
        let mut predictor = Predictor::new(&model).unwrap();
        for (row, expected) in expected.rows().into_iter().enumerate() {
            let example = Features::F32(columns.slice_axis(Axis(0), (row..row + 1).into()));
            assert_eq!(predictor.predict(example).unwrap(), expected.to_slice().unwrap(), "row {row}");
        }
    }
}

/// Killed after any event and resumed on another number of threads, a run ends with the same bits.
#[test]
fn a_resumed_run_ends_with_the_same_bits() {
    for task in [CLASSES, Task::Regression] {
        with_parts(task, |columns, parts| {
            let settings = settings(task);
            let mut expected = model(task, columns);
            let summary = train(&mut expected, parts, &settings, &Threads::ONE, |_| Control::Continue).unwrap();
            for kill_after in [0, 1, 2, 5, 7, 11, 16] {
                let mut killed = model(task, columns);
                let mut run = Run::new(&mut killed, parts, &settings, &Threads::ONE).unwrap();
                for _ in 0..kill_after {
                    run.advance().unwrap();
                }
                let checkpoint = run.checkpoint();
                let mut other = model(task, columns);
                let threads = Threads::new(3).unwrap();
                let mut run = Run::resume(&mut other, parts, &settings, &threads, &checkpoint).unwrap();
                while run.advance().unwrap().is_some() {}
                assert_eq!(run.finish().unwrap(), summary, "killed after {kill_after} events");
                assert_eq!(weights_sha256(&other.network), weights_sha256(&expected.network));
            }
            let other = Settings { dropout_schedule: Schedule::Constant, ..settings.clone() };
            let checkpoint = Run::new(&mut model(task, columns), parts, &settings, &Threads::ONE).unwrap().checkpoint();
            let error = Run::resume(&mut expected, parts, &other, &Threads::ONE, &checkpoint).unwrap_err().to_string();
            assert!(error.contains("schedule of dropout of the checkpoint"), "{error}");
        });
    }
}

/// The loop over steps with factors that are functions of the step is the run.
#[test]
fn schedules_of_dropout_and_decay_are_functions_of_the_step() {
    with_parts(CLASSES, |columns, parts| {
        let settings = Settings {
            order: Order::Sequential,
            weight_decay: 0.5,
            keep: schuss::Keep::Last,
            calibrate: false,
            ..settings(CLASSES)
        };
        let trained = |settings: &Settings| {
            let mut model = model(CLASSES, columns);
            train(&mut model, parts, settings, &Threads::ONE, |_| Control::Continue).unwrap();
            weights_sha256(&model.network)
        };
        let expected = trained(&settings);
        let mut model = model(CLASSES, columns);
        let mut trainer = Trainer::new(&mut model, parts.train, &settings, &Threads::ONE).unwrap();
        let rows: Vec<u32> = (0..200).collect();
        let batches = (0..3).flat_map(|_| rows.chunks(64));
        for (step, rows) in batches.enumerate() {
            let factor = |schedule: Schedule| schedule.factor(step as u64, 12);
            trainer.set_factors(factor(settings.dropout_schedule), factor(settings.decay_schedule));
            trainer.step(rows, settings.learning_rate * factor(settings.schedule)).unwrap();
        }
        assert_eq!(weights_sha256(&model.network), expected);
        let constant =
            |decay_schedule, dropout_schedule| Settings { decay_schedule, dropout_schedule, ..settings.clone() };
        let flat = settings.decay_schedule;
        for other in [constant(Schedule::Constant, flat), constant(flat, Schedule::Constant)] {
            assert_ne!(trained(&other), expected, "each of them shows");
        }
    });
}

/// An optimiser that is given W = kV and its gradient makes of it k times what it makes of V.
#[test]
fn a_gain_is_a_change_of_parameters() {
    let gain = 0.3;
    let segments = |gain| {
        [0..12, 12..18].map(|range| Segment {
            name: format!("layers.{}.weight", range.start),
            layer: range.start,
            shape: vec![range.len() / 3, 3],
            range,
            learning_rate_factor: 0.7,
            gain,
            decay_factor: 0.8,
        })
    };
    let others = [Optimizer::Sgd { momentum: 0.9, nesterov: true }];
    let adam = Optimizer::Adam { beta1: 0.9, beta2: 0.95, epsilon: 0.1 };
    let all = Optimizer::ALL.into_iter().filter(|optimizer| !matches!(optimizer, Optimizer::Lbfgs { .. }));
    for optimizer in all.chain(others).chain([adam]) {
        let [mut of_w, mut of_v] =
            [gain, 1.0].map(|gain| OptimizerState::<f64>::new(optimizer, &segments(gain), 0.2, None).unwrap());
        let mut v: Vec<f64> = (0..18).map(|i| (i as f64).cos()).collect();
        let mut w: Vec<f64> = v.iter().map(|v| gain * v).collect();
        for step in 0..20 {
            let d_w: Vec<f64> = w.iter().enumerate().map(|(i, w)| w - (i * i + step) as f64 * 0.1).collect();
            let d_v: Vec<f64> = d_w.iter().map(|d| gain * d).collect();
            assert!(of_w.step(&Threads::ONE, &mut w, &d_w, 0.05) && of_v.step(&Threads::ONE, &mut v, &d_v, 0.05));
            for (w, v) in w.iter().zip(&v) {
                assert!(
                    (w - gain * v).abs() < 1e-12 * w.abs().max(1.0),
                    "{optimizer:?}, step {step}: {w} {}",
                    gain * v
                );
            }
        }
    }
}

/// Factors and gains come from the layers, and freezing takes them away no longer than it lasts.
#[test]
fn segments_are_learnt_as_the_layers_say() {
    let columns = columns();
    let mut network = model(CLASSES, &columns).network;
    let factor = |network: &Network<f32>, name: &str| {
        let segment = network.segments().iter().find(|segment| segment.name == name).unwrap();
        [segment.learning_rate_factor, segment.gain, segment.decay_factor]
    };
    let features = 3 * 4 + 2 + 2 * 8;
    let expected = [
        ("embeds.0.frequencies", [0.1, 1.0, 0.1]),
        ("embeds.0.tables.1", [1.0; 3]),
        ("scales.0.weight", [6.0, 1.0, 6.0]),
        ("layers.0.weight", [1.0, 1.0 / f64::from(features).sqrt(), 1.0]),
        ("layers.0.bias", [0.1, 1.0, 0.0]),
        ("activations.1.weight", [0.1, 1.0, 0.1]),
        ("layers.2.weight", [1.0, 1.0 / 24f64.sqrt(), 1.0]),
    ];
    for (name, expected) in expected {
        assert_eq!(factor(&network, name), expected, "{name}");
    }
    let before = network.segments().to_vec();
    network.freeze(1).unwrap();
    assert_eq!(factor(&network, "scales.0.weight")[0], 0.0);
    assert_eq!(factor(&network, "activations.1.weight")[0], 0.1);
    network.freeze(0).unwrap();
    assert_eq!(network.segments(), before);
}

#[test]
fn predictions_stay_within_their_range() {
    with_parts(Task::Regression, |columns, parts| {
        let mut model = model(Task::Regression, columns);
        let features = Features::F32(columns.view());
        let free = model.predict(features, &Threads::ONE).unwrap();
        let range = Targets::Values(free.view()).range();
        let [low, high] = [range[0][0] * 0.5, range[0][1] * 0.5];
        model.output_range = vec![[low, high]];
        let clamped = model.predict(features, &Threads::ONE).unwrap();
        assert_eq!(clamped, free.mapv(|x| x.clamp(low, high)));
        assert_ne!(clamped, free);
        let before = Model { output_range: Vec::new(), ..model.clone() };
        let rmse = |model: &Model<f32>| format!("{:?}", model.evaluate(parts.train, &Threads::ONE).unwrap().scores);
        assert_ne!(rmse(&before), rmse(&model));
        for range in [vec![[1.0, 0.0]], vec![[0.0, f64::NAN]], vec![[0.0, 1.0]; 2]] {
            let wrong = Model { output_range: range, ..model.clone() };
            assert!(wrong.predict(features, &Threads::ONE).is_err() && Predictor::new(&wrong).is_err());
        }
    });
}

/// A file's bytes with another header.
fn with_header(bytes: &[u8], change: impl FnOnce(String) -> String) -> Vec<u8> {
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let (header, data) = bytes[8..].split_at(length);
    let header = change(String::from_utf8(header.to_vec()).unwrap());
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

#[test]
fn a_file_has_all_of_it_and_may_be_hostile() {
    let columns = columns();
    let mut model = model(Task::Regression, &columns);
    model.output_range = vec![[-1.5, 4.0]];
    let path = std::env::temp_dir().join(format!("schuss-tables-{}.safetensors", std::process::id()));
    model.save(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(ModelFile::from_bytes(&bytes).unwrap().model::<f32>(), model);

    let check = |from: &str, to: &str| {
        let [from, to] = [from, to].map(|json| json.replace('"', "\\\""));
        let hostile = with_header(&bytes, |header| {
            assert!(header.contains(&from), "{from} is not in {header}");
            header.replace(&from, &to)
        });
        assert!(ModelFile::from_bytes(&hostile).is_err(), "{to}");
    };
    for factor in ["-1.0", "1e999", "null"] {
        check(r#""rate":6.0"#, &format!(r#""rate":{factor}"#));
        check(r#""decay":0.1"#, &format!(r#""decay":{factor}"#));
    }
    for count in ["0", "18446744073709551615", "4", "-1", "16777217"] {
        check(r#""count":12"#, &format!(r#""count":{count}"#));
        check(r#""width":8"#, &format!(r#""width":{count}"#));
        check(r#""numbers":3"#, &format!(r#""numbers":{count}"#));
        check(r#""plain":2"#, &format!(r#""plain":{count}"#));
        check(r#""frequencies":16"#, &format!(r#""frequencies":{count}"#));
    }
    for outputs in ["0", "1", "66", "18446744073709551615"] {
        check(r#""outputs":4,"deviation""#, &format!(r#""outputs":{outputs},"deviation""#));
    }
    check(r#""deviation":0.25"#, r#""deviation":-0.25"#);
    check(r#""activation":"mish""#, r#""activation":{"softmax":{"epsilon":0.0}}"#);
    check(r#""parametrization":"neural-tangent""#, r#""parametrization":"other""#);
    check(r#""output_range":[[-1.5,4.0]]"#, r#""output_range":[[4.0,-1.5]]"#);
    check(r#""output_range":[[-1.5,4.0]]"#, r#""output_range":[[0.0,1.0],[0.0,1.0]]"#);
}

/// What the data decide: every unit of the first layer has deviation 1 over them, and its zero among them.
#[test]
fn initial_parameters_fit_the_data() {
    let columns = columns();
    let table = RealMlp { is_simple: true, categories: Vec::new(), ..table(CLASSES) };
    let (numbers, _) = columns.view().split_at(Axis(1), 5);
    let features = Features::F32(numbers);
    let fitted = |seed, threads| {
        let mut layers = table.layers();
        layers.retain(|layer| matches!(layer, Layer::Dense(_)));
        let mut model = Model::new(Network::<f64>::of_layers(layers).unwrap(), Loss::CrossEntropy, CLASSES);
        model.fit_init(features, seed, &Threads::new(threads).unwrap()).unwrap();
        model.network
    };
    let network = fitted(1, 1);
    assert_eq!(network, fitted(1, 3));
    assert_ne!(network, fitted(2, 1));
    let x = numbers.mapv(f64::from);
    let (weight, bias) = network.parameters()[..40 * 6].split_at(40 * 5);
    for (w, b) in weight.chunks(5).zip(bias) {
        let z: Vec<f64> = x.rows().into_iter().map(|x| x.iter().zip(w).map(|(x, w)| x * w).sum()).collect();
        let mean = z.iter().sum::<f64>() / ROWS as f64;
        let variance = z.iter().map(|z| (z - mean) * (z - mean)).sum::<f64>() / ROWS as f64;
        assert!((variance - 1.0).abs() < 1e-9, "{variance}");
        assert!(z.iter().any(|z| z + b > 0.0) && z.iter().any(|z| z + b < 0.0), "a zero among the data");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let layers = table(CLASSES).layers();
    let embed = layers[0].clone();
    let mut late = layers.clone();
    late[1] = embed;
    assert!(Network::<f32>::of_layers(late).is_err());
    with_parts(CLASSES, |columns, parts| {
        let plateau = Schedule::Plateau { patience: 1, factor: 0.5 };
        let others = [
            Settings { mixup: 0.1, ..settings(CLASSES) },
            Settings { dropout_schedule: plateau, ..settings(CLASSES) },
            Settings { decay_schedule: plateau, ..settings(CLASSES) },
        ];
        for settings in others {
            assert!(Run::new(&mut model(CLASSES, columns), parts, &settings, &Threads::ONE).is_err());
        }
    });
}

const GOLDEN: &[u8] = include_bytes!("../golden/tables.safetensors");

/// A tensor of the golden file, as one row of numbers.
fn golden(name: &str) -> Vec<f64> {
    let tensors = SafeTensors::deserialize(GOLDEN).unwrap();
    let tensor = tensors.tensor(name).unwrap_or_else(|_| panic!("golden file: {name}"));
    tensor.data().as_chunks().0.iter().map(|&x| f64::from_le_bytes(x)).collect()
}

#[track_caller]
fn check_close<T: Real>(what: &str, got: &[T], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{what}: how many");
    let largest = expected.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let error = (got.to_f64() - expected).abs();
        assert!(error <= tolerance * largest, "{what}[{i}]: {got:?}, expected {expected:?}");
    }
}

/// Output, loss, gradient and twenty steps, against PyTorch (`golden/make_tables.py`).
#[test]
fn a_network_for_tables_is_pytorchs() {
    check_golden::<f64>("classes", CLASSES, 1e-11);
    check_golden::<f64>("numbers", Task::Regression, 1e-11);
    check_golden::<f32>("classes", CLASSES, 1e-4);
    check_golden::<f32>("numbers", Task::Regression, 1e-4);
}

#[track_caller]
fn check_golden<T: Real>(case: &str, task: Task, tolerance: f64) {
    let table = RealMlp { categories: vec![3, 5], hidden: vec![6, 5], ..table(task) };
    let mut layers = table.layers();
    layers.retain(|layer| !matches!(layer, Layer::Dropout(_)));
    let network = Network::<T>::of_layers(layers).unwrap();
    let loss = if task == Task::Regression { Loss::Mse } else { Loss::CrossEntropy };
    let mut model = Model::new(network, loss, task);
    let segments = model.network.segments().to_vec();
    let of_golden = |what: &str| -> Vec<f64> {
        segments.iter().flat_map(|segment| golden(&format!("{case}.{what}.{}", segment.name))).collect()
    };
    let initial: Vec<T> = of_golden("initial").into_iter().map(T::from_f64).collect();
    model.network.parameters_mut().copy_from_slice(&initial);

    let x = golden(&format!("{case}.x"));
    let x = Array2::from_shape_vec((x.len() / 7, 7), x).unwrap();
    let targets = golden(&format!("{case}.targets"));
    let labels: Vec<u32> = targets.iter().map(|&label| label as u32).collect();
    let values = Array2::from_shape_vec((targets.len(), 1), targets).unwrap();
    let targets = match task {
        Task::Regression => Targets::Values(values.view()),
        _ => Targets::Classes { labels: &labels, classes: 3 },
    };
    let features = Features::F64(x.view());
    let output = model.predict(features, &Threads::ONE).unwrap();
    check_close(&format!("{case}: output"), output.as_slice().unwrap(), &golden(&format!("{case}.output")), tolerance);

    let data = Dataset::new(features, targets).unwrap();
    let settings = Settings { weight_decay: 0.1, ..table.settings() };
    let mut trainer = Trainer::new(&mut model, data, &settings, &Threads::ONE).unwrap();
    let rows: Vec<u32> = (0..x.nrows() as u32).collect();
    let loss = trainer.gradient(&rows);
    check_close(&format!("{case}: loss"), &[loss], &golden(&format!("{case}.loss")), tolerance);
    let gradient = trainer.workspace().gradient();
    check_close(&format!("{case}: gradient"), gradient, &of_golden("gradient"), tolerance);
    for rate in golden(&format!("{case}.learning_rates")) {
        trainer.step(&rows, rate).unwrap();
    }
    let parameters = model.network.parameters();
    // Twenty steps amplify what rounding does.
    check_close(&format!("{case}: trained"), parameters, &of_golden("trained"), 100.0 * tolerance);
}
