/** Several runs side by side: curves over one another, metrics, differences and whether they are more than noise. */
import { lineChart } from "../charts";
import { el, figure, figures, section, shortened, table, type Child, type Level } from "../elements";
import { capital, short } from "../names";
import { change, MISSING, verdict } from "../numbers";
import type { Comparison, Maybe, Report, Run } from "../schema";
import { epochs, PARTS, place, scale, valuesOf } from "./curves";
import { aboutZero, ends, intervals, track } from "./intervals";
import { metricTable } from "./metric_table";

const HUES = 12;
/** The part that counts first: test, else validation, else training. */
const ORDER = [2, 1, 0];

export function comparison(report: Report, level: Level): (HTMLElement | null)[] {
  const { runs, comparison } = report;
  return [
    section(level, "Side by side", comparison?.note ?? null, figures(main(runs, level), comparison && differences(comparison, runs, level)), metrics(runs, level)),
    section(level, "How they learned", null, figures(overlay(runs, "loss", level), overlay(runs, "score", level))),
    comparison && section(level, "What was set differently", null, settings(comparison, runs)),
  ];
}

function hue(index: number): string {
  return `--hue-${(index % HUES) + 1}`;
}

function main(runs: Run[], level: Level): HTMLElement | null {
  const first = runs.flatMap((run) => run.evaluations[0]?.metrics[0] ?? [])[0];
  if (!first) return null;
  const rows = runs.map((run, index) => ({
    name: run.name,
    metric: run.evaluations[0]?.metrics.find((metric) => metric.key === first.key) ?? null,
    note: [],
    colour: hue(index),
  }));
  return figure(level + 1, capital(first.name), `Dots are ${first.name}, lines their 95 % interval; runs whose lines overlap may still differ: see the differences.`, intervals(rows));
}

function metrics(runs: Run[], level: Level): HTMLElement | null {
  const parts = new Set(runs.flatMap((run) => run.evaluations[0]?.part ?? []));
  const body = metricTable("Metrics of all runs", runs.map((run) => run.name), runs.map((run) => run.evaluations[0]?.metrics ?? []));
  return body && figure(level + 1, "All metrics", `On ${[...parts].join(" or ")} rows; below each value its 95 % interval.`, body);
}

function differences({ differences }: Comparison, runs: Run[], level: Level): HTMLElement | null {
  const rows = differences.flatMap(({ a, b, difference }) => {
    const [first, second] = [runs[a], runs[b]];
    return first && second && change(difference).value !== MISSING ? [{ first, second, difference }] : [];
  });
  const [one] = rows;
  if (!one) return null;
  const rangeOf = (key: string) => aboutZero(rows.flatMap(({ difference }) => (difference.key === key ? [difference.value, difference.low, difference.high] : [])));
  const items = rows.map(({ first, second, difference }) => {
    const { value, interval } = change(difference);
    const { text, kind } = verdict(difference);
    const colour = kind === "noise" ? "--quiet" : `--${kind}`;
    return el(
      "li",
      {},
      el("span", { class: "name" }, `${short(second.name, 24)} against ${short(first.name, 24)}`),
      el("span", { class: "value" }, value),
      track(rangeOf(difference.key), difference.value, difference.low, difference.high, colour, true),
      el("span", { class: "note" }, `${difference.name}${interval ? `, 95 %: ${interval}` : ""} `, el("span", { class: `badge ${kind}` }, text)),
    );
  });
  const range = ends(rangeOf(one.difference.key), one.difference.is_share);
  return figure(level + 1, "Differences", `The tick in the middle is no difference: where the line crosses it, the difference may be chance. The scale goes from ${range}.`, el("ul", { class: "intervals" }, ...items));
}

/** One line a run, of the first part that all have, else of the one that most have. */
function overlay(runs: Run[], what: "loss" | "score", level: Level): HTMLElement | null {
  const having = (part: number) => runs.filter((run) => valuesOf(run.history.epochs, what, part).some((value) => value !== null));
  const part = [...ORDER].sort((a, b) => having(b).length - having(a).length)[0]!;
  const shown = having(part);
  const [first] = shown;
  if (!first) return null;
  const x = [...new Set(shown.flatMap((run) => run.history.epochs.map((epoch) => epoch.epoch)))].sort((a, b) => a - b);
  const lines = shown.map((run) => {
    const at = new Map(run.history.epochs.map((epoch): [number, Maybe] => [epoch.epoch, epoch[what][part] ?? null]));
    return { name: short(run.name, 28), colour: hue(runs.indexOf(run)), values: x.map((epoch) => at.get(epoch) ?? null) };
  });
  const { y_side, write } = scale(first.history, what, lines.flatMap((line) => line.values));
  const title = capital(`${PARTS[part]} ${first.history[what]}`);
  const body = lineChart({
    label: `${title} over the epochs of ${lines.map((line) => line.name).join(", ")}`,
    x,
    x_side: epochs(x.map((epoch) => ({ epoch }))),
    y_side,
    write,
    lines,
    place,
  });
  return figure(level + 1, title, "A line a run: which gets there sooner, and which gets further.", ...body);
}

function settings({ settings }: Comparison, runs: Run[]): HTMLElement | null {
  if (settings.length === 0) return null;
  const columns = [{ name: "setting" }, ...runs.map((run) => ({ name: short(run.name, 28) }))];
  return table("Settings that differ", columns, settings.map(({ name, values }): Child[] => [shortened(name, 60), ...runs.map((_, index) => values[index] ?? "–")]));
}
