//! Which trials are trained for how long: successive halving.

/// Of the trials of a rung, one in so many is promoted, to so many times the epochs.
const FACTOR: usize = 3;
/// Fewer epochs, and fewer steps, tell too little.
const LEAST_EPOCHS: usize = 4;
const LEAST_STEPS: usize = 100;

/// How trials are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Search {
    /// All trials with all epochs (Bergstra and Bengio 2012)
    Random,
    /// All trials with few epochs, the best third of them with three times as many, and so on (Jamieson and Talwalkar 2016)
    Halving,
}

impl Search {
    pub fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Halving => "halving",
        }
    }

    /// The rungs of a search of `trials` whose last one has `epochs` of so many steps: as many as there are trials and epochs for.
    ///
    /// Successive halving (Jamieson and Talwalkar 2016, arXiv:1502.07943; in the bracket of Hyperband that begins with the
    /// fewest epochs, Li et al. 2018, arXiv:1603.06560) with η = 3. A trial is trained from the beginning at each rung, so that
    /// its schedule of the learning rate comes to its end; all rungs but the last together cost less than the first three
    /// times.
    pub fn rungs(self, trials: usize, epochs: usize, steps: usize) -> Vec<Rung> {
        let mut rungs = vec![Rung { epochs, trials }];
        if self == Self::Random {
            return rungs;
        }
        let least = LEAST_EPOCHS.max(LEAST_STEPS.div_ceil(steps.max(1)));
        let divisor = |power: usize| FACTOR.pow(power as u32);
        let goes_on = |rungs: &[Rung]| {
            let more = divisor(rungs.len());
            more <= trials && epochs / more >= least
        };
        while goes_on(&rungs) {
            rungs.push(Rung { epochs: epochs / divisor(rungs.len()), trials });
        }
        rungs.reverse();
        rungs.iter_mut().enumerate().for_each(|(i, rung)| rung.trials = (trials / divisor(i)).max(1));
        rungs
    }
}

/// Trials that are trained for so many epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    pub epochs: usize,
    /// How many, trial 0 apart where it is not among the best.
    pub trials: usize,
}

/// The trials with the best values, `count` of them, and trial 0, whose value is there to compare with; in their order. Of
/// equal values the first trial is the better one; one without a value is worse than all.
pub fn promoted(values: &[(usize, Option<f64>)], higher_is_better: bool, count: usize) -> Vec<usize> {
    let mut best: Vec<usize> = ranked(values, higher_is_better).into_iter().take(count).collect();
    let has_default = values.iter().any(|(trial, _)| *trial == 0);
    if has_default && !best.contains(&0) {
        best.push(0);
    }
    best.sort_unstable();
    best
}

/// The trials, the best first.
pub fn ranked(values: &[(usize, Option<f64>)], higher_is_better: bool) -> Vec<usize> {
    let sign = if higher_is_better { -1.0 } else { 1.0 };
    let mut order: Vec<(f64, usize)> =
        values.iter().map(|(trial, value)| (value.map_or(f64::INFINITY, |x| sign * x), *trial)).collect();
    order.sort_by(|(a, i), (b, j)| a.total_cmp(b).then(i.cmp(j)));
    order.into_iter().map(|(_, trial)| trial).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_rungs(search: Search, trials: usize, epochs: usize, expected: &[(usize, usize)]) {
        let rungs: Vec<_> = search.rungs(trials, epochs, 25).iter().map(|rung| (rung.trials, rung.epochs)).collect();
        assert_eq!(rungs, expected, "{trials} trials, {epochs} epochs");
    }

    #[test]
    fn rungs_are_as_many_as_there_are_trials_and_epochs_for() {
        check_rungs(Search::Random, 20, 40, &[(20, 40)]);
        check_rungs(Search::Halving, 20, 40, &[(20, 4), (6, 13), (2, 40)]);
        check_rungs(Search::Halving, 27, 108, &[(27, 4), (9, 12), (3, 36), (1, 108)]);
        check_rungs(Search::Halving, 27, 100, &[(27, 11), (9, 33), (3, 100)]);
        check_rungs(Search::Halving, 8, 1000, &[(8, 333), (2, 1000)]);
        check_rungs(Search::Halving, 100, 11, &[(100, 11)]);
        check_rungs(Search::Halving, 2, 100, &[(2, 100)]);
        check_rungs(Search::Halving, 1, 100, &[(1, 100)]);
        // Of one step each, a hundred epochs are not too many.
        assert_eq!(Search::Halving.rungs(9, 299, 1), [Rung { epochs: 299, trials: 9 }]);
        assert_eq!(Search::Halving.rungs(9, 300, 1)[0], Rung { epochs: 100, trials: 9 });
    }

    #[track_caller]
    fn check_promoted(values: &[Option<f64>], higher_is_better: bool, count: usize, expected: &[usize]) {
        let values: Vec<_> = values.iter().copied().enumerate().collect();
        assert_eq!(promoted(&values, higher_is_better, count), expected, "{values:?}");
    }

    #[test]
    fn the_best_are_promoted_and_the_default() {
        let values = [Some(0.5), Some(0.9), Some(0.7), None, Some(0.9), Some(0.8)];
        check_promoted(&values, true, 2, &[0, 1, 4]);
        check_promoted(&values, true, 1, &[0, 1]);
        check_promoted(&values, false, 2, &[0, 2]);
        check_promoted(&values, false, 6, &[0, 1, 2, 3, 4, 5]);
        // Ties by the number of the trial; what has no value comes last whichever way is better.
        check_promoted(&[Some(0.5); 4], true, 2, &[0, 1]);
        check_promoted(&[None, Some(3.0), Some(3.0)], true, 1, &[0, 1]);
        check_promoted(&[None, None, Some(3.0)], false, 1, &[0, 2]);
        assert_eq!(promoted(&[(4, Some(1.0)), (2, Some(1.0))], true, 1), [2]);
    }
}
