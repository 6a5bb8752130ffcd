//! Which examples make up the test or the validation part of data that comes without one.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use schuss::{Error, Result};
use sha2::{Digest, Sha256};

use crate::{ColumnValues, TargetValues};

/// A part that is split off the training part: which rows make it up is a function of the data and the share alone, never
/// of a seed of the training.
///
/// The rows come ascending; where none can be spared, there are none.
#[derive(Clone, Copy, Debug)]
pub struct Split {
    /// Always the same for a kind of part, so that results on the same data are comparable whatever the run's seed.
    seed: u64,
    /// The share of the examples, in units of 1 / [`WHOLE`]: sums of it are exact, and the same on every machine.
    share: u128,
}

const WHOLE: u128 = 1_000_000_000;

impl Split {
    /// The seed of folds.
    const FOLDS: u64 = 40;

    /// A fifth, to test on.
    pub const TEST: Self = Self { seed: 20, share: WHOLE / 5 };

    /// This share, to the nearest billionth, to test on.
    ///
    /// # Panics
    /// The share is negative, 1 or more, or NaN.
    pub fn test(share: f64) -> Self {
        Self { share: billionths(share, "test"), ..Self::TEST }
    }

    /// This share, to the nearest billionth, to validate on.
    ///
    /// # Panics
    /// The share is negative, 1 or more, or NaN.
    pub fn valid(share: f64) -> Self {
        Self { seed: 30, share: billionths(share, "validation") }
    }

    /// The rows of the part by the classes of the rows, where they have any.
    ///
    /// Classes are cut one by one, numbers as a whole. The share of the examples, rounded up, is shared out so that a
    /// class gives this share of its own, rounded down or up, but never all. A single example of its class stays in the
    /// training part.
    pub fn rows(self, targets: &TargetValues) -> Vec<usize> {
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

    /// The rows of the part where no group may be in both parts: `groups` names that of each row. Rows without a group are
    /// one together.
    ///
    /// Groups are taken whole, in the order of a hash of their names, each that does not make the part larger than this
    /// share of the rows, rounded up; then the smallest of the others, if that comes nearer to the share. So the part is
    /// off by at most half of the smallest of those. At least one group is in each part, where there are two.
    /// The order of the rows has no influence.
    pub fn rows_by_group(self, groups: &ColumnValues) -> Vec<usize> {
        let groups = self.hashed_groups(groups);
        let counts: Vec<usize> = groups.iter().map(|(_, rows)| rows.len()).collect();
        let mut rows: Vec<usize> = self.whole_groups(&counts).into_iter().flat_map(|i| groups[i].1.clone()).collect();
        rows.sort_unstable();
        rows
    }

    /// The rows of each group, in the order of a hash of its name.
    fn hashed_groups(self, groups: &ColumnValues) -> Vec<([u8; 32], Vec<usize>)> {
        let mut rows_of = BTreeMap::<Cow<str>, Vec<usize>>::new();
        match groups {
            ColumnValues::Categories { codes, names } => {
                let name = |code: Option<u32>| code.map_or("", |code| &names[code as usize]);
                (0..).zip(codes).for_each(|(row, &code)| rows_of.entry(name(code).into()).or_default().push(row));
            }
            ColumnValues::Numbers(values) | ColumnValues::Times(values) => {
                // Adding zero makes -0 the same as 0.
                let name = |value: f64| if value.is_nan() { String::new() } else { (value + 0.0).to_string() };
                (0..).zip(values).for_each(|(row, &value)| rows_of.entry(name(value).into()).or_default().push(row));
            }
        }
        let mut groups: Vec<([u8; 32], Vec<usize>)> =
            rows_of.into_iter().map(|(name, rows)| (self.hash(&name), rows)).collect();
        groups.sort_unstable();
        groups
    }

    fn hash(self, name: &str) -> [u8; 32] {
        Sha256::new_with_prefix(self.seed.to_le_bytes()).chain_update(name).finalize().into()
    }

    /// The rows in `count` parts of the same size, as nearly as can be, each row in one; classes keep their shares. They come
    /// ascending; a part that would have no rows is not there.
    pub fn folds(targets: &TargetValues, count: usize) -> Vec<Vec<usize>> {
        let mut rng = ChaCha8Rng::seed_from_u64(Self::FOLDS);
        let mut folds = vec![Vec::new(); count];
        // Dealt out class after class, going on where the last one ended.
        let mut next = (0..count).cycle();
        for mut rows in groups(targets) {
            shuffle(&mut rows, &mut rng);
            rows.into_iter().zip(&mut next).for_each(|(row, fold)| folds[fold].push(row));
        }
        Self::sorted(folds)
    }

    /// [`Split::folds`] of which none shares a group with another; `groups` as for [`Split::rows_by_group`].
    pub fn folds_by_group(groups: &ColumnValues, count: usize) -> Vec<Vec<usize>> {
        let mut folds = vec![Vec::new(); count];
        for (_, rows) in (Self { seed: Self::FOLDS, share: 0 }).hashed_groups(groups) {
            let smallest = folds.iter_mut().min_by_key(|fold: &&mut Vec<usize>| fold.len());
            smallest.into_iter().for_each(|fold| fold.extend(&rows));
        }
        Self::sorted(folds)
    }

    fn sorted(mut folds: Vec<Vec<usize>>) -> Vec<Vec<usize>> {
        folds.retain(|fold| !fold.is_empty());
        folds.iter_mut().for_each(|fold| fold.sort_unstable());
        folds
    }

    /// Which of groups of so many rows are taken.
    fn whole_groups(self, counts: &[usize]) -> Vec<usize> {
        let mut missing = self.held_out(counts.iter().sum());
        if missing == 0 {
            return vec![];
        }
        let mut chosen = Vec::new();
        let mut others = Vec::new();
        for (i, &count) in counts.iter().enumerate() {
            if count <= missing {
                missing -= count;
                chosen.push(i);
            } else {
                others.push(i);
            }
        }
        let smallest = others.iter().copied().min_by_key(|&i| counts[i]);
        // What is larger than what is missing, all others are.
        chosen.extend(smallest.filter(|&i| others.len() > 1 && (chosen.is_empty() || counts[i] - missing < missing)));
        chosen
    }

    /// The rows of the part where no row of the training part may be later than one of it: the last ones by time.
    ///
    /// They are this share of the rows, rounded up, as nearly as equal times allow, which stay together; and those of one
    /// time at least, where there are two.
    ///
    /// # Errors
    /// A time that is missing (NaN): its row may be of the future.
    pub fn rows_by_time(self, times: &[f64]) -> Result<Vec<usize>> {
        if let Some(row) = times.iter().position(|time| time.is_nan()) {
            let expected = "a time, to split the rows by; leave out the rows without one";
            return Err(Error::value(format!("time of row {row}"), expected, "none"));
        }
        let wanted = self.held_out(times.len());
        if wanted == 0 {
            return Ok(vec![]);
        }
        let mut sorted = times.to_vec();
        sorted.sort_unstable_by(|a, b| b.total_cmp(a));
        let border = sorted[wanted - 1];
        let later = sorted.partition_point(|&time| time > border);
        let not_earlier = sorted.partition_point(|&time| time >= border);
        let takes_border = not_earlier < times.len() && (later == 0 || not_earlier - wanted <= wanted - later);
        let is_taken = |time: f64| time > border || takes_border && time == border;
        Ok((0..times.len()).filter(|&row| is_taken(times[row])).collect())
    }

    /// This share of so many rows, rounded up, but not all.
    fn held_out(self, rows: usize) -> usize {
        let share = (rows as u128 * self.share).div_ceil(WHOLE) as usize;
        share.min(rows.saturating_sub(1))
    }

    /// Shares out this share of the sum of `counts` by largest remainder; among equal ones the first goes first. None
    /// gives all it has.
    fn shares(self, counts: &[usize]) -> Vec<usize> {
        let share = |count: usize| count as u128 * self.share;
        let total = share(counts.iter().sum()).div_ceil(WHOLE) as usize;
        let mut shares: Vec<usize> = counts.iter().map(|&count| (share(count) / WHOLE) as usize).collect();
        let mut by_remainder: Vec<usize> = (0..counts.len()).filter(|&i| shares[i] + 1 < counts[i]).collect();
        by_remainder.sort_by_key(|&i| Reverse(share(counts[i]) % WHOLE));
        let missing = total - shares.iter().sum::<usize>();
        by_remainder.iter().take(missing).for_each(|&i| shares[i] += 1);
        shares
    }
}

fn billionths(share: f64, part: &str) -> u128 {
    assert!((0.0..1.0).contains(&share), "share of the {part} part: expected 0 or more, below 1, got {share}");
    ((share * WHOLE as f64).round() as u128).min(WHOLE - 1)
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
pub(crate) fn below(bound: u64, rng: &mut ChaCha8Rng) -> u64 {
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
    use std::collections::BTreeSet;

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
            assert!(std::panic::catch_unwind(|| Split::test(share)).is_err(), "{share}");
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

    fn group_names(groups: &[usize]) -> ColumnValues {
        let codes = groups.iter().map(|&group| Some(group as u32)).collect();
        let names = (0..=groups.iter().copied().max().unwrap_or(0)).map(|group| format!("g{group:03}")).collect();
        ColumnValues::Categories { codes, names }
    }

    #[track_caller]
    fn check_whole_groups(split: Split, counts: &[usize], expected: &[usize]) {
        assert_eq!(split.whole_groups(counts), expected, "counts {counts:?}");
    }

    #[test]
    fn whole_groups_come_as_near_to_the_share_as_said() {
        check_whole_groups(Split::TEST, &[], &[]);
        check_whole_groups(Split::TEST, &[9], &[]);
        check_whole_groups(Split::TEST, &[50, 50], &[0]);
        check_whole_groups(Split::TEST, &[60, 40], &[1]);
        check_whole_groups(Split::TEST, &[10, 30, 30, 8, 22], &[0, 3]);
        check_whole_groups(Split::TEST, &[15, 40, 8, 37], &[0, 2]);
        check_whole_groups(Split::valid(0.5), &[30, 30, 40], &[0, 1]);
        check_whole_groups(Split::valid(0.999), &[3, 3, 3], &[0, 1]);
        check_whole_groups(Split::valid(0.0), &[3, 3, 3], &[]);
    }

    /// Groups of random sizes, in random order: no group is in both parts, the share is met to half of the largest group,
    /// and another order of the rows gives the same groups.
    #[test]
    fn no_group_crosses_and_the_order_of_rows_has_no_influence() {
        for seed in 0..300 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let group_count = 1 + below(30, &mut rng) as usize;
            let mut groups = Vec::new();
            for group in 0..group_count {
                groups.extend(vec![group; 1 + below(20, &mut rng) as usize]);
            }
            shuffle(&mut groups, &mut rng);
            let share = below(100, &mut rng) as f64 / 100.0;
            let held_out_groups = |groups: &[usize]| {
                let rows = Split::valid(share).rows_by_group(&group_names(groups));
                assert!(rows.is_sorted_by(|a, b| a < b), "{rows:?}");
                let held_out: BTreeSet<usize> = rows.iter().map(|&row| groups[row]).collect();
                let count = groups.iter().filter(|group| held_out.contains(group)).count();
                assert_eq!(count, rows.len(), "seed {seed}: a group is in both parts");
                (held_out, count)
            };
            let (held_out, count) = held_out_groups(&groups);
            let largest = (0..group_count).map(|of| groups.iter().filter(|&&group| group == of).count()).max().unwrap();
            let off = count.abs_diff((share * groups.len() as f64).ceil() as usize);
            assert!(held_out.len() <= 1 || 2 * off <= largest + 1 || held_out.len() == group_count - 1, "seed {seed}");
            assert!(group_count == 1 || share == 0.0 || !held_out.is_empty(), "seed {seed}");
            assert!(held_out.len() < group_count, "seed {seed}");
            shuffle(&mut groups, &mut rng);
            assert_eq!(held_out_groups(&groups).0, held_out, "seed {seed}");
        }
    }

    #[test]
    fn groups_may_have_numbers_or_no_name() {
        let nan = f64::NAN;
        let numbers = ColumnValues::Numbers(vec![1.0, 2.0, 0.0, nan, 1.0, -0.0, nan, 2.5]);
        let codes = vec![Some(1), Some(2), Some(0), None, Some(1), Some(0), None, Some(3)];
        let names = ["0", "1", "2", "2.5"].map(String::from).to_vec();
        let categories = ColumnValues::Categories { codes, names };
        for share in [0.1, 0.3, 0.5, 0.8] {
            let rows = Split::valid(share).rows_by_group(&numbers);
            assert_eq!(rows, Split::valid(share).rows_by_group(&categories), "{share}");
            assert_eq!(rows.contains(&3), rows.contains(&6), "{share}");
        }
    }

    #[track_caller]
    fn check_times(split: Split, times: &[f64], expected: &[usize]) {
        assert_eq!(split.rows_by_time(times).unwrap(), expected, "times {times:?}");
    }

    #[test]
    fn the_last_rows_by_time_are_held_out_and_equal_times_stay_together() {
        check_times(Split::TEST, &[], &[]);
        check_times(Split::TEST, &[1.0], &[]);
        check_times(Split::TEST, &[1.0, 1.0], &[]);
        check_times(Split::TEST, &[5.0, 1.0, 4.0, 2.0, 3.0], &[0]);
        check_times(Split::TEST, &[1.0, 2.0, 2.0, 2.0, 2.0], &[1, 2, 3, 4]);
        check_times(Split::valid(0.5), &[3.0, 1.0, 2.0, 2.0], &[0, 2, 3]);
        check_times(Split::valid(0.5), &[1.0, 1.0, 1.0, 3.0], &[3]);
        check_times(Split::valid(0.5), &[0.0, 2.0, 1.0, 1.0, 1.0, 1.0, 3.0, 3.0], &[1, 6, 7]);
        check_times(Split::valid(0.99), &[-1.0, -2.0, -3.0], &[0, 1]);
        check_times(Split::valid(0.0), &[1.0, 2.0], &[]);
        let message = Split::TEST.rows_by_time(&[1.0, f64::NAN]).unwrap_err().to_string();
        assert!(message.contains("time of row 1: expected a time") && message.contains("leave out"), "{message}");
    }

    /// Random times with many equal ones: no row in training is later than, or as late as, one that is held out.
    #[test]
    fn no_row_of_the_future_is_in_training() {
        for seed in 0..300 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let count = below(60, &mut rng);
            let distinct = 1 + below(40, &mut rng);
            let times: Vec<f64> = (0..count).map(|_| below(distinct, &mut rng) as f64 - 10.0).collect();
            let share = below(100, &mut rng) as f64 / 100.0;
            let rows = Split::valid(share).rows_by_time(&times).unwrap();
            let (held_out, training): (Vec<usize>, Vec<usize>) =
                (0..times.len()).partition(|row| rows.binary_search(row).is_ok());
            let first = held_out.iter().map(|&row| times[row]).fold(f64::INFINITY, f64::min);
            assert!(training.iter().all(|&row| times[row] < first), "seed {seed}");
            let most_equal = times.iter().map(|time| times.iter().filter(|other| *other == time).count()).max();
            let off = rows.len().abs_diff((share * times.len() as f64).ceil() as usize);
            assert!(off <= most_equal.unwrap_or(0), "seed {seed}: off by {off}");
            assert!(share == 0.0 || !held_out.is_empty() || times.iter().all(|time| *time == times[0]), "seed {seed}");
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
        let groups = group_names(&(0..30).map(|row| row % 10).collect::<Vec<_>>());
        assert_eq!(Split::TEST.rows_by_group(&groups), [6, 8, 16, 18, 26, 28]);
        assert_eq!(Split::valid(0.2).rows_by_group(&groups), [7, 9, 17, 19, 27, 29]);
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
