//! What packing and training on a packed file take of memory: not the whole, and nothing in a step. The only test of this
//! file, and without a harness, whose own threads would be counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use schuss::{
    Activation, Encoder, Evaluate, Event, Init, Loss, Model, Network, Order, Parts, Run, Settings, Task, Threads,
};
use schuss_data::{PackOptions, Roles, TableOptions, Valid, open_pack, pack_tables};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);
static PEAK: AtomicU64 = AtomicU64::new(0);

// SAFETY: passes every request on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::SeqCst);
        let bytes = BYTES.fetch_add(layout.size() as u64, Ordering::SeqCst) + layout.size() as u64;
        PEAK.fetch_max(bytes, Ordering::SeqCst);
        // SAFETY: by this function's contract.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size() as u64, Ordering::SeqCst);
        // SAFETY: by this function's contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes in use at a time, beyond those in use before.
fn peak(f: impl FnOnce()) -> u64 {
    let before = BYTES.load(Ordering::SeqCst);
    PEAK.store(before, Ordering::SeqCst);
    f();
    PEAK.load(Ordering::SeqCst) - before
}

const ROWS: usize = 200_000;
const COLUMNS: usize = 30;
const WINDOW: u64 = 1 << 20;
const MEBIBYTE: u64 = 1 << 20;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    let mut text = (0..COLUMNS).map(|column| format!("c{column},")).collect::<String>() + "y\n";
    for row in 0..ROWS {
        (0..COLUMNS).for_each(|column| write!(text, "{},", (row * 7919 + column * 104_729) % 997).unwrap());
        writeln!(text, "{}", row % 2).unwrap();
    }
    std::fs::write(&path, &text).unwrap();
    drop(text);
    packing_and_training_take_a_part_of_the_data(&path);
    println!("test packing_and_training_take_a_part_of_the_data ... ok");
}

fn packing_and_training_take_a_part_of_the_data(path: &std::path::Path) {
    let out = path.with_extension("pack");
    let how = PackOptions {
        test: None,
        valid: Valid::Share(0.0),
        encoder: Encoder::default(),
        window_bytes: WINDOW,
        finds_nominal: true,
    };
    let packing = peak(|| {
        let notes =
            pack_tables(&[path.into()], &TableOptions::default(), &Roles::default(), &how, &out, &mut |_, _| {});
        notes.unwrap();
    });
    let in_memory = (8 * ROWS * (COLUMNS + 1)) as u64;
    // The sample of 100,000 rows by which columns are scaled, and a piece of rows on its way.
    let sample = (8 * 100_000 * COLUMNS) as u64;
    assert!(packing < sample + 40 * ROWS as u64 + 64 * MEBIBYTE, "packing took {packing} bytes");
    assert!(std::fs::metadata(&out).unwrap().len() > 20 * MEBIBYTE && in_memory > 40 * MEBIBYTE);

    let data = open_pack(&out, true).unwrap();
    let train = data.train.dataset().unwrap();
    let windows = train.stream().unwrap().blocks().len().div_ceil(train.stream().unwrap().window_blocks()) as u64;
    assert!(windows > 10);
    let softmax = Activation::Softmax { epsilon: Activation::DEFAULT_EPSILON };
    let mut network = Network::<f32>::new(&[COLUMNS, 8, 2], Activation::Relu, softmax).unwrap();
    Init::He.draw(&mut network, 0);
    let mut model = Model::new(network, Loss::CrossEntropy, Task::Classification { classes: 2 });
    let order = Order::Shuffled { seed: 0 };
    let settings = Settings { batch_size: 100, epochs: 2, order, evaluation: Evaluate::AtEnd, ..Settings::default() };
    let mut allocations = 0;
    let mut steps = 0;
    let training = peak(|| {
        let mut run = Run::new(&mut model, Parts::of(train), &settings, &Threads::ONE).unwrap();
        let mut before = 0;
        while let Some(event) = run.advance().unwrap() {
            match event {
                Event::EpochStarted { epoch: 1 } => before = ALLOCATIONS.load(Ordering::SeqCst),
                Event::StepsFinished { epoch: 1 } => allocations = ALLOCATIONS.load(Ordering::SeqCst) - before,
                Event::Step { .. } => steps += 1,
                _ => {}
            }
        }
        run.finish().unwrap();
    });
    assert!(training < 2 * WINDOW + 3 * MEBIBYTE, "training took {training} bytes");
    // Of the second epoch, a few a window, none a step.
    assert!(steps > 3000 && allocations <= 20 * windows, "{allocations} allocations in {windows} windows");
}
