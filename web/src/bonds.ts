// Bonds of a crystal without end, across all faces of its cell.
import type { Structure, Vector } from "./model";

// Cells to each side in which neighbours are looked for; bonds are shorter than two cells.
const NEAR = 2;
// Bonds are at most this much longer than the sum of the covalent radii, and atoms are not on one place.
const STRETCH = 1.15;
const LEAST = 0.4; // Å

// The other end of a bond: a site, and its cell counted from that of the first.
export interface Neighbour {
  site: number;
  step: Vector;
}

// Place of a site in the cell itself, in units of the lattice vectors; atoms on a face are on the first one.
export function inside(structure: Structure, site: number): Vector {
  return structure.positions[site].map((x) => x - Math.floor(x + 1e-4)) as Vector;
}

export function findNeighbours(structure: Structure, radius: (atomicNumber: number) => number): Neighbour[][] {
  const steps = Array.from({ length: 2 * NEAR + 1 }, (_, i) => i - NEAR);
  const cells = steps.flatMap((a) => steps.flatMap((b) => steps.map((c) => [a, b, c] as Vector)));
  const cartesian = (place: Vector) =>
    [0, 1, 2].map((k) => place.reduce((sum, x, i) => sum + x * structure.cell[i][k], 0)) as Vector;
  const homes = structure.positions.map((_, site) => cartesian(inside(structure, site)));
  const shifts = cells.map(cartesian);
  return homes.map((home, site) =>
    homes.flatMap((other, partner) => {
      const most = STRETCH * (radius(structure.numbers[site]) + radius(structure.numbers[partner]));
      const [x, y, z] = other.map((part, k) => part - home[k]);
      return cells.flatMap((step, k) => {
        const distance = Math.hypot(x + shifts[k][0], y + shifts[k][1], z + shifts[k][2]);
        return distance > LEAST && distance < most ? [{ site: partner, step }] : [];
      });
    }),
  );
}
