/** Where the time went, and how much of the machine was used. */
import { bar, el, figure, figures, section, type Level } from "../elements";
import { count, counted, duration, number, percent, withUnit } from "../numbers";
import type { Run, Speed } from "../schema";

export function speed(run: Run, level: Level): HTMLElement | null {
  const { speed } = run;
  if (!speed) return null;
  return section(level, "Where the time went", null, figures(time(speed, level), rate(speed, level)));
}

function time({ time, seconds, steps }: Speed, level: Level): HTMLElement | null {
  const shares = time.filter(([, share]) => share > 0);
  if (shares.length === 0) return null;
  const hue = (index: number) => `var(--hue-${(index % 12) + 1})`;
  const stack = el("div", { class: "stack", "aria-hidden": "true" }, ...shares.map(([, share], index) => el("span", { "--share": share, "--hue": hue(index) })));
  const labels = shares.map(([name, share], index) =>
    el("li", {}, el("span", { class: "swatch area", "--line": hue(index) }), el("span", { class: "name" }, name), el("span", { class: "value" }, percent(share))),
  );
  const caption = `${counted(steps, "step")} took ${duration(seconds)}: the widest part is where a faster machine or another setting would help most.`;
  return figure(level + 1, "Time of the steps", caption, stack, el("ul", { class: "shares" }, ...labels));
}

function rate(speed: Speed, level: Level): HTMLElement {
  const facts: [string, string | null][] = [
    ["Examples", speed.examples_per_s === null ? null : withUnit(count(speed.examples_per_s), "a second")],
    ["Arithmetic", speed.gflops === null ? null : withUnit(number(speed.gflops, 3), "GFLOP/s")],
    ["Peak of the machine", speed.peak_gflops === null ? null : withUnit(number(speed.peak_gflops, 3), "GFLOP/s")],
    ["Left out as zero", speed.left_out === null ? null : `${percent(speed.left_out)} of the operations`],
    ["Machine", speed.machine || null],
  ];
  const list = facts.flatMap(([label, value]) => (value === null ? [] : [el("div", {}, el("dt", {}, label), el("dd", {}, value))]));
  const share = speed.share_of_peak;
  const meter = share === null ? null : el("p", { class: "meter" }, bar(share), el("span", {}, `${percent(share)} of the peak`));
  const caption = share === null ? "How fast the steps were." : "The bar is the share of what the processor's arithmetic could do at best; small networks and waiting for memory keep it below.";
  return figure(level + 1, "How fast", caption, meter, el("dl", { class: "facts" }, ...list));
}
