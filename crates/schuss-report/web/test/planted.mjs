/** Faults planted into a sound report; look.mjs must find each. The page's policy is taken out, or it would stop some itself. */

const free = (html) => html.replace(/<meta http-equiv="Content-Security-Policy"[^>]*>/, "");
const style = (rules) => (html) => free(html).replace("</head>", () => `<style>${rules}</style></head>`);
const body = (markup) => (html) => free(html).replace("<noscript>", () => `${markup}<noscript>`);
const script = (code) => body(`<script>${code}</script>`);

export const faults = [
  { name: "pale text", plant: style(".lead { color: #c8c8c8 !important; }"), finds: /^axe: color-contrast/ },
  { name: "a picture from elsewhere", plant: body('<img alt="" src="http://127.0.0.1:9/x.png">'), finds: /^request: http/ },
  { name: "the same, stopped by the policy", plant: (html) => html.replace("<noscript>", () => '<img alt="" src="http://127.0.0.1:9/x.png"><noscript>'), finds: /^console: .*Content Security Policy/ },
  { name: "a wide box", plant: body('<div style="width: 500px">wide</div>'), finds: /^overflow/, view: "390-light" },
  { name: "a wide box on paper", plant: style(".scroller table { width: 900px !important; }"), finds: /^overflow/, view: "print" },
  { name: "a tall page", plant: style("section { min-height: 9000px; }"), finds: /^tall/ },
  { name: "a run unfolded on paper", plant: body('<details open><summary>a</summary><div class="run">b</div></details>'), finds: /^unfolded/, view: "print" },
  { name: "text on text", plant: style("h2 { margin-bottom: -1.6rem !important; }"), finds: /^overlap/ },
  { name: "text cut off", plant: style(".card { overflow: hidden; } .card .figure { white-space: nowrap; width: 400px; }"), finds: /^cut off/, view: "390-light" },
  { name: "an empty chart", plant: script('addEventListener("load", () => setTimeout(() => { const c = document.querySelector(".chart canvas"); c.width = c.width; }, 60));'), finds: /^blank/ },
  { name: "a chart never drawn", plant: (html) => free(html).replace("<head>", () => "<head><script>ResizeObserver = class { observe() {} unobserve() {} };</script>"), finds: /^blank/ },
  { name: "charts that keep their colours", plant: (html) => free(html).replace("<head>", () => "<head><script>const match = matchMedia; matchMedia = (query) => (query.includes('dark') ? { addEventListener() {} } : match(query));</script>"), finds: /^turned: a chart kept/ },
  { name: "an error", plant: script('throw new Error("planted");'), finds: /^error: planted/ },
  { name: "a warning", plant: script('console.warn("planted");'), finds: /^console: planted/ },
  { name: "a picture without words", plant: body('<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">'), finds: /^axe: image-alt/ },
  { name: "a heading out of order", plant: body("<h6>planted</h6>"), finds: /^axe: heading-order/ },
  { name: "a slow page", plant: script("(() => { let sum = 0; for (let i = 0; i < 5e8; i += 1) sum += Math.sqrt(i % 7); return sum; })();"), finds: /^slow/ },
  { name: "a large file", plant: (html) => html + " ".repeat(3e6), finds: /^large/ },
  { name: "a dialog", plant: script("setTimeout(() => alert(1));"), finds: /^dialog/ },
];
