//! A search of settings: the same results whatever the threads and interruptions, without a look at the test rows.

mod common;

use std::fmt::Write as _;
use std::fs;
use std::process::Stdio;
use std::time::Duration;

use common::Room;
use serde_json::{Value, json};

/// Rows of a made-up table: a class and a number that follow from two columns.
fn csv(rows: std::ops::Range<usize>, is_turned: bool) -> String {
    let mut text = "width,colour,class,price\n".to_string();
    for i in rows {
        let width = (i * 37 % 101) as f64 / 10.0;
        let colour = ["red", "green", "blue"][i * 5 % 3];
        let price = 3.0 * width + if colour == "green" { 10.0 } else { (i % 7) as f64 };
        let is_dear = (price > 20.0) != is_turned;
        let price = if is_turned { 100.0 - price } else { price };
        writeln!(text, "{width},{colour},{},{price}", if is_dear { "dear" } else { "cheap" }).unwrap();
    }
    text
}

fn room() -> Room {
    let room = Room::new();
    room.write("train.csv", csv(0..150, false));
    room.write("test.csv", csv(150..200, false));
    room
}

const SMALL: &str = "--trials 9 --folds 3 --epochs 90 --batch-size 16 --bag 1 --hidden 8 --preset small";

fn results(room: &Room, folder: &str) -> Vec<Value> {
    let text = String::from_utf8(room.read(&format!("{folder}/results.jsonl"))).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Searches, and looks at what it leaves; the trial that is taken.
#[track_caller]
fn check_search(room: &Room, options: &str, rungs: &[usize], folds: usize, measure: &str) -> Value {
    let output = room.schuss(&format!("tune {options} --json --out search")).ok();
    let events = output.events();
    let named = |name: &str| events.iter().filter(|event| event["event"] == name).cloned().collect::<Vec<_>>();
    let [start, chosen] = ["search", "chosen"].map(|name| named(name)[0].clone());
    assert_eq!((&start["measure"], &start["folds"]), (&json!(measure), &json!(folds)), "{start}");
    let lines = results(room, "search");
    let trials = |rung: usize| lines.iter().filter(|line| line["rung"] == rung).collect::<Vec<_>>();
    let counts: Vec<usize> = (0..=rungs.len()).map(|rung| trials(rung).len()).collect();
    // Trial 0 may be there beside the best.
    let fits = rungs.iter().zip(&counts).all(|(expected, got)| got - expected <= 1);
    assert!(fits && counts[rungs.len()] == 0, "{counts:?}");
    assert!((0..rungs.len()).all(|rung| trials(rung)[0]["trial"] == 0), "{lines:?}");
    let mut recorded = named("trial");
    recorded
        .iter_mut()
        .for_each(|line| line.as_object_mut().unwrap().retain(|key, _| !["event", "seconds"].contains(&key.as_str())));
    assert_eq!(recorded, lines);
    for line in &lines {
        let values: Vec<f64> = line["folds"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
        let mean = values.iter().sum::<f64>() / folds as f64;
        assert!(values.len() == folds && (line["mean"].as_f64().unwrap() - mean).abs() < 1e-12, "{line}");
        assert_eq!(line["error"].is_null(), folds == 1);
    }
    // What is taken is the best of the last rung, and what was trained at the end has its settings.
    let higher = measure == "accuracy";
    let value = |line: &Value| if higher { -line["mean"].as_f64().unwrap() } else { line["mean"].as_f64().unwrap() };
    let last = trials(rungs.len() - 1);
    let best = last.iter().fold(last[0], |best, line| if value(line) < value(best) { line } else { best });
    assert_eq!((&chosen["trial"], &chosen["settings"]), (&best["trial"], &best["settings"]));
    let config = String::from_utf8(room.read("search/best/config.toml")).unwrap();
    for (name, value) in best["settings"].as_object().unwrap() {
        let line = config.lines().find(|line| line.starts_with(&format!("{name} = "))).unwrap_or_default();
        assert!(line.contains(value.as_str().unwrap()), "{name} {value}: {config}");
    }
    let done = output.done();
    assert!(done["loss_test"].is_number(), "{done}");
    assert!(room.path("search/best/report.html").is_file() && room.path("search/best/model.safetensors").is_file());
    let html = String::from_utf8(room.read("search/tune.html")).unwrap();
    let (_, rest) = html.split_once(r#"<script type="application/json" id="report">"#).unwrap();
    let page: Value = serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap();
    assert_eq!(page["tuning"]["trials"].as_array().unwrap().len(), rungs[0]);
    assert_eq!(page["tuning"]["trials"][0]["trial"], best["trial"]);
    fs::remove_dir_all(room.path("search")).unwrap();
    chosen
}

#[test]
fn every_kind_of_data_can_be_searched() {
    let room = room();
    let table = "train.csv --test test.csv";
    check_search(&room, &format!("{table} --target class --ignore price {SMALL}"), &[9, 3, 1], 3, "accuracy");
    check_search(&room, &format!("{table} --target price --ignore class {SMALL} --search random"), &[9], 3, "rmse");
    let digits = "digits --trials 3 --epochs 12 --hidden 8";
    let chosen = check_search(&room, &format!("{digits} --folds 2"), &[3, 1], 2, "accuracy");
    assert!(chosen["mean"].as_f64().unwrap() > 0.5, "{chosen}");
    check_search(&room, &format!("{digits} --folds 1 --lr 0.01"), &[3, 1], 1, "accuracy");
    check_search(
        &room,
        &format!("{table} --target price --split-by-time width --trials 2 --epochs 3 --bag 1"),
        &[2],
        1,
        "rmse",
    );
}

/// The results are a function of data, settings and seed.
#[test]
fn results_do_not_depend_on_threads_nor_on_test_rows() {
    let room = room();
    let search = format!("--target class --ignore price {SMALL}");
    let tune = |name: &str, more: &str| {
        let done = room.schuss(&format!("tune train.csv {search} {more} --json --out {name}")).ok().done();
        (room.read(&format!("{name}/results.jsonl")), done)
    };
    let (expected, done) = tune("one", "--test test.csv --threads 1");
    let (other, of_three) = tune("three", "--test test.csv --threads 3");
    assert!(other == expected && done["weights_sha256"] == of_three["weights_sha256"]);
    // Other test rows change what is said of them at the end, and nothing else.
    room.write("other.csv", csv(150..200, true));
    let (other, of_other) = tune("other", "--test other.csv --threads 2");
    assert!(other == expected && done["weights_sha256"] == of_other["weights_sha256"]);
    let accuracy = |done: &Value| done["acc_test"].as_f64().unwrap();
    assert!((accuracy(&done) + accuracy(&of_other) - 1.0).abs() < 1e-9 && accuracy(&done) > 0.6, "{done} {of_other}");
    let (seeded, _) = tune("seeded", "--test test.csv --seed 1");
    assert_ne!(seeded, expected);
}

/// Killed again and again, and continued, a search leaves the same bytes.
#[test]
fn a_search_that_was_killed_goes_on() {
    let room = room();
    let search = format!("train.csv --test test.csv --target price --ignore class {SMALL}");
    let expected = room.schuss(&format!("tune {search} --json --out whole")).ok().done();
    for (turn, most) in [1, 4, 8, 11, 13].into_iter().enumerate() {
        let arguments =
            if turn == 0 { format!("tune {search} --json --out killed") } else { "tune --resume killed --json".into() };
        let mut child = room.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let lines = || fs::read_to_string(room.path("killed/results.jsonl")).map_or(0, |text| text.lines().count());
        while lines() < most && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        // SIGKILL.
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let done = room.schuss("tune --resume killed --json --threads 1").ok().done();
    assert_eq!(done["weights_sha256"], expected["weights_sha256"]);
    assert!(room.read("killed/results.jsonl") == room.read("whole/results.jsonl"));
    // Once more: everything is there.
    let again = room.schuss("tune --resume killed --json").ok();
    assert!(again.stderr.contains("was over already"), "{}", again.stderr);
    assert_eq!(again.done()["weights_sha256"], expected["weights_sha256"]);

    // What is not of this search is not taken for it.
    let text = String::from_utf8(room.read("killed/results.jsonl")).unwrap();
    for (old, new) in
        [("\"trial\":1}", "\"trial\":7}"), ("\"epochs\":10,", "\"epochs\":11,"), ("\"lr\":\"0", "\"lr\":\"1")]
    {
        assert!(text.contains(old), "{old}: {text}");
        room.write("killed/results.jsonl", text.replacen(old, new, 1));
        let refused = room.schuss("tune --resume killed");
        assert!(refused.code == Some(1) && refused.stderr.contains("has not the trials of this search"), "{refused:?}");
    }
}

/// Where the usual settings are good and what is searched is bad, they are taken; a bad default loses by more than noise.
#[test]
fn the_usual_settings_are_the_ones_to_beat() {
    let room = room();
    room.write("space.toml", "lr = { low = 1e-9, high = 1e-8, log = true }\n");
    let search =
        "train.csv --target price --ignore class --preset small --hidden 16 --bag 1 --epochs 30 --folds 4 --trials 3";
    let said = room.schuss(&format!("tune {search} --search random --space space.toml --out bad")).ok().stdout;
    assert!(said.contains("The best is trial 0") && said.contains("Nothing that was tried is better"), "{said}");
    room.write("space.toml", "batch-size = [16, 17]\n");
    let slow = search.replace("--epochs 30", "--epochs 4");
    let said = room.schuss(&format!("tune {slow} --search random --space space.toml --out good")).ok().stdout;
    assert!(said.contains("more than noise") && !said.contains("The best is trial 0"), "{said}");
}

#[track_caller]
fn check_refused(room: &Room, command: &str, code: i32, expected: &[&str]) {
    let before = room.files();
    let output = room.schuss(command);
    assert_eq!(output.code, Some(code), "{command}: {}", output.stderr);
    expected
        .iter()
        .for_each(|part| assert!(output.stderr.contains(part), "{command}: {part:?} is not in {:?}", output.stderr));
    assert!(!output.stderr.contains("panicked"));
    assert_eq!(room.files(), before, "{command} left something");
}

#[test]
fn what_cannot_be_searched_is_said() {
    let room = room();
    room.write("unknown.toml", "dropuot = [0.1, 0.2]\n");
    room.write("empty.toml", "lr = { low = 0.1, high = 0.1 }\n");
    room.write("log.toml", "lr = { low = 0.0, high = 0.1, log = true }\n");
    room.write("scale.toml", "scale = [\"robust\", \"quantile\"]\n");
    room.write("good.toml", "lr = [0.1, 0.2]\n");
    room.write("few.csv", "a,b\n1,2\n2,3\n3,5\n");
    room.write("broken/tune.toml", "search = \"random\"\ntrials = \"many\"\n[settings]\n[space]\n");
    for (command, code, expected) in [
        ("train.csv --space unknown.toml", 2, &["unknown.toml: `dropuot`", "did you mean `dropout`?"][..]),
        ("train.csv --space empty.toml", 2, &["empty.toml: lr: an empty range"]),
        ("train.csv --space log.toml", 2, &["log.toml: lr: log = true: expected low above 0"]),
        ("train.csv --space nowhere.toml", 1, &["cannot read nowhere.toml"]),
        ("train.csv --space scale.toml", 2, &["scale: the columns of a table are scaled once"]),
        ("train.csv --space good.toml --lr 0.1", 2, &["--lr and lr of good.toml contradict each other"]),
        ("train.csv --steps 100", 2, &["--steps and tune contradict each other"]),
        ("train.csv --valid 0", 2, &["--valid 0 and tune contradict each other"]),
        ("train.csv --valid 0.2 --folds 3", 2, &["--folds 3 and --valid 0.2 contradict each other"]),
        ("train.csv --split-by-time width --folds 3", 2, &["--folds 3: nothing is to learn from the future"]),
        ("train.csv --hidden none --dropout 0.5", 2, &["--dropout and --hidden none contradict each other"]),
        ("train.csv --trials 0", 2, &["expected a whole number from 1 to 100000, got 0"]),
        ("train.csv --folds 0", 2, &["expected a whole number from 1 to 100, got 0"]),
        ("few.csv", 2, &["--folds", "training rows"]),
        ("--resume nowhere", 1, &["cannot read nowhere/tune.toml"]),
        ("--resume broken", 1, &["broken/tune.toml", "trials"]),
        ("--resume broken --trials 3", 2, &["--resume"]),
        ("--resume broken --lr 3", 2, &["--lr and --resume contradict each other"]),
        ("", 2, &["DATA is missing"]),
    ] {
        let folds = if command == "few.csv" { "--folds 9" } else { "" };
        check_refused(&room, &format!("tune {command} {folds}"), code, expected);
    }
}
