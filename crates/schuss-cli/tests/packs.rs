//! Packed data on the command line: they train, evaluate and predict as the table that they were packed from.

mod common;

use common::{Room, classes_npz, sha256_of};
use serde_json::Value;

/// Numbers, categories and times, some of them missing.
fn table(rows: usize) -> String {
    let row = |i: usize| {
        let size = if i % 11 == 3 { String::new() } else { format!("{}", (i * 7919 % 1009) as f64 / 8.0) };
        let colour = ["red", "green", "blue", "", "grey"][i * i % 5];
        let class = if (i * 7919 % 1009) + 50 * (i * i % 5) > 600 { "yes" } else { "no" };
        format!("{size},{colour},2024-01-{:02},{},{class}\n", 1 + i % 28, i * 13 % 7)
    };
    "size,colour,day,count,class\n".to_string() + &(0..rows).map(row).collect::<String>()
}

/// A run on a packed table of one window has the bits of one on the table. Of the flags, `both` are those of packing and of
/// training.
#[track_caller]
fn check_same(pack: &str, both: &str, train: &str) {
    let room = Room::new();
    room.write("t.csv", table(1200));
    room.schuss(&format!("data pack t.csv {pack} {both} -o t.pack")).ok();
    let expected = room.train(&format!("t.csv {pack} {both} {train} --bag 1 --out memory"));
    assert_eq!(room.train(&format!("t.pack {both} {train} --out packed")), expected, "{pack} {both}, {train}");
    // The whole model: what predict needs is in it.
    let predict = |model: &str| room.schuss(&format!("predict {model} t.csv")).ok().stdout;
    assert_eq!(predict("packed"), predict("memory"));
    let config = room.path("packed/config.toml");
    assert_eq!(room.train(&format!("--config {} --out again", config.display())), expected, "from its config");
}

#[test]
fn a_packed_table_of_one_window_trains_to_the_same_bits() {
    check_same("", "", "--epochs 2");
    check_same("--target size", "--preset small", "--epochs 2");
    check_same("--valid 0", "--scale standard --preset plain", "--epochs 2");
    check_same("--group count --weight count --valid 0.3", "", "--epochs 2");
}

#[test]
fn a_packed_table_of_many_windows_is_killed_and_resumed_to_the_same_bits() {
    let room = Room::new();
    room.write("t.csv", table(6000));
    room.schuss("data pack t.csv -o t.pack --window 0.05").ok();
    let options = "t.pack --epochs 8 --evaluate each-epoch --hidden 64,64 --batch-size 100";
    let expected = room.schuss(&format!("train {options} --out whole --threads 1 --json")).ok();
    let mut command = room.command(&format!("train {options} --checkpoint 3 --out run --json"));
    for (threads, delay) in [(3, 150), (1, 250), (2, 200)] {
        let mut child = command.spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(delay));
        child.kill().unwrap();
        child.wait().unwrap();
        if room.path("run/config.toml").is_file() {
            command = room.command(&format!("train --resume run --threads {threads} --json"));
        }
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let last = String::from_utf8(output.stdout).unwrap().lines().last().unwrap().to_string();
    let done: Value = serde_json::from_str(&last).unwrap();
    assert_eq!(sha256_of(&done), sha256_of(&expected.done()));
    assert_eq!(room.metrics("run"), room.metrics("whole"));
    // A file that was packed otherwise meanwhile is not gone on with.
    room.schuss("data pack t.csv -o t.pack --window 0.05 --scale standard").ok();
    let refused = room.schuss("train --resume whole");
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("packed with --scale standard"), "{}", refused.stderr);
}

#[test]
fn samples_are_said_and_every_row_is_measured() {
    let room = Room::new();
    room.write("t.csv", table(60_000));
    let said = room.schuss("data pack t.csv -o t.pack --window 0.2 --valid 0").ok().stdout;
    assert!(said.contains("t.pack: 48000 training rows, 12000 test rows"), "{said}");
    let said = room.schuss("train t.pack --preset small --epochs 1 --out run").ok().stdout;
    assert!(said.contains("t: 48000 training rows, 12000 test rows (a fixed 20 % of the rows, split off)"), "{said}");
    assert!(said.contains("chosen: sampled: 20,000 of 48,000 training rows"), "{said}");
    let packed = room.schuss("evaluate run t.pack --no-baselines --json").ok().json();
    assert_eq!((packed["rows"].as_u64(), packed.get("rows_sampled")), (Some(12_000), None));
    let train = room.schuss("evaluate run t.pack --split train --no-baselines --json").ok().json();
    assert_eq!((train["rows"].as_u64(), train["rows_sampled"].as_u64()), (Some(48_000), Some(20_000)));
    // All rows of the table, by the model's schema, give what both parts have together.
    let all = room.schuss("evaluate run t.csv --no-baselines --json").ok().json();
    let loss = |value: &Value| value["metrics"]["loss"].as_f64().unwrap();
    let mean = (loss(&packed) + 4.0 * loss(&train)) / 5.0;
    assert!((mean - loss(&all)).abs() < 1e-9, "{mean}, {}", loss(&all));

    let of_table = room.schuss("predict run t.csv").ok().stdout;
    let mut of_parts: Vec<String> = Vec::new();
    for (split, file) in [("train", "train.csv"), ("test", "test.csv")] {
        room.schuss(&format!("predict run t.pack --split {split} -o {file}")).ok();
        let text = String::from_utf8(room.read(file)).unwrap();
        of_parts.extend(text.lines().skip(1).map(String::from));
    }
    let mut of_table: Vec<String> = of_table.lines().skip(1).map(String::from).collect();
    of_table.sort();
    of_parts.sort();
    assert!(of_table == of_parts, "the same predictions, in another order");
}

#[test]
fn other_data_are_packed_too() {
    let room = Room::new();
    room.schuss("data pack digits -o digits.pack --valid 0").ok();
    let settings = "--hidden 20 --epochs 2 --lr 0.01";
    let expected = room.train(&format!("digits {settings} --out memory"));
    assert_eq!(room.train(&format!("digits.pack {settings} --out packed")), expected);
    room.write("x.npz", classes_npz(300, 4, 3));
    room.schuss("data pack x.npz -o x.pack").ok();
    // What was split off to choose by is learnt from where nothing is chosen.
    let start = |options: &str| {
        let events = room.schuss(&format!("train x.pack --epochs 1 --json --out run {options}")).ok().events();
        events[0]["rows"].as_u64().unwrap()
    };
    assert_eq!((start(""), start("--keep best")), (240, 216));
}

#[track_caller]
fn check_refused(command: &str, code: i32, expected: &[&str]) {
    let room = Room::new();
    room.write("t.csv", table(400));
    room.write("other.csv", "a,b\n1,2\n3,4\n");
    room.write("bad.pack", "SCHUSSP1 and nothing that follows");
    room.schuss("data pack t.csv -o t.pack").ok();
    room.schuss("data pack t.csv -o one.pack --valid 0").ok();
    let output = room.schuss(command);
    assert_eq!(output.code, Some(code), "{command}: {}", output.stderr);
    expected.iter().for_each(|part| assert!(output.stderr.contains(part), "{part:?} is not in {:?}", output.stderr));
    assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
}

#[test]
fn what_packing_settled_is_not_asked_for_again() {
    check_refused("train t.pack --target size", 2, &["--target: t.pack is packed", "schuss data pack"]);
    check_refused("train t.pack --valid 0.1", 2, &["--valid: the validation rows of t.pack were chosen"]);
    check_refused("train t.pack --scale standard", 2, &["packed with --scale robust"]);
    check_refused(
        "train one.pack --patience 3 --preset plain",
        2,
        &["expected last where there are no validation data"],
    );
    check_refused("train bad.pack", 1, &["bad.pack: cut short"]);
    check_refused("train none.pack", 1, &["none.pack"]);
    check_refused("data pack t.csv -o t.csv", 2, &["-o t.csv: that is read from"]);
    check_refused("data pack t.csv digits -o x.pack", 2, &["pack one at a time"]);
    check_refused(
        "data pack t.csv other.csv -o x.pack",
        1,
        &["other.csv: there is no column \"class\"", "\"a\", \"b\""],
    );
    check_refused("data pack t.csv -o x.pack --target nothing", 1, &["there is no column \"nothing\""]);
    check_refused("data pack digits -o x.pack --target y", 2, &["--target needs a table"]);
    check_refused("train t.pack --optimizer lbfgs --batch-size 7", 2, &["lbfgs"]);
}
