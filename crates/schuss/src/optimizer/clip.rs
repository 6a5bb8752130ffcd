//! Clipping of gradients.

use schuss_kernels::sum_of_pairs;

use crate::{Error, Real, Result, Threads};

/// A limit of the gradient (Pascanu et al. 2013, arXiv:1211.5063).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Clip {
    /// g = g min(1, c / (‖g‖ + 1e-6)), the norm over all parameters, as `torch.nn.utils.clip_grad_norm_`.
    Norm(f64),
    /// Every element to [-c, c], as `torch.nn.utils.clip_grad_value_`. What is not a number stays none.
    Value(f64),
}

impl Clip {
    pub(crate) fn check(self) -> Result<()> {
        let (what, limit) = match self {
            Self::Norm(limit) => ("largest norm of the gradient", limit),
            Self::Value(limit) => ("largest value of the gradient", limit),
        };
        if limit.is_finite() && limit > 0.0 {
            return Ok(());
        }
        Err(Error::value(what, "a finite number above 0", limit))
    }
}

/// The clip of one step: both kinds at once, so that no loop has to tell them apart. 1 and infinity change nothing.
#[derive(Clone, Copy)]
pub(super) struct Clipper<T> {
    factor: T,
    limit: T,
}

impl<T: Real> Clipper<T> {
    /// For a gradient that has been clipped.
    pub fn none() -> Self {
        Self { factor: T::ONE, limit: T::from_f64(f64::INFINITY) }
    }

    pub fn new(threads: &Threads, clip: Option<Clip>, gradient: &[T]) -> Self {
        let [factor, limit] = match clip {
            None => [1.0, f64::INFINITY],
            Some(Clip::Value(limit)) => [1.0, limit],
            Some(Clip::Norm(limit)) => {
                let norm = sum_of_pairs(threads, gradient, gradient, |g, h| g * h).sqrt();
                let factor = limit / (norm + 1e-6);
                [if factor < 1.0 { factor } else { 1.0 }, f64::INFINITY]
            }
        };
        Self { factor: T::from_f64(factor), limit: T::from_f64(limit) }
    }

    #[inline(always)]
    pub fn clip(self, g: T) -> T {
        let g = self.factor * g;
        let g = if g > self.limit { self.limit } else { g };
        if g < -self.limit { -self.limit } else { g }
    }
}
