// The table in memory: columns of numbers, flags and dictionary-coded texts.
import { type AsyncBuffer, parquetMetadata, parquetRead } from "hyparquet";

export type Kind = "text" | "number" | "flag";

export interface ColumnInfo {
  name: string;
  title: string;
  group: string;
  initial: boolean;
  unit: string;
  description: string;
  kind: Kind;
}

export interface Site {
  title: string;
  version: string;
  datasets: string[];
  files: Record<string, string>;
  n_rows: number;
  columns: ColumnInfo[];
  descriptions: Record<string, [string, string]>;
  modes: Record<string, [string, string]>;
  units: Record<string, { text: string; per_terahertz: number }>;
  // Symbols that occur.
  elements: string[];
  // Of all elements, by atomic number.
  symbols: string[];
  looks: [string, number][];
}

// Missing numbers and flags are NaN; missing texts have code 0, which is the empty text.
export interface Numbers {
  kind: "number" | "flag";
  values: Float64Array;
}
export interface Texts {
  kind: "text";
  codes: Uint32Array;
  words: string[];
}
export type Column = Numbers | Texts;

export interface Table {
  n: number;
  columns: Map<string, Column>;
}

// A file that the server does not have.
export class Missing extends Error {}

async function ask(path: string): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(path);
  } catch {
    throw new Error(
      `The file ${path} cannot be reached. Is the network there, and the server running? ` +
        "A catalogue on this machine is opened by the command: chiralscreen serve FOLDER",
    );
  }
  if (answer.status === 404) throw new Missing(`The catalogue has no file ${path}.`);
  if (!answer.ok) throw new Error(`The server does not give ${path}: ${answer.status} ${answer.statusText}.`);
  return answer;
}

export async function fetchJson<T>(path: string): Promise<T> {
  const text = await (await ask(path)).text();
  try {
    return JSON.parse(text) as T;
  } catch {
    throw new Error(`The file ${path} of the catalogue is damaged. Write the catalogue again.`);
  }
}

export async function fetchBytes(path: string): Promise<ArrayBuffer> {
  return (await ask(path)).arrayBuffer();
}

export async function readTable(bytes: ArrayBuffer, columns: ColumnInfo[]): Promise<Table> {
  const file: AsyncBuffer = { byteLength: bytes.byteLength, slice: (a, b) => bytes.slice(a, b) };
  const metadata = parquetMetadata(bytes);
  const n = Number(metadata.num_rows);
  const table: Table = { n, columns: new Map() };
  const writers = new Map<string, (values: ArrayLike<unknown>, start: number) => void>();
  for (const { name, kind } of columns) {
    const [column, write] = kind === "text" ? texts(n) : numbers(n, kind);
    table.columns.set(name, column);
    writers.set(name, write);
  }
  await parquetRead({
    file,
    metadata,
    columns: [...writers.keys()],
    onChunk: ({ columnName, columnData, rowStart }) => {
      writers.get(columnName)!(columnData as ArrayLike<unknown>, rowStart);
    },
  });
  return table;
}

type Writer = (values: ArrayLike<unknown>, start: number) => void;

function numbers(n: number, kind: "number" | "flag"): [Numbers, Writer] {
  const values = new Float64Array(n).fill(NaN);
  const write: Writer = (found, start) => {
    for (let i = 0; i < found.length; i++) {
      const value = found[i];
      if (value !== null && value !== undefined) values[start + i] = Number(value);
    }
  };
  return [{ kind, values }, write];
}

function texts(n: number): [Texts, Writer] {
  const codes = new Uint32Array(n);
  const words = [""];
  const known = new Map<string, number>([["", 0]]);
  const write: Writer = (found, start) => {
    for (let i = 0; i < found.length; i++) {
      const word = (found[i] as string | null | undefined) ?? "";
      let code = known.get(word);
      if (code === undefined) {
        code = words.push(word) - 1;
        known.set(word, code);
      }
      codes[start + i] = code;
    }
  };
  return [{ kind: "text", codes, words }, write];
}

export function text(table: Table, name: string, row: number): string {
  const column = table.columns.get(name);
  if (!column) return "";
  return column.kind === "text" ? column.words[column.codes[row]] : String(column.values[row]);
}

export function num(table: Table, name: string, row: number): number {
  const column = table.columns.get(name);
  return column && column.kind !== "text" ? column.values[row] : NaN;
}

// Distinct values of a text column with their counts, the most frequent first.
export function counts(table: Table, name: string): [string, number][] {
  const column = table.columns.get(name);
  if (column?.kind !== "text") return [];
  const found = new Uint32Array(column.words.length);
  for (const code of column.codes) found[code]++;
  return column.words
    .map((word, code): [string, number] => [word, found[code]])
    .filter(([word, count]) => word !== "" && count > 0)
    .sort((a, b) => b[1] - a[1]);
}
