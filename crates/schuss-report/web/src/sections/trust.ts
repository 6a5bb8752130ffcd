/** How far probabilities can be trusted: calibration, ROC and precision-recall curves. */
import { barChart, shapeChart } from "../charts";
import { figure, figures, section, type Level } from "../elements";
import { capital } from "../names";
import { number, percent, tick } from "../numbers";
import type { Curve, Evaluation } from "../schema";

/** Of more curves than MOST, the WORST are shown. */
const MOST = 12;
const WORST = 6;
const UNIT: [number, number] = [0, 1];
const hundredfold = (value: number, step: number) => tick(value * 100, step * 100);

export function trust(evaluation: Evaluation, level: Level): HTMLElement | null {
  const all = figures(...calibration(evaluation, level), roc(evaluation, level), precisionRecall(evaluation, level));
  all?.classList.add("three");
  return section(level, "How far to trust its probabilities", null, all);
}

function calibration(evaluation: Evaluation, level: Level): (HTMLElement | null)[] {
  const bins = evaluation.calibration?.bins ?? [];
  const points = bins.flatMap((bin): [number, number][] => (bin.confidence !== null && bin.accuracy !== null && bin.rows > 0 ? [[bin.confidence, bin.accuracy]] : []));
  if (points.length === 0) return [];
  // Of several labels, each one of a row is a decision.
  const ofLabels = bins.reduce((sum, bin) => sum + bin.rows, 0) > evaluation.rows;
  const counted = ofLabels ? "decisions" : "rows";
  const error = evaluation.calibration?.error ?? null;
  const shape = { name: "accuracy", colour: "--accent", points };
  const [chart] = shapeChart({
    label: `Reliability diagram: accuracy over confidence. ${points.map(([x, y]) => `${percent(x)} sure, ${percent(y)} right`).join("; ")}`,
    x_side: { label: "confidence (%)", range: UNIT, format: hundredfold },
    y_side: { label: "accuracy (%)", range: UNIT, format: hundredfold },
    shapes: [shape, { ...shape, name: "bins", is_dots: true }],
    diagonal: [[0, 0], [1, 1]],
    height: 250,
    span: "third",
  });
  const counts = barChart({
    label: `${capital(counted)} in each bin of confidence`,
    histogram: { low: bins[0]?.low ?? 0, high: bins.at(-1)?.high ?? 1, counts: bins.map((bin) => bin.rows) },
    x_side: { label: "confidence (%)", format: hundredfold },
    y_side: { label: counted },
    colour: "--right",
    height: 120,
    span: "third",
  });
  const gap = error === null ? "" : ` On average, confidence and accuracy are ${percent(error)} apart.`;
  const decisions = ofLabels ? " Whether a label is there is a decision; the bars count these, not rows." : "";
  return [figure(level + 1, "Calibration", `Points below the diagonal: more sure than right; above it: more right than sure.${gap}${decisions}`, chart!, counts)];
}

function roc(evaluation: Evaluation, level: Level): HTMLElement | null {
  return curves(evaluation.roc, level, {
    title: "ROC curve",
    x: "false positive rate (%)",
    y: "true positive rate (%)",
    diagonal: [[0, 0], [1, 1]],
    area: "AUC",
    what: "The closer to the upper left corner, the better; the diagonal is guessing.",
  });
}

function precisionRecall(evaluation: Evaluation, level: Level): HTMLElement | null {
  return curves(evaluation.precision_recall, level, {
    title: "Precision and recall",
    x: "recall (%)",
    y: "precision (%)",
    diagonal: [[0, 1], [1, 1]],
    area: "area",
    what: "The longer a curve stays at the top, the more rows of the class are found before others are mixed in.",
  });
}

interface Kind { title: string; x: string; y: string; diagonal: [[number, number], [number, number]]; area: string; what: string }

function curves(all: Curve[] | null, level: Level, kind: Kind): HTMLElement | null {
  const present = (all ?? []).filter((curve) => curve.points.length > 0);
  if (present.length === 0) return null;
  const isMany = present.length > MOST;
  const shown = isMany ? [...present].sort((a, b) => (a.area ?? -1) - (b.area ?? -1)).slice(0, WORST) : present;
  const one = shown.length === 1;
  const body = shapeChart({
    label: `${kind.title}: ${shown.map((curve) => `${curve.name} ${kind.area} ${number(curve.area)}`).join("; ")}`,
    x_side: { label: kind.x, range: UNIT, format: hundredfold },
    y_side: { label: kind.y, range: [0, 1.02], format: hundredfold },
    shapes: shown.map((curve, index) => ({
      name: curve.name,
      colour: one ? "--accent" : `--hue-${index + 1}`,
      width: one ? 2 : 1.5,
      points: curve.points,
      note: number(curve.area, 4, true),
    })),
    diagonal: kind.diagonal,
    height: 300,
    span: "third",
    has_legend: true,
  });
  const worst = isMany ? ` Of ${present.length} classes, the ${WORST} with the smallest area.` : "";
  return figure(level + 1, kind.title, `${kind.what} Beside each name, the ${kind.area === "AUC" ? "area under its curve (AUC)" : "area under its curve"}.${worst}`, ...body);
}

