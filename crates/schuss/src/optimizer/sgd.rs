//! [`Optimizer::Sgd`](super::Optimizer::Sgd).

use super::pass::Pass;
use crate::Real;

impl<T: Real> Pass<'_, T> {
    pub fn sgd(self) -> bool {
        self.descend(
            [],
            1.0,
            #[inline(always)]
            |g, []| (g, []),
        )
    }

    pub fn sgd_with_momentum(self, velocity: [&mut [T]; 1], momentum: f64, nesterov: bool) -> bool {
        let mu = T::from_f64(momentum);
        // g + μ b, or b: one loop for both.
        let [of_gradient, of_velocity] = if nesterov { [T::ONE, mu] } else { [T::ZERO, T::ONE] };
        self.descend(
            velocity,
            1.0,
            #[inline(always)]
            move |g, [b]| {
                let b = mu * b + g;
                (of_gradient * g + of_velocity * b, [b])
            },
        )
    }
}
