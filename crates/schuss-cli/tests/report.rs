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
    let [value, low, high] = ["value", "low", "high"].map(|key| evaluation["metrics"][0][key].as_f64().unwrap());
    assert!(low <= value && value <= high, "{name}: {value} in {low} to {high}");
    let suffix = if part == "training" { "" } else { "_test" };
    let of_run = &done[format!("{}{suffix}", if main == "accuracy" { "acc" } else { main })];
    assert!((value - of_run.as_f64().unwrap()).abs() < 1e-12, "{name}: {value} {of_run}");
    assert!(run["baselines"][0]["metrics"][0]["value"].is_number());
    for distribution in run["distributions"].as_array().unwrap() {
        let bins = distribution["histograms"].as_array().unwrap();
        let is_weight = distribution["kind"] == "weight";
        assert_eq!(bins.len(), if is_weight { epochs + 1 } else { epochs }, "{distribution}");
        let total = |bins: &Value| bins["counts"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum::<u64>();
        assert!(bins.iter().all(|histogram| total(histogram) == total(&bins[0]) && total(histogram) > 0));
    }
    let seed = run["settings"].as_array().unwrap().iter().find(|setting| setting["name"] == "epochs").unwrap();
    assert_eq!((&seed["value"], &seed["is_chosen"]), (&json!(epochs.to_string()), &json!(false)));
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
    let accuracy = |metrics: &Value| metrics["accuracy"].as_f64().unwrap();
    let [majority, linear] = [0, 1].map(|i| accuracy(&evaluated["baselines"][i]["metrics"]));
    assert!(majority < 0.2 && linear > 0.9, "{evaluated}");
    let [low, high] = [0, 1].map(|i| evaluated["intervals"]["accuracy"][i].as_f64().unwrap());
    assert!(low < accuracy(&evaluated["metrics"]) && accuracy(&evaluated["metrics"]) < high, "{evaluated}");
    // Ten epochs are not enough to be sure to be better than a linear model; nothing else is doubtful.
    let warnings: Vec<_> = evaluated["warnings"].as_array().unwrap().iter().map(|w| w.as_str().unwrap()).collect();
    assert!(warnings.len() == 1 && warnings[0].contains("baseline \"linear model\""), "{warnings:?}");

    let seeds = room.schuss("evaluate run digits --split test --seeds 3 --json").ok().json()["seeds"].clone();
    let runs: Vec<f64> = seeds["runs"].as_array().unwrap().iter().map(accuracy).collect();
    assert!(runs.len() == 3 && runs.iter().any(|x| *x != runs[0]), "{seeds}");
    assert!((runs.iter().sum::<f64>() / 3.0 - seeds["mean"].as_f64().unwrap()).abs() < 1e-12, "{seeds}");
    let refused = room.schuss("evaluate run/model.safetensors digits --seeds 2");
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("--seeds needs a run folder"), "{}", refused.stderr);

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
    assert!(compared["note"].as_str().unwrap().contains("Not compared, as it is judged by other rows: table"));
    let refused = room.schuss("compare good nowhere");
    assert!(refused.code == Some(1) && refused.stderr.contains("nowhere: expected a run folder"), "{refused:?}");
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
    for tag in ["loss/train", "loss/test", "acc/test", "weight/layers.0.weight", "gradient/layers.1.bias", "settings"] {
        assert!(bytes.windows(tag.len()).any(|window| window == tag.as_bytes()), "{tag}");
    }
    room.write("in-the-way", "");
    let refused = room.schuss("train digits --hidden 8 --epochs 1 --tensorboard in-the-way/board --out other");
    assert!(refused.code == Some(1) && refused.stderr.contains("in-the-way/board"), "{refused:?}");
}
