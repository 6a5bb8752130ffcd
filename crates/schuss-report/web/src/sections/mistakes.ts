/** The rows where the model was most sure and wrong; of a regression, the largest errors. */
import { details, el, section, shortened, type Child, type Level } from "../elements";
import { brief, count, counted, percent } from "../numbers";
import { picture } from "../pictures";
import type { Evaluation, Mistake } from "../schema";

/** More rows of values than these are folded: each takes much of a narrow page. */
const MOST = 8;

export function mistakes(evaluation: Evaluation, level: Level, key: string): HTMLElement | null {
  const all = evaluation.mistakes;
  if (all.length === 0) return null;
  const isRegression = evaluation.residuals !== null;
  const hasPictures = all.some((mistake) => mistake.picture !== null);
  const cards = (some: Mistake[]) => el("ul", { class: hasPictures ? "mistakes pictures" : "mistakes" }, ...some.map((mistake) => card(mistake, isRegression)));
  const first = hasPictures ? all.length : MOST;
  const others = all.slice(first);
  const note = all.some((mistake) => mistake.values?.length) ? evaluation.mistakes_note : "";
  const lead = isRegression
    ? `The ${evaluation.part} rows whose prediction is farthest off, worst first.`
    : `The wrong ${evaluation.part} rows that it gave the highest probability, worst first: often hard cases, or labels that are wrong themselves.`;
  return section(level, isRegression ? "The largest errors" : "Sure, and wrong", `${lead} ${note}`.trim(), cards(all.slice(0, first)), others.length ? details(`${key}/mistakes`, counted(others.length, "more row"), cards(others)) : null);
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
  return el("div", { class: kind || null }, el("dt", {}, shortened(name, 40)), el("dd", {}, shortened(value, 40, brief(value))));
}
