//! What a run leaves to look at: the page, the comparison of runs, honest figures. The pages stay in `target/tmp/reports`, for
//! whoever wants to open them in a browser.

mod common;

use std::fs;
use std::path::Path;

use common::{Room, doubles, examples, floats, longs, npz, waves};
use serde_json::{Value, json};

/// The data inside a page, which asks nothing of any other file.
#[track_caller]
fn data_of(html: &str) -> Value {
    let (_, rest) = html.split_once(r#"<script type="application/json" id="report">"#).expect("the page has data");
    let (data, _) = rest.split_once("</script>").unwrap();
    serde_json::from_str(data).unwrap()
}

/// Keeps a page, for a browser to open.
fn keep(room: &Room, page: &str, name: &str) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("reports");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("{name}.html")), room.read(page)).unwrap();
}

/// Trains, and looks at the report: its figures are those of the last epoch and of an evaluation.
#[track_caller]
fn check_report(room: &Room, name: &str, options: &str, epochs: usize, main: &str, part: &str) -> Value {
    let output = room.schuss(&format!("train {options} --json --out {name}")).ok();
    let done = output.done();
    let html = String::from_utf8(room.read(&format!("{name}/report.html"))).unwrap();
    assert!(html.len() < 3_000_000, "{name}: {} bytes", html.len());
    for outside in ["src=\"http", "href=\"http", "url(http", "@import", "sourceMappingURL"] {
        assert!(!html.contains(outside), "{name}: {outside}");
    }
    keep(room, &format!("{name}/report.html"), name);
    let report = data_of(&html);
    let run = &report["runs"][0];
    assert_eq!(run["history"]["epochs"].as_array().unwrap().len(), epochs + 1);
    assert_eq!(run["weights_sha256"], done["weights_sha256"]);
    let evaluation = &run["evaluations"][0];
    assert_eq!((&evaluation["part"], &evaluation["metrics"][0]["key"]), (&json!(part), &json!(main)));
    let parts: Vec<_> = run["evaluations"].as_array().unwrap().iter().map(|each| each["part"].clone()).collect();
    assert_eq!(parts, if part == "training" { vec!["training"] } else { vec![part, "training"] });
    let of_run = |suffix: &str| done[format!("{}{suffix}", if main == "accuracy" { "acc" } else { main })].as_f64();
    if let (Some(other), Some(expected)) = (run["evaluations"].get(1), of_run("")) {
        let value = other["metrics"][0]["value"].as_f64().unwrap();
        assert!((value - expected).abs() < 1e-12, "{name}: {value} {expected} of training rows");
    }
    assert!(run["command"].as_str().unwrap().contains(&*room.path(&format!("{name}/config.toml")).to_string_lossy()));
    for seconds in ["histogram_seconds", "report_seconds"] {
        assert!(done[seconds].as_f64().is_some_and(|x| x > 0.0), "{seconds} of {done}");
    }
    let [value, low, high] = ["value", "low", "high"].map(|key| evaluation["metrics"][0][key].as_f64());
    let [value, low, high] = [value, low.or(value), high.or(value)].map(Option::unwrap);
    assert!(low <= value && value <= high, "{name}: {value} in {low} to {high}");
    let suffix = if part == "training" { "" } else { "_test" };
    if let Some(expected) = of_run(suffix) {
        assert!((value - expected).abs() < 1e-12, "{name}: {value} {expected}");
    }
    let keys = |metrics: &Value| metrics.as_array().unwrap().iter().map(|m| m["key"].clone()).collect::<Vec<_>>();
    for baseline in run["baselines"].as_array().unwrap() {
        assert_eq!(keys(&baseline["metrics"]), keys(&evaluation["metrics"]), "{name}: {}", baseline["name"]);
        assert!(baseline["metrics"][0]["value"].is_number());
    }
    for distribution in run["distributions"].as_array().unwrap() {
        let bins = distribution["histograms"].as_array().unwrap();
        let is_weight = distribution["kind"] == "weight";
        assert_eq!(bins.len(), if is_weight { epochs + 1 } else { epochs }, "{distribution}");
        let total = |bins: &Value| bins["counts"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum::<u64>();
        assert!(bins.iter().all(|histogram| total(histogram) == total(&bins[0]) && total(histogram) > 0));
    }
    let seed = run["settings"].as_array().unwrap().iter().find(|setting| setting["name"] == "epochs").unwrap();
    assert_eq!((&seed["value"], &seed["is_asked"]), (&json!(epochs.to_string()), &json!(true)));
    run.clone()
}

#[test]
fn every_kind_of_run_leaves_a_report() {
    let room = Room::new();
    let digits = check_report(&room, "digits", "digits --hidden 32 --epochs 8", 8, "accuracy", "test");
    let evaluation = &digits["evaluations"][0];
    let counts = evaluation["confusion"]["counts"].as_array().unwrap();
    let total: f64 = counts.iter().flat_map(|row| row.as_array().unwrap()).map(|n| n.as_f64().unwrap()).sum();
    assert_eq!((counts.len(), total), (10, evaluation["rows"].as_f64().unwrap()));
    assert_eq!(evaluation["roc"].as_array().unwrap().len(), 10);
    assert_eq!(digits["first_layer"]["kind"], "pictures");
    let mistake = &evaluation["mistakes"][0];
    assert!(mistake["truth"] != mistake["predicted"] && mistake["picture"]["height"] == 8, "{mistake}");

    let (x, y) = examples(400, 5, 2);
    room.write("binary.npz", npz(&[("x_train", floats(&[400, 5], &x)), ("y_train", longs(&y))]));
    let binary = check_report(&room, "binary", "binary.npz --hidden 16 --epochs 6", 6, "accuracy", "test");
    assert_eq!(binary["evaluations"][0]["roc"].as_array().unwrap().len(), 1, "one curve for two classes");
    assert_eq!(binary["first_layer"]["kind"], "columns");

    let (x, y) = examples(900, 24, 20);
    room.write("many.npz", npz(&[("x_train", floats(&[900, 24], &x)), ("y_train", longs(&y))]));
    check_report(&room, "many", "many.npz --hidden 32 --epochs 10", 10, "accuracy", "test");

    let x = waves(300 * 4);
    let y: Vec<f64> = x.chunks(4).flat_map(|x| [x[0] + x[1] * x[2], x[3] - x[0]].map(f64::from)).collect();
    room.write("numbers.npz", npz(&[("x_train", floats(&[300, 4], &x)), ("y_train", doubles(&[300, 2], &y))]));
    let numbers = check_report(&room, "numbers", "numbers.npz --hidden 16 --epochs 12", 12, "rmse", "test");
    assert_eq!(numbers["evaluations"][0]["residuals"].as_array().unwrap().len(), 2);

    // What a loss asks for is what its model is judged by, and what stands beside it.
    for (loss, main, baseline) in
        [("quantile:0.1,0.5,0.9", "pinball", "quantiles"), ("mae", "mae", "median"), ("huber", "rmse", "mean")]
    {
        let options = format!("numbers.npz --hidden 16 --epochs 12 --loss {loss}");
        let run = check_report(&room, &format!("numbers-{}", &loss[..3]), &options, 12, main, "test");
        let names: Vec<_> = run["baselines"].as_array().unwrap().iter().map(|each| each["name"].clone()).collect();
        assert_eq!(names, [baseline, "linear model"], "{loss}");
        let values: Vec<f64> = (run["baselines"].as_array().unwrap().iter())
            .map(|each| each["metrics"][0]["value"].as_f64().unwrap())
            .collect();
        assert!(values[1] < values[0], "{loss}: a linear model that learned the same: {values:?}");
    }

    // The target is in the last of many columns, and so are the values that a mistake shows.
    let x = waves(400 * 30);
    let y: Vec<i64> = x.chunks(30).map(|x| i64::from(x[29] > 0.3)).collect();
    room.write("wide.npz", npz(&[("x_train", floats(&[400, 30], &x)), ("y_train", longs(&y))]));
    let wide = check_report(&room, "wide", "wide.npz --hidden 8 --epochs 10", 10, "accuracy", "test");
    let mistake = &wide["evaluations"][0]["mistakes"][0]["values"];
    let columns: Vec<_> = mistake.as_array().unwrap().iter().map(|value| value[0].as_str().unwrap()).collect();
    assert!(columns.len() == 12 && columns[11] == "column 29", "{columns:?}");
    assert_eq!(wide["evaluations"][0]["mistakes_note"], "Of 30 columns, the 12 that the first layer weighs most.");

    // Nothing can be split off these.
    room.write("two.npz", npz(&[("x_train", floats(&[2, 2], &waves(4))), ("y_train", longs(&[0, 1]))]));
    check_report(&room, "two", "two.npz --hidden 3 --epochs 1", 1, "accuracy", "training");

    let text = room.schuss("train digits --hidden 8 --epochs 1 --no-report --valid 0.1 --out plain").ok().stdout;
    assert!(text.contains("validation accuracy ") && text.contains("test accuracy "), "{text}");
    assert!(!room.path("plain/report.html").exists());
}

/// Names come from outside; a page shows them and runs none of them.
#[test]
fn a_name_cannot_leave_the_data() {
    let room = Room::new();
    let (x, y) = examples(60, 4, 2);
    let name = "x<script>alert(1)";
    room.write(&format!("{name}.npz"), npz(&[("x_train", floats(&[60, 4], &x)), ("y_train", longs(&y))]));
    room.schuss(&format!("train {name}.npz --hidden 4 --epochs 2 --out run")).ok();
    let html = String::from_utf8(room.read("run/report.html")).unwrap();
    assert!(!html.contains("<script>alert"), "the name stands in the page as it is");
    assert!(data_of(&html)["runs"][0]["summary"][0].as_str().unwrap().contains(name));
    keep(&room, "run/report.html", "hostile");
}

#[test]
fn a_run_says_how_good_it_is_and_where_its_report_is() {
    let room = Room::new();
    let text = room.schuss("train digits --hidden 32 --epochs 6 --out run").ok().stdout;
    for expected in [
        "training loss",
        "test loss",
        "360 test rows, not learned from:",
        "accuracy",
        "(95 %: ",
        "majority class",
        "linear model",
        "report: run/report.html",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
}

#[test]
fn an_evaluation_stands_beside_baselines_and_says_what_is_doubtful() {
    let room = Room::new();
    room.schuss("train digits --hidden 32 --epochs 10 --out run").ok();
    let evaluated = room.schuss("evaluate run digits --split test --json").ok().json();
    let names: Vec<_> = evaluated["baselines"].as_array().unwrap().iter().map(|b| b["name"].clone()).collect();
    assert_eq!(names, ["majority class", "linear model"]);
    let table = room.schuss("evaluate run digits --split test").ok().stdout;
    for (row, cells) in [("log-loss", 3), ("accuracy", 3), ("rows", 1)] {
        let line = table.lines().find(|line| line.starts_with(&format!("{row} "))).unwrap();
        assert_eq!(line[row.len()..].split("  ").filter(|cell| !cell.trim().is_empty()).count(), cells, "{table}");
    }
    let accuracy = |metrics: &Value| metrics["accuracy"].as_f64().unwrap();
    let [majority, linear] = [0, 1].map(|i| accuracy(&evaluated["baselines"][i]["metrics"]));
    assert!(majority < 0.2 && linear > 0.9, "{evaluated}");
    let [low, high] = [0, 1].map(|i| evaluated["intervals"]["accuracy"][i].as_f64().unwrap());
    assert!(low < accuracy(&evaluated["metrics"]) && accuracy(&evaluated["metrics"]) < high, "{evaluated}");
    // Ten epochs are not enough to be sure to be better than a linear model; nothing else is doubtful.
    let warnings: Vec<_> = evaluated["warnings"].as_array().unwrap().iter().map(|w| w.as_str().unwrap()).collect();
    assert!(warnings.len() == 1 && warnings[0].contains("baseline \"linear model\""), "{warnings:?}");

    let output = room.schuss("evaluate run digits --split test --seeds 3 --json").ok();
    let trains = "note: training 3 models on 1437 training rows of digits, as run/config.toml says";
    assert!(output.stderr.contains(trains), "{}", output.stderr);
    let seeds = output.json()["seeds"].clone();
    for key in ["accuracy", "log_loss"] {
        let runs: Vec<f64> = seeds["runs"].as_array().unwrap().iter().map(|run| run[key].as_f64().unwrap()).collect();
        assert!(runs.len() == 3 && runs.iter().any(|x| *x != runs[0]), "{seeds}");
        let mean = runs.iter().sum::<f64>() / 3.0;
        let deviation = (runs.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 2.0).sqrt();
        for (name, expected) in [("mean", mean), ("deviation", deviation)] {
            let got = seeds["measures"][key][name].as_f64().unwrap();
            assert!((got - expected).abs() < 1e-12, "{name} of {key}: {got}, expected {expected}");
        }
    }
    assert_eq!((&seeds["key"], &seeds["mean"]), (&json!("accuracy"), &seeds["measures"]["accuracy"]["mean"]));

    // Noticed before any work: the data are not even looked for.
    room.write("bad/config.toml", "hidden = \"many\"");
    room.write("bad/model.safetensors", room.read("run/model.safetensors"));
    for (model, code, expected) in [
        ("run/model.safetensors", 2, "--seeds needs a run folder"),
        ("bad", 2, "bad/config.toml"),
        ("nowhere", 2, "--seeds needs a run folder"),
    ] {
        let refused = room.schuss(&format!("evaluate {model} no-such-data --seeds 2"));
        assert!(refused.code == Some(code) && refused.stderr.contains(expected), "{model}: {refused:?}");
    }

    // The last column is the class, and a fifth of the test rows are training rows.
    let (x, y) = examples(500, 4, 2);
    let row = |i: usize| [&x[4 * i..][..4], &[y[i] as f32]].concat();
    let rows = |range: &mut dyn Iterator<Item = usize>| range.flat_map(row).collect::<Vec<f32>>();
    let test: Vec<usize> = (400..480).chain(0..20).collect();
    room.write(
        "leaky.npz",
        npz(&[
            ("x_train", floats(&[400, 5], &rows(&mut (0..400)))),
            ("y_train", longs(&y[..400])),
            ("x_test", floats(&[100, 5], &rows(&mut test.iter().copied()))),
            ("y_test", longs(&test.iter().map(|&i| y[i]).collect::<Vec<_>>())),
        ]),
    );
    let text = room.schuss("train leaky.npz --hidden 8 --epochs 30 --out leaky").ok().stdout;
    assert!(text.contains("warning: 20 of the 100 test rows (20.0 %) stand in the training data"), "{text}");
    assert!(text.contains("warning: Column 4 (counted from 0) alone gives the right class"), "{text}");
}

/// A table to evaluate stands beside what the run learned from, not beside itself.
#[test]
fn baselines_learn_from_the_rows_of_the_run() {
    let room = Room::new();
    let line = |i: usize| {
        format!("{},{},{}\n", i * 37 % 101, ["a", "b", "c"][i * 7 % 3], (i * 37 % 101) as f64 + (i % 5) as f64)
    };
    let csv = |rows: std::ops::Range<usize>| format!("size,kind,price\n{}", rows.map(line).collect::<String>());
    room.write("train.csv", csv(0..200));
    room.write("test.csv", csv(203..263));
    for preset in ["small", "plain"] {
        let options = format!("train.csv --test test.csv --target price --preset {preset} --epochs 6 --out {preset}");
        room.schuss(&format!("train {options}")).ok();
    }
    let report = data_of(&String::from_utf8(room.read("small/report.html")).unwrap());
    let run = &report["runs"][0];
    let metric = |baseline: &Value| baseline["metrics"][0]["value"].as_f64().unwrap();
    let of_run: Vec<f64> = run["baselines"].as_array().unwrap().iter().map(metric).collect();
    let evaluated = room.schuss("evaluate small test.csv --json").ok().json();
    let rmse = |baseline: &Value| baseline["metrics"]["rmse"].as_f64().unwrap();
    let of_evaluation: Vec<f64> = evaluated["baselines"].as_array().unwrap().iter().map(rmse).collect();
    assert_eq!(of_evaluation, of_run);
    // The curves of a table have points of all parts; the words are those of the table.
    let epochs = run["history"]["epochs"].as_array().unwrap();
    assert!(epochs.iter().filter(|epoch| epoch["loss"][0].is_number() && epoch["loss"][2].is_number()).count() >= 3);
    let summary = run["summary"].to_string();
    assert!(summary.contains("learned to predict price from 160 training rows of 2 columns"), "{summary}");

    // Of a model file alone, nobody knows what it learned from.
    room.write("alone/model.safetensors", room.read("small/model.safetensors"));
    let alone = room.schuss("evaluate alone test.csv --json").ok();
    assert!(alone.stderr.contains("note: no baselines"), "{}", alone.stderr);
    assert_eq!(alone.json()["baselines"], json!([]));

    // Presets make other inputs of the same rows.
    let compared = room.schuss("compare small plain --json").ok().json();
    assert_eq!(compared["differences"].as_array().unwrap().len(), 1, "{compared}");

    // Four networks are not one.
    room.schuss("train train.csv --test test.csv --target price --epochs 6 --out several").ok();
    let report = data_of(&String::from_utf8(room.read("several/report.html")).unwrap());
    let summary = report["runs"][0]["summary"].to_string();
    assert!(summary.contains("4 networks, whose mean is the prediction"), "{summary}");
    assert_eq!(report["runs"][0]["history"]["members"], json!(4));
}

/// Trains on forty rows and these test rows: what a person reads of them, in the run and in an evaluation.
#[track_caller]
fn check_few(y: &[i64], expected: &[&str], unexpected: &[&str]) {
    let room = Room::new();
    let rows = y.len();
    let (x, train) = examples(40 + rows, 4, 2);
    let [first, last] = [&x[..160], &x[160..]];
    let data = [
        ("x_train", floats(&[40, 4], first)),
        ("y_train", longs(&train[..40])),
        ("x_test", floats(&[rows, 4], last)),
        ("y_test", longs(y)),
    ];
    room.write("few.npz", npz(&data));
    let of_run = room.schuss("train few.npz --hidden 4 --epochs 2 --out run").ok().stdout;
    for (what, text) in [("run", of_run), ("evaluation", room.schuss("evaluate run few.npz").ok().stdout)] {
        expected.iter().for_each(|part| assert!(text.contains(part), "{part:?} is not in the {what}: {text}"));
        unexpected.iter().for_each(|part| assert!(!text.contains(part), "{part:?} is in the {what}: {text}"));
    }
}

#[test]
fn few_rows_and_a_single_class_are_said() {
    let few = |rows: usize| format!("warning: The figures are those of {rows} test row");
    check_few(&[1], &[&format!("{} only", few(1))], &["1 test rows", "All 1"]);
    check_few(&[0, 1, 0], &[&few(3)], &["are of class"]);
    check_few(&[1; 12], &["warning: All 12 test rows are of class 1: "], &["The figures are those"]);

    // R² of a single row is none, as scikit-learn has it.
    let room = Room::new();
    let x = waves(41 * 4);
    let y: Vec<f64> = x.chunks(4).map(|x| f64::from(x[0] - x[1])).collect();
    let parts = [("train", 0..40), ("test", 40..41)].map(|(part, rows)| {
        let features = floats(&[rows.len(), 4], &x[4 * rows.start..4 * rows.end]);
        [(format!("x_{part}"), features), (format!("y_{part}"), doubles(&[rows.len()], &y[rows]))]
    });
    let arrays: Vec<_> = parts.iter().flatten().map(|(name, array)| (name.as_str(), array.clone())).collect();
    room.write("one.npz", npz(&arrays));
    let text = room.schuss("train one.npz --hidden 4 --epochs 2 --out run").ok().stdout;
    let is_undefined = text.lines().any(|line| line.split_whitespace().eq(["R²", "not", "defined"]));
    assert!(text.contains("1 test row, not learned from:") && is_undefined, "{text}");
    let evaluated = room.schuss("evaluate run one.npz --json").ok().json();
    assert_eq!((&evaluated["metrics"]["r2"], &evaluated["intervals"]), (&Value::Null, &json!({})), "{evaluated}");
    let report = data_of(&String::from_utf8(room.read("run/report.html")).unwrap());
    let metrics = report["runs"][0]["evaluations"][0]["metrics"].as_array().unwrap().clone();
    let r2 = metrics.iter().find(|metric| metric["key"] == "r2").unwrap();
    assert_eq!((&r2["value"], &r2["low"]), (&Value::Null, &Value::Null), "{r2}");
}

#[test]
fn runs_side_by_side_tell_noise_from_difference() {
    let room = Room::new();
    room.schuss("train digits --hidden 32 --epochs 10 --out good").ok();
    room.schuss("train digits --hidden 32 --epochs 10 --seed 1 --out other").ok();
    room.schuss("train digits --hidden 32 --epochs 1 --out early").ok();
    let compared = room.schuss("compare good other early good -o page.html --json").ok().json();
    let difference = |i: usize| &compared["differences"][i]["difference"];
    assert_eq!((&difference(0)["is_noise"], &difference(1)["is_noise"]), (&json!(true), &json!(false)), "{compared}");
    assert!(difference(1)["value"].as_f64().unwrap() < -0.02, "{compared}");
    assert_eq!((&difference(2)["value"], &difference(2)["is_noise"]), (&json!(0.0), &json!(true)), "{compared}");
    let differing: Vec<_> = compared["settings"].as_array().unwrap().iter().map(|s| s["name"].clone()).collect();
    assert_eq!(differing, ["epochs", "seed"], "{compared}");
    let report = data_of(&String::from_utf8(room.read("page.html")).unwrap());
    assert_eq!(report["runs"].as_array().unwrap().len(), 4);
    keep(&room, "page.html", "comparison");
    let text = room.schuss("compare good early").ok().stdout;
    assert!(text.contains(": worse") && text.contains("settings that differ"), "{text}");

    room.write("table.npz", common::classes_npz(100, 4, 3));
    room.schuss("train table.npz --hidden 4 --epochs 2 --out table").ok();
    let compared = room.schuss("compare good table --json").ok().json();
    assert_eq!(compared["differences"], json!([]));
    assert!(
        compared["note"].as_str().unwrap().contains("Not compared with the first run: table (judged by other rows)")
    );
    let x = waves(100 * 4);
    let y: Vec<f64> = x.chunks(4).map(|x| f64::from(x[0])).collect();
    room.write("numbers.npz", npz(&[("x_train", floats(&[100, 4], &x)), ("y_train", doubles(&[100], &y))]));
    room.schuss("train numbers.npz --hidden 4 --epochs 2 --out numbers").ok();
    room.schuss("train numbers.npz --hidden 4 --epochs 2 --loss mae --out medians").ok();
    for (runs, expected) in [
        ("good numbers", "numbers (another task, regression)"),
        ("numbers medians", "medians (judged by another measure, MAE)"),
    ] {
        let note = room.schuss(&format!("compare {runs} --json")).ok().json()["note"].clone();
        assert_eq!(note, format!("Not compared with the first run: {expected}."), "{runs}");
    }

    // A log with a damaged line is read without it, and that is said.
    let log = String::from_utf8(room.read("numbers/metrics.jsonl")).unwrap();
    room.write("numbers/metrics.jsonl", log.replacen("{\"", "{{", 1));
    let noted = room.schuss("compare numbers medians").ok().stderr;
    assert!(noted.contains("note: numbers/metrics.jsonl: left out 1 line that can't be read: 1"), "{noted}");

    // What stands in the way is said of the run, with the way out, before any work.
    let config = String::from_utf8(room.read("table/config.toml")).unwrap();
    let change = |run: &str, from: &str, to: &str| {
        assert!(config.contains(from), "{from:?} is not in {config}");
        room.write(&format!("{run}/config.toml"), config.replace(from, to));
        room.write(&format!("{run}/model.safetensors"), room.read("table/model.safetensors"));
    };
    change("moved", "table.npz", "gone.npz");
    change("wider", "hidden = \"4\"", "hidden = \"5\"");
    change("narrow", &room.path("table.npz").display().to_string(), "digits");
    for (runs, code, expected) in [
        ("good nowhere", 1, "nowhere: expected a run folder"),
        ("good moved", 1, "moved: cannot be compared as its config.toml says: "),
        ("good moved", 1, "gone.npz"),
        ("good moved", 1, "correct `data` in moved/config.toml"),
        (
            "good wider",
            1,
            "wider: config.toml is not that of the model beside it: expected hidden 4 as in model.safetensors, got 5",
        ),
        ("good narrow", 1, "narrow: the model does not fit the data of its config.toml, digits: "),
        ("nowhere nowhere -o no/such/page.html", 2, "cannot write no/such/page.html: there is no folder no/such"),
        ("nowhere nowhere -o good", 2, "cannot write good: this is a folder"),
    ] {
        let refused = room.schuss(&format!("compare {runs}"));
        assert!(refused.code == Some(code) && refused.stderr.contains(expected), "{runs}: {expected:?}: {refused:?}");
    }
}

/// The files that TensorBoard reads have what the run says; `scripts/test` has TensorBoard itself read some.
#[test]
fn tensorboard_gets_a_file_of_events() {
    let room = Room::new();
    room.schuss("train digits --hidden 8 --epochs 2 --tensorboard board --out run").ok();
    let files: Vec<_> = fs::read_dir(room.path("board")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [file] = &files[..] else { panic!("{files:?}") };
    assert!(file.file_name().unwrap().to_string_lossy().starts_with("events.out.tfevents."), "{file:?}");
    let bytes = fs::read(file).unwrap();
    for tag in [
        "loss/train",
        "loss/test",
        "acc/test",
        "learning_rate",
        "weight/layers.0.weight",
        "gradient/layers.1.bias",
        "settings",
    ] {
        assert!(bytes.windows(tag.len()).any(|window| window == tag.as_bytes()), "{tag}");
    }

    // Killed after a checkpoint, it goes on in a file that begins a session with the epoch that comes next: what TensorBoard has
    // of that and later ones is dropped.
    let mut child = room
        .command("train digits --hidden 8 --epochs 2000 --checkpoint 50 --tensorboard killed-board --out killed --json")
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while !room.path("killed/checkpoint.safetensors").is_file() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let first: Vec<_> = fs::read_dir(room.path("killed-board")).unwrap().map(|entry| entry.unwrap().path()).collect();
    room.schuss("train --resume killed --tensorboard killed-board").ok();
    let files: Vec<_> = fs::read_dir(room.path("killed-board")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let second: Vec<_> = files.iter().filter(|file| !first.contains(file)).collect();
    let [second] = &second[..] else { panic!("{first:?}, {files:?}") };
    // A record: its length, a checksum, the event, a checksum. The event: time, step, a session's start.
    let bytes = fs::read(second).unwrap();
    let length = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    let at = length(0) + 16;
    let event = &bytes[at + 12..][..length(at)];
    assert!(event[9] == 0x10 && event.ends_with(&[0x3a, 2, 8, 1]), "{event:?}");
    assert!(!fs::read(&first[0]).unwrap().windows(4).any(|window| window == [0x3a, 2, 8, 1]));

    room.write("in-the-way", "");
    let refused = room.schuss("train digits --hidden 8 --epochs 1 --tensorboard in-the-way/board --out other");
    assert!(refused.code == Some(1) && refused.stderr.contains("in-the-way/board"), "{refused:?}");
}
