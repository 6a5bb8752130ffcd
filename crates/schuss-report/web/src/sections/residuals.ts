/** Predicted against actual values of a regression, and how its errors are spread. */
import { barChart, shapeChart, span } from "../charts";
import { figure, figures, section, type Level } from "../elements";
import type { Evaluation, Residuals } from "../schema";
import { short } from "../names";

export function residuals(evaluation: Evaluation, level: Level): HTMLElement | null {
  const all = evaluation.residuals ?? [];
  return section(level, "Predicted against actual", null, figures(...all.flatMap((each) => [scatter(each, level), errors(each, level)])));
}

function scatter({ target, points }: Residuals, level: Level): HTMLElement | null {
  if (points.length === 0) return null;
  const range = span(points.flat());
  const [chart] = shapeChart({
    label: `Predicted over actual ${target}, ${points.length} rows`,
    x_side: { label: `actual ${short(target, 30)}`, range },
    y_side: { label: `predicted ${short(target, 24)}`, range },
    shapes: [{ name: target, colour: "--accent", points, is_dots: true }],
    diagonal: [[range[0], range[0]], [range[1], range[1]]],
  });
  return figure(level + 1, `${short(target, 40)}: predicted and actual`, "A dot is a row; on the diagonal the prediction is right, above it too high, below it too low.", chart!);
}

function errors({ target, histogram }: Residuals, level: Level): HTMLElement | null {
  if (histogram.counts.length === 0 || histogram.high <= histogram.low) return null;
  const chart = barChart({
    label: `Histogram of predicted minus actual ${target}`,
    histogram,
    x_side: { label: `predicted − actual ${short(target, 24)}` },
    y_side: { label: "rows" },
    colour: "--accent",
    height: 300,
  });
  return figure(level + 1, `${short(target, 40)}: errors`, "Narrow and centred on 0 is good; a lean to one side is a bias, a long tail a few rows that are far off.", chart);
}
