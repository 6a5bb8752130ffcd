/** Line charts, bands, bars and scatters: uPlot in the page's colours, with a legend that reads out and hides. */
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { colour, density, drawn, fineness, isPrinting, widthOf, type Span } from "./drawings";
import { el, shortened } from "./elements";
import { number, tick } from "./numbers";
import type { Histogram, Maybe } from "./schema";

/** Of a legend and its line: `colour` names a variable of style.css. */
export interface Style { colour: string; dash?: number[]; width?: number }
export interface Line extends Style { name: string; values: Maybe[] }
export interface Shape extends Style { name: string; points: [number, number][]; is_dots?: boolean; note?: string }

const font = (size: number) => `${Math.round((isPrinting() ? 10.5 : 12) * size)}px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif`;

/** A chart on the page; `plot` is null until it is seen. */
class Chart {
  readonly host: HTMLElement;
  readonly hidden = new Set<number>();
  plot: uPlot | null = null;

  constructor(label: string, height: number, span: Span, make: () => [Omit<uPlot.Options, "width" | "height">, uPlot.AlignedData]) {
    this.host = el("div", { class: `chart ${span}`, role: "img", "aria-label": label, "--height": `${height}px` });
    const draw = () => {
      const width = widthOf(this.host, span);
      if (width === 0) return;
      this.plot?.destroy();
      const [options, data] = make();
      options.series?.forEach((series, index) => { if (index > 0) series.show = !this.hidden.has(index); });
      const fine = fineness();
      this.host.style.setProperty("--shown", String(1 / fine));
      this.plot = new uPlot({ ...options, width: width * fine, height: height * fine, legend: { show: false } }, data, this.host);
    };
    drawn(this.host, draw, () => this.plot?.destroy());
  }

  toggle(index: number): boolean {
    if (!this.hidden.delete(index)) this.hidden.add(index);
    const is_shown = !this.hidden.has(index);
    this.plot?.setSeries(index, { show: is_shown });
    return is_shown;
  }

  /** Makes the others pale; none are where `index` is null. */
  focus(index: number | null): void {
    this.plot?.setSeries(index, { focus: true });
  }
}

function swatch(style: Style): HTMLElement {
  return el("span", { class: style.dash ? "swatch dashed" : "swatch", "--line": `var(${style.colour})` });
}

/** The names of a chart's lines, each a button that hides its line; returns where each one's value is written. */
function legend(chart: Chart, entries: (Style & { name: string })[]): { list: HTMLElement; values: HTMLElement[] } {
  const values = entries.map(() => el("span", { class: "value" }));
  const buttons = entries.map((entry, index) => {
    const button = el("button", { type: "button", "aria-pressed": "true" }, swatch(entry), el("span", { class: "name" }, shortened(entry.name, 40)), values[index]!);
    button.addEventListener("click", () => button.setAttribute("aria-pressed", String(chart.toggle(index + 1))));
    button.addEventListener("pointerenter", () => chart.focus(index + 1));
    button.addEventListener("pointerleave", () => chart.focus(null));
    return el("li", {}, button);
  });
  return { list: el("ul", { class: "legend" }, ...buttons), values };
}

/** A legend of what cannot be hidden. */
export function key(entries: (Style & { name: string; is_area?: boolean })[]): HTMLElement {
  const items = entries.map((entry) =>
    el("li", {}, entry.is_area ? el("span", { class: "swatch area", "--line": `var(${entry.colour})` }) : swatch(entry), el("span", {}, entry.name)),
  );
  return el("ul", { class: "legend" }, ...items);
}

/** Of an axis; `first` is its least number, which is always labelled. */
interface Side { label: string; first?: number; format?: (value: number, step: number) => string; range?: [number, number]; is_log?: boolean; is_whole?: boolean }

const STEPS = [1, 2, 5].flatMap((digit) => [0, 1, 2, 3, 4, 5, 6].map((power) => digit * 10 ** power)).sort((a, b) => a - b);

function axis(side: Side, is_x: boolean): uPlot.Axis {
  const format = side.format ?? tick;
  const fine = fineness();
  return {
    label: side.label,
    font: font(fine),
    labelFont: font(fine),
    labelSize: 18 * fine,
    labelGap: 2 * fine,
    gap: 5 * fine,
    stroke: colour("--quiet"),
    grid: { stroke: colour("--line"), width: fine, show: !is_x },
    ticks: { stroke: colour("--rule"), width: fine, size: 4 * fine, show: is_x },
    border: { show: is_x, stroke: colour("--rule"), width: fine },
    // Two labels at least tell the scale.
    space: (_, __, ___, ____, size) => fine * (is_x ? 48 : Math.min(30, size / fine / 4)),
    ...(side.is_whole ? { incrs: STEPS } : {}),
    ...(side.first === undefined ? {} : { splits: (_: uPlot, __: number, ___: number, high: number, step: number, space: number) => onwards(side.first!, high, step, (34 * fine * step) / space) }),
    ...(side.is_log ? { splits: (_: uPlot, __: number, low: number, high: number) => decades(low, high), filter: (_: uPlot, splits: number[]) => splits } : {}),
    values: (_, splits, __, ___, step) => {
      const gap = side.is_log ? 0 : step || 1;
      return splits.map((split) => (split === null ? "" : side.is_log ? number(split, 2) : format(split, gap)));
    },
    size: is_x ? 28 * fine : (_, values) => fine * (12 + 6.8 * Math.max(2, ...(values ?? []).map((value) => String(value ?? "").length))),
  };
}

/** `first`, and the multiples of `step` that have `room` beside it. */
function onwards(first: number, high: number, step: number, room: number): number[] {
  const from = Math.ceil((first + room) / step);
  return [first, ...Array.from({ length: Math.max(0, Math.floor(high / step) - from + 1) }, (_, index) => (from + index) * step)];
}

/** Powers of ten, and twice and five times them where these are few. */
function decades(low: number, high: number): number[] {
  const [from, to] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const step = Math.ceil((to - from) / 7);
  const powers = Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, index) => 10 ** (from + index * step));
  const all = high / low < 300 ? powers.flatMap((power) => [power, 2 * power, 5 * power]) : powers;
  return all.filter((value) => value >= low * 0.999 && value <= high * 1.001);
}

function frame(x: Side, y: Side, lines: number): Pick<uPlot.Options, "axes" | "padding" | "focus"> {
  return { axes: [axis(x, true), axis(y, false)], padding: [10, 14, 0, 0].map((side) => side * fineness()) as uPlot.Padding, ...(lines > 1 ? { focus: { alpha: 0.2 } } : {}) };
}

/** From the least to the greatest with some air; the same numbers all through get some around them. */
export function span(values: Iterable<Maybe>, air = 0.06): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value === null || !Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) return [0, 1];
  const room = high > low ? (high - low) * air : Math.abs(low) * 0.1 || 1;
  return [low - room, high + room];
}

/** Numbers that lie so far apart that only a logarithmic axis shows them all. */
export function isWide(values: Maybe[]): boolean {
  const present = values.filter((value) => value !== null);
  const low = Math.min(...present);
  return low > 0 && Math.max(...present) / low > 20;
}

export interface Lines {
  label: string;
  x: number[];
  x_side: Side;
  y_side: Side;
  lines: Line[];
  /** Writes a value of the legend. */
  write: (value: Maybe) => string;
  /** Writes where the legend's values are from; null is the end of each line. */
  place: (x: number | null) => string;
  mark?: { x: number; text: string } | null;
  height?: number;
}

/** Points that have no neighbours would be lines without length: these are shown as dots, as are all where they are few. */
function dotted(values: Maybe[]): uPlot.Series.Points {
  const present = values.filter((value) => value !== null).length;
  if (present <= 25) return { show: true, size: 5 * fineness() };
  const lonely = values.flatMap((value, index) => (value !== null && (values[index - 1] ?? null) === null && (values[index + 1] ?? null) === null ? [index] : []));
  return lonely.length ? { show: true, size: 5 * fineness(), filter: () => lonely } : { show: false };
}

/** Values over a common x. Missing ones are gaps. The legend reads out the values under the pointer, else the last ones. */
export function lineChart(spec: Lines): Node[] {
  const all = spec.lines.flatMap((line) => line.values);
  const isLog = spec.y_side.is_log ?? false;
  const range = spec.y_side.range ?? span(all);
  const [first, last] = [spec.x[0] ?? 0, spec.x.at(-1) ?? 1];
  const xRange: [number, number] = first === last ? [first - 1, last + 1] : [first, last];
  const format = spec.x_side.format ?? tick;
  const xSide = { ...spec.x_side, format: (x: number, step: number) => (x < first || x > last ? "" : format(x, step)) };
  let readOut: (index: number | null) => void = () => {};

  const chart = new Chart(spec.label, spec.height ?? 250, "half", () => [
    {
      ...frame(xSide, spec.y_side, spec.lines.length),
      scales: {
        x: { time: false, range: xRange },
        y: isLog ? { distr: 3, range: (_, low, high) => uPlot.rangeLog(low, high, 10, false) } : { range },
      },
      series: [
        {},
        ...spec.lines.map((line) => ({
          label: line.name,
          stroke: colour(line.colour),
          width: (line.width ?? 2) * fineness(),
          ...(line.dash ? { dash: line.dash.map((part) => part * fineness()) } : {}),
          points: { ...dotted(line.values), fill: colour(line.colour), stroke: colour(line.colour) },
          spanGaps: true, // parts may be measured now and then
        })),
      ],
      cursor: { drag: { x: false, y: false }, y: false, points: { size: 8 } },
      hooks: {
        setCursor: [(plot) => readOut(plot.cursor.idx ?? null)],
        draw: spec.mark ? [(plot) => drawMark(plot, spec.mark!, spec.lines.map((line) => line.values[spec.x.indexOf(spec.mark!.x)] ?? null))] : [],
      },
    },
    [spec.x, ...spec.lines.map((line) => line.values)] as uPlot.AlignedData,
  ]);
  const { list, values } = legend(chart, spec.lines);
  const place = el("li", { class: "place", "aria-hidden": "true" });
  list.append(place);
  readOut = (index) => {
    spec.lines.forEach((line, i) => {
      const shown = index === null ? line.values.findLast((value) => value !== null) : line.values[index];
      values[i]!.textContent = spec.write(shown ?? null);
    });
    place.textContent = spec.place(index === null ? null : (spec.x[index] ?? null));
  };
  readOut(null);
  return [list, chart.host];
}

/** A dashed line across the chart, its text beside it where there is room and `values` are not. */
function drawMark(plot: uPlot, mark: { x: number; text: string }, values: Maybe[]): void {
  const { ctx, bbox } = plot;
  const x = Math.round(plot.valToPos(mark.x, "x", true));
  if (x < bbox.left || x > bbox.left + bbox.width) return;
  const unit = density();
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = colour("--quiet");
  ctx.lineWidth = unit;
  ctx.setLineDash([3 * unit, 3 * unit]);
  ctx.beginPath();
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  ctx.font = font(unit);
  const heights = values.flatMap((value) => (value === null ? [] : [plot.valToPos(value, "y", true) - bbox.top]));
  const isLow = heights.some((height) => height < bbox.height / 3);
  ctx.textBaseline = isLow ? "bottom" : "top";
  const isLeft = x + 6 * unit + ctx.measureText(mark.text).width > bbox.left + bbox.width;
  ctx.textAlign = isLeft ? "right" : "left";
  ctx.fillText(mark.text, x + (isLeft ? -6 : 6) * unit, isLow ? bbox.top + bbox.height - 4 * unit : bbox.top + 2 * unit);
  ctx.restore();
}

export interface Shapes {
  label: string;
  x_side: Side;
  y_side: Side;
  shapes: Shape[];
  /** From one corner to the other, or between two points. */
  diagonal?: [[number, number], [number, number]];
  height?: number;
  span?: Span;
  has_legend?: boolean;
}

/** The range of an axis: that which is asked for, else what holds these values. */
function rangeOf(side: Side, values: number[]): [number, number] {
  if (side.range) return side.range;
  if (!side.is_log) return span(values);
  const [low, high] = span(values.map(Math.log));
  return [Math.exp(low), Math.exp(high)];
}

const FACETS = [{ scale: "x", auto: true }, { scale: "y", auto: true }];

/** Curves and points that have an x of their own each, and a diagonal to hold them against. */
export function shapeChart(spec: Shapes): Node[] {
  const xs = rangeOf(spec.x_side, spec.shapes.flatMap((shape) => shape.points.map((point) => point[0])));
  const ys = rangeOf(spec.y_side, spec.shapes.flatMap((shape) => shape.points.map((point) => point[1])));
  const chart = new Chart(spec.label, spec.height ?? 300, spec.span ?? "half", () => [
    {
      mode: 2,
      ...frame(spec.x_side, spec.y_side, spec.shapes.length),
      scales: { x: { time: false, range: xs, distr: spec.x_side.is_log ? 3 : 1 }, y: { range: ys, distr: spec.y_side.is_log ? 3 : 1 } },
      series: [{}, ...spec.shapes.map((shape) => ({ label: shape.name, stroke: colour(shape.colour), facets: FACETS, paths: () => null, points: { show: false } }))],
      cursor: { show: false },
      hooks: {
        drawClear: [(plot) => spec.diagonal && stroke(plot, spec.diagonal, { colour: "--rule", dash: [4, 4], width: 1.25 })],
        drawSeries: [
          (plot, index) => {
            const shape = spec.shapes[index - 1];
            if (!shape || chart.hidden.has(index)) return;
            plot.ctx.globalAlpha = plot.series[index]?.alpha ?? 1;
            if (shape.is_dots) dots(plot, shape);
            else stroke(plot, shape.points, shape);
            plot.ctx.globalAlpha = 1;
          },
        ],
      },
    },
    [null, ...spec.shapes.map((shape) => [shape.points.map((point) => point[0]), shape.points.map((point) => point[1])])] as unknown as uPlot.AlignedData,
  ]);
  if (!spec.has_legend) return [chart.host];
  const { list, values } = legend(chart, spec.shapes);
  spec.shapes.forEach((shape, index) => { values[index]!.textContent = shape.note ?? ""; });
  return [list, chart.host];
}

function clipped(plot: uPlot, draw: (ctx: CanvasRenderingContext2D) => void): void {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.beginPath();
  const air = 4 * density();
  ctx.rect(bbox.left - air, bbox.top - air, bbox.width + 2 * air, bbox.height + 2 * air);
  ctx.clip();
  draw(ctx);
  ctx.restore();
}

function stroke(plot: uPlot, points: [number, number][], style: Style): void {
  clipped(plot, (ctx) => {
    const unit = density();
    ctx.strokeStyle = colour(style.colour);
    ctx.lineWidth = (style.width ?? 2) * unit;
    ctx.lineJoin = "round";
    ctx.setLineDash((style.dash ?? []).map((part) => part * unit));
    ctx.beginPath();
    for (const [x, y] of points) ctx.lineTo(plot.valToPos(x, "x", true), plot.valToPos(y, "y", true));
    ctx.stroke();
  });
}

/** Dots, paler the more there are, so that crowds are seen. */
function dots(plot: uPlot, shape: Shape): void {
  clipped(plot, (ctx) => {
    const radius = (shape.points.length > 200 ? 2 : 3) * density();
    ctx.fillStyle = colour(shape.colour);
    ctx.globalAlpha *= shape.points.length > 200 ? 0.45 : 0.9;
    for (const [x, y] of shape.points) {
      ctx.beginPath();
      ctx.arc(plot.valToPos(x, "x", true), plot.valToPos(y, "y", true), radius, 0, 2 * Math.PI);
      ctx.fill();
    }
  });
}

/** The counts of equal bins as bars. */
export function barChart(spec: { label: string; histogram: Histogram; x_side: Side; y_side: Side; colour: string; height?: number; span?: Span }): HTMLElement {
  const { low, high, counts } = spec.histogram;
  const width = (high - low) / counts.length;
  return new Chart(spec.label, spec.height ?? 250, spec.span ?? "half", () => [
    {
      ...frame(spec.x_side, spec.y_side, 1),
      scales: { x: { time: false, range: [low, high] }, y: { range: [0, Math.max(1, ...counts) * 1.06] } },
      series: [
        {},
        {
          fill: colour(spec.colour),
          width: 0,
          points: { show: false },
          paths: (plot) => {
            const fill = new Path2D();
            const floor = plot.valToPos(0, "y", true);
            counts.forEach((rows, bin) => {
              const [left, right] = [bin, bin + 1].map((edge) => plot.valToPos(low + edge * width, "x", true)) as [number, number];
              const top = plot.valToPos(rows, "y", true);
              const gap = Math.min(1.5 * density(), (right - left) / 5);
              if (rows > 0) fill.rect(left + gap / 2, Math.min(top, floor - density()), right - left - gap, Math.max(floor - top, density()));
            });
            return { stroke: null, fill } as unknown as uPlot.Series.Paths;
          },
        },
      ],
      cursor: { show: false },
    },
    [counts.map((_, bin) => low + (bin + 0.5) * width), counts],
  ]).host;
}

/** Quantiles 5, 25, 50, 75, 95 %: the outer ones bound a pale band and the next ones a stronger one, about a line. */
export function bandChart(spec: { label: string; x: number[]; x_side: Side; y_side: Side; quantiles: Maybe[][]; colour: string; height?: number }): HTMLElement {
  const [first, last] = [spec.x[0] ?? 0, spec.x.at(-1) ?? 1];
  const range = span(spec.quantiles.flat());
  // What is drawn later lies above: the outer band, the inner one, the line.
  const [q5, q25, q50, q75, q95] = spec.quantiles;
  const data = [spec.x, q95, q5, q75, q25, q50] as uPlot.AlignedData;
  return new Chart(spec.label, spec.height ?? 170, "third", () => {
    const edge = () => ({ stroke: "transparent", width: 0, points: { show: false } });
    return [
      {
        ...frame(spec.x_side, spec.y_side, 1),
        scales: { x: { time: false, range: [first, last] }, y: { range } },
        series: [{}, edge(), edge(), edge(), edge(), { stroke: colour(spec.colour), width: 2 * fineness(), points: { show: false } }],
        bands: [
          { series: [1, 2], fill: colour(`${spec.colour}-pale`) },
          { series: [3, 4], fill: colour(`${spec.colour}-middle`) },
        ],
        cursor: { show: false },
      },
      data,
    ];
  }).host;
}
