/** Which runs of a comparison are drawn together. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runnerImport } from "vite";

const { overlays, rowsInWords, rowsOf } = (await runnerImport("./src/comparable.ts")).module;

const epoch = (loss, score) => ({ epoch: 0, seconds: null, loss, score });
const all = [1, 1, 1];

function run(name, { loss = "mse", scale = "standard", score = "RMSE", actual = [1, 2, 3], classes = null, data = "a.csv", epochs = [epoch(all, all)] } = {}) {
  const residuals = classes ? null : [{ points: actual.map((value) => [value, 0]) }];
  const settings = Object.entries({ loss, scale, data }).map(([name, value]) => ({ name, value }));
  return { name, settings, history: { loss: `${loss.split(":")[0]} of the scaled targets`, score, epochs }, evaluations: [{ part: "test", rows: 3, is_weighted: false, classes, residuals }] };
}

const labelled = (name, more = {}) => run(name, { loss: "cross-entropy", score: "accuracy", classes: [{ name: "yes", rows: 3 }], ...more });
const words = ({ charts, alone }, runs) => [...charts.map(({ runs: shown, part }) => `${shown.map((index) => runs[index].name).join("+")} by ${part}`), ...alone.map(([index, reason]) => `${runs[index].name}: ${reason}`)];

const cases = {
  "one measure": [[run("a"), run("b")], "loss", ["a+b by 2"]],
  "another loss": [[run("a"), run("b", { loss: "mae" })], "loss", ["a: no other run on its rows has its loss, mse", "b: no other run on its rows has its loss, mae"]],
  "the same score of another loss": [[run("a"), run("b", { loss: "mae" })], "score", ["a+b by 2"]],
  "one loss of other parameters": [[run("a", { loss: "huber:1" }), run("b", { loss: "huber:2" }), run("c", { loss: "huber:2" })], "loss", ["b+c by 2", "a: no other run on its rows has its loss, huber:1"]],
  "one loss of another scale": [[run("a"), run("b", { scale: "none" })], "loss", ["a: no other run on its rows has its loss, mse", "b: no other run on its rows has its loss, mse of targets that are not scaled"]],
  "accuracy and RMSE": [[run("a"), labelled("b"), labelled("c")], "score", ["b+c by 2", "a: no other run has its rows"]],
  "other rows": [[run("a"), run("b", { actual: [1, 2, 4] })], "score", ["a: no other run has its rows", "b: no other run has its rows"]],
  "the same rows of another file": [[run("a"), run("b", { data: "b.csv" })], "score", ["a+b by 2"]],
  "as many rows of each class of another file": [[labelled("a"), labelled("b", { data: "b.csv" })], "loss", ["a: no other run has its rows", "b: no other run has its rows"]],
  "measured row by row": [[labelled("a"), labelled("b", { data: "b.csv" })], "loss", ["a+b by 2"], [{ a: 0, b: 1 }]],
  "two groups": [[run("a"), labelled("b"), run("c"), labelled("d")], "score", ["a+c by 2", "b+d by 2"]],
  "no test values": [[run("a"), run("b", { epochs: [epoch([1, 1, null], all)] })], "loss", ["a+b by 1"]],
  "nothing followed": [[run("a"), run("b"), run("c", { epochs: [] })], "loss", ["a+b by 2", "c: its test loss was not followed"]],
};
for (const [name, [runs, what, expected, differences = []]] of Object.entries(cases)) {
  test(name, () => assert.deepEqual(words(overlays(runs, rowsOf(runs, { differences }), what), runs), expected));
}

test("rows in words", () => {
  const said = (...runs) => rowsInWords(runs, rowsOf(runs, null));
  assert.equal(said(run("a"), run("b")), null);
  assert.equal(said(run("a"), run("b"), labelled("c")), "Judged by the same rows: a and b; by rows of its own: c. Only figures of the same rows can be compared.");
  assert.equal(said(run("a"), labelled("c")), "Judged by rows of their own: a and c. Only figures of the same rows can be compared.");
});
