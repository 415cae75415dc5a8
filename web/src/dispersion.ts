// Modes at q-points: angular momentum, helicity, degenerate sets and motion, as the program defines them.
import { diagonalise, makeHermitian } from "./hermitian";
import type { Bands, Special, Structure, Vector } from "./model";

// Bands closer than this (THz) belong to one degenerate set.
export const DEGENERACY = 1e-3;
const STEPS = [-2, -1, 0, 1, 2];
const GAMMA = 1e-8;
// Angular momenta below this (hbar) are rounding.
const NOISE = 1e-9;

export interface Crystal extends Structure {
  masses: number[];
}

export interface QPoint {
  q: Vector;
  label: string;
  segment: number;
  distance: number;
  frequencies: number[];
  // One mode each, normalised: atoms, Cartesian components, real and imaginary part.
  vectors: Float64Array[];
}

export interface Dispersion {
  crystal: Crystal;
  points: QPoint[];
}

export const cross = (a: Vector, b: Vector): Vector => [
  a[1] * b[2] - a[2] * b[1],
  a[2] * b[0] - a[0] * b[2],
  a[0] * b[1] - a[1] * b[0],
];
export const dot = (a: Vector, b: Vector): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const times = (a: Vector, factor: number) => a.map((x) => x * factor) as Vector;
const plus = (a: Vector, b: Vector) => a.map((x, i) => x + b[i]) as Vector;

// Rows are reciprocal vectors, without 2 pi.
export function reciprocal(cell: Structure["cell"]): [Vector, Vector, Vector] {
  const volume = dot(cell[0], cross(cell[1], cell[2]));
  return [0, 1, 2].map((i) => times(cross(cell[(i + 1) % 3], cell[(i + 2) % 3]), 1 / volume)) as [
    Vector,
    Vector,
    Vector,
  ];
}

export function combine(rows: Vector[], place: Vector): Vector {
  return rows.reduce<Vector>((sum, row, i) => plus(sum, times(row, place[i])), [0, 0, 0]);
}

// Unit vectors towards all images of q that are equally short, inside or on the first Brillouin zone.
export function directions(q: Vector, rows: Vector[]): Vector[] {
  const near = q.map((x) => x - Math.round(x)) as Vector;
  const images = STEPS.flatMap((a) => STEPS.flatMap((b) => STEPS.map((c) => combine(rows, plus(near, [a, b, c])))));
  const sizes = images.map((image) => Math.hypot(...image));
  const least = Math.min(...sizes);
  if (least < GAMMA) return [];
  return images.filter((_, i) => sizes[i] < least * (1 + 1e-5)).map((image) => times(image, 1 / Math.hypot(...image)));
}

// <a| L |b> of two modes: real and imaginary parts of the three components; l_x = -i (y* z - z* y).
function element(a: Float64Array, b: Float64Array): [Vector, Vector] {
  const [re, im]: [Vector, Vector] = [
    [0, 0, 0],
    [0, 0, 0],
  ];
  for (let k = 0; k < a.length; k += 6)
    for (let axis = 0; axis < 3; axis++) {
      const [u, v] = [k + 2 * ((axis + 1) % 3), k + 2 * ((axis + 2) % 3)];
      const real = a[u] * b[v] + a[u + 1] * b[v + 1] - a[v] * b[u] - a[v + 1] * b[u + 1];
      const imaginary = a[u] * b[v + 1] - a[u + 1] * b[v] - a[v] * b[u + 1] + a[v + 1] * b[u];
      re[axis] += imaginary;
      im[axis] -= real;
    }
  return [re, im];
}

export const momentum = (mode: Float64Array): Vector => element(mode, mode)[0];

// First bands of the degenerate sets, by frequency.
function sets(frequencies: number[]): number[] {
  const found: number[] = [];
  frequencies.forEach((frequency, band) =>
    found.push(band > 0 && frequency - frequencies[band - 1] < DEGENERACY ? found[band - 1] : band),
  );
  return found;
}

// Modes of each set that circle about an axis, in descending order of l . n, in place of any others.
function circularBasis(vectors: Float64Array[], first: number[], axis: Vector): Float64Array[] {
  return vectors.flatMap((_, start) => {
    if (first[start] !== start) return [];
    const members = vectors.filter((_, band) => first[band] === start);
    if (members.length === 1) return members;
    const matrix = makeHermitian(members.length);
    members.forEach((a, i) =>
      members.forEach((b, j) => {
        const [re, im] = element(a, b);
        matrix.re[i * members.length + j] = dot(re, axis);
        matrix.im[i * members.length + j] = dot(im, axis);
      }),
    );
    return diagonalise(matrix)
      .vectors.reverse()
      .map((parts) => mix(members, parts));
  });
}

function mix(members: Float64Array[], parts: Float64Array): Float64Array {
  const sum = new Float64Array(members[0].length);
  members.forEach((member, i) => {
    const [x, y] = [parts[2 * i], parts[2 * i + 1]];
    for (let k = 0; k < sum.length; k += 2) {
      sum[k] += x * member[k] - y * member[k + 1];
      sum[k + 1] += x * member[k + 1] + y * member[k];
    }
  });
  return sum;
}

// e / sqrt(M), the largest component of modulus 1.
function displace(vectors: Float64Array[], masses: number[]): Float32Array {
  const all = new Float32Array(vectors.length * 6 * masses.length);
  vectors.forEach((vector, band) => {
    const moved = vector.map((part, k) => part / Math.sqrt(masses[Math.floor(k / 6)]));
    let largest = 0;
    for (let k = 0; k < moved.length; k += 2) largest = Math.max(largest, Math.hypot(moved[k], moved[k + 1]));
    moved.forEach((part, k) => {
      all[band * moved.length + k] = part / largest;
    });
  });
  return all;
}

export interface Analysis {
  bands: Bands;
  special: Special[];
  motion(row: number): Float32Array;
}

export function analyse({ crystal, points }: Dispersion): Analysis {
  const rows = reciprocal(crystal.cell);
  const first = points.map(({ frequencies }) => sets(frequencies));
  const towards = points.map(({ q }) => directions(q, rows));
  const mean = towards.map((all) => times(all.reduce(plus, [0, 0, 0]), 1 / Math.max(all.length, 1)));
  const axes = towards.map((all): Vector => all[0] ?? [0, 0, 1]);
  const circular = points.map(({ vectors }, row) => circularBasis(vectors, first[row], axes[row]));
  const l = circular.map((modes, row) => average(modes.map(momentum), first[row]));
  const each = <T>(value: (own: Vector, row: number) => T) =>
    l.map((modes, row) => modes.map((own) => value(own, row)));
  const nothing = each(() => null);
  const labels = points.map(({ label }) => label);
  return {
    bands: {
      q_points: points.map(({ q }) => q),
      labels,
      segments: points.map(({ segment }) => segment),
      distances: points.map(({ distance }) => distance),
      ticks: ticks(points),
      frequencies: points.map(({ frequencies }) => frequencies),
      sets: first,
      momentum: l,
      helicity: each((own, row) => dot(own, mean[row])),
      cycloidicity: each((own, row) => Math.hypot(...cross(axes[row], own)) * (towards[row].length ? 1 : 0)),
      pam: nothing,
      pam_raw: nothing,
      pam_order: points.map(() => 0),
      pam_screw: points.map(() => 0),
    },
    special: points.map(({ q, label }, row) => ({
      label: `${row + 1}: ${label || q.map((x) => Number(x.toFixed(3))).join(", ")}`,
      row,
      axis: axes[row],
      circulation: circular[row].map((mode) => dot(momentum(mode), axes[row])),
      pam: circular[row].map(() => null),
      channels: circular[row].map(() => ""),
    })),
    motion: (row) => displace(circular[row], crystal.masses),
  };
}

// The mean over each set, which every basis shares.
function average(l: Vector[], first: number[]): Vector[] {
  return first.map((start) => {
    const members = l.filter((_, band) => first[band] === start);
    const mean = times(members.reduce(plus, [0, 0, 0]), 1 / members.length);
    return mean.map((part) => (Math.abs(part) < NOISE ? 0 : part)) as Vector;
  });
}

function ticks(points: QPoint[]): [number, string][] {
  const found: [number, string][] = [];
  points.forEach(({ distance, label }) => {
    if (!label) return;
    const last = found.at(-1);
    if (last && Math.abs(last[0] - distance) < 1e-9) {
      if (!last[1].split("|").includes(label)) last[1] += `|${label}`;
    } else found.push([distance, label]);
  });
  return found;
}

// The row and band of the largest |h| of an optical mode.
export function mostChiral({ helicity }: Bands): [number, number] {
  let best: [number, number] = [0, Math.min(3, helicity[0].length - 1)];
  helicity.forEach((bands, row) =>
    bands.forEach((h, band) => {
      if (band > 2 && Math.abs(h) > Math.abs(helicity[best[0]][best[1]])) best = [row, band];
    }),
  );
  return best;
}
