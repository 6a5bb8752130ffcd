/** The rows where the model was most sure and wrong; of a regression, the largest errors. */
import { el, section, type Child, type Level } from "../elements";
import { count, percent } from "../numbers";
import { picture } from "../pictures";
import type { Evaluation, Mistake } from "../schema";

export function mistakes(evaluation: Evaluation, level: Level): HTMLElement | null {
  const all = evaluation.mistakes;
  if (all.length === 0) return null;
  const isRegression = evaluation.residuals !== null;
  const hasPictures = all.some((mistake) => mistake.picture !== null);
  const cards = el("ul", { class: hasPictures ? "mistakes pictures" : "mistakes" }, ...all.map((mistake) => card(mistake, isRegression)));
  const lead = isRegression
    ? `The ${evaluation.part} rows whose prediction is farthest off, worst first.`
    : `The wrong ${evaluation.part} rows that it gave the highest probability, worst first: often hard cases, or labels that are wrong themselves.`;
  return section(level, isRegression ? "The largest errors" : "Sure, and wrong", `${lead} ${evaluation.mistakes_note}`.trim(), cards);
}

function card(mistake: Mistake, is_regression: boolean): HTMLElement {
  const { truth, predicted, confidence } = mistake;
  const shown = mistake.picture && picture(mistake.picture, `Row ${mistake.row}: truth ${truth}, predicted ${predicted}`);
  const verdict: Child[] = [
    line(is_regression ? "actual" : "truth", truth, "right"),
    line("predicted", predicted, "wrong"),
    confidence === null ? null : line("sure", percent(confidence), "sure"),
  ];
  const values = mistake.values?.length
    ? el("dl", { class: "values" }, ...mistake.values.map(([column, value]) => line(column, value, "")))
    : null;
  return el("li", { class: "mistake" }, shown, el("dl", { class: "verdict" }, ...verdict), values, el("p", { class: "row" }, `row ${count(mistake.row)}, counted from 0`));
}

function line(name: string, value: string, kind: string): HTMLElement {
  return el("div", { class: kind || null }, el("dt", {}, name), el("dd", {}, value));
}
