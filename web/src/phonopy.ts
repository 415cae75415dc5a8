// What a phonopy YAML file of a stranger holds, or in words why it cannot be shown.
import { CORE_SCHEMA, load, YAMLException } from "js-yaml";
import { type Crystal, combine, type Dispersion, type QPoint } from "./dispersion";
import { choosePath, type ForceConstants, makeSolver } from "./forces";
import type { Structure, Vector } from "./model";

export const LARGEST = 64e6; // characters
const DEEPEST = 24;
const MOST_ATOMS = 60;
const MOST_NUMBERS = 5e6;
const PATH_POINTS = 120;

type Content = Record<string, unknown>;

export async function readPhonopy(
  text: string,
  symbols: string[],
  progress: (done: number) => Promise<void>,
): Promise<Dispersion> {
  checkSize(text);
  const content = parse(text);
  if (Array.isArray(content.phonon)) return readModes(content, symbols);
  if (content.force_constants !== undefined) return solve(readForces(content, symbols), progress);
  throw new Error(
    "The file holds neither eigenvectors nor force constants. band.yaml and mesh.yaml have eigenvectors when " +
      "phonopy ran with --eigvecs; phonopy_params.yaml has force constants when it was saved with them " +
      "(phonopy --include-fc, or phonon.save(settings={'force_constants': True})).",
  );
}

function checkSize(text: string): void {
  if (text.length > LARGEST)
    throw new Error(`The file has ${Math.round(text.length / 1e6)} MB; at most ${LARGEST / 1e6} MB are read.`);
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const letter = text.charCodeAt(i);
    if (letter === 91 || letter === 123) depth++;
    else if (letter === 93 || letter === 125) depth--;
    if (depth > DEEPEST) throw new Error("The file is nested more deeply than any file of phonopy.");
  }
}

function parse(text: string): Content {
  try {
    const content = load(text, { schema: CORE_SCHEMA });
    if (typeof content === "object" && content !== null && !Array.isArray(content)) return content as Content;
  } catch (error) {
    if (error instanceof YAMLException) throw new Error(`The file is no YAML: ${error.reason}, line ${line(error)}.`);
    if (error instanceof RangeError) throw new Error("The file is nested more deeply than any file of phonopy.");
    throw error;
  }
  throw new Error("The file is not one of phonopy: it holds no names with values.");
}

const line = ({ mark }: YAMLException) => (mark ? mark.line + 1 : "unknown");

// Numbers in a list of lists of known sizes, flat.
function numbers(content: unknown, name: string, ...sizes: number[]): number[] {
  if (!sizes.length) {
    if (typeof content !== "number" || !Number.isFinite(content)) throw new Error(`${name} holds what is no number.`);
    return [content];
  }
  if (!Array.isArray(content) || content.length !== sizes[0])
    throw new Error(`${name} should be a list of ${sizes.join(" x ")} numbers.`);
  return content.flatMap((part) => numbers(part, name, ...sizes.slice(1)));
}

const vector = (content: unknown, name: string) => numbers(content, name, 3) as Vector;

function lattice(content: unknown, name: string): Structure["cell"] {
  const flat = numbers(content, `the lattice of ${name}`, 3, 3);
  return [0, 3, 6].map((i) => flat.slice(i, i + 3)) as Structure["cell"];
}

function list(content: unknown, name: string): Content[] {
  if (!Array.isArray(content) || !content.length) throw new Error(`The file has no ${name}.`);
  if (content.some((part) => typeof part !== "object" || part === null))
    throw new Error(`${name} are not written as phonopy writes them.`);
  return content as Content[];
}

function readCrystal(content: Content, name: string, symbols: string[]): Crystal {
  const points = list(content.points ?? content.atoms, `atoms of ${name}`);
  const atomic = points.map(({ symbol }) => symbols.indexOf(String(symbol).replace(/\d+$/, "")) + 1);
  const unknown = atomic.indexOf(0);
  if (unknown >= 0) throw new Error(`${String(points[unknown].symbol)} is no element.`);
  return {
    cell: lattice(content.lattice, name),
    numbers: atomic,
    positions: points.map((point) => vector(point.coordinates ?? point.position, `the place of an atom of ${name}`)),
    masses: points.flatMap((point) => numbers(point.mass, `the mass of an atom of ${name}`)),
  };
}

function limit(crystal: Crystal, nPoints: number): void {
  const n = crystal.numbers.length;
  if (n > MOST_ATOMS) throw new Error(`The primitive cell has ${n} atoms; at most ${MOST_ATOMS} are shown.`);
  if (nPoints * 18 * n * n > 4 * MOST_NUMBERS)
    throw new Error("The file has too many q-points for so many atoms; take fewer of them.");
}

function readModes(content: Content, symbols: string[]): Dispersion {
  const crystal = readCrystal(content, "the primitive cell", symbols);
  const rows = list(content.phonon, "q-points");
  limit(crystal, rows.length);
  const ends = segmentEnds(content, rows.length);
  const points = rows.map((row, i): QPoint => {
    const bands = list(row.band, "bands");
    if (bands.some(({ eigenvector }) => eigenvector === undefined))
      throw new Error("The file has frequencies and no eigenvectors: run phonopy with --eigvecs.");
    const order = bands
      .map(({ frequency, eigenvector }) => ({
        frequency: numbers(frequency, "a frequency")[0],
        vector: Float64Array.from(numbers(eigenvector, "an eigenvector", crystal.numbers.length, 3, 2)),
      }))
      .sort((a, b) => a.frequency - b.frequency);
    if (order.length !== 3 * crystal.numbers.length)
      throw new Error(`q-point ${i + 1} has ${order.length} bands for ${crystal.numbers.length} atoms.`);
    return {
      q: vector(row["q-position"], "the place of a q-point"),
      label: typeof row.label === "string" ? label(row.label) : "",
      segment: content.mesh ? i : ends.findIndex((end) => i < end),
      distance: content.mesh ? i : numbers(row.distance, "the distance of a q-point")[0],
      frequencies: order.map(({ frequency }) => frequency),
      vectors: order.map(({ vector: parts }) => parts),
    };
  });
  if (!content.mesh) nameEnds(content, points, ends);
  return { crystal, points };
}

function segmentEnds(content: Content, nPoints: number): number[] {
  const sizes = Array.isArray(content.segment_nqpoint)
    ? numbers(content.segment_nqpoint, "segment_nqpoint", content.segment_nqpoint.length)
    : [nPoints];
  let end = 0;
  const ends = sizes.map((size) => {
    end += size;
    return end;
  });
  if (end !== nPoints) throw new Error("The segments of the path do not add up to its q-points.");
  return ends;
}

// Names of corners stand beside the q-points or, in other versions, at the top of the file.
function nameEnds(content: Content, points: QPoint[], ends: number[]): void {
  if (!Array.isArray(content.labels)) return;
  content.labels.forEach((pair, i) => {
    if (!Array.isArray(pair) || pair.length !== 2 || i >= ends.length) return;
    points[i ? ends[i - 1] : 0].label ||= label(String(pair[0]));
    points[ends[i] - 1].label ||= label(String(pair[1]));
  });
}

// Names may be written in TeX.
function label(text: string): string {
  const plain = text.replace(/\$|\\mathrm|\\mathbf|\\rm|[{}\\]/g, "").trim();
  return /^(Gamma|GAMMA|G)$/.test(plain) ? "Γ" : plain.slice(0, 12);
}

export function readForces(content: Content, symbols: string[]): ForceConstants {
  checkUnits(content);
  const primitive = readCrystal((content.primitive_cell ?? {}) as Content, "the primitive cell", symbols);
  limit(primitive, PATH_POINTS);
  const supercell = (content.supercell ?? {}) as Content;
  const atoms = readCrystal(supercell, "the supercell", symbols);
  const stands = list(supercell.points, "atoms of the supercell").map(
    (point) => numbers(point.reduced_to, "reduced_to of the supercell")[0] - 1,
  );
  const representatives = [...new Set(stands)].sort((a, b) => a - b);
  if (representatives.length !== primitive.numbers.length)
    throw new Error("The supercell does not repeat the atoms of the primitive cell.");
  return {
    primitive,
    places: atoms.positions.map((place) => combine(atoms.cell, place)),
    supercell: atoms.cell,
    kinds: stands.map((atom) => representatives.indexOf(atom)),
    representatives,
    elements: readElements(content.force_constants as Content, representatives, stands.length),
  };
}

function checkUnits(content: Content): void {
  const units = (content.physical_unit ?? {}) as Content;
  const [length, forces] = [units.length ?? "angstrom", units.force_constants ?? "eV/angstrom^2"];
  if (length !== "angstrom" || forces !== "eV/angstrom^2")
    throw new Error(
      `Force constants in ${forces} and lengths in ${length} are not read; phonopy writes eV/angstrom^2 for VASP.`,
    );
}

// Compact force constants have a row for each atom of the primitive cell, full ones for each of the supercell.
function readElements(content: Content, representatives: number[], nAtoms: number): Float64Array {
  const [nRows, nColumns] = numbers(content?.shape, "the shape of the force constants", 2);
  if (nColumns !== nAtoms || (nRows !== nAtoms && nRows !== representatives.length))
    throw new Error(`Force constants of ${nRows} x ${nColumns} atoms do not fit a supercell of ${nAtoms}.`);
  if (9 * nRows * nColumns > MOST_NUMBERS) throw new Error("The supercell is too large to be shown.");
  const flat = numbers(content.elements, "the force constants", nRows * nColumns, 3, 3);
  const rows = nRows === nAtoms ? representatives : representatives.map((_, i) => i);
  return Float64Array.from(rows.flatMap((row) => flat.slice(9 * row * nColumns, 9 * (row + 1) * nColumns)));
}

async function solve(constants: ForceConstants, progress: (done: number) => Promise<void>): Promise<Dispersion> {
  const modesAt = makeSolver(constants);
  const path = choosePath(constants.primitive.cell, PATH_POINTS);
  const points: QPoint[] = [];
  for (const point of path) {
    points.push({ ...point, ...modesAt(point.q) });
    await progress(points.length / path.length);
  }
  return { crystal: constants.primitive, points };
}
