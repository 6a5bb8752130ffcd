//! Tables on the command line: from a raw file to a model, and from a model and another raw file to predictions.

mod common;

use std::fmt::Write as _;

use common::Room;
use serde_json::Value;

const TOWNS: [&str; 12] =
    ["Bern", "Basel", "Chur", "Genf", "Sion", "Thun", "Uster", "Zug", "Arbon", "Baar", "Köniz", "Wil, SG"];
const COLOURS: [&str; 3] = ["red", "green \"dark\"", "blue"];

/// A row of a made-up table: a word and a number that follow from the others, and missing values.
fn row(i: usize) -> Vec<(&'static str, String)> {
    let size = (i * 37 % 101) as f64 / 10.0;
    let town = i * 7 % TOWNS.len();
    let colour = i * 5 % COLOURS.len();
    let price = 3.0 * size + town as f64 + if colour == 1 { 10.0 } else { 0.0 };
    let or_nothing = |text: String, every: usize| if i.is_multiple_of(every) { String::new() } else { text };
    vec![
        ("size", or_nothing(size.to_string(), 11)),
        ("town", or_nothing(TOWNS[town].into(), 13)),
        ("colour", COLOURS[colour].into()),
        ("day", format!("2024-{:02}-{:02}", 1 + i % 12, 1 + i % 28)),
        ("class", if price > 22.0 { "dear" } else { "cheap" }.into()),
        ("price", price.to_string()),
    ]
}

/// How a table is written.
struct Style {
    delimiter: char,
    line_end: &'static str,
    start: &'static str,
    quotes_all: bool,
    is_turned: bool,
    leaves_out: &'static [&'static str],
    adds: &'static [(&'static str, &'static str)],
}

const PLAIN: Style = Style {
    delimiter: ',',
    line_end: "\n",
    start: "",
    quotes_all: false,
    is_turned: false,
    leaves_out: &[],
    adds: &[],
};

fn csv(rows: std::ops::Range<usize>, style: &Style) -> String {
    let quote = |field: &str| match style.quotes_all || field.contains([style.delimiter, '"']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.into(),
    };
    let mut text = style.start.to_string();
    let mut line = |fields: Vec<String>| {
        let delimiter = style.delimiter.to_string();
        write!(text, "{}{}", fields.join(&delimiter), style.line_end).unwrap();
    };
    for i in rows.clone().take(1).chain(rows.clone()).enumerate() {
        let (place, i) = i;
        let mut fields = row(i);
        fields.retain(|(name, _)| !style.leaves_out.contains(name));
        fields.extend(style.adds.iter().map(|(name, value)| (*name, value.to_string())));
        if style.is_turned {
            fields.reverse();
        }
        let is_header = place == 0;
        line(fields.iter().map(|(name, value)| quote(if is_header { name } else { value })).collect());
    }
    text
}

const TRAIN: &str = "--epochs 3 --hidden 16 --threads 1 --no-report --json";

fn room() -> Room {
    let room = Room::new();
    room.write("train.csv", csv(0..400, &PLAIN));
    room.write("test.csv", csv(400..500, &PLAIN));
    room
}

/// What evaluation during training says of the test rows is what a new process makes of the raw file, however it is
/// written.
#[test]
fn predictions_of_raw_files_are_those_of_training() {
    let room = room();
    let without_targets: &[&str] = &["class", "price"];
    let styles = [
        ("plain", PLAIN),
        ("turned", Style { is_turned: true, ..PLAIN }),
        ("crlf", Style { line_end: "\r\n", start: "\u{feff}", ..PLAIN }),
        ("quoted", Style { quotes_all: true, delimiter: ';', ..PLAIN }),
        ("tabs", Style { delimiter: '\t', adds: &[("more", "inf"), ("other", "x")], ..PLAIN }),
        ("raw", Style { leaves_out: without_targets, ..PLAIN }),
    ];
    for (target, more, precision) in [
        ("class", "--ignore price", "f32"),
        ("price", "--ignore class", "f64"),
        ("price", "--ignore class --preset small --scale quantile", "f32"),
        ("class", "--ignore price --preset plain --scale standard", "f32"),
        ("class", "--ignore price --ensemble 3", "f32"),
        ("price", "--ignore class --ensemble 2 --bag 2 --preset small", "f32"),
    ] {
        let command = format!(
            "train train.csv --target {target} --test test.csv {more} --precision {precision} --out run {TRAIN}"
        );
        let done = room.schuss(&command).ok().done();
        let inspected = room.schuss("inspect run --json").ok().json();
        assert_eq!(inspected["schema"]["target"], target);
        let said = room.schuss("inspect run").ok().stdout;
        assert!(["size", "town", "Arbon", "day"].iter().all(|part| said.contains(part)), "{said}");
        let mut first = None;
        for (name, style) in &styles {
            room.write("raw.csv", csv(400..500, style));
            let predicted = room.schuss("predict run raw.csv").ok();
            assert!(!predicted.stderr.contains("note"), "{name}: {}", predicted.stderr);
            let expected = first.get_or_insert_with(|| predicted.stdout.clone());
            assert_eq!(predicted.stdout, *expected, "{name}");
            if !style.leaves_out.is_empty() {
                continue;
            }
            let found = room.schuss("evaluate run raw.csv --json --no-baselines").ok().json();
            for (name, of_training) in [("loss", "loss_test"), ("accuracy", "acc_test"), ("rmse", "rmse_test")] {
                if let Some(expected) = done.get(of_training) {
                    assert_eq!(found["metrics"][name], *expected, "{command} {name}");
                }
            }
            assert_eq!(found["rows"], 100);
        }
        std::fs::remove_dir_all(room.path("run")).unwrap();
    }
}

/// A model of a table is one function of data, settings and seed, whatever the threads, and after an interruption.
#[test]
fn bits_of_tables_do_not_depend_on_threads() {
    let room = room();
    let hash = |out: &str, threads: usize| -> Value {
        let command =
            format!("train train.csv --ignore class --epochs 4 --threads {threads} --no-report --json --out {out}");
        room.schuss(&command).ok().done()["weights_sha256"].clone()
    };
    let expected = hash("one", 1);
    assert_eq!([hash("two", 2), hash("five", 5)], [expected.clone(), expected.clone()]);
    // The settings of a run, alone.
    let again = room.schuss("train --config one/config.toml --no-report --json --out again").ok().done();
    assert_eq!(again["weights_sha256"], expected);
}

/// Networks that gain too little end where their schedule rests, on any number of threads; whoever says how many epochs there
/// are gets as many.
#[test]
fn networks_that_gain_too_little_end_early() {
    let room = room();
    let run = |options: &str| {
        let command = format!("train train.csv --ignore class --preset small --no-report {options}");
        let json = command.replace("--out open", "--out json");
        (room.schuss(&format!("{json} --json")).ok().done(), room.schuss(&command).ok().stdout)
    };
    let whole = run("--epochs 15");
    let (early, text) = run("--epochs 15 --least-gain 0.99");
    assert!(text.contains("the network ended early"), "{text}");
    assert_eq!((&early["ended_early"], &whole.0["ended_early"]), (&1.into(), &Value::Null));
    // After 7/15 of the epochs.
    assert_eq!(15 * early["steps"].as_u64().unwrap(), 7 * whole.0["steps"].as_u64().unwrap());
    let (both, text) = run("--epochs 15 --least-gain 0.99 --bag 2 --threads 2");
    assert!(text.contains("2 of 2 networks ended early"), "{text}");
    assert_eq!(both["weights_sha256"], run("--epochs 15 --least-gain 0.99 --bag 2 --threads 1").0["weights_sha256"]);
    // Where nothing is said of the length, and there are steps to save.
    let (_, text) = run("--out open --batch-size 16");
    assert!(text.contains("up to 40 epochs"), "{text}");
    for other in ["--keep last", "--config open/config.toml --epochs 5", "--schedule cosine", "--loss mae --valid 0"] {
        let (done, text) = run(&format!("{other} --batch-size 16"));
        assert!(!text.contains("up to") && done["ended_early"].is_null(), "{other}: {text}");
    }
    let (_, text) = run("--batch-size 32");
    assert!(text.contains("40 epochs") && !text.contains("up to"), "320 steps are few: {text}");
}

/// Numbers of which the next ones are no more alike than others are learnt as names, however a file to predict writes them, in
/// memory and packed; not those whose type is said, nor by networks that embed none.
#[test]
fn numbers_that_are_names_are_learnt_as_such() {
    let room = Room::new();
    let price = |route: usize, length: usize| (route * 7919 % 101) as f64 + length as f64 / 10.0;
    let line = |i: usize, number: &str| {
        let (route, length) = (i * 31 % 60, i * 17 % 97);
        format!("{}{number},{length},{}\n", 100 + 13 * route, price(route, length))
    };
    let text = |rows: std::ops::Range<usize>, number: &str| {
        "route,length,price\n".to_string() + &rows.map(|i| line(i, number)).collect::<String>()
    };
    room.write("train.csv", text(0..900, ""));
    room.write("test.csv", text(900..1000, ""));
    room.write("other.csv", text(900..1000, ".0"));
    let train = "--epochs 30 --bag 1 --threads 1 --no-report --json";
    let run = |data: &str, options: &str| {
        let output = room.schuss(&format!("train {data} {train} {options}")).ok();
        (output.done(), output.stderr.contains("taken for names, since targets of next ones are not alike: \"route\""))
    };
    let (named, is_said) = run("train.csv", "--test test.csv --out named");
    assert!(is_said);
    let (numbers, is_said) = run("train.csv", "--test test.csv --types route=number --out numbers");
    assert!(!is_said);
    let rmse = |done: &Value| done["rmse_test"].as_f64().unwrap();
    assert!(rmse(&named) < 0.5 * rmse(&numbers), "{} of {}", rmse(&named), rmse(&numbers));
    let (_, is_said) = run("train.csv", "--test test.csv --preset plain --out plain");
    assert!(!is_said);
    let predicted = room.schuss("predict named test.csv").ok();
    assert!(!predicted.stderr.contains("no training row has"), "{}", predicted.stderr);
    assert_eq!(room.schuss("predict named other.csv").ok().stdout, predicted.stdout);
    // In all ways in which it may be written, by training and by a new process.
    let mut odd = text(0..900, "").replace(',', ";").replace(".", ",").replace('\n', "\r\n");
    odd = odd
        .replace("\n113;", "\n113,0;")
        .replace("\n126;", "\n-0;")
        .replace("\n139;", "\n0;")
        .replace("\n152;", "\n-;");
    room.write("odd.csv", format!("\u{feff}{odd}"));
    let (trained, is_said) = run("odd.csv", "--test odd.csv --out odd");
    assert!(is_said);
    let evaluated = room.schuss("evaluate odd odd.csv --json").ok();
    assert!(!evaluated.stderr.contains("no training row has"), "{}", evaluated.stderr);
    let evaluated: Value = serde_json::from_str(evaluated.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(evaluated["metrics"]["rmse"], trained["rmse_test"], "{evaluated}");
    // The future has other names, and so do other groups.
    for split in ["--split-by-time length", "--group length"] {
        assert!(!run("train.csv", &format!("{split} --out {}", &split[2..4])).1, "{split}");
    }
    room.write("new.csv", "length,route\n3,100\n3,7\n");
    let output = room.schuss("predict named new.csv").ok();
    assert!(output.stderr.contains("column \"route\": 1 row has") && output.stderr.contains("\"7\""));
    // What a packed file has learnt of the columns is what is learnt in memory.
    let (memory, _) = run("train.csv", "--test test.csv --valid 0.2 --out memory");
    let packing = room.schuss("data pack train.csv --test test.csv --valid 0.2 -o packed.pack").ok();
    assert!(packing.stderr.contains("taken for names"), "{}", packing.stderr);
    let (packed, _) = run("packed.pack", "--out packed");
    assert_eq!(packed["weights_sha256"], memory["weights_sha256"]);
}

/// Rows are held out by group and by time as the flags say, and judged by again when the run's own data are evaluated.
#[test]
fn groups_and_times_are_kept_apart() {
    let room = Room::new();
    let mut text = "x,group,day,y\n".to_string();
    for i in 0..300 {
        // Two groups, and two days, of very different size: no other split has these numbers of rows.
        let [group, day] = [if i < 40 { "a" } else { "b" }, if i < 45 { "2024-02-01" } else { "2024-01-01" }];
        writeln!(text, "{},{group},{day},{}", i % 17, i % 17 * 2).unwrap();
    }
    room.write("t.csv", text);
    for (more, test_rows) in [("--group group", 40), ("--split-by-time day", 45), ("", 60)] {
        let out = room.schuss(&format!("train t.csv --target y {more} --valid 0 --out run {TRAIN}")).ok();
        assert_eq!(out.events()[0]["rows_test"], test_rows, "{more}");
        for split in ["", "--split test"] {
            let found = room.schuss(&format!("evaluate run t.csv {split} --no-baselines --json")).ok().json();
            assert_eq!(found["rows"], test_rows, "{more} {split}");
            assert_eq!(found["metrics"]["rmse"], out.done()["rmse_test"], "{more} {split}");
        }
        let predicted = room.schuss("predict run t.csv --split test").ok().stdout;
        assert_eq!(predicted.lines().count(), 1 + test_rows, "{more}");
        for (split, rows) in [("train", 300 - test_rows), ("all", 300)] {
            let found = room.schuss(&format!("evaluate run t.csv --split {split} --no-baselines --json")).ok().json();
            assert_eq!(found["rows"], rows, "{more} {split}");
        }
        std::fs::remove_dir_all(room.path("run")).unwrap();
    }
    // Of what was tested on another file, nothing was held out.
    room.schuss(&format!("train t.csv --target y --test t.csv --valid 0 --out run {TRAIN}")).ok();
    let refused = room.schuss("evaluate run t.csv --split test");
    assert!(refused.code == Some(2) && refused.stderr.contains("no row of t.csv was held out"), "{}", refused.stderr);
}

/// What a row counts, and what stands for nothing, is known to the model.
#[test]
fn weights_and_missing_values_are_those_of_training() {
    let room = Room::new();
    let mut text = "x,c,w,y\n".to_string();
    for i in 0..300 {
        let x = if i % 7 == 0 { "-999".into() } else { (i % 23).to_string() };
        let c = if i % 5 == 0 { "unknown".into() } else { (i % 3).to_string() };
        writeln!(text, "{x},{c},{},{}", 1 + i % 4, i % 23 + i % 3).unwrap();
    }
    room.write("t.csv", &text);
    let more = "--target y --task regression --weight w --missing=-999,unknown --valid 0";
    let done = room.schuss(&format!("train t.csv {more} --out run {TRAIN}")).ok().done();
    let found = room.schuss("evaluate run t.csv --no-baselines --json").ok().json();
    assert_eq!(found["metrics"]["rmse"], done["rmse_test"]);
    // In another file, too.
    room.write("other.csv", &text);
    let all = room.schuss("evaluate run other.csv --no-baselines --json").ok().json();
    let same = room.schuss("evaluate run t.csv --split all --no-baselines --json").ok().json();
    assert_eq!(all["metrics"], same["metrics"]);
    let said = room.schuss("inspect run").ok().stdout;
    assert!(said.contains("-999, unknown") && said.contains("weight          w"), "{said}");
    room.write("without.csv", text.replacen(",w,", ",v,", 1));
    let refused = room.schuss("evaluate run without.csv");
    assert!(refused.code == Some(1) && refused.stderr.contains("\"w\""), "{}", refused.stderr);
    room.schuss("predict run without.csv").ok();
}

/// What is wrong with a table, or with what is asked of it, is said by name, with a way out.
#[test]
fn what_is_wrong_with_a_table_is_said() {
    let room = room();
    let lines = |lines: &[&str]| lines.join("\n") + "\n";
    let many = |line: &dyn Fn(usize) -> String| "x,y\n".to_string() + &(0..60).map(line).collect::<String>();
    room.write("constant.csv", many(&|i| format!("{i},5\n")));
    room.write("empty-target.csv", many(&|i| format!("{i},\n")));
    room.write("infinite.csv", many(&|i| format!("{i},{}\n", if i == 7 { "inf".into() } else { i.to_string() })));
    room.write("ragged.csv", lines(&["x,y", "1,2", "3,4,5", "6,7"]));
    room.write(
        "many.csv",
        "x,y\n".to_string() + &(0..2500).map(|i| format!("c{},{i}\n", i % 1200)).collect::<String>(),
    );
    room.write("nothing.csv", many(&|i| format!("1,{}\n", i % 2)));
    room.write("times.csv", many(&|i| format!("{i},2024-01-{:02}\n", 1 + i % 28)));
    room.write(
        "weights.csv",
        "x,w,y\n".to_string() + &(0..60).map(|i| format!("{i},{},{i}\n", i as f64 - 1.0)).collect::<String>(),
    );
    for (arguments, expected) in [
        ("train.csv --target prize", &["no column \"prize\"", "\"price\" may have been meant"][..]),
        ("train.csv --ignore clas", &["no column \"clas\"", "\"class\""]),
        ("train.csv --types town=text", &["COLUMN=number|category|time"]),
        ("train.csv --types town=number", &["town", "number"]),
        ("train.csv --target town --task regression", &["target \"town\"", "expected numbers"]),
        ("train.csv --target day", &["target \"day\"", "got times"]),
        ("train.csv --target price --weight price", &["\"price\"", "it is the target"]),
        ("train.csv --group price", &["it is the target"]),
        ("train.csv --group nothing", &["no column \"nothing\""]),
        ("train.csv --split-by-time town", &["column \"town\"", "expected times"]),
        ("train.csv --group town --split-by-time day", &["--group", "--split-by-time"]),
        ("train.csv --delimiter ab", &["--delimiter", "one character"]),
        ("train.csv --norm batch", &["--norm", "--preset td", "--preset plain"]),
        ("train.csv --valid 0 --keep best", &["--keep best", "--valid 0"]),
        ("constant.csv", &["target \"y\"", "it is 5 in all 60 rows"]),
        ("empty-target.csv", &["target \"y\"", "no row has one"]),
        ("infinite.csv", &["line 9", "column \"y\"", "finite"]),
        ("ragged.csv", &["line 3", "3 fields", "line 1 has 2"]),
        ("many.csv --preset plain", &["categories are too many for --preset plain", "--preset td or small"]),
        ("nothing.csv", &["no column to learn from"]),
        ("times.csv", &["target \"y\"", "got times"]),
        ("weights.csv --weight w", &["weights \"w\"", "row 0", "0 or more, got -1"]),
        ("digits --target y", &["--target needs a table"]),
        ("digits --preset small", &["--preset needs a table"]),
        ("digits --scale robust", &["--scale robust needs a table"]),
        ("nowhere.csv", &["cannot read", "nowhere.csv"]),
    ] {
        let output = room.schuss(&format!("train {arguments} --out never"));
        assert!(matches!(output.code, Some(1 | 2)), "{arguments}: {output:?}");
        for part in expected {
            assert!(output.stderr.contains(part), "{arguments}: {part:?} is not in {}", output.stderr);
        }
        assert!(!output.stderr.contains("panicked") && !room.path("never").exists(), "{arguments}");
    }
}

/// What is made of a table that its author may not have meant is said.
#[test]
fn what_is_made_of_a_table_is_said() {
    let room = Room::new();
    let mut text = "id,empty,same,code,rare,y\n".to_string();
    for i in 0..250 {
        let rare = if i == 3 { "once".into() } else { format!("c{}", i % 2) };
        let y = if i == 8 { String::new() } else { (i % 3).to_string() };
        writeln!(text, "row{i},,1,{},{rare},{y}", i % 7).unwrap();
    }
    room.write("t.csv", &text);
    let output = room.schuss(&format!("train t.csv --out run {TRAIN}")).ok();
    for part in [
        "target \"y\" is taken for classes: 0, 1, 2; --task regression",
        "1 rows without a target",
        "categories name the rows, most of them once: \"id\"",
        "have no value in the training rows: \"empty\"",
        "have the same value in all training rows: \"same\"",
    ] {
        assert!(output.stderr.contains(part), "{part:?} is not in {}", output.stderr);
    }
    let output = room.schuss(&format!("train t.csv --target rare --out rare {TRAIN}")).ok();
    assert!(
        output.stderr.contains("classes of a single row") && output.stderr.contains("\"once\""),
        "{}",
        output.stderr
    );
    // What the model does not know, and what it needs.
    room.write("new.csv", "code,rare\n3,c0\n4,never\n");
    let output = room.schuss("predict run new.csv").ok();
    assert!(
        output.stderr.contains("column \"rare\": 1 row has") && output.stderr.contains("\"never\""),
        "{}",
        output.stderr
    );
    assert_eq!(output.stdout.lines().count(), 3);
    room.write("less.csv", "code,other\n3,c0\n");
    let output = room.schuss("predict run less.csv");
    assert!(output.code == Some(1) && output.stderr.contains("not there: \"rare\""), "{}", output.stderr);
    room.write("none.csv", "a,b\n3,c0\n");
    let output = room.schuss("predict run none.csv");
    assert!(output.code == Some(1) && output.stderr.contains("none of the columns"), "{}", output.stderr);
    room.write("classes.csv", "code,rare,y\n3,c0,7\n");
    let output = room.schuss("evaluate run classes.csv");
    assert!(output.code == Some(1) && output.stderr.contains("expected one of the classes"), "{}", output.stderr);
}

/// Sets and intervals hold the truth about as often as they say.
#[test]
fn coverage_is_what_was_asked_for() {
    let room = Room::new();
    room.write("train.csv", csv(0..2000, &PLAIN));
    room.write("test.csv", csv(2000..3000, &PLAIN));
    let truth = |column: &str| -> Vec<String> {
        (2000..3000).map(|i| row(i).into_iter().find(|(name, _)| *name == column).unwrap().1).collect()
    };
    for (target, more, columns) in
        [("price", "--ignore class", "prediction,low,high"), ("class", "--ignore price,size", "probability_dear,set")]
    {
        let train = format!(
            "train train.csv --target {target} {more} --test test.csv --out run --bag 1 --epochs 20 --no-report"
        );
        room.schuss(&train).ok();
        let out = room.schuss("predict run test.csv --coverage 0.9").ok().stdout;
        assert!(out.lines().next().unwrap().ends_with(columns), "{out}");
        let is_covered = |(line, truth): (&str, &String)| {
            let fields: Vec<&str> = line.splitn(4, ',').collect();
            match target {
                "price" => {
                    let [low, high, truth] = [fields[1], fields[2], truth].map(|text| text.parse::<f64>().unwrap());
                    (low..=high).contains(&truth)
                }
                _ => fields[3].contains(truth.as_str()),
            }
        };
        let covered = out.lines().skip(1).zip(&truth(target)).filter(|pair| is_covered(*pair)).count();
        assert!((870..=950).contains(&covered), "{target}: {covered} of 1000");
        std::fs::remove_dir_all(room.path("run")).unwrap();
    }
    let output = room.schuss("predict run test.csv --coverage 1.5");
    assert!(output.code == Some(2) && output.stderr.contains("--coverage"), "{}", output.stderr);
    room.schuss("train train.csv --target price --valid 0 --out blind --epochs 1 --no-report").ok();
    let output = room.schuss("predict blind test.csv --coverage 0.9");
    assert!(output.code == Some(1) && output.stderr.contains("without validation rows"), "{}", output.stderr);
    room.schuss("train train.csv --target price --valid 0.01 --bag 1 --out few --epochs 1 --no-report").ok();
    let output = room.schuss("predict few test.csv --coverage 0.99");
    assert!(output.code == Some(1) && output.stderr.contains("validation rows can say"), "{}", output.stderr);
}

/// Training goes on from a model of a table with its columns and scalings; not from several networks.
#[test]
fn training_goes_on_from_a_table() {
    let room = room();
    let first = "train train.csv --target price --ignore class --bag 1 --scale quantile --epochs 20 --no-report --json";
    let first = room.schuss(&format!("{first} --out first")).ok().done();
    let second = "train train.csv --target price --ignore class --from first --lr 1e-9 --epochs 1 --no-report --json";
    let second = room.schuss(&format!("{second} --out second")).ok().done();
    let inspected = ["first", "second"].map(|run| room.schuss(&format!("inspect {run} --json")).ok().json());
    for name in ["schema", "target_scaling", "layers"] {
        assert_eq!(inspected[0][name], inspected[1][name], "{name}");
    }
    let [before, after] = [first, second].map(|done| done["rmse_test"].as_f64().unwrap());
    assert!((after / before - 1.0).abs() < 0.01, "{after}, before {before}");
    room.schuss("train train.csv --bag 2 --epochs 1 --no-report --out two").ok();
    let output = room.schuss("train train.csv --from two --out never");
    assert!(output.code == Some(1) && output.stderr.contains("--bag 1"), "{}", output.stderr);
}

/// Networks that share layers are one network, which can go on, and is one when it is not said how many they are.
#[test]
fn networks_that_share_layers_go_on() {
    let room = room();
    let train = "train train.csv --target class --ignore price --hidden 16 --valid 0.2 --no-report --json";
    let first = room.schuss(&format!("{train} --ensemble 4 --epochs 30 --out first")).ok().done();
    let said = room.schuss("inspect first").ok().stdout;
    assert!(said.contains("4 networks share the next layers") && said.contains("heads  "), "{said}");
    let config = std::fs::read_to_string(room.path("first/config.toml")).unwrap();
    assert!(config.contains("ensemble = 4") && config.contains("bag = 1"), "{config}");
    let next = room.schuss(&format!("{train} --from first --epochs 5 --lr 1e-5 --out next")).ok().done();
    let [before, after] = [&first, &next].map(|done| done["loss_test"].as_f64().unwrap());
    assert!((after / before - 1.0).abs() < 0.02, "{after}, before {before}");
    let output = room.schuss(&format!("{train} --from first --ensemble 3 --out never"));
    let said = |part: &str| output.stderr.contains(part);
    let is_said = said("--ensemble 3 disagrees with --from") && said("whose network is 4; leave --ensemble out");
    assert!(output.code == Some(2) && is_said, "{}", output.stderr);
    // Of other data, too, where layers are copied one by one.
    let digits = "train digits --hidden 16 --epochs 2 --no-report --json";
    let first = room.schuss(&format!("{digits} --ensemble 2 --out first-digits")).ok().done();
    let next = room.schuss(&format!("{digits} --from first-digits --lr 1e-9 --out next-digits")).ok().done();
    assert_eq!(first["acc_test"], next["acc_test"]);
}

/// Validation rows that an ensemble's networks have in common are scored once, by all of them together.
#[test]
fn rows_in_common_count_once() {
    let room = room();
    room.schuss("train train.csv --valid 0.25 --bag 3 --epochs 1 --no-report --out run").ok();
    let rows = room.schuss("inspect run --json").ok().json()["validation_rows"].as_u64();
    assert_eq!(rows, Some(80), "a fourth of the 320 that are not tested on");
    room.schuss("train train.csv --bag 3 --epochs 1 --no-report --out folds").ok();
    let rows = room.schuss("inspect folds --json").ok().json()["validation_rows"].as_u64();
    assert_eq!(rows, Some(320), "each row by the network that did not learn from it");
}

/// What each column is worth is a function of model and rows, and the same in an evaluation and in the report; which shows
/// values as they stand in the file.
#[test]
fn columns_matter_as_much_as_the_target_follows_from_them() {
    let room = room();
    let train =
        "train train.csv --target price --test test.csv --ignore class --hidden 32 --epochs 60 --bag 1 --out run";
    room.schuss(&format!("{train} --json")).ok();
    let evaluate = |more: &str| room.schuss(&format!("evaluate run test.csv --json --no-baselines {more}")).ok().json();
    let [importance, other] = ["--threads 1", "--threads 3"].map(|more| evaluate(more)["importance"].clone());
    assert_eq!(importance, other);
    assert!(evaluate("--no-importance").get("importance").is_none());
    let order: Vec<&str> =
        importance["columns"].as_array().unwrap().iter().map(|column| column["name"].as_str().unwrap()).collect();
    // Town and colour are worth the same.
    assert!(order[0] == "size" && order[3] == "day" && order.len() == 4, "{importance}");
    let mean = |place: usize| importance["columns"][place]["mean"].as_f64().unwrap();
    assert!(mean(0) > 6.0 && mean(2) > 2.0 && mean(3).abs() < 1.0, "{importance}");
    assert_eq!(
        (&importance["key"], &importance["rows"], &importance["repeats"]),
        (&"rmse".into(), &100.into(), &5.into())
    );
    let said = room.schuss("evaluate run test.csv").ok().stdout;
    let line = said
        .lines()
        .position(|line| line.starts_with("how much RMSE rises when a column is shuffled (100 rows"))
        .unwrap();
    assert!(
        said.lines().nth(line + 1).is_some_and(|line| line.starts_with("  size    ") && line.contains(" ± ")),
        "{said}"
    );

    let html = String::from_utf8(room.read("run/report.html")).unwrap();
    let (_, rest) = html.split_once(r#"<script type="application/json" id="report">"#).unwrap();
    let report: Value = serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap();
    let evaluation = &report["runs"][0]["evaluations"][0];
    assert_eq!(evaluation["importance"]["columns"], importance["columns"]);
    for mistake in evaluation["mistakes"].as_array().unwrap() {
        let row = row(400 + mistake["row"].as_u64().unwrap() as usize);
        for pair in mistake["values"].as_array().unwrap() {
            let (_, expected) = row.iter().find(|(name, _)| pair[0] == *name).unwrap();
            assert_eq!(pair[1], if expected.is_empty() { "missing" } else { expected }, "{mistake}");
        }
    }
}
