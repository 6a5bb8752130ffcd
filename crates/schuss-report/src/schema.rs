//! What a report says, as the page reads it: `web/src/schema.ts` has the same types, with what each field means.
//!
//! Numbers are `None` where they are not finite or do not apply.

#![expect(missing_docs, reason = "the fields are those of web/src/schema.ts")]

use serde::Serialize;

/// A number, if it is one.
pub fn finite(x: f64) -> Option<f64> {
    x.is_finite().then_some(x)
}

#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub version: u32,
    pub title: String,
    pub made: String,
    pub schuss: String,
    pub runs: Vec<Run>,
    pub comparison: Option<Comparison>,
    pub tuning: Option<Tuning>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Run {
    pub name: String,
    pub summary: Vec<String>,
    pub warnings: Vec<String>,
    pub facts: Vec<(String, String)>,
    pub history: History,
    pub evaluations: Vec<Evaluation>,
    pub baselines: Vec<Baseline>,
    pub first_layer: Option<FirstLayer>,
    pub distributions: Vec<Distribution>,
    pub speed: Option<Speed>,
    pub settings: Vec<Setting>,
    pub command: String,
    pub weights_sha256: String,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct History {
    pub loss: String,
    pub score: String,
    pub is_share: bool,
    pub kept_epoch: Option<i64>,
    pub members: usize,
    pub epochs: Vec<Epoch>,
}

/// Metrics of training, validation and test data.
#[derive(Clone, Debug, Serialize)]
pub struct Epoch {
    pub epoch: i64,
    pub seconds: Option<f64>,
    pub loss: [Option<f64>; 3],
    pub score: [Option<f64>; 3],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    Higher,
    Lower,
}

impl Better {
    pub fn of(higher_is_better: bool) -> Self {
        if higher_is_better { Self::Higher } else { Self::Lower }
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct Metric {
    pub key: String,
    pub name: String,
    pub value: Option<f64>,
    pub low: Option<f64>,
    pub high: Option<f64>,
    pub is_share: bool,
    pub unit: String,
    pub better: Better,
    pub what: String,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct Evaluation {
    pub part: String,
    pub rows: usize,
    pub is_weighted: bool,
    pub interval: String,
    pub metrics: Vec<Metric>,
    pub classes: Option<Vec<ClassRow>>,
    pub confusion: Option<Confusion>,
    pub calibration: Option<Calibration>,
    pub roc: Option<Vec<Curve>>,
    pub precision_recall: Option<Vec<Curve>>,
    pub residuals: Option<Vec<Residuals>>,
    pub importance: Option<Importance>,
    pub mistakes: Vec<Mistake>,
    pub mistakes_note: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct ClassRow {
    pub name: String,
    pub rows: f64,
    pub precision: Option<f64>,
    pub recall: Option<f64>,
    pub f1: Option<f64>,
    pub roc_auc: Option<f64>,
}

/// Rows by truth and prediction.
#[derive(Clone, Debug, Serialize)]
pub struct Confusion {
    pub names: Vec<String>,
    pub counts: Vec<Vec<f64>>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Calibration {
    pub error: Option<f64>,
    pub bins: Vec<CalibrationBin>,
}

#[derive(Clone, Debug, Serialize)]
pub struct CalibrationBin {
    pub low: f64,
    pub high: f64,
    pub rows: usize,
    pub confidence: Option<f64>,
    pub accuracy: Option<f64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Curve {
    pub name: String,
    pub area: Option<f64>,
    pub points: Vec<[f64; 2]>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Residuals {
    pub target: String,
    pub points: Vec<[f64; 2]>,
    pub histogram: Histogram,
}

/// Numbers counted in equal bins from `low` to `high`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Histogram {
    pub low: f64,
    pub high: f64,
    pub counts: Vec<u64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Mistake {
    pub row: usize,
    pub truth: String,
    pub predicted: String,
    pub confidence: Option<f64>,
    pub picture: Option<Picture>,
    pub values: Option<Vec<(String, String)>>,
}

/// How much the main metric loses when a column is shuffled.
#[derive(Clone, Debug, Serialize)]
pub struct Importance {
    pub name: String,
    pub is_share: bool,
    pub better: Better,
    pub rows: usize,
    pub repeats: usize,
    pub columns: Vec<ColumnImportance>,
    pub of: usize,
}

#[derive(Clone, Debug, Serialize)]
pub struct ColumnImportance {
    pub name: String,
    pub mean: Option<f64>,
    pub deviation: Option<f64>,
}

/// Bytes in base64, row-major, channels last.
#[derive(Clone, Debug, Serialize)]
pub struct Picture {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    pub pixels: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct Baseline {
    pub name: String,
    pub metrics: Vec<Metric>,
    pub difference: Option<Difference>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    pub key: String,
    pub name: String,
    pub is_share: bool,
    pub value: Option<f64>,
    pub low: Option<f64>,
    pub high: Option<f64>,
    pub is_noise: bool,
    pub better: Better,
}

#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum FirstLayer {
    Pictures { height: usize, width: usize, channels: usize, largest: f64, units: Vec<Unit>, of: usize },
    Columns { names: Vec<String>, strength: Vec<f64>, of: usize },
}

/// Weights of a unit: bytes in base64, 128 for 0, 1 and 255 for the largest either way.
#[derive(Clone, Debug, Serialize)]
pub struct Unit {
    pub unit: usize,
    pub weights: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct Distribution {
    pub tensor: String,
    pub kind: String,
    pub epochs: Vec<i64>,
    pub histograms: Vec<Histogram>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Speed {
    pub seconds: f64,
    pub steps: u64,
    pub examples_per_s: Option<f64>,
    pub gflops: Option<f64>,
    pub peak_gflops: Option<f64>,
    pub share_of_peak: Option<f64>,
    pub left_out: Option<f64>,
    pub time: Vec<(String, f64)>,
    pub machine: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct Setting {
    pub name: String,
    pub value: String,
    pub is_asked: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    pub note: String,
    pub differences: Vec<Pair>,
    pub settings: Vec<Differing>,
}

/// Run `b` less run `a`.
#[derive(Clone, Debug, Serialize)]
pub struct Pair {
    pub a: usize,
    pub b: usize,
    pub difference: Difference,
}

/// A search of settings.
#[derive(Clone, Debug, Serialize)]
pub struct Tuning {
    pub summary: Vec<String>,
    pub measure: String,
    pub is_share: bool,
    pub better: Better,
    pub folds: usize,
    pub rungs: Vec<usize>,
    pub parameters: Vec<Parameter>,
    pub trials: Vec<Trial>,
    pub command: String,
}

/// A setting that is searched.
#[derive(Clone, Debug, Serialize)]
pub struct Parameter {
    pub name: String,
    pub is_log: bool,
    pub choices: Option<Vec<String>>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Trial {
    pub trial: usize,
    pub settings: Vec<String>,
    pub places: Vec<Option<f64>>,
    pub rungs: Vec<Place>,
}

/// What came of a trial with so many epochs.
#[derive(Clone, Debug, Serialize)]
pub struct Place {
    pub epochs: usize,
    pub mean: Option<f64>,
    pub error: Option<f64>,
    pub seconds: Option<f64>,
}

/// A setting that runs differ in.
#[derive(Clone, Debug, Serialize)]
pub struct Differing {
    pub name: String,
    pub values: Vec<String>,
}
