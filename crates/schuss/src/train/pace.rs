//! How far a run is that ends at a time, not at a step.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Which share of a run was over at which steps. Between them and beyond, a run goes on as fast as it last did; so its
/// learning rates are a function of these points, and a run that is given them does the same steps again.
///
/// As text, `STEP:SHARE` separated by commas.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pace {
    /// Steps rise.
    points: Vec<(u64, f64)>,
    /// Whether nothing is to be added.
    is_given: bool,
}

impl Pace {
    /// Of a run that is told as it goes: see [`Run::set_progress`](crate::Run::set_progress).
    pub fn live() -> Self {
        Self::default()
    }

    /// Adds where the run is now, unless that was given before.
    pub(super) fn add(&mut self, step: u64, share: f64) {
        let share = share.min(1.0);
        let is_next = self.points.last().is_none_or(|&(last, before)| step > last && share >= before);
        if !self.is_given && is_next && share >= 0.0 {
            self.points.push((step, share));
        }
    }

    /// Is told as it goes, or was given, as `other` is.
    pub(super) fn go_on_as(&mut self, other: &Self) {
        self.is_given = other.is_given;
    }

    /// The share of the run that is over at `step`, from what was known then.
    pub(super) fn at(&self, step: u64) -> f64 {
        let known = self.points.partition_point(|&(other, _)| other <= step);
        let share = match self.points[..known] {
            [] => 0.0,
            [(_, share)] => share,
            [.., (before, from), (last, to)] => to + (step - last) as f64 * (to - from) / (last - before) as f64,
        };
        share.clamp(0.0, 1.0)
    }

    /// Whether the run ends at `step`: a live one where its share is 1, another after its number of steps.
    pub(super) fn is_over(&self, step: u64, steps: Option<u64>) -> bool {
        match steps {
            Some(steps) => step >= steps,
            None => self.points.last().is_some_and(|&(_, share)| share >= 1.0),
        }
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let points: Vec<_> = self.points.iter().map(|(step, share)| format!("{step}:{share:?}")).collect();
        f.write_str(&points.join(","))
    }
}

impl FromStr for Pace {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let error = || Error::value("pace", "STEP:SHARE,..., both rising, shares from 0 to 1", text);
        if text.is_empty() {
            return Ok(Self::live());
        }
        let point = |text: &str| -> Option<(u64, f64)> {
            let (step, share) = text.split_once(':')?;
            Some((step.trim().parse().ok()?, share.trim().parse().ok()?))
        };
        let points: Vec<_> = text.split(',').map(point).collect::<Option<_>>().ok_or_else(error)?;
        let rise = points.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
        if !rise || points.iter().any(|(_, share)| !(0.0..=1.0).contains(share)) {
            return Err(error());
        }
        Ok(Self { points, is_given: true })
    }
}

impl TryFrom<String> for Pace {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Pace> for String {
    fn from(pace: Pace) -> String {
        pace.to_string()
    }
}
