//! The measures that speeds are compared with.

use std::hint::black_box;

use pulp::{Simd, WithSimd};

use crate::gemm::{bf16_burst, has_bf16};
use crate::{Isa, Real, Threads};

/// Sums that do not wait for each other: more than the latency of a fused multiply-add times the units that run it, and
/// as many as the registers hold.
const fn accumulators(registers: usize) -> usize {
    if registers >= 32 { 24 } else { 12 }
}

/// A kind of multiply-add whose peak can be measured: `f32`, `f64`, [`Bf16`].
pub trait Burst {
    /// Runs iterations on one thread and returns how many floating-point operations each was.
    #[doc(hidden)]
    fn burst(iterations: usize) -> usize;
}

/// Pairs of bfloat16 factors with sums in `f32`.
#[derive(Clone, Copy, Debug)]
pub struct Bf16;

impl Burst for f32 {
    fn burst(iterations: usize) -> usize {
        Isa::highest().run(Independent { iterations, factor: 0.999f32 })
    }
}

impl Burst for f64 {
    fn burst(iterations: usize) -> usize {
        Isa::highest().run(Independent { iterations, factor: 0.999f64 })
    }
}

impl Burst for Bf16 {
    fn burst(iterations: usize) -> usize {
        if has_bf16() { bf16_burst(iterations) } else { 0 }
    }
}

/// Runs `iterations` of independent fused multiply-adds on every thread at once, at the highest level of this machine,
/// and returns how many floating-point operations that were: two for each product; none where the machine lacks the
/// kind. Divide by the time it took to get the peak of the machine.
pub fn fma_burst<T: Burst>(threads: &Threads, iterations: usize) -> f64 {
    threads.for_each(threads.count(), |_| {
        black_box(T::burst(iterations));
    });
    (threads.count() * iterations * T::burst(0)) as f64
}

/// Reads all of `numbers`, shared out to the threads, and returns how many bytes that were.
pub fn memory_sweep(threads: &Threads, numbers: &[f32]) -> f64 {
    let parts = threads.count();
    threads.for_each(parts, |part| {
        let [begin, end] = [part, part + 1].map(|part| numbers.len() * part / parts);
        black_box(Isa::highest().run(Sweep(&numbers[begin..end])));
    });
    size_of_val(numbers) as f64
}

struct Independent<T> {
    iterations: usize,
    factor: T,
}

impl<T: Real> WithSimd for Independent<T> {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> usize {
        if S::REGISTER_COUNT >= 32 {
            self.run::<S, 24>(simd)
        } else {
            self.run::<S, 12>(simd)
        }
        2 * accumulators(S::REGISTER_COUNT) * (size_of::<T::Vector<S>>() / size_of::<T>())
    }
}

impl<T: Real> Independent<T> {
    #[inline(always)]
    fn run<S: Simd, const ACCUMULATORS: usize>(&self, simd: S) {
        let factor = T::splat(simd, black_box(self.factor));
        let mut sums = [T::splat(simd, T::ONE); ACCUMULATORS];
        for _ in 0..self.iterations {
            for sum in &mut sums {
                *sum = T::mul_add(simd, *sum, factor, factor);
            }
        }
        let mut total = sums[0];
        for sum in sums {
            total = T::mul_add(simd, sum, factor, total);
        }
        // The first lane is enough to keep the work alive.
        // SAFETY: a vector begins with its first lane.
        black_box(unsafe { std::ptr::from_ref(&total).cast::<T>().read_unaligned() });
    }
}

struct Sweep<'a>(&'a [f32]);

impl WithSimd for Sweep<'_> {
    type Output = f32;

    /// Sixteen-fold sums, so that the additions do not wait for each other.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f32 {
        let mut sums = [0.0f32; 128];
        for chunk in self.0.chunks_exact(128) {
            sums.iter_mut().zip(chunk).for_each(|(sum, x)| *sum += x);
        }
        sums.iter().sum()
    }
}
