// A query and its link say the same, and a query selects what it says.
import assert from "node:assert/strict";
import { test } from "node:test";
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
