//! Zeros of `a` that a product leaves out: pixels that are blank in all rows of a tile.
//!
//! A multiply-add whose factor is zero leaves its sum as it is, but for the sign of a zero, which no later sum depends on
//! and which no result keeps: what is left out changes no bit. Only where the other factor is infinite or NaN would it
//! have.

use std::ops::Range;

use pulp::Simd;

use super::K_BLOCK;
use super::pack::Memory;
use super::tile::{Arithmetic, Operand, Tiles};
use crate::Real;

/// Fewer rows, columns or inner indices than this are not worth the search.
const SMALLEST: [usize; 3] = [32, 64, 64];
/// The share of the units above which nothing is left out, as a fraction: the search, the list and the jumps take time.
const MOST_KEPT: [usize; 2] = [4, 5];

/// For each tile of rows of a block, the units that are not zero in all of its rows.
#[derive(Clone, Copy)]
pub(super) struct Lists {
    units: *const u16,
    counts: *const u16,
    /// Inner indices left out, of all tiles.
    pub(super) skipped: usize,
}

impl Lists {
    /// The units of this tile, and how many.
    ///
    /// # Safety
    /// There is such a tile.
    #[inline(always)]
    pub(super) unsafe fn of(self, tile: usize) -> (*const u16, usize) {
        // SAFETY: by this function's contract.
        unsafe { (self.units.add(tile * K_BLOCK), *self.counts.add(tile) as usize) }
    }
}

/// Whether a product of so many rows, columns and inner indices is worth the search for zeros among its rows.
pub(super) fn is_worth_while(rows: usize, columns: usize, inner: usize) -> bool {
    [rows, columns, inner].iter().zip(SMALLEST).all(|(&size, smallest)| size >= smallest)
}

/// Whether to look for zeros in these rows of `a`, by a sample of them; `columns` is how many `b` has.
///
/// # Safety
/// The rows and `inner` lie within the operand.
#[inline(always)]
pub(super) unsafe fn is_sparse<T: Real, const ROWS: usize>(
    a: Operand<T>,
    rows: &Range<usize>,
    inner: usize,
    columns: usize,
) -> bool {
    /// Tiles looked at, and inner indices of each.
    const SAMPLE: [usize; 2] = [16, 16];
    if !is_worth_while(rows.len(), columns, inner) || !a.strides.contains(&1) {
        return false;
    }
    let mut kept = 0;
    for tile in 0..SAMPLE[0] {
        let row = rows.start + (rows.len() - ROWS) * tile / (SAMPLE[0] - 1) / ROWS * ROWS;
        for i in 0..SAMPLE[1] {
            // Others for each tile: what is zero may depend on both.
            let k = inner * (i * SAMPLE[0] + tile) / (SAMPLE[0] * SAMPLE[1]);
            // SAFETY: by this function's contract.
            kept += usize::from((row..row + ROWS).any(|row| unsafe { *a.at(row, k) != T::ZERO }));
        }
    }
    kept * MOST_KEPT[1] <= SAMPLE[0] * SAMPLE[1] * MOST_KEPT[0]
}

/// The lists of the whole tiles of the block `a` of `rows` and the units of so many inner indices, if they leave out
/// enough.
///
/// # Safety
/// The rows and units lie within the operand.
#[inline(always)]
pub(super) unsafe fn lists<S: Simd, A: Arithmetic<S>, const ROWS: usize>(
    a: Tiles<A::Unit>,
    rows: usize,
    inner: usize,
    memory: &mut Memory,
) -> Option<Lists> {
    let [tiles, units] = [rows / ROWS, inner.div_ceil(A::INNER)];
    let [indices, counts] = memory.lists(tiles);
    counts.fill(0);
    // SAFETY: by this function's contract.
    unsafe {
        if a.units.strides[1] == 1 {
            let mut is_kept = [0u32; K_BLOCK];
            let is_kept = &mut is_kept[..units];
            for (tile, (indices, count)) in indices.chunks_exact_mut(K_BLOCK).zip(counts.iter_mut()).enumerate() {
                is_kept.fill(0);
                for row in 0..ROWS {
                    let row = std::slice::from_raw_parts(a.at(tile, row, 0), units);
                    for (is_kept, &unit) in is_kept.iter_mut().zip(row) {
                        *is_kept |= u32::from(!A::is_zero(unit));
                    }
                }
                let mut kept = 0;
                for (unit, &is_kept) in is_kept.iter().enumerate() {
                    indices[kept] = unit as u16;
                    kept += is_kept as usize;
                }
                *count = kept as u16;
            }
        } else {
            // In the order in which the units lie in memory.
            let by_tile = a.units.strides[1] < a.tile;
            let [outer, within] = if by_tile { [tiles, units] } else { [units, tiles] };
            for i in 0..outer {
                for j in 0..within {
                    let [tile, unit] = if by_tile { [i, j] } else { [j, i] };
                    let rows = std::slice::from_raw_parts(a.at(tile, 0, unit), ROWS);
                    let is_kept = rows.iter().fold(false, |is_kept, &unit| is_kept | !A::is_zero(unit));
                    let count = &mut counts[tile];
                    indices[tile * K_BLOCK + *count as usize] = unit as u16;
                    *count += u16::from(is_kept);
                }
            }
        }
    }
    // One at least, so that what a multiply-add makes of the beginning of a sum does not depend on the rest of the tile.
    for (list, count) in indices.chunks_exact_mut(K_BLOCK).zip(counts.iter_mut()).filter(|(_, count)| **count == 0) {
        list[0] = 0;
        *count = 1;
    }
    let kept: usize = counts.iter().map(|&count| count as usize).sum();
    if kept * MOST_KEPT[1] > tiles * units * MOST_KEPT[0] {
        return None;
    }
    let skipped = counts.iter().map(|&count| inner.saturating_sub(count as usize * A::INNER)).sum();
    Some(Lists { units: indices.as_ptr(), counts: counts.as_ptr(), skipped })
}
