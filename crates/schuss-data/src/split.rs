//! Which examples make up the test part of data that comes without one.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::TargetValues;

/// The seed of the split: always the same, so that results on the same data are comparable whatever the run's seed.
const SPLIT_SEED: u64 = 20;
/// One example in this many is for the test.
const TEST_SHARE: usize = 5;

/// The rows of the test part, ascending: a function of the targets alone.
///
/// Classes are cut one by one, numbers as a whole. A fifth of the examples, rounded up, is shared out so that a class
/// gives a fifth of its own, rounded down or up. A single example of its class stays in the training part.
pub(crate) fn test_rows(targets: &TargetValues) -> Vec<usize> {
    let mut groups = groups(targets);
    groups.retain(|rows| rows.len() > 1);
    let mut rng = ChaCha8Rng::seed_from_u64(SPLIT_SEED);
    let shares = shares(&groups.iter().map(Vec::len).collect::<Vec<_>>());
    let mut chosen = Vec::new();
    for (mut rows, share) in groups.into_iter().zip(shares) {
        shuffle(&mut rows, &mut rng);
        chosen.extend_from_slice(&rows[..share]);
    }
    chosen.sort_unstable();
    chosen
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

/// Shares out a fifth of the sum of `counts` by largest remainder; among equal ones the first goes first.
fn shares(counts: &[usize]) -> Vec<usize> {
    let total = counts.iter().sum::<usize>().div_ceil(TEST_SHARE);
    let mut shares: Vec<usize> = counts.iter().map(|count| count / TEST_SHARE).collect();
    let mut by_remainder: Vec<usize> = (0..counts.len()).collect();
    by_remainder.sort_by_key(|&i| std::cmp::Reverse(counts[i] % TEST_SHARE));
    let missing = total - shares.iter().sum::<usize>();
    by_remainder[..missing].iter().for_each(|&i| shares[i] += 1);
    shares
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
    fn check_shares(counts: &[usize], expected: &[usize]) {
        assert_eq!(shares(counts), expected, "counts {counts:?}");
    }

    #[test]
    fn a_fifth_rounded_up_is_shared_out_by_largest_remainder() {
        check_shares(&[], &[]);
        check_shares(&[2], &[1]);
        check_shares(&[50, 50], &[10, 10]);
        check_shares(&[7, 8, 10], &[1, 2, 2]);
        check_shares(&[2, 2, 2, 2], &[1, 1, 0, 0]);
        let digits = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180];
        check_shares(&digits, &[36, 37, 35, 37, 36, 36, 36, 36, 35, 36]);
    }

    #[test]
    fn a_class_of_one_stays_in_the_training_part() {
        assert_eq!(test_rows(&classes(&[0, 1, 2, 3])), [0; 0]);
        let rows = test_rows(&classes(&[5, 0, 0, 0, 0, 0, 7]));
        assert!(rows.len() == 1 && (1..6).contains(&rows[0]), "{rows:?}");
    }

    #[test]
    fn numbers_are_split_as_a_whole() {
        for (count, expected) in [(1, 0), (2, 1), (5, 1), (6, 2), (100, 20)] {
            let rows = test_rows(&TargetValues::Values(Array2::zeros((count, 2))));
            assert_eq!(rows.len(), expected, "{count} rows");
            assert!(rows.is_sorted_by(|a, b| a < b) && rows.iter().all(|&row| row < count), "{rows:?}");
        }
    }

    /// The split is part of every published result: these rows never change.
    #[test]
    fn the_split_is_fixed() {
        assert_eq!(test_rows(&TargetValues::Values(Array2::zeros((30, 1)))), [5, 14, 16, 17, 28, 29]);
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
