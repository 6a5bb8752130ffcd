//! Pictures changed at random on their way into a batch, so that a network sees each of them in many positions.

use std::fmt;
use std::str::FromStr;

use ndarray::ArrayViewMut2;
use schuss_kernels::gather_rows;

use crate::dataset::{Scaling, Value};
use crate::random::{Purpose, Stream};
use crate::{Error, Features, Real, Result, Threads};

/// What is done to the pictures of a training step. Metrics are always those of the pictures as they are.
///
/// Pictures are (height, width) or (height, width, channels). The change of one is a function of the seed, the step, and
/// its place in the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Augment {
    /// Moved by up to so many pixels down or up, and right or left, every offset as likely as any other. What comes in
    /// at the border is zero.
    pub shift: u8,
}

impl Augment {
    /// Fails unless examples of this shape are pictures that can be moved so far.
    ///
    /// # Errors
    /// Less than two dimensions; a shift beyond the picture.
    pub fn check(self, example_shape: &[usize]) -> Result<()> {
        match example_shape {
            [height, width, ..] if usize::from(self.shift) < *height.min(width) => Ok(()),
            [_, _, ..] => Err(Error::value(
                "augment",
                "a shift smaller than the picture",
                format!("{self} for {example_shape:?}"),
            )),
            _ => Err(Error::value("augment", "pictures: examples of two dimensions or more", "rows of numbers")),
        }
    }
}

/// `shift:2`
impl fmt::Display for Augment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shift:{}", self.shift)
    }
}

impl FromStr for Augment {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let shift = text.strip_prefix("shift:").and_then(|pixels| pixels.parse().ok());
        let shift = shift.filter(|shift| (1..=100).contains(shift));
        shift.map(|shift| Self { shift }).ok_or_else(|| Error::value("augment", "shift:PIXELS, from 1 to 100", text))
    }
}

/// The changes of a batch, laid out once.
#[derive(Clone, Debug)]
pub(crate) struct Augmenter {
    augment: Augment,
    seed: u64,
    height: usize,
    /// Values of a line of a picture, and of a pixel.
    line: usize,
    pixel: usize,
    /// Down and right.
    offsets: Vec<[i32; 2]>,
    places: Vec<u32>,
}

impl Augmenter {
    /// For batches of up to `rows` pictures of a shape that was checked.
    pub(crate) fn new(augment: Augment, seed: u64, example_shape: &[usize], rows: usize) -> Self {
        let pixel = example_shape.iter().skip(2).product();
        let [height, width] = [example_shape[0], example_shape[1]];
        let places = (0..rows as u32).collect();
        Self { augment, seed, height, line: width * pixel, pixel, offsets: vec![[0; 2]; rows], places }
    }

    /// [`Scaling::gather`] of the pictures `rows`, changed as for `step`.
    pub(crate) fn gather<T: Real>(
        &mut self,
        threads: &Threads,
        step: u64,
        scaling: &Scaling,
        features: Features,
        rows: &[u32],
        out: ArrayViewMut2<T>,
    ) {
        let mut stream = Stream::new(self.seed, Purpose::Augment, step);
        let shift = i32::from(self.augment.shift);
        let mut offset = || stream.below(2 * shift as u32 + 1) as i32 - shift;
        self.offsets[..rows.len()].iter_mut().for_each(|offsets| *offsets = [offset(), offset()]);
        let this = &*self;
        crate::dataset::with_view!(features, view => gather_rows(
            threads,
            &this.places[..rows.len()],
            out,
            |place| {
                let row = view.row(rows[place as usize] as usize);
                row.to_slice().into_iter().for_each(schuss_kernels::prefetch);
            },
            #[inline(always)]
            |place, out| {
                let row = view.row(rows[place as usize] as usize);
                match row.to_slice() {
                    Some(row) => this.shift(place, scaling, row, out),
                    None => this.shift(place, scaling, &row.to_vec(), out),
                }
            },
        ));
    }

    #[inline(always)]
    fn shift<X: Value, T: Real>(&self, place: u32, scaling: &Scaling, picture: &[X], out: &mut [T]) {
        let Self { height, line, pixel, .. } = *self;
        let [down, right] = self.offsets[place as usize];
        let kept = line - pixel * right.unsigned_abs() as usize;
        let [from, to] = [-right, right].map(|shift| pixel * shift.max(0) as usize);
        for y in 0..height {
            let begin = y * line;
            let source = y as i32 - down;
            if (0..height as i32).contains(&source) {
                let source = &picture[source as usize * line + from..][..kept];
                scaling.scale_at(begin + to, source, &mut out[begin + to..][..kept]);
                // At one side or the other.
                let border = if to > 0 { begin..begin + to } else { begin + kept..begin + line };
                scaling.scale_zeros(border.start, &mut out[border]);
            } else {
                scaling.scale_zeros(begin, &mut out[begin..begin + line]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    /// Every picture is the stored one, moved by the same offsets in all its channels; other steps move it elsewhere.
    #[test]
    fn pictures_are_moved_within_the_shift_and_filled_with_zeros() {
        let shape = [5, 6, 2];
        let columns = 60;
        let pixels = Array2::from_shape_fn((9, columns), |(i, j)| (i * 60 + j) as f64 % 251.0 + 1.0);
        let value = |row: usize, y: i32, x: i32, channel: usize| {
            let inside = (0..5).contains(&y) && (0..6).contains(&x);
            if inside { pixels[(row, (y * 12 + x * 2) as usize + channel)] } else { 0.0 }
        };
        let rows = [3, 8, 0, 3, 1, 1, 7];
        let scaling = Scaling::Standard { mean: (0..60).map(f64::from).collect(), deviation: vec![2.0; 60] };
        let mut augmenter = Augmenter::new(Augment { shift: 2 }, 7, &shape, 10);
        let mut all = Vec::new();
        for step in 0..40 {
            let mut out = Array2::<f64>::from_elem((rows.len(), columns), f64::NAN);
            augmenter.gather(&Threads::ONE, step, &scaling, Features::F64(pixels.view()), &rows, out.view_mut());
            for (place, &row) in rows.iter().enumerate() {
                let [down, right] = augmenter.offsets[place];
                assert!(down.abs() <= 2 && right.abs() <= 2);
                all.push([down, right]);
                for ((y, x), channel) in
                    (0..5).flat_map(|y| (0..6).map(move |x| (y, x))).flat_map(|at| [(at, 0), (at, 1)])
                {
                    let column = (y * 12 + x * 2) as usize + channel;
                    let expected = (value(row as usize, y - down, x - right, channel) - column as f64) / 2.0;
                    assert_eq!(out[(place, column)], expected, "step {step}, place {place}, ({y}, {x}, {channel})");
                }
            }
        }
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 25, "every offset occurs");
    }

    #[test]
    fn what_cannot_be_moved_is_refused() {
        assert!("shift:2".parse::<Augment>().unwrap().check(&[28, 28]).is_ok());
        assert!(Augment { shift: 28 }.check(&[28, 28]).is_err());
        assert!(Augment { shift: 1 }.check(&[784]).is_err());
        for text in ["shift", "shift:0", "shift:-1", "shift:300", "rotate:3", ""] {
            assert!(text.parse::<Augment>().is_err(), "{text}");
        }
    }
}
