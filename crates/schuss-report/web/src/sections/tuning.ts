/** A search of settings: its trials, the measure against each setting, and what longer training made of the best. */
import { isWide, key, shapeChart, span, type Shape } from "../charts";
import { el, figure, figures, section, shortened, table, type Child, type Level } from "../elements";
import { capital, short } from "../names";
import { count, counted, duration, MISSING, number, percent } from "../numbers";
import type { Maybe, Trial, Tuning } from "../schema";
import { command } from "./repeat";

const MOST_ROWS = 30;

const BEST = { name: "best", colour: "--hue-2" };
const USUAL = { name: "usual settings", colour: "--hue-3" };
const OTHERS = { name: "other trials", colour: "--accent" };

export function tuning(found: Tuning, level: Level): (HTMLElement | null)[] {
  return [
    section(level, "The best trials", lead(found), results(found)),
    section(level, `${capital(found.measure)} against each setting`, compared(found), kinds(found), figures(...found.parameters.map((_, index) => against(found, index, level)))),
    rungs(found, level),
    section(level, "How to repeat it", null, command(found.command, level)),
  ];
}

/** What a trial is drawn as: the best, the usual settings, or one of the others. */
function style(found: Tuning, trial: Trial): { name: string; colour: string } {
  if (trial === found.trials[0]) return BEST;
  return trial.trial === 0 ? USUAL : OTHERS;
}

function kinds(found: Tuning): HTMLElement {
  return key([BEST, USUAL, OTHERS].filter((kind) => found.trials.some((trial) => style(found, trial) === kind)));
}

const written = (found: Tuning, value: Maybe): string => (found.is_share ? percent(value, 2) : number(value, 4, true));

function spread(found: Tuning, error: Maybe): string {
  if (error === null) return "";
  return `± ${found.is_share ? (100 * error).toFixed(2) : number(error, 2, true)}`;
}

function lead(found: Tuning): string {
  const which = found.trials.length > MOST_ROWS ? `The best ${MOST_ROWS} of ${count(found.trials.length)} trials, those that came furthest first` : "Those that came furthest first";
  const error = found.folds > 1 ? ` ± is the standard error over ${found.folds} folds.` : "";
  return `${which}; ${found.better} is better.${error}`;
}

function results(found: Tuning): HTMLElement {
  const head = [{ name: "trial" }, { name: "epochs", is_number: true }, { name: found.measure, is_number: true }, { name: "time", is_number: true }, { name: "settings" }];
  const rows = found.trials.slice(0, MOST_ROWS).map((trial): Child[] => {
    const last = trial.rungs.at(-1);
    const value = el("span", { class: "stacked" }, el("span", {}, written(found, last?.mean ?? null)), el("small", {}, spread(found, last?.error ?? null)));
    const seconds = trial.rungs.reduce((sum, rung) => sum + (rung.seconds ?? 0), 0);
    const name = trial.trial === 0 ? "0, usual settings" : String(trial.trial);
    return [name, count(last?.epochs ?? 0), value, seconds ? duration(seconds) : MISSING, settings(found, trial)];
  });
  return table("The best trials", head, rows);
}

/** lr 0.04 · hidden 256,256 */
function settings(found: Tuning, trial: Trial): HTMLElement {
  const parts = found.parameters.map(({ name }, index) => el("span", { class: "setting" }, el("span", { class: "quiet" }, `${name} `), shortened(trial.settings[index] ?? MISSING, 24)));
  return el("span", { class: "drawn" }, ...parts);
}

function compared(found: Tuning): string {
  const [first] = found.rungs;
  return found.rungs.length > 1 ? `Of all trials after ${counted(first ?? 0, "epoch")}, the first rung: a dot is a trial.` : "A dot is a trial.";
}

/** The measure of the first rung, where there is one. */
function first(trial: Trial): Maybe {
  return trial.rungs[0]?.mean ?? null;
}

function against(found: Tuning, index: number, level: Level): HTMLElement | null {
  const { name, choices, is_log } = found.parameters[index]!;
  const points = found.trials.flatMap((trial) => {
    const [x, y] = [trial.places[index] ?? null, first(trial)];
    return x === null || y === null || (is_log && !choices && x <= 0) ? [] : [{ trial, x, y }];
  });
  if (points.length === 0) return null;
  const values = points.map(({ y }) => y);
  const isLog = !found.is_share && isWide(values);
  if (choices) return figure(level + 1, name, `Further right is more ${short(found.measure, 20)}; the number is the best of each.`, dotted(found, choices, points, isLog));
  const kind = (wanted: { name: string; colour: string }): Shape => ({
    ...wanted,
    points: points.filter(({ trial }) => style(found, trial) === wanted).map(({ x, y }): [number, number] => [x, y]),
    is_dots: true,
  });
  const [chart] = shapeChart({
    label: `${found.measure} over ${name}, ${points.length} trials`,
    x_side: { label: name, is_log },
    y_side: side(found, isLog),
    shapes: [OTHERS, USUAL, BEST].map(kind),
  });
  return figure(level + 1, name, is_log ? "From left to right on a logarithmic scale." : "Values evenly from left to right.", chart!);
}

function side(found: Tuning, is_log: boolean) {
  return { label: found.measure, is_log, ...(found.is_share ? { format: (value: number) => percent(value) } : {}) };
}

/** A line for each choice, with a dot for each trial that has it. */
function dotted(found: Tuning, choices: string[], points: { trial: Trial; x: number; y: number }[], isLog: boolean): HTMLElement {
  const scale = (value: number) => (isLog ? Math.log(value) : value);
  const [from, to] = span(points.map(({ y }) => scale(y)));
  const rows = choices.map((choice, place) => {
    const here = points.filter(({ x }) => x === place);
    // The best lies above the others.
    const dots = here.reverse().map(({ trial, y }) => el("span", { class: "dot", "--at": (scale(y) - from) / (to - from), "--hue": `var(${style(found, trial).colour})` }));
    const best = here.length ? (found.better === "higher" ? Math.max : Math.min)(...here.map(({ y }) => y)) : null;
    return el("li", {}, el("span", { class: "name" }, shortened(choice, 30)), el("span", { class: "track", "aria-hidden": "true" }, ...dots), el("span", { class: "value" }, written(found, best)));
  });
  return el("ul", { class: "choices" }, ...rows);
}

function rungs(found: Tuning, level: Level): HTMLElement | null {
  const shapes = found.trials.map((trial): Shape => {
    const points = trial.rungs.flatMap(({ epochs, mean }): [number, number][] => (mean === null ? [] : [[epochs, mean]]));
    return { ...style(found, trial), points, width: trial === found.trials[0] ? 3 : 1.5 };
  });
  const drawn = shapes.filter((shape) => shape.points.length > 1).reverse();
  if (drawn.length === 0) return null;
  const isLog = !found.is_share && isWide(drawn.flatMap((shape) => shape.points.map((point) => point[1])));
  const [chart] = shapeChart({
    label: `${found.measure} over epochs of the trials that were promoted`,
    x_side: { label: "epochs", is_log: true },
    y_side: side(found, isLog),
    shapes: drawn,
    span: "whole",
  });
  const caption = "A line is a trial that was promoted. Each was trained from the beginning for each number of epochs.";
  return section(level, "From rung to rung", null, figure(level + 1, `${capital(found.measure)} over epochs`, caption, kinds(found), chart!));
}
