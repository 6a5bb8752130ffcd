/** The page's door: draws the report that is written into the file, and leaves `schuss.show` for newer ones. */
import { show } from "./page";
import type { Report } from "./schema";

declare global {
  interface Window { schuss: { show: typeof show } }
}
window.schuss = { show };

const report = JSON.parse(document.getElementById("report")?.textContent ?? "null") as Report | null;
const page = document.getElementById("page");
if (report && page) show(report, page);
