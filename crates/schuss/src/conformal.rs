//! Sets and intervals that cover as often as they say.

use serde::{Deserialize, Serialize};

use crate::{Dataset, Error, Model, Real, Result, Targets, Task, Threads};

/// How far a model was off on rows that it did not learn from, as split conformal prediction needs it (Vovk, Gammerman and
/// Shafer 2005; Lei et al. 2018, arXiv:1604.04173): of classes the score 1 - p_y of each row (Sadinle, Lei and Wasserman
/// 2019, arXiv:1609.00451), of a number |y - a|.
///
/// With n scores and a coverage c, the ⌈(n + 1)c⌉th smallest score q is what a new row's score is at most with probability
/// c or more, if the rows come from the same source in any order: the classes with p ≥ 1 - q, or the numbers from a - q to
/// a + q, have the right one among them as often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conformal {
    /// Rows that were scored.
    rows: usize,
    /// Their scores, ascending; of many rows, as many of them at equal distances.
    scores: Vec<f64>,
}

/// Scores that are kept.
const MOST_SCORES: usize = 2001;

impl Conformal {
    /// Of these scores.
    ///
    /// # Errors
    /// No scores, one that is negative or not finite.
    pub fn new(mut scores: Vec<f64>) -> Result<Self> {
        if let Some(score) = scores.iter().find(|score| !(score.is_finite() && **score >= 0.0)) {
            return Err(Error::value("score of a row", "a finite number of 0 or more", score));
        }
        if scores.is_empty() {
            return Err(Error::value("scores", "one at least", 0));
        }
        scores.sort_unstable_by(f64::total_cmp);
        let rows = scores.len();
        if rows > MOST_SCORES {
            let place = |i: usize| (i * (rows - 1)).div_ceil(MOST_SCORES - 1);
            scores = (0..MOST_SCORES).map(|i| scores[place(i)]).collect();
        }
        Ok(Self { rows, scores })
    }

    /// q for this coverage, in (0, 1); nothing where there are too few rows for it. Of many rows, the next larger score that is
    /// kept.
    pub fn quantile(&self, coverage: f64) -> Option<f64> {
        let rank = ((self.rows + 1) as f64 * coverage).ceil().max(1.0);
        if !(coverage > 0.0 && coverage < 1.0) || rank > self.rows as f64 {
            return None;
        }
        let last = self.scores.len() - 1;
        let place = (rank - 1.0) * last as f64 / (self.rows - 1).max(1) as f64;
        Some(self.scores[(place.ceil() as usize).min(last)])
    }

    /// Rows that were scored.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Fails unless a model with this task can have it.
    pub(crate) fn check(&self) -> Result<()> {
        let are_scores = self.scores.iter().all(|score| score.is_finite() && *score >= 0.0) && self.scores.is_sorted();
        if !are_scores || self.scores.is_empty() || self.rows < self.scores.len() {
            let expected = "finite numbers of 0 or more, ascending, no more than rows";
            return Err(Error::value(
                "conformal scores",
                expected,
                format!("{} of {} rows", self.scores.len(), self.rows),
            ));
        }
        Ok(())
    }
}

impl<T: Real> Model<T> {
    /// The scores of these examples, for [`Conformal::new`], which should be others than those of the training.
    ///
    /// # Errors
    /// See [`Model::check`]; several labels, several numbers, or classes without probabilities: there are no sets of them.
    pub fn conformal_scores(&self, dataset: Dataset, threads: &Threads) -> Result<Vec<f64>> {
        self.check(dataset)?;
        let predictions = self.predict(dataset.features(), threads)?;
        match (self.task, dataset.targets()) {
            (Task::Classification { .. }, Targets::Classes { labels, .. }) if self.predicts_probabilities() => {
                let score = |(p, &label): (ndarray::ArrayView1<f64>, &u32)| (1.0 - p[label as usize]).clamp(0.0, 1.0);
                Ok(predictions.rows().into_iter().zip(labels).map(score).collect())
            }
            (Task::Regression, Targets::Values(values)) if predictions.ncols() == 1 && values.ncols() == 1 => {
                Ok(predictions.iter().zip(values).map(|(a, y)| (y - a).abs()).collect())
            }
            _ => {
                Err(Error::value("conformal prediction", "a class with its probability, or one number", "another task"))
            }
        }
    }

    /// Whether there are sets or intervals of its predictions.
    pub fn has_conformal(&self) -> bool {
        match self.task {
            Task::Classification { .. } => self.predicts_probabilities(),
            Task::Regression => self.prediction_width() == 1,
            Task::MultiLabel { .. } => false,
        }
    }
}
