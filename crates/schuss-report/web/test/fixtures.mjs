/** Reports to look at: made from random numbers with fixed seeds, and MNIST's pictures, but with true arithmetic. */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

/** Uniform numbers in 0..1 (mulberry32), and normal ones. */
function random(seed) {
  const uniform = () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  return { uniform, normal };
}

const base64 = (bytes) => Buffer.from(bytes).toString("base64");
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const thin = (points, most = 200) => (points.length <= most ? points : Array.from({ length: most }, (_, i) => points[Math.round((i * (points.length - 1)) / (most - 1))]));
const round = (value, decimals = 6) => Number(value.toFixed(decimals));

/** Wilson's interval of a share. */
function wilson(share, rows) {
  const z = 1.96;
  const middle = (share + (z * z) / (2 * rows)) / (1 + (z * z) / rows);
  const half = (z / (1 + (z * z) / rows)) * Math.sqrt((share * (1 - share)) / rows + (z * z) / (4 * rows * rows));
  return [middle - half, middle + half];
}

function metric(key, name, value, low, high, what, more = {}) {
  return { key, name, value, low, high, is_share: false, unit: "", better: "higher", what, ...more };
}

/** Rows with their truth and the probabilities of an over-confident model; hard pairs are drawn towards each other. */
function rowsOf({ classes, rows, signal, seed }) {
  const { uniform, normal } = random(seed);
  return Array.from({ length: rows }, () => {
    const truth = Math.floor(uniform() ** 1.15 * classes);
    const logits = Array.from({ length: classes }, (_, c) => 1.6 * normal() + (c === truth ? signal : 0) + (c === (truth + 3) % classes ? signal * 0.35 : 0));
    const largest = Math.max(...logits);
    const weights = logits.map((z) => Math.exp(1.5 * (z - largest)));
    const sum = weights.reduce((a, b) => a + b, 0);
    const p = weights.map((w) => w / sum);
    return { truth, p, predicted: p.indexOf(Math.max(...p)) };
  });
}

function rates(rows, c) {
  const sorted = rows.map((row) => [row.p[c], row.truth === c]).sort((a, b) => b[0] - a[0]);
  const positives = sorted.filter((row) => row[1]).length;
  const negatives = sorted.length - positives;
  let [tp, fp, auc, average] = [0, 0, 0, 0];
  const roc = [[0, 0]];
  const recall = [];
  for (const [, isPositive] of sorted) {
    if (isPositive) {
      tp += 1;
      average += tp / (tp + fp) / positives;
    } else {
      fp += 1;
      auc += tp / positives / negatives;
    }
    roc.push([round(fp / negatives), round(tp / positives)]);
    recall.push([round(tp / positives), round(tp / (tp + fp))]);
  }
  return { roc: thin(roc), auc, recall: thin(recall), average };
}

function classification({ names, rows: count, signal, seed, part = "test", mistakes = [] }) {
  const classes = names.length;
  const rows = rowsOf({ classes, rows: count, signal, seed });
  const counts = names.map(() => names.map(() => 0));
  for (const row of rows) counts[row.truth][row.predicted] += 1;
  const accuracy = mean(rows.map((row) => Number(row.truth === row.predicted)));
  const loss = mean(rows.map((row) => -Math.log(row.p[row.truth])));
  const of = (c) => {
    const all = counts[c].reduce((a, b) => a + b, 0);
    const given = counts.reduce((sum, row) => sum + row[c], 0);
    const [recall, precision] = [all ? counts[c][c] / all : null, given ? counts[c][c] / given : null];
    const f1 = recall && precision ? (2 * recall * precision) / (recall + precision) : null;
    return { rows: all, precision, recall, f1 };
  };
  const curves = names.map((_, c) => rates(rows, c));
  const shown = classes === 2 ? [1] : names.map((_, c) => c);
  const bins = Array.from({ length: 10 }, (_, b) => {
    const inside = rows.filter((row) => Math.min(9, Math.floor(Math.max(...row.p) * 10)) === b);
    return {
      low: b / 10,
      high: (b + 1) / 10,
      rows: inside.length,
      confidence: inside.length ? mean(inside.map((row) => Math.max(...row.p))) : null,
      accuracy: inside.length ? mean(inside.map((row) => Number(row.truth === row.predicted))) : null,
    };
  });
  const error = bins.reduce((sum, bin) => sum + (bin.rows ? (bin.rows / count) * Math.abs(bin.confidence - bin.accuracy) : 0), 0);
  const auc = mean(curves.map((curve) => curve.auc));
  const f1 = mean(names.map((_, c) => of(c).f1 ?? 0));
  const [low, high] = wilson(accuracy, count);
  return {
    part,
    rows: count,
    is_weighted: false, interval: "Intervals of shares are Wilson's; the others come from 1000 bootstrap samples of the rows.",
    metrics: [
      metric("accuracy", "accuracy", accuracy, low, high, "The share of rows whose class is predicted right.", { is_share: true }),
      metric("log_loss", "log loss", loss, loss * 0.9, loss * 1.1, "Minus the mean logarithm of the probability that the true class was given.", { unit: "nats", better: "lower" }),
      metric("balanced_accuracy", "balanced accuracy", mean(names.map((_, c) => of(c).recall ?? 0)), low - 0.004, high - 0.002, "The mean of the classes' recalls: rare classes count as much as frequent ones.", { is_share: true }),
      metric("f1", "F1 (macro)", f1, f1 - 0.012, f1 + 0.012, "The mean of the classes' F1, the harmonic mean of precision and recall.", { is_share: true }),
      metric("roc_auc", classes === 2 ? "ROC AUC" : "ROC AUC (macro)", auc, auc - 0.004, Math.min(1, auc + 0.004), "The chance that a row of a class is ranked before one that is not of it."),
      metric("calibration_error", "calibration error", error, null, null, "How far confidence and accuracy are apart, on average.", { is_share: true, better: "lower" }),
    ],
    classes: names.map((name, c) => ({ name, ...of(c), roc_auc: curves[c].auc })),
    confusion: { names, counts },
    calibration: { error, bins },
    roc: shown.map((c) => ({ name: names[c], area: curves[c].auc, points: curves[c].roc })),
    precision_recall: shown.map((c) => ({ name: names[c], area: curves[c].average, points: curves[c].recall })),
    residuals: null,
    importance: null,
    mistakes,
    mistakes_note: "",
  };
}

function history({ epochs, seed, loss, from, to, score = "accuracy", scoreFrom = 0.1, scoreTo = 0.98, is_share = true, hasTest = true, overfit = 0, kept = null }) {
  const { normal } = random(seed);
  const course = (start, end, epoch, pace) => end + (start - end) * Math.exp(-pace * (epoch + 1));
  return {
    loss,
    score,
    is_share,
    members: 1, kept_epoch: kept,
    epochs: Array.from({ length: epochs + 1 }, (_, index) => {
      const epoch = index - 1;
      const jitter = () => 1 + 0.02 * normal();
      const training = course(from, to, epoch, 0.45) * jitter();
      const rise = overfit * Math.max(0, epoch - epochs * 0.4) * to;
      const held = course(from, to * 1.7, epoch, 0.5) * jitter() + rise;
      const good = course(scoreFrom, scoreTo, epoch, 0.7);
      const worse = course(scoreFrom, scoreTo - (is_share ? 0.015 : -0.15 * scoreTo), epoch, 0.7);
      const isLast = epoch === epochs - 1;
      return {
        epoch,
        seconds: epoch < 0 ? null : 0.39,
        loss: [epoch < 0 ? from : training, held, hasTest ? held * 1.03 : null],
        score: [good, worse * (1 + 0.0015 * normal()), hasTest || isLast ? worse * (1 + 0.0015 * normal()) : null],
      };
    }),
  };
}

function distributions(tensors, epochs, seed) {
  const { uniform } = random(seed);
  return tensors.flatMap((tensor, layer) =>
    ["weight", "gradient"].map((kind) => ({
      tensor,
      kind,
      epochs: Array.from({ length: epochs }, (_, e) => e),
      histograms: Array.from({ length: epochs }, (_, e) => {
        const spread = kind === "weight" ? 0.05 + 0.02 * layer + 0.012 * Math.sqrt(e) : 0.004 * Math.exp(-0.2 * e) * (1 + layer);
        const middle = tensor.endsWith("bias") ? spread * 0.6 : spread * 0.1 * (uniform() - 0.5);
        const bins = 48;
        const [low, high] = [-4 * spread, 4 * spread];
        const counts = Array.from({ length: bins }, (_, b) => {
          const z = (low + ((b + 0.5) * (high - low)) / bins - middle) / spread;
          return Math.round(4000 * Math.exp(-z * z / 2) * (0.9 + 0.2 * uniform()));
        });
        return { low, high, counts };
      }),
    })),
  );
}

function mnist(count) {
  const bytes = gunzipSync(readFileSync(new URL("../../../../data/mnist/t10k-images-idx3-ubyte.gz", import.meta.url)));
  const labels = gunzipSync(readFileSync(new URL("../../../../data/mnist/t10k-labels-idx1-ubyte.gz", import.meta.url)));
  return Array.from({ length: count }, (_, i) => ({ label: labels[8 + i], pixels: bytes.subarray(16 + i * 784, 16 + (i + 1) * 784) }));
}

/** Smooth random blobs: what the first layers of such networks come to. */
function unitWeights(height, width, channels, seed) {
  const { uniform, normal } = random(seed);
  const blobs = Array.from({ length: 7 }, () => ({ y: height * (0.2 + 0.6 * uniform()), x: width * (0.2 + 0.6 * uniform()), r: 2 + 3 * uniform(), a: normal() * 60 }));
  const bytes = [];
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      for (let c = 0; c < channels; c += 1) {
        const rim = Math.min(1, 4 * Math.min(x, y, width - 1 - x, height - 1 - y) / width);
        const value = blobs.reduce((sum, b, i) => sum + b.a * (channels === 1 || i % 3 === c ? 1 : 0.3) * Math.exp(-((x - b.x) ** 2 + (y - b.y) ** 2) / (2 * b.r ** 2)), 6 * normal());
        bytes.push(Math.max(1, Math.min(255, Math.round(128 + rim * value))));
      }
    }
  }
  return base64(bytes);
}

function baseline(name, evaluation, factor, is_noise = false) {
  const [main, second] = evaluation.metrics;
  const value = main.value * factor;
  const [low, high] = main.is_share ? wilson(value, evaluation.rows) : [value * 0.93, value * 1.07];
  const difference = main.value - value;
  const half = (high - low) / 1.7;
  return {
    name,
    metrics: [{ ...main, value, low, high }, ...(second && !is_noise ? [{ ...second, value: second.value / factor ** 1.8, low: null, high: null }] : [])],
    difference: { key: main.key, name: main.name, is_share: main.is_share, value: difference, low: difference - half, high: difference + half, is_noise, better: main.better },
  };
}

const SETTINGS = [
  ["data", "mnist"], ["task", "classification"], ["hidden sizes", "256,128", true], ["activation", "relu"], ["output", "softmax"], ["loss", "cross-entropy"],
  ["initialisation", "he", true], ["scale", "255", true], ["optimizer", "adam", true], ["learning rate", "0.002", true], ["beta1", "0.9"], ["beta2", "0.999"],
  ["schedule", "one-cycle", true], ["batch size", "128", true], ["epochs", "10", true], ["weight decay", "0"], ["dropout", "0"], ["clip", "none"], ["precision", "f32"],
  ["threads", "2"], ["seed", "0"], ["augment", "none"], ["validation", "0"], ["keep", "last"], ["on divergence", "stop"],
].map(([name, value, is_asked = false]) => ({ name, value, is_asked }));

const SPEED = {
  seconds: 3.91,
  steps: 4690,
  examples_per_s: 153597,
  gflops: 85.2,
  peak_gflops: 233,
  share_of_peak: 0.366,
  left_out: 0.45,
  time: [["products", 0.61], ["elementwise", 0.11], ["optimiser", 0.13], ["data", 0.06], ["waiting", 0.05], ["other", 0.04]],
  machine: "2 threads, avx512, f32",
};

function run(parts) {
  return {
    name: "2026-11-25-mnist",
    summary: [],
    warnings: [],
    facts: [],
    history: { loss: "cross-entropy (nats)", score: "accuracy", is_share: true, members: 1, kept_epoch: null, epochs: [] },
    evaluations: [],
    baselines: [],
    first_layer: null,
    distributions: [],
    speed: null,
    settings: [],
    command: "",
    weights_sha256: "",
    ...parts,
  };
}

function report(title, runs, comparison = null, tuning = null) {
  return { version: 1, title, made: "2026-11-25 10:03", schuss: "0.2.0", runs, comparison, tuning };
}

const HASH = "9f2c4e61a7d05b3388c1f6e2d94b70a5c3e8127fd6094ab1e57c2f3380d6b94e";
const percent = (share) => `${(share * 100).toFixed(1)} %`;

function pictures() {
  const { uniform } = random(5);
  const mistakes = mnist(16).map(({ label, pixels }, i) => ({
    row: 97 + 613 * i,
    truth: String(label),
    predicted: String((label + 1 + Math.floor(8 * uniform())) % 10),
    confidence: 0.9996 - 0.012 * i,
    picture: { height: 28, width: 28, channels: 1, pixels: base64(pixels) },
    values: null,
  }));
  const test = classification({ names: [..."0123456789"], rows: 10000, signal: 7.3, seed: 1, mistakes });
  const training = classification({ names: [..."0123456789"], rows: 20000, signal: 8.2, seed: 2, part: "training" });
  const [accuracy] = test.metrics;
  return report(`mnist: accuracy ${percent(accuracy.value)}`, [
    run({
      summary: [
        "A network of 235,146 parameters was trained on 60,000 pictures of 28 × 28 pixels, to tell 10 classes apart.",
        "It ran all of its 10 epochs in 3.9 seconds.",
        `Of 10,000 test rows it had never seen, it got ${percent(accuracy.value)} right; always guessing the most frequent class would get 11.4 % right.`,
      ],
      facts: [
        ["Data", "mnist"], ["Task", "classification, 10 classes"], ["Rows", "60,000 training, 10,000 test"], ["Network", "784-256-128-10, relu, softmax"],
        ["Parameters", "235,146"], ["Optimiser", "Adam, learning rate 0.002, one-cycle"], ["Batch size", "128"], ["Epochs", "10"], ["Seed", "0"],
      ],
      history: history({ epochs: 10, seed: 3, loss: "cross-entropy (nats)", from: 2.31, to: 0.008, overfit: 0.05, kept: 7 }),
      evaluations: [test, { ...training, mistakes: [] }],
      baselines: [baseline("majority class", test, 0.116), baseline("linear model", test, 0.936)],
      first_layer: { kind: "pictures", height: 28, width: 28, channels: 1, largest: 0.4127, of: 256, units: Array.from({ length: 64 }, (_, unit) => ({ unit, weights: unitWeights(28, 28, 1, unit + 10) })) },
      distributions: distributions(["layer 1 weight", "layer 1 bias", "layer 2 weight", "layer 2 bias", "layer 3 weight", "layer 3 bias"], 10, 4),
      speed: SPEED,
      settings: SETTINGS,
      command: "schuss train mnist --hidden 256,128 --optimizer adam --lr 0.002 --schedule one-cycle --batch-size 128 --epochs 10 --seed 0",
      weights_sha256: HASH,
    }),
  ]);
}

const COLUMNS = ["age", "balance", "duration of the last call (s)", "campaign", "days since", "previous", "employment rate", "price index", "education=university", "job=retired", "contact=cellular", "month=may"];

function tableMistakes(classes, count) {
  const { uniform, normal } = random(8);
  return Array.from({ length: count }, (_, i) => ({
    row: 12 + 37 * i,
    truth: classes[i % 2],
    predicted: classes[(i + 1) % 2],
    confidence: 0.991 - 0.02 * i * uniform(),
    picture: null,
    values: COLUMNS.slice(0, 8).map((name) => [name, (normal() * 30 + 40).toFixed(1)]),
  }));
}

/** Of columns of a table: a few that matter, many that do not. */
function importances(name, is_share, count, rows, size = 0.08) {
  const { normal } = random(9);
  const names = Array.from({ length: count }, (_, i) => (i < COLUMNS.length ? COLUMNS[i] : `a column of a rather long name, number_${i}_of_them`));
  const columns = names.map((column, i) => ({ name: column, mean: size * Math.exp(-0.4 * i) + 0.01 * size * normal(), deviation: size * (0.01 + 0.1 * Math.exp(-0.4 * i)) }));
  columns.sort((a, b) => b.mean - a.mean);
  return { name, is_share, better: is_share ? "higher" : "lower", rows, repeats: 5, columns, of: count + 21 };
}

function binary() {
  const names = ["no", "yes"];
  const test = classification({ names, rows: 904, signal: 2.9, seed: 11, mistakes: tableMistakes(names, 8) });
  const strength = COLUMNS.map((_, i) => 0.21 * Math.exp(-0.22 * i));
  return report(`bank: accuracy ${percent(test.metrics[0].value)}`, [
    run({
      name: "bank",
      summary: ["A network of 4,482 parameters was trained on 3,617 rows of 51 columns to predict “subscribed”.", "It stopped after epoch 24: validation loss had not improved for 10 epochs; the parameters of epoch 14 were kept."],
      warnings: ["The classes are uneven: 88 % of the rows are “no”. Accuracy alone says little; look at the F1 of “yes”.", "Only 904 test rows: accuracy is known to ±2 points."],
      facts: [["Data", "bank.csv, target subscribed"], ["Task", "classification, 2 classes"], ["Rows", "2,713 training, 904 validation, 904 test"], ["Network", "51-64-16-2, relu, softmax"], ["Parameters", "4,482"], ["Optimiser", "AdamW, learning rate 0.001"]],
      history: history({ epochs: 24, seed: 12, loss: "cross-entropy (nats)", from: 0.69, to: 0.16, scoreFrom: 0.5, scoreTo: 0.93, hasTest: false, overfit: 0.06, kept: 14 }),
      evaluations: [{ ...test, importance: importances("accuracy", true, 30, 900) }],
      baselines: [baseline("majority class", test, 0.86), baseline("linear model", test, 0.995, true)],
      first_layer: { kind: "columns", names: COLUMNS, strength, of: 51 },
      distributions: distributions(["layer 1 weight", "layer 1 bias", "layer 2 weight", "layer 2 bias"], 1, 13),
      speed: { ...SPEED, seconds: 0.42, steps: 680, left_out: null },
      settings: SETTINGS.slice(0, 18),
      command: "schuss train bank.csv --target subscribed --seed 3",
      weights_sha256: HASH,
    }),
  ]);
}

/** A search whose measure depends on the learning rate and a little on the rest; one trial diverged. */
function search({ trials: count, is_share, folds, epochs, scale = 1 }) {
  const { uniform, normal } = random(41);
  const choices = ["64,64", "128,128", "256,256,256", "512,512"];
  const activations = ["selu", "mish"];
  const all = Array.from({ length: count }, (_, trial) => {
    const rate = trial ? Number((0.001 * 300 ** uniform()).toPrecision(4)) : 0.04;
    const dropout = trial ? Number((0.4 * uniform()).toFixed(4)) : 0.15;
    const [hidden, activation] = trial ? [Math.floor(4 * uniform()), Math.floor(2 * uniform())] : [2, 0];
    const loss = 0.08 + 0.02 * (Math.log(rate / 0.05) / 2) ** 2 + 0.004 * hidden + 0.002 * normal();
    const value = (rung) => (trial === 5 ? null : is_share ? 1 - loss * (1.3 - 0.1 * rung) : scale * loss * (1.3 - 0.1 * rung));
    return { trial, settings: [activations[activation], String(dropout), choices[hidden], String(rate)], places: [activation, dropout, hidden, rate], value };
  });
  const sign = is_share ? -1 : 1;
  let [left, rows] = [all, []];
  epochs.forEach((_, rung) => {
    const order = left.toSorted((a, b) => (a.value(rung) === null) - (b.value(rung) === null) || sign * (a.value(rung) - b.value(rung)));
    const next = rung + 1 < epochs.length ? order.slice(0, Math.max(1, Math.floor(order.length / 3))) : [];
    const goOn = new Set(next.length ? [...next, all[0]] : []);
    rows = [...order.filter((trial) => !goOn.has(trial)).map((trial) => ({ ...trial, last: rung })), ...rows];
    left = [...goOn];
  });
  const error = folds > 1 ? (is_share ? 0.004 : scale * 0.003) : null;
  const trials = rows.map(({ value, last, ...trial }) => ({ ...trial, rungs: epochs.slice(0, last + 1).map((epochs, rung) => ({ epochs, mean: value(rung), error: value(rung) === null ? null : error, seconds: epochs * 0.11 })) }));
  const more = ["batch-size", "label-smoothing", "weight-decay", "a-setting-of-a-longer-name"];
  trials.forEach((trial) => { trial.settings.push("256", "0.05211", "0.0002428", "something"); trial.places.push(0, 0.05211, 0.0002428, 1); });
  const parameters = [["activation", false, activations], ["dropout", false, null], ["hidden", false, choices], ["lr", true, null], [more[0], false, ["256", "512"]], [more[1], false, null], [more[2], true, null], [more[3], false, ["nothing", "something"]]].map(([name, is_log, choices]) => ({ name, is_log, choices }));
  return {
    summary: [`${count} trials of settings for flats were compared by ${is_share ? "accuracy" : "RMSE"}.`, "The best is trial 12.", "The usual settings have 91.2 %: a difference of +0.71 points (95 %: −0.12 to +1.54, fold by fold), that is inside the noise."],
    measure: is_share ? "accuracy" : "RMSE",
    is_share,
    better: is_share ? "higher" : "lower",
    folds,
    rungs: epochs,
    parameters,
    trials,
    command: "schuss train --config runs/flats-tune/best/config.toml",
  };
}

const PLACES = ["Aach", "Berneck", "Chur", "Davos", "Elm", "Flims", "Gais", "Horgen", "Ilanz", "Jona", "Kloten", "Laax", "Meilen", "Näfels", "Olten", "Pfäfers", "Quinten", "Rapperswil", "Sargans", "Thusis", "Uster", "Vaduz", "Wil", "Zug"];

function manyClasses(count) {
  const names = Array.from({ length: count }, (_, i) => (count <= PLACES.length ? PLACES[i] : `${PLACES[i % PLACES.length]} ${Math.floor(i / PLACES.length) + 1}`));
  const test = classification({ names, rows: 2400, signal: 6.5, seed: 20 + count, mistakes: tableMistakes(names, 6) });
  return report(`places of ${count} classes: accuracy ${percent(test.metrics[0].value)}`, [
    run({
      name: "places",
      summary: [`A table of 12 columns, ${count} classes.`],
      history: history({ epochs: 60, seed: 21, loss: "cross-entropy (nats)", from: 3.2, to: 0.4, scoreFrom: 0.04, scoreTo: 0.9 }),
      evaluations: [test],
      baselines: [baseline("majority class", test, 0.08)],
      distributions: distributions(Array.from({ length: 12 }, (_, i) => `layer ${1 + Math.floor(i / 2)} ${i % 2 ? "bias" : "weight"}`), 60, 22),
    }),
  ]);
}

function regression() {
  const { normal, uniform } = random(31);
  const residuals = [["heating load (kWh/m²)", 22, 9, 1.1], ["cooling load (kWh/m²)", 25, 9, 1.9]].map(([target, middle, spread, error]) => {
    const points = Array.from({ length: 768 }, () => {
      const actual = Math.max(6, middle + spread * normal());
      return [round(actual, 3), round(actual + error * normal() + 0.04 * (actual - middle), 3)];
    });
    const errors = points.map(([actual, predicted]) => predicted - actual);
    const [low, high] = [Math.min(...errors), Math.max(...errors)];
    const counts = Array(30).fill(0);
    for (const each of errors) counts[Math.min(29, Math.floor(((each - low) / (high - low)) * 30))] += 1;
    return { target, points, histogram: { low, high, counts } };
  });
  const squared = residuals.map(({ points }) => Math.sqrt(mean(points.map(([a, p]) => (p - a) ** 2))));
  const rmse = mean(squared);
  const lower = { better: "lower", unit: "kWh/m²" };
  const test = {
    part: "test",
    rows: 768,
    is_weighted: false, interval: "Intervals come from 1000 bootstrap samples of the rows.",
    metrics: [
      metric("rmse", "RMSE", rmse, rmse * 0.95, rmse * 1.06, "The root of the mean squared error, in the targets' unit.", lower),
      metric("mae", "MAE", rmse * 0.78, rmse * 0.74, rmse * 0.82, "The mean size of the errors.", lower),
      metric("r2", "R²", 0.9712, 0.966, 0.9755, "The share of the targets' variance that is explained.", { is_share: false }),
      metric("median", "median error", null, null, null, "Half of the errors are smaller.", lower),
    ],
    classes: null,
    confusion: null,
    calibration: null,
    roc: null,
    precision_recall: null,
    residuals,
    importance: { ...importances("RMSE", false, 12, 768, 2.4), of: 12 },
    mistakes: Array.from({ length: 6 }, (_, i) => ({ row: 40 + i, truth: (20 + 3 * normal()).toFixed(2), predicted: (27 - i * 0.4).toFixed(2), confidence: null, picture: null, values: COLUMNS.slice(0, 5).map((name) => [name, uniform().toFixed(3)]) })),
    mistakes_note: "Of 40 columns, the 5 that matter most.",
  };
  return report("energy: RMSE 1.55 kWh/m²", [
    run({
      name: "energy",
      summary: ["Two targets are predicted from 8 columns of 2,304 buildings."],
      facts: [["Task", "regression, 2 targets"], ["Rows", "2,304 training, 768 test"]],
      history: history({ epochs: 40, seed: 32, loss: "mean squared error", from: 610, to: 2.1, score: "RMSE", scoreFrom: 24, scoreTo: 1.45, is_share: false }),
      evaluations: [test],
      baselines: [baseline("mean", test, 6.4), baseline("linear model", test, 1.9)],
      first_layer: { kind: "columns", names: COLUMNS.slice(0, 8), strength: [0.4, 0.31, 0.2, 0.12, 0.1, 0.09, 0.04, 0.01], of: 8 },
      speed: { ...SPEED, peak_gflops: null, share_of_peak: null, gflops: null, left_out: null },
      settings: SETTINGS,
      command: "schuss train energy.csv --target heating,cooling",
      weights_sha256: HASH,
    }),
  ]);
}

function comparison() {
  const one = (name, signal, to, seed, epochs) => {
    const test = classification({ names: [..."0123456789"], rows: 2000, signal, seed: 40 });
    return run({
      name,
      summary: [`${name}: ${epochs} epochs.`],
      facts: [["Network", name], ["Epochs", String(epochs)]],
      history: history({ epochs, seed, loss: "cross-entropy (nats)", from: 2.3, to, scoreTo: 0.975 - to }),
      evaluations: [test],
      baselines: [baseline("majority class", test, 0.12)],
      distributions: distributions(["layer 1 weight", "layer 2 weight"], epochs, seed),
      speed: SPEED,
      settings: SETTINGS,
      command: `schuss train digits --hidden ${name}`,
      weights_sha256: HASH,
    });
  };
  const runs = [one("small", 7.2, 0.06, 41, 12), one("wide", 7.35, 0.05, 42, 12), one("deep-with-a-rather-long-name-2026-11-25", 8.6, 0.03, 43, 20)];
  const difference = (a, b, value, half, is_noise) => ({ a, b, difference: { key: "accuracy", name: "accuracy", is_share: true, value, low: value - half, high: value + half, is_noise, better: "higher" } });
  return report("digits: small, wide and deep compared", runs, {
    note: "Three runs on the same 2,000 test rows; differences and their intervals come from McNemar's paired counts.",
    differences: [difference(0, 1, 0.0035, 0.0062, true), difference(0, 2, 0.0455, 0.011, false), difference(1, 2, 0.042, 0.0105, false)],
    settings: [{ name: "hidden sizes", values: ["32", "256", "128,128,64"] }, { name: "epochs", values: ["12", "12", "20"] }, { name: "dropout", values: ["0", "0", "0.2"] }],
  });
}

/** Runs of which some share rows and measures, and others do not. */
function mixed() {
  const [flats] = regression().runs.map((each) => ({ ...each, settings: [] }));
  const [digits, wide] = comparison().runs;
  const named = (one, name, more = {}) => ({ ...one, name, history: { ...one.history, ...more } });
  const metrics = ["rmse", "mae"].map((key) => [flats.evaluations[0].metrics.find((metric) => metric.key === key)]);
  const [ofSquares, ofSizes] = metrics.map((metrics) => [{ ...flats.evaluations[0], metrics }]);
  const runs = [
    { ...named(flats, "squares"), evaluations: ofSquares },
    { ...named(flats, "sizes", { loss: "mean absolute error" }), evaluations: ofSizes },
    named(digits, "digits"),
    named(wide, "digits of four networks", { members: 4 }),
    manyClasses(24).runs[0],
  ];
  const note = "Not compared with the first run: sizes (judged by another measure, MAE), digits (another task, classification).";
  return report("five runs of three kinds of rows", runs, { note, differences: [], settings: [] });
}

/** Of several labels each counts by itself: three decisions a row. */
function labels() {
  const test = classification({ names: ["red", "green", "blue"], rows: 300, signal: 4, seed: 51 });
  for (const bin of test.calibration.bins) bin.rows *= 3;
  return report("labels", [run({ name: "labels", evaluations: [{ ...test, confusion: null }] })]);
}

/** A table with names, cells and classes as long as they come. */
function longTable() {
  const words = (word) => Array(40).fill(word).join("_");
  const names = Array.from({ length: 26 }, (_, i) => `${words("class")}_${i}`);
  const cells = [words("a name"), "-0.96385423073217401", words("averyverylongword"), "long ".repeat(400), "8.6568123456789e-4", "x".repeat(3000)];
  const values = Array.from({ length: 12 }, (_, i) => [`${words("column")}${i}`, cells[i % cells.length]]);
  const mistakes = Array.from({ length: 24 }, (_, i) => ({ row: i, truth: names[i], predicted: names[i + 1], confidence: 0.9 - i / 100, picture: null, values }));
  const test = classification({ names, rows: 300, signal: 4, seed: 52, mistakes });
  const importance = { ...importances("accuracy", true, 20, 1), of: 20 };
  importance.columns.forEach((column, i) => { column.name = `${words("column")}${i}`; });
  return report("a table of long names", [
    run({
      name: "long",
      history: history({ epochs: 10, seed: 53, loss: "cross-entropy (nats)", from: 3, to: 0.4, scoreFrom: 0.04, scoreTo: 0.9 }),
      evaluations: [{ ...test, importance }],
      first_layer: { kind: "columns", names: importance.columns.map((column) => column.name), strength: Array(20).fill(0.5), of: 20 },
    }),
  ]);
}

function hostile() {
  const attack = "</script><img src=x onerror=alert(1)>";
  const long = `${attack}${"averyveryverylongname".repeat(12)}`;
  const names = [attack, long, "\u202eright to left", "", "<b>bold</b>"];
  const pixels = base64(Array.from({ length: 12 * 9 * 3 }, (_, i) => (i * 37) % 256));
  const mistakes = [
    { row: 0, truth: attack, predicted: long, confidence: 1, picture: { height: 9, width: 12, channels: 3, pixels }, values: [[long, attack], ["", ""]] },
    { row: 1, truth: "", predicted: "x".repeat(300), confidence: null, picture: { height: 5000, width: 5000, channels: 1, pixels: "not base64 <>" }, values: null },
  ];
  const test = classification({ names, rows: 300, signal: 4, seed: 50, mistakes });
  test.metrics.push(metric("x", long, 1.5e-9, -3e12, 4e15, long, { unit: long.slice(0, 60) }), metric("null", "", null, null, null, ""));
  return report(`${attack} ${"title".repeat(40)}`, [
    run({
      name: attack,
      summary: [long, attack],
      warnings: [long],
      facts: [[long, long], [attack, attack]],
      history: { loss: attack, score: long, is_share: false, members: 1, kept_epoch: 0, epochs: [{ epoch: 0, seconds: null, loss: [1e-12, 3e9, null], score: [0, 0, 0] }, { epoch: 1, seconds: null, loss: [null, 2e9, null], score: [-1e-7, 1e-7, null] }] },
      evaluations: [test],
      baselines: [{ name: long, metrics: [], difference: { key: "accuracy", name: long, is_share: true, value: null, low: null, high: null, is_noise: false, better: "higher" } }],
      first_layer: { kind: "pictures", height: 9, width: 12, channels: 3, largest: 1e-8, of: 3, units: [{ unit: 0, weights: unitWeights(9, 12, 3, 1) }, { unit: 1, weights: "" }] },
      distributions: [{ tensor: long, kind: "weight", epochs: [0, 1], histograms: [{ low: 0, high: 0, counts: [] }, { low: -1, high: 1, counts: [1, 2, 3] }] }, { tensor: "zeros", kind: "weight", epochs: [0], histograms: [{ low: 0, high: 0, counts: [5] }] }, { tensor: "nothing", kind: "gradient", epochs: [0], histograms: [{ low: 0, high: 0, counts: [0] }] }],
      speed: { seconds: 1e6, steps: 1, examples_per_s: null, gflops: null, peak_gflops: null, share_of_peak: null, left_out: null, time: [[long, 0.5], [attack, 0.5]], machine: long },
      settings: [{ name: long, value: long, is_asked: true }, { name: attack, value: "", is_asked: false }],
      command: `schuss train '${attack}' ${"--x ".repeat(80)}`,
      weights_sha256: long,
    }),
  ]);
}

/** As much as a report may hold: three runs, each with tensors and epochs enough for 3 MB in all. */
function large() {
  const tensors = Array.from({ length: 20 }, (_, i) => `layer ${1 + Math.floor(i / 2)} ${i % 2 ? "bias" : "weight"}`);
  const [one] = pictures().runs;
  const runs = ["first", "second", "third"].map((name, i) => ({ ...one, name, distributions: distributions(tensors, 60, 60 + i) }));
  return report("large: three runs of 60 epochs", runs, { note: "", differences: [], settings: [] });
}

/** Each report by its name. */
export function reports() {
  return {
    pictures: pictures(),
    binary: binary(),
    classes: manyClasses(24),
    "many-classes": manyClasses(60),
    regression: regression(),
    halving: report("flats: 40 trials, accuracy 92.0 %", [], null, search({ trials: 40, is_share: true, folds: 5, epochs: [4, 13, 40] })),
    random: report("flats: 6 trials, RMSE 24,120", [], null, search({ trials: 6, is_share: false, folds: 1, epochs: [40], scale: 3e5 })),
    comparison: comparison(),
    mixed: mixed(),
    labels: labels(),
    "long-table": longTable(),
    empty: report("empty: nothing measured", [run({ name: "empty" })]),
    "one-epoch": report("one epoch", [run({ name: "one", history: { loss: "cross-entropy (nats)", score: "accuracy", is_share: true, members: 1, kept_epoch: null, epochs: [{ epoch: 0, seconds: 1, loss: [0.61, 0.7, null], score: [0.8, null, 0.77] }] } })]),
    hostile: hostile(),
    large: large(),
  };
}
