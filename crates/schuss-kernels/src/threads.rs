//! How much of the machine a computation may use.
//!
//! A step of training is a few dozen parallel loops, some of them no longer than a few microseconds. The pool is made for
//! that: its threads look for the next loop for a while before they go to sleep, so that a loop begins a fraction of
//! a microsecond after it is asked for. Whoever asks works, too, and takes over what no thread has begun; therefore
//! a thread that the system does not run holds nobody up.

use std::any::Any;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::meter::waiting;

/// How often a thread looks for a loop before it goes to sleep: one or two tenths of a millisecond.
const LOOKS: usize = 10_000;
/// How often whoever waits for the others looks before it lets the system run somebody else.
const PATIENCE: usize = 2_000;

/// A number of threads, and the pool that holds them. Cloning shares the pool.
///
/// The number never changes a result, only the time it takes.
#[derive(Clone)]
pub struct Threads {
    count: usize,
    pool: Option<Arc<Pool>>,
}

impl Threads {
    /// The calling thread alone; needs no pool.
    pub const ONE: Threads = Threads { count: 1, pool: None };

    /// `count` threads, at least one: the calling one and `count - 1` of a pool.
    ///
    /// # Errors
    /// The operating system refuses to start them.
    pub fn new(count: usize) -> io::Result<Self> {
        if count <= 1 {
            return Ok(Self::ONE);
        }
        Ok(Self { count, pool: Some(Arc::new(Pool::new(count - 1)?)) })
    }

    /// One thread for each core that this process may use.
    ///
    /// # Errors
    /// The operating system refuses to start them.
    pub fn all() -> io::Result<Self> {
        Self::new(available())
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.count
    }

    /// How many parts `work` is worth: no more than there are threads, and none smaller than `smallest`.
    pub(crate) fn parts(&self, work: usize, smallest: usize) -> usize {
        if self.count == 1 { 1 } else { (work / smallest).clamp(1, self.count) }
    }

    /// Calls `f` with 0, 1, ... `parts - 1`, in parallel.
    #[inline]
    pub fn for_each(&self, parts: usize, f: impl Fn(usize) + Sync) {
        match &self.pool {
            Some(pool) if parts > 1 => pool.for_each(parts, &f),
            _ => (0..parts).for_each(f),
        }
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Threads").field(&self.count).finish()
    }
}

fn available() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get())
}

struct Pool {
    shared: Arc<Shared>,
    /// Held while a loop runs. Who finds it taken runs the loop alone: the same bits, and no two loops wait for each
    /// other.
    in_use: AtomicBool,
    workers: Vec<JoinHandle<()>>,
}

/// What the workers see.
struct Shared {
    ticket: Ticket,
    /// The loop that the ticket is for.
    job: AtomicPtr<Job<'static>>,
    /// Parts that are done.
    done: AtomicUsize,
    looks: usize,
    stop: AtomicBool,
    sleepers: AtomicUsize,
    sleep: Mutex<()>,
    wake: Condvar,
}

struct Job<'a> {
    f: &'a (dyn Fn(usize) + Sync),
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

/// Which part of which loop is next: the number of the loop, of its parts, and of those taken, in one atomic word, so
/// that whoever takes a part knows that its loop is still there.
struct Ticket(AtomicU64);

impl Ticket {
    const PARTS: u32 = 16;
    const LOOP: u32 = 32;
    const MASK: u64 = 0xffff;

    /// Begins the next loop.
    fn publish(&self, parts: usize) {
        let number = (self.0.load(Ordering::Relaxed) >> Self::LOOP) + 1;
        // Sequentially consistent: a worker that falls asleep either sees this or is seen to sleep.
        self.0.store(number << Self::LOOP | (parts as u64) << Self::PARTS, Ordering::SeqCst);
    }

    fn has_parts(word: u64) -> bool {
        word & Self::MASK < (word >> Self::PARTS) & Self::MASK
    }

    /// Whether some part waits to be taken.
    fn is_open(&self) -> bool {
        Self::has_parts(self.0.load(Ordering::SeqCst))
    }

    /// A part that nobody else has.
    fn take(&self) -> Option<usize> {
        let mut word = self.0.load(Ordering::Acquire);
        while Self::has_parts(word) {
            match self.0.compare_exchange_weak(word, word + 1, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some((word & Self::MASK) as usize),
                Err(now) => word = now,
            }
        }
        None
    }
}

impl Pool {
    fn new(workers: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            ticket: Ticket(AtomicU64::new(0)),
            job: AtomicPtr::new(std::ptr::null_mut()),
            done: AtomicUsize::new(0),
            // More threads than cores take time from each other by looking.
            looks: if workers < available() { LOOKS } else { 0 },
            stop: AtomicBool::new(false),
            sleepers: AtomicUsize::new(0),
            sleep: Mutex::new(()),
            wake: Condvar::new(),
        });
        let mut pool = Self { shared, in_use: AtomicBool::new(false), workers: Vec::with_capacity(workers) };
        for i in 0..workers {
            let shared = pool.shared.clone();
            // A failure drops the pool, which ends the threads that it has.
            pool.workers.push(std::thread::Builder::new().name(format!("schuss-{i}")).spawn(move || shared.work())?);
        }
        Ok(pool)
    }

    fn for_each(&self, parts: usize, f: &(dyn Fn(usize) + Sync)) {
        if parts > Ticket::MASK as usize || self.in_use.swap(true, Ordering::Acquire) {
            return (0..parts).for_each(f);
        }
        let job = Job { f, panic: Mutex::new(None) };
        let Shared { ticket, done, sleepers, sleep, wake, .. } = &*self.shared;
        done.store(0, Ordering::Relaxed);
        let running = Running { pool: self, parts };
        self.shared.job.store(std::ptr::from_ref(&job).cast_mut().cast(), Ordering::Relaxed);
        ticket.publish(parts);
        let asleep = sleepers.load(Ordering::SeqCst);
        if asleep > 0 {
            let _guard = sleep.lock().unwrap_or_else(PoisonError::into_inner);
            (0..asleep.min(parts - 1)).for_each(|_| wake.notify_one());
        }
        while self.shared.do_part() {}
        waiting(|| drop(running));
        if let Some(panic) = job.panic.into_inner().unwrap_or_else(PoisonError::into_inner) {
            resume_unwind(panic);
        }
    }
}

/// A loop whose parts may be in other hands until this is dropped, which waits for them.
struct Running<'p> {
    pool: &'p Pool,
    parts: usize,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut looks = 0;
        while self.pool.shared.done.load(Ordering::Acquire) < self.parts {
            // Nothing is left to take, unless the loop was left in the middle.
            self.pool.shared.do_part();
            looks += 1;
            if looks < PATIENCE {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
        self.pool.in_use.store(false, Ordering::Release);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        drop(self.shared.sleep.lock());
        self.shared.wake.notify_all();
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}

impl Shared {
    fn work(&self) {
        let mut looks = 0;
        while !self.stop.load(Ordering::Relaxed) {
            if self.do_part() {
                looks = 0;
            } else if looks < self.looks {
                looks += 1;
                std::hint::spin_loop();
            } else {
                looks = 0;
                let guard = self.sleep.lock().unwrap_or_else(PoisonError::into_inner);
                self.sleepers.fetch_add(1, Ordering::SeqCst);
                let is_idle = |_: &mut ()| !self.ticket.is_open() && !self.stop.load(Ordering::SeqCst);
                drop(self.wake.wait_while(guard, is_idle));
                self.sleepers.fetch_sub(1, Ordering::SeqCst);
            }
        }
    }

    /// Takes a part and does it, if there is one.
    fn do_part(&self) -> bool {
        let Some(part) = self.ticket.take() else { return false };
        // SAFETY: `for_each` stored the pointer before it published the ticket, and keeps the job until `Running` has
        // seen as many parts done as there are; this one is not.
        let job = unsafe { &*self.job.load(Ordering::Relaxed).cast_const() };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (job.f)(part))) {
            let mut first = job.panic.lock().unwrap_or_else(PoisonError::into_inner);
            match &*first {
                None => *first = Some(panic),
                // Dropping it could panic again.
                Some(_) => std::mem::forget(panic),
            }
        }
        self.done.fetch_add(1, Ordering::Release);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every part once, loop after loop, also with more threads than cores and with pauses in which threads fall asleep.
    #[test]
    fn every_part_is_done_once() {
        for count in [1, 2, 3, 16] {
            let threads = Threads::new(count).unwrap();
            for round in 0..2000 {
                let parts = round % 20;
                let done: [AtomicUsize; 20] = Default::default();
                threads.for_each(parts, |part| {
                    done[part].fetch_add(1, Ordering::Relaxed);
                });
                let expected: Vec<_> = (0..20).map(|part| usize::from(part < parts)).collect();
                assert_eq!(done.map(AtomicUsize::into_inner).to_vec(), expected, "{count} threads");
                if round % 500 == 0 {
                    std::thread::sleep(std::time::Duration::from_millis(2));
                }
            }
        }
    }

    #[test]
    fn loops_within_loops_and_from_several_threads_are_done() {
        let threads = Threads::new(3).unwrap();
        let count = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        threads.for_each(3, |_| {
                            threads.for_each(2, |_| {
                                count.fetch_add(1, Ordering::Relaxed);
                            });
                        });
                    }
                });
            }
        });
        assert_eq!(count.into_inner(), 4 * 100 * 3 * 2);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        let threads = Threads::new(2).unwrap();
        for _ in 0..3 {
            let result = catch_unwind(AssertUnwindSafe(|| threads.for_each(8, |part| assert_ne!(part, 5))));
            assert!(result.is_err());
        }
        let count = AtomicUsize::new(0);
        threads.for_each(8, |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(count.into_inner(), 8);
    }
}
