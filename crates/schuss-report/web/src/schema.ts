/** What a report page shows. The Rust side (serde) writes exactly this; null stands for what is not finite or does not apply. */
export type Maybe = number | null;

export interface Report {
  version: 1;
  title: string;             // "digits: accuracy 98.3 %"
  made: string;              // "2026-11-25 10:03"
  schuss: string;            // version of schuss that wrote it
  runs: Run[];               // one; several in a comparison
  comparison: Comparison | null;
  tuning: Tuning | null;     // of a search of settings, which has no runs
}

export interface Run {
  name: string;              // name of the run's folder
  summary: string[];         // sentences for a person: what was trained on what, how it ended, how good it is
  warnings: string[];        // sentences, shown prominently; often empty
  facts: [string, string][]; // label, value: Data, Task, Rows, Network, Parameters, Optimiser, ...
  history: History;
  evaluations: Evaluation[]; // the part that counts first (test, else validation, else training), then metrics of the others
  baselines: Baseline[];     // majority class or mean; linear model
  first_layer: FirstLayer | null;
  distributions: Distribution[];
  speed: Speed | null;
  settings: Setting[];
  command: string;           // repeats the run
  weights_sha256: string;
}

export interface History {
  loss: string;              // name of the loss with its unit: "cross-entropy (nats)"
  score: string;             // "accuracy", "RMSE"
  is_share: boolean;         // the score is a share in 0..1, shown in percent
  kept_epoch: number | null; // of the parameters that the model has, where it is not the last one
  members: number;           // networks that predict together; the epochs are those of the first
  epochs: Epoch[];           // epoch -1 is before training; may be a single one, or none
}
export interface Epoch {
  epoch: number;
  seconds: Maybe;
  loss: [Maybe, Maybe, Maybe];  // training, validation, test
  score: [Maybe, Maybe, Maybe];
}

export interface Metric {
  key: string;               // "accuracy"
  name: string;              // "accuracy", "ROC AUC (macro)"
  value: Maybe;
  low: Maybe;                // 95 % confidence interval
  high: Maybe;
  is_share: boolean;         // shown in percent
  unit: string;              // "", "nats", the targets' unit
  better: "higher" | "lower";
  what: string;              // one sentence: what it is
}

export interface Evaluation {
  part: "test" | "validation" | "training";
  rows: number;
  is_weighted: boolean;      // rows count as much as they weigh
  interval: string;          // how the intervals were made, a sentence
  metrics: Metric[];
  classes: ClassRow[] | null;
  confusion: { names: string[]; counts: number[][] } | null; // [truth][prediction]
  calibration: { error: Maybe; bins: CalibrationBin[] } | null;
  roc: Curve[] | null;       // x: false positive rate, y: true positive rate; one curve for two classes, else one a class
  precision_recall: Curve[] | null; // x: recall, y: precision
  residuals: Residuals[] | null;    // one for each target of a regression
  importance: Importance | null;    // of the columns of a table
  mistakes: Mistake[];       // the most confidently wrong rows, worst first; of a regression the largest errors
  mistakes_note: string;     // which columns their values are of, a sentence; empty where they are of all
}
export interface ClassRow { name: string; rows: number; precision: Maybe; recall: Maybe; f1: Maybe; roc_auc: Maybe }
export interface CalibrationBin { low: number; high: number; rows: number; confidence: Maybe; accuracy: Maybe }
export interface Curve { name: string; area: Maybe; points: [number, number][] } // at most 200 points
export interface Residuals {
  target: string;            // its name, or "target"
  points: [number, number][];// actual, predicted; at most 1500
  histogram: Histogram;      // of predicted - actual
}
export interface Histogram { low: number; high: number; counts: number[] }    // equal bins from low to high
/** How much the main metric loses when a column is shuffled. */
export interface Importance {
  name: string;              // of the metric
  is_share: boolean;
  better: "higher" | "lower";
  rows: number;              // that were looked at, drawn from those of the evaluation
  repeats: number;
  columns: { name: string; mean: Maybe; deviation: Maybe }[]; // over the repeats; the greatest mean first, at most 20 of `of`
  of: number;
}
export interface Mistake {
  row: number;               // counted from 0 in its part
  truth: string;
  predicted: string;
  confidence: Maybe;         // probability that the model gave to its wrong answer
  picture: Picture | null;
  values: [string, string][] | null; // column, value as in the file; at most 12, which ones says mistakes_note
}
export interface Picture { height: number; width: number; channels: 1 | 3; pixels: string } // base64 of bytes, row-major, channels last

export interface Baseline {
  name: string;              // "majority class", "linear model"
  metrics: Metric[];         // the same keys as the evaluation's
  difference: Difference | null; // model minus baseline, of the main metric
}
export interface Difference { key: string; name: string; is_share: boolean; value: Maybe; low: Maybe; high: Maybe; is_noise: boolean; better: "higher" | "lower" }

export type FirstLayer =
  | { kind: "pictures"; height: number; width: number; channels: 1 | 3; largest: number; units: { unit: number; weights: string }[]; of: number }
    // base64 of bytes, 128 is 0, 1 and 255 are -largest and largest; `of` units are there in all, the first 64 at most are shown
  | { kind: "columns"; names: string[]; strength: number[]; of: number };
    // mean |weight| of each input column, strongest first, at most 30 of `of`

export interface Distribution { tensor: string; kind: "weight" | "gradient"; epochs: number[]; histograms: Histogram[] } // at most 60 epochs

export interface Speed {
  seconds: number;           // of the steps
  steps: number;
  examples_per_s: Maybe;
  gflops: Maybe;
  peak_gflops: Maybe;
  share_of_peak: Maybe;
  left_out: Maybe;           // share of the operations that was left out as zero
  time: [string, number][];  // "data", "products", "elementwise", "optimiser", "waiting", "other": shares that add up to 1
  machine: string;           // "2 threads, avx512, f32"
}
export interface Setting { name: string; value: string; is_asked: boolean } // is_asked: by whoever made the run
export interface Comparison {
  note: string;              // what was compared how, a sentence
  differences: { a: number; b: number; difference: Difference }[]; // b minus a, indices of runs
  settings: { name: string; values: string[] }[];                  // those that differ
}

/** A search of settings. */
export interface Tuning {
  summary: string[];         // sentences: what was searched, what is best, whether that is more than noise
  measure: string;           // name of what trials are compared by, "accuracy"
  is_share: boolean;
  better: "higher" | "lower";
  folds: number;
  rungs: number[];           // epochs of each; one of a random search
  parameters: { name: string; is_log: boolean; choices: string[] | null }[]; // the settings that are searched
  trials: Trial[];           // the best first; those that came to a later rung before the others
  command: string;           // trains with the best settings
}
export interface Trial {
  trial: number;             // 0 has the usual settings
  settings: string[];        // of each parameter
  places: Maybe[];           // the same as numbers: the value, or which of the choices, counted from 0
  rungs: { epochs: number; mean: Maybe; error: Maybe; seconds: Maybe }[];
}
