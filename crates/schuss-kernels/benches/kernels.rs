//! The kernels one by one: `cargo bench -p schuss-kernels`, or with the beginning of a name. Throughput is in elements,
//! for products in multiply-adds; one thread, but for `threads`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ndarray::Array2;
use schuss_kernels::{
    Compute, Fused, Products, ROW_PRODUCT_COLUMNS, Real, Threads, gemm, map, row_product, sum_rows, update_runs, zip,
};

fn matrix<T: Real>(rows: usize, columns: usize) -> Array2<T> {
    Array2::from_shape_fn((rows, columns), |(i, j)| T::from_f64(((i * 31 + j * 17) % 101) as f64 / 101.0))
}

/// Of the notebook's network: m x n x k, forward; with each its two backward products.
const SHAPES: [[usize; 3]; 4] = [[1000, 500, 784], [1000, 200, 500], [1000, 30, 100], [32, 50, 64]];

fn product<T: Real>(criterion: &mut Criterion, name: &str, compute: &Compute) {
    let mut group = criterion.benchmark_group(name);
    for [m, n, k] in SHAPES {
        let [x, weight, d] = [matrix::<T>(m, k), matrix(n, k), matrix(m, n)];
        let bias = vec![T::ONE; n];
        let shape = format!("{m}x{n}x{k}");
        group.throughput(Throughput::Elements((m * n * k) as u64));
        let mut output = matrix(m, n);
        group.bench_function(BenchmarkId::new("forward", &shape), |bencher| {
            bencher.iter(|| gemm(compute, x.view(), weight.t(), Fused::BiasRelu(&bias), output.view_mut()));
        });
        let mut d_weight = matrix(n, k);
        group.bench_function(BenchmarkId::new("weight gradient", &shape), |bencher| {
            bencher.iter(|| gemm(compute, d.t(), x.view(), Fused::Nothing, d_weight.view_mut()));
        });
        let mut d_input = matrix(m, k);
        group.bench_function(BenchmarkId::new("input gradient", &shape), |bencher| {
            bencher.iter(|| gemm(compute, d.view(), weight.view(), Fused::ReluMask(x.view()), d_input.view_mut()));
        });
    }
}

fn products(criterion: &mut Criterion) {
    let one = Compute::from(&Threads::ONE);
    product::<f32>(criterion, "products f32", &one);
    product::<f64>(criterion, "products f64", &one);
    if Products::bf16_available() {
        product::<f32>(criterion, "products bf16", &Compute { products: Products::Bf16, ..one });
    }
    let all = Threads::all().expect("threads");
    product::<f32>(criterion, "products f32, all threads", &Compute::from(&all));
}

fn elementwise<T: Real>(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("elementwise {}", T::NAME));
    let [rows, columns] = [1000, 200];
    let other = matrix::<T>(rows, columns);
    let [mut values, mut first, mut second] = [0; 3].map(|_| matrix::<T>(rows, columns));
    let other_slice = other.as_slice().expect("contiguous");
    let [values, first, second] = [&mut values, &mut first, &mut second].map(|m| m.as_slice_mut().expect("contiguous"));
    let mut sums = vec![T::ZERO; columns];
    group.throughput(Throughput::Elements((rows * columns) as u64));
    group.bench_function("exp", |bencher| bencher.iter(|| map(&Threads::ONE, values, |x| (-x).exp())));
    group.bench_function("tanh", |bencher| bencher.iter(|| map(&Threads::ONE, values, T::tanh)));
    group.bench_function("zip", |bencher| bencher.iter(|| zip(&Threads::ONE, values, [other_slice], |x, [y]| x * y)));
    group.bench_function("sum_rows", |bencher| bencher.iter(|| sum_rows(&Threads::ONE, other.view(), &mut sums)));
    group.bench_function("moments", |bencher| {
        let keep = T::from_f64(0.9);
        bencher.iter(|| {
            update_runs(&Threads::ONE, &[(values.len(), ())], values, other_slice, [&mut *first, &mut *second], |()| {
                #[inline(always)]
                move |p, g, [m, v]: [T; 2]| {
                    let [m, v] = [keep * m + g, keep * v + g * g];
                    (p - m / (v.sqrt() + keep), [m, v])
                }
            })
        });
    });
}

fn rows(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("row_product f32");
    let [k, n] = [784, 8 * ROW_PRODUCT_COLUMNS];
    let b = matrix::<f32>(k, n);
    let [bias, mut y] = [0; 2].map(|_| vec![0.0; n]);
    for (name, nonzero) in [("dense", 100), ("81 % zeros", 19)] {
        let x: Vec<f32> = (0..k).map(|i| if i * 37 % 100 < nonzero { 0.5 } else { 0.0 }).collect();
        group.bench_function(name, |bencher| bencher.iter(|| row_product(&x, b.view(), &bias, true, &mut y)));
    }
}

/// The least that a loop over two threads takes.
fn threads(criterion: &mut Criterion) {
    let threads = Threads::new(2).expect("threads");
    let mut values = vec![1.0f32; 1 << 14];
    criterion.bench_function("threads/begin and end of a loop", |bencher| {
        bencher.iter(|| map(&threads, &mut values, |x| x * 0.5));
    });
}

criterion_group!(kernels, products, elementwise::<f32>, elementwise::<f64>, rows, threads);
criterion_main!(kernels);
