//! Events of known content, to be read by TensorBoard, and beside them `expected.json`: what it has to find.
//!
//! `cargo run -p schuss-report --example tensorboard -- FOLDER` (a new one), then
//! `python crates/schuss-report/tests/read_events.py FOLDER` or `tensorboard --logdir FOLDER`

use std::path::PathBuf;
use std::{env, fs};

use schuss_report::{EventWriter, Setting};
use serde_json::json;

const START: f64 = 1_700_000_000.25;

const SCALARS: [(&str, &[f64]); 3] = [
    ("loss/train", &[2.25, 0.1, 1e-40, 0.0, -0.0]),
    ("loss/valid", &[3.5, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1.0]),
    ("größe", &[-1.5]),
];

/// Tag, bounds and counts of what is written, and the buckets that are to be read.
type Histogram = (&'static str, f64, f64, &'static [u64], &'static [[f64; 3]]);
const HISTOGRAMS: [Histogram; 4] = [
    (
        "layer 1/weight",
        -1.0,
        1.0,
        &[1, 20, 3, 0],
        &[[-1.0, -0.5, 1.0], [-0.5, 0.0, 20.0], [0.0, 0.5, 3.0], [0.5, 1.0, 0.0]],
    ),
    ("layer 1/bias", 0.25, 0.25, &[0, 10], &[[0.25, 0.25, 0.0], [0.25, 0.25, 10.0]]),
    ("layer 2/weight", 0.0, 3e-8, &[1 << 40], &[[0.0, 3e-8, 1_099_511_627_776.0]]),
    ("layer 2/bias", 0.0, 0.0, &[], &[]),
];

const TEXT: &str = "| setting | value |\n|---|---|\n| `learning_rate` | 0.03 |\n\n√2 ≈ 1.41 & **more**";

const SETTINGS: [(&str, Setting); 3] = [
    ("learning_rate", Setting::Number(0.03)),
    ("nesterov", Setting::Flag(true)),
    ("optimizer", Setting::Text("adamw")),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(env::args().nth(1).ok_or("usage: tensorboard FOLDER")?);
    let mut events = EventWriter::create(&folder, START)?;
    let mut expected = json!({});

    events.settings(START, SETTINGS)?;
    for (name, setting) in SETTINGS {
        expected["settings"][name] = match setting {
            Setting::Number(number) => json!(number),
            Setting::Text(text) => json!(text),
            Setting::Flag(flag) => json!(flag),
        };
    }
    events.text("settings", 0, START, TEXT)?;
    expected["texts"]["settings"] = json!([[0, START, TEXT]]);
    for (tag, values) in SCALARS {
        let mut written = vec![];
        for (&value, i) in values.iter().zip(0..) {
            let (step, time) = (1000 * i, START + i as f64);
            events.scalar(tag, step, time, value)?;
            // As text: JSON has no NaN.
            written.push(json!([step, time, value.to_string()]));
        }
        expected["scalars"][tag] = json!(written);
    }
    for (tag, low, high, counts, buckets) in HISTOGRAMS {
        let mut written = vec![];
        for step in 0..3 {
            events.histogram(tag, step, START, low, high, counts)?;
            written.push(json!([step, START, buckets]));
        }
        expected["histograms"][tag] = json!(written);
    }
    events.flush()?;
    fs::write(folder.join("expected.json"), serde_json::to_string_pretty(&expected)?)?;
    Ok(())
}
