/** How the weights and gradients of each tensor are spread, epoch by epoch. */
import { bandChart, barChart, key } from "../charts";
import { details, el, heading, section, type Level } from "../elements";
import { short } from "../names";
import { number } from "../numbers";
import { quantile } from "../quantiles";
import type { Distribution, Run } from "../schema";
import { epochs } from "./curves";

const QUANTILES = [0.05, 0.25, 0.5, 0.75, 0.95];
/** More tensors than these are folded. */
const MOST = 9;

export function distributions(run: Run, level: Level, key: string): HTMLElement | null {
  const present = run.distributions.filter((each) => each.histograms.some((histogram) => quantile(histogram, 0.5) !== null));
  return section(level, "Weights and gradients", null, kind(present, "weight", level, key), kind(present, "gradient", level, key));
}

function kind(all: Distribution[], kind: Distribution["kind"], level: Level, path: string): HTMLElement | null {
  const some = all.filter((each) => each.kind === kind);
  if (some.length === 0) return null;
  const hue = `--${kind}`;
  const legend = some.some((each) => each.epochs.length > 1)
    ? key([
        { name: "median", colour: hue },
        { name: "middle half (25–75 %)", colour: `${hue}-middle`, is_area: true },
        { name: "5–95 %", colour: `${hue}-pale`, is_area: true },
      ])
    : null;
  const charts = (part: Distribution[]) => el("div", { class: "multiples" }, ...part.map((each) => multiple(each, hue, level)));
  const single = "How often each value occurs: a bell about 0 is usual; two humps, or most of it at one value, are not.";
  const caption = !legend
    ? single
    : kind === "weight"
      ? "Bands that widen show a layer that learns; ones that stay as they began, a layer that hardly does; ones that grow without end call for a smaller learning rate or decay."
      : "Gradients that shrink to nothing in the early layers vanish, ones that grow explode; smaller ones towards the end are as it should be.";
  return el(
    "div",
    { class: "group" },
    heading(level + 1, kind === "weight" ? "Weights" : "Gradients"),
    legend,
    charts(some.slice(0, MOST)),
    some.length > MOST ? details(`${path}/${kind}`, `${some.length - MOST} more`, charts(some.slice(MOST))) : null,
    el("p", { class: "caption" }, caption),
  );
}

function multiple(each: Distribution, hue: string, level: Level): HTMLElement {
  return el("div", { class: "multiple" }, heading(level + 2, short(each.tensor, 44), { title: each.tensor }), chart(each, hue));
}

/** Bands over the epochs that have counts; of a single one its histogram. */
function chart({ tensor, kind, epochs: all, histograms }: Distribution, hue: string): HTMLElement {
  const counted = histograms.flatMap((histogram, index) => (quantile(histogram, 0.5) === null ? [] : [{ epoch: all[index] ?? index, histogram }]));
  const [first] = counted;
  if (counted.length === 1 && first) {
    const { histogram } = first;
    if (histogram.high <= histogram.low) return el("p", { class: "caption" }, `All are ${number(histogram.low)}.`);
    return barChart({ label: `Histogram of the ${kind}s of ${tensor}`, histogram, x_side: { label: kind }, y_side: { label: "count" }, colour: hue, height: 170, span: "third" });
  }
  return bandChart({
    label: `Quantiles of the ${kind}s of ${tensor} over the epochs`,
    x: counted.map(({ epoch }) => epoch),
    x_side: epochs(counted),
    y_side: { label: kind },
    quantiles: QUANTILES.map((q) => counted.map(({ histogram }) => quantile(histogram, q))),
    colour: hue,
  });
}
