// Bonds do not end at the faces of a cell, and do not depend on which cell is chosen.
import assert from "node:assert/strict";
import { test } from "node:test";
import { findNeighbours } from "../src/bonds";
import type { Structure } from "../src/model";

const ROCKSALT: Structure = {
  cell: [
    [0, 2.8, 2.8],
    [2.8, 0, 2.8],
    [2.8, 2.8, 0],
  ],
  numbers: [11, 17],
  positions: [
    [0, 0, 0],
    [0.5, 0.5, 0.5],
  ],
};
const radius = (z: number) => (z === 11 ? 1.66 : 1.02);

test("each ion of rock salt has its six neighbours of the other kind", () => {
  const found = findNeighbours(ROCKSALT, radius);
  assert.deepEqual(
    found.map((all) => all.map(({ site }) => site)),
    [Array(6).fill(1), Array(6).fill(0)],
  );
  assert.equal(new Set(found[0].map(({ step }) => step.join())).size, 6);
});

test("a bond is seen from both of its ends", () => {
  const [sodium, chlorine] = findNeighbours(ROCKSALT, radius);
  const back = (step: number[]) => step.map((x) => -x + 0).join();
  assert.deepEqual(sodium.map(({ step }) => step.join()).sort(), chlorine.map(({ step }) => back(step)).sort());
});

test("another cell of the same crystal gives the same number of bonds", () => {
  const doubled: Structure = {
    cell: [ROCKSALT.cell[0], ROCKSALT.cell[1], ROCKSALT.cell[2].map((x) => 2 * x) as [number, number, number]],
    numbers: [11, 17, 11, 17],
    positions: [
      [0, 0, 0],
      [0.5, 0.5, 0.25],
      [1, 0, 0.5],
      [0.5, -0.5, 0.75],
    ],
  };
  assert.deepEqual(
    findNeighbours(doubled, radius).map((all) => all.length),
    [6, 6, 6, 6],
  );
});
