// What the pages read of one material with one potential.
import { fetchJson } from "./data";
import { scale } from "./units";

export type Vector = [number, number, number];

export interface Bands {
  q_points: Vector[];
  labels: string[];
  segments: number[];
  distances: number[];
  ticks: [number, string][];
  frequencies: number[][];
  sets: number[][];
  momentum: Vector[][];
  helicity: number[][];
  cycloidicity: number[][];
  pam: (number | null)[][];
  pam_raw: (number | null)[][];
  pam_order: number[];
  pam_screw: number[];
  without_charges?: number[][];
}

export interface Special {
  label: string;
  row: number;
  axis: Vector;
  circulation: number[];
  pam: (number | null)[];
  channels: string[];
}

export interface Structure {
  cell: [Vector, Vector, Vector];
  numbers: number[];
  positions: Vector[];
}

export interface Validated {
  formula: string;
  space_group: number;
  symbol: string;
  reference: string;
  stability_agrees: boolean | null;
  leading_sign_agrees: boolean | null;
  frequency_mae: number | null;
}

export interface InfraredLine {
  frequency: number;
  strength_x: number;
  strength_y: number;
  strength_z: number;
}

export interface Material {
  material_id: string;
  potential: string;
  row: Record<string, unknown>;
  structure: Structure | null;
  convergence: Record<string, Record<string, unknown>>;
  warnings: string[];
  facts: Record<string, string>;
  links: { title: string; name: string; address: string }[];
  provenance: {
    citation: string;
    licence: string;
    limits: string[];
    bibtex: string;
    started_at: string | null;
    settings: Record<string, unknown>;
    versions: Record<string, string>;
  };
  validated: { n: number; nearest: Validated[] };
  twins: [string, string][];
  downloads: [string, string][];
  bands?: Bands;
  special?: Special[];
  infrared?: InfraredLine[];
  sphere?: { radius: number; n_polar: number; n_azimuth: number; helicity: string };
}

// File names as the program writes them; a name with other characters carries a mark there, which
// the list of twins spares the browser from computing.
export function folder(id: string): string {
  return `materials/${encodeURIComponent(id)}/`;
}

export async function loadMaterial(id: string, file: string): Promise<Material> {
  return fetchJson<Material>(`${folder(id)}${encodeURIComponent(file)}.json`);
}

export function unpack(text: string): Float32Array {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length / 2 }, (_, i) => view.getInt16(2 * i, true) / 32767);
}

export function numbersOf(row: Record<string, unknown>, name: string): number[] {
  const found = row[name];
  return Array.isArray(found) ? found.map((value) => (typeof value === "number" ? value : NaN)) : [];
}

// What is drawn; a file keeps the stored unit.
export function inUnit(bands: Bands): Bands {
  const scaled = (rows: number[][]) => rows.map((row) => row.map((frequency) => frequency * scale("THz")));
  const without = bands.without_charges && scaled(bands.without_charges);
  return { ...bands, frequencies: scaled(bands.frequencies), without_charges: without };
}

export function length(vector: Vector): number {
  return Math.hypot(...vector);
}
