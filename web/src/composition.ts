// Formulas, element systems and symbols that a reader types.

// Rows of the periodic table; a dot is an empty place.
export const PERIODIC = [
  "H . . . . . . . . . . . . . . . . He",
  "Li Be . . . . . . . . . . B C N O F Ne",
  "Na Mg . . . . . . . . . . Al Si P S Cl Ar",
  "K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr",
  "Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe",
  "Cs Ba La Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn",
  "Fr Ra Ac Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og",
  ". . . Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu .",
  ". . . Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr .",
].map((row) => row.split(" "));

const SYMBOLS = new Set(PERIODIC.flat().filter((symbol) => symbol !== "."));

// "si, O xx": the symbols Si and O, and xx, which is none.
export function parseSymbols(text: string): { symbols: string[]; unknown: string[] } {
  const symbols: string[] = [];
  const unknown: string[] = [];
  for (const part of text.split(/[\s,;-]+/).filter((word) => word !== "")) {
    const symbol = part.charAt(0).toUpperCase() + part.slice(1).toLowerCase();
    if (SYMBOLS.has(symbol)) symbols.push(symbol);
    else unknown.push(part);
  }
  return { symbols, unknown };
}

// "Zn-Te" names the system of these elements and no others.
export function parseSystem(text: string): string[] | null {
  if (!text.includes("-")) return null;
  const { symbols, unknown } = parseSymbols(text);
  return unknown.length || symbols.length < 2 ? null : symbols;
}

// Composition of a formula, the same for SiO2, O2Si and Si2O4; null for what is no formula.
export function composition(formula: string): string | null {
  const counts = new Map<string, number>();
  const rest = collect(formula.replace(/\s+/g, ""), 1, counts);
  if (rest !== "" || !counts.size) return null;
  const divisor = [...counts.values()].reduce(greatestDivisor);
  return [...counts]
    .map(([symbol, count]) => `${symbol}${count / divisor}`)
    .sort()
    .join(" ");
}

// Adds the counts of a formula up to its end or a closing bracket, and gives what follows.
function collect(formula: string, factor: number, counts: Map<string, number>): string {
  let rest = formula;
  while (rest !== "" && !rest.startsWith(")")) {
    const inner = new Map<string, number>();
    const element = rest.match(/^[A-Z][a-z]?/)?.[0];
    if (rest.startsWith("(")) {
      const after = collect(rest.slice(1), 1, inner);
      if (!after.startsWith(")")) return rest;
      rest = after.slice(1);
    } else if (element && SYMBOLS.has(element)) {
      inner.set(element, 1);
      rest = rest.slice(element.length);
    } else return rest;
    const number = rest.match(/^[1-9]\d*/)?.[0] ?? "";
    rest = rest.slice(number.length);
    for (const [symbol, count] of inner)
      counts.set(symbol, (counts.get(symbol) ?? 0) + factor * count * Number(number || 1));
  }
  return rest;
}

const greatestDivisor = (a: number, b: number): number => (b ? greatestDivisor(b, a % b) : a);
