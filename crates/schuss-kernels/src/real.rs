//! The one numeric trait: `f32` and `f64`.

use std::fmt::{Debug, Display};
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub, SubAssign};

use pulp::{MemMask, Simd};

#[cfg(target_arch = "x86_64")]
use std::any::TypeId;

use crate::transpose;

/// Vectors of a [`Real`] on each instruction set. Crate-private, which seals [`Real`].
pub trait Lanes: Copy + 'static {
    /// A vector of this type.
    type Vector<S: Simd>: Copy;
    /// Some lanes of a vector.
    type Mask<S: Simd>: Copy;
    /// Every lane `x`.
    fn splat<S: Simd>(simd: S, x: Self) -> Self::Vector<S>;
    /// `a * b + c`, fused wherever the level has vectors, rounded twice on the portable one (a fused product without
    /// hardware is a call into libm).
    fn mul_add<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>, c: Self::Vector<S>) -> Self::Vector<S>;
    /// `x ≤ 0 ? 0 : x`; a NaN stays one.
    fn relu<S: Simd>(simd: S, x: Self::Vector<S>) -> Self::Vector<S>;
    /// `x`, +0 for -0.
    fn without_negative_zero<S: Simd>(simd: S, x: Self::Vector<S>) -> Self::Vector<S>;
    /// `condition > 0 ? x : 0`
    fn where_positive<S: Simd>(simd: S, condition: Self::Vector<S>, x: Self::Vector<S>) -> Self::Vector<S>;
    /// The first `count` lanes, fewer than there are.
    fn first_lanes<S: Simd>(simd: S, count: usize) -> Self::Mask<S>;
    /// A vector from memory; zeros outside the mask, if there is one.
    ///
    /// # Safety
    /// The lanes lie within readable memory.
    unsafe fn load<S: Simd>(simd: S, mask: Option<Self::Mask<S>>, from: *const Self) -> Self::Vector<S>;
    /// A vector to memory; nothing outside the mask, if there is one.
    ///
    /// # Safety
    /// The lanes lie within writable memory.
    unsafe fn store<S: Simd>(simd: S, mask: Option<Self::Mask<S>>, to: *mut Self, x: Self::Vector<S>);
    /// `to[row * width + column] = from[row * strides[0] + column * strides[1]]` for `size` columns and rows, at most
    /// a vector's length of each; zeros in the other columns of a vector's length.
    ///
    /// # Safety
    /// The elements lie within readable and writable memory.
    unsafe fn transpose<S: Simd>(
        simd: S,
        from: *const Self,
        strides: [isize; 2],
        size: [usize; 2],
        to: *mut Self,
        width: usize,
    );
}

/// Elements of a vector.
#[inline(always)]
pub(crate) const fn lanes<S: Simd, T: Lanes>() -> usize {
    size_of::<T::Vector<S>>() / size_of::<T>()
}

macro_rules! impl_lanes {
    ($real:ty, $vector:ident, $mask:ident, $splat:ident, $mul:ident, $add:ident, $mul_add:ident, $less_than:ident, $at_most:ident,
     $select:ident, $between:ident, $index:ty, $load:ident, $store:ident, $avx2:ident, $avx512:ident) => {
        impl Lanes for $real {
            type Vector<S: Simd> = S::$vector;
            type Mask<S: Simd> = MemMask<S::$mask>;
            #[inline(always)]
            fn splat<S: Simd>(simd: S, x: Self) -> S::$vector {
                simd.$splat(x)
            }
            #[inline(always)]
            fn mul_add<S: Simd>(simd: S, a: S::$vector, b: S::$vector, c: S::$vector) -> S::$vector {
                if S::IS_SCALAR { simd.$add(simd.$mul(a, b), c) } else { simd.$mul_add(a, b, c) }
            }
            #[inline(always)]
            fn relu<S: Simd>(simd: S, x: S::$vector) -> S::$vector {
                let zero = simd.$splat(0.0);
                simd.$select(simd.$at_most(x, zero), zero, x)
            }
            #[inline(always)]
            fn without_negative_zero<S: Simd>(simd: S, x: S::$vector) -> S::$vector {
                simd.$add(x, simd.$splat(0.0))
            }
            #[inline(always)]
            fn where_positive<S: Simd>(simd: S, condition: S::$vector, x: S::$vector) -> S::$vector {
                let zero = simd.$splat(0.0);
                simd.$select(simd.$less_than(zero, condition), x, zero)
            }
            #[inline(always)]
            fn first_lanes<S: Simd>(simd: S, count: usize) -> Self::Mask<S> {
                simd.$between(0, count as $index)
            }
            #[inline(always)]
            unsafe fn load<S: Simd>(simd: S, mask: Option<Self::Mask<S>>, from: *const Self) -> S::$vector {
                // SAFETY: by this function's contract.
                unsafe {
                    match mask {
                        None => from.cast::<S::$vector>().read_unaligned(),
                        Some(mask) => simd.$load(mask, from),
                    }
                }
            }
            #[inline(always)]
            unsafe fn store<S: Simd>(simd: S, mask: Option<Self::Mask<S>>, to: *mut Self, x: S::$vector) {
                // SAFETY: by this function's contract.
                unsafe {
                    match mask {
                        None => to.cast::<S::$vector>().write_unaligned(x),
                        Some(mask) => simd.$store(mask, to, x),
                    }
                }
            }
            #[inline(always)]
            unsafe fn transpose<S: Simd>(
                simd: S,
                from: *const Self,
                strides: [isize; 2],
                size: [usize; 2],
                to: *mut Self,
                width: usize,
            ) {
                // SAFETY: by this function's contract.
                unsafe {
                    #[cfg(target_arch = "x86_64")]
                    if strides[0] == 1 {
                        if TypeId::of::<S>() == TypeId::of::<pulp::x86::V4>() {
                            return transpose::$avx512(from, strides[1], size, to, width);
                        } else if TypeId::of::<S>() == TypeId::of::<pulp::x86::V3>() {
                            return transpose::$avx2(from, strides[1], size, to, width);
                        }
                    }
                    transpose::elements(simd, from, strides, size, to, width);
                }
            }
        }
    };
}

impl_lanes!(
    f32,
    f32s,
    m32s,
    splat_f32s,
    mul_f32s,
    add_f32s,
    mul_add_f32s,
    less_than_f32s,
    less_than_or_equal_f32s,
    select_f32s,
    mask_between_m32s,
    u32,
    mask_load_ptr_f32s,
    mask_store_ptr_f32s,
    avx2_f32,
    avx512_f32
);
impl_lanes!(
    f64,
    f64s,
    m64s,
    splat_f64s,
    mul_f64s,
    add_f64s,
    mul_add_f64s,
    less_than_f64s,
    less_than_or_equal_f64s,
    select_f64s,
    mask_between_m64s,
    u64,
    mask_load_ptr_f64s,
    mask_store_ptr_f64s,
    avx2_f64,
    avx512_f64
);

/// A floating-point number that networks compute with: `f32` or `f64`. Sealed.
pub trait Real:
    Lanes
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + PartialOrd
    + Debug
    + Display
    + Default
    + Send
    + Sync
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// `f32` or `f64`.
    const NAME: &'static str;

    /// The nearest number of this type.
    fn from_f64(x: f64) -> Self;
    /// Exact.
    fn from_f32(x: f32) -> Self;
    /// Exact.
    fn to_f64(self) -> f64;
    /// e to the power of `self`.
    fn exp(self) -> Self;
    /// Natural logarithm.
    fn ln(self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// Hyperbolic tangent.
    fn tanh(self) -> Self;
    /// Sine and cosine; for |x| ≤ 8192 within 0.7 units of the last place of 1.
    fn sin_cos(self) -> (Self, Self);
    /// The error function, 2/√π ∫₀ˣ exp(-t²) dt.
    fn erf(self) -> Self;
    /// Neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// Appends the little-endian bytes.
    fn push_le_bytes(self, bytes: &mut Vec<u8>);
    /// The number of these little-endian bytes.
    ///
    /// # Panics
    /// They are not as many as a number has.
    fn from_le_bytes(bytes: &[u8]) -> Self;
}

macro_rules! impl_real {
    ($real:ident, $erf:path) => {
        impl Real for $real {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const NAME: &'static str = stringify!($real);

            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                x as $real
            }
            #[inline(always)]
            fn from_f32(x: f32) -> Self {
                <$real>::from(x)
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn exp(self) -> Self {
                crate::math::$real::exp(self)
            }
            #[inline(always)]
            fn ln(self) -> Self {
                $real::ln(self)
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                $real::sqrt(self)
            }
            #[inline(always)]
            fn tanh(self) -> Self {
                crate::math::$real::tanh(self)
            }
            #[inline(always)]
            fn sin_cos(self) -> (Self, Self) {
                crate::math::$real::sin_cos(self)
            }
            #[inline(always)]
            fn erf(self) -> Self {
                $erf(self)
            }
            #[inline(always)]
            fn is_finite(self) -> bool {
                $real::is_finite(self)
            }
            fn push_le_bytes(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }
            fn from_le_bytes(bytes: &[u8]) -> Self {
                $real::from_le_bytes(bytes.try_into().expect("the bytes of a number"))
            }
        }
    };
}

impl_real!(f32, libm::erff);
impl_real!(f64, libm::erf);
