// The unit in which frequencies are shown, kept in the link; everything stored is in THz.
import type { Site } from "./data";

export const STORED = "THz";
let known: Site["units"] = { [STORED]: { text: STORED, per_terahertz: 1 } };
let chosen = STORED;

export function learnUnits(site: Site): string[] {
  known = site.units;
  return Object.keys(known);
}

export function chooseUnit(name: string | null): string {
  chosen = name !== null && name in known ? name : STORED;
  return chosen;
}

// Factor of a stored number, by its stored unit: "THz", "THz Å", "ħ/THz", or one without frequency.
export function scale(dimension: string): number {
  const factor = known[chosen].per_terahertz;
  return dimension.includes(`/${STORED}`) ? 1 / factor : dimension.includes(STORED) ? factor : 1;
}

export function told(dimension: string): string {
  return dimension.replace(STORED, known[chosen].text);
}

export function scaled(content: unknown, dimension: string): unknown {
  if (Array.isArray(content)) return content.map((part) => scaled(part, dimension));
  return typeof content === "number" ? content * scale(dimension) : content;
}

// A link inside the site, with the unit in it.
export function link(hash: string): string {
  if (chosen === STORED) return hash;
  return `${hash}${hash.includes("?") ? "&" : "?"}unit=${encodeURIComponent(chosen)}`;
}
