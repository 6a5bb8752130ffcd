//! [`Optimizer::Adam`](super::Optimizer::Adam) and [`Optimizer::AdamW`](super::Optimizer::AdamW).

use super::pass::{Pass, average};
use crate::Real;

impl<T: Real> Pass<'_, T> {
    pub fn adam(self, moments: [&mut [T]; 2], beta1: f64, beta2: f64, epsilon: f64) -> bool {
        let t = self.step as f64;
        let [first, second] = [beta1, beta2].map(average::<T>);
        let rate_factor = 1.0 / (1.0 - beta1.powf(t));
        let [correction, epsilon] = [1.0 / (1.0 - beta2.powf(t)).sqrt(), epsilon].map(T::from_f64);
        self.descend(
            moments,
            rate_factor,
            #[inline(always)]
            move |g, [m, v]| {
                let [m, v] = [first(m, g), second(v, g * g)];
                (m / (v.sqrt() * correction + epsilon), [m, v])
            },
        )
    }
}
