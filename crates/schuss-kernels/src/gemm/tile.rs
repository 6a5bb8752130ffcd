//! The innermost loop: tiles of `c` whose sums stay in registers.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use ndarray::{ArrayView2, ArrayViewMut2};
use pulp::{Simd, WithSimd};

use super::pack::{Memory, are_packed, pack, pack_tiles};
use super::zeros::{Lists, is_sparse, is_worth_while, lists};
use super::{Fused, K_BLOCK};
use crate::Real;
use crate::elementwise::prefetch_line;
use crate::real::lanes;

/// An operand where it lies in memory.
#[derive(Clone, Copy)]
pub(super) struct Operand<T> {
    pub(super) pointer: *const T,
    pub(super) strides: [isize; 2],
}

impl<T> Operand<T> {
    fn new(view: ArrayView2<T>) -> Self {
        Self { pointer: view.as_ptr(), strides: [view.strides()[0], view.strides()[1]] }
    }

    fn transposed(self) -> Self {
        Self { pointer: self.pointer, strides: [self.strides[1], self.strides[0]] }
    }

    /// # Safety
    /// The element lies within the operand.
    #[inline(always)]
    pub(super) unsafe fn at(self, row: usize, column: usize) -> *const T {
        // SAFETY: by this function's contract.
        unsafe { self.pointer.offset(row as isize * self.strides[0] + column as isize * self.strides[1]) }
    }
}

/// The units of a block of `a`, tile by tile of its rows.
#[derive(Clone, Copy)]
pub(super) struct Tiles<U> {
    /// The first row of each tile is `tile` after that of the one before.
    pub(super) units: Operand<U>,
    pub(super) tile: isize,
}

impl<U> Tiles<U> {
    /// Tiles of `rows` of an operand that lies as it is.
    pub(super) fn of(units: Operand<U>, rows: usize) -> Self {
        Self { tile: rows as isize * units.strides[0], units }
    }

    /// The units of a row, which is the `row`th of a tile.
    ///
    /// # Safety
    /// The row and the unit lie within the block.
    #[inline(always)]
    pub(super) unsafe fn at(self, tile: usize, row: usize, unit: usize) -> *const U {
        // SAFETY: by this function's contract.
        unsafe { self.units.at(row, unit).offset(tile as isize * self.tile) }
    }
}

/// Operands whose shapes were checked.
#[derive(Clone, Copy)]
pub(super) struct Product<T> {
    pub(super) a: Operand<T>,
    pub(super) b: Operand<T>,
    pub(super) inner: usize,
    fused: FusedPointer<T>,
    c: *mut T,
    c_stride: isize,
    /// Whether `a`, `b` and their product are the transposes of what was asked for: `c` has rows and columns swapped.
    is_turned: bool,
}

#[derive(Clone, Copy)]
enum FusedPointer<T> {
    Nothing,
    Bias(*const T),
    BiasRelu(*const T),
    ReluMask(Operand<T>),
}

// SAFETY: the operands are only read, each part writes its own region of `c`, and the views that they come from outlive
// the call.
unsafe impl<T: Sync> Sync for Product<T> {}
// SAFETY: as for `Sync`.
unsafe impl<T: Send> Send for Product<T> {}

impl<T: Real> Product<T> {
    pub(super) fn new(a: ArrayView2<T>, b: ArrayView2<T>, fused: Fused<T>, c: &mut ArrayViewMut2<T>) -> Self {
        let fused = match fused {
            Fused::Nothing => FusedPointer::Nothing,
            Fused::Bias(bias) => FusedPointer::Bias(bias.as_ptr()),
            Fused::BiasRelu(bias) => FusedPointer::BiasRelu(bias.as_ptr()),
            Fused::ReluMask(mask) => FusedPointer::ReluMask(Operand::new(mask)),
        };
        let inner = a.ncols();
        Self {
            a: Operand::new(a),
            b: Operand::new(b),
            inner,
            fused,
            c: c.as_mut_ptr(),
            c_stride: c.strides()[0],
            is_turned: false,
        }
    }

    /// The same product as `cᵀ = bᵀ·aᵀ`, the same bits.
    fn turned(self) -> Self {
        Self { a: self.b.transposed(), b: self.a.transposed(), is_turned: !self.is_turned, ..self }
    }
}

/// A thread's region of a product.
pub(super) struct Part<'m, T> {
    pub(super) product: Product<T>,
    pub(super) rows: Range<usize>,
    pub(super) columns: Range<usize>,
    pub(super) memory: &'m mut Memory,
    /// Multiply-adds that are left out are added to this.
    pub(super) skipped: &'m AtomicU64,
}

/// What is multiplied, and how: the element of the operands, or a pair of them, for one step of the inner loop.
pub(super) trait Arithmetic<S: Simd> {
    /// Of the matrices.
    type Real: Real;
    /// What one step of the inner loop reads of a row of `a`.
    type Unit: Copy;
    /// The same of a few columns of `b`; also that of one row, repeated.
    type Factors: Copy;
    /// Inner indices of a unit.
    const INNER: usize;

    /// Every lane `unit`.
    fn splat(simd: S, unit: Self::Unit) -> Self::Factors;

    /// `sum + a·b`
    fn mul_add(simd: S, a: Self::Factors, b: Self::Factors, sum: Vector<S, Self>) -> Vector<S, Self>;

    /// Whether products with `unit` are zero, or NaN.
    fn is_zero(unit: Self::Unit) -> bool;

    /// The block (`rows`, `k`) of `a` in units, for tiles of `ROWS` rows that are multiplied with so many `columns`.
    ///
    /// # Safety
    /// The block lies within `a`.
    unsafe fn units<const ROWS: usize>(
        simd: S,
        a: Operand<Self::Real>,
        rows: &Range<usize>,
        k: &Range<usize>,
        columns: usize,
        memory: &mut Memory,
    ) -> Tiles<Self::Unit>;

    /// Writes the block (`k`, `columns`) of `b` to `panel`: units of rows, each `width` wide, zeros at the end.
    ///
    /// # Safety
    /// The block lies within `b`, `panel` holds its units, `width` is a multiple of the vectors' length.
    unsafe fn pack(
        simd: S,
        b: Operand<Self::Real>,
        k: &Range<usize>,
        columns: &Range<usize>,
        width: usize,
        panel: *mut Self::Unit,
    );
}

/// The units of a tile that are multiplied, in their order.
trait Units {
    fn count(&self) -> usize;

    /// The `i`th; none where it follows the one before.
    ///
    /// # Safety
    /// There are more than `i`.
    unsafe fn at(&self, i: usize) -> Option<usize>;
}

impl Units for Range<usize> {
    #[inline(always)]
    fn count(&self) -> usize {
        self.end
    }

    #[inline(always)]
    unsafe fn at(&self, _: usize) -> Option<usize> {
        None
    }
}

/// Those of a list.
impl Units for (*const u16, usize) {
    #[inline(always)]
    fn count(&self) -> usize {
        self.1
    }

    #[inline(always)]
    unsafe fn at(&self, i: usize) -> Option<usize> {
        // SAFETY: by this function's contract.
        unsafe { Some(*self.0.add(i) as usize) }
    }
}

type Vector<S, A> = <<A as Arithmetic<S>>::Real as crate::real::Lanes>::Vector<S>;
type Mask<S, A> = <<A as Arithmetic<S>>::Real as crate::real::Lanes>::Mask<S>;

/// Elements as they are.
pub(super) struct Exact<'m, T>(pub(super) Part<'m, T>);

impl<S: Simd, T: Real> Arithmetic<S> for Exact<'_, T> {
    type Real = T;
    type Unit = T;
    type Factors = T::Vector<S>;
    const INNER: usize = 1;

    #[inline(always)]
    fn splat(simd: S, unit: T) -> T::Vector<S> {
        T::splat(simd, unit)
    }

    #[inline(always)]
    fn mul_add(simd: S, a: T::Vector<S>, b: T::Vector<S>, sum: T::Vector<S>) -> T::Vector<S> {
        T::mul_add(simd, a, b, sum)
    }

    #[inline(always)]
    fn is_zero(unit: T) -> bool {
        unit == T::ZERO
    }

    #[inline(always)]
    unsafe fn units<const ROWS: usize>(
        _: S,
        a: Operand<T>,
        rows: &Range<usize>,
        k: &Range<usize>,
        columns: usize,
        memory: &mut Memory,
    ) -> Tiles<T> {
        // SAFETY: by this function's contract.
        unsafe {
            let block = Operand { pointer: a.at(rows.start, k.start), strides: a.strides };
            if are_packed(a, k.len(), columns) {
                return pack_tiles::<T, ROWS>(block, rows.len(), k.len(), memory);
            }
            Tiles::of(block, ROWS)
        }
    }

    #[inline(always)]
    unsafe fn pack(simd: S, b: Operand<T>, k: &Range<usize>, columns: &Range<usize>, width: usize, panel: *mut T) {
        // SAFETY: by this function's contract.
        unsafe { pack(simd, b, k, columns, width, panel) }
    }
}

impl<T: Real> WithSimd for Exact<'_, T> {
    type Output = ();

    /// Tiles of `rows x vectors` sums: as many as the registers hold beside the factors.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // SAFETY: `gemm_at` checked the shapes and gave each part a region and a memory of its own.
        unsafe {
            if S::IS_SCALAR {
                self.0.run::<S, Self, 2, 16>(simd);
            } else if S::REGISTER_COUNT >= 32 {
                self.0.run::<S, Self, 8, 3>(simd);
            } else {
                self.0.run::<S, Self, 6, 2>(simd);
            }
        }
    }
}

/// Where a tile's sums begin.
#[derive(Clone, Copy)]
enum Begin<T> {
    Zero,
    /// The same for every row.
    Bias(*const T),
    /// The block before left them in `c`.
    Sums,
}

/// What becomes of a tile's sums.
#[derive(Clone, Copy)]
enum End<T> {
    Store,
    Relu,
    /// The mask's first element of the panel, and its rows' stride.
    Mask(*const T, isize),
}

/// A panel of `b` and what is the same for all its tiles.
#[derive(Clone, Copy)]
struct Panel<U, T, M> {
    b: *const U,
    /// Of a row of `b`.
    units: usize,
    begin: Begin<T>,
    end: End<T>,
    /// The first element of the panel's columns in row 0.
    c: *mut T,
    /// Room for a tile, if `c` is turned over.
    turned: Option<*mut T>,
    columns: usize,
    /// The lanes of its last vector, unless they are all.
    tail: Option<M>,
}

impl<T: Real> Part<'_, T> {
    /// # Safety
    /// The region lies within the product, and nothing else accesses it in `c`.
    #[inline(always)]
    pub(super) unsafe fn run<S: Simd, A: Arithmetic<S, Real = T>, const ROWS: usize, const VECTORS: usize>(
        self,
        simd: S,
    ) {
        let lanes = lanes::<S, T>();
        let Self { mut product, mut rows, mut columns, memory, skipped } = self;
        // Room for whatever the zeros may ask for, so that it does not have to be made when there are some.
        if is_worth_while(rows.len().max(columns.len()), rows.len().min(columns.len()), product.inner) {
            let most = rows.len().max(columns.len());
            memory.lists(most / ROWS);
            if A::INNER > 1 || matches!(product.fused, FusedPointer::Nothing) {
                let units = product.inner.min(K_BLOCK).div_ceil(A::INNER).next_multiple_of(16);
                memory.units::<A::Unit>(units * most.next_multiple_of(16));
            }
        }
        // SAFETY: as for this function.
        let mut has_zeros = unsafe { is_sparse::<T, ROWS>(product.a, &rows, product.inner, columns.len()) };
        if !has_zeros && matches!(product.fused, FusedPointer::Nothing) {
            // SAFETY: as for this function.
            has_zeros = unsafe { is_sparse::<T, ROWS>(product.b.transposed(), &columns, product.inner, rows.len()) };
            if has_zeros {
                product = product.turned();
                (rows, columns) = (columns, rows);
            }
        }
        for k in (0..product.inner.max(1)).step_by(K_BLOCK) {
            let k = k..(k + K_BLOCK).min(product.inner);
            // SAFETY: as for this function.
            let a = unsafe { A::units::<ROWS>(simd, product.a, &rows, &k, columns.len(), memory) };
            // SAFETY: `a` holds the units.
            let lists = has_zeros.then(|| unsafe { lists::<S, A, ROWS>(a, rows.len(), k.len(), memory) }).flatten();
            if let Some(lists) = lists {
                skipped.fetch_add((lists.skipped * ROWS * columns.len()) as u64, Ordering::Relaxed);
            }
            let mut column = columns.start;
            while column < columns.end {
                // The widest panel that the columns fill, but for the end of its last vector.
                let left = (columns.end - column).div_ceil(lanes);
                let vectors = [VECTORS, 2, 1].into_iter().find(|&vectors| vectors <= left).unwrap_or(1);
                let columns = column..(column + vectors * lanes).min(columns.end);
                column = columns.end;
                let [b, turned] = [memory.panel(), memory.turned()];
                // SAFETY: as for this function.
                unsafe {
                    match vectors {
                        1 => product.panel::<S, A, ROWS, 1>(simd, (a, lists), [b, turned.cast()], &rows, &k, &columns),
                        2 => product.panel::<S, A, ROWS, 2>(simd, (a, lists), [b, turned.cast()], &rows, &k, &columns),
                        _ => product.panel::<S, A, ROWS, VECTORS>(
                            simd,
                            (a, lists),
                            [b, turned.cast()],
                            &rows,
                            &k,
                            &columns,
                        ),
                    }
                }
            }
        }
    }
}

impl<T: Real> Product<T> {
    /// # Safety
    /// `a` holds the units of (`rows`, `k`), `b` has room for those of (`k`, `columns`), which are at most `VECTORS`
    /// vectors, `turned` for a tile; nothing else accesses this region of `c`.
    #[inline(always)]
    unsafe fn panel<S: Simd, A: Arithmetic<S, Real = T>, const ROWS: usize, const VECTORS: usize>(
        &self,
        simd: S,
        (a, lists): (Tiles<A::Unit>, Option<Lists>),
        [b, turned]: [*mut A::Unit; 2],
        rows: &Range<usize>,
        k: &Range<usize>,
        columns: &Range<usize>,
    ) {
        let lanes = lanes::<S, T>();
        let is_last = k.end == self.inner;
        // SAFETY: as for this function: pointers to the panel's columns in the bias, the mask and `c`.
        let panel = unsafe {
            A::pack(simd, self.b, k, columns, VECTORS * lanes, b);
            Panel {
                b: b.cast_const(),
                units: k.len().div_ceil(A::INNER),
                begin: match self.fused {
                    _ if k.start > 0 => Begin::Sums,
                    FusedPointer::Bias(bias) | FusedPointer::BiasRelu(bias) => Begin::Bias(bias.add(columns.start)),
                    _ => Begin::Zero,
                },
                end: match self.fused {
                    FusedPointer::BiasRelu(_) if is_last => End::Relu,
                    FusedPointer::ReluMask(mask) if is_last => End::Mask(mask.at(0, columns.start), mask.strides[0]),
                    _ => End::Store,
                },
                c: if self.is_turned {
                    self.c.offset(columns.start as isize * self.c_stride)
                } else {
                    self.c.add(columns.start)
                },
                turned: self.is_turned.then_some(turned.cast()),
                columns: columns.len(),
                tail: (!columns.len().is_multiple_of(lanes)).then(|| T::first_lanes(simd, columns.len() % lanes)),
            }
        };
        let mut row = rows.start;
        // SAFETY: as for this function; the tiles stay within the rows.
        unsafe {
            let a_at = |row: usize| {
                let row = row - rows.start;
                (a.at(row / ROWS, row % ROWS, 0), a.units.strides)
            };
            if let Some(lists) = lists {
                while row + ROWS <= rows.end {
                    let list = lists.of((row - rows.start) / ROWS);
                    self.tile::<S, A, _, ROWS, VECTORS>(simd, a_at(row), list, row, &panel);
                    row += ROWS;
                }
            }
            let all = 0..panel.units;
            while row + ROWS <= rows.end {
                self.tile::<S, A, _, ROWS, VECTORS>(simd, a_at(row), all.clone(), row, &panel);
                row += ROWS;
            }
            if row + 4 <= rows.end {
                self.tile::<S, A, _, 4, VECTORS>(simd, a_at(row), all.clone(), row, &panel);
                row += 4;
            }
            if row + 2 <= rows.end {
                self.tile::<S, A, _, 2, VECTORS>(simd, a_at(row), all.clone(), row, &panel);
                row += 2;
            }
            if row < rows.end {
                self.tile::<S, A, _, 1, VECTORS>(simd, a_at(row), all, row, &panel);
            }
        }
    }

    /// # Safety
    /// `a` points to the first unit of `row`, of `ROWS` that lie within the part; the panel is `VECTORS` vectors wide;
    /// `units` are some of those of the panel.
    #[inline(always)]
    unsafe fn tile<S: Simd, A: Arithmetic<S, Real = T>, U: Units, const ROWS: usize, const VECTORS: usize>(
        &self,
        simd: S,
        (first, a_strides): (*const A::Unit, [isize; 2]),
        units: U,
        row: usize,
        panel: &Panel<A::Unit, T, Mask<S, A>>,
    ) {
        let lanes = lanes::<S, T>();
        let mut sums = [[T::splat(simd, T::ZERO); VECTORS]; ROWS];
        // SAFETY: as for this function: rows, columns and units stay within the operands; `tail` keeps the last vector
        // within its row; in `turned` there is room for the tile.
        unsafe {
            let (c, c_stride) = match panel.turned {
                None => (panel.c.offset(row as isize * self.c_stride), self.c_stride),
                Some(turned) => (turned, (VECTORS * lanes) as isize),
            };
            if let (Some(_), Begin::Sums) = (panel.turned, panel.begin) {
                for column in 0..panel.columns {
                    let from = panel.c.offset(column as isize * self.c_stride).add(row);
                    for r in 0..ROWS {
                        *c.offset(r as isize * c_stride).add(column) = *from.add(r);
                    }
                }
            }
            match panel.begin {
                Begin::Zero => {}
                Begin::Bias(bias) => {
                    for v in 0..VECTORS {
                        let tail = if v + 1 == VECTORS { panel.tail } else { None };
                        let bias = T::load(simd, tail, bias.add(v * lanes));
                        for sums in &mut sums {
                            sums[v] = bias;
                        }
                    }
                }
                Begin::Sums => {
                    for (r, sums) in sums.iter_mut().enumerate() {
                        for (v, sum) in sums.iter_mut().enumerate() {
                            let tail = if v + 1 == VECTORS { panel.tail } else { None };
                            *sum = T::load(simd, tail, c.offset(r as isize * c_stride).add(v * lanes));
                        }
                    }
                }
            }

            // What the end of the tile needs, and the beginning of the next, comes while the sums are made.
            let ahead = if matches!(panel.begin, Begin::Sums) { ROWS } else { 0 };
            let is_long = panel.units >= 64;
            if panel.turned.is_some() {
                for column in 0..panel.columns {
                    prefetch_line(panel.c.wrapping_offset(column as isize * self.c_stride).wrapping_add(row));
                }
            } else {
                for r in 0..if is_long { ROWS } else { 0 } {
                    for v in 0..VECTORS {
                        let to = panel.c.wrapping_offset((row + r + ahead) as isize * self.c_stride);
                        prefetch_line(to.wrapping_add(v * lanes));
                        if let End::Mask(mask, stride) = panel.end {
                            prefetch_line(mask.wrapping_offset((row + r) as isize * stride).wrapping_add(v * lanes));
                        }
                    }
                }
            }
            let mut sums = multiply::<S, A, U, ROWS, VECTORS>(simd, sums, (first, a_strides), panel.b, units);

            match panel.end {
                End::Store => {
                    for sum in sums.as_flattened_mut() {
                        *sum = T::without_negative_zero(simd, *sum);
                    }
                }
                End::Relu => {
                    for sum in sums.as_flattened_mut() {
                        *sum = T::relu(simd, *sum);
                    }
                }
                End::Mask(mask, stride) => {
                    let mask = mask.offset(row as isize * stride);
                    for (r, sums) in sums.iter_mut().enumerate() {
                        for (v, sum) in sums.iter_mut().enumerate() {
                            let tail = if v + 1 == VECTORS { panel.tail } else { None };
                            let mask = T::load(simd, tail, mask.offset(r as isize * stride).add(v * lanes));
                            *sum = T::where_positive(simd, mask, T::without_negative_zero(simd, *sum));
                        }
                    }
                }
            }
            for (r, sums) in sums.iter().enumerate() {
                for (v, &sum) in sums.iter().enumerate() {
                    let tail = if v + 1 == VECTORS { panel.tail } else { None };
                    T::store(simd, tail, c.offset(r as isize * c_stride).add(v * lanes), sum);
                }
            }
            if panel.turned.is_some() {
                for column in 0..panel.columns {
                    let to = panel.c.offset(column as isize * self.c_stride).add(row);
                    for r in 0..ROWS {
                        *to.add(r) = *c.offset(r as isize * c_stride).add(column);
                    }
                }
            }
        }
    }
}

/// `sums + a·b` over the `units`. By value and apart from everything else, so that the sums stay in registers.
///
/// # Safety
/// `first` points to the first unit of `ROWS` rows, `b` to a panel `VECTORS` vectors wide; both have these units.
#[inline(always)]
unsafe fn multiply<S: Simd, A: Arithmetic<S>, U: Units, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    mut sums: [[Vector<S, A>; VECTORS]; ROWS],
    (first, a_strides): (*const A::Unit, [isize; 2]),
    panel: *const A::Unit,
    units: U,
) -> [[Vector<S, A>; VECTORS]; ROWS] {
    let mut a = first;
    let mut b = panel.cast::<A::Factors>();
    // SAFETY: by this function's contract.
    unsafe {
        for i in 0..units.count() {
            if let Some(unit) = units.at(i) {
                a = first.offset(unit as isize * a_strides[1]);
                b = panel.cast::<A::Factors>().add(unit * VECTORS);
            }
            let factors: [A::Factors; VECTORS] = std::array::from_fn(
                #[inline(always)]
                |v| b.add(v).read_unaligned(),
            );
            for (r, sums) in sums.iter_mut().enumerate() {
                let x = A::splat(simd, *a.offset(r as isize * a_strides[0]));
                for (sum, factor) in sums.iter_mut().zip(factors) {
                    *sum = A::mul_add(simd, x, factor, *sum);
                }
            }
            // Beyond the operands after the last unit, which is never read.
            b = b.wrapping_add(VECTORS);
            a = a.wrapping_offset(a_strides[1]);
        }
    }
    sums
}
