//! Where the time of training steps went.

use std::sync::OnceLock;
use std::time::Instant;

use schuss_kernels::meter::{Split, set_clock, split};

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
        let [before, after] = [self.before, split()];
        let split = Split {
            data: after.data - before.data,
            products: after.products - before.products,
            elementwise: after.elementwise - before.elementwise,
            optimizer: after.optimizer - before.optimizer,
            waiting: after.waiting - before.waiting,
        };
        Spent { total, split }
    }
}

impl std::ops::AddAssign for Spent {
    fn add_assign(&mut self, other: Self) {
        self.total += other.total;
        self.split.data += other.split.data;
        self.split.products += other.split.products;
        self.split.elementwise += other.split.elementwise;
        self.split.optimizer += other.split.optimizer;
        self.split.waiting += other.split.waiting;
    }
}

/// `data 4 %, products 90 %, ...`
pub fn describe(spent: Spent) -> String {
    let Split { data, products, elementwise, optimizer, waiting } = spent.split;
    let named = data + products + elementwise + optimizer + waiting;
    let parts = [
        ("data", data),
        ("products", products),
        ("elementwise", elementwise),
        ("optimiser", optimizer),
        ("waiting", waiting),
        ("other", spent.total.saturating_sub(named)),
    ];
    let percent =
        |(name, time): (&str, u64)| format!("{name} {:.0} %", 100.0 * time as f64 / spent.total.max(1) as f64);
    parts.map(percent).join(", ")
}
