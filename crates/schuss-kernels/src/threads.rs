//! How much of the machine a computation may use.

use std::fmt;
use std::sync::Arc;

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

/// A number of threads, and the pool that holds them. Cloning shares the pool.
///
/// The number never changes a result, only the time it takes.
#[derive(Clone)]
pub struct Threads {
    count: usize,
    pool: Option<Arc<ThreadPool>>,
}

impl Threads {
    /// The calling thread alone; needs no pool.
    pub const ONE: Threads = Threads { count: 1, pool: None };

    /// `count` threads, at least one.
    ///
    /// # Errors
    /// The operating system refuses to start them.
    pub fn new(count: usize) -> Result<Self, ThreadPoolBuildError> {
        if count <= 1 {
            return Ok(Self::ONE);
        }
        let name = |i| format!("schuss-{i}");
        let pool = ThreadPoolBuilder::new().num_threads(count).thread_name(name).build()?;
        Ok(Self { count, pool: Some(Arc::new(pool)) })
    }

    /// One thread for each core that this process may use.
    ///
    /// # Errors
    /// The operating system refuses to start them.
    pub fn all() -> Result<Self, ThreadPoolBuildError> {
        Self::new(std::thread::available_parallelism().map_or(1, |n| n.get()))
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Runs `f` inside the pool, so that the parallel loops within it start without the cost of entering it.
    pub fn install<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        match &self.pool {
            Some(pool) => pool.install(f),
            None => f(),
        }
    }

    /// How many parts `work` is worth: no more than there are threads, and none smaller than `smallest`.
    pub(crate) fn parts(&self, work: usize, smallest: usize) -> usize {
        (work / smallest).clamp(1, self.count)
    }

    /// Calls `f` with 0, 1, ... `parts - 1`, in parallel.
    pub(crate) fn for_each(&self, parts: usize, f: impl Fn(usize) + Send + Sync) {
        if parts <= 1 {
            (0..parts).for_each(f);
        } else {
            self.install(|| (0..parts).into_par_iter().with_max_len(1).for_each(f));
        }
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Threads").field(&self.count).finish()
    }
}
