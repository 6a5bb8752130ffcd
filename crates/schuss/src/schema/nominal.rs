//! Numbers that are names: of a shop, a route, an occupation.

use crate::Targets;

/// Names are told from quantities where there are more different ones than this,
const FEW_NAMES: usize = 8;
/// and no more than an embedding should have rows;
const MOST_NAMES: usize = 1 << 16;
/// a name is had by so many rows on average or more,
const ROWS_OF_ONE: usize = 2;
/// and by less than one of so many.
const SHARE_OF_ONE: usize = 2;
/// Of the targets' variance, names have to tell so much that their order does not.
const LEAST_SHARE: f64 = 0.04;
/// What the order does not tell, as a share of what names tell: all of it if the order says nothing. Where it seems to be
/// much more, it is of numbers that few rows have.
const SHARES_OF_EXPLAINED: std::ops::Range<f64> = 0.6..2.5;
/// How far beyond chance: some twelve standard errors.
const BEYOND_CHANCE: f64 = 15.0;

/// The targets' mean over the rows that have the same number.
#[derive(Clone, Default)]
struct Group {
    number: f64,
    rows: f64,
    mean: Vec<f64>,
}

/// Whether these whole numbers (NaN where one is missing) are names rather than quantities: targets of the same number are
/// alike, and those of the next numbers no more alike than any others.
///
/// With m(i) the mean target of the i-th different number, in ascending order, that n(i) rows have, and σ² the variance of
/// targets within numbers, a smooth curve leaves nothing but noise in r(i) = m(i) - a m(i-1) - b m(i+1), where a and b = 1 - a
/// interpolate (Gasser, Sroka and Jennen-Steinmetz 1986): E r² = v σ² with v = 1/n(i) + a²/n(i-1) + b²/n(i+1). Names of
/// variance β² in no order add (1 + a² + b²) β². So F = mean(r²/v) / σ² tells the two apart, and
/// β² = (mean(r²/v) - σ²) / mean((1 + a² + b²)/v). Of classes, targets are columns of 0 and 1, and squares are summed.
///
/// Numbers are names where there are more than 8 and at most 65,536, for two rows each or more on average, none in half of the
/// rows or more; β² is at least 0.04 of the targets' variance, and 0.6 to 2.5 times what the numbers explain of it as names; and
/// F > 1 + 15 √(3/((k - 2) d)) for k numbers and targets of d dimensions, which is more than chance and the steps of a quantity
/// make.
///
/// # Panics
/// There are more or fewer targets than numbers.
pub fn is_nominal(numbers: &[f64], targets: Targets) -> bool {
    assert_eq!(numbers.len(), targets.rows(), "a target for each number");
    if numbers.iter().any(|x| x.is_finite() && x.fract() != 0.0) {
        return false;
    }
    let mut order: Vec<usize> = (0..numbers.len()).filter(|&row| !numbers[row].is_nan()).collect();
    order.sort_unstable_by(|&i, &j| (numbers[i] + 0.0).total_cmp(&(numbers[j] + 0.0)).then(i.cmp(&j)));
    let groups = || order.chunk_by(|&i, &j| numbers[i] == numbers[j]);
    let (rows, count) = (order.len(), groups().count());
    let most = groups().map(<[usize]>::len).max().unwrap_or(0);
    let may_be_names = (FEW_NAMES + 1..=MOST_NAMES).contains(&count);
    if !may_be_names || ROWS_OF_ONE * count > rows || SHARE_OF_ONE * most >= rows {
        return false;
    }
    let all = group_of(&order, numbers, targets);
    let variance = squared_distances(&order, targets, &all.mean) / rows as f64;
    let mut within = 0.0;
    let [mut squares, mut factors] = [0.0; 2];
    let mut neighbours: [Group; 3] = Default::default();
    for (i, members) in groups().enumerate() {
        neighbours.rotate_left(1);
        neighbours[2] = group_of(members, numbers, targets);
        within += squared_distances(members, targets, &neighbours[2].mean);
        let [before, here, after] = &neighbours;
        if i >= 2 {
            let a = (after.number - here.number) / (after.number - before.number);
            let b = 1.0 - a;
            let of_noise = 1.0 / here.rows + a * a / before.rows + b * b / after.rows;
            let residual = |((here, before), after): ((&f64, &f64), &f64)| here - a * before - b * after;
            let square = here.mean.iter().zip(&before.mean).zip(&after.mean).map(|means| residual(means).powi(2));
            squares += square.sum::<f64>() / of_noise;
            factors += (1.0 + a * a + b * b) / of_noise;
        }
    }
    let noise = within / (rows - count) as f64;
    let residuals = (count - 2) as f64;
    let of_names = (squares / residuals - noise) / (factors / residuals);
    let explained = variance - noise;
    let chance = 1.0 + BEYOND_CHANCE * (3.0 / (residuals * dimensions(targets, &all.mean))).sqrt();
    squares / residuals > chance * noise
        && of_names >= LEAST_SHARE * variance
        && explained > 0.0
        && SHARES_OF_EXPLAINED.contains(&(of_names / explained))
}

fn group_of(members: &[usize], numbers: &[f64], targets: Targets) -> Group {
    let rows = members.len() as f64;
    let mut mean = vec![0.0; targets.width()];
    for &row in members {
        match targets {
            Targets::Classes { labels, .. } => mean[labels[row] as usize] += 1.0 / rows,
            Targets::Values(values) => mean.iter_mut().zip(values.row(row)).for_each(|(mean, y)| *mean += y / rows),
        }
    }
    Group { number: numbers[members[0]], rows, mean }
}

/// In how many directions targets vary: (tr Σ)² / tr Σ² of their covariance Σ, which of classes of shares p is diag(p) - p pᵀ.
fn dimensions(targets: Targets, mean: &[f64]) -> f64 {
    match targets {
        Targets::Classes { .. } => {
            let [squares, cubes] = [2, 3].map(|power| mean.iter().map(|p| p.powi(power)).sum::<f64>());
            (1.0 - squares).powi(2) / (squares - 2.0 * cubes + squares * squares)
        }
        // Those that are the same would count twice.
        Targets::Values(_) => 1.0,
    }
}

/// The sum of |y - mean|² over these rows, of which it is the mean; of a class, y is 1 at its place and 0 elsewhere.
fn squared_distances(members: &[usize], targets: Targets, mean: &[f64]) -> f64 {
    match targets {
        Targets::Classes { .. } => members.len() as f64 * (1.0 - mean.iter().map(|x| x * x).sum::<f64>()),
        Targets::Values(values) => {
            let of_row =
                |&row: &usize| values.row(row).iter().zip(mean).map(|(y, mean)| (y - mean).powi(2)).sum::<f64>();
            members.iter().map(of_row).sum()
        }
    }
}
