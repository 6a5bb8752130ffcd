//! Which examples make up the test or the validation part of data that comes without one.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::TargetValues;

/// A part that is split off the training part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Split {
    /// Always the same for a kind of part, so that results on the same data are comparable whatever the run's seed.
    seed: u64,
    /// The share of the examples, in units of 1 / [`WHOLE`]: sums of it are exact, and the same on every machine.
    share: u128,
}

const WHOLE: u128 = 1_000_000_000;

impl Split {
    /// A fifth, to test on.
    pub(crate) const TEST: Self = Self { seed: 20, share: WHOLE / 5 };

    /// This share, to the nearest billionth, to validate on.
    ///
    /// # Panics
    /// The share is negative, 1 or more, or NaN.
    pub(crate) fn valid(share: f64) -> Self {
        assert!((0.0..1.0).contains(&share), "share of the validation part: expected 0 or more, below 1, got {share}");
        let billionths = (share * WHOLE as f64).round() as u128;
        Self { seed: 30, share: billionths.min(WHOLE - 1) }
    }

    /// The rows of the part, ascending: a function of the targets alone.
    ///
    /// Classes are cut one by one, numbers as a whole. The share of the examples, rounded up, is shared out so that a
    /// class gives this share of its own, rounded down or up, but never all. A single example of its class stays in the
    /// training part.
    pub(crate) fn rows(self, targets: &TargetValues) -> Vec<usize> {
        let mut groups = groups(targets);
        groups.retain(|rows| rows.len() > 1);
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let shares = self.shares(&groups.iter().map(Vec::len).collect::<Vec<_>>());
        let mut chosen = Vec::new();
        for (mut rows, share) in groups.into_iter().zip(shares) {
            shuffle(&mut rows, &mut rng);
            chosen.extend_from_slice(&rows[..share]);
        }
        chosen.sort_unstable();
        chosen
    }

    /// Shares out this share of the sum of `counts` by largest remainder; among equal ones the first goes first. None
    /// gives all it has.
    fn shares(self, counts: &[usize]) -> Vec<usize> {
        let share = |count: usize| count as u128 * self.share;
        let total = share(counts.iter().sum()).div_ceil(WHOLE) as usize;
        let mut shares: Vec<usize> = counts.iter().map(|&count| (share(count) / WHOLE) as usize).collect();
        let mut by_remainder: Vec<usize> = (0..counts.len()).filter(|&i| shares[i] + 1 < counts[i]).collect();
        by_remainder.sort_by_key(|&i| std::cmp::Reverse(share(counts[i]) % WHOLE));
        let missing = total - shares.iter().sum::<usize>();
        by_remainder.iter().take(missing).for_each(|&i| shares[i] += 1);
        shares
    }
}

/// The rows of each class, in the order of the classes; all rows where there are no classes.
fn groups(targets: &TargetValues) -> Vec<Vec<usize>> {
    match targets {
        TargetValues::Classes { labels, .. } => {
            let mut groups = BTreeMap::<u32, Vec<usize>>::new();
            labels.iter().enumerate().for_each(|(row, &label)| groups.entry(label).or_default().push(row));
            groups.into_values().collect()
        }
        TargetValues::Values(values) => vec![(0..values.nrows()).collect()],
    }
}

/// Fisher and Yates: every order is equally likely.
fn shuffle(rows: &mut [usize], rng: &mut ChaCha8Rng) {
    for i in (1..rows.len()).rev() {
        rows.swap(i, below(i as u64 + 1, rng) as usize);
    }
}

/// A number in `0..bound`, all equally likely: draws past the last whole multiple of `bound` are drawn again.
fn below(bound: u64, rng: &mut ChaCha8Rng) -> u64 {
    let multiples_end = u64::MAX - u64::MAX % bound;
    loop {
        let draw = rng.next_u64();
        if draw < multiples_end {
            return draw % bound;
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    fn classes(labels: &[u32]) -> TargetValues {
        TargetValues::Classes { labels: labels.to_vec(), classes: 10 }
    }

    #[track_caller]
    fn check_shares(split: Split, counts: &[usize], expected: &[usize]) {
        assert_eq!(split.shares(counts), expected, "counts {counts:?}");
    }

    #[test]
    fn a_fifth_rounded_up_is_shared_out_by_largest_remainder() {
        for split in [Split::TEST, Split::valid(0.2)] {
            check_shares(split, &[], &[]);
            check_shares(split, &[2], &[1]);
            check_shares(split, &[50, 50], &[10, 10]);
            check_shares(split, &[7, 8, 10], &[1, 2, 2]);
            check_shares(split, &[2, 2, 2, 2], &[1, 1, 0, 0]);
            let digits = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180];
            check_shares(split, &digits, &[36, 37, 35, 37, 36, 36, 36, 36, 35, 36]);
        }
    }

    /// In floating point, 0.07 of 100 is more than 7 and 0.29 of 100 less than 29.
    #[test]
    fn any_share_is_exact_and_leaves_something_of_each_class() {
        check_shares(Split::valid(0.0), &[10, 20], &[0, 0]);
        check_shares(Split::valid(0.07), &[100], &[7]);
        check_shares(Split::valid(0.29), &[100], &[29]);
        check_shares(Split::valid(0.1), &[10, 25, 15], &[1, 3, 1]);
        check_shares(Split::valid(1.0 / 3.0), &[30, 60], &[10, 20]);
        check_shares(Split::valid(0.5), &[3, 3, 3], &[2, 2, 1]);
        check_shares(Split::valid(0.99), &[2, 2, 3], &[1, 1, 2]);
        check_shares(Split::valid(1.0 - f64::EPSILON), &[5, 2], &[4, 1]);
        check_shares(Split::valid(1e-8), &[100, 10], &[1, 0]);
    }

    #[test]
    fn what_is_no_share_is_refused() {
        for share in [-0.1, 1.0, 20.0, f64::NAN, f64::INFINITY] {
            assert!(std::panic::catch_unwind(|| Split::valid(share)).is_err(), "{share}");
        }
    }

    #[test]
    fn a_class_of_one_stays_in_the_training_part() {
        assert_eq!(Split::TEST.rows(&classes(&[0, 1, 2, 3])), [0; 0]);
        for split in [Split::TEST, Split::valid(0.2)] {
            let rows = split.rows(&classes(&[5, 0, 0, 0, 0, 0, 7]));
            assert!(rows.len() == 1 && (1..6).contains(&rows[0]), "{rows:?}");
        }
    }

    #[test]
    fn numbers_are_split_as_a_whole() {
        for (count, expected) in [(1, 0), (2, 1), (5, 1), (6, 2), (100, 20)] {
            for split in [Split::TEST, Split::valid(0.2)] {
                let rows = split.rows(&TargetValues::Values(Array2::zeros((count, 2))));
                assert_eq!(rows.len(), expected, "{count} rows");
                assert!(rows.is_sorted_by(|a, b| a < b) && rows.iter().all(|&row| row < count), "{rows:?}");
            }
        }
    }

    /// The splits are part of every published result: these rows never change.
    #[test]
    fn the_splits_are_fixed() {
        let numbers = TargetValues::Values(Array2::zeros((30, 1)));
        assert_eq!(Split::TEST.rows(&numbers), [5, 14, 16, 17, 28, 29]);
        assert_eq!(Split::valid(0.2).rows(&numbers), [3, 8, 9, 10, 11, 29]);
        let labels: Vec<u32> = (0..30).map(|row| row % 3).collect();
        assert_eq!(Split::TEST.rows(&classes(&labels)), [0, 10, 14, 19, 21, 23]);
        assert_eq!(Split::valid(0.1).rows(&classes(&labels)), [10, 17, 27]);
    }

    /// Each of 6 orders of 3 rows has probability 1/6; 5 standard deviations of 60,000 draws are 456.
    #[test]
    fn every_order_is_equally_likely() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut counts = BTreeMap::<Vec<usize>, i32>::new();
        for _ in 0..60_000 {
            let mut rows = vec![0, 1, 2];
            shuffle(&mut rows, &mut rng);
            *counts.entry(rows).or_default() += 1;
        }
        assert!(counts.len() == 6 && counts.values().all(|count| (count - 10_000).abs() < 456), "{counts:?}");
    }
}
