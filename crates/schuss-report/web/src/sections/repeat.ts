/** How to repeat the run: the command, every setting, and the hash that tells whether it came out the same. */
import { el, heading, section, type Level } from "../elements";
import type { Run, Setting } from "../schema";

export function repeat(run: Run, level: Level): HTMLElement | null {
  return section(level, "How to repeat it", null, command(run.command, level), hash(run.weights_sha256, level), settings(run.settings, level));
}

export function command(text: string, level: Level): HTMLElement | null {
  if (!text) return null;
  const code = el("code", {}, ...text.split(" ").flatMap((word, index) => [index ? " " : "", el("span", { class: "word" }, word)]));
  const button = el("button", { type: "button", class: "copy" }, "Copy");
  const said = el("span", { class: "said", role: "status" });
  button.addEventListener("click", () => void copy(text, code).then((words) => { said.textContent = words; }));
  return el("div", { class: "group" }, heading(level + 1, "Command"), el("div", { class: "command" }, el("pre", {}, code), button), said);
}

/** Copies where the browser lets a page do so, a file's too; else the text is marked, for the keyboard to copy. */
async function copy(text: string, code: HTMLElement): Promise<string> {
  try {
    await navigator.clipboard.writeText(text);
    return "Copied.";
  } catch {
    getSelection()?.selectAllChildren(code);
    return document.execCommand("copy") ? "Copied." : "Marked: copy it with Ctrl+C or ⌘C.";
  }
}

function hash(text: string, level: Level): HTMLElement | null {
  if (!text) return null;
  return el("div", { class: "group" }, heading(level + 1, "SHA-256 of the weights"), el("p", { class: "hash" }, el("code", {}, text)), el("p", { class: "caption" }, "The same command on the same level of the instruction set ends with this hash."));
}

function settings(all: Setting[], level: Level): HTMLElement | null {
  if (all.length === 0) return null;
  const asked = all.filter((setting) => setting.is_asked).length;
  const list = el(
    "dl",
    { class: "settings" },
    ...all.map(({ name, value, is_asked }) =>
      el("div", {}, el("dt", {}, name), el("dd", {}, value || "–", is_asked ? el("span", { class: "badge asked" }, "asked for") : null)),
    ),
  );
  const some = asked ? `${asked} ${asked === 1 ? "was" : "were"} asked for; schuss chose the others to fit the data, or they are so unless one asks.` : "None was asked for: schuss chose them to fit the data, or they are so unless one asks.";
  const note = el("p", { class: "caption" }, some);
  return el("div", { class: "group" }, heading(level + 1, "Settings"), list, note);
}
