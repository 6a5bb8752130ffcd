//! [`Optimizer::Lbfgs`](super::Optimizer::Lbfgs).

use schuss_kernels::{map, sum_of_pairs, update_runs, zip};

use super::pass::Pass;
use crate::{Real, Threads};

/// Which pairs there are. Vectors stand in a ring of `history` + 1 places, one of which is no pair yet: there `steps` has
/// the last step and `changes` the gradient before it, until the next gradient says whether they make one.
#[derive(Clone, Debug)]
pub(super) struct Pairs {
    /// The pairs are the `count` places before this one.
    pub place: usize,
    pub count: usize,
    /// 1/yᵀs of each place.
    inverse_products: Vec<f64>,
    /// H before its first pair: yᵀs/yᵀy of the last one.
    scale: f64,
    /// α of the two loops.
    alphas: Vec<f64>,
}

impl Pairs {
    pub fn new(history: usize) -> Self {
        let places = history + 1;
        Self { place: 0, count: 0, inverse_products: vec![0.0; places], scale: 1.0, alphas: vec![0.0; places] }
    }

    pub fn places(&self) -> usize {
        self.alphas.len()
    }

    /// The places of the pairs, oldest first.
    fn oldest_first(&self) -> impl DoubleEndedIterator<Item = usize> + use<> {
        let [places, place, count] = [self.places(), self.place, self.count];
        (1..=count).rev().map(move |age| (place + places - age) % places)
    }

    /// yᵀs of the pair that stands at `place`; notes what is derived of it.
    fn derive<T: Real>(&mut self, threads: &Threads, place: usize, s: &[T], y: &[T]) -> f64 {
        let product = dot(threads, y, s);
        if product > 1e-10 {
            self.inverse_products[place] = 1.0 / product;
            self.scale = product / dot(threads, y, y);
        }
        product
    }

    /// Everything derived of the pairs, anew.
    pub fn restore<T: Real>(&mut self, place: usize, count: usize, steps: &[T], changes: &[T]) {
        (self.place, self.count, self.scale) = (place, count, 1.0);
        let n = steps.len() / self.places();
        for place in self.oldest_first() {
            self.derive(&Threads::ONE, place, at(steps, n, place), at(changes, n, place));
        }
    }
}

impl<T: Real> Pass<'_, T> {
    pub fn lbfgs(self, [steps, changes]: [&mut [T]; 2], pairs: &mut Pairs) -> bool {
        let Self { threads, runs, parameters, gradient, clipper, learning_rate, decay_factor, step } = self;
        let n = parameters.len();
        if step > 1 {
            // y = g - the gradient before.
            let [s, y] = [&mut *steps, &mut *changes].map(|all| at_mut(all, n, pairs.place));
            zip(threads, y, [gradient], move |before, [g]| clipper.clip(g) - before);
            if pairs.derive(threads, pairs.place, s, y) > 1e-10 {
                pairs.place = (pairs.place + 1) % pairs.places();
                pairs.count = (pairs.count + 1).min(pairs.places() - 1);
            }
        }
        zip(threads, at_mut(changes, n, pairs.place), [gradient], move |_, [g]| clipper.clip(g));
        zip(threads, at_mut(steps, n, pairs.place), [gradient], move |_, [g]| -clipper.clip(g));

        let first = if step == 1 { (1.0 / norm1(threads, at(changes, n, pairs.place))).min(1.0) } else { 1.0 };
        two_loops(threads, n, steps, changes, pairs);
        let d = at_mut(steps, n, pairs.place);
        // s = η d - η λ θ, θ += s
        update_runs(threads, runs, parameters, gradient, [d], |run| {
            let [rate, keep] = run.rates(learning_rate, decay_factor);
            let [rate, keep, decay] = [rate * first, keep, 1.0 - keep].map(T::from_f64);
            #[inline(always)]
            move |p, _, [d]| (keep * p + rate * d, [rate * d - decay * p])
        })
    }
}

/// Takes a part of the last step back: θ -= (1 - `factor`) s, s = `factor` s, which the next pair is made of.
pub(super) fn shorten<T: Real>(threads: &Threads, parameters: &mut [T], steps: &mut [T], pairs: &Pairs, factor: f64) {
    let n = parameters.len();
    let s = at_mut(steps, n, pairs.place);
    let [factor, rest] = [factor, 1.0 - factor].map(T::from_f64);
    zip(threads, parameters, [&*s], move |p, [s]| p - rest * s);
    map(threads, s, move |s| factor * s);
}

/// gᵀs for the last step s.
pub(super) fn slope<T: Real>(threads: &Threads, gradient: &[T], steps: &[T], pairs: &Pairs) -> f64 {
    dot(threads, gradient, at(steps, gradient.len(), pairs.place))
}

/// d = H q in place of q = -g.
fn two_loops<T: Real>(threads: &Threads, n: usize, steps: &mut [T], changes: &[T], pairs: &mut Pairs) {
    for i in pairs.oldest_first().rev() {
        let (q, s) = two(steps, n, pairs.place, i);
        let alpha = pairs.inverse_products[i] * dot(threads, s, q);
        pairs.alphas[i] = alpha;
        let alpha = T::from_f64(alpha);
        zip(threads, q, [at(changes, n, i)], move |q, [y]| q - alpha * y);
    }
    let scale = T::from_f64(pairs.scale);
    map(threads, at_mut(steps, n, pairs.place), move |q| scale * q);
    for i in pairs.oldest_first() {
        let (r, s) = two(steps, n, pairs.place, i);
        let beta = pairs.inverse_products[i] * dot(threads, at(changes, n, i), r);
        let factor = T::from_f64(pairs.alphas[i] - beta);
        zip(threads, r, [s], move |r, [s]| r + factor * s);
    }
}

fn dot<T: Real>(threads: &Threads, a: &[T], b: &[T]) -> f64 {
    sum_of_pairs(threads, a, b, |a, b| a * b)
}

fn norm1<T: Real>(threads: &Threads, a: &[T]) -> f64 {
    sum_of_pairs(threads, a, a, |a, _| a.abs())
}

fn at<T>(all: &[T], n: usize, place: usize) -> &[T] {
    &all[place * n..][..n]
}

fn at_mut<T>(all: &mut [T], n: usize, place: usize) -> &mut [T] {
    &mut all[place * n..][..n]
}

/// The vector at `place`, to change, and that at `other`.
fn two<T>(all: &mut [T], n: usize, place: usize, other: usize) -> (&mut [T], &[T]) {
    let (before, rest) = all.split_at_mut(place * n);
    let (own, after) = rest.split_at_mut(n);
    (own, if other < place { at(before, n, other) } else { at(after, n, other - place - 1) })
}
