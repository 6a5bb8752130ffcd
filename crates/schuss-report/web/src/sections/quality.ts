/** How good the model is: its metrics as cards, and the main one against the baselines'. */
import { el, figure, section, type Child, type Level } from "../elements";
import { change, counted, interval, measured, MISSING, verdict } from "../numbers";
import type { Baseline, Difference, Metric, Run } from "../schema";
import { capital } from "../names";
import { intervals } from "./intervals";
import { metricTable } from "./metric_table";

export function quality(run: Run, level: Level): HTMLElement | null {
  const evaluation = run.evaluations[0];
  const main = evaluation?.metrics[0];
  if (!evaluation || !main) return null;
  const lead = `Measured on ${counted(evaluation.rows, `${evaluation.part} row`)}. ${evaluation.interval}`.trim();
  const cards = el("ul", { class: "cards" }, ...evaluation.metrics.map((metric, index) => card(metric, index === 0, run.baselines)));
  const against = run.baselines.length ? baselines(main, run.baselines, level) : null;
  return section(level, "How good it is", lead, el("div", { class: against ? "beside" : null }, cards, against), allParts(run, level));
}

function card(metric: Metric, is_main: boolean, all: Baseline[]): HTMLElement {
  const range = interval(metric);
  const others = all.flatMap((baseline) => {
    const same = baseline.metrics.find((other) => other.key === metric.key);
    return same && same.value !== null ? [`${baseline.name} ${measured(same)}`] : [];
  });
  return el(
    "li",
    { class: is_main ? "card main" : "card" },
    el("p", { class: "name" }, metric.name),
    el("p", { class: "figure" }, measured({ ...metric, unit: "" }), metric.unit && metric.value !== null ? el("span", { class: "unit" }, ` ${metric.unit}`) : null),
    range ? el("p", { class: "range" }, `95 %: ${range}`) : null,
    el("p", { class: "what" }, metric.what),
    others.length ? el("p", { class: "others" }, others.join(" · ")) : null,
  );
}

function baselines(main: Metric, all: Baseline[], level: Level): HTMLElement {
  const rows = all.map((baseline) => {
    const metric = baseline.metrics.find((other) => other.key === (baseline.difference?.key ?? main.key));
    return { name: baseline.name, metric: metric ?? null, note: baseline.difference ? differenceNote(baseline.difference) : [] };
  });
  return figure(
    level + 1,
    `${capital(main.name)} against baselines`,
    `Dots are ${main.name}, lines their 95 % interval; below each baseline, how far the model is from it.`,
    intervals([{ name: "this model", metric: main, note: [], is_main: true }, ...rows]),
  );
}

/** +8.1 points (95 %: +5.9 to +10.3) [better] */
export function differenceNote(difference: Difference): Child[] {
  const { value, interval: range } = change(difference);
  if (value === MISSING) return [];
  const { text, kind } = verdict(difference);
  return [`model ${value}${range ? ` (95 %: ${range})` : ""} `, el("span", { class: `badge ${kind}` }, text)];
}

/** The same metrics of every part that was evaluated, where there are several. */
function allParts(run: Run, level: Level): HTMLElement | null {
  if (run.evaluations.length < 2) return null;
  const names = run.evaluations.map((evaluation) => `${evaluation.part} (${counted(evaluation.rows, "row")})`);
  const metrics = metricTable("Metrics of all parts", names, run.evaluations.map((evaluation) => evaluation.metrics));
  return metrics && figure(level + 1, "Part by part", "Figures that are much better on training rows than on the others tell of rows learned by heart.", metrics);
}
