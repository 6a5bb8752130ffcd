/** The weights of the first layer: pictures of what each unit answers to, or which columns count. */
import { bar, el, figure, section, shortened, type Level } from "../elements";
import { count, counted, number } from "../numbers";
import { weights } from "../pictures";
import type { FirstLayer, Run } from "../schema";

export function firstLayer(run: Run, level: Level): HTMLElement | null {
  const layer = run.first_layer;
  if (!layer) return null;
  return section(level, "What the first layer looks at", null, layer.kind === "pictures" ? units(layer, level) : columns(layer, level));
}

function units(layer: Extract<FirstLayer, { kind: "pictures" }>, level: Level): HTMLElement | null {
  const { height, width, channels, largest } = layer;
  const shown = layer.units.flatMap(({ unit, weights: pixels }) => {
    const drawing = weights({ height, width, channels, pixels }, `Weights of unit ${unit}`);
    return drawing ? [el("li", {}, drawing)] : [];
  });
  if (shown.length === 0) return null;
  const scale =
    channels === 1
      ? el("p", { class: "scale" }, el("span", {}, number(-largest, 3)), el("span", { class: "ramp", "aria-hidden": "true" }), el("span", {}, `+${number(largest, 3)}`), el("span", { class: "quiet" }, "weight; the middle is 0"))
      : el("p", { class: "scale" }, el("span", { class: "quiet" }, `grey is 0, full colour ±${number(largest, 3)}`));
  const some = shown.length < layer.of ? `The first ${shown.length} of ${count(layer.of)} units` : `All of ${counted(shown.length, "unit")}`;
  const caption = `${some}, all on one scale: a unit answers strongly to pictures that are bright where it is positive and dark where it is negative; one that looks like noise has learned little.`;
  return figure(level + 1, "Weights of its units", caption, scale, el("ul", { class: "units" }, ...shown));
}

function columns(layer: Extract<FirstLayer, { kind: "columns" }>, level: Level): HTMLElement | null {
  if (layer.names.length === 0) return null;
  const most = Math.max(...layer.strength, Number.MIN_VALUE);
  const rows = layer.names.map((name, index) =>
    el("li", {}, el("span", { class: "name" }, shortened(name, 40)), bar((layer.strength[index] ?? 0) / most), el("span", { class: "value" }, number(layer.strength[index] ?? null, 3, true))),
  );
  const some = layer.names.length < layer.of ? `The ${layer.names.length} strongest of ${count(layer.of)} columns` : "Every column, strongest first";
  const caption = `${some}: a long bar means that the network listens to the column, not which way it pulls.`;
  return figure(level + 1, "Mean size of each column's weights", caption, el("ol", { class: "strengths" }, ...rows));
}
