//! Metrics against scikit-learn's (`golden/make_metrics.py`), confidence intervals against simulations.

use std::collections::BTreeMap;

use ndarray::Array2;
use schuss::metrics::{
    self, Average, Bootstrap, Confusion, Interval, average_precision, macro_one_vs_rest, paired_shares,
    precision_recall_curve, roc_auc, roc_curve, thin, wilson,
};
use schuss::{
    Activation, Dataset, Evaluation, Features, Init, Levels, Loss, Model, Network, Scores, Targets, Task, Threads,
};
use serde_json::Value;

const GOLDEN: &str = include_str!("../golden/metrics.json");
const TOLERANCE: f64 = 1e-12;

fn cases(kind: &str) -> Vec<Value> {
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let of_kind = |case: &&Value| case["kind"] == kind;
    let cases: Vec<Value> = golden["cases"].as_array().unwrap().iter().filter(of_kind).cloned().collect();
    assert!(cases.len() >= 4, "cases of {kind}");
    cases
}

/// null is NaN.
fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap_or(f64::NAN)).collect()
}

fn matrix(value: &Value) -> Array2<f64> {
    let rows: Vec<Vec<f64>> = value.as_array().unwrap().iter().map(numbers).collect();
    let shape = (rows.len(), rows[0].len());
    Array2::from_shape_vec(shape, rows.concat()).unwrap()
}

fn classes_of(value: &Value) -> Vec<u32> {
    numbers(value).into_iter().map(|x| x as u32).collect()
}

fn weights_of(case: &Value) -> Option<Vec<f64>> {
    (!case["weights"].is_null()).then(|| numbers(&case["weights"]))
}

/// Within the tolerance, relative above 1; both may be undefined.
#[track_caller]
fn check_close(what: &str, got: Option<f64>, expected: &Value) {
    match (got.filter(|x| x.is_finite()), expected.as_f64()) {
        (None, None) => {}
        (Some(got), Some(expected)) if (got - expected).abs() <= TOLERANCE * expected.abs().max(1.0) => {}
        (got, _) => panic!("{what}: {got:?}, expected {expected}"),
    }
}

#[track_caller]
fn check_all(what: &str, got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len(), "{what}: how many");
    for (i, (&got, &expected)) in got.iter().zip(expected).enumerate() {
        check_close(&format!("{what}[{i}]"), Some(got), &expected.into());
    }
}

fn dataset<'a>(x: &'a Array2<f64>, targets: Targets<'a>, weights: Option<&'a [f64]>) -> Dataset<'a> {
    let dataset = Dataset::new(Features::F64(x.view()), targets).unwrap();
    weights.map_or(dataset, |weights| dataset.with_weights(weights).unwrap())
}

/// Every measure is what the case expects.
#[track_caller]
fn check_measures(case: &Value, evaluation: &Evaluation) {
    let measures = evaluation.measures(&Threads::ONE);
    for measure in &measures {
        let what = format!("{} of {}", measure.key, case["name"]);
        check_close(&what, measure.value, &case["expected"][measure.key]);
        if let (Some(value), Some(Interval { low, high })) = (measure.value, measure.interval) {
            assert!(low <= high && value.is_finite(), "{what}: {value} in {low} to {high}");
        }
    }
    let main = evaluation.main();
    assert_eq!((main.key, main.value), (measures[0].key, measures[0].value), "main of {}", case["name"]);
}

#[test]
fn classes_are_scikit_learns() {
    for case in cases("classes") {
        let name = case["name"].as_str().unwrap();
        let (labels, p) = (classes_of(&case["labels"]), matrix(&case["predictions"]));
        let (classes, expected, weights) = (p.ncols(), &case["expected"], weights_of(&case));
        let weights = weights.as_deref();
        let predicted: Vec<u32> = p.rows().into_iter().map(|row| schuss::argmax(row) as u32).collect();
        let what = |metric: &str| format!("{metric} of {name}");
        let confusion = Confusion::new(&labels, &predicted, classes, weights);
        check_all(
            &what("confusion"),
            &confusion.counts().iter().copied().collect::<Vec<_>>(),
            matrix(&expected["confusion"]).as_slice().unwrap(),
        );
        for (class, scores) in (0..classes).map(|class| (class, confusion.class(class).scores())) {
            let got = [scores.precision, scores.recall, scores.f1, scores.support];
            check_all(&what(&format!("class {class}")), &got, &matrix(&expected["each"]).column(class).to_vec());
        }
        for (key, average) in [("macro", Average::Macro), ("weighted", Average::Weighted), ("micro", Average::Micro)] {
            let scores = confusion.average(average);
            let got = [scores.precision, scores.recall, scores.f1];
            check_all(&what(key), &got, &numbers(&expected["averages"][key]));
        }
        let areas = [roc_auc, average_precision].map(|area| macro_one_vs_rest(&labels, p.view(), weights, area));
        check_close(&what("roc_auc"), areas[0], &expected["roc_auc"]);
        check_close(&what("pr_auc"), areas[1], &expected["pr_auc"]);
        let plain = [
            ("accuracy", metrics::accuracy(&labels, &predicted, weights)),
            ("accuracy", confusion.accuracy()),
            ("balanced_accuracy", confusion.balanced_accuracy()),
            ("matthews", confusion.matthews()),
            ("log_loss", metrics::log_loss(&labels, p.view(), weights)),
            ("brier", metrics::brier(&labels, p.view(), weights)),
        ];
        for (key, got) in plain {
            check_close(&what(key), Some(got), &expected[key]);
        }
        // Of equal probabilities, scikit-learn puts the last class first.
        if !["ties", "constant", "perfect", "wrong and sure"].contains(&name) && classes > 2 {
            let got = metrics::top_k_accuracy(&labels, p.view(), 2, weights);
            check_close(&what("top_2_accuracy"), Some(got), &expected["top_2_accuracy"]);
        }
        // An evaluation leaves classes out that weigh nothing; scikit-learn counts them into macro averages.
        if name != "a class that weighs nothing" {
            let targets = Targets::Classes { labels: &labels, classes };
            let x = Array2::zeros((p.nrows(), 1));
            let data = dataset(&x, targets, weights);
            let task = Task::Classification { classes };
            check_measures(&case, &Evaluation::of_predictions(task, true, p, data).unwrap());
        }
    }
}

#[test]
fn labels_are_scikit_learns() {
    for case in cases("labels") {
        let (targets, p) = (matrix(&case["targets"]), matrix(&case["predictions"]));
        let task = Task::MultiLabel { labels: p.ncols() };
        let (x, weights) = (Array2::zeros((p.nrows(), 1)), weights_of(&case));
        let data = dataset(&x, Targets::Values(targets.view()), weights.as_deref());
        check_measures(&case, &Evaluation::of_predictions(task, true, p, data).unwrap());
    }
}

#[test]
fn rankings_are_scikit_learns() {
    for case in cases("ranking") {
        let truth: Vec<bool> = case["truth"].as_array().unwrap().iter().map(|x| x.as_bool().unwrap()).collect();
        let (scores, weights) = (numbers(&case["scores"]), weights_of(&case));
        let weights = weights.as_deref();
        let what = |metric: &str| format!("{metric} of {}", case["name"]);
        check_close(&what("roc_auc"), roc_auc(&truth, &scores, weights), &case["expected"]["roc_auc"]);
        check_close(&what("pr_auc"), average_precision(&truth, &scores, weights), &case["expected"]["pr_auc"]);
        let curves = [
            ("roc", roc_curve(&truth, &scores, weights)),
            ("precision_recall", precision_recall_curve(&truth, &scores, weights)),
        ];
        for (key, points) in curves {
            match points {
                None => assert!(case["expected"][key].is_null(), "{}", what(key)),
                Some(points) => {
                    let expected = matrix(&case["expected"][key]);
                    check_all(&what(key), points.as_flattened(), expected.as_slice().unwrap());
                }
            }
        }
    }
}

#[test]
fn numbers_are_scikit_learns() {
    for case in cases("numbers") {
        let (a, y, weights) = (matrix(&case["predictions"]), matrix(&case["targets"]), weights_of(&case));
        let (weights, expected) = (weights.as_deref(), &case["expected"]);
        let what = |metric: &str| format!("{metric} of {}", case["name"]);
        check_close(&what("rmse"), Some(metrics::rmse(a.view(), y.view(), weights)), &expected["rmse"]);
        check_close(&what("mae"), Some(metrics::mae(a.view(), y.view(), weights)), &expected["mae"]);
        check_close(&what("r2"), Some(metrics::r2(a.view(), y.view(), weights)), &expected["r2"]);
        for (level, expected) in expected["pinball"].as_object().unwrap() {
            let got = metrics::pinball(a.view(), y.view(), level.parse().unwrap(), weights);
            check_close(&what(&format!("pinball at {level}")), Some(got), expected);
        }
        let x = Array2::zeros((a.nrows(), 1));
        let data = dataset(&x, Targets::Values(y.view()), weights);
        check_measures(&case, &Evaluation::of_predictions(Task::Regression, false, a, data).unwrap());
    }
}

/// The interval by its formula's usual tables (Brown, Cai and DasGupta 2001): 0 of 10 ends at 27.75 %, 95 of 100 begins at
/// 88.82 %.
#[test]
fn wilsons_interval() {
    for (share, rows, low, high) in [
        (0.0, 10.0, 0.0, 0.277_532_799),
        (1.0, 10.0, 0.722_467_201, 1.0),
        (0.5, 10.0, 0.236_593_090, 0.763_406_910),
        (0.95, 100.0, 0.888_249_561, 0.978_455_600),
    ] {
        let interval = wilson(share, rows).unwrap();
        for (got, expected) in [(interval.low, low), (interval.high, high)] {
            assert!((got - expected).abs() < 1e-6, "{share} of {rows}: {interval:?}, expected {low} to {high}");
        }
    }
    for (share, rows) in [(f64::NAN, 10.0), (1.5, 10.0), (0.5, 0.0), (0.5, f64::NAN)] {
        assert_eq!(wilson(share, rows), None);
    }
}

/// Of 50 rows, the first is right alone in 6 and the second in 2, by hand: 4/52 ± z √((10/52 - (4/52)²)/52). No two rows that
/// differ leave ± z √(2/52/52).
#[test]
fn differences_of_shares() {
    let right = |rows: std::ops::Range<usize>| (0..50).map(|row| f64::from(rows.contains(&row))).collect::<Vec<_>>();
    for (first, second, low, high) in [
        (right(0..40), right(6..42), -0.040_420_2, 0.194_266_4),
        (right(0..40), right(0..40), -0.053_304_0, 0.053_304_0),
    ] {
        let interval = paired_shares([&first, &second], &[1.0; 50]).unwrap();
        for (got, expected) in [(interval.low, low), (interval.high, high)] {
            assert!((got - expected).abs() < 1e-6, "{interval:?}, expected {low} to {high}");
        }
    }
    assert_eq!(paired_shares([&[1.0], &[0.0]], &[0.0]), None);
}

/// What a task is measured by, with the unit and whether it is a share; the main one first.
#[track_caller]
fn check_keys(evaluation: &Evaluation, expected: &str) {
    let measures = evaluation.measures(&Threads::ONE);
    let keys: Vec<&str> = measures.iter().map(|measure| measure.key).collect();
    assert_eq!(keys, expected.split_whitespace().collect::<Vec<_>>());
    assert_eq!(evaluation.main(), measures[0], "the main measure");
}

/// SplitMix64 (Steele et al. 2014).
struct Random(u64);

impl Random {
    /// In (0, 1).
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) >> 11) as f64 / (1u64 << 53) as f64 + f64::EPSILON / 4.0
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// Rows of some world: what is true, and what two models predict.
struct Rows {
    labels: Vec<u32>,
    values: Array2<f64>,
    predictions: [Array2<f64>; 2],
}

/// A world to draw rows from, independently of each other.
#[derive(Clone, Copy)]
enum World {
    /// Three classes; the first model knows their probabilities, which are the surer the larger the number; the second
    /// nearly does.
    Classes(f64),
    /// A number whose error is normal.
    Numbers,
}

impl World {
    fn draw(self, random: &mut Random, rows: usize) -> Rows {
        let width = if let Self::Classes(_) = self { 3 } else { 1 };
        let mut drawn = Rows {
            labels: vec![0; rows],
            values: Array2::zeros((rows, 1)),
            predictions: [(); 2].map(|()| Array2::zeros((rows, width))),
        };
        for row in 0..rows {
            match self {
                Self::Classes(sureness) => {
                    let logits = [(); 3].map(|()| sureness * random.normal());
                    let others = logits.map(|z| z + 0.4 * sureness * random.normal());
                    for (predictions, logits) in drawn.predictions.iter_mut().zip([logits, others]) {
                        let exponentials = logits.map(f64::exp);
                        let sum: f64 = exponentials.iter().sum();
                        (0..3).for_each(|class| predictions[(row, class)] = exponentials[class] / sum);
                    }
                    let (at, p) = (random.uniform(), drawn.predictions[0].row(row));
                    drawn.labels[row] = u32::from(at > p[0]) + u32::from(at > p[0] + p[1]);
                }
                Self::Numbers => {
                    drawn.values[(row, 0)] = 3.0 * random.normal();
                    let errors = [random.normal(), 1.1 * random.normal()];
                    for (predictions, error) in drawn.predictions.iter_mut().zip(errors) {
                        predictions[(row, 0)] = drawn.values[(row, 0)] + error;
                    }
                }
            }
        }
        drawn
    }
}

impl Rows {
    fn evaluations<R>(&self, f: impl FnOnce([Evaluation; 2]) -> R) -> R {
        let classes = self.predictions[0].ncols();
        let (task, targets) = match classes {
            1 => (Task::Regression, Targets::Values(self.values.view())),
            _ => (Task::Classification { classes }, Targets::Classes { labels: &self.labels, classes }),
        };
        let dataset = Dataset::new(Features::F64(self.values.view()), targets).unwrap();
        f([0, 1].map(|i| Evaluation::of_predictions(task, classes > 1, self.predictions[i].clone(), dataset).unwrap()))
    }

    /// The measures of the first model, and its main one less that of the second.
    fn values(&self) -> BTreeMap<&'static str, f64> {
        self.evaluations(|[first, second]| {
            let difference = first.difference(&second, &Threads::ONE).unwrap().value;
            let measures = first.values().into_iter().map(|measure| (measure.key, measure.value));
            measures.chain([("difference", difference)]).filter_map(|(key, value)| Some((key, value?))).collect()
        })
    }
}

/// How often, of many draws of `rows` rows, the 95 % intervals hold what is true of the world.
#[track_caller]
fn check_coverage(world: World, rows: usize, repetitions: usize) {
    let mut truth = world.draw(&mut Random(1), 400_000).values();
    // Whose intervals would not: it is not less than zero, and that of a sample is always greater than the true one.
    truth.remove("calibration_error");
    let mut held: BTreeMap<&str, [usize; 2]> = truth.keys().map(|key| (*key, [0; 2])).collect();
    let threads = Threads::all().unwrap();
    let mut random = Random(2);
    for _ in 0..repetitions {
        world.draw(&mut random, rows).evaluations(|[first, second]| {
            let difference = first.difference(&second, &threads).unwrap();
            let measures = first.measures(&threads).into_iter().map(|measure| (measure.key, measure.interval));
            for (key, interval) in measures.chain([("difference", difference.interval)]) {
                if let (Some([held, all]), Some(interval)) = (held.get_mut(key), interval) {
                    *held += usize::from(interval.contains(truth[key]));
                    *all += 1;
                }
            }
        });
    }
    for (key, [held, all]) in held {
        let coverage = held as f64 / all as f64;
        assert!(all as f64 >= 0.99 * repetitions as f64, "{rows} rows, {key}: {all} intervals of {repetitions}");
        assert!((0.90..=0.98).contains(&coverage), "{rows} rows, {key}: {coverage} of {all}");
    }
}

#[test]
fn intervals_hold_what_is_true_19_times_in_20() {
    check_coverage(World::Classes(1.0), 50, 500);
    check_coverage(World::Classes(1.0), 200, 250);
    // Right in 94 % of the rows.
    check_coverage(World::Classes(10.0), 200, 250);
    check_coverage(World::Numbers, 30, 500);
    check_coverage(World::Numbers, 200, 1000);
}

#[test]
fn tasks_have_their_measures() {
    let mut random = Random(3);
    let p = Array2::from_shape_simple_fn((40, 6), || random.uniform());
    let labels: Vec<u32> = (0..40).map(|row| row % 6).collect();
    let x = Array2::<f64>::zeros((40, 1));
    let of = |targets| Dataset::new(Features::F64(x.view()), targets).unwrap();
    let classes = of(Targets::Classes { labels: &labels, classes: 6 });
    let task = Task::Classification { classes: 6 };
    let sure = Evaluation::of_predictions(task, true, p.clone(), classes).unwrap();
    check_keys(
        &sure,
        "accuracy top_3_accuracy balanced_accuracy precision_macro recall_macro f1_macro matthews roc_auc pr_auc log_loss \
         brier calibration_error",
    );
    let plain = Evaluation::of_predictions(task, false, p.clone(), classes).unwrap();
    check_keys(
        &plain,
        "accuracy top_3_accuracy balanced_accuracy precision_macro recall_macro f1_macro matthews roc_auc pr_auc",
    );
    // A probability for each class: the largest counts.
    let shares = Array2::from_shape_fn((40, 6), |(row, class)| if labels[row] == class as u32 { 0.5 } else { 0.1 });
    let soft = Evaluation::of_predictions(task, true, p.clone(), of(Targets::Values(shares.view()))).unwrap();
    assert_eq!(soft.measures(&Threads::ONE), sure.measures(&Threads::ONE));
    let bits = p.mapv(|x| f64::from(x > 0.3));
    let task = Task::MultiLabel { labels: 6 };
    let labels = Evaluation::of_predictions(task, true, p.clone(), of(Targets::Values(bits.view()))).unwrap();
    check_keys(
        &labels,
        "accuracy exact precision_macro recall_macro f1_macro precision_micro recall_micro f1_micro roc_auc pr_auc log_loss \
         brier calibration_error",
    );
    let numbers =
        Evaluation::of_predictions(Task::Regression, false, p.clone(), of(Targets::Values(bits.view()))).unwrap();
    check_keys(&numbers, "rmse mae r2");
    let levels = Levels::new(&[0.1, 0.5, 0.9]).unwrap();
    let quantiles =
        Evaluation::of_quantiles(levels, p.clone(), of(Targets::Values(bits.slice(ndarray::s![.., ..2])))).unwrap();
    check_keys(&quantiles, "pinball rmse mae r2");
    let y = bits.slice(ndarray::s![.., ..2]);
    let of_level = |i: usize| p.slice(ndarray::s![.., i..;3]);
    let pinball =
        [0, 1, 2].map(|i| metrics::pinball(of_level(i), y, levels.levels()[i], None)).iter().sum::<f64>() / 3.0;
    check_close("pinball loss", quantiles.main().value, &pinball.into());
    let rmse = metrics::rmse(of_level(1), y, None);
    check_close("the level nearest to the median", quantiles.values()[1].value, &rmse.into());
    let medians = Evaluation::of_medians(of_level(1).to_owned(), of(Targets::Values(y))).unwrap();
    check_keys(&medians, "mae rmse r2");
    // Each is better than another of its kind by its own measure alone.
    for evaluation in [&quantiles, &medians] {
        let none = evaluation.difference(evaluation, &Threads::ONE).unwrap();
        assert_eq!((none.key, none.value), (evaluation.main().key, Some(0.0)));
    }
    assert!(quantiles.difference(&medians, &Threads::ONE).is_err(), "another main measure");
}

/// Values are those of the measures, and have no intervals; measures of nine rows have only those of shares.
#[test]
fn few_rows_have_few_intervals() {
    for (world, of_nine) in [(World::Classes(1.0), vec!["accuracy"]), (World::Numbers, vec![])] {
        for (rows, is_enough) in [(9, false), (10, true)] {
            world.draw(&mut Random(5), rows).evaluations(|[evaluation, _]| {
                let measures = evaluation.measures(&Threads::ONE);
                let known = measures.iter().filter(|measure| measure.interval.is_some()).map(|measure| measure.key);
                let known: Vec<&str> = known.collect();
                assert_eq!(known == of_nine, !is_enough, "{rows} rows: {known:?}");
                let without = measures.into_iter().map(|measure| metrics::Measure { interval: None, ..measure });
                assert_eq!(evaluation.values(), without.collect::<Vec<_>>());
            });
        }
    }
}

/// Wrong rows by how sure the model was.
#[test]
fn mistakes_are_sorted() {
    let x = Array2::<f64>::zeros((4, 1));
    let of = |targets| Dataset::new(Features::F64(x.view()), targets).unwrap();
    let p = ndarray::arr2(&[[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7]]);
    let task = Task::Classification { classes: 2 };
    let classes = of(Targets::Classes { labels: &[0, 0, 0, 1], classes: 2 });
    let evaluation = Evaluation::of_predictions(task, true, p.clone(), classes).unwrap();
    assert_eq!(evaluation.mistakes(10), [2, 1]);
    assert_eq!(evaluation.mistakes(1), [2]);
    let weighted = classes.with_weights(&[1.0, 1.0, 0.0, 1.0]).unwrap();
    assert_eq!(Evaluation::of_predictions(task, true, p.clone(), weighted).unwrap().mistakes(10), [1]);
    let y = ndarray::arr2(&[[1.0, 0.0], [1.0, 1.0], [1.0, 1.0], [0.0, 0.0]]);
    let labels = of(Targets::Values(y.view()));
    let evaluation = Evaluation::of_predictions(Task::MultiLabel { labels: 2 }, true, p.clone(), labels).unwrap();
    assert_eq!(evaluation.mistakes(10), [2, 3, 1]);
    // Errors of 1, 2, 4 and 0 in a target that varies a thousand times as much as the other.
    let y = ndarray::arr2(&[[0.9, 1.1], [0.4, 2.6], [-1000.0, 4.8], [1000.0, 0.7]]);
    let mut p = p;
    p.column_mut(0).assign(&y.column(0));
    let numbers = of(Targets::Values(y.view()));
    let evaluation = Evaluation::of_predictions(Task::Regression, false, p, numbers).unwrap();
    assert_eq!(evaluation.mistakes(10), [2, 1, 0]);
}

/// The same bits on any number of threads, and the same model is no better than itself.
#[test]
fn intervals_do_not_depend_on_threads() {
    let several = Threads::new(3).unwrap();
    for world in [World::Classes(2.0), World::Numbers] {
        world.draw(&mut Random(4), 150).evaluations(|[first, second]| {
            assert_eq!(first.measures(&Threads::ONE), first.measures(&several));
            let difference = first.difference(&second, &Threads::ONE).unwrap();
            assert_eq!(difference, first.difference(&second, &several).unwrap());
            assert_ne!(difference.value, Some(0.0));
            let none = first.difference(&first, &several).unwrap();
            assert_eq!((none.value, none.is_noise), (Some(0.0), true));
        });
    }
    let bootstrap = Bootstrap { replicates: 100, seed: 1 };
    let intervals = |seed| Bootstrap { seed, ..bootstrap }.intervals(&[1.0; 20], &several, |w| vec![w[0] + 2.0 * w[1]]);
    assert_eq!(intervals(1), intervals(1));
    assert_ne!(intervals(1), intervals(2));
}

/// Nothing is said where too little is known.
#[test]
fn bootstrap_without_an_answer() {
    let intervals = |weights: &[f64], metric: &(dyn Fn(&[f64]) -> f64 + Sync)| {
        Bootstrap::default().intervals(weights, &Threads::ONE, |w| vec![metric(w)])[0]
    };
    let mut weights = [1.0; 10];
    assert!(intervals(&weights, &|w| w[0]).is_some());
    assert_eq!(intervals(&weights[1..], &|w| w[0]), None, "nine rows");
    assert_eq!(intervals(&weights, &|_| f64::NAN), None, "undefined");
    // The first row is in a replicate with probability 1 - (9/10)¹⁰ = 65 %.
    assert_eq!(intervals(&weights, &|w| if w[0] > 0.0 { w[1] } else { f64::NAN }), None, "often undefined");
    assert_eq!(intervals(&weights, &|_| 4.0), Some(Interval { low: 4.0, high: 4.0 }), "the same for all");
    weights[3] = 0.0;
    assert_eq!(intervals(&weights, &|w| w[0]), None, "nine rows that count");
}

#[test]
fn evaluations_of_other_rows() {
    let x = Array2::<f64>::zeros((3, 1));
    let of = |labels| Dataset::new(Features::F64(x.view()), Targets::Classes { labels, classes: 2 }).unwrap();
    let task = Task::Classification { classes: 2 };
    let evaluation = |labels, rows| Evaluation::of_predictions(task, true, Array2::zeros((rows, 2)), of(labels));
    let first = evaluation(&[0, 1, 1], 3).unwrap();
    assert!(first.difference(&evaluation(&[0, 1, 0], 3).unwrap(), &Threads::ONE).is_err());
    assert!(evaluation(&[0, 1, 1], 2).is_err());
    let too_wide = Evaluation::of_predictions(task, true, Array2::zeros((3, 3)), of(&[0, 1, 1]));
    assert!(too_wide.is_err());
    assert!(Evaluation::of_predictions(Task::Regression, false, Array2::zeros((3, 2)), of(&[0, 1, 1])).is_err());
}

#[track_caller]
fn check_thin(points: &[[f64; 2]], most: usize, expected: usize) {
    let thinned = thin(points, most);
    assert_eq!(thinned.len(), expected, "{thinned:?}");
    assert_eq!([thinned.first(), thinned.last()], [points.first(), points.last()]);
    let mut rest = points.iter();
    assert!(thinned.iter().all(|point| rest.any(|of_curve| of_curve == point)), "points of the curve, in order");
}

#[test]
fn curves_are_thinned() {
    let line: Vec<[f64; 2]> = (0..=1000).map(|i| [f64::from(i) / 1000.0, f64::from(i) / 1000.0]).collect();
    check_thin(&line, 2000, 1001);
    check_thin(&line, 101, 101);
    check_thin(&line, 0, 2);
    // A jump, then a slope: most points are where the curve goes on.
    let corner: Vec<[f64; 2]> = (0..=1000).map(|i| [f64::from(i) / 1000.0, f64::from(i > 0)]).collect();
    check_thin(&corner, 11, 7);
    check_thin(&[[0.5; 2]; 30], 10, 2);
}

/// What [`Model::evaluate`] streams is what the evaluation of the same model has.
#[track_caller]
fn check_model(last: Activation, outputs: usize, loss: Loss, task: Task, data: Dataset) {
    let mut network = Network::<f64>::new(&[4, 5, outputs], Activation::Tanh, last).unwrap();
    Init::Glorot.draw(&mut network, 1);
    let model = Model::new(network, loss, task);
    let streamed = model.evaluate(data, &Threads::ONE).unwrap().scores;
    let measures = Evaluation::new(&model, data, &Threads::ONE).unwrap().measures(&Threads::ONE);
    let expected = match streamed {
        Scores::Classification { accuracy, log_loss } => vec![("accuracy", Some(accuracy)), ("log_loss", log_loss)],
        Scores::MultiLabel { accuracy, exact, log_loss } => {
            vec![("accuracy", Some(accuracy)), ("exact", Some(exact)), ("log_loss", log_loss)]
        }
        Scores::Regression { rmse, mae, r2 } => {
            assert_eq!(r2.is_nan(), data.rows() == 1, "R² of {} rows: {r2}", data.rows());
            vec![("rmse", Some(rmse)), ("mae", Some(mae)), ("r2", Some(r2))]
        }
    };
    for (key, expected) in expected {
        let got = measures.iter().find(|measure| measure.key == key).and_then(|measure| measure.value);
        check_close(&format!("{key} with {}", loss.name()), got, &expected.into());
    }
}

#[test]
fn models_are_measured_alike() {
    let mut random = Random(6);
    let x = Array2::from_shape_simple_fn((30, 4), || random.normal());
    let weights: Vec<f64> = (0..30).map(|row| f64::from(row % 4)).collect();
    let labels: Vec<u32> = (0..30).map(|row| row % 3).collect();
    let halves: Vec<u32> = (0..30).map(|row| row % 2).collect();
    let bits = Array2::from_shape_fn((30, 2), |(row, label)| f64::from((row + label) % 3 == 0));
    let constant = Array2::from_elem((30, 1), 0.1);
    let data = |targets| dataset(&x, targets, Some(&weights));
    let of_classes = |labels, classes| data(Targets::Classes { labels, classes });
    let softmax = Activation::Softmax { epsilon: 0.0 };
    let [two, three] = [2, 3].map(|classes| Task::Classification { classes });
    check_model(softmax, 3, Loss::CrossEntropy, three, of_classes(&labels, 3));
    let identity = Activation::Identity;
    check_model(identity, 3, Loss::Mse, three, of_classes(&labels, 3));
    check_model(identity, 1, Loss::BinaryCrossEntropy, two, of_classes(&halves, 2));
    let numbers = data(Targets::Values(bits.view()));
    check_model(identity, 2, Loss::BinaryCrossEntropy, Task::MultiLabel { labels: 2 }, numbers);
    check_model(identity, 2, Loss::Mae, Task::Regression, numbers);
    let quantiles = Loss::Quantile(Levels::new(&[0.2, 0.6, 0.9]).unwrap());
    check_model(identity, 6, quantiles, Task::Regression, numbers);
    // Its R² is 0, whatever the rounding of the mean.
    check_model(identity, 1, Loss::Mse, Task::Regression, data(Targets::Values(constant.view())));
    let [x, y] = [x.slice(ndarray::s![..1, ..]), constant.slice(ndarray::s![..1, ..])];
    let row = Dataset::new(Features::F64(x), Targets::Values(y)).unwrap();
    check_model(identity, 1, Loss::Mse, Task::Regression, row);
}
