/** Numbers as a person reads them: 4 significant digits, shares in percent, a true minus. */
import type { Difference, Maybe, Metric } from "./schema";

export const MISSING = "–";
const SPACE = "\u00a0";

/** With commas between thousands: 153,597. */
function grouped(digits: string): string {
  const [whole = "", fraction] = digits.split(".");
  const commas = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return fraction === undefined ? commas : `${commas}.${fraction}`;
}

function fixed(value: number, decimals: number): string {
  const digits = Math.abs(value).toFixed(decimals);
  return (value < 0 && Number(digits) !== 0 ? "−" : "") + grouped(digits);
}

function trimmed(text: string): string {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** Whole numbers in full. */
export function count(value: number): string {
  return fixed(value, 0);
}

export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** To `digits` significant digits, trailing zeros left out unless they stand beside others; 3.2 × 10⁻⁵ where zeros would have to be counted. */
export function number(value: Maybe, digits = 4, with_zeros = false): string {
  if (value === null || !Number.isFinite(value)) return MISSING;
  if (value === 0) return "0";
  const size = Math.abs(value);
  const trim = with_zeros ? (text: string) => text : trimmed;
  if (size >= 1e-4 && size < 1e7) {
    return trim(fixed(value, Math.min(20, Math.max(0, digits - 1 - Math.floor(Math.log10(size))))));
  }
  const [mantissa = "", exponent = ""] = size.toExponential(Math.max(0, digits - 2)).split("e");
  const raised = [...exponent.replace("+", "")].map((c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(c)])).join("");
  const factor = trim(mantissa) === "1" ? "" : `${trim(mantissa)}${SPACE}×${SPACE}`;
  return `${value < 0 ? "−" : ""}${factor}10${raised}`;
}

/** The text of a cell, a fraction of more than 6 significant digits rounded to these; whole numbers may be names. */
export function brief(text: string): string {
  const digits = /^[-+]?[0.]*(\d*\.?\d*)(e[-+]?\d+)?$/i.exec(text)?.[1]?.replace(".", "") ?? "";
  return digits.length > 6 && /[.e]/i.test(text) && Number.isFinite(Number(text)) ? number(Number(text), 6) : text;
}

/** A share in percent. What is not quite all is never rounded to 100 %, what is not quite none never to 0 %. */
export function percent(value: Maybe, decimals = 1): string {
  if (value === null || !Number.isFinite(value)) return MISSING;
  if (value === 0 || value === 1) return `${value * 100}${SPACE}%`;
  if (value > 0 && value < 1) {
    while (decimals < 4 && Number((value * 100).toFixed(decimals)) >= 100) decimals += 1;
    if (Number((value * 100).toFixed(decimals)) >= 100) return `>${SPACE}99.99${SPACE}%`;
    if (Number((value * 100).toFixed(decimals)) === 0) return `<${SPACE}${fixed(10 ** -decimals, decimals)}${SPACE}%`;
  }
  return `${fixed(value * 100, decimals)}${SPACE}%`;
}

/** Decimals of a percentage that its interval can bear: 1, or 2 where the interval is narrower than 2 points. */
function bearable(low: Maybe, high: Maybe): number {
  return low !== null && high !== null && high - low < 0.02 ? 2 : 1;
}

type Measured = Pick<Metric, "value" | "low" | "high" | "is_share" | "unit">;

/** 98.3 %, 0.0612 nats. */
export function measured(metric: Measured, value: Maybe = metric.value): string {
  if (metric.is_share) return percent(value, bearable(metric.low, metric.high));
  return withUnit(number(value, 4, true), metric.unit);
}

export function withUnit(text: string, unit: string): string {
  return unit && text !== MISSING ? `${text}${SPACE}${unit}` : text;
}

/** Both ends in as few digits, from three on, as tell them apart. */
function ends(low: number, high: number): string {
  let digits = 3;
  while (digits < 8 && low !== high && number(low, digits, true) === number(high, digits, true)) digits += 1;
  return `${number(low, digits, true)} to ${number(high, digits, true)}`;
}

/** The 95 % interval of a metric: 96.1 to 99.2 %; null where there is none. */
export function interval(metric: Measured): string | null {
  if (metric.low === null || metric.high === null) return null;
  if (!metric.is_share) return ends(metric.low, metric.high);
  const decimals = bearable(metric.low, metric.high);
  return `${fixed(metric.low * 100, decimals)} to ${fixed(metric.high * 100, decimals)}${SPACE}%`;
}

/** A difference with its sign; of shares in percentage points. */
export function signed(value: Maybe, is_share: boolean, decimals = 1): string {
  if (value === null || !Number.isFinite(value)) return MISSING;
  const text = is_share ? fixed(value * 100, decimals) : number(value, 3, true);
  return value > 0 ? `+${text}` : text;
}

/** +8.1 points, and its interval: +5.9 to +10.3. */
export function change(difference: Difference): { value: string; interval: string | null } {
  const { value, low, high, is_share } = difference;
  const decimals = bearable(low, high);
  return {
    value: withUnit(signed(value, is_share, decimals), is_share ? "points" : ""),
    interval: low === null || high === null ? null : `${signed(low, is_share, decimals)} to ${signed(high, is_share, decimals)}`,
  };
}

/** What a difference comes to in a word. */
export function verdict(difference: Difference): { text: string; kind: "noise" | "better" | "worse" } {
  if (difference.is_noise || difference.value === null || difference.value === 0) return { text: "inside the noise", kind: "noise" };
  return (difference.value > 0) === (difference.better === "higher") ? { text: "better", kind: "better" } : { text: "worse", kind: "worse" };
}

/** 3.91 s, 2 min 5 s, 1 h 3 min. */
export function duration(seconds: number): string {
  if (seconds < 60) return `${number(seconds, 3)}${SPACE}s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)}${SPACE}min ${whole % 60}${SPACE}s`;
  return `${count(Math.floor(whole / 3600))}${SPACE}h ${Math.floor((whole % 3600) / 60)}${SPACE}min`;
}

/** The number at a tick of an axis whose ticks are `step` apart. */
export function tick(value: number, step: number): string {
  if (Math.abs(value) >= 1e7 || step < 1e-4) return number(value, 3);
  let decimals = 0;
  while (decimals < 6 && Math.abs(step * 10 ** decimals - Math.round(step * 10 ** decimals)) > 1e-6) decimals += 1;
  return fixed(value, decimals);
}
