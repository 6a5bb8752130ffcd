//! What times come back to.

use std::f64::consts::TAU;

use serde::{Deserialize, Serialize};

/// What a time comes back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cycle {
    /// 24 hours.
    Day,
    /// Seven days.
    Week,
    /// 365.2425 days.
    Year,
}

impl Cycle {
    pub(super) const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Year];

    /// How long it is.
    pub fn seconds(self) -> f64 {
        match self {
            Self::Day => 86_400.0,
            Self::Week => 7.0 * 86_400.0,
            Self::Year => 365.2425 * 86_400.0,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Day => "time of the day",
            Self::Week => "day of the week",
            Self::Year => "time of the year",
        }
    }

    /// Sine and cosine of where in the cycle a time is.
    pub(super) fn place(self, time: f64) -> [f64; 2] {
        (TAU * self.phase(time)).sin_cos().into()
    }

    /// Where in the cycle a time is, from 0 to 1. Weeks begin on Thursdays, as 1970 did.
    fn phase(self, time: f64) -> f64 {
        (time / self.seconds()).rem_euclid(1.0)
    }

    /// Whether these times are spread over the cycle.
    pub(super) fn is_gone_through(self, sorted: &[f64]) -> bool {
        let span = sorted[sorted.len() - 1] - sorted[0];
        let phases = || sorted.iter().map(|&time| self.phase(time));
        let first = self.phase(sorted[0]);
        span >= 0.5 * self.seconds() && phases().any(|phase| (phase - first).abs() > 1e-3)
    }
}
