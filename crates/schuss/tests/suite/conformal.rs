//! Sets and intervals that cover as often as they say.

use ndarray::Array2;
use schuss::{Activation, Conformal, Dataset, Features, Loss, Model, ModelFile, Network, Targets, Task, Threads};

/// Of the definition: the ⌈(n + 1)c⌉th smallest.
#[test]
fn quantiles_are_those_of_the_definition() {
    for n in [1usize, 2, 9, 10, 99, 1000, 2001] {
        let scores: Vec<f64> = (0..n).rev().map(|i| i as f64).collect();
        let conformal = Conformal::new(scores).unwrap();
        for coverage in [0.01, 0.3, 0.5, 0.8, 0.9, 0.95, 0.99] {
            let rank = ((n + 1) as f64 * coverage).ceil() as usize;
            let expected = (rank <= n).then(|| (rank.max(1) - 1) as f64);
            assert_eq!(conformal.quantile(coverage), expected, "{n} {coverage}");
        }
        assert_eq!([0.0, 1.0, -1.0, f64::NAN].map(|coverage| conformal.quantile(coverage)), [None; 4]);
    }
    // Of many rows, never a smaller one, and none that is much larger.
    let many = Conformal::new((0..100_000).map(f64::from).collect()).unwrap();
    for coverage in [0.1, 0.5, 0.9, 0.999] {
        let [exact, got] = [(100_001.0f64 * coverage).ceil() - 1.0, many.quantile(coverage).unwrap()];
        assert!(got >= exact && got <= exact + 51.0, "{coverage}: {got}, exact {exact}");
    }
    assert!(Conformal::new(vec![]).is_err() && Conformal::new(vec![1.0, f64::NAN]).is_err());
    assert!(Conformal::new(vec![-1.0]).is_err());
}

fn draw(i: usize) -> f64 {
    (i as f64 * 0.618_033_988_749_894_9).fract()
}

/// New rows of the same source are covered as often as was asked for.
#[test]
fn new_rows_are_covered() {
    const ROWS: usize = 4000;
    let x = Array2::from_shape_fn((2 * ROWS, 1), |(i, _)| draw(7 * i + 3) * 4.0 - 2.0);
    let mut network = Network::<f64>::new(&[1, 1], Activation::Relu, Activation::Identity).unwrap();
    network.parameters_mut()[0] = 1.0;
    let model = Model::new(network, Loss::Mse, Task::Regression);
    let y = Array2::from_shape_fn((2 * ROWS, 1), |(i, _)| x[(i, 0)] + (draw(i) - 0.3).powi(3) * 5.0);
    let part = |range: std::ops::Range<usize>| {
        let rows = ndarray::s![range, ..];
        Dataset::new(Features::F64(x.slice(rows)), Targets::Values(y.slice(rows))).unwrap()
    };
    let scores = |range| model.conformal_scores(part(range), &Threads::ONE).unwrap();
    let conformal = Conformal::new(scores(0..ROWS)).unwrap();
    for coverage in [0.5, 0.8, 0.9, 0.95] {
        let q = conformal.quantile(coverage).unwrap();
        let covered = scores(ROWS..2 * ROWS).iter().filter(|score| **score <= q).count() as f64 / ROWS as f64;
        assert!((covered - coverage).abs() < 0.02, "{covered}, asked for {coverage}");
    }
}

#[test]
fn a_file_has_the_scores_and_may_be_hostile() {
    let network = Network::<f32>::new(&[1, 1], Activation::Relu, Activation::Identity).unwrap();
    let conformal = Conformal::new((0..3000).map(|i| f64::from(i) / 7.0).collect()).unwrap();
    let model = Model { conformal: Some(conformal), ..Model::new(network, Loss::Mse, Task::Regression) };
    let path = std::env::temp_dir().join(format!("schuss-conformal-{}.safetensors", std::process::id()));
    model.save(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(ModelFile::from_bytes(&bytes).unwrap().model::<f32>(), model);
    let said = br#"\"rows\":3000"#;
    let at = bytes.windows(said.len()).position(|part| part == said).unwrap();
    let mut hostile = bytes.clone();
    hostile[at + said.len() - 4..at + said.len()].copy_from_slice(b"  12");
    let message = ModelFile::from_bytes(&hostile).unwrap_err().to_string();
    assert!(message.contains("conformal scores"), "{message}");
}
