/** Elements of the page. Text is always set as text: names of files, classes and columns may hold anything. */

import { short } from "./names";

export type Child = Node | string | null;
type Attributes = Record<string, string | number | boolean | null>;
/** Of a section's heading: 2 under the page's title, deeper inside of a comparison's run. */
export type Level = number;

/** A new element. An attribute that begins with `--` is a CSS variable; one that is null or false is left out. */
export function el<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Attributes = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === false) continue;
    if (name.startsWith("--")) element.style.setProperty(name, String(value));
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

export function heading(level: Level, text: string, attributes: Attributes = {}): HTMLElement {
  return el(`h${Math.min(6, level)}` as "h6", attributes, text);
}

/** A part of the page; null where all its children are. */
export function section(level: Level, title: string, lead: string | null, ...children: Child[]): HTMLElement | null {
  if (children.every((child) => child === null)) return null;
  return el("section", {}, heading(level, title, { class: "section" }), lead ? el("p", { class: "lead" }, lead) : null, ...children);
}

/** Something to look at under its title, with a sentence that says what to see. */
export function figure(level: Level, title: string, caption: string, ...children: Child[]): HTMLElement {
  return el("figure", {}, heading(level, title), ...children, el("figcaption", {}, caption));
}

export function figures(...children: Child[]): HTMLElement | null {
  return children.every((child) => child === null) ? null : el("div", { class: "figures" }, ...children);
}

/** What is shown on request. Paper shows all but folded runs; a page that is drawn again keeps open what was open under `key`. */
export function details(key: string, summary: Child, ...children: Child[]): HTMLElement {
  return el("details", { "data-key": key }, el("summary", {}, summary), ...children);
}

/** A box that scrolls by itself where the page is too narrow for what it holds. */
export function scroller(label: string, child: Node): HTMLElement {
  return el("div", { class: "scroller", role: "group", tabindex: 0, "aria-label": label }, child);
}

export interface Column { name: string; is_number?: boolean }

/** A table whose first column names the rows. */
export function table(label: string, columns: Column[], rows: Child[][]): HTMLElement {
  const kind = (index: number) => (columns[index]?.is_number ? "number" : null);
  const head = columns.map((column, index) => el("th", { scope: "col", class: kind(index) }, column.name));
  const body = rows.map((row) =>
    el("tr", {}, ...row.map((cell, index) => (index === 0 ? el("th", { scope: "row" }, cell) : el("td", { class: kind(index) }, cell)))),
  );
  return scroller(label, el("table", {}, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...body)));
}

/** A name, or how it is `written`, that fits where room is short: the whole is in the title. Its lines may break after each _. */
export function shortened(name: string, most: number, written = name): HTMLElement {
  const text = short(written, most);
  return el("span", { title: text === name ? null : name }, ...text.split(/(?<=_)/).flatMap((part, index) => (index ? [el("wbr"), part] : [part])));
}

/** A bar of a share from 0 to 1, drawn behind nothing: for the eye alone. */
export function bar(share: number): HTMLElement {
  return el("span", { class: "bar", "aria-hidden": "true", "--share": Math.min(1, Math.max(0, share)) });
}
