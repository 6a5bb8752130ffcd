//! Schedules against PyTorch's factors (`golden/make_optimizers.py`), and as text.

use schuss::{Plateau, Schedule, WarmUp};
use serde_json::Value;

const GOLDEN: &str = include_str!("../golden/schedules.json");

fn golden() -> Value {
    serde_json::from_str(GOLDEN).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap_or(f64::NAN)).collect()
}

#[track_caller]
fn check_close(what: &str, got: f64, expected: f64) {
    assert!((got - expected).abs() <= 1e-12, "{what}: {got}, expected {expected}");
}

#[test]
fn every_factor_is_that_of_pytorch() {
    let golden = golden();
    let cases = golden["schedules"].as_array().unwrap();
    for case in cases {
        let text = case["schedule"].as_str().unwrap();
        let schedule: Schedule = text.parse().unwrap();
        let warm_up = WarmUp { steps: case["warm_up"].as_u64().unwrap() };
        let factors = numbers(&case["factors"]);
        for (step, expected) in factors.iter().enumerate() {
            let (step, steps) = (step as u64, factors.len() as u64);
            let factor = schedule.factor(step, steps) * warm_up.factor(step);
            check_close(&format!("{text}, warm-up {warm_up:?}, step {step}"), factor, *expected);
        }
    }
    for form in Schedule::FORMS.iter().filter(|form| !form.starts_with("plateau")) {
        let name = form.split(':').next().unwrap();
        let is_of_form = |case: &&Value| case["schedule"].as_str().unwrap().split(':').next() == Some(name);
        assert!(cases.iter().any(|case| is_of_form(&case)), "no case of {name}");
    }
}

#[test]
fn every_plateau_is_that_of_pytorch() {
    let golden = golden();
    let metrics = numbers(&golden["metrics"]);
    assert!(metrics.iter().any(|metric| metric.is_nan()));
    for case in golden["plateaus"].as_array().unwrap() {
        let schedule: Schedule = case["schedule"].as_str().unwrap().parse().unwrap();
        let mut plateau = Plateau {
            threshold: case["threshold"].as_f64().unwrap(),
            least: case["least"].as_f64().unwrap(),
            higher_is_better: case["higher_is_better"].as_bool().unwrap(),
            ..schedule.plateau().unwrap()
        };
        for (epoch, (metric, expected)) in metrics.iter().zip(numbers(&case["factors"])).enumerate() {
            check_close(&format!("{case}, epoch {epoch}"), plateau.epoch(*metric), expected);
            // A state that was written and read goes on as before.
            plateau = serde_json::from_str(&serde_json::to_string(&plateau).unwrap()).unwrap();
        }
    }
}

/// As the number of steps grows, the factor of a step becomes that of its share of the run.
#[test]
fn shares_of_a_run_are_the_limit_of_steps() {
    const STEPS: u64 = 1_000_000;
    let constants = [Schedule::FlatCosine { share: 0.7 }, Schedule::Plateau { patience: 3, factor: 0.5 }];
    for schedule in Schedule::ALL.into_iter().chain(constants) {
        for percent in [0, 1, 20, 29, 31, 60, 75, 99, 100] {
            let factor = schedule.factor(percent * STEPS / 100, STEPS);
            let at = schedule.factor_at(percent as f64 / 100.0, 0);
            assert!((factor - at).abs() < 1e-4, "{schedule} at {percent} %: {factor}, {at}");
        }
    }
}

#[test]
fn factors_at_the_ends_and_the_top() {
    #[track_caller]
    fn check(schedule: Schedule, x: f64, expected: f64) {
        check_close(&format!("{schedule} at {x}"), schedule.factor_at(x, 0), expected);
    }
    check(Schedule::Constant, 1.0, 1.0);
    check(Schedule::Cosine, 0.0, 1.0);
    check(Schedule::Cosine, 0.5, 0.5);
    check(Schedule::Cosine, 1.0, 0.0);
    check(Schedule::OneCycle, 0.0, 0.04);
    check(Schedule::OneCycle, 0.15, 0.52);
    check(Schedule::OneCycle, 0.3, 1.0);
    check(Schedule::OneCycle, 1.0, 4e-6);
    check(Schedule::CosLog4, 0.0, 0.0);
    check(Schedule::CosLog4, (2f64.sqrt() - 1.0) / 15.0, 1.0);
    check(Schedule::CosLog4, 1.0, 0.0);
    check(Schedule::FlatCosine { share: 0.75 }, 0.75, 1.0);
    check(Schedule::FlatCosine { share: 0.75 }, 1.0, 0.0);
    check(Schedule::FlatCosine { share: 1.0 }, 1.0, 1.0);
    check(Schedule::FlatCosine { share: 0.0 }, 0.0, 1.0);
    // Runs of any length, their end and what lies beyond have finite factors.
    for schedule in Schedule::ALL {
        for (step, steps) in (0..6).flat_map(|steps| (0..8).map(move |step| (step, steps))) {
            let factor = schedule.factor(step, steps);
            assert!((0.0..=1.0).contains(&factor), "{schedule} at {step} of {steps}: {factor}");
        }
    }
    assert_eq!([0, 1, 3, 4].map(|step| WarmUp { steps: 4 }.factor(step)), [0.25, 0.5, 1.0, 1.0]);
    assert_eq!(WarmUp::default().factor(0), 1.0);
}

#[test]
fn texts_round_trip_and_bad_ones_are_told_the_forms() {
    let texts =
        ["step:30:0.1", "step:1:1e-7", "flat-cosine:0.75", "plateau:0:0.3333333333333333", "coslog4", "one-cycle"];
    for text in texts {
        let schedule: Schedule = text.parse().unwrap();
        assert_eq!(schedule.to_string().parse::<Schedule>().unwrap(), schedule);
        assert!(text.contains("e-7") || schedule.to_string() == text, "{schedule}");
    }
    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(text.parse::<Schedule>().unwrap_err().to_string(), expected);
    }
    let forms = "schedule: expected one of constant, step:EVERY:FACTOR, cosine, one-cycle, coslog4, flat-cosine:SHARE, \
                 plateau:PATIENCE:FACTOR, got ";
    for text in ["", "cosin", "step", "step:3", "step:3:x", "step:-3:0.1", "step:1:2:3", "cosine:1", "plateau:1.5:0.1"]
    {
        check(text, &format!("{forms}{text}"));
    }
    check("step:0:0.1", "steps of a step schedule: expected 1 or more, got 0");
    check("step:3:NaN", "factor of a step schedule: expected a finite number above 0, got NaN");
    check("flat-cosine:1.5", "share of a flat cosine: expected 0 to 1, got 1.5");
    check("plateau:3:1", "factor of a plateau: expected above 0 and below 1, got 1");
}
