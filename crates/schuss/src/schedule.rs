//! Learning-rate schedules: a factor of the learning rate for every step.

use std::f64::consts::PI;
use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// How the learning rate changes over a run of T steps. At step t, from 0, with x = t/T; an equal to PyTorch is that of
/// its `torch.optim.lr_scheduler`. Momentum is left as it is.
///
/// The text of a schedule is its name and its constants:
/// ```
/// use schuss::Schedule;
/// let schedule: Schedule = "step:500:0.5".parse()?;
/// assert_eq!(schedule, Schedule::Step { every: 500, factor: 0.5 });
/// assert_eq!(schedule.factor(1250, 10_000), 0.25);
/// assert_eq!(schedule.to_string(), "step:500:0.5");
/// # Ok::<(), schuss::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Schedule {
    /// 1
    Constant,
    /// factor^⌊t/every⌋, as `StepLR`; `step:EVERY:FACTOR`.
    Step {
        /// Steps between two changes.
        every: u64,
        /// Of each change.
        factor: f64,
    },
    /// (1 + cos πx)/2 (Loshchilov and Hutter 2017, arXiv:1608.03983, without restarts), as `CosineAnnealingLR`.
    Cosine,
    /// A cosine from 1/25 up to 1 at step 0.3 T - 1, then one down to 1/250,000 at step T - 1 (Smith and Topin 2018,
    /// arXiv:1708.07120, in the form of fast.ai), as `OneCycleLR` with its usual constants. Below four steps there is no
    /// way up.
    OneCycle,
    /// (1 - cos(2π log₂(1 + 15x)))/2: four waves, each twice as long as the one before (Holzmüller et al. 2024,
    /// arXiv:2407.04491). The first step has a factor of 0.
    CosLog4,
    /// 1 for a share of the run, then a cosine to 0; `flat-cosine:SHARE`. As `flat_cos` of fast.ai, which ends at 1e-5.
    FlatCosine {
        /// Of the run, 0 to 1.
        share: f64,
    },
    /// 1 here; the metrics of the epochs decide, as [`Plateau`] says; `plateau:PATIENCE:FACTOR`.
    Plateau {
        /// Epochs without a better metric that change nothing.
        patience: u64,
        /// Of each change.
        factor: f64,
    },
}

impl Schedule {
    /// Every schedule without constants.
    pub const ALL: [Self; 4] = [Self::Constant, Self::Cosine, Self::OneCycle, Self::CosLog4];

    /// The texts of all schedules.
    pub const FORMS: [&str; 7] = [
        "constant",
        "step:EVERY:FACTOR",
        "cosine",
        "one-cycle",
        "coslog4",
        "flat-cosine:SHARE",
        "plateau:PATIENCE:FACTOR",
    ];

    /// The name as in settings and files, without constants.
    pub fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Step { .. } => "step",
            Self::Cosine => "cosine",
            Self::OneCycle => "one-cycle",
            Self::CosLog4 => "coslog4",
            Self::FlatCosine { .. } => "flat-cosine",
            Self::Plateau { .. } => "plateau",
        }
    }

    /// The schedule of this text, as [`FromStr`] has it.
    ///
    /// # Errors
    /// There is none; the message lists the forms.
    pub fn from_name(text: &str) -> Result<Self> {
        text.parse()
    }

    /// The shares of the run at which the rate has come down to 0, but for its end, and for the first of [`Self::CosLog4`],
    /// after 1/15, when too little is learnt to tell anything.
    pub fn rests(self) -> &'static [f64] {
        if self == Self::CosLog4 { &[3.0 / 15.0, 7.0 / 15.0] } else { &[] }
    }

    /// The factor of the learning rate at `step` of `steps`.
    pub fn factor(self, step: u64, steps: u64) -> f64 {
        match self {
            // The last step is the end of the last wave.
            Self::OneCycle => {
                let end = steps.max(1) as f64 - 1.0;
                one_cycle(step as f64, RISE * steps.max(1) as f64 - 1.0, end)
            }
            _ => self.factor_at(step as f64 / steps.max(1) as f64, step),
        }
    }

    /// The factor where a share `x` of the run is over, 0 to 1, for runs whose end is not a number of steps. Only
    /// [`Schedule::Step`] asks for the step instead.
    pub fn factor_at(self, x: f64, step: u64) -> f64 {
        match self {
            Self::Constant | Self::Plateau { .. } => 1.0,
            Self::Step { every, factor } => factor.powf((step / every.max(1)) as f64),
            Self::Cosine => descent(x),
            Self::OneCycle => one_cycle(x, RISE, 1.0),
            Self::CosLog4 => (1.0 - (2.0 * PI * (1.0 + 15.0 * x).log2()).cos()) / 2.0,
            Self::FlatCosine { share } if x <= share => 1.0,
            Self::FlatCosine { share } => descent((x - share) / (1.0 - share)),
        }
    }

    /// The state of [`Schedule::Plateau`] before the first epoch.
    pub fn plateau(self) -> Option<Plateau> {
        match self {
            Self::Plateau { patience, factor } => Some(Plateau::new(patience, factor)),
            _ => None,
        }
    }

    /// Constants in their range.
    pub(crate) fn check(self) -> Result<()> {
        let is_positive = |factor: f64| factor.is_finite() && factor > 0.0;
        match self {
            Self::Step { every: 0, .. } => Err(Error::value("steps of a step schedule", "1 or more", 0)),
            Self::Step { factor, .. } if !is_positive(factor) => {
                Err(Error::value("factor of a step schedule", "a finite number above 0", factor))
            }
            Self::FlatCosine { share } if !(0.0..=1.0).contains(&share) => {
                Err(Error::value("share of a flat cosine", "0 to 1", share))
            }
            Self::Plateau { factor, .. } if !(is_positive(factor) && factor < 1.0) => {
                Err(Error::value("factor of a plateau", "above 0 and below 1", factor))
            }
            _ => Ok(()),
        }
    }
}

/// Half a cosine wave from 1 at 0 to 0 at 1.
fn descent(x: f64) -> f64 {
    (1.0 + (PI * x).cos()) / 2.0
}

/// Share of a one-cycle schedule that goes up.
const RISE: f64 = 0.3;

/// Up from 0 to `top`, down to `end`.
fn one_cycle(t: f64, top: f64, end: f64) -> f64 {
    const FIRST: f64 = 1.0 / 25.0;
    const LAST: f64 = FIRST / 1e4;
    if t <= top {
        1.0 + (FIRST - 1.0) * descent(t / top)
    } else {
        LAST + (1.0 - LAST) * descent(((t - top) / (end - top)).min(1.0))
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name())?;
        match self {
            Self::Step { every: count, factor } | Self::Plateau { patience: count, factor } => {
                write!(f, ":{count}:{factor}")
            }
            Self::FlatCosine { share } => write!(f, ":{share}"),
            Self::Constant | Self::Cosine | Self::OneCycle | Self::CosLog4 => Ok(()),
        }
    }
}

impl FromStr for Schedule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts: Vec<_> = text.split(':').collect();
        let schedule = match parts[..] {
            [name] => Self::ALL.into_iter().find(|schedule| schedule.name() == name),
            ["flat-cosine", share] => share.parse().ok().map(|share| Self::FlatCosine { share }),
            [name, count, factor] => {
                count.parse().ok().zip(factor.parse().ok()).and_then(|(count, factor)| match name {
                    "step" => Some(Self::Step { every: count, factor }),
                    "plateau" => Some(Self::Plateau { patience: count, factor }),
                    _ => None,
                })
            }
            _ => None,
        };
        let forms = || format!("one of {}", Self::FORMS.join(", "));
        let schedule = schedule.ok_or_else(|| Error::value("schedule", forms(), text))?;
        schedule.check()?;
        Ok(schedule)
    }
}

/// A linear warm-up before or within any schedule (Goyal et al. 2017, arXiv:1706.02677): a factor of (t+1)/W in the first
/// W steps, then of 1. It multiplies the factor of the schedule, which runs from step 0 on: `LinearLR` with
/// start_factor = 1/W and total_iters = W - 1 in a `ChainedScheduler` (not `SequentialLR`, which would delay the schedule).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WarmUp {
    /// W; 0 is none.
    pub steps: u64,
}

impl WarmUp {
    /// The factor of the learning rate at `step`, from 0.
    pub fn factor(self, step: u64) -> f64 {
        if step < self.steps { (step + 1) as f64 / self.steps as f64 } else { 1.0 }
    }
}

/// A factor that falls whenever the metric of the epochs stops getting better, as `ReduceLROnPlateau` without cool-down
/// and without its smallest change of 1e-8: after more than `patience` epochs in a row that are not better than the best
/// one by a share of `threshold`, it is multiplied by `factor`, down to `least`. What is not a number is not better.
///
/// All of it is public, to be saved and restored.
///
/// ```
/// use schuss::Plateau;
/// let mut plateau = Plateau::new(1, 0.5);
/// let factors = [3.0, 2.0, 2.0, 2.0, 2.0, 2.0, 1.0].map(|loss| plateau.epoch(loss));
/// assert_eq!(factors, [1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Plateau {
    /// Epochs without a better metric that change nothing.
    pub patience: u64,
    /// Of each change.
    pub factor: f64,
    /// By which share of the best metric a better one must be better.
    pub threshold: f64,
    /// The smallest factor of the learning rate.
    pub least: f64,
    /// Whether the metric is one like accuracy, not one like loss.
    pub higher_is_better: bool,
    /// The best metric so far.
    pub best: Option<f64>,
    /// Epochs since the best metric or the last change.
    pub waited: u64,
    /// The factor of the learning rate now.
    pub current: f64,
}

impl Plateau {
    /// Before the first epoch of a metric like loss, with the threshold of PyTorch and no smallest factor.
    pub fn new(patience: u64, factor: f64) -> Self {
        let (threshold, least) = (1e-4, 0.0);
        Self { patience, factor, threshold, least, higher_is_better: false, best: None, waited: 0, current: 1.0 }
    }

    /// Takes in the metric of an epoch; the factor of the learning rate from then on.
    pub fn epoch(&mut self, metric: f64) -> f64 {
        let is_better = match self.best {
            None => metric.is_finite(),
            Some(best) if self.higher_is_better => metric > best * (1.0 + self.threshold),
            Some(best) => metric < best * (1.0 - self.threshold),
        };
        if is_better {
            self.best = Some(metric);
            self.waited = 0;
        } else {
            self.waited += 1;
        }
        if self.waited > self.patience {
            self.current = (self.current * self.factor).max(self.least);
            self.waited = 0;
        }
        self.current
    }
}
