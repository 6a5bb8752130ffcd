/** Precision, recall, F1 and ROC AUC of each class. */
import { bar, details, el, figure, shortened, table, type Child, type Level } from "../elements";
import { count, number, percent } from "../numbers";
import type { ClassRow, Evaluation, Maybe } from "../schema";

/** More classes than these are folded, the worst ten before them. */
const MOST = 20;
const WORST = 10;

const columns = (evaluation: Evaluation) => [
  { name: "class" },
  { name: evaluation.is_weighted ? "weight" : "rows", is_number: true },
  { name: "precision", is_number: true },
  { name: "recall", is_number: true },
  { name: "F1", is_number: true },
  { name: "ROC AUC", is_number: true },
];

export function classes(evaluation: Evaluation, level: Level, key: string): HTMLElement | null {
  const all = evaluation.classes;
  if (!all || all.length === 0) return null;
  const meaning = "Precision: of the rows given this class, how many are of it. Recall: of the rows of this class, how many were found. F1 is their harmonic mean.";
  if (all.length <= MOST) return figure(level + 1, "Class by class", meaning, classTable("Class by class", evaluation, all));
  const worst = [...all].sort((a, b) => (a.f1 ?? -1) - (b.f1 ?? -1)).slice(0, WORST);
  return figure(
    level + 1,
    "The weakest classes",
    meaning,
    classTable("The weakest classes", evaluation, worst),
    details(`${key}/classes`, `All ${all.length} classes`, classTable("All classes", evaluation, all)),
  );
}

function classTable(label: string, evaluation: Evaluation, rows: ClassRow[]): HTMLElement {
  return table(label, columns(evaluation), rows.map((row): Child[] => [shortened(row.name, 28), count(row.rows), share(row.precision), share(row.recall), share(row.f1), number(row.roc_auc, 4, true)]));
}

function share(value: Maybe): Child {
  return el("span", { class: "barred" }, value === null ? null : bar(value), percent(value));
}
