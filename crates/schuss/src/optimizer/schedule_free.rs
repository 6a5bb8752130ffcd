//! [`Optimizer::ScheduleFree`](super::Optimizer::ScheduleFree).

use schuss_kernels::update_runs;

use super::pass::{Pass, average};
use crate::Real;

/// How much of z is in x.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weights {
    pub largest_rate: f64,
    pub sum: f64,
}

impl Weights {
    /// c of a step at this learning rate.
    fn share(&mut self, rate: f64) -> f64 {
        self.largest_rate = self.largest_rate.max(rate);
        let weight = self.largest_rate * self.largest_rate;
        self.sum += weight;
        if self.sum > 0.0 { weight / self.sum } else { 0.0 }
    }
}

impl<T: Real> Pass<'_, T> {
    /// `states`: z, v. The parameters are y.
    pub fn schedule_free(
        self,
        states: [&mut [T]; 2],
        weights: &mut Weights,
        [beta1, beta2, epsilon]: [f64; 3],
        warm_up: usize,
    ) -> bool {
        let Self { threads, runs, parameters, gradient, clipper, learning_rate, decay_factor, step } = self;
        let learning_rate = learning_rate * (step as f64 / warm_up as f64).min(1.0);
        let share = weights.share(learning_rate);
        let correction = 1.0 / (1.0 - beta2.powf(step as f64));
        let second = average::<T>(beta2);
        let towards_z = average::<T>(1.0 - share);
        let [correction, epsilon] = [correction, epsilon].map(T::from_f64);
        update_runs(threads, runs, parameters, gradient, states, |run| {
            let [rate, _] = run.rates(learning_rate, decay_factor);
            let rate_of_y = rate * (1.0 - beta1 * (1.0 - share));
            let [rate, rate_of_y] = [rate, rate_of_y].map(|rate| rate * run.gain);
            // Of what the rule sees, the parameter over its gain.
            let decay = run.weight_decay * decay_factor / run.gain;
            let [rate, rate_of_y, decay, gain] = [rate, rate_of_y, decay, run.gain].map(T::from_f64);
            #[inline(always)]
            move |y, g, [z, v]| {
                let g = gain * clipper.clip(g);
                let v = second(v, g * g);
                let d = g / ((v * correction).sqrt() + epsilon) + decay * y;
                (towards_z(y, z) - rate_of_y * d, [z - rate * d, v])
            }
        })
    }
}
