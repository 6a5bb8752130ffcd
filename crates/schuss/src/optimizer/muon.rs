//! [`Optimizer::Muon`](super::Optimizer::Muon).

use ndarray::{ArrayView2, ArrayViewMut2};
use schuss_kernels::{Compute, Fused, gemm, map, sum_of_pairs, update_runs, zip};

use super::clip::Clipper;
use super::pass::{Pass, Run, average};
use super::state::zeros;
use crate::{Real, Result, Segment, Threads};

/// The factor r of Muon's learning rate for a weight (outputs, inputs), as `adjust_lr_fn` of `torch.optim.Muon`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MuonRate {
    /// 0.2 √max(outputs, inputs): steps as large as those of AdamW, so that one learning rate serves all segments (Liu et
    /// al. 2025, arXiv:2502.16982). `match_rms_adamw` in PyTorch, whose default is the next one.
    #[default]
    MatchRmsAdamW,
    /// √max(1, outputs/inputs) (Jordan et al. 2024): η is about 0.02 then.
    Original,
    /// √(outputs/inputs) (Bernstein 2025, <https://jeremybernste.in/writing/deriving-muon>).
    SpectralUnclamped,
}

impl MuonRate {
    fn factor(self, [outputs, inputs]: [usize; 2]) -> f64 {
        let [outputs, inputs] = [outputs as f64, inputs as f64];
        match self {
            Self::MatchRmsAdamW => 0.2 * outputs.max(inputs).sqrt(),
            Self::Original => (outputs / inputs).max(1.0).sqrt(),
            Self::SpectralUnclamped => (outputs / inputs).sqrt(),
        }
    }
}

/// A segment, and what changes it.
#[derive(Clone, Debug)]
pub(super) struct Part {
    end: usize,
    run: Run,
    /// (outputs, inputs) of a weight of a hidden layer.
    hidden: Option<[usize; 2]>,
}

impl Part {
    pub fn all(segments: &[Segment], weight_decay: f64) -> Vec<Self> {
        let is_weight = |segment: &&Segment| segment.is_dense() && segment.shape.len() == 2;
        let last = segments.iter().rfind(is_weight).map(|segment| segment.layer);
        let part = |segment: &Segment| {
            let hidden = match segment.shape[..] {
                [outputs, inputs] if is_weight(&segment) && Some(segment.layer) != last && outputs * inputs > 0 => {
                    Some([outputs, inputs])
                }
                _ => None,
            };
            Self { end: segment.range.end, run: Run::new(segment, weight_decay), hidden }
        };
        segments.iter().map(part).collect()
    }

    /// Parameters that AdamW changes.
    pub fn others(parts: &[Self]) -> usize {
        let mut begin = 0;
        let length = |part: &Self| {
            let length = part.end - std::mem::replace(&mut begin, part.end);
            if part.hidden.is_some() { 0 } else { length }
        };
        parts.iter().map(length).sum()
    }
}

/// Memory for the largest weight.
#[derive(Clone, Debug)]
pub(super) struct Matrices<T> {
    x: Vec<T>,
    next: Vec<T>,
    /// X Xᵀ and the polynomial of it.
    square: [Vec<T>; 2],
}

impl<T: Real> Matrices<T> {
    pub fn new(parts: &[Part]) -> Result<Self> {
        let shapes = || parts.iter().filter_map(|part| part.hidden);
        let elements = shapes().map(|[outputs, inputs]| outputs * inputs).max().unwrap_or(0);
        let square = shapes().map(|[outputs, inputs]| outputs.min(inputs).pow(2)).max().unwrap_or(0);
        Ok(Self { x: zeros(elements)?, next: zeros(elements)?, square: [zeros(square)?, zeros(square)?] })
    }

    /// NS(X / ‖X‖) in place of the matrix X that stands in `x`.
    fn orthogonalize(&mut self, threads: &Threads, [rows, columns]: [usize; 2], steps: usize) {
        const SMALLEST_NORM: f64 = 1e-7;
        let [a, b, c] = [3.4445, -4.7750, 2.0315].map(T::from_f64);
        let compute = Compute::from(threads);
        let elements = rows * columns;
        let n = rows.min(columns);
        let norm = sum_of_pairs(threads, &self.x[..elements], &self.x[..elements], |x, y| x * y).sqrt();
        let scale = T::from_f64(1.0 / if norm < SMALLEST_NORM { SMALLEST_NORM } else { norm });
        map(threads, &mut self.x[..elements], move |x| scale * x);
        let [gram, polynomial] = self.square.each_mut().map(|square| &mut square[..n * n]);
        for _ in 0..steps {
            let x = view(&self.x, [rows, columns]);
            // With more rows than columns the matrix is taken as its transpose.
            let [left, right] = if rows > columns { [x.t(), x] } else { [x, x.t()] };
            gemm(&compute, left, right, Fused::Nothing, view_mut(gram, [n, n]));
            gemm(&compute, view(gram, [n, n]), view(gram, [n, n]), Fused::Nothing, view_mut(polynomial, [n, n]));
            zip(threads, polynomial, [&*gram], move |square, [gram]| c * square + b * gram);
            polynomial.iter_mut().step_by(n + 1).for_each(|diagonal| *diagonal += a);
            let polynomial = view(polynomial, [n, n]);
            let [left, right] = if rows > columns { [x, polynomial] } else { [polynomial, x] };
            gemm(&compute, left, right, Fused::Nothing, view_mut(&mut self.next, [rows, columns]));
            std::mem::swap(&mut self.x, &mut self.next);
        }
    }
}

fn view<T: Real>(elements: &[T], [rows, columns]: [usize; 2]) -> ArrayView2<'_, T> {
    ArrayView2::from_shape((rows, columns), &elements[..rows * columns]).expect("as many elements as the shape says")
}

fn view_mut<T: Real>(elements: &mut [T], [rows, columns]: [usize; 2]) -> ArrayViewMut2<'_, T> {
    ArrayViewMut2::from_shape((rows, columns), &mut elements[..rows * columns])
        .expect("as many elements as the shape says")
}

/// The constants of Muon itself.
#[derive(Clone, Copy)]
pub(super) struct Constants {
    pub momentum: f64,
    pub nesterov: bool,
    pub newton_schulz_steps: usize,
    pub rate: MuonRate,
}

impl<T: Real> Pass<'_, T> {
    /// `first`: B of a hidden weight, m of AdamW; `second`: v of what AdamW changes, one after the other.
    pub fn muon(
        self,
        [first, second]: [&mut [T]; 2],
        parts: &[Part],
        matrices: &mut Matrices<T>,
        constants: Constants,
        [beta1, beta2, epsilon]: [f64; 3],
    ) -> bool {
        let Self { threads, clipper, learning_rate, decay_factor, step, .. } = self;
        let mut all_finite = true;
        let mut begin = 0;
        let mut second_begin = 0;
        for Part { end, run, hidden } in parts {
            let range = begin..*end;
            begin = *end;
            let [parameters, first] = [&mut *self.parameters, &mut *first].map(|all| &mut all[range.clone()]);
            let runs = &[(range.len(), *run)];
            let gradient = &self.gradient[range];
            let mut pass = Pass { threads, runs, parameters, gradient, clipper, learning_rate, decay_factor, step };
            all_finite &= match *hidden {
                None => {
                    let second = &mut second[second_begin..][..gradient.len()];
                    second_begin += gradient.len();
                    pass.adam([first, second], beta1, beta2, epsilon)
                }
                Some(shape) => {
                    let Constants { momentum, nesterov, newton_schulz_steps, rate } = constants;
                    let u = &mut matrices.x[..gradient.len()];
                    look_ahead(threads, u, gradient, first, clipper, momentum, nesterov);
                    matrices.orthogonalize(threads, shape, newton_schulz_steps);
                    pass.gradient = &matrices.x[..gradient.len()];
                    pass.clipper = Clipper::none();
                    pass.descend(
                        [],
                        // O does not depend on the gain.
                        rate.factor(shape) / run.gain,
                        #[inline(always)]
                        |o, []| (o, []),
                    )
                }
            };
        }
        all_finite
    }
}

/// B = μ B + (1-μ) G and U of it.
fn look_ahead<T: Real>(
    threads: &Threads,
    u: &mut [T],
    gradient: &[T],
    b: &mut [T],
    clipper: Clipper<T>,
    momentum: f64,
    nesterov: bool,
) {
    let moving = average::<T>(momentum);
    // (1-μ) G + μ B, or B: one loop for both.
    let towards_b = average::<T>(if nesterov { 1.0 - momentum } else { 0.0 });
    update_runs(threads, &[(u.len(), ())], u, gradient, [b], |()| {
        #[inline(always)]
        move |_, g, [b]| {
            let g = clipper.clip(g);
            let b = moving(b, g);
            (towards_b(g, b), [b])
        }
    });
}
