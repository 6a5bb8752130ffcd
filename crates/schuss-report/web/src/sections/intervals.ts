/** Values and their 95 % intervals as dots and lines on one common scale. */
import { el, shortened, type Child } from "../elements";
import { measured, signed } from "../numbers";
import type { Maybe, Metric } from "../schema";
import { span } from "../charts";

export interface IntervalRow { name: string; metric: Metric | null; note: Child[]; is_main?: boolean; colour?: string }

export function intervals(rows: IntervalRow[]): HTMLElement {
  const metrics = rows.flatMap((row) => (row.metric ? [row.metric] : []));
  const range = span(metrics.flatMap((metric) => [metric.value, metric.low, metric.high]));
  const items = rows.map(({ name, metric, note, is_main, colour }) =>
    el(
      "li",
      { class: is_main ? "main" : null },
      el("span", { class: "name" }, shortened(name, 40)),
      el("span", { class: "value" }, metric ? measured(metric) : "–"),
      metric ? track(range, metric.value, metric.low, metric.high, colour ?? (is_main ? "--accent" : "--quiet")) : null,
      note.length ? el("span", { class: "note" }, ...note) : null,
    ),
  );
  return el("ul", { class: "intervals" }, ...items);
}

/** One dot with its line from low to high, between the ends of `range`; a tick where zero is. */
export function track([from, to]: [number, number], value: Maybe, low: Maybe, high: Maybe, colour: string, zero = false): HTMLElement {
  const place = (x: number) => Math.min(1, Math.max(0, (x - from) / (to - from)));
  return el(
    "span",
    { class: "track", "aria-hidden": "true", "--hue": `var(${colour})` },
    zero ? el("span", { class: "zero", "--at": place(0) }) : null,
    low !== null && high !== null ? el("span", { class: "whisker", "--at": place(low), "--size": place(high) - place(low) }) : null,
    value !== null ? el("span", { class: "dot", "--at": place(value) }) : null,
  );
}

/** The least range about zero that holds all of these, for tracks of differences. */
export function aboutZero(values: Maybe[]): [number, number] {
  const most = Math.max(...values.map((value) => Math.abs(value ?? 0))) * 1.08 || 1;
  return [-most, most];
}

/** The ends of a range of differences, to stand below its tracks. */
export function ends(range: [number, number], is_share: boolean): string {
  return `${signed(range[0], is_share)} to ${signed(range[1], is_share)}${is_share ? " points" : ""}`;
}
