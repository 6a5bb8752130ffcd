/** When canvases are drawn: at first sight, and again for another size, colour scheme or paper. */

/** How much of the page's width a drawing takes at most. */
export type Span = "whole" | "half" | "third";

/** Widths on paper in CSS pixels, for these no layout can be asked while a page is being printed. style.css has the same. */
const PAPER: Record<Span, number> = { whole: 660, half: 318, third: 204 };

const drawings = new Map<Element, { draw: () => void; end: () => void }>();
/** As they were last seen: to ask for them between two drawings would lay out the page each time. */
const widths = new WeakMap<Element, number>();
const sizes = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) widths.set(target, contentRect.width);
  for (const { target } of entries) drawings.get(target)?.draw();
});
const colours = new Map<string, string>();
let is_printing = false;

/** Calls `draw` whenever what is in `host` has to be drawn, and `end` when it is taken off the page. */
export function drawn(host: Element, draw: () => void, end = () => {}): void {
  drawings.set(host, { draw, end });
  sizes.observe(host);
}

/** Lets go of all drawings in `root`. */
export function forget(root: Element): void {
  for (const [host, { end }] of drawings) {
    if (!root.contains(host)) continue;
    end();
    drawings.delete(host);
    sizes.unobserve(host);
  }
}

export function isPrinting(): boolean {
  return is_printing;
}

/** The width to draw at; 0 while nobody can see it. */
export function widthOf(host: Element, span: Span): number {
  return is_printing ? PAPER[span] : Math.floor(widths.get(host) ?? 0);
}

/** How many times larger than it is shown a chart is drawn: paper is finer than many screens. */
export function fineness(): number {
  return is_printing && devicePixelRatio < 2 ? 2 : 1;
}

/** Pixels of a canvas for a CSS pixel of the page. */
export function density(): number {
  return devicePixelRatio * fineness();
}

/** A colour of style.css by the name of its variable. */
export function colour(name: string): string {
  let value = colours.get(name);
  if (value === undefined) {
    value = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    colours.set(name, value);
  }
  return value;
}

function drawAll(): void {
  colours.clear();
  for (const { draw } of drawings.values()) draw();
}

let closed: HTMLDetailsElement[] = [];

/** Paper is light, has its own widths, and shows what is folded, but for whole runs. */
function print(is_start: boolean): void {
  if (is_start === is_printing) return;
  is_printing = is_start;
  document.documentElement.toggleAttribute("data-print", is_start);
  if (is_start) closed = [...document.querySelectorAll<HTMLDetailsElement>("details:not([open], :has(> .run))")];
  for (const each of closed) each.open = is_start;
  drawAll();
}

addEventListener("beforeprint", () => print(true));
addEventListener("afterprint", () => print(false));
matchMedia("print").addEventListener("change", (media) => print(media.matches));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
