/** Several runs side by side: curves over one another, metrics, differences and whether they are more than noise. */
import { lineChart } from "../charts";
import { grouped, overlays, rowsInWords, rowsOf, type Course, type Overlay } from "../comparable";
import { el, figure, figures, section, shortened, table, type Child, type Level } from "../elements";
import { capital, listed, PARTS, short } from "../names";
import { change, MISSING, verdict } from "../numbers";
import type { Comparison, Maybe, Report, Run } from "../schema";
import { epochs, place, scale } from "./curves";
import { aboutZero, ends, intervals, track } from "./intervals";
import { metricTable } from "./metric_table";

const HUES = 12;

export function comparison(report: Report, level: Level): (HTMLElement | null)[] {
  const { runs, comparison } = report;
  const rows = rowsOf(runs, comparison);
  const [loss, score] = [overlays(runs, rows, "loss"), overlays(runs, rows, "score")];
  return [
    section(level, "Side by side", comparison?.note ?? null, figures(...main(runs, rows, comparison, level), comparison && differences(comparison, runs, level)), metrics(runs, rows, level)),
    section(level, "How they learned", null, alone(runs, [...loss.alone, ...score.alone]), figures(...loss.charts.map((each) => overlay(runs, each, "loss", level)), ...score.charts.map((each) => overlay(runs, each, "score", level)))),
    comparison && section(level, "What was set differently", null, settings(comparison, runs)),
  ];
}

function hue(index: number): string {
  return `--hue-${(index % HUES) + 1}`;
}

/** A chart for the runs on the same rows each, of the first one's main metric. */
function main(runs: Run[], rows: string[], comparison: Comparison | null, level: Level): HTMLElement[] {
  return grouped(rows).flatMap((group) => {
    const first = group.flatMap((index) => runs[index]!.evaluations[0]?.metrics[0] ?? [])[0];
    if (!first) return [];
    const lines = group.map((index) => {
      const { name, evaluations } = runs[index]!;
      return { name, metric: evaluations[0]?.metrics.find((metric) => metric.key === first.key) ?? null, note: [], colour: hue(index) };
    });
    if (lines.filter(({ metric }) => metric).length < 2) return [];
    const isTold = comparison?.differences.some(({ a, b }) => group.includes(a) && group.includes(b));
    const seen = isTold ? "; runs whose lines overlap may still differ: see the differences" : "";
    return [figure(level + 1, capital(first.name), `Dots are ${first.name}, lines their 95 % interval${seen}.`, intervals(lines))];
  });
}

function metrics(runs: Run[], rows: string[], level: Level): HTMLElement | null {
  const parts = new Set(runs.flatMap((run) => run.evaluations[0]?.part ?? []));
  const body = metricTable("Metrics of all runs", runs.map((run) => run.name), runs.map((run) => run.evaluations[0]?.metrics ?? []));
  return body && figure(level + 1, "All metrics", `On ${[...parts].join(" or ")} rows; below each value its 95 % interval. ${rowsInWords(runs, rows) ?? ""}`.trim(), body);
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

/** Names the runs that are in no chart, with the reasons. */
function alone(runs: Run[], all: [number, string][]): HTMLElement | null {
  const reasons = runs.flatMap((run, index) => {
    const own = new Set(all.flatMap(([of, reason]) => (of === index ? [reason] : [])));
    return own.size ? [`${short(run.name, 40)} (${[...own].join("; ")})`] : [];
  });
  if (reasons.length === 0) return null;
  return el("p", { class: "lead" }, `Runs are drawn together where they have the same rows and the same measure. Alone: ${reasons.join(", ")}. The curves of each are further below, under its name.`);
}

/** One line a run. */
function overlay(runs: Run[], { runs: shown, part }: Overlay, what: Course, level: Level): HTMLElement {
  const { history } = runs[shown[0]!]!;
  const x = [...new Set(shown.flatMap((index) => runs[index]!.history.epochs.map((epoch) => epoch.epoch)))].sort((a, b) => a - b);
  const lines = shown.map((index) => {
    const run = runs[index]!;
    const at = new Map(run.history.epochs.map((epoch): [number, Maybe] => [epoch.epoch, epoch[what][part] ?? null]));
    return { name: short(run.name, 28), colour: hue(index), values: x.map((epoch) => at.get(epoch) ?? null) };
  });
  const { y_side, write } = scale(history, what, lines.flatMap((line) => line.values));
  const title = capital(`${PARTS[part]} ${history[what]}`);
  const body = lineChart({
    label: `${title} over the epochs of ${lines.map((line) => line.name).join(", ")}`,
    x,
    x_side: epochs(x.map((epoch) => ({ epoch }))),
    y_side,
    write,
    lines,
    place,
  });
  const ensembles = shown.flatMap((index) => (runs[index]!.history.members > 1 ? [`${short(runs[index]!.name, 28)} (of ${runs[index]!.history.members})`] : []));
  const first = ensembles.length ? ` Of several networks, the first stands for all: ${listed(ensembles)}.` : "";
  return figure(level + 1, title, `A line a run: which gets there sooner, and which gets further.${first}`, ...body);
}

function settings({ settings }: Comparison, runs: Run[]): HTMLElement | null {
  if (settings.length === 0) return null;
  const columns = [{ name: "setting" }, ...runs.map((run) => ({ name: short(run.name, 28) }))];
  return table("Settings that differ", columns, settings.map(({ name, values }): Child[] => [shortened(name, 60), ...runs.map((_, index) => values[index] ?? "–")]));
}
