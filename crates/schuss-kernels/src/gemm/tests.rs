use ndarray::{Array2, ShapeBuilder, s};

use super::*;
use crate::meter;

/// Small whole numbers: every product and sum is exact, in bfloat16 too, so that kernels must equal the plain triple
/// loop.
fn whole_numbers<T: Real>(rows: usize, columns: usize, transposed: bool) -> Array2<T> {
    let value = |(i, j): (usize, usize)| T::from_f64(((i * 31 + j * 17) % 13) as f64 - 6.0);
    let shape = if transposed { (rows, columns).f() } else { (rows, columns).into_shape_with_order() };
    Array2::from_shape_fn(shape, value)
}

/// Numbers whose sums round, so that another order of summation shows in the bits.
fn fractions<T: Real>(rows: usize, columns: usize, transposed: bool) -> Array2<T> {
    let mut matrix = whole_numbers::<T>(rows, columns, transposed);
    for ((i, j), x) in matrix.indexed_iter_mut() {
        *x = T::from_f64((x.to_f64() + (i as f64 * 0.37).sin()) * 10f64.powi((j % 7) as i32 - 3));
    }
    matrix
}

#[derive(Clone, Copy, Debug)]
enum With {
    Nothing,
    Bias,
    BiasRelu,
    ReluMask,
}

/// A level, and whether the products are bfloat16.
type Kernel = (Isa, Products);

/// Every kernel that this machine can run.
fn kernels<T: Real>() -> Vec<Kernel> {
    let mut kernels: Vec<_> = Isa::available().map(|isa| (isa, Products::Exact)).collect();
    if T::NAME == "f32" && bf16::is_available(Isa::highest()) {
        kernels.push((Isa::highest(), Products::Bf16));
    }
    kernels
}

struct Case<T> {
    a: Array2<T>,
    b: Array2<T>,
    bias: Vec<T>,
    mask: Array2<T>,
    with: With,
}

impl<T: Real> Case<T> {
    fn new(a: Array2<T>, b: Array2<T>, with: With) -> Self {
        let bias = (0..b.ncols()).map(|j| T::from_f64(j as f64 - 2.0)).collect();
        let mask = whole_numbers(a.nrows(), b.ncols(), false);
        Self { a, b, bias, mask, with }
    }

    fn fused(&self, rows: Range<usize>) -> Fused<'_, T> {
        match self.with {
            With::Nothing => Fused::Nothing,
            With::Bias => Fused::Bias(&self.bias),
            With::BiasRelu => Fused::BiasRelu(&self.bias),
            With::ReluMask => Fused::ReluMask(self.mask.slice(s![rows, ..])),
        }
    }

    /// By the kernel, into rows that do not touch each other.
    fn product(&self, (isa, products): Kernel, threads: usize, rows: Range<usize>) -> Array2<T> {
        let compute = Compute { threads: Threads::new(threads).unwrap(), products };
        let shape = (rows.len(), self.b.ncols() + 3);
        let mut c = Array2::from_elem(shape, T::from_f64(f64::NAN));
        let view = c.slice_mut(s![.., ..self.b.ncols()]);
        gemm_at(isa, &compute, self.a.slice(s![rows.clone(), ..]), self.b.view(), self.fused(rows), view);
        assert!(c.slice(s![.., self.b.ncols()..]).iter().all(|x| x.to_f64().is_nan()), "wrote beyond its columns");
        c.slice_move(s![.., ..-3]).as_standard_layout().to_owned()
    }

    /// By three loops.
    fn expected(&self) -> Array2<T> {
        Array2::from_shape_fn((self.a.nrows(), self.b.ncols()), |(i, j)| {
            let mut sum = match self.with {
                With::Bias | With::BiasRelu => self.bias[j],
                _ => T::ZERO,
            };
            (0..self.a.ncols()).for_each(|k| sum += self.a[(i, k)] * self.b[(k, j)]);
            match self.with {
                With::BiasRelu if sum < T::ZERO => T::ZERO,
                With::ReluMask if self.mask[(i, j)] <= T::ZERO => T::ZERO,
                _ => sum,
            }
        })
    }
}

/// Every NaN the same, +0 and -0 not.
fn bits<'a, T: Real>(numbers: impl IntoIterator<Item = &'a T>) -> Vec<u64> {
    let bits = |x: &T| if x.to_f64().is_nan() { u64::MAX } else { x.to_f64().to_bits() };
    numbers.into_iter().map(bits).collect()
}

#[track_caller]
fn check<T: Real>([m, n, k]: [usize; 3], [ta, tb]: [bool; 2], with: With) {
    let whole = Case::<T>::new(whole_numbers(m, k, ta), whole_numbers(k, n, tb), with);
    let fractional = Case::<T>::new(fractions(m, k, ta), fractions(k, n, tb), with);
    let expected = whole.expected();
    for kernel in kernels::<T>() {
        let what = format!("{kernel:?}, {with:?}, {m}x{n}x{k}");
        let one = fractional.product(kernel, 1, 0..m);
        for threads in [1, 2, 5] {
            assert_eq!(whole.product(kernel, threads, 0..m), expected, "{threads} threads, {what}");
            assert_eq!(
                bits(&fractional.product(kernel, threads, 0..m)),
                bits(&one),
                "bits at {threads} threads, {what}"
            );
        }
        for row in [0, m / 2, m.saturating_sub(1)].into_iter().filter(|&row| row < m) {
            let alone = fractional.product(kernel, 1, row..row + 1);
            assert_eq!(bits(alone.row(0)), bits(one.row(row)), "row {row} alone, {what}");
        }
    }
}

#[test]
fn ragged_shapes_layouts_and_threads_at_every_level() {
    let shapes = [
        [1, 1, 1],
        [1, 10, 30],
        [2, 3, 5],
        [3, 1, 7],
        [7, 15, 16],
        [8, 16, 17],
        [9, 17, 33],
        [13, 47, 64],
        [16, 48, 100],
        [17, 49, 127],
        [33, 97, 31],
        [40, 100, 1024],
        [5, 50, 1025],
        [11, 33, 2100],
        [129, 130, 70],
        [131, 70, 1100],
        [64, 8, 0],
        [0, 8, 3],
        [8, 0, 3],
        [200, 200, 200],
    ];
    for shape in shapes {
        for layout in [[false, false], [false, true], [true, false], [true, true]] {
            for with in [With::Nothing, With::Bias, With::BiasRelu, With::ReluMask] {
                check::<f32>(shape, layout, with);
                check::<f64>(shape, layout, with);
            }
        }
    }
    let missing: Vec<_> = [Isa::Avx2, Isa::Avx512].into_iter().filter(|i| !Isa::available().any(|a| a == *i)).collect();
    if !missing.is_empty() {
        eprintln!("this machine lacks {missing:?}: those kernels were not run");
    }
    if !bf16::is_available(Isa::highest()) {
        eprintln!("this machine lacks AVX512-BF16: its kernel was not run");
    }
}

/// Which elements of a matrix are zero.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Zeros {
    Nowhere,
    Columns,
    Tiles,
    /// -0 and +0.
    Signed,
    Scattered,
    Everywhere,
    /// Columns, and NaN elsewhere.
    BesideNan,
    /// Columns, and products too small for any number but zero elsewhere.
    BesideTiny,
}

impl Zeros {
    /// At (row, inner index).
    fn put<T: Real>(self, x: &mut T, i: usize, k: usize) {
        let is_zero = match self {
            Self::Nowhere => false,
            Self::Columns | Self::BesideNan | Self::BesideTiny => !k.is_multiple_of(3),
            Self::Tiles | Self::Signed => (i / 8 + k / 5).is_multiple_of(2),
            Self::Scattered => (i * 7919 + k * 104_729) % 101 < 50,
            Self::Everywhere => true,
        };
        if is_zero {
            *x = if self == Self::Signed && k.is_multiple_of(2) { -T::ZERO } else { T::ZERO };
        } else if self == Self::BesideNan && (i + k).is_multiple_of(39) {
            *x = T::from_f64(f64::NAN);
        } else if self == Self::BesideTiny {
            *x = T::from_f64(x.to_f64().signum() * if T::NAME == f32::NAME { 1e-30 } else { 1e-200 });
        }
    }
}

/// In `a`, or else in `b`.
#[track_caller]
fn check_zeros<T: Real>([m, n, k]: [usize; 3], [ta, tb]: [bool; 2], with: With, zeros: Zeros, in_a: bool) {
    let put = |mut case: Case<T>| {
        match in_a {
            true => case.a.indexed_iter_mut().for_each(|((i, k), x)| zeros.put(x, i, k)),
            false => case.b.indexed_iter_mut().for_each(|((k, j), x)| zeros.put(x, j, k)),
        }
        if zeros == Zeros::BesideTiny {
            let other = if in_a { &mut case.b } else { &mut case.a };
            other
                .mapv_inplace(|x| T::from_f64(x.to_f64().signum() * if T::NAME == f32::NAME { 1e-30 } else { 1e-200 }));
        }
        case.bias.iter_mut().step_by(3).for_each(|bias| *bias = -T::ZERO);
        case
    };
    let whole = put(Case::new(whole_numbers(m, k, ta), whole_numbers(k, n, tb), with));
    let fractional = put(Case::new(fractions(m, k, ta), fractions(k, n, tb), with));
    let has_whole = ![Zeros::BesideNan, Zeros::BesideTiny].contains(&zeros);
    let expected = whole.expected();
    for kernel in kernels::<T>() {
        let what = format!("{kernel:?}, {with:?}, {m}x{n}x{k}, {zeros:?}, in a: {in_a}, transposed: {ta} {tb}");
        // A few rows leave nothing out.
        let few = (0..m).step_by(25).map(|row| row..(row + 25).min(m));
        let plain: Vec<_> = few.flat_map(|rows| bits(&fractional.product(kernel, 1, rows))).collect();
        for threads in [1, 2, 5] {
            let before = meter::skipped();
            assert_eq!(bits(&fractional.product(kernel, threads, 0..m)), plain, "{threads} threads, {what}");
            let skipped = meter::skipped() - before;
            let is_skipped = match zeros {
                Zeros::Nowhere | Zeros::Scattered => Some(false).filter(|_| kernel.0 != Isa::Portable),
                Zeros::Columns | Zeros::Everywhere => Some(in_a || matches!(with, With::Nothing)),
                _ => None,
            };
            if let (1, Some(is_skipped)) = (threads, is_skipped) {
                assert_eq!(skipped > 0, is_skipped, "left out {skipped} of {}, {what}", m * n * k);
            }
            assert!(skipped <= (m * n * k) as u64, "left out {skipped}, {what}");
            if has_whole {
                assert_eq!(whole.product(kernel, threads, 0..m), expected, "{threads} threads, {what}");
            }
        }
    }
}

#[test]
fn zeros_that_are_left_out_change_no_bit() {
    use Zeros::*;
    for zeros in [Nowhere, Columns, Tiles, Signed, Scattered, Everywhere, BesideNan, BesideTiny] {
        for shape in [[64, 64, 64], [70, 97, 131], [65, 66, 1100]] {
            for layout in [[false, false], [false, true], [true, false], [true, true]] {
                for (with, in_a) in [(With::Nothing, true), (With::BiasRelu, true), (With::Nothing, false)] {
                    check_zeros::<f32>(shape, layout, with, zeros, in_a);
                }
                check_zeros::<f32>(shape, layout, With::ReluMask, zeros, true);
                check_zeros::<f64>(shape, layout, With::Bias, zeros, true);
                check_zeros::<f64>(shape, layout, With::Nothing, zeros, false);
            }
        }
    }
}

/// Operands that are parts of others, turned round, or one number again and again.
#[test]
fn any_strides() {
    let [m, n, k] = [67, 70, 131];
    let a = whole_numbers::<f32>(2 * m, 3 * k, false);
    let b = whole_numbers::<f32>(3 * k, 2 * n, true);
    for (step_m, step_n, step_k) in [(2, 2, 3), (-2, 1, -3), (1, -2, 3), (2, -1, -1)] {
        let mut a = a.clone().slice_move(s![..;step_m, ..;step_k]).slice_move(s![..m, ..k]);
        let mut b = b.clone().slice_move(s![..;step_k, ..;step_n]).slice_move(s![..k, ..n]);
        for zeros in [Zeros::Nowhere, Zeros::Columns] {
            a.indexed_iter_mut().for_each(|((i, k), x)| zeros.put(x, i, k));
            b.indexed_iter_mut().for_each(|((k, j), x)| zeros.put(x, j, k));
            let case = Case::new(a.clone(), b.clone(), With::Nothing);
            assert_eq!(case.a.strides(), a.strides());
            let expected = case.expected();
            for kernel in kernels::<f32>() {
                assert_eq!(case.product(kernel, 2, 0..m), expected, "{kernel:?}, {step_m}, {step_n}, {step_k}");
            }
        }
    }
    let [row, column] = [whole_numbers::<f32>(1, k, false), whole_numbers::<f32>(k, 1, false)];
    let [a, b] = [row.broadcast((m, k)).unwrap(), column.broadcast((k, n)).unwrap()];
    let expected = row.dot(&column)[(0, 0)];
    for (isa, products) in kernels::<f32>() {
        let mut c = Array2::from_elem((m, n), f32::NAN);
        gemm_at(isa, &Compute { threads: Threads::ONE, products }, a, b, Fused::Nothing, c.view_mut());
        assert!(c.iter().all(|&x| x == expected), "{isa:?}, {products:?}");
    }
}

/// What is not finite stays where it belongs.
#[test]
fn nan_and_infinity_reach_their_row_and_no_other() {
    let mut a = whole_numbers::<f32>(40, 70, false);
    (a[(3, 5)], a[(9, 0)]) = (f32::NAN, f32::NEG_INFINITY);
    let b = Array2::from_elem((70, 66), 1.0);
    for with in [With::Nothing, With::Bias, With::BiasRelu] {
        let case = Case::new(a.clone(), b.clone(), with);
        for kernel in kernels::<f32>() {
            let c = case.product(kernel, 2, 0..40);
            assert!(c.row(3).iter().all(|x| x.is_nan()), "{kernel:?}, {with:?}");
            let infinity = if matches!(with, With::BiasRelu) { 0.0 } else { f32::NEG_INFINITY };
            assert!(c.row(9).iter().all(|&x| x == infinity), "{kernel:?}, {with:?}");
            let others = c.rows().into_iter().enumerate().filter(|(row, _)| ![3, 9].contains(row));
            assert!(others.flat_map(|(_, row)| row.to_vec()).all(f32::is_finite), "{kernel:?}, {with:?}");
        }
    }
}

#[test]
fn the_vector_levels_give_the_same_bits() {
    let case = Case::<f32>::new(fractions(50, 1100, false), fractions(1100, 70, true), With::BiasRelu);
    let levels = Isa::available().filter(|&isa| isa != Isa::Portable);
    let results: Vec<_> = levels.map(|isa| case.product((isa, Products::Exact), 2, 0..50)).collect();
    assert!(results.windows(2).all(|pair| pair[0] == pair[1]));
}

/// To nearest, ties to even.
fn rounded_to_bf16(x: f32) -> f32 {
    let bits = x.to_bits();
    f32::from_bits((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000)
}

#[test]
fn bfloat16_rounds_the_factors_and_nothing_else() {
    let kernel = (Isa::highest(), Products::Bf16);
    if !bf16::is_available(kernel.0) {
        return eprintln!("this machine lacks AVX512-BF16: its kernel was not run");
    }
    for layout in [[false, false], [false, true], [true, false], [true, true]] {
        let [a, b] = [fractions::<f32>(33, 129, layout[0]), fractions::<f32>(129, 50, layout[1])];
        let case = Case::new(a, b, With::Bias);
        let got = case.product(kernel, 1, 0..33);
        let exact = |x: &f32| f64::from(rounded_to_bf16(*x));
        let expected = case.a.map(exact).dot(&case.b.map(exact));
        let sizes = case.a.map(|x| f64::from(x.abs())).dot(&case.b.map(|x| f64::from(x.abs())));
        for ((i, j), &got) in got.indexed_iter() {
            let error = (f64::from(got) - expected[(i, j)] - f64::from(case.bias[j])).abs();
            let bound = 1e-6 * (sizes[(i, j)] + f64::from(case.bias[j].abs()));
            assert!(error <= bound, "({i}, {j}): error {error:e}, at most {bound:e}");
        }
    }
}

#[test]
fn a_grid_covers_every_element_once() {
    for (parts, [m, n]) in [(1, [5, 5]), (2, [1000, 500]), (6, [30, 1000]), (16, [1000, 30]), (7, [3, 3])] {
        let [row_parts, column_parts] = grid(parts, [m, n]);
        let total = |size, unit, parts| (0..parts).map(|p| share(size, unit, parts, p).len()).sum::<usize>();
        assert_eq!(row_parts * column_parts, parts);
        assert_eq!([total(m, ROW_UNIT, row_parts), total(n, COLUMN_UNIT, column_parts)], [m, n]);
    }
}
