//! [`Optimizer::RmsProp`](super::Optimizer::RmsProp).

use super::pass::{Pass, average};
use super::state::{Buffer, slices};
use crate::Real;

impl<T: Real> Pass<'_, T> {
    /// `states`: v; then m where it is centred; then b where it has momentum.
    pub fn rmsprop(self, states: &mut [Buffer<T>], decay: f64, epsilon: f64, momentum: f64, centered: bool) -> bool {
        let average = average::<T>(decay);
        let [epsilon, mu] = [epsilon, momentum].map(T::from_f64);
        let scaled = move |g: T, v: T| g / (v.sqrt() + epsilon);
        let variance = |v: T, m: T| if v - m * m < T::ZERO { T::ZERO } else { v - m * m };
        match (centered, momentum > 0.0) {
            (false, false) => self.descend(
                slices(states),
                1.0,
                #[inline(always)]
                move |g, [v]| {
                    let v = average(v, g * g);
                    (scaled(g, v), [v])
                },
            ),
            (false, true) => self.descend(
                slices(states),
                1.0,
                #[inline(always)]
                move |g, [v, b]| {
                    let v = average(v, g * g);
                    let b = mu * b + scaled(g, v);
                    (b, [v, b])
                },
            ),
            (true, false) => self.descend(
                slices(states),
                1.0,
                #[inline(always)]
                move |g, [v, m]| {
                    let [v, m] = [average(v, g * g), average(m, g)];
                    (scaled(g, variance(v, m)), [v, m])
                },
            ),
            (true, true) => self.descend(
                slices(states),
                1.0,
                #[inline(always)]
                move |g, [v, m, b]| {
                    let [v, m] = [average(v, g * g), average(m, g)];
                    let b = mu * b + scaled(g, variance(v, m));
                    (b, [v, m, b])
                },
            ),
        }
    }
}
