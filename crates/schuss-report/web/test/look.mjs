/**
 * Looks at reports with a browser, on a laptop, a phone and paper, light and dark; see README.md.
 *
 * node test/look.mjs [--shots FOLDER] [--only NAME] [FILE...]
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";
import * as checks from "./checks.mjs";
import { reports } from "./fixtures.mjs";
import { faults as plantedFaults } from "./planted.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const TEMPLATE = readFileSync(new URL("../dist/report.html", import.meta.url), "utf8");
const MARKER = '<script type="application/json" id="report">null</script>';

const MOST_BYTES = 3e6;
const MOST_TEMPLATE_BYTES = 150e3;
const MOST_SECONDS = 1;

/** A4 within its margins is 688 CSS pixels wide. */
const VIEWS = [
  { name: "1280-light", width: 1280, height: 900, colorScheme: "light" },
  { name: "1280-dark", width: 1280, height: 900, colorScheme: "dark" },
  { name: "390-light", width: 390, height: 844, colorScheme: "light", hasTouch: true },
  { name: "390-dark", width: 390, height: 844, colorScheme: "dark", hasTouch: true },
  { name: "print", width: 688, height: 971, colorScheme: "dark", isPrint: true },
];

/** The file that the Rust side would write. */
function filled(report) {
  return TEMPLATE.replace(MARKER, () => MARKER.replace("null", () => JSON.stringify(report).replaceAll("<", "\\u003c")));
}

const frames = () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(resolve, 50))));

/** All faults of the file in one view. */
async function look(browser, file, view, shot) {
  const faults = [];
  const { width, height, colorScheme, hasTouch = false, isPrint = false } = view;
  const context = await browser.newContext({ viewport: { width, height }, colorScheme, hasTouch });
  const page = await context.newPage();
  const address = pathToFileURL(file).href;
  page.on("console", (message) => { if (["error", "warning"].includes(message.type())) faults.push(`console: ${message.text()}`); });
  page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
  page.on("dialog", (dialog) => { faults.push(`dialog: ${dialog.message()}`); void dialog.dismiss(); });
  page.on("request", (request) => { if (request.url() !== address && !request.url().startsWith("data:")) faults.push(`request: ${request.url()}`); });

  // The time of the page's own thread counts: what else the machine does is not the page's fault.
  const session = await context.newCDPSession(page);
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  await page.goto(address, { waitUntil: "domcontentloaded", timeout: 120e3 });
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve))));
  const { metrics } = await session.send("Performance.getMetrics");
  const seconds = metrics.find(({ name }) => name === "TaskDuration").value;
  if (seconds > MOST_SECONDS) faults.push(`slow: ${seconds.toFixed(2)} s until it is drawn`);
  if (isPrint) await page.emulateMedia({ media: "print" });
  await page.evaluate(frames);
  for (const check of [checks.tall, checks.folded]) faults.push(...(await page.evaluate(check)));
  if (shot) {
    await page.screenshot({ path: `${shot}.png`, fullPage: true });
    if (isPrint) {
      await page.emulateMedia({ media: null });
      await page.pdf({ path: `${shot}.pdf`, preferCSSPageSize: false, format: "A4" });
      await page.emulateMedia({ media: "print" });
    }
  }
  await page.evaluate(() => document.querySelectorAll("details").forEach((each) => { each.open = true; }));
  await page.evaluate(frames);
  for (const check of [checks.overflow, checks.overlap, checks.cut, checks.blank]) faults.push(...(await page.evaluate(check)));
  if (!isPrint) {
    await page.evaluate(AXE);
    const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    for (const { id, impact, nodes } of violations) {
      if (["serious", "critical"].includes(impact) || id === "heading-order") faults.push(`axe: ${id} (${impact}), ${nodes.length} times: ${nodes[0].html.slice(0, 120)}`);
    }
    faults.push(...(await page.evaluate(checks.use)));

    // The window turned and the lights switched: everything is drawn again.
    const colours = () => page.evaluate(checks.inks);
    const before = await colours();
    await page.setViewportSize({ width: width === 390 ? 1280 : 390, height });
    await page.emulateMedia({ colorScheme: colorScheme === "dark" ? "light" : "dark" });
    await page.evaluate(frames);
    for (const check of [checks.overflow, checks.blank]) faults.push(...(await page.evaluate(check)).map((fault) => `turned: ${fault}`));
    const after = await colours();
    if (before.some((ink, index) => ink === after[index])) faults.push("turned: a chart kept the colours of the other scheme");
  }
  await context.close();
  return { faults, seconds };
}

function weigh(file, most) {
  const { size } = statSync(file);
  return size > most ? [`large: ${size} bytes, at most ${most}`] : [];
}

const { values, positionals } = parseArgs({ allowPositionals: true, options: { shots: { type: "string" }, only: { type: "string" } } });
const shots = values.shots && resolve(values.shots);
if (shots) mkdirSync(shots, { recursive: true });
const folder = mkdtempSync(join(tmpdir(), "look-"));
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
let [passed, failed] = [0, 0];

function tell(name, faults, note = "") {
  if (faults.length) failed += 1;
  else passed += 1;
  console.log(`${faults.length ? "FAULT" : "ok   "} ${name}${note}`);
  for (const fault of new Set(faults)) console.log(`      ${fault}`);
}

try {
  if (TEMPLATE.split(MARKER).length !== 2) throw new Error("dist/report.html: expected the marker once");
  tell("template's size", weigh(new URL("../dist/report.html", import.meta.url), MOST_TEMPLATE_BYTES), ` ${TEMPLATE.length} bytes`);

  const files = positionals.map((file) => ({ name: basename(file, ".html"), file: resolve(file) }));
  const all = reports();
  if (!files.length) {
    for (const [name, report] of Object.entries(all)) {
      if (values.only && !name.includes(values.only)) continue;
      const file = join(folder, `${name}.html`);
      writeFileSync(file, filled(report));
      files.push({ name, file });
    }
  }
  for (const { name, file } of files) {
    tell(`${name} size`, weigh(file, MOST_BYTES), ` ${statSync(file).size} bytes`);
    for (const view of VIEWS) {
      const { faults, seconds } = await look(browser, file, view, shots && join(shots, `${name}-${view.name}`));
      tell(`${name} ${view.name}`, faults, ` ${seconds.toFixed(2)} s`);
    }
  }

  // Each planted fault must be found, or this gate is none.
  if (!positionals.length) {
    const sound = filled(all.binary);
    for (const { name, plant, finds, view = "1280-light" } of plantedFaults) {
      if (values.only && !`planted: ${name}`.includes(values.only)) continue;
      const file = join(folder, "planted.html");
      writeFileSync(file, plant(sound));
      const { faults } = await look(browser, file, VIEWS.find((each) => each.name === view), null);
      faults.push(...weigh(file, MOST_BYTES));
      tell(`planted: ${name}`, faults.some((fault) => finds.test(fault)) ? [] : [`not found; found: ${faults.join(" | ") || "nothing"}`]);
    }
  }
} finally {
  await browser.close();
  rmSync(folder, { recursive: true, force: true });
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
