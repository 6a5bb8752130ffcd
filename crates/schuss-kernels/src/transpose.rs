//! Small blocks of a matrix turned over: k inner indices of a few columns, as they lie in memory, into rows of a panel.

use pulp::Simd;

use crate::real::{Lanes, lanes};

/// See [`Lanes::transpose`]: element by element.
///
/// # Safety
/// As for [`Lanes::transpose`].
#[inline(always)]
pub(crate) unsafe fn elements<S: Simd, T: Lanes + Default>(
    _: S,
    from: *const T,
    strides: [isize; 2],
    [columns, rows]: [usize; 2],
    to: *mut T,
    width: usize,
) {
    // SAFETY: by this function's contract.
    unsafe {
        for column in 0..lanes::<S, T>() {
            let from = from.wrapping_offset(column as isize * strides[1]);
            for row in 0..rows {
                let value = if column < columns { *from.offset(row as isize * strides[0]) } else { T::default() };
                *to.add(row * width + column) = value;
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::{avx2_f32, avx2_f64};
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::{avx512_f32, avx512_f64, turn_over_16};

/// Loads the columns of a block, contiguous along its rows, turns them over in registers, and stores the rows.
#[cfg(target_arch = "x86_64")]
macro_rules! whole_block {
    (
        $name:ident: $lanes:literal lanes of $real:ty, $level:literal;
        mask($rows:ident) = $mask_of:expr;
        load($mask:ident, $at:ident) = $load:expr;
        $zero:ident, $turn:ident, $store:ident
    ) => {
        /// See [`Lanes::transpose`](crate::real::Lanes::transpose), columns contiguous along the rows.
        ///
        /// # Safety
        #[doc = concat!("As for that function; the machine has ", $level, ".")]
        #[inline(always)]
        pub(crate) unsafe fn $name(
            from: *const $real,
            stride: isize,
            [columns, $rows]: [usize; 2],
            to: *mut $real,
            width: usize,
        ) {
            // SAFETY: by this function's contract; nothing outside the mask is read.
            unsafe {
                let $mask = $mask_of;
                let mut block = [$zero(); $lanes];
                for (column, line) in block.iter_mut().enumerate() {
                    if column < columns {
                        let $at = from.offset(column as isize * stride);
                        *line = $load;
                    }
                }
                let block = $turn(block);
                for (row, line) in block.into_iter().enumerate() {
                    if row < $rows {
                        $store(to.add(row * width), line);
                    }
                }
            }
        }
    };
}

/// As [`avx512`], in vectors of half the size.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    whole_block! {
        avx2_f32: 8 lanes of f32, "AVX2";
        mask(rows) = _mm256_cmpgt_epi32(_mm256_set1_epi32(rows as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
        load(mask, at) = _mm256_maskload_ps(at, mask);
        _mm256_setzero_ps, turn_over_8, _mm256_storeu_ps
    }

    whole_block! {
        avx2_f64: 4 lanes of f64, "AVX2";
        mask(rows) = _mm256_cmpgt_epi64(_mm256_set1_epi64x(rows as i64), _mm256_setr_epi64x(0, 1, 2, 3));
        load(mask, at) = _mm256_maskload_pd(at, mask);
        _mm256_setzero_pd, turn_over_4, _mm256_storeu_pd
    }

    /// # Safety
    /// The machine has AVX2.
    #[inline(always)]
    unsafe fn turn_over_8(r: [__m256; 8]) -> [__m256; 8] {
        // SAFETY: by this function's contract.
        unsafe {
            let mut out = r;
            // Pairs of rows, then pairs of pairs: 4 x 4 blocks within each 128-bit lane.
            for i in (0..8).step_by(4) {
                let [t0, t1] = [_mm256_unpacklo_ps(r[i], r[i + 1]), _mm256_unpackhi_ps(r[i], r[i + 1])];
                let [t2, t3] = [_mm256_unpacklo_ps(r[i + 2], r[i + 3]), _mm256_unpackhi_ps(r[i + 2], r[i + 3])];
                out[i] = _mm256_shuffle_ps::<0b0100_0100>(t0, t2);
                out[i + 1] = _mm256_shuffle_ps::<0b1110_1110>(t0, t2);
                out[i + 2] = _mm256_shuffle_ps::<0b0100_0100>(t1, t3);
                out[i + 3] = _mm256_shuffle_ps::<0b1110_1110>(t1, t3);
            }
            // The lanes among two rows.
            for i in 0..4 {
                let [first, second] = [out[i], out[i + 4]];
                out[i] = _mm256_permute2f128_ps::<0x20>(first, second);
                out[i + 4] = _mm256_permute2f128_ps::<0x31>(first, second);
            }
            out
        }
    }

    /// # Safety
    /// The machine has AVX2.
    #[inline(always)]
    unsafe fn turn_over_4(r: [__m256d; 4]) -> [__m256d; 4] {
        // SAFETY: by this function's contract.
        unsafe {
            let [t0, t1] = [_mm256_unpacklo_pd(r[0], r[1]), _mm256_unpackhi_pd(r[0], r[1])];
            let [t2, t3] = [_mm256_unpacklo_pd(r[2], r[3]), _mm256_unpackhi_pd(r[2], r[3])];
            [
                _mm256_permute2f128_pd::<0x20>(t0, t2),
                _mm256_permute2f128_pd::<0x20>(t1, t3),
                _mm256_permute2f128_pd::<0x31>(t0, t2),
                _mm256_permute2f128_pd::<0x31>(t1, t3),
            ]
        }
    }
}

/// Whole blocks in registers: every step swaps blocks of half the size between two rows.
#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    whole_block! {
        avx512_f32: 16 lanes of f32, "AVX-512";
        mask(rows) = (0xffff_u32 >> (16 - rows)) as __mmask16;
        load(mask, at) = _mm512_maskz_loadu_ps(mask, at);
        _mm512_setzero_ps, turn_over_16, _mm512_storeu_ps
    }

    whole_block! {
        avx512_f64: 8 lanes of f64, "AVX-512";
        mask(rows) = (0xff_u32 >> (8 - rows)) as __mmask8;
        load(mask, at) = _mm512_maskz_loadu_pd(mask, at);
        _mm512_setzero_pd, turn_over_8, _mm512_storeu_pd
    }

    /// # Safety
    /// The machine has AVX-512.
    #[inline(always)]
    pub(crate) unsafe fn turn_over_16(r: [__m512; 16]) -> [__m512; 16] {
        // SAFETY: by this function's contract.
        unsafe {
            // Pairs of rows, then pairs of pairs: 4 x 4 blocks within each 128-bit lane.
            let mut s = r;
            for i in (0..16).step_by(4) {
                let [t0, t1] = [_mm512_unpacklo_ps(r[i], r[i + 1]), _mm512_unpackhi_ps(r[i], r[i + 1])];
                let [t2, t3] = [_mm512_unpacklo_ps(r[i + 2], r[i + 3]), _mm512_unpackhi_ps(r[i + 2], r[i + 3])];
                let [t0, t1, t2, t3] = [t0, t1, t2, t3].map(
                    #[inline(always)]
                    |t| _mm512_castps_pd(t),
                );
                s[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(t0, t2));
                s[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(t0, t2));
                s[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(t1, t3));
                s[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(t1, t3));
            }
            // The lanes among four rows.
            let mut out = r;
            for i in 0..4 {
                let low = _mm512_shuffle_f32x4::<0b1000_1000>(s[i], s[i + 4]);
                let high = _mm512_shuffle_f32x4::<0b1101_1101>(s[i], s[i + 4]);
                let low_after = _mm512_shuffle_f32x4::<0b1000_1000>(s[i + 8], s[i + 12]);
                let high_after = _mm512_shuffle_f32x4::<0b1101_1101>(s[i + 8], s[i + 12]);
                out[i] = _mm512_shuffle_f32x4::<0b1000_1000>(low, low_after);
                out[i + 8] = _mm512_shuffle_f32x4::<0b1101_1101>(low, low_after);
                out[i + 4] = _mm512_shuffle_f32x4::<0b1000_1000>(high, high_after);
                out[i + 12] = _mm512_shuffle_f32x4::<0b1101_1101>(high, high_after);
            }
            out
        }
    }

    /// # Safety
    /// The machine has AVX-512.
    #[inline(always)]
    unsafe fn turn_over_8(r: [__m512d; 8]) -> [__m512d; 8] {
        // SAFETY: by this function's contract.
        unsafe {
            let mut s = r;
            for i in (0..8).step_by(2) {
                s[i] = _mm512_unpacklo_pd(r[i], r[i + 1]);
                s[i + 1] = _mm512_unpackhi_pd(r[i], r[i + 1]);
            }
            let mut out = r;
            for i in 0..2 {
                let low = _mm512_shuffle_f64x2::<0b1000_1000>(s[i], s[i + 2]);
                let high = _mm512_shuffle_f64x2::<0b1101_1101>(s[i], s[i + 2]);
                let low_after = _mm512_shuffle_f64x2::<0b1000_1000>(s[i + 4], s[i + 6]);
                let high_after = _mm512_shuffle_f64x2::<0b1101_1101>(s[i + 4], s[i + 6]);
                out[i] = _mm512_shuffle_f64x2::<0b1000_1000>(low, low_after);
                out[i + 4] = _mm512_shuffle_f64x2::<0b1101_1101>(low, low_after);
                out[i + 2] = _mm512_shuffle_f64x2::<0b1000_1000>(high, high_after);
                out[i + 6] = _mm512_shuffle_f64x2::<0b1101_1101>(high, high_after);
            }
            out
        }
    }
}
