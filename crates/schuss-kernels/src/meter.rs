//! Where the time of a training step goes, for whoever asks.
//!
//! The doors of this crate and the training step say what they do; where a clock was given, on the thread that it was
//! given on, their time is added up by kind. Elsewhere saying it costs nothing worth mentioning.

use std::cell::Cell;
use std::ops::{Add, Sub};

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Examples into a batch.
    Data,
    /// Matrix products, what is fused with them included.
    Products,
    /// Activations, losses, sums.
    Elementwise,
    /// The update of the parameters.
    Optimizer,
}

/// Time by kind of work, in the clock's unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// [`Work::Data`]
    pub data: u64,
    /// [`Work::Products`]
    pub products: u64,
    /// [`Work::Elementwise`]
    pub elementwise: u64,
    /// [`Work::Optimizer`]
    pub optimizer: u64,
    /// Waiting for other threads to end their part of a loop.
    pub waiting: u64,
}

impl Split {
    fn with(self, other: Self, f: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            data: f(self.data, other.data),
            products: f(self.products, other.products),
            elementwise: f(self.elementwise, other.elementwise),
            optimizer: f(self.optimizer, other.optimizer),
            waiting: f(self.waiting, other.waiting),
        }
    }
}

impl Add for Split {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.with(other, |a, b| a + b)
    }
}

impl Sub for Split {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.with(other, |a, b| a - b)
    }
}

#[derive(Clone, Copy)]
struct Meter {
    clock: Option<fn() -> u64>,
    /// Whether some work is being timed already, to which all within belongs.
    is_busy: bool,
    split: Split,
}

thread_local! {
    static METER: Cell<Meter> = const {
        let split = Split { data: 0, products: 0, elementwise: 0, optimizer: 0, waiting: 0 };
        Cell::new(Meter { clock: None, is_busy: false, split })
    };
}

/// Times the work of this thread with `clock` from now on; with none, no longer.
pub fn set_clock(clock: Option<fn() -> u64>) {
    METER.set(Meter { clock, is_busy: false, ..METER.get() });
}

/// What this thread's work has taken so far.
pub fn split() -> Split {
    METER.get().split
}

thread_local! {
    static SKIPPED: Cell<u64> = const { Cell::new(0) };
}

/// The multiply-adds that the products begun by this thread have left out so far, their factors being zero.
pub fn skipped() -> u64 {
    SKIPPED.get()
}

pub(crate) fn add_skipped(count: u64) {
    SKIPPED.set(SKIPPED.get() + count);
}

/// Does `work`, which is of this kind unless it is part of another that is being timed.
#[inline]
pub fn timed<R>(kind: Work, work: impl FnOnce() -> R) -> R {
    let meter = METER.get();
    let Some(clock) = meter.clock.filter(|_| !meter.is_busy) else { return work() };
    METER.set(Meter { is_busy: true, ..meter });
    let [waited, start] = [meter.split.waiting, clock()];
    let result = work();
    let time = clock().saturating_sub(start);
    let mut meter = METER.get();
    let time = time.saturating_sub(meter.split.waiting - waited);
    match kind {
        Work::Data => meter.split.data += time,
        Work::Products => meter.split.products += time,
        Work::Elementwise => meter.split.elementwise += time,
        Work::Optimizer => meter.split.optimizer += time,
    }
    meter.is_busy = false;
    METER.set(meter);
    result
}

/// Does what is nothing but waiting for other threads.
#[inline]
pub(crate) fn waiting(wait: impl FnOnce()) {
    let Some(clock) = METER.get().clock else { return wait() };
    let start = clock();
    wait();
    let mut meter = METER.get();
    meter.split.waiting += clock().saturating_sub(start);
    METER.set(meter);
}

#[cfg(test)]
mod tests {
    use super::*;

    thread_local! {
        static NOW: Cell<u64> = const { Cell::new(0) };
    }

    fn pass(time: u64) {
        NOW.set(NOW.get() + time);
    }

    #[test]
    fn time_belongs_to_the_outermost_work_less_what_it_waits() {
        timed(Work::Data, || pass(100));
        assert_eq!(split(), Split::default());
        set_clock(Some(|| NOW.get()));
        timed(Work::Data, || {
            pass(3);
            timed(Work::Elementwise, || pass(4));
            waiting(|| pass(10));
        });
        timed(Work::Products, || {
            pass(5);
            waiting(|| pass(20));
        });
        timed(Work::Products, || pass(6));
        timed(Work::Elementwise, || pass(1));
        timed(Work::Optimizer, || pass(2));
        set_clock(None);
        timed(Work::Data, || pass(100));
        assert_eq!(split(), Split { data: 7, products: 11, elementwise: 1, optimizer: 2, waiting: 30 });
    }
}
