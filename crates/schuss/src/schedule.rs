//! Learning-rate schedules: a factor of the learning rate for every step.

use crate::{Error, Result};

/// How the learning rate changes over a run of T steps. At step t, from 0, with x = t/T:
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// 1
    Constant,
    /// (1 + cos πx)/2 (Loshchilov and Hutter 2017, arXiv:1608.03983, without restarts).
    Cosine,
    /// A cosine from 1/25 up to 1 over the first 30 %, then one down to 0 (Smith and Topin 2018, arXiv:1708.07120, in
    /// the form of fast.ai).
    OneCycle,
}

impl Schedule {
    /// Every schedule.
    pub const ALL: [Self; 3] = [Self::Constant, Self::Cosine, Self::OneCycle];

    /// The name as in settings and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Cosine => "cosine",
            Self::OneCycle => "one-cycle",
        }
    }

    /// The schedule of this name.
    ///
    /// # Errors
    /// There is none; the message lists them.
    pub fn from_name(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|schedule| schedule.name() == name).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.map(Self::name).into();
            Error::value("schedule", format!("one of {}", names.join(", ")), name)
        })
    }

    /// The factor of the learning rate at `step` of `steps`.
    pub fn factor(self, step: u64, steps: u64) -> f64 {
        const WARM_UP: f64 = 0.3;
        const START: f64 = 1.0 / 25.0;
        let x = step as f64 / steps.max(1) as f64;
        // Half a cosine wave from 1 at 0 to 0 at 1.
        let descent = |x: f64| (1.0 + (std::f64::consts::PI * x).cos()) / 2.0;
        match self {
            Self::Constant => 1.0,
            Self::Cosine => descent(x),
            Self::OneCycle if x < WARM_UP => 1.0 - (1.0 - START) * descent(x / WARM_UP),
            Self::OneCycle => descent((x - WARM_UP) / (1.0 - WARM_UP)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_at_the_ends_and_the_top() {
        #[track_caller]
        fn check(schedule: Schedule, step: u64, expected: f64) {
            let factor = schedule.factor(step, 1000);
            assert!((factor - expected).abs() < 1e-12, "{schedule:?} at {step}: {factor}, expected {expected}");
        }
        check(Schedule::Constant, 999, 1.0);
        check(Schedule::Cosine, 0, 1.0);
        check(Schedule::Cosine, 500, 0.5);
        check(Schedule::OneCycle, 0, 0.04);
        check(Schedule::OneCycle, 150, 0.52);
        check(Schedule::OneCycle, 300, 1.0);
        check(Schedule::OneCycle, 650, 0.5);
        check(Schedule::OneCycle, 1000, 0.0);
    }
}
