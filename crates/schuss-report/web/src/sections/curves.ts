/** Loss and score over the epochs, for the parts that were measured. */
import { figure, figures, section, type Level } from "../elements";
import { isWide, lineChart, span, type Line } from "../charts";
import { number, percent, tick } from "../numbers";
import { capital, PARTS, short } from "../names";
import type { History, Maybe, Run } from "../schema";

const STYLES = [
  { colour: "--training", width: 1.75 },
  { colour: "--validation", width: 2, dash: [7, 4] },
  { colour: "--test", width: 2.25 },
];

export function curves(run: Run, level: Level): HTMLElement | null {
  const { history } = run;
  const charts = figures(curve(history, "loss", level), curve(history, "score", level));
  const lead = history.members > 1 ? `The first of ${history.members} networks stands for all.` : null;
  return section(level, "How it learned", lead, charts);
}

function curve(history: History, what: "loss" | "score", level: Level): HTMLElement | null {
  const lines = PARTS.flatMap((name, part): Line[] => {
    const values = history.epochs.map((epoch) => epoch[what][part] ?? null);
    return values.some((value) => value !== null) ? [{ name, values, ...STYLES[part]! }] : [];
  });
  if (lines.length === 0) return null;
  const title = capital(history[what]);
  const kept = history.kept_epoch;
  const body = lineChart({
    label: `${title} over the epochs, for ${lines.map((line) => line.name).join(", ")} rows`,
    x: history.epochs.map((epoch) => epoch.epoch),
    x_side: epochs(history.epochs),
    ...scale(history, what, lines.flatMap((line) => line.values)),
    lines,
    place,
    mark: kept === null ? null : { x: kept, text: `kept: epoch ${kept}` },
  });
  return figure(level + 1, title, caption(history, what, lines), ...body);
}

/** Where on the axis of the epochs. */
export function place(epoch: number | null): string {
  if (epoch === null) return "at the end";
  return epoch < 0 ? "before training" : `epoch ${epoch}`;
}

/** The axis of the epochs: whole numbers, the one before training by its name. */
export function epochs(all: { epoch: number }[]) {
  const format = (value: number, step: number) => (value === -1 ? "start" : tick(value, step));
  return { label: "epoch", is_whole: true, format, ...(all[0] ? { first: all[0].epoch } : {}) };
}

/** Axis and way of writing of a loss or a score. */
export function scale(history: History, what: "loss" | "score", values: Maybe[]) {
  const name = history[what];
  const unit = /\(([^)]*)\)$/.exec(name)?.[1] ?? "";
  if (what === "score" && history.is_share) {
    const [low, high] = span(values);
    const range: [number, number] = [Math.max(0, low), Math.min(1, high)];
    return {
      y_side: { label: `${short(name, 30)} (%)`, range: low < high && range[0] < range[1] ? range : ([0, 1] as [number, number]), format: (v: number, step: number) => tick(v * 100, step * 100) },
      write: (value: Maybe) => percent(value),
    };
  }
  return {
    y_side: { label: short(name, 36), is_log: isWide(values) },
    write: (value: Maybe) => number(value, 4, true) + (unit && value !== null ? `\u00a0${unit}` : ""),
  };
}

function caption(history: History, what: "loss" | "score", lines: Line[]): string {
  if (history.epochs.length < 2) return "There is one epoch only: a dot for each part, no course yet.";
  const isLog = what === "loss" && isWide(lines.flatMap((line) => line.values));
  const held = lines.find((line) => line.name !== "training");
  const steps = isLog ? " Each labelled step of the logarithmic axis is a factor." : "";
  if (!held) return `It flattens out where more epochs would bring little.${steps}`;
  if (what === "score") return `The gap between training and ${held.name} is what does not carry over to new rows.`;
  return `Lines that fall together learn what holds in general; where ${held.name} turns up while training falls on, rows are learned by heart.${steps}`;
}
