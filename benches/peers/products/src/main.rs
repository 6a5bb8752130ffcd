//! The products of a training step of 784-500-200-100-30-30-30-10, batch 1000, in f32 on one thread: ours and faer's in
//! turn, GFLOP/s of the best of nine rounds each, and the share of the FMA peak measured in the same run.

use std::time::Instant;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use ndarray::Array2;
use schuss_kernels::{Compute, Fused, Threads, fma_burst, gemm};

/// Rows, columns and inner dimension of a product, and which of its operands are read transposed.
const PRODUCTS: [(&str, [usize; 3], [bool; 2]); 8] = [
    ("x·Wᵀ  layer 0", [1000, 500, 784], [false, true]),
    ("dzᵀ·x layer 0", [500, 784, 1000], [true, false]),
    ("x·Wᵀ  layer 1", [1000, 200, 500], [false, true]),
    ("dzᵀ·x layer 1", [200, 500, 1000], [true, false]),
    ("dz·W  layer 1", [1000, 500, 200], [false, false]),
    ("x·Wᵀ  layer 3", [1000, 30, 100], [false, true]),
    ("dzᵀ·x layer 3", [30, 100, 1000], [true, false]),
    ("x·Wᵀ  layer 6", [1000, 10, 30], [false, true]),
];

fn matrix(rows: usize, columns: usize) -> Array2<f32> {
    Array2::from_shape_fn((rows, columns), |(i, j)| ((i * 7919 + j * 6007) % 1000) as f32 / 1000.0 - 0.5)
}

fn seconds(repetitions: usize, f: &mut dyn FnMut()) -> f64 {
    let start = Instant::now();
    (0..repetitions).for_each(|_| f());
    start.elapsed().as_secs_f64() / repetitions as f64
}

/// The same matrix for faer; `transposed` where the product reads it so.
fn faer_view(stored: &Array2<f32>, transposed: bool) -> MatRef<'_, f32> {
    let view = MatRef::from_row_major_slice(stored.as_slice().unwrap(), stored.nrows(), stored.ncols());
    if transposed { view.transpose() } else { view }
}

fn main() {
    let compute = Compute::from(&Threads::ONE);
    let peak = (0..5).map(|_| {
        let start = Instant::now();
        fma_burst::<f32>(&Threads::ONE, 5_000_000) / start.elapsed().as_secs_f64() / 1e9
    });
    let peak = peak.fold(0.0, f64::max);
    println!("FMA peak of one thread: {peak:.0} GFLOP/s");
    println!("{:<14}  {:>18}  {:>6}  {:>6}  ours / faer  share of peak", "product", "m x n x k", "ours", "faer");
    for (name, [m, n, k], [ta, tb]) in PRODUCTS {
        let [stored_a, stored_b] =
            [if ta { matrix(k, m) } else { matrix(m, k) }, if tb { matrix(n, k) } else { matrix(k, n) }];
        let a = if ta { stored_a.t() } else { stored_a.view() };
        let b = if tb { stored_b.t() } else { stored_b.view() };
        let [mut c, mut d] = [matrix(m, n), matrix(m, n)];
        let flop = 2.0 * (m * n * k) as f64;
        let repetitions = (1e9 / flop).ceil() as usize;
        let mut best = [f64::MAX; 2];
        for _ in 0..9 {
            let ours = seconds(repetitions, &mut || gemm(&compute, a, b, Fused::Nothing, c.view_mut()));
            let theirs = seconds(repetitions, &mut || {
                let d = MatMut::from_row_major_slice_mut(d.as_slice_mut().unwrap(), m, n);
                matmul(d, Accum::Replace, faer_view(&stored_a, ta), faer_view(&stored_b, tb), 1.0, Par::Seq);
            });
            best = [best[0].min(ours), best[1].min(theirs)];
        }
        let [ours, theirs] = best.map(|seconds| flop / seconds / 1e9);
        let shape = format!("{m} x {n} x {k}");
        println!(
            "{name:<14}  {shape:>18}  {ours:>6.0}  {theirs:>6.0}  {:>11.2}  {:>11.0} %",
            ours / theirs,
            100.0 * ours / peak
        );
    }
}
