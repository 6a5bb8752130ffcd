/** How much each column of a table matters: what the main metric loses when the column is shuffled. */
import { span } from "../charts";
import { el, figure, section, shortened, type Level } from "../elements";
import { count, counted, MISSING, number } from "../numbers";
import type { Evaluation, Importance, Maybe } from "../schema";

export function importance(evaluation: Evaluation, level: Level): HTMLElement | null {
  const found = evaluation.importance;
  if (!found || found.columns.length === 0) return null;
  return section(level, "Which columns matter", null, bars(found, evaluation, level));
}

function bars(found: Importance, evaluation: Evaluation, level: Level): HTMLElement {
  const { columns, of, better, is_share, name, repeats } = found;
  const ends = columns.flatMap(({ mean, deviation }) => (mean === null ? [] : [mean, mean - (deviation ?? 0), mean + (deviation ?? 0)]));
  const [from, to] = span([0, ...ends], 0.02);
  const place = (value: number) => (value - from) / (to - from);
  const rows = columns.map(({ name: column, mean, deviation }) => {
    const spread = deviation ?? 0;
    const track = el(
      "span",
      { class: "spread", "aria-hidden": "true" },
      mean === null ? null : el("span", { class: "size", "--at": place(Math.min(0, mean)), "--size": place(Math.max(0, mean)) - place(Math.min(0, mean)) }),
      mean === null ? null : el("span", { class: "deviation", "--at": place(mean - spread), "--size": place(mean + spread) - place(mean - spread) }),
      el("span", { class: "from", "--at": place(0) }),
    );
    return el("li", {}, el("span", { class: "name" }, shortened(column, 40)), track, el("span", { class: "value" }, written(mean, deviation, is_share)));
  });
  const shown = columns.length < of ? `The ${columns.length} of ${count(of)} columns that matter most` : "All columns";
  const row = (rows: number) => counted(rows, `${evaluation.part} row`);
  const seen = found.rows < evaluation.rows ? `${count(found.rows)} of the ${row(evaluation.rows)}` : `the ${row(found.rows)}`;
  const caption = `${shown}: bars are how much the ${name} ${better === "higher" ? "falls" : "rises"}${is_share ? ", in points," : ""} on ${seen} when the values of a column are shuffled among them, the mean of ${counted(repeats, "time")}; the line is the standard deviation of one time. Columns that say the same share what they are worth.`;
  return figure(level + 1, "What is lost without each column", caption, el("ol", { class: "importances" }, ...rows));
}

/** 4.31 ± 0.42 */
function written(mean: Maybe, deviation: Maybe, is_share: boolean): string {
  if (mean === null) return MISSING;
  if (!is_share) return `${number(mean, 3, true)} ± ${number(deviation, 2, true)}`;
  const points = (share: Maybe) => (share === null ? MISSING : Math.abs(100 * share).toFixed(2));
  return `${mean < 0 && points(mean) !== "0.00" ? "−" : ""}${points(mean)} ± ${points(deviation)}`;
}
