//! A training step allocates nothing after the first. The only test of this file, and without a harness, whose own threads
//! would be counted: one says so when a test takes long.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use ndarray::{Array2, Axis};
use schuss::{
    Activation, Augment, Dataset, Features, Init, Loss, Mlp, Model, Network, NormKind, Optimizer, Predictor, Products,
    Real, RealMlp, Scaling, Settings, Targets, Task, Threads, Trainer,
};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: passes every request on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::SeqCst);
        // SAFETY: by this function's contract.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: by this function's contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(f: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.load(Ordering::SeqCst);
    f();
    ALLOCATIONS.load(Ordering::SeqCst) - before
}

#[track_caller]
fn check<T: Real>(threads: usize, optimizer: Optimizer, activation: Activation, loss: Loss, data: Dataset) {
    let targets = data.targets();
    let softmax = Activation::Softmax { epsilon: Activation::DEFAULT_EPSILON };
    let last = if loss == Loss::CrossEntropy { softmax } else { Activation::Identity };
    let is_relu = activation == Activation::Relu;
    let norm = if is_relu { NormKind::Batch } else { NormKind::Layer };
    let mlp = Mlp::new(&[100, 200, 60, 60, targets.width()], activation, last);
    let mlp = Mlp { norm: Some(norm), dropout: 0.2, input_dropout: 0.1, residual: true, ..mlp };
    let mut network = Network::<T>::of_layers(mlp.layers().unwrap()).unwrap();
    Init::He.draw(&mut network, 0);
    let task = Task::of(targets);
    let mut model = Model { scaling: Scaling::Divide(255.0), ..Model::new(network, loss, task) };
    let augment = is_relu.then(|| "shift:2,rotate:10,scale:0.1,elastic:20:4".parse::<Augment>().unwrap());
    let is_mixed = activation == Activation::LeakyRelu;
    let products = if is_relu { Products::Bf16 } else { Products::Exact };
    model.example_shape = vec![10, 10];
    let settings = Settings {
        optimizer,
        learning_rate: 1e-4,
        batch_size: 200,
        l2: 1e-4,
        augment,
        products,
        mixup: if is_mixed { 0.3 } else { 0.0 },
        label_smoothing: if loss == Loss::Mse { 0.0 } else { 0.1 },
        class_weights: if is_mixed { vec![2.0; targets.width()] } else { Vec::new() },
        accumulate: if is_mixed { 3 } else { 1 },
        ..Settings::default()
    };
    check_steps(threads, &mut model, data, &settings);
}

/// Numbers, plain columns and codes.
#[track_caller]
fn check_table<'a>(threads: usize, columns: &'a Array2<f32>, targets: Targets<'a>) {
    let data = Dataset::new(Features::F32(columns.view()), targets).unwrap();
    let task = Task::of(targets);
    let table = RealMlp { numbers: 60, plain: 38, categories: vec![20, 7], ..RealMlp::td(task, targets.width()) };
    let network = Network::<f32>::of_layers(table.layers()).unwrap();
    let loss = if task == Task::Regression { Loss::Mse } else { Loss::CrossEntropy };
    let mut model = Model::new(network, loss, task);
    model.fit_init(data.features(), 0, &Threads::ONE).unwrap();
    let settings = Settings { learning_rate: 1e-4, ..table.settings() };
    check_steps(threads, &mut model, data, &settings);
    let mut predictor = Predictor::new(&model).unwrap();
    let row = Features::F32(columns.slice_axis(Axis(0), (3..4).into()));
    let mut predict = || assert!(predictor.predict(row).is_ok());
    predict();
    assert_eq!(allocations(predict), 0, "a single prediction");
}

#[track_caller]
fn check_steps<T: Real>(threads: usize, model: &mut Model<T>, data: Dataset, settings: &Settings) {
    let threads = Threads::new(threads).unwrap();
    let mut trainer = Trainer::new(model, data, settings, &threads).unwrap();
    let order: Vec<u32> = (0..data.rows() as u32).rev().collect();
    let mut steps = |epochs: usize| {
        for rows in (0..epochs).flat_map(|_| order.chunks(settings.batch_size)) {
            assert!(trainer.step(rows, settings.learning_rate).is_some());
        }
    };
    // Every thread meets its first piece of work within a few steps.
    steps(50);
    assert_eq!(allocations(|| steps(50)), 0, "{threads:?}, {settings:?}");
}

fn main() {
    a_step_allocates_nothing_after_the_first();
    println!("test a_step_allocates_nothing_after_the_first ... ok");
}

fn a_step_allocates_nothing_after_the_first() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1, "the allocator does not count");
    // The second of three batches is the first that has zeros to leave out.
    let is_blank = |i, j| (200..400).contains(&i) && j > 40;
    let pixels = Array2::from_shape_fn((450, 100), |(i, j)| if is_blank(i, j) { 0 } else { (i * 31 + j * 17) as u8 });
    let labels: Vec<u32> = (0..450).map(|i| i % 10).collect();
    let values = Array2::from_shape_fn((450, 3), |(i, j)| (i + j) as f64 / 450.0);
    let data = |targets| Dataset::new(Features::U8(pixels.view()), targets).unwrap();
    let classes = data(Targets::Classes { labels: &labels, classes: 10 });
    let numbers = data(Targets::Values(values.view()));
    let model = Model::new(
        Network::<f32>::new(&[100, 200, 10], Activation::Tanh, Activation::Identity).unwrap(),
        Loss::Mse,
        Task::Regression,
    );
    let mut predictor = Predictor::new(&model).unwrap();
    let row = pixels.slice_axis(Axis(0), (3..4).into());
    let mut predict = || assert_eq!(predictor.predict(Features::U8(row)).unwrap().len(), 10);
    predict();
    assert_eq!(allocations(predict), 0, "a single prediction");
    let columns =
        Array2::from_shape_fn((450, 100), |(i, j)| ((i * 31 + j * 17) % 20) as f32 - if j < 98 { 9.5 } else { 0.0 });
    for threads in [1, 2] {
        check_table(threads, &columns, classes.targets());
        check_table(threads, &columns, numbers.targets());
        check::<f32>(threads, Optimizer::SGD, Activation::Relu, Loss::CrossEntropy, classes);
        check::<f64>(threads, Optimizer::ADAM, Activation::Gelu, Loss::CrossEntropy, classes);
        check::<f32>(threads, Optimizer::ADAM, Activation::Tanh, Loss::Mse, numbers);
        check::<f64>(threads, Optimizer::SGD, Activation::LeakyRelu, Loss::BinaryCrossEntropy, classes);
        for optimizer in [Optimizer::RMSPROP, Optimizer::MUON, Optimizer::SCHEDULE_FREE, Optimizer::LBFGS] {
            check::<f32>(threads, optimizer, Activation::Tanh, Loss::CrossEntropy, classes);
        }
    }
}
