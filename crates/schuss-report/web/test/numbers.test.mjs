/** How numbers are written, and quantiles of histograms. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runnerImport } from "vite";

const load = async (file) => (await runnerImport(file)).module;
const numbers = await load("./src/numbers.ts");
const { quantile } = await load("./src/quantiles.ts");

/** Spaces that do not break are written as plain ones in the tables below. */
function check(name, f, rows) {
  test(name, () => {
    for (const [given, expected] of rows) assert.equal(String(f(...given)).replaceAll("\u00a0", " "), expected, `${name}(${given})`);
  });
}

check("number", numbers.number, [
  [[0], "0"], [[0.0612], "0.0612"], [[0.061234], "0.06123"], [[1.5], "1.5"], [[153597.2], "153,597"], [[9999.6], "10,000"], [[0.99996], "1"], [[-2.345678], "−2.346"],
  [[0.00001234], "1.23 × 10⁻⁵"], [[-3e12], "−3 × 10¹²"], [[1e-6], "10⁻⁶"], [[null], "–"], [[NaN], "–"], [[Infinity], "–"], [[100], "100"], [[1234.5678], "1,235"], [[-0.00004], "−4 × 10⁻⁵"],
]);
check("number", numbers.number, [[[1, 2, true], "1.0"], [[29.6, 3, true], "29.6"], [[1e-6, 3, true], "1.0 × 10⁻⁶"], [[0, 3, true], "0"]]);
check("brief", numbers.brief, [
  [["-0.96385423073217401"], "−0.963854"], [["8.6568123456789e-4"], "0.000865681"], [["8.6568e-4"], "8.6568e-4"], [["1.5"], "1.5"], [["0.0000001"], "0.0000001"], [["123456.789"], "123,457"],
  [["12345678901234567"], "12345678901234567"], [["1.2.3456789"], "1.2.3456789"], [["1.23456789e999"], "1.23456789e999"], [["2026-11-25"], "2026-11-25"], [["missing"], "missing"], [[""], ""],
]);
check("count", numbers.count, [[[0], "0"], [[999], "999"], [[1000], "1,000"], [[60000], "60,000"], [[1234567], "1,234,567"]]);
check("percent", numbers.percent, [
  [[0.983], "98.3 %"], [[1], "100 %"], [[0], "0 %"], [[0.9998], "99.98 %"], [[0.99999999], "> 99.99 %"], [[0.0001], "< 0.1 %"], [[null], "–"], [[0.98264, 2], "98.26 %"], [[-0.05], "−5.0 %"], [[1.2], "120.0 %"],
]);
const share = (value, low, high) => ({ value, low, high, is_share: true, unit: "" });
check("measured", numbers.measured, [
  [[share(0.98264, 0.98, 0.9851)], "98.26 %"], [[share(0.98264, 0.96, 0.992)], "98.3 %"], [[share(0.98264, null, null)], "98.3 %"],
  [[{ value: 0.0612, low: null, high: null, is_share: false, unit: "nats" }], "0.06120 nats"], [[{ value: null, low: null, high: null, is_share: false, unit: "nats" }], "–"],
]);
check("interval", numbers.interval, [
  [[{ value: 0.45, low: 0.396, high: 0.5, is_share: false, unit: "" }], "0.396 to 0.500"], [[share(0.98, 0.961, 0.992)], "96.1 to 99.2 %"], [[share(0.98, null, 0.992)], "null"], [[{ value: 1, low: -1.5, high: 2.25, is_share: false, unit: "m" }], "−1.50 to 2.25"],
]);
const difference = (value, more = {}) => ({ key: "k", name: "n", is_share: true, value, low: value - 0.02, high: value + 0.02, is_noise: false, better: "higher", ...more });
check("change", (each) => Object.values(numbers.change(each)).join("; "), [
  [[difference(0.081)], "+8.1 points; +6.1 to +10.1"], [[difference(-0.01)], "−1.0 points; −3.0 to +1.0"], [[difference(0.5, { is_share: false, low: null })], "+0.500; "], [[difference(null)], "–; −2.0 to +2.0"],
]);
check("verdict", (each) => numbers.verdict(each).text, [
  [[difference(0.1)], "better"], [[difference(-0.1)], "worse"], [[difference(-0.1, { better: "lower" })], "better"], [[difference(0.1, { is_noise: true })], "inside the noise"], [[difference(null)], "inside the noise"],
]);
check("duration", numbers.duration, [[[3.911], "3.91 s"], [[125], "2 min 5 s"], [[3780], "1 h 3 min"], [[0.0421], "0.0421 s"]]);
check("tick", numbers.tick, [[[0.25, 0.25], "0.25"], [[0.5, 0.25], "0.50"], [[10, 5], "10"], [[-0.1, 0.1], "−0.1"], [[2e6, 5e5], "2,000,000"], [[2e7, 5e6], "2 × 10⁷"], [[0, 1e-6], "0"]]);

const histogram = (counts, low = 0, high = 4) => ({ low, high, counts });
check("quantile", quantile, [
  [[histogram([1, 1, 1, 1]), 0.5], "2"], [[histogram([1, 1, 1, 1]), 0.25], "1"], [[histogram([0, 4, 0, 0]), 0.5], "1.5"], [[histogram([0, 0, 0, 2]), 0], "3"],
  [[histogram([2, 0, 0, 2]), 0.5], "1"], [[histogram([2, 0, 0, 2]), 0.75], "3.5"], [[histogram([1, 1]), 1], "4"], [[histogram([]), 0.5], "null"], [[histogram([0, 0]), 0.5], "null"], [[histogram([8], -1, 1), 0.05], "-0.9"],
]);
