/** What a run was: warnings, a summary in sentences, facts. */
import { el } from "../elements";
import type { Run } from "../schema";

export function warnings(run: Run): HTMLElement | null {
  if (run.warnings.length === 0) return null;
  return el("ul", { class: "warnings", "aria-label": "Warnings" }, ...run.warnings.map((warning) => el("li", {}, warning)));
}

export function summary(run: Run): HTMLElement | null {
  return run.summary.length ? el("p", { class: "summary" }, run.summary.join(" ")) : null;
}

export function facts(run: Run): HTMLElement | null {
  if (run.facts.length === 0) return null;
  return el("dl", { class: "facts" }, ...run.facts.map(([label, value]) => el("div", {}, el("dt", {}, label), el("dd", {}, value))));
}
