/** Which runs of a comparison can stand in one chart: those on the same rows, by the same measure. */
import { listed, PARTS } from "./names";
import type { Comparison, Run } from "./schema";

export type Course = "loss" | "score";

/** The part that counts first: test, else validation, else training. */
const ORDER = [2, 1, 0];
/** Settings that say which rows there are and what they count. */
const OF_ROWS = ["data", "target", "task", "test", "group", "split-by-time", "weight"];

function setting(run: Run, name: string): string {
  return run.settings.find((each) => each.name === name)?.value ?? "";
}

/** What tells the rows of runs apart: their actual values, or how many are of each class and where they are from. */
function judgedBy(run: Run): string {
  const { part, rows, classes, residuals, is_weighted } = run.evaluations[0] ?? {};
  const actual = residuals?.map(({ points }) => points.map(([value]) => value));
  const from = is_weighted || !actual ? OF_ROWS.map((name) => setting(run, name)) : [];
  return JSON.stringify([part, rows, actual ?? classes?.map((row) => [row.name, row.rows]), from]);
}

/** Of each run the same text as of all others on its rows; runs whose difference was measured row by row are on the same. */
export function rowsOf(runs: Run[], comparison: Comparison | null): string[] {
  const all: string[] = [];
  for (const [index, run] of runs.entries()) {
    const pair = comparison?.differences.find(({ a, b }) => b === index && a < b);
    all.push(pair ? all[pair.a]! : judgedBy(run));
  }
  return all;
}

/** Indices of the runs that have the same text each. */
export function grouped(texts: string[]): number[][] {
  const groups = new Map<string, number[]>();
  texts.forEach((text, index) => groups.set(text, [...(groups.get(text) ?? []), index]));
  return [...groups.values()];
}

/** Which runs are judged by the same rows, and which by others; null where all are by the same. */
export function rowsInWords(runs: Run[], rows: string[]): string | null {
  const groups = grouped(rows).map((group) => group.map((index) => runs[index]!.name));
  if (groups.length < 2) return null;
  const alone = groups.filter((group) => group.length === 1).flat();
  const parts = groups.filter((group) => group.length > 1).map((group) => `by the same rows: ${listed(group)}`);
  if (alone.length) parts.push(`by rows of ${alone.length === 1 ? "its" : "their"} own: ${listed(alone)}`);
  return `Judged ${parts.join("; ")}. Only figures of the same rows can be compared.`;
}

/** The measure of a run's curve; losses of other parameters, or of targets on another scale, have the same name. */
function measureOf(run: Run, what: Course): string {
  if (what === "score") return run.history.score;
  const isUnscaled = setting(run, "scale") === "none" && run.evaluations[0]?.residuals;
  return `${setting(run, "loss") || run.history.loss}${isUnscaled ? " of targets that are not scaled" : ""}`;
}

function has(run: Run, what: Course, part: number): boolean {
  return run.history.epochs.some((epoch) => (epoch[what][part] ?? null) !== null);
}

export interface Overlay { runs: number[]; part: number }

/** A chart for each two or more runs that can be compared, of the first part that most have; why the others are in none. */
export function overlays(runs: Run[], rows: string[], what: Course): { charts: Overlay[]; alone: [number, string][] } {
  const measures = runs.map((run) => measureOf(run, what));
  const alone: [number, string][] = [];
  const charts = grouped(runs.map((run, index) => JSON.stringify([rows[index], run.history[what], measures[index]]))).flatMap((group): Overlay[] => {
    const having = (part: number) => group.filter((index) => has(runs[index]!, what, part));
    const part = [...ORDER].sort((a, b) => having(b).length - having(a).length)[0]!;
    const shown = having(part);
    const isChart = shown.length > 1;
    for (const index of group) {
      if (isChart && shown.includes(index)) continue;
      if (!shown.includes(index)) alone.push([index, `its ${PARTS[part]} ${what} was not followed`]);
      else if (rows.filter((each) => each === rows[index]).length === 1) alone.push([index, "no other run has its rows"]);
      else if (group.length === 1) alone.push([index, `no other run on its rows has its ${what}, ${measures[index]}`]);
      else alone.push([index, `no other run on its rows followed its ${PARTS[part]} ${what}`]);
    }
    return isChart ? [{ runs: shown, part }] : [];
  });
  return { charts, alone };
}
