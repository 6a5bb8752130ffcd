//! The measure that speeds are compared with.

use pulp::{Simd, WithSimd};

use crate::{Isa, Real, Threads};

/// Runs `iterations` of independent fused multiply-adds on every thread at once, at the highest level of this machine,
/// and returns how many floating-point operations that were: two for each lane. Divide by the time it took to get the
/// peak of the machine.
pub fn fma_burst<T: Real>(threads: &Threads, iterations: usize) -> f64 {
    threads.for_each(threads.count(), |_| {
        std::hint::black_box(Isa::highest().run(Burst { iterations, factor: T::from_f64(0.999) }));
    });
    let operations = Isa::highest().run(OperationsPerIteration::<T>(std::marker::PhantomData));
    (threads.count() * iterations * operations) as f64
}

struct Burst<T> {
    iterations: usize,
    factor: T,
}

impl<T: Real> WithSimd for Burst<T> {
    type Output = T;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> T {
        if S::REGISTER_COUNT >= 32 { self.run::<S, 24>(simd) } else { self.run::<S, 12>(simd) }
    }
}

/// Sums that do not wait for each other: more than the latency of a fused multiply-add times the units that run it, and
/// as many as the registers hold.
const fn accumulators<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 { 24 } else { 12 }
}

impl<T: Real> Burst<T> {
    #[inline(always)]
    fn run<S: Simd, const ACCUMULATORS: usize>(self, simd: S) -> T {
        let factor = T::splat(simd, std::hint::black_box(self.factor));
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
        unsafe { std::ptr::from_ref(&total).cast::<T>().read_unaligned() }
    }
}

struct OperationsPerIteration<T>(std::marker::PhantomData<T>);

impl<T: Real> WithSimd for OperationsPerIteration<T> {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        2 * accumulators::<S>() * (size_of::<T::Vector<S>>() / size_of::<T>())
    }
}
