/** Metrics side by side: of several runs, or of several parts of one. */
import { el, shortened, table, type Child } from "../elements";
import { short } from "../names";
import { interval, measured } from "../numbers";
import type { Metric } from "../schema";

/** One row for each metric that any column has; a value, and below it its 95 % interval. */
export function metricTable(label: string, names: string[], columns: Metric[][]): HTMLElement | null {
  const kinds = new Map(columns.flat().map((metric) => [metric.key, metric.name]));
  if (kinds.size === 0) return null;
  const rows = [...kinds].map(([key, name]): Child[] => [shortened(name, 40), ...columns.map((metrics) => cell(metrics.find((metric) => metric.key === key)))]);
  const head = [{ name: "metric" }, ...names.map((name) => ({ name: short(name, 28), is_number: true }))];
  return table(label, head, rows);
}

function cell(metric: Metric | undefined): Child {
  if (!metric) return "–";
  const range = interval(metric);
  return el("span", { class: "stacked" }, el("span", {}, measured(metric)), range ? el("small", {}, range) : null);
}
