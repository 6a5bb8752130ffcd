//! Operands in the order in which the tiles read them: a panel of `b` row after row, each a few vectors wide; tiles of
//! `a`, where its inner indices lie far apart, inner index after inner index, each a few rows high.

use std::ops::Range;

use pulp::Simd;

use super::K_BLOCK;
use super::tile::{Operand, Tiles};
use crate::Real;
use crate::elementwise::prefetch_line;
use crate::real::lanes;

/// The largest packed panel in bytes: K_BLOCK rows of three 64-byte vectors.
const PANEL_BYTES: usize = K_BLOCK * 192;
/// The largest tile of `c`: 8 rows of three 64-byte vectors.
const TILE_BYTES: usize = 8 * 192;

#[derive(Clone, Copy)]
#[repr(align(64))]
struct CacheLine(#[expect(dead_code, reason = "memory that is read through pointers")] [u8; 64]);

/// What a thread packs into.
pub(super) struct Memory {
    panel: Vec<CacheLine>,
    units: Vec<CacheLine>,
    turned: Vec<CacheLine>,
    lists: Vec<u16>,
    counts: Vec<u16>,
}

impl Memory {
    pub(super) const fn new() -> Self {
        Self { panel: Vec::new(), units: Vec::new(), turned: Vec::new(), lists: Vec::new(), counts: Vec::new() }
    }

    /// Room for a panel of `b`.
    pub(super) fn panel<U>(&mut self) -> *mut U {
        grow(&mut self.panel, PANEL_BYTES)
    }

    /// Room for this many units of `a`.
    pub(super) fn units<U>(&mut self, count: usize) -> *mut U {
        grow(&mut self.units, count * size_of::<U>())
    }

    /// Room for a tile of `c`.
    pub(super) fn turned<U>(&mut self) -> *mut U {
        grow(&mut self.turned, TILE_BYTES)
    }

    /// For so many tiles, room for the indices of K_BLOCK units each, and their counts.
    pub(super) fn lists(&mut self, tiles: usize) -> [&mut [u16]; 2] {
        if self.counts.len() < tiles {
            self.lists.resize(tiles * K_BLOCK, 0);
            self.counts.resize(tiles, 0);
        }
        [&mut self.lists[..tiles * K_BLOCK], &mut self.counts[..tiles]]
    }
}

fn grow<U>(memory: &mut Vec<CacheLine>, bytes: usize) -> *mut U {
    if memory.len() * 64 < bytes {
        memory.resize(bytes.div_ceil(64), CacheLine([0; 64]));
    }
    memory.as_mut_ptr().cast()
}

/// Writes the block (`k`, `columns`) of `b` to `panel`: rows of `width` elements, zeros at the end of each.
///
/// # Safety
/// The block lies within `b`; `panel` has room for it; `width` is a multiple of the vectors' length.
#[inline(always)]
pub(super) unsafe fn pack<S: Simd, T: Real>(
    simd: S,
    b: Operand<T>,
    k: &Range<usize>,
    columns: &Range<usize>,
    width: usize,
    panel: *mut T,
) {
    /// Rows between the one that is copied and the one that is asked for.
    const AHEAD: usize = 16;

    let lanes = lanes::<S, T>();
    let count = |column: usize| columns.len().saturating_sub(column).min(lanes);
    let to = |row: usize, column: usize| panel.wrapping_add((row - k.start) * width + column);
    // SAFETY: `at` stays within `b`, and row r of the panel begins at r * width.
    unsafe {
        let from = |row: usize, column: usize| b.at(row, columns.start + column.min(columns.len()));
        if b.strides[1] == 1 {
            let last = width - lanes;
            let tail = (count(last) < lanes).then(|| T::first_lanes(simd, count(last)));
            for row in k.clone() {
                // Rows lie too far apart for the machine to guess which is next.
                for column in (0..width).step_by(lanes) {
                    prefetch_line(from(row, column).wrapping_offset(AHEAD as isize * b.strides[0]));
                }
                for column in (0..last).step_by(lanes) {
                    T::store(simd, None, to(row, column), T::load(simd, None, from(row, column)));
                }
                T::store(simd, None, to(row, last), T::load(simd, tail, from(row, last)));
            }
        } else {
            for column in (0..width).step_by(lanes) {
                for row in k.clone().step_by(lanes) {
                    let size = [count(column), lanes.min(k.end - row)];
                    T::transpose(simd, from(row, column), b.strides, size, to(row, column), width);
                }
            }
        }
    }
}

/// Whether tiles of so many inner indices of `a` are packed before they are multiplied with so many columns of `b`. Where
/// rows lie side by side, each inner index is in another line of memory, and in a large matrix on another page; at strides
/// of a power of two, in the same few lines of a cache.
pub(super) fn are_packed<T>(a: Operand<T>, inner: usize, columns: usize) -> bool {
    /// Bytes that stay in a cache while all tiles are multiplied with a panel.
    const NEAR: usize = 1 << 18;
    /// Copying an element takes about as long as multiplying it with so many columns.
    const COLUMNS: usize = 64;
    a.strides[0] == 1 && columns >= COLUMNS && inner * a.strides[1].unsigned_abs() * size_of::<T>() >= NEAR
}

/// Copies the block `a`, whose rows lie side by side, of so many rows and inner indices.
///
/// # Safety
/// The block lies within readable memory.
#[inline(always)]
pub(super) unsafe fn pack_tiles<T: Real, const ROWS: usize>(
    a: Operand<T>,
    rows: usize,
    inner: usize,
    memory: &mut Memory,
) -> Tiles<T> {
    /// As many as lie within a few lines of memory: an inner index is read once, and few places are written to in turn.
    const AT_ONCE: usize = 8;
    let to = memory.units::<T>(rows.next_multiple_of(ROWS) * inner);
    let tiles = rows.div_ceil(ROWS);
    for first in (0..tiles).step_by(AT_ONCE) {
        for k in 0..inner {
            for tile in first..(first + AT_ONCE).min(tiles) {
                // SAFETY: by this function's contract; in `to` there is room for whole tiles.
                unsafe {
                    let (from, to) = (a.at(tile * ROWS, k), to.add((tile * inner + k) * ROWS));
                    // Two calls: of a length that the compiler knows, it is a few instructions.
                    match rows - tile * ROWS {
                        left if left < ROWS => from.copy_to_nonoverlapping(to, left),
                        _ => from.copy_to_nonoverlapping(to, ROWS),
                    }
                }
            }
        }
    }
    Tiles { units: Operand { pointer: to, strides: [1, ROWS as isize] }, tile: (inner * ROWS) as isize }
}
