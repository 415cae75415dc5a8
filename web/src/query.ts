// What the reader asks of the table: as an object, as a URL, and as a selection of rows.
import { composition, parseSystem } from "./composition";
import type { Table, Texts } from "./data";

export interface Query {
  search: string;
  including: string[];
  excluding: string[];
  only: string[];
  unwarned: string[];
  choices: Record<string, string[]>;
  flags: Record<string, boolean>;
  tensor: string[];
  groups: string;
  ranges: Record<string, [number | null, number | null]>;
  sort: string;
  descending: boolean;
  columns: string[] | null;
}

export const CHOICES = ["chirality_class", "helicity_wave", "point_group", "outcome", "potential", "hand", "database"];
export const FLAGS = ["stable", "reliable", "nac", "shortlisted", "significant", "symmetry_changed", "observed"];

export function emptyQuery(): Query {
  return {
    search: "",
    including: [],
    excluding: [],
    only: [],
    unwarned: [],
    choices: {},
    flags: {},
    tensor: [],
    groups: "",
    ranges: {},
    sort: "score",
    descending: true,
    columns: null,
  };
}

const list = (text: string | null): string[] => (text ?? "").split(",").filter((part) => part !== "");

export function decode(parameters: URLSearchParams, numeric: string[]): Query {
  const query = emptyQuery();
  query.search = parameters.get("q") ?? "";
  query.including = list(parameters.get("with"));
  query.excluding = list(parameters.get("without"));
  query.only = list(parameters.get("only"));
  query.unwarned = list(parameters.get("unwarned"));
  query.groups = parameters.get("sg") ?? "";
  query.tensor = (parameters.get("tensor") ?? "").split(";").filter((part) => part !== "");
  for (const name of CHOICES) {
    const chosen = list(parameters.get(name));
    if (chosen.length) query.choices[name] = chosen;
  }
  for (const name of FLAGS) {
    const flag = parameters.get(name);
    if (flag === "yes" || flag === "no") query.flags[name] = flag === "yes";
  }
  for (const name of numeric) {
    const range = parameters.get(name)?.split("..");
    if (range?.length === 2) query.ranges[name] = [bound(range[0]), bound(range[1])];
  }
  const sort = parameters.get("sort");
  if (sort) {
    query.descending = sort.startsWith("-");
    query.sort = sort.replace(/^-/, "");
  }
  query.columns = parameters.has("cols") ? list(parameters.get("cols")) : null;
  return query;
}

const bound = (text: string): number | null => {
  const value = text.trim() === "" ? NaN : Number(text);
  return Number.isFinite(value) ? value : null;
};

export function encode(query: Query): string {
  const parameters = new URLSearchParams();
  const put = (name: string, content: string) => content && parameters.set(name, content);
  put("q", query.search);
  put("with", query.including.join(","));
  put("without", query.excluding.join(","));
  put("only", query.only.join(","));
  put("unwarned", query.unwarned.join(","));
  put("sg", query.groups);
  put("tensor", query.tensor.join(";"));
  for (const [name, chosen] of Object.entries(query.choices)) put(name, chosen.join(","));
  for (const [name, flag] of Object.entries(query.flags)) put(name, flag ? "yes" : "no");
  for (const [name, [low, high]] of Object.entries(query.ranges)) {
    if (low !== null || high !== null) put(name, `${low ?? ""}..${high ?? ""}`);
  }
  if (query.sort !== "score" || !query.descending) put("sort", (query.descending ? "-" : "") + query.sort);
  if (query.columns) put("cols", query.columns.join(","));
  return parameters.toString().replaceAll("%2C", ",");
}

export function isFiltered(query: Query): boolean {
  return encode({ ...query, sort: "score", descending: true, columns: null }) !== "";
}

type Test = (row: number) => boolean;

export function select(table: Table, query: Query): Uint32Array {
  const tests = testsOf(table, query);
  const order = sorted(table, query.sort, query.descending);
  if (!tests.length) return order;
  const found = filtered(order, tests);
  return query.search ? exactFirst(table, query.search, found) : found;
}

function filtered(order: Uint32Array, tests: Test[]): Uint32Array {
  const found = new Uint32Array(order.length);
  let n = 0;
  rows: for (let i = 0; i < order.length; i++) {
    const row = order[i];
    for (const test of tests) if (!test(row)) continue rows;
    found[n++] = row;
  }
  return found.subarray(0, n);
}

function testsOf(table: Table, query: Query): Test[] {
  const tests: Test[] = [];
  const words = (name: string, accept: (word: string) => boolean) => {
    const column = table.columns.get(name);
    if (column?.kind === "text") tests.push(wordTest(column, accept));
  };
  for (const [name, flag] of Object.entries(query.flags)) {
    const column = table.columns.get(name);
    if (column && column.kind !== "text") {
      const { values } = column;
      const wanted = Number(flag);
      tests.push((row) => values[row] === wanted);
    }
  }
  for (const [name, [low, high]] of Object.entries(query.ranges)) {
    const column = table.columns.get(name);
    if (!column || column.kind === "text" || (low === null && high === null)) continue;
    const { values } = column;
    const from = low ?? -Infinity;
    const to = high ?? Infinity;
    tests.push((row) => values[row] >= from && values[row] <= to);
  }
  for (const [name, chosen] of Object.entries(query.choices)) {
    const set = new Set(chosen);
    words(name, (word) => set.has(word));
  }
  if (query.unwarned.length) {
    words("warnings", (word) => {
      const warnings = word.split(", ");
      return !query.unwarned.some((unwanted) => warnings.includes(unwanted));
    });
  }
  if (query.only.length) {
    const allowed = new Set(query.only);
    words("elements", (word) => word !== "" && word.split(" ").every((symbol) => allowed.has(symbol)));
  }
  if (query.including.length || query.excluding.length) {
    const including = query.including.map((symbol) => ` ${symbol} `);
    const excluding = query.excluding.map((symbol) => ` ${symbol} `);
    words("elements", (word) => {
      const padded = ` ${word} `;
      return (
        including.every((symbol) => padded.includes(symbol)) && !excluding.some((symbol) => padded.includes(symbol))
      );
    });
  }
  if (query.tensor.length) {
    words("tensor_components", (word) => {
      const parts = word.split(", ");
      return query.tensor.every((wanted) => parts.includes(wanted));
    });
  }
  const group = groupTest(table, query.groups);
  if (group) tests.push(group);
  if (query.search) tests.push(searchTest(table, query.search));
  return tests;
}

function accepted(column: Texts, accept: (word: string) => boolean): Uint8Array {
  return Uint8Array.from(column.words, (word) => Number(accept(word)));
}

function wordTest(column: Texts, accept: (word: string) => boolean): Test {
  const good = accepted(column, accept);
  const { codes } = column;
  return (row) => good[codes[row]] === 1;
}

// Part of a name, formula or prototype; a formula in any order; or "Zn-Te", a system of elements.
function searchTest(table: Table, search: string): Test {
  const system = parseSystem(search);
  if (system) {
    const wanted = [...system].sort().join(" ");
    return textTest(table, "elements", (word) => word.split(" ").sort().join(" ") === wanted);
  }
  const wanted = search.toLowerCase();
  const whole = composition(search);
  const isCompound = whole?.includes(" ") ?? false;
  const contains = (word: string) => word.toLowerCase().includes(wanted);
  const tests = [
    textTest(table, "material_id", contains),
    textTest(table, "prototype", contains),
    textTest(table, "formula", (word) => contains(word) || (isCompound && composition(word) === whole)),
  ];
  return (row) => tests.some((test) => test(row));
}

function textTest(table: Table, name: string, accept: (word: string) => boolean): Test {
  const column = table.columns.get(name);
  return column?.kind === "text" ? wordTest(column, accept) : () => false;
}

// The material of just this name comes first, then those of just this formula.
function exactFirst(table: Table, search: string, found: Uint32Array): Uint32Array {
  const wanted = search.toLowerCase();
  const whole = composition(search);
  const isName = textTest(table, "material_id", (word) => word.toLowerCase() === wanted);
  const isFormula = textTest(table, "formula", (word) => whole !== null && composition(word) === whole);
  const places: number[][] = [[], [], []];
  for (const row of found) places[isName(row) ? 0 : isFormula(row) ? 1 : 2].push(row);
  return Uint32Array.from(places.flat());
}

// "152-154, P3_121, 19": numbers, ranges of numbers, and symbols.
function groupTest(table: Table, groups: string): Test | null {
  const parts = groups.split(/[,;\s]+/).filter((part) => part !== "");
  const numbers = table.columns.get("space_group_number");
  const symbols = table.columns.get("space_group_symbol");
  if (!parts.length || numbers?.kind !== "number" || symbols?.kind !== "text") return null;
  const allowed = new Uint8Array(231);
  const names = new Set<string>();
  for (const part of parts) {
    const range = part.match(/^(\d{1,3})(?:(?:-|\.\.)(\d{1,3}))?$/);
    if (!range) names.add(part.replaceAll("_", "").toLowerCase());
    else for (let g = Number(range[1]); g <= Math.min(Number(range[2] ?? range[1]), 230); g++) allowed[g] = 1;
  }
  const bySymbol = wordTest(symbols, (word) => names.has(word.replaceAll("_", "").toLowerCase()));
  const { values } = numbers;
  return (row) => allowed[values[row]] === 1 || bySymbol(row);
}

const cache = new WeakMap<Table, Map<string, Uint32Array>>();

// All rows in order; rows without a value come last in either direction.
function sorted(table: Table, name: string, descending: boolean): Uint32Array {
  const known = cache.get(table) ?? new Map<string, Uint32Array>();
  cache.set(table, known);
  const label = `${descending ? "-" : "+"}${name}`;
  let order = known.get(label);
  if (!order) {
    const keys = sortKeys(table, name, descending);
    order = Uint32Array.from({ length: table.n }, (_, row) => row);
    if (keys && !isSorted(keys)) order.sort((a, b) => keys[a] - keys[b] || a - b);
    known.set(label, order);
  }
  return order;
}

// The file is sorted by score, the first thing a reader sees.
function isSorted(keys: Float64Array): boolean {
  for (let i = 1; i < keys.length; i++) if (keys[i - 1] > keys[i]) return false;
  return true;
}

function sortKeys(table: Table, name: string, descending: boolean): Float64Array | null {
  const column = table.columns.get(name);
  if (!column) return null;
  const sign = descending ? -1 : 1;
  if (column.kind !== "text")
    return column.values.map((value) => (Number.isNaN(value) ? Number.MAX_VALUE : sign * value));
  const codes = Uint32Array.from(column.words, (_, code) => code);
  const { words } = column;
  codes.sort((a, b) => (words[a] < words[b] ? -1 : words[a] > words[b] ? 1 : 0));
  const ranks = new Float64Array(words.length);
  codes.forEach((code, rank) => {
    ranks[code] = words[code] === "" ? Number.MAX_VALUE : sign * rank;
  });
  return Float64Array.from(column.codes, (code) => ranks[code]);
}
