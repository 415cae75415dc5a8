// Modes from force constants, as phonopy has them: D(q) with phases exp[i q . (r' - r)].
import { type Crystal, combine, dot, type QPoint, reciprocal } from "./dispersion";
import { diagonalise, type Hermitian, makeHermitian } from "./hermitian";
import type { Structure, Vector } from "./model";

// sqrt(eV / (Å^2 amu)) / 2 pi in THz, CODATA 2018.
const TERAHERTZ = 15.633302300230191;
const TOLERANCE = 1e-5; // Å
const STEPS = [-2, -1, 0, 1, 2];

export interface ForceConstants {
  primitive: Crystal;
  // Cartesian places (Å) of the atoms of the supercell, and the atom of the primitive cell that each repeats.
  places: Vector[];
  supercell: Structure["cell"];
  kinds: number[];
  // Atom of the supercell that stands for each of the primitive cell.
  representatives: number[];
  // 9 numbers (eV/Å^2) of each atom of the primitive cell and of the supercell.
  elements: Float64Array;
}

interface Term {
  row: number;
  column: number;
  factor: number;
  elements: Float64Array;
  // Shortest vectors (Å), all equally long.
  images: Vector[];
}

// Modes of one q-point after another; what does not depend on q is done once.
export function makeSolver(constants: ForceConstants): (q: Vector) => Pick<QPoint, "frequencies" | "vectors"> {
  const { primitive } = constants;
  const terms = listTerms(constants);
  const rows = reciprocal(primitive.cell);
  return (q) => {
    const { values, vectors } = diagonalise(dynamicalMatrix(terms, 3 * primitive.masses.length, combine(rows, q)));
    return { frequencies: values.map((value) => Math.sign(value) * Math.sqrt(Math.abs(value)) * TERAHERTZ), vectors };
  };
}

function listTerms({ primitive, places, supercell, kinds, representatives, elements }: ForceConstants): Term[] {
  const shifts = STEPS.flatMap((a) => STEPS.flatMap((b) => STEPS.map((c) => combine(supercell, [a, b, c]))));
  const rows = reciprocal(supercell);
  return representatives.flatMap((representative, i) =>
    places.map((place, j) => {
      const between = place.map((x, k) => x - places[representative][k]) as Vector;
      const fraction = rows.map((row) => Math.round(dot(row, between)));
      const near = combine(supercell, fraction.map((n) => -n) as Vector).map((x, k) => x + between[k]) as Vector;
      const images = shifts.map((shift) => near.map((x, k) => x + shift[k]) as Vector);
      const least = Math.min(...images.map((image) => Math.hypot(...image)));
      const at = 9 * (i * places.length + j);
      return {
        row: 3 * i,
        column: 3 * kinds[j],
        factor: 1 / Math.sqrt(primitive.masses[i] * primitive.masses[kinds[j]]),
        elements: elements.subarray(at, at + 9),
        images: images.filter((image) => Math.hypot(...image) < least + TOLERANCE),
      };
    }),
  );
}

function dynamicalMatrix(terms: Term[], n: number, wave: Vector): Hermitian {
  const matrix = makeHermitian(n);
  for (const { row, column, factor, elements, images } of terms) {
    let [cos, sin] = [0, 0];
    for (const image of images) {
      cos += Math.cos(2 * Math.PI * dot(wave, image));
      sin += Math.sin(2 * Math.PI * dot(wave, image));
    }
    const scale = factor / images.length;
    for (let a = 0; a < 3; a++)
      for (let b = 0; b < 3; b++) {
        const [here, there] = [(row + a) * n + column + b, (column + b) * n + row + a];
        const [re, im] = [0.5 * scale * cos * elements[3 * a + b], 0.5 * scale * sin * elements[3 * a + b]];
        // Half here and half in the conjugate place, so that the matrix is Hermitian.
        matrix.re[here] += re;
        matrix.im[here] += im;
        matrix.re[there] += re;
        matrix.im[there] -= im;
      }
  }
  return matrix;
}

const HEXAGONAL: [string, Vector][] = [
  ["Γ", [0, 0, 0]],
  ["M", [0.5, 0, 0]],
  ["K", [1 / 3, 1 / 3, 0]],
  ["Γ", [0, 0, 0]],
  ["A", [0, 0, 0.5]],
  ["L", [0.5, 0, 0.5]],
  ["H", [1 / 3, 1 / 3, 0.5]],
  ["A", [0, 0, 0.5]],
];
const OTHERS: [string, Vector][] = [
  ["Γ", [0, 0, 0]],
  ["½00", [0.5, 0, 0]],
  ["½½0", [0.5, 0.5, 0]],
  ["0½0", [0, 0.5, 0]],
  ["Γ", [0, 0, 0]],
  ["00½", [0, 0, 0.5]],
  ["½0½", [0.5, 0, 0.5]],
  ["½½½", [0.5, 0.5, 0.5]],
  ["Γ", [0, 0, 0]],
];

// A path through points that any cell has; K and H where the cell is hexagonal with an angle of 120°.
export function choosePath(cell: Structure["cell"], nPoints: number): Omit<QPoint, "frequencies" | "vectors">[] {
  const [a, b, c] = cell.map((row) => Math.hypot(...row));
  const hexagonal =
    Math.abs(a - b) < 1e-3 * a &&
    Math.abs(dot(cell[0], cell[1]) / (a * b) + 0.5) < 1e-3 &&
    Math.abs(dot(cell[0], cell[2])) + Math.abs(dot(cell[1], cell[2])) < 1e-3 * a * c;
  const corners = hexagonal ? HEXAGONAL : OTHERS;
  const rows = reciprocal(cell);
  const legs = corners.slice(1).map(([, to], i) => {
    const from = corners[i][1];
    return { from, to, size: Math.hypot(...combine(rows, to.map((x, k) => x - from[k]) as Vector)) };
  });
  const whole = legs.reduce((sum, { size }) => sum + size, 0);
  let start = 0;
  return legs.flatMap(({ from, to, size }, segment) => {
    const n = Math.max(2, Math.round((nPoints * size) / whole));
    const before = start;
    start += size;
    return Array.from({ length: n + 1 }, (_, i) => ({
      q: from.map((x, k) => x + ((to[k] - x) * i) / n) as Vector,
      label: i === 0 ? corners[segment][0] : i === n ? corners[segment + 1][0] : "",
      segment,
      distance: before + (size * i) / n,
    }));
  });
}
