/** What is measured on an opened page. These run inside of the browser; each returns a list of faults, in words. */

/** The page must not be wider than its window. */
export function overflow() {
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth <= clientWidth) return [];
  const widest = [...document.body.querySelectorAll("*")].filter((each) => each.getBoundingClientRect().right > clientWidth + 1);
  const names = widest.slice(0, 3).map((each) => `${each.tagName.toLowerCase()}.${each.className}`);
  return [`overflow: ${scrollWidth} px wide in ${clientWidth} px: ${names.join(", ")}`];
}

/** Nobody scrolls through more than this, whatever names and cells are like. */
export function tall() {
  const { scrollHeight } = document.documentElement;
  return scrollHeight > 25000 ? [`tall: ${scrollHeight} px`] : [];
}

/** Runs that nobody unfolded stay folded on paper. */
export function folded() {
  return document.querySelector("details[open] > .run") ? ["unfolded: a run that nobody asked for"] : [];
}

/** No text may lie on other text. */
export function overlap() {
  const boxes = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    const parent = node.parentElement;
    if (!node.textContent.trim() || !parent.checkVisibility() || parent.closest("script, style, noscript, .chart")) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    let clip = { left: -Infinity, right: Infinity, top: -Infinity, bottom: Infinity };
    for (let box = parent; box; box = box.parentElement) {
      if (box === document.body || getComputedStyle(box).overflowX === "visible") continue;
      const { left, right, top, bottom } = box.getBoundingClientRect();
      clip = { left: Math.max(clip.left, left), right: Math.min(clip.right, right), top: Math.max(clip.top, top), bottom: Math.min(clip.bottom, bottom) };
    }
    for (const rect of range.getClientRects()) {
      const box = { left: Math.max(rect.left, clip.left), right: Math.min(rect.right, clip.right), top: Math.max(rect.top, clip.top), bottom: Math.min(rect.bottom, clip.bottom), node };
      if (box.right - box.left > 1 && box.bottom - box.top > 1) boxes.push(box);
    }
  }
  boxes.sort((a, b) => a.top - b.top);
  const faults = [];
  for (let i = 0; i < boxes.length; i += 1) {
    for (let j = i + 1; j < boxes.length && boxes[j].top < boxes[i].bottom; j += 1) {
      const [a, b] = [boxes[i], boxes[j]];
      if (a.node === b.node) continue;
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const down = Math.min(a.bottom, b.bottom) - b.top;
      // Boxes of letters are taller than lines: neighbours in one column may touch.
      if (across > 2 && down > 0.3 * Math.min(a.bottom - a.top, b.bottom - b.top)) faults.push(`overlap: "${a.node.textContent.trim().slice(0, 40)}" and "${b.node.textContent.trim().slice(0, 40)}"`);
    }
  }
  return faults.slice(0, 5);
}

/** Where overflow is hidden, nothing may be cut off. */
export function cut() {
  const hiding = [...document.body.querySelectorAll("*")].filter((each) => /hidden|clip/.test(getComputedStyle(each).overflowX) && each.clientWidth > 0);
  return hiding.filter((each) => each.scrollWidth > each.clientWidth + 1).map((each) => `cut off: ${each.className}, ${each.scrollWidth} px in ${each.clientWidth} px`).slice(0, 5);
}

/** Every chart that can be seen has something drawn in colour, every other canvas something at all. */
export function blank() {
  const isDrawn = (canvas, isColourful) => {
    if (!canvas.width || !canvas.height) return false;
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
    for (let i = 0; i < data.length; i += 4) {
      if (data[i + 3] > 40 && (!isColourful || Math.max(data[i], data[i + 1], data[i + 2]) - Math.min(data[i], data[i + 1], data[i + 2]) > 30)) return true;
    }
    return false;
  };
  const faults = [];
  for (const host of document.querySelectorAll(".chart")) {
    const canvas = host.querySelector("canvas");
    if (!canvas || !isDrawn(canvas, true)) faults.push(`blank: ${host.getAttribute("aria-label").slice(0, 60)}`);
    else if (canvas.getBoundingClientRect().width > host.getBoundingClientRect().width + 1) faults.push(`canvas wider than its place: ${host.getAttribute("aria-label").slice(0, 60)}`);
  }
  for (const canvas of document.querySelectorAll("canvas.pixels")) if (!isDrawn(canvas, false)) faults.push(`blank: ${canvas.getAttribute("aria-label").slice(0, 60)}`);
  return faults.slice(0, 5);
}

/** The colour that covers the most of each chart, but for what is clear. */
export function inks() {
  return [...document.querySelectorAll(".chart canvas")].map((canvas) => {
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
    const counts = new Map();
    for (let i = 0; i < data.length; i += 4) {
      const colour = data[i + 3] > 250 ? `${data[i]},${data[i + 1]},${data[i + 2]}` : "";
      if (colour) counts.set(colour, (counts.get(colour) ?? 0) + 1);
    }
    return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0];
  });
}

/** What a person does: unfold, hide a line, copy; and what the live page does: show again. */
export async function use() {
  const faults = [];
  const frames = () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  const line = document.querySelector(".legend button");
  if (line) {
    line.click();
    if (line.getAttribute("aria-pressed") !== "false") faults.push("use: a legend's button hides nothing");
    line.click();
  }
  const copy = document.querySelector(".copy");
  if (copy) {
    copy.click();
    await new Promise((resolve) => setTimeout(resolve, 200));
    if (!/Copied|Marked/.test(copy.closest(".group").querySelector(".said").textContent)) faults.push("use: the copy button does nothing");
  }
  const element = document.getElementById("page");
  const state = () => ["canvas", "details[open]", ".chart", "section"].map((what) => element.querySelectorAll(what).length).join();
  const before = state();
  window.schuss.show(JSON.parse(document.getElementById("report").textContent), element);
  await frames();
  await frames();
  if (state() !== before) faults.push(`use: shown again, the page has ${state()} of what was ${before}`);
  return faults;
}
