//! What every optimiser does in a step, around its formula.

use schuss_kernels::update_runs;

use super::clip::Clipper;
use crate::{Real, Segment, Threads};

/// What neighbouring parameters have in common.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Run {
    pub learning_rate_factor: f64,
    /// [`Segment::gain`]
    pub gain: f64,
    /// λ
    pub weight_decay: f64,
}

impl Run {
    /// What a segment is.
    pub fn new(segment: &Segment, weight_decay: f64) -> Self {
        let Segment { learning_rate_factor, gain, decay_factor, .. } = *segment;
        Self { learning_rate_factor, gain, weight_decay: weight_decay * decay_factor }
    }

    /// Where each run ends; neighbours that are alike are one.
    pub fn of(segments: &[Segment], weight_decay: f64) -> Vec<(usize, Self)> {
        let mut runs: Vec<(usize, Self)> = Vec::new();
        for segment in segments {
            let run = Self::new(segment, weight_decay);
            match runs.last_mut() {
                Some((end, last)) if *last == run => *end = segment.range.end,
                _ => runs.push((segment.range.end, run)),
            }
        }
        runs
    }

    /// η, and what decay leaves of a parameter: 1 - η λ.
    pub fn rates(self, learning_rate: f64, decay_factor: f64) -> [f64; 2] {
        let rate = learning_rate * self.learning_rate_factor;
        [rate, 1.0 - rate * self.weight_decay * decay_factor]
    }
}

/// One step over some parameters.
pub(super) struct Pass<'a, T> {
    pub threads: &'a Threads,
    pub runs: &'a [(usize, Run)],
    pub parameters: &'a mut [T],
    pub gradient: &'a [T],
    pub clipper: Clipper<T>,
    pub learning_rate: f64,
    /// Of λ.
    pub decay_factor: f64,
    /// t, from 1.
    pub step: u64,
}

impl<T: Real> Pass<'_, T> {
    /// θ = (1 - η λ) θ - η `rate_factor` k d, where (d, state) = `direction`(k clipped g, state) for every parameter and
    /// k is its gain. Whether all are finite afterwards.
    pub fn descend<const N: usize>(
        self,
        states: [&mut [T]; N],
        rate_factor: f64,
        direction: impl Fn(T, [T; N]) -> (T, [T; N]) + Copy + Sync,
    ) -> bool {
        let Self { threads, runs, parameters, gradient, clipper, learning_rate, decay_factor, .. } = self;
        update_runs(threads, runs, parameters, gradient, states, |run| {
            let [rate, keep] = run.rates(learning_rate, decay_factor);
            let [rate, keep, gain] = [rate * rate_factor * run.gain, keep, run.gain].map(T::from_f64);
            #[inline(always)]
            move |p, g, state| {
                let (d, state) = direction(gain * clipper.clip(g), state);
                (keep * p - rate * d, state)
            }
        })
    }
}

/// `decay` of what was and the rest of what is new: a moving average.
#[inline(always)]
pub(super) fn average<T: Real>(decay: f64) -> impl Fn(T, T) -> T + Copy + Sync {
    let [keep, add] = [decay, 1.0 - decay].map(T::from_f64);
    #[inline(always)]
    move |old, new| keep * old + add * new
}
