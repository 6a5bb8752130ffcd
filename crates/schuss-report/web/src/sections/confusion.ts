/** Which classes are taken for which: a matrix, or of many classes the pairs that are mixed up most. */
import { bar, el, figure, scroller, shortened, table, type Level } from "../elements";
import { count, counted, percent } from "../numbers";
import type { Evaluation } from "../schema";

/** Classes of which a matrix can be read. */
const MOST = 30;
const PAIRS = 20;

export function confusion(evaluation: Evaluation, level: Level): HTMLElement | null {
  const matrix = evaluation.confusion;
  if (!matrix || matrix.names.length === 0) return null;
  const rows = matrix.counts.map((counts) => counts.reduce((sum, each) => sum + each, 0));
  if (matrix.names.length > MOST) return pairs(matrix, rows, level);

  const { names, counts } = matrix;
  const head = names.map((name) => el("th", { scope: "col" }, shortened(name, 16)));
  const body = counts.map((row, truth) =>
    el("tr", {}, el("th", { scope: "row" }, shortened(names[truth] ?? "", 20)), ...row.map((cell, predicted) => square(cell, cell / (rows[truth] || 1), truth === predicted))),
  );
  const size = names.length <= 4 ? "few" : names.length <= 14 ? "some" : "many";
  const isTall = size !== "few" && names.some((name) => name.length > 4);
  const grid = el(
    "table",
    { class: `confusion ${size}${isTall ? " tall" : ""}` },
    el("thead", {}, el("tr", { class: "over" }, el("td"), el("th", { scope: "colgroup", colspan: names.length }, el("span", {}, "predicted"))), el("tr", {}, el("th", { scope: "col" }, "truth"), ...head)),
    el("tbody", {}, ...body),
  );
  const whole = figure(
    level + 1,
    "Confusion matrix",
    "Each row holds the rows of one true class: right ones on the diagonal, in blue; mistakes beside it, in orange, the stronger the larger their share of the row." + (evaluation.is_weighted ? " Each counts its weight." : ""),
    scroller("Confusion matrix", grid),
  );
  whole.classList.toggle("whole", size === "many");
  return whole;
}

/** Right ones are shaded by their share of the row, mistakes by its root, for the smaller ones would not be seen. */
function square(cell: number, share: number, is_right: boolean): HTMLElement {
  const shade = cell === 0 ? 0 : is_right ? share : Math.max(0.18, Math.sqrt(share));
  return el("td", { class: is_right ? "right" : "wrong", "--share": shade.toFixed(3), title: `${percent(share)} of the row` }, cell === 0 ? "" : count(cell));
}

function pairs(matrix: { names: string[]; counts: number[][] }, rows: number[], level: Level): HTMLElement | null {
  const mixed = matrix.counts
    .flatMap((counts, truth) => counts.map((cell, predicted) => ({ truth, predicted, cell, share: cell / (rows[truth] || 1) })))
    .filter((pair) => pair.truth !== pair.predicted && pair.cell > 0)
    .sort((a, b) => b.cell - a.cell || b.share - a.share)
    .slice(0, PAIRS);
  if (mixed.length === 0) return null;
  const columns = [{ name: "truth" }, { name: "predicted" }, { name: "rows", is_number: true }, { name: "share of the truth's rows", is_number: true }];
  const name = (index: number) => shortened(matrix.names[index] ?? String(index), 40);
  return figure(
    level + 1,
    "Classes mixed up most",
    `Of ${matrix.names.length} classes, the ${counted(mixed.length, "pair")} with the most mistakes.`,
    table("Classes mixed up most", columns, mixed.map((pair) => [name(pair.truth), name(pair.predicted), count(pair.cell), el("span", { class: "barred" }, bar(pair.share), percent(pair.share))])),
  );
}
