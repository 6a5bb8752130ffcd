//! What scripts rely on: the JSON events, the run folder, the CSV of predictions, the kinds of data.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use common::{
    Output, Room, classes_npz, doubles, examples, floats, has_bf16, longs, npy, npz, repository_data, sha256_of, waves,
};
use serde_json::{Value, json};

fn keys(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

const CLASSES: [&str; 7] = ["event", "epoch", "loss", "loss_test", "acc", "acc_test", "seconds"];
const NUMBERS: [&str; 7] = ["event", "epoch", "loss", "loss_test", "rmse", "rmse_test", "seconds"];

/// Trains into `run` and checks the events against the contract; the epochs among them.
#[track_caller]
fn check_events(room: &Room, options: &str, epochs: i64, epoch_keys: &[&str]) -> Vec<Value> {
    let output = room.schuss(&format!("train {options} --json --out run")).ok();
    assert_eq!(output.stderr, "", "no bar where there is no terminal");
    let events = output.events();
    let [start, epoch_events @ .., done] = &events[..] else { panic!("{}", output.stdout) };
    assert_eq!((&start["event"], &done["event"]), (&json!("start"), &json!("done")));
    let numbers: Vec<_> = epoch_events.iter().map(|event| event["epoch"].as_i64().unwrap()).collect();
    assert_eq!(numbers, (-1..epochs).collect::<Vec<_>>(), "{options}");
    for event in epoch_events {
        assert_eq!(event["event"], "epoch");
        assert_eq!(keys(event), epoch_keys.iter().copied().collect(), "{options}");
        assert!(epoch_keys.iter().skip(1).all(|key| event[*key].is_number()), "{event}");
    }
    // The metrics of what is kept: here the last ones.
    let metrics: BTreeSet<_> = epoch_keys.iter().copied().filter(|key| !["epoch", "seconds"].contains(key)).collect();
    let others = BTreeSet::from([
        "histogram_seconds",
        "model",
        "report_seconds",
        "speed",
        "steps",
        "train_seconds",
        "weights_sha256",
    ]);
    assert_eq!(keys(done), &metrics | &others);
    let last = epoch_events.last().unwrap();
    assert!(metrics.iter().filter(|key| **key != "event").all(|key| done[*key] == last[*key]), "{done} {last}");
    let seconds: f64 = epoch_events.iter().map(|event| event["seconds"].as_f64().unwrap()).sum();
    let train_seconds = done["train_seconds"].as_f64().unwrap();
    assert!(train_seconds > 0.0 && (seconds - train_seconds).abs() < 1e-9, "{seconds} {train_seconds}");
    assert_eq!(done["model"], "run/model.safetensors");
    check_run_folder(room, &events);
    epoch_events.to_vec()
}

/// The folder has the model, the settings and the events, and nothing else.
#[track_caller]
fn check_run_folder(room: &Room, events: &[Value]) {
    let names: BTreeSet<_> = fs::read_dir(room.path("run")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let required = ["config.toml", "metrics.jsonl", "model.safetensors"].map(Into::into);
    assert!(names.is_superset(&BTreeSet::from(required)), "{names:?}");
    assert!(names.iter().all(|name| !name.to_string_lossy().ends_with(".part")), "{names:?}");
    let metrics = String::from_utf8(room.read("run/metrics.jsonl")).unwrap();
    let recorded: Vec<Value> = metrics.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // What the report took is known only when the end of the run stands in it.
    let mut said = events[1..].to_vec();
    said.last_mut().unwrap().as_object_mut().unwrap().remove("report_seconds");
    assert_eq!(recorded, said);
    let inspected = room.schuss("inspect run --json").ok().json();
    assert_eq!(inspected["weights_sha256"], events.last().unwrap()["weights_sha256"]);
    assert_eq!(inspected, room.schuss("inspect run/model.safetensors --json").ok().json());
}

#[test]
fn a_training_tells_its_epochs_and_leaves_a_run_folder() {
    let room = Room::new();
    room.write("numbers.npz", linear_npz(60));
    check_events(&room, "digits --hidden 8 --epochs 3", 3, &CLASSES);
    check_events(&room, "digits --hidden none --epochs 1 --precision f64 --loss mse --final sigmoid", 1, &CLASSES);
    check_events(&room, "numbers.npz --hidden 8 --epochs 2", 2, &NUMBERS);
    check_events(&room, "digits --task regression --hidden 8 --epochs 2", 2, &NUMBERS);
}

/// A single example of each class: nothing can be split off, and what does not apply is absent.
#[test]
fn without_test_rows_there_are_no_test_metrics() {
    let room = Room::new();
    room.write("two.npz", npz(&[("x_train", floats(&[2, 2], &waves(4))), ("y_train", longs(&[0, 1]))]));
    check_events(&room, "two.npz --hidden 3 --epochs 2", 2, &["event", "epoch", "loss", "acc", "seconds"]);
}

#[test]
fn steps_end_a_run() {
    let room = Room::new();
    // 1437 rows: 15 batches an epoch, the last one of 37.
    for (steps, epochs) in [(3, 1), (15, 1), (16, 2), (31, 3)] {
        check_events(&room, &format!("digits --hidden 8 --batch-size 100 --steps {steps}"), epochs, &CLASSES);
    }
    check_events(&room, "digits --hidden 8 --batch-size 100 --steps 1000 --epochs 2", 2, &CLASSES);
    let plain = "digits --hidden 8 --batch-size 100 --optimizer sgd --lr 0.1 --schedule constant --out run";
    let by_steps = room.train(&format!("{plain} --steps 30"));
    assert_eq!(room.train(&format!("{plain} --epochs 2")), by_steps);
    assert_ne!(room.train(&format!("{plain} --steps 29")), by_steps);
}

/// One event, with the test part alone where there is one; the model is that of a run with metrics after every epoch.
#[test]
fn metrics_can_wait_for_the_end() {
    let room = Room::new();
    room.write("all.npz", npz(&[("x_train", floats(&[2, 2], &waves(4))), ("y_train", longs(&[0, 1]))]));
    for (options, keys) in [
        ("digits --hidden 8 --batch-size 100 --steps 40", &["acc_test", "epoch", "event", "loss_test", "seconds"]),
        ("all.npz --hidden 8 --steps 3", &["acc", "epoch", "event", "loss", "seconds"]),
    ] {
        let events = room.schuss(&format!("train {options} --evaluate at-end --json --out run")).ok().events();
        let [_, epoch, done] = &events[..] else { panic!("three events: {events:?}") };
        let mut names: Vec<_> = epoch.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, keys);
        assert_eq!(sha256_of(done), room.train(&format!("{options} --out run")), "{options}");
    }
}

/// bfloat16 is how a run computes; what it leaves is a model in f32, evaluated as such.
#[test]
fn a_bf16_run_leaves_an_f32_model() {
    let room = Room::new();
    let events = room.schuss("train digits --precision bf16 --epochs 3 --json --out run").ok().events();
    assert_eq!(room.schuss("inspect run --json").ok().json()["precision"], "f32");
    let metrics = room.schuss("evaluate run digits --split test --json").ok().json();
    assert_eq!(metrics["metrics"]["accuracy"], events[events.len() - 2]["acc_test"]);
    if !has_bf16() {
        return eprintln!("this machine lacks AVX512-BF16: not compared with f32");
    }
    assert_ne!(sha256_of(events.last().unwrap()), room.train("digits --epochs 3 --out run"));
    let other_level = |precision| {
        let command = format!("train digits --epochs 2 --json --precision {precision} --out run");
        sha256_of(&room.schuss_with(&command, &[("SCHUSS_ISA", "avx2")]).ok().done())
    };
    assert_eq!(other_level("bf16"), other_level("f32"), "f32 products where the level lacks bfloat16");
}

/// The settings of the benchmarks are settings that the program takes.
#[test]
fn the_settings_of_the_benchmarks_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../benches/mnist");
    let configs = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let configs: Vec<_> =
        configs.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect();
    assert_eq!(configs.len(), 6);
    let room = Room::new();
    for config in configs {
        let command = format!("train mnist --config {} --data-dir {}", config.display(), repository_data().display());
        room.schuss(&format!("{command} --steps 1 --json --out run")).ok();
    }
}

#[test]
fn the_folder_of_a_run_has_the_name_of_the_data_by_default() {
    let room = Room::new();
    for runs in 1..=2 {
        let done = room.schuss("train digits --hidden 8 --steps 1 --json").ok().done();
        let names: Vec<_> = fs::read_dir(room.path("runs")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), runs, "{names:?}");
        let model = done["model"].as_str().unwrap();
        assert!(model.starts_with("runs/2") && model.contains("-digits"), "{model}");
        assert!(room.path(model).is_file());
    }
}

#[test]
fn a_person_is_told_the_same() {
    let room = Room::new();
    let output = room.schuss("train digits --epochs 2 --out run").ok();
    for part in ["1437 training rows", "360 test rows", "chosen: ", "  accuracy ", "weights_sha256", "run/model"] {
        assert!(output.stdout.contains(part), "{part:?} is not in {}", output.stdout);
    }
    let hash = sha256_of(&room.schuss("inspect run --json").ok().json());
    for output in [output, room.schuss("inspect run").ok()] {
        assert!(output.stdout.contains(&hash), "{}", output.stdout);
    }
    let text = room.schuss("evaluate run digits --split test").ok().stdout;
    assert!(text.lines().any(|line| line.split_whitespace().eq(["rows", "360"])), "{text}");
    assert!(["accuracy", "log-loss"].iter().all(|part| text.contains(part)), "{text}");
}

// Evaluation.

/// Trains, and evaluates both parts: the numbers are those of the last epoch, to the last bit.
#[track_caller]
fn check_evaluation(data: &[u8], options: &str) {
    let room = Room::new();
    room.write("table.npz", data);
    let events = room.schuss(&format!("train {options} --json --out run")).ok().events();
    let last = &events[events.len() - 2];
    let name = options.split(' ').next().unwrap();
    for (split, suffix) in [("test", "_test"), ("train", "")] {
        for threads in [1, 3] {
            let command = format!("evaluate run {name} --split {split} --threads {threads} --json");
            let evaluated = room.schuss(&command).ok().json();
            let expected = ["baselines", "intervals", "metrics", "rows", "warnings"];
            assert_eq!(keys(&evaluated), BTreeSet::from(expected));
            let metrics = &evaluated["metrics"];
            assert_eq!(metrics["loss"], last[format!("loss{suffix}")], "`{command}` after {options}");
            if last["acc"].is_null() {
                assert_eq!(keys(metrics), BTreeSet::from(["loss", "rmse", "r2", "mae"]));
                assert_eq!(metrics["rmse"], last[format!("rmse{suffix}")], "`{command}` after {options}");
            } else {
                assert!(keys(metrics).is_superset(&BTreeSet::from(["loss", "accuracy"])));
                assert_eq!(metrics["accuracy"], last[format!("acc{suffix}")], "`{command}` after {options}");
            }
        }
    }
}

/// Classes with a test part of its own.
fn with_test_part(rows: usize, test_rows: usize) -> Vec<u8> {
    let (x, y) = examples(rows + test_rows, 4, 3);
    npz(&[
        ("x_train", floats(&[rows, 4], &x[..4 * rows])),
        ("y_train", longs(&y[..rows])),
        ("x_test", floats(&[test_rows, 4], &x[4 * rows..])),
        ("y_test", longs(&y[rows..])),
    ])
}

#[test]
fn an_evaluation_is_that_of_the_last_epoch() {
    check_evaluation(&[], "digits --hidden 16 --epochs 2");
    check_evaluation(&[], "digits --hidden 16 --epochs 2 --precision f64 --loss mse");
    check_evaluation(&[], "digits --hidden 16 --epochs 2 --loss binary-cross-entropy");
    check_evaluation(&with_test_part(50, 20), "table.npz --hidden 6 --epochs 2");
    check_evaluation(&with_test_part(2000, 1500), "table.npz --hidden 6 --epochs 2 --batch-size 500");
    check_evaluation(&linear_npz(60), "table.npz --hidden 6 --epochs 2");
    check_evaluation(&linear_npz(60), "table.npz --hidden 6 --epochs 2 --scale none --precision f64");
}

/// Batches that are larger than the blocks in which an evaluation goes through the rows.
#[test]
fn an_evaluation_is_that_of_the_last_epoch_whatever_the_batch_size() {
    check_evaluation(&[], "digits --hidden 16 --epochs 2 --batch-size 1437");
    check_evaluation(&with_test_part(2000, 1500), "table.npz --hidden 6 --epochs 2 --batch-size 1300");
}

#[test]
fn an_evaluation_has_the_log_loss_of_probabilities() {
    let room = Room::new();
    room.train("digits --hidden 16 --epochs 2 --out run");
    let metrics = room.schuss("evaluate run digits --json").ok().json()["metrics"].clone();
    assert!(["brier", "calibration_error"].iter().all(|key| metrics[*key].is_number()), "{metrics}");
    let [loss, log_loss] = ["loss", "log_loss"].map(|key| metrics[key].as_f64().unwrap());
    assert!((loss - log_loss).abs() < 1e-9 * loss, "cross-entropy is the log loss: {metrics}");
    room.train("digits --hidden 16 --epochs 2 --loss mse --final identity --out run");
    let metrics = room.schuss("evaluate run digits --json").ok().json()["metrics"].clone();
    // The outputs are no probabilities.
    let absent = ["log_loss", "brier", "calibration_error"];
    assert!(metrics["accuracy"].is_number() && absent.iter().all(|key| metrics[*key].is_null()), "{metrics}");
}

// Predictions.

fn header(first: &str, kind: &str, count: usize) -> String {
    std::iter::once(first.to_string()).chain((0..count).map(|i| format!("{kind}_{i}"))).collect::<Vec<_>>().join(",")
}

/// Predicts with `run`: the header, as many lines as rows, and for classes the largest number under the prediction.
#[track_caller]
fn check_predictions(room: &Room, arguments: &str, header: &str, rows: usize) -> Vec<Vec<f64>> {
    let csv = room.schuss(&format!("predict run {arguments}")).ok().stdout;
    let (first, lines) = csv.split_once('\n').unwrap();
    assert_eq!(first, header);
    assert_eq!(lines.lines().count(), rows, "{arguments}");
    assert!(csv.ends_with('\n') && !csv.contains('\r'));
    let is_f32 = room.schuss("inspect run --json").ok().json()["precision"] == "f32";
    let columns = header.split(',').count();
    let mut numbers_of_rows = Vec::new();
    for line in lines.lines() {
        let words: Vec<&str> = line.split(',').collect();
        assert_eq!(words.len(), columns, "{line}");
        let is_class = columns > 1;
        for word in &words[usize::from(is_class)..] {
            // The fewest digits that read back as the same number.
            let shortest = if is_f32 {
                format!("{:?}", word.parse::<f32>().unwrap())
            } else {
                format!("{:?}", word.parse::<f64>().unwrap())
            };
            assert_eq!(*word, shortest, "{line}");
        }
        let numbers: Vec<f64> = words.iter().map(|word| word.parse().unwrap()).collect();
        if is_class {
            let largest = numbers[1..].iter().fold(f64::NEG_INFINITY, |largest, x| x.max(largest));
            assert_eq!(numbers[1 + words[0].parse::<usize>().unwrap()], largest, "{line}");
        }
        numbers_of_rows.push(numbers);
    }
    let to_file = room.schuss(&format!("predict run {arguments} -o predictions.csv")).ok();
    assert_eq!((to_file.stdout.as_str(), room.read("predictions.csv")), ("", csv.into_bytes()));
    numbers_of_rows
}

#[test]
fn predictions_are_a_csv_of_class_and_probabilities() {
    let room = Room::new();
    let ten = header("prediction", "probability", 10);
    for precision in ["f32", "f64"] {
        room.train(&format!("digits --hidden 16 --epochs 3 --precision {precision} --out run"));
        let all = check_predictions(&room, "digits", &ten, 1797);
        let test = check_predictions(&room, "digits --split test", &ten, 360);
        let train = check_predictions(&room, "digits --split train", &ten, 1437);
        assert!(test.iter().chain(&train).all(|row| all.contains(row)));
        for row in all {
            let sum: f64 = row[1..].iter().sum();
            assert!((sum - 1.0).abs() < 1e-5 && row[1..].iter().all(|p| (0.0..=1.0).contains(p)), "{row:?}");
        }
    }
    // As many right ones as the evaluation says.
    room.write("table.npz", with_test_part(200, 90));
    room.train("table.npz --epochs 5 --out run");
    let rows = check_predictions(&room, "table.npz", &header("prediction", "probability", 3), 90);
    let (_, labels) = examples(290, 4, 3);
    let right = rows.iter().zip(&labels[200..]).filter(|(row, label)| row[0] == **label as f64).count();
    let metrics = room.schuss("evaluate run table.npz --json").ok().json();
    assert_eq!((&metrics["rows"], metrics["metrics"]["accuracy"].as_f64()), (&json!(90), Some(right as f64 / 90.0)));
}

#[test]
fn predictions_of_other_models_have_their_own_columns() {
    let room = Room::new();
    room.write("two.npz", classes_npz(60, 4, 2));
    room.train("two.npz --hidden 6 --epochs 2 --loss binary-cross-entropy --out run");
    assert_eq!(room.schuss("inspect run --json").ok().json()["sizes"], json!([4, 6, 1]));
    check_predictions(&room, "two.npz", &header("prediction", "probability", 2), 60);
    room.train("two.npz --hidden 6 --epochs 2 --loss mse --final identity --out run");
    check_predictions(&room, "two.npz", &header("prediction", "output", 2), 60);
    room.write("numbers.npz", linear_npz(60));
    room.train("numbers.npz --hidden 6 --epochs 2 --out run");
    check_predictions(&room, "numbers.npz", "prediction", 60);
    room.train("numbers.npz --hidden 6 --epochs 2 --precision f64 --out run");
    check_predictions(&room, "numbers.npz", "prediction", 60);
}

// What else there is.

#[test]
fn an_inspection_says_what_is_in_the_file() {
    let room = Room::new();
    room.train("digits --hidden 16,9 --activation tanh --steps 2 --precision f64 --out run");
    let inspected = room.schuss("inspect run --json").ok().json();
    for (key, expected) in [
        ("sizes", json!([64, 16, 9, 10])),
        ("parameters", json!(65 * 16 + 17 * 9 + 10 * 10)),
        ("precision", json!("f64")),
        ("activation", json!("tanh")),
        ("final", json!("softmax")),
        ("softmax_epsilon", json!(1e-8)),
        ("loss", json!("cross-entropy")),
        ("example_shape", json!([8, 8])),
        ("has_metadata", json!(true)),
    ] {
        assert_eq!(inspected[key], expected, "{key}");
    }
}

#[test]
fn no_hidden_layer_is_a_linear_model() {
    let room = Room::new();
    let events = check_events(&room, "digits --hidden none --epochs 10 --lr 0.02", 10, &CLASSES);
    assert!(events[10]["acc_test"].as_f64().unwrap() > 0.9, "{}", events[10]);
    assert_eq!(room.schuss("inspect run --json").ok().json()["sizes"], json!([64, 10]));
}

#[test]
fn completions_are_printed() {
    let room = Room::new();
    for (shell, part) in [("bash", "complete -F _schuss"), ("zsh", "#compdef schuss"), ("fish", "complete -c schuss")] {
        let output = room.schuss(&format!("completions {shell}")).ok();
        assert!(output.stdout.contains(part) && output.stderr.is_empty(), "{output:?}");
    }
}

#[track_caller]
fn check_gradients(room: &Room, arguments: &str) {
    let output = room.schuss(&format!("check {arguments}")).ok();
    assert!(!output.stdout.contains("FAILED"), "{}", output.stdout);
    assert!(output.stdout.contains("every gradient is right"), "{}", output.stdout);
}

#[test]
fn the_gradients_are_right() {
    let room = Room::new();
    check_gradients(&room, "");
    check_gradients(&room, "--seed 3");
    room.write("numbers.npz", linear_npz(60));
    for options in ["digits --hidden 12", "digits --hidden 12,7 --precision f64 --activation gelu --loss mse"] {
        room.train(&format!("{options} --epochs 1 --out run"));
        check_gradients(&room, "run");
        check_gradients(&room, "run digits");
    }
    room.train("numbers.npz --hidden 12 --epochs 1 --out run");
    check_gradients(&room, "run numbers.npz");
    check_gradients(&room, "run/model.safetensors");
}

// Kinds of data.

/// Two features and 3 a - 2 b + 5 of them.
fn linear_npz(rows: usize) -> Vec<u8> {
    let x: Vec<f64> = waves(2 * rows).into_iter().map(f64::from).collect();
    let y: Vec<f64> = x.chunks(2).map(|row| 3.0 * row[0] - 2.0 * row[1] + 5.0).collect();
    npz(&[("x_train", doubles(&[rows, 2], &x)), ("y_train", doubles(&[rows], &y))])
}

#[test]
fn a_linear_target_is_learnt() {
    let room = Room::new();
    room.write("table.npz", linear_npz(400));
    for (options, least) in [("", 0.99), ("--hidden none --lr 0.05", 0.999), ("--scale none --precision f64", 0.99)] {
        room.train(&format!("table.npz {options} --out run"));
        let metrics = room.schuss("evaluate run table.npz --split test --json").ok().json()["metrics"].clone();
        assert!(metrics["r2"].as_f64().unwrap() > least, "{options}: {metrics}");
        let [rmse, mae] = ["rmse", "mae"].map(|key| metrics[key].as_f64().unwrap());
        assert!(mae <= rmse && rmse < 0.3, "{options}: {metrics}");
    }
}

/// Trains on twelve examples of two features with these targets; the task that they set, and the outputs.
#[track_caller]
fn check_targets(y: Vec<u8>, options: &str, task: Value, outputs: usize) {
    let room = Room::new();
    room.write("table.npz", npz(&[("x_train", floats(&[12, 2], &waves(24))), ("y_train", y)]));
    room.train(&format!("table.npz {options} --hidden 5 --epochs 2 --out run"));
    let inspected = room.schuss("inspect run --json").ok().json();
    assert_eq!((&inspected["task"], &inspected["sizes"]), (&task, &json!([2, 5, outputs])));
    room.schuss("evaluate run table.npz --json").ok().json();
    let lines = room.schuss("predict run table.npz").ok().stdout.lines().count();
    assert_eq!(lines, 13);
}

fn classes(classes: usize) -> Value {
    json!({ "classification": { "classes": classes } })
}

#[test]
fn targets_of_every_kind_are_understood() {
    let labels = [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3u8];
    check_targets(npy("|u1", &[12], &labels), "", classes(4), 4);
    check_targets(npy("|i1", &[12, 1], &labels), "", classes(4), 4);
    check_targets(longs(&labels.map(i64::from)), "", classes(4), 4);
    check_targets(npy("|b1", &[12], &labels.map(|label| label % 2)), "", classes(2), 2);
    let one_hot: Vec<f32> = labels.iter().flat_map(|&y| (0..4).map(move |j| f32::from(u8::from(j == y)))).collect();
    check_targets(floats(&[12, 4], &one_hot), "", classes(4), 4);
    check_targets(npy("|u1", &[12, 4], &one_hot.iter().map(|&x| x as u8).collect::<Vec<_>>()), "", classes(4), 4);
    let numbers = json!("regression");
    check_targets(floats(&[12], &waves(12)), "", numbers.clone(), 1);
    check_targets(doubles(&[12, 3], &waves(36).iter().map(|&x| x.into()).collect::<Vec<_>>()), "", numbers.clone(), 3);
    // The task overrules what the values suggest.
    check_targets(npy("|u1", &[12], &labels), "--task regression", numbers.clone(), 1);
    check_targets(floats(&[12, 4], &one_hot), "--task regression", numbers, 4);
    check_targets(floats(&[12], &labels.map(f32::from)), "--task classification", classes(4), 4);
}

#[test]
fn features_of_every_kind_are_read_and_flattened() {
    let room = Room::new();
    let labels = longs(&[0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
    let bits: Vec<u8> = waves(40).iter().map(|&x| u8::from(x > 0.0)).collect();
    let i16s: Vec<u8> = bits.iter().flat_map(|&bit| (i16::from(bit) * 300 - 7).to_le_bytes()).collect();
    for (x, scaling, shape) in [
        (npy("|b1", &[10, 4], &bits), json!({ "divide": 1.0 }), json!([4])),
        (
            npy("|u1", &[10, 2, 2], &bits.iter().map(|bit| bit * 255).collect::<Vec<_>>()),
            json!({ "divide": 255.0 }),
            json!([2, 2]),
        ),
        (npy("<i2", &[10, 2, 2, 1], &i16s), json!("standard"), json!([2, 2, 1])),
        (floats(&[10, 4], &waves(40)), json!("standard"), json!([4])),
        (doubles(&[10, 4], &waves(40).iter().map(|&x| x.into()).collect::<Vec<_>>()), json!("standard"), json!([4])),
    ] {
        room.write("table.npz", npz(&[("x_train", x), ("y_train", labels.clone())]));
        room.train("table.npz --hidden 5 --epochs 1 --out run");
        let inspected = room.schuss("inspect run --json").ok().json();
        assert_eq!((&inspected["sizes"], &inspected["example_shape"]), (&json!([4, 5, 2]), &shape));
        if scaling == "standard" {
            assert!(inspected["scaling"]["standard"]["mean"].is_array(), "{inspected}");
        } else {
            assert_eq!(inspected["scaling"], scaling);
        }
    }
}

#[track_caller]
fn check_notebook(run: &str, loss: &str, lr: f64, l2: f64) {
    let room = Room::new();
    room.write("table.npz", classes_npz(50, 4, 3));
    let output = room.schuss(&format!("notebook {run} table.npz --epochs 1 --hidden 8 --json --out run")).ok();
    let epochs = output.events().iter().filter(|event| event["event"] == "epoch").count();
    assert_eq!(epochs, 2, "{}", output.stdout);
    let config: toml::Table = toml::from_str(&String::from_utf8(room.read("run/config.toml")).unwrap()).unwrap();
    for (key, expected) in [
        ("loss", toml::Value::from(loss)),
        ("lr", lr.into()),
        ("l2", l2.into()),
        ("batch-size", 1000.into()),
        ("epochs", 1.into()),
        ("hidden", "8".into()),
        ("activation", "relu".into()),
        ("final", "softmax".into()),
        ("optimizer", "sgd".into()),
        ("schedule", "constant".into()),
        ("init", "normal:0.1".into()),
        ("scale", "none".into()),
        ("softmax-epsilon", 1e-8.into()),
    ] {
        assert_eq!(config[key], expected, "{run}: {key}");
    }
    // The run can be repeated without the word `notebook`.
    assert_eq!(room.train("--config run/config.toml --out again"), sha256_of(&output.done()));
}

#[test]
fn the_notebook_runs_on_other_data() {
    check_notebook("cce", "cross-entropy", 0.01, 0.0);
    check_notebook("mse", "mse", 0.03, 0.0);
    check_notebook("mse-wd", "mse", 0.03, 0.05);
}

// Downloads.

/// A mirror on this machine that answers every request with what `content` has for the name of the file.
struct Mirror {
    url: String,
    requests: Arc<AtomicUsize>,
}

impl Mirror {
    fn new(content: impl Fn(&str) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = requests.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                counter.fetch_add(1, Ordering::SeqCst);
                answer(stream.unwrap(), &content);
            }
        });
        Self { url, requests }
    }
}

fn answer(mut stream: TcpStream, content: &impl Fn(&str) -> Vec<u8>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    lines.find(|line| line.is_empty());
    let name = first.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
    let body = content(name);
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    // The client may have gone away.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}

#[track_caller]
fn check_nothing_there(room: &Room, output: &Output, expected: &[&str]) {
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""), "{}", output.stderr);
    assert!(output.stderr.starts_with("error: "), "{}", output.stderr);
    for part in expected {
        assert!(output.stderr.contains(part), "{part:?} is not in {}", output.stderr);
    }
    assert!(room.files().is_empty(), "{:?}", room.files().keys());
}

#[test]
fn data_are_fetched_from_a_mirror_and_used() {
    let room = Room::new();
    let mirror = Mirror::new(|name| fs::read(repository_data().join("mnist").join(name)).unwrap());
    let fetch = format!("data fetch mnist --mirror {} --data-dir my-data", mirror.url);
    for _ in 0..2 {
        let output = room.schuss(&fetch).ok();
        assert!(output.stdout.contains("my-data/mnist"), "{}", output.stdout);
        // What is there and right is not fetched again.
        assert_eq!(mirror.requests.load(Ordering::SeqCst), 4);
    }
    let files = room.files();
    assert_eq!(files.len(), 4, "{:?}", files.keys());
    for (path, bytes) in files {
        let name = path.file_name().unwrap();
        assert!(bytes == fs::read(repository_data().join("mnist").join(name)).unwrap(), "{name:?}");
    }
    let events = check_events(&room, "mnist --data-dir my-data --steps 5 --hidden 8", 1, &CLASSES);
    assert!(events[1]["loss"].as_f64() < events[0]["loss"].as_f64());
    let predictions = room.schuss("predict run mnist --data-dir my-data").ok().stdout;
    assert_eq!(predictions.lines().count(), 10_001);
}

#[test]
fn a_download_that_fails_leaves_nothing() {
    let room = Room::new();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = room.schuss(&format!("data fetch mnist --mirror http://{closed} --data-dir my-data"));
    let by_hand = ["my-data/mnist", "train-images-idx3-ubyte.gz", "--mirror", "by hand"];
    check_nothing_there(&room, &output, &[&by_hand[..], &[&closed.to_string()]].concat());
    let output = room.schuss(&format!("data fetch mnist --mirror http://{closed}"));
    let cache = Path::new(".cache/schuss/mnist").display().to_string();
    check_nothing_there(&room, &output, &[&cache, "by hand"]);
    let wrong = Mirror::new(|_| b"<html>not found</html>".to_vec());
    let output = room.schuss(&format!("data fetch mnist --mirror {} --data-dir my-data", wrong.url));
    check_nothing_there(&room, &output, &[&by_hand[..], &["wrong content", "SHA-256"]].concat());
    let cut = Mirror::new(|name| fs::read(repository_data().join("mnist").join(name)).unwrap()[..1000].to_vec());
    let output = room.schuss(&format!("data fetch mnist --mirror {} --data-dir my-data", cut.url));
    check_nothing_there(&room, &output, &[&by_hand[..], &["cut short"]].concat());
}

/// Probabilities and labels as targets are what they are, whatever the loss: a scaling of theirs would make nonsense.
#[test]
fn soft_labels_and_several_labels_are_learnt() {
    let rows = 300;
    let x = waves(rows * 4);
    let shares = |row: usize| {
        let weights = [0, 1, 2].map(|class| (3.0 * f64::from(x[row * 4 + class])).exp());
        weights.map(|weight| weight / weights.iter().sum::<f64>())
    };
    let labels = |row: usize| [0, 1, 2].map(|label| f64::from(u8::from(x[row * 4 + label] > 0.0)));
    let room = Room::new();
    let write = |name: &str, y: Vec<f64>| {
        room.write(name, npz(&[("x_train", floats(&[rows, 4], &x)), ("y_train", doubles(&[rows, 3], &y))]));
    };
    write("soft.npz", (0..rows).flat_map(shares).collect());
    write("labels.npz", (0..rows).flat_map(labels).collect());
    for (options, least) in [
        ("soft.npz --task classification", 0.9),
        ("soft.npz --task classification --loss mse", 0.9),
        ("soft.npz --task classification --mixup 0.3", 0.8),
        ("labels.npz --task multi-label", 0.9),
        ("labels.npz --task multi-label --loss mse --final sigmoid", 0.9),
    ] {
        let done = room.schuss(&format!("train {options} --epochs 60 --json --out run")).ok().done();
        let [loss, accuracy] = ["loss", "acc_test"].map(|key| done[key].as_f64().unwrap());
        assert!(loss > 0.0 && accuracy > least, "{options}: {done}");
        let data = options.split(' ').next().unwrap();
        let evaluated = room.schuss(&format!("evaluate run {data} --split test --json")).ok().json();
        assert_eq!(evaluated["metrics"]["accuracy"], done["acc_test"], "{options}");
        room.schuss(&format!("predict run {data} -o predictions.csv")).ok();
        room.schuss(&format!("check run {data}")).ok();
    }
}

/// Example by example, what the weights say: those that count nothing do not.
#[test]
fn sample_weights_count() {
    let rows = 200;
    let x = waves(rows * 3);
    // Half of the labels are wrong, and weigh nothing.
    let is_wrong = |row: usize| row % 2 == 1;
    let y: Vec<i64> = (0..rows).map(|row| i64::from((x[row * 3] > 0.0) != is_wrong(row))).collect();
    let weights: Vec<f64> = (0..rows).map(|row| if is_wrong(row) { 0.0 } else { 1.0 }).collect();
    let room = Room::new();
    let arrays = [("x_train", floats(&[rows, 3], &x)), ("y_train", longs(&y))];
    room.write("plain.npz", npz(&arrays));
    let weighted = [&arrays[..], &[("sample_weight", doubles(&[rows], &weights))]].concat();
    room.write("weighted.npz", npz(&weighted));
    let accuracy = |data: &str| {
        let done = room.schuss(&format!("train {data} --epochs 60 --json --out run")).ok().done();
        done["acc_test"].as_f64().unwrap()
    };
    assert!(accuracy("weighted.npz") > 0.9);
    assert!(accuracy("plain.npz") < 0.8);
}

/// Another last layer for another task, the first ones as they were.
#[test]
fn a_model_gets_a_new_head() {
    let room = Room::new();
    room.write(
        "numbers.npz",
        npz(&[("x_train", floats(&[90, 64], &waves(90 * 64))), ("y_train", floats(&[90, 2], &waves(180)))]),
    );
    room.train("digits --hidden 20,12 --epochs 3 --scale 16 --out first");
    let tensors = |folder: &str| room.read(&format!("{folder}/model.safetensors"));
    let of = |bytes: &[u8], name: &str| {
        let tensors = safetensors::SafeTensors::deserialize(bytes).unwrap();
        tensors.tensor(name).unwrap().data().to_vec()
    };
    room.train("numbers.npz --from first --new-head --freeze 2 --epochs 3 --out second");
    let [first, second] = ["first", "second"].map(tensors);
    for name in ["layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"] {
        assert_eq!(of(&first, name), of(&second, name), "{name}");
    }
    let inspected = room.schuss("inspect second --json").ok().json();
    assert_eq!((&inspected["sizes"], &inspected["loss"]), (&serde_json::json!([64, 20, 12, 2]), &"mse".into()));
}

/// A run that is ended by hand has its model and goes on; then it ends as if nothing had been.
#[cfg(unix)]
#[test]
fn an_interrupted_run_goes_on() {
    let room = Room::new();
    let options = "digits --hidden 256,128 --epochs 60 --batch-size 16";
    let expected = room.train(&format!("{options} --out whole"));
    let mut child = room.command(&format!("train {options} --json --out run")).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(400));
    let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success() && child.wait().unwrap().success());
    assert!(room.path("run/model.safetensors").is_file());
    assert_eq!(sha256_of(&room.schuss("train --resume run --json").ok().done()), expected);
}

/// Classes of folders go by their names, in whatever order they come; what a model does not know is refused.
#[test]
fn classes_of_folders_go_by_name() {
    let room = Room::new();
    let write = |folder: &str, count: usize, brightness: u8| {
        fs::create_dir_all(room.path(folder)).unwrap();
        for i in 0..count {
            let pixels: Vec<u8> = (0..16).map(|j| brightness + ((i * 7 + j * 3) % 40) as u8).collect();
            room.write(&format!("{folder}/{i}.pgm"), [b"P5\n4 4\n255\n".as_slice(), &pixels].concat());
        }
    };
    for (name, brightness) in [("ant", 0), ("bee", 90), ("cow", 180)] {
        write(&format!("all/{name}"), 30, brightness);
    }
    write("some/bee", 5, 90);
    write("some/cow", 5, 180);
    write("other/cow", 5, 180);
    write("other/yak", 5, 0);
    let done = room.schuss("train all --hidden 32 --epochs 150 --lr 0.01 --json --out run").ok().done();
    assert!(done["acc_test"].as_f64().unwrap() > 0.95, "{done}");
    let evaluated = room.schuss("evaluate run some --json").ok().json();
    assert_eq!(evaluated["metrics"]["accuracy"], 1.0, "{evaluated}");
    room.schuss("predict run some -o predictions.csv").ok();
    let predictions = String::from_utf8(room.read("predictions.csv")).unwrap();
    assert!(
        predictions.starts_with("prediction,probability_ant,probability_bee,probability_cow\nbee,"),
        "{predictions}"
    );
    let refused = room.schuss("evaluate run other");
    assert!(
        refused.code == Some(1) && refused.stderr.contains("class yak: expected one that the model knows: ant, bee")
    );
    // A picture that is none: named, or left out.
    room.write("some/cow/bad.pgm", b"P5\n4 4\n255\nshort");
    let refused = room.schuss("evaluate run some");
    assert!(refused.code == Some(1) && refused.stderr.contains("bad.pgm") && refused.stderr.contains("--skip-bad"));
    let skipped = room.schuss("evaluate run some --skip-bad").ok();
    assert!(skipped.stderr.contains("left out") && skipped.stderr.contains("bad.pgm"), "{}", skipped.stderr);
}
