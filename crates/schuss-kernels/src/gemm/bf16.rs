//! Products of bfloat16 factors, two inner indices at a time, with sums in `f32` (AVX512-BF16's VDPBF16PS).
//!
//! A factor is rounded to the nearest bfloat16, ties to even, when an operand is packed; the pair (2i, 2i + 1) of inner
//! indices is one 32-bit unit.

use std::any::TypeId;

use super::tile::Part;
use crate::{Isa, Real};

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;
    use std::ops::Range;

    use pulp::x86::V4;
    use pulp::{Simd, f32x16, u32x16};

    use super::super::pack::Memory;
    use super::super::tile::{Arithmetic, Operand, Part, Tiles};
    use crate::elementwise::prefetch_line;
    use crate::transpose::turn_over_16;

    /// Pairs of bfloat16, the even index in the low half.
    struct Pairs;

    impl Arithmetic<V4> for Pairs {
        type Real = f32;
        type Unit = u32;
        type Factors = u32x16;
        const INNER: usize = 2;

        #[inline(always)]
        fn splat(simd: V4, unit: u32) -> u32x16 {
            simd.splat_u32s(unit)
        }

        #[inline(always)]
        fn mul_add(_: V4, a: u32x16, b: u32x16, sum: f32x16) -> f32x16 {
            // SAFETY: vectors of the same size; `run` checked that the machine has the instruction.
            unsafe {
                let [a, b] = [a, b].map(
                    #[inline(always)]
                    |x| std::mem::transmute::<u32x16, __m512bh>(x),
                );
                let sum = std::mem::transmute::<f32x16, __m512>(sum);
                std::mem::transmute::<__m512, f32x16>(_mm512_dpbf16_ps(sum, a, b))
            }
        }

        #[inline(always)]
        fn is_zero(unit: u32) -> bool {
            unit & 0x7fff_7fff == 0
        }

        #[inline(always)]
        unsafe fn units<const ROWS: usize>(
            _: V4,
            a: Operand<f32>,
            rows: &Range<usize>,
            k: &Range<usize>,
            _: usize,
            memory: &mut Memory,
        ) -> Tiles<u32> {
            // Pairs of a row lie side by side, or else all rows of a pair do: as the operand lies itself.
            let pairs = k.len().div_ceil(2);
            let along_k = a.strides[1] == 1;
            let stride = if along_k { pairs } else { rows.len() }.next_multiple_of(16);
            let units = memory.units::<u32>(stride * if along_k { rows.len() } else { pairs });
            // SAFETY: by this function's contract.
            unsafe {
                if along_k {
                    for (i, row) in rows.clone().enumerate() {
                        for pair in (0..pairs).step_by(16) {
                            let count = k.len() - 2 * pair;
                            let line = pairs_along(a.at(row, k.start + 2 * pair), count.min(32));
                            _mm512_storeu_si512(units.add(i * stride + pair).cast(), line);
                        }
                    }
                    Tiles::of(Operand { pointer: units, strides: [stride as isize, 1] }, ROWS)
                } else {
                    for pair in 0..pairs {
                        let inner = k.start + 2 * pair;
                        for i in (0..rows.len()).step_by(16) {
                            let at = |k| a.at(rows.start + i, k);
                            let line = pairs_across(a.strides[0], &at, inner, k.end, (rows.len() - i).min(16));
                            _mm512_storeu_si512(units.add(pair * stride + i).cast(), line);
                        }
                    }
                    Tiles::of(Operand { pointer: units, strides: [1, stride as isize] }, ROWS)
                }
            }
        }

        #[inline(always)]
        unsafe fn pack(
            _: V4,
            b: Operand<f32>,
            k: &Range<usize>,
            columns: &Range<usize>,
            width: usize,
            panel: *mut u32,
        ) {
            /// Pairs between the one that is rounded and the one that is asked for.
            const AHEAD: isize = 8;
            let pairs = k.len().div_ceil(2);
            let count = |column: usize| columns.len().saturating_sub(column).min(16);
            // SAFETY: by this function's contract.
            unsafe {
                let first = |column: usize| columns.start + column.min(columns.len());
                if b.strides[0] == 1 {
                    for column in (0..width).step_by(16) {
                        for pair in (0..pairs).step_by(16) {
                            let inner = k.len() - 2 * pair;
                            let mut block = [_mm512_setzero_ps(); 16];
                            for (i, line) in block.iter_mut().enumerate() {
                                if i < count(column) {
                                    let from = b.at(k.start + 2 * pair, first(column) + i);
                                    *line = _mm512_castsi512_ps(pairs_along(from, inner.min(32)));
                                }
                            }
                            let block = turn_over_16(block);
                            for (i, line) in block.into_iter().enumerate() {
                                if pair + i < pairs {
                                    _mm512_storeu_ps(panel.add((pair + i) * width + column).cast(), line);
                                }
                            }
                        }
                    }
                } else {
                    for pair in 0..pairs {
                        let inner = k.start + 2 * pair;
                        for column in (0..width).step_by(16) {
                            let at = |k| b.at(k, first(column));
                            // Rows lie too far apart for the machine to guess which is next.
                            prefetch_line(at(inner).wrapping_offset(2 * AHEAD * b.strides[0]));
                            prefetch_line(at(inner).wrapping_offset((2 * AHEAD + 1) * b.strides[0]));
                            let line = pairs_across(b.strides[1], &at, inner, k.end, count(column));
                            _mm512_storeu_si512(panel.add(pair * width + column).cast(), line);
                        }
                    }
                }
            }
        }
    }

    /// Sixteen pairs of `count` numbers that lie side by side, zeros after them.
    ///
    /// # Safety
    /// The numbers lie within readable memory, 32 at most.
    #[inline(always)]
    unsafe fn pairs_along(from: *const f32, count: usize) -> __m512i {
        // SAFETY: by this function's contract; nothing outside the masks is read.
        unsafe {
            let mask = (0xffff_ffff_u64 >> (32 - count)) as u32;
            let low = _mm512_maskz_loadu_ps(mask as __mmask16, from);
            let high = _mm512_maskz_loadu_ps((mask >> 16) as __mmask16, from.wrapping_add(16));
            std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low))
        }
    }

    /// Sixteen pairs of the numbers at inner index `k` and `k + 1`, zeros after `count` of them and from `end` on.
    ///
    /// # Safety
    /// The numbers, `stride` apart from `at(k)` on, lie within readable memory.
    #[inline(always)]
    unsafe fn pairs_across(
        stride: isize,
        at: &impl Fn(usize) -> *const f32,
        k: usize,
        end: usize,
        count: usize,
    ) -> __m512i {
        // SAFETY: by this function's contract; nothing outside the mask is read.
        unsafe {
            let low = line(at(k), stride, count);
            let high = if k + 1 < end { line(at(k + 1), stride, count) } else { _mm512_setzero_ps() };
            let [low, high] = [low, high].map(
                #[inline(always)]
                |x| _mm512_cvtepu16_epi32(std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(x))),
            );
            _mm512_or_si512(low, _mm512_slli_epi32::<16>(high))
        }
    }

    /// # Safety
    /// `count` numbers, `stride` apart, lie within readable memory.
    #[inline(always)]
    unsafe fn line(from: *const f32, stride: isize, count: usize) -> __m512 {
        // SAFETY: by this function's contract.
        unsafe {
            if stride == 1 {
                return _mm512_maskz_loadu_ps((0xffff_u32 >> (16 - count)) as __mmask16, from);
            }
            let mut numbers = [0.0; 16];
            for (i, number) in numbers.iter_mut().enumerate().take(count) {
                *number = *from.offset(i as isize * stride);
            }
            _mm512_loadu_ps(numbers.as_ptr())
        }
    }

    /// `iterations` of 24 independent vectors of pairs.
    ///
    /// # Safety
    /// The machine has AVX-512 and AVX512-BF16.
    #[target_feature(enable = "avx2,fma,avx512f,avx512cd,avx512bw,avx512dq,avx512vl,avx512bf16")]
    pub(super) unsafe fn burst(simd: V4, iterations: usize) {
        let factor = simd.splat_u32s(std::hint::black_box(0x3f00_3f00));
        let mut sums = [simd.splat_f32s(1.0); 24];
        for _ in 0..iterations {
            for sum in &mut sums {
                *sum = Pairs::mul_add(simd, factor, factor, *sum);
            }
        }
        std::hint::black_box(sums);
    }

    /// # Safety
    /// The machine has AVX-512 and AVX512-BF16; the part is one of a checked product.
    #[target_feature(enable = "avx2,fma,avx512f,avx512cd,avx512bw,avx512dq,avx512vl,avx512bf16")]
    pub(super) unsafe fn run(simd: V4, part: Part<'_, f32>) {
        // SAFETY: by this function's contract.
        unsafe { part.run::<V4, Pairs, 8, 3>(simd) }
    }
}

/// Whether the level and the machine have the instruction.
pub(super) fn is_available(isa: Isa) -> bool {
    #[cfg(target_arch = "x86_64")]
    let has_instruction = std::arch::is_x86_feature_detected!("avx512bf16");
    #[cfg(not(target_arch = "x86_64"))]
    let has_instruction = false;
    isa == Isa::Avx512 && has_instruction
}

/// [`is_available`], whatever the level in use.
pub(crate) fn has_bf16() -> bool {
    is_available(Isa::highest())
}

/// Runs `iterations` of independent multiply-adds and returns how many floating-point operations each was.
pub(crate) fn burst(iterations: usize) -> usize {
    #[cfg(target_arch = "x86_64")]
    if let (true, Some(simd)) = (has_bf16(), pulp::x86::V4::try_new()) {
        // SAFETY: the machine has the instruction.
        unsafe { avx512::burst(simd, iterations) }
    }
    let _ = iterations;
    2 * 24 * 32
}

/// The part's region of a product of `f32` matrices, where [`is_available`].
///
/// # Panics
/// The matrices are not `f32`, or it is not available.
pub(super) fn run<T: Real>(part: Part<'_, T>) {
    assert!(TypeId::of::<T>() == TypeId::of::<f32>() && is_available(Isa::highest()), "bfloat16 products");
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = pulp::x86::V4::try_new() {
        // SAFETY: T is f32, so the types are the same; the machine has the instruction; `gemm_at` checked the product.
        unsafe { avx512::run(simd, std::mem::transmute_copy::<Part<'_, T>, Part<'_, f32>>(&part)) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    drop(part);
}
