//! The average of the parameters over the steps.

use schuss_kernels::update_runs;

use super::pass::average;
use crate::{Error, Real, Result, Threads};

/// An exponential moving average of the parameters (Polyak and Juditsky 1992; the form of
/// `torch.optim.swa_utils.get_ema_multi_avg_fn`): θ̄ = θ after the first step, then θ̄ = γ θ̄ + (1-γ) θ.
///
/// Call [`Average::update`] after every step of the optimiser; one pass over memory.
#[derive(Clone, Debug)]
pub struct Average<T> {
    decay: f64,
    values: Vec<T>,
    steps: u64,
}

impl<T: Real> Average<T> {
    /// The state before the first step, of this many parameters; `decay` is γ.
    ///
    /// # Errors
    /// γ is not 0 or more and below 1.
    pub fn new(decay: f64, parameters: usize) -> Result<Self> {
        if !(0.0..1.0).contains(&decay) {
            return Err(Error::value("decay of the average", "0 or more and below 1", decay));
        }
        Ok(Self { decay, values: vec![T::ZERO; parameters], steps: 0 })
    }

    /// Takes in the parameters after a step. Whether the average is finite.
    ///
    /// # Panics
    /// Their number is another.
    pub fn update(&mut self, threads: &Threads, parameters: &[T]) -> bool {
        // The first average is of nothing else.
        let average = average::<T>(if self.steps == 0 { 0.0 } else { self.decay });
        self.steps += 1;
        update_runs(threads, &[(parameters.len(), ())], &mut self.values, parameters, [], |()| {
            #[inline(always)]
            move |old, new, []| (average(old, new), [])
        })
    }

    /// θ̄; zeros before the first step.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// γ
    pub fn decay(&self) -> f64 {
        self.decay
    }

    /// Steps taken in.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Goes on from what [`Average::steps`] and [`Average::values`] gave.
    ///
    /// # Errors
    /// The number of values is another.
    pub fn restore(&mut self, steps: u64, values: &[T]) -> Result<()> {
        if values.len() != self.values.len() {
            let [expected, got] = [self.values.len(), values.len()];
            return Err(Error::Shape { what: "values of the average", expected, got });
        }
        self.values.copy_from_slice(values);
        self.steps = steps;
        Ok(())
    }
}
