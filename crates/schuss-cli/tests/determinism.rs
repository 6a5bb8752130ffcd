//! The same bits every time: whatever the number of threads, from a config alone, for a row alone and among others.

mod common;

use std::fs;

use common::{Room, classes_npz, examples, floats, has_bf16, longs, npz, sha256, sha256_of, waves};
use safetensors::tensor::{Dtype, SafeTensors};
use serde_json::Value;

/// Every product has far more than the multiplications that are worth a second thread.
const LARGE: &str = "--hidden 256,128 --batch-size 1437 --epochs 3";

/// The events of a training on the digits, without the times.
#[track_caller]
fn events(room: &Room, options: &str) -> Vec<Value> {
    let command = format!("train digits {options} --json --out run");
    let mut events = room.schuss(&command).ok().events();
    events.remove(0);
    for event in &mut events {
        event.as_object_mut().unwrap().retain(|key, _| !key.ends_with("seconds") && key != "speed");
    }
    events
}

/// Trains with different numbers of threads and twice; every loss, every accuracy and every bit must be the same. The
/// hash.
#[track_caller]
fn check_threads(options: &str) -> String {
    let room = Room::new();
    let expected = events(&room, &format!("{options} --threads 1"));
    for threads in [1, 2, 3, 7, 16] {
        assert_eq!(events(&room, &format!("{options} --threads {threads}")), expected, "{threads} threads, {options}");
    }
    assert_eq!(events(&room, options), expected, "all threads, {options}");
    sha256_of(expected.last().unwrap())
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let hashes = [
        check_threads(LARGE),
        check_threads(&format!("{LARGE} --precision f64")),
        check_threads(&format!("{LARGE} --seed 1")),
        check_threads("--hidden 256,128 --batch-size 479 --epochs 2 --activation gelu --l2 0.01 --optimizer sgd"),
        check_threads("--hidden 256,128 --batch-size 500 --epochs 2 --augment shift:1"),
        // Batches with a rest of one row.
        check_threads("--hidden 300,31 --batch-size 718 --epochs 2 --loss mse --init normal:0.1"),
    ];
    let bf16 = check_threads(&format!("{LARGE} --precision bf16"));
    assert_eq!(hashes.contains(&bf16), !has_bf16(), "bfloat16 products, where the machine has them");
    for (i, hash) in hashes.iter().enumerate() {
        assert!(!hashes[..i].contains(hash), "two different runs end the same: {hashes:?}");
    }
}

/// The hash by hand from the model file.
fn hash_of_file(bytes: &[u8], dtype: Dtype) -> String {
    let tensors = SafeTensors::deserialize(bytes).unwrap();
    let mut parameters = Vec::new();
    for layer in 0..tensors.len() / 2 {
        for kind in ["weight", "bias"] {
            let tensor = tensors.tensor(&format!("layers.{layer}.{kind}")).unwrap();
            assert_eq!(tensor.dtype(), dtype);
            parameters.extend_from_slice(tensor.data());
        }
    }
    sha256(&parameters)
}

#[track_caller]
fn check_hash(options: &str, dtype: Dtype) {
    let room = Room::new();
    let done = room.train(&format!("digits {options} --epochs 1 --out run"));
    let inspected = sha256_of(&room.schuss("inspect run --json").ok().json());
    assert_eq!([&done, &inspected], [&hash_of_file(&room.read("run/model.safetensors"), dtype); 2], "{options}");
}

#[test]
fn the_hash_is_that_of_the_stored_tensors() {
    check_hash("--hidden 20,10", Dtype::F32);
    check_hash("--hidden 20,10 --precision f64", Dtype::F64);
    check_hash("--hidden none", Dtype::F32);
    // More layers than digits: their order is that of numbers, not of letters.
    check_hash("--hidden 9,9,9,9,9,9,9,9,9,9,9", Dtype::F32);
}

/// Trains, then repeats the run in another folder with its config alone.
#[track_caller]
fn check_config(prepare: &str, options: &str) {
    let [room, elsewhere] = [Room::new(), Room::new()];
    room.write("table.npz", classes_npz(90, 4, 3));
    if !prepare.is_empty() {
        room.train(prepare);
    }
    let expected = room.train(&format!("{options} --out run"));
    let config = room.path("run/config.toml");
    assert_eq!(elsewhere.train(&format!("--config {} --out again", config.display())), expected, "{options}");
    // The repetition's own config says the same.
    assert_eq!(elsewhere.train("--config again/config.toml --out third"), expected, "{options}");
}

#[test]
fn a_config_alone_repeats_the_run() {
    check_config("", "digits --hidden 20 --epochs 2");
    check_config("", "digits --hidden none --steps 7 --batch-size 100 --seed 18446744073709551615");
    check_config("", "table.npz --epochs 2");
    check_config(
        "",
        "table.npz --hidden 7,5 --epochs 2 --precision f64 --activation tanh --loss mse --final sigmoid --lr 0.1234567890123 \
         --l2 3.3e-7 --optimizer sgd --schedule cosine --no-shuffle --scale 3.7 --init normal:0.1 --threads 2",
    );
    check_config("", "table.npz --epochs 1 --softmax-epsilon 1e-300 --lr 1e-30 --scale none");
    check_config("", "table.npz --task regression --epochs 2");
    check_config("table.npz --hidden 6 --epochs 1 --out first", "table.npz --from first/model.safetensors --epochs 1");
}

/// A run by a config and a flag ends as the one with the flag alone.
#[track_caller]
fn check_flag_wins(config: &str, flag: &str, alone: &str) {
    let room = Room::new();
    room.train("digits --hidden 6 --steps 3 --out first");
    let before = room.train(&format!("digits {config} --out run"));
    let expected = room.train(&format!("digits {alone} --out alone"));
    assert_ne!(before, expected);
    assert_eq!(room.train(&format!("--config run/config.toml {flag} --out again")), expected, "{flag}");
}

#[test]
fn flags_win_over_the_config() {
    let config = "--epochs 1 --hidden 8 --activation relu --optimizer sgd --lr 0.1 --schedule constant --init he \
                  --precision f32 --seed 1";
    for (setting, flag) in [
        ("--seed 1", "--seed 5"),
        ("--lr 0.1", "--lr 0.5"),
        ("--hidden 8", "--hidden 7"),
        ("--hidden 8", "--hidden none"),
        ("--activation relu", "--activation tanh"),
        ("--init he", "--init normal:0.1"),
        ("--precision f32", "--precision f64"),
        ("--epochs 1", "--epochs 2"),
    ] {
        check_flag_wins(config, flag, &config.replace(setting, flag));
    }
    check_flag_wins(
        "--hidden 6 --epochs 1 --lr 0.001 --schedule constant",
        "--from first/model.safetensors",
        "--epochs 1 --lr 0.001 --schedule constant --from first/model.safetensors",
    );
}

/// New initial parameters replace those of the config's model.
#[test]
fn the_flag_init_wins_over_from_in_the_config() {
    check_flag_wins(
        "--from first/model.safetensors --epochs 1 --lr 0.001 --schedule constant",
        "--init normal:0.1",
        "--hidden 6 --epochs 1 --lr 0.001 --schedule constant --init normal:0.1",
    );
}

/// Rows enough for two of the blocks in which predictions are made, the second of a single row.
const ROWS: usize = 1001;
const COLUMNS: usize = 30;

/// Trains, then predicts all rows at once, and some alone and in small groups: the same text for each.
#[track_caller]
fn check_rows_alone(options: &str, y: impl Fn(usize) -> Vec<u8>) {
    let room = Room::new();
    let (x, _) = examples(ROWS, COLUMNS, 3);
    let write = |name: &str, from: usize, to: usize| {
        let rows = floats(&[to - from, COLUMNS], &x[from * COLUMNS..to * COLUMNS]);
        // Targets play no part in a prediction.
        room.write(name, npz(&[("x_train", rows), ("y_train", y(to - from))]));
    };
    write("table.npz", 0, ROWS);
    for precision in ["f32", "f64"] {
        room.train(&format!("table.npz {options} --precision {precision} --epochs 1 --batch-size 200 --out model"));
        for threads in [1, 7] {
            let predict = |data: &str| {
                let command = format!("predict model {data} --threads {threads}");
                room.schuss(&command).ok().stdout.lines().map(String::from).collect::<Vec<_>>()
            };
            let all = predict("table.npz");
            assert_eq!(all.len(), 1 + ROWS);
            for (from, to) in [(0, 1), (1, 2), (17, 18), (500, 501), (999, 1000), (1000, 1001), (3, 5), (990, 1001)] {
                write("part.npz", from, to);
                let part = predict("part.npz");
                assert_eq!(part[0], all[0]);
                assert_eq!(part[1..], all[1 + from..1 + to], "rows {from}..{to}, {threads} threads, {options}");
            }
        }
    }
}

fn labels(classes: usize) -> impl Fn(usize) -> Vec<u8> {
    move |rows| longs(&(0..rows).map(|row| (row * 7 % classes) as i64).collect::<Vec<_>>())
}

#[test]
fn a_row_is_predicted_alone_as_among_others() {
    check_rows_alone("--hidden 256,128", labels(3));
    check_rows_alone("--hidden none", labels(10));
    check_rows_alone("--hidden 33,17,5 --activation tanh --scale none", labels(3));
    check_rows_alone("--hidden 64 --activation gelu --softmax-epsilon 0", labels(7));
    check_rows_alone("--hidden 31 --loss binary-cross-entropy --final identity", labels(2));
    check_rows_alone("--hidden none --loss binary-cross-entropy --final identity", labels(2));
    check_rows_alone("--hidden 20 --activation sigmoid --loss mse --final sigmoid", labels(3));
    check_rows_alone("--hidden 40,1,9 --activation leaky-relu", |rows| floats(&[rows, 2], &waves(2 * rows + 2)[2..]));
    check_rows_alone("--hidden 20", |rows| floats(&[rows], &waves(rows)));
}

/// A model file written with one number of threads is the same file as with another one.
#[test]
fn the_whole_model_file_is_the_same() {
    let room = Room::new();
    let file = |name: &str, threads: usize| {
        room.train(&format!("digits {LARGE} --threads {threads} --out {name}"));
        fs::read(room.path(name).join("model.safetensors")).unwrap()
    };
    let [one, seven] = [file("one", 1), file("seven", 7)];
    assert!(one == seven);
}

/// The instruction-set levels of this machine: a wrong one's message lists them.
fn levels(room: &Room) -> Vec<&'static str> {
    let message = room.schuss_with("train digits", &[("SCHUSS_ISA", "none")]).stderr;
    ["portable", "avx2", "avx512"].into_iter().filter(|level| message.contains(level)).collect()
}

#[track_caller]
fn check_levels(options: &str) {
    let room = Room::new();
    let levels = levels(&room);
    assert!(levels.contains(&"portable"), "{levels:?}");
    let hash = |level: &str, threads: usize| {
        let command = format!("digits {options} --threads {threads} --out run");
        room.train_with(&command, &[("SCHUSS_ISA", level)])
    };
    for level in &levels {
        assert_eq!(hash(level, 1), hash(level, 3), "{level}, {options}");
    }
    // Both fuse multiplication and addition, and sum in the same order.
    if levels.contains(&"avx512") && levels.contains(&"avx2") {
        assert_eq!(hash("avx2", 2), hash("avx512", 2), "{options}");
    }
}

#[test]
fn every_level_is_deterministic_and_the_two_with_fused_arithmetic_agree() {
    check_levels("--hidden 64,32 --epochs 1 --batch-size 479");
    check_levels("--hidden 64,32 --epochs 1 --batch-size 479 --precision f64 --activation gelu");
}

/// Killed at any moment and resumed on other numbers of threads, as often as one likes, a run ends with the same bits.
#[test]
fn a_killed_run_goes_on_to_the_same_end() {
    let everything = "--hidden 64,64,64 --norm batch --dropout 0.2 --input-dropout 0.1 --residual --mixup 0.3 \
                      --augment shift:1,rotate:10 --valid 0.2 --keep best --average 0.99 --clip-norm 1 \
                      --label-smoothing 0.1 --epochs 12";
    let optimizers = ["sgd --momentum 0.9 --nesterov", "rmsprop", "adam", "adamw", "muon", "schedule-free"];
    let everything = optimizers.map(|optimizer| match optimizer {
        // It has an average of its own.
        "schedule-free" => format!("{} --optimizer {optimizer}", everything.replace("--average 0.99", "")),
        _ => format!("{everything} --optimizer {optimizer}"),
    });
    let lbfgs = "--hidden 32 --norm layer --optimizer lbfgs --epochs 60 --valid 0.2 --patience 50";
    let ensembles = ["--bag 4", "--ensemble 3 --bag 2", "--bag 6 --least-gain 0.9"].map(|networks| {
        format!("table.csv {networks} --epochs 20 --hidden 64,64 --batch-size 32 --evaluate each-epoch")
    });
    let of_digits = everything.iter().map(String::as_str).chain([lbfgs]).map(|options| format!("digits {options}"));
    for (i, options) in of_digits.chain(ensembles).enumerate() {
        let room = Room::new();
        let row = |i: usize| format!("{},{},c{}\n", i * 7 % 101, ["a", "b", "c"][i % 3], i * i % 101 % 2);
        room.write("table.csv", "x,z,y\n".to_string() + &(0..400).map(row).collect::<String>());
        let expected = room.schuss(&format!("train {options} --out whole --json")).ok();
        let mut command = room.command(&format!("train {options} --checkpoint 3 --out run --json"));
        let mut threads = 1;
        for delay in [60 + 15 * i as u64, 150, 90] {
            let mut child = command.spawn().unwrap();
            std::thread::sleep(std::time::Duration::from_millis(delay));
            child.kill().unwrap();
            child.wait().unwrap();
            command = if room.path("run/config.toml").is_file() {
                threads += 1;
                room.command(&format!("train --resume run --threads {threads} --json"))
            } else {
                room.command(&format!("train {options} --checkpoint 3 --out run --json"))
            };
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let last = String::from_utf8(output.stdout).unwrap().lines().last().unwrap().to_string();
        let done: Value = serde_json::from_str(&last).unwrap();
        assert_eq!(sha256_of(&done), sha256_of(&expected.done()), "{options}");
        assert_eq!(done["ended_early"], expected.done()["ended_early"], "{options}");
        assert_eq!(done["ended_early"].is_u64(), options.contains("--least-gain"), "{options}");
        // Its metrics are those of the undisturbed run, line by line, once.
        assert_eq!(room.metrics("run"), room.metrics("whole"), "{options}");
        assert!(!room.path("run/member-0.safetensors").exists(), "nothing is left of the way there");
        // Once over, it says so again.
        assert_eq!(sha256_of(&room.schuss("train --resume run --json").ok().done()), sha256_of(&done));
    }
}

/// Of networks that fail side by side, the first is told of and kept, whichever did so at the earliest.
#[test]
fn an_ensemble_fails_the_same_way_on_any_number_of_threads() {
    let room = Room::new();
    let row = |i: usize| format!("{},{},{}\n", i * 7 % 101, i * i % 97, i * i % 101 % 2);
    room.write("table.csv", "x,z,y\n".to_string() + &(0..400).map(row).collect::<String>());
    let failure = |seed: u64, threads: usize| {
        let options = "--preset plain --bag 5 --optimizer sgd --lr 30 --epochs 60 --batch-size 32 --no-report";
        let got = room.schuss(&format!("train table.csv {options} --seed {seed} --threads {threads} --out run --json"));
        assert_eq!(got.code, Some(1), "{}", got.stderr);
        // A learning rate so large is warned of, too.
        let message = got.stderr.lines().find(|line| line.contains("network ")).unwrap_or_default().to_string();
        (message, fs::read(room.path("run/model.safetensors")).unwrap())
    };
    // Some networks fail after a few steps, others after many or never.
    for seed in 0..4 {
        let (message, model) = failure(seed, 1);
        assert!(message.contains(" of 5: "), "{message}");
        for threads in [2, 3, 8] {
            let (other, its_model) = failure(seed, threads);
            assert_eq!(other, message, "{threads} threads");
            assert!(its_model == model, "{threads} threads: {message}");
        }
    }
}

/// A run that ends at a time repeats itself from its config: the same steps, the same bits.
#[test]
fn a_run_with_a_deadline_repeats_itself() {
    let room = Room::new();
    let done = room.schuss("train digits --time 700ms --out run --json").ok().done();
    assert!(done["steps"].as_u64().unwrap() > 0, "{done}");
    let again = room.schuss("train --config run/config.toml --out again --json").ok().done();
    assert_eq!((sha256_of(&done), &done["steps"]), (sha256_of(&again), &again["steps"]));
}
