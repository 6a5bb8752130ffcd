//! Where the time of training steps went.

use std::sync::OnceLock;
use std::time::Instant;

use schuss::Threads;
use schuss_kernels::meter::{Split, set_clock, split};
use schuss_kernels::{Burst, fma_burst};

/// Nanoseconds since the first call.
fn nanoseconds() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// A stretch of time in which the work of this thread is timed.
pub struct Clocked {
    before: Split,
    start: u64,
}

/// The time of such a stretch, and its parts.
#[derive(Clone, Copy, Default)]
pub struct Spent {
    pub total: u64,
    pub split: Split,
}

impl Clocked {
    pub fn start() -> Self {
        set_clock(Some(nanoseconds));
        Self { before: split(), start: nanoseconds() }
    }

    pub fn stop(self) -> Spent {
        let total = nanoseconds() - self.start;
        set_clock(None);
        let split = split() - self.before;
        Spent { total, split }
    }
}

impl std::ops::AddAssign for Spent {
    fn add_assign(&mut self, other: Self) {
        self.total += other.total;
        self.split = self.split + other.split;
    }
}

/// The parts of the time, and what no part has.
pub fn parts(spent: Spent) -> [(&'static str, f64); 6] {
    let Split { data, products, elementwise, optimizer, waiting } = spent.split;
    let other = spent.total.saturating_sub(data + products + elementwise + optimizer + waiting);
    let parts = [
        ("data", data),
        ("products", products),
        ("elementwise", elementwise),
        ("optimiser", optimizer),
        ("waiting", waiting),
        ("other", other),
    ];
    parts.map(|(name, time)| (name, time as f64 / spent.total.max(1) as f64))
}

/// `data 4 %, products 90 %, ...`
pub fn describe(spent: Spent) -> String {
    parts(spent).map(|(name, share)| format!("{name} {:.0} %", 100.0 * share)).join(", ")
}

/// GFLOP/s of independent multiply-adds of this kind on all threads, the best of five: the measure of speeds. Takes some 40 ms.
pub fn peak<B: Burst>(threads: &Threads) -> f64 {
    let measure = |iterations: usize| {
        let start = Instant::now();
        let operations = fma_burst::<B>(threads, iterations);
        (operations, start.elapsed().as_secs_f64())
    };
    let (_, seconds) = measure(20_000);
    let iterations = ((20_000.0 * 0.008 / seconds.max(1e-6)) as usize).max(1);
    let rate = |_| {
        let (operations, seconds) = measure(iterations);
        operations / seconds / 1e9
    };
    (0..5).map(rate).fold(0.0, f64::max)
}
