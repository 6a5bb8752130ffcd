/** Names where only text can stand. */

/** The parts of the rows, in the order of an epoch's values. */
export const PARTS = ["training", "validation", "test"] as const;

/** The beginning and the end of a name that is longer than `most` characters. */
export function short(name: string, most: number): string {
  const characters = [...name];
  if (characters.length <= most) return name;
  const tail = Math.floor((most - 1) / 3);
  return `${characters.slice(0, most - 1 - tail).join("")}…${characters.slice(characters.length - tail).join("")}`;
}

/** a, b and c */
export function listed(names: string[]): string {
  return names.length < 2 ? names.join() : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
