//! Planted leaks are found, honest columns are not taken for leaks.

use ndarray::{Array2, arr2, s};
use schuss::leaks::{shared_rows, telltale_columns};
use schuss::{Dataset, Features, Targets};

/// SplitMix64 (Steele et al. 2014), as numbers in [0, 1).
fn random(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn noise(seed: u64, rows: usize, columns: usize) -> Array2<f64> {
    let mut random = random(seed);
    Array2::from_shape_simple_fn((rows, columns), || 2.0 * random() - 1.0)
}

/// The features with one class for all rows.
fn of_class<'a>(features: Features<'a>, labels: &'static [u32]) -> Dataset<'a> {
    Dataset::new(features, Targets::Classes { labels: &labels[..features.rows()], classes: 2 }).unwrap()
}

#[track_caller]
fn check_shared(train: Features, test: Features, expected: usize) {
    let [zeros, ones]: [&[u32]; 2] = [&[0; 1000], &[1; 1000]];
    assert_eq!(shared_rows(of_class(train, zeros), of_class(test, zeros)), expected);
    assert_eq!(shared_rows(of_class(train, zeros), of_class(test, ones)), 0, "of another class");
}

#[test]
fn rows_in_both_parts() {
    let train = noise(1, 100, 3);
    let mut test = noise(2, 10, 3);
    check_shared(Features::F64(train.view()), Features::F64(test.view()), 0);
    test.row_mut(2).assign(&train.row(99));
    test.row_mut(7).assign(&train.row(0));
    // Twice in the test data: two rows of them.
    test.row_mut(8).assign(&train.row(0));
    check_shared(Features::F64(train.view()), Features::F64(test.view()), 3);
    // Nearly the same is not the same.
    test[(7, 1)] += 1e-15;
    check_shared(Features::F64(train.view()), Features::F64(test.view()), 2);
    check_shared(Features::F64(train.view()), Features::F64(test.slice(s![.., ..2])), 0);
    let zeros = [arr2(&[[0.0, 1.0], [5.0, 5.0]]), arr2(&[[-0.0, 1.0], [5.0, 4.0]])];
    check_shared(Features::F64(zeros[0].view()), Features::F64(zeros[1].view()), 1);
    let bytes = arr2(&[[5u8, 5], [0, 1]]);
    check_shared(Features::U8(bytes.view()), Features::F64(zeros[1].view()), 1);
    check_shared(Features::F32(zeros[1].mapv(|x| x as f32).view()), Features::U8(bytes.view()), 1);
}

#[track_caller]
fn check_telltales<'a>(features: &'a Array2<f64>, targets: Targets<'a>, expected: &[usize]) {
    let columns: Vec<_> = (0..features.ncols()).map(|column| vec![column]).collect();
    let found = telltale_columns(Dataset::new(Features::F64(features.view()), targets).unwrap(), &columns);
    assert_eq!(found.iter().map(|telltale| telltale.column).collect::<Vec<_>>(), expected, "{found:?}");
    assert!(found.iter().all(|telltale| telltale.share >= 0.999 && telltale.share <= 1.0), "{found:?}");
}

/// Columns that are normally spread around a place of each class, so far apart.
fn clusters(labels: &[u32], columns: usize, apart: f64) -> Array2<f64> {
    let mut random = random(3);
    let mut normal = move || (0..12).map(|_| random()).sum::<f64>() - 6.0;
    Array2::from_shape_fn((labels.len(), columns), |(row, _)| apart * f64::from(labels[row]) + normal())
}

#[test]
fn classes_given_away() {
    for (rows, classes) in [(60, 2), (1000, 3), (20_000, 100)] {
        let mut random = random(4);
        let labels: Vec<u32> = (0..rows).map(|_| (random() * classes as f64) as u32).collect();
        let mut features = clusters(&labels, 5, 1.0);
        check_telltales(&features, Targets::Classes { labels: &labels, classes }, &[]);
        // The label itself; the label in disguise, with noise that leaves it readable.
        (0..rows).for_each(|row| features[(row, 1)] = f64::from(labels[row]));
        let mut shuffled: Vec<f64> = (0..classes).map(|class| (class * 37 % 101) as f64).collect();
        shuffled.reverse();
        (0..rows).for_each(|row| features[(row, 3)] = shuffled[labels[row] as usize] + 0.3 * random());
        check_telltales(&features, Targets::Classes { labels: &labels, classes }, &[1, 3]);
    }
}

/// A category for each of four classes, in columns of 0 and 1: none of them gives all away, together they do.
#[test]
fn classes_given_away_by_a_category() {
    let labels: Vec<u32> = (0..2000).map(|row| row * 7 % 4).collect();
    let mut features = clusters(&labels, 6, 0.5);
    for (row, &label) in labels.iter().enumerate() {
        (0..4).for_each(|place| features[(row, place)] = f64::from(place as u32 == (label + 1) % 4));
    }
    let dataset =
        Dataset::new(Features::F64(features.view()), Targets::Classes { labels: &labels, classes: 4 }).unwrap();
    let found = |columns: &[Vec<usize>]| {
        telltale_columns(dataset, columns).iter().map(|telltale| telltale.column).collect::<Vec<_>>()
    };
    assert_eq!(found(&[vec![0], vec![1], vec![5]]), [0; 0]);
    assert_eq!(found(&[vec![4], vec![0, 1, 2, 3], vec![4, 5]]), [1]);
}

/// Of three classes, like irises, one stands apart: no column gives all away. Nor does one that is right nearly always.
#[test]
fn honest_classes() {
    let labels: Vec<u32> = (0..150).map(|row| row / 50).collect();
    let mut features = clusters(&labels, 4, 2.5);
    (0..50).for_each(|row| features[(row, 2)] -= 40.0);
    check_telltales(&features, Targets::Classes { labels: &labels, classes: 3 }, &[]);
    let labels: Vec<u32> = (0..5000).map(|row| row % 2).collect();
    let features = clusters(&labels, 4, 4.5);
    check_telltales(&features, Targets::Classes { labels: &labels, classes: 2 }, &[]);
    // All but a few rows are of one class: guessing that is right more often than 99.9 %.
    let labels: Vec<u32> = (0..20_000).map(|row| u32::from(row % 2500 == 0)).collect();
    let features = clusters(&labels, 4, 1.0);
    check_telltales(&features, Targets::Classes { labels: &labels, classes: 2 }, &[]);
    // Too few to tell.
    let labels = [0, 1, 1, 0];
    let features = arr2(&[[0.0], [1.0], [1.0], [0.0]]);
    check_telltales(&features, Targets::Classes { labels: &labels, classes: 2 }, &[]);
}

#[test]
fn numbers_given_away() {
    for rows in [80, 5000] {
        let mut features = noise(5, rows, 6);
        // Of two targets, the first follows from the first column, up to noise of 5 %.
        let mut targets = noise(6, rows, 2);
        for row in 0..rows {
            targets[(row, 0)] = features[(row, 0)] + 0.05 * targets[(row, 0)];
        }
        check_telltales(&features, Targets::Values(targets.view()), &[]);
        for row in 0..rows {
            features[(row, 2)] = 3.0 - 1000.0 * targets[(row, 1)];
            features[(row, 5)] = targets[(row, 0)];
        }
        check_telltales(&features, Targets::Values(targets.view()), &[2, 5]);
        if rows > 1000 {
            (0..rows).for_each(|row| features[(row, 4)] = targets[(row, 1)].exp());
            check_telltales(&features, Targets::Values(targets.view()), &[2, 4, 5]);
        }
        if rows > 1000 {
            // Normal numbers, and a copy that is clipped smoothly.
            let mut random = random(8);
            let normal = Array2::from_shape_simple_fn((rows, 1), || (0..12).map(|_| random()).sum::<f64>() - 6.0);
            let clipped = normal.mapv(|x| x / (1.0 + (x / 1.5).powi(2)).sqrt());
            check_telltales(&clipped, Targets::Values(normal.view()), &[0]);
        }
        let constant = Array2::from_elem((rows, 1), 7.0);
        check_telltales(&features, Targets::Values(constant.view()), &[]);
    }
}
