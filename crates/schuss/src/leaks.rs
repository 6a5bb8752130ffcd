//! Signs that a result is too good to be true: rows of the test data that were trained on, and columns that give the
//! target away.

use std::borrow::Cow;
use std::collections::HashMap;

use ndarray::{ArrayView1, ArrayView2};

use crate::dataset::{Value, with_view};
use crate::random::{Purpose, Stream};
use crate::{Dataset, Features, Targets};

/// How many rows of `test` stand in `train`, too, with the same target and the same value in every column: 0 and -0 are the
/// same, numbers of different types by their values. Where the columns differ in number, there are none.
///
/// Rows of few and coarse values may well be the same by chance.
pub fn shared_rows(train: Dataset, test: Dataset) -> usize {
    let (features, of_test) = (train.features(), test.features());
    if features.columns() != of_test.columns() {
        return 0;
    }
    let is_of_target = |i: usize, j: usize| match (train.targets(), test.targets()) {
        (Targets::Classes { labels, .. }, Targets::Classes { labels: of_test, .. }) => labels[i] == of_test[j],
        (Targets::Values(values), Targets::Values(of_test)) => values.row(i) == of_test.row(j),
        _ => false,
    };
    match (features, of_test) {
        // Pixels are many: eight at a time.
        (Features::U8(train), Features::U8(test)) => shared(train, test, hash_of_bytes, hash_of_bytes, is_of_target),
        _ => with_view!(features, train => with_view!(of_test, test => {
            shared(train, test, hash_of_numbers, hash_of_numbers, is_of_target)
        })),
    }
}

/// `is_of_target` says of a row of `train` and one of `test` whether they have the same target.
fn shared<A: Value, B: Value>(
    train: ArrayView2<A>,
    test: ArrayView2<B>,
    hash_of_train: impl Fn(ArrayView1<A>) -> u64,
    hash_of_test: impl Fn(ArrayView1<B>) -> u64,
    is_of_target: impl Fn(usize, usize) -> bool,
) -> usize {
    let mut of_hash: HashMap<u64, Vec<usize>> = HashMap::new();
    for (i, row) in test.rows().into_iter().enumerate() {
        of_hash.entry(hash_of_test(row)).or_default().push(i);
    }
    let mut is_shared = vec![false; test.nrows()];
    for (i, row) in train.rows().into_iter().enumerate() {
        for &j in of_hash.get(&hash_of_train(row)).into_iter().flatten() {
            is_shared[j] = is_shared[j]
                || is_of_target(i, j)
                    && row.iter().zip(test.row(j)).all(|(&a, &b)| Into::<f64>::into(a) == Into::<f64>::into(b));
        }
    }
    is_shared.into_iter().filter(|is_shared| *is_shared).count()
}

/// Of the numbers' bits, -0 taken as 0.
fn hash_of_numbers<A: Value>(row: ArrayView1<A>) -> u64 {
    row.iter().fold(0, |hash, &x| mix(hash, (x.into() + 0.0).to_bits()))
}

fn hash_of_bytes(row: ArrayView1<u8>) -> u64 {
    let bytes = row.to_slice().map_or_else(|| Cow::Owned(row.to_vec()), Cow::Borrowed);
    let (words, rest) = bytes.as_chunks::<8>();
    let words = words.iter().map(|word| u64::from_le_bytes(*word));
    words.chain(rest.iter().map(|&byte| byte.into())).fold(0, mix)
}

/// A multiplication for each word (the multiplier is that of SplitMix64, Steele et al. 2014), the upper bits brought down
/// for the next.
fn mix(hash: u64, word: u64) -> u64 {
    let mixed = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 32
}

/// A column that alone says what the target is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Telltale {
    /// The place of the column among those looked at.
    pub column: usize,
    /// How well it says so on rows that the rule was not made from: the share of them that are right, of numbers R².
    pub share: f64,
}

/// The columns from which the target can be told alone, as if it had been copied there. Each is one or more of the features:
/// of several, such as the columns of 0 and 1 of a category, rows are the same where all are.
///
/// A rule is made from one half of the rows and judged on the other. Classes: that of the nearest value (the most frequent
/// one, where a value has several); it is right for 99.9 % of the rows and wrong ten times less often than the most
/// frequent class. Numbers: between the two nearest values on a straight line, where there are two, or on the straight line of
/// least squares; R² is 0.9999 or more. Of several targets, the first 16 are looked at; data of fewer than 50 rows tell nothing.
///
/// At most some thousand rows are looked at, drawn once and for all; most columns are let off after a hundred.
pub fn telltale_columns(train: Dataset, columns: &[Vec<usize>]) -> Vec<Telltale> {
    const LEAST_ROWS: usize = 50;
    if train.rows() < LEAST_ROWS {
        return Vec::new();
    }
    let mut rows: Vec<u32> = (0..train.rows() as u32).collect();
    Stream::new(0, Purpose::Leak, 0).shuffle(&mut rows);
    match train.targets() {
        Targets::Classes { labels, classes } => {
            let label = |row: u32| labels[row as usize];
            find(train.features(), columns, &rows, classes, &|pairs| judge_classes(pairs, classes), &label)
        }
        Targets::Values(values) => {
            let mut found: Vec<Telltale> = Vec::new();
            for target in values.columns().into_iter().take(16) {
                let value = |row: u32| target[row as usize];
                for telltale in find(train.features(), columns, &rows, 2, &judge_numbers, &value) {
                    match found.iter_mut().find(|of_other| of_other.column == telltale.column) {
                        Some(of_other) => of_other.share = of_other.share.max(telltale.share),
                        None => found.push(telltale),
                    }
                }
            }
            found.sort_by_key(|telltale| telltale.column);
            found
        }
    }
}

/// What a rule comes to on rows that it was not made from.
struct Verdict {
    share: f64,
    /// Whether this is so much better than guessing that a larger sample is worth a look.
    is_suspect: bool,
    is_telltale: bool,
}

/// Values of a column beside the target: those that a rule is made from, and those by which it is judged.
type Halves<Y> = [Vec<(f64, Y)>; 2];

/// The columns that stay suspect in samples of `rows` that grow until the last is large enough to tell.
fn find<Y: Copy>(
    features: Features,
    columns: &[Vec<usize>],
    rows: &[u32],
    classes: usize,
    judge: &dyn Fn(Halves<Y>) -> Verdict,
    target: &dyn Fn(u32) -> Y,
) -> Vec<Telltale> {
    // Every class is to be there a few times even in the first sample.
    let first = (16 * classes).max(256);
    let last = (64 * classes).max(8192).min(rows.len());
    let verdict = |column: &[usize]| {
        let mut size = first.min(last);
        loop {
            let values = with_view!(features, view => values_of(view, column, &rows[..size]));
            let mut fitted: Vec<(f64, Y)> = values.into_iter().zip(rows.iter().map(|&row| target(row))).collect();
            let judged = fitted.split_off(size / 2);
            let verdict = judge([fitted, judged]);
            if !verdict.is_suspect || size == last {
                return verdict;
            }
            size = (4 * size).min(last);
        }
    };
    let verdicts = columns.iter().map(|column| verdict(column)).enumerate();
    let telltales = verdicts.filter(|(_, verdict)| verdict.is_telltale);
    telltales.map(|(column, Verdict { share, .. })| Telltale { column, share }).collect()
}

/// A column's values in these rows, -0 taken as 0; of several features, a number for each different row of them.
fn values_of<X: Value>(view: ArrayView2<X>, column: &[usize], rows: &[u32]) -> Vec<f64> {
    let value = |row: u32, feature: usize| view[(row as usize, feature)].into() + 0.0;
    if let [feature] = column {
        return rows.iter().map(|&row| value(row, *feature)).collect();
    }
    let mut numbers: HashMap<Vec<u64>, usize> = HashMap::new();
    let mut number = |row: u32| {
        let values = column.iter().map(|&feature| value(row, feature).to_bits()).collect();
        let next = numbers.len();
        *numbers.entry(values).or_insert(next) as f64
    };
    rows.iter().map(|&row| number(row)).collect()
}

fn judge_classes([mut fitted, judged]: Halves<u32>, classes: usize) -> Verdict {
    let mut counts = vec![0usize; classes];
    let most_frequent = |labels: &[(f64, u32)], counts: &mut [usize]| {
        labels.iter().for_each(|&(_, label)| counts[label as usize] += 1);
        let best = labels.iter().map(|&(_, label)| label).max_by_key(|&label| counts[label as usize]);
        labels.iter().for_each(|&(_, label)| counts[label as usize] = 0);
        best.unwrap_or(0)
    };
    let guess = most_frequent(&fitted, &mut counts);
    let wrong_guesses = judged.iter().filter(|(_, label)| *label != guess).count();
    fitted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let rule: Vec<(f64, u32)> =
        fitted.chunk_by(|a, b| a.0 == b.0).map(|same| (same[0].0, most_frequent(same, &mut counts))).collect();
    let wrong = judged.iter().filter(|(x, label)| nearest(&rule, *x).1 != *label).count();
    let share = 1.0 - wrong as f64 / judged.len() as f64;
    Verdict {
        share,
        is_suspect: 2 * wrong <= wrong_guesses,
        is_telltale: share >= 0.999 && wrong_guesses > 0 && 10 * wrong <= wrong_guesses,
    }
}

fn judge_numbers([mut fitted, judged]: Halves<f64>) -> Verdict {
    let mean =
        |of: &dyn Fn(&(f64, f64)) -> f64, pairs: &[(f64, f64)]| pairs.iter().map(of).sum::<f64>() / pairs.len() as f64;
    let [x_mean, y_mean] = [mean(&|(x, _)| *x, &fitted), mean(&|(_, y)| *y, &fitted)];
    let variance = mean(&|(x, _)| (x - x_mean).powi(2), &fitted);
    let covariance = mean(&|(x, y)| (x - x_mean) * (y - y_mean), &fitted);
    let slope = if variance > 0.0 { covariance / variance } else { 0.0 };
    fitted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let rule: Vec<(f64, f64)> =
        fitted.chunk_by(|a, b| a.0 == b.0).map(|same| (same[0].0, mean(&|(_, y)| *y, same))).collect();
    // Beyond its ends the rule says nothing; of a column that is clipped, that is where targets are far apart.
    let ends = [rule[0].0, rule[rule.len() - 1].0];
    let judged: Vec<(f64, f64)> = judged.into_iter().filter(|(x, _)| (ends[0]..=ends[1]).contains(x)).collect();
    let judged_mean = mean(&|(_, y)| *y, &judged);
    let deviation = mean(&|(_, y)| (y - judged_mean).powi(2), &judged);
    let on_line = mean(&|(x, y)| (y_mean + slope * (x - x_mean) - y).powi(2), &judged);
    let between = mean(&|(x, y)| (interpolate(&rule, *x) - y).powi(2), &judged);
    // Of targets that are all the same, rounding is left.
    let is_constant = deviation <= 1e-20 * judged_mean * judged_mean;
    let share = if is_constant || judged.is_empty() { 0.0 } else { 1.0 - on_line.min(between) / deviation };
    Verdict { share, is_suspect: share >= 0.5, is_telltale: share >= 0.9999 }
}

/// The value of a rule, in rising order, that is nearest to `x`, the lower of two.
fn nearest<Y: Copy>(rule: &[(f64, Y)], x: f64) -> (f64, Y) {
    let above = rule.partition_point(|(of_rule, _)| *of_rule < x).min(rule.len() - 1);
    let below = above.saturating_sub(1);
    if (rule[above].0 - x).abs() < (x - rule[below].0).abs() { rule[above] } else { rule[below] }
}

/// On the straight line between the two values of a rule around `x`, which is not beyond its ends.
fn interpolate(rule: &[(f64, f64)], x: f64) -> f64 {
    let above = rule.partition_point(|(of_rule, _)| *of_rule < x);
    if above == 0 {
        return rule[0].1;
    }
    let [(x_below, y_below), (x_above, y_above)] = [rule[above - 1], rule[above]];
    y_below + (x - x_below) / (x_above - x_below) * (y_above - y_below)
}
