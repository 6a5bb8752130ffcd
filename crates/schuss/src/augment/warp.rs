//! Rotation, scaling, shear and elastic distortion: one resampling of the picture.
//!
//! Every pixel of the result is read from a place in the source, between its pixels:
//!
//! ```text
//! source(q) = c + A⁻¹ (q - c - t) + u(q)        q, c, t: (x, y); c: the middle of the picture
//! A = R(θ) · [1 tan φ; 0 1] · diag(s_x, s_y)    R(θ) = [cos θ -sin θ; sin θ cos θ]
//! value(q) = Σ w_i · pixel_i                    bilinear, of the four pixels around source(q); zero outside
//! ```
//!
//! θ, φ, s_x, s_y and t are uniform between the bounds of [`Augment`](super::Augment). The field u is that of Simard et
//! al. (2003): numbers uniform in [-1, 1], one for each pixel and direction, smoothed by a Gaussian of σ pixels whose
//! weights sum to one, times α. Such a field has a standard deviation of α / (σ √(12 π)) in each direction, and
//! correlations that fall as exp(-d² / 4σ²).
//!
//! It is not made by smoothing a number for each pixel, most of which would be averaged away, but drawn as it comes
//! out: a cubic B-spline whose coefficients are uniform in [-1, 1] on a grid as wide as h = σ √3, which lies at random.
//! The cubic B-spline β of grid width h is the density of a sum of four uniform numbers, close to a Gaussian of variance
//! 4 h² / 12 = σ², so that smoothing is the same; and since the mean over places of Σ β² is 151/315 in each direction,
//! coefficients are multiplied by α / (2 σ √π) · 315/151 to give the same standard deviation. No displacement is
//! larger than that factor.
//!
//! Everything is single precision, and no operation is fused, so that all instruction sets give the same bits.

use super::{Augment, Elastic};
use crate::Real;
use crate::dataset::{Scaling, Value};
use crate::random::Stream;

/// What is the same for all pictures of a shape.
#[derive(Clone, Debug)]
pub(super) struct Warp {
    height: usize,
    width: usize,
    channels: usize,
    /// 0, 1, 2, ... along a line.
    ramp: Vec<f32>,
    field: Option<FieldShape>,
}

/// The spline of the displacements.
#[derive(Clone, Copy, Debug)]
struct FieldShape {
    /// 1 / h.
    frequency: f32,
    amplitude: f32,
    /// Coefficients down and across.
    nodes: [usize; 2],
}

/// The source of a pixel (x, y) as far as it is affine: (`x[0]` x + `x[1]` y + `x[2]`, `y[0]` x + ...).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Affine {
    x: [f32; 3],
    y: [f32; 3],
}

impl Affine {
    /// Pixels of a picture of this size moved by `shift` (x, y), after it was turned, sheared (both in radians) and
    /// scaled (x, y) about its middle.
    pub(super) fn new([height, width]: [usize; 2], angle: f64, shear: f64, scale: [f64; 2], shift: [f64; 2]) -> Self {
        let (sin, cos) = angle.sin_cos();
        let tan = shear.tan();
        // diag⁻¹ · shear⁻¹ · R(-θ)
        let x = [(cos + tan * sin) / scale[0], (sin - tan * cos) / scale[0]];
        let y = [-sin / scale[1], cos / scale[1]];
        let middle = [width, height].map(|side| (side as f64 - 1.0) / 2.0);
        let row = |row: [f64; 2], middle_of_row: f64| {
            let [x, y] = [0, 1].map(|axis| row[axis] * (middle[axis] + shift[axis]));
            [row[0] as f32, row[1] as f32, (middle_of_row - (x + y)) as f32]
        };
        Self { x: row(x, middle[0]), y: row(y, middle[1]) }
    }
}

/// Memory for one picture. Grows with the first, then stays.
#[derive(Debug, Default)]
pub(super) struct Scratch(Vec<f32>, Vec<u32>);

impl Warp {
    pub(super) fn new(augment: &Augment, [height, width]: [usize; 2], channels: usize) -> Self {
        let ramp = (0..width).map(|x| x as f32).collect();
        Self { height, width, channels, ramp, field: augment.elastic.map(|elastic| elastic.field([height, width])) }
    }

    /// One of the affine changes that `augment` allows. `shift` is (x, y).
    pub(super) fn draw(&self, augment: &Augment, shift: [i32; 2], stream: &mut Stream) -> Affine {
        let [angle, shear] = [augment.rotate, augment.shear].map(|most| most.to_radians() * stream.signed());
        let scale = [(); 2].map(|()| 1.0 + augment.scale * stream.signed());
        Affine::new([self.height, self.width], angle, shear, scale, shift.map(f64::from))
    }

    /// Writes `picture` to `out`, changed by `affine` and by displacements that the numbers of `stream` make.
    #[inline(always)]
    pub(super) fn resample<X: Value, T: Real>(
        &self,
        affine: Affine,
        stream: &mut Stream,
        Scratch(floats, places): &mut Scratch,
        scaling: &Scaling,
        picture: &[X],
        out: &mut [T],
    ) {
        let Self { height, width, channels, .. } = *self;
        let plane_size = (height + 3) * (width + 3);
        let field_size = self.field.map_or(0, |field| field.memory(width));
        let lengths = [channels * plane_size, 2 * width, width * channels, field_size];
        floats.resize(lengths.iter().sum(), 0.0);
        places.resize(width, 0);
        let (planes, rest) = floats.split_at_mut(lengths[0]);
        let (fractions, rest) = rest.split_at_mut(lengths[1]);
        let (line, field_memory) = rest.split_at_mut(lengths[2]);
        self.spread(picture, planes);
        let mut field = self.field.map(
            #[inline(always)]
            |shape| Field::draw(shape, width, &self.ramp, stream, field_memory),
        );
        for y in 0..height {
            let displacements = field.as_mut().map(
                #[inline(always)]
                |field| field.row(y),
            );
            self.find(affine, y, displacements, fractions, places);
            for (channel, plane) in planes.chunks_exact(plane_size).enumerate() {
                self.interpolate(plane, fractions, places, line, channel);
            }
            let begin = y * width * channels;
            scaling.scale_at(begin, line, &mut out[begin..][..width * channels]);
        }
    }

    /// A plane for each channel, with zeros around: one line before, two after.
    #[inline(always)]
    fn spread<X: Value>(&self, picture: &[X], planes: &mut [f32]) {
        let Self { height, width, channels, .. } = *self;
        planes.fill(0.0);
        let stride = width + 3;
        for (channel, plane) in planes.chunks_exact_mut((height + 3) * stride).enumerate() {
            let lines = plane.chunks_exact_mut(stride).skip(1);
            for (line, source) in lines.zip(picture.chunks_exact(width * channels)) {
                let line = &mut line[1..][..width];
                if channels == 1 {
                    line.iter_mut().zip(source).for_each(|(to, from)| *to = from.to_real());
                } else {
                    let source = source[channel..].iter().step_by(channels);
                    line.iter_mut().zip(source).for_each(|(to, from)| *to = from.to_real());
                }
            }
        }
    }

    /// Where in a plane the pixels of line `y` come from: the first of four pixels, and how far beyond it right and
    /// down.
    #[inline(always)]
    fn find(
        &self,
        affine: Affine,
        y: usize,
        displacements: Option<[&[f32]; 2]>,
        fractions: &mut [f32],
        places: &mut [u32],
    ) {
        let Self { height, width, .. } = *self;
        let y = y as f32;
        // A line and a column of zeros come first.
        let [from_x, from_y] = [affine.x, affine.y].map(|[_, by_y, constant]| by_y * y + constant + 1.0);
        let [step_x, step_y] = [affine.x[0], affine.y[0]];
        let [end_x, end_y] = [width, height].map(|side| side as f32 + 1.0);
        let stride = width as i32 + 3;
        let (right, down) = fractions.split_at_mut(width);
        let pixels = right.iter_mut().zip(down).zip(places).zip(&self.ramp);
        let find = |right: &mut f32, down: &mut f32, place: &mut u32, x: f32, y: f32| {
            let x = if x > 0.0 { x } else { 0.0 };
            let x = if x < end_x { x } else { end_x };
            let y = if y > 0.0 { y } else { 0.0 };
            let y = if y < end_y { y } else { end_y };
            let [left, above] = [x as i32, y as i32];
            *right = x - left as f32;
            *down = y - above as f32;
            *place = (above * stride + left) as u32;
        };
        match displacements {
            None => pixels.for_each(|(((right, down), place), x)| {
                find(right, down, place, x * step_x + from_x, x * step_y + from_y);
            }),
            Some([dx, dy]) => pixels.zip(dx.iter().zip(dy)).for_each(|((((right, down), place), x), (dx, dy))| {
                find(right, down, place, x * step_x + from_x + dx, x * step_y + from_y + dy);
            }),
        }
    }

    /// The pixels of a line in one channel.
    #[inline(always)]
    fn interpolate(&self, plane: &[f32], fractions: &[f32], places: &[u32], line: &mut [f32], channel: usize) {
        let stride = self.width + 3;
        let (right, down) = fractions.split_at(self.width);
        let pixels = places.iter().zip(right).zip(down);
        let value = |((&place, &right), &down): ((&u32, &f32), &f32)| {
            let pixels = &plane[place as usize..][..stride + 2];
            let [a, b, c, d] = [pixels[0], pixels[1], pixels[stride], pixels[stride + 1]];
            let above = a + right * (b - a);
            let below = c + right * (d - c);
            above + down * (below - above)
        };
        if self.channels == 1 {
            line.iter_mut().zip(pixels).for_each(|(to, pixel)| *to = value(pixel));
        } else {
            let line = line[channel..].iter_mut().step_by(self.channels);
            line.zip(pixels).for_each(|(to, pixel)| *to = value(pixel));
        }
    }
}

impl Elastic {
    /// The spline of these displacements for a picture of that size.
    fn field(self, size: [usize; 2]) -> FieldShape {
        let spacing = self.sigma * 3f64.sqrt();
        let mean_square = 151.0 / 315.0;
        let amplitude = self.alpha / (2.0 * self.sigma * std::f64::consts::PI.sqrt() * mean_square);
        let nodes = size.map(|side| ((side - 1) as f64 / spacing + 1.0) as usize + 4);
        FieldShape { frequency: (1.0 / spacing) as f32, amplitude: amplitude as f32, nodes }
    }
}

impl FieldShape {
    /// Numbers that [`Field::draw`] needs: coefficients, four weights for each column, splines across, and for both
    /// directions the lines of coefficients expanded across and a line of displacements.
    fn memory(&self, width: usize) -> usize {
        let [down, across] = self.nodes;
        2 * down * across + 4 * width + across * width + 2 * down * width + 2 * width
    }
}

/// The displacements of a picture.
struct Field<'s> {
    width: usize,
    shape: FieldShape,
    phase: f32,
    /// Σ over coefficients of a line times their splines across: lines as coefficients go down, once for each direction.
    expanded: [&'s [f32]; 2],
    /// A line of displacements, right and down.
    line: &'s mut [f32],
}

impl<'s> Field<'s> {
    #[inline(always)]
    fn draw(shape: FieldShape, width: usize, ramp: &[f32], stream: &mut Stream, memory: &'s mut [f32]) -> Self {
        let [down, across] = shape.nodes;
        let (coefficients, memory) = memory.split_at_mut(2 * down * across);
        let (weights, memory) = memory.split_at_mut(4 * width);
        let (splines, memory) = memory.split_at_mut(across * width);
        let (expanded, line) = memory.split_at_mut(2 * down * width);
        let [phase_x, phase_y] = stream.signed_pair().map(|x| 0.5 * x + 0.5);
        // The splines across: that of coefficient `cell + t` at column x is weight t of x.
        let (w0, rest) = weights.split_at_mut(width);
        let (w1, rest) = rest.split_at_mut(width);
        let (w2, w3) = rest.split_at_mut(width);
        let last = across - 4;
        for ((((x, w0), w1), w2), w3) in ramp.iter().zip(&mut *w0).zip(&mut *w1).zip(&mut *w2).zip(&mut *w3) {
            let (_, weights) = shape.weights(*x, phase_x, last);
            [*w0, *w1, *w2, *w3] = weights;
        }
        splines.fill(0.0);
        for x in 0..width {
            let (cell, _) = shape.weights(ramp[x], phase_x, last);
            for (t, weights) in [&*w0, &*w1, &*w2, &*w3].into_iter().enumerate() {
                splines[(cell + t) * width + x] = weights[x];
            }
        }
        // Columns beyond which a spline is zero, with one to spare.
        let support = |node: usize| {
            let column = |cell: f32| ((cell - phase_x) / shape.frequency).clamp(0.0, width as f32);
            let end = (column(node as f32 + 1.0) as usize + 2).min(width);
            (column(node as f32 - 3.0) as usize).saturating_sub(1).min(end)..end
        };
        for pair in coefficients.chunks_exact_mut(2) {
            pair.iter_mut().zip(stream.signed_pair()).for_each(|(to, drawn)| *to = shape.amplitude * drawn);
        }
        expanded.fill(0.0);
        for (node, spline) in splines.chunks_exact(width).enumerate() {
            let support = support(node);
            let spline = &spline[support.clone()];
            for (line, coefficients) in expanded.chunks_exact_mut(width).zip(coefficients.chunks_exact(across)) {
                let coefficient = coefficients[node];
                line[support.clone()].iter_mut().zip(spline).for_each(|(sum, spline)| *sum += coefficient * spline);
            }
        }
        let (right, down) = expanded.split_at(down * width);
        Self { width, shape, phase: phase_y, expanded: [right, down], line }
    }

    /// The displacements of line `y`, right and down.
    #[inline(always)]
    fn row(&mut self, y: usize) -> [&[f32]; 2] {
        let width = self.width;
        let (cell, weights) = self.shape.weights(y as f32, self.phase, self.shape.nodes[0] - 4);
        for (line, expanded) in self.line.chunks_exact_mut(width).zip(self.expanded) {
            let lines = &expanded[cell * width..][..4 * width];
            let (a, lines) = lines.split_at(width);
            let (b, lines) = lines.split_at(width);
            let (c, d) = lines.split_at(width);
            for ((((to, a), b), c), d) in line.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *to = weights[0] * a + weights[1] * b + (weights[2] * c + weights[3] * d);
            }
        }
        let (right, down) = self.line.split_at(width);
        [right, down]
    }
}

impl FieldShape {
    /// The first of the four coefficients that count at pixel `x` of a side, and their weights: the cubic B-spline at
    /// distances 1 + f, f, 1 - f and 2 - f.
    #[inline(always)]
    fn weights(&self, x: f32, phase: f32, last: usize) -> (usize, [f32; 4]) {
        let at = x * self.frequency + phase;
        // At most `last`, were it not for rounding.
        let cell = (at as i32).min(last as i32);
        let f = at - cell as f32;
        let g = 1.0 - f;
        let sixth = 1.0 / 6.0;
        let weights = [
            g * g * g * sixth,
            (4.0 + f * f * (3.0 * f - 6.0)) * sixth,
            (4.0 + g * g * (3.0 * g - 6.0)) * sixth,
            f * f * f * sixth,
        ];
        (cell as usize, weights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    fn stream(item: u64) -> Stream {
        Stream::new(3, Purpose::Augment, 0).item(item)
    }

    fn warp(augment: &str, size: [usize; 2]) -> Warp {
        Warp::new(&augment.parse().unwrap(), size, 1)
    }

    /// A picture of this affine change and displacements of `field`.
    fn changed(warp: &Warp, affine: Affine, item: u64, picture: &[f32]) -> Vec<f32> {
        let mut out = vec![f32::NAN; picture.len()];
        let scratch = &mut Scratch::default();
        warp.resample(affine, &mut stream(item), scratch, &Scaling::None, picture, &mut out);
        out
    }

    /// A spot in the direction of the first quadrant.
    fn spot([height, width]: [usize; 2], [x, y]: [f64; 2]) -> Vec<f32> {
        let at = |i: usize| [(i % width) as f64 - x, (i / width) as f64 - y];
        (0..height * width).map(at).map(|[x, y]| (-(x * x + y * y) / 8.0).exp() as f32).collect()
    }

    /// Sum, and the means of x and y by weight.
    fn moments(picture: &[f32], width: usize) -> [f64; 3] {
        let sum = |weight: &dyn Fn(usize) -> f64| {
            picture.iter().enumerate().map(|(i, &pixel)| f64::from(pixel) * weight(i)).sum::<f64>()
        };
        let mass = sum(&|_| 1.0);
        [mass, sum(&|i| (i % width) as f64) / mass, sum(&|i| (i / width) as f64) / mass]
    }

    #[test]
    fn no_change_is_exact_and_whole_pixels_are_a_copy() {
        let size = [9, 14];
        let picture: Vec<f32> = (0..126).map(|i| (i * 37 % 101) as f32).collect();
        let warp = warp("rotate:1", size);
        assert_eq!(changed(&warp, Affine::new(size, 0.0, 0.0, [1.0; 2], [0.0; 2]), 0, &picture), picture);
        let moved = changed(&warp, Affine::new(size, 0.0, 0.0, [1.0; 2], [3.0, -2.0]), 0, &picture);
        for (i, &pixel) in moved.iter().enumerate() {
            let [y, x] = [i / 14 + 2, (i % 14).wrapping_sub(3)];
            assert_eq!(pixel, if y < 9 && x < 14 { picture[y * 14 + x] } else { 0.0 }, "pixel {i}");
        }
    }

    #[test]
    fn a_quarter_turn_is_a_permutation() {
        let size = [11, 11];
        let picture: Vec<f32> = (0..121).map(|i| (i * 37 % 101) as f32).collect();
        let affine = Affine::new(size, std::f64::consts::FRAC_PI_2, 0.0, [1.0; 2], [0.0; 2]);
        let turned = changed(&warp("rotate:1", size), affine, 0, &picture);
        // What was at the right, (x, 0) from the middle, is at (0, x): below, as y grows downwards.
        for (i, &pixel) in turned.iter().enumerate() {
            let [y, x] = [i / 11, i % 11];
            assert!((pixel - picture[(10 - x) * 11 + y]).abs() < 1e-3, "pixel {i}: {pixel}");
        }
    }

    /// A spot goes where the formula of the module takes it, by any change.
    #[test]
    fn a_spot_goes_where_the_formula_says() {
        let size = [41, 47];
        let [from_x, from_y] = [7.0, -4.0];
        for (angle, shear, scale, shift) in [
            (0.4, 0.0, [1.0, 1.0], [0.0, 0.0]),
            (-1.1, 0.0, [1.0, 1.0], [3.0, -2.0]),
            (0.0, 0.3, [1.0, 1.0], [0.0, 0.0]),
            (0.0, 0.0, [1.3, 0.8], [0.0, 0.0]),
            (0.2, -0.2, [0.9, 1.2], [-4.0, 1.0]),
        ] {
            let picture = spot(size, [23.0 + from_x, 20.0 + from_y]);
            let affine = Affine::new(size, angle, shear, scale, shift);
            let [mass, x, y] = moments(&changed(&warp("rotate:1", size), affine, 0, &picture), 47);
            let [scaled_x, scaled_y] = [from_x * scale[0], from_y * scale[1]];
            let sheared_x = scaled_x + f64::tan(shear) * scaled_y;
            let (sin, cos) = f64::sin_cos(angle);
            let expected = [cos * sheared_x - sin * scaled_y + shift[0], sin * sheared_x + cos * scaled_y + shift[1]];
            let got = [x - 23.0, y - 20.0];
            let close = got.iter().zip(expected).all(|(got, expected)| (got - expected).abs() < 0.02);
            assert!(close, "{angle}, {shear}, {scale:?}, {shift:?}: {got:?}, expected {expected:?}");
            let area = scale[0] * scale[1];
            assert!((mass / moments(&picture, 47)[0] - area).abs() < 0.01, "mass {mass}");
        }
    }

    /// Displacements (right, down) of one picture, line by line.
    fn displacements(warp: &Warp, item: u64) -> [Vec<f32>; 2] {
        let shape = warp.field.unwrap();
        let mut memory = vec![f32::NAN; shape.memory(warp.width)];
        let mut field = Field::draw(shape, warp.width, &warp.ramp, &mut stream(item), &mut memory);
        let lines: Vec<[Vec<f32>; 2]> = (0..warp.height).map(|y| field.row(y).map(<[f32]>::to_vec)).collect();
        [0, 1].map(|direction| lines.iter().flat_map(|line| line[direction].clone()).collect())
    }

    /// Mean 0, the stated standard deviation, the correlations of a field smoothed by a Gaussian, the same at every pixel.
    #[test]
    fn displacements_are_those_of_a_smoothed_field() {
        for (alpha, sigma, size) in [(34.0, 4.0, [28, 28]), (10.0, 2.0, [21, 35]), (8.0, 1.0, [12, 12])] {
            let warp = warp(&format!("elastic:{alpha}:{sigma}"), size);
            let deviation = Elastic { alpha, sigma }.deviation();
            let fields: Vec<_> = (0..20_000).map(|item| displacements(&warp, item)).collect();
            let mean = |f: &dyn Fn(&[Vec<f32>; 2]) -> f32| {
                fields.iter().map(|field| f64::from(f(field))).sum::<f64>() / fields.len() as f64 / deviation.powi(2)
            };
            let end = size[0] * size[1] - 1;
            for (direction, pixel) in [(0, 0), (1, 0), (0, end), (1, end), (0, end / 2 + 3), (1, end / 3)] {
                let value = |field: &[Vec<f32>; 2]| field[direction][pixel];
                // Five standard deviations of the mean, and of the mean square, of 20,000 draws.
                assert!((mean(&value) * deviation).abs() < 0.036, "mean at {pixel}");
                let variance = mean(&|field| value(field).powi(2));
                assert!((variance - 1.0).abs() < 0.05, "variance at {pixel}: {variance}");
            }
            for distance in [1, 2, 4, 8] {
                let expected = (-(f64::from(distance as u16) / sigma).powi(2) / 4.0).exp();
                let [right, down] = [distance, distance * size[1]]
                    .map(|step| mean(&|field| field[0][size[1] + 1] * field[0][size[1] + 1 + step]));
                for got in [right, down] {
                    assert!((got - expected).abs() < 0.06, "{alpha}:{sigma}, {distance} apart: {got}, not {expected}");
                }
            }
            let apart = mean(&|field| field[0][end / 2] * field[1][end / 2]);
            assert!(apart.abs() < 0.036, "directions are independent: {apart}");
        }
    }

    /// Against the spline as its definition says it: a sum over all coefficients.
    #[test]
    fn weights_are_those_of_the_cubic_spline() {
        let spline = |x: f64| match x.abs() {
            x if x < 1.0 => (4.0 - 6.0 * x * x + 3.0 * x * x * x) / 6.0,
            x if x < 2.0 => (2.0 - x).powi(3) / 6.0,
            _ => 0.0,
        };
        let shape = warp("elastic:1:4", [28, 28]).field.unwrap();
        for x in 0..28 {
            let (cell, weights) = shape.weights(x as f32, 0.37, 100);
            let at = f64::from(x) / (4.0 * 3f64.sqrt()) + f64::from(0.37f32);
            for (t, weight) in weights.into_iter().enumerate() {
                let expected = spline(at - (cell + t) as f64 + 1.0);
                assert!((f64::from(weight) - expected).abs() < 1e-6, "{x}, {t}: {weight}, expected {expected}");
            }
        }
    }

    /// A picture distorted by displacements alone is what bilinear interpolation at those places gives, in double
    /// precision, pixel by pixel.
    #[test]
    fn elastic_pictures_are_interpolated_at_their_displacements() {
        let size = [13, 19];
        let warp = warp("elastic:20:3", size);
        let picture: Vec<f32> = (0..247).map(|i| (i * 37 % 101) as f32).collect();
        let pixel = |y: f64, x: f64| {
            let inside = (0.0..13.0).contains(&y) && (0.0..19.0).contains(&x);
            if inside { f64::from(picture[y as usize * 19 + x as usize]) } else { 0.0 }
        };
        for item in 0..20 {
            let out = changed(&warp, Affine::new(size, 0.0, 0.0, [1.0; 2], [0.0; 2]), item, &picture);
            let [right, down] = displacements(&warp, item);
            for i in 0..247 {
                let [y, x] = [(i / 19) as f64 + f64::from(down[i]), (i % 19) as f64 + f64::from(right[i])];
                let [b, a] = [y - y.floor(), x - x.floor()];
                let [y, x] = [y.floor(), x.floor()];
                let above = (1.0 - a) * pixel(y, x) + a * pixel(y, x + 1.0);
                let below = (1.0 - a) * pixel(y + 1.0, x) + a * pixel(y + 1.0, x + 1.0);
                let expected = (1.0 - b) * above + b * below;
                assert!(
                    (f64::from(out[i]) - expected).abs() < 1e-2,
                    "picture {item}, pixel {i}: {} {expected}",
                    out[i]
                );
            }
        }
    }
}
