// A query and its link say the same, and a query selects what it says.
import assert from "node:assert/strict";
import { test } from "node:test";
import { composition, parseSymbols } from "../src/composition";
import type { Column, Table } from "../src/data";
import { decode, emptyQuery, encode, isFiltered, type Query, select } from "../src/query";

function texts(values: string[]): Column {
  const words = [...new Set(values)];
  return { kind: "text", words, codes: Uint32Array.from(values, (value) => words.indexOf(value)) };
}

function numbers(kind: "number" | "flag", values: number[]): Column {
  return { kind, values: Float64Array.from(values) };
}

const IDS = ["quartz", "tellurium", "salt", "unknown"];
const TABLE: Table = {
  n: IDS.length,
  columns: new Map<string, Column>([
    ["material_id", texts(IDS)],
    ["formula", texts(["SiO2", "Te", "NaCl", ""])],
    ["elements", texts(["O Si", "Te", "Cl Na", ""])],
    ["space_group_number", numbers("number", [152, 152, 225, 1])],
    ["space_group_symbol", texts(["P3_121", "P3_121", "Fm-3m", "P1"])],
    ["score", numbers("number", [0.2, 0.5, NaN, 0.1])],
    ["stable", numbers("flag", [1, 1, 1, 0])],
    ["warnings", texts(["soft, tensor_uncertain", "tensor_uncertain", "", ""])],
    ["prototype", texts(["A2B 152", "A 152", "AB 225", ""])],
  ]),
};

function found(changes: Partial<Query>): string[] {
  return [...select(TABLE, { ...emptyQuery(), ...changes })].map((row) => IDS[row]);
}

test("a query comes back from its link", () => {
  const query: Query = {
    ...emptyQuery(),
    search: "a & b",
    including: ["Si", "O"],
    excluding: ["Cl"],
    only: ["Si", "O"],
    unwarned: ["soft"],
    choices: { chirality_class: ["II", "III"] },
    flags: { stable: true, reliable: false },
    tensor: ["xx = yy = zz"],
    groups: "152-154, P3_121",
    ranges: { score: [0.1, null] },
    sort: "formula",
    descending: false,
    columns: ["formula"],
  };
  assert.deepEqual(decode(new URLSearchParams(encode(query)), ["score"]), query);
});

test("a query that asks for nothing has an empty link", () => {
  assert.equal(encode(emptyQuery()), "");
  assert.deepEqual(decode(new URLSearchParams(""), ["score"]), emptyQuery());
  assert.equal(isFiltered({ ...emptyQuery(), sort: "formula" }), false);
  assert.equal(isFiltered({ ...emptyQuery(), groups: "152" }), true);
});

test("nonsense in a link is no bound", () => {
  const { ranges } = decode(new URLSearchParams("score=x..0.5"), ["score"]);
  assert.deepEqual(ranges, { score: [null, 0.5] });
});

test("rows without a value come last in either direction", () => {
  assert.deepEqual(found({}), ["tellurium", "quartz", "unknown", "salt"]);
  assert.deepEqual(found({ descending: false }), ["unknown", "quartz", "tellurium", "salt"]);
});

test("elements are matched as a whole: S is not found in Si", () => {
  assert.deepEqual(found({ including: ["S"] }), []);
  assert.deepEqual(found({ including: ["Si"] }), ["quartz"]);
  assert.deepEqual(found({ excluding: ["Te", "Cl"] }), ["quartz", "unknown"]);
});

test("space groups are numbers, ranges and symbols", () => {
  assert.deepEqual(found({ groups: "150-155" }), ["tellurium", "quartz"]);
  assert.deepEqual(found({ groups: "P3121 225" }), ["tellurium", "quartz", "salt"]);
});

test("flags, ranges and search hold at once", () => {
  assert.deepEqual(found({ flags: { stable: true }, ranges: { score: [null, 0.3] } }), ["quartz"]);
  assert.deepEqual(found({ search: "sio" }), ["quartz"]);
  assert.deepEqual(found({ search: "TE", flags: { stable: false } }), []);
});

test("a formula is found in any order and multiple", () => {
  for (const search of ["SiO2", "O2Si", "Si2O4", "o2"]) assert.deepEqual(found({ search }), ["quartz"]);
  assert.deepEqual(found({ search: "SiO3" }), []);
});

test("a system has these elements and no others", () => {
  for (const search of ["Si-O", "o-si"]) assert.deepEqual(found({ search }), ["quartz"]);
  assert.deepEqual(found({ search: "Si-O-Te" }), []);
});

test("only some elements", () => {
  assert.deepEqual(found({ only: ["Si", "O", "Te"] }), ["tellurium", "quartz"]);
  assert.deepEqual(found({ only: ["Si"] }), []);
});

test("crystals without a warning", () => {
  assert.deepEqual(found({ unwarned: ["soft"] }), ["tellurium", "unknown", "salt"]);
  assert.deepEqual(found({ unwarned: ["soft", "tensor_uncertain"] }), ["unknown", "salt"]);
});

test("prototypes are searched as well", () => {
  assert.deepEqual(found({ search: "ab 225" }), ["salt"]);
});

test("the exact name comes first, then the formula", () => {
  const names = ["mp-190", "Te", "mp-19"];
  const table: Table = {
    n: 3,
    columns: new Map<string, Column>([
      ["material_id", texts(names)],
      ["formula", texts(["TeO2", "Se", "Te"])],
      ["score", numbers("number", [0.9, 0.8, 0.1])],
    ]),
  };
  const search = (text: string) => [...select(table, { ...emptyQuery(), search: text })].map((row) => names[row]);
  assert.deepEqual(search("mp-19"), ["mp-19", "mp-190"]);
  assert.deepEqual(search("te"), ["Te", "mp-190", "mp-19"]);
  assert.deepEqual(search("Te"), ["Te", "mp-19", "mp-190"]);
});

test("formulas have brackets, and what is none has no composition", () => {
  assert.equal(composition("Ca(OH)2"), composition("O2CaH2"));
  assert.equal(composition("Ca((OH)2)3"), composition("CaO6H6"));
  for (const text of ["", "mp-19", "Xx2", "Ca(OH", "te", "2"]) assert.equal(composition(text), null);
});

test("unknown symbols are told", () => {
  assert.deepEqual(parseSymbols("si, O xx"), { symbols: ["Si", "O"], unknown: ["xx"] });
});
