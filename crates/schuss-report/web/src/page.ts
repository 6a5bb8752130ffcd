/** The page of a report, drawn whole; again where a newer one comes. */
import { forget } from "./drawings";
import { details, el, figures, heading, section, shortened, type Child, type Level } from "./elements";
import type { Evaluation, Report, Run } from "./schema";
import { classes } from "./sections/classes";
import { comparison } from "./sections/comparison";
import { confusion } from "./sections/confusion";
import { curves } from "./sections/curves";
import { distributions } from "./sections/distributions";
import { firstLayer } from "./sections/first_layer";
import { importance } from "./sections/importance";
import { facts, summary, warnings } from "./sections/intro";
import { mistakes } from "./sections/mistakes";
import { quality } from "./sections/quality";
import { repeat } from "./sections/repeat";
import { residuals } from "./sections/residuals";
import { speed } from "./sections/speed";
import { trust } from "./sections/trust";
import { tuning } from "./sections/tuning";
import "./style.css";

/** Draws `report` in `element`, in place of what was there; what was unfolded stays so. */
export function show(report: Report, element: HTMLElement): void {
  const open = new Set([...element.querySelectorAll<HTMLDetailsElement>("details[open]")].map((each) => each.dataset.key));
  forget(element);
  document.title = report.title;
  const ofRuns = report.runs.length > 1 || report.comparison ? severalRuns(report) : report.runs.flatMap((run) => oneRun(run, 2, "0"));
  const sections = report.tuning ? tuning(report.tuning, 2) : ofRuns;
  const present = sections.filter((each) => each !== null);
  element.replaceChildren(header(report), ...contents(present), ...present);
  for (const each of element.querySelectorAll("details")) each.open = open.has(each.dataset.key);
}

function header(report: Report): HTMLElement {
  const [run] = report.runs;
  const alone = report.runs.length === 1 && !report.comparison && run ? run : null;
  const made = el("p", { class: "made" }, `schuss ${report.schuss} · ${report.made}`);
  const found = report.tuning ? [el("p", { class: "summary" }, report.tuning.summary.join(" "))] : [];
  return el("header", {}, made, el("h1", {}, shortened(report.title, 300)), ...found, ...(alone ? intro(alone) : report.runs.map(namedWarnings)));
}

function intro(run: Run): Child[] {
  return [warnings(run), summary(run), facts(run)];
}

function namedWarnings(run: Run): HTMLElement | null {
  return warnings({ ...run, warnings: run.warnings.map((warning) => `${run.name}: ${warning}`) });
}

/** Links to the sections; none where there is little to choose from. */
function contents(sections: HTMLElement[]): HTMLElement[] {
  if (sections.length < 4) return [];
  const links = sections.map((each, index) => {
    each.id = `part-${index + 1}`;
    return el("li", {}, el("a", { href: `#${each.id}` }, each.querySelector("h2")?.textContent ?? ""));
  });
  return [el("nav", { "aria-label": "Contents" }, el("ul", {}, ...links))];
}

function severalRuns(report: Report): (HTMLElement | null)[] {
  const runs = report.runs.map((run, index) =>
    details(`run ${index}`, heading(3, run.name), el("div", { class: "run" }, ...intro(run), ...oneRun(run, 4, String(index)))),
  );
  return [...comparison(report, 2), section(2, "Each run by itself", null, ...runs)];
}

function oneRun(run: Run, level: Level, key: string): (HTMLElement | null)[] {
  const [first, ...others] = run.evaluations;
  return [
    quality(run, level),
    curves(run, level),
    ...(first ? evaluated(first, level, `${key}/0`) : []),
    otherParts(others, level, key),
    firstLayer(run, level),
    distributions(run, level, key),
    speed(run, level),
    repeat(run, level),
  ];
}

/** What one part of the rows shows. */
function evaluated(evaluation: Evaluation, level: Level, key: string): (HTMLElement | null)[] {
  return [
    importance(evaluation, level),
    section(level, "What it takes for what", null, figures(confusion(evaluation, level), classes(evaluation, level, key))),
    mistakes(evaluation, level, key),
    trust(evaluation, level),
    residuals(evaluation, level),
  ];
}

function otherParts(others: Evaluation[], level: Level, key: string): HTMLElement | null {
  const folded = others.flatMap((evaluation, index) => {
    const below = evaluated(evaluation, level + 2, `${key}/${index + 1}`).filter((each) => each !== null);
    return below.length ? [details(`${key}/part ${index + 1}`, heading(level + 1, `On the ${evaluation.part} rows`), ...below)] : [];
  });
  return section(level, "The same on other rows", null, ...folded);
}
