//! Pictures changed at random on their way into a batch, so that a network sees each of them in many forms.

mod warp;

use std::cell::Cell;
use std::fmt;
use std::str::FromStr;

use ndarray::ArrayViewMut2;
use schuss_kernels::gather_rows;

use self::warp::{Scratch, Warp};
use crate::dataset::{Scaling, Value};
use crate::random::{Purpose, Stream};
use crate::{Error, Features, Real, Result, Threads};

/// What is done to the pictures of a training step. Metrics are always those of the pictures as they are.
///
/// Pictures are (height, width) or (height, width, channels), and all channels are changed alike. The change of one is a
/// function of the seed, the step, and its row in the training data; the rest of the batch does not matter. Every amount
/// is drawn anew for each picture, any between its bounds as likely as any other; what comes in from outside the picture
/// is zero. An amount of 0 leaves that change out.
///
/// Rotation, scaling, shear and elastic distortion become one displacement of every pixel, and the picture is resampled
/// once, bilinearly and in single precision. Pictures that are shifted alone are copied as they are.
///
/// The changes are those of P. Simard, D. Steinkraus and J. Platt, "Best Practices for Convolutional Neural Networks
/// Applied to Visual Document Analysis", ICDAR 2003, and of D. Cireşan, U. Meier, L. Gambardella and J. Schmidhuber,
/// "Deep, Big, Simple Neural Nets for Handwritten Digit Recognition", Neural Computation 22 (12), 2010, arXiv:1003.0358.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Augment {
    /// Moved by up to so many whole pixels down or up, and right or left.
    pub shift: u8,
    /// Turned about the middle by up to so many degrees, either way.
    pub rotate: f64,
    /// Stretched about the middle by factors from 1 - `scale` to 1 + `scale`, one for the width, one for the height.
    pub scale: f64,
    /// Lines moved along themselves, in proportion to their distance from the middle, so that upright strokes lean by up
    /// to so many degrees, either way.
    pub shear: f64,
    /// Displacements that change smoothly over the picture.
    pub elastic: Option<Elastic>,
}

/// Elastic distortion: every pixel is displaced by numbers uniform in [-1, 1], one for each direction, that are smoothed
/// over the picture by a Gaussian of standard deviation `sigma` and multiplied by `alpha`.
///
/// The displacements that come out have a standard deviation of `alpha / (sigma √(12 π))` pixels in each direction: 1.4
/// for Simard's `alpha` of 34 and `sigma` of 4, 1.1 for 37 and 5.5 as in Cireşan et al. (They are drawn as cubic
/// splines with random coefficients, which are as smooth and as large, and much faster.)
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Elastic {
    /// Displacement before smoothing, in pixels.
    pub alpha: f64,
    /// Reach of the smoothing, in pixels.
    pub sigma: f64,
}

impl Elastic {
    /// Standard deviation of the displacements in each direction, in pixels.
    pub fn deviation(self) -> f64 {
        self.alpha / (self.sigma * (12.0 * std::f64::consts::PI).sqrt())
    }
}

const FORMS: &str = "amounts, each at most once, separated by commas: shift:PIXELS, from 1 to 100; rotate:DEGREES, up to \
                     180; scale:SHARE, up to 0.9; shear:DEGREES, up to 60; elastic:ALPHA:SIGMA in pixels, alpha up to \
                     1000, sigma from 1 to 100. For example shift:2,rotate:10,scale:0.1,elastic:34:4";

impl Augment {
    /// The largest side of a picture that is resampled.
    const LARGEST_SIDE: usize = 1 << 14;

    /// Fails unless amounts are within their bounds and examples of this shape are pictures that can be changed so far.
    ///
    /// # Errors
    /// An amount out of its bounds; less than two dimensions; a shift, or elastic displacements, beyond the picture.
    pub fn check(self, example_shape: &[usize]) -> Result<()> {
        let within = |amount: f64, most: f64| (0.0..=most).contains(&amount);
        let amounts = within(self.shift.into(), 100.0)
            && within(self.rotate, 180.0)
            && within(self.scale, 0.9)
            && within(self.shear, 60.0);
        let elastic = self.elastic.is_none_or(|Elastic { alpha, sigma }| {
            alpha > 0.0 && within(alpha, 1000.0) && within(sigma, 100.0) && sigma >= 1.0
        });
        if !amounts || !elastic {
            return Err(Error::value("augment", FORMS, self));
        }
        let refuse = |expected: &str| Err(Error::value("augment", expected, format!("{self} for {example_shape:?}")));
        match example_shape {
            [height, width, ..] if usize::from(self.shift) >= *height.min(width) => {
                refuse("a shift smaller than the picture")
            }
            [height, width, ..] if self.elastic.is_some_and(|e| e.deviation() >= *height.min(width) as f64 / 2.0) => {
                refuse(
                    "elastic displacements, of which alpha / (6.14 sigma) are typical, smaller than half the picture",
                )
            }
            [height, width, ..] if self.resamples() && *height.max(width) > Self::LARGEST_SIDE => {
                refuse(&format!("pictures with sides of up to {} pixels", Self::LARGEST_SIDE))
            }
            [_, _, ..] => Ok(()),
            _ => Err(Error::value("augment", "pictures: examples of two dimensions or more", "rows of numbers")),
        }
    }

    /// Whether pixels do not only move as a whole.
    fn resamples(&self) -> bool {
        [self.rotate, self.scale, self.shear] != [0.0; 3] || self.elastic.is_some()
    }
}

/// `shift:2,rotate:10,scale:0.1,shear:5,elastic:34:4`, without what is not done; `none` if nothing is.
impl fmt::Display for Augment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amount = |name: &str, amount: f64| (amount != 0.0).then(|| format!("{name}:{amount}"));
        let parts = [
            amount("shift", self.shift.into()),
            amount("rotate", self.rotate),
            amount("scale", self.scale),
            amount("shear", self.shear),
            self.elastic.map(|Elastic { alpha, sigma }| format!("elastic:{alpha}:{sigma}")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        f.write_str(if parts.is_empty() { "none".into() } else { parts.join(",") }.as_str())
    }
}

impl FromStr for Augment {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = || Error::value("augment", FORMS, text);
        let mut augment = Self::default();
        for part in text.split(',') {
            let (name, amounts) = part.split_once(':').ok_or_else(refuse)?;
            let number = |text: &str| text.parse::<f64>().ok().filter(|number| *number > 0.0).ok_or_else(refuse);
            let twice = match name {
                "shift" => {
                    let pixels = amounts.parse().ok().filter(|pixels| *pixels > 0).ok_or_else(refuse)?;
                    std::mem::replace(&mut augment.shift, pixels) != 0
                }
                "rotate" => std::mem::replace(&mut augment.rotate, number(amounts)?) != 0.0,
                "scale" => std::mem::replace(&mut augment.scale, number(amounts)?) != 0.0,
                "shear" => std::mem::replace(&mut augment.shear, number(amounts)?) != 0.0,
                "elastic" => {
                    let (alpha, sigma) = amounts.split_once(':').ok_or_else(refuse)?;
                    let elastic = Elastic { alpha: number(alpha)?, sigma: number(sigma)? };
                    augment.elastic.replace(elastic).is_some()
                }
                _ => true,
            };
            if twice {
                return Err(refuse());
            }
        }
        // Any picture large enough.
        augment.check(&[Self::LARGEST_SIDE; 2]).map_err(|_| refuse())?;
        Ok(augment)
    }
}

thread_local! {
    /// Memory for a picture that is resampled. Taken out while it is in use, so that the loops stay where they are
    /// compiled for the instruction set in use.
    static SCRATCH: Cell<Scratch> = Cell::default();
}

/// The changes of pictures of one shape. It keeps nothing from step to step.
#[derive(Clone, Debug)]
pub(crate) struct Augmenter {
    augment: Augment,
    seed: u64,
    height: usize,
    /// Values of a line of a picture, and of a pixel.
    line: usize,
    pixel: usize,
    /// For what a shift alone does not do.
    warp: Option<Warp>,
}

impl Augmenter {
    /// For pictures of a shape that was checked.
    pub(crate) fn new(augment: Augment, seed: u64, example_shape: &[usize]) -> Self {
        let pixel = example_shape.iter().skip(2).product();
        let [height, width] = [example_shape[0], example_shape[1]];
        let warp = augment.resamples().then(|| Warp::new(&augment, [height, width], pixel));
        Self { augment, seed, height, line: width * pixel, pixel, warp }
    }

    /// [`Scaling::gather`] of the pictures `rows`, changed as for `step`.
    pub(crate) fn gather<T: Real>(
        &self,
        threads: &Threads,
        step: u64,
        scaling: &Scaling,
        features: Features,
        rows: &[u32],
        out: ArrayViewMut2<T>,
    ) {
        crate::dataset::with_view!(features, view => gather_rows(
            threads,
            rows,
            out,
            |row| view.row(row as usize).to_slice().into_iter().for_each(schuss_kernels::prefetch),
            #[inline(always)]
            |row, out| {
                let picture = view.row(row as usize);
                match picture.to_slice() {
                    Some(picture) => self.change(step, row, scaling, picture, out),
                    None => self.change(step, row, scaling, &picture.to_vec(), out),
                }
            },
        ));
    }

    #[inline(always)]
    fn change<X: Value, T: Real>(&self, step: u64, row: u32, scaling: &Scaling, picture: &[X], out: &mut [T]) {
        let mut stream = Stream::new(self.seed, Purpose::Augment, step).item(row.into());
        let [down, right] = self.draw_shift(&mut stream);
        match &self.warp {
            None => self.shift([down, right], scaling, picture, out),
            Some(warp) => {
                let mut scratch = SCRATCH.take();
                let affine = warp.draw(&self.augment, [right, down], &mut stream);
                warp.resample(affine, &mut stream, &mut scratch, scaling, picture, out);
                SCRATCH.set(scratch);
            }
        }
    }

    /// Down and right.
    fn draw_shift(&self, stream: &mut Stream) -> [i32; 2] {
        let shift = i32::from(self.augment.shift);
        [(); 2].map(|()| stream.below(2 * shift as u32 + 1) as i32 - shift)
    }

    #[inline(always)]
    fn shift<X: Value, T: Real>(&self, [down, right]: [i32; 2], scaling: &Scaling, picture: &[X], out: &mut [T]) {
        let Self { height, line, pixel, .. } = *self;
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
    use ndarray::{Array2, ArrayView2};

    use super::*;

    fn parse(text: &str) -> Augment {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    fn all_changes() -> Augment {
        parse("shift:2,rotate:15,scale:0.15,shear:10,elastic:34:4")
    }

    /// The pictures `rows`, as they are at `step`.
    fn augmented<T: Real>(
        augment: Augment,
        shape: &[usize],
        threads: usize,
        step: u64,
        scaling: &Scaling,
        features: Features,
        rows: &[u32],
    ) -> Array2<T> {
        let augmenter = Augmenter::new(augment, 7, shape);
        let mut out = Array2::from_elem((rows.len(), features.columns()), T::from_f64(f64::NAN));
        augmenter.gather(&Threads::new(threads).unwrap(), step, scaling, features, rows, out.view_mut());
        out
    }

    fn pixels(rows: usize, columns: usize) -> Array2<u8> {
        Array2::from_shape_fn((rows, columns), |(i, j)| (i * 89 + j * j * 7 + j * 31) as u8)
    }

    /// Every picture is the stored one, moved by the same offset in all its channels; other steps move it elsewhere.
    #[test]
    fn pictures_are_moved_within_the_shift_and_filled_with_zeros() {
        let shape = [5, 6, 2];
        let columns = 60;
        let pixels = Array2::from_shape_fn((9, columns), |(i, j)| (i * 60 + j) as f64 % 251.0 + 1.0);
        let value = |row: usize, y: i32, x: i32, channel: usize| {
            let inside = (0..5).contains(&y) && (0..6).contains(&x);
            if inside { pixels[(row, (y * 12 + x * 2) as usize + channel)] } else { 0.0 }
        };
        let rows = [3, 8, 0, 4, 1, 1, 7];
        let scaling = Scaling::Standard { mean: (0..60).map(f64::from).collect(), deviation: vec![2.0; 60] };
        let augment = Augment { shift: 2, ..Augment::default() };
        let mut counts = [[0; 5]; 5];
        for step in 0..400 {
            let out = augmented::<f64>(augment, &shape, 1, step, &scaling, Features::F64(pixels.view()), &rows);
            for (place, &row) in rows.iter().enumerate() {
                let expected = |[down, right]: [i32; 2]| {
                    Vec::from_iter((0..columns).map(|column| {
                        let [y, x, channel] = [column / 12, column % 12 / 2, column % 2];
                        let value = value(row as usize, y as i32 - down, x as i32 - right, channel);
                        (value - column as f64) / 2.0
                    }))
                };
                let mut offsets = (-2..=2).flat_map(|down| (-2..=2).map(move |right| [down, right]));
                let found = offsets.find(|&offset| out.row(place).to_vec() == expected(offset));
                let [down, right] = found.unwrap_or_else(|| panic!("step {step}, place {place}"));
                counts[(down + 2) as usize][(right + 2) as usize] += 1;
            }
        }
        // 2800 draws (400 of them twice) of 25 offsets that are equally likely: 112 each, by a standard deviation of 12.
        assert!(counts.as_flattened().iter().all(|count| (52..172).contains(count)), "{counts:?}");
    }

    #[test]
    fn the_change_of_a_picture_depends_on_seed_step_and_row_alone() {
        let pixels = pixels(300, 15 * 12);
        let features = Features::U8(pixels.view());
        let all: Vec<u32> = (0..300).rev().collect();
        for augment in [parse("shift:3"), all_changes()] {
            let make = |threads, step, rows: &[u32]| {
                augmented::<f32>(augment, &[15, 12], threads, step, &Scaling::Divide(255.0), features, rows)
            };
            let alone = make(1, 5, &all);
            for threads in [2, 3, 7] {
                assert!(make(threads, 5, &all) == alone, "{augment} with {threads} threads");
            }
            for rows in [&[17, 4, 17, 299][..], &[0]] {
                for (changed, &row) in make(2, 5, rows).rows().into_iter().zip(rows) {
                    assert!(changed == alone.row(299 - row as usize), "{augment}, row {row}");
                }
            }
            assert!(make(1, 6, &all) != alone, "another step");
            let mut other = Array2::<f32>::zeros(alone.dim());
            let augmenter = Augmenter::new(augment, 8, &[15, 12]);
            augmenter.gather(&Threads::ONE, 5, &Scaling::Divide(255.0), features, &all, other.view_mut());
            assert!(other != alone, "another seed");
        }
    }

    /// Whatever the type of the pixels and of the network's numbers.
    #[test]
    fn types_and_scalings_give_the_same_pictures() {
        let pixels = pixels(40, 60);
        let [singles, doubles] = [pixels.mapv(f32::from), pixels.mapv(f32::from)];
        let doubles = doubles.mapv(f64::from);
        let rows: Vec<u32> = (0..40).collect();
        let augment = parse("shift:1,rotate:20,scale:0.2,elastic:20:3");
        let make = |scaling: &Scaling, features| augmented::<f64>(augment, &[5, 4, 3], 2, 3, scaling, features, &rows);
        let plain = make(&Scaling::None, Features::U8(pixels.view()));
        assert_eq!(make(&Scaling::None, Features::F32(singles.view())), plain);
        assert_eq!(make(&Scaling::None, Features::F64(doubles.view())), plain);
        assert_eq!(make(&Scaling::Divide(255.0), Features::U8(pixels.view())), plain.mapv(|x| x / 255.0));
        let scaling = Scaling::Standard { mean: (0..60).map(f64::from).collect(), deviation: vec![4.0; 60] };
        let standard = Array2::from_shape_fn(plain.dim(), |(i, j)| (plain[(i, j)] - j as f64) / 4.0);
        assert_eq!(make(&scaling, Features::U8(pixels.view())), standard);
        let features = Features::U8(pixels.view());
        let single = augmented::<f32>(augment, &[5, 4, 3], 2, 3, &Scaling::None, features, &rows);
        assert_eq!(single.mapv(f64::from), plain);
        // Rows that are not contiguous.
        let columns = pixels.t().as_standard_layout().into_owned();
        assert_eq!(make(&Scaling::None, Features::U8(columns.t())), plain);
    }

    /// The same change in every channel, and that of the picture of this channel alone.
    #[test]
    fn channels_are_changed_alike() {
        let pixels = pixels(20, 9 * 7 * 3);
        let channel = |channel: usize| Array2::from_shape_fn((20, 63), |(i, j)| pixels[(i, 3 * j + channel)]);
        let rows: Vec<u32> = (0..20).collect();
        let make = |pixels: ArrayView2<u8>, shape: &[usize]| {
            augmented::<f32>(all_changes(), shape, 1, 0, &Scaling::None, Features::U8(pixels), &rows)
        };
        let all = make(pixels.view(), &[9, 7, 3]);
        for c in 0..3 {
            let alone = make(channel(c).view(), &[9, 7]);
            assert_eq!(Array2::from_shape_fn(alone.dim(), |(i, j)| all[(i, 3 * j + c)]), alone, "channel {c}");
        }
    }

    /// Amounts that are next to nothing leave pictures as they are, of any shape.
    #[test]
    fn small_amounts_change_little() {
        for shape in [[1, 1], [1, 17], [17, 1], [5, 40], [33, 8], [28, 28]] {
            let columns = shape[0] * shape[1];
            let pixels = pixels(10, columns);
            let features = Features::U8(pixels.view());
            let rows: Vec<u32> = (0..10).collect();
            for text in ["rotate:1e-7", "scale:1e-8", "shear:1e-7", "elastic:1e-6:1", "elastic:1e-6:100"] {
                let out = augmented::<f64>(parse(text), &shape, 1, 0, &Scaling::None, features, &rows);
                let difference = (out - pixels.mapv(f64::from)).mapv(f64::abs);
                assert!(difference.iter().all(|&d| d < 0.02), "{text} of {shape:?}: {difference}");
            }
        }
    }

    #[test]
    fn any_shape_is_changed_into_finite_values_within_the_range() {
        for shape in [&[1, 1][..], &[1, 30], &[30, 1], &[2, 3], &[40, 70], &[3, 5, 4], &[1, 1, 1, 2]] {
            let columns = shape.iter().product();
            let pixels = pixels(50, columns);
            let rows: Vec<u32> = (0..50).collect();
            for text in ["rotate:180,scale:0.9,shear:60", "elastic:3:1", "rotate:90,scale:0.5,elastic:30:10"] {
                let features = Features::U8(pixels.view());
                let out = augmented::<f32>(parse(text), shape, 1, 9, &Scaling::None, features, &rows);
                assert!(out.iter().all(|x| (0.0..=255.01).contains(x)), "{text} of {shape:?}: {out}");
            }
        }
    }

    #[track_caller]
    fn check_text(text: &str, expected: Augment) {
        assert_eq!(parse(text), expected);
        assert_eq!(expected.to_string().parse::<Augment>().unwrap(), expected, "{expected}");
    }

    #[test]
    fn amounts_are_read_and_written() {
        let none = Augment::default();
        check_text("shift:2", Augment { shift: 2, ..none });
        check_text("rotate:10.5", Augment { rotate: 10.5, ..none });
        check_text("scale:0.1", Augment { scale: 0.1, ..none });
        check_text(
            "elastic:34:4,shear:5",
            Augment { shear: 5.0, elastic: Some(Elastic { alpha: 34.0, sigma: 4.0 }), ..none },
        );
        let text = "shift:2,rotate:10,scale:0.1,shear:5,elastic:8.25:4";
        assert_eq!(parse(text).to_string(), text);
        assert_eq!(parse("elastic:8.25:4,scale:1e-1,shift:2,rotate:10,shear:5.0").to_string(), text);
        assert_eq!(none.to_string(), "none");
    }

    #[test]
    fn what_is_no_amount_is_refused_with_the_forms() {
        for text in [
            "",
            ",",
            "shift",
            "shift:0",
            "shift:-1",
            "shift:101",
            "shift:300",
            "shift:1.5",
            "shift:2,",
            "shift:2,shift:2",
            "rotate:0",
            "rotate:-3",
            "rotate:181",
            "rotate:nan",
            "rotate:inf",
            "rotate:3,rotate:3",
            "scale:1",
            "scale:0",
            "shear:61",
            "shear:1,shift:1,shear:1",
            "elastic:8",
            "elastic:8:0.5",
            "elastic:0:4",
            "elastic:8:101",
            "elastic:1001:4",
            "elastic:8:4:2",
            "elastic:8:4,elastic:8:4",
            "turn:3",
            "none",
            "shift:1;rotate:2",
        ] {
            let message = text.parse::<Augment>().unwrap_err().to_string();
            assert!(message.contains("elastic:ALPHA:SIGMA") && message.ends_with(&format!("got {text}")), "{message}");
        }
    }

    #[track_caller]
    fn check_refused(augment: Augment, shape: &[usize], expected: &str) {
        let message = augment.check(shape).unwrap_err().to_string();
        assert!(message.contains(expected), "{expected:?} is not in {message:?}");
    }

    #[test]
    fn what_cannot_be_changed_is_refused() {
        assert!(all_changes().check(&[28, 28]).is_ok());
        assert!(parse("rotate:3").check(&[1, 1]).is_ok());
        check_refused(parse("shift:28"), &[28, 28], "a shift smaller than the picture");
        check_refused(parse("shift:1"), &[1, 28], "a shift smaller than the picture");
        check_refused(parse("rotate:1"), &[784], "two dimensions");
        check_refused(parse("elastic:100:1"), &[28, 28], "smaller than half the picture");
        check_refused(parse("rotate:1"), &[2, 20_000], "sides of up to 16384 pixels");
        check_refused(Augment { rotate: -1.0, ..Augment::default() }, &[28, 28], "rotate:DEGREES");
        check_refused(Augment { scale: f64::NAN, ..Augment::default() }, &[28, 28], "scale:SHARE");
    }
}
