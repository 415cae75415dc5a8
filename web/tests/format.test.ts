// Numbers and units as readers of physics expect them.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import type { Site } from "../src/data";
import { explained, number, unit, value } from "../src/format";
import { chooseUnit, learnUnits, link, scale, scaled } from "../src/units";

const UNITS = {
  THz: { text: "THz", per_terahertz: 1 },
  "cm-1": { text: "cm⁻¹", per_terahertz: 33.35641 },
};

learnUnits({ units: UNITS } as unknown as Site);
afterEach(() => chooseUnit(null));

test("numbers have three digits, a real minus, and powers of ten where they are long", () => {
  assert.equal(number(0.12345), "0.123");
  assert.equal(number(-2), "−2");
  assert.equal(number(1.5e-4), "1.5×10⁻⁴");
  assert.equal(number(123456.7), "1.2×10⁵");
});

test("what is missing is a dash", () => {
  assert.equal(number(NaN), "–");
  assert.equal(value(null), "–");
  assert.equal(value(""), "–");
});

test("what hovering tells begins with the name in the dataset", () => {
  assert.equal(explained("score", "What counts."), "score: What counts.");
  assert.equal(explained("score", ""), "score");
});

test("values of any kind become text", () => {
  assert.equal(value([1, true, "a"]), "1, yes, a");
});

test("frequencies follow the unit of the reader, and other numbers do not", () => {
  assert.equal(chooseUnit("cm-1"), "cm-1");
  assert.equal(scale("THz"), 33.35641);
  assert.equal(scale("ħ/THz"), 1 / 33.35641);
  assert.equal(scale("Å"), 1);
  assert.deepEqual(scaled([1, "a"], "THz"), [33.35641, "a"]);
  assert.equal(unit("THz Å^-1"), "cm⁻¹ Å⁻¹");
  assert.equal(link("#/?q=si"), "#/?q=si&unit=cm-1");
});

test("an unknown unit is that of the stored numbers", () => {
  assert.equal(chooseUnit("eV"), "THz");
  assert.equal(link("#/"), "#/");
});
